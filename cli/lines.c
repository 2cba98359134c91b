/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"

void lines_open(struct lines *l, int dir, const char *name)
{
	l->begin = l->end = 0;
	l->fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (l->fd < 0 && errno != ENOENT)
		l->error = errno;
}

void lines_close(struct lines *l)
{
	own_close(&l->fd);
	l->fd = -1;
}

const char *lines_next(struct lines *l, size_t *len)
{
	for (;;) {
		char *at = l->buf + l->begin, *newline = memchr(at, '\n', l->end - l->begin);
		ssize_t n;

		if (newline) {
			*len = (size_t)(newline - at);
			l->begin = (size_t)(newline - l->buf) + 1;
			return at;
		}
		if (l->fd < 0)
			return NULL;
		memmove(l->buf, at, l->end - l->begin);
		l->end -= l->begin;
		l->begin = 0;
		if (l->end >= LINES_MAX)
			l->end = 0; /* no line of ours: somebody else wrote into the file */
		do {
			n = read(l->fd, l->buf + l->end, sizeof(l->buf) - l->end);
		} while (n < 0 && errno == EINTR);
		if (n < 0)
			l->error = errno;
		if (n <= 0)
			return NULL;
		l->end += (size_t)n;
	}
}

bool lines_rotated(const struct lines *l, int dir, const char *name)
{
	struct stat open, named;

	return l->fd >= 0 && fstat(l->fd, &open) == 0 &&
	       fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (open.st_ino != named.st_ino || open.st_dev != named.st_dev);
}

int lines_watch(int dir, const char *what, struct err *e)
{
	auto_fd int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
	if (notify < 0 ||
	    inotify_add_watch(notify, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF) <
		    0)
		return err_set(
			e, errno, "cannot watch %s%s", what,
			errno == EMFILE ? " (raise /proc/sys/fs/inotify/max_user_instances)" : "");
	return take_fd(&notify);
}

void lines_drain(int watch)
{
	char events[4096];

	while (read(watch, events, sizeof(events)) > 0)
		;
}
