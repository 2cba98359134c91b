#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Images as `docker save` of both ages writes them, and OCI layouts, as directories and archives, nested and compressed in every
# way: all are the same image, by its id, and have the tree that the image-spec's rules make of the layers: whiteouts, opaque
# directories, links across layers, directories reached through links.
. "$TESTS/images/lib.sh"
make() { "$TESTS/images/layers.py" "$@" || fail "cannot make $*"; }
mkdir expected && make expected expected
# the top directory has no entry of its own
tree expected | sed 1d >expected.txt
[ "$(wc -l <expected.txt)" -gt 20 ] || fail 'hardly anything is expected'

# is_it FILE NAME... : imports it, mounted and unpacked, and compares; the names are those that the archive gives.
is_it() {
	local file=$1 unpacked got
	shift
	for unpacked in '' --unpacked; do
		rm -rf "$CTR_ROOT"
		got=$("$CTR" image import -q $unpacked "$file") || fail "$file is refused"
		[ -z "${id-}" ] && id=$got
		[ "$got" = "$id" ] || fail "$file is another image: $got"
		tree "$(layer)" | sed 1d >got.txt
		diff expected.txt got.txt || fail "$file gives another tree${unpacked:+, unpacked}"
		[ "$("$CTR" image ls | awk 'NR > 1 { print $1 }' | tr '\n' ' ')" = "$* " ] || fail "$file has the names $("$CTR" image ls)"
		[ "$(ls "$CTR_ROOT/layers" | wc -l)" = 3 ] || fail "$file: layers"
		tmp_is_empty
	done
}
make docker old.tar && is_it old.tar layers:1
make docker old-gz.tar gzip twice && is_it old-gz.tar layers:1 layers:2
make docker links.tar links && is_it links.tar layers:1
make docker-oci new.tar && is_it new.tar localhost/layers:1
make oci oci.tar gzip && is_it oci.tar localhost/layers:1
make oci oci-zstd.tar zstd foreign twice && is_it oci-zstd.tar localhost/layers:1 localhost/layers:2
make oci oci.d gzip && is_it oci.d localhost/layers:1
make oci-nested nested.tar gzip && is_it nested.tar localhost/layers:1
make oci-nested nested.d zstd foreign && is_it nested.d localhost/layers:1
for c in gzip xz zstd; do
	$c -kc new.tar >new.compressed && is_it new.compressed localhost/layers:1
	[ "$("$CTR" image import -q - <new.compressed)" = "$id" ] || fail "$c from a pipe gives another image"
done
cat old.tar | "$CTR" image import -q - >/dev/null || fail 'from a pipe'
"$CTR" image import oci.d called:7 >/dev/null || fail 'a name of ours'
"$CTR" image ls | grep -q '^called:7 ' || fail 'the name is not given'

# integrity: each byte is checked, a blob that is not there is named, and a pin holds
rm -rf "$CTR_ROOT"
for f in docker docker-oci oci oci-nested; do
	make $f bad.tar damaged
	"$CTR" image import bad.tar 2>err && fail "$f: a damaged layer is taken"
	grep -qE 'damaged|digest is another' err || fail "$f damaged: $(cat err)"
	make $f-missing bad.tar
	"$CTR" image import bad.tar 2>err && fail "$f: a missing layer is no error"
	grep -qE "layer 1, '.*': .* is not in it" err || fail "$f missing: $(cat err)"
	[ "$(wc -l <err)" = 1 ] || fail "$f: not one line: $(cat err)"
	store_is_empty
done
sum=$(sha256sum <oci.tar | cut -d' ' -f1)
"$CTR" image import --digest "sha256:$sum" oci.tar >/dev/null || fail 'the right digest is refused'
"$CTR" image import --digest "sha256:$id" oci.tar >/dev/null || fail 'the right id is refused'
rm -rf "$CTR_ROOT"
"$CTR" image import --digest "sha256:${sum//[0-4]/7}" oci.tar 2>err && fail 'the wrong digest is taken'
grep -q 'neither is what was asked for' err || fail "digest: $(cat err)"
store_is_empty

# two images share the layers that they have in common, and each is read once
"$CTR" image import -q old.tar >/dev/null || fail old
"$CTR" image import -q --keep-blobs oci.tar again >/dev/null || fail again
[ "$(ls "$CTR_ROOT/layers" | wc -l) $(ls "$CTR_ROOT/roots" | wc -l)" = '3 1' ] || fail 'copies of layers'
rm -rf "$CTR_ROOT"
"$CTR" image import -q --keep-blobs oci.tar >/dev/null || fail '--keep-blobs'
[ "$(ls "$CTR_ROOT/blobs" | tr '\n' ' ')" = "$(ls "$CTR_ROOT/layers" | tr '\n' ' ')" ] || fail 'blobs'
for b in "$CTR_ROOT"/blobs/*; do
	[ "$(zcat <"$b" | sha256sum)" = "${b##*/}  -" ] || fail "blob $b is not the layer"
done
"$CTR" image rm localhost/layers:1 >/dev/null || fail rm
store_is_empty
