#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two hosts and somebody outside, on one switch: who asks an instance each millisecond while it moves from one to the other finds it there
# as soon as it runs, under its address, and was without an answer for as long as `ctr migrate` says. Were it not announced, the switch would
# go on sending what is for it to where it was, for five minutes.
. "$TESTS/life/hosts.bash"
rootfs r
cp "$BUILD/tests/life/echo" r/bin/echoes
tar -C r -cf r.tar . && want 0 "$CTR" image import r.tar box:1
heard() { world awk "/^Icmp6In$1 / { print \$2 }" /proc/net/snmp6; }
before=$(heard NeighborAdvertisements)
# what it takes to be ready counts
want 0 "$CTR" run -d --name web --net lan:ip=192.0.2.77 --ready 'exec:[ -e /dev/shm/up ]' box:1 sh -c 'sleep 0.4; : >/dev/shm/up; exec /bin/echoes serve 7'
announced() { [ "$(heard NeighborAdvertisements)" -gt "$before" ]; }
soon announced
[ "$(heard CsumErrors)" = 0 ] || fail "its neighbour advertisement is damaged"
for round in 1 2 3; do
	rm -f end
	world "$BUILD/tests/life/echo" ask 192.0.2.77 7 "$PWD/end" >silence &
	asks=$!
	sleep 1
	want 0 "$CTR" migrate --json --ssh "$PWD/rsh" --remote-ctr "$CTR" -t 0 web b
	sleep 2
	touch end
	wait $asks || fail "it never answered"
	said=$(sed -n 's/.*"downtime_us": \([0-9]*\).*/\1/p' out)
	echo "round $round: said $said us, seen $(cat silence) us"
	[ "$(there "$CTR" list -q)" = web ] || fail "it is not there"
	[ "$said" -gt 400000 ] || fail "said $said us, before it was ready"
	# a machine under load is late in both; the bench has the figures
	[ "$(cat silence)" -lt $((2 * said + 500000)) ] || fail "said $said us, seen $(cat silence) us"
	[ $round = 3 ] || { rm -f back.tar && want 0 there "$CTR" export -o back.tar web && want 0 there "$CTR" rm -f web && want 0 "$CTR" import back.tar && want 0 "$CTR" start web; }
done
