/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h - between the person's terminal and a payload in the foreground.
 *
 * From the moment the payload runs until it ends: bytes both ways between the caller's standard streams and
 * the payload's pty, the window's size, and the signals that were meant for the payload. Without a pty
 * only the signals. Blocks signals for as long as it runs and takes them from a descriptor, so that the
 * terminal is set back on every way out; a payload must therefore be made before, or it would inherit
 * the mask.
 */
#ifndef CTR_CONSOLE_H
#define CTR_CONSOLE_H

#include <stdbool.h>

struct err;

struct console_options {
	int master;  /* of the payload's pty (or a socket that stands for it); -1: only signals */
	int in, out; /* the caller's, usually 0 and 1; -1: none */
	int typed;   /* where input goes, in place of `master`; 0: to that */
	bool raw;    /* the caller's terminal passes keys on as they are, though `master` is none */
	int pidfd;   /* of the payload; -1: the end of `master` is the end */
	const char *escape; /* keys that detach when typed in this order; NULL: none */
	int patience; /* after so many SIGINT or SIGTERM the payload is killed; 0: it decides itself */
	/* Instead of pidfd: tells a signal, or a window size, to whoever runs the payload. NULL: not so. */
	void (*signal)(void *arg, int sig);
	void (*resize)(void *arg, unsigned rows, unsigned columns);
	void *arg;
};

enum console_end { CONSOLE_ENDED, CONSOLE_DETACHED };

/*
 * Copies until the payload has ended and its last output is written (CONSOLE_ENDED; reap it after), or
 * until the escape keys were typed (CONSOLE_DETACHED). A caller whose output is gone hangs the terminal up,
 * as closing a window does. -1 and *e only if the loop cannot be set up. Descriptors stay the caller's, but
 * `master` becomes non-blocking.
 */
int console_proxy(const struct console_options *o, struct err *e);

/* The descriptor, of 0, 1 and 2, that is a terminal; -1 if none is. */
int console_find(void);

#endif
