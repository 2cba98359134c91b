/* SPDX-License-Identifier: Apache-2.0 */
/*
 * set.c - `ctr set`, `unset`, `get`, `edit`: the configuration of instances that exist.
 *
 * A change is checked, made in the running instance where it can be, and then written, in this order: so what is
 * written was possible. What a running instance gets only when it starts again is said.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/from_image.h"
#include "cli/instances.h"
#include "cli/launch.h"
#include "cli/limits.h"
#include "cli/network.h"
#include "cli/set.h"
#include "cli/settings.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/disk.h"
#include "runtime/events.h"
#include "runtime/host.h"
#include "runtime/running.h"
#include "runtime/update.h"

/* ---- making a change ---- */

/* What changes, from the one to the other. */
struct change {
	struct cli *c;
	struct instance_dir *dir; /* locked */
	const struct instance *before;
	struct instance *after;
	bool runs;
	struct state_dir state; /* if it runs */
	struct state read;
};

static bool changes(const struct change *ch, const char *key)
{
	struct err none;

	return !instance_same(ch->before, ch->after, instance_key(key, &none));
}

/* Whether a key with one of @flags changes; with 0, one with none. */
static bool changes_any(const struct change *ch, unsigned flags)
{
	for (const struct instance_key *k = instance_keys; k->name; k++)
		if ((flags ? k->flags & flags : !(k->flags & (KEY_LIMIT | KEY_NOW))) &&
		    !instance_same(ch->before, ch->after, k))
			return true;
	return false;
}

/* From one set of limits to another; where the kernel refuses one, those before it are as they were. */
static int move_limits(const struct change *ch, const struct instance *from,
		       const struct instance *to, struct err *e)
{
	struct resources_spec r = { 0 };
	struct host host;

	if (host_probe(&host, e) < 0 ||
	    limits_put(to, from, ch->dir->all->path, host.controllers, to->arena, &r, e) < 0)
		return -1;
	if (update_limits(&ch->read, &r, &host, e) == 0)
		return 0;
	limits_in_own_words("", e);
	return -1;
}

static int change_limits(const struct change *ch, struct err *e)
{
	struct err other;

	if (!ch->runs || !changes_any(ch, KEY_LIMIT))
		return 0;
	if (move_limits(ch, ch->before, ch->after, e) == 0)
		return 0;
	(void)move_limits(ch, ch->after, ch->before, &other); /* what the first one did, undone */
	return -1;
}

/* What follows from the image and the new words: whether it is a system, and its name in its own files. */
static int change_with_image(const struct change *ch, struct err *e)
{
	auto_store struct store *store = NULL;
	auto_image struct image *img = NULL;

	if (!changes(ch, "profile") && !changes(ch, "command") && !changes(ch, "entrypoint"))
		return 0;
	store = store_open(ch->c->store_root, e);
	img = store ? launch_image(store, ch->before, e) : NULL;
	if (!img)
		return -1;
	ch->after->system = instance_wants_system(img, ch->after);
	return 0;
}

/* The keys that change as "memory=1G cpus=2 -env", for the journal of events. */
static void tell_event(const struct change *ch)
{
	auto_str struct str text = { 0 };

	for (const struct instance_key *k = instance_keys; k->name; k++) {
		auto_str struct str value = { 0 };

		if (instance_same(ch->before, ch->after, k))
			continue;
		str_add(&text, text.len ? " " : "");
		if (!instance_value(ch->after, k, &value))
			str_addf(&text, "-%s", k->name);
		else
			str_addf(&text, "%s=%.*s", k->name, (int)strcspn(str_text(&value), "\n"),
				 str_text(&value));
	}
	events_append(ch->dir->all, &(struct event){ .type = EVENT_CHANGED,
						     .name = ch->dir->name,
						     .uuid = ch->after->uuid,
						     .detail = str_text(&text) });
}

/* What may pass, now; where that fails it is as it was. */
static int change_traffic(struct change *ch, struct err *e)
{
	struct err other;

	if (!ch->runs || (!changes(ch, "firewall") && !changes(ch, "net-rate")))
		return 0;
	if (network_filter(ch->dir->all, &ch->state, ch->read.pid, ch->after, e) == 0)
		return 0;
	(void)network_filter(ch->dir->all, &ch->state, ch->read.pid, ch->before, &other);
	return -1;
}

