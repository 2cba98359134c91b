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
#include "runtime/scope_properties.h"
#include "runtime/spec.h"

#define BUSCTL	   "busctl"
#define MANAGER	   "org.freedesktop.systemd1.Manager"
#define WAIT_MS	   10000
#define NOTICED_MS 200
#define GONE_MS	   3000
#define RETRY_MS   20

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
	struct properties *p = arena_alloc(a, sizeof(*p));

	if (!p)
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
	p->a = a;
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
	properties_add_limits(p, &s->resources);
	if (properties_add_annotations(p, s, e) < 0)
		return -1;
	if (p->failed || !out->path)
		return err_set(e, ERR_INVALID, "too many properties of a unit");
	out->properties = p;
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

static size_t count_blanks(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += *s == ' ';
	return n;
}

/* @head, then the properties. */
static int call(const struct scope *s, const char *const *head, const char *const *middle,
		const char *const *tail, struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	const char **argv;
	size_t n = 0, max = 64;

	for (size_t i = 0; s->properties && i < s->properties->n; i++)
		max += 1 + count_blanks(s->properties->v[i]);
	argv = a ? arena_alloc(a, max * sizeof(*argv)) : NULL;
	if (!argv)
		return err_set(e, ENOMEM, "cannot call systemd");
	argv[n++] = BUSCTL;
	if (s->user)
		argv[n++] = "--user";
	argv[n++] = "--"; /* an annotation's value is no option */
	for (const char *const *w = head; *w; w++)
		argv[n++] = *w;
	for (const char *const *w = middle; *w; w++)
		argv[n++] = *w;
	for (size_t i = 0; s->properties && i < s->properties->n; i += 3) {
		const char *const *w = s->properties->v + i;

		argv[n++] = w[0];
		argv[n++] = w[1];
		if (*w[1] != 'a') {
			argv[n++] = w[2];
			continue;
		}
		for (char *rest = arena_strdup(a, w[2]); rest;)
			argv[n++] = strsep(&rest, " ");
	}
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

/*
 * A scope of the same name that has just become empty is in systemd's books for another moment: a container that is
 * started anew waits for that. One that lives was refused before, as the cgroup's.
 */
static int start_unit(const struct scope *s, const char *const *head, const char *const *middle,
		      const char *const *tail, struct err *e)
{
	for (int ms = 0;; ms += RETRY_MS) {
		struct err failed;

		if (call(s, head, middle, tail, &failed) == 0)
			return 0;
		if (!strstr(failed.msg, "was already loaded") || ms >= GONE_MS) {
			*e = failed;
			return -1;
		}
		nanosleep(&(struct timespec){ .tv_nsec = RETRY_MS * 1000000L }, NULL);
	}
}

int apply_scope(struct apply *a, const struct step *st, struct err *e)
{
	const struct scope *s = st->scope;
	char pid[16], count[16], what[300];

	a->sleeper = start_sleeper();
	if (a->sleeper < 0)
		return err_set(e, errno, "cannot fork");
	snprintf(pid, sizeof(pid), "%d", a->sleeper);
	snprintf(count, sizeof(count), "%u", (unsigned)s->properties->n / 3 + 6);
	snprintf(what, sizeof(what), "container %s", a->id);
	if (start_unit(s,
		       (const char *const[]){ METHOD("StartTransientUnit"), "ssa(sv)a(sa(sv))",
					      s->unit, "fail", count, NULL },
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

const char *scope_unit(const char *path)
{
	const char *slash = strrchr(path, '/'), *unit = slash ? slash + 1 : path;
	size_t len = strlen(unit);

	return len > strlen(".scope") && streq(unit + len - strlen(".scope"), ".scope") ? unit :
											  NULL;
}

static bool is_gone(const char *dir, int ms)
{
	for (; access(dir, F_OK) == 0; ms--) {
		if (ms <= 0)
			return false;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return true;
}

void scope_end(const char *root, const char *path)
{
	const char *unit = scope_unit(path);
	char full[PATH_MAX];
	struct err ignored;
	bool user;

	if (!unit)
		return;
	user = geteuid() != 0;
	if (!scope_is_available(user))
		return;
	snprintf(full, sizeof(full), "%s/%s", root, path);
	(void)cgroup_kill(root, path, &ignored);
	if (is_gone(full, NOTICED_MS))
		return;
	/* it fails for what systemd does not know */
	if (call(&(struct scope){ .user = user },
		 (const char *const[]){ METHOD("StopUnit"), "ss", unit, "replace", NULL },
		 (const char *const[]){ NULL }, (const char *const[]){ NULL }, &ignored) == 0)
		(void)is_gone(full, GONE_MS);
}

int scope_update(const char *path, const struct resources_spec *r, bool user, struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	const char *unit = scope_unit(path);
	struct properties *p = a ? arena_alloc(a, sizeof(*p)) : NULL;
	struct scope s = { .unit = unit, .user = user };
	char count[16];

	if (!p)
		return err_set(e, ENOMEM, "cannot update");
	if (!unit || !scope_is_available(user))
		return 0;
	p->a = a;
	properties_add_limits(p, r);
	if (p->failed)
		return err_set(e, ENOMEM, "cannot update");
	if (!p->n)
		return 0;
	s.properties = p;
	snprintf(count, sizeof(count), "%u", (unsigned)p->n / 3);
	return call(&s,
		    (const char *const[]){ METHOD("SetUnitProperties"), "sba(sv)", unit, "true",
					   count, NULL },
		    (const char *const[]){ NULL }, (const char *const[]){ NULL }, e);
}
