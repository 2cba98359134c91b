/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper.h - inside of images/: running ctr-unpack, which reads what strangers wrote (unpack/unpack.h).
 */
#ifndef CTR_IMAGES_HELPER_H
#define CTR_IMAGES_HELPER_H

#include <stddef.h>

#include "images/unpack/unpack.h"

struct err;
struct image_import_options;
struct image_progress;

/* What a helper is to read. */
struct source {
	int archive; /* -1: none */
	int layout;  /* the directory of an OCI layout; -1: none */
	int store;
	int staged; /* layers that are not in the store yet lie below its "layers"; -1: none */
	const char *const *layers; /* of UNPACK_REBUILD: diff ids */
	size_t n_layers;
};

/*
 * Runs the helper on @src, and follows it to its end. @target is the empty directory that the results go to, @lock what keeps
 * that from being wiped. Of @o the limits, `strip`, the callback and the program are looked at. 0 and what it reports; or -1
 * and *e, with code ECANCELED if the callback said so.
 */
int unpack(const struct source *src, enum unpack_job job, unsigned flags, int target, int lock,
	   const struct image_import_options *o, struct image_progress *p, struct unpack_report *r,
	   struct err *e);

/* Tells the caller's callback, if there is one. -1 and *e, ECANCELED, when it does not want to go on. */
int import_progress(const struct image_import_options *o, struct image_progress *p, struct err *e);

#endif
