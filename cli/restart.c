/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restart.c - `ctr restart`: stop, and start again. What does not run is started.
 */
#include <unistd.h>

#include "cli/instances.h"
#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/running.h"

static const struct option_row restart_rows[] = { STOP_ROWS, END_ROW };

/* Its end would be its removal. */
static int check_stays(const struct instances *all, const char *name, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_instance struct instance *i = NULL;

	if (instance_look(all, name, &d, e) < 0)
		return -1;
	i = instance_load(&d, e);
	close(d.fd);
	if (i && i->ephemeral)
		return err_set(e, ERR_STATE, "it was made to be removed when it ends (--rm)");
	return i ? 0 : -1;
}

static int restart_one(struct cli *c, const struct instances *all, const char *name, struct err *e)
{
	auto_running struct running r = RUNNING_NONE;

	if (check_stays(all, name, e) < 0 || running_look(all, name, &r, e) < 0 ||
	    (r.exists && end_instance(c, all, name, c->options, &r, e) < 0))
		return err_in(e, "cannot restart '%s'", name);
	return start_one(c, all, name, e) < 0 ? -1 : 0; /* 1: somebody else has started it */
}

static int restart(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;

	(void)argc;
	if (check_stop_options(c->options, c->e) < 0 || open_instances(c, &all) < 0 ||
	    protect_from(c, &all, argv) < 0)
		return -1;
	return each_instance(c, &all, argv, 0, restart_one);
}

const struct verb verb_restart = {
	.name = "restart",
	.run = restart,
	.flags = VERB_MANY | VERB_JSON | VERB_STARTS,
	.operands = "NAME...",
	.min = 1,
	.max = -1,
	.help = "stop instances and start them again",
	.rows = restart_rows,
	.options_size = sizeof(struct stop_options),
	.more = "One that does not run is started.",
};
