#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ctr run` exits with the payload's code, 128+n for a signal, 125, 126 and 127 for what went wrong before.
. "$TESTS/life/vps.bash"
rootfs r
for code in 0 1 2 7 124 125 126 127 128 200 255; do
	want $code "$CTR" run --rm r sh -c "exit $code"
done
# process 1 of a pid namespace cannot kill itself: its parent can
"$CTR" run --rm --name victim r sleep 100 &
soon is victim status running
want 0 "$CTR" kill victim
wait $!
code=$?
[ $code = 137 ] || fail "killed by SIGKILL: $code"
"$CTR" run --rm --name victim r sh -c 'trap "exit 3" USR1; trap : USR2; echo ready >/tmp/ready; while :; do sleep 0.05; done' &
soon "$CTR" exec victim test -e /tmp/ready
want 0 "$CTR" kill -s USR1 victim
wait $!
code=$?
[ $code = 3 ] || fail "a payload that catches a signal exits as it likes: $code"
want 127 "$CTR" run --rm r /no/such
said err "cannot execute '/no/such'"
want 127 "$CTR" run --rm r nosuch
want 126 "$CTR" run --rm r /etc/passwd
want 126 "$CTR" run --rm r /etc
printf '#!/no/such/shell\n' >r/script && echo data >r/data && chmod +x r/script r/data
want 127 "$CTR" run --rm r /script
said err "interpreter"
want 126 "$CTR" run --rm r /data
said err "another machine"
want 125 "$CTR" run --rm no-such-image true
want 125 "$CTR" run --rm ./no-such-file true
want 125 "$CTR" run --nosuch r
said err "unknown option '--nosuch'"
want 125 "$CTR" run
# the last of many: the code is not lost when the end is quick
for ((i = 0; i < 30; i++)); do
	want $((i + 10)) "$CTR" run --rm r sh -c "exit $((i + 10))"
done
nothing_left
