/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a JSON document: refused in one line, or a tree that writes to a document that reads and writes alike. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"

static void dump(const struct json *v, struct json_writer *w)
{
	switch (v->type) {
	case JSON_NULL:
		json_put_number(w, v->key, "null");
		break;
	case JSON_BOOL:
		json_put_bool(w, v->key, v->boolean);
		break;
	case JSON_NUMBER:
		json_put_number(w, v->key, v->text);
		break;
	case JSON_STRING:
		json_put_string(w, v->key, v->text);
		break;
	default:
		json_open(w, v->key, v->type == JSON_ARRAY ? '[' : '{');
		for (const struct json *child = v->first; child; child = child->next)
			dump(child, w);
		json_close(w);
	}
}

/* Typed access succeeds for values of its type alone, and says why not. */
static void access_as(const struct json *v, struct arena *a)
{
	const char *const *list = NULL, *s = NULL;
	uint64_t u = 0;
	int64_t i = 0;
	size_t n = 0;
	bool b = false;
	struct err e = { 0 };

	assert((json_string(v, &s, &e) == 0) == (v->type == JSON_STRING));
	assert((json_bool(v, &b, &e) == 0) == (v->type == JSON_BOOL));
	if (json_u64(v, 0, UINT64_MAX, &u, &e) == 0)
		assert(v->type == JSON_NUMBER && u == strtoull(v->text, NULL, 10));
	if (json_i64(v, INT64_MIN, INT64_MAX, &i, &e) == 0)
		assert(v->type == JSON_NUMBER && i == strtoll(v->text, NULL, 10));
	if (json_strings(v, a, &list, &n, &e) == 0)
		assert(v->type == JSON_ARRAY && n == v->count && !list[n]);
	if (v->type != JSON_ARRAY && v->type != JSON_OBJECT)
		return;
	for (const struct json *child = v->first; child; child = child->next)
		access_as(child, a);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	auto_arena struct arena *a = arena_new(64 << 20), *b = arena_new(64 << 20);
	auto_str struct str first = { 0 }, second = { 0 };
	struct json_writer w = { .out = &first, .indent = size % 2 };
	struct err e = { 0 };
	struct json *v;

	if (!a || !b)
		return 0;
	v = json_parse(a, (const char *)data, size, &e);
	if (!v) {
		assert(e.code && *e.msg && !strchr(e.msg, '\n'));
		return 0;
	}
	access_as(v, a);
	assert(v->type != JSON_OBJECT || !v->first || v->first->type == JSON_NULL ||
	       json_get(v, v->first->key) == v->first);
	dump(v, &w);
	assert(!first.failed);
	v = json_parse(b, first.s, first.len, &e);
	assert(v);
	w = (struct json_writer){ .out = &second, .indent = size % 2 };
	dump(v, &w);
	assert(strcmp(first.s, second.s) == 0);
	return 0;
}
