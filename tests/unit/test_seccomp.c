/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/seccomp.h"
#include "runtime/syscalls.h"
#include "tests/seccomp_model.h"

#define N_OF(a)	   (sizeof(a) / sizeof((a)[0]))
#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define ARGS(...)                                      \
	.args = (struct seccomp_arg[]){ __VA_ARGS__ }, \
	.n_args = N_OF(((struct seccomp_arg[]){ __VA_ARGS__ }))
#define RULES(...)                                       \
	.rules = (struct seccomp_rule[]){ __VA_ARGS__ }, \
	.n_rules = N_OF(((struct seccomp_rule[]){ __VA_ARGS__ }))
#define ALLOW	   "SCMP_ACT_ALLOW"
#define ERRNO	   "SCMP_ACT_ERRNO"
#define RET(n)	   (SECCOMP_RET_ERRNO | (n))
#define ENOSYS_RET RET(ENOSYS)
#define ALL_CAPS   UINT64_MAX

static const char *const x86_archs[] = { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32",
					 NULL };
static const uint32_t audit[MODEL_ARCHS] = { AUDIT_ARCH_X86_64, AUDIT_ARCH_I386,
					     AUDIT_ARCH_X86_64 };

enum { X86_64, I386, X32 };

/* Most of what follows speaks of x86. */
static void need_x86(void)
{
	if (seccomp_arch_native() != SCMP_ARCH_X86_64)
		SKIP("written for x86_64");
}

static struct seccomp_filter compiled(const struct seccomp_spec *s)
{
	struct seccomp_filter f = { 0 };
	struct err e;

	if (seccomp_compile(s, &f, &e) < 0)
		FAIL("%s", e.msg);
	if (model_check(f.insns, f.n))
		FAIL("not a program: %s", model_check(f.insns, f.n));
	return f;
}

static uint32_t verdict_of(const struct seccomp_filter *f, int arch, uint32_t nr,
			   const uint64_t *args)
{
	struct seccomp_data d = { .nr = (int)(nr | (arch == X32 ? MODEL_X32 : 0)),
				  .arch = audit[arch] };

	memcpy(d.args, args, sizeof(d.args));
	return model_run(f->insns, &d);
}

/* The verdict on a call by name; on i386 by its direct number. */
static uint32_t on_call(const struct seccomp_filter *f, int arch, const char *name, uint64_t a0,
			uint64_t a1, uint64_t a2)
{
	uint64_t args[6] = { a0, a1, a2 };
	int direct, through, call;

	model_numbers(arch, name, &direct, &through, &call);
	if (direct < 0)
		FAIL("%s has no number on architecture %d", name, arch);
	return verdict_of(f, arch, (uint32_t)direct, args);
}

static bool among(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (streq(list[i], name))
			return true;
	return false;
}

/* Values around those that the spec compares with, where comparisons go wrong. */
struct samples {
	uint64_t v[2000];
	size_t n;
};

static void add_sample(struct samples *s, uint64_t v)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i] == v)
			return;
	if (s->n < N_OF(s->v))
		s->v[s->n++] = v;
}

static void add_samples_near(struct samples *s, uint64_t v)
{
	add_sample(s, v);
	add_sample(s, v - 1);
	add_sample(s, v + 1);
	add_sample(s, v ^ 1ull << 32);
	add_sample(s, v + (1ull << 32));
	add_sample(s, v & UINT32_MAX);
	add_sample(s, v << 32);
	add_sample(s, ~v);
}

static void take_samples(const struct seccomp_spec *spec, struct samples *s)
{
	s->n = 0;
	add_samples_near(s, 0);
	for (size_t i = 0; i < spec->n_rules; i++)
		for (size_t k = 0; k < spec->rules[i].n_args; k++) {
			add_samples_near(s, spec->rules[i].args[k].value);
			add_samples_near(s, spec->rules[i].args[k].value_two);
		}
}

/* The same ones each time: a failure can be repeated. */
static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

static bool tests_arguments(const struct seccomp_spec *s, int arch, uint32_t nr)
{
	int direct, through, call;

	for (size_t i = 0; i < s->n_rules; i++)
		for (const char *const *n = s->rules[i].names; n && *n; n++) {
			model_numbers(arch, *n, &direct, &through, &call);
			if ((direct == (int)nr && s->rules[i].n_args) || through == (int)nr)
				return true;
		}
	return false;
}

/* Compares @f with @want over all numbers of each architecture of @archs (bits), and samples of arguments. */
static void compare(const struct seccomp_spec *s, const struct seccomp_filter *f, unsigned archs,
		    unsigned tries, uint32_t (*want)(const void *, int, uint32_t, const uint64_t *),
		    const void *with)
{
	static struct samples samples;
	uint64_t state = 1, args[6];

	take_samples(s, &samples);
	for (int arch = 0; arch < MODEL_ARCHS; arch++)
		for (uint32_t nr = 0; archs >> arch & 1 && nr < 620; nr++) {
			unsigned n = tests_arguments(s, arch, nr) ? tries : 1;

			while (n--) {
				uint32_t got, expected;

				for (int i = 0; i < 6; i++)
					args[i] = samples.v[next_random(&state) % samples.n];
				if (arch == I386) /* the kernel extends with zeros */
					for (int i = 0; i < 6; i++)
						args[i] = (uint32_t)args[i];
				if (n % 2 && (nr == 102 || nr == 117))
					args[0] = next_random(&state) % 26;
				got = verdict_of(f, arch, nr, args);
				expected = want(with, arch, nr, args);
				if (got != expected)
					FAIL("arch %d number %u (%s) args %llx %llx %llx %llx %llx %llx: "
					     "%x, want %x",
					     arch, nr, model_name(arch, (int)nr) ?: "-",
					     (unsigned long long)args[0],
					     (unsigned long long)args[1],
					     (unsigned long long)args[2],
					     (unsigned long long)args[3],
					     (unsigned long long)args[4],
					     (unsigned long long)args[5], got, expected);
			}
		}
}

static uint32_t model_says(const void *spec, int arch, uint32_t nr, const uint64_t *args)
{
	return model_eval(spec, arch, nr, args);
}

static void agrees_with_model(const struct seccomp_spec *s, unsigned tries)
{
	struct seccomp_filter f = compiled(s);

	compare(s, &f, 7, tries, model_says, s);
	seccomp_filter_free(&f);
}

/* ---- specs with everything in them ---- */

