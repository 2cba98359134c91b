#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Limits that a hybrid host cannot show: each is given through both front doors to a program that would exceed it, and
# (where that is not plain) the same program runs once without it, or the test could not fail.
. tests/lab/jobs/common
export SPEC=runc # its bundles as well as our own (oci-basic) must do

mebi=$((1024 * 1024))
rootfs=$LAB_TMP/rootfs
make_rootfs "$rootfs"

# run_limited DOOR ID LIMIT PROGRAM...: runs in the foreground. LIMIT is a key of the tables below, or `none`.
declare -A oci=(
    [none]='.'
    [memory]=".linux.resources.memory = {limit: $((64 * mebi)), swap: $((64 * mebi))}"
    [cpu]='.linux.resources.cpu = {quota: 50000, period: 100000}'
    [pids]='.linux.resources.pids = {limit: 20}'
)
declare -A options=([none]='' [memory]='-m 64M' [cpu]='--cpus 0.5' [pids]='--pids 20')
run_limited() {
    local door=$1 id=$2 limit=$3
    shift 3
    case $door in
    oci)
        make_bundle "$LAB_TMP/$id" "${oci[$limit]}" "$@" || return
        "$RUNTIME" run --bundle "$LAB_TMP/$id" "$id"
        ;;
    run)
        # shellcheck disable=SC2086 # no or two words
        ctr run --rm --name "$id" ${options[$limit]} --net none "$rootfs" -- "$@"
        ;;
    esac
}

# Sets $payload and $group, its cgroup.
# shellcheck disable=SC2317 # both are called through eventually
find_payload() { payload=$(payload_pid "$1") && group=$(group_of "$payload"); }

# shellcheck disable=SC2317
ended() { ! kill -0 "$1" 2>/dev/null || grep -sq '^State:.Z' "/proc/$1/status"; }

# background MARK DOOR ID LIMIT PROGRAM...: process 1 of it must have MARK in its command line. A verdict only if it fails.
background() {
    local mark=$1
    shift
    run_limited "$@" >"$LAB_TMP/$2.out" 2>&1 &
    front=$!
    group='' payload=''
    if eventually 20 find_payload "$mark" && [ "$group" != "$(group_of self)" ] && [ "$group" != /sys/fs/cgroup/ ]; then
        return
    fi
    cat "$LAB_TMP/$2.out"
    verdict "$2 starts in a cgroup of its own" [ "$group" = another ]
    end_background
    return 1
}

end_background() {
    [ -z "$payload" ] || kill -KILL "$payload" 2>/dev/null
    eventually 20 ended "$front" || kill -KILL "$front"
    wait "$front"
}

out_of_memory() { dmesg | grep -c 'Memory cgroup out of memory'; }

memory() {
    local door=$1 before code
    run_limited "$door" "$door-roomy" none dd if=/dev/zero of=/dev/null bs=200M count=1
    verdict "$door: without memory.max 200 MiB are there to be had" [ $? = 0 ]
    run_limited "$door" "$door-modest" memory dd if=/dev/zero of=/dev/null bs=32M count=1
    verdict "$door: 32 MiB fit into 64" [ $? = 0 ]
    before=$(out_of_memory)
    run_limited "$door" "$door-hog" memory dd if=/dev/zero of=/dev/null bs=200M count=1
    code=$?
    verdict "$door: memory.max kills a hog" [ $code = 137 ]
    verdict "$door: the kernel says that it was memory.max" [ "$(out_of_memory)" -gt "$before" ]
}

usage() { awk '$1 == "usage_usec" { print $2 }' "$group/cpu.stat"; }

# burn DOOR ID LIMIT LOW HIGH: sets $share, the percentage of one processor that a busy loop gets in six seconds, the
# first of three that is between LOW and HIGH.
burn() {
    local start used
    # shellcheck disable=SC2016
    background "MARK-$2" "$1" "$2" "$3" sh -c ": MARK-$2; while :; do :; done" || return
    sleep 1
    # A host with more to do than it has processors takes time from the machine in large pieces. A share that is wrong, or
    # not held at all, is so in each window.
    for _ in 1 2 3; do
        start=$(now) used=$(usage)
        sleep 6
        share=$(awk -v used="$(($(usage) - used))" -v wall="$(since "$start")" 'BEGIN { printf "%.1f", used / wall / 10000 }')
        echo "$2: $share %"
        ! between "$4" "$share" "$5" || break
    done
    end_background
}

cpu() {
    local door=$1 share=''
    if [ "$door" = oci ]; then
        burn "$door" "$door-free" none 85 101
        verdict "$door: without cpu.max a burner has a processor" between 85 "$share" 101
        share=''
    fi
    burn "$door" "$door-burner" cpu 47 53
    verdict "$door: cpu.max holds a burner to 50 % +- 3" between 47 "$share" 53
}

