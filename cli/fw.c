/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw.c - `ctr fw`: what may reach an instance, and what it may reach. The rules are the key `firewall` of its configuration, and
 * change at once (netns/filter.c).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/network.h"
#include "cli/set.h"
#include "cli/verbs.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/running.h"

#define LINKS_MAX 16

/* ---- changing ---- */

struct change {
	enum { ADD, DELETE, RESET } what;
	const char *rule; /* in words */
	uint64_t at; /* a number from 1 on: where it goes, or which one goes; 0: the end, or the one that is @rule */
};

/* The words of the command line as one; the grammar tells whether they mean something. */
static int join_words(struct instance *i, char *const *words, const char **out, struct err *e)
{
	auto_str struct str text = { 0 };

	for (; *words; words++)
		str_addf(&text, "%s%s", text.len ? " " : "", *words);
	*out = text.failed ? NULL : arena_strdup(i->arena, str_text(&text));
	return *out ? 0 : err_set(e, ENOMEM, "firewall");
}

static bool is_default(const char *words)
{
	struct fw_rule r;
	struct err ignored;

	return fw_parse(words, &r, &ignored) == 0 && r.policy;
}

/* Those that have a number; *all, how many lines there are. */
static size_t count_rules(const struct instance *i, size_t *all)
{
	size_t n = 0, k = 0;

	for (; i->firewall && i->firewall[k]; k++)
		n += !is_default(i->firewall[k]);
	if (all)
		*all = k;
	return n;
}

static int read_change(struct instance *i, char *const *words, struct change *ch, struct err *e)
{
	size_t n = count_rules(i, NULL);
	bool insert = streq(words[0], "insert"), delete = streq(words[0], "delete");

	*ch = (struct change){ .what = delete ? DELETE : ADD };
	if (streq(words[0], "reset") && !words[1]) {
		ch->what = RESET;
		return 0;
	}
	if ((insert || delete) && !words[1])
		return err_set(e, ERR_USAGE, "%s what?", words[0]);
	if (insert || (delete &&!words[2])) {
		if (parse_u64(words[1], 1, n + insert, &ch->at) < 0)
			return err_set(e, ERR_USAGE,
				       "'%.60s' is no number of a rule: there are %zu", words[1],
				       n);
		if (delete)
			return 0;
		words++;
	}
	return join_words(i, words + (insert || delete), &ch->rule, e);
}

/* Whether the rule in words @a has to go where @b comes: it is the same, or the other default of that way. */
static bool replaces(const char *b, const char *a)
{
	struct fw_rule x, y;
	struct err ignored;

	return streq(a, b) || (fw_parse(a, &x, &ignored) == 0 && fw_parse(b, &y, &ignored) == 0 &&
			       x.policy && y.policy && x.in == y.in);
}

/* The old lines, and the change at its place among them. */
static size_t merge(const struct instance *i, const struct change *ch, const char **v)
{
	bool is_new = ch->what == ADD;
	uint64_t number = 0;
	size_t k = 0;

	for (const char *const *old = i->firewall; old && *old; old++) {
		bool same = ch->rule && replaces(*old, ch->rule);

		number += !is_default(*old);
		if (is_new && (ch->at ? number == ch->at : same)) {
			v[k++] = ch->rule;
			is_new = false;
		}
		if (ch->what == ADD ? !same : ch->at ? number != ch->at || is_default(*old) : !same)
			v[k++] = *old;
	}
	if (is_new)
		v[k++] = ch->rule;
	return k;
}

static int edit_rules(struct instance **edited, const void *arg, struct err *e)
{
	struct instance *i = *edited;
	size_t all, n = count_rules(i, &all), k = 0;
	struct change ch;
	struct fw_rule rule;
	const char **v = arena_array(i->arena, all + 2, sizeof(*v));

	if (!v)
		return err_set(e, ENOMEM, "firewall");
	if (read_change(i, arg, &ch, e) < 0)
		return -1;
	if (ch.what == ADD && fw_parse(ch.rule, &rule, e) < 0) {
		e->code = ERR_USAGE;
		return -1;
	}
	if (ch.what != RESET)
		k = merge(i, &ch, v);
	if (ch.what == DELETE && k == all)
		return err_set(e, ERR_NO_SUCH, "there is no rule '%.100s' among its %zu", ch.rule,
			       n);
	i->firewall = k ? v : NULL;
	return 0;
}

/* A rule that changes nothing is a mistake more often than not. */
static void warn_of(const struct instances *all, const char *name, char *const *words)
{
	auto_instance struct instance *i = NULL;
	struct instance_dir d = { .fd = -1, .promise = -1 };
	bool in = words[1] && streq(words[1], "in");
	struct err ignored;

	if (!streq(words[0], "allow") || instance_look(all, name, &d, &ignored) < 0)
		return;
	i = instance_load(&d, &ignored);
	close(d.fd);
	if (i && fw_default(i->firewall, in))
		notice(in ? "all may reach it that no rule denies: 'ctr fw NAME default deny in' turns that round" :
			    "it may reach all that no rule denies: 'ctr fw NAME default deny out' turns that round",
		       name);
}

/* ---- looking ---- */

struct counts {
	struct filter_count *rules, in, out;
	bool known;
};

static int count_all(const struct instances *all, const char *name, size_t n, struct counts *c,
		     struct err *e)
{
	auto_running struct running r = RUNNING_NONE;
	auto_str struct str journal = { 0 };
	char links[LINKS_MAX][IFNAMSIZ], path[80];
	struct net_names names;
	int k;

