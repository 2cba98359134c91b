#include "images/unpack/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "images/unpack/entry.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"

#define IN_ROOT	 (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)
#define ONE_STEP (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV)

/*
 * Neighbouring entries share their parent, and an archive made by walking a tree comes back to each
 * ancestor; so the descriptors of the last directories are kept, and most entries cost no resolution.
 */
#define CACHE_SIZE 64

struct cached {
	char *path;
	int fd;
	uint64_t used;
};

struct made_dir {
	char *path;
	unsigned depth;
	size_t index; /* order of appearance: of two for the same directory the later one holds */
	ino_t ino;
	struct tree_attrs attrs;
};

struct tree {
	int root;
	struct cached cache[CACHE_SIZE];
	uint64_t clock;
	struct made_dir *dirs;
	size_t n_dirs, dirs_size;
	struct tree_counts counts;
};

static int open2(int dir, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	int fd, tries = 0;

	/* EAGAIN: a rename anywhere on the system raced with the resolution of ".." (openat2(2)) */
	do {
		fd = sys_openat2(dir, path, (uint64_t)(unsigned)flags | O_CLOEXEC, mode, resolve);
	} while (fd < 0 && errno == EAGAIN && ++tries < 1000);
	return fd;
}

static int fail(struct err *e, int code, const char *what, const char *name)
{
	char q[ENTRY_QUOTED_MAX];

	return err_set(e, code, "%s '%s'", what, *name ? entry_quote(name, q) : "/");
}

struct tree *tree_open(int root)
{
	struct tree *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->root = root;
	for (size_t i = 0; i < CACHE_SIZE; i++)
		t->cache[i].fd = -1;
	umask(0);
	return t;
}

static void cache_drop(struct cached *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->path);
	*c = (struct cached){ .fd = -1 };
}

/* When something is removed, a cached path may lead elsewhere from now on. */
static void cache_flush(struct tree *t)
{
	for (size_t i = 0; i < CACHE_SIZE; i++)
		cache_drop(&t->cache[i]);
}

static void dir_drop(struct made_dir *d)
{
	for (size_t i = 0; i < d->attrs.n_xattrs; i++)
		free((void *)d->attrs.xattrs[i].name);
	free((void *)d->attrs.xattrs);
	free(d->path);
}

void tree_close(struct tree *t)
{
	if (!t)
		return;
	cache_flush(t);
	for (size_t i = 0; i < t->n_dirs; i++)
		dir_drop(&t->dirs[i]);
	free(t->dirs);
	free(t);
}

const struct tree_counts *tree_counts(const struct tree *t)
{
	return &t->counts;
}

static unsigned path_depth(const char *name)
{
	unsigned n = *name ? 1 : 0;

	for (; *name; name++)
		n += *name == '/';
	return n;
}

/* Takes @fd over. */
static int cache_put(struct tree *t, const char *path, size_t len, int fd, struct err *e)
{
	struct cached *oldest = &t->cache[0];

	for (size_t i = 1; i < CACHE_SIZE; i++)
		if (t->cache[i].used < oldest->used)
			oldest = &t->cache[i];
	cache_drop(oldest);
	oldest->path = strndup(path, len);
	if (!oldest->path) {
		close(fd);
		return err_set(e, ENOMEM, "cannot unpack");
	}
	oldest->fd = fd;
	oldest->used = ++t->clock;
	return fd;
}

/*
 * Directories that an archive takes for granted: 0755, of root. Each prefix is resolved anew, for one of
 * them may be a symbolic link.
 */
static int make_parents(struct tree *t, const char *path, struct err *e)
{
	char prefix[ENTRY_NAME_MAX + 1];
	auto_fd int parent = open2(t->root, ".", O_PATH | O_DIRECTORY, 0, IN_ROOT);
	size_t at = 0;

	if (parent < 0)
		return fail(e, errno, "cannot open", "");
	while (path[at]) {
		size_t start = at;
		int fd;

		at += strcspn(path + at, "/");
		memcpy(prefix, path, at);
		prefix[at] = '\0';
		fd = open2(t->root, prefix, O_PATH | O_DIRECTORY, 0, IN_ROOT);
		if (fd < 0 && errno == ENOENT) {
			if (mkdirat(parent, prefix + start, 0755) < 0 && errno != EEXIST)
				return fail(e, errno, "cannot make the directory", prefix);
			fd = open2(t->root, prefix, O_PATH | O_DIRECTORY, 0, IN_ROOT);
		}
		if (fd < 0)
			return fail(e, errno, "cannot enter", prefix);
		close(parent);
		parent = fd;
		if (path[at])
			at++;
	}
	return take_fd(&parent);
}