/* Every operator, on both halves; several rules for a call, several conditions in a rule, one twice. */
static const struct seccomp_spec mixed = {
	.default_action = ERRNO,
	.default_errno_ret = { true, 13 },
	.architectures = x86_archs,
	RULES({ .names = NAMES("read", "write", "close", "getpid", "socketcall_", "exit_group"),
		.action = ALLOW },
	      { .names = NAMES("ioctl", "fcntl", "fcntl64"),
		.action = ALLOW,
		ARGS({ 1, 0x5401, 0, "SCMP_CMP_EQ" }) },
	      { .names = NAMES("ioctl"),
		.action = "SCMP_ACT_LOG",
		ARGS({ 1, 0x5402, 0, "SCMP_CMP_NE" }) },
	      { .names = NAMES("lseek", "mprotect"),
		.action = ALLOW,
		ARGS({ 1, 0x1ffffffff, 0, "SCMP_CMP_GT" }) },
	      { .names = NAMES("lseek"),
		.action = "SCMP_ACT_TRAP",
		ARGS({ 1, 0x100000000, 0, "SCMP_CMP_LE" }) },
	      { .names = NAMES("mmap", "mmap2"),
		.action = ALLOW,
		ARGS({ 2, 4, 0, "SCMP_CMP_MASKED_EQ" }, { 3, 0x20, 0, "SCMP_CMP_GE" },
		     { 5, 0x500000000, 0, "SCMP_CMP_LT" }) },
	      { .names = NAMES("clone"),
		.action = ALLOW,
		ARGS({ 0, 0x7e020000, 0, "SCMP_CMP_MASKED_EQ" }) },
	      { .names = NAMES("clone"), .action = ERRNO, .errno_ret = { true, 38 } },
	      { .names = NAMES("personality"),
		.action = ALLOW,
		ARGS({ 0, 8, 0, "SCMP_CMP_EQ" }, { 0, 0x20000, 0, "SCMP_CMP_EQ" },
		     { 1, 3, 0, "SCMP_CMP_EQ" }) },
	      { .names = NAMES("madvise"),
		.action = "SCMP_ACT_TRACE",
		.errno_ret = { true, 0xffff },
		ARGS({ 2, 0xff00000000ff, 0x11aa0000aa11, "SCMP_CMP_MASKED_EQ" }) },
	      { .names = NAMES("madvise"),
		.action = "SCMP_ACT_KILL_PROCESS",
		ARGS({ 2, 0, 0, "SCMP_CMP_MASKED_EQ" }) },
	      { .names = NAMES("kill", "tkill"), .action = "SCMP_ACT_KILL" },
	      { .names = NAMES("ptrace"), .action = "SCMP_ACT_NOTIFY" },
	      { .names = NAMES("openat2", "fchmodat2", "statx"), .action = ALLOW },
	      { .names = NAMES("no_such_call", "set_tls"), .action = ALLOW }),
};

/* The socket family and System V IPC, which i386 multiplexes, on their own and with rules for ipc. */
static const struct seccomp_spec multiplexed = {
	.default_action = "SCMP_ACT_KILL_THREAD",
	.architectures = x86_archs,
	RULES({ .names = NAMES("socket"), .action = ALLOW, ARGS({ 0, 1, 0, "SCMP_CMP_EQ" }) },
	      { .names = NAMES("socket"),
		.action = ERRNO,
		.errno_ret = { true, 97 },
		ARGS({ 0, 16, 0, "SCMP_CMP_EQ" }, { 2, 9, 0, "SCMP_CMP_EQ" }) },
	      { .names = NAMES("accept", "recv", "send", "connect", "accept4"), .action = ALLOW },
	      { .names = NAMES("bind"),
		.action = ALLOW,
		ARGS({ 0, 3, 0, "SCMP_CMP_EQ" }, { 0, 4, 0, "SCMP_CMP_EQ" }) },
	      { .names = NAMES("semop", "semget", "semtimedop", "shmat"), .action = ALLOW },
	      { .names = NAMES("ipc"), .action = ERRNO, ARGS({ 0, 21, 0, "SCMP_CMP_EQ" }) },
	      { .names = NAMES("read"), .action = "SCMP_ACT_LOG" }),
};

/* What is refused is listed, the rest allowed. */
static const struct seccomp_spec deny = {
	.default_action = ALLOW,
	.architectures = x86_archs,
	RULES({ .names = NAMES("mkdir", "reboot", "bpf", "socketpair", "msgget"), .action = ERRNO },
	      { .names = NAMES("unshare", "clone"),
		.action = "SCMP_ACT_KILL_PROCESS",
		ARGS({ 0, 0x10000000, 0x10000000, "SCMP_CMP_MASKED_EQ" }) },
	      { .names = NAMES("socketcall"), .action = "SCMP_ACT_TRAP" }),
};

TEST(verdicts_are_those_of_the_rules)
{
	need_x86();
	agrees_with_model(&mixed, 400);
	agrees_with_model(&multiplexed, 400);
	agrees_with_model(&deny, 400);
}

TEST(profiles_mean_what_their_rules_say)
{
	need_x86();
	for (int which = SECCOMP_APPLICATION; which <= SECCOMP_SYSTEM; which++)
		for (int caps = 0; caps < 2; caps++) {
			auto_arena struct arena *a = arena_new(0);
			struct seccomp_spec *s = seccomp_profile(which, caps ? ALL_CAPS : 0, a);

			s->architectures = x86_archs;
			agrees_with_model(s, 20);
		}
}

/* ---- libseccomp's own program for the same rules ---- */

static uint32_t libseccomp_action(const char *action, const struct opt_u64 *errno_ret)
{
	uint32_t ret = model_verdict(action, errno_ret);

	return ret == SECCOMP_RET_USER_NOTIF ? (uint32_t)SCMP_ACT_NOTIFY : ret;
}

static struct scmp_arg_cmp libseccomp_arg(const struct seccomp_arg *a)
{
	static const char *const ops[] = { "SCMP_CMP_NE",	"SCMP_CMP_LT", "SCMP_CMP_LE",
					   "SCMP_CMP_EQ",	"SCMP_CMP_GE", "SCMP_CMP_GT",
					   "SCMP_CMP_MASKED_EQ" };
	struct scmp_arg_cmp c = { .arg = a->index, .datum_a = a->value, .datum_b = a->value_two };

	for (size_t i = 0; i < N_OF(ops); i++)
		if (streq(a->op, ops[i]))
			c.op = (enum scmp_compare)(SCMP_CMP_NE + i);
	return c;
}

