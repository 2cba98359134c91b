#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What people do with podman, with our runtime: as root with both cgroup managers, as a user, and what goes through CRIU.
# timeout: 900
# boot: systemd
. tests/lab/jobs/common

runtime=$(command -v "$RUNTIME")
make_rootfs "$LAB_TMP/rootfs"
mkdir -p /etc/containers
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >/etc/containers/policy.json
export TMPDIR=$LAB_TMP

p() { podman --runtime "$runtime" --cgroup-manager "$manager" --events-backend file "$@" </dev/null; }
group() { # group CONTAINER FILE
    cat "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(podman inspect -f '{{.State.Pid}}' "$1")/cgroup")/$2"
}
status() { [ "$(podman inspect -f '{{.State.Status}}' "$1" 2>/dev/null)" = "$2" ]; }
healthy() { [ "$(podman inspect -f '{{.State.Health.Status}}' "$1" 2>/dev/null)" = "$2" ]; }

check() {
    local manager=$1 out
    verdict "$manager: run -d with limits" p run -d --name c --network none --memory 100m --cpus 0.5 --pids-limit 33 -v "$LAB_TMP:/host:ro" small sh -c 'trap "echo told; exit 9" TERM; echo up; while :; do sleep 0.1; done'
    eventually 20 status c running
    verdict "$manager: --memory is in the cgroup" [ "$(group c memory.max)" = 104857600 ]
    verdict "$manager: --cpus" [ "$(group c cpu.max)" = '50000 100000' ]
    verdict "$manager: --pids-limit" [ "$(group c pids.max)" = 33 ]
    if [ "$manager" = systemd ]; then
        local scope
        scope=$(basename "$(dirname "$(sed -n 's/^0:://p' "/proc/$(podman inspect -f '{{.State.Pid}}' c)/cgroup")/x")")
        verdict "$manager: systemd knows the limit" [ "$(systemctl show -p MemoryMax --value "$scope")" = 104857600 ]
    fi
    verdict "$manager: update" p update --memory 200m c
    verdict "$manager: the new limit holds" [ "$(group c memory.max)" = 209715200 ]
    # shellcheck disable=SC2016 # expanded inside
    verdict "$manager: exec" [ "$(p exec -e A=b -w /tmp c sh -c 'echo $A $PWD; exit 0')" = 'b /tmp' ]
    p exec c sh -c 'exit 5'
    verdict "$manager: exec exits as told" [ $? = 5 ]
    verdict "$manager: logs" grep -q up <<<"$(p logs c)"
    verdict "$manager: stats" grep -q c <<<"$(p stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDS}}' c)"
    verdict "$manager: top" grep -q sh <<<"$(p top c)"
    verdict "$manager: pause" p pause c
    verdict "$manager: it is paused" status c paused
    verdict "$manager: unpause" p unpause c
    echo there >"$LAB_TMP/file"
    verdict "$manager: cp in" p cp "$LAB_TMP/file" c:/tmp/file
    verdict "$manager: cp out" p cp c:/tmp/file "$LAB_TMP/back"
    verdict "$manager: what was copied" grep -qx there "$LAB_TMP/back"
    verdict "$manager: commit" p commit -q c made
    verdict "$manager: what was committed" [ "$(p run --rm --network none made cat /tmp/file)" = there ]
    verdict "$manager: kill -s USR1 and it goes on" p kill -s WINCH c
    verdict "$manager: stop" p stop -t 10 c
    verdict "$manager: its exit code" [ "$(podman inspect -f '{{.State.ExitCode}}' c)" = 9 ]
    verdict "$manager: start again" p start c
    verdict "$manager: kill" p kill c
    eventually 20 status c exited
    verdict "$manager: rm" p rm -f c
    p rmi -f made >/dev/null

    # shellcheck disable=SC2016 # expanded inside
    printf 'FROM small\nRUN echo built >/built && mkdir /d && chown 33:33 /d\nUSER 33\nCMD ["sh", "-c", "cat /built; id -u"]\n' >"$LAB_TMP/Containerfile"
    verdict "$manager: build" p build -q --network none --isolation oci -t built -f "$LAB_TMP/Containerfile" "$LAB_TMP/empty"
    out=$(p run --rm --network none built | tr '\n' ' ')
    verdict "$manager: what was built" [ "$out" = 'built 33 ' ]
    p rmi -f built >/dev/null

    verdict "$manager: pod" p pod create --name pod --network none --share ipc,net,uts
    verdict "$manager: two in it" p run -d --pod pod --name one small sh -c 'hostname inpod 2>/dev/null; sleep 1000'
    verdict "$manager: share a name" [ "$(p run --rm --pod pod small readlink /proc/self/ns/uts)" = "$(p exec one readlink /proc/self/ns/uts)" ]
    verdict "$manager: pod rm" p pod rm -f -t 0 pod

    verdict "$manager: healthcheck" p run -d --name h --network none --health-cmd 'test -e /tmp/well' --health-interval disable small sleep 1000
    p healthcheck run h
    verdict "$manager: not well" [ $? = 1 ]
    p exec h touch /tmp/well
    verdict "$manager: well" p healthcheck run h
    p rm -f -t 0 h >/dev/null
    verdict "$manager: nothing is left" [ -z "$(podman ps -aq)" ]
}

