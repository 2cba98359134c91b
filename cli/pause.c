/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pause.c - `ctr pause` and `ctr resume`: all processes of an instance stop in their tracks, and go on.
 */
#include <errno.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/verbs.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/events.h"
#include "runtime/freeze.h"
#include "runtime/state.h"

static int freeze_it(struct state_dir *sd, const char *name, bool frozen, struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	struct state st;
	int status;

	if (!a)
		return err_set(e, ENOMEM, "out of memory");
	status = state_read(sd, a, &st, e) < 0 ? -1 : (int)state_status(sd, &st, NULL, e);
	if (status < 0)
		return -1;
	if (status == (frozen ? STATUS_PAUSED : STATUS_RUNNING)) {
		err_set(e, ERR_STATE, "'%s' %s", name,
			frozen ? "is paused already" : "is not paused");
		return 1;
	}
	if (status != STATUS_RUNNING && status != STATUS_PAUSED)
		return err_set(e, ERR_STATE, "it does not run");
	return freeze_set(&st, frozen, e);
}

int set_frozen(const struct instances *all, const char *name, bool frozen, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	struct state_dir sd;
	int rc = -1;

	/* that there is such an instance is a better thing to say than that it does not run */
	if (instance_look(all, name, &d, e) < 0)
		return -1;
	close(d.fd);
	if (state_open(all->states, name, &sd, e) == 0) {
		rc = freeze_it(&sd, name, frozen, e);
		state_close(&sd);
	} else if (e->code == ERR_NO_SUCH) {
		err_set(e, ERR_STATE, "it does not run");
	}
	if (rc == 0)
		events_append(all, &(struct event){ .type = frozen ? EVENT_PAUSED : EVENT_RESUMED,
						    .name = name });
	return rc < 0 ? err_in(e, "cannot %s '%s'", frozen ? "pause" : "resume", name) : rc;
}

static int pause_one(struct cli *c, const struct instances *all, const char *name, struct err *e)
{
	(void)c;
	return set_frozen(all, name, true, e);
}

static int resume_one(struct cli *c, const struct instances *all, const char *name, struct err *e)
{
	(void)c;
	return set_frozen(all, name, false, e);
}

static int pause_verb(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;

	(void)argc;
	if (open_instances(c, &all) < 0)
		return -1;
	return each_instance(c, &all, argv, 0, pause_one);
}

static int resume_verb(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;

	(void)argc;
	if (open_instances(c, &all) < 0)
		return -1;
	return each_instance(c, &all, argv, 0, resume_one);
}

const struct verb verb_pause = {
	.name = "pause",
	.aliases = "freeze",
	.run = pause_verb,
	.flags = VERB_MANY | VERB_STRICT | VERB_JSON,
	.operands = "NAME...",
	.min = 1,
	.max = -1,
	.help = "stop all processes of instances in their tracks",
	.more = "They keep their memory and use no processor time until `ctr resume`. A stop lets them go on first.",
};

const struct verb verb_resume = {
	.name = "resume",
	.aliases = "unpause thaw",
	.run = resume_verb,
	.flags = VERB_MANY | VERB_STRICT | VERB_JSON,
	.operands = "NAME...",
	.min = 1,
	.max = -1,
	.help = "let paused instances go on",
};
