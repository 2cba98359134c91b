/*
 * str.h - text in memory: a growing buffer, comparison, and numbers parsed whole.
 */
#ifndef CTR_STR_H
#define CTR_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* What follows @prefix in @s, or NULL when @s does not begin with it. */
static inline const char *str_after(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

/*
 * A growing, always terminated buffer; all zero is empty. When memory is gone it stays as it was and
 * `failed` is set, so that a long text is written without a check a line and checked once at its end.
 */
struct str {
	char *s; /* NULL while empty */
	size_t len, size;
	bool failed;
};

void str_add(struct str *b, const char *s);
void str_add_n(struct str *b, const char *s, size_t n);
void str_addf(struct str *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline const char *str_text(const struct str *b)
{
	return b->s ? b->s : "";
}

void str_free(struct str *b);

#define auto_str __attribute__((cleanup(str_free)))

/*
 * Parse the whole of @s as a decimal number within [lo, hi]. 0, or -1 with *out untouched: for signs,
 * blanks, trailing text, an empty string and overflow too.
 */
int parse_u64(const char *s, uint64_t lo, uint64_t hi, uint64_t *out);
int parse_i64(const char *s, int64_t lo, int64_t hi, int64_t *out);

/* An octal file mode, at most 07777. */
int parse_mode(const char *s, unsigned *out);

/* Bytes: "65536", "512k", "512M", "1.5G", "2T", also with "iB" or "B"; powers of 1024. */
int parse_size(const char *s, uint64_t *out);

/*
 * "0-3,7" (cpuset(7), "List format") into a bit mask of @bits, which must be zero before. 0, or -1 for anything else, an
 * empty list and numbers of @bits and more included.
 */
int parse_bits(const char *s, unsigned long *mask, size_t bits);

#define CPUS_MAX 8192 /* NR_CPUS of the kernel's largest configurations, for masks of processors */

/* Prints @bytes for people: "1.4 MiB". @buf takes at least 16 bytes; returns @buf. */
char *format_size(uint64_t bytes, char *buf, size_t size);

/*
 * The entry of the NULL-terminated list @known nearest to @word (at most two edits away), or NULL:
 * for "did you mean".
 */
const char *str_nearest(const char *word, const char *const *known);

#endif
