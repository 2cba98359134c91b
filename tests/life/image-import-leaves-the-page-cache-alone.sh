#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A large layer is written past the page cache, whatever its end is like, and is what was read; where a tree is made of it, it is not.
. "$TESTS/images/lib.sh"
mkdir -p "$CTR_ROOT"
dd if=/dev/zero of="$CTR_ROOT/probe" bs=4096 count=1 oflag=direct 2>/dev/null || skip 'this file system has no direct I/O'
rm "$CTR_ROOT/probe"
mkdir -p t/bin t/etc
echo small >t/bin/a
head -c 20000000 /dev/urandom >t/etc/large
resident() { fincore --bytes --noheadings --output RES "$CTR_ROOT"/layers/*; }
for blocks in 1 3; do
	tar -b$blocks -C t -cf a.tar ./bin ./etc
	head -c 100 /dev/zero >>a.tar
	"$CTR" image import -q a.tar a >id || fail "$blocks blocks a record"
	[ "$(resident)" -lt 6000000 ] || fail "of the layer $(resident) bytes are in the page cache"
	cmp a.tar "$CTR_ROOT"/layers/* || fail 'the layer is not what was read'
	"$CTR" image cat a /etc/large | cmp - t/etc/large || fail 'content'
	"$CTR" image rm a || fail 'rm'
	"$CTR" image prune >prune || fail 'prune'
done
