#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each system call of `ctr run -d`, of the supervisor, of `stop`, `logs` and `rm` fails, or is the last of its process: the payload
# is as confined as ever or not started, and `rm -f` then leaves nothing.
# timeout: 900
. "$TESTS/life/sweep.bash"

witness_rootfs rootfs
cat >all <<'SH'
ctr=$1 id=$2
shift 2
$ctr run -d --name "$id" ./rootfs -- /bin/witness wait "$@" >/dev/null && $ctr stop "$id" && $ctr logs "$id" && $ctr rm "$id"
code=$?
# in case it still runs: nobody else would end it
[ $code = 0 ] || $ctr rm -f "$id" 2>/dev/null
exit $code
SH
# shellcheck disable=SC2206 # one argument each
command=(bash all "$CTR" "$ID" $own_namespaces)
"${command[@]}" >reference 2>err || { cat err; exit 1; }
no_instances_left "the first run"

check() {
	if grep -q 'bytes of output were lost' out err; then
		: # the log says so itself
	elif [ "$1" != 0 ] && [[ $2 = *' writev 1 '* ]]; then
		: # what `logs` prints has a gap then, and it fails
	elif [[ $2 = *' dup2 '* ]]; then
		as_confined "$2" # a supervisor that cannot be is as good as killed
	elif [ "$1" = 0 ] && [[ $2 != kill* ]]; then
		cmp -s out reference || complain "$2: confined otherwise: $(diff reference out)"
	else
		as_confined "$2"
	fi
	"$CTR" list >list 2>&1 || complain "$2: list: $(cat list)"
	! grep -q "^$ID " list || "$CTR" rm -f "$ID" >removed 2>&1 || complain "$2: rm: $(cat removed)"
	no_instances_left "$2"
}
# The supervisor ("exe" until it has given itself a name) tries again what it does first and at the end, and what its log has lost is
# in the log; nobody hears of the rest. It watches the payload in a loop, in which each call comes again.
tolerated+=('* (exe)' 'ppoll *' 'read * */stdout (ctr)' 'read * */stderr (ctr)' 'write *Z std*' 'openat log (ctr)' 'ioctl 4 0x5413 *' 'sendto *' 'execve /proc/self/exe *'
	'dup2 [1-9][0-9] 0x[345] (ctr, child)' 'prctl 41 *' 'fcntl [0-9] 0x1 (ctr)'
	'flock * (ctr)' 'openat sweep-* (ctr)' 'newfstatat sweep-* (ctr)' 'openat journal (ctr)' 'read */journal (ctr)'
	'openat state.json (ctr)' 'read */state.json (ctr)' 'fstat * (ctr)' 'write {"code":*' 'renameat .exit.*' 'openat .exit.*' 'fsync *'
	'openat usage (ctr)' 'openat receipt (ctr)' 'open?(at) */usage (ctr)' 'openat 00000? (ctr)' 'pread64 */usage/* (ctr)' 'write {"seq":*' 'openat */cpu.stat (ctr)' 'openat */io.stat (ctr)' 'openat */memory.* (ctr)' 'read */cpu.stat (ctr)'
	'openat /proc/self/fdinfo/* (ctr)' 'socket 1 0x80801 (ctr)' 'bind *' 'listen *'
	'mmap 0 * (ctr)' 'open?(at) /proc/*/stat (ctr)' 'read */proc/* (ctr)' 'pidfd_open *' 'close *')
# stop asks the image for its signal, and else sends SIGTERM; and kills who does not hear it
tolerated+=('access */run/mounts (ctr)' 'openat version (ctr)' 'read */version (ctr)' 'fstatfs * (ctr)' 'open?(at) */root (ctr)' 'open?(at) */rootfs (ctr)' 'newfstatat etc (ctr)' 'openat lock (ctr)'
	'readlink /* (ctr)' 'pidfd_send_signal *' 'openat /proc/*/status (ctr)')
# what only hints at names and restarts, or tells of what went before; its own clocks, once the command has been told (launch.c)
tolerated+=('openat names (ctr)' 'openat restarts/* (ctr)' 'open?(at) */events (ctr)' 'write {"time":* (ctr)' 'faccessat2 log.1 (ctr)' 'faccessat2 */stopping (ctr)'
	'open?(at) /proc/self/ns/time (ctr, child)' 'setns * 0x80 (ctr, child)')

# shellcheck disable=SC2034 # used by sweep.bash
INJECT_OPTIONS=(-p "$CTR" -t 20)
sweep fail 150 "${command[@]}"
sweep kill 150 "${command[@]}"
[ $bad = 0 ]
