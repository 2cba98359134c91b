#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures networks: adding and removing an interface, beside what the kernel demands and what other engines take; and what passes
through it. See README.md.

Runs as root, in mount and network namespaces of its own, so that neither the machine's network nor its instances are touched.
Peers that are not installed are said so and left out.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True

import ground
import stats
import tables

NETAVARK = ("/usr/lib/podman/netavark", "/usr/libexec/podman/netavark")
CNI = "/usr/lib/cni"


def parse():
    parser = argparse.ArgumentParser(prog="net", description=__doc__)
    parser.add_argument("-n", type=int, default=200, metavar="RUNS", help="interfaces of each round (200)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds (5)")
    parser.add_argument("--instances", default="1000", metavar="N,N,...",
                        help="how many interfaces the last of which are looked at as well (1000)")
    parser.add_argument("--seconds", type=float, default=2, metavar="S", help="of each measurement of throughput (2)")
    return parser.parse_args()


def sh(*command, **more):
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)}: {(run.stderr or run.stdout).strip()[:300]}")
    return run.stdout


def took(*command, **more):
    began = time.perf_counter()
    sh(*command, **more)
    return (time.perf_counter() - began) * 1000


# ---- adding and removing ----

def in_process(args, program):
    """{(mode, what, who): {round: [first, last]}}: both in one process, in turns."""
    found = {}
    for k in range(args.rounds):
        for mode in ("bridge", "routed"):
            for line in sh(program, mode, str(2 * args.n)).splitlines():
                what, who, *figures = line.split()
                found.setdefault((mode, what, who), {})[k] = [float(f) for f in figures]
    return found


def show_in_process(args, program):
    lines = []
    found = in_process(args, program)
    for mode in ("bridge", "routed"):
        for what in ("add", "remove"):
            ours, floor = found[mode, what, "ctr"], found[mode, what, "floor"]
            ratio = stats.ratio_interval(ours, floor)
            lines.append((f"{mode}, {what}", *(f"{stats.median([v for b in x.values() for v in b]) / 1000:.3f}" for x in (ours, floor)),
                          "{:.2f} [{:.2f} {:.2f}]".format(*ratio) if what == "add" else "",
                          "" if what == "add" else "the floor only lets go of the namespace"))
    for count in (int(c) for c in args.instances.split(",")):
        for mode in ("bridge", "routed"):
            if mode == "bridge" and count > 1000:
                continue
            rows = {(what, who): float(figures[-1]) for what, who, *figures in
                    (line.split() for line in sh(program, mode, str(count)).splitlines())}
            ours, floor = rows["row", "ctr"], rows["row", "floor"]
            lines.append((f"{mode}, the last of {count}", f"{ours / 1000:.3f}", f"{floor / 1000:.3f}", f"{ours / floor:.2f}", ""))
    tables.show("An interface, in process (netcost.c): addresses of both families, routes; ours also rules and a published port, ms",
                ("", "ctr", "floor", "x floor", ""), lines)


class Namespaces:
    """Network namespaces under /run/netns, as `ip netns` makes them, which the peers want."""

    def __init__(self, n):
        self.names = [f"bench{i}" for i in range(n)]
        for name in self.names:
            sh("ip", "netns", "add", name)

    def gone(self):
        for name in self.names:
            sh("ip", "netns", "del", name)


def netavark_arm(program):
    def config(i):
        return json.dumps({"container_id": f"{i:064x}", "container_name": f"c{i}", "port_mappings":
                           [{"container_port": 80, "host_ip": "", "host_port": 20000 + i, "protocol": "tcp", "range": 1}],
                           "networks": {"bench": {"static_ips": [f"10.99.0.{i + 2}"], "interface_name": "eth0"}},
                           "network_info": {"bench": {"name": "bench", "id": "1" * 64, "driver": "bridge", "network_interface": "nabench",
                                                      "subnets": [{"subnet": "10.99.0.0/16", "gateway": "10.99.0.1"}],
                                                      "ipv6_enabled": False, "internal": False, "dns_enabled": False,
                                                      "ipam_options": {"driver": "host-local"}}}})

    def call(verb, i, name):
        return took(program, "--config", "/run/netavark", verb, f"/run/netns/{name}", input=config(i))
    return lambda i, name: call("setup", i, name), lambda i, name: call("teardown", i, name)


