/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_dev.c - what stands in the new root's /dev.
 *
 * Its directory is opened inside the new root; a /dev that leads elsewhere stays inside it
 * (CVE-2026-41579: a link there once made a runtime remove and link files of the host).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "runtime/apply.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/sys.h"
#include "runtime/spec.h"
#include "runtime/userns.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

/*
 * The directory of a node or link and its last component. Most stand in /dev, one after the other: it is
 * resolved once for all that follow each other in the same directory. The descriptor stays in *a.
 */
static int open_parent(struct apply *a, const char *path, const char **name, struct err *e)
{
	size_t len = (size_t)(strrchr(path, '/') - path);

	if (a->dev_dir >= 0 && strlen(a->dev_path) > len && a->dev_path[len] == '/' &&
	    !strchr(a->dev_path + len + 1, '/') && strncmp(a->dev_path, path, len) == 0) {
		*name = path + len + 1;
		return a->dev_dir;
	}
	if (a->dev_dir >= 0)
		close(a->dev_dir);
	a->dev_dir = path_open_parent_in(a->root, path, 0755, name, e);
	a->dev_path = path;
	return a->dev_dir;
}

static mode_t node_type(char type)
{
	return type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR;
}

#define UNMAPPED (UINT32_MAX - 1) /* nobody's inside, whatever it is here */

