/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "runtime/base/err.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/supervise.h"

static int dir_fd(void)
{
	int fd = open(test_dir(), O_RDONLY | O_DIRECTORY);

	CHECK(fd >= 0);
	return fd;
}

/* Kept till the end, and reachable. */
static struct str text;

static char *log_text(int dir, const char *name)
{
	struct err e = { 0 };

	str_free(&text);
	if (file_read(dir, name, 64u << 20, &text, &e) < 0)
		FAIL("%s", e.msg);
	return text.s;
}

/* What a reader makes of the log: the output of one stream, put together again. */
static void put_together(const char *log, const char *stream, struct str *out)
{
	for (const char *line = log; *line;) {
		const char *end = strchr(line, '\n');
		struct log_line l;

		CHECK(end);
		if (!log_line_parse(line, (size_t)(end - line), &l))
			FAIL("not a line: '%.60s'", line);
		if (l.stream_len == strlen(stream) && !memcmp(l.stream, stream, l.stream_len)) {
			str_add_n(out, l.text, l.len);
			if (!l.partial)
				str_add(out, "\n");
		}
		line = end + 1;
	}
}

TEST(output_comes_back_whatever_chunks_it_came_in)
{
	struct log_file log = { .fd = -1 };
	auto_str struct str want = { 0 }, got = { 0 };
	int dir = dir_fd();
	unsigned seed = 1;

	log_file_open(&log, dir);
	for (int i = 0; i < 2000; i++) {
		char chunk[4096];
		size_t len = (seed = seed * 1103515245 + 12345) >> 16 & 4095;

		for (size_t k = 0; k < len; k++) {
			seed = seed * 1103515245 + 12345;
			chunk[k] = (seed >> 16) % 50 ? (char)('a' + (seed >> 20) % 26) : '\n';
		}
		log_file_write(&log, "stdout", chunk, len);
		log_file_write(&log, "stderr", "x", 1);
		str_add_n(&want, chunk, len);
	}
	CHECK_INT(log.lost, 0);
	put_together(log_text(dir, LOG_FILE), "stdout", &got);
	CHECK_INT(got.len, want.len);
	CHECK_MEM(got.s, want.s, want.len);
}

TEST(a_line_is_written_as_kubernetes_reads_it)
{
	struct log_file log = { .fd = -1 };
	int dir = dir_fd();
	char *log_is;

	log_file_open(&log, dir);
	log_file_write(&log, "stdout", "a\n\nb", 4);
	log_is = log_text(dir, LOG_FILE);
	CHECK_INT(strlen(log_is), 3 * 41 + 2);
	CHECK_HAS(log_is, "Z stdout F a\n");
	CHECK_HAS(log_is, "Z stdout F \n");
	CHECK_HAS(log_is, "Z stdout P b\n");
	CHECK_INT(log_is[10], 'T');
	CHECK_INT(log_is[19], '.');
}

TEST(two_files_of_ten_megabytes_are_kept)
{
	struct log_file log = { .fd = -1 };
	char chunk[4096];
	int dir = dir_fd();
	struct stat st;

	memset(chunk, 'x', sizeof(chunk));
	chunk[sizeof(chunk) - 1] = '\n';
	log_file_open(&log, dir);
	for (int i = 0; i < 8000; i++) /* 32 MB */
		log_file_write(&log, "stdout", chunk, sizeof(chunk));
	CHECK(fstatat(dir, LOG_FILE, &st, 0) == 0 && st.st_size <= (off_t)LOG_MAX_BYTES + 8192);
	CHECK(fstatat(dir, LOG_FILE_OLD, &st, 0) == 0 && st.st_size <= (off_t)LOG_MAX_BYTES + 8192);
	CHECK(st.st_size > (off_t)LOG_MAX_BYTES - 8192);
}

