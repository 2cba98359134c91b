/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_process.c - the payload's own settings, done by the child itself; and hooks.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "netns/netns.h"
#include "runtime/apply.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/exec.h"
#include "runtime/hooks.h"
#include "runtime/names.h"
#include "runtime/seccomp.h"
#include "runtime/spec.h"
#include "runtime/state.h"

int apply_own_proc(struct apply *a, struct err *e)
{
	auto_fd int fs = -1;
	struct statfs st;

	if (a->proc >= 0)
		return a->proc;
	fs = sys_fsopen("proc", FSOPEN_CLOEXEC);
	if (fs >= 0 && sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		a->proc = sys_fsmount(fs, FSMOUNT_CLOEXEC, 0);
	/* a shared pid namespace, or an old kernel: what is mounted there, if it is a procfs */
	if (a->proc < 0)
		a->proc = openat(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (a->proc < 0 || fstatfs(a->proc, &st) < 0)
		return err_set(e, errno, "cannot open procfs");
	if (st.f_type != PROC_SUPER_MAGIC)
		return err_set(e, ERR_INVALID, "'/proc' is not a procfs");
	return a->proc;
}

/* Writes below our own procfs, crossing neither mounts nor links. */
static int write_proc(struct apply *a, const char *path, const char *value, struct err *e)
{
	int proc = apply_own_proc(a, e);
	auto_fd int fd = -1;
	size_t len = strlen(value);

	if (proc < 0)
		return -1;
	fd = sys_openat2(proc, path, O_WRONLY | O_CLOEXEC, 0,
			 RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS);
	if (fd < 0)
		return err_set(e, errno, "cannot open '/proc/%s'", path);
	if (write(fd, value, len) != (ssize_t)len)
		return err_set(e, errno, "cannot write '%s' to '/proc/%s'", value, path);
	return 0;
}

int apply_sysctl(struct apply *a, const struct step *st, struct err *e)
{
	char path[300];
	int n = snprintf(path, sizeof(path), "sys/%s", st->sysctl.key);

	if (n < 0 || n >= (int)sizeof(path))
		return err_set(e, ENAMETOOLONG, "sysctl '%.64s...'", st->sysctl.key);
	/* dots separate, unless slashes already do: then dots belong to a name, as "eth0.1" (sysctl(8)) */
	if (!strchr(st->sysctl.key, '/'))
		for (char *c = path; *c; c++)
			if (*c == '.')
				*c = '/';
	return write_proc(a, path, st->sysctl.value, e);
}

int apply_lsm_label(struct apply *a, const struct step *st, struct err *e)
{
	bool apparmor = streq(st->why, "process.apparmorProfile");
	char value[PATH_MAX];
	struct err first;
	int r;

	snprintf(value, sizeof(value), "%s%s", apparmor ? "exec " : "", st->name);
	r = write_proc(a, apparmor ? "thread-self/attr/apparmor/exec" : "thread-self/attr/exec",
		       value, &first);
	if (r < 0)
		*e = first;
	if (r < 0 && apparmor && first.code == ENOENT) /* before Linux 5.8 */
		r = write_proc(a, "thread-self/attr/exec", value, e);
	/* no directory may be open when execve looks its program up (CVE-2024-21626) */
	if (a->proc >= 0)
		close(take_fd(&a->proc));
	return r;
}

int apply_hostname(struct apply *a, const struct step *st, struct err *e)
{
	(void)a;
	return sethostname(st->name, strlen(st->name)) < 0 ?
		       err_set(e, errno, "cannot set the host name '%s'", st->name) :
		       0;
}

int apply_domainname(struct apply *a, const struct step *st, struct err *e)
{
	(void)a;
	return setdomainname(st->name, strlen(st->name)) < 0 ?
		       err_set(e, errno, "cannot set the domain name '%s'", st->name) :
		       0;
}

/* Made by the parent, for the child alone: the parent is back in its own namespace when this returns. */
int apply_netns_make(struct apply *a, const struct step *st, struct err *e)
{
	auto_fd int own = openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	auto_fd int made = -1;
	int r = 0;

	(void)st;
	if (own < 0)
		return err_set(e, errno, "cannot open the network namespace");
	if (unshare(CLONE_NEWNET) < 0)
		return err_set(e, errno, "cannot make a network namespace");
	made = openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (made < 0)
		r = err_set(e, errno, "cannot open the new network namespace");
	else
		r = netns_loopback_up(e);
	if (setns(own, CLONE_NEWNET) < 0)
		return err_set(e, errno, "cannot return to the network namespace");
	return r < 0 ? -1 : say_fds(a->sock, MSG_NETNS, &made, 1, e);
}

/* The first step that needs the other side's hears of it. */
static int hold_netns(struct apply *a, struct err *e)
{
	size_t n = 1;

	if (a->netns >= 0)
		return 0;
	if (hear_fds(a->sock, MSG_NETNS, &a->netns, &n, e) < 0)
		return -1;
	return n == 1 ? 0 : err_set(e, EPROTO, "no network namespace came");
}

int apply_netns_enter(struct apply *a, const struct step *st, struct err *e)
{
	auto_fd int fd = -1;

	(void)st;
	if (hold_netns(a, e) < 0)
		return -1;
	fd = take_fd(&a->netns);
	return setns(fd, CLONE_NEWNET) < 0 ?
		       err_set(e, errno, "cannot join the new network namespace") :
		       0;
}

int apply_loopback(struct apply *a, const struct step *st, struct err *e)
{
	(void)a;
	(void)st;
	return netns_loopback_up(e);
}

int apply_net_device(struct apply *a, const struct step *st, struct err *e)
{
	if (hold_netns(a, e) < 0)
		return -1;
	return netns_move_device(st->net_device.host, a->netns, st->net_device.name, e);
}

int apply_nic(struct apply *a, const struct step *st, struct err *e)
{
	return hold_netns(a, e) < 0 ? -1 : nic_attach(st->nic, a->netns, e);
}

int apply_personality(struct apply *a, const struct step *st, struct err *e)
{
	(void)a;
	return personality(st->personality) < 0 ? err_set(e, errno, "cannot set the personality") :
						  0;
}

/* Of this task, hence of what it executes (set_mempolicy(2)). */
int apply_memory_policy(struct apply *a, const struct step *st, struct err *e)
{
	unsigned long mask[MEMORY_NODES_MAX / (8 * sizeof(unsigned long))] = { 0 };
	const char *nodes = st->memory_policy.nodes;

	(void)a;
	if (nodes && parse_bits(nodes, mask, MEMORY_NODES_MAX) < 0)
		return err_set(e, ERR_INVALID, "nodes '%s'", nodes); /* the reader has checked it */
	/* the kernel looks at one bit less than it is told (BUGS) */
	if (syscall(SYS_set_mempolicy, st->memory_policy.number, nodes ? mask : NULL,
		    nodes ? MEMORY_NODES_MAX + 1 : 0) < 0)
		return err_set(e, errno, "cannot set the memory policy %s%s%s%s",
			       st->memory_policy.mode, nodes ? " of nodes " : "",
			       nodes ? nodes : "",
			       errno == EINVAL ? " (are these nodes there?)" : "");
	return 0;
}

/* struct sched_attr of linux/sched/types.h, which collides with the C library's sched.h */
struct scheduling {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

/* What sched_setattr(2) only calls invalid: sched(7), in crun's words. */
static int check_deadline(const struct scheduler_spec *s, struct err *e)
{
	static const char name[] = "sched_setattr: `SCHED_DEADLINE`";
	const unsigned long long runtime = s->runtime, deadline = s->deadline, period = s->period;
	const unsigned long long least = 1024, most = 1ull << 63;

	if (!s->has_runtime)
		return err_set(e, ERR_INVALID, "%s requires `runtime`", name);
	if (!s->has_deadline)
		return err_set(e, ERR_INVALID, "%s requires `deadline`", name);
	if (!runtime)
		return err_set(e, ERR_INVALID, "%s runtime must be greater than 0", name);
	if (runtime < least || runtime >= most)
		return err_set(e, ERR_INVALID, "%s runtime %llu must be between %llu and %llu",
			       name, runtime, least, most - 1);
	if (runtime > deadline)
		return err_set(e, ERR_INVALID, "%s runtime %llu must be <= deadline %llu", name,
			       runtime, deadline);
	if (period && deadline > period)
		return err_set(e, ERR_INVALID, "%s deadline %llu must be <= period %llu", name,
			       deadline, period);
	return 0;
}

/* The kernel cuts off what there is not, and what the cgroup has not, and remembers the rest. */
int apply_affinity(struct apply *a, const struct step *st, struct err *e)
{
	unsigned char all[CPUS_MAX / 8];

	(void)a;
	(void)st;
	memset(all, 0xff, sizeof(all));
	return syscall(SYS_sched_setaffinity, 0, sizeof(all), all) < 0 ?
		       err_set(e, errno, "cannot run on all processors") :
		       0;
}

int apply_scheduler(struct apply *a, const struct step *st, struct err *e)
{
	const struct scheduler_spec *s = &st->process->scheduler;
	struct scheduling attr = { .size = sizeof(attr),
				   .nice = s->nice,
				   .priority = (uint32_t)s->priority,
				   .runtime = s->runtime,
				   .deadline = s->deadline,
				   .period = s->period };
	long policy, flag;

	if (streq(s->policy, "SCHED_DEADLINE") && check_deadline(s, e) < 0)
		return -1;
	if (!table_value(sched_policy_names, s->policy, &policy))
		return err_set(e, ERR_INVALID, "unknown scheduling policy '%s'", s->policy);
	attr.policy = (uint32_t)policy;
	for (const char *const *f = s->flags; f && *f; f++) {
		if (!table_value(sched_flag_names, *f, &flag))
			return err_set(e, ERR_INVALID, "unknown scheduling flag '%s'", *f);
		attr.flags |= (uint64_t)flag;
	}
	if (syscall(SYS_sched_setattr, 0, &attr, 0) < 0)
		return err_set(e, errno, "cannot set the scheduling policy '%s'%s", s->policy,
			       errno == EPERM && a->spec->resources.cpu.cpus ?
				       ": a process scheduler can't be used together with "
				       "AllowedCPUs (linux.resources.cpu.cpus)" :
				       "");
	return 0;
}

int apply_io_priority(struct apply *a, const struct step *st, struct err *e)
{
	long class;

	(void)a;
	if (!table_value(io_class_names, st->process->io_priority_class, &class))
		return err_set(e, ERR_INVALID, "unknown I/O priority class '%s'",
			       st->process->io_priority_class);
	/* ioprio_set(2): IOPRIO_WHO_PROCESS is 1, the class lies above bit 13 */
	if (syscall(SYS_ioprio_set, 1, 0, class << 13 | st->process->io_priority) < 0)
		return err_set(e, errno, "cannot set the I/O priority");
	return 0;
}

/*
 * Without one of its own a process would possess the keys of whoever started it (keyctl(2)). One without a name:
 * by its name another container could have made it, and let everybody search it.
 */
int apply_keyring(struct apply *a, const struct step *st, struct err *e)
{
	(void)a;
	(void)st;
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) < 0 && errno != ENOSYS)
		return err_set(
			e, errno, "cannot join a session keyring%s",
			errno == EDQUOT ?
				" (raise /proc/sys/kernel/keys/maxkeys, or use --no-new-keyring)" :
				"");
	return 0;
}

/* Whether from the working directory the way up ends at "/". */
static bool is_below_root(void)
{
	auto_fd int at = openat(AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat root, now, up;

	if (at < 0 || stat("/", &root) < 0 || fstat(at, &now) < 0)
		return false;
	for (int depth = 0; depth < PATH_MAX / 2; depth++) {
		int above = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		close(at);
		at = above;
		if (now.st_dev == root.st_dev && now.st_ino == root.st_ino)
			return true;
		if (at < 0 || fstat(at, &up) < 0 ||
		    (up.st_dev == now.st_dev && up.st_ino == now.st_ino))
			return false;
		now = up;
	}
	return false;
}

static bool cwd_is_inside(void)
{
	char now[PATH_MAX];

	/* the system call says "(unreachable)" where the C library's getcwd() may search */
	if (syscall(SYS_getcwd, now, sizeof(now)) >= 0)
		return now[0] == '/';
	return errno != ENOENT && is_below_root(); /* the payload's filter may refuse it */
}

/*
 * As the payload's user, so that its permissions count; and the result must lie in the new root: a
 * descriptor of the host that leaked could be named as /proc/self/fd/N (CVE-2024-21626).
 */
int apply_cwd(struct apply *a, const struct step *st, struct err *e)
{
	const char *cwd = st->process->cwd;

	(void)a;
	if (chdir(cwd) < 0)
		return err_set(e, errno, "cannot change to the working directory '%s'", cwd);
	if (!cwd_is_inside())
		return err_set(e, ERR_INVALID,
			       "the working directory '%s' is outside of the container", cwd);
	return 0;
}

/* From the moment the other side has the listener, whatever is called may be notified, and is answered. */
int apply_seccomp_filter(struct apply *a, const struct step *st, struct err *e)
{
	auto_fd int listener = -1;

	(void)st;
	if (seccomp_install(a->plan->seccomp, &listener, e) < 0)
		return -1;
	if (listener < 0)
		return 0;
	if (say_listener(a->sock, listener, e) < 0)
		return -1;
	return hear(a->sock, MSG_LISTENER_SENT, e);
}

int apply_hook(struct apply *a, const struct step *st, struct err *e)
{
	/* inside its pid namespace the child is process 1; outside it is known by the parent's number */
	pid_t pid = st->hook.container_namespaces ? getpid() : a->pid;
	auto_free const char **env = NULL;
	struct hook_spec hook = *st->hook.hook;
	bool of_image = st->stage == STAGE_LAST;

	if (st->hook.payload_env) {
		env = exec_env(&a->spec->process, a->home);
		if (!env)
			return err_set(e, ENOMEM, "cannot make the environment");
		hook.env = env;
	}
	return hook_run(&hook, st->hook.point, a->spec, a->id, pid,
			of_image ? STATUS_CREATED : STATUS_CREATING, !of_image, e);
}
