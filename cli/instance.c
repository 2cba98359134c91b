/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instance.c - start, stop, kill, wait, rm: what is done to instances that exist.
 *
 * Each takes names and patterns, and goes on after a failure. What is so already is no failure: starting what
 * runs and stopping what does not say so on standard error and succeed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/clone.h"
#include "cli/instances.h"
#include "cli/launch.h"
#include "cli/migrate.h"
#include "cli/network.h"
#include "cli/ready.h"
#include "cli/suspend.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/layers.h"
#include "runtime/life.h"
#include "runtime/names.h"
#include "runtime/restart.h"
#include "runtime/running.h"
#include "runtime/self.h"
#include "runtime/spec.h"

#define STOP_APPLICATION 10 /* seconds */
#define STOP_SYSTEM	 30
#define WATCHER_TIMEOUT	 15000 /* ms: what a watcher may need after the payload's end */
#define DEAF_MS		 100   /* for a payload without a handler, should we be wrong about that */
#define YOUNG_MS	 2000  /* a payload may still be setting up its signal handlers */
#define COMMAND_SECONDS	 5     /* for a command that tells an init to end */
#define COMMAND_EVERY	 1000  /* ms: then it is told again */

static struct instance *load(const struct instances *all, const char *name, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	struct instance *i;

	if (instance_look(all, name, &d, e) < 0)
		return NULL;
	i = instance_load(&d, e);
	close(d.fd);
	return i;
}

/* ---- start ---- */

/* Before its lock is taken: what it waits for may take a while, and may be a circle. */
static int start_what_it_needs(struct cli *c, const struct instances *all, const char *name,
			       struct err *e)
{
	auto_instance struct instance *i = load(all, name, e);

	if (!i) /* damaged or gone: the start itself says so */
		return 0;
	return ready_dependencies(c, all, i, e);
}

