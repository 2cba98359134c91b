/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/loop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"

int loop_open(int fd, bool readonly, char path[32], struct err *e)
{
	auto_fd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct loop_config config = {
		.fd = (uint32_t)fd,
		/* what is written would lie in memory twice; where that cannot be avoided the kernel does without */
		.info.lo_flags = (uint32_t)(LO_FLAGS_AUTOCLEAR |
					    (readonly ? LO_FLAGS_READ_ONLY : LO_FLAGS_DIRECT_IO)),
	};

	if (control < 0)
		return err_set(
			e, ERR_NOT_SUPPORTED,
			"this machine has no loop devices (/dev/loop-control; the kernel's module loop)");
	/* others look for a free one too */
	for (int tries = 0; tries < 100; tries++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		auto_fd int device = -1;

		if (number < 0)
			return err_set(e, errno, "cannot get a loop device");
		snprintf(path, 32, "/dev/loop%d", number);
		device = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (device < 0)
			return err_set(e, errno, "cannot open '%s'", path);
		if (ioctl(device, LOOP_CONFIGURE, &config) == 0)
			return take_fd(&device);
		if (errno != EBUSY)
			return err_set(e, errno, "cannot give '%s' a file", path);
	}
	return err_set(e, EBUSY, "no loop device stays free");
}

int loop_find(const struct stat *file, char path[32])
{
	auto_dir DIR *d = opendir("/sys/block");
	struct dirent *ent;

	while (d && (ent = readdir(d))) {
		struct loop_info64 info;
		auto_fd int device = -1;

		if (!str_after(ent->d_name, "loop") ||
		    snprintf(path, 32, "/dev/%s", ent->d_name) >= 32)
			continue;
		device = open(path, O_RDWR | O_CLOEXEC);
		if (device >= 0 && ioctl(device, LOOP_GET_STATUS64, &info) == 0 &&
		    info.lo_inode == file->st_ino && info.lo_device == file->st_dev)
			return take_fd(&device);
	}
	return -1;
}
