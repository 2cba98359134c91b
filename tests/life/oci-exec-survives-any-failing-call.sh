#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each system call of `exec` fails in turn: the process is confined as the container is, or it is not started and one line says
# why. The container goes on as if nothing had happened.
# timeout: 300
. "$TESTS/life/sweep.bash"

# where the container's first process is, and memory for that text: of use only if its own cgroup cannot be entered (life_exec.c)
tolerated+=('openat /proc/*/cgroup (ctr)' 'read * (ctr)' 'open?(at) /sys/fs/cgroup/* (ctr)' 'mmap 0 0x1000 (ctr)')

running_bundle bundle
# shellcheck disable=SC2086 # one argument each
exec_witness() { "${OCI[@]}" exec "$ID" /bin/witness $own_namespaces; }
exec_witness >reference 2>&1 || { cat reference; exit 1; }

check() {
	if [ "$1" = 0 ]; then
		cmp -s out reference || complain "$2: confined otherwise: $(diff reference out)"
	else
		as_confined "$2"
	fi
	lives "$2" || {
		delete_leaves_nothing "$2"
		start_running bundle
	}
}
# shellcheck disable=SC2086 # one argument each
sweep fail 0 "${OCI[@]}" exec "$ID" /bin/witness $own_namespaces
exec_witness >out 2>&1 && cmp out reference || complain "the container was harmed: $(cat out)"
delete_leaves_nothing "at the end"
[ $bad = 0 ]
