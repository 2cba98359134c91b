#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures importing beside what else reads the same files. See README.md.

Runs as root, in a mount namespace of its own: every round has a fresh ext4 (on a loop device, on tmpfs, or on a file of the disk that
--disk names, past its page cache), because one in which trees were made and removed before is ten times slower for all that makes many
files. The arms of a round come in random order, and ratios are of medians, with the 95 % interval that whole rounds give.
"""

import argparse
import glob
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import time

sys.dont_write_bytecode = True

import ground
import stats

SIZE = "3G"


def parse():
    parser = argparse.ArgumentParser(prog="images", description=__doc__)
    parser.add_argument("file", nargs="?", help="a root filesystem's tarball, plain (default: the lab's, or debootstrap's)")
    parser.add_argument("-n", type=int, default=10, metavar="ROUNDS")
    parser.add_argument("--ctr", default=os.path.join(ground.TOP, "build"), metavar="DIR")
    parser.add_argument("--disk", metavar="DIR", help="what is written goes to the disk below it (default: to memory)")
    parser.add_argument("--only", metavar="ARM,ARM,...", help="these alone")
    return parser.parse_args()


def sh(command, **more):
    return subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)


def find_file(args, work):
    if args.file:
        return args.file
    cached = sorted(glob.glob("/var/cache/ctr-lab/*/minbase.tar"), key=os.path.getmtime)
    if cached:
        return cached[-1]
    print("making a root filesystem with debootstrap ...", file=sys.stderr)
    sh(f"debootstrap --variant=minbase trixie {work}/tree && tar -C {work}/tree -cf {work}/minbase.tar . && rm -r {work}/tree")
    return f"{work}/minbase.tar"


def docker_archive(rootfs, out):
    """The tarball as the one layer of what `docker save` would write."""
    diff_id = "sha256:" + hashlib.file_digest(open(rootfs, "rb"), "sha256").hexdigest()
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]},
                         "rootfs": {"type": "layers", "diff_ids": [diff_id]}}).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": ["localhost/bench:1"], "Layers": ["1/layer.tar"]}]).encode()
    with tarfile.open(out, "w") as t:
        for member, data in ((name, config), ("manifest.json", manifest)):
            i = tarfile.TarInfo(member)
            i.size = len(data)
            t.addfile(i, io.BytesIO(data))
        t.add(rootfs, "1/layer.tar")


def prepare(args, work):
    source = find_file(args, work)
    shutil.copy(source, f"{work}/rootfs.tar")
    sh("gzip -kf rootfs.tar && zstd -qkf -3 rootfs.tar", cwd=work)
    docker_archive(f"{work}/rootfs.tar", f"{work}/image.tar")
    if shutil.which("skopeo"):
        sh(f"skopeo --insecure-policy copy docker-archive:{work}/image.tar oci:{work}/oci:1")
        sh(f"tar -C {work}/oci -cf {work}/oci.tar .")


# (table, arm, what it is compared with, command); D: the fresh file system, W: the files. The first of a table is ours.
ARMS = [
    ("plain", "ctr", "ctr image import -q W/rootfs.tar"),
    ("plain", "GNU tar", "tar -C D/x -xf W/rootfs.tar"),
    ("plain", "GNU tar, synced", "tar -C D/x -xf W/rootfs.tar && sync -f D/x"),
    ("plain", "bsdtar", "bsdtar -C D/x -xpf W/rootfs.tar"),
    ("plain", "podman import", "podman --root D/x/r --runroot D/x/rr import -q W/rootfs.tar bench:1"),
    ("plain", "cat", "cat W/rootfs.tar >D/x/out"),
    ("gzip", "ctr", "ctr image import -q W/rootfs.tar.gz"),
    ("gzip", "GNU tar", "tar -C D/x -xzf W/rootfs.tar.gz"),
    ("gzip", "bsdtar", "bsdtar -C D/x -xpf W/rootfs.tar.gz"),
    ("gzip", "podman import", "podman --root D/x/r --runroot D/x/rr import -q W/rootfs.tar.gz bench:1"),
    ("gzip", "gzip -dc", "gzip -dc W/rootfs.tar.gz >D/x/out"),
    ("gzip", "pigz -dc", "pigz -dc W/rootfs.tar.gz >D/x/out"),
    ("gzip", "igzip -dc", "igzip -dc W/rootfs.tar.gz >D/x/out"),
    ("gzip", "igzip -dc, synced", "igzip -dc W/rootfs.tar.gz >D/x/out && sync D/x/out"),
    ("zstd", "ctr", "ctr image import -q W/rootfs.tar.zst"),
    ("zstd", "GNU tar", "tar -C D/x --zstd -xf W/rootfs.tar.zst"),
    ("zstd", "bsdtar", "bsdtar -C D/x -xpf W/rootfs.tar.zst"),
    ("zstd", "zstd -dc", "zstd -qdc W/rootfs.tar.zst >D/x/out"),
    ("zstd", "zstd -dc, synced", "zstd -qdc W/rootfs.tar.zst >D/x/out && sync D/x/out"),
    ("docker archive", "ctr", "ctr image load -q W/image.tar"),
    ("docker archive", "podman load", "podman --root D/x/r --runroot D/x/rr load -q -i W/image.tar"),
    ("docker archive", "skopeo copy", "skopeo --insecure-policy copy docker-archive:W/image.tar oci:D/x/oci:1"),
    ("OCI layout", "ctr", "ctr image load -q W/oci"),
    ("OCI layout", "umoci unpack", "umoci unpack --image W/oci:1 D/x/bundle"),
    ("OCI layout", "podman load", "podman --root D/x/r --runroot D/x/rr load -q -i W/oci.tar"),
]


class Disk:
    def __init__(self, work, below):
        self.work, self.top = work, f"{work}/disk"
        self.image = os.path.join(os.path.abspath(below or work), "ctr-bench-images.img")
        self.direct = "--direct-io=on" if below else ""
        self.device = None
        os.makedirs(self.top, exist_ok=True)

    def fresh(self):
        reserve = "fallocate -l" if self.direct else "truncate -s"
        sh(f"rm -f {self.image} && {reserve} {SIZE} {self.image}")
        self.device = subprocess.run(["losetup", "-f", "--show", *self.direct.split(), self.image], check=True,
                                     stdout=subprocess.PIPE, text=True).stdout.strip()
        sh(f"mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 {self.device} && mount {self.device} {self.top}")

    def gone(self):
        for path in (f"{self.top}/x/r/overlay", self.top):
            subprocess.run(["umount", path], stderr=subprocess.DEVNULL, check=False)
        if self.device:
            subprocess.run(["losetup", "-d", self.device], check=False)
        self.device = None
        if os.path.exists(self.image):
            os.remove(self.image)


def run(args, disk, command):
    """Milliseconds; None when it fails, with the reason on standard error."""
    try:
        disk.fresh()
        os.makedirs(f"{disk.top}/x")
        os.sync()
        command = command.replace("D/", disk.top + "/").replace("W/", disk.work + "/")
        environment = dict(os.environ, CTR_ROOT=f"{disk.top}/x/store", CTR_RUN=f"{disk.top}/x/run",
                           PATH=args.ctr + ":" + os.environ["PATH"])
        began = time.monotonic()
        done = subprocess.run(["sh", "-c", command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              check=False)
        took = (time.monotonic() - began) * 1000
        if done.returncode:
            why = done.stderr.decode(errors="replace").strip().splitlines()
            print(f"left out: {command.split()[0]}: {why[-1] if why else done.returncode}", file=sys.stderr)
            return None
        return took
    finally:
        disk.gone()


def measure(args, disk):
    order = random.Random(1)
    wanted = args.only.split(",") if args.only else None
    arms = [a for a in ARMS if shutil.which(a[2].split()[0], path=args.ctr + ":" + os.environ["PATH"]) and
            (not wanted or a[1] in wanted)]
    times = {a[:2]: {} for a in arms}
    for n in range(args.n):
        order.shuffle(arms)
        for arm in list(arms):
            took = run(args, disk, arm[2])
            if took is None:
                arms.remove(arm)
                times.pop(arm[:2])
            else:
                times[arm[:2]][n] = [took]
        print(f"\rround {n + 1} of {args.n}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return times


def report(times, size):
    print(f"{size / 1e6:.0f} MB uncompressed; milliseconds; ours / theirs, of medians, with its 95 % interval\n")
    print("| file | arm | min | median | ours / theirs |\n|---|---|---|---|---|")
    for table, arm, _ in ARMS:
        if (table, arm) not in times:
            continue
        values = sorted(v for block in times[table, arm].values() for v in block)
        ratio = ""
        if arm != "ctr" and (table, "ctr") in times:
            ratio = "%.2f (%.2f - %.2f)" % stats.ratio_interval(times[table, "ctr"], times[table, arm])
        print(f"| {table} | {arm} | {values[0]:.0f} | {stats.median(values):.0f} | {ratio} |")


def main():
    args = parse()
    args.ctr = os.path.abspath(args.ctr)
    work = "/run/ctr-bench-images"
    os.makedirs(work, exist_ok=True)
    sh(f"mount --make-rprivate / && mount -t tmpfs -o size=6g none {work}")
    prepare(args, work)
    disk = Disk(work, args.disk)
    report(measure(args, disk), os.path.getsize(f"{work}/rootfs.tar"))


if __name__ == "__main__":
    main()
