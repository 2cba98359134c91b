/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/sys.h"

/* Below PIPE_BUF: a write that poll(2) allowed does not block a pipe's or a terminal's writer. */
#define CHUNK 4096

/* A payload whose terminal is gone has so long to notice. */
#define HANG_UP_MS 10000

/* One direction: read when empty, written when not. */
struct flow {
	int from, to; /* -1: closed */
	size_t start, end;
	char bytes[CHUNK];
};

struct proxy {
	const struct console_options *o;
	int tty, signals;
	bool raw, ended, detached, hung_up;
	struct termios saved;
	size_t escaped; /* keys of the escape sequence seen so far */
	int impatience;
	struct flow typed, shown;
};

/* What is passed on. SIGCHLD, SIGPIPE and the faults are about this process; SIGTSTP and SIGWINCH see below. */
static const int forwarded[] = { SIGHUP,  SIGINT,    SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM,
				 SIGTERM, SIGVTALRM, SIGPROF, SIGIO,   SIGPWR };

int console_find(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (isatty(fd))
			return fd;
	return -1;
}

static void resize(struct proxy *p)
{
	struct winsize size;

	if (p->tty < 0 || ioctl(p->tty, TIOCGWINSZ, &size) < 0)
		return;
	if (p->o->resize)
		p->o->resize(p->o->arg, size.ws_row, size.ws_col);
	else
		(void)ioctl(p->o->master, TIOCSWINSZ, &size); /* a size is a courtesy */
}

/* Raw for input alone: the payload's pty leaves line ends to this terminal, as runc's does. */
static void enter_raw(struct proxy *p)
{
	struct termios raw;

	if (p->tty < 0 || p->o->in < 0 || !isatty(p->o->in) || (p->o->typed > 0 && !p->o->raw) ||
	    tcgetattr(p->tty, &p->saved) < 0)
		return;
	raw = p->saved;
	cfmakeraw(&raw);
	raw.c_oflag = p->saved.c_oflag;
	p->raw = tcsetattr(p->tty, TCSADRAIN, &raw) == 0;
}

static void leave_raw(struct proxy *p)
{
	if (p->raw)
		(void)tcsetattr(p->tty, TCSADRAIN, &p->saved); /* it may be gone */
	p->raw = false;
}

static void send_signal(struct proxy *p, int sig)
{
	if (p->o->signal)
		p->o->signal(p->o->arg, sig);
	else if (p->o->pidfd >= 0)
		(void)sys_pidfd_send_signal(p->o->pidfd, sig); /* it may have ended just now */
}

static void take_signal(struct proxy *p)
{
	struct signalfd_siginfo info;

	if (read(p->signals, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGWINCH:
		resize(p);
		return;
	case SIGPIPE:
		return; /* the write says so too */
	case SIGTSTP:
		leave_raw(p);
		raise(SIGSTOP);
		enter_raw(p);
		resize(p);
		return;
	case SIGINT:
	case SIGTERM:
		p->impatience++;
		if (p->o->patience && p->impatience >= p->o->patience) {
			send_signal(p, SIGKILL);
			return;
		}
	}
	send_signal(p, (int)info.ssi_signo);
}

/*
 * Looks for the escape sequence in what was typed. Keys that may begin one are held back; *out gets the rest,
 * and has room for them.
 */
static size_t filter_keys(struct proxy *p, const char *in, size_t n, char *out)
{
	const char *keys = p->o->escape;
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (in[i] != keys[p->escaped]) {
			memcpy(out + len, keys, p->escaped);
			len += p->escaped;
			p->escaped = 0;
		}
		if (in[i] == keys[p->escaped]) {
			if (!keys[++p->escaped]) {
				p->detached = true;
				return len;
			}
		} else {
			out[len++] = in[i];
		}
	}
	return len;
}

