/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/footprint.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"

static const struct {
	const char *name, *meminfo; /* NULL: of processes */
} causes[MEM_CAUSES] = {
	[MEM_SLAB] = { "kernel objects", "SUnreclaim:" },
	[MEM_CACHES] = { "kernel caches", "SReclaimable:" },
	[MEM_STACKS] = { "kernel stacks", "KernelStack:" },
	[MEM_TABLES] = { "page tables", "PageTables:" },
	[MEM_PERCPU] = { "per-cpu", "Percpu:" },
	[MEM_PAYLOAD] = { "payload", NULL },
	[MEM_SUPERVISOR] = { "supervisor", NULL },
};

const char *cause_name(enum cause c)
{
	return causes[c].name;
}

/* The number behind @key, which begins a line of @text; 0 if there is none. */
static int64_t number_of(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *at = text; at && *at; at = strchr(at, '\n'), at += at != NULL)
		if (strncmp(at, key, len) == 0)
			return strtoll(at + len, NULL, 10);
	return 0;
}

static int read_host(struct footprint *f, struct err *e)
{
	auto_str struct str text = { 0 };

	if (file_read_kernel(AT_FDCWD, "/proc/meminfo", 16384, &text, e) < 0)
		return -1;
	for (int c = 0; c < MEM_CAUSES; c++)
		if (causes[c].meminfo)
			f->kib[c] = number_of(str_text(&text), causes[c].meminfo);
	f->available = number_of(str_text(&text), "MemAvailable:");
	return 0;
}

/* ---- processes ---- */

static int by_inode(const void *a, const void *b)
{
	ino_t x = *(const ino_t *)a, y = *(const ino_t *)b;

	return x < y ? -1 : x > y;
}

static int by_pid(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return x < y ? -1 : x > y;
}

/* Descriptors in /proc/PID/fd, and how many of them are inotify's. */
static void count_files(int proc, struct footprint *f)
{
	int fd = openat(proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		char target[64];
		ssize_t n;

		if (!isdigit((unsigned char)*d->d_name))
			continue;
		f->files++;
		n = readlinkat(dirfd(dir), d->d_name, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		f->inotify += streq(target, "anon_inode:inotify");
	}
}

static void count_mounts(int proc, struct footprint *f)
{
	auto_str struct str text = { 0 };
	struct err ignored;
	uint64_t lines = 0;

	if (file_read_kernel(proc, "mountinfo", 16u << 20, &text, &ignored) < 0)
		return;
	for (const char *c = str_text(&text); *c; c++)
		lines += *c == '\n';
	if (lines > f->mounts)
		f->mounts = lines;
}

static void count_process(int proc, enum cause cause, struct footprint *f)
{
	auto_str struct str status = { 0 }, rollup = { 0 };
	struct err ignored; /* it ended meanwhile */

	if (file_read_kernel(proc, "smaps_rollup", 65536, &rollup, &ignored) < 0 ||
	    file_read_kernel(proc, "status", 65536, &status, &ignored) < 0)
		return;
	f->kib[cause] += number_of(str_text(&rollup), "Pss:");
	f->processes++;
	f->threads += (uint64_t)number_of(str_text(&status), "Threads:");
	if (cause == MEM_PAYLOAD && f->processes < 32) /* one is as another */
		count_mounts(proc, f);
	count_files(proc, f);
}

struct wanted {
	ino_t *namespaces;
	pid_t *supervisors;
	size_t n, n_supervisors;
};

static void wanted_free(struct wanted *w)
{
	free(w->namespaces);
	free(w->supervisors);
}
#define auto_wanted __attribute__((cleanup(wanted_free)))

static int find_namespaces(const struct instance_pids *v, size_t n, struct wanted *w, struct err *e)
{
	w->namespaces = calloc(n + 1, sizeof(*w->namespaces));
	w->supervisors = calloc(n + 1, sizeof(*w->supervisors));
	if (!w->namespaces || !w->supervisors)
		return err_set(e, ENOMEM, "processes");
	for (size_t i = 0; i < n; i++) {
		char path[48];
		struct stat st;

		snprintf(path, sizeof(path), "/proc/%d/ns/pid", v[i].payload);
		if (v[i].payload > 0 && stat(path, &st) == 0)
			w->namespaces[w->n++] = st.st_ino;
		if (v[i].supervisor > 0)
			w->supervisors[w->n_supervisors++] = v[i].supervisor;
	}
	if (w->n)
		qsort(w->namespaces, w->n, sizeof(ino_t), by_inode);
	if (w->n_supervisors)
		qsort(w->supervisors, w->n_supervisors, sizeof(pid_t), by_pid);
	return 0;
}

static void look_at(int proc, pid_t pid, const struct wanted *w, struct footprint *f)
{
	struct stat st;

	if (w->n_supervisors &&
	    bsearch(&pid, w->supervisors, w->n_supervisors, sizeof(pid), by_pid))
		count_process(proc, MEM_SUPERVISOR, f);
	else if (w->n && fstatat(proc, "ns/pid", &st, 0) == 0 &&
		 bsearch(&st.st_ino, w->namespaces, w->n, sizeof(st.st_ino), by_inode))
		count_process(proc, MEM_PAYLOAD, f);
}

int footprint_read(const struct instance_pids *v, size_t n, struct footprint *f, struct err *e)
{
	auto_wanted struct wanted w = { .n = 0 };
	auto_dir DIR *dir = opendir("/proc");
	struct footprint got = { .available = 0 };
	struct dirent *d;

	if (!dir)
		return err_set(e, errno, "cannot list the processes");
	if (read_host(&got, e) < 0 || find_namespaces(v, n, &w, e) < 0)
		return -1;
	while (n && (d = readdir(dir))) {
		auto_fd int proc = -1;

		if (!isdigit((unsigned char)*d->d_name))
			continue;
		proc = openat(dirfd(dir), d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (proc >= 0)
			look_at(proc, (pid_t)atoi(d->d_name), &w, &got);
	}
	*f = got;
	return 0;
}

void footprint_settle(int seconds)
{
	struct footprint before = { .available = 0 }, now;
	struct err ignored;

	for (int i = 0; i < 2 * seconds; i++) {
		if (read_host(&now, &ignored) < 0)
			return;
		if (i && llabs(now.kib[MEM_SLAB] - before.kib[MEM_SLAB]) < 100)
			return;
		before = now;
		nanosleep(&(struct timespec){ .tv_nsec = 500000000 }, NULL);
	}
}
