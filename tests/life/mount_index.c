/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_index INDEX DIR [LAYER...]
 *
 * Mounts an EROFS index whose data devices are LAYERs, for tests to look into: mount(8) would set up a loop device.
 */
#include <fcntl.h>
#include <stdio.h>

#include "runtime/base/sys.h"

int main(int argc, char **argv)
{
	int fs = argc < 3 ? -1 : sys_fsopen("erofs", 0), fd;

	if (fs < 0 || sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", argv[1], 0) < 0) {
		perror("mount_index: source");
		return 1;
	}
	for (int i = 3; i < argc; i++) {
		if (sys_fsconfig(fs, FSCONFIG_SET_STRING, "device", argv[i], 0) < 0) {
			perror("mount_index: device");
			return 1;
		}
	}
	fd = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ?
		     -1 :
		     sys_fsmount(fs, 0, MOUNT_ATTR_RDONLY);
	if (fd < 0 || sys_move_mount(fd, "", AT_FDCWD, argv[2], MOVE_MOUNT_F_EMPTY_PATH) < 0) {
		perror("mount_index: mount");
		return 1;
	}
	return 0;
}
