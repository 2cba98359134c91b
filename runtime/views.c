/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/views.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/base/pinned.h"

#define DIRECTORY "/views"
#define LOCK	  "views.lock"
#define OF_XATTR  "trusted.of" /* "NAME BEGUN CGROUP" */
#define OF_MAX	  (PATH_MAX + 64)
#define FRESH_NS  50000000 /* who reads in pieces gets one state of things */

enum { MEMINFO, STAT, CPUINFO, LOADAVG, ONLINE };

static const struct {
	const char *name, *path;
} files[VIEWS] = {
	[MEMINFO] = { "meminfo", "/proc/meminfo" },
	[STAT] = { "stat", "/proc/stat" },
	[CPUINFO] = { "cpuinfo", "/proc/cpuinfo" },
	[LOADAVG] = { "loadavg", "/proc/loadavg" },
	[ONLINE] = { "online", "/sys/devices/system/cpu/online" },
};

void views_init(struct views *v)
{
	v->dir = -1;
	v->maker = getpid();
	for (size_t i = 0; i < VIEWS; i++)
		v->of[i] = (struct view){ files[i].path, -1 };
}

static char *name_of(const struct views *v, size_t file, char *out, size_t size)
{
	snprintf(out, size, "%s-%d", files[file].name, v->maker);
	return out;
}

/* The mounts are there without a name, but one without cannot be attached. */
void views_close(struct views *v)
{
	char name[32];

	for (size_t i = 0; i < VIEWS; i++) {
		if (v->of[i].tree < 0)
			continue;
		close(v->of[i].tree);
		v->of[i].tree = -1;
		(void)unlinkat(v->dir, name_of(v, i, name, sizeof(name)), 0);
	}
	own_close(&v->dir);
	v->dir = -1;
}

/* ---- the viewer ---- */

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* What the file @fd shows is written anew. Nobody is to be told of a failure: it stays as it was. */
static void refresh(int fd)
{
	auto_str struct str text = { 0 };
	struct share s = { .file = fd };
	char of[OF_MAX], name[16];
	auto_fd int cgroup = -1;
	long long begun;
	struct err e;
	int skip = 0;
	ssize_t n = fgetxattr(fd, OF_XATTR, of, sizeof(of) - 1);

	if (n <= 0)
		return;
	of[n] = '\0';
	if (sscanf(of, "%15s %lld %n", name, &begun, &skip) != 2 || !skip)
		return;
	cgroup = open(of + skip, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s.cgroup = cgroup;
	s.begun_ns = begun;
	if (cgroup >= 0 && view_write(name, &s, &text, &e) == 0 &&
	    pwrite(fd, str_text(&text), text.len, 0) == (ssize_t)text.len)
		(void)!ftruncate(fd, (off_t)text.len);
}

/* Who opens it always gets the present; who goes on reading, from time to time. */
static void answer(int group, const struct fanotify_event_metadata *event)
{
	struct fanotify_response response = { .fd = event->fd, .response = FAN_ALLOW };
	struct timespec time;
	struct stat st;

	clock_gettime(CLOCK_REALTIME, &time);
	if (fstat(event->fd, &st) == 0 &&
	    (event->mask & FAN_OPEN_PERM || !st.st_size ||
	     (time.tv_sec - st.st_mtim.tv_sec) * 1000000000ll + time.tv_nsec - st.st_mtim.tv_nsec >
		     FRESH_NS))
		refresh(event->fd);
	(void)!write(group, &response, sizeof(response));
	close(event->fd);
}

static void answer_all(int group)
{
	struct fanotify_event_metadata events[64];
	ssize_t n = read(group, events, sizeof(events));

	/* one that an instance has made read-only for itself cannot be opened here, and is an error of read(2) */
	for (const struct fanotify_event_metadata *m = events; n > 0 && FAN_EVENT_OK(m, n);
	     m = FAN_EVENT_NEXT(m, n))
		if (m->fd >= 0)
			answer(group, m);
}

/* Of a command that was killed meanwhile. One that is older than this has been as well, or is done with its name. */
#define NAME_MAX_AGE 60

static void remove_names(void)
{
	auto_dir DIR *d = dir_list(VIEWS_DIR);
	struct dirent *ent;
	struct stat st;

	while (d && (ent = readdir(d)))
		if (ent->d_name[0] != '.' &&
		    fstatat(VIEWS_DIR, ent->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_ctim.tv_sec + NAME_MAX_AGE < time(NULL))
			(void)unlinkat(VIEWS_DIR, ent->d_name, 0);
}

/* The directory is the one file that is always there. */
static bool any_file_left(void)
{
	struct statfs fs;

	return fstatfs(VIEWS_DIR, &fs) < 0 || fs.f_files - fs.f_ffree > 1;
}

/*
 * An instance makes its files before it looks whether there is a viewer: so either it finds that the lock is free, or its files are
 * seen here.
 */
static bool may_end(void)
{
	if (any_file_left())
		return false;
	flock(VIEWS_LOCK, LOCK_UN);
	return !any_file_left() || flock(VIEWS_LOCK, LOCK_EX | LOCK_NB) < 0;
}

int views_serve(void)
{
	struct pollfd fds[] = { { .fd = VIEWS_GROUP, .events = POLLIN },
				{ .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
				  .events = POLLIN } };
	char path[40], ends[4096];
	/* after an instance's end its mounts go in their own time */
	int soon = 0;

	prctl(PR_SET_NAME, "ctr-views");
	snprintf(path, sizeof(path), "/proc/self/fd/%d/state", VIEWS_RUN);
	(void)inotify_add_watch(fds[1].fd, path, IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR);
	for (;;) {
		int n = poll(fds, 2, soon > 0 ? 50 : 10000);

		if (n < 0 && errno != EINTR)
			return 1;
		if (n > 0 && fds[0].revents)
			answer_all(VIEWS_GROUP);
		if (n > 0 && fds[1].revents) {
			(void)!read(fds[1].fd, ends, sizeof(ends));
			soon = 20;
		}
		if (n == 0) {
			soon -= soon > 0;
			remove_names();
			if (may_end())
				return 0;
		}
	}
}

/* In a new process, whose parent waits. */
__attribute__((noreturn)) static void become_viewer(const int from[4])
{
	static const int to[] = { VIEWS_GROUP, VIEWS_LOCK, VIEWS_DIR, VIEWS_RUN };
	char *argv[] = { (char *)(uintptr_t)VIEWER, NULL }, *envp[] = { NULL };
	int moved[4], null;

	if (setsid() < 0 || fork() != 0) /* not the command's child: nobody waits for it */
		_exit(0);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 4; i++)
		moved[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 16);
	for (int i = 0; i < 4; i++)
		if (dup2(moved[i], to[i]) < 0)
			_exit(1);
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	(void)syscall(SYS_close_range, VIEWS_RUN + 1, ~0u, 0);
	(void)!chdir("/");
	execve("/proc/self/exe", argv, envp);
	_exit(views_serve());
}

/*
 * Sees to it that there is one. The lock file is locked by it as long as it lives; the group is asked from before it lives, so that
 * whoever reads meanwhile waits for it.
 */
static int need_viewer(const char *run, int dir)
{
	auto_fd int at = open(run, O_RDONLY | O_DIRECTORY | O_CLOEXEC), lock = -1, group = -1;
	int status;
	pid_t pid;

	lock = at < 0 ? -1 : openat(at, LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return -1;
	if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 0 : -1;
	group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE,
			      O_RDWR | O_CLOEXEC);
	if (group < 0 || fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
				       FAN_OPEN_PERM | FAN_ACCESS_PERM, dir, NULL) < 0)
		return -1;
	pid = fork();
	if (pid == 0)
		become_viewer((int[]){ group, lock, dir, at });
	return pid < 0 || waitpid(pid, &status, 0) < 0 ? -1 : 0;
}

