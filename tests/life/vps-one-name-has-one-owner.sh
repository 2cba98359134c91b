#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fifty commands that create, start, stop and remove one name at once: each succeeds or says why not.
# timeout: 120
. "$TESTS/life/vps.bash"
rootfs r
created=0
pids=()
for ((i = 0; i < 50; i++)); do
	"$CTR" create --name x r sleep 100 >"c$i" 2>&1 &
	pids+=($!)
done
for job in "${pids[@]}"; do
	wait "$job" && created=$((created + 1))
done
[ $created = 1 ] || fail "$created of 50 created one name: $(cat c*)"
[ "$(grep -l 'is taken' c* | wc -l)" = 49 ] || fail "$(sort c* | uniq -c)"
started=0
pids=()
for ((i = 0; i < 20; i++)); do
	"$CTR" start x >"s$i" 2>&1 &
	pids+=($!)
done
for job in "${pids[@]}"; do
	wait "$job" && started=$((started + 1))
done
[ $started = 20 ] || fail "start: $(cat s*)"
[ "$(grep -l 'runs already' s* | wc -l)" = 19 ] || fail "$(sort s* | uniq -c)"
want 0 "$CTR" rm -f x
# all at once, ten rounds: no hang, no leftovers, and only these reasons
for ((round = 0; round < 10; round++)); do
	for ((i = 0; i < 5; i++)); do
		"$CTR" run -d --name x r sleep 100 >"w$i-run" 2>&1 &
		"$CTR" stop x >"w$i-stop" 2>&1 &
		"$CTR" start x >"w$i-start" 2>&1 &
		"$CTR" rm -f x >"w$i-rm" 2>&1 &
		"$CTR" list >"w$i-list" 2>&1 &
	done
	wait
done
grep -hvE "^x$|is taken|there is no instance|runs already|does not run|was removed meanwhile|was started meanwhile|^NAME|^x  |^\$" w* >strange
[ ! -s strange ] || fail "$(sort strange | uniq -c)"
want 0 "$CTR" rm -f x
nothing_left