/* A move was cut off when it may have been started there already. */
static bool is_elsewhere(const struct instance_dir *d, struct err *e)
{
	if (faccessat(d->fd, MIGRATE_MARK, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	err_set(e, ERR_STATE,
		"it may run where it was being moved to: `ctr migrate --settle %s` finds out",
		d->name);
	return true;
}

int start_one(struct cli *c, const struct instances *all, const char *name, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_running struct running r = RUNNING_NONE;
	auto_instance struct instance *i = NULL;
	auto_image struct image *img = NULL;
	auto_store struct store *store = NULL;
	struct launch l;
	int rc = -1;

	if (start_what_it_needs(c, all, name, e) < 0)
		return err_in(e, "cannot start '%s'", name);
	if (instance_open(all, name, &d, e) < 0)
		return -1;
	if (restart_may_start(all, name, e) < 0 || is_elsewhere(&d, e) ||
	    running_look(all, name, &r, e) < 0)
		goto out;
	if (r.exists && r.status != STATUS_STOPPED) {
		if (r.watcher) {
			err_set(e, ERR_STATE, "'%s' runs already", name);
			rc = 1;
		} else {
			rc = launch_adopt(&d, r.pidfd, e);
			if (rc == 0)
				notice("had lost its supervisor, and has a new one", name);
		}
		goto out;
	}
	if (r.watcher) { /* the last run is just being worked up, with a lock that we hold */
		instance_unlock(&d);
		(void)pidfd_wait(r.watcher_fd, WATCHER_TIMEOUT);
		if (instance_lock(&d, e) < 0)
			goto out;
	}
	i = instance_load(&d, e);
	if (!i)
		goto out;
	if (running_end(&d, i->ephemeral, NULL, e) < 0)
		goto out;
	if (i->ephemeral) {
		err_set(e, ERR_NO_SUCH, "instance '%s' has ended, and was to be removed then",
			name);
		goto out;
	}
	store = store_open(c->store_root, e);
	img = store ? launch_image(store, i, e) : NULL;
	if (!img || image_mount(store, c->run_root, img, e) < 0)
		goto out;
	if (network_lease(all, &d, i, e) < 0)
		goto out;
	l = (struct launch){ .all = all, .image = img, .instance = i, .dir = &d };
	rc = launch_detached(&l, e);
out:
	instance_close(&d);
	return rc < 0 ? err_in(e, "cannot start '%s'", name) : rc;
}

/* Whether one of them shares the host's user namespace: then this program must not be what it can reach. */
static bool any_on_host(const struct instances *all, char **operands)
{
	auto_free char **names = NULL;
	bool found = false;
	struct err e;
	size_t n = 0;

	if (instances_match(all, (const char *const *)operands, &names, &n, &e) < 0)
		return false; /* whoever acts on them says why */
	for (size_t k = 0; k < n && !found; k++) {
		struct instance_dir d = { .fd = -1, .promise = -1 };
		auto_instance struct instance *i = NULL;

		if (instance_look(all, names[k], &d, &e) < 0)
			continue;
		i = instance_load(&d, &e);
		found = i && !i->ids;
		close(d.fd);
	}
	return found;
}

int protect_from(struct cli *c, const struct instances *all, char **operands)
{
	return any_on_host(all, operands) ? self_protect(c->argv, c->e) : 0;
}

struct start_options {
	bool cold;
};

static const struct option_row start_rows[] = {
	FLAG_ROW(struct start_options, cold, "cold", 0,
		 "from the beginning, if it was suspended: what it had in memory is thrown away"),
	END_ROW,
};

static int start_cold(struct cli *c, const struct instances *all, const char *name, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_running struct running r = RUNNING_NONE;
	int rc;

	if (instance_open(all, name, &d, e) < 0)
		return -1;
	rc = running_look(all, name, &r, e) < 0 || (!r.exists && memory_discard(&d, e) < 0) ? -1 :
											      0;
	instance_close(&d);
	return rc < 0 ? err_in(e, "cannot start '%s'", name) : start_one(c, all, name, e);
}

static int start(struct cli *c, int argc, char **argv)
{
	const struct start_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;

	(void)argc;
	if (open_instances(c, &all) < 0 || protect_from(c, &all, argv) < 0)
		return -1;
	return each_instance(c, &all, argv, 0, o->cold ? start_cold : start_one);
}

const struct verb verb_start = {
	.name = "start",
	.run = start,
	.flags = VERB_MANY | VERB_STRICT | VERB_JSON | VERB_STARTS,
	.operands = "NAME...",
	.min = 1,
	.max = -1,
	.help = "start instances in the background, or give running ones a supervisor again",
	.rows = start_rows,
	.options_size = sizeof(struct start_options),
	.more = "A suspended one goes on where it was (`ctr suspend`).",
};

/* ---- stop ---- */

static const struct option_row stop_rows[] = { STOP_ROWS, END_ROW };

/* How an init is told to end: by a signal, or by a command of its own that writes to its FIFO. */
struct init_end {
	const char *program, *signal, *command;
};

/* By the program that runs, not its name in the image. Never NULL. */
static const struct init_end *init_end(pid_t pid)
{
	static const struct init_end inits[] = {
		{ "systemd", "SIGRTMIN+3", NULL }, /* systemd(1): halt */
		{ "busybox", "SIGUSR2", NULL },	   /* init/init.c: poweroff */
		{ "openrc-init", NULL,
		  "/sbin/openrc-shutdown -p now" },   /* a signal confuses its boot */
		{ "runit", NULL, "/sbin/init 0" },    /* runit-init(8): it looks for a file first */
		{ "init", "SIGPWR", "/sbin/init 0" }, /* sysvinit: of SIGPWR its inittab says */
		{ "procd", "SIGUSR2", NULL },
		{ "", "SIGTERM", NULL },
	};
	const struct init_end *k = inits;
	char path[40], exe[PATH_MAX];
	const char *base;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	base = strrchr(exe, '/') ? strrchr(exe, '/') + 1 : exe;
	while (*k->program && !streq(base, k->program))
		k++;
	return k;
}

static const char *image_signal(struct cli *c, const struct instance *i, struct arena *a)
{
	auto_store struct store *store = NULL;
	auto_image struct image *img = NULL;
	struct err ignored;

	store = store_open(c->store_root, &ignored);
	img = store ? launch_image(store, i, &ignored) : NULL;
	return img && img->config.stop_signal ? arena_strdup(a, img->config.stop_signal) : NULL;
}

/* The signal that somebody has chosen for it, or 0. */
static int chosen_signal(struct cli *c, const struct stop_options *o, const struct instance *i)
{
	const char *name = o->signal	  ? o->signal :
			   i->stop_signal ? i->stop_signal :
					    image_signal(c, i, i->arena);
	int sig = name ? signal_number(name) : 0;

	return sig > 0 ? sig : 0;
}

/*
 * The kernel drops a signal for which process 1 of a pid namespace has no handler (pid_namespaces(7)): waiting
 * for its effect would be in vain.
 */
static bool is_caught(pid_t pid, int sig)
{
	auto_str struct str status = { 0 };
	unsigned long long caught, blocked;
	const char *at, *block;
	struct err ignored;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (file_read_kernel(AT_FDCWD, path, 65536, &status, &ignored) < 0)
		return true;
	at = strstr(str_text(&status), "\nSigCgt:");
	block = strstr(str_text(&status), "\nSigBlk:"); /* taken from a signalfd, or by sigwait */
	if (!at || !block || sscanf(at, "\nSigCgt: %llx", &caught) != 1 ||
	    sscanf(block, "\nSigBlk: %llx", &blocked) != 1)
		return true;
	return (caught | blocked) & 1ULL << (sig - 1);
}

static int64_t age_ms(const struct running *r)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec - r->started_ns) / 1000000;
}

