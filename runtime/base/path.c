#include "runtime/base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"

int path_open_in(int root, const char *path, int flags)
{
	int fd, tries = 0;

	/* EAGAIN: a rename somewhere raced with the resolution of ".." (openat2(2)) */
	do {
		fd = sys_openat2(root, path, (uint64_t)(unsigned)flags | O_CLOEXEC, 0,
				 RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	} while (fd < 0 && errno == EAGAIN && ++tries < 128);
	return fd;
}

#define LINKS_MAX 40 /* MAXSYMLINKS of the kernel */

/*
 * @path with its component that ends at @end, a link @name of @parent that leads nowhere, replaced by what the link says, as the kernel
 * would: from the root, or from where the link is.
 */
static int replace_link(int parent, const char *name, const char *path, size_t end,
			char out[PATH_MAX], struct err *e)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(parent, name, target, sizeof(target) - 1);
	size_t dir = end - strlen(name);

	if (n <= 0)
		return err_set(e, n < 0 ? errno : ENOENT, "cannot open '%s'", path);
	target[n] = '\0';
	if (snprintf(out, PATH_MAX, "%.*s%s%s", *target == '/' ? 0 : (int)dir, path, target,
		     path + end) >= PATH_MAX)
		return err_set(e, ENAMETOOLONG, "'%.64s...'", path);
	return 0;
}

/*
 * Goes up to the deepest part of @path that exists and down again, making directories. What is resolved is always
 * a prefix of @path from the root, so that a symbolic link in the middle leads where it leads inside the
 * container; what was just made cannot be one, unless somebody else is quicker, and is then not followed.
 */
static int make_dir_in(int root, const char *path, mode_t mode, int links, struct err *e)
{
	char prefix[PATH_MAX], other[PATH_MAX];
	size_t len = strlen(path), end = len;
	auto_fd int parent = path_open_in(root, path, O_PATH | O_DIRECTORY);

	if (parent >= 0)
		return take_fd(&parent);
	if (len >= sizeof(prefix))
		return err_set(e, ENAMETOOLONG, "'%.64s...'", path);
	memcpy(prefix, path, len + 1);
	while (parent < 0 && errno == ENOENT && end > 0) {
		while (end > 0 && prefix[end - 1] == '/')
			end--;
		while (end > 0 && prefix[end - 1] != '/')
			end--;
		prefix[end] = '\0';
		parent = path_open_in(root, end ? prefix : "/", O_PATH | O_DIRECTORY);
	}
	if (parent < 0)
		return err_set(e, errno, "cannot open directory '%s'", path);
	while (end < len) {
		size_t start = end + strspn(path + end, "/");
		int fd;

		end = start + strcspn(path + start, "/");
		if (end == start)
			break;
		memcpy(prefix, path, end);
		prefix[end] = '\0';
		if (mkdirat(parent, prefix + start, mode) == 0)
			fd = openat(parent, prefix + start,
				    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		else if (errno == EEXIST)
			fd = path_open_in(root, prefix, O_PATH | O_DIRECTORY);
		else
			return err_set(e, errno, "cannot make directory '%s'", prefix);
		if (fd < 0 && errno == ENOENT && links < LINKS_MAX)
			return replace_link(parent, prefix + start, path, end, other, e) < 0 ?
				       -1 :
				       make_dir_in(root, other, mode, links + 1, e);
		if (fd < 0)
			return err_set(e, errno, "cannot open directory '%s'", prefix);
		close(parent);
		parent = fd;
	}
	return take_fd(&parent);
}

int path_make_dir_in(int root, const char *path, mode_t mode, struct err *e)
{
	return make_dir_in(root, path, mode, 0, e);
}

int path_open_parent_in(int root, const char *path, mode_t mode, const char **name, struct err *e)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	size_t len = slash ? (size_t)(slash - path) : 0;
	int fd;

	if (!*base || streq(base, ".") || streq(base, ".."))
		return err_set(e, ERR_INVALID, "'%s' does not name a file", path);
	if (len >= sizeof(dir))
		return err_set(e, ENAMETOOLONG, "'%.64s...'", path);
	memcpy(dir, path, len);
	dir[len] = '\0';
	if (!len)
		strcpy(dir, "/");
	if (mode)
		fd = path_make_dir_in(root, dir, mode, e);
	else if ((fd = path_open_in(root, dir, O_PATH | O_DIRECTORY)) < 0)
		err_set(e, errno, "cannot open directory '%s'", dir);
	if (fd >= 0)
		*name = base;
	return fd;
}

