/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrate.c - `ctr migrate NAME ssh://HOST`: an instance goes to another machine, in four phases.
 *
 *	1 snapshot	a copy of what it has written, while it goes on
 *	2 copy		of that state, which takes as long as it takes
 *	3 changes	what it has written meanwhile; again, as long as each time there is much less
 *	4 switch	it stops here; the last changes; it starts there
 *
 * move_it() does that, in a process of its own, and knows nothing of failures: whoever waits for it, settle(), looks how far it came
 * and sees to it that one copy is left, running if it ran. Only between the word to start there and the answer nobody can know:
 * then it is asked for, and until there is an answer a mark (MIGRATE_MARK) keeps it from being started here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/clone.h"
#include "cli/instances.h"
#include "cli/migrate.h"
#include "cli/move.h"
#include "cli/progress.h"
#include "cli/snapshot.h"
#include "cli/suspend.h"
#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/criu.h"
#include "runtime/restart.h"
#include "runtime/running.h"

#define ROUNDS	    4	       /* of phase 3, at most */
#define LITTLE	    (1u << 20) /* bytes of changes that are not worth another round */
#define ASK_TRIES   5	       /* a second apart */
#define ASK_MS	    20000      /* for an answer: who started it there may still be at it */
#define MARK_MAX    4096
#define PROGRESS_MS 200

struct migrate_options {
	struct stop_options stop; /* first: STOP_ROWS */
	const char *name, *ssh, *remote;
	bool dry_run, keep, settle, memory;
};

static const struct option_row migrate_rows[] = {
	STOP_ROWS,
	STRING_ROW(struct migrate_options, name, "name", 'n', "NEW", "what it is called there"),
	FLAG_ROW(struct migrate_options, memory, "memory", 'm',
		 "programs go on there with their memory and connections, by criu(8)"),
	FLAG_ROW(struct migrate_options, dry_run, "dry-run", 0, "only tell whether it would fit"),
	FLAG_ROW(struct migrate_options, keep, "keep", 0,
		 "leave it here as well, stopped and without autostart"),
	STRING_ROW(struct migrate_options, ssh, "ssh", 0, "COMMAND",
		   "what reaches the other machine (default ssh)"),
	STRING_ROW(struct migrate_options, remote, "remote-ctr", 0, "COMMAND",
		   "what ctr is called there (default ctr)"),
	FLAG_ROW(struct migrate_options, settle, "settle", 0,
		 "find out where it is, after a move that was cut off"),
	END_ROW,
};

enum step { STEP_COPYING, STEP_STOPPING, STEP_SUSPENDING, STEP_STOPPED, STEP_TOLD, STEP_MOVED };

/* What move_it() and who waits for it both see. */
struct shared {
	enum step step;
	bool ran;		 /* it ran, and is to run in the end */
	uint64_t sent;		 /* bytes of the present part */
	int64_t asked_us;	 /* when it was asked to stop */
	int64_t ended_us;	 /* when its first process ended; 0: not yet */
	char uuid[UUID_LEN + 1]; /* of the one there */
	struct err e;
};

/* From here to there. */
struct line {
	pid_t pid;
	int to, from;
};

