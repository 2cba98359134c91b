#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
# What ends is started again as its policy says, and not against a stop; a health check tells, and acts; what others need is
# started and ready first.
. "$TESTS/life/vps.bash"
rootfs r
starts() { grep -c " started " <("$CTR" events "$1" 2>/dev/null); }
is_at_least() { [ "$(starts "$1")" -ge "$2" ]; }

# on failure, so many times, with pauses that grow
want 0 "$CTR" run -d --name f --restart on-failure:2 --net none r false
soon is f status stopped
sleep 0.2
[ "$(starts f)" -lt 4 ] || fail 'no pause'
soon is_at_least f 3
soon is f status stopped
sleep 1
[ "$(starts f)" = 3 ] || fail "started $(starts f) times, want 3"
is f status stopped || fail "$(field f status)"
# not after success; and always is always
want 0 "$CTR" run -d --name g --restart on-failure --net none r true
want 0 "$CTR" run -d --name a --restart always --net none r true
soon is_at_least a 3
[ "$(starts g)" = 1 ] || fail "success is no failure: $(starts g)"
# a stop of what waits for its next start is a stop
soon is a status restarting
want 0 "$CTR" stop a
is a status stopped || fail "$(field a status)"
n=$(starts a)
sleep 1
[ "$(starts a)" = "$n" ] || fail 'started against a stop'
want 4 "$CTR" stop --strict a
# and so is one of what runs; a kill is none
want 0 "$CTR" run -d --name k --restart always --net none r sleep 1000
want 0 "$CTR" kill k
soon is_at_least k 2
soon is k status running
want 0 "$CTR" stop -t 0 k
sleep 0.5
is k status stopped || fail "$(field k status)"
want 0 "$CTR" start k
want 0 "$CTR" restart -t 0 k
is k status running || fail "$(field k status)"
# changed while it runs
want 0 "$CTR" set k restart=no
want 0 "$CTR" kill k
soon is k status stopped
sleep 0.3
is k status stopped || fail 'the policy of before'
# the one that waits is killed: nothing starts, and a start works
want 0 "$CTR" set k restart=always
want 0 "$CTR" start k
want 0 "$CTR" run -d --name w --restart always --net none r sh -c 'exit 3'
soon test -s "$CTR_RUN/restarts/w"
for _ in 1 2 3 4 5; do
	pid=$(cut -d' ' -f1 "$CTR_RUN/restarts/w" 2>/dev/null) && kill -9 "$pid" 2>/dev/null && break
	sleep 0.05
done
soon is w status stopped
want 0 "$CTR" start w
soon is_at_least w 2
# removed while it waits
soon is w status restarting
want 0 "$CTR" rm -f w k a f g
want 125 "$CTR" run --rm --restart always --net none r true
said err 'restart: what is removed when it ends'
want 125 "$CTR" run --restart sometimes --net none r true
[ -z "$(ls "$CTR_RUN/restarts" 2>/dev/null)" ] || fail "left: $(ls "$CTR_RUN/restarts")"

# health
want 0 "$CTR" run -d --name h --health-cmd 'test -e /well' --health-interval 1 --health-retries 2 --net none r sleep 1000
is h health starting || soon is h health starting
want 0 "$CTR" exec h touch /well
soon is h health healthy
want 0 "$CTR" exec h rm /well
soon is h health unhealthy
want 0 "$CTR" events h
said out unhealthy
want 0 "$CTR" stop -t 0 h
want 0 "$CTR" set h health-action=restart
want 0 "$CTR" start h
soon is_at_least h 3
want 0 "$CTR" rm -f h
want 0 "$CTR" run -d --name slow --health-cmd 'sleep 100' --health-timeout 1 --health-interval 1 --health-retries 1 --health-action stop --net none r sleep 1000
soon is slow status stopped
want 0 "$CTR" events slow
said out 'takes too long'
want 0 "$CTR" rm slow

# ready, and after
want 0 "$CTR" create --name db --net none --ready 'exec:test -e /ready' r sh -c 'sleep 0.5; touch /ready; exec sleep 1000'
want 0 "$CTR" run -d --name app --after db --net none r sleep 1000
is db status running || fail 'what is needed does not run'
want 0 "$CTR" exec db test -e /ready
want 0 "$CTR" stop -t 0 app db
want 0 "$CTR" set db after=app
want 1 "$CTR" start app
said err 'a circle'
want 0 "$CTR" unset db after
want 0 "$CTR" set app after=nobody
want 3 "$CTR" start app
said err "after 'nobody'"
want 0 "$CTR" unset app after
# with the host, in turn
want 0 "$CTR" set db autostart=1
want 0 "$CTR" set app autostart=2
want 0 "$CTR" create --name other --net none r sleep 1000
want 0 "$CTR" autostart
is app status running || fail 'app'
is other status created || fail 'other'
want 0 "$CTR" events --json
python3 - <<'P' || fail "order: $(cat out)"
import json
e = [json.loads(l) for l in open("out") if l.strip()]
s = [x["name"] for x in e if x["event"] == "started"][-2:]
assert s == ["db", "app"], s
P
want 0 "$CTR" autostart
want 0 "$CTR" stop -t 0 '*'
want 0 "$CTR" rm -f '*'
nothing_left
