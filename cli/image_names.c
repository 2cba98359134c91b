/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_names.c - `ctr image tag`, `untag`, `prune`, `inspect`, `history`, `verify`, `save`.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"

#define DOCUMENT_MAX (20u << 20)

/* ---- tag, untag ---- */

static int tag(struct cli *c, int argc, char **argv)
{
	auto_store struct store *s = store_open(c->store_root, c->e);

	if (!s)
		return -1;
	for (int i = 1; i < argc; i++)
		if (image_tag(s, argv[0], argv[i], c->e) < 0)
			return -1;
	return EXIT_DONE;
}

const struct verb verb_image_tag = {
	.name = "image tag",
	.run = tag,
	.operands = "IMAGE NAME[:TAG]...",
	.min = 2,
	.max = -1,
	.help = "give an image further names",
	.more = "A name that another image has moves.",
};

static int untag(struct cli *c, int argc, char **argv)
{
	auto_store struct store *s = store_open(c->store_root, c->e);

	if (!s)
		return -1;
	for (int i = 0; i < argc; i++)
		if (image_untag(s, argv[i], c->e) < 0)
			return -1;
	return EXIT_DONE;
}

const struct verb verb_image_untag = {
	.name = "image untag",
	.run = untag,
	.operands = "IMAGE...",
	.min = 1,
	.max = -1,
	.help = "take names away from images, which stay",
};

/* ---- prune ---- */

struct prune_options {
	bool all;
};

static const struct option_row prune_rows[] = {
	FLAG_ROW(struct prune_options, all, "all", 'a',
		 "also images with a name that no instance uses"),
	END_ROW,
};

struct pruned {
	bool json;
	struct json_writer *w;
};

static void tell_pruned(void *arg, const struct image_removed *r)
{
	const struct pruned *p = arg;

	if (p->json)
		json_put_string(p->w, NULL, r->id);
	else
		printf("removed %.*s\n", IMAGE_ID_SHORT, r->id);
}

static int prune(struct cli *c, int argc, char **argv)
{
	const struct prune_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;
	auto_store struct store *s = store_open(c->store_root, c->e);
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out, .indent = true };
	struct pruned p = { c->json, &w };
	char size[16];
	uint64_t bytes;

	(void)argc, (void)argv;
	if (!s)
		return -1;
	json_open(&w, NULL, '{');
	json_open(&w, "removed", '[');
	if (image_prune(s, o->all, tell_pruned, &p, &bytes, c->e) < 0)
		return -1;
	json_close(&w);
	json_put_u64(&w, "bytes", bytes);
	json_close(&w);
	if (open_instances(c, &all) == 0)
		unmount_unused(c, &all);
	if (c->json)
		return print_text(c, &out);
	printf("%s freed\n", format_size(bytes, size, sizeof(size)));
	return EXIT_DONE;
}

const struct verb verb_image_prune = {
	.name = "image prune",
	.run = prune,
	.flags = VERB_JSON,
	.help = "remove images that have no name and that no instance uses",
	.rows = prune_rows,
	.options_size = sizeof(struct prune_options),
};

/* ---- inspect, history ---- */

/* A document of the image's, as it came. */
static const struct json *read_document(struct store *s, const struct image *img, const char *name,
					struct err *e)
{
	auto_str struct str text = { 0 };
	char path[IMAGE_ID_LEN + 32];

	snprintf(path, sizeof(path), "images/%s/%s", img->id, name);
	if (file_read(store_fd(s), path, DOCUMENT_MAX, &text, e) < 0)
		return NULL;
	return json_parse(img->arena, str_text(&text), text.len, e);
}

static void put_digests(struct json_writer *w, const char *key, const char *const *ids)
{
	json_open(w, key, '[');
	for (size_t i = 0; ids && ids[i]; i++) {
		char digest[sizeof("sha256:") + IMAGE_ID_LEN];

		snprintf(digest, sizeof(digest), "sha256:%s", ids[i]);
		json_put_string(w, NULL, digest);
	}
	json_close(w);
}

/* All names: image_find() gives the one that it was found by. */
static int put_names(struct json_writer *w, struct store *s, const char *id, struct err *e)
{
	struct image **list;

	if (image_list(s, &list, NULL, e) < 0)
		return -1;
	for (size_t i = 0; list[i]; i++)
		if (streq(list[i]->id, id))
			json_put_strings(w, "names", list[i]->names);
	image_list_free(list);
	return 0;
}

