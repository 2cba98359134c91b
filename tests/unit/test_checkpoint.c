/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"
#include "runtime/checkpoint.h"
#include "tests/unit/test.h"

TEST(external_mounts_are_found_by_their_keys)
{
	struct externals x = { .arena = arena_new(0) };
	struct err e;

	CHECK_INT(externals_add(&x, "/data", "/srv/data", &e), 0);
	CHECK_INT(externals_add(&x, "/data/more", "/srv/more", &e), 0);
	CHECK_INT(externals_add(&x, "/d", "/srv/d", &e), 0);
	CHECK_INT(externals_add(&x, "/a:b c", "/srv/with:colon and blank", &e), 0);
	CHECK_STR(externals_find(&x, "/data"), "/srv/data");
	CHECK_STR(externals_find(&x, "/data/more"), "/srv/more");
	CHECK_STR(externals_find(&x, "/d"), "/srv/d");
	CHECK_STR(externals_find(&x, "/a:b c"), "/srv/with:colon and blank");
	CHECK(!externals_find(&x, "/dat"));
	CHECK(!externals_find(&x, "/a"));
	arena_free(x.arena);
}

TEST(the_same_mount_twice_is_one)
{
	struct externals x = { .arena = arena_new(0) };
	struct err e;

	CHECK_INT(externals_add(&x, "/dev/null", "/dev/null", &e), 0);
	CHECK_INT(externals_add(&x, "/dev/null", "/dev/null", &e), 0);
	CHECK_INT((int)x.n, 1);
	CHECK_INT(externals_add(&x, "/dev/null", "/etc/shadow", &e), -1);
	CHECK(strstr(e.msg, "both mounted on '/dev/null'"));
	arena_free(x.arena);
}

TEST(cve_2026_119101_keys_that_criu_would_read_otherwise_are_refused)
{
	/* the place of a mount is the image's to choose: "/data" may be a link to "/x]:" and more */
	static const char *const wrong[] = {
		"/data]:/etc", "/x]:/", "/a[b", "/a]", "/a\nb", "/a\tb", "/a\x7f", "", "relative",
	};
	struct externals x = { .arena = arena_new(0) };
	struct err e;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK_INT(externals_add(&x, wrong[i], "/srv/data", &e), -1);
	CHECK_INT((int)x.n, 0);
	/* as is a source that would make another key */
	CHECK_INT(externals_add(&x, "/data", "/srv/x]:/etc", &e), -1);
	CHECK_INT((int)x.n, 0);
	arena_free(x.arena);
}

TEST(pipes_are_known_by_their_inodes)
{
	static const char text[] = "[\"pipe:[123]\",\"/dev/null\",\"pipe:[45]\"]\n";
	char streams[3][STREAM_MAX];
	struct err e;

	CHECK_INT(descriptors_parse(text, strlen(text), streams, &e), 0);
	CHECK_STR(streams[0], "pipe:[123]");
	CHECK_STR(streams[1], "");
	CHECK_STR(streams[2], "pipe:[45]");
	CHECK_INT(descriptors_parse("[]", 2, streams, &e), 0);
	CHECK_STR(streams[0], "");
}

TEST(descriptors_that_are_no_list_of_three_names_are_refused)
{
	static const char *const wrong[] = {
		"", "{}", "[1,2,3]", "[\"a\",\"b\",\"c\",\"d\"]", "[\"a\",null]", "[\"a\"", "[[]]",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char streams[3][STREAM_MAX];
		struct err e = { 0 };

		CHECK_INT(descriptors_parse(wrong[i], strlen(wrong[i]), streams, &e), -1);
		CHECK(*e.msg);
	}
}

TEST(names_that_only_begin_like_a_pipe_are_none)
{
	static const char text[] =
		"[\"pipe:[1]x\",\"pipe:[]\",\"pipe:[123456789012345678901234567890]\"]";
	char streams[3][STREAM_MAX];
	struct err e;

	CHECK_INT(descriptors_parse(text, strlen(text), streams, &e), 0);
	for (int i = 0; i < 3; i++)
		CHECK_STR(streams[i], "");
}
