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
#include <time.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/lines.h"
#include "cli/verbs.h"
#include "cli/when.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/running.h"
#include "runtime/spec.h"
#include "runtime/supervise.h"

struct logs_options {
	bool follow, timestamps;
	struct opt_u64 tail;
	const char *since, *until;
};

static const struct option_row logs_rows[] = {
	FLAG_ROW(struct logs_options, follow, "follow", 'f',
		 "go on with what comes, until it ends"),
	NUMBER_ROW(struct logs_options, tail, "tail", 'n', "N", "only the last N lines", 0, 0),
	STRING_ROW(struct logs_options, since, "since", 0, "TIME",
		   "only what is younger: 2026-11-21T08:00:00Z, or 90s, 10m, 2h, 7d ago"),
	STRING_ROW(struct logs_options, until, "until", 0, "TIME", "only what is older"),
	FLAG_ROW(struct logs_options, timestamps, "timestamps", 't',
		 "put the time before each line"),
	END_ROW,
};

struct printing {
	const struct logs_options *o;
	struct when since, until;
	bool inside[2]; /* the last line of the stream was partial: the next one continues it */
	bool failed;	/* nobody reads what we write */
};

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
static uint64_t print_all(struct lines *r, struct printing *p, uint64_t *skip, bool count_only)
{
	const char *line;
	uint64_t n = 0;
	size_t len;

	while (!p->failed && (line = lines_next(r, &len))) {
		struct log_line l;

		if (!log_line_parse(line, len, &l) ||
		    !when_within(l.seconds, l.nanoseconds, &p->since, &p->until))
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

/* What has come since, in the old file to its end and then in the new one. */
static void print_more(struct lines *r, struct printing *p, int dir)
{
	uint64_t none = 0;

	do {
		bool rotated = lines_rotated(r, dir, LOG_FILE);

		(void)print_all(r, p, &none, false);
		if (!rotated && r->fd >= 0)
			break;
		lines_close(r);
		lines_open(r, dir, LOG_FILE);
	} while (r->fd >= 0);
	fflush(stdout);
	fflush(stderr);
}

static int follow(const struct instances *all, const char *name, int dir, struct lines *r,
		  struct printing *p, struct err *e)
{
	auto_running struct running run = RUNNING_NONE;
	auto_fd int notify = lines_watch(dir, "the log", e);
	int last;

	if (notify < 0)
		return err_in(e, "instance '%s'", name);
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
		lines_drain(notify);
	}
	return 0;
}

/* All files of the log, from the oldest; the youngest stays open, for what will come. Returns the number of lines. */
static uint64_t print_files(struct lines *r, struct printing *p, int dir, uint64_t *skip,
			    bool count)
{
	unsigned age = 0;
	uint64_t n = 0;
	char name[16];

	while (faccessat(dir, log_file_name(age + 1, name, sizeof(name)), F_OK,
			 AT_SYMLINK_NOFOLLOW) == 0)
		age++;
	for (;; age--) {
		lines_open(r, dir, log_file_name(age, name, sizeof(name)));
		n += print_all(r, p, skip, count);
		if (!age)
			return n;
		lines_close(r);
	}
}

static int logs(struct cli *c, int argc, char **argv)
{
	const struct logs_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;
	struct printing p = { .o = o };
	struct instance_dir d = { .fd = -1, .promise = -1 };
	static struct lines r;
	uint64_t skip = 0;
	int rc = 0;

	(void)argc;
	if (when_parse(o->since, "since", &p.since, c->e) < 0 ||
	    when_parse(o->until, "until", &p.until, c->e) < 0)
		return -1;
	if (open_instances(c, &all) < 0 || instance_look(&all, argv[0], &d, c->e) < 0)
		return -1;
	if (o->tail.set) {
		uint64_t lines = print_files(&r, &p, d.fd, &skip, true);

		lines_close(&r);
		skip = lines > o->tail.v ? lines - o->tail.v : 0;
	}
	(void)print_files(&r, &p, d.fd, &skip, false);
	fflush(stdout);
	fflush(stderr);
	if (o->follow)
		rc = follow(&all, argv[0], d.fd, &r, &p, c->e);
	if (rc == 0 && r.error)
		rc = err_set(c->e, r.error, "cannot read all of the log of '%s'", argv[0]);
	lines_close(&r);
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
