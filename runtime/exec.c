/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/spec.h"

#define PASSWD_MAX   (8u << 20)
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *env_value(const struct process_spec *p, const char *name)
{
	size_t len = strlen(name);

	for (const char *const *v = p->env; v && *v; v++)
		if (strncmp(*v, name, len) == 0 && (*v)[len] == '=')
			return *v + len + 1;
	return NULL;
}

/* 0 if @path is a file that could be executed, else an errno. */
static int try_path(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	return st.st_mode & 0111 ? 0 : EACCES;
}

/*
 * The path of the payload in @buf: one that exists and may be executed, or with @named one that is named by a path as it is, for who executes it
 * at once is told. The most telling reason wins: found but not executable.
 */
static int find(const struct process_spec *p, bool named, char *buf, size_t size, struct err *e)
{
	const char *name = p->args && p->args[0] ? p->args[0] : "", *path = env_value(p, "PATH");
	int worst = ENOENT;

	if (!*name)
		return err_set(e, ERR_CMD_NOT_FOUND, "process.args is empty: nothing to execute");
	if (strchr(name, '/')) {
		/* relative ones count from the working directory, which only the last stage enters */
		if (snprintf(buf, size, "%s%s%s",
			     name[0] == '/' ? "" :
			     p->cwd	    ? p->cwd :
					      "/",
			     name[0] == '/' ? "" : "/", name) >= (int)size)
			return err_set(e, ERR_CMD_NOT_FOUND, "'%.64s...': %s", name,
				       strerror(ENAMETOOLONG));
		worst = named ? 0 : try_path(buf);
		if (worst == EACCES || worst == EISDIR)
			return err_set(e, ERR_CMD_NOT_EXEC, "cannot execute '%s': %s", name,
				       strerror(EACCES));
		return worst ? err_set(e, ERR_CMD_NOT_FOUND, "cannot execute '%s': %s", name,
				       strerror(worst)) :
			       0;
	}
	for (path = path && *path ? path : DEFAULT_PATH;; path++) {
		size_t len = strcspn(path, ":");
		int n = snprintf(buf, size, "%.*s%s%s", (int)len, path, len ? "/" : "", name);
		int r = n < (int)size ? try_path(buf) : ENAMETOOLONG;

		if (r == 0)
			return 0;
		if (r == EACCES)
			worst = r;
		path += len;
		if (!*path)
			break;
	}
	if (worst == EACCES)
		return err_set(e, ERR_CMD_NOT_EXEC, "cannot execute '%s': %s", name,
			       strerror(EACCES));
	return err_set(e, ERR_CMD_NOT_FOUND, "executable file '%s' not found in $PATH: %s", name,
		       strerror(ENOENT));
}

int exec_find(const struct process_spec *p, struct err *e)
{
	char path[PATH_MAX];

	if (!p->args) /* a container may be created without a process; it then fails to start */
		return 0;
	return find(p, false, path, sizeof(path), e);
}

static bool is_null_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/*
 * The host's /dev/null, as a standard stream, is a file of a mount that the container does not have, and CRIU could not
 * save it: the container's own takes its place, if it is that device (CVE-2026-88265) and no link.
 */
static int use_own_null(struct err *e)
{
	auto_fd int null = -1;

	for (int fd = 0; fd < 3; fd++) {
		if (!is_null_device(fd))
			continue;
		if (null < 0) {
			null = openat(AT_FDCWD, "/dev/null",
				      O_RDWR | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
			if (null < 0 || !is_null_device(null))
				return 0;
			(void)fcntl(null, F_SETFL, 0);
		}
		if (dup2(null, fd) < 0)
			return err_set(e, errno, "cannot use the container's '/dev/null'");
	}
	return 0;
}

int exec_set_stdio(const int stdio[3], int console, struct err *e)
{
	if (console >= 0) {
		if (ioctl(console, TIOCSCTTY, 0) < 0)
			return err_set(e, errno, "cannot make the pty the controlling terminal");
		for (int fd = 0; fd < 3; fd++)
			if (dup2(console, fd) < 0)
				return err_set(e, errno, "cannot use the pty");
		return 0;
	}
	for (int fd = 0; fd < 3; fd++)
		if (stdio[fd] >= 0 && stdio[fd] != fd && dup2(stdio[fd], fd) < 0)
			return err_set(e, errno, "cannot set standard stream %d", fd);
	return use_own_null(e);
}

/* Not the real-time signals, which no shell or service manager is known to ignore: /proc/PID/stat leaves them out as well. */
uint32_t exec_ignored_signals(void)
{
	struct sigaction now;
	uint32_t ignored = 0;

	for (int sig = 1; sig < 32; sig++)
		if (sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
			ignored |= 1U << (sig - 1);
	return ignored;
}

int exec_reset_signals(uint32_t ignored, struct err *e)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < 32; sig++)
		if (ignored & 1U << (sig - 1) && sigaction(sig, &dfl, NULL) < 0)
			return err_set(e, errno, "cannot reset signal %d", sig);
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return err_set(e, errno, "cannot unblock signals");
	return 0;
}

