/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/criu.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/exec.h"

#define SOCK_FD	      3
#define ANSWER_MAX    65536
#define LOG_MAX	      (1 << 20) /* the end of a long log is where its errors are */
#define HIGH_FD	      100	/* above all that the child puts in place */
#define MORE	      " (more in "
#define PROCESSOR_LOG "processor.log"
#define SYSTEM_DIRS   ":/usr/local/sbin:/usr/sbin:/sbin"

int criu_find(char *path, size_t size, struct err *e)
{
	const char *dirs = getenv("PATH");
	auto_str struct str all = { 0 };

	str_addf(&all, "%s" SYSTEM_DIRS, dirs ? dirs : "");
	for (const char *at = str_text(&all); *at; at += *at == ':') {
		size_t len = strcspn(at, ":");

		if (at[0] == '/' && snprintf(path, size, "%.*s/criu", (int)len, at) < (int)size &&
		    access(path, X_OK) == 0)
			return 0;
		at += len;
	}
	return err_set(e, ERR_NOT_SUPPORTED,
		       "criu is not installed: it is what saves and restores processes (Debian: "
		       "apt install criu)");
}

static void child_fail(const char *what)
{
	dprintf(STDERR_FILENO, "criu: %s: %s\n", what, strerror(errno));
	_exit(127);
}

static int move_up(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
}

/* All below HIGH_FD is ours to arrange: what is needed is first moved out of the way. */
static void arrange_files(const struct criu_child *how, int sock)
{
	int high[16], streams[3];

	sock = move_up(sock);
	for (size_t i = 0; i < how->n_fds; i++)
		high[i] = move_up(how->fds[i]);
	for (int i = 0; i < 3; i++)
		streams[i] = how->streams ? move_up(how->streams[i]) :
					    move_up(open("/dev/null", O_RDWR | O_CLOEXEC));
	for (int i = 0; i < 3; i++)
		if (streams[i] >= 0 ? dup2(streams[i], i) < 0 : !how->streams)
			child_fail("cannot arrange the standard streams");
	if (dup2(sock, SOCK_FD) < 0)
		child_fail("cannot pass the socket on");
	for (size_t i = 0; i < how->n_fds; i++)
		if (dup2(high[i], CRIU_FIRST_FD + (int)i) < 0)
			child_fail("cannot pass a descriptor on");
	(void)sys_close_range(CRIU_FIRST_FD + (unsigned)how->n_fds, UINT_MAX, CLOSE_RANGE_CLOEXEC);
}

static void run_child(const struct criu_child *how, int sock, pid_t parent)
{
	struct err e;
	char number[12];
	char *argv[] = { "criu", "swrk", number, NULL };

	if (how->die_with_us && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
		_exit(127);
	if (how->prepare)
		how->prepare(sock, how->arg);
	arrange_files(how, sock);
	(void)umask(022); /* what it writes it reads again in a user namespace */
	/* it ends helpers of its own by SIGTERM, and waits for them */
	if (exec_reset_signals(exec_ignored_signals(), &e) < 0)
		_exit(127);
	snprintf(number, sizeof(number), "%d", SOCK_FD);
	execv(how->program, argv);
	child_fail("cannot execute it");
}

int criu_start(const struct criu_child *how, struct criu *c, struct err *e)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	pid_t parent = getpid(), pid;
	int ends[2];

	if (how->cgroup >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)how->cgroup;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_set(e, errno, "cannot make a socket pair for criu");
	pid = sys_clone3(&args);
	if (pid == 0) {
		close(ends[0]);
		run_child(how, ends[1], parent);
	}
	close(ends[1]);
	if (pid < 0) {
		err_set(e, errno, "cannot start criu");
		close(ends[0]);
		return -1;
	}
	c->pid = pid;
	c->sock = ends[0];
	return 0;
}

int criu_end(struct criu *c)
{
	int status = 0;

	own_close(&c->sock);
	c->sock = -1;
	if (c->pid <= 0)
		return 0;
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	c->pid = 0;
	return status;
}

/* "(00.036479) Error (criu/util.c:656): exited, status=1": the last part of it. */
static const char *error_in(const char *line)
{
	const char *at = strstr(line, "Error (");

	if (!at || strstr(at, "rlimit: Can't setup"))
		return NULL;
	at = strstr(at, "): ");
	return at && at[3] ? at + 3 : NULL;
}

bool criu_log_error(const char *text, char *out, size_t size)
{
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		char copy[1024];
		const char *told;

		snprintf(copy, sizeof(copy), "%.*s",
			 (int)(len < sizeof(copy) ? len : sizeof(copy) - 1), line);
		told = error_in(copy);
		if (told) {
			snprintf(out, size, "%s", told);
			return true;
		}
		line += len;
		line += *line == '\n';
	}
	return false;
}

