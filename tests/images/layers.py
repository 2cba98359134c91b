#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""layers.py FORMAT OUT [OPTION...]: an image of three layers, in each format that people have.

FORMAT: docker (before 25), docker-oci (25 and later), oci (a directory), oci-nested (index in index, several platforms), and each
with "-missing" for one whose second layer's blob is not there. OPTIONs: gzip, zstd (layers), damaged, foreign (Docker's media
types), twice (two names), links (docker: a layer by links). The tree that it makes is layers.py expected OUT.
"""
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile

BASE = 1_000_000_000


def add(t, name, data=None, mode=0o644, link=None, hard=None, uid=0, gid=0, mtime=BASE, xattrs=()):
    i = tarfile.TarInfo(name)
    i.mode, i.uid, i.gid, i.mtime = mode, uid, gid, mtime
    for key, value in xattrs:
        i.pax_headers["SCHILY.xattr." + key] = value
    if link is not None:
        i.type, i.linkname = tarfile.SYMTYPE, link
    elif hard is not None:
        i.type, i.linkname = tarfile.LNKTYPE, hard
    elif data is None:
        i.type = tarfile.DIRTYPE
    else:
        i.size = len(data)
    t.addfile(i, io.BytesIO(data) if data else None)


def layer(fill):
    out = io.BytesIO()
    t = tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT)
    fill(t)
    t.close()
    return out.getvalue()


def first(t):
    for d in "bin", "etc", "usr", "usr/bin", "usr/lib", "opt", "opt/whole", "opt/opaque", "opt/opaque/sub", "var":
        add(t, d, mode=0o755)
    add(t, "lib", link="usr/lib")
    add(t, "bin/sh", b"#!/bin/false\n" * 100, 0o755)
    add(t, "etc/passwd", b"root:x:0:0::/:/bin/sh\nweb:x:33:33::/srv:/bin/sh\n")
    add(t, "etc/gone", b"gone\n")
    add(t, "etc/first", b"one inode\n" * 60)
    add(t, "opt/whole/file", b"gone with its directory\n")
    add(t, "opt/opaque/old", b"hidden\n")
    add(t, "opt/opaque/sub/old", b"hidden\n")
    add(t, "opt/kind", b"a file\n")
    add(t, "var/dir", mode=0o700)
    add(t, "var/dir/kept", b"kept\n")


def second(t):
    add(t, "etc/.wh.gone", b"")
    add(t, "etc/second", hard="etc/first")  # across layers
    add(t, "lib/x.so", b"in usr/lib, where the link leads\n")
    add(t, "opt/.wh.whole", b"")
    add(t, "opt/opaque/new", b"new\n")  # before the mark: the order does not matter
    add(t, "opt/opaque/.wh..wh..opq", b"")
    add(t, "opt/kind", mode=0o750)  # a directory in place of a file
    add(t, "opt/kind/inside", b"inside\n")
    add(t, "var/dir", mode=0o711, uid=33, gid=33)  # new attributes, same content
    add(t, "usr/bin/ping", b"ping", 0o755, xattrs=[("user.colour", "blue")])
    add(t, ".wh..wh.plnk", b"")  # of AUFS


def third(t):
    add(t, "etc/gone", b"back again\n")
    add(t, "usr/n" + "a" * 180 + "me", b"long\n")
    add(t, "opt/.wh.nothing", b"")
    add(t, "etc/passwd", b"root:x:0:0::/:/bin/sh\n", uid=65535, gid=65535)


LAYERS = [layer(first), layer(second), layer(third)]


def sha(data):
    return hashlib.sha256(data).hexdigest()


def pack(data, options):
    if "gzip" in options:
        return gzip.compress(data, mtime=0), "+gzip"
    if "zstd" in options:
        return subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout, "+zstd"
    return data, ""


def config(arch):
    return json.dumps({
        "architecture": arch, "os": "linux", "created": "2026-01-01T00:00:00Z", "author": None,
        "config": {"Cmd": ["/bin/sh"], "Env": ["A=b"], "User": "33:33", "Labels": None, "WorkingDir": "/etc"},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(d) for d in LAYERS]},
        "history": [{"created_by": "one"}, {"created_by": "x", "empty_layer": True}, {"created_by": "two"},
                    {"created_by": "three"}]}).encode()


def descriptor(kind, data, **more):
    return dict({"mediaType": kind, "digest": "sha256:" + sha(data), "size": len(data)}, **more)


def oci(options, nested, missing):
    foreign = "foreign" in options
    prefix = "application/vnd.docker." if foreign else "application/vnd.oci."
    blobs = {}

    def blob(data):
        blobs["blobs/sha256/" + sha(data)] = data
        return data

    def image(arch):
        c, packed = blob(config(arch)), []
        for n, data in enumerate(LAYERS):
            z, suffix = pack(data, options)
            if not (missing and n == 1):
                blob(z)
            kind = "image.rootfs.diff.tar" + suffix.replace("+", ".") if foreign else "image.layer.v1.tar" + suffix
            packed.append(descriptor(prefix + kind, z))
        return blob(json.dumps({
            "schemaVersion": 2, "mediaType": prefix + ("distribution.manifest.v2+json" if foreign else "image.manifest.v1+json"),
            "config": descriptor(prefix + ("container.image.v1+json" if foreign else "image.config.v1+json"), c),
            "layers": packed}).encode())

    kind = prefix + ("distribution.manifest.v2+json" if foreign else "image.manifest.v1+json")
    index_kind = prefix + ("distribution.manifest.list.v2+json" if foreign else "image.index.v1+json")
    named = {"org.opencontainers.image.ref.name": "localhost/layers:1"}
    if nested:
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
        listed = [descriptor(kind, image(a), platform={"os": "linux", "architecture": a}) for a in ("s390x", machine, "riscv64")]
        listed.append(descriptor(kind, blob(b"{}"), platform={"os": "unknown", "architecture": "unknown"},
                                 annotations={"vnd.docker.reference.type": "attestation-manifest"}))
        inner = blob(json.dumps({"schemaVersion": 2, "mediaType": index_kind, "manifests": listed}).encode())
        top = [descriptor(index_kind, inner, annotations=named),
               {"mediaType": "application/x.unknown+json", "digest": "sha256:" + "0" * 64, "size": 1}]
    else:
        top = [descriptor(kind, image("amd64"), annotations=named)]
        if "twice" in options:
            top.append(dict(top[0], annotations={"org.opencontainers.image.ref.name": "localhost/layers:2"}))
    blobs["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "manifests": top}).encode()
    return blobs


def docker(options, missing):
    c = config("amd64")
    files = {sha(c) + ".json": c}
    names = []
    for n, data in enumerate(LAYERS):
        packed, _ = pack(data, options)
        name = "%064x/layer.tar" % (n + 1)
        if not (missing and n == 1):
            files[name] = packed
        names.append(name)
    tags = ["layers:1", "docker.io/library/layers:2"] if "twice" in options else ["layers:1"]
    files["manifest.json"] = json.dumps([{"Config": sha(c) + ".json", "RepoTags": tags, "Layers": names}]).encode()
    files["repositories"] = b"{}"
    return files


def write_tar(files, out, links=()):
    t = tarfile.open(out, "w")
    for name, data in files.items():
        i = tarfile.TarInfo(name)
        i.size = len(data)
        i.uid = i.gid = 1_000_000_000  # as of whoever made it: nobody's business
        t.addfile(i, io.BytesIO(data))
    for name, target in links:
        i = tarfile.TarInfo(name)
        i.type, i.linkname = tarfile.SYMTYPE, target
        t.addfile(i)
    t.close()


def expected(top):
    """What the rules of the image-spec make of the layers, done by hand."""
    def file(name, data, mode=0o644, uid=0, gid=0):
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        os.chown(path, uid, gid)
        os.chmod(path, mode)
        os.utime(path, (BASE, BASE))
        return path

    file("bin/sh", b"#!/bin/false\n" * 100, 0o755)
    file("etc/passwd", b"root:x:0:0::/:/bin/sh\n", uid=65535, gid=65535)
    file("etc/gone", b"back again\n")
    os.link(file("etc/first", b"one inode\n" * 60), os.path.join(top, "etc/second"))
    file("usr/lib/x.so", b"in usr/lib, where the link leads\n")
    os.symlink("usr/lib", os.path.join(top, "lib"))
    os.utime(os.path.join(top, "lib"), (BASE, BASE), follow_symlinks=False)
    file("opt/opaque/new", b"new\n")
    file("opt/kind/inside", b"inside\n")
    file("var/dir/kept", b"kept\n")
    os.setxattr(file("usr/bin/ping", b"ping", 0o755), "user.colour", b"blue")
    file("usr/n" + "a" * 180 + "me", b"long\n")
    for base, dirs, _ in os.walk(top, topdown=False):
        for d in dirs:
            path = os.path.join(base, d)
            if not os.path.islink(path):
                os.chmod(path, {"kind": 0o750, "dir": 0o711}.get(d, 0o755))
                if d == "dir":
                    os.chown(path, 33, 33)
                os.utime(path, (BASE, BASE))


form, out, options = sys.argv[1], sys.argv[2], set(sys.argv[3:])
missing = form.endswith("-missing")
form = form.removesuffix("-missing")
if form == "expected":
    expected(out)
    sys.exit()
if form == "docker":
    files = docker(options, missing)
else:
    files = oci(options, form == "oci-nested", missing)
    if form == "docker-oci":
        c = config("amd64")
        files["manifest.json"] = json.dumps([{"Config": "blobs/sha256/" + sha(c), "RepoTags": ["layers:1"],
                                              "Layers": []}]).encode()
if "damaged" in options:
    victim = max(files, key=lambda n: len(files[n]))
    data = bytearray(files[victim])
    data[len(data) // 2 if b"ustar" not in data else 1600] ^= 1
    files[victim] = bytes(data)
if form == "docker" and "links" in options:
    # a layer that repeats is a link, maybe to another link
    m = json.loads(files["manifest.json"])
    real, a, b = m[0]["Layers"][0], "aa/layer.tar", "bb/layer.tar"
    m[0]["Layers"][0] = b
    files["manifest.json"] = json.dumps(m).encode()
    write_tar(files, out, [(a, "../" + real), (b, "../aa/layer.tar")])
elif out.endswith(".tar"):
    write_tar(files, out)
else:
    for name, data in files.items():
        path = os.path.join(out, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
