#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One of everything, in each format that GNU tar writes, comes out as `tar -x` makes it: types, modes, owners, sizes, times,
# links, holes, extended attributes, content; mounted from an index, and unpacked to directories. Each compression gives the same image, by its id.
. "$TESTS/images/lib.sh"
mkdir sample && "$TESTS/images/sample.py" sample || fail 'cannot make the sample'

without_holes() { sed 's/ holes / full /' "$1"; }

# compare FILE TAR-OPTION...
compare() {
	local file=$1
	shift
	rm -rf "$CTR_ROOT" expected
	mkdir expected
	tar -C expected "$@" --numeric-owner -xpf "$file" 2>/dev/null
	"$CTR" image import -q "$file" sample >/dev/null || fail "$file is refused"
	tree expected >expected.txt
	tree "$(layer)" >got.txt
	# an index does not say how much a file takes: stat(2) says its length, of holes too
	diff <(without_holes expected.txt) <(without_holes got.txt) || fail "$file gives another tree"
	rm -rf "$CTR_ROOT"
	"$CTR" image import -q --unpacked "$file" sample >/dev/null || fail "$file is refused"
	[ -d "$CTR_ROOT/roots/$(ls "$CTR_ROOT/roots")" ] || fail '--unpacked makes no directory'
	tree "$(layer)" >got.txt
	diff expected.txt got.txt || fail "$file gives another tree, unpacked"
	[ "$(wc -l <got.txt)" -gt 30 ] || fail "$file gives hardly anything"
}

all=(--xattrs '--xattrs-include=*' --acls)
tar -C sample --format=pax "${all[@]}" --numeric-owner -cf pax.tar .
compare pax.tar "${all[@]}"
tree sample >sample.txt
diff <(without_holes sample.txt) <(without_holes got.txt) || fail 'the tree is not the one that was packed'
tar -C sample --format=pax -S "${all[@]}" --numeric-owner -cf sparse.tar .
compare sparse.tar "${all[@]}"
diff sample.txt got.txt || fail 'the sparse tree is not the one that was packed'
for v in 0.0 0.1; do
	tar -C sample --format=pax -S --sparse-version=$v "${all[@]}" --numeric-owner -cf sparse.tar .
	compare sparse.tar "${all[@]}"
done
tar -C sample --format=pax --acls --numeric-owner -cf acl.tar .
compare acl.tar --acls
tar -C sample --format=gnu --numeric-owner -cf gnu.tar .
compare gnu.tar
tar -C sample --format=gnu -S --numeric-owner -cf gnu.tar .
compare gnu.tar
# which has no long names, and no times before 1970
tar -C sample --format=ustar --exclude=./opt --exclude=./etc/old --exclude=./etc/late --exclude=./etc/long-target \
	--numeric-owner -cf ustar.tar .
compare ustar.tar

id=$("$CTR" image import -q pax.tar)
tried=0
for c in gzip xz zstd bzip2 lz4 'pigz -b 128' 'gzip -1'; do
	command -v "${c%% *}" >/dev/null || continue
	$c -c <pax.tar >pax.compressed || fail "$c"
	[ "$("$CTR" image import -q pax.compressed)" = "$id" ] || fail "$c gives another image"
	[ "$("$CTR" image import -q - <pax.compressed)" = "$id" ] || fail "$c from a pipe gives another image"
	tried=$((tried + 1))
done
[ $tried -ge 3 ] || fail 'no compression could be tried'
# several members and frames in a row are one stream
{ head -c 100000 pax.tar | gzip && tail -c +100001 pax.tar | gzip; } >pax.members
[ "$("$CTR" image import -q pax.members)" = "$id" ] || fail 'members of gzip'
{ head -c 100000 pax.tar | zstd -q && printf 'P*M\030\4\0\0\0skip' && tail -c +100001 pax.tar | zstd -q; } >pax.frames
[ "$("$CTR" image import -q pax.frames)" = "$id" ] || fail 'frames of zstd'
"$CTR" image import --json pax.frames | grep -q '"compression": "zstd"' || fail 'compression is not told'
# padding of any record size follows the end
{ cat pax.tar && head -c 3000000 /dev/zero; } >pax.padded
"$CTR" image import -q pax.padded >/dev/null || fail 'padding is refused'
