/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "netns/netns.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/instance.h"
#include "runtime/instances.h"
#include "runtime/restart.h"
#include "runtime/running.h"

#ifndef PR_SET_THP_DISABLE
#define PR_SET_THP_DISABLE 41
#endif

#define CHUNK	 4096 /* of output read at once */
#define TIME_LEN 30

#define ATTACHED_MAX 4 /* at a time */

#define MAX_TRIES 50 /* a tenth of a second apart */

/* ---- writing the log ---- */

void log_file_open(struct log_file *l, int dir)
{
	struct stat st;

	l->dir = dir;
	l->size = 0;
	l->fd = openat(dir, LOG_FILE,
		       O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (l->fd >= 0 && fstat(l->fd, &st) == 0)
		l->size = (uint64_t)st.st_size;
}

char *log_file_name(unsigned age, char *out, size_t size)
{
	if (age)
		snprintf(out, size, LOG_FILE ".%u", age);
	else
		snprintf(out, size, LOG_FILE);
	return out;
}

/* Each file becomes the one before it; failing, the newest just grows on. What an earlier bound left goes too. */
static void rotate(struct log_file *l)
{
	unsigned files = l->bounds.files ? l->bounds.files : LOG_MAX_FILES;
	char from[16], to[16];

	own_close(&l->fd);
	for (unsigned age = files; unlinkat(l->dir, log_file_name(age, to, sizeof(to)), 0) == 0;)
		age++;
	if (files == 1)
		(void)unlinkat(l->dir, LOG_FILE, 0);
	for (unsigned age = files - 1; age; age--)
		(void)renameat(l->dir, log_file_name(age - 1, from, sizeof(from)), l->dir,
			       log_file_name(age, to, sizeof(to)));
	log_file_open(l, l->dir);
}

/* All of it or nothing: half a line would spoil the next one. */
static bool append(struct log_file *l, const char *text, size_t len)
{
	ssize_t n;

	if (l->size >= (l->bounds.bytes ? l->bounds.bytes : LOG_MAX_BYTES))
		rotate(l);
	if (l->fd < 0)
		log_file_open(l, l->dir);
	if (l->fd < 0)
		return false;
	do {
		n = write(l->fd, text, len);
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)len) {
		l->size += len;
		return true;
	}
	if (n > 0)
		(void)!ftruncate(l->fd,
				 (off_t)l->size); /* the disk is full: all it can do is shrink */
	return false;
}

static void format_now(char out[TIME_LEN + 1])
{
	char text[64];
	struct timespec now;
	struct tm tm;
	size_t n;

	sys_clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%09ldZ", now.tv_nsec);
	memcpy(out, text, TIME_LEN);
	out[TIME_LEN] = '\0';
}

static bool tell_loss(struct log_file *l, const char *now)
{
	char text[128];
	int n;

	if (!l->lost)
		return true;
	n = snprintf(text, sizeof(text),
		     "%s ctr F %llu bytes of output were lost: the log could not be written\n", now,
		     (unsigned long long)l->lost);
	if (!append(l, text, (size_t)n))
		return false;
	l->lost = 0;
	return true;
}

void log_file_write(struct log_file *l, const char *stream, const char *data, size_t len)
{
	char out[CHUNK + 256], now[TIME_LEN + 1];
	size_t used = 0, pending = 0; /* bytes of `out`, and of output that they stand for */

	format_now(now);
	if (!tell_loss(l, now)) {
		l->lost += len;
		return;
	}
	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t text = end ? (size_t)(end - data) : len, taken;

		if (text > CHUNK)
			text = CHUNK;
		taken = text + (end && data + text == end);
		if (used + TIME_LEN + 16 + text > sizeof(out)) {
			if (!append(l, out, used))
				l->lost += pending;
			used = pending = 0;
		}
		used += (size_t)snprintf(out + used, sizeof(out) - used, "%s %s %c ", now, stream,
					 taken > text ? 'F' : 'P');
		memcpy(out + used, data, text);
		used += text;
		out[used++] = '\n';
		pending += taken;
		data += taken;
		len -= taken;
	}
	if (used && !append(l, out, used))
		l->lost += pending;
}

