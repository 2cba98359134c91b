/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/resources.h"

#include <math.h>
#include <stdlib.h>

#include "runtime/base/str.h"
#include "runtime/spec.h"

#define SHARES_MIN 2
#define SHARES_MAX 262144
#define WEIGHT_MAX 10000

bool resources_swap_max(const struct resources_spec *r, int64_t *max)
{
	int64_t limit = r->memory.limit.set ? r->memory.limit.v : 0;
	int64_t both = r->memory.swap.set ? r->memory.swap.v : 0;

	if (both > 0)
		*max = limit > 0 ? both - limit : both;
	else if (both < 0 || limit < 0)
		*max = -1;
	else if (r->memory.swap.set && !r->memory.limit.set)
		*max = 0;
	else
		return false;
	return true;
}

int64_t resources_pids_max(const struct resources_spec *r)
{
	return r->pids_limit.v ? r->pids_limit.v : 1;
}

int64_t resources_quota_per_second(int64_t quota, int64_t period)
{
	const int64_t second = 1000000, step = second / 100;

	if (quota <= 0 || quota > INT64_MAX / second - step)
		return -1;
	return (quota * second / period + step - 1) / step * step;
}

bool resources_idle(const struct resources_spec *r)
{
	if (r->cpu.idle.set)
		return r->cpu.idle.v == 1;
	for (size_t i = 0; i < r->n_unified; i++)
		if (streq(r->unified[i].key, "cpu.idle"))
			return strtol(r->unified[i].value, NULL, 10) == 1;
	return false;
}

int64_t resources_cpu_weight(const struct resources_spec *r)
{
	uint64_t shares = r->cpu.shares.set ? r->cpu.shares.v : 0;
	double l;

	if (!shares)
		return 0;
	if (shares <= SHARES_MIN)
		return 1;
	if (shares >= SHARES_MAX)
		return WEIGHT_MAX;
	l = log2((double)shares);
	return (int64_t)ceil(pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0));
}
