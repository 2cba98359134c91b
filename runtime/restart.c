/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/restart.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/path.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/events.h"
#include "runtime/instances.h"
#include "runtime/state.h"

#define COUNT_VARIABLE "CTR_RESTARTS" /* "COUNT PID" of a start that a waiting process runs */
#define DELAY_MIN      100	      /* ms */
#define DELAY_MAX      60000
#define GOOD_SECONDS   10

int restart_parse(const char *text, struct restart_policy *p, struct err *e)
{
	const char *most = str_after(text, "on-failure:");
	struct restart_policy got = { .when = RESTART_ON_FAILURE };
	uint64_t n = 0;

	if (streq(text, "no"))
		got.when = RESTART_NO;
	else if (streq(text, "always"))
		got.when = RESTART_ALWAYS;
	else if (most ? parse_u64(most, 1, 1000000, &n) < 0 : !streq(text, "on-failure"))
		return err_set(e, ERR_INVALID,
			       "'%.40s' is none of: no, always, on-failure, on-failure:N", text);
	got.most = (unsigned)n;
	*p = got;
	return 0;
}

unsigned restart_count(void)
{
	const char *text = getenv(COUNT_VARIABLE);
	unsigned count = 0;

	return text && sscanf(text, "%u", &count) == 1 ? count : 0;
}

static int state_file(const char *name, const char *file, char *out, size_t size)
{
	return snprintf(out, size, "%s/%s", name, file) < (int)size ? 0 : -1;
}

void restart_not_wanted(const struct instances *all, const char *name)
{
	char path[INSTANCE_NAME_MAX + 16];

	/* without run state there is nothing that could be started again */
	if (state_file(name, "stopping", path, sizeof(path)) == 0)
		own_close(&(int){ openat(all->states, path,
					 O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) });
}

void restart_as_before(const struct instances *all, const char *name)
{
	char path[INSTANCE_NAME_MAX + 16];

	if (state_file(name, "stopping", path, sizeof(path)) == 0)
		(void)unlinkat(all->states, path, 0);
}

bool restart_is_wanted(const struct instances *all, const char *name, const struct instance *i,
		       const struct instance_exit *x, int64_t seconds, unsigned *count)
{
	char path[INSTANCE_NAME_MAX + 16];
	struct restart_policy p = { .when = RESTART_NO };
	struct err none;

	*count = seconds >= GOOD_SECONDS ? 0 : restart_count();
	if (state_file(name, "stopping", path, sizeof(path)) < 0 ||
	    faccessat(all->states, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return false;
	/* reboot(2) in a pid namespace ends its init by SIGHUP: whoever restarts inside means a restart */
	if (i->system && x->signal == SIGHUP) {
		*count = 0;
		return true;
	}
	if (i->restart && restart_parse(i->restart, &p, &none) < 0)
		return false;
	if (p.when == RESTART_NO || (p.when == RESTART_ON_FAILURE && x->code == 0))
		return false;
	++*count;
	return !p.most || *count <= p.most;
}

/* ---- the file ---- */

static void file_of(const char *name, char *out, size_t size)
{
	snprintf(out, size, "restarts/%s", name);
}

static int write_file(const struct instances *all, const char *name, unsigned count, struct err *e)
{
	auto_fd int dir = -1;
	char text[80];

	if (mkdirat(all->run, "restarts", 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "cannot make 'restarts'");
	dir = openat(all->run, "restarts", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return err_set(e, errno, "cannot open 'restarts'");
	snprintf(text, sizeof(text), "%d %llu %u\n", getpid(),
		 (unsigned long long)process_start_time(getpid()), count);
	return file_replace(dir, name, text, strlen(text), 0600, 0, e);
}

/* 0 for none, or one whose process is gone. */
static pid_t read_file(const struct instances *all, const char *name, unsigned *count)
{
	char path[INSTANCE_NAME_MAX + 16];
	auto_str struct str text = { 0 };
	unsigned long long start = 0;
	struct err none;
	int pid = 0;

	file_of(name, path, sizeof(path));
	if (file_read(all->run, path, 256, &text, &none) < 0 ||
	    sscanf(str_text(&text), "%d %llu %u", &pid, &start, count) != 3 || pid <= 0 ||
	    process_start_time(pid) != start)
		return 0;
	return pid;
}

bool restart_is_pending(const struct instances *all, const char *name, unsigned *count)
{
	unsigned ignored;

	return read_file(all, name, count ? count : &ignored) != 0;
}

bool restart_cancel(const struct instances *all, const char *name)
{
	bool was = restart_is_pending(all, name, NULL);
	char path[INSTANCE_NAME_MAX + 16];

	file_of(name, path, sizeof(path));
	return unlinkat(all->run, path, 0) == 0 && was;
}

int restart_may_start(const struct instances *all, const char *name, struct err *e)
{
	const char *text = getenv(COUNT_VARIABLE);
	unsigned count, ignored;
	int pid = 0;

	if (text && sscanf(text, "%u %d", &count, &pid) == 2 && pid &&
	    read_file(all, name, &ignored) != pid)
		return err_set(e, ERR_STATE, "somebody else decided otherwise meanwhile");
	(void)restart_cancel(all, name);
	return 0;
}

/* ---- the process that waits ---- */

static void sleep_ms(int64_t ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

/* Runs `ctr start NAME`. Its exit status, or -1. */
static int run_start(const char *name, unsigned count)
{
	char variable[64];
	char *argv[] = { "ctr", "start", (char *)(uintptr_t)name, NULL };
	int status;
	pid_t pid;

	snprintf(variable, sizeof(variable), "%u %d", count, getpid());
	pid = fork();
	if (pid == 0) {
		if (setenv(COUNT_VARIABLE, variable, 1) == 0 && setenv("PATH", USUAL_PATH, 0) == 0)
			execv("/proc/self/exe", argv);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Until it runs, or that is not wanted any more. A start that fails is as good as a run that does. */
static void wait_and_start(const struct instances *all, const char *name, unsigned count)
{
	int64_t delay = count ? DELAY_MIN : 0;
	struct err e;

	for (unsigned i = 1; i < count && delay < DELAY_MAX; i++)
		delay = delay * 2 < DELAY_MAX ? delay * 2 : DELAY_MAX;
	for (;; count++, delay = delay * 2 < DELAY_MAX ? delay * 2 : DELAY_MAX) {
		unsigned ignored;

		if (write_file(all, name, count, &e) < 0)
			return;
		sleep_ms(delay);
		if (read_file(all, name, &ignored) != getpid())
			return;
		events_append(all,
			      &(struct event){ .type = EVENT_RESTARTED,
					       .name = name,
					       .detail = count ? "by its policy" : "from inside" });
		if (run_start(name, count) == 0 || read_file(all, name, &ignored) != getpid())
			return;
		if (!delay)
			delay = DELAY_MIN;
	}
}

void restart_later(const struct instances *all, const char *name, unsigned count)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)setsid();
		wait_and_start(all, name, count);
		_exit(0);
	}
	/* failing, it stays stopped, which its list shows */
}
