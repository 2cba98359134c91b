/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects of runtime-spec 1.3 for Linux, in the order of config.md and config-linux.md; the dump follows it.
 */
#include "runtime/spec_oci.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/arena.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/names.h"
#include "runtime/spec.h"

/* The largest id: (uid_t)-1 means "none" to the kernel. */
#define ID_MAX 0xfffffffeu

/* An offset, and a compile error if the member is not of type @t. */
#define AT(T, m, t)       \
	(offsetof(T, m) + \
	 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((T *)0)->m), t) ? 1 : -1]))

/* The same for a member that is 32 bits wide. */
#define AT32(T, m) (offsetof(T, m) + 0 * sizeof(char[sizeof(((T *)0)->m) == 4 ? 1 : -1]))

#define SIZE_OF(T, m) sizeof(*((T *)0)->m)

/* clang-format off */
#define STRING(k, T, m, ...) \
	{ .key = k, .type = F_STRING, .at = AT(T, m, const char *), .aux = NOWHERE, __VA_ARGS__ }
#define WORD(k, T, m, table, noun, ...) \
	{ .key = k, .type = F_WORD, .at = AT(T, m, const char *), .aux = NOWHERE, \
	  .names = table, .what = noun, __VA_ARGS__ }
#define NUMBER_OF(k, T, m, table, noun, ...) \
	{ .key = k, .type = F_NUMBER_OF, .at = AT32(T, m), .aux = NOWHERE, \
	  .names = table, .what = noun, __VA_ARGS__ }
#define LETTER(k, T, m, set, noun, ...) \
	{ .key = k, .type = F_LETTER, .at = AT(T, m, char), .aux = NOWHERE, \
	  .letters = set, .what = noun, __VA_ARGS__ }
#define BOOL(k, T, m, ...) \
	{ .key = k, .type = F_BOOL, .at = AT(T, m, bool), .aux = NOWHERE, __VA_ARGS__ }
#define BOOL_IF(k, T, m, has, ...) \
	{ .key = k, .type = F_BOOL, .at = AT(T, m, bool), .aux = AT(T, has, bool), __VA_ARGS__ }
#define U32(k, T, m, ...) \
	{ .key = k, .type = F_U32, .at = AT32(T, m), .aux = NOWHERE, __VA_ARGS__ }
#define U32_IF(k, T, m, has, ...) \
	{ .key = k, .type = F_U32, .at = AT32(T, m), .aux = AT(T, has, bool), __VA_ARGS__ }
#define I32(k, T, m, ...) \
	{ .key = k, .type = F_I32, .at = AT32(T, m), .aux = NOWHERE, __VA_ARGS__ }
#define I32_IF(k, T, m, has, ...) \
	{ .key = k, .type = F_I32, .at = AT32(T, m), .aux = AT(T, has, bool), __VA_ARGS__ }
#define U64(k, T, m, ...) \
	{ .key = k, .type = F_U64, .at = AT(T, m, uint64_t), .aux = NOWHERE, __VA_ARGS__ }
#define U64_IF(k, T, m, has, ...) \
	{ .key = k, .type = F_U64, .at = AT(T, m, uint64_t), .aux = AT(T, has, bool), __VA_ARGS__ }
#define I64(k, T, m, ...) \
	{ .key = k, .type = F_I64, .at = AT(T, m, int64_t), .aux = NOWHERE, __VA_ARGS__ }
#define OPT_U64(k, T, m, ...) \
	{ .key = k, .type = F_OPT_U64, .at = AT(T, m, struct opt_u64), .aux = NOWHERE, __VA_ARGS__ }
#define OPT_I64(k, T, m, ...) \
	{ .key = k, .type = F_OPT_I64, .at = AT(T, m, struct opt_i64), .aux = NOWHERE, __VA_ARGS__ }
#define DECIMAL(k, T, m, ...) \
	{ .key = k, .type = F_DECIMAL, .at = AT(T, m, const char *), .aux = NOWHERE, __VA_ARGS__ }
#define STRINGS(k, T, m, ...) \
	{ .key = k, .type = F_STRINGS, .at = AT(T, m, const char *const *), .aux = NOWHERE, __VA_ARGS__ }
#define U32S(k, T, m, n, ...) \
	{ .key = k, .type = F_U32S, .at = AT(T, m, const uint32_t *), .aux = AT(T, n, size_t), __VA_ARGS__ }
#define OBJECT(k, T, m, o, ...) \
	{ .key = k, .type = F_OBJECT, .at = offsetof(T, m), .aux = NOWHERE, .object = &o, __VA_ARGS__ }
#define OBJECT_IF(k, T, m, has, o, ...) \
	{ .key = k, .type = F_OBJECT, .at = offsetof(T, m), .aux = AT(T, has, bool), .object = &o, __VA_ARGS__ }
/* An object whose members are members of T itself. */
#define PART(k, o, ...) \
	{ .key = k, .type = F_OBJECT, .at = 0, .aux = NOWHERE, .object = &o, __VA_ARGS__ }
