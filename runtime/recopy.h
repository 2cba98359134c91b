/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recopy.h - a copy of a tree that is written to, so that its writers have to stand still for a moment only.
 *
 *	recopy_begin()		notes each name with its inode and change time, and has the disk written
 *	program_copy_tree()	copies all, while the writers go on; what is torn does not matter
 *				the writers are stopped
 *	recopy_finish()		compares with the notes, and copies again what has changed
 *
 * What the notes have under the same name, with the same inode and the same change time, has not changed: the kernel gives an inode a new
 * time with each write, and each change of its owner, mode, attributes, links and name (inode(7)), and nobody else can. For pages that are mapped
 * and written it does so when they are dirtied; those that were dirty already are clean once the disk has been written (recopy_begin). That is so on
 * ext4, xfs and btrfs; elsewhere recopy_finish() says 1. A directory that may have been moved is copied as a whole, for what is in it keeps its
 * times then.
 */
#ifndef CTR_RECOPY_H
#define CTR_RECOPY_H

#include <stdbool.h>

struct err;
struct recopy;

/* Free it with recopy_free(). NULL and *e. */
struct recopy *recopy_begin(int tree, struct err *e);
void recopy_free(struct recopy *r);

/*
 * Nobody writes to the tree any more: @copy, of the path @to, becomes what is in @tree, of the path @from. 0; 1 if a copy of all has to be made
 * instead, because too much has changed or it cannot be told; -1 and *e. Not 0, and @copy is good for nothing.
 */
int recopy_finish(struct recopy *r, int tree, const char *from, int copy, const char *to,
		  struct err *e);

/* Owner, mode, attributes and times of a directory, both open; others that @to has are taken away. 0, or -1 and *e. */
int copy_looks(int from, int to, struct err *e);

#endif
