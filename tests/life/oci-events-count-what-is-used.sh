#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# events: one line of JSON in runc's form; one each interval, until the container ends; others can use it meanwhile.
. "$TESTS/life/oci.bash"

bundle b "c['process']['args'] = ['/bin/sh', '-c', 'i=0; while [ \$i -lt 20000 ]; do i=\$((i+1)); done; exec sleep 60']"
oci run -d -b b "$ID" >/dev/null </dev/null || fail "run -d"
used() {
	oci events --stats "$ID" | python3 -c '
import json, sys
lines = sys.stdin.read().splitlines()
assert len(lines) == 1, lines
e = json.loads(lines[0])
assert e["type"] == "stats" and e["id"] == sys.argv[1], e
d = e["data"]
u = d["cpu"]["usage"]
assert u["total"] > 1000000 and u["total"] >= u["user"] and u["user"] + u["kernel"] > 0, u
for key in ("cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt"):
    assert isinstance(d[key], dict), key
for key in ("usage", "swap", "kernel", "kernelTCP"):
    assert {"limit", "usage", "failcnt"} <= set(d["memory"][key]), key
assert isinstance(d["network_interfaces"], list)
' "$ID"
}
until_true used
oci events --interval 100ms "$ID" >lines 2>err &
watcher=$!
several() { [ "$(wc -l <lines)" -ge 3 ]; }
until_true several
is_status "$ID" running || fail "the container cannot be used while it is watched"
oci kill "$ID" KILL || fail "kill"
wait $watcher || fail "events: $(cat err)"
equal "" "$(cat err)" "what events says"
equal 0 "$(grep -vc '^{"type":"stats"' lines)" "other lines"
until_true is_status "$ID" stopped
refused oci events --stats "$ID"
contains "not running" "$REFUSAL" "events of a stopped container"
for interval in 0 0s -1s 5 s 1x 1..5s 1000000h ''; do
	refused oci events --interval "$interval" "$ID"
	contains duration "$REFUSAL" "--interval '$interval'"
done