/*
 * Sends the signal and waits at most @ms. An application that has just begun may not have its handler yet, and one
 * that never gets any is not waited for. An init takes signals in ways that cannot be seen (sigtimedwait(2)), so it
 * is simply told again when it was too young to hear.
 */
static void ask(const struct running *r, int sig, bool system, int ms)
{
	int64_t young = YOUNG_MS - age_ms(r);
	int rest = young > 0 && young < ms ? (int)young : 0;

	if (system) {
		(void)sys_pidfd_send_signal(r->pidfd, sig); /* ESRCH: it has ended by itself */
		if (rest && pidfd_wait(r->pidfd, rest))
			return;
		if (rest)
			(void)sys_pidfd_send_signal(r->pidfd, sig);
		(void)pidfd_wait(r->pidfd, ms - rest);
		return;
	}
	for (int waited = 0; waited < rest && !is_caught(r->pid, sig); waited += 20)
		if (pidfd_wait(r->pidfd, 20))
			return;
	(void)sys_pidfd_send_signal(r->pidfd, sig);
	(void)pidfd_wait(r->pidfd, is_caught(r->pid, sig) ? ms : DEAF_MS);
}

/* Has an init end by a command of its own, again and again: as long as it boots it may not listen, or forget what it heard. */
static void ask_by_command(const struct running *r, const char *name, const char *command, int ms)
{
	int64_t until = age_ms(r) + ms, left;

	while ((left = until - age_ms(r)) > 0) {
		(void)ready_exec(name, command, COMMAND_SECONDS, NULL);
		if (pidfd_wait(r->pidfd, left < COMMAND_EVERY ? (int)left : COMMAND_EVERY))
			return;
	}
}

/* As was chosen, or as its init wants it. */
static void ask_to_end(struct cli *c, const struct stop_options *o, const struct instance *i,
		       const struct running *r, const char *name, int ms)
{
	const struct init_end *init = i->system ? init_end(r->pid) : NULL;
	int sig = chosen_signal(c, o, i);

	if (sig == SIGKILL)
		return;
	if (!sig && init && init->command)
		ask_by_command(r, name, init->command, ms);
	else
		ask(r, sig ? sig : init ? signal_number(init->signal) : SIGTERM, i->system, ms);
}

