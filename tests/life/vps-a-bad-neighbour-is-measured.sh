#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ctr selftest noisy` measures a victim alone and beside neighbours, lets none loose that nothing holds back, and leaves nothing;
# where there are limits a fork bomb and a memory hog cost the victim little.
# timeout: 180
. "$TESTS/life/vps.bash"
grep -q __asan_init "$CTR" && { echo "a sanitized build: its victim is ctr itself, alone in a root, and needs no library"; exit 77; }
grep -q GLIBC "$CTR" && { echo "linked with shared libraries, which its victim, ctr itself alone in a root, does not have"; exit 77; }
export TMPDIR=$PWD
want 0 "$CTR" selftest noisy --seconds 1
[ "$(wc -l <out)" = 6 ] || fail "$(cat out)"
grep -qE '^nobody .* 1\.00   1\.00' out || fail "$(cat out)"
grep -qE '^burner +256 busy processes +[0-9.]+ +[0-9.]+' out || fail "$(cat out)"
at=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
if grep -qw pids "$at/cgroup.controllers" 2>/dev/null; then
	grep -qE '^forker .* limited$' out || fail "it is not limited: $(cat out)"
	awk '$1 == "forker" || $1 == "hog" { if ($(NF - 1) > 20) exit 1 }' out || fail "limits do not help: $(cat out)"
else
	grep -q '^forker .* not let loose' out || fail "a fork bomb, and nothing holds it back: $(cat out)"
fi
want 0 "$CTR" selftest noisy --seconds 1 --json
python3 -c 'import json, sys; r = json.load(open("out"))["results"]; assert len(r) == 5 and all(x["p99_us"] > 0 for x in r if x["measured"]), r' || fail "$(cat out)"
# Ctrl-C
"$CTR" selftest noisy --seconds 2 >out 2>err &
soon "$CTR" inspect selftest-neighbour
kill -INT $!
wait $! && fail "an interrupted one exits with 0"
[ -z "$(ls -d /tmp/ctr-selftest-* 2>/dev/null)" ] || fail "its root is left: $(ls -d /tmp/ctr-selftest-*)"
nothing_left