struct moving {
	struct cli *c;
	struct instances all;
	const char *name, *there; /* its names */
	char host[256], port[8];
	const char *ssh, *remote;
	bool keep;
	unsigned memories; /* states of its memory that are there already */
	struct shared *shared;
	struct line line;
	int patience;	       /* ms to wait for an answer; 0: as long as it takes */
	struct instance_dir d; /* locked, once it does not run */
	struct str out;	       /* of --json */
	struct json_writer w;
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- the line ---- */

/* "ssh://user@host:2222", or whatever ssh(1) takes for a host. */
static int parse_destination(struct moving *m, const char *text, struct err *e)
{
	const char *host = str_after(text, "ssh://");
	size_t len;
	char *colon;

	if (!host && strstr(text, "://"))
		return err_set(e, ERR_USAGE, "'%.100s': only ssh:// is known", text);
	host = host ? host : text;
	len = strcspn(host, "/");
	if (!len || len >= sizeof(m->host) || *host == '-' || host[len + (host[len] != '\0')])
		return err_set(e, ERR_USAGE, "'%.100s' is no ssh://[USER@]HOST[:PORT]", text);
	memcpy(m->host, host, len);
	m->host[len] = '\0';
	colon = strrchr(m->host, ':');
	if (!colon || strchr(colon, ']') || strchr(m->host, ':') != colon)
		return 0; /* none, or one within an address of IPv6 */
	len = strlen(colon + 1);
	if (!len || len >= sizeof(m->port) || strspn(colon + 1, "0123456789") != len)
		return err_set(e, ERR_USAGE, "'%.100s' has no port number", text);
	strcpy(m->port, colon + 1);
	*colon = '\0';
	return 0;
}

static void run_ssh(const struct moving *m, char *words, char *command)
{
	char *argv[64], *rest = words, *word;
	size_t n = 0;

	while ((word = strsep(&rest, " ")) && n < 56)
		if (*word)
			argv[n++] = word;
	if (*m->port) {
		argv[n++] = "-p";
		argv[n++] = (char *)(uintptr_t)m->port;
	}
	argv[n++] = (char *)(uintptr_t)m->host;
	argv[n++] = command;
	argv[n] = NULL;
	execvp(argv[0], argv);
	(void)!dprintf(STDERR_FILENO, "ctr: cannot execute '%s': %s\n", argv[0], strerror(errno));
	_exit(127);
}

static void hang_up(struct line *l)
{
	own_close(&l->to);
	own_close(&l->from);
	l->to = l->from = -1;
	while (l->pid > 0 && waitpid(l->pid, NULL, 0) < 0 && errno == EINTR)
		;
	l->pid = 0;
}

static int lost(struct moving *m, struct err *e)
{
	return err_set(e, ERR_INVALID, "the connection to '%s' was lost", m->host);
}

static int call(struct moving *m, struct err *e)
{
	auto_str struct str words = { 0 }, command = { 0 };
	char line[MIGRATE_LINE];
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };

	str_add(&words, m->ssh);
	str_addf(&command, "%s migrate-receive %s", m->remote, m->there);
	if (words.failed || command.failed)
		return err_set(e, ENOMEM, "cannot call '%s'", m->host);
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) {
		own_close(&in[0]);
		own_close(&in[1]);
		return err_set(e, errno, "cannot make a pipe");
	}
	(void)fflush(NULL); /* or the child could write it again */
	m->line.pid = fork();
	if (m->line.pid == 0) {
		(void)signal(SIGPIPE, SIG_DFL);
		if (dup2(in[0], STDIN_FILENO) < 0 || dup2(out[1], STDOUT_FILENO) < 0)
			_exit(127);
		run_ssh(m, words.s, command.s);
	}
	close(in[0]);
	close(out[1]);
	m->line.to = in[1];
	m->line.from = out[0];
	if (m->line.pid < 0)
		return err_set(e, errno, "cannot fork");
	if (migrate_read_line(m->line.from, line) <= 0)
		return err_set(e, ERR_INVALID, "'%s %s' does not reach a ctr there", m->ssh,
			       m->host);
	return streq(line, MIGRATE_GREETING) ?
		       0 :
		       err_set(e, ERR_NOT_SUPPORTED, "the ctr at '%s' does not speak as this one",
			       m->host);
}

/* What came from there, for a terminal of here. */
static char *made_plain(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++)
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
	return text;
}

/* The answer: 0, and what follows "ok" into @rest; or the word in place of it, as @rest; -1 and *e. */
static int hear(struct moving *m, char rest[MIGRATE_LINE], struct err *e)
{
	struct pollfd answer = { .fd = m->line.from, .events = POLLIN };
	char line[MIGRATE_LINE];
	const char *text;

	if (m->patience && poll(&answer, 1, m->patience) == 0) {
		(void)kill(m->line.pid, SIGKILL);
		return err_set(e, ETIMEDOUT, "'%s' does not answer", m->host);
	}
	while (migrate_read_line(m->line.from, line) > 0) {
		made_plain(line);
		if ((text = str_after(line, "wrong ")) || (text = str_after(line, "note "))) {
			(void)!dprintf(STDERR_FILENO, "%s: %s\n", m->host, text);
			continue;
		}
		if ((text = str_after(line, "failed ")))
			return err_set(e, ERR_NOT_SUPPORTED, "%s: %s", m->host, text);
		text = str_after(line, "ok");
		strcpy(rest, !text ? line : *text == ' ' ? text + 1 : text);
		return 0;
	}
	return lost(m, e);
}

static int tell(struct moving *m, const char *word, char rest[MIGRATE_LINE], struct err *e)
{
	char line[MIGRATE_LINE];

	snprintf(line, sizeof(line), "%s\n", word);
	return file_write_all(m->line.to, line, strlen(line)) < 0 ? lost(m, e) : hear(m, rest, e);
}