/* ---- an instance's files ---- */

struct opening {
	struct views *views;
	const char *cgroup;
	bool memory;
	int64_t begun;
};

static int make_file(const struct opening *o, size_t file)
{
	char name[32], path[64], of[OF_MAX];
	int len = snprintf(of, sizeof(of), "%s %lld %s", files[file].name, (long long)o->begun,
			   o->cgroup);
	int tree;

	snprintf(path, sizeof(path), DIRECTORY "/%s", name_of(o->views, file, name, sizeof(name)));
	if (len >= (int)sizeof(of) || (mknod(path, S_IFREG | 0444, 0) < 0 && errno != EEXIST))
		return -1;
	tree = setxattr(path, OF_XATTR, of, (size_t)len, 0) == 0 ? pinned_clone(path) : -1;
	if (tree < 0)
		(void)unlink(path);
	return tree;
}

static int make_files(void *arg)
{
	const struct opening *o = arg;
	struct views *v = o->views;

	v->dir = open(DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v->dir < 0)
		return -1;
	for (size_t i = 0; i < VIEWS; i++)
		if (i != MEMINFO || o->memory)
			v->of[i].tree = make_file(o, i);
	return 0;
}

static int make_directory(void *arg)
{
	auto_fd int fs = sys_fsopen("tmpfs", FSOPEN_CLOEXEC), tree = -1;

	(void)arg;
	if (fs < 0 || sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
	    sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	tree = sys_fsmount(fs, FSMOUNT_CLOEXEC,
			   MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return tree < 0 ? -1 : pinned_place(tree, DIRECTORY);
}

static int open_files(const char *run, struct opening *o)
{
	auto_fd int ns = pinned_open(run), lock = -1;
	struct err e = { 0 };

	if (ns >= 0 && pinned_work(ns, make_files, o) == 0)
		return 0;
	lock = pinned_lock(run, &e);
	if (lock < 0)
		return -1;
	own_close(&ns);
	ns = pinned_need(run);
	if (ns < 0)
		return -1;
	/* another command may have been faster */
	return pinned_work(ns, make_files, o) == 0 || (pinned_work(ns, make_directory, NULL) == 0 &&
						       pinned_work(ns, make_files, o) == 0) ?
		       0 :
		       -1;
}

void views_open(const char *run, const char *cgroup, bool memory, struct views *v)
{
	struct opening o = { v, cgroup, memory, now() };

	if (open_files(run, &o) == 0 && need_viewer(run, v->dir) == 0)
		return;
	log_debug("instances see the host's /proc/stat and the like: %s", strerror(errno));
	views_close(v);
}
