/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move.h - an instance as a file: `ctr export`, `import`, `backup` and `migrate`.
 *
 * The file is a tar archive (compress it as you like):
 *
 *	ctr-instance.json	what follows, and the configuration
 *	image.tar		its image, as `ctr image save` writes it
 *	layers/N.tar		what was written, kept by a snapshot or now; 0 and on, each after the one that it stands on
 *	SHA256SUMS		of all but the image, which has digests of its own: `sha256sum -c` reads it
 *
 * It may lack the image, and layers that it only names: its reader has them from an earlier file of the same instance.
 */
#ifndef CTR_MOVE_H
#define CTR_MOVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "images/images.h"
#include "runtime/base/str.h"
#include "runtime/instances.h"
#include "runtime/layers.h"

struct arena;
struct cli;
struct err;

#define MOVE_ABOUT     "ctr-instance.json"
#define MOVE_SUMS      "SHA256SUMS"
#define MOVE_ABOUT_MAX (16u << 20)
#define MOVE_VERSION   1

typedef char layer_id[LAYER_ID_LEN + 1];

/* ---- out of this machine: move_out.c ---- */

struct move_request {
	const char *name;
	const char *snapshot; /* the state to write; NULL: as it is now */
	const char
		*since; /* a snapshot: its state and all older ones are only named; NULL: none is */
	bool about_only; /* neither image nor layers, for who looks whether it would fit */
};

/* Writes the instance, whether it runs or not, to @fd; what is told of its state into *state (NULL: not wanted). 0, or -1 and *e. */
int move_out(struct cli *c, const struct instances *all, const struct move_request *r, int fd,
	     struct snapshot *state, struct err *e);

/* ---- into this machine: move_in.c ---- */

/* Of one layer of the file being read. */
struct arriving_layer {
	layer_id theirs, ours; /* its ids there and, once it is there, here */
	int64_t parent;	       /* a number in this file, or -1: the image */
	bool held;	       /* not in this file */
};

/* A layer of an earlier file. */
struct arrived {
	layer_id theirs, ours;
};

/*
 * From files to an instance: arrival_open(); for each file arrival_read() and arrival_bring(), all but the last of which serve the
 * last; then arrival_make(). The files are not trusted: the helper in its sandbox unpacks them and each layer (images.h), and the
 * image is imported like any other.
 */
struct arrival {
	struct cli *c;
	struct instances all;
	struct store *store;
	struct layers layers; /* open while layers are brought that nothing names yet */
	struct arrived *arrived;
	size_t n_arrived, size;
	/* of the file that was read last */
	struct arena *arena;
	struct image_part part;
	const char *from, *machine, *image, *config;
	struct arriving_layer *stack;
	size_t n_stack;
	struct snapshot now, *kept; /* their layers as numbers: *_at */
	int64_t now_at, *kept_at;
	size_t n_kept;
	struct instance *instance;
};

int arrival_open(struct cli *c, struct arrival *a);
void arrival_close(struct arrival *a);
#define auto_arrival __attribute__((cleanup(arrival_close)))
#define ARRIVAL_NONE(cli)                                                                         \
	{                                                                                         \
		.c = (cli), .all = INSTANCES_NONE, .layers = LAYERS_NONE, .part = IMAGE_PART_NONE \
	}

/* Reads a file up to its layers. */
int arrival_read(struct arrival *a, int fd, const char *what, const struct image_import_options *io,
		 struct err *e);

/* What of this machine does not fit, for an instance called @name: a line each into @wrong. */
int arrival_preflight(struct arrival *a, const char *name, struct str *wrong, struct err *e);

/* The image and the layers. Failing, what nothing names is swept away. */
int arrival_bring(struct arrival *a, const struct image_import_options *io, struct err *e);

/* The instance, as @name, locked. @promised: it is one that goes, with the next command at the latest, until it is said to stay. */
int arrival_make(struct arrival *a, const char *name, bool promised, struct instance_dir *d,
		 struct err *e);

/* Whether the instance that was made can be started, as far as can be told beforehand. */
int arrival_check(struct arrival *a, struct instance_dir *d, struct err *e);

/* An instance made before takes the state, the snapshots and the configuration of the file that was read since. */
int arrival_update(struct arrival *a, struct instance_dir *d, struct err *e);

/* ---- the verbs ---- */

/* "-" is standard input, if that is no terminal. A descriptor, or -1 and *e. */
int open_archive_operand(const char *path, struct err *e);

/* From @files (NULL-terminated) to an instance called @name (NULL: as there); with @check only what does not fit. The exit code. */
int arrive(struct cli *c, char **files, const char *name, bool check);

#endif
