/*
 * ctr-unpack - turns archives into layers and trees, for `ctr`. Not for people: unpack.h says how it is
 * started and what it answers.
 */
#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <langinfo.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/unpack/build.h"
#include "images/unpack/hash.h"
#include "images/unpack/sandbox.h"
#include "images/unpack/stream.h"
#include "images/unpack/unpack.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"

/* The socket is non-blocking: a report of progress that nobody has room for is not missed. */
static void tell(void *arg, const struct unpack_report *r)
{
	(void)arg;
	(void)!write(UNPACK_FD_TALK, r, sizeof(*r));
}

static void tell_last(const struct unpack_report *r)
{
	struct pollfd p = { .fd = UNPACK_FD_TALK, .events = POLLOUT };

	while (write(UNPACK_FD_TALK, r, sizeof(*r)) < 0 && (errno == EAGAIN || errno == EINTR))
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			break;
}

static int hear(struct unpack_request *q, struct err *e)
{
	ssize_t n;

	do {
		n = read(UNPACK_FD_TALK, q, sizeof(*q));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(e, errno, "cannot read what to do");
	if (n != sizeof(*q) || q->version != UNPACK_VERSION)
		return err_set(e, ERR_INVALID, "ctr-unpack is not of the same version as ctr");
	if (!q->max_ratio || q->n_layers > UNPACK_LAYERS_MAX || q->architecture[15] ||
	    q->variant[15])
		return err_set(e, ERR_INVALID, "a request out of bounds");
	if (fcntl(UNPACK_FD_TALK, F_SETFL, O_NONBLOCK) < 0)
		return err_set(e, errno, "cannot set up the socket");
	return 0;
}

/*
 * libarchive passes PAX names through iconv, which reads its configuration and maybe loads a module when
 * it is first asked for a conversion: that must happen while there are files to read, and before calls are
 * restricted (CVE-2019-14271 is about libraries loaded from the wrong root).
 */
static void load_conversions(void)
{
	char in[] = "\xc3\xa9", out[8], *from = in, *to = out;
	size_t n_in = sizeof(in) - 1, n_out = sizeof(out);
	iconv_t cd = iconv_open(nl_langinfo(CODESET), "UTF-8");

	if (cd == (iconv_t)-1)
		return;
	(void)iconv(cd, &from, &n_in, &to, &n_out); /* fails, as it will for each such name */
	iconv_close(cd);
}

/* One question, one answer; whoever should answer may have been killed. */
static int ask(void *arg, const struct unpack_report *r, struct err *e)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct unpack_answer answer = { 0 };
	struct iovec iov = { &answer, sizeof(answer) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct pollfd p = { .fd = UNPACK_FD_TALK, .events = POLLIN };
	struct cmsghdr *c;
	int fd = -1;
	ssize_t n;

	(void)arg;
	tell_last(r);
	do {
		while (poll(&p, 1, -1) < 0 && errno == EINTR)
			;
		n = recvmsg(UNPACK_FD_TALK, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n != sizeof(answer) || answer.version != UNPACK_VERSION) {
		err_set(e, ERR_INVALID, "ctr does not answer");
		return -2;
	}
	c = CMSG_FIRSTHDR(&m);
	if (answer.found && c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* Or may be: a faster hash takes 2 ms to load, which it has won after 20 MB. */
static bool is_large(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size >= 16 << 20;
}

static int work(struct unpack_report *r, struct err *e)
{
	struct unpack_request q;
	struct isal isal;
	struct builder b = {
		.q = &q, .in = STDIN_FILENO, .report = r, .tell = tell, .ask = ask, .last = true
	};

	load_conversions();
	if (isal_load(&isal))
		b.isal = &isal;
	if (is_large(STDIN_FILENO))
		hash_load();
	if (hear(&q, e) < 0 || sandbox_enter(UNPACK_FD_TARGET, &q, e) < 0)
		return -1;
	b.target = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b.target < 0)
		return err_set(e, errno, "cannot open the staging directory");
	if (sandbox_close(e) < 0)
		return -1;
	return build(&b, e);
}

int main(void)
{
	struct unpack_report r = { .version = UNPACK_VERSION };
	struct err e = { 0 };

	/* `ctr` decides what an interrupt from the keyboard means; without `ctr` this is pointless */
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return 1;
	/* an arena a thread would be 64 MiB of address space each */
	mallopt(M_ARENA_MAX, 1);
	r.state = UNPACK_RUNNING;
	if (work(&r, &e) < 0) {
		r.state = UNPACK_FAILED;
		r.err = e;
	} else {
		r.state = UNPACK_DONE;
	}
	tell_last(&r);
	_exit(r.state == UNPACK_DONE ? 0 : 1);
}
