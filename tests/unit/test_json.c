/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <sys/resource.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "tests/unit/test.h"

/* Of the test's process: given back by its end. */
static struct arena *arena;

__attribute__((constructor)) static void make_arena(void)
{
	arena = arena_new(0);
}

static const struct json *read_n(const char *text, size_t len, struct err *e)
{
	CHECK(arena);
	return json_parse(arena, text, len, e);
}

static const struct json *read_ok(const char *text)
{
	struct err e = { 0 };
	const struct json *v = read_n(text, strlen(text), &e);

	if (!v)
		FAIL("'%.100s' is refused: %s", text, e.msg);
	return v;
}

static void refuse_n(const char *text, size_t len, const char *part)
{
	struct err e = { 0 };

	if (read_n(text, len, &e))
		FAIL("'%.100s' is read", text);
	CHECK_INT(e.code, ERR_INVALID);
	CHECK_HAS(e.msg, part);
	CHECK(!strchr(e.msg, '\n'));
}

static void refuse(const char *text, const char *part)
{
	refuse_n(text, strlen(text), part);
}

TEST(tree_follows_the_document)
{
	const struct json *v = read_ok(" {\"a\": [1, true, null, \"x\"], \"b\": {}, \"c\": null} ");
	const struct json *a = json_get(v, "a");

	CHECK_INT(v->type, JSON_OBJECT);
	CHECK_INT(v->count, 3);
	CHECK_STR(a->key, "a");
	CHECK_INT(a->count, 4);
	CHECK_STR(a->first->text, "1");
	CHECK(!a->first->key);
	CHECK(a->first->next->boolean);
	CHECK_INT(a->first->next->next->type, JSON_NULL);
	CHECK_STR(a->first->next->next->next->text, "x");
	CHECK(!a->first->next->next->next->next);
	CHECK(json_get(v, "b") == a->next);
	CHECK(!json_get(v, "c")); /* null is absent */
	CHECK(!json_get(v, "d"));
	CHECK(!json_get(NULL, "d"));
	CHECK(!json_get(a, "a"));
}

TEST(numbers_keep_their_text)
{
	const struct json *v =
		read_ok("[18446744073709551615, -9223372036854775808, 1.50, 1e3]")->first;
	uint64_t u = 0;
	int64_t i = 0;
	struct err e;

	CHECK_INT(json_u64(v, 0, UINT64_MAX, &u, &e), 0);
	CHECK(u == UINT64_MAX);
	v = v->next;
	CHECK_INT(json_i64(v, INT64_MIN, INT64_MAX, &i, &e), 0);
	CHECK(i == INT64_MIN);
	v = v->next;
	CHECK_STR(v->text, "1.50");
	CHECK_INT(json_u64(v, 0, 10, &u, &e), -1);
	CHECK(u == UINT64_MAX);
	CHECK_INT(json_i64(v->next, 0, 10000, &i, &e), -1);
}

TEST(errors_say_line_and_column)
{
	refuse("{\n \"a\": tru }", "line 2, column 10: expected 'true', 'false' or 'null'");
	refuse("{\n\n1: 2}", "line 3, column 1: expected a string as key");
	refuse("[1 2]", "line 1, column 4: expected ',' or ']'");
	refuse("{\"a\":1 \"b\"", "expected ',' or '}'");
	refuse("{\"a\" 1}", "expected ':' after the key");
	refuse("[,]", "line 1, column 2: expected a value");
	refuse("", "line 1, column 1: unexpected end");
	refuse("{\"a\": [1,", "unexpected end");
	refuse("\"abc", "unexpected end");
	refuse("1 2", "expected the end of the text");
	refuse("{} x", "line 1, column 4: ");
	refuse("// c\n1", "comments are not allowed");
	refuse("/* c */ 1", "comments are not allowed");
	refuse("[1.]", "digit after the decimal point");
	refuse("[1e]", "digit after the exponent");
	refuse("[-]", "digit after the minus sign");
	refuse("[01]", "expected ',' or ']'");
	refuse("['a']", "unexpected character");
	refuse("[NaN]", "unexpected character");
	refuse("[\"a\\q\"]", "unknown escape");
	refuse("[\"a\nb\"]", "line 1, column 4: control character");
	refuse("[\"\\u12g4\"]", "four hexadecimal digits");
	refuse("[\"\\u1", "line 1, column 6: expected four hexadecimal digits");
	refuse("[\"\\", "line 1, column 4: unknown escape");
	refuse("{\"a\":1,}", "expected a string as key");
}

