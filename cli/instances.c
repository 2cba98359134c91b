/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/instances.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/disk.h"
#include "runtime/disk_file.h"

#define JOBS 16

int open_instances(struct cli *c, struct instances *all)
{
	if (instances_open(c->store_root, c->run_root, all, c->e) < 0)
		return -1;
	instances_sweep(all);
	return 0;
}

int make_room_for_limits(struct instances *all, struct err *e)
{
	struct err ignored;

	if (disk_check(all->dir, &ignored) == 0)
		return 0;
	if (disk_file_make(all, e) < 0)
		return -1;
	(void)!dprintf(STDERR_FILENO,
		       "instances lie in '" DISK_FILE
		       "' from now on, beside the images: a file system that has quotas\n");
	return 0;
}

void notice(const char *text, const char *name)
{
	(void)!dprintf(STDERR_FILENO, "'%s' %s\n", name, text);
}

bool can_ask(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

bool confirm(const char *fmt, ...)
{
	char answer[16];
	va_list ap;

	va_start(ap, fmt);
	(void)vdprintf(STDERR_FILENO, fmt, ap);
	va_end(ap);
	(void)!dprintf(STDERR_FILENO, " [y/N] ");
	return fgets(answer, sizeof(answer), stdin) && (*answer == 'y' || *answer == 'Y');
}

/* ---- from operands to names ---- */

/* How it went with one of them. */
struct result {
	char name[INSTANCE_NAME_MAX + 1];
	int rc;	  /* as of one_function */
	int code; /* NO_CODE: none */
	struct err e;
};

#define NO_CODE (-2)

struct results {
	struct result *v;
	size_t n, size;
};

static void results_free(struct results *r)
{
	free(r->v);
}
#define auto_results __attribute__((cleanup(results_free)))

static struct result *add(struct results *r, const char *name, struct err *e)
{
	if (r->n == r->size) {
		size_t size = r->size ? 2 * r->size : 16;
		struct result *v = realloc(r->v, size * sizeof(*v));

		if (!v) {
			err_set(e, ENOMEM, "cannot list the instances");
			return NULL;
		}
		r->v = v;
		r->size = size;
	}
	r->v[r->n] = (struct result){ .code = NO_CODE };
	snprintf(r->v[r->n].name, sizeof(r->v[r->n].name), "%s", name);
	return &r->v[r->n++];
}

static bool has(const struct results *r, const char *name)
{
	for (size_t k = 0; k < r->n; k++)
		if (streq(r->v[k].name, name))
			return true;
	return false;
}

/* Each operand alone, so that one which names nothing does not hide the others: it has failed already. */
static int find(const struct instances *all, char **operands, bool missing_ok, struct results *r,
		struct err *e)
{
	static char *everything[] = { "*", NULL };
	size_t listed = 0; /* of these no two are the same */

	for (char **o = *operands ? operands : everything; *o; o++) {
		const char *const one[] = { *o, NULL };
		auto_free char **names = NULL;
		size_t n = 0;
		struct err why;

		if (instances_match(all, one, &names, &n, &why) < 0) {
			struct result *failed;

			if (missing_ok && why.code == ERR_NO_SUCH)
				continue;
			failed = has(r, *o) ? NULL : add(r, *o, e);
			if (!failed && !has(r, *o))
				return -1;
			if (failed) {
				failed->rc = -1;
				failed->e = why;
			}
			listed = 1;
			continue;
		}
		for (size_t k = 0; k < n; k++)
			if ((!listed || !has(r, names[k])) && !add(r, names[k], e))
				return -1;
		listed = 1;
	}
	return 0;
}

int match_instances(const struct instances *all, char **operands, bool missing_ok, char ***names,
		    size_t *n, struct err *e)
{
	auto_results struct results r = { 0 };
	size_t bytes = sizeof(char *), found = 0;
	char **v, *at;

	if (find(all, operands, missing_ok, &r, e) < 0)
		return -1;
	for (size_t k = 0; k < r.n; k++)
		bytes += sizeof(char *) + sizeof(r.v[k].name);
	v = malloc(bytes);
	if (!v)
		return err_set(e, ENOMEM, "cannot list the instances");
	at = (char *)(v + r.n + 1);
	for (size_t k = 0; k < r.n; k++) {
		if (r.v[k].rc < 0) {
			*e = r.v[k].e;
			free(v);
			return -1;
		}
		v[found++] = strcpy(at, r.v[k].name);
		at += strlen(at) + 1;
	}
	v[found] = NULL;
	*names = v;
	*n = found;
	return 0;
}

/* ---- working on them ---- */

struct job {
	pid_t pid; /* 0: free */
	size_t of; /* which result */
};

/* What a process that worked on one of them tells: one packet. */
struct report {
	size_t of;
	int rc, code;
	struct err e;
};

void each_code(struct cli *c, int code)
{
	c->code = code;
}

static void work(struct cli *c, const struct instances *all, struct result *r, one_function *one)
{
	c->code = NO_CODE;
	r->e.code = ERR_NONE;
	r->rc = one(c, all, r->name, &r->e);
	r->code = c->code;
	if (r->rc > 0 && c->strict) {
		r->e.code = ERR_STATE;
		r->rc = -1;
	}
}

/* In a process of its own. */
static pid_t fork_one(struct cli *c, const struct instances *all, struct results *results,
		      size_t of, one_function *one, int sock)
{
	struct report report = { .of = of };
	struct result *r = &results->v[of];
	pid_t pid;

	(void)fflush(NULL); /* or the child could write it again */
	pid = fork();
	if (pid != 0)
		return pid;
	work(c, all, r, one);
	report.rc = r->rc;
	report.code = r->code;
	report.e = r->e;
	_exit(send(sock, &report, sizeof(report), MSG_NOSIGNAL) != (ssize_t)sizeof(report));
}

/* Takes what has been told. */
static void hear(struct results *results, int sock)
{
	struct report report;

	while (recv(sock, &report, sizeof(report), MSG_DONTWAIT) == (ssize_t)sizeof(report)) {
		struct result *r = &results->v[report.of];

		r->rc = report.rc;
		r->code = report.code;
		r->e = report.e;
	}
}

/* Waits until one of the jobs is free, and returns it; NULL: there is none. */
static struct job *reap_one(struct job *jobs, size_t n_jobs, struct results *results, int sock)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, 0);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return NULL;
		hear(results, sock);
		for (size_t k = 0; k < n_jobs; k++) {
			if (jobs[k].pid != pid)
				continue;
			jobs[k].pid = 0;
			return &jobs[k];
		}
	}
}

