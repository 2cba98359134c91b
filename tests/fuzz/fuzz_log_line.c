/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as lines of a log, and as a point in time: no line, or one whose parts lie inside. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/own.h"
#include "runtime/supervise.h"

static void line(const char *text, size_t len)
{
	struct log_line l;

	if (!log_line_parse(text, len, &l))
		return;
	assert(l.text >= text && l.text + l.len == text + len);
	assert(l.stream >= text + 30 && l.stream + l.stream_len + 3 == l.text && l.stream_len > 0);
	assert(l.nanoseconds < 1000000000);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	auto_free char *text = malloc(size + 1);
	uint32_t ns = 0;
	int64_t s = 0;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (const char *at = text, *end; at < text + size; at = end + 1) {
		end = memchr(at, '\n', (size_t)(text + size - at));
		if (!end)
			end = text + size;
		line(at, (size_t)(end - at));
	}
	if (parse_time(text, &s, &ns) == 0)
		assert(ns < 1000000000);
	return 0;
}
