#include "images/unpack/stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <nettle/sha2.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"

/* Large enough that waking a thread costs nothing beside it. */
#define CHUNK_SIZE (512u << 10)
#define CHUNKS	   8
#define SNIFF_SIZE 4096
#define BLOCK	   512
#define RATIO_FROM (1u << 30) /* small archives of zeros are harmless, and exist */

struct stream {
	struct stream_input in;
	pthread_t decoder, hasher;
	bool decoder_runs, hasher_runs;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop, ended, failed;    /* ended: no chunk will follow */
	uint64_t made, hashed, used; /* counts of chunks; used: given back by the consumer */
	struct err err;

	unsigned char *chunk[CHUNKS];
	size_t len[CHUNKS];
	bool lent;		   /* the consumer has chunk number `used` in its hands */
	unsigned char tail[BLOCK]; /* the last bytes, right-aligned */
	_Atomic uint64_t bytes_in, bytes_out;
	_Atomic unsigned compression;
	_Atomic bool trailing;

	/* the decoder's own */
	unsigned char sniffed[SNIFF_SIZE];
	size_t n_sniffed;
	bool sniffed_given;
	unsigned char *raw;
	bool member_ended, padded; /* gzip: the last member is over; something else follows it */

	struct sha256_ctx sha, raw_sha; /* of the output; of the input: the decoder's own */
	struct err copy_err;
};

/* --- The decoder's thread ---------------------------------------------------------------------------- */

