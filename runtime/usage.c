/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "netns/netns.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/sha256.h"
#include "runtime/base/str.h"
#include "runtime/instance.h"
#include "runtime/instances.h"
#include "runtime/state.h"

#define USAGE_DIR   "usage"
#define SAMPLES	    "usage"	 /* in <run> */
#define LOCK	    "usage.lock" /* in <run>: the sampler's */
#define RECEIPT	    "receipt"	 /* in the run state: one was begun */
#define SAMPLES_MAX (64u << 20)
#define LINKS_MAX   16
#define NS	    1000000000LL

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* Every member that is counted, for what is done to all of them. */
static const struct {
	const char *key;
	size_t at;
} members[] = {
#define MEMBER(key, member)                         \
	{                                           \
		key, offsetof(struct usage, member) \
	}
	MEMBER("alive_us", alive_us),
	MEMBER("cpu_us", cpu_us),
	MEMBER("memory_byte_seconds", memory),
	MEMBER("memory_reserved_byte_seconds", reserved),
	MEMBER("disk_read_bytes", read),
	MEMBER("disk_written_bytes", written),
	MEMBER("network_received_bytes", received),
	MEMBER("network_sent_bytes", sent),
};
#define N_MEMBERS (sizeof(members) / sizeof(*members))

static uint64_t *member(struct usage *u, size_t i)
{
	return (uint64_t *)(void *)((char *)u + members[i].at);
}

void usage_add(struct usage *a, const struct usage *b)
{
	for (size_t i = 0; i < N_MEMBERS; i++)
		*member(a, i) = plus(*member(a, i), *member((struct usage *)(uintptr_t)b, i));
}

void usage_take(struct usage *a, const struct usage *b)
{
	for (size_t i = 0; i < N_MEMBERS; i++) {
		uint64_t less = *member((struct usage *)(uintptr_t)b, i);

		*member(a, i) = *member(a, i) > less ? *member(a, i) - less : 0;
	}
}

struct usage usage_between(const struct usage *from, int64_t from_ns, const struct usage *to,
			   int64_t to_ns, int64_t at_ns)
{
	struct usage u = *to;
	double part;

	if (at_ns >= to_ns)
		return u;
	part = at_ns <= from_ns ? 0 : (double)(at_ns - from_ns) / (double)(to_ns - from_ns);
	usage_take(&u, from);
	for (size_t i = 0; i < N_MEMBERS; i++)
		*member(&u, i) = (uint64_t)((double)*member(&u, i) * part);
	usage_add(&u, from);
	return u;
}

/* ---- what the kernel has counted ---- */

/*
 * The sum of the numbers behind @key in the file @name of the cgroup, or its only number if that is ""; 0 if this machine has none
 * such. 0, or -1 and *e.
 */
static int count(const struct state *st, const char *name, const char *key, uint64_t *sum,
		 struct err *e)
{
	auto_str struct str text = { 0 };
	char path[PATH_MAX];

	*sum = 0;
	if (!st->cgroup || !st->cgroup_root)
		return 0;
	snprintf(path, sizeof(path), "%s/%s/%s", st->cgroup_root, st->cgroup, name);
	if (file_read_kernel(AT_FDCWD, path, 1u << 20, &text, e) < 0)
		return e->code == ENOENT ? 0 : -1;
	if (!*key) {
		*sum = strtoull(str_text(&text), NULL, 10); /* "max" is 0: no limit */
		return 0;
	}
	for (const char *at = str_text(&text); (at = strstr(at, key));) {
		at += strlen(key);
		*sum = plus(*sum, strtoull(at, NULL, 10));
	}
	return 0;
}

struct links {
	char v[LINKS_MAX][IF_NAMESIZE];
	size_t n;
};

