/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a JSON document: refused with a message, or a tree that writes to a document that reads and writes alike. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"

static void dump(const struct json *v, struct str *out)
{
	const struct json *child;

	switch (v->type) {
	case JSON_NULL:
		str_add(out, "null");
		break;
	case JSON_BOOL:
		str_add(out, v->boolean ? "true" : "false");
		break;
	case JSON_NUMBER:
		str_add(out, v->text);
		break;
	case JSON_STRING:
		json_add_string(out, v->text);
		break;
	default:
		str_add(out, v->type == JSON_ARRAY ? "[" : "{");
		for (child = v->first; child; child = child->next) {
			if (child != v->first)
				str_add(out, ",");
			if (v->type == JSON_OBJECT) {
				assert(json_get(v, child->key) == child ||
				       child->type == JSON_NULL);
				json_add_string(out, child->key);
				str_add(out, ":");
			}
			dump(child, out);
		}
		str_add(out, v->type == JSON_ARRAY ? "]" : "}");
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	auto_arena struct arena *a = arena_new(64 << 20), *b = arena_new(64 << 20);
	auto_str struct str first = { 0 }, second = { 0 };
	struct err e = { 0 };
	struct json *v;

	if (!a || !b)
		return 0;
	v = json_parse(a, (const char *)data, size, &e);
	if (!v) {
		assert(e.code && *e.msg);
		return 0;
	}
	dump(v, &first);
	assert(!first.failed);
	v = json_parse(b, str_text(&first), first.len, &e);
	assert(v);
	dump(v, &second);
	assert(strcmp(str_text(&first), str_text(&second)) == 0);
	return 0;
}
