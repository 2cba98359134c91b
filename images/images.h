/*
 * images.h - images and the store they lie in.
 *
 * An image is a root filesystem (a stack of layer directories) and a configuration: what to run, as
 * whom, with which environment. This module knows nothing of containers: cli/from_image.c turns what it
 * returns into a spec. It runs before a container's life begins, as root or whoever owns the store, in
 * the host's namespaces; only unpacking happens elsewhere, in a sandboxed child (images/unpack/unpack.h).
 *
 * The store, by default /var/lib/ctr, mode 0700 because it holds setuid files of strangers
 * (CVE-2021-41091):
 *
 *	version                    the format's number
 *	lock                       held exclusively for every structural change, shared by store_hold()
 *	tmp/<random>/              being made or being deleted; what nobody holds locked is wiped
 *	layers/<diff id>           a layer's uncompressed archive, a file
 *	blobs/<diff id>            the compressed form it came in, if that was asked for: `image verify` repairs from it
 *	roots/<root id>            the tree that an image's layers make together: an EROFS index, a file whose data
 *	                           devices are the layers; or a directory, where that cannot be mounted
 *	images/<image id>/         config.json, manifest.json (the OCI documents, as they came), meta.json
 *	refs/<escaped name>        one file a name, holding an image id
 *	sources/<dev>-<inode>      which image a tarball given in place of a name became
 *	instances/<name>/          not this module's; read by image_remove() alone
 *
 * Two images share the layers that they have in common. A root follows from its layers, and can be made again
 * (image_rebuild()).
 *
 * An object exists if and only if its final name does: it is made below tmp/, synced, then renamed. So
 * a kill or a power loss at any point leaves the old or the new state, whole; leftovers below tmp/ are
 * wiped by the next command that changes the store. Nothing counts references: what is in use is found
 * by looking.
 *
 * Ids are the sha256 of the image's configuration document (OCI image-spec: ImageID), 64 hex digits
 * without prefix. The same root filesystem tarball always gets the same id, however it was compressed.
 */
#ifndef CTR_IMAGES_H
#define CTR_IMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct store;
struct str;

#define STORE_ROOT_DEFAULT "/var/lib/ctr"

#define IMAGE_ID_LEN   64 /* hex digits */
#define IMAGE_ID_SHORT 12 /* what people are shown */
#define IMAGE_ID_MIN   4  /* the shortest prefix that image_find() takes for an id */

/* --- What an image is ------------------------------------------------------------------------------ */

struct image_label {
	const char *key, *value;
};

/*
 * The fields of the OCI image configuration (image-spec config.md) that a container is made from. A
 * NULL pointer means "not given". Conversion rules (image-spec conversion.md) are the reader's business:
 * nothing is filled in here, neither PATH nor a working directory.
 *
 * Labels are the image maker's words, not the operator's: never let one switch anything
 * (CVE-2026-53488).
 */
struct image_config {
	const char *os;		  /* "linux" */
	const char *architecture; /* Go's names: "amd64", "arm64", "386", ... */
	const char *variant;	  /* "v7", ... */
	const char *created;	  /* RFC 3339 */
	const char *author;
	const char *const *entrypoint; /* NULL-terminated, never empty */
	const char *const *cmd;	       /* NULL-terminated, never empty */
	const char *const *env;	       /* NULL-terminated "K=V" */
	const char *workdir;
	const char *user;	 /* "", "user", "uid", "user:group", "uid:gid", ... : as written */
	const char *stop_signal; /* "SIGTERM", "15", "SIGRTMIN+3" */
	const char *const *exposed_ports; /* NULL-terminated "80/tcp", sorted */
	const char *const *volumes;	  /* NULL-terminated paths, sorted */
	const struct image_label *labels; /* sorted by key */
	size_t n_labels;
};

