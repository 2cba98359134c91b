#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Instances of a network reach each other, the host and the world, which sees the host's address; published ports are reached from
# everywhere; networks are apart; addresses last; nothing is left.
. "$TESTS/life/net.bash"
rootfs r
serve a -p 8080:80 -p 127.0.0.1:8082:80 -p 9000-9002:80-82/udp
serve b
serve c --net routed -p 8081:80
A=$(address a) B=$(address b) C=$(address c) A6=$(address a -6) C6=$(address c -6)
[ "$A" ] && [ "$B" ] && [ "$C" ] && [ "$A6" ] && [ "$C6" ] && [ "$A" != "$B" ] || fail "addresses: $A $B $C $A6 $C6"
for to in "$A" "[$A6]"; do reaches b "http://$to/" i-am-a; reaches host "http://$to/" i-am-a; done
for to in "$C" "[$C6]"; do reaches host "http://$to/" i-am-c; done
# the world, as the host
echo world >index.html
nsenter -t "$WORLD" -n busybox httpd -f -p 192.0.2.2:80 -h "$PWD" &
httpd=$!
trap 'kill $httpd $WORLD 2>/dev/null' EXIT
for i in a c; do reaches $i http://192.0.2.2/ world; done
world timeout 10 tcpdump -ni eth0 -c 1 'tcp[tcpflags] & tcp-syn != 0 and src 192.0.2.1' >dump 2>&1 &
sleep 0.5
reaches a http://192.0.2.2/ world
command -v tcpdump >/dev/null && { wait $!; grep -q '192.0.2.1' dump || fail "not translated: $(cat dump)"; }
# networks are apart, and the world has no way in
cannot_reach c "http://$A/"
cannot_reach a "http://$C/"
world ip route add 10.0.0.0/8 via 192.0.2.1
cannot_reach world "http://$A/"
cannot_reach world "http://$C/"
# published: from the world, from the host by any of its addresses, from each other, and from itself
for from in world b a c; do reaches $from http://192.0.2.1:8080/ i-am-a; done
reaches world http://192.0.2.1:8081/ i-am-c
reaches world 'http://[2001:db8::1]:8080/' i-am-a
reaches host http://127.0.0.1:8080/ i-am-a
reaches host http://192.0.2.1:8080/ i-am-a
reaches host http://127.0.0.1:8082/ i-am-a
cannot_reach world http://192.0.2.1:8082/
cannot_reach b http://127.0.0.1:8080/
# a taken port names its holder, and nothing is changed by that
want 125 "$CTR" run -d --name d -p 8080:80 r sleep 1
said err "port 8080 is published by 'a' already"
reaches world http://192.0.2.1:8080/ i-am-a
want 125 "$CTR" run -d --name d --net none -p 8080:80 r sleep 1
want 125 "$CTR" run -d --name d -p 8080:80/icmp r sleep 1
want 125 "$CTR" run -d --name d --net bridgee r sleep 1
said err "did you mean 'bridge'?"
# the same address and MAC after a restart; another's network; none
mac() { "$CTR" exec "$1" cat /sys/class/net/eth0/address; }
M=$(mac a)
want 0 "$CTR" restart -t 0 a
soon "$CTR" exec a wget -q -O /dev/null http://127.0.0.1/
[ "$(address a) $(mac a)" = "$A $M" ] || fail "after a restart: $(address a) $(mac a), not $A $M"
reaches world http://192.0.2.1:8080/ i-am-a
[ "$("$CTR" run --rm --net container:b r ip -o addr show eth0 | grep -c "$B/")" = 1 ] || fail "container:b"
[ "$("$CTR" run --rm --net none r ls /sys/class/net)" = lo ] || fail "none"
want 125 "$CTR" run --rm --net container:gone r true
# networks that people make
want 0 "$CTR" net create --subnet 10.200.0.0/24 lab
want 4 "$CTR" net create --subnet 10.200.0.128/25 other
want 2 "$CTR" net create --subnet 10.200.0.1/24 other
want 2 "$CTR" net create host
serve e --net lab:ip=10.200.0.77
serve f --net lab --net bridge
[ "$(address e)" = 10.200.0.77 ] || fail "ip=: $(address e)"
reaches f http://10.200.0.77/ i-am-e
cannot_reach a http://10.200.0.77/
reaches f "http://$A/" i-am-a # by its second interface
want 125 "$CTR" run -d --name g --net lab:ip=10.200.0.77 r sleep 1
want 125 "$CTR" run -d --name g --net lab:ip=10.201.0.77 r sleep 1
want 0 "$CTR" net create --isolated --no-ipv6 apart
want 0 "$CTR" net create --internal inside
serve g --net apart
serve h --net apart
serve i --net inside
cannot_reach g "http://$(address h)/"
reaches g http://192.0.2.2/ world
reaches host "http://$(address g)/" i-am-g
cannot_reach i http://192.0.2.2/
reaches host "http://$(address i)/" i-am-i
want 4 "$CTR" net rm lab
want 0 "$CTR" net inspect lab
grep -q '"address": "10.200.0.77"' out || fail "$(cat out)"
want 0 "$CTR" net ls
grep -q '^lab .*10.200.0.0/24' out || fail "$(cat out)"
want 0 "$CTR" net connect bridge e
[ "$("$CTR" exec e ls /sys/class/net | tr "\n" " ")" = "eth0 eth1 lo " ] || fail "connect: $("$CTR" exec e ls /sys/class/net)"
want 0 "$CTR" restart -t 0 e
[ "$("$CTR" exec e ls /sys/class/net | tr '\n' ' ')" = 'eth0 eth1 lo ' ] || fail "connect: $("$CTR" exec e ls /sys/class/net)"
want 0 "$CTR" net disconnect lab e
want 4 "$CTR" net disconnect lab e
# the rules are lost, as by a firewall's reload: what runs is closed in, and the next start restores all
nft flush ruleset
want 0 "$CTR" run --rm r true
reaches world http://192.0.2.1:8080/ i-am-a
reaches a http://192.0.2.2/ world
cannot_reach c "http://$A/"
want 0 "$CTR" rm -f '*'
no_network_left
want 0 "$CTR" net rm lab apart inside
! ip -br link | grep -q '^c[0-9a-f]\{5\}[2-9]\.' || fail "bridges of removed networks: $(ip -br link)"