static void libseccomp_add(scmp_filter_ctx ctx, const struct seccomp_rule *r, const char *name)
{
	int nr = seccomp_syscall_resolve_name(name), rc = 0;
	uint32_t action = libseccomp_action(r->action, &r->errno_ret);
	struct scmp_arg_cmp args[6];
	unsigned seen = 0;
	bool twice = false;

	if (nr == __NR_SCMP_ERROR)
		return;
	for (size_t i = 0; i < r->n_args; i++) {
		args[i] = libseccomp_arg(&r->args[i]);
		twice |= seen >> args[i].arg & 1;
		seen |= 1u << args[i].arg;
	}
	if (!twice)
		rc = seccomp_rule_add_array(ctx, action, nr, (unsigned)r->n_args, args);
	for (size_t i = 0; twice && i < r->n_args; i++)
		rc = rc ? rc : seccomp_rule_add_array(ctx, action, nr, 1, &args[i]);
	if (rc < 0)
		FAIL("libseccomp refuses a rule for %s: %s", name, strerror(-rc));
}

/* As runc builds it, without its stub for new calls. */
static struct seccomp_filter libseccomp_compiled(const struct seccomp_spec *s)
{
	struct seccomp_filter f = { .insns = calloc(65536, sizeof(*f.insns)) };
	uint32_t def = libseccomp_action(s->default_action, &s->default_errno_ret);
	scmp_filter_ctx ctx = seccomp_init(def);
	FILE *file = tmpfile();

	CHECK(ctx && file && f.insns);
	seccomp_arch_add(ctx, SCMP_ARCH_X86);
	seccomp_arch_add(ctx, SCMP_ARCH_X32);
	for (size_t i = 0; i < s->n_rules; i++)
		for (const char *const *n = s->rules[i].names; n && *n; n++)
			if (libseccomp_action(s->rules[i].action, &s->rules[i].errno_ret) != def)
				libseccomp_add(ctx, &s->rules[i], *n);
	CHECK_INT(seccomp_export_bpf(ctx, fileno(file)), 0);
	seccomp_release(ctx);
	rewind(file);
	f.n = (unsigned)fread(f.insns, sizeof(*f.insns), 65536, file);
	fclose(file);
	CHECK(f.n > 0);
	return f;
}

struct theirs {
	struct seccomp_filter filter;
	const struct seccomp_spec *spec;
};

/*
 * Where theirs cannot be asked: calls that it does not know, those past the newest named one, which it gives the
 * default action and we ENOSYS, and socket, whose general rule makes it forget the special ones.
 */
static uint32_t libseccomp_says(const void *with, int arch, uint32_t nr, const uint64_t *args)
{
	const struct theirs *t = with;
	const char *name = model_name(arch, (int)nr);
	uint32_t ours = model_eval(t->spec, arch, nr, args);
	uint32_t theirs = verdict_of(&t->filter, arch, nr, args);

	if (!name || streq(name, "socket"))
		return ours;
	if (ours == ENOSYS_RET &&
	    theirs == model_verdict(t->spec->default_action, &t->spec->default_errno_ret))
		return ours;
	return theirs;
}

static void agrees_with_libseccomp(const struct seccomp_spec *s, unsigned tries)
{
	struct theirs t = { libseccomp_compiled(s), s };
	struct seccomp_filter f = compiled(s);

	compare(s, &f, 7, tries, libseccomp_says, &t);
	seccomp_filter_free(&f);
	seccomp_filter_free(&t.filter);
}

/* Rules that libseccomp takes as they are: no call with conditional and unconditional ones, none newer. */
static const struct seccomp_spec plain = {
	.default_action = ERRNO,
	.architectures = x86_archs,
	RULES({ .names = NAMES("read", "write", "accept", "semop", "shmdt", "recv",
			       "set_mempolicy_home_node"),
		.action = ALLOW },
	      { .names = NAMES("mmap", "mmap2"),
		.action = ALLOW,
		ARGS({ 2, 4, 0, "SCMP_CMP_MASKED_EQ" }, { 3, 0x20, 0, "SCMP_CMP_GE" },
		     { 5, 0x5fffffff, 0, "SCMP_CMP_LT" }) },
	      { .names = NAMES("lseek"),
		.action = ALLOW,
		ARGS({ 1, 0x1fffffffe, 0, "SCMP_CMP_GT" }) },
	      { .names = NAMES("ftruncate"),
		.action = ALLOW,
		ARGS({ 1, 0x1fffffffe, 0, "SCMP_CMP_LE" }) },
	      { .names = NAMES("fallocate"),
		.action = "SCMP_ACT_TRACE",
		.errno_ret = { true, 77 },
		ARGS({ 1, 0x1fffffffe, 0, "SCMP_CMP_NE" }) },
	      { .names = NAMES("pread64"),
		.action = "SCMP_ACT_LOG",
		ARGS({ 3, 0x300000000, 0x500000001, "SCMP_CMP_MASKED_EQ" }) },
	      { .names = NAMES("personality"),
		.action = ALLOW,
		ARGS({ 0, 8, 0, "SCMP_CMP_EQ" }, { 0, 0x20000, 0, "SCMP_CMP_EQ" }) },
	      { .names = NAMES("clone"),
		.action = ALLOW,
		ARGS({ 0, 0x7e020000, 0, "SCMP_CMP_MASKED_EQ" }) },
	      { .names = NAMES("ptrace"), .action = "SCMP_ACT_KILL" },
	      { .names = NAMES("kill"), .action = "SCMP_ACT_TRAP" },
	      { .names = NAMES("bind", "listen", "setsockopt"),
		.action = ALLOW,
		ARGS({ 1, 5, 0, "SCMP_CMP_LT" }) }),
};

TEST(verdicts_are_those_of_libseccomp)
{
	auto_arena struct arena *a = arena_new(0);
	struct seccomp_spec *s;

	need_x86();
	agrees_with_libseccomp(&plain, 2000);
	agrees_with_libseccomp(&deny, 400);
	for (int which = SECCOMP_APPLICATION; which <= SECCOMP_SYSTEM; which++) {
		s = seccomp_profile(which, 0, a);
		s->architectures = x86_archs;
		agrees_with_libseccomp(s, 20);
	}
}

TEST(the_table_of_numbers_is_libseccomps)
{
	size_t near = 0;

	need_x86();
	for (int arch = 0; arch < MODEL_ARCHS; arch++)
		for (int nr = 0; nr < MODEL_NUMBERS; nr++) {
			const char *name = model_name(arch, nr);
			const struct syscall_numbers *row = name ? syscall_find(name, &near) : NULL;

			if (!name)
				continue;
			if (!row)
				FAIL("%s is not in the table", name);
			CHECK_INT(arch == X86_64 ? row->x86_64 :
				  arch == I386	 ? row->i386 :
						   row->x32,
				  nr);
		}
	for (size_t i = 0; i < syscall_table_size; i++) {
		const struct syscall_numbers *row = &syscall_table[i];
		int direct, through, call;
		int got[] = { row->x86_64, row->i386, row->x32 };

		if (i)
			CHECK(strcmp(syscall_table[i - 1].name, row->name) < 0);
		near = i * 7 % syscall_table_size;
		CHECK(syscall_find(row->name, &near) == row);
		for (int arch = 0; arch < MODEL_ARCHS; arch++) {
			model_numbers(arch, row->name, &direct, &through, &call);
			if (direct != got[arch])
				FAIL("%s: %d, want %d", row->name, got[arch], direct);
			if (arch == I386)
				CHECK_INT(row->multiplexed,
					  through < 0 ?
						  0 :
						  (through == 102 ? BY_SOCKETCALL : BY_IPC) | call);
		}
	}
}

