# SPDX-License-Identifier: Apache-2.0
"""What the measurements stand on: built programs, a private mount namespace, bundles, an image.

Everything is made below build/bench and in mounts that only the benchmark sees, so that a run
neither finds nor leaves anything of other containers on the machine.
"""

import ctypes
import glob
import json
import os
import platform
import shutil
import signal
import subprocess
import tarfile
import time

import peers
import seccomp_profile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TOP, "build", "bench")

CLONE_NEWNS = 0x20000
PR_SET_CHILD_SUBREAPER = 36

# What `runc spec` writes, with a cgroup namespace added for all.
CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
DEFAULT_CONFIG = {
    "ociVersion": "1.0.2",
    "process": {
        "terminal": False,
        "user": {"uid": 0, "gid": 0},
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": {name: CAPABILITIES
                         for name in ("bounding", "effective", "permitted", "ambient")},
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs", "readonly": True},
    "hostname": "runc",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
         "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs",
         "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
         "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]},
    ],
    "linux": {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "namespaces": [{"type": name}
                       for name in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
        "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
                        "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                        "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                          "/proc/sysrq-trigger"],
    },
}
APPLETS = ("true", "sh", "sleep", "cat", "ls")


def build_program(name, source=None):
    """Compiles a static C program with musl if it is there, and returns its path."""
    os.makedirs(BUILD, exist_ok=True)
    program = os.path.join(BUILD, name)
    source = source or os.path.join(HERE, name + ".c")
    if os.path.exists(program) and os.path.getmtime(program) > os.path.getmtime(source):
        return program
    flags = ["-static", "-O2", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-o", program, source]
    if shutil.which("musl-gcc"):
        peers.run("musl-gcc", "-isystem", kernel_headers(), *flags)
    elif shutil.which("gcc"):
        peers.run("gcc", *flags)
    else:
        raise peers.Missing("a C compiler is needed: apt-get install gcc musl-tools")
    return program


def kernel_headers():
    """musl-gcc leaves out /usr/include; the kernel's own headers there do no harm."""
    directory = os.path.join(BUILD, "kernel-headers")
    os.makedirs(directory, exist_ok=True)
    for name in ("linux", "asm", "asm-generic"):
        for place in (f"/usr/include/{name}",
                      f"/usr/include/{platform.machine()}-linux-gnu/{name}"):
            link = os.path.join(directory, name)
            if os.path.isdir(place) and not os.path.lexists(link):
                os.symlink(place, link)
    return directory


def syscall_numbers():
    """For seccomp_profile.compile_tree(), or None where we have no table."""
    if platform.machine() != "x86_64":
        return None
    include = kernel_headers() + "/asm/"
    return {0xc000003e: seccomp_profile.numbers_from_header(include + "unistd_64.h"),
            0x40000003: seccomp_profile.numbers_from_header(include + "unistd_32.h")}


def is_cgroup2(path):
    return os.path.exists(os.path.join(path, "cgroup.controllers"))


class Ground:
    """The private mount namespace and the files in it. Use as a context manager.

    `store` is the directory in which ctr's images and instances are put; None: below build/bench.
    """

    def __init__(self, store=None):
        self.work = os.path.join(BUILD, f"work.{os.getpid()}")
        self.store = os.path.join(store or self.work, f"var-lib-ctr.{os.getpid()}")

    def __enter__(self):
        os.makedirs(self.work)
        self.made_var_lib = False
        self.enter_private_mounts()
        self.cgroups_before = self.cgroups()
        self.mounts_before = self.mounts()
        self.rootfs = self.make_rootfs()
        return self

    def __exit__(self, *unused):
        # The mounts die with this process; only directories have to be removed.
        os.chdir("/")
        subprocess.run(["umount", "-l", "/var/lib/ctr"], check=False)
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.rmtree(self.work, ignore_errors=True)
        if self.made_var_lib:
            try:
                os.rmdir("/var/lib/ctr")
            except OSError:
                pass  # somebody else uses it by now

    def enter_private_mounts(self):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNS) < 0:
            raise peers.Missing("a mount namespace needs root: " + os.strerror(ctypes.get_errno()))
        # Detached containers become our children, so that what is left can be counted.
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        peers.run("mount", "--make-rprivate", "/")
        if not is_cgroup2("/sys/fs/cgroup"):
            # crun refuses hybrid hosts. All arms see the same, so all see this.
            peers.run("umount", "-l", "-R", "/sys/fs/cgroup")
            peers.run("mount", "-t", "cgroup2", "none", "/sys/fs/cgroup")
        peers.run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
        if not os.path.isdir("/var/lib/ctr"):
            os.makedirs("/var/lib/ctr")
            self.made_var_lib = True
        os.mkdir(self.store, 0o700)
        peers.run("mount", "--bind", self.store, "/var/lib/ctr")

    def make_rootfs(self):
        busybox = next((p for p in ("/bin/busybox", "/usr/bin/busybox") if os.path.exists(p)), None)
        if not busybox:
            raise peers.Missing("busybox is needed: apt-get install busybox-static")
        root = os.path.join(self.work, "rootfs")
        for name in ("bin", "dev", "proc", "sys", "tmp", "etc"):
            os.makedirs(os.path.join(root, name))
        shutil.copy(busybox, root + "/bin/busybox")
        for name in APPLETS:
            os.symlink("busybox", f"{root}/bin/{name}")
        shutil.copy(build_program("first"), root + "/bin/first")
        return root

    def image_tar(self):
        """The same root file system as an image tarball."""
        path = os.path.join(self.work, "image.tar")
        if not os.path.exists(path):
            with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
                tar.add(self.rootfs, ".")
        return path

    def floor_like_run(self, name):
        """Options with which the floor makes what `ctr run` does: a user namespace, an overlay."""
        # Where ctr has its own, so that both stand on the same file system.
        upper, work = os.path.join(self.store, name), os.path.join(self.store, name + ".work")
        os.makedirs(upper)
        os.makedirs(work)
        return ("--ns", "pid,mnt,uts,ipc,net,cgroup,user",
                "--overlay", f"lowerdir={self.rootfs},upperdir={upper},workdir={work}")

    def bundle(self, name, args, seccomp=None):
        """Writes a bundle and returns its path."""
        path = os.path.join(self.work, name)
        os.makedirs(path)
        os.symlink(self.rootfs, path + "/rootfs")
        config = json.loads(json.dumps(DEFAULT_CONFIG))
        config["process"]["args"] = args
        config["root"]["path"] = self.rootfs
        if seccomp:
            config["linux"]["seccomp"] = seccomp
        with open(path + "/config.json", "w") as f:
            json.dump(config, f, indent=1)
        return path

    @staticmethod
    def cgroups():
        return {d for d, _, _ in os.walk("/sys/fs/cgroup")}

    @staticmethod
    def mounts():
        with open("/proc/self/mountinfo") as f:
            return {line.split()[4] for line in f}

    def leftovers(self):
        """What the arms left behind, as sentences. Call when all was deleted."""
        found = [f"cgroup {d}" for d in sorted(self.cgroups() - self.cgroups_before)
                 if "bench-" in d or "floor-" in d]
        # What ctr shares between instances stays mounted, in a namespace of its own; here, nothing.
        found += [f"mount {m}" for m in sorted(self.mounts() - self.mounts_before)
                  if not m.startswith("/run/ctr")]
        found += [f"state {p}" for p in glob.glob("/run/*/*bench-*") + glob.glob("/run/*/*/*bench-*")]
        found += [f"process {pid} ({name})" for pid, name in descendants()]
        return found

    def sweep(self):
        """Ends what leftovers() told of: the processes below this one, and the arms' cgroups."""
        for pid, _ in descendants():
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
        reap()
        for directory in sorted(self.cgroups() - self.cgroups_before, reverse=True):
            if "bench-" in directory or "floor-" in directory:
                try:
                    os.rmdir(directory)
                except OSError:
                    pass  # it was reported


def descendants():
    """[(pid, name)] of all processes below this one, zombies too."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as f:
                    text = f.read()
            except OSError:
                continue
            name = text[text.index("(") + 1:text.rindex(")")]
            parents[int(entry)] = (int(text[text.rindex(")") + 2:].split()[1]), name)
    found, wave = [], {os.getpid()}
    while wave:
        wave = {pid for pid, (parent, _) in parents.items() if parent in wave}
        found += [(pid, parents[pid][1]) for pid in sorted(wave)]
    return found


def reap():
    """Collects dead children that nobody waits for."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
