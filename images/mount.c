/*
 * mount.c - images' roots as mounts.
 *
 *	this process		a child that shares its memory and descriptors	@run/mounts, a namespace
 *	image_mount()
 *	  at_work(clone_root) ->	setns, open_tree(/<root id>)		clone of what is there
 *	  or, when nothing is:
 *	  index_mount()							
 *	  at_work(place_root) ->	setns, move_mount			/<root id>
 *
 * The namespace holds a tmpfs with a directory for each root, and nothing of the host's, so that it keeps none of the host's
 * file systems busy but the store's. The child is there because setns(2) moves a process's root and working directory, which
 * it does not get back. It costs about as much as a system call that sleeps: it shares all memory, and this process waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

#define NSFS	    0x6e736673
#define EROFS_MAGIC 0xe0f5e1e2u
#define NAMESPACE   "mounts"
#define LOCK	    "mounts.lock"
#define CHILD_STACK 16384
#define STRING_MAX  255 /* of a parameter given to fsconfig(2) */

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

/* --- A child at work in the namespace ------------------------------------------------------------------- */

struct errand {
	int (*run)(struct errand *j); /* 0, or -1 with errno */
	int ns;			      /* to be entered first; -1: none */
	const char *path;
	int (*inner)(void *arg); /* with_attached() */
	void *arg;
	int fd;	 /* in or out */
	int cpu; /* make_namespace(): where; -1: anywhere */
	int error;
};

static int in_child(void *arg)
{
	struct errand *j = arg;

	if ((j->ns >= 0 && setns(j->ns, CLONE_NEWNS) < 0) || j->run(j) < 0)
		j->error = errno;
	_exit(0);
}

