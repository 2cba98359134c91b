/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch.h - from an instance on disk to a running payload, in the foreground or with a supervisor.
 *
 * Here an instance's configuration, its image, the spec made of both, the plan and the engine come together.
 * The instance's lock is held by the caller throughout.
 */
#ifndef CTR_LAUNCH_H
#define CTR_LAUNCH_H

#include <stdbool.h>

#include "runtime/life.h"
#include "runtime/state.h"

struct checkpoint_options;
struct err;
struct image;
struct instance;
struct instance_dir;
struct instances;
struct store;

struct launch {
	const struct instances *all;
	const struct image *image;
	const struct instance *instance;
	struct instance_dir *dir; /* locked */
	bool fresh;		  /* made by this command: its layer holds nothing yet */
};

/*
 * The image of an instance, by its id or as its directory. The caller frees it, and image_mount()s it before
 * anything looks into it or starts.
 */
struct image *launch_image(struct store *store, const struct instance *i, struct err *e);

/* Writes what a new instance's layer begins with (from_image.h). */
int launch_prepare(const struct launch *l, struct err *e);

/* After instance_rename(): its own files say its new name too, as far as they are still ours. */
int launch_renamed(const struct launch *l, const char *old, struct err *e);

/* The root file system of an instance that does not run, for writing, owners as inside: a tree mounted nowhere, or -1. */
int launch_open_root(const struct launch *l, struct err *e);

/*
 * The root file system of an instance for reading, whether it runs or not, as it lies on disk: without what is mounted in it, owners as inside. A
 * tree mounted nowhere, or -1. *layers: what of it is not the image's, as struct trees has it (difference.h), in the instance's arena.
 */
int launch_open_view(const struct launch *l, const char *const **layers, struct err *e);

/* Whether it could be started now, as far as can be told beforehand: users, volumes, limits. */
int launch_check(const struct launch *l, struct err *e);

/*
 * Starts it as a child of this process, which is its watcher and must not outlive it for long: the payload
 * dies with this process. Its standard streams are ours (without `interactive` stdin is empty), or a terminal
 * in life->console. On success the caller has the life and the state (unlocked, its promise kept: state_close()
 * it after running_end()).
 */
int launch_foreground(const struct launch *l, struct life *life, struct state_dir *sd,
		      struct err *e);

/* Starts it with a supervisor of its own, and returns when the payload has been executed; or, if it was suspended, goes on. */
int launch_detached(const struct launch *l, struct err *e);

/* Saves the processes of one that runs, as @l says it was started: checkpoint.h. Only the paths in *o and what is saved of memory are the caller's. */
int launch_save(const struct launch *l, const struct state *st, struct checkpoint_options *o,
		struct err *e);

/*
 * Gives a running instance, whose watcher is gone, a supervisor: *pidfd is its payload's. What it has written
 * meanwhile is in its FIFOs, and read first.
 */
int launch_adopt(const struct instance_dir *d, int pidfd, struct err *e);

/*
 * The program's name of a supervisor, which no person's command has: such a process is `SUPERVISOR NAME`, and
 * main() gives it to supervisor_main() before anything else takes memory, since thousands of them live at once.
 * Returns the exit code.
 */
#define SUPERVISOR "ctr:"
int supervisor_main(const char *name);

#endif