TEST(messages_are_one_line_whatever_the_key)
{
	refuse("{\"a\\nb\\u001b[1m\": 1, \"a\\nb\\u001b[1m\": 2}", "duplicate key 'a?b?[1m'");
}

TEST(duplicate_keys_are_refused)
{
	char text[4000];
	size_t n;

	refuse("{\"a\": 1, \"b\": 2, \"a\": 1}", "line 1, column 20: duplicate key 'a'");
	refuse("{\"x\": {\"a\": null, \"\\u0061\": 1}}", "duplicate key 'a'");
	read_ok("[{\"a\": 1}, {\"a\": 1, \"b\": {\"a\": 1}}]");
	for (int members = 14; members < 40; members++) { /* few and many are checked in two ways */
		n = (size_t)snprintf(text, sizeof(text), "{\"m7\": 0");
		for (int i = 8; i < members; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, ", \"m%d\": 0", i);
		snprintf(text + n, sizeof(text) - n, "}");
		read_ok(text);
		snprintf(text + n, sizeof(text) - n, ", \"m9\": 0}");
		refuse(text, "duplicate key 'm9'");
	}
}

TEST(embedded_nul_is_refused)
{
	refuse("[\"x\\u0000y\"]", "line 1, column 4: a string holds a NUL");
	refuse("{\"x\\u0000y\": 1}", "a string holds a NUL");
	refuse_n("[\"x\0y\"]", 7, "control character");
	refuse_n("[1]\0", 4, "line 1, column 4");
	CHECK_STR(read_ok("[\"\\\\u0000\"]")->first->text,
		  "\\u0000"); /* no escape: a backslash, then text */
}

TEST(strings_are_utf8)
{
	CHECK_STR(read_ok("[\"\\u00e9\\u20ac\\ud83d\\ude00\\/\\b\\f\\n\\r\\t\"]")->first->text,
		  "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80/\b\f\n\r\t");
	refuse("[\"\xff\"]", "line 1, column 3: invalid UTF-8");
	refuse("[\"\xc3\"]", "line 1, column 3: invalid UTF-8");
	refuse("[\"\\ud800\"]", "surrogate");
	refuse("[\"\\ud800x\"]", "surrogate");
	refuse("[\"\\ud800\\n12345678\"]", "surrogate");
	refuse("[\"\\ud800\\ud800\"]", "surrogate");
	refuse("[\"\\udc00\"]", "surrogate");
	refuse("[\"\\udc00\\ud800\"]", "surrogate");
	refuse("[\"\\ud83d\\ude", "surrogate");
	refuse("[\"\xc0\x80\"]", "UTF-8"); /* longer than need be */
	refuse("{\"\xc0\x80\": 1}", "UTF-8");
	refuse("[\"\xed\xa0\xbd\"]", "UTF-8"); /* half a surrogate pair, encoded */
	refuse("\xef\xbb\xbf{}", "line 1, column 1: unexpected character");
}

TEST(depth_is_limited)
{
	char text[2 * JSON_MAX_DEPTH + 3];

	for (int depth = JSON_MAX_DEPTH; depth <= JSON_MAX_DEPTH + 1; depth++) {
		memset(text, '[', (size_t)depth);
		memset(text + depth, ']', (size_t)depth);
		text[2 * depth] = '\0';
		if (depth == JSON_MAX_DEPTH)
			read_ok(text);
		else
			refuse(text, "line 1, column 65: nested more than 64 levels deep");
	}
}

TEST(a_million_brackets_are_refused_at_once)
{
	auto_free char *text = malloc(1000000);

	CHECK(text);
	memset(text, '[', 1000000);
	refuse_n(text, 1000000, "nested more than 64 levels deep");
	for (size_t i = 0; i < 1000000; i += 5)
		memcpy(text + i, "{\"a\":", 5);
	refuse_n(text, 1000000, "nested more than 64 levels deep");
}

TEST(number_of_values_is_limited)
{
	size_t len = 2 * JSON_MAX_NODES + 1;
	auto_free char *text = malloc(len);

	CHECK(text);
	memset(text, ',', len);
	for (size_t i = 1; i < len; i += 2)
		text[i] = '1';
	text[0] = '[';
	text[len - 1] = ']'; /* with the array itself one more than JSON_MAX_NODES */
	refuse_n(text, len, "more than 1000000 values");
	text[len - 3] = ']';
	CHECK_INT(json_parse(arena, text, len - 2, &(struct err){ 0 })->count, JSON_MAX_NODES - 1);
}

