/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instances.h - the instances of this machine: their directories, locks and ids.
 *
 *	<data>/instances/NAME/		0700 root; its lock (flock) is the instance's
 *		config.json		what was asked for: instance.h
 *		layer/upper, layer/work	its own layer, one unit that can be exchanged for another
 *		exit			how it ended last time
 *		log, log.1		what a detached one wrote: supervise.h
 *	<data>/instances/.tmp/		what is being made or removed; each entry is locked by whoever does that
 *		new-IDS-*		will be renamed to NAME when complete
 *		del-IDS-*		was NAME
 *		rm-NAME			a promise to remove NAME, if its uuid is the one that this file holds: of a foreground `run
 *					--rm`, or of what arrives from another machine
 *	<run>/idrange			which ranges of host ids are taken: idrange.h
 *	<run>/state/			run state, of state.h; a directory there with the name of the instance
 *
 * <data> is on disk and survives a reboot, <run> is not and does not. An instance exists if and only if
 * NAME/config.json does: creating is a rename of a complete directory, removing a rename back, so a kill or
 * a power loss leaves the old or the new state. What nobody holds locked below .tmp/ belongs to a command
 * that died; the next one finishes it (instances_sweep).
 *
 * IDS is the first host id of the range that the directory owns (0: none), so that the range is given back
 * whoever removes the directory, and at no moment has an id two owners or none.
 *
 * Two locks, always in this order: the instance's, then that of its run state. Nobody waits for a process
 * to end with the instance's lock held, since its supervisor takes it at its end.
 */
#ifndef CTR_INSTANCES_H
#define CTR_INSTANCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "runtime/instance.h"

struct err;
struct idranges;
struct str;

#define INSTANCE_UPPER	"layer/upper"
#define INSTANCE_WORK	"layer/work"
#define INSTANCE_PARENT "layer/parent" /* layers.h */

#define RUN_ROOT_DEFAULT "/run/ctr"

/* The open roots. Descriptors are -1 when not open; paths have no slash at their end. */
struct instances {
	int dir;	    /* <data>/instances, which may be a symbolic link: disk_file.h */
	int tmp;	    /* <data>/instances/.tmp */
	int run;	    /* <run> */
	int states;	    /* <run>/state */
	char path[256];	    /* <data>/instances */
	char run_path[256]; /* <run> */
};

/* How much of s->path is <data>. */
static inline int instances_data_len(const struct instances *s)
{
	return (int)(strlen(s->path) - strlen("/instances"));
}

/* One instance, locked. */
struct instance_dir {
	const struct instances *all;
	int fd;	     /* its directory, and its lock; -1: not open */
	int promise; /* the locked file .tmp/rm-NAME; -1: none */
	char name[INSTANCE_NAME_MAX + 1];
};

/*
 * Opens, making what is missing. @data is the store's directory (images.h: store_path()), @run NULL for
 * $CTR_RUN or else RUN_ROOT_DEFAULT. Close with instances_close().
 */
int instances_open(const char *data, const char *run, struct instances *s, struct err *e);
void instances_close(struct instances *s);

static inline void own_instances(struct instances *s)
{
	instances_close(s);
}

/* The same roots anew: <data>/instances may be another one now (disk_file.h). */
int instances_reopen(struct instances *s, struct err *e);

/*
 * Nobody makes an instance until idrange_close(@r), which is soon: and @n there are, and below .tmp nothing but @entry. EBUSY if that is not so.
 */
int instances_block(const struct instances *s, size_t n, const char *entry, struct idranges *r,
		    struct err *e);

#define auto_instances __attribute__((cleanup(own_instances)))
#define INSTANCES_NONE                                        \
	{                                                     \
		.dir = -1, .tmp = -1, .run = -1, .states = -1 \
	}

/*
 * Finishes what commands that died have left: their run state (state_recover), half-made and half-removed
 * instances, promised removals; after a reboot also ephemeral instances that were running detached. A few
 * system calls when there is nothing. Failures are logged, not returned: the command itself goes on.
 */
