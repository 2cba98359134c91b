/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rename.c - `ctr rename`: another name for an instance that does not run.
 *
 * A running one is known by its name to its supervisor, its cgroup and its run state: so it must be stopped first.
 */
#include "cli/instances.h"
#include "cli/launch.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/running.h"

/* Its host name is its name, unless it was given another. */
static int rename_files(struct cli *c, struct instance_dir *d, const char *old, struct err *e)
{
	auto_instance struct instance *i = instance_load(d, e);
	auto_store struct store *store = i ? store_open(c->store_root, e) : NULL;
	auto_image struct image *img = store ? launch_image(store, i, e) : NULL;
	struct launch l = { .all = d->all, .image = img, .instance = i, .dir = d };

	if (!img || image_mount(store, c->run_root, img, e) < 0)
		return -1;
	return launch_renamed(&l, old, e);
}

static int rename_it(struct cli *c, struct instance_dir *d, const char *to, struct err *e)
{
	auto_running struct running r = RUNNING_NONE;
	char old[INSTANCE_NAME_MAX + 1];
	struct err why;

	snprintf(old, sizeof(old), "%s", d->name);
	if (running_look(d->all, old, &r, e) < 0)
		return -1;
	if (r.exists)
		return err_set(e, ERR_STATE, "it runs: stop it first");
	if (instance_rename(d, to, e) < 0)
		return -1;
	/* done is done: what is inside can still be changed inside */
	if (rename_files(c, d, old, &why) < 0)
		log_warn("'%s' still has its old host name in its files: %s", to, why.msg);
	return 0;
}

static int rename_verb(struct cli *c, int argc, char **argv)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_instances struct instances all = INSTANCES_NONE;
	int rc;

	(void)argc;
	if (instance_check_name(argv[1], c->e) < 0) {
		c->e->code = ERR_USAGE;
		return -1;
	}
	if (open_instances(c, &all) < 0 || instance_open(&all, argv[0], &d, c->e) < 0)
		return -1;
	rc = rename_it(c, &d, argv[1], c->e);
	instance_close(&d);
	if (rc < 0)
		return err_in(c->e, "cannot rename '%s'", argv[0]);
	if (c->json)
		printf("{\"version\":%d,\"name\":\"%s\",\"old\":\"%s\"}\n", FORMAT_VERSION, argv[1],
		       argv[0]);
	return EXIT_DONE;
}

const struct verb verb_rename = {
	.name = "rename",
	.run = rename_verb,
	.flags = VERB_JSON,
	.operands = "NAME NEW",
	.min = 2,
	.max = 2,
	.help = "give an instance another name",
	.more = "It must not run. Its host name follows, unless it was given one or has changed it inside.",
};
