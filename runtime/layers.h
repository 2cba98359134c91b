/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layers.h - what instances have written, kept: frozen layers, the snapshots that name them, and who stands on which.
 *
 *	<data>/frozen/			0700; its lock (flock) is held by who makes or removes what is in it
 *		ID/upper		what was written; nobody writes there any more. ID: 32 hex digits
 *		ID/work			overlay's, empty
 *		ID/parent		a symbolic link whose text is the ID below; none: the image is next
 *	<data>/instances/NAME/
 *		layer/			upper, work, parent: the same, but written
 *		snapshots/SNAP		JSON: which frozen layer is the state of that moment
 *
 * Layers make a tree whose root is an image. A snapshot of a stopped instance exchanges its layer/ for a new empty
 * one that stands on it, in one rename (RENAME_EXCHANGE), and so does a rollback: a kill or a loss of power leaves the
 * old or the new state, and what has been written is neither copied nor moved. The text of `parent` is in the inode
 * itself (all Linux file systems do so with short links), so that the journal orders it with the rename.
 *
 * Nothing counts references. A frozen layer is needed if an instance, a snapshot or a needed layer stands on it;
 * layers_sweep() finds and removes the others.
 *
 * Files carry container ids, as in an image (spec.h, root.idmap): instances of different id ranges share them.
 */
#ifndef CTR_LAYERS_H
#define CTR_LAYERS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct instance_dir;
struct instances;
struct json;
struct json_writer;
struct recopy;

#define LAYER_ID_LEN	  32
#define LAYERS_MAX	  400 /* overlay takes 500, and images have some */
#define SNAPSHOT_NAME_MAX 63

/* The open and locked directory of frozen layers. fd is -1 when not open. */
struct layers {
	const struct instances *all;
	int fd;
};
#define LAYERS_NONE      \
	{                \
		.fd = -1 \
	}

/* Whether anything was ever frozen here. */
bool layers_exist(const struct instances *all);

/* Opens and locks, making it if missing. */
int layers_open(const struct instances *all, struct layers *l, struct err *e);
void layers_close(struct layers *l);
#define auto_layers __attribute__((cleanup(layers_close)))

/*
 * What the instance's own layer stands on: the absolute paths of frozen layers, top first, NULL-terminated, in @a.
 * Empty for most. Needs no lock: what an instance stands on stays.
 */
int layers_below(const struct instance_dir *d, struct arena *a, const char *const **paths,
		 struct err *e);

/* The same for a frozen layer, itself included. */
int layers_of(const struct instances *all, const char *id, struct arena *a,
	      const char *const **paths, struct err *e);

/*
 * Freezes the layer of an instance that does not run, and gives it a new one that stands on it: O(1). If nothing was
 * written since the last time, that one is still good and *id is its id. ERR_INVALID for too many layers.
 */
int layers_freeze(const struct layers *l, const struct instance_dir *d, char id[LAYER_ID_LEN + 1],
		  struct err *e);

/*
 * Copies the layer of an instance whose processes stand still (reflinks where the file system has them) into a new frozen one beside it, on
 * the same parent. @lives: they do not, and the copy is of no one moment: for whoever compares it afterwards.
 */
int layers_copy(const struct layers *l, const struct instance_dir *d, bool lives,
		char id[LAYER_ID_LEN + 1], struct err *e);

/*
 * The same in two steps, of which the instance stands still during the second alone, and there is little to copy then: recopy.h.
 * After a failure, and after layers_copy_finish(), nothing is left of *c; in between layers_copy_drop() gives it up.
 */
struct layer_copy {
	char from[PATH_MAX], to[PATH_MAX];
	int upper, made;
	char id[LAYER_ID_LEN + 1]; /* "": nothing to be removed */
	struct recopy *notes;
};

#define LAYER_COPY_NONE                 \
	{                               \
		.upper = -1, .made = -1 \
	}

int layers_copy_begin(const struct layers *l, const struct instance_dir *d, struct layer_copy *c,
		      struct err *e);
int layers_copy_finish(const struct layers *l, const struct instance_dir *d, struct layer_copy *c,
		       char id[LAYER_ID_LEN + 1], struct err *e);
void layers_copy_drop(const struct layers *l, struct layer_copy *c);

/* Throws away what the instance has in its layer, and lets it stand on @id. It does not run. */
int layers_rollback(const struct layers *l, const struct instance_dir *d, const char *id,
		    struct err *e);

/*
 * Fills the layer of a new instance, still empty, with copies of all that @id and those below it hold, whiteouts
 * included: it stands on the image alone.
 */
int layers_flatten(const struct layers *l, const struct instance_dir *d, const char *id,
		   struct err *e);

/* The one below: 1, or 0 if that is the image; -1 and *e. */
int layers_parent(const struct instances *all, const char *id, char parent[LAYER_ID_LEN + 1],
		  struct err *e);

/*
 * A frozen layer on @parent ("": on the image) of the tree whose top is open as @tree, which leaves the place where it is: what
 * archive_layer() wrote, unpacked. Until something names it a sweep would take it. What @id holds becomes its id, if it is one and free.
 */
int layers_adopt(const struct layers *l, const char *parent, int tree, char id[LAYER_ID_LEN + 1],
		 struct err *e);

/* Removes frozen layers that nothing stands on or names. */
int layers_sweep(const struct layers *l, struct err *e);

/* ---- snapshots ---- */

struct snapshot {
	char name[SNAPSHOT_NAME_MAX + 1];
	char layer[LAYER_ID_LEN + 1];
	int64_t created_ns; /* since 1970 */
	int64_t frozen_us;  /* how long the processes stood still; 0: it did not run */
	const char *
		consistency; /* "application": it did not run. "filesystem": frozen, and synced. "crash" */
	const char *by; /* one of the following, or NULL for a person */
};

#define SNAPSHOT_BY_SCHEDULE "schedule"
#define SNAPSHOT_BY_BACKUP   "backup"
#define SNAPSHOT_BY_MIGRATE  "migrate" /* nobody's: of a move that is under way, or was given up */

/* Letters, digits, '.', '_', '-'; the first is a letter or a digit. 0, or -1 and *e (ERR_INVALID). */
int snapshot_check_name(const char *name, struct err *e);

/* What a document tells of a snapshot, its name and its layer apart, which each has in its own way. Read: 0, or -1 and *e. */
int snapshot_get(const struct json *j, struct snapshot *s, struct err *e);
void snapshot_put(struct json_writer *w, const struct snapshot *s);

int snapshot_parse(const char *text, size_t len, struct snapshot *s, struct err *e);
int snapshot_write(const struct instance_dir *d, const struct snapshot *s, struct err *e);

/* ERR_NO_SUCH, with the nearest as a hint. */
int snapshot_read(const struct instance_dir *d, const char *name, struct snapshot *s,
		  struct err *e);

/* Those of an instance, oldest first; free() *list. */
int snapshots_list(const struct instance_dir *d, struct snapshot **list, size_t *n, struct err *e);

/* Its name only: layers_sweep() removes what nobody needs then. */
int snapshot_remove(const struct instance_dir *d, const char *name, struct err *e);

#endif
