#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# start, state, kill and delete take at most 60 system calls each: callers of runtimes spend their time there. run takes 350 at most, all
# that it does twice included: before and after it executes a read-only clone of itself.
. "$TESTS/life/oci.bash"
INJECT=$BUILD/tests/life/inject
grep -q GLIBC "$CTR_OCI" && skip "linked with shared libraries, which cost calls of their own"

calls() { # calls WORDS...: of ctr-oci with these, and of all it starts
	"$INJECT" -c "$CTR_OCI" --root "$ROOT" "$@" 3>&1 >/dev/null 2>&1 </dev/null | sed -n 's/^end //p'
}
cheap() {
	local limit=$1 n
	shift
	n=$(calls "$@")
	[ "${n:-0}" -gt 10 ] || fail "cannot count the calls of $1: '$n'"
	[ "$n" -le "$limit" ] || fail "$1: $n system calls, more than $limit"
	echo "$1: $n"
}
bundle b "c['process']['args'] = ['/bin/sleep', '60']"
create -b b "$ID"
cheap 60 state "$ID"
cheap 60 start "$ID"
cheap 60 kill "$ID" KILL
until_true is_status "$ID" stopped
cheap 60 delete "$ID"
# what is masked everywhere: each path more that a kernel has is five calls more
bundle b "c['linux']['maskedPaths'] = ['/proc/acpi', '/proc/keys', '/proc/timer_list', '/sys/firmware']"
cheap 350 run -b b "$ID"
no_traces
