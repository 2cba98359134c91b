/* SPDX-License-Identifier: Apache-2.0 */
/*
 * density.c - `ctr density`: how many instances this machine holds, what each costs, and what runs out first.
 *
 * Each instance is started by a `ctr run` of its own, as a person would, by workers that share a table of results. One is
 * started first, and what it takes is measured: so it is known before the others whether the kernel's budgets
 * suffice.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/budgets.h"
#include "cli/footprint.h"
#include "cli/instances.h"
#include "cli/network.h"
#include "cli/spawn.h"
#include "cli/verbs.h"
#include "netns/netns.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/running.h"

#define COUNT_MAX     16384
#define ANSWER_WITHIN 10000 /* ms */
#define HUNDRED	      100
#define JOBS_MAX      256

struct density_options {
	struct opt_u64 jobs, port;
	const char *net, *exec, *userns;
	bool force;
};

static const struct option_row density_rows[] = {
	STRING_ROW(struct density_options, net, "net", 0, "NETWORK",
		   "their network, as of `ctr run`"),
	STRING_ROW(struct density_options, userns, "userns", 0, "own|host",
		   "their user ids, as of `ctr run`"),
	NUMBER_ROW(struct density_options, port, "port", 'p', "PORT",
		   "where each answers HTTP (default 80)", 1, 65535),
	STRING_ROW(
		struct density_options, exec, "exec", 0, "PROGRAM",
		"one answers if this succeeds inside, in place of HTTP (without a network: true)"),
	NUMBER_ROW(struct density_options, jobs, "jobs", 'j', "N",
		   "start so many at a time (default: a processor's worth each)", 1, JOBS_MAX),
	FLAG_ROW(struct density_options, force, "force", 'f',
		 "try even if a budget of the kernel does not suffice"),
	END_ROW,
};

/* How it went with one of them. Times in microseconds; 0: did not happen. */
struct outcome {
	uint32_t start,
		answer; /* until `ctr run` returned, until it answered, both from the same moment */
	uint32_t again,
		neighbour; /* how long it took to answer when all were there: us, the one after it */
};

/* Shared by the workers. */
struct shared {
	atomic_uint next; /* to be worked on */
	atomic_bool stop; /* one failed, or somebody does not want to wait */
	atomic_bool failed;
	struct err e; /* of the first that failed */
	struct outcome v[];
};

struct density {
	struct cli *c;
	const struct density_options *o;
	struct instances all;
	struct shared *sh;
	size_t size; /* of it */
	unsigned n;
	unsigned jobs;
	const char *image;
	char **command;
	char tag[16];
	const char *net;
	const char *exec; /* NULL: HTTP */
	struct footprint before, one, after;
	struct budget budgets[BUDGETS_MAX];
	size_t n_budgets;
	double start_seconds, stop_seconds;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void name_of(const struct density *d, unsigned i, char out[INSTANCE_NAME_MAX + 1])
{
	snprintf(out, INSTANCE_NAME_MAX + 1, "%s-%05u", d->tag, i);
}

/* ---- one of them ---- */

static int start_it(const struct density *d, unsigned i, struct err *e)
{
	char name[INSTANCE_NAME_MAX + 1];
	const char *argv[64] = { "ctr", "run", "-d", "--rm", "--name", name, "--net", d->net };
	size_t at = 8;

	name_of(d, i, name);
	if (d->o->userns) {
		argv[at++] = "--userns";
		argv[at++] = d->o->userns;
	}
	argv[at++] = d->image;
	for (char **w = d->command; *w && at < 63; w++)
		argv[at++] = *w;
	return spawn_self(argv, NULL, e);
}

/* The address that the host reaches it at. */
static int address_of(const struct density *d, const char *name, uint32_t *ip, struct err *e)
{
	struct instance_dir dir = { .fd = -1, .promise = -1 };
	auto_instance struct instance *inst = NULL;
	char network[NET_NAME_MAX + 1];
	struct network n;

	if (instance_look(&d->all, name, &dir, e) < 0)
		return -1;
	inst = instance_load(&dir, e);
	instance_close(&dir);
	if (!inst)
		return -1;
	if (!network_of_words(d->net, network) || network_read(&d->all, network, &n, e) < 0)
		return -1;
	*ip = network_address(inst, d->net, &n);
	return *ip ? 0 : err_set(e, ERR_INVALID, "instance '%s' has no address", name);
}

/* One request. 0: it answered. */
static int get(uint32_t ip, unsigned port, int ms)
{
	static const char request[] = "GET / HTTP/1.0\r\nHost: density\r\n\r\n";
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(ip) };
	auto_fd int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = { .fd = s, .events = POLLOUT };
	char answer[16] = "";

