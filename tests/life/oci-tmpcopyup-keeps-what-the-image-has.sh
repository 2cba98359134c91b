#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tmpcopyup: files, links, FIFOs, owners, modes, attributes and times come along; nothing is followed, the image stays as it was.
. "$TESTS/life/oci.bash"

bundle b "mount('/data', type='tmpfs', source='tmpfs', options=['nosuid', 'nodev', 'tmpcopyup', 'size=4m'])
mount('/fixed', type='tmpfs', source='tmpfs', options=['ro', 'tmpcopyup', 'mode=1700'])
mount('/new', type='tmpfs', source='tmpfs', options=['tmpcopyup'])
sh('stat -c \"%n %u:%g %a %F %Y\" /data /data/f /data/d /data/d/g /data/p; readlink /data/out; cat /data/f /data/d/g; '
   'test -e /data/s && echo socket; echo x >/data/f && echo written; stat -c \"%u %a\" /fixed; cat /fixed/a; echo y 2>&1 >/fixed/a; '
   'ls /new | wc -l; ls /data | wc -l')"
d=b/rootfs/data
mkdir -p $d/d b/rootfs/fixed && echo one >$d/f && echo two >$d/d/g && echo a >b/rootfs/fixed/a && ln -s /etc/shadow $d/out && mkfifo $d/p
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' $d/s
chown 5:6 $d $d/f && chmod 2757 $d && chmod 4666 $d/f && chmod 700 $d/d && touch -d @1000000000 $d/f $d/d/g $d/p $d/d $d
out=$(timeout 20 "$CTR_OCI" --root "$ROOT" run -b b "$ID" 2>&1 </dev/null)
equal "/data 5:6 2757 directory 1000000000
/data/f 5:6 4666 regular file 1000000000
/data/d 0:0 700 directory 1000000000
/data/d/g 0:0 644 regular file 1000000000
/data/p 0:0 644 fifo 1000000000
/etc/shadow
one
two
written
0 1700
a
/bin/sh: can't create /fixed/a: Read-only file system
0
4" "$(sed 's/^\/bin\/sh: line [0-9]*: /\/bin\/sh: /' <<<"$out")" "the copy"
equal one "$(cat $d/f)" "the image's own file"

# in a user namespace, with an owner that is not mapped
change b "namespaces('pid', 'mount', 'ipc', 'uts', 'user')
c['linux']['uidMappings'] = c['linux']['gidMappings'] = [{'containerID': 0, 'hostID': 0, 'size': 6}]
sh('stat -c %u:%a /data/f; cat /data/d/g')"
equal "5:4666 two" "$(timeout 20 "$CTR_OCI" --root "$ROOT" run -b b "$ID" 2>&1 </dev/null | tr '\n' ' ' | sed 's/ $//')" "in a user namespace"

# what does not fit is an error, and no container
head -c 5000000 /dev/zero >$d/big
refused oci run -b b "$ID"
contains "No space left" "$REFUSAL" "a copy that does not fit"
rm $d/big
at=$d
for _ in $(seq 140); do at=$at/x; done
mkdir -p $at
refused oci run -b b "$ID"
contains deep "$REFUSAL" "too deep a tree"
change b "c['mounts'][-1] = {'destination': '/new', 'type': 'bind', 'source': '/tmp', 'options': ['bind', 'tmpcopyup']}"
refused oci run -b b "$ID"
contains tmpcopyup "$REFUSAL" "of a bind mount"
no_traces