/* The end of the log: whatever it has become, a regular file is read and nothing waited for. */
static void read_log(const struct criu *c, struct str *out)
{
	auto_fd int fd = openat(c->log_dir, c->log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	auto_free char *text = malloc(LOG_MAX);
	struct stat st;
	ssize_t n;

	if (fd < 0 || !text || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	n = pread(fd, text, LOG_MAX, st.st_size > LOG_MAX ? st.st_size - LOG_MAX : 0);
	for (ssize_t i = 0; i < n; i++)
		str_add_n(out, text[i] ? &text[i] : " ", 1);
}

/* What its words for a frequent failure mean to whoever made the container. */
static const char *cure(const char *told)
{
	if (strstr(told, "Can't lookup mount"))
		return ": the container has a file of the host open; give it pipes or /dev/null as standard streams";
	if (strstr(told, "tcp") && strstr(told, "--tcp-established"))
		return ": it has open TCP connections";
	return "";
}

static int failed(const struct criu *c, const struct criu_answer *a, struct err *e)
{
	auto_str struct str log = { 0 };
	char told[512], dir[PATH_MAX] = "", link[40];
	ssize_t len;

	if (!c->log)
		return err_set(e, ERR_INVALID, "criu failed%s%s", a && *a->message ? ": " : "",
			       a ? a->message : "");
	read_log(c, &log);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", c->log_dir);
	len = readlink(link, dir, sizeof(dir) - 1);
	dir[len > 0 ? len : 0] = '\0';
	if (!criu_log_error(str_text(&log), told, sizeof(told)))
		snprintf(told, sizeof(told), "%s",
			 a && *a->message ? a->message :
			 a && a->error	  ? strerror(a->error) :
					    "it ended without an answer");
	return err_set(e, ERR_INVALID, "criu failed: %s%s" MORE "'%s/%s')", told, cure(told), dir,
		       c->log);
}

static int send_text(const struct criu *c, const struct str *text, struct err *e)
{
	ssize_t n;

	if (text->failed)
		return err_set(e, ENOMEM, "cannot ask criu");
	do {
		n = send(c->sock, text->s, text->len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? err_set(e, errno, "cannot ask criu") : 0;
}

/* One message and at most one descriptor with it. The length; 0 when CRIU has gone. */
static ssize_t receive(const struct criu *c, char *data, size_t size, int *fd, struct err *e)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.buf,
			    .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *m;
	ssize_t n;

	*fd = -1;
	do {
		n = recvmsg(c->sock, &h, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : err_set(e, errno, "cannot hear criu");
	m = CMSG_FIRSTHDR(&h);
	if (m && m->cmsg_level == SOL_SOCKET && m->cmsg_type == SCM_RIGHTS &&
	    m->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(m), sizeof(int));
	if (h.msg_flags & MSG_TRUNC)
		return err_set(e, ERR_INVALID, "what criu answers is too long");
	return n;
}

static int answer_notice(struct criu *c, const struct criu_answer *a, int fd,
			 criu_notified *notified, void *arg, struct err *e)
{
	auto_str struct str text = { 0 };
	struct err ignored;
	int r = notified ? notified(a, fd, arg, e) : 0;

	log_debug("criu: %s%s", a->script, r < 0 ? ": refused" : "");
	criu_put_notified(&text, r == 0);
	if (send_text(c, &text, r == 0 ? e : &ignored) < 0)
		return -1;
	return r;
}

int criu_ask(struct criu *c, const struct str *request, criu_notified *notified, void *arg,
	     struct criu_answer *a, struct err *e)
{
	auto_free char *data = malloc(ANSWER_MAX);
	bool refused = false;

	if (!data)
		return err_set(e, ENOMEM, "cannot ask criu");
	if (send_text(c, request, e) < 0)
		return e->code == EPIPE ? failed(c, NULL, e) : -1;
	for (;;) {
		struct err *first = refused ? &(struct err){ 0 } :
					      e; /* the reason is what came first */
		auto_fd int fd = -1;
		ssize_t n = receive(c, data, ANSWER_MAX, &fd, first);

		if (n < 0 || (n > 0 && criu_answer_parse(data, (size_t)n, a, first) < 0))
			return -1;
		if (n == 0)
			return refused ? -1 : failed(c, NULL, e);
		if (a->type != CRIU_NOTIFY) {
			if (refused)
				return -1;
			return a->success ? 0 : failed(c, a, e);
		}
		if (answer_notice(c, a, fd, refused ? NULL : notified, arg, first) < 0)
			refused = true;
	}
}

int criu_check_features(const char *program, bool memory_tracking, bool lazy_pages, struct err *e)
{
	struct criu_child how = { .program = program, .cgroup = -1, .die_with_us = true };
	auto_str struct str request = { 0 };
	struct criu c = { .log_dir = -1 };
	struct criu_answer a;
	int r;

	criu_put_feature_check(&request, memory_tracking, lazy_pages);
	if (criu_start(&how, &c, e) < 0)
		return -1;
	r = criu_ask(&c, &request, NULL, NULL, &a, e);
	(void)criu_end(&c); /* it has answered */
	if (r < 0)
		return -1;
	if (memory_tracking && !a.memory_tracking)
		return err_set(e, ERR_NOT_SUPPORTED,
			       "this kernel does not track changed memory (CONFIG_MEM_SOFT_DIRTY): "
			       "leave out --pre-dump and --parent-path");
	if (lazy_pages && !a.lazy_pages)
		return err_set(e, ERR_NOT_SUPPORTED,
			       "this kernel cannot restore memory lazily (userfaultfd): leave out "
			       "--lazy-pages");
	return 0;
}

int criu_processor(const char *program, int images, bool check, struct err *e)
{
	struct criu_child how = { .program = program, .cgroup = -1, .die_with_us = true };
	struct criu c = { .log_dir = images, .log = PROCESSOR_LOG };
	auto_str struct str options = { 0 }, request = { 0 };
	struct criu_answer a;
	int r;

	criu_put_number(&options, CRIU_IMAGES_DIR_FD, images);
	criu_put_string(&options, CRIU_LOG_FILE, PROCESSOR_LOG);
	criu_put_request(&request, check ? CRIU_CPUINFO_CHECK : CRIU_CPUINFO_DUMP, &options);
	if (criu_start(&how, &c, e) < 0)
		return -1;
	r = criu_ask(&c, &request, NULL, NULL, &a, e);
	(void)criu_end(&c); /* it has answered */
	if (r < 0) {
		char *more = strstr(e->msg, MORE);

		e->code = ERR_NOT_SUPPORTED;
		if (more) /* the log goes with the directory */
			*more = '\0';
	}
	return r;
}
