/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a state directory holds may be damaged, and is read as root: state.json, the journal (whose lines name what is
 * killed and removed) and /proc/PID/stat. The first byte says which.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void journal(char *text)
{
	struct journal j;
	struct err e;

	if (journal_parse(text, &j, &e) < 0)
		return;
	if (j.n && !*j.cgroup_root)
		abort();
	for (size_t i = 0; i < j.n; i++) {
		const char *path = j.cgroups[i].path;

		/* nothing above or beside the cgroup root, and not the root itself */
		if (!*path || *path == '/' || strstr(path, "/../") ||
		    strncmp(path, "../", 3) == 0 || strcmp(path, "..") == 0)
			abort();
		if (strlen(path) > 3 && strcmp(path + strlen(path) - 3, "/..") == 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(1u << 20);
	char *text = calloc(1, size + 1);
	struct state s;
	struct process_stat p;
	struct err e;

	if (size && a && text) {
		memcpy(text, data + 1, size - 1);
		if (data[0] == 'j')
			journal(text);
		else if (data[0] == 'p')
			(void)process_stat_parse(text, &p);
		else if (state_parse(text, strlen(text), "web", a, &s, &e) == 0 &&
			 (strcmp(s.id, "web") != 0 || s.pid < 0))
			abort();
	}
	free(text);
	arena_free(a);
	return 0;
}