/* The directory of @len bytes of @path; the descriptor is the cache's and good until the next call but one. */
static int dir_fd(struct tree *t, const char *path, size_t len, bool make, struct err *e)
{
	char dir[ENTRY_NAME_MAX + 1];
	int fd;

	for (size_t i = 0; i < CACHE_SIZE; i++) {
		struct cached *c = &t->cache[i];

		if (c->path && strncmp(c->path, path, len) == 0 && !c->path[len]) {
			c->used = ++t->clock;
			return c->fd;
		}
	}
	memcpy(dir, path, len);
	dir[len] = '\0';
	fd = open2(t->root, len ? dir : ".", O_PATH | O_DIRECTORY, 0, IN_ROOT);
	if (fd < 0 && errno == ENOENT && make)
		fd = make_parents(t, dir, e);
	else if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NO_SUCH, "no such directory");
	else if (fd < 0)
		return fail(e, errno, "cannot enter", dir);
	return fd < 0 ? -1 : cache_put(t, dir, len, fd, e);
}

static int parent_fd(struct tree *t, const char *name, bool make, const char **base, struct err *e)
{
	const char *slash = strrchr(name, '/');

	*base = slash ? slash + 1 : name;
	return dir_fd(t, name, slash ? (size_t)(slash - name) : 0, make, e);
}

