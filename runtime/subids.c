/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/subids.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"

#define FILE_MAX (1u << 20)

/* One line "user:first:count"; it is written into. */
static bool read_line(char *line, const char *user, const char *number, struct subids *out)
{
	char *first = strchr(line, ':'), *count = first ? strchr(first + 1, ':') : NULL;
	uint64_t a, n;

	if (!count)
		return false;
	*first++ = '\0';
	*count++ = '\0';
	if ((!streq(line, user) && !(number && streq(line, number))) ||
	    parse_u64(first, 1, UINT32_MAX - 1, &a) < 0 || parse_u64(count, 1, UINT32_MAX, &n) < 0)
		return false;
	*out = (struct subids){ (uint32_t)a, (uint32_t)(n > UINT32_MAX - a ? UINT32_MAX - a : n) };
	return true;
}

int subids_read(const char *path, const char *user, const char *number,
		struct subids out[SUBIDS_MAX], struct err *e)
{
	auto_str struct str text = { 0 };
	char *line, *rest;
	int n = 0;

	if (file_read(AT_FDCWD, path, FILE_MAX, &text, e) < 0)
		return e->code == ENOENT ? 0 : -1;
	for (line = text.s; line && n < SUBIDS_MAX; line = rest) {
		rest = strchr(line, '\n');
		if (rest)
			*rest++ = '\0';
		n += read_line(line, user, number, &out[n]);
	}
	return n;
}
