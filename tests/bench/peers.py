# SPDX-License-Identifier: Apache-2.0
"""Finds the runtimes to compare with, and fetches from Debian what this machine lacks.

Nothing is installed. Packages are fetched by apt with the machine's own configuration into a cache
(CTR_BENCH_CACHE, default /var/cache/ctr-bench) and unpacked there; `rm -r` of it is harmless.
"""

import os
import re
import shutil
import subprocess

CRUN_WANTED = (1, 21)  # Debian 13's. Debian 12's 1.8.1 dies where RLIMIT_MEMLOCK cannot be raised.
SUITE = "trixie"
LOADERS = {"x86_64": "lib64/ld-linux-x86-64.so.2", "aarch64": "lib/ld-linux-aarch64.so.1"}


class Missing(Exception):
    """Something could not be had; the text is for the person."""


def cache_dir():
    return os.environ.get("CTR_BENCH_CACHE", "/var/cache/ctr-bench")


def run(*command, **options):
    """The standard output of a command; Missing with its last error line if it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, **options)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Missing(f"{' '.join(command[:3])}...: {said[-1] if said else 'failed'}")
    return done.stdout


def version(program):
    """(1, 21, ...) from the first line of PROGRAM --version, or None."""
    try:
        first = run(program, "--version").splitlines()[0]
    except (Missing, OSError, IndexError):
        return None
    found = re.search(r"\d+(\.\d+)+", first)
    return tuple(int(n) for n in found.group().split(".")) if found else None


def need_apt():
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise Missing("no apt here to fetch it with")


def unpack(directory, tree):
    for name in sorted(os.listdir(directory)):
        if name.endswith(".deb"):
            run("dpkg", "-x", os.path.join(directory, name), tree)


def fetch(packages, tree):
    """Unpacks packages of the machine's own release, without their dependencies, into `tree`."""
    need_apt()
    debs = tree + ".debs"
    os.makedirs(debs, exist_ok=True)
    run("apt-get", "download", *packages, cwd=debs)
    unpack(debs, tree)
    shutil.rmtree(debs)


def mirror():
    """Where this machine takes Debian from."""
    lines = run("apt-get", "indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(REPO_URI)",
                "Created-By: Packages").splitlines()
    for line in lines:
        origin, component, uri = line.split(" ", 2)
        if origin == "Debian" and component == "main" and "security" not in uri:
            return uri.rstrip("/")
    return "http://deb.debian.org/debian"


def fetch_from_suite(package, tree):
    """Unpacks a package of SUITE and all that it depends on into `tree`.

    apt gets a state directory of its own and an empty list of installed packages, so neither does
    the machine notice, nor is a library of the machine's own release taken for the suite's.
    """
    need_apt()
    state = os.path.join(cache_dir(), "apt-" + SUITE)
    for name in ("lists/partial", "archives/partial"):
        os.makedirs(os.path.join(state, name), exist_ok=True)
    open(os.path.join(state, "status"), "w").close()
    sources = os.path.join(state, SUITE + ".sources")
    with open(sources, "w") as f:
        f.write(f"Types: deb\nURIs: {mirror()}\nSuites: {SUITE}\nComponents: main\n"
                "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n")
    settings = {
        "Dir::State": state, "Dir::State::lists": state + "/lists",
        "Dir::State::status": state + "/status", "Dir::Cache": state,
        "Dir::Cache::archives": state + "/archives", "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": state + "/none", "Dir::Etc::preferences": state + "/none",
        "Dir::Etc::preferencesparts": state + "/none", "Acquire::Languages": "none",
        "APT::Update::Post-Invoke-Success": "", "Debug::NoLocking": "1",
    }
    options = [arg for key, value in settings.items() for arg in ("-o", f"{key}={value}")]
    run("apt-get", *options, "update")
    run("apt-get", *options, "-y", "--no-install-recommends", "--download-only", "install", package)
    unpack(state + "/archives", tree)
    shutil.rmtree(state)


def patchelf():
    found = shutil.which("patchelf")
    if found:
        return found
    tree = os.path.join(cache_dir(), "patchelf")
    if not os.path.exists(tree + "/usr/bin/patchelf"):
        fetch(["patchelf"], tree)
    return tree + "/usr/bin/patchelf"


def crun():
    """A path to crun of CRUN_WANTED or newer, or Missing."""
    found = shutil.which("crun")
    if found and (version(found) or (0,)) >= CRUN_WANTED:
        return found
    tree = os.path.join(cache_dir(), "crun-" + SUITE)
    program = tree + "/crun"
    if not os.path.exists(program):
        shutil.rmtree(tree, ignore_errors=True)
        fetch_from_suite("crun", tree)
        relocate(tree + "/usr/bin/crun", tree, program)
    if (version(program) or (0,)) < CRUN_WANTED:
        raise Missing(f"{program} does not run")
    return program


def relocate(program, tree, result):
    """A copy of a program that takes its loader and libraries from `tree`.

    A wrapper around the loader will not do: crun executes itself again through /proc/self/exe.
    """
    machine = os.uname().machine
    loader = os.path.realpath(os.path.join(tree, "usr", LOADERS[machine]))
    libraries = f"{tree}/usr/lib/{machine}-linux-gnu:{tree}/lib/{machine}-linux-gnu"
    shutil.copy(program, result + ".new")
    run(patchelf(), "--set-interpreter", loader, "--force-rpath", "--set-rpath", libraries,
        result + ".new")
    os.rename(result + ".new", result)


def system(name):
    found = shutil.which(name)
    if not found:
        raise Missing(f"{name} is not installed")
    return found


def seccomp_json():
    """The path of Debian's copy of the list that Docker and podman descend from."""
    installed = "/usr/share/containers/seccomp.json"
    if os.path.exists(installed):
        return installed
    tree = os.path.join(cache_dir(), "containers-common")
    if not os.path.exists(tree + installed):
        fetch(["golang-github-containers-common"], tree)
    return tree + installed
