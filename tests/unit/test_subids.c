/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/subids.h"

static const char *file_of(const char *text)
{
	static char path[5000];
	FILE *f;

	snprintf(path, sizeof(path), "%s/subids", test_dir());
	f = fopen(path, "w");
	CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
	return path;
}

static int read_of(const char *text, const char *number, struct subids out[SUBIDS_MAX])
{
	struct err e = { 0 };

	return subids_read(file_of(text), "tester", number, out, &e);
}

TEST(entries_are_the_users_by_name_or_number)
{
	struct subids ids[SUBIDS_MAX];

	CHECK_INT(read_of("other:1:2\ntester:100000:65536\n1000:7:8\ntester2:5:6\n", "1000", ids),
		  2);
	CHECK_INT(ids[0].first, 100000);
	CHECK_INT(ids[0].count, 65536);
	CHECK_INT(ids[1].first, 7);
	CHECK_INT(ids[1].count, 8);
	CHECK_INT(read_of("1000:7:8\ntester:1:2", NULL, ids), 1);
	CHECK_INT(ids[0].count, 2); /* without a newline at its end */
}

TEST(a_file_that_is_not_there_gives_nothing)
{
	struct subids ids[SUBIDS_MAX];
	struct err e = { 0 };

	CHECK_INT(subids_read("/nonexistent/subuid", "tester", NULL, ids, &e), 0);
}

TEST(what_makes_no_sense_is_passed_over)
{
	struct subids ids[SUBIDS_MAX];

	CHECK_INT(
		read_of("\n#tester:1:2\ntester\ntester:\ntester:1\ntester:x:2\ntester:1:-2\ntester:0:5\n"
			"tester:1:0\ntester:99999999999:1\ntester:4294967295:1\n:::\n",
			"1000", ids),
		0);
}

TEST(no_entry_reaches_the_id_that_is_none)
{
	struct subids ids[SUBIDS_MAX];

	CHECK_INT(read_of("tester:4294967290:65536\n", NULL, ids), 1);
	CHECK_INT(ids[0].first + ids[0].count, UINT32_MAX);
}

TEST(there_are_not_more_than_have_room)
{
	char text[4096] = "";
	struct subids ids[SUBIDS_MAX];

	for (int i = 0; i < SUBIDS_MAX + 10; i++)
		sprintf(text + strlen(text), "tester:%d:1\n", i + 1);
	CHECK_INT(read_of(text, NULL, ids), SUBIDS_MAX);
}
