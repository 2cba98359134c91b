#include "runtime/base/arena.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is not touched costs no memory, and musl maps each block by a system call of its own. */
#define BLOCK_SIZE (64 * 1024)
#define ALIGN	   _Alignof(max_align_t)

struct block {
	struct block *next;
	size_t used, size;
	_Alignas(max_align_t) char data[];
};

struct arena {
	struct block *blocks; /* the newest first: only it is filled */
	size_t total, limit;
};

/*
 * The last one that was given back, for the next arena: most live as long as one file is looked at, and with musl each would be mapped,
 * faulted in and unmapped.
 */
static _Atomic(struct block *) spare;

static void block_free(struct block *b)
{
	free(b->size == BLOCK_SIZE ? atomic_exchange(&spare, b) : b);
}

static struct block *block_new(size_t size)
{
	struct block *b = size == BLOCK_SIZE ? atomic_exchange(&spare, NULL) : NULL;

	if (!b)
		b = malloc(sizeof(*b) + size);
	if (b) {
		b->next = NULL;
		b->used = 0;
		b->size = size;
	}
	return b;
}

struct arena *arena_new(size_t limit)
{
	struct block *b = block_new(BLOCK_SIZE);
	struct arena *a;

	if (!b)
		return NULL;
	a = (struct arena *)b->data;
	b->used = (sizeof(*a) + ALIGN - 1) & ~(ALIGN - 1);
	a->blocks = b;
	a->total = b->used;
	a->limit = limit ? limit : SIZE_MAX;
	return a;
}

void arena_free(struct arena *a)
{
	struct block *b = a ? a->blocks : NULL;

	while (b) { /* the oldest, which holds the arena itself, comes last */
		struct block *next = b->next;

		block_free(b);
		b = next;
	}
}

/* @size bytes, not zeroed. @align is a power of two: 1 for text, which is packed. */
static void *carve(struct arena *a, size_t size, size_t align)
{
	struct block *b = a->blocks;
	size_t padding = -b->used & (align - 1), left = a->limit - a->total;
	void *p;

	if (size > SIZE_MAX / 2 || size > left || padding > left - size)
		return NULL;
	if (size + padding > b->size - b->used) {
		b = block_new(size > BLOCK_SIZE ? size : BLOCK_SIZE);
		if (!b)
			return NULL;
		b->next = a->blocks;
		a->blocks = b;
		padding = 0;
	}
	p = b->data + b->used + padding;
	b->used += padding + size;
	a->total += padding + size;
	return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
	void *p = carve(a, size, ALIGN);

	return p ? memset(p, 0, size) : NULL;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) ? NULL : arena_alloc(a, bytes);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *p = len < SIZE_MAX ? carve(a, len + 1, 1) : NULL;

	if (!p)
		return NULL;
	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !(p = carve(a, (size_t)n + 1, 1)))
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}