static int copy_raw(struct stream *s, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(s->in.copy, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return err_set(&s->copy_err, errno, "cannot write");
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

/* -1 with errno, or with copy_err. */
static ssize_t read_some(struct stream *s, void *buf, size_t size)
{
	ssize_t n;

	if (s->in.part && size > s->in.len)
		size = (size_t)s->in.len;
	for (;;) {
		struct pollfd p = { .fd = s->in.fd, .events = POLLIN };

		n = s->in.part ? pread(s->in.fd, buf, size, (off_t)s->in.at) :
				 read(s->in.fd, buf, size);
		if (n >= 0 || (errno != EINTR && errno != EAGAIN))
			break;
		/* whoever gave us the pipe may have made it non-blocking */
		if (errno == EAGAIN)
			(void)poll(&p, 1, -1);
	}
	if (n <= 0)
		return n;
	if (s->in.part) {
		s->in.at += (uint64_t)n;
		s->in.len -= (uint64_t)n;
	}
	atomic_fetch_add(&s->bytes_in, (uint64_t)n);
	if (s->in.hash)
		sha256_update(&s->raw_sha, (size_t)n, buf);
	return s->in.copy >= 0 && copy_raw(s, buf, (size_t)n) < 0 ? -1 : n;
}

static int read_failed(struct stream *s, struct err *e)
{
	if (!s->copy_err.code)
		return err_set(e, errno, "cannot read");
	*e = s->copy_err;
	return -1;
}

struct magic {
	size_t at;
	const char *bytes;
	size_t len;
	int compression;     /* enum unpack_compression, or -1: refused */
	const char *refusal; /* "it is ..." */
};

/* notes on where each comes from: file(1)'s database and the formats' own specifications */
static const struct magic magics[] = {
	{ 0, "\x1f\x8b", 2, UNPACK_GZIP, NULL },
	{ 0,
	  "\xfd"
	  "7zXZ\0",
	  6, UNPACK_XZ, NULL },
	{ 0, "\x28\xb5\x2f\xfd", 4, UNPACK_ZSTD, NULL },
	{ 0, "BZh", 3, UNPACK_BZIP2, NULL },
	{ 0, "\x04\x22\x4d\x18", 4, UNPACK_LZ4, NULL },
	{ 0, "hsqs", 4, -1, "a squashfs file system, which cannot be imported yet" },
	{ 1024, "\xe2\xe1\xf5\xe0", 4, -1, "an EROFS file system, which cannot be imported yet" },
	{ 1080, "\x53\xef", 2, -1, "an ext2/3/4 file system, not an archive" },
	{ 0, "XFSB", 4, -1, "an XFS file system, not an archive" },
	{ 0, "QFI\xfb", 4, -1, "a qcow2 disk of a virtual machine, not an archive" },
	{ 0, "PK\x03\x04", 4, -1, "a zip archive; tar archives can be imported" },
	{ 0, "7z\xbc\xaf\x27\x1c", 6, -1, "a 7z archive; tar archives can be imported" },
	{ 0, "!<arch>\n", 8, -1,
	  "an ar archive or a Debian package; tar archives can be imported" },
	{ 0, "\xed\xab\xee\xdb", 4, -1, "an RPM package; tar archives can be imported" },
	{ 0, "070701", 6, -1, "a cpio archive; tar archives can be imported" },
	{ 0, "070702", 6, -1, "a cpio archive; tar archives can be imported" },
	{ 0, "070707", 6, -1, "a cpio archive; tar archives can be imported" },
	{ 0,
	  "\x7f"
	  "ELF",
	  4, -1, "a program, not an archive" },
};

/* zstd and lz4 both begin with skippable frames at times: 0x184D2A50 to 5F, little-endian. */
static bool is_skippable_frame(const unsigned char *p, size_t n)
{
	return n >= 4 && (p[0] & 0xf0) == 0x50 && p[1] == 0x2a && p[2] == 0x4d && p[3] == 0x18;
}

/* Which compression, from the first bytes; -1 and *e when it is something that cannot be an archive. */
static int recognise(const unsigned char *p, size_t n, struct err *e)
{
	for (size_t i = 0; i < sizeof(magics) / sizeof(*magics); i++) {
		const struct magic *m = &magics[i];

		if (m->at + m->len > n || memcmp(p + m->at, m->bytes, m->len) != 0)
			continue;
		/* offsets beyond the first block may fall into the content of a tar archive's first file */
		if (m->at && n >= 262 && memcmp(p + 257, "ustar", 5) == 0)
			continue;
		if (m->compression < 0)
			return err_set(e, ERR_INVALID, "it is %s", m->refusal);
		return m->compression;
	}
	return is_skippable_frame(p, n) ? UNPACK_ZSTD : UNPACK_NONE;
}

static int sniff(struct stream *s, struct err *e)
{
	int c;

	while (s->n_sniffed < SNIFF_SIZE) {
		ssize_t n = read_some(s, s->sniffed + s->n_sniffed, SNIFF_SIZE - s->n_sniffed);

		if (n < 0)
			return read_failed(s, e);
		if (n == 0)
			break;
		s->n_sniffed += (size_t)n;
	}
	if (!s->n_sniffed)
		return err_set(e, ERR_INVALID, "it is empty");
	c = recognise(s->sniffed, s->n_sniffed, e);
	if (c < 0)
		return -1;
	atomic_store(&s->compression, (unsigned)c);
	return 0;
}

/* Waits for a free chunk; its index, or -1 to stop. */
static int chunk_get(struct stream *s)
{
	int i = -1;

	pthread_mutex_lock(&s->lock);
	while (!s->stop && (s->made - s->used >= CHUNKS || s->made - s->hashed >= CHUNKS))
		pthread_cond_wait(&s->changed, &s->lock);
	if (!s->stop)
		i = (int)(s->made % CHUNKS);
	pthread_mutex_unlock(&s->lock);
	return i;
}

static void keep_tail(struct stream *s, const unsigned char *p, size_t n)
{
	if (n >= BLOCK) {
		memcpy(s->tail, p + n - BLOCK, BLOCK);
		return;
	}
	memmove(s->tail, s->tail + n, BLOCK - n);
	memcpy(s->tail + BLOCK - n, p, n);
}

static int chunk_put(struct stream *s, int i, size_t len, struct err *e)
{
	uint64_t in = atomic_load(&s->bytes_in);
	uint64_t out = atomic_fetch_add(&s->bytes_out, len) + len;

	if (out > s->in.max_bytes)
		return err_set(e, ERR_INVALID, "it is larger than %llu bytes when uncompressed",
			       (unsigned long long)s->in.max_bytes);
	if (out > RATIO_FROM && out / s->in.max_ratio > in)
		return err_set(e, ERR_INVALID,
			       "it is compressed more than %llu to 1, as if to fill the disk",
			       (unsigned long long)s->in.max_ratio);
	keep_tail(s, s->chunk[i], len);
	pthread_mutex_lock(&s->lock);
	s->len[i] = len;
	s->made++;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int decode_plain(struct stream *s, struct err *e)
{
	for (;;) {
		int i = chunk_get(s);
		size_t n = 0;

		if (i < 0)
			return 0;
		if (!s->sniffed_given) {
			memcpy(s->chunk[i], s->sniffed, s->n_sniffed);
			n = s->n_sniffed;
			s->sniffed_given = true;
		}
		while (n < CHUNK_SIZE) {
			ssize_t r = read_some(s, s->chunk[i] + n, CHUNK_SIZE - n);

			if (r < 0)
				return read_failed(s, e);
			if (r == 0)
				break;
			n += (size_t)r;
		}
		if (!n)
			return 0;
		if (chunk_put(s, i, n, e) < 0)
			return -1;
	}
}

/* The next bytes of the file, beginning with those that told what it is. */
static ssize_t next_input(struct stream *s, const void **buf)
{
	if (!s->sniffed_given) {
		s->sniffed_given = true;
		*buf = s->sniffed;
		return (ssize_t)s->n_sniffed;
	}
	*buf = s->raw;
	return read_some(s, s->raw, CHUNK_SIZE);
}

/* Fills chunk @i with the next output, as far as there is any: 0, or 1 at the end of the last member. */
static int inflate_chunk(struct stream *s, z_stream *z, int i, struct err *e)
{
	z->next_out = s->chunk[i];
	z->avail_out = CHUNK_SIZE;
	while (z->avail_out) {
		int r;

		if (!z->avail_in) {
			const void *buf;
			ssize_t n = next_input(s, &buf);

			if (n < 0)
				return read_failed(s, e);
			if (n == 0 && s->member_ended)
				return 1;
			if (n == 0)
				return err_set(e, ERR_INVALID,
					       "it is cut short: gzip data ends too early");
			z->next_in = (Bytef *)(uintptr_t)buf; /* zlib only reads there */
			z->avail_in = (uInt)n;
		}
		if (s->member_ended) {
			/* another member (pigz, estargz), or padding: zeros, as on tapes */
			if (*z->next_in == 0x1f && !s->padded) {
				inflateReset(z);
				s->member_ended = false;
			} else {
				if (*z->next_in)
					atomic_store(&s->trailing, true);
				s->padded = true;
				z->avail_in--;
				z->next_in++;
				continue;
			}
		}
		r = inflate(z, Z_NO_FLUSH);
		if (r == Z_STREAM_END)
			s->member_ended = true;
		else if (r != Z_OK && r != Z_BUF_ERROR)
			return err_set(e, ERR_INVALID, "it is damaged: gzip: %s",
				       z->msg ? z->msg : zError(r));
	}
	return 0;
}

/*
 * By zlib itself: libarchive's gzip filter does not look at the checksums, so that a damaged archive would
 * become an image.
 */
static int decode_gzip(struct stream *s, struct err *e)
{
	z_stream z = { 0 };
	int r = 0;

	s->raw = malloc(CHUNK_SIZE);
	/* 15 bits of window; 16: with gzip's header and trailer */
	if (!s->raw || inflateInit2(&z, 15 + 16) != Z_OK)
		return err_set(e, ENOMEM, "cannot decompress");
	while (r == 0) {
		int i = chunk_get(s);

		if (i < 0)
			break;
		r = inflate_chunk(s, &z, i, e);
		if (r >= 0 && z.avail_out < CHUNK_SIZE &&
		    chunk_put(s, i, CHUNK_SIZE - z.avail_out, e) < 0)
			r = -1;
	}
	inflateEnd(&z);
	return r < 0 ? -1 : 0;
}

static la_ssize_t raw_read(struct archive *a, void *arg, const void **buf)
{
	ssize_t n = next_input(arg, buf);

	if (n < 0)
		archive_set_error(a, errno, "cannot read: %s", strerror(errno));
	return n;
}

static void free_archive(struct archive **a)
{
	archive_read_free(*a);
}

static int damaged(struct archive *a, struct err *e)
{
	const char *why = archive_error_string(a);

	return err_set(e, ERR_INVALID, "it is damaged or cut short%s%s", why ? ": " : "",
		       why ? why : "");
}

/* libarchive's "raw" format is the bytes behind the filters. */
static int decode_compressed(struct stream *s, struct err *e)
{
	static const struct {
		int (*support)(struct archive *);
		int code;
	} filters[UNPACK_COMPRESSIONS] = {
		[UNPACK_XZ] = { archive_read_support_filter_xz, ARCHIVE_FILTER_XZ },
		[UNPACK_ZSTD] = { archive_read_support_filter_zstd, ARCHIVE_FILTER_ZSTD },
		[UNPACK_BZIP2] = { archive_read_support_filter_bzip2, ARCHIVE_FILTER_BZIP2 },
		[UNPACK_LZ4] = { archive_read_support_filter_lz4, ARCHIVE_FILTER_LZ4 },
	};
	unsigned c = atomic_load(&s->compression);
	__attribute__((cleanup(free_archive))) struct archive *a = archive_read_new();
	struct archive_entry *entry;
	int r;

	s->raw = malloc(CHUNK_SIZE);
	if (!a || !s->raw)
		return err_set(e, ENOMEM, "cannot decompress");
	/* ARCHIVE_WARN: it would run a program, having no library */
	if (filters[c].support(a) != ARCHIVE_OK)
		return err_set(e, ERR_NOT_SUPPORTED,
			       "this libarchive cannot decompress it by itself");
	archive_read_support_format_raw(a);
	if (archive_read_open(a, s, NULL, raw_read, NULL) != ARCHIVE_OK)
		return damaged(a, e);
	r = archive_read_next_header(a, &entry);
	if (r == ARCHIVE_EOF) /* well compressed nothing */
		return 0;
	if (r != ARCHIVE_OK)
		return damaged(a, e);
	/* the filter did not recognise its own header, or there is a second filter behind the first */
	if (archive_filter_code(a, 0) != filters[c].code || archive_filter_count(a) != 2)
		return err_set(e, ERR_INVALID, "its compression is damaged, or was applied twice");
	for (;;) {
		int i = chunk_get(s);
		la_ssize_t n;

		if (i < 0)
			return 0;
		n = archive_read_data(a, s->chunk[i], CHUNK_SIZE);
		if (n < 0)
			return damaged(a, e);
		if (n == 0)
			break;
		if (chunk_put(s, i, (size_t)n, e) < 0)
			return -1;
	}
	return 0;
}

static int decode(struct stream *s, struct err *e)
{
	switch (atomic_load(&s->compression)) {
	case UNPACK_NONE:
		return decode_plain(s, e);
	case UNPACK_GZIP:
		return decode_gzip(s, e);
	default:
		return decode_compressed(s, e);
	}
}

/* What follows the compressed data belongs to the input, though nothing is made of it. */
static int drain(struct stream *s, struct err *e)
{
	char buf[16384];
	ssize_t n;

	while ((n = read_some(s, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			if (buf[i])
				atomic_store(&s->trailing, true);
	return n < 0 ? read_failed(s, e) : 0;
}

static void *decoder(void *arg)
{
	struct stream *s = arg;
	struct err e = { 0 };
	int r;

	r = sniff(s, &e);
	if (r == 0)
		r = decode(s, &e);
	if (r == 0)
		r = drain(s, &e);
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	if (r < 0) {
		s->failed = true;
		s->err = e;
	}
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* --- The hasher's thread ----------------------------------------------------------------------------- */

static void *hasher(void *arg)
{
	struct stream *s = arg;

	for (;;) {
		size_t i;

		pthread_mutex_lock(&s->lock);
		while (!s->stop && s->hashed == s->made && !s->ended)
			pthread_cond_wait(&s->changed, &s->lock);
		if (s->stop || s->hashed == s->made) {
			pthread_mutex_unlock(&s->lock);
			return NULL;
		}
		i = s->hashed % CHUNKS;
		pthread_mutex_unlock(&s->lock);
		sha256_update(&s->sha, s->len[i], s->chunk[i]);
		pthread_mutex_lock(&s->lock);
		s->hashed++;
		pthread_cond_broadcast(&s->changed);
		pthread_mutex_unlock(&s->lock);
	}
}

/* --- The caller's side ------------------------------------------------------------------------------- */

struct stream *stream_open(const struct stream_input *in, struct err *e)
{
	struct stream *s = calloc(1, sizeof(*s));
	int r = ENOMEM;

	if (!s)
		goto fail;
	s->in = *in;
	memset(s->tail, 1, sizeof(s->tail));
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	sha256_init(&s->sha);
	sha256_init(&s->raw_sha);
	for (size_t i = 0; i < CHUNKS; i++)
		if (!(s->chunk[i] = malloc(CHUNK_SIZE)))
			goto fail;
	r = pthread_create(&s->decoder, NULL, decoder, s);
	if (r)
		goto fail;
	s->decoder_runs = true;
	r = pthread_create(&s->hasher, NULL, hasher, s);
	if (r)
		goto fail;
	s->hasher_runs = true;
	return s;
fail:
	stream_close(s);
	err_set(e, r, "cannot start reading");
	return NULL;
}

ssize_t stream_next(struct stream *s, const void **data, struct err *e)
{
	ssize_t n = 0;

	pthread_mutex_lock(&s->lock);
	if (s->lent)
		s->used++;
	s->lent = false;
	pthread_cond_broadcast(&s->changed);
	while (s->used == s->made && !s->ended)
		pthread_cond_wait(&s->changed, &s->lock);
	if (s->used < s->made) {
		*data = s->chunk[s->used % CHUNKS];
		n = (ssize_t)s->len[s->used % CHUNKS];
		s->lent = true;
	} else if (s->failed) {
		*e = s->err;
		n = -1;
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

int stream_digest(struct stream *s, uint8_t digest[32], uint8_t input[32], struct err *e)
{
	int r;

	if (!s->hasher_runs)
		return err_set(e, EINVAL, "cannot hash");
	r = pthread_join(s->hasher, NULL);
	if (r)
		return err_set(e, r, "cannot hash");
	s->hasher_runs = false;
	sha256_digest(&s->sha, 32, digest);
	/* the decoder is done, or nobody would have seen the end */
	if (input && s->in.hash)
		sha256_digest(&s->raw_sha, 32, input);
	return 0;
}

enum unpack_compression stream_compression(struct stream *s)
{
	return (enum unpack_compression)atomic_load(&s->compression);
}

uint64_t stream_bytes_in(struct stream *s)
{
	return atomic_load(&s->bytes_in);
}

uint64_t stream_bytes_out(struct stream *s)
{
	return atomic_load(&s->bytes_out);
}

bool stream_ends_in_zeros(struct stream *s)
{
	for (size_t i = 0; i < BLOCK; i++)
		if (s->tail[i])
			return false;
	return true;
}

bool stream_has_trailer(struct stream *s)
{
	return atomic_load(&s->trailing);
}

void stream_close(struct stream *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	if (s->decoder_runs)
		pthread_join(s->decoder, NULL);
	if (s->hasher_runs)
		pthread_join(s->hasher, NULL);
	for (size_t i = 0; i < CHUNKS; i++)
		free(s->chunk[i]);
	free(s->raw);
	free(s);
}
