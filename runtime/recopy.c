/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/recopy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/program.h"
#include "runtime/base/str.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

#define XATTR_MAX   65536
#define CHANGED_MAX 5000       /* names, of which cp is told in one go */
#define WORDS_MAX   (1u << 20) /* bytes of them */
#define NAME_SPACE  3500       /* of a path, relative to the tree */
#define DEPTH_MAX   200	       /* of directories; three descriptors each */
#define TICK_NS	    20000000   /* of two changes within one, only the first may be seen */

/* ---- looks ---- */

static int copy_xattrs(int from, int to)
{
	char names[XATTR_MAX], value[XATTR_MAX];
	ssize_t n = flistxattr(to, names, sizeof(names));

	for (const char *name = names; name < names + n; name += strlen(name) + 1)
		if (fgetxattr(from, name, NULL, 0) < 0 && errno == ENODATA)
			(void)fremovexattr(to, name); /* the host's label of it cannot be */
	n = flistxattr(from, names, sizeof(names));
	for (const char *name = names; name < names + n; name += strlen(name) + 1) {
		ssize_t len = fgetxattr(from, name, value, sizeof(value));

		if (len < 0 || fsetxattr(to, name, value, (size_t)len, 0) < 0)
			return -1;
	}
	return n < 0 && errno != ENOTSUP ? -1 : 0;
}

int copy_looks(int from, int to, struct err *e)
{
	struct stat st;

	if (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0 ||
	    fchmod(to, st.st_mode & 07777) < 0 || copy_xattrs(from, to) < 0 ||
	    futimens(to, (struct timespec[]){ st.st_atim, st.st_mtim }) < 0)
		return err_set(e, errno, "cannot make a layer like the one before");
	return 0;
}

/* ---- notes ---- */

struct note {
	uint64_t parent; /* inode of the directory */
	uint64_t name;	 /* its hash; 0: no note */
	uint64_t ino;
	int64_t changed; /* ns */
};

struct recopy {
	struct note *notes;
	size_t n, size; /* a power of two */
	int64_t began;	/* ns */
	bool useless;	/* what is there cannot be told by them */
};

static int64_t ns(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static uint64_t hash_of(const char *name)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 1099511628211u;
	return h ? h : 1;
}

static struct note *place_of(const struct recopy *r, uint64_t parent, uint64_t name)
{
	uint64_t h = (name ^ parent * 11400714819323198485u) * 11400714819323198485u;
	size_t at = (size_t)(h >> 32) & (r->size - 1);

	while (r->notes[at].name && (r->notes[at].name != name || r->notes[at].parent != parent))
		at = (at + 1) & (r->size - 1);
	return &r->notes[at];
}

static int grow(struct recopy *r)
{
	struct recopy more = { .size = r->size ? 2 * r->size : 1024 };

	more.notes = calloc(more.size, sizeof(*more.notes));
	if (!more.notes)
		return -1;
	for (size_t i = 0; i < r->size; i++)
		if (r->notes[i].name)
			*place_of(&more, r->notes[i].parent, r->notes[i].name) = r->notes[i];
	free(r->notes);
	r->notes = more.notes;
	r->size = more.size;
	return 0;
}

static int note(struct recopy *r, uint64_t parent, const char *name, const struct stat *st)
{
	struct note *at;

	if (r->n >= r->size / 2 && grow(r) < 0)
		return -1;
	at = place_of(r, parent, hash_of(name));
	r->n += !at->name;
	*at = (struct note){ parent, hash_of(name), st->st_ino, ns(&st->st_ctim) };
	return 0;
}

static bool is_entry(const char *name)
{
	return !streq(name, ".") && !streq(name, "..");
}

