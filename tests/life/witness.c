/* SPDX-License-Identifier: Apache-2.0 */
/*
 * witness - a payload that tells how it is confined, a line each, the same for the same confinement:
 *
 *	status	what /proc/self/status says of ids, umask, signals, capabilities, seccomp, no_new_privs
 *	ns	the kinds of namespaces that differ from those given as arguments ("pid:4026531836" ...)
 *	mount	target, root, flags, propagation and type of each mount
 *	cgroup, oom	its cgroup, its oom_score_adj
 *	fd	its open descriptors
 *	limit	each rlimit
 *
 * `witness wait [NAMESPACE...]` then waits for SIGTERM; without namespaces it says nothing before.
 *
 * Static, so that it needs nothing of the root file system; it reads /proc, which must be mounted.
 */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void print_status(void)
{
	static const char *const keys[] = {
		"Uid:",	   "Gid:",	  "Groups:",  "Umask:",		 "SigIgn:",
		"SigBlk:", "CapInh:",	  "CapPrm:",  "CapEff:",	 "CapBnd:",
		"CapAmb:", "NoNewPrivs:", "Seccomp:", "Seccomp_filters:"
	};
	FILE *f = fopen("/proc/self/status", "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (strncmp(line, keys[i], strlen(keys[i])) == 0)
				printf("status %s", line);
	if (f)
		fclose(f);
}

static void print_namespaces(int argc, char **argv)
{
	static const char *const kinds[] = { "cgroup", "ipc",  "mnt",  "net",
					     "pid",    "time", "user", "uts" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		char path[64], link[64], mine[64];
		ssize_t n;
		int same = 0;

		snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
		n = readlink(path, link, sizeof(link) - 1);
		if (n < 0)
			continue;
		link[n] = '\0';
		for (int a = 1; a < argc; a++)
			same |= strcmp(argv[a], link) == 0;
		snprintf(mine, sizeof(mine), "%s", kinds[i]);
		printf("ns %s %s\n", mine, same ? "shared" : "own");
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print_mounts(void)
{
	static char *lines[4096];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096];
	size_t n = 0;

	while (f && fgets(line, sizeof(line), f) && n < 4096) {
		char root[1024], target[1024], flags[256], type[64], out[4096], *tail, *peers;
		int at = 0;

		tail = strstr(line, " - ");
		if (!tail ||
		    sscanf(line, "%*s %*s %*s %1023s %1023s %255s%n", root, target, flags, &at) !=
			    3 ||
		    sscanf(tail, " - %63s", type) != 1)
			continue;
		*tail = '\0';
		peers = line + at;
		for (char *c = peers; *c; c++) /* "master:17": the number is another each time */
			if (*c == ':')
				memmove(c, c + 1 + strspn(c + 1, "0123456789"),
					strlen(c + 1 + strspn(c + 1, "0123456789")) + 1);
		snprintf(out, sizeof(out), "mount %s %s %s%s %s", target, root, flags, peers, type);
		lines[n++] = strdup(out);
	}
	if (f)
		fclose(f);
	qsort(lines, n, sizeof(lines[0]), by_text);
	for (size_t i = 0; i < n; i++)
		puts(lines[i]);
}

static void print_file(const char *name, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[4096];

	while (f && fgets(line, sizeof(line), f))
		printf("%s %s", name, line);
	if (f)
		fclose(f);
}

static void print_descriptors(void)
{
	for (int fd = 3; fd < 1024; fd++)
		if (dup2(fd, fd) == fd)
			printf("fd %d open\n", fd);
}

static void print_limits(void)
{
	for (int r = 0; r < 16; r++) {
		struct rlimit l;

		if (getrlimit(r, &l) == 0)
			printf("limit %d %llu %llu\n", r, (unsigned long long)l.rlim_cur,
			       (unsigned long long)l.rlim_max);
	}
}

static void leave(int sig)
{
	(void)sig;
	_exit(0);
}

int main(int argc, char **argv)
{
	char cwd[4096] = "";

	bool wait = argc > 1 && strcmp(argv[1], "wait") == 0;

	if (wait && argc == 2) {
		signal(SIGTERM, leave);
		for (;;)
			pause();
	}

	print_descriptors(); /* first: what follows opens some */
	print_status();
	print_namespaces(argc, argv);
	print_mounts();
	print_limits();
	print_file("cgroup", "/proc/self/cgroup");
	print_file("oom", "/proc/self/oom_score_adj");
	printf("cwd %s\n", getcwd(cwd, sizeof(cwd)) ? cwd : "-");
	fflush(stdout);
	if (wait)
		signal(SIGTERM, leave); /* from now on nothing is lost by that */
	while (wait)
		pause();
	return 0;
}
