/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.c - `ctr stats` and `ctr top`: what running instances use now, and their processes.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/instances.h"
#include "cli/verbs.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/freeze.h"
#include "runtime/state.h"
#include "runtime/usage.h"

/* ---- what it uses ---- */

struct stats_options {
	bool no_stream;
	struct opt_u64 interval;
};

static const struct option_row stats_rows[] = {
	FLAG_ROW(struct stats_options, no_stream, "no-stream", 0, "once, rather than until Ctrl-C"),
	NUMBER_ROW(struct stats_options, interval, "interval", 'n', "SECONDS",
		   "between two readings (default 1)", 1, 3600),
	END_ROW,
};

struct reading {
	bool runs;
	int64_t at_us;
	struct usage usage;
	uint64_t memory, memory_max, pids, pids_max; /* UINT64_MAX: no limit, or not known */
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* A number of the cgroup; @otherwise where there is no such file, or none in it ("max"). */
static uint64_t number_in(int cgroup, const char *file, uint64_t otherwise)
{
	auto_str struct str text = { 0 };
	struct err none;
	uint64_t v;

	if (cgroup < 0 || file_read_kernel(cgroup, file, 256, &text, &none) < 0)
		return otherwise;
	if (text.len && text.s[text.len - 1] == '\n')
		text.s[--text.len] = '\0';
	return parse_u64(str_text(&text), 0, UINT64_MAX, &v) < 0 ? otherwise : v;
}

static int count_one(pid_t pid, void *arg)
{
	(void)pid;
	++*(uint64_t *)arg;
	return 0;
}

static void take_reading(const struct instances *all, const char *name, struct reading *r)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	auto_fd int cgroup = -1;
	char path[PATH_MAX];
	struct state_dir sd;
	struct state st;
	struct err none;

	*r = (struct reading){ .at_us = now_us(),
			       .memory_max = UINT64_MAX,
			       .pids_max = UINT64_MAX };
	if (!a || state_look(all->states, name, &sd, &none) < 0)
		return;
	if (state_read(&sd, a, &st, &none) == 0 &&
	    usage_of_run(all, &sd, &st, &r->usage, &none) == 0 && st.cgroup && st.cgroup_root) {
		snprintf(path, sizeof(path), "%s/%s", st.cgroup_root, st.cgroup);
		cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r->runs = true;
		r->memory = number_in(cgroup, "memory.current", UINT64_MAX);
		r->memory_max = number_in(cgroup, "memory.max", UINT64_MAX);
		r->pids = number_in(cgroup, "pids.current", UINT64_MAX);
		if (r->pids ==
		    UINT64_MAX) { /* no controller: processes are counted, not their threads */
			r->pids = 0;
			(void)freeze_each_process(&st, count_one, &r->pids, &none);
		}
		r->pids_max = number_in(cgroup, "pids.max", UINT64_MAX);
	}
	state_close(&sd);
}

/* Hundredths of a percent of one processor between the two. */
static double cpu_percent(const struct reading *a, const struct reading *b)
{
	int64_t us = b->at_us - a->at_us;

	if (!a->runs || us <= 0 || b->usage.cpu_us < a->usage.cpu_us)
		return 0;
	return 100.0 * (double)(b->usage.cpu_us - a->usage.cpu_us) / (double)us;
}

static void put_limit(struct str *out, uint64_t v, uint64_t most, bool size)
{
	char one[16], two[16];

	if (!size && most == UINT64_MAX)
		str_addf(out, "  %11" PRIu64, v);
	else if (!size)
		str_addf(out, "  %5" PRIu64 "/%-5" PRIu64, v, most);
	else
		str_addf(out, "  %9s / %-9s",
			 v == UINT64_MAX ? "-" : format_size(v, one, sizeof(one)),
			 most == UINT64_MAX ? "-" : format_size(most, two, sizeof(two)));
}

static void put_row(struct str *out, int width, const char *name, const struct reading *a,
		    const struct reading *b)
{
	char one[16], two[16];

	str_addf(out, "%-*s  %7.2f", width, name, cpu_percent(a, b));
	put_limit(out, b->memory, b->memory_max, true);
	put_limit(out, b->pids, b->pids_max, false);
	str_addf(out, "  %9s / %-9s", format_size(b->usage.received, one, sizeof(one)),
		 format_size(b->usage.sent, two, sizeof(two)));
	str_addf(out, "  %9s / %-9s\n", format_size(b->usage.read, one, sizeof(one)),
		 format_size(b->usage.written, two, sizeof(two)));
}

