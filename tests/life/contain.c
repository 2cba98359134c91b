/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contain SECONDS COMMAND [ARG...]
 *
 * Runs one life test so that it cannot harm the next: in a mount namespace of its own (as root;
 * private, so that nothing it mounts is seen outside), in a session of its own, for at most
 * SECONDS, and as the child subreaper of whatever it starts, so that a process it leaves behind,
 * however detached, ends up here.
 *
 * Exits as the command did (128+n for a signal), but: 124 if it was not over in time; 123 if it
 * left processes, mounts or cgroups behind, which are listed; 125 if it could not be run. Either
 * way everything below is killed by then. Mounts below $CTR_RUN are not counted: ctr may keep its
 * own mount namespace pinned there, for the instances to come. Cgroups cannot be told from those of
 * a test that runs beside this one, so only those count that are new and have no process for
 * seconds.
 */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_MOUNTS 4096

struct mounts {
	size_t n;
	int id[MAX_MOUNTS];
};

static int mount_is_known(const struct mounts *m, int id)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->id[i] == id)
			return 1;
	return 0;
}

/* Notes all mounts, or with `before` lists those that are new, and returns how many it listed. */
static int read_mounts(struct mounts *m, const struct mounts *before)
{
	const char *run = getenv("CTR_RUN");
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;
	int listed = 0;

	while (f && getline(&line, &size, f) > 0) {
		char at[4096] = "";
		int id;

		if (sscanf(line, "%d %*d %*s %*s %4095s", &id, at) != 2)
			continue;
		if (!before) {
			if (m->n < MAX_MOUNTS)
				m->id[m->n++] = id;
			continue;
		}
		if (mount_is_known(before, id) || (run && strncmp(at, run, strlen(run)) == 0))
			continue;
		fprintf(stderr, "left behind: a mount at '%s'\n", at);
		listed++;
	}
	free(line);
	if (f)
		fclose(f);
	return listed;
}

