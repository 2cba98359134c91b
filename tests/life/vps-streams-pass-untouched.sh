#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the foreground the payload has the caller's own standard streams: pipes stay pipes, and every byte arrives.
. "$TESTS/life/vps.bash"
rootfs r
head -c 25000000 /dev/urandom >big
"$CTR" run --rm -i r cat <big >copy || fail "cat: $?"
cmp big copy || fail "25 MB through a pipe are not the same"
# the very same pipe: nothing stands between
"$CTR" run --rm r sh -c 'readlink /proc/self/fd/1; readlink /proc/self/fd/2' 2>&1 | cat >pipes
[ "$(sort -u pipes | wc -l)" = 1 ] && grep -q '^pipe:' pipes || fail "standard output is not the caller's: $(cat pipes)"
# both streams keep apart
"$CTR" run --rm r sh -c 'echo out; echo err >&2' >o 2>e
[ "$(cat o)" = out ] && [ "$(cat e)" = err ] || fail "streams are mixed: $(cat o) / $(cat e)"
# without -i standard input is empty, and ours is not read
printf 'one\ntwo\n' | { "$CTR" run --rm r cat >got; read -r rest; echo "$rest" >rest; }
[ ! -s got ] || fail "input passed without -i: $(cat got)"
[ "$(cat rest)" = one ] || fail "input was eaten without -i: $(cat rest)"
# a reader that goes away is no failure of ours
set -o pipefail
"$CTR" run --rm r yes | head -n 1 >got
[ "$(cat got)" = y ] || fail "yes | head"
set +o pipefail
# streams closed, or full
"$CTR" run --rm r sh -c 'exit 6' <&- >&- 2>&-
[ $? = 6 ] || fail "with closed streams"
want 0 "$CTR" run --rm r sh -c 'test "$(ls /proc/self/fd | wc -l)" -le 4'
nothing_left
