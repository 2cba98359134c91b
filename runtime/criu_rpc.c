/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/criu_rpc.h"

#include <limits.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/str.h"

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* ---- writing ---- */

static void put_varint(struct str *m, uint64_t v)
{
	char bytes[10];
	size_t n = 0;

	do {
		bytes[n++] = (char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
	str_add_n(m, bytes, n);
}

static void put_bytes(struct str *m, unsigned field, const char *data, size_t len)
{
	put_varint(m, field << 3 | WIRE_BYTES);
	put_varint(m, len);
	str_add_n(m, data, len);
}

void criu_put_number(struct str *m, unsigned field, int64_t v)
{
	put_varint(m, field << 3 | WIRE_VARINT);
	put_varint(m, (uint64_t)v);
}

void criu_put_flag(struct str *m, unsigned field, bool v)
{
	if (v)
		criu_put_number(m, field, 1);
}

void criu_put_string(struct str *m, unsigned field, const char *s)
{
	if (s)
		put_bytes(m, field, s, strlen(s));
}

void criu_put_message(struct str *m, unsigned field, const struct str *inner)
{
	put_bytes(m, field, str_text(inner), inner->len);
	m->failed |= inner->failed;
}

void criu_put_pair(struct str *m, unsigned field, const char *first, const char *second)
{
	auto_str struct str inner = { 0 };

	criu_put_string(&inner, 1, first);
	criu_put_string(&inner, 2, second);
	criu_put_message(m, field, &inner);
}

void criu_put_inherit_fd(struct str *m, const char *key, int fd)
{
	auto_str struct str inner = { 0 };

	criu_put_string(&inner, 1, key);
	criu_put_number(&inner, 2, fd);
	criu_put_message(m, CRIU_INHERIT_FD, &inner);
}

/* Members of message criu_req. */
enum { REQUEST_TYPE = 1, REQUEST_OPTIONS = 2, REQUEST_NOTIFY_SUCCESS = 3, REQUEST_FEATURES = 5 };
enum { FEATURE_MEM_TRACK = 1, FEATURE_LAZY_PAGES = 2 };

void criu_put_request(struct str *m, enum criu_request type, const struct str *options)
{
	criu_put_number(m, REQUEST_TYPE, type);
	if (options)
		criu_put_message(m, REQUEST_OPTIONS, options);
}

void criu_put_notified(struct str *m, bool success)
{
	criu_put_number(m, REQUEST_TYPE, CRIU_NOTIFY);
	criu_put_number(m, REQUEST_NOTIFY_SUCCESS, success);
}

void criu_put_feature_check(struct str *m, bool memory_tracking, bool lazy_pages)
{
	auto_str struct str features = { 0 };

	criu_put_flag(&features, FEATURE_MEM_TRACK, memory_tracking);
	criu_put_flag(&features, FEATURE_LAZY_PAGES, lazy_pages);
	criu_put_number(m, REQUEST_TYPE, CRIU_FEATURE_CHECK);
	criu_put_message(m, REQUEST_FEATURES, &features);
}

/* ---- reading ---- */

struct reader {
	const unsigned char *at, *end;
};

struct member {
	uint64_t field, number; /* number: of a varint */
	struct reader bytes;	/* of a string or a message; empty for other types */
};

static int get_varint(struct reader *r, uint64_t *out)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
		unsigned char c = *r->at++;

		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*out = v;
			return 0;
		}
	}
	return -1;
}

/* The next member; 0 at the end, -1 for what is no message. */
static int next(struct reader *r, struct member *m)
{
	uint64_t key, len;

	if (r->at == r->end)
		return 0;
	*m = (struct member){ .bytes = { r->end, r->end } };
	if (get_varint(r, &key) < 0 || !(key >> 3))
		return -1;
	m->field = key >> 3;
	switch (key & 7) {
	case WIRE_VARINT:
		return get_varint(r, &m->number) < 0 ? -1 : 1;
	case WIRE_BYTES:
		if (get_varint(r, &len) < 0)
			return -1;
		break;
	case WIRE_64:
		len = 8;
		break;
	case WIRE_32:
		len = 4;
		break;
	default:
		return -1;
	}
	if (len > (size_t)(r->end - r->at))
		return -1;
	if ((key & 7) == WIRE_BYTES)
		m->bytes = (struct reader){ r->at, r->at + len };
	r->at += len;
	return 1;
}

/* Cut to its room, and without what a terminal would obey. */
static void get_string(const struct reader *r, char *out, size_t size)
{
	size_t len = (size_t)(r->end - r->at);

	len = len < size ? len : size - 1;
	for (size_t i = 0; i < len; i++)
		out[i] = r->at[i] < ' ' || r->at[i] == 0x7f ? ' ' : (char)r->at[i];
	out[len] = '\0';
}

static int get_pid(uint64_t number)
{
	return number <= INT_MAX ? (int)number : 0;
}

/* Members of message criu_resp, and of those in it. */
enum {
	ANSWER_TYPE = 1,
	ANSWER_SUCCESS = 2,
	ANSWER_RESTORE = 4,
	ANSWER_NOTIFY = 5,
	ANSWER_ERRNO = 7,
	ANSWER_FEATURES = 8,
	ANSWER_MESSAGE = 9,
};

static int get_restored(struct reader r, struct criu_answer *a)
{
	struct member m;
	int n;

	while ((n = next(&r, &m)) > 0)
		if (m.field == 1)
			a->pid = get_pid(m.number);
	return n;
}

static int get_notice(struct reader r, struct criu_answer *a)
{
	struct member m;
	int n;

	while ((n = next(&r, &m)) > 0)
		if (m.field == 1)
			get_string(&m.bytes, a->script, sizeof(a->script));
		else if (m.field == 2)
			a->pid = get_pid(m.number);
	return n;
}

static int get_features(struct reader r, struct criu_answer *a)
{
	struct member m;
	int n;

	while ((n = next(&r, &m)) > 0)
		if (m.field == FEATURE_MEM_TRACK)
			a->memory_tracking = m.number;
		else if (m.field == FEATURE_LAZY_PAGES)
			a->lazy_pages = m.number;
	return n;
}

int criu_answer_parse(const void *data, size_t len, struct criu_answer *a, struct err *e)
{
	struct reader r = { data, (const unsigned char *)data + len };
	struct criu_answer got = { .type = -1 };
	struct member m;
	int n;

	while ((n = next(&r, &m)) > 0) {
		switch (m.field) {
		case ANSWER_TYPE:
			got.type = get_pid(m.number);
			break;
		case ANSWER_SUCCESS:
			got.success = m.number;
			break;
		case ANSWER_RESTORE:
			n = get_restored(m.bytes, &got);
			break;
		case ANSWER_NOTIFY:
			n = get_notice(m.bytes, &got);
			break;
		case ANSWER_ERRNO:
			got.error = get_pid(m.number);
			break;
		case ANSWER_FEATURES:
			n = get_features(m.bytes, &got);
			break;
		case ANSWER_MESSAGE:
			get_string(&m.bytes, got.message, sizeof(got.message));
			break;
		}
		if (n < 0)
			break;
	}
	if (n < 0 || got.type < 0)
		return err_set(e, ERR_INVALID, "what criu answers cannot be understood");
	*a = got;
	return 0;
}
