/*
 * mount.c - images' roots as mounts.
 *
 *	image_mount()
 *	  clone_root() in the namespace of pinned.h	a clone of what is at /<root id>
 *	  or, when nothing is:
 *	  index_mount(), place_root() in the namespace
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#include "images/images.h"
#include "images/meta.h"
#include "images/store.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/base/pinned.h"

#define STRING_MAX 255 /* of a parameter given to fsconfig(2) */

/* --- One index ------------------------------------------------------------------------------------------ */

/* The kernel's own words, if it has any: they are read from the context's descriptor. */
static int mount_failed(int fs, int error, struct err *e)
{
	char why[128];
	ssize_t n = read(fs, why, sizeof(why) - 1);

	why[n > 0 ? n : 0] = '\0';
	why[strcspn(why, "\n")] = '\0';
	err_set(e, error, "cannot mount an EROFS index%s%s", n > 0 ? ": " : "", why);
	/* files of a tmpfs, or any before 6.12: ENOTBLK; a kernel without EROFS: ENODEV; one before multiple devices: EINVAL */
	if (error == ENOTBLK || error == ENODEV || error == EINVAL || error == EOPNOTSUPP ||
	    error == EPERM)
		e->code = ERR_NOT_SUPPORTED;
	return -1;
}

/* Files that are named by descriptor, and so have to stay open until the file system is made. */
struct held {
	size_t n;
	int fd[META_LAYERS_MAX + 1];
};

static void own_held(struct held *h)
{
	while (h->n)
		close(h->fd[--h->n]);
}

/* Absolute, or by descriptor when that is too long for the kernel. */
static int give_file(int fs, const char *key, struct store *s, const char *path, struct held *h,
		     struct err *e)
{
	char name[STRING_MAX + 1];

	if (snprintf(name, sizeof(name), "%s/%s", s->path, path) >= (int)sizeof(name)) {
		int fd = openat(s->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

		if (fd < 0 || h->n > META_LAYERS_MAX)
			return err_set(e, fd < 0 ? errno : E2BIG, "cannot open '%s/%s'", s->path,
				       path);
		h->fd[h->n++] = fd;
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	}
	return sys_fsconfig(fs, FSCONFIG_SET_STRING, key, name, 0) < 0 ?
		       mount_failed(fs, errno, e) :
		       0;
}

static int make_mount(struct store *s, const char *path, const char *const *diff_ids,
		      const char *staged, struct err *e)
{
	__attribute__((cleanup(own_held))) struct held held = { .n = 0 };
	auto_fd int fs = sys_fsopen("erofs", FSOPEN_CLOEXEC);
	char layer[PATH_MAX];
	int fd;

	if (fs < 0) {
		err_set(e, errno, "cannot mount an EROFS index");
		e->code = ERR_NOT_SUPPORTED;
		return -1;
	}
	if (give_file(fs, "source", s, path, &held, e) < 0)
		return -1;
	for (size_t i = 0; diff_ids[i]; i++) {
		snprintf(layer, sizeof(layer), "%s/%s", staged ? staged : "layers", diff_ids[i]);
		if (staged && faccessat(s->fd, layer, F_OK, 0) < 0)
			snprintf(layer, sizeof(layer), "layers/%s", diff_ids[i]);
		if (give_file(fs, "device", s, layer, &held, e) < 0)
			return -1;
	}
	if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return mount_failed(fs, errno, e);
	fd = sys_fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
	return fd < 0 ? mount_failed(fs, errno, e) : fd;
}

int index_mount(struct store *s, const char *path, const char *const *diff_ids, const char *staged,
		struct err *e)
{
	int fd = make_mount(s, path, diff_ids, staged, e);

