/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restart.h - instances that are started again when they end.
 *
 * When a supervisor has recorded the end of an instance, and its policy wants another start, it leaves a process behind that
 * sleeps for a while and then runs `ctr start NAME`. What it means to do is said in
 *
 *	<run>/restarts/NAME	"PID START COUNT\n": this process will start it again, for the COUNTth time
 *
 * Whoever removes that file (a stop, a removal, another start) has cancelled it: the start that it runs asks, with the lock of the instance
 * held, whether the file is still its own. A stop of an instance that runs says beforehand that its end is meant:
 *
 *	<run>/state/NAME/stopping
 *
 * Delays double from a tenth of a second to a minute; who has run for ten seconds begins anew.
 */
#ifndef CTR_RESTART_H
#define CTR_RESTART_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct instance;
struct instance_exit;
struct instances;

enum restart_when { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS };

struct restart_policy {
	enum restart_when when;
	unsigned most; /* of RESTART_ON_FAILURE: so many times in a row; 0: any */
};

/* "no", "always", "on-failure", "on-failure:5". 0, or -1 and *e. */
int restart_parse(const char *text, struct restart_policy *p, struct err *e);

/* What a command needs that no person has started: an environment of a supervisor's has no PATH. */
#define USUAL_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* How many starts in a row have failed already, of the supervisor that calls: what `ctr start` told it. */
unsigned restart_count(void);

/* For a command that stops the instance on purpose: it is not to be started again. */
void restart_not_wanted(const struct instances *all, const char *name);

/* And it has not been stopped after all. */
void restart_as_before(const struct instances *all, const char *name);

/*
 * For a supervisor, before the run state of an instance goes: whether it is to be started again, after an end like @x of a
 * run of @seconds. *count: for the how manyth time in a row.
 */
bool restart_is_wanted(const struct instances *all, const char *name, const struct instance *i,
		       const struct instance_exit *x, int64_t seconds, unsigned *count);

/* Leaves a process that will start it again, in the environment of the caller. */
void restart_later(const struct instances *all, const char *name, unsigned count);

/* Whether one is waiting to start @name; *count may be NULL. */
bool restart_is_pending(const struct instances *all, const char *name, unsigned *count);

/* Takes the file away. True: one was waiting. With the lock of the instance held, or before it is taken. */
bool restart_cancel(const struct instances *all, const char *name);

/*
 * For `ctr start`, with the lock of the instance held: whether this start may be. One that restart_later() runs may not be if it was
 * cancelled: ERR_STATE.
 */
int restart_may_start(const struct instances *all, const char *name, struct err *e);

#endif
