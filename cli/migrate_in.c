/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrate_in.c - `ctr migrate-receive NAME`: the side of `ctr migrate` on which the instance arrives. migrate.h says what is spoken.
 *
 * Until it is to stay, the instance's removal is promised (instances.h): whatever happens to this process, the next command keeps that.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/migrate.h"
#include "cli/move.h"
#include "cli/network.h"
#include "cli/ready.h"
#include "cli/suspend.h"
#include "cli/verbs.h"
#include "netns/netns.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/criu.h"
#include "runtime/running.h"

struct receiving {
	struct cli *c;
	struct arrival a;
	const char *name;
	struct instance_dir d; /* locked and promised, if it is there and not to stay yet */
	bool with_memory;      /* it is to go on from memory */
	int into;	       /* where files of memory go */
};

/* ---- what is spoken ---- */

ssize_t migrate_read_line(int fd, char line[MIGRATE_LINE])
{
	size_t n = 0;

	for (;;) {
		ssize_t got = read(fd, line + n, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || line[n] == '\n') {
			line[n] = '\0';
			return got <= 0 ? got : (ssize_t)n + 1;
		}
		if (++n == MIGRATE_LINE - 1) {
			errno = EMSGSIZE;
			return -1;
		}
	}
}

int migrate_read(int fd, void *data, size_t len)
{
	for (char *at = data; len;) {
		ssize_t n = read(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A line; whoever does not hear it has gone, which is seen when the next one is read. */
static void say(const char *fmt, ...)
{
	char line[MIGRATE_LINE];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(line) - 1)
		n = (int)sizeof(line) - 2;
	for (int i = 0; i < n; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	line[n] = '\n';
	(void)file_write_all(STDOUT_FILENO, line, (size_t)n + 1);
}

static void answer(int rc, const struct err *e)
{
	if (rc < 0)
		say("failed %s", e->msg);
	else
		say("ok");
}

/* ---- parts ---- */

/* From chunks to @out, to the end even if nobody reads that any more. The exit code. */
static int pump(int out)
{
	static char chunk[MIGRATE_CHUNK];
	uint32_t len;

	for (bool heard = true;;) {
		if (migrate_read(STDIN_FILENO, &len, sizeof(len)) < 0)
			return 1;
		len = ntohl(len);
		if (!len)
			return 0;
		if (len > sizeof(chunk) || migrate_read(STDIN_FILENO, chunk, len) < 0)
			return 1;
		heard = heard && file_write_all(out, chunk, len) == 0;
	}
}

/* Reads a part from @fd. */
typedef int part_reader(struct receiving *r, int fd, struct err *e);

static int read_state(struct receiving *r, int fd, struct err *e)
{
	return arrival_read(&r->a, fd, "what came", NULL, e);
}

static int read_part(struct receiving *r, part_reader *reader, struct err *e)
{
	int ends[2], status, rc;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(e, errno, "cannot make a pipe");
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		_exit(pump(ends[1]));
	}
	close(ends[1]);
	rc = pid < 0 ? err_set(e, errno, "cannot fork") : reader(r, ends[0], e);
	close(ends[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (rc == 0 && (!WIFEXITED(status) || WEXITSTATUS(status)))
		return err_set(e, ERR_INVALID, "the connection was lost");
	return rc;
}

static int read_memory(struct receiving *r, int fd, struct err *e)
{
	return memory_receive(fd, r->into, e);
}

/* ---- check ---- */

static int tell_wrong(struct str *wrong, struct err *e)
{
	char *line, *rest = wrong->s;

	if (wrong->failed)
		return err_set(e, ENOMEM, "cannot check");
	if (!wrong->len)
		return 0;
	while ((line = strsep(&rest, "\n")) && *line)
		say("wrong %s", line);
	return err_set(e, ERR_NOT_SUPPORTED, "it does not fit");
}

static int check(struct receiving *r, struct err *e)
{
	auto_str struct str wrong = { 0 };

	if (read_part(r, read_state, e) < 0 || arrival_preflight(&r->a, r->name, &wrong, e) < 0)
		return -1;
	return tell_wrong(&wrong, e);
}

/* What its processes have in their memory: ids of the host. */
static bool are_ids_free(const struct receiving *r)
{
	auto_free char **names = NULL;
	bool found = false;
	struct err ignored;
	size_t n = 0;

	if (instances_match(&r->a.all, NULL, &names, &n, &ignored) < 0)
		return true; /* what it is made with is seen later on */
	for (size_t k = 0; k < n && !found; k++) {
		struct instance_dir d = { .fd = -1, .promise = -1 };
		auto_instance struct instance *i = NULL;

		if (instance_look(&r->a.all, names[k], &d, &ignored) < 0)
			continue;
		i = instance_load(&d, &ignored);
		found = i && i->ids == r->a.instance->ids;
		close(d.fd);
	}
	return !found;
}

/* Whether processes that saw the processor whose description comes could go on here. */
static int check_processor(struct receiving *r, struct err *e)
{
	auto_str struct str wrong = { 0 };
	struct instances_scratch x;
	struct err why = { 0 };
	char program[PATH_MAX];
	int rc;

	if (!r->a.instance)
		return err_set(e, ERR_STATE, "it is not known yet what is to come");
	if (instances_scratch(&r->a.all, &x, e) < 0)
		return -1;
	r->into = x.fd;
	rc = read_part(r, read_memory, e);
	if (rc == 0 && (criu_find(program, sizeof(program), &why) < 0 ||
			criu_processor(program, x.fd, true, &why) < 0))
		str_addf(&wrong, "%s\n", why.msg);
	if (rc == 0 && r->a.instance->ids && !are_ids_free(r))
		str_add(&wrong, "its range of ids is another one's here\n");
	(void)instances_scratch_end(&r->a.all, &x, &why);
	r->with_memory = true;
	return rc < 0 ? -1 : tell_wrong(&wrong, e);
}

/* ---- state ---- */

/* Where addresses follow from the range of ids, and that was not free here. False: some did, and connections need them. */
static bool note_addresses(const struct receiving *r, uint64_t old)
{
	bool same = true;

	struct instance was = *r->a.instance;

	was.ids = old;
	for (const char *const *w = was.nets; was.ids != r->a.instance->ids && w && *w; w++) {
		char name[NET_NAME_MAX + 1], one[INET_ADDRSTRLEN], two[INET_ADDRSTRLEN];
		struct in_addr before, now;
		struct network n;
		struct err ignored;

		if (!network_of_words(*w, name) || network_read(&r->a.all, name, &n, &ignored) < 0)
			continue;
		before.s_addr = htonl(network_address(&was, *w, &n));
		now.s_addr = htonl(network_address(r->a.instance, *w, &n));
		if (before.s_addr == now.s_addr)
			continue;
		inet_ntop(AF_INET, &before, one, sizeof(one));
		inet_ntop(AF_INET, &now, two, sizeof(two));
		say("note its address in network '%s' becomes %s: %s is another one's there (`--net %s:ip=ADDRESS` keeps one)",
		    name, two, one, name);
		same = false;
	}
	return same;
}

static int take_state(struct receiving *r, struct err *e)
{
	uint64_t ids;

	if (read_part(r, read_state, e) < 0 || arrival_bring(&r->a, NULL, e) < 0)
		return -1;
	if (r->d.fd >= 0)
		return arrival_update(&r->a, &r->d, e);
	ids = r->a.instance->ids;
	if (arrival_make(&r->a, r->name, true, &r->d, e) < 0 || arrival_check(&r->a, &r->d, e) < 0)
		return -1;
	if (!note_addresses(r, ids) && r->with_memory)
		return err_set(e, ERR_NOT_SUPPORTED, "its connections cannot come along");
	if (r->with_memory && r->a.instance->ids != ids)
		return err_set(e, ERR_NOT_SUPPORTED, "its range of ids is another one's here");
	return 0;
}

/* "NAME", or "NAME PARENT" of what stands on an earlier one: as suspend.h has them. */
static int take_memory(struct receiving *r, const char *words, struct err *e)
{
	char name[16], parent[16] = "", target[24];
	int n = sscanf(words, "%15[a-z0-9] %15[0-9]", name, parent), rc;

	if (n < 1 || r->d.fd < 0)
		return err_set(e, ERR_INVALID, "that is no saved memory");
	r->into = make_memory_dir(&r->d, name, e);
	if (r->into < 0)
		return -1;
	rc = read_part(r, read_memory, e);
	snprintf(target, sizeof(target), "../%s", parent);
	if (rc == 0 && *parent && symlinkat(target, r->into, "parent") < 0)
		rc = err_set(e, errno, "cannot link the memory to the one before");
	close(r->into);
	if (rc == 0 && streq(name, MEMORY_LAST))
		rc = memory_complete(&r->d, e);
	return rc;
}

/* ---- the end ---- */

static int forget(struct receiving *r, struct err *e)
{
	auto_layers struct layers l = LAYERS_NONE;

	if (r->d.fd < 0)
		return 0;
	return instance_remove(&r->d, e) < 0 || layers_open(&r->a.all, &l, e) < 0 ?
		       -1 :
		       layers_sweep(&l, e);
}

static int stay(struct receiving *r, struct err *e)
{
	if (r->d.fd < 0)
		return err_set(e, ERR_STATE, "nothing has come yet");
	instance_close(&r->d); /* and the promise with it */
	return 0;
}

/* Those who use it wait until it is ready, if it says when that is. It runs in any case. */
static void wait_until_ready(const struct receiving *r)
{
	struct err why;

	if (r->a.instance->ready && ready_wait(&r->a.all, r->name, READY_SECONDS, &why) < 0)
		say("note it runs, but: %s", why.msg);
}

static int stay_and_start(struct receiving *r, struct err *e)
{
	struct err ignored;

	if (stay(r, e) < 0)
		return -1;
	if (start_one(r->c, &r->a.all, r->name, e) >= 0) {
		wait_until_ready(r);
		return 0;
	}
	if (instance_open(&r->a.all, r->name, &r->d, &ignored) == 0)
		(void)forget(r, &ignored);
	return -1;
}

/* ---- afterwards, in another connection ---- */

/* Opens the instance if it is the one. 1: it is not. */
static int open_that(struct receiving *r, const char *uuid, struct err *e)
{
	auto_instance struct instance *i = NULL;

	if (instance_open(&r->a.all, r->name, &r->d, e) < 0)
		return e->code == ERR_NO_SUCH ? 1 : -1;
	i = instance_load(&r->d, e);
	if (!i || !streq(i->uuid, uuid)) {
		instance_close(&r->d);
		return i ? 1 : -1;
	}
	return 0;
}

static int tell_of(struct receiving *r, const char *uuid, struct err *e)
{
	auto_running struct running now = RUNNING_NONE;
	struct instance_exit x;
	struct err ignored;
	int rc = open_that(r, uuid, e);

	if (rc == 0)
		rc = running_look(&r->a.all, r->name, &now, e);
	if (rc < 0)
		return -1;
	if (rc > 0)
		say("absent");
	else
		say(now.exists || instance_read_exit(&r->d, &x, &ignored) == 0 ? "started" :
										 "arrived");
	instance_close(&r->d);
	return 0;
}

static int remove_that(struct receiving *r, const char *uuid, struct err *e)
{
	int rc = open_that(r, uuid, e);

	return rc == 0 ? forget(r, e) : rc > 0 ? 0 : -1;
}

/* ---- all of it ---- */

static void say_whose(const struct receiving *r)
{
	struct err ignored;
	auto_instance struct instance *i = instance_load(&r->d, &ignored);

	say("ok %s", i && i->uuid ? i->uuid : "");
}

/* False: no more is to come. */
static bool obey(struct receiving *r, const char *line)
{
	struct err e = { 0 };
	const char *uuid, *words;

	if (streq(line, "check")) {
		answer(check(r, &e), &e);
	} else if (streq(line, "state")) {
		if (take_state(r, &e) == 0)
			say_whose(r);
		else
			answer(-1, &e);
	} else if (streq(line, "processor")) {
		answer(check_processor(r, &e), &e);
	} else if ((words = str_after(line, "memory "))) {
		answer(take_memory(r, words, &e), &e);
	} else if (streq(line, "finish")) {
		answer(stay(r, &e), &e);
	} else if (streq(line, "start")) {
		answer(stay_and_start(r, &e), &e);
	} else if ((uuid = str_after(line, "ask "))) {
		if (tell_of(r, uuid, &e) < 0)
			answer(-1, &e);
	} else if ((uuid = str_after(line, "remove "))) {
		answer(remove_that(r, uuid, &e), &e);
	} else {
		say("failed it is not known what that means");
		return false;
	}
	return true;
}

static int receive(struct cli *c, int argc, char **argv)
{
	struct receiving r = {
		.c = c, .a = ARRIVAL_NONE(c), .name = argv[0], .d = { .fd = -1, .promise = -1 }
	};
	char line[MIGRATE_LINE];
	struct err ignored;

	(void)argc;
	if (instance_check_name(r.name, c->e) < 0 || arrival_open(c, &r.a) < 0)
		return -1;
	(void)signal(SIGPIPE, SIG_IGN);
	say(MIGRATE_GREETING);
	while (migrate_read_line(STDIN_FILENO, line) > 0 && obey(&r, line))
		;
	(void)forget(&r, &ignored); /* failing, the next command does it */
	arrival_close(&r.a);
	return EXIT_DONE;
}

const struct verb verb_migrate_receive = {
	.name = "migrate-receive",
	.run = receive,
	.flags = VERB_HIDDEN | VERB_SELF_PROTECT | VERB_STARTS,
	.operands = "NAME",
	.min = 1,
	.max = 1,
	.help = "the other side of migrate",
};
