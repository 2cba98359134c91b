#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A disk that is full at any point of an import: a clear error, the old image as it was, and the space given back.
. "$TESTS/images/lib.sh"
mkdir disk big big/bin
for i in $(seq 60); do head -c 30000 /dev/urandom >"big/bin/$i"; done
tar -C big --numeric-owner -cf big.tar .
gzip -k big.tar
small old.tar old
export CTR_ROOT=$PWD/disk/store
refusals=0
# full of bytes at various points, and full of inodes
for options in size=100k size=500k size=1200k size=1900k size=2m nr_inodes=20 nr_inodes=50 nr_inodes=90 nr_inodes=101; do
	mount -t tmpfs -o "$options" none disk || fail 'cannot mount a tmpfs'
	if "$CTR" image import -q old.tar old >out 2>err; then
		old=$(cat out)
		before=$(cd "$CTR_ROOT" && find . | sort)
		used=$(stat -f -c '%f %d' disk)
		for archive in big.tar big.tar.gz; do
			"$CTR" image import -q $archive big 2>err && break
			refusals=$((refusals + 1))
			grep -q 'No space left on device' err || fail "$options: $(cat err)"
			[ "$(wc -l <err)" = 1 ] || fail "$options: not one line: $(cat err)"
			[ "$(cd "$CTR_ROOT" && find . | sort)" = "$before" ] || fail "$options: something is left"
			[ "$(stat -f -c '%f %d' disk)" = "$used" ] || fail "$options: the space is not given back"
			[ "$("$CTR" image ls -q)" = "$old" ] || fail "$options: the old image is gone"
			[ "$(cat "$(layer)/etc/motd")" = old ] || fail "$options: the old image is damaged"
		done
	else
		refusals=$((refusals + 1))
		grep -q 'No space left on device' err || fail "$options: $(cat err)"
	fi
	umount disk || fail 'cannot unmount'
done
[ $refusals -ge 8 ] || fail "only $refusals imports met a full disk"
