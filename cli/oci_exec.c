/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_exec.c - a further process in a running container.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/oci.h"
#include "cli/verbs.h"
#include "runtime/handover.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/caps.h"
#include "runtime/host.h"
#include "runtime/life.h"
#include "runtime/spec.h"

struct exec_verb_options {
	const char *console_socket, *pidfd_socket, *cwd, *user, *process, *pid_file, *label,
		*apparmor, *cgroup;
	struct words env, gids, caps;
	bool tty, detach, no_new_privs, ignore_paused;
	struct opt_u64 preserve_fds;
};

/* clang-format off */
static const struct option_row exec_rows[] = {
	STRING_ROW(struct exec_verb_options, process, "process", 'p', "FILE",
		   "read the process from FILE, as in config.json; most other options then do not apply"),
	FLAG_ROW(struct exec_verb_options, detach, "detach", 'd', "return when the process runs"),
	FLAG_ROW(struct exec_verb_options, tty, "tty", 't', "give it a terminal"),
	STRING_ROW(struct exec_verb_options, console_socket, "console-socket", 0, "SOCKET",
		   "send the terminal's master side to this unix socket"),
	STRING_ROW(struct exec_verb_options, pidfd_socket, "pidfd-socket", 0, "SOCKET",
		   "send a descriptor of the process to this unix socket"),
	STRING_ROW(struct exec_verb_options, pid_file, "pid-file", 0, "FILE", "write the process id to FILE"),
	STRING_ROW(struct exec_verb_options, cwd, "cwd", 0, "DIR", "working directory"),
	LIST_ROW(struct exec_verb_options, env, "env", 'e', "KEY=VALUE", "set an environment variable"),
	STRING_ROW(struct exec_verb_options, user, "user", 'u', "UID[:GID]", "run as this user, by number"),
	LIST_ROW(struct exec_verb_options, gids, "additional-gids", 'g', "GID", "add a supplementary group"),
	LIST_ROW(struct exec_verb_options, caps, "cap", 'c', "CAP", "add a capability, such as CAP_NET_ADMIN"),
	FLAG_ROW(struct exec_verb_options, no_new_privs, "no-new-privs", 0, "set no_new_privs"),
	STRING_ROW(struct exec_verb_options, label, "process-label", 0, "LABEL", "SELinux label"),
	STRING_ROW(struct exec_verb_options, apparmor, "apparmor", 0, "PROFILE", "AppArmor profile"),
	NUMBER_ROW(struct exec_verb_options, preserve_fds, "preserve-fds", 0, "N",
		   "pass descriptors 3 to 2+N on", 0, 65536),
	STRING_ROW(struct exec_verb_options, cgroup, "cgroup", 0, "PATH", "run it in this sub-cgroup of the container"),
	FLAG_ROW(struct exec_verb_options, ignore_paused, "ignore-paused", 0, "even if the container is paused"),
	END_ROW,
};
/* clang-format on */

/* Both numbers are parsed before either is used: "1" must never come out as user 0 (CVE-2026-30892). */
static int set_user(struct process_spec *p, const char *user, struct err *e)
{
	const char *colon = strchr(user, ':');
	uint64_t uid, gid = p->gid;
	char number[16];
	size_t len = colon ? (size_t)(colon - user) : strlen(user);

	if (len >= sizeof(number))
		return err_set(e, ERR_USAGE, "--user '%.32s' is not UID[:GID]", user);
	memcpy(number, user, len);
	number[len] = '\0';
	if (parse_u64(number, 0, UINT32_MAX - 1, &uid) < 0 ||
	    (colon && parse_u64(colon + 1, 0, UINT32_MAX - 1, &gid) < 0))
		return err_set(e, ERR_USAGE, "--user '%s' is not UID[:GID], in numbers", user);
	p->uid = (uint32_t)uid;
	p->gid = (uint32_t)gid;
	return 0;
}

static int add_groups(struct process_spec *p, const struct words *gids, struct arena *a,
		      struct err *e)
{
	uint32_t *list = arena_array(a, p->n_additional_gids + gids->n, sizeof(*list));
	uint64_t gid;

