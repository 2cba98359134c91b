/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.c - `ctr doctor`: what this machine offers, what is missing, and what to do about it.
 *
 * Each check is a row and a function that tries the thing itself rather than comparing kernel versions: a
 * distribution may have it back-ported, compiled out or forbidden. Nothing is changed: what is tried dies with a
 * descriptor or with a child.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/network.h"
#include "cli/rootless.h"
#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/disk.h"
#include "runtime/host.h"
#include "runtime/instances.h"
#include "runtime/names.h"
#include "runtime/spec.h"
#include "runtime/userns.h"

#ifndef CTR_LIBEXECDIR
#define CTR_LIBEXECDIR "/usr/local/libexec/ctr"
#endif

enum verdict {
	FINE,
	LIMITED, /* works, with less: what depends on it is refused or slower */
	MISSING, /* `ctr run` cannot work */
};

static const char *const verdict_names[] = { "ok", "limited", "missing" };

struct finding {
	enum verdict verdict;
	char text[320];
	char cure[320]; /* "": nothing to be done */
};

struct examination {
	const struct cli *c;
	struct host host;
};

typedef void check(const struct examination *x, struct finding *f);

__attribute__((format(printf, 3, 4))) static void say(struct finding *f, enum verdict v,
						      const char *fmt, ...)
{
	va_list ap;

	f->verdict = v;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 2, 3))) static void cure(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->cure, sizeof(f->cure), fmt, ap);
	va_end(ap);
}

/* The first number in a kernel file, or @otherwise. */
static long long kernel_number(const char *path, long long otherwise)
{
	auto_str struct str text = { 0 };
	struct err ignored;

	if (file_read_kernel(AT_FDCWD, path, 4096, &text, &ignored) < 0)
		return otherwise;
	return strtoll(str_text(&text), NULL, 10);
}

/* ---- who and where ---- */

static void check_kernel(const struct examination *x, struct finding *f)
{
	struct utsname u;

	uname(&u);
	say(f, FINE, "Linux %s on %s", u.release, u.machine);
	/* 5.12: id-mapped mounts and mount_setattr; 5.14: cgroup.kill */
	if (!host_kernel_is(&x->host, 5, 14)) {
		f->verdict = LIMITED;
		cure(f, "some of what ctr uses came with Linux 5.14; 6.12 or later is tested");
	}
}

static void check_user(const struct examination *x, struct finding *f)
{
	if (x->host.euid == 0 && x->host.initial_userns) {
		say(f, FINE, "root");
		return;
	}
	say(f, LIMITED, "%s",
	    rootless_is_entered() ?
		    "not root: instances are in namespaces of this user's, without limits" :
		    "root of a user namespace: instances are without limits");
	cure(f, "as root of the host all can be had; findings below are those of this user");
}

static void check_resource(const struct examination *x, struct finding *f)
{
	say(f, x->host.cap_sys_resource ? FINE : LIMITED,
	    x->host.cap_sys_resource ?
		    "hard limits can be raised, oom_score_adj lowered" :
		    "without CAP_SYS_RESOURCE hard limits cannot be raised, nor "
		    "oom_score_adj lowered: a bundle that asks for it is refused");
}

/* ---- cgroups ---- */

static void list_controllers(unsigned bits, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned bit = 1; bit <= CTL_LAST; bit <<= 1)
		if (bits & bit && len < size)
			len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? " " : "",
						controller_name(bit));
}

static void check_cgroup(const struct examination *x, struct finding *f)
{
	if (!x->host.cgroup[0]) {
		say(f, MISSING, "cgroup v2 is mounted nowhere");
		cure(f,
		     "mount -t cgroup2 none /sys/fs/cgroup, or boot with systemd.unified_cgroup_hierarchy=1");
		return;
	}
	say(f, FINE, "cgroup v2 at %s", x->host.cgroup);
	if (access(x->host.cgroup, W_OK) < 0) {
		f->verdict = LIMITED;
		cure(f, "it cannot be written to: instances would share this command's cgroup");
	}
}

static void check_controllers(const struct examination *x, struct finding *f)
{
	const unsigned wanted = CTL_CPU | CTL_MEMORY | CTL_PIDS | CTL_IO;
	unsigned taken = wanted & ~x->host.controllers & host_v1_controllers(&x->host);
	unsigned lacking = wanted & ~x->host.controllers;
	char here[128], gone[128];

	list_controllers(x->host.controllers, here, sizeof(here));
	if (!lacking) {
		say(f, FINE, "%s", here);
		return;
	}
	list_controllers(lacking, gone, sizeof(gone));
	say(f, LIMITED, "%s%s: limits that need %s are refused", *here ? "only " : "none", here,
	    gone);
	if (taken) {
		list_controllers(taken, gone, sizeof(gone));
		cure(f,
		     "%s: bound to cgroup v1; boot with systemd.unified_cgroup_hierarchy=1 or cgroup_no_v1=all",
		     gone);
	} else {
		cure(f, "the kernel lacks them, or this is a delegated part of the hierarchy");
	}
}

