/*
 * The format is that of the kernel's fs/erofs/erofs_fs.h and Documentation/filesystems/erofs.rst. Of its many
 * forms this uses: blocks of 512 bytes, those of tar; extended inodes, for times in nanoseconds; chunk-based files
 * with 8-byte indexes; directories and links in line after their inode where they fit into its block, else in
 * blocks of their own; attributes in line.
 *
 *	0	nothing
 *	1024	super block
 *	1152	device table, a slot a layer
 *	meta	inodes, in the order of the list, each with its attributes, chunk indexes and in-line data
 *	data	blocks of directories and long links
 *	spill	content that cannot be mapped from where it lies
 *
 * Two passes over one list of inodes: the first gives each its place, the second writes. So memory is the
 * tree's own and little more.
 */
#include "images/unpack/erofs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/unpack/tree.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"

#define BLOCK	      512u
#define BLOCK_BITS    9
#define MAGIC	      0xe0f5e1e2u
#define SUPER_AT      1024
#define SLOT	      128
#define SLOTS_AT      (SUPER_AT + SLOT)
#define NID_UNIT      32
#define INODE_SIZE    64
#define DIRENT_SIZE   12
#define XATTR_HEADER  12
#define XATTR_ENTRY   4
#define CHUNK_INDEX   8
#define CHUNK_INDEXES 0x20
#define CHUNK_BITS    31	 /* the largest chunk, in powers of two of a block */
#define CHUNKS_MAX    (1u << 16) /* of a sparse file; beyond, the holes become coarser */
#define NO_BLOCK      UINT32_MAX
#define BUFFER	      (256u << 10)

enum { FEATURE_CHUNKED = 0x4, FEATURE_DEVICES = 0x8 };
enum { LAYOUT_PLAIN = 0, LAYOUT_INLINE = 2, LAYOUT_CHUNKS = 4 };

/* What the first pass finds out about an inode and the second one needs. */
struct plan {
	struct tree_node *node;
	uint64_t data;	 /* where its blocks begin; for spilled content: in the spill */
	uint64_t size;	 /* of a directory: of its blocks */
	uint32_t xattrs; /* bytes after the inode */
	uint8_t layout, chunk_bits;
	bool spilled;
};

struct writer {
	int fd;
	const struct erofs_layer *layers;
	size_t n_layers;
	struct plan *list;
	size_t n, size;
	uint64_t meta, data, spill, spilled; /* offsets; bytes of spill */
	uint8_t *buf;
	size_t used;
	uint64_t at; /* of what is in buf */
	struct err *e;
};

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v & 0xffff);
	put16(p + 2, v >> 16);
}

static void put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)(v >> 32));
}

static uint64_t round_up(uint64_t v, uint64_t unit)
{
	return (v + unit - 1) / unit * unit;
}

/* --- Attributes ------------------------------------------------------------------------------------------- */

/* The attribute's name behind a prefix that the format numbers. */
static const char *xattr_name(const char *name, uint8_t *index)
{
	static const struct {
		const char *prefix;
		uint8_t index;
	} kinds[] = {
		{ "user.", 1 },
		{ "system.posix_acl_access", 2 },
		{ "system.posix_acl_default", 3 },
		{ "trusted.", 4 },
		{ "security.", 6 },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		const char *rest = str_after(name, kinds[i].prefix);

		*index = kinds[i].index;
		if (rest)
			return rest;
	}
	return NULL;
}

static int xattrs_size(const struct tree_node *n, uint32_t *size, struct err *e)
{
	uint64_t total = XATTR_HEADER;

	*size = 0;
	if (!n->n_xattrs)
		return 0;
	for (size_t i = 0; i < n->n_xattrs; i++) {
		uint8_t index;
		const char *name = xattr_name(n->xattrs[i].name, &index);

		if (!name || strlen(name) > 255 || n->xattrs[i].len > UINT16_MAX)
			return err_set(
				e, ERR_NOT_SUPPORTED,
				"an attribute '%.64s' of %zu bytes, which an index cannot hold",
				n->xattrs[i].name, n->xattrs[i].len);
		total += round_up(XATTR_ENTRY + strlen(name) + n->xattrs[i].len, 4);
	}
	/* i_xattr_icount has 16 bits, and counts words */
	if (total > XATTR_HEADER + 4 * (UINT16_MAX - 1))
		return err_set(e, ERR_NOT_SUPPORTED, "%llu bytes of attributes on one file",
			       (unsigned long long)total);
	*size = (uint32_t)total;
	return 0;
}

