/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.c - `ctr snapshot create|list|rm|prune|mount`, `ctr rollback`: the states of an instance, kept and gone back to.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/from_image.h"
#include "cli/instances.h"
#include "cli/launch.h"
#include "cli/snapshot.h"
#include "cli/suspend.h"
#include "cli/verbs.h"
#include "cli/when.h"
#include "images/images.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/running.h"
#include "runtime/spec.h"
#include "runtime/still.h"

/* ---- taking one ---- */

/* The time is that of the beginning: what is changed later is not in it, or not whole. */
static void stamp(struct snapshot *s)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	s->created_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* While it stands still, or does not run. What *copy holds, if anything, was begun before. */
static int keep_still(const struct layers *l, const struct instance_dir *d,
		      const struct still *still, struct layer_copy *copy, struct snapshot *s,
		      struct err *e)
{
	if (still->frozen && copy->notes)
		return layers_copy_finish(l, d, copy, s->layer, e);
	layers_copy_drop(l, copy);
	return still->alive ? layers_copy(l, d, false, s->layer, e) :
			      layers_freeze(l, d, s->layer, e);
}

int keep_state(const struct layers *l, const struct instance_dir *d, struct snapshot *s,
	       struct err *e)
{
	struct layer_copy copy = LAYER_COPY_NONE;
	auto_running struct running r = RUNNING_NONE;
	struct still still;
	struct err other;
	int rc;

	/* most of it while it goes on: then it stands still for what has changed meanwhile alone */
	if (running_look(l->all, d->name, &r, e) < 0 ||
	    (r.exists && r.status == STATUS_RUNNING && layers_copy_begin(l, d, &copy, e) < 0))
		return -1;
	stamp(s);
	rc = still_begin(l->all, d->name, &still, e);
	if (rc == 0)
		rc = keep_still(l, d, &still, &copy, s, e);
	if (still_end(&still, &other) < 0) {
		if (rc == 0)
			*e = other;
		rc = -1;
	}
	layers_copy_drop(l, &copy);
	s->consistency = !still.alive ? "application" : still.frozen ? "filesystem" : "crash";
	s->frozen_us = still.us;
	return rc;
}

int keep_moving(const struct layers *l, const struct instance_dir *d, struct snapshot *s,
		struct err *e)
{
	stamp(s);
	s->consistency = "crash";
	s->frozen_us = 0;
	return layers_copy(l, d, true, s->layer, e);
}

/* "stood still for 12.3 ms"; for one that did not run, nothing. */
void describe_state(const struct snapshot *s, char *out, size_t size)
{
	char pause[48] = "";

	if (s->frozen_us)
		snprintf(pause, sizeof(pause), ", stood still for %.1f ms",
			 (double)s->frozen_us / 1000);
	snprintf(out, size, "%s-consistent%s", s->consistency, pause);
}

struct create_options {
	struct opt_u64 keep;
	bool scheduled;
	const char *snapshot; /* the second operand */
};

static const struct option_row create_rows[] = {
	NUMBER_ROW(struct create_options, keep, "keep", 0, "N",
		   "then remove all but the N newest that were made with --scheduled", 1, 100000),
	FLAG_ROW(struct create_options, scheduled, "scheduled", 0,
		 "mark it as one that --keep may remove"),
	END_ROW,
};

/* The time of day, and "-2" and so on for those of one second. */
static int free_name(const struct instance_dir *d, char out[SNAPSHOT_NAME_MAX + 1], struct err *e)
{
	time_t now = time(NULL);
	struct snapshot s;
	struct tm tm;
	char base[32];

	gmtime_r(&now, &tm);
	strftime(base, sizeof(base), "%Y%m%d-%H%M%S", &tm);
	for (int i = 1; i < 1000; i++) {
		snprintf(out, SNAPSHOT_NAME_MAX + 1, i > 1 ? "%s-%d" : "%s", base, i);
		if (snapshot_read(d, out, &s, e) < 0)
			return e->code == ERR_NO_SUCH ? 0 : -1;
	}
	return err_set(e, ERR_EXISTS, "there is a snapshot '%s' already", out);
}

