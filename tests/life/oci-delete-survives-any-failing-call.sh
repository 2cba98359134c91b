#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each system call of `delete --force` of a running container fails, or is its last: one more `delete --force` leaves nothing. And
# whatever fails, `delete` without --force does not delete what runs.
# timeout: 300
. "$TESTS/life/sweep.bash"

running_bundle bundle
"${OCI[@]}" exec "$ID" /bin/witness >reference 2>&1 || { cat reference; exit 1; }

check() { lives "$2" && [ "$1" != 0 ] || { delete_leaves_nothing "$2" && start_running bundle; }; }
may_succeed=never
sweep fail 0 "${OCI[@]}" delete "$ID"
sweep kill 0 "${OCI[@]}" delete "$ID"
"${OCI[@]}" delete --force "$ID"

prepare() { start_running bundle; }
check() {
	if [ "$1" = 0 ]; then
		rm -f "$ROOT/.open/$ID"
		nothing_left "$2"
	fi
	delete_leaves_nothing "$2"
	is_dead "$first" || complain "$2: the payload lives"
}
# shellcheck disable=SC2034 # read by sweep.bash
may_succeed=
# the processes are killed when the container is, and again when its cgroup is removed: once must do
tolerated+=('open?(at) /sys/fs/cgroup/*' 'openat cgroup.events *' 'openat cgroup.kill *' 'write 1 *' 'pread64 *' 'poll *')
sweep fail 0 "${OCI[@]}" delete --force "$ID"
sweep kill 0 "${OCI[@]}" delete --force "$ID"

# Without a cgroup there is only the process to go by.
OCI+=(--cgroup-manager disabled)
sweep fail 0 "${OCI[@]}" delete --force "$ID"
sweep kill 0 "${OCI[@]}" delete --force "$ID"
[ $bad = 0 ]