static void check_pressure(const struct examination *x, struct finding *f)
{
	auto_str struct str text = { 0 };
	struct err ignored;

	(void)x;
	if (file_read_kernel(AT_FDCWD, "/proc/pressure/memory", 4096, &text, &ignored) == 0) {
		say(f, FINE, "pressure is measured (PSI)");
		return;
	}
	say(f, LIMITED, "pressure is not measured: its figures and alarms are not available");
	cure(f, "boot with psi=1");
}

/* The smallest device program: "yes". Loading it shows what attaching needs, and it is gone with its descriptor. */
static void check_bpf(const struct examination *x, struct finding *f)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insns = (uint64_t)(uintptr_t)program,
		.insn_cnt = 2,
		.license = (uint64_t)(uintptr_t) "Apache-2.0",
	};
	auto_fd int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	if (!x->host.initial_userns) {
		say(f, FINE, "no device can be made here, so none has to be filtered");
		return;
	}
	if (fd >= 0) {
		say(f, FINE, "device access is filtered by BPF");
		return;
	}
	say(f, MISSING, "BPF programs for device access cannot be loaded: %s", strerror(errno));
	cure(f, "the kernel needs CONFIG_CGROUP_BPF, and ctr CAP_BPF or CAP_SYS_ADMIN");
}

/* ---- namespaces ---- */

/* In a child, since they cannot be left again. The exit status has a bit for each that failed. */
static unsigned refused_namespaces(void)
{
	int status = 0, bit = 0;
	unsigned refused = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		for (const struct name_value *ns = namespace_names; ns->name; ns++, bit++)
			if (ns->value != CLONE_NEWUSER && unshare((int)ns->value) < 0)
				refused |= 1u << bit;
		_exit((int)refused);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return ~0u;
	return (unsigned)WEXITSTATUS(status);
}

static void check_namespaces(const struct examination *x, struct finding *f)
{
	unsigned refused = refused_namespaces();
	char list[128] = "";
	size_t len = 0, bit = 0;

	(void)x;
	for (const struct name_value *ns = namespace_names; ns->name; ns++, bit++)
		if (refused & (1u << bit) && len < sizeof(list))
			len += (size_t)snprintf(list + len, sizeof(list) - len, " %s", ns->name);
	if (!refused) {
		say(f, FINE, "mount, pid, network, ipc, uts, cgroup, time");
		return;
	}
	say(f, MISSING, "cannot be made:%s", list);
	cure(f, "see /proc/sys/user/max_*_namespaces; ctr needs CAP_SYS_ADMIN");
}

static int make_userns(const struct examination *x, struct err *e)
{
	const struct id_map range = { .container = 0, .host = 1000000, .size = 65536 };
	const struct id_map own = { .container = 0, .host = 0, .size = 1 };
	const struct id_map *map = x->host.initial_userns ? &range : &own;

	return userns_open(map, 1, map, 1, e);
}

static void check_userns(const struct examination *x, struct finding *f)
{
	struct err e;
	auto_fd int fd = make_userns(x, &e);

	if (fd >= 0) {
		say(f, FINE, "each instance can have user ids of its own%s",
		    x->host.initial_userns ? "" : ", out of those of its maker");
		return;
	}
	say(f, MISSING, "no user namespace: %s", e.msg);
	if (kernel_number("/proc/sys/user/max_user_namespaces", 1) == 0)
		cure(f, "sysctl -w user.max_user_namespaces=65536");
	else if (x->host.euid &&
		 kernel_number("/proc/sys/kernel/unprivileged_userns_clone", 1) == 0)
		cure(f, "sysctl -w kernel.unprivileged_userns_clone=1, or be root");
	else if (x->host.euid &&
		 kernel_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) == 1)
		cure(f, "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or be root");
	else
		cure(f, "--userns=host runs an instance without one, less isolated");
}

/* ---- mounts and processes ---- */

