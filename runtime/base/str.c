#include "runtime/base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#define FIRST_SIZE 2032 /* with musl's own bytes half a page */

/* The last one of that size that was given back, for the next: with musl each would be mapped, faulted in and unmapped. */
static _Atomic(char *) spare;

void str_free(struct str *b)
{
	free(b->size == FIRST_SIZE ? atomic_exchange(&spare, b->s) : b->s);
	*b = (struct str){ 0 };
}

static bool str_reserve(struct str *b, size_t extra)
{
	size_t need = b->len + extra + 1, size = b->size ? b->size : FIRST_SIZE;
	char *s = NULL;

	if (b->failed)
		return false;
	if (need <= b->size)
		return true;
	while (size < need)
		size *= 2;
	if (size == FIRST_SIZE)
		s = atomic_exchange(&spare, NULL);
	if (!s)
		s = realloc(b->s, size);
	if (!s) {
		b->failed = true;
		return false;
	}
	b->s = s;
	b->size = size;
	return true;
}

void str_add_n(struct str *b, const char *s, size_t n)
{
	if (!str_reserve(b, n))
		return;
	memcpy(b->s + b->len, s, n);
	b->len += n;
	b->s[b->len] = '\0';
}

void str_add(struct str *b, const char *s)
{
	str_add_n(b, s, strlen(s));
}

void str_addf(struct str *b, const char *fmt, ...)
{
	va_list ap;
	size_t room;
	int n;

	if (!str_reserve(b, 0))
		return;
	room = b->size - b->len;
	va_start(ap, fmt);
	n = vsnprintf(b->s + b->len, room, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n >= room) {
		b->s[b->len] = '\0';
		if (!str_reserve(b, (size_t)n))
			return;
		va_start(ap, fmt);
		vsnprintf(b->s + b->len, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	if (n >= 0)
		b->len += (size_t)n;
	b->s[b->len] = '\0';
}

int parse_u64(const char *s, uint64_t lo, uint64_t hi, uint64_t *out)
{
	unsigned long long v;
	char *end;

	if (*s < '0' || *s > '9') /* strtoull would take blanks and signs */
		return -1;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno || *end || v < lo || v > hi)
		return -1;
	*out = v;
	return 0;
}

int parse_i64(const char *s, int64_t lo, int64_t hi, int64_t *out)
{
	const char *digits = *s == '-' ? s + 1 : s;
	long long v;
	char *end;

	if (*digits < '0' || *digits > '9')
		return -1;
	errno = 0;
	v = strtoll(s, &end, 10);
	if (errno || *end || v < lo || v > hi)
		return -1;
	*out = v;
	return 0;
}

int parse_mode(const char *s, unsigned *out)
{
	unsigned v = 0;

	if (!*s)
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '7' || v > 07777 / 8)
			return -1;
		v = v * 8 + (unsigned)(*s - '0');
	}
	*out = v;
	return 0;
}

int parse_size(const char *s, uint64_t *out)
{
	static const char units[] = "kmgtp";
	uint64_t whole = 0, frac = 0, scale = 1, unit = 1, v;
	const char *u;

	if (*s < '0' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, (uint64_t)(*s - '0'), &whole))
			return -1;
	if (*s == '.') {
		if (s[1] < '0' || s[1] > '9')
			return -1;
		for (s++; *s >= '0' && *s <= '9'; s++)
			if (scale <
			    1000000) { /* finer digits cannot matter to a byte of a terabyte */
				frac = frac * 10 + (uint64_t)(*s - '0');
				scale *= 10;
			}
	}
	u = *s ? strchr(units, *s | 0x20) : NULL;
	if (u && *u) {
		unit = 1ULL << (10 * (u - units + 1));
		s++;
		if (*s == 'i')
			s++;
	}
	if (*s == 'B' || *s == 'b')
		s++;
	if (*s || __builtin_mul_overflow(whole, unit, &v) ||
	    __builtin_add_overflow(v, (uint64_t)((__uint128_t)unit * frac / scale), &v))
		return -1;
	*out = v;
	return 0;
}

int parse_bits(const char *s, unsigned long *mask, size_t bits)
{
	const size_t word = 8 * sizeof(*mask);

	for (;;) {
		char number[24];
		size_t len = strcspn(s, ",-");
		uint64_t first, last;

		if (len >= sizeof(number))
			return -1;
		memcpy(number, s, len);
		number[len] = '\0';
		if (parse_u64(number, 0, bits - 1, &first) < 0)
			return -1;
		last = first;
		s += len;
		if (*s == '-') {
			len = strcspn(++s, ",");
			if (len >= sizeof(number))
				return -1;
			memcpy(number, s, len);
			number[len] = '\0';
			if (parse_u64(number, first, bits - 1, &last) < 0)
				return -1;
			s += len;
		}
		for (; first <= last; first++)
			mask[first / word] |= 1ul << first % word;
		if (!*s)
			return 0;
		s++;
	}
}

char *format_size(uint64_t bytes, char *buf, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)bytes;
	unsigned i = 0;

	while (v >= 1024 && i < 6) {
		v /= 1024;
		i++;
	}
	snprintf(buf, size, v < 10 && i ? "%.1f %s" : "%.0f %s", v, units[i]);
	return buf;
}

/* Levenshtein's distance, given up as soon as it must exceed @max. */
static unsigned edits(const char *a, const char *b, unsigned max)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned row[64];

	if (la >= 64 || lb >= 64)
		return max + 1;
	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[lb];
}

const char *str_nearest(const char *word, const char *const *known)
{
	const char *best = NULL;
	unsigned best_edits = 3;

	for (; *known; known++) {
		unsigned n = edits(word, *known, 2);

		if (n < best_edits && n < strlen(*known)) {
			best = *known;
			best_edits = n;
		}
	}
	return best;
}
