# SPDX-License-Identifier: Apache-2.0
"""The parts that measure time: start, seccomp, parallel, lifecycle. spawn.c does the measuring."""

import csv
import glob
import os
import subprocess

import ground
import peers
import stats
import tables

RUNTIMES = ("ctr-oci", "crun", "runc")  # they share runc's command line


class Arm:
    """A name, and the steps of one run as (kind, label, argv); see spawn.c."""

    def __init__(self, name, *steps, note=""):
        self.name, self.steps, self.note = name, steps, note

    def text(self):
        lines = [f"arm\t{self.name}"]
        lines += ["\t".join((kind, label, *argv)) for kind, label, argv in self.steps]
        return "\n".join(lines) + "\n"


def run_arm(name, tools, bundle):
    return Arm(name, ("timed", "run", (tools[name], "run", "--bundle", bundle, "@ID@")))


def floor_arm(tools, g, name="floor", program="floor", options=(), note=""):
    return Arm(name, ("timed", "run", (tools[program], "--root", g.rootfs, "--cgroup", "into",
                                       *options, "--", "/bin/true")), note=note)


def ctr_arms(tools, image):
    """`ctr run` gives an instance more than the bundle asks: see the notes, which the table prints."""
    return [
        Arm("ctr run", ("timed", "run", (tools["ctr"], "run", "--rm", image, "/bin/true")),
            note="user namespace, overlay on the image"),
        Arm("ctr run -d",
            ("timed", "run", (tools["ctr"], "run", "-d", "--name", "@ID@", image, "/bin/true")),
            ("plain", "rm", (tools["ctr"], "rm", "-f", "@ID@")),
            note="as ctr run; until the command returns; with supervisor and log"),
    ]


def bwrap_arm(tools, g):
    command = (tools["bwrap"], "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net",
               "--unshare-cgroup", "--hostname", "runc", "--as-pid-1", "--cap-drop", "ALL",
               "--ro-bind", g.rootfs, "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm",
               "--mqueue", "/dev/mqueue", "--ro-bind", "/sys", "/sys", "/bin/true")
    return Arm("bwrap", ("timed", "run", command), note="no cgroup, no masked paths")


class Spawner:
    """Writes the arms, runs spawn, reads its lines back, and keeps the raw file if asked to."""

    def __init__(self, g, tools, csv_dir, seed, realtime):
        self.g, self.tools, self.csv_dir, self.seed = g, tools, csv_dir, seed
        self.before_exec = self.prefer if realtime else None

    @staticmethod
    def prefer():
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))

    def usable(self, arms):
        """Each arm once, untimed: it fills caches, and shows which arms do not work here."""
        good = []
        for arm in arms:
            rows, log = self.spawn(f"try-{arm.name.replace(' ', '-')}", [arm], 1, 1, keep=False)
            bad = [r for r in rows if r["status"] != 0]
            if bad:
                tables.say(f"{arm.name} is left out: step '{bad[0]['step']}' failed with status "
                           f"{bad[0]['status']}" + (f": {log[-1]}" if log else ""))
                self.tidy()
            else:
                good.append(arm)
        return good

    def spawn(self, name, arms, blocks, runs, workers=0, keep=True):
        """([row], [error line]); numbers in rows are ints, times ns."""
        directory = self.csv_dir if keep and self.csv_dir else self.g.work
        path = os.path.join(directory, name + ".csv")
        log = os.path.join(self.g.work, name + ".log")
        arms_file = os.path.join(self.g.work, name + ".arms")
        with open(arms_file, "w") as f:
            f.writelines(arm.text() for arm in arms)
        command = [self.tools["spawn"], "-o", path, "-e", log, "-b", str(blocks), "-k", str(runs),
                   "-s", str(self.seed)] + (["-p", str(workers)] if workers else [])
        subprocess.run(command + [arms_file], check=True, preexec_fn=self.before_exec)
        with open(path, newline="") as f:
            rows = [{k: v if k in ("arm", "step") else int(v) for k, v in row.items()}
                    for row in csv.DictReader(f)]
        with open(log) as f:
            return rows, [line.strip() for line in f if line.strip()]

    def tidy(self):
        """Deletes what failed runs left."""
        for name in RUNTIMES:
            if name in self.tools:
                for state in glob.glob(f"/run/{name}/bench-*"):
                    subprocess.run([self.tools[name], "delete", "--force", os.path.basename(state)],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, check=False)
        ground.reap()


def by_block(rows, arm, step, value):
    """{block: [value(row)]} of the runs that succeeded."""
    blocks = {}
    for row in rows:
        if row["arm"] == arm and row["step"] == step and row["status"] == 0:
            blocks.setdefault(row["block"], []).append(value(row))
    return blocks


def flat(blocks):
    return sorted(v for values in blocks.values() for v in values)


