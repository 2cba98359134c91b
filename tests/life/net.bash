# SPDX-License-Identifier: Apache-2.0
# Sourced first by the tests of networks, with the test's own arguments: the test goes on in a network namespace of its own, with
# the host in it, and a world beyond it (a further namespace, 192.0.2.2 and 2001:db8::2).
# shellcheck shell=bash
. "$TESTS/life/vps.bash"
command -v nft >/dev/null || { echo "needs nftables"; exit 77; }
if [ -z "${IN_NETNS-}" ]; then
	unshare -n true 2>/dev/null || { echo "needs a network namespace"; exit 77; }
	IN_NETNS=1 exec unshare -n bash "$0" "$@"
fi
export CTR_NET=bridge
ip link set lo up
# a process that holds the world's namespace
unshare -n sleep "${HOLD:-300}" &
WORLD=$!
trap 'kill $WORLD 2>/dev/null' EXIT
for ((i = 0; i < 100; i++)); do [ "$(readlink /proc/$WORLD/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break; sleep 0.02; done
ip link add uplink type veth peer name eth0 netns $WORLD
ip addr add 192.0.2.1/24 dev uplink && ip -6 addr add 2001:db8::1/64 dev uplink nodad && ip link set uplink up
world() { nsenter -t $WORLD -n "$@"; }
world ip link set lo up
world ip addr add 192.0.2.2/24 dev eth0
world ip -6 addr add 2001:db8::2/64 dev eth0 nodad
world ip link set eth0 up

# address NAME [-6]: of its first interface
address() {
	if [ "${2-}" = -6 ]; then
		"$CTR" exec "$1" ip -6 addr show eth0 | sed -n 's/.*inet6 \(fd[0-9a-f:]*\).*/\1/p'
	else
		"$CTR" exec "$1" ip addr show eth0 | sed -n 's/.*inet \([0-9.]*\).*/\1/p'
	fi
}
# serve NAME OPTION...: an instance that answers HTTP with its name
serve() {
	local name=$1
	shift
	want 0 "$CTR" run -d --name "$name" "$@" r sh -c "mkdir -p /srv && echo i-am-$name >/srv/index.html && exec httpd -f -p '[::]:80' -h /srv"
	soon "$CTR" exec "$name" wget -q -O /dev/null http://127.0.0.1/
}
# get WHERE URL: what it answers; WHERE is host, world or an instance
get() {
	case $1 in
	host) timeout 1.5 busybox wget -q -O - "$2" ;;
	world) world timeout 1.5 busybox wget -q -O - "$2" ;;
	*) "$CTR" exec "$1" timeout 1.5 wget -q -O - "$2" ;;
	esac 2>/dev/null
}
# reaches WHERE URL TEXT: a machine under load may need more than one try
reaches() {
	local try
	for try in 1 2 3; do
		[ "$(get "$1" "$2")" != "$3" ] || return 0
	done
	fail "$1 does not reach $3 at $2${4+: $4}"
}
# and nothing else, so that a wrong address is no success
cannot_reach() { [ -z "$(get "$1" "$2")" ] || fail "$1 reaches $2"; }

# no_network_left: after all was removed: no link of an instance, no element of its rules
no_network_left() {
	local left tries
	for ((tries = 0; tries < 100; tries++)); do
		left=$(ip -br link | grep -E '^[vr][0-9a-f]{5}' || :)
		[ -n "$left" ] || break
		sleep 0.05
	done
	left+=$(nft list ruleset | grep -E '"[vr][0-9a-f]{5}[0-9a-v]|tcp \. [0-9]+ :|udp \. [0-9]+ :' || :)
	[ -z "$left" ] || fail "left behind: $left"
}
