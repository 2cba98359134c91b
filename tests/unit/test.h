/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unit test harness in one header. A file tests/unit/test_<what>.c includes it once, and is then
 * a program of its own, linked with everything but cli/main.c:
 *
 *	#include "tests/unit/test.h"
 *	#include "runtime/base/path.h"
 *
 *	TEST(dots_cannot_leave_the_root)
 *	{
 *		CHECK(path_is_clean("a/b"));
 *		CHECK_STR(path_base("/a/b"), "b");
 *	}
 *
 * A test is named after a promise and reads as a sentence. Each runs in a process of its own, in
 * the order of the file, so that a crash, a chdir or a leaked descriptor of one is not the next
 * one's; it fails by the first CHECK that does not hold, by a signal, by an exit status other than
 * 0 (a sanitizer's report) and after 20 seconds. CHECK may stand in any function called by a test,
 * but not in a process the test forks itself.
 *
 * Output, a line each: `ok NAME`, `not ok NAME: WHY`, `skip NAME: REASON`. Exit 0 if none failed,
 * else 1. Arguments: names of the tests to run (all without any); --list prints them; --here runs
 * them without forking, for a debugger.
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST_SECONDS 20

struct test_case {
	const char *name;
	void (*run)(void);
	struct test_case *next;
};

enum test_verdict { TEST_PASSED, TEST_FAILED, TEST_SKIPPED };

/* Shared between the harness and the test's process. */
struct test_report {
	enum test_verdict verdict;
	char why[4000];
	char dir[PATH_MAX];
};

static struct test_case *test_first, **test_end = &test_first;
static struct test_report *test_report;
static int test_here;

/* Ends the running test. Not exit(): a failed test need not also report leaks. */
__attribute__((noreturn, format(printf, 2, 3))) static inline void test_over(enum test_verdict v,
									     const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(test_report->why, sizeof(test_report->why), fmt, ap);
	va_end(ap);
	for (char *p = test_report->why; *p; p++)
		if (*p == '\n')
			*p = ' ';
	test_report->verdict = v;
	fflush(NULL);
	if (test_here)
		fprintf(stderr, "%s\n", test_report->why);
	_exit(1);
}

/* clang-format off */
#define TEST(name)                                                                                  \
	static void name(void);                                                                     \
	__attribute__((constructor)) static void test_add_##name(void)                              \
	{                                                                                           \
		static struct test_case t = { #name, name, NULL };                                  \
		*test_end = &t;                                                                     \
		test_end = &t.next;                                                                 \
	}                                                                                           \
	static void name(void)
/* clang-format on */

#define SKIP(...) test_over(TEST_SKIPPED, __VA_ARGS__)

#define FAIL(fmt, ...) test_over(TEST_FAILED, "%s:%d: " fmt, __FILE__, __LINE__, ##__VA_ARGS__)

#define CHECK(cond)                                      \
	do {                                             \
		if (!(cond))                             \
			FAIL("%s does not hold", #cond); \
	} while (0)

/* Any integers that a long long holds. */
#define CHECK_INT(got, want)                                                          \
	do {                                                                          \
		long long got_ = (long long)(got), want_ = (long long)(want);         \
		if (got_ != want_)                                                    \
			FAIL("%s is %lld, want %s (%lld)", #got, got_, #want, want_); \
	} while (0)

/* Two strings; NULL equals NULL only. */
#define CHECK_STR(got, want)                                                          \
	do {                                                                          \
		const char *got_ = (got), *want_ = (want);                            \
		if (!got_ != !want_ || (got_ && strcmp(got_, want_) != 0))            \
			FAIL("%s is %s%s%s, want %s%s%s", #got, got_ ? "'" : "",      \
			     got_ ? got_ : "NULL", got_ ? "'" : "", want_ ? "'" : "", \
			     want_ ? want_ : "NULL", want_ ? "'" : "");               \
	} while (0)

/* The string holds the part: for messages, whose exact wording is not the promise. */
#define CHECK_HAS(got, part)                                                                      \
	do {                                                                                      \
		const char *got_ = (got), *part_ = (part);                                        \
		if (!got_ || !strstr(got_, part_))                                                \
			FAIL("%s is '%s', want '%s' in it", #got, got_ ? got_ : "(NULL)", part_); \
	} while (0)

#define CHECK_MEM(got, want, len)                                                                 \
	do {                                                                                      \
		const unsigned char *got_ = (const void *)(got);                                  \
		const unsigned char *want_ = (const void *)(want);                                \
		for (size_t i_ = 0; i_ < (size_t)(len); i_++)                                     \
			if (got_[i_] != want_[i_])                                                \
				FAIL("%s differs from %s at byte %zu: 0x%02x, want 0x%02x", #got, \
				     #want, i_, got_[i_], want_[i_]);                             \
	} while (0)

/*
 * A directory of the test's own, removed with all it holds when the test is over. The same one each
 * time a test asks. Borrowed. Do not leave mounts in it: the test must then be in a mount namespace
 * of its own.
 */
__attribute__((unused)) static inline const char *test_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	if (!*test_report->dir) {
		char dir[sizeof(test_report->dir)];

		snprintf(dir, sizeof(dir), "%s/ctr-unit.XXXXXX", tmp && *tmp ? tmp : "/tmp");
		if (!mkdtemp(dir))
			FAIL("cannot make '%s': %s", dir, strerror(errno));
		memcpy(test_report->dir, dir, sizeof(dir));
	}
	return test_report->dir;
}

static inline int test_remove(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static inline void test_remove_dir(void)
{
	if (*test_report->dir)
		(void)nftw(test_report->dir, test_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	*test_report->dir = '\0';
}

/* 1 if it failed. */
static inline int test_run(const struct test_case *t)
{
	struct test_report *r = test_report;
	int status = 0;
	pid_t pid;

	memset(r, 0, sizeof(*r));
	fflush(NULL);
	pid = test_here ? 0 : fork();
	if (pid < 0) {
		printf("not ok %s: fork: %s\n", t->name, strerror(errno));
		return 1;
	}
	if (pid == 0) {
		if (!test_here)
			alarm(TEST_SECONDS);
		t->run();
		if (!test_here)
			exit(0);
	} else {
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	test_remove_dir();
	if (r->verdict == TEST_SKIPPED) {
		printf("skip %s: %s\n", t->name, r->why);
		return 0;
	}
	if (r->verdict == TEST_FAILED)
		printf("not ok %s: %s\n", t->name, r->why);
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		printf("not ok %s: not over after %d seconds\n", t->name, TEST_SECONDS);
	else if (WIFSIGNALED(status))
		printf("not ok %s: signal %d (%s)\n", t->name, WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	else if (status)
		printf("not ok %s: exit status %d\n", t->name, WEXITSTATUS(status));
	else
		return printf("ok %s\n", t->name) < 0;
	return 1;
}

int main(int argc, char **argv)
{
	int failed = 0, found = 0, first = 1;

	if (argc > 1 && strcmp(argv[1], "--list") == 0) {
		for (struct test_case *t = test_first; t; t = t->next)
			puts(t->name);
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "--here") == 0)
		test_here = first++;
	test_report = mmap(NULL, sizeof(*test_report), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (test_report == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (struct test_case *t = test_first; t; t = t->next) {
		int wanted = first == argc;

		for (int i = first; i < argc; i++)
			wanted |= strcmp(argv[i], t->name) == 0;
		if (!wanted)
			continue;
		found++;
		failed += test_run(t);
	}
	if (!found) {
		printf("not ok %s: no such test\n", first < argc ? argv[first] : "(none)");
		return 1;
	}
	return failed ? 1 : 0;
}

#endif
