#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ctr density` starts what it says, tells what each costs, names the budget that runs out before it does and when it does, and
# leaves nothing: at its end, after a failure, after Ctrl-C.
. "$TESTS/life/net.bash"
rootfs r
mkdir r/srv && echo here >r/srv/index.html
SERVE=(r httpd -f -p 80 -h /srv)
number() { sed -n "s/^ *\"$1\": \([0-9.]*\),*$/\1/p" out | head -n 1; }
for net in bridge routed; do
	want 0 "$CTR" density --net $net --json 12 "${SERVE[@]}"
	[ "$(number answered)" = 12 ] || fail "$(cat out)"
	said out '"answer_neighbour_ms"'
	for key in p50 sum payload supervisor 'kernel stacks'; do
		awk "BEGIN { exit !($(number "$key") > 0) }" || fail "$key: $(cat out)"
	done
	nothing_left
done
# who knows each other for good needs no room in the table of neighbours, and is forgotten with the instance
serve one
[ -n "$(ip neigh show nud permanent "$(address one)")" ] || fail "the host has to ask for it: $(ip neigh)"
"$CTR" exec one ip neigh | grep -q 'PERMANENT' || fail "it has to ask for the host: $("$CTR" exec one ip neigh)"
reaches host "http://$(address one)/" i-am-one
want 0 "$CTR" rm -f one
[ -z "$(ip neigh show nud permanent | grep -v ' lladdr 33:33\| lladdr 01:00')" ] || fail "still known: $(ip neigh show nud permanent)"
# what it says is what it does
want 0 "$CTR" density --net none 3 r sleep 1000
said out 'instances  3, all answer true'
want 1 "$CTR" density --net none 3 r no-such-program
said err "'no-such-program' not found"
want 1 "$CTR" density --net none --exec false 3 r sleep 1000
said err 'does not answer'
nothing_left
want 0 "$CTR" net create --subnet 10.9.0.0/28 tiny
want 6 "$CTR" density --net tiny 30 "${SERVE[@]}"
said err 'addresses of the network is 13'
said err 'cure: ctr net create --subnet'
want 1 "$CTR" density --force --net tiny 30 "${SERVE[@]}"
said err 'has no address left; what has run out is addresses of the network'
nothing_left
want 2 "$CTR" density 0 r
want 1 "$CTR" density 3 no-such-image
said err 'ctr: there is no image'
# Ctrl-C
"$CTR" density 1000 "${SERVE[@]}" >out 2>err &
soon eval '[ "$("$CTR" list -q | wc -l)" -gt 5 ]'
kill -INT $!
wait $!
[ $? = 1 ] || fail "an interrupted one exits with 0"
said err interrupted
want 0 "$CTR" net rm tiny
nothing_left
no_network_left
