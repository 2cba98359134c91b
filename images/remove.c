#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "images/images.h"
#include "images/meta.h"
#include "images/store.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"

/* A growing list of strings in an arena, NULL-terminated. */
struct names {
	struct arena *a;
	const char **list;
	size_t n, size;
};

static int names_add(struct names *l, const char *s, struct err *e)
{
	if (l->n + 2 > l->size) {
		size_t size = l->size ? 2 * l->size : 8;
		const char **list = arena_array(l->a, size, sizeof(*list));

		if (!list)
			return err_set(e, ENOMEM, "cannot list names");
		if (l->n)
			memcpy(list, l->list, l->n * sizeof(*list));
		l->list = list;
		l->size = size;
	}
	l->list[l->n] = arena_strdup(l->a, s);
	if (!l->list[l->n])
		return err_set(e, ENOMEM, "cannot list names");
	l->list[++l->n] = NULL;
	return 0;
}

static int names_start(struct names *l, struct arena *a, struct err *e)
{
	*l = (struct names){ .a = a, .list = arena_array(a, 8, sizeof(*l->list)), .size = 8 };
	return l->list ? 0 : err_set(e, ENOMEM, "cannot list names");
}

/* --- Who uses it ------------------------------------------------------------------------------------- */

struct user_search {
	struct store *s;
	const char *id;
	struct names users;
};

static int look_at_instance(void *arg, const char *name, struct err *e)
{
	struct user_search *u = arg;
	char path[PATH_MAX];
	auto_str struct str text = { 0 };
	struct err why = { 0 };

	snprintf(path, sizeof(path), "instances/%s/config.json", name);
	if (file_read(u->s->fd, path, META_MAX, &text, &why) < 0) {
		/* without the file it is no instance (yet, or any more) */
		if (why.code == ENOENT || why.code == ENOTDIR)
			return 0;
		return names_add(&u->users, name, e);
	}
	return strstr(str_text(&text), u->id) ? names_add(&u->users, name, e) : 0;
}

int image_users(struct store *s, const char *id, struct arena *a, const char *const **users,
		struct err *e)
{
	struct user_search u = { .s = s, .id = id };
	struct stat there;

