/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a line of the journal of events: none, or one with a name, a known type and a point in time. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/arena.h"
#include "runtime/base/own.h"
#include "runtime/events.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	auto_free char *text = malloc(size + 1);
	struct event_read r;

	if (!a || !text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!event_parse(text, size, a, &r))
		return 0;
	assert(r.event.name && r.time && r.event.type < EVENT_TYPES);
	assert(r.nanoseconds < 1000000000 && r.event.code >= -1 && r.event.code <= 255);
	assert(event_type(event_name(r.event.type)) == (int)r.event.type);
	return 0;
}
