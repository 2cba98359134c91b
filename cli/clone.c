/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clone.c - `ctr clone` and `ctr tree`: instances made of instances.
 *
 * A clone stands on a frozen layer of its origin, and has its own above: milliseconds and no space. What would make two of
 * them one to the rest of the world is taken out of the copy: identity.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/clone.h"
#include "cli/from_image.h"
#include "cli/identity.h"
#include "cli/instances.h"
#include "cli/launch.h"
#include "cli/snapshot.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"

/* ---- names: "w{1..100}", "{a,b}" ---- */

struct name_list {
	char (*v)[INSTANCE_NAME_MAX + 1];
	size_t n, size;
};

#define NAMES_MAX 100000

static int names_add(struct name_list *l, const char *name, struct err *e)
{
	if (instance_check_name(name, e) < 0) {
		e->code = ERR_USAGE;
		return -1;
	}
	if (l->n == NAMES_MAX)
		return err_set(e, ERR_USAGE, "more than %d names", NAMES_MAX);
	if (l->n == l->size) {
		size_t size = l->size ? 2 * l->size : 16;
		char(*v)[INSTANCE_NAME_MAX + 1] = realloc(l->v, size * sizeof(*v));

		if (!v)
			return err_set(e, ENOMEM, "names");
		l->v = v;
		l->size = size;
	}
	strcpy(l->v[l->n++], name);
	return 0;
}

/* The first "{...}" of @pattern is written out, then the rest of each. */
static int expand(const char *pattern, struct name_list *l, struct err *e)
{
	const char *open = strchr(pattern, '{'), *close = open ? strchr(open, '}') : NULL;
	unsigned long long lo, hi;
	char name[256];
	int end = 0, width = 0;

	if (!open)
		return names_add(l, pattern, e);
	if (!close || strlen(pattern) >= sizeof(name))
		return err_set(e, ERR_USAGE, "'%.100s' is not understood: {1..9} and {a,b} are",
			       pattern);
	if (sscanf(open, "{%8llu..%8llu}%n", &lo, &hi, &end) == 2 && open + end == close + 1) {
		if (open[1] == '0') /* {01..12}: all of one width, as a shell does it */
			width = (int)strcspn(open + 1, ".");
		for (unsigned long long i = lo; i <= hi; i++) {
			snprintf(name, sizeof(name), "%.*s%0*llu%s", (int)(open - pattern), pattern,
				 width, i, close + 1);
			if (expand(name, l, e) < 0)
				return -1;
		}
		return 0;
	}
	for (const char *at = open; at != close;) {
		const char *word = at + 1;
		size_t len = strcspn(word, ",}");

		snprintf(name, sizeof(name), "%.*s%.*s%s", (int)(open - pattern), pattern, (int)len,
			 word, close + 1);
		if (expand(name, l, e) < 0)
			return -1;
		at = word + len;
	}
	return 0;
}

/* ---- clone ---- */

struct clone_options {
	bool full, keep_identity, promote, start;
};

static const struct option_row clone_rows[] = {
	FLAG_ROW(struct clone_options, full, "full", 0,
		 "copy what the origin has written, rather than standing on it"),
	FLAG_ROW(
		struct clone_options, keep_identity, "keep-identity", 0,
		"keep machine-id, host keys and the like, for a copy that takes the origin's place"),
	FLAG_ROW(struct clone_options, start, "start", 's', "and start them"),
	FLAG_ROW(struct clone_options, promote, "promote", 0,
		 "no new one: NAME becomes the origin, and its origin the clone"),
	END_ROW,
};

/* In the directory of an instance that has had linked clones: who removes it looks for them. */
#define CLONES_MARK "clones"