void instances_sweep(const struct instances *s);

/*
 * Makes an instance and takes its lock. @name NULL or "": a random one. @parent is the frozen layer that its own
 * stands on (layers.h), or NULL. Fills i->ids (unless i->userns is
 * "host"; those that it has are kept, if they are free), i->uuid and i->created. @own_promise: also take the
 * promise to remove it. Not synced: instance_sync() does that, at a time of the caller's choice.
 * ERR_EXISTS when the name is taken; a random name never is.
 */
int instance_create(const struct instances *s, const char *name, struct instance *i,
		    const char *parent, bool own_promise, struct instance_dir *d, struct err *e);

/* What a new instance called @name would find taken: ERR_EXISTS, at once rather than after an import. */
int instance_check_free(const struct instances *s, const char *name, struct err *e);

/* Opens and locks an existing one; waits for its lock. ERR_NO_SUCH, with a near name as a hint. */
int instance_open(const struct instances *s, const char *name, struct instance_dir *d,
		  struct err *e);

/* Without its lock, for readers. */
int instance_look(const struct instances *s, const char *name, struct instance_dir *d,
		  struct err *e);

/* Lets go of the lock (for every process that inherited it) and closes; the promise too. */
void instance_close(struct instance_dir *d);

/* The same for one that could not be removed as it was promised: the next command tries again. */
void instance_leave(struct instance_dir *d);

/* Keeps the promise, if any, and gives back the lock: while the payload runs. */
void instance_unlock(struct instance_dir *d);

/* Takes the lock again. ERR_NO_SUCH when the instance was removed in between. */
int instance_lock(struct instance_dir *d, struct err *e);

struct instance *instance_load(const struct instance_dir *d, struct err *e);
int instance_save(const struct instance_dir *d, const struct instance *i, bool sync, struct err *e);

/* Makes the instance survive a loss of power: its configuration and its name. */
int instance_sync(const struct instance_dir *d, struct err *e);

/* The absolute path of @part (INSTANCE_UPPER, ...) of the instance, into @out. */
int instance_path(const struct instance_dir *d, const char *part, char *out, size_t size,
		  struct err *e);

/*
 * Gives it another name. The lock must be held, which it keeps, and no run state may exist. ERR_EXISTS when the name is
 * taken. Its files still hold the old name: cli/launch.h.
 */
int instance_rename(struct instance_dir *d, const char *to, struct err *e);

/*
 * Removes the directory @name in @dir, which nobody needs any more. It is out of the way at once; its files
 * go in a process of their own that nobody waits for, and if that is killed, the next command removes them.
 */
int instances_discard(const struct instances *s, int dir, const char *name, struct err *e);

/*
 * A directory of its own, open as x->fd and called x->entry below <data>/instances/.tmp, for whoever tries something out: it goes, with
 * all that is in it, with instances_scratch_end(), or if its maker dies by the next command.
 */
struct instances_scratch {
	int fd;
	char entry[96];
};
int instances_scratch(const struct instances *s, struct instances_scratch *x, struct err *e);
int instances_scratch_end(const struct instances *s, struct instances_scratch *x, struct err *e);

/*
 * Removes it with all its files, and gives its ids back. The lock must be held, and no run state may exist.
 * The name is free at once. *d is closed in any case.
 */
int instance_remove(struct instance_dir *d, struct err *e);

int instance_read_exit(const struct instance_dir *d, struct instance_exit *x,
		       struct err *e); /* ERR_NO_SUCH: never ran */
int instance_write_exit(const struct instance_dir *d, const struct instance_exit *x, bool sync,
			struct err *e);

/*
 * The names of all instances that match one of @patterns (fnmatch(3); NULL or empty: all), sorted, as one
 * allocation: free() the vector. A pattern without wildcards that matches nothing is ERR_NO_SUCH; one with
 * wildcards may match nothing. *n is the number.
 */
int instances_match(const struct instances *s, const char *const *patterns, char ***names,
		    size_t *n, struct err *e);

#endif
