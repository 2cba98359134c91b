/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/overlay.h"

#include <linux/mount.h>
#include <stddef.h>
#include <sys/xattr.h>

#include "runtime/base/sys.h"
#include "runtime/userns.h"

static const char *opaque(void)
{
	return userns_is_first() ? "trusted.overlay.opaque" : "user.overlay.opaque";
}

int overlay_settings(int fs)
{
	static const char *const off[] = { "index", "redirect_dir", "metacopy" };

	if (!userns_is_first()) /* the others follow from it, and may not be given */
		return sys_fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0);
	for (size_t i = 0; i < sizeof(off) / sizeof(*off); i++)
		if (sys_fsconfig(fs, FSCONFIG_SET_STRING, off[i], "off", 0) < 0)
			return -1;
	return 0;
}

bool overlay_is_opaque(int dir)
{
	char y;

	return fgetxattr(dir, opaque(), &y, 1) == 1 && y == 'y';
}

int overlay_make_opaque(int dir)
{
	return fsetxattr(dir, opaque(), "y", 1, 0);
}
