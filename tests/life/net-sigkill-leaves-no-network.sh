#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SIGKILL at any system call of a start with a network, and any call that fails: the next command leaves no link, no element of
# the rules, no port taken; and nothing starts with less.
# timeout: 600
. "$TESTS/life/net.bash"
. "$TESTS/life/sweep.bash"
rootfs r
command=("$CTR" run --rm --name "$ID" -p 8080:80 r sh -c 'ip -o addr show eth0 | grep -c inet; ip route | grep -c default')
for ((i = 0; i < 3; i++)); do "${command[@]}" >reference 2>err || { cat err; exit 1; }; done
[ "$(cat reference)" = $'3\n1' ] || { echo "reference: $(cat reference)"; exit 1; }
check() {
	[ "$1" != 0 ] || cmp -s out reference || complain "$2: less was there: $(cat out)"
	"$CTR" list >list 2>&1 || complain "$2: list: $(cat list)"
	"$CTR" rm -f "$ID" >/dev/null 2>&1
	local left
	for ((t = 0; t < 100; t++)); do left=$(ip -br link | grep -E '^v[0-9a-f]{5}' || :); [ -n "$left" ] || break; sleep 0.02; done
	left+=$(nft list ruleset | grep -E '"v[0-9a-f]{5}[0-9a-v]|tcp \. 8080' || :)
	[ -z "$left" ] || complain "$2: left behind: $left"
}
# a name that is not taken out of /etc/hosts is replaced by whoever has the name next
# a netlink socket that is not kept is closed at once, and waits; so does the end of a process that cannot make another
tolerated+=('stat /proc/self/ns/net (ctr)' 'fork *' 'prctl 1 *')
# back from the container's namespace it goes in any case
tolerated+=('setns * 0x40000000 (ctr)')
tolerated+=("openat refs (ctr)" "openat names (ctr)" "openat bridge (ctr)" "read */run/names/* (ctr)" "fstat */run/names/* (ctr)" "pwrite64 *")
# what the program is that is to run, whose network is counted, that memory is given back: hints
tolerated+=("read * */busybox (ctr)" "openat /proc/self/fdinfo/* (ctr)" "madvise *")
tolerated+=("setsockopt *" "openat /proc/sys/net/*" "open /proc/sys/net/*" "write 0" "write 1" "flock *" "ioctl * 0x8933 *" "socket 1 *" "read * /etc/resolv.conf (ctr)" "openat /etc/resolv.conf (ctr)" "open /etc/resolv.conf (ctr)" "mmap 0 * (ctr)" "stat * (ctr, child)" "openat /etc/resolv.conf*")
# a request or an answer that is lost when elements and neighbours are taken away: each is looked at alone then, and check() sees what stays
tolerated+=("recvfrom *" "sendto *")
# the bytes of the link, at its end: else the sampler knows how many there were
tolerated+=("recvmsg * socket:* (ctr)" "socket 16 0x80003 (ctr)")
sweep kill 60 "${command[@]}"
sweep fail 60 "${command[@]}"
[ $bad = 0 ]
