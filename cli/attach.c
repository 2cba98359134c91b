/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.c - `ctr attach` and `ctr console`: what a detached instance writes as it comes, and keys for it.
 *
 * The supervisor shows what it reads to whoever is connected (runtime/supervise.h). It takes no input: that goes straight to the
 * instance's terminal, or to its standard input.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/console.h"
#include "cli/instances.h"
#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/running.h"
#include "runtime/supervise.h"

#define KEYS_DEFAULT "ctrl-p,ctrl-q"
#define KEYS_MAX     16
#define TRIES \
	50 /* 20 ms apart: the supervisor of an instance that was just started has to get ready */

struct attach_options {
	bool no_stdin;
	const char *keys;
};

static const struct option_row attach_rows[] = {
	STRING_ROW(struct attach_options, keys, "detach-keys", 0, "KEYS",
		   "keys that detach, such as ctrl-a,q (default ctrl-p,ctrl-q); none: ''"),
	FLAG_ROW(struct attach_options, no_stdin, "no-stdin", 0, "only look on"),
	END_ROW,
};

/* "ctrl-p,ctrl-q" as the bytes that a terminal makes of them. */
static int read_keys(const char *text, char out[KEYS_MAX + 1], struct err *e)
{
	size_t n = 0;

	for (const char *at = text; *at && n < KEYS_MAX; at += strcspn(at, ",")) {
		const char *control;

		at += *at == ',';
		control = str_after(at, "ctrl-");
		if (control && control[0] && (!control[1] || control[1] == ',') &&
		    strchr("abcdefghijklmnopqrstuvwxyz@[\\]^_", control[0]))
			out[n++] = (char)(control[0] & 0x1f);
		else if (at[0] > ' ' && at[0] != ',' && (!at[1] || at[1] == ','))
			out[n++] = at[0];
		else
			return err_set(e, ERR_USAGE,
				       "--detach-keys: '%.40s' is not such as ctrl-p,ctrl-q", text);
	}
	out[n] = '\0';
	return 0;
}

/* ---- the supervisor's socket ---- */

static int open_socket(const struct instances *all, const char *name, struct err *e)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d/%s/" ATTACH_SOCKET,
		     all->states, name) >= (int)sizeof(to.sun_path))
		return err_set(e, fd < 0 ? errno : ENAMETOOLONG, "cannot make a socket");
	for (int i = 0;; i++) {
		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
			return take_fd(&fd);
		if (i == TRIES || (errno != ENOENT && errno != ECONNREFUSED))
			return err_set(e, errno, "cannot reach the supervisor of '%s'", name);
		(void)usleep(20000);
	}
}

/* What it sends first. *terminal: -1 if there is none. */
static int hear_greeting(int fd, int *terminal, struct err *e)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	char kind;
	struct iovec iov = { &kind, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);

	*terminal = -1;
	if (n != 1)
		return err_set(e, n < 0 ? errno : ERR_STATE,
			       "too many are attached already, or it has just ended");
	c = CMSG_FIRSTHDR(&m);
	if (kind == 't' && c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(terminal, CMSG_DATA(c), sizeof(*terminal));
	return 0;
}

/* ---- the verb ---- */

struct attachment {
	int socket, terminal;
};

/* We are asked to end: the instance is not. */
static void leave(void *arg, int sig)
{
	struct attachment *a = arg;

	(void)sig;
	(void)shutdown(a->socket, SHUT_RDWR);
}

static void resize(void *arg, unsigned rows, unsigned columns)
{
	struct attachment *a = arg;
	struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };

	if (a->terminal >= 0)
		(void)ioctl(a->terminal, TIOCSWINSZ, &size); /* a size is a courtesy */
}

/* Its own exit code, if it has ended. */
static int end_of(const struct instances *all, const char *name, struct running *r, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	struct instance_exit x = { .code = -1 };

	if (!pidfd_wait(r->pidfd, 1000))
		return EXIT_DONE; /* it goes on: we were asked to leave */
	if (r->watcher)
		(void)pidfd_wait(r->watcher_fd, 15000);
	if (instance_look(all, name, &d, e) < 0)
		return e->code == ERR_NO_SUCH ? EXIT_DONE : -1; /* --rm */
	(void)instance_read_exit(&d, &x, e);
	close(d.fd);
	return x.code < 0 ? err_set(e, ERR_INVALID, "it is not known how '%s' ended", name) :
			    x.code;
}

static int attach(struct cli *c, int argc, char **argv)
{
	const struct attach_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;
	auto_running struct running r = RUNNING_NONE;
	struct instance_dir d = { .fd = -1, .promise = -1 };
	struct attachment a = { -1, -1 };
	char keys[KEYS_MAX + 1], path[INSTANCE_NAME_MAX + 16];
	auto_fd int sock = -1, terminal = -1, fifo = -1;
	struct console_options co;
	int end;

	(void)argc;
	if (read_keys(o->keys ? o->keys : KEYS_DEFAULT, keys, c->e) < 0 ||
	    open_instances(c, &all) < 0 || instance_look(&all, argv[0], &d, c->e) < 0)
		return -1;
	close(d.fd);
	if (running_look(&all, argv[0], &r, c->e) < 0)
		return -1;
	if (!r.exists || r.pidfd < 0)
		return err_set(c->e, ERR_STATE, "'%s' does not run", argv[0]);
	if (!r.watcher)
		return err_set(c->e, ERR_STATE,
			       "'%s' has lost its supervisor: `ctr start %s` gives it one", argv[0],
			       argv[0]);
	sock = open_socket(&all, argv[0], c->e);
	if (sock < 0 || hear_greeting(sock, &terminal, c->e) < 0)
		return -1;
	if (terminal < 0 && !o->no_stdin) {
		snprintf(path, sizeof(path), "%s/stdin", argv[0]);
		fifo = openat(all.states, path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	}
	a = (struct attachment){ sock, terminal };
	co = (struct console_options){
		.master = sock,
		.in = o->no_stdin || (terminal < 0 && fifo < 0) ? -1 : STDIN_FILENO,
		.out = STDOUT_FILENO,
		.typed = terminal >= 0 ? terminal : fifo,
		.raw = terminal >= 0,
		.pidfd = -1,
		.escape = *keys ? keys : NULL,
		.signal = leave,
		.resize = resize,
		.arg = &a,
	};
	if (terminal >= 0 && isatty(STDIN_FILENO) && isatty(STDERR_FILENO) && *keys)
		fprintf(stderr, "[%s: %s detaches]\r\n", argv[0], o->keys ? o->keys : KEYS_DEFAULT);
	end = console_proxy(&co, c->e);
	if (end == CONSOLE_DETACHED && isatty(STDERR_FILENO))
		fprintf(stderr, "\r\n[%s goes on]\r\n", argv[0]);
	return end < 0 ? -1 : end == CONSOLE_DETACHED ? EXIT_DONE : end_of(&all, argv[0], &r, c->e);
}

const struct verb verb_attach = {
	.name = "attach",
	.aliases = "console",
	.run = attach,
	.flags = VERB_PAYLOAD,
	.failure = EXIT_CTR_FAILED,
	.operands = "NAME",
	.min = 1,
	.max = 1,
	.help = "show what a detached instance writes, and type into it",
	.rows = attach_rows,
	.options_size = sizeof(struct attach_options),
	.more = "Exits as the instance does; the keys ctrl-p ctrl-q leave it running. What was written before is in `ctr logs`.",
};
