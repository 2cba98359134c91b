/*
 * arena.h - memory that is given back all at once.
 *
 * A spec, a plan or a JSON tree is many small strings and arrays with one lifetime; each owns an arena
 * and frees that. The first block is part of the struct's own allocation, so a small document costs
 * one malloc.
 */
#ifndef CTR_ARENA_H
#define CTR_ARENA_H

#include <stddef.h>

struct arena;

/* An empty arena that will hold @limit bytes at most (0: no limit). NULL when memory is gone. */
struct arena *arena_new(size_t limit);

/* Frees the arena and all that was allocated from it. NULL is accepted. */
void arena_free(struct arena *a);

/* @size zeroed bytes, aligned for any type. NULL when memory is gone or the limit is reached. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((malloc));

/* The same for @n elements of @size bytes; NULL also when the product overflows. */
void *arena_array(struct arena *a, size_t n, size_t size) __attribute__((malloc));

/* A terminated copy of @len bytes of @s. */
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline void own_arena(struct arena **a)
{
	arena_free(*a);
}

#define auto_arena __attribute__((cleanup(own_arena)))

#endif
