/*
 * tree.h - makes what an archive says, below one directory, by descriptors alone.
 *
 * Each name is resolved as if the top directory were "/" (openat2 with RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS,
 * RESOLVE_NO_XDEV), then acted upon relative to its parent's descriptor without following its last
 * component. So a symbolic link of the archive leads where it leads inside the image, and nowhere else.
 * Nothing else may write below the directory meanwhile.
 *
 * Names are those of entry_name(). Functions return 0, or -1 and *e.
 */
#ifndef CTR_UNPACK_TREE_H
#define CTR_UNPACK_TREE_H

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

struct tree_counts {
	uint64_t skipped_xattrs; /* those that this file system, or this kind of file, cannot have */
};

/* @root is borrowed and must be open for reading. Sets the umask to 0. NULL when memory is gone. */
struct tree *tree_open(int root);
void tree_close(struct tree *t);

/* "" is the top directory. Attributes of directories are set by tree_finish(), when all is inside. */
int tree_dir(struct tree *t, const char *name, const struct tree_attrs *a, struct err *e);

/*
 * An empty regular file in place of whatever was there; a descriptor for writing, to be given to
 * tree_file_end() (which closes it in any case), or closed.
 */
int tree_file(struct tree *t, const char *name, const struct tree_attrs *a, struct err *e);
int tree_file_end(struct tree *t, int fd, const char *name, const struct tree_attrs *a,
		  struct err *e);

int tree_symlink(struct tree *t, const char *name, const char *target, const struct tree_attrs *a,
		 struct err *e);
int tree_fifo(struct tree *t, const char *name, const struct tree_attrs *a, struct err *e);

/* ERR_NO_SUCH when there is no @target. */
int tree_link(struct tree *t, const char *name, const char *target, struct err *e);

/* Sets owners, modes, extended attributes and times of all directories, the deepest first. */
int tree_finish(struct tree *t, struct err *e);

const struct tree_counts *tree_counts(const struct tree *t);

#endif
