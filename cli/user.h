/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user.h - users by name, looked up in the instance's own /etc/passwd and /etc/group.
 *
 * Those files are the image's, or whatever root inside made of them: they are opened below the given root
 * (openat2, RESOLVE_IN_ROOT and no magic links), must be regular files of at most 8 MiB, are never waited for,
 * and a user gets at most 1024 groups (CVE-2024-9676, CVE-2026-47262). Symbolic links inside the root are
 * followed: images have them. Not by the C library's functions, whose modules would be the image's
 * (CVE-2019-14271).
 */
#ifndef CTR_USER_H
#define CTR_USER_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

#define USER_GROUPS_MAX 1024
#define USER_FILE_MAX	(8u << 20)

struct user {
	uint32_t uid, gid;
	const uint32_t *groups; /* supplementary; NULL: none */
	size_t n_groups;
	const char *home;  /* never NULL */
	const char *shell; /* NULL: not known */
};

/*
 * Finds "USER[:GROUP]" below the directory @root. Numbers are taken as they are (image-spec, conversion.md),
 * known or not; a numeric user without group gets the group that passwd says, or else 0, and no
 * supplementary groups. A name must be known, but for "root"; without group it gets its primary and
 * supplementary ones. NULL or "" is user 0. Ids of @max and beyond are refused: they are not mapped (0: no limit).
 * Strings and lists live in @a. 0, or -1 and *e.
 */
int user_find(int root, const char *text, uint64_t max, struct arena *a, struct user *u,
	      struct err *e);

#endif