	if (!gids->n)
		return 0;
	if (!list)
		return err_set(e, ENOMEM, "cannot add groups");
	for (size_t i = 0; i < p->n_additional_gids; i++)
		list[i] = p->additional_gids[i];
	for (size_t i = 0; i < gids->n; i++) {
		if (parse_u64(gids->v[i], 0, UINT32_MAX - 1, &gid) < 0)
			return err_set(e, ERR_USAGE, "--additional-gids '%s' is not a number",
				       gids->v[i]);
		list[p->n_additional_gids + i] = (uint32_t)gid;
	}
	p->additional_gids = list;
	p->n_additional_gids += gids->n;
	return 0;
}

/* Never inheritable ones (CVE-2022-29162); ambient ones only where the container has inheritable ones, as runc. */
static int add_caps(struct process_spec *p, const struct words *caps, struct err *e)
{
	for (size_t i = 0; i < caps->n; i++) {
		int number = cap_number(caps->v[i]);

		if (number < 0)
			return err_set(e, ERR_USAGE, "unknown capability '%s'", caps->v[i]);
		p->has_caps = true;
		p->caps[CAPS_BOUNDING] |= 1ull << number;
		p->caps[CAPS_EFFECTIVE] |= 1ull << number;
		p->caps[CAPS_PERMITTED] |= 1ull << number;
		p->caps[CAPS_AMBIENT] |= 1ull << number;
	}
	p->caps[CAPS_AMBIENT] &= p->caps[CAPS_INHERITABLE];
	return 0;
}

static bool same_key(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strcspn(b, "=") == n && memcmp(a, b, n) == 0;
}

/* Each key once; a later one takes the earlier one's place. */
static int add_env(struct process_spec *p, const struct words *env, struct arena *a, struct err *e)
{
	size_t n = 0, at;
	const char **list;

	while (p->env && p->env[n])
		n++;
	list = arena_array(a, n + env->n + 1, sizeof(*list));
	if (!list)
		return err_set(e, ENOMEM, "cannot set the environment");
	if (n)
		memcpy(list, p->env, n * sizeof(*list));
	for (size_t i = 0; i < env->n; i++) {
		if (!strchr(env->v[i], '=') || env->v[i][0] == '=')
			return err_set(e, ERR_USAGE, "--env '%s' is not KEY=VALUE", env->v[i]);
		for (at = 0; at < n && !same_key(list[at], env->v[i]); at++)
			;
		list[at] = env->v[i];
		n += at == n;
	}
	p->env = list;
	return 0;
}

/*
 * What the file leaves open is as for the container's own process: to exec must not be a way to more than the
 * container has. (Only noNewPrivileges is a mere yes or no, of the file's own; so it is for runc and crun.)
 */
static void inherit(struct process_spec *p, const struct process_spec *from)
{
	if (!p->has_caps) {
		p->has_caps = from->has_caps;
		memcpy(p->caps, from->caps, sizeof(p->caps));
	}
	if (!p->apparmor_profile)
		p->apparmor_profile = from->apparmor_profile;
	if (!p->selinux_label)
		p->selinux_label = from->selinux_label;
	if (!p->n_rlimits) {
		p->rlimits = from->rlimits;
		p->n_rlimits = from->n_rlimits;
	}
	if (!p->has_oom_score_adj) {
		p->has_oom_score_adj = from->has_oom_score_adj;
		p->oom_score_adj = from->oom_score_adj;
	}
	if (!p->scheduler.policy)
		p->scheduler = from->scheduler;
	if (!p->has_io_priority) {
		p->has_io_priority = from->has_io_priority;
		p->io_priority_class = from->io_priority_class;
		p->io_priority = from->io_priority;
	}
}

/* The container's own process with what the command line changes in it; or the file's. */
static int make_process(const struct exec_verb_options *o, const struct spec *s, char **command,
			struct process_spec *p, struct err *e)
{
	auto_str struct str text = { 0 };