/* SIGKILL to all that is in its cgroup. */
static int kill_all(const struct instances *all, const char *name, struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	struct state_dir sd;
	struct state st;
	int rc;

	if (!a)
		return err_set(e, ENOMEM, "cannot kill '%s'", name);
	if (state_open(all->states, name, &sd, e) < 0)
		return e->code == ERR_NO_SUCH ? 0 : -1;
	rc = state_read(&sd, a, &st, e);
	if (rc == 0)
		rc = life_kill(&sd, &st, SIGKILL, true, e);
	else if (e->code == ERR_STATE)
		rc = 0; /* half made: there is nobody to kill yet, and running_end() undoes it */
	state_close(&sd);
	return rc < 0 && e->code == ERR_STATE ? 0 : rc;
}

/*
 * After the payload: its watcher does the rest. Where there is none, or it died as well before it was done, we do;
 * unless it has been done by then, and even started again.
 */
static int wait_for_end(const struct instances *all, const char *name, const struct running *r,
			struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_running struct running now = RUNNING_NONE;
	auto_instance struct instance *i = NULL;
	struct instance_exit x = { .code = -1 };
	int rc;

	if (r->watcher && !pidfd_wait(r->watcher_fd, WATCHER_TIMEOUT))
		return err_set(e, ETIMEDOUT, "process %d, which watches '%s', does not end",
			       r->watcher, name);
	if (instance_open(all, name, &d, e) < 0)
		return e->code == ERR_NO_SUCH ? 0 : -1;
	rc = running_look(all, name, &now, e);
	if (rc == 0 && now.exists && now.pid == r->pid && now.started_ns == r->started_ns) {
		if (r->pidfd >= 0)
			running_exit_status(r->pidfd, &x);
		i = instance_load(&d, e);
		if (i && i->system)
			running_exit_of_system(&x);
		rc = running_end(&d, i && i->ephemeral, x.code >= 0 ? &x : NULL, e);
	}
	instance_close(&d);
	return rc;
}

int end_instance(struct cli *c, const struct instances *all, const char *name,
		 const struct stop_options *o, struct running *r, struct err *e)
{
	restart_not_wanted(all, name);
	if (o && r->pidfd >= 0) {
		auto_instance struct instance *i = load(all, name, e);
		uint64_t seconds;

		if (!i)
			return -1;
		seconds = o->timeout.set      ? o->timeout.v :
			  i->has_stop_timeout ? i->stop_timeout :
			  i->system	      ? STOP_SYSTEM :
						STOP_APPLICATION;
		if (r->status == STATUS_PAUSED && set_frozen(all, name, false, e) < 0)
			return -1; /* or it could not hear */
		if (seconds)
			ask_to_end(c, o, i, r, name, (int)seconds * 1000);
	}
	if (r->pidfd >= 0 && !pidfd_wait(r->pidfd, 0) && kill_all(all, name, e) < 0)
		return -1;
	if (r->pidfd >= 0 && !pidfd_wait(r->pidfd, WATCHER_TIMEOUT))
		return err_set(e, ETIMEDOUT, "process %d of '%s' does not die", r->pid, name);
	return wait_for_end(all, name, r, e);
}

static int stop_one(struct cli *c, const struct instances *all, const char *name, struct err *e)
{
	auto_running struct running r = RUNNING_NONE;

	if (running_look(all, name, &r, e) < 0)
		return err_in(e, "cannot stop '%s'", name);
	if (!r.exists) {
		if (restart_cancel(all, name))
			return 0;
		err_set(e, ERR_STATE, "'%s' does not run", name);
		return 1;
	}
	if (end_instance(c, all, name, c->options, &r, e) < 0)
		return err_in(e, "cannot stop '%s'", name);
	return 0;
}

int check_stop_options(const struct stop_options *o, struct err *e)
{
	if (o->signal && signal_number(o->signal) <= 0)
		return err_set(e, ERR_USAGE, "there is no signal '%s'", o->signal);
	return 0;
}

static int stop(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	int rc;

	(void)argc;
	if (check_stop_options(c->options, c->e) < 0 || open_instances(c, &all) < 0)
		return -1;
	rc = each_instance(c, &all, argv, 0, stop_one);
	unmount_unused(c, &all);
	return rc;
}

