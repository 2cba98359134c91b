/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"

enum treatment {
	FORGET,	 /* made anew by whoever needs it */
	NEW_KEY, /* an SSH host key: made anew here, since no service does */
};

/* In directory @dir, what matches @pattern. systemd's docs/BUILDING_IMAGES.md has most of this list. */
static const struct {
	const char *dir, *pattern;
	enum treatment treatment;
} identities[] = {
	{ "etc", "machine-id", FORGET }, /* written anew for a system */
	{ "var/lib/dbus", "machine-id", FORGET },
	{ "etc/ssh", "ssh_host_*_key.pub", FORGET },
	{ "etc/ssh", "ssh_host_*_key-cert.pub", FORGET },
	{ "etc/ssh", "ssh_host_*_key", NEW_KEY },
	{ "etc/dropbear", "dropbear_*_host_key", FORGET },
	{ "var/lib/systemd", "random-seed", FORGET },
	{ "var/lib/systemd", "credential.secret", FORGET },
	{ "var/lib/systemd/network", "*", FORGET },
	{ "var/lib/dhcp", "*.leases", FORGET },
	{ "var/lib/dhcp", "*.lease", FORGET },
	{ "var/lib/dhcpcd", "*", FORGET },
	{ "var/db/dhcpcd", "*", FORGET },
	{ "var/lib/NetworkManager", "secret_key", FORGET },
	{ "var/lib/NetworkManager", "*.lease", FORGET },
	{ "var/lib/cloud/data", "instance-id", FORGET },
	{ "etc", "hostid", FORGET },
};

/* The names first, for @f may remove what it is called with. */
static int each_of_dir(int root, size_t which, identity_function *f, void *arg, struct err *e)
{
	const char *path = identities[which].dir, *pattern = identities[which].pattern;
	auto_fd int dir = path_open_in(root, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
	auto_fd int again = dir < 0 ? -1 : fcntl(dir, F_DUPFD_CLOEXEC, 3);
	auto_dir DIR *d = again < 0 ? NULL : fdopendir(again);
	auto_arena struct arena *a = arena_new(0);
	auto_free const char **found = NULL;
	struct dirent *ent;
	size_t n = 0, size = 0;

	if (!d)
		return dir < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) ?
			       0 :
			       err_set(e, errno, "cannot look into '/%s'", path);
	again = -1;
	while ((ent = readdir(d))) {
		if (*ent->d_name == '.' || fnmatch(pattern, ent->d_name, 0) != 0)
			continue;
		if (n == size) {
			const char **more =
				realloc(found, (size = size ? 2 * size : 16) * sizeof(*more));

			if (!more)
				return err_set(e, ENOMEM, "identity");
			found = more;
		}
		found[n] = a ? arena_strdup(a, ent->d_name) : NULL;
		if (!found[n++])
			return err_set(e, ENOMEM, "identity");
	}
	for (size_t i = 0; i < n; i++)
		if (f(arg, dir, path, found[i], identities[which].treatment == NEW_KEY, e) < 0)
			return -1;
	return 0;
}

int identity_each(int root, identity_function *f, void *arg, struct err *e)
{
	for (size_t i = 0; i < sizeof(identities) / sizeof(*identities); i++)
		if (each_of_dir(root, i, f, arg, e) < 0)
			return -1;
	return 0;
}

/* A key of the same kind, "ssh_host_KIND_key", by the host's ssh-keygen(1). */
static int make_key(int dir, const char *name, struct err *e)
{
	char kind[32], path[64], comment[] = "";
	char *argv[] = { "ssh-keygen", "-q", "-N", "", "-C", comment, "-t", kind, "-f", path, NULL };
	const char *from = str_after(name, "ssh_host_");
	size_t len = from ? strlen(from) - strlen("_key") : 0;
	int status;
	pid_t pid;

	if (!len || len >= sizeof(kind) ||
	    strspn(from, "abcdefghijklmnopqrstuvwxyz0123456789_-") != strlen(from))
		return 0;
	memcpy(kind, from, len);
	kind[len] = '\0';
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%.30s", dir, name);
	(void)fflush(NULL); /* or the child could write it again */
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		(void)dup2(null, 0);
		(void)dup2(null, 1);
		(void)dup2(null, 2);
		(void)fcntl(dir, F_SETFD, 0);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0)
		return err_set(e, errno, "cannot make a host key");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		log_warn(
			"'/etc/ssh/%.60s' was removed from the clone, and cannot be made anew here: run `ssh-keygen -A` inside",
			name);
	return 0;
}

static int forget(void *arg, int dir, const char *path, const char *name, bool key, struct err *e)
{
	(void)arg;
	if (tree_remove(dir, name, e) < 0)
		return err_in(e, "'/%s' of the clone", path);
	return key ? make_key(dir, name, e) : 0;
}

int identity_forget(int root, struct err *e)
{
	return identity_each(root, forget, NULL, e);
}

static int count(void *arg, int dir, const char *path, const char *name, bool key, struct err *e)
{
	(void)dir, (void)path, (void)name, (void)key, (void)e;
	++*(int *)arg;
	return 0;
}

int identity_count(int root, struct err *e)
{
	int n = 0;

	return identity_each(root, count, &n, e) < 0 ? -1 : n;
}