/* The smallest of @keep that is @from or more; UINT_MAX: none. */
static unsigned next_kept(const int *keep, size_t n, unsigned from)
{
	unsigned next = UINT_MAX;

	for (size_t i = 0; i < n; i++)
		if (keep[i] >= 0 && (unsigned)keep[i] >= from && (unsigned)keep[i] < next)
			next = (unsigned)keep[i];
	return next;
}

static void close_unless_kept(long fd, const int *keep, size_t n)
{
	if (next_kept(keep, n, (unsigned)fd) != (unsigned)fd)
		close((int)fd);
}

/* Those that are listed in /proc/self/fd, if that is a procfs: the limit may be a billion. */
static int close_listed(int from, const int *keep, size_t n)
{
	auto_dir DIR *d = opendir("/proc/self/fd");
	struct dirent *ent;
	struct statfs fs;

	if (!d || fstatfs(dirfd(d), &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return -1;
	while ((errno = 0, ent = readdir(d)))
		if (atoi(ent->d_name) >= from && atoi(ent->d_name) != dirfd(d))
			close_unless_kept(atoi(ent->d_name), keep, n);
	return errno ? -1 : 0;
}

int exec_close_files(unsigned preserve, const int *keep, size_t n, struct err *e)
{
	unsigned first = 3 + preserve;

	/* those of our own among them, which took the numbers of some that were not open */
	for (unsigned fd = 3; fd < first; fd++)
		if (fcntl((int)fd, F_GETFD) > 0)
			close_unless_kept((int)fd, keep, n);
	for (unsigned from = first, kept = 0; kept != UINT_MAX; from = kept + 1) {
		kept = next_kept(keep, n, from);
		if (kept == from || sys_close_range(from, kept - (kept != UINT_MAX), 0) == 0)
			continue;
		/* before Linux 5.9; EPERM: a sandbox around us */
		if (errno != ENOSYS && errno != EPERM)
			return err_set(e, errno, "cannot close descriptors");
		if (close_listed((int)first, keep, n) < 0)
			for (long fd = first, max = sysconf(_SC_OPEN_MAX); fd < max; fd++)
				close_unless_kept(fd, keep, n);
		return 0;
	}
	return 0;
}

/* The home of @uid: field 6 of its line in @passwd (passwd(5)); NULL. The text is cut into pieces. */
static const char *home_of(char *passwd, uint32_t uid)
{
	char *line, *rest;

	for (rest = passwd; rest && (line = strsep(&rest, "\n"));) {
		char *field[7] = { 0 };
		uint64_t number;
		int n = 0;

		while (n < 7 && line)
			field[n++] = strsep(&line, ":");
		if (n >= 6 && parse_u64(field[2], 0, UINT32_MAX, &number) == 0 && number == uid)
			return field[5];
	}
	return NULL;
}

void exec_find_home(const struct process_spec *p, char home[EXEC_HOME_MAX])
{
	auto_str struct str passwd = { 0 };
	const char *known = NULL, *given = env_value(p, "HOME");
	struct err ignored;

	home[0] = '\0';
	if (given && *given)
		return;
	if (file_read(AT_FDCWD, "/etc/passwd", PASSWD_MAX, &passwd, &ignored) == 0)
		known = home_of(passwd.s, p->uid);
	if (!known || known[0] != '/' || strlen(known) >= EXEC_HOME_MAX - sizeof("HOME="))
		known = "/";
	snprintf(home, EXEC_HOME_MAX, "HOME=%s", known);
}

const char **exec_env(const struct process_spec *p, const char *home)
{
	const char **env, **at;
	size_t n = 0;

	while (p->env && p->env[n])
		n++;
	env = at = calloc(n + 2, sizeof(*env));
	if (!env)
		return NULL;
	for (const char *const *v = p->env; v && *v; v++)
		if (!*home || !str_after(*v, "HOME=")) /* an empty one */
			*at++ = *v;
	if (*home)
		*at = home;
	return env;
}

/* What execve(2) means by an errno that says little. */
static const char *hint(int error, const char *path)
{
	if (error == ENOENT && try_path(path) == 0)
		return " (the interpreter or dynamic loader that it names is missing)";
	if (error == ENOEXEC)
		return " (a program of another machine, or a script that does not begin with '#!')";
	return "";
}

int exec_payload(const struct process_spec *p, const char *home, struct err *e)
{
	auto_free const char **env = exec_env(p, home);
	char path[PATH_MAX];
	int error;

	if (!env)
		return err_set(e, ENOMEM, "cannot make the environment");
	if (find(p, true, path, sizeof(path), e) < 0)
		return -1;
	execve(path, (char *const *)p->args, (char *const *)env);
	error = errno;
	return err_set(e,
		       error == ENOENT || error == ENOTDIR ? ERR_CMD_NOT_FOUND : ERR_CMD_NOT_EXEC,
		       "cannot execute '%s': %s%s", p->args[0], strerror(error), hint(error, path));
}