static int put_image(struct json_writer *w, struct store *s, const char *name, struct err *e)
{
	auto_image struct image *img = image_find(s, name, e);
	const struct json *config, *manifest = NULL;
	const char *const *users;
	char digest[sizeof("sha256:") + IMAGE_ID_LEN];

	if (!img || !(config = read_document(s, img, "config.json", e)) ||
	    !(manifest = read_document(s, img, "manifest.json", e)) ||
	    image_users(s, img->id, img->arena, &users, e) < 0)
		return -1;
	snprintf(digest, sizeof(digest), "sha256:%s", img->id);
	json_open(w, NULL, '{');
	json_put_string(w, "id", digest);
	if (put_names(w, s, img->id, e) < 0)
		return -1;
	json_put_u64(w, "size", img->size);
	json_put_u64(w, "entries", img->entries);
	json_put_i64(w, "imported", img->imported);
	json_put_bool(w, "system", img->system);
	json_put_string(w, "root", img->layers[0]);
	json_put_string(w, "kept-as",
			img->filesystem ? img->filesystem :
			img->index	? "index" :
					  "directory");
	put_digests(w, "layers", img->diff_ids);
	json_put_strings(w, "instances", users);
	json_put(w, "config", config);
	json_put(w, "manifest", manifest);
	json_close(w);
	return 0;
}

static int inspect(struct cli *c, int argc, char **argv)
{
	auto_store struct store *s = store_open(c->store_root, c->e);
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out, .indent = true };

	if (!s)
		return -1;
	json_open(&w, NULL, '{');
	json_put_u64(&w, "version", FORMAT_VERSION);
	json_open(&w, "images", '[');
	for (int i = 0; i < argc; i++)
		if (put_image(&w, s, argv[i], c->e) < 0)
			return -1;
	json_close(&w);
	json_close(&w);
	return print_text(c, &out);
}

const struct verb verb_image_inspect = {
	.name = "image inspect",
	.run = inspect,
	.flags = VERB_JSON,
	.operands = "IMAGE...",
	.min = 1,
	.max = -1,
	.help = "show all that is known of images, as JSON",
};

static const char *text_of(const struct json *m, const char *key)
{
	const char *text = NULL;
	struct err none;

	return json_string(json_get(m, key), &text, &none) < 0 || !text ? "" : text;
}

static bool is_empty_layer(const struct json *m)
{
	bool empty = false;
	struct err none;

	return json_bool(json_get(m, "empty_layer"), &empty, &none) == 0 && empty;
}

/* What a layer's archive takes; entries of the history that made none have none. */
static int history(struct cli *c, int argc, char **argv)
{
	auto_store struct store *s = store_open(c->store_root, c->e);
	auto_image struct image *img = s ? image_find(s, argv[0], c->e) : NULL;
	const struct json *config = img ? read_document(s, img, "config.json", c->e) : NULL, *list;
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out, .indent = true };
	size_t layer = 0;

	(void)argc;
	if (!config)
		return -1;
	if (c->json) {
		json_open(&w, NULL, '{');
		put_digests(&w, "layers", img->diff_ids);
		json_put(&w, "history", json_get(config, "history"));
		json_close(&w);
		return print_text(c, &out);
	}
	printf("%-20s  %-12s  %9s  %s\n", "CREATED", "LAYER", "SIZE", "BY");
	list = json_get(config, "history");
	for (const struct json *m = list && list->type == JSON_ARRAY ? list->first : NULL; m;
	     m = m->next) {
		const char *id =
			is_empty_layer(m) || !img->diff_ids[layer] ? NULL : img->diff_ids[layer++];
		char path[IMAGE_ID_LEN + 16], size[16] = "-";
		const char *comment = text_of(m, "comment");
		struct stat st;

		if (id) {
			snprintf(path, sizeof(path), "layers/%s", id);
			if (fstatat(store_fd(s), path, &st, 0) == 0)
				format_size((uint64_t)st.st_size, size, sizeof(size));
		}
		printf("%-20.20s  %-12.*s  %9s  %.200s%s%.100s\n", text_of(m, "created"),
		       IMAGE_ID_SHORT, id ? id : "-", size, text_of(m, "created_by"),
		       *comment ? "  # " : "", comment);
	}
	for (; img->diff_ids[layer]; layer++) /* of which the history says nothing */
		printf("%-20s  %-12.*s  %9s  -\n", "-", IMAGE_ID_SHORT, img->diff_ids[layer], "-");
	return EXIT_DONE;
}

const struct verb verb_image_history = {
	.name = "image history",
	.run = history,
	.flags = VERB_JSON,
	.operands = "IMAGE",
	.min = 1,
	.max = 1,
	.help = "show how an image was made, layer by layer",
};

/* ---- verify ---- */

struct verify_options {
	bool repair, quiet;
};

