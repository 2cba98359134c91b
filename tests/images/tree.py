#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tree.py [--coarse] DIR: a tree in lines, for diff: all that an archive should bring back.

Per entry: name, type and mode, owner, size, time of modification, allocation (holes or none), the first name of the same
inode, the target of a link, extended attributes, sha256 of the content. --coarse: times in seconds, and no attributes, for
archives of formats that have no more.
"""
import hashlib
import os
import stat
import sys

coarse = sys.argv[1] == "--coarse"
top = os.fsencode(sys.argv[-1])
entries = []
for base, dirs, files in os.walk(top):
    entries += [base] + [os.path.join(base, f) for f in files]
    entries += [os.path.join(base, d) for d in dirs if os.path.islink(os.path.join(base, d))]

first = {}
for full in sorted(entries):
    st = os.lstat(full)
    name = os.path.relpath(full, top)
    line = [repr(name)[2:-1], "%06o" % st.st_mode, "%d:%d" % (st.st_uid, st.st_gid)]
    line.append(str(st.st_mtime_ns // (10**9 if coarse else 1)))
    if not stat.S_ISDIR(st.st_mode):
        key = (st.st_dev, st.st_ino)
        line.append("links=%d of=%r" % (st.st_nlink, first.setdefault(key, name)))
    if stat.S_ISREG(st.st_mode):
        line.append("size=%d %s" % (st.st_size, "holes" if st.st_blocks * 512 + 8192 < st.st_size else "full"))
        with open(full, "rb") as f:
            line.append(hashlib.sha256(f.read()).hexdigest()[:16])
    if stat.S_ISLNK(st.st_mode):
        line.append("-> %r" % os.readlink(full))
    if not coarse:
        line += ["%s=%s" % (key, os.getxattr(full, key, follow_symlinks=False).hex())
                 for key in sorted(os.listxattr(full, follow_symlinks=False))]
    print(" ".join(line))
