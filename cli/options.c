/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/str.h"
#include "runtime/spec.h"

/* A row and the struct its member is in. */
struct found {
	const struct option_row *row;
	void *options;
};

static struct found find_long(const struct option_row *const *tables, void *const *structs,
			      const char *name, size_t len)
{
	for (size_t t = 0; tables[t]; t++)
		for (const struct option_row *r = tables[t]; r->name; r++)
			if (strncmp(r->name, name, len) == 0 && !r->name[len])
				return (struct found){ r, structs[t] };
	return (struct found){ NULL, NULL };
}

static struct found find_letter(const struct option_row *const *tables, void *const *structs,
				char letter)
{
	for (size_t t = 0; tables[t]; t++)
		for (const struct option_row *r = tables[t]; r->name; r++)
			if (r->letter == letter)
				return (struct found){ r, structs[t] };
	return (struct found){ NULL, NULL };
}

/* How the person wrote the option, for messages: "--name" or "-n". */
struct spelled {
	const char *text;
	int len;
};

static int refuse_unknown(const struct option_row *const *tables, struct spelled s, bool is_long,
			  struct err *e)
{
	const char *known[256];
	char word[64];
	size_t n = 0;
	const char *near;

	for (size_t t = 0; tables[t]; t++)
		for (const struct option_row *r = tables[t]; r->name; r++)
			if (r->help && n < sizeof(known) / sizeof(*known) - 1)
				known[n++] = r->name;
	known[n] = NULL;
	if (is_long && s.len > 2 && s.len - 2 < (int)sizeof(word)) {
		memcpy(word, s.text + 2, (size_t)s.len - 2);
		word[s.len - 2] = '\0';
		near = str_nearest(word, known);
		if (near)
			return err_set(e, ERR_USAGE, "unknown option '%.*s': did you mean '--%s'?",
				       s.len, s.text, near);
	}
	return err_set(e, ERR_USAGE, "unknown option '%.*s'", s.len, s.text);
}

static int add_word(struct words *w, const char *value, struct err *e)
{
	const char **v = realloc(w->v, (w->n + 2) * sizeof(*v));

	if (!v)
		return err_set(e, ERR_INVALID, "out of memory");
	w->v = v;
	v[w->n++] = value;
	v[w->n] = NULL;
	return 0;
}

static int add_setting(struct found f, const char *value, struct err *e)
{
	struct words *w = (struct words *)((char *)f.options + f.row->offset);

	return add_word(w, f.row->name, e) < 0 ? -1 : add_word(w, value, e);
}

static int set_flag(struct found f, const char *value, struct err *e)
{
	bool on = true;

	if (value && (streq(value, "false") || streq(value, "0")))
		on = false;
	else if (value && !streq(value, "true") && !streq(value, "1"))
		return err_set(e, ERR_USAGE, "takes no argument but 'true' or 'false'");
	if (f.row->kind == OPT_SETTING)
		return add_setting(f, on ? "true" : "false", e);
	if (f.row->kind == OPT_HANDLER)
		return on ? f.row->handler(f.options, f.row, NULL, e) : 0;
	*(bool *)((char *)f.options + f.row->offset) = on;
	return 0;
}

static int set_value(struct found f, const char *value, struct err *e)
{
	const struct option_row *r = f.row;
	void *member = (char *)f.options + r->offset;
	struct opt_u64 *number = member;
	uint64_t max = r->max ? r->max : UINT64_MAX;

	switch (r->kind) {
	case OPT_FLAG:
		break; /* taken by set_flag() */
	case OPT_STRING:
		*(const char **)member = value;
		return 0;
	case OPT_NUMBER:
		if (parse_u64(value, r->min, max, &number->v) < 0) {
			if (r->max)
				return err_set(e, ERR_USAGE,
					       "'%s' is not a number from %llu to %llu", value,
					       (unsigned long long)r->min,
					       (unsigned long long)r->max);
			return err_set(e, ERR_USAGE, "'%s' is not a number", value);
		}
		number->set = true;
		return 0;
	case OPT_SIZE:
		if (parse_size(value, &number->v) < 0)
			return err_set(e, ERR_USAGE, "'%s' is not a size such as 512M or 1.5G",
				       value);
		number->set = true;
		return 0;
	case OPT_LIST:
		return add_word(member, value, e);
	case OPT_SETTING:
		return add_setting(f, value, e);
	case OPT_HANDLER:
		if (r->handler(f.options, r, value, e) < 0) {
			if (e->code == ERR_INVALID)
				e->code = ERR_USAGE;
			return -1;
		}
		return 0;
	}
	return err_set(e, ERR_USAGE, "takes no argument");
}