static const struct option_row verify_rows[] = {
	FLAG_ROW(
		struct verify_options, repair, "repair", 0,
		"make damaged layers again from compressed ones that were kept, and the index from the layers"),
	FLAG_ROW(struct verify_options, quiet, "quiet", 'q', "print what is damaged only"),
	END_ROW,
};

struct verified {
	const struct verify_options *o;
	struct json_writer *w;
	bool json;
};

static void tell_verified(void *arg, const char *what, const char *id, const char *wrong,
			  bool repaired)
{
	const struct verified *v = arg;

	if (v->json) {
		json_open(v->w, NULL, '{');
		json_put_string(v->w, "what", what);
		json_put_string(v->w, "id", id);
		json_put_string(v->w, "wrong", wrong);
		json_put_bool(v->w, "repaired", repaired && wrong);
		json_close(v->w);
	} else if (wrong) {
		printf("%-6s  %.*s  %s%s\n", what, IMAGE_ID_SHORT, id, wrong,
		       repaired ? ": repaired" : "");
	} else if (!v->o->quiet) {
		printf("%-6s  %.*s  %s\n", what, IMAGE_ID_SHORT, id,
		       repaired ? "made again" : "whole");
	}
}

static int verify(struct cli *c, int argc, char **argv)
{
	const struct verify_options *o = c->options;
	auto_store struct store *s = store_open(c->store_root, c->e);
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out, .indent = true };
	struct verified v = { o, &w, c->json };
	unsigned damage = 0;

	if (!s)
		return -1;
	json_open(&w, NULL, '{');
	json_open(&w, "checked", '[');
	for (int i = 0; i < argc; i++) {
		unsigned more;

		if (image_verify(s, argv[i], o->repair, tell_verified, &v, &more, c->e) < 0)
			return -1;
		damage += more;
	}
	json_close(&w);
	json_put_u64(&w, "damage", damage);
	json_close(&w);
	if (c->json && print_text(c, &out) < 0)
		return -1;
	if (damage)
		return err_set(c->e, ERR_INVALID, "%u of its parts %s damaged%s", damage,
			       damage > 1 ? "are" : "is",
			       o->repair ? "" : ": --repair mends what it can");
	return EXIT_DONE;
}

const struct verb verb_image_verify = {
	.name = "image verify",
	.run = verify,
	.flags = VERB_JSON,
	.operands = "IMAGE...",
	.min = 1,
	.max = -1,
	.help = "read images whole, and compare them with their digests",
	.rows = verify_rows,
	.options_size = sizeof(struct verify_options),
	.more = "--repair needs layers that were imported with --keep-blobs. Stop the image's instances first.",
};

/* ---- save ---- */

struct save_options {
	const char *output;
};

static const struct option_row save_rows[] = {
	STRING_ROW(struct save_options, output, "output", 'o', "FILE",
		   "write to FILE rather than to standard output"),
	END_ROW,
};

/* The file appears whole, or not at all. */
static int save_to(struct store *s, char *const *names, const char *path,
		   const struct image_import_options *o, struct err *e)
{
	auto_fd int fd = -1;
	char part[4096];

	if (snprintf(part, sizeof(part), "%s.part", path) >= (int)sizeof(part))
		return err_set(e, ENAMETOOLONG, "'%s'", path);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(e, errno, "cannot make '%s'", part);
	if (image_save(s, names, fd, o, e) == 0) {
		if (fsync(fd) == 0 && rename(part, path) == 0)
			return 0;
		err_set(e, errno, "cannot write '%s'", path);
	}
	(void)unlink(part);
	return -1;
}

static int save(struct cli *c, int argc, char **argv)
{
	const struct save_options *o = c->options;
	auto_store struct store *s = store_open(c->store_root, c->e);
	struct progress p;
	const struct image_import_options io = { .progress = progress_image, .progress_arg = &p };
	int rc;

	(void)argc;
	if (!s)
		return -1;
	if (!o->output && isatty(STDOUT_FILENO))
		return err_set(
			c->e, ERR_USAGE,
			"an archive is nothing for a terminal: give --output FILE, or a pipe");
	progress_start(&p, "saving");
	rc = o->output ? save_to(s, argv, o->output, &io, c->e) :
			 image_save(s, argv, STDOUT_FILENO, &io, c->e);
	progress_stop(&p);
	return rc < 0 ? -1 : EXIT_DONE;
}

const struct verb verb_image_save = {
	.name = "image save",
	.run = save,
	.operands = "IMAGE...",
	.min = 1,
	.max = -1,
	.help = "write images as an archive that docker, podman, skopeo and umoci read",
	.rows = save_rows,
	.options_size = sizeof(struct save_options),
	.more = "An OCI image layout with docker's manifest.json, uncompressed: `ctr image save web | zstd >web.tar.zst`.",
};
