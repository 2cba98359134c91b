/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suspend.h - an instance whose memory is on disk: `ctr suspend`, and what `ctr start` and `ctr migrate --memory` need of it.
 *
 * In the instance's directory:
 *
 *	memory/		images of CRIU, of all processes at one moment; the next start lets them go on from there
 *	  1/ 2/ ...	what they had in memory some time before, each standing on the one before it
 *	  last/		all of them, at that moment
 *	memory.new/	the same, not complete
 *
 * The files of an instance go on where they are, so memory goes with whatever brings the files to another state, and before anything runs.
 */
#ifndef CTR_SUSPEND_H
#define CTR_SUSPEND_H

#include <stdbool.h>

struct cli;
struct err;
struct instance_dir;
struct instances;
struct str;

#define MEMORY	    "memory"
#define MEMORY_NEW  "memory.new"
#define MEMORY_LAST "last"

/* Whether it goes on from its memory when it is started. */
bool is_suspended(const struct instance_dir *d);

/* Throws the memory away, whole or not. None is success. */
int memory_discard(const struct instance_dir *d, struct err *e);

/* A directory in MEMORY_NEW, open, made if it is not there; -1 and *e. */
int make_memory_dir(const struct instance_dir *d, const char *name, struct err *e);

/* MEMORY_NEW has all: from now on it is suspended. */
int memory_complete(const struct instance_dir *d, struct err *e);

/*
 * Why it cannot be suspended, each reason in a line of its own. For an instance that runs; -1 and *e if that cannot be told.
 */
int memory_check(struct cli *c, const struct instances *all, const char *name, struct str *wrong,
		 struct err *e);

/*
 * Copies the memory of what runs into MEMORY_NEW, as its @number-th state (from 1 on), without stopping it for long. ERR_NOT_SUPPORTED where the
 * kernel does not tell what has changed.
 */
int memory_copy(struct cli *c, const struct instances *all, const char *name, unsigned number,
		struct err *e);

/*
 * Saves all of it, upon the @number states that were copied before, and ends it. It is recorded as stopped on return, and suspended. Failing, it
 * runs on.
 */
int suspend(struct cli *c, const struct instances *all, const char *name, unsigned number,
	    struct err *e);

/* After a suspend() that was killed: waits until CRIU, whom nobody waits for, has left it running or suspended. */
int suspend_wait(const struct instances *all, const char *name, struct err *e);

#endif
