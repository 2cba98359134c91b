/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/xattrs.h"

#define NOBODY	 65534
#define DEPTH	 2000
#define TMP_NAME 32

struct job {
	const struct copy_owners *o;
	bool (*go_on)(void);
	struct copied *c;
	struct err *e;
	unsigned depth;
};

static int copy_one(struct job *j, int from, const char *name, int to, const char *to_name);

/* ---- looks ---- */

static uint32_t map_id(const struct copy_owners *o, uint32_t id)
{
	uint64_t inside = id - o->from;

	if (o->range && (id < o->from || inside >= o->range))
		inside = NOBODY;
	return (uint32_t)(inside + o->to);
}

static void owner_of(const struct job *j, const struct stat *st, uid_t *uid, gid_t *gid)
{
	*uid = j->o->keep ? map_id(j->o, st->st_uid) : j->o->uid;
	*gid = j->o->keep ? map_id(j->o, st->st_gid) : j->o->gid;
}

/* An attribute that the other file system cannot have, or that is not ours to give, is left out, as cp does. */
static int give_xattr(void *fd, const char *key, const void *value, size_t len)
{
	(void)fsetxattr(*(int *)fd, key, value, len, 0);
	return 0;
}

/* Owner first: chown(2) takes setuid bits and capabilities away. */
static int dress(struct job *j, int from, const char *name, const struct stat *st, int fd)
{
	mode_t mode = st->st_mode & 07777;
	uid_t uid;
	gid_t gid;

	owner_of(j, st, &uid, &gid);
	if (!j->o->keep)
		mode &= 0777; /* setuid to somebody else is not what was meant */
	if (fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0)
		return err_set(j->e, errno, "cannot give '%s' its owner", name);
	(void)xattrs_each(from, name, give_xattr, &fd);
	(void)futimens(fd, (struct timespec[]){ st->st_atim, st->st_mtim });
	return 0;
}

/* A name of our own beside the one that is meant, which then takes its place in one rename. */
static int name_temporary(struct job *j, char out[TMP_NAME])
{
	uint64_t r;

	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return err_set(j->e, errno, "cannot get random numbers");
	snprintf(out, TMP_NAME, ".ctr-%016llx", (unsigned long long)r);
	return 0;
}

static int settle(struct job *j, int to, const char *tmp, const char *to_name)
{
	if (renameat(to, tmp, to, to_name) == 0)
		return 0;
	err_set(j->e, errno, "cannot replace '%s'", to_name);
	(void)unlinkat(to, tmp, 0);
	return -1;
}

/* ---- kinds of files ---- */

static int copy_range(struct job *j, int in, int out, off_t at, off_t end, bool *by_kernel)
{
	char buf[65536];

	while (at < end) {
		size_t want = (size_t)(end - at);
		off_t from = at, to = at;
		ssize_t n = *by_kernel ? copy_file_range(in, &from, out, &to, want, 0) : -1;

		if (n < 0 && *by_kernel && errno != EINTR)
			*by_kernel = false; /* not between these two */
		if (n < 0 && !*by_kernel) {
			n = pread(in, buf, want < sizeof(buf) ? want : sizeof(buf), at);
			if (n > 0)
				n = pwrite(out, buf, (size_t)n, at);
			if (n < 0 && errno != EINTR)
				return -1;
		}
		if (n == 0)
			return 0; /* it became shorter */
		if (n > 0) {
			at += n;
			j->c->bytes += (uint64_t)n;
		}
	}
	return 0;
}

static int copy_content(struct job *j, int in, int out, off_t size)
{
	bool by_kernel = true;

	for (off_t at = 0, end; at < size; at = end) {
		at = lseek(in, at, SEEK_DATA);
		if (at < 0 || at >= size)
			break;
		end = lseek(in, at, SEEK_HOLE);
		if (end < 0 || end > size)
			end = size;
		if (copy_range(j, in, out, at, end, &by_kernel) < 0)
			return -1;
	}
	return ftruncate(out, size);
}

