/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a restore reads that others may have written: CRIU's answers ('a'), descriptors.json ('d'), the end of a log
 * ('l'), and names of mounts, which an image chooses ('m': KEY VALUE ... separated by 0): those that are accepted must be
 * read back by CRIU's own rule. The first byte says which.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"
#include "runtime/checkpoint.h"
#include "runtime/criu.h"

static void mounts(const char *text, size_t len)
{
	struct externals x = { .arena = arena_new(1u << 20) };
	const char *key = text, *end = text + len;
	struct err e;

	while (x.arena && key < end) {
		const char *value = key + strlen(key) + 1;

		if (value >= end)
			break;
		(void)externals_add(&x, key, value, &e);
		key = value + strlen(value) + 1;
	}
	for (size_t i = 0; i < x.n; i++) {
		const char *found = externals_find(&x, x.list[i].key);

		if (!found || strcmp(found, x.list[i].value) != 0)
			abort();
	}
	arena_free(x.arena);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	char *text = calloc(1, size + 1), told[64], streams[3][STREAM_MAX];
	struct criu_answer a;
	struct err e;

	if (size && text) {
		memcpy(text, data + 1, size - 1);
		if (data[0] == 'a' && criu_answer_parse(text, size - 1, &a, &e) == 0 &&
		    (a.pid < 0 || strlen(a.script) >= sizeof(a.script)))
			abort();
		if (data[0] == 'd' && descriptors_parse(text, size - 1, streams, &e) == 0)
			for (int i = 0; i < 3; i++)
				if (streams[i][0] && strncmp(streams[i], "pipe:[", 6) != 0)
					abort();
		if (data[0] == 'l')
			(void)criu_log_error(text, told, sizeof(told));
		if (data[0] == 'm')
			mounts(text, size - 1);
	}
	free(text);
	return 0;
}
