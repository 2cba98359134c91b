/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec.c - `ctr exec`: a further process in a running instance.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/console.h"
#include "cli/from_image.h"
#include "cli/instances.h"
#include "cli/launch.h"
#include "cli/user.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/host.h"
#include "runtime/running.h"
#include "runtime/self.h"
#include "runtime/spec.h"
#include "runtime/state.h"

struct exec_verb_options {
	bool interactive, tty, detach;
	const char *workdir, *user;
	struct words env;
};

static const struct option_row exec_rows[] = {
	FLAG_ROW(struct exec_verb_options, interactive, "interactive", 'i',
		 "pass standard input on"),
	FLAG_ROW(struct exec_verb_options, tty, "tty", 't', "give it a terminal"),
	FLAG_ROW(struct exec_verb_options, detach, "detach", 'd', "do not wait for it"),
	LIST_ROW(struct exec_verb_options, env, "env", 'e', "NAME=VALUE", "set in its environment"),
	STRING_ROW(struct exec_verb_options, workdir, "workdir", 'w', "DIR",
		   "its working directory"),
	STRING_ROW(struct exec_verb_options, user, "user", 'u', "USER[:GROUP]", "whom it runs as"),
	END_ROW,
};

struct entry {
	struct store *store;
	struct instance *instance; /* as it was started */
	struct image *image;
	struct spec *spec;
	struct arena *arena;
	struct state_dir dir; /* locked */
	struct state state;
	int root;  /* of the instance */
	int pidfd; /* of its first process */
};

#define ENTRY_NONE                                                                    \
	{                                                                             \
		.dir = { .root = -1, .dir = -1, .open = -1 }, .root = -1, .pidfd = -1 \
	}

static void own_entry(struct entry *n)
{
	state_close(&n->dir);
	own_close(&n->root);
	own_close(&n->pidfd);
	spec_free(n->spec);
	image_free(n->image);
	instance_free(n->instance);
	arena_free(n->arena);
	store_close(n->store);
}
#define auto_entry __attribute__((cleanup(own_entry)))

/* The root directory of the payload, through the host's /proc: users are looked up in what is there now. */
static int open_payload_root(struct entry *n, struct err *e)
{
	char path[40];
	int status;

	status = state_status(&n->dir, &n->state, &n->pidfd, e);
	if (status < 0)
		return -1;
	if (status == STATUS_STOPPED)
		return err_set(e, ERR_STATE, "it does not run");
	snprintf(path, sizeof(path), "/proc/%d/root", n->state.pid);
	n->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (n->root < 0 || pidfd_wait(n->pidfd, 0))
		return err_set(e, ERR_STATE, "it does not run");
	return 0;
}

/* What it was started as: configuration, image and spec. */
static int enter(struct cli *c, const struct instances *all, const char *name, struct entry *n)
{
	struct from_image f = { .name = name, .root = -1 };
	auto_str struct str config = { 0 };
	struct err *e = c->e;

	n->arena = arena_new(0);
	if (!n->arena)
		return err_set(e, ENOMEM, "exec");
	if (state_open(all->states, name, &n->dir, e) < 0)
		return e->code == ERR_NO_SUCH ? err_set(e, ERR_STATE, "it does not run") : -1;
	if (state_read(&n->dir, n->arena, &n->state, e) < 0) /* half made: not yet, or never */
		return e->code == ERR_STATE ? err_set(e, ERR_STATE, "it does not run") : -1;
	if (state_read_config(&n->dir, &config, e) < 0)
		return -1;
	n->instance = instance_parse(str_text(&config), config.len, e);
	if (!n->instance)
		return -1;
	if (!n->instance->ids && self_protect(c->argv, e) < 0)
		return -1;
	n->store = store_open(c->store_root, e);
	n->image = n->store ? launch_image(n->store, n->instance, e) : NULL;
	if (!n->image || open_payload_root(n, e) < 0)
		return -1;
	f.image = n->image;
	f.instance = n->instance;
	f.root = n->root;
	n->spec = spec_from_image(&f, e);
	return n->spec ? 0 : -1;
}

static int check_env(const struct words *env, struct err *e)
{
	for (size_t k = 0; k < env->n; k++)
		if (*env->v[k] == '=' || !strchr(env->v[k], '='))
			return err_set(e, ERR_USAGE, "--env takes NAME=VALUE, not '%.80s'",
				       env->v[k]);
	return 0;
}

static int begin(struct entry *n, const struct exec_verb_options *o, char **command,
		 struct life *life, struct err *e)
{
	struct exec_options xo = { .stdio = { -1, -1, -1 }, .console_socket = -1 };
	auto_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct winsize size = { 0 };
	struct process_spec p;
	struct host host;
	int tty;

