/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.c - whether an image is what it was: each file of the store is named by its digest, or follows from others.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

struct verifying {
	struct store *s;
	bool repair;
	image_verified *told;
	void *arg;
	unsigned damage;
};

static void tell(struct verifying *v, const char *what, const char *id, const char *wrong,
		 bool repaired)
{
	v->damage += wrong && !repaired;
	if (v->told)
		v->told(v->arg, what, id, wrong, repaired);
}

/* What is wrong with the file @path, whose digest should be @id; NULL if nothing. */
static const char *check_file(struct store *s, const char *path, const char *id)
{
	auto_fd int fd = openat(s->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char is[IMAGE_ID_LEN + 1];

	if (fd < 0)
		return errno == ENOENT ? "is missing" : "cannot be read";
	if (sha256_file(fd, is) < 0)
		return "cannot be read";
	return streq(is, id) ? NULL : "is not what it was";
}

static void check_layer(struct verifying *v, const char *id)
{
	char path[IMAGE_ID_LEN + 16], text[ERR_MSG_MAX + 40];
	const char *wrong;
	struct err why;

	snprintf(path, sizeof(path), "layers/%s", id);
	wrong = check_file(v->s, path, id);
	if (!wrong || !v->repair) {
		tell(v, "layer", id, wrong, false);
	} else if (image_repair_layer(v->s, id, &why) == 0) {
		tell(v, "layer", id, wrong, true);
	} else {
		snprintf(text, sizeof(text), "%s, and %s", wrong, why.msg);
		tell(v, "layer", id, text, false);
	}
}

/* The compressed layers that were kept: their digests are the manifest's, in the order of the layers. */
static int check_blobs(struct verifying *v, const struct image *img, struct err *e)
{
	auto_arena struct arena *a = arena_new(0);
	auto_str struct str text = { 0 };
	char path[IMAGE_ID_LEN + 32];
	const struct json *doc, *layers, *m;
	size_t i = 0;

	snprintf(path, sizeof(path), "images/%s/manifest.json", img->id);
	if (!a)
		return err_set(e, ENOMEM, "cannot verify");
	if (file_read(v->s->fd, path, META_MAX, &text, e) < 0 ||
	    !(doc = json_parse(a, str_text(&text), text.len, e)))
		return -1;
	layers = json_get(doc, "layers");
	m = layers && layers->type == JSON_ARRAY ? layers->first : NULL;
	for (; m && img->diff_ids[i]; m = m->next, i++) {
		const char *digest = NULL, *wrong;
		struct err none;

		snprintf(path, sizeof(path), "blobs/%s", img->diff_ids[i]);
		if (faccessat(v->s->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (json_string(json_get(m, "digest"), &digest, &none) < 0 || !digest ||
		    !meta_digest(digest) || streq(meta_digest(digest), img->diff_ids[i]))
			continue; /* nobody said it: of docker's older archives, and of plain root filesystems */
		wrong = check_file(v->s, path, meta_digest(digest));
		tell(v, "blob", meta_digest(digest), wrong, false);
	}
	return 0;
}

static int check_root(struct verifying *v, const struct image *img, struct err *e)
{
	int same;

	if (img->filesystem) { /* the layer by another name */
		char root[IMAGE_ID_LEN + 16];
		const char *wrong;

		snprintf(root, sizeof(root), "roots/%s", img->root_id);
		wrong = check_file(v->s, root, img->diff_ids[0]);
		tell(v, "root", img->root_id, wrong, false);
		return 0;
	}
	if (!img->index) {
		/* a tree of files has no digest; it can be made again */
		if (v->repair && image_rebuild(v->s, img->id, true, e) < 0)
			return -1;
		tell(v, "root", img->root_id, NULL, v->repair);
		return 0;
	}
	same = image_check_root(v->s, img->id, e);
	if (same < 0)
		return -1;
	if (!same && v->repair && image_rebuild(v->s, img->id, false, e) < 0)
		return -1;
	tell(v, "root", img->root_id, same ? NULL : "is not what its layers make",
	     !same && v->repair);
	return 0;
}

int image_verify(struct store *s, const char *name, bool repair, image_verified *told, void *arg,
		 unsigned *damage, struct err *e)
{
	struct verifying v = { .s = s, .repair = repair, .told = told, .arg = arg };
	auto_image struct image *img = image_find(s, name, e);
	char path[IMAGE_ID_LEN + 32];

	if (!img)
		return -1;
	snprintf(path, sizeof(path), "images/%s/config.json", img->id);
	tell(&v, "config", img->id, check_file(s, path, img->id), false);
	for (size_t i = 0; img->diff_ids[i]; i++)
		check_layer(&v, img->diff_ids[i]);
	if (check_blobs(&v, img, e) < 0)
		return -1;
	if (!v.damage && check_root(&v, img, e) < 0)
		return -1;
	*damage = v.damage;
	return 0;
}