void log_file_end(struct log_file *l)
{
	char now[TIME_LEN + 1];

	format_now(now);
	(void)tell_loss(l, now); /* failing once more, there is nobody left to tell */
}

/* ---- reading it ---- */

static int digits(const char *s, int n)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (s[i] - '0');
	}
	return v;
}

/* Days since 1970 of a date of the proleptic Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = year - (month <= 2), era = y / 400, yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/* The zone at @s, in seconds east; the length of its text, or 0 if it is none. */
static size_t parse_zone(const char *s, size_t len, int *east)
{
	int h, m;

	*east = 0;
	if (len >= 1 && (*s == 'Z' || *s == 'z'))
		return 1;
	if (len < 6 || (*s != '+' && *s != '-') || s[3] != ':')
		return 0;
	h = digits(s + 1, 2);
	m = digits(s + 4, 2);
	if (h < 0 || h > 23 || m < 0 || m > 59)
		return 0;
	*east = (*s == '-' ? -1 : 1) * (h * 3600 + m * 60);
	return 6;
}

/* Reads a time at the beginning of @s; the length of its text, or 0. */
static size_t read_time(const char *s, size_t len, int64_t *seconds, uint32_t *nanoseconds)
{
	static const int at[6] = { 0, 5, 8, 11, 14, 17 }, lo[6] = { 0, 1, 1, 0, 0, 0 },
			 hi[6] = { 9999, 12, 31, 23, 59, 60 };
	int v[6], east;
	uint32_t ns = 0;
	size_t used = 19, zone;

	if (len < 20 || s[4] != '-' || s[7] != '-' || (s[10] != 'T' && s[10] != ' ') ||
	    s[13] != ':' || s[16] != ':')
		return 0;
	for (int i = 0; i < 6; i++) {
		v[i] = digits(s + at[i], i ? 2 : 4);
		if (v[i] < lo[i] || v[i] > hi[i])
			return 0;
	}
	if (s[used] == '.') {
		uint32_t unit = 100000000;

		if (++used >= len || s[used] < '0' || s[used] > '9')
			return 0;
		for (; used < len && s[used] >= '0' && s[used] <= '9'; used++, unit /= 10)
			ns += unit * (uint32_t)(s[used] - '0');
	}
	zone = parse_zone(s + used, len - used, &east);
	if (!zone)
		return 0;
	*seconds = days_of(v[0], v[1], v[2]) * 86400 + v[3] * 3600 + v[4] * 60 + v[5] - east;
	*nanoseconds = ns;
	return used + zone;
}

int parse_time(const char *text, int64_t *seconds, uint32_t *nanoseconds)
{
	size_t len = strlen(text);
	uint32_t ns;
	int64_t s;

	if (!len || read_time(text, len, &s, &ns) != len)
		return -1;
	*seconds = s;
	*nanoseconds = ns;
	return 0;
}

bool log_line_parse(const char *line, size_t len, struct log_line *out)
{
	struct log_line l = { .time = line };
	size_t n = read_time(line, len, &l.seconds, &l.nanoseconds);
	const char *end = line + len, *at = line + n;

	if (n != TIME_LEN || at == end || *at++ != ' ')
		return false;
	l.stream = at;
	while (at < end && *at != ' ')
		at++;
	l.stream_len = (size_t)(at - l.stream);
	if (!l.stream_len || end - at < 3 || (at[1] != 'F' && at[1] != 'P') || at[2] != ' ')
		return false;
	l.partial = at[1] == 'P';
	l.text = at + 3;
	l.len = (size_t)(end - l.text);
	*out = l;
	return true;
}

/* ---- who is attached ---- */

/* Those who see the output as it comes. What they are too slow for they miss; the log has it. */
struct attached {
	int listening;		  /* -1: nobody can */
	int client[ATTACHED_MAX]; /* -1: none */
	int terminal;		  /* what they may write to; -1: none */
};

static void drop(int *fd)
{
	own_close(fd);
	*fd = -1;
}

