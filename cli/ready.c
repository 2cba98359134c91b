/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ready.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/health.h"
#include "cli/instances.h"
#include "cli/network.h"
#include "cli/verbs.h"
#include "netns/netns.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/running.h"

#define TRY_MS 20
#define DEPTH  32 /* of instances that wait for others */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool ready_exec(const char *name, const char *command, unsigned seconds, const char **why)
{
	char *argv[] = { "ctr",	    "exec", (char *)(uintptr_t)name,	"--",
			 "/bin/sh", "-c",   (char *)(uintptr_t)command, NULL };
	auto_fd int pidfd = -1;
	const char *reason = "cannot be run";
	int status = 1, null;
	pid_t pid = fork();

	if (pid == 0) {
		(void)setpgid(0, 0); /* killed with all that it runs here */
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		for (int i = 0; null >= 0 && i < 3; i++)
			(void)dup2(null, i);
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	pidfd = pid < 0 ? -1 : sys_pidfd_open(pid, 0);
	if (pid > 0 && pidfd >= 0 && !pidfd_wait(pidfd, (int)seconds * 1000)) {
		reason = "takes too long";
		(void)kill(-pid, SIGKILL);
		(void)kill(pid, SIGKILL);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status))
		reason = "fails";
	if (why)
		*why = reason;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int socket_here(struct err *e)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? err_set(e, errno, "cannot make a socket") : fd;
}

/* A socket of the network namespace that process @pidfd is in (setns(2) with a pidfd: Linux 5.8). */
static int socket_there(int pidfd, struct err *e)
{
	auto_fd int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd = -1;

	if (own < 0 || setns(pidfd, CLONE_NEWNET) < 0)
		return err_set(e, errno, "cannot enter its network");
	fd = socket_here(e);
	return netns_return(own, e) < 0 ? -1 : take_fd(&fd);
}

/* Whether something of the instance listens: from here, as from its neighbours, or if the host is none of those, from itself. */
static int listens(const struct instances *all, const struct instance *i, int pidfd, uint16_t port,
		   struct err *e)
{
	char name[NET_NAME_MAX + 1];
	struct network n;

	for (const char *const *w = i->nets; w && *w; w++) {
		struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
		auto_fd int fd = -1;
		bool away = false;
		struct pollfd p;
		int error = 0;
		socklen_t len = sizeof(error);

		if (streq(*w, "host"))
			to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		else if (!network_of_words(*w, name))
			continue;
		else {
			if (network_read(all, name, &n, e) < 0)
				return -1;
			to.sin_addr.s_addr = htonl(network_address(i, *w, &n));
			away = n.unmanaged || net_is_shared(&n);
		}
		fd = away ? socket_there(pidfd, e) : socket_here(e);
		if (fd < 0)
			return -1;
		p = (struct pollfd){ .fd = fd, .events = POLLOUT };
		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
			return 1;
		if (errno == EINPROGRESS && poll(&p, 1, 1000) > 0 &&
		    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && !error)
			return 1;
		return 0;
	}
	return err_set(e, ERR_INVALID,
		       "ready: it has no address at which a port could be looked for");
}

static int is_ready(const struct instances *all, const char *name, const struct instance *i,
		    int pidfd, struct err *e)
{
	const char *port = i->ready ? str_after(i->ready, "tcp:") : NULL;
	const char *command = i->ready ? str_after(i->ready, "exec:") : NULL;
	uint64_t n = 0;

	if (port && parse_u64(port, 1, 65535, &n) == 0)
		return listens(all, i, pidfd, (uint16_t)n, e);
	if (command)
		return ready_exec(name, command, 10, NULL);
	if (i->ready && streq(i->ready, "healthy"))
		return health_status(all, name) == HEALTH_HEALTHY;
	return 1;
}

int ready_wait(const struct instances *all, const char *name, unsigned seconds, struct err *e)
{
	int64_t end = now_ms() + (int64_t)seconds * 1000;
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_instance struct instance *i = NULL;

	if (instance_look(all, name, &d, e) < 0)
		return -1;
	i = instance_load(&d, e);
	close(d.fd);
	if (!i)
		return -1;
	for (;;) {
		auto_running struct running r = RUNNING_NONE;
		int ready;

		if (running_look(all, name, &r, e) < 0)
			return -1;
		if (!r.exists || r.pidfd < 0)
			return err_set(e, ERR_STATE, "'%s' does not run", name);
		ready = is_ready(all, name, i, r.pidfd, e);
		if (ready)
			return ready < 0 ? -1 : 0;
		if (now_ms() > end)
			return err_set(e, ETIMEDOUT, "'%s' is not ready (%s) after %u s", name,
				       i->ready ? i->ready : "running", seconds);
		(void)pidfd_wait(r.pidfd, TRY_MS);
	}
}

/* start_one() comes here again, for what that one waits for. */
static int start_dependency(struct cli *c, const struct instances *all, const char *name,
			    struct err *e)
{
	static const char *chain[DEPTH];
	static size_t depth;
	int rc;

	for (size_t i = 0; i < depth; i++)
		if (streq(chain[i], name))
			return err_set(e, ERR_INVALID, "it waits for itself: a circle");
	if (depth == DEPTH)
		return err_set(e, ERR_INVALID, "more than %d instances that wait for each other",
			       DEPTH);
	chain[depth++] = name;
	rc = start_one(c, all, name, e);
	depth--;
	return rc < 0 ? -1 : ready_wait(all, name, READY_SECONDS, e);
}

int ready_dependencies(struct cli *c, const struct instances *all, const struct instance *i,
		       struct err *e)
{
	for (const char *const *w = i->after; w && *w; w++)
		if (start_dependency(c, all, *w, e) < 0)
			return err_in(e, "after '%s'", *w);
	return 0;
}
