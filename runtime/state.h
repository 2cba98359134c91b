/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - what was done: one directory for each container below the run-state root.
 *
 *     <root>/<id>/journal      what must be undone, written before it is done
 *     <root>/<id>/state.json   the process, when there is one
 *     <root>/<id>/config.json  the spec as it was read
 *     <root>/<id>/start.sock   while `created`: where `start` knocks
 *     <root>/.open/<id>        locked by a process that has promised to finish or undo: the directory's inode
 *
 * The root is on tmpfs and gone after a reboot, as is all that the journal names; so nothing is synced.
 * A file in .open that nobody has locked is a command that died: state_recover() undoes its container. That is the
 * directory which the file names, never another one of the same name: a command that dies before it has found out
 * that the id is in use must not take that container along.
 */
#ifndef CTR_STATE_H
#define CTR_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct arena;
struct err;
struct host;
struct plan;
struct spec;
struct str;

enum status { STATUS_CREATING, STATUS_CREATED, STATUS_RUNNING, STATUS_PAUSED, STATUS_STOPPED };

/* "creating", ... as in the OCI specification. */
const char *status_name(enum status s);

/* An open state directory. Descriptors are -1 when not open. */
struct state_dir {
	int root; /* the run-state root */
	int dir;  /* <root>/<id>; carries the lock of the id (flock) while a verb works on it */
	int open; /* the promise in .open */
	char id[256];
};

/* What state.json holds. Strings live in the arena given to state_read(). */
struct state {
	const char *id, *bundle, *rootfs, *oci_version;
	const char *cgroup,
		*cgroup_root; /* path below the mount of cgroup2, and that mount; NULL: none */
	pid_t pid;	      /* 0: not yet, or never */
	uint64_t pid_start; /* start time in clock ticks after boot (field 22 of /proc/PID/stat), against reused pids */
	int64_t created_ns; /* CLOCK_REALTIME */
	uint32_t owner;	    /* uid */
	bool shares_pids;   /* no pid namespace of its own: its processes outlive the first one */
};

/* Ids: letters, digits, "_", "+", "-", ".", not "." or "..", at most 255 bytes. 0, or -1 and *e. */
int state_check_id(const char *id, struct err *e);

/* Opens (making it, mode 0700, if missing) the root directory of all states. Descriptor, or -1. */
int state_open_root(const char *path, struct err *e);

/*
 * Makes the directory of a new container and takes its lock and its promise. An id in use is ERR_EXISTS;
 * one left behind by a command that died is recovered first. Close with state_close().
 */
int state_create(int root, const char *id, struct state_dir *d, struct err *e);

/*
 * Opens an existing one; waits for its lock. ERR_NO_SUCH: "container does not exist"; which is also so for one
 * whose maker died: it is undone first.
 */
int state_open(int root, const char *id, struct state_dir *d, struct err *e);

/*
 * The same without waiting for the lock nor taking it, for what reads or sends a signal: the lock's holder may wait
 * for a hook, or for somebody inside, that only such a command can end.
 */
int state_look(int root, const char *id, struct state_dir *d, struct err *e);

/* Lets go of lock and promise (the file in .open is removed: the promise was kept). */
void state_close(struct state_dir *d);

/*
 * Hands the promise and the lock over to a child that goes on with them: closes this process' copies only.
 */
void state_forget(struct state_dir *d);

/* Gives back the id's lock but keeps the promise: a foreground run, which lets others exec and kill. */
void state_unlock(struct state_dir *d);

/* Takes it again, and waits for it. ERR_NO_SUCH: the container was deleted meanwhile. */
int state_lock(struct state_dir *d, struct err *e);

/* Writes the journal: the plan's host steps, all at once, before the first of them is done. */
int state_write_journal(struct state_dir *d, const struct plan *p, const struct host *h,
			struct err *e);
/* Adds lines: host effects of a container that runs, before they are made. */
int state_add_journal(struct state_dir *d, const char *text, size_t len, struct err *e);
int state_write_config(struct state_dir *d, const char *text, size_t len, struct err *e);
int state_write(struct state_dir *d, const struct state *s, struct err *e);
int state_read(struct state_dir *d, struct arena *a, struct state *s, struct err *e);

/* The text given to state_write_config(). */
int state_read_config(struct state_dir *d, struct str *out, struct err *e);

/*
 * The status as it is now: of the process (alive, and the same one), of start.sock, of the freezer.
 * *pidfd receives a descriptor of the process if it is alive and @pidfd is not NULL, else -1. An enum status; or
 * -1 and *e if that cannot be found out, for "stopped" by mistake would mean that it may be deleted.
 */
int state_status(struct state_dir *d, const struct state *s, int *pidfd, struct err *e);

/*
 * Undoes everything the journal names, newest first, going on past what fails (the first failure is
 * reported), kills what still lives in the cgroup, and removes the directory and the promise.
 * Nothing to undo is success. The lock must be held; *d is closed on success.
 */
int state_undo(struct state_dir *d, struct err *e);

/* Undoes every container whose promise was broken; the number undone, or -1 and *e of the first failure. */
int state_recover(int root, struct err *e);

/*
 * Calls @each for every id in the root, in the order of the directory; stops when it returns non-zero and returns that.
 */
int state_each(int root, int (*each)(const char *id, void *arg), void *arg, struct err *e);

struct process_stat {
	char state;	  /* a letter: proc(5) */
	uint64_t start;	  /* in clock ticks since boot; 0: there is no such process */
	uint32_t ignored; /* bit n-1 for each signal n below 32 that it ignores */
};

/* What /proc/@pid/stat tells; -1 and *e if that cannot be read. */
int process_look(pid_t pid, struct process_stat *p, struct err *e);

/* The start time of process @pid; 0 if there is none. */
uint64_t process_start_time(pid_t pid);

/* ---- the readers alone: text in, struct out, nothing touched ---- */

/* What state_read() makes of the text of state.json of the container @id. */
int state_parse(const char *text, size_t len, const char *id, struct arena *a, struct state *s,
		struct err *e);

#define JOURNAL_MAX 16 /* effects of one container */

struct journal_cgroup {
	unsigned levels;  /* how many of the path's last components are to be removed */
	const char *path; /* below the root, without "..", as far as the text goes */
};

struct journal {
	const char *cgroup_root; /* "" if there is none */
	struct journal_cgroup cgroups[JOURNAL_MAX];
	const char *groups[JOURNAL_MAX]; /* of resctrl, as resctrl_remove() takes them */
	size_t n_groups;
	size_t n;
};

/* Cuts @text, which *j then points into. A line that we cannot have written is an error: better stop than guess. */
int journal_parse(char *text, struct journal *j, struct err *e);

/* What process_look() makes of the text of /proc/PID/stat; -1 with errno if it is not that. */
int process_stat_parse(const char *text, struct process_stat *p);

#endif
