/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_copyup.c - "tmpcopyup": a new tmpfs begins with what the image has at that place.
 *
 * From descriptor to descriptor, before the tmpfs is attached: nothing of the image is followed, no mount is crossed,
 * and what is opened is looked at again (it may be another's directory, who changes it meanwhile). Files, directories,
 * symbolic links, devices and FIFOs are copied with owner, mode and time; extended attributes as far as tmpfs takes
 * them; sockets and hard links not, as with runc. The size of the tmpfs is the bound of what is copied; on the number
 * of entries and the depth there is one here.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/apply.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/sys.h"

#define COPY_MAX_ENTRIES 1000000
#define COPY_MAX_DEPTH	 128 /* two descriptors each */

struct copy {
	unsigned entries, depth;
	const char *target; /* for messages */
	struct err *e;
};

static int copy_directory(struct copy *c, int from, int to);

/* Attributes that tmpfs does not know, or that need another privilege, are left out. */
static void copy_xattrs(int from, int to)
{
	char names[4096], value[4096];
	ssize_t len = flistxattr(from, names, sizeof(names));

	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
		ssize_t n = fgetxattr(from, names + at, value, sizeof(value));

		if (n < 0 || fsetxattr(to, names + at, value, (size_t)n, 0) < 0)
			log_debug("tmpcopyup: attribute '%s' is left out", names + at);
	}
}

/* An owner or a group that has no id in the container's user namespace cannot be given: it stays root's. */
static int change_owner(int dir, const char *name, const struct stat *st, int flags)
{
	if (fchownat(dir, name, st->st_uid, st->st_gid, flags) == 0)
		return 0;
	if (errno != EINVAL && errno != EPERM)
		return -1;
	(void)fchownat(dir, name, st->st_uid, (gid_t)-1, flags);
	(void)fchownat(dir, name, (uid_t)-1, st->st_gid, flags);
	return 0;
}

