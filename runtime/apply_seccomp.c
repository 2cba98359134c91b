/*
 * The compiler works in three passes. Rules become clauses: an action and the conditions that must all
 * hold. For each architecture, names become numbers, and each number a chain of clauses in the order of
 * the rules; neighbouring numbers with one verdict become a run. Then the program is written, from its
 * end to its beginning: every jump of classic BPF goes forward, so that its target is known when it is
 * written, and a target more than 255 instructions away is repeated (a return) or given a stepping stone
 * (an unconditional jump, which has 32 bits).
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

static const struct operator {
	const char *name;
	enum op op;
	bool negated, masked;
} operators[] = {
	{ "SCMP_CMP_EQ", OP_EQ, false, false }, { "SCMP_CMP_NE", OP_EQ, true, false },
	{ "SCMP_CMP_GT", OP_GT, false, false }, { "SCMP_CMP_LE", OP_GT, true, false },
	{ "SCMP_CMP_GE", OP_GE, false, false }, { "SCMP_CMP_LT", OP_GE, true, false },
	{ "SCMP_CMP_MASKED_EQ", OP_EQ, false, true },
};

static const struct word flags[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC },
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV },
};

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

/*
 * Calls newer than libseccomp 2.5.4 of Debian 12. Since Linux 5.1 a new call has one number on all
 * architectures; the MIPS ones and x32 add their base.
 */
static const struct word newer_calls[] = {
	{ "cachestat", 451 },	     { "fchmodat2", 452 },	 { "map_shadow_stack", 453 },
	{ "futex_wake", 454 },	     { "futex_wait", 455 },	 { "futex_requeue", 456 },
	{ "statmount", 457 },	     { "listmount", 458 },	 { "lsm_get_self_attr", 459 },
	{ "lsm_set_self_attr", 460 }, { "lsm_list_modules", 461 }, { "mseal", 462 },
	{ "setxattrat", 463 },	     { "getxattrat", 464 },	 { "listxattrat", 465 },
	{ "removexattrat", 466 },     { "open_tree_attr", 467 },	 { "file_getattr", 468 },
	{ "file_setattr", 469 },
};

/*
 * The direct numbers on i386 (Linux 4.3 and 5.1) of what used to go through socketcall and ipc. For these
 * names libseccomp answers with a pseudo number: -100 less the call's number for socketcall, -200 for ipc.
 */