/* The host's ends of its interfaces, as the journal of the run names them. */
static int find_links(const struct state_dir *sd, struct links *l, struct err *e)
{
	auto_str struct str text = { 0 };

	l->n = 0;
	if (file_read(sd->dir, "journal", 16u << 20, &text, e) < 0)
		return -1;
	l->n = nic_links(str_text(&text), l->v, LINKS_MAX);
	return 0;
}

static void count_links(const struct links *l, uint64_t *received, uint64_t *sent)
{
	*received = *sent = 0;
	for (size_t i = 0; i < l->n; i++) {
		uint64_t in, out;

		if (net_count(l->v[i], &in, &out) < 0)
			continue;
		*received = plus(*received, in);
		*sent = plus(*sent, out);
	}
}

/* ---- samples ---- */

/* What the sampler knows of a run. */
struct sample {
	char name[INSTANCE_NAME_MAX + 1];
	int64_t start_ns;
	int64_t last_ns;	   /* of the last reading */
	uint64_t level;		   /* of memory, then */
	uint64_t memory, reserved; /* byte-seconds up to then */
	uint64_t received, sent;
	/* not written */
	int64_t receipt_ns; /* when there was one last; 0: none is known of */
	/* so that a tick need not read it all again */
	ino_t state;
	struct links links;
	char cgroup[256], cgroup_root[128];
};

static bool sample_parse(const char *line, struct sample *s)
{
	return sscanf(line,
		      "%63s %" SCNd64 " %" SCNd64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		      " %" SCNu64,
		      s->name, &s->start_ns, &s->last_ns, &s->level, &s->memory, &s->reserved,
		      &s->received, &s->sent) == 8;
}

static void sample_print(const struct sample *s, struct str *out)
{
	str_addf(out,
		 "%s %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
		 " %" PRIu64 "\n",
		 s->name, s->start_ns, s->last_ns, s->level, s->memory, s->reserved, s->received,
		 s->sent);
}

/* 1: found; 0: nobody has sampled it. */
static int find_sample(const struct instances *all, const char *name, int64_t start_ns,
		       struct sample *s, struct err *e)
{
	auto_str struct str text = { 0 };
	size_t len = strlen(name);

	if (file_read(all->run, SAMPLES, SAMPLES_MAX, &text, e) < 0)
		return e->code == ENOENT ? 0 : -1;
	for (const char *line = str_text(&text); line && *line;) {
		if (strncmp(line, name, len) == 0 && line[len] == ' ' && sample_parse(line, s) &&
		    s->start_ns == start_ns)
			return 1;
		line = strchr(line, '\n');
		line += line != NULL;
	}
	return 0;
}

static uint64_t by_time(uint64_t bytes, int64_t ns)
{
	return ns <= 0 ? 0 : (uint64_t)((double)bytes * ((double)ns / 1e9));
}

static int64_t at_most(int64_t ns)
{
	return ns > USAGE_GAP * NS ? USAGE_GAP * NS : ns;
}

int usage_of_run(const struct instances *all, struct state_dir *sd, const struct state *st,
		 struct usage *u, struct err *e)
{
	int64_t now = now_ns(), alive = now > st->created_ns ? now - st->created_ns : 0;
	struct usage got = { .alive_us = (uint64_t)alive / 1000 };
	struct sample s = { .start_ns = 0 };
	struct links links;
	uint64_t peak, limit;
	int sampled;

	if (count(st, "cpu.stat", "usage_usec ", &got.cpu_us, e) < 0 ||
	    count(st, "io.stat", "rbytes=", &got.read, e) < 0 ||
	    count(st, "io.stat", "wbytes=", &got.written, e) < 0 ||
	    count(st, "memory.peak", "", &peak, e) < 0 ||
	    count(st, "memory.max", "", &limit, e) < 0 || find_links(sd, &links, e) < 0)
		return -1;
	count_links(&links, &got.received, &got.sent);
	sampled = find_sample(all, sd->id, st->created_ns, &s, e);
	if (sampled < 0)
		return -1;
	got.memory = by_time(peak, at_most(alive));
	got.reserved = by_time(limit, alive);
	if (sampled) {
		got.memory = plus(s.memory, by_time(s.level, at_most(now - s.last_ns)));
		got.reserved = plus(s.reserved, by_time(limit, now - s.last_ns));
	}
	/* its links may have gone with the last process of its network namespace */
	if (got.received < s.received)
		got.received = s.received;
	if (got.sent < s.sent)
		got.sent = s.sent;
	*u = got;
	return 0;
}

