/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject (-n N (-e ERRNO | -k) | -c) [-p PROGRAM] [-t SECONDS] COMMAND [ARG...]
 *
 * Runs COMMAND and lets the Nth system call of it and of all its processes fail with ERRNO, or kills with SIGKILL
 * the process that is about to make it. Counted is what processes do as long as they run PROGRAM, which is COMMAND's
 * own program unless -p names another (COMMAND is then a shell that runs it once or several times): a payload, a
 * hook or a helper that one of them becomes is let go. N is counted over all processes in the order in
 * which they call; so with more than one the same N need not be the same call twice, but over a sweep of N each
 * call is met.
 *
 * -c counts only, and all calls: those too that are otherwise left out because they cannot fail.
 *
 * Prints to descriptor 3, if that is open, "N CALL ARGUMENT (PROCESS[, child])" for the call it hit, where a child
 * is one that was forked and has not executed anything since; or "end TOTAL" if there were fewer. Exits as COMMAND did (128+n for a signal); 124 if it was not over in time (10 s by default),
 * when all is killed; 125 if it could not be run. COMMAND is over when all processes that it left are as well.
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
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/syscalls.h"

#define MAX_TRACED 4096

struct traced {
	pid_t pid;
	int counted; /* runs PROGRAM; others are only followed, for their children */
	int born;    /* of a process that runs it, by fork; others have executed it */
	int in_call; /* between the stops at entry and exit */
	int fail;    /* the call under way is the one */
};

static struct traced traced[MAX_TRACED];
static size_t n_traced;

static struct stat program; /* its device and inode are known once it is first executed */
static int known;

static long at, count, error;
static int kill_it, count_all;

static int runs_program(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return known && stat(path, &st) == 0 && st.st_dev == program.st_dev &&
	       st.st_ino == program.st_ino;
}

static struct traced *find(pid_t pid)
{
	for (size_t i = 0; i < n_traced; i++)
		if (traced[i].pid == pid)
			return &traced[i];
	if (n_traced == MAX_TRACED) {
		fprintf(stderr, "inject: too many processes\n");
		exit(125);
	}
	traced[n_traced] = (struct traced){ .pid = pid, .counted = runs_program(pid) };
	traced[n_traced].born = traced[n_traced].counted;
	return &traced[n_traced++];
}

static void forget(pid_t pid)
{
	for (size_t i = 0; i < n_traced; i++)
		if (traced[i].pid == pid)
			traced[i] = traced[--n_traced];
}

/*
 * Calls that cannot fail when given what they are always given here, or that do not say so: leaving, asking who one
 * is, signals, and what the C library does before main().
 */
static int is_spared(unsigned long long nr)
{
	static const unsigned long long spared[] = {
		SYS_exit,	 SYS_exit_group,      SYS_rt_sigreturn, SYS_arch_prctl,
		SYS_geteuid,	 SYS_getuid,	      SYS_getpid,	SYS_umask,
		SYS_getegid,	 SYS_getgid,	      SYS_getppid,	SYS_gettid,
		SYS_setfsuid,	 SYS_setfsgid,	      SYS_rt_sigaction, SYS_rt_sigprocmask,
		SYS_sigaltstack, SYS_set_tid_address, SYS_munmap,
	};

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
	pid_t tracer = getpid(), pid = fork(), stopped;

	if (pid == 0) {
		/* a tracer that is gone would leave us stopped for ever */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != tracer)
			_exit(125);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		prctl(PR_SET_PDEATHSIG, 0);
		execvp(argv[0], argv);
		_exit(125);
	}
	do {
		stopped = waitpid(pid, NULL, 0); /* the clock ticks already */
	} while (pid > 0 && stopped < 0 && errno == EINTR);
	if (pid < 0 || stopped < 0 ||
	    ptrace(PTRACE_SETOPTIONS, pid, NULL,
		   PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK |
			   PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC) < 0) {
		perror("inject");
		exit(125);
	}
	return pid;
}

/* Everything that is left: what is traced, and what was let go and has become ours (PR_SET_CHILD_SUBREAPER). */
static void kill_all(void)
{
	char path[64];
	FILE *f;
	int pid;

	for (size_t i = 0; i < n_traced; i++)
		kill(traced[i].pid, SIGKILL);
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	if (f)
		fclose(f);
}