/* Of a link or a node. */
static int set_owner(struct copy *c, int dir, const char *name, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (change_owner(dir, name, st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(c->e, errno, "cannot set the owner of '%s' in the copy for '%s'",
			       name, c->target);
	(void)utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW); /* of use, not of need */
	return 0;
}

/* Of a file or directory; the mode after the owner, who may take bits of it away, and attributes last. */
static int set_attributes(struct copy *c, int from, int to, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (change_owner(to, "", st, AT_EMPTY_PATH) < 0)
		return err_set(c->e, errno, "cannot set an owner in the copy for '%s'", c->target);
	if (fchmod(to, st->st_mode & 07777) < 0)
		return err_set(c->e, errno, "cannot set a mode in the copy for '%s'", c->target);
	copy_xattrs(from, to);
	(void)futimens(to, times); /* of use, not of need */
	return 0;
}

/* Beneath @dir, on its own mount, no link: -1 with errno. */
static int open_here(int dir, const char *name, int flags)
{
	return sys_openat2(dir, name, (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), 0,
			   RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
}

static int copy_file(struct copy *c, int from_dir, int to_dir, const char *name)
{
	auto_fd int from = open_here(from_dir, name, O_RDONLY), to = -1;
	struct stat st;
	ssize_t n;

	if (from < 0)
		return errno == ENOENT || errno == EXDEV ?
			       0 :
			       err_set(c->e, errno, "cannot open '%s' in '%s'", name, c->target);
	if (fstat(from, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(c->e, ERR_INVALID, "'%s' in '%s' changed while it was copied", name,
			       c->target);
	to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return err_set(c->e, errno, "cannot make '%s' in the copy for '%s'", name,
			       c->target);
	/* no further than it is long now: another may write to it as we read */
	for (off_t left = st.st_size; left > 0; left -= n) {
		n = sendfile(to, from, NULL, left < (1 << 30) ? (size_t)left : 1u << 30);
		if (n < 0)
			return err_set(c->e, errno, "cannot copy '%s' for '%s'", name, c->target);
		if (n == 0)
			break;
	}
	return set_attributes(c, from, to, &st);
}

static int copy_link(struct copy *c, int from_dir, int to_dir, const char *name,
		     const struct stat *st)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(from_dir, name, text, sizeof(text) - 1);

	if (n < 0)
		return err_set(c->e, errno, "cannot read the link '%s' in '%s'", name, c->target);
	text[n] = '\0';
	if (symlinkat(text, to_dir, name) < 0)
		return err_set(c->e, errno, "cannot make '%s' in the copy for '%s'", name,
			       c->target);
	return set_owner(c, to_dir, name, st);
}

/* In a user namespace no device can be made; none could be opened there either. */
static int copy_node(struct copy *c, int to_dir, const char *name, const struct stat *st)
{
	if (mknodat(to_dir, name, st->st_mode, st->st_rdev) == 0)
		return set_owner(c, to_dir, name, st);
	if (errno != EPERM || S_ISFIFO(st->st_mode))
		return err_set(c->e, errno, "cannot make '%s' in the copy for '%s'", name,
			       c->target);
	log_debug("tmpcopyup: the device '%s' in '%s' is left out", name, c->target);
	return 0;
}

static int copy_subdirectory(struct copy *c, int from_dir, int to_dir, const char *name)
{
	auto_fd int from = open_here(from_dir, name, O_RDONLY | O_DIRECTORY), to = -1;
	struct stat st;

	if (from <
	    0) /* gone, or a mount point: what is mounted there does not belong to the image */
		return errno == ENOENT ?
			       0 :
		       errno == EXDEV ?
			       0 :
			       err_set(c->e, errno, "cannot open '%s' in '%s'", name, c->target);
	if (mkdirat(to_dir, name, 0700) < 0 || fstat(from, &st) < 0)
		return err_set(c->e, errno, "cannot make '%s' in the copy for '%s'", name,
			       c->target);
	to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return err_set(c->e, errno, "cannot open '%s' in the copy for '%s'", name,
			       c->target);
	if (++c->depth > COPY_MAX_DEPTH)
		return err_set(c->e, ERR_INVALID, "'%s' is more than %d directories deep",
			       c->target, COPY_MAX_DEPTH);
	if (copy_directory(c, from, to) < 0)
		return -1;
	c->depth--;
	return set_attributes(c, from, to, &st);
}

static int copy_entry(struct copy *c, int from, int to, const char *name)
{
	struct stat st;

	if (++c->entries > COPY_MAX_ENTRIES)
		return err_set(c->e, ERR_INVALID, "'%s' has more than %d entries", c->target,
			       COPY_MAX_ENTRIES);
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ?
			       0 :
			       err_set(c->e, errno, "cannot stat '%s' in '%s'", name, c->target);
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return copy_file(c, from, to, name);
	case S_IFDIR:
		return copy_subdirectory(c, from, to, name);
	case S_IFLNK:
		return copy_link(c, from, to, name, &st);
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
		return copy_node(c, to, name, &st);
	default: /* a socket is of its listener, who is not here */
		return 0;
	}
}

static int copy_directory(struct copy *c, int from, int to)
{
	auto_dir DIR *d = dir_list(from);
	struct dirent *ent;

	if (!d)
		return err_set(c->e, errno, "cannot read '%s'", c->target);
	while ((errno = 0, ent = readdir(d)))
		if (strcmp(ent->d_name, ".") != 0 && strcmp(ent->d_name, "..") != 0 &&
		    copy_entry(c, from, to, ent->d_name) < 0)
			return -1;
	return errno ? err_set(c->e, errno, "cannot read '%s'", c->target) : 0;
}

/* "mode=1777,size=1m" */
static bool has_key(const char *data, const char *key)
{
	size_t len = strlen(key);

	for (const char *at = data; at && *at; at = strchr(at, ','), at += at != NULL)
		if (strncmp(at, key, len) == 0 && at[len] == '=')
			return true;
	return false;
}

int apply_copy_up(const struct mount_step *m, int from, int to, struct err *e)
{
	struct copy c = { .target = m->target, .e = e };
	auto_fd int source = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		    copy = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st, is;

	if (source < 0 || copy < 0 || fstat(source, &st) < 0 || fstat(copy, &is) < 0)
		return err_set(e, errno, "cannot open '%s'", m->target);
	if (copy_directory(&c, source, copy) < 0)
		return -1;
	/* the directory itself as it was in the image, but for what the options say */
	if (has_key(m->data, "uid"))
		st.st_uid = is.st_uid;
	if (has_key(m->data, "gid"))
		st.st_gid = is.st_gid;
	if (has_key(m->data, "mode"))
		st.st_mode = is.st_mode;
	return set_attributes(&c, source, copy, &st);
}