	if (running_look(all, name, &r, e) < 0)
		return -1;
	if (!r.exists || r.pidfd < 0)
		return 0;
	snprintf(path, sizeof(path), "%s/journal", name);
	if (file_read(all->states, path, 16u << 20, &journal, e) < 0)
		return -1;
	network_names(all, &names);
	k = (int)nic_links(str_text(&journal), links, LINKS_MAX);
	while (k-- > 0)
		if (filter_count(names.table, links[k], c->rules, n, &c->in, &c->out, e) < 0)
			return err_set(
				e, ERR_STATE,
				"its rules are not there any more: `ctr restart %s` brings them back",
				name);
	c->known = true;
	return 0;
}

static void put_line(struct str *out, const char *number, const char *text,
		     const struct filter_count *c, bool known)
{
	if (known)
		str_addf(out, "%4s  %-52s  %10llu  %14llu\n", number, text,
			 (unsigned long long)c->packets, (unsigned long long)c->bytes);
	else
		str_addf(out, "%4s  %s\n", number, text);
}

static void put_table(const struct instance *i, const struct counts *c, struct str *out)
{
	char text[48], number[24];
	size_t k = 0;

	if (c->known)
		str_addf(out, "%4s  %-52s  %10s  %14s\n", "#", "RULE", "PACKETS", "BYTES");
	else
		str_addf(out, "%4s  %s\n", "#", "RULE");
	for (const char *const *r = i->firewall; r && *r; r++) {
		if (is_default(*r))
			continue;
		snprintf(number, sizeof(number), "%zu", k + 1);
		put_line(out, number, *r, &c->rules[k++], c->known);
	}
	for (int in = 1; in >= 0; in--) {
		snprintf(text, sizeof(text), "default %s %s",
			 fw_default(i->firewall, in) ? "allow" : "deny", in ? "in" : "out");
		put_line(out, "", text, in ? &c->in : &c->out, c->known);
	}
}

static void put_count(struct json_writer *w, const struct filter_count *c, bool known)
{
	if (known) {
		json_put_u64(w, "packets", c->packets);
		json_put_u64(w, "bytes", c->bytes);
	}
}

static void put_json(const char *name, const struct instance *i, const struct counts *c,
		     struct str *out)
{
	struct json_writer w = { .out = out, .indent = true };
	size_t k = 0;

	json_open(&w, NULL, '{');
	json_put_u64(&w, "version", FORMAT_VERSION);
	json_put_string(&w, "name", name);
	json_open(&w, "rules", '[');
	for (const char *const *r = i->firewall; r && *r; r++) {
		if (is_default(*r))
			continue;
		json_open(&w, NULL, '{');
		json_put_u64(&w, "number", k + 1);
		json_put_string(&w, "rule", *r);
		put_count(&w, &c->rules[k++], c->known);
		json_close(&w);
	}
	json_close(&w);
	for (int in = 1; in >= 0; in--) {
		json_open(&w, in ? "default_in" : "default_out", '{');
		json_put_string(&w, "verdict", fw_default(i->firewall, in) ? "allow" : "deny");
		put_count(&w, in ? &c->in : &c->out, c->known);
		json_close(&w);
	}
	json_close(&w);
}

static int show(struct cli *c, const struct instances *all, const char *name)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_instance struct instance *i = NULL;
	auto_str struct str out = { 0 };
	struct counts counts = { .known = false };
	size_t n;

	if (instance_look(all, name, &d, c->e) < 0)
		return -1;
	i = instance_load(&d, c->e);
	close(d.fd);
	if (!i)
		return -1;
	n = count_rules(i, NULL);
	counts.rules = arena_array(i->arena, n + 1, sizeof(*counts.rules));
	if (!counts.rules)
		return err_set(c->e, ENOMEM, "firewall");
	if (i->firewall && count_all(all, name, n, &counts, c->e) < 0)
		return -1;
	if (c->json) {
		put_json(name, i, &counts, &out);
		return print_text(c, &out);
	}
	put_table(i, &counts, &out);
	if (out.failed)
		return err_set(c->e, ENOMEM, "firewall");
	fputs(str_text(&out), stdout);
	return EXIT_DONE;
}

/* ---- the verb ---- */

/* What each_instance() calls. */
static int change_one(struct cli *c, const struct instances *all, const char *name, struct err *e)
{
	char *const *words = *(char ***)c->options;
	int rc = change_instance(c, all, name, edit_rules, words, e);

	if (rc == 0)
		warn_of(all, name, words);
	return rc;
}

static int fw(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	char *names[2] = { argv[0], NULL }, **words = argv + 1;
	void *options = c->options;
	int rc;

	if (open_instances(c, &all) < 0)
		return -1;
	if (argc == 1)
		return show(c, &all, argv[0]);
	c->options = &words;
	rc = each_instance(c, &all, names, 0, change_one);
	c->options = options;
	return rc;
}

const struct verb verb_fw = {
	.name = "fw",
	.run = fw,
	.flags = VERB_JSON | VERB_MANY | VERB_STRICT,
	.operands = "NAME [RULE...]",
	.min = 1,
	.max = -1,
	.help = "show or change what may reach instances, and what they may reach",
	.more = "A RULE is `allow|deny in PROTO PORT [from ADDRESS/BITS]` or `allow|deny out PROTO PORT [to ADDRESS/BITS]`; PROTO is\n"
		"tcp, udp or sctp, and PORT 80, 8000-8010 or any; or PROTO is icmp or any, without PORT. It comes after the others,\n"
		"or by `insert N RULE` before one; `delete N` or `delete RULE` takes it away, `reset` all. `default deny in` says\n"
		"what becomes of what no rule matches. The first that matches decides; answers may pass. A change is there at\n"
		"once, and lasts; what is counted begins anew with it.",
};
