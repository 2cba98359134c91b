/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/budgets.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "cli/footprint.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/idrange.h"
#include "runtime/instances.h"

/* Number @field (from 0) of the kernel file @path; @otherwise if there is none, and for "max". */
static uint64_t kernel_number(const char *path, int field, uint64_t otherwise)
{
	auto_str struct str text = { 0 };
	struct err ignored;
	const char *at;
	char *end;
	uint64_t v = otherwise;

	if (file_read_kernel(AT_FDCWD, path, 65536, &text, &ignored) < 0)
		return otherwise;
	at = str_text(&text);
	for (int i = 0; i <= field; i++) {
		at += strcspn(at, "0123456789");
		v = strtoull(at, &end, 10);
		if (end == at)
			return otherwise;
		at = end;
	}
	return v;
}

#define FOREVER (UINT64_MAX / 4) /* no limit */

/* Threads of the machine: the fourth number of "0.00 0.01 0.05 1/234 5678" is that after the slash. */
static uint64_t threads_now(void)
{
	auto_str struct str text = { 0 };
	struct err ignored;
	const char *slash;

	if (file_read_kernel(AT_FDCWD, "/proc/loadavg", 256, &text, &ignored) < 0)
		return 0;
	slash = strchr(str_text(&text), '/');
	return slash ? strtoull(slash + 1, NULL, 10) : 0;
}

/* Lines of /proc/net/arp, its heading apart: entries of neighbours. */
static uint64_t neighbours_now(void)
{
	auto_str struct str text = { 0 };
	struct err ignored;
	uint64_t lines = 0;

	if (file_read_kernel(AT_FDCWD, "/proc/net/arp", 16u << 20, &text, &ignored) < 0)
		return 0;
	for (const char *c = str_text(&text); *c; c++)
		lines += *c == '\n';
	return lines ? lines - 1 : 0;
}

/* The cgroup that we are in may have been given a limit by whoever made it. */
static void look_at_pids_cgroup(struct budget *b)
{
	auto_str struct str text = { 0 };
	struct err ignored;
	char path[512];
	char *line, *end;

	if (file_read_kernel(AT_FDCWD, "/proc/self/cgroup", 65536, &text, &ignored) < 0)
		return;
	line = strstr(text.s, "0::");
	if (!line || !(end = strchr(line, '\n')))
		return;
	*end = '\0';
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/pids.max", line + 3);
	b->limit = kernel_number(path, 0, FOREVER);
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/pids.current", line + 3);
	b->used = kernel_number(path, 0, 0);
}

/* Instances that are there: each may hold one of what an instance holds. */
static uint64_t instances_now(const struct instances *all)
{
	auto_free char **names = NULL;
	struct err ignored;
	size_t n = 0;

	return instances_match(all, NULL, &names, &n, &ignored) < 0 ? 0 : n;
}

static struct budget *add(struct budget *v, size_t *n, const char *name, uint64_t limit,
			  uint64_t used, uint64_t each)
{
	struct budget *b = &v[(*n)++];

	*b = (struct budget){ .name = name, .limit = limit, .used = used, .each = each };
	return b;
}

/* A sysctl is to be as large as it would have to be and a quarter more, or twice what it is. */
static void cure_sysctl(struct budget *b, uint64_t n, const char *key)
{
	uint64_t want = (b->used + b->each * n) / 4 * 5, twice = 2 * b->limit;

	snprintf(b->cure, sizeof(b->cure), "sysctl -w %s=%llu", key,
		 (unsigned long long)(want > twice ? want : twice));
}

static void add_sysctl(struct budget *v, size_t *count, uint64_t n, const char *key, uint64_t used,
		       uint64_t each)
{
	char path[96] = "/proc/sys/";
	size_t at = strlen(path);

	for (const char *c = key; *c && at < sizeof(path) - 1; c++)
		path[at++] = *c == '.' ? '/' : *c;
	path[at] = '\0';
	cure_sysctl(add(v, count, key, kernel_number(path, 0, FOREVER), used, each), n, key);
}

