/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/spec.h"

/* By its descriptor: one resolution, and the directory that is read is the one that is named. */
static int path_of(int dir, struct str *path, struct err *e)
{
	char link[40], target[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = readlink(link, target, sizeof(target));
	if (n < 0)
		return err_set(e, errno, "cannot read '%s'", link);
	if (n == sizeof(target) || target[0] != '/')
		return err_set(e, ERR_INVALID, "the bundle's path is too long, or out of reach");
	str_add_n(path, target, (size_t)n);
	return path->failed ? err_set(e, ENOMEM, "cannot read the bundle") : 0;
}

int bundle_read(const char *dir, const char *config, struct bundle *b, struct err *e)
{
	const char *file = config ? config : "config.json";
	auto_fd int fd = openat(AT_FDCWD, dir ? dir : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	*b = (struct bundle){ 0 };
	if (fd < 0)
		return err_set(e, errno, "cannot open the bundle '%s'", dir ? dir : ".");
	if (path_of(fd, &b->path, e) < 0)
		return -1;
	if (file_read(config ? AT_FDCWD : fd, file, JSON_MAX_SIZE, &b->config, e) < 0)
		return err_in(e, "bundle '%s'", b->path.s);
	b->spec = spec_oci_parse(str_text(&b->config), b->config.len, b->path.s, e);
	return b->spec ? 0 : err_in(e, "%s", file);
}

void bundle_free(struct bundle *b)
{
	spec_free(b->spec);
	str_free(&b->config);
	str_free(&b->path);
	b->spec = NULL;
}