static void attached_open(struct attached *a, const struct instances *all, const char *name,
			  int terminal)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char path[INSTANCE_NAME_MAX + 16];

	*a = (struct attached){ .listening = -1, .terminal = terminal };
	for (int i = 0; i < ATTACHED_MAX; i++)
		a->client[i] = -1;
	snprintf(path, sizeof(path), "%s/" ATTACH_SOCKET, name);
	(void)unlinkat(all->states, path, 0); /* of the supervisor before */
	if (snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d/%s", all->states, path) >=
	    (int)sizeof(to.sun_path))
		return;
	a->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->listening >= 0 && (bind(a->listening, (struct sockaddr *)&to, sizeof(to)) < 0 ||
				  listen(a->listening, ATTACHED_MAX) < 0))
		drop(&a->listening);
}

static void attached_show(struct attached *a, const char *data, size_t len)
{
	for (int i = 0; i < ATTACHED_MAX; i++)
		if (a->client[i] >= 0 &&
		    send(a->client[i], data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
		    errno != EAGAIN && errno != EINTR)
			drop(&a->client[i]);
}

/* One byte, with the terminal if there is one: so the newcomer writes and resizes without us. */
static bool greet(int client, int terminal)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { terminal >= 0 ? "t" : "p", 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (terminal >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&m);
		*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
				       .cmsg_level = SOL_SOCKET,
				       .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(c), &terminal, sizeof(terminal));
	}
	return sendmsg(client, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}

