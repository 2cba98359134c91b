/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store as its readers and its remover see it: images are put there as files. How an import writes them
 * is tests/life's, which has root.
 */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "images/images.h"
#include "images/store.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"

static struct err e;
static char root[PATH_MAX / 2];

static void set_root(const char *path)
{
	CHECK(strlen(path) + sizeof("/store") < sizeof(root));
	strcpy(root, path);
}

static struct store *open_store(void)
{
	struct store *s;

	set_root(test_dir());
	strcat(root, "/store");
	s = store_open(root, &e);
	if (!s)
		FAIL("%s", e.msg);
	return s;
}

__attribute__((format(printf, 2, 3))) static void put(const char *path, const char *fmt, ...)
{
	char full[PATH_MAX * 2];
	va_list ap;
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(full, 0700);
		*p = '/';
	}
	f = fopen(full, "w");
	CHECK(f);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	CHECK(fclose(f) == 0);
}

static bool there(const char *path)
{
	char full[PATH_MAX * 2];

	snprintf(full, sizeof(full), "%s/%s", root, path);
	return access(full, F_OK) == 0;
}

/* An id of one letter, 64 times: the root of a layer has the next one's. */
static const char *id_of(int c)
{
	static char ids[4][IMAGE_ID_LEN + 1];
	static int next;
	char *id = ids[next++ % 4];

	memset(id, c, IMAGE_ID_LEN);
	id[IMAGE_ID_LEN] = '\0';
	return id;
}

static void put_image(char id, char layer, const char *ref)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "layers/%s", id_of(layer));
	put(path, "an archive\n");
	snprintf(path, sizeof(path), "roots/%s", id_of(layer + 1));
	put(path, "an index\n");
	snprintf(path, sizeof(path), "images/%s/config.json", id_of(id));
	put(path,
	    "{\"os\":\"linux\",\"config\":{\"Cmd\":[\"/bin/sh\"]},\"rootfs\":{\"type\":\"layers\","
	    "\"diff_ids\":[\"sha256:%s\"]}}",
	    id_of(layer));
	snprintf(path, sizeof(path), "images/%s/meta.json", id_of(id));
	put(path,
	    "{\"format\":2,\"imported\":7,\"size\":6,\"entries\":3,\"root\":\"%s\",\"layers\":[\"%s\"]}",
	    id_of(layer + 1), id_of(layer));
	if (ref) {
		snprintf(path, sizeof(path), "refs/%s", ref);
		put(path, "%s\n", id_of(id));
	}
}

TEST(a_store_is_made_where_there_is_none)
{
	auto_store struct store *s = open_store();
	struct stat st;

	CHECK(stat(root, &st) == 0);
	CHECK_INT(st.st_mode & 07777, 0700);
	CHECK(there("version") && there("layers") && there("images") && there("refs") &&
	      there("tmp"));
	CHECK_STR(store_path(s), root);
	CHECK(store_fd(s) >= 0);
}

TEST(a_store_is_not_made_of_something_else)
{
	set_root(test_dir());
	put("letter", "dear");
	CHECK(chmod(root, 0755) == 0);
	CHECK(!store_open(root, &e));
	CHECK_HAS(e.msg, "something else is in it");
	CHECK(!there("version"));
	CHECK(!store_open("relative", &e));
	CHECK_HAS(e.msg, "not an absolute path");
}

TEST(a_later_format_is_refused)
{
	store_close(open_store());
	put("version", "3\n");
	CHECK(!store_open(root, &e));
	CHECK_INT(e.code, ERR_NOT_SUPPORTED);
}

