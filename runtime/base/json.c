/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/json.h"

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"

/*
 * yajl does not look at what its allocator returns. So the allocator below never returns NULL: it leaves by
 * longjmp(), and gives out memory of its own that is dropped as a whole afterwards. What an ordinary document
 * needs (the parser, its 2 KiB buffer for strings with escapes) fits into `first`, on the stack.
 */
#define POOL_FIRST 4096
#define POOL_MAX   (4 * (size_t)JSON_MAX_SIZE) /* two buffers of yajl's, each doubled until it fits */

struct pool {
	struct arena *more;
	jmp_buf no_memory;
	size_t used;
	_Alignas(max_align_t) char first[POOL_FIRST];
};

struct pool_header {
	_Alignas(max_align_t) size_t size;
};

/* Side by side, so that the strings between them need no padding. */
#define NODES_AT_ONCE 16

/* Objects of more members than this are checked for duplicate keys once, by sorting, when they end. */
#define FEW_KEYS 16

struct parser {
	struct arena *arena;
	struct pool *pool;
	struct err *e;
	bool failed; /* *e is set by a callback */
	const char *text;
	size_t len;
	yajl_handle yajl;
	size_t nodes;
	struct json *spare; /* n_spare of them, to be handed out */
	unsigned n_spare;
	struct json *root;
	const char *key; /* of the member whose value comes next */
	unsigned depth;
	struct {
		struct json *node, *last;
	} open[JSON_MAX_DEPTH];
};

static void *pool_alloc(void *ctx, size_t size)
{
	struct pool *p = ctx;
	size_t need = (size + sizeof(struct pool_header) + 15) & ~(size_t)15;
	struct pool_header *h;

	if (size > POOL_MAX)
		longjmp(p->no_memory, 1);
	if (need <= POOL_FIRST - p->used) {
		h = (struct pool_header *)(p->first + p->used);
		p->used += need;
	} else {
		if (!p->more)
			p->more = arena_new(POOL_MAX);
		h = p->more ? arena_alloc(p->more, need) : NULL;
		if (!h)
			longjmp(p->no_memory, 1);
	}
	h->size = size;
	return h + 1;
}

static void *pool_realloc(void *ctx, void *old, size_t size)
{
	size_t had = old ? ((struct pool_header *)old)[-1].size : 0;
	void *new;

	if (old && size <= had)
		return old;
	new = pool_alloc(ctx, size);
	if (had)
		memcpy(new, old, had);
	return new;
}

static void pool_free(void *ctx, void *p)
{
	(void)ctx;
	(void)p; /* all at once, by pool_drop() */
}

static void pool_drop(struct pool *p)
{
	arena_free(p->more);
}

