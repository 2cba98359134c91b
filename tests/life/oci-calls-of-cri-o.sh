#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# CRI-O is not packaged: the calls that it makes itself and through conmon are made here, with the words it uses, and read as it reads them.
. "$TESTS/life/oci.bash"
log=$PWD/oci.log
r() { "$CTR_OCI" --root="$ROOT" "$@"; }
json() { python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"; }

# at its start: what the runtime can
r features | json "d['ociVersionMin'], d['ociVersionMax'], 'bind' in d['mountOptions'], d['linux']['cgroup']['v2']" >got || fail features
grep -q "^1.0.0 1\.[2-9].* True True$" got || fail "features: $(cat got)"

# conmon: create with a pid file, the log as JSON, its own sync pipe and the container's streams
bundle b "sh('trap \"exit 7\" TERM; echo began; while :; do sleep 0.05; done')"
"$CTR_OCI" --root="$ROOT" --log="$log" --log-format=json create --bundle "$PWD/b" --pid-file "$PWD/pidfile" "$ID" >out 2>err </dev/null || fail "create: $(cat err)"
[ "$(cat pidfile)" = "$(pid_of "$ID")" ] || fail "pid file: $(cat pidfile)"
r state "$ID" | json "d['status'], d['id'] == '$ID', d['pid'] == $(cat pidfile), d['bundle'] == '$PWD/b'" >got
grep -qx 'created True True True' got || fail "state: $(cat got)"
r start "$ID" || fail start
until_true grep -q began out

# exec: conmon is told the process as a file, detached, with a pid file
echo '{"terminal": false, "user": {"uid": 0, "gid": 0}, "args": ["/bin/sh", "-c", "echo inside >/tmp/word; cat /proc/1/comm"], "env": ["PATH=/bin"], "cwd": "/"}' >process
change b "c['root']['readonly'] = False"
"$CTR_OCI" --root="$ROOT" --log="$log" --log-format=json exec --pid-file "$PWD/exec-pid" --process "$PWD/process" -d "$ID" >exec-out 2>&1 </dev/null || fail "exec -d: $(cat exec-out)"
until_true grep -q '^sh$' exec-out
[ -s exec-pid ] || fail "no pid file of exec"

# update: resources on standard input; what this host has no controller for is refused, and nothing is changed
cgroup=$(awk -F: '$1 == 0 { print $3 }' "/proc/$(pid_of "$ID")/cgroup")
controllers=$(cat "$(awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' /proc/self/mountinfo)$cgroup/cgroup.controllers")
echo '{"memory": {"limit": 104857600}, "cpu": {"shares": 512, "quota": 20000, "period": 100000}}' >resources
if [[ $controllers == *memory* && $controllers == *cpu* ]]; then
	r update --resources - "$ID" <resources || fail update
else
	r update --resources - "$ID" <resources 2>err && fail "an update without controllers succeeds"
	grep -q 'controller' err || fail "update: $(cat err)"
fi
echo '{}' | r update --resources - "$ID" || fail "an update of nothing"

# pause and resume, as it decodes them
r pause "$ID" || fail pause
is_status "$ID" paused || fail "not paused"
r resume "$ID" || fail resume
is_status "$ID" running || fail "not running"

# stop: TERM by name, then a look, then KILL, which may come too late; each also with what it prints when there is nobody
r kill "$ID" TERM || fail "kill TERM"
until_true is_status "$ID" stopped
r kill "$ID" KILL 2>err && fail "kill of a stopped one succeeds"
grep -q 'container not running' err || fail "its words: $(cat err)" # or CRI-O does not know that it is gone
r kill -a "$ID" KILL || fail "kill -a"
r delete --force "$ID" || fail delete
r delete --force "$ID" || fail "delete --force of what is not there"
"$CTR_OCI" --root="$ROOT" --log="$log" --log-format=json state "$ID" 2>err && fail "state of what is not there"
grep -q 'does not exist' err || fail "its words: $(cat err)"
tail -n 1 "$log" | json "d['level'], 'does not exist' in d['msg'], 'time' in d" >got
grep -qx 'error True True' got || fail "log: $(cat got)"

# a bundle that cannot start: conmon passes the log's words on, and nothing is left
bundle b "c['process']['args'] = ['/no/such']"
"$CTR_OCI" --root="$ROOT" --log="$log" --log-format=json create --bundle "$PWD/b" --pid-file "$PWD/pidfile" "$ID" >out 2>err </dev/null && fail "created"
tail -n 1 "$log" | json "d['msg']" | grep -q '/no/such' || fail "log: $(tail -n 1 "$log")"
no_traces
