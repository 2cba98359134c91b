/*
 * read.h - an archive's entries, checked and made: the middle between stream.h and tree.h.
 */
#ifndef CTR_UNPACK_READ_H
#define CTR_UNPACK_READ_H

#include "images/unpack/unpack.h"

struct stream;

/*
 * Unpacks the archive that @s yields into the directory @root (borrowed, empty), by the rules of unpack.h,
 * and fills @r but for its state and error. @tell, if not NULL, is called with @r now and then. 0, or -1
 * and *e; then the directory holds whatever was made so far.
 */
int read_archive(struct stream *s, int root, const struct unpack_request *q,
		 void (*tell)(void *arg, const struct unpack_report *r), void *arg,
		 struct unpack_report *r, struct err *e);

#endif