/* ---- parts ---- */

/* From @in to the line, in chunks; shows how far it is. The exit code. */
static int pump(struct moving *m, int in, const char *what)
{
	static char chunk[MIGRATE_CHUNK];
	struct image_progress done = { .phase = IMAGE_READING };
	struct pollfd more = { .fd = in, .events = POLLIN };
	struct progress p;
	ssize_t n = 1;

	progress_start(&p, what);
	(void)signal(SIGINT, SIG_DFL); /* who waits for us all undoes it */
	while (n > 0) {
		uint32_t len;

		done.bytes_read = m->shared->sent;
		(void)progress_image(&p, &done);
		if (poll(&more, 1, PROGRESS_MS) == 0)
			continue; /* the next part is being made */
		n = read(in, chunk, sizeof(chunk));
		len = htonl((uint32_t)n);
		if (n > 0 && (file_write_all(m->line.to, &len, sizeof(len)) < 0 ||
			      file_write_all(m->line.to, chunk, (size_t)n) < 0))
			break;
		m->shared->sent += n > 0 ? (uint64_t)n : 0;
	}
	progress_stop(&p);
	return n == 0 ? 0 : 1;
}

/* Writes a part of what @arg says to @fd. */
typedef int part_writer(struct moving *m, const void *arg, int fd, struct err *e);

static int write_state(struct moving *m, const void *arg, int fd, struct err *e)
{
	return move_out(m->c, &m->all, arg, fd, NULL, e);
}

static int write_memory(struct moving *m, const void *arg, int fd, struct err *e)
{
	(void)m;
	return memory_send(*(const int *)arg, fd, e);
}

static int send_part(struct moving *m, const char *word, part_writer *writer, const void *arg,
		     const char *what, char rest[MIGRATE_LINE], struct err *e)
{
	const uint32_t end = 0;
	int ends[2], status = 1, rc;
	char line[64];
	pid_t pid;

	m->shared->sent = 0;
	snprintf(line, sizeof(line), "%s\n", word);
	if (file_write_all(m->line.to, line, strlen(line)) < 0)
		return lost(m, e);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(e, errno, "cannot make a pipe");
	(void)fflush(NULL); /* or the child could write it again */
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		_exit(pump(m, ends[0], what));
	}
	close(ends[0]);
	rc = pid < 0 ? err_set(e, errno, "cannot fork") : writer(m, arg, ends[1], e);
	close(ends[1]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid > 0 &&
	    status) { /* it is gone, or who wrote to it is; why, it may have said already */
		own_close(&m->line.to);
		m->line.to = -1;
		return hear(m, rest, e) < 0 ? -1 : lost(m, e);
	}
	/* what is not complete stays without its end, and goes with the line */
	if (rc < 0)
		return -1;
	return file_write_all(m->line.to, &end, sizeof(end)) < 0 ? lost(m, e) : hear(m, rest, e);
}

/* ---- what is told ---- */

static const char *seconds(int64_t us, char out[24])
{
	if (us < 1000000)
		snprintf(out, 24, "%.1f ms", (double)us / 1000);
	else
		snprintf(out, 24, "%.2f s", (double)us / 1000000);
	return out;
}

/* @away: for how long nobody could count on it, and what of that it took to stop; -1: it ran on, or did not before. */
static void report(struct moving *m, int number, const char *phase, int64_t us, int64_t away,
		   int64_t stopping)
{
	char size[16], took[24], lost[24], part[24], more[96] = "";

	if (away >= 0)
		snprintf(more, sizeof(more), ", it was away for %s, %s of it stopping",
			 seconds(away, lost), seconds(stopping, part));
	if (m->c->json) {
		json_open(&m->w, NULL, '{');
		json_put_string(&m->w, "phase", phase);
		json_put_u64(&m->w, "bytes", m->shared->sent);
		json_put_i64(&m->w, "us", us);
		if (away >= 0) {
			json_put_i64(&m->w, "downtime_us", away);
			json_put_i64(&m->w, "stop_us", stopping);
		}
		json_close(&m->w);
		return;
	}
	if (m->shared->sent)
		printf("%d %-9s %s in %s%s\n", number, phase,
		       format_size(m->shared->sent, size, sizeof(size)), seconds(us, took), more);
	else
		printf("%d %-9s in %s%s\n", number, phase, seconds(us, took), more);
	(void)fflush(stdout);
}