static void add_space(struct budget *v, size_t *count, const char *path, const char *inodes,
		      const char *cure)
{
	struct statvfs fs;
	struct budget *b;

	if (statvfs(path, &fs) < 0 || !fs.f_files)
		return;
	/* an instance is some 20 files and directories on disk, and 8 of its run state */
	b = add(v, count, inodes, fs.f_favail, 0, 20);
	snprintf(b->cure, sizeof(b->cure), "%s", cure);
}

size_t budgets_look(const struct budget_needs *needs, uint64_t n, struct budget out[BUDGETS_MAX])
{
	static const char *const namespaces[] = { "user.max_pid_namespaces",
						  "user.max_mnt_namespaces",
						  "user.max_net_namespaces",
						  "user.max_cgroup_namespaces" };
	const struct footprint *one = needs->one;
	uint64_t running = instances_now(needs->all);
	struct budget *b;
	size_t count = 0;

	add_sysctl(out, &count, n, "kernel.pid_max", threads_now(), one->threads);
	add_sysctl(out, &count, n, "kernel.threads-max", threads_now(), one->threads);
	b = add(out, &count, "pids.max of this cgroup", FOREVER, 0, one->threads);
	look_at_pids_cgroup(b);
	snprintf(b->cure, sizeof(b->cure), "systemctl set-property the unit TasksMax=infinity");
	if (needs->own_ids) {
		add_sysctl(out, &count, n, "user.max_user_namespaces", running, 1);
		b = add(out, &count, "ranges of user ids", IDRANGE_COUNT, running, 1);
		snprintf(b->cure, sizeof(b->cure), "--userns host shares the host's ids");
	}
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(*namespaces); i++)
		add_sysctl(out, &count, n, namespaces[i], running, 1);
	/* whoever made a user namespace pays for what is watched in it (ucount(9)): root, for all */
	add_sysctl(out, &count, n, "fs.inotify.max_user_instances", running * one->inotify,
		   one->inotify);
	add_sysctl(out, &count, n, "fs.file-max", kernel_number("/proc/sys/fs/file-nr", 0, 0),
		   one->files);
	add_sysctl(out, &count, n, "fs.mount-max", one->mounts, 0); /* of each, not of all */
	if (!needs->own_ids) /* quotas of keys are of user ids */
		add_sysctl(out, &count, n, "kernel.keys.root_maxkeys", running, 1);
	/* the host and the instances know each other for good, which is not counted; others are met by asking */
	add_sysctl(out, &count, n, "net.ipv4.neigh.default.gc_thresh3", neighbours_now(), 0);
	if (needs->addresses) {
		b = add(out, &count, "addresses of the network", needs->addresses,
			needs->addresses_used, 1);
		snprintf(b->cure, sizeof(b->cure), "ctr net create --subnet 10.0.0.0/12 NAME");
	}
	add_sysctl(out, &count, n, "net.netfilter.nf_conntrack_max",
		   kernel_number("/proc/sys/net/netfilter/nf_conntrack_count", 0, 0),
		   needs->addresses ? 2 : 0);
	b = add(out, &count, "memory, KiB", (uint64_t)one->available, 0,
		(uint64_t)(one->kib[MEM_PAYLOAD] + one->kib[MEM_SUPERVISOR]) + 450);
	snprintf(b->cure, sizeof(b->cure), "less of them, or more memory");
	add_space(out, &count, needs->data, "inodes of the disk", "CTR_ROOT on another disk");
	add_space(out, &count, needs->run, "inodes of the run directory",
		  "mount -o remount,nr_inodes=0 the tmpfs it is on");
	return count;
}

uint64_t budget_room(const struct budget *b)
{
	if (!b->each || b->limit >= FOREVER)
		return UINT64_MAX;
	return b->used >= b->limit ? 0 : (b->limit - b->used) / b->each;
}

const struct budget *budget_tightest(const struct budget *v, size_t n)
{
	const struct budget *least = v;

	for (size_t i = 1; i < n; i++)
		if (budget_room(&v[i]) < budget_room(least))
			least = &v[i];
	return least;
}