/* Sets the error at @offset of the text, for people: line and column count from 1, columns in bytes. */
__attribute__((format(printf, 3, 4))) static int fail_at(struct parser *p, size_t offset,
							 const char *fmt, ...)
{
	size_t line = 1, column = 1;
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	for (char *c = what; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	for (size_t i = 0; i < offset && i < p->len; i++) {
		column++;
		if (p->text[i] == '\n') {
			line++;
			column = 1;
		}
	}
	p->failed = true;
	return err_set(p->e, ERR_INVALID, "line %zu, column %zu: %s", line, column, what);
}

/* The last byte that yajl has read: the end of the token that is wrong. */
static size_t here(const struct parser *p)
{
	size_t n = yajl_get_bytes_consumed(p->yajl);

	return n ? n - 1 : 0;
}

/* For callbacks, which cancel the parse by returning 0. */
#define CANCEL(p, ...) (fail_at(p, here(p), __VA_ARGS__), 0)

static int no_memory(struct parser *p)
{
	p->failed = true;
	err_set(p->e, ENOMEM, "cannot read a JSON text of %zu bytes", p->len);
	return 0;
}

static struct json *add(struct parser *p, enum json_type type)
{
	struct json *node;

	if (++p->nodes > JSON_MAX_NODES) {
		(void)CANCEL(p, "more than %d values", JSON_MAX_NODES);
		return NULL;
	}
	if (!p->n_spare) {
		p->spare = arena_array(p->arena, NODES_AT_ONCE, sizeof(*node));
		if (!p->spare) {
			no_memory(p);
			return NULL;
		}
		p->n_spare = NODES_AT_ONCE;
	}
	node = p->spare++;
	p->n_spare--;
	node->type = type;
	if (!p->depth) {
		p->root = node;
		return node;
	}
	node->key = p->key;
	p->key = NULL;
	if (p->open[p->depth - 1].last)
		p->open[p->depth - 1].last->next = node;
	else
		p->open[p->depth - 1].node->first = node;
	p->open[p->depth - 1].last = node;
	p->open[p->depth - 1].node->count++;
	return node;
}

static int on_null(void *ctx)
{
	return add(ctx, JSON_NULL) != NULL;
}

static int on_bool(void *ctx, int value)
{
	struct json *node = add(ctx, JSON_BOOL);

	if (node)
		node->boolean = value;
	return node != NULL;
}

/* The length of the valid UTF-8 sequence at @s (RFC 3629: shortest form, no surrogates), or 0. */
static size_t utf8_length(const unsigned char *s)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (s[0] == 0xe0)
		lo = 0xa0;
	else if (s[0] == 0xed)
		hi = 0x9f;
	else if (s[0] == 0xf0)
		lo = 0x90;
	else if (s[0] == 0xf4)
		hi = 0x8f;
	if (s[1] < lo || s[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

static int add_text(struct parser *p, enum json_type type, const char *s, size_t len)
{
	struct json *node = add(p, type);

	if (!node)
		return 0;
	node->text = arena_strndup(p->arena, s, len);
	return node->text ? 1 : no_memory(p);
}

static int on_number(void *ctx, const char *s, size_t len)
{
	return add_text(ctx, JSON_NUMBER, s, len);
}

static int on_string(void *ctx, const unsigned char *s, size_t len)
{
	return add_text(ctx, JSON_STRING, (const char *)s, len);
}

static int on_key(void *ctx, const unsigned char *s, size_t len)
{
	struct parser *p = ctx;
	const struct json *object = p->open[p->depth - 1].node;

	p->key = arena_strndup(p->arena, (const char *)s, len);
	if (!p->key)
		return no_memory(p);
	if (object->count < FEW_KEYS)
		for (const struct json *m = object->first; m; m = m->next)
			if (streq(m->key, p->key))
				return CANCEL(p, "duplicate key '%.100s'", p->key);
	return 1;
}

static int open_node(struct parser *p, enum json_type type)
{
	struct json *node;

	if (p->depth == JSON_MAX_DEPTH)
		return CANCEL(p, "nested more than %d levels deep", JSON_MAX_DEPTH);
	node = add(p, type);
	if (!node)
		return 0;
	p->open[p->depth].node = node;
	p->open[p->depth].last = NULL;
	p->depth++;
	return 1;
}

static int on_open_object(void *ctx)
{
	return open_node(ctx, JSON_OBJECT);
}

static int on_open_array(void *ctx)
{
	return open_node(ctx, JSON_ARRAY);
}

static int on_close_array(void *ctx)
{
	((struct parser *)ctx)->depth--;
	return 1;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int on_close_object(void *ctx)
{
	struct parser *p = ctx;
	const struct json *object = p->open[--p->depth].node;
	auto_free const char **keys = NULL;
	size_t n = 0;

	if (object->count <= FEW_KEYS)
		return 1;
	keys = calloc(object->count, sizeof(*keys));
	if (!keys)
		return no_memory(p);
	for (const struct json *m = object->first; m; m = m->next)
		keys[n++] = m->key;
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (size_t i = 1; i < n; i++)
		if (streq(keys[i - 1], keys[i]))
			return CANCEL(p, "duplicate key '%.100s' in the object that ends here",
				      keys[i]);
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_bool,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_open_object,
	.yajl_map_key = on_key,
	.yajl_end_map = on_close_object,
	.yajl_start_array = on_open_array,
	.yajl_end_array = on_close_array,
};

static int hex4(const char *s, const char *end)
{
	int v = 0;

	if (end - s < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = s[i];

		if (c >= '0' && c <= '9')
			v = v * 16 + (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v * 16 + ((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	return v;
}

/*
 * yajl's own check passes overlong sequences and encoded surrogates: "\xc0\x80" would be a second way to write NUL.
 * All that is not ASCII must be inside strings, so the text is checked as a whole, eight bytes at a time, and
 * yajl's check is turned off.
 */
static int check_utf8(struct parser *p)
{
	const char *s = p->text, *end = s + p->len;

	while (s < end) {
		unsigned char sequence[4] = { 0 };
		uint64_t word;
		size_t n;

		if (end - s >= (ptrdiff_t)sizeof(word)) {
			memcpy(&word, s, sizeof(word));
			if (!(word & 0x8080808080808080)) {
				s += sizeof(word);
				continue;
			}
		}
		memcpy(sequence, s, end - s < 4 ? (size_t)(end - s) : 4);
		n = utf8_length(sequence);
		if (!n || n > (size_t)(end - s))
			return fail_at(p, (size_t)(s - p->text), "invalid UTF-8");
		s += n;
	}
	return 0;
}

/*
 * Looks at the escapes before yajl does: it would pass an embedded NUL on (the C string then ends early, while
 * another program sees all of it), and turn half a surrogate pair into bytes that are no UTF-8. A backslash is
 * valid inside strings only, so the text need not be split into tokens for that.
 */
static int check_escapes(struct parser *p)
{
	const char *end = p->text + p->len, *s = p->text;

	while ((s = memchr(s, '\\', (size_t)(end - s)))) {
		int first, second = -1;

		if (end - s < 2)
			break;
		if (s[1] != 'u') {
			s += 2;
			continue;
		}
		first = hex4(s + 2, end);
		if (first < 0)
			break; /* yajl says what is wrong */
		if (first == 0)
			return fail_at(p, (size_t)(s - p->text), "a string holds a NUL character");
		if (first >= 0xd800 && first < 0xdc00 && end - s >= 8 && s[6] == '\\' &&
		    s[7] == 'u')
			second = hex4(s + 8, end);
		if (first >= 0xd800 && first < 0xe000 &&
		    (first >= 0xdc00 || second < 0xdc00 || second >= 0xe000))
			return fail_at(p, (size_t)(s - p->text), "half of a UTF-16 surrogate pair");
		s += second < 0 ? 6 : 12;
	}
	return 0;
}

/*
 * yajl's words, where they are not clear or not one line, and whether it has consumed what is wrong: its parser
 * has, its lexer mostly puts the character that does not fit back.
 */
static const struct {
	const char *yajl, *ours;
	bool consumed;
} complaints[] = {
	{ "premature EOF", "unexpected end of the text", true },
	{ "trailing garbage", "expected the end of the text", true },
	{ "unallowed token at this point", "expected a value", true },
	{ "separated by a colon", "expected ':' after the key", true },
	{ "I expect ',' or '}'", "expected ',' or '}'", true },
	{ "I expect ',' or ']'", "expected ',' or ']'", true },
	{ "invalid object key", "expected a string as key", true },
	{ "'\\' occurs before", "unknown escape in a string", false },
	{ "invalid character inside string", "control character in a string", false },
	{ "non-hex", "expected four hexadecimal digits after '\\u'", false },
	{ "after the decimal point", "expected a digit after the decimal point", false },
	{ "after the exponent", "expected a digit after the exponent", false },
	{ "after the minus sign", "expected a digit after the minus sign", false },
	{ "comments are not enabled", "comments are not allowed", false },
	{ "invalid char in json", "unexpected character", true },
	{ "invalid string in json", "expected 'true', 'false' or 'null'", false },
};

static void complain(struct parser *p, bool at_end)
{
	const char *text = (const char *)yajl_get_error(p->yajl, 0, NULL, 0);
	size_t offset = yajl_get_bytes_consumed(p->yajl);

	for (size_t i = 0; i < sizeof(complaints) / sizeof(*complaints); i++) {
		if (!strstr(text, complaints[i].yajl))
			continue;
		if (complaints[i].consumed)
			offset = here(p);
		(void)fail_at(p, at_end ? p->len : offset, "%s", complaints[i].ours);
		return;
	}
	(void)fail_at(p, at_end ? p->len : offset, "%.*s", (int)strcspn(text, "\n"), text);
}

/* Not inlined: setjmp() must not share a frame with variables that change. */
__attribute__((noinline)) static int run_yajl(struct parser *p)
{
	yajl_alloc_funcs funcs = { pool_alloc, pool_realloc, pool_free, p->pool };
	yajl_status status;
	bool at_end = false;

	p->yajl = yajl_alloc(&callbacks, &funcs, p);
	yajl_config(p->yajl, yajl_dont_validate_strings, 1); /* check_utf8() did */
	status = yajl_parse(p->yajl, (const unsigned char *)p->text, p->len);
	if (status == yajl_status_ok) {
		at_end = true;
		status = yajl_complete_parse(p->yajl);
	}
	if (status == yajl_status_ok)
		return 0;
	if (!p->failed)
		complain(p, at_end);
	return -1;
}

struct json *json_parse(struct arena *a, const char *text, size_t len, struct err *e)
{
	struct pool pool;
	struct parser p = { .arena = a, .pool = &pool, .e = e, .text = text, .len = len };
	volatile int result = -1;

	pool.more = NULL;
	pool.used = 0;
	if (len > JSON_MAX_SIZE) {
		err_set(e, ERR_INVALID, "%zu bytes of JSON: more than %u MiB", len,
			JSON_MAX_SIZE >> 20);
		return NULL;
	}
	if (check_utf8(&p) < 0 || check_escapes(&p) < 0)
		return NULL;
	if (setjmp(pool.no_memory) == 0)
		result = run_yajl(&p);
	else
		no_memory(&p);
	pool_drop(&pool);
	return result == 0 ? p.root : NULL;
}

const struct json *json_get(const struct json *object, const char *key)
{
	if (!object || object->type != JSON_OBJECT)
		return NULL;
	for (const struct json *m = object->first; m; m = m->next)
		if (streq(m->key, key))
			return m->type == JSON_NULL ? NULL : m;
	return NULL;
}

const char *json_type_name(enum json_type type)
{
	static const char *const names[] = {
		[JSON_NULL] = "null",	    [JSON_BOOL] = "a boolean", [JSON_NUMBER] = "a number",
		[JSON_STRING] = "a string", [JSON_ARRAY] = "an array", [JSON_OBJECT] = "an object",
	};

	return names[type];
}

int json_expect(const struct json *v, enum json_type type, struct err *e)
{
	if (!v || v->type == type)
		return 0;
	return err_set(e, ERR_INVALID, "%.100s%sexpected %s, not %s", v->key ? v->key : "",
		       v->key ? ": " : "", json_type_name(type), json_type_name(v->type));
}

int json_string(const struct json *v, const char **out, struct err *e)
{
	if (json_expect(v, JSON_STRING, e) < 0)
		return -1;
	if (v)
		*out = v->text;
	return 0;
}

int json_bool(const struct json *v, bool *out, struct err *e)
{
	if (json_expect(v, JSON_BOOL, e) < 0)
		return -1;
	if (v)
		*out = v->boolean;
	return 0;
}

int json_u64(const struct json *v, uint64_t lo, uint64_t hi, uint64_t *out, struct err *e)
{
	if (json_expect(v, JSON_NUMBER, e) < 0)
		return -1;
	if (v && parse_u64(v->text, lo, hi, out) < 0)
		return err_set(e, ERR_INVALID,
			       "%.100s%sexpected a whole number from %llu to %llu, not %.40s",
			       v->key ? v->key : "", v->key ? ": " : "", (unsigned long long)lo,
			       (unsigned long long)hi, v->text);
	return 0;
}

int json_i64(const struct json *v, int64_t lo, int64_t hi, int64_t *out, struct err *e)
{
	if (json_expect(v, JSON_NUMBER, e) < 0)
		return -1;
	if (v && parse_i64(v->text, lo, hi, out) < 0)
		return err_set(e, ERR_INVALID,
			       "%.100s%sexpected a whole number from %lld to %lld, not %.40s",
			       v->key ? v->key : "", v->key ? ": " : "", (long long)lo,
			       (long long)hi, v->text);
	return 0;
}

int json_strings(const struct json *v, struct arena *a, const char *const **out, size_t *n,
		 struct err *e)
{
	const char **list;
	size_t i = 0;

	if (!v)
		return 0;
	if (json_expect(v, JSON_ARRAY, e) < 0)
		return -1;
	list = arena_array(a, v->count + 1, sizeof(*list));
	if (!list)
		return err_set(e, ENOMEM, "cannot keep an array of %u strings", v->count);
	for (const struct json *m = v->first; m; m = m->next) {
		if (json_expect(m, JSON_STRING, e) < 0)
			return err_in(e, "%.100s[%zu]", v->key ? v->key : "", i);
		list[i++] = m->text;
	}
	*out = list;
	if (n)
		*n = v->count;
	return 0;
}

void json_add_string(struct str *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text, *plain = s;
	static const char shorts[32] = {
		['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'
	};

	str_add_n(out, "\"", 1);
	while (*s) {
		size_t n = utf8_length(s);

		if (n && *s >= ' ' && *s != '"' && *s != '\\') {
			s += n;
			continue;
		}
		str_add_n(out, (const char *)plain, (size_t)(s - plain));
		if (!n)
			str_add(out, "\xef\xbf\xbd");
		else if (*s >= ' ')
			str_add_n(out, (const char[]){ '\\', (char)*s }, 2);
		else if (shorts[*s])
			str_add_n(out, (const char[]){ '\\', shorts[*s] }, 2);
		else
			str_addf(out, "\\u%04x", *s);
		plain = ++s;
	}
	str_add_n(out, (const char *)plain, (size_t)(s - plain));
	str_add_n(out, "\"", 1);
}

static void new_line(struct json_writer *w)
{
	if (!w->indent)
		return;
	str_add_n(w->out, "\n", 1);
	for (unsigned i = 0; i < w->depth; i++)
		str_add_n(w->out, "  ", 2);
}

/* What stands in front of each value: a comma, a new line, the key. */
static void before_value(struct json_writer *w, const char *key)
{
	if (w->comma)
		str_add_n(w->out, ",", 1);
	if (w->depth)
		new_line(w);
	w->comma = true;
	if (!key)
		return;
	json_add_string(w->out, key);
	str_add(w->out, w->indent ? ": " : ":");
}

void json_open(struct json_writer *w, const char *key, char bracket)
{
	assert(w->depth < JSON_MAX_DEPTH);
	before_value(w, key);
	str_add_n(w->out, &bracket, 1);
	w->closers[w->depth++] = bracket == '{' ? '}' : ']';
	w->comma = false;
}

void json_close(struct json_writer *w)
{
	assert(w->depth > 0);
	w->depth--;
	if (w->comma) /* it has members: an empty one closes on its own line */
		new_line(w);
	str_add_n(w->out, &w->closers[w->depth], 1);
	w->comma = true;
}

void json_put_string(struct json_writer *w, const char *key, const char *value)
{
	if (!value)
		return;
	before_value(w, key);
	json_add_string(w->out, value);
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
	before_value(w, key);
	str_add(w->out, value ? "true" : "false");
}

void json_put_i64(struct json_writer *w, const char *key, int64_t value)
{
	before_value(w, key);
	str_addf(w->out, "%lld", (long long)value);
}

void json_put_u64(struct json_writer *w, const char *key, uint64_t value)
{
	before_value(w, key);
	str_addf(w->out, "%llu", (unsigned long long)value);
}

void json_put_number(struct json_writer *w, const char *key, const char *digits)
{
	before_value(w, key);
	str_add(w->out, digits);
}

void json_put_strings(struct json_writer *w, const char *key, const char *const *v)
{
	if (!v)
		return;
	json_open(w, key, '[');
	for (; *v; v++)
		json_put_string(w, NULL, *v);
	json_close(w);
}

void json_put(struct json_writer *w, const char *key, const struct json *v)
{
	if (!v)
		return;
	switch (v->type) {
	case JSON_NULL:
		json_put_number(w, key, "null");
		break;
	case JSON_BOOL:
		json_put_bool(w, key, v->boolean);
		break;
	case JSON_NUMBER:
		json_put_number(w, key, v->text);
		break;
	case JSON_STRING:
		json_put_string(w, key, v->text);
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		json_open(w, key, v->type == JSON_ARRAY ? '[' : '{');
		for (const struct json *m = v->first; m; m = m->next)
			json_put(w, v->type == JSON_ARRAY ? NULL : m->key, m);
		json_close(w);
		break;
	}
}