/* ---- single promises ---- */

TEST(calls_newer_than_any_named_one_fail_with_enosys)
{
	struct seccomp_spec s = { .default_action = ERRNO,
				  .architectures = x86_archs,
				  RULES({ .names = NAMES("openat2"), .action = ALLOW }) };
	const uint64_t none[6] = { 0 };
	struct seccomp_filter f;

	need_x86();
	f = compiled(&s);
	for (int arch = 0; arch < MODEL_ARCHS; arch++) {
		CHECK_INT(verdict_of(&f, arch, 436, none), RET(EPERM));
		CHECK_INT(verdict_of(&f, arch, 437, none), SECCOMP_RET_ALLOW);
		CHECK_INT(verdict_of(&f, arch, 438, none), ENOSYS_RET);
		CHECK_INT(verdict_of(&f, arch, 0x3fffffff, none), ENOSYS_RET);
	}
	seccomp_filter_free(&f);
	s.default_action = ALLOW;
	s.rules[0].action = ERRNO;
	f = compiled(&s);
	CHECK_INT(verdict_of(&f, X86_64, 437, none), RET(EPERM));
	CHECK_INT(verdict_of(&f, X86_64, 438, none), SECCOMP_RET_ALLOW);
	seccomp_filter_free(&f);
}

TEST(other_architectures_kill_the_process)
{
	struct seccomp_spec s = { .default_action = ALLOW };
	struct seccomp_data d = { .nr = 39, .arch = AUDIT_ARCH_X86_64 };
	struct seccomp_filter f;

	need_x86();
	f = compiled(&s);
	CHECK_INT(model_run(f.insns, &d), SECCOMP_RET_ALLOW);
	d.nr = (int)(MODEL_X32 | 39);
	CHECK_INT(model_run(f.insns, &d), SECCOMP_RET_KILL_PROCESS);
	d.nr = (int)0xfffffffe;
	CHECK_INT(model_run(f.insns, &d), SECCOMP_RET_KILL_PROCESS);
	d.nr = -1; /* what a tracer skips with */
	CHECK_INT(model_run(f.insns, &d), SECCOMP_RET_ALLOW);
	d.nr = 20;
	d.arch = AUDIT_ARCH_I386;
	CHECK_INT(model_run(f.insns, &d), SECCOMP_RET_KILL_PROCESS);
	d.arch = AUDIT_ARCH_AARCH64;
	CHECK_INT(model_run(f.insns, &d), SECCOMP_RET_KILL_PROCESS);
	seccomp_filter_free(&f);
}

TEST(one_verdict_for_everything_is_a_program_too)
{
	const struct seccomp_spec s = { .default_action = "SCMP_ACT_KILL_PROCESS" };
	struct seccomp_data d = { .nr = 39, .arch = AUDIT_ARCH_X86_64 };
	struct seccomp_filter f = compiled(&s);

	CHECK_INT(f.n, 1);
	CHECK_INT(model_run(f.insns, &d), SECCOMP_RET_KILL_PROCESS);
	seccomp_filter_free(&f);
}

TEST(the_first_matching_rule_decides)
{
	const struct seccomp_spec s = {
		.default_action = "SCMP_ACT_KILL",
		RULES({ .names = NAMES("kill"),
			.action = ERRNO,
			.errno_ret = { true, 1 },
			ARGS({ 1, 9, 0, "SCMP_CMP_EQ" }) },
		      { .names = NAMES("kill"),
			.action = ERRNO,
			.errno_ret = { true, 2 },
			ARGS({ 1, 10, 0, "SCMP_CMP_LT" }) },
		      { .names = NAMES("kill"), .action = ALLOW },
		      { .names = NAMES("kill"),
			.action = ERRNO,
			.errno_ret = { true, 3 },
			ARGS({ 1, 15, 0, "SCMP_CMP_EQ" }) }),
	};
	struct seccomp_filter f;

	need_x86();
	f = compiled(&s);
	CHECK_INT(on_call(&f, X86_64, "kill", 1, 9, 0), RET(1));
	CHECK_INT(on_call(&f, X86_64, "kill", 1, 8, 0), RET(2));
	CHECK_INT(on_call(&f, X86_64, "kill", 1, 10, 0), SECCOMP_RET_ALLOW);
	CHECK_INT(on_call(&f, X86_64, "kill", 1, 15, 0), SECCOMP_RET_ALLOW);
	seccomp_filter_free(&f);
}

/* Every second number allowed, each with a condition of its own: jumps are longer than 255 instructions. */
TEST(long_programs_are_still_right)
{
	auto_arena struct arena *a = arena_new(0);
	struct seccomp_spec s = { .default_action = ERRNO, .architectures = x86_archs };

	need_x86();
	s.rules = arena_array(a, 200, sizeof(*s.rules));
	for (int nr = 0; nr < 380; nr += 2) {
		struct seccomp_rule *r = &s.rules[s.n_rules++];
		const char **names = arena_array(a, 2, sizeof(*names));

		names[0] = model_name(X86_64, nr);
		if (!names[0]) {
			s.n_rules--;
			continue;
		}
		r->names = names;
		r->action = nr % 3 ? ALLOW : "SCMP_ACT_TRACE";
		r->args = arena_alloc(a, sizeof(*r->args));
		r->n_args = nr % 5 ? 1 : 0;
		*r->args = (struct seccomp_arg){ (unsigned)nr % 6, 0x700000000ull + (unsigned)nr, 0,
						 nr % 4 ? "SCMP_CMP_GT" : "SCMP_CMP_EQ" };
	}
	agrees_with_model(&s, 6);
}

