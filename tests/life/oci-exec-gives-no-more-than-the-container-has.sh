#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a process.json leaves out is as for the container's own process, and capabilities that nobody gave are not there.
. "$TESTS/life/oci.bash"

show='grep -E "^Cap(Inh|Prm|Eff|Bnd|Amb)" /proc/self/status; ulimit -n; cat /proc/self/oom_score_adj'
bundle b "
c['process']['args'] = ['/bin/sh', '-c', '($show) >/tmp/own; exec sleep 60']
c['process']['oomScoreAdj'] = 500
c['process']['rlimits'] = [{'type': 'RLIMIT_NOFILE', 'soft': 77, 'hard': 77}]
c['process']['scheduler'] = {'policy': 'SCHED_OTHER', 'nice': 3}
c['root']['readonly'] = False"
oci run -d -b b "$ID" >/dev/null </dev/null || fail "run"
until_true test -s b/rootfs/tmp/own
cat >process.json <<JSON
{ "args": ["/bin/sh", "-c", $(python3 -c 'import json, sys; print(json.dumps(sys.argv[1]))' "$show")],
  "cwd": "/", "env": ["PATH=/bin"], "user": { "uid": 0, "gid": 0 } }
JSON
equal "$(cat b/rootfs/tmp/own)" "$(oci exec --process process.json "$ID" </dev/null)" "exec --process"
equal "$(cat b/rootfs/tmp/own)" "$(oci exec "$ID" sh -c "$show" </dev/null)" "exec"
oci delete --force "$ID"

bundle b "del c['process']['capabilities']; sh('grep -E \"^Cap\" /proc/self/status')"
equal "0000000000000000" "$(oci run -b b "$ID" </dev/null | sed 's/.*	//' | sort -u)" "capabilities without process.capabilities"
