#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# linux.intelRdt: groups are made, joined, counted in, and removed again, also after a kill -9. A hierarchy of cgroup v1 without controllers
# is in resctrl's place, which few processors have: its directories are made with `tasks` in them as well. One of files has schemata.
# serial: all processes of the machine are in a hierarchy while it is there, as their /proc/PID/cgroup says
# shellcheck disable=SC2016
[ "${INSIDE-}" ] || INSIDE=1 exec unshare --mount --propagation private "$0"
. "$TESTS/life/oci.bash"

mkdir saved && mount --rbind /sys/fs/cgroup saved || skip "cannot bind /sys/fs/cgroup"
mount -t tmpfs none /sys/fs && mkdir /sys/fs/cgroup /sys/fs/resctrl && mount --rbind saved /sys/fs/cgroup || fail "cannot cover /sys/fs"
G=/sys/fs/resctrl
rdt() { bundle b "c['process']['args'] = ['/bin/sleep', '60']; c['linux']['intelRdt'] = {$1}
${2-}"; }
in_group() { grep -qx "$(pid_of "$ID")" "$G/$1/tasks"; }

rdt ''
refused oci run -b b "$ID"
contains "resctrl is not mounted" "$REFUSAL" "without resctrl"
no_traces

# only whoever is in the first cgroup namespace can make a hierarchy: one of those that called us
outside=$$
while [ "$outside" -gt 1 ] && [ "$(readlink "/proc/$outside/ns/cgroup")" = "$(readlink /proc/self/ns/cgroup)" ]; do
	outside=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$outside/status")
done
hierarchy() { nsenter --cgroup="/proc/$outside/ns/cgroup" mount -t cgroup -o none,name="$ID" none $G 2>/dev/null; }
# It goes a moment after its last mount, if what was removed in it is gone as well; else it wants another last one.
is_away() {
	grep -q "name=$ID:" /proc/self/cgroup || return 0
	hierarchy && umount $G
	sleep 0.2
	return 1
}
away() {
	rmdir $G/shared/mon_groups $G/shared 2>/dev/null
	umount $G 2>/dev/null
	sleep 0.2
	until_true is_away
}
hierarchy || skip "cannot make a hierarchy of cgroup v1"
trap 'for id in $(oci list -q); do oci delete --force "$id"; done; away' EXIT

oci run -d -b b "$ID" >/dev/null 2>&1 </dev/null || fail "a group of its own"
in_group "$ID" || fail "the first process is not in the group"
oci exec -d --pid-file pid "$ID" sleep 60 >/dev/null 2>&1 </dev/null || fail exec
grep -qx "$(cat pid)" "$G/$ID/tasks" || fail "what exec started is not in the group"
oci delete --force "$ID" || fail delete
[ ! -d "$G/$ID" ] || fail "the group is left behind"

bundle b "c['process']['args'] = ['/bin/sleep', '60']"
oci run -d -b b "$ID" >/dev/null 2>&1 </dev/null || fail "without a group"
refused oci update --cpuset-cpus 0 --l3-cache-schema L3:0=f "$ID"
contains "has no group of resctrl" "$REFUSAL" "update without a group, before any limit is looked at"
oci delete --force "$ID" || fail delete

rdt "'closID': 'gold'"
refused oci run -b b "$ID"
contains "there is no group 'gold'" "$REFUSAL" "a group that nobody made"
rdt "'closID': 'gold', 'schemata': ['L3:0=f']"
refused oci run -b b "$ID"
contains "L3:0=f" "$REFUSAL" "schemata that the kernel does not take"
[ ! -d $G/gold ] || fail "the group of a failed start is left behind"
no_traces

mkdir -p $G/shared/mon_groups
rdt "'closID': 'shared', 'enableMonitoring': True"
oci run -d -b b "$ID" >/dev/null 2>&1 </dev/null || fail "a group that was there"
mkdir -p "$G/shared/mon_groups/$ID/mon_data/mon_L3_00"
contains '"cmt_stats":[{"llc_occupancy":0}]' "$(oci events --stats "$ID" | tr -d ' \n')" "events of a group that counts"
rmdir "$G/shared/mon_groups/$ID/mon_data/mon_L3_00" "$G/shared/mon_groups/$ID/mon_data"
in_group "shared/mon_groups/$ID" || fail "it is not counted"
oci delete --force "$ID" || fail delete
[ -d $G/shared/mon_groups ] || fail "the group of others is gone"
[ ! -d "$G/shared/mon_groups/$ID" ] || fail "the group that counted is left behind"

# The runtime dies between the group and the payload
rdt '' "c['hooks'] = {'createRuntime': [{'path': '$PWD/killer'}]}"
printf '#!/bin/sh\nkill -9 $PPID\n' >killer && chmod +x killer
oci run -d -b b "$ID" >/dev/null 2>&1 </dev/null && fail "survived kill -9"
[ -d "$G/$ID" ] || fail "no group to be recovered"
oci list >/dev/null || fail list
gone() { [ ! -d "$G/$ID" ]; }
until_true gone
no_traces

away
trap 'for id in $(oci list -q); do oci delete --force "$id"; done' EXIT
mkdir $G/gold && touch $G/tasks $G/gold/tasks
printf '    L3:0=00ff;1=000f\n    MB:0=100;1= 50\n' >$G/gold/schemata
rdt "'closID': 'gold', 'l3CacheSchema': 'L3:0=f0', 'memBwSchema': 'MB:0=100'"
refused oci run -b b "$ID"
contains "other schemata" "$REFUSAL" "a group with others"
rdt "'closID': 'gold', 'l3CacheSchema': 'L3:1=f', 'memBwSchema': 'MB:1=50'"
oci run -d -b b "$ID" >/dev/null 2>&1 </dev/null || fail "a group with the same"
in_group gold || fail "not in that group"
contains '"intel_rdt":{"l3_cache_schema":"L3:0=00ff;1=000f","mem_bw_schema":"MB:0=100;1= 50"}' \
	"$(oci events --stats "$ID" | tr -d '\n' | sed 's/": *\([{"]\)/":\1/g; s/, *"/,"/g')" "events"
oci update --l3-cache-schema L3:1=3 "$ID" || fail update
equal L3:1=3 "$(head -n 1 $G/gold/schemata)" "what update wrote"
oci delete --force "$ID" || fail delete
[ -d $G/gold ] || fail "the group of others is gone"
contains '"intelRdt": {' "$(oci features)" features
no_traces