TEST(an_image_is_found_by_name_and_by_id)
{
	static const char *const names[] = { "debian:13", "aaaa", "aaaaaaaaaaaa" };
	auto_store struct store *s = open_store();

	put_image('a', 'b', "debian@13");
	put_image('c', 'b', NULL);
	for (size_t i = 0; i < 3; i++) {
		struct image *img = image_find(s, names[i], &e);

		if (!img)
			FAIL("%s: %s", names[i], e.msg);
		CHECK_STR(img->id, id_of('a'));
		CHECK_HAS(img->layers[0], "/roots/cccc");
		CHECK(img->index && img->tree < 0);
		CHECK_STR(img->diff_ids[0], id_of('b'));
		CHECK(!img->layers[1]);
		CHECK_STR(img->config.cmd[0], "/bin/sh");
		CHECK_STR(img->names[0], i ? NULL : "debian:13");
		CHECK_INT(img->imported, 7);
		CHECK(!img->directory);
		image_free(img);
	}
	image_free(image_find(s, "sha256:cccc", &e));
}

TEST(what_is_not_there_is_not_found)
{
	auto_store struct store *s = open_store();

	put_image('a', 'b', "debian@13");
	CHECK(!image_find(s, "debian", &e));
	CHECK_INT(e.code, ERR_NO_SUCH);
	CHECK_HAS(e.msg, "did you mean 'debian:13'");
	CHECK(!image_find(s, "aaa", &e)); /* too short for an id */
	CHECK_INT(e.code, ERR_NO_SUCH);
	CHECK(!image_find(s, "bbbb", &e));
	CHECK(!image_find(s, "../images", &e));
	CHECK_INT(e.code, ERR_INVALID);
	CHECK(!image_find(s, "sha256:../x", &e));
	CHECK_INT(e.code, ERR_INVALID);
}

TEST(an_ambiguous_id_is_refused)
{
	auto_store struct store *s = open_store();
	char path[PATH_MAX], id[IMAGE_ID_LEN + 1];

	put_image('a', 'b', NULL);
	strcpy(id, id_of('a'));
	id[IMAGE_ID_LEN - 1] = 'b';
	snprintf(path, sizeof(path), "images/%s/meta.json", id);
	put(path, "{}");
	CHECK(!image_find(s, "aaaaaa", &e));
	CHECK_INT(e.code, ERR_INVALID);
	CHECK_HAS(e.msg, "fits 2 images");
}

TEST(a_name_goes_before_an_id)
{
	auto_store struct store *s = open_store();
	struct image *img;

	put_image('a', 'b', NULL);
	put_image('c', 'b', "aaaa@latest");
	img = image_find(s, "aaaa", &e);
	CHECK(img);
	CHECK_STR(img->id, id_of('c'));
	image_free(img);
}

TEST(images_are_listed_by_name)
{
	auto_store struct store *s = open_store();
	struct image **list;
	size_t n;

	CHECK_INT(image_list(s, &list, &n, &e), 0);
	CHECK_INT(n, 0);
	CHECK(list && !list[0]);
	image_list_free(list);
	put_image('a', 'd', NULL);
	put_image('b', 'd', "z@1");
	put_image('c', 'd', "a@1");
	put("refs/b@1", "%s\n", id_of('c'));
	put("refs/.half-written", "x");
	CHECK_INT(image_list(s, &list, &n, &e), 0);
	CHECK_INT(n, 3);
	CHECK_STR(list[0]->id, id_of('c'));
	CHECK_STR(list[0]->names[0], "a:1");
	CHECK_STR(list[0]->names[1], "b:1");
	CHECK_STR(list[1]->names[0], "z:1");
	CHECK(!list[2]->names[0]);
	image_list_free(list);
}

TEST(a_damaged_image_is_an_error_and_hides_no_other)
{
	auto_store struct store *s = open_store();
	struct image **list;
	char path[PATH_MAX + 64];
	size_t n;

	put_image('a', 'd', "a@1");
	put_image('b', 'd', "b@1");
	put_image('c', 'd', "c@1");
	snprintf(path, sizeof(path), "images/%s/config.json", id_of('b'));
	put(path, "{");
	snprintf(path, sizeof(path), "images/%s/meta.json", id_of('c'));
	put(path, "{\"format\":2,\"root\":\"%s\",\"layers\":[\"%s\"]}", id_of('f'), id_of('e'));
	CHECK(!image_find(s, "b:1", &e));
	CHECK_HAS(e.msg, "image bbbbbbbbbbbb");
	CHECK(!image_find(s, "c:1", &e));
	CHECK_HAS(e.msg, "is missing");
	put("refs/a@2", "../../etc\n");
	CHECK(!image_find(s, "a:2", &e));
	CHECK_HAS(e.msg, "damaged");
	CHECK_INT(image_list(s, &list, &n, &e), 0);
	CHECK_INT(n, 1);
	image_list_free(list);
}

