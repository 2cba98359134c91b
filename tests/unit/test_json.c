/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/str.h"

static struct json *parse(struct arena *a, const char *text, struct err *e)
{
	return json_parse(a, text, strlen(text), e);
}

/* The text is refused, with these words in the message and nothing of the text's control characters. */
static void refused(const char *text, size_t len, const char *why)
{
	auto_arena struct arena *a = arena_new(64 << 20);
	struct err e = { 0 };

	if (json_parse(a, text, len, &e))
		FAIL("'%.60s' was taken", text);
	CHECK_HAS(e.msg, why);
	for (const char *c = e.msg; *c; c++)
		CHECK((unsigned char)*c >= ' ');
}

TEST(a_document_is_read_in_its_order)
{
	auto_arena struct arena *a = arena_new(0);
	struct err e = { 0 };
	struct json *v =
		parse(a, " {\"b\": [1, \"x\", true, null], \"a\": {\"c\": -2.5e3}} \n", &e);
	const struct json *b, *c;

	CHECK(v);
	CHECK_INT(v->type, JSON_OBJECT);
	CHECK_INT(v->count, 2);
	CHECK_STR(v->first->key, "b");
	CHECK_STR(v->first->next->key, "a");
	b = json_get(v, "b");
	CHECK_INT(b->count, 4);
	CHECK_STR(b->first->text, "1");
	CHECK_STR(b->first->next->text, "x");
	CHECK(b->first->next->next->boolean);
	CHECK_INT(b->first->next->next->next->type, JSON_NULL);
	c = json_get(json_get(v, "a"), "c");
	CHECK_INT(c->type, JSON_NUMBER);
	CHECK_STR(c->text, "-2.5e3");
}

TEST(what_is_absent_or_null_reads_as_absent)
{
	auto_arena struct arena *a = arena_new(0);
	struct err e = { 0 };
	struct json *v = parse(a, "{\"n\": null}", &e);
	const char *text = "kept";
	uint64_t number = 7;
	bool flag = true;

	CHECK(v);
	CHECK(!json_get(v, "n") && !json_get(v, "x") && !json_get(NULL, "x"));
	CHECK_INT(json_string(json_get(v, "n"), &text, &e), 0);
	CHECK_INT(json_u64(json_get(v, "n"), 0, 9, &number, &e), 0);
	CHECK_INT(json_bool(json_get(v, "n"), &flag, &e), 0);
	CHECK_STR(text, "kept");
	CHECK_INT(number, 7);
	CHECK(flag);
}

TEST(numbers_keep_all_their_bits_and_their_range)
{
	auto_arena struct arena *a = arena_new(0);
	struct err e = { 0 };
	struct json *v =
		parse(a, "{\"inf\": 18446744073709551615, \"neg\": -1, \"real\": 1.5}", &e);
	uint64_t u = 7;
	int64_t i = 7;

	CHECK(v);
	CHECK_INT(json_u64(json_get(v, "inf"), 0, UINT64_MAX, &u, &e), 0);
	CHECK(u == UINT64_MAX);
	CHECK_INT(json_i64(json_get(v, "neg"), -1, 1, &i, &e), 0);
	CHECK_INT(i, -1);
	CHECK_INT(json_u64(json_get(v, "neg"), 0, UINT64_MAX, &u, &e), -1);
	CHECK_HAS(e.msg, "neg");
	CHECK_INT(json_i64(json_get(v, "inf"), INT64_MIN, INT64_MAX, &i, &e), -1);
	CHECK_INT(json_u64(json_get(v, "real"), 0, 9, &u, &e), -1);
	CHECK_INT(json_u64(v, 0, 9, &u, &e), -1);
	CHECK_INT(i, -1);
}

