/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move.c - `ctr export NAME`, `ctr import FILE`: an instance as one file, and from it.
 *
 * The file is a tar archive (compress it as you like):
 *
 *	ctr-instance.json	what follows, and the configuration
 *	image.tar		its image, as `ctr image save` writes it
 *	layers/N.tar		what was written, kept by a snapshot or now; 0 and on, each after the one that it stands on
 *
 * It is not trusted: the helper in its sandbox unpacks it and each layer (images.h), and the image is imported like any other.
 */
#include "cli/move.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/launch.h"
#include "cli/network.h"
#include "cli/progress.h"
#include "cli/snapshot.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "netns/netns.h"
#include "runtime/archive.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/tar.h"
#include "runtime/layers.h"

#define ABOUT	     "ctr-instance.json"
#define ABOUT_MAX    (16u << 20)
#define MOVE_VERSION 1

typedef char layer_id[LAYER_ID_LEN + 1];

/* The layers of the file, in the order of their numbers. */
struct stack {
	layer_id *v;
	size_t n, size;
};

static void stack_free(struct stack *s)
{
	free(s->v);
}
#define auto_stack __attribute__((cleanup(stack_free)))

/* -1: not among them. */
static long number_of(const struct stack *s, const char *id)
{
	for (size_t i = 0; i < s->n; i++)
		if (streq(s->v[i], id))
			return (long)i;
	return -1;
}

static int stack_add(struct stack *s, const char *id, struct err *e)
{
	if (s->n == s->size) {
		size_t size = s->size ? 2 * s->size : 16;
		layer_id *v = realloc(s->v, size * sizeof(*v));

		if (!v)
			return err_set(e, ENOMEM, "layers");
		s->v = v;
		s->size = size;
	}
	strcpy(s->v[s->n++], id);
	return 0;
}

/* @id and all that it stands on, those first. */
static int stack_need(const struct instances *all, struct stack *s, const char *id, struct err *e)
{
	auto_stack struct stack chain = { NULL, 0, 0 };
	layer_id at;
	int r = 1;

	strcpy(at, id);
	while (r > 0 && number_of(s, at) < 0) {
		if (stack_add(&chain, at, e) < 0)
			return -1;
		r = layers_parent(all, at, at, e);
	}
	while (r >= 0 && chain.n)
		if (stack_add(s, chain.v[--chain.n], e) < 0)
			return -1;
	return r < 0 ? -1 : 0;
}

/* ---- export ---- */

struct exporting {
	struct cli *c;
	const struct instances *all;
	struct instance_dir dir; /* locked */
	struct instance *instance;
	struct store *store;
	struct image *image;
	struct layers layers;
	struct stack stack;
	struct snapshot now, *kept;
	size_t n_kept;
	struct tar tar;
};

static void own_exporting(struct exporting *x)
{
	tar_free(&x->tar);
	stack_free(&x->stack);
	free(x->kept);
	layers_close(&x->layers);
	image_free(x->image);
	store_close(x->store);
	instance_free(x->instance);
	instance_close(&x->dir);
}

static void put_snapshot(struct json_writer *w, const struct stack *s, const struct snapshot *k)
{
	json_put_i64(w, "layer", number_of(s, k->layer));
	snapshot_put(w, k);
}

static int describe(const struct exporting *x, struct str *out, struct err *e)
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
	json_open(&w, "layers", '[');
	for (size_t i = 0; i < x->stack.n; i++) {
		layer_id parent;
		int r = layers_parent(x->all, x->stack.v[i], parent, e);

		if (r < 0)
			return -1;
		json_put_i64(&w, NULL, r ? number_of(&x->stack, parent) : -1);
	}
	json_close(&w);
	json_open(&w, "state", '{');
	put_snapshot(&w, &x->stack, &x->now);
	json_close(&w);
	json_open(&w, "snapshots", '[');
	for (size_t i = 0; i < x->n_kept; i++) {
		json_open(&w, NULL, '{');
		json_put_string(&w, "name", x->kept[i].name);
		put_snapshot(&w, &x->stack, &x->kept[i]);
		json_close(&w);
	}
	json_close(&w);
	json_put_string(&w, "config", str_text(&config));
	json_close(&w);
	str_add(out, "\n");
	return out->failed || config.failed ? err_set(e, ENOMEM, "cannot export") : 0;
}