/* --- Content ----------------------------------------------------------------------------------------------- */

static unsigned bits_for(uint64_t size)
{
	unsigned bits = 0;

	while (bits < CHUNK_BITS && ((uint64_t)BLOCK << bits) < size)
		bits++;
	return bits;
}

/* The largest chunks of which each lies wholly in one piece of the content, or wholly in a hole; -1: there are none. */
static int natural_bits(const struct tree_node *n)
{
	uint64_t size = n->file.size, all = 0, end = 0;
	unsigned bits = 0;

	for (size_t i = 0; i < n->file.n_segments; i++) {
		const struct tree_segment *s = &n->file.segments[i];

		if (s->pos % BLOCK)
			return -1;
		/* neighbours in the file that are none in the archive part there, too */
		all |= s->at;
		end = s->at + s->len;
		if (end != size)
			all |= end;
	}
	if (all % BLOCK)
		return -1;
	if (!all)
		return (int)bits_for(size);
	while (bits < CHUNK_BITS && !(all & ((uint64_t)BLOCK << bits)))
		bits++;
	return (int)bits;
}

static uint64_t chunks_of(uint64_t size, unsigned bits)
{
	uint64_t chunk = (uint64_t)BLOCK << bits;

	return size / chunk + (size % chunk != 0);
}

/* The piece at or after @from, seeking on from *@i: pieces ascend. */
static const struct tree_segment *piece_at(const struct tree_node *n, uint64_t from, size_t *i)
{
	while (*i < n->file.n_segments &&
	       n->file.segments[*i].at + n->file.segments[*i].len <= from)
		++*i;
	return *i < n->file.n_segments ? &n->file.segments[*i] : NULL;
}

/* Bytes that chunk number @k takes in the spill: all of it, or none where nothing but a hole is. */
static uint64_t spill_of(const struct tree_node *n, uint64_t k, unsigned bits, size_t *i)
{
	uint64_t chunk = (uint64_t)BLOCK << bits, from = k * chunk;
	uint64_t len = n->file.size - from < chunk ? n->file.size - from : chunk;
	const struct tree_segment *s = piece_at(n, from, i);

	return s && s->at < from + len ? round_up(len, BLOCK) : 0;
}

static void plan_file(struct writer *w, struct plan *p)
{
	const struct tree_node *n = p->node;
	int bits = natural_bits(n);
	size_t i = 0;

	p->layout = n->file.size ? LAYOUT_CHUNKS : LAYOUT_PLAIN;
	if (!n->file.size)
		return;
	if (bits >= 0 && chunks_of(n->file.size, (unsigned)bits) <= CHUNKS_MAX) {
		p->chunk_bits = (uint8_t)bits;
		return;
	}
	p->spilled = true;
	p->chunk_bits = (uint8_t)bits_for(n->file.size / CHUNKS_MAX + 1);
	p->data = w->spilled;
	for (uint64_t k = 0; k < chunks_of(n->file.size, p->chunk_bits); k++)
		w->spilled += spill_of(n, k, p->chunk_bits, &i);
}

/* --- Directories ----------------------------------------------------------------------------------------------- */

struct name {
	const char *name;
	const struct tree_node *node;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

/* All names of a directory, "." and ".." too, in the order of the format; malloc'ed. */
static struct name *names_of(const struct tree_node *dir, size_t *n)
{
	struct name *list = calloc(dir->dir.count + 2, sizeof(*list));

