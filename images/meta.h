/*
 * meta.h - inside of images/: the documents of the store, to and from text. Pure.
 *
 * config.json is an image configuration as the OCI image-spec has it, or Docker's older form of it, which
 * differs in nothing that is read here. Any field may be null (image-spec config.md). meta.json is ours:
 * what can be learnt again from the layers, or does not belong to the image's identity.
 */
#ifndef CTR_IMAGES_META_H
#define CTR_IMAGES_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "images/images.h"

struct arena;
struct err;
struct json_writer;
struct str;

#define META_MAX	(20u << 20) /* of a document that others wrote (CVE-2023-25153) */
#define META_LAYERS_MAX 500	    /* what overlayfs takes */

/* Parses @len bytes of @text into @c, in @a. Diff ids, "sha256:<hex>", bottom first, into *@diff_ids. */
int meta_read_config(struct arena *a, const char *text, size_t len, struct image_config *c,
		     const char *const **diff_ids, struct err *e);

/* The other way: always the same text for the same content, for the image's id is its hash. */
void meta_write_config(struct str *out, const struct image_config *c, const char *const *diff_ids);

struct meta_image {
	bool system;
	bool whiteouts; /* its layers' names ".wh.*" are no ordinary ones */
	int64_t imported;
	uint64_t size, entries;
	const char *root; /* root id */
	const char *
		filesystem; /* of an image that is one: its layer is that file, and its root too; NULL */
	const char *const *layers; /* diff ids without "sha256:", bottom first, NULL-terminated */
};

int meta_read_image(struct arena *a, const char *text, size_t len, struct meta_image *m,
		    struct err *e);
void meta_write_image(struct str *out, const struct meta_image *m);

/* The OCI manifest of an image of uncompressed layers, bottom first, NULL-terminated. @id is the sha256 of its configuration. */
void meta_write_manifest(struct str *out, const char *id, size_t config_len,
			 const char *const *diff_ids, const uint64_t *tar_bytes);

/* A descriptor (image-spec descriptor.md) without its closing bracket: more members may follow. */
void meta_open_descriptor(struct json_writer *w, const char *key, const char *type, const char *hex,
			  uint64_t size);

#define MEDIA_MANIFEST "application/vnd.oci.image.manifest.v1+json"

/* Whether @s is "sha256:" and 64 lower-case hex digits; the digits, or NULL. A path is made of them. */
const char *meta_digest(const char *s);

#endif
