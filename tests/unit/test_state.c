/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/state.h"
#include "tests/unit/test.h"

TEST(a_journal_names_what_is_to_be_undone)
{
	char text[] = "root /sys/fs/cgroup\ncgroup 1 ctr-oci-a..b\ncgroup 2 ctr/web\n";
	struct journal j;
	struct err e;

	CHECK_INT(journal_parse(text, &j, &e), 0);
	CHECK_STR(j.cgroup_root, "/sys/fs/cgroup");
	CHECK_INT((int)j.n, 2);
	CHECK_STR(j.cgroups[0].path, "ctr-oci-a..b"); /* dots inside a name lead nowhere */
	CHECK_INT((int)j.cgroups[0].levels, 1);
	CHECK_STR(j.cgroups[1].path, "ctr/web");
	CHECK_INT((int)j.cgroups[1].levels, 2);
}

TEST(a_journal_line_without_its_end_was_never_acted_upon)
{
	char text[] = "root /sys/fs/cgroup\ncgroup 1 ctr-oci-we";
	struct journal j;
	struct err e;

	CHECK_INT(journal_parse(text, &j, &e), 0);
	CHECK_INT((int)j.n, 0);
}

TEST(a_journal_that_is_not_ours_removes_nothing)
{
	static const char *const wrong[] = {
		"root /sys/fs/cgroup\ncgroup 1 ../system.slice\n",
		"root /sys/fs/cgroup\ncgroup 1 a/../../b\n",
		"root /sys/fs/cgroup\ncgroup 1 /a\n",
		"root /sys/fs/cgroup\ncgroup 0 a\n",
		"root /sys/fs/cgroup\ncgroup 65 a\n",
		"root /sys/fs/cgroup\nmount veth0\n",
		"cgroup 1 a\n",
		"root /sys/fs/cgroup\ncgroup 1 \n",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[128];
		struct journal j;
		struct err e;

		strcpy(text, wrong[i]);
		CHECK_INT(journal_parse(text, &j, &e), -1);
		CHECK(strstr(e.msg, "makes no sense"));
	}
}

TEST(the_start_time_of_a_process_survives_any_name)
{
	struct process_stat p = { 0 };

	CHECK_INT(process_stat_parse("7 (a) R 1 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 "
				     "4711 5 6 7 8 9 10 11 12 13 14 1073745921 16",
				     &p),
		  0);
	CHECK_INT(p.state, 'S');
	CHECK_INT((int)p.start, 4711);
	CHECK_INT((int)p.ignored, 0x40001001);
	CHECK_INT(process_stat_parse("7 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 0 5 6 7 "
				     "8 9 10 11 12 13 14 0 16",
				     &p),
		  0);
	CHECK_INT((int)p.start, 1); /* 0 would be none */
	CHECK_INT(process_stat_parse("7 (a", &p), -1);
}

TEST(a_state_belongs_to_its_directory)
{
	struct arena *a = arena_new(0);
	const char *text = "{\"id\":\"web\",\"pid\":17,\"pidStart\":18446744073709551615}";
	struct state s;
	struct err e;

	CHECK_INT(state_parse(text, strlen(text), "web", a, &s, &e), 0);
	CHECK_INT(s.pid, 17);
	CHECK(s.pid_start == UINT64_MAX);
	CHECK_INT(state_parse(text, strlen(text), "db", a, &s, &e), -1);
	CHECK_INT(state_parse("{\"pid\":-1}", 10, "db", a, &s, &e), -1);
	arena_free(a);
}
