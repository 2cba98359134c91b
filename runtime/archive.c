/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/base/tar.h"
#include "runtime/difference.h"
#include "runtime/overlay.h"
#include "runtime/xattrs.h"

/* The first name of a file that has several. */
struct linked {
	dev_t dev;
	ino_t ino;
	char *name;
};

struct archive {
	struct tar tar;
	struct linked *links; /* an open hash table of `size`, a power of two */
	size_t n, size;
	int after;	/* the tree */
	bool layer;	/* it is one of an overlay: archive_layer() */
	bool whiteouts; /* names of files that begin like those of whiteouts cannot be told */
	char within[PATH_MAX]; /* the last entry's path: its directories are in the archive */
};

/* ---- hard links ---- */

static struct linked *slot(struct linked *links, size_t size, dev_t dev, ino_t ino)
{
	size_t i = (size_t)(ino * 0x9e3779b97f4a7c15u + dev) & (size - 1);

	while (links[i].name && (links[i].ino != ino || links[i].dev != dev))
		i = (i + 1) & (size - 1);
	return &links[i];
}

static int grow(struct archive *a)
{
	size_t size = a->size ? 2 * a->size : 256;
	struct linked *more = calloc(size, sizeof(*more));

	if (!more)
		return -1;
	for (size_t i = 0; i < a->size; i++)
		if (a->links[i].name)
			*slot(more, size, a->links[i].dev, a->links[i].ino) = a->links[i];
	free(a->links);
	a->links = more;
	a->size = size;
	return 0;
}

/* The name under which the file is in the archive already, or NULL: this is its first. */
static const char *first_name(struct archive *a, const struct stat *st, const char *name,
			      struct err *e)
{
	struct linked *l;

	if (2 * a->n >= a->size && grow(a) < 0) {
		err_set(e, ENOMEM, "cannot write an archive");
		return NULL;
	}
	l = slot(a->links, a->size, st->st_dev, st->st_ino);
	if (l->name)
		return l->name;
	*l = (struct linked){ st->st_dev, st->st_ino, strdup(name) };
	a->n += l->name != NULL;
	return NULL;
}

/* ---- files ---- */

static void record_number(struct str *pax, const char *key, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	tar_record(pax, key, text, strlen(text));
}

/* Where the data is, "OFFSET\nLENGTH\n" each; the number of pieces, and *total bytes of them. */
static size_t find_data(int fd, uint64_t size, struct str *map, uint64_t *total)
{
	off_t at = 0, end;
	size_t n = 0;

	*total = 0;
	while ((uint64_t)at < size) {
		at = lseek(fd, at, SEEK_DATA);
		if (at < 0 || (uint64_t)at >= size)
			break;
		end = lseek(fd, at, SEEK_HOLE);
		if (end < 0 || (uint64_t)end > size)
			end = (off_t)size;
		str_addf(map, "%lld\n%lld\n", (long long)at, (long long)(end - at));
		*total += (uint64_t)(end - at);
		n++;
		at = end;
	}
	str_addf(map, "%llu\n0\n", (unsigned long long)size); /* it may end in a hole */
	return n + 1;
}

/* GNU tar's manual, "PAX Format, Version 1.0". */
static int put_sparse(struct archive *a, int fd, struct tar_entry *en, struct str *pax,
		      struct err *e)
{
	auto_str struct str pieces = { 0 }, map = { 0 };
	uint64_t total, left;
	size_t n = find_data(fd, en->size, &pieces, &total);
	char *at;

	str_addf(&map, "%zu\n%s", n, str_text(&pieces));
	while (map.len % TAR_BLOCK && !map.failed)
		str_add_n(&map, "", 1);
	if (map.failed || pieces.failed)
		return err_set(e, ENOMEM, "cannot write an archive");
	record_number(pax, "GNU.sparse.major", 1);
	record_number(pax, "GNU.sparse.minor", 0);
	tar_record(pax, "GNU.sparse.name", en->name, strlen(en->name));
	record_number(pax, "GNU.sparse.realsize", en->size);
	en->size = map.len + total;
	if (tar_put(&a->tar, en, pax, e) < 0 || tar_data(&a->tar, map.s, map.len, e) < 0)
		return -1;
	at = pieces.s;
	for (size_t i = 0; i < n; i++) {
		uint64_t pos = strtoull(at, &at, 10);

		left = strtoull(at, &at, 10);
		if (tar_copy(&a->tar, fd, pos, left, 1, e) < 0)
			return -1;
	}
	return tar_pad(&a->tar, total, e);
}

static int put_file(struct archive *a, int dir, const char *name, struct tar_entry *en,
		    const struct stat *st, struct str *pax, struct err *e)
{
	auto_fd int fd =
		openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat is;

	if (fd < 0 || fstat(fd, &is) < 0)
		return errno == ENOENT || errno == ELOOP ? 0 : err_set(e, errno, "'%s'", en->name);
	if (!S_ISREG(is.st_mode) || is.st_ino != st->st_ino)
		return 0; /* it is another one by now */
	en->size = (uint64_t)is.st_size;
	if ((uint64_t)is.st_blocks * 512 < en->size)
		return put_sparse(a, fd, en, pax, e);
	if (tar_put(&a->tar, en, pax, e) < 0 || tar_copy(&a->tar, fd, 0, en->size, 1, e) < 0)
		return -1;
	return tar_pad(&a->tar, en->size, e);
}

static int add_xattr(void *pax, const char *key, const void *value, size_t len)
{
	char name[300];

	snprintf(name, sizeof(name), "SCHILY.xattr.%s", key);
	tar_record(pax, name, value, len);
	return 0;
}

