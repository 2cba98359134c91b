/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar.h - writing archives: POSIX's ustar headers (pax(1)), with PAX records for what they cannot say. Always the same bytes for
 * the same entries: no times of access or change, no names of users, nothing of this machine.
 */
#ifndef CTR_TAR_H
#define CTR_TAR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct err;
struct str;

#define TAR_BLOCK 512u

struct tar {
	int fd; /* borrowed */
	/* Sees all that is written, in order; NULL. */
	void (*each)(void *arg, const void *data, size_t len);
	void *arg;
	/* private */
	char *buf;
	size_t used;
};

struct tar_entry {
	const char *name;
	const char *link; /* of a link, symbolic or hard; else "" */
	char type; /* '0' file, '1' hard link, '2' symbolic link, '5' directory, '6' FIFO, '3', '4' devices */
	unsigned mode; /* permission bits */
	uid_t uid;
	gid_t gid;
	unsigned major, minor;
	struct timespec mtime;
	uint64_t size; /* bytes that follow, by tar_data() or tar_copy(), and then tar_pad() */
};

/* Begins an archive on @fd. -1 and *e when memory is gone. End it with tar_free() in any case. */
int tar_begin(struct tar *t, int fd, struct err *e);
void tar_free(struct tar *t);

/* A PAX record for the next entry, "LEN KEY=VALUE\n", into @pax: SCHILY.xattr.* (as GNU tar, bsdtar and Go have them), ... */
void tar_record(struct str *pax, const char *key, const void *value, size_t len);

/* An entry, with the records that @pax (NULL: none) holds, which is emptied. */
int tar_put(struct tar *t, const struct tar_entry *en, struct str *pax, struct err *e);

int tar_data(struct tar *t, const void *data, size_t len, struct err *e);

/* @len bytes at @pos of @fd. What a file that shrinks meanwhile no longer has are zeros, if @shrinks_ok, or an error. */
int tar_copy(struct tar *t, int fd, uint64_t pos, uint64_t len, int shrinks_ok, struct err *e);

/* Zeros to the end of the block, after @len bytes in all. */
int tar_pad(struct tar *t, uint64_t len, struct err *e);

/* The archive's end mark; everything is written then. */
int tar_end(struct tar *t, struct err *e);

#endif