struct image {
	struct arena *arena; /* holds all that follows */
	const char *id;	     /* 64 hex digits; NULL for a directory, which has no content id */
	const char *const
		*names; /* "debian:13", sorted, NULL-terminated; maybe none. From image_list() all
				      of them, else only the one that it was found by */
	/*
	 * Absolute paths, NULL-terminated: of its root (one), or of a directory of the host. A directory is used where it
	 * is, an index through image_mount().
	 */
	const char *const *layers;
	const char *root_id; /* 64 hex digits: its file in roots/; NULL for a directory */
	const char *const *
		diff_ids; /* 64 hex digits each, bottom first, NULL-terminated; NULL for a directory */
	bool index;	  /* layers[0] is an EROFS index, not a directory */
	const char
		*filesystem; /* or a file system that was there before: "squashfs", "erofs"; NULL */
	bool whiteouts;	     /* names ".wh.*" of its layers have the image-spec's meaning */
	int tree;	     /* what image_mount() gave, of an index: a detached mount; -1 */
	struct image_config config;
	bool system;	  /* made to be booted: its command is an init */
	bool directory;	  /* a directory of the host given in place of an image; files there may
				      change, and belong to whatever ids they belong to */
	int64_t imported; /* seconds since 1970; 0 for a directory */
	uint64_t size;	  /* bytes of all its files, holes not counted; 0 for a directory */
	uint64_t entries; /* files, directories, links */
};

/* NULL is accepted. Borrowed pointers of its fields die with it. */
void image_free(struct image *img);

static inline void own_image(struct image **img)
{
	image_free(*img);
}

#define auto_image __attribute__((cleanup(own_image)))

/* --- Names ----------------------------------------------------------------------------------------- */

#define IMAGE_NAME_MAX 240 /* with its tag, and so that the escaped form is a file name */

/*
 * The canonical form of @name, "NAME:TAG", into @out (IMAGE_NAME_MAX + 1 bytes). The grammar is that of
 * the distribution specification: components of [a-z0-9] with single '.', '_', '__' or dashes between,
 * joined by '/', the first maybe a host with a port; a tag of [A-Za-z0-9_.-], at most 128 long and not
 * beginning with '.' or '-'; "latest" when none is given. 64 hex digits are an id, never a name.
 * -1 and *e with ERR_INVALID otherwise: so "../x", "", "A" and "a//b" never come near a path.
 */
int image_name_parse(const char *name, char *out, struct err *e);

/* --- The store ------------------------------------------------------------------------------------- */

/*
 * Opens the store at @root (an absolute path; NULL: $CTR_ROOT, else STORE_ROOT_DEFAULT) and makes what
 * is missing of it. Refuses a store of a later format, one that somebody else owns, and a directory that
 * holds other things. NULL and *e on failure.
 */
struct store *store_open(const char *root, struct err *e);

/* Releases locks as well. NULL is accepted. */
void store_close(struct store *s);

static inline void own_store(struct store **s)
{
	store_close(*s);
}

#define auto_store __attribute__((cleanup(own_store)))

/* The absolute path of the store, and a descriptor of it; both borrowed. */
const char *store_path(const struct store *s);
int store_fd(const struct store *s);

/*
 * Between these two nothing of the store is removed or added by anyone. Hold it from before image_find()
 * until the instance's config.json names the image, so that a concurrent `image rm` either sees the
 * instance or has been seen. Shared and short: do not hold it while anything runs, nor while calling
 * image_import(), image_from_file() or image_remove(), which take it exclusively. Waits for a change that is
 * in progress.
 */
int store_hold(struct store *s, struct err *e);
void store_release(struct store *s);

/* --- Finding --------------------------------------------------------------------------------------- */

/*
 * The image called @name: a name with or without tag, or else an id, or a prefix of one id of at least
 * IMAGE_ID_MIN digits, with or without "sha256:" in front. NULL and *e on failure: ERR_NO_SUCH when there
 * is none (with a near name, if any, as a hint), ERR_INVALID when it is no name at all or fits several
 * ids. The caller frees the image.
 */
struct image *image_find(struct store *s, const char *name, struct err *e);

/*
 * All images, those with names first, by name, then by id. *list is NULL-terminated, *n may be NULL; an
 * image that cannot be read is left out and reported through log_warn(). Free with image_list_free().
 */
