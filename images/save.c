/* SPDX-License-Identifier: Apache-2.0 */
/*
 * save.c - images as one archive for others, and an image made of another and one more layer.
 *
 * The archive is an OCI image layout (image-spec, image-layout.md): blobs/sha256/ID, index.json, oci-layout; and docker's
 * manifest.json, which names the same blobs. What it holds follows from the images alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "images/helper.h"
#include "images/images.h"
#include "images/meta.h"
#include "runtime/base/sha256.h"
#include "images/store.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/tar.h"

#define LAYOUT	 "{\"imageLayoutVersion\":\"1.0.0\"}"
#define BLOBS	 "blobs/sha256/"
#define PIECE	 (4u << 20) /* of a layer, between two looks at whether to go on */
#define BLOB_MAX (sizeof(BLOBS) + IMAGE_ID_LEN)

/* An image, with its files open: what is removed meanwhile is saved all the same. */
struct saved {
	struct image *image;
	struct str config;
	int *layers; /* -1: not open */
	uint64_t *sizes;
	size_t n;
};

struct saving {
	struct store *s;
	struct tar tar;
	struct arena *a;
	const struct image_import_options *o;
	struct image_progress progress;
	const char **blobs; /* that were written, for two images may share them */
	size_t n_blobs, size_blobs;
	struct json_writer index, docker;
	struct err *e;
};

/* ---- files of the archive ---- */

static bool is_new(struct saving *v, const char *id)
{
	for (size_t i = 0; i < v->n_blobs; i++)
		if (streq(v->blobs[i], id))
			return false;
	if (v->n_blobs == v->size_blobs) {
		size_t size = v->size_blobs ? 2 * v->size_blobs : 64;
		const char **more = arena_array(v->a, size, sizeof(*more));

		if (!more)
			return true; /* twice in the archive is once too often, but right */
		if (v->n_blobs)
			memcpy(more, v->blobs, v->n_blobs * sizeof(*more));
		v->blobs = more;
		v->size_blobs = size;
	}
	v->blobs[v->n_blobs++] = id;
	return true;
}

static int put_text(struct saving *v, const char *name, const char *text, size_t len)
{
	const struct tar_entry en = {
		.name = name, .link = "", .type = '0', .mode = 0644, .size = len
	};

	return tar_put(&v->tar, &en, NULL, v->e) < 0 || tar_data(&v->tar, text, len, v->e) < 0 ?
		       -1 :
		       tar_pad(&v->tar, len, v->e);
}

static int put_layer(struct saving *v, const char *id, int fd, uint64_t size)
{
	char name[BLOB_MAX];
	struct tar_entry en = { .name = name, .link = "", .type = '0', .mode = 0644, .size = size };

	snprintf(name, sizeof(name), BLOBS "%s", id);
	if (tar_put(&v->tar, &en, NULL, v->e) < 0)
		return -1;
	for (uint64_t at = 0; at < size;) {
		uint64_t n = size - at < PIECE ? size - at : PIECE;

		if (tar_copy(&v->tar, fd, at, n, 0, v->e) < 0)
			return err_in(v->e, "layer %.*s", IMAGE_ID_SHORT, id);
		at += n;
		v->progress.bytes_read += n;
		v->progress.bytes_out += n;
		if (import_progress(v->o, &v->progress, v->e) < 0)
			return -1;
	}
	return tar_pad(&v->tar, size, v->e);
}

/* ---- an image ---- */

/* As other tools spell it out. */
static const char *full_name(struct arena *a, const char *name)
{
	size_t first = strcspn(name, "/");
	bool has_host = name[first] && (memchr(name, '.', first) || memchr(name, ':', first) ||
					strncmp(name, "localhost", first) == 0);

	return has_host ? name :
			  arena_printf(a, "docker.io/%s%s", name[first] ? "" : "library/", name);
}

static void index_entry(struct saving *v, const char *manifest, size_t len, const char *name)
{
	const char *tag = name ? strrchr(name, ':') : NULL;

	meta_open_descriptor(&v->index, NULL, MEDIA_MANIFEST, manifest, len);
	if (name) {
		json_open(&v->index, "annotations", '{');
		json_put_string(&v->index, "io.containerd.image.name", full_name(v->a, name));
		json_put_string(&v->index, "org.opencontainers.image.ref.name",
				tag ? tag + 1 : name);
		json_close(&v->index);
	}
	json_close(&v->index);
}

