/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life_exec.c - a further process in a running container.
 *
 *   parent                                   joiner                      child (becomes the payload)
 *   opens pidfd and cgroup, plans
 *   forks ----------------------------------> not dumpable
 *                                             setns(pidfd, all namespaces but cgroup)
 *                                             clone3(CLONE_PARENT) -----> cgroup namespace
 *                                                                         root of the user namespace
 *   <------------------------- cloned, pid ---
 *   STAGE_HOST_WITH_PID: limits               exits                      opens its pty
 *   --- go ------------------------------------------------------------->
 *   <----------------------------------------- created, with the console -
 *                                                                         STAGE_LAST, execve
 *   <----------------------------------------- the end, or a failure ----
 *
 * The joiner is needed because a pid namespace is entered by one's children only; the child is a sibling of the
 * joiner, so that the parent is who waits for it. Both are not dumpable: processes of the container could
 * otherwise trace them or reach the host through their descriptors (CVE-2016-9962, CVE-2019-5736).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/apply.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/exec.h"
#include "runtime/handover.h"
#include "runtime/handshake.h"
#include "runtime/host.h"
#include "runtime/listener.h"
#include "runtime/life.h"
#include "runtime/plan.h"
#include "runtime/spec.h"
#include "runtime/state.h"

struct entry {			 /* what the processes of one exec need */
	const struct spec *spec; /* the container's, with the new process in it */
	const struct exec_options *o;
	struct apply apply;
	int sock;
	int target; /* pidfd of the container's first process, which is */
	pid_t first;
	int cgroup_namespace;
	bool cgroup_namespace_is_ours;
	char home[EXEC_HOME_MAX];
};

static void entry_fail(int sock, const struct err *e)
{
	say_failed(sock, e);
	_exit(1);
}

static int join_namespaces(const struct entry *n, struct err *e)
{
	unsigned flags = 0;

	for (size_t i = 0; i < n->spec->n_namespaces; i++)
		flags |= n->spec->namespaces[i].flag;
	flags &= ~(unsigned)CLONE_NEWCGROUP;
	if (n->cgroup_namespace_is_ours && setns(n->cgroup_namespace, CLONE_NEWCGROUP) < 0)
		return err_set(e, errno, "cannot join the container's cgroup namespace");
	/* one call for all, Linux 5.8; the kernel gets the order right */
	if (setns(n->target, (int)flags) < 0)
		return err_set(e, errno, "cannot join the container's namespaces");
	return 0;
}

/* The mount namespace brings its root along. Without one of its own a container has the root that its first process has. */
static int enter_root(const struct entry *n, struct err *e)
{
	auto_fd int root = -1;
	char path[40];

	if (spec_namespace(n->spec, CLONE_NEWNS))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/root", n->first);
	root = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || fchdir(root) < 0 || chroot(".") < 0)
		return err_set(e, errno, "cannot enter the container's root");
	return 0;
}

static bool is_of_our_userns(int ns)
{
	auto_fd int owner = ioctl(ns, NS_GET_USERNS);
	struct stat is, ours;

	return owner >= 0 && fstat(owner, &is) == 0 && stat("/proc/self/ns/user", &ours) == 0 &&
	       is.st_ino == ours.st_ino && is.st_dev == ours.st_dev;
}

/*
 * The child joins it, once it is in its cgroup: where cgroup2 is mounted with "nsdelegate", as systemd does, nobody
 * inside a cgroup namespace can bring a process in from outside of it (ENOENT, Documentation/admin-guide/cgroup-v2.rst).
 * One that belongs to our own user namespace, as checkpoint_restore() makes it on hosts with cgroup v1, is joined before that is left.
 */
static int open_cgroup_namespace(struct entry *n, pid_t first, struct err *e)
{
	char path[40];

	if (!spec_namespace(n->spec, CLONE_NEWCGROUP))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/cgroup", first);
	n->cgroup_namespace = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (n->cgroup_namespace < 0)
		return err_set(e, errno, "cannot open '%s'", path);
	n->cgroup_namespace_is_ours = spec_namespace(n->spec, CLONE_NEWUSER) &&
				      is_of_our_userns(n->cgroup_namespace);
	return 0;
}

static int join_cgroup_namespace(const struct entry *n, struct err *e)
{
	if (n->cgroup_namespace >= 0 && !n->cgroup_namespace_is_ours &&
	    setns(n->cgroup_namespace, CLONE_NEWCGROUP) < 0)
		return err_set(e, errno, "cannot join the container's cgroup namespace");
	return 0;
}

static pid_t clone_into(int cgroup, struct err *e)
{
	pid_t pid = cgroup_clone(CLONE_PARENT, cgroup, NULL);

	return pid < 0 ? err_set(e, errno, "cannot make a process in the container") : pid;
}

static int become_root(const struct entry *n, struct err *e)
{
	if (!spec_namespace(n->spec, CLONE_NEWUSER))
		return 0;
	if (sys_setresgid(0) < 0 || sys_setresuid(0) < 0)
		return err_set(e, errno, "cannot become root of the user namespace");
	return 0;
}

