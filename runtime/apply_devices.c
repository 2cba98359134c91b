/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_devices.c - linux.resources.devices as a BPF program on the cgroup (BPF_PROG_TYPE_CGROUP_DEVICE,
 * Linux 4.15): cgroup v2 has no devices controller.
 *
 * The rules are walked backwards, since the last one that matches decides; a rule about everything ends
 * the program. The kernel passes the wanted access and the device's type in one word.
 *
 * Most rules name one device and all kinds of access. They are one comparison of type, major and minor put
 * together: with one branch a rule the verifier has one path to walk, where three branches each made it walk
 * enough to take six times as long as the rest of the load (measured: 230 us of 270).
 */
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/apply.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/spec.h"

#define MAX_INSNS 4096

struct program {
	struct bpf_insn insns[MAX_INSNS];
	unsigned n;
};

static void emit(struct program *p, unsigned char code, unsigned char dst, unsigned char src,
		 short off, int imm)
{
	if (p->n < MAX_INSNS)
		p->insns[p->n] = (struct bpf_insn){
			.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm
		};
	p->n++;
}

enum { R0, R1, TYPE, ACCESS, MAJOR, MINOR, SCRATCH, KEY };

#define ALL (DEVICE_READ | DEVICE_WRITE | DEVICE_MKNOD)

static int bpf_type(char type)
{
	return type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
}

static void emit_verdict(struct program *p, const struct device_rule *r)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, R0, 0, 0, r->allow);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* A rule about one device and all access: the key is type << 52 | major << 32 | minor. */
static void emit_exact(struct program *p, const struct device_rule *r)
{
	emit(p, BPF_LD | BPF_DW | BPF_IMM, SCRATCH, 0, 0, (int)r->minor);
	emit(p, 0, 0, 0, 0, (int)(r->major | bpf_type(r->type) << 20));
	emit(p, BPF_JMP | BPF_JNE | BPF_X, KEY, SCRATCH, 2, 0);
	emit_verdict(p, r);
}

/*
 * r2 = device type, r3 = access, r4 = major, r5 = minor. A rule decides if it matches; a deny rule matches
 * if any of the wanted accesses is denied, an allow rule if it covers all of them.
 */
static void emit_rule(struct program *p, const struct device_rule *r)
{
	unsigned start[8], n = 0;

	if (r->type != 'a' && r->major >= 0 && r->major < 1 << 20 && r->minor >= 0 &&
	    r->access == ALL) {
		emit_exact(p, r);
		return;
	}
	if (r->type != 'a') {
		start[n++] = p->n;
		emit(p, BPF_JMP | BPF_JNE | BPF_K, TYPE, 0, 0, bpf_type(r->type));
	}
	if (r->access != ALL) {
		unsigned bits = (r->access & DEVICE_READ ? BPF_DEVCG_ACC_READ : 0) |
				(r->access & DEVICE_WRITE ? BPF_DEVCG_ACC_WRITE : 0) |
				(r->access & DEVICE_MKNOD ? BPF_DEVCG_ACC_MKNOD : 0);

		emit(p, BPF_ALU64 | BPF_MOV | BPF_X, SCRATCH, ACCESS, 0, 0);
		emit(p, BPF_ALU64 | BPF_AND | BPF_K, SCRATCH, 0, 0, (int)bits);
		start[n++] = p->n;
		if (r->allow)
			emit(p, BPF_JMP | BPF_JNE | BPF_X, SCRATCH, ACCESS, 0, 0);
		else
			emit(p, BPF_JMP | BPF_JEQ | BPF_K, SCRATCH, 0, 0, 0);
	}
	if (r->major >= 0) {
		start[n++] = p->n;
		emit(p, BPF_JMP | BPF_JNE | BPF_K, MAJOR, 0, 0, (int)r->major);
	}
	if (r->minor >= 0) {
		start[n++] = p->n;
		emit(p, BPF_JMP | BPF_JNE | BPF_K, MINOR, 0, 0, (int)r->minor);
	}
	emit_verdict(p, r);
	for (unsigned i = 0; i < n; i++)
		if (start[i] < MAX_INSNS)
			p->insns[start[i]].off = (short)(p->n - start[i] - 1);
}

static void build(struct program *p, const struct device_rule *rules, size_t n)
{
	p->n = 0;
	emit(p, BPF_LDX | BPF_MEM | BPF_W, TYPE, R1,
	     offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, ACCESS, TYPE, 0, 0);
	emit(p, BPF_ALU64 | BPF_RSH | BPF_K, ACCESS, 0, 0, 16);
	emit(p, BPF_ALU64 | BPF_AND | BPF_K, TYPE, 0, 0, 0xffff);
	emit(p, BPF_LDX | BPF_MEM | BPF_W, MAJOR, R1, offsetof(struct bpf_cgroup_dev_ctx, major),
	     0);
	emit(p, BPF_LDX | BPF_MEM | BPF_W, MINOR, R1, offsetof(struct bpf_cgroup_dev_ctx, minor),
	     0);
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, KEY, TYPE, 0, 0);
	emit(p, BPF_ALU64 | BPF_LSH | BPF_K, KEY, 0, 0, 20);
	emit(p, BPF_ALU64 | BPF_OR | BPF_X, KEY, MAJOR, 0, 0);
	emit(p, BPF_ALU64 | BPF_LSH | BPF_K, KEY, 0, 0, 32);
	emit(p, BPF_ALU64 | BPF_OR | BPF_X, KEY, MINOR, 0, 0);
	while (n) {
		const struct device_rule *r = &rules[--n];

		emit_rule(p, r);
		/* nothing after an unconditional rule can be reached, and the verifier refuses dead code */
		if (r->type == 'a' && r->major < 0 && r->minor < 0 && r->access == ALL)
			return;
	}
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, R0, 0, 0, 0);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static int bpf(int cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

int apply_cgroup_devices(struct apply *a, const struct step *st, struct err *e)
{
	union bpf_attr load = { .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
				.license = (uint64_t)(uintptr_t) "Apache-2.0" };
	union bpf_attr attach = { 0 };
	struct program p;
	auto_fd int prog = -1;

	build(&p, st->devices.rules, st->devices.n);
	if (p.n > MAX_INSNS)
		return err_set(e, ERR_INVALID, "too many device rules");
	load.insns = (uint64_t)(uintptr_t)p.insns;
	load.insn_cnt = p.n;
	prog = bpf(BPF_PROG_LOAD, &load);
	if (prog < 0)
		return err_set(e, errno, "cannot load the device filter");
	attach.attach_type = BPF_CGROUP_DEVICE;
	attach.target_fd = (uint32_t)a->cgroup;
	attach.attach_bpf_fd = (uint32_t)prog;
	attach.attach_flags = BPF_F_ALLOW_MULTI;
	if (bpf(BPF_PROG_ATTACH, &attach) < 0)
		return err_set(e, errno, "cannot attach the device filter");
	return 0;
}
