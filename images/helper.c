/* SPDX-License-Identifier: Apache-2.0 */
#include "images/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "images/images.h"
#include "images/rootfs.h"
#include "runtime/base/sha256.h"
#include "images/unpack/unpack.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"

#ifndef CTR_LIBEXECDIR
#define CTR_LIBEXECDIR "/usr/local/libexec/ctr"
#endif

#define DEFAULT_MAX_BYTES   (256ULL << 30)
#define DEFAULT_MAX_ENTRIES 5000000
#define DEFAULT_MAX_RATIO   1000
#define DEFAULT_MAX_MEMORY  (1ULL << 30)
#define DEFAULT_MAX_SECONDS 3600
/* The largest file that ext4 has with its usual blocks; most of such a one is holes. */
#define MAX_FILE (16ULL << 40)
#define MAX_ID	 65535
#define POLL_MS	 100

/* The helper in the directory of @program, into @path; false if there is none. */
static bool beside(const char *program, char path[PATH_MAX])
{
	const char *slash = strrchr(program, '/');

	return slash &&
	       snprintf(path, PATH_MAX, "%.*s/ctr-unpack", (int)(slash - program), program) <
		       PATH_MAX &&
	       access(path, X_OK) == 0;
}

/*
 * /proc/self/exe names this program's file, unless it is a read-only copy without a path of its own: then
 * runtime/self.c has left the original's path in the environment.
 */
static bool own_path(char path[PATH_MAX])
{
	static const char exe[] = "/proc/self/exe";
	ssize_t n = readlink(exe, path, PATH_MAX - 1);
	struct stat running, named;

	if (n <= 0)
		return false;
	path[n] = '\0';
	return stat(exe, &running) == 0 && stat(path, &named) == 0 &&
	       running.st_dev == named.st_dev && running.st_ino == named.st_ino;
}

static int find_unpacker(const struct image_import_options *o, char path[PATH_MAX], struct err *e)
{
	const char *original = getenv("CTR_PROGRAM");
	char own[PATH_MAX];

	if (o->unpacker) {
		if (snprintf(path, PATH_MAX, "%s", o->unpacker) >= PATH_MAX)
			return err_set(e, ENAMETOOLONG, "'%.64s...'", o->unpacker);
		return 0;
	}
	if (own_path(own) ? beside(own, path) :
			    original && *original == '/' && beside(original, path))
		return 0;
	snprintf(path, PATH_MAX, "%s/ctr-unpack", CTR_LIBEXECDIR);
	if (access(path, X_OK) < 0)
		return err_set(e, errno, "cannot find ctr's helper program '%s'", path);
	return 0;
}

/* Runs in the child. A descriptor above those that the helper is given, so that none is overwritten. */
static int lift(int fd)
{
	return fcntl(fd, F_DUPFD, UNPACK_FD_LOCK + 1);
}

/* @in may be -1. */
static void __attribute__((noreturn))
run_unpacker(const char *path, int in, int target, int talk, int lock)
{
	static char *const env[] = { "LC_ALL=C", NULL };
	char *argv[] = { "ctr-unpack", NULL };
	sigset_t none;
	int null = open("/dev/null", O_WRONLY);

	in = lift(in >= 0 ? in : open("/dev/null", O_RDONLY));
	target = lift(target);
	talk = lift(talk);
	lock = lift(lock);
	if (in < 0 || target < 0 || talk < 0 || lock < 0 || null < 0 ||
	    dup2(in, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(target, UNPACK_FD_TARGET) < 0 || dup2(talk, UNPACK_FD_TALK) < 0 ||
	    dup2(lock, UNPACK_FD_LOCK) < 0)
		_exit(127);
	for (int fd = UNPACK_FD_LOCK + 1;
	     fd < 64 && sys_close_range(UNPACK_FD_LOCK + 1, ~0u, 0) < 0; fd++)
		close(fd); /* before Linux 5.9; all else of ours is O_CLOEXEC anyway */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(path, argv, env);
	_exit(127);
}

struct helper {
	pid_t pid;
	int talk;
	struct unpack_report report; /* the last one heard */
};

static int helper_start(struct helper *h, const char *path, int in, int target, int lock,
			const struct unpack_request *q, struct err *e)
{
	int pair[2];
	auto_fd int theirs = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "cannot make a socket");
	h->talk = pair[0];
	theirs = pair[1];
	if (send(h->talk, q, sizeof(*q), MSG_NOSIGNAL) != sizeof(*q))
		return err_set(e, errno, "cannot write to a socket");
	h->pid = fork();
	if (h->pid < 0)
		return err_set(e, errno, "cannot start '%s'", path);
	if (h->pid == 0)
		run_unpacker(path, in, target, theirs, lock);
	return 0;
}

/* What its end means, when it did not say it itself. */
static int explain_end(int status, const char *path, struct err *e)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(e, ERR_INVALID, "cannot start '%s'", path);
	if (!WIFSIGNALED(status))
		return err_set(e, ERR_INVALID, "the unpacking process ended without a word");
	switch (WTERMSIG(status)) {
	case SIGSYS:
		return err_set(
			e, ERR_INVALID,
			"the unpacking process was stopped: it made a system call that it may not");
	case SIGXCPU:
		return err_set(e, ERR_INVALID,
			       "unpacking takes more processor time than is allowed");
	case SIGBUS:
		return err_set(e, ERR_INVALID, "it was cut short while it was read");
	case SIGKILL:
		return err_set(e, ERR_INVALID, "the unpacking process was killed; out of memory?");
	default:
		return err_set(e, ERR_INVALID, "the unpacking process died of signal %d",
			       WTERMSIG(status));
	}
}

