/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion.c - `ctr completion`: a shell's script made of the verbs' rows. Names of instances and images are
 * asked of ctr when they are needed.
 */
#include <stdio.h>
#include <string.h>

#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"

/* What the operands in a usage line are. */
static const char *operand_kind(const struct verb *v)
{
	static const struct {
		const char *word, *kind;
	} kinds[] = {
		{ "IMAGE", "image" }, { "NAME", "instance" }, { "FILE", "file" },
		{ "DIR", "file" },    { "VERB", "verb" },     { "|", "choice" },
	};
	size_t first = sizeof(kinds) / sizeof(kinds[0]), best = ~(size_t)0;

	for (size_t i = 0; v->operands && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *at = strstr(v->operands, kinds[i].word);

		if (at && (size_t)(at - v->operands) < best) {
			best = (size_t)(at - v->operands);
			first = i;
		}
	}
	return first < sizeof(kinds) / sizeof(kinds[0]) ? kinds[first].kind : "none";
}

static bool is_shown(const struct verb *v)
{
	return !(v->flags & VERB_HIDDEN);
}

static bool begins_group(const struct door *d, size_t i)
{
	const char *name = d->verbs[i]->name, *blank = strchr(name, ' ');
	size_t len = blank ? (size_t)(blank - name) : 0;

	if (!blank || !is_shown(d->verbs[i]))
		return false;
	for (size_t j = 0; j < i; j++)
		if (strncmp(d->verbs[j]->name, name, len + 1) == 0)
			return false;
	return true;
}

/* First words; or with @group the second words of those. */
static void print_words(const struct door *d, const char *group, size_t len)
{
	for (size_t i = 0; d->verbs[i]; i++) {
		const char *name = d->verbs[i]->name;
		size_t first = strcspn(name, " ");

		if (!is_shown(d->verbs[i]))
			continue;
		if (!group && (!name[first] || begins_group(d, i)))
			printf("%.*s ", (int)first, name);
		else if (group && name[first] && first == len && memcmp(name, group, len) == 0)
			printf("%s ", name + first + 1);
	}
}

static void print_groups(const struct door *d)
{
	for (size_t i = 0; d->verbs[i]; i++)
		if (begins_group(d, i))
			printf("%.*s ", (int)strcspn(d->verbs[i]->name, " "), d->verbs[i]->name);
}

static void print_options(const struct verb *v)
{
	const struct option_row *tables[1 + VERB_COMMON_MAX + 1] = { v->rows };

	verb_common(v, tables + (v->rows != NULL));
	for (const struct option_row **t = tables; *t; t++)
		for (const struct option_row *r = *t; r->name; r++)
			if (r->help)
				printf("--%s ", r->name);
	printf("--help");
}

/* What bash and, after bashcompinit, zsh understand. */
static void common(const struct door *d)
{
	printf("_ctr_words() {\n\tcase $1 in\n");
	for (size_t i = 0; d->verbs[i]; i++)
		if (begins_group(d, i)) {
			size_t len = strcspn(d->verbs[i]->name, " ");

			printf("\t%.*s) echo '", (int)len, d->verbs[i]->name);
			print_words(d, d->verbs[i]->name, len);
			printf("' ;;\n");
		}
	printf("\t*) echo '");
	print_words(d, NULL, 0);
	printf("' ;;\n\tesac\n}\n_ctr_options() {\n\tcase $1 in\n");
	for (size_t i = 0; d->verbs[i]; i++) {
		if (!is_shown(d->verbs[i]))
			continue;
		printf("\t'%s') echo '", d->verbs[i]->name);
		print_options(d->verbs[i]);
		printf("' ;;\n");
	}
	printf("\t*) echo '--debug --version --help' ;;\n\tesac\n}\n_ctr_operands() {\n\tcase $1 in\n");
	for (size_t i = 0; d->verbs[i]; i++)
		if (is_shown(d->verbs[i]))
			printf("\t'%s') echo %s ;;\n", d->verbs[i]->name,
			       operand_kind(d->verbs[i]));
	printf("\tesac\n}\n");
	printf("_ctr() {\n"
	       "\tlocal ctr=${COMP_WORDS[0]} cur=${COMP_WORDS[COMP_CWORD]} verb='' word i more=''\n"
	       "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	       "\t\tword=${COMP_WORDS[i]}\n"
	       "\t\tcase $word in -*) continue ;; esac\n"
	       "\t\tif [ -z \"$verb\" ]; then\n"
	       "\t\t\tverb=$word\n"
	       "\t\telif [[ ' ");
	print_groups(d);
	printf("' == *\" $verb \"* ]]; then\n"
	       "\t\t\tverb=\"$verb $word\"\n"
	       "\t\tfi\n"
	       "\tdone\n"
	       "\tCOMPREPLY=()\n"
	       "\tcase $cur in\n"
	       "\t-*) _ctr_lines < <(compgen -W \"$(_ctr_options \"$verb\")\" -- \"$cur\"); return ;;\n"
	       "\tesac\n"
	       "\tcase $(_ctr_operands \"$verb\") in\n"
	       "\tinstance) more=$(\"$ctr\" list -q 2>/dev/null) ;;\n"
	       "\timage) more=$(\"$ctr\" image ls 2>/dev/null | awk 'NR > 1 && $1 != \"-\" { print $1 }') ;;\n"
	       "\tchoice) more='bash zsh fish' ;;\n"
	       "\tfile | none) return ;;\n"
	       "\t*) more=$(_ctr_words \"$verb\") ;;\n"
	       "\tesac\n"
	       "\t_ctr_lines < <(compgen -W \"$more\" -- \"$cur\")\n"
	       "}\n"
	       "complete -o default -F _ctr ctr\n");
}

