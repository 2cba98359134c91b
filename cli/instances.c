/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/instances.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"

int open_instances(struct cli *c, struct instances *all)
{
	if (instances_open(c->store_root, c->run_root, all, c->e) < 0)
		return -1;
	instances_sweep(all);
	return 0;
}

typedef int one_function(struct cli *c, const struct instances *all, const char *name,
			 struct err *e);

/* Keeps the last failure for main.c, which prints it, and prints the one before. */
static void note_failure(struct cli *c, bool *failed, const struct err *e)
{
	if (*failed)
		log_error("%s", c->e->msg);
	*c->e = *e;
	*failed = true;
}

/* In a process of its own, which tells how it went: one packet, a struct err with code 0 for success. */
static pid_t fork_one(struct cli *c, const struct instances *all, const char *name,
		      one_function *one, int sock)
{
	struct err e = { 0 };
	pid_t pid;

	(void)fflush(NULL); /* or the child could write it again */
	pid = fork();
	if (pid != 0)
		return pid;
	if (one(c, all, name, &e) == 0)
		e.code = 0;
	_exit(send(sock, &e, sizeof(e), MSG_NOSIGNAL) != (ssize_t)sizeof(e));
}

/* Waits for one of them. False: there is none. */
static bool reap_one(struct cli *c, int sock, bool *failed)
{
	struct err e;
	int status;
	pid_t pid;

	do {
		pid = waitpid(-1, &status, 0);
	} while (pid < 0 && errno == EINTR);
	if (pid < 0)
		return false;
	if (recv(sock, &e, sizeof(e), MSG_DONTWAIT) != (ssize_t)sizeof(e))
		err_set(&e, ERR_INVALID, "process %d, which worked on one of them, died", pid);
	if (e.code)
		note_failure(c, failed, &e);
	return true;
}

static int all_at_once(struct cli *c, const struct instances *all, char **names, size_t n,
		       one_function *one)
{
	bool failed = false;
	size_t running = 0;
	struct err e;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_set(c->e, errno, "cannot make a socket");
	for (size_t k = 0; k < n; k++) {
		if (running == PARALLEL && reap_one(c, ends[0], &failed))
			running--;
		if (fork_one(c, all, names[k], one, ends[1]) > 0)
			running++;
		else if (one(c, all, names[k], &e) <
			 0) /* no more processes: one after the other then */
			note_failure(c, &failed, &e);
	}
	while (running-- && reap_one(c, ends[0], &failed))
		;
	close(ends[0]);
	close(ends[1]);
	return failed ? -1 : EXIT_DONE;
}

int each_instance(struct cli *c, const struct instances *all, char **operands, bool parallel,
		  one_function *one)
{
	auto_free char **names = NULL;
	bool failed = false;
	struct err e;
	size_t n;

	if (instances_match(all, (const char *const *)operands, &names, &n, c->e) < 0)
		return -1;
	if (parallel && n > 1)
		return all_at_once(c, all, names, n, one);
	for (size_t k = 0; k < n; k++)
		if (one(c, all, names[k], &e) < 0)
			note_failure(c, &failed, &e);
	return failed ? -1 : EXIT_DONE;
}

int print_text(struct cli *c, struct str *text)
{
	str_add(text, "\n");
	if (text->failed)
		return err_set(c->e, ENOMEM, "cannot write to standard output");
	if (fputs(text->s, stdout) == EOF || fflush(stdout) == EOF)
		return err_set(c->e, errno, "cannot write to standard output");
	return EXIT_DONE;
}