	if (names_start(&u.users, a, e) < 0)
		return -1;
	/* a link that leads nowhere is not none: what it leads to is not mounted (disk_file.h) */
	if (fstatat(s->fd, "instances", &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    store_each(s, "instances", look_at_instance, &u, e) < 0)
		return -1;
	*users = u.users.list;
	return 0;
}

/* --- Removing ---------------------------------------------------------------------------------------- */

struct removal {
	struct store *s;
	char id[IMAGE_ID_LEN + 1];
	char asked[IMAGE_NAME_MAX + 1]; /* the name that was given, or "": all of them */
	struct arena *a;
	struct names names;  /* of the image */
	struct names layers; /* diff ids that some other image names */
	struct names roots;  /* root ids likewise */
	struct staging trash;
	uint64_t bytes;
};

static int note_name(void *arg, const char *file, struct err *e)
{
	struct removal *r = arg;
	char id[IMAGE_ID_LEN + 1], name[NAME_MAX + 1];
	struct err why = { 0 };

	if (store_read_ref(r->s, file, id, &why) < 0 || !streq(id, r->id))
		return 0;
	name_unescape(file, name);
	return names_add(&r->names, name, e);
}

static int discard_ref(struct removal *r, const char *name, struct err *e)
{
	char path[IMAGE_NAME_MAX + 16] = "refs/";

	name_escape(name, path + strlen(path));
	return staging_discard(r->s, &r->trash, path, path + strlen("refs/"), e);
}

static int refuse_if_used(struct removal *r, struct err *e)
{
	const char *const *users;

	if (image_users(r->s, r->id, r->a, &users, e) < 0)
		return -1;
	if (users[0])
		return err_set(e, ERR_STATE, "image %.*s is used by instance '%s'%s",
			       IMAGE_ID_SHORT, r->id, users[0], users[1] ? " and others" : "");
	return 0;
}

static int note_layers(void *arg, const char *id, struct err *e)
{
	struct removal *r = arg;
	char path[IMAGE_ID_LEN + 32];
	auto_str struct str text = { 0 };
	struct meta_image m;

	if (!is_image_id(id) || streq(id, r->id))
		return 0;
	snprintf(path, sizeof(path), "images/%s/meta.json", id);
	/* an unreadable one may use any layer */
	if (file_read(r->s->fd, path, META_MAX, &text, e) < 0 ||
	    meta_read_image(r->a, str_text(&text), text.len, &m, e) < 0)
		return err_in(e, "image %.*s", IMAGE_ID_SHORT, id);
	for (size_t i = 0; m.layers[i]; i++)
		if (names_add(&r->layers, m.layers[i], e) < 0)
			return -1;
	return names_add(&r->roots, m.root, e);
}

/* A directory of files that images name, or else nobody does. */
struct pool {
	struct removal *r;
	const char *path;
	const struct names *kept;
};

static int sweep_file(void *arg, const char *name, struct err *e)
{
	struct pool *p = arg;
	char path[PATH_MAX], as[PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < p->kept->n; i++)
		if (streq(p->kept->list[i], name))
			return 0;
	snprintf(path, sizeof(path), "%s/%s", p->path, name);
	snprintf(as, sizeof(as), "%s.%s", p->path, name);
	/* of a directory the blocks are not worth a walk: it is deleted after the lock is released */
	if (fstatat(p->r->s->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
		p->r->bytes += (uint64_t)st.st_blocks * 512;
	return staging_discard(p->r->s, &p->r->trash, path, as, e);
}

static int sweep_pool(struct removal *r, const char *path, const struct names *kept, struct err *e)
{
	struct pool p = { r, path, kept };

	return store_each(r->s, path, sweep_file, &p, e) < 0 ? -1 : store_sync_dir(r->s, path, e);
}

static int sweep_source(void *arg, const char *file, struct err *e)
{
	struct removal *r = arg;
	char path[PATH_MAX];
	auto_str struct str text = { 0 };
	struct err why = { 0 };

	snprintf(path, sizeof(path), "sources/%s", file);
	if (file_read(r->s->fd, path, 512, &text, &why) < 0 || !strstr(str_text(&text), r->id))
		return 0;
	return staging_discard(r->s, &r->trash, path, file, e);
}

/* Names first, then the image, then its layers: at each point in between the store is whole. */
static int remove_whole(struct removal *r, struct err *e)
{
	char path[IMAGE_ID_LEN + 16];

	if (refuse_if_used(r, e) < 0 || store_each(r->s, "images", note_layers, r, e) < 0)
		return -1;
	for (size_t i = 0; i < r->names.n; i++)
		if (discard_ref(r, r->names.list[i], e) < 0)
			return -1;
	if (store_sync_dir(r->s, "refs", e) < 0)
		return -1;
	snprintf(path, sizeof(path), "images/%s", r->id);
	if (staging_discard(r->s, &r->trash, path, "image", e) < 0 ||
	    store_sync_dir(r->s, "images", e) < 0 ||
	    store_each(r->s, "sources", sweep_source, r, e) < 0 ||
	    sweep_pool(r, "roots", &r->roots, e) < 0 || sweep_pool(r, "layers", &r->layers, e) < 0)
		return -1;
	return sweep_pool(r, "blobs", &r->layers, e);
}

static int remove_name(struct removal *r, struct err *e)
{
	struct names only;

	if (names_start(&only, r->a, e) < 0 || names_add(&only, r->asked, e) < 0 ||
	    discard_ref(r, r->asked, e) < 0 || store_sync_dir(r->s, "refs", e) < 0)
		return -1;
	r->names = only;
	return 0;
}

/* Under the exclusive lock. */
static int remove_locked(struct removal *r, const char *name, bool *whole, struct err *e)
{
	if (staging_sweep(r->s, &r->trash, e) < 0 ||
	    store_resolve(r->s, name, r->id, r->asked, e) < 0 ||
	    names_start(&r->names, r->a, e) < 0 || names_start(&r->layers, r->a, e) < 0 ||
	    names_start(&r->roots, r->a, e) < 0 || store_each(r->s, "refs", note_name, r, e) < 0)
		return -1;
	*whole = !*r->asked || r->names.n < 2;
	return *whole ? remove_whole(r, e) : remove_name(r, e);
}

int image_remove(struct store *s, const char *name, struct image_removed *out, struct err *e)
{
	auto_arena struct arena *a = arena_new(0);
	struct removal r = { .s = s, .a = a, .trash = STAGING_NONE };
	bool whole = false;
	int rc;

	if (!a)
		return err_set(e, ENOMEM, "cannot remove '%s'", name);
	if (store_lock(s, e) < 0)
		return -1;
	rc = remove_locked(&r, name, &whole, e);
	store_release(s);
	staging_end(s, &r.trash);
	if (rc < 0)
		return -1;
	if (out) {
		*out = (struct image_removed){ .names = r.names.list,
					       .image = whole,
					       .bytes = r.bytes };
		strcpy(out->id, r.id);
		out->arena = take_ptr(a);
	}
	return 0;
}

/* --- Names ------------------------------------------------------------------------------------------- */

int image_set_name(struct store *s, const char *name, const char *id, struct err *e)
{
	char path[IMAGE_NAME_MAX + 16] = "refs/", from[STAGING_NAME_MAX + 16];
	struct staging g = STAGING_NONE;
	auto_str struct str text = { 0 };
	int rc;

	name_escape(name, path + strlen(path));
	str_addf(&text, "%s\n", id);
	if (store_lock(s, e) < 0)
		return -1;
	rc = staging_new(s, &g, e);
	if (rc == 0)
		rc = store_write_file(g.dir, "ref", &text, e);
	snprintf(from, sizeof(from), "%s/ref", g.name);
	if (rc == 0 && renameat(s->fd, from, s->fd, path) < 0)
		rc = err_set(e, errno, "cannot set the name '%s'", name);
	if (rc == 0)
		rc = store_sync_dir(s, "refs", e);
	store_release(s);
	staging_end(s, &g);
	return rc;
}

int image_tag(struct store *s, const char *image, const char *name, struct err *e)
{
	char id[IMAGE_ID_LEN + 1], canonical[IMAGE_NAME_MAX + 1];

	if (image_name_parse(name, canonical, e) < 0 || store_resolve(s, image, id, NULL, e) < 0)
		return -1;
	return image_set_name(s, canonical, id, e);
}

int image_untag(struct store *s, const char *name, struct err *e)
{
	auto_arena struct arena *a = arena_new(0);
	struct removal r = { .s = s, .a = a, .trash = STAGING_NONE };
	int rc;

	if (!a)
		return err_set(e, ENOMEM, "cannot untag '%s'", name);
	if (store_lock(s, e) < 0)
		return -1;
	rc = store_resolve(s, name, r.id, r.asked, e);
	if (rc == 0 && !*r.asked)
		rc = err_set(e, ERR_INVALID, "'%s' is an id, not a name", name);
	if (rc == 0)
		rc = remove_name(&r, e);
	store_release(s);
	staging_end(s, &r.trash);
	return rc;
}

/* --- Pruning ----------------------------------------------------------------------------------------- */

/* What no image leads to: an import that was killed between two renames has left it. */
static int sweep_orphans(struct store *s, uint64_t *bytes, struct err *e)
{
	auto_arena struct arena *a = arena_new(0);
	struct removal r = { .s = s, .a = a, .id = "", .trash = STAGING_NONE };
	int rc;

	if (!a)
		return err_set(e, ENOMEM, "cannot prune");
	if (store_lock(s, e) < 0)
		return -1;
	rc = staging_sweep(s, &r.trash, e) < 0 || names_start(&r.layers, a, e) < 0 ||
			     names_start(&r.roots, a, e) < 0 ||
			     store_each(s, "images", note_layers, &r, e) < 0 ||
			     sweep_pool(&r, "roots", &r.roots, e) < 0 ||
			     sweep_pool(&r, "layers", &r.layers, e) < 0 ||
			     sweep_pool(&r, "blobs", &r.layers, e) < 0 ?
		     -1 :
		     0;
	store_release(s);
	staging_end(s, &r.trash);
	*bytes += r.bytes;
	return rc;
}

int image_prune(struct store *s, bool all, void (*f)(void *arg, const struct image_removed *r),
		void *arg, uint64_t *bytes, struct err *e)
{
	struct image **list;
	int rc = 0;

	*bytes = 0;
	if (image_list(s, &list, NULL, e) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && list[i]; i++) {
		struct image_removed r;
		struct err why;

		if (list[i]->names[0] && !all)
			continue;
		if (image_remove(s, list[i]->id, &r, &why) == 0) {
			*bytes += r.bytes;
			f(arg, &r);
			arena_free(r.arena);
		} else if (why.code != ERR_STATE && why.code != ERR_NO_SUCH) {
			*e = why;
			rc = -1;
		}
	}
	image_list_free(list);
	return rc < 0 ? -1 : sweep_orphans(s, bytes, e);
}
