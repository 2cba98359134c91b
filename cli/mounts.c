/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounts.c - images are mounted for the first instance that starts, and let go when an instance has ended. Those of commands in
 * the foreground (`ctr run`) stay for the next one, which so finds its files in memory, until a `stop` or `rm`.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/state.h"

struct search {
	struct image **images;
	const struct instances *all;
	struct str running; /* the configurations of all instances that run */
};

static int note_config(const char *id, void *arg)
{
	struct search *s = arg;
	struct state_dir d = { .root = -1, .dir = -1, .open = -1 };
	auto_str struct str config = { 0 };
	struct err ignored;

	if (state_look(s->all->states, id, &d, &ignored) < 0)
		return 0;
	if (state_read_config(&d, &config, &ignored) == 0)
		str_add(&s->running, str_text(&config));
	state_forget(&d);
	return 0;
}

static bool is_used(void *arg, const char *root_id)
{
	struct search *s = arg;

	if (s->running.failed)
		return true;
	for (struct image **img = s->images; *img; img++)
		if ((*img)->root_id && streq((*img)->root_id, root_id) &&
		    strstr(str_text(&s->running), (*img)->id))
			return true;
	return false;
}

void unmount_unused(struct cli *c, const struct instances *all)
{
	auto_store struct store *store = NULL;
	struct search s = { .all = all };
	struct err ignored;
	char path[4096];

	snprintf(path, sizeof(path), "%s/mounts", c->run_root);
	if (access(path, F_OK) < 0)
		return;
	store = store_open(c->store_root, &ignored);
	if (store && image_list(store, &s.images, NULL, &ignored) == 0 &&
	    state_each(all->states, note_config, &s, &ignored) == 0)
		image_unmount_unused(c->run_root, is_used, &s);
	image_list_free(s.images);
	str_free(&s.running);
}
