#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What an instance uses now is shown, of those that run, once or again and again; and its processes, by their numbers inside.
. "$TESTS/life/vps.bash"
rootfs r
want 0 "$CTR" run -d --name busy --net none r sh -c 'while :; do :; done'
want 0 "$CTR" run -d --name idle --net none -u www r sh -c "sleep 1000 & exec sh -c 'sleep 2000; :' '$(printf 'a\033b')'"
want 0 "$CTR" create --name off --net none r true
want 0 "$CTR" stats --no-stream
[ "$(awk '$1 == "busy" { print ($2 > 20) }' out)" = 1 ] || fail "a busy one: $(cat out)"
[ "$(awk '$1 == "idle" { print ($2 < 20) }' out)" = 1 ] || fail "an idle one: $(cat out)"
! grep -q off out || fail 'one that does not run'
want 0 "$CTR" stats --no-stream --json 'b*'
python3 -c 'import json; r = json.load(open("out")); assert len(r) == 1 and r[0]["name"] == "busy" and r[0]["cpu_percent"] > 20' || fail "json: $(cat out)"
timeout 3 "$CTR" stats idle >out
[ "$(grep -c idle out)" -ge 2 ] || fail "again and again: $(cat out)"
want 3 "$CTR" stats nobody
want 0 "$CTR" top idle
[ "$(awk 'NR == 2 { print $1, $3 }' out)" = '1 33' ] || fail "top: $(cat out)"
said out '; : a\033b'
[ "$(wc -l <out)" = 4 ] || fail "three processes: $(cat out)"
want 0 "$CTR" top --json busy
python3 -c 'import json; r = json.load(open("out")); assert r[0]["pid"] == 1 and r[0]["uid"] == 0 and r[0]["host_pid"] > 1 and r[0]["state"] == "R"' || fail "json: $(cat out)"
want 4 "$CTR" top off
want 0 "$CTR" rm -f busy idle off
nothing_left
