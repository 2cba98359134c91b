/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - what happened to instances: a journal without a daemon.
 *
 *	<data>/events/journal	lines, the youngest last
 *	<data>/events/journal.1	the lines before those
 *
 * Whoever does something to an instance appends a line that tells it: a command, or an instance's supervisor. A line
 * is one JSON object and one write(2) to a file opened with O_APPEND, so that lines of several processes do not mix:
 *
 *	{"time":"2026-11-21T08:52:20.123456789Z","event":"died","name":"web","uuid":"...","code":137,"signal":9}
 *
 * The two files are bounded by EVENTS_MAX_BYTES each. A line that cannot be written (a full disk) is lost and
 * warned of; what it tells of has happened all the same. Lines are not synced one by one: a loss of power may take
 * the last seconds. An event is written before what it tells of is recorded for good, so that one which a kill
 * interrupts may be told twice, and never not at all.
 */
#ifndef CTR_EVENTS_H
#define CTR_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct arena;
struct err;
struct instances;

#define EVENTS_DIR	  "events" /* below <data> */
#define EVENTS_FILE	  "journal"
#define EVENTS_FILE_OLD	  "journal.1"
#define EVENTS_MAX_BYTES  (4u << 20)
#define EVENTS_LINE_MAX	  4096 /* bytes of a line, its newline included */
#define EVENTS_DETAIL_MAX 512  /* bytes of a detail; what is longer is cut */

enum event_type {
	EVENT_CREATED,
	EVENT_STARTED, /* pid */
	EVENT_ADOPTED, /* it had lost its supervisor, and has a new one */
	EVENT_PAUSED,
	EVENT_RESUMED,
	EVENT_CHANGED, /* detail: the keys, "memory=1G cpus=2" */
	EVENT_RENAMED, /* name: the new one; detail: the old one */
	EVENT_OOM,     /* a process was killed by the memory limit; detail: which */
	EVENT_HEALTHY,
	EVENT_UNHEALTHY, /* detail: why */
	EVENT_DIED,	 /* code, signal */
	EVENT_RESTARTED, /* its supervisor starts it again; detail: why */
	EVENT_REMOVED,
	EVENT_TYPES
};

/* "created", ... and back: -1 for an unknown name. */
const char *event_name(enum event_type t);
int event_type(const char *name);

struct event {
	enum event_type type;
	const char *name;   /* of the instance */
	const char *uuid;   /* NULL: not known */
	pid_t pid;	    /* 0: none */
	bool has_code;	    /* `code` and `signal` mean something */
	int code, signal;   /* as in struct instance_exit */
	const char *detail; /* UTF-8, one line; NULL: none */
};

/* Appends the event, with the time of now. Never fails as far as the caller is concerned: see above. */
void events_append(const struct instances *all, const struct event *ev);

/* Opens the directory of the journal for reading, making it if it is missing. The descriptor, or -1 and *e. */
int events_open(const struct instances *all, struct err *e);

/* An event as it was read. */
struct event_read {
	struct event event;
	const char *time; /* as written */
	int64_t seconds;  /* since 1970 */
	uint32_t nanoseconds;
};

/*
 * Takes one line, without its newline, apart; strings live in @a. False: it is none. Members that are not known are
 * ignored, for a later ctr may have written it; so is an event of an unknown type.
 */
bool event_parse(const char *line, size_t len, struct arena *a, struct event_read *out);

#endif