static int cancelled(struct err *e)
{
	err_set(e, ERR_INVALID, "cancelled");
	e->code = ECANCELED;
	return -1;
}

int import_progress(const struct image_import_options *o, struct image_progress *p, struct err *e)
{
	return o->progress && !o->progress(o->progress_arg, p) ? cancelled(e) : 0;
}

/* 1 when a report came, 0 when not (yet), -1 when none will come. */
static int hear(struct helper *h)
{
	struct pollfd p = { .fd = h->talk, .events = POLLIN };
	struct unpack_report r;
	ssize_t n;
	int ready = poll(&p, 1, POLL_MS);

	if (ready <= 0)
		return 0;
	n = recv(h->talk, &r, sizeof(r), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	/* the helper has read hostile input: believe only what has the right shape */
	if (n != sizeof(r) || r.version != UNPACK_VERSION || r.compression >= UNPACK_COMPRESSIONS)
		return -1;
	r.err.msg[sizeof(r.err.msg) - 1] = '\0';
	h->report = r;
	return 1;
}

static int answer(struct helper *h, int fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct unpack_answer a = { .version = UNPACK_VERSION, .found = fd >= 0 };
	struct iovec iov = { &a, sizeof(a) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		control.head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
						 .cmsg_type = SCM_RIGHTS,
						 .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	return sendmsg(h->talk, &m, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* Gives the helper the file that it asks for, if it may have it; it reads hostile input, so digests and names are checked. */
static int serve(struct helper *h, const struct source *src)
{
	auto_fd int fd = -1;
	char hex[IMAGE_ID_LEN + 1], path[IMAGE_ID_LEN + 16];

	if (h->report.state == UNPACK_WANT_LAYER) {
		if (src->layers)
			snprintf(path, sizeof(path), "layers/%s",
				 h->report.number < src->n_layers ? src->layers[h->report.number] :
								    "none");
		else
			snprintf(path, sizeof(path), "layers/%s",
				 (hex_of_digest(h->report.digest, hex), hex));
		fd = openat(src->store, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 && src->staged >= 0)
			fd = openat(src->staged, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	} else if (src->layout >= 0) {
		h->report.name[UNPACK_NAME_MAX - 1] = '\0';
		/* the layout is somebody's directory, maybe a hostile one: no links, nothing that blocks */
		fd = sys_openat2(src->layout, h->report.name,
				 O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0,
				 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	}
	return answer(h, fd);
}

static int helper_follow(struct helper *h, const char *path, const struct source *src,
			 const struct image_import_options *o, struct image_progress *p,
			 struct err *e)
{
	int heard, status;

	do {
		heard = hear(h);
		if (heard > 0 &&
		    (h->report.state == UNPACK_WANT_LAYER || h->report.state == UNPACK_WANT_FILE))
			heard = serve(h, src);
		p->bytes_read = h->report.bytes_in;
		p->bytes_out = h->report.bytes_out;
		p->entries = h->report.entries;
		if (import_progress(o, p, e) < 0)
			return -1; /* killed by whoever owns h */
	} while (heard >= 0 && h->report.state != UNPACK_DONE && h->report.state != UNPACK_FAILED);
	if (heard < 0)
		kill(h->pid,
		     SIGKILL); /* nothing if it ended; a wrong answer must not leave us waiting */
	while (waitpid(h->pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "cannot wait for the unpacking process");
	h->pid = 0;
	if (heard < 0)
		return explain_end(status, path, e);
	if (h->report.state == UNPACK_FAILED) {
		*e = h->report.err;
		return -1;
	}
	return 0;
}

static uint64_t or_default(uint64_t given, uint64_t otherwise)
{
	return given ? given : otherwise;
}

int unpack(const struct source *src, enum unpack_job job, unsigned flags, int target, int lock,
	   const struct image_import_options *o, struct image_progress *p, struct unpack_report *r,
	   struct err *e)
{
	struct unpack_request q = {
		.version = UNPACK_VERSION,
		.job = job,
		.flags = flags,
		.strip = o->strip,
		.max_id = MAX_ID,
		.n_layers = (uint32_t)src->n_layers,
		.max_bytes = or_default(o->max_bytes, DEFAULT_MAX_BYTES),
		.max_entries = or_default(o->max_entries, DEFAULT_MAX_ENTRIES),
		.max_ratio = or_default(o->max_ratio, DEFAULT_MAX_RATIO),
		.max_memory = or_default(o->max_memory, DEFAULT_MAX_MEMORY),
		.max_seconds = or_default(o->max_seconds, DEFAULT_MAX_SECONDS),
		.max_file = MAX_FILE,
	};
	struct helper h = { .talk = -1 };
	char path[PATH_MAX];
	int rc;

	snprintf(q.architecture, sizeof(q.architecture), "%s", rootfs_host_machine());
	if (find_unpacker(o, path, e) < 0)
		return -1;
	rc = helper_start(&h, path, src->archive, target, lock, &q, e);
	if (rc == 0)
		rc = helper_follow(&h, path, src, o, p, e);
	if (h.pid > 0)
		own_kill(&h.pid);
	if (h.talk >= 0)
		close(h.talk);
	if (rc == 0)
		*r = h.report;
	return rc;
}
