/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/tar.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"

#define BUFFER (256u << 10)

int tar_begin(struct tar *t, int fd, struct err *e)
{
	*t = (struct tar){ .fd = fd, .buf = malloc(BUFFER) };
	return t->buf ? 0 : err_set(e, ENOMEM, "cannot write an archive");
}

void tar_free(struct tar *t)
{
	free(t->buf);
	t->buf = NULL;
}

static int flush(struct tar *t, struct err *e)
{
	if (t->each)
		t->each(t->arg, t->buf, t->used);
	if (file_write_all(t->fd, t->buf, t->used) < 0)
		return err_set(e, errno, "cannot write an archive");
	t->used = 0;
	return 0;
}

int tar_data(struct tar *t, const void *data, size_t len, struct err *e)
{
	const char *p = data;

	while (len) {
		size_t n = BUFFER - t->used < len ? BUFFER - t->used : len;

		memcpy(t->buf + t->used, p, n);
		t->used += n;
		p += n;
		len -= n;
		if (t->used == BUFFER && flush(t, e) < 0)
			return -1;
	}
	return 0;
}

int tar_copy(struct tar *t, int fd, uint64_t pos, uint64_t len, int shrinks_ok, struct err *e)
{
	while (len) {
		size_t room = BUFFER - t->used;
		ssize_t got =
			pread(fd, t->buf + t->used, len < room ? (size_t)len : room, (off_t)pos);

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0 && shrinks_ok) {
			got = (ssize_t)(len < room ? len : room);
			memset(t->buf + t->used, 0, (size_t)got);
		}
		if (got <= 0)
			return err_set(e, got < 0 ? errno : EIO,
				       "cannot read what goes into an archive");
		t->used += (size_t)got;
		pos += (uint64_t)got;
		len -= (uint64_t)got;
		if (t->used == BUFFER && flush(t, e) < 0)
			return -1;
	}
	return 0;
}

int tar_pad(struct tar *t, uint64_t len, struct err *e)
{
	static const char zeros[TAR_BLOCK];

	return len % TAR_BLOCK ? tar_data(t, zeros, (size_t)(TAR_BLOCK - len % TAR_BLOCK), e) : 0;
}

int tar_end(struct tar *t, struct err *e)
{
	static const char end[2 * TAR_BLOCK];

	return tar_data(t, end, sizeof(end), e) < 0 ? -1 : flush(t, e);
}

/* LEN counts its own digits too. */
void tar_record(struct str *out, const char *key, const void *value, size_t len)
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
	tar_record(out, key, value, strlen(value));
}

static void record_number(struct str *out, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	record_text(out, key, text);
}

static void record_time(struct str *pax, const struct timespec *t)
{
	/* as a fraction of a negative number counts down from it, the text is that of the whole value */
	bool negative = t->tv_sec < 0;
	long long sec = t->tv_sec;
	long nsec = t->tv_nsec;
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

/* Numbers that do not fit are in PAX records as well, and 0 here. */
static void octal(char *at, size_t size, uint64_t v)
{
	if (v >> (3 * (size - 1)))
		v = 0;
	snprintf(at, size, "%0*llo", (int)size - 1, (unsigned long long)v);
}

static int put_header(struct tar *t, const struct tar_entry *h, struct err *e)
{
	char b[TAR_BLOCK] = { 0 };
	unsigned sum = 0;

	memcpy(b, h->name, strlen(h->name) < 100 ? strlen(h->name) : 100);
	octal(b + 100, 8, h->mode);
	octal(b + 108, 8, h->uid);
	octal(b + 116, 8, h->gid);
	octal(b + 124, 12, h->size);
	octal(b + 136, 12, h->mtime.tv_sec < 0 ? 0 : (uint64_t)h->mtime.tv_sec);
	memset(b + 148, ' ', 8);
	b[156] = h->type;
	memcpy(b + 157, h->link, strlen(h->link) < 100 ? strlen(h->link) : 100);
	memcpy(b + 257, "ustar\00000", 8);
	if (h->type == '3' || h->type == '4') {
		octal(b + 329, 8, h->major);
		octal(b + 337, 8, h->minor);
	}
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += (unsigned char)b[i];
	snprintf(b + 148, 8, "%06o", sum);
	return tar_data(t, b, TAR_BLOCK, e);
}

static int put_pax(struct tar *t, const struct str *pax, struct err *e)
{
	const struct tar_entry h = {
		.name = "./PaxHeaders/x", .link = "", .type = 'x', .mode = 0644, .size = pax->len
	};

	if (pax->failed)
		return err_set(e, ENOMEM, "cannot write an archive");
	if (!pax->len)
		return 0;
	return put_header(t, &h, e) < 0 || tar_data(t, pax->s, pax->len, e) < 0 ?
		       -1 :
		       tar_pad(t, pax->len, e);
}

int tar_put(struct tar *t, const struct tar_entry *en, struct str *pax, struct err *e)
{
	struct str own = { 0 };
	int rc;

	if (!pax)
		pax = &own;
	if (strlen(en->name) > 100)
		record_text(pax, "path", en->name);
	if (strlen(en->link) > 100)
		record_text(pax, "linkpath", en->link);
	if (en->uid >> 21)
		record_number(pax, "uid", en->uid);
	if (en->gid >> 21)
		record_number(pax, "gid", en->gid);
	if (en->size >> 33)
		record_number(pax, "size", en->size);
	record_time(pax, &en->mtime);
	rc = put_pax(t, pax, e) < 0 ? -1 : put_header(t, en, e);
	str_free(pax);
	return rc;
}
