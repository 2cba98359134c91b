/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/oci.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cli/console.h"
#include "cli/verbs.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/life.h"
#include "runtime/plan.h"
#include "runtime/self.h"
#include "runtime/scope.h"
#include "runtime/spec.h"
#include "runtime/userns.h"

/*
 * Root on the host has one place, and so have callers who run many users' containers; a user's own is
 * below XDG_RUNTIME_DIR, also as root of the user namespace that rootless podman makes.
 */
static int choose_root(struct cli *c)
{
	const char *runtime_dir = getenv("XDG_RUNTIME_DIR");

	c->run_root = "/run/ctr-oci";
	if (c->global.root) {
		c->run_root = c->global.root;
		return 0;
	}
	if (!runtime_dir || runtime_dir[0] != '/' || (geteuid() == 0 && userns_is_first()))
		return 0;
	str_addf(&c->run_root_text, "%s/ctr-oci", runtime_dir);
	if (c->run_root_text.failed)
		return err_set(c->e, ENOMEM, "cannot choose the directory of states");
	c->run_root = c->run_root_text.s;
	return 0;
}

int oci_open_root(struct cli *c)
{
	if (c->root_fd < 0)
		c->root_fd = state_open_root(c->run_root, c->e);
	return c->root_fd < 0 ? -1 : 0;
}

int oci_enter(struct cli *c, char **argv)
{
	if (choose_root(c) < 0)
		return -1;
	if ((c->verb->flags & NEED_ID) && state_check_id(argv[0], c->e) < 0)
		return -1;
	if (!(c->verb->flags & NEED_STATE))
		return 0;
	if (oci_open_root(c) < 0)
		return -1;
	c->arena = arena_new(0);
	if (!c->arena)
		return err_set(c->e, ENOMEM, "cannot read the state");
	if (c->verb->flags & NEED_NO_LOCK) {
		if (state_look(c->root_fd, argv[0], &c->dir, c->e) < 0)
			return -1;
		if (state_read(&c->dir, c->arena, &c->state, c->e) == 0)
			return 0;
		if (c->e->code != ERR_STATE)
			return -1;
		state_close(&c->dir); /* just being made: there is no state to look at yet */
	}
	if (state_open(c->root_fd, argv[0], &c->dir, c->e) < 0)
		return -1;
	return state_read(&c->dir, c->arena, &c->state, c->e);
}

void oci_leave(struct cli *c)
{
	state_close(&c->dir);
	arena_free(c->arena);
	str_free(&c->run_root_text);
}

struct spec *oci_read_spec(struct cli *c)
{
	auto_str struct str text = { 0 };
	struct spec *s;

	if (state_read_config(&c->dir, &text, c->e) < 0)
		return NULL;
	s = spec_oci_parse(str_text(&text), text.len, c->state.bundle, c->e);
	if (!s)
		err_in(c->e, "configuration of '%s'", c->dir.id);
	return s;
}

int oci_read_group(struct cli *c, struct resctrl *g)
{
	auto_spec struct spec *s = oci_read_spec(c);

	if (!s)
		return -1;
	if (!s->intel_rdt.given)
		return 0;
	if (plan_resctrl(c->arena, s, g, c->e) < 0)
		return -1;
	/* the spec goes */
	if (g->group && !(g->group = arena_strdup(c->arena, g->group)))
		return err_set(c->e, ENOMEM, "cannot read the group of '%s'", c->dir.id);
	return 1;
}

int oci_plan_options(struct cli *c, const char *id, struct plan_options *o)
{
	const char *manager = c->global.cgroup_manager;
	bool systemd = manager ? streq(manager, "systemd") : c->global.systemd_cgroup;

	if (manager && !systemd && !streq(manager, "cgroupfs") && !streq(manager, "disabled"))
		return err_set(c->e, ERR_USAGE,
			       "--cgroup-manager is 'cgroupfs', 'systemd' or 'disabled', not '%s'",
			       manager);
	if (systemd && !scope_is_available(geteuid() != 0))
		return err_set(
			c->e, ERR_NOT_SUPPORTED,
			"systemd does not run here, or has no busctl: leave out --systemd-cgroup "
			"(podman: cgroup_manager = \"cgroupfs\" in containers.conf)");
	*o = (struct plan_options){
		.id = id,
		.cgroup_prefix = "ctr-oci-",
		.no_cgroup = manager && streq(manager, "disabled"),
		.systemd = systemd,
	};
	return 0;
}

int oci_new_state(struct cli *c, const char *id)
{
	struct err e;

	if (oci_open_root(c) < 0)
		return -1;
	if (state_recover(c->root_fd, &e) < 0)
		log_warn("%s", e.msg);
	return state_create(c->root_fd, id, &c->dir, c->e);
}

int oci_undo(struct cli *c)
{
	struct err other;

	if (state_undo(&c->dir, &other) < 0) {
		log_warn("%s", other.msg);
		state_forget(
			&c->dir); /* without keeping the promise: the next command tries again */
	}
	return -1;
}

/*
 * The lock was given up while the payload ran, so that others could exec and kill; and may be taken by one
 * who deletes the container under us, which is as good.
 */
int oci_clean_up(struct cli *c, const struct spec *s)
{
	struct err e;

	if (state_lock(&c->dir, &e) == 0)
		return life_delete(&c->dir, NULL, s, c->e);
	if (e.code == ERR_NO_SUCH)
		return 0;
	*c->e = e;
	return -1;
}

char *oci_time(int64_t ns, char *buf, unsigned size)
{
	time_t seconds = (time_t)(ns / 1000000000);
	char day[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, size, "%s.%09ldZ", day, (long)(ns % 1000000000));
	return buf;
}