int name_snapshot(const struct instance_dir *d, const char *name, struct snapshot *s, struct err *e)
{
	struct snapshot old;

	if (!name)
		return free_name(d, s->name, e);
	if (snapshot_check_name(name, e) < 0)
		return -1;
	if (snapshot_read(d, name, &old, e) == 0)
		return err_set(e, ERR_EXISTS, "instance '%s' has a snapshot '%s' already", d->name,
			       name);
	if (e->code != ERR_NO_SUCH)
		return -1;
	snprintf(s->name, sizeof(s->name), "%s", name);
	return 0;
}

/* What goes: of those that @by made, or with NULL of all, those beyond the @keep newest that are from before @before. */
struct retention {
	const char *by;
	uint64_t keep;
	struct when before; /* not set: whenever they are from */
};

static bool is_under(const struct retention *r, const struct snapshot *s)
{
	return !r->by || (s->by && streq(s->by, r->by));
}

/* How many went, the oldest first; -1 and *e. */
static int remove_old(const struct layers *l, const struct instance_dir *d,
		      const struct retention *r, struct err *e)
{
	auto_free struct snapshot *list = NULL;
	struct when any = { .set = false };
	size_t n, left = 0;
	int gone = 0;

	if (snapshots_list(d, &list, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		left += is_under(r, &list[i]);
	for (size_t i = 0; i < n && left > r->keep; i++) {
		if (!is_under(r, &list[i]))
			continue;
		if (!when_within(list[i].created_ns / 1000000000,
				 (uint32_t)(list[i].created_ns % 1000000000), &any, &r->before))
			break; /* and the others are younger */
		if (snapshot_remove(d, list[i].name, e) < 0)
			return -1;
		left--;
		gone++;
	}
	return gone && layers_sweep(l, e) < 0 ? -1 : gone;
}

int with_layers(const struct instances *all, const char *name,
		int (*act)(const struct layers *l, const struct instance_dir *d, void *arg,
			   struct err *e),
		void *arg, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_layers struct layers l = LAYERS_NONE;
	int rc;

	if (instance_open(all, name, &d, e) < 0)
		return -1;
	rc = layers_open(all, &l, e) < 0 ? -1 : act(&l, &d, arg, e);
	instance_close(&d);
	return rc;
}

int keep_newest(const struct layers *l, const struct instance_dir *d, const char *by, uint64_t keep,
		struct err *e)
{
	return remove_old(l, d, &(struct retention){ .by = by, .keep = keep }, e) < 0 ? -1 : 0;
}

static int create_one(struct cli *c, const struct instances *all, const char *name, struct err *e)
{
	const struct create_options *o = c->options;
	struct instance_dir d = { .fd = -1, .promise = -1 };
	struct snapshot s = { .by = o->scheduled ? SNAPSHOT_BY_SCHEDULE : NULL };
	auto_layers struct layers l = LAYERS_NONE;
	char how[96];
	int rc = -1;

	if (instance_open(all, name, &d, e) < 0)
		return -1;
	if (layers_open(all, &l, e) == 0 && name_snapshot(&d, o->snapshot, &s, e) == 0 &&
	    keep_state(&l, &d, &s, e) == 0 && snapshot_write(&d, &s, e) == 0 &&
	    (!o->keep.set || keep_newest(&l, &d, SNAPSHOT_BY_SCHEDULE, o->keep.v, e) == 0))
		rc = 0;
	instance_close(&d);
	if (rc < 0)
		return err_in(e, "cannot keep the state of '%s'", name);
	describe_state(&s, how, sizeof(how));
	if (!c->json)
		printf("%s@%s: %s\n", name, s.name, how);
	(void)fflush(stdout);
	return 0;
}

static int snapshot_create(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	char *instance[] = { argv[0], NULL };
	struct create_options *o = c->options;

	o->snapshot = argc > 1 ? argv[1] : NULL;
	if (open_instances(c, &all) < 0)
		return -1;
	return each_instance(c, &all, instance, 0, create_one);
}

const struct verb verb_snapshot_create = {
	.name = "snapshot create",
	.run = snapshot_create,
	.flags = VERB_JSON | VERB_MANY,
	.operands = "NAME [SNAP]",
	.min = 1,
	.max = 2,
	.help = "keep the state of an instance's files",
	.rows = create_rows,
	.options_size = sizeof(struct create_options),
	.more = "Of an instance that does not run it takes milliseconds and no space, whatever its size. The layer of one that\n"
		"runs is copied (reflinked, where the file system can) while it goes on; it stands still for what has changed\n"
		"meanwhile, and how long is said. NAME may be a pattern. Without SNAP the snapshot is named by the time.",
};

/* ---- list ---- */

struct list_options {
	bool quiet;
};

static const struct option_row list_rows[] = {
	FLAG_ROW(struct list_options, quiet, "quiet", 'q', "names only, as NAME@SNAP"),
	END_ROW,
};

static void put_snapshot(struct json_writer *w, const char *instance, const struct snapshot *s)
{
	char when[32];

	json_open(w, NULL, '{');
	json_put_string(w, "instance", instance);
	json_put_string(w, "name", s->name);
	json_put_string(w, "created", format_time(s->created_ns / 1000000000, when, sizeof(when)));
	json_put_string(w, "consistency", s->consistency);
	json_put_i64(w, "frozen_us", s->frozen_us);
	json_put_string(w, "by", s->by);
	json_put_string(w, "layer", s->layer);
	json_close(w);
}

static const char *described_by(const struct snapshot *s)
{
	if (!s->by)
		return "";
	return streq(s->by, SNAPSHOT_BY_SCHEDULE) ? ", scheduled" :
	       streq(s->by, SNAPSHOT_BY_BACKUP)	  ? ", of a backup" :
						    ", of a move";
}

static int list_one(struct cli *c, const struct instances *all, const char *name,
		    struct json_writer *w, struct err *e)
{
	const struct list_options *o = c->options;
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_free struct snapshot *list = NULL;
	size_t n = 0;
	int rc;

	if (instance_look(all, name, &d, e) < 0)
		return e->code == ERR_NO_SUCH ? 0 : -1;
	rc = snapshots_list(&d, &list, &n, e);
	close(d.fd);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		char when[32], how[96], full[160];

		snprintf(full, sizeof(full), "%s@%s", name, list[i].name);
		describe_state(&list[i], how, sizeof(how));
		if (c->json)
			put_snapshot(w, name, &list[i]);
		else if (o->quiet)
			str_addf(w->out, "%s\n", full);
		else
			str_addf(w->out, "%-32s  %-20s  %s%s\n", full,
				 format_time(list[i].created_ns / 1000000000, when, sizeof(when)),
				 how, described_by(&list[i]));
	}
	return rc;
}

static int snapshot_list(struct cli *c, int argc, char **argv)
{
	const struct list_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;
	auto_free char **names = NULL;
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out, .indent = true };
	size_t n;

	(void)argc;
	if (open_instances(c, &all) < 0 ||
	    instances_match(&all, (const char *const *)argv, &names, &n, c->e) < 0)
		return -1;
	if (c->json) {
		json_open(&w, NULL, '{');
		json_put_u64(&w, "version", FORMAT_VERSION);
		json_open(&w, "snapshots", '[');
	} else if (!o->quiet) {
		str_addf(&out, "%-32s  %-20s  %s\n", "SNAPSHOT", "CREATED", "CONSISTENCY");
	}
	for (size_t k = 0; k < n; k++)
		if (list_one(c, &all, names[k], &w, c->e) < 0)
			return -1;
	if (c->json) {
		json_close(&w);
		json_close(&w);
		return print_text(c, &out);
	}
	if (out.failed)
		return err_set(c->e, ENOMEM, "cannot list the snapshots");
	fputs(str_text(&out), stdout); /* main.c looks whether it arrived */
	return EXIT_DONE;
}

