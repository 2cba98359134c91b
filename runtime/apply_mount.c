/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_mount.c - the new root and the mounts in it.
 *
 * A mount is first opened, detached, by whoever has the privilege for its source (parent or child),
 * and then placed by the child on a descriptor: the target is resolved inside the new root with
 * openat2(RESOLVE_IN_ROOT), and the mount goes onto what that descriptor refers to. A plain new file system
 * is mounted there by one mount(2). No path of an image
 * is ever walked twice or outside of it (CVE-2021-30465, CVE-2019-19921, CVE-2023-27561).
 *
 * Kernels before 5.12 lack mount_setattr: attributes are then set by a remount through the descriptor.
 * Where fsopen and open_tree are refused by a sandbox around us, mount(2) is used on /proc/self/fd/N of the
 * resolved target. It knows neither id-mapped nor detached mounts, so there is no user namespace with it; and
 * since it does not give the new mount's descriptor, the target is walked again, and what is found there
 * checked to be that mount.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/apply.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/handshake.h"
#include "runtime/host.h"
#include "runtime/overlay.h"
#include "runtime/spec.h"
#include "runtime/views.h"
#include "runtime/userns.h"

#ifndef ST_NOSYMFOLLOW
#define ST_NOSYMFOLLOW 0x2000 /* of linux/statfs.h, which collides with the C library's */
#endif

static bool is_missing_call(int error)
{
	return error == ENOSYS ||
	       error == EPERM; /* EPERM: a sandbox; mount(2) will say if it is the real reason */
}

static char *fd_path(int fd, char *buf, size_t size)
{
	snprintf(buf, size, "/proc/self/fd/%d", fd);
	return buf;
}

/* What the file system has to say about a failure, which is better than EINVAL (fsopen(2), "message log"). */
static int fs_failure(int fs, int error, const char *type, struct err *e)
{
	char line[512];
	ssize_t n = read(fs, line, sizeof(line) - 1);

	if (n > 2) {
		line[n] = '\0';
		line[strcspn(line, "\n")] = '\0';
		return err_set(e, error, "cannot mount %s: %s", type, line + 2); /* after "e " */
	}
	return err_set(e, error, "cannot mount %s", type);
}

static int fs_option(int fs, char *option)
{
	char *value = strchr(option, '=');

	if (!value)
		return sys_fsconfig(fs, FSCONFIG_SET_FLAG, option, NULL, 0);
	*value++ = '\0';
	return sys_fsconfig(fs, FSCONFIG_SET_STRING, option, value, 0);
}

/* No option of mqueue's: there the label of its root directory is set. */
static bool has_context(const struct mount_step *m)
{
	return m->label && !streq(m->type, "mqueue");
}

/* Without a policy there is nothing that it could be refused for. */
static void label_root(int fd, const char *label)
{
	auto_fd int root = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || fsetxattr(root, "security.selinux", label, strlen(label), 0) < 0)
		log_debug("no context '%s' for a mount: %s", label, strerror(errno));
}

/* A new file system of @type, detached. -1 with errno and maybe *e; e->code stays 0 for a missing call. */
static int open_new_fs(const struct mount_step *m, struct err *e)
{
	auto_fd int fs = sys_fsopen(m->type, FSOPEN_CLOEXEC);
	char *data, *rest, *option;
	int fd;

	if (fs < 0)
		return is_missing_call(errno) ? -1 : err_set(e, errno, "cannot mount %s", m->type);
	if (m->source && sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", m->source, 0) < 0)
		return fs_failure(fs, errno, m->type, e);
	data = m->data ? strdupa(m->data) : NULL;
	for (rest = data; rest && (option = strsep(&rest, ","));)
		if (*option && fs_option(fs, option) < 0)
			return fs_failure(fs, errno, m->type, e);
	if (has_context(m) && sys_fsconfig(fs, FSCONFIG_SET_STRING, "context", m->label, 0) < 0)
		return errno == EINVAL ?
			       err_set(e, ERR_NOT_SUPPORTED,
				       "linux.mountLabel: SELinux does not take context '%.200s' here",
				       m->label) :
			       fs_failure(fs, errno, m->type, e);
	if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fs_failure(fs, errno, m->type, e);
	/* what begins with a copy is made read-only after it */
	fd = sys_fsmount(fs, FSMOUNT_CLOEXEC,
			 (unsigned)(m->attr_set & ~(m->copy_up ? MOUNT_ATTR_RDONLY : 0ull)));
	if (fd < 0)
		return fs_failure(fs, errno, m->type, e);
	if (m->label && !has_context(m))
		label_root(fd, m->label);
	return fd;
}

static int open_bind(const char *path, bool recursive, bool nofollow, struct err *e)
{
	int fd =
		sys_open_tree(AT_FDCWD, path,
			      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0) |
				      (nofollow ? AT_SYMLINK_NOFOLLOW : 0));

	if (fd < 0 && !is_missing_call(errno))
		return err_set(e, errno, "cannot bind '%s'", path);
	return fd;
}

/* Of a device that is the host's, as crun has it: it is neither executed nor does it change a user. */
#define NODE_ATTR (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)

static int set_attr(int fd, bool recursive, uint64_t set, uint64_t clear, uint64_t propagation)
{
	struct mount_attr attr = { .attr_set = set, .attr_clr = clear, .propagation = propagation };

	if (!set && !clear && !propagation)
		return 0;
	if (set & MOUNT_ATTR__ATIME)
		attr.attr_clr |= MOUNT_ATTR__ATIME; /* an access time mode replaces the old one */
	return sys_mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr);
}

int apply_clone_tree(int dir, const char *path, unsigned how, uint64_t attr)
{
	static bool missing;
	const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | how;
	struct mount_attr with = { .attr_set = attr };
	auto_fd int fd = missing ? -1 : sys_open_tree_attr(dir, path, flags, &with);

	if (fd >= 0)
		return take_fd(&fd);
	if (!missing && !is_missing_call(errno))
		return -1;
	fd = sys_open_tree(dir, path, flags);
	if (fd < 0 || set_attr(fd, how & AT_RECURSIVE, attr, 0, 0) < 0)
		return -1;
	missing = true;
	return take_fd(&fd);
}

