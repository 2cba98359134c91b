/* SPDX-License-Identifier: Apache-2.0 */
/*
 * difference.h - two trees of files compared: what was added, changed, removed.
 *
 * Both trees may be hostile, and the second may change meanwhile: each name is opened from the descriptor of its directory, no
 * link is followed, no mount crossed, nothing that is no regular file is opened.
 */
#ifndef CTR_DIFFERENCE_H
#define CTR_DIFFERENCE_H

#include <stdbool.h>
#include <sys/stat.h>

struct err;

enum difference { DIFFERENCE_ADDED = 'A', DIFFERENCE_CHANGED = 'C', DIFFERENCE_REMOVED = 'D' };

/*
 * @path is absolute inside the tree; @name in the directory @dir is the same file in the second tree, @st what it is; both
 * belong to the caller, and are none (-1) for what was removed. A directory comes before what is in it. Not 0 ends the walk.
 */
typedef int difference_told(void *arg, enum difference what, const char *path, int dir,
			    const char *name, const struct stat *st, struct err *e);

struct trees {
	int before; /* a directory; -1: an empty tree */
	int after;
	/*
	 * Only what one of these directories (absolute paths, NULL-terminated) has as well can differ: the upper directories of
	 * the overlay that @after is, where @before is what lies below. NULL: everything can.
	 */
	const char *const *layers;
	/* Two files of one size and one time of change may differ all the same: they are not of one file system. */
	bool contents;
};

/* 0; what @told returned; or -1 and *e. */
int tree_difference(const struct trees *t, difference_told *told, void *arg, struct err *e);

#endif