static int clone_mark(const struct instance_dir *d, struct err *e)
{
	auto_fd int fd =
		openat(d->fd, CLONES_MARK, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? err_set(e, errno, "cannot mark '%s' as an origin", d->name) : 0;
}

/* What all clones of one command have in common. */
struct cloning {
	struct cli *c;
	const struct instances *all;
	const struct clone_options *o;
	struct store *store;
	struct instance *origin;
	struct image *image;
	struct layers layers;
	char base[LAYER_ID_LEN + 1];
	bool identified; /* there is something that identifies the origin */
};

static struct instance *config_of_clone(const struct cloning *k, struct err *e)
{
	auto_instance struct instance *i = NULL;
	auto_str struct str text = { 0 };

	instance_dump(k->origin, &text);
	if (text.failed) {
		err_set(e, ENOMEM, "clone");
		return NULL;
	}
	i = instance_parse(text.s, text.len, e);
	if (!i)
		return NULL;
	i->origin = k->o->full ? NULL : k->origin->uuid;
	i->ephemeral = false;
	if (!k->o->keep_identity)
		i->hostname = NULL;
	return take_ptr(i);
}

static int make_identity(const struct launch *l, struct err *e)
{
	auto_fd int root = launch_open_root(l, e);

	return root < 0 || identity_forget(root, e) < 0 ? -1 : 0;
}

static int clone_one(const struct cloning *k, const char *name, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_instance struct instance *i = config_of_clone(k, e);
	struct err ignored;
	struct launch l;
	int rc;

	if (!i || instance_create(k->all, name, i, k->o->full ? NULL : k->base, false, &d, e) < 0)
		return i ? err_in(e, "cannot make clone '%s'", name) : -1;
	l = (struct launch){
		.all = k->all, .image = k->image, .instance = i, .dir = &d, .fresh = true
	};
	rc = k->o->full ? layers_flatten(&k->layers, &d, k->base, e) : 0;
	if (rc == 0 && k->identified)
		rc = make_identity(&l, e);
	if (rc == 0 && !k->o->keep_identity)
		rc = launch_prepare(&l, e);
	if (rc < 0) {
		(void)instance_remove(&d, &ignored); /* the next command finishes it */
		return err_in(e, "cannot make clone '%s'", name);
	}
	instance_close(&d);
	return 0;
}

static int look_for_identity(struct cloning *k, const struct instance_dir *d, struct err *e)
{
	struct from_image f = {
		.image = k->image, .instance = k->origin, .name = d->name, .root = -1
	};
	auto_fd int root = -1;
	int found;

	if (k->o->keep_identity)
		return 0;
	if (layers_of(k->all, k->base, k->origin->arena, &f.below, e) < 0)
		return -1;
	root = image_open_root(&f, e);
	found = root < 0 ? -1 : identity_count(root, e);
	k->identified = found > 0;
	return found < 0 ? -1 : 0;
}

static int clone_all(struct cloning *k, const struct instance_dir *d, const char *snapshot,
		     const struct name_list *names, struct err *e)
{
	struct snapshot s;

	for (size_t i = 0; i < names->n; i++)
		if (instance_check_free(k->all, names->v[i], e) < 0)
			return -1;
	k->origin = instance_load(d, e);
	k->store = k->origin ? store_open(k->c->store_root, e) : NULL;
	k->image = k->store ? launch_image(k->store, k->origin, e) : NULL;
	if (!k->image || image_mount(k->store, k->c->run_root, k->image, e) < 0 ||
	    layers_open(k->all, &k->layers, e) < 0)
		return -1;
	if (snapshot ? snapshot_read(d, snapshot, &s, e) < 0 : keep_state(&k->layers, d, &s, e) < 0)
		return -1;
	strcpy(k->base, s.layer);
	if (look_for_identity(k, d, e) < 0 || (!k->o->full && clone_mark(d, e) < 0))
		return -1;
	for (size_t i = 0; i < names->n; i++)
		if (clone_one(k, names->v[i], e) < 0)
			return -1;
	if (syncfs(k->all->dir) < 0) /* once for all, rather than three times for each */
		return err_set(e, errno, "cannot sync the clones");
	return k->o->full ? layers_sweep(&k->layers, e) : 0;
}

static void own_cloning(struct cloning *k)
{
	layers_close(&k->layers);
	image_free(k->image);
	instance_free(k->origin);
	store_close(k->store);
}

static int clone_from(struct cli *c, const struct instances *all, const char *from,
		      const struct name_list *names)
{
	__attribute__((cleanup(own_cloning))) struct cloning k = {
		.c = c, .all = all, .o = c->options, .layers = LAYERS_NONE
	};
	struct instance_dir d = { .fd = -1, .promise = -1 };
	char name[INSTANCE_NAME_MAX + 1], *operands[] = { name, NULL };
	const char *at = strchr(from, '@');
	int rc;

	if (snprintf(name, sizeof(name), "%.*s", at ? (int)(at - from) : 1000, from) >=
	    (int)sizeof(name))
		return err_set(c->e, ERR_USAGE, "'%.100s' is no name", from);
	/* before anything is done: it may start this program anew (CVE-2019-5736) */
	if (k.o->start && protect_from(c, all, operands) < 0)
		return -1;
	if (instance_open(all, name, &d, c->e) < 0)
		return -1;
	rc = clone_all(&k, &d, at ? at + 1 : NULL, names, c->e);
	instance_close(&d);
	return rc;
}

static void print_names(const struct cli *c, const struct name_list *names)
{
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out, .indent = true };

	if (c->json) {
		json_open(&w, NULL, '{');
		json_put_u64(&w, "version", FORMAT_VERSION);
		json_open(&w, "clones", '[');
	}
	for (size_t i = 0; i < names->n; i++)
		if (c->json)
			json_put_string(&w, NULL, names->v[i]);
		else
			str_addf(&out, "%s\n", names->v[i]);
	if (c->json) {
		json_close(&w);
		json_close(&w);
		str_add(&out, "\n");
	}
	fputs(str_text(&out), stdout); /* main.c looks whether it arrived */
}

