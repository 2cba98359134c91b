#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A supervisor that is killed loses nothing: the payload goes on, and can be adopted or stopped.
. "$TESTS/life/vps.bash"
rootfs r
count='i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 42'
want 0 "$CTR" run -d --name a r sh -c "$count"
soon logged a 'line 3'
kill -9 "$(field a supervisor)"
soon is a supervised false
want 0 "$CTR" list
said out 'running, unsupervised'
[ "$(field a status)" = running ] || fail "the payload died with its supervisor"
sleep 0.3
want 0 "$CTR" start a
said err 'has a new one'
[ "$(field a supervised)" = true ] || fail "not adopted"
want 0 "$CTR" wait a
# before Linux 6.15 only the parent learns it, and that was the dead supervisor
code=42
[ "$(printf '%s\n' 6.15 "$(uname -r)" | sort -V | head -n 1)" = 6.15 ] || code=unknown
[ "$(cat out)" = $code ] || fail "the exit code is lost: $(cat out)"
"$CTR" logs a >log
[ "$(grep -c '^line' log)" = 40 ] && [ "$(sort -u log | wc -l)" = 40 ] || fail "lines are lost: $(cat log)"
[ $code = unknown ] || [ "$(field a code)" = 42 ] || fail "the record is lost"
want 0 "$CTR" rm a

# more than a pipe holds is written while nobody reads: the payload waits, and nothing is lost
want 0 "$CTR" run -d --name a r sh -c 'echo begin; while [ ! -e /tmp/go ]; do sleep 0.05; done; i=0; while [ $i -lt 5000 ]; do echo "$i 0123456789012345678901234567890123456789"; i=$((i+1)); done; echo end'
soon logged a 'begin'
kill -9 "$(field a supervisor)"
soon is a supervised false
want 0 "$CTR" exec a touch /tmp/go
sleep 1
[ "$(field a status)" = running ] || fail "a full pipe killed the payload"
want 0 "$CTR" start a
want 0 "$CTR" wait a
[ "$("$CTR" logs a | wc -l)" = 5002 ] || fail "lines lost: $("$CTR" logs a | wc -l) of 5002"
want 0 "$CTR" rm a

# it ends while nobody watches
want 0 "$CTR" run -d --name a r sh -c 'while [ ! -e /tmp/go ]; do sleep 0.05; done; exit 5'
kill -9 "$(field a supervisor)"
soon is a supervised false
want 0 "$CTR" exec a touch /tmp/go
soon is a status stopped
want 125 "$CTR" exec a true
said err "does not run"
want 0 "$CTR" start a
want 0 "$CTR" rm -f a

# it can be stopped, and removed, without being adopted
want 0 "$CTR" run -d --name a r sleep 100
kill -9 "$(field a supervisor)"
want 0 "$CTR" stop a
[ "$(field a status)" = stopped ] || fail "not stopped: $(field a status)"
[ $code = unknown ] || [ "$(field a code)" = 137 ] || fail "its end is not recorded: $(field a code)"
want 0 "$CTR" rm a
want 0 "$CTR" run -d --rm --name a r sleep 100
kill -9 "$(field a supervisor)"
want 0 "$CTR" rm -f a
# it is killed in the middle of its last work
for ((i = 0; i < 10; i++)); do
	want 0 "$CTR" run -d --rm --name "b$i" r sleep 100
	supervisor=$(field "b$i" supervisor)
	"$CTR" kill "b$i"
	sleep "0.00$((i % 10))"
	kill -9 "$supervisor" 2>/dev/null
	sleep 0.05
	"$CTR" rm -f "b$i" 2>err || fail "rm after a kill: $(cat err)"
done
nothing_left