pids() {
    local door=$1 most=0 current
    # Process 1 only sleeps, as a container ends with it; each b becomes two, for ever.
    background 'sleep 98765' "$door" "$door-bomb" pids \
        sh -c 'b() { b | b & wait; b; }; (b) 2>/dev/null & exec sleep 98765' || return
    for _ in $(seq 50); do
        current=$(cat "$group/pids.current")
        [ "$current" -le "$most" ] || most=$current
        sleep 0.1
    done
    echo "$door-bomb: at most $most processes, $(tr '\n' ' ' <"$group/pids.events")"
    verdict "$door: pids.max stops a fork bomb" between 15 "$most" 20
    verdict "$door: the bomb ran into pids.max" grep -qE '^max [1-9]' "$group/pids.events"
    end_background
    verdict "$door: nothing of the bomb is left" [ ! -d "$group" ]
}

# io_seconds ID FILTER: sets $seconds, what 8 MiB take, past the page cache.
io_seconds() {
    local start
    make_bundle "$LAB_TMP/$1" "$2" dd if=/dev/zero of=/tmp/written bs=256k count=32 oflag=direct || return
    start=$(now)
    "$RUNTIME" run --bundle "$LAB_TMP/$1" "$1" && seconds=$(since "$start")
    echo "$1: $seconds s"
}

# The root filesystem's disk, as mountinfo has it.
io() {
    local disk seconds=''
    disk=$(awk '$5 == "/" { print $3 }' /proc/self/mountinfo)
    io_seconds io-free .
    verdict "oci: without io.max 8 MiB are written at once" between 0 "$seconds" 4
    seconds=''
    io_seconds io-block ".linux.resources.blockIO.throttleWriteBpsDevice = [{major: ${disk%:*}, minor: ${disk#*:}, rate: $mebi}]"
    verdict "oci: throttleWriteBpsDevice holds a writer to 1 MiB/s" between 7 "$seconds" 13
    seconds=''
    io_seconds io-unified ".linux.resources.unified = {\"io.max\": \"$disk wbps=$mebi\"}"
    verdict "oci: unified io.max holds a writer to 1 MiB/s" between 7 "$seconds" 13
}

# What programs inside count is what they may have.
views() {
    local out
    out=$(ctr run --rm --name views -m 64M --swap 0 --cpus 1 --net none "$rootfs" -- sh -c 'nproc; grep -c ^processor /proc/cpuinfo; grep -c "^cpu[0-9]" /proc/stat; sed -n "s/^MemTotal: *//p; s/^SwapTotal: *//p" /proc/meminfo; cat /sys/devices/system/cpu/online' | xargs)
    verdict "run: nproc, cpuinfo, stat, free tell of --cpus 1 -m 64M: $out" grep -qE '^1 1 1 65536 kB 0 kB [01]$' <<<"$out"
    ctr run -d --name views --profile system -m 64M --cpus 1 --net none "$rootfs" -- sh -c 'head -c 20000000 /dev/zero >/dev/shm/some; sleep 1000' >/dev/null
    sleep 2
    out=$(ctr exec views sh -c 'sed -n "s/^MemAvailable: *\([0-9]*\).*/\1/p" /proc/meminfo')
    verdict "run: 20 MB in use are not available: $out" between 30000 "$out" 46500
    ctr set views memory=128M cpus=2 >/dev/null
    out=$(ctr exec views sh -c 'nproc; sed -n "s/^MemTotal: *//p" /proc/meminfo; grep -c ^processor /proc/cpuinfo' | xargs)
    verdict "run: a new limit is seen at once: $out" [ "$out" = '2 131072 kB 2' ]
    ctr rm -f views
}

# A hog is killed by its limit, and `ctr info` says which and why.
reasons() {
    ctr run -d --name hog -m 64M --swap 0 --net none "$rootfs" -- sh -c 'sleep 0.5; exec dd if=/dev/zero of=/dev/null bs=200M count=1' >/dev/null
    ctr wait hog >/dev/null
    ctr info hog
    verdict 'run: ctr info names the reason' grep -q 'out of memory, with a limit of 64' <<<"$(ctr info hog)"
    verdict 'run: ctr info names the process' grep -q "the kernel chose 'dd'" <<<"$(ctr info hog)"
    ctr rm hog
}

doors=(oci)
# With another runtime there is nothing to say about ctr.
if [ "$RUNTIME" = ctr-oci ]; then
    if ctr help run >/dev/null 2>&1; then
        doors+=(run)
    else
        echo 'SKIP run: ctr has no verb run in this build'
    fi
fi
for door in "${doors[@]}"; do
    memory "$door"
    cpu "$door"
    pids "$door"
done
io
[ ${#doors[@]} = 1 ] || views
finish
