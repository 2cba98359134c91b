#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a detached instance writes is kept with time and stream, followed, cut and rotated.
. "$TESTS/life/vps.bash"
rootfs r
want 0 "$CTR" run -d --name a r sh -c 'echo one; echo two >&2; printf three; sleep 0.3; echo; i=0; while [ $i -lt 20 ]; do echo $i; i=$((i+1)); sleep 0.05; done'
"$CTR" logs -f a >followed 2>followed-err || fail "logs -f: $?"
printf 'one\nthree\n%s\n' "$(seq 0 19)" | cmp - followed || fail "followed: $(cat followed)"
[ "$(cat followed-err)" = two ] || fail "standard error: $(cat followed-err)"
"$CTR" logs a >again 2>/dev/null
cmp followed again || fail "logs differ from what was followed"
want 0 "$CTR" logs --tail 3 a
[ "$(tr '\n' ' ' <out)" = '17 18 19 ' ] || fail "--tail 3: $(cat out)"
want 0 "$CTR" logs --tail 0 a
[ ! -s out ] || fail "--tail 0: $(cat out)"
want 0 "$CTR" logs --since 1h a
cmp followed out || fail "--since 1h: $(cat out)"
want 0 "$CTR" logs --since 2999-01-01T00:00:00Z a
[ ! -s out ] || fail "--since the future: $(cat out)"
want 0 "$CTR" logs -t a
grep -qE '^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{9}Z one$' out || fail "-t: $(cat out)"
want 2 "$CTR" logs --since yesterday a
want 3 "$CTR" logs nosuch
# the file is what Kubernetes' tools read
log=$CTR_ROOT/instances/a/log
grep -qE '^[0-9TZ:.-]{30} stdout F one$' "$log" || fail "$(cat "$log")"
grep -qE '^[0-9TZ:.-]{30} stderr F two$' "$log" || fail "$(cat "$log")"
grep -qE '^[0-9TZ:.-]{30} stdout P three$' "$log" || fail "$(cat "$log")"
want 0 "$CTR" rm a
# long lines, and bytes that are no text
head -c 100000 /dev/urandom | tr -d '\n' >r/blob
want 0 "$CTR" run -d --name a r sh -c 'cat /blob; echo'
want 0 "$CTR" wait a
"$CTR" logs a | head -c -1 | cmp - r/blob || fail "bytes are changed"
want 0 "$CTR" rm a
# two files of 10 MiB at most; the payload waits for nobody
want 0 "$CTR" run -d --name a r sh -c 'yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -n 400000; echo last'
want 0 "$CTR" wait a
ls -l "$CTR_ROOT/instances/a" >listing
for file in log log.1; do
	size=$(stat -c %s "$CTR_ROOT/instances/a/$file") || fail "no $file: $(cat listing)"
	[ "$size" -le 10600000 ] || fail "$file has $size bytes"
done
[ "$(find "$CTR_ROOT/instances/a" -maxdepth 1 -name "*log*" | wc -l)" = 2 ] || fail "more files: $(cat listing)"
want 0 "$CTR" logs --tail 1 a
said out last
# a follower is no reason to lose a line over a rotation
want 0 "$CTR" rm a
want 0 "$CTR" run -d --name a r sh -c 'i=0; while [ $i -lt 8 ]; do yes "$i 0123456789012345678901234567890123456789" | head -n 40000; i=$((i+1)); sleep 0.2; done; echo last'
"$CTR" logs -f a >followed
[ "$(wc -l <followed)" = 320001 ] || fail "lines followed over rotations: $(wc -l <followed) of 320001"
want 0 "$CTR" rm a
nothing_left
