/*
 * work.h - inside of ctr-unpack: what build.c offers to those who find out what is in an archive.
 */
#ifndef CTR_UNPACK_WORK_H
#define CTR_UNPACK_WORK_H

#include <stddef.h>
#include <stdint.h>

#include "images/unpack/build.h"
#include "runtime/base/str.h"

struct reader;
struct stream_input;
struct tree;

struct work {
	struct builder *b;
	struct reader *reader;
};

struct work_layer {
	uint8_t digest[32]; /* the diff id, and as text: */
	char id[65];
	int fd; /* its uncompressed archive */
	uint64_t size;
};

/* Files and directories of the target; not synced. */
int work_create(struct work *w, const char *path, struct err *e);
int work_dir(struct work *w, const char *path, struct err *e);
int work_write(struct work *w, const char *path, const void *data, size_t len, struct err *e);

/* Asks for what the report names: a descriptor, -1 when there is none, -2 and *e. */
int work_ask(struct work *w, enum unpack_state what, struct err *e);

/* The layer @digest from the store: a descriptor, -1 when it has none, -2 and *e. */
int work_fetch(struct work *w, const uint8_t digest[32], struct err *e);

/*
 * Reads the layer that @in yields (fd, part, at and len are looked at) into @t, keeps its archive, and fills @l, whose fd is
 * the caller's. The digest of the input into @blob, if not NULL.
 */
int work_layer_read(struct work *w, const struct stream_input *in, struct tree *t,
		    struct work_layer *l, uint8_t blob[32], struct err *e);

/* The same for one of the store, @fd, which l->fd takes over; l->digest is set. */
int work_layer_known(struct work *w, int fd, struct tree *t, struct work_layer *l, struct err *e);

/* What comes with an image; NULL for what does not. */
struct work_texts {
	struct str names; /* a line each */
	const char *config, *manifest;
	size_t config_len, manifest_len;
};

/* Writes and syncs the root of the next images/<n>/. Of the layers only descriptors and sizes are looked at. */
int work_root(struct work *w, struct tree *t, const struct work_layer *layers, size_t n,
	      struct err *e);

/* Then the rest of it, for who started us to read: not synced. @x may be NULL. */
int work_image(struct work *w, struct tree *t, const struct work_layer *layers, size_t n,
	       struct work_texts *x, struct err *e);

#endif