static int copy_file(struct job *j, int from, const char *name, const struct stat *st, int to,
		     const char *to_name)
{
	auto_fd int in =
		openat(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	auto_fd int out = -1;
	char tmp[TMP_NAME];
	struct stat is;

	if (in < 0 || fstat(in, &is) < 0)
		return err_set(j->e, errno, "cannot open '%s'", name);
	if (!S_ISREG(is.st_mode) || is.st_ino != st->st_ino || is.st_dev != st->st_dev)
		return err_set(j->e, ERR_STATE, "'%s' was exchanged while it was copied", name);
	if (name_temporary(j, tmp) < 0)
		return -1;
	out = openat(to, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out < 0)
		return err_set(j->e, errno, "cannot make '%s'", to_name);
	if (copy_content(j, in, out, is.st_size) < 0)
		err_set(j->e, errno, "cannot copy '%s'", name);
	else if (dress(j, from, name, &is, out) == 0)
		return settle(j, to, tmp, to_name);
	(void)unlinkat(to, tmp, 0);
	return -1;
}

static int copy_special(struct job *j, int from, const char *name, const struct stat *st, int to,
			const char *to_name)
{
	char target[PATH_MAX], tmp[TMP_NAME];
	uid_t uid;
	gid_t gid;
	ssize_t n;

	if (name_temporary(j, tmp) < 0)
		return -1;
	if (S_ISLNK(st->st_mode)) {
		n = readlinkat(from, name, target, sizeof(target) - 1);
		if (n < 0)
			return err_set(j->e, errno, "cannot read '%s'", name);
		target[n] = '\0';
		if (symlinkat(target, to, tmp) < 0)
			return err_set(j->e, errno, "cannot make '%s'", to_name);
	} else if (mknodat(to, tmp, S_IFIFO | (st->st_mode & 0777), 0) < 0) {
		return err_set(j->e, errno, "cannot make '%s'", to_name);
	}
	owner_of(j, st, &uid, &gid);
	if (fchownat(to, tmp, uid, gid, AT_SYMLINK_NOFOLLOW) < 0) {
		err_set(j->e, errno, "cannot give '%s' its owner", to_name);
		(void)unlinkat(to, tmp, 0);
		return -1;
	}
	(void)utimensat(to, tmp, (struct timespec[]){ st->st_atim, st->st_mtim },
			AT_SYMLINK_NOFOLLOW);
	return settle(j, to, tmp, to_name);
}

/* All that is in @in, which is closed. */
static int copy_entries(struct job *j, int in, int out)
{
	auto_dir DIR *d = fdopendir(in);
	struct dirent *ent;

	if (!d) {
		close(in);
		return err_set(j->e, errno, "cannot read a directory");
	}
	while ((errno = 0, ent = readdir(d)))
		if (!streq(ent->d_name, ".") && !streq(ent->d_name, "..") &&
		    copy_one(j, dirfd(d), ent->d_name, out, ent->d_name) < 0)
			return -1;
	return errno ? err_set(j->e, errno, "cannot read a directory") : 0;
}

static int copy_directory(struct job *j, int from, const char *name, const struct stat *st, int to,
			  const char *to_name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
	bool made = false;
	auto_fd int in = openat(from, name, flags), out = -1;

	if (in < 0)
		return err_set(j->e, errno, "cannot open '%s'", name);
	if (j->depth == DEPTH)
		return err_set(j->e, ERR_INVALID, "'%s': more than %d directories deep", name,
			       DEPTH);
	if (to_name) {
		made = mkdirat(to, to_name, 0700) == 0;
		if (!made && errno != EEXIST)
			return err_set(j->e, errno, "cannot make '%s'", to_name);
		out = openat(to, to_name, flags);
		if (out < 0)
			return err_set(j->e, errno, "cannot open '%s'", to_name);
	}
	j->depth++;
	if (copy_entries(j, take_fd(&in), to_name ? out : to) < 0)
		return err_in(j->e, "%s", name);
	j->depth--;
	return made ? dress(j, from, name, st, out) : 0;
}

static int copy_one(struct job *j, int from, const char *name, int to, const char *to_name)
{
	struct stat st;

	if (j->go_on && !j->go_on()) {
		err_set(j->e, ERR_INVALID, "cancelled");
		j->e->code = ECANCELED;
		return -1;
	}
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(j->e, errno, "cannot read '%s'", name);
	switch (st.st_mode & S_IFMT) {
	case S_IFDIR:
		return copy_directory(j, from, name, &st, to, to_name);
	case S_IFREG:
		j->c->files++;
		return copy_file(j, from, name, &st, to, to_name);
	case S_IFLNK:
	case S_IFIFO:
		j->c->files++;
		return copy_special(j, from, name, &st, to, to_name);
	default:
		j->c->skipped++;
		return 0;
	}
}

int copy_tree(int from, const char *name, int to, const char *to_name, const struct copy_owners *o,
	      bool (*go_on)(void), struct copied *c, struct err *e)
{
	struct job j = { .o = o, .go_on = go_on, .c = c, .e = e };
	struct rlimit files;

	/* two directories are open on each level */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	return copy_one(&j, from, name, to, to_name);
}