mkdir -p "$LAB_TMP/empty"
tar -C "$LAB_TMP/rootfs" -c . | podman --cgroup-manager cgroupfs --events-backend file import - small >/dev/null || exit
check cgroupfs
[ "$LAB_INIT" != systemd ] || check systemd

# through CRIU
manager=cgroupfs
verdict 'checkpoint: a counter runs' p run -d --name ck --network none --cgroupns host -v "$LAB_TMP:/host:rslave" small sh -c 'i=0; while :; do i=$((i+1)); echo $i >/tmp/n.new; mv /tmp/n.new /tmp/n; sleep 0.05; done'
eventually 20 p exec ck test -s /tmp/n
verdict 'checkpoint' p container checkpoint ck
verdict 'checkpoint: it is stopped' status ck exited
verdict 'restore' p container restore ck
before=$(p exec ck cat /tmp/n)
sleep 1
verdict 'restore: it counts on' [ "$(p exec ck cat /tmp/n)" -gt "$before" ]
# shellcheck disable=SC2016 # expanded inside
verdict 'restore: its cgroup is where /proc says' p exec ck sh -c 'test -e "/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/cgroup.procs"'
p rm -f -t 0 ck >/dev/null

# as a user
if useradd -m -u 1777 somebody 2>/dev/null || id somebody >/dev/null 2>&1; then
    grep -q somebody /etc/subuid || { echo somebody:200000:65536 >>/etc/subuid && echo somebody:200000:65536 >>/etc/subgid; }
    chmod 755 "$LAB_TMP" "$LAB_TMP/rootfs"
    mkdir -p /run/user/1777 && chown somebody /run/user/1777
    tar -C "$LAB_TMP/rootfs" -cf "$LAB_TMP/small.tar" . && chmod 644 "$LAB_TMP/small.tar"
    u() { setpriv --reuid somebody --regid somebody --init-groups env -i HOME=/home/somebody XDG_RUNTIME_DIR=/run/user/1777 PATH="$PATH" TMPDIR=/home/somebody podman --runtime "$runtime" --cgroup-manager cgroupfs --events-backend file --storage-driver vfs "$@" </dev/null; }
    (
        cd /home/somebody || exit
        verdict 'rootless: import' u import -q "$LAB_TMP/small.tar" small
        out=$(u run --rm --network none small sh -c 'id -u; cat /proc/self/uid_map' | xargs)
        verdict "rootless: run: $out" grep -q '^0 0 1777 1 1 [1-9][0-9]* 65536' <<<"$out"
        verdict 'rootless: run -d' u run -d --name r --network none small sleep 1000
        verdict 'rootless: exec' [ "$(u exec r cat /proc/1/comm)" = sleep ]
        verdict 'rootless: stop' u stop -t 1 r
        verdict 'rootless: rm' u rm r
        exit $failures
    )
    failures=$((failures + $?))
fi
finish