TEST(size_is_limited)
{
	auto_free char *text = malloc(JSON_MAX_SIZE + 1);
	struct err e = { 0 };

	CHECK(text);
	memset(text, ' ', JSON_MAX_SIZE + 1);
	text[0] = '1';
	refuse_n(text, JSON_MAX_SIZE + 1, "more than 20 MiB");
	CHECK_STR(read_n(text, JSON_MAX_SIZE, &e)->text, "1");
	text[0] = '"';
	text[JSON_MAX_SIZE - 1] = '"';
	CHECK_INT(strlen(read_n(text, JSON_MAX_SIZE, &e)->text), JSON_MAX_SIZE - 2);
	memset(text + 1, '\\', JSON_MAX_SIZE - 2); /* escapes go through yajl's own buffer */
	CHECK_INT(strlen(read_n(text, JSON_MAX_SIZE, &e)->text), JSON_MAX_SIZE / 2 - 1);
}

TEST(no_memory_is_an_error_not_a_crash)
{
	auto_arena struct arena *a = arena_new(20000);
	auto_free char *text = malloc(100001);
	struct rlimit none = { 48 << 20, 48 << 20 };
	struct err e = { 0 };

	CHECK(a && text);
	memset(text, ',', 100000);
	for (size_t i = 1; i < 100000; i += 2)
		text[i] = '1';
	text[0] = '[';
	text[100000] = ']';
	CHECK(!json_parse(a, text, 100001, &e));
	CHECK_INT(e.code, ENOMEM);

	/* yajl itself runs out: it is handed no NULL, which it would write to. */
#if !defined(__SANITIZE_ADDRESS__)
	auto_free char *big = malloc(JSON_MAX_SIZE);

	CHECK(big);
	memset(big, '\\', JSON_MAX_SIZE);
	big[0] = big[JSON_MAX_SIZE - 1] = '"';
	read_ok("1");
	CHECK_INT(setrlimit(RLIMIT_AS, &none), 0);
	memset(&e, 0, sizeof(e));
	CHECK(!json_parse(arena, big, JSON_MAX_SIZE, &e));
	CHECK_INT(e.code, ENOMEM);
#else
	(void)none;
#endif
}

TEST(typed_access_names_key_and_expectation)
{
	const struct json *v =
		read_ok("{\"s\": 1, \"n\": \"x\", \"r\": 256, \"b\": {}, \"l\": [\"a\", 2]}");
	const char *const *list = NULL, *s = "before";
	uint64_t u = 7;
	int64_t i = 7;
	bool b = true;
	struct err e;

	CHECK_INT(json_string(json_get(v, "s"), &s, &e), -1);
	CHECK_STR(e.msg, "s: expected a string, not a number");
	CHECK_STR(s, "before");
	CHECK_INT(json_u64(json_get(v, "n"), 0, 9, &u, &e), -1);
	CHECK_STR(e.msg, "n: expected a number, not a string");
	CHECK_INT(json_u64(json_get(v, "r"), 1, 255, &u, &e), -1);
	CHECK_STR(e.msg, "r: expected a whole number from 1 to 255, not 256");
	CHECK_INT(json_i64(json_get(v, "r"), -1, 255, &i, &e), -1);
	CHECK_STR(e.msg, "r: expected a whole number from -1 to 255, not 256");
	CHECK_INT(json_bool(json_get(v, "b"), &b, &e), -1);
	CHECK_STR(e.msg, "b: expected a boolean, not an object");
	CHECK_INT(json_strings(json_get(v, "l"), arena, &list, NULL, &e), -1);
	CHECK_STR(e.msg, "l[1]: expected a string, not a number");
	CHECK_INT(json_strings(json_get(v, "b"), arena, &list, NULL, &e), -1);
	CHECK_INT(json_expect(json_get(v, "l"), JSON_OBJECT, &e), -1);
	CHECK_STR(e.msg, "l: expected an object, not an array");
	CHECK(u == 7 && i == 7 && b && !list);
}

TEST(typed_access_takes_absence_for_success)
{
	const char *const *list = NULL, *s = "before";
	uint64_t u = 7;
	int64_t i = 7;
	bool b = true;
	size_t n = 7;
	struct err e;

	CHECK_INT(json_string(NULL, &s, &e), 0);
	CHECK_INT(json_u64(NULL, 0, 1, &u, &e), 0);
	CHECK_INT(json_i64(NULL, 0, 1, &i, &e), 0);
	CHECK_INT(json_bool(NULL, &b, &e), 0);
	CHECK_INT(json_strings(NULL, NULL, &list, &n, &e), 0);
	CHECK_INT(json_expect(NULL, JSON_OBJECT, &e), 0);
	CHECK(u == 7 && i == 7 && b && n == 7 && !list);
	CHECK_STR(s, "before");
}

