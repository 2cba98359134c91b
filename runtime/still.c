/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/still.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/freeze.h"
#include "runtime/instances.h"

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Holds one end of a rope whose other end only we have. */
static int set_guard(struct still *s, struct err *e)
{
	struct err ignored;
	int ends[2];
	char c;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(e, errno, "cannot make a pipe");
	s->guard = fork();
	if (s->guard == 0) {
		close(ends[1]);
		for (int sig = 1; sig < SIGRTMIN; sig++)
			(void)signal(
				sig,
				SIG_IGN); /* Ctrl-C is for the command, whose end is ours to see */
		if (read(ends[0], &c, 1) == 0)
			(void)freeze_set(&s->state, false, &ignored);
		_exit(0);
	}
	close(ends[0]);
	s->rope = ends[1];
	return s->guard < 0 ? err_set(e, errno, "cannot fork") : 0;
}

static void dismiss_guard(struct still *s)
{
	if (s->guard > 0 && write(s->rope, "", 1) == 1)
		while (waitpid(s->guard, NULL, 0) < 0 && errno == EINTR)
			;
	own_close(&s->rope);
	s->guard = 0;
	s->rope = -1;
}

int still_begin(const struct instances *all, const char *name, struct still *s, struct err *e)
{
	enum status status;
	struct err why;

	*s = (struct still){ .rope = -1, .dir = { .root = -1, .dir = -1, .open = -1 } };
	if (state_open(all->states, name, &s->dir, &why) < 0) {
		if (why.code == ERR_NO_SUCH)
			return 0;
		*e = why;
		return -1;
	}
	s->arena = arena_new(1u << 20);
	if (!s->arena)
		return err_set(e, ENOMEM, "run state");
	if (state_read(&s->dir, s->arena, &s->state, e) < 0)
		return -1;
	status = state_status(&s->dir, &s->state, NULL, e);
	if ((int)status < 0)
		return -1;
	if (status != STATUS_RUNNING && status != STATUS_PAUSED)
		return 0;
	s->alive = true;
	s->frozen = status == STATUS_PAUSED;
	if (s->frozen)
		return 0;
	if (set_guard(s, e) < 0)
		return -1;
	s->since = now_us();
	if (freeze_set(&s->state, true, &why) == 0)
		s->frozen = s->thaw = true;
	else if (why.code != ERR_NOT_SUPPORTED)
		return err_set(e, why.code, "%s", why.msg);
	return 0;
}

int still_end(struct still *s, struct err *e)
{
	int rc = 0;

	if (s->thaw) {
		rc = freeze_set(&s->state, false, e);
		s->us = now_us() - s->since;
	}
	if (rc == 0)
		dismiss_guard(s); /* else it tries, when we are gone */
	if (s->dir.dir >= 0)
		state_close(&s->dir);
	arena_free(s->arena);
	s->arena = NULL;
	s->thaw = false;
	return rc;
}
