# SPDX-License-Identifier: Apache-2.0
# Sourced by the tests of instances: a root filesystem, and what must hold at the end.
# shellcheck shell=bash

set -u
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
BUSYBOX=$(command -v busybox) && ! { ldd "$BUSYBOX" >/dev/null 2>&1; } || { echo "needs busybox-static"; exit 77; }

fail() {
	echo "FAILED: $*"
	exit 1
}

# rootfs DIR: busybox and two users
rootfs() {
	mkdir -p "$1"/{bin,etc,proc,sys,dev,tmp,root,var/www} || exit 1
	cp "$BUSYBOX" "$1/bin/busybox"
	local name
	for name in $("$BUSYBOX" --list); do
		[ "$name" = busybox ] || ln -sf busybox "$1/bin/$name"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/var/www:/bin/sh\n' >"$1/etc/passwd"
	printf 'root:x:0:\nwww:x:33:\nextra:x:44:root,www\n' >"$1/etc/group"
	chmod 1777 "$1/tmp"
}

# want CODE COMMAND...: the exit code is CODE. Standard output goes to `out`, standard error to `err`.
want() {
	local code=$1 got
	shift
	"$@" >out 2>err
	got=$?
	[ $got = "$code" ] || fail "'$*' exits with $got, want $code: $(cat out err)"
}

# said FILE TEXT: the file holds the text
said() {
	grep -qF -- "$2" "$1" || fail "want '$2' in: $(cat "$1")"
}

# soon COMMAND...: it succeeds within five seconds
soon() {
	local try
	for ((try = 0; try < 100; try++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.05
	done
	fail "not within five seconds: $*"
}

field() { # field NAME KEY: a member of what inspect prints
	"$CTR" inspect "$1" | sed -n "s/^ *\"$2\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" | head -n 1
}

# is NAME KEY VALUE: for `soon`
is() {
	[ "$(field "$1" "$2")" = "$3" ]
}

# logged NAME TEXT: for `soon`
logged() {
	"$CTR" logs "$1" 2>&1 | grep -q -- "$2"
}

# Nothing of any instance is left: files, ids, run state, cgroups
nothing_left() {
	local left
	"$CTR" list -q >left-names 2>left-errors || fail "list: $(cat left-errors)"
	left=$(cat left-names left-errors)
	[ -z "$left" ] || fail "instances, or warnings: $left"
	left=$(find "$CTR_ROOT/instances" -mindepth 1 ! -path "$CTR_ROOT/instances/.tmp" 2>/dev/null)
	[ -z "$left" ] || fail "left on disk: $left"
	left=$(find "$CTR_RUN/state" -mindepth 1 ! -path "$CTR_RUN/state/.open" 2>/dev/null)
	[ -z "$left" ] || fail "left in the run state: $left"
	# the table of id ranges: 16 bytes, then a bit each; without its first four it is made anew by the next to need it
	left=0
	[ "$(head -c 4 "$CTR_RUN/idrange" 2>/dev/null | tr -d '\0')" != tid1 ] ||
		left=$(tail -c +17 "$CTR_RUN/idrange" | tr -d '\0' | wc -c)
	[ "$left" = 0 ] || fail "id ranges still taken: $left bytes of the table"
	left=$("$CTR" usage verify 2>&1) || fail "receipts: $left"
	# (cgroups are looked for by contain.c)
}