static const struct {
	int pseudo, direct;
} i386_direct[] = {
	{ -101, 359 }, { -102, 361 }, { -103, 362 }, { -104, 363 }, { -106, 367 }, { -107, 368 },
	{ -108, 360 }, { -111, 369 }, { -112, 371 }, { -113, 373 }, { -114, 366 }, { -115, 365 },
	{ -116, 370 }, { -117, 372 }, { -118, 364 }, { -119, 337 }, { -120, 345 }, { -202, 393 },
	{ -203, 394 }, { -211, 400 }, { -212, 401 }, { -213, 399 }, { -214, 402 }, { -221, 397 },
	{ -222, 398 }, { -223, 395 }, { -224, 396 },
};

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
	struct clause *clauses;	 /* of all rules in turn */
	unsigned *rule_clauses;	 /* index of the first clause of each rule; one more at the end */
	struct cond *conds;
	struct link *links; /* of the architecture at hand */
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
		return err_set(e, ERR_INVALID, "unknown seccomp action '%s'", name ? name : "");
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
		return err_set(e, ERR_INVALID, "there is no argument %u: the last one is 5", a->index);
	for (size_t i = 0; a->op && i < N_OF(operators); i++) {
		const struct operator *o = &operators[i];

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

static int read_rule(struct compiler *c, const struct seccomp_rule *r, unsigned *n_clauses,
		     unsigned *n_conds, struct err *e)
{
	const struct action *action;
	struct clause *clause = &c->clauses[*n_clauses];
	struct cond *conds = &c->conds[*n_conds];
	uint32_t ret;

	if (verdict(r->action, &r->errno_ret, &action, &ret, e) < 0)
		return -1;
	for (const char *const *name = r->names; name && *name; name++) {
		if (!**name)
			return err_set(e, ERR_INVALID, "an empty name is no system call");
		if (action->ret == SECCOMP_RET_USER_NOTIF && streq(*name, "write"))
			return err_set(e, ERR_INVALID, "SCMP_ACT_NOTIFY cannot be used for 'write'");
	}
	c->notifies |= action->ret == SECCOMP_RET_USER_NOTIF;
	for (size_t i = 0; i < r->n_args; i++)
		if (read_cond(&r->args[i], &conds[i], e) < 0)
			return err_in(e, "args[%zu]", i);
	if (tests_one_twice(r)) {
		for (size_t i = 0; i < r->n_args; i++)
			*clause++ = (struct clause){ ret, 1, &conds[i] };
	} else {
		*clause++ = (struct clause){ ret, (unsigned)r->n_args, conds };
	}
	*n_clauses = (unsigned)(clause - c->clauses);
	*n_conds += (unsigned)r->n_args;
	return 0;
}

static int read_rules(struct compiler *c, struct err *e)
{
	const struct seccomp_spec *s = c->spec;
	size_t n_conds = 0;
	unsigned clauses = 0, conds = 0;

	for (size_t i = 0; i < s->n_rules; i++)
		n_conds += s->rules[i].n_args;
	if (s->n_rules > UINT32_MAX / 4 || n_conds > UINT32_MAX / 4)
		return err_set(e, ERR_INVALID, "too many rules");
	c->clauses = malloc((s->n_rules + n_conds + 1) * sizeof(*c->clauses));
	c->rule_clauses = malloc((s->n_rules + 1) * sizeof(*c->rule_clauses));
	c->conds = malloc((n_conds + 1) * sizeof(*c->conds));
	if (!c->clauses || !c->rule_clauses || !c->conds)
		return err_set(e, ENOMEM, "cannot compile");
	for (size_t i = 0; i < s->n_rules; i++) {
		c->rule_clauses[i] = clauses;
		if (read_rule(c, &s->rules[i], &clauses, &conds, e) < 0)
			return err_in(e, "syscalls[%zu]", i);
	}
	c->rule_clauses[s->n_rules] = clauses;
	return 0;
}

/* ---- clauses to chains, one for each number ---- */

/*
 * A link of the chain of one system call. A generated link, of socketcall or ipc, tests argument 0 for the
 * multiplexed call instead of whatever its clause tests there. The chain ends with its first unconditional
 * link. Index 0 is no link.
 */
struct link {
	unsigned clause, next;
	unsigned multiplexed; /* 0: not */
};

struct chain {
	unsigned first, last;
};

#define WINDOW	1024 /* numbers from `base` on that have a chain by index */
#define ODD_MAX 16   /* and those beyond: ARM has six */

struct arch {
	uint32_t token; /* libseccomp's */
	uint32_t audit; /* the kernel's: that of x86_64 for x32 */
	uint32_t base;
	bool wide;	 /* arguments are compared with all 64 bits */
	uint32_t beyond; /* one more than the newest call in the window that a rule names; base: none */
	struct chain chains[WINDOW];
	struct {
		uint32_t nr;
		struct chain chain;
	} odd[ODD_MAX];
	unsigned n_odd;
	/* the multiplexers, and the generated links that follow those of rules that name them */
	struct multiplexer {
		int nr; /* negative: there is none */
		struct chain chain;
	} socketcall, ipc;
};

static bool conditional(const struct compiler *c, const struct link *l)
{
	return l->multiplexed || c->clauses[l->clause].n_conds;
}

static int chain_add(struct compiler *c, struct chain *chain, unsigned clause, unsigned multiplexed)
{
	if (chain->last && !conditional(c, &c->links[chain->last]))
		return 0;
	if (c->n_links >= c->max_links) {
		unsigned max = c->max_links ? c->max_links * 2 : 512;
		struct link *links = realloc(c->links, max * sizeof(*links));

		if (!links)
			return err_set(c->e, ENOMEM, "cannot compile");
		c->links = links;
		c->max_links = max;
	}
	c->links[c->n_links] = (struct link){ .clause = clause, .multiplexed = multiplexed };
	if (chain->last)
		c->links[chain->last].next = c->n_links;
	else
		chain->first = c->n_links;
	chain->last = c->n_links++;
	return 0;
}

static struct chain *chain_of(struct arch *a, uint32_t nr)
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

static bool is_socket_call(int nr)
{
	return nr <= -100 && nr >= -120;
}

static bool is_ipc_call(int nr)
{
	return nr <= -200 && nr >= -224;
}

/* The number by which a multiplexed call can be reached directly, or -1. */
static int direct_number(const struct arch *a, int pseudo, const char *name)
{
	if (a->token == SCMP_ARCH_X86) {
		for (size_t i = 0; i < N_OF(i386_direct); i++)
			if (i386_direct[i].pseudo == pseudo)
				return i386_direct[i].direct;
		return -1;
	}
	for (uint32_t nr = a->base; nr < a->base + 512; nr++) {
		auto_free char *known = seccomp_syscall_resolve_num_arch(a->token, (int)nr);

		if (known && streq(known, name))
			return (int)nr;
	}
	return -1;
}

/* The number of @name: negative when this architecture has none; *@known says if any architecture has. */
static int number_of(const struct arch *a, const char *name, bool *known)
{
	int nr = seccomp_syscall_resolve_name_arch(a->token, name);

	*known = true;
	if (nr != __NR_SCMP_ERROR)
		return nr;
	for (size_t i = 0; i < N_OF(newer_calls); i++)
		if (streq(name, newer_calls[i].name))
			return (int)(newer_calls[i].value + a->base);
	*known = false;
	return -1;
}

static int add_number(struct compiler *c, struct arch *a, uint32_t nr, size_t rule)
{
	struct chain *chain = chain_of(a, nr);

	if (!chain)
		return err_set(c->e, ERR_NOT_SUPPORTED, "too many system calls with numbers over %u",
			       a->base + WINDOW);
	if (nr - a->base < WINDOW && nr >= a->beyond)
		a->beyond = nr + 1;
	for (unsigned i = c->rule_clauses[rule]; i < c->rule_clauses[rule + 1]; i++)
		if (chain_add(c, chain, i, 0) < 0)
			return -1;
	return 0;
}

static int add_multiplexed(struct compiler *c, struct arch *a, int pseudo, const char *name, size_t rule)
{
	struct multiplexer *m = is_socket_call(pseudo) ? &a->socketcall : &a->ipc;
	unsigned call = (unsigned)-pseudo % (is_socket_call(pseudo) ? 100 : 200);
	int direct;

	if (m->nr < 0) /* a call that other architectures have */
		return 0;
	for (unsigned i = c->rule_clauses[rule]; i < c->rule_clauses[rule + 1]; i++)
		if (chain_add(c, &m->chain, i, call) < 0)
			return -1;
	direct = direct_number(a, pseudo, name);
	return direct < 0 ? 0 : add_number(c, a, (uint32_t)direct, rule);
}

static int add_name(struct compiler *c, struct arch *a, const char *name, size_t rule, bool tell)
{
	bool known;
	int nr = number_of(a, name, &known);

	if (!known && tell)
		log_debug("unknown seccomp syscall '%s' ignored", name);
	if (is_socket_call(nr) || is_ipc_call(nr))
		return add_multiplexed(c, a, nr, name, rule);
	if (nr < 0)
		return 0;
	return add_number(c, a, (uint32_t)nr, rule);
}

/* Hangs the generated links behind those of rules that name the multiplexer. */
static void add_generated(struct compiler *c, struct arch *a, const struct multiplexer *m)
{
	struct chain *chain = m->chain.first ? chain_of(a, (uint32_t)m->nr) : NULL;

	if (!chain || (chain->last && !conditional(c, &c->links[chain->last])))
		return;
	if (chain->last)
		c->links[chain->last].next = m->chain.first;
	else
		chain->first = m->chain.first;
	chain->last = m->chain.last;
	if ((uint32_t)m->nr >= a->beyond)
		a->beyond = (uint32_t)m->nr + 1;
}

static int read_arch(struct compiler *c, struct arch *a, bool tell)
{
	for (size_t i = 0; i < c->spec->n_rules; i++)
		for (const char *const *n = c->spec->rules[i].names; n && *n; n++)
			if (add_name(c, a, *n, i, tell) < 0)
				return -1;
	add_generated(c, a, &a->socketcall);
	add_generated(c, a, &a->ipc);
	return 0;
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
	struct sock_filter *insns; /* BPF_MAXINSNS of them, filled from the end */
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

static void emit_load(struct program *p, unsigned offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offset);
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
	emit_load(p, offset);
	return (struct target){ false, p->n };
}

static struct target emit_cond(struct program *p, const struct cond *c, bool wide, struct target yes,
			       struct target no)
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
	emit_load(p, low);
	if (!wide)
		return (struct target){ false, p->n };
	t = emit_jump(p, BPF_JEQ, vh, (struct target){ false, p->n }, no);
	emit_jump(p, BPF_JGT, vh, yes, t);
	emit_load(p, high);
	return (struct target){ false, p->n };
}

