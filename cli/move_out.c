/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move_out.c - an instance, or what of it is new since a snapshot, to a file: move.h says what that is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/launch.h"
#include "cli/move.h"
#include "cli/snapshot.h"
#include "cli/verbs.h"
#include "runtime/archive.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/sha256.h"
#include "runtime/base/str.h"
#include "runtime/base/tar.h"
#include "runtime/difference.h"

/* A layer of the file. */
struct stacked {
	layer_id id;
	long parent; /* a number, or -1: the image */
	bool held;   /* the reader has it */
	bool as_difference; /* it does not stand on @parent itself: what of it is other than that is written */
};

struct departure {
	struct cli *c;
	const struct instances *all;
	const struct move_request *r;
	struct instance_dir dir; /* locked, if its state is to be kept first */
	struct instance *instance;
	struct store *store;
	struct image *image;
	struct layers layers;
	struct stacked *stack;
	size_t n_stack, size;
	struct snapshot now, *kept;
	size_t n_kept;
	layer_id base; /* of r->since; "" */
	struct tar tar;
	struct str sums;
};

static void own_departure(struct departure *x)
{
	tar_free(&x->tar);
	str_free(&x->sums);
	free(x->stack);
	free(x->kept);
	layers_close(&x->layers);
	image_free(x->image);
	store_close(x->store);
	instance_free(x->instance);
	instance_close(&x->dir);
}

/* ---- which layers ---- */

static bool is_of_move(const struct snapshot *s)
{
	return s->by && streq(s->by, SNAPSHOT_BY_MIGRATE);
}

/* -1: not among them. */
static long number_of(const struct departure *x, const char *id)
{
	for (size_t i = 0; i < x->n_stack; i++)
		if (streq(x->stack[i].id, id))
			return (long)i;
	return -1;
}

/* Whether somebody can go to the state that it is the top of. */
static bool is_named(const struct departure *x, const char *id)
{
	for (size_t i = 0; i < x->n_kept; i++)
		if (streq(x->kept[i].layer, id))
			return true;
	return streq(x->now.layer, id);
}

static long push(struct departure *x, const struct stacked *s, struct err *e)
{
	if (x->n_stack == x->size) {
		size_t size = x->size ? 2 * x->size : 16;
		struct stacked *v = realloc(x->stack, size * sizeof(*v));

		if (!v)
			return err_set(e, ENOMEM, "layers");
		x->stack = v;
		x->size = size;
	}
	x->stack[x->n_stack] = *s;
	return (long)x->n_stack++;
}

/* 1: it was copied beside the layer of --since, while the instance ran. */
static int is_beside_base(const struct departure *x, const char *id, struct err *e)
{
	layer_id mine = "", of_base = "";
	int r;

	if (!*x->base)
		return 0;
	r = layers_parent(x->all, x->base, of_base, e);
	if (r < 0 || layers_parent(x->all, id, mine, e) < 0)
		return -1;
	return streq(mine, of_base);
}

/*
 * Layer @id, and what it is to stand on, that first; its number, or -1 and *e. Layers below it that nobody can go to are not written:
 * what they hold is part of it then. So moves and backups do not pile layers up.
 */
static long need(struct departure *x, const char *id, struct err *e)
{
	struct stacked new = { .parent = -1 };
	long there = number_of(x, id);
	layer_id at;
	int r;

	if (there >= 0)
		return there;
	snprintf(new.id, sizeof(new.id), "%s", id);
	r = is_beside_base(x, id, e);
	if (r < 0)
		return -1;
	if (r > 0) {
		new.as_difference = true;
		new.parent = number_of(x, x->base);
		return push(x, &new, e);
	}
	strcpy(at, new.id);
	while ((r = layers_parent(x->all, at, at, e)) > 0 && !is_named(x, at))
		new.as_difference = true;
	if (r < 0 || (r > 0 && (new.parent = need(x, at, e)) < 0))
		return -1;
	return push(x, &new, e);
}

/* What a file that ended with --since has told already: that snapshot and all that are older, but those of a move. */
static int need_held(struct departure *x, struct err *e)
{
	struct snapshot since;

	if (!x->r->since)
		return 0;
	if (snapshot_read(&x->dir, x->r->since, &since, e) < 0)
		return -1;
	for (size_t i = 0; i < x->n_kept; i++) {
		struct stacked held = { .parent = -1, .held = true };

		strcpy(held.id, x->kept[i].layer);
		if (x->kept[i].created_ns <= since.created_ns && number_of(x, held.id) < 0 &&
		    (!is_of_move(&x->kept[i]) || streq(x->kept[i].name, since.name)) &&
		    push(x, &held, e) < 0)
			return -1;
	}
	strcpy(x->base, since.layer);
	return 0;
}

