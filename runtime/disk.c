/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/instance.h"
#include "runtime/instances.h"

#define NR_quotactl_fd 443
#define PROJECTS       2 /* PRJQUOTA */
#define COMMAND(c)     QCMD(c, PROJECTS)

#define LAYER "layer" /* of INSTANCE_UPPER and INSTANCE_WORK */

static int quota(int fd, unsigned command, uint32_t project, void *arg)
{
	return (int)syscall(NR_quotactl_fd, fd, command, project, arg);
}

int disk_check(int dir, struct err *e)
{
	struct fs_quota_statv s = { .qs_version = FS_QSTATV_VERSION1 };

	if (quota(dir, COMMAND(Q_XGETQSTATV), 0, &s) == 0 && (s.qs_flags & FS_QUOTA_PDQ_ENFD))
		return 0;
	return err_set(
		e, ERR_NOT_SUPPORTED,
		"disk: the file system that instances lie on has no project quotas: `ctr set "
		"NAME disk=SIZE` makes one that has");
}

/* ---- projects ---- */

/* Puts an open file or directory into the project. 1: it was in it. */
static int tag(int fd, uint32_t project, bool dir, struct err *e)
{
	struct fsxattr x;

	if (ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0)
		return err_set(e, errno, "cannot read the project of a file");
	if (x.fsx_projid == project && (!dir || (x.fsx_xflags & FS_XFLAG_PROJINHERIT)))
		return 1;
	x.fsx_projid = project;
	if (dir)
		x.fsx_xflags |= FS_XFLAG_PROJINHERIT;
	return ioctl(fd, FS_IOC_FSSETXATTR, &x) < 0 ?
		       err_set(e, errno, "cannot set the project of a file") :
		       0;
}

/*
 * A directory before what is in it, so that what is made meanwhile inherits it. What is no file nor directory takes no room, and
 * what has gone meanwhile none either.
 */
static int tag_tree(int parent, const char *name, uint32_t project, struct err *e)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	auto_dir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *ent;

	if (!d)
		return errno == ENOENT ? 0 : err_set(e, errno, "cannot list '%s'", name);
	if (tag(dirfd(d), project, true, e) < 0)
		return -1;
	while ((ent = readdir(d))) {
		auto_fd int file = -1;
		struct stat st;

		if (streq(ent->d_name, ".") || streq(ent->d_name, "..") ||
		    fstatat(dirfd(d), ent->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && tag_tree(dirfd(d), ent->d_name, project, e) < 0)
			return -1;
		if (!S_ISREG(st.st_mode))
			continue;
		file = openat(dirfd(d), ent->d_name,
			      O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
		if (file < 0 && errno == ENOENT)
			continue;
		if (file < 0)
			return err_set(e, errno, "cannot open '%s'", ent->d_name);
		if (tag(file, project, false, e) < 0)
			return -1;
	}
	return 0;
}

/* Its own directory comes last, and says that all the rest is done. */
static int tag_layer(int layer, uint32_t project, struct err *e)
{
	struct fsxattr x;

	if (ioctl(layer, FS_IOC_FSGETXATTR, &x) == 0 && x.fsx_projid == project &&
	    (x.fsx_xflags & FS_XFLAG_PROJINHERIT))
		return 0;
	if (tag_tree(layer, "upper", project, e) < 0 || tag_tree(layer, "work", project, e) < 0)
		return -1;
	return tag(layer, project, true, e) < 0 ? -1 : 0;
}

/* ---- limits ---- */

static int set_limit(int fd, uint32_t project, uint64_t bytes, struct err *e)
{
	struct if_dqblk q = { .dqb_valid = QIF_BLIMITS };

	/* of QIF_DQBLKSIZE; 0 would mean none */
	q.dqb_bhardlimit = q.dqb_bsoftlimit = (bytes + QIF_DQBLKSIZE - 1) / QIF_DQBLKSIZE;
	return quota(fd, COMMAND(Q_SETQUOTA), project, &q) < 0 ?
		       err_set(e, errno, "cannot set the quota of a project") :
		       0;
}

static int open_layer(const struct instance_dir *d, struct err *e)
{
	int fd = openat(d->fd, LAYER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? err_set(e, errno, "cannot open the layer of instance '%s'", d->name) : fd;
}

int disk_limit(const struct instance_dir *d, const struct instance *i, struct err *e)
{
	auto_fd int layer = open_layer(d, e);
	uint32_t project = (uint32_t)i->ids;
	struct if_dqblk q = { 0 };
	char used[16];

	if (layer < 0)
		return -1;
	if (!i->disk) {
		disk_forget(d, i);
		return 0;
	}
	if (!project) /* its root is the host's, who could change a file's project */
		return err_set(e, ERR_NOT_SUPPORTED,
			       "disk: an instance with the host's user ids cannot be limited");
	if (disk_check(layer, e) < 0 || tag_layer(layer, project, e) < 0)
		return err_in(e, "instance '%s'", d->name);
	if (quota(layer, COMMAND(Q_GETQUOTA), project, &q) < 0 && errno != ENOENT && errno != ESRCH)
		return err_set(e, errno, "cannot read the quota of instance '%s'", d->name);
	if (q.dqb_bhardlimit == (i->disk + QIF_DQBLKSIZE - 1) / QIF_DQBLKSIZE)
		return 0;
	if (q.dqb_curspace > i->disk)
		return err_set(e, ERR_INVALID, "disk: '%s' has %s already", d->name,
			       format_size(q.dqb_curspace, used, sizeof(used)));
	return set_limit(layer, project, i->disk, e);
}

void disk_forget(const struct instance_dir *d, const struct instance *i)
{
	struct err ignored; /* where there are no quotas it has none */
	auto_fd int layer = open_layer(d, &ignored);

	if (layer >= 0 && i->ids && disk_check(layer, &ignored) == 0)
		(void)set_limit(layer, (uint32_t)i->ids, 0, &ignored);
}