/* ---- receipts ---- */

#define HASH_KEY ",\"hash\":\""
static const char no_hash[65] = "0000000000000000000000000000000000000000000000000000000000000000";

static int open_dir(const struct instances *all, struct err *e)
{
	char path[sizeof(all->path) + sizeof(USAGE_DIR)];
	int fd;

	snprintf(path, sizeof(path), "%.*s/" USAGE_DIR, instances_data_len(all), all->path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT && (mkdir(path, 0700) == 0 || errno == EEXIST))
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? err_set(e, errno, "cannot open '%s'", path) : fd;
}

/* The first and last number of a file; 0, 0: there are none. */
static int find_segments(int dir, unsigned *first, unsigned *last, struct err *e)
{
	auto_dir DIR *d = dir_list(dir);
	struct dirent *ent;

	*first = *last = 0;
	if (!d)
		return err_set(e, errno, "cannot list the receipts");
	while ((ent = readdir(d))) {
		uint64_t n;

		if (strlen(ent->d_name) != 6 || parse_u64(ent->d_name, 1, 999999, &n) < 0)
			continue;
		*first = !*first || n < *first ? (unsigned)n : *first;
		*last = n > *last ? (unsigned)n : *last;
	}
	return 0;
}

static int open_segment(int dir, unsigned n, int flags)
{
	char name[16];

	snprintf(name, sizeof(name), "%06u", n);
	return openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
}

/* The hash that the line ends with; NULL: it has none. */
static const char *hash_of(const char *line, size_t len)
{
	size_t key = strlen(HASH_KEY), tail = key + 64 + 2;

	if (len < tail || memcmp(line + len - tail, HASH_KEY, key) != 0 ||
	    memcmp(line + len - 2, "\"}", 2) != 0)
		return NULL;
	return line + len - 2 - 64;
}

/* The last whole line of an open file, into @line; what follows it is cut off: nobody has acted upon it. */
static int last_line(int fd, char line[USAGE_LINE_MAX], size_t *len, off_t *size, struct err *e)
{
	struct stat st;
	off_t from;
	ssize_t n;
	char *end, *begin;

	*len = 0;
	if (fstat(fd, &st) < 0)
		return err_set(e, errno, "cannot look at the receipts");
	from = st.st_size > USAGE_LINE_MAX ? st.st_size - USAGE_LINE_MAX : 0;
	n = pread(fd, line, USAGE_LINE_MAX, from);
	if (n < 0)
		return err_set(e, errno, "cannot read the receipts");
	end = memrchr(line, '\n', (size_t)n);
	if (!end) {
		*size = from;
		return st.st_size && ftruncate(fd, from) < 0 ?
			       err_set(e, errno, "cannot mend the receipts") :
			       0;
	}
	*size = from + (end - line) + 1;
	if (*size != st.st_size && ftruncate(fd, *size) < 0)
		return err_set(e, errno, "cannot mend the receipts");
	begin = end > line ? memrchr(line, '\n', (size_t)(end - line)) : NULL;
	begin = begin ? begin + 1 : line;
	*len = (size_t)(end - begin);
	memmove(line, begin, *len);
	return 0;
}

