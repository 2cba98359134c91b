/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - what the verbs share that keep and copy the state of instances.
 */
#ifndef CTR_CLI_SNAPSHOT_H
#define CTR_CLI_SNAPSHOT_H

#include <stddef.h>

#include "runtime/layers.h"

struct cli;

/*
 * Keeps the state of the instance, whose lock is held: fills s->layer, and what is to be told of it. Not written as a
 * snapshot yet: until something names it, a sweep would take it.
 */
int keep_state(const struct layers *l, const struct instance_dir *d, struct snapshot *s,
	       struct err *e);

/* "filesystem-consistent, stood still for 12.3 ms" */
void describe_state(const struct snapshot *s, char *out, size_t size);

/* The files as the snapshot has them: a read-only tree, mounted nowhere, owners as inside; a descriptor, or -1 and *e. */
int open_state(struct cli *c, const struct instances *all, const struct instance_dir *d,
	       const char *snapshot, struct err *e);

#endif