	if (null < 0)
		return err_set(e, errno, "cannot open '/dev/null'");
	if (exec_process(n->spec, n->instance, n->root, (const char *const *)command, o->env.v,
			 o->workdir, o->user, o->tty, getenv("TERM"), &p, e) < 0 ||
	    host_probe(&host, e) < 0)
		return -1;
	tty = o->tty ? console_find() : -1;
	if (tty >= 0 && ioctl(tty, TIOCGWINSZ, &size) == 0) {
		p.console_height = size.ws_row;
		p.console_width = size.ws_col;
	}
	if (!o->tty && (!o->interactive || o->detach))
		xo.stdio[0] = null;
	if (!o->tty && o->detach)
		xo.stdio[1] = xo.stdio[2] = null;
	if (life_exec(&n->dir, &n->state, n->spec, &host, &p, &xo, life, e) == 0)
		return 0;
	/* whatever it is that failed first when the instance ended under our hands */
	if (e->code != ERR_CMD_NOT_FOUND && e->code != ERR_CMD_NOT_EXEC &&
	    pidfd_wait(n->pidfd, 100))
		return err_set(e, ERR_STATE, "it does not run");
	return -1;
}

static int exec(struct cli *c, int argc, char **argv)
{
	const struct exec_verb_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;
	auto_entry struct entry n = ENTRY_NONE;
	struct instance_exit x = { .code = -1 };
	struct instance_dir d = { .fd = -1, .promise = -1 };
	struct console_options co;
	struct life life;

	(void)argc;
	if (o->detach && o->tty)
		return err_set(c->e, ERR_USAGE,
			       "a detached process has nobody to hold its terminal");
	if (o->workdir && *o->workdir != '/')
		return err_set(c->e, ERR_USAGE, "--workdir '%.80s' is not an absolute path",
			       o->workdir);
	if (check_env(&o->env, c->e) < 0 || open_instances(c, &all) < 0 ||
	    instance_look(&all, argv[0], &d, c->e) < 0)
		return -1;
	close(d.fd);
	if (enter(c, &all, argv[0], &n) < 0 || begin(&n, o, argv + 1, &life, c->e) < 0)
		return err_in(c->e, "cannot exec in '%s'", argv[0]);
	state_close(&n.dir); /* others may work on it while the process runs */
	if (o->detach)
		return EXIT_DONE;
	co = (struct console_options){
		.master = life.console,
		.in = o->interactive && life.console >= 0 ? STDIN_FILENO : -1,
		.out = STDOUT_FILENO,
		.pidfd = life.pidfd,
		.patience = 3,
	};
	if (console_proxy(&co, c->e) < 0)
		return -1;
	running_exit_status(life.pidfd, &x);
	return x.code < 0 ? err_set(c->e, ERR_INVALID, "the process cannot be waited for") : x.code;
}

const struct verb verb_exec = {
	.name = "exec",
	.run = exec,
	.flags = VERB_PAYLOAD | VERB_OPTIONS_FIRST,
	.failure = EXIT_CTR_FAILED,
	.operands = "NAME [--] COMMAND [ARGUMENT...]",
	.min = 2,
	.max = -1,
	.help = "run a further command in a running instance",
	.rows = exec_rows,
	.options_size = sizeof(struct exec_verb_options),
	.more = "Exits as the command does; 128+N if signal N killed it, 125 if ctr failed, 126 and 127 if\n"
		"the command cannot be executed or found.",
};

/* ---- shell ---- */

struct shell_options {
	const char *user;
};

static const struct option_row shell_rows[] = {
	STRING_ROW(struct shell_options, user, "user", 'u', "USER", "whose (default root)"),
	END_ROW,
};

static bool is_there(int root, const char *path)
{
	auto_fd int fd = path_open_in(root, path, O_PATH);

	return fd >= 0;
}

/* The shell that the instance's passwd names, if it is there; else one that is. */
static const char *find_shell(int root, const char *user, struct arena *a)
{
	static const char *const usual[] = { "/bin/bash", "/bin/ash", "/bin/sh", NULL };
	struct err none;
	struct user u;

	if (user_find(root, user, 0, a, &u, &none) == 0 && u.shell && is_there(root, u.shell))
		return u.shell;
	for (const char *const *s = usual; *s; s++)
		if (is_there(root, *s))
			return *s;
	return "/bin/sh";
}

static int shell(struct cli *c, int argc, char **argv)
{
	const struct shell_options *o = c->options;
	struct exec_verb_options xo = { .interactive = true,
					.tty = isatty(STDIN_FILENO),
					.user = o->user };
	auto_arena struct arena *a = arena_new(1u << 20);
	auto_instances struct instances all = INSTANCES_NONE;
	auto_running struct running r = RUNNING_NONE;
	auto_fd int root = -1;
	char path[40], *args[4] = { argv[0], NULL, "-l", NULL };
	int code;

	(void)argc;
	if (!a)
		return err_set(c->e, ENOMEM, "shell");
	if (open_instances(c, &all) < 0 || running_look(&all, argv[0], &r, c->e) < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/root", r.pid);
	root = r.exists && r.pidfd >= 0 ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (root >= 0) /* else exec says what is wrong */
		args[1] = (char *)(uintptr_t)find_shell(root, o->user, a);
	else
		args[1] = "/bin/sh";
	c->options = &xo;
	code = exec(c, 3, args);
	c->options = (void *)(uintptr_t)o; /* main.c frees what it made */
	return code;
}

const struct verb verb_shell = {
	.name = "shell",
	.run = shell,
	.flags = VERB_PAYLOAD,
	.failure = EXIT_CTR_FAILED,
	.operands = "NAME",
	.min = 1,
	.max = 1,
	.help = "a login shell in a running instance",
	.rows = shell_rows,
	.options_size = sizeof(struct shell_options),
	.more = "The shell is the one that the instance's passwd names for the user.",
};