static void print_receipt(const struct receipt *r, const char *before, struct str *out)
{
	struct json_writer w = { .out = out };
	char hash[65];

	json_open(&w, NULL, '{');
	json_put_u64(&w, "seq", r->seq);
	json_put_string(&w, "name", r->name);
	json_put_string(&w, "uuid", r->uuid);
	json_put_strings(&w, "labels", r->labels);
	json_put_i64(&w, "start_ns", r->start_ns);
	json_put_i64(&w, "end_ns", r->end_ns);
	for (size_t i = 0; i < N_MEMBERS; i++)
		json_put_u64(&w, members[i].key, *member((struct usage *)(uintptr_t)&r->usage, i));
	json_put_string(&w, "before", before);
	sha256_text(str_text(out), out->len, hash);
	str_addf(out, HASH_KEY "%s\"}\n", hash);
}

bool receipt_parse(const char *line, size_t len, struct arena *a, struct receipt *r)
{
	const struct json *j = len < USAGE_LINE_MAX ? json_parse(a, line, len, &(struct err){ 0 }) :
						      NULL;
	struct receipt got = { .name = NULL };
	struct err ignored;

	if (!j || json_expect(j, JSON_OBJECT, &ignored) < 0 ||
	    json_u64(json_get(j, "seq"), 1, UINT64_MAX, &got.seq, &ignored) < 0 ||
	    json_string(json_get(j, "name"), &got.name, &ignored) < 0 ||
	    json_string(json_get(j, "uuid"), &got.uuid, &ignored) < 0 ||
	    (json_get(j, "labels") &&
	     json_strings(json_get(j, "labels"), a, &got.labels, NULL, &ignored) < 0) ||
	    json_i64(json_get(j, "start_ns"), 0, INT64_MAX, &got.start_ns, &ignored) < 0 ||
	    json_i64(json_get(j, "end_ns"), 0, INT64_MAX, &got.end_ns, &ignored) < 0)
		return false;
	for (size_t i = 0; i < N_MEMBERS; i++)
		if (json_u64(json_get(j, members[i].key), 0, UINT64_MAX, member(&got.usage, i),
			     &ignored) < 0)
			return false;
	if (!got.seq || !got.name || !got.uuid || got.end_ns < got.start_ns)
		return false;
	*r = got;
	return true;
}

/* Behind the last one, with the directory locked. */
static int append(int dir, struct receipt *r, struct err *e)
{
	auto_str struct str text = { 0 };
	auto_fd int fd = -1;
	char line[USAGE_LINE_MAX], before[65];
	unsigned first, last;
	size_t len;
	off_t size;
	ssize_t n;

	if (find_segments(dir, &first, &last, e) < 0)
		return -1;
	fd = open_segment(dir, last ? last : 1, O_RDWR | O_APPEND | O_CREAT);
	if (fd < 0)
		return err_set(e, errno, "cannot open the receipts");
	if (last_line(fd, line, &len, &size, e) < 0)
		return -1;
	snprintf(before, sizeof(before), "%.64s", no_hash);
	r->seq = 1;
	if (len) {
		const char *hash = hash_of(line, len);
		unsigned long long seq;

		if (!hash || sscanf(line, "{\"seq\":%llu,", &seq) != 1)
			return err_set(e, ERR_INVALID, "the last receipt makes no sense");
		snprintf(before, sizeof(before), "%.64s", hash);
		r->seq = seq + 1;
	}
	print_receipt(r, before, &text);
	if (text.failed || text.len >= USAGE_LINE_MAX)
		return err_set(e, text.failed ? ENOMEM : E2BIG, "receipt");
	if (size >= USAGE_SEGMENT_SIZE) {
		close(fd);
		fd = open_segment(dir, last + 1, O_RDWR | O_APPEND | O_CREAT | O_EXCL);
		size = 0;
		if (fd < 0)
			return err_set(e, errno, "cannot begin a file of receipts");
	}
	do {
		n = write(fd, text.s, text.len);
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)text.len)
		return 0;
	if (n > 0)
		(void)!ftruncate(fd, size); /* or the next one does that */
	return err_set(e, n < 0 ? errno : ENOSPC, "cannot write a receipt");
}

