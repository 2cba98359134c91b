/*
 * tar.h - a tree as an archive: always the same bytes for the same tree.
 */
#ifndef CTR_UNPACK_TAR_H
#define CTR_UNPACK_TAR_H

#include <stdint.h>

struct err;
struct erofs_layer;
struct tree_node;

/*
 * Writes the directory @top, as the archive's own top, to @fd: entries sorted by name, in PAX format where the old one does
 * not suffice. Content comes from @layers[i], the archive of layer i + 1. The sha256 of what was written into @digest. Sets
 * the nodes' `place`. 0, or -1 and *e.
 */
int tar_write(struct tree_node *top, const struct erofs_layer *layers, int fd, uint8_t digest[32],
	      struct err *e);

#endif
