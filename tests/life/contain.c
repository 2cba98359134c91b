/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contain SECONDS COMMAND [ARG...]
 *
 * Runs one life test so that it cannot harm the next: in a session of its own, for at most SECONDS, as
 * the child subreaper of whatever it starts, so that a process it leaves behind, however detached, ends
 * up here; and as root in a mount namespace of its own (private, so that nothing it mounts is seen
 * outside) and in a cgroup namespace of its own, in which the cgroup2 mount shows the test's cgroups
 * only, so that tests which run beside each other do not see each other's.
 *
 * Exits as the command did (128+n for a signal), but: 124 if it was not over in time; 123 if it left
 * processes, mounts or cgroups behind, which are listed; 125 if it could not be run. Either way
 * everything below is killed and removed by then. Mounts below $CTR_RUN are not counted: ctr may keep
 * its own mount namespace pinned there, for the instances to come.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

/* The test's cgroup: seen from outside as `name` below the directory `outside`, from inside as `at`. */
static struct {
	int outside, first_namespace;
	int mounted; /* what is seen at `at` is this cgroup, and not the host's */
	char name[32], at[4096];
} cgroup = { .outside = -1, .first_namespace = -1 };

static int write_file(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = write(fd, text, strlen(text)) < 0 ? -1 : 0;
	close(fd);
	return r;
}

/* As ctr does it on the way down to an instance's cgroup. */
static void enable_controllers(int dir)
{
	static const char *const controllers[] = { "+cpu", "+cpuset", "+io", "+memory", "+pids" };

	for (size_t i = 0; i < sizeof(controllers) / sizeof(*controllers); i++)
		(void)write_file(dir, "cgroup.subtree_control",
				 controllers[i]); /* if it is there */
}

/*
 * Moves this process into a new cgroup that a new cgroup namespace shows as the root. It stays in `script`
 * below it, since a cgroup with processes cannot pass controllers on. Without cgroup2, nothing is done.
 */
static int enter_cgroup(void)
{
	char path[64], procs[64];

	find_cgroup2(cgroup.at, sizeof(cgroup.at));
	if (!*cgroup.at)
		return 0;
	cgroup.outside = open(cgroup.at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup.outside < 0)
		return -1;
	enable_controllers(cgroup.outside);
	snprintf(cgroup.name, sizeof(cgroup.name), "ctr-test-%d", getpid());
	snprintf(path, sizeof(path), "%s/script", cgroup.name);
	if (mkdirat(cgroup.outside, cgroup.name, 0755) < 0 ||
	    mkdirat(cgroup.outside, path, 0755) < 0)
		return -1;
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", cgroup.name);
	cgroup.first_namespace = open("/proc/self/ns/cgroup", O_RDONLY | O_CLOEXEC);
	if (write_file(cgroup.outside, procs, "0") < 0 || unshare(CLONE_NEWCGROUP) < 0)
		return -1;
	snprintf(procs, sizeof(procs), "%s/script/cgroup.procs", cgroup.name);
	if (write_file(cgroup.outside, procs, "0") < 0 || umount2(cgroup.at, MNT_DETACH) < 0)
		return -1;
	if (mount("cgroup2", cgroup.at, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return -1;
	cgroup.mounted = 1;
	return 0;
}

static int cgroups_left;

static int leave_cgroup(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	if (type != FTW_DP || where->level == 0 || strcmp(path + strlen(cgroup.at), "/script") == 0)
		return 0;
	fprintf(stderr, "left behind: cgroup '%s'\n", path);
	cgroups_left++;
	(void)rmdir(path); /* whatever was in it has been killed */
	return 0;
}

/* Lists and removes the cgroups that the test left, and its own. Returns how many it left. */
static int remove_cgroup(void)
{
	char path[64];

	if (cgroup.outside < 0)
		return 0;
	if (cgroup.mounted)
		(void)nftw(cgroup.at, leave_cgroup, 16, FTW_PHYS | FTW_MOUNT | FTW_DEPTH);
	/* with "nsdelegate" nobody leaves a cgroup namespace by a write alone */
	if (cgroup.first_namespace >= 0)
		(void)setns(cgroup.first_namespace, CLONE_NEWCGROUP);
	(void)write_file(cgroup.outside, "cgroup.procs", "0");
	/* What is still there has escaped everything else. */
	snprintf(path, sizeof(path), "%s/cgroup.kill", cgroup.name);
	(void)write_file(cgroup.outside, path, "1");
	snprintf(path, sizeof(path), "%s/script", cgroup.name);
	for (int try = 0; try < 500 && unlinkat(cgroup.outside, path, AT_REMOVEDIR) < 0; try++)
		usleep(10000);
	if (unlinkat(cgroup.outside, cgroup.name, AT_REMOVEDIR) < 0)
		fprintf(stderr, "contain: cannot remove cgroup '%s': %s\n", cgroup.name,
			strerror(errno));
	return cgroups_left;
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
	if (geteuid() == 0 && enter_cgroup() < 0) {
		perror("contain: a cgroup");
		(void)remove_cgroup();
		return 125;
	}
	read_mounts(&before, NULL);
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
	/* What the kernel is still taking apart, or ends with the last instance, is not left behind: two seconds for it. */
	if (!late)
		(void)wait_until(0, NULL, now_ms() + 2000, &chld);
	for (grace = 0; grace < 100; grace++) {
		int n = kill_children(!late && grace == 0);

		left += n;
		if (wait_until(0, NULL, now_ms() + 100, &chld) == 0)
			break;
	}
	if (!late)
		left += read_mounts(NULL, &before);
	left += remove_cgroup();
	if (late) {
		fprintf(stderr, "not over after %ld seconds\n", seconds);
		return 124;
	}
	if (left && status == 0)
		return 123;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