static int start_clones(struct cli *c, const struct instances *all, const struct name_list *names)
{
	auto_free char **operands = calloc(names->n + 1, sizeof(*operands));

	if (!operands)
		return err_set(c->e, ENOMEM, "clones");
	for (size_t i = 0; i < names->n; i++)
		operands[i] = names->v[i];
	return each_instance(c, all, operands, 0, start_one);
}

static int clone_to(struct cli *c, const char *from, const struct name_list *names)
{
	const struct clone_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;

	if (open_instances(c, &all) < 0 || clone_from(c, &all, from, names) < 0)
		return -1;
	if (!o->start || !c->json)
		print_names(c, names);
	return o->start ? start_clones(c, &all, names) : EXIT_DONE;
}

/* ---- lineage ---- */

struct kin {
	char name[INSTANCE_NAME_MAX + 1];
	char uuid[UUID_LEN + 1], origin[UUID_LEN + 1]; /* "": none */
	size_t snapshots;
};

struct family {
	struct kin *v;
	size_t n;
};

static void family_free(struct family *f)
{
	free(f->v);
}
#define auto_family __attribute__((cleanup(family_free)))

static int look_at(const struct instances *all, const char *name, struct kin *k, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_instance struct instance *i = NULL;
	auto_free struct snapshot *list = NULL;
	int rc;

	if (instance_look(all, name, &d, e) < 0)
		return -1;
	i = instance_load(&d, e);
	rc = i ? snapshots_list(&d, &list, &k->snapshots, e) : -1;
	close(d.fd);
	if (rc < 0)
		return -1;
	snprintf(k->name, sizeof(k->name), "%s", name);
	snprintf(k->uuid, sizeof(k->uuid), "%s", i->uuid ? i->uuid : "");
	snprintf(k->origin, sizeof(k->origin), "%s", i->origin ? i->origin : "");
	return 0;
}

/* All instances of this machine. */
static int gather(const struct instances *all, struct family *f, struct err *e)
{
	auto_free char **names = NULL;
	size_t n;

	if (instances_match(all, NULL, &names, &n, e) < 0)
		return -1;
	f->v = calloc(n + 1, sizeof(*f->v));
	if (!f->v)
		return err_set(e, ENOMEM, "instances");
	for (size_t i = 0; i < n; i++) {
		if (look_at(all, names[i], &f->v[f->n], e) == 0)
			f->n++;
		else if (e->code != ERR_NO_SUCH) /* else it was removed since we looked */
			return -1;
	}
	return 0;
}

static const struct kin *by_uuid(const struct family *f, const char *uuid)
{
	for (size_t i = 0; *uuid && i < f->n; i++)
		if (streq(f->v[i].uuid, uuid))
			return &f->v[i];
	return NULL;
}

int check_no_clones(const struct instance_dir *d, struct err *e)
{
	auto_instance struct instance *i = NULL;
	auto_family struct family f = { NULL, 0 };

	if (faccessat(d->fd, CLONES_MARK, F_OK, 0) < 0)
		return 0; /* never had any */
	i = instance_load(d, e);
	if (!i || gather(d->all, &f, e) < 0)
		return -1;
	for (size_t k = 0; k < f.n; k++)
		if (streq(f.v[k].origin, i->uuid))
			return err_set(
				e, ERR_STATE,
				"'%s' has clones, '%s' for one: `ctr clone --promote %s` makes that the origin; --force loses only '%s'",
				d->name, f.v[k].name, f.v[k].name, d->name);
	return 0;
}

static int set_origin(const struct instances *all, const char *name, const char *origin,
		      struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_instance struct instance *i = NULL;
	int rc = -1;

	if (instance_open(all, name, &d, e) < 0)
		return -1;
	i = instance_load(&d, e);
	if (i) {
		i->origin = *origin ? origin : NULL;
		rc = instance_save(&d, i, true, e);
	}
	instance_close(&d);
	return rc;
}

static int mark_origin(const struct instances *all, const char *name, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	int rc;

	if (instance_look(all, name, &d, e) < 0)
		return -1;
	rc = clone_mark(&d, e);
	close(d.fd);
	return rc;
}

