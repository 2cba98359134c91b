#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What memory and disks were used is counted within 2 %, beside what the kernel's files say when they are read ten times as often.
# timeout: 240
. "$TESTS/life/vps.bash"
at=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
for controller in memory io; do
	grep -qw $controller "$at/cgroup.controllers" 2>/dev/null || { echo "needs the $controller controller of cgroup v2"; exit 77; }
done
rootfs r
value() {
	"$CTR" usage --json "$1" | sed -n "s/^ *\"$2\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" | head -n 1
}
near() { awk "BEGIN { exit !($1 > 0 && $1 >= $2 * 0.98 && $1 <= $2 * 1.02) }" || fail "$3: counted $1, was $2"; }
"$CTR" usage sample --every 1 2>sampler &
SAMPLER=$!
want 0 "$CTR" run -d --name holder --memory 200M r sh -c 'sleep 3; dd if=/dev/zero of=/dev/shm/held bs=1M count=50; sleep 1000'
group=$at$(sed -n 's/^0:://p' "/proc/$(field holder pid)/cgroup")
[ -e "$group/memory.current" ] || group=$(dirname "$group")
for ((i = 0; i < 200; i++)); do
	echo "${EPOCHREALTIME/,/.} $(cat "$group/memory.current")"
	sleep 0.1
done >levels
want 0 "$CTR" rm -f holder
# level times time, between the first and the last look; what is before and after is short
WAS=$(awk 'NR > 1 { sum += ($2 + last) / 2 * ($1 - at) } { at = $1; last = $2 } END { printf "%.0f", sum }' levels)
near "$(value holder memory_byte_seconds)" "$WAS" 'memory by time'
near "$(value holder memory_reserved_byte_seconds)" "$(awk "BEGIN { printf \"%.0f\", 209715200 * $(value holder alive_seconds) }")" 'its limit by time'
kill $SAMPLER
wait $SAMPLER || fail "the sampler: $(cat sampler)"
# without a sampler: for ten seconds at most, at its highest
want 0 "$CTR" run --name short r dd if=/dev/zero of=/dev/shm/held bs=1M count=20
awk "BEGIN { exit !($(value short memory_byte_seconds) > 0) }" || fail "a short one used no memory"
# disks
case $(stat -f -c %T "$CTR_ROOT") in
tmpfs | overlayfs) ;;
*)
	want 0 "$CTR" run --name writer r dd if=/dev/zero of=/written bs=1M count=64 conv=fsync
	near "$(value writer disk_written_bytes)" $((64 << 20)) 'written'
	;;
esac
want 0 "$CTR" rm -f '*'
nothing_left