const struct verb verb_snapshot_list = {
	.name = "snapshot list",
	.aliases = "ls",
	.run = snapshot_list,
	.flags = VERB_JSON,
	.operands = "[NAME...]",
	.max = -1,
	.help = "list the snapshots of instances",
	.rows = list_rows,
	.options_size = sizeof(struct list_options),
};

/* ---- rm ---- */

static int snapshot_rm(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_layers struct layers l = LAYERS_NONE;
	int rc = 0;

	if (open_instances(c, &all) < 0 || instance_open(&all, argv[0], &d, c->e) < 0)
		return -1;
	if (layers_open(&all, &l, c->e) < 0)
		rc = -1;
	for (int i = 1; rc == 0 && i < argc; i++)
		rc = snapshot_remove(&d, argv[i], c->e);
	if (rc == 0)
		rc = layers_sweep(&l, c->e);
	instance_close(&d);
	return rc < 0 ? -1 : EXIT_DONE;
}

const struct verb verb_snapshot_rm = {
	.name = "snapshot rm",
	.aliases = "remove delete",
	.run = snapshot_rm,
	.operands = "NAME SNAP...",
	.min = 2,
	.max = -1,
	.help = "remove snapshots, and what only they need",
};

/* ---- prune ---- */

struct prune_options {
	struct opt_u64 keep;
	const char *older_than;
	bool all;
};

