#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What callers, hooks and payloads are used to from runc and crun, each once seen to be missing by their own test suites.
. "$TESTS/life/oci.bash"

# with a pty, `create` holds nobody up who reads what it prints
mkdir s
python3 -c "
import array, socket
s = socket.socket(socket.AF_UNIX); s.bind('s/sock'); s.listen(1); s.settimeout(20)
c, _ = s.accept(); kept = c.recvmsg(100, 100); c.recv(1); open('s/over', 'w'); s.accept()" 2>/dev/null &
terminal=$!
until_true test -S s/sock
bundle b "c['process']['terminal'] = True; sh('sleep 100')"
out=$(timeout 10 "$CTR_OCI" --root "$ROOT" create -b b --console-socket s/sock "$ID" </dev/null 2>&1) || fail "create: its output is not over: $out"
kill $terminal
oci delete -f "$ID" || fail "delete"

# a cgroup that is frozen is refused, and nobody stops in it for ever
cg=$(awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' /proc/self/mountinfo)
mkdir "$cg/$ID" && echo 1 >"$cg/$ID/cgroup.freeze"
bundle b "c['linux']['cgroupsPath'] = '/$ID'"
refused timeout 10 "$CTR_OCI" --root "$ROOT" run -b b "$ID"
contains frozen "$REFUSAL" "a frozen cgroup"
rmdir "$cg/$ID"

# hooks: the caller's environment if they have none, the bundle as working directory, and the root where the bundle has it, also for
# who enters the mount namespace from outside
bundle b "
for point in ('prestart', 'createRuntime', 'createContainer'):
    c['hooks'] = c.get('hooks', {})
    c['hooks'][point] = [{'path': '/bin/sh', 'args': ['sh', '-c', 'echo %s \$WORD \$(pwd) >>$PWD/told' % point]}]
c['hooks']['createContainer'].append({'path': '/bin/sh', 'args': ['sh', '-c', 'test -e rootfs/proc/self && echo sees >>$PWD/told']})
c['hooks']['createRuntime'].append({'path': '/bin/sh', 'args': ['sh', '-c',
    'p=\$(sed -n \"s/.*\\\\\"pid\\\\\": *\\\\([0-9]*\\\\).*/\\\\1/p\"); nsenter -t \$p -m test -e $PWD/b/rootfs/proc/1/status && echo enters >>$PWD/told']})
c['annotations'] = {'run.oci.hooks.stdout': '$PWD/printed'}
c['hooks']['prestart'].append({'path': '/bin/echo', 'args': ['echo', 'a word']})"
WORD=word oci run -b b "$ID" || fail "hooks: $(cat told)"
for point in prestart createRuntime createContainer; do grep -qx "$point word $PWD/b" told || fail "$point: $(cat told)"; done
grep -qx sees told || fail "createContainer does not see the root: $(cat told)"
grep -qx enters told || fail "who enters does not see the root: $(cat told)"
equal 'a word' "$(cat printed)" "run.oci.hooks.stdout"

# inheritable capabilities that are not permitted; an idle io priority; no limit without a controller; the same domain name twice
bundle b "
c['process']['capabilities'] = {'bounding': ['CAP_CHOWN'], 'inheritable': ['CAP_CHOWN']}
c['process']['ioPriority'] = {'class': 'IOPRIO_CLASS_IDLE'}
c['linux']['resources']['pids'] = {'limit': -1}
c['domainname'] = 'd'; c['linux']['sysctl'] = {'kernel.domainname': 'd'}
sh('grep CapInh /proc/self/status; cat /proc/sys/kernel/domainname')"
equal "$(printf 'CapInh:\t0000000000000001\nd')" "$(oci run -b b "$ID")" "what the bundle asked for"
change b "c['linux']['sysctl'] = {'kernel.domainname': 'e'}"
refused oci run -b b "$ID"
change b "c['linux']['sysctl'] = {'kernel.hostname': 'e'}; c.pop('hostname', None)"
refused oci run -b b "$ID"

# without a cgroup namespace its cgroup is where /proc says
bundle b "namespaces('mount', 'ipc', 'uts', 'pid'); no_mount('/sys/fs/cgroup'); mount('/sys/fs/cgroup', type='cgroup', source='cgroup', options=['ro'])
sh('test -e /sys/fs/cgroup\$(sed -n s/^0:://p /proc/self/cgroup)/cgroup.procs && echo there')"
equal there "$(oci run -b b "$ID")" "its cgroup, seen from the host's"

# the caller's affinity is not the container's
bundle b "sh('grep Cpus_allowed_list /proc/self/status; exec sleep 60')"
all=$(grep Cpus_allowed_list /proc/self/status)
taskset -c 0 "$CTR_OCI" --root "$ROOT" run -d -b b "$ID" >out </dev/null || fail "run -d"
until_true test -s out
equal "$all" "$(cat out)" "the processors of a container whose caller has one"
equal "$all" "$(taskset -c 0 "$CTR_OCI" --root "$ROOT" exec "$ID" grep Cpus_allowed_list /proc/self/status </dev/null)" "those of exec"
oci delete -f "$ID"

# crun's annotations
bundle b "c['annotations'] = {'run.oci.keep_original_groups': '1'}; sh('grep Groups /proc/self/status')"
contains "$(printf '\t7 8')" "$(setpriv --groups 7,8 "$CTR_OCI" --root "$ROOT" run -b b "$ID")" "kept groups"
bundle b "c['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': [{'names': ['no_such_call'], 'action': 'SCMP_ACT_ERRNO'}]}"
oci run -b b "$ID" || fail "an unknown system call is passed over"
change b "c['annotations'] = {'run.oci.seccomp_fail_unknown_syscall': '1'}"
refused oci run -b b "$ID"

# a payload that is somebody else can open its standard output again
bundle b "c['process']['user'] = {'uid': 77, 'gid': 78}; sh('echo again >>/proc/self/fd/1; stat -L -c %u:%g /proc/self/fd/1')"
oci run -b b "$ID" >>file || fail "its own output: $(cat file)"
equal "$(printf 'again\n77:78')" "$(cat file)" "its own output"

# mounts: a tmpfs without a mode has that of what it hides; a source that an earlier mount brought; a target that is a link to nothing yet,
# made where it leads inside; a path that is masked twice
bundle b "
mount('/data', type='tmpfs', source='tmpfs')
mount('/mnt', type='bind', source='$PWD/outer', options=['rbind'])
mount('/again', type='bind', source='$PWD/b/rootfs/mnt/x', options=['bind'])
mount('/etc/link', type='bind', source='$PWD/outer/x/file', options=['bind'])
mount('/srv/d/e', type='bind', source='$PWD/outer', options=['bind'])
c['linux']['maskedPaths'] = ['/tmp', '/tmp']
sh('stat -c %a /data; cat /again/file /elsewhere/far/file /s/d/e/x/file; grep -c \" /tmp \" /proc/self/mountinfo')"
mkdir -p outer/x && echo word >outer/x/file
mkdir -m 710 b/rootfs/data && ln -s ../elsewhere/far/file b/rootfs/etc/link && ln -s /../s b/rootfs/srv
change b "c['root']['readonly'] = False"
equal "$(printf '710\nword\nword\nword\n1')" "$(oci run -b b "$ID")" "mounts"
[ -f b/rootfs/elsewhere/far/file ] && [ ! -e elsewhere ] || fail "the link led elsewhere"

# a process read from a pipe
bundle b "sh('sleep 100')"
create -b b "$ID" && oci start "$ID"
equal hello "$(echo '{"args": ["/bin/echo", "hello"], "cwd": "/"}' | oci exec --process /dev/stdin "$ID")" "a process from a pipe"
oci delete -f "$ID"

# without a pid namespace KILL is for all, also when the first one is gone; what is created and waits heeds TERM
bundle b "namespaces('mount', 'ipc', 'uts', 'network', 'cgroup'); no_mount('/proc'); c['linux'].update(maskedPaths=[], readonlyPaths=[]); sh('sleep 101 & sleep 102')"
create -b b "$ID" && oci start "$ID"
pid=$(pid_of "$ID")
until_true pgrep -P "$pid" -f 'sleep 101'
other=$(pgrep -P "$pid" -f 'sleep 101')
kill -9 "$pid"
until_true is_status "$ID" stopped
oci kill "$ID" KILL || fail "kill KILL"
gone() { ! grep -q '^State:[[:space:]]*[RSD]' "/proc/$other/status"; }
until_true gone
oci delete "$ID"
bundle b "sh('sleep 100')"
create -b b "$ID"
oci kill "$ID" TERM
until_true is_status "$ID" stopped
oci delete "$ID"

# many at once
for k in 1 2 3; do bundle b$k "sh('sleep 100')"; create -b b$k "$ID-$k"; done
oci delete --force --regex "^$ID-[12]\$" || fail "delete --regex"
equal "$ID-3" "$(oci list -q)" "what the expression does not match"
oci delete --force "$ID-3"
no_traces

# what sched_setattr(2) calls invalid is said
deadline() { # SCHEDULER TEXT
	bundle d "c['process']['args'] = ['/bin/true']; c['process']['scheduler'] = dict(policy='SCHED_DEADLINE', $1)"
	refused oci run -b d "$ID"
	contains "sched_setattr: \`SCHED_DEADLINE\` $2" "$REFUSAL" "$1"
}
deadline 'deadline=20000000, period=20000000' 'requires `runtime`'
deadline 'runtime=10000000, period=20000000' 'requires `deadline`'
deadline 'runtime=0, deadline=20000000' 'runtime must be greater than 0'
deadline 'runtime=500, deadline=20000000' 'runtime 500 must be between'
deadline 'runtime=30000000, deadline=20000000' 'runtime 30000000 must be <= deadline 20000000'
deadline 'runtime=10000000, deadline=20000000, period=15000000' 'deadline 20000000 must be <= period 15000000'

# options of the cgroup file system reach it
bundle g "c['process']['args'] = ['/bin/true']
for m in c['mounts']:
    if m['destination'] == '/sys/fs/cgroup': m['options'] = m.get('options', []) + ['nosuchoption']"
refused oci run -b g "$ID"
contains nosuchoption "$REFUSAL" "an option of cgroup2 that there is not"
