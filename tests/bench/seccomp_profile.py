# SPDX-License-Identifier: Apache-2.0
"""The Docker-like seccomp profile of the benchmark: for runtimes as JSON, for the floor as BPF.

Debian's golang-github-containers-common carries the list that Docker and podman descend from, with
conditions on architecture and capabilities. Engines resolve those conditions before a runtime sees
the list, and so does resolve(). For the floor, compile_tree() makes the cheapest filter known: a
binary tree over runs of system call numbers with the same outcome, which is what a runtime can reach
if it does not settle for a linear list (the kernel emulates a filter once per number at load).
"""

import platform
import re
import struct

ARCHITECTURES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
}


def resolve(profile, capabilities):
    """Returns the `linux.seccomp` of an OCI bundle for this machine and these capabilities."""
    go_arch, native = ARCHITECTURES[platform.machine()]
    architectures = [native]
    for entry in profile["archMap"]:
        if entry["architecture"] == native:
            architectures += entry["subArchitectures"]

    def met(condition):
        return (("arches" not in condition or go_arch in condition["arches"]) and
                ("caps" not in condition or set(condition["caps"]) <= set(capabilities)))

    def applies(rule):
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        return met(includes) and not (excludes and met(excludes))

    syscalls = []
    for rule in profile["syscalls"]:
        if not applies(rule):
            continue
        kept = {"names": rule["names"], "action": rule["action"]}
        if rule.get("errnoRet") is not None:
            kept["errnoRet"] = rule["errnoRet"]
        if rule.get("args"):
            kept["args"] = rule["args"]
        syscalls.append(kept)
    resolved = {"defaultAction": profile["defaultAction"], "architectures": architectures,
                "syscalls": syscalls}
    if profile.get("defaultErrnoRet") is not None:
        resolved["defaultErrnoRet"] = profile["defaultErrnoRet"]
    return resolved


def names_allowed(seccomp):
    return len({name for rule in seccomp["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW"
                for name in rule["names"]})


# Instructions are (code, jump if true, jump if false, k); jumps are relative and go forward only,
# so that pieces can be put behind one another.
LOAD, JUMP, EQUAL, AT_LEAST, AND, RETURN = 0x20, 0x05, 0x15, 0x35, 0x54, 0x06
OFFSET_NUMBER, OFFSET_ARCH, OFFSET_ARGS = 0, 4, 16
RET_KILL_PROCESS, RET_ALLOW, RET_ERRNO = 0x80000000, 0x7fff0000, 0x00050000
ALL_ONES = 0xffffffff


def numbers_from_header(path):
    """{name: number} of the #define __NR_... lines of a kernel header."""
    with open(path) as header:
        found = re.findall(r"^#define\s+__NR_(\w+)\s+(\d+)\s*$", header.read(), re.M)
    return {name: int(number) for name, number in found}


def verdict(action, errno):
    if action == "SCMP_ACT_ALLOW":
        return RET_ALLOW
    if action == "SCMP_ACT_ERRNO":
        return RET_ERRNO | (1 if errno is None else errno)
    raise ValueError(f"no filter is made for '{action}'")


def compare(arg, to_next_rule):
    """The instructions that go on if `arg` matches and skip `to_next_rule` more if not."""
    base = OFFSET_ARGS + 8 * arg["index"]
    op, value, mask = arg["op"], arg["value"], ALL_ONES << 32 | ALL_ONES
    if op == "SCMP_CMP_MASKED_EQ":
        mask, value = value, arg["valueTwo"]
    elif op not in ("SCMP_CMP_EQ", "SCMP_CMP_NE"):
        raise ValueError(f"no filter is made for '{op}'")
    high = [(LOAD, 0, 0, base + 4), (AND, 0, 0, mask >> 32)]
    low = [(LOAD, 0, 0, base), (AND, 0, 0, mask & ALL_ONES)]
    if op == "SCMP_CMP_NE":
        low.append((EQUAL, to_next_rule, 0, value & ALL_ONES))
        return high + [(EQUAL, 0, len(low), value >> 32)] + low
    low.append((EQUAL, 0, to_next_rule, value & ALL_ONES))
    return high + [(EQUAL, 0, len(low) + to_next_rule, value >> 32)] + low


def leaf(rules, default):
    """One system call: the first rule whose arguments all match, else the default."""
    code = []
    for action, args in rules:
        body = [(RETURN, 0, 0, action)]
        for arg in reversed(args):
            body = compare(arg, len(body)) + body
        code += body
        if not args:
            return code
    return code + [(RETURN, 0, 0, default)]


def tree(leaves):
    """`leaves` is [(first number, instructions)], ascending, the first for everything below too."""
    if len(leaves) == 1:
        return leaves[0][1]
    middle = len(leaves) // 2
    below, above = tree(leaves[:middle]), tree(leaves[middle:])
    if len(below) <= 255:
        return [(AT_LEAST, len(below), 0, leaves[middle][0])] + below + above
    return [(AT_LEAST, 0, 1, leaves[middle][0]), (JUMP, 0, 0, len(below))] + below + above


def compile_arch(seccomp, numbers):
    default = verdict(seccomp["defaultAction"], seccomp.get("defaultErrnoRet"))
    rules = {}
    for rule in seccomp["syscalls"]:
        action = verdict(rule["action"], rule.get("errnoRet"))
        for name in rule["names"]:
            if name in numbers:
                rules.setdefault(numbers[name], []).append((action, rule.get("args", [])))
    # An unconditional rule decides, whatever conditions stand beside it.
    for number, own in rules.items():
        rules[number] = [r for r in own if not r[1]][:1] or own

    leaves = []
    for number in range(max(rules) + 2):
        code = leaf(rules.get(number, []), default)
        if not leaves or leaves[-1][1] != code:
            leaves.append((number, code))
    return tree(leaves)


def compile_tree(seccomp, numbers_by_arch):
    """The filter as bytes. `numbers_by_arch` is {AUDIT_ARCH value: {name: number}}."""
    code = [(RETURN, 0, 0, RET_KILL_PROCESS)]
    for arch, numbers in numbers_by_arch.items():
        body = [(LOAD, 0, 0, OFFSET_NUMBER)] + compile_arch(seccomp, numbers)
        code = [(EQUAL, 1, 0, arch), (JUMP, 0, 0, len(body))] + body + code
    code = [(LOAD, 0, 0, OFFSET_ARCH)] + code
    return b"".join(struct.pack("=HBBI", *insn) for insn in code)
