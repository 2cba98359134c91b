/*
 * read.h - the entries of archives, checked, and put into a tree: the middle between stream.h and tree.h.
 */
#ifndef CTR_UNPACK_READ_H
#define CTR_UNPACK_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "images/unpack/unpack.h"

struct stream;
struct tree;

/* What lies at the top decides what kind of archive it is. */
enum top_name {
	TOP_ROOTFS = 1 << 0,
	TOP_OCI_LAYOUT = 1 << 1,
	TOP_MANIFEST = 1 << 2,
	TOP_REPOSITORIES = 1 << 3,
	TOP_METADATA = 1 << 4,
	TOP_ROOTFS_IMG = 1 << 5,
	TOP_CREATE_MESSAGE = 1 << 6,
	TOP_ROOTFS_DIR = 1 << 7, /* "rootfs" */
	TOP_INDEX = 1 << 8,
};

struct reader;

/*
 * Fills @r, but for its state and error, and calls @tell (may be NULL) with it now and then, for all archives that it
 * reads. @q and @r are borrowed. NULL when memory is gone.
 */
struct reader *reader_new(const struct unpack_request *q,
			  void (*tell)(void *arg, const struct unpack_report *r), void *arg,
			  struct unpack_report *r);
void reader_free(struct reader *r);

/* What an archive turned out to be. */
struct reading {
	unsigned strip;	  /* in: components to drop from each name */
	bool container;	  /* in: an archive of files that are no image's: owners do not matter */
	unsigned top;	  /* enum top_name */
	uint64_t entries; /* in this archive */
	unsigned bad_ids; /* files whose owners are beyond the limit: see reader_check() */
};

/*
 * Reads the archive that @s yields to its end, into the layer of @t that tree_next_layer() began, by the rules of
 * unpack.h. 0, or -1 and *e.
 */
int reader_stream(struct reader *r, struct stream *s, struct tree *t, struct reading *k,
		  struct err *e);

/* The same for @len bytes at @at of the regular file @fd, which are not compressed. The tree's places count from @at. */
int reader_file(struct reader *r, int fd, uint64_t at, uint64_t len, struct tree *t,
		struct reading *k, struct err *e);

/*
 * What the first entries of a tar archive, @len bytes of the regular file @fd, say about its kind: enum top_name; 0 when
 * it is not known.
 */
unsigned reader_peek(int fd, uint64_t len);

/* Refuses what was read if it cannot be a layer or a root filesystem. */
int reader_check(struct reader *r, const struct reading *k, struct err *e);

/*
 * Counts a stream's bytes as read, before it is closed. The first one is the archive as given, and its compression is told;
 * NULL: that was not compressed, and what follows is in it.
 */
void reader_count(struct reader *r, struct stream *s);

#endif