/* What the child does not need; all but a few descriptors the joiner has closed before it went inside. */
static int close_files(const struct entry *n, struct err *e)
{
	const int *in = n->o->stdio;
	const int keep[] = { n->sock, n->cgroup_namespace, in[0], in[1], in[2] };

	return exec_close_files(n->o->preserve_fds, keep, sizeof(keep) / sizeof(keep[0]), e);
}

/* setns() into the mount namespace has made its root ours. */
static int open_console(struct entry *n, struct err *e)
{
	if (!n->spec->process.terminal)
		return 0;
	n->apply.root = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (n->apply.root < 0)
		return err_set(e, errno, "cannot open the container's root");
	return apply_open_pty(&n->apply, &n->spec->process, e);
}

static int say_created(struct entry *n, struct err *e)
{
	int master = n->apply.console_master;

	if (say_fds(n->sock, MSG_CREATED, &master, master >= 0, e) < 0)
		return -1;
	if (master >= 0)
		close(master);
	n->apply.console_master = -1;
	return 0;
}

static int find_program(struct entry *n, struct err *e)
{
	if (exec_find(&n->spec->process, e) < 0)
		return -1;
	exec_find_home(&n->spec->process, n->home);
	return 0;
}

/*
 * process.execCPUAffinity: "initial" on the way into the container's cgroup, so that nothing of ours runs on its
 * processors' neighbours meanwhile; "final" once there (runtime-spec, config.md). More than the cgroup has is cut.
 */
static int set_affinity(const char *list, const char *which, struct err *e)
{
	unsigned long mask[CPUS_MAX / (8 * sizeof(unsigned long))] = { 0 };

	if (!list || !*list)
		return 0;
	if (parse_bits(list, mask, CPUS_MAX) < 0)
		return err_set(e, ERR_INVALID,
			       "process.execCPUAffinity.%s: '%s' is no list of numbers below %d",
			       which, list, CPUS_MAX);
	if (syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask) < 0)
		return err_set(e, errno, "process.execCPUAffinity.%s: cannot run on CPUs %s", which,
			       list);
	return 0;
}

static int last_stage(struct entry *n, struct err *e)
{
	n->apply.sock = n->sock;
	return apply_stage(&n->apply, STAGE_LAST, e);
}

static void exec_child(struct entry *n)
{
	struct err *e = &(struct err){ 0 };

	(void)setsid(); /* a new child can always do it */
			/* clang-format off */
	if (set_affinity(n->spec->process.exec_affinity_final, "final", e) < 0 ||
	    close_files(n, e) < 0 ||
	    join_cgroup_namespace(n, e) < 0 ||
	    become_root(n, e) < 0 ||
	    open_console(n, e) < 0 ||
	    find_program(n, e) < 0 ||
	    hear(n->sock, MSG_GO, e) < 0 ||
	    say_created(n, e) < 0 ||
	    exec_set_stdio(n->o->stdio, n->apply.console, e) < 0 ||
	    exec_reset_signals(exec_ignored_signals(), e) < 0 ||
	    last_stage(n, e) < 0 ||
	    exec_payload(&n->spec->process, n->home, e) < 0)
		entry_fail(n->sock, e);
			/* clang-format on */
}

/* Never returns. */
static void exec_joiner(struct entry *n, int first_cgroup)
{
	const int *in = n->o->stdio;
	const int keep[] = {
		n->sock, n->target, n->apply.cgroup, first_cgroup, n->cgroup_namespace, in[0],
		in[1],	 in[2]
	};
	const size_t n_keep = sizeof(keep) / sizeof(keep[0]);
	struct err e = { 0 };
	pid_t pid = -1;

	/* what only a dumpable process may do to itself, and its child inherits */
	n->apply.pid = getpid();
	if (set_affinity(n->spec->process.exec_affinity_initial, "initial", &e) < 0 ||
	    apply_stage(&n->apply, STAGE_IDS, &e) < 0)
		entry_fail(n->sock, &e);
	/* directories of the host must not even be there where a tracer with all capabilities could find them */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		err_set(&e, errno, "cannot become undumpable");
	else if (exec_close_files(n->o->preserve_fds, keep, n_keep, &e) == 0 &&
		 join_namespaces(n, &e) == 0 && enter_root(n, &e) == 0) {
		pid = clone_into(n->apply.cgroup, &e);
		if (pid < 0 && e.code == EBUSY && first_cgroup >= 0)
			pid = clone_into(first_cgroup, &e);
	}
	if (pid == 0)
		exec_child(n);
	if (pid > 0 && say_number(n->sock, MSG_CLONED, pid, &e) == 0)
		_exit(0);
	entry_fail(n->sock, &e);
}

