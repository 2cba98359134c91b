/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/spec_oci.h"

#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/str.h"
#include "runtime/caps.h"
#include "runtime/base/table.h"
#include "runtime/spec.h"

static bool object_is_set(const struct object *o, const char *base);

static size_t value_size(const struct field *f)
{
	switch (f->type) {
	case F_BOOL:
		return sizeof(bool);
	case F_LETTER:
		return sizeof(char);
	case F_U64:
	case F_I64:
	case F_CAPS:
		return sizeof(uint64_t);
	case F_U32:
	case F_I32:
	case F_NUMBER_OF:
	case F_ACCESS:
		return sizeof(uint32_t);
	default:
		return sizeof(void *);
	}
}

/* Whether a value differs from what its struct holds before it is read. */
static bool is_set(const struct object *o, const struct field *f, const char *base)
{
	static const char zero[sizeof(uint64_t)];
	const char *initial = o->initial ? (const char *)o->initial + f->at : zero;
	bool told = f->aux != NOWHERE; /* by a bool or a count */
	const void *at = base + f->at;

	switch (f->type) {
	case F_OPT_U64:
		return ((const struct opt_u64 *)at)->set;
	case F_OPT_I64:
		return ((const struct opt_i64 *)at)->set;
	case F_U32S:
	case F_LIST:
	case F_KEYED:
	case F_PAIRS:
		return *(const size_t *)(base + f->aux) != 0;
	case F_OBJECT:
		return told ? *(const bool *)(base + f->aux) : object_is_set(f->object, at);
	default:
		return told ? *(const bool *)(base + f->aux) :
			      memcmp(at, initial, value_size(f)) != 0;
	}
}

static bool object_is_set(const struct object *o, const char *base)
{
	for (const struct field *f = o->fields; f->key; f++)
		if (is_set(o, f, base))
			return true;
	return false;
}

static void write_object(struct json_writer *w, const char *key, const struct object *o,
			 const char *base);

static void write_list(struct json_writer *w, const struct field *f, const char *list, size_t n)
{
	bool keyed = f->type == F_KEYED;

	json_open(w, f->key, keyed ? '{' : '[');
	for (size_t i = 0; i < n; i++, list += f->size)
		write_object(w, keyed ? *(const char *const *)list : NULL, f->object, list);
	json_close(w);
}

static void write_caps(struct json_writer *w, const char *key, uint64_t set)
{
	json_open(w, key, '[');
	for (int n = 0; n < 64; n++)
		if (set >> n & 1 && cap_name(n))
			json_put_string(w, NULL, cap_name(n));
	json_close(w);
}

static void write_access(struct json_writer *w, const char *key, unsigned access)
{
	char letters[4], *s = letters;

	if (access & DEVICE_READ)
		*s++ = 'r';
	if (access & DEVICE_WRITE)
		*s++ = 'w';
	if (access & DEVICE_MKNOD)
		*s++ = 'm';
	*s = '\0';
	json_put_string(w, key, letters);
}

static void write_field(struct json_writer *w, const struct field *f, const char *base)
{
	const void *at = base + f->at;
	size_t n = f->type >= F_U32S && f->aux != NOWHERE && f->type != F_OBJECT ?
			   *(const size_t *)(base + f->aux) :
			   0;

	switch (f->type) {
	case F_STRING:
	case F_WORD:
		json_put_string(w, f->key, *(const char *const *)at);
		break;
	case F_NUMBER_OF:
		json_put_string(w, f->key, table_name(f->names, *(const int *)at));
		break;
	case F_LETTER:
		json_put_string(w, f->key, (const char[]){ *(const char *)at, '\0' });
		break;
	case F_BOOL:
		json_put_bool(w, f->key, *(const bool *)at);
		break;
	case F_U32:
		json_put_u64(w, f->key, *(const uint32_t *)at);
		break;
	case F_I32:
		json_put_i64(w, f->key, *(const int32_t *)at);
		break;
	case F_U64:
		json_put_u64(w, f->key, *(const uint64_t *)at);
		break;
	case F_I64:
		json_put_i64(w, f->key, *(const int64_t *)at);
		break;
	case F_OPT_U64:
		json_put_u64(w, f->key, ((const struct opt_u64 *)at)->v);
		break;
	case F_OPT_I64:
		json_put_i64(w, f->key, ((const struct opt_i64 *)at)->v);
		break;
	case F_DECIMAL:
		json_put_number(w, f->key, *(const char *const *)at);
		break;
	case F_STRINGS:
		json_put_strings(w, f->key, *(const char *const *const *)at);
		break;
	case F_U32S:
		json_open(w, f->key, '[');
		for (size_t i = 0; i < n; i++)
			json_put_u64(w, NULL, (*(const uint32_t *const *)at)[i]);
		json_close(w);
		break;
	case F_OBJECT:
		write_object(w, f->key, f->object, at);
		break;
	case F_POINTER:
		write_object(w, f->key, f->object, *(const char *const *)at);
		break;
	case F_LIST:
	case F_KEYED:
		write_list(w, f, f->flags & INLINE ? at : *(const char *const *)at, n);
		break;
	case F_PAIRS:
		json_open(w, f->key, '{');
		for (size_t i = 0; i < n; i++) {
			const struct key_value *pair = &(*(const struct key_value *const *)at)[i];

			json_put_string(w, pair->key, pair->value);
		}
		json_close(w);
		break;
	case F_CAPS:
		write_caps(w, f->key, *(const uint64_t *)at);
		break;
	case F_ACCESS:
		write_access(w, f->key, *(const unsigned *)at);
		break;
	}
}

static void write_object(struct json_writer *w, const char *key, const struct object *o,
			 const char *base)
{
	json_open(w, key, '{');
	for (const struct field *f = o->fields; f->key; f++)
		if (f->flags & (REQUIRED | ALWAYS) || is_set(o, f, base))
			write_field(w, f, base);
	json_close(w);
}

void spec_oci_dump(const struct spec *s, struct str *out)
{
	struct json_writer w = { .out = out, .indent = true };

	write_object(&w, NULL, &oci_spec, (const char *)s);
	str_add_n(out, "\n", 1);
}
