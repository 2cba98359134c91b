/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootless_net.c - from a user's network namespace to the host's networks and back: pasta, and the ports it opens.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cli/rootless.h"
#include "cli/spawn.h"
#include "netns/netns.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/instance.h"
#include "runtime/instances.h"
#include "runtime/supervise.h"

#define PASTA_PID   "pasta.pid"
#define SOCKETS_MAX (64u << 20) /* of a table of sockets in /proc */

#define AWAIT_MS    100
#define AWAIT_TRIES 30 /* pasta looks once a second */

/* Why nothing leads out; "": something does, or nobody has looked. */
static char alone[ERR_MSG_MAX];

/* The host's tables of sockets, which are still the host's when we are elsewhere; -1: not to be looked at. */
static int host_tcp[2] = { -1, -1 }, host_udp[2] = { -1, -1 };

/* ---- pasta ---- */

/*
 * Whether the process @pid is the pasta whose number is in @file; and *right, if it is that of @keeper. Its command line, which we have given
 * it, names both, the keeper last.
 */
static bool is_pasta(pid_t pid, const char *file, pid_t keeper, bool *right)
{
	auto_str struct str line = { 0 };
	char path[40], wanted[16];
	bool names = false;
	const char *last = "";
	struct err e;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	if (pid <= 0 || file_read_kernel(AT_FDCWD, path, 65536, &line, &e) < 0)
		return false;
	for (size_t at = 0; at < line.len; at += strlen(line.s + at) + 1) {
		last = line.s + at;
		names |= streq(last, file);
	}
	snprintf(wanted, sizeof(wanted), "%d", keeper);
	*right = names && streq(last, wanted);
	return names;
}

static bool runs_already(int dir, const char *file, pid_t keeper)
{
	auto_str struct str text = { 0 };
	bool right = false;
	struct err e;
	int pid = 0;

	if (file_read(dir, PASTA_PID, 64, &text, &e) < 0 ||
	    sscanf(str_text(&text), "%d", &pid) != 1 || !is_pasta(pid, file, keeper, &right))
		return false;
	if (!right) /* of a keeper that is gone */
		(void)kill(pid, SIGTERM);
	return right;
}

/* Returns when the way out is there: pasta leaves a process in the background. */
static int start_pasta(const char *file, pid_t keeper, struct err *e)
{
	char number[16];
	const char *argv[] = { "pasta", "--config-net", "--quiet", "--no-map-gw", "-t", "auto",
			       "-u",	"auto",		"-T",	   "none",	  "-U", "none",
			       "-P",	file,		number,	   NULL };

	snprintf(number, sizeof(number), "%d", keeper);
	return spawn_program(argv, "passt", NULL, e);
}

static void open_host_sockets(void)
{
	static const char *const names[2][2] = { { "/proc/net/tcp", "/proc/net/tcp6" },
						 { "/proc/net/udp", "/proc/net/udp6" } };

	for (int k = 0; k < 2; k++) {
		host_tcp[k] = open(names[0][k], O_RDONLY | O_CLOEXEC);
		host_udp[k] = open(names[1][k], O_RDONLY | O_CLOEXEC);
	}
}

