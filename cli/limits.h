/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h - the limits of an instance: from its keys to the resources of the specification.
 */
#ifndef CTR_LIMITS_H
#define CTR_LIMITS_H

#include <stdint.h>

struct arena;
struct err;
struct instance;
struct resources_spec;

/* Processes and threads of an instance that was given no limit. */
uint64_t limits_default_pids(const struct instance *i);

/*
 * The limits that @i was given; with @before those in which it differs from it, and for one that is gone what the
 * kernel begins with. @data is a path on the disk that `io` without a path means. Where the
 * host has the cpuset controller (@controllers), `cpus` also says how many processors are seen. Strings live in @a.
 */
int limits_put(const struct instance *i, const struct instance *before, const char *data,
	       unsigned controllers, struct arena *a, struct resources_spec *r, struct err *e);

/* A refusal of plan_build() or update_limits() that names a member of the specification names @dashes and the key instead. */
void limits_in_own_words(const char *dashes, struct err *e);

#endif
