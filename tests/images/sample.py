#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sample.py DIR: a root filesystem in little, with one of everything that an archive may hold.

Needs root. What this file system cannot have (extended attributes on some) is left out.
"""
import os
import struct
import sys

top = os.fsencode(sys.argv[1])


def path(name):
    return os.path.join(top, name)


def write(name, data=b"", mode=0o644, owner=(0, 0), mtime=1_000_000_000_123_456_789):
    os.makedirs(os.path.dirname(path(name)), exist_ok=True)
    with open(path(name), "wb") as f:
        f.write(data)
    os.chown(path(name), *owner)
    os.chmod(path(name), mode)
    os.utime(path(name), ns=(mtime, mtime))


def attribute(name, key, value):
    try:
        os.setxattr(path(name), key, value, follow_symlinks=False)
    except OSError:
        pass


for d in b"bin", b"sbin", b"etc", b"usr/bin", b"usr/lib", b"var", b"tmp", b"dev", b"opt":
    os.makedirs(path(d), exist_ok=True)
os.chmod(path(b"tmp"), 0o1777)

write(b"bin/sh", b"#!not really\n" * 1000, 0o755)
write(b"usr/bin/su", b"s" * 70_000, 0o4755)
write(b"usr/bin/wall", b"w" * 511, 0o2755, (0, 5))
write(b"usr/bin/both", b"b" * 512, 0o6711, (1000, 1000))
write(b"usr/bin/ping", b"p" * 513, 0o755)
# cap_net_raw+ep, in the form of version 2 (linux/capability.h)
attribute(b"usr/bin/ping", "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))
write(b"etc/empty")
write(b"etc/shadow", b"root:*:\n", 0o000, (0, 42))
write(b"etc/last-id", b"x", 0o640, (65535, 65535))
write(b"etc/old", b"before 1970\n", mtime=-86_400_000_000_000)
write(b"etc/late", b"after 2038\n", mtime=5_000_000_000_000_000_000)
write(b"etc/attributes", b"a")
attribute(b"etc/attributes", "user.colour", b"blue\0and\xff")
attribute(b"etc/attributes", "user.empty", b"")
# user::rw-, user:54321:r--, group::r--, mask::r--, other::---
acl = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *e)
    for e in ((1, 6, 0xFFFFFFFF), (2, 4, 54321), (4, 4, 0xFFFFFFFF), (16, 4, 0xFFFFFFFF), (32, 0, 0xFFFFFFFF)))
write(b"etc/acl", b"acl\n", 0o640)
attribute(b"etc/acl", "system.posix_acl_access", acl)
os.makedirs(path(b"var/acl"))
attribute(b"var/acl", "system.posix_acl_default", acl)
attribute(b"var/acl", "user.on-a-directory", b"yes")

# links: absolute, relative, dangling, upwards beyond the top, to itself; hard ones to files and to links
os.symlink(b"usr/lib", path(b"lib"))
write(b"usr/lib/x.so", b"library")
os.symlink(b"/etc/passwd", path(b"etc/absolute"))
os.symlink(b"../../../../../../etc/passwd", path(b"etc/upwards"))
os.symlink(b"nowhere", path(b"etc/dangling"))
os.symlink(b"loop", path(b"etc/loop"))
os.symlink(b"t" * 200, path(b"etc/long-target"))
os.lchown(path(b"etc/dangling"), 7, 8)
os.link(path(b"usr/bin/su"), path(b"usr/bin/su-too"))
os.link(path(b"usr/bin/su"), path(b"bin/su"))
os.link(path(b"etc/dangling"), path(b"etc/dangling-too"), follow_symlinks=False)

os.mkfifo(path(b"var/fifo"), 0o620)

# names: long, deep, not ASCII, composed and decomposed, not UTF-8, and what shells trip over
write(b"opt/" + b"n" * 255, b"long")
write(b"/".join([b"opt"] + [b"d" * 50] * 8) + b"/leaf", b"deep")
write("opt/é".encode(), b"composed")
write("opt/e\u0301".encode(), b"decomposed")
write(b"opt/latin1-\xe9", b"latin1")
for name in b"-rf", b" ", b"new\nline", b"tab\t", b"back\\slash", b"'quote\"", b"*", b".wh.whiteout", b".wh..wh..opq":
    write(b"opt/odd/" + name, name)

# sparse: a hole first, a hole last, nothing but a hole
for name, parts in (b"first", ((1 << 20, b"end"),)), (b"last", ((0, b"begin"), (1 << 20, b"middle"))), (b"all", ()):
    with open(path(b"var/sparse-" + name), "wb") as f:
        for at, data in parts:
            f.seek(at)
            f.write(data)
        f.truncate(3 << 20)
    os.utime(path(b"var/sparse-" + name), (1e9, 1e9))

# attributes of directories, which must be set after their content
os.makedirs(path(b"var/closed/inner"))
write(b"var/closed/inner/file", b"x")
os.chmod(path(b"var/closed/inner"), 0o000)
os.chown(path(b"var/closed"), 33, 33)
os.chmod(path(b"var/closed"), 0o2770)

for base, dirs, files in os.walk(top, topdown=False):
    for name in files:
        full = os.path.join(base, name)
        if os.path.islink(full):
            os.utime(full, (1.1e9, 1.1e9), follow_symlinks=False)
    os.utime(base, ns=(1_200_000_000_000_000_007, 1_200_000_000_000_000_007))
