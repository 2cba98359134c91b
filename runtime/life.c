/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life.c - the life of a container, in order.
 *
 *   parent (ctr, ctr-oci or a supervisor)            child (becomes the payload)
 *   -------------------------------------            ----------------------------------------------
 *   writes the journal
 *   STAGE_HOST: cgroup, limits
 *   clone3 with all new namespaces, into the cgroup  starts in them, not dumpable
 *   STAGE_IDS: id maps
 *   opens mounts that need the host's privileges     (meanwhile) makes its time and network namespaces
 *   --- mapped, with those mounts ------------------> becomes root of its user namespace
 *   <------------------------------------- netns ---  if it gets devices
 *                                                    STAGE_OLD_ROOT: mounts, devices, masks
 *   STAGE_HOST_WITH_PID: network namespace, devices  (meanwhile)
 *   --- netns --------------------------------------> joins it before it mounts sysfs
 *   STAGE_HOST_WITH_PID: device filter, hard limits  (meanwhile)
 *   writes the state                                 (meanwhile)
 *   <------------------------------------ to map ---  a mount of its own that is to be id-mapped
 *   --- map set ------------------------------------>
 *   <----------------------------------- mounted ---  only if there are hooks before pivot_root
 *   STAGE_RUNTIME_HOOKS
 *   --- hooks done --------------------------------->
 *                                                    STAGE_CONTAINER_HOOKS
 *                                                    STAGE_NEW_ROOT: pivot_root, names, sysctls
 *   --- go ----------------------------------------->
 *   <------------------- created, with the console -
 *                                                    create: waits at start.sock until `start` knocks
 *                                                    STAGE_LAST: user, capabilities, seccomp
 *   <--- the end of the socket, or a failure -------  execve closes it
 *
 * "mapped" is said only to a child that has something to wait for, and "go" is usually there before the child
 * asks; so a container without user namespace and hooks costs one crossing in each direction.
 *
 * Privileges: the parent keeps its own throughout. The child has all capabilities, over its own user namespace
 * if it has a new one, until STAGE_LAST drops them step by step. It is not dumpable until execve, so that
 * nobody inside can trace it or look through its descriptors (CVE-2016-9962), and all descriptors but those
 * asked for and the socket are closed before (CVE-2024-21626).
 *
 * Where namespaces are joined by path a third process does that, between the two: it joins with the
 * parent's privileges, makes the child as a sibling of itself (CLONE_PARENT), and says its pid.
 */
#include "runtime/life.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/apply.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/exec.h"
#include "runtime/handover.h"
#include "runtime/handshake.h"
#include "runtime/hooks.h"
#include "runtime/host.h"
#include "runtime/listener.h"
#include "runtime/plan.h"
#include "runtime/spec.h"
#include "runtime/state.h"
#include "runtime/userns.h"

#define TOO_MANY_NAMESPACES " (too many namespaces: see /proc/sys/user)"

struct birth { /* what both halves need */
	const struct spec *spec;
	const struct plan *plan;
	const struct host *host;
	const struct life_options *o;
	struct apply apply;
	int sock;	/* one's own end */
	int parent_end; /* the child closes it, or it would never hear of the parent's death */
	int listener;	/* start.sock, for the child; -1 */
	int ignored;	/* signals of the child: exec_reset_signals() */
	bool must_map;	/* the child has to wait for "mapped" */
	char home[EXEC_HOME_MAX];
};

/* ---- the child ---- */

static void child_fail(int sock, const struct err *e)
{
	say_failed(sock, e);
	_exit(1);
}

/* With the ids mapped this process is root of its own user namespace, if it says so (user_namespaces(7)). */
static int become_root(const struct birth *b, struct err *e)
{
	if (!spec_namespace(b->spec, CLONE_NEWUSER))
		return 0;
	if (sys_setresgid(0) < 0 || sys_setresuid(0) < 0)
		return err_set(e, errno, "cannot become root of the user namespace");
	return 0;
}

