/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - `ctr run` and `ctr create`: a new instance from an image, a tarball or a directory.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/console.h"
#include "cli/from_image.h"
#include "cli/instances.h"
#include "cli/launch.h"
#include "cli/network.h"
#include "cli/progress.h"
#include "cli/ready.h"
#include "cli/settings.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/running.h"
#include "runtime/self.h"
#include "runtime/spec.h"
#include "runtime/userns.h"

struct run_options {
	bool rm, detach;
	const char *name, *entrypoint;
	struct words settings;
};

/* clang-format off */
#define KEY(name, letter, arg, help) SETTING_ROW(struct run_options, settings, name, letter, arg, help)
#define CREATE_ROWS                                                                                           \
	STRING_ROW(struct run_options, name, "name", 0, "NAME",                                               \
		   "its name: small letters, digits, dashes (default: one by chance)"),                       \
	KEY("interactive", 'i', NULL, "keep standard input open"),                                            \
	KEY("tty", 't', NULL, "give it a terminal"),                                                          \
	KEY("env", 'e', "NAME[=VALUE]", "set in its environment; without a value, the one of here"),          \
	KEY("workdir", 'w', "DIR", "its working directory"),                                                  \
	KEY("user", 'u', "USER[:GROUP]", "whom it runs as: numbers, or names that the image knows"),          \
	KEY("hostname", 0, "NAME", "its host name (default: its name)"),                                      \
	STRING_ROW(struct run_options, entrypoint, "entrypoint", 0, "PROGRAM",                                \
		   "run this in place of the image's entry point and arguments"),                             \
	KEY("volume", 'v', "SOURCE:TARGET[:OPTION,...]",                                                      \
	    "show a file or directory of the host inside; options: ro, bind (without what is "                \
	    "mounted below), noidmap"),                                                                       \
	KEY("memory", 'm', "SIZE", "memory at most, such as 512M"),                                           \
	KEY("memory-high", 0, "SIZE", "memory beyond which it is slowed down"),                               \
	KEY("swap", 0, "SIZE", "swap at most; 0: none"),                                                      \
	KEY("disk", 0, "SIZE", "room on disk at most, of what it writes and its snapshots, such as 5G"),     \
	KEY("cpus", 0, "N", "processor time at most, such as 1.5"),                                           \
	KEY("cpuset", 0, "LIST", "the processors it may use, such as 0-3,7"),                                 \
	KEY("cpu-weight", 0, "N", "its share when processors are short, of 100 that others have"),            \
	KEY("pids", 0, "N", "processes and threads at most (default 512, for a system 4096)"),                \
	KEY("io", 0, "[PATH:]LIMIT=N,...",                                                                    \
	    "rbps, wbps, riops, wiops: bytes and operations a second, of the disk that PATH is on "           \
	    "(default: where instances lie)"),                                                                \
	KEY("io-weight", 0, "N", "its share when disks are short, of 100 that others have"),                  \
	KEY("read-only", 0, NULL, "no writes to its root file system"),                                       \
	KEY("net", 0, "NETWORK[:ip=ADDRESS]",                                                                 \
	    "its network, once for each interface: bridge (default), routed, one that `ctr net create` "      \
	    "made, none, host, container:NAME, ns:PATH"),                                                     \
	KEY("publish", 'p', "[IP:]PORT:PORT[/PROTOCOL]",                                                      \
	    "what comes to the first port of the host goes to the second of it; also ranges, and "            \
	    "/udp, /sctp"),                                                                                   \
	KEY("net-rate", 0, "DOWN[/UP]",                                                                       \
	    "bits a second that each of its interfaces carries to and from it, such as 100M/20M"),            \
	KEY("firewall", 0, "RULE", "what may reach it, such as 'default deny in', 'allow in tcp 80': ctr fw"), \
	KEY("userns", 0, "own|host", "its user ids: 65536 of its own (default), or the host's"),              \
	KEY("cap-add", 0, "CAPABILITY", "let it have this capability"),                                       \
	KEY("cap-drop", 0, "CAPABILITY", "take it away; ALL takes all"),                                      \
	KEY("profile", 0, "application|system", "what it is (default: a system if it runs an init)"),         \
	KEY("stop-signal", 0, "SIGNAL", "what asks it to stop"),                                              \
	KEY("stop-timeout", 0, "SECONDS",                                                                     \
	    "how long it may take before it is killed (default 10, for a system 30)"),                        \
	KEY("restart", 0, "WHEN", "start it again when it ends: no (default), always, on-failure, on-failure:N"), \
	KEY("health-cmd", 0, "COMMAND", "asks whether it is well, for its /bin/sh"),                          \
	KEY("health-interval", 0, "SECONDS", "between two checks (default 30)"),                              \
	KEY("health-timeout", 0, "SECONDS", "how long a check may take (default 30)"),                        \
	KEY("health-start", 0, "SECONDS", "how long failures do not count after its start"),                  \
	KEY("health-retries", 0, "N", "how many failures in a row mean that it is not well (default 3)"),     \
	KEY("health-action", 0, "none|restart|stop", "what is done then (default none)"),                     \
	KEY("ready", 0, "WHEN", "when others may rely on it: running (default), healthy, tcp:PORT, exec:COMMAND"), \
	KEY("after", 0, "NAME", "an instance that must be ready first; it is started if it does not run"),    \
	KEY("autostart", 0, "N", "start it with the host, the smallest numbers first"),                       \
	KEY("log-size", 0, "SIZE", "how large a file of its log grows (default 10M)"),                        \
	KEY("log-files", 0, "N", "how many files of its log are kept (default 2)"),                           \
	KEY("description", 0, "TEXT", "what it is for, in a line"),                                           \
	KEY("label", 'l', "NAME=VALUE", "a mark for people and programs")