	*n = 0;
	if (!list)
		return NULL;
	list[(*n)++] = (struct name){ ".", dir };
	list[(*n)++] = (struct name){ "..", dir->dir.parent };
	for (const struct tree_entry *i = dir->dir.first; i; i = i->next)
		if (i->node->mode)
			list[(*n)++] = (struct name){ i->name, i->node };
	qsort(list, *n, sizeof(*list), by_name);
	return list;
}

/* How many of the names fit into one block, and the bytes that they take. */
static size_t fill_block(const struct name *names, size_t n, size_t *bytes)
{
	size_t i = 0;

	*bytes = 0;
	for (; i < n; i++) {
		size_t more = DIRENT_SIZE + strlen(names[i].name);

		if (*bytes + more > BLOCK)
			break;
		*bytes += more;
	}
	return i;
}

static uint8_t type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 1;
	case S_IFDIR:
		return 2;
	case S_IFIFO:
		return 5;
	case S_IFSOCK:
		return 6;
	default:
		return 7; /* a symbolic link */
	}
}

/* Its size, of which each block but the last is a whole one. */
static int dir_size(const struct tree_node *dir, uint64_t *size, struct err *e)
{
	size_t n, bytes = 0;
	auto_free struct name *names = names_of(dir, &n);

	if (!names)
		return err_set(e, ENOMEM, "cannot write the index");
	*size = 0;
	for (size_t i = 0, got; i < n; i += got) {
		got = fill_block(names + i, n - i, &bytes);
		if (i + got < n)
			*size += BLOCK;
	}
	*size += bytes;
	return 0;
}

/* --- First pass: places ------------------------------------------------------------------------------------------ */

static struct plan *list_add(struct writer *w, struct tree_node *n)
{
	if (w->n == w->size) {
		size_t size = w->size ? 2 * w->size : 1024;
		struct plan *list = reallocarray(w->list, size, sizeof(*list));

		if (!list)
			return NULL;
		w->list = list;
		w->size = size;
	}
	w->list[w->n] = (struct plan){ .node = n };
	return &w->list[w->n++];
}

/*
 * Puts @n and what it needs at the next place. What is in line must not cross a block's end; indexes and
 * attributes may.
 */
static int plan_node(struct writer *w, struct tree_node *n, uint64_t *meta, struct err *e)
{
	struct plan *p = list_add(w, n);
	uint64_t head, in_line = 0;

	if (!p)
		return err_set(e, ENOMEM, "cannot write the index");
	if (xattrs_size(n, &p->xattrs, e) < 0)
		return -1;
	head = INODE_SIZE + p->xattrs;
	if (S_ISDIR(n->mode) || S_ISLNK(n->mode)) {
		if (S_ISLNK(n->mode))
			p->size = strlen(n->target);
		else if (dir_size(n, &p->size, e) < 0)
			return -1;
		if (p->size <= BLOCK && head % BLOCK + p->size <= BLOCK) {
			p->layout = LAYOUT_INLINE;
			in_line = p->size;
		} else {
			p->layout = LAYOUT_PLAIN;
			p->data = w->data;
			w->data += round_up(p->size, BLOCK);
		}
	} else if (S_ISREG(n->mode)) {
		plan_file(w, p);
		if (p->layout == LAYOUT_CHUNKS)
			in_line = chunks_of(n->file.size, p->chunk_bits) * CHUNK_INDEX +
				  (round_up(head, CHUNK_INDEX) - head);
	}
	*meta = round_up(*meta, NID_UNIT);
	if (p->layout == LAYOUT_INLINE &&
	    (*meta + head) / BLOCK != (*meta + head + in_line - 1) / BLOCK)
		*meta = round_up(*meta, BLOCK);
	n->place = *meta;
	*meta += head + in_line;
	return 0;
}