static int apply_change(struct change *ch, struct err *e)
{
	if (instance_check(ch->after, e) < 0 || change_with_image(ch, e) < 0)
		return -1;
	if ((changes(ch, "net") || changes(ch, "publish")) &&
	    network_lease(ch->dir->all, ch->dir, ch->after, e) < 0)
		return -1;
	if (change_limits(ch, e) < 0 || change_traffic(ch, e) < 0 ||
	    (changes(ch, "disk") && disk_limit(ch->dir, ch->after, e) < 0) ||
	    instance_save(ch->dir, ch->after, true, e) < 0)
		return -1;
	tell_event(ch);
	if (ch->runs && changes_any(ch, 0))
		notice("runs, and will have it so from its next start on", ch->dir->name);
	return 0;
}

static int look_at_state(struct change *ch, struct err *e)
{
	int status;

	if (state_open(ch->dir->all->states, ch->dir->name, &ch->state, e) < 0)
		return e->code == ERR_NO_SUCH ? 0 : -1;
	ch->runs = true;
	status = state_read(&ch->state, ch->after->arena, &ch->read, e) < 0 ?
			 -1 :
			 (int)state_status(&ch->state, &ch->read, NULL, e);
	if (status == STATUS_STOPPED) {
		state_close(&ch->state);
		ch->runs = false;
	}
	return status < 0 ? -1 : 0;
}

/* ---- one instance ---- */

int change_instance(struct cli *c, const struct instances *all, const char *name,
		    edit_function *edit, const void *arg, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_instance struct instance *before = NULL, *after = NULL;
	struct change ch = { .c = c, .dir = &d };
	int rc = -1;

	if (instance_open(all, name, &d, e) < 0)
		return -1;
	before = instance_load(&d, e);
	after = before ? instance_load(&d, e) : NULL;
	if (!after || edit(&after, arg, e) < 0)
		goto out;
	ch.before = before;
	ch.after = after;
	if (look_at_state(&ch, e) < 0)
		goto out;
	if (!changes_any(&ch, ~0u) && !changes_any(&ch, 0)) {
		err_set(e, ERR_STATE, "'%s' is so already", name);
		rc = 1;
	} else {
		rc = apply_change(&ch, e);
	}
	if (ch.runs)
		state_close(&ch.state);
out:
	instance_close(&d);
	return rc < 0 ? err_in(e, "%s", name) : rc;
}

/* ---- set and unset ---- */

/* "KEY=VALUE", "KEY+=VALUE", "KEY-=VALUE" in its parts; false if it is none. */
static bool cut(const char *word, char key[32], enum key_change *how, const char **value)
{
	size_t len = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-");

	*how = KEY_TO;
	*value = word + len + 1;
	if (word[len] == '+' && word[len + 1] == '=') {
		*how = KEY_ADD;
		(*value)++;
	} else if (word[len] != '=') {
		return false;
	} else if (len && word[len - 1] == '-') {
		*how = KEY_REMOVE;
		len--;
	}
	if (!len || len >= 32)
		return false;
	memcpy(key, word, len);
	key[len] = '\0';
	return true;
}

static int refuse_fixed(const char *name, struct err *e)
{
	const struct instance_key *k = instance_key(name, e);

	if (!k)
		return -1;
	return k->flags & KEY_FIXED ?
		       err_set(e, ERR_INVALID, "%s: was decided when the instance was made", name) :
		       0;
}

/* A list that is given several times in one command has all that was given. */
static int set_words(struct instance **i, const void *arg, struct err *e)
{
	char *const *words = arg, key[32], seen[32];
	const char *value, *ignored;
	enum key_change how, other;

	for (char *const *w = words; *w; w++) {
		if (!cut(*w, key, &how, &value))
			return err_set(e, ERR_USAGE, "'%.80s' is not KEY=VALUE", *w);
		for (char *const *v = words; v < w && how == KEY_TO; v++)
			if (cut(*v, seen, &other, &ignored) && streq(seen, key))
				how = KEY_GIVE;
		if (refuse_fixed(key, e) < 0 || setting_change(*i, key, how, value, e) < 0)
			return -1;
	}
	return 0;
}

static int unset_words(struct instance **i, const void *arg, struct err *e)
{
	for (char *const *w = arg; *w; w++)
		if (refuse_fixed(*w, e) < 0 || setting_change(*i, *w, KEY_TO, "", e) < 0)
			return -1;
	return (*i)->nets ? 0 : setting_default_net(*i, e);
}

/* What each_instance() calls; the words are the operands' rest. */
static int set_one(struct cli *c, const struct instances *all, const char *name, struct err *e)
{
	return change_instance(c, all, name, set_words, *(char ***)c->options, e);
}