static void attached_accept(struct attached *a)
{
	int client = accept4(a->listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int i = 0;

	while (i < ATTACHED_MAX && a->client[i] >= 0)
		i++;
	if (client < 0)
		return;
	if (i == ATTACHED_MAX || !greet(client, a->terminal))
		close(client);
	else
		a->client[i] = client;
}

/* ---- the process ---- */

/* What there is to read, but one chunk at most. False: nothing now, or never again (*fd is then -1). */
static bool copy_chunk(int *fd, const char *stream, struct log_file *log, struct attached *a)
{
	static char chunk[CHUNK];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n > 0) {
		log_file_write(log, stream, chunk, (size_t)n);
		attached_show(a, chunk, (size_t)n);
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		*fd = -1;
	return false;
}

/* Output that was written before the end, but no more than fits the FIFO: nobody is left to write. */
static void copy_rest(int *fd, const char *stream, struct log_file *log, struct attached *a)
{
	for (int i = 0; i < 1024 && *fd >= 0 && copy_chunk(fd, stream, log, a); i++)
		;
}

static void watch(int out, int err, struct log_file *log, struct attached *a)
{
	enum { PAYLOAD, OUT, ERR, LISTENING, CLIENTS };
	struct pollfd p[CLIENTS + ATTACHED_MAX] = { { .fd = SUPERVISE_PIDFD, .events = POLLIN },
						    { .fd = out, .events = POLLIN },
						    { .fd = err, .events = POLLIN },
						    { .fd = a->listening, .events = POLLIN } };

	for (;;) {
		for (int i = 0; i < ATTACHED_MAX; i++)
			p[CLIENTS + i] = (struct pollfd){ .fd = a->client[i], .events = POLLRDHUP };
		if (ppoll(p, CLIENTS + ATTACHED_MAX, NULL, NULL) < 0)
			continue; /* EINTR of a stop and continue: nothing else is possible */
		if (p[OUT].revents)
			(void)copy_chunk(&p[OUT].fd, "stdout", log, a);
		if (p[ERR].revents)
			(void)copy_chunk(&p[ERR].fd, "stderr", log, a);
		for (int i = 0; i < ATTACHED_MAX; i++)
			if (p[CLIENTS + i].revents)
				drop(&a->client[i]);
		if (p[LISTENING].revents)
			attached_accept(a);
		if (p[PAYLOAD].revents && !(p[OUT].revents & POLLIN) && !(p[ERR].revents & POLLIN))
			return;
	}
}

/* Leaves 0, 1, 2 as /dev/null, the descriptors of the payload, what @all and @d hold, and all from @kept on. */
static void close_others(const struct instances *all, const struct instance_dir *d, unsigned kept)
{
	int keep[] = { SUPERVISE_PIDFD, SUPERVISE_OUT, SUPERVISE_ERR, all->dir,
		       all->tmp,	all->run,      all->states,   d->fd };
	unsigned from = 3;

	for (;;) {
		unsigned next = kept;

		for (size_t i = 0; i < sizeof(keep) / sizeof(*keep); i++)
			if (keep[i] >= 0 && (unsigned)keep[i] >= from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next > from)
			(void)sys_close_range(from, next - 1,
					      0); /* ENOSYS: they only cost memory */
		if (next == kept)
			return;
		from = next + 1;
	}
}

/*
 * A terminal that nobody inside has open at the moment, as an init leaves its console, reports POLLHUP for ever
 * and EIO. So its other side is kept open here. FIFOs are open for reading and writing, to the same end.
 */
static int keep_open(int out)
{
	return isatty(out) ? ioctl(out, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
}

#define STACK_USED (256u << 10) /* at most, by what was called until now */

/*
 * What was called until now has left pages of the stack that nothing needs while it sleeps. Of what lies below this function's frame, and
 * below the red zone; what is not mapped there is none of ours.
 */
__attribute__((noinline)) static void let_stack_go(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t end = ((uintptr_t)__builtin_frame_address(0) - 1024) & ~(page - 1);

	(void)madvise((void *)(end - STACK_USED), STACK_USED, MADV_DONTNEED);
}

/* Records the end and undoes the run. @seconds: how long it was. *again: it is to be started for the *count th time. */
static int work_up(struct instance_dir *d, struct instance_exit x, int64_t seconds, bool *again,
		   unsigned *count, struct err *e)
{
	auto_instance struct instance *i = NULL;
	int rc;

	/* closed if it could not be removed */
	if ((d->fd < 0 && instance_look(d->all, d->name, d, e) < 0) || instance_lock(d, e) < 0)
		return -1;
	i = instance_load(d, e);
	*again = i && !i->ephemeral && restart_is_wanted(d->all, d->name, i, &x, seconds, count);
	if (i && i->system)
		running_exit_of_system(&x);
	rc = running_end(d, i && i->ephemeral, &x, e);
	if (rc < 0)
		instance_unlock(d);
	return rc;
}

static int64_t uptime(void)
{
	struct timespec t;

	sys_clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec;
}

bool supervise_wait(int *tries)
{
	if (++*tries > MAX_TRIES)
		return false;
	nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	return true;
}

int supervise(const struct instances *all, const char *name, const struct log_bounds *b,
	      unsigned kept, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	struct log_file log = { .dir = -1, .fd = -1, .bounds = *b };
	int out = SUPERVISE_OUT, err = SUPERVISE_ERR, rc;
	struct instance_exit x = { .code = -1 };
	int64_t since = uptime();
	unsigned count = 0;
	bool again = false;
	auto_fd int peer = -1, net = -1;
	struct attached attached;

	(void)prctl(PR_SET_NAME, "ctr", 0, 0, 0); /* executed as /proc/self/exe it would be "exe" */
	(void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* two megabytes at once would be a lot here */
	for (int tries = 0; instance_look(all, name, &d, e) < 0;)
		if (e->code == ERR_NO_SUCH || !supervise_wait(&tries))
			return -1;
	close_others(all, &d, kept);
	net = running_hold_network(SUPERVISE_PIDFD);
	if (fcntl(err, F_GETFD) < 0)
		err = -1;
	peer = keep_open(out);
	log_file_open(&log, d.fd);
	attached_open(&attached, all, name, isatty(out) ? out : -1);
	let_stack_go();
	watch(out, err, &log, &attached);
	copy_rest(&out, "stdout", &log, &attached);
	if (err >= 0)
		copy_rest(&err, "stderr", &log, &attached);
	log_file_end(&log);
	running_exit_status(SUPERVISE_PIDFD, &x);
	for (int tries = 0; (rc = work_up(&d, x, uptime() - since, &again, &count, e)) < 0;)
		if (e->code == ERR_NO_SUCH || !supervise_wait(&tries))
			break;
	instance_close(&d);
	own_close(&net);
	net = -1;
	if (rc == 0 && again)
		restart_later(all, name, count);
	net_leave();
	return rc;
}
