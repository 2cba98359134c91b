# SPDX-License-Identifier: Apache-2.0
"""Memory per idle instance: how the machine's memory grows with the number of instances.

Each arm is filled to several numbers of instances, the machine's counters are read at each, and the
slope of the line through the readings is the cost of one instance. That leaves out what is paid once,
and whatever else the machine holds. The counters are the machine's own, so what other programs do
meanwhile is in them: "sum" (of kernel and process memory) is steadier than MemAvailable.
"""

import csv
import os
import subprocess
import time

import ground
import stats
import tables

MEMINFO = {"available": "MemAvailable", "slab": "Slab", "unreclaimable": "SUnreclaim",
           "stacks": "KernelStack", "tables": "PageTables", "percpu": "Percpu"}
SUM = ("slab", "stacks", "tables", "percpu", "pss", "helper_pss")
PAYLOAD = ["/bin/sleep", "1000000"]
PAYLOAD_NAMES = ("sleep", "busybox")
IDLE_SECONDS = 5


class Fleet:
    """Instances of one arm. start(i) and stop(all) raise CalledProcessError."""

    def __init__(self, name, note=""):
        self.name, self.note = name, note

    @staticmethod
    def command(*argv):
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise RuntimeError(said[-1] if said else f"{argv[0]} exits with {done.returncode}")
        return done.stdout


class FloorFleet(Fleet):
    """`options_of(i)` gives further options for the i-th instance."""

    def __init__(self, name, g, tools, options_of=lambda i: (), note=""):
        super().__init__(name, note)
        self.program, self.root, self.options_of = tools["floor"], g.rootfs, options_of
        self.started = []

    def start(self, i):
        argv = (self.program, "--detach", "--root", self.root, "--cgroup", "into",
                *self.options_of(i), "--", *PAYLOAD)
        # Its output is a file, since a pipe would stay open in the instance.
        with open("/run/floor.out", "w+") as out:
            subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, check=True)
            out.seek(0)
            pid, cgroup = out.read().split()
        self.started.append((int(pid), cgroup))

    def stop(self):
        for _, cgroup in self.started:
            with open(cgroup + "/cgroup.kill", "w") as f:
                f.write("1")
        for pid, cgroup in self.started:
            os.waitpid(pid, 0)
            os.rmdir(cgroup)
        self.started = []


class OciFleet(Fleet):
    def __init__(self, name, tools, bundle):
        super().__init__(name)
        self.tool, self.bundle, self.started = tools[name], bundle, []

    def quiet(self, *argv):
        # What create leaves running inherits its standard output and error: give it no pipe.
        with open("/run/bench.err", "w+") as err:
            done = subprocess.run((self.tool, *argv), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=err, check=False)
            if done.returncode:
                err.seek(0)
                raise RuntimeError(err.read().strip()[-300:] or f"exit code {done.returncode}")

    def start(self, i):
        name = f"bench-{i}"
        self.quiet("create", "--bundle", self.bundle, name)
        self.started.append(name)
        self.quiet("start", name)

    def stop(self):
        for name in self.started:
            self.quiet("delete", "--force", name)
            ground.reap()
        self.started = []


class CtrFleet(OciFleet):
    def __init__(self, tools, image):
        Fleet.__init__(self, "ctr run -d", "with supervisor, user namespace and overlay")
        self.tool, self.image, self.started = tools["ctr"], image, []

    def start(self, i):
        name = f"bench-{i}"
        self.quiet("run", "-d", "--name", name, self.image, *PAYLOAD)
        self.started.append(name)

    def stop(self):
        for name in self.started:
            self.quiet("rm", "-f", name)
            ground.reap()
        self.started = []


def meminfo():
    with open("/proc/meminfo") as f:
        values = {line.split(":")[0]: int(line.split()[1]) for line in f}
    return {name: values.get(key, 0) for name, key in MEMINFO.items()}


def proportional_set():
    """(KiB of payloads, KiB of everything else that stays alive for them, their number)."""
    own, helpers, count = 0, 0, 0
    for pid, name in ground.descendants():
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                pss = next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue  # a zombie, or gone
        if name in PAYLOAD_NAMES:
            own += pss
        else:
            helpers += pss
            count += 1
    return own, helpers, count


