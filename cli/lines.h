/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines.h - files of lines that others append to and rotate, read line by line.
 */
#ifndef CTR_LINES_H
#define CTR_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct err;

#define LINES_MAX 8192 /* bytes of a line; a longer one is none of ours, and passed over */

struct lines {
	int fd;	   /* -1: none */
	int error; /* an errno: not everything could be read */
	char buf[65536];
	size_t begin, end;
};

/* Opens @name in @dir. That there is none is no error: then there are no lines. */
void lines_open(struct lines *l, int dir, const char *name);
void lines_close(struct lines *l);

/* The next line, without its newline, valid until the next call; NULL: none that is whole, for now. */
const char *lines_next(struct lines *l, size_t *len);

/* Whether @name is another file now than the one that is read: it was rotated. */
bool lines_rotated(const struct lines *l, int dir, const char *name);

/*
 * An inotify descriptor that becomes readable when something in the directory @dir changes, non-blocking; -1 and *e,
 * where @what is said to be what cannot be watched.
 */
int lines_watch(int dir, const char *what, struct err *e);

/* Reads away what the descriptor has to tell. */
void lines_drain(int watch);

#endif
