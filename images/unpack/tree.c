#include "images/unpack/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "images/unpack/entry.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"

#define LINKS_MAX    40 /* that one resolution follows: MAXSYMLINKS of the kernel */
#define BUCKETS_MIN  4096
#define NAME_MAX_LEN 255
#define WHITEOUT     ".wh."
#define OPAQUE	     ".wh..wh..opq"

/* Arenas are good for so much each; a tree of millions of entries takes several. */
struct tree {
	struct arena *arena;
	struct tree_node *root;
	struct tree_entry **buckets; /* of all directories' entries, by directory and name */
	size_t n_buckets;
	uint64_t count, seed;
	unsigned layer;
	bool whiteouts;
};

static int no_memory(struct err *e)
{
	return err_set(e, ENOMEM, "it has too many entries for the memory that is allowed");
}

static int fail(struct err *e, int code, const char *what, const char *name)
{
	char q[ENTRY_QUOTED_MAX];

	return err_set(e, code, "%s '%s'", what, *name ? entry_quote(name, q) : "/");
}

static struct tree_node *new_node(struct tree *t, mode_t mode)
{
	struct tree_node *n = arena_alloc(t->arena, sizeof(*n));

	if (n) {
		n->mode = mode;
		n->layer = t->layer;
	}
	return n;
}

struct tree *tree_new(void)
{
	struct tree *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->arena = arena_new(0);
	t->n_buckets = BUCKETS_MIN;
	t->buckets = calloc(t->n_buckets, sizeof(*t->buckets));
	t->root = t->arena ? new_node(t, S_IFDIR | 0755) : NULL;
	/* or a stranger could choose names that all fall into one bucket */
	if (!t->buckets || !t->root ||
	    getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) != sizeof(t->seed)) {
		tree_free(t);
		return NULL;
	}
	t->root->dir.parent = t->root;
	t->root->nlink = 2;
	return t;
}

void tree_free(struct tree *t)
{
	if (!t)
		return;
	arena_free(t->arena);
	free(t->buckets);
	free(t);
}

void tree_next_layer(struct tree *t, bool whiteouts)
{
	t->layer++;
	t->whiteouts = whiteouts;
}

struct tree_node *tree_root(struct tree *t)
{
	return t->root;
}

uint64_t tree_count(const struct tree *t)
{
	return t->count;
}

/* --- Entries of directories ------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	h ^= h >> 32;
	return h;
}

static size_t bucket_of(const struct tree *t, const struct tree_node *dir, const char *name,
			size_t len)
{
	uint64_t h = mix(t->seed ^ (uint64_t)(uintptr_t)dir);

	for (; len >= 8; name += 8, len -= 8) {
		uint64_t v;

		memcpy(&v, name, 8);
		h = mix((h + v) * 0x9e3779b97f4a7c15ULL);
	}
	for (uint64_t v = len; len; len--) {
		v = v << 8 | (unsigned char)*name++;
		h = mix((h + v) * 0x9e3779b97f4a7c15ULL);
	}
	return (size_t)(h & (t->n_buckets - 1));
}

static struct tree_entry *find(const struct tree *t, const struct tree_node *dir, const char *name,
			       size_t len)
{
	struct tree_entry *n = t->buckets[bucket_of(t, dir, name, len)];

	while (n && (n->parent != dir || strncmp(n->name, name, len) != 0 || n->name[len]))
		n = n->hash_next;
	return n;
}

static void hash(struct tree *t, struct tree_entry *n)
{
	size_t b = bucket_of(t, n->parent, n->name, strlen(n->name));

	n->hash_next = t->buckets[b];
	t->buckets[b] = n;
}

static void unhash(struct tree *t, struct tree_entry *n)
{
	struct tree_entry **at = &t->buckets[bucket_of(t, n->parent, n->name, strlen(n->name))];

	while (*at != n)
		at = &(*at)->hash_next;
	*at = n->hash_next;
}

static int grow(struct tree *t)
{
	size_t size = t->n_buckets * 4, old = t->n_buckets;
	struct tree_entry **from = t->buckets, **to = calloc(size, sizeof(*to));

	if (!to)
		return -1;
	t->buckets = to;
	t->n_buckets = size;
	for (size_t i = 0; i < old; i++)
		for (struct tree_entry *n = from[i], *next; n; n = next) {
			next = n->hash_next;
			hash(t, n);
		}
	free(from);
	return 0;
}

/* The layer has something to say about @n, and so about each directory on the way to it. */
static void touch(struct tree *t, struct tree_entry *n)
{
	while (n && n->stamp != t->layer) {
		n->stamp = t->layer;
		n = n->parent->dir.self;
	}
}

