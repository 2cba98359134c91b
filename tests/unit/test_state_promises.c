/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "runtime/base/err.h"
#include "runtime/host.h"
#include "runtime/plan.h"
#include "runtime/state.h"

static struct err e;

static int open_root(void)
{
	int root = state_open_root(test_dir(), &e);

	if (root < 0)
		FAIL("%s", e.msg);
	return root;
}

/* As a command that makes a container: it has written what is to be undone, and holds its promise. */
static struct state_dir begin(int root, const char *id)
{
	const struct plan nothing = { .n = 0 };
	const struct host host = { .cgroup = "/sys/fs/cgroup" };
	struct state_dir d;

	if (state_create(root, id, &d, &e) < 0 || state_write_journal(&d, &nothing, &host, &e) < 0)
		FAIL("%s", e.msg);
	return d;
}

static void finish(struct state_dir *d)
{
	const struct state st = { .id = d->id };

	if (state_write(d, &st, &e) < 0)
		FAIL("%s", e.msg);
	state_close(d);
}

static bool exists(int root, const char *path)
{
	return faccessat(root, path, F_OK, 0) == 0;
}

TEST(a_broken_promise_is_undone)
{
	int root = open_root();
	struct state_dir d = begin(root, "web");

	state_forget(&d); /* what SIGKILL does */
	CHECK_INT(state_recover(root, &e), 1);
	CHECK(!exists(root, "web"));
	CHECK(!exists(root, ".open/web"));
}

TEST(a_promise_that_is_held_is_left_alone)
{
	int root = open_root();
	struct state_dir d = begin(root, "web");

	CHECK_INT(state_recover(root, &e), 0);
	CHECK(exists(root, "web/journal"));
	finish(&d);
	CHECK(!exists(root, ".open/web"));
}

/* A second `create web` that was killed before it saw that there is one. */
TEST(a_promise_broken_at_once_undoes_nobody)
{
	int root = open_root();
	struct state_dir d = begin(root, "web");

	finish(&d);
	close(openat(root, ".open/web", O_CREAT | O_RDWR, 0600));
	CHECK(state_recover(root, &e) >= 0);
	CHECK(exists(root, "web/state.json"));
	CHECK(!exists(root, ".open/web"));
	CHECK(state_open(root, "web", &d, &e) == 0);
}

TEST(a_promise_about_another_directory_undoes_nobody)
{
	int root = open_root();
	struct state_dir d = begin(root, "web");
	int fd;

	finish(&d);
	fd = openat(root, ".open/web", O_CREAT | O_RDWR, 0600);
	CHECK(write(fd, "1\n", 2) == 2);
	close(fd);
	CHECK(state_recover(root, &e) >= 0);
	CHECK(exists(root, "web/state.json"));
}

TEST(what_was_only_begun_can_be_begun_again)
{
	int root = open_root();
	struct state_dir d;

	CHECK(mkdirat(root, "web", 0700) == 0); /* killed right after */
	CHECK(state_create(root, "web", &d, &e) == 0);
	state_close(&d);
}

TEST(an_id_in_use_is_refused)
{
	int root = open_root();
	struct state_dir d = begin(root, "web"), other;

	CHECK(state_create(root, "web", &other, &e) < 0);
	CHECK_INT(e.code, ERR_EXISTS);
	finish(&d);
	CHECK(state_create(root, "web", &other, &e) < 0);
	CHECK_INT(e.code, ERR_EXISTS);
	CHECK(state_recover(root, &e) == 0);
	CHECK(exists(root, "web/state.json"));
}

/* Readers look for broken promises all the time, and must not mistake those for such that are just being made or kept. */
TEST(makers_and_readers_do_not_disturb_each_other)
{
	int root = open_root(), readers[2], status;

	for (int i = 0; i < 2; i++) {
		readers[i] = fork();
		if (readers[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test ends by exit */
			for (;;)
				(void)state_recover(root, &e);
		}
	}
	for (int i = 0; i < 300; i++) {
		struct state_dir d = begin(root, "web");

		finish(&d);
		CHECK(state_open(root, "web", &d, &e) == 0);
		CHECK(exists(root, "web/state.json"));
		CHECK(state_undo(&d, &e) == 0);
	}
	for (int i = 0; i < 2; i++) {
		kill(readers[i], SIGKILL);
		waitpid(readers[i], &status, 0);
	}
}
