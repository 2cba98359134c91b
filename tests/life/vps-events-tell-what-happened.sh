#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whatever is done to an instance, and its end, is told once and in order: afterwards, and to those who follow.
. "$TESTS/life/vps.bash"
rootfs r
"$CTR" events -f --json 'w*' >followed &
follower=$!
trap 'kill "$follower" 2>/dev/null' EXIT
soon test -d "$CTR_ROOT/events"
sleep 0.3
want 0 "$CTR" create --name web r sh -c 'exit 7'
want 0 "$CTR" start web
soon is web status stopped
want 0 "$CTR" rm web
want 3 "$CTR" run --rm --name once r sh -c 'exit 3'
want 0 "$CTR" run -d --name web r sleep 100
want 0 "$CTR" rm -f web
told() { # told NAME: the events, in order
	"$CTR" events "$1" | awk '{ printf "%s ", $3 }'
}
[ "$(told web)" = 'created started died removed created started died removed ' ] || fail "web: $(told web)"
[ "$(told once)" = 'created started died removed ' ] || fail "once: $(told once)"
want 0 "$CTR" events --type died web
[ "$(wc -l <out)" = 2 ] || fail "--type: $(cat out)"
said out 'code 7'
said out 'code 137 (signal 9)'
want 0 "$CTR" events --since 2h --until 1h
[ ! -s out ] || fail "--until: $(cat out)"
want 0 "$CTR" events --since 1h --type created
[ "$(wc -l <out)" = 3 ] || fail "--since: $(cat out)"
want 2 "$CTR" events --type dide
said err "did you mean 'died'?"
want 2 "$CTR" events --since yesterday
want 0 "$CTR" events --json --type died web
head -n 1 out | grep -q '^{"version":1,"time":".*Z","event":"died","name":"web","pid":[0-9]*,"code":7}$' || fail "JSON: $(cat out)"
# who follows has seen the same, and ends when nobody reads
count() { [ "$(wc -l <followed)" = "$1" ]; }
soon count 8
grep -q '"name":"once"' followed && fail "the pattern was not heeded: $(cat followed)"
kill "$follower"
wait "$follower"
"$CTR" events -f | head -n 1 >/dev/null
# also across a rotation
"$CTR" events -f --type created >followed &
follower=$!
trap 'kill "$follower" 2>/dev/null' EXIT
count_at_least() { [ "$(wc -l <followed)" -ge "$1" ]; }
soon count_at_least 3
truncate -s 4194304 "$CTR_ROOT/events/journal"
want 0 "$CTR" create --name later r true
want 0 "$CTR" rm later
grep -q later "$CTR_ROOT/events/journal" || fail "not rotated: $(ls -l "$CTR_ROOT/events")"
[ -s "$CTR_ROOT/events/journal.1" ] || fail "the old journal is gone"
soon grep -q later followed
kill "$follower"
wait "$follower"
# a journal that cannot be written is warned of, and stops nothing
rm -r "$CTR_ROOT/events" && : >"$CTR_ROOT/events"
want 0 "$CTR" create --name mute r true
said err "the event 'created' of 'mute' is lost"
rm "$CTR_ROOT/events"
want 0 "$CTR" rm mute
nothing_left