static struct tree_entry *add(struct tree *t, struct tree_node *dir, const char *name, size_t len,
			      struct tree_node *node, struct err *e)
{
	struct tree_entry *n = arena_alloc(t->arena, sizeof(*n));
	char *copy = arena_strndup(t->arena, name, len);

	if (!n || !copy || (t->count >= t->n_buckets && grow(t) < 0)) {
		no_memory(e);
		return NULL;
	}
	n->name = copy;
	n->node = node;
	n->parent = dir;
	n->next = dir->dir.first;
	if (n->next)
		n->next->prev = &n->next;
	n->prev = &dir->dir.first;
	dir->dir.first = n;
	dir->dir.count++;
	t->count++;
	hash(t, n);
	node->nlink++;
	if (S_ISDIR(node->mode)) {
		node->nlink = 2;
		node->dir.parent = dir;
		node->dir.self = n;
		dir->nlink++;
	}
	touch(t, n);
	return n;
}

/* Its memory stays with the arena. Depth is bounded by that of names, and by that of where links lead. */
static void drop_children(struct tree *t, struct tree_node *dir);

static void drop(struct tree *t, struct tree_entry *n)
{
	unhash(t, n);
	t->count--;
	n->parent->dir.count--;
	n->node->nlink--;
	if (S_ISDIR(n->node->mode)) {
		n->parent->nlink--;
		drop_children(t, n->node);
	}
}

static void drop_children(struct tree *t, struct tree_node *dir)
{
	for (struct tree_entry *n = dir->dir.first; n; n = n->next)
		drop(t, n);
	dir->dir.first = NULL;
}

static void take_out(struct tree *t, struct tree_entry *n)
{
	*n->prev = n->next;
	if (n->next)
		n->next->prev = n->prev;
	drop(t, n);
}

/* --- Resolving ---------------------------------------------------------------------------------------------- */

/* How deep a directory lies, so that writing and dropping, which recurse, stay bounded. */
static unsigned depth_of(const struct tree_node *dir)
{
	unsigned n = 0;

	for (; dir->dir.self; dir = dir->dir.parent)
		n++;
	return n;
}

static struct tree_node *make_parent(struct tree *t, struct tree_node *dir, const char *name,
				     size_t len, const struct tree_attrs *like, struct err *e)
{
	struct tree_node *made;

	/* links could lead each name further down than it says */
	if (depth_of(dir) >= 2 * ENTRY_DEPTH_MAX) {
		err_set(e, ERR_INVALID, "directories deeper than %d", 2 * ENTRY_DEPTH_MAX);
		return NULL;
	}
	made = new_node(t, S_IFDIR | 0755);
	if (!made) {
		no_memory(e);
		return NULL;
	}
	if (like)
		made->mtime = like->mtime;
	return add(t, dir, name, len, made, e) ? made : NULL;
}

/* Where a walk ended: @path up to @end. */
static struct tree_node *stuck(struct err *e, int code, const char *path, const char *end)
{
	char name[ENTRY_NAME_MAX + 1], q[ENTRY_QUOTED_MAX];
	size_t len = (size_t)(end - path);

