/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/hooks.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/exec.h"
#include "runtime/names.h"
#include "runtime/spec.h"

void state_json(const struct spec *s, const char *id, pid_t pid, enum status status,
		struct str *out)
{
	struct json_writer w = { .out = out };

	json_open(&w, NULL, '{');
	json_put_string(&w, "ociVersion", s->oci_version ? s->oci_version : "1.3.0");
	json_put_string(&w, "id", id);
	json_put_string(&w, "status", status_name(status));
	if (pid)
		json_put_i64(&w, "pid", pid);
	json_put_string(&w, "bundle", s->bundle);
	if (s->n_annotations) {
		json_open(&w, "annotations", '{');
		for (size_t i = 0; i < s->n_annotations; i++)
			json_put_string(&w, s->annotations[i].key, s->annotations[i].value);
		json_close(&w);
	}
	json_close(&w);
}

/* crun's annotation: a file of the host that gets what the hooks print. */
static int redirect(const struct spec *s, const char *annotation, int fd)
{
	const char *path = spec_annotation(s, annotation);
	int file = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : fd;

	return file < 0 || (file != fd && dup2(file, fd) < 0) ? -1 : 0;
}

static void run_child(const struct hook_spec *h, const struct spec *s, bool in_bundle, int input)
{
	const char *const own_name[] = { h->path, NULL };
	struct err ignored;
	sigset_t none;

	setpgid(0, 0);
	umask(022); /* a hook of the container comes from a process that has none */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(input, STDIN_FILENO) < 0 ||
	    redirect(s, "run.oci.hooks.stdout", STDOUT_FILENO) < 0 ||
	    redirect(s, "run.oci.hooks.stderr", STDERR_FILENO) < 0)
		_exit(127);
	/* as runc and crun have it; what belongs to the image is where the payload will be */
	if (in_bundle && chdir(s->bundle) < 0)
		_exit(127);
	/* inherited ones; and ours before execve, so that no name can lead through them (CVE-2024-21626) */
	if (exec_close_files(0, NULL, 0, &ignored) < 0)
		_exit(127);
	execve(h->path, (char *const *)(h->args ? h->args : own_name),
	       h->env ? (char *const *)h->env : environ);
	dprintf(STDERR_FILENO, "cannot execute hook '%s'\n", h->path);
	_exit(127);
}

/* Milliseconds left until @deadline (CLOCK_MONOTONIC); -1 for none. */
static int left(const struct timespec *deadline)
{
	struct timespec now;
	int64_t ms;

	if (!deadline->tv_sec)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (deadline->tv_sec - now.tv_sec) * 1000 + (deadline->tv_nsec - now.tv_nsec) / 1000000;
	return ms < 0 ? 0 : ms > 3600000 ? 3600000 : (int)ms;
}

/* Feeds the state, closing *input after it, and waits; a hook that neither reads nor ends is cut off at the deadline. */
static int feed_and_wait(int *input, const char *text, size_t len, int pidfd,
			 const struct timespec *deadline, struct err *e)
{
	for (;;) {
		struct pollfd fds[2] = { { .fd = pidfd, .events = POLLIN },
					 { .fd = *input, .events = POLLOUT } };
		int n = poll(fds, 2, left(deadline));

		if (n < 0 && errno != EINTR)
			return err_set(e, errno, "cannot wait");
		if (n == 0 && left(deadline) == 0)
			return err_set(e, ETIMEDOUT, "killed");
		if (n > 0 && fds[0].revents)
			return 0;
		if (n > 0 && fds[1].revents) {
			ssize_t put = len ? write(*input, text, len) : 0;

			if (put > 0) {
				text += put;
				len -= (size_t)put;
			}
			if (put < 0 && errno != EPIPE && errno != EAGAIN && errno != EINTR)
				return err_set(e, errno, "cannot tell it the state");
			/* all written, or a hook that does not care to read */
			if (!len || (put < 0 && errno == EPIPE))
				close(take_fd(input));
		}
	}
}

/* The hook and what it started, if it has got as far as having a process group of its own. */
static void kill_hook(pid_t child)
{
	(void)kill(-child, SIGKILL);
	(void)kill(child, SIGKILL); /* it is a zombie by now, or had not got that far */
}

int hook_run(const struct hook_spec *h, const char *point, const struct spec *s, const char *id,
	     pid_t pid, enum status status, bool in_bundle, struct err *e)
{
	auto_str struct str state = { 0 };
	struct timespec deadline = { 0 };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	auto_fd int input = -1, pidfd = -1;
	int pipe[2], code, r;
	pid_t child;

	/* what the child finds out could be told by its exit code alone */
	if (access(h->path, X_OK) < 0)
		return err_set(e, errno, "cannot execute hook '%s'", h->path);
	state_json(s, id, pid, status, &state);
	if (state.failed)
		return err_set(e, ENOMEM, "cannot run hook '%s'", h->path);
	if (pipe2(pipe, O_CLOEXEC) < 0)
		return err_set(e, errno, "cannot run hook '%s'", h->path);
	child = fork();
	if (child == 0)
		run_child(h, s, in_bundle, pipe[0]); /* does not return */
	close(pipe[0]);
	input = pipe[1];
	if (child < 0)
		return err_set(e, errno, "cannot run hook '%s'", h->path);
	pidfd = sys_pidfd_open(child, 0);
	if (pidfd < 0 || fcntl(input, F_SETFL, O_NONBLOCK) < 0) {
		r = err_set(e, errno, "cannot watch it");
	} else {
		if (h->timeout) {
			clock_gettime(CLOCK_MONOTONIC, &deadline);
			deadline.tv_sec += h->timeout;
		}
		sigaction(SIGPIPE, &ignore, &old);
		r = feed_and_wait(&input, state.s, state.len, pidfd, &deadline, e);
		sigaction(SIGPIPE, &old, NULL);
	}
	if (r < 0)
		kill_hook(child);
	while (waitpid(child, &code, 0) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "cannot wait for hook '%s'", h->path);
	if (r < 0)
		return err_in(e, "hook '%s'", h->path);
	if (WIFSIGNALED(code)) {
		const char *name = strsignal(WTERMSIG(code));

		return err_set(e, ERR_INVALID, "hook '%s' was killed by signal %d (%c%s)", h->path,
			       WTERMSIG(code), tolower(*name), name + 1);
	}
	if (WEXITSTATUS(code))
		return err_set(e, ERR_INVALID, "%s hook failed with exit code %d: '%s'", point,
			       WEXITSTATUS(code), h->path); /* crun's words */
	return 0;
}

int hooks_run(enum hook_point point, const struct spec *s, const char *id, pid_t pid,
	      enum status status, struct err *e)
{
	const struct hook_list *hooks = &s->hooks[point];

	for (size_t i = 0; i < hooks->n; i++) {
		if (hook_run(&hooks->list[i], hook_names[point], s, id, pid, status, true, e) == 0)
			continue;
		err_in(e, "error running %s hook #%zu", hook_names[point],
		       i); /* as of apply_step() */
		if (point != HOOK_POSTSTOP)
			return -1;
		log_warn("%s", e->msg);
	}
	return 0;
}