#define PART_IF(k, T, has, o, ...) \
	{ .key = k, .type = F_OBJECT, .at = 0, .aux = AT(T, has, bool), .object = &o, __VA_ARGS__ }
#define POINTER(k, T, m, o, ...) \
	{ .key = k, .type = F_POINTER, .at = offsetof(T, m), .aux = NOWHERE, \
	  .size = SIZE_OF(T, m), .object = &o, __VA_ARGS__ }
#define LIST(k, T, m, n, o, ...) \
	{ .key = k, .type = F_LIST, .at = offsetof(T, m), .aux = AT(T, n, size_t), \
	  .size = SIZE_OF(T, m), .object = &o, __VA_ARGS__ }
#define KEYED(k, T, m, n, o, ...) \
	{ .key = k, .type = F_KEYED, .at = offsetof(T, m), .aux = AT(T, n, size_t), \
	  .size = SIZE_OF(T, m), .object = &o, __VA_ARGS__ }
#define PAIRS(k, T, m, n, ...) \
	{ .key = k, .type = F_PAIRS, .at = AT(T, m, struct key_value *), .aux = AT(T, n, size_t), __VA_ARGS__ }
#define CAPS(k, T, m) \
	{ .key = k, .type = F_CAPS, .at = AT(T, m, uint64_t), .aux = NOWHERE }
#define ACCESS(k, T, m, ...) \
	{ .key = k, .type = F_ACCESS, .at = AT(T, m, unsigned), .aux = NOWHERE, __VA_ARGS__ }
#define END { .key = NULL }
/* clang-format on */

/* ---- What strings may be ---- */

static int check_absolute(struct reader *r, const char *s)
{
	return s[0] == '/' ? 0 : reader_fail(r, "expected an absolute path, not '%.200s'", s);
}

static int check_filled(struct reader *r, const char *s)
{
	return *s ? 0 : reader_fail(r, "must not be empty");
}

static int check_one_line(struct reader *r, const char *s)
{
	return strchr(s, '\n') ? reader_fail(r, "must not contain a line break") : 0;
}

static int check_mem_bw(struct reader *r, const char *s)
{
	if (!str_after(s, "MB:"))
		return reader_fail(r, "expected text that begins with 'MB:', not '%.100s'", s);
	return check_one_line(r, s);
}

/* Skips a decimal number; NULL if there is none. */
static const char *skip_number(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n ? s + n : NULL;
}

/* "0-3,7": what cpuset(7) calls the list format. */
static int check_cpu_list(struct reader *r, const char *list)
{
	const char *s = list;

	for (;;) {
		s = skip_number(s);
		if (s && *s == '-')
			s = skip_number(s + 1);
		if (!s || (*s && *s != ','))
			return reader_fail(r, "expected a list such as '0-3,7', not '%.100s'",
					   list);
		if (!*s++)
			return 0;
	}
}

/* "2MB", as in the names of the kernel's hugetlb files. */
static int check_page_size(struct reader *r, const char *size)
{
	const char *s = skip_number(size);

	if (!s || !strchr("KMG", s[0]) || !s[0] || !streq(s + 1, "B"))
		return reader_fail(r, "expected a size such as '2MB', not '%.100s'", size);
	return 0;
}

/* A file of the cgroup's own directory: nothing that leads out of it. */
static int check_file_name(struct reader *r, const char *s)
{
	if (!*s || *s == '.' || strchr(s, '/'))
		return reader_fail(r, "expected a file name of the cgroup as key");
	return 0;
}

/*
 * The grammar of a sysctl's name. CVE-2022-0811: with a '+' in it, one sysctl became two on the way through a
 * helper's command line. Empty parts would make "..", or an absolute path.
 */
static int check_sysctl_key(struct reader *r, const char *key)
{
	bool separator = true;

	for (const char *s = key; *s; s++) {
		bool is = *s == '.' || *s == '/';

		if ((is && separator) ||
		    !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-",
			    *s))
			return reader_fail(r, "is no name of a sysctl");
		separator = is;
	}
	return separator ? reader_fail(r, "is no name of a sysctl") : 0;
}

/* What the kernel's dev_valid_name() takes; one %d lets the kernel choose a number. */
static int check_interface(struct reader *r, const char *name)
{
	size_t n = strlen(name);
	const char *percent = strchr(name, '%');

	if (!n || n > 15 || streq(name, ".") || streq(name, "..") ||
	    strpbrk(name, "/: \t\n\v\f\r") ||
	    (percent && (percent[1] != 'd' || strchr(percent + 1, '%'))))
		return reader_fail(r, "'%.40s' cannot be the name of a network interface", name);
	return 0;
}

static int check_env(struct reader *r, const char *s)
{
	if (*s == '=' || !strchr(s, '='))
		return reader_fail(r, "expected 'NAME=value', not '%.100s'", s);
	return 0;
}

static int check_cgroups_path(struct reader *r, const char *path)
{
	const char *s = path;

	while ((s = strstr(s, ".."))) {
		if ((s == path || s[-1] == '/') && (!s[2] || s[2] == '/'))
			return reader_fail(r, "'..' is not allowed in '%.200s'", path);
		s += 2;
	}
	return 0;
}