TEST(the_last_name_takes_the_image_along)
{
	auto_store struct store *s = open_store();
	struct image_removed r;
	char path[PATH_MAX + 64];

	put_image('a', 'b', "x@1");
	put("refs/x@2", "%s\n", id_of('a'));
	CHECK_INT(image_remove(s, "x:1", &r, &e), 0);
	CHECK(!r.image);
	CHECK_STR(r.names[0], "x:1");
	CHECK(!r.names[1]);
	arena_free(r.arena);
	CHECK(!there("refs/x@1") && there("refs/x@2"));
	CHECK_INT(image_remove(s, "x:2", &r, &e), 0);
	CHECK(r.image);
	CHECK(r.bytes > 0);
	CHECK_STR(r.id, id_of('a'));
	arena_free(r.arena);
	snprintf(path, sizeof(path), "layers/%s", id_of('b'));
	CHECK(!there(path) && !there("refs/x@2"));
	snprintf(path, sizeof(path), "roots/%s", id_of('c'));
	CHECK(!there(path));
	CHECK_INT(image_remove(s, "x:2", NULL, &e), -1);
	CHECK_INT(e.code, ERR_NO_SUCH);
}

TEST(a_layer_that_another_image_uses_stays)
{
	auto_store struct store *s = open_store();
	struct image_removed r;
	char path[PATH_MAX + 64];

	put_image('a', 'd', "x@1");
	put_image('b', 'd', "y@1");
	CHECK_INT(image_remove(s, id_of('a'), &r, &e), 0);
	CHECK(r.image);
	CHECK_INT(r.bytes, 0);
	arena_free(r.arena);
	snprintf(path, sizeof(path), "layers/%s", id_of('d'));
	CHECK(there(path));
	/* an image that cannot be read may use it too */
	put_image('c', 'd', "z@1");
	snprintf(path, sizeof(path), "images/%s/meta.json", id_of('b'));
	put(path, "{");
	CHECK_INT(image_remove(s, "z:1", NULL, &e), -1);
	CHECK_HAS(e.msg, "image bbbbbbbbbbbb");
	CHECK(there("refs/z@1"));
}

TEST(an_image_that_an_instance_uses_stays)
{
	auto_store struct store *s = open_store();
	struct arena *a = arena_new(0);
	const char *const *users;

	put_image('a', 'b', "x@1");
	put("instances/web/config.json", "{\"image\":\"%s\"}", id_of('a'));
	put("instances/other/config.json", "{\"image\":\"%s\"}", id_of('b'));
	put("instances/half", "not a directory");
	CHECK_INT(image_users(s, id_of('a'), a, &users, &e), 0);
	CHECK_STR(users[0], "web");
	CHECK(!users[1]);
	arena_free(a);
	CHECK_INT(image_remove(s, "x:1", NULL, &e), -1);
	CHECK_INT(e.code, ERR_STATE);
	CHECK_HAS(e.msg, "'web'");
	CHECK(there("refs/x@1"));
}

