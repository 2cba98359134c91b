/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/err.h"

int program_run(char *const argv[], bool quiet, struct err *e)
{
	int status;
	pid_t pid;

	(void)fflush(NULL); /* or the child could write it again */
	pid = fork();
	if (pid == 0) {
		int null = quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;

		if (null >= 0)
			(void)dup2(null, STDERR_FILENO);
		execvp(argv[0], argv);
		_exit(PROGRAM_MISSING);
	}
	if (pid < 0)
		return err_set(e, errno, "cannot start '%s'", argv[0]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "cannot wait for '%s'", argv[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   err_set(e, ERR_INVALID, "'%s' was killed", argv[0]);
}

int program_copy_tree(const char *from, const char *to, bool lives, struct err *e)
{
	char source[PATH_MAX];
	char *argv[] = { "cp", "-dR", PROGRAM_CP_KEEPS, "--", source, (char *)(uintptr_t)to, NULL };
	int code;

	if (snprintf(source, sizeof(source), "%s/.", from) >= (int)sizeof(source))
		return err_set(e, ENAMETOOLONG, "'%s'", from);
	code = program_run(argv, lives, e);
	if (code <= 0 || (lives && code == 1))
		return code < 0 ? -1 : 0;
	return code == PROGRAM_MISSING ?
		       err_set(e, ERR_NOT_SUPPORTED, "cp is not installed (Debian: coreutils)") :
		       err_set(e, ERR_INVALID, "cannot copy '%s'", from);
}