static int make_file_in(int root, const char *path, mode_t mode, int links, struct err *e)
{
	auto_fd int parent = -1, made = -1;
	char other[PATH_MAX];
	const char *name;
	int fd = path_open_in(root, path, O_PATH);

	if (fd >= 0)
		return fd;
	if (errno != ENOENT)
		return err_set(e, errno, "cannot open '%s'", path);
	parent = path_open_parent_in(root, path, 0755, &name, e);
	if (parent < 0)
		return -1;
	made = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, mode);
	if (made < 0 && errno != EEXIST)
		return err_set(e, errno, "cannot make '%s'", path);
	fd = path_open_in(root, path, O_PATH);
	if (fd < 0 && errno == ENOENT && links < LINKS_MAX)
		return replace_link(parent, name, path, strlen(path), other, e) < 0 ?
			       -1 :
			       make_file_in(root, other, mode, links + 1, e);
	if (fd < 0)
		return err_set(e, errno, "cannot open '%s'", path);
	return fd;
}

int path_make_file_in(int root, const char *path, mode_t mode, struct err *e)
{
	return make_file_in(root, path, mode, 0, e);
}

/* Until the end; @size: where it is, if that is known, or 0. */
static int read_all(int fd, const char *path, size_t size, size_t max, struct str *out,
		    struct err *e)
{
	char chunk[16384];
	size_t total = 0;

	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "cannot read '%s'", path);
		if (n == 0)
			break;
		total += (size_t)n;
		if (total > max)
			return err_set(e, ERR_INVALID, "'%s' is larger than %zu bytes", path, max);
		str_add_n(out, chunk, (size_t)n);
		if (total == size)
			break;
	}
	if (out->failed)
		return err_set(e, ENOMEM, "cannot read '%s'", path);
	return 0;
}

int file_read(int dir, const char *path, size_t max, struct str *out, struct err *e)
{
	auto_fd int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return err_set(e, errno, "cannot open '%s'", path);
	if (fstat(fd, &st) < 0)
		return err_set(e, errno, "cannot stat '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INVALID, "'%s' is not a regular file", path);
	return read_all(fd, path, (size_t)st.st_size, max, out, e);
}

int file_read_stream(int dir, const char *path, size_t max, struct str *out, struct err *e)
{
	auto_fd int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_set(e, errno, "cannot open '%s'", path);
	return read_all(fd, path, 0, max, out, e);
}

int file_read_kernel(int dir, const char *path, size_t max, struct str *out, struct err *e)
{
	auto_fd int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_set(e, errno, "cannot open '%s'", path);
	return read_all(fd, path, 0, max, out, e);
}

int file_write_kernel(int dir, const char *path, const char *text, struct err *e)
{
	auto_fd int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return err_set(e, errno, "cannot open '%s'", path);
	do {
		n = write(fd, text, len);
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)len)
		return err_set(e, n < 0 ? errno : EIO, "cannot write '%.*s' to '%s'",
			       (int)strcspn(text, "\n"), text, path);
	return 0;
}

