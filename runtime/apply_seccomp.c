/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules become clauses: an action and the conditions that must all hold. Names become numbers, and each
 * number of each architecture collects the clauses that speak of it. Neighbouring numbers with one verdict
 * are a run. Then the program, a search for the run, is written from its end to its beginning: every jump
 * of classic BPF goes forward, so its target is known when it is written, and a target more than 255
 * instructions away is repeated (a return) or given a stepping stone (an unconditional jump, which has 32
 * bits).
 *
 * This is on the way to every start. What is large lies on the stack, where it costs nothing until it is
 * touched.
 */
#include "runtime/seccomp.h"

#include <ctype.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/spec.h"
#include "runtime/syscalls.h"

#ifndef SECCOMP_FILTER_FLAG_TSYNC_ESRCH
#define SECCOMP_FILTER_FLAG_TSYNC_ESRCH (1UL << 4) /* Linux 5.7 */
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) /* Linux 5.19 */
#endif

#define X32_BIT	  0x40000000u
#define MAX_ERRNO 4095 /* the kernel cuts larger ones to this */
#define MAX_ARGS  6
#define MAX_ARCHS 16

/* ---- words of the specification ---- */

struct word {
	const char *name;
	uint32_t value;
};

/* The most that an action can carry in its low 16 bits; 0: nothing. */
enum { NO_DATA = 0, DATA_ERRNO = MAX_ERRNO, DATA_TRACE = 0xffff };

