/*
 * erofs.h - a tree as an EROFS index: names, attributes and places of content. The content itself stays in the
 * layers' archives, which the kernel reads as further devices of the file system.
 */
#ifndef CTR_UNPACK_EROFS_H
#define CTR_UNPACK_EROFS_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct tree;

struct erofs_layer {
	int fd; /* the uncompressed archive */
	uint64_t size;
};

/*
 * Writes @t to @fd, an empty regular file open for writing, with @n devices: @layers[i] is the archive of layer
 * i + 1. Content that does not begin on a block of its archive, and that of very sparse files, is copied into
 * @fd. Sets the nodes' `place`. 0, or -1 and *e.
 */
int erofs_write(struct tree *t, const struct erofs_layer *layers, size_t n, int fd, struct err *e);

#endif
