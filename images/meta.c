#include "images/meta.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "images/store.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/str.h"

#define META_FORMAT 2

const char *meta_digest(const char *s)
{
	const char *hex = str_after(s, "sha256:");

	return hex && is_image_id(hex) ? hex : NULL;
}

static struct json *parse_object(struct arena *a, const char *text, size_t len, struct err *e)
{
	struct json *j = json_parse(a, text, len, e);

	if (j && json_expect(j, JSON_OBJECT, e) < 0)
		return NULL;
	return j;
}

/* Docker writes [] and "" where it means nothing. */
static int strings(const struct json *v, struct arena *a, const char *const **out, struct err *e)
{
	const char *const *list = NULL;
	size_t n = 0;

	if (json_strings(v, a, &list, &n, e) < 0)
		return -1;
	if (n)
		*out = list;
	return 0;
}

static int string(const struct json *v, const char **out, struct err *e)
{
	const char *s = NULL;

	if (json_string(v, &s, e) < 0)
		return -1;
	if (s && *s)
		*out = s;
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* ExposedPorts and Volumes are maps whose values mean nothing. */
static int keys(const struct json *v, struct arena *a, const char *const **out, struct err *e)
{
	const char **list;
	size_t n = 0;

	if (json_expect(v, JSON_OBJECT, e) < 0)
		return -1;
	if (!v || !v->count)
		return 0;
	list = arena_array(a, v->count + 1, sizeof(*list));
	if (!list)
		return err_set(e, ENOMEM, "'%s'", v->key);
	for (const struct json *m = v->first; m; m = m->next)
		list[n++] = m->key;
	qsort(list, n, sizeof(*list), by_text);
	*out = list;
	return 0;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct image_label *)a)->key, ((const struct image_label *)b)->key);
}

static int labels(const struct json *v, struct arena *a, struct image_config *c, struct err *e)
{
	struct image_label *list;
	size_t n = 0;

	if (json_expect(v, JSON_OBJECT, e) < 0)
		return -1;
	if (!v || !v->count)
		return 0;
	list = arena_array(a, v->count, sizeof(*list));
	if (!list)
		return err_set(e, ENOMEM, "'%s'", v->key);
	for (const struct json *m = v->first; m; m = m->next) {
		list[n] = (struct image_label){ .key = m->key, .value = "" };
		if (m->type != JSON_NULL && json_string(m, &list[n].value, e) < 0)
			return err_in(e, "Labels");
		n++;
	}
	qsort(list, n, sizeof(*list), by_key);
	c->labels = list;
	c->n_labels = n;
	return 0;
}

static int rootfs(const struct json *v, struct arena *a, const char *const **diff_ids,
		  struct err *e)
{
	const char *type = "layers";
	size_t n = 0;

	*diff_ids = NULL;
	if (!v)
		return err_set(e, ERR_INVALID, "'rootfs' is missing");
	if (json_expect(v, JSON_OBJECT, e) < 0 || json_string(json_get(v, "type"), &type, e) < 0 ||
	    json_strings(json_get(v, "diff_ids"), a, diff_ids, &n, e) < 0)
		return -1;
	if (!streq(type, "layers"))
		return err_set(e, ERR_INVALID, "'rootfs.type' is not \"layers\"");
	if (!n)
		return err_set(e, ERR_INVALID, "'rootfs.diff_ids' is missing or empty");
	if (n > META_LAYERS_MAX)
		return err_set(e, ERR_INVALID, "'rootfs.diff_ids' lists more than %d layers",
			       META_LAYERS_MAX);
	for (size_t i = 0; i < n; i++)
		if (!meta_digest((*diff_ids)[i]))
			return err_set(e, ERR_INVALID,
				       "'rootfs.diff_ids[%zu]' is not a sha256 digest", i);
	return 0;
}

int meta_read_config(struct arena *a, const char *text, size_t len, struct image_config *out,
		     const char *const **diff_ids, struct err *e)
{
	struct image_config c = { 0 };
	const char *const *ids;
	const struct json *j = parse_object(a, text, len, e), *v;

	if (!j)
		return err_in(e, "image configuration");
	v = json_get(j, "config");
	if (json_expect(v, JSON_OBJECT, e) < 0 || string(json_get(j, "os"), &c.os, e) < 0 ||
	    string(json_get(j, "architecture"), &c.architecture, e) < 0 ||
	    string(json_get(j, "variant"), &c.variant, e) < 0 ||
	    string(json_get(j, "created"), &c.created, e) < 0 ||
	    string(json_get(j, "author"), &c.author, e) < 0 ||
	    strings(json_get(v, "Entrypoint"), a, &c.entrypoint, e) < 0 ||
	    strings(json_get(v, "Cmd"), a, &c.cmd, e) < 0 ||
	    strings(json_get(v, "Env"), a, &c.env, e) < 0 ||
	    string(json_get(v, "WorkingDir"), &c.workdir, e) < 0 ||
	    string(json_get(v, "User"), &c.user, e) < 0 ||
	    string(json_get(v, "StopSignal"), &c.stop_signal, e) < 0 ||
	    keys(json_get(v, "ExposedPorts"), a, &c.exposed_ports, e) < 0 ||
	    keys(json_get(v, "Volumes"), a, &c.volumes, e) < 0 ||
	    labels(json_get(v, "Labels"), a, &c, e) < 0 ||
	    rootfs(json_get(j, "rootfs"), a, &ids, e) < 0)
		return err_in(e, "image configuration");
	*out = c;
	*diff_ids = ids;
	return 0;
}

