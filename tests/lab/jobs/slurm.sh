#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Slurm, from one machine to many: a bundle as a job step on two nodes, by our runtime named in its oci.conf(5).
# timeout: 300
. tests/lab/jobs/common

command -v slurmctld >/dev/null || { echo 'SKIP: no slurmctld in this base'; exit 77; }
runtime=$(command -v "$RUNTIME")
make_rootfs "$LAB_TMP/rootfs"
make_bundle "$LAB_TMP/bundle" '.root.readonly = false | .process.args = ["/bin/sh"]'
conf=$LAB_TMP/slurm
export SLURM_CONF=$conf/slurm.conf
mkdir -p "$conf"/{state,n1,n2} /run/munge /var/log/munge /var/lib/munge
chmod 755 "$LAB_TMP" "$conf"
ip link set lo up
ip addr add 10.99.0.1/32 dev lo # an address that getaddrinfo(3) takes for one of the host
grep -q "$(hostname)" /etc/hosts || echo "10.99.0.1 $(hostname)" >>/etc/hosts
# an identity of the cluster
[ -s /etc/munge/munge.key ] || { mkdir -p /etc/munge && head -c 1024 /dev/urandom >/etc/munge/munge.key; }
chown -R munge: /etc/munge /run/munge /var/log/munge /var/lib/munge && chmod 400 /etc/munge/munge.key && chmod 755 /run/munge
setpriv --reuid munge --regid munge --clear-groups munged --force >"$LAB_TMP/munged.log" 2>&1
cat >"$conf/slurm.conf" <<C
ClusterName=lab
SlurmctldHost=$(hostname)(10.99.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
SelectType=select/linear
SchedulerType=sched/builtin
ReturnToService=2
KillWait=2
SlurmctldTimeout=30
StateSaveLocation=$conf/state
SlurmdSpoolDir=$conf/%n
SlurmctldPidFile=$conf/slurmctld.pid
SlurmdPidFile=$conf/%n.pid
SlurmctldLogFile=$conf/slurmctld.log
SlurmdLogFile=$conf/%n.log
NodeName=n1 NodeHostname=$(hostname) NodeAddr=10.99.0.1 Port=17001 CPUs=1
NodeName=n2 NodeHostname=$(hostname) NodeAddr=10.99.0.1 Port=17002 CPUs=1
PartitionName=all Nodes=n1,n2 Default=YES State=UP
C
echo 'CgroupPlugin=disabled' >"$conf/cgroup.conf"
name=%n.%u.%j.%s # one task of a step on each node: of the step itself %t is -1
cat >"$conf/oci.conf" <<C
EnvExclude="^(SLURM_CONF|SLURM_CONF_SERVER)="
RunTimeEnvExclude="^(SLURM_CONF|SLURM_CONF_SERVER)="
RunTimeQuery="$runtime --root=$conf/%n-states state $name"
RunTimeRun="$runtime --root=$conf/%n-states run --bundle %b $name"
RunTimeKill="$runtime --root=$conf/%n-states kill -a $name"
RunTimeDelete="$runtime --root=$conf/%n-states delete --force $name"
C
slurmctld -f "$SLURM_CONF" >"$LAB_TMP/slurmctld.out" 2>&1
for n in n1 n2; do slurmd -f "$SLURM_CONF" -N $n >"$LAB_TMP/$n.out" 2>&1; done
both_idle() { [ "$(sinfo -h -N -o '%N %t' 2>/dev/null | grep -c ' idle')" = 2 ]; }
verdict 'the cluster is up' eventually 60 both_idle
both_idle || tail -n 5 "$conf"/*.log "$LAB_TMP"/*.out | cut -c1-200 | sed 's/^/    /'
step() { timeout 30 srun -N "$1" -n "$1" --container "$LAB_TMP/bundle" "${@:2}" 2>"$LAB_TMP/error"; }
out=$(step 2 /bin/sh -c 'echo "$SLURM_PROCID $(id -u) $(cat /proc/1/comm) $(ls / | wc -l)"' | sort | tr '\n' ';')
verdict "a step on two nodes: $out" grep -qE '^0 0 sh [0-9]+;1 0 sh [0-9]+;$' <<<"$out"
[ -s "$LAB_TMP/error" ] && tail -n 5 "$LAB_TMP/error" | cut -c1-300 | sed 's/^/    /'
step 1 /bin/sh -c 'exit 7'
verdict 'its exit status' [ $? = 7 ]
out=$(echo typed | step 1 /bin/cat)
verdict 'its standard input' [ "$out" = typed ]
# a step that is cancelled leaves nothing; process 1 of a pid namespace heeds only what it handles
timeout 60 srun -N 2 -n 2 --container "$LAB_TMP/bundle" /bin/sh -c 'trap "exit 0" TERM; sleep 300 & wait' >"$LAB_TMP/long" 2>&1 &
runs() { [ "$(pgrep -c -f '^sleep 300')" = 2 ]; }
verdict 'a long step' eventually 30 runs
scancel -u root
none() { ! pgrep -f '^sleep 300' >/dev/null; }
verdict 'scancel ends it' eventually 30 none
nothing() { [ -z "$("$runtime" --root="$conf/n1-states" list -q; "$runtime" --root="$conf/n2-states" list -q)" ]; }
verdict 'nothing is left of the steps' eventually 30 nothing
kill "$(cat "$conf/n1.pid")" "$(cat "$conf/n2.pid")" "$(cat "$conf/slurmctld.pid")" 2>/dev/null
pkill -u munge munged
finish