static void put_json(struct json_writer *w, const char *name, const struct reading *a,
		     const struct reading *b)
{
	char percent[32];

	snprintf(percent, sizeof(percent), "%.2f", cpu_percent(a, b));
	json_open(w, NULL, '{');
	json_put_string(w, "name", name);
	json_put_number(w, "cpu_percent", percent);
	json_put_u64(w, "cpu_us", b->usage.cpu_us);
	if (b->memory != UINT64_MAX)
		json_put_u64(w, "memory", b->memory);
	if (b->memory_max != UINT64_MAX)
		json_put_u64(w, "memory_limit", b->memory_max);
	json_put_u64(w, "pids", b->pids);
	if (b->pids_max != UINT64_MAX)
		json_put_u64(w, "pids_limit", b->pids_max);
	json_put_u64(w, "received", b->usage.received);
	json_put_u64(w, "sent", b->usage.sent);
	json_put_u64(w, "read", b->usage.read);
	json_put_u64(w, "written", b->usage.written);
	json_close(w);
}

/* What was read last, by name: instances come and go. */
struct known {
	char *name;
	struct reading reading;
};

static const struct reading *find_known(const struct known *list, size_t n, const char *name)
{
	static const struct reading none;

	for (size_t i = 0; i < n; i++)
		if (streq(list[i].name, name))
			return &list[i].reading;
	return &none;
}

static void forget(struct known *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i].name);
	free(list);
}

/* One table, or one line of JSON; *known is exchanged for what was read now. @silent: only that. */
static int show(struct cli *c, const struct instances *all, char **operands, bool silent,
		struct known **known, size_t *n_known)
{
	auto_free char **names = NULL;
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out };
	struct known *now;
	size_t n, k = 0;
	int width = 4;

	if (instances_match(all, (const char *const *)operands, &names, &n, c->e) < 0)
		return -1;
	now = calloc(n + 1, sizeof(*now));
	if (!now)
		return err_set(c->e, ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		take_reading(all, names[i], &now[k].reading);
		now[k].name = now[k].reading.runs ? strdup(names[i]) : NULL;
		if (now[k].name && (int)strlen(names[i]) > width)
			width = (int)strlen(names[i]);
		k += now[k].name != NULL;
	}
	if (c->json)
		json_open(&w, NULL, '[');
	else if (!silent)
		str_addf(&out, "%-*s  %7s  %21s  %11s  %21s  %21s\n", width, "NAME", "CPU %",
			 "MEMORY / LIMIT", "PIDS", "NET IN / OUT", "DISK READ / WRITTEN");
	for (size_t i = 0; i < k && !silent; i++) {
		const struct reading *before = find_known(*known, *n_known, now[i].name);

		if (c->json)
			put_json(&w, now[i].name, before, &now[i].reading);
		else
			put_row(&out, width, now[i].name, before, &now[i].reading);
	}
	if (c->json)
		json_close(&w);
	forget(*known, *n_known);
	*known = now;
	*n_known = k;
	if (silent)
		return 0;
	if (out.failed)
		return err_set(c->e, ENOMEM, "out of memory");
	if (isatty(STDOUT_FILENO) && !c->json &&
	    !((const struct stats_options *)c->options)->no_stream)
		printf("\033[H\033[J"); /* home, and nothing below */
	fputs(str_text(&out), stdout);
	if (c->json)
		putchar('\n');
	return fflush(stdout) == EOF ? err_set(c->e, errno, "cannot write") : 0;
}

static int stats(struct cli *c, int argc, char **argv)
{
	const struct stats_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;
	struct timespec pause = { .tv_sec = o->interval.set ? (time_t)o->interval.v : 1 };
	struct known *known = NULL;
	size_t n = 0;
	int rc;

	(void)argc;
	if (open_instances(c, &all) < 0)
		return -1;
	/* the first reading is what the second one is compared with */
	rc = show(c, &all, argv, true, &known, &n);
	while (rc == 0) {
		nanosleep(&pause, NULL);
		rc = show(c, &all, argv, false, &known, &n);
		if (o->no_stream)
			break;
	}
	forget(known, n);
	return rc < 0 ? -1 : EXIT_DONE;
}

const struct verb verb_stats = {
	.name = "stats",
	.run = stats,
	.flags = VERB_JSON,
	.operands = "[NAME...]",
	.max = -1,
	.help = "show what running instances use, as it changes",
	.rows = stats_rows,
	.options_size = sizeof(struct stats_options),
	.more = "Processor time is in percent of one processor. Network and disk count from the start of the run. What this host has no "
		"controller for is left out.",
};

/* ---- its processes ---- */

struct process {
	pid_t pid;
	long inside; /* its number there */
	unsigned uid;
	char state;
	uint64_t rss_kib, ticks;
	char command[256];
};

struct processes {
	struct process *list;
	size_t n, size;
	uint64_t ids;
};

static const char *field_of(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	return at ? at + strlen(key) + strspn(at + strlen(key), " \t") : "";
}