int usage_write_receipt(const struct instance_dir *d, struct state_dir *sd, const struct state *st,
			struct err *e)
{
	auto_instance struct instance *i = instance_load(d, e);
	auto_fd int dir = i ? open_dir(d->all, e) : -1;
	struct receipt r;

	if (dir < 0)
		return -1;
	r = (struct receipt){ .name = d->name, .uuid = i->uuid, .labels = i->labels };
	r.start_ns = st->created_ns;
	if (usage_of_run(d->all, sd, st, &r.usage, e) < 0)
		return -1;
	r.end_ns = r.start_ns + (int64_t)r.usage.alive_us * 1000;
	while (flock(dir, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "cannot lock the receipts");
	return append(dir, &r, e);
}

/* ---- reading them ---- */

typedef int line_function(const char *line, size_t len, void *arg, struct err *e);

static int each_line(const struct instances *all, line_function *each, void *arg, struct err *e)
{
	auto_fd int dir = open_dir(all, e);
	unsigned first, last;

	if (dir < 0 || find_segments(dir, &first, &last, e) < 0)
		return -1;
	for (unsigned k = first; k && k <= last; k++) {
		auto_fd int fd = open_segment(dir, k, O_RDONLY);
		auto_file FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
		auto_free char *line = NULL;
		size_t size = 0;
		ssize_t n;

		if (!f)
			return err_set(e, errno, "file %06u of the receipts", k);
		(void)take_fd(&fd);
		while ((n = getline(&line, &size, f)) > 0 && line[n - 1] == '\n') {
			int rc = each(line, (size_t)n - 1, arg, e);

			if (rc)
				return rc;
		}
		if (ferror(f))
			return err_set(e, errno, "cannot read file %06u of the receipts", k);
	}
	return 0;
}

struct reader {
	int (*each)(const struct receipt *r, void *arg);
	void *arg;
};

static int read_one(const char *line, size_t len, void *arg, struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	const struct reader *reader = arg;
	struct receipt r;

	if (!a)
		return err_set(e, ENOMEM, "receipts");
	if (!receipt_parse(line, len, a, &r))
		return err_set(e, ERR_INVALID,
			       "there is a receipt that makes no sense: see `ctr usage verify`");
	return reader->each(&r, reader->arg);
}

int usage_each(const struct instances *all, int (*each)(const struct receipt *r, void *arg),
	       void *arg, struct err *e)
{
	struct reader r = { each, arg };

	return each_line(all, read_one, &r, e);
}

struct chain {
	char before[65];
	uint64_t seq;
	int64_t n;
};

static int check_one(const char *line, size_t len, void *arg, struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	struct chain *c = arg;
	const char *hash = hash_of(line, len), *before = NULL;
	const struct json *j;
	struct receipt r;
	struct err ignored;
	char now[65];

	if (!a)
		return err_set(e, ENOMEM, "receipts");
	if (!hash || !receipt_parse(line, len, a, &r) ||
	    !(j = json_parse(a, line, len, &ignored)) ||
	    json_string(json_get(j, "before"), &before, &ignored) < 0 || !before)
		return err_set(e, ERR_INVALID, "what follows receipt %" PRIu64 " is none", c->seq);
	sha256_text(line, (size_t)(hash - line) - strlen(HASH_KEY), now);
	if (memcmp(now, hash, 64) != 0)
		return err_set(e, ERR_INVALID, "receipt %" PRIu64 " was changed", r.seq);
	/* the oldest files may have been removed: the chain begins where it begins */
	if (c->n && (r.seq != c->seq + 1 || !streq(before, c->before)))
		return err_set(e, ERR_INVALID,
			       "receipt %" PRIu64 " does not follow the one before it, %" PRIu64,
			       r.seq, c->seq);
	if (!c->n && r.seq == 1 && !streq(before, no_hash))
		return err_set(e, ERR_INVALID, "receipt 1 is not the first one");
	memcpy(c->before, now, sizeof(now));
	c->seq = r.seq;
	c->n++;
	return 0;
}

int64_t usage_verify(const struct instances *all, struct err *e)
{
	struct chain c = { .n = 0 };

	return each_line(all, check_one, &c, e) < 0 ? -1 : c.n;
}

/* ---- the sampler ---- */

struct sampler {
	const struct instances *all;
	int lock;
	struct sample *v; /* by name */
	size_t n;
	/* while it reads */
	struct sample *next;
	size_t n_next, size;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct sample *)a)->name, ((const struct sample *)b)->name);
}