void rootless_find_way_out(const char *data, int dir, pid_t keeper, bool starts)
{
	char file[PATH_MAX];
	struct err e;

	if (!starts && faccessat(dir, PASTA_PID, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	snprintf(file, sizeof(file), "%s/rootless/" PASTA_PID, data);
	if (!runs_already(dir, file, keeper) && start_pasta(file, keeper, &e) < 0)
		snprintf(alone, sizeof(alone), "%s", e.msg);
	else if (starts)
		open_host_sockets();
}

const char *rootless_no_way_out(void)
{
	return alone;
}

void rootless_warn_if_alone(void)
{
	if (*alone)
		log_warn("instances reach each other, but no network beyond: %s", alone);
	*alone = '\0';
}

/* ---- ports ---- */

/* Calls @f for each port that is published. */
static void each_port(const struct instance *i, void (*f)(const struct publication *p, void *arg),
		      void *arg)
{
	struct publication p;
	struct err e;

	for (const char *const *w = i->publish; w && *w; w++) {
		int n = publication_parse(*w, &p, &e);

		for (int k = 0; k < n; k++, p.host_port++)
			f(&p, arg);
	}
}

/* For all addresses: by IPv6 for both, where that is known. */
static int bind_port(const struct publication *p)
{
	int type = p->protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM, on = 1, off = 0;
	struct sockaddr_in6 all = { .sin6_family = AF_INET6, .sin6_port = htons(p->host_port) };
	struct sockaddr_in one = { .sin_family = AF_INET,
				   .sin_port = htons(p->host_port),
				   .sin_addr.s_addr = htonl(p->host) };
	auto_fd int fd = p->host ? -1 : socket(AF_INET6, type | SOCK_CLOEXEC, 0);
	bool both = fd >= 0;

	if (!both)
		fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	/* of an instance that is being restarted there may still be another */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
	    (both && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0) ||
	    (both ? bind(fd, (struct sockaddr *)&all, sizeof(all)) :
		    bind(fd, (struct sockaddr *)&one, sizeof(one))) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 1) < 0))
		return -1;
	return take_fd(&fd);
}

static void hold_port(const struct publication *p, void *arg)
{
	const bool *supervisor = arg;
	auto_fd int fd = p->protocol == IPPROTO_SCTP ? -1 : bind_port(p);

	if (fd >= 0)
		(void)fcntl(fd, *supervisor ? F_DUPFD : F_DUPFD_CLOEXEC, SUPERVISE_KEPT);
}

bool rootless_hold_ports(const struct instances *all, const struct instance *i, bool supervisor)
{
	if (!i->publish || faccessat(all->run, "token", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (supervisor) /* what the command was given */
		(void)sys_close_range(SUPERVISE_KEPT, UINT_MAX, 0);
	each_port(i, hold_port, &supervisor);
	return true;
}

/* Whether a socket of ours, as pasta's are, is in the table @fd with that port and state (include/net/tcp_states.h). */
static bool is_in_table(int fd, unsigned port, unsigned state)
{
	auto_str struct str text = { 0 };
	char path[40];
	struct err e;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || file_read_kernel(AT_FDCWD, path, SOCKETS_MAX, &text, &e) < 0)
		return false;
	for (const char *line = strchr(str_text(&text), '\n'); line;
	     line = strchr(line + 1, '\n')) {
		unsigned at, st, uid;

		if (sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %u",
			   &at, &st, &uid) == 3 &&
		    at == port && st == state && uid == geteuid())
			return true;
	}
	return false;
}

static bool is_open(const struct publication *p)
{
	const int *fds = p->protocol == IPPROTO_UDP ? host_udp : host_tcp;
	unsigned state = p->protocol == IPPROTO_UDP ? 7 /* TCP_CLOSE */ : 10 /* TCP_LISTEN */;

	return is_in_table(fds[0], p->host_port, state) || is_in_table(fds[1], p->host_port, state);
}

/* As long as there are tries left, of which all ports together have so many. */
static void await_port(const struct publication *p, void *arg)
{
	int *tries = arg;

	if (p->protocol == IPPROTO_SCTP) {
		log_warn("port %u is not open on the host: pasta does not forward SCTP",
			 p->host_port);
		return;
	}
	for (; !is_open(p); --*tries) {
		if (!*tries) {
			log_warn(
				"port %u is not open on the host: %s", p->host_port,
				p->host_port < 1024 ?
					"those below 1024 are root's (sysctl net.ipv4.ip_unprivileged_port_start)" :
					"another program has it, or this pasta cannot tell that it is wanted (passt of 2024 or later can)");
			return;
		}
		nanosleep(&(struct timespec){ .tv_nsec = AWAIT_MS * 1000000 }, NULL);
	}
}

void rootless_await_ports(const struct instance *i)
{
	int tries = AWAIT_TRIES;

	if (host_tcp[0] >= 0)
		each_port(i, await_port, &tries);
}