def milliseconds(row):
    return row["ns"] / 1e6


def shape(n):
    """(blocks, runs): n split into at least ten blocks."""
    blocks = max(10, min(n // 10, 100))
    return blocks, max(1, round(n / blocks))


def failures(rows, arm):
    return sum(1 for r in rows if r["arm"] == arm and r["status"] != 0)


def run_table(title, arms, rows, log):
    """Medians and ratios of arms whose only timed step is "run"."""
    lines = []
    blocks = {arm.name: by_block(rows, arm.name, "run", milliseconds) for arm in arms}
    for arm in arms:
        times = flat(blocks[arm.name])
        if not times:
            continue
        lines.append([
            arm.name, len(times), *(tables.ms(stats.quantile(times, q)) for q in (0.5, 0.1, 0.99)),
            tables.ratio(blocks, arm.name, "floor"), tables.ratio(blocks, arm.name, "crun"),
            arm.note])
    tables.show(title, ["", "n", "median ms", "p10", "p99", "x floor [95 %]", "x crun [95 %]", ""],
                lines)
    report_failures(arms, rows, log)


def report_failures(arms, rows, log):
    for arm in arms:
        count = failures(rows, arm.name)
        if count:
            tables.say(f"{arm.name}: {count} failures are not in the figures"
                       + (f"; the last message: {log[-1]}" if log else ""))


def start(sp, g, tools, image, n, more=()):
    """The whole of `run /bin/true`, from the exec of the runtime to its exit."""
    bundle = g.bundle("bundle-true", ["/bin/true"])
    arms = [Arm("payload", ("timed", "run", (g.rootfs + "/bin/true",)),
                note="the program alone, not isolated"),
            floor_arm(tools, g)]
    arms += [floor_arm(tools, g, name, name, note="given with --also") for name in more]
    if "ctr-oci" in tools:
        arms.append(run_arm("ctr-oci", tools, bundle))
    if image:
        arms.append(floor_arm(tools, g, "floor+", options=g.floor_like_run("upper-start"),
                              note="floor with user namespace and overlay, as ctr run has"))
        arms += ctr_arms(tools, image)
    arms += [run_arm(name, tools, bundle) for name in ("crun", "runc") if name in tools]
    if "bwrap" in tools:
        arms.append(bwrap_arm(tools, g))
    arms = sp.usable(arms)
    rows, log = sp.spawn("start", arms, *shape(n))
    run_table("Start: `run /bin/true`, default bundle", arms, rows, log)
    sp.tidy()


def seccomp(sp, g, tools, profile, bpf, n):
    """The same with a Docker-like filter; the floor has the cheapest one with the same decisions."""
    bundle = g.bundle("bundle-seccomp", ["/bin/true"], seccomp=profile)
    arms = []
    if bpf:
        path = os.path.join(g.work, "filter.bpf")
        with open(path, "wb") as f:
            f.write(bpf)
        arms.append(floor_arm(tools, g, options=("--seccomp", path),
                              note=f"{len(bpf) // 8} instructions, made beforehand"))
    arms += [run_arm(name, tools, bundle) for name in RUNTIMES if name in tools]
    arms = sp.usable(arms)
    rows, log = sp.spawn("seccomp", arms, *shape(n))
    run_table("Start with a Docker-like seccomp profile", arms, rows, log)
    sp.tidy()


def parallel(sp, g, tools, image, n):
    """Starts per second with 1, 2 and 4 commands at a time."""
    bundle = g.bundle("bundle-parallel", ["/bin/true"])
    arms = [floor_arm(tools, g)]
    arms += [run_arm(name, tools, bundle) for name in RUNTIMES if name in tools]
    if image:
        arms += ctr_arms(tools, image)
    arms = sp.usable(arms)
    rates, table = {}, {arm.name: [arm.name] for arm in arms}
    width = (1, 2, 4)
    blocks, runs = max(5, n // 20), 20
    for workers in width:
        rows, log = sp.spawn(f"parallel-{workers}", arms, blocks, runs, workers)
        report_failures(arms, rows, log)
        for arm in arms:
            rates[arm.name] = by_block(rows, arm.name, "parallel",
                                       lambda row: row["run"] / (row["ns"] / 1e9))
        for arm in arms:
            values = flat(rates[arm.name])
            table[arm.name].append(f"{stats.median(values):.0f}" if values else "-")
            table[arm.name].append(tables.ratio(rates, arm.name, "crun"))
    heads = [""]
    for workers in width:
        heads += [f"{workers} at a time", "x crun [95 %]"]
    tables.show(f"Starts per second (blocks of {runs} starts)", heads, list(table.values()))
    sp.tidy()


NETWORKS = ("none", "bridge")


def first_arm(tools, image, net, alive):
    """The pause lets the kernel end the network namespace of the run before."""
    command = (tools["ctr"], "run", "-d", "--name", "@ID@", "--net", net, image, "/bin/first")
    return Arm(f"--net {net} beside {alive}", ("plain", "run", command),
               ("stamp", "run", (tools["ctr"], "logs", "@ID@")),
               ("plain", "rm", (tools["ctr"], "rm", "-f", "@ID@")),
               ("plain", "pause", ("/bin/sleep", "0.15")))


def first(sp, g, tools, image, n, alive):
    """From the exec of `ctr run -d` to the payload's first instruction, alone and with others alive."""
    rows, log, arms = [], [], []
    for count in (0, alive):
        for k in range(count):
            peers.run(tools["ctr"], "run", "-d", "--name", f"bench-alive-{k}", "--net", "bridge", image,
                      "/bin/first", "stay")
        more = sp.usable([first_arm(tools, image, net, count) for net in NETWORKS])
        got, said = sp.spawn(f"first-{count}", more, *shape(n))
        arms, rows, log = arms + more, rows + got, log + said
    peers.run(tools["ctr"], "rm", "-f", "bench-alive-*")
    lines = []
    blocks = {arm.name: by_block(rows, arm.name, "run", milliseconds) for arm in arms}
    for arm in arms:
        times = flat(blocks[arm.name])
        if times:
            alone = arm.name.partition(" beside ")[0] + " beside 0"
            lines.append([arm.name, len(times),
                          *(tables.ms(stats.quantile(times, q)) for q in (0.5, 0.1, 0.99)),
                          tables.ratio(blocks, arm.name, alone)])
    tables.show("`ctr run -d`, until the payload's first instruction: user namespace, overlay, seccomp, network",
                ["", "n", "median ms", "p10", "p99", "x alone [95 %]"], lines)
    report_failures(arms, rows, log)


LIFECYCLE = ("create", "start", "state", "kill", "gone", "delete")


def lifecycle(sp, g, tools, n):
    """Each command of a container's life, on a payload that sleeps."""
    bundle = g.bundle("bundle-sleep", ["/bin/sleep", "1000"])
    arms = []
    for name in RUNTIMES:
        if name not in tools:
            continue
        tool, pidfile = tools[name], os.path.join(g.work, "@ID@.pid")
        arms.append(Arm(
            name,
            ("timed", "create", (tool, "create", "--bundle", bundle, "--pid-file", pidfile, "@ID@")),
            ("timed", "start", (tool, "start", "@ID@")),
            ("timed", "state", (tool, "state", "@ID@")),
            ("timed", "kill", (tool, "kill", "@ID@", "KILL")),
            ("reap", "gone", (pidfile,)),
            ("timed", "delete", (tool, "delete", "@ID@"))))
    arms = sp.usable(arms)
    rows, log = sp.spawn("lifecycle", arms, *shape(n))
    heads, lines = ["median ms (p99)"] + [arm.name for arm in arms], []
    has_crun = any(arm.name == "crun" for arm in arms)
    if has_crun:
        heads += [f"{arm.name} x crun [95 %]" for arm in arms if arm.name != "crun"]
    for step in LIFECYCLE + ("all",):
        blocks = {}
        for arm in arms:
            blocks[arm.name] = (whole_runs(rows, arm.name) if step == "all"
                                else by_block(rows, arm.name, step, milliseconds))
        line = [step]
        for arm in arms:
            times = flat(blocks[arm.name])
            line.append(f"{tables.ms(stats.median(times))} ({tables.ms(stats.quantile(times, .99))})"
                        if times else "-")
        if has_crun:
            line += [tables.ratio(blocks, arm.name, "crun") for arm in arms if arm.name != "crun"]
        lines.append(line)
    tables.show("Lifecycle: each command on its own (\"gone\": from the end of kill until the "
                "process can be reaped)", heads, lines)
    report_failures(arms, rows, log)
    sp.tidy()


def whole_runs(rows, arm):
    """{block: [the sum over all steps of each run in which none failed]}"""
    sums, bad = {}, set()
    for row in rows:
        if row["arm"] == arm:
            key = row["block"], row["run"]
            sums[key] = sums.get(key, 0) + milliseconds(row)
            if row["status"] != 0:
                bad.add(key)
    blocks = {}
    for key, total in sums.items():
        if key not in bad:
            blocks.setdefault(key[0], []).append(total)
    return blocks


def import_image(g, tools):
    """The name of an image with the bundles' root file system, or None with the reason said."""
    try:
        peers.run(tools["ctr"], "image", "import", g.image_tar(), "bench")
    except (peers.Missing, OSError) as error:
        tables.say(f"ctr run is left out: the image could not be imported: {error}")
        return None
    return "bench"
