#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# startContainer hooks are programs of the image: they have the payload's user, capabilities, filter and environment.
. "$TESTS/life/oci.bash"

cat >hook <<'SH'
#!/bin/sh
cat >/dev/null
{ grep -E '^(Uid|Gid|Groups|Cap|NoNew|Seccomp)' /proc/self/status; echo "$WORD"; pwd; ls -l /proc/self/fd | wc -l; } >/tmp/"$1"
SH
for nnp in True False; do
	for uid in 0 1000; do
		bundle b "
c['process']['args'] = ['/bin/hook', 'payload']
c['process']['user'] = {'uid': $uid, 'gid': $uid, 'additionalGids': [7]}
c['process']['noNewPrivileges'] = $nnp
c['process']['env'] = ['PATH=/bin', 'WORD=hello']
c['process']['cwd'] = '/etc'
c['root']['readonly'] = False
c['hooks'] = {'startContainer': [{'path': '/bin/hook', 'args': ['hook', 'hook']}]}
c['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': [{'names': ['reboot'], 'action': 'SCMP_ACT_ERRNO'}]}"
		install -m 755 hook b/rootfs/bin/hook && chmod 777 b/rootfs/tmp
		oci run -b b "$ID" </dev/null || fail "run"
		contains "$uid	$uid	$uid	$uid" "$(cat b/rootfs/tmp/hook)" "the user of the hook"
		equal "$(cat b/rootfs/tmp/payload)" "$(cat b/rootfs/tmp/hook)" "the hook, with uid $uid and noNewPrivileges $nnp"
	done
done
