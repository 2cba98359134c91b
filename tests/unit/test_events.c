/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/events.h"
#include "runtime/instances.h"

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

static size_t lines_of(int dir, const char *file, struct str *text)
{
	size_t n = 0;

	str_free(text);
	if (file_read(dir, file, 16u << 20, text, &e) < 0)
		return 0;
	for (const char *c = str_text(text); *c; c++)
		n += *c == '\n';
	return n;
}

TEST(an_event_reads_as_it_was_written)
{
	auto_instances struct instances all = open_all();
	struct arena *a = arena_new(0);
	struct str text = { 0 };
	struct event_read r;
	int dir;

	events_append(&all, &(struct event){ .type = EVENT_DIED,
					     .name = "web",
					     .uuid = "0123",
					     .pid = 17,
					     .has_code = true,
					     .code = 137,
					     .signal = 9,
					     .detail = "a \"b\" \\ \303\274" });
	dir = events_open(&all, &e);
	CHECK(dir >= 0);
	CHECK(lines_of(dir, EVENTS_FILE, &text) == 1);
	CHECK(event_parse(text.s, text.len - 1, a, &r));
	CHECK(r.event.type == EVENT_DIED && r.event.pid == 17 && r.event.has_code);
	CHECK(r.event.code == 137 && r.event.signal == 9 && r.seconds > 1000000000);
	CHECK_STR(r.event.name, "web");
	CHECK_STR(r.event.uuid, "0123");
	CHECK_STR(r.event.detail, "a \"b\" \\ \303\274");
	str_free(&text);
	arena_free(a);
	close(dir);
}

TEST(a_detail_is_one_bounded_line_of_whole_characters)
{
	auto_instances struct instances all = open_all();
	char detail[EVENTS_DETAIL_MAX + 40];
	struct arena *a = arena_new(0);
	struct str text = { 0 };
	struct event_read r;
	int dir;

	memset(detail, 'x', sizeof(detail));
	detail[3] = '\n';
	memcpy(detail + EVENTS_DETAIL_MAX - 1, "\303\274", 2);
	detail[sizeof(detail) - 1] = '\0';
	events_append(&all,
		      &(struct event){ .type = EVENT_UNHEALTHY, .name = "w", .detail = detail });
	dir = events_open(&all, &e);
	CHECK(lines_of(dir, EVENTS_FILE, &text) == 1);
	CHECK(event_parse(text.s, text.len - 1, a, &r));
	CHECK(strlen(r.event.detail) == EVENTS_DETAIL_MAX - 1);
	CHECK(r.event.detail[3] == ' ');
	str_free(&text);
	arena_free(a);
	close(dir);
}

TEST(every_type_has_a_name_of_its_own)
{
	for (int t = 0; t < EVENT_TYPES; t++)
		CHECK(event_type(event_name((enum event_type)t)) == t);
	CHECK(event_type("exploded") == -1);
}

TEST(what_is_no_event_is_passed_over)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"{\"time\":\"2026-11-21T08:52:20Z\",\"event\":\"died\"}",
		"{\"time\":\"yesterday\",\"event\":\"died\",\"name\":\"w\"}",
		"{\"time\":\"2026-11-21T08:52:20Z\",\"event\":\"exploded\",\"name\":\"w\"}",
		"{\"time\":\"2026-11-21T08:52:20Z\",\"event\":\"died\",\"name\":7}",
		"{\"time\":\"2026-11-21T08:52:20Z\",\"event\":\"died\",\"name\":\"w\",\"code\":300}"
	};
	static const char good[] =
		"{\"time\":\"2026-11-21T08:52:20Z\",\"event\":\"died\",\"name\":\"w\",\"later\":{}}";
	struct arena *a = arena_new(0);
	struct event_read r;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (event_parse(bad[i], strlen(bad[i]), a, &r))
			FAIL("'%s' was read", bad[i]);
	CHECK(event_parse(good, strlen(good), a, &r));
	arena_free(a);
}

TEST(a_full_journal_becomes_the_old_one)
{
	auto_instances struct instances all = open_all();
	struct str text = { 0 };
	struct stat st;
	int dir = events_open(&all, &e), fd;

	events_append(&all, &(struct event){ .type = EVENT_CREATED, .name = "first" });
	fd = openat(dir, EVENTS_FILE, O_WRONLY | O_APPEND);
	CHECK(ftruncate(fd, EVENTS_MAX_BYTES) == 0);
	/* somebody holds the lock, stopped: nobody waits, and the line is not lost */
	CHECK(flock(fd, LOCK_EX) == 0);
	events_append(&all, &(struct event){ .type = EVENT_CREATED, .name = "second" });
	CHECK(fstatat(dir, EVENTS_FILE, &st, 0) == 0 && st.st_size > EVENTS_MAX_BYTES);
	CHECK(flock(fd, LOCK_UN) == 0);
	close(fd);
	events_append(&all, &(struct event){ .type = EVENT_CREATED, .name = "third" });
	CHECK(lines_of(dir, EVENTS_FILE, &text) == 1);
	CHECK(strstr(text.s, "third"));
	CHECK(fstatat(dir, EVENTS_FILE_OLD, &st, 0) == 0 && st.st_size > EVENTS_MAX_BYTES);
	str_free(&text);
	close(dir);
}

TEST(lines_of_many_writers_are_whole)
{
	auto_instances struct instances all = open_all();
	struct arena *a = arena_new(0);
	struct str text = { 0 };
	struct event_read r;
	int dir;

	for (int p = 0; p < 8; p++)
		if (fork() == 0) {
			for (int i = 0; i < 200; i++)
				events_append(&all, &(struct event){ .type = EVENT_STARTED,
								     .name = "w",
								     .pid = 1 + i });
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	dir = events_open(&all, &e);
	CHECK(lines_of(dir, EVENTS_FILE, &text) == 1600);
	for (char *line = text.s, *end; (end = strchr(line, '\n')); line = end + 1)
		if (!event_parse(line, (size_t)(end - line), a, &r))
			FAIL("'%.*s'", (int)(end - line), line);
	str_free(&text);
	arena_free(a);
	close(dir);
}
