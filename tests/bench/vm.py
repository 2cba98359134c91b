# SPDX-License-Identifier: Apache-2.0
"""A full virtual machine beside an instance of the same distribution.

The machine is the lab's (tests/lab): Debian 13 with its own kernel, under QEMU. It runs in software
emulation, because hardware virtualisation cannot be relied on where this runs, so its boot times are
15 to 30 times those of a machine with it, and say little. Its memory is what it would be there too,
but for the emulator's own translation cache: therefore what the guest touched of its memory is given
apart from what the emulator needs for itself.
"""

import csv
import os
import re
import select
import subprocess
import time

import density
import peers
import stats
import tables

LAB = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lab", "lab")
GUEST_MEMORY = 512  # MiB
# What the machine boots to: (name, kernel arguments, what its console says then, how often).
# The marker is computed, or the kernel's echo of its command line would match.
BOOTS = (
    ("first program", 'init=/bin/sh -- -c "echo BENCH-$((0))READY; sleep 100000"', "BENCH-0READY",
     3),
    ("login prompt", "init=/lib/systemd/systemd", "login:", 1),
)
BOOT_LIMIT = 180
INSTANCES = (10, 50, 100)


class Machine:
    """A booted virtual machine; kill() it."""

    def __init__(self, base, arguments, marker):
        memory = f"memory-backend-memfd,id=ram,size={GUEST_MEMORY}M"
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [base + "/qemu", "-M", "q35,memory-backend=ram", "-accel", "tcg,thread=multi",
             "-cpu", "max", "-smp", "2", "-m", str(GUEST_MEMORY), "-object", memory,
             "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
             "-kernel", base + "/vmlinuz", "-append",
             f"console=ttyS0 quiet panic=-1 root=/dev/nvme0n1 rw {arguments}",
             "-drive", f"file={base}/disk.img,if=none,id=root,format=raw,cache=unsafe,snapshot=on",
             "-device", "nvme,drive=root,serial=root"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.seconds = self.wait_for(marker.encode())

    def wait_for(self, marker):
        said = b""
        while time.monotonic() - self.started < BOOT_LIMIT:
            if not select.select([self.process.stdout], [], [], 1)[0]:
                continue
            chunk = os.read(self.process.stdout.fileno(), 65536)
            said += chunk
            if marker in said:
                return time.monotonic() - self.started
            if not chunk:
                break
        self.kill()
        last = said.decode(errors="replace").strip().splitlines()
        raise RuntimeError(f"the machine did not boot: {last[-1] if last else 'it said nothing'}")

    def memory(self):
        """(KiB of its memory that the guest touched, KiB that the emulator has besides)."""
        guest, rest, mapping = 0, 0, ""
        with open(f"/proc/{self.process.pid}/smaps") as f:
            for line in f:
                if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                    mapping = line
                elif line.startswith("Pss:"):
                    if "memfd:ram" in mapping or "memory-backend-memfd" in mapping:
                        guest += int(line.split()[1])
                    else:
                        rest += int(line.split()[1])
        return guest, rest

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def lab(verb):
    """A path that the lab prints; builds its base machine if there is none."""
    done = subprocess.run([LAB, verb], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    lines = (done.stdout or done.stderr).strip().splitlines()
    if done.returncode:
        raise peers.Missing(lines[-1] if lines else "the lab fails")
    return lines[-1]


def mib(kib):
    return f"{kib / 1024:.1f}" if kib < 102400 else f"{kib / 1024:.0f}"


def per_gib(kib):
    return f"{1024 * 1024 / kib:.0f}"


def measure_machines(base, lines, raw):
    for name, arguments, marker, times in BOOTS:
        seconds, guests, emulators = [], [], []
        for _ in range(times):
            machine = Machine(base, arguments, marker)
            try:
                time.sleep(3)
                guest, rest = machine.memory()
            finally:
                machine.kill()
            seconds.append(machine.seconds)
            guests.append(guest)
            emulators.append(rest)
        guest, rest = stats.median(guests), stats.median(emulators)
        lines.append([f"virtual machine, to its {name}", f"{stats.median(seconds) * 1000:.0f}",
                      mib(guest), mib(rest), per_gib(guest), per_gib(guest + rest),
                      f"software emulation; {GUEST_MEMORY} MiB given"])
        raw += [("vm " + name, field, value) for field, values in
                (("ms", [s * 1000 for s in seconds]), ("guest_kib", guests),
                 ("emulator_kib", emulators)) for value in values]


def measure_instances(g, sp, tools, tarball, lines, raw):
    import timing
    peers.run(tools["ctr"], "image", "import", tarball, "bench-debian")
    arms = sp.usable([timing.Arm("ctr run", ("timed", "run", (
        tools["ctr"], "run", "--rm", "bench-debian", "/bin/true")))])
    if not arms:
        return
    rows, _ = sp.spawn("vm-instances", arms, 10, 5)
    times = timing.flat(timing.by_block(rows, "ctr run", "run", timing.milliseconds))
    fleet = density.CtrFleet(tools, "bench-debian")
    readings, _, _, _ = density.fill(fleet, INSTANCES)
    each = sum(stats.slope([(n, values[field]) for n, values in readings]) for field in density.SUM)
    lines.append(["ctr instance, run of its first program, to its end",
                  tables.ms(stats.median(times)), mib(each), "", per_gib(each), per_gib(each),
                  "idle, with supervisor"])
    raw += [("ctr", "ms", value) for value in times] + [("ctr", "kib", each)]


def measure(g, sp, tools, csv_dir):
    lines, raw = [], []
    try:
        base = os.path.dirname(lab("tree"))
        measure_machines(base, lines, raw)
        if "ctr" in tools:
            measure_instances(g, sp, tools, lab("rootfs-tar"), lines, raw)
    except (peers.Missing, RuntimeError, OSError) as error:
        tables.say(f"vm: {error}")
    tables.show("Debian 13 as a virtual machine under SOFTWARE EMULATION (boot times are not those "
                "of hardware\nvirtualisation; memory is) and as an instance",
                ["", "start ms", "memory MiB", "+ emulator MiB", "in 1 GiB", "with emulator", ""],
                lines)
    if csv_dir:
        with open(os.path.join(csv_dir, "vm.csv"), "w", newline="") as f:
            csv.writer(f).writerows([("arm", "field", "value")] + raw)
