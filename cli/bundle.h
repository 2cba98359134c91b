/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle.h - an OCI bundle: a directory with a config.json.
 */
#ifndef CTR_BUNDLE_H
#define CTR_BUNDLE_H

#include "runtime/base/str.h"

struct err;
struct spec;

struct bundle {
	struct str path;   /* absolute, without symbolic links */
	struct str config; /* the text of config.json */
	struct spec *spec; /* refers to neither */
};

/*
 * Reads the bundle in the directory @dir (NULL: the current one); @config is another file than its
 * config.json, counted from the current directory, or NULL. 0, or -1 and *e; free it either way.
 */
int bundle_read(const char *dir, const char *config, struct bundle *b, struct err *e);

void bundle_free(struct bundle *b);

#define auto_bundle __attribute__((cleanup(bundle_free)))

#endif
