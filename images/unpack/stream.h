/*
 * stream.h - the uncompressed bytes of an archive, read ahead, hashed and kept while they are used.
 *
 * Three threads: one reads and decompresses into a ring of chunks, one hashes them, one writes them to a file; the caller's own thread
 * consumes. So all of it overlaps, and what is hashed and kept is exactly what is parsed.
 * Decompression is in process, never another program's (CVE-2026-41567): ISA-L's or zlib's for gzip,
 * libzstd's for zstd, libarchive's for the others.
 */
#ifndef CTR_UNPACK_STREAM_H
#define CTR_UNPACK_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "images/unpack/unpack.h"

struct stream;

/*
 * ISA-L's inflate, twice as fast as zlib's, where the library is installed: not every machine has it. To be loaded while there
 * are files to load from.
 */
struct inflate_state;
struct isal {
	void (*init)(struct inflate_state *z);
	void (*reset)(struct inflate_state *z);
	int (*inflate)(struct inflate_state *z);
};
bool isal_load(struct isal *isal);

struct stream_input {
	const struct isal *isal; /* for gzip; NULL: zlib does it */
	int fd;			 /* borrowed */
	bool part; /* only @len bytes at @at, by pread(2); else all, from where it stands */
	uint64_t at, len;
	uint64_t max_bytes, max_ratio; /* as in struct unpack_request */
	int copy;		       /* gets all bytes that come out; -1: nobody does. Borrowed */
	int copy_in;		       /* gets a copy of what is read, as it is; -1: nobody does */
	bool hash;		       /* what is read is hashed too, as it is */
};

/* Starts the threads. NULL and *e on failure. */
struct stream *stream_open(const struct stream_input *in, struct err *e);

/*
 * The next bytes, good until the next call: their number, 0 at the end, -1 and *e. What is no archive at
 * all is refused here, by its first bytes.
 */
ssize_t stream_next(struct stream *s, const void **data, struct err *e);

/*
 * Before the second stream_next(): the copy is written past the page cache, where the file system can. That is half the work for the kernel,
 * and nothing that the machine needs is driven out by what few will read. Not for what is read again right away.
 */
void stream_copy_directly(struct stream *s);

/* At the end (stream_next() gave 0): waits until the copy is whole; not synced. 0, or -1 and *e. */
int stream_copied(struct stream *s, struct err *e);

/* At the end, the copy being whole: the sha256 of all bytes; and of the input, if it was asked for (may be NULL). */
int stream_digest(struct stream *s, uint8_t digest[32], uint8_t input[32], struct err *e);

enum unpack_compression stream_compression(struct stream *s);
uint64_t stream_bytes_in(struct stream *s);
uint64_t stream_bytes_out(struct stream *s);

/* The last 512 bytes were zeros: how an archive ends that was not cut short. Valid at the end. */
bool stream_ends_in_zeros(struct stream *s);

/* Something but zeros follows the compressed data, and was passed over. Valid at the end. */
bool stream_has_trailer(struct stream *s);

/* Stops the threads, wherever they are, except in a read that blocks. NULL is accepted. */
void stream_close(struct stream *s);

#endif
