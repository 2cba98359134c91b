#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Names, documents and files of images are shown and changed without running anything; damage is found, and mended.
. "$TESTS/images/lib.sh"
. "$TESTS/life/vps.bash"
rootfs r
mkdir -p r/data/sub
printf 'hello\n' >r/data/sub/f
ln -s sub/f r/data/link
ln -s / r/data/up
printf x >"r/data/$(printf 'a\033[31mb')"
tar -C r --numeric-owner -czf r.tar.gz .
want 0 "$CTR" image import -q --keep-blobs r.tar.gz app:1
id=$(cat out)

# names
want 0 "$CTR" image tag app:1 app:2 other/x
want 0 "$CTR" image ls
[ "$(grep -c "${id:0:12}" out)" = 3 ] || fail "three names: $(cat out)"
want 0 "$CTR" image untag app:2
want 3 "$CTR" image inspect app:2
want 3 "$CTR" image tag nope x
want 1 "$CTR" image tag app:1 Bad
want 1 "$CTR" image untag "$id"
said err 'an id, not a name'

# documents
want 0 "$CTR" image inspect app:1
python3 -c '
import json, sys
i = json.load(open("out"))["images"][0]
assert i["names"] == ["app:1", "other/x:latest"], i["names"]
assert i["id"] == "sha256:" + sys.argv[1] and len(i["layers"]) == 1 and i["instances"] == []
assert i["config"]["config"]["Cmd"] == ["/bin/sh"], i["config"]
' "$id" || fail "inspect: $(cat out)"
want 0 "$CTR" image history app:1
[ "$(wc -l <out)" = 2 ] || fail "history: $(cat out)"

# files, and nothing above them
want 0 "$CTR" image files app:1 /data
said out '/data/link -> sub/f'
! grep -q /data/sub/f out || fail 'without -r only what is in it'
said out 'a\033[31mb'
want 0 "$CTR" image files -r --json app:1 data
python3 -c 'import json; assert sorted(f["path"] for f in json.load(open("out")))[-3:] == ["/data/sub", "/data/sub/f", "/data/up"]' || fail "files: $(cat out)"
want 0 "$CTR" image cat app:1 /data/link /data/up/data/sub/f
[ "$(cat out)" = $'hello\nhello' ] || fail "cat: $(cat out)"
want 3 "$CTR" image cat app:1 /data/up/../../../data/nope
said err 'there is no'
want 1 "$CTR" image cat app:1 /data
want 0 "$CTR" image cat app:1 /../../etc/passwd
said out 'www:x:33'

# mounted where it is asked for
mkdir mnt
want 0 "$CTR" image mount app:1 mnt
cmp mnt/data/sub/f r/data/sub/f || fail mount
! touch mnt/x 2>/dev/null || fail 'it can be written'
findmnt -no OPTIONS mnt | grep -q nosuid || fail "options: $(findmnt -no OPTIONS mnt)"
want 0 "$CTR" image unmount mnt
want 4 "$CTR" image unmount mnt
want 4 "$CTR" image unmount /proc

# what differs; a file of the same size and time is not the same
cp -a r r2
printf 'hallo\n' >r2/data/sub/f
touch -r r/data/sub/f r2/data/sub/f
rm r2/data/up
mkdir r2/new
tar -C r2 --numeric-owner -cf r2.tar .
want 0 "$CTR" image import -q r2.tar app:new
want 0 "$CTR" image diff app:1 app:new
[ "$(cat out)" = $'C /data/sub/f\nD /data/up\nA /new' ] || fail "diff: $(cat out)"
want 0 "$CTR" image diff app:1 other/x
[ ! -s out ] || fail "the same: $(cat out)"

# saved and read again: the same id; into its own store, through a pipe
want 0 "$CTR" image save -o one.tar app:1 other/x app:new
want 0 "$CTR" image save -o two.tar app:1 other/x app:new
cmp one.tar two.tar || fail 'the same images, other bytes'
[ "$(tar -tf one.tar | grep -c '^blobs/')" = 6 ] || fail "blobs: $(tar -tf one.tar)"
want 1 "$CTR" image save -o nowhere/x app:1
want 3 "$CTR" image save -o none.tar nope
[ ! -e none.tar ] && [ ! -e none.tar.part ] || fail 'a failed save left a file'
"$CTR" image save app:1 | timeout 20 "$CTR" image import -q - again >out 2>err || fail "through a pipe: $(cat err)"
[ "$(cat out)" = "$id" ] || fail "another id: $(cat out)"
(
	CTR_ROOT=$PWD/elsewhere
	export CTR_ROOT
	want 0 "$CTR" image import one.tar
	want 0 "$CTR" image inspect other/x
	said out "$id"
	want 0 "$CTR" image diff app:1 other/x
) || exit 1

# damage
want 0 "$CTR" image verify app:1
layer=$("$CTR" image inspect app:1 | sed -n '/"layers"/,/]/s/.*sha256:\([0-9a-f]*\).*/\1/p' | head -n 1)
printf X | dd of="$CTR_ROOT/layers/$layer" bs=1 seek=5000 conv=notrunc 2>/dev/null
want 1 "$CTR" image verify -q app:1
said out "layer   ${layer:0:12}  is not what it was"
want 0 "$CTR" image verify app:new --repair --json
want 0 "$CTR" image verify --repair app:1
said out repaired
want 0 "$CTR" image verify app:1
rm "$CTR_ROOT/layers/$layer"
want 1 "$CTR" image verify app:1
said out 'is missing'
want 0 "$CTR" image verify --repair app:1
root=$("$CTR" image inspect app:1 | sed -n 's/.*"root": "\(.*\)",/\1/p')
if [ -f "$root" ]; then
	printf X | dd of="$root" bs=1 seek=2000 conv=notrunc 2>/dev/null
	want 1 "$CTR" image verify app:1
	said out 'is not what its layers make'
	want 0 "$CTR" image verify --repair app:1
	want 0 "$CTR" image verify app:1
fi
new=$("$CTR" image inspect app:new | sed -n '/"layers"/,/]/s/.*sha256:\([0-9a-f]*\).*/\1/p' | head -n 1)
rm "$CTR_ROOT/layers/$new"
want 1 "$CTR" image verify --repair app:new
said out 'import it again'

# what has no name and no user goes, and what nobody leads to
want 0 "$CTR" create --name user --net none app:1 true
want 0 "$CTR" image untag app:1 other/x again app:new
cp "$CTR_ROOT/layers/$layer" "$CTR_ROOT/layers/$(printf 0%.0s {1..64})"
want 0 "$CTR" image prune
[ "$("$CTR" image ls -q)" = "$id" ] || fail "used, so it stays: $("$CTR" image ls)"
[ "$(ls "$CTR_ROOT/layers")" = "$layer" ] || fail "layers: $(ls "$CTR_ROOT/layers")"
want 0 "$CTR" rm user
want 0 "$CTR" image tag "$id" named
want 0 "$CTR" image prune
want 0 "$CTR" image inspect named
want 0 "$CTR" image prune --all
store_is_empty
