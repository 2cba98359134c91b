/*
 * life.h - from a plan to a running payload, and what can be done to it.
 */
#ifndef CTR_LIFE_H
#define CTR_LIFE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct host;
struct plan;
struct process_spec;
struct spec;
struct state;
struct state_dir;

struct life_options {
	struct state_dir *state;
	const char *config_text; /* stored as config.json, for exec and later commands */
	size_t config_len;
	bool wait_for_start;  /* create: the payload waits for life_start() */
	bool die_with_parent; /* foreground: the payload must not outlive a killed ctr */
	int stdio[3];	      /* what becomes 0, 1, 2 of the payload; -1: inherit */
	int console_socket;   /* the pty master is sent there; -1: it is returned in life.console */
	unsigned preserve_fds; /* descriptors 3 .. 2+n reach the payload */
	const char *pid_file;  /* complete before life_create() returns; NULL: none */
	/* what has to be there for the payload, and for nothing before: done while the child makes its namespaces. NULL: nothing */
	int (*meanwhile)(const void *arg, struct err *e);
	const void *arg;
};

struct life {
	pid_t pid;
	int pidfd;
	int console; /* master of the payload's pty, or -1 */
};

/*
 * Runs the plan. On success the payload runs (or, with wait_for_start, waits), the state is written and
 * *l is the caller's (close pidfd and console). On failure everything is undone but the state directory
 * itself, which state_undo() removes; e->code is ERR_CMD_NOT_FOUND or ERR_CMD_NOT_EXEC for a payload
 * that cannot be executed. The caller must be single-threaded.
 */
int life_create(const struct spec *s, const struct plan *p, const struct host *h,
		const struct life_options *o, struct life *l, struct err *e);

/*
 * Writes the state of a container whose first process is @pid, which started at @start (process_look()). For life_create() and
 * for checkpoint_restore().
 */
int life_record(const struct spec *s, const struct plan *p, const struct host *h,
		const struct life_options *o, pid_t pid, uint64_t start, struct err *e);

/* Ends and reaps a first process that is not to be, if there is one, and closes what *l has. The same two use it. */
void life_abort(const struct life_options *o, struct life *l);

/*
 * Tells a created container to go; returns when its payload was executed, or with the child's own error. The lock
 * of *d is given back before anything is waited for.
 */
int life_start(struct state_dir *d, const struct state *st, const struct spec *s, struct err *e);

/*
 * Waits for the payload, which must be a child of the caller, and returns its exit code: 128 + signal if
 * killed. -1 and *e if it cannot be waited for.
 */
int life_wait(const struct life *l, struct err *e);

/* Sends @sig to the payload, or with @all to everything in its cgroup. ERR_STATE when it is not running. */
int life_kill(struct state_dir *d, const struct state *st, int sig, bool all, struct err *e);

/*
 * Ends whatever is alive (SIGKILL to the cgroup and the payload, then waits until it is gone, ten seconds at
 * most), runs poststop hooks, undoes the journal and removes the state. *d is closed on success.
 */
int life_delete(struct state_dir *d, const struct state *st, const struct spec *s, struct err *e);

struct exec_options {
	int stdio[3];
	int console_socket;
	unsigned preserve_fds;
	const char *pid_file;
	const char *cgroup; /* sub-cgroup below the container's; NULL: its own */
	bool ignore_paused;
};

/*
 * Runs a further process in a running container: joins its namespaces and cgroup, confined as @process
 * says and with the container's seccomp filter. *l as in life_create(); the process is a child of the caller. The
 * lock of *d is given back before the process goes inside, where it can be stopped for ever.
 */
int life_exec(struct state_dir *d, const struct state *st, const struct spec *s,
	      const struct host *h, const struct process_spec *process,
	      const struct exec_options *o, struct life *l, struct err *e);

#endif
