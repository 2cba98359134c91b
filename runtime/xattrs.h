/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xattrs.h - the extended attributes that belong to a file, and may be copied, archived and compared: user.*, file capabilities, POSIX
 * ACLs. security.selinux and the like are the host's business, trusted.* and user.overlay.* an overlay's.
 */
#ifndef CTR_XATTRS_H
#define CTR_XATTRS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Calls @f for each attribute of @name in @dir, which may be a link itself, in the order of their names, until one returns not 0,
 * which is then returned. -1 with errno if they cannot be read; a file system without any has none.
 */
int xattrs_each(int dir, const char *name,
		int (*f)(void *arg, const char *key, const void *value, size_t len), void *arg);

/* Whether @name has the same ones in both directories. */
bool xattrs_same(int a, int b, const char *name);

#endif