/* An inode has one place, however many names. */
static int plan_tree(struct writer *w, struct tree_node *dir, uint64_t *meta, struct err *e)
{
	size_t n;
	auto_free struct tree_entry **list = tree_sorted(dir, &n);

	if (!list)
		return err_set(e, ENOMEM, "cannot write the index");
	for (size_t i = 0; i < n; i++)
		if (!S_ISDIR(list[i]->node->mode) && !list[i]->node->place &&
		    plan_node(w, list[i]->node, meta, e) < 0)
			return -1;
	for (size_t i = 0; i < n; i++)
		if (S_ISDIR(list[i]->node->mode) && (plan_node(w, list[i]->node, meta, e) < 0 ||
						     plan_tree(w, list[i]->node, meta, e) < 0))
			return -1;
	return 0;
}

static int plan_all(struct writer *w, struct tree *t, struct err *e)
{
	uint64_t meta;

	w->meta = round_up(SLOTS_AT + (uint64_t)SLOT * w->n_layers, BLOCK);
	meta = w->meta;
	/* the root first: its number has 16 bits */
	if (plan_node(w, tree_root(t), &meta, e) < 0 || plan_tree(w, tree_root(t), &meta, e) < 0)
		return -1;
	meta = round_up(meta, BLOCK);
	for (size_t i = 0; i < w->n; i++)
		if (w->list[i].layout == LAYOUT_PLAIN && w->list[i].size)
			w->list[i].data += meta;
	w->spill = meta + w->data;
	w->data = meta;
	if ((w->spill + w->spilled) / BLOCK >= NO_BLOCK)
		return err_set(e, ERR_NOT_SUPPORTED,
			       "its sparse files, or its names, are too large for an index");
	return 0;
}

/* --- Second pass: bytes ------------------------------------------------------------------------------------------- */

static int write_at(int fd, const void *data, size_t len, uint64_t at, struct err *e)
{
	const uint8_t *p = data;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "cannot write the index");
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int flush(struct writer *w)
{
	if (write_at(w->fd, w->buf, w->used, w->at, w->e) < 0)
		return -1;
	w->at += w->used;
	w->used = 0;
	return 0;
}

static int emit(struct writer *w, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		size_t n = BUFFER - w->used < len ? BUFFER - w->used : len;

		memcpy(w->buf + w->used, p, n);
		w->used += n;
		p += n;
		len -= n;
		if (w->used == BUFFER && flush(w) < 0)
			return -1;
	}
	return 0;
}

/* Zeros up to the offset @to. */
static int pad_to(struct writer *w, uint64_t to)
{
	static const uint8_t zeros[BLOCK];

	while (w->at + w->used < to) {
		uint64_t n = to - w->at - w->used;

		if (emit(w, zeros, n < BLOCK ? (size_t)n : BLOCK) < 0)
			return -1;
	}
	return 0;
}

static int emit_dir(struct writer *w, const struct tree_node *dir)
{
	size_t n, bytes;
	auto_free struct name *names = names_of(dir, &n);

	if (!names)
		return err_set(w->e, ENOMEM, "cannot write the index");
	for (size_t i = 0, got; i < n; i += got) {
		uint8_t block[BLOCK] = { 0 };
		size_t at;

		got = fill_block(names + i, n - i, &bytes);
		at = got * DIRENT_SIZE;
		for (size_t k = 0; k < got; k++) {
			const struct name *name = &names[i + k];
			uint8_t *d = block + k * DIRENT_SIZE;
			size_t len = strlen(name->name);

			put64(d, (name->node->place - w->meta) / NID_UNIT);
			put16(d + 8, (unsigned)at);
			d[10] = type_of(name->node->mode);
			memcpy(block + at, name->name, len);
			at += len;
		}
		if (emit(w, block, i + got < n ? BLOCK : bytes) < 0)
			return -1;
	}
	return 0;
}

