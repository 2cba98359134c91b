/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor: the least that the kernel demands to start one container.
 *
 * It creates the namespaces, mounts, masks, privileges and the cgroup of the default OCI bundle
 * (what `runc spec` writes, plus a cgroup namespace), runs one program in it, reaps it and exits
 * with its code. Nothing is read, checked, recorded or made undoable: what a runtime takes on top
 * of this is its own. That makes it the yardstick of tests/bench, and useless for anything else.
 *
 *	floor [options] -- PROGRAM [ARG...]	(root; PROGRAM is a path inside the rootfs)
 *	  --root DIR         the root file system; must hold the mount points /proc /dev /sys
 *	  --ns LIST          of pid,mnt,uts,ipc,net,cgroup,user (default: all but user)
 *	  --overlay OPTIONS  mount an overlay with these options on DIR instead of binding DIR
 *	  --cgroup into|none a cgroup of its own, entered by CLONE_INTO_CGROUP (default none)
 *	  --cgpath DIR       where cgroup2 is mounted (default /sys/fs/cgroup)
 *	  --seccomp FILE     an array of struct sock_filter, loaded before exec
 *	  --no-mask          leave out masked and read-only paths
 *	  --detach           do not wait: print the pid and the cgroup, leave both
 *
 * Build static with musl: process start is a large part of the whole, and glibc's takes longer.
 * The old mount(2) is used throughout, since one call of it is cheaper than the four to five calls
 * of the new interface that do the same.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define EXIT_FLOOR 99 /* floor itself failed, in the parent or in the child */

struct options {
	char root[4096];
	const char *overlay;
	const char *cgroup_dir;
	const char *seccomp_file;
	uint64_t namespaces;
	bool cgroup;
	bool masks;
	bool detach;
	char **program;
};

struct filter {
	struct sock_filter insn[4096]; /* BPF_MAXINSNS */
	unsigned short len;
};

static void die(const char *what)
{
	dprintf(2, "floor: %s: %s\n", what, strerror(errno));
	_exit(EXIT_FLOOR);
}

static void check(long result, const char *what)
{
	if (result < 0)
		die(what);
}

#define MUST(call) check((call), #call)

/* In the order of the OCI default; "where" is below the rootfs, which is the working directory. */
static const struct fs {
	const char *type, *where, *data;
	unsigned long flags;
} filesystems[] = {
	{ "proc", "proc", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV },
	{ "tmpfs", "dev", "mode=755,size=65536k", MS_NOSUID | MS_STRICTATIME },
	{ "devpts", "dev/pts", "newinstance,ptmxmode=0666,mode=0620,gid=5", MS_NOSUID | MS_NOEXEC },
	{ "tmpfs", "dev/shm", "mode=1777,size=65536k", MS_NOSUID | MS_NOEXEC | MS_NODEV },
	{ "mqueue", "dev/mqueue", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV },
	{ "sysfs", "sys", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY },
	{ "cgroup2", "sys/fs/cgroup", NULL,
	  MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY | MS_RELATIME },
};