	if (s < 0 || (connect(s, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS))
		return -1;
	if (poll(&p, 1, ms) != 1 || send(s, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
		return -1;
	p.events = POLLIN;
	if (poll(&p, 1, ms) != 1 || recv(s, answer, sizeof(answer) - 1, 0) < 7)
		return -1;
	return strncmp(answer, "HTTP/1.", 7) == 0 ? 0 : -1;
}

/* Waits until it answers. */
static int ask_it(const struct density *d, unsigned i, struct err *e)
{
	unsigned port = d->o->port.set ? (unsigned)d->o->port.v : 80;
	uint64_t until = now_us() + ANSWER_WITHIN * 1000;
	char name[INSTANCE_NAME_MAX + 1], text[INET_ADDRSTRLEN];
	struct in_addr a;
	uint32_t ip;

	name_of(d, i, name);
	if (d->exec) {
		const char *argv[] = { "ctr", "exec", name, d->exec, NULL };

		return spawn_self(argv, NULL, e) < 0 ? err_in(e, "'%s' does not answer", name) : 0;
	}
	if (address_of(d, name, &ip, e) < 0)
		return -1;
	for (long pause = 500000; get(ip, port, 1000) < 0; pause += pause / 2) {
		if (now_us() > until || interrupted || d->sh->stop) {
			a.s_addr = htonl(ip);
			return err_set(e, ETIMEDOUT,
				       "'%s' does not answer HTTP at %s port %u within %d s", name,
				       inet_ntop(AF_INET, &a, text, sizeof(text)), port,
				       ANSWER_WITHIN / 1000);
		}
		nanosleep(&(struct timespec){ .tv_nsec = pause < 50000000 ? pause : 50000000 },
			  NULL);
	}
	return 0;
}

typedef int step(const struct density *d, unsigned i, struct err *e);

static int begin(const struct density *d, unsigned i, struct err *e)
{
	struct outcome *o = &d->sh->v[i];
	uint64_t from = now_us();

	if (start_it(d, i, e) < 0)
		return -1;
	o->start = (uint32_t)(now_us() - from);
	if (ask_it(d, i, e) < 0)
		return -1;
	o->answer = (uint32_t)(now_us() - from);
	return 0;
}

static int ask_again(const struct density *d, unsigned i, struct err *e)
{
	uint64_t from = now_us();

	if (ask_it(d, i, e) < 0)
		return -1;
	d->sh->v[i].again = (uint32_t)(now_us() - from);
	return 0;
}

static int enter(const struct density *d, unsigned i, struct err *e)
{
	auto_running struct running r = RUNNING_NONE;
	char name[INSTANCE_NAME_MAX + 1];

	name_of(d, i, name);
	if (running_look(&d->all, name, &r, e) < 0)
		return -1;
	return setns(r.pidfd, CLONE_NEWNET) < 0 ?
		       err_set(e, errno, "cannot enter the network namespace of '%s'", name) :
		       0;
}

/* In the namespace of @i: that it has spoken with @other. */
static void forget(const struct density *d, unsigned other)
{
	char name[INSTANCE_NAME_MAX + 1];
	struct err ignored;
	uint32_t ip;

	name_of(d, other, name);
	if (address_of(d, name, &ip, &ignored) == 0)
		net_forget_neighbour("eth0", ip);
}

/* From inside the network namespace of the one after it. Afterwards both forget each other: a thousand pairs are more than the kernel remembers. */
static int ask_from_neighbour(const struct density *d, unsigned i, struct err *e)
{
	auto_fd int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	unsigned next = (i + 1) % d->n;
	uint64_t from;
	int rc;

	if (own < 0)
		return err_set(e, errno, "cannot open the network namespace");
	if (enter(d, next, e) < 0)
		return -1;
	from = now_us();
	rc = ask_it(d, i, e);
	d->sh->v[i].neighbour = (uint32_t)(now_us() - from);
	if (rc < 0)
		return err_in(e, "seen from the one after it");
	forget(d, i);
	if (enter(d, i, e) < 0)
		return -1;
	forget(d, next);
	return netns_return(own, e);
}

/* Whether they can reach each other at all. */
static bool have_neighbours(const struct density *d)
{
	char network[NET_NAME_MAX + 1];
	struct network n;
	struct err ignored;

	return !d->exec && d->n > 1 && network_of_words(d->net, network) &&
	       network_read(&d->all, network, &n, &ignored) == 0 && !n.isolated;
}

/* ---- workers ---- */

__attribute__((noreturn)) static void worker(const struct density *d, step *one)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setpgid(0, 0); /* Ctrl-C is for our parent, who stops us */
	for (;;) {
		unsigned i = atomic_fetch_add(&d->sh->next, 1);
		struct err e;

		if (i >= d->n || d->sh->stop)
			_exit(0);
		if (one(d, i, &e) < 0) {
			if (!atomic_exchange(&d->sh->failed, true))
				d->sh->e = e;
			d->sh->stop = true;
			_exit(1);
		}
	}
}

static void show_progress(const struct density *d, const char *what)
{
	unsigned done = d->sh->next < d->n ? d->sh->next : d->n;

	if (isatty(STDERR_FILENO))
		(void)!dprintf(STDERR_FILENO, "\r\033[K%s %u of %u", what, done, d->n);
}

/* All from @from on, so many at a time. */
static int work(struct density *d, unsigned from, step *one, const char *what, struct err *e)
{
	unsigned alive = 0;

	d->sh->next = from;
	for (unsigned k = 0; k < d->jobs && from + k < d->n; k++) {
		pid_t pid = fork();

		if (pid == 0)
			worker(d, one);
		if (pid < 0 && !alive)
			return err_set(e, errno, "cannot make a process");
		alive += pid > 0;
	}
	while (alive) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (interrupted)
			d->sh->stop = true;
		if (pid > 0) {
			alive--;
			if (WIFSIGNALED(status))
				d->sh->stop = true;
		} else if (pid < 0 && errno != EINTR) {
			break;
		} else if (pid == 0) {
			show_progress(d, what);
			nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
		}
	}
	if (isatty(STDERR_FILENO))
		(void)!write(STDERR_FILENO, "\r\033[K", 4);
	if (interrupted)
		return err_set(e, EINTR, "interrupted");
	if (d->sh->failed) {
		*e = d->sh->e;
		return -1;
	}
	return d->sh->stop ? err_set(e, ERR_INVALID, "a process of this command was killed") : 0;
}

/* ---- what they take ---- */

static int measure(const struct density *d, unsigned n, struct footprint *f, struct err *e)
{
	auto_free struct instance_pids *v = calloc(n + 1, sizeof(*v));

	if (!v)
		return err_set(e, ENOMEM, "instances");
	for (unsigned i = 0; i < n; i++) {
		auto_running struct running r = RUNNING_NONE;
		char name[INSTANCE_NAME_MAX + 1];

		name_of(d, i, name);
		if (running_look(&d->all, name, &r, e) < 0)
			return -1;
		if (r.pidfd < 0)
			return err_set(e, ERR_STATE, "instance '%s' does not run any more", name);
		v[i] = (struct instance_pids){ r.pid, r.watcher };
	}
	return footprint_read(v, n, f, e);
}

/* For @n more, beside @started. */
static int look_at_budgets(struct density *d, uint64_t started, uint64_t n, struct err *e)
{
	char network[NET_NAME_MAX + 1];
	struct budget_needs needs = {
		.all = &d->all,
		.one = &d->one,
		.data = d->c->store_root,
		.run = d->c->run_root,
		.own_ids = !d->o->userns || !streq(d->o->userns, "host"),
	};
	struct network net;

	if (network_of_words(d->net, network)) {
		if (network_read(&d->all, network, &net, e) < 0)
			return -1;
		needs.addresses = net_capacity(&net);
		needs.addresses_used = started;
	}
	d->n_budgets = budgets_look(&needs, n, d->budgets);
	return 0;
}

/* Whether what is left suffices for @n more: before they are started. */
static int check_budgets(struct density *d, uint64_t n, struct err *e)
{
	const struct budget *b;

	if (look_at_budgets(d, 1, n, e) < 0)
		return -1;
	b = budget_tightest(d->budgets, d->n_budgets);
	if (budget_room(b) >= n || d->o->force)
		return 0;
	return err_set(e, ERR_NOT_SUPPORTED,
		       "%s is %llu, %llu are used, and each instance takes %llu: "
		       "enough for %llu more, not %llu; cure: %s",
		       b->name, (unsigned long long)b->limit, (unsigned long long)b->used,
		       (unsigned long long)b->each, (unsigned long long)budget_room(b),
		       (unsigned long long)n, b->cure);
}

/* After one could not be started: which budget has run out, if one has. */
static void explain_failure(struct density *d, unsigned started, struct err *e)
{
	struct err ignored;
	const struct budget *b;
	char why[ERR_MSG_MAX];

	if (interrupted || look_at_budgets(d, started, d->n - started, &ignored) < 0)
		return;
	b = budget_tightest(d->budgets, d->n_budgets);
	if (budget_room(b) > JOBS_MAX)
		return;
	snprintf(why, sizeof(why), "%.300s", e->msg);
	err_set(e, e->code, "%s; what has run out is %s, of which %llu of %llu are used; cure: %s",
		why, b->name, (unsigned long long)b->used, (unsigned long long)b->limit, b->cure);
}

/* ---- the end ---- */

/* Removes all that were made; nothing of them may be left. */
static int tear_down(struct density *d, struct err *e)
{
	char pattern[24], jobs[8];
	const char *argv[] = { "ctr", "rm", "--force", "--jobs", jobs, pattern, NULL };
	const char *const patterns[] = { pattern, NULL };
	auto_free char **left = NULL;
	uint64_t from = now_us();
	size_t n = 0;

	snprintf(pattern, sizeof(pattern), "%s-*", d->tag);
	snprintf(jobs, sizeof(jobs), "%u", d->jobs);
	if (spawn_self(argv, NULL, e) < 0 || instances_match(&d->all, patterns, &left, &n, e) < 0)
		return err_in(e, "teardown");
	d->stop_seconds = (double)(now_us() - from) / 1e6;
	if (n)
		return err_set(e, ERR_STATE, "teardown left %zu instances, '%s' among them", n,
			       left[0]);
	return 0;
}

/* ---- the report ---- */

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The @p-th percentile in ms of the member at @offset of the outcomes [from, to). */
static double percentile(const struct density *d, size_t offset, unsigned from, unsigned to, int p)
{
	auto_free uint32_t *v = calloc(to - from + 1, sizeof(*v));
	size_t n = to - from, at;

	if (!v || !n)
		return 0;
	for (unsigned i = from; i < to; i++)
		memcpy(&v[i - from], (const char *)&d->sh->v[i] + offset, sizeof(*v));
	qsort(v, n, sizeof(*v), by_number);
	at = (n * (size_t)p + 99) / 100;
	return v[at ? at - 1 : 0] / 1e3;
}

#define PERCENTILE(d, member, from, to, p) \
	percentile(d, offsetof(struct outcome, member), from, to, p)

/* The last hundred beside the first. */
static double growth(const struct density *d, int p)
{
	double first = PERCENTILE(d, start, 1, 1 + HUNDRED, p);

	return first > 0 ? PERCENTILE(d, start, d->n - HUNDRED, d->n, p) / first : 0;
}

/* The host's counters were read with the first one there; those of processes count all. */
static double kib_each(const struct density *d, enum cause c)
{
	bool own = c == MEM_PAYLOAD || c == MEM_SUPERVISOR;

	return (double)(d->after.kib[c] - d->before.kib[c]) / (own || d->n == 1 ? d->n : d->n - 1);
}

/* What cannot be had back while they run. */
static double kib_sum(const struct density *d)
{
	double sum = 0;

	for (int c = 0; c < MEM_CAUSES; c++)
		sum += c == MEM_CACHES ? 0 : kib_each(d, (enum cause)c);
	return sum;
}

static void print_report(const struct density *d)
{
	const struct budget *b = budget_tightest(d->budgets, d->n_budgets);

	printf("instances  %u, all answer %s, %u at a time, %.0f a second\n", d->n,
	       d->exec ? d->exec : "HTTP", d->jobs, d->n / d->start_seconds);
	printf("start      p50 %.1f ms  p90 %.1f ms  p99 %.1f ms\n",
	       PERCENTILE(d, start, 0, d->n, 50), PERCENTILE(d, start, 0, d->n, 90),
	       PERCENTILE(d, start, 0, d->n, 99));
	if (d->n > 2 * HUNDRED)
		printf("           the last hundred in %.2f (p50) and %.2f (p90) of the time of the first\n",
		       growth(d, 50), growth(d, 90));
	printf("answer     p50 %.1f ms  p99 %.1f ms after the start began; p50 %.1f ms  p99 %.1f ms when all were there\n",
	       PERCENTILE(d, answer, 0, d->n, 50), PERCENTILE(d, answer, 0, d->n, 99),
	       PERCENTILE(d, again, 0, d->n, 50), PERCENTILE(d, again, 0, d->n, 99));
	if (have_neighbours(d))
		printf("           p50 %.1f ms  p99 %.1f ms to the one after it\n",
		       PERCENTILE(d, neighbour, 0, d->n, 50),
		       PERCENTILE(d, neighbour, 0, d->n, 99));
	printf("memory     %.0f KiB each:", kib_sum(d));
	for (int c = 0; c < MEM_CAUSES; c++)
		if (c != MEM_CACHES)
			printf("%s %s %.0f", c ? "," : "", cause_name((enum cause)c),
			       kib_each(d, (enum cause)c));
	printf("\n           and %.0f of kernel caches, which it gives back; MemAvailable fell by %.0f\n",
	       kib_each(d, MEM_CACHES), (double)(d->before.available - d->after.available) / d->n);
	printf("teardown   %.1f s, %.1f ms each, nothing left\n", d->stop_seconds,
	       d->stop_seconds * 1e3 / d->n);
	printf("next       %s runs out first, after %llu more; cure: %s\n", b->name,
	       (unsigned long long)budget_room(b), b->cure);
}

static void put_double(struct json_writer *w, const char *key, double v)
{
	char text[40];

	snprintf(text, sizeof(text), "%.3f", v);
	json_put_number(w, key, text);
}

static void put_percentiles(struct json_writer *w, const struct density *d, const char *key,
			    size_t offset, unsigned from, unsigned to)
{
	json_open(w, key, '{');
	put_double(w, "p50", percentile(d, offset, from, to, 50));
	put_double(w, "p90", percentile(d, offset, from, to, 90));
	put_double(w, "p99", percentile(d, offset, from, to, 99));
	json_close(w);
}

static void put_budgets(struct json_writer *w, const struct density *d)
{
	json_open(w, "budgets", '[');
	for (size_t i = 0; i < d->n_budgets; i++) {
		const struct budget *b = &d->budgets[i];

		if (budget_room(b) == UINT64_MAX)
			continue;
		json_open(w, NULL, '{');
		json_put_string(w, "name", b->name);
		json_put_u64(w, "limit", b->limit);
		json_put_u64(w, "used", b->used);
		json_put_u64(w, "each", b->each);
		json_put_u64(w, "room", budget_room(b));
		json_put_string(w, "cure", b->cure);
		json_close(w);
	}
	json_close(w);
}

static int print_json(const struct density *d)
{
	auto_str struct str text = { 0 };
	struct json_writer w = { .out = &text, .indent = true };

	json_open(&w, NULL, '{');
	json_put_u64(&w, "version", FORMAT_VERSION);
	json_put_u64(&w, "instances", d->n);
	json_put_u64(&w, "answered", d->n);
	json_put_u64(&w, "jobs", d->jobs);
	put_double(&w, "start_seconds", d->start_seconds);
	put_double(&w, "teardown_seconds", d->stop_seconds);
	put_percentiles(&w, d, "start_ms", offsetof(struct outcome, start), 0, d->n);
	if (d->n > 2 * HUNDRED) {
		put_percentiles(&w, d, "start_first_hundred_ms", offsetof(struct outcome, start), 1,
				1 + HUNDRED);
		put_percentiles(&w, d, "start_last_hundred_ms", offsetof(struct outcome, start),
				d->n - HUNDRED, d->n);
	}
	put_percentiles(&w, d, "answer_ms", offsetof(struct outcome, answer), 0, d->n);
	put_percentiles(&w, d, "answer_again_ms", offsetof(struct outcome, again), 0, d->n);
	if (have_neighbours(d))
		put_percentiles(&w, d, "answer_neighbour_ms", offsetof(struct outcome, neighbour),
				0, d->n);
	json_open(&w, "kib_each", '{');
	put_double(&w, "sum", kib_sum(d));
	for (int c = 0; c < MEM_CAUSES; c++)
		put_double(&w, cause_name((enum cause)c), kib_each(d, (enum cause)c));
	put_double(&w, "available", (double)(d->before.available - d->after.available) / d->n);
	json_close(&w);
	put_budgets(&w, d);
	json_close(&w);
	return print_text(d->c, &text);
}

/* ---- the verb ---- */

static int prepare(struct density *d, struct err *e)
{
	char network[NET_NAME_MAX + 1];
	uint32_t r;

	d->net = d->o->net ? d->o->net : getenv("CTR_NET");
	if (!d->net || !*d->net)
		d->net = NET_DEFAULT;
	d->exec = d->o->exec;
	if (!network_of_words(d->net, network) && !d->exec)
		d->exec = "true";
	if (strchr(d->net, ':'))
		return err_set(e, ERR_USAGE, "--net: one network for all, without an address");
	d->jobs = d->o->jobs.set ? (unsigned)d->o->jobs.v : (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (d->jobs > JOBS_MAX)
		d->jobs = JOBS_MAX;
	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		return err_set(e, errno, "cannot get random numbers");
	snprintf(d->tag, sizeof(d->tag), "density-%06x", r & 0xffffff);
	d->size = sizeof(*d->sh) + d->n * sizeof(d->sh->v[0]);
	d->sh = mmap(NULL, d->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (d->sh == MAP_FAILED)
		return err_set(e, errno, "results");
	return 0;
}

/* The first pays for what is there once for all: an image's mount, a bridge, rules. */
static int run_all(struct density *d, struct err *e)
{
	struct footprint none;
	uint64_t from;

	if (begin(d, 0, e) < 0)
		return -1;
	footprint_settle(3);
	if (measure(d, 1, &d->one, e) < 0 || measure(d, 0, &none, e) < 0)
		return -1;
	d->before = none;
	d->before.kib[MEM_PAYLOAD] = d->before.kib[MEM_SUPERVISOR] = 0;
	if (check_budgets(d, d->n - 1, e) < 0)
		return -1;
	from = now_us();
	if (work(d, 1, begin, "started", e) < 0) {
		explain_failure(d, d->sh->next, e);
		return -1;
	}
	d->start_seconds = (double)(now_us() - from) / 1e6;
	if (work(d, 0, ask_again, "asked again", e) < 0)
		return -1;
	footprint_settle(10);
	if (measure(d, d->n, &d->after, e) < 0)
		return -1;
	for (int c = 0; c < MEM_CAUSES; c++) /* what is shared was all the first one's */
		d->one.kib[c] = d->after.kib[c] / d->n;
	d->one.available = d->after.available;
	if (look_at_budgets(d, d->n, d->n, e) < 0)
		return -1;
	/* when all is measured: what is remembered of neighbours takes memory, too */
	return have_neighbours(d) ? work(d, 0, ask_from_neighbour, "asked by a neighbour", e) : 0;
}

static int density(struct cli *c, int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct density d = { .c = c, .o = c->options, .all = INSTANCES_NONE };
	struct err other;
	uint64_t n;
	int rc;

	(void)argc;
	if (parse_u64(argv[0], 1, COUNT_MAX, &n) < 0)
		return err_set(c->e, ERR_USAGE, "'%.40s' is no number of instances, 1 to %d",
			       argv[0], COUNT_MAX);
	d.n = (unsigned)n;
	d.image = argv[1];
	d.command = argv + 2;
	if (prepare(&d, c->e) < 0 || open_instances(c, &d.all) < 0)
		return -1;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	rc = run_all(&d, c->e);
	if (tear_down(&d, &other) < 0) {
		if (rc < 0)
			log_warn("%s", other.msg);
		else
			*c->e = other;
		rc = -1;
	}
	if (rc == 0) {
		if (c->json)
			rc = print_json(&d);
		else
			print_report(&d);
	}
	instances_close(&d.all);
	munmap(d.sh, d.size);
	return rc < 0 ? -1 : EXIT_DONE;
}

const struct verb verb_density = {
	.name = "density",
	.run = density,
	.flags = VERB_JSON | VERB_OPTIONS_FIRST | VERB_STARTS,
	.operands = "N IMAGE|DIR [COMMAND [ARGUMENT...]]",
	.min = 2,
	.max = 50,
	.help = "start many instances, and tell what each costs and what runs out first",
	.rows = density_rows,
	.options_size = sizeof(struct density_options),
	.more = "Each must answer HTTP, or to --exec. All are gone at the end, also after Ctrl-C.",
};
