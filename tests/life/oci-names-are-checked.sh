#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An id that could leave the directory of states is refused by every verb, before anything is looked at.
. "$TESTS/life/oci.bash"

bundle b
mkdir -p "$ROOT" "$CTR_RUN/victim"
touch "$CTR_RUN/victim/state.json"
long=$(printf '%0300d' 0)
for id in '../victim' '..' '.' '' '/' 'a/b' '.open' '.hidden' 'a b' $'a\nb' 'ä' 'a:b' 'a*' "$long" '../../../../../../tmp/x'; do
	for verb in create run state start kill delete 'delete --force' exec ps pause resume; do
		# shellcheck disable=SC2086 # verbs with an option are two words
		case $verb in
		create | run) line=$(oci $verb -b b "$id" 2>&1 >/dev/null </dev/null) && fail "$verb '$id' succeeded" ;;
		exec) line=$(oci $verb "$id" true 2>&1 >/dev/null </dev/null) && fail "$verb '$id' succeeded" ;;
		*) line=$(oci $verb "$id" 2>&1 >/dev/null </dev/null) && fail "$verb '$id' succeeded" ;;
		esac
		contains "container ID" "$line" "$verb '$id'"
	done
done
[ -e "$CTR_RUN/victim/state.json" ] || fail "something outside was removed"
equal "" "$(ls "$ROOT")" "the directory of states"
for id in a A0 x_y x+y x-y x.y 0; do
	oci run -b b "$id" </dev/null || fail "'$id' is a good id"
done
no_traces
