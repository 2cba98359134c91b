#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# podman runs containers of a small root filesystem with our runtime: with cgroupfs as the cgroup manager, and with systemd where
# systemd is process 1 (lab run --systemd).
. tests/lab/jobs/common

runtime=$(command -v "$RUNTIME")
make_rootfs "$LAB_TMP/rootfs"
mkdir -p /etc/containers
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >/etc/containers/policy.json

# podman_run MANAGER OPTION... IMAGE PROGRAM...
podman_run() {
    local manager=$1
    shift
    podman --runtime "$runtime" --cgroup-manager "$manager" --events-backend file run --rm --network none "$@" </dev/null
}

# unless OUTPUT MISSING WHAT COMMAND...: a verdict, but skipped where our runtime itself says that it lacks something.
unless() {
    if grep -q "$2" <<<"$1"; then
        echo "SKIP $3: $(grep -m 1 "$2" <<<"$1" | sed 's/.*ctr-oci: //')"
    else
        verdict "${@:3}"
    fi
}

check() {
    local manager=$1 out code
    # shellcheck disable=SC2016 # expanded inside
    out=$(podman_run "$manager" small sh -c 'echo hello from $$; exit 3' 2>"$LAB_TMP/error")
    code=$?
    cat "$LAB_TMP/error"
    if grep -q 'not supported' "$LAB_TMP/error"; then
        unless "$(cat "$LAB_TMP/error")" 'not supported' "$manager"
        return
    fi
    must "$manager: the program's words arrive" [ "$out" = 'hello from 1' ]
    verdict "$manager: its exit code arrives" [ $code = 3 ]
    out=$(podman_run "$manager" -m 64m small dd if=/dev/zero of=/dev/null bs=200M count=1 2>&1)
    verdict "$manager: -m 64m kills a hog" [ $? = 137 ]
    echo "$out"
    out=$(podman_run "$manager" --cap-drop all small grep CapEff /proc/self/status 2>&1)
    echo "$out"
    verdict "$manager: --cap-drop all leaves no capability" grep -q 'CapEff:.0000000000000000' <<<"$out"
    out=$(podman_run "$manager" --read-only --read-only-tmpfs=false small touch /x 2>&1)
    echo "$out"
    verdict "$manager: --read-only is read-only" grep -q 'touch: /x: Read-only file system' <<<"$out"
    out=$(podman_run "$manager" --read-only small sh -c 'touch /tmp/x && echo written' 2>&1)
    echo "$out"
    unless "$out" 'not supported' "$manager: --read-only leaves a writable /tmp" [ "$out" = written ]

    # shellcheck disable=SC2016 # expanded inside
    podman_run "$manager" --detach --name back small sh -c 'echo $((40 + 2)); exec sleep 1000' >/dev/null
    verdict "$manager: a detached container runs" \
        [ "$(podman inspect -f '{{.State.Running}} {{.OCIRuntime}}' back 2>/dev/null)" = "true $runtime" ]
    out=$(podman --runtime "$runtime" --cgroup-manager "$manager" exec back cat /proc/1/comm 2>&1)
    unless "$out" "unknown verb 'exec'" "$manager: exec runs beside it" [ "$out" = sleep ]
    verdict "$manager: its log is kept" [ "$(podman logs back)" = 42 ]
    verdict "$manager: stop" podman --runtime "$runtime" --cgroup-manager "$manager" stop -t 1 back
    verdict "$manager: nothing is left" eventually 10 [ -z "$(podman ps -aq)" ]
}

tar -C "$LAB_TMP/rootfs" -c . | podman --cgroup-manager cgroupfs --events-backend file import - small >/dev/null || exit
check cgroupfs
if [ "$LAB_INIT" = systemd ]; then
    check systemd
fi
finish