static int open_below(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* What has gone meanwhile is gone. -1 with errno: it cannot be told. */
static int note_all(struct recopy *r, int dir, uint64_t ino, unsigned depth)
{
	auto_dir DIR *d = depth < DEPTH_MAX ? dir_list(dir) : NULL;
	struct dirent *ent;

	if (!d)
		return -1;
	while ((errno = 0, ent = readdir(d))) {
		auto_fd int below = -1;
		struct stat st;

		if (!is_entry(ent->d_name))
			continue;
		if (fstatat(dir, ent->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT)
				continue;
			return -1;
		}
		if (note(r, ino, ent->d_name, &st) < 0)
			return -1;
		if (!S_ISDIR(st.st_mode))
			continue;
		below = open_below(dir, ent->d_name);
		if (below < 0 && (errno == ENOENT || errno == ENOTDIR))
			continue;
		if (below < 0 || fstat(below, &st) < 0 ||
		    note_all(r, below, st.st_ino, depth + 1) < 0)
			return -1;
	}
	return errno ? -1 : 0;
}

static bool tells_times(int tree)
{
	struct statfs fs;

	return fstatfs(tree, &fs) == 0 &&
	       (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC ||
		fs.f_type == BTRFS_SUPER_MAGIC);
}

struct recopy *recopy_begin(int tree, struct err *e)
{
	struct recopy *r = calloc(1, sizeof(*r));
	struct timespec now;
	struct stat st;

	if (!r) {
		err_set(e, ENOMEM, "copy of a layer");
		return NULL;
	}
	clock_gettime(CLOCK_REALTIME_COARSE, &now); /* as the kernel takes it */
	r->began = ns(&now);
	r->useless = !tells_times(tree) || grow(r) < 0 || fstat(tree, &st) < 0 ||
		     note(r, 0, "", &st) < 0 || note_all(r, tree, st.st_ino, 0) < 0 ||
		     syncfs(tree) < 0;
	return r;
}

void recopy_free(struct recopy *r)
{
	if (!r)
		return;
	free(r->notes);
	free(r);
}

/* ---- what has changed ---- */

struct changes {
	const struct recopy *r;
	struct str words; /* paths that cp copies, each "./a/b" and a NUL */
	size_t n;
	struct str
		dirs; /* those whose looks are to be as before: "./a" and a NUL, what is within first */
	struct err *e;
};

static void free_changes(struct changes *c)
{
	str_free(&c->words);
	str_free(&c->dirs);
}
#define auto_changes __attribute__((cleanup(free_changes)))

static const struct note *note_of(const struct changes *c, uint64_t parent, const char *name)
{
	const struct note *n = place_of(c->r, parent, hash_of(name));

	return n->name ? n : NULL;
}

/* Since it was noted; what was changed in that very moment may have been changed after it as well. */
static bool is_changed(const struct changes *c, const struct note *n, const struct stat *st)
{
	/* small inodes of ext4 have whole seconds */
	int64_t moment = n->changed % 1000000000 ? TICK_NS : 1000000000 + TICK_NS;

	return n->ino != st->st_ino || n->changed != ns(&st->st_ctim) ||
	       n->changed >= c->r->began - moment;
}

/* As far as a copy that failed on the way would show: times are the last that cp sets. */
static bool is_copied(const struct stat *st, const struct stat *copy)
{
	return (st->st_mode == copy->st_mode && st->st_uid == copy->st_uid &&
		st->st_gid == copy->st_gid && st->st_rdev == copy->st_rdev &&
		(S_ISDIR(st->st_mode) ||
		 (st->st_size == copy->st_size && ns(&st->st_mtim) == ns(&copy->st_mtim))));
}

static int add_path(struct str *to, const char *path, const char *name)
{
	str_addf(to, "%s%s%s", path, *name ? "/" : "", name);
	str_add_n(to, "", 1);
	return to->failed ? -1 : 0;
}

/* The copy's is removed, and cp makes it anew. 1: there is too much of that. */
static int copy_again(struct changes *c, int copy, const char *path, const char *name)
{
	if (tree_remove(copy, name, c->e) < 0)
		return -1;
	if (++c->n > CHANGED_MAX || c->words.len > WORDS_MAX)
		return 1;
	return add_path(&c->words, path, name) < 0 ? err_set(c->e, ENOMEM, "copy of a layer") : 0;
}

/* Names that the tree no longer has. Whether there were any, or -1. */
static int remove_gone(struct changes *c, int tree, int copy)
{
	auto_dir DIR *d = dir_list(copy);
	struct dirent *ent;
	int gone = 0;

	if (!d)
		return err_set(c->e, errno, "cannot read a layer");
	while ((errno = 0, ent = readdir(d))) {
		struct stat st;

		if (!is_entry(ent->d_name) ||
		    fstatat(tree, ent->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		if (errno != ENOENT)
			return err_set(c->e, errno, "cannot read a layer");
		if (tree_remove(copy, ent->d_name, c->e) < 0)
			return -1;
		gone = 1;
	}
	return errno ? err_set(c->e, errno, "cannot read a layer") : gone;
}

static int compare(struct changes *c, int tree, int copy, const char *path, bool changed,
		   bool undressed);

/* Both have the directory, and it is the one that was noted. */
static int compare_below(struct changes *c, int tree, int copy, const char *path, const char *name,
			 bool changed, bool undressed)
{
	auto_fd int from = open_below(tree, name), to = open_below(copy, name);
	char below[NAME_SPACE + NAME_MAX + 2];

	if (from < 0 || to < 0)
		return err_set(c->e, errno, "cannot read a layer");
	if (strlen(path) > NAME_SPACE)
		return 1;
	snprintf(below, sizeof(below), "%s/%s", path, name);
	return compare(c, from, to, below, changed, undressed);
}

/*
 * @moving: names of the directory have changed. One that is a directory, and has changed as well, may have been another one under this name while
 * it was copied, and be this one again: what is in it would not show that. 2: it is copied again; others as recopy_finish().
 */
static int compare_one(struct changes *c, int tree, uint64_t ino, bool moving, int copy,
		       const char *path, const char *name)
{
	const struct note *n = note_of(c, ino, name);
	bool changed, copied;
	struct stat st, is;
	int r;

	if (fstatat(tree, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(c->e, errno, "cannot read a layer");
	changed = !n || is_changed(c, n, &st);
	copied = fstatat(copy, name, &is, AT_SYMLINK_NOFOLLOW) == 0 && is_copied(&st, &is);
	if (S_ISDIR(st.st_mode) && n && n->ino == st.st_ino && !(moving && changed) && copied)
		return compare_below(c, tree, copy, path, name, changed, changed);
	if (!S_ISDIR(st.st_mode) && !changed && copied)
		return 0;
	r = copy_again(c, copy, path, name);
	return r ? r : 2;
}

/* @changed: since it was noted; @undressed: it does not look as it should in the copy. */
static int compare(struct changes *c, int tree, int copy, const char *path, bool changed,
		   bool undressed)
{
	auto_dir DIR *d = dir_list(tree);
	struct dirent *ent;
	struct stat st;
	int r = remove_gone(c, tree, copy);

	if (r < 0)
		return -1;
	undressed = undressed || r > 0;
	if (!d || fstat(tree, &st) < 0)
		return err_set(c->e, errno, "cannot read a layer");
	while ((errno = 0, ent = readdir(d))) {
		if (!is_entry(ent->d_name))
			continue;
		r = compare_one(c, tree, st.st_ino, changed, copy, path, ent->d_name);
		if (r < 0 || r == 1)
			return r;
		undressed = undressed || r == 2;
	}
	if (errno)
		return err_set(c->e, errno, "cannot read a layer");
	return undressed && add_path(&c->dirs, path, "") < 0 ?
		       err_set(c->e, ENOMEM, "copy of a layer") :
		       0;
}

/* ---- and is copied again ---- */

/* In one go, so that names of one file stay so. */
static int run_cp(struct changes *c, const char *from, const char *to)
{
	char *before[] = { "env",
			   "-C",
			   (char *)(uintptr_t)from,
			   "cp",
			   "-dR",
			   "--parents",
			   PROGRAM_CP_KEEPS,
			   "-t",
			   (char *)(uintptr_t)to,
			   "--" };
	const size_t n = sizeof(before) / sizeof(*before);
	auto_free char **argv = calloc(n + c->n + 1, sizeof(*argv));
	char *at = c->words.s;
	int code;

	if (!c->n)
		return 0;
	if (!argv)
		return err_set(c->e, ENOMEM, "copy of a layer");
	memcpy(argv, before, sizeof(before));
	for (size_t i = 0; i < c->n; i++, at += strlen(at) + 1)
		argv[n + i] = at;
	code = program_run(argv, false, c->e);
	return code > 0 ? err_set(c->e, ERR_INVALID, "cannot copy what has changed in '%s'", from) :
			  code;
}

static int dress(struct changes *c, int tree, int copy)
{
	const char *end = c->dirs.s + c->dirs.len;

	for (const char *path = c->dirs.s; path < end; path += strlen(path) + 1) {
		auto_fd int from = open_below(tree, path), to = open_below(copy, path);

		if (from < 0 || to < 0)
			return err_set(c->e, errno, "cannot open '%s' of a layer", path);
		if (copy_looks(from, to, c->e) < 0)
			return -1;
	}
	return 0;
}

int recopy_finish(struct recopy *r, int tree, const char *from, int copy, const char *to,
		  struct err *e)
{
	auto_changes struct changes c = { .r = r, .e = e };
	const struct note *top;
	struct stat st;
	bool changed;
	int rc;

	if (r->useless)
		return 1;
	if (fstat(tree, &st) < 0)
		return err_set(e, errno, "cannot read a layer");
	top = note_of(&c, 0, "");
	changed = !top || is_changed(&c, top, &st);
	rc = compare(&c, tree, copy, ".", changed, changed);
	if (rc)
		return rc < 0 && e->code == EMFILE ? 1 : rc;
	return run_cp(&c, from, to) < 0 ? -1 : dress(&c, tree, copy);
}