/* The new origin first: at no moment is there one without. */
static int promote(struct cli *c, const char *name)
{
	auto_instances struct instances all = INSTANCES_NONE;
	auto_family struct family f = { NULL, 0 };
	const struct kin *me = NULL, *origin;

	if (open_instances(c, &all) < 0 || gather(&all, &f, c->e) < 0)
		return -1;
	for (size_t i = 0; i < f.n; i++)
		if (streq(f.v[i].name, name))
			me = &f.v[i];
	if (!me)
		return err_set(c->e, ERR_NO_SUCH, "there is no instance '%s'", name);
	origin = by_uuid(&f, me->origin);
	if (!origin)
		return err_set(c->e, ERR_STATE, "'%s' is no clone of an instance that is there",
			       name);
	if (mark_origin(&all, name, c->e) < 0 || set_origin(&all, name, origin->origin, c->e) < 0 ||
	    set_origin(&all, origin->name, me->uuid, c->e) < 0)
		return -1;
	for (size_t i = 0; i < f.n; i++)
		if (&f.v[i] != me && streq(f.v[i].origin, origin->uuid) &&
		    set_origin(&all, f.v[i].name, me->uuid, c->e) < 0)
			return -1;
	return EXIT_DONE;
}

static int clone_verb(struct cli *c, int argc, char **argv)
{
	const struct clone_options *o = c->options;
	struct name_list names = { NULL, 0, 0 };
	int rc = 0;

	if (o->promote && argc > 1)
		return err_set(c->e, ERR_USAGE, "--promote takes one name");
	if (o->promote)
		return promote(c, argv[0]);
	if (argc < 2)
		return err_set(c->e, ERR_USAGE, "a clone needs a name");
	for (int i = 1; rc == 0 && i < argc; i++)
		rc = expand(argv[i], &names, c->e);
	if (rc == 0)
		rc = clone_to(c, argv[0], &names);
	free(names.v);
	return rc;
}

const struct verb verb_clone = {
	.name = "clone",
	.run = clone_verb,
	.flags = VERB_JSON | VERB_MANY | VERB_STARTS,
	.operands = "NAME[@SNAP] NEW...",
	.min = 1,
	.max = -1,
	.help = "make instances that begin as another one is",
	.rows = clone_rows,
	.options_size = sizeof(struct clone_options),
	.more = "They take milliseconds and no space, and share what the origin had written; of 'w{1..100}' a hundred are made. Machine-id,\n"
		"SSH host keys, host name and DHCP identifiers are each clone's own.",
};

/* ---- tree ---- */

static void add_branch(const struct family *f, const struct kin *k, int depth, struct str *out)
{
	str_addf(out, "%*s%s", 2 * depth, "", k->name);
	if (k->snapshots)
		str_addf(out, "  (%zu snapshot%s)", k->snapshots, k->snapshots > 1 ? "s" : "");
	str_add(out, "\n");
	if (depth > 1000) /* a circle, which nobody makes */
		return;
	for (size_t i = 0; i < f->n; i++)
		if (streq(f->v[i].origin, k->uuid))
			add_branch(f, &f->v[i], depth + 1, out);
}

static int tree(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	auto_family struct family f = { NULL, 0 };
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out, .indent = true };

	(void)argc;
	(void)argv;
	if (open_instances(c, &all) < 0 || gather(&all, &f, c->e) < 0)
		return -1;
	if (c->json) {
		json_open(&w, NULL, '{');
		json_put_u64(&w, "version", FORMAT_VERSION);
		json_open(&w, "instances", '[');
		for (size_t i = 0; i < f.n; i++) {
			const struct kin *origin = by_uuid(&f, f.v[i].origin);

			json_open(&w, NULL, '{');
			json_put_string(&w, "name", f.v[i].name);
			json_put_string(&w, "origin", origin ? origin->name : NULL);
			json_put_u64(&w, "snapshots", f.v[i].snapshots);
			json_close(&w);
		}
		json_close(&w);
		json_close(&w);
		return print_text(c, &out);
	}
	for (size_t i = 0; i < f.n; i++)
		if (!by_uuid(&f, f.v[i].origin))
			add_branch(&f, &f.v[i], 0, &out);
	if (out.failed)
		return err_set(c->e, ENOMEM, "cannot show the tree");
	fputs(str_text(&out), stdout); /* main.c looks whether it arrived */
	return EXIT_DONE;
}

const struct verb verb_tree = {
	.name = "tree",
	.run = tree,
	.flags = VERB_JSON,
	.max = 0,
	.help = "show which instances are clones of which",
};
