#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The sweep over `run` again, for a bundle with all that the default one does not have: a user namespace, namespaces that are
# joined by path, hooks of each kind, limits, sysctls, binds, a terminal that is sent to a console socket.
# timeout: 900
. "$TESTS/life/sweep.bash"

# Somebody else's network, host name and ipc namespace; and those of somebody with a user namespace.
unshare --net --uts --ipc sleep 1000 &
holder=$!
unshare --user --net --uts --ipc sleep 1000 &
user_holder=$!
"$BUILD/tests/life/recvtty" "$PWD/console.sock" terminal.out &
receiver=$!
trap 'kill $holder $user_holder $receiver' EXIT
for pid in $holder $user_holder; do
	for ((i = 0; i < 100; i++)); do
		[ "$(readlink /proc/$pid/ns/ipc)" = "$(readlink /proc/self/ns/ipc)" ] || break
		sleep 0.02
	done
done
echo 0 100000 65536 >/proc/$user_holder/uid_map && echo 0 100000 65536 >/proc/$user_holder/gid_map || exit 1

echo text >file && mkdir directory
printf '#!/bin/sh\ncat >/dev/null\nexit 0\n' >hook && chmod +x hook
many="
import os
cwd = os.getcwd()
c['process']['terminal'] = True
c['process']['consoleSize'] = {'height': 24, 'width': 80}
c['process']['rlimits'] = [{'type': 'RLIMIT_NOFILE', 'soft': 200, 'hard': 300}]
c['process']['user'] = {'uid': 1000, 'gid': 1000, 'additionalGids': [44]}
c['process']['oomScoreAdj'] = 100
c['mounts'] += [{'destination': '/tmp/f', 'source': cwd + '/file', 'options': ['bind', 'ro']},
                {'destination': '/tmp/d', 'source': cwd + '/directory', 'options': ['rbind', 'nosuid']}]
hook = {'path': cwd + '/hook', 'timeout': 5}
c['hooks'] = {k: [hook] for k in ('prestart', 'createRuntime', 'poststart', 'poststop')}
"
joins="
for n in c['linux']['namespaces']:
    if n['type'] in ('network', 'uts', 'ipc', 'user'):
        n['path'] = '/proc/%s/ns/' % holder + {'network': 'net'}.get(n['type'], n['type'])
c.pop('hostname')
"
make_bundle joined "$many
holder = $holder$joins"
make_bundle joined-user "$many
c['linux']['namespaces'].append({'type': 'user'})
holder = $user_holder$joins"
idmap=
! command -v findmnt >/dev/null || [[ $(findmnt -no FSTYPE -T .) != ext4 ]] || idmap=", 'idmap'"
make_bundle user "$many
c['linux']['namespaces'].append({'type': 'user'})
c['linux']['uidMappings'] = c['linux']['gidMappings'] = [{'containerID': 0, 'hostID': 100000, 'size': 65536}]
c['linux']['sysctl'] = {'net.ipv4.ip_forward': '1', 'kernel.shmmni': '100'}
c['mounts'].append({'destination': '/tmp/among', 'source': cwd + '/user/rootfs/tmp/d', 'options': ['rbind', 'ro'$idmap]})
"
chmod -R go+rX . && chown -R 100000:100000 user/rootfs joined-user/rootfs
cat >detached <<'SH'
rm -f terminal.out
"$1" --root "$2" run -d --console-socket "$PWD/console.sock" --pid-file pid -b "$3" "$4"
SH
# What the terminal got, once the payload is over; a payload that is killed may have said less.
check() {
	local i
	if [ "$1" = 0 ]; then
		wait_for_file terminal.out || complain "$2: no terminal was sent"
	else
		# the terminal may have been sent and its payload killed: then all that it said is there soon
		[ ! -e terminal.out.part ] || sleep 0.05
	fi
	cp terminal.out out 2>/dev/null || : >out
	if [ "$1" = 0 ] && [[ $2 != kill* ]]; then
		cmp -s out reference || complain "$2: confined otherwise: $(diff reference out)"
	else
		as_confined "$2"
	fi
	delete_leaves_nothing "$2"
	[ "$1" = 0 ] || [[ $2 = kill* ]] || [ ! -e pid ] || complain "$2: a pid file is left"
	rm -f pid
}
# shellcheck disable=SC2034 # read by sweep.bash
INJECT_OPTIONS=(-p "$CTR_OCI")
# EPERM: it may belong to the user namespace that is joined next, after which it is tried again
tolerated+=('open?(at) /proc/*/ns/* (ctr, child)' 'setns * (ctr, child)')
for bundle in joined joined-user user; do
	rm -f reference
	bash detached "$CTR_OCI" "$ROOT" $bundle "$ID" >out 2>&1 && wait_for_file terminal.out && cp terminal.out reference ||
		{ echo "bundle $bundle: $(cat out)"; exit 1; }
	"${OCI[@]}" delete --force "$ID" || exit 1
	sweep fail 90 bash detached "$CTR_OCI" "$ROOT" $bundle "$ID"
	sweep kill 90 bash detached "$CTR_OCI" "$ROOT" $bundle "$ID"
done
[ $bad = 0 ]
