/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "cli/options.h"
#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/spec.h"

struct things {
	bool flag, other;
	const char *text;
	struct opt_u64 number, size;
	struct words list;
	unsigned handled;
};

static int handle(void *options, const struct option_row *row, const char *value, struct err *e)
{
	struct things *t = options;

	(void)row;
	if (value && strcmp(value, "bad") == 0)
		return err_set(e, ERR_INVALID, "'bad' is bad");
	t->handled++;
	return 0;
}

static const struct option_row rows[] = {
	FLAG_ROW(struct things, flag, "flag", 'f', "a flag"),
	FLAG_ROW(struct things, other, "other", 'o', "another"),
	STRING_ROW(struct things, text, "text", 't', "TEXT", "a string"),
	NUMBER_ROW(struct things, number, "number", 'n', "N", "a number", 1, 100),
	SIZE_ROW(struct things, size, "size", 0, "SIZE", "a size"),
	LIST_ROW(struct things, list, "list", 'l', "WORD", "words"),
	HANDLER_ROW(struct things, handled, "handled", 'x', "WHAT", "something else", handle),
	END_ROW,
};

#define MAX_WORDS 16

struct parsed {
	struct things t;
	struct err e;
	int n;
	char *argv[MAX_WORDS + 1];
};

/* Parses a blank-separated line. What was parsed points into @line, which is cut up. */
static struct parsed parse(unsigned mode, char *line)
{
	const struct option_row *const tables[] = { rows, NULL };
	struct parsed p = { 0 };
	void *const structs[] = { &p.t };
	int argc = 0;

	for (char *word = strtok(line, " "); word && argc < MAX_WORDS; word = strtok(NULL, " "))
		p.argv[argc++] = word;
	p.n = options_parse(tables, structs, mode, argc, p.argv, &p.e);
	return p;
}

#define PARSE(mode, text)   \
	char line[] = text; \
	struct parsed p = parse(mode, line)

TEST(long_options_take_their_value_both_ways)
{
	PARSE(0, "--text=a --number 7 x --size=1.5k --list a --list=b --list=");

	CHECK(p.n == 1);
	CHECK_STR(p.argv[0], "x");
	CHECK(p.argv[1] == NULL);
	CHECK_STR(p.t.text, "a");
	CHECK(p.t.number.set && p.t.number.v == 7);
	CHECK(p.t.size.set && p.t.size.v == 1536);
	CHECK(p.t.list.n == 3);
	CHECK_STR(p.t.list.v[1], "b");
	CHECK_STR(p.t.list.v[2], "");
	CHECK(p.t.list.v[3] == NULL);
	options_free(rows, &p.t);
	CHECK(!p.t.list.v && !p.t.list.n);
}

TEST(letters_are_bundled_and_the_rest_is_the_value)
{
	PARSE(0, "-fo -ta -n 5 -flb -x=y");

	CHECK(p.n == 0);
	CHECK(p.t.flag && p.t.other);
	CHECK_STR(p.t.text, "a");
	CHECK(p.t.number.v == 5);
	CHECK_STR(p.t.list.v[0], "b");
	CHECK(p.t.handled == 1);
	options_free(rows, &p.t);
}

TEST(a_value_may_look_like_an_option)
{
	PARSE(0, "--text --flag -l -f");

	CHECK(p.n == 0);
	CHECK_STR(p.t.text, "--flag");
	CHECK_STR(p.t.list.v[0], "-f");
	CHECK(!p.t.flag);
	options_free(rows, &p.t);
}

TEST(flags_can_be_said_to_be_false)
{
	PARSE(0, "--flag --other=true --flag=false");

	CHECK(p.n == 0);
	CHECK(!p.t.flag && p.t.other);
}

TEST(operands_keep_their_order_around_options)
{
	PARSE(0, "a --flag b - -o c");

	CHECK(p.n == 4);
	CHECK_STR(p.argv[0], "a");
	CHECK_STR(p.argv[1], "b");
	CHECK_STR(p.argv[2], "-");
	CHECK_STR(p.argv[3], "c");
	CHECK(p.t.flag && p.t.other);
}

TEST(two_dashes_end_the_options)
{
	PARSE(0, "--flag -- --other -x -- y");

	CHECK(p.n == 4);
	CHECK_STR(p.argv[0], "--other");
	CHECK_STR(p.argv[2], "--");
	CHECK(p.t.flag && !p.t.other);
}

TEST(the_first_operand_ends_them_where_a_command_line_follows)
{
	PARSE(OPTIONS_FIRST, "--flag image --other -x");

	CHECK(p.n == 3);
	CHECK_STR(p.argv[0], "image");
	CHECK_STR(p.argv[1], "--other");
	CHECK(p.t.flag && !p.t.other);
}

TEST(one_dash_is_enough_for_runc_callers)
{
	PARSE(OPTIONS_LONG_BY_ONE, "-flag -text=a -number 3 -fo");

	CHECK(p.n == 0);
	CHECK(p.t.flag && p.t.other);
	CHECK_STR(p.t.text, "a");
	CHECK(p.t.number.v == 3);
}