	return fd < 0 ? err_in(e, "'%s/%s'", s->path, path) : fd;
}

/* --- A root in the namespace ---------------------------------------------------------------------------- */

struct root {
	const char *path; /* "/<root id>" */
	int tree;	  /* in or out */
};

static int clone_root(void *arg)
{
	struct root *r = arg;

	r->tree = pinned_clone(r->path);
	return r->tree < 0 ? -1 : 0;
}

static int place_root(void *arg)
{
	const struct root *r = arg;

	return pinned_place(r->tree, r->path);
}

/* Instances that have cloned it keep what they have. */
static int drop_root(void *arg)
{
	const struct root *r = arg;

	if (umount2(r->path, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		return -1;
	return rmdir(r->path) < 0 && errno != ENOENT ? -1 : 0;
}

static int open_top(void *arg)
{
	int *fd = arg;

	*fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *fd < 0 ? -1 : 0;
}

static int clone_from(int ns, const char *path)
{
	struct root r = { path, -1 };
	auto_fd int fd = pinned_work(ns, clone_root, &r) < 0 ? -1 : r.tree;
	struct statfs fs;

	/* or it is the empty directory, from between the two halves of pinned_place() or drop_root() */
	return fd >= 0 && fstatfs(fd, &fs) == 0 &&
			       ((uint32_t)fs.f_type == EROFS_SUPER_MAGIC_V1 ||
				(uint32_t)fs.f_type == SQUASHFS_MAGIC) ?
		       take_fd(&fd) :
		       -1;
}

int image_mount(struct store *s, const char *run, struct image *img, struct err *e)
{
	char path[IMAGE_ID_LEN + 2], index[IMAGE_ID_LEN + 16];
	auto_fd int lock = -1, ns = -1, tree = -1;

	if (!img->index || img->tree >= 0)
		return 0;
	snprintf(path, sizeof(path), "/%s", img->root_id);
	ns = run ? pinned_open(run) : -1;
	if (ns >= 0)
		img->tree = clone_from(ns, path);
	if (img->tree >= 0)
		return 0;
	if (run) {
		lock = pinned_lock(run, e);
		if (lock < 0)
			return -1;
		own_close(&ns);
		ns = pinned_need(run);
		if (ns < 0)
			log_debug("no namespace for mounts: %s", strerror(errno));
		else /* another command may have been faster */
			img->tree = clone_from(ns, path);
		if (img->tree >= 0)
			return 0;
	}
	snprintf(index, sizeof(index), "roots/%s", img->root_id);
	tree = img->filesystem ? filesystem_mount(s, index, img->filesystem, e) :
				 index_mount(s, index, img->diff_ids, NULL, e);
	if (tree < 0 && run && e->code == ERR_NOT_SUPPORTED && !img->filesystem) {
		log_info("unpacking image %.*s, which cannot be mounted here: %s", IMAGE_ID_SHORT,
			 img->id, e->msg);
		*e = (struct err){ 0 };
		img->index = false;
		return image_rebuild(s, img->id, true, e);
	}
	if (tree < 0)
		return -1;
	if (ns >= 0 && pinned_work(ns, place_root, &(struct root){ path, tree }) == 0)
		img->tree = clone_from(ns, path);
	if (img->tree < 0)
		img->tree = take_fd(&tree);
	return 0;
}

struct inner {
	int tree;
	int (*f)(void *arg);
	void *arg;
};

static int with_attached(void *arg)
{
	const struct inner *j = arg;
	int fd, r, error;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    sys_move_mount(j->tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -1;
	r = j->f(j->arg);
	error = errno;
	/* it goes with this namespace: the descriptor gets another one in its place */
	fd = sys_open_tree(j->tree, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0 || dup3(fd, j->tree, O_CLOEXEC) < 0)
		return -1;
	close(fd);
	errno = error;
	return r;
}

int image_attached(const struct image *img, int (*f)(void *arg), void *arg)
{
	struct inner j = { img->tree, f, arg };

	return img->tree < 0 ? f(arg) : pinned_work(-1, with_attached, &j);
}

int image_open(const struct image *img, struct err *e)
{
	int fd = img->index ? openat(img->tree, ".", O_PATH | O_DIRECTORY | O_CLOEXEC) :
			      open(img->layers[0], O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_set(e, errno, "cannot open '%s'", img->layers[0]) : fd;
}

void image_unmount_unused(const char *run, bool (*used)(void *arg, const char *root_id), void *arg)
{
	auto_fd int ns = pinned_open(run), lock = -1;
	auto_dir DIR *d = NULL;
	int top;
	struct dirent *ent;
	struct err e = { 0 };

	if (ns < 0)
		return;
	lock = pinned_lock(run, &e);
	if (lock < 0 || pinned_work(ns, open_top, &top) < 0 || !(d = fdopendir(top))) {
		log_warn("cannot look for unused mounts: %s", lock < 0 ? e.msg : strerror(errno));
		return;
	}
	while ((ent = readdir(d))) {
		char path[IMAGE_ID_LEN + 2];

		if (!is_image_id(ent->d_name) || used(arg, ent->d_name))
			continue;
		snprintf(path, sizeof(path), "/%.*s", IMAGE_ID_LEN, ent->d_name);
		if (pinned_work(ns, drop_root, &(struct root){ path, -1 }) < 0)
			log_warn("cannot unmount an image that is not used: %s", strerror(errno));
	}
}
