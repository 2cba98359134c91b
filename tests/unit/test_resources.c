/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/resources.h"
#include "runtime/spec.h"
#include "tests/unit/test.h"

static int64_t weight(uint64_t shares)
{
	struct resources_spec r = { .cpu.shares = { true, shares } };

	return resources_cpu_weight(&r);
}

/* The values of the curve's own definition: https://github.com/kubernetes/kubernetes/issues/131216 */
TEST(shares_become_a_weight)
{
	const struct resources_spec none = { 0 };
	int64_t before = 0;

	CHECK(resources_cpu_weight(&none) == 0);
	CHECK(weight(0) == 0);
	CHECK(weight(1) == 1);
	CHECK(weight(2) == 1);
	CHECK(weight(100) == 17);
	CHECK(weight(1024) == 100);
	CHECK(weight(262144) == 10000);
	CHECK(weight(UINT64_MAX) == 10000);
	for (uint64_t shares = 1; shares <= 262144; shares += 7) {
		int64_t now = weight(shares);

		CHECK(before <= now && now >= 1 && now <= 10000);
		before = now;
	}
}

#define SET(n)          \
	{               \
		true, n \
	}
#define NONE             \
	{                \
		false, 0 \
	}
#define UNSAID INT64_MIN /* nothing is written */

TEST(swap_is_counted_without_memory)
{
	static const struct {
		struct opt_i64 limit, swap;
		int64_t max;
	} cases[] = {
		{ NONE, NONE, UNSAID },	      { SET(100), NONE, UNSAID },
		{ SET(100), SET(0), UNSAID }, { SET(100), SET(100), 0 },
		{ SET(100), SET(150), 50 },   { SET(100), SET(-1), -1 },
		{ NONE, SET(-1), -1 },	      { NONE, SET(0), 0 },
		{ SET(-1), NONE, -1 },	      { SET(-1), SET(0), -1 },
		{ SET(-1), SET(-1), -1 },     { SET(-1), SET(50), 50 },
		{ SET(0), SET(0), UNSAID },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct resources_spec r = { .memory.limit = cases[i].limit,
						  .memory.swap = cases[i].swap };
		int64_t max = UNSAID;
		bool given = resources_swap_max(&r, &max);

		CHECK(given == (cases[i].max != UNSAID));
		CHECK(max == cases[i].max);
	}
}

TEST(no_process_is_one)
{
	struct resources_spec r = { .pids_limit = SET(0) };

	CHECK(resources_pids_max(&r) == 1);
	r.pids_limit.v = -1;
	CHECK(resources_pids_max(&r) == -1);
	r.pids_limit.v = 7;
	CHECK(resources_pids_max(&r) == 7);
}
