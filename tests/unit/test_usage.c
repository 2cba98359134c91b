/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "runtime/base/arena.h"
#include "runtime/usage.h"
#include "tests/unit/test.h"

TEST(what_was_used_between_two_receipts_is_known_by_time)
{
	struct usage from = { .cpu_us = 100, .memory = 1000 },
		     to = { .cpu_us = 300, .memory = 1000 };
	struct usage u = usage_between(&from, 10, &to, 20, 15);

	CHECK_INT((int)u.cpu_us, 200);
	CHECK_INT((int)u.memory, 1000);
	u = usage_between(&from, 10, &to, 20, 5);
	CHECK_INT((int)u.cpu_us, 100);
	u = usage_between(&from, 10, &to, 20, 25);
	CHECK_INT((int)u.cpu_us, 300);
	usage_take(&to, &u);
	CHECK_INT((int)to.cpu_us, 0);
	usage_take(&to, &from); /* never below nothing */
	CHECK_INT((int)to.cpu_us, 0);
	to.cpu_us = UINT64_MAX;
	usage_add(&to, &from);
	CHECK(to.cpu_us == UINT64_MAX);
}

TEST(a_receipt_that_makes_no_sense_is_none)
{
	static const char *const bad[] = {
		"",
		"{}",
		"{\"seq\":0,\"name\":\"a\",\"uuid\":\"b\",\"start_ns\":1,\"end_ns\":2}",
		"{\"seq\":1,\"uuid\":\"b\",\"start_ns\":1,\"end_ns\":2}",
		"{\"seq\":1,\"name\":\"a\",\"uuid\":\"b\",\"start_ns\":3,\"end_ns\":2}",
		"{\"seq\":1,\"name\":\"a\",\"uuid\":\"b\",\"start_ns\":1,\"end_ns\":2,\"cpu_us\":-1}",
	};
	const char *good = "{\"seq\":1,\"name\":\"a\",\"uuid\":\"b\",\"start_ns\":1,\"end_ns\":2}";
	struct arena *a = arena_new(0);
	struct receipt r;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(!receipt_parse(bad[i], strlen(bad[i]), a, &r));
	CHECK(receipt_parse(good, strlen(good), a, &r));
	CHECK_STR(r.name, "a");
	arena_free(a);
}
