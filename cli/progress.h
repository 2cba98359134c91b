/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - a line at the foot of the terminal while something takes long, and the key that ends it.
 *
 * The line appears on standard error if that is a terminal, and only after a while: what is done at once
 * draws nothing, and a pipe never sees any of it. Meanwhile SIGINT, SIGTERM and SIGHUP do not kill; they make
 * progress_image() answer "cancel", so that whoever works cleans up behind itself.
 */
#ifndef CTR_PROGRESS_H
#define CTR_PROGRESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct image_progress;

#define PROGRESS_SIGNALS 3

struct progress {
	const char *what; /* "importing": borrowed */
	bool terminal, drawn;
	struct timespec began, last;
	double rate; /* bytes a second, smoothed */
	uint64_t last_bytes;
	struct sigaction before[PROGRESS_SIGNALS];
};

/* One at a time. @what is the verb of the line. */
void progress_start(struct progress *p, const char *what);

/* Clears the line and gives the signals back. Twice is harmless. */
void progress_stop(struct progress *p);

/* A signal asked for the end. */
bool progress_cancelled(void);

/* For image_import_options.progress; @arg is the struct progress. */
bool progress_image(void *arg, const struct image_progress *i);

#endif