int image_list(struct store *s, struct image ***list, size_t *n, struct err *e);
void image_list_free(struct image **list);

/*
 * The directory @path as an image of one layer, without copying: the directory is the layer, and its
 * configuration is that of a plain root filesystem (see image_import()). Refused: what is no directory;
 * the root directory of the host and every directory that holds the store, since the instance's own
 * upper directory would lie below its lower one; everything inside the store; kernel file systems (proc,
 * sysfs, cgroup, ...); an OCI bundle (with a hint to ctr-oci).
 */
struct image *image_from_directory(struct store *s, const char *path, struct err *e);

/* --- Mounting -------------------------------------------------------------------------------------- */

/*
 * The root of @img as a detached mount, read-only, nosuid and nodev left to whoever attaches it: img->tree, closed by
 * image_free(). Nothing to do, and success, for a directory, and for an image that has one.
 *
 * An index is mounted once, in a mount namespace of ctr's own that is pinned at @run/mounts, and what is given here is a
 * clone: so all instances of an image share one page cache (a second mount of the same file would read and cache all of
 * it again). Where no such namespace can be made (without privileges), or @run is NULL, the mount is the caller's own. Where
 * an index cannot be mounted, with another kernel than the one that imported it, the image is unpacked.
 */
int image_mount(struct store *s, const char *run, struct image *img, struct err *e);

/*
 * Lets go of the mounts in @run's namespace that nobody uses any more: all whose image is not in use by an instance
 * that runs. @used says of a root id whether it is. Failures are only logged: a mount that stays costs little.
 */
void image_unmount_unused(const char *run, bool (*used)(void *arg, const char *root_id), void *arg);

/*
 * Calls @f in a child that shares memory and descriptors, and in whose mount namespace img->tree is attached: before Linux 6.15 overlay
 * takes no layer that is not. What @f returns (0, or -1 with errno), or -1 with errno.
 */
int image_attached(const struct image *img, int (*f)(void *arg), void *arg);

/* A descriptor (O_PATH) of the root: of the directory, or of img->tree; -1 and *e. */
int image_open(const struct image *img, struct err *e);

/* --- Importing ------------------------------------------------------------------------------------- */

enum image_phase {
	IMAGE_READING, /* reading, decompressing and unpacking, all at once */
	IMAGE_SYNCING, /* waiting for the disk */
	IMAGE_DONE,
};

struct image_progress {
	enum image_phase phase;
	uint64_t bytes_read;  /* of the archive as given */
	uint64_t bytes_total; /* 0: not known (a pipe) */
	uint64_t bytes_out;   /* of the uncompressed archive */
	uint64_t entries;
};

/* 0 for a limit means the default, UINT64_MAX no limit. */
struct image_import_options {
	/*
	 * Called about ten times a second, and once in each phase. Returning false cancels: the import
	 * fails with code ECANCELED and leaves nothing. May be NULL.
	 */
	bool (*progress)(void *arg, const struct image_progress *p);
	void *progress_arg;

	/*
	 * NAME[:TAG] to give the image; NULL: those that the archive gives it, maybe none. An existing name moves. An archive
	 * of several images is refused if a name is given.
	 */
	const char *name;
	const char
		*digest; /* "sha256:<hex>": of the archive as given, or the image's id; NULL: any */
	/* Called for each image of the archive, in the end; @name is canonical, or "". May be NULL. */
	void (*loaded)(void *arg, const char *id, const char *name);
	void *loaded_arg;

	unsigned strip; /* leading path components to drop from each name */

	/* Replace what would be found out or defaulted: the image's id depends on them. */
	const char *const *entrypoint, *const *cmd,
					       *const *env; /* NULL-terminated; NULL: not given */
	const char *workdir, *user, *stop_signal;	    /* NULL: not given */

	bool unpacked;	 /* make directories and files, not an index */
	bool as_is;	 /* it is a squashfs or an EROFS file system: keep and mount it as it is */
	bool keep_blobs; /* keep the compressed form too */

