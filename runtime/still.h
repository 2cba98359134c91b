/* SPDX-License-Identifier: Apache-2.0 */
/*
 * still.h - a moment in which no process of an instance moves, for whoever copies what it has.
 */
#ifndef CTR_STILL_H
#define CTR_STILL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/state.h"

struct arena;
struct err;
struct instances;

struct still {
	bool alive; /* it runs, or is paused; else nothing was to be done */
	bool frozen; /* it stands still; else the host has no cgroup for it, and what is copied may be torn */
	int64_t us; /* after still_end(): for how long, because of us */
	/* private */
	struct arena *arena;
	struct state_dir dir;
	struct state state;
	bool thaw;
	pid_t guard;
	int rope;
	int64_t since;
};

/*
 * Freezes the instance @name if it runs (cgroup.freeze), and holds the lock of its run state, so that no other command lets
 * it go on, ends or starts it. One that was paused already stays so. The instance's own lock is held by the caller. A
 * process of its own watches over us, and lets the instance go on if we are killed. Whatever it returns, call still_end().
 */
int still_begin(const struct instances *all, const char *name, struct still *s, struct err *e);

/* Lets it go on. -1 and *e: it does not. */
int still_end(struct still *s, struct err *e);

#endif
