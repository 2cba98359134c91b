#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The firewall of an instance: from the world, the host, a neighbour on the bridge and one of a routed network; at once, and after a
# restart; counted; nothing passes before it is there; rates both ways; what is lost is told and comes back; nothing is left.
. "$TESTS/life/net.bash"
rootfs r
serve a -p 8080:80
serve b
serve c --net routed
A=$(address a) A6=$(address a -6) B=$(address b) C=$(address c)
all_reach() {
	reaches world http://192.0.2.1:8080/ i-am-a "$1"
	for from in host b; do reaches $from "http://$A/" i-am-a "$1"; reaches $from "http://[$A6]/" i-am-a "$1"; done
}
none_reaches() {
	cannot_reach world http://192.0.2.1:8080/
	for from in host b; do cannot_reach $from "http://$A/"; cannot_reach $from "http://[$A6]/"; done
}
all_reach "before there are rules"
want 0 "$CTR" fw a default deny in
none_reaches
# its own ways out, and their answers: over TCP, by datagrams, by ping
nsenter -t "$WORLD" -n busybox httpd -f -p 192.0.2.2:80 -h "$PWD" &
httpd=$!
echo world >index.html
trap 'kill $httpd $WORLD 2>/dev/null' EXIT
soon reaches a http://192.0.2.2/ world
want 0 "$CTR" exec a ping -c 1 -W 2 "$B"
want 1 "$CTR" exec b ping -c 1 -W 1 "$A"
inside() { nsenter -t "$("$CTR" inspect "$1" | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')" -n "${@:2}"; }
nsenter -t "$WORLD" -n python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('192.0.2.2', 5353))
while True:
    data, peer = s.recvfrom(100)
    s.sendto(b'answer', peer)
" &
answers=$!
trap 'kill $httpd $answers $WORLD 2>/dev/null' EXIT
ask() {
	inside a python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
s.sendto(b'question', ('192.0.2.2', 5353))
print(s.recv(100).decode())
" 2>/dev/null
}
soon ask
[ "$(ask)" = answer ] || fail "no answer to a datagram"
# rules: the first that matches decides; of one peer; of a range
want 0 "$CTR" fw a allow in tcp 80
all_reach "allowed"
want 0 "$CTR" fw a allow in tcp 80
said err "so already"
want 4 "$CTR" fw --strict a default deny in
want 0 "$CTR" fw a insert 1 deny in tcp 70-90 from "$B"
cannot_reach b "http://$A/"
reaches host "http://$A/" i-am-a
reaches b "http://[$A6]/" i-am-a "the rule is of IPv4"
cannot_reach host "http://$A:99/"
want 0 "$CTR" fw a
said out "deny in tcp 70-90 from $B"
"$CTR" fw --json a >json
[ "$(jq -r '.rules[0].packets > 0 and .rules[1].packets > 0 and .default_in.packets > 0 and .default_in.verdict == "deny"' json)" = true ] ||
	fail "counters: $(cat json)"
# lasts
want 0 "$CTR" restart -t 0 a
soon "$CTR" exec a wget -q -O /dev/null http://127.0.0.1/
cannot_reach b "http://$A/"
reaches host "http://$A/" i-am-a
want 0 "$CTR" fw a delete deny in tcp 70-90 from "$B"
reaches b "http://$A/" i-am-a
want 3 "$CTR" fw a delete deny in tcp 1
want 2 "$CTR" fw a delete 9
for bad in "allow in tcp" "allow in tcp 0" "allow in tcp 90-80" "allow up tcp 80" "allow in tcp 80 to 10.0.0.0/8" "allow in tcp 80 from 10.0.0.0/33" \
	"allow in icmp 80" "default deny" "allow in tcp 80 from a" "allow in tcp 80 from ::/129"; do
	# shellcheck disable=SC2086 # words
	want 2 "$CTR" fw a $bad
