/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scope.h - cgroups that systemd makes: transient scopes, asked for over D-Bus.
 *
 * With --systemd-cgroup a cgroupsPath is "SLICE:PREFIX:NAME", which stands for PREFIX-NAME.scope in SLICE (runc's and crun's reading).
 * systemd makes a scope only around a process: so one that only sleeps is put there first, and the container's is cloned into the
 * directory as into any other. The scope ends when nothing is left in it. What systemd is told of limits is for its own books: it
 * would otherwise set back what it does not know of; they are written to the files as well.
 *
 * busctl(1), which is systemd's own, does the talking: no library of D-Bus is on anybody's start path.
 */
#ifndef CTR_SCOPE_H
#define CTR_SCOPE_H

#include <stdbool.h>

struct arena;
struct err;
struct properties;
struct resources_spec;
struct spec;

/* A unit, and its properties (NULL: none). */
struct scope {
	const char *unit, *slice;
	const char *path; /* of its cgroup, below the mount of cgroup2 */
	const struct properties *properties;
	bool user; /* of the user's own systemd */
};

/* What cgroupsPath of @s means; pure. @id names the unit if it says nothing. Everything in @a. 0, or -1 and *e. */
int scope_plan(const struct spec *s, const char *id, bool user, struct arena *a, struct scope *out,
	       struct err *e);

/* Whether systemd runs here, and busctl is there. */
bool scope_is_available(bool user);

/* The name of the scope that the cgroup @path is; NULL: of none. */
const char *scope_unit(const char *path);

/*
 * Ends whatever lives in the scope that the cgroup @path below @root is, and has systemd take it away: a directory that is removed before
 * systemd has seen it empty stays in its books as a scope that lives. Nothing for another cgroup; what fails shows in the removal.
 */
void scope_end(const char *root, const char *path);

/* Tells systemd of other limits of the unit that the cgroup @path is. Nothing for one that is no scope's. */
int scope_update(const char *path, const struct resources_spec *r, bool user, struct err *e);

#endif
