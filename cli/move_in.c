/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move_in.c - files that move_out.c wrote become an instance here; `ctr import`.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/launch.h"
#include "cli/move.h"
#include "cli/network.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "netns/netns.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/sha256.h"
#include "runtime/base/sys.h"

int arrival_open(struct cli *c, struct arrival *a)
{
	if (open_instances(c, &a->all) < 0)
		return -1;
	a->store = store_open(c->store_root, c->e);
	return a->store ? 0 : -1;
}

/* Of one file: what the next one does not need. */
static void forget_file(struct arrival *a)
{
	instance_free(a->instance);
	image_part_close(&a->part);
	arena_free(a->arena);
	a->instance = NULL;
	a->arena = NULL;
}

void arrival_close(struct arrival *a)
{
	forget_file(a);
	free(a->arrived);
	layers_close(&a->layers);
	store_close(a->store);
	instances_close(&a->all);
}

/* ---- what a file tells ---- */

/* Its layer is a number in this file. */
static int read_snapshot(const struct arrival *a, const struct json *j, struct snapshot *out,
			 int64_t *at, struct err *e)
{
	const char *name = NULL;

	if (snapshot_get(j, out, e) < 0 ||
	    json_i64(json_get(j, "layer"), 0, (int64_t)a->n_stack - 1, at, e) < 0 ||
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

static int read_stack(struct arrival *a, const struct json *layers, struct err *e)
{
	size_t i = 0;

	for (const struct json *l = layers ? layers->first : NULL; l; l = l->next, i++) {
		struct arriving_layer *s = &a->stack[i];
		const char *id = "";

		if (json_expect(l, JSON_OBJECT, e) < 0 ||
		    json_string(json_get(l, "id"), &id, e) < 0 ||
		    json_bool(json_get(l, "held"), &s->held, e) < 0 ||
		    json_i64(json_get(l, "parent"), -1, (int64_t)i - 1, &s->parent, e) < 0)
			return -1;
		if (snprintf(s->theirs, sizeof(s->theirs), "%s", id) != LAYER_ID_LEN)
			return err_set(e, ERR_INVALID, "'id' is not the id of a layer");
	}
	return 0;
}

static int read_snapshots(struct arrival *a, const struct json *kept, struct err *e)
{
	size_t i = 0;

	for (const struct json *s = kept ? kept->first : NULL; s; s = s->next, i++)
		if (read_snapshot(a, s, &a->kept[i], &a->kept_at[i], e) < 0 || !*a->kept[i].name)
			return -1;
	return 0;
}

static int read_about(struct arrival *a, struct err *e)
{
	auto_str struct str text = { 0 };
	const struct json *j, *layers, *kept, *state;
	uint64_t format = 0;

	a->from = a->machine = a->image = a->config = NULL;
	if (file_read(a->part.fd, MOVE_ABOUT, MOVE_ABOUT_MAX, &text, e) < 0)
		return e->code == ENOENT ? err_set(e, ERR_INVALID,
						   "it is no instance that `ctr export` wrote") :
					   -1;
	j = json_parse(a->arena, str_text(&text), text.len, e);
	if (!j || json_expect(j, JSON_OBJECT, e) < 0 ||
	    json_u64(json_get(j, "format"), 0, UINT32_MAX, &format, e) < 0 ||
	    json_string(json_get(j, "name"), &a->from, e) < 0 ||
	    json_string(json_get(j, "machine"), &a->machine, e) < 0 ||
	    json_string(json_get(j, "image"), &a->image, e) < 0 ||
	    json_string(json_get(j, "config"), &a->config, e) < 0)
		return err_in(e, MOVE_ABOUT);
	if (format != MOVE_VERSION)
		return err_set(e, ERR_NOT_SUPPORTED, "it is of format %u, not of %d",
			       (unsigned)format, MOVE_VERSION);
	layers = json_get(j, "layers");
	kept = json_get(j, "snapshots");
	state = json_get(j, "state");
	a->n_stack = count(layers);
	a->n_kept = count(kept);
	if (!a->from || !a->machine || !a->image || strlen(a->image) != IMAGE_ID_LEN ||
	    !a->config || !state != !a->n_stack || a->n_stack > LAYERS_MAX ||
	    a->n_kept > LAYERS_MAX)
		return err_set(e, ERR_INVALID, MOVE_ABOUT " is not complete");
	a->stack = arena_array(a->arena, a->n_stack + 1, sizeof(*a->stack));
	a->kept = arena_array(a->arena, a->n_kept + 1, sizeof(*a->kept));
	a->kept_at = arena_array(a->arena, a->n_kept + 1, sizeof(*a->kept_at));
	if (!a->stack || !a->kept || !a->kept_at)
		return err_set(e, ENOMEM, "cannot import");
	if (read_stack(a, layers, e) < 0)
		return err_in(e, MOVE_ABOUT ": layers");
	if (state && read_snapshot(a, state, &a->now, &a->now_at, e) < 0)
		return err_in(e, MOVE_ABOUT ": state");
	if (read_snapshots(a, kept, e) < 0)
		return err_in(e, MOVE_ABOUT ": snapshots");
	a->instance = instance_parse(a->config, strlen(a->config), e);
	return a->instance ? 0 : err_in(e, MOVE_ABOUT ": config");
}

/* "DIGEST  NAME" a line, as sha256sum(1) has it, of files that are there. */
static int check_sums(const struct arrival *a, struct err *e)
{
	auto_str struct str text = { 0 };
	char *line, *rest;

	if (file_read(a->part.fd, MOVE_SUMS, MOVE_ABOUT_MAX, &text, e) < 0)
		return e->code == ENOENT ?
			       err_set(e, ERR_INVALID, "its end is missing (" MOVE_SUMS ")") :
			       -1;
	for (rest = text.s; rest && (line = strsep(&rest, "\n")) && *line;) {
		const char *name = strlen(line) > 66 ? line + 66 : "";
		auto_fd int fd = sys_openat2(a->part.fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0,
					     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
		char is[65];

		if (fd < 0 || sha256_file(fd, is) < 0)
			return err_set(e, errno, "'%.100s' in it", name);
		if (strncmp(is, line, 64) != 0)
			return err_set(e, ERR_INVALID, "'%.100s' in it is damaged", name);
	}
	return 0;
}

/* What is of the machine it comes from. */
static int make_ours(struct arrival *a, struct err *e)
{
	struct instance *i = a->instance;

	if (!i->image_id || !streq(i->image_id, a->image))
		return err_set(e, ERR_INVALID,
			       "its configuration names another image than it holds");
	i->origin = NULL;
	i->addresses = NULL;
	i->ephemeral = false;
	return 0;
}

int arrival_read(struct arrival *a, int fd, const char *what, const struct image_import_options *io,
		 struct err *e)
{
	forget_file(a);
	a->arena = arena_new(0);
	if (!a->arena)
		return err_set(e, ENOMEM, "cannot import");
	if (image_part_open(a->store, fd, what, io, &a->part, e) < 0)
		return -1;
	return read_about(a, e) < 0 || check_sums(a, e) < 0 ? -1 : make_ours(a, e);
}

/* ---- what does not fit ---- */

static void check_volumes(const struct arrival *a, struct str *wrong)
{
	for (const char *const *v = a->instance->volumes; v && *v; v++) {
		struct volume volume;
		struct err why;

		if (volume_parse(*v, a->arena, &volume, &why) == 0 &&
		    access(volume.source, F_OK) < 0)
			str_addf(wrong, "volume '%s': there is no '%s'\n", *v, volume.source);
	}
}

static void check_networks(const struct arrival *a, struct str *wrong)
{
	for (const char *const *w = a->instance->nets; w && *w; w++) {
		char name[NET_NAME_MAX + 1];
		struct network n;
		struct err why;

		if (network_of_words(*w, name) && network_read(&a->all, name, &n, &why) < 0)
			str_addf(wrong,
				 "network '%s': there is none of that name: `ctr net create` it\n",
				 name);
	}
}

int arrival_preflight(struct arrival *a, const char *name, struct str *wrong, struct err *e)
{
	struct utsname host;
	struct err why;

	uname(&host);
	if (!streq(host.machine, a->machine))
		str_addf(wrong, "its programs are of a %s, and this is a %s\n", a->machine,
			 host.machine);
	if (instance_check_free(&a->all, name, &why) < 0)
		str_addf(wrong, "%s: give it another name\n", why.msg);
	for (const char *const *after = a->instance->after; after && *after; after++) {
		struct instance_dir d = { .fd = -1, .promise = -1 };

		if (instance_look(&a->all, *after, &d, &why) < 0)
			str_addf(wrong, "after '%s': there is no such instance\n", *after);
		own_close(&d.fd);
	}
	check_volumes(a, wrong);
	check_networks(a, wrong);
	return wrong->failed ? err_set(e, ENOMEM, "cannot import") : 0;
}

/* ---- bringing it in ---- */

static int bring_image(struct arrival *a, const struct image_import_options *io, struct err *e)
{
	auto_image struct image *there = image_find(a->store, a->image, e);
	struct image_import_result r;
	auto_fd int fd = -1;

	if (there || e->code != ERR_NO_SUCH)
		return there ? 0 : -1;
	*e = (struct err){ 0 };
	fd = openat(a->part.fd, "image.tar", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ?
			       err_set(e, ERR_NO_SUCH,
				       "its image is neither in it nor here: the full one comes first") :
			       err_set(e, errno, "its image");
	if (image_import(a->store, fd, "its image", io, &r, e) < 0)
		return -1;
	return streq(r.id, a->image) ?
		       0 :
		       err_set(e, ERR_INVALID, "it names image %s, and holds %s", a->image, r.id);
}

static int remember(struct arrival *a, const struct arriving_layer *s, struct err *e)
{
	if (a->n_arrived == a->size) {
		size_t size = a->size ? 2 * a->size : 16;
		struct arrived *v = realloc(a->arrived, size * sizeof(*v));

		if (!v)
			return err_set(e, ENOMEM, "layers");
		a->arrived = v;
		a->size = size;
	}
	strcpy(a->arrived[a->n_arrived].theirs, s->theirs);
	strcpy(a->arrived[a->n_arrived++].ours, s->ours);
	return 0;
}

static const char *ours_of(const struct arrival *a, const char *theirs)
{
	for (size_t i = 0; i < a->n_arrived; i++)
		if (streq(a->arrived[i].theirs, theirs))
			return a->arrived[i].ours;
	return NULL;
}

static int bring_layer(struct arrival *a, size_t i, const struct image_import_options *io,
		       struct err *e)
{
	auto_image_part struct image_part p = IMAGE_PART_NONE;
	struct arriving_layer *s = &a->stack[i];
	const char *there = ours_of(a, s->theirs);
	auto_fd int fd = -1;
	char name[40];

	if (there) {
		strcpy(s->ours, there);
		return 0;
	}
	if (s->held)
		return err_set(e, ERR_NO_SUCH,
			       "it continues another one, which is to come before it");
	snprintf(name, sizeof(name), "layers/%zu.tar", i);
	fd = openat(a->part.fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return err_set(e, errno, "its layer %zu", i);
	strcpy(s->ours, s->theirs); /* so that a backup from here continues those from there */
	if (image_part_open(a->store, fd, name, io, &p, e) < 0 ||
	    layers_adopt(&a->layers, s->parent < 0 ? "" : a->stack[s->parent].ours, p.fd, s->ours,
			 e) < 0)
		return -1;
	return remember(a, s, e);
}

int arrival_bring(struct arrival *a, const struct image_import_options *io, struct err *e)
{
	struct err ignored;

	if (!a->n_stack)
		return err_set(e, ERR_INVALID, MOVE_ABOUT " is not complete");
	if ((a->instance->disk && make_room_for_limits(&a->all, e) < 0) ||
	    bring_image(a, io, e) < 0 ||
	    (a->layers.fd < 0 && layers_open(&a->all, &a->layers, e) < 0))
		return -1;
	for (size_t i = 0; i < a->n_stack; i++)
		if (bring_layer(a, i, io, e) < 0) {
			(void)layers_sweep(&a->layers, &ignored);
			return -1;
		}
	return 0;
}

/* Its own layer looks like the one that it stands on, and all that was brought has a name then. */
static int name_states(struct arrival *a, struct instance_dir *d, struct err *e)
{
	int rc = layers_rollback(&a->layers, d, a->stack[a->now_at].ours, e);

	for (size_t i = 0; rc == 0 && i < a->n_kept; i++) {
		strcpy(a->kept[i].layer, a->stack[a->kept_at[i]].ours);
		rc = snapshot_write(d, &a->kept[i], e);
	}
	return rc;
}

static int prepare(struct arrival *a, struct image *image, struct instance_dir *d, struct err *e)
{
	const struct launch l = {
		.all = &a->all, .image = image, .instance = a->instance, .dir = d
	};

	if (name_states(a, d, e) < 0 || image_mount(a->store, a->c->run_root, image, e) < 0 ||
	    network_lease(&a->all, d, a->instance, e) < 0 ||
	    (!streq(d->name, a->from) && launch_renamed(&l, a->from, e) < 0))
		return -1;
	return syncfs(a->all.dir) < 0 ? err_set(e, errno, "cannot sync it") : 0;
}

int arrival_check(struct arrival *a, struct instance_dir *d, struct err *e)
{
	auto_image struct image *image = image_find(a->store, a->image, e);
	const struct launch l = {
		.all = &a->all, .image = image, .instance = a->instance, .dir = d
	};

	return !image || image_mount(a->store, a->c->run_root, image, e) < 0 ? -1 :
									       launch_check(&l, e);
}

int arrival_make(struct arrival *a, const char *name, bool promised, struct instance_dir *d,
		 struct err *e)
{
	auto_image struct image *image = NULL;
	struct err ignored;
	int rc;

	*d = (struct instance_dir){ .fd = -1, .promise = -1 };
	rc = store_hold(a->store, e);
	if (rc == 0) {
		image = image_find(a->store, a->image, e);
		rc = image ? instance_create(&a->all, name, a->instance, a->stack[a->now_at].ours,
					     promised, d, e) :
			     -1;
		store_release(a->store);
	}
	if (rc == 0) {
		rc = prepare(a, image, d, e);
		if (rc < 0)
			(void)instance_remove(d, &ignored);
	}
	if (rc < 0)
		(void)layers_sweep(&a->layers, &ignored);
	layers_close(&a->layers);
	return rc;
}

/* Snapshots that the newer file no longer has. */
static int drop_old_snapshots(const struct arrival *a, struct instance_dir *d, struct err *e)
{
	auto_free struct snapshot *list = NULL;
	size_t n;

	if (snapshots_list(d, &list, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		bool there = false;

		for (size_t k = 0; k < a->n_kept && !there; k++)
			there = streq(list[i].name, a->kept[k].name);
		if (!there && snapshot_remove(d, list[i].name, e) < 0)
			return -1;
	}
	return 0;
}

int arrival_update(struct arrival *a, struct instance_dir *d, struct err *e)
{
	auto_instance struct instance *was = instance_load(d, e);
	auto_image struct image *image = was ? image_find(a->store, a->image, e) : NULL;
	struct err ignored;
	int rc = -1;

	if (image) {
		a->instance->uuid = was->uuid;
		a->instance->created = was->created;
		a->instance->addresses = was->addresses;
		a->instance->ids = was->ids;
		rc = instance_save(d, a->instance, false, e);
	}
	if (rc == 0)
		rc = prepare(a, image, d, e);
	if (rc == 0)
		rc = drop_old_snapshots(a, d, e);
	if (layers_sweep(&a->layers, rc < 0 ? &ignored : e) < 0)
		rc = -1;
	layers_close(&a->layers);
	return rc;
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

int open_archive_operand(const char *path, struct err *e)
{
	int fd;

	if (streq(path, "-"))
		return isatty(STDIN_FILENO) ?
			       err_set(e, ERR_INVALID, "standard input is a terminal") :
			       fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? err_set(e, errno, "cannot open '%s'", path) : fd;
}

int arrive(struct cli *c, char **files, const char *name, bool check)
{
	auto_arrival struct arrival a = ARRIVAL_NONE(c);
	auto_str struct str wrong = { 0 };
	struct instance_dir d = { .fd = -1, .promise = -1 };
	struct progress p;
	const struct image_import_options io = { .progress = progress_image, .progress_arg = &p };
	const char *file = *files;
	int rc;

	if (arrival_open(c, &a) < 0)
		return -1;
	progress_start(&p, "importing");
	for (rc = 0; rc == 0 && *files; files++) {
		auto_fd int fd = open_archive_operand(*files, c->e);

		file = *files;
		rc = fd < 0 ? -1 : arrival_read(&a, fd, file, &io, c->e);
		if (rc == 0 && !files[1])
			rc = arrival_preflight(&a, name ? name : a.from, &wrong, c->e);
		if (rc == 0 && !check && !wrong.len)
			rc = arrival_bring(&a, &io, c->e);
	}
	if (rc == 0 && !check && !wrong.len)
		rc = arrival_make(&a, name ? name : a.from, false, &d, c->e);
	progress_stop(&p);
	if (rc < 0)
		return err_in(c->e, "cannot import '%s'", file);
	if (wrong.len) {
		struct err ignored;

		if (a.layers.fd >= 0)
			(void)layers_sweep(&a.layers, &ignored);
		fputs(str_text(&wrong), stderr);
		return err_set(c->e, ERR_NOT_SUPPORTED,
			       "'%s' does not fit this machine: nothing was changed", file);
	}
	if (!check) {
		struct err why;

		if (arrival_check(&a, &d, &why) < 0)
			log_warn("'%s' cannot be started as it is: %s", d.name, why.msg);
		printf("%s\n", d.name);
		instance_close(&d);
	}
	return EXIT_DONE;
}

static int import(struct cli *c, int argc, char **argv)
{
	const struct import_options *o = c->options;
	char *files[] = { argv[0], NULL };

	return arrive(c, files, argc > 1 ? argv[1] : NULL, o->check);
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
		"nothing is changed then. Its range of ids and its address stay the same where they are free; machine-id and host keys stay.",
};
