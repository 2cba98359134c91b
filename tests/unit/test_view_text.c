/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/views.h"
#include "tests/unit/test.h"

/* A directory for files such as a cgroup has. */
static int make_dir(const char *name)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/%.20s", test_dir(), name);
	CHECK(mkdir(path, 0700) == 0);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void put(int dir, const char *name, const char *text)
{
	struct err e;

	CHECK(file_replace(dir, name, text, strlen(text), 0600, 0, &e) == 0);
}

static int64_t seconds_ago(int64_t seconds)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (t.tv_sec - seconds) * 1000000000ll + t.tv_nsec;
}

TEST(memory_is_what_the_tightest_limit_leaves)
{
	auto_fd int group = make_dir("group"), payload = make_dir("group/payload");
	struct share s = { .cgroup = payload, .file = -1 };
	auto_str struct str text = { 0 };
	struct err e = { 0 };

	/* 64 MiB for the group, of which another part of it uses some; "max" for the payload */
	put(group, "memory.max", "67108864\n");
	put(group, "memory.current", "33554432\n");
	put(group, "memory.swap.max", "0\n");
	put(payload, "memory.max", "max\n");
	put(payload, "memory.current", "16777216\n");
	put(payload, "memory.stat",
	    "anon 8388608\nfile 4194304\ninactive_file 1048576\nactive_file 2097152\nshmem 1048576\nslab_reclaimable 1048576\n");
	CHECK(view_write("meminfo", &s, &text, &e) == 0);
	CHECK_HAS(text.s, "MemTotal:          65536 kB\n");
	CHECK_HAS(text.s, "MemFree:           32768 kB\n");
	CHECK_HAS(text.s, "MemAvailable:      36864 kB\n");
	CHECK_HAS(text.s, "Cached:             4096 kB\n");
	CHECK_HAS(text.s, "Shmem:              1024 kB\n");
	CHECK_HAS(text.s, "SwapTotal:             0 kB\n");
}

TEST(processors_are_those_of_the_cpuset)
{
	auto_fd int group = make_dir("cpus");
	struct share s = { .cgroup = group, .begun_ns = seconds_ago(100), .file = -1 };
	auto_str struct str text = { 0 }, online = { 0 }, info = { 0 };
	struct err e = { 0 };

	put(group, "cpuset.cpus.effective", "0,2-3\n");
	put(group, "cpu.stat", "usage_usec 30000000\nuser_usec 24000000\nsystem_usec 6000000\n");
	CHECK(view_write("stat", &s, &text, &e) == 0);
	/* of 300 seconds of three processors 30 were used, and each says a third */
	CHECK_HAS(text.s, "cpu  2400 0 600 2700");
	CHECK_HAS(text.s, "\ncpu0 800 0 200 900");
	CHECK_HAS(text.s, "\ncpu2 800 0 200 900");
	CHECK_HAS(text.s, "\ncpu3 800 ");
	CHECK(!strstr(text.s, "cpu1 "));
	CHECK(view_write("online", &s, &online, &e) == 0);
	CHECK_STR(online.s, "0,2-3\n");
	put(group, "cpuset.cpus.effective", "0\n");
	CHECK(view_write("cpuinfo", &s, &info, &e) == 0);
	CHECK_HAS(info.s, "processor\t: 0\n");
	CHECK(!strstr(info.s, "processor\t: 1\n"));
}

TEST(load_is_what_was_used_since)
{
	auto_fd int group = make_dir("load");
	struct share s = { .cgroup = group, .begun_ns = seconds_ago(3600), .file = -1 };
	auto_str struct str text = { 0 };
	struct err e = { 0 };

	/* two processors, an hour long */
	put(group, "cpu.stat", "usage_usec 7200000000\nuser_usec 7200000000\nsystem_usec 0\n");
	put(group, "pids.current", "7\n");
	CHECK(view_write("loadavg", &s, &text, &e) == 0);
	CHECK(str_after(text.s, "2.00 2.00 1.9") || str_after(text.s, "1.99 1.99 1.9"));
	CHECK_HAS(text.s, " 1/7 ");
}

TEST(what_is_no_cgroup_has_no_views)
{
	auto_fd int group = make_dir("none");
	struct share s = { .cgroup = group, .file = -1 };
	auto_str struct str text = { 0 };
	struct err e = { 0 };

	CHECK(view_write("stat", &s, &text, &e) < 0);
	CHECK(view_write("meminfo", &s, &text, &e) < 0);
	CHECK(view_write("version", &s, &text, &e) < 0);
	CHECK_INT((int)e.code, ERR_INVALID);
}