static const char *call_name(unsigned long long nr, char *buf, size_t size)
{
	for (size_t i = 0; i < syscall_table_size; i++)
		if (syscall_table[i].x86_64 >= 0 &&
		    (unsigned long long)syscall_table[i].x86_64 == nr)
			return syscall_table[i].name;
	snprintf(buf, size, "%llu", nr);
	return buf;
}

/* The call's path, if it has one; else its first two arguments, and what its descriptor refers to. */
static void describe(pid_t pid, const struct user_regs_struct *r, char *buf, size_t size)
{
	static const struct {
		long nr;
		int arg;
	} paths[] = {
		{ SYS_open, 0 },
		{ SYS_stat, 0 },
		{ SYS_lstat, 0 },
		{ SYS_access, 0 },
		{ SYS_mkdir, 0 },
		{ SYS_rmdir, 0 },
		{ SYS_unlink, 0 },
		{ SYS_chdir, 0 },
		{ SYS_chmod, 0 },
		{ SYS_readlink, 0 },
		{ SYS_statfs, 0 },
		{ SYS_execve, 0 },
		{ SYS_mknod, 0 },
		{ SYS_rename, 0 },
		{ SYS_openat, 1 },
		{ SYS_mkdirat, 1 },
		{ SYS_newfstatat, 1 },
		{ SYS_unlinkat, 1 },
		{ SYS_faccessat, 1 },
		{ 439, 1 },
		{ SYS_mknodat, 1 },
		{ SYS_fchownat, 1 },
		{ SYS_symlinkat, 0 },
		{ SYS_renameat, 1 },
		{ SYS_renameat2, 1 },
		{ 437 /* openat2 */, 1 },
		{ 428 /* open_tree */, 1 },
		{ SYS_fchmodat, 1 },
		{ SYS_mount, 1 },
		{ SYS_umount2, 0 },
		{ 430 /* fsopen */, 0 },
		{ SYS_write, 1 },
	};
	static const long by_fd[] = { SYS_read,	 SYS_pread64, SYS_fstat,
				      SYS_flock, SYS_close,   SYS_getdents64,
				      SYS_lseek, SYS_recvmsg, SYS_sendmsg };
	unsigned long long args[] = { r->rdi, r->rsi };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (r->orig_rax == (unsigned long long)paths[i].nr) {
			struct iovec here = { buf, size - 1 };
			char *at = (char *)args[paths[i].arg];
			/* in two parts: the next page may not be there */
			size_t here_left = 4096 - ((size_t)at & 4095);
			struct iovec there[] = { { at, size - 1 }, { NULL, 0 } };
			ssize_t n;

			if (paths[i].nr == SYS_write && r->rdx < size)
				here.iov_len = r->rdx;
			if (here_left < size - 1) {
				there[0].iov_len = here_left;
				there[1] = (struct iovec){ at + here_left, size - 1 - here_left };
			}
			n = process_vm_readv(pid, &here, 1, there, 2, 0);
			buf[n > 0 ? n : 0] = '\0';
			buf[strcspn(buf, "\n")] = '\0';
			return;
		}
	snprintf(buf, size, "%lld %#llx", args[0], args[1]);
	for (size_t i = 0; i < sizeof(by_fd) / sizeof(by_fd[0]); i++)
		if (r->orig_rax == (unsigned long long)by_fd[i]) {
			char link[64];
			size_t len = strlen(buf);
			ssize_t n;

			snprintf(link, sizeof(link), "/proc/%d/fd/%d", pid, (int)args[0]);
			buf[len++] = ' ';
			n = readlink(link, buf + len, size - len - 1);
			buf[n > 0 ? len + (size_t)n : len - 1] = '\0';
		}
}

static void report(pid_t pid, int born, const struct user_regs_struct *regs)
{
	char name[64] = "?", path[64], argument[200], number[24];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t n = read(fd, name, sizeof(name) - 1);

		name[n > 0 ? n - 1 : 0] = '\0';
		close(fd);
	}
	describe(pid, regs, argument, sizeof(argument));
	dprintf(3, "%ld %s %s (%s%s)\n", count, call_name(regs->orig_rax, number, sizeof(number)),
		argument, name, born ? ", child" : "");
}

