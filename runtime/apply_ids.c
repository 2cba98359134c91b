/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_ids.c - who the payload is: id maps, user and groups; and the limits that hang on the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/apply.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/spec.h"
#include "runtime/userns.h"

/* Its number in the file system of namespaces: PROC_USER_INIT_INO, include/linux/proc_ns.h. */
#define FIRST_USERNS "user:[4026531837]"

int userns_ask_first(struct err *e)
{
	char text[sizeof(FIRST_USERNS)] = "";

	if (readlink("/proc/self/ns/user", text, sizeof(text) - 1) < 0)
		return err_set(e, errno, "cannot read '/proc/self/ns/user'");
	return streq(text, FIRST_USERNS);
}

bool userns_is_first(void)
{
	struct err none;

	return userns_ask_first(&none) != 0;
}

/* One write(2) each, as user_namespaces(7) demands. */
static int write_map(pid_t pid, const char *file, const struct id_map *map, size_t n, struct err *e)
{
	auto_str struct str text = { 0 };
	char path[64];

	for (size_t i = 0; i < n; i++)
		str_addf(&text, "%u %u %u\n", map[i].container, map[i].host, map[i].size);
	if (text.failed)
		return err_set(e, ENOMEM, "cannot map ids");
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	if (file_write_kernel(AT_FDCWD, path, str_text(&text), e) == 0)
		return 0;
	return e->code == EPERM && n ?
		       err_set(e, EPERM,
			       "the ids from %u on cannot be given away in this user namespace: it does not have them",
			       map[0].host) :
		       -1;
}

/* The kernel accepts no range that lies across two of the map's lines, so each is taken as it is. */
static int read_same(const char *file, struct arena *a, struct id_map **out, size_t *n,
		     struct err *e)
{
	auto_str struct str text = { 0 };
	const char *line;
	size_t lines = 0;

	if (file_read_kernel(AT_FDCWD, file, 65536, &text, e) < 0)
		return -1;
	for (const char *c = str_text(&text); *c; c++)
		lines += *c == '\n';
	*out = arena_array(a, lines, sizeof(**out));
	*n = 0;
	if (lines && !*out)
		return err_set(e, ENOMEM, "user namespace");
	for (line = str_text(&text); *n < lines; line = strchr(line, '\n') + 1) {
		struct id_map *m = &(*out)[*n];

		if (sscanf(line, "%u %*u %u", &m->container, &m->size) != 2)
			return err_set(e, ERR_INVALID, "'%s' is no map", file);
		m->host = m->container;
		(*n)++;
	}
	return 0;
}

int userns_map_same(struct arena *a, struct id_map **uid, size_t *n_uid, struct id_map **gid,
		    size_t *n_gid, struct err *e)
{
	return read_same("/proc/self/uid_map", a, uid, n_uid, e) < 0 ?
		       -1 :
		       read_same("/proc/self/gid_map", a, gid, n_gid, e);
}

/* newuidmap(1) or newgidmap(1): they may map what /etc/subuid or /etc/subgid gives the user. */
static int run_mapper(const char *program, pid_t pid, const struct id_map *map, size_t n,
		      struct err *e)
{
	auto_free char(*numbers)[16] = calloc(3 * n + 1, sizeof(*numbers));
	auto_free const char **argv = calloc(3 * n + 3, sizeof(*argv));
	siginfo_t end = { 0 };
	pid_t child;

	if (!numbers || !argv)
		return err_set(e, ENOMEM, "cannot map ids");
	argv[0] = program;
	snprintf(numbers[0], sizeof(*numbers), "%d", pid);
	argv[1] = numbers[0];
	for (size_t i = 0; i < n; i++) {
		const uint32_t values[3] = { map[i].container, map[i].host, map[i].size };

		for (int j = 0; j < 3; j++) {
			snprintf(numbers[3 * i + j + 1], sizeof(*numbers), "%u", values[j]);
			argv[3 * i + j + 2] = numbers[3 * i + j + 1];
		}
	}
	child = fork();
	if (child == 0) {
		execvp(program, (char *const *)argv);
		_exit(127);
	}
	if (child < 0)
		return err_set(e, errno, "cannot fork");
	while (waitid(P_PID, (id_t)child, &end, WEXITED) < 0 && errno == EINTR)
		;
	if (end.si_code == CLD_EXITED && end.si_status == 127)
		return err_set(e, ERR_NOT_SUPPORTED,
			       "'%s' cannot be executed: without it a user can map one id alone "
			       "(Debian: package uidmap)",
			       program);
	if (end.si_code != CLD_EXITED || end.si_status != 0)
		return err_set(e, ERR_INVALID,
			       "%s refused to map ids (are they given to this user in /etc/%s?)",
			       program, streq(program, "newuidmap") ? "subuid" : "subgid");
	return 0;
}

static bool is_own(const struct id_map *map, size_t n, uint32_t id)
{
	return n == 1 && map->size == 1 && map->host == id;
}

static int map_groups(pid_t pid, const struct id_map *map, size_t n, bool unprivileged,
		      struct err *e)
{
	char path[64];

	if (!unprivileged)
		return write_map(pid, "gid_map", map, n, e);
	if (!is_own(map, n, getegid()))
		return run_mapper("newgidmap", pid, map, n, e);
	snprintf(path, sizeof(path), "/proc/%d/setgroups", pid); /* Linux 3.19: before gid_map */
	if (file_write_kernel(AT_FDCWD, path, "deny", e) < 0)
		return -1;
	return write_map(pid, "gid_map", map, n, e);
}

