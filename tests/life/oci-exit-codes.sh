#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run and exec exit as their payload does; what cannot be executed is told apart from what is not there.
. "$TESTS/life/oci.bash"

code() {
	local want=$1
	shift
	change b "$1"
	oci run -b b "$ID" >out 2>err </dev/null
	equal "$want" "$?" "run of $1 ($(cat err))"
	no_traces
}
bundle b
code 0 "c['process']['args'] = ['/bin/true']"
code 7 "sh('exit 7')"
code 255 "sh('exit 255')"
code 137 "sh('kill -9 \$\$; sleep 9'); namespaces('mount'); del c['hostname']"
bundle b
code 127 "c['process']['args'] = ['/no/such/file']"
code 127 "c['process']['args'] = ['no-such-file']"
contains "executable file" "$(cat err)" "words that podman looks for"
: >b/rootfs/bin/text
code 126 "c['process']['args'] = ['/bin/text']"
contains "ermission denied" "$(cat err)" "words that podman looks for"
code 126 "c['process']['args'] = ['/etc']"
printf '\177ELFnonsense' >b/rootfs/bin/broken && chmod 755 b/rootfs/bin/broken
code 126 "c['process']['args'] = ['/bin/broken']"
code 1 "c['process']['args'] = ['/bin/true']; c['hostname'] = 'x' * 300"

bundle b "c['process']['args'] = ['/bin/sleep', '60']"
oci run -d -b b "$ID" >/dev/null </dev/null || fail "run -d"
for want in 0 7 255; do
	oci exec "$ID" sh -c "exit $want" </dev/null
	equal "$want" "$?" "exec"
done
oci exec "$ID" sh -c 'kill -9 $$' </dev/null
equal 137 "$?" "exec of a killed command"
for command in no-such-file /no/such/file /etc; do
	line=$(oci exec --pid-file exec.pid "$ID" $command 2>&1 >/dev/null </dev/null)
	equal 255 "$?" "exec $command"
	contains "exec failed" "$line" "exec $command"
	[ ! -e exec.pid ] || fail "a pid file of an exec that failed"
done
equal running "$(status "$ID")" "after all that"

# the log gets the same words, as JSON
oci --log log.json --log-format json exec "$ID" no-such-file 2>/dev/null </dev/null
python3 -c '
import json
lines = [json.loads(l) for l in open("log.json")]
assert len(lines) == 1 and lines[0]["level"] == "error", lines
assert "executable file" in lines[0]["msg"] and lines[0]["time"].endswith("Z"), lines
' || fail "the log: $(cat log.json)"
