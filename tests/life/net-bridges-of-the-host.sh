#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A network of --bridge: instances are ports of a bridge that is the host's own, in the network that it leads to, with a
# firewall and anti-spoofing of their own; with --vlan they are in that VLAN and no other, where the kernel's bridges have any.
. "$TESTS/life/net.bash"
rootfs r
sysctl -qw net.ipv4.ip_forward=0 # a new namespace has what the machine has
want 2 "$CTR" net create --bridge br0 lan
want 2 "$CTR" net create --bridge br0 --subnet 192.0.2.0/24 --internal lan
want 2 "$CTR" net create --vlan 7 lan
want 0 "$CTR" net create --bridge br0 --subnet 192.0.2.0/24 --gateway 192.0.2.2 lan
want 0 "$CTR" net inspect lan
said out '"mode": "unmanaged"'
want 125 "$CTR" run --rm --net lan r true
said err "there is no bridge 'br0'"
# the way to the world becomes a port of the bridge, as an administrator has it
ip addr flush dev uplink
ip link add br0 type bridge && ip link set uplink master br0 && ip addr add 192.0.2.1/24 dev br0 && ip link set br0 up
serve a --net lan
serve b --net lan:ip=192.0.2.77 --firewall "default deny in" --firewall "allow in tcp 80 from 192.0.2.2/32"
A=$(address a)
soon reaches world "http://$A/" i-am-a
reaches host "http://$A/" i-am-a
reaches a http://192.0.2.77/ "" # the firewall of b
reaches world http://192.0.2.77/ i-am-b
[ "$("$CTR" exec a ip route | grep -c '^default via 192.0.2.2 ')" = 1 ] || fail "$("$CTR" exec a ip route)"
# an address that is not its own
pid=$("$CTR" inspect a | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')
nsenter -t "$pid" -n ip addr add 192.0.2.99/24 dev eth0 || fail "no further address for the trial"
! world ping -c 1 -W 1 192.0.2.99 >/dev/null 2>&1 || fail "a took an address"
! nft list ruleset | grep -q "masquerade.*br0" || fail "translated"
[ "$(sysctl -n net.ipv4.ip_forward)" = 0 ] || fail "the host forwards now"
want 125 "$CTR" run --rm --net lan -p 80:80 r true
# two such networks on one bridge, and their rules lost
nft flush ruleset
want 0 "$CTR" restart -t 0 a
soon reaches world "http://$A/" i-am-a

vlans=no
if ip link set br0 type bridge vlan_filtering 1 2>/dev/null; then
	vlans=yes
	ip link set br0 type bridge vlan_filtering 0
fi
want 0 "$CTR" net create --bridge br0 --vlan 7 --subnet 10.7.0.0/24 seven
want 125 "$CTR" run --rm --net seven r true
said err "bridge 'br0' does not keep VLANs apart"
want 0 "$CTR" rm -f a b
no_network_left
if [ $vlans = yes ]; then
	ip link set br0 type bridge vlan_filtering 1
	want 0 "$CTR" net create --bridge br0 --vlan 8 --subnet 10.8.0.0/24 eight
	want 0 "$CTR" net create --bridge br0 --vlan 7 --subnet 10.7.1.0/24 seven-more
	serve x --net seven:ip=10.7.0.5
	serve y --net seven:ip=10.7.0.6
	serve z --net eight:ip=10.8.0.5
	reaches x http://10.7.0.6/ i-am-y
	# z takes the other's addresses (the rules would drop them; here it is VLANs that are looked at)
	port=$(bridge -j vlan show | python3 -c 'import json, sys; print([i["ifname"] for i in json.load(sys.stdin) if [v["vlan"] for v in i["vlans"]] == [8]][0])')
	[ -n "$port" ] || fail "no port in VLAN 8 alone: $(bridge vlan show)"
	# the world, tagged, at the trunk
	bridge vlan add vid 7 dev uplink
	world ip link add link eth0 name eth0.7 type vlan id 7 && world ip addr add 10.7.0.1/24 dev eth0.7 && world ip link set eth0.7 up
	soon reaches world http://10.7.0.5/ i-am-x
	world ip addr add 10.8.0.1/24 dev eth0.7
	cannot_reach world http://10.8.0.5/
	want 0 "$CTR" rm -f x y z
	want 0 "$CTR" net rm eight seven-more
	no_network_left
fi
want 0 "$CTR" net rm lan seven
ip link show br0 >/dev/null || fail "the host's bridge is gone"
[ $vlans = yes ] || echo "this kernel's bridges have no VLANs: the rest was looked at"
