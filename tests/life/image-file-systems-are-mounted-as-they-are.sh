#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A squashfs or an EROFS in a file is imported with --as-is alone, is mounted and not unpacked, and shows the tree that it was made of; what
# needs layers is refused, nothing in it is a device, and a damaged one is told.
. "$TESTS/life/vps.bash"
command -v mksquashfs >/dev/null && command -v mkfs.erofs >/dev/null || { echo "needs squashfs-tools and erofs-utils"; exit 77; }
mkdir -p r/{bin,etc,dev,proc,sys,srv} && cp "$(command -v busybox)" r/bin/busybox
for applet in sh ls cat id sleep; do ln -s busybox r/bin/$applet; done
echo hello >r/srv/file && ln r/srv/file r/srv/link && chmod 4755 r/bin/busybox && mknod r/srv/null c 1 3 && setfattr -n user.note -v 7 r/srv/file 2>/dev/null
touch -d @1600000000 r/srv/file && chown 1000:1001 r/srv
mksquashfs r a.squashfs -quiet -no-progress >/dev/null && mkfs.erofs --quiet a.erofs r >/dev/null 2>&1 || fail "no file systems to try"
tree() { (cd "$1" && find . ! -type d -printf '%p %m %U %G %s %l %TY-%Tm-%Td\n' -o -printf '%p %m %U %G\n' | sort); }
for type in squashfs erofs; do
	want 1 "$CTR" image import a.$type plain
	said err "--as-is keeps it so"
	if ! "$CTR" image import --as-is a.$type $type >out 2>err; then
		grep -qE 'no loop devices|this kernel has no' err && { cat err; exit 77; }
		fail "$(cat err)"
	fi
	want 0 "$CTR" image inspect $type
	said out "\"kept-as\": \"$type\""
	mkdir -p m && want 0 "$CTR" image mount $type m
	diff <(tree r) <(tree m) >difference || fail "another tree: $(cat difference)"
	want 0 "$CTR" image unmount m
	want 0 "$CTR" run --rm $type sh -c 'cat /srv/link; echo more >/srv/file && cat /srv/file; id -u'
	[ "$(cat out)" = $'hello\nmore\n0' ] || fail "$(cat out)"
	# a node of the file is none, in whichever user namespace
	for userns in own host; do
		want 1 "$CTR" run --rm --userns $userns $type sh -c 'cat /srv/null'
		said err "Permission denied"
	done
	want 0 "$CTR" image cat $type /srv/file
	[ "$(cat out)" = hello ] || fail "$(cat out)"
	want 0 "$CTR" image verify $type
	want 6 "$CTR" image save $type
	said err "without layers"
	want 0 "$CTR" run -d --name x $type sleep 100
	want 6 "$CTR" commit x more
	said err "export --rootfs"
	want 0 "$CTR" clone x y
	want 0 "$CTR" rm -f x y
	# the same once more is no second copy; another way to keep it is no way
	want 0 "$CTR" image import --as-is a.$type again
	said out "was there already"
	want 2 "$CTR" image import --as-is --unpacked a.$type again
	want 0 "$CTR" image import --as-is - piped <a.$type
	layer=$(ls -i "$CTR_ROOT"/layers | awk 'END { print $2 }')
	printf X | dd of="$CTR_ROOT/layers/$layer" bs=1 seek=5000 conv=notrunc status=none
	want 1 "$CTR" image verify $type
	said out "is not what it was"
	want 0 "$CTR" image rm $type again piped
done
want 1 "$CTR" image import --as-is r.tar no
tar -C r -cf r.tar . && want 1 "$CTR" image import --as-is r.tar no
said err "neither a squashfs nor an EROFS"
head -c 3000 a.squashfs >short && want 1 "$CTR" image import --as-is short no
left=$(find "$CTR_ROOT"/layers "$CTR_ROOT"/tmp -mindepth 1 2>/dev/null)
[ -z "$left" ] || fail "left in the store: $left"
