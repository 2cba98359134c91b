/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/pinned.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/sys.h"

#define NSFS	    0x6e736673
#define NAMESPACE   "mounts"
#define LOCK	    "mounts.lock"
#define CHILD_STACK 16384

struct errand {
	int (*f)(void *arg);
	void *arg;
	int ns, error;
};

static int in_child(void *arg)
{
	struct errand *j = arg;

	if ((j->ns >= 0 && setns(j->ns, CLONE_NEWNS) < 0) || j->f(j->arg) < 0)
		j->error = errno;
	_exit(0);
}

int pinned_work(int ns, int (*f)(void *arg), void *arg)
{
	char stack[CHILD_STACK] __attribute__((aligned(16)));
	struct errand j = { .f = f, .arg = arg, .ns = ns };
	sigset_t all, old;
	pid_t pid;

	sigfillset(&all); /* a handler would run in both */
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = clone(in_child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_FILES, &j);
	if (pid < 0)
		j.error = errno;
	while (pid > 0 && waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	sigprocmask(SIG_SETMASK, &old, NULL);
	errno = j.error;
	return j.error ? -1 : 0;
}

int pinned_clone(const char *path)
{
	return sys_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

int pinned_place(int tree, const char *path)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -1;
	return sys_move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
}

/* ---- the namespace ---- */

struct making {
	const char *run; /* any directory */
	int cpu;	 /* where; -1: anywhere */
	int ns;		 /* out */
};

/* A new namespace with an empty tmpfs for its root. */
static int make_namespace(void *arg)
{
	struct making *m = arg;
	cpu_set_t one;

	CPU_ZERO(&one);
	if (m->cpu >= 0)
		CPU_SET(m->cpu, &one);
	if (m->cpu >= 0 && sched_setaffinity(0, sizeof(one), &one) < 0)
		return -1;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	m->ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (m->ns < 0)
		return -1;
	if (mount("ctr", m->run, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0 ||
	    chdir(m->run) < 0 || sys_pivot_root(".", ".") < 0 || umount2(".", MNT_DETACH) < 0) {
		int error = errno;

		close(m->ns);
		errno = error;
		return -1;
	}
	return 0;
}

int pinned_open(const char *run)
{
	char path[PATH_MAX];
	auto_fd int fd = -1;
	struct statfs fs;

	if (snprintf(path, sizeof(path), "%s/" NAMESPACE, run) >= (int)sizeof(path))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == NSFS ? take_fd(&fd) : -1;
}

/*
 * A new namespace, bound to @path; -1 with errno. It is only bound by one that is older, lest two keep each other alive (EINVAL).
 * Linux 6.18 tells their age by numbers that each processor takes from a stock of its own, so that a newer one may look older:
 * then another processor does.
 */
static int make_pinned(const char *run, const char *path)
{
	struct making j = { .run = run, .cpu = -1 };
	char from[32];
	cpu_set_t all;

	CPU_ZERO(&all);
	(void)sched_getaffinity(0, sizeof(all), &all); /* none: one attempt */
	for (int cpu = -1; cpu < CPU_SETSIZE; cpu++) {
		auto_fd int ns = -1;

		if (cpu >= 0 && !CPU_ISSET(cpu, &all))
			continue;
		j.cpu = cpu;
		if (pinned_work(-1, make_namespace, &j) < 0)
			return -1;
		ns = j.ns;
		snprintf(from, sizeof(from), "/proc/self/fd/%d", ns);
		if (mount(from, path, NULL, MS_BIND, NULL) == 0)
			return take_fd(&ns);
		if (errno != EINVAL)
			return -1;
	}
	return -1;
}

/*
 * Where @run's mount has peers or slaves the kernel refuses to bind a namespace there (EINVAL), since they would get it too, and it
 * could keep itself alive: then @run becomes a private mount of its own, as /run/netns is one.
 */
static int make_pinned_anywhere(const char *run, const char *path)
{
	int ns = make_pinned(run, path);

	if (ns >= 0 || errno != EINVAL || mount(run, run, NULL, MS_BIND, NULL) < 0)
		return ns;
	ns = mount(NULL, run, NULL, MS_PRIVATE, NULL) < 0 ? -1 : make_pinned(run, path);
	if (ns < 0)
		(void)umount2(run, MNT_DETACH); /* of no use then */
	return ns;
}

int pinned_need(const char *run)
{
	char path[PATH_MAX];
	auto_fd int file = -1, ns = pinned_open(run);

	if (ns >= 0)
		return take_fd(&ns);
	if (snprintf(path, sizeof(path), "%s/" NAMESPACE, run) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	file = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return file < 0 ? -1 : make_pinned_anywhere(run, path);
}

int pinned_lock(const char *run, struct err *e)
{
	char path[PATH_MAX];
	auto_fd int fd = -1;

	if (dir_make_all(run, 0700, e) < 0)
		return -1;
	if (snprintf(path, sizeof(path), "%s/" LOCK, run) >= (int)sizeof(path))
		return err_set(e, ENAMETOOLONG, "'%s'", run);
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return err_set(e, errno, "cannot lock '%s'", path);
	return take_fd(&fd);
}
