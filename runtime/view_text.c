/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view_text.c - what the files of an instance's /proc say (proc(5)), from the files of its cgroup.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/views.h"

#define NSEC	  1000000000ull
#define TICK_US	  10000 /* USER_HZ is 100 */
#define DEPTH_MAX 32

static int64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * (int64_t)NSEC + t.tv_nsec;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t left(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static int read_text(int dir, const char *path, struct str *out)
{
	struct err ignored;

	return file_read_kernel(dir, path, 1u << 24, out, &ignored);
}

/* A file that is one number; "max" and none: UINT64_MAX. */
static uint64_t number_in(int dir, const char *path)
{
	auto_str struct str text = { 0 };

	return read_text(dir, path, &text) < 0 || str_after(str_text(&text), "max") ?
		       UINT64_MAX :
		       strtoull(str_text(&text), NULL, 10);
}

/* The number after @word, a blank or colon included, at the beginning of a line; 0 when there is no such line. */
static uint64_t number_of(const struct str *text, const char *word)
{
	for (const char *at = str_text(text); *at; at += strcspn(at, "\n"), at += *at == '\n') {
		const char *rest = str_after(at, word);

		if (rest)
			return strtoull(rest, NULL, 10);
	}
	return 0;
}

/* ---- processors ---- */

struct cpus {
	unsigned long mask[CPUS_MAX / (8 * sizeof(long))];
	unsigned n;
};

static bool has_cpu(const struct cpus *c, unsigned cpu)
{
	return cpu < CPUS_MAX && c->mask[cpu / (8 * sizeof(long))] >> cpu % (8 * sizeof(long)) & 1;
}

/* The text of what it may run on: its cpuset, where that controller is, else all. */
static void read_cpu_list(const struct share *s, struct str *out)
{
	if (read_text(s->cgroup, "cpuset.cpus.effective", out) < 0 ||
	    strspn(str_text(out), "\n") == out->len) {
		str_free(out);
		(void)read_text(AT_FDCWD, "/sys/devices/system/cpu/online", out);
	}
}

static void read_cpus(const struct share *s, struct cpus *c)
{
	auto_str struct str text = { 0 };

	memset(c, 0, sizeof(*c));
	read_cpu_list(s, &text);
	if (text.len)
		text.s[strcspn(text.s, "\n")] = '\0';
	if (parse_bits(str_text(&text), c->mask, CPUS_MAX) < 0)
		c->mask[0] = 1;
	for (unsigned i = 0; i < CPUS_MAX; i++)
		c->n += has_cpu(c, i);
}

static int write_online(const struct share *s, struct str *out)
{
	read_cpu_list(s, out);
	return 0;
}

static int write_cpuinfo(const struct share *s, struct str *out)
{
	auto_str struct str text = { 0 };
	struct cpus c;

	read_cpus(s, &c);
	if (read_text(AT_FDCWD, "/proc/cpuinfo", &text) < 0)
		return -1;
	for (const char *at = str_text(&text); *at;) {
		const char *end = strstr(at, "\n\n");
		size_t len = end ? (size_t)(end - at) + 2 : strlen(at);
		unsigned cpu;

		/* some architectures end with what belongs to none of them */
		if (sscanf(at, "processor : %u", &cpu) != 1 || has_cpu(&c, cpu))
			str_add_n(out, at, len);
		at += len;
	}
	return 0;
}

/* As if the time it used had been on all of its processors alike: cgroups do not tell where it was. */
static int write_stat(const struct share *s, struct str *out)
{
	int64_t boot = now(CLOCK_BOOTTIME);
	uint64_t used, user, system, idle, pids;
	auto_str struct str text = { 0 };
	struct cpus c;

	if (read_text(s->cgroup, "cpu.stat", &text) < 0)
		return -1;
	read_cpus(s, &c);
	used = number_of(&text, "usage_usec ") / TICK_US;
	user = number_of(&text, "user_usec ") / TICK_US;
	system = left(used, user);
	idle = left((uint64_t)(boot - s->begun_ns) / 1000 / TICK_US * c.n, used);
	pids = number_in(s->cgroup, "pids.current");
	str_addf(out, "cpu  %llu 0 %llu %llu 0 0 0 0 0 0\n", (unsigned long long)user,
		 (unsigned long long)system, (unsigned long long)idle);
	for (unsigned i = 0; i < CPUS_MAX; i++)
		if (has_cpu(&c, i))
			str_addf(out, "cpu%u %llu 0 %llu %llu 0 0 0 0 0 0\n", i,
				 (unsigned long long)user / c.n, (unsigned long long)system / c.n,
				 (unsigned long long)idle / c.n);
	str_addf(out,
		 "intr 0\nctxt 0\nbtime %lld\nprocesses %llu\nprocs_running 1\nprocs_blocked 0\n"
		 "softirq 0 0 0 0 0 0 0 0 0 0 0\n",
		 (long long)((now(CLOCK_REALTIME) - boot + s->begun_ns) / (int64_t)NSEC),
		 (unsigned long long)(pids == UINT64_MAX ? 1 : pids));
	return 0;
}

/* ---- load ---- */

/*
 * Kept with the file, since nobody samples: the mean since the last look is taken for every moment between, and decays as the kernel's
 * averages do (kernel/sched/loadavg.c).
 */
struct load {
	uint64_t time, used, waited; /* ns */
	uint32_t average[3];	     /* << LOAD_SHIFT */
};

#define LOAD_XATTR "trusted.load"
#define LOAD_SHIFT 11
#define LOAD_ONE   (1u << LOAD_SHIFT)
#define LOAD_FREQ  (5 * NSEC)

static uint64_t power(uint64_t x, uint64_t n)
{
	uint64_t result = LOAD_ONE;

	for (; n; n >>= 1) {
		if (n & 1)
			result = (result * x + LOAD_ONE / 2) >> LOAD_SHIFT;
		x = (x * x + LOAD_ONE / 2) >> LOAD_SHIFT;
	}
	return result;
}

/* Who ran, and one more while any waited: cgroups do not tell how many did. */
static void update_load(struct load *l, uint64_t time, uint64_t used, uint64_t waited)
{
	static const unsigned decay[] = { 1884, 2014, 2037 }; /* 1 / exp(5 s / 1, 5, 15 min) */
	uint64_t past = time - l->time;
	uint64_t busy = left(used, l->used) + left(waited, l->waited);
	uint64_t active = (busy / 1000 << LOAD_SHIFT) / (past / 1000);

	for (int i = 0; i < 3; i++) {
		uint64_t old = power(decay[i], past / LOAD_FREQ);

		l->average[i] =
			(uint32_t)((l->average[i] * old + active * (LOAD_ONE - old)) >> LOAD_SHIFT);
	}
	*l = (struct load){ time, used, waited, { l->average[0], l->average[1], l->average[2] } };
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=123": in ns; 0 where the kernel does not count it. */
static uint64_t waited_for_cpu(const struct share *s)
{
	auto_str struct str text = { 0 };
	const char *at;

	if (read_text(s->cgroup, "cpu.pressure", &text) < 0)
		return 0;
	at = strstr(str_text(&text), "total=");
	return at ? strtoull(at + strlen("total="), NULL, 10) * 1000 : 0;
}

static int write_loadavg(const struct share *s, struct str *out)
{
	uint64_t time = (uint64_t)(now(CLOCK_BOOTTIME) - s->begun_ns), pids;
	auto_str struct str text = { 0 };
	struct load l = { 0 };

	if (read_text(s->cgroup, "cpu.stat", &text) < 0)
		return -1;
	if (s->file >= 0 && fgetxattr(s->file, LOAD_XATTR, &l, sizeof(l)) != sizeof(l))
		l = (struct load){ 0 };
	if (time >= l.time + LOAD_FREQ) {
		update_load(&l, time, number_of(&text, "usage_usec ") * 1000, waited_for_cpu(s));
		if (s->file >= 0)
			(void)fsetxattr(s->file, LOAD_XATTR, &l, sizeof(l), 0);
	}
	pids = number_in(s->cgroup, "pids.current");
	for (int i = 0; i < 3; i++)
		str_addf(out, "%u.%02u ", l.average[i] >> LOAD_SHIFT,
			 (l.average[i] & (LOAD_ONE - 1)) * 100 >> LOAD_SHIFT);
	pids = pids == UINT64_MAX ? 1 : pids;
	str_addf(out, "1/%llu %llu\n", (unsigned long long)pids, (unsigned long long)pids);
	return 0;
}

/* ---- memory ---- */

struct memory { /* bytes */
	uint64_t total, free, swap_total, swap_free;
};

/* Of the cgroup and those above it the tightest limit, and the least that is left of any. */
static void look_at_limits(const struct share *s, struct memory *m)
{
	auto_fd int dir = openat(s->cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int depth = 0;
	     dir >= 0 && depth < DEPTH_MAX && faccessat(dir, "memory.max", F_OK, 0) == 0; depth++) {
		uint64_t max = number_in(dir, "memory.max"),
			 used = number_in(dir, "memory.current");
		uint64_t swap_max = number_in(dir, "memory.swap.max");
		uint64_t swap_used = number_in(dir, "memory.swap.current");
		int up = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (depth == 0)
			m->free = least(m->free, left(m->total, used));
		m->total = least(m->total, max);
		m->free = least(m->free, left(max, used));
		m->swap_total = least(m->swap_total, swap_max);
		m->swap_free = least(m->swap_free,
				     swap_used == UINT64_MAX ? 0 : left(swap_max, swap_used));
		close(dir);
		dir = up;
	}
	m->free = least(m->free, m->total);
	m->swap_free = least(m->swap_free, m->swap_total);
}

static void say(struct str *out, const char *name, uint64_t bytes)
{
	str_addf(out, "%-15s %8llu kB\n", name, (unsigned long long)bytes / 1024);
}

static int write_meminfo(const struct share *s, struct str *out)
{
	static const struct {
		const char *name, *of; /* memory.stat's */
	} same[] = {
		{ "Unevictable:", "unevictable " },
		{ "Dirty:", "file_dirty " },
		{ "Writeback:", "file_writeback " },
		{ "AnonPages:", "anon " },
		{ "Mapped:", "file_mapped " },
		{ "Shmem:", "shmem " },
		{ "KReclaimable:", "slab_reclaimable " },
		{ "Slab:", "slab " },
		{ "SReclaimable:", "slab_reclaimable " },
		{ "SUnreclaim:", "slab_unreclaimable " },
		{ "KernelStack:", "kernel_stack " },
		{ "PageTables:", "pagetables " },
		{ "AnonHugePages:", "anon_thp " },
	};
	auto_str struct str host = { 0 }, stat = { 0 };
	uint64_t anon[2], file[2], given_back;
	struct memory m;

	if (read_text(AT_FDCWD, "/proc/meminfo", &host) < 0 ||
	    read_text(s->cgroup, "memory.stat", &stat) < 0)
		return -1;
	m = (struct memory){ number_of(&host, "MemTotal:") * 1024,
			     number_of(&host, "MemFree:") * 1024,
			     number_of(&host, "SwapTotal:") * 1024,
			     number_of(&host, "SwapFree:") * 1024 };
	look_at_limits(s, &m);
	for (int i = 0; i < 2; i++) {
		anon[i] = number_of(&stat, i ? "active_anon " : "inactive_anon ");
		file[i] = number_of(&stat, i ? "active_file " : "inactive_file ");
	}
	given_back = file[0] + file[1] + number_of(&stat, "slab_reclaimable ");
	say(out, "MemTotal:", m.total);
	say(out, "MemFree:", m.free);
	say(out, "MemAvailable:", least(m.free + given_back, m.total));
	say(out, "Buffers:", 0);
	say(out, "Cached:", number_of(&stat, "file "));
	say(out, "SwapCached:", number_of(&stat, "swapcached "));
	say(out, "Active:", anon[1] + file[1]);
	say(out, "Inactive:", anon[0] + file[0]);
	say(out, "Active(anon):", anon[1]);
	say(out, "Inactive(anon):", anon[0]);
	say(out, "Active(file):", file[1]);
	say(out, "Inactive(file):", file[0]);
	say(out, "SwapTotal:", m.swap_total);
	say(out, "SwapFree:", m.swap_free);
	for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++)
		say(out, same[i].name, number_of(&stat, same[i].of));
	say(out, "CommitLimit:", m.total + m.swap_total);
	say(out, "Committed_AS:", number_of(&stat, "anon ") + number_of(&stat, "shmem "));
	return 0;
}

/* ---- all ---- */

int view_write(const char *name, const struct share *s, struct str *out, struct err *e)
{
	static const struct {
		const char *name;
		int (*write)(const struct share *s, struct str *out);
	} views[] = {
		{ "meminfo", write_meminfo }, { "stat", write_stat },
		{ "cpuinfo", write_cpuinfo }, { "loadavg", write_loadavg },
		{ "online", write_online },
	};

	for (size_t i = 0; i < sizeof(views) / sizeof(*views); i++)
		if (streq(views[i].name, name)) {
			if (views[i].write(s, out) == 0 && !out->failed)
				return 0;
			return err_set(e, out->failed ? ENOMEM : errno, "cannot write '%s'", name);
		}
	return err_set(e, ERR_INVALID, "there is no view '%s'", name);
}
