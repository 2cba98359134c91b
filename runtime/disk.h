/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.h - how much an instance may have on disk: project quotas of ext4 and xfs.
 *
 * What lies in its layer belongs to a project whose number is the first of its host ids (idrange.h), so no two have the same. Files
 * inherit the project of their directory; what it freezes in snapshots stays in it, and counts. statfs(2) of such a directory tells
 * of the quota, so `df` inside shows the limit. From within a user namespace nobody changes a file's project (Linux 4.7), and quotas
 * hold for all who have no CAP_SYS_RESOURCE on the host. Where the file system has no such quotas, instances get one that has: disk_file.h.
 *
 * The limit is made so again at each start: whatever was in the layer's place before (a snapshot, a rollback, a clone, a command
 * that was killed) is counted then.
 */
#ifndef CTR_DISK_H
#define CTR_DISK_H

#include <stdint.h>

struct err;
struct instance;
struct instance_dir;

/* Whether the file system of an open directory enforces limits; else -1 and *e (ERR_NOT_SUPPORTED), with the cure. */
int disk_check(int dir, struct err *e);

/* What that takes, for people. */
#define DISK_CURE \
	"ext4 with `tune2fs -O project,quota -Q prjquota`, or xfs, mounted with -o prjquota"

/*
 * Makes @i->disk the limit of the instance, running or not; 0 takes it away. A few system calls if it is so already, else a walk
 * over its layer. ERR_NOT_SUPPORTED, with the cure, where it cannot be enforced; ERR_INVALID if more is in use already.
 */
int disk_limit(const struct instance_dir *d, const struct instance *i, struct err *e);

/* Forgets it, of an instance that is about to be removed. */
void disk_forget(const struct instance_dir *d, const struct instance *i);

#endif
