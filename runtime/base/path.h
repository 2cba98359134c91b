/*
 * path.h - files and directories by descriptor; paths that an image, a bundle or a user can influence.
 *
 * Nothing here blocks on what it opens: a FIFO or a device where a file is expected is an error.
 */
#ifndef CTR_PATH_H
#define CTR_PATH_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;
struct str;

/*
 * Opens @path as if @root were "/": symbolic links, absolute ones and ".." included, cannot lead out
 * (openat2 RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS, Linux 5.6; CVE-2021-30465, CVE-2019-19921).
 * @flags as for open(2), O_CLOEXEC is added. The descriptor, or -1 with errno set.
 */
int path_open_in(int root, const char *path, int flags);

/*
 * Opens the directory @path below @root (O_PATH), making what is missing with mode @mode. Missing parts
 * behind a dangling symbolic link are not made. The descriptor, or -1 and *e.
 */
int path_make_dir_in(int root, const char *path, mode_t mode, struct err *e);

/* Opens @path below @root (O_PATH), making an empty regular file, and its directories, if missing. */
int path_make_file_in(int root, const char *path, mode_t mode, struct err *e);

/*
 * The parent directory of @path below @root (O_PATH descriptor), made if missing when @mode is not 0;
 * *@name is set to the last component inside @path. Refuses "." and ".." as last component.
 */
int path_open_parent_in(int root, const char *path, mode_t mode, const char **name, struct err *e);

/*
 * Reads the regular file @path (relative to @dir), at most @max bytes, into *@out, terminated.
 * Special files are refused without blocking.
 */
int file_read(int dir, const char *path, size_t max, struct str *out, struct err *e);

/* The same for a file of the caller's own, which may be a pipe: it is waited for. */
int file_read_stream(int dir, const char *path, size_t max, struct str *out, struct err *e);

/* The same for kernel files (/proc, /sys, cgroups), which report no size. */
int file_read_kernel(int dir, const char *path, size_t max, struct str *out, struct err *e);

/* Writes all of @data to @fd, in as many pieces as it takes. 0, or -1 with errno. */
int file_write_all(int fd, const void *data, size_t len);

/* Writes @text with one write(2) to an existing file: what /proc, /sys and cgroups want. */
int file_write_kernel(int dir, const char *path, const char *text, struct err *e);

/* Replaces the file @name in @dir at once: temporary file, optional fsync, rename. */
int file_replace(int dir, const char *name, const char *data, size_t len, mode_t mode, int sync,
		 struct err *e);

/* Removes @name below @dir with all that is in it; never follows links. ENOENT is success. */
int tree_remove(int dir, const char *name, struct err *e);

/* mkdir -p with mode @mode for what is missing; absolute host paths chosen by ctr or the operator. */
int dir_make_all(const char *path, mode_t mode, struct err *e);

/* A stream of the entries of a directory that is open as @dir, from the first on; closedir(3) leaves @dir open. NULL with errno. */
DIR *dir_list(int dir);

/*
 * Whether it, of which nothing was read yet, has no entries but "." and "..": most that are swept have none, and a stream costs nine calls.
 */
bool dir_is_empty(int dir);

#endif
