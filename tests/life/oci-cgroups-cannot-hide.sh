#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A cgroup made inside, whatever its name, is listed, signalled and removed with the container's.
. "$TESTS/life/oci.bash"

bundle b "
no_mount('/sys/fs/cgroup')
mount('/sys/fs/cgroup', type='cgroup', source='cgroup', options=['nosuid', 'noexec', 'nodev'])
c['root']['readonly'] = False
sh('''mkdir -p /sys/fs/cgroup/.hidden/...
(trap 'touch /tmp/heard; exit' USR1; while :; do sleep 0.1; done) &
echo \$! >/sys/fs/cgroup/.hidden/.../cgroup.procs && touch /tmp/ready
trap : USR1
while :; do sleep 0.1; done''')"
oci run -d -b b "$ID" >/dev/null </dev/null || fail "run"
until_true test -e b/rootfs/tmp/ready
[ "$(oci ps --format json "$ID" | tr , '\n' | wc -l)" -ge 2 ] || fail "ps does not see all: $(oci ps --format json "$ID")"
oci kill --all "$ID" USR1
until_true test -e b/rootfs/tmp/heard
oci delete --force "$ID" || fail "delete"
no_traces