static int emit_xattrs(struct writer *w, const struct plan *p)
{
	static const uint8_t zeros[XATTR_HEADER];
	const struct tree_node *n = p->node;

	if (!p->xattrs)
		return 0;
	if (emit(w, zeros, XATTR_HEADER) < 0)
		return -1;
	for (size_t i = 0; i < n->n_xattrs; i++) {
		const struct tree_xattr *x = &n->xattrs[i];
		uint8_t head[XATTR_ENTRY];
		const char *name = xattr_name(x->name, &head[1]);
		size_t len = strlen(name), total = XATTR_ENTRY + len + x->len;

		head[0] = (uint8_t)len;
		put16(head + 2, (unsigned)x->len);
		if (emit(w, head, XATTR_ENTRY) < 0 || emit(w, name, len) < 0 ||
		    emit(w, x->value, x->len) < 0 ||
		    emit(w, zeros, (size_t)(round_up(total, 4) - total)) < 0)
			return -1;
	}
	return 0;
}

static int emit_index(struct writer *w, unsigned device, uint64_t at)
{
	uint8_t b[CHUNK_INDEX] = { 0 };

	if (at != NO_BLOCK && at / BLOCK >= NO_BLOCK)
		return err_set(w->e, ERR_NOT_SUPPORTED, "a layer is too large for an index");
	put16(b + 2, device);
	put32(b + 4, at == NO_BLOCK ? NO_BLOCK : (uint32_t)(at / BLOCK));
	return emit(w, b, sizeof(b));
}

static int emit_chunks(struct writer *w, const struct plan *p)
{
	const struct tree_node *n = p->node;
	uint64_t chunk = (uint64_t)BLOCK << p->chunk_bits, spill = w->spill + p->data;
	size_t i = 0;

	if (pad_to(w, round_up(w->at + w->used, CHUNK_INDEX)) < 0)
		return -1;
	for (uint64_t k = 0; k < chunks_of(n->file.size, p->chunk_bits); k++) {
		uint64_t len = p->spilled ? spill_of(n, k, p->chunk_bits, &i) : 0;
		const struct tree_segment *s = piece_at(n, k * chunk, &i);
		int r;

		if (p->spilled)
			r = emit_index(w, 0, len ? spill : NO_BLOCK);
		else if (s && s->at <= k * chunk)
			r = emit_index(w, n->layer, s->pos + (k * chunk - s->at));
		else
			r = emit_index(w, 0, NO_BLOCK);
		if (r < 0)
			return -1;
		spill += len;
	}
	return 0;
}

static int emit_inode(struct writer *w, const struct plan *p, uint32_t number)
{
	const struct tree_node *n = p->node;
	uint8_t b[INODE_SIZE] = { 0 };

	put16(b, 1 | (unsigned)p->layout << 1);
	put16(b + 2, p->xattrs ? (p->xattrs - XATTR_HEADER) / 4 + 1 : 0);
	put16(b + 4, n->mode);
	put64(b + 8, S_ISREG(n->mode) ? n->file.size : p->size);
	if (p->layout == LAYOUT_CHUNKS)
		put16(b + 16, CHUNK_INDEXES | p->chunk_bits);
	else if (p->layout == LAYOUT_PLAIN && p->size)
		put32(b + 16, (uint32_t)(p->data / BLOCK));
	put32(b + 20, number);
	put32(b + 24, n->uid);
	put32(b + 28, n->gid);
	put64(b + 32, (uint64_t)n->mtime.tv_sec);
	put32(b + 40, (uint32_t)n->mtime.tv_nsec);
	put32(b + 44, n->nlink);
	if (pad_to(w, n->place) < 0 || emit(w, b, sizeof(b)) < 0 || emit_xattrs(w, p) < 0)
		return -1;
	if (p->layout == LAYOUT_CHUNKS)
		return emit_chunks(w, p);
	if (p->layout != LAYOUT_INLINE)
		return 0;
	return S_ISDIR(n->mode) ? emit_dir(w, n) : emit(w, n->target, p->size);
}