static int idmap_mount(int fd, int userns, bool recursive, const char *what, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns };

	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr) == 0)
		return 0;
	if (errno == EINVAL || errno == EOPNOTSUPP)
		return err_set(
			e, ERR_NOT_SUPPORTED,
			"the file system of '%s' cannot be id-mapped (ext4, xfs, btrfs, tmpfs since Linux 6.3 "
			"can); do without (':noidmap' for `ctr run -v`, no 'idmap' in a bundle), or share the host's user namespace",
			what);
	return err_set(e, errno, "cannot map the ids of '%s'", what);
}

/* One layer, id-mapped if wanted, as a detached mount. */
static int open_layer(const struct apply *a, const struct mount_step *m, const char *path,
		      struct err *e)
{
	auto_fd int fd = open_bind(path, false, false, e);

	if (fd < 0)
		return e->code ? -1 : err_set(e, errno, "cannot bind '%s'", path);
	if (m->idmap && idmap_mount(fd, a->userns, false, path, e) < 0)
		return -1;
	return take_fd(&fd);
}

/*
 * The same of a layer that is a detached mount. Before Linux 6.15 such a one cannot be cloned (EINVAL), and is used up: it is
 * its owner's own clone, made for this.
 */
static int open_tree_layer(const struct apply *a, const struct mount_step *m, struct err *e)
{
	auto_fd int fd =
		sys_open_tree(m->tree, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0 && errno == EINVAL)
		fd = fcntl(m->tree, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, errno, "cannot use the mount of '%s'", *m->layers);
	if (m->idmap && idmap_mount(fd, a->userns, false, *m->layers, e) < 0)
		return -1;
	return take_fd(&fd);
}

/*
 * A layer is named to overlay by descriptor where the kernel can (6.13), else by its path under
 * /proc/self/fd (6.5 and later take "lowerdir+" strings), see overlayfs.rst.
 */
static int overlay_layer(int fs, const char *key, int fd)
{
	char path[40];

	if (sys_fsconfig(fs, FSCONFIG_SET_FD, key, NULL, fd) == 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return sys_fsconfig(fs, FSCONFIG_SET_STRING, key, path, 0);
}

#define OVERLAY_MAX_LAYERS 500 /* OVL_MAX_STACK of the kernel */

/*
 * Overlay works on its upper directory as whoever mounted it, and in an id-mapped one only mapped ids can make
 * files: so it is mounted as the container's root, in the host's user namespace. A change of the file system
 * user takes the capabilities over files away (capabilities(7)), which copying up needs; they are raised
 * again, and setting the user back restores everything.
 */
static int create_as(int fs, uint32_t uid, uint32_t gid)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	int r, error;

	setfsgid((gid_t)gid);
	setfsuid((uid_t)uid);
	r = (int)syscall(SYS_capget, &header, caps);
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		caps[i].effective = caps[i].permitted;
	if (r == 0)
		r = (int)syscall(SYS_capset, &header, caps);
	if (r == 0)
		r = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	error = errno;
	setfsuid(geteuid());
	setfsgid(getegid());
	errno = error;
	return r;
}

/* Until the overlay is made its layers, being detached, live as long as their descriptors. The last is that of what is written. */
struct layers {
	size_t n;
	int fd[OVERLAY_MAX_LAYERS + 1];
};

static void own_layers(struct layers *l)
{
	while (l->n)
		close(l->fd[--l->n]);
}
#define auto_layers __attribute__((cleanup(own_layers)))

/* As many as there is room for; the others are closed now. */
static void spend_layers(struct apply *a, struct layers *l)
{
	while (l->n && a->n_spent < SPENT_MAX)
		a->spent[a->n_spent++] = l->fd[--l->n];
}

void apply_close_spent(struct apply *a)
{
	while (a->n_spent)
		close(a->spent[--a->n_spent]);
}

/*
 * Before Linux 6.15 overlay takes no layer that is not attached to the caller's mount namespace (EINVAL): they are
 * put on top of each other, and of "/", in one that is thrown away. Private, or their peers would get them too.
 */
