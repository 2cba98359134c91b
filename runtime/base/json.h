/*
 * json.h - JSON text to a tree in an arena, and back. The one home of yajl.
 *
 * The reader is strict where yajl alone is not: a document of at most JSON_MAX_SIZE bytes, nested at
 * most JSON_MAX_DEPTH deep, of at most JSON_MAX_NODES values; duplicate keys and embedded NULs are
 * refused, since two programs would read such a document differently; comments, trailing text, invalid
 * UTF-8 and half surrogate pairs are errors. Numbers keep their text, so that 18446744073709551615 (RLIM_INFINITY) survives.
 */
#ifndef CTR_JSON_H
#define CTR_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct str;

#define JSON_MAX_SIZE  (20u << 20)
#define JSON_MAX_DEPTH 64
#define JSON_MAX_NODES 1000000

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* Small on purpose: a fresh page of memory costs a process more than reading a hundred values into it. */
struct json {
	enum json_type type : 8;
	bool boolean;	 /* JSON_BOOL */
	unsigned count;	 /* number of children */
	const char *key; /* the member's name inside an object, else NULL */
	union {
		const char *text;   /* JSON_STRING, JSON_NUMBER: terminated */
		struct json *first; /* JSON_ARRAY, JSON_OBJECT: children in document order */
	};
	struct json *next; /* the sibling */
};

/*
 * Parses @len bytes of @text. The tree lives in @a. NULL and *e set on failure, with line and column.
 */
struct json *json_parse(struct arena *a, const char *text, size_t len, struct err *e);

/* The member @key of @object; NULL if absent, if it is null, or if @object is NULL or no object. */
const struct json *json_get(const struct json *object, const char *key);

/*
 * Typed access. Each takes NULL for "absent" and then leaves *out alone and returns 0. A wrong type or
 * range is -1 with *e naming the key and what was expected.
 */
int json_string(const struct json *v, const char **out, struct err *e);
int json_bool(const struct json *v, bool *out, struct err *e);
int json_u64(const struct json *v, uint64_t lo, uint64_t hi, uint64_t *out, struct err *e);
int json_i64(const struct json *v, int64_t lo, int64_t hi, int64_t *out, struct err *e);

/* An array of strings, copied as a NULL-terminated vector into @a; *n may be NULL. */
int json_strings(const struct json *v, struct arena *a, const char *const **out, size_t *n,
		 struct err *e);

/* "a string", "an array", ... for messages. */
const char *json_type_name(enum json_type type);

/* Checks that @v, if not NULL, is of @type. */
int json_expect(const struct json *v, enum json_type type, struct err *e);

/* Appends @s as a quoted, escaped JSON string; invalid UTF-8 becomes U+FFFD. */
void json_add_string(struct str *out, const char *s);

/*
 * A writer: `json_open(w, "key", '{')` ... `json_close(w)`. @key is NULL inside arrays and at the top.
 * Pretty-printed with two blanks when indent is set. Text is appended to `out`, whose `failed` says
 * at the end whether memory ran out.
 */
struct json_writer {
	struct str *out;
	bool indent;
	unsigned depth;
	bool comma;
	char closers[JSON_MAX_DEPTH + 1];
};

void json_open(struct json_writer *w, const char *key, char bracket);
void json_close(struct json_writer *w);
void json_put_string(struct json_writer *w, const char *key,
		     const char *value); /* NULL: left out */
void json_put_bool(struct json_writer *w, const char *key, bool value);
void json_put_i64(struct json_writer *w, const char *key, int64_t value);
void json_put_u64(struct json_writer *w, const char *key, uint64_t value);
void json_put_number(struct json_writer *w, const char *key, const char *digits); /* as it is */
void json_put_strings(struct json_writer *w, const char *key,
		      const char *const *v); /* NULL: left out */
void json_put(struct json_writer *w, const char *key,
	      const struct json *v); /* as it was read, whatever it is; NULL: left out */

#endif
