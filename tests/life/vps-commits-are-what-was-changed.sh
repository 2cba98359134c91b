#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
# What an instance has changed is shown, and becomes a layer from which the same tree is made again; also on layers that snapshots
# froze, and with the same tree as a tarball. A kill or a full disk leaves the old state or the new one.
. "$TESTS/images/lib.sh"
. "$TESTS/life/vps.bash"
rootfs r
mkdir -p r/d/deep/er r/gone r/opaque r/turn
for f in d/f d/deep/er/f gone/f opaque/old turn/f etc/keep; do echo "$f" >"r/$f"; done
ln r/d/f r/d/hard
tar -C r --numeric-owner -cf r.tar .
want 0 "$CTR" image import -q r.tar base:1
want 0 "$CTR" run -d --name w --net none base:1 sh -c '
	echo new >/d/new; echo changed >/d/deep/er/f; rm -r /gone; rm -r /opaque; mkdir /opaque; echo n >/opaque/new
	rm -r /turn; echo file >/turn; rm /etc/keep; mkdir /etc/keep; echo in >/etc/keep/in
	chmod 700 /root; chown 33:33 /var/www; ln -s /d /sym; ln /d/new /d/newer; mkfifo /pipe
	dd if=/dev/zero of=/sparse bs=1 count=1 seek=1M 2>/dev/null
	touch -d "2001-02-03 04:05:06" /d/new; echo ready; exec sleep 1000'
soon logged w ready
want 0 "$CTR" diff w
cat >wanted <<'T'
C /d/deep/er/f
A /d/new
A /d/newer
A /etc/hostname
A /etc/hosts
C /etc/keep
A /etc/keep/in
D /gone
A /opaque/new
D /opaque/old
A /pipe
C /root
A /sparse
A /sym
C /turn
C /var/www
T
diff wanted out || fail 'diff'
want 0 "$CTR" diff --json w
python3 -c 'import json; assert len(json.load(open("out"))) == 16' || fail "json: $(cat out)"

same_tree() { # same_tree IMAGE: it is what the instance has, entry by entry
	"$CTR" export --rootfs -o have.tar w || fail export
	"$CTR" image import -q have.tar have:1 >/dev/null || fail 'import of an export'
	want 0 "$CTR" image diff have:1 "$1"
	[ ! -s out ] || fail "$1: $(cat out)"
	rm have.tar
	want 0 "$CTR" image rm have:1
}
want 0 "$CTR" commit -m 'what was changed' -a me -e ADDED=1 --cmd /bin/true w done:1
want 0 "$CTR" image history done:1
said out 'what was changed'
want 0 "$CTR" image inspect done:1
said out '"ADDED=1"'
[ "$("$CTR" image inspect done:1 | grep -c '"sha256:.*,\{0,1\}$')" -ge 2 ] || fail 'layers'
same_tree done:1
want 0 "$CTR" run --rm --net none done:1
want 0 "$CTR" run --rm --net none done:1 sh -c '[ "$ADDED" = 1 ] && cat /d/hard /d/newer && [ ! -e /gone ] && [ -p /pipe ] && stat -c %u /var/www'
[ "$(cat out)" = $'d/f\nnew\n33' ] || fail "runs: $(cat out)"
[ "$("$CTR" image files done:1 /sparse | awk '{ print $4 }')" = 1048577 ] || fail sparse
# the layers are shared with the base
[ "$(ls "$CTR_ROOT/layers" | wc -l)" = 2 ] || fail "layers: $(ls "$CTR_ROOT/layers")"

# on frozen layers, stopped
want 0 "$CTR" stop -t 0 w
want 0 "$CTR" snapshot create w s1
echo later >later
want 0 "$CTR" cp later w:/d/later
want 0 "$CTR" diff w s1
[ "$(cat out)" = 'A /d/later' ] || fail "since the snapshot: $(cat out)"
want 0 "$CTR" commit w done:2
same_tree done:2
want 0 "$CTR" image diff done:1 done:2
[ "$(cat out)" = 'A /d/later' ] || fail "two commits: $(cat out)"

# killed at random moments
began=$(date +%s%N)
want 0 "$CTR" commit w
took=$((($(date +%s%N) - began) / 1000))
for i in 1 2 3 4 5 6 7 8 9 10; do
	"$CTR" commit w "killed:$i" >/dev/null 2>&1 &
	pid=$!
	sleep "$(printf '0.%06d' $((RANDOM * took / 32768 % 1000000)))"
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	want 0 "$CTR" image ls
	if grep -q "^killed:$i " out; then
		want 0 "$CTR" image diff done:2 "killed:$i"
		[ ! -s out ] || fail "half of it: $(cat out)"
	fi
done
# a disk that is full
mkdir disk
mount -t tmpfs -o size=6m none disk || fail 'cannot mount a tmpfs'
(
	export CTR_ROOT=$PWD/disk/store
	want 0 "$CTR" image import -q r.tar base:1
	want 0 "$CTR" create --name f --net none base:1 true
	head -c 1500000 /dev/urandom >bytes
	want 0 "$CTR" cp bytes f:/bytes
	find "$CTR_ROOT/images" "$CTR_ROOT/layers" "$CTR_ROOT/refs" | sort >before
	head -c 2000000 /dev/zero >disk/ballast
	want 1 "$CTR" commit f full:1
	said err 'No space left'
	"$CTR" image ls -q >/dev/null
	find "$CTR_ROOT/images" "$CTR_ROOT/layers" "$CTR_ROOT/refs" | sort | diff before - || fail 'a failed commit changed the store'
	rm disk/ballast
	want 0 "$CTR" rm f
) || { umount disk; exit 1; }
umount disk
want 0 "$CTR" rm -f w
want 0 "$CTR" image prune --all
nothing_left
