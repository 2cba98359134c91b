#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is bound sees what was mounted before it (config.md: "in the listed order"), in a user namespace and id-mapped too, where the
# host's privileges are needed for the source.
. "$TESTS/life/oci.bash"

for d in . .. ../.. ../../..; do chmod a+x $d 2>/dev/null; done
mkdir -p source/a/x source/a/y source/b && echo one >source/a/file && echo two >source/b/file
ln -s b source/link
chmod 700 source # who is root in a user namespace cannot enter it
here=$(pwd -P)
map="{'containerID': 0, 'hostID': 300000, 'size': 65536}"
mounts="
def bind(source, at, *options):
    ids = {'uidMappings': [$map], 'gidMappings': [$map]} if options and not c['linux'].get('uidMappings') else {}
    mount(at, type='bind', source=source, options=['rbind', *options], **ids)
bind('$here/source/a', '/mnt')
bind('$here/source/link', '/mnt/x')
bind('$here/b/rootfs/mnt/x', '/mnt/y', *first)
bind('$here/b/rootfs/mnt', '/final', *last)
bind('$here/b/rootfs/etc', '/etc2')
sh('cat /final/file /final/x/file /final/y/file; stat -c %u /final/x/file /final/y/file; ls /etc2')"
user="c['linux']['uidMappings'] = c['linux']['gidMappings'] = [$map]
c['linux']['namespaces'] += [{'type': 'user'}]"

# expect OWNERS PYTHON: of what is bound last, and of what it was bound from
expect() {
	bundle b "$2$mounts"
	mkdir -p b/rootfs/mnt b/rootfs/final b/rootfs/etc2
	equal "one two two $1" "$(oci run -b b "$ID" 2>&1 </dev/null | xargs)" "$2"
	no_traces
}
expect "0 0" "first = last = []"
# files of the host's root, which has no id there
expect "65534 65534" "$user
first = last = []"

# The limits are the payload's: mounts that are handed over may be more than it may have open
bundle b "$user
for i in range(30):
    mount('/m/%d' % i, type='bind', source='$here/source/a', options=['bind'])
c['process']['rlimits'] = [{'type': 'RLIMIT_NOFILE', 'soft': 10, 'hard': 12}]
sh('cat /m/29/file; ulimit -n; ulimit -Hn')"
for i in $(seq 0 29); do mkdir -p "b/rootfs/m/$i"; done
equal "one 10 12" "$(oci run -b b "$ID" 2>&1 </dev/null | xargs)" "more mounts than descriptors"
no_traces

bundle b "first = last = ['idmap']$mounts"
mkdir -p b/rootfs/mnt b/rootfs/final b/rootfs/etc2
case $(oci run -b b "$ID" 2>&1 </dev/null) in
*'cannot map the ids of'*': Invalid argument') skip "this file system knows no id-mapped mounts" ;;
esac
# "idmap" is for the mount alone, "ridmap" for what is below it too
expect "0 300000" "first = last = ['idmap']"
expect "300000 300000" "first, last = [], ['ridmap']"
expect "0 0" "$user
first, last = [], ['ridmap']"
expect "65534 0" "$user
first = last = ['idmap']"
