/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_files.c - `ctr image files`, `cat`, `diff`, `mount`, `unmount`: what is in an image, without running anything.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/instances.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/difference.h"

static int open_image(struct cli *c, struct store *s, const char *name, struct image **img)
{
	*img = image_find(s, name, c->e);
	if (!*img || image_mount(s, c->run_root, *img, c->e) < 0)
		return -1;
	return image_open(*img, c->e);
}

/* ---- files ---- */

struct files_options {
	bool recursive;
};

static const struct option_row files_rows[] = {
	FLAG_ROW(struct files_options, recursive, "recursive", 'r', "with all below it"),
	END_ROW,
};

/* A listing under way. */
struct listing {
	const char *below; /* what stands before the names */
	bool json;
	struct json_writer *w;
};

static char type_letter(mode_t mode)
{
	static const char letters[16] = "?pc?d?b?-?l?s???";

	return letters[mode >> 12];
}

static void put_file(const struct listing *l, const char *path, const struct stat *st,
		     const char *target)
{
	static const char bits[] = "rwxrwxrwx";
	char mode[11] = "", when[32];
	struct tm tm;

	mode[0] = type_letter(st->st_mode);
	for (int i = 0; i < 9; i++)
		mode[i + 1] = st->st_mode & (0400u >> i) ? bits[i] : '-';
	if (st->st_mode & S_ISUID)
		mode[3] = st->st_mode & 0100 ? 's' : 'S';
	if (st->st_mode & S_ISGID)
		mode[6] = st->st_mode & 0010 ? 's' : 'S';
	if (st->st_mode & S_ISVTX)
		mode[9] = st->st_mode & 0001 ? 't' : 'T';
	gmtime_r(&st->st_mtim.tv_sec, &tm);
	strftime(when, sizeof(when), l->json ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%d %H:%M", &tm);
	if (l->json) {
		json_open(l->w, NULL, '{');
		json_put_string(l->w, "path", path);
		json_put_string(l->w, "mode", mode);
		json_put_u64(l->w, "uid", st->st_uid);
		json_put_u64(l->w, "gid", st->st_gid);
		json_put_u64(l->w, "size", (uint64_t)st->st_size);
		json_put_string(l->w, "mtime", when);
		json_put_string(l->w, "target", target);
		json_close(l->w);
		return;
	}
	printf("%s %5u %5u %10" PRIu64 " %s ", mode, st->st_uid, st->st_gid, (uint64_t)st->st_size,
	       when);
	print_name(path);
	if (target) {
		printf(" -> ");
		print_name(target);
	}
	putchar('\n');
}

static int list_file(void *arg, enum difference what, const char *path, int dir, const char *name,
		     const struct stat *st, struct err *e)
{
	char full[2 * PATH_MAX], target[PATH_MAX];
	const struct listing *l = arg;
	ssize_t n = S_ISLNK(st->st_mode) ? readlinkat(dir, name, target, sizeof(target) - 1) : -1;

	(void)what, (void)e;
	if (n >= 0)
		target[n] = '\0';
	snprintf(full, sizeof(full), "%s%s", l->below, path);
	put_file(l, full, st, n >= 0 ? target : NULL);
	return 0;
}

/* The names in one directory, sorted. */
static int list_directory(int fd, struct listing *l, struct err *e)
{
	char path[64], full[NAME_MAX + 2];
	struct dirent **names;
	int n, rc = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = scandir(path, &names, NULL, alphasort);
	if (n < 0)
		return err_set(e, errno, "cannot read a directory of the image");
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		struct stat st;

		if (!streq(name, ".") && !streq(name, "..") &&
		    fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			snprintf(full, sizeof(full), "/%s", name);
			rc |= list_file(l, DIFFERENCE_ADDED, full, fd, name, &st, e);
		}
		free(names[i]);
	}
	free(names);
	return rc;
}

/* @path in the tree: a directory's content, or the file itself. */
static int list_path(int root, const char *path, bool recursive, struct listing *l, struct err *e)
{
	auto_fd int fd = path_open_in(root, path, O_PATH);
	auto_fd int dir = -1;
	struct listing here = *l;
	char below[PATH_MAX];
	size_t len = strlen(path);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return no_file(path, e);
	if (!S_ISDIR(st.st_mode)) {
		put_file(l, path, &st, NULL);
		return 0;
	}
	while (len && path[len - 1] == '/')
		len--;
	if (snprintf(below, sizeof(below), "%s%.*s", *path == '/' || !len ? "" : "/", (int)len,
		     path) >= (int)sizeof(below))
		return err_set(e, ENAMETOOLONG, "'%s'", path);
	here.below = below;
	dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_set(e, errno, "'%s'", path);
	if (!recursive)
		return list_directory(dir, &here, e);
	return tree_difference(&(struct trees){ .before = -1, .after = dir }, list_file, &here, e);
}

static int files(struct cli *c, int argc, char **argv)
{
	static char *const top[] = { "/", NULL };
	const struct files_options *o = c->options;
	auto_store struct store *s = store_open(c->store_root, c->e);
	auto_image struct image *img = NULL;
	auto_fd int root = s ? open_image(c, s, argv[0], &img) : -1;
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out, .indent = true };
	struct listing l = { .below = "", .json = c->json, .w = &w };

	if (root < 0)
		return -1;
	json_open(&w, NULL, '[');
	for (char *const *p = argc > 1 ? argv + 1 : top; *p; p++)
		if (list_path(root, *p, o->recursive, &l, c->e) < 0)
			return -1;
	json_close(&w);
	return c->json ? print_text(c, &out) : EXIT_DONE;
}