static void put_keys(struct json_writer *w, const char *key, const char *const *list)
{
	if (!list)
		return;
	json_open(w, key, '{');
	for (size_t i = 0; list[i]; i++) {
		json_open(w, list[i], '{');
		json_close(w);
	}
	json_close(w);
}

void meta_write_config(struct str *out, const struct image_config *c, const char *const *diff_ids)
{
	struct json_writer w = { .out = out };

	json_open(&w, NULL, '{');
	json_put_string(&w, "created", c->created);
	json_put_string(&w, "author", c->author);
	json_put_string(&w, "architecture", c->architecture);
	json_put_string(&w, "variant", c->variant);
	json_put_string(&w, "os", c->os);
	json_open(&w, "config", '{');
	json_put_string(&w, "User", c->user);
	put_keys(&w, "ExposedPorts", c->exposed_ports);
	json_put_strings(&w, "Env", c->env);
	json_put_strings(&w, "Entrypoint", c->entrypoint);
	json_put_strings(&w, "Cmd", c->cmd);
	put_keys(&w, "Volumes", c->volumes);
	json_put_string(&w, "WorkingDir", c->workdir);
	if (c->n_labels) {
		json_open(&w, "Labels", '{');
		for (size_t i = 0; i < c->n_labels; i++)
			json_put_string(&w, c->labels[i].key, c->labels[i].value);
		json_close(&w);
	}
	json_put_string(&w, "StopSignal", c->stop_signal);
	json_close(&w);
	json_open(&w, "rootfs", '{');
	json_put_string(&w, "type", "layers");
	json_put_strings(&w, "diff_ids", diff_ids);
	json_close(&w);
	json_close(&w);
}

int meta_read_image(struct arena *a, const char *text, size_t len, struct meta_image *out,
		    struct err *e)
{
	struct meta_image m = { 0 };
	const struct json *j = parse_object(a, text, len, e);
	uint64_t format = 0;
	size_t n = 0;

	if (!j || json_u64(json_get(j, "format"), 0, UINT32_MAX, &format, e) < 0)
		return err_in(e, "meta.json");
	if (format != META_FORMAT)
		return err_set(e, ERR_NOT_SUPPORTED, "meta.json is of format %u, not of %d",
			       (unsigned)format, META_FORMAT);
	if (json_bool(json_get(j, "system"), &m.system, e) < 0 ||
	    json_i64(json_get(j, "imported"), INT64_MIN, INT64_MAX, &m.imported, e) < 0 ||
	    json_u64(json_get(j, "size"), 0, UINT64_MAX, &m.size, e) < 0 ||
	    json_u64(json_get(j, "entries"), 0, UINT64_MAX, &m.entries, e) < 0 ||
	    json_bool(json_get(j, "whiteouts"), &m.whiteouts, e) < 0 ||
	    json_string(json_get(j, "root"), &m.root, e) < 0 ||
	    json_string(json_get(j, "filesystem"), &m.filesystem, e) < 0 ||
	    json_strings(json_get(j, "layers"), a, &m.layers, &n, e) < 0)
		return err_in(e, "meta.json");
	if (!m.root || !is_image_id(m.root))
		return err_set(e, ERR_INVALID, "meta.json: 'root' is not an id");
	if (!n || n > META_LAYERS_MAX)
		return err_set(e, ERR_INVALID, "meta.json: %zu layers", n);
	if (m.filesystem && (!filesystem_is_known(m.filesystem) || n != 1))
		return err_set(e, ERR_INVALID, "meta.json: 'filesystem' is unknown");
	for (size_t i = 0; i < n; i++)
		if (!is_image_id(m.layers[i]))
			return err_set(e, ERR_INVALID, "meta.json: 'layers[%zu]' is not an id", i);
	*out = m;
	return 0;
}

void meta_write_image(struct str *out, const struct meta_image *m)
{
	struct json_writer w = { .out = out, .indent = true };

	json_open(&w, NULL, '{');
	json_put_u64(&w, "format", META_FORMAT);
	json_put_i64(&w, "imported", m->imported);
	json_put_bool(&w, "system", m->system);
	json_put_u64(&w, "size", m->size);
	json_put_u64(&w, "entries", m->entries);
	json_put_bool(&w, "whiteouts", m->whiteouts);
	json_put_string(&w, "root", m->root);
	if (m->filesystem)
		json_put_string(&w, "filesystem", m->filesystem);
	json_put_strings(&w, "layers", m->layers);
	json_close(&w);
	str_add(out, "\n");
}

void meta_open_descriptor(struct json_writer *w, const char *key, const char *type, const char *hex,
			  uint64_t size)
{
	char digest[sizeof("sha256:") + IMAGE_ID_LEN];

	snprintf(digest, sizeof(digest), "sha256:%s", hex);
	json_open(w, key, '{');
	json_put_string(w, "mediaType", type);
	json_put_string(w, "digest", digest);
	json_put_u64(w, "size", size);
}

void meta_write_manifest(struct str *out, const char *id, size_t config_len,
			 const char *const *diff_ids, const uint64_t *tar_bytes)
{
	struct json_writer w = { .out = out };

	json_open(&w, NULL, '{');
	json_put_u64(&w, "schemaVersion", 2);
	json_put_string(&w, "mediaType", MEDIA_MANIFEST);
	meta_open_descriptor(&w, "config", "application/vnd.oci.image.config.v1+json", id,
			     config_len);
	json_close(&w);
	json_open(&w, "layers", '[');
	for (size_t i = 0; diff_ids[i]; i++) {
		meta_open_descriptor(&w, NULL, "application/vnd.oci.image.layer.v1.tar",
				     diff_ids[i], tar_bytes[i]);
		json_close(&w);
	}
	json_close(&w);
	json_close(&w);
}
