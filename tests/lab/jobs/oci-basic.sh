#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# create, start, state, kill and delete of a bundle, and what the kernel and the file system show at each step.
. tests/lab/jobs/common

make_rootfs "$LAB_TMP/rootfs"
bundle=$LAB_TMP/bundle

# shellcheck disable=SC2317 # these are called through verdict
state() { "$RUNTIME" state "$1" | jq -r "$2"; }
# shellcheck disable=SC2317
has_state() { [ "$(state "$1" .status 2>/dev/null)" = "$2" ]; }
# shellcheck disable=SC2317
refuses() { ! "$@" >/dev/null 2>&1; }

everything() {
    find /sys/fs/cgroup -mindepth 1 -type d ! -path '*/job-*' | sort
    awk '{ print $5, $9 }' /proc/self/mountinfo
    find /run/ctr-oci /run/crun /run/runc -mindepth 1 2>/dev/null | sort
}

# The first container may make what all share.
make_bundle "$LAB_TMP/first" . true
must "a first container runs" "$RUNTIME" run --bundle "$LAB_TMP/first" first
before=$(everything)

# shellcheck disable=SC2016 # expanded inside
make_bundle "$bundle" '.linux.resources.memory = {limit: 67108864}' \
    sh -c 'trap "exit 5" TERM; cat /proc/self/cgroup >/tmp/group; echo $$ >/tmp/started; while :; do sleep 0.1; done'
"$RUNTIME" create --bundle "$bundle" --pid-file "$LAB_TMP/pid" one >"$LAB_TMP/one.out" 2>&1 </dev/null
code=$?
cat "$LAB_TMP/one.out"
must "create succeeds" [ $code = 0 ]
verdict "a created container says so" has_state one created
pid=$(state one .pid)
verdict "--pid-file and state agree" [ "$(cat "$LAB_TMP/pid")" = "$pid" ]
verdict "state knows the bundle" [ "$(state one .bundle)" = "$bundle" ]
verdict "nothing of the program ran before start" [ ! -e "$LAB_TMP/rootfs/tmp/started" ]
group=$(group_of "$pid")
verdict "it has a cgroup of its own" [ "$group" != "$(group_of self)" ]
verdict "it is not the root cgroup" [ "$group" != /sys/fs/cgroup/ ]
verdict "memory.max is in it" [ "$(cat "$group/memory.max")" = 67108864 ]
verdict "it is counted there, and may be limited, in all that can be" [ "$(cat "$group/cgroup.controllers")" = "$(cat /sys/fs/cgroup/cgroup.controllers)" ]
verdict "the identity is taken" refuses "$RUNTIME" create --bundle "$bundle" one
verdict "an unknown container cannot be deleted" refuses "$RUNTIME" delete no-such-container

must "start succeeds" "$RUNTIME" start one
verdict "the program runs" eventually 10 test -s "$LAB_TMP/rootfs/tmp/started"
verdict "a started container is running" has_state one running
verdict "it is process 1" [ "$(cat "$LAB_TMP/rootfs/tmp/started")" = 1 ]
verdict "it sees its own cgroup as the root" [ "$(cat "$LAB_TMP/rootfs/tmp/group")" = 0::/ ]
verdict "a second start is refused" refuses "$RUNTIME" start one
verdict "a running container is not deleted" refuses "$RUNTIME" delete one
verdict "it is still running then" has_state one running

verdict "kill TERM succeeds" "$RUNTIME" kill one TERM
verdict "it stops" eventually 10 has_state one stopped
verdict "what is stopped cannot be killed" refuses "$RUNTIME" kill one KILL
verdict "delete succeeds" "$RUNTIME" delete one
verdict "it is unknown then" refuses "$RUNTIME" state one
verdict "its cgroup is gone" [ ! -d "$group" ]

"$RUNTIME" create --bundle "$bundle" two >/dev/null 2>&1 </dev/null
"$RUNTIME" start two
pid=$(state two .pid)
verdict "it runs again under another identity" [ -e "/proc/${pid:-none}" ]
verdict "delete --force of a running container succeeds" "$RUNTIME" delete --force two
verdict "its process is gone" [ ! -e "/proc/$pid" ]

make_bundle "$LAB_TMP/code" . sh -c 'exit 7'
"$RUNTIME" run --bundle "$LAB_TMP/code" three
verdict "run exits as the program does" [ $? = 7 ]

if [ "$(basename "$RUNTIME")" = ctr-oci ]; then # crun has no events
    make_bundle "$LAB_TMP/hog" '.linux.resources.memory = {limit: 33554432, swap: 33554432}' \
        sh -c 'sleep 3; exec dd if=/dev/zero of=/dev/null bs=200M count=1'
    "$RUNTIME" run -d --bundle "$LAB_TMP/hog" hog >/dev/null 2>&1 </dev/null
    timeout 60 "$RUNTIME" events hog >"$LAB_TMP/events" </dev/null
    verdict "events end with the container" [ $? = 0 ]
    verdict "events tell of memory that ran out, though it was its end" grep -qx '{"type":"oom","id":"hog"}' "$LAB_TMP/events"
    "$RUNTIME" delete hog
fi

after=$(everything)
diff <(echo "$before") <(echo "$after")
verdict "no cgroup, mount or file is left" [ "$before" = "$after" ]
finish
