#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Docker and containerd, each with our runtime in place of runc: what their own clients do with it.
# timeout: 900
. tests/lab/jobs/common

runtime=$(command -v "$RUNTIME")
make_rootfs "$LAB_TMP/rootfs"
export TMPDIR=$LAB_TMP
tell_last() { tail -n 20 "$1" | sed 's/^/    /'; }
answers() { "$@" >/dev/null 2>&1; }

# ---- containerd, by its shim for runc, whose BinaryName is ours ----

ctrd=$(command -v -a ctr | grep -v "$(dirname "$runtime")" | head -n 1)
ctrd=${ctrd:-/usr/bin/ctr}
containerd() {
    local c="$ctrd -a $LAB_TMP/containerd/sock" group
    mkdir -p "$LAB_TMP/containerd"
    cat >"$LAB_TMP/containerd/config.toml" <<T
version = 2
root = "$LAB_TMP/containerd/root"
state = "/run/containerd-test"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]
[grpc]
  address = "$LAB_TMP/containerd/sock"
T
    command containerd -c "$LAB_TMP/containerd/config.toml" >"$LAB_TMP/containerd/log" 2>&1 &
    local daemon=$!
    if ! eventually 60 answers $c version; then
        echo "FAIL containerd starts: $(tail -n 1 "$LAB_TMP/containerd/log")"
        failures=$((failures + 1))
        kill $daemon
        return
    fi
    # an image of our own making, as its client imports it
    CTR_ROOT=$LAB_TMP/s CTR_RUN=$LAB_TMP/r command ctr image import -q --cmd /bin/sh - docker.io/library/small:1 < <(tar -C "$LAB_TMP/rootfs" -c .) >/dev/null
    CTR_ROOT=$LAB_TMP/s CTR_RUN=$LAB_TMP/r command ctr image save -o "$LAB_TMP/small.tar" docker.io/library/small:1
    verdict 'containerd imports what we save' $c images import "$LAB_TMP/small.tar"
    local run="--snapshotter native --runc-binary $runtime"
    out=$($c run --rm $run docker.io/library/small:1 one sh -c 'echo hello; exit 3' 2>"$LAB_TMP/error")
    code=$?
    cat "$LAB_TMP/error"
    verdict 'containerd: run' [ "$out" = hello ]
    verdict 'containerd: its exit code' [ $code = 3 ]
    verdict 'containerd: run -d' $c run -d $run --memory-limit 104857600 docker.io/library/small:1 two sh -c 'i=0; while :; do i=$((i+1)); echo $i >/tmp/n; sleep 0.1; done'
    verdict 'containerd: exec' [ "$($c task exec --exec-id e two cat /proc/1/comm)" = sh ]
    group=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$($c task ls | awk '$1 == "two" { print $2 }')/cgroup")
    verdict 'containerd: its limit' [ "$(cat "$group/memory.max")" = 104857600 ]
    verdict 'containerd: pause' $c task pause two
    verdict 'containerd: it is paused' grep -q PAUSED <<<"$($c task ls)"
    verdict 'containerd: resume' $c task resume two
    verdict 'containerd: metrics' grep -q memory <<<"$($c task metrics two)"
    verdict 'containerd: ps' grep -q . <<<"$($c task ps two)"
    verdict 'containerd: checkpoint' $c task checkpoint two --image-path "$LAB_TMP/checkpoint"
    verdict 'containerd: its image is there' test -s "$LAB_TMP/checkpoint/inventory.img"
    verdict 'containerd: kill' $c task kill -s KILL two
    verdict 'containerd: delete' eventually 20 answers $c task delete two
    verdict 'containerd: container delete' $c container delete two
    verdict 'containerd: nothing is left' [ -z "$($c container ls -q)$($c task ls -q)" ]
    kill $daemon
    wait $daemon 2>/dev/null
}
command -v containerd >/dev/null && containerd

# ---- Docker ----

docker_job() {
    local d="docker -H unix://$LAB_TMP/docker/sock" group
    mkdir -p "$LAB_TMP/docker"
    cat >"$LAB_TMP/docker/daemon.json" <<J
{ "runtimes": { "ours": { "path": "$runtime" } }, "default-runtime": "ours", "bridge": "none", "iptables": false, "ip6tables": false,
  "data-root": "$LAB_TMP/docker/data", "exec-root": "/run/docker-test", "pidfile": "$LAB_TMP/docker/pid", "storage-driver": "vfs",
  "exec-opts": ["native.cgroupdriver=cgroupfs"] }
J
    dockerd --config-file "$LAB_TMP/docker/daemon.json" -H "unix://$LAB_TMP/docker/sock" >"$LAB_TMP/docker/log" 2>&1 &
    local daemon=$!
    if ! eventually 90 answers $d version; then
        echo "FAIL docker starts: $(tail -n 1 "$LAB_TMP/docker/log")"
        failures=$((failures + 1))
        kill $daemon
        return
    fi
    verdict 'docker loads what we save' $d load -q -i "$LAB_TMP/small.tar"
    out=$($d run --rm --network none small:1 sh -c 'echo hello; exit 3' 2>"$LAB_TMP/error")
    code=$?
    cat "$LAB_TMP/error"
    verdict 'docker: run' [ "$out" = hello ]
    verdict 'docker: its exit code' [ $code = 3 ]
    verdict 'docker: run -d' $d run -d --name box --network none -m 100m --cpus 0.5 --pids-limit 33 small:1 sh -c 'trap "exit 9" TERM; echo up; while :; do sleep 0.1; done'
    group=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$($d inspect -f '{{.State.Pid}}' box)/cgroup")
    verdict 'docker: -m' [ "$(cat "$group/memory.max")" = 104857600 ]
    verdict 'docker: --cpus' [ "$(cat "$group/cpu.max")" = '50000 100000' ]
    verdict 'docker: --pids-limit' [ "$(cat "$group/pids.max")" = 33 ]
    verdict 'docker: update' $d update -m 200m --memory-swap 200m box
    verdict 'docker: the new limit' [ "$(cat "$group/memory.max")" = 209715200 ]
    verdict 'docker: exec' [ "$($d exec box cat /proc/1/comm)" = sh ]
    verdict 'docker: logs' [ "$($d logs box)" = up ]
    verdict 'docker: stats' grep -q box <<<"$($d stats --no-stream --format '{{.Name}}' box)"
    verdict 'docker: pause' $d pause box
    verdict 'docker: unpause' $d unpause box
    verdict 'docker: stop' $d stop -t 10 box
    verdict 'docker: its end' [ "$($d inspect -f '{{.State.ExitCode}}' box)" = 9 ]
    verdict 'docker: start' $d start box
    verdict 'docker: kill' $d kill box
    verdict 'docker: rm' $d rm -f box
    verdict 'docker: nothing is left' [ -z "$($d ps -aq)" ]
    kill $daemon
    wait $daemon 2>/dev/null
}
if command -v dockerd >/dev/null && [ -s "$LAB_TMP/small.tar" ]; then docker_job; fi
finish
