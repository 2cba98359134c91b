#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SCMP_ACT_NOTIFY: the listener comes with the container's state to listenerPath, for run, start and exec; calls of the runtime
# itself may be notified too; without who listens nothing runs.
. "$TESTS/life/oci.bash"

cat >agent.py <<'PY'
# Takes what is sent to the socket, writes its text, and answers: mkdir fails with "No space left", all else goes on.
import array, errno, fcntl, os, socket, struct, sys, threading
MKDIR = int(sys.argv[3])
def serve(fd):
    while True:
        notif = bytearray(80)
        try:
            fcntl.ioctl(fd, 0xc0502100, notif)
            id, pid, flags, nr = struct.unpack_from('QIIi', notif)
            answer = (id, 0, -errno.ENOSPC, 0) if nr == MKDIR else (id, 0, 0, 1)
            fcntl.ioctl(fd, 0xc0182101, struct.pack('QqiI', *answer))
        except OSError as e:
            if e.errno != errno.ENOENT:
                return
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(4)
while True:
    c, _ = s.accept()
    text, fds, flags, addr = socket.recv_fds(c, 65536, 4)
    open(sys.argv[2], 'ab').write(text + b'\n')
    threading.Thread(target=serve, args=(fds[0],), daemon=True).start()
PY
mkdir_number=$(python3 -c 'import platform; print({"x86_64": 83, "aarch64": 34}.get(platform.machine(), ""))')
[ -n "$mkdir_number" ] || skip "the number of mkdir is not known here"
python3 agent.py agent.sock states "$mkdir_number" 2>agent.err &
agent=$!
trap 'kill $agent; for id in $(oci list -q 2>/dev/null); do oci delete --force "$id"; done' EXIT
until_true test -S agent.sock

bundle b "c['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ALLOW', 'listenerPath': '$PWD/agent.sock', 'listenerMetadata': 'mine',
    'syscalls': [{'names': ['mkdir', 'mkdirat', 'execve', 'recvmsg', 'close', 'poll', 'setresuid', 'setresgid', 'capset', 'prctl',
        'chdir', 'getcwd'], 'action': 'SCMP_ACT_NOTIFY'}]}
c['annotations'] = {'k': 'v'}
sh('mkdir /tmp/x; echo done')"
wanted="mkdir: can't create directory '/tmp/x': No space left on device
done"
no_new_privs() { change b "c['process']['noNewPrivileges'] = $1"; }
for nnp in True False; do # the filter is installed after or before privileges are dropped
	no_new_privs $nnp
	equal "$wanted" "$(timeout 20 "$CTR_OCI" --root "$ROOT" run -b b "$ID" 2>&1 </dev/null)" "run, noNewPrivileges $nnp"
done
change b "sh('mkdir /tmp/x 2>/out; exec sleep 60')
c['root']['readonly'] = False"
create -b b "$ID"
timeout 20 "$CTR_OCI" --root "$ROOT" start "$ID" || fail start
until_true grep -q "No space" b/rootfs/out
equal "mkdir: can't create directory '/tmp/y': No space left on device" \
	"$(timeout 20 "$CTR_OCI" --root "$ROOT" exec "$ID" mkdir /tmp/y 2>&1 </dev/null)" exec
python3 - "$ID" "$(pid_of "$ID")" <<'PY' || fail "the state: $(cat states)"
import json, sys
states = [json.loads(line) for line in open('states')]
assert len(states) == 4, states
for s in states:
    assert s['fds'] == ['seccompFd'] and s['metadata'] == 'mine' and s['ociVersion'] and s['pid'] > 0
    assert s['state']['id'] == sys.argv[1] and s['state']['bundle'] and s['state']['annotations'] == {'k': 'v'}
assert states[2]['pid'] == states[2]['state']['pid'] == int(sys.argv[2])
PY
oci delete --force "$ID" || fail delete

kill $agent && rm agent.sock
refused timeout 20 "$CTR_OCI" --root "$ROOT" run -b b "$ID"
contains listenerPath "$REFUSAL" "run without a listener"
create -b b "$ID"
refused timeout 20 "$CTR_OCI" --root "$ROOT" start "$ID"
contains listenerPath "$REFUSAL" "start without a listener"
until_true is_status "$ID" stopped
oci delete "$ID" || fail delete
change b "del c['linux']['seccomp']['listenerPath']; del c['linux']['seccomp']['listenerMetadata']"
refused oci run -b b "$ID"
contains listenerPath "$REFUSAL" "no path"
no_traces