	if (len > ENTRY_NAME_MAX)
		len = ENTRY_NAME_MAX;
	memcpy(name, path, len);
	name[len] = '\0';
	err_set(e, code, "cannot enter '%s'", entry_quote(name, q));
	return NULL;
}

/*
 * The directory that @len bytes of @path lead to from @dir, links followed. With @make a missing one is made, as tar
 * does: 0755, of root. NULL with e->code ENOENT when it is missing, ENOTDIR, ELOOP.
 */
static struct tree_node *walk(struct tree *t, struct tree_node *dir, const char *path, size_t len,
			      bool make, const struct tree_attrs *like, unsigned *links,
			      struct err *e)
{
	const char *begin = path, *end = path + len;

	while (dir) {
		struct tree_entry *n;
		size_t part;

		while (path < end && *path == '/')
			path++;
		if (path == end)
			return dir;
		for (part = 0; path + part < end && path[part] != '/'; part++)
			;
		if (part == 1 && *path == '.') {
			path += part;
			continue;
		}
		if (part == 2 && path[0] == '.' && path[1] == '.') {
			dir = dir->dir.parent;
			path += part;
			continue;
		}
		n = find(t, dir, path, part);
		if (!n || !n->node->mode) {
			if (!make || n || part > NAME_MAX_LEN)
				return stuck(e, ENOENT, begin, path + part);
			dir = make_parent(t, dir, path, part, like, e);
		} else if (S_ISLNK(n->node->mode)) {
			const char *target = n->node->target;

			if (++*links > LINKS_MAX)
				return stuck(e, ELOOP, begin, path + part);
			/* what a dangling link names is not made */
			dir = walk(t, *target == '/' ? t->root : dir, target, strlen(target), false,
				   NULL, links, e);
			if (!dir)
				return stuck(e, e->code, begin, path + part);
		} else if (S_ISDIR(n->node->mode)) {
			dir = n->node;
		} else {
			return stuck(e, ENOTDIR, begin, path + part);
		}
		path += part;
	}
	return NULL;
}

static const char *base_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

static struct tree_node *parent_of(struct tree *t, const char *name, bool make,
				   const struct tree_attrs *like, const char **base, struct err *e)
{
	unsigned links = 0;

	*base = base_of(name);
	return walk(t, t->root, name, (size_t)(*base - name), make, like, &links, e);
}

struct tree_node *tree_child(struct tree *t, const struct tree_node *dir, const char *name)
{
	struct tree_entry *n = find(t, dir, name, strlen(name));

	return n && n->node->mode ? n->node : NULL;
}

const struct tree_node *tree_lookup(struct tree *t, const char *path)
{
	const char *base = base_of(path);
	unsigned links = 0;
	struct err e = { 0 };
	struct tree_node *dir =
		walk(t, t->root, path, (size_t)(base - path), false, NULL, &links, &e);

	while (dir) {
		struct tree_entry *n = *base ? find(t, dir, base, strlen(base)) : NULL;

		if (!*base)
			return dir;
		if (!n || !S_ISLNK(n->node->mode))
			return n && n->node->mode ? n->node : NULL;
		if (++links > LINKS_MAX)
			return NULL;
		path = n->node->target;
		base = base_of(path);
		dir = walk(t, *path == '/' ? t->root : dir, path, (size_t)(base - path), false,
			   NULL, &links, &e);
	}
	return NULL;
}

/* --- What archives say ------------------------------------------------------------------------------------ */

static int set_attrs(struct tree *t, struct tree_node *n, const struct tree_attrs *a, bool xattrs,
		     struct err *e)
{
	struct tree_xattr *x;

