/* SPDX-License-Identifier: Apache-2.0 */
/*
 * autostart.c - `ctr autostart`: starts what is to run with the host, in turn. For an init system: see ctr.service.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/instances.h"
#include "cli/ready.h"
#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"

struct turn {
	char *name;
	uint64_t number;
};

static int by_turn(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	return x->number != y->number ? (x->number < y->number ? -1 : 1) : strcmp(x->name, y->name);
}

static uint64_t turn_of(const struct instances *all, const char *name)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_instance struct instance *i = NULL;
	struct err e;

	if (instance_look(all, name, &d, &e) == 0)
		i = instance_load(&d, &e);
	own_close(&d.fd);
	if (!i)
		log_warn("'%s' is not started: %s", name, e.msg);
	return i ? i->autostart : 0;
}

static int start_and_wait(struct cli *c, const struct instances *all, const char *name,
			  struct err *e)
{
	int rc = start_one(c, all, name, e);

	return rc < 0 ? -1 : ready_wait(all, name, READY_SECONDS, e) < 0 ? -1 : rc;
}

/* Those of one turn at once, and the next ones when they are ready; a failure stops nobody else. */
static int autostart(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	auto_free char **names = NULL, **operands = NULL;
	auto_free struct turn *turns = NULL;
	size_t n = 0, count = 0;
	bool failed = false;

	(void)argc, (void)argv;
	if (open_instances(c, &all) < 0 || instances_match(&all, NULL, &names, &count, c->e) < 0)
		return -1;
	turns = calloc(count + 1, sizeof(*turns));
	operands = calloc(count + 1, sizeof(*operands));
	if (!turns || !operands)
		return err_set(c->e, ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		turns[n] = (struct turn){ names[i], turn_of(&all, names[i]) };
		n += turns[n].number > 0;
	}
	qsort(turns, n, sizeof(*turns), by_turn);
	for (size_t i = 0; i < n;) {
		size_t k = 0;

		for (; i + k < n && turns[i + k].number == turns[i].number; k++)
			operands[k] = turns[i + k].name;
		operands[k] = NULL;
		if (each_instance(c, &all, operands, 0, start_and_wait) < 0) {
			log_error("%s", c->e->msg);
			failed = true;
		}
		i += k;
	}
	return failed ? err_set(c->e, ERR_INVALID, "not all were started") : EXIT_DONE;
}

const struct verb verb_autostart = {
	.name = "autostart",
	.run = autostart,
	.flags = VERB_MANY | VERB_STARTS,
	.help = "start the instances that are to run with the host",
	.more = "Those whose key autostart is set, the smallest numbers first; the next number waits until they are ready. What runs is left alone.",
};