/* ---- the phases ---- */

/*
 * Its state, named, so that it stays while it is written. Of one that runs it is of no one moment: what is torn in it is written again after
 * it has stopped. The instance's lock is held then; else it is taken meanwhile.
 */
static int keep(struct moving *m, struct snapshot *s, struct err *e)
{
	struct instance_dir own = { .fd = -1, .promise = -1 };
	auto_layers struct layers l = LAYERS_NONE;
	struct instance_dir *d = &m->d;
	int rc;

	*s = (struct snapshot){ .by = SNAPSHOT_BY_MIGRATE };
	if (d->fd < 0) {
		if (instance_open(&m->all, m->name, &own, e) < 0)
			return -1;
		d = &own;
	}
	rc = layers_open(&m->all, &l, e) < 0 || name_snapshot(d, NULL, s, e) < 0 ||
			     (d == &own ? keep_moving(&l, d, s, e) : keep_state(&l, d, s, e)) < 0 ||
			     snapshot_write(d, s, e) < 0 ?
		     -1 :
		     0;
	if (own.fd >= 0)
		instance_close(&own);
	return rc;
}

static int copy_state(struct moving *m, const struct snapshot *s, const struct snapshot *since,
		      const char *what, struct err *e)
{
	const struct move_request r = { .name = m->name,
					.snapshot = s->name,
					.since = since ? since->name : NULL };
	char uuid[MIGRATE_LINE];

	if (send_part(m, "state", write_state, &r, what, uuid, e) < 0)
		return -1;
	return snprintf(m->shared->uuid, sizeof(m->shared->uuid), "%s", uuid) == UUID_LEN ?
		       0 :
		       err_set(e, ERR_INVALID, "'%s' does not say which one it has made", m->host);
}

/* As long as each round leaves much less to the next, of which the last one is made while it stands still. */
static int copy_changes(struct moving *m, struct snapshot *last, struct err *e)
{
	uint64_t before = UINT64_MAX;

	for (int round = 0; round < ROUNDS; round++) {
		int64_t since = now_us();
		struct snapshot s;

		if (keep(m, &s, e) < 0 || copy_state(m, &s, last, "copying changes", e) < 0)
			return -1;
		*last = s;
		report(m, 3, "changes", now_us() - since, -1, -1);
		if (m->shared->sent < LITTLE || m->shared->sent > before / 2)
			break;
		before = m->shared->sent;
	}
	return 0;
}

/* ---- memory ---- */

