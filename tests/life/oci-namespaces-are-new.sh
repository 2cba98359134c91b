#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All eight kinds of namespaces, new or shared as the bundle says; names, clocks and ids in them.
. "$TESTS/life/oci.bash"

seen() { # kinds whose namespace is not ours
	local k inside
	for k in cgroup ipc mnt net pid time user uts; do
		inside=$(echo "$1" | sed -n "s/^$k //p")
		[ "$inside" = "$(readlink /proc/self/ns/$k)" ] || echo -n "$k "
	done
}
look='for k in cgroup ipc mnt net pid time user uts; do echo $k $(readlink /proc/self/ns/$k); done'

bundle b "sh('''$look''')"
equal "ipc mnt net pid uts " "$(seen "$(oci run -b b "$ID" </dev/null)" | sed 's/cgroup //')" "the default bundle"
bundle b "sh('''$look''')
namespaces('pid', 'network', 'ipc', 'uts', 'mount', 'cgroup', 'time', 'user')
c['linux']['uidMappings'] = c['linux']['gidMappings'] = [{'containerID': 0, 'hostID': 300000, 'size': 65536}]"
chmod 755 b b/rootfs . .. ../.. 2>/dev/null
equal "cgroup ipc mnt net pid time user uts " "$(seen "$(oci run -b b "$ID" </dev/null)")" "all of them"

bundle b "sh('hostname; cat /proc/sys/kernel/domainname; echo \$\$; cat /proc/self/cgroup | grep 0::; ls /sys/class/net; cat /proc/uptime')
namespaces('pid', 'network', 'ipc', 'uts', 'mount', 'cgroup', 'time')
c['hostname'] = 'inside'; c['domainname'] = 'example.org'
c['linux']['timeOffsets'] = {'boottime': {'secs': 1000000, 'nanosecs': 5}, 'monotonic': {'secs': 77}}"
out=$(oci run -b b "$ID" </dev/null)
equal inside "$(echo "$out" | sed -n 1p)" "hostname"
equal example.org "$(echo "$out" | sed -n 2p)" "domainname"
equal 1 "$(echo "$out" | sed -n 3p)" "the payload's pid"
equal 0::/ "$(echo "$out" | sed -n 4p)" "the cgroup as seen from its namespace"
equal lo "$(echo "$out" | sed -n 5p)" "network devices"
up=$(echo "$out" | sed -n 6p) now=$(cut -d. -f1 /proc/uptime)
[ $((${up%%.*} - now)) -ge 999990 ] && [ $((${up%%.*} - now)) -le 1000010 ] || fail "uptime: $up here $now"
[ "$(hostname)" != inside ] || fail "the host's name was changed"

# joined by path
oci run -d -b b "$ID" </dev/null >/dev/null
bundle c "c['process']['args'] = ['/bin/sleep', '60']"
oci run -d -b c "$ID-a" </dev/null >/dev/null || fail "run -d"
first=$(pid_of "$ID-a")
bundle d "sh('''$look
ps''')
namespaces('mount')
del c['hostname']
c['linux']['namespaces'] += [{'type': t, 'path': '/proc/$first/ns/' + f} for t, f in (('pid', 'pid'), ('network', 'net'), ('ipc', 'ipc'), ('uts', 'uts'))]"
out=$(oci run -b d "$ID-b" </dev/null)
for k in pid net ipc uts; do
	equal "$(readlink "/proc/$first/ns/$k")" "$(echo "$out" | sed -n "s/^$k //p")" "a joined namespace"
done
contains "sleep 60" "$out" "processes in a joined pid namespace"
change d "c['linux']['namespaces'][1]['path'] = '/proc/$first/ns/net'"
refused oci run -b d "$ID-b"
change d "c['linux']['namespaces'][1]['path'] = '/etc/passwd'"
refused oci run -b d "$ID-b"
change d "c['linux']['namespaces'][1]['path'] = '/no/such'"
refused oci run -b d "$ID-b"
contains "/no/such" "$REFUSAL" "a namespace that is not there"
