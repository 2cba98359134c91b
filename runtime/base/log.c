#include "runtime/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/json.h"
#include "runtime/base/str.h"

static struct {
	int fd;
	enum log_format format;
	enum log_level level;
} sink = { .fd = STDERR_FILENO, .format = LOG_TEXT, .level = LOG_WARN };

static const char *const names[] = { "error", "warning", "info", "debug" };

void log_setup(int fd, enum log_format format, enum log_level level)
{
	sink.fd = fd;
	sink.format = format;
	sink.level = level;
}

bool log_enabled(enum log_level level)
{
	return level <= sink.level;
}

static void add_json_line(struct str *line, enum log_level level, const char *msg)
{
	struct timespec now;
	struct tm tm;
	char when[64];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	str_addf(line, "{\"level\":\"%s\",\"msg\":", names[level]);
	json_add_string(line, msg);
	str_addf(line, ",\"time\":\"%s\"}\n", when);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	auto_str struct str line = { 0 };
	char msg[2048];
	va_list ap;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (sink.format == LOG_JSON)
		add_json_line(&line, level, msg);
	else if (level == LOG_DEBUG)
		str_addf(&line, "level=debug msg=%s\n", msg);
	else
		str_addf(&line, "%s: %s\n", names[level], msg);
	if (!line.failed)
		(void)!write(sink.fd, line.s,
			     line.len); /* a log that cannot be written cannot be reported */
}