def cni_arm():
    conf = {"cniVersion": "0.4.0", "name": "bench", "type": "bridge", "bridge": "cnibench", "isGateway": True, "ipMasq": True,
            "ipam": {"type": "host-local", "subnet": "10.98.0.0/16", "dataDir": "/run/cni"}}

    def call(verb, i, name):
        env = dict(os.environ, CNI_COMMAND=verb, CNI_CONTAINERID=f"c{i}", CNI_NETNS=f"/run/netns/{name}", CNI_IFNAME="eth0", CNI_PATH=CNI)
        return took(f"{CNI}/bridge", input=json.dumps(conf), env=env)
    return lambda i, name: call("ADD", i, name), lambda i, name: call("DEL", i, name)


def show_engines(args, ctr):
    """Commands, from outside: of ctr the difference to an instance without a network, since it has no command for that alone."""
    n = min(args.n, 60)
    ours = {"none": ([], []), "bridge": ([], []), "routed": ([], [])}
    for k in range(args.rounds):
        for net in random.sample(list(ours), len(ours)):
            for i in range(n // args.rounds):
                port = [] if net == "none" else ["-p", f"{30000 + i}:80"]
                ours[net][0].append(took(ctr, "run", "-d", "--name", f"x{i}", "--net", net, *port, "bench", "sleep", "1000"))
            for i in range(n // args.rounds):
                ours[net][1].append(took(ctr, "rm", "-f", f"x{i}"))
    base = [stats.median(v) for v in ours["none"]]
    lines = [(f"ctr, {net}", *(tables.ms(max(0, stats.median(v) - b)) for v, b in zip(ours[net], base)),
              f"`run -d` and `rm -f` with it, less {tables.ms(base[0])} and {tables.ms(base[1])} without") for net in ("bridge", "routed")]
    peers = {}
    netavark = next((p for p in NETAVARK if os.access(p, os.X_OK)), None)
    if netavark:
        peers["netavark, one port"] = netavark_arm(netavark)
    else:
        tables.say("netavark is left out: it is not installed")
    if os.access(f"{CNI}/bridge", os.X_OK):
        peers["CNI bridge, ipMasq"] = cni_arm()
    else:
        tables.say("CNI is left out: containernetworking-plugins is not installed")
    for name, (add, remove) in peers.items():
        spaces = Namespaces(20)
        try:
            adds = [add(i, s) for i, s in enumerate(spaces.names)]
            removes = [remove(i, s) for i, s in enumerate(spaces.names)]
            lines.append((name, tables.ms(stats.median(adds)), tables.ms(stats.median(removes)), "its own command, no IPv6"))
        except RuntimeError as e:
            tables.say(f"{name} is left out: {e}")
        spaces.gone()
    tables.show("An interface, by commands, ms", ("", "add", "remove", ""), lines)


# ---- what passes ----

class Pair:
    """Two ends, and the address of the second: `enter` is how a command is run at the first."""

    def __init__(self, name, client, server, address):
        self.name, self.client, self.server, self.address = name, client, server, address


def by_hand():
    """Two namespaces on a bridge, made with ip(8): what the instances' throughput is held against."""
    sh("ip", "link", "add", "handbr", "type", "bridge")
    sh("ip", "addr", "add", "10.97.0.1/24", "dev", "handbr")
    sh("ip", "link", "set", "handbr", "up")
    for i, name in enumerate(("hand0", "hand1")):
        sh("ip", "netns", "add", name)
        sh("ip", "link", "add", f"hv{i}", "type", "veth", "peer", "name", "eth0", "netns", name)
        sh("ip", "link", "set", f"hv{i}", "master", "handbr", "up")
        sh("ip", "-n", name, "addr", "add", f"10.97.0.{i + 2}/24", "dev", "eth0")
        sh("ip", "-n", name, "link", "set", "eth0", "up")
        sh("ip", "-n", name, "link", "set", "lo", "up")
    enter = [("ip", "netns", "exec", f"hand{i}") for i in range(2)]
    return [Pair("by hand, one to the other", enter[0], enter[1], "10.97.0.3"), Pair("by hand, to the host", enter[0], (), "10.97.0.1")]


def instances(ctr):
    pairs = []
    for net in ("bridge", "routed"):
        found = []
        for i in range(2):
            name = f"{net}{i}"
            sh(ctr, "run", "-d", "--name", name, "--net", net, "bench", "sleep", "1000")
            state = json.loads(sh(ctr, "inspect", name))
            pid = re.search(r'"pid": (\d+)', json.dumps(state)).group(1)
            shown = sh("nsenter", "-t", pid, "-n", "ip", "-4", "addr", "show", "eth0")
            gateway = re.search(r"default via (\S+)", sh("nsenter", "-t", pid, "-n", "ip", "route")).group(1)
            found.append((("nsenter", "-t", pid, "-n"), re.search(r"inet ([\d.]+)", shown).group(1), gateway))
        pairs.append(Pair(f"{net}, one to the other", found[0][0], found[1][0], found[1][1]))
        pairs.append(Pair(f"{net}, to the host", found[0][0], (), found[0][2]))
    return pairs


def throughput(pair, seconds):
    server = subprocess.Popen((*pair.server, "iperf3", "-s", "-1", "-B", pair.address), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(50):
            run = subprocess.run((*pair.client, "iperf3", "-J", "-t", str(seconds), "-c", pair.address), stdout=subprocess.PIPE, text=True)
            end = json.loads(run.stdout or "{}").get("end", {})
            if "sum_received" in end:
                return end["sum_received"]["bits_per_second"] / 1e9
            time.sleep(0.1)
        raise SystemExit(f"net: iperf3 does not reach {pair.address}: {run.stdout[-300:]}")
    finally:
        server.terminate()
        server.wait()


def latency(pair):
    out = sh(*pair.client, "ping", "-q", "-c", "300", "-i", "0.002", pair.address)
    return float(re.search(r"= [\d.]+/([\d.]+)/", out).group(1)) * 1000


def show_passing(args, ctr):
    if not shutil.which("iperf3") or not shutil.which("ping"):
        tables.say("throughput is left out: iperf3 and ping are needed")
        return
    pairs = by_hand() + instances(ctr)
    speed, delay = ({p.name: {} for p in pairs} for _ in range(2))
    for k in range(args.rounds):
        for p in random.sample(pairs, len(pairs)):
            speed[p.name][k] = [throughput(p, args.seconds)]
            delay[p.name][k] = [latency(p)]
    lines = []
    for p in pairs:
        like = "by hand, " + p.name.split(", ")[1]
        lines.append((p.name, f"{stats.median([v for b in speed[p.name].values() for v in b]):.1f}", tables.ratio(speed, p.name, like),
                      f"{stats.median([v for b in delay[p.name].values() for v in b]):.0f}", tables.ratio(delay, p.name, like)))
    tables.show("What passes: TCP, Gbit/s; the way there and back, us; each beside a pair made by hand",
                ("", "Gbit/s", "x by hand", "us", "x by hand"), lines)
    for i in range(2):
        sh("ip", "netns", "del", f"hand{i}")


def main():
    args = parse()
    if os.geteuid():
        raise SystemExit("net: needs root")
    if "IN_NETNS" not in os.environ:
        os.execvpe("unshare", ["unshare", "-n", sys.executable, *sys.argv], dict(os.environ, IN_NETNS="1"))
    ctr, cost = (os.path.join(ground.TOP, "build", *p) for p in (("ctr",), ("tests", "bench", "netcost")))
    sh("ip", "link", "set", "lo", "up")
    with ground.Ground("/dev/shm") as g:
        os.makedirs("/run/netns", exist_ok=True)
        sh(ctr, "image", "import", "-q", g.image_tar(), "bench")
        print(f"Machine: Linux {os.uname().release}, {os.cpu_count()} CPUs; network namespaces of the bench's own")
        try:
            show_in_process(args, cost)
            show_engines(args, ctr)
            show_passing(args, ctr)
        finally:
            sh(ctr, "rm", "-f", "*")


if __name__ == "__main__":
    main()