TEST(too_long_a_program_is_refused)
{
	struct seccomp_spec s = { .default_action = ERRNO };
	struct seccomp_filter f = { 0 };
	struct err e = { 0 };
	struct seccomp_rule *rules = calloc(5000, sizeof(*rules));
	const char *const *kill_call = NAMES("kill");

	CHECK(rules);
	for (unsigned i = 0; i < 5000; i++) {
		rules[i] =
			(struct seccomp_rule){ .names = kill_call, .action = ALLOW, .n_args = 1 };
		rules[i].args = calloc(1, sizeof(*rules[i].args));
		*rules[i].args = (struct seccomp_arg){ 1, i, 0, "SCMP_CMP_EQ" };
	}
	s.rules = rules;
	s.n_rules = 5000;
	CHECK_INT(seccomp_compile(&s, &f, &e), -1);
	CHECK_HAS(e.msg, "4096");
	s.n_rules = 900; /* four instructions each */
	CHECK_INT(seccomp_compile(&s, &f, &e), 0);
	CHECK(f.n > 3000);
	CHECK(!model_check(f.insns, f.n));
	seccomp_filter_free(&f);
	for (unsigned i = 0; i < 5000; i++)
		free(rules[i].args);
	free(rules);
	s.rules = calloc(40000, sizeof(*s.rules));
	s.n_rules = 40000;
	CHECK(s.rules);
	for (unsigned i = 0; i < 40000; i++)
		s.rules[i] = (struct seccomp_rule){ .names = kill_call, .action = ALLOW };
	CHECK_INT(seccomp_compile(&s, &f, &e), -1);
	CHECK_HAS(e.msg, "rules");
	s.n_rules = 30000; /* the first decides */
	CHECK_INT(seccomp_compile(&s, &f, &e), 0);
	seccomp_filter_free(&f);
	free(s.rules);
}

TEST(what_cannot_be_enforced_is_an_error)
{
	const struct {
		struct seccomp_spec spec;
		const char *says;
	} bad[] = {
		{ { .default_action = NULL }, "unknown action ''" },
		{ { .default_action = "SCMP_ACT_FOO" }, "'SCMP_ACT_FOO'" },
		{ { .default_action = "SCMP_ACT_NOTIFY" }, "default action" },
		{ { .default_action = ALLOW, .default_errno_ret = { true, 1 } },
		  "does not return an errno" },
		{ { .default_action = ERRNO, .default_errno_ret = { true, 4096 } }, "4096" },
		{ { .default_action = ALLOW, .architectures = NAMES("SCMP_ARCH_PDP11") },
		  "SCMP_ARCH_PDP11" },
		{ { .default_action = ALLOW, .architectures = NAMES("SCMP_ARCH_") }, "SCMP_ARCH_" },
		{ { .default_action = ALLOW, .architectures = NAMES("x86") }, "'x86'" },
		{ { .default_action = ALLOW, .flags = NAMES("SECCOMP_FILTER_FLAG_FOO") },
		  "FLAG_FOO" },
		{ { .default_action = ALLOW, RULES({ .names = NAMES("kill"), .action = "ALLOW" }) },
		  "syscalls[0]" },
		{ { .default_action = ALLOW,
		    RULES({ .names = NAMES("kill", ""), .action = ERRNO }) },
		  "empty name" },
		{ { .default_action = ALLOW,
		    RULES({ .names = NAMES("write"), .action = "SCMP_ACT_NOTIFY" }) },
		  "the write syscall" },
		{ { .default_action = ALLOW,
		    RULES({ .names = NAMES("kill"),
			    .action = "SCMP_ACT_KILL",
			    .errno_ret = { true, 1 } }) },
		  "'SCMP_ACT_KILL'" },
		{ { .default_action = ALLOW,
		    RULES({ .names = NAMES("kill"),
			    .action = ERRNO,
			    ARGS({ 0, 0, 0, "SCMP_CMP_EQ" }, { 6, 0, 0, "SCMP_CMP_EQ" }) }) },
		  "args[1]" },
		{ { .default_action = ALLOW,
		    RULES({ .names = NAMES("kill"), .action = ERRNO, ARGS({ 0, 0, 0, "==" }) }) },
		  "'=='" },
		{ { .default_action = ALLOW,
		    RULES({ .names = NAMES("kill"), .action = ERRNO, ARGS({ 0, 0, 0, NULL }) }) },
		  "operator" },
	};
	struct seccomp_filter f = { 0 };

	for (size_t i = 0; i < N_OF(bad); i++) {
		struct err e = { 0 };

		CHECK_INT(seccomp_compile(&bad[i].spec, &f, &e), -1);
		CHECK_HAS(e.msg, bad[i].says);
		CHECK(!f.insns);
	}
}

