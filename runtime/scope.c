/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/apply.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/resources.h"
#include "runtime/spec.h"

#define BUSCTL	       "busctl"
#define MANAGER	       "org.freedesktop.systemd1.Manager"
#define PROPERTIES_MAX 64
#define WAIT_MS	       10000

/* ---- words for busctl ---- */

struct words {
	struct arena *a;
	const char *v[4 * PROPERTIES_MAX + 1];
	size_t n;
	unsigned properties;
	bool failed;
};

static void add_word(struct words *w, const char *word)
{
	if (!word || w->n + 1 >= sizeof(w->v) / sizeof(*w->v))
		w->failed = true;
	else
		w->v[w->n++] = word;
}

static void add_text(struct words *w, const char *name, const char *type, const char *value)
{
	add_word(w, name);
	add_word(w, type);
	add_word(w, value);
	w->properties++;
}

/* "infinity" in systemd's numbers is the largest one. */
static void add_number(struct words *w, const char *name, int64_t v)
{
	add_text(w, name, "t", arena_printf(w->a, "%" PRIu64, v < 0 ? UINT64_MAX : (uint64_t)v));
}

static void add_limits(struct words *w, const struct resources_spec *r)
{
	int64_t weight = resources_cpu_weight(r), swap;

	if (r->memory.limit.set && r->memory.limit.v)
		add_number(w, "MemoryMax", r->memory.limit.v);
	if (r->memory.reservation.set && r->memory.reservation.v)
		add_number(w, "MemoryLow", r->memory.reservation.v);
	if (resources_swap_max(r, &swap))
		add_number(w, "MemorySwapMax", swap);
	if (r->pids_limit.set)
		add_number(w, "TasksMax", resources_pids_max(r));
	if (r->cpu.quota.set && r->cpu.quota.v) {
		int64_t period = r->cpu.period.set && r->cpu.period.v ? (int64_t)r->cpu.period.v :
									100000;

		/* in a second; systemd knows hundredths of a percent */
		add_number(w, "CPUQuotaPerSecUSec",
			   r->cpu.quota.v < 0 ?
				   -1 :
				   (r->cpu.quota.v * 1000000 / period + 9999) / 10000 * 10000);
	}
	if (weight)
		add_number(w, "CPUWeight", weight);
}

