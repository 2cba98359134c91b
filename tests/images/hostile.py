#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""hostile.py SHAPE OUTSIDE: a tar archive on standard output that tries something, each shape once seen in the wild.

OUTSIDE is the absolute path of a directory on the host that holds a file `secret`: what the archive is after.
hostile.py --list prints the shapes.
"""
import io
import sys
import tarfile

BLOCK = 512
shapes = {}


def shape(f):
    shapes[f.__name__.replace("_", "-")] = f
    return f


class Tar:
    """Headers field by field, since tarfile is too well-behaved for some of this."""

    def __init__(self):
        self.out = bytearray()

    def raw(self, data):
        self.out += data + b"\0" * (-len(data) % BLOCK)

    def header(self, name, kind=b"0", link="", size=0, mode=0o644, uid=0, gid=0, mtime=0, major=0, minor=0):
        def number(value, width):
            if isinstance(value, bytes):
                return value.ljust(width, b"\0")
            if value < 0 or value >= 8 ** (width - 1):
                return bytes([0xFF if value < 0 else 0x80]) + value.to_bytes(width - 1, "big", signed=value < 0)
            return b"%0*o\0" % (width - 1, value)

        def text(value, width):
            value = value if isinstance(value, bytes) else value.encode()
            return value[:width].ljust(width, b"\0")

        if kind not in b"xgLK":
            long = [(k, v) for k, v in (("path", name), ("linkpath", link)) if len(v) > 100]
            if long:
                self.pax(*long)
        h = bytearray(BLOCK)
        h[0:100] = text(name, 100)
        h[100:108] = number(mode, 8)
        h[108:116] = number(uid, 8)
        h[116:124] = number(gid, 8)
        h[124:136] = number(size, 12)
        h[136:148] = number(mtime, 12)
        h[156:157] = kind
        h[157:257] = text(link, 100)
        h[257:265] = b"ustar\00000"
        h[329:337] = number(major, 8)
        h[337:345] = number(minor, 8)
        h[148:156] = b" " * 8
        h[148:156] = b"%06o\0 " % sum(h)
        self.out += h

    def pax(self, *records, kind=b"x"):
        body = b""
        for key, value in records:
            key = key.encode()
            value = value if isinstance(value, bytes) else str(value).encode()
            n = len(key) + len(value) + 3
            while len(str(n)) + len(key) + len(value) + 3 != n:
                n = len(str(n)) + len(key) + len(value) + 3
            body += b"%d %s=%s\n" % (n, key, value)
        self.header("pax", kind, size=len(body))
        self.raw(body)

    def file(self, name, data=b"hostile\n", **how):
        self.header(name, size=len(data), **how)
        self.raw(data)

    def directory(self, name, mode=0o755, **how):
        self.header(name, b"5", mode=mode, **how)

    def symlink(self, name, target, **how):
        self.header(name, b"2", link=target, mode=0o777, **how)

    def hardlink(self, name, target, **how):
        self.header(name, b"1", link=target, **how)

    def rootfs(self):
        """What makes it a root filesystem, and shows that what came before was accepted."""
        self.directory("usr")
        self.file("usr/innocent", b"innocent\n")

    def end(self):
        self.out += b"\0" * 2 * BLOCK
        return bytes(self.out)


@shape
def dotdot(t, outside):
    t.rootfs()
    t.file("../" * 30 + outside[1:] + "/written")


@shape
def dotdot_inside(t, outside):
    t.rootfs()
    t.file("usr/../../../" + outside[1:] + "/written")


@shape
def absolute(t, outside):
    t.rootfs()
    t.file(outside + "/secret")


@shape
def through_absolute_symlink(t, outside):
    t.rootfs()
    t.symlink("x", outside)
    t.file("x/secret")


@shape
def through_upward_symlink(t, outside):
    t.rootfs()
    t.symlink("usr/y", "../" * 40)
    t.file("usr/y" + outside + "/secret")


@shape
def through_chain_of_symlinks(t, outside):
    t.rootfs()
    t.symlink("a", "b/c")
    t.directory("b")
    t.symlink("b/c", "../d")
    t.symlink("d", "../" * 40 + outside[1:])
    t.file("a/secret")


@shape
def through_symlink_with_dotdot(t, outside):
    """d/link/.. is not d for whom follows links, and is for whom compares strings."""
    t.rootfs()
    t.directory("d")
    t.symlink("d/link", "/" + "../" * 20)
    t.symlink("d/again", "link/.." + outside)
    t.file("d/again/secret")


@shape
def through_proc(t, outside):
    t.rootfs()
    t.symlink("p", "/proc/self/root" + outside)
    t.symlink("q", "/proc/1/cwd" + outside)
    t.file("p/secret")
    t.file("q/secret")


@shape
def directory_becomes_symlink(t, outside):
    t.rootfs()
    t.directory("rootfs")
    t.symlink("rootfs", outside)
    t.file("rootfs/secret")


@shape
def directory_becomes_symlink_to_root(t, outside):
    t.rootfs()
    t.directory("rootfs")
    t.file("rootfs/x")
    t.symlink("rootfs", "/")
    t.file("rootfs" + outside + "/secret")


@shape
def directory_attributes_through_symlink(t, outside):
    """Modes and times of directories are set last: by then the name leads elsewhere."""
    t.rootfs()
    t.directory("d", mode=0o777, mtime=7)
    t.symlink("d", outside)


@shape
def chmod_through_symlink(t, outside):
    t.rootfs()
    t.symlink("s", outside + "/secret")
    t.file("s", b"", mode=0o777)


@shape
def chmod_through_hardlink_to_symlink(t, outside):
    t.rootfs()
    t.symlink("s", outside + "/secret")
    t.hardlink("h", "s")
    t.file("h", b"overwritten", mode=0o777)


@shape
def root_as_symlink(t, outside):
    t.symlink(".", outside)
    t.file("secret")


@shape
def root_as_symlink_slash(t, outside):
    t.symlink("./", outside)
    t.file("secret")


@shape
def root_as_symlink_later(t, outside):
    t.directory(".")
    t.rootfs()
    t.symlink("/", outside)
    t.file("secret")


@shape
def root_as_file(t, outside):
    t.file(".")
    t.rootfs()


@shape
def root_as_hardlink(t, outside):
    t.rootfs()
    t.hardlink(".", "usr/innocent")


@shape
def hardlink_absolute(t, outside):
    t.rootfs()
    t.hardlink("h", outside + "/secret")
    t.file("h", b"overwritten")


@shape
def hardlink_dotdot(t, outside):
    t.rootfs()
    t.hardlink("h", "../" * 30 + outside[1:] + "/secret")


@shape
def hardlink_through_symlink(t, outside):
    t.rootfs()
    t.symlink("z", outside)
    t.hardlink("h", "z/secret")


@shape
def hardlink_to_deeper_symlink(t, outside):
    t.rootfs()
    t.directory("a")
    t.directory("a/b")
    t.symlink("a/b/s", "../../../../.." + outside + "/secret")
    t.hardlink("s", "a/b/s")
    t.file("s/x")


@shape
def hardlink_to_directory(t, outside):
    t.rootfs()
    t.hardlink("h", "usr")


@shape
def hardlink_to_root(t, outside):
    t.rootfs()
    t.hardlink("h", "/")


@shape
def hardlink_to_later(t, outside):
    t.rootfs()
    t.hardlink("h", "later")
    t.file("later")


@shape
def hardlink_to_itself(t, outside):
    t.rootfs()
    t.hardlink("usr/innocent", "usr/innocent")


@shape
def hardlink_over_its_target(t, outside):
    t.rootfs()
    t.directory("d")
    t.file("d/f")
    t.hardlink("d", "d/f")


@shape
def file_as_parent(t, outside):
    t.rootfs()
    t.file("f")
    t.file("f/x")


@shape
def loop_as_parent(t, outside):
    t.rootfs()
    t.symlink("loop", "loop")
    t.file("loop/x")


@shape
def devices(t, outside):
    t.rootfs()
    t.header("sda", b"4", major=8, minor=0, mode=0o666)
    t.header("whiteout", b"3", major=0, minor=0, mode=0o666)
    t.header("mem", b"3", major=1, minor=1, mode=0o666)
    t.hardlink("sda-too", "sda")


@shape
def overlay_attributes(t, outside):
    for name, key, value in (
        ("opaque", "trusted.overlay.opaque", "y"),
        ("redirect", "trusted.overlay.redirect", "/usr"),
        ("user-opaque", "user.overlay.opaque", "y"),
        ("user-redirect", "user.overlay.redirect", "/usr"),
        ("selinux", "security.selinux", "system_u:object_r:shadow_t:s0"),
        ("ima", "security.ima", "x"),
        ("evm", "security.evm", "x"),
        ("odd", "trusted.anything", "x"),
    ):
        t.pax(("SCHILY.xattr." + key, value))
        t.directory(name)
    t.pax(("SCHILY.xattr.user.kept", "yes"))
    t.directory("kept")
    t.rootfs()


@shape
def capability_of_another_namespace(t, outside):
    v3 = bytes.fromhex("0100000300200000000000000000000000000000") + (1000).to_bytes(4, "little")
    t.pax(("SCHILY.xattr.security.capability", v3))
    t.file("f", mode=0o755)
    t.pax(("SCHILY.xattr.security.capability", b"\1\0\0\2"))
    t.file("short", mode=0o755)
    t.rootfs()


@shape
def uid_beyond_range(t, outside):
    t.rootfs()
    t.file("f", uid=65536)


@shape
def uid_minus_two(t, outside):
    t.rootfs()
    t.file("f", uid=4294967294)


@shape
def uid_wraps_to_root(t, outside):
    t.rootfs()
    t.pax(("uid", 4294967296), ("gid", 4294967296))
    t.file("f", mode=0o4755)


@shape
def uid_wraps_to_root_64(t, outside):
    t.rootfs()
    t.pax(("uid", 18446744073709551616))
    t.file("f", mode=0o4755)


@shape
def uid_negative(t, outside):
    t.rootfs()
    t.file("f", uid=-1)


@shape
def uids_many(t, outside):
    t.rootfs()
    for i in range(100):
        t.file("f%d" % i, uid=100000 + i, gid=70000)


@shape
def size_negative(t, outside):
    t.rootfs()
    t.header("f", size=-512)
    t.rootfs()


@shape
def size_huge(t, outside):
    t.rootfs()
    t.header("f", size=1 << 62)


@shape
def size_of_pax_and_header_differ(t, outside):
    """What is inside `f` for one reader is entries for another."""
    inner = Tar()
    inner.file("usr/smuggled")
    data = bytes(inner.out)
    t.rootfs()
    t.pax(("size", len(data)))
    t.header("f", size=0)
    t.raw(data)


@shape
def pax_path_with_nul(t, outside):
    t.rootfs()
    t.pax(("path", b"usr/innocent\0/../../x"))
    t.file("f", b"replaced\n")


@shape
def pax_path_empty(t, outside):
    t.rootfs()
    t.pax(("path", b""))
    t.file("f")


@shape
def pax_path_dotdot(t, outside):
    t.rootfs()
    t.pax(("path", "../" * 30 + outside[1:] + "/written"))
    t.file("f")


@shape
def pax_linkpath_dotdot(t, outside):
    t.rootfs()
    t.pax(("linkpath", "../" * 30 + outside[1:] + "/secret"))
    t.hardlink("h", "usr/innocent")


@shape
def pax_global_path(t, outside):
    t.pax(("path", "../x"), kind=b"g")
    t.rootfs()


@shape
def pax_malformed(t, outside):
    t.rootfs()
    t.header("pax", b"x", size=30)
    t.raw(b"99999999999 path=usr/x\nxxxxxxxx")
    t.file("f")


@shape
def pax_header_huge(t, outside):
    t.rootfs()
    t.pax(("comment", b"x" * (32 << 20)))
    t.file("f")


@shape
def pax_header_of_claimed_size(t, outside):
    t.rootfs()
    t.header("pax", b"x", size=1 << 40)
    t.raw(b"30 path=x\n")


@shape
def gnu_long_name_of_claimed_size(t, outside):
    t.rootfs()
    t.header("././@LongLink", b"L", size=1 << 33)
    t.raw(b"x" * 5000)


@shape
def gnu_long_name_too_long(t, outside):
    t.rootfs()
    name = b"/".join([b"d" * 200] * 30) + b"\0"
    t.header("././@LongLink", b"L", size=len(name))
    t.raw(name)
    t.file("f")


@shape
def name_too_deep(t, outside):
    t.rootfs()
    t.pax(("path", "/".join(["d"] * 300) + "/f"))
    t.file("f")


@shape
def component_too_long(t, outside):
    t.rootfs()
    t.pax(("path", "x" * 256))
    t.file("f")


@shape
def name_of_control_characters(t, outside):
    t.rootfs()
    t.file("../\x1b]0;title\x07\x1b[2J\n", b"")


@shape
def sparse_map_beyond_size(t, outside):
    t.rootfs()
    t.pax(("GNU.sparse.size", 1000), ("GNU.sparse.map", "500,512,1000000,512"))
    t.file("f", b"x" * 1024)


@shape
def sparse_map_backwards(t, outside):
    t.rootfs()
    t.pax(("GNU.sparse.size", 100000), ("GNU.sparse.map", "4096,512,0,512"))
    t.file("f", b"x" * 1024)


@shape
def sparse_map_negative(t, outside):
    t.rootfs()
    t.pax(("GNU.sparse.size", -1), ("GNU.sparse.map", "-512,512"))
    t.file("f", b"x" * 512)


@shape
def sparse_size_huge(t, outside):
    t.rootfs()
    t.pax(("GNU.sparse.size", 1 << 62), ("GNU.sparse.map", "0,512"))
    t.file("f", b"x" * 512)


@shape
def sparse_map_of_many(t, outside):
    """A map of version 1.0 lies in the data, and names its own length."""
    t.rootfs()
    t.pax(("GNU.sparse.major", 1), ("GNU.sparse.minor", 0), ("GNU.sparse.name", "f"), ("GNU.sparse.realsize", 1000))
    t.file("f", b"99999999999999999999\n" + b"0\n1\n" * 300)


@shape
def checksum_wrong(t, outside):
    t.rootfs()
    t.header("f")
    t.out[-BLOCK] ^= 1
    t.rootfs()


@shape
def time_out_of_range(t, outside):
    t.rootfs()
    t.pax(("mtime", "-99999999999999999999.5"))
    t.file("f")
    t.pax(("mtime", "99999999999999999999.999999999999"))
    t.file("g")
    t.file("h", mtime=-(1 << 62))


@shape
def symlink_to_nothing(t, outside):
    t.rootfs()
    t.symlink("s", "")


@shape
def whiteouts_are_files(t, outside):
    t.rootfs()
    t.file("usr/.wh.innocent", b"")
    t.file("usr/.wh..wh..opq", b"")


@shape
def library_through_symlink(t, outside):
    """Not hostile at all: how merged /usr looks, and what careless guards break."""
    t.directory("usr")
    t.directory("usr/lib")
    t.symlink("lib", "usr/lib")
    t.file("lib/x.so", b"library")
    t.symlink("lib64", "/usr/lib")
    t.file("lib64/y.so", b"library")


@shape
def last_of_two_wins(t, outside):
    t.rootfs()
    t.file("f", b"first")
    t.file("f", b"second", mode=0o755)
    t.file("was-file", b"")
    t.directory("was-file", mode=0o700)
    t.directory("was-directory")
    t.file("was-directory/x", b"")
    t.file("was-directory", b"now a file")
    t.directory("twice", mode=0o700)
    t.file("twice/kept", b"")
    t.directory("twice", mode=0o711)


@shape
def two_archives(t, outside):
    t.rootfs()
    t.end()
    t.file("usr/second")


if __name__ == "__main__":
    if sys.argv[1] == "--list":
        print("\n".join(shapes))
        sys.exit()
    tar = Tar()
    shapes[sys.argv[1]](tar, sys.argv[2])
    sys.stdout.buffer.write(tar.end())
