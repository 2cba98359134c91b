/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp_model.h - what a compiled filter is held against: a check of its form, an interpreter, and an
 * evaluator of the spec that is as plain as can be. It shares nothing with the compiler: numbers come from
 * libseccomp, one name at a time. For x86_64.
 */
#ifndef TESTS_SECCOMP_MODEL_H
#define TESTS_SECCOMP_MODEL_H

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/spec.h"

#define MODEL_X32 0x40000000u

/* As seccomp_check_filter and bpf_check_classic in the kernel: NULL, or what is wrong. */
static inline const char *model_check(const struct sock_filter *f, unsigned n)
{
	if (!n || n > BPF_MAXINSNS)
		return "length";
	for (unsigned i = 0; i < n; i++) {
		switch (f[i].code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (f[i].k % 4 || f[i].k >= sizeof(struct seccomp_data))
				return "offset of a load";
			break;
		case BPF_ALU | BPF_AND | BPF_K:
		case BPF_RET | BPF_K:
			break;
		case BPF_JMP | BPF_JA:
			if (f[i].k >= n - i - 1)
				return "long jump";
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JSET | BPF_K:
			if (i + f[i].jt + 1u >= n || i + f[i].jf + 1u >= n)
				return "jump";
			break;
		default:
			return "unknown instruction";
		}
	}
	return f[n - 1].code == (BPF_RET | BPF_K) ? NULL : "no return at the end";
}

static inline uint32_t model_run(const struct sock_filter *f, const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (unsigned i = 0;; i++) {
		uint32_t k = f[i].k;

		switch (f[i].code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (const char *)d + k, sizeof(a));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= k;
			break;
		case BPF_RET | BPF_K:
			return k;
		case BPF_JMP | BPF_JA:
			i += k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			i += a == k ? f[i].jt : f[i].jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			i += a > k ? f[i].jt : f[i].jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			i += a >= k ? f[i].jt : f[i].jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			i += a & k ? f[i].jt : f[i].jf;
			break;
		default:
			abort();
		}
	}
}

/* ---- names ---- */

enum { MODEL_ARCHS = 3, MODEL_NUMBERS = 1024, MODEL_NONE = -1 };

static const uint32_t model_tokens[MODEL_ARCHS] = { SCMP_ARCH_X86_64, SCMP_ARCH_X86,
						    SCMP_ARCH_X32 };

/* Calls that some of the library's versions do not know, or not on x32. Numbers of x86_64 and x32, and of i386. */
static const struct {
	const char *name;
	int nr, i386;
} model_newer[] = {
	{ "uretprobe", 335, MODEL_NONE },  { "uprobe", 336, MODEL_NONE },
	{ "cachestat", 451, 451 },	   { "fchmodat2", 452, 452 },
	{ "map_shadow_stack", 453, 453 },  { "futex_wake", 454, 454 },
	{ "futex_wait", 455, 455 },	   { "futex_requeue", 456, 456 },
	{ "statmount", 457, 457 },	   { "listmount", 458, 458 },
	{ "lsm_get_self_attr", 459, 459 }, { "lsm_set_self_attr", 460, 460 },
	{ "lsm_list_modules", 461, 461 },  { "mseal", 462, 462 },
	{ "setxattrat", 463, 463 },	   { "getxattrat", 464, 464 },
	{ "listxattrat", 465, 465 },	   { "removexattrat", 466, 466 },
	{ "open_tree_attr", 467, 467 },	   { "file_getattr", 468, 468 },
	{ "file_setattr", 469, 469 },	   { "listns", 470, 470 },
	{ "rseq_slice_yield", 471, 471 },
};

/* The name of number @nr (without the x32 bit) of architecture @arch (an index), or NULL. */
static inline const char *model_name(int arch, int nr)
{
	static char *names[MODEL_ARCHS][MODEL_NUMBERS];
	static bool filled;

	for (int a = 0; !filled && a < MODEL_ARCHS; a++)
		for (int n = 0; n < MODEL_NUMBERS; n++)
			names[a][n] = seccomp_syscall_resolve_num_arch(
				model_tokens[a], a == 2 ? (int)(MODEL_X32 | (unsigned)n) : n);
	filled = true;
	return nr >= 0 && nr < MODEL_NUMBERS ? names[arch][nr] : NULL;
}

/*
 * The numbers of @name on @arch: *direct, and *call of the multiplexer *through (i386: socketcall 102,
 * ipc 117); each MODEL_NONE if there is none.
 */
static inline void model_numbers(int arch, const char *name, int *direct, int *through, int *call)
{
	static bool searched[256];
	static int found[256];
	int nr = seccomp_syscall_resolve_name_arch(model_tokens[arch], name);

	*direct = *through = *call = MODEL_NONE;
	if (nr >= 0)
		*direct = nr & ~(arch == 2 ? (int)MODEL_X32 : 0);
	for (size_t i = 0; i < sizeof(model_newer) / sizeof(model_newer[0]); i++)
		if (strcmp(name, model_newer[i].name) == 0)
			*direct = arch == 1 ? model_newer[i].i386 : model_newer[i].nr;
	if (arch != 1 || nr > -100 || nr < -224)
		return;
	*through = nr >= -120 ? 102 : 117;
	*call = nr >= -120 ? -nr - 100 : -nr - 200;
	if (!searched[-nr]) {
		found[-nr] = MODEL_NONE;
		for (int n = 0; n < MODEL_NUMBERS; n++)
			if (model_name(arch, n) && strcmp(model_name(arch, n), name) == 0)
				found[-nr] = n;
		searched[-nr] = true;
	}
	*direct = found[-nr];
}