#define UNHEARD 2 /* result.rc of one whose process has not told anything yet */

static int work_at_once(struct cli *c, const struct instances *all, struct results *results,
			one_function *one)
{
	size_t n_jobs = c->jobs.set ? (size_t)c->jobs.v : JOBS, free_jobs = n_jobs;
	auto_free struct job *jobs = calloc(n_jobs, sizeof(*jobs));
	int ends[2];

	if (!jobs)
		return err_set(c->e, ENOMEM, "cannot work on many at once");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_set(c->e, errno, "cannot make a socket");
	for (size_t k = 0; k < results->n; k++) {
		struct job *job = jobs;

		if (results->v[k].rc < 0)
			continue; /* it is not there */
		if (free_jobs == 0 && reap_one(jobs, n_jobs, results, ends[0]))
			free_jobs++;
		while (job->pid)
			job++;
		job->of = k;
		results->v[k].rc = UNHEARD;
		job->pid = fork_one(c, all, results, k, one, ends[1]);
		if (job->pid > 0) {
			free_jobs--;
		} else { /* no more processes: one after the other then */
			job->pid = 0;
			work(c, all, &results->v[k], one);
		}
	}
	while (free_jobs < n_jobs && reap_one(jobs, n_jobs, results, ends[0]))
		free_jobs++;
	close(ends[0]);
	close(ends[1]);
	for (size_t k = 0; k < results->n; k++)
		if (results->v[k].rc == UNHEARD)
			results->v[k].rc = err_set(&results->v[k].e, ERR_INVALID,
						   "the process that worked on '%s' died",
						   results->v[k].name);
	return 0;
}

/* ---- how it went ---- */

void put_error(struct json_writer *w, const struct err *e)
{
	json_open(w, "error", '{');
	json_put_string(w, "code", error_name(e->code));
	json_put_string(w, "message", e->msg);
	json_close(w);
}

static int print_results(struct cli *c, const struct results *results)
{
	auto_str struct str text = { 0 };
	struct json_writer w = { .out = &text, .indent = true };

	json_open(&w, NULL, '{');
	json_put_u64(&w, "version", FORMAT_VERSION);
	json_open(&w, "results", '[');
	for (size_t k = 0; k < results->n; k++) {
		const struct result *r = &results->v[k];

		json_open(&w, NULL, '{');
		json_put_string(&w, "name", r->name);
		json_put_string(&w, "result",
				r->rc < 0 ? "failed" :
				r->rc > 0 ? "unchanged" :
					    "done");
		if (r->code != NO_CODE && r->rc == 0)
			json_put_i64(&w, "code", r->code);
		if (r->rc > 0)
			json_put_string(&w, "note", r->e.msg);
		if (r->rc < 0)
			put_error(&w, &r->e);
		json_close(&w);
	}
	json_close(&w);
	json_close(&w);
	c->told = true;
	return print_text(c, &text);
}

static int conclude(struct cli *c, const struct results *results)
{
	bool failed = false, mixed = false;

	for (size_t k = 0; k < results->n; k++) {
		const struct result *r = &results->v[k];

		if (r->rc > 0 && !c->json)
			(void)!dprintf(STDERR_FILENO, "%s\n", r->e.msg);
		if (!c->json && r->rc == 0 && r->code == -1)
			printf("unknown\n");
		else if (!c->json && r->rc == 0 && r->code != NO_CODE)
			printf("%d\n", r->code);
		if (r->rc >= 0)
			continue;
		if (failed) { /* main.c prints the last one */
			log_error("%s", c->e->msg);
			mixed |= error_exit(c->e->code) != error_exit(r->e.code);
		}
		*c->e = r->e;
		failed = true;
	}
	if (mixed)
		c->e->code = ERR_INVALID;
	return failed ? -1 : EXIT_DONE;
}

int each_instance(struct cli *c, const struct instances *all, char **operands, unsigned flags,
		  one_function *one)
{
	auto_results struct results results = { 0 };

	if (find(all, operands, flags & EACH_MISSING_OK, &results, c->e) < 0)
		return -1;
	if (results.n > 1 && !(flags & EACH_ALONE)) {
		if (work_at_once(c, all, &results, one) < 0)
			return -1;
	} else {
		for (size_t k = 0; k < results.n; k++)
			if (results.v[k].rc == 0)
				work(c, all, &results.v[k], one);
	}
	if (c->json && print_results(c, &results) < 0)
		return -1;
	return conclude(c, &results);
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
