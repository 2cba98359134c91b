/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "cli/user.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"

static struct err e;
static struct arena *arena;
static int root = -1;

static void put(const char *name, const char *text)
{
	if (root < 0) {
		arena = arena_new(0);
		root = open(test_dir(), O_RDONLY | O_DIRECTORY);
		CHECK(root >= 0 && mkdirat(root, "etc", 0755) == 0);
	}
	CHECK(file_replace(root, name, text, strlen(text), 0644, 0, &e) == 0);
	CHECK(renameat(root, name, root, strcmp(name, "passwd") ? "etc/group" : "etc/passwd") == 0);
}

static struct user find(const char *text)
{
	struct user u = { 0 };

	if (user_find(root, text, 65536, arena, &u, &e) < 0)
		FAIL("'%s': %s", text ? text : "(null)", e.msg);
	return u;
}

static void files(void)
{
	put("passwd",
	    "root:x:0:0::/root:/bin/sh\nwww:x:33:34:w:/var/www:/bin/sh\nwww:x:1:1::/:\nhomeless:x:5:6:::\n");
	put("group",
	    "root:x:0:\nweb:x:34:\na:x:100:www\nb:x:101:other,www\nc:x:102:wwww,ww\nd:x:34:www\n");
}

TEST(a_name_gives_user_group_home_and_supplementary_groups)
{
	struct user u;

	files();
	u = find("www");
	CHECK_INT(u.uid, 33);
	CHECK_INT(u.gid, 34);
	CHECK_STR(u.home, "/var/www");
	CHECK_INT(u.n_groups, 2);
	CHECK_INT(u.groups[0], 100);
	CHECK_INT(u.groups[1], 101);
}

TEST(a_line_without_a_shell_has_a_home)
{
	struct arena *a = arena_new(0);
	struct err e = { 0 };
	struct user u;

	put("passwd", "web:x:33:34:wve:/srv\n");
	put("group", "");
	CHECK_INT(user_find(root, "web", 65536, a, &u, &e), 0);
	CHECK_STR(u.home, "/srv");
	CHECK(!u.shell);
	arena_free(a);
}

TEST(numbers_are_taken_as_they_are)
{
	struct user u;

	files();
	u = find("33");
	CHECK(u.uid == 33 && u.gid == 34 && u.n_groups == 0);
	CHECK_STR(u.home, "/var/www");
	u = find("77");
	CHECK(u.uid == 77 && u.gid == 0 && u.n_groups == 0);
	CHECK_STR(u.home, "/");
	u = find("77:88");
	CHECK(u.uid == 77 && u.gid == 88);
	u = find("www:88");
	CHECK(u.uid == 33 && u.gid == 88 && u.n_groups == 0);
	u = find("1"); /* CVE-2026-30892: not user 0 */
	CHECK_INT(u.uid, 1);
	u = find("007");
	CHECK_INT(u.uid, 7);
	u = find("homeless");
	CHECK_STR(u.home, "/");
}

TEST(nothing_given_is_root)
{
	struct user u;

	files();
	u = find(NULL);
	CHECK(u.uid == 0 && u.gid == 0);
	CHECK_STR(u.home, "/root");
	u = find("");
	CHECK_INT(u.uid, 0);
	CHECK(unlinkat(root, "etc/passwd", 0) == 0 && unlinkat(root, "etc/group", 0) == 0);
	u = find("root");
	CHECK_INT(u.uid, 0);
	u = find("5:6");
	CHECK(u.uid == 5 && u.gid == 6);
}

TEST(what_is_unknown_or_out_of_range_is_refused)
{
	static const char *const bad[] = {
		"nobody",     "www:nogroup",	      ":",  ":1", "65536", "1:65536", "-1",
		"4294967295", "99999999999999999999", " 1", "1 ", "1x",	   "www:"
	};
	struct user u;

	files();
	for (size_t k = 0; k < sizeof(bad) / sizeof(*bad); k++)
		if (user_find(root, bad[k], 65536, arena, &u, &e) == 0)
			FAIL("'%s' was taken as %u:%u", bad[k], u.uid, u.gid);
	CHECK(user_find(root, "65536", 0, arena, &u, &e) == 0);
	put("passwd", "big:x:70000:0::/:\nbiggroup:x:1:70000::/:\n");
	CHECK(user_find(root, "big", 65536, arena, &u, &e) < 0);
	CHECK(user_find(root, "biggroup", 65536, arena, &u, &e) < 0);
	CHECK(user_find(root, "1", 65536, arena, &u, &e) < 0);
}

TEST(special_files_are_refused_without_waiting)
{
	struct user u;

	files();
	CHECK(unlinkat(root, "etc/passwd", 0) == 0 && mkfifoat(root, "etc/passwd", 0644) == 0);
	alarm(5);
	CHECK(user_find(root, "www", 65536, arena, &u, &e) < 0);
	CHECK_HAS(e.msg, "not a regular file");
	CHECK(unlinkat(root, "etc/passwd", 0) == 0 && mkdirat(root, "etc/passwd", 0755) == 0);
	CHECK(user_find(root, "www", 65536, arena, &u, &e) < 0);
}

TEST(links_stay_inside)
{
	struct user u;

	files();
	CHECK(unlinkat(root, "etc/passwd", 0) == 0);
	CHECK(symlinkat("/etc/passwd", root, "etc/passwd") == 0); /* itself, seen from inside */
	CHECK(user_find(root, "root2", 65536, arena, &u, &e) < 0);
	CHECK(unlinkat(root, "etc/passwd", 0) == 0);
	CHECK(symlinkat("../../../../../../../../etc/group", root, "etc/passwd") == 0);
	CHECK(user_find(root, "a", 65536, arena, &u, &e) <
	      0); /* the group file inside: too few fields */
}

TEST(the_number_of_groups_is_bounded)
{
	auto_free char *text = malloc(1 << 20);
	char *at = text;
	struct user u;

	files();
	for (int k = 0; k <= USER_GROUPS_MAX; k++)
		at += sprintf(at, "g%d:x:%d:www\n", k, k + 100);
	put("group", text);
	CHECK(user_find(root, "www", 65536, arena, &u, &e) < 0);
	CHECK_HAS(e.msg, "more than 1024 groups");
	*strrchr(text, 'g') = '\0';
	*strrchr(text, '\n') = '\0';
	put("group", text);
	u = find("www");
	CHECK_INT(u.n_groups, USER_GROUPS_MAX);
}
