/* SPDX-License-Identifier: Apache-2.0 */
/*
 * userns.h - user namespaces and their id maps.
 */
#ifndef CTR_USERNS_H
#define CTR_USERNS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;
struct id_map;

/* Writes the maps of process @pid's user namespace, which must be new. */
int userns_write_maps(pid_t pid, const struct id_map *uid, size_t n_uid, const struct id_map *gid,
		      size_t n_gid, bool deny_setgroups, struct err *e);

/* The user namespace of process @pid, as a descriptor. */
int userns_of(pid_t pid, struct err *e);

/* A user namespace that nobody lives in, with these maps: for an id-mapped mount. */
int userns_open(const struct id_map *uid, size_t n_uid, const struct id_map *gid, size_t n_gid,
		struct err *e);

#endif