TEST(string_lists_end_with_null)
{
	const char *const *list = NULL;
	size_t n = 7;
	struct err e;

	CHECK_INT(json_strings(read_ok("[\"a\", \"\"]"), arena, &list, &n, &e), 0);
	CHECK_INT(n, 2);
	CHECK_STR(list[0], "a");
	CHECK_STR(list[1], "");
	CHECK(!list[2]);
	CHECK_INT(json_strings(read_ok("[]"), arena, &list, &n, &e), 0);
	CHECK_INT(n, 0);
	CHECK(!list[0]);
}

static const char *quoted(struct str *out, const char *s)
{
	out->len = 0;
	json_add_string(out, s);
	return str_text(out);
}

TEST(written_strings_are_escaped_and_valid)
{
	auto_str struct str out = { 0 };

	CHECK_STR(quoted(&out, ""), "\"\"");
	CHECK_STR(quoted(&out, "a\"b\\c/"), "\"a\\\"b\\\\c/\"");
	CHECK_STR(quoted(&out, "\b\f\n\r\t\x01\x1f\x7f"), "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
	CHECK_STR(quoted(&out, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
		  "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
	CHECK_STR(quoted(&out, "a\xff"), "\"a\xef\xbf\xbd\"");
	CHECK_STR(quoted(&out, "\xc3"), "\"\xef\xbf\xbd\"");		     /* cut off */
	CHECK_STR(quoted(&out, "\xc0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\""); /* too long a form */
	CHECK_STR(quoted(&out, "\xed\xa0\x80"),
		  "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* surrogate */
	CHECK_STR(
		quoted(&out, "\xe0\x80\x80\xf0\x80\x80\x80"),
		"\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	CHECK_STR(quoted(&out, "\xf4\x90\x80\x80x"),
		  "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx\""); /* above U+10FFFF */
	CHECK_STR(quoted(&out, "\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(what_is_written_reads_back)
{
	char s[256];
	auto_str struct str out = { 0 };

	for (int i = 1; i < 128; i++)
		s[i - 1] = (char)i;
	s[127] = '\0';
	CHECK_STR(read_ok(quoted(&out, s))->text, s);
}

static void write_sample(struct json_writer *w)
{
	const char *const list[] = { "a", "b", NULL }, *const none[] = { NULL };

	json_open(w, NULL, '{');
	json_put_string(w, "s", "x");
	json_put_string(w, "absent", NULL);
	json_put_strings(w, "absent", NULL);
	json_open(w, "l", '[');
	json_put_i64(w, NULL, INT64_MIN);
	json_put_u64(w, NULL, UINT64_MAX);
	json_put_bool(w, NULL, false);
	json_open(w, NULL, '{');
	json_close(w);
	json_close(w);
	json_put_strings(w, "v", list);
	json_put_strings(w, "n", none);
	json_put_number(w, "d", "12");
	json_put_bool(w, "b", true);
	json_close(w);
}

TEST(any_bytes_are_written_as_a_valid_string)
{
	auto_str struct str out = { 0 };
	char all[256];
	const char *text;

	for (int i = 1; i < 256; i++)
		all[i - 1] = (char)i;
	all[255] = '\0';
	text = read_ok(quoted(&out, all))->text;
	CHECK_INT(strncmp(text, all, 127), 0);
	CHECK_STR(text + 127 + 3 * 127, "\xef\xbf\xbd");
}

TEST(writer_is_compact_or_indented)
{
	auto_str struct str compact = { 0 }, indented = { 0 };
	struct json_writer w = { .out = &compact };

	write_sample(&w);
	CHECK_STR(str_text(&compact),
		  "{\"s\":\"x\",\"l\":[-9223372036854775808,18446744073709551615,false,{}],"
		  "\"v\":[\"a\",\"b\"],\"n\":[],\"d\":12,\"b\":true}");
	w = (struct json_writer){ .out = &indented, .indent = true };
	write_sample(&w);
	CHECK_STR(str_text(&indented), "{\n  \"s\": \"x\",\n  \"l\": [\n    -9223372036854775808,\n"
				       "    18446744073709551615,\n    false,\n    {}\n  ],\n"
				       "  \"v\": [\n    \"a\",\n    \"b\"\n  ],\n  \"n\": [],\n"
				       "  \"d\": 12,\n  \"b\": true\n}");
	read_ok(str_text(&indented));
}
