/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/capability.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/resource.h>

#include "runtime/base/table.h"
#include "runtime/caps.h"
#include "runtime/names.h"
#include "tests/unit/test.h"

/* Every name is found, and its number's name is it or an earlier synonym. */
static void round_trip(const struct name_value *table, size_t rows)
{
	size_t n = 0;

	for (const struct name_value *row = table; row->name; row++, n++) {
		const char *name = table_name(table, row->value);
		long value = -1;

		CHECK(table_value(table, row->name, &value));
		CHECK_INT(value, row->value);
		CHECK(name && table_value(table, name, &value));
		CHECK_INT(value, row->value);
		for (const struct name_value *other = table; other < row; other++)
			CHECK(strcmp(other->name, row->name) != 0);
	}
	CHECK_INT(n, rows);
}

static void unique(const struct name_value *table, size_t rows)
{
	round_trip(table, rows);
	for (; table->name; table++)
		CHECK_STR(table_name(table, table->value), table->name);
}

TEST(tables_round_trip)
{
	unique(namespace_names, 8);
	unique(rlimit_names, 16);
	unique(propagation_names, 8);
	unique(sched_policy_names, 7);
	unique(sched_flag_names, 7);
	unique(io_class_names, 3);
	unique(memory_policy_names, 7);
	unique(memory_policy_flag_names, 3);
	unique(personality_names, 2);
	round_trip(signal_names, 34);
	round_trip(seccomp_action_names, 9);
	round_trip(seccomp_op_names, 7);
}

TEST(unknown_names_leave_the_value_alone)
{
	long value = 42;

	CHECK(!table_value(namespace_names, "net", &value));
	CHECK(!table_value(namespace_names, "", &value));
	CHECK(!table_value(rlimit_names, "rlimit_nofile", &value));
	CHECK_INT(value, 42);
	CHECK(!table_name(namespace_names, 1));
}

TEST(each_rlimit_of_the_kernel_has_a_name)
{
	for (int i = 0; i < RLIM_NLIMITS; i++)
		CHECK(table_name(rlimit_names, i));
}

TEST(signals_are_written_in_many_ways)
{
	CHECK_INT(signal_number("15"), 15);
	CHECK_INT(signal_number("TERM"), SIGTERM);
	CHECK_INT(signal_number("SIGTERM"), SIGTERM);
	CHECK_INT(signal_number("sigterm"), SIGTERM);
	CHECK_INT(signal_number("Kill"), SIGKILL);
	CHECK_INT(signal_number("SIGIOT"), SIGABRT);
	CHECK_INT(signal_number("RTMIN"), SIGRTMIN);
	CHECK_INT(signal_number("SIGRTMIN+3"), SIGRTMIN + 3);
	CHECK_INT(signal_number("rtmax-1"), SIGRTMAX - 1);
	CHECK_INT(signal_number("64"), 64);
	CHECK_STR(table_name(signal_names, SIGABRT), "ABRT");
	for (int i = 1; i < 32; i++)
		CHECK(table_name(signal_names, i));
}

TEST(what_is_no_signal_is_refused)
{
	static const char *const bad[] = { "",	     "0",	 "65",	    "-1",      "+9",
					   "9 ",     "SIG",	 "TER",	    "TERMX",   "SIGSIGTERM",
					   "RTMIN+", "RTMIN+99", "RTMIN-1", "RTMAX+1", "RTMINx",
					   "9x",     NULL };

	for (const char *const *b = bad; *b; b++)
		if (signal_number(*b) != -1)
			FAIL("'%s' is signal %d", *b, signal_number(*b));
}

TEST(capabilities_have_the_names_that_libcap_gives_them)
{
	int n = 0;

	for (; n <= CAP_LAST_CAP; n++) {
		cap_value_t value = -1;

		CHECK(cap_name(n));
		CHECK_INT(cap_from_name(cap_name(n), &value), 0);
		CHECK_INT(value, n);
		CHECK_INT(cap_number(cap_name(n)), n);
	}
	CHECK(!cap_name(-1));
	CHECK(!cap_name(64));
}

TEST(capability_names_are_exact)
{
	CHECK_INT(cap_number("CAP_CHOWN"), CAP_CHOWN);
	CHECK_INT(cap_number("cap_chown"), -1);
	CHECK_INT(cap_number("CHOWN"), -1);
	CHECK_INT(cap_number("CAP_"), -1);
	CHECK_INT(cap_number("CAP_CHOWNX"), -1);
	CHECK_INT(cap_number("0"), -1);
	CHECK_INT(cap_number(""), -1);
}