/* Sets the option; @value is what stood behind "=" or the letter, @next the word after. 1 if that was taken. */
static int take(struct found f, struct spelled s, const char *value, const char *next,
		struct err *e)
{
	int taken = 0;

	if (!f.row->arg) {
		if (set_flag(f, value, e) < 0)
			return err_in(e, "option '%.*s'", s.len, s.text);
		return 0;
	}
	if (!value) {
		if (!next) /* podman looks for these three words */
			return err_set(e, ERR_USAGE, "option '%.*s' requires an argument: %s",
				       s.len, s.text, f.row->arg);
		value = next;
		taken = 1;
	}
	if (set_value(f, value, e) < 0)
		return err_in(e, "option '%.*s'", s.len, s.text);
	return taken;
}

static int take_long(const struct option_row *const *tables, void *const *structs, const char *word,
		     size_t dashes, const char *next, struct err *e)
{
	size_t len = strcspn(word + dashes, "=");
	struct spelled s = { word, (int)(dashes + len) };
	const char *value = word[dashes + len] ? word + dashes + len + 1 : NULL;
	struct found f = find_long(tables, structs, word + dashes, len);

	if (!f.row || !len)
		return refuse_unknown(tables, s, dashes == 2, e);
	return take(f, s, value, next, e);
}

static int take_letters(const struct option_row *const *tables, void *const *structs,
			const char *word, const char *next, struct err *e)
{
	for (const char *p = word + 1; *p; p++) {
		char text[] = { '-', *p, '\0' };
		struct spelled s = { text, 2 };
		struct found f = find_letter(tables, structs, *p);

		if (!f.row)
			return refuse_unknown(tables, (struct spelled){ word, (int)strlen(word) },
					      false, e);
		if (f.row->arg) {
			const char *value = p[1] == '=' ? p + 2 : p[1] ? p + 1 : NULL;

			return take(f, s, value, next, e);
		}
		if (take(f, s, NULL, NULL, e) < 0)
			return -1;
	}
	return 0;
}

int options_parse(const struct option_row *const *tables, void *const *structs, unsigned mode,
		  int argc, char **argv, struct err *e)
{
	int n = 0;

	for (int i = 0; i < argc; i++) {
		char *word = argv[i];
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;
		size_t len = strcspn(word, "=");
		int taken;

		if (streq(word, "--") || (word[0] != '-' && (mode & OPTIONS_FIRST)) ||
		    (streq(word, "-") && (mode & OPTIONS_FIRST))) {
			i += streq(word, "--");
			while (i < argc)
				argv[n++] = argv[i++];
			break;
		}
		if (word[0] != '-' || !word[1]) {
			argv[n++] = word;
			continue;
		}
		if (word[1] == '-')
			taken = take_long(tables, structs, word, 2, next, e);
		else if ((mode & OPTIONS_LONG_BY_ONE) && len > 2 &&
			 find_long(tables, structs, word + 1, len - 1).row)
			taken = take_long(tables, structs, word, 1, next, e);
		else
			taken = take_letters(tables, structs, word, next, e);
		if (taken < 0)
			return -1;
		i += taken;
	}
	argv[n] = NULL;
	return n;
}

void options_free(const struct option_row *table, void *options)
{
	for (; table && table->name; table++)
		if (table->kind == OPT_LIST || table->kind == OPT_SETTING) {
			struct words *w = (struct words *)((char *)options + table->offset);

			free(w->v);
			*w = (struct words){ 0 };
		}
}