/* clang-format on */

static const struct option_row create_rows[] = { CREATE_ROWS, END_ROW };

static const struct option_row run_rows[] = {
	FLAG_ROW(struct run_options, rm, "rm", 0, "remove it when it ends"),
	FLAG_ROW(struct run_options, detach, "detach", 'd',
		 "run in the background, print its name"),
	CREATE_ROWS,
	END_ROW,
};

/* ---- from options to a configuration ---- */

/* What is wrong with a key is wrong with the option of the same name. */
static int as_option(struct err *e)
{
	char text[ERR_MSG_MAX + sizeof("--")];

	snprintf(text, sizeof(text), "--%s", e->msg);
	text[ERR_MSG_MAX - 1] = '\0';
	memcpy(e->msg, text, ERR_MSG_MAX);
	if (e->code == ERR_INVALID)
		e->code = ERR_USAGE;
	return -1;
}

static int set_options(const struct run_options *o, char **command, struct instance *i,
		       struct err *e)
{
	for (size_t k = 0; k < o->settings.n; k += 2)
		if (setting_change(i, o->settings.v[k], KEY_GIVE, o->settings.v[k + 1], e) < 0)
			return as_option(e);
	if (!i->nets && setting_default_net(i, e) < 0)
		return err_in(e, "CTR_NET");
	if (o->entrypoint) {
		const char **v = arena_array(i->arena, 2, sizeof(*v));

		if (!v)
			return err_set(e, ENOMEM, "options");
		v[0] = *o->entrypoint ? o->entrypoint : NULL;
		i->entrypoint = v;
	}
	i->command = *command ? (const char *const *)command : NULL;
	i->ephemeral = o->rm;
	return 0;
}

/* ---- the image ---- */

static bool looks_like_path(const char *s)
{
	return *s == '/' || streq(s, ".") || streq(s, "..") || str_after(s, "./") ||
	       str_after(s, "../");
}

static struct image *from_path(struct store *s, const char *path, struct err *e)
{
	struct progress p;
	struct image_import_options o = { .progress = progress_image, .progress_arg = &p };
	struct image_import_result r = { .id = "" };
	struct image *img;
	struct stat st;

	if (stat(path, &st) < 0) {
		err_set(e, errno, "'%s'", path);
		return NULL;
	}
	if (S_ISDIR(st.st_mode))
		return image_from_directory(s, path, e);
	progress_start(&p, "importing");
	img = image_from_file(s, path, &o, &r, e);
	progress_stop(&p);
	if (img && *r.id)
		log_info("imported '%s' as %s", path, r.name);
	return img;
}

/*
 * A name means an image, a path a directory or a tarball. What could be both is the image if there is one, and
 * else the file if there is one.
 */
