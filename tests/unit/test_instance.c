/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"
#include "runtime/instance.h"

#define ID	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define MINIMAL "{\"version\":1,\"image-id\":\"" ID "\"}"

static struct instance *parse(const char *text)
{
	struct err e = { 0 };
	struct instance *i = instance_parse(text, strlen(text), &e);

	if (!i)
		FAIL("'%s': %s", text, e.msg);
	return i;
}

static void refused(const char *members, const char *why)
{
	struct err e = { 0 };
	char text[2048];

	snprintf(text, sizeof(text), "{\"version\":1,\"image-id\":\"" ID "\",%s}", members);
	if (instance_parse(text, strlen(text), &e))
		FAIL("'%s' was taken", members);
	CHECK_HAS(e.msg, why);
}

TEST(what_is_written_is_read_and_written_again_the_same)
{
	static const char full[] =
		"{\"version\":1,\"uuid\":\"0123456789abcdef0123456789abcdef\",\"created\":\"2026-11-21T08:52:20Z\","
		"\"image\":\"debian:13\",\"image-id\":\"" ID
		"\",\"ids\":1073741824,\"ephemeral\":true,"
		"\"system\":true,\"profile\":\"system\",\"entrypoint\":[],\"command\":[\"sh\",\"-c\",\"a\\nb\"],"
		"\"env\":[\"A=\",\"B=x=y\"],\"workdir\":\"/w\",\"user\":\"www:33\",\"hostname\":\"h.example\","
		"\"volume\":[\"/a:/b:ro,noidmap\",\"/c:/d\"],\"memory\":536870912,\"cpus\":\"1.5\",\"pids\":100,"
		"\"read-only\":true,\"tty\":true,\"interactive\":true,\"net\":[\"bridge:ip=10.77.100.5\",\"lab\"],\"publish\":[\"8080:80\"],\"userns\":\"own\","
		"\"cap-add\":[\"CAP_NET_ADMIN\"],\"cap-drop\":[\"ALL\"],\"stop-signal\":\"SIGRTMIN+3\","
		"\"stop-timeout\":0}";
	struct instance *i = parse(full), *again;
	struct str one = { 0 }, two = { 0 };

	CHECK(i->entrypoint && !*i->entrypoint);
	CHECK_STR(i->command[2], "a\nb");
	CHECK_STR(i->env[1], "B=x=y");
	CHECK_INT(i->cpus, 1500);
	CHECK(i->has_stop_timeout && i->stop_timeout == 0);
	instance_dump(i, &one);
	again = parse(str_text(&one));
	instance_dump(again, &two);
	CHECK_STR(str_text(&one), str_text(&two));
	CHECK_HAS(str_text(&one), "\"entrypoint\": []");
	CHECK_HAS(str_text(&one), "\"stop-timeout\": 0");
	instance_free(i);
	instance_free(again);
	str_free(&one);
	str_free(&two);
}

TEST(what_is_not_given_stays_out_of_the_file)
{
	struct instance *i = parse(MINIMAL);
	struct str out = { 0 };

	instance_dump(i, &out);
	CHECK(!strstr(str_text(&out), "entrypoint"));
	CHECK(!strstr(str_text(&out), "stop-timeout"));
	CHECK(!strstr(str_text(&out), "false"));
	CHECK(!i->has_stop_timeout && !i->entrypoint && !i->memory);
	instance_free(i);
	str_free(&out);
}

TEST(an_unknown_key_is_refused_with_the_nearest)
{
	refused("\"memori\":1000000", "did you mean 'memory'");
	refused("\"read_only\":true", "did you mean 'read-only'");
	refused("\"zzzzzzzz\":1", "unknown key 'zzzzzzzz'");
}

TEST(values_have_types_ranges_and_grammars)
{
	refused("\"memory\":\"512M\"", "memory");
	refused("\"memory\":4096", "memory");
	refused("\"memory\":-1", "memory");
	refused("\"pids\":0", "pids");
	refused("\"pids\":4194305", "pids");
	refused("\"cpus\":\"0\"", "cpus");
	refused("\"ids\":4294967295", "ids");
	refused("\"net\":[\"a b\"]", "the name of a network");
	refused("\"net\":[\"lab:ip=x\"]", "NETWORK:ip=ADDRESS");
	refused("\"publish\":[\"80\"]", "PORT:PORT");
	refused("\"userns\":\"private\"", "userns");
	refused("\"env\":[\"A\"]", "NAME=VALUE");
	refused("\"env\":[\"=A\"]", "NAME=VALUE");
	refused("\"env\":\"A=B\"", "env");
	refused("\"workdir\":\"w\"", "absolute");
	refused("\"hostname\":\"a b\"", "hostname");
	refused("\"hostname\":\"-a\"", "hostname");
	refused("\"hostname\":\"a..b\"", "hostname");
	refused("\"user\":\":1\"", "user");
	refused("\"user\":\"a\\nb\"", "control");
	refused("\"cap-add\":[\"CAP_NOPE\"]", "CAP_NOPE");
	refused("\"cap-add\":[\"ALL\"]", "ALL");
	refused("\"stop-signal\":\"SIGNOPE\"", "SIGNOPE");
	refused("\"stop-timeout\":86401", "stop-timeout");
	refused("\"volume\":[\"/a\"]", "SOURCE:TARGET");
	refused("\"tty\":null", "null");
	refused("\"rootfs\":\"/x\"", "one of both");
	refused("\"memory\":1000000,\"memory\":2000000", "memory");
}