static const struct option_row prune_rows[] = {
	NUMBER_ROW(struct prune_options, keep, "keep", 0, "N", "those but the N newest", 0, 100000),
	STRING_ROW(struct prune_options, older_than, "older-than", 0, "AGE",
		   "those older than that: 90s, 10m, 2h, 7d, or a date"),
	FLAG_ROW(struct prune_options, all, "all", 'a',
		 "also those that were not made with --scheduled"),
	END_ROW,
};

static int prune_locked(const struct layers *l, const struct instance_dir *d, void *arg,
			struct err *e)
{
	return remove_old(l, d, arg, e);
}

static int prune_one(struct cli *c, const struct instances *all, const char *name, struct err *e)
{
	const struct prune_options *o = c->options;
	struct retention r = { .by = o->all ? NULL : SNAPSHOT_BY_SCHEDULE, .keep = o->keep.v };
	int gone;

	if (when_parse(o->older_than, "--older-than", &r.before, e) < 0)
		return -1;
	gone = with_layers(all, name, prune_locked, &r, e);
	if (gone < 0)
		return err_in(e, "cannot remove snapshots of '%s'", name);
	if (!gone) {
		err_set(e, ERR_STATE, "'%s' has none that are to go", name);
		return 1;
	}
	if (!c->json)
		printf("%s: %d removed\n", name, gone);
	(void)fflush(stdout);
	return 0;
}

static int snapshot_prune(struct cli *c, int argc, char **argv)
{
	const struct prune_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;
	char *everybody[] = { "*", NULL };

	if (!o->keep.set && !o->older_than)
		return err_set(c->e, ERR_USAGE, "which ones? --keep N, --older-than AGE, or both");
	if (open_instances(c, &all) < 0)
		return -1;
	return each_instance(c, &all, argc ? argv : everybody, 0, prune_one);
}

const struct verb verb_snapshot_prune = {
	.name = "snapshot prune",
	.run = snapshot_prune,
	.flags = VERB_JSON | VERB_MANY | VERB_STRICT,
	.operands = "[NAME...]",
	.max = -1,
	.help = "remove old snapshots",
	.rows = prune_rows,
	.options_size = sizeof(struct prune_options),
	.more = "Of the instances named, or of all. With both, those beyond the N newest that are older as well.",
};

/* ---- rollback ---- */

struct rollback_options {
	const char *keep;
};

static const struct option_row rollback_rows[] = {
	STRING_ROW(struct rollback_options, keep, "keep", 0, "NEW",
		   "keep the state of now as snapshot NEW first"),
	END_ROW,
};

