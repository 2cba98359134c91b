/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resctrl.h - groups of resctrl: the part of caches and of memory bandwidth that a container has (runtime-spec 1.3, config-linux.md,
 * "IntelRdt"; the kernel's Documentation/filesystems/resctrl.rst). They are of Intel, AMD and Arm alike.
 *
 * A group is a directory. Its schemata say its part, its tasks who is in it: a process, and what that forks from then on. Below its
 * mon_groups are those that only count. Who changes more than one of them holds the lock (flock) of the root, as the kernel's
 * document has it.
 */
#ifndef CTR_RESCTRL_H
#define CTR_RESCTRL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;
struct state_dir;
struct str;

#define RESCTRL_ROOT "/sys/fs/resctrl"

struct resctrl {
	const char *group; /* closID; NULL: the container's id; "/": the one that all are in */
	const char *
		schemata; /* lines; NULL: the kernel's own for a new group, and whatever an old one has */
	bool monitor; /* counted by itself */
	bool join;    /* it is there, with all that belongs to it */
};

/*
 * Puts process @pid, which has one thread, into the group that @g says; makes it if that is allowed, noting in the journal of
 * @d what has to be removed. @id is the container's. 0, or -1 and *e.
 */
int resctrl_enter(const struct resctrl *g, const char *id, pid_t pid, struct state_dir *d,
		  struct err *e);

/* The group of the container @id, or the one that counts it: a descriptor of the directory, or -1 and *e. */
int resctrl_open(const struct resctrl *g, const char *id, bool monitor, struct err *e);

/* Writes lines of @schemata to the group of the container @id: what they do not name stays. */
int resctrl_write(const struct resctrl *g, const char *id, const char *schemata, struct err *e);

/* Removes the group @path, as the journal names it: "resctrl PATH". One that is gone already is success. */
int resctrl_remove(const char *path, struct err *e);

/* The line of @schemata that begins with @resource ("L3:"), without the spaces before it, and its length; NULL if there is none. Pure. */
const char *resctrl_line(const char *schemata, const char *resource, size_t *len);

/*
 * Whether @now, what the kernel says ("    L3:0=00ff;1=000f\nMB:0=100\n"), has what each line of @wanted asks for: leading zeros and
 * domains that are not asked for do not matter. Pure. For tests too.
 */
bool resctrl_has(const char *now, const char *wanted);

#endif
