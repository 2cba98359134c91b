/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/program.h"
#include "runtime/recopy.h"

static struct err e;

/* In the test's directory, with `from` and `to` in it. */
static void sh(const char *script)
{
	char command[16384];

	snprintf(command, sizeof(command), "cd '%s' && set -e && %s", test_dir(), script);
	if (system(command) != 0)
		FAIL("%s", script);
}

static int dir_of(const char *name)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/%s", test_dir(), name);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Names, kinds, modes, owners, times, links, content; and which names are of one file. */
static void compare(void)
{
	sh("look() { find . -mindepth 0 -printf '%p %y %m %U %G %T@ %l\\n' | sort; find . -type f -printf '%p %s %n\\n' | sort;"
	   " find . -type f -exec sha256sum {} + | sort;"
	   " find . -type f -links +1 -printf '%i %p\\n' | sort -k2 | awk '{ if (!($1 in n)) n[$1] = $2; print n[$1], $2 }'; };"
	   " (cd from && look) >1; (cd to && look) >2; diff 1 2");
}

/* The tree @made, copied, changed by @script meanwhile, and copied again. What recopy_finish() says. */
static int copy_while(const char *made, const char *script)
{
	char from[PATH_MAX + 16], to[PATH_MAX + 16];
	int tree, copy, rc;

	sh("rm -rf from to; mkdir from to");
	sh(made);
	usleep(60000); /* what is changed in the same moment as the notes are made is copied in any case */
	tree = dir_of("from");
	copy = dir_of("to");
	snprintf(from, sizeof(from), "%s/from", test_dir());
	snprintf(to, sizeof(to), "%s/to", test_dir());
	struct recopy *r = recopy_begin(tree, &e);

	if (!r || program_copy_tree(from, to, true, &e) < 0)
		FAIL("%s", e.msg);
	sh(script);
	rc = recopy_finish(r, tree, from, copy, to, &e);
	if (rc < 0)
		FAIL("%s: %s", script, e.msg);
	recopy_free(r);
	close(tree);
	close(copy);
	return rc;
}

static bool told_by_times(void)
{
	struct statfs fs;

	return statfs(test_dir(), &fs) == 0 &&
	       (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == BTRFS_SUPER_MAGIC ||
		fs.f_type == 0x58465342);
}

#define TREE                                                                                                                                                      \
	"cd from; mkdir -p a/deep/er b/deep/er c; for i in 1 2 3 4 5; do echo a$i >a/f$i; echo b$i >b/f$i; echo x$i >a/deep/er/$i; echo y$i >b/deep/er/$i; done;" \
	"echo keep >keep; echo one >c/one; ln c/one c/two; ln -s target c/link; mkfifo c/pipe; truncate -s 1M c/holes; chmod 750 c;"                              \
	"touch -d '2001-01-01 00:00:00.5' a/* b/* a/deep/er/* b/deep/er/* a/deep b/deep a b; cd .."

static void check(const char *script)
{
	int rc = copy_while(TREE, script);

	if (!told_by_times()) {
		CHECK_INT(rc, 1);
		return;
	}
	CHECK_INT(rc, 0);
	compare();
}

TEST(nothing_has_changed)
{
	check("stat -c %i to/keep to/a/f1 >before");
	sh("stat -c %i to/keep to/a/f1 | cmp - before");
}

TEST(what_was_written_is_copied_and_what_was_not_stays)
{
	check("stat -c %i to/keep >before; echo more >>from/a/f1; : >from/a/f2; rm from/a/f3; echo new >from/a/new; mkdir -p from/n/e/w; echo n >from/n/e/w/f");
	if (told_by_times())
		sh("stat -c %i to/keep | cmp - before");
}

TEST(content_that_changed_behind_the_same_size_and_time_is_seen)
{
	check("touch -r from/a/f1 time; printf 'A1\\n' | dd of=from/a/f1 conv=notrunc 2>/dev/null; touch -r time from/a/f1");
	check("touch -r from/a/f1 time; echo Z1 >z; touch -r time z; mv z from/a/f1");
	check("mv from/a/f1 t; mv from/b/f1 from/a/f1; mv t from/b/f1");
}

TEST(directories_that_were_exchanged_are_seen)
{
	check("mv from/a from/t; mv from/b from/a; mv from/t from/b");
	check("mv from/a/deep from/t; mv from/b/deep from/a/deep; mv from/t from/b/deep");
	check("mv from/a/deep/er from/t; mv from/b/deep/er from/a/deep/er; mv from/t from/b/deep/er; touch -d 2001-01-01 from/a/deep from/b/deep");
	check("mv from/a from/b/deep/a; mkdir from/a");
	/* one that was another one while it was copied, and is itself again */
	check("mv from/a from/t; mv from/b from/a; mv from/a from/b; mv from/t from/a; rm -r to/a; cp -a from/b to/a");
}

TEST(names_of_one_file_stay_so)
{
	check("ln from/keep from/c/kept; rm from/c/two");
	check("echo other >from/c/three; ln -f from/c/three from/c/two");
	check("ln from/c/one from/a/three; echo more >>from/c/two");
}

TEST(other_kinds_take_the_place_of_what_was_there)
{
	check("rm -r from/a; echo file >from/a; rm from/keep; mkdir from/keep; rm from/c/pipe; ln -s x from/c/pipe; ln -sfn other from/c/link");
	if (geteuid() == 0)
		check("rm -r from/b; mknod from/b c 0 0; chown 7:8 from/c from/keep; chmod 4711 from/keep; chmod 700 from");
}

TEST(attributes_of_directories_are_as_they_are)
{
	char path[PATH_MAX + 16], value[8];

	check("chmod 700 from/a/deep; touch -d 1999-09-09 from/a/deep/er");
	snprintf(path, sizeof(path), "%s/from/c", test_dir());
	if (setxattr(path, "user.kept", "yes", 3, 0) < 0)
		return; /* no such attributes here */
	snprintf(path, sizeof(path), "%s/to/c", test_dir());
	int tree = dir_of("from/c"), copy = dir_of("to/c");

	fsetxattr(copy, "user.gone", "yes", 3, 0);
	CHECK_INT(copy_looks(tree, copy, &e), 0);
	CHECK_INT(getxattr(path, "user.kept", value, sizeof(value)), 3);
	CHECK(getxattr(path, "user.gone", value, sizeof(value)) < 0);
	close(tree);
	close(copy);
}

TEST(too_much_is_said)
{
	CHECK_INT(copy_while(TREE, "cd from; seq 1 5100 | xargs touch; cd .."), 1);
	CHECK_INT(copy_while("mkdir -p from/$(printf 'd/%.0s' $(seq 300))", "true"), 1);
}
