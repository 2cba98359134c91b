/*
 * POSIX's ustar headers (pax(1)), with PAX records for what they cannot say: long names, parts of a second, attributes
 * (SCHILY.xattr.*, as GNU tar, bsdtar and Go have them), and holes in GNU tar's sparse format 1.0. No times of access or change,
 * no names of users, nothing of this machine.
 */
#include "images/unpack/tar.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/unpack/erofs.h"
#include "images/unpack/tree.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"

#define BLOCK  512u
#define BUFFER (256u << 10)

struct tar {
	const struct erofs_layer *layers;
	int fd;
	struct sha256_ctx sha;
	char *buf;
	size_t used;
	struct str name; /* of the entry, with "./" in front */
	char **first;	 /* names of inodes with several, by place - 1 */
	size_t n_first, first_size;
	struct err *e;
};

static int flush(struct tar *t)
{
	const char *p = t->buf;
	size_t left = t->used;

	sha256_update(&t->sha, t->used, (const uint8_t *)t->buf);
	while (left) {
		ssize_t n = write(t->fd, p, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(t->e, errno, "cannot write a layer");
		p += n;
		left -= (size_t)n;
	}
	t->used = 0;
	return 0;
}

static int emit(struct tar *t, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		size_t n = BUFFER - t->used < len ? BUFFER - t->used : len;

		memcpy(t->buf + t->used, p, n);
		t->used += n;
		p += n;
		len -= n;
		if (t->used == BUFFER && flush(t) < 0)
			return -1;
	}
	return 0;
}

/* Zeros to the end of the block, @len bytes of which are used. */
static int pad(struct tar *t, uint64_t len)
{
	static const char zeros[BLOCK];

	return len % BLOCK ? emit(t, zeros, (size_t)(BLOCK - len % BLOCK)) : 0;
}

/* "LEN KEY=VALUE\n", of which LEN counts its own digits too. */
static void record(struct str *out, const char *key, const void *value, size_t len)
{
	size_t rest = strlen(key) + len + 3, total = rest + 1;
	char digits[24];

	while (rest + (size_t)snprintf(digits, sizeof(digits), "%zu", total) != total)
		total = rest + strlen(digits);
	str_addf(out, "%zu %s=", total, key);
	str_add_n(out, value, len);
	str_add(out, "\n");
}

static void record_text(struct str *out, const char *key, const char *value)
{
	record(out, key, value, strlen(value));
}

static void record_number(struct str *out, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	record_text(out, key, text);
}

struct header {
	const char *name, *link;
	char type;
	unsigned mode;
	uid_t uid;
	gid_t gid;
	uint64_t size;
	int64_t mtime;
};

/* Numbers that do not fit are in PAX records as well, and 0 here. */
static void octal(char *at, size_t size, uint64_t v)
{
	if (v >> (3 * (size - 1)))
		v = 0;
	snprintf(at, size, "%0*llo", (int)size - 1, (unsigned long long)v);
}