done
want 0 "$CTR" fw a reset
all_reach "reset"
[ -z "$(nft list tables netdev)" ] || fail "a table without rules: $(nft list tables netdev)"
# the way out
want 0 "$CTR" fw a default deny out
want 0 "$CTR" fw a allow out tcp 80 to 192.0.2.0/24
soon reaches a http://192.0.2.2/ world
cannot_reach a "http://$B/"
all_reach "answers to others go out"
want 0 "$CTR" fw a allow out any to "$B"
reaches a "http://$B/" i-am-b
# of a routed one, from its start on
want 0 "$CTR" rm -f c
serve c --net routed --firewall 'default deny in' --firewall 'allow in tcp 81'
cannot_reach host "http://$C/"
want 0 "$CTR" fw c allow in tcp 80
reaches host "http://$(address c)/" i-am-c
# without an interface of its own there is nothing to filter
want 125 "$CTR" run --rm --net host --firewall 'default deny in' r true
want 125 "$CTR" run --rm --net none --net-rate 1M r true
said err "net-rate: needs a network"
want 125 "$CTR" run --rm --net-rate 1M/fast r true
# rates: what arrives in two seconds, of datagrams so that nothing waits for answers; and TCP
rate_down() { # NAME ADDRESS: bits a second that arrive there, of as many as the host can send
	local before after
	"$CTR" exec "$1" cat /sys/class/net/eth0/statistics/rx_bytes >before
	timeout 3 python3 -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.time() + 2
while time.time() < end:
    try: s.sendto(b'x' * 1400, ('$2', 9))
    except OSError: time.sleep(0.0005)
"
	"$CTR" exec "$1" cat /sys/class/net/eth0/statistics/rx_bytes >after
	before=$(cat before) after=$(cat after)
	echo $(((after - before) * 8 / 2))
}
near() { [ "$1" -ge $(($2 * 95 / 100)) ] && [ "$1" -le $(($2 * 105 / 100)) ]; }
want 0 "$CTR" set b net-rate=20M/8M
got=$(rate_down b "$B")
near "$got" 20000000 || fail "down: $got bits a second of 20 M"
# from it: a file that it serves, as long as two seconds take; counted without what its queue lets pass at once
"$CTR" exec b sh -c 'head -c 3000000 /dev/zero >/srv/big'
python3 - "http://$B/big" >took <<'PY'
import sys, time, urllib.request
r = urllib.request.urlopen(sys.argv[1])
r.read(500000)
t = time.time()
n = len(r.read())
print(int(n * 8 / (time.time() - t)))
PY
near "$(cat took)" 7700000 || fail "up, of what TCP carries: $(cat took) bits a second of 8 M"
# whoever may take its queue away meets another limit outside
want 0 "$CTR" run -d --name q --cap-add net_admin --net-rate 8M r sleep 1000
inside q tc qdisc del dev eth0 root
inside q timeout 5 python3 -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.time() + 2
while time.time() < end:
    try: s.sendto(b'x' * 1400, ('$B', 9))
    except OSError: time.sleep(0.0005)
"
"$CTR" fw q >/dev/null
dropped=$(nft list ruleset netdev | sed -n 's/.*limit rate over.*counter packets \([0-9]*\) .*/\1/p' | sort -n | tail -1)
[ "${dropped:-0}" -gt 100 ] || fail "without its queue nothing limits it: $dropped"
want 0 "$CTR" set b net-rate=
[ "$(rate_down b "$B")" -gt 25000000 ] || fail "the rate was not taken away"
# a reload of the host's firewall takes all away: it is told, and the next start brings it back
nft flush ruleset
"$CTR" doctor >out 2>&1 || :
said out "network-rules"
said out "are gone"
want 0 "$CTR" run --rm r true
"$CTR" doctor >out 2>&1 || :
said out "those of all that run are there"
cannot_reach host "http://$(address c):82/"
nft list table netdev "$(nft list tables netdev | awk '{print $3; exit}')" >/dev/null || fail "the tables of links are not back"
want 0 "$CTR" rm -f a b c q
kill $httpd $answers
no_network_left
[ -z "$(nft list tables netdev)" ] || fail "left behind: $(nft list tables netdev)"
