/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/instances.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct err e;
static char data[PATH_MAX + 8], run[PATH_MAX + 8];

static struct instances open_all(void)
{
	struct instances s = INSTANCES_NONE;

	snprintf(data, sizeof(data), "%s/data", test_dir());
	snprintf(run, sizeof(run), "%s/run", test_dir());
	if (instances_open(data, run, &s, &e) < 0)
		FAIL("%s", e.msg);
	return s;
}

/* Tests keep their instances until they end, as a command would. */
static struct instance *kept[256];
static size_t n_kept;

static struct instance *keep(struct instance *i)
{
	if (n_kept == sizeof(kept) / sizeof(kept[0]))
		FAIL("more instances than a test should need");
	kept[n_kept++] = i;
	return i;
}

__attribute__((destructor)) static void free_kept(void)
{
	while (n_kept)
		instance_free(kept[--n_kept]);
}

static struct instance *config(void)
{
	struct instance *i = keep(instance_new());

	i->image_id = ID;
	return i;
}

static struct instance_dir create(const struct instances *s, const char *name, struct instance *i)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };

	if (instance_create(s, name, i, NULL, false, &d, &e) < 0)
		FAIL("%s", e.msg);
	return d;
}

static int count(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY), n = 0;
	DIR *d = fdopendir(fd);

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

/* Bits that are set in the table of id ranges. */
static int ids_taken(const struct instances *s)
{
	auto_str struct str text = { 0 };
	int n = 0;

	CHECK(file_read(s->run, "idrange", 65536, &text, &e) == 0);
	for (size_t i = 16; i < text.len; i++)
		n += __builtin_popcount((unsigned char)text.s[i]);
	return n;
}

TEST(what_is_created_is_there_and_what_is_removed_is_gone)
{
	struct instances s = open_all();
	struct instance *i = config(), *again;
	struct instance_dir d = create(&s, "web", i);
	struct stat st;
	uint64_t ids = i->ids;

	CHECK(ids > 0);
	CHECK(fstatat(s.dir, "web/" INSTANCE_UPPER, &st, 0) == 0 && (st.st_mode & 07777) == 0755);
	CHECK(fstatat(s.dir, "web/config.json", &st, 0) == 0 && (st.st_mode & 07777) == 0600);
	CHECK_INT(count(s.tmp), 0);
	CHECK_INT(ids_taken(&s), 1);
	again = keep(instance_load(&d, &e));
	CHECK(again && again->ids == ids);
	CHECK_STR(again->uuid, i->uuid);
	CHECK(instance_remove(&d, &e) == 0);
	CHECK(fstatat(s.dir, "web", &st, 0) < 0);
	CHECK_INT(count(s.tmp), 0);
	CHECK_INT(ids_taken(&s), 0);
}

TEST(a_name_is_taken_once)
{
	struct instances s = open_all();
	struct instance_dir d, other = { .fd = -1, .promise = -1 };

	d = create(&s, "web", config());
	CHECK(instance_create(&s, "web", config(), NULL, false, &other, &e) < 0);
	CHECK_INT(e.code, ERR_EXISTS);
	CHECK(instance_create(&s, "web", config(), NULL, true, &other, &e) < 0);
	CHECK_INT(e.code, ERR_EXISTS);
	CHECK_INT(count(s.tmp), 0);
	CHECK_INT(ids_taken(&s), 1);
	instance_close(&d);
	CHECK(instance_open(&s, "web", &d, &e) == 0);
	CHECK(instance_open(&s, "wob", &other, &e) < 0);
	CHECK_INT(e.code, ERR_NO_SUCH);
	CHECK_HAS(e.msg, "did you mean 'web'");
}

TEST(an_instance_on_the_hosts_ids_takes_none)
{
	struct instances s = open_all();
	struct instance *i = config();
	struct instance_dir d;

	i->userns = "host";
	d = create(&s, "", i);
	CHECK_INT(i->ids, 0);
	CHECK_INT(ids_taken(&s), 0);
	CHECK(strlen(d.name) == 8);
	CHECK(instance_remove(&d, &e) == 0);
}

