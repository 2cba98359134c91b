/*
 * spread.h - a tree as directories and files: for kernels that cannot mount an index, and on request.
 */
#ifndef CTR_UNPACK_SPREAD_H
#define CTR_UNPACK_SPREAD_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct erofs_layer;
struct tree;

/*
 * Makes what @t describes below @root (borrowed; an empty directory, open for reading), copying content from
 * @layers[i], the archive of layer i + 1. Every directory was made here, so no link is ever followed. Sets the umask
 * to 0. Adds to *@lost the extended attributes that this file system cannot have. 0, or -1 and *e.
 */
int spread_write(struct tree *t, const struct erofs_layer *layers, int root, uint64_t *lost,
		 struct err *e);

#endif