static int put_file(struct exporting *x, const char *name, int fd, struct err *e)
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
static int open_scratch(const struct exporting *x, struct err *e)
{
	int fd = openat(store_fd(x->store), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? err_set(e, errno, "cannot make a temporary file in '%s'",
				store_path(x->store)) :
			fd;
}

static int put_image(struct exporting *x, struct err *e)
{
	char *ids[] = { (char *)(uintptr_t)x->image->id,
			NULL }; /* without names: those of there stay */
	auto_fd int fd = open_scratch(x, e);

	if (fd < 0 || image_save(x->store, ids, fd, NULL, e) < 0)
		return -1;
	return put_file(x, "image.tar", fd, e);
}

static int put_layer(struct exporting *x, size_t i, struct err *e)
{
	auto_fd int fd = open_scratch(x, e), upper = -1;
	char path[LAYER_ID_LEN + 8], name[48];

	snprintf(path, sizeof(path), "%s/upper", x->stack.v[i]);
	snprintf(name, sizeof(name), "layers/%zu.tar", i);
	upper = openat(x->layers.fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (upper < 0)
		return err_set(e, errno, "cannot open layer '%s'", x->stack.v[i]);
	if (fd < 0 || archive_layer(upper, fd, e) < 0)
		return -1;
	return put_file(x, name, fd, e);
}

static int write_all(struct exporting *x, int fd, struct err *e)
{
	struct tar_entry en = { .name = ABOUT, .link = "", .type = '0', .mode = 0600 };
	auto_str struct str about = { 0 };

	if (describe(x, &about, e) < 0)
		return -1;
	en.size = about.len;
	if (tar_begin(&x->tar, fd, e) < 0 || tar_put(&x->tar, &en, NULL, e) < 0 ||
	    tar_data(&x->tar, about.s, about.len, e) < 0 || tar_pad(&x->tar, about.len, e) < 0 ||
	    put_image(x, e) < 0)
		return -1;
	for (size_t i = 0; i < x->stack.n; i++)
		if (put_layer(x, i, e) < 0)
			return -1;
	return tar_end(&x->tar, e);
}

int move_export(struct cli *c, const struct instances *all, const char *name, int fd)
{
	__attribute__((cleanup(own_exporting))) struct exporting x = {
		.c = c, .all = all, .dir = { .fd = -1, .promise = -1 }, .layers = LAYERS_NONE
	};
	struct err *e = c->e, ignored;
	char how[80];

	if (instance_open(all, name, &x.dir, e) < 0)
		return -1;
	x.instance = instance_load(&x.dir, e);
	x.store = x.instance ? store_open(c->store_root, e) : NULL;
	x.image = x.store ? launch_image(x.store, x.instance, e) : NULL;
	if (!x.image)
		return -1;
	if (x.image->directory)
		return err_set(
			e, ERR_NOT_SUPPORTED,
			"'%s' runs on a directory of this host: only its --rootfs can be exported",
			name);
	if (layers_open(all, &x.layers, e) < 0 ||
	    snapshots_list(&x.dir, &x.kept, &x.n_kept, e) < 0 ||
	    keep_state(&x.layers, &x.dir, &x.now, e) < 0)
		return -1;
	for (size_t i = 0; i < x.n_kept; i++)
		if (stack_need(all, &x.stack, x.kept[i].layer, e) < 0)
			return -1;
	if (stack_need(all, &x.stack, x.now.layer, e) < 0 || write_all(&x, fd, e) < 0) {
		(void)layers_sweep(&x.layers, &ignored);
		return -1;
	}
	describe_state(&x.now, how, sizeof(how));
	log_info("'%s': %s", name, how);
	return layers_sweep(&x.layers, e) < 0 ? -1 : EXIT_DONE;
}

/* ---- import ---- */

struct import_options {
	bool check;
};

static const struct option_row import_rows[] = {
	FLAG_ROW(struct import_options, check, "check", 0,
		 "only tell what of this machine does not fit"),
	END_ROW,
};

struct importing {
	struct cli *c;
	struct instances all;
	struct store *store;
	struct arena *arena;
	struct image_part part;
	struct layers layers;
	/* of ctr-instance.json */
	const char *from, *machine, *image, *config;
	int64_t *parents;
	size_t n_layers;
	struct snapshot now, *kept; /* their layers as numbers, until they are there */
	int64_t now_at, *kept_at;
	size_t n_kept;
	struct instance *instance;
	layer_id *ids;
	struct str wrong; /* a line for each thing that does not fit */
};

static void own_importing(struct importing *m)
{
	instance_free(m->instance);
	str_free(&m->wrong);
	layers_close(&m->layers);
	image_part_close(&m->part);
	arena_free(m->arena);
	store_close(m->store);
	instances_close(&m->all);
}

/* Its layer is a number in this file. */
static int read_snapshot(const struct importing *m, const struct json *j, struct snapshot *out,
			 int64_t *at, struct err *e)
{
	const char *name = NULL;

	if (snapshot_get(j, out, e) < 0 ||
	    json_i64(json_get(j, "layer"), 0, (int64_t)m->n_layers - 1, at, e) < 0 ||
	    json_string(json_get(j, "name"), &name, e) < 0)
		return -1;
	if (name && snapshot_check_name(name, e) < 0)
		return -1;
	snprintf(out->name, sizeof(out->name), "%s", name ? name : "");
	return 0;
}

static size_t count(const struct json *j)
{
	size_t n = 0;

	for (const struct json *i = j && j->type == JSON_ARRAY ? j->first : NULL; i; i = i->next)
		n++;
	return n;
}

static int read_about(struct importing *m, struct err *e)
{
	auto_str struct str text = { 0 };
	const struct json *j, *layers, *kept;
	uint64_t format = 0;
	size_t i = 0;

	if (file_read(m->part.fd, ABOUT, ABOUT_MAX, &text, e) < 0)
		return e->code == ENOENT ? err_set(e, ERR_INVALID,
						   "it is no instance that `ctr export` wrote") :
					   -1;
	j = json_parse(m->arena, str_text(&text), text.len, e);
	if (!j || json_expect(j, JSON_OBJECT, e) < 0 ||
	    json_u64(json_get(j, "format"), 0, UINT32_MAX, &format, e) < 0 ||
	    json_string(json_get(j, "name"), &m->from, e) < 0 ||
	    json_string(json_get(j, "machine"), &m->machine, e) < 0 ||
	    json_string(json_get(j, "image"), &m->image, e) < 0 ||
	    json_string(json_get(j, "config"), &m->config, e) < 0)
		return err_in(e, ABOUT);
	if (format != MOVE_VERSION)
		return err_set(e, ERR_NOT_SUPPORTED, "it is of format %u, not of %d",
			       (unsigned)format, MOVE_VERSION);
	layers = json_get(j, "layers");
	kept = json_get(j, "snapshots");
	m->n_layers = count(layers);
	m->n_kept = count(kept);
	if (!m->from || !m->machine || !m->image || strlen(m->image) != IMAGE_ID_LEN ||
	    !m->config || !m->n_layers || m->n_layers > LAYERS_MAX || m->n_kept > LAYERS_MAX)
		return err_set(e, ERR_INVALID, ABOUT " is not complete");
	m->parents = arena_array(m->arena, m->n_layers, sizeof(*m->parents));
	m->ids = arena_array(m->arena, m->n_layers, sizeof(*m->ids));
	m->kept = arena_array(m->arena, m->n_kept + 1, sizeof(*m->kept));
	m->kept_at = arena_array(m->arena, m->n_kept + 1, sizeof(*m->kept_at));
	if (!m->parents || !m->ids || !m->kept || !m->kept_at)
		return err_set(e, ENOMEM, "cannot import");
	for (const struct json *l = layers->first; l; l = l->next, i++)
		if (json_i64(l, -1, (int64_t)i - 1, &m->parents[i], e) < 0)
			return err_in(e, ABOUT ": layers");
	if (read_snapshot(m, json_get(j, "state"), &m->now, &m->now_at, e) < 0)
		return err_in(e, ABOUT ": state");
	i = 0;
	for (const struct json *s = kept ? kept->first : NULL; s; s = s->next, i++)
		if (read_snapshot(m, s, &m->kept[i], &m->kept_at[i], e) < 0 || !*m->kept[i].name)
			return err_in(e, ABOUT ": snapshots");
	m->instance = instance_parse(m->config, strlen(m->config), e);
	return m->instance ? 0 : err_in(e, ABOUT ": config");
}

/* What is of the machine it comes from. */
static int make_ours(struct importing *m, struct err *e)
{
	struct instance *i = m->instance;

	if (!i->image_id || !streq(i->image_id, m->image))
		return err_set(e, ERR_INVALID,
			       "its configuration names another image than it holds");
	i->origin = NULL;
	i->addresses = NULL;
	i->ephemeral = false;
	return 0;
}

/* ---- what does not fit ---- */

static void check_volumes(struct importing *m)
{
	for (const char *const *v = m->instance->volumes; v && *v; v++) {
		struct volume volume;
		struct err why;

		if (volume_parse(*v, m->arena, &volume, &why) == 0 &&
		    access(volume.source, F_OK) < 0)
			str_addf(&m->wrong, "volume '%s': there is no '%s'\n", *v, volume.source);
	}
}

static void check_networks(struct importing *m)
{
	for (const char *const *w = m->instance->nets; w && *w; w++) {
		char name[NET_NAME_MAX + 1];
		struct network n;
		struct err why;

		if (network_of_words(*w, name) && network_read(&m->all, name, &n, &why) < 0)
			str_addf(&m->wrong,
				 "network '%s': there is none of that name: `ctr net create` it\n",
				 name);
	}
}

static int preflight(struct importing *m, const char *name, struct err *e)
{
	struct utsname host;
	struct err why;

	uname(&host);
	if (!streq(host.machine, m->machine))
		str_addf(&m->wrong, "its programs are of a %s, and this is a %s\n", m->machine,
			 host.machine);
	if (instance_check_free(&m->all, name, &why) < 0)
		str_addf(&m->wrong, "%s: give it another name\n", why.msg);
	for (const char *const *a = m->instance->after; a && *a; a++) {
		struct instance_dir d = { .fd = -1, .promise = -1 };

		if (instance_look(&m->all, *a, &d, &why) < 0)
			str_addf(&m->wrong, "after '%s': there is no such instance\n", *a);
		own_close(&d.fd);
	}
	check_volumes(m);
	check_networks(m);
	return m->wrong.failed ? err_set(e, ENOMEM, "cannot import") : 0;
}

/* ---- bringing it in ---- */

static int bring_image(struct importing *m, const struct image_import_options *io, struct err *e)
{
	auto_image struct image *there = image_find(m->store, m->image, e);
	struct image_import_result r;
	auto_fd int fd = -1;

	if (there || e->code != ERR_NO_SUCH)
		return there ? 0 : -1;
	*e = (struct err){ 0 };
	fd = openat(m->part.fd, "image.tar", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return err_set(e, errno, "its image");
	if (image_import(m->store, fd, "its image", io, &r, e) < 0)
		return -1;
	return streq(r.id, m->image) ?
		       0 :
		       err_set(e, ERR_INVALID, "it names image %s, and holds %s", m->image, r.id);
}

static int bring_layer(struct importing *m, size_t i, const struct image_import_options *io,
		       struct err *e)
{
	auto_image_part struct image_part p = IMAGE_PART_NONE;
	auto_fd int fd = -1;
	char name[40];

	snprintf(name, sizeof(name), "layers/%zu.tar", i);
	fd = openat(m->part.fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return err_set(e, errno, "its layer %zu", i);
	if (image_part_open(m->store, fd, name, io, &p, e) < 0)
		return -1;
	return layers_adopt(&m->layers, m->parents[i] < 0 ? "" : m->ids[m->parents[i]], p.fd,
			    m->ids[i], e);
}

static int make_instance(struct importing *m, const char *name, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_image struct image *image = NULL;
	struct err ignored;
	struct launch l;
	int rc;

	if (store_hold(m->store, e) < 0)
		return -1;
	image = image_find(m->store, m->image, e);
	rc = image ? instance_create(&m->all, name, m->instance, m->ids[m->now_at], false, &d, e) :
		     -1;
	store_release(m->store);
	if (rc < 0)
		return -1;
	/* its own layer looks like the one below */
	rc = layers_rollback(&m->layers, &d, m->ids[m->now_at], e);
	for (size_t i = 0; rc == 0 && i < m->n_kept; i++) {
		strcpy(m->kept[i].layer, m->ids[m->kept_at[i]]);
		rc = snapshot_write(&d, &m->kept[i], e);
	}
	if (rc == 0)
		rc = image_mount(m->store, m->c->run_root, image, e);
	l = (struct launch){ .all = &m->all, .image = image, .instance = m->instance, .dir = &d };
	if (rc == 0)
		rc = network_lease(&m->all, &d, m->instance, e);
	if (rc == 0 && !streq(name, m->from))
		rc = launch_renamed(&l, m->from, e);
	if (rc == 0 && syncfs(m->all.dir) < 0)
		rc = err_set(e, errno, "cannot sync it");
	if (rc < 0) {
		(void)instance_remove(&d, &ignored);
		return -1;
	}
	if (launch_check(&l, &ignored) < 0)
		log_warn("'%s' cannot be started as it is: %s", name, ignored.msg);
	instance_close(&d);
	return 0;
}

static int bring_all(struct importing *m, const char *name, const struct image_import_options *io,
		     struct err *e)
{
	struct err ignored;
	int rc;

	if (bring_image(m, io, e) < 0 || layers_open(&m->all, &m->layers, e) < 0)
		return -1;
	for (size_t i = 0; i < m->n_layers; i++)
		if (bring_layer(m, i, io, e) < 0) {
			(void)layers_sweep(&m->layers, &ignored);
			return -1;
		}
	rc = make_instance(m, name, e);
	if (rc < 0)
		(void)layers_sweep(&m->layers, &ignored);
	return rc;
}

static int open_file(const char *path, struct err *e)
{
	int fd;

	if (streq(path, "-"))
		return isatty(STDIN_FILENO) ?
			       err_set(e, ERR_INVALID, "standard input is a terminal") :
			       fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? err_set(e, errno, "cannot open '%s'", path) : fd;
}

static int import(struct cli *c, int argc, char **argv)
{
	const struct import_options *o = c->options;
	__attribute__((cleanup(own_importing))) struct importing m = { .c = c,
								       .all = INSTANCES_NONE,
								       .layers = LAYERS_NONE,
								       .part = IMAGE_PART_NONE,
								       .arena = arena_new(0) };
	auto_fd int fd = -1;
	struct progress p;
	const struct image_import_options io = { .progress = progress_image, .progress_arg = &p };
	const char *name;
	int rc;

	if (!m.arena)
		return err_set(c->e, ENOMEM, "cannot import");
	fd = open_file(argv[0], c->e);
	if (fd < 0 || open_instances(c, &m.all) < 0)
		return -1;
	m.store = store_open(c->store_root, c->e);
	if (!m.store)
		return -1;
	progress_start(&p, "importing");
	rc = image_part_open(m.store, fd, argv[0], &io, &m.part, c->e);
	if (rc == 0)
		rc = read_about(&m, c->e);
	name = argc > 1 ? argv[1] : m.from;
	if (rc == 0)
		rc = make_ours(&m, c->e);
	if (rc == 0)
		rc = preflight(&m, name, c->e);
	if (rc == 0 && !o->check && !m.wrong.len)
		rc = bring_all(&m, name, &io, c->e);
	progress_stop(&p);
	if (rc < 0)
		return err_in(c->e, "cannot import '%s'", argv[0]);
	if (m.wrong.len) {
		fputs(str_text(&m.wrong), stderr);
		return err_set(c->e, ERR_NOT_SUPPORTED,
			       "'%s' does not fit this machine: nothing was changed", argv[0]);
	}
	if (o->check)
		return EXIT_DONE;
	printf("%s\n", name);
	return EXIT_DONE;
}

const struct verb verb_import = {
	.name = "import",
	.run = import,
	.operands = "FILE|- [NAME]",
	.min = 1,
	.max = 2,
	.help = "make an instance of what `ctr export` wrote",
	.rows = import_rows,
	.options_size = sizeof(struct import_options),
	.more = "With its configuration, image, what was written and its snapshots. Whatever of this machine does not fit is told first, and\n"
		"nothing is changed then. It gets a range of ids and addresses of its own; machine-id and host keys stay.",
};
