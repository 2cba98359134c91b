#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a checkpoint saves goes on where it was, under this id or another, and is a container like others.
. "$TESTS/life/oci.bash"
. "$TESTS/life/criu.bash"

bundle b "sh('''${COUNT//mv/busybox mv}'''); c['root']['readonly'] = False"
oci create -b b "$ID" >/dev/null 2>&1 </dev/null || fail "create"
refused oci checkpoint --image-path image "$ID"
contains "cannot be checkpointed in created state" "$REFUSAL" "a container that has not started"
oci start "$ID" || fail "start"
until_true test -s b/rootfs/tmp/count

saved "$ID" --leave-running
equal running "$(status "$ID")" "left running"
counts b/rootfs/tmp/count

saved "$ID"
refused oci state "$ID"
contains "does not exist" "$REFUSAL" "a container that was saved"
no_traces "after a checkpoint"
last=$(cat b/rootfs/tmp/count)
sleep 0.3
equal "$last" "$(cat b/rootfs/tmp/count)" "a saved container stands still"

restored "$ID-2" b --pid-file pid
equal running "$(status "$ID-2")" "restored"
equal "$(cat pid)" "$(pid_of "$ID-2")" "pid file and state"
counts b/rootfs/tmp/count
[ "$(cat b/rootfs/tmp/count)" -gt "$last" ] || fail "it did not go on from $last"
equal "0::/" "$(oci exec "$ID-2" grep 0:: /proc/self/cgroup)" "its cgroup namespace"
contains "$ID-2" "$(grep 0:: "/proc/$(cat pid)/cgroup")" "its cgroup"
for ns in cgroup ipc mnt net pid uts time; do
	equal "$(readlink "/proc/$(cat pid)/ns/$ns")" "$(oci exec "$ID-2" readlink "/proc/self/ns/$ns")" "exec joins its $ns namespace"
done
oci events --stats "$ID-2" >events || fail "events: $(cat events)"
oci pause "$ID-2" || fail "pause"
saved "$ID-2" # also of a paused one
no_traces "after a checkpoint of a paused container"
restored "$ID" b
equal running "$(status "$ID")" "restored from a paused one"
counts b/rootfs/tmp/count
oci kill "$ID" KILL || fail "kill"
until_true is_status "$ID" stopped
oci delete "$ID" || fail "delete"
no_traces

# in the foreground it is waited for, exits as its process does, and is gone then
bundle f "sh('echo there >/tmp/there; until test -e /tmp/end; do sleep 0.05; done; exit 7'); c['root']['readonly'] = False"
oci run -d -b f "$ID" >/dev/null 2>&1 </dev/null || fail "run"
until_true test -e f/rootfs/tmp/there
saved "$ID"
oci restore -b f --image-path image --work-path work "$ID" </dev/null >/dev/null 2>criu.err &
restorer=$!
until_true is_status "$ID" running
touch f/rootfs/tmp/end
wait $restorer
equal 7 $? "the exit code of a restored container ($(cat criu.err))"
no_traces "after a restore in the foreground"
