/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn: the timing loop of tests/bench.
 *
 * It starts the commands of several arms in blocks, the arms of each block in a new random order,
 * and writes one CSV line per timed step. It is a small static program, because a large one (an
 * interpreter, say) takes longer to fork and disturbs the caches of what it measures.
 *
 *	spawn -o CSV [-e LOG] [-b BLOCKS] [-k RUNS] [-p WORKERS] [-s SEED] ARMS
 *
 * Each block runs each arm RUNS times. ARMS is a file of tab-separated lines:
 *
 *	arm     NAME
 *	timed   LABEL  PROGRAM  ARG...	   run, wait, record
 *	plain   LABEL  PROGRAM  ARG...	   run, wait, do not record (a clean-up, a preparation)
 *	reap    LABEL  PIDFILE		   wait for a process that an earlier step left; recorded
 *	stamp   LABEL  PROGRAM  ARG...	   it prints when something was (ns of CLOCK_REALTIME): recorded, since
 *					   the run began; asked until it prints that
 *
 * The steps of an arm are one run; "@ID@" in an argument becomes a name that no other run has. When
 * a step fails the rest of its run is still carried out, since the clean-up is in it, and the line
 * has the status. An arm that failed FAILURES_ALLOWED times is left out from then on.
 *
 * CSV columns: arm, step, block, run, wall ns (CLOCK_MONOTONIC, from just before the vfork to the
 * return of wait4, or as the kind of the step says), user us, system us, largest resident set in KiB, status (the exit code, or 128 +
 * the signal). User and system time count the command and those of its children that it reaped.
 *
 * With -p each arm's RUNS are shared by WORKERS processes, and only the timed steps are carried out
 * between the two readings of the clock; everything else follows when all are done. There is then one
 * line per block: the step is "parallel", the run column holds RUNS, the status the number of failures.
 *
 * Commands get /dev/null for standard input and output, and LOG for standard error.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum {
	ARMS_MAX = 32,
	STEPS_MAX = 12,
	ARGS_MAX = 60,
	ARG_SIZE = 512,
	FAILURES_ALLOWED = 3,
	STAMP_SECONDS = 2,
	STEP_SECONDS = 30, /* a command that takes longer hangs, and is killed */
	STATUS_HUNG = 1000,
	STATUS_NOT_STARTED = 1001,
};

enum kind { TIMED, PLAIN, REAP, STAMP };

struct step {
	enum kind kind;
	const char *label;
	const char *argv[ARGS_MAX + 1];
};

struct arm {
	const char *name;
	struct step steps[STEPS_MAX];
	int n_steps;
	int failures;
};

struct result {
	int64_t ns;
	struct rusage usage;
	int status;
};

static struct {
	struct arm arms[ARMS_MAX];
	int n_arms;
	int blocks, runs;
	int workers; /* 0: no workers, every run by itself */
	FILE *csv;
	pid_t pid; /* of the first process: part of every id */
	unsigned int next_id;
	atomic_uint *taken; /* shared by the workers: runs begun, runs failed */
	atomic_uint *failed;
} bench = { .blocks = 10, .runs = 10 };

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "spawn: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t read_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static void on_alarm(int sig)
{
	(void)sig; /* it is there to interrupt wait4 */
}

static int exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Copies "from" with "@ID@" replaced. */
static void expand(char to[ARG_SIZE], const char *from, unsigned int id)
{
	const char *mark = strstr(from, "@ID@");

	if (mark)
		snprintf(to, ARG_SIZE, "%.*sbench-%d-%u%s", (int)(mark - from), from, bench.pid, id,
			 mark + 4);
	else
		snprintf(to, ARG_SIZE, "%s", from);
}

static struct result run_command(const struct step *step, char args[][ARG_SIZE])
{
	struct result r = { .status = STATUS_NOT_STARTED };
	char *argv[ARGS_MAX + 1];
	int64_t start;
	int status, i;
	pid_t pid;

	for (i = 0; step->argv[i]; i++)
		argv[i] = args[i];
	argv[i] = NULL;

	alarm(STEP_SECONDS);
	start = now();
	errno = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
	if (errno) {
		fprintf(stderr, "spawn: cannot start '%s': %s\n", argv[0], strerror(errno));
		return r;
	}
	if (wait4(pid, &status, 0, &r.usage) == pid) {
		r.ns = now() - start;
		r.status = exit_status(status);
		return r;
	}
	fprintf(stderr, "spawn: '%s' hung for %d s and was killed\n", argv[0], STEP_SECONDS);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	r.ns = now() - start;
	r.status = STATUS_HUNG;
	return r;
}

/*
 * A container's first process becomes our child when its runtime exits, since we are a subreaper. If
 * something else is its parent (a supervisor), all that can be done is to look until it is gone.
 */
static struct result reap(const char *pidfile)
{
	struct result r = { .status = STATUS_NOT_STARTED };
	FILE *f = fopen(pidfile, "re");
	int64_t start = now();
	int pid = 0, status;