static struct target emit_clause(struct program *p, const struct clause *clause, unsigned multiplexed,
				 bool wide, struct target no)
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

/* The chain of a call: its last link's test is written first, and fails into the default action. */
static struct target emit_chain(struct compiler *c, struct program *p, bool wide, unsigned first)
{
	struct target t = go_verdict(c->default_ret);
	unsigned previous = 0, l = first;

	while (l) { /* turn the chain round; it is not needed again */
		unsigned next = c->links[l].next;

		c->links[l].next = previous;
		previous = l;
		l = next;
	}
	for (l = previous; l; l = c->links[l].next) {
		const struct link *link = &c->links[l];

		t = emit_clause(p, &c->clauses[link->clause], link->multiplexed, wide, t);
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

static void add_chain_run(struct compiler *c, struct runs *r, const struct arch *a, uint32_t nr,
			  unsigned first)
{
	if (!first)
		add_run(r, nr, c->default_ret, 0, false);
	else if (conditional(c, &c->links[first]))
		add_run(r, nr, 0, first, a->wide);
	else
		add_run(r, nr, c->clauses[c->links[first].clause].ret, 0, false);
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
static void add_arch_runs(struct compiler *c, struct runs *r, struct arch *a)
{
	uint32_t unknown = c->enosys && a->beyond > a->base ? SECCOMP_RET_ERRNO | ENOSYS : c->default_ret;

	sort_odd(a);
	for (uint32_t nr = a->base; nr < a->beyond; nr++)
		add_chain_run(c, r, a, nr, a->chains[nr - a->base].first);
	add_run(r, a->beyond, unknown, 0, false);
	for (unsigned i = 0; i < a->n_odd; i++) {
		add_chain_run(c, r, a, a->odd[i].nr, a->odd[i].chain.first);
		add_run(r, a->odd[i].nr + 1, unknown, 0, false);
	}
}

static struct target emit_search(struct compiler *c, struct program *p, const struct run *runs,
				 unsigned first, unsigned end)
{
	struct target below, above;
	unsigned m;

	if (end - first == 1) {
		if (!runs[first].chain)
			return go_verdict(runs[first].ret);
		return emit_chain(c, p, runs[first].wide, runs[first].chain);
	}
	m = first + (end - first) / 2;
	above = emit_search(c, p, runs, m, end);
	below = emit_search(c, p, runs, first, m);
	return emit_jump(p, BPF_JGE, runs[m].from, above, below);
}

/* ---- architectures ---- */

/* Which of the architectures that a profile names can be seen by this kernel at all. */
static bool is_possible(uint32_t token)
{
	switch (seccomp_arch_native()) {
	case SCMP_ARCH_X86_64:
		return token == SCMP_ARCH_X86_64 || token == SCMP_ARCH_X86 || token == SCMP_ARCH_X32;
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

/* The native architecture first: its calls are the most frequent. */
static int read_archs(const struct seccomp_spec *s, uint32_t *tokens, unsigned *n, struct err *e)
{
	tokens[0] = seccomp_arch_native();
	*n = 1;
	for (const char *const *name = s->architectures; name && *name; name++) {
		uint32_t token = arch_token(*name);
		unsigned i = 0;

		if (!token)
			return err_set(e, ERR_INVALID, "unknown seccomp architecture '%s'", *name);
		while (i < *n && tokens[i] != token)
			i++;
		if (i < *n || !is_possible(token))
			continue;
		if (*n == MAX_ARCHS)
			return err_set(e, ERR_INVALID, "too many seccomp architectures");
		tokens[(*n)++] = token;
	}
	return 0;
}

static void init_arch(struct arch *a, uint32_t token)
{
	int read = seccomp_syscall_resolve_name_arch(token, "read");

	memset(a, 0, sizeof(*a));
	a->token = token;
	a->audit = token == SCMP_ARCH_X32 ? AUDIT_ARCH_X86_64 : token;
	a->wide = token & __AUDIT_ARCH_64BIT && token != SCMP_ARCH_MIPS64N32 &&
		  token != SCMP_ARCH_MIPSEL64N32;
	/* x32 has a bit of its own; the MIPS ABIs count from 4000, 5000 and 6000 */
	a->base = token == SCMP_ARCH_X32 ? X32_BIT : read >= 4000 ? (uint32_t)read / 1000 * 1000 : 0;
	a->beyond = a->base;
	a->socketcall.nr = seccomp_syscall_resolve_name_arch(token, "socketcall");
	a->ipc.nr = seccomp_syscall_resolve_name_arch(token, "ipc");
}

/* What an architecture needs while it is compiled. */
struct work {
	struct arch arch;
	struct runs runs;
};

static int add_runs_of(struct compiler *c, struct work *w, uint32_t token, bool tell)
{
	init_arch(&w->arch, token);
	if (read_arch(c, &w->arch, tell) < 0)
		return -1;
	add_arch_runs(c, &w->runs, &w->arch);
	return 0;
}

/* The search for calls of architecture @token, to be entered with the number not yet loaded. */
static int emit_arch(struct compiler *c, struct program *p, struct work *w, uint32_t token, bool tell,
		     bool with_x32, struct target *start)
{
	w->runs.n = 0;
	c->n_links = 1;
	if (add_runs_of(c, w, token, tell) < 0)
		return -1;
	if (with_x32 && add_runs_of(c, w, SCMP_ARCH_X32, false) < 0)
		return -1;
	if (token == SCMP_ARCH_X86_64 && !with_x32) {
		/* -1 is what a tracer makes of a call that it wants skipped (seccomp(2)) */
		add_run(&w->runs, X32_BIT, SECCOMP_RET_KILL_PROCESS, 0, false);
		add_run(&w->runs, UINT32_MAX, c->default_ret, 0, false);
	}
	*start = emit_search(c, p, w->runs.list, 0, w->runs.n);
	if (!start->is_verdict) {
		emit_load(p, offsetof(struct seccomp_data, nr));
		start->at = p->n;
	}
	return 0;
}

static int emit_program(struct compiler *c, struct program *p, struct err *e)
{
	struct target starts[MAX_ARCHS], t = go_verdict(SECCOMP_RET_KILL_PROCESS);
	auto_free struct work *w = malloc(sizeof(*w));
	uint32_t tokens[MAX_ARCHS];
	bool with_x32 = false;
	unsigned n;

	if (!w)
		return err_set(e, ENOMEM, "cannot compile");
	if (read_archs(c->spec, tokens, &n, e) < 0)
		return -1;
	for (unsigned i = 0; i < n; i++)
		with_x32 |= tokens[i] == SCMP_ARCH_X32;
	for (unsigned i = n; i-- > 0;)
		if (tokens[i] != SCMP_ARCH_X32 &&
		    emit_arch(c, p, w, tokens[i], i == 0, with_x32 && tokens[i] == SCMP_ARCH_X86_64,
			      &starts[i]) < 0)
			return -1;
	for (unsigned i = n; i-- > 0;)
		if (tokens[i] != SCMP_ARCH_X32)
			t = emit_jump(p, BPF_JEQ, tokens[i], starts[i], t);
	emit_load(p, offsetof(struct seccomp_data, arch));
	if (p->full)
		return err_set(e, ERR_INVALID, "the filter needs more than the %d instructions that the "
					       "kernel takes", BPF_MAXINSNS);
	return 0;
}

static int read_flags(const struct compiler *c, unsigned *out, struct err *e)
{
	static const char *const spec_allow[] = { "SECCOMP_FILTER_FLAG_SPEC_ALLOW", NULL };
	/* no list at all: as runc, so that a filter alone does not slow everything down */
	const char *const *f = c->spec->flags ? c->spec->flags : spec_allow;

	*out = c->notifies ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
	for (; *f; f++) {
		size_t i = 0;

		while (i < N_OF(flags) && !streq(*f, flags[i].name))
			i++;
		if (i == N_OF(flags))
			return err_set(e, ERR_INVALID, "unknown seccomp flag '%s'", *f);
		*out |= flags[i].value;
	}
	if (!c->notifies)
		*out &= ~SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV; /* EINVAL: nobody ever waits */
	else if (*out & SECCOMP_FILTER_FLAG_TSYNC)
		*out |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH; /* EINVAL without: two kinds of results */
	return 0;
}

static int compile(struct compiler *c, struct seccomp_filter *out, struct err *e)
{
	auto_free struct sock_filter *insns = malloc(BPF_MAXINSNS * sizeof(*insns));
	struct program p = { .insns = insns };
	const struct action *action;
	unsigned filter_flags;

	if (!insns)
		return err_set(e, ENOMEM, "cannot compile");
	if (verdict(c->spec->default_action, &c->spec->default_errno_ret, &action, &c->default_ret, e) < 0)
		return err_in(e, "defaultAction");
	if (action->ret == SECCOMP_RET_USER_NOTIF)
		return err_set(e, ERR_INVALID, "SCMP_ACT_NOTIFY cannot be the default action");
	c->enosys = action->refuses;
	if (read_rules(c, e) < 0 || read_flags(c, &filter_flags, e) < 0 || emit_program(c, &p, e) < 0)
		return -1;
	memmove(insns, insns + BPF_MAXINSNS - p.n, p.n * sizeof(*insns));
	*out = (struct seccomp_filter){ take_ptr(insns), p.n, filter_flags };
	return 0;
}

int seccomp_compile(const struct seccomp_spec *s, struct seccomp_filter *out, struct err *e)
{
	struct compiler c = { .spec = s, .e = e };
	int ret = compile(&c, out, e);

	free(c.clauses);
	free(c.rule_clauses);
	free(c.conds);
	free(c.links);
	return ret < 0 ? err_in(e, "seccomp") : 0;
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
