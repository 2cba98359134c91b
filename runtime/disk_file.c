/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/disk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/loop.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/program.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/disk.h"
#include "runtime/idrange.h"
#include "runtime/instances.h"
#include "runtime/layers.h"

#define PLACE	      "disk"
#define LINK	      PLACE "/instances" /* what "instances" says then */
#define OLD	      "instances.old"
#define ENTRY	      ".tmp/" DISK_FILE
#define BLOCK	      4096u
#define BUSY_TRIES    50
#define BUSY_US	      100000
#define SIZE_MIN      (64ull << 20)
#define SIZE_MAX_EXT4 ((1ull << 44) - BLOCK) /* of blocks of 4 KiB that 32 bits count */

/* Inode tables stay holes, and so does what is removed. */
#define OPTIONS "prjquota,noinit_itable,discard"

/* ext4(5), Linux 3.3; no header of the kernel's has it */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)

static int open_data(const char *data, struct err *e)
{
	auto_fd int fd = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_set(e, errno, "cannot open '%s'", data) : take_fd(&fd);
}

static void data_of(const struct instances *s, char data[sizeof(s->path)])
{
	snprintf(data, sizeof(s->path), "%.*s", instances_data_len(s), s->path);
}

static int lock(int data, struct err *e)
{
	while (flock(data, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "cannot lock the directory of instances");
	return 0;
}

/* Instances lie in the file, mounted or not. */
static bool is_made(int data)
{
	char text[sizeof(LINK)];

	return readlinkat(data, "instances", text, sizeof(text)) == (ssize_t)strlen(LINK) &&
	       memcmp(text, LINK, strlen(LINK)) == 0;
}

/* ---- mounting it ---- */

/* Where the file system below has grown, so does this one: what is free there is free here. */
static void grow(int file, int loop, int mounted)
{
	struct statvfs below;
	struct stat st;
	uint64_t room, blocks;

	if (fstatvfs(file, &below) < 0 || fstat(file, &st) < 0)
		return;
	room = (uint64_t)below.f_bavail * below.f_frsize + (uint64_t)st.st_blocks * 512;
	if (room > SIZE_MAX_EXT4)
		room = SIZE_MAX_EXT4;
	blocks = room / BLOCK;
	if (blocks * BLOCK < (uint64_t)st.st_size / 4 * 5)
		return;
	if (ftruncate(file, (off_t)(blocks * BLOCK)) < 0 || ioctl(loop, LOOP_SET_CAPACITY) < 0 ||
	    ioctl(mounted, EXT4_IOC_RESIZE_FS, &blocks) < 0)
		log_warn("'" DISK_FILE "' stays as small as it is: %s", strerror(errno));
}

static int mount_file(int data, const char *path, int file, struct err *e)
{
	char where[PATH_MAX], device[32];
	auto_fd int loop = -1, mounted = -1;
	struct stat st;

	if (fstat(file, &st) < 0)
		return err_set(e, errno, "cannot look at '" DISK_FILE "'");
	loop = loop_find(&st, device);
	if (loop < 0)
		loop = loop_open(file, false, device, e);
	if (loop < 0)
		return -1;
	if (snprintf(where, sizeof(where), "%s/" PLACE, path) >= (int)sizeof(where))
		return err_set(e, ENAMETOOLONG, "'%s'", path);
	if (mount(device, where, "ext4", 0, OPTIONS) < 0)
		return errno == EINVAL ?
			       err_set(e, ERR_NOT_SUPPORTED, "this kernel's ext4 has no quotas") :
			       err_set(e, errno, "cannot mount '%s/" DISK_FILE "' of instances",
				       path);
	mounted = openat(data, PLACE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mounted >= 0)
		grow(file, loop, mounted);
	return 0;
}

int disk_file_attach(const char *data, struct err *e)
{
	auto_fd int dir = open_data(data, e), file = -1;

	if (dir < 0)
		return -1;
	if (!is_made(dir))
		return 0;
	if (lock(dir, e) < 0)
		return -1;
	if (faccessat(dir, LINK, F_OK, 0) == 0)
		return 1; /* somebody else just did it */
	file = openat(dir, DISK_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (file < 0 && errno == ENOENT) /* lost power in finish() */
		file = openat(dir, OLD "/" ENTRY, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (file < 0)
		return err_set(e, errno, "cannot open '%s/" DISK_FILE "', in which instances lie",
			       data);
	return mount_file(dir, data, file, e) < 0 ? -1 : 1;
}

/* ---- making it ---- */

/* As large as what is free, which it takes only as it is used. */
static int make_file(int file, const char *path, struct err *e)
{
	char *argv[] = { "mkfs.ext4",
			 "-q",
			 "-F",
			 "-m",
			 "0",
			 "-b",
			 "4096",
			 "-O",
			 "quota,project",
			 "-E",
			 "quotatype=prjquota,lazy_itable_init=1,lazy_journal_init=1,nodiscard",
			 (char *)(uintptr_t)path,
			 NULL };
	struct statvfs below;
	uint64_t size;
	int code;

	if (fstatvfs(file, &below) < 0)
		return err_set(e, errno, "cannot see what room there is");
	size = (uint64_t)below.f_bavail * below.f_frsize;
	size = size > SIZE_MAX_EXT4 ? SIZE_MAX_EXT4 : size - size % BLOCK;
	if (size < SIZE_MIN)
		return err_set(e, ENOSPC, "cannot make '" DISK_FILE "'");
	if (ftruncate(file, (off_t)size) < 0)
		return err_set(e, errno, "cannot make '" DISK_FILE "' of %llu bytes",
			       (unsigned long long)size);
	code = program_run(argv, false, e);
	if (code == PROGRAM_MISSING)
		return err_set(e, ERR_NOT_SUPPORTED,
			       "mkfs.ext4 is not installed (Debian: e2fsprogs)");
	return code > 0 ? err_set(e, ERR_INVALID, "mkfs.ext4 failed") : code;
}

static int copy_into(int place, const char *name, const char *from, const char *data, struct err *e)
{
	char to[PATH_MAX], source[PATH_MAX];

	if (snprintf(to, sizeof(to), "%s/" PLACE "/%s", data, name) >= (int)sizeof(to) ||
	    snprintf(source, sizeof(source), "%s/%s", data, from) >= (int)sizeof(source))
		return err_set(e, ENAMETOOLONG, "'%s'", data);
	return mkdirat(place, name, 0700) < 0 ? err_set(e, errno, "cannot make '%s'", to) :
						program_copy_tree(source, to, false, e);
}

/* Nobody changes any of them: all their locks, and that of the frozen layers. */
struct held {
	struct instance_dir *dirs;
	size_t n;
	struct layers layers;
};

static void let_go(struct held *h)
{
	layers_close(&h->layers);
	for (size_t i = 0; i < h->n; i++)
		instance_close(&h->dirs[i]);
	free(h->dirs);
}
#define auto_held __attribute__((cleanup(let_go)))

static int hold(const struct instances *s, struct held *h, struct err *e)
{
	auto_free char **names = NULL;
	struct rlimit files;
	size_t n;

	if (instances_match(s, NULL, &names, &n, e) < 0)
		return -1;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max; /* one for each */
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	h->dirs = calloc(n + 1, sizeof(*h->dirs));
	if (!h->dirs)
		return err_set(e, ENOMEM, "instances");
	for (size_t i = 0; i < n; i++) {
		if (instance_open(s, names[i], &h->dirs[h->n], e) < 0)
			return -1;
		h->n++;
		if (faccessat(s->states, names[i], F_OK, 0) == 0)
			return err_set(
				e, ERR_STATE,
				"'%s' runs, and all have to stand still once: `ctr stop '*'` first",
				names[i]);
	}
	return layers_exist(s) ? layers_open(s, &h->layers, e) : 0;
}

/* All that is of instances, durably; and the entry by which the old ones are removed. */
static int fill(int data, const char *path, const struct held *held, struct err *e)
{
	auto_fd int place = openat(data, PLACE, O_RDONLY | O_DIRECTORY | O_CLOEXEC), mark = -1;

	if (place < 0)
		return err_set(e, errno, "cannot open '%s/" PLACE "'", path);
	if (disk_check(place, e) < 0)
		return -1;
	if (mkdirat(place, "instances", 0700) < 0 || mkdirat(place, "instances/.tmp", 0700) < 0)
		return err_set(e, errno, "cannot make the directory of instances");
	for (size_t i = 0; i < held->n; i++) {
		char name[INSTANCE_NAME_MAX + 16];

		snprintf(name, sizeof(name), "instances/%.63s", held->dirs[i].name);
		if (copy_into(place, name, name, path, e) < 0)
			return -1;
	}
	if (held->layers.fd >= 0 && copy_into(place, "frozen", "frozen", path, e) < 0)
		return -1;
	mark = openat(place, "instances/" ENTRY, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (mark < 0 || syncfs(place) < 0 || syncfs(data) < 0)
		return err_set(e, errno, "cannot write '%s/" PLACE "'", path);
	return 0;
}

static int exchange(int data, struct err *e)
{
	if (symlinkat(LINK, data, OLD) < 0 ||
	    sys_renameat2(data, OLD, data, "instances", RENAME_EXCHANGE) < 0 || fsync(data) < 0)
		return err_set(e, errno, "cannot exchange the directory of instances");
	return 0;
}

/* The new directory takes the place of the old one, in which nobody has made or makes another one. */
static int commit(const struct instances *s, int data, const struct held *held, struct err *e)
{
	struct idranges blocked;
	int rc;

	for (int tries = 0; instances_block(s, held->n, DISK_FILE, &blocked, e) < 0; tries++) {
		if (e->code != EBUSY || tries == BUSY_TRIES)
			return -1;
		(void)usleep(BUSY_US); /* what is being removed has gone soon */
	}
	rc = exchange(data, e);
	return idrange_close(&blocked, e) < 0 ? -1 : rc;
}

/* After that. The file leaves the old directory before that goes. */
static int finish(int data, struct err *e)
{
	if ((renameat(data, OLD "/" ENTRY, data, DISK_FILE) < 0 && errno != ENOENT) ||
	    fsync(data) < 0)
		return err_set(e, errno, "cannot rename '" DISK_FILE "'");
	if (faccessat(data, DISK_FILE, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "cannot find '" DISK_FILE "'");
	if (tree_remove(data, OLD, e) < 0 || tree_remove(data, "frozen", e) < 0)
		return -1;
	return unlinkat(data, LINK "/" ENTRY, 0) < 0 ? err_set(e, errno, "cannot remove a mark") :
						       0;
}

/* Before it. */
static void undo(int data, const char *path)
{
	char where[PATH_MAX];
	struct stat st;

	snprintf(where, sizeof(where), "%s/" PLACE, path);
	while (umount2(where, UMOUNT_NOFOLLOW | MNT_DETACH) == 0)
		;
	(void)unlinkat(data, PLACE, AT_REMOVEDIR);
	if (fstatat(data, OLD, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
		(void)unlinkat(data, OLD, 0);
	(void)unlinkat(data, "instances/" ENTRY, 0); /* last: what it stands for is undone */
}

static int build(struct instances *s, int data, const char *path, const struct held *held,
		 struct err *e)
{
	char name[PATH_MAX];
	auto_fd int file =
		openat(s->tmp, DISK_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (file < 0 || (mkdirat(data, PLACE, 0700) < 0 && errno != EEXIST))
		return err_set(e, errno, "cannot make '%s/" DISK_FILE "'", path);
	snprintf(name, sizeof(name), "%s/" ENTRY, s->path);
	if (make_file(file, name, e) < 0 || mount_file(data, path, file, e) < 0 ||
	    fill(data, path, held, e) < 0)
		return -1;
	return commit(s, data, held, e);
}

int disk_file_make(struct instances *s, struct err *e)
{
	auto_held struct held held = { .layers = LAYERS_NONE };
	char path[sizeof(s->path)];
	auto_fd int data = -1;
	int rc = 0;

	data_of(s, path);
	data = open_data(path, e);
	if (data < 0 || lock(data, e) < 0)
		return -1;
	if (!is_made(data)) { /* else another one was faster */
		undo(data, path);
		rc = hold(s, &held, e);
		if (rc == 0)
			rc = build(s, data, path, &held, e);
		if (rc == 0)
			rc = finish(data, e);
		else if (!is_made(data)) /* it may have failed after the rename */
			undo(data, path);
	}
	return rc < 0 ? err_in(e,
			       "disk: the file system that instances lie on has no project quotas, "
			       "and one in a file cannot be made") :
			instances_reopen(s, e);
}

void disk_file_settle(const struct instances *s)
{
	char path[sizeof(s->path)];
	auto_fd int data = -1;
	struct err e;

	data_of(s, path);
	data = open_data(path, &e);
	if (data < 0 || flock(data, LOCK_EX | LOCK_NB) < 0)
		return; /* somebody is at it */
	if (!is_made(data))
		undo(data, path);
	else if (finish(data, &e) < 0)
		log_warn("cannot remove what is left of '%s/" OLD "': %s", path, e.msg);
}