	if (f) {
		if (fscanf(f, "%d", &pid) != 1)
			pid = 0;
		fclose(f);
	}
	if (pid <= 1) {
		fprintf(stderr, "spawn: no process number in '%s'\n", pidfile);
		return r;
	}
	alarm(STEP_SECONDS);
	if (wait4(pid, &status, 0, &r.usage) != pid) {
		while (kill(pid, 0) == 0 && now() - start < STEP_SECONDS * 1000000000LL)
			usleep(50);
		r.status = kill(pid, 0) == 0 ? STATUS_HUNG : 0;
	} else {
		r.status = 0; /* it was killed; how it died is not what is measured */
	}
	r.ns = now() - start;
	unlink(pidfile);
	return r;
}

/* The number that a command prints, or 0. */
static int64_t ask(const struct step *step, char args[][ARG_SIZE])
{
	int out = memfd_create("out", MFD_CLOEXEC), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	char text[32] = "";

	if (out < 0 || null < 0 || dup2(out, 1) < 0)
		die("stdout");
	(void)run_command(step, args);
	if (dup2(null, 1) < 0 || pread(out, text, sizeof(text) - 1, 0) < 0)
		die("stdout");
	close(out);
	close(null);
	return strtoll(text, NULL, 10);
}

static struct result stamp(const struct step *step, char args[][ARG_SIZE], int64_t began)
{
	struct result r = { .status = STATUS_NOT_STARTED };
	int64_t start = now(), when;

	do {
		when = ask(step, args);
		if (when > began) {
			r.ns = when - began;
			r.status = 0;
			return r;
		}
		usleep(1000);
	} while (now() - start < STAMP_SECONDS * 1000000000LL);
	fprintf(stderr, "spawn: '%s' prints no time\n", args[0]);
	return r;
}

/* @began: when the run did, by CLOCK_REALTIME. */
static struct result run_step(const struct step *step, unsigned int id, int64_t began)
{
	static char args[ARGS_MAX][ARG_SIZE];

	for (int i = 0; step->argv[i]; i++)
		expand(args[i], step->argv[i], id);
	if (step->kind == STAMP)
		return stamp(step, args, began);
	return step->kind == REAP ? reap(args[0]) : run_command(step, args);
}