static int emit_super(struct writer *w)
{
	uint8_t b[SLOT] = { 0 };

	put32(b, MAGIC);
	b[12] = BLOCK_BITS;
	put16(b + 14, (unsigned)((w->list[0].node->place - w->meta) / NID_UNIT));
	put64(b + 16, w->n);
	put32(b + 36, (uint32_t)((w->spill + round_up(w->spilled, BLOCK)) / BLOCK));
	put32(b + 40, (uint32_t)(w->meta / BLOCK));
	put32(b + 80, FEATURE_CHUNKED | (w->n_layers ? FEATURE_DEVICES : 0));
	put16(b + 86, (unsigned)w->n_layers);
	put16(b + 88, SLOTS_AT / SLOT);
	if (pad_to(w, SUPER_AT) < 0 || emit(w, b, sizeof(b)) < 0)
		return -1;
	for (size_t i = 0; i < w->n_layers; i++) {
		uint64_t blocks = round_up(w->layers[i].size, BLOCK) / BLOCK;

		if (blocks >= NO_BLOCK)
			return err_set(w->e, ERR_NOT_SUPPORTED,
				       "a layer is too large for an index");
		memset(b, 0, sizeof(b));
		put32(b + 64, (uint32_t)blocks);
		if (emit(w, b, sizeof(b)) < 0)
			return -1;
	}
	return 0;
}

/* A piece of an archive to where it is to be in the index file. */
static int copy(struct writer *w, int from, uint64_t pos, uint64_t to, uint64_t len)
{
	while (len) {
		ssize_t n = pread(from, w->buf, len < BUFFER ? (size_t)len : BUFFER, (off_t)pos);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(w->e, n < 0 ? errno : EIO, "cannot read a layer");
		if (write_at(w->fd, w->buf, (size_t)n, to, w->e) < 0)
			return -1;
		pos += (uint64_t)n;
		to += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* Holes within a chunk stay holes, of the index file. */
static int write_spill(struct writer *w, const struct plan *p)
{
	const struct tree_node *n = p->node;
	uint64_t chunk = (uint64_t)BLOCK << p->chunk_bits, to = w->spill + p->data;
	size_t i = 0;

	for (uint64_t k = 0; k < chunks_of(n->file.size, p->chunk_bits); k++) {
		uint64_t from = k * chunk, len = spill_of(n, k, p->chunk_bits, &i);

		for (size_t j = i; len && j < n->file.n_segments; j++) {
			const struct tree_segment *s = &n->file.segments[j];
			uint64_t begin = s->at > from ? s->at : from, end = s->at + s->len;

			if (s->at >= from + len)
				break;
			if (end > from + len)
				end = from + len;
			if (begin < end &&
			    copy(w, w->layers[n->layer - 1].fd, s->pos + (begin - s->at),
				 to + (begin - from), end - begin) < 0)
				return -1;
		}
		to += len;
	}
	return 0;
}

static int write_all(struct writer *w)
{
	uint64_t end = w->spill + w->spilled;

	if (emit_super(w) < 0)
		return -1;
	for (size_t i = 0; i < w->n; i++)
		if (emit_inode(w, &w->list[i], (uint32_t)(i + 1)) < 0)
			return -1;
	for (size_t i = 0; i < w->n; i++) {
		const struct plan *p = &w->list[i];

		if (p->layout != LAYOUT_PLAIN || !p->size)
			continue;
		if (pad_to(w, p->data) < 0 ||
		    (S_ISDIR(p->node->mode) ? emit_dir(w, p->node) :
					      emit(w, p->node->target, p->size)) < 0)
			return -1;
	}
	if (pad_to(w, w->spill) < 0 || flush(w) < 0)
		return -1;
	for (size_t i = 0; i < w->n; i++)
		if (w->list[i].spilled && write_spill(w, &w->list[i]) < 0)
			return -1;
	return ftruncate(w->fd, (off_t)end) < 0 ? err_set(w->e, errno, "cannot write the index") :
						  0;
}

int erofs_write(struct tree *t, const struct erofs_layer *layers, size_t n, int fd, struct err *e)
{
	struct writer w = { .fd = fd, .layers = layers, .n_layers = n, .e = e };
	int rc = plan_all(&w, t, e);

	w.buf = malloc(BUFFER);
	if (rc == 0 && !w.buf)
		rc = err_set(e, ENOMEM, "cannot write the index");
	if (rc == 0)
		rc = write_all(&w);
	free(w.list);
	free(w.buf);
	return rc;
}
