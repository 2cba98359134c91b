#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A network of --macvlan: instances are machines of their own in the network of a device of the host, at their own addresses, without
# translation; what needs an end of the link at the host is refused; all goes with the instance. ipvlan where the kernel has it.
. "$TESTS/life/net.bash"
ip link add probe link uplink type macvlan 2>/dev/null || { echo "this kernel has no macvlan"; exit 77; }
ip link del probe
rootfs r
want 2 "$CTR" net create --macvlan uplink lan
want 2 "$CTR" net create --macvlan uplink --subnet 192.0.2.0/24 --routed lan
want 0 "$CTR" net create --macvlan uplink --subnet 192.0.2.0/24 --gateway 192.0.2.2 lan
want 0 "$CTR" net ls
said out "macvlan"
serve a --net lan
serve b --net lan:ip=192.0.2.77
A=$(address a)
[ "$(address b)" = 192.0.2.77 ] || fail "b has $(address b)"
reaches world "http://$A/" i-am-a
reaches world http://192.0.2.77/ i-am-b
reaches b "http://$A/" i-am-a
[ "$("$CTR" exec a ip route | grep ^default)" = "default via 192.0.2.2 dev eth0 " ] || [ "$("$CTR" exec a ip route | grep -c '^default via 192.0.2.2')" = 1 ] || fail "$("$CTR" exec a ip route)"
echo world >index.html
nsenter -t "$WORLD" -n busybox httpd -f -p 192.0.2.2:80 -h "$PWD" -vv 2>log &
httpd=$!
trap 'kill $httpd $WORLD 2>/dev/null' EXIT
soon reaches a http://192.0.2.2/ world
grep -q "$A" log || fail "the world sees another address: $(cat log)"
# its MAC lasts
mac() { "$CTR" exec a cat /sys/class/net/eth0/address; }
before=$(mac)
want 0 "$CTR" restart -t 0 a
soon "$CTR" exec a wget -q -O /dev/null http://127.0.0.1/
[ "$(mac)" = "$before" ] || fail "another MAC: $(mac), not $before"
# beside a bridge
want 0 "$CTR" net connect bridge a
[ "$("$CTR" exec a sh -c 'ls /sys/class/net' | xargs)" = "eth0 eth1 lo" ] || fail "$("$CTR" exec a ls /sys/class/net)"
want 4 "$CTR" net disconnect lan a
for refused in "-p 80:80" "--net-rate 1M" "--firewall allow\\ in\\ any"; do
	eval "want 125 \"\$CTR\" run --rm --net lan $refused r true"
done
want 0 "$CTR" net create --macvlan nosuch --subnet 10.9.0.0/24 off
want 125 "$CTR" run --rm --net off r true
said err "the host has no device 'nosuch'"
# one device has interfaces of one kind
want 0 "$CTR" net create --ipvlan uplink --subnet 192.0.3.0/24 iplan
want 125 "$CTR" run --rm --net iplan r true
grep -q "this kernel has no ipvlan" err || said err "is of one kind only"
want 0 "$CTR" rm -f a b
no_network_left
want 0 "$CTR" net rm lan off iplan
want 0 "$CTR" net create --ipvlan uplink --subnet 192.0.2.0/24 --gateway 192.0.2.2 iplan
if "$CTR" run --rm --net iplan r true 2>err; then
	serve c --net iplan
	soon reaches world "http://$(address c)/" i-am-c
	reaches c http://192.0.2.2/ world
	want 0 "$CTR" rm -f c
else
	said err "this kernel has no ipvlan"
fi
kill $httpd
no_network_left
want 0 "$CTR" net rm iplan
