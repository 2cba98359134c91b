/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec_oci.h - config.json as rows: what spec_oci.c reads and spec_oci_dump.c writes from the same tables.
 * Private to the spec_oci_*.c files.
 *
 * A member of an OCI object is a row: its key, how it is stored, where, and what it may be. An object is a
 * list of rows, what its struct holds before it is read, and a check of what rows cannot say. Reading takes
 * null for "not given", as Go's decoder does, and the empty string too: callers written in Go leave out what
 * is empty or write it, as it happens.
 */
#ifndef CTR_SPEC_OCI_H
#define CTR_SPEC_OCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct json;
struct name_value;

/* Where the reader stands, from the innermost member outwards; lives on the reader's stack. */
struct place {
	const struct place *up;
	const char *key; /* of a member, or NULL: element @index of an array */
	size_t index;
	bool quoted; /* the key is the document's own word, as in annotations */
};

struct reader {
	struct arena *arena;
	const char *bundle; /* NULL: relative paths stay as they are */
	struct err *e;
	const struct place *place;
};

/* Sets "<place>: <message>" as one line; always -1. */
int reader_fail(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same about member @key of the object being read. */
int reader_fail_in(struct reader *r, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

enum field_type {
	F_STRING,    /* const char *; check() may refuse it */
	F_WORD,	     /* const char *, a name of `names` */
	F_NUMBER_OF, /* int: the number that `names` gives the word */
	F_LETTER,    /* char, one of `letters` */
	F_BOOL,
	F_U32,
	F_I32,
	F_U64,
	F_I64,
	F_OPT_U64,
	F_OPT_I64,
	F_DECIMAL, /* const char *: an unsigned number, kept as text */
	F_STRINGS, /* const char *const *, each one checked; `names` or check() may restrict them */
	F_U32S,	   /* uint32_t * and its count */
	F_OBJECT,  /* a struct inside this one, or a part of it */
	F_POINTER, /* a pointer to a struct */
	F_LIST,	   /* an array of structs and its count */
	F_KEYED, /* an object whose values become structs that begin with their key, and its count */
	F_PAIRS,  /* struct key_value * and its count; check() may restrict keys */
	F_CAPS,	  /* uint64_t, a set of capabilities */
	F_ACCESS, /* unsigned, DEVICE_* as letters */
};

enum {
	REQUIRED = 1, /* an error if absent; always written */
	ALWAYS = 2,   /* always written, even when it is 0 */
	FILLED = 4,   /* a list must not be empty */
	INLINE = 8,   /* F_LIST: the array is part of the struct and takes `max` elements */
};

#define NOWHERE ((size_t)-1)

struct field {
	const char *key;
	enum field_type type;
	unsigned flags;
	size_t at;   /* offset of the value */
	size_t aux;  /* offset of the count, or of the bool that says "given" */
	size_t size; /* of one struct, for lists and pointers */
	size_t max;  /* INLINE */
	int64_t lo;  /* numbers: the range; 0 and 0 is all that the type holds */
	uint64_t hi;
	const struct object *object;
	const struct name_value *names;
	const char *what; /* what `names` or `letters` are, for messages */
	const char *letters;
	int (*check)(struct reader *r, const char *s);
};

struct object {
	const struct field *fields; /* ends with a key of NULL; at most 64 */
	const void *initial;	    /* what the struct is before it is read; NULL: zero */
	int (*check)(struct reader *r, void *base);
};

extern const struct object oci_spec;	  /* base: struct spec */
extern const struct object oci_process;	  /* base: struct process_spec */
extern const struct object oci_resources; /* base: struct resources_spec */

#endif
