#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The same content again, however compressed and under whatever name, adds names and no second copy.
. "$TESTS/images/lib.sh"
small a.tar
gzip -k a.tar
"$CTR" image import a.tar one >out || fail 'the first'
grep -q 'already' out && fail 'the first was there already'
inode=$(stat -c %i "$CTR_ROOT"/layers/*)
"$CTR" image import a.tar.gz two:2 | grep -q 'was there already' || fail 'the second is new'
[ "$(stat -c %i "$CTR_ROOT"/layers/*)" = "$inode" ] || fail 'the layer was replaced'
[ "$(ls "$CTR_ROOT/layers" | wc -l) $(ls "$CTR_ROOT/images" | wc -l)" = '1 1' ] || fail 'a second copy'
tmp_is_empty
[ "$("$CTR" image ls | grep -cE '^(one:latest|two:2) ')" = 2 ] || fail 'names'
# another command line makes another image of the same layer
"$CTR" image import --cmd /bin/true a.tar three >/dev/null || fail 'with a command'
[ "$(ls "$CTR_ROOT/layers" | wc -l) $(ls "$CTR_ROOT/images" | wc -l)" = '1 2' ] || fail 'the layer is not shared'
# less of each name is another tree, and not the one that is there
"$CTR" image import --json --strip 1 a.tar four >out || fail '--strip'
grep -q '"existed": true' out && fail 'what is stripped passes for what is not'
four=$(sed -n 's/.*"id": "\([0-9a-f]*\)".*/\1/p' out | head -n 1)
"$CTR" image import --strip 1 a.tar.gz four | grep -q 'was there already' || fail 'stripped twice'
[ "$(ls "$CTR_ROOT/layers" | wc -l) $(ls "$CTR_ROOT/roots" | wc -l)" = '2 2' ] || fail 'the stripped layer'
[ "$(cat "$(root_of "$four")/motd")" = small ] || fail '--strip 1 of ./etc/motd is not motd'
"$CTR" image rm four >/dev/null || fail 'rm'
# a name moves to what is imported last
small b.tar other
"$CTR" image import b.tar one >/dev/null || fail 'moving a name'
[ "$("$CTR" image ls | awk '$1 == "one:latest" { print $2 }')" != "$("$CTR" image ls | awk '$1 == "two:2" { print $2 }')" ] ||
	fail 'the name did not move'

# fifty at once
rm -rf "$CTR_ROOT"
for i in $(seq 25); do
	"$CTR" image import -q a.tar.gz n$((i % 5)) >"out.$i" 2>&1 &
	"$CTR" image rm n$((i % 5)) >/dev/null 2>&1 &
done
wait
for i in $(seq 25); do
	[ "$(cat out."$i")" = "$(cat out.1)" ] || fail "one of many: $(cat out."$i")"
done
"$CTR" image import -q a.tar n1 >/dev/null || fail 'the last'
tmp_is_empty
[ "$(ls "$CTR_ROOT/layers" | wc -l) $(ls "$CTR_ROOT/images" | wc -l)" = '1 1' ] || fail 'copies, after many'
[ "$(cat "$(layer)/etc/motd")" = small ] || fail 'the tree is not whole'