/* Supervisors and containers whose runtime is gone end up here. */
static void reap_orphans(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void run_once(struct arm *arm, int block, int run)
{
	int64_t began = read_clock(CLOCK_REALTIME);
	unsigned int id = bench.next_id++;
	bool failed = false;

	for (int i = 0; i < arm->n_steps; i++) {
		const struct step *s = &arm->steps[i];
		struct result r = run_step(s, id, began);

		failed |= r.status != 0;
		if (s->kind == PLAIN && r.status == 0)
			continue;
		fprintf(bench.csv, "%s,%s,%d,%d,%lld,%ld,%ld,%ld,%d\n", arm->name, s->label, block,
			run, (long long)r.ns,
			(long)(r.usage.ru_utime.tv_sec * 1000000 + r.usage.ru_utime.tv_usec),
			(long)(r.usage.ru_stime.tv_sec * 1000000 + r.usage.ru_stime.tv_usec),
			r.usage.ru_maxrss, r.status);
	}
	arm->failures += failed;
	reap_orphans();
}

static _Noreturn void work(const struct arm *arm, unsigned int first_id, int gate)
{
	char byte;
	unsigned int k;

	if (read(gate, &byte, 1) < 0)
		_exit(1);
	while ((k = atomic_fetch_add(bench.taken, 1)) < (unsigned int)bench.runs) {
		bool failed = false;

		for (int i = 0; i < arm->n_steps; i++)
			if (arm->steps[i].kind == TIMED)
				failed |= run_step(&arm->steps[i], first_id + k, 0).status != 0;
		if (failed)
			atomic_fetch_add(bench.failed, 1);
	}
	_exit(0);
}

static void run_parallel(struct arm *arm, int block)
{
	unsigned int first_id = bench.next_id;
	pid_t workers[64];
	int gate[2];
	int64_t start;

	bench.next_id += bench.runs;
	*bench.taken = 0;
	*bench.failed = 0;
	if (pipe(gate) < 0)
		die("pipe");
	fflush(bench.csv);
	for (int w = 0; w < bench.workers; w++) {
		workers[w] = fork();
		if (workers[w] < 0)
			die("fork");
		if (workers[w] == 0) {
			close(gate[1]);
			work(arm, first_id, gate[0]);
		}
	}
	close(gate[0]);
	start = now();
	close(gate[1]);
	for (int w = 0; w < bench.workers; w++)
		while (waitpid(workers[w], NULL, 0) < 0 && errno == EINTR)
			;
	start = now() - start;
	for (int k = 0; k < bench.runs; k++)
		for (int i = 0; i < arm->n_steps; i++)
			if (arm->steps[i].kind != TIMED)
				(void)run_step(&arm->steps[i], first_id + k, 0);
	reap_orphans();
	fprintf(bench.csv, "%s,parallel,%d,%d,%lld,0,0,0,%u\n", arm->name, block, bench.runs,
		(long long)start, *bench.failed);
	arm->failures += *bench.failed != 0;
}

static void shuffle(int *order, int n)
{
	for (int i = n - 1; i > 0; i--) {
		int j = random() % (i + 1), t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
}

static void run_blocks(void)
{
	int order[ARMS_MAX];

	for (int i = 0; i < bench.n_arms; i++)
		order[i] = i;
	for (int block = 0; block < bench.blocks; block++) {
		shuffle(order, bench.n_arms);
		for (int i = 0; i < bench.n_arms; i++) {
			struct arm *arm = &bench.arms[order[i]];

			if (arm->failures >= FAILURES_ALLOWED)
				continue;
			if (bench.workers)
				run_parallel(arm, block);
			else
				for (int run = 0; run < bench.runs; run++)
					run_once(arm, block, run);
		}
	}
}

static void bad_line(int number, const char *why)
{
	fprintf(stderr, "spawn: line %d of the arms: %s\n", number, why);
	exit(2);
}

static void add_step(char *line, int number)
{
	static const char *const kinds[] = {
		[TIMED] = "timed", [PLAIN] = "plain", [REAP] = "reap", [STAMP] = "stamp"
	};
	const char *kind = strsep(&line, "\t");
	struct arm *arm;
	struct step *step;
	int i = 0;

	if (strcmp(kind, "arm") == 0) {
		if (bench.n_arms == ARMS_MAX || !line)
			bad_line(number, "too many arms, or no name");
		bench.arms[bench.n_arms++].name = line;
		return;
	}
	if (bench.n_arms == 0)
		bad_line(number, "a step before the first arm");
	arm = &bench.arms[bench.n_arms - 1];
	if (arm->n_steps == STEPS_MAX)
		bad_line(number, "too many steps");
	step = &arm->steps[arm->n_steps++];
	while (strcmp(kind, kinds[step->kind]) != 0)
		if (step->kind++ == STAMP)
			bad_line(number, "neither arm, timed, plain, reap nor stamp");
	step->label = strsep(&line, "\t");
	while (line && i < ARGS_MAX) {
		step->argv[i] = strsep(&line, "\t");
		if (strlen(step->argv[i++]) + 40 > ARG_SIZE)
			bad_line(number, "an argument is too long");
	}
	if (line || i == 0)
		bad_line(number, "too many arguments, or none");
}

/* The arms point into the lines, which live as long as the program. */
static void read_arms(const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int number = 0;

	if (!f)
		die(path);
	while ((len = getline(&line, &size, f)) > 0) {
		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		add_step(line, ++number);
		line = NULL;
		size = 0;
	}
	free(line);
	fclose(f);
	if (bench.n_arms == 0)
		bad_line(0, "it is empty");
}

static int number_of(const char *text, int most)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*end || n < 1 || n > most) {
		fprintf(stderr, "spawn: '%s' is not a number from 1 to %d\n", text, most);
		exit(2);
	}
	return n;
}

static void redirect(const char *log)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		die("/dev/null");
	if (log) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

		if (fd < 0 || dup2(fd, 2) < 0)
			die(log);
	}
}

int main(int argc, char **argv)
{
	/* Without SA_RESTART: the alarm must end the wait. */
	struct sigaction alarm_action = { .sa_handler = on_alarm };
	const char *log = NULL, *csv = NULL;
	unsigned int seed = 1;
	int option;

	while ((option = getopt(argc, argv, "o:e:b:k:p:s:")) != -1) {
		switch (option) {
		case 'o':
			csv = optarg;
			break;
		case 'e':
			log = optarg;
			break;
		case 'b':
			bench.blocks = number_of(optarg, 100000);
			break;
		case 'k':
			bench.runs = number_of(optarg, 100000);
			break;
		case 'p':
			bench.workers = number_of(optarg, 64);
			break;
		case 's':
			seed = number_of(optarg, 1 << 30);
			break;
		default:
			return 2;
		}
	}
	if (optind + 1 != argc || !csv) {
		fprintf(stderr, "usage: spawn -o CSV [-e LOG] [-b BLOCKS] [-k RUNS] [-p WORKERS] "
				"[-s SEED] ARMS\n");
		return 2;
	}
	read_arms(argv[optind]);
	bench.csv = fopen(csv, "we");
	if (!bench.csv)
		die(csv);
	bench.pid = getpid();
	bench.taken = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (bench.taken == MAP_FAILED)
		die("mmap");
	bench.failed = bench.taken + 1;
	srandom(seed);
	sigaction(SIGALRM, &alarm_action, NULL);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		die("PR_SET_CHILD_SUBREAPER");
	redirect(log);
	fprintf(bench.csv, "arm,step,block,run,ns,user_us,sys_us,maxrss_kb,status\n");
	run_blocks();
	return fclose(bench.csv) ? 1 : 0;
}
