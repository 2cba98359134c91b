#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All five sets, for run and exec, as root and as a user; no_new_privs; CVE-2022-29162: nothing inheritable unless asked.
. "$TESTS/life/oci.bash"

sets() { awk '/^Cap/ { print $1 $2 } /^NoNewPrivs/ { print $1 $2 }' | tr '\n' ' '; }
mask() { printf '%016x' $(($1)); }
kill=$((1 << 5)) chown=$((1 << 0)) net=$((1 << 10)) audit=$((1 << 29))

bundle b "c['process']['capabilities'] = {
 'bounding': ['CAP_KILL', 'CAP_CHOWN', 'CAP_NET_BIND_SERVICE'], 'permitted': ['CAP_KILL', 'CAP_CHOWN'],
 'effective': ['CAP_KILL'], 'inheritable': [], 'ambient': []}
c['process']['noNewPrivileges'] = True
c['process']['args'] = ['/bin/cat', '/proc/self/status']"
# execve as root raises the effective set to all that is permitted; and the permitted to the bounding set, but for no_new_privs
equal "CapInh:$(mask 0) CapPrm:$(mask $((kill | chown))) CapEff:$(mask $((kill | chown))) CapBnd:$(mask $((kill | chown | net))) CapAmb:$(mask 0) NoNewPrivs:1 " \
	"$(oci run -b b "$ID" </dev/null | sets)" "root"

change b "c['process']['user'] = {'uid': 1000, 'gid': 1000}"
equal "CapInh:$(mask 0) CapPrm:$(mask 0) CapEff:$(mask 0) CapBnd:$(mask $((kill | chown | net))) CapAmb:$(mask 0) NoNewPrivs:1 " \
	"$(oci run -b b "$ID" </dev/null | sets)" "a user"

change b "c['process']['capabilities'].update(inheritable=['CAP_KILL', 'CAP_CHOWN'], ambient=['CAP_KILL'])
c['process']['noNewPrivileges'] = False"
equal "CapInh:$(mask $((kill | chown))) CapPrm:$(mask $kill) CapEff:$(mask $kill) CapBnd:$(mask $((kill | chown | net))) CapAmb:$(mask $kill) NoNewPrivs:0 " \
	"$(oci run -b b "$ID" </dev/null | sets)" "a user with ambient capabilities"

change b "c['process']['capabilities'] = {}"
equal "CapInh:$(mask 0) CapPrm:$(mask 0) CapEff:$(mask 0) CapBnd:$(mask 0) CapAmb:$(mask 0) NoNewPrivs:0 " \
	"$(oci run -b b "$ID" </dev/null | sets)" "no capabilities"

# exec: as the container, with additions that never become inheritable
bundle b "c['process']['args'] = ['/bin/sleep', '60']
c['process']['capabilities'] = {k: ['CAP_KILL'] for k in ('bounding', 'permitted', 'effective')}"
oci run -d -b b "$ID" >/dev/null </dev/null || fail "run -d"
equal "CapInh:$(mask 0) CapPrm:$(mask $kill) CapEff:$(mask $kill) CapBnd:$(mask $kill) CapAmb:$(mask 0) NoNewPrivs:1 " \
	"$(oci exec "$ID" cat /proc/self/status </dev/null | sets)" "exec"
equal "CapInh:$(mask 0) CapPrm:$(mask $((kill | audit))) CapEff:$(mask $((kill | audit))) CapBnd:$(mask $((kill | audit))) CapAmb:$(mask 0) NoNewPrivs:1 " \
	"$(oci exec --cap CAP_AUDIT_WRITE "$ID" cat /proc/self/status </dev/null | sets)" "exec --cap"
refused oci exec --cap CAP_NO_SUCH "$ID" true
contains CAP_NO_SUCH "$REFUSAL" "an unknown capability"