int userns_write_maps(pid_t pid, const struct id_map *uid, size_t n_uid, const struct id_map *gid,
		      size_t n_gid, bool unprivileged, struct err *e)
{
	if (map_groups(pid, gid, n_gid, unprivileged, e) < 0)
		return -1;
	if (unprivileged && !is_own(uid, n_uid, geteuid()))
		return run_mapper("newuidmap", pid, uid, n_uid, e);
	return write_map(pid, "uid_map", uid, n_uid, e);
}

uint32_t userns_host_id(const struct id_map *map, size_t n, uint32_t id, uint32_t unmapped)
{
	for (size_t i = 0; i < n; i++)
		if (id >= map[i].container && id - map[i].container < map[i].size)
			return map[i].host + (id - map[i].container);
	return unmapped;
}

int userns_of(pid_t pid, struct err *e)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_set(e, errno, "cannot open '%s'", path) : fd;
}

int userns_open(const struct id_map *uid, size_t n_uid, const struct id_map *gid, size_t n_gid,
		struct err *e)
{
	struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	auto_child pid_t pid = sys_clone3(&args);

	if (pid < 0)
		return err_set(e, errno, "cannot make a user namespace");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (userns_write_maps(pid, uid, n_uid, gid, n_gid, false, e) < 0)
		return -1;
	return userns_of(pid, e);
}

int apply_id_map(struct apply *a, const struct step *st, struct err *e)
{
	return userns_write_maps(a->pid, st->ids.uid, st->ids.n_uid, st->ids.gid, st->ids.n_gid,
				 st->ids.unprivileged, e);
}

int apply_oom_score(struct apply *a, const struct step *st, struct err *e)
{
	char path[64], value[16];

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", a->pid);
	snprintf(value, sizeof(value), "%d", st->oom_score);
	if (file_write_kernel(AT_FDCWD, path, value, e) < 0) {
		auto_str struct str now = { 0 };
		struct err ignored;
		int64_t is;

		/* who may not write need not, if it has come to be so by inheritance */
		if (file_read_kernel(AT_FDCWD, path, 16, &now, &ignored) == 0 && now.len &&
		    (now.s[strcspn(now.s, "\n")] = '\0',
		     parse_i64(now.s, -1000, 1000, &is) == 0 && is == st->oom_score))
			return 0;
		if (e->code == EACCES || e->code == EPERM)
			return err_in(e, "lowering it needs CAP_SYS_RESOURCE");
		return -1;
	}
	return 0;
}

static int set_rlimit(pid_t pid, const struct step *st, const struct rlimit *limit, struct err *e)
{
	if (prlimit(pid, st->rlimit.resource, limit, NULL) == 0)
		return 0;
	if (errno == EPERM)
		return err_set(e, errno,
			       "cannot raise the hard limit of resource %d to %llu without "
			       "CAP_SYS_RESOURCE",
			       st->rlimit.resource, (unsigned long long)st->rlimit.hard);
	return err_set(e, errno, "cannot set the limit of resource %d", st->rlimit.resource);
}

int apply_rlimit(struct apply *a, const struct step *st, struct err *e)
{
	(void)a;
	return set_rlimit(
		0, st, &(struct rlimit){ .rlim_cur = st->rlimit.soft, .rlim_max = st->rlimit.hard },
		e);
}

/* So that the child can set it: its hard limit, if that is lower. */
int apply_rlimit_raise(struct apply *a, const struct step *st, struct err *e)
{
	struct rlimit limit;

	if (prlimit(a->pid, st->rlimit.resource, NULL, &limit) < 0)
		return err_set(e, errno, "cannot look at the limit of resource %d",
			       st->rlimit.resource);
	if (limit.rlim_max >= st->rlimit.hard)
		return 0;
	limit.rlim_max = st->rlimit.hard;
	return set_rlimit(a->pid, st, &limit, e);
}

/*
 * A bundle's standard streams are opened again by name (/dev/stdout) by many a payload, which then has to be allowed to. Like runc
 * and crun; what cannot be given away is as it is.
 */
static void give_streams(const struct process_spec *p)
{
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;
		int ignored;

		if (fstat(fd, &st) < 0 || S_ISCHR(st.st_mode) || st.st_uid == p->uid)
			continue;
		ignored = fchown(fd, p->uid, p->gid);
		(void)ignored;
	}
}

/*
 * Groups first, while CAP_SETGID is there; capabilities survive the change of uid only because
 * PR_SET_KEEPCAPS says so, and apply_caps() then sets exactly what was asked for.
 */
int apply_user(struct apply *a, const struct step *st, struct err *e)
{
	const struct process_spec *p = st->process;
	const struct ns_spec *user = spec_namespace(a->spec, CLONE_NEWUSER);

	/* crun's annotation, for the caller's groups that give access to its volumes */
	bool keeps = spec_annotation(a->spec, "run.oci.keep_original_groups");

	if (a->spec->oci_version && p->uid)
		give_streams(p);
	if (!keeps && sys_setgroups(p->n_additional_gids, p->additional_gids) < 0) {
		/* denied in a user namespace that an unprivileged user made: nothing can have been gained */
		if (errno != EPERM || !user || p->n_additional_gids)
			return err_set(e, errno, "cannot set the additional groups");
	}
	if (p->uid && prctl(PR_SET_KEEPCAPS, 1) < 0) /* root loses none */
		return err_set(e, errno, "cannot keep capabilities");
	if (sys_setresgid(p->gid) < 0)
		return err_set(e, errno, "cannot become group %u%s", p->gid,
			       errno == EINVAL ? " (is it mapped in the user namespace?)" : "");
	if (sys_setresuid(p->uid) < 0)
		return err_set(e, errno, "cannot become user %u%s", p->uid,
			       errno == EINVAL ? " (is it mapped in the user namespace?)" : "");
	umask(p->has_umask ? p->umask : 022);
	return 0;
}
