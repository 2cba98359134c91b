#include "images/unpack/tar.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/unpack/erofs.h"
#include "images/unpack/hash.h"
#include "images/unpack/tree.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/base/tar.h"

struct writing {
	struct tar tar;
	const struct erofs_layer *layers;
	struct hash sha;
	struct str name; /* of the entry, with "./" in front */
	char **first;	 /* names of inodes with several, by place - 1 */
	size_t n_first, first_size;
	struct err *e;
};

static void hash_each(void *arg, const void *data, size_t len)
{
	hash_update(arg, data, len);
}

static int emit_content(struct writing *t, const struct tree_node *n, uint64_t *total)
{
	for (size_t i = 0; i < n->file.n_segments; i++) {
		const struct tree_segment *s = &n->file.segments[i];

		*total += s->len;
		if (tar_copy(&t->tar, t->layers[n->layer - 1].fd, s->pos, s->len, 0, t->e) < 0)
			return -1;
	}
	return 0;
}

static bool has_holes(const struct tree_node *n)
{
	const struct tree_segment *s = n->file.segments;

	return n->file.size && (n->file.n_segments != 1 || s->at || s->len != n->file.size);
}

/* GNU tar's manual, "PAX Format, Version 1.0": how many pieces, then where each begins and its length, a line each. */
static void sparse_map(const struct tree_node *n, struct str *map)
{
	uint64_t end = 0;
	bool tail;

	for (size_t i = 0; i < n->file.n_segments; i++)
		end = n->file.segments[i].at + n->file.segments[i].len;
	tail = end < n->file.size;
	str_addf(map, "%zu\n", n->file.n_segments + tail);
	for (size_t i = 0; i < n->file.n_segments; i++)
		str_addf(map, "%llu\n%llu\n", (unsigned long long)n->file.segments[i].at,
			 (unsigned long long)n->file.segments[i].len);
	if (tail)
		str_addf(map, "%llu\n0\n", (unsigned long long)n->file.size);
	while (map->len % TAR_BLOCK && !map->failed)
		str_add_n(map, "", 1);
}

static void record_number(struct str *out, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	tar_record(out, key, text, strlen(text));
}

static int emit_file(struct writing *t, const struct tree_node *n, struct tar_entry *h,
		     struct str *pax)
{
	auto_str struct str map = { 0 };
	uint64_t total = 0;

	h->size = n->file.size;
	if (has_holes(n)) {
		sparse_map(n, &map);
		if (map.failed)
			return err_set(t->e, ENOMEM, "cannot write a layer");
		record_number(pax, "GNU.sparse.major", 1);
		record_number(pax, "GNU.sparse.minor", 0);
		tar_record(pax, "GNU.sparse.name", h->name, strlen(h->name));
		record_number(pax, "GNU.sparse.realsize", n->file.size);
		h->size = map.len;
		for (size_t i = 0; i < n->file.n_segments; i++)
			h->size += n->file.segments[i].len;
	}
	if (tar_put(&t->tar, h, pax, t->e) < 0 ||
	    tar_data(&t->tar, str_text(&map), map.len, t->e) < 0 || emit_content(t, n, &total) < 0)
		return -1;
	return tar_pad(&t->tar, total, t->e);
}

static const char *first_name(struct writing *t, struct tree_node *n)
{
	if (n->place)
		return t->first[n->place - 1];
	if (n->nlink < 2 || S_ISDIR(n->mode))
		return NULL;
	if (t->n_first == t->first_size) {
		size_t size = t->first_size ? 2 * t->first_size : 64;
		char **more = reallocarray(t->first, size, sizeof(*more));

		if (!more)
			return NULL; /* another copy of it then; memory will not last much longer */
		t->first = more;
		t->first_size = size;
	}
	t->first[t->n_first] = strdup(t->name.s);
	if (t->first[t->n_first])
		n->place = ++t->n_first;
	return NULL;
}

static int emit_entry(struct writing *t, struct tree_node *n)
{
	auto_str struct str pax = { 0 };
	const char *link = first_name(t, n);
	struct tar_entry h = { .name = t->name.s,
			       .link = link		? link :
				       S_ISLNK(n->mode) ? n->target :
							  "",
			       .type = link		 ? '1' :
				       S_ISDIR(n->mode)	 ? '5' :
				       S_ISLNK(n->mode)	 ? '2' :
				       S_ISFIFO(n->mode) ? '6' :
							   '0',
			       .mode = n->mode & 07777,
			       .uid = n->uid,
			       .gid = n->gid,
			       .mtime = n->mtime };

	for (size_t i = 0; !link && i < n->n_xattrs; i++) {
		char key[300];

		snprintf(key, sizeof(key), "SCHILY.xattr.%s", n->xattrs[i].name);
		tar_record(&pax, key, n->xattrs[i].value, n->xattrs[i].len);
	}
	if (!link && S_ISREG(n->mode))
		return emit_file(t, n, &h, &pax);
	return tar_put(&t->tar, &h, &pax, t->e);
}

static int emit_dir(struct writing *t, struct tree_node *dir)
{
	size_t n, len = t->name.len;
	auto_free struct tree_entry **list = tree_sorted(dir, &n);

	if (!list)
		return err_set(t->e, ENOMEM, "cannot write a layer");
	for (size_t i = 0; i < n; i++) {
		struct tree_node *child = list[i]->node;

		t->name.len = len;
		str_add(&t->name, list[i]->name);
		if (S_ISDIR(child->mode))
			str_add(&t->name, "/");
		if (t->name.failed)
			return err_set(t->e, ENOMEM, "cannot write a layer");
		if (emit_entry(t, child) < 0 || (S_ISDIR(child->mode) && emit_dir(t, child) < 0))
			return -1;
	}
	return 0;
}

int tar_write(struct tree_node *top, const struct erofs_layer *layers, int fd, uint8_t digest[32],
	      struct err *e)
{
	struct writing t = { .layers = layers, .e = e };
	int rc = tar_begin(&t.tar, fd, e);

	hash_init(&t.sha);
	t.tar.each = hash_each;
	t.tar.arg = &t.sha;
	str_add(&t.name, "./");
	if (rc == 0 && t.name.failed)
		rc = err_set(e, ENOMEM, "cannot write a layer");
	if (rc == 0 && (emit_entry(&t, top) < 0 || emit_dir(&t, top) < 0))
		rc = -1;
	if (rc == 0)
		rc = tar_end(&t.tar, e);
	hash_digest(&t.sha, digest);
	for (size_t i = 0; i < t.n_first; i++)
		free(t.first[i]);
	free(t.first);
	tar_free(&t.tar);
	str_free(&t.name);
	return rc;
}