const struct verb verb_stop = {
	.name = "stop",
	.run = stop,
	.flags = VERB_MANY | VERB_STRICT | VERB_JSON,
	.operands = "NAME...",
	.min = 1,
	.max = -1,
	.help = "ask instances to stop, and kill them after a while",
	.rows = stop_rows,
	.options_size = sizeof(struct stop_options),
	.more = "The signal is the one of --signal, of the instance's or of the image's configuration; else what\n"
		"its init understands, or SIGTERM. A payload without a handler for it is killed at once.",
};

/* ---- kill ---- */

struct kill_options {
	const char *signal;
	bool all;
};

static const struct option_row kill_rows[] = {
	STRING_ROW(struct kill_options, signal, "signal", 's', "SIGNAL",
		   "name or number (default SIGKILL)"),
	FLAG_ROW(struct kill_options, all, "all", 'a',
		 "to all its processes, not only to the first"),
	END_ROW,
};

static int kill_one(struct cli *c, const struct instances *all, const char *name, struct err *e)
{
	const struct kill_options *o = c->options;
	auto_arena struct arena *a = arena_new(1u << 20);
	struct state_dir sd;
	struct state st;
	int rc;

	if (!a)
		return err_set(e, ENOMEM, "cannot kill '%s'", name);
	if (state_open(all->states, name, &sd, e) < 0)
		return e->code == ERR_NO_SUCH ? err_set(e, ERR_STATE, "'%s' does not run", name) :
						-1;
	rc = state_read(&sd, a, &st, e);
	if (rc == 0)
		rc = life_kill(&sd, &st, o->signal ? signal_number(o->signal) : SIGKILL, o->all, e);
	state_close(&sd);
	return rc < 0 ? err_in(e, "cannot kill '%s'", name) : 0;
}

static int kill_verb(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	const struct kill_options *o = c->options;

	(void)argc;
	if (o->signal && signal_number(o->signal) <= 0)
		return err_set(c->e, ERR_USAGE, "there is no signal '%s'", o->signal);
	if (open_instances(c, &all) < 0)
		return -1;
	return each_instance(c, &all, argv, 0, kill_one);
}

const struct verb verb_kill = {
	.name = "kill",
	.run = kill_verb,
	.flags = VERB_MANY | VERB_JSON,
	.operands = "NAME...",
	.min = 1,
	.max = -1,
	.help = "send a signal to the first process of instances",
	.rows = kill_rows,
	.options_size = sizeof(struct kill_options),
};

/* ---- wait ---- */

/* The result is the exit code. One that is removed at its end tells it only to whoever waited before. */
static int wait_one(struct cli *c, const struct instances *all, const char *name, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_running struct running r = RUNNING_NONE;
	struct instance_exit x = { .code = -1 };
	struct err none;
	int rc;

	if (instance_look(all, name, &d, e) < 0)
		return -1;
	rc = running_look(all, name, &r, e);
	if (rc == 0 && r.exists) {
		if (r.pidfd >= 0)
			(void)pidfd_wait(r.pidfd, -1);
		rc = wait_for_end(all, name, &r, e);
	}
	/* An ephemeral instance leaves no record; but the kernel keeps one for who holds the process. */
	if (rc == 0 && instance_read_exit(&d, &x, &none) < 0) {
		if (r.pidfd >= 0)
			running_exit_status(r.pidfd, &x);
		else
			rc = instance_read_exit(&d, &x, e);
	}
	close(d.fd);
	if (rc < 0)
		return -1;
	each_code(c, x.code);
	return 0;
}

static int wait_verb(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;

	(void)argc;
	if (open_instances(c, &all) < 0)
		return -1;
	/* each waits at once: what is removed at its end tells its code only then */
	if (!c->jobs.set)
		c->jobs = (struct opt_u64){ true, 256 };
	return each_instance(c, &all, argv, 0, wait_one);
}

const struct verb verb_wait = {
	.name = "wait",
	.run = wait_verb,
	.flags = VERB_MANY | VERB_JSON,
	.operands = "NAME...",
	.min = 1,
	.max = -1,
	.help = "wait until instances have ended, and print their exit codes",
};

/* ---- rm ---- */

