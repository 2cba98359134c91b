#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# create, start, stop, kill, wait, rm: idempotent where that makes sense, by name and by pattern, never a hang.
. "$TESTS/life/vps.bash"
rootfs r
want 0 "$CTR" create --name a r sh -c 'trap "echo bye; exit 4" TERM; while :; do sleep 0.05; done'
[ "$(cat out)" = a ] || fail "create prints the name: $(cat out)"
[ "$(field a status)" = created ] || fail "it is $(field a status)"
want 4 "$CTR" create --name a r true
said err "the name 'a' is taken"
want 125 "$CTR" run --name a r true
want 0 "$CTR" stop a
said err 'does not run'
want 4 "$CTR" kill a
want 3 "$CTR" wait a
want 0 "$CTR" start a
want 0 "$CTR" start a
said err 'runs already'
want 4 "$CTR" rm a
said err 'stop it first'
"$CTR" wait a >waited &
sleep 0.1
want 0 "$CTR" stop a
wait $!
[ "$(cat waited)" = 4 ] || fail "wait: $(cat waited)"
[ "$(field a code)" = 4 ] || fail "the payload was not asked: $(field a code)"
want 0 "$CTR" stop a
said err 'does not run'
want 0 "$CTR" wait a
[ "$(cat out)" = 4 ] || fail "wait after the end"
"$CTR" logs a | grep -q bye || fail "its last words are lost"
# a payload that is deaf to the signal is killed, at once if it has no handler, after --time if it ignores us
want 0 "$CTR" run -d --name deaf r sleep 100
sleep 2.1
began=$SECONDS
want 0 "$CTR" stop deaf
[ $((SECONDS - began)) -le 3 ] || fail "stop of a payload without handler took $((SECONDS - began)) s"
want 0 "$CTR" run -d --name stubborn r sh -c 'trap "echo no" TERM; while :; do sleep 0.05; done'
began=$SECONDS
want 0 "$CTR" stop --time 1 stubborn
[ $((SECONDS - began)) -le 4 ] || fail "stop --time 1 took $((SECONDS - began)) s"
[ "$(field stubborn code)" = 137 ] || fail "stubborn: $(field stubborn code)"
want 0 "$CTR" run -d --name polite --stop-signal USR1 r sh -c 'trap "exit 9" USR1; while :; do sleep 0.05; done'
want 0 "$CTR" stop polite
[ "$(field polite code)" = 9 ] || fail "--stop-signal: $(field polite code)"
# one with children that outlive it
want 0 "$CTR" run -d --name family r sh -c '(trap : TERM HUP; while :; do sleep 0.05; done) & exec sleep 100'
want 0 "$CTR" kill family
want 0 "$CTR" wait family
# patterns
want 0 "$CTR" list -q 's*' 'd*'
[ "$(tr '\n' ' ' <out)" = 'deaf stubborn ' ] || fail "list by pattern: $(cat out)"
want 0 "$CTR" start 'd*' stubborn
want 0 "$CTR" list -q --running
[ "$(tr '\n' ' ' <out)" = 'deaf stubborn ' ] || fail "list --running: $(cat out)"
want 0 "$CTR" rm -f '*'
want 0 "$CTR" rm -f nosuch 'z*'
want 3 "$CTR" rm nosuch
said err "there is no instance 'nosuch'"
want 3 "$CTR" start nosuch
want 1 "$CTR" stop ../x
said err 'is not a name'
# `start` of what cannot start fails, tells why, and can be repeated
want 0 "$CTR" create --name broken r true
rm r/bin/true
want 1 "$CTR" start broken
said err "executable file 'true' not found"
want 1 "$CTR" start broken
want 0 "$CTR" rm broken
nothing_left
