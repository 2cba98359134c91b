/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logs.c - `ctr logs`: what a detached instance has written.
 *
 * Reads the files of supervise.h; standard output goes to ours, standard error to ours, as they came. Following
 * sleeps on inotify and on the payload's end.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/running.h"
#include "runtime/spec.h"
#include "runtime/supervise.h"

#define LINE_MAX_BYTES 8192 /* longer than any line that log_file_write() writes */

struct logs_options {
	bool follow, timestamps;
	struct opt_u64 tail;
	const char *since;
};

static const struct option_row logs_rows[] = {
	FLAG_ROW(struct logs_options, follow, "follow", 'f',
		 "go on with what comes, until it ends"),
	NUMBER_ROW(struct logs_options, tail, "tail", 'n', "N", "only the last N lines", 0, 0),
	STRING_ROW(struct logs_options, since, "since", 0, "TIME",
		   "only what is younger: 2026-11-21T08:00:00Z, or 90s, 10m, 2h, 7d ago"),
	FLAG_ROW(struct logs_options, timestamps, "timestamps", 't',
		 "put the time before each line"),
	END_ROW,
};

/* A file of lines that is being read. Lines are taken one by one, whole. */
struct reader {
	int fd;	   /* -1: none */
	int error; /* an errno: not everything could be read */
	char buf[65536];
	size_t begin, end;
};

static void reader_open(struct reader *r, int dir, const char *name)
{
	r->begin = r->end = 0;
	r->fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (r->fd < 0 && errno != ENOENT)
		r->error = errno;
}

/* The next line, without its newline; NULL: none that is whole, for now. */
static const char *reader_line(struct reader *r, size_t *len)
{
	for (;;) {
		char *at = r->buf + r->begin, *newline = memchr(at, '\n', r->end - r->begin);
		ssize_t n;

		if (newline) {
			*len = (size_t)(newline - at);
			r->begin = (size_t)(newline - r->buf) + 1;
			return at;
		}
		if (r->fd < 0)
			return NULL;
		memmove(r->buf, at, r->end - r->begin);
		r->end -= r->begin;
		r->begin = 0;
		if (r->end >= LINE_MAX_BYTES)
			r->end = 0; /* no line of ours: somebody else wrote into the file */
		do {
			n = read(r->fd, r->buf + r->end, sizeof(r->buf) - r->end);
		} while (n < 0 && errno == EINTR);
		if (n < 0 && r->fd >= 0)
			r->error = errno;
		if (n <= 0)
			return NULL;
		r->end += (size_t)n;
	}
}

struct printing {
	const struct logs_options *o;
	int64_t since_s;
	uint32_t since_ns;
	bool has_since;
	bool inside[2]; /* the last line of the stream was partial: the next one continues it */
	bool failed;	/* nobody reads what we write */
};

static bool is_wanted(const struct printing *p, const struct log_line *l)
{
	if (!p->has_since)
		return true;
	return l->seconds > p->since_s ||
	       (l->seconds == p->since_s && l->nanoseconds >= p->since_ns);
}

static void print_line(struct printing *p, const struct log_line *l)
{
	bool err = l->stream_len == 6 && memcmp(l->stream, "stderr", 6) == 0;
	FILE *to = err ? stderr : stdout;

	if (p->o->timestamps && !p->inside[err])
		fprintf(to, "%.30s ", l->time);
	fwrite(l->text, 1, l->len, to);
	if (!l->partial)
		fputc('\n', to);
	p->inside[err] = l->partial;
	if (ferror(to))
		p->failed = true;
}

/* All whole lines that there are; @skip of the wanted ones are passed over first. The number wanted. */
static uint64_t print_all(struct reader *r, struct printing *p, uint64_t *skip, bool count_only)
{
	const char *line;
	uint64_t n = 0;
	size_t len;

	while (!p->failed && (line = reader_line(r, &len))) {
		struct log_line l;

		if (!log_line_parse(line, len, &l) || !is_wanted(p, &l))
			continue;
		/* what a person calls a line ends with its last part */
		if (count_only) {
			n += !l.partial;
			continue;
		}
		if (*skip) {
			*skip -= !l.partial;
			continue;
		}
		print_line(p, &l);
	}
	return n;
}

