/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/difference.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/xattrs.h"

struct walk {
	const struct trees *t;
	difference_told *told;
	void *arg;
	struct err *e;
	dev_t device;	     /* of the second tree */
	char path[PATH_MAX]; /* of the present directory, without a slash at its end */
	size_t len;
};

/* ---- a directory's names ---- */

struct listing {
	char **names; /* sorted */
	size_t n, size;
};

static void own_listing(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->names[i]);
	free(l->names);
}
#define auto_listing __attribute__((cleanup(own_listing)))

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(struct listing *l, const char *name)
{
	if (l->n == l->size) {
		size_t size = l->size ? 2 * l->size : 32;
		char **more = reallocarray(l->names, size, sizeof(*more));

		if (!more)
			return -1;
		l->names = more;
		l->size = size;
	}
	l->names[l->n] = strdup(name);
	return l->names[l->n] ? (l->n++, 0) : -1;
}

/* Of the directory @fd (-1: none), which stays open. */
static int list(int fd, struct listing *l, struct walk *w)
{
	auto_dir DIR *d = fd < 0 ? NULL : dir_list(fd);
	struct dirent *ent;

	if (fd < 0)
		return 0;
	if (!d)
		return err_set(w->e, errno, "cannot read '%s/'", w->path);
	while ((errno = 0, ent = readdir(d)))
		if (!streq(ent->d_name, ".") && !streq(ent->d_name, "..") &&
		    add_name(l, ent->d_name) < 0)
			return err_set(w->e, ENOMEM, "cannot list '%s/'", w->path);
	if (errno)
		return err_set(w->e, errno, "cannot read '%s/'", w->path);
	if (l->n)
		qsort(l->names, l->n, sizeof(*l->names), by_name);
	return 0;
}