	uint64_t max_bytes;   /* of the uncompressed archive; default 256 GiB */
	uint64_t max_entries; /* default 5 million */
	uint64_t max_ratio;   /* uncompressed to compressed, looked at beyond 1 GiB; default 1000 */
	uint64_t max_memory; /* of the unpacking process, in bytes of address space; default 1 GiB */
	uint64_t max_seconds; /* CPU time of the unpacking process; default 1 hour */

	const char *
		unpacker; /* path of ctr-unpack; NULL: next to this program, or where it was installed */
};

/* What happened that is worth telling, though the import succeeded. */
struct image_import_result {
	char id[IMAGE_ID_LEN + 1]; /* the first one's */
	unsigned images;
	const char
		*kind; /* "root filesystem", "OCI image", "docker archive", "Incus image"; static */
	bool unpacked; /* its root is a directory, since an index could not be mounted, or as asked for */
	bool existed; /* the same content was in the store already: no second copy was kept */
	char name[IMAGE_NAME_MAX + 1]; /* the canonical name that was set, or "" */
	const char *compression;       /* "none", "gzip", "xz", "zstd", "bzip2", "lz4"; static */
	uint64_t bytes_read,
		bytes_out;	/* of the archive; layers that the store had already are not read */
	uint64_t size, entries; /* of all its images' files */
	uint64_t skipped_devices, skipped_xattrs, skipped_others;
	bool trailing_data; /* something that is not zeros follows the archive's end */
};

/*
 * Imports the archive that @fd reads (borrowed; a pipe, a socket or a regular file, from its present
 * position). @what is its name in messages. The format is recognised by content alone: a tarball of a
 * root filesystem, plain or compressed with gzip, xz, zstd, bzip2 or lz4. Others are refused in words of
 * their own.
 *
 * A root filesystem says nothing about what to run: its configuration gets /sbin/init as command if that
 * is an executable file, else /bin/sh.
 *
 * With options->as_is it is a file system, whose image cannot be saved or committed to: it has no layers.
 *
 * Refused, with nothing changed: a truncated or damaged archive, a hostile one (see unpack.h for the
 * rules), one whose files belong to ids beyond 65535, one with everything below one top directory (the
 * message names --strip), one beyond the limits. 0, or -1 and *e.
 */
int image_import(struct store *s, int fd, const char *what, const struct image_import_options *o,
		 struct image_import_result *r, struct err *e);

/* The same for an OCI image layout in the directory @dir. */
int image_import_layout(struct store *s, int dir, const char *what,
			const struct image_import_options *o, struct image_import_result *r,
			struct err *e);

/* The same for a file given by name: a regular file, the directory of an OCI layout, or "-", standard input. */
int image_import_file(struct store *s, const char *path, const struct image_import_options *o,
		      struct image_import_result *r, struct err *e);

/*
 * A tarball given in place of an image's name: imported when it is first seen, found again while device,
 * inode, size and times of the file are what they were. It gets a name made of the file's and of its
 * content, "rootfs:3f9c01ab52d7", unless options->name says otherwise. The image (the caller frees it), or
 * NULL and *e. @r may be NULL; it is filled only if something was imported, else its id is "".
 */
struct image *image_from_file(struct store *s, const char *path,
			      const struct image_import_options *o, struct image_import_result *r,
			      struct err *e);

/*
 * Makes image @id's root again from its layers: as directories if @unpacked, else as an index where that can be mounted. For
 * a root that is damaged, or that this kernel cannot mount. Not while the image's instances run. 0, or -1 and *e.
 */
int image_rebuild(struct store *s, const char *id, bool unpacked, struct err *e);

/* --- Trees of files that are no images ------------------------------------------------------------- */

/* A tree, unpacked from an archive into a directory that goes with image_part_close(), or with this process. */
struct image_part {
	int fd; /* its top, open for reading; -1 */
	struct store *store;
	char staging[64];
	int lock, dir;
};
#define IMAGE_PART_NONE                         \
	{                                       \
		.fd = -1, .lock = -1, .dir = -1 \
	}