static void check_mount_api(const struct examination *x, struct finding *f)
{
	auto_fd int fd = sys_fsopen("tmpfs", 1 /* FSOPEN_CLOEXEC */);

	(void)x;
	if (fd >= 0)
		say(f, FINE, "mounts are made by descriptor");
	else if (errno == ENOSYS)
		say(f, LIMITED,
		    "the new mount calls (Linux 5.2) are missing: the old ones are used");
	else
		say(f, MISSING, "mounts cannot be made: %s", strerror(errno));
}

static bool has_filesystem(const char *name)
{
	auto_fd int fd = sys_fsopen(name, 1 /* FSOPEN_CLOEXEC; loads the module */);
	auto_str struct str text = { 0 };
	struct err ignored;
	char line[64];

	if (fd >= 0)
		return true;
	snprintf(line, sizeof(line), "\t%s\n", name);
	return errno != ENODEV &&
	       file_read_kernel(AT_FDCWD, "/proc/filesystems", 65536, &text, &ignored) == 0 &&
	       strstr(str_text(&text), line);
}

static void check_overlay(const struct examination *x, struct finding *f)
{
	(void)x;
	if (has_filesystem("overlay")) {
		say(f, FINE, "instances share an image's files by overlayfs");
		return;
	}
	say(f, MISSING, "overlayfs is missing");
	cure(f, "modprobe overlay, or a kernel with CONFIG_OVERLAY_FS");
}

static void check_erofs(const struct examination *x, struct finding *f)
{
	bool late = host_kernel_is(&x->host, 6, 12);

	if (!has_filesystem("erofs"))
		say(f, LIMITED, "EROFS is missing: images are kept unpacked");
	else if (!late)
		say(f, LIMITED, "EROFS is there; mounting it from a file needs Linux 6.12");
	else
		say(f, FINE, "images can be mounted from files");
}

/* What is mapped is a clone of the store's own mount: whether it works depends on that file system. */
static void check_idmap(const struct examination *x, struct finding *f)
{
	const char *where = access(x->c->store_root, F_OK) == 0 ? x->c->store_root : "/";
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	auto_fd int tree = -1, userns = -1;
	struct err e;

	if (!x->host.initial_userns) {
		say(f, FINE, "not needed, as instances have their maker's ids");
		return;
	}
	userns = make_userns(x, &e);
	tree = sys_open_tree(AT_FDCWD, where, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	attr.userns_fd = (uint64_t)(userns < 0 ? 0 : userns);
	if (userns >= 0 && tree >= 0 && sys_mount_setattr(tree, "", AT_EMPTY_PATH, &attr) == 0) {
		say(f, FINE, "files below %s appear under any ids", where);
		return;
	}
	say(f, MISSING, "id-mapped mounts do not work for files below %s: %s", where,
	    userns < 0 ? e.msg : strerror(errno));
	cure(f,
	     "keep the store (CTR_ROOT) on ext4, xfs or btrfs with Linux 5.15 or later; or use --userns=host");
}

static void check_seccomp(const struct examination *x, struct finding *f)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	(void)x;
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) {
		say(f, FINE, "system calls are filtered by seccomp");
		return;
	}
	say(f, MISSING, "seccomp filters are missing: %s", strerror(errno));
	cure(f, "a kernel with CONFIG_SECCOMP_FILTER");
}

static void check_pidfd(const struct examination *x, struct finding *f)
{
	auto_fd int fd = sys_pidfd_open(getpid(), 0);

	(void)x;
	if (fd >= 0)
		say(f, FINE, "processes are held by descriptor");
	else
		say(f, MISSING, "pidfd_open is missing: %s (Linux 5.3)", strerror(errno));
}

/* ---- files ---- */

static void check_directory(const char *path, struct finding *f)
{
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			say(f, FINE, "%s will be made", path);
		else
			say(f, MISSING, "%s: %s", path, strerror(errno));
		return;
	}
	if (!S_ISDIR(st.st_mode)) {
		say(f, MISSING, "%s is not a directory", path);
	} else if (st.st_uid != geteuid()) {
		say(f, geteuid() ? LIMITED : MISSING, "%s belongs to user %u", path, st.st_uid);
	} else if (st.st_mode & 077) {
		say(f, LIMITED, "%s has mode %04o: other users reach into it until ctr uses it",
		    path, st.st_mode & 07777);
		cure(f, "chmod 700 %s", path);
	} else {
		say(f, FINE, "%s", path);
	}
}