static int open_cgroup(struct entry *n, const struct state *st, struct err *e)
{
	char path[PATH_MAX];
	const char *sub = n->o->cgroup ? n->o->cgroup : "";

	if (!st->cgroup)
		return 0;
	if (strstr(sub, ".."))
		return err_set(e, ERR_INVALID,
			       "bad sub cgroup path '%s': `..` components are not allowed", sub);
	snprintf(path, sizeof(path), "%s/%s/%s", st->cgroup_root, st->cgroup, sub);
	n->apply.cgroup = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (n->apply.cgroup >= 0)
		return 0;
	if (errno != ENOENT || n->o->cgroup)
		return err_set(e, errno, "cannot open cgroup '%s'", path);
	/* the first process went elsewhere, and systemd took the empty scope away */
	n->apply.cgroup = cgroup_open_of(st->cgroup_root, st->pid, e);
	return n->apply.cgroup < 0 ? -1 : 0;
}

static int hear_created(struct entry *n, struct life *l, struct err *e)
{
	size_t count = 1;
	int fd = -1;

	if (hear_fds(n->sock, MSG_CREATED, &fd, &count, e) < 0)
		return -1;
	l->console = fd;
	return 0;
}

static int exec_parent(struct entry *n, const struct state *st, struct life *l, struct err *e)
{
	auto_fd int first_cgroup = -1;
	int ends[2];
	pid_t joiner;

	/*
	 * The payload's cgroup is a leaf no more once an init has made cgroups of its own and enabled controllers: then
	 * nothing can be born in it (EBUSY, "no internal processes"), and the place is where the first process is.
	 */
	if (n->apply.cgroup >= 0 && !n->o->cgroup)
		first_cgroup = cgroup_open_of(n->apply.host->cgroup, st->pid, &(struct err){ 0 });
	if (handshake_pair(ends, e) < 0)
		return -1;
	joiner = fork();
	if (joiner == 0) {
		n->sock = ends[1];
		close(ends[0]); /* or it would never hear of the parent's death */
		exec_joiner(n, first_cgroup);
	}
	close(ends[1]);
	n->sock = ends[0];
	if (joiner < 0)
		return err_set(e, errno, "cannot fork");
	if (hear_pid(n->sock, joiner, &l->pid, e) < 0) {
		l->pid = -1;
		return -1;
	}
	l->pidfd = sys_pidfd_open(l->pid, 0);
	if (l->pidfd < 0)
		return err_set(e, errno, "cannot hold on to process %d", l->pid);
	n->apply.pid = l->pid;
	if (apply_stage(&n->apply, STAGE_HOST_WITH_PID, e) < 0 || say(n->sock, MSG_GO, e) < 0 ||
	    hear_created(n, l, e) < 0 || console_send(n->o->console_socket, &l->console, e) < 0 ||
	    listener_hear_end(n->sock, l->pidfd, l->pid, n->spec, n->apply.id, STATUS_RUNNING, e) <
		    0) {
		hear_why(n->sock, e);
		return -1;
	}
	/* only now: conmon takes the existence of the file for success */
	return pid_file_write(n->o->pid_file, l->pid, e);
}

int life_exec(struct state_dir *d, const struct state *st, const struct spec *s,
	      const struct host *h, const struct process_spec *process,
	      const struct exec_options *o, struct life *l, struct err *e)
{
	struct spec with = *s;
	struct entry n = { .spec = &with, .o = o, .sock = -1, .target = -1, .cgroup_namespace = -1 };
	struct life made = { .pid = -1, .pidfd = -1, .console = -1 };
	auto_plan struct plan *p = NULL;
	int status = state_status(d, st, &n.target, e);
	int r = -1;

	n.first = st->pid;
	with.process = *process;
	with.has_process = true;
	apply_init(&n.apply, &with, NULL, h, d->id);
	n.apply.state = d;
	if (status == STATUS_STOPPED)
		err_set(e, ERR_STATE, "container not running");
	else if (status < 0)
		; /* *e says why */
	else if (status == STATUS_PAUSED && !o->ignore_paused)
		err_set(e, ERR_STATE,
			"cannot exec in a paused container (use --ignore-paused to override)");
	else if ((p = plan_build_exec(&with, h, e)) && open_cgroup(&n, st, e) == 0 &&
		 open_cgroup_namespace(&n, st->pid, e) == 0) {
		n.apply.plan = p;
		/* who lives inside may stop what comes in; that must not keep others from killing all of it */
		state_unlock(d);
		r = exec_parent(&n, st, &made, e);
	}
	if (r == 0) {
		*l = made;
	} else if (made.pid > 0) {
		kill(made.pid, SIGKILL);
		while (waitpid(made.pid, NULL, __WALL) < 0 && errno == EINTR)
			;
		if (made.pidfd >= 0)
			close(made.pidfd);
		if (made.console >= 0)
			close(made.console);
	}
	if (n.sock >= 0)
		close(n.sock);
	if (n.target >= 0)
		close(n.target);
	if (n.cgroup_namespace >= 0)
		close(n.cgroup_namespace);
	apply_close(&n.apply);
	return r;
}
