#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
# A snapshot of a running instance is copied while it runs, and what has changed meanwhile again while it stands still: what it shows was
# so at one moment, whatever is written, renamed, exchanged and linked all the time.
. "$TESTS/life/vps.bash"
rootfs r
want 0 "$CTR" run -d --name web --net none r sh -c '
mkdir -p /p/deep /q/deep && echo p >/p/deep/id && echo q >/q/deep/id && touch -d "2001-01-01 00:00:00" /p/deep/id /q/deep/id
dd if=/dev/urandom of=/big bs=1M count=40 2>/dev/null; mkdir /many; for i in $(seq 1 500); do echo $i >/many/$i; done; echo 0 >/a; cp /a /b
: >/ready
i=0
while :; do
	i=$((i + 1))
	echo $i >/a
	mv /p /t; mv /q /p; mv /t /q
	echo $i >/many/new; ln -f /many/new /many/link; mv /many/new /many/$((i % 500 + 1))
	mkdir -p /dir.$((i % 3))/x; rm -rf /dir.$(((i + 1) % 3)); echo $i >/dir.$((i % 3))/x/f
	echo $i >/b
done'
soon "$CTR" exec web test -e /ready
for s in 1 2 3 4 5 6 7 8; do
	want 0 "$CTR" snapshot create web s$s
	said out "filesystem-consistent" || exit 0 # where nothing can be frozen, a moment is no promise
done
mkdir m
for s in 1 2 3 4 5 6 7 8; do
	want 0 "$CTR" snapshot mount web s$s "$PWD/m"
	a=$(cat m/a) b=$(cat m/b)
	# the file may just have been emptied
	[ -z "$a" ] || [ -z "$b" ] || [ "$a" = "$b" ] || [ "$a" = $((b + 1)) ] || fail "s$s: a is of $a, b of $b"
	ids=$(cat m/p/deep/id m/q/deep/id m/t/deep/id 2>/dev/null | sort | xargs)
	[ "$ids" = "p q" ] || fail "s$s: of the two that are exchanged there are: $ids"
	n=$(find m/many -type f | wc -l)
	[ "$n" -ge 500 ] && [ "$n" -le 503 ] || fail "s$s: $n of 500 files"
	[ "$(stat -c %s m/big)" = 41943040 ] || fail "s$s: what nobody wrote to: $(stat m/big)"
	sums+=$(sha256sum <m/big)$'\n'
	umount m || fail "umount"
done
[ "$(sort -u <<<"$sums" | grep -c .)" = 1 ] || fail "it differs: $sums"
# what runs is as it was
want 0 "$CTR" stop -t 0 web
want 0 "$CTR" rollback web s8
want 0 "$CTR" start web
want 0 "$CTR" rm -f web
gone() { [ -z "$(find "$CTR_ROOT/instances/.tmp" -mindepth 1)" ]; }
soon gone
nothing_left
