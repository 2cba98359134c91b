#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# CVE-2024-21626: no descriptor of ours, or of our caller's, reaches the payload, neither open nor by way of a working directory.
. "$TESTS/life/oci.bash"

count='ls /proc/self/fd | wc -l'
bundle b "sh('$count; exec sleep 60')"
exec 7</etc 8</ 9</proc/self/ns/mnt # what a careless caller leaks
oci run -d -b b "$ID" >out </dev/null || fail "run"
until_true test -s out
equal 4 "$(cat out)" "descriptors of run: three, and that of ls" # the redirections of this script
equal 4 "$(oci exec "$ID" sh -c "$count" </dev/null)" "descriptors of exec"
oci exec "$ID" sh -c 'ls -l /proc/self/fd/ /proc/1/fd/' </dev/null 2>/dev/null | grep -vE ' [012] -> ' |
	grep -E -- '-> (/etc|/|.*cgroup.*|.*memfd.*|.*ctr.*|mnt:.*)$' && fail "something of the host"

# --preserve-fds passes exactly those on
exec 3</etc/hostname
equal 5 "$(oci exec --preserve-fds 1 "$ID" sh -c "$count" </dev/null)" "with --preserve-fds 1"
# those that are not open are not passed on, nor is one of ours that has their number
exec 3<&-
bare() { python3 -c 'import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))' "$@"; } # without the descriptors of this script
bare "$CTR_OCI" --root "$ROOT" exec --preserve-fds 20 "$ID" sh -c "$count" </dev/null >out 2>err || fail "$(cat err)"
equal 4 "$(cat out)" "with descriptors to be preserved that are not open"
contains "20 of the descriptors that are to be preserved are not open" "$(cat err)" "a warning"
oci delete --force "$ID"

# a working directory through a descriptor: of ours, whatever its number, or of the caller's
echo "the host's own" >host-marker
exec 7<.
for fd in 3 4 5 6 7 8 9 10 11 12 13 14 15; do
	for cwd in /proc/self/fd/$fd /proc/1/fd/$fd /proc/thread-self/fd/$fd; do
		change b "c['process']['cwd'] = '$cwd'; sh('pwd; ls -A . ..; cat host-marker; ls -A /proc/self/cwd/../../../etc')"
		for preserve in 0 20; do
			out=$(oci run --preserve-fds $preserve -b b "$ID" 2>&1 7<&- </dev/null)
			lacks "the host's own" "$out" "cwd $cwd, $preserve preserved"
			lacks passwd "$out" "cwd $cwd, $preserve preserved"
			no_traces
		done
	done
done
change b "c['process']['cwd'] = '/'; c['process']['args'] = ['/bin/sleep', '60']"
oci run -d -b b "$ID" >/dev/null </dev/null || fail "run"
for fd in 3 4 5 6 7 8 9 10 11 12; do
	out=$(oci exec --cwd /proc/self/fd/$fd "$ID" sh -c 'ls -A . ..; cat host-marker' 2>&1 </dev/null)
	lacks "the host's own" "$out" "exec --cwd /proc/self/fd/$fd"
	lacks passwd "$out" "exec --cwd /proc/self/fd/$fd"
done
oci delete --force "$ID"

# nor through one that is passed on; a filter of the payload's that refuses getcwd(2) makes no difference
exec 3<.
for filter in '' "c['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': [{'names': ['getcwd'], 'action': 'SCMP_ACT_ERRNO'}]}"; do
	change b "c['process']['cwd'] = '/proc/self/fd/3'; sh('cat host-marker'); $filter"
	refused oci run --preserve-fds 1 -b b "$ID"
	contains "is outside of the container" "$REFUSAL" "a passed descriptor as working directory${filter:+ with a filter}"
	change b "c['process']['cwd'] = '/bin'; sh('[ -x ./sh ] && echo there')"
	equal there "$(oci run -b b "$ID" </dev/null)" "a working directory inside${filter:+ with a filter}"
done
no_traces
