# SPDX-License-Identifier: Apache-2.0
# Sourced in place of net.bash: two hosts, of which this one is the first (the other is `there COMMAND`), and somebody outside (`world`), on one
# switch. Both have the network "lan", 192.0.2.0/24; `ssh`, as $PWD/rsh, reaches the other one, and $PWD/rsh-back this one from there.
# shellcheck shell=bash
. "$TESTS/life/net.bash"
[ -x "$BUILD/tests/life/echo" ] || fail "tests/life/echo is not built"
mkdir there run-there && chmod 700 there
unshare -n sleep "${HOLD:-300}" &
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
cat >rsh-back <<-SH
	#!/bin/bash
	shift
	CTR_ROOT=$CTR_ROOT CTR_RUN=$CTR_RUN exec nsenter -t $$ -n sh -c "exec \$*"
SH
chmod +x rsh-back
