#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Root inside, with CAP_NET_ADMIN, cannot speak as another: not with its IPv4 or IPv6 address, its MAC, by ARP or neighbour
# discovery, and cannot play router or DHCP server (CVE-2020-13401 and its like).
. "$TESTS/life/net.bash"
rootfs r
serve victim
serve other
for mode in bridge routed; do
	want 0 "$CTR" run -d --name evil-$mode --net $mode --cap-add net_admin --cap-add net_raw r sleep 1000
done
V=$(address victim) O=$(address other) O6=$(address other -6) OM=$("$CTR" exec other cat /sys/class/net/eth0/address)
evil() { "$CTR" exec "evil-$mode" sh -c "$1"; }
mode=bridge
evil "ping -c 1 -W 1 $V" >out || fail "it does not reach the victim as itself: $(cat out)"
command -v tcpdump >/dev/null || { echo "needs tcpdump"; exit 77; }
pid=$("$CTR" inspect victim | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')
# seen FILTER COMMAND: how many such packets the victim sees while the other tries
seen() {
	nsenter -t "$pid" -n timeout 3 tcpdump -nei eth0 "$1" >seen 2>dump-errors &
	local dump=$!
	sleep 0.7
	evil "$2" >/dev/null 2>&1
	wait $dump
	grep -c ethertype seen
}
[ "$(seen "icmp and src $(address evil-bridge)" "ping -c 2 -W 1 $V")" -ge 2 ] || fail "what is seen is not seen: $(cat dump-errors)"
evil "ip addr add $O/22 dev eth0"
[ "$(seen "src $O" "ping -c 2 -W 1 -I $O $V")" = 0 ] || fail "IPv4 is forged: $(cat seen)"
[ "$(seen "arp and arp[14:4] = 0x$(printf '%02x%02x%02x%02x' ${O//./ })" "arping -c 2 -w 1 -I eth0 -s $O $V; arping -U -c 2 -w 1 -I eth0 $O")" = 0 ] ||
	fail "ARP is forged: $(cat seen)"
evil "ip addr del $O/22 dev eth0; ip -6 addr add $O6/64 dev eth0 nodad"
[ "$(seen "ip6 and src $O6" "ping -6 -c 2 -W 1 -I $O6 $(address victim -6)")" = 0 ] || fail "IPv6 is forged: $(cat seen)"
[ "$(seen "icmp6 and ip6[40] = 136 and ether src not $OM" "ip link set eth0 down; ip link set eth0 up; sleep 1")" = 0 ] || fail "neighbours are forged: $(cat seen)"
evil "ip -6 addr del $O6/64 dev eth0; ip link set eth0 down; ip link set eth0 address $OM; ip link set eth0 up"
[ "$(seen "ether src $OM and not host $O" "ping -c 2 -W 1 $V")" = 0 ] || fail "the MAC is forged: $(cat seen)"
# routed: the host does not even hear it
mode=routed
evil "ip addr add 10.78.99.99/32 dev eth0"
evil "ping -c 1 -W 1 -I 10.78.99.99 192.0.2.1" >out && fail "routed: IPv4 is forged"
evil "ping -c 1 -W 1 192.0.2.1" >out || fail "routed: it cannot speak as itself: $(cat out)"
# 127.0.0.1 of the host is not reached by way of the bridge (CVE-2020-8558)
mode=bridge
busybox nc -l -p 7777 -s 127.0.0.1 -e echo secret &
sleep 0.3
"$CTR" rm -f evil-bridge
want 0 "$CTR" run -d --name evil-bridge --cap-add net_admin r sleep 1000
evil 'ip addr del 127.0.0.1/8 dev lo; ip link set lo down; ip route add 127.0.0.0/8 via 10.77.0.1; echo | timeout 2 nc 127.0.0.1 7777' >out 2>&1
! grep -q secret out || fail "127.0.0.1 of the host is reached"
kill %1 2>/dev/null
want 0 "$CTR" rm -f '*'
no_network_left