TEST(a_wrong_type_is_named_with_its_key)
{
	auto_arena struct arena *a = arena_new(0);
	struct err e = { 0 };
	struct json *v = parse(a, "{\"args\": [\"a\", 1], \"cwd\": 5}", &e);
	const char *const *list = NULL;
	const char *text = NULL;

	CHECK_INT(json_string(json_get(v, "cwd"), &text, &e), -1);
	CHECK_STR(e.msg, "cwd: expected a string, not a number");
	CHECK_INT(json_strings(json_get(v, "args"), a, &list, NULL, &e), -1);
	CHECK_HAS(e.msg, "args[1]");
	CHECK(!list && !text);
}

TEST(strings_come_with_their_escapes_undone)
{
	auto_arena struct arena *a = arena_new(0);
	struct err e = { 0 };
	struct json *v = parse(a, "\"\\\"\\\\\\/\\b\\n\\t\\u20ac\\ud83d\\ude00\xc3\xa4\"", &e);

	CHECK(v);
	CHECK_STR(v->text, "\"\\/\b\n\t\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa4");
}

#define REFUSED(text, why) refused(text, sizeof(text) - 1, why)

TEST(what_is_no_json_is_refused_with_its_place)
{
	REFUSED("", "line 1, column 1");
	REFUSED("{\"a\": 1", "unexpected end");
	REFUSED("{\"a\": 1}\n {}", "line 2");
	REFUSED("[1, 2,,]", "expected a value");
	REFUSED("{a: 1}", "line 1, column 2");
	REFUSED("{\"a\" 1}", "expected ':'");
	REFUSED("// x\n1", "comments");
	REFUSED("[01]", "line 1");
	REFUSED("[1.]", "decimal point");
	REFUSED("\"\x01\"", "control character");
	REFUSED("\"\\x\"", "escape");
	REFUSED("NaN", "line 1");
}

TEST(what_two_programs_would_read_differently_is_refused)
{
	REFUSED("{\"a\": 1, \"b\": 2, \"a\": 3}", "duplicate key 'a'");
	REFUSED("{\"a\": 1, \"\\u0061\": 3}", "duplicate key 'a'");
	REFUSED("\"a\\u0000b\"", "NUL");
	REFUSED("\"a\0b\"", "line 1");
	REFUSED("{\"a\0\": 1}", "line 1");
	REFUSED("\"\\ud83d\"", "surrogate");
	REFUSED("\"\\ude00\\ud83d\"", "surrogate");
	REFUSED("\"\\ud83d\\u0041\"", "surrogate");
	REFUSED("\"\xff\"", "UTF-8");
	REFUSED("\"\xc0\x80\"", "UTF-8");
	REFUSED("\"\xed\xa0\xbd\"", "UTF-8");
	REFUSED("{\"\xc0\x80\": 1}", "UTF-8");
	REFUSED("\xef\xbb\xbf{}", "line 1");
}

TEST(duplicate_keys_are_found_in_large_objects)
{
	auto_arena struct arena *a = arena_new(0);
	auto_str struct str s = { 0 };
	struct err e = { 0 };

	str_add(&s, "{");
	for (int i = 0; i < 5000; i++)
		str_addf(&s, "\"key%d\": %d, ", i, i);
	str_add(&s, "\"last\": 1}");
	CHECK(parse(a, s.s, &e));
	s.len--;
	str_add(&s, ", \"key77\": 1}");
	CHECK(!parse(a, s.s, &e));
	CHECK_HAS(e.msg, "duplicate key 'key77'");
}

static void nest(struct str *s, int depth)
{
	for (int i = 0; i < depth; i++)
		str_add(s, i % 2 ? "{\"a\":" : "[");
	str_add(s, "1");
	for (int i = depth; i-- > 0;)
		str_add(s, i % 2 ? "}" : "]");
}

TEST(depth_is_limited)
{
	auto_arena struct arena *a = arena_new(0);
	auto_str struct str fits = { 0 }, deep = { 0 };
	struct err e = { 0 };

	nest(&fits, JSON_MAX_DEPTH);
	nest(&deep, JSON_MAX_DEPTH + 1);
	CHECK(parse(a, fits.s, &e));
	CHECK(!parse(a, deep.s, &e));
	CHECK_HAS(e.msg, "levels deep");
}