/* A move's own are not for the file; nor is what came after the state that it is to hold. */
static void choose_snapshots(struct departure *x)
{
	size_t n = 0;

	for (size_t i = 0; i < x->n_kept; i++) {
		const struct snapshot *s = &x->kept[i];

		if (s->created_ns <= x->now.created_ns && !is_of_move(s))
			x->kept[n++] = *s;
	}
	x->n_kept = n;
}

static int choose(struct departure *x, struct err *e)
{
	if (x->r->about_only)
		return 0;
	if (snapshots_list(&x->dir, &x->kept, &x->n_kept, e) < 0 || need_held(x, e) < 0)
		return -1;
	choose_snapshots(x);
	for (size_t i = 0; i < x->n_kept; i++)
		if (need(x, x->kept[i].layer, e) < 0)
			return -1;
	return need(x, x->now.layer, e) < 0 ? -1 : 0;
}

/* ---- what is told ---- */

static void put_snapshot(struct json_writer *w, const struct departure *x, const struct snapshot *k)
{
	json_put_i64(w, "layer", number_of(x, k->layer));
	snapshot_put(w, k);
}

static int describe(const struct departure *x, struct str *out, struct err *e)
{
	auto_str struct str config = { 0 };
	struct json_writer w = { .out = out, .indent = true };
	struct utsname host;

	instance_dump(x->instance, &config);
	uname(&host);
	json_open(&w, NULL, '{');
	json_put_u64(&w, "format", MOVE_VERSION);
	json_put_string(&w, "name", x->dir.name);
	json_put_string(&w, "machine", host.machine);
	json_put_string(&w, "image", x->image->id);
	json_put_string(&w, "since", x->r->since);
	json_open(&w, "layers", '[');
	for (size_t i = 0; i < x->n_stack; i++) {
		json_open(&w, NULL, '{');
		json_put_string(&w, "id", x->stack[i].id);
		json_put_i64(&w, "parent", x->stack[i].parent);
		json_put_bool(&w, "held", x->stack[i].held);
		json_close(&w);
	}
	json_close(&w);
	if (!x->r->about_only) {
		json_open(&w, "state", '{');
		put_snapshot(&w, x, &x->now);
		json_close(&w);
	}
	json_open(&w, "snapshots", '[');
	for (size_t i = 0; i < x->n_kept; i++) {
		json_open(&w, NULL, '{');
		json_put_string(&w, "name", x->kept[i].name);
		put_snapshot(&w, x, &x->kept[i]);
		json_close(&w);
	}
	json_close(&w);
	json_put_string(&w, "config", str_text(&config));
	json_close(&w);
	str_add(out, "\n");
	return out->failed || config.failed ? err_set(e, ENOMEM, "cannot export") : 0;
}

/* ---- writing ---- */

static int put_text(struct departure *x, const char *name, const struct str *text, struct err *e)
{
	const struct tar_entry en = {
		.name = name, .link = "", .type = '0', .mode = 0600, .size = text->len
	};

	if (text->failed)
		return err_set(e, ENOMEM, "cannot export");
	if (tar_put(&x->tar, &en, NULL, e) < 0 ||
	    tar_data(&x->tar, str_text(text), text->len, e) < 0)
		return -1;
	return tar_pad(&x->tar, text->len, e);
}

static int put_file(struct departure *x, const char *name, int fd, struct err *e)
{
	struct tar_entry en = { .name = name, .link = "", .type = '0', .mode = 0600 };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set(e, errno, "cannot read '%s'", name);
	en.size = (uint64_t)st.st_size;
	if (tar_put(&x->tar, &en, NULL, e) < 0 || tar_copy(&x->tar, fd, 0, en.size, 0, e) < 0)
		return -1;
	return tar_pad(&x->tar, en.size, e);
}

