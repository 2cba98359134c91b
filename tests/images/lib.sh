# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Sourced by the life tests of images: . "$TESTS/images/lib.sh"
set -u

fail() {
	echo "FAILED: $*"
	exit 1
}
skip() {
	echo "$*"
	exit 77
}
[ "$(id -u)" = 0 ] || skip 'importing an image takes root'
command -v python3 >/dev/null || skip 'python3 is not installed'

tree() { "$TESTS/images/tree.py" "$@"; }

# The directory to look into for an image's root: root_of ID. An index is mounted, below $CTR_RUN, where mounts may stay.
root_of() {
	local meta=$CTR_ROOT/images/$1/meta.json root at layers
	root=$(sed -n 's/.*"root": "\([0-9a-f]*\)".*/\1/p' "$meta")
	[ ! -d "$CTR_ROOT/roots/$root" ] || {
		echo "$CTR_ROOT/roots/$root"
		return
	}
	at=$CTR_RUN/seen/$root
	mkdir -p "$at"
	mapfile -t layers < <(sed -n 's/^ *"\([0-9a-f]\{64\}\)",\{0,1\}$/\1/p' "$meta")
	mountpoint -q "$at" ||
		"$BUILD/tests/life/mount_index" "$CTR_ROOT/roots/$root" "$at" "${layers[@]/#/$CTR_ROOT/layers/}" >&2
	echo "$at"
}
layer() { root_of "$(ls "$CTR_ROOT/images")"; }
unsee() {
	local at
	for at in "$CTR_RUN"/seen/*; do [ ! -d "$at" ] || umount "$at" 2>/dev/null; done
}

# The store as it is before anything was imported.
store_is_empty() {
	local left
	left=$(cd "$CTR_ROOT" && find . -mindepth 2 ! -path './instances*' ! -path './events*' | head -n 5)
	[ -z "$left" ] || fail "left in the store: $left"
}

tmp_is_empty() {
	local left
	left=$(ls "$CTR_ROOT/tmp")
	[ -z "$left" ] || fail "left below tmp/: $left"
}

# A small root filesystem's tarball: small FILE [CONTENT].
small() {
	rm -rf small.d
	mkdir -p small.d/bin small.d/etc
	printf '#!/bin/false\n' >small.d/bin/sh
	chmod 755 small.d/bin/sh
	printf '%s\n' "${2-small}" >small.d/etc/motd
	tar -C small.d --numeric-owner -cf "$1" .
}

# A host directory that hostile archives are after, and what must not change of it.
outside=$PWD/outside
mkdir -p "$outside"
echo secret >"$outside/secret"
chmod 600 "$outside/secret"
touch -d @5 "$outside/secret" "$outside"
outside_before=$(tree "$outside")

attempt() {
	rm -rf "$CTR_ROOT"
	mkdir -p "$CTR_ROOT"
	"$TESTS/images/hostile.py" "$1" "$outside" >hostile.tar || fail "cannot make $1"
	timeout 30 "$CTR" image import hostile.tar hostile:1 >out 2>err
	rc=$?
	[ "$(tree "$outside")" = "$outside_before" ] || fail "$1 touched the host: $(tree "$outside")"
	tmp_is_empty
}

# refused SHAPE PATTERN: exit 1, one line on standard error that has the pattern, and nothing in the store.
refused() {
	attempt "$1"
	[ $rc = 1 ] || fail "$1: exit status $rc: $(cat out err)"
	[ "$(wc -l <err)" = 1 ] || fail "$1: not one line: $(cat err)"
	grep -qE -- "$2" err || fail "$1: want '$2' in: $(cat err)"
	[ -z "$(tr -d '[:print:]\n' <err)" ] || fail "$1: control characters in the message"
	store_is_empty
}

# imported SHAPE: the archive is taken, with all that it does staying inside; its tree is then in $(layer).
imported() {
	attempt "$1"
	[ $rc = 0 ] || fail "$1: exit status $rc: $(cat err)"
	[ "$(cat "$(layer)/usr/innocent" 2>/dev/null)" = innocent ] || [ "${2-}" = without-innocent ] ||
		fail "$1: the rest of the archive is not there"
}