TEST(what_could_not_be_written_is_told_when_it_can_be_again)
{
	struct rlimit small = { 2000, RLIM_INFINITY }, big = { RLIM_INFINITY, RLIM_INFINITY };
	struct log_file log = { .fd = -1 };
	int dir = dir_fd();
	char chunk[1000], *log_is, *end;
	int lost = 0;

	signal(SIGXFSZ, SIG_IGN);
	memset(chunk, 'x', sizeof(chunk));
	chunk[sizeof(chunk) - 1] = '\n';
	log_file_open(&log, dir);
	CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
	for (int i = 0; i < 5; i++)
		log_file_write(&log, "stdout", chunk, sizeof(chunk));
	CHECK(log.lost > 0);
	CHECK(setrlimit(RLIMIT_FSIZE, &big) == 0);
	log_file_write(&log, "stdout", "again\n", 6);
	CHECK_INT(log.lost, 0);
	log_is = log_text(dir, LOG_FILE);
	CHECK_HAS(log_is, "stdout F again\n");
	/* and no half line is left; a short line about the loss may have fitted where output did not */
	for (char *line = log_is; *line; line = end + 1) {
		struct log_line l;

		end = strchr(line, '\n');
		CHECK(end && log_line_parse(line, (size_t)(end - line), &l));
		if (l.stream_len == 3)
			lost += atoi(l.text);
	}
	CHECK_INT(lost, 4000);
}

TEST(a_log_that_cannot_be_opened_stops_nobody)
{
	struct log_file log = { .fd = -1 };
	int dir = dir_fd();

	CHECK(mkdirat(dir, LOG_FILE, 0700) == 0);
	log_file_open(&log, dir);
	log_file_write(&log, "stdout", "one\n", 4);
	CHECK_INT(log.lost, 4);
	CHECK(unlinkat(dir, LOG_FILE, AT_REMOVEDIR) == 0);
	log_file_write(&log, "stdout", "two\n", 4);
	CHECK_HAS(log_text(dir, LOG_FILE), "4 bytes of output were lost");
}

static void no_line(const char *line)
{
	struct log_line l;

	if (log_line_parse(line, strlen(line), &l))
		FAIL("taken: '%s'", line);
}

TEST(what_is_no_line_is_refused)
{
	struct log_line l;
	const char *good = "2026-11-21T08:52:20.123456789Z stdout F x y";

	CHECK(log_line_parse(good, strlen(good), &l));
	CHECK_INT(l.seconds, 1795251140);
	CHECK_INT(l.nanoseconds, 123456789);
	CHECK(!l.partial && l.len == 3 && !memcmp(l.text, "x y", 3));
	CHECK(l.stream_len == 6);
	no_line("");
	no_line("x");
	no_line("2026-11-21T08:52:20.123456789Z");
	no_line("2026-11-21T08:52:20.123456789Z ");
	no_line("2026-11-21T08:52:20.123456789Z stdout");
	no_line("2026-11-21T08:52:20.123456789Z stdout F");
	no_line("2026-11-21T08:52:20.123456789Z stdout X x");
	no_line("2026-11-21T08:52:20.123456789Z  F x");
	no_line("2026-11-21T08:52:20Z stdout F x");
	no_line("2026-13-21T08:52:20.123456789Z stdout F x");
}

static int64_t seconds(const char *text)
{
	uint32_t ns;
	int64_t s = -1;

	return parse_time(text, &s, &ns) == 0 ? s : -12345;
}

TEST(times_are_read_with_their_zone)
{
	CHECK_INT(seconds("1970-01-01T00:00:00Z"), 0);
	CHECK_INT(seconds("2000-02-29T12:00:00Z"), 951825600);
	CHECK_INT(seconds("2026-11-21T08:52:20Z"), 1795251140);
	CHECK_INT(seconds("2026-11-21T09:52:20+01:00"), 1795251140);
	CHECK_INT(seconds("2026-11-21T03:22:20-05:30"), 1795251140);
	CHECK_INT(seconds("2026-11-21T08:52:20.5Z"), 1795251140);
	CHECK_INT(seconds("1969-12-31T23:59:59Z"), -1);
	CHECK_INT(seconds("2026-11-21"), -12345);
	CHECK_INT(seconds("2026-11-21T08:52:20"), -12345);
	CHECK_INT(seconds("2026-11-21T08:52:20Zx"), -12345);
	CHECK_INT(seconds("2026-11-21T08:52:20.Z"), -12345);
	CHECK_INT(seconds("2026-11-21T24:52:20Z"), -12345);
	CHECK_INT(seconds("2026-11-21T08:52:20+1:00"), -12345);
	CHECK_INT(seconds(""), -12345);
}
