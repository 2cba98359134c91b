/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/xattrs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "runtime/base/own.h"
#include "runtime/base/str.h"

#define XATTR_MAX 65536 /* XATTR_LIST_MAX and XATTR_SIZE_MAX */

static bool is_kept(const char *key)
{
	return (str_after(key, "user.") && !str_after(key, "user.overlay.")) ||
	       streq(key, "security.capability") || str_after(key, "system.posix_acl_");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int xattrs_each(int dir, const char *name,
		int (*f)(void *arg, const char *key, const void *value, size_t len), void *arg)
{
	auto_free char *list = NULL, *value = NULL;
	const char *keys[256];
	char path[64 + NAME_MAX];
	size_t n = 0;
	ssize_t len;
	int rc = 0;

	/* the last component is not followed: lgetxattr(2) */
	if (snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	len = llistxattr(path, NULL, 0);
	if (len <= 0)
		return len == 0 || errno == ENOTSUP ? 0 : -1;
	list = malloc(XATTR_MAX);
	value = malloc(XATTR_MAX);
	if (!list || !value || (len = llistxattr(path, list, XATTR_MAX)) < 0)
		return -1;
	for (const char *k = list; k < list + len; k += strlen(k) + 1)
		if (is_kept(k) && n < sizeof(keys) / sizeof(*keys))
			keys[n++] = k;
	qsort(keys, n, sizeof(*keys), by_name);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		ssize_t size = lgetxattr(path, keys[i], value, XATTR_MAX);

		if (size >= 0)
			rc = f(arg, keys[i], value, (size_t)size);
		else if (errno != ENODATA)
			return -1;
	}
	return rc;
}

static int add(void *arg, const char *key, const void *value, size_t len)
{
	str_addf(arg, "%s %zu ", key, len);
	str_add_n(arg, value, len);
	return 0;
}

bool xattrs_same(int a, int b, const char *name)
{
	auto_str struct str one = { 0 }, two = { 0 };

	return xattrs_each(a, name, add, &one) == 0 && xattrs_each(b, name, add, &two) == 0 &&
	       one.len == two.len && !one.failed && !two.failed &&
	       (!one.len || memcmp(one.s, two.s, one.len) == 0);
}