static int make_network_namespace(struct birth *b, struct err *e)
{
	if (b->plan->new_net && unshare(CLONE_NEWNET) < 0)
		return err_set(e, errno, "cannot make a network namespace%s",
			       errno == ENOSPC ? TOO_MANY_NAMESPACES : "");
	if (!spec_has_net_devices(b->spec))
		return 0;
	b->apply.netns = openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return b->apply.netns < 0 ? err_set(e, errno, "cannot open the network namespace") : 0;
}

static int say_netns(struct birth *b, struct err *e)
{
	auto_fd int netns = take_fd(&b->apply.netns);

	return netns < 0 ? 0 : say_fds(b->sock, MSG_NETNS, &netns, 1, e);
}

static int hear_mapped(struct birth *b, struct err *e)
{
	b->apply.n_trees = MSG_MAX_FDS;
	if (b->must_map && hear_fds(b->sock, MSG_MAPPED, b->apply.trees, &b->apply.n_trees, e) < 0)
		return -1;
	if (!b->must_map)
		b->apply.n_trees = 0;
	if (b->apply.n_trees != b->plan->slots)
		return err_set(e, ERR_INVALID, "%zu mounts came where %u were opened",
			       b->apply.n_trees, b->plan->slots);
	/* only now: the maps of a process that is not dumpable belong to the host's root (proc(5)) */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_set(e, errno, "cannot become undumpable");
	return become_root(b, e);
}

/*
 * Offsets can be given only before the first process enters the namespace (time_namespaces(7)). Made in here it belongs to the container's user
 * namespace, like all others: CRIU could not save it otherwise. And before the change of user, which takes our files in /proc from us.
 */
