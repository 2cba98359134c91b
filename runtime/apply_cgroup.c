/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_cgroup.c - making a container's cgroup, limiting it, and taking it away.
 *
 * A cgroup is cheapest in the order mkdir, enable controllers, CLONE_INTO_CGROUP: a live process is
 * never moved, which would take a lock that all forks of the machine wait for.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/apply.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/host.h"

#define KILL_TIMEOUT_MS 10000

int cgroup_check_unused(const struct host *h, const char *path, struct err *e)
{
	auto_str struct str events = { 0 };
	char full[PATH_MAX];
	auto_fd int fd = -1;

	snprintf(full, sizeof(full), "%s/%s", h->cgroup, path);
	fd = openat(AT_FDCWD, full, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_set(e, errno, "cannot open cgroup '%s'", path);
	/* ENOENT, ENODEV: removed just now */
	if (file_read_kernel(fd, "cgroup.events", 4096, &events, e) < 0)
		return e->code == ENOENT || e->code == ENODEV ? 0 : err_in(e, "cgroup '%s'", path);
	if (strstr(str_text(&events), "populated 1"))
		return err_set(e, ERR_EXISTS, "the container's cgroup is not empty: '%s'", path);
	/* who joins a frozen one stops where it is, and whoever waits for it waits for ever */
	if (strstr(str_text(&events), "frozen 1"))
		return err_set(e, ERR_STATE, "the container's cgroup unexpectedly frozen: '%s'",
			       path);
	return 0;
}

#define SUBTREE_CONTROL "cgroup.subtree_control"

static int write_controllers(int dir, const char *file, unsigned controllers, struct err *e)
{
	auto_str struct str text = { 0 };

	for (unsigned bit = 1; bit <= CTL_LAST; bit <<= 1)
		if (controllers & bit)
			str_addf(&text, "+%s ", controller_name(bit));
	return file_write_kernel(dir, file, str_text(&text), e);
}

/*
 * Passes the controllers of @st on to the children of @dir. All at once, which mostly works; or one by one, and
 * then names the one that is needed and that the kernel refuses.
 */
static int enable_controllers(int dir, const char *path, const struct step *st, struct err *e)
{
	unsigned all = st->cgroup.needed | st->cgroup.wanted;
	struct err refused;

	if (!all || write_controllers(dir, SUBTREE_CONTROL, all, &refused) == 0)
		return 0;
	for (unsigned bit = 1; bit <= CTL_LAST; bit <<= 1) {
		if (!(all & bit) || write_controllers(dir, SUBTREE_CONTROL, bit, &refused) == 0 ||
		    !(st->cgroup.needed & bit))
			continue;
		*e = refused;
		return err_in(e, "cannot enable the %s controller below cgroup '%s'%s",
			      controller_name(bit), *path ? path : "/",
			      e->code == EBUSY ? " (it has processes of its own)" : "");
	}
	return 0;
}

/* Makes @name in @dir, if it is not there, and opens it. */
static int make_one(int dir, const char *name)
{
	if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		return -1;
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/*
 * What mostly works: the parent is there, and can give its children all that they want. Nobody who was given
 * the parent alone needs more. 1; 0: the parent is not like that; -1 and *e.
 */
static int make_in_parent(struct apply *a, const struct step *st, struct err *e)
{
	unsigned all = st->cgroup.needed | st->cgroup.wanted;
	char full[PATH_MAX], control[PATH_MAX + sizeof(SUBTREE_CONTROL)];
	struct err refused;

	if ((size_t)snprintf(full, sizeof(full), "%s/%s", a->host->cgroup, st->cgroup.path) >=
	    sizeof(full))
		return err_set(e, ENAMETOOLONG, "cgroup '%.64s...'", st->cgroup.path);
	snprintf(control, sizeof(control), "%.*s/" SUBTREE_CONTROL,
		 (int)(strrchr(full, '/') - full), full);
	if (all && write_controllers(AT_FDCWD, control, all, &refused) < 0)
		return 0;
	a->cgroup = make_one(AT_FDCWD, full);
	if (a->cgroup >= 0)
		return 1;
	return errno == ENOENT ? 0 : err_set(e, errno, "cannot make cgroup '%s'", st->cgroup.path);
}

/* From the root down. */
static int make_path(struct apply *a, const struct step *st, struct err *e)
{
	const char *path = st->cgroup.path;
	char part[PATH_MAX];
	size_t len = 0;
	auto_fd int dir = openat(AT_FDCWD, a->host->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_set(e, errno, "cannot open '%s'", a->host->cgroup);
	while (path[len]) {
		size_t name = len + strspn(path + len, "/");
		int next;

		memcpy(part, path, len);
		part[len] = '\0';
		if (enable_controllers(dir, part, st, e) < 0)
			return -1;
		len = name + strcspn(path + name, "/");
		memcpy(part, path, len);
		part[len] = '\0';
		next = make_one(dir, part + name);
		if (next < 0)
			return err_set(e, errno, "cannot make cgroup '%s'", part);
		close(dir);
		dir = next;
	}
	a->cgroup = take_fd(&dir);
	return 0;
}

/* Whoever removes the last container removes the parent they shared, perhaps under our feet: ENOENT, again. */
int apply_cgroup_make(struct apply *a, const struct step *st, struct err *e)
{
	for (int tries = 0;; tries++) {
		int made = make_in_parent(a, st, e);

		if (made > 0 || (made == 0 && make_path(a, st, e) == 0))
			return 0;
		if (e->code != ENOENT || tries == 100)
			return -1;
	}
}

int apply_cgroup_set(struct apply *a, const struct step *st, struct err *e)
{
	if (file_write_kernel(a->cgroup, st->set.file, st->set.value, e) == 0)
		return 0;
	if (e->code == ENOENT && st->set.optional)
		return 0;
	return -1;
}

/*
 * The files that the kernel names as safe to give away (cgroups(7), "Cgroups delegation"): its limits stay with the
 * host's root, for those files are not in the list.
 */
int apply_cgroup_delegate(struct apply *a, const struct step *st, struct err *e)
{
	auto_str struct str list = { 0 };
	char *name, *rest;

	if (file_read_kernel(AT_FDCWD, "/sys/kernel/cgroup/delegate", 65536, &list, e) < 0)
		return -1;
	if (fchown(a->cgroup, st->owner.uid, st->owner.gid) < 0)
		return err_set(e, errno, "cannot give the cgroup away");
	for (rest = list.s; rest && (name = strsep(&rest, "\n"));)
		if (*name &&
		    fchownat(a->cgroup, name, st->owner.uid, st->owner.gid, AT_SYMLINK_NOFOLLOW) <
			    0 &&
		    errno != ENOENT)
			return err_set(e, errno, "cannot give '%s' away", name);
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Also one whose name begins with a dot: whoever lives there chooses the names. */
static bool is_cgroup(const struct dirent *ent)
{
	return ent->d_type == DT_DIR && !streq(ent->d_name, ".") && !streq(ent->d_name, "..");
}

/* @sig to all processes in @cgroup and below. What dies meanwhile is no failure. */
static void signal_tree(int cgroup, int sig)
{
	auto_str struct str procs = { 0 };
	auto_dir DIR *d = NULL;
	struct err ignored;
	struct dirent *ent;
	char *line, *rest;

	if (file_read_kernel(cgroup, "cgroup.procs", 16u << 20, &procs, &ignored) == 0)
		for (rest = procs.s; rest && (line = strsep(&rest, "\n"));)
			if (atoi(line) > 0) /* 0: a process of another pid namespace */
				kill(atoi(line), sig);
	d = dir_list(cgroup);
	while (d && (ent = readdir(d))) {
		auto_fd int child = -1;

		if (!is_cgroup(ent))
			continue;
		child = openat(cgroup, ent->d_name,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child >= 0)
			signal_tree(child, sig);
	}
}

int cgroup_signal(const char *root, const char *path, int sig, struct err *e)
{
	char full[PATH_MAX];
	auto_fd int fd = -1;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	fd = openat(AT_FDCWD, full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) /* systemd takes a scope away as soon as nobody is in it */
		return errno == ENOENT ? 0 : err_set(e, errno, "cannot open cgroup '%s'", path);
	signal_tree(fd, sig);
	return 0;
}

/* Before cgroup.kill (Linux 5.14): frozen, so that nothing can fork away, then one by one. */
static void kill_one_by_one(int cgroup)
{
	struct err ignored;

	(void)file_write_kernel(cgroup, "cgroup.freeze", "1", &ignored);
	signal_tree(cgroup, SIGKILL);
	(void)file_write_kernel(cgroup, "cgroup.freeze", "0", &ignored);
}

static int kill_all(int cgroup, const char *path, struct err *e)
{
	auto_fd int events = openat(cgroup, "cgroup.events", O_RDONLY | O_CLOEXEC);
	int64_t deadline = now_ms() + KILL_TIMEOUT_MS;
	struct pollfd p = { .fd = events, .events = POLLPRI };
	char text[256];
	struct err ignored;

	for (;;) {
		ssize_t n = events < 0 ? -1 : pread(events, text, sizeof(text) - 1, 0);

		if (n < 0) /* ENODEV, or ENOENT at the open: somebody has removed it */
			return errno == ENODEV || errno == ENOENT ?
				       0 :
				       err_set(e, errno, "cannot look into cgroup '%s'", path);
		text[n] = '\0';
		if (strstr(text, "populated 0"))
			return 0;
		if (now_ms() >= deadline)
			return err_set(e, ETIMEDOUT, "processes in cgroup '%s' do not die", path);
		if (file_write_kernel(cgroup, "cgroup.kill", "1", &ignored) < 0)
			kill_one_by_one(cgroup);
		(void)poll(&p, 1, 100); /* a change of cgroup.events, or have another look */
	}
}

int cgroup_open_of(const char *root, pid_t pid, struct err *e)
{
	auto_str struct str text = { 0 };
	char path[PATH_MAX];
	const char *line;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	if (file_read_kernel(AT_FDCWD, path, 65536, &text, e) < 0)
		return -1;
	line = strstr(str_text(&text), "0::/");
	if (!line)
		return err_set(e, ERR_INVALID, "'%s' names no cgroup v2", path);
	snprintf(path, sizeof(path), "%s%.*s", root, (int)strcspn(line + 3, "\n"), line + 3);
	fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_set(e, errno, "cannot open cgroup '%s'", path) : fd;
}

pid_t cgroup_clone(uint64_t flags, int cgroup, int *pidfd)
{
	struct clone_args args = {
		.flags = flags,
		.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
	};

	if (pidfd)
		args.flags |= CLONE_PIDFD;
	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup;
	}
	return sys_clone3(&args);
}

int cgroup_kill(const char *root, const char *path, struct err *e)
{
	char full[PATH_MAX];
	auto_fd int fd = -1;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	fd = openat(AT_FDCWD, full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_set(e, errno, "cannot open cgroup '%s'", path);
	return kill_all(fd, path, e);
}

/* The name of the first cgroup below @dir, or with @inode not 0 of the one that is it; "" if there is none. */
static int find_child(int dir, ino_t inode, char name[NAME_MAX + 1])
{
	auto_dir DIR *d = dir_list(dir);
	struct dirent *ent;

	if (!d)
		return -1;
	name[0] = '\0';
	while (!name[0] && (ent = readdir(d)))
		if (is_cgroup(ent) && (!inode || ent->d_ino == inode))
			snprintf(name, NAME_MAX + 1, "%s", ent->d_name);
	return 0;
}

/* rmdir; the last process may still be on its way out, so EBUSY is waited for. */
static int remove_one(int parent, const char *name, int64_t deadline, struct err *e)
{
	while (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
		if (errno != EBUSY && errno != ENOTEMPTY)
			return err_set(e, errno, "cannot remove cgroup '%s'", name);
		if (now_ms() >= deadline)
			return err_set(e, EBUSY, "cannot remove cgroup '%s'", name);
		nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	}
	return 0;
}

/*
 * Removes @path and all cgroups below. Whoever lived there may have nested them deeper than we may have descriptors or
 * stack: one descriptor walks down and up again. ".." is safe: a cgroup cannot be moved to another parent, and
 * cgroup2 has no links.
 */
static int remove_tree(const char *path, int64_t deadline, struct err *e)
{
	auto_fd int at = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char name[NAME_MAX + 1];
	unsigned depth = 0;

	if (at < 0)
		return errno == ENOENT ? 0 : err_set(e, errno, "cannot open cgroup '%s'", path);
	for (;;) {
		struct stat st;
		int next;

		if (find_child(at, 0, name) < 0)
			return err_set(e, errno, "cannot list what is below cgroup '%s'", path);
		if (!name[0] && depth == 0)
			return remove_one(AT_FDCWD, path, deadline, e);
		next = openat(at, name[0] ? name : "..",
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0 && errno == ENOENT)
			continue;
		if (next < 0 || fstat(at, &st) < 0) {
			err_set(e, errno, "cannot open what is below cgroup '%s'", path);
			own_close(&next);
			return -1;
		}
		depth += name[0] ? 1 : -1u;
		if (!name[0] && (find_child(next, st.st_ino, name) < 0 ||
				 (name[0] && remove_one(next, name, deadline, e) < 0))) {
			own_close(&next);
			return e->code ? -1 :
					 err_set(e, errno, "cannot list what is below cgroup '%s'",
						 path);
		}
		close(at);
		at = next;
	}
}

int cgroup_remove(const char *root, const char *path, unsigned levels, struct err *e)
{
	char full[PATH_MAX];
	char *slash;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	if (unlinkat(AT_FDCWD, full, AT_REMOVEDIR) < 0 && errno != ENOENT && errno != ENOTDIR) {
		if (cgroup_kill(root, path, e) < 0 ||
		    remove_tree(full, now_ms() + KILL_TIMEOUT_MS, e) < 0)
			return -1;
	}
	while (--levels > 0 && (slash = strrchr(full, '/')) > full + strlen(root)) {
		*slash = '\0';
		if (unlinkat(AT_FDCWD, full, AT_REMOVEDIR) < 0)
			break;
	}
	return 0;
}