/* What a sampler before this one has found out is gone on with. */
static void read_samples(struct sampler *s)
{
	auto_str struct str text = { 0 };
	struct err ignored;
	size_t size = 0;

	if (file_read(s->all->run, SAMPLES, SAMPLES_MAX, &text, &ignored) < 0)
		return;
	for (const char *c = str_text(&text); *c; c++)
		size += *c == '\n';
	s->v = calloc(size + 1, sizeof(*s->v));
	for (const char *line = str_text(&text); s->v && line && *line && s->n < size;) {
		s->n += sample_parse(line, &s->v[s->n]);
		line = strchr(line, '\n');
		line += line != NULL;
	}
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), by_name);
}

struct sampler *sampler_open(const struct instances *all, struct err *e)
{
	struct sampler *s = calloc(1, sizeof(*s));

	if (!s) {
		err_set(e, ENOMEM, "sampler");
		return NULL;
	}
	s->all = all;
	s->lock = openat(all->run, LOCK, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock >= 0 && flock(s->lock, LOCK_EX | LOCK_NB) == 0) {
		read_samples(s);
		return s;
	}
	err_set(e, errno == EWOULDBLOCK ? ERR_EXISTS : errno,
		errno == EWOULDBLOCK ? "another process samples already" :
				       "cannot lock the samples");
	sampler_close(s);
	return NULL;
}

void sampler_close(struct sampler *s)
{
	if (!s)
		return;
	own_close(&s->lock);
	free(s->v);
	free(s->next);
	free(s);
}

/* What does not change while it runs is read once. */
static bool learn_run(struct sampler *s, const char *name, const struct stat *file,
		      const struct sample *old, struct sample *out)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	struct sample got = { .state = file->st_ino };
	struct state_dir sd;
	struct err ignored;
	struct state st;
	bool known;

	if (!a || state_look(s->all->states, name, &sd, &ignored) < 0)
		return false;
	known = state_read(&sd, a, &st, &ignored) == 0;
	if (known) {
		(void)find_links(&sd, &got.links, &ignored); /* then none is counted */
		got.start_ns = got.last_ns = st.created_ns;
		snprintf(got.name, sizeof(got.name), "%s", name);
		snprintf(got.cgroup, sizeof(got.cgroup), "%s", st.cgroup ? st.cgroup : "");
		snprintf(got.cgroup_root, sizeof(got.cgroup_root), "%s",
			 st.cgroup_root ? st.cgroup_root : "");
		if (old && old->start_ns == got.start_ns) { /* of the sampler before this one */
			struct sample was = *old;

			was.state = got.state;
			was.links = got.links;
			memcpy(was.cgroup, got.cgroup, sizeof(was.cgroup));
			memcpy(was.cgroup_root, got.cgroup_root, sizeof(was.cgroup_root));
			got = was;
		}
	}
	state_close(&sd);
	*out = got;
	return known;
}

