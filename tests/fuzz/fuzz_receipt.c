/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a line of the receipts: none, or one of a run that does not end before it begins. */
#include <assert.h>
#include <string.h>

#include "runtime/base/arena.h"
#include "runtime/base/own.h"
#include "runtime/usage.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	auto_free char *text = malloc(size + 1);
	struct receipt r;

	if (!a || !text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!receipt_parse(text, size, a, &r))
		return 0;
	assert(r.seq && r.name && r.uuid && r.start_ns >= 0 && r.end_ns >= r.start_ns);
	for (const char *const *label = r.labels; label && *label; label++)
		assert(strlen(*label) <= size);
	return 0;
}
