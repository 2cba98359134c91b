#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A bind mount without flags among its options has those of its source, one with any has these and no other, as with runc and crun; in
# a user namespace what the kernel locks there stays.
. "$TESTS/life/oci.bash"

for d in . .. ../.. ../../..; do chmod a+x $d 2>/dev/null; done
mkdir source
export ROOT ID CTR_OCI
# flags SOURCE OPTIONS PYTHON: those of the mount inside
flags() {
	bundle b "mount('/mnt', type='bind', source='$PWD/source', options=['bind', *'$2'.split()])
sh('while read -r a at c flags d; do [ \$at != /mnt ] || echo \$flags; done </proc/self/mounts')
$3"
	mkdir b/rootfs/mnt
	unshare -m --propagation private sh -c 'mount -t tmpfs source source && mount -o "remount,bind,$1" source &&
		exec "$CTR_OCI" --root "$ROOT" run -b b "$ID"' - "$1" 2>&1 </dev/null | tr , '\n' | grep -v '^inode\|^size\|^nr_\|^relatime' | xargs
}
all=ro,nosuid,nodev,noexec
equal "ro nosuid nodev noexec" "$(flags $all "" "")" "none asked for"
equal "ro nosuid nodev noexec" "$(flags $all rprivate "")" "a propagation asked for"
equal "ro" "$(flags $all ro "")" "ro asked for"
equal "rw nosuid" "$(flags $all nosuid "")" "nosuid asked for"
equal "rw" "$(flags $all rw "")" "rw asked for"
equal "rw noatime" "$(flags noatime,nosuid rw "")" "access times are as they were"
map="{'containerID': 0, 'hostID': 300000, 'size': 65536}"
user="c['linux']['uidMappings'] = c['linux']['gidMappings'] = [$map]
c['linux']['namespaces'] += [{'type': 'user'}]"
equal "ro nosuid nodev noexec" "$(flags nosuid,nodev,noexec ro "$user")" "ro asked for in a user namespace"
equal "rw nosuid nodev" "$(flags $all "rw exec" "$user")" "rw and exec asked for in a user namespace"
no_traces
