/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject -n N (-e ERRNO | -k) [-t SECONDS] COMMAND [ARG...]
 *
 * Runs COMMAND and lets the Nth system call of it and of all its processes fail with ERRNO, or kills with SIGKILL
 * the process that is about to make it. Counted is what processes do as long as they run COMMAND's own program: a
 * payload, a hook or a helper that one of them becomes is let go. N is counted over all processes in the order in
 * which they call; so with more than one the same N need not be the same call twice, but over a sweep of N each call is met.
 *
 * Prints to descriptor 3, if that is open, "N CALL NAME-OF-PROCESS" for the call it hit, or "end TOTAL" if there
 * were fewer. Exits as COMMAND did (128+n for a signal); 124 if it was not over in time (10 s by default), when all is killed;
 * 125 if it could not be run.
 *
 * By ptrace(2): no special build is needed, so what is tested is what is shipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_TRACED 4096

struct traced {
	pid_t pid;
	int in_call; /* between the stops at entry and exit */
	int fail;    /* the call under way is the one */
};

static struct traced traced[MAX_TRACED];
static size_t n_traced;

static struct traced *find(pid_t pid)
{
	for (size_t i = 0; i < n_traced; i++)
		if (traced[i].pid == pid)
			return &traced[i];
	if (n_traced == MAX_TRACED) {
		fprintf(stderr, "inject: too many processes\n");
		exit(125);
	}
	traced[n_traced] = (struct traced){ .pid = pid };
	return &traced[n_traced++];
}

static void forget(pid_t pid)
{
	for (size_t i = 0; i < n_traced; i++)
		if (traced[i].pid == pid)
			traced[i] = traced[--n_traced];
}

static int same_program(pid_t pid, const struct stat *own)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return stat(path, &st) == 0 && st.st_dev == own->st_dev && st.st_ino == own->st_ino;
}

/* Calls that cannot fail, or whose failure says nothing: leaving, and what the C library does before main(). */
static int is_spared(unsigned long long nr)
{
	static const unsigned long long spared[] = { SYS_exit,	       SYS_exit_group,
						     SYS_rt_sigreturn, SYS_arch_prctl,
						     SYS_geteuid,      SYS_getuid,
						     SYS_getpid,       SYS_umask };

	for (size_t i = 0; i < sizeof(spared) / sizeof(spared[0]); i++)
		if (nr == spared[i])
			return 1;
	return 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_alarm(int sig)
{
	(void)sig;
}

static pid_t start(char **argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execvp(argv[0], argv);
		_exit(125);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) < 0 ||
	    ptrace(PTRACE_SETOPTIONS, pid, NULL,
		   PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK |
			   PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC) < 0) {
		perror("inject");
		exit(125);
	}
	return pid;
}

int main(int argc, char **argv)
{
	long at = 0, count = 0, error = 0;
	int opt, kill_it = 0, code = 125, executed = 0;
	double deadline, seconds = 10;
	struct itimerspec tick = { { 0, 50000000 }, { 0, 50000000 } };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct stat own = { 0 };
	timer_t timer;
	pid_t main_pid;

	while ((opt = getopt(argc, argv, "+n:e:kt:")) != -1) {
		if (opt == 'n')
			at = atol(optarg);
		else if (opt == 'e')
			error = atol(optarg);
		else if (opt == 'k')
			kill_it = 1;
		else if (opt == 't')
			seconds = atof(optarg);
		else
			return 125;
	}
	if (optind >= argc || !at || (!error && !kill_it)) {
		fprintf(stderr,
			"usage: inject -n N (-e ERRNO | -k) [-t SECONDS] COMMAND [ARG...]\n");
		return 125;
	}
	prctl(PR_SET_CHILD_SUBREAPER,
	      1); /* what is left of a killed command ends here, not at init */
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_alarm }, NULL);
	timer_create(CLOCK_MONOTONIC, &ev, &timer);
	timer_settime(timer, 0, &tick, NULL);
	deadline = now() + seconds;
	main_pid = start(argv + optind);
	find(main_pid);
	ptrace(PTRACE_SYSCALL, main_pid, NULL, NULL);
	for (;;) {
		struct user_regs_struct regs;
		struct traced *t;
		int status, sig = 0;
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno == EINTR) {
			if (now() < deadline)
				continue;
			for (size_t i = 0; i < n_traced; i++)
				kill(traced[i].pid, SIGKILL);
			fprintf(stderr, "inject: not over after %g s (call %ld)\n", seconds, at);
			code = 124;
			deadline = now() + 3600; /* they are dying */
			continue;
		}
		if (pid < 0)
			break; /* no children: all is over */
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (pid == main_pid && code != 124)
				code = WIFEXITED(status) ? WEXITSTATUS(status) :
							   128 + WTERMSIG(status);
			forget(pid);
			continue;
		}
		if (!WIFSTOPPED(status))
			continue;
		t = find(pid);
		if (status >> 16 == PTRACE_EVENT_EXEC) {
			/* a thread that calls execve takes the leader's number; there are no threads here */
			if (!executed) {
				char path[64];

				snprintf(path, sizeof(path), "/proc/%d/exe", pid);
				executed = stat(path, &own) == 0;
			} else if (!same_program(pid, &own)) {
				forget(pid);
				ptrace(PTRACE_DETACH, pid, NULL, NULL);
				continue;
			}
		} else if (status >> 16) {
			; /* fork and its like: the child stops by itself */
		} else if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			t->in_call = !t->in_call;
			if (t->in_call && executed &&
			    ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0 &&
			    !is_spared(regs.orig_rax) && ++count == at) {
				char name[64] = "?", path[64];
				int fd;

				snprintf(path, sizeof(path), "/proc/%d/comm", pid);
				fd = open(path, O_RDONLY | O_CLOEXEC);
				if (fd >= 0) {
					ssize_t n = read(fd, name, sizeof(name) - 1);

					name[n > 0 ? n - 1 : 0] = '\0';
					close(fd);
				}
				dprintf(3, "%ld %llu %s%s\n", count, regs.orig_rax, name,
					pid == main_pid ? "" : " (child)");
				if (kill_it) {
					kill(pid, SIGKILL);
				} else {
					t->fail = 1;
					if (regs.orig_rax !=
					    SYS_close) { /* that one closes, whatever it says */
						regs.orig_rax = (unsigned long long)-1;
						ptrace(PTRACE_SETREGS, pid, NULL, &regs);
					}
				}
			} else if (!t->in_call && t->fail &&
				   ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0) {
				regs.rax = (unsigned long long)-error;
				ptrace(PTRACE_SETREGS, pid, NULL, &regs);
				t->fail = 0;
			}
		} else if (WSTOPSIG(status) == SIGSTOP && !t->in_call) {
			; /* a new child's first stop */
		} else {
			sig = WSTOPSIG(status);
		}
		ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)sig);
	}
	if (count < at)
		dprintf(3, "end %ld\n", count);
	return code;
}
