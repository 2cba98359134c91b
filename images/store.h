/*
 * store.h - inside of images/: what store.c offers to the other files here. images.h has the layout's overview.
 *
 *	layers/<diff id>	regular file, 0600: the layer's archive, uncompressed, as the image's maker wrote it, so its
 *				sha256 is its name. An archive that was imported with --strip, or of which only a part is
 *				the root filesystem (Incus), was written anew, and is a layer of what was written.
 *	blobs/<diff id>		regular file, 0600: as the layer came, compressed. Only of imports with --keep-blobs, and
 *				only if it was compressed. Its own digest is in the manifest of the images that have it.
 *	roots/<root id>		regular file, 0600: an EROFS index (magic at 1024) with a device for each layer of the image,
 *				bottom first, in the order of its meta.json; layers may repeat. Or a directory, 0755 or what
 *				the image says: the tree itself. Both are made of the layers alone, and can be made again.
 *	images/<image id>/	config.json: the OCI image configuration, its sha256 is the id. manifest.json: as it came,
 *				or made by us for a root filesystem, whose layer then is uncompressed. meta.json: struct
 *				meta_image (meta.h).
 *	refs/<escaped name>	an image id and a newline. '/' and ':' of the name are escaped (name.c).
 *
 * A root id is the sha256 of a line for each layer, and of a first line that says how they are read: see root_id().
 *
 * What a name stands for exists before the name does. Order of an import, everything made and synced below tmp/<random>/
 * before: layers (and blobs), roots, images, refs, each renamed, then its directory synced. Removal goes the other way: refs,
 * images, then roots, layers and blobs that no image names; each is renamed to tmp/<random>/ and deleted from there after the
 * lock is released. Under the exclusive lock what no ref, image or instance leads to is garbage, whatever it is called.
 */
#ifndef CTR_IMAGES_STORE_H
#define CTR_IMAGES_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "images/images.h"

#define STORE_VERSION	 "2"
#define STAGING_NAME_MAX 32

struct store {
	char *path;
	int fd;	  /* open for reading: syncfs() and fsync() want that */
	int lock; /* the lock file */
};

/*
 * The exclusive lock, for changes; waits. Not while store_hold() is in effect. Released by store_release().
 */
int store_lock(struct store *s, struct err *e);

/*
 * A directory below tmp/ that is wiped if its maker dies: the maker, and whoever inherits the descriptor
 * `lock`, holds its file "lock" locked.
 */
struct staging {
	char name[STAGING_NAME_MAX]; /* "tmp/<random>", "" for none */
	int dir, lock;
};

#define STAGING_NONE                  \
	{                             \
		.dir = -1, .lock = -1 \
	}

/* Makes one; the store must be locked exclusively meanwhile. */
int staging_new(struct store *s, struct staging *g, struct err *e);

/*
 * Deletes it with all that is in it; nothing for one that was not made. Without the lock, for it may take a
 * while. What cannot be deleted is left for the next command, and logged.
 */
void staging_end(struct store *s, struct staging *g);

/*
 * Moves into @trash (made when needed) what dead commands left below tmp/. The store must be locked
 * exclusively; end @trash after releasing it.
 */
int staging_sweep(struct store *s, struct staging *trash, struct err *e);

/* Moves @path, relative to the store, into @trash as @as. Already gone is success. */
int staging_discard(struct store *s, struct staging *trash, const char *path, const char *as,
		    struct err *e);

/*
 * The id of the root that @layers (diff ids, bottom first, NULL-terminated) make together. With @whiteouts it is the
 * root of an OCI image, else that of a root filesystem, in which names ".wh.*" are ordinary ones.
 */
int root_id(const char *const *layers, bool whiteouts, char out[IMAGE_ID_LEN + 1], struct err *e);

/*
 * Mounts the index @path, whose devices are the layers @diff_ids (bottom first, NULL-terminated), for this process alone: a
 * detached, read-only mount, or -1 and *e; then e->code is ERR_NOT_SUPPORTED when this kernel, or the file system that the
 * store lies on, cannot do that. Layers are looked for in the directory @staged (relative to the store; NULL: none) first.
 */
int index_mount(struct store *s, const char *path, const char *const *diff_ids, const char *staged,
		struct err *e);

/* ---- file systems that are images as they are: filesystem.c ---- */

/* "squashfs", "erofs"; NULL for anything else. */
const char *filesystem_type(int fd);
bool filesystem_is_known(const char *type);

/*
 * Mounts the file @path of the store for this process alone: a detached, read-only mount without devices, or -1 and *e;
 * ERR_NOT_SUPPORTED when this kernel cannot.
 */
int filesystem_mount(struct store *s, const char *path, const char *type, struct err *e);

/* fsync of the directory @path, relative to the store. */
int store_sync_dir(struct store *s, const char *path, struct err *e);

/* New files of @dir, synced: a rename must not come before the content on disk. */
struct store_file {
	const char *name;
	const struct str *text;
};
int store_write_files(int dir, const struct store_file *files, size_t n, struct err *e);
int store_write_file(int dir, const char *name, const struct str *text, struct err *e);

/* A new directory, opened: a descriptor, or -1 and *e. */
int store_make_dir(int parent, const char *name, struct err *e);

/* Lets the canonical @name stand for image @id, whatever it stood for. Takes the lock. */
int image_set_name(struct store *s, const char *name, const char *id, struct err *e);

/* Whether image @id's index is what its layers make: 1, or 0; -1 and *e. */
int image_check_root(struct store *s, const char *id, struct err *e);

/* Makes a damaged layer again from blobs/. ERR_NO_SUCH: there is no such blob. */
int image_repair_layer(struct store *s, const char *diff_id, struct err *e);

/* The escaped form of a canonical name, the name of its file below refs/, and back; same length. */
void name_escape(const char *name, char *out);
void name_unescape(const char *file, char *out);

/* Whether @s is exactly IMAGE_ID_LEN lower-case hex digits. */
bool is_image_id(const char *s);

/*
 * The id that @name stands for, into @id, and if it was found by name that name, canonical, into @found (""
 * otherwise; may be NULL). Errors as those of image_find().
 */
int store_resolve(struct store *s, const char *name, char id[IMAGE_ID_LEN + 1], char *found,
		  struct err *e);

/* Reads image @id, with @names (NULL-terminated or NULL) copied into it. */
struct image *store_read_image(struct store *s, const char *id, const char *const *names,
			       struct err *e);

/*
 * Calls @f for each entry but "." and ".." of the directory @path, relative to the store, until one returns
 * not 0, which is then returned. -1 and *e if the directory cannot be read.
 */
int store_each(struct store *s, const char *path,
	       int (*f)(void *arg, const char *name, struct err *e), void *arg, struct err *e);

/* What refs/<file> points to; -1 and *e, ERR_NO_SUCH when there is no such file. */
int store_read_ref(struct store *s, const char *file, char id[IMAGE_ID_LEN + 1], struct err *e);

#endif
