# SPDX-License-Identifier: Apache-2.0
# Sourced by oci-*.sh: bundles, a container's id, and words for what is expected. A script says `. oci.bash`, makes bundles with
# `bundle DIR 'c[...] = ...'` (Python, c is the config.json that `ctr-oci spec` writes), and calls `oci`.
# shellcheck shell=bash

skip() { echo "$*"; exit 77; }
fail() { echo "$*"; exit 1; }
[ "$(id -u)" = 0 ] || skip "needs root"
command -v python3 >/dev/null || skip "needs python3"
BUSYBOX=$(command -v busybox) || skip "needs busybox-static"

ROOT=$CTR_RUN/oci
ID=$TEST_NAME-$$
oci() { "$CTR_OCI" --root "$ROOT" "$@"; }
trap 'for id in $(oci list -q 2>/dev/null); do oci delete --force "$id"; done' EXIT

# A root file system of busybox alone. The second one and those after it are copies.
rootfs() {
	local a
	if ! [ -d .rootfs ]; then
		mkdir -p .rootfs/bin .rootfs/proc .rootfs/sys .rootfs/dev .rootfs/tmp .rootfs/etc && cp "$BUSYBOX" .rootfs/bin/busybox
		for a in sh true false sleep cat ls id echo env stat head grep sed tr wc kill touch mkdir mknod mount umount \
			readlink hostname tty stty ps test ln rm date chmod sort awk; do
			echo "$a"
		done | xargs -I{} ln -sf busybox .rootfs/bin/{}
	fi
	cp -a .rootfs "$1"
}

# change DIR PYTHON: edits DIR/config.json
change() {
	python3 - "$1/config.json" "$2" <<-'PY' || fail "cannot edit the configuration"
	import json, sys
	c = json.load(open(sys.argv[1]))
	def sh(text):
	    c['process']['args'] = ['/bin/sh', '-c', text]
	def mount(destination, **more):
	    c['mounts'].append({'destination': destination, **more})
	def no_mount(destination):
	    c['mounts'] = [m for m in c['mounts'] if m['destination'] != destination]
	def namespaces(*types):
	    c['linux']['namespaces'] = [{'type': t} for t in types]
	exec(sys.argv[2])
	json.dump(c, open(sys.argv[1], 'w'), indent=1)
	PY
}

# bundle DIR [PYTHON]: a bundle that runs /bin/true without a terminal, changed as said
bundle() {
	rm -rf "$1" && mkdir -p "$1" && rootfs "$1/rootfs" && oci spec -b "$1" || fail "cannot make a bundle"
	change "$1" "c['process']['terminal'] = False; c['process']['args'] = ['/bin/true']
${2-}"
}

# equal WANTED TEXT WHAT
equal() { [ "$2" = "$1" ] || fail "$3: got '$2', wanted '$1'"; }
contains() { case $2 in *"$1"*) ;; *) fail "$3: '$2' does not contain '$1'" ;; esac; }
lacks() { case $2 in *"$1"*) fail "$3: '$2' contains '$1'" ;; esac; }

# refused COMMAND...: it fails with one line on standard error, which is in $REFUSAL, and leaves no container
refused() {
	local rc
	REFUSAL=$("$@" 2>&1 >/dev/null </dev/null)
	rc=$?
	[ $rc != 0 ] || fail "succeeded: $*"
	[ $rc -lt 128 ] || [ $rc = 255 ] || fail "status $rc: $*" # 255: exec
	[ -n "$REFUSAL" ] || fail "says nothing: $*"
	equal 1 "$(printf '%s\n' "$REFUSAL" | grep -cv '^usage:')" "lines of the error '$REFUSAL'"
}

# what is known of containers, besides the containers expected
no_traces() {
	local left
	left=$(find "$ROOT" -mindepth 1 ! -name .open 2>/dev/null)
	[ -z "$left" ] || fail "${1:-left behind}: $left"
	left=$(awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") print $5 }' /proc/self/mountinfo |
		while read -r m; do find "$m" -maxdepth 3 -type d -name "*$ID*" 2>/dev/null; done)
	[ -z "$left" ] || fail "${1:-left behind}: $left"
}

status() { oci state "$1" | sed -n 's/.*"status": "\(.*\)".*/\1/p'; }
pid_of() { oci state "$1" | sed -n 's/.*"pid": \([0-9]*\).*/\1/p'; }

# until COMMAND...: at most five seconds
until_true() {
	local i
	for ((i = 0; i < 100; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	fail "not within five seconds: $*"
}
is_status() { [ "$(status "$1")" = "$2" ]; }
# A created container's standard streams must not be pipes that this script waits for.
create() { oci create "$@" >/dev/null 2>create.err </dev/null || fail "create: $(cat create.err)"; }
