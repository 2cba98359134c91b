/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/resources.h"

#include <math.h>

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
