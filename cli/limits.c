/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/host.h"
#include "runtime/instance.h"
#include "runtime/spec.h"

#define PIDS_APPLICATION 512
#define PIDS_SYSTEM	 4096
#define CPU_PERIOD	 100000 /* us */
#define CPU_QUOTA_MIN	 1000	/* us, the kernel's least */
#define WEIGHT_DEFAULT	 100
#define UNIFIED_MAX	 64 /* lines for cgroup files that the specification has no member for */

/* What a row's function gets: the configuration, and where its limits go. */
struct putting {
	const struct instance *i, *before;
	const char *data;
	unsigned controllers;
	struct arena *arena;
	struct resources_spec *r;
	struct err *e;
};

static int put_unified(struct putting *p, const char *file, const char *value)
{
	if (!value)
		return err_set(p->e, ENOMEM, "limits");
	if (p->r->n_unified == UNIFIED_MAX)
		return err_set(p->e, ERR_INVALID, "more than %d limits", UNIFIED_MAX);
	p->r->unified[p->r->n_unified++] = (struct key_value){ file, value };
	return 0;
}

/* A number, or @none for one that is not given. */
static int put_number(struct putting *p, const char *file, const char *prefix, bool given,
		      uint64_t v, const char *none)
{
	return put_unified(p, file,
			   given ? arena_printf(p->arena, "%s%" PRIu64, prefix, v) :
				   arena_printf(p->arena, "%s%s", prefix, none));
}

/* The instance is killed by its own limit as a whole, not maimed. */
static int put_memory(struct putting *p)
{
	p->r->memory.limit = (struct opt_i64){ true, p->i->memory ? (int64_t)p->i->memory : -1 };
	return put_unified(p, "memory.oom.group", p->i->memory ? "1" : "0");
}

static int put_memory_high(struct putting *p)
{
	return put_number(p, "memory.high", "", p->i->memory_high, p->i->memory_high, "max");
}

static int put_swap(struct putting *p)
{
	return put_number(p, "memory.swap.max", "", p->i->has_swap, p->i->swap, "max");
}

/*
 * Which processors: as many as the quota is worth, so that what counts them inside (nproc(1), runtimes) counts what may be used. They
 * begin anywhere: if all instances had the first, the others would be idle. NULL when memory is gone.
 */
static const char *cpus_of_quota(struct putting *p)
{
	uint64_t n = (p->i->cpus + CPUS_UNIT - 1) / CPUS_UNIT, start = 0;
	auto_str struct str list = { 0 };
	unsigned all, at = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return NULL;
	all = (unsigned)CPU_COUNT(&set);
	if (!n || n > all)
		n = all;
	for (const char *c = p->i->uuid ? p->i->uuid : ""; *c; c++)
		start = start * 31 + (unsigned char)*c;
	start %= all;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && (at++ + all - start) % all < n)
			str_addf(&list, "%s%d", list.len ? "," : "", cpu);
	return list.failed ? NULL : arena_strdup(p->arena, str_text(&list));
}

/* All is said in full: one that has processes cannot be emptied (ENOSPC). */
static int put_cpuset(struct putting *p)
{
	return put_unified(p, "cpuset.cpus", p->i->cpuset ? p->i->cpuset : cpus_of_quota(p));
}

/* Less than the least quota of the usual period is the same share of a longer one. */
static int put_cpus(struct putting *p)
{
	int64_t quota = (int64_t)(p->i->cpus * CPU_PERIOD / CPUS_UNIT);
	uint64_t period = CPU_PERIOD;

	if (!p->i->cpus) {
		quota = -1;
	} else if (quota < CPU_QUOTA_MIN) {
		quota = (int64_t)p->i->cpus * CPU_QUOTA_MIN;
		period = CPU_QUOTA_MIN * CPUS_UNIT;
	}
	p->r->cpu.quota = (struct opt_i64){ true, quota };
	p->r->cpu.period = (struct opt_u64){ true, period };
	return p->controllers & CTL_CPUSET && !p->i->cpuset ? put_cpuset(p) : 0;
}

static int put_cpu_weight(struct putting *p)
{
	return put_number(p, "cpu.weight", "", true,
			  p->i->cpu_weight ? p->i->cpu_weight : WEIGHT_DEFAULT, NULL);
}

static int put_pids(struct putting *p)
{
	p->r->pids_limit =
		(struct opt_i64){ true,
				  (int64_t)(p->i->pids ? p->i->pids : limits_default_pids(p->i)) };
	return 0;
}

static int put_io_weight(struct putting *p)
{
	return put_number(p, "io.weight", "default ", true,
			  p->i->io_weight ? p->i->io_weight : WEIGHT_DEFAULT, NULL);
}

/* ---- io ---- */