TEST(what_a_dead_command_left_is_wiped)
{
	auto_store struct store *s = open_store();
	char path[PATH_MAX + 64];
	int lock;

	put_image('a', 'b', "x@1");
	put("tmp/0123/layer/fs/deep/down/file", "left");
	put("tmp/0123/lock", "%s", "");
	put("tmp/nolock/x", "left");
	put("tmp/alive/lock", "%s", "");
	put("tmp/alive/layer/fs/file", "being written");
	snprintf(path, sizeof(path), "%s/tmp/alive/lock", root);
	lock = open(path, O_RDONLY);
	CHECK(flock(lock, LOCK_EX) == 0);
	CHECK_INT(image_remove(s, "x:1", NULL, &e), 0);
	CHECK(!there("tmp/0123") && !there("tmp/nolock"));
	CHECK(there("tmp/alive/layer/fs/file"));
	close(lock);
	put_image('a', 'b', "x@1");
	CHECK_INT(image_remove(s, "x:1", NULL, &e), 0);
	CHECK(!there("tmp/alive"));
}

TEST(a_held_store_is_not_changed_by_others)
{
	auto_store struct store *s = open_store(), *other = store_open(root, &e),
				*third = store_open(root, &e);

	CHECK(other && third);
	CHECK_INT(store_hold(s, &e), 0);
	CHECK_INT(store_hold(other, &e), 0); /* several may hold it */
	CHECK(flock(third->lock, LOCK_EX | LOCK_NB) < 0);
	store_release(s);
	CHECK(flock(third->lock, LOCK_EX | LOCK_NB) < 0);
	store_close(other);
	other = NULL;
	CHECK_INT(flock(third->lock, LOCK_EX | LOCK_NB), 0);
	CHECK(flock(s->lock, LOCK_SH | LOCK_NB) < 0);
}

/* --- A directory in place of an image ------------------------------------------------------------------ */

static const char *make_rootfs(const char *init)
{
	static char dir[PATH_MAX + 64];

	set_root(test_dir());
	put("r/etc/motd", "x");
	if (init) {
		put("r/sbin/init", "%s", init);
		snprintf(dir, sizeof(dir), "%s/r/sbin/init", root);
		CHECK(chmod(dir, 0755) == 0);
	}
	snprintf(dir, sizeof(dir), "%s/r", root);
	return dir;
}

TEST(a_directory_is_an_image_of_one_layer)
{
	const char *dir = make_rootfs(NULL);
	auto_store struct store *s = open_store();
	auto_image struct image *img = image_from_directory(s, dir, &e);

	if (!img)
		FAIL("%s", e.msg);
	CHECK(img->directory && !img->id && !img->names[0] && !img->system);
	CHECK_STR(img->layers[0], dir);
	CHECK(!img->layers[1]);
	CHECK_STR(img->config.cmd[0], "/bin/sh");
	CHECK_STR(img->config.os, "linux");
	CHECK(img->config.architecture);
}

TEST(an_executable_init_makes_a_system)
{
	const char *dir = make_rootfs("#!/bin/sh\n");
	auto_store struct store *s = open_store();
	auto_image struct image *img = image_from_directory(s, dir, &e);
	char path[PATH_MAX + 100];
	struct image *again;

	CHECK(img && img->system);
	CHECK_STR(img->config.cmd[0], "/sbin/init");
	CHECK(!img->config.stop_signal);
	snprintf(path, sizeof(path), "%s/sbin/init", dir);
	CHECK(chmod(path, 0644) == 0);
	again = image_from_directory(s, dir, &e);
	CHECK(again && !again->system);
	image_free(again);
}

TEST(an_init_is_looked_for_inside)
{
	const char *dir = make_rootfs(NULL);
	auto_store struct store *s = open_store();
	char path[PATH_MAX + 100], init[PATH_MAX + 200];
	struct image *img;

	/* absolute, as distributions have it: it must not be the host's own file */
	snprintf(path, sizeof(path), "%s/sbin", dir);
	CHECK(mkdir(path, 0755) == 0);
	snprintf(init, sizeof(init), "%s/init", path);
	CHECK(symlink("/bin/sh", init) == 0);
	img = image_from_directory(s, dir, &e);
	CHECK(img && !img->system);
	image_free(img);
	CHECK(unlink(init) == 0 && mkfifo(init, 0755) == 0);
	img = image_from_directory(s, dir, &e);
	CHECK(img && !img->system);
	image_free(img);
}

