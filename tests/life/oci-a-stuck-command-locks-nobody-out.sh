#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who lives in a container can stop what is executed there, and a hook can take its time or ask for the state: others look at the
# container, signal and delete it all the same.
. "$TESTS/life/oci.bash"

in_time() { timeout -s KILL 5 "$CTR_OCI" --root "$ROOT" "$@"; }

# the first process stops whoever comes in
bundle b "
c['root']['readonly'] = False
sh('''touch /tmp/ready
while :; do
	for p in /proc/[0-9]*; do p=\${p#/proc/}; [ \$p = 1 ] || kill -STOP \$p 2>/dev/null && touch /tmp/stopped; done
done''')"
oci run -d -b b "$ID" >/dev/null </dev/null || fail "run"
until_true test -e b/rootfs/tmp/ready
for _ in 1 2 3 4; do oci exec "$ID" true >/dev/null 2>&1 </dev/null & done
until_true test -e b/rootfs/tmp/stopped
in_time state "$ID" >/dev/null || fail "state beside a stopped exec: $?"
in_time ps "$ID" >/dev/null || fail "ps beside a stopped exec: $?"
in_time delete --force "$ID" || fail "delete beside a stopped exec: $?"
wait
no_traces

# hooks that ask, as programs of engines do, whose answer must not wait for them
state="$CTR_OCI --root $ROOT state $ID"
bundle b "
c['process']['args'] = ['/bin/sleep', '60']
ask = {'path': '/bin/sh', 'args': ['sh', '-c', '$state >>$PWD/asked || echo failed >>$PWD/asked']}
c['hooks'] = {'createRuntime': [ask], 'poststart': [ask], 'poststop': [{'path': '/bin/true'}]}"
in_time run -d -b b "$ID" >/dev/null 2>err </dev/null || fail "run with hooks that ask: $? $(cat err)"
equal 2 "$(grep -c '"pid": [1-9]' asked)" "answers to hooks in: $(cat asked)"
oci delete --force "$ID"

# a hook that takes its time
bundle b "
c['process']['args'] = ['/bin/sleep', '60']
c['hooks'] = {'poststart': [{'path': '/bin/sh', 'args': ['sh', '-c', 'echo \$\$ >$PWD/waiting; exec sleep 60']}]}"
create -b b "$ID"
oci start "$ID" >/dev/null 2>&1 </dev/null &
until_true test -s waiting
equal running "$(in_time state "$ID" | sed -n 's/.*"status": "\(.*\)".*/\1/p')" "status beside a hook"
in_time kill "$ID" KILL || fail "kill beside a hook: $?"
until_true is_status "$ID" stopped
in_time delete "$ID" || fail "delete beside a hook: $?"
kill "$(cat waiting)"
wait
no_traces