/* ---- the evaluator ---- */

static inline uint32_t model_verdict(const char *action, const struct opt_u64 *e)
{
	uint32_t data = e->set ? (uint32_t)e->v : EPERM;

	if (strcmp(action, "SCMP_ACT_ALLOW") == 0)
		return SECCOMP_RET_ALLOW;
	if (strcmp(action, "SCMP_ACT_LOG") == 0)
		return SECCOMP_RET_LOG;
	if (strcmp(action, "SCMP_ACT_ERRNO") == 0)
		return SECCOMP_RET_ERRNO | data;
	if (strcmp(action, "SCMP_ACT_TRACE") == 0)
		return SECCOMP_RET_TRACE | data;
	if (strcmp(action, "SCMP_ACT_TRAP") == 0)
		return SECCOMP_RET_TRAP;
	if (strcmp(action, "SCMP_ACT_NOTIFY") == 0)
		return SECCOMP_RET_USER_NOTIF;
	if (strcmp(action, "SCMP_ACT_KILL_PROCESS") == 0)
		return SECCOMP_RET_KILL_PROCESS;
	return SECCOMP_RET_KILL_THREAD;
}

static inline bool model_holds(const struct seccomp_arg *a, uint64_t have, bool wide)
{
	uint64_t all = wide ? UINT64_MAX : UINT32_MAX;
	uint64_t v = a->value & all, w = a->value_two & all;

	have &= all;
	if (strcmp(a->op, "SCMP_CMP_EQ") == 0)
		return have == v;
	if (strcmp(a->op, "SCMP_CMP_NE") == 0)
		return have != v;
	if (strcmp(a->op, "SCMP_CMP_LT") == 0)
		return have < v;
	if (strcmp(a->op, "SCMP_CMP_LE") == 0)
		return have <= v;
	if (strcmp(a->op, "SCMP_CMP_GT") == 0)
		return have > v;
	if (strcmp(a->op, "SCMP_CMP_GE") == 0)
		return have >= v;
	return (have & v) == (w & v);
}

/* If rule @r matches @args; @call: by way of a multiplexer, whose argument 0 must be that. */
static inline bool model_matches(const struct seccomp_rule *r, const uint64_t *args, bool wide,
				 int call)
{
	unsigned seen = 0;
	bool twice = false, any = false, all = true;

	for (size_t i = 0; i < r->n_args; i++) {
		twice |= seen >> r->args[i].index & 1;
		seen |= 1u << r->args[i].index;
	}
	for (size_t i = 0; i < r->n_args; i++) {
		bool holds = (call >= 0 && !r->args[i].index) ||
			     model_holds(&r->args[i], args[r->args[i].index], wide);

		any |= holds;
		all &= holds;
	}
	if (call >= 0 && (uint32_t)args[0] != (uint32_t)call)
		return false;
	return twice ? any : all;
}

/* What @s says of architecture @arch (an index; it must be one of the spec's), number @nr. */
static inline uint32_t model_eval(const struct seccomp_spec *s, int arch, uint32_t nr,
				  const uint64_t *args)
{
	uint32_t fallback = model_verdict(s->default_action, &s->default_errno_ret);
	bool refuses = strcmp(s->default_action, "SCMP_ACT_ALLOW") != 0 &&
		       strcmp(s->default_action, "SCMP_ACT_LOG") != 0 &&
		       strcmp(s->default_action, "SCMP_ACT_TRACE") != 0;
	int newest = MODEL_NONE, direct, through, call;
	bool wide = arch == 0;

	for (size_t i = 0; i < s->n_rules; i++)
		for (const char *const *n = s->rules[i].names; n && *n; n++) {
			model_numbers(arch, *n, &direct, &through, &call);
			newest = direct > newest ? direct : newest;
			newest = through > newest ? through : newest;
		}
	if (newest >= 0 && nr > (uint32_t)newest)
		return refuses ? SECCOMP_RET_ERRNO | ENOSYS : fallback;
	/* first what names the call itself, then what speaks of it as a multiplexer */
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < s->n_rules; i++)
			for (const char *const *n = s->rules[i].names; n && *n; n++) {
				model_numbers(arch, *n, &direct, &through, &call);
				if ((uint32_t)(pass ? through : direct) != nr ||
				    (pass ? through : direct) == MODEL_NONE)
					continue;
				if (model_matches(&s->rules[i], args, wide, pass ? call : -1))
					return model_verdict(s->rules[i].action,
							     &s->rules[i].errno_ret);
			}
	return fallback;
}

#endif
