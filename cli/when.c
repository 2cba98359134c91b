/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/when.h"

#include <string.h>
#include <time.h>

#include "runtime/base/err.h"
#include "runtime/base/str.h"
#include "runtime/supervise.h"

int when_parse(const char *text, const char *option, struct when *w, struct err *e)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t len = text ? strlen(text) : 0;
	struct when got = { .set = true };
	char number[24];
	uint64_t v;

	if (!text)
		return 0;
	if (parse_time(text, &got.seconds, &got.nanoseconds) == 0) {
		*w = got;
		return 0;
	}
	for (size_t k = 0; k < 4 && len > 1 && len < sizeof(number); k++) {
		struct timespec now;

		if (text[len - 1] != units[k].unit)
			continue;
		memcpy(number, text, len - 1);
		number[len - 1] = '\0';
		if (parse_u64(number, 0, 36500ULL * 86400, &v) < 0)
			break;
		clock_gettime(CLOCK_REALTIME, &now);
		got.seconds = now.tv_sec - (int64_t)v * units[k].seconds;
		got.nanoseconds = (uint32_t)now.tv_nsec;
		*w = got;
		return 0;
	}
	return err_set(e, ERR_USAGE,
		       "--%s '%.60s' is neither a time, 2026-11-21T08:00:00Z, nor an age, 10m",
		       option, text);
}

static bool is_before(int64_t seconds, uint32_t nanoseconds, const struct when *w)
{
	return seconds < w->seconds || (seconds == w->seconds && nanoseconds < w->nanoseconds);
}

bool when_within(int64_t seconds, uint32_t nanoseconds, const struct when *since,
		 const struct when *until)
{
	return !(since->set && is_before(seconds, nanoseconds, since)) &&
	       (!until->set || is_before(seconds, nanoseconds, until));
}