TEST(flags_are_the_kernels)
{
	const struct seccomp_rule notify = { .names = NAMES("mkdir"), .action = "SCMP_ACT_NOTIFY" };
	struct seccomp_spec s = { .default_action = ALLOW };
	struct seccomp_rule rule = notify;
	struct seccomp_filter f;

	f = compiled(&s);
	CHECK_INT(f.flags, SECCOMP_FILTER_FLAG_SPEC_ALLOW);
	seccomp_filter_free(&f);
	s.flags = (const char *const[]){ NULL };
	f = compiled(&s);
	CHECK_INT(f.flags, 0);
	seccomp_filter_free(&f);
	s.flags = NAMES("SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC",
			"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
	f = compiled(&s);
	CHECK_INT(f.flags, SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_TSYNC);
	seccomp_filter_free(&f);
	s.rules = &rule;
	s.n_rules = 1;
	f = compiled(&s);
	CHECK_INT(f.flags, SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_TSYNC | 1 << 4 | 1 << 5 |
				   SECCOMP_FILTER_FLAG_NEW_LISTENER);
	seccomp_filter_free(&f);
}

/* What no x86 machine takes the compiler to: calls with odd numbers, multiplexers and bases of other kinds. */
static const struct machine {
	uint32_t native;
	const char *second; /* its other architecture */
	uint32_t token;
	uint32_t base;
	bool multiplexes;
} machines[] = {
	{ SCMP_ARCH_AARCH64, "SCMP_ARCH_ARM", SCMP_ARCH_ARM, 0, false },
	{ SCMP_ARCH_S390X, "SCMP_ARCH_S390", SCMP_ARCH_S390, 0, true },
	{ SCMP_ARCH_PPC64LE, "SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE, 0, true },
	{ SCMP_ARCH_RISCV64, "SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64, 0, false },
	{ SCMP_ARCH_MIPSEL64, "SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL, 4000, true },
	{ SCMP_ARCH_MIPSEL64, "SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32, 6000, false },
};

static void check_machine(const struct machine *m)
{
	static const char *const listed[] = { "breakpoint", "cacheflush", "openat2", "read",
					      "semop",	    "set_tls",	  "socket",  "statx",
					      "usr32",	    NULL };
	const struct seccomp_spec s = {
		.default_action = ERRNO,
		.architectures = NAMES(m->second),
		RULES({ .names = listed, .action = ALLOW }, { .names = NAMES("lseek"),
							      .action = ALLOW,
							      ARGS({ 1, 0, 0, "SCMP_CMP_GT" }) }),
	};
	struct seccomp_data d = { .arch = m->token, .args = { 99 } };
	int newest = seccomp_syscall_resolve_name_arch(m->token, "openat2");
	struct seccomp_filter f = { 0 };
	struct err e;

	if (seccomp_compile_for(m->native, &s, &f, &e) < 0)
		FAIL("%s", e.msg);
	CHECK(!model_check(f.insns, f.n));
	for (uint32_t nr = m->base; nr < 0xf0010; nr = nr == m->base + 700 ? 0xf0000 : nr + 1) {
		auto_free char *name = seccomp_syscall_resolve_num_arch(m->token, (int)nr);
		bool allowed = name && among(name, listed, N_OF(listed) - 1);
		uint32_t want = allowed ? SECCOMP_RET_ALLOW : RET(EPERM);

		if (!allowed && (int)nr > newest)
			want = ENOSYS_RET;
		d.nr = (int)nr;
		if (model_run(f.insns, &d) != want)
			FAIL("%s number %u (%s): %x, want %x", m->second, nr, name ?: "-",
			     model_run(f.insns, &d), want);
	}
	d.nr = seccomp_syscall_resolve_name_arch(m->token, "lseek");
	d.args[1] = 1;
	CHECK_INT(model_run(f.insns, &d), SECCOMP_RET_ALLOW);
	d.nr = seccomp_syscall_resolve_name_arch(m->token, "socketcall");
	CHECK_INT(d.nr >= 0, m->multiplexes);
	d.args[0] = 1; /* socket, and of ipc semop */
	if (m->multiplexes) {
		CHECK_INT(model_run(f.insns, &d), SECCOMP_RET_ALLOW);
		d.nr = seccomp_syscall_resolve_name_arch(m->token, "ipc");
		CHECK_INT(model_run(f.insns, &d), SECCOMP_RET_ALLOW);
		d.args[0] = 2;
		CHECK_INT(model_run(f.insns, &d), RET(EPERM));
	}
	d.arch = AUDIT_ARCH_I386;
	CHECK_INT(model_run(f.insns, &d), SECCOMP_RET_KILL_PROCESS);
	seccomp_filter_free(&f);
}

TEST(other_machines_have_their_own_numbers)
{
	for (size_t i = 0; i < N_OF(machines); i++)
		check_machine(&machines[i]);
}

/* ---- the profiles ---- */

/* Whether any sampled arguments get a call through, on x86_64 or i386. */
static bool passes(const struct seccomp_filter *f, const char *name)
{
	static const uint64_t values[] = { 0,	       1,	   2,	       3,
					   8,	       16,	   17,	       38,
					   40,	       0x11,	   0x20000,    0x20008,
					   0x00020000, 0x02000000, 0x04000000, 0x08000000,
					   0x10000000, 0x20000000, 0x40000000, 0x7e020011,
					   0xffffffff, 1ull << 32, UINT64_MAX };
	int direct, through, call;

	for (int arch = X86_64; arch <= I386; arch++) {
		model_numbers(arch, name, &direct, &through, &call);
		for (size_t i = 0; direct >= 0 && i < N_OF(values); i++) {
			uint64_t args[6] = { values[i], values[i], values[i],
					     values[i], values[i], values[i] };

			if (verdict_of(f, arch, (uint32_t)direct, args) == SECCOMP_RET_ALLOW)
				return true;
		}
	}
	return false;
}

static struct seccomp_filter profile(enum seccomp_profile which, uint64_t caps)
{
	auto_arena struct arena *a = arena_new(0);

	return compiled(seccomp_profile(which, caps, a));
}

TEST(profiles_name_calls_that_exist)
{
	auto_arena struct arena *a = arena_new(0);
	size_t near = 0;

	need_x86();
	for (int which = SECCOMP_APPLICATION; which <= SECCOMP_SYSTEM; which++) {
		const struct seccomp_spec *s = seccomp_profile(which, ALL_CAPS, a);

		for (size_t i = 0; i < s->n_rules; i++)
			for (const char *const *n = s->rules[i].names; *n; n++)
				if (!syscall_find(*n, &near))
					FAIL("'%s' is no system call", *n);
	}
}

/*
 * Docker's default profile of 2026, seen from outside: of all system calls of x86_64 and i386 (474 names) these
 * are never allowed, those below with one of some capabilities, and the rest always. In this order of thought a
 * name that nobody has thought of fails the test.
 */
enum { NAMES_JUDGED = 474 };

/* clang-format off */
static const char *const docker_never[] = {
	"_sysctl", "add_key", "afs_syscall", "bdflush", "break", "create_module",
	"file_getattr", "file_setattr", "ftime", "get_kernel_syms", "getpmsg", "gtty",
	"idle", "io_uring_enter", "io_uring_register", "io_uring_setup",
	"kexec_file_load", "kexec_load", "keyctl", "listns", "lock", "migrate_pages",
	"move_pages", "mpx", "nfsservctl", "nice", "oldfstat", "oldlstat",
	"oldolduname", "oldstat", "olduname", "open_tree_attr", "pivot_root", "prof",
	"profil", "putpmsg", "query_module", "readdir", "request_key",
	"rseq_slice_yield", "security", "sgetmask", "sigaction", "signal", "sigpending",
	"sigsuspend", "ssetmask", "stty", "swapoff", "swapon", "sysfs", "tuxcall",
	"ulimit", "uprobe", "uselib", "userfaultfd", "ustat", "vm86", "vm86old",
	"vserver",
};
/* clang-format on */

#define BIT(cap) (1ull << (cap))

static const struct {
	uint64_t caps; /* any of these */
	const char *const *names;
} docker_with[] = {
	{ BIT(CAP_SYS_ADMIN),
	  NAMES("clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick",
		"lookup_dcookie", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr",
		"mount", "mount_setattr", "move_mount", "open_tree", "quotactl", "quotactl_fd",
		"setdomainname", "sethostname", "setns", "umount", "umount2", "unshare") },
	{ BIT(CAP_SYS_ADMIN) | BIT(CAP_BPF), NAMES("bpf") },
	{ BIT(CAP_SYS_ADMIN) | BIT(CAP_PERFMON), NAMES("perf_event_open") },
	{ BIT(CAP_SYS_ADMIN) | BIT(CAP_SYSLOG), NAMES("syslog") },
	{ BIT(CAP_DAC_READ_SEARCH), NAMES("open_by_handle_at") },
	{ BIT(CAP_SYS_BOOT), NAMES("reboot") },
	{ BIT(CAP_SYS_CHROOT), NAMES("chroot") },
	{ BIT(CAP_SYS_MODULE), NAMES("delete_module", "finit_module", "init_module") },
	{ BIT(CAP_SYS_NICE),
	  NAMES("get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node") },
	{ BIT(CAP_SYS_PACCT), NAMES("acct") },
	{ BIT(CAP_SYS_PTRACE), NAMES("kcmp", "pidfd_getfd", "process_madvise") },
	{ BIT(CAP_SYS_RAWIO), NAMES("ioperm", "iopl") },
	{ BIT(CAP_SYS_TIME), NAMES("clock_settime", "clock_settime64", "settimeofday", "stime") },
	{ BIT(CAP_SYS_TTY_CONFIG), NAMES("vhangup") },
};

static bool docker_allows(const char *name, uint64_t caps)
{
	for (size_t i = 0; i < N_OF(docker_with); i++)
		for (const char *const *n = docker_with[i].names; *n; n++)
			if (streq(*n, name))
				return caps & docker_with[i].caps;
	return !among(name, docker_never, N_OF(docker_never));
}

TEST(application_is_no_weaker_than_docker)
{
	need_x86();
	CHECK_INT(syscall_table_size, NAMES_JUDGED);
	for (int cap = -1; cap < 42; cap++) {
		uint64_t caps = cap < 0 ? 0 : cap == 41 ? ALL_CAPS : BIT(cap);
		struct seccomp_filter f = profile(SECCOMP_APPLICATION, caps);

		for (size_t i = 0; i < syscall_table_size; i++) {
			const char *name = syscall_table[i].name;
			bool ours = passes(&f, name), theirs = docker_allows(name, caps);

			if (ours && !theirs)
				FAIL("'%s' is allowed with capability %d", name, cap);
			/* nor is it so strict that programs fail: these two do nothing in any kernel */
			if (!ours && theirs && !streq(name, "epoll_ctl_old") &&
			    !streq(name, "epoll_wait_old") &&
			    model_name(X86_64, syscall_table[i].x86_64) &&
			    syscall_table[i].x86_64 >= 0)
				FAIL("'%s' is refused with capability %d", name, cap);
		}
		seccomp_filter_free(&f);
	}
}

TEST(application_makes_no_namespaces)
{
	static const uint64_t flags[] = { CLONE_NEWNS,	CLONE_NEWUTS, CLONE_NEWIPC,   CLONE_NEWUSER,
					  CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP };
	struct seccomp_filter f;

	need_x86();
	f = profile(SECCOMP_APPLICATION, ~BIT(CAP_SYS_ADMIN));
	for (int arch = X86_64; arch <= I386; arch++) {
		CHECK_INT(on_call(&f, arch, "clone", 0x3d0f00, 0, 0),
			  SECCOMP_RET_ALLOW); /* a thread */
		CHECK_INT(on_call(&f, arch, "clone", SIGCHLD, 0, 0), SECCOMP_RET_ALLOW);
		for (size_t i = 0; i < N_OF(flags); i++) {
			CHECK_INT(on_call(&f, arch, "clone", flags[i] | SIGCHLD, 0, 0), RET(EPERM));
			CHECK_INT(on_call(&f, arch, "unshare", flags[i], 0, 0), RET(EPERM));
		}
		CHECK_INT(on_call(&f, arch, "clone3", 0, 0, 0), ENOSYS_RET);
	}
	seccomp_filter_free(&f);
	f = profile(SECCOMP_APPLICATION, BIT(CAP_SYS_ADMIN));
	CHECK_INT(on_call(&f, X86_64, "clone", CLONE_NEWUSER, 0, 0), SECCOMP_RET_ALLOW);
	CHECK_INT(on_call(&f, X86_64, "clone3", 0, 0, 0), SECCOMP_RET_ALLOW);
	seccomp_filter_free(&f);
}

TEST(no_profile_opens_alg_or_vsock_sockets)
{
	need_x86();
	for (int which = SECCOMP_APPLICATION; which <= SECCOMP_SYSTEM; which++) {
		struct seccomp_filter f = profile(which, ALL_CAPS);

		for (int arch = X86_64; arch <= I386; arch++) {
			CHECK_INT(on_call(&f, arch, "socket", 38, 0, 0), RET(EAFNOSUPPORT));
			CHECK_INT(on_call(&f, arch, "socket", 40, 0, 0), RET(EAFNOSUPPORT));
			for (uint64_t family = 0; family < 50; family++)
				if (family != 38 && family != 40)
					CHECK_INT(on_call(&f, arch, "socket", family, 1, 0),
						  SECCOMP_RET_ALLOW);
		}
		/* the kernel looks at 32 bits */
		CHECK_INT(on_call(&f, X86_64, "socket", 0x100000026, 0, 0), RET(EAFNOSUPPORT));
		CHECK_INT(on_call(&f, X86_64, "socket", 0xffffffff00000028, 0, 0),
			  RET(EAFNOSUPPORT));
		seccomp_filter_free(&f);
	}
}

TEST(system_refuses_what_no_namespace_confines)
{
	/* clang-format off */
	static const char *const refused[] = {
		"acct", "add_key", "bpf", "clock_settime", "clock_settime64", "create_module",
		"delete_module", "finit_module", "init_module", "io_uring_setup", "ioperm",
		"iopl", "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie",
		"nfsservctl", "open_by_handle_at", "perf_event_open", "quotactl", "quotactl_fd",
		"request_key", "settimeofday", "stime", "swapoff", "swapon", "syslog", "uselib",
		"userfaultfd", "vm86", "vm86old",
	};
	/* clang-format on */
	struct seccomp_filter f;

	need_x86();
	f = profile(SECCOMP_SYSTEM, ALL_CAPS);
	for (size_t i = 0; i < N_OF(refused); i++)
		if (passes(&f, refused[i]))
			FAIL("'%s' is allowed", refused[i]);
	seccomp_filter_free(&f);
}

TEST(system_lets_an_init_boot)
{
	/* clang-format off */
	static const char *const needed[] = {
		"mount", "umount2", "pivot_root", "chroot", "setns", "unshare", "clone",
		"clone3", "sethostname", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree",
		"mount_setattr", "ptrace", "move_mount", "vhangup", "personality", "mbind",
		"kcmp", "seccomp", "prctl", "capset", "name_to_handle_at", "fanotify_init",
		"statmount", "listmount", "open_tree_attr",
	};
	/* clang-format on */
	struct seccomp_filter f, without;

	need_x86();
	f = profile(SECCOMP_SYSTEM, ALL_CAPS);
	for (size_t i = 0; i < N_OF(needed); i++)
		for (int arch = X86_64; arch <= I386; arch++)
			CHECK_INT(on_call(&f, arch, needed[i], CLONE_NEWUSER, 0, 0),
				  SECCOMP_RET_ALLOW);
	without = profile(SECCOMP_SYSTEM, ~BIT(CAP_SYS_BOOT));
	CHECK_INT(on_call(&f, X86_64, "reboot", 0, 0, 0), SECCOMP_RET_ALLOW);
	CHECK_INT(on_call(&without, X86_64, "reboot", 0, 0, 0), RET(EPERM));
	seccomp_filter_free(&f);
	seccomp_filter_free(&without);
}

/* ---- in the kernel ---- */

/* Runs @check in a child under @f: what it returns is a line about what went wrong, NULL if nothing. */
static void under(const struct seccomp_filter *f, const char *(*check)(void))
{
	int status, listener, out[2];
	char said[256] = "";
	pid_t pid;

	CHECK(pipe(out) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		struct err e;
		const char *wrong;

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    seccomp_install(f, &listener, &e) < 0)
			wrong = "the filter cannot be installed";
		else
			wrong = listener == -1 ? check() : "there is a listener";
		if (wrong)
			(void)!write(out[1], wrong, strlen(wrong)); /* seen by its absence */
		_exit(wrong ? 1 : 0);
	}
	close(out[1]);
	(void)!read(out[0], said, sizeof(said) - 1); /* nothing to read is the good case */
	close(out[0]);
	CHECK(waitpid(pid, &status, 0) == pid);
	if (status)
		FAIL("%s (status 0x%x)", *said ? said : "the child died", status);
}

#define EXPECT(cond)                              \
	do {                                      \
		if (!(cond))                      \
			return #cond " is wrong"; \
	} while (0)

static bool fails(long ret, int with)
{
	return ret == -1 && errno == with;
}

#ifdef __x86_64__
/* A system call of i386, which every x86_64 program can make. */
static long i386_call(long nr, long a, long b)
{
	long ret;

	__asm__ volatile("int $0x80"
			 : "=a"(ret)
			 : "a"(nr), "b"(a), "c"(b)
			 : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

/* ENOSYS before the filter is installed: the kernel was built without. */
static bool has_i386(void)
{
	return i386_call(20, 0, 0) == getpid();
}
#else
static long i386_call(long nr, long a, long b)
{
	return nr == 20 ? getpid() : a + b - EPERM;
}

static bool has_i386(void)
{
	return false;
}
#endif

static bool i386_works;

static const char *check_application(void)
{
	EXPECT(syscall(SYS_getpid) > 0);
	EXPECT(fails(syscall(SYS_kexec_load, 0, 0, NULL, 0), EPERM));
	EXPECT(fails(syscall(SYS_reboot, 0, 0, 0, NULL), EPERM));
	EXPECT(fails(syscall(SYS_unshare, CLONE_NEWUTS), EPERM));
	EXPECT(fails(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0), EPERM));
	EXPECT(fails(syscall(435, NULL, 0), ENOSYS));
	EXPECT(fails(syscall(425, 1, NULL), EPERM)); /* io_uring_setup */
	EXPECT(fails(syscall(1000), ENOSYS));
	EXPECT(fails(socket(AF_ALG, SOCK_SEQPACKET, 0), EAFNOSUPPORT));
	EXPECT(syscall(SYS_socket, 0x100000000 | AF_UNIX, SOCK_STREAM, 0) >= 0);
	EXPECT(fails(syscall(SYS_socket, 0x100000000 | AF_ALG, SOCK_SEQPACKET, 0), EAFNOSUPPORT));
	if (i386_works) {
		EXPECT(i386_call(20, 0, 0) == getpid());
		EXPECT(i386_call(283, 0, 0) == -EPERM);		   /* kexec_load */
		EXPECT(i386_call(310, CLONE_NEWUTS, 0) == -EPERM); /* unshare */
		EXPECT(i386_call(120, CLONE_NEWUSER | SIGCHLD, 0) == -EPERM);
	}
	return NULL;
}

static const char *check_system(void)
{
	EXPECT(syscall(SYS_getpid) > 0);
	EXPECT(fails(syscall(SYS_kexec_load, 0, 0, NULL, 0), EPERM));
	EXPECT(fails(syscall(SYS_init_module, NULL, 0, NULL), EPERM));
	EXPECT(fails(syscall(SYS_clock_settime, CLOCK_REALTIME, NULL), EPERM));
	EXPECT(fails(syscall(SYS_keyctl, 0, 0), ENOSYS));
	EXPECT(fails(syscall(SYS_mount, NULL, NULL, NULL, 0, NULL), EFAULT) || errno == EPERM);
	EXPECT(syscall(SYS_setns, -1, 0) == -1 && errno == EBADF);
	EXPECT(fails(syscall(435, NULL, 0), EINVAL));
	if (i386_works)
		EXPECT(i386_call(283, 0, 0) == -EPERM);
	return NULL;
}

TEST(the_kernel_enforces_the_profiles)
{
	struct seccomp_filter f;

	i386_works = has_i386();
	f = profile(SECCOMP_APPLICATION, 0);
	under(&f, check_application);
	seccomp_filter_free(&f);
	f = profile(SECCOMP_SYSTEM, 0);
	under(&f, check_system);
	seccomp_filter_free(&f);
}

TEST(a_foreign_architecture_is_killed)
{
	const struct seccomp_spec s = { .default_action = ALLOW };
	struct seccomp_filter f;
	int status, listener;
	struct err e;
	pid_t pid;

	if (!has_i386())
		SKIP("this kernel runs no i386 programs");
	f = compiled(&s);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    seccomp_install(&f, &listener, &e) < 0)
			_exit(1);
		i386_call(20, 0, 0);
		_exit(2);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status));
	CHECK_INT(WTERMSIG(status), SIGSYS);
	seccomp_filter_free(&f);
}

TEST(a_notifying_filter_has_a_listener)
{
	const struct seccomp_spec s = {
		.default_action = ALLOW,
		.flags = NAMES("SECCOMP_FILTER_FLAG_TSYNC",
			       "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"),
		RULES({ .names = NAMES("mkdir"), .action = "SCMP_ACT_NOTIFY" }),
	};
	struct seccomp_filter f = compiled(&s);
	struct err e = { 0 };
	int status, listener = -2;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    seccomp_install(&f, &listener, &e) < 0)
			_exit(1);
		_exit(listener > 2 ? 0 : 2);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
	seccomp_filter_free(&f);
}

TEST(installing_without_privilege_says_so)
{
	const struct seccomp_spec s = { .default_action = ALLOW };
	struct seccomp_filter f = compiled(&s);
	struct err e = { 0 };
	int listener = -2, status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		if (geteuid() == 0 && setuid(65534) < 0)
			_exit(3);
		_exit(seccomp_install(&f, &listener, &e) == -1 && e.code == EACCES &&
				      listener == -2 ?
			      0 :
			      1);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
	seccomp_filter_free(&f);
}
