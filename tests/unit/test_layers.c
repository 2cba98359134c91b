/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/instances.h"
#include "runtime/layers.h"

#define IMAGE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct err e;

/* One instance in stores of its own, and the open layers. */
struct scene {
	struct instances all;
	struct instance *config;
	struct instance_dir d;
	struct layers l;
};

static struct scene set(void)
{
	struct scene s = { .all = INSTANCES_NONE, .l = LAYERS_NONE };
	static char data[PATH_MAX + 8], run[PATH_MAX + 8];

	snprintf(data, sizeof(data), "%s/data", test_dir());
	snprintf(run, sizeof(run), "%s/run", test_dir());
	if (instances_open(data, run, &s.all, &e) < 0)
		FAIL("%s", e.msg);
	s.config = instance_new();
	s.config->image_id = IMAGE;
	return s;
}

static void make(struct scene *s, const char *name, const char *parent)
{
	if (instance_create(&s->all, name, s->config, parent, false, &s->d, &e) < 0 ||
	    layers_open(&s->all, &s->l, &e) < 0)
		FAIL("%s", e.msg);
}

static void leave(struct scene *s)
{
	layers_close(&s->l);
	instance_close(&s->d);
	instance_free(s->config);
	instances_close(&s->all);
}

static void put(const struct scene *s, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), INSTANCE_UPPER "/%s", name);
	fd = openat(s->d.fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK(fd >= 0);
	close(fd);
}

static bool has(const struct scene *s, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), INSTANCE_UPPER "/%s", name);
	return faccessat(s->d.fd, path, F_OK, 0) == 0;
}

static size_t depth(const struct scene *s)
{
	struct arena *a = arena_new(1u << 20);
	const char *const *paths;
	size_t n = 0;

	if (layers_below(&s->d, a, &paths, &e) < 0)
		FAIL("%s", e.msg);
	while (paths[n])
		CHECK(access(paths[n++], F_OK) == 0);
	arena_free(a);
	return n;
}

TEST(what_was_frozen_lies_below_and_a_rollback_stands_on_it)
{
	char one[LAYER_ID_LEN + 1], two[LAYER_ID_LEN + 1], again[LAYER_ID_LEN + 1];
	struct scene s = set();

	make(&s, "web", NULL);
	CHECK_INT(depth(&s), 0);
	put(&s, "first");
	CHECK(layers_freeze(&s.l, &s.d, one, &e) == 0);
	CHECK(!has(&s, "first"));
	CHECK_INT(depth(&s), 1);
	put(&s, "second");
	CHECK(layers_freeze(&s.l, &s.d, two, &e) == 0);
	CHECK_INT(depth(&s), 2);
	put(&s, "third");
	CHECK(layers_rollback(&s.l, &s.d, one, &e) == 0);
	CHECK(!has(&s, "third"));
	CHECK_INT(depth(&s), 1);
	CHECK(layers_freeze(&s.l, &s.d, again, &e) == 0);
	CHECK_STR(again, one); /* nothing was written since */
	leave(&s);
}

TEST(a_root_whose_mode_changed_is_frozen_anew)
{
	char one[LAYER_ID_LEN + 1], two[LAYER_ID_LEN + 1];
	struct scene s = set();
	struct stat st;

	make(&s, "web", NULL);
	CHECK(layers_freeze(&s.l, &s.d, one, &e) == 0);
	CHECK(fchmodat(s.d.fd, INSTANCE_UPPER, 0711, 0) == 0);
	CHECK(layers_freeze(&s.l, &s.d, two, &e) == 0);
	CHECK(!streq(one, two));
	CHECK(fstatat(s.d.fd, INSTANCE_UPPER, &st, 0) == 0 && (st.st_mode & 07777) == 0711);
	leave(&s);
}