/* Kills every child there is, whose own children then become ours; lists them if asked. Returns how many. */
static int kill_children(int list)
{
	DIR *d = opendir("/proc");
	struct dirent *de;
	int n = 0;

	while (d && (de = readdir(d))) {
		char path[300], line[1024], name[64] = "?", state = 0;
		pid_t pid = atoi(de->d_name), parent = 0;
		const char *rest;
		FILE *f;

		if (pid <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", de->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		line[0] = '\0';
		if (!fgets(line, sizeof(line), f))
			line[0] = '\0';
		fclose(f);
		rest = strrchr(line, ')');
		if (!rest || sscanf(rest + 1, " %c %d", &state, &parent) != 2 || parent != getpid())
			continue;
		if (state == 'Z')
			continue;
		(void)sscanf(line, "%*d (%63[^)]", name);
		if (list)
			fprintf(stderr, "left behind: process %d (%s)\n", pid, name);
		(void)kill(pid, SIGKILL); /* it may have ended meanwhile */
		n++;
	}
	if (d)
		closedir(d);
	return n;
}

/* All cgroups below the cgroup2 mount, as paths with a NUL after each. */
struct cgroups {
	char *text;
	size_t len;
};

static struct cgroups cgroups_now, cgroups_before;

static void find_cgroup2(char *at, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t room = 0;

	*at = '\0';
	while (f && !*at && getline(&line, &room, f) > 0) {
		char path[4096];

		if (strstr(line, " - cgroup2 ") &&
		    sscanf(line, "%*d %*d %*s %*s %4095s", path) == 1)
			snprintf(at, size, "%s", path);
	}
	free(line);
	if (f)
		fclose(f);
}

static int add_cgroup(const char *path, const struct stat *st, int type, struct FTW *where)
{
	size_t len = strlen(path) + 1;
	char *text;

	(void)st;
	if (type != FTW_D || where->level == 0)
		return 0;
	text = realloc(cgroups_now.text, cgroups_now.len + len);
	if (!text)
		return -1;
	memcpy(text + cgroups_now.len, path, len);
	cgroups_now.text = text;
	cgroups_now.len += len;
	return 0;
}

static struct cgroups read_cgroups(void)
{
	char at[4096];

	cgroups_now = (struct cgroups){ 0 };
	find_cgroup2(at, sizeof(at));
	if (*at)
		(void)nftw(at, add_cgroup, 16,
			   FTW_PHYS | FTW_MOUNT); /* what vanishes meanwhile is well */
	return cgroups_now;
}

static int cgroup_is_in(const struct cgroups *c, const char *path)
{
	for (size_t i = 0; i < c->len; i += strlen(c->text + i) + 1)
		if (strcmp(c->text + i, path) == 0)
			return 1;
	return 0;
}

static int cgroup_is_empty(const char *path)
{
	char events[4200], text[256] = "";
	FILE *f;

	snprintf(events, sizeof(events), "%s/cgroup.events", path);
	f = fopen(events, "re");
	if (!f)
		return 0;
	if (!fread(text, 1, sizeof(text) - 1, f))
		text[0] = '\0';
	fclose(f);
	return strstr(text, "populated 0") != NULL;
}

/*
 * Lists the new cgroups that have no process and stay so, and removes them. Those of a test beside this one may be
 * empty for seconds, between the end of a container and its deletion.
 */
static int left_cgroups(void)
{
	struct cgroups now = read_cgroups();
	int left = 0, patience = 100;

	for (size_t i = 0; i < now.len; i += strlen(now.text + i) + 1) {
		const char *path = now.text + i;

		if (cgroup_is_in(&cgroups_before, path))
			continue;
		while (cgroup_is_empty(path) && patience > 0) {
			usleep(100000);
			patience--;
		}
		if (!cgroup_is_empty(path))
			continue;
		fprintf(stderr, "left behind: cgroup '%s'\n", path);
		(void)rmdir(path); /* one with children is left for the next */
		left++;
	}
	return left;
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Waits for `pid`, or for any child if 0, until there is none or `until` has passed. 0: over, -1: not in time. */
static int wait_until(pid_t pid, int *status, long long until, const sigset_t *chld)
{
	for (;;) {
		long long left = until - now_ms();
		struct timespec t = { left / 1000, left % 1000 * 1000000 };
		int st;
		pid_t got = waitpid(-1, &st, WNOHANG);

		if (got > 0 && got == pid) {
			*status = st;
			return 0;
		}
		if (got > 0)
			continue;
		if (got < 0 && errno == ECHILD)
			return 0;
		if (left <= 0)
			return -1;
		(void)sigtimedwait(chld, NULL, &t); /* whether it came or not, look again */
	}
}

int main(int argc, char **argv)
{
	static struct mounts before;
	int status = 0, late, left = 0, grace;
	long seconds = argc > 2 ? atol(argv[1]) : 0;
	sigset_t chld, old;
	pid_t pid;

	if (seconds <= 0) {
		fprintf(stderr, "usage: contain SECONDS COMMAND [ARG...]\n");
		return 125;
	}
	if (geteuid() == 0 &&
	    (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)) {
		perror("contain: a mount namespace");
		return 125;
	}
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) {
		perror("contain: subreaper");
		return 125;
	}
	read_mounts(&before, NULL);
	cgroups_before = read_cgroups();
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, &old);
	pid = fork();
	if (pid < 0) {
		perror("contain: fork");
		return 125;
	}
	if (pid == 0) {
		setsid();
		sigprocmask(SIG_SETMASK, &old, NULL);
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(125);
	}
	late = wait_until(pid, &status, now_ms() + seconds * 1000, &chld) < 0;
	/* What the kernel is still taking apart is not left behind: half a second for it. */
	if (!late)
		(void)wait_until(0, NULL, now_ms() + 500, &chld);
	for (grace = 0; grace < 100; grace++) {
		int n = kill_children(!late && grace == 0);

		left += n;
		if (wait_until(0, NULL, now_ms() + 100, &chld) == 0)
			break;
	}
	if (!late)
		left += read_mounts(NULL, &before) + left_cgroups();
	if (late) {
		fprintf(stderr, "not over after %ld seconds\n", seconds);
		return 124;
	}
	if (left && status == 0)
		return 123;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
