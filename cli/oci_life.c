/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_life.c - start, state, kill, delete, pause, resume: what is done to a container that exists. The first
 * four are what callers spend their time in: one execve and few system calls.
 */
#include <errno.h>
#include <regex.h>
#include <string.h>

#include "cli/oci.h"
#include "cli/verbs.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/str.h"
#include "runtime/freeze.h"
#include "runtime/life.h"
#include "runtime/names.h"
#include "runtime/spec.h"
#include "runtime/state.h"

static int start(struct cli *c, int argc, char **argv)
{
	auto_spec struct spec *s = NULL;
	int status = state_status(&c->dir, &c->state, NULL, c->e);

	(void)argc, (void)argv; /* opened by oci_enter() */
	if (status < 0)
		return -1;
	/* in runc's words: callers look for them */
	switch (status) {
	case STATUS_STOPPED:
		return err_set(c->e, ERR_STATE, "cannot start a container that has stopped");
	case STATUS_RUNNING:
		return err_set(c->e, ERR_STATE, "cannot start an already running container");
	case STATUS_PAUSED:
		return err_set(c->e, ERR_STATE, "cannot start a container in the paused state");
	}
	s = oci_read_spec(c);
	return s ? life_start(&c->dir, &c->state, s, c->e) : -1;
}

static int state(struct cli *c, int argc, char **argv)
{
	auto_str struct str text = { 0 };
	struct json_writer w = { .out = &text, .indent = true };
	int status = state_status(&c->dir, &c->state, NULL, c->e);

	(void)argc, (void)argv; /* opened by oci_enter() */
	if (status < 0)
		return -1;
	oci_put_state(&w, &c->dir, &c->state, status);
	str_add(&text, "\n");
	if (text.failed)
		return err_set(c->e, ENOMEM, "cannot print the state");
	fwrite(text.s, 1, text.len, stdout); /* main.c looks at the stream's error */
	return EXIT_DONE;
}

struct kill_options {
	bool all;
};

static const struct option_row kill_rows[] = {
	FLAG_ROW(struct kill_options, all, "all", 'a', "signal all processes of the container"),
	END_ROW,
};

static int kill_container(struct cli *c, int argc, char **argv)
{
	const struct kill_options *o = c->options;
	const char *name = argc > 1 ? argv[1] : "TERM";
	int sig = streq(name, "0") ? 0 : signal_number(name);

	if (sig < 0)
		return err_set(c->e, ERR_USAGE, "unknown signal '%s'", name);
	if (life_kill(&c->dir, &c->state, sig, o->all, c->e) == 0)
		return EXIT_DONE;
	return o->all && c->e->code == ERR_STATE ? EXIT_DONE : -1;
}

struct delete_options {
	bool force, regex;
};

static const struct option_row delete_rows[] = {
	FLAG_ROW(struct delete_options, force, "force", 'f',
		 "kill it if it runs; succeed if it does not exist"),
	FLAG_ROW(struct delete_options, regex, "regex", 0,
		 "delete all whose ids the extended regular expression in place of an ID matches"),
	END_ROW,
};

/* Also of what is damaged or half made: deleting is how one gets rid of that. */
static int delete_one(struct cli *c, const char *id)
{
	const struct delete_options *o = c->options;
	auto_spec struct spec *s = NULL;
	int status;

	if (state_open(c->root_fd, id, &c->dir, c->e) < 0)
		return o->force && c->e->code == ERR_NO_SUCH ? EXIT_DONE : -1;
	c->arena = arena_new(0);
	if (!c->arena)
		return err_set(c->e, ENOMEM, "cannot read the state");
	if (state_read(&c->dir, c->arena, &c->state, c->e) < 0) {
		/* half made by a command that died: nobody runs in it who would not be killed by the undo */
		if (c->e->code != ERR_STATE && !o->force)
			return -1;
		/* what could not be read this once is not damaged, and says whom to kill */
		if (c->e->code < ERR_INVALID)
			return -1;
		return life_delete(&c->dir, NULL, NULL, c->e);
	}
	status = state_status(&c->dir, &c->state, NULL, c->e);
	if (status < 0)
		return -1;
	if (!o->force && status != STATUS_STOPPED && status != STATUS_CREATED)
		return err_set(c->e, ERR_STATE,
			       "cannot delete container '%s' that is not stopped: %s", id,
			       status_name(status));
	s = oci_read_spec(c);
	if (!s) {
		/* as above: a damaged one says nothing of hooks, but one that was not read may */
		if (!o->force || (c->e->code < ERR_INVALID && c->e->code != ENOENT))
			return -1;
		log_warn("%s: its poststop hooks do not run", c->e->msg);
	}
	/* what is known to have ended need not be looked for again */
	return life_delete(&c->dir, status == STATUS_STOPPED ? NULL : &c->state, s, c->e);
}

