#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# update: from a file, from standard input, from options; what is not given stays; what this host cannot do is refused.
. "$TESTS/life/oci.bash"

bundle b "c['process']['args'] = ['/bin/sleep', '60']"
oci run -d -b b "$ID" >/dev/null </dev/null || fail "run -d"
mount=$(awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") print $5 }' /proc/self/mountinfo | head -1)
cgroup=$mount$(sed -n 's/^0:://p' "/proc/$(pid_of "$ID")/cgroup")
[ -f "$cgroup/cgroup.procs" ] || skip "cannot see the container's cgroup"

echo '{"unified": {"cgroup.max.depth": "7"}, "devices": [{"allow": true, "access": "rwm"}]}' >r.json
oci update --resources r.json "$ID" || fail "update --resources"
equal 7 "$(cat "$cgroup/cgroup.max.depth")" "a limit from a file"
echo '{"unified": {"cgroup.max.descendants": "9"}}' | oci update --resources=- "$ID" || fail "update --resources=-"
equal 9 "$(cat "$cgroup/cgroup.max.descendants")" "a limit from standard input"
echo '{"unified": {"cgroup.max.descendants": "10"}}' | oci update -r - "$ID" || fail "update -r -"
equal "10 7" "$(cat "$cgroup/cgroup.max.descendants") $(cat "$cgroup/cgroup.max.depth")" "what was not given"
oci update "$ID" || fail "update of nothing"

echo '{"unified": {"cgroup.max.depth": "many"}}' | refused oci update -r - "$ID"
for text in '' '[]' '{"memory": {"limit": "1"}}' '{"pids": {"limit": -2}}'; do
	printf %s "$text" | oci update -r - "$ID" 2>err && fail "'$text' is accepted"
done
refused oci update -r missing.json "$ID"
mkfifo fifo && refused oci update -r fifo "$ID"
for option in --memory=x --memory=-2 --pids-limit=x --cpu-idle=2 --cpu-quota=1.5 --blkio-weight=1001 --cpu-rt-runtime=5 \
	--l3-cache-schema=L3:0=f --nonsense; do
	refused oci update "$option" "$ID"
done

# limit OPTION CONTROLLER FILE WANTED: set where the controller is to be had, else refused by its name
limit() {
	if grep -qw "$2" "$mount/cgroup.controllers"; then
		oci update "$1" "$ID" || fail "update $1"
		equal "$4" "$(cat "$cgroup/$3")" "$1"
	else
		refused oci update "$1" "$ID"
		contains "$2 controller" "$REFUSAL" "$1"
	fi
}
limit --memory=64M memory memory.max 67108864
! grep -qw memory "$mount/cgroup.controllers" || limit --memory-swap=80M memory memory.swap.max 16777216
limit --memory-reservation=32M memory memory.low 33554432
limit --pids-limit=50 pids pids.max 50
limit --cpu-quota=50000 cpu cpu.max "50000 100000"
limit --cpu-period=200000 cpu cpu.max "50000 200000"
limit --cpu-burst=1000 cpu cpu.max.burst 1000
limit --cpu-share=1024 cpu cpu.weight 100
limit --cpuset-cpus=0 cpuset cpuset.cpus 0
if grep -qw memory "$mount/cgroup.controllers"; then
	echo '{"memory": {"limit": 4096, "checkBeforeUpdate": true}}' >r.json
	refused oci update -r r.json "$ID"
	contains "in use" "$REFUSAL" "checkBeforeUpdate"
fi
if grep -qw hugetlb "$mount/cgroup.controllers" && [ -d /sys/kernel/mm/hugepages/hugepages-2048kB ]; then
	# a controller that the cgroup did without until now
	echo '{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}' | oci update -r - "$ID" || fail "hugepageLimits"
	equal 4194304 "$(cat "$cgroup/hugetlb.2MB.max")" "hugepageLimits"
fi

oci kill "$ID" KILL
until_true is_status "$ID" stopped
refused oci update -r - "$ID"
contains "not running" "$REFUSAL" "update of a stopped container"