static int unset_one(struct cli *c, const struct instances *all, const char *name, struct err *e)
{
	return change_instance(c, all, name, unset_words, *(char ***)c->options, e);
}

/* The words of the verbs as their "options": what every one_function gets. */
static int change_many(struct cli *c, char **names, char **words, one_function *one)
{
	auto_instances struct instances all = INSTANCES_NONE;
	void *options = c->options;
	int rc;

	c->options = &words;
	rc = open_instances(c, &all);
	for (char **w = words; rc == 0 && *w; w++)
		if (str_after(*w, "disk=") && *str_after(*w, "disk="))
			rc = make_room_for_limits(&all, c->e);
	if (rc == 0)
		rc = each_instance(c, &all, names, 0, one);
	c->options = options;
	return rc;
}

static int set(struct cli *c, int argc, char **argv)
{
	auto_free char **names = NULL;
	int n = 0;

	while (n < argc && !strchr(argv[n], '='))
		n++;
	if (!n || n == argc)
		return err_set(c->e, ERR_USAGE, n ? "no KEY=VALUE is given" : "no NAME is given");
	names = calloc((size_t)n + 1, sizeof(*names));
	if (!names)
		return err_set(c->e, ENOMEM, "out of memory");
	memcpy(names, argv, (size_t)n * sizeof(*names));
	return change_many(c, names, argv + n, set_one);
}

static int unset(struct cli *c, int argc, char **argv)
{
	char *names[2] = { argv[0], NULL };

	(void)argc;
	return change_many(c, names, argv + 1, unset_one);
}

#define KEYS                                                                                                   \
	"Keys: description, label, profile, entrypoint, command, env, workdir, user, hostname, volume,\n"      \
	"memory, memory-high, swap, disk, cpus, cpuset, cpu-weight, pids, io, io-weight, read-only, tty,\n"    \
	"interactive, net, publish, net-rate, firewall, cap-add, cap-drop, stop-signal, stop-timeout,\n"       \
	"restart, health-cmd, health-interval, health-timeout, health-start, health-retries, health-action,\n" \
	"ready, after, autostart, log-size, log-files.\n"

const struct verb verb_set = {
	.name = "set",
	.run = set,
	.flags = VERB_MANY | VERB_STRICT | VERB_JSON,
	.operands = "NAME... KEY=VALUE...",
	.min = 2,
	.max = -1,
	.help = "change the configuration of instances",
	.more = KEYS
	"They mean what the options of `ctr run` mean. KEY+=VALUE adds to a list, KEY-=VALUE\n"
	"takes from it, and KEY= alone is as if it had never been given. Limits change at once.",
};

const struct verb verb_unset = {
	.name = "unset",
	.run = unset,
	.flags = VERB_MANY | VERB_STRICT | VERB_JSON,
	.operands = "NAME KEY...",
	.min = 2,
	.max = -1,
	.help = "have keys of an instance's configuration as if never given",
};

/* ---- get ---- */

/* A line each that `ctr set` takes again. */
static void put_lines(const struct instance_key *k, const char *value, struct str *out)
{
	const char *line = value;

	for (;;) {
		size_t len = strcspn(line, "\n");

		str_addf(out, "%s%s=%.*s\n", k->name,
			 k->type == KEY_STRINGS && line != value ? "+" : "", (int)len, line);
		if (!line[len] || k->type != KEY_STRINGS)
			break;
		line += len + 1;
	}
}

static void put_json(const struct instance *i, const struct instance_key *k, const char *value,
		     struct json_writer *w)
{
	const void *at = (const char *)i + k->at;

	switch (k->type) {
	case KEY_STRINGS:
		json_put_strings(w, k->name, *(const char *const *const *)at);
		break;
	case KEY_BOOL:
		json_put_bool(w, k->name, *(const bool *)at);
		break;
	case KEY_NUMBER:
	case KEY_SIZE:
		json_put_u64(w, k->name, *(const uint64_t *)at);
		break;
	default:
		json_put_string(w, k->name, value);
	}
}

static bool is_wanted(const struct instance_key *k, char *const *keys)
{
	for (char *const *w = keys; *w; w++)
		if (streq(*w, k->name))
			return true;
	return !*keys;
}

