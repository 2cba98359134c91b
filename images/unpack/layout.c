/*
 * What is read, in this order (image-spec image-layout.md, manifest.md; moby's daemon/images/tarexport for the other):
 *
 *	index.json -> descriptors -> nested indexes -> a manifest -> config, layers	OCI, and docker save since 25
 *	manifest.json -> config, layers							docker save before that
 *
 * Each document is checked against the digest that led to it before a word of it is believed, and a digest against its
 * grammar before it becomes a name (CVE-2024-3727). Sizes are compared before anything is hashed.
 */
#include "images/unpack/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/unpack/entry.h"
#include "images/unpack/hash.h"
#include "images/unpack/stream.h"
#include "images/unpack/tree.h"
#include "images/unpack/work.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/sha256.h"
#include "runtime/base/str.h"

#define DOCUMENT_MAX (20u << 20) /* CVE-2023-25153 */
#define NESTING_MAX  4
#define IMAGES_MAX   64
#define LAYERS_MAX   UNPACK_LAYERS_MAX

/* A file of the layout. */
struct part {
	int fd;
	bool own; /* to be closed */
	uint64_t at, len;
};

static void own_part(struct part *p)
{
	if (p->own)
		close(p->fd);
}
#define auto_part __attribute__((cleanup(own_part)))
#define PART_NONE        \
	{                \
		.fd = -1 \
	}

/* A layer of this import that was read already. */
struct known {
	uint8_t digest[32];
	int fd;
};

struct descriptor {
	const char *digest, *type;
	uint8_t bytes[32]; /* of the digest */
	uint64_t size;
	char name[88]; /* "blobs/sha256/..." */
};

/* An image to be, found under one or more names. */
struct found {
	struct descriptor manifest;
	struct str names;
};

struct import {
	struct work *w;
	const struct layout *l;
	struct arena *a;
	struct known known[LAYERS_MAX];
	size_t n_known;
	struct found images[IMAGES_MAX];
	size_t n_images;
	struct str others; /* machines that there are images for, but not this one */
	struct err *e;
};

/* --- Files ---------------------------------------------------------------------------------------------- */

static int missing(struct import *i, const char *name)
{
	char q[ENTRY_QUOTED_MAX];

	return err_set(i->e, ERR_INVALID, "'%s' is not in it", entry_quote(name, q));
}

static int open_in_archive(struct import *i, const char *name, struct part *p)
{
	const struct tree_node *n = tree_lookup(i->l->tree, name);
	char q[ENTRY_QUOTED_MAX];

	if (!n)
		return missing(i, name);
	if (!S_ISREG(n->mode) || n->file.n_segments > 1 ||
	    (n->file.size && (!n->file.n_segments || n->file.segments[0].at ||
			      n->file.segments[0].len != n->file.size)))
		return err_set(i->e, ERR_INVALID, "'%s' is not an ordinary file in it",
			       entry_quote(name, q));
	*p = (struct part){ .fd = i->l->fd, .len = n->file.size };
	if (n->file.size)
		p->at = i->l->at + n->file.segments[0].pos;
	return 0;
}

static int open_in_directory(struct import *i, const char *name, struct part *p)
{
	struct unpack_report *r = i->w->b->report;
	char q[ENTRY_QUOTED_MAX];
	struct stat st;
	int fd;

	if (!i->w->b->ask || strlen(name) >= sizeof(r->name))
		return missing(i, name);
	strcpy(r->name, name);
	fd = work_ask(i->w, UNPACK_WANT_FILE, i->e);
	if (fd < 0)
		return fd == -2 ? -1 : missing(i, name);
	*p = (struct part){ .fd = fd, .own = true };
	if (fstat(fd, &st) < 0)
		return err_set(i->e, errno, "cannot read '%s'", entry_quote(name, q));
	if (!S_ISREG(st.st_mode))
		return err_set(i->e, ERR_INVALID, "'%s' is not an ordinary file",
			       entry_quote(name, q));
	p->len = (uint64_t)st.st_size;
	return 0;
}