static void fill(struct proxy *p, struct flow *f)
{
	char keys[CHUNK / 2];
	bool filter = f == &p->typed && p->o->escape && *p->o->escape;
	ssize_t n =
		read(f->from, filter ? keys : f->bytes, filter ? sizeof(keys) : sizeof(f->bytes));

	f->start = f->end = 0;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0) {
		f->end = filter ? filter_keys(p, keys, (size_t)n, f->bytes) : (size_t)n;
		return;
	}
	f->from = -1;
	if (f == &p->typed && p->o->typed > 0 &&
	    !p->o->raw) { /* a pipe's end is an end, not a key */
		f->to = -1;
	} else if (f == &p->typed) { /* as the key Ctrl-D at the beginning of a line */
		f->bytes[0] = 4;
		f->end = 1;
	} else if (p->o->pidfd < 0) {
		p->ended = true;
	}
}

static void drain(struct proxy *p, struct flow *f)
{
	ssize_t n = write(f->to, f->bytes + f->start, f->end - f->start);

	if (n >= 0) {
		f->start += (size_t)n;
		return;
	}
	if (errno == EINTR || errno == EAGAIN)
		return;
	f->to = f->from = -1;
	f->start = f->end = 0;
	if (f != &p->shown)
		return;
	if (p->o->pidfd < 0) {
		p->ended = true;
	} else {
		p->hung_up = true;
		send_signal(p, SIGHUP);
	}
}

/* What the payload wrote before its end, as far as it is there: descendants may hold the pty for ever. */
static void write_rest(struct proxy *p)
{
	struct flow *f = &p->shown;

	while (f->to >= 0) {
		while (f->to >= 0 && f->start < f->end)
			drain(p, f);
		if (f->from < 0)
			return;
		f->start = f->end = 0;
		fill(p, f);
		if (f->start == f->end)
			return;
	}
}

static void watch(struct pollfd *fds, const struct flow *f)
{
	bool full = f->start < f->end;

	fds->fd = full ? f->to : f->from;
	fds->events = full ? POLLOUT : POLLIN;
}

static int copy(struct proxy *p, struct err *e)
{
	while (!p->ended && !p->detached) {
		struct pollfd fds[4] = { { .fd = p->signals, .events = POLLIN },
					 { .fd = p->o->pidfd, .events = POLLIN } };
		int n;

		watch(&fds[2], &p->typed);
		watch(&fds[3], &p->shown);
		n = poll(fds, 4, p->hung_up ? HANG_UP_MS : -1);
		if (n < 0 && errno != EINTR)
			return err_set(e, errno, "cannot wait for the payload");
		if (n < 0)
			continue;
		if (n == 0)
			send_signal(p, SIGKILL);
		if (fds[0].revents)
			take_signal(p);
		if (fds[3].revents)
			(p->shown.start < p->shown.end ? drain(p, &p->shown) : fill(p, &p->shown));
		if (fds[2].revents)
			(p->typed.start < p->typed.end ? drain(p, &p->typed) : fill(p, &p->typed));
		if (fds[1].revents)
			p->ended = true;
	}
	if (p->ended)
		write_rest(p);
	return p->detached ? CONSOLE_DETACHED : CONSOLE_ENDED;
}

int console_proxy(const struct console_options *o, struct err *e)
{
	struct proxy p = { .o = o, .tty = o->master < 0 ? -1 : console_find() };
	bool io = o->master >= 0;
	auto_fd int signals = -1, peer = -1;
	sigset_t set, old;
	int result;

	p.typed.from = io ? o->in : -1;
	p.typed.to = o->typed > 0 ? o->typed : o->master;
	p.shown.from = o->master;
	p.shown.to = io ? o->out : -1;
	if (io && fcntl(o->master, F_SETFL, fcntl(o->master, F_GETFL) | O_NONBLOCK) < 0)
		return err_set(e, errno, "cannot use the payload's terminal");
	/* While nobody has the other side open, as between two gettys, the master would report its end. */
	if (io && o->pidfd >= 0)
		peer = ioctl(o->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(*forwarded); i++)
		sigaddset(&set, forwarded[i]);
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		sigaddset(&set, sig);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGPIPE);
	if (io)
		sigaddset(&set, SIGTSTP);
	sigprocmask(SIG_BLOCK, &set, &old);
	signals = p.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0) {
		result = err_set(e, errno, "cannot take signals");
	} else {
		enter_raw(&p);
		resize(&p);
		result = copy(&p, e);
		leave_raw(&p);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return result;
}
