/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <time.h>

#include "runtime/base/err.h"
#include "runtime/idrange.h"
#include "runtime/instance.h"

static int fills;

static int fill_nothing(struct idranges *r, void *arg, struct err *e)
{
	(void)r;
	(void)arg;
	(void)e;
	fills++;
	return 0;
}

static int fill_two(struct idranges *r, void *arg, struct err *e)
{
	(void)arg;
	(void)e;
	fills++;
	idrange_mark(r, r->first);
	idrange_mark(r, r->first + 3 * INSTANCE_IDS);
	idrange_mark(r, 1000); /* somebody else's */
	return 0;
}

static int open_dir(void)
{
	int fd = open(test_dir(), O_RDONLY | O_DIRECTORY);

	CHECK(fd >= 0);
	return fd;
}

/* Takes one range and closes. */
static uint32_t take(int dir)
{
	struct err e = { 0 };
	struct idranges r;
	uint32_t slot;

	if (idrange_open(dir, fill_nothing, NULL, &r, &e) < 0)
		FAIL("%s", e.msg);
	slot = idrange_free_slot(&r, 0, &e);
	idrange_take(&r, slot);
	CHECK(idrange_close(&r, &e) == 0);
	return slot;
}

static void give(int dir, uint32_t slot)
{
	struct err e = { 0 };
	struct idranges r;

	CHECK(idrange_open(dir, fill_nothing, NULL, &r, &e) == 0);
	idrange_give(&r, slot);
	CHECK(idrange_close(&r, &e) == 0);
}

TEST(ranges_are_handed_out_in_a_circle)
{
	int dir = open_dir();

	CHECK_INT(take(dir), 0);
	CHECK_INT(take(dir), 1);
	give(dir, 0);
	CHECK_INT(take(dir), 2); /* 0 rests */
	CHECK_INT(fills, 1);
}

TEST(every_range_is_handed_out_once_and_then_there_are_no_more)
{
	static char seen[IDRANGE_COUNT];
	int dir = open_dir();
	uint32_t slot, n = 0;

	while ((slot = take(dir)) != IDRANGE_NONE) {
		CHECK(slot < IDRANGE_COUNT && !seen[slot]);
		seen[slot] = 1;
		n++;
	}
	CHECK(n > 0);
	give(dir, n / 2);
	CHECK_INT(take(dir), n / 2);
	CHECK_INT(take(dir), IDRANGE_NONE);
}

TEST(ranges_do_not_overlap_and_end_before_the_last_id)
{
	struct err e = { 0 };
	struct idranges r;

	CHECK(idrange_open(open_dir(), fill_nothing, NULL, &r, &e) == 0);
	for (uint32_t s = 0; s < r.count; s++) {
		CHECK_INT(idrange_slot(&r, idrange_host(&r, s)), s);
		CHECK_INT(idrange_slot(&r, idrange_host(&r, s) + 1u), IDRANGE_NONE);
		CHECK((uint64_t)idrange_host(&r, s) + INSTANCE_IDS <= UINT32_MAX);
	}
	CHECK_INT(idrange_slot(&r, (uint64_t)r.first + (uint64_t)r.count * INSTANCE_IDS),
		  IDRANGE_NONE);
	CHECK_INT(idrange_slot(&r, 0), IDRANGE_NONE);
}

TEST(a_missing_table_is_made_from_what_is_there)
{
	struct err e = { 0 };
	struct idranges r;

	CHECK(idrange_open(open_dir(), fill_two, NULL, &r, &e) == 0);
	CHECK_INT(idrange_free_slot(&r, 0, &e), 1);
	idrange_take(&r, 1);
	idrange_take(&r, 2);
	CHECK_INT(idrange_free_slot(&r, 0, &e), 4);
}

TEST(the_table_of_a_holder_who_died_is_made_anew)
{
	int dir = open_dir();
	struct err e = { 0 };
	struct idranges r;

	CHECK_INT(take(dir), 0);
	CHECK(idrange_open(dir, fill_nothing, NULL, &r, &e) == 0);
	idrange_take(&r, 1);
	close(r.fd); /* as a kill would */
	fills = 0;
	CHECK(idrange_open(dir, fill_two, NULL, &r, &e) == 0);
	CHECK_INT(fills, 1);
	CHECK_INT(idrange_free_slot(&r, 0, &e), 1);
}

TEST(a_damaged_table_is_made_anew)
{
	static const char *const texts[] = { "", "x",
					     "idt1 and so on, but much too short to be one" };
	int dir = open_dir();
	struct err e = { 0 };

	for (size_t k = 0; k < 3; k++) {
		struct idranges r;
		int fd = openat(dir, "idrange", O_WRONLY | O_CREAT | O_TRUNC, 0600);

		CHECK(write(fd, texts[k], strlen(texts[k])) == (ssize_t)strlen(texts[k]));
		close(fd);
		fills = 0;
		CHECK(idrange_open(dir, fill_two, NULL, &r, &e) == 0);
		CHECK_INT(fills, 1);
		CHECK(idrange_close(&r, &e) == 0);
	}
}

TEST(eight_processes_never_get_the_same_range)
{
	int dir = open_dir(), pipefd[2], n = 0;
	static char seen[IDRANGE_COUNT];
	uint32_t slot;

	CHECK(pipe(pipefd) == 0);
	for (int p = 0; p < 8; p++) {
		if (fork() == 0) {
			for (int i = 0; i < 100; i++) {
				struct err e = { 0 };
				struct idranges r;

				if (idrange_open(dir, fill_nothing, NULL, &r, &e) < 0)
					_exit(1);
				slot = idrange_free_slot(&r, 0, &e);
				idrange_take(&r, slot);
				if (idrange_close(&r, &e) < 0 ||
				    write(pipefd[1], &slot, sizeof(slot)) != sizeof(slot))
					_exit(1);
			}
			_exit(0);
		}
	}
	close(pipefd[1]);
	while (read(pipefd[0], &slot, sizeof(slot)) == sizeof(slot)) {
		CHECK(slot < IDRANGE_COUNT && !seen[slot]);
		seen[slot] = 1;
		n++;
	}
	CHECK_INT(n, 800);
}

TEST(taking_a_range_costs_microseconds)
{
	struct timespec a, b;
	int dir = open_dir();
	double us;

	(void)take(dir);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < 1000; i++)
		(void)take(dir);
	clock_gettime(CLOCK_MONOTONIC, &b);
	us = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
	printf("# %.1f us each\n", us);
	CHECK(us < 500); /* a hundred times what it takes: busy machines, sanitizers */
}
