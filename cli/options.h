/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - command lines as rows of a table.
 *
 * A verb says what it takes as an array of rows, each naming a member of the verb's own options struct;
 * one parser fills the struct. Words are read as GNU tools read them: `--name=value`, `--name value`,
 * `-n value`, `-nvalue`, `-abc` for three flags; `--` ends the options. A flag also takes `=true` and
 * `=false`. Unknown options are refused with the nearest known one.
 *
 * Pure: nothing is opened, printed or changed.
 */
#ifndef CTR_OPTIONS_H
#define CTR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct option_row;

/* What an option's member is, and what the parser does to it. The struct starts out all zero. */
enum option_kind {
	OPT_FLAG,    /* bool: true */
	OPT_STRING,  /* const char *: the word itself, never copied; the last one wins */
	OPT_NUMBER,  /* struct opt_u64: decimal, within [min, max]; max 0 means no limit */
	OPT_SIZE,    /* struct opt_u64: bytes, "512M" */
	OPT_LIST,    /* struct words: every one, in order */
	OPT_SETTING, /* struct words, shared by such rows: name and value, in order; "true", "false" of one without an argument */
	OPT_HANDLER, /* whatever row->handler makes of it */
};

/* The values of an OPT_LIST or OPT_SETTINGs, NULL-terminated; NULL when there were none. Freed by options_free(). */
struct words {
	const char **v;
	size_t n;
};

/*
 * @value is NULL if the row has no argument name. 0, or -1 and *e with a message that need not name the
 * option: the parser puts it in front.
 */
typedef int option_handler(void *options, const struct option_row *row, const char *value,
			   struct err *e);

struct option_row {
	const char *name; /* without the dashes; every option has one. NULL ends the table */
	char letter;	  /* 0: none */
	enum option_kind kind;
	size_t offset;	  /* of the member; for OPT_HANDLER the handler's own business */
	const char *arg;  /* what its argument is called in the help; NULL for OPT_FLAG */
	const char *help; /* one line, lower case, no full stop; NULL: accepted but not shown */
	option_handler *handler;
	uint64_t min, max;
};

/* Rows in short: FLAG_ROW(struct run_options, detach, "detach", 'd', "run in the background"). */
#define FLAG_ROW(type, member, name, letter, help)                                     \
	{                                                                              \
		name, letter, OPT_FLAG, offsetof(type, member), NULL, help, NULL, 0, 0 \
	}
#define STRING_ROW(type, member, name, letter, arg, help)                               \
	{                                                                               \
		name, letter, OPT_STRING, offsetof(type, member), arg, help, NULL, 0, 0 \
	}
#define NUMBER_ROW(type, member, name, letter, arg, help, min, max)                         \
	{                                                                                   \
		name, letter, OPT_NUMBER, offsetof(type, member), arg, help, NULL, min, max \
	}
#define SIZE_ROW(type, member, name, letter, arg, help)                               \
	{                                                                             \
		name, letter, OPT_SIZE, offsetof(type, member), arg, help, NULL, 0, 0 \
	}
#define LIST_ROW(type, member, name, letter, arg, help)                               \
	{                                                                             \
		name, letter, OPT_LIST, offsetof(type, member), arg, help, NULL, 0, 0 \
	}
#define SETTING_ROW(type, member, name, letter, arg, help)                               \
	{                                                                                \
		name, letter, OPT_SETTING, offsetof(type, member), arg, help, NULL, 0, 0 \
	}
#define HANDLER_ROW(type, member, name, letter, arg, help, handler)                         \
	{                                                                                   \
		name, letter, OPT_HANDLER, offsetof(type, member), arg, help, handler, 0, 0 \
	}
#define END_ROW                                              \
	{                                                    \
		NULL, 0, OPT_FLAG, 0, NULL, NULL, NULL, 0, 0 \
	}

/* How a command line is cut into options and operands. */
enum option_mode {
	OPTIONS_ANYWHERE = 0,
	OPTIONS_FIRST =
		1 << 0, /* the first operand ends them: the rest is somebody else's command line */
	OPTIONS_LONG_BY_ONE =
		1 << 1, /* "-name" is "--name", if there is such: what runc's library takes */
};

/*
 * Reads the words argv[0..argc-1], none of which is the program's or the verb's name. Each table of
 * @tables (a NULL-terminated list) is looked into, in order, and its members are counted from the
 * corresponding @structs. What is no option is moved to the front of argv, in order and NULL-terminated
 * (argv has a place at argc, as main's has); the number of those is returned. -1 and *e (ERR_USAGE)
 * otherwise.
 */
int options_parse(const struct option_row *const *tables, void *const *structs, unsigned mode,
		  int argc, char **argv, struct err *e);

/* Frees the lists in @options; NULL tables are accepted. */
void options_free(const struct option_row *table, void *options);

#endif
