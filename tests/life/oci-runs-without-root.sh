#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An ordinary user runs what `spec --rootless` makes: one id, no cgroup, states below XDG_RUNTIME_DIR; with newuidmap more
# ids; root of a user namespace too, as under podman. What needs a cgroup is refused, and nothing is left.
. "$TESTS/life/oci.bash"
command -v setpriv >/dev/null || skip "needs setpriv"

home=/mnt # tests have a mount namespace of their own; their directory may be entered by root alone
mount -t tmpfs -o mode=755 tmpfs $home && cp "$CTR_OCI" $home/ctr-oci && rootfs $home/rootfs || fail "cannot prepare"
mkdir $home/run $home/b && mv $home/rootfs $home/b/rootfs && chown -R 65534:65534 $home/run $home/b || fail "cannot prepare"
trap 'user delete --force "$ID" >/dev/null; umount -l $home' EXIT
user() {
	(cd $home/b && timeout 20 setpriv --reuid 65534 --regid 65534 --clear-groups ${FEW---bounding-set=-all} \
		env -i PATH="$PATH" XDG_RUNTIME_DIR=$home/run $home/ctr-oci "$@" 2>&1)
}
setpriv --reuid 65534 --regid 65534 --clear-groups unshare -U true 2>/dev/null || skip "users may not make user namespaces here"
edit() { change $home/b "$1" && chown 65534:65534 $home/b/config.json; }

equal "" "$(user spec --rootless)" "spec --rootless"
edit "c['process']['terminal'] = False
sh('id -u; hostname; cat /proc/self/uid_map; echo \$\$; touch /dev/shm/x; head -c 1 /dev/zero | wc -c; cat /proc/self/oom_score_adj')
c['process']['oomScoreAdj'] = 200; c['root']['readonly'] = True; c['hostname'] = 'inside'"
equal "0 inside 0 65534 1 1 1 200" "$(user run "$ID" </dev/null | tr -s ' \n' ' ' | sed 's/^ //; s/ $//')" "run"
equal 0 "$(find $home/run -mindepth 2 ! -name .open | wc -l)" "states that are left"

edit "sh('sleep 60')"
(user create --pid-file $home/run/pid "$ID" >$home/run/out </dev/null) || fail "create: $(cat $home/run/out)"
equal "$ID" "$(user list -q)" "list"
contains '"owner": "nobody"' "$(user state "$ID")" "the owner"
equal "" "$(user start "$ID" </dev/null)" "start"
contains '"status": "running"' "$(user state "$ID")" "started"
equal 65534 "$(stat -c %u "/proc/$(cat $home/run/pid)/root/bin")" "the user's own files"
equal "uid=0 gid=0 /" "$(user exec "$ID" sh -c 'echo $(id | cut -d" " -f1,2) $(pwd)' </dev/null)" "exec"
equal 200 "$(user exec "$ID" cat /proc/self/oom_score_adj </dev/null)" "oomScoreAdj of exec"
for verb in pause "update -r -" "events --stats"; do
	# shellcheck disable=SC2086
	contains "no cgroup" "$(user $verb "$ID" <<<"{}")" "$verb without a cgroup"
done
contains "not stopped" "$(user delete "$ID")" "delete of a running one"
equal "" "$(user kill "$ID" KILL)" "kill"
equal "" "$(user delete --force "$ID")" "delete --force"
equal "" "$(user list -q)" "list after delete"

edit "c['linux']['resources'] = {'memory': {'limit': 1 << 26}}"
contains "cannot be written to" "$(user run "$ID" </dev/null)" "a limit"
edit "del c['linux']['resources']
c['linux']['uidMappings'] = [{'containerID': 0, 'hostID': 65534, 'size': 1}, {'containerID': 1, 'hostID': 100000, 'size': 65535}]
c['linux']['gidMappings'] = [{'containerID': 0, 'hostID': 65534, 'size': 1}, {'containerID': 1, 'hostID': 100000, 'size': 65535}]
sh('cat /proc/self/uid_map | wc -l')"
if command -v newuidmap >/dev/null; then
	# as its owner would be given them; the host's own files are not touched
	echo nobody:100000:65536 >$home/subid && mount --bind $home/subid /etc/subuid && mount --bind $home/subid /etc/subgid
	equal 2 "$(FEW='' user run "$ID" </dev/null)" "more than one id" # newuidmap is setuid
	umount /etc/subuid /etc/subgid
else
	contains newgidmap "$(user run "$ID" </dev/null)" "more than one id without newgidmap"
fi
equal "" "$(user list -q)" "after failures"

# root of a user namespace that is not the host's
edit "c['linux']['uidMappings'] = c['linux']['gidMappings'] = [{'containerID': 0, 'hostID': 0, 'size': 1}]
sh('id -u; cat /proc/self/uid_map')"
equal "0 0 0 1" "$(cd $home/b && timeout 20 setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Urm env \
	XDG_RUNTIME_DIR=$home/run $home/ctr-oci run "$ID" 2>&1 </dev/null | tr -s ' \n' ' ' | sed 's/ $//')" "in a user namespace"
