/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/freeze.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/state.h"

#define FREEZE_TIMEOUT_MS 10000

static int open_cgroup(const struct state *st, struct err *e)
{
	char path[PATH_MAX];
	int fd;

	if (!st->cgroup || !st->cgroup_root)
		return err_set(e, ERR_NOT_SUPPORTED, "container '%s' has no cgroup of its own",
			       st->id);
	snprintf(path, sizeof(path), "%s/%s", st->cgroup_root, st->cgroup);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_set(e, errno, "cannot open the cgroup of '%s'", st->id) : fd;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* cgroup.events can be polled: POLLPRI says that a line of it changed (cgroups(7)). */
static int wait_until(int events, const char *line, struct err *e)
{
	int64_t deadline = now_ms() + FREEZE_TIMEOUT_MS;
	struct pollfd p = { .fd = events, .events = POLLPRI };
	char text[256];

	for (;;) {
		ssize_t n = pread(events, text, sizeof(text) - 1, 0);
		int64_t left = deadline - now_ms();

		if (n < 0)
			return err_set(e, errno, "cannot read cgroup.events");
		text[n] = '\0';
		if (strstr(text, line))
			return 0;
		if (left <= 0)
			return err_set(e, ERR_STATE, "a process cannot be frozen now");
		(void)poll(&p, 1, (int)left); /* an early return costs a read */
	}
}

int freeze_set(const struct state *st, bool frozen, struct err *e)
{
	auto_fd int cgroup = open_cgroup(st, e);
	auto_fd int events = cgroup < 0 ? -1 :
					  openat(cgroup, "cgroup.events", O_RDONLY | O_CLOEXEC);
	struct err ignored;

	if (cgroup < 0)
		return -1;
	if (events < 0)
		return err_set(e, errno, "cannot open cgroup.events");
	if (file_write_kernel(cgroup, "cgroup.freeze", frozen ? "1" : "0", e) < 0)
		return -1;
	if (wait_until(events, frozen ? "frozen 1" : "frozen 0", e) == 0)
		return 0;
	if (frozen)
		(void)file_write_kernel(cgroup, "cgroup.freeze", "0",
					&ignored); /* as it was before */
	return err_in(e, "container '%s'", st->id);
}

static int each_in(int cgroup, int (*each)(int pid, void *arg), void *arg, struct err *e)
{
	auto_str struct str text = { 0 };
	auto_dir DIR *dir = NULL;
	char *line, *rest;
	struct dirent *d;
	uint64_t pid;
	int r = 0;

	if (file_read_kernel(cgroup, "cgroup.procs", 16u << 20, &text, e) < 0)
		return e->code == ENODEV || e->code == ENOENT ? 0 : -1; /* removed meanwhile */
	for (rest = text.s; r == 0 && rest && (line = strsep(&rest, "\n"));)
		if (parse_u64(line, 1, INT_MAX, &pid) ==
		    0) /* 0: of a pid namespace that we cannot see */
			r = each((int)pid, arg);
	dir = dir_list(cgroup);
	while (r == 0 && dir && (d = readdir(dir))) {
		auto_fd int below = -1;

		if (d->d_type != DT_DIR || streq(d->d_name, ".") || streq(d->d_name, ".."))
			continue;
		below = openat(cgroup, d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (below >= 0)
			r = each_in(below, each, arg, e);
	}
	return r;
}

int freeze_each_process(const struct state *st, int (*each)(int pid, void *arg), void *arg,
			struct err *e)
{
	auto_fd int cgroup = open_cgroup(st, e);

	return cgroup < 0 ? -1 : each_in(cgroup, each, arg, e);
}