/* A file without a name beside the store: how long a part is says the header before it. */
static int open_scratch(const struct departure *x, struct err *e)
{
	int fd = openat(store_fd(x->store), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? err_set(e, errno, "cannot make a temporary file in '%s'",
				store_path(x->store)) :
			fd;
}

static int put_about(struct departure *x, struct err *e)
{
	auto_str struct str about = { 0 };
	char sum[65];

	if (describe(x, &about, e) < 0)
		return -1;
	sha256_text(about.s, about.len, sum);
	str_addf(&x->sums, "%s  " MOVE_ABOUT "\n", sum);
	return put_text(x, MOVE_ABOUT, &about, e);
}

static int put_image(struct departure *x, struct err *e)
{
	char *ids[] = { (char *)(uintptr_t)x->image->id,
			NULL }; /* without names: those of there stay */
	auto_fd int fd = -1;

	if (x->r->since || x->r->about_only)
		return 0;
	fd = open_scratch(x, e);
	if (fd < 0 || image_save(x->store, ids, fd, NULL, e) < 0)
		return -1;
	return put_file(x, "image.tar", fd, e);
}

/* The uppermost layers of @s, as paths, that are not part of what it is to stand on: only what they have can be other than that. */
static const char *const *touched_by(const struct departure *x, const struct stacked *s,
				     struct arena *a, struct err *e)
{
	const char *below = s->parent < 0 ? "" : x->stack[s->parent].id;
	const char *const *paths, *const *other, **list;
	size_t n = 0;

	if (layers_of(x->all, s->id, a, &paths, e) < 0 ||
	    layers_of(x->all, below, a, &other, e) < 0)
		return NULL;
	list = arena_array(a, LAYERS_MAX + 2, sizeof(*list));
	if (!list) {
		err_set(e, ENOMEM, "layers");
		return NULL;
	}
	while (paths[n] && (!other[0] || !streq(paths[n], other[0])) &&
	       (!other[0] || !other[1] || !streq(paths[n], other[1]))) {
		list[n] = paths[n];
		n++;
	}
	/* beside it: what that one has can be missing here */
	if (other[0] && !(paths[n] && streq(paths[n], other[0])))
		list[n] = other[0];
	return list;
}

static int archive_one(const struct departure *x, const struct stacked *s, int fd, struct err *e)
{
	auto_arena struct arena *a = arena_new(4u << 20);
	auto_fd int after = -1, before = -1;
	struct trees t;

	if (!a)
		return err_set(e, ENOMEM, "layers");
	if (!s->as_difference) {
		const char *const *paths;

		if (layers_of(x->all, s->id, a, &paths, e) < 0)
			return -1;
		after = open(*paths, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		return after < 0 ? err_set(e, errno, "cannot open layer '%s'", s->id) :
				   archive_layer(after, fd, e);
	}
	before = open_layers(x->c, x->all, &x->dir, s->parent < 0 ? "" : x->stack[s->parent].id, e);
	after = before < 0 ? -1 : open_layers(x->c, x->all, &x->dir, s->id, e);
	t = (struct trees){
		.before = before, .after = after, .layers = touched_by(x, s, a, e), .contents = true
	}; /* a copy may be torn, and as old */
	return after < 0 || !t.layers ? -1 : archive_difference(&t, fd, e);
}

static int put_layer(struct departure *x, size_t i, struct err *e)
{
	auto_fd int fd = open_scratch(x, e);
	char name[48], sum[65];

	snprintf(name, sizeof(name), "layers/%zu.tar", i);
	if (fd < 0 || archive_one(x, &x->stack[i], fd, e) < 0)
		return -1;
	if (sha256_file(fd, sum) < 0)
		return err_set(e, errno, "cannot read '%s'", name);
	str_addf(&x->sums, "%s  %s\n", sum, name);
	return put_file(x, name, fd, e);
}

static int write_all(struct departure *x, int fd, struct err *e)
{
	if (tar_begin(&x->tar, fd, e) < 0 || put_about(x, e) < 0 || put_image(x, e) < 0)
		return -1;
	for (size_t i = 0; i < x->n_stack; i++)
		if (!x->stack[i].held && put_layer(x, i, e) < 0)
			return -1;
	return put_text(x, MOVE_SUMS, &x->sums, e) < 0 ? -1 : tar_end(&x->tar, e);
}

/* The instance, and its state as a layer that stays: a snapshot's, or of now, both locks held until it is written. */
static int open_departure(struct departure *x, struct err *e)
{
	const struct move_request *r = x->r;
	bool as_it_is = !r->snapshot && !r->about_only;

	if (!as_it_is ? instance_look(x->all, r->name, &x->dir, e) < 0 :
			instance_open(x->all, r->name, &x->dir, e) < 0)
		return -1;
	x->instance = instance_load(&x->dir, e);
	x->store = x->instance ? store_open(x->c->store_root, e) : NULL;
	x->image = x->store ? launch_image(x->store, x->instance, e) : NULL;
	if (!x->image)
		return -1;
	if (x->image->directory)
		return err_set(
			e, ERR_NOT_SUPPORTED,
			"'%s' runs on a directory of this host: only its --rootfs can be exported",
			r->name);
	if (r->snapshot)
		return snapshot_read(&x->dir, r->snapshot, &x->now, e);
	return as_it_is && (layers_open(x->all, &x->layers, e) < 0 ||
			    keep_state(&x->layers, &x->dir, &x->now, e) < 0) ?
		       -1 :
		       0;
}

int move_out(struct cli *c, const struct instances *all, const struct move_request *r, int fd,
	     struct snapshot *state, struct err *e)
{
	__attribute__((cleanup(own_departure))) struct departure x = {
		.c = c, .all = all, .r = r, .dir = { .fd = -1, .promise = -1 }, .layers = LAYERS_NONE
	};
	struct err ignored;
	int rc;

	if (open_departure(&x, e) < 0)
		return -1;
	rc = choose(&x, e) < 0 || write_all(&x, fd, e) < 0 ? -1 : 0;
	if (x.layers.fd >= 0 && layers_sweep(&x.layers, rc < 0 ? &ignored : e) < 0)
		rc = -1;
	if (state)
		*state = x.now;
	return rc;
}
