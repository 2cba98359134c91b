#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Verbs take lists and patterns, go on after a failure, and say how it went: by exit codes that differ, and as JSON.
. "$TESTS/life/vps.bash"
rootfs r
json() { # json FILTER WANTED: of the file `out`
	local got
	got=$(python3 -c 'import json, sys; d = json.load(open("out")); print(eval(sys.argv[1]))' "$1" 2>&1)
	[ "$got" = "$2" ] || fail "$1 is '$got', not '$2': $(cat out)"
}
for n in a1 a2 a3 b; do want 0 "$CTR" create --name $n r sh -c 'trap "exit 3" TERM; while :; do sleep 0.05; done'; done
want 0 "$CTR" start --json 'a*' b a1
json 'd["version"], [(r["name"], r["result"]) for r in d["results"]]' "(1, [('a1', 'done'), ('a2', 'done'), ('a3', 'done'), ('b', 'done')])"
# what is so already: a note; with --strict a failure of its own code
want 0 "$CTR" start a1 b
[ "$(cat err)" = "'a1' runs already
'b' runs already" ] || fail "$(cat err)"
want 4 "$CTR" start --strict a1
want 0 "$CTR" start --json a1
json 'd["results"][0]["result"], d["results"][0]["note"]' "('unchanged', \"'a1' runs already\")"
# one that is not there does not hide the others
want 3 "$CTR" pause a1 nosuch a2
said err "there is no instance 'nosuch'"
[ "$(field a1 status) $(field a2 status) $(field a3 status)" = 'paused paused running' ] || fail "pause: $(cat out err)"
want 3 "$CTR" pause --json nosuch a3
json '[(r["name"], r["result"], r.get("error", {}).get("code")) for r in d["results"]]' "[('nosuch', 'failed', 'no-such'), ('a3', 'done', None)]"
want 0 "$CTR" pause a1
said err 'is paused already'
want 4 "$CTR" pause --strict a1
want 0 "$CTR" resume -j 1 'a*'
[ "$(field a1 status)" = running ] || fail "resume"
want 0 "$CTR" resume a1
said err 'is not paused'
# codes that differ: not there 3, state 4, wrong line 2; several kinds 1
want 4 "$CTR" rm b
want 1 "$CTR" rm b nosuch
want 2 "$CTR" stop --jobs 0 b
want 2 "$CTR" stop --signal NOSUCH b
# a paused one can be stopped, and hears it
want 0 "$CTR" pause b
want 0 "$CTR" stop b
[ "$(field b code)" = 3 ] || fail "a paused one was not asked: $(field b code)"
want 4 "$CTR" pause b
said err 'does not run'
# restart: another process under the same name, whether it runs or not
before=$(field a1 pid)
want 0 "$CTR" restart a1 b
[ "$(field a1 status) $(field b status)" = 'running running' ] || fail "restart"
[ "$(field a1 pid)" != "$before" ] || fail "restart did nothing"
want 0 "$CTR" run -d --rm --name gone r sleep 100
want 4 "$CTR" restart gone
said err "(--rm)"
[ "$(field gone status)" = running ] || fail "restart of --rm ended it"
# rename
want 4 "$CTR" rename b c
said err 'stop it first'
want 0 "$CTR" stop '*'
want 4 "$CTR" rename b a1
want 2 "$CTR" rename b B
want 3 "$CTR" rename nosuch c
want 0 "$CTR" rename b c
want 0 "$CTR" list -q
[ "$(tr '\n' ' ' <out)" = 'a1 a2 a3 c ' ] || fail "rename: $(cat out)"
want 0 "$CTR" events --type renamed
said out 'from b'
want 0 "$CTR" create --name host r sh -c 'hostname; cat /etc/hostname; cat /etc/hosts'
want 0 "$CTR" rename host guest
want 0 "$CTR" start guest
want 0 "$CTR" wait guest
want 0 "$CTR" logs guest
[ "$(head -n 2 out | tr '\n' ' ')" = 'guest guest ' ] || fail "host name: $(cat out)"
said out $'127.0.1.1\tguest'
# wait: a code a line, in the order of the names; as JSON with the name
want 0 "$CTR" wait c guest
[ "$(tr '\n' ' ' <out)" = '3 0 ' ] || fail "wait: $(cat out)"
want 0 "$CTR" wait --json c
json 'd["results"][0]["code"]' 3
# errors as JSON, for verbs without results too
want 3 "$CTR" inspect --json nosuch
json 'd["version"], d["error"]["code"], d["error"]["exit"]' "(1, 'no-such', 3)"
# -j bounds how many are worked on at a time
for n in 1 2 3 4; do want 0 "$CTR" run -d --name s$n r sh -c 'trap "sleep 0.4; exit" TERM; while :; do sleep 0.05; done'; done
sleep 0.3
began=$(date +%s%N)
want 0 "$CTR" stop -j 1 's*'
one=$((($(date +%s%N) - began) / 1000000))
want 0 "$CTR" start 's*'
sleep 0.3
began=$(date +%s%N)
want 0 "$CTR" stop 's*'
many=$((($(date +%s%N) - began) / 1000000))
[ "$one" -ge 1600 ] && [ "$many" -lt "$one" ] || fail "four that need 0.4 s each: $one ms one by one, $many at once"
# a terminal is asked before something that runs is removed; without one it is refused
want 0 "$CTR" start s1
printf 'n\n' | script -qec "$CTR rm s1" /dev/null >out 2>&1 && fail "removed"
said out 'kill and remove it?'
[ "$(field s1 status)" = running ] || fail "it was killed"
printf 'y\n' | script -qec "$CTR rm s1" /dev/null >out 2>&1 || fail "$(cat out)"
want 3 "$CTR" inspect s1
want 0 "$CTR" rm -f --json '*' nosuch
json 'all(r["result"] == "done" for r in d["results"])' True
nothing_left
