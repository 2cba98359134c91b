/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_list.c - list and ps: looking at containers and at what runs in them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/oci.h"
#include "cli/verbs.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/freeze.h"
#include "runtime/state.h"

struct list_options {
	const char *format;
	bool quiet;
};

static const struct option_row list_rows[] = {
	STRING_ROW(struct list_options, format, "format", 'f', "FORMAT", "'table' or 'json'"),
	FLAG_ROW(struct list_options, quiet, "quiet", 'q', "print ids alone"),
	END_ROW,
};

/* "table" is the default; 1 for JSON. */
static int is_json(const char *format, struct err *e)
{
	if (!format || streq(format, "table"))
		return 0;
	return streq(format, "json") ?
		       1 :
		       err_set(e, ERR_USAGE, "the format is 'table' or 'json', not '%s'", format);
}

struct ids {
	struct arena *arena;
	char **list;
	size_t n, size;
};

static int add_id(const char *id, void *arg)
{
	struct ids *ids = arg;

	if (ids->n == ids->size) {
		size_t size = ids->size ? 2 * ids->size : 64;
		char **list = realloc(ids->list, size * sizeof(*list));

		if (!list)
			return -1;
		ids->list = list;
		ids->size = size;
	}
	ids->list[ids->n] = arena_strdup(ids->arena, id);
	return ids->list[ids->n++] ? 0 : -1;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Without the lock: a container that is being made, or waits for its poststop hooks, must not hold up a list. */
static bool look(struct cli *c, const char *id, struct state_dir *d, struct state *st,
		 bool *readable)
{
	struct err e;

	*d = (struct state_dir){ .root = c->root_fd, .dir = -1, .open = -1 };
	snprintf(d->id, sizeof(d->id), "%s", id);
	d->dir = openat(c->root_fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (d->dir < 0)
		return false; /* gone meanwhile */
	*readable = state_read(d, c->arena, st, &e) == 0;
	if (!*readable && e.code != ERR_STATE)
		log_warn("%s", e.msg);
	return true;
}

static void print_line(const struct state_dir *d, const struct state *st, enum status status)
{
	char when[64], owner[64];

	printf("%-24s  %-7d  %-8s  %-40s  %-30s  %s\n", d->id,
	       st && status != STATUS_STOPPED ? st->pid : 0, status_name(status),
	       st && st->bundle ? st->bundle : "",
	       oci_time(st ? st->created_ns : 0, when, sizeof(when)),
	       st ? oci_owner(st->owner, owner, sizeof(owner)) : "");
}

static int print_list(struct cli *c, const struct ids *ids, bool json)
{
	const struct list_options *o = c->options;
	auto_str struct str text = { 0 };
	struct json_writer w = { .out = &text };

	if (json)
		json_open(&w, NULL, '[');
	else if (!o->quiet)
		printf("%-24s  %-7s  %-8s  %-40s  %-30s  %s\n", "ID", "PID", "STATUS", "BUNDLE",
		       "CREATED", "OWNER");
	for (size_t i = 0; i < ids->n; i++) {
		struct state_dir d;
		struct state st;
		bool readable;
		struct err e;
		int status;

		if (o->quiet) {
			printf("%s\n", ids->list[i]);
			continue;
		}
		if (!look(c, ids->list[i], &d, &st, &readable))
			continue;
		status = readable ? state_status(&d, &st, NULL, &e) : STATUS_CREATING;
		if (status < 0)
			log_warn("%s", e.msg);
		else if (json)
			oci_put_state(&w, &d, readable ? &st : NULL, status);
		else
			print_line(&d, readable ? &st : NULL, status);
		close(d.dir);
	}
	if (json) {
		json_close(&w);
		str_add(&text, "\n");
		if (text.failed)
			return err_set(c->e, ENOMEM, "cannot print the list");
		fwrite(text.s, 1, text.len, stdout); /* main.c looks at the stream's error */
	}
	return EXIT_DONE;
}

static int list(struct cli *c, int argc, char **argv)
{
	const struct list_options *o = c->options;
	int json = is_json(o->format, c->e);
	struct ids ids = { 0 };
	struct err e;
	int r = -1;

	(void)argc, (void)argv; /* none, as the row says */
	if (json < 0)
		return -1;
	if (c->global.root && access(c->run_root, F_OK) < 0)
		return err_set(c->e, errno, "cannot list '%s'", c->run_root);
	if (oci_open_root(c) < 0)
		return -1;
	if (state_recover(c->root_fd, &e) <
	    0) /* what a killed command left is not listed, but undone */
		log_warn("%s", e.msg);
	c->arena = ids.arena = arena_new(0);
	if (!c->arena)
		return err_set(c->e, ENOMEM, "cannot list the containers");
	r = state_each(c->root_fd, add_id, &ids, c->e);
	if (r == 0) {
		if (ids.n)
			qsort(ids.list, ids.n, sizeof(*ids.list), by_name);
		r = print_list(c, &ids, json);
	}
	free(ids.list);
	return r;
}

struct ps_options {
	const char *format;
};

static const struct option_row ps_rows[] = {
	STRING_ROW(struct ps_options, format, "format", 'f', "FORMAT", "'table' or 'json'"),
	END_ROW,
};

struct pids {
	int *list;
	size_t n, size;
};

static int add_pid(int pid, void *arg)
{
	struct pids *p = arg;

	if (p->n == p->size) {
		size_t size = p->size ? 2 * p->size : 64;
		int *list = realloc(p->list, size * sizeof(*list));

		if (!list)
			return -1;
		p->list = list;
		p->size = size;
	}
	p->list[p->n++] = pid;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

/* Which blank-separated column of ps' header is called PID; -1: none. */
static int pid_column(const char *header)
{
	for (int n = 0;; n++) {
		size_t len;

		header += strspn(header, " ");
		len = strcspn(header, " \n");
		if (!len)
			return -1;
		if (len == 3 && memcmp(header, "PID", 3) == 0)
			return n;
		header += len;
	}
}

static long field_number(const char *line, int column)
{
	while (column--) {
		line += strspn(line, " ");
		line += strcspn(line, " ");
	}
	return strtol(line, NULL, 10);
}

static int print_ps(FILE *ps, const struct pids *pids, struct err *e)
{
	auto_free char *line = NULL;
	size_t size = 0;
	int column;

	if (getline(&line, &size, ps) < 0)
		return err_set(e, ERR_INVALID, "'ps' printed nothing");
	column = pid_column(line);
	if (column < 0)
		return err_set(e, ERR_INVALID, "the output of 'ps' has no column PID");
	fputs(line, stdout);
	while (getline(&line, &size, ps) >= 0) {
		int pid = (int)field_number(line, column);

		if (pids->n && bsearch(&pid, pids->list, pids->n, sizeof(pid), by_number))
			fputs(line, stdout);
	}
	return 0;
}

/* ps(1) of the host, with the caller's arguments, and of its lines those of the container. */
static int run_ps(const struct pids *pids, char **arguments, struct err *e)
{
	static char *const usual[] = { "ps", "-ef", NULL };
	auto_file FILE *out = NULL;
	int ends[2], status, r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(e, errno, "cannot make a pipe");
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execvp("ps", arguments[1] ? arguments : usual);
		_exit(127);
	}
	close(ends[1]);
	out = fdopen(ends[0], "r");
	if (pid < 0 || !out)
		return err_set(e, errno, "cannot run 'ps'");
	r = print_ps(out, pids, e);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(e, ERR_INVALID, "cannot execute 'ps': is procps installed?");
	return r;
}

static int ps(struct cli *c, int argc, char **argv)
{
	const struct ps_options *o = c->options;
	int json = is_json(o->format, c->e), r;
	struct pids pids = { 0 };

	(void)argc; /* argv is terminated */
	if (json < 0)
		return -1;
	r = freeze_each_process(&c->state, add_pid, &pids, c->e);
	if (r == 0 && pids.n)
		qsort(pids.list, pids.n, sizeof(*pids.list), by_number);
	if (r == 0 && json) {
		printf("[");
		for (size_t i = 0; i < pids.n; i++)
			printf("%s%d", i ? "," : "", pids.list[i]);
		printf("]\n");
	} else if (r == 0) {
		argv[0] = "ps";
		r = run_ps(&pids, argv, c->e);
	}
	free(pids.list);
	return r;
}

const struct verb verb_oci_list = {
	.name = "list",
	.aliases = "ls",
	.run = list,
	.help = "list the containers",
	.rows = list_rows,
	.options_size = sizeof(struct list_options),
};

const struct verb verb_oci_ps = {
	.name = "ps",
	.run = ps,
	.flags = NEED_ID | NEED_STATE | NEED_NO_LOCK | VERB_OPTIONS_FIRST,
	.operands = "ID [PS-OPTION...]",
	.min = 1,
	.max = -1,
	.help = "list the processes in a container",
	.rows = ps_rows,
	.options_size = sizeof(struct ps_options),
};
