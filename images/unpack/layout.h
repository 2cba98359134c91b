/*
 * layout.h - archives of images: those of `docker save`, and OCI image layouts.
 */
#ifndef CTR_UNPACK_LAYOUT_H
#define CTR_UNPACK_LAYOUT_H

#include <stdint.h>

struct err;
struct tree;
struct work;

struct layout {
	int fd; /* the archive, uncompressed; -1: a directory, whose files are asked for by name */
	uint64_t at; /* where in it the archive begins */
	struct tree *tree;
};

/* Imports all images of it that this machine can run. 0, or -1 and *e. */
int layout_import(struct work *w, const struct layout *l, struct err *e);

#endif
