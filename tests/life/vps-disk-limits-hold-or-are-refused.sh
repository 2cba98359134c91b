#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A limit of disk holds, is shown inside, changes at once, goes along with snapshots, rollbacks and clones, and is forgotten with the
# instance. Where the file system has no project quotas, instances go into one that has, in a file, with all that they are, whenever who moves
# them is killed; where there is no loop device for it a limit is refused.
. "$TESTS/life/vps.bash"
rootfs r
enforced() { quota_of 0 >/dev/null 2>&1; }
place=$CTR_ROOT
# quota_of ID: bytes in use and the limit of the project
quota_of() {
	python3 - "$place" "$1" <<-'PY'
	import ctypes, os, struct, sys
	libc = ctypes.CDLL(None, use_errno=True)
	fd = os.open(sys.argv[1], os.O_RDONLY)
	state = ctypes.create_string_buffer(b'\1' + bytes(255))
	def command(number):
	    return ctypes.c_uint(number << 8 | 2)
	if libc.syscall(443, fd, command(0x5808), 0, state) < 0 or not struct.unpack_from('=bxH', state.raw)[1] & 1 << 5:
	    sys.exit(1)
	q = ctypes.create_string_buffer(72)
	if libc.syscall(443, fd, command(0x800007), ctypes.c_uint(int(sys.argv[2])), q) < 0:
	    print('0 0')
	else:
	    hard, soft, used = struct.unpack_from('=QQQ', q.raw)
	    print(used, hard * 1024)
	PY
}
devices() { losetup -n -O BACK-FILE 2>/dev/null | grep -c "$CTR_ROOT/" || :; }
if ! enforced; then
	command -v mkfs.ext4 >/dev/null || { echo "needs mkfs.ext4"; exit 77; }
	place=$CTR_ROOT/disk # as it will be
	tar -C r -cf r.tar . && want 0 "$CTR" image import r.tar box:1
	trap '"$CTR" rm -f "*" >/dev/null 2>&1; while umount "$place" elsewhere/disk below/root/disk below 2>/dev/null; do :; done' EXIT
	want 0 "$CTR" run -d --name early box:1 sh -c '[ -e /second ] || { echo first >/first; mkfifo /pipe; ln /first /second; }; exec sleep 1000'
	soon "$CTR" exec early test -e /second
	want 0 "$CTR" run -d --name other r sleep 1000
	want 0 "$CTR" stop -t 0 early
	want 0 "$CTR" snapshot create early one
	want 0 "$CTR" clone early twin
	# what runs would be left behind
	want 125 "$CTR" run --rm --disk 20M r true
	said err "'other' runs"
	[ ! -L "$CTR_ROOT/instances" ] && [ ! -e "$place" ] || fail "something was made: $(ls -la "$CTR_ROOT")"
	want 0 "$CTR" rm -f other
	CTR_ROOT=$PWD/probe "$CTR" run --rm --disk 20M r true >out 2>err
	while umount probe/disk 2>/dev/null; do :; done
	if grep -q 'no project quotas, and one in a file cannot be made: \(this machine has no loop devices\|this kernel\)' err; then
		want 6 "$CTR" create --name web --disk 20M r true
		want 6 "$CTR" set early disk=20M
		want 0 "$CTR" get early disk
		[ ! -s out ] || fail "what was refused is written: $(cat out)"
		[ ! -e "$place" ] && [ "$(devices)" = 0 ] || fail "left behind: $(ls -la "$CTR_ROOT")"
		want 0 "$CTR" rm twin
		want 0 "$CTR" rm early
		want 0 "$CTR" image rm box:1
		nothing_left
		echo "needs a kernel with project quotas and loop devices"
		exit 77
	fi
	# killed at any moment, there is all of it, in the one or the other
	for ((i = 0; i < 200; i++)); do
		timeout -s KILL "$((i / 25)).$(printf %02d $((i % 25 * 4)))" "$CTR" set early disk=50M >/dev/null 2>&1
		[ "$("$CTR" list -q | xargs)" = "early twin" ] || fail "after kill $i: $("$CTR" list)"
		if [ ! -L "$CTR_ROOT/instances" ]; then
			[ ! -e "$place" ] && [ "$(devices)" = 0 ] || fail "left behind by kill $i: $(ls -la "$CTR_ROOT"; losetup)"
			continue
		fi
		[ ! -e "$CTR_ROOT/instances.old" ] && [ ! -e "$CTR_ROOT/frozen" ] || fail "kill $i: $(ls -la "$CTR_ROOT")"
		break
	done
	want 0 "$CTR" set early disk=50M
	[ -L "$CTR_ROOT/instances" ] || fail "where do they lie? $(ls -la "$CTR_ROOT")"
	enforced || fail "quotas are not enforced in $place"
	[ "$(stat -c %b "$CTR_ROOT/disk.ext4")" -lt 262144 ] || fail "it takes $(stat -c %b "$CTR_ROOT/disk.ext4") blocks"
	# after a boot it is mounted by whoever needs it, once
	umount "$place" || fail "umount"
	want 0 "$CTR" image ls
	("$CTR" list >/dev/null & "$CTR" list >/dev/null & "$CTR" list >/dev/null; wait)
	[ "$(devices)" = 1 ] && [ "$(grep -c " $place " /proc/self/mountinfo)" = 1 ] || fail "mounted: $(losetup; grep " $place " /proc/self/mountinfo)"
	unshare -m sh -c "umount '$place' && '$CTR' list -q" >out || fail "in another mount namespace: $(cat out)"
	[ "$(devices)" = 1 ] && [ "$(xargs <out)" = "early twin" ] || fail "in another mount namespace: $(cat out; losetup)"
	want 0 "$CTR" start early
	want 0 "$CTR" exec early sh -c 'cat /first; [ /first -ef /second ] && [ -p /pipe ] && df -k / | awk "NR == 2 { print \$2 }"'
	[ "$(xargs <out)" = "first 51200" ] || fail "what it is: $(cat out)"
	want 0 "$CTR" snapshot list -q early
	[ "$(cat out)" = early@one ] || fail "its snapshots: $(cat out)"
	want 0 "$CTR" stop -t 0 early
	want 0 "$CTR" rollback early one
	want 0 "$CTR" export -o early.tar early
	want 0 "$CTR" rm twin
	want 0 "$CTR" rm early
	want 0 "$CTR" import early.tar back
	want 0 "$CTR" start back
	want 0 "$CTR" exec back cat /first
	want 0 "$CTR" rm -f back
	want 0 "$CTR" image rm box:1
	# one with a limit that comes from elsewhere
	CTR_ROOT=$PWD/elsewhere want 0 "$CTR" import early.tar
	CTR_ROOT=$PWD/elsewhere want 0 "$CTR" rm early
	umount elsewhere/disk || fail "where did it go? $(ls -la elsewhere)"
	# it grows with what it lies on
	truncate -s 200M below.img && mkfs.ext4 -q below.img && mkdir below && mount -o loop below.img below || fail "a file system to lie on"
	CTR_ROOT=$PWD/below/root want 0 "$CTR" create --name small --disk 20M r true
	[ "$(df -m below/root/disk | awk 'NR == 2 { print $2 }')" -lt 200 ] || fail "it is larger than what it lies on: $(df -m below/root/disk)"
	umount below/root/disk
	device=$(findmnt -n -o SOURCE below)
	truncate -s 700M below.img && losetup -c "$device" && resize2fs "$device" >/dev/null 2>&1 || fail "resize"
	CTR_ROOT=$PWD/below/root want 0 "$CTR" list
	[ "$(df -m below/root/disk | awk 'NR == 2 { print $2 }')" -gt 500 ] || fail "it has not grown: $(df -m below/root/disk)"
	CTR_ROOT=$PWD/below/root want 0 "$CTR" rm small
	umount below/root/disk && umount below || fail "umount"
