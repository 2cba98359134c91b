/* SPDX-License-Identifier: Apache-2.0 */
/*
 * when.h - points in time as a person gives them.
 */
#ifndef CTR_WHEN_H
#define CTR_WHEN_H

#include <stdbool.h>
#include <stdint.h>

struct err;

struct when {
	bool set;
	int64_t seconds; /* since 1970 */
	uint32_t nanoseconds;
};

/*
 * Reads what @option was given: "2026-11-21T08:00:00Z", or an age: "90s", "10m", "2h", "7d" ago. NULL leaves *w alone.
 * 0, or -1 and *e (ERR_USAGE).
 */
int when_parse(const char *text, const char *option, struct when *w, struct err *e);

/* Whether a point in time lies within [since, until); bounds that are not set do not bound. */
bool when_within(int64_t seconds, uint32_t nanoseconds, const struct when *since,
		 const struct when *until);

#endif