/* The present directory in the tree @root; -1 if it has none there. */
static int open_present(const struct walk *w, int root)
{
	return root < 0 ? -1 :
			  sys_openat2(root, w->len ? w->path + 1 : ".",
				      O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0,
				      RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

static bool is_touched(const struct walk *w, const char *name)
{
	char path[2 * PATH_MAX];
	struct stat st;

	for (const char *const *l = w->t->layers; l && *l; l++)
		if (snprintf(path, sizeof(path), "%s%s/%s", *l, w->path, name) <
			    (int)sizeof(path) &&
		    lstat(path, &st) == 0)
			return true;
	return !w->t->layers;
}

/* ---- two files ---- */

static bool same_times(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_link(int a, int b, const char *name)
{
	char one[PATH_MAX], two[PATH_MAX];
	ssize_t n = readlinkat(a, name, one, sizeof(one)),
		m = readlinkat(b, name, two, sizeof(two));

	return n >= 0 && n == m && memcmp(one, two, (size_t)n) == 0;
}

/* 1, 0, or -1 when one of them cannot be read. */
static int same_bytes(int a, int b, const char *name)
{
	auto_fd int one =
		openat(a, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	auto_fd int two =
		openat(b, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	static char left[65536], right[sizeof(left)];
	off_t at = 0;

	if (one < 0 || two < 0)
		return -1;
	for (;;) {
		ssize_t n = pread(one, left, sizeof(left), at), m = 0;

		if (n < 0)
			return -1;
		while (m < n) {
			ssize_t got = pread(two, right + m, (size_t)(n - m), at + m);

			if (got < 0)
				return -1;
			if (got == 0)
				return 0;
			m += got;
		}
		if (memcmp(left, right, (size_t)n) != 0)
			return 0;
		if (n == 0)
			return pread(two, right, 1, at) == 0;
		at += n;
	}
}

/* Whether @name is in both the same but for what is below a directory. -1: cannot be told. */
static int is_same(const struct walk *w, int before, const struct stat *x, int after,
		   const struct stat *y, const char *name)
{
	if (x->st_mode != y->st_mode || x->st_uid != y->st_uid || x->st_gid != y->st_gid)
		return 0;
	if (!S_ISLNK(x->st_mode) && !xattrs_same(before, after, name))
		return 0;
	if (S_ISDIR(x->st_mode))
		return 1; /* its time tells of its entries, which are compared */
	if (S_ISLNK(x->st_mode))
		return same_link(before, after, name);
	if (S_ISCHR(x->st_mode) || S_ISBLK(x->st_mode))
		return x->st_rdev == y->st_rdev;
	if (!S_ISREG(x->st_mode))
		return 1;
	if (x->st_size != y->st_size || !same_times(&x->st_mtim, &y->st_mtim))
		return 0;
	/* who sets the time back cannot set the time of change back */
	if (!w->t->contents && same_times(&x->st_ctim, &y->st_ctim))
		return 1;
	return same_bytes(before, after, name);
}

/* ---- the walk ---- */

static int walk(struct walk *w, bool all);

static int tell(struct walk *w, enum difference what, int dir, const char *name,
		const struct stat *st)
{
	char path[PATH_MAX + NAME_MAX + 2];

	snprintf(path, sizeof(path), "%s/%s", w->path, name);
	return w->told(w->arg, what, path, dir, name, st, w->e);
}

/* Into the directory @name; with @all everything in it is new. */
static int descend(struct walk *w, const char *name, bool all)
{
	size_t len = w->len;
	int rc;

	if (len + 1 + strlen(name) >= sizeof(w->path))
		return err_set(w->e, ENAMETOOLONG, "'%.200s...'", w->path);
	w->len += (size_t)sprintf(w->path + len, "/%s", name);
	rc = walk(w, all);
	w->path[w->len = len] = '\0';
	return rc;
}

static int compare(struct walk *w, int before, const struct stat *x, int after, const char *name)
{
	struct stat y;
	int same, rc;

	if (fstatat(after, name, &y, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 :
					 err_set(w->e, errno, "cannot read '%s/%s'", w->path, name);
	if (y.st_dev != w->device && S_ISDIR(y.st_mode))
		return 0; /* something is mounted there, which is not part of the tree */
	if (!x) {
		rc = tell(w, DIFFERENCE_ADDED, after, name, &y);
		return rc || !S_ISDIR(y.st_mode) ? rc : descend(w, name, true);
	}
	if (!is_touched(w, name))
		return 0;
	same = is_same(w, before, x, after, &y, name);
	if (same < 0)
		return err_set(w->e, errno, "cannot read '%s/%s'", w->path, name);
	rc = same ? 0 : tell(w, DIFFERENCE_CHANGED, after, name, &y);
	return rc || !S_ISDIR(y.st_mode) ? rc : descend(w, name, !S_ISDIR(x->st_mode));
}

static int walk(struct walk *w, bool all)
{
	auto_fd int after = open_present(w, w->t->after);
	auto_fd int before = all ? -1 : open_present(w, w->t->before);
	auto_listing struct listing was = { 0 }, is = { 0 };
	size_t i = 0, k = 0;
	int rc = 0;

	if (after < 0)
		return errno == ENOENT ? 0 : err_set(w->e, errno, "cannot open '%s/'", w->path);
	if (list(before, &was, w) < 0 || list(after, &is, w) < 0)
		return -1;
	while (rc == 0 && (i < was.n || k < is.n)) {
		int order = i == was.n ? 1 : k == is.n ? -1 : strcmp(was.names[i], is.names[k]);
		struct stat x;

		if (order < 0) {
			rc = tell(w, DIFFERENCE_REMOVED, -1, was.names[i++], NULL);
			continue;
		}
		if (order == 0 && fstatat(before, was.names[i++], &x, AT_SYMLINK_NOFOLLOW) < 0)
			return err_set(w->e, errno, "cannot read '%s/%s'", w->path, is.names[k]);
		rc = compare(w, before, order ? NULL : &x, after, is.names[k++]);
	}
	return rc;
}

int tree_difference(const struct trees *t, difference_told *told, void *arg, struct err *e)
{
	struct walk w = { .t = t, .told = told, .arg = arg, .e = e };
	struct rlimit files;
	struct stat st;

	/* a directory is open on each level */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	if (fstat(t->after, &st) < 0)
		return err_set(e, errno, "cannot read a tree");
	w.device = st.st_dev;
	return walk(&w, false);
}