const struct verb verb_image_files = {
	.name = "image files",
	.run = files,
	.flags = VERB_JSON,
	.operands = "IMAGE [PATH...]",
	.min = 1,
	.max = -1,
	.help = "list files of an image",
	.rows = files_rows,
	.options_size = sizeof(struct files_options),
};

/* ---- cat ---- */

static int cat_file(int root, const char *path, struct err *e)
{
	auto_fd int fd = path_open_in(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	static char buf[65536];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return no_file(path, e);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INVALID, "'%s' is no regular file", path);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (fwrite(buf, 1, (size_t)n, stdout) != (size_t)n)
			return err_set(e, errno, "cannot write");
	return n < 0 ? err_set(e, errno, "cannot read '%s'", path) : 0;
}

static int cat(struct cli *c, int argc, char **argv)
{
	auto_store struct store *s = store_open(c->store_root, c->e);
	auto_image struct image *img = NULL;
	auto_fd int root = s ? open_image(c, s, argv[0], &img) : -1;

	if (root < 0)
		return -1;
	for (int i = 1; i < argc; i++)
		if (cat_file(root, argv[i], c->e) < 0)
			return -1;
	return EXIT_DONE;
}

const struct verb verb_image_cat = {
	.name = "image cat",
	.run = cat,
	.operands = "IMAGE PATH...",
	.min = 2,
	.max = -1,
	.help = "print files of an image",
	.more = "Links lead where they lead inside the image.",
};

/* ---- diff ---- */

static int diff(struct cli *c, int argc, char **argv)
{
	auto_store struct store *s = store_open(c->store_root, c->e);
	auto_image struct image *one = NULL, *two = NULL;
	auto_fd int before = s ? open_image(c, s, argv[0], &one) : -1;
	auto_fd int after = before < 0 ? -1 : open_image(c, s, argv[1], &two);

	(void)argc;
	if (after < 0)
		return -1;
	return print_difference(
		c, &(struct trees){ .before = before, .after = after, .contents = true });
}

const struct verb verb_image_diff = {
	.name = "image diff",
	.run = diff,
	.flags = VERB_JSON,
	.operands = "IMAGE IMAGE",
	.min = 2,
	.max = 2,
	.help = "show what differs between the files of two images",
	.more = "A line each: A for what was added, C for what was changed, D for what is gone.",
};

/* ---- mount, unmount ---- */

static int mount_verb(struct cli *c, int argc, char **argv)
{
	auto_store struct store *s = store_open(c->store_root, c->e);
	auto_image struct image *img = NULL;
	auto_fd int root = s ? open_image(c, s, argv[0], &img) : -1;
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					       MOUNT_ATTR_NODEV };
	auto_fd int tree = -1;

	(void)argc;
	if (root < 0)
		return -1;
	if (img->tree >= 0) /* a clone already, and ours */
		tree = take_fd(&img->tree);
	else
		tree = sys_open_tree(root, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0 || sys_mount_setattr(tree, "", AT_EMPTY_PATH, &attr) < 0 ||
	    sys_move_mount(tree, "", AT_FDCWD, argv[1], MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_set(c->e, errno, "cannot mount '%s' on '%s'", argv[0], argv[1]);
	return EXIT_DONE;
}

const struct verb verb_image_mount = {
	.name = "image mount",
	.run = mount_verb,
	.operands = "IMAGE DIR",
	.min = 2,
	.max = 2,
	.help = "show the files of an image at a directory, read-only",
	.more = "Setuid bits and devices have no effect there. `ctr image unmount DIR` ends it.",
};

/* Whether something that `image mount` could have made is mounted at @dir: it is read-only, nosuid and nodev. */
static int check_mounted(const char *dir, struct err *e)
{
	const unsigned long flags = ST_RDONLY | ST_NOSUID | ST_NODEV;
	auto_fd int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	auto_fd int up = fd < 0 ? -1 : openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat here, above;
	struct statfs fs;

	if (up < 0 || fstat(fd, &here) < 0 || fstat(up, &above) < 0 || fstatfs(fd, &fs) < 0)
		return err_set(e, errno, "'%s'", dir);
	if (here.st_dev == above.st_dev || ((unsigned long)fs.f_flags & flags) != flags)
		return err_set(e, ERR_STATE, "no image is mounted on '%s'", dir);
	return 0;
}

static int unmount_verb(struct cli *c, int argc, char **argv)
{
	(void)argc;
	if (check_mounted(argv[0], c->e) < 0)
		return -1;
	if (umount2(argv[0], UMOUNT_NOFOLLOW) < 0)
		return err_set(c->e, errno, "cannot unmount '%s'", argv[0]);
	return EXIT_DONE;
}

const struct verb verb_image_unmount = {
	.name = "image unmount",
	.aliases = "umount",
	.run = unmount_verb,
	.operands = "DIR",
	.min = 1,
	.max = 1,
	.help = "end what `ctr image mount` began",
};
