/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/str.h"
#include "runtime/criu.h"
#include "runtime/criu_rpc.h"
#include "tests/unit/test.h"

static void same_bytes(const struct str *m, const char *bytes, size_t len)
{
	CHECK(!m->failed);
	CHECK_INT((int)m->len, (int)len);
	CHECK(memcmp(m->s, bytes, len) == 0);
}

/* The examples of protobuf.dev, "Encoding": 150 as field 1, "testing" as field 2, that message as field 3. */
TEST(numbers_strings_and_messages_are_encoded_as_the_specification_shows)
{
	auto_str struct str a = { 0 }, b = { 0 }, c = { 0 };

	criu_put_number(&a, 1, 150);
	same_bytes(&a, "\x08\x96\x01", 3);
	criu_put_string(&b, 2, "testing");
	same_bytes(&b, "\x12\x07testing", 9);
	criu_put_message(&c, 3, &a);
	same_bytes(&c, "\x1a\x03\x08\x96\x01", 5);
}

TEST(a_negative_number_takes_ten_bytes)
{
	auto_str struct str m = { 0 };

	criu_put_number(&m, 1, -1);
	same_bytes(&m, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
}

TEST(what_is_not_set_is_left_out)
{
	auto_str struct str m = { 0 };

	criu_put_flag(&m, CRIU_SHELL_JOB, false);
	criu_put_string(&m, CRIU_LOG_FILE, NULL);
	CHECK_INT((int)m.len, 0);
	criu_put_flag(&m, CRIU_SHELL_JOB, true);
	same_bytes(&m, "\x38\x01", 2);
}

TEST(fields_above_fifteen_have_longer_keys)
{
	auto_str struct str m = { 0 };

	criu_put_pair(&m, CRIU_EXTERNAL_MOUNT, "/k", "v");
	same_bytes(&m, "\xba\x01\x07\x0a\x02/k\x12\x01v", 10);
	str_free(&m);
	criu_put_number(&m, CRIU_NETWORK_LOCK, CRIU_LOCK_NFTABLES);
	same_bytes(&m, "\x80\x04\x02", 3);
}

TEST(a_request_holds_its_options)
{
	auto_str struct str options = { 0 }, m = { 0 };

	criu_put_inherit_fd(&options, "pipe:[7]", 1);
	criu_put_request(&m, CRIU_RESTORE, &options);
	same_bytes(&m, "\x08\x02\x12\x0f\xda\x01\x0c\x0a\x08pipe:[7]\x10\x01", 19);
	str_free(&m);
	criu_put_notified(&m, false);
	same_bytes(&m, "\x08\x06\x18\x00", 4);
	str_free(&m);
	criu_put_feature_check(&m, true, false);
	same_bytes(&m, "\x08\x09\x2a\x02\x08\x01", 6);
}

TEST(an_answer_is_read_with_what_is_in_it)
{
	static const char restored[] = "\x08\x02\x10\x01\x22\x03\x08\xac\x02";
	static const char notice[] = "\x08\x06\x10\x01\x2a\x0d\x0a\x09post-dump\x10\x2a";
	static const char refused[] = "\x08\x01\x10\x00\x38\x10\x4a\x04no\n!";
	struct criu_answer a;
	struct err e;

	CHECK_INT(criu_answer_parse(restored, sizeof(restored) - 1, &a, &e), 0);
	CHECK_INT(a.type, CRIU_RESTORE);
	CHECK(a.success);
	CHECK_INT(a.pid, 300);
	CHECK_INT(criu_answer_parse(notice, sizeof(notice) - 1, &a, &e), 0);
	CHECK_INT(a.type, CRIU_NOTIFY);
	CHECK_STR(a.script, "post-dump");
	CHECK_INT(a.pid, 42);
	CHECK_INT(criu_answer_parse(refused, sizeof(refused) - 1, &a, &e), 0);
	CHECK(!a.success);
	CHECK_INT(a.error, 16);
	CHECK_STR(a.message, "no !"); /* one line, whatever CRIU says */
}

TEST(unknown_members_of_all_kinds_are_passed_over)
{
	static const char text[] = "\xa0\x06\x01\xa1\x06"
				   "12345678"
				   "\xa2\x06\x02xy\xa5\x06"
				   "1234\x08\x01\x10\x01";
	struct criu_answer a;
	struct err e;

	CHECK_INT(criu_answer_parse(text, sizeof(text) - 1, &a, &e), 0);
	CHECK_INT(a.type, CRIU_DUMP);
	CHECK(a.success);
}

TEST(what_is_no_answer_is_refused)
{
	static const struct {
		const char *bytes;
		size_t len;
	} wrong[] = {
		{ "", 0 },	   /* no type */
		{ "\x10\x01", 2 }, /* neither */
		{ "\x08", 1 },	   /* cut */
		{ "\x08\x80", 2 }, /* a number without its end */
		{ "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 }, /* and without end */
		{ "\x08\x01\x4a\x05ha", 6 }, /* a string longer than the message */
		{ "\x08\x01\x4a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13 },
		{ "\x08\x01\x0b", 3 },			   /* a group */
		{ "\x08\x01\x00\x01", 4 },		   /* field 0 */
		{ "\x08\x06\x10\x01\x2a\x02\x0a\x09", 8 }, /* inside */
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct criu_answer a;
		struct err e = { 0 };

		CHECK_INT(criu_answer_parse(wrong[i].bytes, wrong[i].len, &a, &e), -1);
		CHECK(strstr(e.msg, "cannot be understood"));
	}
}

TEST(the_first_error_of_a_log_is_the_reason)
{
	char told[64] = "";

	CHECK(criu_log_error("(00.01) Version: 4.1\n"
			     "(00.02) Error (criu/util.c:15): rlimit: Can't setup RLIMIT_NOFILE\n"
			     "(00.03) Error (criu/files.c:17): Can't lookup mount=24 for fd=0\n"
			     "(00.04) Error (criu/cr-dump.c:21): Dumping FAILED.\n",
			     told, sizeof(told)));
	CHECK_STR(told, "Can't lookup mount=24 for fd=0");
	CHECK(!criu_log_error("all is well\nError without a place\n", told, sizeof(told)));
	CHECK(!criu_log_error("", told, sizeof(told)));
}
