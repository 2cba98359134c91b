#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Older kernels, and sandboxes around us: each system call that is newer than Linux 5.0 is refused, alone and with others, by
# ENOSYS and by EPERM. A container is then as confined as without that, or there is one line that says why it cannot be.
# timeout: 120
. "$TESTS/life/sweep.bash"

refuse=$BUILD/tests/life/refuse
mount=fsopen,fsconfig,fsmount,open_tree,open_tree_attr,move_mount,mount_setattr
bad=0 same=0 refused=0

mkdir source source/below && echo text >file && ln -s file link
mount -t tmpfs -o nosuid,noexec,nodev sweep source && mount -t tmpfs sweep source && mkdir source/dir
make_bundle plain
make_bundle many "
from os import getcwd as cwd
for d in ('rec', 'one', 'quiet', 'strict'):
    c['mounts'].append({'destination': '/tmp/' + d, 'source': cwd() + '/source', 'options': {
        'rec': ['rbind', 'ro'], 'one': ['bind', 'ro', 'nodev', 'nosymfollow', 'nodiratime'],
        'quiet': ['bind', 'noatime', 'private'], 'strict': ['bind', 'strictatime', 'suid']}[d]})
c['mounts'].append({'destination': '/tmp/file', 'source': cwd() + '/file', 'options': ['bind', 'ro', 'noexec']})
c['mounts'].append({'destination': '/tmp/scratch', 'type': 'tmpfs', 'options': ['nosuid', 'noatime', 'size=64k', 'mode=711']})
c['linux']['readonlyPaths'] += ['/tmp/quiet/dir', '/tmp/scratch']
c['linux']['maskedPaths'] += ['/tmp/strict/dir', '/tmp/file']
c['linux']['rootfsPropagation'] = 'rslave'
c['root']['readonly'] = True
"
# The root itself on a file system with options that must not get lost.
mount -t tmpfs -o nosuid,nodev sweep source && mkdir source/rootfs && cp -a plain/rootfs/. source/rootfs
make_bundle cgroup-shared "
c['linux']['namespaces'] = [n for n in c['linux']['namespaces'] if n['type'] != 'cgroup']
c['root'] = {'path': '$PWD/source/rootfs', 'readonly': True}
"
make_bundle user "
c['linux']['namespaces'].append({'type': 'user'})
c['linux']['uidMappings'] = c['linux']['gidMappings'] = [{'containerID': 0, 'hostID': 100000, 'size': 65536}]
c['mounts'].append({'destination': '/tmp/file', 'source': '$PWD/file', 'options': ['bind', 'ro']})
"
make_bundle terminal "c['process']['terminal'] = True; c['process']['consoleSize'] = {'height': 24, 'width': 80}"
chmod -R go+rX . && chown -R 100000:100000 user/rootfs
"$BUILD/tests/life/recvtty" "$PWD/console.sock" terminal.out &
trap 'kill $!' EXIT

run() { # BUNDLE COMMAND...: its output in out, the exit code
	local bundle=$1 code
	shift
	rm -f out terminal.out
	if [ "$bundle" = terminal ]; then
		"$@" "${OCI[@]}" run -d --console-socket "$PWD/console.sock" -b terminal "$ID" 2>err
		code=$?
		[ $code != 0 ] || wait_for_file terminal.out || code=124
		mv terminal.out out 2>/dev/null || :
		return $code
	fi
	"$@" "${OCI[@]}" run -b "$bundle" "$ID" >out 2>err
}

# try BUNDLE ERRNO CALLS: as with no call refused, or one line
try() {
	local what="bundle $1 without $3 (errno $2)" code
	run "$1" "$refuse" -e "$2" "$3"
	code=$?
	if [ $code = 0 ]; then
		same=$((same + 1))
		cmp -s out "reference.$1" || { echo "$what is confined otherwise:"; diff "reference.$1" out; bad=1; }
	else
		refused=$((refused + 1))
		[ $code -lt 126 ] || { echo "$what: exit code $code"; bad=1; }
		[ "$(wc -l <err)" = 1 ] || { echo "$what: not one line of error: $(cat err)"; bad=1; }
		case $4 in must) echo "$what: $(cat err)" && bad=1 ;; esac
	fi
	"${OCI[@]}" delete --force "$ID" || bad=1
	nothing_left "$what" || bad=1
	return 0
}

for bundle in plain many cgroup-shared user terminal; do
	# uselib(2) is what nobody uses: another filter around, as there is one in all that is compared with this
	run $bundle "$refuse" uselib || { echo "bundle $bundle: $(cat err)"; exit 1; }
	mv out reference.$bundle
	"${OCI[@]}" delete --force "$ID" || exit 1
	[ $bundle = user ] && must=may || must=must
	for errno in 38 1; do
		for calls in $mount fsopen open_tree,open_tree_attr mount_setattr,open_tree_attr open_tree_attr fsopen,open_tree,open_tree_attr \
			fsopen,mount_setattr,open_tree_attr open_tree,mount_setattr,open_tree_attr \
			close_range faccessat2,memfd_create,statx,rseq,epoll_pwait2; do
			try $bundle $errno $calls $must
		done
		for calls in move_mount fsmount fsconfig openat2 clone3 pidfd_open pidfd_send_signal execveat seccomp bpf,keyctl; do
			try $bundle $errno $calls may
		done
	done
done

# What is needed is named.
for call in openat2 clone3; do
	"$refuse" $call "${OCI[@]}" run -b plain "$ID" 2>&1 | grep -q 'Linux 5.8' ||
		{ echo "without $call it is not said which kernel is needed"; bad=1; }
done

# A path that is to be read-only with what is mounted below it: mount(2) cannot do that at once, so it is not done by halves.
make_bundle below "c['mounts'] += [{'destination': '/tmp/a', 'type': 'tmpfs'}, {'destination': '/tmp/a/b c', 'type': 'tmpfs'}]
c['linux']['readonlyPaths'] = ['/tmp/a']"
"${OCI[@]}" run -b below "$ID" | grep -c '^mount /tmp/a.* ro' | grep -qx 2 || { echo "not both read-only"; bad=1; }
! "$refuse" mount_setattr,open_tree_attr "${OCI[@]}" run -b below "$ID" >out 2>err || { echo "half read-only:"; cat out; bad=1; }
grep -q 'mounts below it' err || { echo "not the reason: $(cat err)"; bad=1; }

echo "$same as confined, $refused refused"
umount source source source
[ $bad = 0 ]