int file_write_all(int fd, const void *data, size_t len)
{
	for (const char *at = data; len;) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_replace(int dir, const char *name, const char *data, size_t len, mode_t mode, int sync,
		 struct err *e)
{
	char tmp[NAME_MAX + 1];
	auto_fd int fd = -1;

	if (snprintf(tmp, sizeof(tmp), ".%s.%d", name, getpid()) >= (int)sizeof(tmp))
		return err_set(e, ENAMETOOLONG, "cannot write '%s'", name);
	fd = openat(dir, tmp, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return err_set(e, errno, "cannot make '%s'", tmp);
	if (file_write_all(fd, data, len) < 0 || (sync && fsync(fd) < 0) ||
	    renameat(dir, tmp, dir, name) < 0) {
		err_set(e, errno, "cannot write '%s'", name);
		(void)unlinkat(dir, tmp, 0); /* the first failure is the one to report */
		return -1;
	}
	if (sync && fsync(dir) < 0)
		return err_set(e, errno, "cannot sync the directory of '%s'", name);
	return 0;
}

/*
 * What lies deeper than this is moved up to the top first: whoever filled the tree may have made it deeper than we
 * have descriptors or stack (a path from inside can grow without end).
 */
#define REMOVE_DEPTH 32

struct removal {
	int top; /* the directory that is being removed, for what is moved up; -1 until it is open */
	unsigned long moved;
};

/* Gives the directory @name in @dir a place at the top. */
static int move_up(struct removal *r, int dir, const char *name, struct err *e)
{
	char place[32];

	for (;;) {
		snprintf(place, sizeof(place), ".deep-%lu", r->moved++);
		if (sys_renameat2(dir, name, r->top, place, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return err_set(e, errno, "cannot remove '%s'", name);
	}
}

static int remove_below(struct removal *r, int dir, const char *name, unsigned depth, struct err *e)
{
	auto_dir DIR *d = NULL;
	struct dirent *ent;
	unsigned long before;
	int fd;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_set(e, errno, "cannot remove '%s'", name);
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return err_set(e, errno, "cannot remove '%s'", name);
	if (depth == REMOVE_DEPTH)
		return move_up(r, dir, name, e);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "cannot open '%s'", name);
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return err_set(e, errno, "cannot list '%s'", name);
	}
	if (depth == 0)
		r->top = fd;
	do {
		before = r->moved;
		while ((ent = readdir(d))) {
			if (streq(ent->d_name, ".") || streq(ent->d_name, ".."))
				continue;
			if (remove_below(r, fd, ent->d_name, depth + 1, e) < 0)
				return -1;
		}
		rewinddir(d);
	} while (depth == 0 && r->moved != before); /* what was moved up may not have been listed */
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_set(e, errno, "cannot remove '%s'", name);
	return 0;
}

int tree_remove(int dir, const char *name, struct err *e)
{
	struct removal r = { .top = -1 };

	return remove_below(&r, dir, name, 0, e);
}

int dir_make_all(const char *path, mode_t mode, struct err *e)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(part))
		return err_set(e, ENAMETOOLONG, "'%.64s...'", path);
	if (mkdir(path, mode) == 0 || errno == EEXIST)
		return 0;
	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return err_set(e, errno, "cannot make directory '%s'", part);
		part[i] = path[i];
	}
	return 0;
}

DIR *dir_list(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d)
		own_close(&fd);
	return d;
}

/* getdents64(2) */
struct linux_dirent64 {
	uint64_t d_ino;
	int64_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

bool dir_is_empty(int dir)
{
	_Alignas(struct linux_dirent64) char entries[512];
	long n;

	n = syscall(SYS_getdents64, dir, entries, sizeof(entries));
	for (long at = 0; at < n;) {
		const struct linux_dirent64 *ent = (const struct linux_dirent64 *)(entries + at);

		if (!streq(ent->d_name, ".") && !streq(ent->d_name, ".."))
			return false;
		at += ent->d_reclen;
	}
	return n >= 0 && syscall(SYS_getdents64, dir, entries, sizeof(entries)) == 0;
}
