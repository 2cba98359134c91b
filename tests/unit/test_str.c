/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "runtime/base/str.h"

TEST(a_buffer_grows_and_stays_terminated)
{
	auto_str struct str b = { 0 };

	CHECK_STR(str_text(&b), "");
	for (int i = 0; i < 1000; i++)
		str_addf(&b, "%d,", i % 10);
	CHECK_INT(b.len, 2000);
	CHECK_INT(strlen(b.s), 2000);
	CHECK(!b.failed);
	str_add_n(&b, "x\0y", 3);
	CHECK_INT(b.len, 2003);
	CHECK_INT(b.s[2003], 0);
}

TEST(a_prefix_is_found_or_not)
{
	CHECK_STR(str_after("lowerdir=a", "lowerdir="), "a");
	CHECK_STR(str_after("ab", "ab"), "");
	CHECK(!str_after("a", "ab"));
}

TEST(a_number_is_parsed_whole_or_refused)
{
	static const char *const bad[] = { "",	   " 1",  "1 ",	 "+1", "-1",
					   "0x10", "1e3", "1.0", "--", "18446744073709551616",
					   "11",   "-" };
	uint64_t v = 42;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (parse_u64(bad[i], 0, strcmp(bad[i], "11") ? UINT64_MAX : 10, &v) == 0)
			FAIL("'%s' was taken for %llu", bad[i], (unsigned long long)v);
		CHECK_INT(v, 42);
	}
	CHECK_INT(parse_u64("18446744073709551615", 0, UINT64_MAX, &v), 0);
	CHECK(v == UINT64_MAX);
	CHECK_INT(parse_u64("007", 7, 7, &v), 0);
	CHECK_INT(v, 7);
}

TEST(a_signed_number_is_parsed_whole_or_refused)
{
	int64_t v = 42;

	CHECK_INT(parse_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &v), 0);
	CHECK(v == INT64_MIN);
	CHECK_INT(parse_i64("-1000", -1000, 1000, &v), 0);
	CHECK_INT(v, -1000);
	CHECK_INT(parse_i64("-1001", -1000, 1000, &v), -1);
	CHECK_INT(parse_i64("9223372036854775808", INT64_MIN, INT64_MAX, &v), -1);
	CHECK_INT(parse_i64("- 1", -10, 10, &v), -1);
	CHECK_INT(parse_i64("", -10, 10, &v), -1);
	CHECK_INT(v, -1000);
}

TEST(a_mode_is_octal_and_at_most_07777)
{
	unsigned v = 1;

	CHECK_INT(parse_mode("0755", &v), 0);
	CHECK_INT(v, 0755);
	CHECK_INT(parse_mode("7777", &v), 0);
	CHECK_INT(v, 07777);
	CHECK_INT(parse_mode("10000", &v), -1);
	CHECK_INT(parse_mode("0799", &v), -1);
	CHECK_INT(parse_mode("", &v), -1);
	CHECK_INT(parse_mode("-1", &v), -1);
	CHECK_INT(v, 07777);
}

TEST(sizes_are_read_as_people_write_them)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "65536", 65536 },
		{ "512k", 512 << 10 },
		{ "512K", 512 << 10 },
		{ "512M", 512 << 20 },
		{ "512MiB", 512 << 20 },
		{ "512MB", 512 << 20 },
		{ "1.5G", 3ULL << 29 },
		{ "2T", 2ULL << 40 },
		{ "0", 0 },
		{ "0.5k", 512 },
		{ "8P", 8ULL << 50 },
		{ "100b", 100 },
		{ "16383P", 16383ULL << 50 },
	};
	static const char *const bad[] = { "",
					   "M",
					   "1.M",
					   ".5M",
					   "-1",
					   "1 M",
					   "1MM",
					   "1Mib ",
					   "1Z",
					   "0x1",
					   "1e3",
					   "16384P",
					   "18446744073709551616" };
	uint64_t v;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		v = 42;
		if (parse_size(good[i].text, &v) < 0 || v != good[i].bytes)
			FAIL("'%s' gives %llu", good[i].text, (unsigned long long)v);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		v = 42;
		if (parse_size(bad[i], &v) == 0)
			FAIL("'%s' was taken for %llu", bad[i], (unsigned long long)v);
		CHECK_INT(v, 42);
	}
}

TEST(sizes_are_printed_for_people)
{
	char buf[16];

	CHECK_STR(format_size(0, buf, sizeof(buf)), "0 B");
	CHECK_STR(format_size(1023, buf, sizeof(buf)), "1023 B");
	CHECK_STR(format_size(1536, buf, sizeof(buf)), "1.5 KiB");
	CHECK_STR(format_size(512 << 20, buf, sizeof(buf)), "512 MiB");
	CHECK_STR(format_size(UINT64_MAX, buf, sizeof(buf)), "16 EiB");
}

TEST(the_nearest_word_is_suggested_only_if_near)
{
	static const char *const words[] = { "memory", "hostname", "rm", "run", NULL };

	CHECK_STR(str_nearest("memroy", words), "memory");
	CHECK_STR(str_nearest("hostnam", words), "hostname");
	CHECK_STR(str_nearest("runn", words), "run");
	CHECK(!str_nearest("network", words));
	/* Two edits make any two letters of any other two. */
	CHECK(!str_nearest("xy", words));
	CHECK(!str_nearest(
		"a-word-of-more-than-sixty-four-characters-that-was-surely-not-mistyped-", words));
}

TEST(a_list_of_numbers_becomes_a_mask)
{
	static const char *const wrong[] = { "",    ",",  "1,",	  ",1", "-",	 "1-",	"-1",
					     "2-1", "64", "0-64", "a",	"1 - 2", "0x1", "1-2-3" };
	unsigned long mask[1] = { 0 };

	CHECK_INT(parse_bits("0-3,7,63", mask, 64), 0);
	CHECK(mask[0] == (0x8full | 1ull << 63));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		mask[0] = 0;
		if (parse_bits(wrong[i], mask, 64) == 0)
			FAIL("'%s' is accepted", wrong[i]);
	}
}
