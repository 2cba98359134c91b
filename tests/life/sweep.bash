# SPDX-License-Identifier: Apache-2.0
# Sourced by the sweeps: a command is run over and over, each time with another of its system calls failing or being its
# last, and after each time the same must hold.
# shellcheck shell=bash
#
# SWEEP_ALL=1 tries every position, as `make check-long` does; else those scripts that say so leave some out, evenly, to be over
# within a minute. SWEEP_ERRNO=N lets all calls fail with that.

[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
command -v python3 >/dev/null || { echo "needs python3"; exit 77; }
if [ -z "${WITHOUT_INJECT-}" ] && grep -q __asan_init "$CTR_OCI"; then
	echo "a sanitized build: its runtime's own calls would fail, and it cannot look for leaks under ptrace"
	exit 77
fi
if [ -z "${WITHOUT_INJECT-}" ] && grep -q GLIBC "$CTR_OCI"; then
	echo "linked with shared libraries: the calls of their loader would fail, which says so in its own words"
	exit 77
fi
INJECT=$BUILD/tests/life/inject
ROOT=$CTR_RUN/oci
ID=sweep-$$
OCI=("$CTR_OCI" --root "$ROOT")
own_namespaces=$(for k in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$k; done)
cgroup_roots=$(awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") print $5 }' /proc/self/mountinfo)
bad=0

# witness_rootfs DIR: a root file system with the witness in it
witness_rootfs() {
	mkdir -p "$1/bin" "$1/proc" "$1/sys" "$1/dev" && cp "$BUILD/tests/life/witness" "$1/bin/witness"
}

# make_bundle DIR [PYTHON]: all namespaces but user and time, all masks, seccomp, a rootfs with the witness in it; changed as said
# (c is the configuration)
make_bundle() {
	mkdir -p "$1" && witness_rootfs "$1/rootfs" && (cd "$1" && "$CTR_OCI" spec) || exit 1
	# shellcheck disable=SC2086 # one argument each
	python3 - "$1/config.json" "${2-}" $own_namespaces <<-'PY' || exit 1
	import json, sys
	path = sys.argv[1]
	c = json.load(open(path))
	c['process']['terminal'] = False
	c['process']['args'] = ['/bin/witness'] + sys.argv[3:]
	c['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ALLOW',
	                         'syscalls': [{'names': ['reboot'], 'action': 'SCMP_ACT_ERRNO'}]}
	exec(sys.argv[2])
	json.dump(c, open(path, 'w'))
	PY
}

cgroups() { # the directories of this sweep's containers in any cgroup2
	local root
	for root in $cgroup_roots; do
		find "$root" -maxdepth 3 -type d -name "*$ID*" 2>/dev/null
	done
}

complain() {
	printf '%s\n' "$*"
	bad=1
}

# nothing_left WHAT: after `delete --force`
nothing_left() {
	local left
	left=$(cgroups; find "$ROOT" -mindepth 1 ! -name .open 2>/dev/null)
	[ -z "$left" ] || { complain "$1: left behind: $left"; return 1; }
	no_processes_left "$1"
}

no_processes_left() {
	local left i
	for ((i = 0; i < 40; i++)); do # what was killed may be on its way out
		left=$(grep -lsz "^$ID\$" /proc/[0-9]*/cmdline | grep -v "^/proc/$$/" || :)
		[ -n "$left" ] || return 0
		sleep 0.1
	done
	[ -z "$left" ] || { complain "$1: processes left: $left"; return 1; }
}

# is_dead PID: within two seconds, whoever reaps it
is_dead() {
	local i
	for ((i = 0; i < 100; i++)); do
		! grep -qs '^State:[^Z]*$' "/proc/$1/status" && return 0
		sleep 0.02
	done
	return 1
}

# delete_leaves_nothing WHAT: one `delete --force`
delete_leaves_nothing() {
	"${OCI[@]}" delete --force "$ID" >delete 2>&1 || complain "$1: delete: $(cat delete)"
	nothing_left "$1"
}

# What was printed before something failed is what a confined process prints.
as_confined() { # WHAT
	cmp -s out reference || cmp -s <(head -c "$(wc -c <out)" reference) out ||
		complain "$1: confined otherwise: $(diff reference out)"
}

# running_bundle DIR [PYTHON]: its payload goes on for ever, and the container $ID is running
running_bundle() {
	make_bundle "$1" "c['process']['args'] = ['/bin/witness', 'wait']
${2-}" && start_running "$1"
}
start_running() {
	"${OCI[@]}" run -d -b "$1" "$ID" >/dev/null 2>err </dev/null || { cat err; exit 1; }
	first=$("${OCI[@]}" state "$ID" | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')
	cgroup=$(cgroups)
}

# lives WHAT: the running container is as it was, and has no other process
lives() {
	[ "$("${OCI[@]}" state "$ID" 2>&1 | grep -c '"status": "running"')" = 1 ] && kill -0 "$first" 2>/dev/null ||
		complain "$1: the container does not run any more"
	local i
	for ((i = 0; i < 100; i++)); do # who is dying has not left yet
		[ "$(cat "$cgroup/cgroup.procs")" != "$first" ] || return 0
		sleep 0.02
	done
	complain "$1: processes left in the container: $(cat "$cgroup/cgroup.procs")"
}

# no_instances_left WHAT: after any command of ctr: no name, directory, run state, cgroup, range of ids, process
no_instances_left() {
	local left
	"$CTR" list -q >list 2>list-errors || complain "$1: list: $(cat list-errors)"
	left=$(cat list list-errors
		find "$CTR_ROOT/instances" -mindepth 1 ! -path "$CTR_ROOT/instances/.tmp" 2>/dev/null
		find "$CTR_RUN/state" -mindepth 1 ! -path "$CTR_RUN/state/.open" 2>/dev/null
		cgroups
		# the table of id ranges: 16 bytes, then a bit each; without its first four the next to need it makes it anew
		[ "$(head -c 4 "$CTR_RUN/idrange" 2>/dev/null | tr -d '\0')" != tid1 ] ||
			tail -c +17 "$CTR_RUN/idrange" | tr -d '\0' | od -An -tx1)
	[ -z "$left" ] || { complain "$1: left behind: $left"; return 1; }
	no_processes_left "$1"
}

# wait_for_file FILE: five seconds at most
wait_for_file() {
	local i
	for ((i = 0; i < 500; i++)); do
		[ ! -e "$1" ] || return 0
		sleep 0.01
	done
	return 1
}

# Failures that a command may survive, "CALL ARGUMENT (PROCESS)" as inject prints it, each with why that is right. All others
# must make the command fail, or what it did may be less than was asked. A warning is as good: it was noticed.
tolerated=(
	# closed it is all the same
	'close *'
	# asked whether they are terminals; whether standard streams are open
	'ioctl [012] 0x5413 *'
	'ioctl [012] 0x5401 *'
	'poll * 0x3 (ctr?(-oci))'
	# the vDSO tells the same
	'clock_gettime *'
	# libcap finds out by itself, in each program, how many capabilities there are; we drop all until the kernel knows no more
	'prctl 23 *'
	'capget *'
	# malloc has two sources of memory
	'brk *'
	'mmap [1-9]* 0x1000 *'
	# the C library sets close-on-exec again, after open() did; asks for flags in fdopendir()
	'fcntl * 0x2 *'
	'fcntl * 0x3 *'
	# the protection of the program's file: a copy in memory is made where the mount of it fails
	'statfs /proc/self/exe *'
	'execveat *'
	# whether it is an instance of an instance, where less works: else it is not
	'readlink /proc/self/ns/user *'
	# where ctr's other programs lie: else the installed ones are found
	'readlink /proc/self/exe *'
	# descriptors are then marked one by one
	'close_range *'
	# mount(2) does the same; that it is the same is checked; and the other way round
	'mount . *'
	'fsopen *'
	'open_tree *'
	'open_tree_attr *'
	'move_mount *'
	'mount_setattr *'
	# the version is only for `ctr plan --host`
	'uname *'
	# undoing what other commands left: the next command tries again
	'openat .open *'
	'openat .open/* (ctr?(-oci))'
	'getdents64 *'
	'fstat * (ctr?(-oci))'
	'mmap 0 0x2000 (ctr?(-oci))'
	'flock * 0x6 *'
	# locking: the name is looked at in a loop; unlocking is repeated by closing
	'newfstatat .open/*'
	'fstat */.open/*'
	'flock * 0x8 *'
	# a child that has said its all, and is reaped by init as well
	'wait4 *'
	# EPERM is what a user namespace says in which groups are denied, as one that a user without privileges made: nothing is gained there
	'setgroups 0 0 (ctr?(-oci), child)'
	# where the working directory lies: the way up from it is walked then
	'getcwd * (ctr?(-oci), child)'
	# a session of its own: a new child always gets it
	'setsid *'
	# the payload's seccomp filter may refuse that (life.c: die_with_parent)
	'poll * 0x1 (ctr, child)'
	# HOME, where the bundle names none; a process group of a hook's own, which a new child always gets
	'openat /etc/passwd *'
	'setpgid 0 0 (*, child)'
	# whether the process between said anything before its end: only if it was killed would we wait for that in vain
	'poll * 0x1 (ctr)'
	# directories that are there already; whether a name is free, which is asked again when it is taken
	'mkdir *'
	'mkdirat *'
	'faccessat * (ctr)'
	# sweeping up what others left: the next command tries again
	'openat . (ctr)'
	# which machine and init an image is for, if that can be told (images/directory.c); a hint: a bundle is no image
	'openat2 sbin/init (ctr)'
	'openat2 bin/* (ctr)'
	'openat2 usr/bin/env (ctr)'
	'newfstatat config.json (ctr)'
	# whose ids are given back: else the table of ids is made anew by the next command
	'openat config.json (ctr)'
	'read */config.json (ctr)'
	# the table of ids is made anew
	'pread64 */idrange (ctr)'
	# overlay takes its layers by descriptor, or by name
	'fsconfig * 0x5 *'
	# how a process ended is remembered by the kernel as well (Linux 6.15); whether memory ran out is told if it can be
	'waitid 3 *'
	'openat */memory.events (ctr)'
	'read */memory.events (ctr)'
	# the links are held until their bytes were counted: else the sampler knows how many there were
	'read */fdinfo/* (ctr)'
	'open?(at) */fdinfo/* (ctr)'
	'open?(at) */ns/net (ctr)'
	# from the beginning again, when a directory is listed a second time; what is left is noticed then
	'lseek * 0 *'
	# removed one by one, and if that fails as a tree; the cgroup after its processes were killed
	'unlinkat *'
	# it runs where its caller may
	'sched_setaffinity 0 *'
	# controllers that nothing was asked of may be missing
	'open?(at) */cgroup.subtree_control (ctr)'
	'write +* (ctr)'
	# a standard stream may stay the /dev/null that the command was given
	'fstat [012] *'
	'fstat [3-9] */dev/null (ctr, child)'
	'openat /dev/null (ctr, child)'
	'fcntl [3-9] 0x4 (ctr, child)'
)

is_tolerated() { # CALL ARGUMENT (PROCESS)
	local pattern
	for pattern in "${tolerated[@]}"; do
		# shellcheck disable=SC2053
		[[ $1 != $pattern ]] || return 0
	done
	return 1
}

# sweep fail|kill MAX COMMAND...   with the functions
#   prepare			before each run (may be left undefined)
#   check CODE WHAT		after it: `out` and `err` are what it printed
# With may_succeed=never it must always fail. MAX is how many positions are tried at most, 0 for all. INJECT_OPTIONS are inject's.
sweep() {
	local mode=$1 max=$2 total stride n code what hit tried=0 survived=0 how
	local errnos=(5 12 1 28 24) # EIO ENOMEM EPERM ENOSPC EMFILE
	shift 2
	[ -z "${SWEEP_ERRNO-}" ] || errnos=("$SWEEP_ERRNO")
	[ "$(type -t prepare)" = function ] || prepare() { :; }
	prepare
	total=$("$INJECT" "${INJECT_OPTIONS[@]}" -n 1000000 -e 5 "$@" 3>&1 >out 2>err | sed -n 's/^end //p')
	[ "${total:-0}" -gt 20 ] || { complain "cannot count the calls: '$total'"; return 1; }
	[ -n "${may_succeed-}" ] || check 0 "without a failure"
	stride=1
	[ "$max" = 0 ] || [ -n "${SWEEP_ALL-}" ] || stride=$(((total + max - 1) / max))
	for ((n = 1; n <= total; n += stride)); do
		prepare
		if [ "$mode" = kill ]; then how=(-k); else how=(-e "${errnos[n % ${#errnos[@]}]}"); fi
		"$INJECT" "${INJECT_OPTIONS[@]}" -n $n "${how[@]}" "$@" 3>hit >out 2>err
		code=$?
		hit=$(cat hit)
		what="$mode ${how[1]-} at call $hit"
		tried=$((tried + 1))
		case $code in
		124) complain "$what: hangs" ;;
		132 | 134 | 135 | 136 | 139) [ "$mode" = kill ] || complain "$what: crashes ($code)" ;;
		0)
			survived=$((survived + 1))
			[ -z "${may_succeed-}" ] || complain "$what: succeeds"
			case $mode-$hit in
			kill-* | fail-end*) ;;
			*) is_tolerated "${hit#* }" || grep -q '^warning: ' err || complain "$what: goes unnoticed" ;;
			esac
			;;
		*)
			case $mode-$hit in
			kill-* | fail-end*) ;;
			fail-*' write ctr'*) ;; # the error itself
			*) [ "$(grep -c '^ctr[-a-z]*: .' err)" = 1 ] || complain "$what: code $code, not one error but: $(cat err)" ;;
			esac
			;;
		esac
		check $code "$what"
	done
	echo "$mode: $tried of $total calls, $survived times all went well"
}
INJECT_OPTIONS=()