/* Between two readings the level is taken to have gone in a line; before the first one it was the first. */
static void take_reading(struct sample *s)
{
	const struct state st = { .cgroup = *s->cgroup ? s->cgroup : NULL,
				  .cgroup_root = s->cgroup_root };
	uint64_t level, limit, received, sent, before;
	int64_t now = now_ns(), passed = now - s->last_ns;
	struct err ignored; /* it has just ended */

	if (count(&st, "memory.current", "", &level, &ignored) < 0 ||
	    count(&st, "memory.max", "", &limit, &ignored) < 0)
		return;
	before = s->last_ns == s->start_ns ? level : s->level;
	s->memory = plus(s->memory, by_time(level / 2 + before / 2, at_most(passed)));
	s->reserved = plus(s->reserved, by_time(limit, passed));
	s->level = level;
	s->last_ns = now;
	count_links(&s->links, &received, &sent);
	if (received > s->received)
		s->received = received;
	if (sent > s->sent)
		s->sent = sent;
}

static int sample_one(const char *name, void *arg)
{
	struct sampler *s = arg;
	struct sample key, *old, *now;
	char path[NAME_MAX + 16];
	struct stat file;

	snprintf(path, sizeof(path), "%.*s/state.json", NAME_MAX, name);
	if (strlen(name) > INSTANCE_NAME_MAX || fstatat(s->all->states, path, &file, 0) < 0)
		return 0; /* not yet, or not any more */
	if (s->n_next == s->size) {
		size_t size = s->size ? 2 * s->size : 64;
		struct sample *v = realloc(s->next, size * sizeof(*v));

		if (!v)
			return -1;
		s->next = v;
		s->size = size;
	}
	snprintf(key.name, sizeof(key.name), "%s", name);
	old = s->n ? bsearch(&key, s->v, s->n, sizeof(*s->v), by_name) : NULL;
	now = &s->next[s->n_next];
	if (old && old->state == file.st_ino)
		*now = *old;
	else if (!learn_run(s, name, &file, old, now))
		return 0;
	take_reading(now);
	s->n_next++;
	return 0;
}

/* Of a run that goes on. That it has just ended is no failure: then it has had its last one. */
static int write_receipt(struct sampler *s, const char *name, struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	struct instance_dir d = { .fd = -1, .promise = -1 };
	struct state_dir sd;
	struct state st;
	struct err why;
	int rc = 0;

	if (!a)
		return err_set(e, ENOMEM, "receipts");
	if (state_look(s->all->states, name, &sd, &why) < 0)
		return 0;
	if (state_read(&sd, a, &st, &why) == 0 && instance_look(s->all, name, &d, &why) == 0) {
		rc = usage_write_receipt(&d, &sd, &st, e);
		if (rc < 0 && (e->code == ENOENT || e->code == ERR_NO_SUCH))
			rc = 0;
		instance_close(&d);
	}
	state_close(&sd);
	return rc;
}

static int write_receipts(struct sampler *s, int64_t period, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct sample *one = &s->v[i];
		int64_t since = one->receipt_ns ? one->receipt_ns : one->start_ns;

		if (one->last_ns - since < period * NS)
			continue;
		one->receipt_ns = one->last_ns;
		if (write_receipt(s, one->name, e) < 0)
			rc = -1;
	}
	return rc;
}

int sampler_tick(struct sampler *s, int64_t period, struct err *e)
{
	auto_str struct str text = { 0 };
	struct sample *v = s->v;

	s->n_next = 0;
	if (state_each(s->all->states, sample_one, s, e) < 0)
		return -1;
	if (s->n_next)
		qsort(s->next, s->n_next, sizeof(*s->next), by_name);
	for (size_t i = 0; i < s->n_next; i++)
		sample_print(&s->next[i], &text);
	s->v = s->next;
	s->n = s->n_next;
	s->next = NULL;
	s->size = 0;
	free(v);
	if (text.failed)
		return err_set(e, ENOMEM, "samples");
	if (file_replace(s->all->run, SAMPLES, str_text(&text), text.len, 0600, false, e) < 0)
		return -1;
	return write_receipts(s, period, e);
}
