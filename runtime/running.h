/* SPDX-License-Identifier: Apache-2.0 */
/*
 * running.h - an instance that runs: is it alive, who watches over it, and what is done when it ends.
 *
 * The engine's run state (state.h) knows the process. An instance adds two things to the same directory, which
 * go away with it:
 *
 *	<run>/state/NAME/watcher		the process that waits for the end, a link to "PID START"
 *	<run>/state/NAME/{stdin,stdout,stderr}	FIFOs of a detached one without a terminal: supervise.h
 *
 * The watcher is the command itself for an instance in the foreground, its supervisor for a detached one. It
 * alone knows the exit code for sure, so whoever wants the end of an instance ends the payload and waits for
 * the watcher; only where there is none does anybody else do the watcher's last work, running_end().
 */
#ifndef CTR_RUNNING_H
#define CTR_RUNNING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/state.h"

struct err;
struct instance_dir;
struct instance_exit;
struct instances;

/* A look at an instance's run state. Descriptors are the caller's: running_close(). */
struct running {
	bool exists;	    /* there is run state; else nothing below means anything */
	bool half;	    /* its creation was interrupted */
	enum status status; /* STATUS_STOPPED: the payload is gone, its end not yet worked up */
	pid_t pid;	    /* payload; 0: none */
	int pidfd;	    /* of the payload while it is alive, else -1 */
	pid_t watcher;	    /* 0: nobody watches */
	int watcher_fd;	    /* pidfd, or -1 */
	int64_t started_ns; /* CLOCK_REALTIME */
};

#define RUNNING_NONE                          \
	{                                     \
		.pidfd = -1, .watcher_fd = -1 \
	}

/*
 * Looks. Waits for a command that has the run state locked: one that starts, kills or removes it. No
 * run state is success with r->exists false.
 */
int running_look(const struct instances *all, const char *name, struct running *r, struct err *e);
void running_close(struct running *r);

static inline void own_running(struct running *r)
{
	running_close(r);
}
#define auto_running __attribute__((cleanup(own_running)))

/* Says who watches: for whoever has just made the run state, or adopts it. */
int running_set_watcher(const struct state_dir *d, pid_t pid, struct err *e);

/* Waits at most @ms milliseconds (-1: for ever) until the process of @pidfd has ended. 1: it has; 0: it has not. */
int pidfd_wait(int pidfd, int ms);

/*
 * A descriptor of the payload's network namespace, or -1: while a watcher has it the links stay, whose counters
 * running_end() reads when all processes are gone.
 */
int running_hold_network(int pidfd);

/*
 * How the payload ended, for a watcher: its exit status as its parent learns it. For who is not its parent: what
 * its zombie tells, or once that is reaped the kernel's memory of it (PIDFD_GET_INFO, Linux 6.15). Never blocks
 * for longer than a second; x->code is -1 when nobody can know. x->time is set, x->oom is left alone.
 */
void running_exit_status(int pidfd, struct instance_exit *x);

/*
 * What the end of a booted system means: reboot(2) in a pid namespace ends its init by SIGINT for a halt or
 * power-off (Linux 3.4), which is how a system ends well. A restart (SIGHUP) stays what it is.
 */
void running_exit_of_system(struct instance_exit *x);

/*
 * The end of an instance, with its lock held: kills what is left, records how it ended (@x; NULL: not known,
 * a record made since its start stays) and what it has used (usage.h), undoes and removes the run state, and if @ephemeral removes the instance
 * itself, whereupon *d is closed. No run state is success. Works on what an earlier attempt has left.
 */
int running_end(struct instance_dir *d, bool ephemeral, const struct instance_exit *x,
		struct err *e);

#endif