/* In a child that is then killed: what a command leaves that dies there. */
static void die_after(void (*f)(const struct instances *s), const struct instances *s)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		f(s);
		raise(SIGKILL);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status));
}

static void promise_and_die(const struct instances *s)
{
	struct instance *i = config();
	struct instance_dir d;

	i->ephemeral = true;
	if (instance_create(s, "doomed", i, NULL, true, &d, &e) < 0)
		_exit(1);
}

TEST(a_promise_that_was_broken_is_kept_by_the_next)
{
	struct instances s = open_all();
	struct stat st;

	die_after(promise_and_die, &s);
	CHECK(fstatat(s.dir, "doomed", &st, 0) == 0);
	instances_sweep(&s);
	CHECK(fstatat(s.dir, "doomed", &st, 0) < 0);
	CHECK_INT(count(s.tmp), 0);
	CHECK_INT(ids_taken(&s), 0);
}

TEST(an_old_promise_does_not_take_a_new_instance_of_the_name)
{
	struct instances s = open_all();
	struct instance_dir d = create(&s, "web", config());
	struct stat st;

	instance_close(&d);
	CHECK(close(openat(s.tmp, "rm-web", O_WRONLY | O_CREAT, 0600)) == 0);
	instances_sweep(&s);
	CHECK(fstatat(s.dir, "web", &st, 0) == 0);
	CHECK_INT(count(s.tmp), 0);
}

TEST(a_promise_of_somebody_alive_is_left_alone)
{
	struct instances s = open_all(), t = open_all();
	struct instance_dir d;
	struct stat st;

	CHECK(instance_create(&s, "mine", config(), NULL, true, &d, &e) == 0);
	instance_unlock(&d);
	instances_sweep(&t);
	CHECK(fstatat(s.dir, "mine", &st, 0) == 0);
	CHECK_INT(count(s.tmp), 1);
	CHECK(instance_lock(&d, &e) == 0);
	CHECK(instance_remove(&d, &e) == 0);
	CHECK_INT(count(s.tmp), 0);
}

TEST(half_made_and_half_removed_instances_are_finished)
{
	struct instances s = open_all();
	struct instance *i = config();
	struct instance_dir d = create(&s, "web", i);
	char name[64];
	int fd;

	instance_close(&d);
	/* killed right after its rename: all its files are still there */
	snprintf(name, sizeof(name), "del-%llu-0011223344556677", (unsigned long long)i->ids);
	CHECK(renameat(s.dir, "web", s.tmp, name) == 0);
	/* and one that was being made, of which the table knows nothing */
	CHECK(mkdirat(s.tmp, "new-1073807360-0011223344556677", 0700) == 0);
	CHECK_INT(ids_taken(&s), 1);
	/* one that somebody is still working on */
	CHECK(mkdirat(s.tmp, "new-0-8899aabbccddeeff", 0700) == 0);
	fd = openat(s.tmp, "new-0-8899aabbccddeeff", O_RDONLY | O_DIRECTORY);
	CHECK(flock(fd, LOCK_EX) == 0);
	instances_sweep(&s);
	CHECK_INT(count(s.tmp), 1);
	CHECK_INT(ids_taken(&s), 0);
}

TEST(ids_of_all_are_found_again_without_the_table)
{
	struct instances s = open_all();
	struct instance *a = config(), *b = config(), *c = config();
	struct instance_dir da = create(&s, "a", a), db = create(&s, "b", b), dc;

	instance_close(&da);
	instance_close(&db);
	CHECK(unlinkat(s.run, "idrange", 0) == 0);
	dc = create(&s, "c", c);
	instance_close(&dc);
	CHECK(c->ids != a->ids && c->ids != b->ids);
	CHECK_INT(ids_taken(&s), 3);
}

