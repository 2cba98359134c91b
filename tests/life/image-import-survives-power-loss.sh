#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
# Power lost at a random moment of an import, or right behind its end: the disk then holds what had been synced, and nothing else.
# An ext4 file system is shut down without writing its journal (EXT4_IOC_SHUTDOWN), unmounted and mounted again.
. "$TESTS/images/lib.sh"
command -v mkfs.ext4 >/dev/null || skip 'mkfs.ext4 is not installed'
mkdir disk big big/bin
for i in $(seq 200); do
	mkdir -p "big/usr/$((i % 9))"
	head -c 15000 /dev/urandom >"big/usr/$((i % 9))/$i"
done
tar -C big --numeric-owner -cf big.tar .
small old.tar old
truncate -s 128M image
mkfs.ext4 -q image || skip 'mkfs.ext4 fails'
mount -o loop image disk || skip 'there is no loop device'
cat >lose.py <<'P'
import fcntl, os, struct
fd = os.open("disk", os.O_RDONLY)
fcntl.ioctl(fd, 0x8004587D, struct.pack("I", 2))  # EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
P
export CTR_ROOT=$PWD/disk/store
began=$(date +%s%N)
big=$("$CTR" image import -q big.tar big) || fail import
took=$((($(date +%s%N) - began) / 1000))
tree "$(root_of "$big")" >whole
"$CTR" image rm big >/dev/null && sync -f disk
old=$("$CTR" image import -q old.tar old) || fail import
# what is in the store when the command ends is there for good
for i in $(seq 12); do
	expected=''
	if [ $((i % 4)) = 0 ]; then
		"$CTR" image import -q big.tar big >/dev/null || fail "import $i"
		expected=$big
	else
		"$CTR" image import -q big.tar big >/dev/null 2>&1 &
		pid=$!
		sleep "$(printf '0.%06d' $((RANDOM * took / 32768 * 12 / 10 % 1000000)))"
	fi
	python3 lose.py 2>err || {
		umount disk
		skip "this file system cannot be shut down: $(tail -n 1 err)"
	}
	[ -n "$expected" ] || { kill -9 $pid 2>/dev/null && wait $pid 2>/dev/null; }
	# a helper that is about to die may still be in it
	unsee
	for _ in $(seq 50); do umount disk 2>/dev/null && break || sleep 0.1; done
	mount -o loop image disk || fail 'the file system does not come back'
	"$CTR" image ls -q >ids 2>err || fail "ls: $(cat err)"
	[ ! -s err ] || fail "ls complains: $(cat err)"
	grep -q "$old" ids || fail 'the old image is gone'
	[ -z "$expected" ] || grep -q "$expected" ids || fail 'an image whose import had succeeded is gone'
	if grep -q "$big" ids; then
		tree "$(root_of "$big")" |
			cmp - whole || fail 'an image is listed and not whole'
		"$CTR" image rm big >/dev/null 2>&1 || "$CTR" image rm "$big" >/dev/null || fail rm
	fi
	[ "$(cat "$(root_of "$old")/etc/motd")" = old ] || fail 'the old image is damaged'
done
"$CTR" image rm old >/dev/null || fail rm
store_is_empty
unsee
umount disk || fail umount
