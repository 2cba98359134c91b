/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/running.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/ioctl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/events.h"
#include "runtime/hosts.h"
#include "runtime/instances.h"
#include "runtime/life.h"
#include "runtime/usage.h"

#define WATCHER "watcher" /* a link, since a file would take a page of the tmpfs */

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

void running_close(struct running *r)
{
	own_close(&r->pidfd);
	own_close(&r->watcher_fd);
	r->pidfd = r->watcher_fd = -1;
}

int running_set_watcher(const struct state_dir *d, pid_t pid, struct err *e)
{
	uint64_t start = process_start_time(pid);
	char text[64];

	if (!start)
		return err_set(e, ERR_INVALID, "cannot read the start time of process %d", pid);
	snprintf(text, sizeof(text), "%d %llu", pid, (unsigned long long)start);
	if (symlinkat(text, d->dir, WATCHER) == 0)
		return 0;
	/* of one that died; what another adoption has left in between goes first */
	if (errno != EEXIST || (unlinkat(d->dir, WATCHER ".new", 0) < 0 && errno != ENOENT) ||
	    symlinkat(text, d->dir, WATCHER ".new") < 0 ||
	    renameat(d->dir, WATCHER ".new", d->dir, WATCHER) < 0)
		return err_set(e, errno, "cannot record the supervisor");
	return 0;
}

/* The watcher, if it is alive and the same one. */
static int look_at_watcher(const struct state_dir *d, struct running *r, struct err *e)
{
	char text[64] = "";
	auto_fd int fd = -1;
	unsigned long long start;
	int pid;

	if (readlinkat(d->dir, WATCHER, text, sizeof(text) - 1) < 0)
		return errno == ENOENT ? 0 : /* none was written: as good as dead */
					 err_set(e, errno, "cannot read who supervises '%s'", d->id);
	if (sscanf(text, "%d %llu", &pid, &start) != 2 || pid <= 0)
		return 0;
	fd = sys_pidfd_open(pid, 0);
	if (fd < 0) /* alive but not held, it would get a rival */
		return errno == ESRCH ? 0 : err_set(e, errno, "cannot hold on to process %d", pid);
	if (process_start_time(pid) != start || pidfd_wait(fd, 0))
		return 0;
	r->watcher = pid;
	r->watcher_fd = take_fd(&fd);
	return 0;
}

int running_look(const struct instances *all, const char *name, struct running *r, struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	struct running got = RUNNING_NONE;
	struct state_dir d;
	struct state st;
	int status;

	if (!a)
		return err_set(e, ENOMEM, "instance '%s'", name);
	if (state_open(all->states, name, &d, e) < 0) {
		if (e->code != ERR_NO_SUCH)
			return -1;
		*r = got;
		return 0;
	}
	got.exists = true;
	status = look_at_watcher(&d, &got, e);
	if (status == 0 && state_read(&d, a, &st, e) < 0) {
		got.half = e->code == ERR_STATE;
		status = got.half ? STATUS_STOPPED : -1;
	} else if (status == 0) {
		status = state_status(&d, &st, &got.pidfd, e);
		got.pid = st.pid;
		got.started_ns = st.created_ns;
	}
	state_close(&d);
	if (status < 0) {
		running_close(&got);
		return -1;
	}
	got.status = status;
	*r = got;
	return 0;
}

int pidfd_wait(int pidfd, int ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	struct timespec begin, now;
	int left = ms;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (;;) {
		int n = poll(&p, 1, left);

		if (n > 0)
			return 1;
		if (n == 0)
			return 0;
		if (errno != EINTR)
			return 0;
		if (ms < 0)
			continue;
		clock_gettime(CLOCK_MONOTONIC, &now);
		left = ms - (int)((now.tv_sec - begin.tv_sec) * 1000 +
				  (now.tv_nsec - begin.tv_nsec) / 1000000);
		if (left < 0)
			left = 0;
	}
}

/* linux/pidfd.h of Linux 6.15 and later; older kernels take the smaller structure and leave the mask's bit clear. */
struct pidfd_info_615 {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
	uint32_t coredump_mask, spare;
};
#define INFO_EXIT (1UL << 3)
#define GET_INFO  _IOWR(0xFF, 11, struct pidfd_info_615)

/* The pid behind a descriptor; -1 when the process was reaped (proc_pid_fdinfo(5)). */
static int pid_of(int pidfd)
{
	char path[48], text[512];
	auto_fd int fd = -1;
	const char *at;
	ssize_t n;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 :
		     read(fd, text, sizeof(text) - 1); /* not on the heap: a supervisor has none */
	if (n < 0)
		return -1;
	text[n] = '\0';
	at = strstr(text, "Pid:");
	return at && sscanf(at, "Pid: %d", &pid) == 1 ? pid : -1;
}

int running_hold_network(int pidfd)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid_of(pidfd));
	return openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
}

static bool kernel_remembers(int pidfd, int *status)
{
	struct pidfd_info_615 info = { .mask = INFO_EXIT };

	if (ioctl(pidfd, GET_INFO, &info) < 0 || !(info.mask & INFO_EXIT))
		return false;
	*status = info.exit_code;
	return true;
}

/* Field 52 of /proc/PID/stat, the last one, of a zombie that nobody has reaped yet. */
static bool zombie_tells(int pidfd, int *status)
{
	auto_str struct str text = { 0 };
	int pid = pid_of(pidfd), code;
	struct err ignored;
	const char *after, *last;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (pid <= 0 || file_read_kernel(AT_FDCWD, path, 4096, &text, &ignored) < 0)
		return false;
	after = strrchr(str_text(&text), ')');
	last = after ? strrchr(after, ' ') : NULL;
	if (!last || after[1] != ' ' || after[2] != 'Z' || sscanf(last, "%d", &code) != 1 ||
	    pid_of(pidfd) != pid) /* else the number may be another process' by now */
		return false;
	*status = code;
	return true;
}

