#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# -t: a pty of the instance's own, with size, echo, job control and the exit code; also for exec and detached.
. "$TESTS/life/vps.bash"
command -v script >/dev/null || { echo "needs script(1)"; exit 77; }
rootfs r
tty() { # tty COMMAND: on a terminal of 30 lines and 100 columns
	script -qec "stty rows 30 cols 100; $1" /dev/null </dev/null >out
}
tty "$CTR run --rm -t r sh -c 'tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all; exit 9'"
code=$?
[ $code = 9 ] || fail "exit code: $code"
grep -q '^/dev/pts/0' out && grep -q '^30 100' out && grep -q '^all' out || fail "$(cat out)"
tty "$CTR run --rm r sh -c 'test -t 0 || echo none'"
grep -q none out || fail "a terminal without -t"
# what is typed arrives, Ctrl-C becomes a signal inside, Ctrl-D the end
{ sleep 1; printf 'typed\n'; sleep 0.5; printf '\004'; sleep 0.5; } | script -qec "$CTR run --rm -it r sh -c 'cat; echo end'" /dev/null >out
[ "$(grep -c typed out)" = 2 ] && grep -q end out || fail "typed: $(cat out)"
{ sleep 1; printf '\003'; sleep 1; } | script -qec "$CTR run --rm -it r sh -c 'trap \"echo caught; exit 8\" INT; while :; do sleep 0.1; done'" /dev/null >out
code=$?
[ $code = 8 ] && grep -q caught out || fail "Ctrl-C: $code $(cat out)"
# exec
want 0 "$CTR" run -d --name a r sleep 100
tty "$CTR exec -t a sh -c 'tty; stty size; exit 7'"
[ $? = 7 ] && grep -q '^/dev/pts/' out && grep -q '^30 100' out || fail "exec -t: $(cat out)"
want 0 "$CTR" rm -f a
# detached: the supervisor holds it, and the log gets what is shown
want 0 "$CTR" run -d -t --name a r sh -c 'tty; echo shown; exit 3'
want 0 "$CTR" wait a
[ "$(cat out)" = 3 ] || fail "detached: $(cat out)"
"$CTR" logs a | tr -d '\r' >log
grep -q '^/dev/pts/0' log && grep -q '^shown' log || fail "log: $(cat log)"
want 0 "$CTR" rm a
nothing_left