static const struct action {
	const char *name;
	uint32_t ret;
	unsigned max_data;
	bool refuses; /* the call is not made (TRACE: a tracer decides, and should know new calls) */
} actions[] = {
	{ "SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW, NO_DATA, false },
	{ "SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO, DATA_ERRNO, true },
	{ "SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD, NO_DATA, true },
	{ "SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD, NO_DATA, true },
	{ "SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS, NO_DATA, true },
	{ "SCMP_ACT_TRAP", SECCOMP_RET_TRAP, NO_DATA, true },
	{ "SCMP_ACT_TRACE", SECCOMP_RET_TRACE, DATA_TRACE, false },
	{ "SCMP_ACT_LOG", SECCOMP_RET_LOG, NO_DATA, false },
	{ "SCMP_ACT_NOTIFY", SECCOMP_RET_USER_NOTIF, NO_DATA, true },
};

/* The four others are these with yes and no exchanged. */
enum op { OP_EQ, OP_GT, OP_GE };

static const struct operator
{
	const char *name;
	enum op op;
	bool negated, masked;
}
operators[] = {
	{ "SCMP_CMP_EQ", OP_EQ, false, false },	      { "SCMP_CMP_NE", OP_EQ, true, false },
	{ "SCMP_CMP_GT", OP_GT, false, false },	      { "SCMP_CMP_LE", OP_GT, true, false },
	{ "SCMP_CMP_GE", OP_GE, false, false },	      { "SCMP_CMP_LT", OP_GE, true, false },
	{ "SCMP_CMP_MASKED_EQ", OP_EQ, false, true },
};

static const struct word flags[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC },
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV },
};

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- rules to clauses ---- */

struct cond {
	unsigned index;
	enum op op;
	bool negated;
	uint64_t value, mask; /* mask: all ones unless masked */
};

struct clause {
	uint32_t ret;
	unsigned n_conds;
	const struct cond *conds;
};

struct compiler {
	const struct seccomp_spec *spec;
	struct err *e;
	uint32_t default_ret;
	bool enosys; /* answer calls newer than any named one with ENOSYS */
	bool notifies;
	struct clause *clauses;
	unsigned n_clauses;
	struct cond *conds;
	unsigned n_conds;
	struct arch *archs; /* the native one first */
	unsigned n_archs;
	struct link *links, *many_links; /* the latter: once they are allocated */
	unsigned n_links, max_links;
};

static const struct action *action_find(const char *name)
{
	for (size_t i = 0; name && i < N_OF(actions); i++)
		if (streq(name, actions[i].name))
			return &actions[i];
	return NULL;
}

/* The verdict of action @name; EPERM is the errno, and the tracer's message, that nobody chose (runc). */
static int verdict(const char *name, const struct opt_u64 *errno_ret, const struct action **action,
		   uint32_t *ret, struct err *e)
{
	const struct action *a = action_find(name);

	if (!a)
		return err_set(e, ERR_INVALID, "unknown action '%s'", name ? name : "");
	*action = a;
	*ret = a->ret;
	if (!errno_ret->set) {
		*ret |= a->max_data ? EPERM : 0;
		return 0;
	}
	if (!a->max_data)
		return err_set(e, ERR_INVALID, "action '%s' does not return an errno", name);
	if (errno_ret->v > a->max_data)
		return err_set(e, ERR_INVALID, "%llu is out of range for an errno of '%s'",
			       (unsigned long long)errno_ret->v, name);
	*ret |= (uint32_t)errno_ret->v;
	return 0;
}

static int read_cond(const struct seccomp_arg *a, struct cond *c, struct err *e)
{
	if (a->index >= MAX_ARGS)
		return err_set(e, ERR_INVALID, "there is no argument %u: the last one is 5",
			       a->index);
	for (size_t i = 0; a->op && i < N_OF(operators); i++) {
		const struct operator* o = & operators[i];

		if (!streq(a->op, o->name))
			continue;
		*c = (struct cond){ .index = a->index, .op = o->op, .negated = o->negated };
		c->mask = o->masked ? a->value : UINT64_MAX;
		c->value = (o->masked ? a->value_two : a->value) & c->mask;
		return 0;
	}
	return err_set(e, ERR_INVALID, "unknown operator '%s'", a->op ? a->op : "");
}

static bool tests_one_twice(const struct seccomp_rule *r)
{
	unsigned seen = 0;

	for (size_t i = 0; i < r->n_args; i++) {
		if (seen & 1u << r->args[i].index)
			return true;
		seen |= 1u << r->args[i].index;
	}
	return false;
}

/* Appends the clauses of @r, whose first will be c->clauses[old value of c->n_clauses]. */
static int read_rule(struct compiler *c, const struct seccomp_rule *r)
{
	const struct action *action;
	struct cond *conds = &c->conds[c->n_conds];
	uint32_t ret;

	if (verdict(r->action, &r->errno_ret, &action, &ret, c->e) < 0)
		return -1;
	for (const char *const *name = r->names; name && *name; name++) {
		if (!**name)
			return err_set(c->e, ERR_INVALID, "an empty name is no system call");
		if (action->ret == SECCOMP_RET_USER_NOTIF && streq(*name, "write"))
			return err_set(c->e, ERR_INVALID,
				       "SCMP_ACT_NOTIFY cannot be used for the write syscall");
	}
	c->notifies |= action->ret == SECCOMP_RET_USER_NOTIF;
	for (size_t i = 0; i < r->n_args; i++)
		if (read_cond(&r->args[i], &conds[i], c->e) < 0)
			return err_in(c->e, "args[%zu]", i);
	c->n_conds += (unsigned)r->n_args;
	if (!tests_one_twice(r)) {
		c->clauses[c->n_clauses++] = (struct clause){ ret, (unsigned)r->n_args, conds };
		return 0;
	}
	for (size_t i = 0; i < r->n_args; i++)
		c->clauses[c->n_clauses++] = (struct clause){ ret, 1, &conds[i] };
	return 0;
}

/* ---- clauses to chains, one for each number of each architecture ---- */

/*
 * A chain holds the clauses that speak of one call, the last rule's first: so they are written. It is the
 * index of a link; or ALONE and the index of a clause, if that is the first and unconditional, as most are;
 * or 0, when no rule speaks of the call. After an unconditional clause nothing is added.
 */
#define ALONE	  (1u << 15)
#define INDEX_MAX (ALONE - 1)

struct link {
	unsigned clause;
	unsigned multiplexed; /* the call of socketcall or ipc that argument 0 must name; 0: any */
	unsigned earlier;     /* link */
};

#define WINDOW	1024 /* numbers from an architecture's base on that have a chain by index */
#define ODD_MAX 16   /* and those beyond: ARM has six */

struct arch {
	uint32_t token; /* libseccomp's: the kernel's, except for x32 */
	uint32_t base;	/* the first number */
	uint32_t beyond; /* one more than the newest call in the window that a rule names; base: none */
	bool wide;	 /* arguments are compared with all 64 bits */
	/* what rules for their calls say of the multiplexers, to follow rules for these themselves */
	struct multiplexer {
		int nr; /* negative: there is none */
		uint16_t chain;
	} socketcall, ipc;
	unsigned n_odd;
	struct {
		uint32_t nr;
		uint16_t chain;
	} odd[ODD_MAX];
	uint16_t chains[WINDOW];
};

static bool is_decided(const struct compiler *c, unsigned chain)
{
	const struct link *l;

	if (chain & ALONE || !chain)
		return chain;
	l = &c->links[chain];
	return !l->multiplexed && !c->clauses[l->clause].n_conds;
}

static int chain_add(struct compiler *c, uint16_t *chain, unsigned clause, unsigned multiplexed)
{
	if (is_decided(c, *chain))
		return 0;
	if (!*chain && !multiplexed && !c->clauses[clause].n_conds) {
		*chain = (uint16_t)(ALONE | clause);
		return 0;
	}
	if (c->n_links > INDEX_MAX)
		return err_set(c->e, ERR_INVALID, "too many rules with conditions");
	if (c->n_links >= c->max_links) {
		unsigned max = c->max_links * 2;
		struct link *links = realloc(c->many_links, max * sizeof(*links));

		if (links && !c->many_links)
			memcpy(links, c->links, c->n_links * sizeof(*links));
		if (!links)
			return err_set(c->e, ENOMEM, "cannot compile the filter");
		c->links = c->many_links = links;
		c->max_links = max;
	}
	c->links[c->n_links] = (struct link){ clause, multiplexed, *chain };
	*chain = (uint16_t)c->n_links++;
	return 0;
}

static uint16_t *chain_of(struct arch *a, uint32_t nr)
{
	if (nr - a->base < WINDOW)
		return &a->chains[nr - a->base];
	for (unsigned i = 0; i < a->n_odd; i++)
		if (a->odd[i].nr == nr)
			return &a->odd[i].chain;
	if (a->n_odd == ODD_MAX)
		return NULL;
	a->odd[a->n_odd].nr = nr;
	return &a->odd[a->n_odd++].chain;
}

/* How to make one call on one architecture. */
struct way {
	int nr;				 /* directly; negative: not so */
	unsigned call;			 /* by this call of: */
	struct multiplexer *multiplexer; /* NULL: not so */
};

/* libseccomp's pseudo numbers: -100 less the number of socketcall's call, -200 less that of ipc's. */
static struct way way_from_libseccomp(struct arch *a, int nr, const char *name)
{
	struct way w = { .nr = nr };

	if (nr <= -100 && nr >= -120) {
		w.multiplexer = &a->socketcall;
		w.call = (unsigned)-nr - 100;
	} else if (nr <= -200 && nr >= -224) {
		w.multiplexer = &a->ipc;
		w.call = (unsigned)-nr - 200;
	} else {
		return w;
	}
	if (w.multiplexer->nr < 0) /* a call of other architectures */
		return (struct way){ .nr = -1 };
	/* it does not tell by which number the same can be had directly, but does know its name */
	for (uint32_t i = a->base; i < a->base + WINDOW / 2; i++) {
		auto_free char *known = seccomp_syscall_resolve_num_arch(a->token, (int)i);

		if (known && streq(known, name)) {
			w.nr = (int)i;
			break;
		}
	}
	return w;
}

/* @row is that of @name in the table, NULL if it has none. */
static struct way find_way(struct arch *a, const char *name, const struct syscall_numbers *row)
{
	struct way w = { .nr = -1 };
	int nr;

	if (row && a->token == SCMP_ARCH_X86_64) {
		w.nr = row->x86_64;
	} else if (row && a->token == SCMP_ARCH_X32) {
		w.nr = row->x32 < 0 ? row->x32 : (int)(a->base + (unsigned)row->x32);
	} else if (row && a->token == SCMP_ARCH_X86) {
		w.nr = row->i386;
		w.call = row->multiplexed & MULTIPLEXED_CALL;
		if (w.call)
			w.multiplexer = row->multiplexed & BY_IPC ? &a->ipc : &a->socketcall;
	} else {
		nr = seccomp_syscall_resolve_name_arch(a->token, name);
		if (nr != __NR_SCMP_ERROR)
			return way_from_libseccomp(a, nr, name);
		if (row && row->x86_64 >= FIRST_COMMON_SYSCALL)
			w.nr = (int)(a->base + (unsigned)row->x86_64);
	}
	return w;
}

/* Adds the clauses from number @first on to the chains of @name. */
static int add_name(struct compiler *c, struct arch *a, const char *name,
		    const struct syscall_numbers *row, unsigned first)
{
	struct way w = find_way(a, name, row);
	uint16_t *chain = w.nr < 0 ? NULL : chain_of(a, (uint32_t)w.nr);

	if (w.nr >= 0 && !chain)
		return err_set(c->e, ERR_NOT_SUPPORTED,
			       "too many calls with such numbers as %d of '%s'", w.nr, name);
	if (chain && (uint32_t)w.nr - a->base < WINDOW && (uint32_t)w.nr >= a->beyond)
		a->beyond = (uint32_t)w.nr + 1;
	for (unsigned i = first; i < c->n_clauses; i++) {
		if (chain && chain_add(c, chain, i, 0) < 0)
			return -1;
		if (w.multiplexer && chain_add(c, &w.multiplexer->chain, i, w.call) < 0)
			return -1;
	}
	return 0;
}

static int read_rules(struct compiler *c)
{
	const struct seccomp_spec *s = c->spec;
	size_t near = 0;

	for (size_t i = 0; i < s->n_rules; i++) {
		unsigned first = c->n_clauses;

		if (read_rule(c, &s->rules[i]) < 0)
			return err_in(c->e, "syscalls[%zu]", i);
		for (const char *const *n = s->rules[i].names; n && *n; n++) {
			const struct syscall_numbers *row = syscall_find(*n, &near);

			if (!row && (s->no_unknown || log_enabled(LOG_DEBUG)) &&
			    seccomp_syscall_resolve_name(*n) == __NR_SCMP_ERROR) {
				if (s->no_unknown)
					return err_set(
						c->e, ERR_INVALID,
						"syscalls[%zu]: there is no system call '%s'", i,
						*n);
				log_debug("unknown seccomp syscall '%s' ignored", *n);
			}
			for (unsigned k = 0; k < c->n_archs; k++)
				if (add_name(c, &c->archs[k], *n, row, first) < 0)
					return -1;
		}
	}
	return 0;
}

/* Puts what was said of calls through @m behind what was said of @m itself. */
static void add_multiplexer(struct compiler *c, struct arch *a, const struct multiplexer *m)
{
	uint16_t *chain = m->chain ? chain_of(a, (uint32_t)m->nr) : NULL;
	unsigned l = m->chain;

	if (!chain || is_decided(c, *chain))
		return;
	while (c->links[l].earlier)
		l = c->links[l].earlier;
	c->links[l].earlier = *chain;
	*chain = m->chain;
	if ((uint32_t)m->nr >= a->beyond)
		a->beyond = (uint32_t)m->nr + 1;
}

/* ---- the program, from its end ---- */

/* Where to go: to a verdict, which can be had anywhere, or to an instruction, counted from the end. */
struct target {
	bool is_verdict;
	uint32_t at; /* the verdict, or the place: the last instruction is 1 */
};

#define NEAR_MAX 255
#define RETS_MAX 32

struct program {
	struct sock_filter insns[BPF_MAXINSNS]; /* filled from the end */
	unsigned n;
	bool full;
	struct {
		uint32_t ret;
		unsigned at;
	} rets[RETS_MAX]; /* the foremost return of each verdict, as far as remembered */
	unsigned n_rets;
};

static struct target go_verdict(uint32_t ret)
{
	return (struct target){ true, ret };
}

static bool same_target(struct target a, struct target b)
{
	return a.is_verdict == b.is_verdict && a.at == b.at;
}

static struct target emit(struct program *p, unsigned code, unsigned jt, unsigned jf, uint32_t k)
{
	if (p->n == BPF_MAXINSNS) {
		p->full = true;
		return (struct target){ false, p->n };
	}
	p->n++;
	p->insns[BPF_MAXINSNS - p->n] =
		(struct sock_filter){ (uint16_t)code, (uint8_t)jt, (uint8_t)jf, k };
	return (struct target){ false, p->n };
}

/* The place of @t, 0 if it is a verdict without a return as yet. */
static unsigned place_of(const struct program *p, struct target t)
{
	if (!t.is_verdict)
		return t.at;
	for (unsigned i = 0; i < p->n_rets; i++)
		if (p->rets[i].ret == t.at)
			return p->rets[i].at;
	return 0;
}

static bool is_near(const struct program *p, struct target t)
{
	unsigned at = place_of(p, t);

	return at && p->n - at <= NEAR_MAX;
}

/* Makes @t something that can be reached from here. */
static struct target bring_near(struct program *p, struct target t)
{
	unsigned i = 0;

	if (!t.is_verdict)
		return emit(p, BPF_JMP | BPF_JA, 0, 0, p->n - t.at);
	while (i < p->n_rets && p->rets[i].ret != t.at)
		i++;
	if (i == RETS_MAX)
		i = t.at % RETS_MAX;
	else if (i == p->n_rets)
		p->n_rets++;
	p->rets[i].ret = t.at;
	p->rets[i].at = emit(p, BPF_RET | BPF_K, 0, 0, t.at).at;
	return t;
}

/* If the accumulator compares with @k as @code says, to @yes, else to @no. */
static struct target emit_jump(struct program *p, unsigned code, uint32_t k, struct target yes,
			       struct target no)
{
	if (same_target(yes, no))
		return yes;
	/* each step moves the other target one further away: hence the loop */
	while (!p->full && !(is_near(p, yes) && is_near(p, no))) {
		if (!is_near(p, yes))
			yes = bring_near(p, yes);
		else
			no = bring_near(p, no);
	}
	if (p->full)
		return yes;
	return emit(p, BPF_JMP | code | BPF_K, p->n - place_of(p, yes), p->n - place_of(p, no), k);
}

static struct target emit_load(struct program *p, unsigned offset)
{
	return emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offset);
}

static unsigned low_half(unsigned arg)
{
	unsigned offset = (unsigned)offsetof(struct seccomp_data, args) + arg * 8;

	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? offset : offset + 4;
}

static unsigned high_half(unsigned arg)
{
	return low_half(arg) ^ 4; /* args are aligned to 8 */
}

/* (half & mask) == value */
static struct target emit_equal(struct program *p, unsigned offset, uint32_t mask, uint32_t value,
				struct target yes, struct target no)
{
	if (!mask || same_target(yes, no))
		return yes;
	if (mask != UINT32_MAX && !value) {
		emit_jump(p, BPF_JSET, mask, no, yes);
	} else {
		emit_jump(p, BPF_JEQ, value, yes, no);
		if (mask != UINT32_MAX)
			emit(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
	}
	return emit_load(p, offset);
}

static struct target emit_cond(struct program *p, const struct cond *c, bool wide,
			       struct target yes, struct target no)
{
	unsigned low = low_half(c->index), high = high_half(c->index);
	uint32_t vl = (uint32_t)c->value, vh = (uint32_t)(c->value >> 32);
	struct target t;

	if (same_target(yes, no))
		return yes;
	if (c->negated) {
		t = yes;
		yes = no;
		no = t;
	}
	if (c->op == OP_EQ) {
		t = emit_equal(p, low, (uint32_t)c->mask, vl, yes, no);
		return wide ? emit_equal(p, high, (uint32_t)(c->mask >> 32), vh, t, no) : t;
	}
	emit_jump(p, c->op == OP_GT ? BPF_JGT : BPF_JGE, vl, yes, no);
	t = emit_load(p, low);
	if (!wide)
		return t;
	t = emit_jump(p, BPF_JEQ, vh, t, no);
	emit_jump(p, BPF_JGT, vh, yes, t);
	return emit_load(p, high);
}

static struct target emit_clause(struct program *p, const struct clause *clause,
				 unsigned multiplexed, bool wide, struct target no)
{
	struct target yes = go_verdict(clause->ret);

	for (unsigned i = clause->n_conds; i-- > 0;)
		if (!multiplexed || clause->conds[i].index)
			yes = emit_cond(p, &clause->conds[i], wide, yes, no);
	if (multiplexed) {
		struct cond call = { .op = OP_EQ, .value = multiplexed, .mask = UINT64_MAX };

		yes = emit_cond(p, &call, wide, yes, no);
	}
	return yes;
}

static struct target emit_chain(const struct compiler *c, struct program *p, unsigned chain,
				bool wide)
{
	struct target t = go_verdict(c->default_ret);

	for (const struct link *l; chain; chain = l->earlier) {
		l = &c->links[chain];
		t = emit_clause(p, &c->clauses[l->clause], l->multiplexed, wide, t);
	}
	return t;
}

/* ---- runs, and the search for one ---- */

struct run {
	uint32_t from; /* to the next run */
	uint32_t ret;  /* the verdict, unless there is a */
	unsigned chain;
	bool wide; /* of the chain's architecture */
};

#define RUNS_MAX (2 * (WINDOW + 2 * ODD_MAX) + 8) /* two windows, when x32 follows x86_64 */

#define EXCEPTIONS_MAX 3 /* measured: more makes the way longer, fewer the program */

struct runs {
	struct run list[RUNS_MAX];
	unsigned n;
};

static void add_run(struct runs *r, uint32_t from, uint32_t ret, unsigned chain, bool wide)
{
	struct run *last = r->n ? &r->list[r->n - 1] : NULL;

	if (last && last->from == from)
		r->n--; /* what was meant to start here is empty */
	last = r->n ? &r->list[r->n - 1] : NULL;
	if (last && !chain && !last->chain && last->ret == ret)
		return;
	r->list[r->n++] = (struct run){ from, ret, chain, wide };
}

static void add_chain_run(const struct compiler *c, struct runs *r, const struct arch *a,
			  uint32_t nr, unsigned chain)
{
	if (!chain)
		add_run(r, nr, c->default_ret, 0, false);
	else if (chain & ALONE)
		add_run(r, nr, c->clauses[chain & ~ALONE].ret, 0, false);
	else
		add_run(r, nr, 0, chain, a->wide);
}

static void sort_odd(struct arch *a)
{
	for (unsigned i = 1; i < a->n_odd; i++)
		for (unsigned k = i; k && a->odd[k].nr < a->odd[k - 1].nr; k--) {
			__typeof__(a->odd[0]) t = a->odd[k];

			a->odd[k] = a->odd[k - 1];
			a->odd[k - 1] = t;
		}
}

/* All numbers from a->base to the last of 32 bits. */
static void add_arch_runs(const struct compiler *c, struct runs *r, const struct arch *a)
{
	uint32_t unknown = c->enosys && a->beyond > a->base ? SECCOMP_RET_ERRNO | ENOSYS :
							      c->default_ret;

	for (uint32_t nr = a->base; nr < a->beyond; nr++)
		add_chain_run(c, r, a, nr, a->chains[nr - a->base]);
	add_run(r, a->beyond, unknown, 0, false);
	for (unsigned i = 0; i < a->n_odd; i++) {
		add_chain_run(c, r, a, a->odd[i].nr, a->odd[i].chain);
		add_run(r, a->odd[i].nr + 1, unknown, 0, false);
	}
}

/*
 * A run with exceptions: a number or a few that stand alone in it are tested for equality, one instruction
 * each, where cutting them out would take two. Returns the index of the run after the group.
 */
static unsigned group_end(const struct runs *r, unsigned first)
{
	const struct run *main = &r->list[first];
	unsigned end = first + 1;

	while (!main->chain && end + 1 < r->n && end - first < 2 * EXCEPTIONS_MAX) {
		const struct run *alone = &r->list[end], *next = alone + 1;

		if (next->from - alone->from > 1 || next->chain || next->ret != main->ret)
			break;
		end += 2;
	}
	return end;
}

static struct target emit_run(const struct compiler *c, struct program *p, const struct run *r)
{
	return r->chain ? emit_chain(c, p, r->chain, r->wide) : go_verdict(r->ret);
}

/* Searches among groups @first to before @end, group i being the runs from groups[i] to groups[i + 1]. */
static struct target emit_search(const struct compiler *c, struct program *p,
				 const struct run *runs, const unsigned *groups, unsigned first,
				 unsigned end)
{
	struct target below, above;
	unsigned m;

	if (end - first == 1) {
		below = emit_run(c, p, &runs[groups[first]]);
		for (unsigned i = groups[first] + 1; i < groups[end]; i += 2) {
			above = emit_run(c, p, &runs[i]);
			below = emit_jump(p, BPF_JEQ, runs[i].from, above, below);
		}
		return below;
	}
	m = first + (end - first) / 2;
	above = emit_search(c, p, runs, groups, m, end);
	below = emit_search(c, p, runs, groups, first, m);
	return emit_jump(p, BPF_JGE, runs[groups[m]].from, above, below);
}

/* ---- architectures ---- */

/* Which of the architectures that a profile names can be seen by this kernel at all. */
static bool is_possible(uint32_t native, uint32_t token)
{
	switch (native) {
	case SCMP_ARCH_X86_64:
		return token == SCMP_ARCH_X86_64 || token == SCMP_ARCH_X86 ||
		       token == SCMP_ARCH_X32;
	case SCMP_ARCH_AARCH64:
		return token == SCMP_ARCH_AARCH64 || token == SCMP_ARCH_ARM;
	default:
		return true;
	}
}

/* "SCMP_ARCH_X86_64" is "x86_64" to libseccomp, and so on for all of them. */
static uint32_t arch_token(const char *name)
{
	const char *tail = str_after(name, "SCMP_ARCH_");
	char lower[32];
	size_t len = tail ? strlen(tail) : 0;

	if (!len || len >= sizeof(lower))
		return 0;
	for (size_t i = 0; i <= len; i++) {
		if (islower((unsigned char)tail[i]))
			return 0;
		lower[i] = (char)tolower((unsigned char)tail[i]);
	}
	return seccomp_arch_resolve_name(lower);
}

static void init_arch(struct arch *a, uint32_t token)
{
	const struct multiplexer none = { .nr = -1 };
	int read;

	memset(a, 0, sizeof(*a));
	a->token = token;
	a->wide = token & __AUDIT_ARCH_64BIT && token != SCMP_ARCH_MIPS64N32 &&
		  token != SCMP_ARCH_MIPSEL64N32;
	a->socketcall = a->ipc = none;
	if (token == SCMP_ARCH_X32) {
		a->base = X32_BIT;
	} else if (token != SCMP_ARCH_X86_64) {
		read = seccomp_syscall_resolve_name_arch(token, "read");
		a->base = read >= 4000 ? (uint32_t)read / 1000 * 1000 :
					 0; /* MIPS: 4000, 5000, 6000 */
		a->socketcall.nr = seccomp_syscall_resolve_name_arch(token, "socketcall");
		a->ipc.nr = seccomp_syscall_resolve_name_arch(token, "ipc");
	}
	a->beyond = a->base;
}

/* The native architecture, tokens[0], and those that the profile names. */
static int read_arch_names(const struct seccomp_spec *s, uint32_t *tokens, unsigned *n,
			   struct err *e)
{
	*n = 1;
	for (const char *const *name = s->architectures; name && *name; name++) {
		uint32_t token = arch_token(*name);
		unsigned i = 0;

		if (!token)
			return err_set(e, ERR_INVALID, "unknown architecture '%s'", *name);
		while (i < *n && tokens[i] != token)
			i++;
		if (i < *n || !is_possible(tokens[0], token))
			continue;
		if (*n == MAX_ARCHS)
			return err_set(e, ERR_INVALID, "more than %d architectures", MAX_ARCHS);
		tokens[(*n)++] = token;
	}
	return 0;
}

static const struct arch *x32_arch(const struct compiler *c)
{
	for (unsigned i = 0; i < c->n_archs; i++)
		if (c->archs[i].token == SCMP_ARCH_X32)
			return &c->archs[i];
	return NULL;
}

/* The search among the calls of @a; for x86_64 among those of x32 too, which the kernel calls x86_64. */
static struct target emit_arch(const struct compiler *c, struct program *p, const struct arch *a)
{
	const struct arch *x32 = x32_arch(c);
	unsigned groups[RUNS_MAX + 1], n = 0;
	struct runs runs;
	struct target t;

	runs.n = 0;
	add_arch_runs(c, &runs, a);
	if (a->token == SCMP_ARCH_X86_64 && x32) {
		add_arch_runs(c, &runs, x32);
	} else if (a->token == SCMP_ARCH_X86_64) {
		/* -1 is what a tracer makes of a call that it wants skipped (seccomp(2)) */
		add_run(&runs, X32_BIT, SECCOMP_RET_KILL_PROCESS, 0, false);
		add_run(&runs, UINT32_MAX, c->default_ret, 0, false);
	}
	for (unsigned i = 0; i < runs.n; i = group_end(&runs, i))
		groups[n++] = i;
	groups[n] = runs.n;
	t = emit_search(c, p, runs.list, groups, 0, n);
	return t.is_verdict ? t : emit_load(p, offsetof(struct seccomp_data, nr));
}

static int emit_program(struct compiler *c, struct program *p)
{
	struct target starts[MAX_ARCHS], t = go_verdict(SECCOMP_RET_KILL_PROCESS);

	for (unsigned i = c->n_archs; i-- > 0;)
		if (c->archs[i].token != SCMP_ARCH_X32)
			starts[i] = emit_arch(c, p, &c->archs[i]);
	for (unsigned i = c->n_archs; i-- > 0;)
		if (c->archs[i].token != SCMP_ARCH_X32)
			t = emit_jump(p, BPF_JEQ, c->archs[i].token, starts[i], t);
	if (t.is_verdict) /* whatever the architecture */
		bring_near(p, t);
	else
		emit_load(p, offsetof(struct seccomp_data, arch));
	if (p->full)
		return err_set(c->e, ERR_INVALID,
			       "the filter needs more than the %d instructions that "
			       "the kernel takes",
			       BPF_MAXINSNS);
	return 0;
}

static int read_flags(const struct compiler *c, unsigned *out)
{
	static const char *const spec_allow[] = { "SECCOMP_FILTER_FLAG_SPEC_ALLOW", NULL };
	/* no list at all: as runc, so that having a filter does not slow everything down */
	const char *const *f = c->spec->flags ? c->spec->flags : spec_allow;

	*out = c->notifies ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
	for (; *f; f++) {
		size_t i = 0;

		while (i < N_OF(flags) && !streq(*f, flags[i].name))
			i++;
		if (i == N_OF(flags))
			return err_set(c->e, ERR_INVALID, "unknown flag '%s'", *f);
		*out |= flags[i].value;
	}
	if (!c->notifies)
		*out &= ~(unsigned)
				SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV; /* EINVAL: nobody ever waits */
	else if (*out & SECCOMP_FILTER_FLAG_TSYNC)
		*out |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH; /* EINVAL without: two meanings of one result */
	return 0;
}

static int compile(struct compiler *c, struct seccomp_filter *out)
{
	struct program p;
	const struct action *action;
	struct sock_filter *insns;
	unsigned filter_flags;

	if (verdict(c->spec->default_action, &c->spec->default_errno_ret, &action, &c->default_ret,
		    c->e) < 0)
		return err_in(c->e, "defaultAction");
	if (action->ret == SECCOMP_RET_USER_NOTIF)
		return err_set(c->e, ERR_INVALID, "SCMP_ACT_NOTIFY cannot be the default action");
	c->enosys = action->refuses;
	p.n = p.n_rets = 0;
	p.full = false;
	if (read_rules(c) < 0 || read_flags(c, &filter_flags) < 0)
		return -1;
	for (unsigned i = 0; i < c->n_archs; i++) {
		add_multiplexer(c, &c->archs[i], &c->archs[i].socketcall);
		add_multiplexer(c, &c->archs[i], &c->archs[i].ipc);
		sort_odd(&c->archs[i]);
	}
	if (emit_program(c, &p) < 0)
		return -1;
	insns = malloc(p.n * sizeof(*insns));
	if (!insns)
		return err_set(c->e, ENOMEM, "cannot compile the filter");
	memcpy(insns, p.insns + BPF_MAXINSNS - p.n, p.n * sizeof(*insns));
	*out = (struct seccomp_filter){ insns, p.n, filter_flags };
	return 0;
}

int seccomp_compile_for(uint32_t native, const struct seccomp_spec *s, struct seccomp_filter *out,
			struct err *e)
{
	enum { FEW = 48 }; /* enough for what Docker and Podman write */
	struct clause few_clauses[2 * FEW], *many_clauses = NULL;
	struct cond few_conds[FEW], *many_conds = NULL;
	struct arch archs[MAX_ARCHS];
	struct link few_links[FEW] = { 0 };
	struct compiler c = { .spec = s, .e = e, .archs = archs, .links = few_links };
	uint32_t tokens[MAX_ARCHS] = { native };
	size_t n_conds = 0;
	int ret;

	if (read_arch_names(s, tokens, &c.n_archs, e) < 0)
		return -1;
	for (unsigned i = 0; i < c.n_archs; i++)
		init_arch(&archs[i], tokens[i]);
	for (size_t i = 0; i < s->n_rules; i++)
		n_conds += s->rules[i].n_args;
	if (s->n_rules + n_conds > INDEX_MAX)
		return err_set(e, ERR_INVALID, "more than %u rules and conditions", INDEX_MAX);
	c.clauses = few_clauses;
	c.conds = few_conds;
	c.n_links = 1;
	c.max_links = FEW;
	if (s->n_rules > FEW || n_conds > FEW) {
		c.clauses = many_clauses = malloc((s->n_rules + n_conds) * sizeof(*c.clauses));
		c.conds = many_conds = malloc((n_conds + 1) * sizeof(*c.conds));
		if (!c.clauses || !c.conds) {
			free(many_clauses);
			free(many_conds);
			return err_set(e, ENOMEM, "cannot compile the filter");
		}
	}
	ret = compile(&c, out);
	free(many_clauses);
	free(many_conds);
	free(c.many_links);
	return ret;
}

int seccomp_compile(const struct seccomp_spec *s, struct seccomp_filter *out, struct err *e)
{
	return seccomp_compile_for(seccomp_arch_native(), s, out, e);
}

int seccomp_install(const struct seccomp_filter *f, int *listener, struct err *e)
{
	struct sock_fprog prog = { .len = (unsigned short)f->n, .filter = f->insns };
	long ret = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, f->flags, &prog);

	if (ret < 0)
		return err_set(e, errno, "cannot install the seccomp filter");
	if (ret > 0 && !(f->flags & SECCOMP_FILTER_FLAG_NEW_LISTENER))
		return err_set(e, ESRCH, "cannot install the seccomp filter for thread %ld", ret);
	*listener = f->flags & SECCOMP_FILTER_FLAG_NEW_LISTENER ? (int)ret : -1;
	return 0;
}

const char *seccomp_arch_name(size_t i)
{
	static const char *const names[] = {
		"SCMP_ARCH_X86_64",   "SCMP_ARCH_X86",	       "SCMP_ARCH_X32",
		"SCMP_ARCH_AARCH64",  "SCMP_ARCH_ARM",	       "SCMP_ARCH_MIPS",
		"SCMP_ARCH_MIPS64",   "SCMP_ARCH_MIPS64N32",   "SCMP_ARCH_MIPSEL",
		"SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",
		"SCMP_ARCH_PPC64",    "SCMP_ARCH_PPC64LE",     "SCMP_ARCH_RISCV64",
		"SCMP_ARCH_S390",     "SCMP_ARCH_S390X",       "SCMP_ARCH_PARISC",
		"SCMP_ARCH_PARISC64",
	};

	return i < N_OF(names) ? names[i] : NULL;
}

const char *seccomp_flag_name(size_t i)
{
	return i < N_OF(flags) ? flags[i].name : NULL;
}

/* Flags are looked at before the program is: EFAULT says that they were accepted (runc, libseccomp). */
bool seccomp_flag_supported(size_t i)
{
	unsigned flag = flags[i].value;

	if (flag == SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
		flag |= SECCOMP_FILTER_FLAG_NEW_LISTENER; /* taken only together */
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flag, NULL) < 0 && errno == EFAULT;
}
