/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a seccomp spec: refused with a message, or a program that the kernel would take and that gives the
 * verdicts of the model, on the calls that the spec names, their neighbours and some others.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/seccomp.h"
#include "runtime/syscalls.h"
#include "tests/seccomp_model.h"

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

static const char *const actions[] = { "SCMP_ACT_ALLOW",
				       "SCMP_ACT_ERRNO",
				       "SCMP_ACT_KILL",
				       "SCMP_ACT_TRAP",
				       "SCMP_ACT_TRACE",
				       "SCMP_ACT_LOG",
				       "SCMP_ACT_NOTIFY",
				       "SCMP_ACT_KILL_PROCESS",
				       "SCMP_ACT_KILL_THREAD",
				       "SCMP_ACT_",
				       NULL };
static const char *const ops[] = {
	"SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT",	    "SCMP_CMP_LE",
	"SCMP_CMP_GT", "SCMP_CMP_GE", "SCMP_CMP_MASKED_EQ", "",
	NULL
};
static const char *const archs[] = { "SCMP_ARCH_X86",	  "SCMP_ARCH_X32",   "SCMP_ARCH_X86_64",
				     "SCMP_ARCH_AARCH64", "SCMP_ARCH_S390X", "SCMP_ARCH_I386" };
static const char *const flags[] = { "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
				     "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
				     "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
				     "SECCOMP_FILTER_FLAG_X" };
static const char *const odd_names[] = { "no_such_call", "set_tls",    "breakpoint", "",
					 "Read",	 "swapcontext" };

struct input {
	const unsigned char *at, *end;
};

