/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/update.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/apply.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/host.h"
#include "runtime/plan.h"
#include "runtime/scope.h"
#include "runtime/spec.h"
#include "runtime/state.h"

/* The first word of @file as a number, -1 for "max", and the second in *@second. A missing file: *value is untouched. */
static int read_limit(int cgroup, const char *file, int64_t *value, uint64_t *second, struct err *e)
{
	auto_str struct str text = { 0 };
	char *word, *rest;

	if (file_read_kernel(cgroup, file, 4096, &text, e) < 0)
		return e->code == ENOENT ? 0 : -1;
	rest = text.s;
	word = rest ? strsep(&rest, " \n") : NULL;
	if (!word)
		return 0;
	if (streq(word, "max"))
		*value = -1;
	else if (parse_i64(word, 0, INT64_MAX, value) < 0)
		return err_set(e, ERR_INVALID, "cannot understand '%s' in %s", word, file);
	word = rest ? strsep(&rest, " \n") : NULL;
	if (word && second)
		(void)parse_u64(word, 0, UINT64_MAX,
				second); /* not a number: as if it were not there */
	return 0;
}

/* cpu.max holds quota and period; who gives one of them means the other to stay. */
static int complete_cpu(int cgroup, struct resources_spec *r, struct err *e)
{
	bool quota = r->cpu.quota.set && r->cpu.quota.v,
	     period = r->cpu.period.set && r->cpu.period.v;
	uint64_t period_now = 0;
	int64_t quota_now = -1;

	if (quota == period)
		return 0;
	if (read_limit(cgroup, "cpu.max", &quota_now, &period_now, e) < 0)
		return -1;
	if (!period && period_now)
		r->cpu.period = (struct opt_u64){ true, period_now };
	if (!quota)
		r->cpu.quota = (struct opt_i64){ true, quota_now };
	return 0;
}

/* In runc's words. */
static int check_usage(const struct opt_i64 *limit, const char *what, int64_t now, struct err *e)
{
	if (!limit->set || limit->v <= 0 || limit->v > now)
		return 0;
	return err_set(e, ERR_INVALID,
		       "linux.resources.memory: rejecting %s limit %" PRId64 ": %" PRId64
		       " is in use, and memory.checkBeforeUpdate is set",
		       what, limit->v, now);
}

/* memory.swap of the specification is memory and swap together, the kernel's is swap alone. */
static int complete_memory(int cgroup, struct resources_spec *r, struct err *e)
{
	int64_t now = 0;

	if (r->memory.swap.set && r->memory.swap.v > 0 &&
	    !(r->memory.limit.set && r->memory.limit.v)) {
		if (read_limit(cgroup, "memory.max", &now, NULL, e) < 0)
			return -1;
		if (now)
			r->memory.limit = (struct opt_i64){ true, now };
	}
	now = 0;
	if (!r->memory.check_before_update)
		return 0;
	if (read_limit(cgroup, "memory.current", &now, NULL, e) < 0 ||
	    check_usage(&r->memory.swap, "memory+swap", now, e) < 0)
		return -1;
	return check_usage(&r->memory.limit, "memory", now, e);
}

int update_limits(const struct state *st, struct resources_spec *r, const struct host *h,
		  struct err *e)
{
	char path[PATH_MAX];
	auto_plan struct plan *p = NULL;
	auto_fd int cgroup = -1;
	struct apply a;
	int rc;

	if (!st->cgroup || !st->cgroup_root)
		return err_set(e, ERR_NOT_SUPPORTED, "container '%s' has no cgroup of its own",
			       st->id);
	snprintf(path, sizeof(path), "%s/%s", st->cgroup_root, st->cgroup);
	cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0)
		return err_set(e, errno, "cannot open the cgroup of '%s'", st->id);
	if (complete_cpu(cgroup, r, e) < 0 || complete_memory(cgroup, r, e) < 0 ||
	    !(p = plan_build_update(r, h, st->cgroup, e)))
		return -1;
	if (p->n == 1) /* nothing but the cgroup itself */
		return 0;
	if (scope_update(st->cgroup, r, h->euid != 0, e) < 0)
		return -1;
	apply_init(&a, NULL, p, h, st->id);
	rc = apply_stage(&a, STAGE_HOST, e);
	apply_close(&a);
	return rc;
}
