#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Root inside is nobody outside; nothing outside of its range exists inside.
. "$TESTS/life/oci.bash"

map="c['linux']['uidMappings'] = c['linux']['gidMappings'] = [{'containerID': 0, 'hostID': 300000, 'size': 65536}]
c['linux']['namespaces'] += [{'type': 'user'}]"
bundle b "$map
sh('id; cat /proc/self/uid_map; exec sleep 60')"
for d in . .. ../.. ../../..; do chmod a+x $d 2>/dev/null; done
create -b b "$ID"
pid=$(pid_of "$ID")
equal "300000 300000" "$(stat -c '%u' "/proc/$pid/root/.." 2>/dev/null >/dev/null; awk '/^[UG]id:/ { print $2 }' "/proc/$pid/status" | xargs)" "ids seen from outside"
oci start "$ID" || fail "start"
in_it() { oci exec "$@" 2>&1 </dev/null; }
equal "uid=0 gid=0" "$(in_it "$ID" id | sed 's/ groups.*//')" "ids seen from inside"
equal "0 300000 65536" "$(in_it "$ID" cat /proc/self/uid_map | xargs)" "uid_map"
equal "300000" "$(oci exec -d --pid-file p "$ID" sleep 61 >/dev/null </dev/null; awk '/^Uid:/ { print $2 }' "/proc/$(cat p)/status")" "exec, seen from outside"
lacks made "$(in_it "$ID" sh -c 'mknod /tmp/null c 1 3 && echo made')" "mknod"
lacks mounted "$(in_it --cap CAP_SYS_ADMIN "$ID" sh -c 'mount -o remount,rw / && touch /x && echo mounted')" "remount"
in_it "$ID" sh -c 'kill -9 '"$$" >/dev/null
oci delete --force "$ID" || fail "delete"
no_traces

# an unmapped user
bundle b "$map
c['process']['user'] = {'uid': 70000, 'gid': 0}"
refused oci run -b b "$ID"
no_traces
# no mapping at all
bundle b "c['linux']['namespaces'] += [{'type': 'user'}]"
refused oci run -b b "$ID"
contains Mappings "$REFUSAL" "a user namespace without ids"
no_traces

# a device that is no node of the host's: by name, owner and mode it is what was asked for, and works
bundle b "$map
c['linux']['devices'] = [{'path': '/dev/zeros', 'type': 'c', 'major': 1, 'minor': 5, 'fileMode': 0o644, 'uid': 10, 'gid': 11}, {'path': '/dev/more/null', 'type': 'c', 'major': 1, 'minor': 3}]
sh('stat -c \"%F %t:%T %a %u:%g\" /dev/zeros /dev/more/null; head -c 4 /dev/zeros | wc -c; echo x >/dev/more/null && echo written; : >/dev/null && echo null')"
equal "character special file 1:5 644 10:11
character special file 1:3 666 0:0
4
written
null" "$(oci run -b b "$ID" 2>&1 </dev/null)" "devices of its own"
[ "$(grep -c ctr-oci /proc/self/mountinfo)" = 0 ] || fail "mounts are left: $(grep ctr-oci /proc/self/mountinfo)"
no_traces
