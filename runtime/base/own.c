#include "runtime/base/own.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

void own_kill(pid_t *pid)
{
	int saved = errno;

	if (*pid > 0) {
		kill(*pid, SIGKILL);
		while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	errno = saved;
}