/* "org.systemd.property.KillSignal": "15" and the like: GVariant's text of numbers, truths and strings. */
static int add_annotations(struct words *w, const struct spec *s, struct err *e)
{
	for (size_t i = 0; i < s->n_annotations; i++) {
		const char *name = str_after(s->annotations[i].key, "org.systemd.property.");
		const char *value = s->annotations[i].value, *number;
		size_t len = strlen(value);
		int64_t v;

		if (!name)
			continue;
		if (strspn(name,
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") !=
			    strlen(name) ||
		    !*name)
			return err_set(e, ERR_INVALID, "annotation '%.80s': no property's name",
				       name);
		number = str_after(value, "uint64 ");
		if (number && parse_i64(number, 0, INT64_MAX, &v) == 0)
			add_text(w, name, "t", number);
		else if (parse_i64(value, INT32_MIN, INT32_MAX, &v) == 0)
			add_text(w, name, "i", value);
		else if (streq(value, "true") || streq(value, "false"))
			add_text(w, name, "b", value);
		else if (len > 1 && (*value == '\'' || *value == '"') && value[len - 1] == *value)
			add_text(w, name, "s", arena_strndup(w->a, value + 1, len - 2));
		else
			return err_set(e, ERR_INVALID,
				       "annotation '%.80s': cannot understand '%.80s'", name,
				       value);
	}
	return 0;
}

/* ---- names and places ---- */

static bool is_unit_name(const char *s)
{
	return *s &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:-_.\\@") ==
		       strlen(s);
}

/* "a-b.slice" lies in "a.slice"; "-.slice" is the root. */
static int expand_slice(const char *slice, struct str *out, struct err *e)
{
	size_t len = strlen(slice), end = len - strlen(".slice");

	if (len <= strlen(".slice") || !streq(slice + end, ".slice") || !is_unit_name(slice) ||
	    strstr(slice, "--") || (*slice == '-' && end != 1))
		return err_set(e, ERR_INVALID,
			       "linux.cgroupsPath: '%.80s' is not the name of a slice", slice);
	if (*slice == '-')
		return 0;
	for (size_t i = 1; i <= end; i++)
		if (i == end || slice[i] == '-')
			str_addf(out, "%.*s.slice/", (int)i, slice);
	return 0;
}

int scope_plan(const struct spec *s, const char *id, bool user, struct arena *a, struct scope *out,
	       struct err *e)
{
	const char *given = s->cgroups_path && *s->cgroups_path ? s->cgroups_path : NULL;
	const char *first = given ? strchr(given, ':') : NULL,
		   *second = first ? strchr(first + 1, ':') : NULL;
	const char *slice = user ? "user.slice" : "system.slice", *prefix = "ctr", *name = id;
	auto_str struct str path = { 0 };
	struct words *w = arena_alloc(a, sizeof(*w));

	if (!w)
		return err_set(e, ENOMEM, "cannot plan");
	if (given && (!second || strchr(second + 1, ':')))
		return err_set(
			e, ERR_INVALID,
			"linux.cgroupsPath: '%.200s' is not SLICE:PREFIX:NAME, as cgroups made by "
			"systemd are named",
			given);
	if (given) {
		slice = first == given ? slice : arena_strndup(a, given, (size_t)(first - given));
		prefix = arena_strndup(a, first + 1, (size_t)(second - first - 1));
		name = second + 1;
	}
	w->a = a;
	out->user = user;
	out->slice = slice;
	/* a slice is named by itself, as the pods of some callers are */
	out->unit = !prefix || !*prefix ? name : arena_printf(a, "%s-%s", prefix, name);
	if (out->unit && !strstr(out->unit, ".scope"))
		out->unit = arena_printf(a, "%s.scope", out->unit);
	if (!slice || !out->unit)
		return err_set(e, ENOMEM, "cannot plan");
	if (!is_unit_name(out->unit) || strlen(out->unit) > 255)
		return err_set(e, ERR_INVALID,
			       "linux.cgroupsPath: '%.200s' is not the name of a unit", out->unit);
	if (user)
		str_addf(&path, "user.slice/user-%u.slice/user@%u.service/", geteuid(), geteuid());
	if (expand_slice(slice, &path, e) < 0)
		return -1;
	str_add(&path, out->unit);
	out->path = path.failed ? NULL : arena_strdup(a, str_text(&path));
	add_limits(w, &s->resources);
	if (add_annotations(w, s, e) < 0)
		return -1;
	if (w->failed || !out->path)
		return err_set(e, ERR_INVALID, "too many properties of a unit");
	w->v[w->n] = NULL;
	out->properties = w->v;
	out->n_properties = w->properties;
	return 0;
}

/* ---- talking ---- */

bool scope_is_available(bool user)
{
	char path[64];

	if (user)
		snprintf(path, sizeof(path), "/run/user/%u/systemd", geteuid());
	return access(user ? path : "/run/systemd/system", F_OK) == 0 &&
	       (access("/usr/bin/" BUSCTL, X_OK) == 0 || access("/bin/" BUSCTL, X_OK) == 0);
}

/* Runs busctl with these words; what it says on standard error is the reason of a failure. */
static int run_busctl(const char *const *argv, struct err *e)
{
	char said[512] = "";
	int ends[2], status = 1;
	ssize_t n, len = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(e, errno, "cannot make a pipe");
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(ends[1], 2) < 0)
			_exit(127);
		execvp(BUSCTL, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(ends[1]);
	while (pid > 0 && len < (ssize_t)sizeof(said) - 1 &&
	       ((n = read(ends[0], said + len, sizeof(said) - 1 - (size_t)len)) > 0 ||
		(n < 0 && errno == EINTR)))
		len += n > 0 ? n : 0;
	close(ends[0]);
	said[len] = '\0';
	said[strcspn(said, "\n")] = '\0';
	if (pid < 0)
		return err_set(e, errno, "cannot start '" BUSCTL "'");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(
			e, ERR_NOT_SUPPORTED,
			"'" BUSCTL
			"' cannot be executed, which talks to systemd (Debian: package systemd)");
	return err_set(e, ERR_INVALID, "systemd: %s", *said ? said : BUSCTL " failed");
}

/* @head, then the properties. */
static int call(const struct scope *s, const char *const *head, const char *const *middle,
		const char *const *tail, struct err *e)
{
	const char *argv[4 * PROPERTIES_MAX + 40];
	size_t n = 0;

	argv[n++] = BUSCTL;
	if (s->user)
		argv[n++] = "--user";
	for (const char *const *w = head; *w; w++)
		argv[n++] = *w;
	for (const char *const *w = middle; *w; w++)
		argv[n++] = *w;
	for (const char *const *w = s->properties; *w; w++)
		argv[n++] = *w;
	for (const char *const *w = tail; *w; w++)
		argv[n++] = *w;
	argv[n] = NULL;
	return run_busctl(argv, e);
}

#define METHOD(name) "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1", MANAGER, name

/* Sleeps in the scope until the container is there, and no longer than we live. */
static pid_t start_sleeper(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		pause();
	_exit(0);
}

/* The method returns before its job is done: the sleeper's own cgroup says when that is. */
static int wait_for_scope(const struct scope *s, pid_t sleeper, struct err *e)
{
	char file[40];

	snprintf(file, sizeof(file), "/proc/%d/cgroup", sleeper);
	for (int ms = 0; ms < WAIT_MS; ms++) {
		auto_str struct str text = { 0 };
		const char *at;

		if (file_read_kernel(AT_FDCWD, file, 65536, &text, e) < 0)
			return -1;
		at = strstr(str_text(&text), "0::/");
		if (at && strncmp(at + 4, s->path, strlen(s->path)) == 0)
			return 0;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return err_set(e, ETIMEDOUT, "systemd does not start '%s'", s->unit);
}

int apply_scope(struct apply *a, const struct step *st, struct err *e)
{
	const struct scope *s = st->scope;
	char pid[16], count[16], what[300];

	a->sleeper = start_sleeper();
	if (a->sleeper < 0)
		return err_set(e, errno, "cannot fork");
	snprintf(pid, sizeof(pid), "%d", a->sleeper);
	snprintf(count, sizeof(count), "%u", s->n_properties + 6);
	snprintf(what, sizeof(what), "container %s", a->id);
	if (call(s,
		 (const char *const[]){ METHOD("StartTransientUnit"), "ssa(sv)a(sa(sv))", s->unit,
					"fail", count, NULL },
		 (const char *const[]){ "Description",
					"s",
					what,
					"Slice",
					"s",
					s->slice,
					"Delegate",
					"b",
					"true",
					"PIDs",
					"au",
					"1",
					pid,
					"DefaultDependencies",
					"b",
					"false",
					"CollectMode",
					"s",
					"inactive-or-failed",
					NULL },
		 (const char *const[]){ "0", NULL }, e) < 0)
		return -1;
	return wait_for_scope(s, a->sleeper, e);
}

void scope_end_sleeper(struct apply *a)
{
	if (a->sleeper > 0)
		own_kill(&a->sleeper);
	a->sleeper = 0;
}

int scope_update(const char *path, const struct resources_spec *r, bool user, struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	const char *slash = strrchr(path, '/'), *unit = slash ? slash + 1 : path;
	size_t len = strlen(unit);
	struct words *w = a ? arena_alloc(a, sizeof(*w)) : NULL;
	struct scope s = { .unit = unit, .user = user };
	char count[16];

	if (!w)
		return err_set(e, ENOMEM, "cannot update");
	if (len <= strlen(".scope") || !streq(unit + len - strlen(".scope"), ".scope") ||
	    !scope_is_available(user))
		return 0;
	w->a = a;
	add_limits(w, r);
	if (w->failed)
		return err_set(e, ENOMEM, "cannot update");
	if (!w->properties)
		return 0;
	s.properties = w->v;
	snprintf(count, sizeof(count), "%u", w->properties);
	return call(&s,
		    (const char *const[]){ METHOD("SetUnitProperties"), "sba(sv)", unit, "true",
					   count, NULL },
		    (const char *const[]){ NULL }, (const char *const[]){ NULL }, e);
}
