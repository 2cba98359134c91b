#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Scopes that systemd makes: what it knows of their limits, which it would set back otherwise, and that a name is free again when its
# container has gone.
# boot: systemd
. tests/lab/jobs/common

[ "$LAB_INIT" = systemd ] || {
    echo "SKIP: needs systemd as process 1"
    exit 77
}
make_rootfs "$LAB_TMP/rootfs"
bundle=$LAB_TMP/bundle
unit=ctr-test-one.scope
group=/sys/fs/cgroup/machine.slice/$unit

r() { "$RUNTIME" --systemd-cgroup "$@" </dev/null; }
property() { systemctl show -p "$1" --value $unit; }
# shellcheck disable=SC2317 # called through verdict
stopped() { [ "$(r state one | jq -r .status)" = stopped ]; }
knows() { verdict "systemd knows $1" [ "$(property "$1")" = "$2" ]; }
holds() { verdict "$1 is in the cgroup${3-}" [ "$(cat "$group/$1")" = "$2" ]; }

make_bundle "$bundle" '.linux.cgroupsPath = "machine.slice:ctr-test:one"
    | .linux.resources = {memory: {limit: 67108864}, pids: {limit: 40}, cpu: {shares: 1024, quota: 50000, period: 200000, cpus: "0"},
        unified: {"memory.high": "50331648", "memory.min": "1048576"}}
    | .annotations = {"org.systemd.property.TimeoutStopSec": "7", "org.systemd.property.Description": "'\''--version'\''", "org.systemd.property.After": "['\''dbus.service'\'', '\''sysinit.target'\'']"}' \
    sleep 1000
must "a container in a scope" r run -d -b "$bundle" one
knows MemoryMax 67108864
knows MemoryHigh 50331648
knows MemoryMin 1048576
knows TasksMax 40
knows CPUWeight 100
knows CPUQuotaPerSecUSec 250ms
knows CPUQuotaPeriodUSec 200ms
knows AllowedCPUs 0
knows TimeoutStopUSec 7s
knows Description --version
verdict "systemd knows a list" grep -q dbus.service <<<"$(property After)"
systemctl daemon-reload
for limit in 'memory.high 50331648' 'memory.min 1048576' 'pids.max 40' 'cpu.max 50000 200000' 'cpuset.cpus 0' 'cpu.weight 100'; do
    holds "${limit%% *}" "${limit#* }" ' after systemd has read its files again'
done

verdict update r update --cpuset-cpus 0-1 --cpu-share 2048 --cpu-period 100000 one
knows AllowedCPUs 0-1
knows CPUWeight 174
knows CPUQuotaPeriodUSec 100ms
holds cpu.weight 174
verdict "no weight for one that is idle" grep -q 'unable to apply both' <<<"$(r update --cpu-idle 1 --cpu-share 200 one 2>&1)"
holds cpu.idle 1
verdict "a weight ends idleness" r update --cpu-share 200 one
holds cpu.idle 0

# systemd mounts cgroup2 with nsdelegate
joining=$LAB_TMP/joining
make_bundle "$joining" ".linux.namespaces |= map(if .type == \"cgroup\" then .path = \"/proc/$(r state one | jq .pid)/ns/cgroup\" else . end)" \
    readlink /proc/self/ns/cgroup
verdict "a cgroup namespace is joined" [ "$(r run -b "$joining" two)" = "$(readlink "/proc/$(r state one | jq .pid)/ns/cgroup")" ]
verdict kill r kill one KILL
verdict "it has stopped" eventually 10 stopped
verdict "kill --all finds nobody, and says so of no cgroup" r kill --all one KILL
verdict delete eventually 20 r delete one

# one that leaves its cgroup, which systemd then takes away
elsewhere=/sys/fs/cgroup/ctr-test-elsewhere
mkdir $elsewhere
make_bundle "$bundle" '.linux.cgroupsPath = "machine.slice:ctr-test:one" | .linux.namespaces -= [{type: "cgroup"}]
    | .mounts |= map(if .type == "cgroup" then .options -= ["ro"] else . end)' sh -c "echo 1 >$elsewhere/cgroup.procs; exec sleep 1000"
verdict "one that goes elsewhere" r run -d -b "$bundle" one
verdict "has gone" eventually 10 [ ! -e $group ]
verdict "exec finds it" [ "$(r exec one sed -n s/^0:://p /proc/self/cgroup)" = "${elsewhere#/sys/fs/cgroup}" ]
verdict "delete finds it" r delete -f one
verdict "its cgroup is empty" eventually 10 rmdir $elsewhere

make_bundle "$bundle" '.linux.cgroupsPath = "machine.slice:ctr-test:one"' true
verdict "the name is free at once" r run -b "$bundle" one
verdict "and again" r run -b "$bundle" one
make_bundle "$bundle" '.linux.cgroupsPath = "machine.slice:ctr-test:one" | .hooks.startContainer = [{path: "/bin/false"}]' true
fails() { ! r run -b "$bundle" one; }
verdict "one that cannot start" fails
verdict "is not in its own way" fails
verdict "and its end is no other" grep -q 'exit code 1' <<<"$(r run -b "$bundle" one 2>&1)"

# shellcheck disable=SC2016 # expanded inside
owned='.linux.cgroupsPath = "machine.slice:ctr-test:one" | .linux.namespaces += [{type: "user"}]
    | .linux.uidMappings = [{hostID: 100000, containerID: 0, size: 65536}] | .linux.gidMappings = .linux.uidMappings'
make_bundle "$bundle" "$owned" stat -c %u /sys/fs/cgroup
verdict "a cgroup that cannot be written to stays the host's" [ "$(r run -b "$bundle" one)" = 65534 ]
make_bundle "$bundle" "$owned | .mounts |= map(if .type == \"cgroup\" then .options -= [\"ro\"] else . end)" \
    sh -c 'mkdir /sys/fs/cgroup/below && stat -c %u /sys/fs/cgroup'
verdict "one that can is its root's" [ "$(r run -b "$bundle" one)" = 0 ]
gone() { [ -z "$(systemctl list-units --all --plain --no-legend 'ctr-test*')" ]; }
verdict "no unit is left" eventually 20 gone
finish