/* Semantic versioning 2.0.0: "1.3.0", "1.0.2-dev", "1.2.0+dev". */
static bool is_version(const char *s)
{
	for (int part = 0; part < 3; part++) {
		const char *end = skip_number(s);

		if (!end || (*s == '0' && end - s > 1) || (part < 2 && *end != '.'))
			return false;
		s = part < 2 ? end + 1 : end;
	}
	if (!*s)
		return true;
	return (*s == '-' || *s == '+') && s[1] &&
	       !s[strspn(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-+")];
}

static int check_version(struct reader *r, const char *s)
{
	if (!is_version(s))
		return reader_fail(r, "expected a version such as '1.3.0', not '%.100s'", s);
	return str_after(s, "1.") ?
		       0 :
		       reader_fail(r, "version '%.100s' is not supported: only 1.x is", s);
}

/* Joins a relative path to the bundle's. */
static int resolve(struct reader *r, const char **path)
{
	const char *bundle = r->bundle;
	size_t n = bundle ? strlen(bundle) : 0;
	const char *joined;

	if (!bundle || **path == '/')
		return 0;
	joined = arena_printf(r->arena, "%s%s%s", bundle, n && bundle[n - 1] == '/' ? "" : "/",
			      *path);
	if (!joined)
		return reader_fail(r, "out of memory");
	*path = joined;
	return 0;
}

/* ---- process ---- */

struct env_entry {
	const char *text;
	size_t name_len, index;
};

static int compare_env(const void *a, const void *b)
{
	const struct env_entry *x = a, *y = b;
	int c = strncmp(x->text, y->text, x->name_len < y->name_len ? x->name_len : y->name_len);

	if (c)
		return c;
	if (x->name_len != y->name_len)
		return x->name_len < y->name_len ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

/* Of variables given more than once the last counts, once; what remains keeps its order (as runc has it). */
static int drop_duplicate_env(struct reader *r, struct process_spec *p)
{
	const char **env = (const char **)p->env; /* this reader's own array */
	auto_free struct env_entry *sorted = NULL;
	size_t n = 0, kept = 0;

	while (env && env[n])
		n++;
	if (n < 2)
		return 0;
	sorted = calloc(n, sizeof(*sorted));
	if (!sorted)
		return reader_fail_in(r, "env", "out of memory");
	for (size_t i = 0; i < n; i++)
		sorted[i] = (struct env_entry){ env[i], strcspn(env[i], "="), i };
	qsort(sorted, n, sizeof(*sorted), compare_env);
	for (size_t i = 0; i + 1 < n; i++)
		if (sorted[i].name_len == sorted[i + 1].name_len &&
		    memcmp(sorted[i].text, sorted[i + 1].text, sorted[i].name_len) == 0)
			env[sorted[i].index] = NULL;
	for (size_t i = 0; i < n; i++)
		if (env[i])
			env[kept++] = env[i];
	env[kept] = NULL;
	return 0;
}

static int check_process(struct reader *r, void *base)
{
	struct process_spec *p = base;
	unsigned seen = 0;

	for (size_t i = 0; i < p->n_rlimits; i++) {
		char key[48];

		if (seen & 1u << p->rlimits[i].resource) {
			snprintf(key, sizeof(key), "rlimits[%zu].type", i);
			return reader_fail_in(r, key, "'%s' is given twice",
					      table_name(rlimit_names, p->rlimits[i].resource));
		}
		seen |= 1u << p->rlimits[i].resource;
	}
	return drop_duplicate_env(r, p);
}

static int check_rlimit(struct reader *r, void *base)
{
	const struct rlimit_spec *l = base;

	if (l->soft > l->hard)
		return reader_fail_in(r, "soft", "%llu is above the hard limit %llu",
				      (unsigned long long)l->soft, (unsigned long long)l->hard);
	return 0;
}

static const struct field console_size_fields[] = {
	U32("height", struct process_spec, console_height, .flags = REQUIRED, .hi = UINT16_MAX),
	U32("width", struct process_spec, console_width, .flags = REQUIRED, .hi = UINT16_MAX),
	END,
};
static const struct object console_size = { .fields = console_size_fields };

static const struct field user_fields[] = {
	U32("uid", struct process_spec, uid, .flags = ALWAYS, .hi = ID_MAX),
	U32("gid", struct process_spec, gid, .flags = ALWAYS, .hi = ID_MAX),
	U32_IF("umask", struct process_spec, umask, has_umask, .hi = 0777),
	U32S("additionalGids", struct process_spec, additional_gids, n_additional_gids,
	     .hi = ID_MAX),
	END,
};
static const struct object user = { .fields = user_fields };

static const struct field capabilities_fields[] = {
	CAPS("bounding", struct process_spec, caps[CAPS_BOUNDING]),
	CAPS("effective", struct process_spec, caps[CAPS_EFFECTIVE]),
	CAPS("inheritable", struct process_spec, caps[CAPS_INHERITABLE]),
	CAPS("permitted", struct process_spec, caps[CAPS_PERMITTED]),
	CAPS("ambient", struct process_spec, caps[CAPS_AMBIENT]),
	END,
};
static const struct object capabilities = { .fields = capabilities_fields };

static const struct field rlimit_fields[] = {
	NUMBER_OF("type", struct rlimit_spec, resource, rlimit_names, "resource",
		  .flags = REQUIRED),
	U64("hard", struct rlimit_spec, hard, .flags = REQUIRED),
	U64("soft", struct rlimit_spec, soft, .flags = REQUIRED),
	END,
};
static const struct object rlimit = { .fields = rlimit_fields, .check = check_rlimit };

static const struct field scheduler_fields[] = {
	WORD("policy", struct scheduler_spec, policy, sched_policy_names, "policy",
	     .flags = REQUIRED),
	I32("nice", struct scheduler_spec, nice, .lo = -20, .hi = 19),
	I32("priority", struct scheduler_spec, priority, .lo = 0, .hi = 99),
	STRINGS("flags", struct scheduler_spec, flags, .names = sched_flag_names, .what = "flag"),
	U64_IF("runtime", struct scheduler_spec, runtime, has_runtime),
	U64_IF("deadline", struct scheduler_spec, deadline, has_deadline),
	U64("period", struct scheduler_spec, period),
	END,
};
static const struct object scheduler = { .fields = scheduler_fields };

static const struct field io_priority_fields[] = {
	WORD("class", struct process_spec, io_priority_class, io_class_names, "class",
	     .flags = REQUIRED),
	I32("priority", struct process_spec, io_priority, .hi = 7),
	END,
};
static const struct object io_priority = { .fields = io_priority_fields };

static const struct field exec_affinity_fields[] = {
	STRING("initial", struct process_spec, exec_affinity_initial, .check = check_cpu_list),
	STRING("final", struct process_spec, exec_affinity_final, .check = check_cpu_list),
	END,
};
static const struct object exec_affinity = { .fields = exec_affinity_fields };

static const struct field process_fields[] = {
	BOOL("terminal", struct process_spec, terminal),
	PART("consoleSize", console_size),
	PART("user", user, .flags = ALWAYS),
	STRINGS("args", struct process_spec, args, .flags = REQUIRED | FILLED),
	STRINGS("env", struct process_spec, env, .check = check_env),
	STRING("cwd", struct process_spec, cwd, .flags = REQUIRED, .check = check_absolute),
	PART_IF("capabilities", struct process_spec, has_caps, capabilities),
	LIST("rlimits", struct process_spec, rlimits, n_rlimits, rlimit),
	BOOL("noNewPrivileges", struct process_spec, no_new_privileges),
	STRING("apparmorProfile", struct process_spec, apparmor_profile),
	I32_IF("oomScoreAdj", struct process_spec, oom_score_adj, has_oom_score_adj, .lo = -1000,
	       .hi = 1000),
	OBJECT("scheduler", struct process_spec, scheduler, scheduler),
	STRING("selinuxLabel", struct process_spec, selinux_label),
	PART_IF("ioPriority", struct process_spec, has_io_priority, io_priority),
	PART("execCPUAffinity", exec_affinity),
	END,
};
const struct object oci_process = { .fields = process_fields, .check = check_process };

/* ---- root, mounts, hooks ---- */

static int check_root(struct reader *r, void *base)
{
	return resolve(r, &((struct root_spec *)base)->path);
}

static const struct field root_fields[] = {
	STRING("path", struct root_spec, path, .flags = REQUIRED),
	BOOL("readonly", struct root_spec, readonly),
	END,
};
static const struct object root = { .fields = root_fields, .check = check_root };

static const struct field id_map_fields[] = {
	U32("containerID", struct id_map, container, .flags = REQUIRED, .hi = ID_MAX),
	U32("hostID", struct id_map, host, .flags = REQUIRED, .hi = ID_MAX),
	U32("size", struct id_map, size, .flags = REQUIRED),
	END,
};
static const struct object id_map = { .fields = id_map_fields };

static bool is_bind(const struct mount_spec *m)
{
	if (m->type &&
	    streq(m->type, "bind")) /* not in the specification, but all runtimes take it */
		return true;
	for (const char *const *o = m->options; o && *o; o++)
		if (streq(*o, "bind") || streq(*o, "rbind"))
			return true;
	return false;
}

static int check_mount(struct reader *r, void *base)
{
	struct mount_spec *m = base;

	if (!m->n_uid_maps != !m->n_gid_maps)
		return reader_fail(r, "uidMappings and gidMappings must be given together");
	if (!is_bind(m))
		return 0;
	return m->source ? resolve(r, &m->source) : reader_fail(r, "a bind mount needs a 'source'");
}

static const struct field mount_fields[] = {
	STRING("destination", struct mount_spec, destination, .flags = REQUIRED),
	STRING("type", struct mount_spec, type),
	STRING("source", struct mount_spec, source),
	STRINGS("options", struct mount_spec, options),
	LIST("uidMappings", struct mount_spec, uid_maps, n_uid_maps, id_map),
	LIST("gidMappings", struct mount_spec, gid_maps, n_gid_maps, id_map),
	END,
};
static const struct object mount = { .fields = mount_fields, .check = check_mount };

static const struct field hook_fields[] = {
	STRING("path", struct hook_spec, path, .flags = REQUIRED, .check = check_absolute),
	STRINGS("args", struct hook_spec, args),
	STRINGS("env", struct hook_spec, env),
	U32("timeout", struct hook_spec, timeout, .lo = 1, .hi = INT32_MAX),
	END,
};
static const struct object hook = { .fields = hook_fields };

#define HOOKS(key, point) LIST(key, struct spec, hooks[point].list, hooks[point].n, hook)

static const struct field hooks_fields[] = {
	HOOKS("prestart", HOOK_PRESTART),
	HOOKS("createRuntime", HOOK_CREATE_RUNTIME),
	HOOKS("createContainer", HOOK_CREATE_CONTAINER),
	HOOKS("startContainer", HOOK_START_CONTAINER),
	HOOKS("poststart", HOOK_POSTSTART),
	HOOKS("poststop", HOOK_POSTSTOP),
	END,
};
static const struct object hooks = { .fields = hooks_fields };

/* ---- linux.resources ---- */

static int check_device_rule(struct reader *r, void *base)
{
	const struct device_rule *d = base;

	/* A rule that denies without saying what denies all; one that allows must say what. */
	if (d->allow && !d->access)
		return reader_fail_in(r, "access", "expected letters out of 'rwm'");
	return 0;
}

static const struct device_rule any_device = { .type = 'a', .major = -1, .minor = -1 };

static const struct field device_rule_fields[] = {
	BOOL("allow", struct device_rule, allow, .flags = REQUIRED),
	LETTER("type", struct device_rule, type, "abc", "type of device"),
	I64("major", struct device_rule, major, .lo = -1, .hi = UINT32_MAX),
	I64("minor", struct device_rule, minor, .lo = -1, .hi = UINT32_MAX),
	ACCESS("access", struct device_rule, access),
	END,
};
static const struct object device_rule = { .fields = device_rule_fields,
					   .initial = &any_device,
					   .check = check_device_rule };

#define MEMORY(key, m, ...) OPT_I64(key, struct resources_spec, memory.m, .lo = -1, .hi = INT64_MAX)

static const struct field memory_fields[] = {
	MEMORY("limit", limit),
	MEMORY("reservation", reservation),
	MEMORY("swap", swap),
	MEMORY("kernel", kernel),
	MEMORY("kernelTCP", kernel_tcp),
	OPT_U64("swappiness", struct resources_spec, memory.swappiness, .hi = 100),
	BOOL_IF("disableOOMKiller", struct resources_spec, memory.disable_oom_killer,
		memory.has_disable_oom_killer),
	BOOL_IF("useHierarchy", struct resources_spec, memory.use_hierarchy,
		memory.has_use_hierarchy),
	BOOL_IF("checkBeforeUpdate", struct resources_spec, memory.check_before_update,
		memory.has_check_before_update),
	END,
};
static const struct object memory = { .fields = memory_fields };

static int check_cpu(struct reader *r, void *base)
{
	const struct resources_spec *s = base;

	if (s->cpu.burst.set && s->cpu.quota.set && s->cpu.quota.v > 0 &&
	    s->cpu.burst.v > (uint64_t)s->cpu.quota.v)
		return reader_fail_in(r, "burst", "%llu is above the quota %lld",
				      (unsigned long long)s->cpu.burst.v,
				      (long long)s->cpu.quota.v);
	return 0;
}

static const struct field cpu_fields[] = {
	OPT_U64("shares", struct resources_spec, cpu.shares),
	OPT_I64("quota", struct resources_spec, cpu.quota, .lo = -1, .hi = INT64_MAX),
	OPT_U64("burst", struct resources_spec, cpu.burst),
	OPT_U64("period", struct resources_spec, cpu.period),
	OPT_I64("realtimeRuntime", struct resources_spec, cpu.realtime_runtime, .lo = -1,
		.hi = INT64_MAX),
	OPT_U64("realtimePeriod", struct resources_spec, cpu.realtime_period),
	STRING("cpus", struct resources_spec, cpu.cpus, .check = check_cpu_list),
	STRING("mems", struct resources_spec, cpu.mems, .check = check_cpu_list),
	OPT_I64("idle", struct resources_spec, cpu.idle, .hi = 1),
	END,
};
static const struct object cpu = { .fields = cpu_fields, .check = check_cpu };

static const struct field pids_fields[] = {
	OPT_I64("limit", struct resources_spec, pids_limit, .lo = -1, .hi = INT64_MAX),
	END,
};
static const struct object pids = { .fields = pids_fields };

static int check_weight(struct reader *r, void *base)
{
	const struct weight_device *w = base;

	if (!w->weight.set && !w->leaf_weight.set)
		return reader_fail(r, "needs 'weight' or 'leafWeight'");
	return 0;
}

#define DEVICE_NUMBER(key, T, m) I64(key, T, m, .flags = REQUIRED, .hi = UINT32_MAX)

static const struct field weight_device_fields[] = {
	DEVICE_NUMBER("major", struct weight_device, major),
	DEVICE_NUMBER("minor", struct weight_device, minor),
	OPT_U64("weight", struct weight_device, weight, .hi = UINT16_MAX),
	OPT_U64("leafWeight", struct weight_device, leaf_weight, .hi = UINT16_MAX),
	END,
};
static const struct object weight_device = { .fields = weight_device_fields,
					     .check = check_weight };

static const struct field throttle_device_fields[] = {
	DEVICE_NUMBER("major", struct throttle_device, major),
	DEVICE_NUMBER("minor", struct throttle_device, minor),
	U64("rate", struct throttle_device, rate, .flags = REQUIRED),
	END,
};
static const struct object throttle_device = { .fields = throttle_device_fields };

#define THROTTLE(key, which)                                                                     \
	LIST(key, struct resources_spec, block_io.throttles[which], block_io.n_throttles[which], \
	     throttle_device)

static const struct field block_io_fields[] = {
	OPT_U64("weight", struct resources_spec, block_io.weight, .hi = UINT16_MAX),
	OPT_U64("leafWeight", struct resources_spec, block_io.leaf_weight, .hi = UINT16_MAX),
	LIST("weightDevice", struct resources_spec, block_io.weights, block_io.n_weights,
	     weight_device),
	THROTTLE("throttleReadBpsDevice", THROTTLE_READ_BPS),
	THROTTLE("throttleWriteBpsDevice", THROTTLE_WRITE_BPS),
	THROTTLE("throttleReadIOPSDevice", THROTTLE_READ_IOPS),
	THROTTLE("throttleWriteIOPSDevice", THROTTLE_WRITE_IOPS),
	END,
};
static const struct object block_io = { .fields = block_io_fields };

static const struct field hugepage_limit_fields[] = {
	STRING("pageSize", struct key_value, key, .flags = REQUIRED, .check = check_page_size),
	DECIMAL("limit", struct key_value, value, .flags = REQUIRED),
	END,
};
static const struct object hugepage_limit = { .fields = hugepage_limit_fields };

static const struct field net_priority_fields[] = {
	STRING("name", struct key_value, key, .flags = REQUIRED, .check = check_interface),
	DECIMAL("priority", struct key_value, value, .flags = REQUIRED, .hi = UINT32_MAX),
	END,
};
static const struct object net_priority = { .fields = net_priority_fields };

static const struct field network_fields[] = {
	OPT_U64("classID", struct resources_spec, net_class_id, .hi = UINT32_MAX),
	LIST("priorities", struct resources_spec, net_priorities, n_net_priorities, net_priority),
	END,
};
static const struct object network = { .fields = network_fields };

static int check_rdma(struct reader *r, void *base)
{
	const struct rdma_limit *l = base;

	if (!l->handles.set && !l->objects.set)
		return reader_fail(r, "needs 'hcaHandles' or 'hcaObjects'");
	return 0;
}

static const struct field rdma_fields[] = {
	OPT_U64("hcaHandles", struct rdma_limit, handles, .hi = UINT32_MAX),
	OPT_U64("hcaObjects", struct rdma_limit, objects, .hi = UINT32_MAX),
	END,
};
static const struct object rdma = { .fields = rdma_fields, .check = check_rdma };

static const struct field resources_fields[] = {
	LIST("devices", struct resources_spec, devices, n_devices, device_rule),
	PART("memory", memory),
	PART("cpu", cpu),
	PART("pids", pids),
	PART("blockIO", block_io),
	LIST("hugepageLimits", struct resources_spec, hugepages, n_hugepages, hugepage_limit),
	PART("network", network),
	KEYED("rdma", struct resources_spec, rdma, n_rdma, rdma),
	PAIRS("unified", struct resources_spec, unified, n_unified, .check = check_file_name),
	END,
};
const struct object oci_resources = { .fields = resources_fields };

/* ---- linux ---- */

static const struct field namespace_fields[] = {
	NUMBER_OF("type", struct ns_spec, flag, namespace_names, "type of namespace",
		  .flags = REQUIRED),
	STRING("path", struct ns_spec, path, .check = check_absolute),
	END,
};
static const struct object namespace = { .fields = namespace_fields };

static int check_time_offset(struct reader *r, void *base)
{
	const struct time_offset *t = base;

	if (!streq(t->clock, "monotonic") && !streq(t->clock, "boottime"))
		return reader_fail(r, "unknown clock");
	return 0;
}

static const struct field time_offset_fields[] = {
	I64("secs", struct time_offset, secs),
	U32("nanosecs", struct time_offset, nanosecs, .hi = 999999999),
	END,
};
static const struct object time_offset = { .fields = time_offset_fields,
					   .check = check_time_offset };

/* The kernel keeps 12 bits of a major number, 20 of a minor. */
#define MAJOR_MAX 0xfff
#define MINOR_MAX 0xfffff
#define MODE_TYPE 0170000

static int check_device(struct reader *r, void *base)
{
	struct device_spec *d = base;
	mode_t type = d->mode & MODE_TYPE, want = d->type == 'b' ? 0060000 :
						  d->type == 'p' ? 0010000 :
								   0020000;

	if (type && type != want)
		return reader_fail_in(r, "fileMode",
				      "%u is the mode of something else than a device of type '%c'",
				      (unsigned)d->mode, d->type);
	d->mode &= 07777;
	if (d->type == 'p')
		return 0;
	if (d->major < 0 || d->minor < 0)
		return reader_fail(r, "'%s' is missing", d->major < 0 ? "major" : "minor");
	return 0;
}

static const struct device_spec no_device = { .major = -1, .minor = -1 };

static const struct field device_fields[] = {
	LETTER("type", struct device_spec, type, "cbup", "type of device", .flags = REQUIRED),
	STRING("path", struct device_spec, path, .flags = REQUIRED, .check = check_absolute),
	I64("major", struct device_spec, major, .hi = MAJOR_MAX),
	I64("minor", struct device_spec, minor, .hi = MINOR_MAX),
	U32_IF("fileMode", struct device_spec, mode, has_mode, .hi = MODE_TYPE | 07777),
	U32_IF("uid", struct device_spec, uid, has_uid, .hi = ID_MAX),
	U32_IF("gid", struct device_spec, gid, has_gid, .hi = ID_MAX),
	END,
};
static const struct object device = { .fields = device_fields,
				      .initial = &no_device,
				      .check = check_device };

static int check_net_device(struct reader *r, void *base)
{
	const struct net_device *d = base;

	return strchr(d->host, '%') ? reader_fail(r, "expected the name of one interface") :
				      check_interface(r, d->host);
}

static const struct field net_device_fields[] = {
	STRING("name", struct net_device, name, .check = check_interface),
	END,
};
static const struct object net_device = { .fields = net_device_fields, .check = check_net_device };

static int check_errno(struct reader *r, const char *key, const char *action,
		       const struct opt_u64 *n)
{
	long takes_errno = 0;

	if (!n->set)
		return 0;
	(void)table_value(seccomp_action_names, action,
			  &takes_errno); /* known: the reader has seen it */
	if (!takes_errno)
		return reader_fail_in(r, key, "action '%s' takes no error number", action);
	if (streq(action, "SCMP_ACT_ERRNO") &&
	    n->v > 4095) /* MAX_ERRNO; more would be cut silently */
		return reader_fail_in(r, key, "expected an error number up to 4095, not %llu",
				      (unsigned long long)n->v);
	return 0;
}

static int check_seccomp_rule(struct reader *r, void *base)
{
	const struct seccomp_rule *rule = base;

	return check_errno(r, "errnoRet", rule->action, &rule->errno_ret);
}

static int check_seccomp(struct reader *r, void *base)
{
	const struct seccomp_spec *s = base;

	if (s->listener_metadata && !s->listener_path)
		return reader_fail_in(r, "listenerMetadata", "is of no use without 'listenerPath'");
	return check_errno(r, "defaultErrnoRet", s->default_action, &s->default_errno_ret);
}

static const struct field seccomp_arg_fields[] = {
	U32("index", struct seccomp_arg, index, .flags = REQUIRED, .hi = 5),
	U64("value", struct seccomp_arg, value, .flags = REQUIRED),
	U64("valueTwo", struct seccomp_arg, value_two),
	WORD("op", struct seccomp_arg, op, seccomp_op_names, "operator", .flags = REQUIRED),
	END,
};
static const struct object seccomp_arg = { .fields = seccomp_arg_fields };

static const struct field seccomp_rule_fields[] = {
	STRINGS("names", struct seccomp_rule, names, .flags = REQUIRED | FILLED,
		.check = check_filled),
	WORD("action", struct seccomp_rule, action, seccomp_action_names, "action",
	     .flags = REQUIRED),
	OPT_U64("errnoRet", struct seccomp_rule, errno_ret, .hi = UINT16_MAX),
	LIST("args", struct seccomp_rule, args, n_args, seccomp_arg),
	END,
};
static const struct object seccomp_rule = { .fields = seccomp_rule_fields,
					    .check = check_seccomp_rule };

static const struct field seccomp_fields[] = {
	WORD("defaultAction", struct seccomp_spec, default_action, seccomp_action_names, "action",
	     .flags = REQUIRED),
	OPT_U64("defaultErrnoRet", struct seccomp_spec, default_errno_ret, .hi = UINT16_MAX),
	STRINGS("architectures", struct seccomp_spec, architectures, .check = check_filled),
	STRINGS("flags", struct seccomp_spec, flags, .check = check_filled),
	STRING("listenerPath", struct seccomp_spec, listener_path, .check = check_absolute),
	STRING("listenerMetadata", struct seccomp_spec, listener_metadata),
	LIST("syscalls", struct seccomp_spec, rules, n_rules, seccomp_rule),
	END,
};
static const struct object seccomp = { .fields = seccomp_fields, .check = check_seccomp };

static const struct field personality_fields[] = {
	WORD("domain", struct spec, personality_domain, personality_names, "domain",
	     .flags = REQUIRED),
	END,
};
static const struct object personality = { .fields = personality_fields };

/* Which mode takes nodes: set_mempolicy(2). In runc's words. */
static int check_memory_policy(struct reader *r, void *base)
{
	const struct spec *s = base;
	const char *mode = s->memory_policy.mode, *nodes = s->memory_policy.nodes;
	unsigned long mask[MEMORY_NODES_MAX / (8 * sizeof(unsigned long))] = { 0 };
	bool takes_none;
	int count = 0;
	long number;

	if (!mode || !table_value(memory_policy_names, mode, &number))
		return reader_fail(r, "invalid memory policy mode '%.100s'", mode ? mode : "");
	for (const char *const *f = s->memory_policy.flags; f && *f; f++)
		if (!table_value(memory_policy_flag_names, *f, &number))
			return reader_fail(r, "invalid memory policy flag '%.100s'", *f);
	if (nodes && parse_bits(nodes, mask, MEMORY_NODES_MAX) < 0)
		return reader_fail(
			r, "invalid memory policy nodes '%.100s': no list of numbers below %d",
			nodes, MEMORY_NODES_MAX);
	for (size_t i = 0; i < sizeof(mask) / sizeof(mask[0]); i++)
		count += __builtin_popcountl(mask[i]);
	takes_none = streq(mode, "MPOL_DEFAULT") || streq(mode, "MPOL_LOCAL");
	if (count && takes_none)
		return reader_fail(r, "%s mode requires 0 nodes but got %d", mode, count);
	if (!count && !takes_none && !streq(mode, "MPOL_PREFERRED"))
		return reader_fail(r, "%s mode requires at least 1 node", mode);
	return 0;
}

static const struct field memory_policy_fields[] = {
	STRING("mode", struct spec, memory_policy.mode),
	STRING("nodes", struct spec, memory_policy.nodes),
	STRINGS("flags", struct spec, memory_policy.flags),
	END,
};
static const struct object memory_policy = { .fields = memory_policy_fields,
					     .check = check_memory_policy };

static int check_clos_id(struct reader *r, const char *s)
{
	if (!streq(s, "/") && (!*s || strpbrk(s, "/\n") || streq(s, ".") || streq(s, "..")))
		return reader_fail(r, "'%.100s' cannot be the name of a directory", s);
	return 0;
}

static const struct field intel_rdt_fields[] = {
	STRING("closID", struct spec, intel_rdt.clos_id, .check = check_clos_id),
	STRINGS("schemata", struct spec, intel_rdt.schemata, .check = check_one_line),
	STRING("l3CacheSchema", struct spec, intel_rdt.l3_cache_schema),
	STRING("memBwSchema", struct spec, intel_rdt.mem_bw_schema, .check = check_mem_bw),
	BOOL("enableMonitoring", struct spec, intel_rdt.enable_monitoring),
	BOOL("enableCMT", struct spec, intel_rdt.enable_cmt), /* 1.0.2 to 1.2.1 */
	BOOL("enableMBM", struct spec, intel_rdt.enable_mbm),
	END,
};
static const struct object intel_rdt = { .fields = intel_rdt_fields };

static const struct field linux_part_fields[] = {
	LIST("uidMappings", struct spec, uid_maps, n_uid_maps, id_map),
	LIST("gidMappings", struct spec, gid_maps, n_gid_maps, id_map),
	PAIRS("sysctl", struct spec, sysctl, n_sysctl, .check = check_sysctl_key),
	OBJECT("resources", struct spec, resources, oci_resources),
	STRING("cgroupsPath", struct spec, cgroups_path, .check = check_cgroups_path),
	LIST("namespaces", struct spec, namespaces, n_namespaces, namespace, .flags = INLINE,
	     .max = NS_MAX),
	LIST("devices", struct spec, devices, n_devices, device),
	KEYED("netDevices", struct spec, net_devices, n_net_devices, net_device),
	POINTER("seccomp", struct spec, seccomp, seccomp),
	WORD("rootfsPropagation", struct spec, rootfs_propagation, propagation_names,
	     "propagation"),
	STRINGS("maskedPaths", struct spec, masked_paths, .check = check_absolute),
	STRINGS("readonlyPaths", struct spec, readonly_paths, .check = check_absolute),
	STRING("mountLabel", struct spec, mount_label),
	PART_IF("intelRdt", struct spec, intel_rdt.given, intel_rdt),
	PART("memoryPolicy", memory_policy),
	PART("personality", personality),
	KEYED("timeOffsets", struct spec, time_offsets, n_time_offsets, time_offset),
	END,
};
static const struct object linux_part = { .fields = linux_part_fields };

static const struct field spec_fields[] = {
	STRING("ociVersion", struct spec, oci_version, .flags = REQUIRED, .check = check_version),
	OBJECT_IF("process", struct spec, process, has_process, oci_process),
	OBJECT("root", struct spec, root, root, .flags = REQUIRED),
	STRING("hostname", struct spec, hostname),
	STRING("domainname", struct spec, domainname),
	LIST("mounts", struct spec, mounts, n_mounts, mount),
	PART("hooks", hooks),
	PAIRS("annotations", struct spec, annotations, n_annotations, .check = check_filled),
	PART("linux", linux_part),
	END,
};
const struct object oci_spec = { .fields = spec_fields };