/* At the entry of a call of a process that counts. */
static void at_entry(struct traced *t)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, t->pid, NULL, &regs) < 0 ||
	    (!count_all && is_spared(regs.orig_rax)) || ++count != at)
		return;
	report(t->pid, t->born, &regs);
	if (kill_it) {
		kill(t->pid, SIGKILL);
		return;
	}
	t->fail = 1;
	if (regs.orig_rax != SYS_close) { /* that one closes, whatever it says */
		regs.orig_rax = (unsigned long long)-1;
		ptrace(PTRACE_SETREGS, t->pid, NULL, &regs);
	}
}

static void at_exit(struct traced *t)
{
	struct user_regs_struct regs;

	if (!t->fail || ptrace(PTRACE_GETREGS, t->pid, NULL, &regs) < 0)
		return;
	regs.rax = (unsigned long long)-error;
	ptrace(PTRACE_SETREGS, t->pid, NULL, &regs);
	t->fail = 0;
}

/* 0: it has become something else, and is let go. */
static int at_exec(struct traced *t)
{
	int before = t->counted;

	if (!known) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/exe", t->pid);
		known = stat(path, &program) == 0;
	}
	t->counted = runs_program(t->pid);
	t->born = 0;
	t->in_call = 1; /* the exit of execve comes next */
	return t->counted || !before;
}

int main(int argc, char **argv)
{
	int opt, code = 125;
	double deadline, seconds = 10;
	struct itimerspec tick = { { 0, 50000000 }, { 0, 50000000 } };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	timer_t timer;
	pid_t main_pid;

	while ((opt = getopt(argc, argv, "+n:e:kcp:t:")) != -1) {
		if (opt == 'n')
			at = atol(optarg);
		else if (opt == 'e')
			error = atol(optarg);
		else if (opt == 'k')
			kill_it = 1;
		else if (opt == 'c')
			count_all = 1;
		else if (opt == 'p')
			known = stat(optarg, &program) == 0;
		else if (opt == 't')
			seconds = atof(optarg);
		else
			return 125;
		if (opt == 'p' && !known) {
			perror(optarg);
			return 125;
		}
	}
	if (optind >= argc || (!count_all && (!at || (!error && !kill_it)))) {
		fprintf(stderr,
			"usage: inject (-n N (-e ERRNO | -k) | -c) [-p PROGRAM] [-t SECONDS] COMMAND [ARG...]\n");
		return 125;
	}
	/* what is left of a killed command ends here, not at init */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_alarm }, NULL);
	timer_create(CLOCK_MONOTONIC, &ev, &timer);
	timer_settime(timer, 0, &tick, NULL);
	deadline = now() + seconds;
	main_pid = start(argv + optind);
	find(main_pid);
	ptrace(PTRACE_CONT, main_pid, NULL, NULL);
	for (;;) {
		struct traced *t;
		int status, sig = 0;
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno == EINTR) {
			if (now() < deadline)
				continue;
			if (code != 124)
				fprintf(stderr, "inject: not over after %g s (call %ld)\n", seconds,
					at);
			code = 124;
			kill_all(); /* again with each tick: the orphans of those come here as well */
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
			if (!at_exec(t)) {
				forget(pid);
				ptrace(PTRACE_DETACH, pid, NULL, NULL);
				continue;
			}
		} else if (status >> 16) {
			; /* fork and its like: the child stops by itself */
		} else if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			t->in_call = !t->in_call;
			if (t->in_call && t->counted)
				at_entry(t);
			else if (!t->in_call)
				at_exit(t);
		} else if (WSTOPSIG(status) == SIGSTOP && !t->in_call) {
			; /* a new child's first stop */
		} else {
			sig = WSTOPSIG(status);
		}
		ptrace(t->counted ? PTRACE_SYSCALL : PTRACE_CONT, pid, NULL, (void *)(long)sig);
	}
	if (count < at || count_all)
		dprintf(3, "end %ld\n", count);
	return code;
}