TEST(only_what_nothing_stands_on_is_swept)
{
	char one[LAYER_ID_LEN + 1], two[LAYER_ID_LEN + 1];
	struct snapshot kept = { .name = "kept", .consistency = "application", .created_ns = 7 };
	struct scene s = set();

	make(&s, "web", NULL);
	put(&s, "first");
	CHECK(layers_freeze(&s.l, &s.d, one, &e) == 0);
	put(&s, "second");
	CHECK(layers_freeze(&s.l, &s.d, two, &e) == 0);
	strcpy(kept.layer, two);
	CHECK(snapshot_write(&s.d, &kept, &e) == 0);
	CHECK(layers_rollback(&s.l, &s.d, one, &e) == 0);
	CHECK(layers_sweep(&s.l, &e) == 0);
	CHECK(faccessat(s.l.fd, two, F_OK, 0) == 0);
	CHECK(snapshot_remove(&s.d, "kept", &e) == 0);
	CHECK(layers_sweep(&s.l, &e) == 0);
	CHECK(faccessat(s.l.fd, two, F_OK, 0) < 0);
	CHECK(faccessat(s.l.fd, one, F_OK, 0) == 0);
	leave(&s);
}

TEST(a_damaged_snapshot_stops_the_sweep)
{
	char one[LAYER_ID_LEN + 1];
	struct snapshot snap = { .name = "s", .consistency = "crash" };
	struct scene s = set();
	int dir;

	make(&s, "web", NULL);
	put(&s, "first");
	CHECK(layers_freeze(&s.l, &s.d, one, &e) == 0);
	strcpy(snap.layer, one);
	CHECK(snapshot_write(&s.d, &snap, &e) == 0);
	dir = openat(s.d.fd, "snapshots", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(file_replace(dir, "s", "{", 1, 0600, false, &e) == 0);
	close(dir);
	CHECK(layers_sweep(&s.l, &e) < 0);
	CHECK(faccessat(s.l.fd, one, F_OK, 0) == 0);
	leave(&s);
}

TEST(a_parent_that_is_no_id_is_refused)
{
	struct arena *a = arena_new(1u << 20);
	struct scene s = set();
	const char *const *paths;

	make(&s, "web", NULL);
	CHECK(symlinkat("../../etc", s.d.fd, INSTANCE_PARENT) == 0);
	CHECK(layers_below(&s.d, a, &paths, &e) < 0);
	CHECK_INT(e.code, ERR_INVALID);
	arena_free(a);
	leave(&s);
}

TEST(names_of_snapshots_are_file_names)
{
	static const char *const good[] = { "a", "20261127-101500-2", "before.upgrade_1", "X" };
	static const char *const bad[] = { "",	  ".",	 "..",	".x",	   "-x",
					   "a/b", "a b", "a\n", "\xc3\xa4" };

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		CHECK(snapshot_check_name(good[i], &e) == 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(snapshot_check_name(bad[i], &e) < 0);
}

TEST(snapshots_are_read_as_they_were_written_oldest_first)
{
	struct snapshot one = { .name = "b",
				.created_ns = 1,
				.frozen_us = 12,
				.consistency = "filesystem",
				.by = "schedule" };
	struct snapshot two = { .name = "a", .created_ns = 2, .consistency = "crash" };
	struct snapshot *list, got;
	struct scene s = set();
	size_t n;

	strcpy(one.layer, "0123456789abcdef0123456789abcdef");
	strcpy(two.layer, one.layer);
	make(&s, "web", NULL);
	CHECK(snapshots_list(&s.d, &list, &n, &e) == 0);
	CHECK_INT(n, 0);
	CHECK(snapshot_write(&s.d, &two, &e) == 0 && snapshot_write(&s.d, &one, &e) == 0);
	CHECK(snapshots_list(&s.d, &list, &n, &e) == 0);
	CHECK_INT(n, 2);
	CHECK_STR(list[0].name, "b");
	CHECK_STR(list[0].consistency, "filesystem");
	CHECK_STR(list[0].by, "schedule");
	CHECK_INT(list[0].frozen_us, 12);
	CHECK(!list[1].by);
	free(list);
	CHECK(snapshot_read(&s.d, "c", &got, &e) < 0);
	CHECK_INT(e.code, ERR_NO_SUCH);
	leave(&s);
}