TEST(another_version_of_the_format_is_refused)
{
	struct err e = { 0 };
	const char *later = "{\"version\":2}", *none = "{}", *empty = "";

	CHECK(!instance_parse(later, strlen(later), &e));
	CHECK_HAS(e.msg, "version 2");
	CHECK(!instance_parse(none, strlen(none), &e));
	CHECK(!instance_parse(empty, 0, &e));
}

TEST(names_are_dns_labels)
{
	struct err e = { 0 };
	char name[80];

	CHECK(instance_check_name("a", &e) == 0);
	CHECK(instance_check_name("0-a-", &e) == 0);
	memset(name, 'x', sizeof(name));
	for (int len = 1; len < 80; len++) {
		name[len] = '\0';
		CHECK_INT(instance_check_name(name, &e), len <= INSTANCE_NAME_MAX ? 0 : -1);
		name[len] = 'x';
	}
	CHECK(instance_check_name("", &e) < 0);
	CHECK(instance_check_name("-a", &e) < 0);
	CHECK(instance_check_name("A", &e) < 0);
	CHECK(instance_check_name("../x", &e) < 0);
	CHECK(instance_check_name("a/b", &e) < 0);
	CHECK(instance_check_name(".", &e) < 0);
	CHECK(instance_check_name("a\n", &e) < 0);
	CHECK(instance_check_name("\xc3\xa9", &e) < 0);
}

TEST(random_names_are_names_and_differ)
{
	char a[INSTANCE_NAME_MAX + 1], b[INSTANCE_NAME_MAX + 1];
	struct err e = { 0 };
	int same = 0;

	for (int i = 0; i < 100; i++) {
		CHECK(instance_random_name(a, &e) == 0 && instance_random_name(b, &e) == 0);
		CHECK(instance_check_name(a, &e) == 0);
		same += streq(a, b);
	}
	CHECK(same < 3);
}

static uint64_t cpus(const char *text)
{
	uint64_t v = 0;

	return parse_cpus(text, &v) == 0 ? v : 0;
}

TEST(processors_are_counted_in_thousandths)
{
	CHECK_INT(cpus("1"), 1000);
	CHECK_INT(cpus("1.5"), 1500);
	CHECK_INT(cpus("0.001"), 1);
	CHECK_INT(cpus("0.0010"), 1);
	CHECK_INT(cpus("2.25"), 2250);
	CHECK_INT(cpus("8192"), 8192000);
	CHECK_INT(cpus("8193"), 0);
	CHECK_INT(cpus("99999999999999999999"), 0);
	CHECK_INT(cpus("0"), 0);
	CHECK_INT(cpus("0.0001"), 0);
	CHECK_INT(cpus("1.2345"), 0);
	CHECK_INT(cpus("-1"), 0);
	CHECK_INT(cpus("1."), 0);
	CHECK_INT(cpus(".5"), 0);
	CHECK_INT(cpus("1x"), 0);
	CHECK_INT(cpus(""), 0);
}

static void no_volume(const char *text)
{
	struct arena *a = arena_new(0);
	struct err e = { 0 };
	struct volume v;

	if (volume_parse(text, a, &v, &e) == 0)
		FAIL("'%s' was taken", text);
	arena_free(a);
}

TEST(volumes_are_two_absolute_paths_and_options)
{
	struct arena *a = arena_new(0);
	struct err e = { 0 };
	struct volume v;

	CHECK(volume_parse("/a:/b", a, &v, &e) == 0);
	CHECK_STR(v.source, "/a");
	CHECK_STR(v.target, "/b");
	CHECK(!v.readonly && !v.noidmap && !v.one_fs);
	CHECK(volume_parse("/a:/b:ro,noidmap,bind", a, &v, &e) == 0);
	CHECK(v.readonly && v.noidmap && v.one_fs);
	CHECK(volume_parse("/a:/b:ro,rw", a, &v, &e) == 0);
	CHECK(!v.readonly);
	CHECK(volume_parse("/a..b:/..c", a, &v, &e) == 0);
	no_volume("");
	no_volume("/a");
	no_volume("/a:");
	no_volume(":/a");
	no_volume("a:/b");
	no_volume("/a:b");
	no_volume("/a:/");
	no_volume("/a:///");
	no_volume("/a/../b:/c");
	no_volume("/a:/b/..");
	no_volume("/a:/b:");
	no_volume("/a:/b:rx");
	no_volume("/a:/b:ro,");
	no_volume("/a:/b:ro:rw");
	no_volume("/a:/b\n");
	arena_free(a);
}

TEST(exit_records_survive_their_file)
{
	static const struct instance_exit cases[] = {
		{ .code = 0 },
		{ .code = 137, .signal = 9, .oom = true, .time = 1795000000 },
		{ .code = 137, .signal = 9, .oom = true, .oom_process = "a\",b", .oom_pid = 7 },
		{ .code = -1, .time = 1 },
		{ .code = 255, .time = 2 },
	};
	struct err e = { 0 };

	for (size_t k = 0; k < sizeof(cases) / sizeof(*cases); k++) {
		struct instance_exit x;
		struct str out = { 0 };

		instance_exit_dump(&cases[k], &out);
		CHECK(instance_exit_parse(str_text(&out), out.len, &x, &e) == 0);
		CHECK_INT(x.code, cases[k].code);
		CHECK_INT(x.signal, cases[k].signal);
		CHECK_INT(x.oom, cases[k].oom);
		CHECK_STR(x.oom_process, cases[k].oom_process);
		CHECK_INT(x.oom_pid, cases[k].oom_pid);
		CHECK_INT(x.time, cases[k].time);
		str_free(&out);
	}
	CHECK(instance_exit_parse("{\"code\":256}", 12, &(struct instance_exit){ 0 }, &e) < 0);
	CHECK(instance_exit_parse("[]", 2, &(struct instance_exit){ 0 }, &e) < 0);
}
