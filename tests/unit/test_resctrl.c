/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "runtime/resctrl.h"

/* As the kernel prints them. */
static const char now[] = "    MB:0=100;1= 50\n    L3:0=00ff;1=0C0\nL3CODE:0=3\n";

TEST(what_is_asked_for_may_be_less_than_all)
{
	CHECK(resctrl_has(now, ""));
	CHECK(resctrl_has(now, "L3:0=ff"));
	CHECK(resctrl_has(now, "L3:1=c0;0=0ff\nMB:0=100\n"));
	CHECK(resctrl_has(now, "MB:0=0100;1=50;"));
	CHECK(resctrl_has(now, "L3CODE:0=3"));
}

TEST(another_number_domain_or_resource_is_not_there)
{
	CHECK(!resctrl_has(now, "L3:0=f"));
	CHECK(!resctrl_has(now, "L3:0=fff"));
	CHECK(!resctrl_has(now, "L3:2=ff"));
	CHECK(!resctrl_has(now, "L2:0=ff"));
	CHECK(!resctrl_has(now, "L3:0=ff\nMB:0=10"));
	CHECK(!resctrl_has("", "L3:0=ff"));
}

TEST(what_makes_no_sense_is_not_there)
{
	CHECK(!resctrl_has(now, "L3"));
	CHECK(!resctrl_has(now, "L3:ff"));
	CHECK(!resctrl_has(now, "L3:0=ff;x"));
	CHECK(!resctrl_has("L3", "L3:0=ff"));
}

TEST(a_line_is_found_whole)
{
	size_t len = 0;
	const char *line = resctrl_line(now, "L3:", &len);

	CHECK(line && len == strlen("L3:0=00ff;1=0C0") &&
	      memcmp(line, "L3:0=00ff;1=0C0", len) == 0);
	line = resctrl_line(now, "L3CODE:", &len);
	CHECK(line && len == strlen("L3CODE:0=3"));
	CHECK(!resctrl_line(now, "L2:", &len));
	CHECK(!resctrl_line("", "L3:", &len));
}
