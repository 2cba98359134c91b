/*
 * build.h - what ctr-unpack does, once it is in its sandbox: from archives to layers and trees.
 */
#ifndef CTR_UNPACK_BUILD_H
#define CTR_UNPACK_BUILD_H

#include <stdbool.h>

#include "images/unpack/unpack.h"

struct builder {
	const struct unpack_request *q;
	int in;	    /* the archive; borrowed */
	int target; /* the empty directory that the results go to; borrowed */
	struct unpack_report *report;
	/* Called with @report now and then; may be NULL. */
	void (*tell)(void *arg, const struct unpack_report *r);
	/*
	 * Asks whoever started us for the file that @r names (its state is one of UNPACK_WANT_*). A descriptor,
	 * -1 when there is none, -2 and *e when there is no answer. May be NULL if the job needs none.
	 */
	int (*ask)(void *arg, const struct unpack_report *r, struct err *e);
	void *arg;
	const struct isal *isal; /* NULL: there is none (stream.h) */
	/* the process ends after a failure: threads are not waited for, one of which may be in a read that blocks */
	bool last;
};

/* Does what the request says; what is then in the target says unpack.h. 0, or -1 and *e. */
int build(struct builder *b, struct err *e);

#endif