TEST(after_a_reboot_ephemeral_instances_are_removed_and_others_stay)
{
	struct instances s = open_all();
	struct instance *i = config();
	struct instance_dir a, b;
	struct stat st;

	i->ephemeral = true;
	a = create(&s, "gone", i);
	b = create(&s, "stays", config());
	instance_close(&a);
	instance_close(&b);
	instances_sweep(&s);
	CHECK(fstatat(s.dir, "gone", &st, 0) == 0);
	CHECK(unlinkat(s.run, "idrange", 0) == 0); /* as tmpfs would be */
	instances_sweep(&s);
	CHECK(fstatat(s.dir, "gone", &st, 0) < 0);
	CHECK(fstatat(s.dir, "stays", &st, 0) == 0);
	CHECK_INT(ids_taken(&s), 1);
}

TEST(a_lock_waits_and_notices_a_removal)
{
	struct instances s = open_all();
	struct instance_dir d = create(&s, "web", config()), other;
	pid_t pid;
	int status;

	CHECK(instance_look(&s, "web", &other, &e) == 0);
	pid = fork();
	if (pid == 0) { /* a waiter with an open file description of its own */
		struct instance_dir mine;
		struct err why = { 0 };

		_exit(instance_open(&s, "web", &mine, &why) < 0 && why.code == ERR_NO_SUCH ? 7 : 8);
	}
	usleep(50000);
	CHECK(instance_remove(&d, &e) == 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(WEXITSTATUS(status), 7);
	CHECK(instance_lock(&other, &e) < 0);
	CHECK_INT(e.code, ERR_NO_SUCH);
}

TEST(patterns_match_and_names_must_exist)
{
	struct instances s = open_all();
	const char *all[] = { "web1", "web2", "db" };
	const char *globs[] = { "web*", "web1", NULL }, *none[] = { "x*", NULL },
		   *bad[] = { "nope", NULL };
	char **names;
	size_t n;

	for (int k = 0; k < 3; k++) {
		struct instance_dir d = create(&s, all[k], config());

		instance_close(&d);
	}
	CHECK(instances_match(&s, NULL, &names, &n, &e) == 0);
	CHECK_INT(n, 3);
	CHECK_STR(names[0], "db");
	CHECK(!names[3]);
	free(names);
	CHECK(instances_match(&s, globs, &names, &n, &e) == 0);
	CHECK_INT(n, 2);
	CHECK_STR(names[1], "web2");
	free(names);
	CHECK(instances_match(&s, none, &names, &n, &e) == 0);
	CHECK_INT(n, 0);
	free(names);
	CHECK(instances_match(&s, bad, &names, &n, &e) < 0);
	CHECK_INT(e.code, ERR_NO_SUCH);
}

TEST(ten_processes_create_and_remove_without_losing_an_id)
{
	struct instances s = open_all();
	int failed = 0, status;

	for (int p = 0; p < 10; p++) {
		if (fork() == 0) {
			for (int k = 0; k < 10; k++) {
				struct instance *i = config();
				struct instance_dir d;

				if (instance_create(&s, "", i, NULL, k % 2, &d, &e) < 0 ||
				    instance_remove(&d, &e) < 0)
					_exit(1);
				instances_sweep(&s);
			}
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		failed += status != 0;
	CHECK_INT(failed, 0);
	CHECK_INT(count(s.tmp), 0);
	CHECK_INT(ids_taken(&s), 0);
}

TEST(an_exit_is_recorded)
{
	struct instances s = open_all();
	struct instance_dir d = create(&s, "web", config());
	struct instance_exit x = { .code = 3, .time = 5 }, got;

	CHECK(instance_read_exit(&d, &got, &e) < 0);
	CHECK_INT(e.code, ERR_NO_SUCH);
	CHECK(instance_write_exit(&d, &x, true, &e) == 0);
	CHECK(instance_read_exit(&d, &got, &e) == 0);
	CHECK_INT(got.code, 3);
}