fi
fill() { # NAME MIB: whether so much more can be written
	"$CTR" exec "$1" sh -c "dd if=/dev/zero of=/fill.$2 bs=1M count=$2 conv=fsync || { rm /fill.$2; exit 1; }" >filled 2>&1
}
size() { "$CTR" exec "$1" df -k / | awk 'NR == 2 { print $2 * 1024 }'; }
want 125 "$CTR" run --rm --disk 20M --userns host r true
said err "with the host's user ids cannot be limited"
want 0 "$CTR" run -d --name web --disk 20M r sleep 1000
IDS=$(sed -n 's/.*"ids": *\([0-9]*\).*/\1/p' "$CTR_ROOT/instances/web/config.json")
[ "$(size web)" = 20971520 ] || fail "df inside: $("$CTR" exec web df -k /)"
fill web 12 || fail "12 of 20 MiB: $(cat filled)"
fill web 15 && fail "27 of 20 MiB"
grep -qE 'No space|quota' filled || fail "$(cat filled)"
want 0 "$CTR" set web disk=60M
[ "$(size web)" = 62914560 ] || fail "df inside after set: $("$CTR" exec web df -k /)"
fill web 15 || fail "27 of 60 MiB: $(cat filled)"
want 1 "$CTR" set web disk=5M
said err 'MiB already'
[ "$("$CTR" get web disk)" = 60M ] || [ "$("$CTR" get web disk)" = 62914560 ] || fail "get: $("$CTR" get web disk)"
# snapshots count, and what comes after them is limited as well
want 0 "$CTR" stop -t 0 web
want 0 "$CTR" snapshot create web one
want 0 "$CTR" start web
[ "$(size web)" = 62914560 ] || fail "df inside after a snapshot: $("$CTR" exec web df -k /)"
fill web 40 && fail "67 of 60 MiB, 27 of them in a snapshot"
want 0 "$CTR" stop -t 0 web
want 0 "$CTR" rollback web one
want 0 "$CTR" start web
[ "$(size web)" = 62914560 ] || fail "df inside after a rollback: $("$CTR" exec web df -k /)"
fill web 40 && fail "67 of 60 MiB after a rollback"
soon fill web 20 # what was thrown away is removed in the background
fill web 20 || fail "47 of 60 MiB: $(cat filled)"
want 0 "$CTR" stop -t 0 web
# a clone has as much, of its own
want 0 "$CTR" clone --start web twin
[ "$(size twin)" = 62914560 ] || fail "df inside a clone: $("$CTR" exec twin df -k /)"
fill twin 40 || fail "40 of 60 MiB of a clone: $(cat filled)"
fill twin 30 && fail "70 of 60 MiB of a clone"
want 0 "$CTR" rm -f twin
# what is there when it is limited counts
want 0 "$CTR" run -d --name late r sleep 1000
fill late 12 || fail "$(cat filled)"
want 1 "$CTR" set late disk=10M
want 0 "$CTR" set late disk=20M
fill late 15 && fail "27 of 20 MiB of one that was limited later"
want 0 "$CTR" unset late disk
fill late 30 || fail "it is limited still: $(cat filled)"
# killed at any moment, it is limited from its next start on
for ((i = 1; i < 30; i++)); do
	timeout -s KILL "0.0$i" "$CTR" run -d --name "k$i" --disk 20M r sleep 1000 >/dev/null 2>&1
done
for name in $("$CTR" list -q 'k*'); do
	"$CTR" start "$name" >/dev/null 2>&1
	[ "$(size "$name")" = 20971520 ] || fail "$name: df inside after a kill: $("$CTR" exec "$name" df -k /)"
done
want 0 "$CTR" rm -f '*'
forgotten() { [ "$(quota_of "$IDS")" = '0 0' ]; }
soon forgotten
nothing_left
