#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each system call of `ctr run` fails in turn: it ends in time, says why, starts nothing that is less confined than asked,
# and leaves nothing. With EVERY=1 (make soak) all of them; else every seventh, beginning somewhere else each time.
# timeout: 900
. "$TESTS/life/vps.bash"
INJECT=$BUILD/tests/life/inject
EVERY=${EVERY:-7}
rootfs r
cp "$BUILD/tests/life/witness" r/bin/witness
# shellcheck disable=SC2046 # a word each
set -- "$CTR" run --rm --name s r witness $(for k in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$k; done)
"$@" >reference 2>&1 || fail "$(cat reference)"
sed -i /SigBlk/d reference # the C library's own, which cannot fail and is not looked at
errnos=(5 12 1 28 24) # EIO ENOMEM EPERM ENOSPC EMFILE
bad=0 tolerated=0
total=$("$INJECT" -n 1000000 -e 5 "$@" 3>&1 >/dev/null | sed -n 's/^end //p')
[ "${total:-0}" -gt 100 ] || fail "cannot count the calls: '$total'"
for ((n = 1 + RANDOM % EVERY; n <= total; n += EVERY)); do
	"$INJECT" -n "$n" -e "${errnos[n % 5]}" "$@" 3>hit >out 2>err
	code=$?
	if [ $code = 124 ]; then
		echo "call $(cat hit): hangs" && bad=1
	elif [ $code = 0 ]; then
		tolerated=$((tolerated + 1))
		sed -i /SigBlk/d out
		cmp -s out reference || { echo "call $(cat hit): confined otherwise:"; diff reference out; bad=1; }
	elif [ ! -s err ] && ! grep -q '^end' hit; then
		echo "call $(cat hit): exit code $code without a word" && bad=1
	fi
	"$CTR" rm -f s >out 2>err || { echo "call $(cat hit): rm: $(cat err)"; bad=1; }
	(nothing_left) >out 2>&1 || { echo "call $(cat hit): $(cat out)"; bad=1; }
done
echo "$total calls, $tolerated failures tolerated"
[ $bad = 0 ]