/* The file itself: no name service belongs into a runtime. */
char *oci_owner(uint32_t uid, char *buf, unsigned size)
{
	auto_str struct str passwd = { 0 };
	struct err ignored;
	char *line, *rest;

	snprintf(buf, size, uid ? "#%u" : "root", uid);
	if (uid == 0 || file_read(AT_FDCWD, "/etc/passwd", 1u << 20, &passwd, &ignored) < 0)
		return buf;
	for (rest = passwd.s; rest && (line = strsep(&rest, "\n"));) {
		char *name = strsep(&line, ":"), *number;
		uint64_t value;

		(void)strsep(&line, ":"); /* the password's place */
		number = strsep(&line, ":");
		if (number && *name && parse_u64(number, 0, UINT32_MAX, &value) == 0 &&
		    value == uid) {
			snprintf(buf, size, "%s", name);
			break;
		}
	}
	return buf;
}

/* The annotations alone: the rest of the document is not this command's business. */
static void put_annotations(struct json_writer *w, struct state_dir *d)
{
	auto_arena struct arena *a = arena_new(0);
	auto_str struct str text = { 0 };
	const struct json *list;
	struct err ignored;

	if (!a || state_read_config(d, &text, &ignored) < 0)
		return;
	list = json_get(json_parse(a, str_text(&text), text.len, &ignored), "annotations");
	if (!list || list->type != JSON_OBJECT || !list->first)
		return;
	json_open(w, "annotations", '{');
	for (const struct json *v = list->first; v; v = v->next)
		if (v->type == JSON_STRING)
			json_put_string(w, v->key, v->text);
	json_close(w);
}

void oci_put_state(struct json_writer *w, struct state_dir *d, const struct state *st, int status)
{
	char text[64];

	json_open(w, NULL, '{');
	json_put_string(w, "ociVersion", st && st->oci_version ? st->oci_version : "1.0.0");
	json_put_string(w, "id", d->id);
	json_put_i64(w, "pid", st && status != STATUS_STOPPED ? st->pid : 0);
	json_put_string(w, "status", status_name(status));
	json_put_string(w, "bundle", st && st->bundle ? st->bundle : "");
	json_put_string(w, "rootfs", st && st->rootfs ? st->rootfs : "");
	json_put_string(w, "created", oci_time(st ? st->created_ns : 0, text, sizeof(text)));
	if (st)
		put_annotations(w, d);
	json_put_string(w, "owner", st ? oci_owner(st->owner, text, sizeof(text)) : "");
	json_close(w);
}

/* The environment with two more variables, in the spec's arena. */
static int add_environment(struct spec *s, struct process_spec *p, const char *one, const char *two,
			   struct err *e)
{
	size_t n = 0;
	const char **env;

	while (p->env && p->env[n])
		n++;
	env = arena_array(s->arena, n + 3, sizeof(*env));
	if (!env || !one || !two)
		return err_set(e, ENOMEM, "cannot pass LISTEN_FDS on");
	if (n)
		memcpy(env, p->env, n * sizeof(*env));
	env[n] = one;
	env[n + 1] = two;
	p->env = env;
	return 0;
}

int oci_preserved(struct cli *c, uint64_t preserve, struct spec *s, struct process_spec *p,
		  unsigned *n)
{
	const char *fds = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
	uint64_t listen = 0, for_whom = 0;
	unsigned missing = 0;

	/* who does not say for whom they are means us, whom he cannot know before (as crun) */
	if (fds &&
	    (!pid || (parse_u64(pid, 1, INT_MAX, &for_whom) == 0 && (pid_t)for_whom == getpid())) &&
	    parse_u64(fds, 1, 4096, &listen) == 0 &&
	    add_environment(s, p, arena_printf(s->arena, "LISTEN_FDS=%u", (unsigned)listen),
			    "LISTEN_PID=1", c->e) < 0)
		return -1;
	*n = (unsigned)(listen + preserve);
	for (unsigned fd = 3; fd < 3 + *n; fd++) {
		int flags = fcntl((int)fd, F_GETFD);

		missing += flags < 0 ||
			   flags & FD_CLOEXEC; /* of our own: whoever called left it closed */
	}
	if (missing)
		log_warn("%u of the descriptors that are to be preserved are not open", missing);
	return 0;
}

int oci_connect(const char *path, int *sock, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *slash = path ? strrchr(path, '/') : NULL;
	auto_fd int fd = -1, dir = -1;
	int len;

	*sock = -1;
	if (!path)
		return 0;
	len = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (len >= (int)sizeof(addr.sun_path) && slash) { /* unix(7) has room for 107 bytes */
		auto_free char *parent = strndup(path, (size_t)(slash - path) + 1);

		dir = parent ? open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
		if (dir < 0)
			return err_set(e, errno, "cannot open the directory of socket '%s'", path);
		len = snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dir,
			       slash + 1);
	}
	if (len >= (int)sizeof(addr.sun_path))
		return err_set(e, ENAMETOOLONG, "cannot connect to '%s'", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_set(e, errno, "cannot connect to '%s'", path);
	*sock = take_fd(&fd);
	return 0;
}

int oci_check_console(bool terminal, bool detached, const char *console_socket, struct err *e)
{
	if (detached && terminal && !console_socket)
		return err_set(
			e, ERR_INVALID,
			"process.terminal is set and nobody stays to serve it: --console-socket is needed");
	if (console_socket && !(detached && terminal))
		return err_set(
			e, ERR_INVALID,
			"--console-socket is of use only for a detached process with process.terminal");
	return 0;
}

int oci_attend(struct life *l, struct err *e)
{
	const struct console_options o = {
		.master = l->console, .in = 0, .out = 1, .pidfd = l->pidfd
	};

	if (console_proxy(&o, e) < 0)
		return -1;
	return life_wait(l, e);
}