	n->mode = (n->mode & S_IFMT) | (a->mode & 07777);
	n->uid = a->uid;
	n->gid = a->gid;
	n->mtime = a->mtime;
	n->xattrs = NULL;
	n->n_xattrs = 0;
	if (!xattrs || !a->n_xattrs)
		return 0;
	n->xattrs = x = arena_array(t->arena, a->n_xattrs, sizeof(*x));
	if (!x)
		return no_memory(e);
	for (size_t i = 0; i < a->n_xattrs; i++) {
		char *value = arena_alloc(t->arena, a->xattrs[i].len + 1);

		x[i].name = arena_strdup(t->arena, a->xattrs[i].name);
		x[i].len = a->xattrs[i].len;
		if (!x[i].name || !value)
			return no_memory(e);
		x[i].value = memcpy(value, a->xattrs[i].value, a->xattrs[i].len);
	}
	n->n_xattrs = a->n_xattrs;
	return 0;
}

/* @node takes the place of whatever @name was. */
static int place(struct tree *t, const char *name, struct tree_node *node,
		 const struct tree_attrs *like, struct err *e)
{
	const char *base;
	struct tree_node *dir = parent_of(t, name, true, like, &base, e);
	struct tree_entry *n = dir ? find(t, dir, base, strlen(base)) : NULL;

	if (!dir)
		return -1;
	/* what is replaced may be what the name's own parent was reached through: it is gone with it, as with rm */
	if (n)
		take_out(t, n);
	return add(t, dir, base, strlen(base), node, e) ? 0 : -1;
}

int tree_dir(struct tree *t, const char *name, const struct tree_attrs *a, struct err *e)
{
	const char *base;
	struct tree_node *dir, *node;
	struct tree_entry *n;

	if (!*name) {
		t->root->dir.declared = t->layer;
		return set_attrs(t, t->root, a, true, e);
	}
	dir = parent_of(t, name, true, a, &base, e);
	if (!dir)
		return -1;
	n = find(t, dir, base, strlen(base));
	if (n && S_ISDIR(n->node->mode)) {
		node = n->node;
		touch(t, n);
	} else {
		if (n)
			take_out(t, n);
		node = make_parent(t, dir, base, strlen(base), a, e);
		if (!node)
			return -1;
	}
	node->dir.declared = t->layer;
	return set_attrs(t, node, a, true, e);
}

int tree_file(struct tree *t, const char *name, const struct tree_attrs *a, uint64_t size,
	      const struct tree_segment *segments, size_t n, struct err *e)
{
	struct tree_node *node = new_node(t, S_IFREG);
	struct tree_segment *copy = n ? arena_array(t->arena, n, sizeof(*copy)) : NULL;

	if (!node || (n && !copy))
		return no_memory(e);
	if (n)
		memcpy(copy, segments, n * sizeof(*copy));
	node->file.size = size;
	node->file.segments = copy;
	node->file.n_segments = n;
	return set_attrs(t, node, a, true, e) < 0 ? -1 : place(t, name, node, a, e);
}

int tree_symlink(struct tree *t, const char *name, const char *target, const struct tree_attrs *a,
		 struct err *e)
{
	struct tree_node *node = new_node(t, S_IFLNK);

	if (!node || !(node->target = arena_strdup(t->arena, target)))
		return no_memory(e);
	if (set_attrs(t, node, a, false, e) < 0)
		return -1;
	node->mode = S_IFLNK | 0777;
	return place(t, name, node, a, e);
}

int tree_special(struct tree *t, const char *name, mode_t type, const struct tree_attrs *a,
		 struct err *e)
{
	struct tree_node *node = new_node(t, type);

	if (!node)
		return no_memory(e);
	return set_attrs(t, node, a, false, e) < 0 ? -1 : place(t, name, node, a, e);
}

int tree_device(struct tree *t, const char *name, struct err *e)
{
	struct tree_node *node = new_node(t, 0);

	return node ? place(t, name, node, NULL, e) : no_memory(e);
}

