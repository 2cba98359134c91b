/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.h - files and trees from one directory into another, of which either may belong to somebody hostile who changes it meanwhile.
 *
 * Each name is opened from the descriptor of its directory and no link is followed, so that nothing outside of the two is read or
 * written, whatever is renamed while it goes on (CVE-2018-15664). Nothing but regular files, directories, links and FIFOs is copied; holes
 * stay holes, blocks are shared where the file system can. A file appears whole or not at all. Into a directory that is there its
 * content is put beside what is there.
 */
#ifndef CTR_COPY_H
#define CTR_COPY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* Owners: ids of the source count from @from, those of the copy from @to; @range of them, others become 65534. 0: all ids. */
struct copy_owners {
	uint64_t from, to, range;
	bool keep; /* the same owners, else: */
	uid_t uid; /* of the copy's side */
	gid_t gid;
};

struct copied {
	uint64_t files, bytes;
	uint64_t skipped; /* devices and sockets */
};

/*
 * Copies @name of @from to @to_name in @to; NULL: what is in the directory @name, into @to itself. Adds to *c. @go_on (NULL:
 * always true) is asked about every file. 0, or -1 and *e; what was copied so far stays.
 */
int copy_tree(int from, const char *name, int to, const char *to_name, const struct copy_owners *o,
	      bool (*go_on)(void), struct copied *c, struct err *e);

#endif
