/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a command line of either door: the words are read into options as main.c does it, no verb is run. Then each word
 * as a name, a number and whatever else a word of a command line may be: what a grammar accepts cannot leave a directory.
 */
#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"
#include "runtime/instance.h"
#include "runtime/names.h"
#include "runtime/state.h"

#define MAX_WORDS 64

static int parse(const struct option_row *rows, void *options, unsigned mode, int argc, char **argv)
{
	const struct option_row *const tables[] = { rows, NULL };
	void *const structs[] = { options };
	struct err e = { 0 };
	int n = options_parse(tables, structs, mode, argc, argv, &e);

	assert(n <= argc);
	assert(n >= 0 ? !e.code && !argv[n] : e.code && *e.msg);
	return n;
}

static void as_command_line(const struct door *d, int argc, char **argv)
{
	struct global_options globals = { 0 };
	struct err e = { 0 };
	const struct verb *v;
	void *options;
	int words;

	argc = parse(d->globals, &globals, d->mode | OPTIONS_FIRST, argc, argv);
	if (argc <= 0)
		return;
	v = verb_find(d, argc, argv, &words, &e);
	assert(v ? words == 1 || words == 2 : e.code == ERR_USAGE && *e.msg);
	if (!v || !v->rows)
		return;
	options = calloc(1, v->options_size);
	if (!options)
		return;
	parse(v->rows, options, d->mode | (v->flags & VERB_OPTIONS_FIRST ? OPTIONS_FIRST : 0),
	      argc - words, argv + words);
	options_free(v->rows, options);
	free(options);
}

static void as_name(const char *word, struct arena *a)
{
	char image[IMAGE_NAME_MAX + 1];
	struct err e = { 0 };
	struct volume volume;
	uint64_t number;
	int sig;

	if (state_check_id(word, &e) == 0)
		assert(*word && *word != '.' && !strchr(word, '/') && strlen(word) <= 255);
	if (instance_check_name(word, &e) == 0)
		assert(*word && !strchr(word, '.') && !strchr(word, '/') &&
		       strlen(word) <= INSTANCE_NAME_MAX);
	if (image_name_parse(word, image, &e) == 0) {
		char again[IMAGE_NAME_MAX + 1];

		assert(!strstr(image, "../") && !strstr(image, "/..") && image[0] != '/' &&
		       image[0] != '.' && strchr(image, ':'));
		assert(image_name_parse(image, again, &e) == 0 && strcmp(image, again) == 0);
	}
	if (a && volume_parse(word, a, &volume, &e) == 0)
		assert(volume.source[0] == '/' && volume.target[0] == '/' &&
		       !strstr(volume.target, "/../"));
	if (parse_cpus(word, &number) == 0)
		assert(number >= 1 && number <= 8192 * (uint64_t)CPUS_UNIT);
	(void)parse_size(word, &number); /* any number of bytes is one */
	sig = signal_number(word);
	assert(sig >= -1 && sig <= SIGRTMAX);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	auto_arena struct arena *a = arena_new(1 << 20);
	char *argv[MAX_WORDS + 1] = { 0 }, *line;
	int argc = 0;

	if (size < 1)
		return 0;
	line = malloc(size);
	if (!line)
		return 0;
	memcpy(line, data + 1, size - 1);
	line[size - 1] = '\0';
	for (char *word = line; argc < MAX_WORDS && word < line + size; word += strlen(word) + 1) {
		char *end = memchr(word, '\n', strlen(word));

		if (end)
			*end = '\0';
		argv[argc++] = word;
	}
	for (int i = 0; i < argc; i++)
		as_name(argv[i], a);
	as_command_line(data[0] & 1 ? &door_oci : &door_ctr, argc, argv);
	free(line);
	return 0;
}
