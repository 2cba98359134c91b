#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# linux.memoryPolicy reaches the payload and what is executed later; process.execCPUAffinity says where exec runs.
. "$TESTS/life/oci.bash"

bundle b "c['linux']['memoryPolicy'] = {'mode': 'MPOL_BIND', 'nodes': '0', 'flags': ['MPOL_F_STATIC_NODES']}
sh('head -1 /proc/self/numa_maps; exec sleep 60')
c['process']['execCPUAffinity'] = {'initial': '0', 'final': '0'}"
[ -f /proc/self/numa_maps ] || skip "this kernel has no memory policies"
oci run -d -b b "$ID" >out 2>&1 </dev/null || fail "run: $(cat out)"
policy() { grep -q 'bind=static:0' out; }
until_true policy
contains "bind=static:0" "$(oci exec "$ID" head -1 /proc/self/numa_maps </dev/null)" "the policy of exec"
equal 0 "$(oci exec "$ID" sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status </dev/null)" "the affinity of exec"
equal "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)" \
	"$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "/proc/$(pid_of "$ID")/status")" "the affinity of the first process"
echo '{"args": ["/bin/true"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "execCPUAffinity": {"final": "8000"}}' >process.json
refused oci exec --process process.json "$ID"
contains execCPUAffinity.final "$REFUSAL" "a CPU that is not there"
oci delete --force "$ID" || fail delete

for policy in "'MPOL_BIND'" "'MPOL_DEFAULT', 'nodes': '0'" "'MPOL_BIND', 'nodes': '1000'" "'MPOL_BIND', 'nodes': '5000'"; do
	bundle b "c['linux']['memoryPolicy'] = {'mode': $policy}"
	refused oci run -b b "$ID"
	contains memoryPolicy "$REFUSAL" "policy $policy"
done
no_traces
