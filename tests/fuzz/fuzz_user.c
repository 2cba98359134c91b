/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an image's /etc/passwd and /etc/group, and as who is looked up in them: the first line is the user, what
 * follows up to a line "%" is passwd, the rest group.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/user.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"

static char dir[] = "/tmp/ctr-fuzz-user.XXXXXX";
static int root = -1;

static void clean(void)
{
	(void)unlinkat(root, "etc/passwd", 0);
	(void)unlinkat(root, "etc/group", 0);
	(void)unlinkat(root, "etc", AT_REMOVEDIR);
	(void)rmdir(dir);
}

static void put(const char *name, const char *text, size_t len)
{
	auto_fd int fd = openat(root, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert(fd >= 0 && write(fd, text, len) == (ssize_t)len);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	auto_free char *text = malloc(size + 1);
	auto_arena struct arena *a = arena_new(1 << 20);
	struct err e = { 0 };
	char *passwd, *group;
	struct user u;

	if (root < 0) {
		assert(mkdtemp(dir));
		root = open(dir, O_RDONLY | O_DIRECTORY);
		assert(root >= 0 && mkdirat(root, "etc", 0755) == 0 && atexit(clean) == 0);
	}
	if (!text || !a)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	passwd = memchr(text, '\n', size);
	if (!passwd)
		return 0;
	*passwd++ = '\0';
	group = strstr(passwd, "\n%\n");
	put("etc/passwd", passwd,
	    group ? (size_t)(group - passwd) : (size_t)(text + size - passwd));
	put("etc/group", group ? group + 3 : "", group ? (size_t)(text + size - group - 3) : 0);
	if (user_find(root, text, 65536, a, &u, &e) < 0) {
		assert(e.code && *e.msg);
		return 0;
	}
	assert(u.uid < 65536 && u.gid < 65536 && u.home && *u.home == '/');
	assert(u.n_groups <= USER_GROUPS_MAX);
	for (size_t k = 0; k < u.n_groups; k++)
		assert(u.groups[k] < 65536);
	return 0;
}
