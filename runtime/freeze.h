/* SPDX-License-Identifier: Apache-2.0 */
/*
 * freeze.h - stopping all processes of a container in their tracks, and letting them go on.
 */
#ifndef CTR_FREEZE_H
#define CTR_FREEZE_H

#include <stdbool.h>

struct err;
struct state;
struct str;

/*
 * Freezes or thaws the container's cgroup (cgroup.freeze, Linux 5.2) and waits until the kernel says it is
 * done: at most ten seconds, for a task in an uninterruptible wait cannot be frozen; then it is thawed
 * again and ERR_STATE. ERR_NOT_SUPPORTED without a cgroup.
 */
int freeze_set(const struct state *st, bool frozen, struct err *e);

/*
 * Calls @each for every process in the container's cgroup and in those below it, in no order; stops when it
 * returns non-zero and returns that. -1 and *e if they cannot be read.
 */
int freeze_each_process(const struct state *st, int (*each)(int pid, void *arg), void *arg,
			struct err *e);

#endif