/* Parses @text, which must fail with @message. */
static void refuses(const char *text, const char *message)
{
	char line[256];
	struct parsed p;

	snprintf(line, sizeof(line), "%s", text);
	p = parse(0, line);
	CHECK(p.n == -1);
	CHECK(p.e.code == ERR_USAGE);
	CHECK_STR(p.e.msg, message);
	options_free(rows, &p.t);
}

TEST(mistakes_are_told_in_words)
{
	refuses("--flg", "unknown option '--flg': did you mean '--flag'?");
	refuses("--nothing-like-it", "unknown option '--nothing-like-it'");
	refuses("--=x", "unknown option '--'");
	refuses("--flags=1", "unknown option '--flags': did you mean '--flag'?");
	refuses("-fz", "unknown option '-fz'");
	refuses("-fé", "unknown option '-fé'");
	refuses("--flag=maybe", "option '--flag': takes no argument but 'true' or 'false'");
	refuses("--text", "option '--text' requires an argument: TEXT");
	refuses("-n", "option '-n' requires an argument: N");
	refuses("--number 0", "option '--number': '0' is not a number from 1 to 100");
	refuses("--number=101", "option '--number': '101' is not a number from 1 to 100");
	refuses("--number -1", "option '--number': '-1' is not a number from 1 to 100");
	refuses("--number 5x", "option '--number': '5x' is not a number from 1 to 100");
	refuses("--size 5q", "option '--size': '5q' is not a size such as 512M or 1.5G");
	refuses("-l a --list b --nosuch", "unknown option '--nosuch'");
	refuses("--handled bad", "option '--handled': 'bad' is bad");
}

/* The verb that a command line begins with; its words in *words. */
static const char *verb(const struct door *d, const char *text, int *words, struct err *e)
{
	static char line[256];
	char *argv[MAX_WORDS + 1];
	int argc = 0;
	const struct verb *v;

	snprintf(line, sizeof(line), "%s", text);
	for (char *word = strtok(line, " "); word && argc < MAX_WORDS; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	v = verb_find(d, argc, argv, words, e);
	return v ? v->name : NULL;
}

TEST(verbs_have_one_or_two_words_and_other_names)
{
	struct err e;
	int words;

	CHECK_STR(verb(&door_ctr, "run image", &words, &e), "run");
	CHECK(words == 1);
	CHECK_STR(verb(&door_ctr, "image import -", &words, &e), "image import");
	CHECK(words == 2);
	CHECK_STR(verb(&door_ctr, "image list", &words, &e), "image ls");
	CHECK(words == 2);
	CHECK_STR(verb(&door_ctr, "ls", &words, &e), "list");
	CHECK_STR(verb(&door_oci, "state x", &words, &e), "state");
	CHECK(!verb(&door_ctr, "state x", &words, &e));
	CHECK(!verb(&door_oci, "image ls", &words, &e));
}

TEST(the_nearest_verb_is_suggested)
{
	struct err e;
	int words;

	CHECK(!verb(&door_ctr, "rnu", &words, &e));
	CHECK(e.code == ERR_USAGE);
	CHECK_STR(e.msg, "unknown verb 'rnu': did you mean 'run'?");
	CHECK(!verb(&door_ctr, "image imprt", &words, &e));
	CHECK_STR(e.msg, "unknown verb 'image imprt': did you mean 'image import'?");
	CHECK(!verb(&door_ctr, "imag ls", &words, &e));
	CHECK_STR(e.msg, "unknown verb 'imag': did you mean 'image'?");
	CHECK(!verb(&door_ctr, "image", &words, &e));
	CHECK_STR(
		e.msg,
		"'image' needs a second word: import, ls, rm, tag, untag, prune, inspect, history, files, cat, "
		"diff, mount, unmount, verify, save");
	CHECK(!verb(&door_ctr, "qwertz", &words, &e));
	CHECK_STR(e.msg, "unknown verb 'qwertz'");
}

static void check_rows(const struct verb *v)
{
	for (const struct option_row *r = v->rows; r && r->name; r++) {
		bool takes_value = r->kind != OPT_FLAG;

		if (takes_value != (r->arg != NULL) && r->kind != OPT_HANDLER &&
		    r->kind != OPT_SETTING)
			test_over(TEST_FAILED, "%s --%s: kind and argument", v->name, r->name);
		if (r->offset >= v->options_size)
			test_over(TEST_FAILED, "%s --%s: beyond the struct", v->name, r->name);
		if ((r->kind == OPT_HANDLER) != (r->handler != NULL))
			test_over(TEST_FAILED, "%s --%s: handler", v->name, r->name);
		for (const struct option_row *other = v->rows; other < r; other++)
			if (strcmp(other->name, r->name) == 0 ||
			    (r->letter && other->letter == r->letter))
				test_over(TEST_FAILED, "%s --%s: twice", v->name, r->name);
	}
}

TEST(rows_of_all_verbs_make_sense)
{
	const struct door *const doors[] = { &door_ctr, &door_oci };

	for (size_t d = 0; d < 2; d++)
		for (size_t i = 0; doors[d]->verbs[i]; i++) {
			const struct verb *v = doors[d]->verbs[i];

			CHECK(v->run && v->help && v->name);
			CHECK(v->max < 0 || v->max >= v->min);
			CHECK((v->max == 0) == (v->operands == NULL));
			check_rows(v);
		}
}
