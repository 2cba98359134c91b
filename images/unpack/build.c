/*
 *	archive -> stream -> layers/part -> layers/<diff id>
 *		      \-> reader -> tree -> images/<n>/root
 *
 * An archive is read once. It is kept in its uncompressed form while it is read; what turns out to be an archive of
 * images then is looked into like a directory, its tree telling where in it each of its files lies.
 */
#include "images/unpack/build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/unpack/erofs.h"
#include "images/unpack/layout.h"
#include "images/unpack/read.h"
#include "images/unpack/spread.h"
#include "images/unpack/stream.h"
#include "images/unpack/tar.h"
#include "images/unpack/tree.h"
#include "images/unpack/work.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/sha256.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"

#define PART "layers/part"

/* --- Files of the target ------------------------------------------------------------------------------ */

int work_create(struct work *w, const char *path, struct err *e)
{
	int fd = sys_openat2(w->b->target, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600,
			     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

	return fd < 0 ? err_set(e, errno, "cannot make '%s'", path) : fd;
}

int work_dir(struct work *w, const char *path, struct err *e)
{
	if (mkdirat(w->b->target, path, 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "cannot make '%s'", path);
	return 0;
}

int work_write(struct work *w, const char *path, const void *data, size_t len, struct err *e)
{
	auto_fd int fd = work_create(w, path, e);

	if (fd < 0)
		return -1;
	return file_write_all(fd, data, len) < 0 ? err_set(e, errno, "cannot write '%s'", path) : 0;
}

/* --- Layers ------------------------------------------------------------------------------------------- */

static int keep_file(struct work *w, int fd, const char *from, const char *dir, const char *id,
		     struct err *e)
{
	char to[80];

	if (fsync(fd) < 0)
		return err_set(e, errno, "cannot write '%s'", from);
	snprintf(to, sizeof(to), "%s/%s", dir, id);
	if (sys_renameat2(w->b->target, from, w->b->target, to, 0) < 0)
		return err_set(e, errno, "cannot rename '%s'", from);
	return 0;
}

int work_ask(struct work *w, enum unpack_state what, struct err *e)
{
	struct unpack_report *r = w->b->report;
	int fd;

	r->state = what;
	fd = w->b->ask(w->b->arg, r, e);
	r->state = UNPACK_RUNNING;
	return fd;
}

int work_fetch(struct work *w, const uint8_t digest[32], struct err *e)
{
	struct unpack_report *r = w->b->report;

	if (!w->b->ask)
		return -1;
	memcpy(r->digest, digest, 32);
	return work_ask(w, UNPACK_WANT_LAYER, e);
}

static int set_size(struct work_layer *l, struct err *e)
{
	struct stat st;

	if (fstat(l->fd, &st) < 0)
		return err_set(e, errno, "cannot read a layer");
	l->size = (uint64_t)st.st_size;
	return 0;
}

/* A stream of the input, to PART; and the blob that it came in, if that is to be kept. */
struct intake {
	const struct builder *b;
	struct stream *stream;
	int part, blob;
};

#define INTAKE_NONE                    \
	{                              \
		.part = -1, .blob = -1 \
	}
#define BLOB_PART "blobs/part"

static void own_intake(struct intake *i)
{
	if (i->stream && i->b->last)
		return; /* its threads use what is here, to the end */
	stream_close(i->stream);
	own_close(&i->part);
	own_close(&i->blob);
}
#define auto_intake __attribute__((cleanup(own_intake)))

static int intake_open(struct work *w, struct intake *i, struct stream_input in, bool keep_blob,
		       struct err *e)
{
	i->b = w->b;
	in.copy_in = -1;
	in.isal = w->b->isal;
	in.max_bytes = w->b->q->max_bytes;
	in.max_ratio = w->b->q->max_ratio;
	if (work_dir(w, "layers", e) < 0 || (i->part = work_create(w, PART, e)) < 0)
		return -1;
	if (keep_blob) {
		if (work_dir(w, "blobs", e) < 0 || (i->blob = work_create(w, BLOB_PART, e)) < 0)
			return -1;
		in.copy_in = i->blob;
	}
	in.copy = i->part;
	i->stream = stream_open(&in, e);
	return i->stream ? 0 : -1;
}

/* What was read is layer @l: it and its blob get their names. Closes the stream. */
static int intake_keep(struct work *w, struct intake *i, struct work_layer *l, struct err *e)
{
	hex_of_digest(l->digest, l->id);
	if (keep_file(w, i->part, PART, "layers", l->id, e) < 0)
		return -1;
	if (i->blob >= 0 && stream_compression(i->stream) != UNPACK_NONE) {
		if (keep_file(w, i->blob, BLOB_PART, "blobs", l->id, e) < 0)
			return -1;
	} else if (i->blob >= 0 && unlinkat(w->b->target, BLOB_PART, 0) < 0) {
		return err_set(e, errno, "cannot remove '%s'", BLOB_PART);
	}
	reader_count(w->reader, i->stream);
	stream_close(i->stream);
	i->stream = NULL;
	l->fd = take_fd(&i->part);
	return set_size(l, e);
}

int work_layer_read(struct work *w, const struct stream_input *in, struct tree *t,
		    struct work_layer *l, uint8_t blob[32], struct err *e)
{
	auto_intake struct intake i = INTAKE_NONE;
	struct reading k = { 0 };
	struct stream_input from = *in;
	char id[65];

	from.hash = blob != NULL;
	if (intake_open(w, &i, from, w->b->q->flags & UNPACK_KEEP_BLOBS, e) < 0 ||
	    reader_stream(w->reader, i.stream, t, &k, e) < 0)
		return -1;
	if (k.bad_ids)
		return reader_check(w->reader, &k, e);
	if (stream_digest(i.stream, l->digest, blob, e) < 0)
		return -1;
	hex_of_digest(l->digest, id);
	return intake_keep(w, &i, l, e);
}

int work_layer_known(struct work *w, int fd, struct tree *t, struct work_layer *l, struct err *e)
{
	struct reading k = { 0 };

	hex_of_digest(l->digest, l->id);
	l->fd = fd;
	if (set_size(l, e) < 0 || reader_file(w->reader, fd, 0, l->size, t, &k, e) < 0)
		return -1;
	return k.bad_ids ? reader_check(w->reader, &k, e) : 0;
}

/* --- Images ------------------------------------------------------------------------------------------- */

static void count_tree(const struct tree_node *dir, uint64_t *entries, uint64_t *bytes)
{
	for (const struct tree_entry *i = dir->dir.first; i; i = i->next) {
		if (!i->node->mode)
			continue;
		++*entries;
		if (S_ISDIR(i->node->mode))
			count_tree(i->node, entries, bytes);
		else if (S_ISREG(i->node->mode))
			for (size_t k = 0; k < i->node->file.n_segments; k++)
				*bytes += i->node->file.segments[k].len;
	}
}

static int write_root(struct work *w, const char *path, struct tree *t,
		      const struct work_layer *layers, size_t n, struct err *e)
{
	auto_free struct erofs_layer *list = calloc(n + 1, sizeof(*list));
	auto_fd int fd = -1;

	if (!list)
		return err_set(e, ENOMEM, "cannot unpack");
	for (size_t i = 0; i < n; i++)
		list[i] = (struct erofs_layer){ layers[i].fd, layers[i].size };
	if (w->b->q->flags & UNPACK_DIRECTORIES) {
		if (mkdirat(w->b->target, path, 0700) < 0)
			return err_set(e, errno, "cannot make '%s'", path);
		fd = sys_openat2(w->b->target, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
				 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
		if (fd < 0)
			return err_set(e, errno, "cannot open '%s'", path);
		return spread_write(t, list, fd, &w->b->report->skipped_xattrs, e);
	}
	fd = work_create(w, path, e);
	if (fd < 0 || erofs_write(t, list, n, fd, e) < 0)
		return -1;
	return fsync(fd) < 0 ? err_set(e, errno, "cannot write the index") : 0;
}

int work_root(struct work *w, struct tree *t, const struct work_layer *layers, size_t n,
	      struct err *e)
{
	char dir[40], path[80];

	snprintf(dir, sizeof(dir), "images/%u", w->b->report->images);
	snprintf(path, sizeof(path), "%s/root", dir);
	return work_dir(w, "images", e) < 0 || work_dir(w, dir, e) < 0 ?
		       -1 :
		       write_root(w, path, t, layers, n, e);
}

int work_image(struct work *w, struct tree *t, const struct work_layer *layers, size_t n,
	       struct work_texts *x, struct err *e)
{
	uint64_t entries = 0, bytes = 0;
	auto_str struct str ids = { 0 };
	char path[80], facts[64];

	count_tree(tree_root(t), &entries, &bytes);
	for (size_t i = 0; i < n; i++)
		str_addf(&ids, "%s\n", layers[i].id);
	if (ids.failed || (x && x->names.failed))
		return err_set(e, ENOMEM, "cannot unpack");
	snprintf(facts, sizeof(facts), "%llu %llu\n", (unsigned long long)entries,
		 (unsigned long long)bytes);
	struct {
		const char *name, *text;
		size_t len;
	} files[] = {
		{ "layers", str_text(&ids), ids.len },
		{ "facts", facts, strlen(facts) },
		{ "names", x ? str_text(&x->names) : NULL, x ? x->names.len : 0 },
		{ "config.json", x ? x->config : NULL, x ? x->config_len : 0 },
		{ "manifest.json", x ? x->manifest : NULL, x ? x->manifest_len : 0 },
	};
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "images/%u/%s", w->b->report->images, files[i].name);
		if (files[i].text && work_write(w, path, files[i].text, files[i].len, e) < 0)
			return -1;
	}
	w->b->report->images++;
	return 0;
}

/* --- The jobs ------------------------------------------------------------------------------------------ */

static bool holds_images(unsigned top)
{
	return !(top & TOP_ROOTFS) &&
	       (top & (TOP_OCI_LAYOUT | TOP_MANIFEST | TOP_REPOSITORIES | TOP_INDEX));
}

static int refuse_kinds(unsigned top, struct err *e)
{
	const char *why = NULL;

	if (top & TOP_ROOTFS)
		return 0;
	if ((top & TOP_METADATA) && (top & TOP_ROOTFS_IMG))
		why = "an Incus image of a virtual machine: only those of containers can be imported";
	else if ((top & TOP_METADATA) && !(top & TOP_ROOTFS_DIR))
		why = "the metadata half of an Incus image: import the half with its root filesystem";
	else if (top & TOP_CREATE_MESSAGE)
		why = "the metadata half of an LXC image: import its rootfs.tar.xz";
	return why ? err_set(e, ERR_NOT_SUPPORTED, "it is %s", why) : 0;
}

/*
 * A part of an archive, or with other names than its own, is a layer that has to be written anew: it must be what its
 * digest says wherever it goes.
 */
static int rewrite_layer(struct work *w, struct tree_node *top, struct work_layer *from,
			 struct tree **t, struct work_layer *l, struct err *e)
{
	const struct erofs_layer source = { from->fd, from->size };
	struct reading k = { 0 };
	int fd = work_create(w, PART, e);

	*l = (struct work_layer){ .fd = fd };
	if (fd < 0 || tar_write(top, &source, fd, l->digest, e) < 0)
		return -1;
	hex_of_digest(l->digest, l->id);
	if (keep_file(w, fd, PART, "layers", l->id, e) < 0 || set_size(l, e) < 0)
		return -1;
	tree_free(*t);
	*t = tree_new();
	if (!*t)
		return err_set(e, ENOMEM, "cannot unpack");
	tree_next_layer(*t, false);
	return reader_file(w->reader, l->fd, 0, l->size, *t, &k, e);
}

/* Of what was read: as it came, and uncompressed. */
static int finish_digest(struct work *w, struct intake *i, struct work_layer *l, struct err *e)
{
	uint8_t *input = w->b->report->input_digest;

	if (stream_digest(i->stream, l->digest, input, e) < 0)
		return -1;
	if (!(w->b->q->flags & UNPACK_HASH_INPUT))
		memcpy(input, l->digest, 32);
	return 0;
}

/* The archive is the layer. What needs no digest is done while that is being made. */
static int finish_whole(struct work *w, struct intake *i, struct tree *t, struct work_layer *l,
			struct err *e)
{
	struct work_layer part = { .fd = i->part };

	if (stream_copied(i->stream, e) < 0)
		return -1;
	if (fsync(part.fd) < 0)
		return err_set(e, errno, "cannot write '%s'", PART);
	return set_size(&part, e) < 0 || work_root(w, t, &part, 1, e) < 0 ||
			       finish_digest(w, i, l, e) < 0 ?
		       -1 :
		       intake_keep(w, i, l, e);
}

static int finish_rootfs(struct work *w, struct intake *i, struct tree **t, struct reading *k,
			 struct work_layer *l, struct err *e)
{
	struct tree_node *top = tree_root(*t), *rootfs = NULL;
	struct unpack_report *r = w->b->report;
	struct work_layer raw = { .fd = -1 };
	bool part = w->b->q->flags & UNPACK_PART;

	if (!part && refuse_kinds(k->top, e) < 0)
		return -1;
	if (!part && !(k->top & TOP_ROOTFS) && (k->top & TOP_METADATA))
		rootfs = tree_child(*t, top, "rootfs");
	if (rootfs && !S_ISDIR(rootfs->mode))
		/* GHSA-2q3f-q5pq-g8wv: the directory as a symbolic link */
		return err_set(e, ERR_INVALID, "its 'rootfs' is not a directory");
	r->kind = rootfs ? UNPACK_INCUS : UNPACK_ROOTFS;
	if ((!part || k->bad_ids) && reader_check(w->reader, k, e) < 0)
		return -1;
	if (!rootfs && !k->strip)
		return finish_whole(w, i, *t, l, e);
	if (finish_digest(w, i, l, e) < 0)
		return -1;
	reader_count(w->reader, i->stream);
	stream_close(i->stream);
	i->stream = NULL;
	raw.fd = i->part;
	if (set_size(&raw, e) < 0 || unlinkat(w->b->target, PART, 0) < 0)
		return e->code ? -1 : err_set(e, errno, "cannot remove '%s'", PART);
	return rewrite_layer(w, rootfs ? rootfs : top, &raw, t, l, e) < 0 ?
		       -1 :
		       work_root(w, *t, l, 1, e);
}

static int import_stream(struct work *w, struct tree **t, struct err *e)
{
	auto_intake struct intake i = INTAKE_NONE;
	struct reading k = { .strip = w->b->q->strip };
	struct work_layer l = { .fd = -1 };
	const struct stream_input in = { .fd = w->b->in,
					 .hash = w->b->q->flags & UNPACK_HASH_INPUT };
	struct stat st;
	int rc;

	if (intake_open(w, &i, in, w->b->q->flags & UNPACK_KEEP_BLOBS, e) < 0)
		return -1;
	tree_next_layer(*t, false);
	if (reader_stream(w->reader, i.stream, *t, &k, e) < 0)
		return -1;
	if (w->b->q->flags & UNPACK_PART || !holds_images(k.top)) {
		rc = finish_rootfs(w, &i, t, &k, &l, e);
		if (rc == 0)
			rc = work_image(w, *t, &l, 1, NULL, e);
		own_close(&l.fd);
		return rc;
	}
	if (finish_digest(w, &i, &l, e) < 0)
		return -1;
	reader_count(w->reader, i.stream);
	stream_close(i.stream);
	i.stream = NULL;
	/* the whole is not kept, only what is in it; it goes with its descriptor */
	if (unlinkat(w->b->target, PART, 0) < 0 || fstat(i.part, &st) < 0)
		return err_set(e, errno, "cannot read '%s'", PART);
	if (i.blob >= 0 && unlinkat(w->b->target, BLOB_PART, 0) < 0)
		return err_set(e, errno, "cannot remove '%s'", BLOB_PART);
	return layout_import(w, &(struct layout){ .fd = i.part, .tree = *t }, e);
}

/* An archive of images that lies in a file is looked into where it is. */
static bool is_layout_file(int fd, uint64_t *at, uint64_t *len)
{
	struct stat st;
	off_t pos;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	pos = lseek(fd, 0, SEEK_CUR);
	if (pos != 0 || st.st_size <= 0)
		return false;
	*at = 0;
	*len = (uint64_t)st.st_size;
	return holds_images(reader_peek(fd, *len));
}

static int import_layout_file(struct work *w, struct tree *t, uint64_t at, uint64_t len,
			      struct err *e)
{
	struct reading k = { .container = true };

	tree_next_layer(t, false);
	if (reader_file(w->reader, w->b->in, at, len, t, &k, e) < 0)
		return -1;
	reader_count(w->reader, NULL);
	return layout_import(w, &(struct layout){ .fd = w->b->in, .at = at, .tree = t }, e);
}

static int import_layout_dir(struct work *w, struct err *e)
{
	reader_count(w->reader, NULL);
	return layout_import(w, &(struct layout){ .fd = -1 }, e);
}

static int rebuild(struct work *w, struct tree *t, struct err *e)
{
	size_t n = w->b->q->n_layers;
	auto_free struct work_layer *layers = calloc(n + 1, sizeof(*layers));

	if (!layers)
		return err_set(e, ENOMEM, "cannot unpack");
	for (size_t i = 0; i < n; i++) {
		int fd;

		w->b->report->number = (uint32_t)i;
		fd = work_ask(w, UNPACK_WANT_LAYER, e);
		if (fd < 0)
			return fd == -2 ? -1 : err_set(e, ERR_INVALID, "layer %zu is missing", i);
		tree_next_layer(t, w->b->q->flags & UNPACK_WHITEOUTS);
		if (work_layer_known(w, fd, t, &layers[i], e) < 0)
			return -1;
	}
	return work_root(w, t, layers, n, e) < 0 ? -1 : work_image(w, t, layers, n, NULL, e);
}

int build(struct builder *b, struct err *e)
{
	struct work w = { .b = b, .reader = reader_new(b->q, b->tell, b->arg, b->report) };
	struct tree *t = tree_new();
	uint64_t at, len;
	int rc;

	if (!w.reader || !t)
		rc = err_set(e, ENOMEM, "cannot unpack");
	else if (b->q->job == UNPACK_REBUILD)
		rc = rebuild(&w, t, e);
	else if (b->q->job == UNPACK_LAYOUT)
		rc = import_layout_dir(&w, e);
	else if (!b->q->strip && !(b->q->flags & (UNPACK_HASH_INPUT | UNPACK_PART)) &&
		 is_layout_file(b->in, &at, &len))
		rc = import_layout_file(&w, t, at, len, e);
	else
		rc = import_stream(&w, &t, e);
	tree_free(t);
	reader_free(w.reader);
	return rc;
}
