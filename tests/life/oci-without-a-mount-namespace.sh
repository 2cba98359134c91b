#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A container without a mount namespace is in its caller's, and has its root and its mounts all the same: none of them is seen there.
. "$TESTS/life/oci.bash"

without="c['linux']['namespaces'] = [n for n in c['linux']['namespaces'] if n['type'] != 'mount']"
bundle b "$without
sh('cat /proc/self/mountinfo >/tmp/mounts; exec sleep 60')
c['root']['readonly'] = False
mount('/data', type='bind', source='$PWD/data', options=['rbind', 'ro'])
mount('/tmp', type='tmpfs', source='tmpfs', options=['nosuid'])"
mkdir data && echo content >data/file
if ! oci run -d -b b "$ID" >out 2>&1 </dev/null; then
	contains "before Linux 6.15" "$(cat out)" "refusal"
	no_traces
	skip "this kernel cannot mount on what is not attached"
fi
equal "$(readlink /proc/self/ns/mnt)" "$(readlink "/proc/$(pid_of "$ID")/ns/mnt")" "the mount namespace"
lacks "$PWD/b/rootfs" "$(cat /proc/self/mountinfo)" "mounts of the caller"
inside() { oci exec "$ID" sh -c "$1" </dev/null; }
equal "bin data dev etc proc sys tmp" "$(inside 'ls /' | tr '\n' ' ' | sed 's/ $//')" "the root of exec"
equal content "$(inside 'cat /data/file')" "a volume"
contains "Read-only" "$(inside 'touch /data/x' 2>&1)" "a read-only volume"
contains "Read-only" "$(inside 'echo x >/proc/sys/kernel/domainname' 2>&1)" "a read-only path"
equal "" "$(inside 'cat /proc/timer_list')" "a masked path"
equal 1 "$(inside 'test -c /dev/null && echo 1')" "a device"
oci exec -t --console-socket none "$ID" true </dev/null 2>/dev/null && fail "a console socket that is not there"
oci delete --force "$ID" || fail delete
no_traces
[ -z "$(find b/rootfs/tmp b/rootfs/dev b/rootfs/data -mindepth 1)" ] || fail "mounts went through to the root file system"

bundle b "$without
c['root']['readonly'] = True
sh('touch /x')"
contains "Read-only" "$(oci run -b b "$ID" 2>&1 </dev/null)" "a read-only root"

bundle b "$without
c['hooks'] = {'createRuntime': [{'path': '/bin/true'}], 'createContainer': [{'path': '/bin/true'}], 'startContainer': [{'path': '/bin/true'}]}"
oci run -b b "$ID" </dev/null || fail "with hooks"

bundle b "$without
c['linux']['namespaces'].append({'type': 'user'})
c['linux']['uidMappings'] = c['linux']['gidMappings'] = [{'containerID': 0, 'hostID': 100000, 'size': 1000}]"
refused oci run -b b "$ID"
contains "needs a mount namespace" "$REFUSAL" "a user namespace"
bundle b "$without
c['linux']['rootfsPropagation'] = 'shared'"
refused oci run -b b "$ID"
contains rootfsPropagation "$REFUSAL" "propagation"
no_traces