def settle(limit=20):
    """Network namespaces die in the background: wait until the slab stops changing."""
    before = meminfo()["slab"]
    for _ in range(limit):
        time.sleep(1)
        now = meminfo()["slab"]
        if abs(now - before) < 200:
            return
        before = now


def reading():
    """KiB of everything: medians of several looks, because others use the machine too."""
    settle()
    looks = []
    for _ in range(7):
        looks.append(meminfo())
        time.sleep(0.2)
    values = {name: stats.median([look[name] for look in looks]) for name in MEMINFO}
    values["pss"], values["helper_pss"], values["helpers"] = proportional_set()
    return values


def helper_time():
    """(ns on a CPU, times scheduled) of all helpers so far."""
    ran, turns = 0, 0
    for pid, name in ground.descendants():
        if name in PAYLOAD_NAMES:
            continue
        try:
            with open(f"/proc/{pid}/schedstat") as f:
                on_cpu, _, slices = f.read().split()
        except OSError:
            continue
        ran, turns = ran + int(on_cpu), turns + int(slices)
    return ran, turns


def fill(fleet, points):
    """([(instances, reading)], seconds per start, seconds per stop, idle share of a core or None)."""
    # Inodes and names that earlier arms left would be reused, and hide this one's cost.
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("2\n")
    readings, spent, alive, idle = [(0, reading())], 0.0, 0, None
    try:
        for target in points:
            begin = time.monotonic()
            while alive < target:
                fleet.start(alive)
                alive += 1
            spent += time.monotonic() - begin
            readings.append((target, reading()))
        if readings[-1][1]["helpers"]:
            before = helper_time()
            time.sleep(IDLE_SECONDS)
            after = helper_time()
            idle = ((after[0] - before[0]) / (IDLE_SECONDS * 1e9), after[1] - before[1])
    finally:
        begin = time.monotonic()
        fleet.stop()
        stopping = time.monotonic() - begin
        ground.reap()
    return readings, spent / alive, stopping / alive, idle


def fleets(g, tools, image):
    yield FloorFleet("floor", g, tools, note="no supervisor")
    if image:
        yield FloorFleet("floor+", g, tools, lambda i: g.floor_like_run(f"upper-{i}"),
                         "no supervisor; with user namespace and overlay")
        yield CtrFleet(tools, image)
    if "ctr-oci" in tools or "crun" in tools:
        bundle = g.bundle("bundle-density", PAYLOAD)
        for name in ("ctr-oci", "crun"):
            if name in tools:
                yield OciFleet(name, tools, bundle)
    yield FloorFleet("floor again", g, tools, note="shows the drift of the machine")


def measure(g, tools, image, points, csv_dir):
    lines, raw, remarks = [], [], []
    for fleet in fleets(g, tools, image):
        try:
            readings, start, stop, idle = fill(fleet, points)
        except (RuntimeError, subprocess.CalledProcessError, OSError) as error:
            tables.say(f"density of {fleet.name} is left out: {error}")
            continue
        raw += [(fleet.name, n, field, value) for n, values in readings
                for field, value in values.items()]
        per = {field: stats.slope([(n, values[field]) for n, values in readings])
               for field in readings[0][1]}
        lines.append([fleet.name, f"{sum(per[field] for field in SUM):.0f}",
                      *(f"{value:.0f}" for value in (
                          -per["available"], per["slab"], per["unreclaimable"], per["stacks"],
                          per["tables"], per["percpu"], per["pss"], per["helper_pss"])),
                      tables.ms(start * 1e3), tables.ms(stop * 1e3), fleet.note])
        if idle:
            remarks.append(f"{fleet.name}: {readings[-1][1]['helpers']} helper processes took "
                           f"{idle[0] * 100:.3f} % of one core and {idle[1]} turns on a CPU in "
                           f"{IDLE_SECONDS} idle seconds")
    tables.show(f"Memory per idle instance, KiB (slope over 0, {', '.join(map(str, points))})",
                ["", "sum", "MemAvail.", "slab", "(unrecl.)", "stacks", "page tables", "percpu",
                 "PSS", "helper PSS", "start ms", "stop ms", ""], lines)
    for remark in remarks:
        tables.say(remark)
    if csv_dir:
        with open(os.path.join(csv_dir, "density.csv"), "w", newline="") as f:
            csv.writer(f).writerows([("arm", "instances", "field", "kib")] + raw)
