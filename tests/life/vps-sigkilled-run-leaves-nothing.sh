#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ctr run` killed at any moment: the payload dies with it, and the next command tidies up.
# timeout: 120
. "$TESTS/life/vps.bash"
rootfs r
RANDOM=7
for ((i = 0; i < 30; i++)); do
	"$CTR" run --rm --name "k$i" r sleep 100 >/dev/null 2>&1 &
	pid=$!
	# from before its first line to well after the payload runs
	sleep "0.$(printf '%03d' $((RANDOM % 60)))"
	kill -9 $pid
	wait $pid 2>/dev/null
	# an id given out again, or two at once, would show here
	[ $((i % 5)) = 0 ] || continue
	"$CTR" list -q >names 2>err || fail "list: $(cat err)"
	[ ! -s names ] || fail "still listed: $(cat names)"
done
for ((i = 0; i < 10; i++)); do
	"$CTR" run -d --rm --name "d$i" r sleep 100 >/dev/null 2>&1 &
	pid=$!
	sleep "0.$(printf '%03d' $((RANDOM % 30)))"
	kill -9 $pid
	wait $pid 2>/dev/null
done
# a detached one whose command was killed either never was or runs
sleep 0.5
"$CTR" list -q >names || fail list
while read -r name; do
	[ "$(field "$name" status)" = running ] || fail "$name is $(field "$name" status)"
	[ "$(field "$name" supervised)" = true ] || fail "$name has no supervisor"
	want 0 "$CTR" stop "$name"
done <names
nothing_left
