#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ctr net connect` and `disconnect` of an instance that runs: its interface is there, or gone, at once, with its rules, its journal and its
# names; after a restart it is the same; a kill between leaves nothing behind.
. "$TESTS/life/net.bash"
rootfs r
want 0 "$CTR" net create --subnet 10.200.0.0/24 lab
want 0 "$CTR" net create --routed --subnet 10.201.0.0/24 wide
serve a
serve b --net lab
serve c --net wide
B=$(address b) A=$(address a)
cannot_reach a "http://$B/"
want 0 "$CTR" net connect lab a
reaches a "http://$B/" i-am-b "connected"
A2=$("$CTR" exec a ip addr show eth1 | sed -n 's/.*inet \([0-9.]*\).*/\1/p')
[ -n "$A2" ] || fail "no second interface: $("$CTR" exec a ip addr)"
reaches b "http://$A2/" i-am-a "back"
reaches b http://a/ i-am-a "the new name is known in the network"
reaches host "http://$A/" i-am-a "the first interface is as it was"
want 4 "$CTR" net connect lab a
want 0 "$CTR" net connect wide:ip=10.201.0.77 a
reaches c "http://$("$CTR" exec a ip addr show eth2 | sed -n 's/.*inet \([0-9.]*\).*/\1/p')/" i-am-a "routed"
[ "$("$CTR" exec a ip route | grep -c '^default')" = 1 ] || fail "routes: $("$CTR" exec a ip route)"
# and away
want 0 "$CTR" net disconnect lab a
cannot_reach a "http://$B/"
[ "$("$CTR" exec a sh -c 'ls /sys/class/net' | xargs)" = "eth0 eth2 lo" ] || fail "$("$CTR" exec a ls /sys/class/net)"
! nft list ruleset | grep -q "$A2" || fail "its elements stay: $(nft list ruleset | grep "$A2")"
want 4 "$CTR" net disconnect lab a
want 0 "$CTR" net connect lab a
[ "$("$CTR" exec a sh -c 'ls /sys/class/net' | xargs)" = "eth0 eth1 eth2 lo" ] || fail "the free number is taken again: $("$CTR" exec a ls /sys/class/net)"
# what is configured is what is there: after a restart as well
want 0 "$CTR" restart -t 0 a
soon "$CTR" exec a wget -q -O /dev/null http://127.0.0.1/
reaches a "http://$B/" i-am-b "after a restart"
want 0 "$CTR" net disconnect wide a
# without any network, then with one: it leads out
want 0 "$CTR" run -d --name d --net none r sleep 1000
want 0 "$CTR" net connect bridge d
reaches d "http://$A/" i-am-a "from none"
want 0 "$CTR" net disconnect bridge d
want 0 "$CTR" net connect bridge d
reaches d "http://$A/" i-am-a "from none, again"
want 0 "$CTR" set d net-rate=10M/10M
want 0 "$CTR" unset d net-rate
want 0 "$CTR" net disconnect bridge d
[ "$("$CTR" exec d ls /sys/class/net)" = lo ] || fail "d has $("$CTR" exec d ls /sys/class/net)"
# killed anywhere: the next stop leaves nothing
for after in 0.002 0.004 0.006 0.008 0.012; do
	timeout -s KILL $after "$CTR" net connect lab d 2>/dev/null
	"$CTR" net disconnect lab d 2>/dev/null
done
want 0 "$CTR" rm -f a b c d
no_network_left
want 0 "$CTR" net rm lab wide
