/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - what the verbs share that keep and copy the state of instances.
 */
#ifndef CTR_CLI_SNAPSHOT_H
#define CTR_CLI_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/layers.h"

struct cli;

/*
 * Keeps the state of the instance, whose lock is held: fills s->layer, and what is to be told of it. Not written as a
 * snapshot yet: until something names it, a sweep would take it.
 */
int keep_state(const struct layers *l, const struct instance_dir *d, struct snapshot *s,
	       struct err *e);

/* The same of one that runs, and goes on meanwhile: a copy of no one moment, to which the state is compared that follows. */
int keep_moving(const struct layers *l, const struct instance_dir *d, struct snapshot *s,
		struct err *e);

/* Gives a new snapshot its name: @name, which must be free, or with NULL the time of day. */
int name_snapshot(const struct instance_dir *d, const char *name, struct snapshot *s,
		  struct err *e);

/* Has @act done with the locks of the instance and of the frozen layers held. What it returns; or -1 and *e. */
int with_layers(const struct instances *all, const char *name,
		int (*act)(const struct layers *l, const struct instance_dir *d, void *arg,
			   struct err *e),
		void *arg, struct err *e);

/* Removes all but the @keep newest that @by (layers.h) made. */
int keep_newest(const struct layers *l, const struct instance_dir *d, const char *by, uint64_t keep,
		struct err *e);

/* "filesystem-consistent, stood still for 12.3 ms" */
void describe_state(const struct snapshot *s, char *out, size_t size);

/* The files as a frozen layer with all below it has them, or a snapshot: a read-only tree, mounted nowhere, owners as inside; a descriptor, or -1 and *e. */
int open_layers(struct cli *c, const struct instances *all, const struct instance_dir *d,
		const char *layer, struct err *e);
int open_state(struct cli *c, const struct instances *all, const struct instance_dir *d,
	       const char *snapshot, struct err *e);

#endif