static void set_status(struct instance_exit *x, int status)
{
	x->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	x->code = WIFSIGNALED(status) ? 128 + x->signal : WEXITSTATUS(status);
}

void running_exit_status(int pidfd, struct instance_exit *x)
{
	siginfo_t info = { 0 };
	int status;

	x->code = -1;
	x->signal = 0;
	x->time = time(NULL);
	if (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED | __WALL) == 0) {
		x->signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
		x->code = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
		return;
	}
	/* Somebody else's child: a zombie until process 1 reaps it, and then the kernel remembers. */
	for (int tries = 0; tries < 100; tries++) {
		if (kernel_remembers(pidfd, &status) || zombie_tells(pidfd, &status)) {
			set_status(x, status);
			return;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
}

void running_exit_of_system(struct instance_exit *x)
{
	if (x->signal == SIGINT)
		x->code = x->signal = 0;
}

/* memory.events of the instance's cgroup; where there is no memory controller, nobody counted. */
static bool killed_by_limit(const struct state *st)
{
	auto_str struct str text = { 0 };
	char path[PATH_MAX];
	struct err ignored;
	const char *at;

	if (!st->cgroup || !st->cgroup_root)
		return false;
	snprintf(path, sizeof(path), "%s/%s/memory.events", st->cgroup_root, st->cgroup);
	if (file_read_kernel(AT_FDCWD, path, 4096, &text, &ignored) < 0)
		return false;
	at = strstr(str_text(&text), "oom_kill ");
	return at && at[9] != '0';
}

/*
 * Which process the kernel chose, from its own log (Linux 4.20: dump_oom_summary()):
 *	6,1234,5678,-;oom-kill:constraint=CONSTRAINT_MEMCG,...,oom_memcg=/ctr/NAME,task_memcg=...,task=dd,pid=99,uid=0
 * The last one that names the cgroup counts. What a process calls itself is its own choice: nothing after "task=" is trusted to be
 * more than a name.
 */
static void find_oom_process(const struct state *st, struct instance_exit *x)
{
	auto_fd int fd =
		openat(AT_FDCWD, "/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	char record[8192];
	ssize_t n;

	/* a record that was overwritten meanwhile is EPIPE: the next one is there */
	while (fd >= 0 && ((n = read(fd, record, sizeof(record) - 1)) > 0 || errno == EPIPE)) {
		const char *group, *end, *task, *pid = NULL;
		size_t len;

		record[n > 0 ? n : 0] = '\0';
		group = strstr(record, ",oom_memcg=");
		if (!strstr(record, ";oom-kill:") || !group)
			continue;
		group += strlen(",oom_memcg=");
		end = strstr(group, ",task_memcg=");
		len = strlen(st->cgroup);
		if (!end || (size_t)(end - group) < len + 1 || end[-(ssize_t)len - 1] != '/' ||
		    memcmp(end - len, st->cgroup, len) != 0)
			continue;
		task = strstr(end, ",task=");
		for (const char *at = task; at; at = strstr(at + 1, ",pid="))
			pid = at;
		if (!task || pid == task)
			continue;
		task += strlen(",task=");
		snprintf(x->oom_process, sizeof(x->oom_process), "%.*s", (int)(pid - task), task);
		x->oom_pid = strtol(pid + strlen(",pid="), NULL, 10);
	}
}

/*
 * Written before the run state goes: a kill in between leaves both, and the next attempt finds a record that is
 * younger than the start.
 */
static int record(struct instance_dir *d, const struct state *st, const struct instance_exit *x,
		  bool ephemeral, bool sync, struct err *e)
{
	struct instance_exit old, now = { .code = -1, .time = time(NULL) };
	struct err ignored;

	if (x)
		now = *x;
	else if (!ephemeral && instance_read_exit(d, &old, &ignored) == 0 &&
		 old.time >= st->created_ns / 1000000000)
		return 0;
	now.oom = killed_by_limit(st);
	if (now.oom)
		find_oom_process(st, &now);
	if (now.oom)
		events_append(d->all, &(struct event){ .type = EVENT_OOM, .name = d->name });
	events_append(d->all, &(struct event){ .type = EVENT_DIED,
					       .name = d->name,
					       .pid = st->pid,
					       .has_code = true,
					       .code = now.code,
					       .signal = now.signal });
	return ephemeral ? 0 : instance_write_exit(d, &now, sync, e);
}

int running_end(struct instance_dir *d, bool ephemeral, const struct instance_exit *x,
		struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	struct state_dir sd;
	struct state st;
	bool whole;

	if (!a)
		return err_set(e, ENOMEM, "instance '%s'", d->name);
	hosts_remove(d->all, d->name);
	if (state_open(d->all->states, d->name, &sd, e) == 0) {
		whole = state_read(&sd, a, &st, e) == 0;
		if (!whole && e->code != ERR_STATE)
			log_warn("%s",
				 e->msg); /* damaged: what its journal names can still be undone */
		if (whole && record(d, &st, x, ephemeral, true, e) < 0)
			log_warn("instance '%s': %s", d->name, e->msg);
		if (whole && usage_write_receipt(d, &sd, &st, e) < 0)
			log_warn("what instance '%s' has used is not recorded: %s", d->name,
				 e->msg);
		if (life_delete(&sd, whole ? &st : NULL, NULL, e) < 0) {
			state_close(&sd);
			return -1;
		}
	} else if (e->code != ERR_NO_SUCH) {
		return -1;
	}
	return ephemeral ? instance_remove(d, e) : 0;
}
