/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrate_memory.c - a directory of images of CRIU over a pipe.
 *
 * For each file its name, its size and its bytes, "NAME SIZE\n" first. They are as powerful as who wrote them, whom the receiver lets in as root;
 * but they are plain files, of names that lead nowhere else.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/migrate.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"

#define FILES_MAX 100000

static int send_file(int dir, const char *name, int out, struct err *e)
{
	auto_fd int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	char line[NAME_MAX + 32];
	struct stat st;
	uint64_t left;

	if (fd < 0 && errno == ELOOP) /* "parent": the receiver makes its own */
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, errno, "cannot read '%s'", name);
	if (!S_ISREG(st.st_mode) || strstr(name, ".log"))
		return 0;
	snprintf(line, sizeof(line), "%s %" PRIu64 "\n", name, (uint64_t)st.st_size);
	if (file_write_all(out, line, strlen(line)) < 0)
		return err_set(e, errno, "cannot send '%s'", name);
	for (left = (uint64_t)st.st_size; left;) {
		ssize_t n = sendfile(out, fd, NULL, left < SSIZE_MAX ? (size_t)left : SSIZE_MAX);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, n < 0 ? errno : EIO, "cannot send '%s'", name);
		left -= (uint64_t)n;
	}
	return 0;
}

int memory_send(int dir, int out, struct err *e)
{
	auto_dir DIR *list = dir_list(dir);
	struct dirent *ent;

	if (!list)
		return err_set(e, errno, "cannot list the saved memory");
	while ((ent = readdir(list)))
		if (*ent->d_name != '.' && send_file(dir, ent->d_name, out, e) < 0)
			return -1;
	return 0;
}

static bool is_image_name(const char *name)
{
	size_t len =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return len && len < NAME_MAX && !name[len] && *name != '.' && !streq(name, "parent");
}

static int receive_file(int in, int dir, const char *name, uint64_t size, struct err *e)
{
	static char chunk[MIGRATE_CHUNK];
	auto_fd int fd =
		openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0 || fchmod(fd, 0644) < 0)
		return err_set(e, errno, "cannot write '%s'", name);
	while (size) {
		size_t n = size < sizeof(chunk) ? (size_t)size : sizeof(chunk);

		if (migrate_read(in, chunk, n) < 0)
			return err_set(e, ERR_INVALID, "'%s' is not complete", name);
		if (file_write_all(fd, chunk, n) < 0)
			return err_set(e, errno, "cannot write '%s'", name);
		size -= n;
	}
	return 0;
}

int memory_receive(int in, int dir, struct err *e)
{
	char line[MIGRATE_LINE];
	ssize_t n;

	for (unsigned files = 0; (n = migrate_read_line(in, line)) > 0; files++) {
		char *blank = strchr(line, ' ');
		uint64_t size;
		int end = 0;

		if (blank)
			*blank = '\0';
		if (!blank || files == FILES_MAX || !is_image_name(line) ||
		    strspn(blank + 1, "0123456789") != strlen(blank + 1) ||
		    sscanf(blank + 1, "%18" SCNu64 "%n", &size, &end) != 1 || blank[1 + end])
			return err_set(e, ERR_INVALID, "that is no saved memory");
		if (receive_file(in, dir, line, size, e) < 0)
			return -1;
	}
	return n < 0 || *line ? err_set(e, n < 0 ? errno : ERR_INVALID, "that is no saved memory") :
				0;
}