/* Of the directory @part of the instance. */
static int send_directory(struct moving *m, const char *part, const char *word, const char *what,
			  struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	char rest[MIGRATE_LINE];
	auto_fd int dir = -1;

	if (instance_look(&m->all, m->name, &d, e) < 0)
		return -1;
	dir = openat(d.fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	close(d.fd);
	if (dir < 0)
		return err_set(e, errno, "cannot open the saved memory of '%s'", m->name);
	return send_part(m, word, write_memory, &dir, what, rest, e);
}

/* Whatever stands in the way, here and there, told line by line. */
static int check_memory(struct moving *m, struct err *e)
{
	auto_str struct str wrong = { 0 };
	struct instances_scratch x;
	char rest[MIGRATE_LINE], program[PATH_MAX];
	struct err ignored;
	int rc;

	if (memory_check(m->c, &m->all, m->name, &wrong, e) < 0)
		return -1;
	if (wrong.len) {
		(void)!write(STDERR_FILENO, wrong.s, wrong.len);
		return err_set(e, ERR_NOT_SUPPORTED, "its memory cannot be moved");
	}
	if (criu_find(program, sizeof(program), e) < 0 || instances_scratch(&m->all, &x, e) < 0)
		return -1;
	rc = criu_processor(program, x.fd, false, e) < 0 ?
		     -1 :
		     send_part(m, "processor", write_memory, &x.fd, "asking", rest, e);
	(void)instances_scratch_end(&m->all, &x, &ignored);
	return rc;
}

/*
 * While it goes on, as copy_changes() does with files. Where the kernel cannot tell what changes all of it is copied at the end. An error is no
 * reason not to go on: the end will tell.
 */
static int copy_memory(struct moving *m, struct err *e)
{
	uint64_t before = UINT64_MAX;

	while (m->memories < ROUNDS) {
		unsigned next = m->memories + 1;
		char part[32], word[48];
		int64_t since = now_us();

		if (memory_copy(m->c, &m->all, m->name, next, e) < 0)
			return e->code == ERR_NOT_SUPPORTED ? 0 : -1;
		snprintf(part, sizeof(part), MEMORY_NEW "/%u", next);
		snprintf(word, sizeof(word), next > 1 ? "memory %u %u" : "memory %u", next,
			 next - 1);
		if (send_directory(m, part, word, "copying memory", e) < 0)
			return -1;
		m->memories = next;
		report(m, 3, "memory", now_us() - since, -1, -1);
		if (m->shared->sent < LITTLE || m->shared->sent > before / 2)
			break;
		before = m->shared->sent;
	}
	return 0;
}

static int send_last_memory(struct moving *m, struct err *e)
{
	char word[48];

	snprintf(word, sizeof(word),
		 m->memories ? "memory " MEMORY_LAST " %u" : "memory " MEMORY_LAST, m->memories);
	return send_directory(m, MEMORY "/" MEMORY_LAST, word, "copying the last memory", e);
}

/* ---- the switch ---- */

/* Looks at the clock when the process has ended, which whoever ends it sees only later. */
static void note_end(const struct moving *m, int pidfd)
{
	if (fork() == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it may go on */
		close(m->line.to);			/* or the line would not end with us */
		close(m->line.from);
		(void)pidfd_wait(pidfd, -1);
		m->shared->ended_us = now_us();
		_exit(0);
	}
}

static int open_stopped(struct moving *m, struct err *e)
{
	auto_running struct running r = RUNNING_NONE;

	if (instance_open(&m->all, m->name, &m->d, e) < 0 ||
	    running_look(&m->all, m->name, &r, e) < 0)
		return -1;
	return r.exists ? err_set(e, ERR_STATE, "'%s' was started meanwhile", m->name) : 0;
}

static int stop_it(struct moving *m, struct running *r, struct err *e)
{
	const struct migrate_options *o = m->c->options;

	m->shared->step = o->memory ? STEP_SUSPENDING : STEP_STOPPING;
	m->shared->asked_us = now_us();
	note_end(m, r->pidfd);
	if (o->memory ? suspend(m->c, &m->all, m->name, m->memories, e) < 0 :
			end_instance(m->c, &m->all, m->name, &o->stop, r, e) < 0)
		return -1;
	m->shared->step = STEP_STOPPED;
	if (!m->shared->ended_us)
		m->shared->ended_us = now_us();
	return open_stopped(m, e);
}

static int set_mark(struct moving *m, struct err *e)
{
	auto_str struct str text = { 0 };

	str_addf(&text, "%s\n%s\n%s\n%s\n%s\n%s\n%s%s\n", m->host, m->port, m->ssh, m->remote,
		 m->there, m->shared->uuid, m->shared->ran ? "ran" : "idle",
		 m->keep ? " keep" : "");
	return text.failed ? err_set(e, ENOMEM, "cannot mark '%s'", m->name) :
			     file_replace(m->d.fd, MIGRATE_MARK, text.s, text.len, 0600, true, e);
}

/* From the last state here to the first there. */
static int switch_over(struct moving *m, const struct snapshot *last, struct err *e)
{
	const struct migrate_options *o = m->c->options;
	char rest[MIGRATE_LINE];
	int64_t since = now_us(), done;
	uint64_t memory = 0;
	struct snapshot s;

	m->shared->sent = 0;
	if (last && o->memory) {
		if (send_last_memory(m, e) < 0)
			return -1;
		memory = m->shared->sent;
	}
	if (last && (keep(m, &s, e) < 0 || copy_state(m, &s, last, "copying the last", e) < 0))
		return -1;
	m->shared->sent += memory;
	if (set_mark(m, e) < 0)
		return -1;
	m->shared->step = STEP_TOLD;
	if (tell(m, m->shared->ran ? "start" : "finish", rest, e) < 0) {
		/* it is there and said no: it has removed its own */
		if (e->code == ERR_NOT_SUPPORTED) {
			(void)unlinkat(m->d.fd, MIGRATE_MARK, 0);
			m->shared->step = STEP_STOPPED;
		}
		return -1;
	}
	m->shared->step = STEP_MOVED;
	done = now_us();
	report(m, 4, "switch", done - since, m->shared->ran ? done - m->shared->asked_us : -1,
	       m->shared->ended_us - m->shared->asked_us);
	return 0;
}

/* It is there: here it goes, or stays as one that nothing starts. */
static int leave(struct moving *m, struct err *e)
{
	auto_layers struct layers l = LAYERS_NONE;
	auto_instance struct instance *i = NULL;

	if (m->d.fd < 0 && open_stopped(m, e) < 0)
		return e->code == ERR_NO_SUCH ? 0 : -1;
	if (layers_open(&m->all, &l, e) < 0)
		return -1;
	if (!m->keep)
		return instance_remove(&m->d, e) < 0 ? -1 : layers_sweep(&l, e);
	i = instance_load(&m->d, e);
	if (!i)
		return -1;
	i->autostart = 0;
	i->restart = NULL;
	if (memory_discard(&m->d, e) < 0 || instance_save(&m->d, i, true, e) < 0 ||
	    keep_newest(&l, &m->d, SNAPSHOT_BY_MIGRATE, 0, e) < 0)
		return -1;
	(void)unlinkat(m->d.fd, MIGRATE_MARK, 0);
	instance_close(&m->d);
	return 0;
}

static int may_move(struct moving *m, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_layers struct layers l = LAYERS_NONE;
	auto_instance struct instance *i = NULL;
	int rc = -1;

	if (instance_open(&m->all, m->name, &d, e) < 0)
		return -1;
	i = instance_load(&d, e);
	if (i && faccessat(d.fd, MIGRATE_MARK, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		err_set(e, ERR_STATE, "'%s' is being moved: `ctr migrate --settle %s` first",
			m->name, m->name);
	else if (i && i->ephemeral)
		err_set(e, ERR_STATE, "'%s' goes when it ends (--rm)", m->name);
	else if (i && is_suspended(&d))
		err_set(e, ERR_STATE, "'%s' is suspended: `ctr start %s` first", m->name, m->name);
	else if (i && (m->keep || check_no_clones(&d, e) == 0) && layers_open(&m->all, &l, e) == 0)
		rc = keep_newest(&l, &d, SNAPSHOT_BY_MIGRATE, 0, e); /* of one that was killed */
	instance_close(&d);
	return rc;
}

static int move_it(struct moving *m, struct err *e)
{
	const struct migrate_options *o = m->c->options;
	const struct move_request about = { .name = m->name, .about_only = true };
	auto_running struct running r = RUNNING_NONE;
	struct snapshot first, last;
	char rest[MIGRATE_LINE];
	int64_t since;

	if (may_move(m, e) < 0 || running_look(&m->all, m->name, &r, e) < 0)
		return -1;
	m->shared->ran = r.exists && r.pidfd >= 0;
	if (call(m, e) < 0 || send_part(m, "check", write_state, &about, "asking", rest, e) < 0)
		return -1;
	if (o->memory && m->shared->ran && check_memory(m, e) < 0)
		return -1;
	if (o->dry_run)
		return 0;
	if (!m->shared->ran && open_stopped(m, e) < 0)
		return -1;
	since = now_us();
	if (keep(m, &first, e) < 0)
		return -1;
	m->shared->sent = 0;
	report(m, 1, "snapshot", now_us() - since, -1, -1);
	since = now_us();
	if (copy_state(m, &first, NULL, "copying", e) < 0)
		return -1;
	report(m, 2, "copy", now_us() - since, -1, -1);
	last = first;
	if (m->shared->ran && copy_changes(m, &last, e) < 0)
		return -1;
	if (m->shared->ran && o->memory && copy_memory(m, e) < 0)
		return -1;
	if (m->shared->ran && stop_it(m, &r, e) < 0)
		return -1;
	if (switch_over(m, m->shared->ran ? &last : NULL, e) < 0)
		return -1;
	return leave(m, e);
}

/* ---- one copy in the end ---- */

/* It was being stopped: whoever did that no longer does, and it may not have heard yet. */
static int finish_stop(struct moving *m, struct err *e)
{
	auto_running struct running r = RUNNING_NONE;
	const struct migrate_options *o = m->c->options;

	if (running_look(&m->all, m->name, &r, e) < 0)
		return -1;
	return r.exists ? end_instance(m->c, &m->all, m->name, &o->stop, &r, e) : 0;
}

/* It was being saved: whoever did that no longer waits for CRIU. */
static int finish_suspend(struct moving *m, struct err *e)
{
	auto_running struct running r = RUNNING_NONE;

	if (suspend_wait(&m->all, m->name, e) < 0 || running_look(&m->all, m->name, &r, e) < 0)
		return -1;
	if (!r.exists || r.status == STATUS_STOPPED)
		return 0;
	restart_as_before(&m->all, m->name);
	return r.status == STATUS_PAUSED ? set_frozen(&m->all, m->name, false, e) : 0;
}

/* It is here alone. */
static int stay(struct moving *m, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_layers struct layers l = LAYERS_NONE;
	int rc;

	if (m->d.fd >= 0)
		instance_close(&m->d);
	if ((m->shared->step == STEP_STOPPING && finish_stop(m, e) < 0) ||
	    (m->shared->step == STEP_SUSPENDING && finish_suspend(m, e) < 0))
		return -1;
	if (instance_open(&m->all, m->name, &d, e) < 0)
		return -1;
	(void)unlinkat(d.fd, MIGRATE_MARK, 0);
	rc = layers_open(&m->all, &l, e) < 0 ? -1 : keep_newest(&l, &d, SNAPSHOT_BY_MIGRATE, 0, e);
	instance_close(&d);
	layers_close(&l);
	if (rc == 0 && m->shared->ran && m->shared->step != STEP_COPYING)
		rc = start_one(m->c, &m->all, m->name, e);
	return rc < 0 ? -1 : 0;
}

static int ask(struct moving *m, struct err *e)
{
	char word[MIGRATE_LINE], rest[MIGRATE_LINE] = "";
	int rc = call(m, e);

	m->patience = ASK_MS;
	snprintf(word, sizeof(word), "ask %s", m->shared->uuid);
	if (rc == 0)
		rc = tell(m, word, rest, e);
	if (rc == 0 && streq(rest, "arrived")) { /* never started: the one here is the newer */
		snprintf(word, sizeof(word), "remove %s", m->shared->uuid);
		rc = tell(m, word, rest, e);
		strcpy(rest, "absent");
	}
	if (rc == 0 && streq(rest, "started"))
		m->shared->step = STEP_MOVED;
	else if (rc == 0 && streq(rest, "absent"))
		m->shared->step = STEP_STOPPED;
	else if (rc == 0)
		rc = err_set(e, ERR_INVALID, "'%s' answers something else", m->host);
	hang_up(&m->line);
	return rc;
}

/* Whether what was told to start has done so. */
static int find_out(struct moving *m, struct err *e)
{
	struct err why;
	int rc = -1;

	for (int tries = 0; rc < 0 && tries < ASK_TRIES; tries++) {
		if (tries)
			sleep(1);
		rc = ask(m, &why);
	}
	return rc == 0 ?
		       0 :
		       err_set(e, EBUSY,
			       "whether '%s' runs at '%s' now cannot be found out (%s): it is not "
			       "started here until `ctr migrate --settle %s` has",
			       m->name, m->host, why.msg, m->name);
}

/* After the one that moved it, however that ended. *moved: it is there. */
static int settle(struct moving *m, bool *moved, struct err *e)
{
	if (m->shared->step == STEP_TOLD && find_out(m, e) < 0)
		return -1;
	*moved = m->shared->step == STEP_MOVED;
	return *moved ? leave(m, e) : stay(m, e);
}

static int read_mark(struct moving *m, struct str *text, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	char *line[7], *rest;
	int rc;

	if (instance_look(&m->all, m->name, &d, e) < 0)
		return -1;
	rc = file_read(d.fd, MIGRATE_MARK, MARK_MAX, text, e);
	close(d.fd);
	if (rc < 0)
		return e->code == ENOENT ?
			       err_set(e, ERR_STATE, "'%s' is not being moved", m->name) :
			       -1;
	rest = text->s;
	for (int i = 0; i < 7; i++)
		if (!(line[i] = strsep(&rest, "\n")))
			return err_set(e, ERR_INVALID, "what '%s' says of its move is damaged",
				       m->name);
	snprintf(m->host, sizeof(m->host), "%s", line[0]);
	snprintf(m->port, sizeof(m->port), "%s", line[1]);
	m->ssh = line[2];
	m->remote = line[3];
	m->there = line[4];
	snprintf(m->shared->uuid, sizeof(m->shared->uuid), "%s", line[5]);
	m->shared->ran = str_after(line[6], "ran") != NULL;
	m->keep = strstr(line[6], "keep") != NULL;
	m->shared->step = STEP_TOLD;
	return 0;
}

static int settle_later(struct moving *m, struct err *e)
{
	auto_str struct str text = { 0 };
	bool moved = false;

	if (read_mark(m, &text, e) < 0 || settle(m, &moved, e) < 0)
		return -1;
	printf(moved ? "'%s' is at '%s'\n" : "'%s' is here\n", m->name, m->host);
	return EXIT_DONE;
}

/* ---- all of it ---- */

static int work(struct moving *m)
{
	const pid_t parent = getppid();
	struct err *e = &m->shared->e, ignored;
	bool moved;
	int rc;

	m->w = (struct json_writer){ .out = &m->out, .indent = true };
	if (m->c->json) {
		json_open(&m->w, NULL, '{');
		json_put_u64(&m->w, "version", FORMAT_VERSION);
		json_put_string(&m->w, "name", m->there);
		json_put_string(&m->w, "to", m->host);
		json_open(&m->w, "phases", '[');
	}
	rc = move_it(m, e);
	if (rc == 0 && m->c->json) {
		json_close(&m->w);
		json_close(&m->w);
		rc = print_text(m->c, &m->out);
	}
	hang_up(&m->line);
	if (rc < 0 && getppid() != parent)
		(void)settle(m, &moved, &ignored); /* nobody waits for us any more */
	(void)fflush(NULL);
	return rc < 0;
}

static int wait_for_work(struct moving *m, pid_t pid, struct err *e)
{
	bool moved = false;
	struct err why;
	int status;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	*e = m->shared->e;
	if (!WIFEXITED(status) ||
	    !e->code) /* else what is in there is of something that it got over */
		err_set(e, ECANCELED, "it was broken off");
	if (settle(m, &moved, &why) < 0) {
		*e = why;
		return -1;
	}
	if (moved)
		return 0;
	return err_in(e, "'%s' was not moved, and %s here as before", m->name,
		      m->shared->ran ? "runs" : "is");
}

static void own_moving(struct moving *m)
{
	if (m->d.fd >= 0)
		instance_close(&m->d);
	str_free(&m->out);
	instances_close(&m->all);
	if (m->shared)
		munmap(m->shared, sizeof(*m->shared));
}

static int move_watched(struct moving *m, struct err *e)
{
	pid_t pid;

	(void)fflush(NULL); /* or the child could write it again */
	pid = fork();
	if (pid == 0)
		_exit(work(m));
	if (pid < 0)
		return err_set(e, errno, "cannot fork");
	/* the one that works dies of Ctrl-C, and we put things right */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	return wait_for_work(m, pid, e);
}

static int migrate(struct cli *c, int argc, char **argv)
{
	const struct migrate_options *o = c->options;
	__attribute__((
		cleanup(own_moving))) struct moving m = { .c = c,
							  .all = INSTANCES_NONE,
							  .name = argv[0],
							  .there = o->name ? o->name : argv[0],
							  .ssh = o->ssh ? o->ssh : "ssh",
							  .remote = o->remote ? o->remote : "ctr",
							  .keep = o->keep,
							  .line = { .to = -1, .from = -1 },
							  .d = { .fd = -1, .promise = -1 } };
	char *one[] = { argv[0], NULL };

	if (o->settle != (argc == 1))
		return err_set(c->e, ERR_USAGE, "where to? NAME ssh://[USER@]HOST[:PORT]%s",
			       o->settle ? ", or --settle NAME" : "");
	if (check_stop_options(&o->stop, c->e) < 0 || instance_check_name(m.there, c->e) < 0 ||
	    (argc > 1 && parse_destination(&m, argv[1], c->e) < 0) ||
	    open_instances(c, &m.all) < 0 || protect_from(c, &m.all, one) < 0)
		return -1;
	m.shared = mmap(NULL, sizeof(*m.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (m.shared == MAP_FAILED) {
		m.shared = NULL;
		return err_set(c->e, errno, "cannot move '%s'", m.name);
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (o->settle)
		return settle_later(&m, c->e);
	if (move_watched(&m, c->e) < 0)
		return -1;
	if (!c->json)
		printf(o->dry_run ? "'%s' would fit '%s'\n" : "'%s' is at '%s'\n", m.there, m.host);
	return EXIT_DONE;
}

const struct verb verb_migrate = {
	.name = "migrate",
	.run = migrate,
	.flags = VERB_JSON,
	.operands = "NAME [ssh://][USER@]HOST[:PORT]",
	.min = 1,
	.max = 2,
	.help = "move an instance to another machine",
	.rows = migrate_rows,
	.options_size = sizeof(struct migrate_options),
	.more = "It is copied while it runs, and what it writes meanwhile after it; then it stops here, and starts there. What does not\n"
		"fit there is told before anything is done. Whatever fails, and wherever, one copy is left, which runs if it ran.",
};