static struct image *find(struct store *s, const char *what, struct err *e)
{
	struct image *img;

	if (looks_like_path(what))
		return from_path(s, what, e);
	img = image_find(s, what, e);
	if (img || (e->code != ERR_NO_SUCH && e->code != ERR_INVALID) || access(what, F_OK) < 0)
		return img;
	return from_path(s, what, e);
}

static int set_image(struct instance *i, const struct image *img, const char *what, struct err *e)
{
	char path[PATH_MAX];

	if (!img->directory) {
		i->image_id = img->id;
		i->image = looks_like_path(what) && img->names && img->names[0] ? img->names[0] :
										  what;
	} else {
		if (!realpath(img->layers[0], path))
			return err_set(e, errno, "'%s'", what);
		i->rootfs = arena_strdup(i->arena, path);
		if (!i->rootfs)
			return err_set(e, ENOMEM, "rootfs");
	}
	i->system = instance_wants_system(img, i);
	return 0;
}

/* ---- the instance ---- */

struct making {
	struct store *store;
	struct instances all;
	struct instance *instance;
	struct image *image;
	struct instance_dir dir;
};

#define MAKING_NONE                                                      \
	{                                                                \
		.all = INSTANCES_NONE, .dir = {.fd = -1, .promise = -1 } \
	}

static void own_making(struct making *m)
{
	instance_close(&m->dir);
	instances_close(&m->all);
	image_free(m->image);
	instance_free(m->instance);
	store_close(m->store);
}
#define auto_making __attribute__((cleanup(own_making)))

static struct launch launch_of(struct making *m)
{
	return (struct launch){ .all = &m->all,
				.image = m->image,
				.instance = m->instance,
				.dir = &m->dir,
				.fresh = true };
}

/* While the store is held nobody can remove the image before the instance names it. */
static int create_with_image(struct making *m, const char *name, struct err *e)
{
	struct image *again;
	int r = -1;

	if (store_hold(m->store, e) < 0)
		return -1;
	again = launch_image(m->store, m->instance, e);
	if (again)
		r = instance_create(&m->all, name, m->instance, NULL, m->instance->ephemeral,
				    &m->dir, e);
	image_free(again);
	store_release(m->store);
	return r;
}

/*
 * An instance that could not be started was never there, since nobody has its name yet. A supervisor that was
 * killed may have got as far as run state.
 */
static int unmake(struct making *m)
{
	struct err other;

	if (running_end(&m->dir, true, NULL, &other) < 0)
		log_warn("%s", other.msg);
	return -1;
}

static int make(struct cli *c, const char *what, char **command, struct making *m)
{
	const struct run_options *o = c->options;
	struct launch l;

	m->instance = instance_new();
	if (!m->instance)
		return err_set(c->e, ENOMEM, "instance");
	/* Protected before anything is done: it may start this program anew (CVE-2019-5736). */
	if (set_options(o, command, m->instance, c->e) < 0 ||
	    ((!instance_has_userns(m->instance) || !userns_is_first()) &&
	     self_protect(c->argv, c->e) < 0) ||
	    open_instances(c, &m->all) < 0)
		return -1;
	if (o->name && instance_check_free(&m->all, o->name, c->e) < 0) {
		if (c->e->code == ERR_INVALID)
			c->e->code = ERR_USAGE;
		return -1;
	}
	if (m->instance->disk && make_room_for_limits(&m->all, c->e) < 0)
		return -1;
	m->store = store_open(c->store_root, c->e);
	m->image = m->store ? find(m->store, what, c->e) : NULL;
	if (!m->image || set_image(m->instance, m->image, what, c->e) < 0 ||
	    image_mount(m->store, c->run_root, m->image, c->e) < 0)
		return -1;
	if (instance_check(m->instance, c->e) < 0)
		return as_option(c->e);
	if (ready_dependencies(c, &m->all, m->instance, c->e) < 0)
		return -1;
	if (create_with_image(m, o->name, c->e) < 0)
		return -1;
	l = launch_of(m);
	return network_lease(&m->all, &m->dir, m->instance, c->e) < 0 ||
			       launch_prepare(&l, c->e) < 0 ?
		       unmake(m) :
		       0;
}

