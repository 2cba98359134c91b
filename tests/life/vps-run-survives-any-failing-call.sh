#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each system call of `ctr run --rm` fails in turn: the payload is as confined as ever or not started, one line says why, and
# the next command leaves nothing.
# timeout: 600
. "$TESTS/life/sweep.bash"

witness_rootfs rootfs
# shellcheck disable=SC2206 # one argument each
command=("$CTR" run --rm --name "$ID" ./rootfs -- /bin/witness $own_namespaces)
"${command[@]}" >reference 2>err || { cat err; exit 1; }
no_instances_left "the first run"

check() {
	if [ "$1" = 0 ]; then
		cmp -s out reference || complain "$2: confined otherwise: $(diff reference out)"
	else
		as_confined "$2"
	fi
	no_instances_left "$2"
}
# whose network is counted is found by it: without, the receipt says less
tolerated+=("openat /proc/self/fdinfo/*")
# it is in no network: there is no line with its name to take away
tolerated+=("openat names (ctr)")
# whose ids are given back: else the table of ids is made anew by the next command
tolerated+=("mmap 0 0x11000 (ctr)")
sweep fail 250 "${command[@]}"
[ $bad = 0 ]