static int emit_header(struct tar *t, const struct header *h)
{
	char b[BLOCK] = { 0 };
	unsigned sum = 0;

	memcpy(b, h->name, strlen(h->name) < 100 ? strlen(h->name) : 100);
	octal(b + 100, 8, h->mode);
	octal(b + 108, 8, h->uid);
	octal(b + 116, 8, h->gid);
	octal(b + 124, 12, h->size);
	octal(b + 136, 12, h->mtime < 0 ? 0 : (uint64_t)h->mtime);
	memset(b + 148, ' ', 8);
	b[156] = h->type;
	memcpy(b + 157, h->link, strlen(h->link) < 100 ? strlen(h->link) : 100);
	memcpy(b + 257, "ustar\00000", 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += (unsigned char)b[i];
	snprintf(b + 148, 8, "%06o", sum);
	return emit(t, b, BLOCK);
}

static void record_times(struct str *pax, const struct tree_node *n)
{
	/* as a fraction of a negative number counts down from it, the text is that of the whole value */
	bool negative = n->mtime.tv_sec < 0;
	long long sec = n->mtime.tv_sec;
	long nsec = n->mtime.tv_nsec;
	char text[40];

	if (!nsec && sec >= 0 && sec < 1LL << 33)
		return;
	if (negative && nsec) {
		sec++;
		nsec = 1000000000 - nsec;
	}
	if (nsec)
		snprintf(text, sizeof(text), "%s%lld.%09ld", negative ? "-" : "",
			 negative ? -sec : sec, nsec);
	else
		snprintf(text, sizeof(text), "%lld", sec);
	record_text(pax, "mtime", text);
}

static int emit_pax(struct tar *t, const struct str *pax)
{
	const struct header h = {
		.name = "./PaxHeaders/x", .link = "", .type = 'x', .mode = 0644, .size = pax->len
	};

	if (pax->failed)
		return err_set(t->e, ENOMEM, "cannot write a layer");
	if (!pax->len)
		return 0;
	return emit_header(t, &h) < 0 || emit(t, pax->s, pax->len) < 0 ? -1 : pad(t, pax->len);
}

static int emit_content(struct tar *t, const struct tree_node *n, uint64_t *total)
{
	for (size_t i = 0; i < n->file.n_segments; i++) {
		uint64_t pos = n->file.segments[i].pos, left = n->file.segments[i].len;

		*total += left;
		while (left) {
			size_t room = BUFFER - t->used;
			ssize_t got = pread(t->layers[n->layer - 1].fd, t->buf + t->used,
					    left < room ? (size_t)left : room, (off_t)pos);

			if (got < 0 && errno == EINTR)
				continue;
			if (got <= 0)
				return err_set(t->e, got < 0 ? errno : EIO, "cannot read a layer");
			t->used += (size_t)got;
			pos += (uint64_t)got;
			left -= (uint64_t)got;
			if (t->used == BUFFER && flush(t) < 0)
				return -1;
		}
	}
	return 0;
}

static bool has_holes(const struct tree_node *n)
{
	const struct tree_segment *s = n->file.segments;

	return n->file.size && (n->file.n_segments != 1 || s->at || s->len != n->file.size);
}

/* GNU tar's manual, "PAX Format, Version 1.0": how many pieces, then where each begins and its length, a line each. */
static void sparse_map(const struct tree_node *n, struct str *map)
{
	uint64_t end = 0;
	bool tail;

	for (size_t i = 0; i < n->file.n_segments; i++)
		end = n->file.segments[i].at + n->file.segments[i].len;
	tail = end < n->file.size;
	str_addf(map, "%zu\n", n->file.n_segments + tail);
	for (size_t i = 0; i < n->file.n_segments; i++)
		str_addf(map, "%llu\n%llu\n", (unsigned long long)n->file.segments[i].at,
			 (unsigned long long)n->file.segments[i].len);
	if (tail)
		str_addf(map, "%llu\n0\n", (unsigned long long)n->file.size);
	while (map->len % BLOCK && !map->failed)
		str_add_n(map, "", 1);
}

static int emit_file(struct tar *t, const struct tree_node *n, struct header *h, struct str *pax)
{
	auto_str struct str map = { 0 };
	uint64_t total = 0;

	h->size = n->file.size;
	if (has_holes(n)) {
		sparse_map(n, &map);
		if (map.failed)
			return err_set(t->e, ENOMEM, "cannot write a layer");
		record_number(pax, "GNU.sparse.major", 1);
		record_number(pax, "GNU.sparse.minor", 0);
		record_text(pax, "GNU.sparse.name", h->name);
		record_number(pax, "GNU.sparse.realsize", n->file.size);
		h->size = map.len;
		for (size_t i = 0; i < n->file.n_segments; i++)
			h->size += n->file.segments[i].len;
	}
	if (h->size >> 33)
		record_number(pax, "size", h->size);
	if (emit_pax(t, pax) < 0 || emit_header(t, h) < 0 || emit(t, str_text(&map), map.len) < 0 ||
	    emit_content(t, n, &total) < 0)
		return -1;
	return pad(t, total);
}

static const char *first_name(struct tar *t, struct tree_node *n)
{
	if (n->place)
		return t->first[n->place - 1];
	if (n->nlink < 2 || S_ISDIR(n->mode))
		return NULL;
	if (t->n_first == t->first_size) {
		size_t size = t->first_size ? 2 * t->first_size : 64;
		char **more = reallocarray(t->first, size, sizeof(*more));

		if (!more)
			return NULL; /* another copy of it then; memory will not last much longer */
		t->first = more;
		t->first_size = size;
	}
	t->first[t->n_first] = strdup(t->name.s);
	if (t->first[t->n_first])
		n->place = ++t->n_first;
	return NULL;
}

static int emit_entry(struct tar *t, struct tree_node *n)
{
	auto_str struct str pax = { 0 };
	const char *link = first_name(t, n);
	struct header h = { .name = t->name.s,
			    .link = link	     ? link :
				    S_ISLNK(n->mode) ? n->target :
						       "",
			    .type = link	      ? '1' :
				    S_ISDIR(n->mode)  ? '5' :
				    S_ISLNK(n->mode)  ? '2' :
				    S_ISFIFO(n->mode) ? '6' :
							'0',
			    .mode = n->mode & 07777,
			    .uid = n->uid,
			    .gid = n->gid,
			    .mtime = n->mtime.tv_sec };

	if (strlen(h.name) > 100)
		record_text(&pax, "path", h.name);
	if (strlen(h.link) > 100)
		record_text(&pax, "linkpath", h.link);
	if (n->uid >> 21)
		record_number(&pax, "uid", n->uid);
	if (n->gid >> 21)
		record_number(&pax, "gid", n->gid);
	record_times(&pax, n);
	for (size_t i = 0; !link && i < n->n_xattrs; i++) {
		char key[300];

		snprintf(key, sizeof(key), "SCHILY.xattr.%s", n->xattrs[i].name);
		record(&pax, key, n->xattrs[i].value, n->xattrs[i].len);
	}
	if (!link && S_ISREG(n->mode))
		return emit_file(t, n, &h, &pax);
	return emit_pax(t, &pax) < 0 ? -1 : emit_header(t, &h);
}

static int emit_dir(struct tar *t, struct tree_node *dir)
{
	size_t n, len = t->name.len;
	auto_free struct tree_entry **list = tree_sorted(dir, &n);

	if (!list)
		return err_set(t->e, ENOMEM, "cannot write a layer");
	for (size_t i = 0; i < n; i++) {
		struct tree_node *child = list[i]->node;

		t->name.len = len;
		str_add(&t->name, list[i]->name);
		if (S_ISDIR(child->mode))
			str_add(&t->name, "/");
		if (t->name.failed)
			return err_set(t->e, ENOMEM, "cannot write a layer");
		if (emit_entry(t, child) < 0 || (S_ISDIR(child->mode) && emit_dir(t, child) < 0))
			return -1;
	}
	return 0;
}

int tar_write(struct tree_node *top, const struct erofs_layer *layers, int fd, uint8_t digest[32],
	      struct err *e)
{
	static const char end[2 * BLOCK];
	struct tar t = { .layers = layers, .fd = fd, .buf = malloc(BUFFER), .e = e };
	int rc = -1;

	sha256_init(&t.sha);
	str_add(&t.name, "./");
	if (!t.buf || t.name.failed)
		err_set(e, ENOMEM, "cannot write a layer");
	else if (emit_entry(&t, top) == 0 && emit_dir(&t, top) == 0 &&
		 emit(&t, end, sizeof(end)) == 0)
		rc = flush(&t);
	sha256_digest(&t.sha, 32, digest);
	for (size_t i = 0; i < t.n_first; i++)
		free(t.first[i]);
	free(t.first);
	free(t.buf);
	str_free(&t.name);
	return rc;
}