/* The kernel limits whole disks: a partition is on one. */
static int disk_of(dev_t dev, const char *path, unsigned *major_out, unsigned *minor_out,
		   struct err *e)
{
	auto_str struct str text = { 0 };
	char sys[80];
	struct err none;
	struct stat st;
	unsigned major = major(dev), minor = minor(dev);

	snprintf(sys, sizeof(sys), "/sys/dev/block/%u:%u", major, minor);
	if (stat(sys, &st) < 0)
		return err_set(e, ERR_NOT_SUPPORTED,
			       "io: '%.200s' is on no block device that can be limited", path);
	snprintf(sys, sizeof(sys), "/sys/dev/block/%u:%u/partition", major, minor);
	if (stat(sys, &st) == 0) {
		snprintf(sys, sizeof(sys), "/sys/dev/block/%u:%u/../dev", major, minor);
		if (file_read_kernel(AT_FDCWD, sys, 64, &text, &none) < 0 ||
		    sscanf(str_text(&text), "%u:%u", &major, &minor) != 2)
			return err_set(e, ERR_INVALID, "io: cannot find the disk of '%.200s'",
				       path);
	}
	*major_out = major;
	*minor_out = minor;
	return 0;
}

/* A line of io.max; with @none one that takes all limits of the disk away. */
static int put_io_line(struct putting *p, const char *text, bool none)
{
	static const char *const words[IO_KINDS] = { "rbps", "wbps", "riops", "wiops" };
	auto_str struct str line = { 0 };
	unsigned major = 0, minor = 0;
	struct io_limit l;
	struct stat st;

	if (io_limit_parse(text, p->arena, &l, p->e) < 0)
		return -1;
	if (!l.path)
		l.path = p->data;
	if (stat(l.path, &st) < 0)
		return none ? 0 : err_set(p->e, errno, "io: '%.200s'", l.path);
	if (disk_of(S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev, l.path, &major, &minor, p->e) < 0)
		return none ? 0 : -1;
	str_addf(&line, "%u:%u", major, minor);
	for (int k = 0; k < IO_KINDS; k++)
		if (l.most[k] && !none)
			str_addf(&line, " %s=%" PRIu64, words[k], l.most[k]);
		else
			str_addf(&line, " %s=max", words[k]);
	return put_unified(p, "io.max", arena_strdup(p->arena, str_text(&line)));
}

static int put_io(struct putting *p)
{
	for (const char *const *w = p->before ? p->before->io : NULL; w && *w; w++)
		if (put_io_line(p, *w, true) < 0)
			return -1;
	for (const char *const *w = p->i->io; w && *w; w++)
		if (put_io_line(p, *w, false) < 0)
			return -1;
	return 0;
}

/* ---- all of them ---- */

static const struct {
	const char *key;
	const char *member; /* of the specification, as plan_cgroup.c calls it */
	int (*put)(struct putting *p);
} rows[] = {
	{ "memory", "linux.resources.memory.limit", put_memory },
	{ "memory-high", "linux.resources.unified.memory.high", put_memory_high },
	{ "swap", "linux.resources.unified.memory.swap.max", put_swap },
	{ "cpus", "linux.resources.cpu.quota", put_cpus },
	{ "cpuset", "linux.resources.unified.cpuset.cpus", put_cpuset },
	{ "cpu-weight", "linux.resources.unified.cpu.weight", put_cpu_weight },
	{ "pids", "linux.resources.pids.limit", put_pids },
	{ "io", "linux.resources.unified.io.max", put_io },
	{ "io-weight", "linux.resources.unified.io.weight", put_io_weight },
};

#define N_ROWS (sizeof(rows) / sizeof(*rows))

uint64_t limits_default_pids(const struct instance *i)
{
	return i->system ? PIDS_SYSTEM : PIDS_APPLICATION;
}

int limits_put(const struct instance *i, const struct instance *before, const char *data,
	       unsigned controllers, struct arena *a, struct resources_spec *r, struct err *e)
{
	struct putting p = { i, before, data, controllers, a, r, e };

	r->unified = arena_array(a, UNIFIED_MAX, sizeof(*r->unified));
	if (!r->unified)
		return err_set(e, ENOMEM, "limits");
	for (size_t k = 0; k < N_ROWS; k++) {
		const struct instance_key *key = instance_key(rows[k].key, e);
		auto_str struct str ignored = { 0 };

		if (!key)
			return -1;
		if ((before ? !instance_same(i, before, key) : instance_value(i, key, &ignored)) &&
		    rows[k].put(&p) < 0)
			return -1;
	}
	return 0;
}

void limits_in_own_words(const char *dashes, struct err *e)
{
	for (size_t k = 0; k < N_ROWS; k++) {
		const char *rest = str_after(e->msg, rows[k].member);
		char text[ERR_MSG_MAX];

		if (!rest || *rest != ':')
			continue;
		snprintf(text, sizeof(text), "%s%s%s", dashes, rows[k].key, rest);
		memcpy(e->msg, text, sizeof(text));
		return;
	}
}