static int make_node(const struct apply *a, const void *what, struct err *e)
{
	auto_fd int fs = sys_fsopen("tmpfs", FSOPEN_CLOEXEC), dir = -1;
	const struct step *st = what;
	const struct spec *s = a->spec;

	umask(0);
	if (fs < 0 || sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
	    (dir = sys_fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)) < 0 ||
	    sys_move_mount(dir, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_set(e, errno, "cannot mount a place for '%s'", st->device.path);
	if (mknodat(dir, "node", node_type(st->device.type) | st->device.mode,
		    makedev(st->device.major, st->device.minor)) < 0 ||
	    fchownat(dir, "node",
		     userns_host_id(s->uid_maps, s->n_uid_maps, st->device.uid, UNMAPPED),
		     userns_host_id(s->gid_maps, s->n_gid_maps, st->device.gid, UNMAPPED),
		     AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "cannot make '%s'", st->device.path);
	return sys_open_tree(dir, "node", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

int apply_open_device(const struct apply *a, const struct step *st, struct err *e)
{
	return apply_open_elsewhere(a, make_node, st, e);
}

static int make_place(int parent, const char *name, const struct step *st, struct err *e)
{
	int file = openat(parent, name, O_CREAT | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
			  0666);

	return file < 0 ? err_set(e, errno, "cannot make '%s'", st->device.path) : file;
}

static int place_device(struct apply *a, int parent, const char *name, const struct step *st,
			struct err *e)
{
	auto_fd int node = take_fd(&a->trees[st->device.slot]);
	auto_fd int file = make_place(parent, name, st, e);

	if (file < 0)
		return -1;
	return sys_move_mount(node, "", file, "",
			      MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ?
		       err_set(e, errno, "cannot mount '%s'", st->device.path) :
		       0;
}

/* The host's node of that path, if it is that device, bound over an empty file. */
static int bind_device(int parent, const char *name, const struct step *st, struct err *e)
{
	bool clone;
	auto_fd int node = apply_open_node(st->device.path, &clone);
	auto_fd int file = -1;
	struct stat s;

	if (node < 0 || fstat(node, &s) < 0)
		return err_set(e, errno, "cannot open the host's '%s'", st->device.path);
	if ((s.st_mode & S_IFMT) != node_type(st->device.type) ||
	    s.st_rdev != makedev(st->device.major, st->device.minor))
		return err_set(
			e, ERR_NOT_SUPPORTED,
			"the host's '%s' is not %c %u:%u, and in a user namespace none can be made",
			st->device.path, st->device.type, st->device.major, st->device.minor);
	file = make_place(parent, name, st, e);
	if (file < 0)
		return -1;
	if (apply_place_node(node, clone, parent, name, file) < 0)
		return err_set(e, errno, "cannot bind '%s'", st->device.path);
	return 0;
}

static int check_device(int parent, const char *name, const struct step *st, struct err *e)
{
	struct stat s;

	if (fstatat(parent, name, &s, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "cannot stat '%s'", st->device.path);
	if ((s.st_mode & S_IFMT) != node_type(st->device.type) ||
	    (st->device.type != 'p' && s.st_rdev != makedev(st->device.major, st->device.minor)))
		return err_set(e, EEXIST, "'%s' is something else", st->device.path);
	return 0;
}

int apply_device(struct apply *a, const struct step *st, struct err *e)
{
	const char *name;
	int parent = open_parent(a, st->device.path, &name, e);

	if (parent < 0)
		return -1;
	if (st->device.slot >= 0)
		return place_device(a, parent, name, st, e);
	if (st->device.bind)
		return bind_device(parent, name, st, e);
	if (mknodat(parent, name, node_type(st->device.type) | st->device.mode,
		    makedev(st->device.major, st->device.minor)) < 0) {
		if (errno == EEXIST)
			return check_device(parent, name, st, e);
		return err_set(e, errno, "cannot make '%s'", st->device.path);
	}
	if ((st->device.uid || st->device.gid) &&
	    fchownat(parent, name, st->device.uid, st->device.gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "cannot give '%s' to its owner", st->device.path);
	return 0;
}

int apply_symlink(struct apply *a, const struct step *st, struct err *e)
{
	const char *name;
	int parent = open_parent(a, st->symlink.path, &name, e);

	if (parent < 0)
		return -1;
	if (symlinkat(st->symlink.target, parent, name) < 0 && errno != EEXIST)
		return err_set(e, errno, "cannot make '%s'", st->symlink.path);
	return 0;
}

int apply_directory(struct apply *a, const struct step *st, struct err *e)
{
	int fd = path_make_dir_in(a->root, st->path, 0755, e);

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

/*
 * The slave is got from the master (TIOCGPTPEER, Linux 4.13), never by a name below /dev/pts, which the image
 * could have made a link (CVE-2025-52565). That the master answers as a pty is the check that it is one.
 */
int apply_open_pty(struct apply *a, const struct process_spec *p, struct err *e)
{
	auto_fd int master = path_open_in(a->root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY);
	auto_fd int slave = -1;
	struct winsize size = { .ws_row = (unsigned short)p->console_height,
				.ws_col = (unsigned short)p->console_width };
	struct termios modes;
	unsigned number;
	int unlock = 0;

	if (master < 0 || ioctl(master, TIOCGPTN, &number) < 0 ||
	    ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_set(e, errno, "cannot open a pty: is devpts mounted on '/dev/pts'?");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_set(e, errno, "cannot open the pty's other side");
	/* the terminal outside turns newlines into line ends; twice would be once too often (runc does so) */
	if (tcgetattr(slave, &modes) < 0)
		return err_set(e, errno, "cannot read the modes of the pty");
	modes.c_oflag &= ~(tcflag_t)ONLCR;
	if (tcsetattr(slave, TCSANOW, &modes) < 0)
		return err_set(e, errno, "cannot set the modes of the pty");
	if (size.ws_row && size.ws_col && ioctl(master, TIOCSWINSZ, &size) < 0)
		return err_set(e, errno, "cannot set the size of the pty");
	if (p->uid && fchown(slave, p->uid, (gid_t)-1) < 0)
		return err_set(e, errno, "cannot give the pty to user %u", p->uid);
	a->console = take_fd(&slave);
	a->console_master = take_fd(&master);
	return 0;
}

/* The pty, and /dev/console bound to it by descriptor. */
int apply_console(struct apply *a, const struct step *st, struct err *e)
{
	auto_fd int target = -1;

	(void)st;
	if (apply_open_pty(a, &a->spec->process, e) < 0)
		return -1;
	target = path_make_file_in(a->root, "/dev/console", 0600, e);
	if (target < 0)
		return -1;
	if (apply_bind_fd(a->console, target) < 0)
		return err_set(e, errno, "cannot bind the pty on '/dev/console'");
	return 0;
}
