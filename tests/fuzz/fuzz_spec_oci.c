/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a config.json and as a process.json: refused in one line, or a spec that dumps, reads and dumps alike. */
#include <assert.h>
#include <string.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/str.h"
#include "runtime/spec.h"

static void check_refusal(const struct err *e)
{
	assert(e->code && *e->msg && !strchr(e->msg, '\n'));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	auto_spec struct spec *s = NULL, *again = NULL;
	auto_arena struct arena *a = arena_new(0);
	auto_str struct str first = { 0 }, second = { 0 };
	struct process_spec p;
	struct err e = { 0 };

	log_setup(2, LOG_TEXT, LOG_ERROR);
	if (!a)
		return 0;
	if (spec_oci_parse_process((const char *)data, size, a, &p, &e) < 0)
		check_refusal(&e);
	s = spec_oci_parse((const char *)data, size, "/bundle", &e);
	if (!s) {
		check_refusal(&e);
		return 0;
	}
	spec_oci_dump(s, &first);
	again = spec_oci_parse(first.s, first.len, "/elsewhere", &e);
	assert(again);
	spec_oci_dump(again, &second);
	assert(!first.failed && !second.failed && strcmp(first.s, second.s) == 0);
	return 0;
}
