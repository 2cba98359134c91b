#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two hosts and somebody outside, on one switch: who asks an instance each millisecond while it moves from one to the other finds it there
# as soon as it runs, under its address, and was without an answer for as long as `ctr migrate` says. Were it not announced, the switch would
# go on sending what is for it to where it was, for five minutes.
. "$TESTS/life/net.bash"
[ -x "$BUILD/tests/life/echo" ] || fail "tests/life/echo is not built"
rootfs r
cp "$BUILD/tests/life/echo" r/bin/echoes
tar -C r -cf r.tar . && want 0 "$CTR" image import r.tar box:1
mkdir there run-there && chmod 700 there
unshare -n sleep 300 &
THERE=$!
there() { CTR_ROOT=$PWD/there CTR_RUN=$PWD/run-there nsenter -t $THERE -n "$@"; }
trap 'there "$CTR" rm -f "*" >/dev/null 2>&1; "$CTR" rm -f "*" >/dev/null 2>&1; umount run-there/mounts 2>/dev/null; kill $WORLD $THERE' EXIT
other() { [ "$(readlink /proc/$THERE/ns/net)" != "$(readlink /proc/self/ns/net)" ]; }
soon other
# the switch, which stands outside
world ip addr flush dev eth0
world ip link add sw type bridge
world ip link add eth1 type veth peer name uplink netns $THERE
for port in eth0 eth1; do world ip link set $port master sw && world ip link set $port up; done
world ip link set sw up && world ip addr add 192.0.2.2/24 dev sw
ip addr flush dev uplink
for host in "" there; do
	$host ip link set lo up && $host ip link add br0 type bridge && $host ip link set uplink master br0 && $host ip link set uplink up && $host ip link set br0 up || fail "a host"
	# shellcheck disable=SC2086
	want 0 $host "$CTR" net create --bridge br0 --subnet 192.0.2.0/24 --subnet6 fd12:3456:789a::/48 --gateway 192.0.2.2 lan
done
cat >rsh <<-SH
	#!/bin/bash
	shift
	CTR_ROOT=$PWD/there CTR_RUN=$PWD/run-there exec nsenter -t $THERE -n sh -c "exec \$*"
SH
chmod +x rsh
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