static void bash(const struct door *d)
{
	printf("_ctr_lines() { mapfile -t COMPREPLY; }\n");
	common(d);
}

static void zsh(const struct door *d)
{
	printf("#compdef ctr\n"
	       "autoload -U +X bashcompinit && bashcompinit\n"
	       "_ctr_lines() { COMPREPLY=(\"${(@f)$(cat)}\"); }\n");
	common(d);
}

/* fish quotes within single quotes by a backslash. */
static void print_quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('\'');
}

static void fish_options(const struct verb *v, const char *seen)
{
	const struct option_row *tables[1 + VERB_COMMON_MAX + 1] = { v->rows };

	verb_common(v, tables + (v->rows != NULL));
	for (const struct option_row **t = tables; *t; t++)
		for (const struct option_row *r = *t; r->name; r++) {
			if (!r->help)
				continue;
			printf("complete -c ctr -n '%s' -l %s", seen, r->name);
			if (r->letter)
				printf(" -s %c", r->letter);
			printf("%s -d ", r->arg ? " -r" : "");
			print_quoted(r->help);
			putchar('\n');
		}
}

static void fish(const struct door *d)
{
	printf("complete -c ctr -f\n");
	for (size_t i = 0; d->verbs[i]; i++) {
		const struct verb *v = d->verbs[i];
		const char *kind = operand_kind(v), *blank = strchr(v->name, ' ');
		char seen[160];
		size_t first = strcspn(v->name, " ");

		if (!is_shown(v))
			continue;
		if (blank)
			snprintf(
				seen, sizeof(seen),
				"__fish_seen_subcommand_from %.*s; and __fish_seen_subcommand_from %s",
				(int)first, v->name, blank + 1);
		else
			snprintf(seen, sizeof(seen), "__fish_seen_subcommand_from %s", v->name);
		if (begins_group(d, i))
			printf("complete -c ctr -n __fish_use_subcommand -a %.*s\n", (int)first,
			       v->name);
		printf("complete -c ctr -n '");
		if (blank) {
			printf("__fish_seen_subcommand_from %.*s; and not __fish_seen_subcommand_from ",
			       (int)first, v->name);
			print_words(d, v->name, first);
		} else {
			printf("__fish_use_subcommand");
		}
		printf("' -a %s -d ", blank ? blank + 1 : v->name);
		print_quoted(v->help);
		putchar('\n');
		if (streq(kind, "instance"))
			printf("complete -c ctr -n '%s' -a '(ctr list -q 2>/dev/null)'\n", seen);
		else if (streq(kind, "image"))
			printf("complete -c ctr -n '%s' -a \"(ctr image ls 2>/dev/null | awk 'NR > 1 && \\$1 != \\\"-\\\" { print \\$1 }')\"\n",
			       seen);
		else if (streq(kind, "file"))
			printf("complete -c ctr -n '%s' -F\n", seen);
		else if (streq(kind, "choice"))
			printf("complete -c ctr -n '%s' -a 'bash zsh fish'\n", seen);
		fish_options(v, seen);
	}
}

static int completion(struct cli *c, int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*print)(const struct door *d);
	} shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };

	(void)argc; /* one, as the row says */
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
		if (streq(argv[0], shells[i].name)) {
			shells[i].print(c->door);
			return EXIT_DONE;
		}
	return err_set(c->e, ERR_USAGE, "no completion for '%s': bash, zsh and fish are known",
		       argv[0]);
}

const struct verb verb_completion = {
	.name = "completion",
	.run = completion,
	.flags = VERB_ANYWHERE,
	.operands = "bash|zsh|fish",
	.min = 1,
	.max = 1,
	.help = "print a script that completes verbs, options and names in a shell",
	.more = "For the shell at hand: eval \"$(ctr completion bash)\"",
};
