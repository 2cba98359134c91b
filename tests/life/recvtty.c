/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recvtty SOCKET FILE
 *
 * Listens at the unix socket SOCKET for terminals, as the callers of --console-socket do. Of each that is sent to
 * it all output is copied until nobody has its other side, and is then FILE, at once and whole. Goes on
 * until it is killed; a connection that sends nothing is none.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int receive(int connection)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	char name[256];
	struct iovec iov = { name, sizeof(name) };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.buf,
			    .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *c;
	int fd;

	if (recvmsg(connection, &h, MSG_CMSG_CLOEXEC) <= 0)
		return -1;
	c = CMSG_FIRSTHDR(&h);
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static void copy(int tty, const char *path)
{
	char tmp[4096], chunk[65536];
	ssize_t n;
	int out;

	snprintf(tmp, sizeof(tmp), "%s.part", path);
	out = open(tmp, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	while ((n = read(tty, chunk, sizeof(chunk))) > 0)
		if (write(out, chunk, (size_t)n) != n)
			exit(1);
	close(out);
	rename(tmp, path);
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (argc != 3 || strlen(argv[1]) >= sizeof(addr.sun_path)) {
		fprintf(stderr, "usage: recvtty SOCKET FILE\n");
		return 125;
	}
	strcpy(addr.sun_path, argv[1]);
	if (bind(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(sock, 16) < 0) {
		perror("recvtty");
		return 125;
	}
	for (;;) {
		int connection = accept4(sock, NULL, NULL, SOCK_CLOEXEC);
		int tty = connection < 0 ? -1 : receive(connection);

		if (tty >= 0) {
			copy(tty, argv[2]);
			close(tty);
		}
		close(connection);
	}
}
