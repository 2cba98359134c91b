#include "images/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "images/meta.h"
#include "runtime/base/sha256.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"

#define REF_MAX 128

/* --- Opening ---------------------------------------------------------------------------------------- */

static const char *const parts[] = { "tmp",    "layers", "blobs",   "roots",
				     "images", "refs",	 "sources", NULL };

const char *store_path(const struct store *s)
{
	return s->path;
}

int store_fd(const struct store *s)
{
	return s->fd;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	if (s->lock >= 0)
		close(s->lock);
	free(s->path);
	free(s);
}

static int look_for_strangers(void *arg, const char *name, struct err *e)
{
	static const char *const known[] = { "instances", "events",    "networks",
					     "frozen",	  "usage",     "lost+found",
					     "lock",	  "version",   "run",
					     "disk",	  "disk.ext4", "instances.old",
					     "rootless",  NULL };

	(void)arg;
	(void)e;
	/* "version" may appear while we look: another first store_open() */
	if (str_after(name, ".version.")) /* a first store_open() was killed */
		return 0;
	for (size_t i = 0; known[i]; i++)
		if (streq(name, known[i]))
			return 0;
	for (size_t i = 0; parts[i]; i++)
		if (streq(name, parts[i]))
			return 0;
	return 1;
}

/*
 * A directory that others can enter is closed to them, for it will hold setuid files of strangers
 * (CVE-2021-41091); but not somebody's home, named by mistake.
 */
static int check_root(struct store *s, struct err *e)
{
	struct stat st;
	int r;

	if (fstat(s->fd, &st) < 0)
		return err_set(e, errno, "cannot stat '%s'", s->path);
	if (st.st_uid != geteuid())
		return err_set(e, ERR_INVALID, "the store '%s' belongs to user %u", s->path,
			       (unsigned)st.st_uid);
	if (faccessat(s->fd, "version", F_OK, 0) < 0) {
		r = store_each(s, ".", look_for_strangers, NULL, e);
		if (r < 0)
			return -1;
		if (r)
			return err_set(
				e, ERR_INVALID,
				"'%s' is neither a store of ctr nor empty: something else is in it",
				s->path);
	}
	if ((st.st_mode & 07077) && fchmod(s->fd, 0700) < 0)
		return err_set(e, errno, "cannot close '%s' to others", s->path);
	return 0;
}

static int check_version(struct store *s, struct err *e)
{
	auto_str struct str text = { 0 };

	if (faccessat(s->fd, "version", F_OK, 0) < 0)
		return file_replace(s->fd, "version", STORE_VERSION "\n",
				    strlen(STORE_VERSION "\n"), 0600, 1, e);
	if (file_read(s->fd, "version", REF_MAX, &text, e) < 0)
		return err_in(e, "store '%s'", s->path);
	if (!streq(str_text(&text), STORE_VERSION "\n"))
		return err_set(e, ERR_NOT_SUPPORTED,
			       "the store '%s' is of another format than this ctr's (" STORE_VERSION
			       ")",
			       s->path);
	return 0;
}

