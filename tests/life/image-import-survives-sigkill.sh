#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
# SIGKILL of ctr at a random moment of an import or a removal: the next command finds the old or the new state, whole, and the
# one that changes the store wipes what was left.
. "$TESTS/images/lib.sh"
mkdir big big/bin
for i in $(seq 400); do
	mkdir -p "big/usr/$((i % 20))"
	head -c 20000 /dev/urandom >"big/usr/$((i % 20))/$i"
done
ln -s usr big/lib
tar -C big --numeric-owner -cf big.tar .
small old.tar old
old=$("$CTR" image import -q old.tar old) || fail import
began=$(date +%s%N)
big=$("$CTR" image import -q big.tar big) || fail import
took=$((($(date +%s%N) - began) / 1000))
tree "$(root_of "$big")" >"whole.$big"
"$CTR" image rm big >/dev/null || fail rm
# several layers, names and images at once
"$TESTS/images/layers.py" docker layers.tar gzip twice || fail 'cannot make an archive'
layers=$("$CTR" image import -q layers.tar) || fail import
tree "$(root_of "$layers")" >"whole.$layers"
"$CTR" image rm "$layers" >/dev/null || fail rm

check() {
	local id
	unsee
	"$CTR" image ls -q >ids 2>err || fail "ls after a kill: $(cat err)"
	[ ! -s err ] || fail "ls complains: $(cat err)"
	grep -q "$old" ids || fail 'the old image is gone'
	for id in $(grep -v "$old" ids); do
		[ "$id" = "$big" ] || [ "$id" = "$layers" ] || fail "a third image, $id"
		tree "$(root_of "$id")" |
			cmp -s - "whole.$id" || fail 'an image is listed and not whole'
		whole_ones=$((whole_ones + 1))
	done
}
whole_ones=0 killed=0
for i in $(seq 40); do
	archive=big.tar
	[ $((i % 3)) = 0 ] && archive=layers.tar
	unpacked=''
	[ $((i % 5)) = 0 ] && unpacked=--unpacked
	"$CTR" image import -q $unpacked $archive >/dev/null 2>&1 &
	pid=$!
	sleep "$(printf '0.%06d' $((RANDOM * took / 32768 * 13 / 10 % 1000000)))"
	kill -9 $pid 2>/dev/null && killed=$((killed + 1))
	wait $pid 2>/dev/null
	check
	if [ $((i % 4)) = 0 ]; then
		"$CTR" image rm "$big" >/dev/null 2>&1 &
		pid=$!
		sleep "0.00$((RANDOM % 10))"
		kill -9 $pid 2>/dev/null && killed=$((killed + 1))
		wait $pid 2>/dev/null
		check
	fi
done
[ $killed -ge 10 ] || fail "only $killed were killed"
"$CTR" image rm old >/dev/null || fail rm
"$CTR" image rm "$big" >/dev/null 2>&1
"$CTR" image rm "$layers" >/dev/null 2>&1
"$CTR" image import -q old.tar old >/dev/null && "$CTR" image rm old >/dev/null || fail 'a last import'
# helpers that outlived their ctr by a moment keep their directory locked that long
for i in 1 2 3 4 5; do
	[ -z "$(ls "$CTR_ROOT/tmp")" ] && break
	sleep 0.2
	"$CTR" image import -q old.tar old >/dev/null && "$CTR" image rm old >/dev/null
done
store_is_empty
