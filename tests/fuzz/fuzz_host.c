/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The facts of a host as text (written, read and written again they are the same), and a mountinfo: any path can
 * stand in that.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/str.h"
#include "runtime/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int every_path(const char *path, struct err *e)
{
	(void)e;
	return *path == '/';
}

static void facts(const char *text)
{
	struct str once = { 0 }, twice = { 0 };
	struct host h, again;
	struct err e;

	if (host_parse(text, &h, &e) == 0) {
		host_dump(&h, &once);
		if (host_parse(str_text(&once), &again, &e) < 0)
			abort();
		host_dump(&again, &twice);
		if (strcmp(str_text(&once), str_text(&twice)) != 0)
			abort();
	}
	str_free(&once);
	str_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1);
	struct host h = { 0 };
	struct err e;

	if (size && text) {
		memcpy(text, data + 1, size - 1);
		if (data[0] == 'm')
			(void)host_read_mountinfo(text, &h, every_path, &e);
		else
			facts(text);
	}
	free(text);
	return 0;
}
