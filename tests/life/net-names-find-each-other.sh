#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Instances of one network find each other by name, those that are there already too, and only of their own networks.
. "$TESTS/life/net.bash"
rootfs r
want 0 "$CTR" net create --subnet 10.201.0.0/24 back
serve web
serve db --net back
serve both --net bridge --net back
reaches both http://web/ i-am-web
reaches both http://db/ i-am-db
reaches web http://both/ i-am-both
reaches db http://both/ i-am-both
reaches web http://web/ i-am-web
[ "$(get web http://localhost/)" = i-am-web ] || fail 'localhost'
cannot_reach web http://db/
"$CTR" exec web cat /etc/hosts >hosts
! grep -q ' db$' hosts || fail "another network's name: $(cat hosts)"
# who comes later is known to who was there before; who goes is not
serve late
reaches web http://late/ i-am-late
reaches both http://late/ i-am-late
want 0 "$CTR" exec web sh -c 'echo "6.6.6.6 late" >>/etc/hosts 2>/dev/null && exit 1; exit 0'
want 0 "$CTR" stop -t 0 late
cannot_reach web http://late/
want 0 "$CTR" rename late x
want 0 "$CTR" start x
soon "$CTR" exec x wget -q -O /dev/null http://127.0.0.1/
reaches web http://x/ i-am-late
# killed all together: the next start of the name is right again, with one line
pid=$(field x pid)
kill -9 "$(field x supervisor)" "$pid"
soon test ! -e "/proc/$pid"
want 0 "$CTR" start x
soon "$CTR" exec x wget -q -O /dev/null http://127.0.0.1/
"$CTR" exec web grep -c '^[0-9.]* x$' /etc/hosts >count
[ "$(cat count)" = 1 ] || fail "lines of x: $("$CTR" exec web cat /etc/hosts)"
# a name that ends like another
serve my-web
want 0 "$CTR" stop -t 0 web
"$CTR" exec my-web grep -q ' my-web$' /etc/hosts || fail 'it lost its name with another'
# many come and go: the file does not grow for ever, and has whole lines
for _ in $(seq 30); do "$CTR" run --rm --name brief r true || fail 'a short one'; done
"$CTR" exec my-web cat /etc/hosts >hosts
! grep -qvE '^#?[0-9a-f.:]+ [a-z0-9 -]+$|^#.*|^[0-9a-f:.]+ (localhost|ip6-[a-z-]+)( ip6-[a-z-]+)*$' hosts || fail "broken lines: $(cat hosts)"
want 0 "$CTR" run --rm --net none r sh -c 'grep -c . /etc/hosts'
want 0 "$CTR" rm -f '*'
grep -hv -e '^#' -e localhost -e ip6- "$CTR_RUN"/names/* && fail 'names of nobody'
want 0 "$CTR" net rm back
nothing_left
no_network_left
