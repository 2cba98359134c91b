/* SPDX-License-Identifier: Apache-2.0 */
/*
 * userns.h - user namespaces and their id maps.
 */
#ifndef CTR_USERNS_H
#define CTR_USERNS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct arena;
struct err;
struct id_map;

/*
 * Writes the maps of process @pid's user namespace, which must be new. An @unprivileged caller may map its own id
 * alone (user_namespaces(7)), and gives up setgroups(2) for the group; all else newuidmap(1) and newgidmap(1) do for
 * it, found by PATH.
 */
int userns_write_maps(pid_t pid, const struct id_map *uid, size_t n_uid, const struct id_map *gid,
		      size_t n_gid, bool unprivileged, struct err *e);

/*
 * 1 if ours is the machine's first one, in which all ids are and the host's root is root; else 0. -1 and *e if /proc does not tell, which
 * userns_is_first() takes for the first.
 */
int userns_ask_first(struct err *e);
bool userns_is_first(void);

/*
 * The ids of our own user namespace, each as itself: the maps of a namespace below it in which they are called the same. Two lists in
 * @a. 0, or -1 and *e.
 */
int userns_map_same(struct arena *a, struct id_map **uid, size_t *n_uid, struct id_map **gid,
		    size_t *n_gid, struct err *e);

/* The user namespace of process @pid, as a descriptor. */
int userns_of(pid_t pid, struct err *e);

/* What @id inside is on the host; @unmapped if it is nothing there. */
uint32_t userns_host_id(const struct id_map *map, size_t n, uint32_t id, uint32_t unmapped);

/* A user namespace that nobody lives in, with these maps: for an id-mapped mount. */
int userns_open(const struct id_map *uid, size_t n_uid, const struct id_map *gid, size_t n_gid,
		struct err *e);

#endif
