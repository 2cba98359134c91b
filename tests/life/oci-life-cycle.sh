#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# create prepares and does not run; start runs; kill ends; delete leaves nothing.
. "$TESTS/life/oci.bash"

bundle b "sh('echo ran > /tmp/ran; exec sleep 60'); c['root']['readonly'] = False
c['annotations'] = {'org.example.key': 'a \"value\"'}"
create --bundle b --pid-file pid "$ID"
equal created "$(status "$ID")" "after create"
equal "$(cat pid)" "$(pid_of "$ID")" "pid file and state"
equal "" "$(tail -c1 pid | tr -d 0-9)" "pid file without a newline"
[ ! -e b/rootfs/tmp/ran ] || fail "the payload ran before start"
oci state "$ID" | python3 -c '
import json, sys, re, os
s = json.load(sys.stdin)
assert s["id"] and s["ociVersion"] and s["bundle"] == os.path.realpath("b"), s
assert s["rootfs"] == os.path.realpath("b/rootfs"), s
assert s["annotations"] == {"org.example.key": "a \"value\""}, s
assert s["owner"] == "root" and re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$", s["created"]), s
' || fail "state"

refused oci create --bundle b "$ID"
contains "already exists" "$REFUSAL" "a second create"
refused oci delete no-such-container
contains "does not exist" "$REFUSAL" "delete of nothing"
oci delete --force no-such-container || fail "delete --force of nothing"

oci start "$ID" || fail "start"
equal running "$(status "$ID")" "after start"
until_true test -e b/rootfs/tmp/ran
refused oci start "$ID"
contains "cannot start an already running container" "$REFUSAL" "a second start"
refused oci delete "$ID"
contains "not stopped" "$REFUSAL" "delete of a running container"
equal running "$(status "$ID")" "after a refused delete"
contains "$ID" "$(oci list)" "list"
equal "$ID" "$(oci list -q)" "list -q"
equal "$ID running" "$(oci list -f json | python3 -c 'import json, sys; [print(c["id"], c["status"]) for c in json.load(sys.stdin)]')" "list -f json"
equal "[$(cat pid)]" "$(oci ps -f json "$ID")" "ps -f json"
contains "sleep 60" "$(oci ps "$ID")" "ps"

oci pause "$ID" || fail "pause"
equal paused "$(status "$ID")" "after pause"
refused oci exec "$ID" true
contains "paused" "$REFUSAL" "exec in a paused container"
oci resume "$ID" || fail "resume"
equal running "$(status "$ID")" "after resume"
refused oci resume "$ID"

oci kill "$ID" KILL || fail "kill"
until_true is_status "$ID" stopped
equal 0 "$(pid_of "$ID")" "the pid of a stopped container"
refused oci kill "$ID" TERM
contains "container not running" "$REFUSAL" "kill of a stopped container"
oci kill --all "$ID" KILL || fail "kill --all of a stopped container"
refused oci start "$ID"
contains "cannot start a container that has stopped" "$REFUSAL" "start of a stopped container"
oci delete "$ID" || fail "delete"
no_traces
refused oci state "$ID"
contains "does not exist" "$REFUSAL" "state of what was deleted"

# created and never started
create --bundle b "$ID"
oci delete "$ID" || fail "delete of a created container"
no_traces

# without a process it is made, and not started
change b "del c['process']"
refused oci run --bundle b "$ID"
contains "nothing to execute" "$REFUSAL" "run without a process"
create --bundle b "$ID"
equal created "$(status "$ID")" "created without a process"
refused oci start "$ID"
contains "process.args is empty: nothing to execute" "$REFUSAL" "start without a process"
until_true is_status "$ID" stopped
oci delete "$ID" || fail "delete of one without a process"
no_traces

# options of a file system mean nothing for one that is mounted already, and are not misspelt ones
bundle m "sh('ls /mnt'); mount('/mnt', type='bind', source='$PWD/b', options=['bind', 'ro', 'mode=755', 'size=1k'])"
contains rootfs "$(oci run --bundle m "$ID" 2>err </dev/null)" "a bind mount with options of a file system"
contains "'mode=755,size=1k' means nothing for a bind mount" "$(cat err)" "what is said of them"
bundle m "sh('ls /mnt'); mount('/mnt', type='bind', source='$PWD/b', options=['bind', 'size=1k', 'noexe'])"
refused oci run --bundle m "$ID"
contains "unknown option" "$REFUSAL" "a misspelt option of a bind mount"
