/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/events.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/instances.h"
#include "runtime/supervise.h"

static const char *const names[EVENT_TYPES] = {
	[EVENT_CREATED] = "created", [EVENT_STARTED] = "started",
	[EVENT_ADOPTED] = "adopted", [EVENT_PAUSED] = "paused",
	[EVENT_RESUMED] = "resumed", [EVENT_CHANGED] = "changed",
	[EVENT_RENAMED] = "renamed", [EVENT_OOM] = "oom",
	[EVENT_HEALTHY] = "healthy", [EVENT_UNHEALTHY] = "unhealthy",
	[EVENT_DIED] = "died",	     [EVENT_RESTARTED] = "restarted",
	[EVENT_REMOVED] = "removed",
};

const char *event_name(enum event_type t)
{
	return names[t];
}

int event_type(const char *name)
{
	for (int t = 0; t < EVENT_TYPES; t++)
		if (streq(names[t], name))
			return t;
	return -1;
}

/* ---- writing ---- */

int events_open(const struct instances *all, struct err *e)
{
	char path[sizeof(all->path) + sizeof(EVENTS_DIR)];
	int fd;

	/* beside "<data>/instances" */
	snprintf(path, sizeof(path), "%.*s/" EVENTS_DIR, instances_data_len(all), all->path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT && (mkdir(path, 0700) == 0 || errno == EEXIST))
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? err_set(e, errno, "cannot open '%s'", path) : fd;
}

static bool is_named(int dir, int fd)
{
	struct stat open, named;

	return fstat(fd, &open) == 0 &&
	       fstatat(dir, EVENTS_FILE, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

/*
 * A full journal becomes the old one. Of several who find it full the one with its lock does that; the others
 * write on into what they have open, and are read there. Nobody waits.
 */
static bool rotate(int dir, int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) == 0 && is_named(dir, fd) &&
	       renameat(dir, EVENTS_FILE, dir, EVENTS_FILE_OLD) == 0;
}

static int open_journal(int dir)
{
	return openat(dir, EVENTS_FILE,
		      O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
}

static int append(const struct instances *all, const struct str *line, struct err *e)
{
	auto_fd int dir = events_open(all, e);
	auto_fd int fd = dir < 0 ? -1 : open_journal(dir);
	struct stat st;
	ssize_t n;

	if (dir < 0)
		return -1;
	if (fd >= 0 && fstat(fd, &st) < 0)
		return err_set(e, errno, "cannot look at the journal of events");
	if (fd >= 0 && st.st_size >= EVENTS_MAX_BYTES && rotate(dir, fd)) {
		close(fd);
		fd = open_journal(dir);
	}
	if (fd < 0)
		return err_set(e, errno, "cannot open the journal of events");
	do {
		n = write(fd, line->s, line->len);
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)line->len)
		return 0;
	if (n > 0)
		(void)!write(fd, "\n",
			     1); /* half a line: at least it is not the next one's beginning */
	return err_set(e, n < 0 ? errno : ENOSPC, "cannot write to the journal of events");
}

/* Never in the middle of a character; a newline would begin another event. */
static const char *one_line(const char *text, char out[EVENTS_DETAIL_MAX + 1])
{
	size_t len = strnlen(text, EVENTS_DETAIL_MAX);

	memcpy(out, text, len);
	if (text[len])
		while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	out[len] = '\0';
	for (char *c = out; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	return out;
}

static void add_time(struct json_writer *w)
{
	struct timespec now;
	char text[64];
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%09ldZ", now.tv_nsec);
	json_put_string(w, "time", text);
}

void events_append(const struct instances *all, const struct event *ev)
{
	auto_str struct str line = { 0 };
	struct json_writer w = { .out = &line };
	char detail[EVENTS_DETAIL_MAX + 1];
	struct err e;

	json_open(&w, NULL, '{');
	add_time(&w);
	json_put_string(&w, "event", names[ev->type]);
	json_put_string(&w, "name", ev->name);
	json_put_string(&w, "uuid", ev->uuid);
	if (ev->pid)
		json_put_i64(&w, "pid", ev->pid);
	if (ev->has_code) {
		json_put_i64(&w, "code", ev->code);
		if (ev->signal)
			json_put_i64(&w, "signal", ev->signal);
	}
	if (ev->detail)
		json_put_string(&w, "detail", one_line(ev->detail, detail));
	json_close(&w);
	str_add(&line, "\n");
	if (line.failed)
		log_warn("the event '%s' of '%s' is lost: out of memory", names[ev->type],
			 ev->name);
	else if (append(all, &line, &e) < 0)
		log_warn("the event '%s' of '%s' is lost: %s", names[ev->type], ev->name, e.msg);
}

/* ---- reading ---- */

bool event_parse(const char *line, size_t len, struct arena *a, struct event_read *out)
{
	struct event_read r = { .time = NULL };
	const char *type = NULL;
	const struct json *doc;
	int64_t pid = 0, code = 0, sig = 0;
	struct err ignored;
	int known;

	if (len > EVENTS_LINE_MAX)
		return false;
	doc = json_parse(a, line, len, &ignored);
	if (!doc || json_expect(doc, JSON_OBJECT, &ignored) < 0 ||
	    json_string(json_get(doc, "time"), &r.time, &ignored) < 0 ||
	    json_string(json_get(doc, "event"), &type, &ignored) < 0 ||
	    json_string(json_get(doc, "name"), &r.event.name, &ignored) < 0 ||
	    json_string(json_get(doc, "uuid"), &r.event.uuid, &ignored) < 0 ||
	    json_string(json_get(doc, "detail"), &r.event.detail, &ignored) < 0 ||
	    json_i64(json_get(doc, "pid"), 0, INT_MAX, &pid, &ignored) < 0 ||
	    json_i64(json_get(doc, "code"), -1, 255, &code, &ignored) < 0 ||
	    json_i64(json_get(doc, "signal"), 0, 64, &sig, &ignored) < 0)
		return false;
	known = type ? event_type(type) : -1;
	if (known < 0 || !r.event.name || !r.time ||
	    parse_time(r.time, &r.seconds, &r.nanoseconds) < 0)
		return false;
	r.event.type = (enum event_type)known;
	r.event.pid = (pid_t)pid;
	r.event.has_code = json_get(doc, "code") != NULL;
	r.event.code = (int)code;
	r.event.signal = (int)sig;
	*out = r;
	return true;
}
