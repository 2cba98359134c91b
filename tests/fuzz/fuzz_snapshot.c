/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a snapshot, and its name: what is accepted names a layer that can be a directory's name, and nothing else. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/layers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *name = calloc(1, size + 1);
	struct snapshot s;
	struct err e;

	if (!name)
		return 0;
	memcpy(name, data, size);
	if (snapshot_check_name(name, &e) == 0 &&
	    (*name == '.' || strchr(name, '/') || strlen(name) > SNAPSHOT_NAME_MAX))
		abort();
	if (snapshot_parse(name, size, &s, &e) == 0 &&
	    (strlen(s.layer) != LAYER_ID_LEN || strchr(s.layer, '/') || !s.consistency ||
	     s.frozen_us < 0))
		abort();
	free(name);
	return 0;
}
