/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's documents and its names: what is accepted is written to a text that reads and writes alike.
 * The first byte chooses the reader.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "images/images.h"
#include "images/meta.h"
#include "images/store.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct str *a, const struct str *b)
{
	if (a->len != b->len || memcmp(str_text(a), str_text(b), a->len) != 0)
		abort();
}

static void config(const char *text, size_t len)
{
	auto_arena struct arena *a = arena_new(64 << 20);
	auto_str struct str one = { 0 }, two = { 0 };
	const char *const *diff_ids;
	struct image_config c;
	struct err e = { 0 };

	if (meta_read_config(a, text, len, &c, &diff_ids, &e) < 0) {
		if (!e.code || !*e.msg)
			abort();
		return;
	}
	for (size_t i = 0; diff_ids[i]; i++)
		if (!meta_digest(diff_ids[i]))
			abort();
	meta_write_config(&one, &c, diff_ids);
	if (meta_read_config(a, str_text(&one), one.len, &c, &diff_ids, &e) < 0)
		abort();
	meta_write_config(&two, &c, diff_ids);
	same(&one, &two);
}

static void image(const char *text, size_t len)
{
	auto_arena struct arena *a = arena_new(64 << 20);
	auto_str struct str one = { 0 }, two = { 0 };
	struct meta_image m;
	struct err e = { 0 };

	if (meta_read_image(a, text, len, &m, &e) < 0)
		return;
	for (size_t i = 0; m.layers[i]; i++)
		if (!is_image_id(m.layers[i]))
			abort();
	meta_write_image(&one, &m);
	if (meta_read_image(a, str_text(&one), one.len, &m, &e) < 0)
		abort();
	meta_write_image(&two, &m);
	same(&one, &two);
}

static void name(const char *text)
{
	char out[IMAGE_NAME_MAX + 1], again[IMAGE_NAME_MAX + 1], file[IMAGE_NAME_MAX + 1];
	struct err e = { 0 };

	if (image_name_parse(text, out, &e) < 0)
		return;
	if (image_name_parse(out, again, &e) < 0 || strcmp(out, again) != 0)
		abort();
	name_escape(out, file);
	if (strchr(file, '/') || *file == '.')
		abort();
	name_unescape(file, again);
	if (strcmp(out, again) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (*data == 'c')
		config(text, size - 1);
	else if (*data == 'm')
		image(text, size - 1);
	else if (*data == 'n')
		name(text);
	free(text);
	return 0;
}
