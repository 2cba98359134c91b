#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Archives that would fill the disk or the memory: beyond the limits, which can be moved, they are refused.
. "$TESTS/images/lib.sh"
small a.tar
bomb() { # bomb PATTERN ARGUMENT...
	local pattern=$1
	shift
	timeout 50 "$CTR" image import "$@" >out 2>err
	[ $? = 1 ] || fail "$* is taken: $(cat out)"
	grep -qE "$pattern" err || fail "$*: $(cat err)"
	store_is_empty
}
bomb 'more than 3 entries' --max-entries 3 a.tar
bomb 'larger than 4096 bytes' --max-size 4k a.tar
"$CTR" image import -q --max-entries 5 --max-size 10k a.tar >/dev/null || fail 'limits that fit'
rm -rf "$CTR_ROOT"
python3 - <<'P' | zstd -q >zeros.zst
import sys, tarfile
t = tarfile.open(fileobj=sys.stdout.buffer, mode="w|")
class Zeros:
    def read(self, n): return bytes(n)
i = tarfile.TarInfo("etc/zeros"); i.size = 1100 << 20
t.addfile(i, Zeros())
t.close()
P
mkdir disk
mount -t tmpfs -o size=2400m none disk || skip 'cannot mount a tmpfs'
export CTR_ROOT=$PWD/disk/store
bomb 'compressed more than 1000 to 1' zeros.zst
"$CTR" image import -q --max-ratio 1000000 zeros.zst >/dev/null || fail 'the limit cannot be moved'
rm -rf "$CTR_ROOT"
# a million zeros after the end, and an endless stream of them
{ cat a.tar && head -c 100M /dev/zero; } | gzip -1 >padded.gz
bomb 'bytes follow its end' padded.gz
timeout 30 "$CTR" image import - </dev/zero 2>err && fail 'an endless stream is taken'
grep -q 'bytes follow its end' err || fail "said: $(cat err)"
# compressed again and again
cp a.tar nested
gzip -c nested >nested.gz && gzip -c nested.gz >nested
bomb 'not a tar archive' nested
zstd -qc <a.tar | zstd -qc >nested && bomb 'applied twice|not a tar archive' nested
umount disk
