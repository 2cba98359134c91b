#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SIGKILL of `ctr run`, its supervisor or its child at any of their system calls: one more command, and nothing is left.
# With EVERY=1 (make soak) all of them; else every seventh, beginning somewhere else each time.
# timeout: 900
. "$TESTS/life/vps.bash"
INJECT=$BUILD/tests/life/inject
EVERY=${EVERY:-7}
rootfs r
want 0 "$CTR" run --rm --name s r true
bad=0
sweep() { # sweep COMMAND...
	local total n
	total=$("$INJECT" -n 1000000 -k "$@" 3>&1 >/dev/null 2>&1 | sed -n 's/^end //p')
	[ "${total:-0}" -gt 100 ] || fail "cannot count the calls of '$*': '$total'"
	"$CTR" rm -f s
	for ((n = 1 + RANDOM % EVERY; n <= total; n += EVERY)); do
		"$INJECT" -n "$n" -k "$@" 3>hit >out 2>err
		[ $? != 124 ] || { echo "call $(cat hit): hangs"; bad=1; }
		"$CTR" rm -f s >out 2>err || { echo "call $(cat hit): rm: $(cat err)"; bad=1; }
		(nothing_left) >out 2>&1 || { echo "call $(cat hit): $(cat out)"; bad=1; }
		"$CTR" run --rm --name s r true >out 2>&1 || { echo "call $(cat hit): the name is spoilt: $(cat out)"; bad=1; }
	done
	echo "$total calls of $*"
}
sweep "$CTR" run --rm --name s r true
sweep "$CTR" run --name s r true
sweep "$CTR" run -d --rm --name s r true
sweep "$CTR" run -d --name s r true
[ $bad = 0 ]
