/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervise.h - the one small process that stays with each detached instance, and the log it writes.
 *
 * It is the payload's parent. It has made the payload (cli/launch.c), then executed itself anew as
 * `ctr: NAME`, because a fresh process of a static program needs a tenth of the memory of one that
 * has read images and configurations. Children and descriptors survive that. From then on it sleeps in
 * ppoll() until there is output or the payload has ended; it has no timer and no signal handler.
 *
 * Its output reaches it through FIFOs in the run state directory, which the payload has open for reading and
 * writing: so when the supervisor is killed the payload gets no SIGPIPE and no end of file, but goes on
 * until the FIFO is full (64 KiB), and then waits, until `ctr start NAME` has given it another supervisor
 * (adoption) or `ctr stop NAME` has ended it. Only a terminal cannot be kept so: a payload that has one is
 * hung up when its supervisor dies.
 *
 * The log is a text file of lines as Kubernetes writes them (CRI):
 *
 *	2026-11-21T08:52:20.123456789Z stdout F text of a whole line
 *	2026-11-21T08:52:20.123456789Z stderr P text of a line that goes on
 *
 * "P" (partial) precedes more of the same line, "F" ends it. Beyond log-size (10 MiB) the file becomes log.1, the
 * log.1 before it log.2, and of log-files (2) files the oldest is gone. A disk that is full or failing loses lines, which is told in the log as soon as
 * it can be; it does not stop the payload.
 */
#ifndef CTR_SUPERVISE_H
#define CTR_SUPERVISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct instances;

/*
 * A socket in the run state directory. Who connects gets one byte, "t" and with it the terminal (SCM_RIGHTS), or "p", and from
 * then on all output as it comes, until the payload has ended. What is typed goes to the terminal, or to the FIFO "stdin".
 */
#define ATTACH_SOCKET "attach"

#define LOG_FILE      "log"
#define LOG_FILE_OLD  "log.1"
#define LOG_MAX_BYTES (10u << 20)
#define LOG_MAX_FILES 2

/* How much is kept; 0 for what is usual. */
struct log_bounds {
	uint64_t bytes; /* of a file */
	unsigned files;
};

/* The name of the file that was rotated @age times, into @out of at least 16 bytes; returns @out. */
char *log_file_name(unsigned age, char *out, size_t size);

/* Where it finds its descriptors. */
enum { SUPERVISE_PIDFD = 3, SUPERVISE_OUT = 4, SUPERVISE_ERR = 5 };

/* From here on it may be given what it only keeps open. */
#define SUPERVISE_KEPT 64

/*
 * Watches the payload of instance @name until it ends, then does what is left to do (running_end). The
 * descriptors above are open: SUPERVISE_OUT a FIFO or the master of a pty, SUPERVISE_ERR a FIFO or closed, both
 * O_NONBLOCK.
 * Everything else below @kept is closed here. Returns when the instance has ended; -1 and *e if its end could not be
 * worked up.
 */
int supervise(const struct instances *all, const char *name, const struct log_bounds *b,
	      unsigned kept, struct err *e);

/*
 * Between two tries of what a supervisor must not give up at once: nobody hears of its failure, and what it is short of
 * (memory, descriptors) may be there soon. False when it has tried for five seconds.
 */
bool supervise_wait(int *tries);

/* ---- the log ---- */

struct log_file {
	int dir; /* borrowed */
	int fd;	 /* -1: cannot be opened at the moment */
	uint64_t size;
	struct log_bounds bounds;
	uint64_t lost; /* bytes of output since the last line that could be written */
};

/* Opens the log in the instance's directory for appending. A failure shows when writing. */
void log_file_open(struct log_file *l, int dir);

/* Appends @len bytes of output that came from @stream ("stdout"). Never fails: see above. */
void log_file_write(struct log_file *l, const char *stream, const char *data, size_t len);

/* Says how much was lost last, if anything was and that can be written now. */
void log_file_end(struct log_file *l);

/* A line of a log, as its reader finds it; points into the text. */
struct log_line {
	int64_t seconds; /* since 1970 */
	uint32_t nanoseconds;
	const char *time; /* as written; 30 bytes */
	const char *stream;
	size_t stream_len;
	bool partial;
	const char *text;
	size_t len;
};

/* Takes one line of @len bytes without its newline apart. False: it is none. */
bool log_line_parse(const char *line, size_t len, struct log_line *out);

/* "2026-11-21T08:52:20[.frac](Z|+01:00)" in seconds and nanoseconds. 0, or -1. */
int parse_time(const char *text, int64_t *seconds, uint32_t *nanoseconds);

#endif