static void docker_entry(struct saving *v, const struct image *img)
{
	char blob[BLOB_MAX];

	json_open(&v->docker, NULL, '{');
	snprintf(blob, sizeof(blob), BLOBS "%s", img->id);
	json_put_string(&v->docker, "Config", blob);
	json_open(&v->docker, "RepoTags", '[');
	for (size_t i = 0; img->names[i]; i++)
		json_put_string(&v->docker, NULL, img->names[i]);
	json_close(&v->docker);
	json_open(&v->docker, "Layers", '[');
	for (size_t i = 0; img->diff_ids[i]; i++) {
		snprintf(blob, sizeof(blob), BLOBS "%s", img->diff_ids[i]);
		json_put_string(&v->docker, NULL, blob);
	}
	json_close(&v->docker);
	json_close(&v->docker);
}

static int put_image(struct saving *v, const struct saved *src)
{
	const struct image *img = src->image;
	auto_str struct str manifest = { 0 };
	char name[BLOB_MAX];
	char *manifest_id = arena_alloc(v->a, IMAGE_ID_LEN + 1);

	if (!manifest_id)
		return err_set(v->e, ENOMEM, "cannot save");
	for (size_t i = 0; i < src->n; i++)
		if (is_new(v, img->diff_ids[i]) &&
		    put_layer(v, img->diff_ids[i], src->layers[i], src->sizes[i]) < 0)
			return -1;
	meta_write_manifest(&manifest, img->id, src->config.len, img->diff_ids, src->sizes);
	if (manifest.failed)
		return err_set(v->e, ENOMEM, "cannot save");
	sha256_text(str_text(&manifest), manifest.len, manifest_id);
	snprintf(name, sizeof(name), BLOBS "%s", img->id);
	if (is_new(v, img->id) && put_text(v, name, str_text(&src->config), src->config.len) < 0)
		return -1;
	snprintf(name, sizeof(name), BLOBS "%s", manifest_id);
	if (is_new(v, manifest_id) && put_text(v, name, str_text(&manifest), manifest.len) < 0)
		return -1;
	if (!img->names[0])
		index_entry(v, manifest_id, manifest.len, NULL);
	for (size_t i = 0; img->names[i]; i++)
		index_entry(v, manifest_id, manifest.len, img->names[i]);
	docker_entry(v, img);
	return 0;
}

