/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an instance's configuration, as the record of its exit, as a volume, a name and a number of
 * processors: refused in one line, or written and read alike.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/instance.h"

static void one_line(const struct err *e)
{
	assert(e->code && *e->msg && strlen(e->msg) < sizeof(e->msg));
}

static void config(const char *text, size_t len)
{
	auto_instance struct instance *i, *again = NULL;
	auto_str struct str first = { 0 }, second = { 0 };
	struct err e = { 0 };

	i = instance_parse(text, len, &e);
	if (!i) {
		one_line(&e);
		return;
	}
	assert(instance_check(i, &e) == 0);
	instance_dump(i, &first);
	again = instance_parse(str_text(&first), first.len, &e);
	assert(again);
	instance_dump(again, &second);
	assert(strcmp(str_text(&first), str_text(&second)) == 0);
}

static void exit_record(const char *text, size_t len)
{
	auto_str struct str out = { 0 };
	struct instance_exit x, again;
	struct err e = { 0 };

	if (instance_exit_parse(text, len, &x, &e) < 0) {
		one_line(&e);
		return;
	}
	assert(x.code >= -1 && x.code <= 255 && x.time >= 0);
	instance_exit_dump(&x, &out);
	assert(instance_exit_parse(str_text(&out), out.len, &again, &e) == 0);
	assert(x.code == again.code && x.signal == again.signal && x.oom == again.oom &&
	       x.time == again.time);
}

static void words(const char *text)
{
	auto_arena struct arena *a = arena_new(1 << 20);
	struct err e = { 0 };
	struct volume v;
	uint64_t cpus = 0;

	if (volume_parse(text, a, &v, &e) == 0)
		assert(*v.source == '/' && *v.target == '/' && strcmp(v.target, "/") != 0 &&
		       !strstr(v.target, "/../"));
	else
		one_line(&e);
	if (instance_check_name(text, &e) == 0)
		assert(strlen(text) <= INSTANCE_NAME_MAX && !strchr(text, '/') && *text != '.');
	else
		one_line(&e);
	if (parse_cpus(text, &cpus) == 0)
		assert(cpus >= 1 && cpus <= 8192 * CPUS_UNIT);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	auto_free char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	config(text, size);
	exit_record(text, size);
	words(text);
	return 0;
}