static int make_time_namespace(const struct birth *b, struct err *e)
{
	const struct spec *s = b->spec;
	auto_fd int ns = -1;
	char text[256];

	if (!b->plan->new_time)
		return 0;
	if (unshare(CLONE_NEWTIME) < 0)
		return err_set(e, errno, "cannot make a time namespace");
	for (size_t i = 0; i < s->n_time_offsets; i++) {
		snprintf(text, sizeof(text), "%s %lld %u\n", s->time_offsets[i].clock,
			 (long long)s->time_offsets[i].secs, s->time_offsets[i].nanosecs);
		if (file_write_kernel(AT_FDCWD, "/proc/self/timens_offsets", text, e) < 0)
			return err_in(e, "linux.timeOffsets");
	}
	ns = openat(AT_FDCWD, "/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWTIME) < 0)
		return err_set(e, errno, "cannot enter the time namespace");
	return 0;
}

/* The cgroup namespace begins at the cgroup in which it is made, and clone3 makes it before it moves us there. */
static int make_cgroup_namespace(const struct birth *b, struct err *e)
{
	if (b->plan->new_cgroup && unshare(CLONE_NEWCGROUP) < 0)
		return err_set(e, errno, "cannot make a cgroup namespace");
	return 0;
}

static int runtime_hooks(const struct birth *b, struct err *e)
{
	if (!b->plan->hooks_before_pivot)
		return 0;
	if (say(b->sock, MSG_MOUNTED, e) < 0)
		return -1;
	return hear(b->sock, MSG_HOOKS_DONE, e);
}

/* As late as possible: what the parent does until then takes as long as the mounts. */
static int hear_go(struct birth *b, bool early, struct err *e)
{
	return b->plan->network_first == early ? hear_number(b->sock, MSG_GO, &b->ignored, e) : 0;
}

static int say_created(struct birth *b, struct err *e)
{
	int master = b->apply.console_master;

	if (say_fds(b->sock, MSG_CREATED, &master, master >= 0, e) < 0)
		return -1;
	if (master >= 0)
		close(master);
	b->apply.console_master = -1;
	return 0;
}

/* As process 1 of its namespace it would not even notice what it does not handle (pid_namespaces(7)). */
static void end(int sig)
{
	_exit(128 + sig);
}

/*
 * Until `start` knocks; from then on it is the one who hears how it ends. Whoever goes away without a word, being
 * killed, leaves the container as it was. And nobody would be told why we cannot let him in, but would take our
 * end for the payload's beginning: so what is short (descriptors, memory) is waited for.
 */
static int wait_for_start(struct birth *b, struct err *e)
{
	char c;

	if (!b->o->wait_for_start)
		return 0;
	signal(SIGTERM, end); /* execve(2) undoes that */
	signal(SIGINT, end);
	close(b->sock); /* the creator is told: created */
	for (;;) {
		b->sock = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC);
		if (b->sock >= 0 && recv(b->sock, &c, 1, MSG_PEEK) != 0)
			return hear(b->sock, MSG_START, e);
		if (b->sock >= 0)
			close(b->sock);
		else
			nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
}

/*
 * A parent that died before this was set would never be noticed otherwise. Once the payload's seccomp filter is
 * there it may refuse to look: unnoticed is then a death in the moment since "created" was said.
 */
static int die_with_parent(const struct birth *b, bool filtered, struct err *e)
{
	struct pollfd p = { .fd = b->sock };
	int n;

	if (!b->o->die_with_parent)
		return 0;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_set(e, errno, "cannot follow the parent into death");
	do {
		n = poll(&p, 1, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && !filtered)
		return err_set(e, errno, "cannot see whether the parent is alive");
	if (n > 0 && p.revents & POLLHUP)
		return err_set(e, ERR_INVALID, "the parent is gone");
	return 0;
}

/* The host's and the new root's directories have been of use; nothing of them is open when `create` is done. */
static int close_files(struct birth *b, struct err *e)
{
	const struct apply *a = &b->apply;
	const int *in = b->o->stdio;
	const int keep[] = { b->sock, b->listener, a->console, a->console_master,
			     in[0],   in[1],	   in[2] };

	b->apply.proc = -1;
	return exec_close_files(b->o->preserve_fds, keep, sizeof(keep) / sizeof(keep[0]), e);
}

/* "process" is required when `start` is called (config.md): a container without one can be made, and not started. */
static int find_program(struct birth *b, struct err *e)
{
	if (!b->spec->has_process && b->o->wait_for_start)
		return 0;
	if (exec_find(&b->spec->process, e) < 0)
		return -1;
	exec_find_home(&b->spec->process, b->home);
	b->apply.home = b->home;
	return 0;
}

static int last_stage(struct birth *b, struct err *e)
{
	b->apply.sock = b->sock; /* by now it is `start` whom we speak to */
	return apply_stage(&b->apply, STAGE_LAST, e);
}

static void life_child(struct birth *b)
{
	struct apply *a = &b->apply;
	struct err *e = &(struct err){ 0 };

	umask(0); /* modes are exact; the payload's own mask comes with its user */
	close(b->parent_end);
	/* the lock and the promise are the parent's: a copy would hold them after its death */
	close(b->o->state->dir);
	close(b->o->state->open);
	(void)setsid(); /* what the caller's terminal signals is not meant for us; a new child can always do it */

	/* clang-format off */
	if (die_with_parent(b, false, e) < 0 ||
	    make_time_namespace(b, e) < 0 ||
	    make_network_namespace(b, e) < 0 ||
	    hear_mapped(b, e) < 0 ||
	    say_netns(b, e) < 0 ||
	    make_cgroup_namespace(b, e) < 0 ||
	    apply_stage(a, STAGE_OLD_ROOT, e) < 0 ||
	    runtime_hooks(b, e) < 0 ||
	    hear_go(b, true, e) < 0 ||
	    apply_stage(a, STAGE_CONTAINER_HOOKS, e) < 0 ||
	    apply_stage(a, STAGE_NEW_ROOT, e) < 0 ||
	    find_program(b, e) < 0 ||
	    close_files(b, e) < 0 ||
	    hear_go(b, false, e) < 0 ||
	    /* now: with a pty, whoever reads what `create` prints must not wait for the container's end */
	    exec_set_stdio(b->o->stdio, a->console, e) < 0 ||
	    say_created(b, e) < 0 ||
	    wait_for_start(b, e) < 0 ||
	    exec_reset_signals((uint32_t)b->ignored, e) < 0 ||
	    last_stage(b, e) < 0 ||
	    die_with_parent(b, true, e) < 0 || /* again: the change of user cleared it (prctl(2)) */
	    exec_payload(&b->spec->process, b->home, e) < 0)
		child_fail(b->sock, e);
	/* clang-format on */
}

/* ---- between the two, when namespaces are joined ---- */

struct joins {
	int fd[NS_MAX]; /* -1: not open yet */
	bool joined[NS_MAX];
};

/* What a bundle sets in a namespace that it joins would be set for the caller, were it his own. */
static int check_not_own(const struct spec *s, const struct ns_spec *ns, int fd, struct err *e)
{
	bool sets = (ns->flag == CLONE_NEWUTS && (s->hostname || s->domainname)) ||
		    (s->n_sysctl && ns->flag & (CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWIPC));
	const char *name = ns->flag == CLONE_NEWUTS ? "uts" :
			   ns->flag == CLONE_NEWNET ? "net" :
						      "ipc";
	struct stat theirs, own;
	char path[32];

	if (!sets)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	if (fstat(fd, &theirs) < 0 || stat(path, &own) < 0)
		return err_set(e, errno, "cannot look at namespace '%s'", ns->path);
	if (theirs.st_ino == own.st_ino && theirs.st_dev == own.st_dev)
		return err_set(
			e, ERR_INVALID,
			"namespace '%s' is the caller's own: host name and sysctls of the container would be set for it",
			ns->path);
	return 0;
}

static int open_join(const struct birth *b, struct joins *j, unsigned i, struct err *e)
{
	const struct ns_spec *ns = b->plan->joins[i];

	if (j->fd[i] >= 0)
		return 0;
	j->fd[i] = openat(AT_FDCWD, ns->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (j->fd[i] < 0)
		return err_set(e, errno, "cannot open namespace '%s'", ns->path);
	return check_not_own(b->spec, ns, j->fd[i], e);
}

static int join(const struct birth *b, struct joins *j, unsigned i, struct err *e)
{
	const struct ns_spec *ns = b->plan->joins[i];

	if (open_join(b, j, i, e) < 0)
		return -1;
	if (setns(j->fd[i], (int)ns->flag) < 0)
		return err_set(e, errno, "cannot join namespace '%s'", ns->path);
	j->joined[i] = true;
	return 0;
}

/*
 * All are opened before the first is entered, for a path means something else in another mount namespace. Those that belong to the
 * host's user namespace are joined with the privileges we have; those that belong to the user namespace that is joined as well
 * need that one first. So: each is tried, then the user namespace is joined, then those that were refused are tried again.
 */
static int join_all(const struct birth *b, struct err *e)
{
	const struct plan *p = b->plan;
	struct joins j;

	for (unsigned i = 0; i < NS_MAX; i++) {
		j.fd[i] = -1;
		j.joined[i] = false;
	}
	for (unsigned i = 0; i < p->n_joins; i++)
		if (open_join(b, &j, i, e) < 0 && e->code != EPERM && e->code != EACCES)
			return -1;
	for (int round = 0; round < 2; round++)
		for (unsigned i = 0; i < p->n_joins; i++) {
			if (j.joined[i] || (round == 0 && p->joins[i]->flag == CLONE_NEWUSER))
				continue;
			/* the user namespace stands first in the second round, whatever its place in the list */
			for (unsigned u = 0; round == 1 && u < p->n_joins; u++)
				if (!j.joined[u] && p->joins[u]->flag == CLONE_NEWUSER &&
				    join(b, &j, u, e) < 0)
					return -1;
			if (!j.joined[i] && join(b, &j, i, e) < 0 &&
			    (round == 1 || (e->code != EPERM && e->code != EACCES)))
				return -1;
		}
	return 0;
}

/*
 * Where cgroup2 is mounted with nsdelegate, as systemd does it, nobody makes a process outside of the cgroup namespace that they are in
 * (ENOENT; cgroups(7)): who joins one is in the container's cgroup before.
 */
static bool joins_cgroup_namespace(const struct birth *b)
{
	const struct ns_spec *ns = spec_namespace(b->spec, CLONE_NEWCGROUP);

	return ns && ns->path && b->apply.cgroup >= 0;
}

static pid_t clone_child(const struct birth *b, uint64_t more_flags, int *pidfd, struct err *e)
{
	bool there = more_flags & CLONE_PARENT && joins_cgroup_namespace(b);
	pid_t pid = cgroup_clone(b->plan->clone_flags | more_flags, there ? -1 : b->apply.cgroup,
				 pidfd);

	if (pid < 0)
		return err_set(e, errno, "cannot make the container's process%s",
			       errno == ENOSPC ? TOO_MANY_NAMESPACES : "");
	return pid;
}

/* Never returns in the process between; returns in the child. */
static void joiner(struct birth *b)
{
	struct err e = { 0 };
	pid_t pid;

	/* in a joined pid namespace others could look at us */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		err_set(&e, errno, "cannot become undumpable");
	else if (join_all(b, &e) == 0) {
		if (b->plan->clone_flags & CLONE_NEWUSER)
			(void)prctl(PR_SET_DUMPABLE,
				    1); /* or else nobody could map the child's ids */
		pid = clone_child(b, CLONE_PARENT, NULL, &e);
		if (pid == 0)
			return;
		if (pid > 0 && say_number(b->sock, MSG_CLONED, pid, &e) == 0)
			_exit(0);
	}
	child_fail(b->sock, &e);
}

/* ---- the parent ---- */

/* Bound by the descriptor of the state directory: a socket's path has 107 bytes only (unix(7)). */
static int listen_for_start(struct birth *b, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (!b->o->wait_for_start)
		return 0;
	b->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (b->listener < 0)
		return err_set(e, errno, "cannot make a socket");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/start.sock",
		 b->o->state->dir);
	if (bind(b->listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(b->listener, 1) < 0)
		return err_set(e, errno, "cannot listen for start");
	return 0;
}

static int make_child(struct birth *b, int ends[2], struct life *l, struct err *e)
{
	b->sock = b->apply.sock = ends[1]; /* the child's end, until we know who we are */
	b->parent_end = ends[0];
	if (!b->plan->n_joins) {
		l->pid = clone_child(b, 0, &l->pidfd, e);
		if (l->pid == 0)
			life_child(b);
	} else {
		pid_t between = joins_cgroup_namespace(b) ? cgroup_clone(0, b->apply.cgroup, NULL) :
							    fork();

		if (between == 0) {
			joiner(b);
			life_child(b);
		}
		if (between < 0)
			return err_set(e, errno, "cannot fork");
		close(ends[1]);
		ends[1] = -1;
		if (hear_pid(ends[0], between, &l->pid, e) < 0)
			l->pid = -1;
		l->pidfd = l->pid > 0 ? sys_pidfd_open(l->pid, 0) : -1;
		if (l->pid > 0 && l->pidfd < 0)
			err_set(e, errno, "cannot hold on to the container's process");
	}
	b->sock = b->apply.sock = ends[0];
	b->apply.pid = l->pid;
	return l->pid > 0 && l->pidfd >= 0 ? 0 : -1;
}

static int open_trees(struct birth *b, struct err *e)
{
	if (!b->plan->slots)
		return 0;
	if (spec_namespace(b->spec, CLONE_NEWUSER)) {
		b->apply.userns = userns_of(b->apply.pid, e);
		if (b->apply.userns < 0)
			return -1;
	}
	for (size_t i = 0; i < b->plan->n; i++)
		if (apply_open_tree(&b->apply, &b->plan->steps[i], e) < 0)
			return -1;
	return 0;
}

static int say_mapped(struct birth *b, struct err *e)
{
	if (!b->must_map)
		return 0;
	if (say_fds(b->sock, MSG_MAPPED, b->apply.trees, b->apply.n_trees, e) < 0)
		return -1;
	for (size_t i = 0; i < b->apply.n_trees; i++)
		close(b->apply.trees[i]);
	b->apply.n_trees = 0;
	return 0;
}

int life_record(const struct spec *s, const struct plan *p, const struct host *h,
		const struct life_options *o, pid_t pid, uint64_t start, struct err *e)
{
	struct timespec now;
	struct state st = {
		.id = o->state->id,
		.bundle = s->bundle,
		.rootfs = s->root.path,
		.oci_version = s->oci_version,
		.cgroup = p->cgroup,
		.cgroup_root = p->cgroup ? h->cgroup : NULL,
		.pid = pid,
		.pid_start = start,
		.owner = h->euid,
		.shares_pids = !spec_namespace(s, CLONE_NEWPID) ||
			       spec_namespace(s, CLONE_NEWPID)->path,
	};

	/* without it the state would be that of a stopped container, whatever runs */
	if (!st.pid_start)
		return err_set(e, ERR_INVALID, "cannot read the start time of process %d", pid);
	clock_gettime(CLOCK_REALTIME, &now);
	st.created_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	if (state_write_config(o->state, o->config_text, o->config_len, e) < 0)
		return -1;
	return state_write(o->state, &st, e);
}

/* One at a time, as the child comes to them: what is mounted before is in what it takes. */
static int map_mounts(struct birth *b, struct err *e)
{
	for (size_t i = 0; i < b->plan->n; i++) {
		const struct step *st = &b->plan->steps[i];
		auto_fd int fd = -1;
		size_t n = 1;

		if (st->kind != STEP_MOUNT || !st->mount.inside || !st->mount.idmap)
			continue;
		if (hear_fds(b->sock, MSG_TO_MAP, &fd, &n, e) < 0)
			return -1;
		if (apply_map_mount(&b->apply, &st->mount, fd, e) < 0)
			return err_in(e, "%s", st->why);
		if (say(b->sock, MSG_MAP_SET, e) < 0)
			return -1;
	}
	return 0;
}

static int run_runtime_hooks(struct birth *b, struct err *e)
{
	if (!b->plan->hooks_before_pivot)
		return 0;
	if (hear(b->sock, MSG_MOUNTED, e) < 0 || apply_stage(&b->apply, STAGE_RUNTIME_HOOKS, e) < 0)
		return -1;
	return say(b->sock, MSG_HOOKS_DONE, e);
}

static int hear_created(struct birth *b, struct life *l, struct err *e)
{
	size_t n = 1;
	int fd = -1;

	if (hear_fds(b->sock, MSG_CREATED, &fd, &n, e) < 0)
		return -1;
	apply_close_spent(&b->apply); /* only now: two who take mounts away wait for each other */
	l->console = fd;
	return 0;
}

/* For `run` the payload's execve is awaited: the socket ends, or brings what went wrong. */
static int hear_executed(struct birth *b, int pidfd, struct err *e)
{
	if (b->o->wait_for_start)
		return 0;
	if (listener_hear_end(b->sock, pidfd, b->apply.pid, b->spec, b->o->state->id,
			      STATUS_CREATED, e) < 0)
		return -1;
	/* if one fails the container is stopped (runtime-spec 1.3, runtime.md, "Lifecycle") */
	return hooks_run(HOOK_POSTSTART, b->spec, b->o->state->id, b->apply.pid, STATUS_RUNNING, e);
}

static int life_parent(struct birth *b, struct life *l, struct err *e)
{
	struct process_stat child; /* what it ignores too: it would need a call for each signal */
	int ends[2] = { -1, -1 };
	int r = -1;

	/* clang-format off */
	if (listen_for_start(b, e) < 0 ||
	    (b->plan->cgroup && cgroup_check_unused(b->host, b->plan->cgroup, e) < 0) ||
	    state_write_journal(b->o->state, b->plan, b->host, e) < 0 ||
	    apply_stage(&b->apply, STAGE_HOST, e) < 0 ||
		    handshake_pair(ends, e) < 0)
		goto out;
	/* clang-format on */
	if (make_child(b, ends, l, e) < 0)
		goto out;
	close(ends[1]);
	ends[1] = -1;
	/* clang-format off */
	if (apply_stage(&b->apply, STAGE_IDS, e) < 0 ||
	    open_trees(b, e) < 0 ||
	    say_mapped(b, e) < 0 ||
	    (b->o->meanwhile && b->o->meanwhile(b->o->arg, e) < 0) ||
	    apply_stage(&b->apply, STAGE_HOST_WITH_PID, e) < 0 ||
	    process_look(l->pid, &child, e) < 0 ||
	    life_record(b->spec, b->plan, b->host, b->o, l->pid, child.start, e) < 0 ||
	    map_mounts(b, e) < 0 ||
	    run_runtime_hooks(b, e) < 0 ||
	    say_number(b->sock, MSG_GO, (int)child.ignored, e) < 0 ||
	    hear_created(b, l, e) < 0 ||
	    console_send(b->o->console_socket, &l->console, e) < 0 ||
	    pid_file_write(b->o->pid_file, l->pid, e) < 0 ||
	    hear_executed(b, l->pidfd, e) < 0)
		goto out;
	/* clang-format on */
	r = 0;
out:
	if (r < 0 && ends[0] >= 0)
		hear_why(ends[0], e);
	if (ends[0] >= 0)
		close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
	return r;
}

/* What it said on its terminal before it failed: of a startContainer hook, that is the reason. */
static void pass_last_words(int console)
{
	char text[4096];
	ssize_t n;

	if (fcntl(console, F_SETFL, O_NONBLOCK) < 0)
		return;
	while ((n = read(console, text, sizeof(text))) > 0)
		(void)!write(STDERR_FILENO, text, (size_t)n);
}

void life_abort(const struct life_options *o, struct life *l)
{
	if (l->pidfd >= 0)
		(void)sys_pidfd_send_signal(l->pidfd, SIGKILL); /* dead already is as good */
	if (l->pid > 0)
		while (waitpid(l->pid, NULL, 0) < 0 && errno == EINTR)
			;
	if (l->pidfd >= 0)
		close(l->pidfd);
	if (l->console >= 0) {
		pass_last_words(l->console);
		close(l->console);
	}
	if (o->pid_file)
		(void)unlink(o->pid_file); /* must not exist on failure; mostly it never did */
}

int life_create(const struct spec *s, const struct plan *p, const struct host *h,
		const struct life_options *o, struct life *l, struct err *e)
{
	struct birth b = { .spec = s, .plan = p, .host = h, .o = o, .sock = -1, .listener = -1 };
	struct life made = { .pid = -1, .pidfd = -1, .console = -1 };
	int r;

	if (s->has_process && s->process.terminal && o->wait_for_start && o->console_socket < 0)
		return err_set(e, ERR_INVALID,
			       "process.terminal is set: a console socket is needed");
	apply_init(&b.apply, s, p, h, o->state->id);
	b.apply.state = o->state;
	/* where another process tells who the child is, the child must not speak before it */
	b.must_map = p->slots || p->clone_flags & CLONE_NEWUSER || p->n_joins;
	r = life_parent(&b, &made, e);
	if (r < 0) {
		life_abort(o, &made);
	} else {
		*l = made;
	}
	if (b.listener >= 0)
		close(b.listener);
	apply_close(&b.apply);
	return r;
}

/*
 * "If any poststart hook fails, the runtime MUST generate an error, stop the container, and continue the lifecycle at step 12" (runtime.md): it
 * is destroyed. Its lock was given back: another command may have done so, and have made another one.
 */
static void destroy(const struct state_dir *d, const struct state *st, const struct spec *s)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	struct state_dir again;
	struct state now;
	struct err why;

	if (!a || state_open(d->root, d->id, &again, &why) < 0)
		return;
	if (state_read(&again, a, &now, &why) == 0 && now.pid == st->pid &&
	    now.pid_start == st->pid_start && life_delete(&again, st, s, &why) < 0)
		log_warn("%s", why.msg);
	state_close(&again);
}

int life_start(struct state_dir *d, const struct state *st, const struct spec *s, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_fd int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	auto_fd int pidfd = -1;
	int status = state_status(d, st, &pidfd, e);

	if (status < 0)
		return -1;
	if (status != STATUS_CREATED)
		return err_set(e, ERR_STATE, "cannot start container '%s': it is %s, not created",
			       d->id, status_name(status));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/start.sock", d->dir);
	if (sock < 0 || connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		/* nobody listens: an earlier start was killed after it had been heard */
		if (errno == ECONNREFUSED && unlinkat(d->dir, "start.sock", 0) == 0)
			return err_set(e, ERR_STATE, "container '%s' was started already", d->id);
		return err_set(e, errno, "cannot start container '%s'", d->id);
	}
	if (say(sock, MSG_START, e) < 0) {
		hear_why(sock, e);
		return -1;
	}
	if (unlinkat(d->dir, "start.sock", 0) < 0)
		return err_set(e, errno, "cannot record the start of '%s'", d->id);
	state_unlock(d); /* from here on it depends on programs of the image and on hooks */
	if (listener_hear_end(sock, pidfd, st->pid, s, d->id, STATUS_CREATED, e) < 0) {
		/* one that waits for its listener to be sent has nobody now who could answer its calls */
		(void)sys_pidfd_send_signal(pidfd, SIGKILL);
		return -1;
	}
	if (hooks_run(HOOK_POSTSTART, s, d->id, st->pid, STATUS_RUNNING, e) == 0)
		return 0;
	(void)sys_pidfd_send_signal(pidfd, SIGKILL);
	destroy(d, st, s);
	return -1;
}

int life_wait(const struct life *l, struct err *e)
{
	siginfo_t info = { 0 };

	/* __WALL: a child made with CLONE_PARENT may have no exit signal */
	while (waitid(P_PID, (id_t)l->pid, &info, WEXITED | __WALL) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "cannot wait for process %d", l->pid);
	return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

int life_kill(struct state_dir *d, const struct state *st, int sig, bool all, struct err *e)
{
	auto_fd int pidfd = -1;
	int status;

	/* with a pid namespace the kernel ends the others with the first one; without, they are the container as well, as for runc */
	if ((all || st->shares_pids) && st->cgroup && sig == SIGKILL)
		return cgroup_kill(st->cgroup_root, st->cgroup, e);
	if (all && st->cgroup)
		return cgroup_signal(st->cgroup_root, st->cgroup, sig, e);
	status = state_status(d, st, &pidfd, e);
	if (status < 0)
		return -1;
	if (status == STATUS_STOPPED)
		return err_set(e, ERR_STATE, "container not running");
	if (sys_pidfd_send_signal(pidfd, sig) < 0)
		return errno == ESRCH ? err_set(e, ERR_STATE, "container not running") :
					err_set(e, errno, "cannot send signal %d", sig);
	return 0;
}

/* Without a cgroup there is only the first process to end; with one, undoing the journal ends them all. */
static int end_process(struct state_dir *d, const struct state *st, struct err *e)
{
	auto_fd int pidfd = -1;
	struct pollfd p;

	if (state_status(d, st, &pidfd, e) < 0)
		return -1;
	if (pidfd < 0)
		return 0;
	if (sys_pidfd_send_signal(pidfd, SIGKILL) < 0 && errno != ESRCH)
		return err_set(e, errno, "cannot kill container '%s'", d->id);
	p = (struct pollfd){ .fd = pidfd, .events = POLLIN };
	if (st->cgroup)
		(void)cgroup_kill(st->cgroup_root, st->cgroup,
				  e); /* a frozen process dies only thawed */
	if (poll(&p, 1, 10000) <= 0)
		return err_set(e, ETIMEDOUT, "container '%s' does not die", d->id);
	return 0;
}

int life_delete(struct state_dir *d, const struct state *st, const struct spec *s, struct err *e)
{
	char id[sizeof(d->id)];

	strcpy(id, d->id);
	if ((st && end_process(d, st, e) < 0) || state_undo(d, e) < 0)
		return -1;
	if (s)
		return hooks_run(HOOK_POSTSTOP, s, id, 0, STATUS_STOPPED, e);
	return 0;
}
