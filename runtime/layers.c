/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/layers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/program.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/instances.h"
#include "runtime/overlay.h"
#include "runtime/recopy.h"

#define FROZEN	     "../frozen" /* seen from the directory of instances */
#define SNAPSHOTS    "snapshots"
#define SNAPSHOT_MAX 4096 /* bytes of its file */

typedef char layer_id[LAYER_ID_LEN + 1];

/* ---- the directory ---- */

static int open_frozen(const struct instances *all)
{
	return openat(all->dir, FROZEN, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

bool layers_exist(const struct instances *all)
{
	return faccessat(all->dir, FROZEN, F_OK, 0) == 0;
}

int layers_open(const struct instances *all, struct layers *l, struct err *e)
{
	auto_fd int fd = open_frozen(all);

	if (fd < 0 && errno == ENOENT && (mkdirat(all->dir, FROZEN, 0700) == 0 || errno == EEXIST))
		fd = open_frozen(all);
	if (fd < 0)
		return err_set(e, errno, "cannot open the frozen layers");
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "cannot lock the frozen layers");
	*l = (struct layers){ all, take_fd(&fd) };
	return 0;
}

void layers_close(struct layers *l)
{
	if (l->fd >= 0) {
		(void)flock(l->fd, LOCK_UN); /* for children that inherited it, too */
		close(l->fd);
	}
	l->fd = -1;
}

static bool is_id(const char *s)
{
	return strspn(s, "0123456789abcdef") == LAYER_ID_LEN && !s[LAYER_ID_LEN];
}

static int new_id(layer_id id, struct err *e)
{
	unsigned char r[LAYER_ID_LEN / 2];

	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return err_set(e, errno, "cannot get random numbers");
	for (size_t i = 0; i < sizeof(r); i++)
		snprintf(id + 2 * i, 3, "%02x", r[i]);
	return 0;
}

/* What the symbolic link @path says: 1, 0 if there is none. */
static int read_parent(int dir, const char *path, layer_id id, struct err *e)
{
	char text[LAYER_ID_LEN + 2];
	ssize_t n = readlinkat(dir, path, text, sizeof(text) - 1);

	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return err_set(e, errno, "cannot read '%s'", path);
	text[n] = '\0';
	if (!is_id(text))
		return err_set(e, ERR_INVALID, "'%s' names no layer", path);
	strcpy(id, text);
	return 1;
}

static int parent_of(const struct instances *all, const char *id, layer_id parent, struct err *e)
{
	char path[LAYER_ID_LEN + 32];

	snprintf(path, sizeof(path), FROZEN "/%.32s/parent", id);
	return read_parent(all->dir, path, parent, e);
}

int layers_of(const struct instances *all, const char *id, struct arena *a,
	      const char *const **paths, struct err *e)
{
	const char **list = arena_array(a, LAYERS_MAX + 1, sizeof(*list));
	layer_id at = "";
	size_t n = 0;
	int r = *id != '\0';

	if (!list)
		return err_set(e, ENOMEM, "layers");
	snprintf(at, sizeof(at), "%.32s", id);
	while (r > 0) {
		if (n == LAYERS_MAX)
			return err_set(e, ERR_INVALID,
				       "more than %d snapshots on top of each other", LAYERS_MAX);
		list[n] = arena_printf(a, "%s/" FROZEN "/%s/upper", all->path, at);
		if (!list[n++])
			return err_set(e, ENOMEM, "layers");
		r = parent_of(all, at, at, e);
	}
	if (r < 0)
		return -1;
	*paths = list;
	return 0;
}

int layers_below(const struct instance_dir *d, struct arena *a, const char *const **paths,
		 struct err *e)
{
	layer_id id = "";

	if (read_parent(d->fd, INSTANCE_PARENT, id, e) < 0)
		return err_in(e, "instance '%s'", d->name);
	return layers_of(d->all, id, a, paths, e);
}

static int depth_of(const struct instances *all, const char *id, struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	const char *const *paths;
	int n = 0;

	if (!a)
		return err_set(e, ENOMEM, "layers");
	if (layers_of(all, id, a, &paths, e) < 0)
		return -1;
	while (paths[n])
		n++;
	return n;
}

static int open_dir(int dir, const char *path)
{
	return openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static int open_upper(const struct instance_dir *d, struct err *e)
{
	int fd = open_dir(d->fd, INSTANCE_UPPER);

	return fd < 0 ? err_set(e, errno, "cannot open the layer of instance '%s'", d->name) : fd;
}

/* ---- making one ---- */

/*
 * An empty layer on @parent, dressed like @like. "": on the image; NULL: on itself, that is on the one that will have its
 * name after an exchange. What is half made is swept. An id that it has is kept, if no other layer has it.
 */
static int make_layer(const struct layers *l, const char *parent, int like, layer_id id,
		      struct err *e)
{
	const char *below = parent ? parent : id;
	auto_fd int dir = -1, upper = -1;

	if (!is_id(id) || faccessat(l->fd, id, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		if (new_id(id, e) < 0)
			return -1;
	}
	if (mkdirat(l->fd, id, 0755) == 0)
		dir = open_dir(l->fd, id);
	if (dir < 0 || mkdirat(dir, "upper", 0755) < 0 || mkdirat(dir, "work", 0700) < 0 ||
	    (*below && symlinkat(below, dir, "parent") < 0))
		return err_set(e, errno, "cannot make a layer");
	upper = open_dir(dir, "upper");
	if (upper < 0)
		return err_set(e, errno, "cannot open a new layer");
	return copy_looks(like, upper, e);
}

static int sync_both(const struct layers *l, const struct instance_dir *d, struct err *e)
{
	if (fsync(l->fd) < 0 || fsync(d->fd) < 0)
		return err_set(e, errno, "cannot sync the layers of instance '%s'", d->name);
	return 0;
}

/* The instance's layer and frozen layer @id change places. */
static int exchange(const struct layers *l, const struct instance_dir *d, const char *id,
		    struct err *e)
{
	if (sys_renameat2(d->fd, "layer", l->fd, id, RENAME_EXCHANGE) < 0)
		return err_set(e, errno, "cannot exchange the layer of instance '%s'", d->name);
	return sync_both(l, d, e);
}

/* Nothing in it, and it looks like the one below. */
static int is_untouched(const struct instances *all, int upper, const char *parent, struct err *e)
{
	char path[LAYER_ID_LEN + 32];
	struct stat a, b;
	DIR *dir;
	int n = 0;

	snprintf(path, sizeof(path), FROZEN "/%.32s/upper", parent);
	if (fstat(upper, &a) < 0 || fstatat(all->dir, path, &b, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "cannot look at layer '%s'", parent);
	dir = dir_list(upper);
	if (!dir)
		return err_set(e, errno, "cannot look at a layer");
	while (n < 3 && readdir(dir))
		n++;
	closedir(dir);
	return n < 3 && a.st_mode == b.st_mode && a.st_uid == b.st_uid && a.st_gid == b.st_gid;
}

int layers_freeze(const struct layers *l, const struct instance_dir *d, layer_id id, struct err *e)
{
	auto_fd int upper = open_upper(d, e);
	layer_id parent = "", made = "";
	int r = upper < 0 ? -1 : read_parent(d->fd, INSTANCE_PARENT, parent, e);

	if (r > 0)
		r = is_untouched(l->all, upper, parent, e);
	if (r < 0)
		return -1;
	if (r > 0) {
		strcpy(id, parent);
		return 0;
	}
	r = depth_of(l->all, parent, e);
	if (r < 0)
		return -1;
	if (r >= LAYERS_MAX - 1)
		return err_set(
			e, ERR_INVALID,
			"instance '%s' stands on %d layers, and no more are possible: `ctr clone --full` makes one of them",
			d->name, r);
	if (make_layer(l, NULL, upper, made, e) < 0 || exchange(l, d, made, e) < 0)
		return -1;
	strcpy(id, made);
	return 0;
}

int layers_rollback(const struct layers *l, const struct instance_dir *d, const char *id,
		    struct err *e)
{
	char path[LAYER_ID_LEN + 8];
	auto_fd int like = -1;
	layer_id made = "";

	snprintf(path, sizeof(path), "%.32s/upper", id);
	like = open_dir(l->fd, path);
	if (like < 0)
		return err_set(e, errno, "cannot open layer '%s'", id);
	if (make_layer(l, id, like, made, e) < 0 || exchange(l, d, made, e) < 0)
		return -1;
	return instances_discard(l->all, l->fd, made, e);
}

/* ---- copying ---- */

/* Where layer @id is written: beside what "instances" leads to (disk_file.h). */
static int path_of(const struct instances *all, const char *id, char *out, size_t size,
		   struct err *e)
{
	return snprintf(out, size, "%s/" FROZEN "/%.32s/upper", all->path, id) < (int)size ?
		       0 :
		       err_set(e, ENAMETOOLONG, "layer '%s'", id);
}

/* A new frozen layer beside the instance's own, empty; the paths of both, and both open. */
static int begin_copy(const struct layers *l, const struct instance_dir *d, struct layer_copy *c,
		      struct err *e)
{
	layer_id parent = "";

	*c = (struct layer_copy)LAYER_COPY_NONE;
	c->upper = open_upper(d, e);
	if (c->upper < 0 || read_parent(d->fd, INSTANCE_PARENT, parent, e) < 0 ||
	    instance_path(d, INSTANCE_UPPER, c->from, sizeof(c->from), e) < 0 ||
	    make_layer(l, parent, c->upper, c->id, e) < 0 ||
	    path_of(l->all, c->id, c->to, sizeof(c->to), e) < 0)
		return -1;
	c->made = open_dir(AT_FDCWD, c->to);
	return c->made < 0 ? err_set(e, errno, "cannot open a new layer") : 0;
}

void layers_copy_drop(const struct layers *l, struct layer_copy *c)
{
	struct err ignored; /* the next sweep finds it as well */

	recopy_free(c->notes);
	if (*c->id)
		(void)instances_discard(l->all, l->fd, c->id, &ignored);
	own_close(&c->made);
	own_close(&c->upper);
	*c = (struct layer_copy)LAYER_COPY_NONE;
}

/* It stays, as *id. */
static int settle_copy(const struct layers *l, const struct instance_dir *d, struct layer_copy *c,
		       layer_id id, struct err *e)
{
	if (sync_both(l, d, e) < 0)
		return -1;
	strcpy(id, c->id);
	*c->id = '\0';
	return 0;
}

int layers_copy_begin(const struct layers *l, const struct instance_dir *d, struct layer_copy *c,
		      struct err *e)
{
	if (begin_copy(l, d, c, e) < 0 || !(c->notes = recopy_begin(c->upper, e)) ||
	    program_copy_tree(c->from, c->to, true, e) < 0) {
		layers_copy_drop(l, c);
		return -1;
	}
	return 0;
}

int layers_copy_finish(const struct layers *l, const struct instance_dir *d, struct layer_copy *c,
		       layer_id id, struct err *e)
{
	int rc = recopy_finish(c->notes, c->upper, c->from, c->made, c->to, e);

	if (rc == 0)
		rc = settle_copy(l, d, c, id, e);
	layers_copy_drop(l, c);
	return rc > 0 ? layers_copy(l, d, false, id, e) : rc;
}

int layers_copy(const struct layers *l, const struct instance_dir *d, bool lives, layer_id id,
		struct err *e)
{
	struct layer_copy c;
	int rc = begin_copy(l, d, &c, e) < 0 || program_copy_tree(c.from, c.to, lives, e) < 0 ?
			 -1 :
			 settle_copy(l, d, &c, id, e);

	layers_copy_drop(l, &c);
	return rc;
}

/*
 * Removes from directory @lower what @upper, which is to be copied over it, hides: all but directories that both
 * have. overlayfs.rst: whiteouts and opaque directories.
 */
static int remove_hidden(int upper, int lower, struct err *e)
{
	auto_dir DIR *d = dir_list(upper);
	struct dirent *ent;

	if (!d)
		return err_set(e, errno, "cannot read a layer");
	while ((errno = 0, ent = readdir(d))) {
		const char *name = ent->d_name;
		auto_fd int up = -1, low = -1;
		struct stat st, old;

		if (streq(name, ".") || streq(name, ".."))
			continue;
		if (fstatat(upper, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return err_set(e, errno, "cannot read a layer");
		if (fstatat(lower, name, &old, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			continue;
		if (S_ISDIR(st.st_mode)) {
			up = open_dir(upper, name);
			low = open_dir(lower, name);
			if (up < 0)
				return err_set(e, errno, "cannot read a layer");
			if (low >= 0 && !overlay_is_opaque(up)) {
				if (remove_hidden(up, low, e) < 0)
					return -1;
				continue;
			}
		}
		if (tree_remove(lower, name, e) < 0)
			return -1;
	}
	return errno ? err_set(e, errno, "cannot read a layer") : 0;
}

int layers_flatten(const struct layers *l, const struct instance_dir *d, const char *id,
		   struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	auto_fd int upper = open_upper(d, e);
	const char *const *paths;
	char to[PATH_MAX];
	size_t n = 0;

	if (upper < 0)
		return -1;
	if (!a)
		return err_set(e, ENOMEM, "layers");
	if (layers_of(l->all, id, a, &paths, e) < 0 ||
	    instance_path(d, INSTANCE_UPPER, to, sizeof(to), e) < 0)
		return -1;
	while (paths[n])
		n++;
	while (n--) {
		auto_fd int layer = open_dir(AT_FDCWD, paths[n]);

		if (layer < 0)
			return err_set(e, errno, "cannot open layer '%s'", paths[n]);
		if (remove_hidden(layer, upper, e) < 0 ||
		    program_copy_tree(paths[n], to, false, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- from elsewhere ---- */

int layers_parent(const struct instances *all, const char *id, layer_id parent, struct err *e)
{
	return parent_of(all, id, parent, e);
}

static int mend_one(int dir, const char *name, struct err *e)
{
	if (streq(name, ".wh..wh..opq")) {
		if (overlay_make_opaque(dir) < 0)
			return err_set(e, errno, "cannot make a directory opaque");
	} else if (unlinkat(dir, name, 0) < 0 ||
		   mknodat(dir, name + strlen(".wh."), S_IFCHR, 0) < 0) {
		return err_set(e, errno, "cannot make a whiteout '%.100s'", name);
	} else {
		return 0;
	}
	return unlinkat(dir, name, 0) < 0 ? err_set(e, errno, "cannot remove a mark") : 0;
}

/* Whiteouts as archives have them become those of overlayfs. The tree is nobody else's. */
static int mend_whiteouts(int dir, struct err *e)
{
	auto_dir DIR *d = dir_list(dir);
	struct dirent *ent;
	struct stat top;

	if (!d || fstat(dir, &top) < 0)
		return err_set(e, errno, "cannot read a layer");
	while ((errno = 0, ent = readdir(d))) {
		const char *name = ent->d_name;
		auto_fd int below = -1;
		struct stat st;

		if (streq(name, ".") || streq(name, ".."))
			continue;
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return err_set(e, errno, "cannot read a layer");
		if (S_ISDIR(st.st_mode)) {
			below = open_dir(dir, name);
			if (below < 0)
				return err_set(e, errno, "cannot read a layer");
			if (mend_whiteouts(below, e) < 0)
				return -1;
		} else if (str_after(name, ".wh.") && mend_one(dir, name, e) < 0) {
			return -1;
		}
	}
	if (errno)
		return err_set(e, errno, "cannot read a layer");
	if (futimens(dir, (struct timespec[]){ top.st_atim, top.st_mtim }) < 0)
		return err_set(e, errno, "cannot set the time of a directory");
	return 0;
}

int layers_adopt(const struct layers *l, const char *parent, int tree, layer_id id, struct err *e)
{
	char from[40], upper[LAYER_ID_LEN + 8], path[PATH_MAX], to[PATH_MAX];
	ssize_t n;

	if (mend_whiteouts(tree, e) < 0 || make_layer(l, parent, tree, id, e) < 0)
		return -1;
	snprintf(from, sizeof(from), "/proc/self/fd/%d", tree);
	snprintf(upper, sizeof(upper), "%s/upper", id);
	n = readlink(from, path, sizeof(path) - 1);
	if (n < 0)
		return err_set(e, errno, "cannot find a layer");
	path[n] = '\0';
	/* in place of the empty one, which looks the same */
	if (sys_renameat2(AT_FDCWD, path, l->fd, upper, RENAME_EXCHANGE) == 0)
		return 0;
	if (errno != EXDEV) /* disk_file.h */
		return err_set(e, errno, "cannot move a layer");
	return path_of(l->all, id, to, sizeof(to), e) < 0 ? -1 :
							    program_copy_tree(path, to, false, e);
}

/* ---- sweeping ---- */

/* The frozen layers that exist, sorted, and which of them are needed. */
struct census {
	layer_id *ids;
	bool *needed;
	size_t n;
};

static void census_free(struct census *c)
{
	free(c->ids);
	free(c->needed);
}

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, LAYER_ID_LEN);
}

static int count_frozen(const struct layers *l, struct census *c, struct err *e)
{
	auto_dir DIR *d = dir_list(l->fd);
	struct dirent *ent;
	size_t size = 0;

	if (!d)
		return err_set(e, errno, "cannot list the frozen layers");
	while ((errno = 0, ent = readdir(d))) {
		if (!is_id(ent->d_name))
			continue;
		if (c->n == size) {
			size_t more = size ? 2 * size : 64;
			layer_id *ids = realloc(c->ids, more * sizeof(*ids));

			if (!ids)
				return err_set(e, ENOMEM, "cannot list the frozen layers");
			c->ids = ids;
			size = more;
		}
		memcpy(c->ids[c->n++], ent->d_name, sizeof(layer_id));
	}
	if (errno)
		return err_set(e, errno, "cannot list the frozen layers");
	c->needed = calloc(c->n + 1, sizeof(bool));
	if (!c->needed)
		return err_set(e, ENOMEM, "cannot list the frozen layers");
	if (c->n)
		qsort(c->ids, c->n, sizeof(layer_id), by_id);
	return 0;
}

/* @id and all below it are needed. */
static int need(const struct layers *l, struct census *c, const char *id, struct err *e)
{
	layer_id at;
	int r = 1;

	strcpy(at, id);
	while (r > 0) {
		layer_id *found = c->n ? bsearch(at, c->ids, c->n, sizeof(layer_id), by_id) : NULL;

		if (!found || c->needed[found - c->ids])
			return 0;
		c->needed[found - c->ids] = true;
		r = parent_of(l->all, at, at, e);
	}
	return r;
}

static int need_of_instance(const struct layers *l, struct census *c, const char *name,
			    struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_free struct snapshot *list = NULL;
	layer_id parent;
	size_t n = 0;
	int r;

	if (instance_look(l->all, name, &d, e) < 0)
		return e->code == ERR_NO_SUCH ? 0 : -1; /* it was removed meanwhile */
	r = read_parent(d.fd, INSTANCE_PARENT, parent, e);
	if (r > 0)
		r = need(l, c, parent, e);
	if (r == 0)
		r = snapshots_list(&d, &list, &n, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = need(l, c, list[i].layer, e);
	close(d.fd);
	return r;
}

int layers_sweep(const struct layers *l, struct err *e)
{
	__attribute__((cleanup(census_free))) struct census c = { NULL, NULL, 0 };
	auto_free char **names = NULL;
	size_t n = 0;

	if (count_frozen(l, &c, e) < 0)
		return -1;
	if (!c.n)
		return 0;
	if (instances_match(l->all, NULL, &names, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (need_of_instance(l, &c, names[i], e) < 0)
			return -1;
	for (size_t i = 0; i < c.n; i++)
		if (!c.needed[i] && instances_discard(l->all, l->fd, c.ids[i], e) < 0)
			return -1;
	return 0;
}

/* ---- snapshots ---- */

int snapshot_check_name(const char *name, struct err *e)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t len = strlen(name);

	if (!len || len > SNAPSHOT_NAME_MAX || strchr("._-", *name) || strspn(name, allowed) != len)
		return err_set(
			e, ERR_INVALID,
			"a snapshot's name is made of letters, digits, '.', '_' and '-', begins with a "
			"letter or a digit, and has at most %d of them",
			SNAPSHOT_NAME_MAX);
	return 0;
}

static const char *const consistencies[] = { "application", "filesystem", "crash", NULL };
static const char *const makers[] = { SNAPSHOT_BY_SCHEDULE, SNAPSHOT_BY_BACKUP, SNAPSHOT_BY_MIGRATE,
				      NULL };

/* The one of @known that @word is, or NULL. */
static const char *one_of(const char *const *known, const char *word)
{
	while (*known && !streq(*known, word))
		known++;
	return *known;
}

int snapshot_get(const struct json *j, struct snapshot *s, struct err *e)
{
	const char *consistency = "", *by = NULL;
	struct snapshot got = { .created_ns = 0 };

	if (json_expect(j, JSON_OBJECT, e) < 0 ||
	    json_i64(json_get(j, "created_ns"), INT64_MIN, INT64_MAX, &got.created_ns, e) < 0 ||
	    json_i64(json_get(j, "frozen_us"), 0, INT64_MAX, &got.frozen_us, e) < 0 ||
	    json_string(json_get(j, "consistency"), &consistency, e) < 0 ||
	    json_string(json_get(j, "by"), &by, e) < 0)
		return -1;
	got.consistency = one_of(consistencies, consistency);
	got.by = by ? one_of(makers, by) : NULL;
	if (!got.consistency || (by && !got.by))
		return err_set(e, ERR_INVALID, "'%s' is none of those that are known",
			       got.consistency ? "by" : "consistency");
	*s = got;
	return 0;
}

void snapshot_put(struct json_writer *w, const struct snapshot *s)
{
	json_put_i64(w, "created_ns", s->created_ns);
	json_put_i64(w, "frozen_us", s->frozen_us);
	json_put_string(w, "consistency", s->consistency);
	json_put_string(w, "by", s->by);
}

int snapshot_parse(const char *text, size_t len, struct snapshot *s, struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	const struct json *j = a ? json_parse(a, text, len, e) : NULL;
	const char *layer = "";
	struct snapshot got;

	if (!a)
		return err_set(e, ENOMEM, "snapshot");
	if (!j || snapshot_get(j, &got, e) < 0 || json_string(json_get(j, "layer"), &layer, e) < 0)
		return -1;
	if (!is_id(layer))
		return err_set(e, ERR_INVALID, "'layer' is not the id of a layer");
	strcpy(got.layer, layer);
	*s = got;
	return 0;
}

static void dump(const struct snapshot *s, struct str *out)
{
	struct json_writer w = { .out = out };

	json_open(&w, NULL, '{');
	json_put_string(&w, "layer", s->layer);
	snapshot_put(&w, s);
	json_close(&w);
	str_add(out, "\n");
}

static int open_snapshots(const struct instance_dir *d)
{
	return open_dir(d->fd, SNAPSHOTS);
}

int snapshot_write(const struct instance_dir *d, const struct snapshot *s, struct err *e)
{
	auto_str struct str text = { 0 };
	auto_fd int dir = -1;

	if (snapshot_check_name(s->name, e) < 0)
		return -1;
	dump(s, &text);
	if (text.failed)
		return err_set(e, ENOMEM, "snapshot");
	if (mkdirat(d->fd, SNAPSHOTS, 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "cannot make the directory of snapshots");
	dir = open_snapshots(d);
	if (dir < 0)
		return err_set(e, errno, "cannot open the snapshots of '%s'", d->name);
	return file_replace(dir, s->name, text.s, text.len, 0600, true, e);
}

static int read_one(int dir, const char *name, struct snapshot *s, struct err *e)
{
	auto_str struct str text = { 0 };

	if (file_read(dir, name, SNAPSHOT_MAX, &text, e) < 0 ||
	    snapshot_parse(str_text(&text), text.len, s, e) < 0)
		return err_in(e, "snapshot '%s'", name);
	snprintf(s->name, sizeof(s->name), "%s", name);
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct snapshot *x = a, *y = b;

	if (x->created_ns != y->created_ns)
		return x->created_ns < y->created_ns ? -1 : 1;
	return strcmp(x->name, y->name);
}

int snapshots_list(const struct instance_dir *d, struct snapshot **list, size_t *n, struct err *e)
{
	auto_free struct snapshot *got = NULL;
	size_t count = 0, size = 0;
	auto_dir DIR *dir = NULL;
	struct dirent *ent;
	int fd = open_snapshots(d);

	*list = NULL;
	*n = 0;
	if (fd < 0 && errno == ENOENT)
		return 0;
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		own_close(&fd);
		return err_set(e, errno, "cannot list the snapshots of '%s'", d->name);
	}
	while ((errno = 0, ent = readdir(dir))) {
		if (*ent->d_name == '.')
			continue;
		if (count == size) {
			size_t more = size ? 2 * size : 16;
			struct snapshot *v = realloc(got, more * sizeof(*v));

			if (!v)
				return err_set(e, ENOMEM, "cannot list the snapshots of '%s'",
					       d->name);
			got = v;
			size = more;
		}
		if (read_one(dirfd(dir), ent->d_name, &got[count], e) < 0)
			return err_in(e, "instance '%s'", d->name);
		count++;
	}
	if (errno)
		return err_set(e, errno, "cannot list the snapshots of '%s'", d->name);
	if (count)
		qsort(got, count, sizeof(*got), by_time);
	*list = take_ptr(got);
	*n = count;
	return 0;
}

static int no_such_snapshot(const struct instance_dir *d, const char *name, struct err *e)
{
	auto_free struct snapshot *list = NULL;
	auto_free const char **names = NULL;
	const char *near = NULL;
	struct err ignored;
	size_t n = 0;

	if (snapshots_list(d, &list, &n, &ignored) == 0)
		names = calloc(n + 1, sizeof(*names));
	for (size_t i = 0; names && i < n; i++)
		names[i] = list[i].name;
	near = names ? str_nearest(name, names) : NULL;
	return err_set(e, ERR_NO_SUCH, "instance '%s' has no snapshot '%s'%s%s%s", d->name, name,
		       near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int snapshot_read(const struct instance_dir *d, const char *name, struct snapshot *s, struct err *e)
{
	auto_fd int dir = -1;

	if (snapshot_check_name(name, e) < 0)
		return -1;
	dir = open_snapshots(d);
	if (dir < 0 || faccessat(dir, name, F_OK, 0) < 0)
		return errno == ENOENT ? no_such_snapshot(d, name, e) :
					 err_set(e, errno, "snapshots of '%s'", d->name);
	return read_one(dir, name, s, e);
}

int snapshot_remove(const struct instance_dir *d, const char *name, struct err *e)
{
	auto_fd int dir = -1;

	if (snapshot_check_name(name, e) < 0)
		return -1;
	dir = open_snapshots(d);
	if (dir < 0 || unlinkat(dir, name, 0) < 0)
		return errno == ENOENT ? no_such_snapshot(d, name, e) :
					 err_set(e, errno, "cannot remove snapshot '%s'", name);
	if (fsync(dir) < 0)
		return err_set(e, errno, "cannot sync the snapshots of '%s'", d->name);
	return 0;
}
