/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help.c - help, version and completion, all from the verbs' rows.
 */
#include <stdio.h>
#include <string.h>

#include "cli/verbs.h"
#include "runtime/base/err.h"

#define RELEASE	     "0.1.0"
#define HELP_COLUMNS 26 /* where explanations begin */
#define TEXT_COLUMNS 78

/*
 * @text in lines that fit a terminal, beginning at @column and each further line at @indent. One newline is a
 * blank, two begin a paragraph.
 */
static void print_flowing(FILE *out, const char *text, int indent, int column)
{
	bool first = true;

	while (*text) {
		int len = (int)strcspn(text, " \n"), newlines = 0;

		if (!first && column + 1 + len > TEXT_COLUMNS) {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
			first = true;
		}
		fprintf(out, "%s%.*s", first ? "" : " ", len, text);
		column += len + !first;
		first = false;
		for (text += len; *text == ' ' || *text == '\n'; text++)
			newlines += *text == '\n';
		if (newlines > 1 && *text) {
			fprintf(out, "\n\n%*s", indent, "");
			column = indent;
			first = true;
		}
	}
	fprintf(out, "\n");
}

static void print_padded(FILE *out, const char *left, const char *help)
{
	int len = fprintf(out, "  %s", left);

	if (len > HELP_COLUMNS - 2) {
		fprintf(out, "\n");
		len = 0;
	}
	fprintf(out, "%*s", HELP_COLUMNS - len, "");
	print_flowing(out, help, HELP_COLUMNS, HELP_COLUMNS);
}

static void print_row(FILE *out, const struct option_row *r)
{
	char left[128];

	if (r->letter)
		snprintf(left, sizeof(left), "-%c, --%s%s%s", r->letter, r->name, r->arg ? " " : "",
			 r->arg ? r->arg : "");
	else
		snprintf(left, sizeof(left), "    --%s%s%s", r->name, r->arg ? " " : "",
			 r->arg ? r->arg : "");
	print_padded(out, left, r->help);
}

static void print_rows(FILE *out, const struct option_row *r)
{
	for (; r && r->name; r++)
		if (r->help)
			print_row(out, r);
}

int help_print_door(const struct door *d, FILE *out)
{
	fprintf(out, "%s: %s\n\nusage: %s [OPTION...] VERB [OPTION...] [ARGUMENT...]\n\n",
		d->program, d->about, d->program);
	for (size_t i = 0; d->verbs[i]; i++)
		if (!(d->verbs[i]->flags & VERB_HIDDEN))
			print_padded(out, d->verbs[i]->name, d->verbs[i]->help);
	fprintf(out, "\n");
	print_rows(out, d->globals);
	fprintf(out, "\n`%s help VERB` tells more about one.\n", d->program);
	return EXIT_DONE;
}

int help_print_verb(const struct door *d, const struct verb *v, FILE *out)
{
	const struct option_row *common[VERB_COMMON_MAX + 1];

	verb_common(v, common);
	fprintf(out, "usage: %s %s%s%s%s\n\n%s\n", d->program, v->name,
		v->rows || *common ? " [OPTION...]" : "", v->operands ? " " : "",
		v->operands ? v->operands : "", v->help);
	if (v->aliases)
		fprintf(out, "\nalso called: %s\n", v->aliases);
	if (v->rows || *common)
		fprintf(out, "\n");
	print_rows(out, v->rows);
	for (const struct option_row **t = common; *t; t++)
		print_rows(out, *t);
	if (v->more) {
		fprintf(out, "\n");
		print_flowing(out, v->more, 0, 0);
	}
	return EXIT_DONE;
}

int help_print_version(const struct door *d)
{
	if (d == &door_oci) /* docker, containerd and podman parse these lines */
		printf("%s version %s\ncommit: %s\nspec: %s\n", d->program, RELEASE, CTR_VERSION,
		       OCI_SPEC);
	else
		printf("%s version %s\ncommit: %s\n", d->program, RELEASE, CTR_VERSION);
	return EXIT_DONE;
}

static int version(struct cli *c, int argc, char **argv)
{
	(void)argc, (void)argv; /* none, as the row says */
	return help_print_version(c->door);
}

static void print_options(const struct verb *v, const struct option_row *r)
{
	for (; r && r->name; r++)
		if (r->help)
			printf("%s\t--%s\t%s%c\t%s\t%s\n", v->name, r->name, r->letter ? "-" : "",
			       r->letter ? r->letter : ' ', r->arg ? r->arg : "", r->help);
}

/* Tab-separated, for programs: verb, option, letter, argument or operands, explanation. */
static void print_table(const struct door *d)
{
	for (size_t i = 0; d->verbs[i]; i++) {
		const struct option_row *common[VERB_COMMON_MAX + 1];
		const struct verb *v = d->verbs[i];

		if (v->flags & VERB_HIDDEN)
			continue;
		printf("%s\t\t\t%s\t%s\n", v->name, v->operands ? v->operands : "", v->help);
		print_options(v, v->rows);
		verb_common(v, common);
		for (const struct option_row **t = common; *t; t++)
			print_options(v, *t);
	}
}

struct help_options {
	bool rows;
};

static const struct option_row help_rows[] = {
	FLAG_ROW(struct help_options, rows, "rows", 0,
		 "print all verbs and options as a table for programs"),
	END_ROW,
};

static int help(struct cli *c, int argc, char **argv)
{
	const struct help_options *o = c->options;
	const struct verb *v;
	int words;

	if (o->rows) {
		print_table(c->door);
		return EXIT_DONE;
	}
	if (argc == 0)
		return help_print_door(c->door, stdout);
	v = verb_find(c->door, argc, argv, &words, c->e);
	return v ? help_print_verb(c->door, v, stdout) : -1;
}

#define HELP_VERB                                                                    \
	{                                                                            \
		.name = "help", .run = help, .operands = "[VERB]", .max = 2,         \
		.flags = VERB_ANYWHERE, .help = "explain a verb", .rows = help_rows, \
		.options_size = sizeof(struct help_options),                         \
	}
#define VERSION_VERB                                                            \
	{                                                                       \
		.name = "version", .run = version, .help = "print the version", \
		.flags = VERB_ANYWHERE,                                         \
	}

const struct verb verb_help = HELP_VERB, verb_oci_help = HELP_VERB;
const struct verb verb_version = VERSION_VERB, verb_oci_version = VERSION_VERB;
