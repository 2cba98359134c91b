#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# linux.netDevices: a device of the host becomes the container's, under another name, up, with its permanent addresses.
. "$TESTS/life/oci.bash"
command -v ip >/dev/null || skip "needs iproute2"
unshare -n ip link add d0 type veth peer name d1 2>/dev/null || skip "this kernel has no veth devices"

bundle b "sh('cat /sys/class/net/inside/flags; ls /sys/class/net; cat /proc/net/fib_trie | grep -c 192.0.2.7; grep -c 20010db8 /proc/net/if_inet6')
c['linux']['netDevices'] = {'d0': {'name': 'inside'}, 'd1': {}}"
run() { # in a network namespace of the test's own, with two devices
	timeout 30 unshare -n sh -c 'ip link add d0 type veth peer name d1 && ip address add 192.0.2.7/24 dev d0 &&
		ip address add 2001:db8::7/64 dev d0 nodad && "$@"; rc=$?; ip -o link | grep -o "d[01]@"; exit $rc' \
		- "$CTR_OCI" --root "$ROOT" run -b b "$ID" 2>&1 </dev/null
}
out=$(run) || fail "run: $out"
[ $(($(head -1 <<<"$out") & 1)) = 1 ] || fail "the device is not up: $out"
contains "inside" "$out" "its name inside"
contains "d1" "$out" "the other device"
lacks "d0" "$out" "the name outside"
lacks "d1@" "$out" "left outside"
[ "$(tail -2 <<<"$out" | head -1)" -ge 1 ] && [ "$(tail -1 <<<"$out")" = 1 ] || fail "the addresses: $out"
change b "c['linux']['netDevices'] = {'nothere': {}}"
out=$(run) && fail "a device that is not there is moved"
contains "no network device 'nothere'" "$out" "a missing device"
change b "c['linux']['netDevices'] = {'d0': {'name': 'same'}, 'd1': {'name': 'same'}}"
out=$(run) && fail "two devices of one name are moved"
contains netDevices "$out" "two of one name"
no_traces