static unsigned byte(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static uint64_t number(struct input *in)
{
	unsigned kind = byte(in), n = kind & 7;
	uint64_t v = 0;

	for (unsigned i = 0; i <= n; i++)
		v = v << 8 | byte(in);
	return kind & 8 ? ~v : kind & 16 ? v << 32 : v;
}

/* Of few values, most of the time one that is there: with errors everywhere nothing is compiled. */
static const char *pick(struct input *in, const char *const *list, size_t n, size_t n_good)
{
	unsigned b = byte(in);

	return b >= 250 ? list[n_good + b % (n - n_good)] : list[b % n_good];
}

static const char *const *some(struct input *in, struct arena *a, const char *const *list, size_t n)
{
	unsigned mask = byte(in);
	const char **v = arena_array(a, n + 1, sizeof(*v));
	size_t k = 0;

	assert(v);
	for (size_t i = 0; i < n; i++)
		if (mask >> i & 1)
			v[k++] = list[i];
	return mask & 0x80 ? NULL : v;
}

static struct opt_u64 some_errno(struct input *in)
{
	unsigned b = byte(in);

	if (b < 200)
		return (struct opt_u64){ 0 };
	return (struct opt_u64){ true, b < 240 ? b : number(in) };
}

static void read_rule(struct input *in, struct arena *a, struct seccomp_rule *r)
{
	size_t n = byte(in) % 6;
	const char **names = arena_array(a, n + 1, sizeof(*names));

	assert(names);
	for (size_t i = 0; i < n; i++) {
		size_t k = byte(in) << 8 | byte(in);

		names[i] = k >= 0xff00 ? odd_names[k % N_OF(odd_names)] :
					 syscall_table[k % syscall_table_size].name;
	}
	r->names = names;
	r->action = pick(in, actions, N_OF(actions), N_OF(actions) - 2);
	if (r->action && (strcmp(r->action, "SCMP_ACT_ERRNO") == 0 || !(byte(in) % 64)))
		r->errno_ret = some_errno(in);
	n = byte(in) % 8;
	r->n_args = n < 4 ? n : 0;
	r->args = arena_array(a, r->n_args + 1, sizeof(*r->args));
	assert(r->args);
	for (size_t i = 0; i < r->n_args; i++) {
		n = byte(in);
		r->args[i].index = n >= 250 ? (unsigned)n : (unsigned)n % 6;
		r->args[i].op = pick(in, ops, N_OF(ops), N_OF(ops) - 2);
		r->args[i].value = number(in);
		r->args[i].value_two = number(in);
	}
}

static void read_spec(struct input *in, struct arena *a, struct seccomp_spec *s)
{
	s->default_action = pick(in, actions, N_OF(actions), N_OF(actions) - 2);
	if (s->default_action && strcmp(s->default_action, "SCMP_ACT_ERRNO") == 0)
		s->default_errno_ret = some_errno(in);
	s->architectures = some(in, a, archs, N_OF(archs));
	s->flags = some(in, a, flags, N_OF(flags));
	s->rules = arena_array(a, 64, sizeof(*s->rules));
	assert(s->rules);
	while (in->at < in->end && s->n_rules < 64)
		read_rule(in, a, &s->rules[s->n_rules++]);
}

static bool lists(const struct seccomp_spec *s, const char *arch)
{
	for (const char *const *n = s->architectures; n && *n; n++)
		if (strcmp(*n, arch) == 0)
			return true;
	return false;
}

static void check_call(const struct seccomp_spec *s, const struct seccomp_filter *f, int arch,
		       uint32_t nr, const uint64_t *args)
{
	struct seccomp_data d = { .nr = (int)nr,
				  .arch = arch == 1 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64 };
	uint32_t want = SECCOMP_RET_KILL_PROCESS;
	uint64_t have[6];

	for (int i = 0; i < 6; i++)
		d.args[i] = have[i] = arch == 1 ? (uint32_t)args[i] : args[i];
	if (arch == 2)
		d.nr = (int)(nr | MODEL_X32);
	if (arch == 0 || lists(s, archs[arch - 1]))
		want = model_eval(s, arch, nr, have);
	assert(model_run(f->insns, &d) == want);
}

/* Arguments near the values that @r compares with. */
static void check_rule(const struct seccomp_spec *s, const struct seccomp_filter *f,
		       const struct seccomp_rule *r, uint32_t seed)
{
	for (const char *const *n = r->names; *n; n++)
		for (int arch = 0; arch < MODEL_ARCHS; arch++) {
			int direct, through, call;

			model_numbers(arch, *n, &direct, &through, &call);
			for (unsigned k = 0; k < 6; k++) {
				uint64_t args[6] = { seed, k, ~0ull, 1ull << 32, 0, seed };

				for (size_t i = 0; i < r->n_args; i++) {
					uint64_t v = seed & 1 ? r->args[i].value :
								r->args[i].value_two;

					seed = seed * 1103515245 + 12345;
					v += seed >> 16 & 3;
					args[r->args[i].index] =
						seed >> 20 & 1 ? v - 2 : v ^ (uint64_t)k << 32;
				}
				if (direct >= 0) {
					check_call(s, f, arch, (uint32_t)direct, args);
					check_call(s, f, arch, (uint32_t)direct + 1, args);
				}
				args[0] = k % 3 ? (uint64_t)call : k;
				if (through >= 0)
					check_call(s, f, arch, (uint32_t)through, args);
			}
		}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	auto_arena struct arena *a = arena_new(1 << 20);
	auto_seccomp_filter struct seccomp_filter f = { 0 };
	struct input in = { data, data + size };
	const uint64_t none[6] = { 0 };
	struct seccomp_spec s = { 0 };
	struct err e = { 0 };

	if (!a || seccomp_arch_native() != SCMP_ARCH_X86_64)
		return 0;
	read_spec(&in, a, &s);
	if (seccomp_compile(&s, &f, &e) < 0) {
		assert(e.code && *e.msg && !f.insns);
		return 0;
	}
	assert(!model_check(f.insns, f.n));
	for (size_t i = 0; i < s.n_rules; i++)
		check_rule(&s, &f, &s.rules[i], (uint32_t)size);
	for (uint32_t nr = (uint32_t)size % 7; nr < 600; nr += 37)
		for (int arch = 0; arch < MODEL_ARCHS; arch++)
			check_call(&s, &f, arch, nr, none);
	return 0;
}
