#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An index that this kernel cannot mount, because the store was moved to a tmpfs or the kernel is older: the image is unpacked when it
# is first needed, once, from its layers, with the same tree. Importing there unpacks at once. Nothing else changes.
. "$TESTS/images/lib.sh"
"$TESTS/images/layers.py" docker layers.tar || fail 'cannot make an image'
mkdir -p tiny/bin tiny/etc
cp "$(command -v busybox || skip 'busybox is not installed')" tiny/bin/sh
tar -C tiny --numeric-owner -cf tiny.tar .
"$CTR" image import -q tiny.tar tiny >/dev/null && "$CTR" image import -q layers.tar >/dev/null || fail import
tiny=$("$CTR" image ls | awk '$1 == "tiny:latest" { print $2 }')
layers=$("$CTR" image ls -q | grep -v "^$tiny")
[ -f "$CTR_ROOT/roots/$(ls "$CTR_ROOT/roots" | head -n 1)" ] || skip 'an index cannot be mounted here'
tree "$(root_of "$layers")" >mounted.txt
unsee
mkdir memory
mount -t tmpfs none memory || skip 'cannot mount a tmpfs'
trap 'umount -l memory' EXIT
cp -a "$CTR_ROOT" memory/store
before=$(cd memory/store && find layers images refs -type f -exec sha256sum {} + | sort)
export CTR_ROOT=$PWD/memory/store
for i in $(seq 5); do "$CTR" run --rm tiny sh -c 'exit 7' 2>"err.$i" & done
wait
"$CTR" run --rm tiny sh -c 'exit 7' 2>err
[ $? = 7 ] || fail "run: $(cat err)"
"$CTR" run --rm layers:1 true >/dev/null 2>&1
[ "$(find "$CTR_ROOT/roots" -mindepth 1 -maxdepth 1 -type d | wc -l)" = 2 ] || fail "not unpacked: $(ls -l "$CTR_ROOT/roots")"
tree "$(root_of "$layers")" >unpacked.txt
diff mounted.txt unpacked.txt || fail 'the tree is another'
[ "$(cd memory/store && find layers images refs -type f -exec sha256sum {} + | sort)" = "$before" ] || fail 'something else changed'
tmp_is_empty
# without the call that mounts
rm -rf "$CTR_ROOT"
CTR_ROOT=$PWD/other
mkdir other
"$BUILD/tests/life/refuse" fsopen "$CTR" image import -q layers.tar >/dev/null 2>err || fail "import: $(cat err)"
[ -d "$CTR_ROOT/roots/$(ls "$CTR_ROOT/roots")" ] || fail 'not unpacked, though it cannot be mounted'
tree "$(layer)" >unpacked.txt
diff mounted.txt unpacked.txt || fail 'the tree is another'