/* Runs j->run in a child that shares memory and descriptors, but neither root nor namespaces. 0, or -1 with errno. */
static int at_work(struct errand *j)
{
	char stack[CHILD_STACK] __attribute__((aligned(16)));
	sigset_t all, old;
	pid_t pid;

	j->error = 0;
	sigfillset(&all); /* a handler would run in both */
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = clone(in_child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_FILES, j);
	if (pid < 0)
		j->error = errno;
	while (pid > 0 && waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	sigprocmask(SIG_SETMASK, &old, NULL);
	errno = j->error;
	return j->error ? -1 : 0;
}

static int clone_root(struct errand *j)
{
	j->fd = sys_open_tree(AT_FDCWD, j->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return j->fd < 0 ? -1 : 0;
}

static int place_root(struct errand *j)
{
	if (mkdir(j->path, 0700) < 0 && errno != EEXIST)
		return -1;
	return sys_move_mount(j->fd, "", AT_FDCWD, j->path, MOVE_MOUNT_F_EMPTY_PATH);
}

/* Instances that have cloned it keep what they have. */
static int drop_root(struct errand *j)
{
	if (umount2(j->path, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		return -1;
	return rmdir(j->path) < 0 && errno != ENOENT ? -1 : 0;
}

static int open_top(struct errand *j)
{
	j->fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return j->fd < 0 ? -1 : 0;
}

/* A new namespace with an empty tmpfs for its root; its descriptor. @path is any directory. */
static int make_namespace(struct errand *j)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	if (j->cpu >= 0)
		CPU_SET(j->cpu, &one);
	if (j->cpu >= 0 && sched_setaffinity(0, sizeof(one), &one) < 0)
		return -1;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	j->fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (j->fd < 0)
		return -1;
	if (mount("ctr", j->path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0 ||
	    chdir(j->path) < 0 || sys_pivot_root(".", ".") < 0 || umount2(".", MNT_DETACH) < 0) {
		int error = errno;

		close(j->fd);
		errno = error;
		return -1;
	}
	return 0;
}

/* --- The namespace ---------------------------------------------------------------------------------------- */

/* A descriptor of the namespace that is pinned at @run/mounts; -1 when none is. */
static int open_namespace(const char *run)
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
	struct errand j = { .run = make_namespace, .ns = -1, .path = run, .cpu = -1 };
	char from[32];
	cpu_set_t all;

	CPU_ZERO(&all);
	(void)sched_getaffinity(0, sizeof(all), &all); /* none: one attempt */
	for (int cpu = -1; cpu < CPU_SETSIZE; cpu++) {
		auto_fd int ns = -1;

		if (cpu >= 0 && !CPU_ISSET(cpu, &all))
			continue;
		j.cpu = cpu;
		if (at_work(&j) < 0)
			return -1;
		ns = j.fd;
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

/* Under the lock. The pinned namespace, made if there is none; -1 with errno. */
static int need_namespace(const char *run)
{
	char path[PATH_MAX];
	auto_fd int file = -1, ns = open_namespace(run);

	if (ns >= 0)
		return take_fd(&ns);
	if (snprintf(path, sizeof(path), "%s/" NAMESPACE, run) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	file = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return file < 0 ? -1 : make_pinned_anywhere(run, path);
}

static int lock_namespace(const char *run, struct err *e)
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

static int clone_from(int ns, const char *path)
{
	struct errand j = { .run = clone_root, .ns = ns, .path = path, .fd = -1 };

	auto_fd int fd = at_work(&j) < 0 ? -1 : j.fd;
	struct statfs fs;

	/* or it is the empty directory, from between the two halves of place_root() or drop_root() */
	return fd >= 0 && fstatfs(fd, &fs) == 0 && (uint32_t)fs.f_type == EROFS_MAGIC ?
		       take_fd(&fd) :
		       -1;
}

int image_mount(struct store *s, const char *run, struct image *img, struct err *e)
{
	char path[IMAGE_ID_LEN + 2], index[IMAGE_ID_LEN + 16];
	auto_fd int lock = -1, ns = -1, tree = -1;
	struct errand place = { .run = place_root, .path = path };

	if (!img->index || img->tree >= 0)
		return 0;
	snprintf(path, sizeof(path), "/%s", img->root_id);
	ns = run ? open_namespace(run) : -1;
	if (ns >= 0)
		img->tree = clone_from(ns, path);
	if (img->tree >= 0)
		return 0;
	if (run) {
		lock = lock_namespace(run, e);
		if (lock < 0)
			return -1;
		own_close(&ns);
		ns = need_namespace(run);
		if (ns < 0)
			log_debug("no namespace for mounts: %s", strerror(errno));
		else /* another command may have been faster */
			img->tree = clone_from(ns, path);
		if (img->tree >= 0)
			return 0;
	}
	snprintf(index, sizeof(index), "roots/%s", img->root_id);
	tree = index_mount(s, index, img->diff_ids, NULL, e);
	if (tree < 0 && run && e->code == ERR_NOT_SUPPORTED) {
		log_info("unpacking image %.*s, which cannot be mounted here: %s", IMAGE_ID_SHORT,
			 img->id, e->msg);
		*e = (struct err){ 0 };
		img->index = false;
		return image_rebuild(s, img->id, true, e);
	}
	if (tree < 0)
		return -1;
	place.ns = ns;
	place.fd = tree;
	if (ns >= 0 && at_work(&place) == 0)
		img->tree = clone_from(ns, path);
	if (img->tree < 0)
		img->tree = take_fd(&tree);
	return 0;
}

static int with_attached(struct errand *j)
{
	int fd, r, error;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    sys_move_mount(j->fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -1;
	r = j->inner(j->arg);
	error = errno;
	/* it goes with this namespace: the descriptor gets another one in its place */
	fd = sys_open_tree(j->fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0 || dup3(fd, j->fd, O_CLOEXEC) < 0)
		return -1;
	close(fd);
	errno = error;
	return r;
}

int image_attached(const struct image *img, int (*f)(void *arg), void *arg)
{
	struct errand j = {
		.run = with_attached, .ns = -1, .fd = img->tree, .inner = f, .arg = arg
	};

	return img->tree < 0 ? f(arg) : at_work(&j);
}

int image_open(const struct image *img, struct err *e)
{
	int fd = img->index ? openat(img->tree, ".", O_PATH | O_DIRECTORY | O_CLOEXEC) :
			      open(img->layers[0], O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_set(e, errno, "cannot open '%s'", img->layers[0]) : fd;
}

void image_unmount_unused(const char *run, bool (*used)(void *arg, const char *root_id), void *arg)
{
	auto_fd int ns = open_namespace(run), lock = -1;
	struct errand top = { .run = open_top, .ns = ns, .fd = -1 };
	auto_dir DIR *d = NULL;
	struct dirent *ent;
	struct err e = { 0 };

	if (ns < 0)
		return;
	lock = lock_namespace(run, &e);
	if (lock < 0 || at_work(&top) < 0 || !(d = fdopendir(top.fd))) {
		log_warn("cannot look for unused mounts: %s", lock < 0 ? e.msg : strerror(errno));
		return;
	}
	while ((ent = readdir(d))) {
		char path[IMAGE_ID_LEN + 2];
		struct errand drop = { .run = drop_root, .ns = ns, .path = path };

		if (!is_image_id(ent->d_name) || used(arg, ent->d_name))
			continue;
		snprintf(path, sizeof(path), "/%.*s", IMAGE_ID_LEN, ent->d_name);
		if (at_work(&drop) < 0)
			log_warn("cannot unmount an image that is not used: %s", strerror(errno));
	}
}
