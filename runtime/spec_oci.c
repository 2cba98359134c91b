/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/spec_oci.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/caps.h"
#include "runtime/names.h"
#include "runtime/spec.h"

/* Appends "process.rlimits[1]"; returns how much of @size is used. */
static size_t print_place(const struct place *p, char *buf, size_t size)
{
	size_t n = 0;
	int len;

	if (!p)
		return 0;
	n = print_place(p->up, buf, size);
	if (p->quoted)
		len = snprintf(buf + n, size - n, "[\"%.100s\"]", p->key);
	else if (p->key)
		len = snprintf(buf + n, size - n, "%s%s", n ? "." : "", p->key);
	else
		len = snprintf(buf + n, size - n, "[%zu]", p->index);
	n += len > 0 ? (size_t)len : 0;
	return n < size ? n : size - 1;
}

/* "<place>: <message>" into @out, as one line: the document's own words may hold anything. */
static void describe(const struct reader *r, struct err *out, const char *fmt, va_list ap)
{
	char place[512] = "", what[512];
	size_t n = print_place(r->place, place, sizeof(place));

	vsnprintf(what, sizeof(what), fmt, ap);
	err_set(out, ERR_INVALID, "%s%s%s", place, n ? ": " : "", what);
	for (char *c = out->msg; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

int reader_fail(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	describe(r, r->e, fmt, ap);
	va_end(ap);
	return -1;
}

int reader_fail_in(struct reader *r, const char *key, const char *fmt, ...)
{
	struct place here = { .up = r->place, .key = key };
	va_list ap;

	r->place = &here;
	va_start(ap, fmt);
	describe(r, r->e, fmt, ap);
	va_end(ap);
	r->place = here.up;
	return -1;
}

__attribute__((format(printf, 2, 3))) static void warn(const struct reader *r, const char *fmt, ...)
{
	struct err text;
	va_list ap;

	va_start(ap, fmt);
	describe(r, &text, fmt, ap);
	va_end(ap);
	log_warn("%s", text.msg);
}

static int no_memory(struct reader *r)
{
	return err_set(r->e, ENOMEM, "cannot keep the specification");
}

static int expect(struct reader *r, const struct json *v, enum json_type type)
{
	if (v->type == type)
		return 0;
	return reader_fail(r, "expected %s, not %s", json_type_name(type), json_type_name(v->type));
}

static int read_object(struct reader *r, const struct object *o, void *base, const struct json *v);

static int read_u64(struct reader *r, const struct json *v, uint64_t lo, uint64_t hi, uint64_t *out)
{
	if (expect(r, v, JSON_NUMBER) < 0)
		return -1;
	if (parse_u64(v->text, lo, hi, out) < 0)
		return reader_fail(r, "expected a whole number from %llu to %llu, not %.40s",
				   (unsigned long long)lo, (unsigned long long)hi, v->text);
	return 0;
}

static int read_i64(struct reader *r, const struct json *v, int64_t lo, int64_t hi, int64_t *out)
{
	if (expect(r, v, JSON_NUMBER) < 0)
		return -1;
	if (parse_i64(v->text, lo, hi, out) < 0)
		return reader_fail(r, "expected a whole number from %lld to %lld, not %.40s",
				   (long long)lo, (long long)hi, v->text);
	return 0;
}

static int read_unsigned(struct reader *r, const struct field *f, uint64_t max,
			 const struct json *v, uint64_t *out)
{
	return read_u64(r, v, (uint64_t)f->lo, f->hi ? f->hi : max, out);
}

static int read_signed(struct reader *r, const struct field *f, int64_t min, int64_t max,
		       const struct json *v, int64_t *out)
{
	bool all = !f->lo && !f->hi;

	return read_i64(r, v, all ? min : f->lo, all ? max : (int64_t)f->hi, out);
}

static int read_number(struct reader *r, const struct field *f, void *to, const struct json *v)
{
	uint64_t u = 0;
	int64_t i = 0;

	switch (f->type) {
	case F_U32:
		if (read_unsigned(r, f, UINT32_MAX, v, &u) < 0)
			return -1;
		*(uint32_t *)to = (uint32_t)u;
		return 0;
	case F_U64:
		return read_unsigned(r, f, UINT64_MAX, v, to);
	case F_OPT_U64:
		if (read_unsigned(r, f, UINT64_MAX, v, &u) < 0)
			return -1;
		*(struct opt_u64 *)to = (struct opt_u64){ true, u };
		return 0;
	case F_I32:
		if (read_signed(r, f, INT32_MIN, INT32_MAX, v, &i) < 0)
			return -1;
		*(int32_t *)to = (int32_t)i;
		return 0;
	case F_I64:
		return read_signed(r, f, INT64_MIN, INT64_MAX, v, to);
	default:
		assert(f->type == F_OPT_I64);
		if (read_signed(r, f, INT64_MIN, INT64_MAX, v, &i) < 0)
			return -1;
		*(struct opt_i64 *)to = (struct opt_i64){ true, i };
		return 0;
	}
}

static int read_decimal(struct reader *r, const struct field *f, void *to, const struct json *v)
{
	uint64_t n;

	if (read_unsigned(r, f, UINT64_MAX, v, &n) < 0)
		return -1;
	*(const char **)to = arena_printf(r->arena, "%llu", (unsigned long long)n);
	return *(const char **)to ? 0 : no_memory(r);
}

/* A word out of a table; *number may be NULL. */
static int check_word(struct reader *r, const struct field *f, const char *word, int *number)
{
	long value;

	if (!table_value(f->names, word, &value))
		return reader_fail(r, "unknown %s '%.100s'", f->what, word);
	if (number)
		*number = (int)value;
	return 0;
}

static int read_text(struct reader *r, const struct field *f, void *to, const struct json *v)
{
	if (expect(r, v, JSON_STRING) < 0)
		return -1;
	if (!*v->text)
		return f->flags & REQUIRED ? reader_fail(r, "must not be empty") : 0;
	switch (f->type) {
	case F_NUMBER_OF:
		return check_word(r, f, v->text, to);
	case F_LETTER:
		if (v->text[1] || !strchr(f->letters, v->text[0]))
			return reader_fail(r, "unknown %s '%.100s'", f->what, v->text);
		*(char *)to = v->text[0];
		return 0;
	case F_WORD:
		if (check_word(r, f, v->text, NULL) < 0)
			return -1;
		break;
	default:
		if (f->check && f->check(r, v->text) < 0)
			return -1;
	}
	*(const char **)to = v->text;
	return 0;
}

static int read_access(struct reader *r, void *to, const struct json *v)
{
	unsigned access = 0;

	if (expect(r, v, JSON_STRING) < 0)
		return -1;
	for (const char *c = v->text; *c; c++) {
		unsigned bit = *c == 'r' ? DEVICE_READ :
			       *c == 'w' ? DEVICE_WRITE :
			       *c == 'm' ? DEVICE_MKNOD :
					   0;

		if (!bit && *c != 'a') /* of cgroup v1's "all"; runc and crun pass over it */
			return reader_fail(r, "expected letters out of 'rwm', not '%.100s'",
					   v->text);
		access |= bit;
	}
	if (access)
		*(unsigned *)to = access;
	return 0;
}

static int read_strings(struct reader *r, const struct field *f, void *to, const struct json *v)
{
	struct place here = { .up = r->place };
	const char **list;

	if (expect(r, v, JSON_ARRAY) < 0)
		return -1;
	if (!v->count && f->flags & FILLED)
		return reader_fail(r, "must not be empty");
	list = arena_array(r->arena, v->count + 1, sizeof(*list));
	if (!list)
		return no_memory(r);
	r->place = &here;
	for (const struct json *m = v->first; m; m = m->next, here.index++) {
		if (expect(r, m, JSON_STRING) < 0)
			return -1;
		if (f->names && check_word(r, f, m->text, NULL) < 0)
			return -1;
		if (f->check && f->check(r, m->text) < 0)
			return -1;
		list[here.index] = m->text;
	}
	r->place = here.up;
	*(const char *const **)to = list;
	return 0;
}

static int read_u32s(struct reader *r, const struct field *f, void *to, size_t *count,
		     const struct json *v)
{
	struct place here = { .up = r->place };
	uint32_t *list;

	if (expect(r, v, JSON_ARRAY) < 0)
		return -1;
	list = arena_array(r->arena, v->count, sizeof(*list));
	if (!list)
		return no_memory(r);
	r->place = &here;
	for (const struct json *m = v->first; m; m = m->next, here.index++) {
		uint64_t n;

		if (read_unsigned(r, f, UINT32_MAX, m, &n) < 0)
			return -1;
		list[here.index] = (uint32_t)n;
	}
	r->place = here.up;
	*(uint32_t **)to = list;
	*count = v->count;
	return 0;
}

/*
 * Names that this build does not know are told, in one line, and left out: "any value which cannot be mapped to
 * a relevant kernel interface [...] MUST be logged as a warning" (config.md).
 */
static int read_caps(struct reader *r, void *to, const struct json *v)
{
	struct place here = { .up = r->place };
	const char *unknown = NULL;
	size_t n_unknown = 0;
	uint64_t set = 0;

	if (expect(r, v, JSON_ARRAY) < 0)
		return -1;
	r->place = &here;
	for (const struct json *m = v->first; m; m = m->next, here.index++) {
		int n;

		if (expect(r, m, JSON_STRING) < 0)
			return -1;
		n = cap_number(m->text);
		if (n >= 0) {
			set |= 1ULL << n;
		} else if (!n_unknown++) {
			unknown = m->text;
		}
	}
	r->place = here.up;
	if (n_unknown > 1)
		warn(r, "unknown capability '%.40s' and %zu more are left out", unknown,
		     n_unknown - 1);
	else if (unknown)
		warn(r, "unknown capability '%.40s' is left out", unknown);
	*(uint64_t *)to = set;
	return 0;
}

static int read_pairs(struct reader *r, const struct field *f, void *to, size_t *count,
		      const struct json *v)
{
	struct place here = { .up = r->place, .quoted = true };
	struct key_value *list, *pair;

	if (expect(r, v, JSON_OBJECT) < 0)
		return -1;
	pair = list = arena_array(r->arena, v->count, sizeof(*list));
	if (!list)
		return no_memory(r);
	r->place = &here;
	for (const struct json *m = v->first; m; m = m->next, pair++) {
		here.key = m->key;
		if (expect(r, m, JSON_STRING) < 0 || f->check(r, m->key) < 0)
			return -1;
		*pair = (struct key_value){ m->key, m->text };
	}
	r->place = here.up;
	*(struct key_value **)to = list;
	*count = v->count;
	return 0;
}

/* An array of objects, or an object whose members are: F_LIST, F_KEYED. */
static int read_list(struct reader *r, const struct field *f, void *to, size_t *count,
		     const struct json *v)
{
	bool keyed = f->type == F_KEYED;
	struct place here = { .up = r->place, .quoted = keyed };
	char *list, *element;

	if (expect(r, v, keyed ? JSON_OBJECT : JSON_ARRAY) < 0)
		return -1;
	if (f->flags & INLINE && v->count > f->max)
		return reader_fail(r, "%u entries: at most %zu are possible", v->count, f->max);
	list = f->flags & INLINE ? to : arena_array(r->arena, v->count, f->size);
	if (!list)
		return no_memory(r);
	element = list;
	r->place = &here;
	for (const struct json *m = v->first; m; m = m->next, here.index++, element += f->size) {
		here.key = m->key;
		if (keyed && !*m->key)
			return reader_fail(r, "expected a name as key");
		if (f->object->initial)
			memcpy(element, f->object->initial, f->size);
		if (keyed)
			*(const char **)element = m->key;
		if (read_object(r, f->object, element, m) < 0)
			return -1;
	}
	r->place = here.up;
	if (!(f->flags & INLINE))
		*(void **)to = list;
	*count = v->count;
	return 0;
}

static int read_pointer(struct reader *r, const struct field *f, void *to, const struct json *v)
{
	void *new = arena_alloc(r->arena, f->size);

	if (!new)
		return no_memory(r);
	if (read_object(r, f->object, new, v) < 0)
		return -1;
	*(void **)to = new;
	return 0;
}

static int read_field(struct reader *r, const struct field *f, char *base, const struct json *v)
{
	void *to = base + f->at, *aux = f->aux == NOWHERE ? NULL : base + f->aux;

	switch (f->type) {
	case F_STRINGS:
		return read_strings(r, f, to, v);
	case F_U32S:
		return read_u32s(r, f, to, aux, v);
	case F_LIST:
	case F_KEYED:
		return read_list(r, f, to, aux, v);
	case F_PAIRS:
		return read_pairs(r, f, to, aux, v);
	case F_POINTER:
		return read_pointer(r, f, to, v);
	default:
		break;
	}
	if (aux)
		*(bool *)aux = true;
	switch (f->type) {
	case F_OBJECT:
		return read_object(r, f->object, to, v);
	case F_BOOL:
		if (expect(r, v, JSON_BOOL) < 0)
			return -1;
		*(bool *)to = v->boolean;
		return 0;
	case F_STRING:
	case F_WORD:
	case F_NUMBER_OF:
	case F_LETTER:
		return read_text(r, f, to, v);
	case F_DECIMAL:
		return read_decimal(r, f, to, v);
	case F_CAPS:
		return read_caps(r, to, v);
	case F_ACCESS:
		return read_access(r, to, v);
	default:
		return read_number(r, f, to, v);
	}
}

static int read_object(struct reader *r, const struct object *o, void *base, const struct json *v)
{
	struct place here = { .up = r->place };
	uint64_t seen = 0;
	int rc;

	if (expect(r, v, JSON_OBJECT) < 0)
		return -1;
	for (const struct json *m = v->first; m; m = m->next) {
		const struct field *f = o->fields;

		while (f->key && !streq(f->key, m->key))
			f++;
		if (!f->key || m->type == JSON_NULL)
			continue;
		seen |= 1ULL << (f - o->fields);
		here.key = f->key;
		r->place = &here;
		rc = read_field(r, f, base, m);
		r->place = here.up;
		if (rc < 0)
			return -1;
	}
	for (const struct field *f = o->fields; f->key; f++)
		if (f->flags & REQUIRED && !(seen & 1ULL << (f - o->fields)))
			return reader_fail(r, "'%s' is missing", f->key);
	return o->check ? o->check(r, base) : 0;
}

static struct json *parse(struct arena *a, const char *text, size_t len, struct err *e)
{
	struct json *v = json_parse(a, text, len, e);

	if (v && json_expect(v, JSON_OBJECT, e) < 0)
		return NULL;
	return v;
}

struct spec *spec_oci_parse(const char *text, size_t len, const char *bundle, struct err *e)
{
	auto_spec struct spec *s = spec_new();
	struct reader r = { .bundle = bundle, .e = e };
	const struct json *v;

	if (!s) {
		err_set(e, ENOMEM, "cannot read a config.json");
		return NULL;
	}
	r.arena = s->arena;
	v = parse(s->arena, text, len, e);
	if (!v || read_object(&r, &oci_spec, s, v) < 0 || spec_check(s, e) < 0)
		return NULL;
	if (bundle && !(s->bundle = arena_strdup(s->arena, bundle))) {
		no_memory(&r);
		return NULL;
	}
	return take_ptr(s);
}

int spec_oci_parse_process(const char *text, size_t len, struct arena *a, struct process_spec *p,
			   struct err *e)
{
	struct reader r = { .arena = a, .e = e };
	struct process_spec new = { 0 };
	const struct json *v = parse(a, text, len, e);

	if (!v || read_object(&r, &oci_process, &new, v) < 0)
		return -1;
	*p = new;
	return 0;
}

int spec_oci_parse_resources(const char *text, size_t len, struct arena *a,
			     struct resources_spec *resources, struct err *e)
{
	struct reader r = { .arena = a, .e = e };
	struct resources_spec new = { 0 };
	const struct json *v = parse(a, text, len, e);

	if (!v || read_object(&r, &oci_resources, &new, v) < 0)
		return -1;
	*resources = new;
	return 0;
}
