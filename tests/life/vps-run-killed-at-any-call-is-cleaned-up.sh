#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SIGKILL of any of the processes of `ctr run --rm` at each system call: the next command finds all that is to be undone: run state,
# cgroup, layers, range of ids.
# timeout: 600
. "$TESTS/life/sweep.bash"

witness_rootfs rootfs
# shellcheck disable=SC2206 # one argument each
command=("$CTR" run --rm --name "$ID" ./rootfs -- /bin/witness $own_namespaces)
"${command[@]}" >reference 2>err || { cat err; exit 1; }
no_instances_left "the first run"

check() {
	as_confined "$2"
	no_instances_left "$2"
}
sweep kill 250 "${command[@]}"
[ $bad = 0 ]