/* A read-only store that is complete can be read. */
static int make_parts(struct store *s, struct err *e)
{
	for (size_t i = 0; parts[i]; i++)
		if (mkdirat(s->fd, parts[i], 0700) < 0 && errno != EEXIST &&
		    faccessat(s->fd, parts[i], F_OK, 0) < 0)
			return err_set(e, errno, "cannot make '%s/%s'", s->path, parts[i]);
	s->lock = openat(s->fd, "lock", O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock < 0 && errno == EROFS)
		s->lock = openat(s->fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (s->lock < 0)
		return err_set(e, errno, "cannot open '%s/lock'", s->path);
	return 0;
}

struct store *store_open(const char *root, struct err *e)
{
	auto_store struct store *s = calloc(1, sizeof(*s));

	if (!root)
		root = getenv("CTR_ROOT");
	if (!root || !*root)
		root = STORE_ROOT_DEFAULT;
	if (*root != '/') {
		err_set(e, ERR_INVALID, "the store's directory '%s' is not an absolute path", root);
		return NULL;
	}
	if (s)
		*s = (struct store){ .path = strdup(root), .fd = -1, .lock = -1 };
	if (!s || !s->path) {
		err_set(e, ENOMEM, "cannot open the store");
		return NULL;
	}
	s->fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd < 0 && errno == ENOENT) {
		if (dir_make_all(root, 0700, e) < 0)
			return NULL;
		s->fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (s->fd < 0 && errno == EACCES && geteuid() != 0) {
		err_set(e, errno, "cannot open the store '%s', being user %u: try as root", root,
			(unsigned)geteuid());
		return NULL;
	}
	if (s->fd < 0) {
		err_set(e, errno, "cannot open the store '%s'", root);
		return NULL;
	}
	if (check_root(s, e) < 0 || make_parts(s, e) < 0 || check_version(s, e) < 0)
		return NULL;
	return take_ptr(s);
}

/* --- Locks and staging ------------------------------------------------------------------------------- */

static int lock_as(struct store *s, int how, struct err *e)
{
	/* a signal that cancels the command cancels the wait as well */
	if (flock(s->lock, how) < 0)
		return err_set(e, errno, "cannot lock the store '%s'", s->path);
	return 0;
}

int store_hold(struct store *s, struct err *e)
{
	return lock_as(s, LOCK_SH, e);
}

int store_lock(struct store *s, struct err *e)
{
	return lock_as(s, LOCK_EX, e);
}

void store_release(struct store *s)
{
	(void)flock(s->lock, LOCK_UN); /* cannot fail on an open file */
}

int staging_new(struct store *s, struct staging *g, struct err *e)
{
	unsigned char random[10];
	char *at = g->name + strlen("tmp/");

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_set(e, errno, "cannot get random bytes");
	strcpy(g->name, "tmp/");
	for (size_t i = 0; i < sizeof(random); i++)
		at += sprintf(at, "%02x", random[i]);
	if (mkdirat(s->fd, g->name, 0700) < 0) {
		err_set(e, errno, "cannot make '%s/%s'", s->path, g->name);
		*g->name = '\0';
		return -1;
	}
	g->dir = openat(s->fd, g->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (g->dir < 0)
		return err_set(e, errno, "cannot open '%s/%s'", s->path, g->name);
	g->lock = openat(g->dir, "lock", O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (g->lock < 0 || flock(g->lock, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, errno, "cannot lock '%s/%s'", s->path, g->name);
	return 0;
}

void staging_end(struct store *s, struct staging *g)
{
	struct err e = { 0 };

	if (*g->name && tree_remove(s->fd, g->name, &e) < 0)
		log_warn("'%s/%s' is left behind, for the next command to remove: %s", s->path,
			 g->name, e.msg);
	if (g->dir >= 0)
		close(g->dir);
	if (g->lock >= 0)
		close(g->lock);
	*g = (struct staging)STAGING_NONE;
}

int staging_discard(struct store *s, struct staging *trash, const char *path, const char *as,
		    struct err *e)
{
	if (!*trash->name && staging_new(s, trash, e) < 0)
		return -1;
	if (renameat(s->fd, path, trash->dir, as) < 0 && errno != ENOENT)
		return err_set(e, errno, "cannot remove '%s/%s'", s->path, path);
	return 0;
}

struct sweep {
	struct store *s;
	struct staging *trash;
};

static int sweep_one(void *arg, const char *name, struct err *e)
{
	struct sweep *w = arg;
	char path[PATH_MAX];
	auto_fd int lock = -1;

	snprintf(path, sizeof(path), "tmp/%s", name);
	if (streq(path, w->trash->name))
		return 0;
	snprintf(path, sizeof(path), "tmp/%s/lock", name);
	lock = openat(w->s->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) < 0)
		return 0; /* its maker, or the maker's helper, lives */
	snprintf(path, sizeof(path), "tmp/%s", name);
	return staging_discard(w->s, w->trash, path, name, e);
}

int staging_sweep(struct store *s, struct staging *trash, struct err *e)
{
	struct sweep w = { s, trash };

	return store_each(s, "tmp", sweep_one, &w, e);
}

int store_sync_dir(struct store *s, const char *path, struct err *e)
{
	auto_fd int fd = openat(s->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_set(e, errno, "cannot sync '%s/%s'", s->path, path);
	return 0;
}

/* --- Writing ---------------------------------------------------------------------------------------- */

static int write_file(int dir, const struct store_file *f, struct err *e)
{
	auto_fd int fd = -1;

	if (f->text->failed)
		return err_set(e, ENOMEM, "cannot write '%s'", f->name);
	fd = openat(dir, f->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(e, errno, "cannot make '%s'", f->name);
	if (file_write_all(fd, str_text(f->text), f->text->len) < 0)
		return err_set(e, errno, "cannot write '%s'", f->name);
	/* a hint: the file has blocks when the journal is written, which so is written once for several files */
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return 0;
}

int store_write_files(int dir, const struct store_file *files, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (write_file(dir, &files[i], e) < 0)
			return -1;
	/* a rename must not come before the content on disk: ext4 would have an empty file after power loss */
	for (size_t i = 0; i < n; i++) {
		auto_fd int fd = openat(dir, files[i].name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

		if (fd < 0 || fsync(fd) < 0)
			return err_set(e, errno, "cannot write '%s'", files[i].name);
	}
	return 0;
}

int store_write_file(int dir, const char *name, const struct str *text, struct err *e)
{
	return store_write_files(dir, &(struct store_file){ name, text }, 1, e);
}

int store_make_dir(int parent, const char *name, struct err *e)
{
	int fd;

	if (mkdirat(parent, name, 0700) < 0)
		return err_set(e, errno, "cannot make '%s'", name);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "cannot open '%s'", name);
	return fd;
}

/* --- Reading ---------------------------------------------------------------------------------------- */

int store_each(struct store *s, const char *path,
	       int (*f)(void *arg, const char *name, struct err *e), void *arg, struct err *e)
{
	auto_fd int fd = openat(s->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir DIR *d = NULL;
	struct dirent *ent;
	int r = 0;

	if (fd >= 0)
		d = fdopendir(fd);
	if (!d)
		return err_set(e, errno, "cannot read '%s/%s'", s->path, path);
	fd = -1; /* the stream's now */
	while (r == 0 && (ent = readdir(d)))
		if (!streq(ent->d_name, ".") && !streq(ent->d_name, ".."))
			r = f(arg, ent->d_name, e);
	return r;
}

int store_read_ref(struct store *s, const char *file, char id[IMAGE_ID_LEN + 1], struct err *e)
{
	char path[IMAGE_NAME_MAX + 16];
	auto_str struct str text = { 0 };

	if (snprintf(path, sizeof(path), "refs/%s", file) >= (int)sizeof(path))
		return err_set(e, ERR_INVALID, "'%s' is too long a name", file);
	if (file_read(s->fd, path, REF_MAX, &text, e) < 0) {
		if (e->code == ENOENT)
			e->code = ERR_NO_SUCH;
		return -1;
	}
	if (text.len && text.s[text.len - 1] == '\n')
		text.s[--text.len] = '\0';
	if (!is_image_id(str_text(&text)))
		return err_set(e, ERR_INVALID, "'%s/%s' is damaged: it does not hold an image's id",
			       s->path, path);
	strcpy(id, text.s);
	return 0;
}

struct image *store_read_image(struct store *s, const char *id, const char *const *names,
			       struct err *e)
{
	struct arena *a = arena_new(0);
	struct image *img = a ? arena_alloc(a, sizeof(*img)) : NULL;
	auto_str struct str config = { 0 }, meta = { 0 };
	const char *const *diff_ids;
	const char **layers, **copies;
	char path[IMAGE_ID_LEN + 32];
	struct meta_image m = { 0 };
	size_t n_names = 0;
	struct stat st;

	if (!img)
		goto no_memory;
	img->arena = a;
	img->tree = -1;
	snprintf(path, sizeof(path), "images/%s/meta.json", id);
	if (file_read(s->fd, path, META_MAX, &meta, e) < 0 ||
	    meta_read_image(a, str_text(&meta), meta.len, &m, e) < 0)
		goto fail;
	snprintf(path, sizeof(path), "images/%s/config.json", id);
	if (file_read(s->fd, path, META_MAX, &config, e) < 0 ||
	    meta_read_config(a, str_text(&config), config.len, &img->config, &diff_ids, e) < 0)
		goto fail;
	while (names && names[n_names])
		n_names++;
	img->id = arena_strdup(a, id);
	img->layers = layers = arena_array(a, 2, sizeof(*layers));
	img->names = copies = arena_array(a, n_names + 1, sizeof(*copies));
	if (!img->id || !layers || !copies)
		goto no_memory;
	layers[0] = arena_printf(a, "%s/roots/%s", s->path, m.root);
	if (!layers[0])
		goto no_memory;
	if (stat(layers[0], &st) < 0) {
		err_set(e, errno, "its root '%s' is missing", layers[0]);
		goto fail;
	}
	for (size_t i = 0; i < n_names; i++)
		if (!(copies[i] = arena_strdup(a, names[i])))
			goto no_memory;
	img->index = S_ISREG(st.st_mode);
	img->filesystem = m.filesystem;
	img->root_id = m.root;
	img->diff_ids = m.layers;
	img->whiteouts = m.whiteouts;
	img->system = m.system;
	img->imported = m.imported;
	img->size = m.size;
	img->entries = m.entries;
	return img;
no_memory:
	err_set(e, ENOMEM, "cannot read it");
fail:
	arena_free(a);
	err_in(e, "image %.*s", IMAGE_ID_SHORT, id);
	return NULL;
}

int root_id(const char *const *layers, bool whiteouts, char out[IMAGE_ID_LEN + 1], struct err *e)
{
	auto_str struct str text = { 0 };

	str_add(&text, whiteouts ? "image\n" : "root filesystem\n");
	for (size_t i = 0; layers[i]; i++)
		str_addf(&text, "%s\n", layers[i]);
	if (text.failed)
		return err_set(e, ENOMEM, "cannot name a root");
	sha256_text(str_text(&text), text.len, out);
	return 0;
}

void image_free(struct image *img)
{
	if (!img)
		return;
	if (img->tree >= 0)
		close(img->tree);
	arena_free(img->arena);
}

/* --- Finding ---------------------------------------------------------------------------------------- */

struct id_search {
	const char *prefix;
	size_t len;
	unsigned found;
	char id[IMAGE_ID_LEN + 1];
};

static int match_id(void *arg, const char *name, struct err *e)
{
	struct id_search *f = arg;

	(void)e;
	if (is_image_id(name) && strncmp(name, f->prefix, f->len) == 0) {
		f->found++;
		strcpy(f->id, name);
	}
	return 0;
}

/* Names of all refs, canonical, as a growing array for str_nearest(). */
struct ref_names {
	struct arena *a;
	const char **list;
	size_t n, size;
};

static int collect_ref(void *arg, const char *file, struct err *e)
{
	struct ref_names *r = arg;
	char name[NAME_MAX + 1];

	(void)e;
	if (r->n + 2 > r->size) {
		size_t size = r->size ? 2 * r->size : 32;
		const char **list = reallocarray(r->list, size, sizeof(*list));

		if (!list)
			return 0;
		r->list = list;
		r->size = size;
	}
	name_unescape(file, name);
	r->list[r->n] = arena_strdup(r->a, name);
	if (r->list[r->n])
		r->list[++r->n] = NULL;
	return 0;
}

/* Another tag of the same name, or a name with a slip in it. */
static const char *nearest(const char *canonical, const char *const *names)
{
	size_t len = (size_t)(strrchr(canonical, ':') + 1 - canonical);

	for (size_t i = 0; names[i]; i++)
		if (strncmp(names[i], canonical, len) == 0)
			return names[i];
	return str_nearest(canonical, names);
}

static int no_such_image(struct store *s, const char *name, const char *canonical, struct err *e)
{
	auto_arena struct arena *a = arena_new(0);
	struct ref_names r = { .a = a };
	const char *near = NULL;
	struct err ignored;

	if (a && *canonical && store_each(s, "refs", collect_ref, &r, &ignored) == 0 && r.n)
		near = nearest(canonical, r.list);
	err_set(e, ERR_NO_SUCH, "there is no image '%s'%s%s%s", name,
		near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	free(r.list);
	return -1;
}

int store_resolve(struct store *s, const char *name, char id[IMAGE_ID_LEN + 1], char *found,
		  struct err *e)
{
	const char *hex = str_after(name, "sha256:");
	char canonical[IMAGE_NAME_MAX + 1] = "", file[IMAGE_NAME_MAX + 1];
	struct id_search f = { .prefix = hex ? hex : name };
	struct err why = { 0 };
	bool is_name;

	f.len = strspn(f.prefix, "0123456789abcdef");
	if (f.prefix[f.len] || f.len < IMAGE_ID_MIN || f.len > IMAGE_ID_LEN)
		f.len = 0;
	is_name = !hex && image_name_parse(name, canonical, &why) == 0;
	if (!is_name && !f.len) {
		if (hex)
			return err_set(e, ERR_INVALID, "'%s' is not an image's id", name);
		*e = why;
		return -1;
	}
	if (is_name) {
		name_escape(canonical, file);
		if (store_read_ref(s, file, id, e) == 0) {
			if (found)
				strcpy(found, canonical);
			return 0;
		}
		if (e->code != ERR_NO_SUCH)
			return -1;
	}
	if (f.len && store_each(s, "images", match_id, &f, e) < 0)
		return -1;
	if (f.found > 1)
		return err_set(e, ERR_INVALID, "the id '%s' fits %u images: give more digits", name,
			       f.found);
	if (!f.found)
		return no_such_image(s, name, is_name ? canonical : "", e);
	strcpy(id, f.id);
	if (found)
		*found = '\0';
	return 0;
}

struct image *image_find(struct store *s, const char *name, struct err *e)
{
	char id[IMAGE_ID_LEN + 1], found[IMAGE_NAME_MAX + 1];
	const char *names[] = { found, NULL };

	if (store_resolve(s, name, id, found, e) < 0)
		return NULL;
	return store_read_image(s, id, *found ? names : NULL, e);
}

/* --- Listing ---------------------------------------------------------------------------------------- */

struct ref {
	char name[IMAGE_NAME_MAX + 1], id[IMAGE_ID_LEN + 1];
};

struct listing {
	struct store *s;
	struct ref *refs;
	size_t n_refs, refs_size;
	struct image **images;
	size_t n, size;
};

static int list_ref(void *arg, const char *file, struct err *e)
{
	struct listing *l = arg;
	struct err why = { 0 };
	struct ref *r;

	if (*file == '.') /* one being written */
		return 0;
	if (l->n_refs == l->refs_size) {
		size_t size = l->refs_size ? 2 * l->refs_size : 32;

		r = reallocarray(l->refs, size, sizeof(*r));
		if (!r)
			return err_set(e, ENOMEM, "cannot list images");
		l->refs = r;
		l->refs_size = size;
	}
	r = &l->refs[l->n_refs];
	if (store_read_ref(l->s, file, r->id, &why) < 0) {
		if (why.code != ERR_NO_SUCH)
			log_warn("%s", why.msg);
		return 0;
	}
	name_unescape(file, r->name);
	l->n_refs++;
	return 0;
}

static int list_image(void *arg, const char *id, struct err *e)
{
	struct listing *l = arg;
	struct err why = { 0 };
	auto_free const char **names = NULL;
	size_t n = 0;

	if (!is_image_id(id))
		return 0;
	if (l->n + 2 > l->size) {
		size_t size = l->size ? 2 * l->size : 32;
		struct image **images = reallocarray(l->images, size, sizeof(*images));

		if (!images)
			return err_set(e, ENOMEM, "cannot list images");
		l->images = images;
		l->size = size;
	}
	names = calloc(l->n_refs + 1, sizeof(*names));
	if (!names)
		return err_set(e, ENOMEM, "cannot list images");
	for (size_t i = 0; i < l->n_refs; i++)
		if (streq(l->refs[i].id, id))
			names[n++] = l->refs[i].name;
	l->images[l->n] = store_read_image(l->s, id, names, &why);
	if (l->images[l->n])
		l->images[++l->n] = NULL;
	else if (why.code != ENOENT) /* gone in the meantime */
		log_warn("%s", why.msg);
	return 0;
}

static int by_ref_name(const void *a, const void *b)
{
	return strcmp(((const struct ref *)a)->name, ((const struct ref *)b)->name);
}

static int by_image_name(const void *a, const void *b)
{
	const struct image *x = *(struct image *const *)a, *y = *(struct image *const *)b;
	const char *nx = x->names[0], *ny = y->names[0];

	if (!nx != !ny)
		return nx ? -1 : 1;
	return nx && ny ? strcmp(nx, ny) : strcmp(x->id, y->id);
}

void image_list_free(struct image **list)
{
	for (size_t i = 0; list && list[i]; i++)
		image_free(list[i]);
	free(list);
}

int image_list(struct store *s, struct image ***list, size_t *n, struct err *e)
{
	struct listing l = { .s = s };
	int r = store_each(s, "refs", list_ref, &l, e);

	if (r == 0 && l.n_refs)
		qsort(l.refs, l.n_refs, sizeof(*l.refs), by_ref_name);
	if (r == 0)
		r = store_each(s, "images", list_image, &l, e);
	if (r == 0 && !l.images && !(l.images = calloc(1, sizeof(*l.images))))
		r = err_set(e, ENOMEM, "cannot list images");
	free(l.refs);
	if (r < 0) {
		image_list_free(l.images);
		return -1;
	}
	if (l.n)
		qsort(l.images, l.n, sizeof(*l.images), by_image_name);
	*list = l.images;
	if (n)
		*n = l.n;
	return 0;
}