static void check_store(const struct examination *x, struct finding *f)
{
	struct statvfs fs;
	uint64_t free_bytes;
	char text[16];

	check_directory(x->c->store_root, f);
	if (f->verdict != FINE || statvfs(x->c->store_root, &fs) < 0)
		return;
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	say(f, FINE, "%s, %s free", x->c->store_root, format_size(free_bytes, text, sizeof(text)));
	if (free_bytes < (1ull << 30) || (fs.f_files && fs.f_favail < 10000)) {
		f->verdict = LIMITED;
		if (free_bytes >= (1ull << 30))
			say(f, LIMITED, "%s has few inodes left", x->c->store_root);
		cure(f, "`ctr image ls` and `ctr list` show what could go");
	}
}

static void check_disk_limits(const struct examination *x, struct finding *f)
{
	const char *where = access(x->c->store_root, F_OK) == 0 ? x->c->store_root : "/var/lib";
	auto_fd int root = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_fd int own = openat(root, "instances", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err ignored;

	if (root >= 0 && disk_check(own < 0 ? root : own, &ignored) == 0) {
		say(f, FINE, "what instances write can be limited (project quotas)");
		return;
	}
	if (access("/dev/loop-control", F_OK) == 0) {
		say(f, FINE,
		    "no project quotas below %s: the first --disk makes a file that has them",
		    where);
		return;
	}
	say(f, LIMITED, "no project quotas below %s, and no loop devices: --disk is refused",
	    where);
	cure(f, "`modprobe loop`, or %s", DISK_CURE);
}

static void check_run_root(const struct examination *x, struct finding *f)
{
	struct statfs fs;

	check_directory(x->c->run_root, f);
	if (f->verdict == FINE && statfs(x->c->run_root, &fs) == 0 &&
	    (unsigned long)fs.f_type != TMPFS_MAGIC && (unsigned long)fs.f_type != RAMFS_MAGIC) {
		say(f, LIMITED, "%s is not on tmpfs: after a reboot it would lie about what runs",
		    x->c->run_root);
		cure(f, "set CTR_RUN to a directory on tmpfs");
	}
}

static void check_unpacker(const struct examination *x, struct finding *f)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);
	char *slash;

	(void)x;
	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	if (slash)
		strcpy(slash + 1, "ctr-unpack");
	if (!slash || access(path, X_OK) < 0)
		snprintf(path, sizeof(path), "%s/ctr-unpack", CTR_LIBEXECDIR);
	if (access(path, X_OK) == 0) {
		say(f, FINE, "%s", path);
		return;
	}
	say(f, LIMITED, "ctr-unpack is not installed: images cannot be imported");
	cure(f, "`make install` installs it below " CTR_LIBEXECDIR);
}

/* containerd's package installs its debugging client as /usr/bin/ctr. */
static void check_path(const struct examination *x, struct finding *f)
{
	const char *path = getenv("PATH");
	struct stat own, other;
	char file[4096];

	(void)x;
	say(f, FINE, "no other program of this name comes first in PATH");
	if (stat("/proc/self/exe", &own) < 0)
		return;
	while (path && *path) {
		size_t len = strcspn(path, ":");

		snprintf(file, sizeof(file), "%.*s/ctr", (int)len, path);
		if (len && access(file, X_OK) == 0 && stat(file, &other) == 0 &&
		    S_ISREG(other.st_mode)) {
			if (own.st_ino == other.st_ino && own.st_size == other.st_size)
				return;
			say(f, LIMITED,
			    "`ctr` in your PATH is %s: another program, maybe containerd's client",
			    file);
			cure(f,
			     "put this one's directory in front, or call it by its path; ctr-oci is not affected");
			return;
		}
		path += len + (path[len] == ':');
	}
}

/* Promises that nobody holds a lock on any more: see runtime/state.h. */
static int broken_promises(const char *root)
{
	auto_dir DIR *dir = NULL;
	struct dirent *d;
	char path[4096];
	int n = 0;

	snprintf(path, sizeof(path), "%s/.open", root);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		auto_fd int fd = -1;

		if (d->d_name[0] == '.')
			continue;
		fd = openat(dirfd(dir), d->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		n += fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) == 0;
	}
	return n;
}

static void check_leftovers(const struct examination *x, struct finding *f)
{
	int instances, containers = broken_promises("/run/ctr-oci");
	char states[4096];

	snprintf(states, sizeof(states), "%s/state", x->c->run_root);
	instances = broken_promises(states);
	if (!instances && !containers) {
		say(f, FINE, "no command died half way");
		return;
	}
	say(f, LIMITED, "%d command%s died half way", instances + containers,
	    instances + containers == 1 ? "" : "s");
	cure(f, "the next `%s list` cleans up", instances ? "ctr" : "ctr-oci");
}