int tree_link(struct tree *t, const char *name, const char *target, struct err *e)
{
	char q[ENTRY_QUOTED_MAX], qt[ENTRY_QUOTED_MAX];
	const char *base;
	struct tree_node *dir = parent_of(t, target, false, NULL, &base, e), *to;
	struct tree_entry *from = dir ? find(t, dir, base, strlen(base)) : NULL, *there;

	if (!dir && e->code != ENOENT)
		return -1;
	if (!from)
		return err_set(e, ERR_NO_SUCH, "no such file");
	to = from->node;
	if (S_ISDIR(to->mode))
		return err_set(e, ERR_INVALID, "'%s' is a hard link to '%s', a directory",
			       entry_quote(name, q), entry_quote(target, qt));
	dir = parent_of(t, name, true, NULL, &base, e);
	if (!dir)
		return -1;
	there = find(t, dir, base, strlen(base));
	/* a link to itself must not remove what it links to */
	if (there && there->node == to) {
		touch(t, there);
		return to->mode ? 0 : 1;
	}
	if (there)
		take_out(t, there);
	if (!to->nlink) /* it was below what the link replaces */
		return err_set(e, ERR_NO_SUCH, "no such file");
	if (place(t, name, to, NULL, e) < 0)
		return -1;
	return to->mode ? 0 : 1;
}

/* --- Whiteouts ------------------------------------------------------------------------------------------------ */

bool tree_is_whiteout(const struct tree *t, const char *name)
{
	return t->whiteouts && str_after(base_of(name), WHITEOUT);
}

static void hide_lower(struct tree *t, struct tree_node *dir);

/* A lower directory is hidden, and was made again as a parent of something: unless this layer described it, nobody did. */
static void hide_dir(struct tree *t, struct tree_node *dir)
{
	if (dir->dir.declared != t->layer) {
		dir->mode = S_IFDIR | 0755;
		dir->uid = dir->gid = 0;
		dir->n_xattrs = 0;
	}
	hide_lower(t, dir);
}

/* Removes what is below @dir but what this layer has put there: so the order of entries does not matter. */
static void hide_lower(struct tree *t, struct tree_node *dir)
{
	for (struct tree_entry *n = dir->dir.first, *next; n; n = next) {
		next = n->next;
		if (n->stamp != t->layer)
			take_out(t, n);
		else if (S_ISDIR(n->node->mode))
			hide_dir(t, n->node);
	}
}

int tree_whiteout(struct tree *t, const char *name, struct err *e)
{
	struct err why = { 0 };
	const char *base;
	struct tree_node *dir = parent_of(t, name, false, NULL, &base, &why);
	struct tree_entry *n;

	if (streq(base, WHITEOUT))
		return fail(e, ERR_INVALID, "a whiteout that names nothing:", name);
	if (!dir) /* nothing there that could be hidden */
		return 0;
	if (streq(base, OPAQUE)) {
		hide_lower(t, dir);
		return 0;
	}
	if (str_after(base, ".wh..wh.")) /* AUFS's own: .wh..wh.plnk, .wh..wh.aufs */
		return 0;
	base += strlen(WHITEOUT);
	if (streq(base, ".") || streq(base, ".."))
		return fail(e, ERR_INVALID, "a whiteout of no file:", name);
	n = find(t, dir, base, strlen(base));
	if (n && n->stamp != t->layer)
		take_out(t, n);
	else if (n && S_ISDIR(n->node->mode))
		hide_dir(t, n->node);
	return 0;
}

/* --- For whoever writes it --------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct tree_entry *const *)a)->name,
		      (*(struct tree_entry *const *)b)->name);
}

struct tree_entry **tree_sorted(const struct tree_node *dir, size_t *n)
{
	struct tree_entry **list = calloc(dir->dir.count + 1, sizeof(struct tree_entry *));

	*n = 0;
	if (!list)
		return NULL;
	for (struct tree_entry *i = dir->dir.first; i; i = i->next)
		if (i->node->mode)
			list[(*n)++] = i;
	qsort(list, *n, sizeof(struct tree_entry *), by_name);
	return list;
}
