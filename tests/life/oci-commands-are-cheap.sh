#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# start, state, kill and delete take at most 60 system calls each: callers of runtimes spend their time there.
. "$TESTS/life/oci.bash"
INJECT=$BUILD/tests/life/inject
grep -q GLIBC "$CTR_OCI" && skip "linked with shared libraries, which cost calls of their own"

calls() { # calls WORDS...: of ctr-oci with these, and of all it starts
	"$INJECT" -n 1000000 -k "$CTR_OCI" --root "$ROOT" "$@" 3>&1 >/dev/null 2>&1 </dev/null | sed -n 's/^end //p'
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
no_traces
