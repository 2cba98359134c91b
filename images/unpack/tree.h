/*
 * tree.h - what layers of archives make together, in tables of our own.
 *
 * Nothing here touches a file system: each name is resolved in memory as the image itself would resolve it
 * ("/" is the image's top directory, symbolic links lead where they lead inside of it), so there is no host path
 * that a hostile archive could reach. erofs.c and spread.c write the result out.
 *
 * Layers are added bottom first, each between two calls of tree_next_layer(). What a layer removes, by a whiteout
 * or by putting something else in its place, is gone from the tree; the content of files stays where it is, in
 * the layer's uncompressed archive, and the tree remembers the places.
 *
 * Names are those of entry_name(). Functions return 0, or -1 and *e.
 */
#ifndef CTR_UNPACK_TREE_H
#define CTR_UNPACK_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct err;
struct tree;

struct tree_xattr {
	const char *name;
	const void *value;
	size_t len;
};

struct tree_attrs {
	uid_t uid;
	gid_t gid;
	mode_t mode; /* permission bits, setuid, setgid and sticky included */
	struct timespec mtime;
	const struct tree_xattr *xattrs;
	size_t n_xattrs;
};

/* A piece of a file's content: @len bytes at @at of the file lie at @pos of its layer's archive. */
struct tree_segment {
	uint64_t at, pos, len;
};

struct tree_node;

struct tree_entry {
	const char *name;
	struct tree_node *node;
	struct tree_entry *next;	      /* in its directory */
	struct tree_entry **prev, *hash_next; /* tree.c's own from here on */
	struct tree_node *parent;
	unsigned stamp; /* the layer that last had something to say about it or below it */
};

/* An inode. */
struct tree_node {
	mode_t mode; /* with its type; 0: a device, which is left out of what is written */
	uid_t uid;
	gid_t gid;
	uint32_t nlink;
	struct timespec mtime;
	const struct tree_xattr *xattrs;
	size_t n_xattrs;
	unsigned layer; /* from 1: whose archive has the content */
	union {
		struct {
			struct tree_entry *first; /* in no order */
			size_t count;
			struct tree_node *parent;
			struct tree_entry *self; /* NULL: the top directory */
			unsigned declared;	 /* the last layer with an entry for it */
		} dir;
		struct {
			uint64_t size;
			const struct tree_segment
				*segments; /* ascending, none overlaps; holes between */
			size_t n_segments;
		} file;
		const char *target; /* of a symbolic link */
	};
	uint64_t place; /* for whoever writes the tree; 0 at first */
};

/* NULL when memory is gone. */
struct tree *tree_new(void);
void tree_free(struct tree *t);

/*
 * Begins the next layer. With @whiteouts its names ".wh.*" have the meaning of the image-spec (layer.md); a root
 * filesystem's are ordinary files.
 */
void tree_next_layer(struct tree *t, bool whiteouts);

/* "" is the top directory. Of two entries for the same directory the later one holds. */
int tree_dir(struct tree *t, const char *name, const struct tree_attrs *a, struct err *e);
int tree_file(struct tree *t, const char *name, const struct tree_attrs *a, uint64_t size,
	      const struct tree_segment *segments, size_t n, struct err *e);
int tree_symlink(struct tree *t, const char *name, const char *target, const struct tree_attrs *a,
		 struct err *e);

/* A FIFO or a socket: @type is S_IFIFO or S_IFSOCK. */
int tree_special(struct tree *t, const char *name, mode_t type, const struct tree_attrs *a,
		 struct err *e);

/* A device: it takes the place of what was there, and is then left out, as are its further names. */
int tree_device(struct tree *t, const char *name, struct err *e);

/* 1 when @target is a device. ERR_NO_SUCH when there is no @target, ERR_INVALID when it is a directory. */
int tree_link(struct tree *t, const char *name, const char *target, struct err *e);

/* Whether @name is a whiteout, in a layer that has them; then tree_whiteout() is to be called for it. */
bool tree_is_whiteout(const struct tree *t, const char *name);
int tree_whiteout(struct tree *t, const char *name, struct err *e);

struct tree_node *tree_root(struct tree *t);

/* The directory's entries but those of devices, sorted as bytes, in malloc'ed memory; *n may be 0. NULL: no memory. */
struct tree_entry **tree_sorted(const struct tree_node *dir, size_t *n);

/* Entries in all directories, for limits and progress. */
uint64_t tree_count(const struct tree *t);

/* What @dir has under @name; NULL if nothing. */
struct tree_node *tree_child(struct tree *t, const struct tree_node *dir, const char *name);

/* The node that @path leads to from the top, its links followed; NULL if there is none. */
const struct tree_node *tree_lookup(struct tree *t, const char *path);

#endif