static int open_part(struct import *i, const char *name, struct part *p)
{
	return i->l->fd < 0 ? open_in_directory(i, name, p) : open_in_archive(i, name, p);
}

/* The text of a document, in the arena. */
static const char *read_part(struct import *i, const char *name, size_t *len)
{
	auto_part struct part p = PART_NONE;
	char q[ENTRY_QUOTED_MAX];
	char *text;

	if (open_part(i, name, &p) < 0)
		return NULL;
	if (p.len > DOCUMENT_MAX) {
		err_set(i->e, ERR_INVALID, "'%s' has more than %u bytes", entry_quote(name, q),
			DOCUMENT_MAX);
		return NULL;
	}
	text = arena_alloc(i->a, (size_t)p.len + 1);
	if (!text) {
		err_set(i->e, ENOMEM, "cannot read '%s'", entry_quote(name, q));
		return NULL;
	}
	for (uint64_t at = 0; at < p.len;) {
		ssize_t n = pread(p.fd, text + at, (size_t)(p.len - at), (off_t)(p.at + at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err_set(i->e, n < 0 ? errno : EIO, "cannot read '%s'",
				entry_quote(name, q));
			return NULL;
		}
		at += (uint64_t)n;
	}
	*len = (size_t)p.len;
	return text;
}

/* --- Digests --------------------------------------------------------------------------------------------- */

/* "sha256:" and 64 digits: what everybody writes, and all that is taken. */
static int parse_digest(struct import *i, const char *text, uint8_t out[32])
{
	char q[ENTRY_QUOTED_MAX];
	const char *hex = text ? str_after(text, "sha256:") : NULL;

	if (hex && digest_of_hex(hex, out))
		return 0;
	return err_set(i->e, ERR_INVALID, "'%s' is not a sha256 digest",
		       text ? entry_quote(text, q) : "");
}

static void digest_of(const void *data, size_t len, uint8_t out[32])
{
	struct hash h;

	hash_init(&h);
	hash_update(&h, data, len);
	hash_digest(&h, out);
}

static int read_descriptor(struct import *i, const struct json *v, struct descriptor *d)
{
	*d = (struct descriptor){ .type = "" };
	if (!v)
		return err_set(i->e, ERR_INVALID, "a descriptor is missing");
	if (json_expect(v, JSON_OBJECT, i->e) < 0 ||
	    json_string(json_get(v, "mediaType"), &d->type, i->e) < 0 ||
	    json_string(json_get(v, "digest"), &d->digest, i->e) < 0 ||
	    json_u64(json_get(v, "size"), 0, INT64_MAX, &d->size, i->e) < 0)
		return -1;
	if (parse_digest(i, d->digest, d->bytes) < 0)
		return -1;
	snprintf(d->name, sizeof(d->name), "blobs/sha256/%s", d->digest + strlen("sha256:"));
	return 0;
}

static const char *read_checked(struct import *i, const struct descriptor *d, size_t *len)
{
	const char *text = read_part(i, d->name, len);
	uint8_t got[32];

	if (!text)
		return NULL;
	if (*len != d->size) {
		err_set(i->e, ERR_INVALID, "'%s' has %zu bytes, not %llu", d->name, *len,
			(unsigned long long)d->size);
		return NULL;
	}
	digest_of(text, *len, got);
	if (memcmp(got, d->bytes, 32) != 0) {
		err_set(i->e, ERR_INVALID, "'%s' is damaged: its digest is another", d->name);
		return NULL;
	}
	return text;
}

/* --- Layers ------------------------------------------------------------------------------------------------ */

static int remember(struct import *i, const struct work_layer *l)
{
	if (i->n_known == LAYERS_MAX) {
		close(l->fd);
		return err_set(i->e, ERR_NOT_SUPPORTED, "it has more than %d layers", LAYERS_MAX);
	}
	memcpy(i->known[i->n_known].digest, l->digest, 32);
	i->known[i->n_known++].fd = l->fd;
	return 0;
}

/* @blob: what it is by its descriptor; NULL: nothing says so. */
static int take_layer(struct import *i, const char *name, const uint8_t diff_id[32],
		      const struct descriptor *blob, struct tree *t, struct work_layer *l)
{
	auto_part struct part p = PART_NONE;
	uint8_t got[32];
	bool compressed = blob && memcmp(blob->bytes, diff_id, 32) != 0;
	int fd;

	*l = (struct work_layer){ .fd = -1 };
	memcpy(l->digest, diff_id, 32);
	for (size_t k = 0; k < i->n_known; k++)
		if (memcmp(i->known[k].digest, diff_id, 32) == 0)
			return work_layer_known(i->w, i->known[k].fd, t, l, i->e);
	fd = work_fetch(i->w, diff_id, i->e);
	if (fd == -2)
		return -1;
	if (fd >= 0) {
		l->fd = fd; /* the import's from here on, whatever becomes of it */
		return remember(i, l) < 0 ? -1 : work_layer_known(i->w, fd, t, l, i->e);
	}
	if (open_part(i, name, &p) < 0)
		return -1;
	if (blob && p.len != blob->size)
		return err_set(i->e, ERR_INVALID, "'%s' has %llu bytes, not %llu", name,
			       (unsigned long long)p.len, (unsigned long long)blob->size);
	if (work_layer_read(
		    i->w,
		    &(struct stream_input){ .fd = p.fd, .part = true, .at = p.at, .len = p.len }, t,
		    l, compressed ? got : NULL, i->e) < 0)
		return -1;
	if (remember(i, l) < 0)
		return -1;
	if ((compressed && memcmp(got, blob->bytes, 32) != 0) ||
	    memcmp(l->digest, diff_id, 32) != 0)
		return err_set(i->e, ERR_INVALID, "it is damaged: its digest is another");
	return 0;
}

/* What an image is made of, whichever format it came in. */
struct recipe {
	const char *config, *manifest; /* NULL: it has none */
	size_t config_len, manifest_len;
	const char *const *diff_ids; /* "sha256:..." */
	size_t n;
	const char *const *files;	/* of its layers */
	const struct descriptor *blobs; /* of its layers, or NULL */
};

static int read_diff_ids(struct import *i, struct recipe *r)
{
	const struct json *config = json_parse(i->a, r->config, r->config_len, i->e), *rootfs;

	if (!config)
		return err_in(i->e, "its configuration");
	rootfs = json_get(config, "rootfs");
	if (json_expect(rootfs, JSON_OBJECT, i->e) < 0 ||
	    json_strings(json_get(rootfs, "diff_ids"), i->a, &r->diff_ids, &r->n, i->e) < 0)
		return err_in(i->e, "its configuration");
	if (!r->n)
		return err_set(i->e, ERR_INVALID, "its configuration names no layers");
	if (r->n > LAYERS_MAX)
		return err_set(i->e, ERR_NOT_SUPPORTED, "it has %zu layers, more than %d", r->n,
			       LAYERS_MAX);
	return 0;
}

/* The manifest of an image that brings none: its layers as they are in the store. */
static int write_manifest(struct import *i, const struct recipe *r, const struct work_layer *layers,
			  struct str *out)
{
	static const char config_type[] = "application/vnd.oci.image.config.v1+json",
			  layer_type[] = "application/vnd.oci.image.layer.v1.tar";
	struct json_writer w = { .out = out };
	char digest[72] = "sha256:";
	uint8_t bytes[32];

	digest_of(r->config, r->config_len, bytes);
	for (int k = 0; k < 32; k++)
		sprintf(digest + strlen("sha256:") + 2 * k, "%02x", bytes[k]);
	json_open(&w, NULL, '{');
	json_put_u64(&w, "schemaVersion", 2);
	json_put_string(&w, "mediaType", "application/vnd.oci.image.manifest.v1+json");
	json_open(&w, "config", '{');
	json_put_string(&w, "mediaType", config_type);
	json_put_string(&w, "digest", digest);
	json_put_u64(&w, "size", r->config_len);
	json_close(&w);
	json_open(&w, "layers", '[');
	for (size_t k = 0; k < r->n; k++) {
		json_open(&w, NULL, '{');
		json_put_string(&w, "mediaType", layer_type);
		json_put_string(&w, "digest", r->diff_ids[k]);
		json_put_u64(&w, "size", layers[k].size);
		json_close(&w);
	}
	json_close(&w);
	json_close(&w);
	return out->failed ? err_set(i->e, ENOMEM, "cannot import") : 0;
}

static int make_image(struct import *i, const struct recipe *r, struct str *names)
{
	struct work_texts x = { .config = r->config,
				.config_len = r->config_len,
				.manifest = r->manifest,
				.manifest_len = r->manifest_len };
	auto_free struct work_layer *layers = calloc(r->n, sizeof(*layers));
	auto_str struct str manifest = { 0 };
	struct tree *t = tree_new();
	char q[ENTRY_QUOTED_MAX];
	int rc = 0;

	if (!layers || !t)
		rc = err_set(i->e, ENOMEM, "cannot unpack");
	for (size_t k = 0; rc == 0 && k < r->n; k++) {
		uint8_t diff_id[32];

		tree_next_layer(t, true);
		rc = parse_digest(i, r->diff_ids[k], diff_id);
		if (rc == 0)
			rc = take_layer(i, r->files[k], diff_id, r->blobs ? &r->blobs[k] : NULL, t,
					&layers[k]);
		if (rc < 0)
			err_in(i->e, "layer %zu, '%s'", k, entry_quote(r->files[k], q));
	}
	x.names = *names;
	if (rc == 0 && !r->manifest) {
		rc = write_manifest(i, r, layers, &manifest);
		x.manifest = manifest.s;
		x.manifest_len = manifest.len;
	}
	if (rc == 0)
		rc = work_root(i->w, t, layers, r->n, i->e);
	if (rc == 0)
		rc = work_image(i->w, t, layers, r->n, &x, i->e);
	tree_free(t);
	return rc;
}

/* --- OCI ---------------------------------------------------------------------------------------------------- */

/* Docker's names for the same things are aliases (image-spec media-types.md). */
enum document { DOC_OTHER, DOC_INDEX, DOC_MANIFEST };

static enum document document_of(const char *type)
{
	static const struct {
		const char *type;
		enum document is;
	} types[] = {
		{ "application/vnd.oci.image.index.v1+json", DOC_INDEX },
		{ "application/vnd.docker.distribution.manifest.list.v2+json", DOC_INDEX },
		{ "application/vnd.oci.image.manifest.v1+json", DOC_MANIFEST },
		{ "application/vnd.docker.distribution.manifest.v2+json", DOC_MANIFEST },
	};

	for (size_t k = 0; k < sizeof(types) / sizeof(*types); k++)
		if (streq(type, types[k].type))
			return types[k].is;
	return DOC_OTHER;
}

/* CVE-2021-41190: a document that is an index to one reader and a manifest to another. */
static const struct json *parse_document(struct import *i, const struct descriptor *d,
					 enum document want, const char **text, size_t *len)
{
	const char *type = NULL;
	const struct json *doc;

	*text = read_checked(i, d, len);
	doc = *text ? json_parse(i->a, *text, *len, i->e) : NULL;
	if (!doc || json_expect(doc, JSON_OBJECT, i->e) < 0 ||
	    json_string(json_get(doc, "mediaType"), &type, i->e) < 0) {
		if (*text)
			err_in(i->e, "'%s'", d->name);
		return NULL;
	}
	if ((json_get(doc, "manifests") && (json_get(doc, "layers") || json_get(doc, "config"))) ||
	    (type && document_of(type) != want) ||
	    !json_get(doc, want == DOC_INDEX ? "manifests" : "layers")) {
		err_set(i->e, ERR_INVALID, "'%s' is not what its media type says", d->name);
		return NULL;
	}
	return doc;
}

static int import_manifest(struct import *i, const struct descriptor *d, struct str *names)
{
	struct recipe r = { 0 };
	const struct json *m = parse_document(i, d, DOC_MANIFEST, &r.manifest, &r.manifest_len), *v;
	struct descriptor config, *blobs;
	const char **files;
	size_t n = 0;

	if (!m || read_descriptor(i, json_get(m, "config"), &config) < 0)
		return -1;
	if (!strstr(config.type, ".image.config.") && !strstr(config.type, ".container.image."))
		return err_set(i->e, ERR_NOT_SUPPORTED,
			       "it is an artifact, not an image: its configuration is '%.80s'",
			       config.type);
	r.config = read_checked(i, &config, &r.config_len);
	if (!r.config || read_diff_ids(i, &r) < 0)
		return -1;
	v = json_get(m, "layers");
	if (json_expect(v, JSON_ARRAY, i->e) < 0)
		return -1;
	if (v->count != r.n)
		return err_set(i->e, ERR_INVALID,
			       "its manifest has %u layers, and its configuration %zu", v->count,
			       r.n);
	r.files = files = arena_array(i->a, r.n, sizeof(*files));
	r.blobs = blobs = arena_array(i->a, r.n, sizeof(*blobs));
	if (!files || !blobs)
		return err_set(i->e, ENOMEM, "cannot import");
	for (v = v->first; v; v = v->next, n++) {
		if (read_descriptor(i, v, &blobs[n]) < 0)
			return err_in(i->e, "layer %zu", n);
		files[n] = blobs[n].name;
	}
	return make_image(i, &r, names);
}

static void note_name(struct str *names, const char *name)
{
	/* a line each; what is no name is sorted out by whoever gives it */
	if (!name || !*name || strchr(name, '\n'))
		return;
	str_add(names, name);
	str_add(names, "\n");
}

/* What a descriptor of index.json is called. A bare tag, as skopeo and umoci write it, is no name. */
static const char *name_of(const struct json *d, struct err *e)
{
	const struct json *a = json_get(d, "annotations");
	const char *name = NULL;

	if (json_string(json_get(a, "io.containerd.image.name"), &name, e) < 0)
		return NULL;
	if (!name && json_string(json_get(a, "org.opencontainers.image.ref.name"), &name, e) < 0)
		return NULL;
	return name && (strchr(name, ':') || strchr(name, '/')) ? name : NULL;
}

static bool is_attestation(const struct json *d)
{
	const char *type = NULL;
	struct err ignored;

	(void)json_string(json_get(json_get(d, "annotations"), "vnd.docker.reference.type"), &type,
			  &ignored);
	return type && streq(type, "attestation-manifest");
}

/* How well the descriptor's platform suits: 0 not at all; none given suits somewhat. */
static int suits(struct import *i, const struct json *d)
{
	const struct unpack_request *q = i->w->b->q;
	const struct json *p = json_get(d, "platform");
	const char *os = "linux", *arch = NULL, *variant = "";
	struct err ignored;
	char one[80];

	if (!p)
		return 1;
	(void)json_string(json_get(p, "os"), &os, &ignored);
	(void)json_string(json_get(p, "architecture"), &arch, &ignored);
	(void)json_string(json_get(p, "variant"), &variant, &ignored);
	if (arch && streq(os, "linux") && streq(arch, q->architecture)) {
		/* the first of amd64's levels, and the only one of arm64, is what everybody means */
		if (!*variant || streq(variant, streq(arch, "amd64") ? "v1" : "v8"))
			return 4;
		return streq(variant, q->variant) || streq(variant, "v7") ? 3 : 2;
	}
	snprintf(one, sizeof(one), "%.20s/%.20s%s%.20s", os, arch ? arch : "?", *variant ? "/" : "",
		 variant);
	if (i->others.len < 512 && (!i->others.s || !strstr(i->others.s, one)))
		str_addf(&i->others, "%s%s", i->others.len ? ", " : "", one);
	return 0;
}

static int add_image(struct import *i, const struct descriptor *d, const char *name)
{
	size_t k = 0;

	while (k < i->n_images && memcmp(i->images[k].manifest.bytes, d->bytes, 32) != 0)
		k++;
	if (k == IMAGES_MAX)
		return err_set(i->e, ERR_NOT_SUPPORTED, "it has more than %d images", IMAGES_MAX);
	if (k == i->n_images)
		i->images[i->n_images++].manifest = *d;
	note_name(&i->images[k].names, name);
	return 0;
}

/* Of a nested index one manifest is taken, the one that suits best; of the outermost, one for each name. */
static int look_into(struct import *i, const struct json *index, const char *name, unsigned depth)
{
	const struct json *list = json_get(index, "manifests"), *best = NULL;
	int best_suits = 0;

	if (json_expect(list, JSON_ARRAY, i->e) < 0)
		return -1;
	for (const struct json *v = list ? list->first : NULL; v; v = v->next) {
		const char *type = "";
		enum document is;
		int s;

		if (json_expect(v, JSON_OBJECT, i->e) < 0 ||
		    json_string(json_get(v, "mediaType"), &type, i->e) < 0)
			return -1;
		is = document_of(type);
		/* what is not known is none of our business, says the image-spec */
		if (is == DOC_OTHER || is_attestation(v))
			continue;
		s = suits(i, v);
		if (s > best_suits) {
			best_suits = s;
			best = v;
		}
		if (depth == 0 && s) {
			struct descriptor d;
			const char *text;
			const struct json *nested;
			size_t len;

			if (read_descriptor(i, v, &d) < 0)
				return -1;
			if (is == DOC_MANIFEST) {
				if (add_image(i, &d, name_of(v, i->e)) < 0)
					return -1;
				continue;
			}
			nested = parse_document(i, &d, DOC_INDEX, &text, &len);
			if (!nested || look_into(i, nested, name_of(v, i->e), 1) < 0)
				return -1;
		}
	}
	if (depth && best) {
		struct descriptor d;
		const char *type = "", *text;
		const struct json *nested;
		size_t len;

		(void)json_string(json_get(best, "mediaType"), &type, i->e);
		if (read_descriptor(i, best, &d) < 0)
			return -1;
		if (document_of(type) == DOC_MANIFEST)
			return add_image(i, &d, name);
		if (depth == NESTING_MAX)
			return err_set(i->e, ERR_INVALID, "indexes in indexes, %d deep",
				       NESTING_MAX);
		nested = parse_document(i, &d, DOC_INDEX, &text, &len);
		return nested ? look_into(i, nested, name, depth + 1) : -1;
	}
	return 0;
}

static int import_oci(struct import *i)
{
	size_t len;
	const char *text = read_part(i, "index.json", &len);
	const struct json *index = text ? json_parse(i->a, text, len, i->e) : NULL;

	i->w->b->report->kind = UNPACK_OCI;
	if (!text)
		return -1;
	if (!index || json_expect(index, JSON_OBJECT, i->e) < 0)
		return err_in(i->e, "'index.json'");
	if (json_get(index, "layers") || json_get(index, "config"))
		return err_set(i->e, ERR_INVALID, "'index.json' is not what its media type says");
	if (look_into(i, index, NULL, 0) < 0)
		return -1;
	if (!i->n_images)
		return err_set(i->e, ERR_NOT_SUPPORTED, "it has no image for linux/%s%s%s",
			       i->w->b->q->architecture, i->others.len ? ", but for " : "",
			       str_text(&i->others));
	for (size_t k = 0; k < i->n_images; k++)
		if (import_manifest(i, &i->images[k].manifest, &i->images[k].names) < 0)
			return -1;
	return 0;
}

/* --- docker save before Docker 25 ------------------------------------------------------------------------- */

/* Where the file is called by its digest, as Docker calls it, it has that digest. */
static int check_config_name(struct import *i, const char *name, const struct recipe *r)
{
	const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	char hex[65] = "", q[ENTRY_QUOTED_MAX];
	uint8_t want[32], got[32];

	if (strlen(base) >= 64)
		snprintf(hex, sizeof(hex), "%.64s", base);
	if ((base[strlen(hex)] && !streq(base + strlen(hex), ".json")) || !digest_of_hex(hex, want))
		return 0;
	digest_of(r->config, r->config_len, got);
	if (memcmp(want, got, 32) != 0)
		return err_set(i->e, ERR_INVALID, "'%s' is damaged: its digest is another",
			       entry_quote(name, q));
	return 0;
}

static int import_docker_image(struct import *i, const struct json *v)
{
	auto_str struct str names = { 0 };
	struct recipe r = { 0 };
	const char *config = NULL;
	const char *const *tags = NULL;
	size_t n_tags = 0, n_files = 0;

	if (json_expect(v, JSON_OBJECT, i->e) < 0 ||
	    json_string(json_get(v, "Config"), &config, i->e) < 0 ||
	    json_strings(json_get(v, "RepoTags"), i->a, &tags, &n_tags, i->e) < 0 ||
	    json_strings(json_get(v, "Layers"), i->a, &r.files, &n_files, i->e) < 0)
		return err_in(i->e, "'manifest.json'");
	if (!config)
		return err_set(i->e, ERR_INVALID, "'manifest.json' names no configuration");
	r.config = read_part(i, config, &r.config_len);
	if (!r.config || check_config_name(i, config, &r) < 0 || read_diff_ids(i, &r) < 0)
		return -1;
	if (n_files != r.n)
		return err_set(i->e, ERR_INVALID,
			       "'manifest.json' names %zu layers, and the configuration %zu",
			       n_files, r.n);
	for (size_t k = 0; k < n_tags; k++)
		note_name(&names, tags[k]);
	return make_image(i, &r, &names);
}

static int import_docker(struct import *i)
{
	size_t len;
	const char *text = read_part(i, "manifest.json", &len);
	const struct json *list = text ? json_parse(i->a, text, len, i->e) : NULL;

	i->w->b->report->kind = UNPACK_DOCKER;
	if (!text)
		return -1;
	if (!list || json_expect(list, JSON_ARRAY, i->e) < 0)
		return err_in(i->e, "'manifest.json'");
	if (!list->count || list->count > IMAGES_MAX)
		return err_set(i->e, ERR_INVALID, "'manifest.json' lists %u images", list->count);
	for (const struct json *v = list->first; v; v = v->next)
		if (import_docker_image(i, v) < 0)
			return -1;
	return 0;
}

static bool is_there(struct import *i, const char *name)
{
	auto_part struct part p = PART_NONE;
	struct err kept = *i->e;
	bool there = open_part(i, name, &p) == 0;

	*i->e = kept;
	return there;
}

int layout_import(struct work *w, const struct layout *l, struct err *e)
{
	struct import *i = calloc(1, sizeof(*i));
	int rc;

	if (i)
		*i = (struct import){ .w = w, .l = l, .a = arena_new(0), .e = e };
	if (!i || !i->a)
		rc = err_set(e, ENOMEM, "cannot import");
	else if (is_there(i, "index.json"))
		rc = import_oci(i);
	else if (l->fd < 0)
		rc = err_set(e, ERR_INVALID, "its 'index.json' is missing, or no ordinary file");
	else if (is_there(i, "manifest.json"))
		rc = import_docker(i);
	else
		rc = err_set(
			e, ERR_NOT_SUPPORTED,
			"it is an archive of 'docker save' before version 1.10, which nobody reads any "
			"more: save it again with a newer Docker");
	for (size_t k = 0; i && k < i->n_known; k++)
		close(i->known[k].fd);
	for (size_t k = 0; i && k < i->n_images; k++)
		str_free(&i->images[k].names);
	if (i) {
		str_free(&i->others);
		arena_free(i->a);
	}
	free(i);
	return rc;
}
