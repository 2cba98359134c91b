/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selftest.c - `ctr selftest noisy`: what a bad neighbour costs.
 *
 * A victim wakes up every few milliseconds, does a small piece of work (computes, takes memory, writes a file) and notes how late it is
 * done. First it is alone, then beside neighbours that do one kind of harm each, under the limits that this machine can enforce. Victim
 * and neighbours are instances whose root holds nothing but this program.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/spawn.h"
#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/host.h"
#include "runtime/spec.h"

#define BEAT_US	    5000 /* the victim works so often */
#define SECONDS	    3
#define SECONDS_MAX 60
#define BEATS_MAX   (SECONDS_MAX * 1000000 / BEAT_US)
#define PIECE	    (256 << 10) /* bytes of memory that a piece of its work takes */
#define WRITTEN	    4096

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- inside ---- */

static volatile uint64_t sink;

static void compute(unsigned rounds)
{
	uint64_t x = 88172645463325252u;

	while (rounds--) { /* xorshift64 */
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	sink = x;
}

/* Some 200 us of processor on what is usual now, a fresh piece of memory, and a write that a reader would wait for. */
static void one_beat(int fd)
{
	char *piece = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	compute(100000);
	if (piece != MAP_FAILED) {
		for (size_t at = 0; at < PIECE; at += 4096)
			piece[at] = 1;
		(void)!pwrite(fd, piece, WRITTEN, 0);
		munmap(piece, PIECE);
	}
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int be_victim(unsigned seconds)
{
	static uint32_t late[BEATS_MAX];
	unsigned n = seconds * 1000000 / BEAT_US;
	int fd = open("/beat", O_RDWR | O_CREAT, 0600);
	uint64_t from = now_us();

	for (unsigned i = 0; i < n; i++) {
		uint64_t at = from + (uint64_t)i * BEAT_US, now = now_us();

		if (now < at)
			nanosleep(&(struct timespec){ .tv_nsec = (long)(at - now) * 1000 }, NULL);
		else if (now >
			 at + BEAT_US) { /* what was missed is not made up for: it would only be later still */
			from += now - at;
			at = now;
		}
		one_beat(fd);
		late[i] = (uint32_t)(now_us() - at);
	}
	qsort(late, n, sizeof(*late), by_number);
	printf("%u %u %u\n", late[n / 2], late[n * 99 / 100], late[n - 1]);
	return 0;
}

static void be_burner(void)
{
	for (int i = 0; i < 8; i++)
		(void)fork();
	for (;;)
		compute(1u << 30);
}

static void be_forker(void)
{
	for (;;) {
		pid_t pid = fork();

		if (pid < 0)
			(void)waitpid(-1, NULL, WNOHANG);
		if (pid == 0 && fork() == 0)
			compute(100000);
	}
}

static void be_hog(void)
{
	for (;;) {
		size_t size = 16u << 20;
		char *more = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				  -1, 0);

		if (fork() == 0) { /* who is killed for it has a successor */
			for (int k = 0; k < 1024 && more != MAP_FAILED; k++) {
				memset(more, k, size);
				more = mmap(NULL, size, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			}
			_exit(0);
		}
		(void)wait(NULL);
		if (more != MAP_FAILED)
			munmap(more, size);
	}
}

static void be_writer(void)
{
	static char block[1 << 20];

	for (;;) {
		int fd = open("/flood", O_WRONLY | O_CREAT | O_TRUNC, 0600);

		for (int i = 0; i < 256 && fd >= 0 && write(fd, block, sizeof(block)) > 0; i++)
			if (i % 16 == 15)
				(void)fdatasync(fd);
		close(fd);
	}
}

/* A neighbour: what it does, and the limits that are meant for it. */
static const struct neighbour {
	const char *name, *harm;
	void (*act)(void);
	unsigned controller;
	const char *option, *value;
} neighbours[] = {
	{ "burner", "256 busy processes", be_burner, CTL_CPU, "--cpus", "0.5" },
	{ "forker", "a fork bomb", be_forker, CTL_PIDS, "--pids", "100" },
	{ "hog", "takes memory until it is killed", be_hog, CTL_MEMORY, "--memory", "128M" },
	{ "writer", "writes and syncs files", be_writer, CTL_IO, "--io", "wbps=4M" },
};
#define N_NEIGHBOURS (sizeof(neighbours) / sizeof(*neighbours))

static int act(struct cli *c, int argc, char **argv)
{
	uint64_t seconds;

	if (argc == 2 && streq(argv[0], "victim") &&
	    parse_u64(argv[1], 1, SECONDS_MAX, &seconds) == 0)
		return be_victim((unsigned)seconds);
	for (size_t i = 0; i < N_NEIGHBOURS; i++)
		if (streq(argv[0], neighbours[i].name))
			neighbours[i].act();
	return err_set(c->e, ERR_USAGE, "nobody is called '%.40s'", argv[0]);
}

const struct verb verb_selftest_act = {
	.name = "selftest act",
	.run = act,
	.flags = VERB_HIDDEN | VERB_ANYWHERE,
	.operands = "WHO [SECONDS]",
	.min = 1,
	.max = 2,
	.help = "be the victim or a neighbour of a selftest",
};

/* ---- outside ---- */

struct noisy_options {
	struct opt_u64 seconds;
	bool unlimited;
};

static const struct option_row noisy_rows[] = {
	NUMBER_ROW(struct noisy_options, seconds, "seconds", 0, "N",
		   "measure so long beside each (default 3)", 1, SECONDS_MAX),
	FLAG_ROW(
		struct noisy_options, unlimited, "unlimited", 0,
		"give the neighbours no limits: what those are good for (not on a machine that works)"),
	END_ROW,
};

/* Microseconds from when a beat was due to when its work was done. */
struct lateness {
	unsigned p50, p99, max;
	bool limited;
};

struct noisy {
	struct cli *c;
	const struct noisy_options *o;
	struct host host;
	char root[64], seconds[8];
	struct lateness alone, beside[N_NEIGHBOURS];
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

/* A root with nothing in it but this program, which needs nothing else if it is linked so. */
static int make_root(struct noisy *n, struct err *e)
{
	char path[80];
	auto_fd int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	auto_fd int to = -1;
	struct stat st;

	snprintf(n->root, sizeof(n->root), "/tmp/ctr-selftest-XXXXXX");
	if (!mkdtemp(n->root) || chmod(n->root, 0755) < 0)
		return err_set(e, errno, "cannot make '%s'", n->root);
	snprintf(path, sizeof(path), "%s/ctr", n->root);
	to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (from < 0 || to < 0 || fstat(from, &st) < 0)
		return err_set(e, errno, "cannot copy this program");
	for (off_t left = st.st_size; left > 0;) {
		ssize_t done = sendfile(to, from, NULL, (size_t)left);

		if (done <= 0)
			return err_set(e, done ? errno : EIO, "cannot copy this program");
		left -= done;
	}
	static const char *const dirs[] = { "proc", "sys", "dev", "tmp" };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", n->root, dirs[i]);
		if (mkdir(path, 0755) < 0)
			return err_set(e, errno, "cannot make '%s'", path);
	}
	return 0;
}

static int measure(struct noisy *n, struct lateness *l, struct err *e)
{
	const char *argv[] = { "ctr",  "run",	   "--rm", "--net",  "none",	 n->root, "--",
			       "/ctr", "selftest", "act",  "victim", n->seconds, NULL };
	auto_str struct str out = { 0 };

	if (spawn_self(argv, &out, e) < 0)
		return err_in(e, "the victim");
	return sscanf(str_text(&out), "%u %u %u", &l->p50, &l->p99, &l->max) == 3 ?
		       0 :
		       err_set(e, ERR_INVALID, "the victim does not tell how it was");
}

/* Its neighbours' name; there is one at a time. */
#define NAME "selftest-neighbour"

static int end_neighbour(struct err *e)
{
	const char *argv[] = { "ctr", "rm", "--force", NAME, NULL };

	return spawn_self(argv, NULL, e);
}

static int measure_beside(struct noisy *n, const struct neighbour *by, struct lateness *l,
			  struct err *e)
{
	const char *argv[24] = { "ctr", "run", "-d", "--rm", "--name", NAME, "--net", "none" };
	size_t at = 8;
	struct err other;
	int rc;

	/* all limits that there are: a neighbour is not bad in one way only */
	for (size_t i = 0; i < N_NEIGHBOURS && !n->o->unlimited; i++) {
		if (!(n->host.controllers & neighbours[i].controller) ||
		    neighbours[i].controller == CTL_IO) /* that one needs a disk that counts */
			continue;
		argv[at++] = neighbours[i].option;
		argv[at++] = neighbours[i].value;
		l->limited |= neighbours[i].controller == by->controller;
	}
	argv[at++] = n->root;
	argv[at++] = "--";
	argv[at++] = "/ctr";
	argv[at++] = "selftest";
	argv[at++] = "act";
	argv[at++] = by->name;
	if (spawn_self(argv, NULL, e) < 0)
		return err_in(e, "%s", by->name);
	nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL); /* it gets going */
	rc = measure(n, l, e);
	if (end_neighbour(&other) < 0 && rc == 0) {
		*e = other;
		rc = -1;
	}
	return rc;
}

/*
 * What nothing holds back would take the machine along: without the controller that is meant for it a fork bomb or a
 * memory hog is only let loose if that was asked for.
 */
static bool is_safe(const struct noisy *n, const struct neighbour *by)
{
	return n->o->unlimited || by->controller == CTL_CPU || by->controller == CTL_IO ||
	       (n->host.controllers & by->controller);
}

static int measure_all(struct noisy *n, struct err *e)
{
	if (make_root(n, e) < 0 || measure(n, &n->alone, e) < 0)
		return -1;
	for (size_t i = 0; i < N_NEIGHBOURS; i++) {
		if (interrupted)
			return err_set(e, EINTR, "interrupted");
		if (is_safe(n, &neighbours[i]) &&
		    measure_beside(n, &neighbours[i], &n->beside[i], e) < 0)
			return -1;
	}
	return 0;
}

static void print_line(const char *who, const char *harm, const struct lateness *l,
		       const struct lateness *alone)
{
	if (!l->p99) {
		printf("%-8s  %-33s not let loose: nothing here could hold it back\n", who, harm);
		return;
	}
	printf("%-8s  %-33s %8.2f %8.2f %9.2f  %6.2f %6.2f   %s\n", who, harm, l->p50 / 1e3,
	       l->p99 / 1e3, l->max / 1e3, (double)l->p50 / alone->p50, (double)l->p99 / alone->p99,
	       l == alone ? "" :
	       l->limited ? "limited" :
			    "not limited");
}

static void put_lateness(struct json_writer *w, const char *who, const char *harm,
			 const struct lateness *l)
{
	json_open(w, NULL, '{');
	json_put_string(w, "neighbour", who);
	json_put_string(w, "harm", harm);
	json_put_bool(w, "measured", l->p99 != 0);
	json_put_bool(w, "limited", l->limited);
	json_put_u64(w, "p50_us", l->p50);
	json_put_u64(w, "p99_us", l->p99);
	json_put_u64(w, "max_us", l->max);
	json_close(w);
}

static int report(const struct noisy *n)
{
	auto_str struct str text = { 0 };
	struct json_writer w = { .out = &text, .indent = true };

	if (!n->c->json) {
		printf("%-8s  %-33s %8s %8s %9s  %6s %6s\n", "BESIDE", "WHICH", "p50 ms", "p99 ms",
		       "max ms", "x p50", "x p99");
		print_line("nobody", "", &n->alone, &n->alone);
		for (size_t i = 0; i < N_NEIGHBOURS; i++)
			print_line(neighbours[i].name, neighbours[i].harm, &n->beside[i],
				   &n->alone);
		return EXIT_DONE;
	}
	json_open(&w, NULL, '{');
	json_put_u64(&w, "version", FORMAT_VERSION);
	json_open(&w, "results", '[');
	put_lateness(&w, "nobody", "", &n->alone);
	for (size_t i = 0; i < N_NEIGHBOURS; i++)
		put_lateness(&w, neighbours[i].name, neighbours[i].harm, &n->beside[i]);
	json_close(&w);
	json_close(&w);
	return print_text(n->c, &text);
}

static int noisy(struct cli *c, int argc, char **argv)
{
	struct noisy n = { .c = c, .o = c->options };
	struct sigaction sa = { .sa_handler = on_signal };
	auto_instances struct instances all = INSTANCES_NONE;
	struct err other;
	int rc;

	(void)argc;
	(void)argv;
	if (getauxval(AT_BASE)) /* where the loader is */
		return err_set(
			c->e, ERR_NOT_SUPPORTED,
			"this ctr is linked with shared libraries, which its victim, ctr alone in "
			"an instance, does not have: `make deps` and build it anew");
	if (host_probe(&n.host, c->e) < 0 || open_instances(c, &all) < 0)
		return -1;
	snprintf(n.seconds, sizeof(n.seconds), "%u",
		 n.o->seconds.set ? (unsigned)n.o->seconds.v : SECONDS);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	rc = measure_all(&n, c->e);
	if (interrupted)
		(void)end_neighbour(&other); /* there may be none */
	if (*n.root && tree_remove(AT_FDCWD, n.root, &other) < 0)
		log_warn("%s", other.msg);
	return rc < 0 ? -1 : report(&n);
}

const struct verb verb_selftest_noisy = {
	.name = "selftest noisy",
	.run = noisy,
	.flags = VERB_JSON | VERB_STARTS,
	.help = "measure what a bad neighbour costs",
	.rows = noisy_rows,
	.options_size = sizeof(struct noisy_options),
	.more = "How late a victim's work is done that is due every 5 ms: alone, and beside neighbours.",
};