TEST(systemd_is_stopped_its_own_way)
{
	const char *dir = make_rootfs(NULL);
	auto_store struct store *s = open_store();
	auto_image struct image *img = NULL;
	char path[PATH_MAX + 100], link[PATH_MAX + 200];

	set_root(dir);
	put("usr/lib/systemd/systemd", "\177ELF");
	put("sbin/x", "x");
	snprintf(path, sizeof(path), "%s/usr/lib/systemd/systemd", dir);
	CHECK(chmod(path, 0755) == 0);
	snprintf(link, sizeof(link), "%s/sbin/init", dir);
	CHECK(symlink("/usr/lib/systemd/systemd", link) == 0);
	img = image_from_directory(s, dir, &e);
	CHECK(img && img->system);
	CHECK_STR(img->config.stop_signal, "SIGRTMIN+3");
}

TEST(the_machine_is_read_from_the_programs)
{
	const char *dir = make_rootfs(NULL);
	auto_store struct store *s = open_store();
	auto_image struct image *img = NULL;
	char path[PATH_MAX + 100];
	unsigned char elf[64] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };
	FILE *f;

	elf[18] = 183; /* EM_AARCH64 */
	snprintf(path, sizeof(path), "%s/bin", dir);
	CHECK(mkdir(path, 0755) == 0);
	snprintf(path, sizeof(path), "%s/bin/sh", dir);
	f = fopen(path, "w");
	CHECK(f && fwrite(elf, sizeof(elf), 1, f) == 1 && fclose(f) == 0);
	img = image_from_directory(s, dir, &e);
	CHECK(img);
	CHECK_STR(img->config.architecture, "arm64");
}

TEST(directories_that_hold_the_store_are_refused)
{
	auto_store struct store *s = open_store();
	char path[PATH_MAX + 100];

	CHECK(!image_from_directory(s, "/", &e));
	CHECK_INT(e.code, ERR_INVALID);
	CHECK(!image_from_directory(s, root, &e));
	CHECK(!image_from_directory(s, test_dir(), &e));
	CHECK_HAS(e.msg, "holds ctr's own store");
	snprintf(path, sizeof(path), "%s/layers", root);
	CHECK(!image_from_directory(s, path, &e));
	CHECK_HAS(e.msg, "part of ctr's own store");
	/* by another name */
	snprintf(path, sizeof(path), "%s/link", test_dir());
	CHECK(symlink("/", path) == 0);
	CHECK(!image_from_directory(s, path, &e));
	CHECK_HAS(e.msg, "'/'");
}

TEST(a_name_that_only_begins_alike_is_another_directory)
{
	auto_store struct store *s = open_store();
	auto_image struct image *img = NULL;
	char path[PATH_MAX + 100];

	snprintf(path, sizeof(path), "%s-not", root);
	CHECK(mkdir(path, 0755) == 0);
	img = image_from_directory(s, path, &e);
	if (!img)
		FAIL("%s", e.msg);
}

TEST(what_is_no_root_filesystem_is_refused)
{
	auto_store struct store *s = open_store();
	char path[PATH_MAX + 100];

	CHECK(!image_from_directory(s, "/proc/self", &e));
	CHECK_HAS(e.msg, "proc");
	CHECK(!image_from_directory(s, "/sys/kernel", &e));
	CHECK(!image_from_directory(s, "/dev/null", &e));
	CHECK(!image_from_directory(s, "/nonexistent", &e));
	set_root(test_dir());
	put("bundle/config.json", "{}");
	put("bundle/rootfs/etc/motd", "x");
	snprintf(path, sizeof(path), "%s/bundle", root);
	CHECK(!image_from_directory(s, path, &e));
	CHECK_HAS(e.msg, "OCI bundle");
	snprintf(path, sizeof(path), "%s/bundle/rootfs", root);
	image_free(image_from_directory(s, path, &e));
}
