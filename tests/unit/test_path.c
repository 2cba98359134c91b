/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <sys/resource.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"

/* The test's directory, as a descriptor for the rest of its short life. */
static int here(void)
{
	int fd = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static void put(int dir, const char *name, const char *text)
{
	auto_fd int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	CHECK_INT(write(fd, text, strlen(text)), strlen(text));
}

static int same_file(int a, int b)
{
	struct stat x, y;

	CHECK(fstat(a, &x) == 0 && fstat(b, &y) == 0);
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

TEST(no_link_leads_out_of_the_root)
{
	static const char *const ways[] = { "abs", "up", "up/etc", "../../..", "/..", "d/../../.." };
	int root = here(), outside = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	CHECK_INT(mkdirat(root, "d", 0755), 0);
	CHECK_INT(mkdirat(root, "etc", 0755), 0);
	CHECK_INT(symlinkat("/", root, "abs"), 0);
	CHECK_INT(symlinkat("../../../../..", root, "up"), 0);
	CHECK_INT(symlinkat("/proc/self/root", root, "magic"), 0);
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		int fd = path_open_in(root, ways[i], O_PATH | O_DIRECTORY);

		if (fd < 0)
			FAIL("'%s': %s", ways[i], strerror(errno));
		if (same_file(fd, outside))
			FAIL("'%s' leads out", ways[i]);
		close(fd);
	}
	CHECK(path_open_in(root, "magic", O_PATH | O_DIRECTORY) < 0);
}

TEST(missing_directories_are_made_where_links_lead_inside)
{
	int root = here(), made, same;
	struct err e = { 0 };

	CHECK_INT(mkdirat(root, "var", 0755), 0);
	CHECK_INT(symlinkat("/var", root, "link"), 0);
	made = path_make_dir_in(root, "/link/a//b/", 0700, &e);
	CHECK(made >= 0);
	same = openat(root, "var/a/b", O_PATH | O_CLOEXEC);
	CHECK(same >= 0 && same_file(made, same));
	/* Of a path that exists, nothing is made and nothing changes. */
	CHECK(path_make_dir_in(root, "link/a/b", 0755, &e) >= 0);
	CHECK_INT(e.code, 0);
}

TEST(nothing_is_made_behind_a_file_or_links_in_a_circle)
{
	int root = here();
	struct err e = { 0 };

	put(root, "file", "x");
	CHECK_INT(symlinkat("b", root, "a"), 0);
	CHECK_INT(symlinkat("a", root, "b"), 0);
	CHECK_INT(path_make_dir_in(root, "file/d", 0755, &e), -1);
	CHECK_INT(e.code, ENOTDIR);
	CHECK_INT(path_make_dir_in(root, "a/d", 0755, &e), -1);
	CHECK_INT(e.code, ELOOP);
}

TEST(what_a_dangling_link_leads_to_is_made_inside)
{
	int root = here();
	struct err e = { 0 };

	CHECK_INT(symlinkat("/nowhere/else", root, "dangling"), 0);
	CHECK_INT(symlinkat("../../../up", root, "out"), 0);
	CHECK(path_make_dir_in(root, "dangling/d", 0755, &e) >= 0);
	CHECK(faccessat(root, "nowhere/else/d", F_OK, 0) == 0);
	CHECK(path_make_file_in(root, "out", 0644, &e) >= 0);
	CHECK(faccessat(root, "up", F_OK, 0) == 0);
	CHECK(faccessat(root, "../up", F_OK, 0) < 0);
	CHECK(path_make_file_in(root, "dangling/f/g", 0644, &e) >= 0);
	CHECK(faccessat(root, "nowhere/else/f/g", F_OK, 0) == 0);
}

TEST(a_file_is_made_with_its_directories_or_left_as_it_is)
{
	int root = here(), fd;
	struct err e = { 0 };
	struct stat st;

	umask(022);
	fd = path_make_file_in(root, "a/b/file", 0640, &e);
	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	CHECK(S_ISREG(st.st_mode));
	CHECK_INT(st.st_mode & 07777, 0640);
	put(root, "a/b/file", "kept");
	CHECK(path_make_file_in(root, "/a/b/file", 0644, &e) >= 0);
	CHECK(fstatat(root, "a/b/file", &st, 0) == 0 && st.st_size == 4);
}

TEST(the_parent_of_a_path_needs_a_name_below_it)
{
	int root = here();
	struct err e = { 0 };
	const char *name = NULL;

	CHECK(path_open_parent_in(root, "/x", 0, &name, &e) >= 0);
	CHECK_STR(name, "x");
	CHECK(path_open_parent_in(root, "n/e/w", 0755, &name, &e) >= 0);
	CHECK_STR(name, "w");
	CHECK_INT(path_open_parent_in(root, "not/there", 0, &name, &e), -1);
	CHECK_INT(e.code, ENOENT);
	CHECK_INT(path_open_parent_in(root, "a/..", 0, &name, &e), -1);
	CHECK_INT(e.code, ERR_INVALID);
	CHECK_INT(path_open_parent_in(root, "a/", 0, &name, &e), -1);
	CHECK_INT(path_open_parent_in(root, "", 0, &name, &e), -1);
	CHECK_STR(name, "w");
}

TEST(reading_stops_at_the_limit_and_never_blocks)
{
	int dir = here();
	struct err e = { 0 };
	auto_str struct str s = { 0 }, t = { 0 };

	put(dir, "f", "12345");
	CHECK_INT(file_read(dir, "f", 5, &s, &e), 0);
	CHECK_STR(str_text(&s), "12345");
	CHECK_INT(file_read(dir, "f", 4, &t, &e), -1);
	CHECK_HAS(e.msg, "larger than 4 bytes");
	CHECK_INT(mkfifoat(dir, "fifo", 0600), 0);
	CHECK_INT(file_read(dir, "fifo", 100, &t, &e), -1);
	CHECK_HAS(e.msg, "not a regular file");
	CHECK_INT(file_read(dir, ".", 100, &t, &e), -1);
	CHECK_INT(file_read(dir, "absent", 100, &t, &e), -1);
	CHECK_INT(e.code, ENOENT);
	CHECK_INT(file_read_kernel(AT_FDCWD, "/proc/self/status", 1 << 20, &t, &e), 0);
	CHECK_HAS(str_text(&t), "VmRSS");
}

TEST(a_file_is_replaced_at_once_and_nothing_else_appears)
{
	int dir = here();
	struct err e = { 0 };
	auto_str struct str s = { 0 };
	struct stat st;
	int n = 0;
	DIR *d;

	umask(022);
	CHECK_INT(file_replace(dir, "f", "old", 3, 0600, 0, &e), 0);
	CHECK_INT(file_replace(dir, "f", "new one", 7, 0644, 1, &e), 0);
	CHECK_INT(file_read(dir, "f", 100, &s, &e), 0);
	CHECK_STR(str_text(&s), "new one");
	CHECK(fstatat(dir, "f", &st, 0) == 0);
	CHECK_INT(st.st_mode & 0777, 0644);
	CHECK_INT(mkdirat(dir, "in-the-way", 0755), 0);
	CHECK_INT(file_replace(dir, "in-the-way", "x", 1, 0600, 0, &e), -1);
	d = fdopendir(dup(dir));
	CHECK(d);
	for (struct dirent *de; (de = readdir(d));)
		n += *de->d_name != '.' || strlen(de->d_name) > 2;
	closedir(d);
	CHECK_INT(n, 2);
}

TEST(a_tree_is_removed_without_following_links)
{
	int dir = here();
	struct err e = { 0 };

	CHECK_INT(mkdirat(dir, "keep", 0755), 0);
	put(dir, "keep/file", "x");
	CHECK_INT(mkdirat(dir, "t", 0755), 0);
	CHECK_INT(mkdirat(dir, "t/sub", 0755), 0);
	put(dir, "t/sub/file", "x");
	CHECK_INT(symlinkat("../keep", dir, "t/link"), 0);
	CHECK_INT(symlinkat("/", dir, "t/sub/root"), 0);
	CHECK_INT(mkfifoat(dir, "t/fifo", 0600), 0);
	CHECK_INT(tree_remove(dir, "t", &e), 0);
	CHECK(faccessat(dir, "t", F_OK, AT_SYMLINK_NOFOLLOW) < 0);
	CHECK_INT(faccessat(dir, "keep/file", F_OK, 0), 0);
	CHECK_INT(tree_remove(dir, "t", &e), 0);
	CHECK_INT(symlinkat("keep", dir, "link"), 0);
	CHECK_INT(tree_remove(dir, "link", &e), 0);
	CHECK_INT(faccessat(dir, "keep/file", F_OK, 0), 0);
}

TEST(missing_parents_are_made_on_the_host)
{
	struct err e = { 0 };
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/a/b/c/", test_dir());
	CHECK_INT(dir_make_all(path, 0755, &e), 0);
	CHECK_INT(access(path, F_OK), 0);
	CHECK_INT(dir_make_all(path, 0755, &e), 0);
	put(AT_FDCWD, strcat(path, "f"), "x");
	strcat(path, "/d");
	CHECK_INT(dir_make_all(path, 0755, &e), -1);
	CHECK_INT(e.code, ENOTDIR);
}

TEST(a_tree_deeper_than_there_are_descriptors_is_removed)
{
	struct rlimit few = { 64, 64 };
	int dir = open(test_dir(), O_RDONLY | O_DIRECTORY);
	int at = dup(dir);
	struct err e;

	CHECK(mkdirat(dir, "t", 0755) == 0 && mkdirat(dir, "t/.deep-0", 0755) == 0);
	CHECK(mkdirat(dir, "t/.deep-0/x", 0755) == 0);
	for (int i = 0; i < 5000; i++) {
		int next;

		CHECK(i == 0 || mkdirat(at, "d", 0755) == 0);
		CHECK(i % 100 || i == 0 || symlinkat("/", at, "link") == 0);
		next = openat(at, i ? "d" : "t", O_RDONLY | O_DIRECTORY);
		CHECK(next >= 0);
		close(at);
		at = next;
	}
	close(at);
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	if (tree_remove(dir, "t", &e) < 0)
		FAIL("%s", e.msg);
	CHECK(faccessat(dir, "t", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT);
}
