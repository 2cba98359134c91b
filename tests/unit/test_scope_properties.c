/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/scope_properties.h"
#include "runtime/spec.h"

/* "NAME TYPE VALUE, ..." */
static const char *text_of(const struct properties *p, struct str *text)
{
	str_free(text);
	for (size_t i = 0; i < p->n; i += 3)
		str_addf(text, "%s%s %s %s", i ? ", " : "", p->v[i], p->v[i + 1], p->v[i + 2]);
	return str_text(text);
}

/* What an annotation comes to; "refused". */
static const char *annotated(const char *name, const char *value, struct str *text)
{
	auto_arena struct arena *a = arena_new(1u << 16);
	char key[100];
	struct key_value annotation = { key, value };
	const struct spec s = { .annotations = &annotation, .n_annotations = 1 };
	struct properties p = { .a = a };
	struct err e;

	snprintf(key, sizeof(key), "%s", name);
	if (properties_add_annotations(&p, &s, &e) < 0)
		return "refused";
	return text_of(&p, text);
}

TEST(annotations_are_properties)
{
	static const char *const cases[][3] = {
		{ "KillSignal", "15", "KillSignal i 15" },
		{ "TasksMax", "uint64 50", "TasksMax t 50" },
		{ "A", "int64 -5", "A x -5" },
		{ "A", "1.5", "A d 1.5" },
		{ "DefaultDependencies", "true", "DefaultDependencies b true" },
		{ "CollectMode", "'inactive'", "CollectMode s inactive" },
		{ "CollectMode", "\"inactive\"", "CollectMode s inactive" },
		{ "TimeoutStopSec", "7", "TimeoutStopUSec t 7000000" },
		{ "TimeoutStopSec", "uint64 7", "TimeoutStopUSec t 7000000" },
		{ "TimeoutStopSec", "1.5", "TimeoutStopUSec t 1500000" },
		{ "TimeoutStopUSec", "uint64 7", "TimeoutStopUSec t 7" },
		{ "Sec", "7", "Sec i 7" },
		{ "After", "['a.service']", "After as 1 a.service" },
		{ "After", "['a.service', \"b.service\"]", "After as 2 a.service b.service" },
		{ "After", "[ 'a' ,'b' ]", "After as 2 a b" },
	};
	auto_str struct str text = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[80];

		snprintf(name, sizeof(name), "org.systemd.property.%s", cases[i][0]);
		CHECK_STR(annotated(name, cases[i][1], &text), cases[i][2]);
	}
	CHECK_STR(annotated("org.systemd", "1", &text), "");
}

TEST(what_is_no_value_is_refused)
{
	static const char *const bad[] = { "",	      "x",	   "'",	   "'a",     "'a\"",
					   "'a'b'",   "[",	   "[]",   "['",     "['a'",
					   "['a',]",  "['a' 'b']", "[a]",  "['a'] ", "uint64",
					   "uint64 ", "1 2",	   "0x10", "nan" };
	auto_str struct str text = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_STR(annotated("org.systemd.property.A", bad[i], &text), "refused");
	CHECK_STR(annotated("org.systemd.property.", "1", &text), "refused");
	CHECK_STR(annotated("org.systemd.property.a-b", "1", &text), "refused");
}

static const char *limited(const struct resources_spec *r, struct str *text)
{
	auto_arena struct arena *a = arena_new(1u << 16);
	struct properties p = { .a = a };

	properties_add_limits(&p, r);
	CHECK(!p.failed);
	return text_of(&p, text);
}

static const char *unified(const char *file, const char *value, struct str *text)
{
	struct key_value pair = { file, value };
	const struct resources_spec r = { .unified = &pair, .n_unified = 1 };

	return limited(&r, text);
}

TEST(limits_are_properties)
{
	const struct resources_spec r = { .memory.limit = { true, 100 },
					  .memory.swap = { true, 150 },
					  .pids_limit = { true, -1 },
					  .cpu = { .shares = { true, 1024 },
						   .quota = { true, 500000 },
						   .period = { true, 900000 },
						   .cpus = "0,8-9" } };
	auto_str struct str text = { 0 };

	CHECK_STR(limited(&r, &text),
		  "MemoryMax t 100, MemorySwapMax t 50, TasksMax t 18446744073709551615, "
		  "CPUQuotaPeriodUSec t 900000, CPUQuotaPerSecUSec t 560000, "
		  "CPUWeight t 100, AllowedCPUs ay 2 1 3");
}

TEST(unified_limits_are_properties)
{
	auto_str struct str text = { 0 };

	CHECK_STR(unified("memory.high", "100\n", &text), "MemoryHigh t 100");
	CHECK_STR(unified("memory.max", "max", &text), "MemoryMax t 18446744073709551615");
	CHECK_STR(unified("cpu.max", "50000 200000", &text),
		  "CPUQuotaPeriodUSec t 200000, CPUQuotaPerSecUSec t 250000");
	CHECK_STR(unified("cpu.max", "max", &text),
		  "CPUQuotaPeriodUSec t 100000, CPUQuotaPerSecUSec t 18446744073709551615");
	CHECK_STR(unified("cpuset.cpus", "3", &text), "AllowedCPUs ay 1 8");
	CHECK_STR(unified("cpuset.mems", "0", &text), "AllowedMemoryNodes ay 1 1");
	CHECK_STR(unified("io.max", "8:0 rbps=1", &text), "");
	CHECK_STR(unified("memory.high", "much", &text), "");
	CHECK_STR(unified("cpuset.cpus", "3-1", &text), "");
	CHECK_STR(unified("cpuset.cpus", "-1", &text), "");
	CHECK_STR(unified("cpuset.cpus", "1,x", &text), "");
	CHECK_STR(unified("cpuset.cpus", "99999999999999999999", &text), "");
}