static const struct {
	const char *name;
	unsigned int major, minor;
} devices[] = {
	{ "null", 1, 3 },   { "zero", 1, 5 },	 { "full", 1, 7 },
	{ "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};

static const char *const dev_links[][2] = {
	{ "/proc/self/fd", "fd" },	 { "/proc/self/fd/0", "stdin" },
	{ "/proc/self/fd/1", "stdout" }, { "/proc/self/fd/2", "stderr" },
	{ "pts/ptmx", "ptmx" },
};

static const char *const masked[] = {
	"proc/acpi",	      "proc/asound",	 "proc/kcore",	     "proc/keys",
	"proc/latency_stats", "proc/timer_list", "proc/timer_stats", "proc/sched_debug",
	"sys/firmware",	      "proc/scsi",
};

static const char *const readonly[] = {
	"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger",
};

static const struct {
	const char *name;
	uint64_t flag;
} namespace_names[] = {
	{ "pid", CLONE_NEWPID },   { "mnt", CLONE_NEWNS },  { "uts", CLONE_NEWUTS },
	{ "ipc", CLONE_NEWIPC },   { "net", CLONE_NEWNET }, { "cgroup", CLONE_NEWCGROUP },
	{ "user", CLONE_NEWUSER },
};

/* Without the right to make device nodes (in a user namespace), bind the host's. */
static void make_device(int dev, const char *name, unsigned int major, unsigned int minor)
{
	char host[32], here[32];
	int fd;

	if (mknodat(dev, name, S_IFCHR | 0666, makedev(major, minor)) == 0)
		return;
	if (errno != EPERM)
		die(name);
	snprintf(host, sizeof(host), "/dev/%s", name);
	snprintf(here, sizeof(here), "dev/%s", name);
	fd = openat(dev, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
	check(fd, name);
	close(fd);
	check(mount(host, here, NULL, MS_BIND, NULL), host);
}

static void fill_dev(void)
{
	mode_t old = umask(0);
	int dev = open("dev", O_PATH | O_DIRECTORY | O_CLOEXEC);

	check(dev, "dev");
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		make_device(dev, devices[i].name, devices[i].major, devices[i].minor);
	for (size_t i = 0; i < ARRAY_SIZE(dev_links); i++)
		check(symlinkat(dev_links[i][0], dev, dev_links[i][1]), dev_links[i][1]);
	MUST(mkdirat(dev, "pts", 0755));
	MUST(mkdirat(dev, "shm", 01777));
	MUST(mkdirat(dev, "mqueue", 0755));
	close(dev);
	umask(old);
}

/* Files are hidden by /dev/null, directories by an empty tmpfs; what does not exist needs neither. */
static void mask_paths(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(masked); i++) {
		if (mount("/dev/null", masked[i], NULL, MS_BIND, NULL) == 0 || errno == ENOENT)
			continue;
		if (errno != ENOTDIR)
			die(masked[i]);
		check(mount("tmpfs", masked[i], "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=1"),
		      masked[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(readonly); i++) {
		if (mount(readonly[i], readonly[i], NULL, MS_BIND | MS_REC, NULL) < 0) {
			if (errno == ENOENT)
				continue;
			die(readonly[i]);
		}
		check(mount(readonly[i], readonly[i], NULL,
			    MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_BIND | MS_REMOUNT | MS_RDONLY |
				    MS_REC,
			    NULL),
		      readonly[i]);
	}
}

static void make_root(const struct options *o)
{
	MUST(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
	if (o->overlay)
		MUST(mount("overlay", o->root, "overlay", 0, o->overlay));
	else
		MUST(mount(o->root, o->root, NULL, MS_BIND | MS_REC, NULL));
	check(chdir(o->root), o->root);

	for (size_t i = 0; i < ARRAY_SIZE(filesystems); i++) {
		const struct fs *f = &filesystems[i];

		if (mount(f->type, f->where, f->type, f->flags, f->data) < 0) {
			/* sysfs belongs to the network namespace's owner. */
			if (errno != EPERM || strcmp(f->type, "sysfs") != 0)
				die(f->where);
			MUST(mount("/sys", "sys", NULL, MS_BIND | MS_REC, NULL));
		}
		if (strcmp(f->where, "dev") == 0)
			fill_dev();
	}
	if (o->masks)
		mask_paths();

	MUST(syscall(SYS_pivot_root, ".", "."));
	MUST(umount2(".", MNT_DETACH));
	MUST(chdir("/"));
	if (!o->overlay)
		MUST(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
}

/* The default bundle keeps CAP_KILL, CAP_NET_BIND_SERVICE and CAP_AUDIT_WRITE. */
static void drop_privileges(void)
{
	const uint32_t kept = 1u << CAP_KILL | 1u << CAP_NET_BIND_SERVICE | 1u << CAP_AUDIT_WRITE;
	struct rlimit files = { 1024, 1024 };
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[2] = { { .effective = kept, .permitted = kept } };

	MUST(setrlimit(RLIMIT_NOFILE, &files));
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (cap > 31 || !(kept & 1u << cap))
			MUST(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0));
	MUST(syscall(SYS_capset, &header, caps));
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/* The child, from clone to exec. */
static void run(const struct options *o, const struct filter *filter)
{
	char *const env[] = { "PATH=/bin", "TERM=xterm", NULL };

	if (o->namespaces & CLONE_NEWNS)
		make_root(o);
	if (o->namespaces & CLONE_NEWUTS)
		MUST(sethostname("runc", 4));
	drop_privileges();
	if (filter->len) {
		struct sock_fprog prog = { filter->len, (struct sock_filter *)filter->insn };

		MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
	}
	execve(o->program[0], o->program, env);
	die(o->program[0]);
}

/* A user namespace has no ids until somebody outside gives it some: here, the host's own. */
static void map_ids(pid_t pid)
{
	static const char map[] = "0 0 65536";

	for (int i = 0; i < 2; i++) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/%s", pid, i ? "gid_map" : "uid_map");
		fd = open(path, O_WRONLY | O_CLOEXEC);
		check(fd, path);
		check(write(fd, map, sizeof(map) - 1), path);
		close(fd);
	}
}

static int start(const struct options *o, const struct filter *filter)
{
	struct clone_args args = { .flags = o->namespaces, .exit_signal = SIGCHLD };
	char cgroup[4200] = "-";
	int cgroup_fd = -1, mapped[2] = { -1, -1 }, status;
	char byte = 0;
	long pid;

	if (o->cgroup) {
		snprintf(cgroup, sizeof(cgroup), "%s/floor-%d", o->cgroup_dir, getpid());
		check(mkdir(cgroup, 0755), cgroup);
		cgroup_fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		check(cgroup_fd, cgroup);
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = cgroup_fd;
	}
	if (o->namespaces & CLONE_NEWUSER)
		MUST(pipe2(mapped, O_CLOEXEC));

	pid = syscall(SYS_clone3, &args, sizeof(args));
	check(pid, "clone3");
	if (pid == 0) {
		if (o->namespaces & CLONE_NEWUSER) {
			close(mapped[1]);
			if (read(mapped[0], &byte, 1) != 1)
				_exit(EXIT_FLOOR); /* the parent has said why */
		}
		run(o, filter);
	}
	if (o->namespaces & CLONE_NEWUSER) {
		map_ids(pid);
		MUST(write(mapped[1], &byte, 1));
		close(mapped[0]);
		close(mapped[1]);
	}
	if (o->detach) {
		dprintf(1, "%ld %s\n", pid, cgroup);
		return 0;
	}

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	if (o->cgroup) {
		close(cgroup_fd);
		check(rmdir(cgroup), cgroup);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static uint64_t parse_namespaces(char *list)
{
	uint64_t flags = 0;

	for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		size_t i = 0;

		while (i < ARRAY_SIZE(namespace_names) &&
		       strcmp(name, namespace_names[i].name) != 0)
			i++;
		if (i == ARRAY_SIZE(namespace_names)) {
			dprintf(2, "floor: no namespace '%s'\n", name);
			exit(2);
		}
		flags |= namespace_names[i].flag;
	}
	return flags;
}

static void parse(struct options *o, int argc, char **argv)
{
	const char *root = "rootfs";

	*o = (struct options){ .cgroup_dir = "/sys/fs/cgroup", .masks = true };
	for (size_t i = 0; i < ARRAY_SIZE(namespace_names); i++)
		if (namespace_names[i].flag != CLONE_NEWUSER)
			o->namespaces |= namespace_names[i].flag;

	for (int i = 1; i < argc; i++) {
		const char *option = argv[i];

		if (strcmp(option, "--") == 0 && i + 1 < argc) {
			o->program = argv + i + 1;
			break;
		}
		if (strcmp(option, "--no-mask") == 0)
			o->masks = false;
		else if (strcmp(option, "--detach") == 0)
			o->detach = true;
		else if (i + 1 == argc)
			break;
		else if (strcmp(option, "--root") == 0)
			root = argv[++i];
		else if (strcmp(option, "--ns") == 0)
			o->namespaces = parse_namespaces(argv[++i]);
		else if (strcmp(option, "--overlay") == 0)
			o->overlay = argv[++i];
		else if (strcmp(option, "--cgroup") == 0)
			o->cgroup = strcmp(argv[++i], "into") == 0;
		else if (strcmp(option, "--cgpath") == 0)
			o->cgroup_dir = argv[++i];
		else if (strcmp(option, "--seccomp") == 0)
			o->seccomp_file = argv[++i];
		else
			break;
	}
	if (!o->program) {
		dprintf(2, "usage: floor [options] -- PROGRAM [ARG...]\n");
		exit(2);
	}
	if (!realpath(root, o->root))
		die(root);
}

static void read_filter(struct filter *filter, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	check(fd, path);
	n = read(fd, filter->insn, sizeof(filter->insn));
	check(n, path);
	filter->len = n / sizeof(filter->insn[0]);
	close(fd);
}

int main(int argc, char **argv)
{
	static struct filter filter;
	struct options o;

	parse(&o, argc, argv);
	if (o.seccomp_file)
		read_filter(&filter, o.seccomp_file);
	return start(&o, &filter);
}