static int get(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_instance struct instance *i = NULL;
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out, .indent = true };

	for (int k = 1; k < argc; k++)
		if (!instance_key(argv[k], c->e))
			return -1;
	if (open_instances(c, &all) < 0 || instance_look(&all, argv[0], &d, c->e) < 0)
		return -1;
	i = instance_load(&d, c->e);
	close(d.fd);
	if (!i)
		return -1;
	if (c->json)
		json_open(&w, NULL, '{');
	for (const struct instance_key *k = instance_keys; k->name; k++) {
		auto_str struct str value = { 0 };

		if (!is_wanted(k, argv + 1) || !instance_value(i, k, &value))
			continue;
		if (c->json)
			put_json(i, k, str_text(&value), &w);
		else if (argc == 2)
			str_addf(&out, "%s\n", str_text(&value));
		else
			put_lines(k, str_text(&value), &out);
	}
	if (c->json) {
		json_close(&w);
		return print_text(c, &out);
	}
	if (out.failed)
		return err_set(c->e, ENOMEM, "out of memory");
	fputs(str_text(&out), stdout);
	return EXIT_DONE;
}

const struct verb verb_get = {
	.name = "get",
	.run = get,
	.flags = VERB_JSON,
	.operands = "NAME [KEY...]",
	.min = 1,
	.max = -1,
	.help = "print an instance's configuration, or the value of one key",
	.more = "Keys that were not given are left out.",
};

/* ---- edit ---- */

/* Runs the person's editor on the file; what it is called with may have options of its own. */
static int run_editor(const char *path, struct err *e)
{
	const char *editor = getenv("VISUAL");
	int status;
	pid_t pid;

	if (!editor || !*editor)
		editor = getenv("EDITOR");
	if (!editor || !*editor)
		editor = "vi";
	pid = fork();
	if (pid < 0)
		return err_set(e, errno, "cannot start '%s'", editor);
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "exec $0 \"$1\"", editor, path, (char *)NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "cannot wait for '%s'", editor);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, ERR_INVALID, "'%s' failed: nothing was changed", editor);
	return 0;
}

/* The text that the editor left is the configuration, but for what cannot be changed. */
static int take_text(struct instance **i, const void *arg, struct err *e)
{
	const struct str *text = arg;
	struct instance *edited = instance_parse(str_text(text), text->len, e);

	if (!edited)
		return -1;
	for (const struct instance_key *k = instance_keys; k->name; k++)
		if ((k->flags & KEY_FIXED) && !instance_same(*i, edited, k)) {
			instance_free(edited);
			return refuse_fixed(k->name, e);
		}
	instance_free(*i);
	*i = edited;
	return edited->nets ? 0 : setting_default_net(edited, e);
}

static int edit_file(struct cli *c, const struct instances *all, const char *name, const char *path,
		     struct err *e)
{
	for (;;) {
		auto_str struct str text = { 0 };
		int rc;

		if (run_editor(path, e) < 0 ||
		    file_read(AT_FDCWD, path, INSTANCE_CONFIG_MAX, &text, e) < 0)
			return -1;
		rc = change_instance(c, all, name, take_text, &text, e);
		if (rc >= 0 || e->code == ERR_NO_SUCH || !can_ask() ||
		    !confirm("ctr: %s\nEdit it again?", e->msg))
			return rc;
	}
}

static int edit(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	struct instance_dir d = { .fd = -1, .promise = -1 };
	char path[] = "/tmp/ctr-edit-XXXXXX.json";
	auto_instance struct instance *i = NULL;
	auto_str struct str text = { 0 };
	auto_fd int fd = -1;
	int rc;

	(void)argc;
	if (open_instances(c, &all) < 0 || instance_look(&all, argv[0], &d, c->e) < 0)
		return -1;
	i = instance_load(&d, c->e);
	close(d.fd);
	if (!i)
		return -1;
	instance_dump(i, &text);
	fd = mkostemps(path, 5, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return err_set(c->e, errno, "cannot make '%s'", path);
	if (text.failed || write(fd, text.s, text.len) != (ssize_t)text.len)
		rc = err_set(c->e, errno, "cannot write '%s'", path);
	else
		rc = edit_file(c, &all, argv[0], path, c->e);
	(void)unlink(path); /* a file in /tmp is the worst that can stay */
	if (rc == 1)
		notice("nothing was changed", argv[0]);
	return rc < 0 ? -1 : EXIT_DONE;
}

const struct verb verb_edit = {
	.name = "edit",
	.run = edit,
	.operands = "NAME",
	.min = 1,
	.max = 1,
	.help = "change an instance's configuration in an editor",
	.more = "The editor is $VISUAL, $EDITOR or vi.",
};
