/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/handshake.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/err.h"

struct packet {
	enum msg msg;
	int number;	/* a pid, a descriptor, a set: as the message has it */
	struct err err; /* the last member: sent only as far as it is used */
};

#define PACKET_MIN offsetof(struct packet, err)

static const char *msg_name(int m)
{
	static const char *const names[] = {
		[MSG_MAPPED] = "mapped",	 [MSG_NETNS] = "netns",
		[MSG_CLONED] = "cloned",	 [MSG_MOUNTED] = "mounted",
		[MSG_TO_MAP] = "to map",	 [MSG_MAP_SET] = "map set",
		[MSG_HOOKS_DONE] = "hooks done", [MSG_GO] = "go",
		[MSG_CREATED] = "created",	 [MSG_START] = "start",
		[MSG_UNSHARED] = "unshared",	 [MSG_FAILED] = "failed",
		[MSG_LISTENER] = "listener",	 [MSG_LISTENER_SENT] = "listener sent",
	};

	return m > 0 && m <= MSG_FAILED ? names[m] : "nothing";
}

int handshake_pair(int ends[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_set(e, errno, "cannot make a socket pair");
	return 0;
}

static int send_packet(int sock, const struct packet *p, size_t len, const int *fds, size_t n,
		       struct err *e)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(MSG_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = (void *)p, .iov_len = len };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	if (n > MSG_MAX_FDS)
		return err_set(e, ERR_INVALID, "more than %d mounts need the host's privileges",
			       MSG_MAX_FDS);
	if (n) {
		struct cmsghdr *c;

		memset(&control, 0, CMSG_SPACE(n * sizeof(int)));
		h.msg_control = control.buf;
		h.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	do {
		sent = sendmsg(sock, &h, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return err_set(e, errno, "cannot say '%s'", msg_name((int)p->msg));
	return 0;
}

/* The length of the packet, 0 when the other side has closed its end, -1 on error. */
static ssize_t receive_packet(int sock, struct packet *p, int *fds, size_t *n, struct err *e)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(MSG_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = p, .iov_len = sizeof(*p) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t room = n ? *n : 0;
	bool reset = false;
	ssize_t len;

	if (n) {
		h.msg_control = control.buf;
		h.msg_controllen = sizeof(control.buf);
		*n = 0;
	}
	/*
	 * A side that ends with a message unread, such as "go", resets the connection (unix(7)). That is told once,
	 * and before what it had said to us.
	 */
	do {
		len = recvmsg(sock, &h, MSG_CMSG_CLOEXEC);
		if (len < 0 && errno == ECONNRESET && !reset) {
			reset = true;
			errno = EINTR;
		}
	} while (len < 0 && errno == EINTR);
	if (len < 0 && errno == ECONNRESET)
		return 0;
	if (len < 0)
		return err_set(e, errno, "cannot hear");
	for (struct cmsghdr *c = n ? CMSG_FIRSTHDR(&h) : NULL; c; c = CMSG_NXTHDR(&h, c)) {
		int got[MSG_MAX_FDS];
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
		    count > MSG_MAX_FDS)
			continue;
		memcpy(got, CMSG_DATA(c), count * sizeof(int));
		for (size_t i = 0; i < count; i++) {
			if (*n < room)
				fds[(*n)++] = got[i];
			else
				close(got[i]);
		}
	}
	return len;
}

int say_fds(int sock, enum msg m, const int *fds, size_t n, struct err *e)
{
	struct packet p = { .msg = m };

	return send_packet(sock, &p, PACKET_MIN, fds, n, e);
}

int say(int sock, enum msg m, struct err *e)
{
	return say_fds(sock, m, NULL, 0, e);
}

int say_number(int sock, enum msg m, int number, struct err *e)
{
	struct packet p = { .msg = m, .number = number };

	return send_packet(sock, &p, PACKET_MIN, NULL, 0, e);
}

int say_listener(int sock, int fd, struct err *e)
{
	struct packet p = { .msg = MSG_LISTENER, .number = fd };

	return write(sock, &p, PACKET_MIN) < 0 ? err_set(e, errno, "cannot say 'listener'") : 0;
}

void say_failed(int sock, const struct err *e)
{
	struct packet p = { .msg = MSG_FAILED, .err = *e };
	struct err ignored;

	(void)send_packet(sock, &p, sizeof(p), NULL, 0, &ignored); /* nobody is left to tell */
}

static int hear_packet(int sock, enum msg m, struct packet *p, int *fds, size_t *n, struct err *e)
{
	ssize_t len = receive_packet(sock, p, fds, n, e);

	if (len < 0)
		return err_in(e, "waiting for '%s'", msg_name((int)m));
	if (len == 0)
		return err_set(e, ERR_INVALID, "the other side ended instead of saying '%s'",
			       msg_name((int)m));
	if (len == sizeof(*p) && p->msg == MSG_FAILED) {
		*e = p->err;
		e->msg[sizeof(e->msg) - 1] = '\0';
		return -1;
	}
	if (len < (ssize_t)PACKET_MIN || p->msg != m)
		return err_set(e, ERR_INVALID, "expected '%s' and heard '%s'", msg_name((int)m),
			       msg_name((int)p->msg));
	return 0;
}

int hear_fds(int sock, enum msg m, int *fds, size_t *n, struct err *e)
{
	struct packet p;

	return hear_packet(sock, m, &p, fds, n, e);
}

int hear(int sock, enum msg m, struct err *e)
{
	return hear_fds(sock, m, NULL, NULL, e);
}

int hear_number(int sock, enum msg m, int *number, struct err *e)
{
	struct packet p;

	if (hear_packet(sock, m, &p, NULL, NULL, e) < 0)
		return -1;
	*number = p.number;
	return 0;
}

int hear_pid(int sock, pid_t teller, pid_t *pid, struct err *e)
{
	struct pollfd said = { .fd = sock, .events = POLLIN };
	pid_t ended;

	do {
		ended = waitpid(teller, NULL, 0);
	} while (ended < 0 && errno == EINTR);
	if (ended == teller && poll(&said, 1, 0) == 0)
		return err_set(e, ERR_INVALID, "the other side was killed before it said '%s'",
			       msg_name(MSG_CLONED));
	return hear_number(sock, MSG_CLONED, pid, e);
}

void hear_why(int sock, struct err *e)
{
	struct err other = { 0 };
	struct pollfd p = { .fd = sock, .events = POLLIN };

	if ((e->code == EPIPE || e->code == ECONNRESET || e->code == ESRCH) && poll(&p, 1, 0) > 0 &&
	    hear_end(sock, &other) < 0 && other.code)
		*e = other;
}

int hear_listener(int sock, int *fd, struct err *e)
{
	struct packet p;
	ssize_t len = receive_packet(sock, &p, NULL, NULL, e);

	if (len < 0)
		return -1;
	if (len == 0)
		return 0;
	if (len == sizeof(p) && p.msg == MSG_FAILED) {
		*e = p.err;
		e->msg[sizeof(e->msg) - 1] = '\0';
		return -1;
	}
	if (len == PACKET_MIN && p.msg == MSG_LISTENER) {
		*fd = p.number;
		return 1;
	}
	return err_set(e, ERR_INVALID, "expected the end and heard '%s'", msg_name((int)p.msg));
}

int hear_end(int sock, struct err *e)
{
	int fd, r = hear_listener(sock, &fd, e);

	return r > 0 ? err_set(e, ERR_INVALID, "expected the end and heard '%s'",
			       msg_name(MSG_LISTENER)) :
		       r;
}