static void check_rules(const struct examination *x, struct finding *f)
{
	auto_instances struct instances all = INSTANCES_NONE;
	char name[64];
	struct err e;
	int lost = access(x->c->store_root, F_OK) < 0 ||
				   instances_open(x->c->store_root, x->c->run_root, &all, &e) < 0 ?
			   0 :
			   network_lost(&all, name, &e);

	if (lost < 0) {
		say(f, LIMITED, "whether instances' network rules are there cannot be told: %s",
		    e.msg);
		return;
	}
	if (!lost) {
		say(f, FINE, "those of all that run are there");
		return;
	}
	say(f, MISSING, "those of '%s' are gone: a reload of the host's firewall took them", name);
	cure(f,
	     "the next start of an instance with a network brings all back; let the reload spare `table inet ctr`");
}

/* Root's networks lead to the host's by its routes. */
static void check_way_out(const struct examination *x, struct finding *f)
{
	(void)x;
	if (!*rootless_no_way_out()) {
		say(f, FINE, "networks lead to the host's%s",
		    rootless_is_entered() ? " by pasta" : "");
		return;
	}
	say(f, LIMITED, "instances reach each other, but no network beyond: %s",
	    rootless_no_way_out());
	cure(f, "pasta connects a user's networks with the host's: ctr(1), ORDINARY USERS");
}

/* ---- the examination ---- */

static const struct {
	const char *name;
	check *run;
} checks[] = {
	{ "kernel", check_kernel },
	{ "user", check_user },
	{ "cgroups", check_cgroup },
	{ "controllers", check_controllers },
	{ "devices", check_bpf },
	{ "pressure", check_pressure },
	{ "namespaces", check_namespaces },
	{ "user-namespaces", check_userns },
	{ "mounts", check_mount_api },
	{ "id-mapped-mounts", check_idmap },
	{ "overlay", check_overlay },
	{ "erofs", check_erofs },
	{ "seccomp", check_seccomp },
	{ "pidfd", check_pidfd },
	{ "limits", check_resource },
	{ "store", check_store },
	{ "disk-limits", check_disk_limits },
	{ "run-state", check_run_root },
	{ "unpacker", check_unpacker },
	{ "path", check_path },
	{ "way-out", check_way_out },
	{ "network-rules", check_rules },
	{ "leftovers", check_leftovers },
};

#define N_CHECKS (sizeof(checks) / sizeof(checks[0]))

static void print_text(const struct finding *found)
{
	for (size_t i = 0; i < N_CHECKS; i++) {
		printf("%-8s  %-16s  %s\n", verdict_names[found[i].verdict], checks[i].name,
		       found[i].text);
		if (found[i].cure[0])
			printf("%-8s  %-16s  -> %s\n", "", "", found[i].cure);
	}
}

static int print_json(const struct finding *found, enum verdict worst, struct err *e)
{
	auto_str struct str text = { 0 };
	struct json_writer w = { .out = &text, .indent = true };

	json_open(&w, NULL, '{');
	json_put_i64(&w, "version", 1);
	json_put_string(&w, "verdict", verdict_names[worst]);
	json_open(&w, "checks", '[');
	for (size_t i = 0; i < N_CHECKS; i++) {
		json_open(&w, NULL, '{');
		json_put_string(&w, "name", checks[i].name);
		json_put_string(&w, "verdict", verdict_names[found[i].verdict]);
		json_put_string(&w, "text", found[i].text);
		json_put_string(&w, "cure", found[i].cure[0] ? found[i].cure : NULL);
		json_close(&w);
	}
	json_close(&w);
	json_close(&w);
	if (text.failed)
		return err_set(e, ENOMEM, "cannot print");
	printf("%s\n", text.s);
	return 0;
}

static int doctor(struct cli *c, int argc, char **argv)
{
	struct examination x = { .c = c };
	struct finding found[N_CHECKS] = { 0 };
	enum verdict worst = FINE;

	(void)argc, (void)argv; /* none, as the row says */
	if (host_probe(&x.host, c->e) < 0)
		return -1;
	for (size_t i = 0; i < N_CHECKS; i++) {
		checks[i].run(&x, &found[i]);
		if (found[i].verdict > worst)
			worst = found[i].verdict;
	}
	if (!c->json)
		print_text(found);
	else if (print_json(found, worst, c->e) < 0)
		return -1;
	return worst == MISSING ? EXIT_FAILED : EXIT_DONE;
}

const struct verb verb_doctor = {
	.name = "doctor",
	.run = doctor,
	.flags = VERB_JSON | VERB_STARTS,
	.help = "tell what this machine offers, what is missing, and what to do about it",
	.more = "Exits with 1 if something is missing without which no instance can run.",
};
