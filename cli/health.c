/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/health.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/ready.h"
#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/events.h"
#include "runtime/restart.h"
#include "runtime/running.h"

#define INTERVAL 30 /* seconds, as Docker's */
#define TIMEOUT	 30
#define RETRIES	 3
#define EARLY_MS \
	1000 /* between checks while it is starting, so that what waits for it need not wait long */

static const char *const names[] = { NULL, "starting", "healthy", "unhealthy" };

const char *health_name(enum health h)
{
	return names[h];
}

enum health health_status(const struct instances *all, const char *name)
{
	char path[INSTANCE_NAME_MAX + 16];
	auto_str struct str text = { 0 };
	struct err none;

	snprintf(path, sizeof(path), "%s/health", name);
	if (file_read(all->states, path, 64, &text, &none) < 0)
		return HEALTH_NONE;
	for (int h = HEALTH_STARTING; h <= HEALTH_UNHEALTHY; h++)
		if (streq(str_text(&text), names[h]))
			return (enum health)h;
	return HEALTH_NONE;
}

/* ---- the process that asks ---- */

struct watch {
	const struct instances *all;
	const char *name;
	const struct instance *i;
	enum health now;
	unsigned failures; /* in a row */
};

static void say(struct watch *w, enum health h, const char *why)
{
	auto_fd int dir =
		openat(w->all->states, w->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct err none;

	if (dir >= 0) /* else it has just ended */
		(void)file_replace(dir, "health", names[h], strlen(names[h]), 0600, 0, &none);
	if (h != w->now && h != HEALTH_STARTING)
		events_append(w->all,
			      &(struct event){ .type = h == HEALTH_HEALTHY ? EVENT_HEALTHY :
									     EVENT_UNHEALTHY,
					       .name = w->name,
					       .uuid = w->i->uuid,
					       .detail = why });
	w->now = h;
}

/* The verb ends the instance, and with its supervisor this process: it must not be our child in the kernel's eyes. */
static void run_verb(const char *verb, const char *name)
{
	char *argv[] = { "ctr", (char *)(uintptr_t)verb, (char *)(uintptr_t)name, NULL };
	pid_t pid = fork();

	if (pid == 0) {
		(void)setsid();
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void check(struct watch *w, int64_t seconds)
{
	unsigned retries = w->i->health_retries ? (unsigned)w->i->health_retries : RETRIES;
	unsigned timeout = w->i->health_timeout ? (unsigned)w->i->health_timeout : TIMEOUT;
	const char *why = NULL;

	if (ready_exec(w->name, w->i->health_cmd, timeout, &why)) {
		w->failures = 0;
		if (w->now != HEALTH_HEALTHY)
			say(w, HEALTH_HEALTHY, NULL);
		return;
	}
	if (w->now == HEALTH_STARTING && seconds < (int64_t)w->i->health_start)
		return;
	if (++w->failures < retries || w->now == HEALTH_UNHEALTHY)
		return;
	say(w, HEALTH_UNHEALTHY, why);
	if (w->i->health_action && !streq(w->i->health_action, "none"))
		run_verb(w->i->health_action, w->name);
}

static int watch(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_instance struct instance *i = NULL;
	auto_running struct running r = RUNNING_NONE;
	struct watch w = { .all = &all, .name = argv[0] };
	int64_t ms = 0, interval;

	(void)argc;
	if (open_instances(c, &all) < 0 || instance_look(&all, argv[0], &d, c->e) < 0)
		return -1;
	i = instance_load(&d, c->e);
	close(d.fd);
	if (!i || !i->health_cmd || running_look(&all, argv[0], &r, c->e) < 0)
		return i && !i->health_cmd ? EXIT_DONE : -1;
	w.i = i;
	interval = (int64_t)(i->health_interval ? i->health_interval : INTERVAL) * 1000;
	say(&w, HEALTH_STARTING, NULL);
	while (r.pidfd >= 0) {
		int64_t pause = w.now == HEALTH_STARTING && interval > EARLY_MS ? EARLY_MS :
										  interval;

		if (pidfd_wait(r.pidfd, (int)pause))
			break;
		ms += pause;
		check(&w, ms / 1000);
	}
	return EXIT_DONE;
}

const struct verb verb_health_watch = {
	.name = "health-watch",
	.run = watch,
	.flags = VERB_HIDDEN,
	.operands = "NAME",
	.min = 1,
	.max = 1,
	.help = "asks an instance's health check again and again",
};

void health_begin(const struct instances *all, const char *name, const struct instance *i)
{
	char *argv[] = { "ctr", "health-watch", (char *)(uintptr_t)name, NULL };
	pid_t supervisor = getpid(), pid;
	char data[PATH_MAX], run[PATH_MAX];
	char *envp[] = { data, run, "PATH=" USUAL_PATH, NULL };

	if (!i->health_cmd)
		return;
	pid = fork();
	if (pid != 0)
		return; /* failing, its health stays unknown, which its list shows */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != supervisor)
		_exit(1);
	snprintf(data, sizeof(data), "CTR_ROOT=%.*s", instances_data_len(all), all->path);
	snprintf(run, sizeof(run), "CTR_RUN=%s", all->run_path);
	execve("/proc/self/exe", argv, envp);
	_exit(127);
}
