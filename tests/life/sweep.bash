# SPDX-License-Identifier: Apache-2.0
# Sourced by the sweeps: a bundle whose payload tells how it is confined, and what must hold after each failure.
# shellcheck shell=bash

[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
INJECT=$BUILD/tests/life/inject
ROOT=$CTR_RUN/oci
ID=sweep-$$
OCI=("$CTR_OCI" --root "$ROOT")
own_namespaces=$(for k in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$k; done)

# make_bundle DIR [PYTHON]: all namespaces but user and time, all masks, seccomp, a rootfs with the witness in it; changed as said
# (c is the configuration)
make_bundle() {
	mkdir -p "$1/rootfs/bin" "$1/rootfs/proc" "$1/rootfs/sys" "$1/rootfs/dev"
	cp "$BUILD/tests/life/witness" "$1/rootfs/bin/witness"
	(cd "$1" && "$CTR_OCI" spec) || exit 1
	# shellcheck disable=SC2086 # one argument each
	python3 - "$1/config.json" "${2-}" $own_namespaces <<-'PY' || { echo "needs python3"; exit 77; }
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
	awk '$9 == "cgroup2" || $8 == "cgroup2" { print $5 }' /proc/self/mountinfo | while read -r m; do
		find "$m" -maxdepth 3 -type d -name "*$ID*" 2>/dev/null
	done
}

# nothing_left WHAT: after `delete --force`
nothing_left() {
	local left
	left=$(cgroups; find "$ROOT" -mindepth 1 ! -name .open 2>/dev/null)
	[ -z "$left" ] || { echo "$1: left behind: $left"; return 1; }
	left=$(grep -lsz "^$ID\$" /proc/[0-9]*/cmdline | grep -v "^/proc/$$/" || :)
	[ -z "$left" ] || { echo "$1: processes left: $left"; return 1; }
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
