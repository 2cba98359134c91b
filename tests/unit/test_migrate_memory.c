/* SPDX-License-Identifier: Apache-2.0 */
/* Files of memory on their way from one machine to another: what arrives, and what is refused. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/migrate.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "tests/unit/test.h"

struct dirs {
	int from, to;
};

static int make_dir(const char *name, int number)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/%s%d", test_dir(), name, number);
	CHECK_INT(mkdir(path, 0700), 0);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void make_dirs(struct dirs *d)
{
	static int number;

	d->from = make_dir("from", number);
	d->to = make_dir("to", number++);
	CHECK(d->from >= 0 && d->to >= 0);
}

static void close_dirs(struct dirs *d)
{
	close(d->from);
	close(d->to);
}

/* A pipe with @text in it and nobody who writes any more. */
static int reader_of(const char *text)
{
	int ends[2];

	CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
	CHECK_INT(file_write_all(ends[1], text, strlen(text)), 0);
	close(ends[1]);
	return ends[0];
}

TEST(files_arrive_as_they_were)
{
	static const char *const names[] = { "pages-1.img", "core-1.img", "empty.img" };
	static const char *const texts[] = { "pages\nof memory", "core", "" };
	struct dirs d;
	struct err e;
	int ends[2];

	make_dirs(&d);
	for (int i = 0; i < 3; i++)
		CHECK_INT(file_replace(d.from, names[i], texts[i], strlen(texts[i]), 0600, 0, &e),
			  0);
	CHECK_INT(file_replace(d.from, "dump.log", "x", 1, 0600, 0, &e), 0);
	CHECK_INT(symlinkat("../1", d.from, "parent"), 0);
	CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
	CHECK_INT(memory_send(d.from, ends[1], &e), 0);
	close(ends[1]);
	CHECK_INT(memory_receive(ends[0], d.to, &e), 0);
	close(ends[0]);
	for (int i = 0; i < 3; i++) {
		auto_str struct str text = { 0 };

		CHECK_INT(file_read(d.to, names[i], 100, &text, &e), 0);
		CHECK_STR(str_text(&text), texts[i]);
	}
	CHECK_INT(faccessat(d.to, "dump.log", F_OK, 0), -1);
	CHECK_INT(faccessat(d.to, "parent", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	close_dirs(&d);
}

TEST(what_is_no_saved_memory_is_refused)
{
	static const char *const wrong[] = {
		"x",
		"x\n",
		"x \n",
		"../x 1\n1",
		"a/b 1\n1",
		".x 1\n1",
		"parent 1\n1",
		"x 1\n",
		"x 5\nabc",
		"x -1\n",
		"x 1x\n1",
		"x 1 1\n1",
		"x 99999999999999999999999\n",
		"x 1\n1x 1\n1",
		" 1\n1",
		"x  1\n1",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct err e = { 0 };
		struct dirs d;
		int in;

		make_dirs(&d);
		in = reader_of(wrong[i]);
		if (memory_receive(in, d.to, &e) == 0)
			FAIL("'%s' was taken", wrong[i]);
		CHECK(*e.msg);
		close(in);
		close_dirs(&d);
	}
}

TEST(a_link_in_the_directory_leads_nowhere)
{
	struct err e = { 0 };
	struct dirs d;
	int in;

	make_dirs(&d);
	CHECK_INT(symlinkat("../from0/x", d.to, "x"), 0);
	in = reader_of("x 1\n1");
	CHECK_INT(memory_receive(in, d.to, &e), -1);
	CHECK_INT(faccessat(d.from, "x", F_OK, 0), -1);
	close(in);
	close_dirs(&d);
}