TEST(size_and_number_of_values_are_limited)
{
	auto_arena struct arena *a = arena_new(0);
	size_t len = JSON_MAX_SIZE + 1;
	char *big = malloc(len);
	struct err e = { 0 };

	CHECK(big);
	memset(big, ' ', len);
	big[0] = '1';
	CHECK(json_parse(a, big, len - 1, &e));
	CHECK(!json_parse(a, big, len, &e));
	CHECK_HAS(e.msg, "20 MiB");
	for (size_t i = 0; i < len; i++)
		big[i] = i % 2 ? '1' : ',';
	big[0] = '[';
	CHECK(!json_parse(a, big, len - 1, &e));
	CHECK_HAS(e.msg, "more than 1000000 values");
	free(big);
}

TEST(memory_that_is_gone_is_an_error)
{
	auto_arena struct arena *a = arena_new(4000);
	auto_str struct str s = { 0 };
	struct err e = { 0 };

	str_add(&s, "[");
	for (int i = 0; i < 1000; i++)
		str_add(&s, "\"a text of some length\",");
	str_add(&s, "1]");
	CHECK(!parse(a, s.s, &e));
	CHECK_INT(e.code, ENOMEM);
}

TEST(the_writer_writes_what_the_reader_reads)
{
	static const char *const args[] = { "sh", "-c", "", NULL };
	auto_arena struct arena *a = arena_new(0);
	auto_str struct str s = { 0 };
	struct json_writer w = { .out = &s };
	const char *const *list = NULL;
	struct err e = { 0 };
	struct json *v;
	uint64_t u = 0;
	size_t n = 0;

	json_open(&w, NULL, '{');
	json_put_strings(&w, "args", args);
	json_put_string(&w, "absent", NULL);
	json_put_u64(&w, "max", UINT64_MAX);
	json_put_i64(&w, "min", INT64_MIN);
	json_put_bool(&w, "yes", true);
	json_open(&w, "empty", '[');
	json_close(&w);
	json_close(&w);
	CHECK_STR(s.s, "{\"args\":[\"sh\",\"-c\",\"\"],\"max\":18446744073709551615,"
		       "\"min\":-9223372036854775808,\"yes\":true,\"empty\":[]}");
	v = parse(a, s.s, &e);
	CHECK(v);
	CHECK_INT(json_strings(json_get(v, "args"), a, &list, &n, &e), 0);
	CHECK_INT(n, 3);
	CHECK_STR(list[1], "-c");
	CHECK(!list[3]);
	CHECK_INT(json_u64(json_get(v, "max"), 0, UINT64_MAX, &u, &e), 0);
	CHECK(u == UINT64_MAX);
}

TEST(the_writer_indents_by_two)
{
	auto_str struct str s = { 0 };
	struct json_writer w = { .out = &s, .indent = true };

	json_open(&w, NULL, '{');
	json_put_bool(&w, "a", false);
	json_open(&w, "b", '[');
	json_put_string(&w, NULL, "x");
	json_close(&w);
	json_open(&w, "c", '{');
	json_close(&w);
	json_close(&w);
	CHECK_STR(s.s, "{\n  \"a\": false,\n  \"b\": [\n    \"x\"\n  ],\n  \"c\": {}\n}");
}

TEST(any_bytes_are_written_as_a_valid_string)
{
	auto_arena struct arena *a = arena_new(0);
	auto_str struct str s = { 0 };
	struct err e = { 0 };
	char all[256];
	struct json *v;

	for (int i = 1; i < 256; i++)
		all[i - 1] = (char)i;
	all[255] = '\0';
	json_add_string(&s, all);
	v = parse(a, s.s, &e);
	if (!v)
		FAIL("%s", e.msg);
	CHECK_INT(strncmp(v->text, all, 127), 0);
	CHECK_STR(v->text + 127 + 3 * 127, "\xef\xbf\xbd");
}
