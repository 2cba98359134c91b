#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two hundred instances come and go at the same time, each with an address and a published port: no address and no port is ever two's, a
# port that many want is one's, and nothing is left.
# timeout: 300
. "$TESTS/life/net.bash"
rootfs r
tar -C r -cf r.tar . && want 0 "$CTR" image import r.tar box
# the first makes bridge and rules; all others meet there
begin() { # begin NAME PORT
	"$CTR" run -d --name "$1" --net bridge -p "$2:80" box sleep 1000 >"out.$1" 2>"err.$1"
}
at_once() { # at_once COMMAND: of 1 to 200, sixteen at a time
	local i pids=()
	for ((i = 1; i <= 200; i++)); do
		"$1" $i &
		pids+=($!)
		if [ ${#pids[@]} = 16 ]; then
			wait "${pids[@]}" || :
			pids=()
		fi
	done
	wait "${pids[@]}" || :
}
start_one() { begin "w$1" $((20000 + $1)); }
stop_one() { "$CTR" rm -f "w$1" >/dev/null 2>&1; }
churn_one() { # some go, some come, at the same time
	if (($1 % 2)); then
		stop_one "$1"
	else
		begin "v$1" $((21000 + $1))
	fi
}
unique() {
	local names=() pid twice
	mapfile -t names < <("$CTR" list -q)
	: >seen
	for name in "${names[@]}"; do
		pid=$("$CTR" inspect "$name" | sed -n 's/.*"pid": \([0-9]*\).*/\1/p' | head -n 1)
		nsenter -t "$pid" -n ip -4 -o addr show eth0 | awk '{ print $4 }' >>seen
	done
	[ "$(wc -l <seen)" = ${#names[@]} ] || fail "${#names[@]} instances, $(wc -l <seen) addresses"
	twice=$(sort seen | uniq -d)
	[ -z "$twice" ] || fail "two have $twice"
}
at_once start_one
[ "$("$CTR" list -q | wc -l)" = 200 ] || fail "$("$CTR" list -q | wc -l) of 200: $(cat err.w* | sort | uniq -c | head -5)"
unique
[ "$(nft list map inet "$(nft list tables | sed -n 's/table inet \(ctr[^ ]*\)/\1/p')" pub4 | grep -o 'tcp \. [0-9]*' | sort -u | wc -l)" = 200 ] || fail "ports are missing"
at_once churn_one
[ "$("$CTR" list -q | wc -l)" = 200 ] || fail "$("$CTR" list -q | wc -l) of 200 after the change: $(cat err.v* | sort | uniq -c | head -5)"
unique
# one port, which many want at once
pids=()
for ((i = 0; i < 16; i++)); do
	begin "p$i" 25000 &
	pids+=($!)
done
wait "${pids[@]}" || :
[ "$("$CTR" list -q | grep -c '^p')" = 1 ] || fail "$("$CTR" list -q | grep '^p' | xargs) have one port"
[ "$(cat err.p* | grep -c 'port 25000 is published')" = 15 ] || fail "$(cat err.p*)"
want 0 "$CTR" rm -f '*'
no_network_left
