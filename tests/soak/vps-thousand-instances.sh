#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A thousand detached instances: all run, all are found again, all go, and nothing stays.
# timeout: 900
. "$TESTS/life/vps.bash"
N=${N:-1000}
rootfs r
for ((i = 0; i < N; i++)); do
	"$CTR" run -d --name "n$i" r sleep 100000 >out 2>err || fail "n$i: $(cat err)"
done
want 0 "$CTR" list -q --running
[ "$(wc -l <out)" = "$N" ] || fail "$(wc -l <out) of $N run"
pids=$("$CTR" inspect '*' | sed -n 's/^ *"supervisor": \([0-9]*\),*$/\1/p')
[ "$(echo "$pids" | wc -l)" = "$N" ] || fail "supervisors are missing"
# shellcheck disable=SC2046 # a number each
usage() { cat $(printf '/proc/%s/stat ' $pids) | awk '{ t += $14 + $15 } END { print t + 0 }'; }
before=$(usage)
sleep 10
[ $(($(usage) - before)) -le 10 ] || fail "idle supervisors used $(($(usage) - before)) of 1000 ticks of a core"
want 0 "$CTR" stop '*'
want 0 "$CTR" list -q --running
[ ! -s out ] || fail "still running: $(head -n 5 out)"
want 0 "$CTR" start '*'
want 0 "$CTR" rm -f '*'
nothing_left
