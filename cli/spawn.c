/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/program.h"
#include "runtime/base/str.h"

/* All of a file in memory. */
static void take(int fd, struct str *out)
{
	char part[4096];
	ssize_t n;

	for (off_t at = 0; (n = pread(fd, part, sizeof(part), at)) > 0; at += n)
		str_add_n(out, part, (size_t)n);
}

/* The last line is the error; those before it are warnings. */
static int fail(int said, struct err *e)
{
	auto_str struct str text = { 0 };
	const char *line, *words;

	take(said, &text);
	while (text.len && text.s[text.len - 1] == '\n')
		text.s[--text.len] = '\0';
	line = strrchr(str_text(&text), '\n');
	line = line ? line + 1 : str_text(&text);
	words = str_after(line, "ctr: ");
	return err_set(e, ERR_INVALID, "%s",
		       words ? words :
		       *line ? line :
			       "a command died without a word");
}

/* @package: which has it, if it may be missing; NULL for ourselves, whose commands exit with that number for reasons of their own. */
static int spawn(const char *program, const char *const *argv, const char *package, struct str *out,
		 struct err *e)
{
	/* files, since a pipe's reader would wait for whoever has inherited it */
	auto_fd int said = memfd_create("stderr", MFD_CLOEXEC);
	auto_fd int told = memfd_create("stdout", MFD_CLOEXEC);
	int status;
	pid_t pid;

	if (said < 0 || told < 0)
		return err_set(e, errno, "cannot make a file in memory");
	pid = vfork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		(void)dup2(null, STDIN_FILENO);
		(void)dup2(told, STDOUT_FILENO);
		(void)dup2(said, STDERR_FILENO);
		execvp(program, (char *const *)(uintptr_t)argv);
		_exit(PROGRAM_MISSING);
	}
	if (pid < 0)
		return err_set(e, errno, "cannot make a process");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "cannot wait for '%s %s'", argv[0], argv[1]);
	if (package && WIFEXITED(status) && WEXITSTATUS(status) == PROGRAM_MISSING)
		return err_set(e, ERR_NOT_SUPPORTED, "%s is not installed (Debian: package %s)",
			       argv[0], package);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return fail(said, e);
	if (out)
		take(told, out);
	return 0;
}

int spawn_self(const char *const *argv, struct str *out, struct err *e)
{
	return spawn("/proc/self/exe", argv, NULL, out, e);
}

int spawn_program(const char *const *argv, const char *package, struct str *out, struct err *e)
{
	return spawn(argv[0], argv, package, out, e);
}
