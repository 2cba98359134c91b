/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update.h - other limits for a container that runs.
 *
 * Runs in the host's namespaces, with whatever privilege the files of the container's cgroup need.
 */
#ifndef CTR_UPDATE_H
#define CTR_UPDATE_H

struct err;
struct host;
struct resources_spec;
struct state;

/*
 * Changes the limits that @r gives and no others, in the order of plan_build_update(); stops at the first that
 * the kernel refuses, which the message names. Half of a pair is completed from the cgroup's files (quota and
 * period; memory, where swap alone is given), in *r. With r->memory.check_before_update a limit below what is
 * in use is refused (specification, memory.checkBeforeUpdate). The lock of the container must be held, or its
 * cgroup could be removed meanwhile. ERR_NOT_SUPPORTED without a cgroup.
 */
int update_limits(const struct state *st, struct resources_spec *r, const struct host *h,
		  struct err *e);

#endif