static int put_all(struct saving *v, const struct saved *list, size_t n)
{
	auto_str struct str index = { 0 }, docker = { 0 };

	v->index = (struct json_writer){ .out = &index };
	v->docker = (struct json_writer){ .out = &docker };
	json_open(&v->index, NULL, '{');
	json_put_u64(&v->index, "schemaVersion", 2);
	json_put_string(&v->index, "mediaType", "application/vnd.oci.image.index.v1+json");
	json_open(&v->index, "manifests", '[');
	json_open(&v->docker, NULL, '[');
	if (put_text(v, "oci-layout", LAYOUT, strlen(LAYOUT)) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (put_image(v, &list[i]) < 0)
			return -1;
	json_close(&v->index);
	json_close(&v->index);
	json_close(&v->docker);
	if (index.failed || docker.failed)
		return err_set(v->e, ENOMEM, "cannot save");
	return put_text(v, "index.json", str_text(&index), index.len) < 0 ||
			       put_text(v, "manifest.json", str_text(&docker), docker.len) < 0 ?
		       -1 :
		       tar_end(&v->tar, v->e);
}

static void source_close(struct saved *src)
{
	for (size_t i = 0; i < src->n; i++)
		if (src->layers[i] >= 0)
			close(src->layers[i]);
	str_free(&src->config);
	image_free(src->image);
}

/* What @src->image is made of. */
static int source_open(struct saving *v, struct saved *src)
{
	const char *const *ids = src->image->diff_ids;
	char path[IMAGE_ID_LEN + 32];
	struct stat st;
	size_t n = 0;

	while (ids[n])
		n++;
	src->layers = arena_array(v->a, n, sizeof(*src->layers));
	src->sizes = arena_array(v->a, n, sizeof(*src->sizes));
	if (!src->layers || !src->sizes)
		return err_set(v->e, ENOMEM, "cannot save");
	for (; src->n < n; src->n++) {
		snprintf(path, sizeof(path), "layers/%s", ids[src->n]);
		src->layers[src->n] = openat(v->s->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (src->layers[src->n] < 0 || fstat(src->layers[src->n], &st) < 0) {
			src->n++;
			return err_set(v->e, errno, "cannot open '%s/%s'", v->s->path, path);
		}
		src->sizes[src->n] = (uint64_t)st.st_size;
		v->progress.bytes_total += (uint64_t)st.st_size;
	}
	snprintf(path, sizeof(path), "images/%s/config.json", src->image->id);
	return file_read(v->s->fd, path, META_MAX, &src->config, v->e);
}

/* A further name of an image that was named already. */
static int add_name(struct saving *v, struct image *img, const char *name)
{
	const char **both;
	size_t m = 0;

	while (img->names[m])
		m++;
	both = arena_array(v->a, m + 2, sizeof(*both));
	if (!both || !(both[m] = arena_strdup(v->a, name)))
		return err_set(v->e, ENOMEM, "cannot save");
	memcpy(both, img->names, m * sizeof(*both));
	img->names = both;
	return 0;
}

/* Each image once, whatever names of it were given. */
static int collect(struct saving *v, char *const *names, struct saved *list, size_t *n)
{
	for (size_t i = 0; names[i]; i++) {
		auto_image struct image *img = image_find(v->s, names[i], v->e);
		size_t k = 0;

		if (!img)
			return -1;
		if (img->filesystem)
			return err_set(
				v->e, ERR_NOT_SUPPORTED,
				"'%s' is a file system (%s) as it was imported, without layers: keep that file, or export an instance's --rootfs",
				names[i], img->filesystem);
		while (k < *n && !streq(list[k].image->id, img->id))
			k++;
		if (k < *n) {
			if (img->names[0] && add_name(v, list[k].image, img->names[0]) < 0)
				return -1;
			continue;
		}
		list[(*n)++].image = take_ptr(img);
		if (source_open(v, &list[k]) < 0)
			return -1;
	}
	return 0;
}

int image_save(struct store *s, char *const *names, int fd, const struct image_import_options *o,
	       struct err *e)
{
	static const struct image_import_options none;
	auto_arena struct arena *a = arena_new(0);
	struct saving v = { .s = s, .a = a, .o = o ? o : &none, .e = e };
	struct saved *list;
	size_t n = 0;
	int rc = -1;

	while (names[n])
		n++;
	list = a ? arena_array(a, n + 1, sizeof(*list)) : NULL;
	n = 0;
	if (!list || tar_begin(&v.tar, fd, e) < 0)
		return err_set(e, ENOMEM, "cannot save");
	/* held no longer than that: whoever reads the pipe may be an import into this store */
	if (store_hold(s, e) == 0) {
		rc = collect(&v, names, list, &n);
		store_release(s);
	}
	if (rc == 0)
		rc = put_all(&v, list, n);
	for (size_t i = 0; i < n; i++)
		source_close(&list[i]);
	tar_free(&v.tar);
	return rc;
}

/* ---- commit ---- */

/* The words of @given in place of those of @old; of an environment, of the same names. */
static void put_env(struct json_writer *w, const struct json *old, const char *const *given)
{
	json_open(w, "Env", '[');
	for (const struct json *m = old && old->type == JSON_ARRAY ? old->first : NULL; m;
	     m = m->next) {
		const char *const *g = given;

		if (m->type != JSON_STRING)
			continue;
		while (*g && strncmp(*g, m->text, strcspn(m->text, "=") + 1) != 0)
			g++;
		if (!*g)
			json_put_string(w, NULL, m->text);
	}
	for (const char *const *g = given; *g; g++)
		json_put_string(w, NULL, *g);
	json_close(w);
}

static void put_config(struct json_writer *w, const struct json *old, const struct image_commit *c)
{
	static const char *const keys[] = { "Entrypoint", "Cmd",  "Env",
					    "WorkingDir", "User", "StopSignal" };
	const bool given[] = { c->entrypoint, c->cmd, c->env, c->workdir, c->user, c->stop_signal };

	json_open(w, "config", '{');
	for (const struct json *m = old && old->type == JSON_OBJECT ? old->first : NULL; m;
	     m = m->next) {
		bool replaced = false;

		for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++)
			replaced |= given[k] && streq(keys[k], m->key);
		if (!replaced)
			json_put(w, m->key, m);
	}
	json_put_strings(w, "Entrypoint", c->entrypoint);
	json_put_strings(w, "Cmd", c->cmd);
	if (c->env)
		put_env(w, json_get(old, "Env"), c->env);
	json_put_string(w, "WorkingDir", c->workdir);
	json_put_string(w, "User", c->user);
	json_put_string(w, "StopSignal", c->stop_signal);
	json_close(w);
}

/* An entry for each of the @layers below as well, also where nobody wrote one: readers count them. */
static void put_history(struct json_writer *w, const struct json *old, size_t layers,
			const struct image_commit *c, const char *now)
{
	json_open(w, "history", '[');
	for (const struct json *m = old && old->type == JSON_ARRAY ? old->first : NULL; m;
	     m = m->next) {
		bool empty = false;
		struct err none;

		(void)json_bool(json_get(m, "empty_layer"), &empty, &none); /* no flag is none */
		layers -= !empty && layers;
		json_put(w, NULL, m);
	}
	while (layers--) {
		json_open(w, NULL, '{');
		json_put_string(w, "comment", "imported");
		json_close(w);
	}
	json_open(w, NULL, '{');
	json_put_string(w, "created", now);
	json_put_string(w, "created_by", c->created_by);
	json_put_string(w, "author", c->author);
	json_put_string(w, "comment", c->message);
	json_close(w);
	json_close(w);
}

/* The base's document with what is new: what it says beyond what we know stays. */
static int new_config(struct store *s, const struct image *base, const struct image_commit *c,
		      const char *const *diff_ids, struct arena *a, struct str *out, struct err *e)
{
	static const char *const ours[] = { "created", "author", "config", "rootfs", "history" };
	struct json_writer w = { .out = out };
	auto_str struct str text = { 0 };
	char path[IMAGE_ID_LEN + 32], now[40];
	const struct json *doc;
	time_t t = time(NULL);
	struct tm tm;
	size_t n = 0;

	snprintf(path, sizeof(path), "images/%s/config.json", base->id);
	if (file_read(s->fd, path, META_MAX, &text, e) < 0 ||
	    !(doc = json_parse(a, str_text(&text), text.len, e)))
		return -1;
	gmtime_r(&t, &tm);
	strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_open(&w, NULL, '{');
	json_put_string(&w, "created", now);
	json_put_string(&w, "author", c->author ? c->author : base->config.author);
	for (const struct json *m = doc->type == JSON_OBJECT ? doc->first : NULL; m; m = m->next) {
		bool known = false;

		for (size_t k = 0; k < sizeof(ours) / sizeof(*ours); k++)
			known |= streq(ours[k], m->key);
		if (!known)
			json_put(&w, m->key, m);
	}
	put_config(&w, json_get(doc, "config"), c);
	json_open(&w, "rootfs", '{');
	json_put_string(&w, "type", "layers");
	json_open(&w, "diff_ids", '[');
	for (; diff_ids[n]; n++) {
		char digest[sizeof("sha256:") + IMAGE_ID_LEN];

		snprintf(digest, sizeof(digest), "sha256:%s", diff_ids[n]);
		json_put_string(&w, NULL, digest);
	}
	json_close(&w);
	json_close(&w);
	put_history(&w, json_get(doc, "history"), n - 1, c, now);
	json_close(&w);
	return out->failed ? err_set(e, ENOMEM, "cannot commit") : 0;
}

static int write_blob(int dir, const char *id, const struct str *text, struct err *e)
{
	char name[BLOB_MAX];

	snprintf(name, sizeof(name), BLOBS "%s", id);
	return store_write_file(dir, name, text, e);
}

/*
 * An OCI layout of what is new, in the staging directory @dir: an import finds the layers of the base in the store. The new
 * layer's file, which lies in @dir too, becomes a blob of it.
 */
static int write_layout(struct store *s, const struct image *base, int dir, int layer,
			const char *layer_name, const struct image_commit *c, struct err *e)
{
	auto_arena struct arena *a = arena_new(0);
	auto_str struct str config = { 0 }, manifest = { 0 }, index = { 0 }, layout = { .s = NULL };
	struct json_writer w = { .out = &index };
	char id[IMAGE_ID_LEN + 1], new_layer[IMAGE_ID_LEN + 1], name[BLOB_MAX];
	const char **diff_ids;
	uint64_t *sizes;
	struct stat st;
	size_t n = 0;

	while (base->diff_ids[n])
		n++;
	diff_ids = a ? arena_array(a, n + 2, sizeof(*diff_ids)) : NULL;
	sizes = diff_ids ? arena_array(a, n + 1, sizeof(*sizes)) : NULL;
	if (!sizes)
		return err_set(e, ENOMEM, "cannot commit");
	for (size_t i = 0; i < n; i++) {
		char path[IMAGE_ID_LEN + 16];

		snprintf(path, sizeof(path), "layers/%s", base->diff_ids[i]);
		diff_ids[i] = base->diff_ids[i];
		if (fstatat(s->fd, path, &st, 0) < 0)
			return err_set(e, errno, "cannot read '%s'", path);
		sizes[i] = (uint64_t)st.st_size;
	}
	if (fstat(layer, &st) < 0 || sha256_file(layer, new_layer) < 0)
		return err_set(e, errno, "cannot read a layer");
	diff_ids[n] = new_layer;
	sizes[n] = (uint64_t)st.st_size;
	if (new_config(s, base, c, diff_ids, a, &config, e) < 0)
		return -1;
	sha256_text(str_text(&config), config.len, id);
	meta_write_manifest(&manifest, id, config.len, diff_ids, sizes);
	if (mkdirat(dir, "blobs", 0700) < 0 || mkdirat(dir, "blobs/sha256", 0700) < 0)
		return err_set(e, errno, "cannot commit");
	if (write_blob(dir, id, &config, e) < 0)
		return -1;
	sha256_text(str_text(&manifest), manifest.len, id);
	if (write_blob(dir, id, &manifest, e) < 0)
		return -1;
	json_open(&w, NULL, '{');
	json_put_u64(&w, "schemaVersion", 2);
	json_open(&w, "manifests", '[');
	meta_open_descriptor(&w, NULL, MEDIA_MANIFEST, id, manifest.len);
	json_close(&w);
	json_close(&w);
	json_close(&w);
	str_add(&layout, LAYOUT);
	snprintf(name, sizeof(name), BLOBS "%s", new_layer);
	if (renameat(dir, layer_name, dir, name) < 0)
		return err_set(e, errno, "cannot commit");
	return store_write_file(dir, "index.json", &index, e) < 0 ||
			       store_write_file(dir, "oci-layout", &layout, e) < 0 ?
		       -1 :
		       0;
}

int image_commit(struct store *s, const struct image *base, image_layer_writer *write, void *arg,
		 const struct image_commit *c, const struct image_import_options *o,
		 struct image_import_result *r, struct err *e)
{
	struct staging g = STAGING_NONE, trash = STAGING_NONE;
	auto_fd int layer = -1;
	int rc;

	if (base->filesystem)
		return err_set(
			e, ERR_NOT_SUPPORTED,
			"its image is a file system (%s), without layers that could have one more: `ctr export --rootfs` it",
			base->filesystem);
	if (base->directory)
		return err_set(
			e, ERR_INVALID,
			"it runs on a directory, which is no image: `ctr export --rootfs` it");
	if (store_lock(s, e) < 0)
		return -1;
	rc = staging_sweep(s, &trash, e) < 0 ? -1 : staging_new(s, &g, e);
	store_release(s);
	staging_end(s, &trash);
	if (rc < 0)
		return -1;
	layer = openat(g.dir, "layer", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (layer < 0)
		rc = err_set(e, errno, "cannot make a layer");
	if (rc == 0)
		rc = write(arg, layer, e);
	if (rc == 0)
		rc = write_layout(s, base, g.dir, layer, "layer", c, e);
	if (rc == 0)
		rc = image_import_layout(s, g.dir, "the new image", o, r, e);
	staging_end(s, &g);
	return rc;
}