struct deletion {
	struct cli *c;
	const regex_t *ids;
	int rc;
};

/* The last failure is the command's, the others are said. */
static int delete_if_matched(const char *id, void *arg)
{
	struct deletion *d = arg;

	if (regexec(d->ids, id, 0, NULL, 0) != 0)
		return 0;
	if (d->rc < 0)
		log_warn("%s", d->c->e->msg);
	if (delete_one(d->c, id) < 0)
		d->rc = -1;
	if (d->c->dir.dir >= 0)
		state_close(&d->c->dir);
	arena_free(d->c->arena);
	d->c->arena = NULL;
	return 0;
}

static int delete (struct cli *c, int argc, char **argv)
{
	const struct delete_options *o = c->options;
	struct deletion d = { .c = c };
	regex_t ids;

	(void)argc; /* one, as the row says */
	if (oci_open_root(c) < 0)
		return -1;
	if (!o->regex)
		return state_check_id(argv[0], c->e) < 0 ? -1 : delete_one(c, argv[0]);
	if (regcomp(&ids, argv[0], REG_EXTENDED | REG_NOSUB) != 0)
		return err_set(c->e, ERR_USAGE, "'%.100s' is no regular expression", argv[0]);
	d.ids = &ids;
	if (state_each(c->root_fd, delete_if_matched, &d, c->e) < 0)
		d.rc = -1;
	regfree(&ids);
	return d.rc < 0 ? -1 : EXIT_DONE;
}

static int set_frozen(struct cli *c, bool frozen)
{
	int status = state_status(&c->dir, &c->state, NULL, c->e);

	if (status < 0)
		return -1;
	if (status != (frozen ? STATUS_RUNNING : STATUS_PAUSED) &&
	    !(frozen && status == STATUS_CREATED))
		return err_set(c->e, ERR_STATE, "container '%s' is not %s: it is %s", c->dir.id,
			       frozen ? "running" : "paused", status_name(status));
	return freeze_set(&c->state, frozen, c->e);
}

static int pause_container(struct cli *c, int argc, char **argv)
{
	(void)argc, (void)argv; /* opened by oci_enter() */
	return set_frozen(c, true);
}

static int resume(struct cli *c, int argc, char **argv)
{
	(void)argc, (void)argv; /* opened by oci_enter() */
	return set_frozen(c, false);
}

const struct verb verb_oci_start = {
	.name = "start",
	.run = start,
	.flags = NEED_ID | NEED_STATE,
	.operands = "ID",
	.min = 1,
	.max = 1,
	.help = "let the process of a created container go",
};

const struct verb verb_oci_state = {
	.name = "state",
	.run = state,
	.flags = NEED_ID | NEED_STATE | NEED_NO_LOCK,
	.operands = "ID",
	.min = 1,
	.max = 1,
	.help = "print the state of a container as JSON",
};

const struct verb verb_oci_kill = {
	.name = "kill",
	.run = kill_container,
	.flags = NEED_ID | NEED_STATE | NEED_NO_LOCK,
	.operands = "ID [SIGNAL]",
	.min = 1,
	.max = 2,
	.help = "send a signal (default: TERM) to a container's process",
	.rows = kill_rows,
	.options_size = sizeof(struct kill_options),
};

const struct verb verb_oci_delete = {
	.name = "delete",
	.run = delete,
	.operands = "ID",
	.min = 1,
	.max = 1,
	.help = "remove a container and all that was made for it",
	.rows = delete_rows,
	.options_size = sizeof(struct delete_options),
};

const struct verb verb_oci_pause = {
	.name = "pause",
	.run = pause_container,
	.flags = NEED_ID | NEED_STATE,
	.operands = "ID",
	.min = 1,
	.max = 1,
	.help = "freeze all processes of a container",
};

const struct verb verb_oci_resume = {
	.name = "resume",
	.run = resume,
	.flags = NEED_ID | NEED_STATE,
	.operands = "ID",
	.min = 1,
	.max = 1,
	.help = "let a paused container go on",
};
