/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"

int fd_send(int socket, int fd, const char *name, struct err *e)
{
	struct iovec iov = { .iov_base = (char *)name, .iov_len = strlen(name) };
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.buf,
			    .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	if (socket < 0)
		return 0;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	if (sendmsg(socket, &h, MSG_NOSIGNAL) < 0)
		return err_set(e, errno, "cannot send '%s' to its socket", name);
	return 0;
}

int console_send(int socket, int *master, struct err *e)
{
	if (socket < 0)
		return 0;
	if (*master < 0)
		return err_set(e, ERR_INVALID, "a console socket is of use only with a terminal");
	if (fd_send(socket, *master, "/dev/ptmx", e) < 0)
		return -1;
	close(take_fd(master));
	return 0;
}

int pid_file_write(const char *path, pid_t pid, struct err *e)
{
	char text[16], dir[PATH_MAX];
	const char *slash = path ? strrchr(path, '/') : NULL;
	auto_fd int fd = -1;
	int len;

	if (!path)
		return 0;
	if (strlen(path) >= sizeof(dir))
		return err_set(e, ENAMETOOLONG, "pid file '%.64s...'", path);
	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "cannot open '%s' for the pid file", dir);
	len = snprintf(text, sizeof(text), "%d", pid);
	return file_replace(fd, slash ? slash + 1 : path, text, (size_t)len, 0644, 0, e);
}
