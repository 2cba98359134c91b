#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SIGKILL of any of our processes at each system call of `exec`: nothing of it stays in the container, which goes on, and what was
# started is confined.
# timeout: 300
. "$TESTS/life/sweep.bash"

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
sweep kill 0 "${OCI[@]}" exec "$ID" /bin/witness $own_namespaces
exec_witness >out 2>&1 && cmp out reference || complain "the container was harmed: $(cat out)"
delete_leaves_nothing "at the end"
[ $bad = 0 ]
