#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An image is mounted once, however many instances run of it, in a namespace of ctr's own: nothing of it is seen in the host's
# mounts, and it goes with the last instance, or with the image. What instances have they keep, whatever becomes of that mount.
. "$TESTS/images/lib.sh"
mkdir -p tiny/bin tiny/etc tiny/dev tiny/proc tiny/sys tiny/tmp
cp "$BUILD/tests/life/witness" tiny/bin/witness
cp "$(command -v busybox || skip 'busybox is not installed')" tiny/bin/busybox
for p in sh sleep cat; do ln tiny/bin/busybox tiny/bin/$p; done
head -c 3000000 /dev/urandom >tiny/etc/data
tar -C tiny --numeric-owner -cf tiny.tar .
"$CTR" image import tiny.tar tiny >/dev/null || fail import
[ -f "$CTR_ROOT/roots/$(ls "$CTR_ROOT/roots")" ] || skip 'an index cannot be mounted here'
cat >mounted.py <<'P'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
me = open("/proc/self/mountinfo")
path = os.environ["CTR_RUN"] + "/mounts"
if not os.path.exists(path) or os.path.getsize(path) or os.statvfs(path).f_blocks:
    sys.exit()
fd = os.open(path, os.O_RDONLY)
proc = os.open("/proc/self", os.O_RDONLY)
if libc.setns(fd, 0x20000) < 0:
    sys.exit("cannot join")
for line in open(os.open("mountinfo", os.O_RDONLY, dir_fd=proc)):
    print(line.split(" - ")[1].split()[0], line.split()[4])
P
mounted() { python3 mounted.py | grep -c '^erofs'; }
before=$(grep -vc " $CTR_RUN" /proc/self/mountinfo)
for i in 1 2 3; do "$CTR" run -d --name "m$i-$TEST_NAME" tiny sleep 1000 >/dev/null || fail "run $i"; done
[ "$(mounted)" = 1 ] || fail "three instances, mounted $(mounted) times"
[ "$(grep -vc " $CTR_RUN" /proc/self/mountinfo)" = "$before" ] || fail 'mounts are seen outside'
! grep -q erofs /proc/self/mountinfo || fail 'the image is mounted outside'
"$CTR" stop -t 0 "m1-$TEST_NAME" >/dev/null 2>&1 || fail stop
[ "$(mounted)" = 1 ] || fail 'it went with the first of three'
# the mount goes, the instance stays
python3 - <<'P' || fail 'cannot unmount'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open(os.environ["CTR_RUN"] + "/mounts", os.O_RDONLY)
if libc.setns(fd, 0x20000) < 0:
    sys.exit(1)
for d in os.listdir("/"):
    if libc.umount2(b"/" + d.encode(), 2) < 0:
        sys.exit(1)
P
[ "$(mounted)" = 0 ] || fail 'still mounted'
[ "$("$CTR" exec "m2-$TEST_NAME" cat /etc/data | sha256sum)" = "$(sha256sum <tiny/etc/data)" ] || fail 'an instance lost its files'
"$CTR" start "m1-$TEST_NAME" >/dev/null || fail 'start again'
[ "$(mounted)" = 1 ] || fail 'not mounted again'
[ "$("$CTR" exec "m1-$TEST_NAME" cat /etc/data | sha256sum)" = "$(sha256sum <tiny/etc/data)" ] || fail 'other files'
"$CTR" rm -f "m1-$TEST_NAME" "m2-$TEST_NAME" "m3-$TEST_NAME" >/dev/null || fail rm
[ "$(mounted)" = 0 ] || fail 'it stays after the last instance'
"$CTR" run --rm tiny sh -c 'exit 3'
[ $? = 3 ] || fail 'run'
"$CTR" image rm tiny >/dev/null || fail 'image rm'
[ "$(mounted)" = 0 ] || fail 'it stays after the image'
# fifty at once, from nothing
rm -rf "$CTR_ROOT"/images "$CTR_ROOT"/refs
"$CTR" image import -q tiny.tar tiny >/dev/null || fail import
umount "$CTR_RUN/mounts" && rm "$CTR_RUN/mounts"
for i in $(seq 20); do "$CTR" run --rm tiny cat /etc/data >"out.$i" & done
wait
for i in $(seq 20); do cmp -s "out.$i" tiny/etc/data || fail "run $i of many"; done
[ "$(mounted)" = 1 ] || fail "twenty at once mounted it $(mounted) times"