static int create(struct cli *c, int argc, char **argv)
{
	auto_making struct making m = MAKING_NONE;
	struct launch l;

	(void)argc;
	if (make(c, argv[0], argv + 1, &m) < 0)
		return -1;
	/* What cannot be started should not be created either. */
	l = launch_of(&m);
	if (launch_check(&l, c->e) < 0 || instance_sync(&m.dir, c->e) < 0)
		return unmake(&m);
	printf("%s\n", m.dir.name);
	return EXIT_DONE;
}

static int run_detached(struct cli *c, struct making *m)
{
	struct launch l = launch_of(m);

	if (launch_detached(&l, c->e) < 0)
		return unmake(m);
	/* Durable when we say so, but not before the payload runs: a disk takes longer than all else. */
	if (!m->instance->ephemeral && instance_sync(&m->dir, c->e) < 0)
		log_warn("%s", c->e->msg);
	printf("%s\n", m->dir.name);
	return EXIT_DONE;
}

/* From the payload's start to its end. The state was unlocked, so that others can exec and kill meanwhile. */
static int foreground(struct making *m, struct life *life, struct state_dir *sd, struct err *e)
{
	struct console_options o = {
		.master = life->console,
		.in = m->instance->interactive && life->console >= 0 ? STDIN_FILENO : -1,
		.out = STDOUT_FILENO,
		.pidfd = life->pidfd,
		.patience = 3,
	};
	struct instance_exit x = { .code = -1 };
	auto_fd int net = running_hold_network(life->pidfd);
	struct err other;
	int served;

	(void)net; /* its counters last as long as the descriptor */
	instance_unlock(&m->dir);
	if (!m->instance->ephemeral && instance_sync(&m->dir, &other) < 0)
		log_warn("%s", other.msg);
	served = console_proxy(&o, e);
	if (served < 0)
		(void)sys_pidfd_send_signal(life->pidfd, SIGKILL); /* it may have ended just now */
	running_exit_status(life->pidfd, &x);
	if (m->instance->system)
		running_exit_of_system(&x);
	if (instance_lock(&m->dir, &other) < 0 ||
	    running_end(&m->dir, m->instance->ephemeral, &x, &other) < 0) {
		log_warn("%s", other.msg);
		instance_leave(&m->dir); /* for the next command, as if we had been killed */
		state_forget(sd);
	}
	state_close(sd);
	if (served < 0)
		return -1;
	return x.code < 0 ? err_set(e, ERR_INVALID, "it is not known how the command ended") :
			    x.code;
}

static int run_foreground(struct cli *c, struct making *m)
{
	struct launch l = launch_of(m);
	struct state_dir sd;
	struct life life;
	int code;

	if (launch_foreground(&l, &life, &sd, c->e) < 0)
		return unmake(m);
	code = foreground(m, &life, &sd, c->e);
	if (life.console >= 0)
		close(life.console);
	close(life.pidfd);
	return code;
}

static int run(struct cli *c, int argc, char **argv)
{
	auto_making struct making m = MAKING_NONE;
	const struct run_options *o = c->options;

	(void)argc;
	if (make(c, argv[0], argv + 1, &m) < 0)
		return -1;
	return o->detach ? run_detached(c, &m) : run_foreground(c, &m);
}

#define OPERANDS "IMAGE|TARBALL|DIR [--] [COMMAND [ARGUMENT...]]"

const struct verb verb_run = {
	.name = "run",
	.run = run,
	.flags = VERB_PAYLOAD | VERB_OPTIONS_FIRST | VERB_STARTS,
	.failure = EXIT_CTR_FAILED,
	.operands = OPERANDS,
	.min = 1,
	.max = -1,
	.help = "make an instance from an image and run it",
	.rows = run_rows,
	.options_size = sizeof(struct run_options),
	.more = "Exits as the command does; 128+N if signal N killed it, 125 if ctr failed, 126 and 127 if\n"
		"the command cannot be executed or found.",
};

const struct verb verb_create = {
	.name = "create",
	.run = create,
	.flags = VERB_OPTIONS_FIRST,
	.operands = OPERANDS,
	.min = 1,
	.max = -1,
	.help = "make an instance from an image, to be started later",
	.rows = create_rows,
	.options_size = sizeof(struct run_options),
};
