#include "images/unpack/spread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "images/unpack/entry.h"
#include "images/unpack/erofs.h"
#include "images/unpack/tree.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/sys.h"

#define BUFFER	 (256u << 10)
#define ONE_STEP (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV)

struct spread {
	const struct erofs_layer *layers;
	int root;
	uint64_t *lost;
	char *buf; /* NULL: the kernel copies */
	struct err *e;
};

static int fail(struct spread *s, const char *what, const char *name)
{
	char q[ENTRY_QUOTED_MAX];

	return err_set(s->e, errno, "%s '%s'", what, entry_quote(name, q));
}

static int open_one(int dir, const char *name, uint64_t flags, mode_t mode)
{
	return sys_openat2(dir, name, flags | O_NOFOLLOW | O_CLOEXEC, mode, ONE_STEP);
}

/*
 * After chown and chmod: chown drops security.capability, and chmod would change an ACL's mask. On a file
 * system without such attributes they are counted as lost.
 */
static int set_attrs(struct spread *s, int fd, const char *name, const struct tree_node *n)
{
	const struct timespec times[2] = { n->mtime, n->mtime };

	if ((n->uid || n->gid) && fchown(fd, n->uid, n->gid) < 0)
		return fail(s, "cannot set the owner of", name);
	if (fchmod(fd, n->mode & 07777) < 0)
		return fail(s, "cannot set the mode of", name);
	for (size_t i = 0; i < n->n_xattrs; i++) {
		const struct tree_xattr *x = &n->xattrs[i];

		if (fsetxattr(fd, x->name, x->value, x->len, 0) == 0)
			continue;
		if (errno != EOPNOTSUPP)
			return fail(s, "cannot set an attribute of", name);
		++*s->lost;
	}
	return futimens(fd, times) < 0 ? fail(s, "cannot set the time of", name) : 0;
}

static int write_at(struct spread *s, int fd, const char *data, size_t len, off_t at)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(s->e, errno, "cannot write");
		data += n;
		len -= (size_t)n;
		at += n;
	}
	return 0;
}

static int copy_by_hand(struct spread *s, int from, off_t pos, int to, off_t at, uint64_t len)
{
	if (!s->buf && !(s->buf = malloc(BUFFER)))
		return err_set(s->e, ENOMEM, "cannot unpack");
	while (len) {
		ssize_t n = pread(from, s->buf, len < BUFFER ? (size_t)len : BUFFER, pos);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(s->e, n < 0 ? errno : EIO, "cannot read a layer");
		if (write_at(s, to, s->buf, (size_t)n, at) < 0)
			return -1;
		pos += n;
		at += n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int copy(struct spread *s, int from, const struct tree_segment *g, int to)
{
	off_t pos = (off_t)g->pos, at = (off_t)g->at;
	uint64_t left = g->len;

	while (left && !s->buf) {
		ssize_t n = copy_file_range(from, &pos, to, &at, left, 0);

		if (n > 0)
			left -= (uint64_t)n;
		else if (n == 0)
			return err_set(s->e, EIO, "cannot read a layer");
		else if (errno == EXDEV || errno == EINVAL || errno == ENOSYS ||
			 errno == EOPNOTSUPP)
			break;
		else if (errno != EINTR)
			return err_set(s->e, errno, "cannot write");
	}
	return left ? copy_by_hand(s, from, pos, to, at, left) : 0;
}

static int make_file(struct spread *s, int dir, const char *name, const struct tree_node *n)
{
	auto_fd int fd = open_one(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	uint64_t end = 0;

	if (fd < 0)
		return fail(s, "cannot make", name);
	for (size_t i = 0; i < n->file.n_segments; i++) {
		const struct tree_segment *g = &n->file.segments[i];

		if (copy(s, s->layers[n->layer - 1].fd, g, fd) < 0)
			return err_in(s->e, "'%s'", name);
		end = g->at + g->len;
	}
	if (end < n->file.size && ftruncate(fd, (off_t)n->file.size) < 0)
		return fail(s, "cannot write", name);
	if (set_attrs(s, fd, name, n) < 0)
		return -1;
	/* delayed allocation may report a full disk here, on some file systems */
	return close(take_fd(&fd)) < 0 ? fail(s, "cannot write", name) : 0;
}

static int make_other(struct spread *s, int dir, const char *name, const struct tree_node *n)
{
	const struct timespec times[2] = { n->mtime, n->mtime };

	if (S_ISLNK(n->mode) ? symlinkat(n->target, dir, name) < 0 :
			       mknodat(dir, name, n->mode & (S_IFMT | 0777), 0) < 0)
		return fail(s, "cannot make", name);
	if ((n->uid || n->gid) && fchownat(dir, name, n->uid, n->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(s, "cannot set the owner of", name);
	if (utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(s, "cannot set the time of", name);
	return 0;
}

/* A directory that was made before; a descriptor. Not by its path, which may be longer than the kernel takes. */
static int open_made(struct spread *s, const struct tree_node *dir)
{
	auto_fd int parent = -1;

	if (!dir->dir.self)
		return open_one(s->root, ".", O_PATH | O_DIRECTORY, 0);
	parent = open_made(s, dir->dir.parent);
	return parent < 0 ? -1 : open_one(parent, dir->dir.self->name, O_PATH | O_DIRECTORY, 0);
}

static int make_link(struct spread *s, int dir, const char *name, const struct tree_entry *first)
{
	auto_fd int from = open_made(s, first->parent);

	if (from < 0 || linkat(from, first->name, dir, name, 0) < 0)
		return fail(s, "cannot link", name);
	return 0;
}

static int fill(struct spread *s, int dir, const struct tree_node *node)
{
	size_t n;
	auto_free struct tree_entry **list = tree_sorted(node, &n);

	if (!list)
		return err_set(s->e, ENOMEM, "cannot unpack");
	for (size_t i = 0; i < n; i++) {
		struct tree_node *child = list[i]->node;
		const char *name = list[i]->name;
		auto_fd int fd = -1;
		int r;

		if (child->place) { /* the entry that was its first name */
			r = make_link(s, dir, name, (struct tree_entry *)(uintptr_t)child->place);
		} else if (!S_ISDIR(child->mode)) {
			r = S_ISREG(child->mode) ? make_file(s, dir, name, child) :
						   make_other(s, dir, name, child);
			child->place = (uintptr_t)list[i];
		} else {
			if (mkdirat(dir, name, 0700) < 0)
				return fail(s, "cannot make the directory", name);
			fd = open_one(dir, name, O_RDONLY | O_DIRECTORY, 0);
			if (fd < 0)
				return fail(s, "cannot open", name);
			r = fill(s, fd, child);
			if (r == 0) /* last: what is made in it changes its time */
				r = set_attrs(s, fd, name, child);
		}
		if (r < 0)
			return -1;
	}
	return 0;
}

int spread_write(struct tree *t, const struct erofs_layer *layers, int root, uint64_t *lost,
		 struct err *e)
{
	struct spread s = { .layers = layers, .root = root, .lost = lost, .e = e };
	int rc;

	umask(0);
	rc = fill(&s, root, tree_root(t));
	if (rc == 0)
		rc = set_attrs(&s, root, "/", tree_root(t));
	free(s.buf);
	return rc;
}
