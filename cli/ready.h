/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ready.h - when an instance is ready for others (its key "ready"), and what must be ready before it (its key "after").
 *
 *	running		its first process runs (the usual)
 *	healthy		its health check has succeeded since it was started
 *	tcp:PORT	something listens on that port of its address
 *	exec:COMMAND	the command, for its /bin/sh, ends with 0
 */
#ifndef CTR_READY_H
#define CTR_READY_H

#include <stdbool.h>

struct cli;
struct err;
struct instance;
struct instances;

#define READY_SECONDS 60 /* how long others wait */

/* Waits until instance @name is ready, for @seconds at most. 0; -1 and *e: ETIMEDOUT, or ERR_STATE when it does not run. */
int ready_wait(const struct instances *all, const char *name, unsigned seconds, struct err *e);

/* Starts what @i wants to be ready before it, as far as it does not run, and waits for that. */
int ready_dependencies(struct cli *c, const struct instances *all, const struct instance *i,
		       struct err *e);

/* Runs `ctr exec NAME /bin/sh -c COMMAND` for @seconds at most. True: it ended with 0. *why, if not NULL, says what else. */
bool ready_exec(const char *name, const char *command, unsigned seconds, const char **why);

#endif