	if (o->process) {
		if (command[0])
			return err_set(e, ERR_USAGE, "--process and a command exclude each other");
		if (file_read_stream(AT_FDCWD, o->process, JSON_MAX_SIZE, &text, e) < 0)
			return -1;
		if (spec_oci_parse_process(str_text(&text), text.len, s->arena, p, e) < 0)
			return err_in(e, "%s", o->process);
		inherit(p, &s->process);
		return 0;
	}
	if (!command[0])
		return err_set(e, ERR_USAGE, "exec needs a command, or --process");
	if (!s->has_process)
		return err_set(e, ERR_INVALID,
			       "the container has no process to go by: --process is needed");
	*p = s->process;
	p->args = (const char *const *)command;
	p->terminal = o->tty;
	if (o->cwd)
		p->cwd = o->cwd;
	if (p->cwd[0] != '/')
		return err_set(e, ERR_USAGE, "--cwd '%s' is not an absolute path", p->cwd);
	if (o->no_new_privs)
		p->no_new_privileges = true;
	if (o->label)
		p->selinux_label = o->label;
	if (o->apparmor)
		p->apparmor_profile = o->apparmor;
	if ((o->user && set_user(p, o->user, e) < 0) || add_groups(p, &o->gids, s->arena, e) < 0 ||
	    (o->caps.n && add_caps(p, &o->caps, e) < 0) || add_env(p, &o->env, s->arena, e) < 0)
		return -1;
	return 0;
}

/* cgroup v2 has one hierarchy: a list of controllers in front of the path has no meaning here. */
static int check_cgroup(const char *path, struct err *e)
{
	if (path && strchr(path, ':'))
		return err_set(e, ERR_USAGE, "--cgroup '%s': on cgroup v2 it is a path alone",
			       path);
	return 0;
}

static int exec(struct cli *c, int argc, char **argv)
{
	const struct exec_verb_options *o = c->options;
	auto_fd int console_sock = -1, pidfd_sock = -1;
	struct life l = { .pidfd = -1, .console = -1 };
	struct exec_options eo = {
		.stdio = { -1, -1, -1 },
		.pid_file = o->pid_file,
		.cgroup = o->cgroup,
		.ignore_paused = o->ignore_paused,
	};
	auto_spec struct spec *s = oci_read_spec(c);
	struct process_spec p = { 0 };
	struct host host;
	int code;

	(void)argc; /* argv is terminated */
	if (!s || check_cgroup(o->cgroup, c->e) < 0 || make_process(o, s, argv + 1, &p, c->e) < 0 ||
	    oci_check_console(p.terminal, o->detach, o->console_socket, c->e) < 0 ||
	    oci_preserved(c, o->preserve_fds.v, s, &p, &eo.preserve_fds) < 0 ||
	    oci_connect(o->console_socket, &console_sock, c->e) < 0 ||
	    oci_connect(o->pidfd_socket, &pidfd_sock, c->e) < 0 || host_probe(&host, c->e) < 0)
		return -1;
	eo.console_socket = console_sock;
	if (life_exec(&c->dir, &c->state, s, &host, &p, &eo, &l, c->e) < 0)
		return err_in(c->e, "exec failed");
	code = fd_send(pidfd_sock, l.pidfd, "pidfd", c->e);
	state_close(&c->dir); /* others may use the container while this process runs */
	if (code == 0 && !o->detach)
		code = oci_attend(&l, c->e);
	own_close(&l.pidfd);
	own_close(&l.console);
	return code;
}

const struct verb verb_oci_exec = {
	.name = "exec",
	.run = exec,
	.flags = NEED_ID | NEED_STATE | VERB_OPTIONS_FIRST | VERB_SELF_PROTECT,
	.failure = 255,
	.operands = "ID COMMAND [ARG...]",
	.min = 1,
	.max = -1,
	.help = "run a further command in a container",
	.rows = exec_rows,
	.options_size = sizeof(struct exec_verb_options),
};
