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

# the same with an index, which a tmpfs cannot have; directories of ext4 keep blocks that they once had
command -v mkfs.ext4 >/dev/null || exit 0
small old.tar old
tight=0
for size in 900k 1600k 2200k 2700k 3000k 3100k 3200k 3300k; do
	rm -f image && truncate -s $size image
	mkfs.ext4 -q -O ^has_journal -m 0 -N 64 image 2>/dev/null && mount -o loop image disk || {
		echo "no ext4 on a loop device of $size"
		continue
	}
	if "$CTR" image import -q old.tar old >out 2>err; then
		old=$(cat out)
		before=$(cd "$CTR_ROOT" && find . | sort)
		free=$(stat -f -c %f disk)
		for archive in big.tar big.tar.gz; do
			"$CTR" image import -q $archive big 2>err && break
			tight=$((tight + 1))
			grep -q 'No space left on device' err || fail "$size: $(cat err)"
			[ "$(wc -l <err)" = 1 ] || fail "$size: not one line: $(cat err)"
			[ "$(cd "$CTR_ROOT" && find . | sort)" = "$before" ] || fail "$size: something is left"
			[ $((free - $(stat -f -c %f disk))) -le 16 ] || fail "$size: the space is not given back"
			[ "$("$CTR" image ls -q)" = "$old" ] || fail "$size: the old image is gone"
			[ "$(cat "$(layer)/etc/motd")" = old ] || fail "$size: the old image is damaged"
			unsee
		done
		if "$CTR" image ls | grep -q '^big:'; then
			[ -f "$CTR_ROOT/roots/$(find "$CTR_ROOT/roots" -type f -printf '%f\n' | head -n 1)" ] || fail "$size: no index"
		fi
	fi
	umount disk || fail 'cannot unmount'
done
[ $tight -ge 4 ] || fail "only $tight imports met a full ext4"
