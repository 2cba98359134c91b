#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A filter holds for run, and for exec as well.
. "$TESTS/life/oci.bash"

bundle b "c['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['SCMP_ARCH_X86_64'],
 'syscalls': [{'names': ['mkdir', 'mkdirat'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 95}]}
c['root']['readonly'] = False
sh('grep Seccomp: /proc/self/status; mkdir /tmp/x; mkdir /tmp/x; exec sleep 60')"
oci run -d -b b "$ID" >out 2>&1 </dev/null || fail "run"
until_true grep -q "not supported" out
contains "Seccomp:	2" "$(cat out)" "run"
out=$(oci exec "$ID" sh -c 'grep Seccomp: /proc/self/status; mkdir /tmp/y' 2>&1 </dev/null)
contains "Seccomp:	2" "$out" "exec"
contains "not supported" "$out" "exec"
[ ! -e b/rootfs/tmp/x ] && [ ! -e b/rootfs/tmp/y ] || fail "a refused call had its effect"