/* By the helper, in its sandbox, by the rules of a root filesystem's tarball (unpack.h). @o: callback, limits. 0, or -1 and *e. */
int image_part_open(struct store *s, int fd, const char *what, const struct image_import_options *o,
		    struct image_part *p, struct err *e);
void image_part_close(struct image_part *p);
#define auto_image_part __attribute__((cleanup(image_part_close)))

/* --- Removing -------------------------------------------------------------------------------------- */

struct image_removed {
	struct arena *arena;	  /* holds the names; free with arena_free() */
	const char *const *names; /* names that are gone, NULL-terminated */
	char id[IMAGE_ID_LEN + 1];
	bool image;	/* the image is gone too, not only a name of it */
	uint64_t bytes; /* of layers that nothing uses any more */
};

/*
 * @name is a name: that name goes, and the image with the last of its names. It is an id (or a prefix):
 * the image goes with all its names. Refused with ERR_STATE, and nothing changed, while an instance uses
 * the image: that is, while the text of some instances/<name>/config.json below the store holds the
 * image's id of 64 digits (that file's keys are not this module's business; one that cannot be read counts
 * as using everything). Layers that no image uses any more go as well. @r may be NULL.
 */
int image_remove(struct store *s, const char *name, struct image_removed *r, struct err *e);

/* The names of instances that use image @id, as strings in @a, NULL-terminated; -1 and *e. */
int image_users(struct store *s, const char *id, struct arena *a, const char *const **users,
		struct err *e);

/* --- Names, and what has none ---------------------------------------------------------------------- */

/* Gives the image called @image the further name @name, which another may have had. */
int image_tag(struct store *s, const char *image, const char *name, struct err *e);

/* Takes the name away, and nothing else: the image stays, maybe without a name. */
int image_untag(struct store *s, const char *name, struct err *e);

/*
 * Removes images without a name (with @all also others) that no instance uses, telling @f of each, and what an interrupted
 * command has left. *bytes: of layers that are gone.
 */
int image_prune(struct store *s, bool all, void (*f)(void *arg, const struct image_removed *r),
		void *arg, uint64_t *bytes, struct err *e);

/* --- Whole or not ------------------------------------------------------------------------------------ */

/* What image_verify() tells: of "config", "layer", "blob" or "root", with its id; @wrong is NULL if it is whole. */
typedef void image_verified(void *arg, const char *what, const char *id, const char *wrong,
			    bool repaired);

/*
 * Reads all that image @id is made of and compares it with its digests, and its index with what its layers make. With
 * @repair damaged layers are made again from the compressed ones that were kept, and the index from the layers; not while its
 * instances run. *damage is what is still wrong. -1 and *e if it could not be looked at.
 */
int image_verify(struct store *s, const char *id, bool repair, image_verified *told, void *arg,
		 unsigned *damage, struct err *e);

/* --- Saving ------------------------------------------------------------------------------------------ */

/*
 * Writes the images called @names (NULL-terminated) as one archive to @fd: an OCI image layout (image-spec
 * image-layout.md) that also holds docker's manifest.json, which docker, podman, skopeo, umoci and image_import() read. Layers are not
 * compressed. The same images give the same bytes. @o: the callback alone; may be NULL.
 */
int image_save(struct store *s, char *const *names, int fd, const struct image_import_options *o,
	       struct err *e);

/* What `ctr commit` says of the image it makes; NULL and 0 for what is to stay as it was. */
struct image_commit {
	const char *author, *message, *created_by;
	const char *const *entrypoint, *const *cmd, *const *env; /* env: added to, and replacing */
	const char *workdir, *user, *stop_signal;
};

/* Writes an uncompressed archive with whiteouts as the image-spec has them to the new file @fd. */
typedef int image_layer_writer(void *arg, int fd, struct err *e);

/* A new image: @base and on top of it the layer that @write writes. @o: name, callback. */
int image_commit(struct store *s, const struct image *base, image_layer_writer *write, void *arg,
		 const struct image_commit *c, const struct image_import_options *o,
		 struct image_import_result *r, struct err *e);

#endif
