#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Six kinds of hooks, each at its moment, with the state on its standard input; one that fails undoes everything, but after start and
# stop it does not.
. "$TESTS/life/oci.bash"

dir=$PWD
# hook NAME: a script that notes its name, the status it was told, and whose root it sees
cat >hook <<-'SH'
	#!/bin/sh
	status=$(sed -n 's/.*"status": *"\([a-z]*\)".*/\1/p')
	echo "$1 ${status:-none}" >>"$2"
	[ "${3-}" != fail ]
SH
chmod +x hook
bundle b "
c['root']['readonly'] = False
c['process']['args'] = ['/bin/sh', '-c', 'echo payload running >> /log']
def hook(kind, *more):
    return [{'path': '$dir/hook', 'args': ['hook', kind, '$dir/b/rootfs/log', *more], 'env': ['PATH=/bin:/usr/bin']}]
c['hooks'] = {k: hook(k) for k in ('poststop', 'poststart', 'createContainer', 'createRuntime', 'prestart')}
c['hooks']['startContainer'] = [{'path': '/bin/sh', 'args': ['sh', '-c', 'cat > /dev/null; echo startContainer created >> /log'], 'env': ['PATH=/bin']}]
"
oci run -b b "$ID" </dev/null || fail "run"
no_traces
# poststart and the payload go on side by side
equal "prestart creating
createRuntime creating
createContainer creating
startContainer created" "$(head -n 4 b/rootfs/log | sed 's/created$/creating/; s/^startContainer.*/startContainer created/')" "the order"
equal "payload running
poststart running" "$(sed -n 5,6p b/rootfs/log | sort)" "after the start"
equal "poststop stopped" "$(tail -n 1 b/rootfs/log)" "the end"

# a startContainer hook without an environment of its own has the payload's, with the HOME that it gets
bundle b "
c['root']['readonly'] = False
c['process']['env'] = ['PATH=/bin', 'ONE=two']
sh('true')
c['hooks'] = {'startContainer': [{'path': '/bin/sh', 'args': ['sh', '-c', 'echo \$ONE \$HOME > /env']}]}"
mkdir -p b/rootfs/etc
echo root:x:0:0:root:/srv/root:/bin/sh >b/rootfs/etc/passwd
oci run -b b "$ID" </dev/null || fail "a startContainer hook without an environment"
equal "two /srv/root" "$(cat b/rootfs/env)" "the environment of a startContainer hook"

for kind in prestart createRuntime createContainer startContainer; do
	bundle b "
c['root']['readonly'] = False
sh('echo ran > /ran')
if '$kind' == 'startContainer':
    c['hooks'] = {'$kind': [{'path': '/bin/false'}]}
else:
    c['hooks'] = {'$kind': [{'path': '$dir/hook', 'args': ['hook', 'x', '$dir/log', 'fail'], 'env': ['PATH=/bin:/usr/bin']}]}"
	refused oci run -b b "$ID"
	contains "$kind" "$REFUSAL" "the failing hook is named"
	no_traces "$kind"
	[ ! -e b/rootfs/ran ] || fail "the payload ran although $kind failed"
done

bundle b "
c['hooks'] = {'prestart': [{'path': '/bin/sleep', 'args': ['sleep', '30'], 'timeout': 1}]}"
began=$SECONDS
refused oci run -b b "$ID"
[ $((SECONDS - began)) -lt 10 ] || fail "a hook's timeout does not hold"
no_traces

bundle b "
c['hooks'] = {'prestart': [{'path': '/no/such/hook'}]}"
refused oci create -b b "$ID"
contains /no/such/hook "$REFUSAL" "a hook that is not there"
no_traces

# a poststart hook that fails ends the container, which is destroyed; one of poststop is a warning
bundle p "
c['root']['readonly'] = False
c['process']['args'] = ['/bin/sleep', '60']
c['hooks'] = {'poststart': [{'path': '/bin/false'}], 'poststop': [{'path': '$dir/hook', 'args': ['hook', 'poststop', '$dir/stopped'], 'env': ['PATH=/bin:/usr/bin']}]}"
create --bundle p "$ID"
refused oci start "$ID"
contains "error running poststart hook #0: poststart hook failed with exit code 1: '/bin/false'" "$REFUSAL" "start"
equal "poststop stopped" "$(cat stopped)" "poststop after a failing poststart"
refused oci state "$ID"
contains "does not exist" "$REFUSAL" "what its poststart hook failed for"
no_traces "after a failing poststart"
refused oci run -b p "$ID"
contains "error running poststart hook #0: poststart hook failed with exit code 1" "$REFUSAL" "run"
no_traces "after a run with a failing poststart"
bundle w "
c['process']['args'] = ['/bin/true']
c['hooks'] = {'poststop': [{'path': '/bin/false'}, {'path': '/bin/false'}]}"
oci run -b w "$ID" </dev/null 2>err || fail "a failing poststop hook: $(cat err)"
equal 2 "$(grep -c "^warning: error running poststop hook #[0-9]: poststop hook failed with exit code 1: '/bin/false'$" err)" "warnings of poststop hooks"
no_traces