/* False: it has just ended. */
static bool read_process(pid_t pid, uint64_t ids, struct process *p)
{
	auto_str struct str status = { 0 }, stat = { 0 }, command = { 0 };
	unsigned long long user = 0, system = 0;
	char path[40];
	const char *nspid, *end, *at;
	struct err none;
	size_t len = 0;

	*p = (struct process){ .pid = pid };
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (file_read_kernel(AT_FDCWD, path, 65536, &status, &none) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (file_read_kernel(AT_FDCWD, path, 4096, &stat, &none) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	(void)file_read_kernel(AT_FDCWD, path, 4096, &command, &none);
	p->state = *field_of(str_text(&status), "\nState:");
	p->uid = (unsigned)(strtoul(field_of(str_text(&status), "\nUid:"), NULL, 10) - ids);
	p->rss_kib = strtoull(field_of(str_text(&status), "\nVmRSS:"), NULL, 10);
	nspid = field_of(str_text(&status), "\nNSpid:");
	end = strchr(nspid, '\n');
	for (at = nspid; at < end;) { /* the last one is the innermost */
		char *next;
		long v = strtol(at, &next, 10);

		if (next == at)
			break;
		p->inside = v;
		at = next;
	}
	at = strrchr(str_text(&stat), ')'); /* a name may hold anything */
	if (at)
		(void)sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
			     &system);
	p->ticks = user + system;
	for (size_t i = 0; i < command.len && len < sizeof(p->command) - 1; i++)
		p->command[len++] = command.s[i] ? command.s[i] : ' ';
	if (!len)
		snprintf(p->command, sizeof(p->command), "[%.*s]",
			 (int)strcspn(field_of(str_text(&status), "Name:"), "\n"),
			 field_of(str_text(&status), "Name:"));
	return true;
}

static int add_process(pid_t pid, void *arg)
{
	struct processes *l = arg;

	if (l->n == l->size) {
		size_t size = l->size ? 2 * l->size : 64;
		struct process *more = reallocarray(l->list, size, sizeof(*more));

		if (!more)
			return -1;
		l->list = more;
		l->size = size;
	}
	l->n += read_process(pid, l->ids, &l->list[l->n]);
	return 0;
}

static int by_inside(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	return (x->inside > y->inside) - (x->inside < y->inside);
}

static void print_processes(const struct processes *l)
{
	long tick = sysconf(_SC_CLK_TCK);
	char size[16];

	printf("%7s  %7s  %5s  %1s  %9s  %8s  %s\n", "PID", "HOST", "UID", "S", "MEMORY", "TIME",
	       "COMMAND");
	for (size_t i = 0; i < l->n; i++) {
		const struct process *p = &l->list[i];
		uint64_t seconds = p->ticks / (uint64_t)(tick > 0 ? tick : 100);

		printf("%7ld  %7d  %5u  %c  %9s  %5" PRIu64 ":%02u  ", p->inside, p->pid, p->uid,
		       p->state, format_size(p->rss_kib * 1024, size, sizeof(size)), seconds / 60,
		       (unsigned)(seconds % 60));
		print_name(p->command);
		putchar('\n');
	}
}

static int print_processes_json(struct cli *c, const struct processes *l)
{
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out, .indent = true };
	long tick = sysconf(_SC_CLK_TCK);

	json_open(&w, NULL, '[');
	for (size_t i = 0; i < l->n; i++) {
		const struct process *p = &l->list[i];
		const char state[2] = { p->state, '\0' };

		json_open(&w, NULL, '{');
		json_put_i64(&w, "pid", p->inside);
		json_put_i64(&w, "host_pid", p->pid);
		json_put_u64(&w, "uid", p->uid);
		json_put_string(&w, "state", state);
		json_put_u64(&w, "memory", p->rss_kib * 1024);
		json_put_u64(&w, "cpu_ms", p->ticks * 1000 / (uint64_t)(tick > 0 ? tick : 100));
		json_put_string(&w, "command", p->command);
		json_close(&w);
	}
	json_close(&w);
	return print_text(c, &out);
}

static int top(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_instance struct instance *i = NULL;
	auto_arena struct arena *a = arena_new(1u << 20);
	struct processes l = { .n = 0 };
	struct state_dir sd;
	struct state st;
	int rc;

	(void)argc;
	if (!a)
		return err_set(c->e, ENOMEM, "out of memory");
	if (open_instances(c, &all) < 0 || instance_look(&all, argv[0], &d, c->e) < 0)
		return -1;
	i = instance_load(&d, c->e);
	close(d.fd);
	if (i)
		l.ids = i->ids;
	if (state_look(all.states, argv[0], &sd, c->e) < 0)
		return err_set(c->e, ERR_STATE, "'%s' does not run", argv[0]);
	rc = state_read(&sd, a, &st, c->e);
	if (rc == 0)
		rc = freeze_each_process(&st, add_process, &l, c->e);
	state_close(&sd);
	if (rc == 0) {
		if (l.n)
			qsort(l.list, l.n, sizeof(*l.list), by_inside);
		rc = c->json ? print_processes_json(c, &l) : (print_processes(&l), EXIT_DONE);
	}
	free(l.list);
	return rc;
}

const struct verb verb_top = {
	.name = "top",
	.run = top,
	.flags = VERB_JSON,
	.operands = "NAME",
	.min = 1,
	.max = 1,
	.help = "list the processes of an instance",
	.more = "PID and UID are those inside, HOST is the number outside.",
};
