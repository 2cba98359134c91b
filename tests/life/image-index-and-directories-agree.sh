#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The fuzzer's seeds, each of which bit somebody, and archives of odd sizes and places of content: what the kernel reads through an
# index is what unpacking makes, entry by entry.
# timeout: 120
. "$TESTS/images/lib.sh"
without_holes() { sed 's/ holes / full /' "$1"; }
both() { # both FILE : imports it in both ways; they must agree, also about whether it can be imported
	local index unpacked
	rm -rf "$CTR_ROOT"
	"$CTR" image import -q "$1" >/dev/null 2>err
	index=$?
	[ $index = 0 ] && tree "$(layer)" >index.txt
	unsee
	rm -rf "$CTR_ROOT"
	"$CTR" image import -q --unpacked "$1" >/dev/null 2>>err
	unpacked=$?
	[ $index = $unpacked ] || fail "$1: $index as an index, $unpacked unpacked: $(cat err)"
	[ $index = 0 ] || return 0
	tree "$(layer)" >unpacked.txt
	diff <(without_holes index.txt) <(without_holes unpacked.txt) || fail "$1: the trees differ"
	agreed=$((agreed + 1))
}
# two hundred imports, each synced: on a disk in memory, where that can be had
mkdir memory disk
if mount -t tmpfs none memory && truncate -s 1G memory/disk && mkfs.ext4 -q memory/disk && mount -o loop memory/disk disk; then
	CTR_ROOT=$PWD/disk/store
fi 2>/dev/null
finish() {
	unsee
	umount disk memory 2>/dev/null
}
trap finish EXIT
agreed=0
for seed in "$TESTS"/fuzz/corpus/tar_entry/*; do both "$seed"; done
[ $agreed -ge 25 ] || fail "only $agreed seeds could be imported"

# lengths around a block and a page, many names in one directory, long names in every place of a block, holes of every alignment
python3 - <<'P'
import io, os, random, tarfile
random.seed(1)
t = tarfile.open("odd.tar", "w", format=tarfile.PAX_FORMAT)
def add(name, data=None, **more):
    i = tarfile.TarInfo(name)
    i.mode = 0o755 if data is None else 0o644
    i.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
    i.mtime = 1
    for k, v in more.items():
        setattr(i, k, v)
    i.size = len(data or b"")
    t.addfile(i, io.BytesIO(data or b""))
add("etc")
for n in list(range(0, 5)) + [d * s + o for d in (512, 4096) for s in (1, 2, 3, 7) for o in (-1, 0, 1)] + [1 << 20, (1 << 20) + 1]:
    add("etc/%d" % n, random.randbytes(n))
add("many")
for n in range(3000):
    add("many/%s%d" % ("n" * random.randrange(200), n), b"x" * (n % 3))
for n in range(1, 256, 3):
    add("names/%s/%s" % ("d" * n, "f" * n), b"")
for n in (1, 60, 436, 437, 447, 448, 449, 450, 512, 513, 1000, 4000, 4095):
    add("links/%d" % n, b"", type=tarfile.SYMTYPE, linkname="l" * n)
for n in (1, 100, 400, 500, 512, 3000):
    add("attributes/%d" % n, b"", pax_headers={"SCHILY.xattr.user.a": "v" * n, "SCHILY.xattr.user.b": "w"})
    add("attributes/d%d" % n, None, pax_headers={"SCHILY.xattr.user.a": "v" * n})
for n in range(40):
    add("id/%d" % n, b"", uid=random.randrange(65536), gid=random.randrange(65536), mode=random.randrange(0o10000))
t.close()
os.makedirs("holes/bin")
for n in range(60):
    with open("holes/bin/%d" % n, "wb") as f:
        for _ in range(random.randrange(1, 6)):
            f.seek(random.randrange(0, 1 << random.randrange(12, 24)) // (4096 if n % 2 else 1) * (4096 if n % 2 else 1))
            f.write(random.randbytes(random.randrange(1, 20000)))
        f.truncate(f.tell() + random.randrange(0, 100000))
with open("holes/bin/many", "wb") as f: # more pieces than an index lists
    for n in range(3000):
        f.seek(n * 12288)
        f.write(b"p")
P
both odd.tar
without_holes index.txt | grep -q 'etc/1048577 .*size=1048577' || fail 'a file is missing'
tar -C holes -S --format=pax -cf holes.tar . && both holes.tar
tree holes >expected.txt
diff <(without_holes expected.txt) <(without_holes index.txt) || fail 'sparse files are others than before'
tar -C holes -S --format=gnu -cf holes.tar . && both holes.tar