static int parse_since(const char *text, struct printing *p, struct err *e)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t len = strlen(text);
	char number[24];
	uint64_t v;

	p->has_since = true;
	if (parse_time(text, &p->since_s, &p->since_ns) == 0)
		return 0;
	for (size_t k = 0; k < 4 && len > 1 && len < sizeof(number); k++) {
		if (text[len - 1] != units[k].unit)
			continue;
		memcpy(number, text, len - 1);
		number[len - 1] = '\0';
		if (parse_u64(number, 0, 36500ULL * 86400, &v) == 0) {
			struct timespec now;

			clock_gettime(CLOCK_REALTIME, &now);
			p->since_s = now.tv_sec - (int64_t)v * units[k].seconds;
			p->since_ns = (uint32_t)now.tv_nsec;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE,
		       "--since '%.60s' is neither a time, 2026-11-21T08:00:00Z, nor an age, 10m",
		       text);
}

/* Whether "log" is another file now than the one that is read: it was rotated. */
static bool was_rotated(const struct reader *r, int dir)
{
	struct stat open, named;

	return r->fd >= 0 && fstat(r->fd, &open) == 0 &&
	       fstatat(dir, LOG_FILE, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (open.st_ino != named.st_ino || open.st_dev != named.st_dev);
}

/* What has come since, in the old file to its end and then in the new one. */
static void print_more(struct reader *r, struct printing *p, int dir)
{
	uint64_t none = 0;

	do {
		bool rotated = was_rotated(r, dir);

		(void)print_all(r, p, &none, false);
		if (!rotated && r->fd >= 0)
			break;
		own_close(&r->fd);
		reader_open(r, dir, LOG_FILE);
	} while (r->fd >= 0);
	fflush(stdout);
	fflush(stderr);
}

static int follow(const struct instances *all, const char *name, int dir, struct reader *r,
		  struct printing *p, struct err *e)
{
	auto_running struct running run = RUNNING_NONE;
	auto_fd int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[40], events[4096];
	int last;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
	if (notify < 0 ||
	    inotify_add_watch(notify, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF) <
		    0)
		return err_set(
			e, errno, "cannot watch the log of '%s'%s", name,
			errno == EMFILE ? " (raise /proc/sys/fs/inotify/max_user_instances)" : "");
	if (running_look(all, name, &run, e) < 0)
		return -1;
	/* the watcher goes last: when it is gone, everything was written */
	last = run.watcher_fd >= 0 ? run.watcher_fd : run.pidfd;
	for (bool ended = last < 0; !p->failed;) {
		struct pollfd fds[] = { { .fd = notify, .events = POLLIN },
					{ .fd = last, .events = POLLIN } };

		print_more(r, p, dir);
		if (ended)
			return 0;
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return err_set(e, errno, "cannot wait for output");
		ended = fds[1].revents;
		while (read(notify, events, sizeof(events)) > 0)
			;
	}
	return 0;
}

static int logs(struct cli *c, int argc, char **argv)
{
	const struct logs_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;
	struct printing p = { .o = o };
	struct instance_dir d = { .fd = -1, .promise = -1 };
	static struct reader r;
	uint64_t skip = 0;
	int rc = 0;

	(void)argc;
	if (o->since && parse_since(o->since, &p, c->e) < 0)
		return -1;
	if (open_instances(c, &all) < 0 || instance_look(&all, argv[0], &d, c->e) < 0)
		return -1;
	if (o->tail.set) {
		uint64_t lines = 0;

		for (int k = 0; k < 2; k++) {
			reader_open(&r, d.fd, k ? LOG_FILE : LOG_FILE_OLD);
			lines += print_all(&r, &p, &skip, true);
			own_close(&r.fd);
		}
		skip = lines > o->tail.v ? lines - o->tail.v : 0;
	}
	reader_open(&r, d.fd, LOG_FILE_OLD);
	(void)print_all(&r, &p, &skip, false);
	own_close(&r.fd);
	reader_open(&r, d.fd, LOG_FILE);
	(void)print_all(&r, &p, &skip, false);
	fflush(stdout);
	fflush(stderr);
	if (o->follow)
		rc = follow(&all, argv[0], d.fd, &r, &p, c->e);
	if (rc == 0 && r.error)
		rc = err_set(c->e, r.error, "cannot read all of the log of '%s'", argv[0]);
	own_close(&r.fd);
	close(d.fd);
	return rc < 0 ? -1 : EXIT_DONE;
}

const struct verb verb_logs = {
	.name = "logs",
	.run = logs,
	.operands = "NAME",
	.min = 1,
	.max = 1,
	.help = "print what a detached instance has written",
	.rows = logs_rows,
	.options_size = sizeof(struct logs_options),
};