static int attach_layer(int fd, struct err *e)
{
	if (set_attr(fd, false, 0, 0, MS_PRIVATE) < 0 ||
	    sys_move_mount(fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_set(e, errno, "cannot attach a layer");
	return 0;
}

/* All in one option, as before 6.5, if its 255 bytes suffice; the working directory is /proc/self/fd. */
static int name_lowers(int fs, const struct layers *l)
{
	char names[256];
	size_t len = 0, i = 0;

	for (; i < l->n && len < sizeof(names); i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, i ? ":%d" : "%d",
					l->fd[i]);
	if (len < sizeof(names))
		return sys_fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir", names, 0);
	for (i = 0; i < l->n; i++)
		if (overlay_layer(fs, "lowerdir+", l->fd[i]) < 0)
			return -1;
	return 0;
}

static int overlay_failure(int fs, int error, int upper, struct err *e)
{
	struct statfs f;

	if (upper >= 0 && fstatfs(upper, &f) == 0 && f.f_type == OVERLAYFS_SUPER_MAGIC)
		return err_set(
			e, ERR_NOT_SUPPORTED,
			"what instances write cannot lie on an overlay, as the root of an instance is "
			"one: give the one in which ctr runs a volume for it (-v DIR:/var/lib/ctr)");
	return fs_failure(fs, error, "overlay", e);
}

/* The layers as one detached overlay; @l gets what it is made of. */
static int make_overlay(const struct apply *a, const struct mount_step *m, bool attach,
			struct layers *l, struct err *e)
{
	auto_fd int fs = sys_fsopen("overlay", FSOPEN_CLOEXEC);
	auto_fd int upper_dir = -1, work_dir = -1;
	char base[PATH_MAX];
	int upper, fd;

	if (fs < 0)
		return err_set(e, errno, "cannot mount overlay");
	for (const char *const *layer = m->layers; *layer; layer++) {
		int lower;

		if (l->n == OVERLAY_MAX_LAYERS)
			return err_set(e, ERR_INVALID, "more than %d layers", OVERLAY_MAX_LAYERS);
		lower = m->tree >= 0 && !layer[1] ? open_tree_layer(a, m, e) :
						    open_layer(a, m, *layer, e);
		if (lower < 0)
			return -1;
		l->fd[l->n++] = lower;
		if (attach ? attach_layer(lower, e) < 0 : overlay_layer(fs, "lowerdir+", lower) < 0)
			return attach ? -1 : fs_failure(fs, errno, "overlay", e);
	}
	if (attach && name_lowers(fs, l) < 0)
		return fs_failure(fs, errno, "overlay", e);
	if (m->upper) {
		/* both must lie on one mount, so their parent is what is cloned and mapped */
		const char *slash = strrchr(m->upper, '/'),
			   *work = m->work ? strrchr(m->work, '/') : NULL;
		size_t len = slash ? (size_t)(slash - m->upper) : 0;

		if (!slash || !work || len >= sizeof(base) || (size_t)(work - m->work) != len ||
		    strncmp(m->upper, m->work, len) != 0)
			return err_set(e, ERR_INVALID,
				       "upper '%s' and work '%s' are not in one directory",
				       m->upper, m->work ? m->work : "");
		memcpy(base, m->upper, len);
		base[len] = '\0';
		upper = open_layer(a, m, base, e);
		if (upper < 0)
			return -1;
		l->fd[l->n++] = upper;
		if (attach && attach_layer(upper, e) < 0)
			return -1;
		upper_dir = openat(upper, slash + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		work_dir = openat(upper, work + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (upper_dir < 0 || work_dir < 0)
			return err_set(e, errno, "cannot open '%s'",
				       upper_dir < 0 ? m->upper : m->work);
		if (overlay_layer(fs, "upperdir", upper_dir) < 0 ||
		    overlay_layer(fs, "workdir", work_dir) < 0)
			return overlay_failure(fs, errno, upper_dir, e);
		if (m->volatile_upper &&
		    sys_fsconfig(fs, FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0)
			return fs_failure(fs, errno, "overlay", e);
	}
	if (overlay_settings(fs) < 0)
		return fs_failure(fs, errno, "overlay", e);
	if (m->idmap ? create_as(fs, userns_host_id(a->spec->uid_maps, a->spec->n_uid_maps, 0, 0),
				 userns_host_id(a->spec->gid_maps, a->spec->n_gid_maps, 0, 0)) < 0 :
		       sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return overlay_failure(fs, errno, upper_dir, e);
	fd = sys_fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)m->attr_set);
	if (fd < 0)
		return fs_failure(fs, errno, "overlay", e);
	return fd;
}

/* What the helper below has to tell, in memory that both share. */
struct opened {
	struct err err;
	int fd;
};

int apply_open_elsewhere(const struct apply *a, apply_open *open, const void *what, struct err *e)
{
	struct clone_args args = { .flags = CLONE_FILES | CLONE_NEWNS };
	struct opened *r =
		mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int fd;

	if (r == MAP_FAILED)
		return err_set(e, errno, "cannot share memory with a helper");
	r->fd = -1;
	pid = sys_clone3(&args);
	if (pid == 0) {
		if (mount(NULL, "/", NULL, MS_PRIVATE, NULL) < 0)
			err_set(&r->err, errno, "cannot prepare a mount namespace");
		else
			r->fd = open(a, what, &r->err);
		_exit(0);
	}
	if (pid < 0)
		err_set(e, errno, "cannot make a mount namespace");
	while (pid > 0 && waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	fd = r->fd;
	if (pid > 0 && fd < 0)
		*e = r->err.code ?
			     r->err :
			     (struct err){ .code = ERR_INVALID, .msg = "a helper for mounts died" };
	munmap(r, sizeof(*r));
	return fd;
}

static int make_attached_overlay(const struct apply *a, const void *what, struct err *e)
{
	auto_layers struct layers layers = { .n = 0 };

	if (chdir("/proc/self/fd") < 0)
		return err_set(e, errno, "cannot prepare a mount namespace for overlay");
	return make_overlay(a, what, true, &layers, e);
}

static int open_overlay(struct apply *a, const struct mount_step *m, struct err *e)
{
	auto_layers struct layers layers = { .n = 0 };
	const struct host *h = a->host;
	struct err refused = *e;

	/* where it is known to fail the kernel would also log each attempt */
	if (host_kernel_is(h, 6, 15)) {
		int fd = make_overlay(a, m, false, &layers, &refused);

		if (fd >= 0) {
			spend_layers(a, &layers);
			return fd;
		}
		if (refused.code != EINVAL) {
			*e = refused;
			return -1;
		}
	}
	return apply_open_elsewhere(a, make_attached_overlay, m, e);
}

static const char *mount_name(const struct mount_step *m)
{
	return m->what == MOUNT_BIND ? m->source : m->what == MOUNT_OVERLAY ? "overlay" : m->type;
}

/* Made for the container, with its attributes; else it is there already. */
static bool is_new(const struct apply *a, const struct mount_step *m)
{
	return m->what == MOUNT_NEW_FS || m->what == MOUNT_OVERLAY ||
	       (m->what == MOUNT_CGROUP && spec_namespace(a->spec, CLONE_NEWCGROUP));
}

/* cgroup2 of the container's own cgroup namespace, or the host's: it is there that the paths in /proc/PID/cgroup then are (runc, crun). */
static int open_cgroup(const struct apply *a, const struct mount_step *m, struct err *e)
{
	return is_new(a, m) ? open_new_fs(m, e) : open_bind(a->host->cgroup, true, false, e);
}

int apply_map_mount(const struct apply *a, const struct mount_step *m, int fd, struct err *e)
{
	auto_fd int own = -1;

	if (m->n_uid_maps) {
		own = userns_open(m->uid_maps, m->n_uid_maps, m->gid_maps, m->n_gid_maps, e);
		if (own < 0)
			return -1;
	}
	return idmap_mount(fd, own >= 0 ? own : a->userns, m->idmap_recursive, m->source, e);
}

/* Opens what a mount step puts in place. -1 with e->code 0: the calls are missing, use mount(2). */
static int open_mount(struct apply *a, const struct mount_step *m, struct err *e)
{
	auto_fd int fd = -1;

	e->code = 0;
	switch (m->what) {
	case MOUNT_NEW_FS:
		return open_new_fs(m, e);
	case MOUNT_CGROUP:
		return open_cgroup(a, m, e);
	case MOUNT_OVERLAY:
		return open_overlay(a, m, e);
	case MOUNT_BIND:
		fd = open_bind(m->source, m->recursive, m->source_nofollow, e);
		break;
	}
	if (fd < 0)
		return -1;
	if (m->idmap && apply_map_mount(a, m, fd, e) < 0)
		return -1;
	return take_fd(&fd);
}

/* By the child: what is among its own mounts. It does not have the privilege to map ids of what is not its own. */
static int open_inside(struct apply *a, const struct mount_step *m, struct err *e)
{
	auto_fd int source =
		path_open_in(a->root, m->inside, O_PATH | (m->source_nofollow ? O_NOFOLLOW : 0));
	auto_fd int fd = -1;

	if (source < 0)
		return err_set(e, errno, "cannot open '%s' inside", m->inside);
	fd = sys_open_tree(source, "",
			   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
				   (m->recursive ? AT_RECURSIVE : 0));
	if (fd < 0)
		return err_set(e, errno, "cannot bind '%s'", m->source);
	if (m->idmap &&
	    (say_fds(a->sock, MSG_TO_MAP, &fd, 1, e) < 0 || hear(a->sock, MSG_MAP_SET, e) < 0))
		return -1;
	return take_fd(&fd);
}

int apply_open_mount(struct apply *a, const struct mount_step *m, struct err *e)
{
	int fd = open_mount(a, m, e);

	if (fd < 0 && !e->code)
		err_set(e, errno, "cannot open the mount of '%s'", mount_name(m));
	return fd;
}

int apply_open_tree(struct apply *a, const struct step *st, struct err *e)
{
	const struct mount_step *m = &st->mount;
	int fd, slot;

	if (st->kind == STEP_DEVICE)
		slot = st->device.slot;
	else if (st->kind == STEP_MOUNT || st->kind == STEP_ROOT)
		slot = m->slot;
	else
		return 0;
	if (slot < 0)
		return 0;
	fd = st->kind == STEP_DEVICE ? apply_open_device(a, st, e) : apply_open_mount(a, m, e);
	if (fd < 0)
		return err_in(e, "%s", st->why);
	a->trees[slot] = fd;
	if ((size_t)slot >= a->n_trees)
		a->n_trees = (size_t)slot + 1;
	/* cloned from the host's namespace it is a peer of the host's mount, and would send ours back */
	if (set_attr(fd, true, st->kind == STEP_DEVICE ? NODE_ATTR : 0, 0, MS_SLAVE) < 0)
		return err_set(e, errno, "%s: cannot make a slave mount of it", st->why);
	return 0;
}

int apply_propagation(struct apply *a, const struct step *st, struct err *e)
{
	(void)a;
	if (mount(NULL, "/", NULL, st->propagation, NULL) < 0)
		return err_set(e, errno, "cannot set the propagation of '/'");
	return 0;
}

/* MOUNT_ATTR_* as MS_*, for mount(2), and as ST_*, which statfs(2) answers with. */
static const struct {
	uint64_t attr;
	unsigned long ms, st;
} flag_map[] = {
	{ MOUNT_ATTR_RDONLY, MS_RDONLY, ST_RDONLY },
	{ MOUNT_ATTR_NOSUID, MS_NOSUID, ST_NOSUID },
	{ MOUNT_ATTR_NODEV, MS_NODEV, ST_NODEV },
	{ MOUNT_ATTR_NOEXEC, MS_NOEXEC, ST_NOEXEC },
	{ MOUNT_ATTR_NODIRATIME, MS_NODIRATIME, ST_NODIRATIME },
	{ MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW, ST_NOSYMFOLLOW },
};

static unsigned long ms_flags(uint64_t attr)
{
	unsigned long flags = 0;

	for (size_t i = 0; i < sizeof(flag_map) / sizeof(flag_map[0]); i++)
		if (attr & flag_map[i].attr)
			flags |= flag_map[i].ms;
	if ((attr & MOUNT_ATTR__ATIME) == MOUNT_ATTR_NOATIME)
		flags |= MS_NOATIME;
	if ((attr & MOUNT_ATTR__ATIME) == MOUNT_ATTR_STRICTATIME)
		flags |= MS_STRICTATIME;
	return flags;
}

/* The attributes of a mount, as far as statfs(2) knows them. */
static int get_attr(int fd, uint64_t *attr)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -1;
	*attr = (uint64_t)fs.f_flags & ST_NOATIME  ? MOUNT_ATTR_NOATIME :
		(uint64_t)fs.f_flags & ST_RELATIME ? MOUNT_ATTR_RELATIME :
						     MOUNT_ATTR_STRICTATIME;
	for (size_t i = 0; i < sizeof(flag_map) / sizeof(flag_map[0]); i++)
		if ((unsigned long)fs.f_flags & flag_map[i].st)
			*attr |= flag_map[i].attr;
	return 0;
}

/*
 * set_attr() without mount_setattr. mount(2) replaces all flags of a mount at once, so those it has are given
 * again: else a bind of a nosuid mount would lose that, and in a user namespace be refused. It also passes
 * over flags that it does not know (MS_NOSYMFOLLOW before Linux 5.10), hence the look afterwards.
 */
static int remount(int fd, uint64_t set, uint64_t clear)
{
	uint64_t attr, is;
	char path[40];

	if (!set && !clear)
		return 0;
	if (get_attr(fd, &attr) < 0)
		return -1;
	if (set & MOUNT_ATTR__ATIME)
		clear |= MOUNT_ATTR__ATIME;
	attr = (attr & ~clear) | set;
	/* MOUNT_ATTR_RELATIME is 0, but for mount(2) to say nothing is to keep what is */
	if (mount(NULL, fd_path(fd, path, sizeof(path)), NULL,
		  MS_REMOUNT | MS_BIND | ms_flags(attr) |
			  (attr & MOUNT_ATTR__ATIME ? 0 : MS_RELATIME),
		  NULL) < 0)
		return -1;
	if (get_attr(fd, &is) < 0)
		return -1;
	if ((is & set) != set) {
		errno = ENOSYS;
		return -1;
	}
	return 0;
}

/*
 * The new root goes on top of "/": a place that exists in every mount namespace and that a process without
 * any right to the host's directories can reach. pivot_root() below takes it from there.
 */
static bool is_looked_for(const struct spec *s)
{
	size_t len = s->root.path ? strlen(s->root.path) : 0;

	for (size_t i = 0; len && i < s->n_mounts; i++) {
		const char *source = s->mounts[i].source;

		if (source && strncmp(source, s->root.path, len) == 0 && source[len] == '/')
			return true;
	}
	return s->hooks[HOOK_PRESTART].n || s->hooks[HOOK_CREATE_RUNTIME].n ||
	       s->hooks[HOOK_CREATE_CONTAINER].n;
}

int apply_root(struct apply *a, const struct step *st, struct err *e)
{
	const struct mount_step *m = &st->mount;
	auto_fd int fd = m->slot >= 0 ? take_fd(&a->trees[m->slot]) : open_mount(a, m, e);
	const char *where;
	char path[40];

	if (m->detached) {
		a->root = take_fd(&fd);
		return a->root >= 0 ? 0 :
		       e->code	    ? -1 :
				      err_set(e, errno, "cannot open the root file system");
	}
	if (fd < 0 && m->what == MOUNT_BIND && is_missing_call(errno)) {
		if (m->propagation) /* the host would get this mount as well */
			return err_set(e, ERR_NOT_SUPPORTED,
				       "shared mounts need the mount calls of Linux 5.2");
		if (mount(m->source, m->source, NULL, MS_BIND | MS_REC, NULL) < 0)
			return err_set(e, errno, "cannot bind '%s'", m->source);
		a->root = openat(AT_FDCWD, m->source, O_PATH | O_DIRECTORY | O_CLOEXEC);
		return a->root < 0 ? err_set(e, errno, "cannot open '%s'", m->source) : 0;
	}
	if (fd < 0)
		return e->code ? -1 : err_set(e, errno, "cannot open the root file system");
	/*
	 * Over everything; but hooks that come before the pivot look for it where the bundle has it, in the container's mount namespace
	 * (runtime-spec, config.md, "createContainer Hooks"; NVIDIA's enter it from outside), and so do mounts whose source is what an
	 * earlier one put there.
	 */
	where = is_looked_for(a->spec) && m->what == MOUNT_BIND ? m->source : "/";
	/* a user namespace may not be allowed to go there: what is looked for is then not found, as if it had not been put there */
	if (sys_move_mount(fd, "", AT_FDCWD, where,
			   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) < 0 &&
	    (errno != EACCES || streq(where, "/") ||
	     sys_move_mount(fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0))
		return err_set(e, errno, "cannot attach the root file system");
	if (m->propagation &&
	    mount(NULL, fd_path(fd, path, sizeof(path)), NULL, m->propagation, NULL) < 0)
		return err_set(e, errno, "cannot set the propagation of the root");
	a->root = take_fd(&fd);
	return 0;
}

/*
 * /proc and /sys must be where they seem to be: an image in which they are symbolic links would have other
 * places overmounted and its own files taken for the kernel's (CVE-2019-19921, CVE-2023-27561).
 */
static bool must_be_ordinary(const char *target)
{
	return streq(target, "/proc") || streq(target, "/sys") || streq(target, "/dev");
}

/* The target inside the new root, made if missing, as a descriptor. */
static int open_target(struct apply *a, const struct mount_step *m, bool file, struct err *e)
{
	bool ordinary = must_be_ordinary(m->target);
	int fd = -1;

	if (m->target_nofollow || ordinary)
		fd = path_open_in(a->root, m->target,
				  O_PATH | O_NOFOLLOW | (ordinary ? O_DIRECTORY : 0));
	if (fd >= 0)
		return fd;
	if (ordinary && errno != ENOENT)
		return errno == ENOTDIR || errno == ELOOP ?
			       err_set(e, ERR_INVALID, "'%s' must be mounted on ordinary directory",
				       m->target) :
			       err_set(e, errno, "cannot open '%s'", m->target);
	return file ? path_make_file_in(a->root, m->target, 0644, e) :
		      path_make_dir_in(a->root, m->target, 0755, e);
}

/* What a mount(2) put on @path in the root: @source, or if that is -1 a file system that @below is not of. */
static int open_placed(const struct apply *a, const char *path, bool nofollow, int source,
		       int below, struct err *e)
{
	auto_fd int fd = path_open_in(a->root, path, O_PATH | (nofollow ? O_NOFOLLOW : 0));
	struct stat is, other;

	if (fd < 0 || fstat(fd, &is) < 0 || fstat(source >= 0 ? source : below, &other) < 0)
		return err_set(e, errno, "cannot open '%s'", path);
	if (source >= 0 ? is.st_dev != other.st_dev || is.st_ino != other.st_ino :
			  is.st_dev == other.st_dev)
		return err_set(e, ERR_INVALID, "'%s' changed while it was mounted upon", path);
	return take_fd(&fd);
}

/* mount_setattr, or mount(2) where it is missing. Recursive attributes are beyond that. */
static int set_attrs(const struct mount_step *m, int fd, bool from_elsewhere, struct err *e)
{
	char path[40];
	unsigned how = m->propagation & ~(unsigned)MS_REC;

	if (from_elsewhere && set_attr(fd, false, m->attr_set, m->attr_clear, 0) < 0 &&
	    (!is_missing_call(errno) || remount(fd, m->attr_set, m->attr_clear) < 0))
		return err_set(e, errno, "cannot set the options of '%s'", m->target);
	if (set_attr(fd, true, m->rattr_set, m->rattr_clear, 0) < 0)
		return err_set(e, errno, "cannot set the options of all below '%s'", m->target);
	if (set_attr(fd, m->propagation & MS_REC, 0, 0, how) < 0 &&
	    (!is_missing_call(errno) ||
	     mount(NULL, fd_path(fd, path, sizeof(path)), NULL, m->propagation, NULL) < 0))
		return err_set(e, errno, "cannot set the propagation of '%s'", m->target);
	return 0;
}

/* Where the kernel has no other call: mount(2), from descriptor to descriptor. */
static int mount_old(struct apply *a, const struct mount_step *m, struct err *e)
{
	bool bind = !is_new(a, m);
	auto_fd int source = -1, target = -1, placed = -1;
	char from[PATH_MAX], to[40], data[PATH_MAX];
	struct stat s = { .st_mode = S_IFDIR };

	if (m->idmap || m->copy_up || m->what == MOUNT_OVERLAY)
		return err_set(e, ENOSYS, "cannot mount %s on '%s'", mount_name(m), m->target);
	if (bind) {
		source = openat(AT_FDCWD, m->what == MOUNT_CGROUP ? a->host->cgroup : m->source,
				O_PATH | O_CLOEXEC | (m->source_nofollow ? O_NOFOLLOW : 0));
		if (source < 0 || fstat(source, &s) < 0)
			return err_set(e, errno, "cannot open '%s'", mount_name(m));
	}
	if (has_context(m) &&
	    snprintf(data, sizeof(data), "%s%scontext=\"%s\"", m->data ? m->data : "",
		     m->data ? "," : "", m->label) >= (int)sizeof(data))
		return err_set(e, ENAMETOOLONG, "options of '%s'", m->target);
	target = open_target(a, m, !S_ISDIR(s.st_mode), e);
	if (target < 0)
		return -1;
	fd_path(target, to, sizeof(to));
	if (bind ? mount(fd_path(source, from, sizeof(from)), to, NULL,
			 MS_BIND | (m->recursive || m->what == MOUNT_CGROUP ? MS_REC : 0),
			 NULL) < 0 :
		   mount(m->source ? m->source : m->type, to, m->type, ms_flags(m->attr_set),
			 has_context(m) ? data : m->data) < 0)
		return err_set(e, errno, "cannot mount %s on '%s'", mount_name(m), m->target);
	placed = open_placed(a, m->target, m->target_nofollow, source, target, e);
	return placed < 0 ? -1 : set_attrs(m, placed, bind, e);
}

/* The image's directory @target into the new tmpfs @fd, which open_mount() has left writable for it. */
static int fill_tmpfs(const struct mount_step *m, int target, int fd, struct err *e)
{
	if (apply_copy_up(m, target, fd, e) < 0)
		return -1;
	if (set_attr(fd, false, m->attr_set & MOUNT_ATTR_RDONLY, 0, 0) < 0)
		return err_set(e, errno, "cannot make '%s' read-only", m->target);
	return 0;
}

/* A tmpfs without a mode of its own has that of the directory that it hides, if there is one, as with runc. */
static const struct mount_step *with_mode(const struct apply *a, const struct mount_step *m,
					  struct mount_step *copy, char data[PATH_MAX])
{
	auto_fd int there = -1;
	struct stat st;

	if (m->what != MOUNT_NEW_FS || !streq(m->type, "tmpfs") || m->copy_up ||
	    (m->data && strstr(m->data, "mode=")))
		return m;
	there = path_open_in(a->root, m->target, O_PATH | O_DIRECTORY);
	if (there < 0 || fstat(there, &st) < 0 ||
	    snprintf(data, PATH_MAX, "%s%smode=%o", m->data ? m->data : "", m->data ? "," : "",
		     st.st_mode & 07777) >= PATH_MAX)
		return m;
	*copy = *m;
	copy->data = data;
	return copy;
}

#define PLAIN_ATTR                                                                      \
	(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR__ATIME | \
	 MOUNT_ATTR_NODIRATIME)

/*
 * What mount(2) does as well, in two calls instead of seven and more, and in two thirds of the time: a new file system with flags that every
 * kernel knows (others are passed over), and a page of options (the kernel cuts off what is more). Not a read-only one: that would go for the
 * superblock, which other mounts may have in common; that of cgroup2 is there and stays as it is.
 */
static bool is_plain(const struct apply *a, const struct mount_step *m)
{
	uint64_t attr = PLAIN_ATTR | (m->what == MOUNT_CGROUP ? MOUNT_ATTR_RDONLY : 0);

	return is_new(a, m) && m->what != MOUNT_OVERLAY && m->slot < 0 && !m->detached &&
	       !m->label && !m->copy_up && !m->propagation && !m->rattr_set && !m->rattr_clear &&
	       !(m->attr_set & ~attr) && (!m->data || strlen(m->data) < 4096);
}

/*
 * 1; 0: nothing was done but the target opened, and the other calls may do it or have words for the reason; -1 and *e.
 */
static int mount_plain(struct apply *a, const struct mount_step *m, int *target, struct err *e)
{
	if (!is_plain(a, m))
		return 0;
	*target = open_target(a, m, false, e);
	if (*target < 0)
		return -1;
	/* one whose owner has no id here may be mounted upon, and not entered */
	if (fchdir(*target) < 0)
		return errno == EACCES ? 0 : err_set(e, errno, "cannot enter '%s'", m->target);
	return mount(m->source, ".", m->type, ms_flags(m->attr_set), m->data) == 0;
}

int apply_mount(struct apply *a, const struct step *st, struct err *e)
{
	char data[PATH_MAX];
	struct mount_step copy;
	const struct mount_step *m = with_mode(a, &st->mount, &copy, data);
	auto_fd int fd = -1, target = -1;
	struct stat s = { .st_mode = S_IFDIR }, there;
	int done = mount_plain(a, m, &target, e);

	if (done)
		return done < 0 ? -1 : 0;
	fd = m->slot >= 0 ? take_fd(&a->trees[m->slot]) :
	     m->inside	  ? open_inside(a, m, e) :
			    open_mount(a, m, e);
	if (fd < 0)
		return e->code ? -1 : mount_old(a, m, e);
	if (m->what == MOUNT_BIND && fstat(fd, &s) < 0)
		return err_set(e, errno, "cannot stat '%s'", m->source);
	if (target < 0)
		target = open_target(a, m, !S_ISDIR(s.st_mode), e);
	if (target < 0 || (m->copy_up && fill_tmpfs(m, target, fd, e) < 0))
		return -1;
	/* of a tree that is attached nowhere only the root can be changed; in one that is, what it goes on may spread to it */
	if (m->detached && set_attrs(m, fd, !is_new(a, m), e) < 0)
		return -1;
	if (sys_move_mount(fd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
	    0) {
		/* the kernel's word for a file on a directory */
		if (errno == EINVAL && !S_ISDIR(s.st_mode) && fstat(target, &there) == 0 &&
		    S_ISDIR(there.st_mode))
			return err_set(
				e, ERR_INVALID,
				"cannot mount %s on '%s': there is a directory, and the source is none",
				mount_name(m), m->target);
		return err_set(e, errno, "cannot mount %s on '%s'", mount_name(m), m->target);
	}
	return m->detached ? 0 : set_attrs(m, fd, !is_new(a, m), e);
}

#define EMPTY_DATA "nr_inodes=1,mode=555" /* the one is the directory itself */
#define EMPTY_ATTR (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/*
 * The host's /dev/null, opened before anything of the image was touched, and checked to be the device: the image's
 * could be a symbolic link (CVE-2025-31133).
 */
static int open_null(struct apply *a, struct err *e)
{
	struct stat st;

	if (a->null >= 0)
		return 0;
	a->null = openat(AT_FDCWD, "/dev/null", O_PATH | O_CLOEXEC | O_NOFOLLOW);
	if (a->null < 0 || fstat(a->null, &st) < 0)
		return err_set(e, errno, "cannot open '/dev/null'");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(e, ERR_INVALID, "'/dev/null' is not the null device");
	return 0;
}

int apply_bind_fd(int what, int target)
{
	auto_fd int tree =
		sys_open_tree(what, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	char from[40], to[40];

	if (tree >= 0)
		return sys_move_mount(tree, "", target, "",
				      MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
	if (!is_missing_call(errno))
		return -1;
	return mount(fd_path(what, from, sizeof(from)), fd_path(target, to, sizeof(to)), NULL,
		     MS_BIND, NULL);
}

int apply_open_node(const char *path, bool *clone)
{
	int node = apply_clone_tree(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, NODE_ATTR);

	*clone = node >= 0;
	return node >= 0 || !is_missing_call(errno) ?
		       node :
		       openat(AT_FDCWD, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

int apply_place_node(int node, bool clone, int parent, const char *name, int target)
{
	auto_fd int mounted = -1;

	if (clone)
		return sys_move_mount(node, "", target, "",
				      MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
	if (apply_bind_fd(node, target) < 0)
		return -1;
	mounted = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return mounted < 0 ? -1 : remount(mounted, NODE_ATTR, 0);
}

static int open_empty_dir(const struct apply *a, struct err *e)
{
	const struct mount_step m = { .type = "tmpfs",
				      .data = EMPTY_DATA,
				      .label = a->spec->mount_label,
				      .attr_set = EMPTY_ATTR };
	int fd;

	e->code = 0;
	if (a->empty_dir < 0)
		return open_new_fs(&m, e);
	fd = sys_open_tree(a->empty_dir, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	return fd < 0 && !is_missing_call(errno) ?
		       err_set(e, errno, "cannot clone an empty directory") :
		       fd;
}

/*
 * One empty, read-only tmpfs hides all masked directories: a superblock for each would cost 16 us each. The first
 * gets the mount itself, the others clones of it, which before Linux 6.15 only a mount that is attached can have.
 */
static int mask_directory(struct apply *a, const char *name, int target, struct err *e)
{
	auto_fd int hide = open_empty_dir(a, e);
	char path[40];

	if (hide < 0 && e->code)
		return -1;
	if (hide >= 0 ? sys_move_mount(hide, "", target, "",
				       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 :
			mount("tmpfs", fd_path(target, path, sizeof(path)), "tmpfs",
			      ms_flags(EMPTY_ATTR), EMPTY_DATA) < 0)
		return err_set(e, errno, "cannot mask '%s'", name);
	if (a->empty_dir < 0)
		a->empty_dir = take_fd(&hide);
	return 0;
}

int apply_mask(struct apply *a, const struct step *st, struct err *e)
{
	auto_fd int target = path_open_in(a->root, st->path, O_PATH);
	struct stat s;

	if (target < 0)
		return errno == ENOENT || errno == ENOTDIR ?
			       0 :
			       err_set(e, errno, "cannot open '%s'", st->path);
	if (fstat(target, &s) < 0)
		return err_set(e, errno, "cannot stat '%s'", st->path);
	if (S_ISDIR(s.st_mode))
		return mask_directory(a, st->path, target, e);
	if (open_null(a, e) < 0)
		return -1;
	return apply_bind_fd(a->null, target) < 0 ?
		       err_set(e, errno, "cannot mask '%s'", st->path) :
		       0;
}

int apply_view(struct apply *a, const struct step *st, struct err *e)
{
	auto_fd int target = st->view->tree < 0 ? -1 :
						  path_open_in(a->root, st->view->path, O_PATH);

	if (target < 0) /* no sysfs, or one of a kernel without processors to be taken away */
		return st->view->tree < 0 || errno == ENOENT || errno == ENOTDIR ?
			       0 :
			       err_set(e, errno, "cannot open '%s'", st->view->path);
	return sys_move_mount(st->view->tree, "", target, "",
			      MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ?
		       err_set(e, errno, "cannot put a view over '%s'", st->view->path) :
		       0;
}

/* Whether a mount point, as mountinfo writes it (blanks and the like are \ooo), lies below @path. */
static bool is_below(const char *at, const char *path)
{
	for (; *path; path++) {
		unsigned c = (unsigned char)*at++;

		if (c == '\\' && sscanf(at, "%3o", &c) == 1)
			at += 3;
		if (c != (unsigned char)*path)
			return false;
	}
	return *at == '/';
}

/* Whether anything is mounted below what @fd is; -1 and *e. */
static int has_mounts_below(int fd, struct err *e)
{
	char link[40], path[PATH_MAX], *line, *rest;
	auto_str struct str info = { 0 };
	ssize_t len = readlink(fd_path(fd, link, sizeof(link)), path, sizeof(path) - 1);

	if (len < 0)
		return err_set(e, errno, "cannot read '%s'", link);
	path[len] = '\0';
	if (file_read_kernel(AT_FDCWD, "/proc/self/mountinfo", 64u << 20, &info, e) < 0)
		return -1;
	for (rest = info.s; rest && (line = strsep(&rest, "\n"));) {
		const char *at = line;

		for (int field = 0; at && field < 4; field++) /* the mount point is the fifth */
			at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL;
		if (at && is_below(at, path))
			return 1;
	}
	return 0;
}

/* By a bind of the path on itself, and a remount of it, which reaches what lies on that mount and no further. */
static int readonly_old(struct apply *a, const char *name, int target, struct err *e)
{
	auto_fd int placed = -1;
	char path[40];
	int below;

	fd_path(target, path, sizeof(path));
	if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0)
		return err_set(e, errno, "cannot bind '%s'", name);
	placed = open_placed(a, name, false, target, -1, e);
	if (placed < 0)
		return -1;
	below = has_mounts_below(placed, e);
	if (below < 0)
		return -1;
	if (below)
		return err_set(e, ENOSYS, "cannot make '%s' and the mounts below it read-only",
			       name);
	if (remount(placed, MOUNT_ATTR_RDONLY, 0) < 0)
		return err_set(e, errno, "cannot make '%s' read-only", name);
	return 0;
}

int apply_readonly_path(struct apply *a, const struct step *st, struct err *e)
{
	auto_fd int target = path_open_in(a->root, st->path, O_PATH);
	auto_fd int tree = -1;

	if (target < 0)
		return errno == ENOENT || errno == ENOTDIR ?
			       0 :
			       err_set(e, errno, "cannot open '%s'", st->path);
	tree = apply_clone_tree(target, "", AT_EMPTY_PATH | AT_RECURSIVE, MOUNT_ATTR_RDONLY);
	if (tree >= 0) {
		if (sys_move_mount(tree, "", target, "",
				   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
			return err_set(e, errno, "cannot make '%s' read-only", st->path);
		return 0;
	}
	if (!is_missing_call(errno))
		return err_set(e, errno, "cannot make '%s' read-only", st->path);
	return readonly_old(a, st->path, target, e);
}

/*
 * pivot_root(".", ".") stacks the old root over the new one, so that no directory is needed for it, and
 * the old one is then taken away (pivot_root(2), NOTES).
 */
int apply_pivot(struct apply *a, const struct step *st, struct err *e)
{
	auto_fd int old =
		st->pivot.shared ? openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fchdir(a->root) < 0)
		return err_set(e, errno, "cannot enter the new root");
	if (st->pivot.chroot) {
		if (chroot(".") < 0 || chdir("/") < 0)
			return err_set(e, errno, "cannot change the root");
		return 0;
	}
	if (sys_pivot_root(".", ".") < 0)
		return err_set(e, errno, "cannot pivot into the new root");
	/* taken away from peers of the host's mounts, they would be so from the host */
	if (st->pivot.shared &&
	    (fchdir(old) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0))
		return err_set(e, errno, "cannot part the old root from the host's");
	if (umount2(".", MNT_DETACH) < 0)
		return err_set(e, errno, "cannot let go of the old root");
	if (chdir("/") < 0)
		return err_set(e, errno, "cannot enter the new root");
	return 0;
}

/* What is mounted there, and nothing below it. */
int apply_readonly_mount(struct apply *a, const struct step *st, struct err *e)
{
	auto_fd int target = path_open_in(a->root, st->path, O_PATH);

	if (target < 0)
		return err_set(e, errno, "cannot open '%s'", st->path);
	if (set_attr(target, false, MOUNT_ATTR_RDONLY, 0, 0) < 0 &&
	    (!is_missing_call(errno) || remount(target, MOUNT_ATTR_RDONLY, 0) < 0))
		return err_set(e, errno, "cannot make '%s' read-only", st->path);
	return 0;
}

/* By descriptor, not by a name that the image could have a say in (CVE-2026-115521). */
int apply_root_attr(struct apply *a, const struct step *st, struct err *e)
{
	uint64_t attr = st->root_attr.readonly ? MOUNT_ATTR_RDONLY : 0;
	unsigned apart = st->root_attr.apart ? MS_PRIVATE : 0;

	if (set_attr(a->root, false, attr, 0, apart) < 0 &&
	    (!is_missing_call(errno) || (attr && remount(a->root, attr, 0) < 0) ||
	     (apart && mount(NULL, "/", NULL, apart, NULL) < 0)))
		return err_set(e, errno, "cannot set the options of the root");
	if (st->root_attr.propagation &&
	    mount(NULL, "/", NULL, st->root_attr.propagation, NULL) < 0)
		return err_set(e, errno, "cannot set the propagation of the root");
	return 0;
}