static int check_stopped(const struct instances *all, const char *name, const char *what,
			 struct err *e)
{
	auto_running struct running r = RUNNING_NONE;

	if (running_look(all, name, &r, e) < 0)
		return -1;
	if (r.exists)
		return err_set(e, ERR_STATE, "'%s' runs: `ctr stop %s` before %s", name, name,
			       what);
	return 0;
}

static int rollback_locked(const struct instances *all, const struct instance_dir *d,
			   const char *to, const char *keep, struct err *e)
{
	auto_layers struct layers l = LAYERS_NONE;
	struct snapshot s, now = { .by = NULL };

	if (check_stopped(all, d->name, "a rollback", e) < 0 || layers_open(all, &l, e) < 0 ||
	    snapshot_read(d, to, &s, e) < 0 || memory_discard(d, e) < 0)
		return -1;
	if (keep && (name_snapshot(d, keep, &now, e) < 0 || keep_state(&l, d, &now, e) < 0 ||
		     snapshot_write(d, &now, e) < 0))
		return -1;
	return layers_rollback(&l, d, s.layer, e);
}

static int rollback(struct cli *c, int argc, char **argv)
{
	const struct rollback_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;
	struct instance_dir d = { .fd = -1, .promise = -1 };
	int rc;

	(void)argc;
	if (open_instances(c, &all) < 0 || instance_open(&all, argv[0], &d, c->e) < 0)
		return -1;
	rc = rollback_locked(&all, &d, argv[1], o->keep, c->e);
	instance_close(&d);
	return rc < 0 ? err_in(c->e, "cannot go back to '%s@%s'", argv[0], argv[1]) : EXIT_DONE;
}

const struct verb verb_rollback = {
	.name = "rollback",
	.run = rollback,
	.operands = "NAME SNAP",
	.min = 2,
	.max = 2,
	.help = "take the files of a stopped instance back to a snapshot",
	.rows = rollback_rows,
	.options_size = sizeof(struct rollback_options),
	.more = "What was written since is thrown away, unless --keep gives it a name. Snapshots stay, later ones too.",
};

/* ---- mount ---- */

int open_layers(struct cli *c, const struct instances *all, const struct instance_dir *d,
		const char *layer, struct err *e)
{
	auto_instance struct instance *i = instance_load(d, e);
	auto_store struct store *store = i ? store_open(c->store_root, e) : NULL;
	auto_image struct image *img = store ? launch_image(store, i, e) : NULL;
	struct from_image f = { .image = img, .instance = i, .name = d->name, .root = -1 };

	if (!img || image_mount(store, c->run_root, img, e) < 0 ||
	    layers_of(all, layer, i->arena, &f.below, e) < 0)
		return -1;
	return image_open_root(&f, e);
}

int open_state(struct cli *c, const struct instances *all, const struct instance_dir *d,
	       const char *snapshot, struct err *e)
{
	struct snapshot s;

	return snapshot_read(d, snapshot, &s, e) < 0 ? -1 : open_layers(c, all, d, s.layer, e);
}

static int snapshot_mount(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_fd int tree = -1;

	(void)argc;
	if (open_instances(c, &all) < 0 || instance_look(&all, argv[0], &d, c->e) < 0)
		return -1;
	tree = open_state(c, &all, &d, argv[1], c->e);
	close(d.fd);
	if (tree < 0)
		return -1;
	if (sys_move_mount(tree, "", AT_FDCWD, argv[2], MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_set(c->e, errno, "cannot mount on '%s'", argv[2]);
	return EXIT_DONE;
}

const struct verb verb_snapshot_mount = {
	.name = "snapshot mount",
	.run = snapshot_mount,
	.operands = "NAME SNAP DIR",
	.min = 3,
	.max = 3,
	.help = "show the files of a snapshot at a directory, read-only",
	.more = "Owners are those inside the instance. `umount DIR` ends it.",
};
