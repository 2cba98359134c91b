#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A limit is enforced where its controller exists; else it is refused, and the message says which and why.
. "$TESTS/life/vps.bash"
rootfs r
at=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
[ -n "$at" ] || { echo "no cgroup2"; exit 77; }
has() { grep -qw "$1" "$at/cgroup.controllers"; }

limit() { # limit CONTROLLER OPTION VALUE FILE WANT
	if has "$1"; then
		want 0 "$CTR" run -d --name l "$2" "$3" r sleep 100
		local group
		group=$at$(sed -n 's/^0:://p' "/proc/$(field l pid)/cgroup")
		[ "$(cat "$group/$4" 2>/dev/null || cat "$group/../$4")" = "$5" ] || fail "$2 $3: $(cat "$group/$4")"
		want 0 "$CTR" rm -f l
	else
		want 125 "$CTR" run --rm "$2" "$3" r true
		said err "$2: the $1 controller is not available"
		[ ! -e "/sys/fs/cgroup/$1" ] || said err 'bound to cgroup v1'
		want 6 "$CTR" create --name l "$2" "$3" r true
	fi
}
limit memory --memory 64M memory.max 67108864
limit cpu --cpus 1.5 cpu.max '150000 100000'
limit pids --pids 20 pids.max 20
if has pids; then # without being asked: 512
	want 0 "$CTR" run -d --name l r sleep 100
	group=$at$(sed -n 's/^0:://p' "/proc/$(field l pid)/cgroup")
	[ "$(cat "$group/pids.max")" = 512 ] || fail "default: $(cat "$group/pids.max")"
	want 0 "$CTR" rm -f l
fi
for bad in '--memory 0' '--memory x' '--memory -1' '--memory 1k' '--cpus 0' '--cpus x' '--cpus 1.2345' '--pids 0' '--pids x' '--pids 99999999'; do
	# shellcheck disable=SC2086 # an option and its value
	want 125 "$CTR" run --rm $bad r true
done
nothing_left
