#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `image rm NAME` takes the name, and the image with its last one; never one that an instance uses.
. "$TESTS/images/lib.sh"
small a.tar
small b.tar other
a=$("$CTR" image import -q a.tar a:1) && "$CTR" image import -q a.tar a:2 >/dev/null || fail import
"$CTR" image import -q --cmd /bin/x a.tar shared >/dev/null && "$CTR" image import -q b.tar b >/dev/null || fail import
"$CTR" image rm a:1 >out || fail rm
[ "$(cat out)" = 'untagged a:1' ] || fail "said: $(cat out)"
mkdir -p "$CTR_ROOT/instances/web"
printf '{"rootfs": {"image": "sha256:%s"}}\n' "$a" >"$CTR_ROOT/instances/web/config.json"
for what in a:2 "$a" "${a:0:12}" "sha256:$a"; do
	"$CTR" image rm "$what" 2>err && fail "$what was removed though it is used"
	grep -q "is used by instance 'web'" err || fail "said: $(cat err)"
done
"$CTR" image ls | grep -q '^a:2 ' || fail 'a refused removal took the name'
mkfifo "$CTR_ROOT/instances/fifo" && mkdir "$CTR_ROOT/instances/strange" && mkfifo "$CTR_ROOT/instances/strange/config.json"
timeout 10 "$CTR" image rm b 2>err && fail 'removed, though an instance cannot be read'
grep -q "instance 'strange'" err || fail "said: $(cat err)"
rm -r "$CTR_ROOT/instances"
"$CTR" image rm a:2 >out || fail 'rm after the instance'
grep -q "^removed ${a:0:12}, 0" out || fail "a shared layer was counted: $(cat out)"
[ "$(ls "$CTR_ROOT/layers" | wc -l)" = 2 ] || fail 'a shared layer went'
"$CTR" image rm shared nosuch b 2>err && fail 'a name that is none'
grep -q "there is no image 'nosuch'" err || fail "said: $(cat err)"
store_is_empty
# a layer that lost its image (a kill between two renames) goes as well
"$CTR" image import -q a.tar a >/dev/null && "$CTR" image import -q b.tar b >/dev/null && rm -r "$CTR_ROOT/images/"* "$CTR_ROOT/refs/"*
"$CTR" image import -q a.tar a >/dev/null && "$CTR" image rm a >/dev/null || fail rm
store_is_empty
