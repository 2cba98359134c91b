/*
 * filesystem.c - images that are a file system already: a squashfs or an EROFS in a file, mounted as it is.
 *
 * It is the kernel that reads what a stranger has written then, not a program in a sandbox: hence only when it was asked for. Nothing in
 * it is a device, whoever mounts it where.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "images/images.h"
#include "images/store.h"
#include "runtime/base/err.h"
#include "runtime/base/loop.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"

static const struct {
	const char *type;
	off_t at;
	uint32_t magic;
	bool from_file; /* some kernels mount it from a file: the others, and those that do not, want a block device */
} kinds[] = {
	{ "squashfs", 0, SQUASHFS_MAGIC, false },
	{ "erofs", 1024, EROFS_SUPER_MAGIC_V1, true }, /* Linux 6.12 */
};

#define N_KINDS (sizeof(kinds) / sizeof(*kinds))

const char *filesystem_type(int fd)
{
	for (size_t i = 0; i < N_KINDS; i++) {
		uint32_t magic;

		if (pread(fd, &magic, sizeof(magic), kinds[i].at) == sizeof(magic) &&
		    le32toh(magic) == kinds[i].magic)
			return kinds[i].type;
	}
	return NULL;
}

bool filesystem_is_known(const char *type)
{
	for (size_t i = 0; i < N_KINDS; i++)
		if (streq(type, kinds[i].type))
			return true;
	return false;
}

static int mount_from(const char *type, const char *source, struct err *e)
{
	auto_fd int fs = sys_fsopen(type, FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0 && errno == ENODEV)
		return err_set(e, ERR_NOT_SUPPORTED, "this kernel has no %s (module %s)", type,
			       type);
	if (fs < 0 || sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0 ||
	    sys_fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
	    sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_set(e, errno, "cannot mount a %s file system", type);
	fd = sys_fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
	return fd < 0 ? err_set(e, errno, "cannot mount a %s file system", type) : fd;
}

int filesystem_mount(struct store *s, const char *path, const char *type, struct err *e)
{
	auto_fd int fd = openat(s->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), loop = -1;
	char device[32], file[64];
	struct err why = { 0 };

	if (fd < 0)
		return err_set(e, errno, "cannot open '%s/%s'", s->path, path);
	snprintf(file, sizeof(file), "/proc/self/fd/%d", fd);
	for (size_t i = 0; i < N_KINDS; i++) {
		int tree = -1;

		if (!streq(type, kinds[i].type))
			continue;
		if (kinds[i].from_file)
			tree = mount_from(type, file, &why);
		if (tree >= 0)
			return tree;
	}
	loop = loop_open(fd, true, device, e);
	return loop < 0 ? -1 : mount_from(type, device, e);
}
