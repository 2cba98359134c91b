/* SPDX-License-Identifier: Apache-2.0 */
/* The small modules that everything stands on: err, arena, table, own. */
#include "tests/unit/test.h"

#include <fcntl.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/table.h"

TEST(an_errno_is_spelled_out_and_a_code_of_ours_is_not)
{
	struct err e = { 0 };

	CHECK_INT(err_set(&e, ENOENT, "cannot open '%s'", "x"), -1);
	CHECK_INT(e.code, ENOENT);
	CHECK_STR(e.msg, "cannot open 'x': No such file or directory");
	CHECK_INT(err_set(&e, ERR_INVALID, "no such thing as '%s'", "x"), -1);
	CHECK_STR(e.msg, "no such thing as 'x'");
}

TEST(context_is_put_in_front)
{
	struct err e = { 0 };

	err_set(&e, ERR_INVALID, "expected a string");
	CHECK_INT(err_in(&e, "mounts[%d]", 3), -1);
	CHECK_INT(e.code, ERR_INVALID);
	CHECK_STR(e.msg, "mounts[3]: expected a string");
}

TEST(a_long_message_is_cut_and_terminated)
{
	static char lots[3 * ERR_MSG_MAX];
	struct err e = { 0 };

	memset(lots, 'a', sizeof(lots) - 1);
	err_set(&e, ENOENT, "%s", lots);
	CHECK_INT(strlen(e.msg), ERR_MSG_MAX - 1);
	err_in(&e, "b");
	CHECK_INT(strlen(e.msg), ERR_MSG_MAX - 1);
	CHECK_INT(strncmp(e.msg, "b: aaa", 6), 0);
	err_in(&e, "%s", lots);
	CHECK_INT(strlen(e.msg), ERR_MSG_MAX - 1);
}

TEST(an_arena_gives_zeroed_aligned_memory)
{
	auto_arena struct arena *a = arena_new(0);

	for (size_t size = 1; size < 100000; size = size * 3 + 1) {
		char *p = arena_alloc(a, size);

		CHECK(p);
		CHECK_INT((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			CHECK_INT(p[i], 0);
		memset(p, 0xff, size);
	}
	CHECK_STR(arena_printf(a, "%s-%d", "x", 7), "x-7");
	CHECK_STR(arena_strndup(a, "abc", 2), "ab");
	CHECK_STR(arena_strdup(a, ""), "");
}

TEST(an_arena_holds_to_its_limit)
{
	auto_arena struct arena *a = arena_new(10000);

	CHECK(arena_alloc(a, 5000));
	CHECK(!arena_alloc(a, 6000));
	CHECK(arena_alloc(a, 4000));
	CHECK(!arena_alloc(a, 2000));
}

TEST(an_arena_refuses_sizes_that_overflow)
{
	auto_arena struct arena *a = arena_new(0);

	CHECK(!arena_alloc(a, SIZE_MAX));
	CHECK(!arena_alloc(a, SIZE_MAX - 8));
	CHECK(!arena_array(a, SIZE_MAX / 2, 4));
	CHECK(!arena_strndup(a, "", SIZE_MAX));
	CHECK(arena_array(a, 0, 4));
}

TEST(a_table_is_read_both_ways_and_its_first_name_is_written)
{
	static const struct name_value t[] = {
		{ "nofile", 7 }, { "ofile", 7 }, { "core", 4 }, { NULL, 0 }
	};
	long v = 42;

	CHECK(table_value(t, "ofile", &v));
	CHECK_INT(v, 7);
	CHECK(!table_value(t, "NOFILE", &v));
	CHECK(!table_value(t, "", &v));
	CHECK_INT(v, 7);
	CHECK_STR(table_name(t, 7), "nofile");
	CHECK(!table_name(t, 0));
}

static int open_and_drop(int *number)
{
	auto_fd int fd = open("/", O_PATH | O_CLOEXEC);

	*number = fd;
	return 0;
}

static int open_and_give(void)
{
	auto_fd int fd = open("/", O_PATH | O_CLOEXEC);

	return take_fd(&fd);
}

TEST(a_descriptor_dies_with_its_scope_unless_given_away)
{
	int fd, kept;

	CHECK_INT(open_and_drop(&fd), 0);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) < 0);
	kept = open_and_give();
	CHECK(kept >= 0 && fcntl(kept, F_GETFD) == FD_CLOEXEC);
	close(kept);
}

static pid_t fork_and_drop(void)
{
	auto_child pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

TEST(a_child_nobody_took_over_is_killed_and_reaped)
{
	pid_t pid = fork_and_drop();

	CHECK(pid > 0);
	CHECK(kill(pid, 0) < 0 && errno == ESRCH);
	CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}