struct rm_options {
	bool force;
	bool sure; /* the person at the terminal said so */
};

static const struct option_row rm_rows[] = {
	FLAG_ROW(struct rm_options, force, "force", 'f',
		 "also if it runs: kill it first; and if there is none"),
	END_ROW,
};

/* 1: somebody started it meanwhile. */
static int try_to_remove(struct cli *c, const struct instances *all, const char *name,
			 struct err *e)
{
	const struct rm_options *o = c->options;
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_running struct running r = RUNNING_NONE;

	if (running_look(all, name, &r, e) < 0)
		return err_in(e, "cannot remove '%s'", name);
	if (r.exists && r.pidfd >= 0 && !o->force && !o->sure)
		return err_set(e, ERR_STATE, "'%s' runs: stop it first, or use --force", name);
	if (r.exists && end_instance(c, all, name, NULL, &r, e) < 0)
		return err_in(e, "cannot remove '%s'", name);
	(void)restart_cancel(all, name);
	if (instance_open(all, name, &d, e) < 0)
		return e->code == ERR_NO_SUCH && (r.exists || o->force) ? 0 : -1; /* --rm did it */
	running_close(&r);
	if (running_look(all, name, &r, e) < 0 || r.exists) {
		instance_close(&d);
		return r.exists ? 1 : -1;
	}
	if (!o->force && check_no_clones(&d, e) < 0) {
		instance_close(&d);
		return -1;
	}
	return instance_remove(&d, e);
}

static int rm_one(struct cli *c, const struct instances *all, const char *name, struct err *e)
{
	const struct rm_options *o = c->options;
	int r = 1;

	/* a start that was under way, its command perhaps killed, is no reason not to remove what it started */
	for (int tries = 0; r > 0 && tries < (o->force ? 10 : 1); tries++)
		r = try_to_remove(c, all, name, e);
	return r > 0 ? err_set(e, ERR_STATE, "'%s' was started meanwhile", name) : r;
}

/* How many of them run, and one that does. */
static size_t count_running(const struct instances *all, char **names, const char **example)
{
	size_t n = 0;

	for (char **name = names; *name; name++) {
		auto_running struct running r = RUNNING_NONE;
		struct err ignored; /* whoever removes it says why */

		if (running_look(all, *name, &r, &ignored) == 0 && r.pidfd >= 0) {
			*example = *name;
			n++;
		}
	}
	return n;
}

/* What only those needed that were removed: once for all of them. */
static int sweep_layers(const struct instances *all)
{
	auto_layers struct layers l = LAYERS_NONE;
	struct err e;

	if (!layers_exist(all))
		return 0;
	if (layers_open(all, &l, &e) == 0 && layers_sweep(&l, &e) == 0)
		return 0;
	log_error("%s", e.msg);
	return -1;
}

static int rm(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	struct rm_options *o = c->options;
	auto_free char **names = NULL;
	const char *one = "";
	struct err ignored;
	size_t n = 0;
	int rc;

	(void)argc;
	if (open_instances(c, &all) < 0)
		return -1;
	if (!o->force && can_ask() &&
	    match_instances(&all, argv, true, &names, &n, &ignored) == 0) {
		n = count_running(&all, names, &one);
		if (n && !confirm(n > 1 ? "%zu of them run, '%s' for one: kill and remove them?" :
					  "%zu of them runs, '%s': kill and remove it?",
				  n, one))
			return err_set(c->e, ERR_STATE, "nothing was removed");
		o->sure = n > 0;
	}
	rc = each_instance(c, &all, argv, o->force ? EACH_MISSING_OK : 0, rm_one);
	unmount_unused(c, &all);
	return sweep_layers(&all) < 0 && rc == EXIT_DONE ? EXIT_FAILED : rc;
}

const struct verb verb_rm = {
	.name = "rm",
	.aliases = "remove delete",
	.run = rm,
	.flags = VERB_MANY | VERB_JSON,
	.operands = "NAME...",
	.min = 1,
	.max = -1,
	.help = "remove instances with all their files",
	.rows = rm_rows,
	.options_size = sizeof(struct rm_options),
};
