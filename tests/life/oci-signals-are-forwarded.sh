#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A run in the foreground passes signals on and ends as its payload does; killed itself, it takes the payload along, and the next
# command cleans up.
. "$TESTS/life/oci.bash"

bundle b "sh('trap \"echo term; exit 9\" TERM; trap \"echo usr1\" USR1; echo ready; while :; do sleep 0.1; done')"
oci run -b b "$ID" >out 2>&1 </dev/null &
runner=$!
until_true grep -q ready out
# the shell's child is a subshell that waits for ctr-oci
kill -USR1 "$(pgrep -P $runner || echo $runner)"
until_true grep -q usr1 out
kill -TERM "$(pgrep -P $runner || echo $runner)"
wait $runner
equal 9 "$?" "the exit code"
contains term "$(cat out)" "what the payload heard"
no_traces

rm out # whose words are of the first
oci run -b b "$ID" >out 2>&1 </dev/null &
runner=$!
until_true grep -q ready out
pid=$(pid_of "$ID")
kill -KILL "$(pgrep -P $runner || echo $runner)"
wait $runner 2>/dev/null
until_true test ! -e "/proc/$pid"
oci list >/dev/null
no_traces "after a killed run"
