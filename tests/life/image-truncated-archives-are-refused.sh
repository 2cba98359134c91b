#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Cut short anywhere, damaged anywhere: one line, and nothing is kept. The worst is the cut between two entries, after which
# everything still looks right.
. "$TESTS/images/lib.sh"
small a.tar
head -c 200000 /dev/urandom >small.d/bin/noise
tar -C small.d --numeric-owner -cf a.tar ./bin ./etc
size=$(stat -c %s a.tar)

# gone FILE WHAT
gone() {
	timeout 20 "$CTR" image import "$1" x >out 2>err
	[ $? = 1 ] || fail "$2 is taken"
	[ "$(wc -l <err)" = 1 ] || fail "$2: not one line: $(cat err)"
	store_is_empty
}

# without its end mark, as a download that ended between two entries
end=$(python3 -c 'import tarfile, sys
t = tarfile.open("a.tar"); last = t.getmembers()[-1]
print(last.offset_data + (last.size + 511) // 512 * 512)')
for cut in 1 100 511 512 513 1024 1536 2048 5000 100000 $((end - 1)) "$end"; do
	head -c "$cut" a.tar >cut.tar
	gone cut.tar "the first $cut bytes"
done
grep -q 'there is no end mark' err || fail "said: $(cat err)"
for c in gzip xz zstd bzip2 lz4; do
	command -v $c >/dev/null || continue
	$c -c <a.tar >a.c
	size=$(stat -c %s a.c)
	for cut in 1 5 17 100 1000 50000 $((size / 2)) $((size - 1000)) $((size - 20)) $((size - 5)); do
		head -c $cut a.c >cut.c
		gone cut.c "the first $cut bytes of $c"
	done
	cp a.c bad.c
	printf 'damage' | dd of=bad.c bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
	# noise is stored as it is, so that a checksum alone tells
	gone bad.c "damaged $c"
done
head -c 100000 /dev/urandom >noise
gone noise noise
: >empty
gone empty 'an empty file'
head -c 100000 /dev/zero >zeros
gone zeros zeros