/* What base/path.h's tree_remove() does, but by the few system calls that the sandbox leaves. */
static int remove_tree(int dir, const char *base)
{
	auto_dir DIR *d = NULL;
	struct dirent *ent;
	int fd;

	if (unlinkat(dir, base, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return -1;
	if (unlinkat(dir, base, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != ENOTEMPTY)
		return -1;
	fd = open2(dir, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, ONE_STEP);
	if (fd < 0)
		return -1;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -1;
	}
	while ((ent = readdir(d)))
		if (!streq(ent->d_name, ".") && !streq(ent->d_name, "..") &&
		    remove_tree(fd, ent->d_name) < 0)
			return -1;
	return unlinkat(dir, base, AT_REMOVEDIR);
}

/* Makes room for @name, at @base in the directory @parent, which the cache then no longer holds. */
static int replace(struct tree *t, int *parent, const char *name, const char **base, struct err *e)
{
	if (remove_tree(*parent, *base) < 0)
		return fail(e, errno, "cannot replace", name);
	cache_flush(t);
	*parent = parent_fd(t, name, true, base, e);
	return *parent < 0 ? -1 : 0;
}

/*
 * After chown and chmod: chown drops security.capability, and chmod would change an ACL's mask. On a file
 * system without such attributes, or on a kind of file that cannot carry them, they are counted as lost.
 */
static int set_xattrs(struct tree *t, int fd, const char *name, const struct tree_attrs *a,
		      struct err *e)
{
	char q[ENTRY_QUOTED_MAX], qx[ENTRY_QUOTED_MAX];

	for (size_t i = 0; i < a->n_xattrs; i++) {
		const struct tree_xattr *x = &a->xattrs[i];

		if (fsetxattr(fd, x->name, x->value, x->len, 0) == 0)
			continue;
		if (errno != EOPNOTSUPP)
			return err_set(e, errno, "cannot set the attribute '%s' of '%s'",
				       entry_quote(x->name, qx), entry_quote(name, q));
		t->counts.skipped_xattrs++;
	}
	return 0;
}

static int set_fd_time(int fd, const struct timespec *mtime)
{
	const struct timespec times[2] = { *mtime, *mtime };

	return futimens(fd, times);
}

static bool is_root(const struct tree_attrs *a)
{
	return a->uid == 0 && a->gid == 0;
}

static int set_fd_attrs(struct tree *t, int fd, const char *name, const struct tree_attrs *a,
			struct err *e)
{
	if (fchown(fd, a->uid, a->gid) < 0)
		return fail(e, errno, "cannot set the owner of", name);
	if (fchmod(fd, a->mode) < 0)
		return fail(e, errno, "cannot set the mode of", name);
	return set_xattrs(t, fd, name, a, e);
}

/* Copies, since the archive's memory is good for one entry only. */
static int remember_dir(struct tree *t, const char *name, ino_t ino, const struct tree_attrs *a,
			struct err *e)
{
	struct made_dir *d;
	struct tree_xattr *x;

	if (t->n_dirs == t->dirs_size) {
		size_t size = t->dirs_size ? 2 * t->dirs_size : 256;

		d = reallocarray(t->dirs, size, sizeof(*d));
		if (!d)
			return err_set(e, ENOMEM, "too many directories");
		t->dirs = d;
		t->dirs_size = size;
	}
	d = &t->dirs[t->n_dirs];
	*d = (struct made_dir){ .path = strdup(name),
				.depth = path_depth(name),
				.index = t->n_dirs,
				.ino = ino,
				.attrs = *a };
	d->attrs.n_xattrs = 0;
	d->attrs.xattrs = x = calloc(a->n_xattrs + 1, sizeof(*x));
	t->n_dirs++;
	if (!d->path || !x)
		return err_set(e, ENOMEM, "too many directories");
	for (size_t i = 0; i < a->n_xattrs; i++) {
		size_t len = strlen(a->xattrs[i].name) + 1;
		char *copy = malloc(len + a->xattrs[i].len);

		if (!copy)
			return err_set(e, ENOMEM, "too many directories");
		memcpy(copy, a->xattrs[i].name, len);
		memcpy(copy + len, a->xattrs[i].value, a->xattrs[i].len);
		x[i] = (struct tree_xattr){ copy, copy + len, a->xattrs[i].len };
		d->attrs.n_xattrs++;
	}
	return 0;
}

int tree_dir(struct tree *t, const char *name, const struct tree_attrs *a, struct err *e)
{
	struct stat st;
	const char *base;
	int parent, fd;

	if (!*name) {
		if (fstat(t->root, &st) < 0)
			return fail(e, errno, "cannot stat", name);
		return remember_dir(t, name, st.st_ino, a, e);
	}
	parent = parent_fd(t, name, true, &base, e);
	if (parent < 0)
		return -1;
	if (mkdirat(parent, base, 0700) < 0) {
		if (errno != EEXIST)
			return fail(e, errno, "cannot make the directory", name);
		if (fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return fail(e, errno, "cannot stat", name);
		if (S_ISDIR(st.st_mode))
			return remember_dir(t, name, st.st_ino, a, e);
		if (replace(t, &parent, name, &base, e) < 0)
			return -1;
		if (mkdirat(parent, base, 0700) < 0)
			return fail(e, errno, "cannot make the directory", name);
	}
	fd = open2(parent, base, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, ONE_STEP);
	if (fd < 0 || fstat(fd, &st) < 0) {
		fail(e, errno, "cannot open", name);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	/* its content comes next, most often */
	if (cache_put(t, name, strlen(name), fd, e) < 0)
		return -1;
	return remember_dir(t, name, st.st_ino, a, e);
}

/* The final mode at once where it grants nothing more than the owner could: that saves two calls a file. */
static mode_t first_mode(const struct tree_attrs *a)
{
	return is_root(a) && !(a->mode & 07000) ? a->mode : 0600;
}

int tree_file(struct tree *t, const char *name, const struct tree_attrs *a, struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
	const char *base;
	int parent = parent_fd(t, name, true, &base, e), fd;

	if (parent < 0)
		return -1;
	fd = open2(parent, base, flags, first_mode(a), ONE_STEP);
	if (fd < 0 && errno == EEXIST) {
		if (replace(t, &parent, name, &base, e) < 0)
			return -1;
		fd = open2(parent, base, flags, first_mode(a), ONE_STEP);
	}
	if (fd < 0)
		return fail(e, errno, "cannot make", name);
	return fd;
}

int tree_file_end(struct tree *t, int file, const char *name, const struct tree_attrs *a,
		  struct err *e)
{
	auto_fd int fd = file;

	if (first_mode(a) != a->mode || !is_root(a)) {
		if (set_fd_attrs(t, fd, name, a, e) < 0)
			return -1;
	} else if (set_xattrs(t, fd, name, a, e) < 0) {
		return -1;
	}
	if (set_fd_time(fd, &a->mtime) < 0)
		return fail(e, errno, "cannot set the time of", name);
	/* delayed allocation may report a full disk here, on some file systems */
	if (close(take_fd(&fd)) < 0)
		return fail(e, errno, "cannot write", name);
	return 0;
}

/* Links and FIFOs carry no attributes worth keeping: user.* is refused by the kernel on both. */
static int end_special(struct tree *t, int parent, const char *base, const char *name,
		       const struct tree_attrs *a, struct err *e)
{
	const struct timespec times[2] = { a->mtime, a->mtime };

	t->counts.skipped_xattrs += a->n_xattrs;
	if (!is_root(a) && fchownat(parent, base, a->uid, a->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(e, errno, "cannot set the owner of", name);
	if (utimensat(parent, base, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(e, errno, "cannot set the time of", name);
	return 0;
}

int tree_symlink(struct tree *t, const char *name, const char *target, const struct tree_attrs *a,
		 struct err *e)
{
	const char *base;
	int parent = parent_fd(t, name, true, &base, e), r;

	if (parent < 0)
		return -1;
	r = symlinkat(target, parent, base);
	if (r < 0 && errno == EEXIST) {
		if (replace(t, &parent, name, &base, e) < 0)
			return -1;
		r = symlinkat(target, parent, base);
	}
	if (r < 0)
		return fail(e, errno, "cannot make the symbolic link", name);
	return end_special(t, parent, base, name, a, e);
}

int tree_fifo(struct tree *t, const char *name, const struct tree_attrs *a, struct err *e)
{
	const char *base;
	int parent = parent_fd(t, name, true, &base, e), r;
	mode_t mode = S_IFIFO | (a->mode & 0777);

	if (parent < 0)
		return -1;
	r = mknodat(parent, base, mode, 0);
	if (r < 0 && errno == EEXIST) {
		if (replace(t, &parent, name, &base, e) < 0)
			return -1;
		r = mknodat(parent, base, mode, 0);
	}
	if (r < 0)
		return fail(e, errno, "cannot make the FIFO", name);
	return end_special(t, parent, base, name, a, e);
}

/* A link to itself must not remove what it links to. */
static bool same_file(int dir_a, const char *a, int dir_b, const char *b)
{
	struct stat x, y;

	return fstatat(dir_a, a, &x, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(dir_b, b, &y, AT_SYMLINK_NOFOLLOW) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

int tree_link(struct tree *t, const char *name, const char *target, struct err *e)
{
	char q[ENTRY_QUOTED_MAX], qt[ENTRY_QUOTED_MAX];
	const char *base, *target_base;
	struct stat st;
	int from = parent_fd(t, target, false, &target_base, e), parent, r;

	if (from < 0)
		return -1;
	parent = parent_fd(t, name, true, &base, e);
	if (parent < 0)
		return -1;
	/* without AT_SYMLINK_FOLLOW: a hard link to a symbolic link is one */
	r = linkat(from, target_base, parent, base, 0);
	if (r < 0 && errno == EEXIST) {
		if (same_file(from, target_base, parent, base))
			return 0;
		if (fstatat(from, target_base, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return err_set(e, ERR_NO_SUCH, "no such file");
		if (replace(t, &parent, name, &base, e) < 0)
			return -1;
		/* the cache is empty now, and the target may have gone with what was replaced */
		from = parent_fd(t, target, false, &target_base, e);
		if (from < 0)
			return -1;
		parent = parent_fd(t, name, true, &base, e);
		if (parent < 0)
			return -1;
		r = linkat(from, target_base, parent, base, 0);
	}
	if (r < 0 && errno == ENOENT)
		return err_set(e, ERR_NO_SUCH, "no such file");
	if (r < 0)
		return err_set(e, errno, "cannot link '%s' to '%s'", entry_quote(name, q),
			       entry_quote(target, qt));
	return 0;
}

static int deepest_first(const void *a, const void *b)
{
	const struct made_dir *x = a, *y = b;

	if (x->depth != y->depth)
		return x->depth > y->depth ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

int tree_finish(struct tree *t, struct err *e)
{
	cache_flush(t);
	if (t->n_dirs)
		qsort(t->dirs, t->n_dirs, sizeof(*t->dirs), deepest_first);
	for (size_t i = 0; i < t->n_dirs; i++) {
		const struct made_dir *d = &t->dirs[i];
		auto_fd int fd = open2(t->root, *d->path ? d->path : ".", O_RDONLY | O_DIRECTORY, 0,
				       IN_ROOT);
		struct stat st;

		/* replaced later, by the archive itself: its attributes went with it */
		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
			continue;
		if (fd < 0 || fstat(fd, &st) < 0)
			return fail(e, errno, "cannot open", d->path);
		if (st.st_ino != d->ino)
			continue;
		if (set_fd_attrs(t, fd, d->path, &d->attrs, e) < 0)
			return -1;
		if (set_fd_time(fd, &d->attrs.mtime) < 0)
			return fail(e, errno, "cannot set the time of", d->path);
	}
	return 0;
}