/* The directory @path, which is there, with what it looks like now. */
static int put_directory(struct archive *a, const char *path, struct err *e)
{
	auto_fd int fd = sys_openat2(a->after, *path ? path + 1 : ".",
				     O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
				     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	auto_str struct str pax = { 0 };
	char name[PATH_MAX + 8];
	struct tar_entry en = { .name = name, .link = "", .type = '5' };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || xattrs_each(fd, ".", add_xattr, &pax) < 0)
		return errno == ENOENT ? 0 : err_set(e, errno, "cannot read '%s/'", path);
	snprintf(name, sizeof(name), ".%s/", path);
	en.mode = st.st_mode & 07777;
	en.uid = st.st_uid;
	en.gid = st.st_gid;
	en.mtime = st.st_mtim;
	return tar_put(&a->tar, &en, &pax, e);
}

/*
 * The directories that lead to @path, those that are not in the archive yet: what changes in one changes its time, and who
 * unpacks a layer without an entry for it leaves it with another.
 */
static int put_parents(struct archive *a, const char *path, struct err *e)
{
	char dir[PATH_MAX];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t len = (size_t)(slash - path);

		if (strncmp(a->within, path, len) == 0 &&
		    (a->within[len] == '/' || !a->within[len]))
			continue;
		memcpy(dir, path, len);
		dir[len] = '\0';
		if (put_directory(a, dir, e) < 0)
			return -1;
	}
	snprintf(a->within, sizeof(a->within), "%s", path);
	return 0;
}

static int put_whiteout(struct archive *a, const char *path, struct err *e)
{
	char name[PATH_MAX + 16];
	const char *slash = strrchr(path, '/');
	const struct tar_entry en = { .name = name, .link = "", .type = '0', .mode = 0644 };

	snprintf(name, sizeof(name), ".%.*s/.wh.%s", (int)(slash - path), path, slash + 1);
	return tar_put(&a->tar, &en, NULL, e);
}

/* What is in the directory is all that there is: the layers below have nothing to add. */
static int put_opaque(struct archive *a, int dir, const char *name, const char *path, struct err *e)
{
	char file[PATH_MAX + 24];
	const struct tar_entry en = { .name = file, .link = "", .type = '0', .mode = 0644 };
	auto_fd int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || !overlay_is_opaque(fd))
		return 0;
	snprintf(file, sizeof(file), ".%s/.wh..wh..opq", path);
	return tar_put(&a->tar, &en, NULL, e);
}

static int put_entry(void *arg, enum difference what, const char *path, int dir, const char *name,
		     const struct stat *st, struct err *e)
{
	auto_str struct str pax = { 0 };
	char full[PATH_MAX + 8], target[PATH_MAX] = "";
	struct archive *a = arg;
	struct tar_entry en = { .name = full, .link = target };
	struct err why = { 0 };
	ssize_t n;

	if (put_parents(a, path, e) < 0)
		return -1;
	if (a->whiteouts && str_after(name ? name : strrchr(path, '/') + 1, ".wh."))
		return err_set(e, ERR_NOT_SUPPORTED, "the name of '%s' is that of a whiteout",
			       path);
	if (what == DIFFERENCE_REMOVED ||
	    (a->layer && S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0)))
		return put_whiteout(a, path, e);
	if (S_ISSOCK(st->st_mode))
		return 0;
	snprintf(full, sizeof(full), ".%s%s", path, S_ISDIR(st->st_mode) ? "/" : "");
	en.mode = st->st_mode & 07777;
	en.uid = st->st_uid;
	en.gid = st->st_gid;
	en.mtime = st->st_mtim;
	if (!S_ISDIR(st->st_mode) && st->st_nlink > 1) {
		const char *first = first_name(a, st, full, &why);

		if (why.code) {
			*e = why;
			return -1;
		}
		if (first) {
			en.link = first;
			en.type = '1';
			return tar_put(&a->tar, &en, NULL, e);
		}
	}
	if (!S_ISLNK(st->st_mode) && xattrs_each(dir, name, add_xattr, &pax) < 0 && errno != ENOENT)
		return err_set(e, errno, "cannot read the attributes of '%s'", path);
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		en.type = '0';
		return put_file(a, dir, name, &en, st, &pax, e);
	case S_IFDIR:
		en.type = '5';
		if (!a->layer)
			break;
		return tar_put(&a->tar, &en, &pax, e) < 0 ? -1 : put_opaque(a, dir, name, path, e);
	case S_IFLNK:
		n = readlinkat(dir, name, target, sizeof(target) - 1);
		if (n < 0)
			return errno == ENOENT ? 0 : err_set(e, errno, "cannot read '%s'", path);
		target[n] = '\0';
		en.type = '2';
		break;
	case S_IFIFO:
		en.type = '6';
		break;
	default:
		en.type = S_ISCHR(st->st_mode) ? '3' : '4';
		en.major = major(st->st_rdev);
		en.minor = minor(st->st_rdev);
	}
	return tar_put(&a->tar, &en, &pax, e);
}

static int write_archive(const struct trees *t, bool layer, int fd, struct err *e)
{
	struct archive a = { .after = t->after,
			     .layer = layer,
			     .whiteouts = layer || t->before >= 0 };
	int rc = tar_begin(&a.tar, fd, e);

	if (rc == 0)
		rc = put_directory(&a, "", e);
	if (rc == 0)
		rc = tree_difference(t, put_entry, &a, e);
	if (rc == 0)
		rc = tar_end(&a.tar, e);
	for (size_t i = 0; i < a.size; i++)
		free(a.links[i].name);
	free(a.links);
	tar_free(&a.tar);
	return rc;
}

int archive_difference(const struct trees *t, int fd, struct err *e)
{
	return write_archive(t, false, fd, e);
}

int archive_layer(int upper, int fd, struct err *e)
{
	return write_archive(&(struct trees){ .before = -1, .after = upper }, true, fd, e);
}
