#include "images/unpack/stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "images/unpack/hash.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"

/* Large enough that waking a thread, on a processor that sleeps, costs nothing beside it. */
#define CHUNK_SIZE  (2u << 20)
#define CHUNKS	    6
#define SNIFF_SIZE  4096
#define FLUSH_EVERY (8u << 20)
#define BLOCK	    512
#define RATIO_FROM  (1u << 30) /* small archives of zeros are harmless, and exist */

/* A thread that does something with each chunk. */
struct follower {
	struct stream *s;
	int (*each)(struct stream *s, const unsigned char *p, size_t n, struct err *e);
	pthread_t thread;
	bool runs;
	uint64_t done; /* chunks */
};

struct stream {
	struct stream_input in;
	pthread_t decoder;
	bool decoder_runs;
	struct follower hasher, copier;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop, ended, failed; /* ended: no chunk will follow */
	uint64_t made, used;	  /* counts of chunks; used: given back by the consumer */
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
	bool input_ended, member_ended,
		padded; /* the last gzip member or zstd frame is over; something else follows it */

	struct hash sha, raw_sha; /* of the output; of the input: the decoder's own */

	_Atomic bool direct;
	uint64_t copied, flushed; /* bytes */
	struct err copy_err;
};

/* --- The decoder's thread ---------------------------------------------------------------------------- */

static int write_all(int fd, const unsigned char *p, size_t n, struct err *e)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		/* past the page cache (see copy()): the end of an archive need not fill a block of the device */
		if (w < 0 && errno == EINVAL && (fcntl(fd, F_GETFL) & O_DIRECT) &&
		    fcntl(fd, F_SETFL, 0) == 0)
			continue;
		if (w < 0)
			return err_set(e, errno, "cannot write");
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
		hash_update(&s->raw_sha, buf, (size_t)n);
	return s->in.copy_in >= 0 && write_all(s->in.copy_in, buf, (size_t)n, &s->copy_err) < 0 ?
		       -1 :
		       n;
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
	{ 0, "hsqs", 4, -1,
	  "a squashfs file system: --as-is keeps it so, and has the kernel read it" },
	{ 1024, "\xe2\xe1\xf5\xe0", 4, -1,
	  "an EROFS file system: --as-is keeps it so, and has the kernel read it" },
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

static bool is_full(const struct stream *s)
{
	return s->made - s->used >= CHUNKS || s->made - s->hasher.done >= CHUNKS ||
	       (s->copier.each && s->made - s->copier.done >= CHUNKS);
}

/* Waits for a free chunk; its index, or -1 to stop. */
static int chunk_get(struct stream *s)
{
	int i = -1;

	pthread_mutex_lock(&s->lock);
	while (!s->stop && is_full(s))
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

/* What has been read and not been used yet. */
struct input {
	const unsigned char *p;
	size_t len;
};

/* More of it; nothing at the end. */
static int input_fill(struct stream *s, struct input *in, struct err *e)
{
	const void *buf;
	ssize_t n = next_input(s, &buf);

	if (n < 0)
		return read_failed(s, e);
	*in = (struct input){ buf, (size_t)n };
	s->input_ended = n == 0;
	return 0;
}

/*
 * Between two members or frames: whether another one follows, whose first byte @is_first() knows. What else there is is padding,
 * zeros as on tapes, or does not belong there; it is passed over. 1, 0 at the end of the input, -1 and *e.
 */
static int another_member(struct stream *s, struct input *in, bool (*is_first)(unsigned char),
			  struct err *e)
{
	for (;;) {
		if (!in->len && input_fill(s, in, e) < 0)
			return -1;
		if (!in->len)
			return 0;
		if (!s->padded && is_first(*in->p))
			return 1;
		s->padded = true;
		if (*in->p)
			atomic_store(&s->trailing, true);
		in->p++;
		in->len--;
	}
}

static bool begins_gzip(unsigned char c)
{
	return c == 0x1f;
}

/* A frame, or a skippable one, of which zstd:chunked has some. */
static bool begins_zstd(unsigned char c)
{
	return c == 0x28 || (c & 0xf0) == 0x50;
}

static int cut_short(const char *format, struct err *e)
{
	return err_set(e, ERR_INVALID, "it is cut short: %s data ends too early", format);
}

/* Either library, at one member: @in to @out, as far as both go. 1 at the member's end, 0, or -1 and *e. */
struct gunzip {
	const struct isal *isal; /* NULL: zlib */
	struct inflate_state *fast;
	z_stream slow;
};

static int gunzip_open(struct gunzip *z, const struct isal *isal)
{
	*z = (struct gunzip){ .isal = isal };
	/* 15 bits of window; 16: with gzip's header and trailer */
	if (!isal)
		return inflateInit2(&z->slow, 15 + 16) == Z_OK ? 0 : -1;
	z->fast = malloc(sizeof(*z->fast));
	if (!z->fast)
		return -1;
	isal->init(z->fast);
	z->fast->crc_flag = ISAL_GZIP;
	return 0;
}

static void gunzip_reset(struct gunzip *z)
{
	if (!z->isal) {
		(void)inflateReset(&z->slow);
		return;
	}
	z->isal->reset(z->fast);
	z->fast->crc_flag = ISAL_GZIP;
}

static void gunzip_close(struct gunzip *z)
{
	if (!z->isal)
		(void)inflateEnd(&z->slow);
	free(z->fast);
}

static int gunzip_run(struct gunzip *z, struct input *in, unsigned char **out, size_t *room,
		      struct err *e)
{
	const char *why = NULL;
	size_t left;
	int r;

	if (z->isal) {
		z->fast->next_in = (uint8_t *)(uintptr_t)in->p; /* it only reads there */
		z->fast->avail_in = (uint32_t)in->len;
		z->fast->next_out = *out;
		z->fast->avail_out = (uint32_t)*room;
		r = z->isal->inflate(z->fast);
		if (r != ISAL_DECOMP_OK && r != ISAL_END_INPUT)
			why = r == ISAL_INCORRECT_CHECKSUM ? "incorrect data check" :
							     "invalid data";
		r = z->fast->block_state == ISAL_BLOCK_FINISH;
		left = z->fast->avail_in;
		*out = z->fast->next_out;
		*room = z->fast->avail_out;
	} else {
		z->slow.next_in = (Bytef *)(uintptr_t)in->p;
		z->slow.avail_in = (uInt)in->len;
		z->slow.next_out = *out;
		z->slow.avail_out = (uInt)*room;
		r = inflate(&z->slow, Z_NO_FLUSH);
		if (r != Z_OK && r != Z_BUF_ERROR && r != Z_STREAM_END)
			why = z->slow.msg ? z->slow.msg : zError(r);
		r = r == Z_STREAM_END;
		left = z->slow.avail_in;
		*out = z->slow.next_out;
		*room = z->slow.avail_out;
	}
	in->p += in->len - left;
	in->len = left;
	return why ? err_set(e, ERR_INVALID, "it is damaged: gzip: %s", why) : r;
}

/* One member after the other: pigz, estargz and others write several. 0, or 1 when there is no more. */
static int gunzip_chunk(struct stream *s, struct gunzip *z, struct input *in, int i, size_t *made,
			struct err *e)
{
	unsigned char *out = s->chunk[i];
	size_t room = CHUNK_SIZE;

	*made = 0;
	while (room) {
		size_t before = room;
		int r;

		if (s->member_ended) {
			r = another_member(s, in, begins_gzip, e);
			*made = CHUNK_SIZE - room;
			if (r <= 0)
				return r < 0 ? -1 : 1;
			gunzip_reset(z);
			s->member_ended = false;
		}
		if (!in->len && input_fill(s, in, e) < 0)
			return -1;
		/* even without input: what was taken in may still have to be put out */
		r = gunzip_run(z, in, &out, &room, e);
		if (r < 0)
			return -1;
		if (!r && !in->len && room == before && s->input_ended)
			return cut_short("gzip", e);
		s->member_ended = r;
	}
	*made = CHUNK_SIZE - room;
	return 0;
}

/* By libraries that check what they make: libarchive's gzip filter does not look at the checksums. */
static int decode_gzip(struct stream *s, struct err *e)
{
	struct gunzip z;
	struct input in = { .p = NULL };
	int r = 0;

	s->raw = malloc(CHUNK_SIZE);
	if (!s->raw || gunzip_open(&z, s->in.isal) < 0)
		return err_set(e, ENOMEM, "cannot decompress");
	while (r == 0) {
		int i = chunk_get(s);
		size_t made;

		if (i < 0)
			break;
		r = gunzip_chunk(s, &z, &in, i, &made, e);
		if (r >= 0 && made && chunk_put(s, i, made, e) < 0)
			r = -1;
	}
	gunzip_close(&z);
	return r < 0 ? -1 : 0;
}

bool isal_load(struct isal *isal)
{
	/* never closed: it is wanted to the end */
	void *lib = dlopen("libisal.so.2", RTLD_NOW | RTLD_LOCAL);

	if (!lib)
		return false;
	isal->init = (void (*)(struct inflate_state *))(uintptr_t)dlsym(lib, "isal_inflate_init");
	isal->reset = (void (*)(struct inflate_state *))(uintptr_t)dlsym(lib, "isal_inflate_reset");
	isal->inflate = (int (*)(struct inflate_state *))(uintptr_t)dlsym(lib, "isal_inflate");
	return isal->init && isal->reset && isal->inflate;
}

/* The same for zstd's frames. */
static int zstd_chunk(struct stream *s, ZSTD_DStream *z, struct input *in, int i, size_t *made,
		      struct err *e)
{
	ZSTD_outBuffer out = { s->chunk[i], CHUNK_SIZE, 0 };

	*made = 0;
	while (out.pos < out.size) {
		ZSTD_inBuffer from;
		size_t before = out.pos, r;

		if (s->member_ended) {
			int more = another_member(s, in, begins_zstd, e);

			if (more <= 0) {
				*made = out.pos;
				return more < 0 ? -1 : 1;
			}
			s->member_ended = false;
		}
		if (!in->len && input_fill(s, in, e) < 0)
			return -1;
		from = (ZSTD_inBuffer){ in->p, in->len, 0 };
		r = ZSTD_decompressStream(z, &out, &from);
		if (ZSTD_isError(r))
			return err_set(e, ERR_INVALID, "it is damaged: zstd: %s",
				       ZSTD_getErrorName(r));
		if (!from.size && r && out.pos == before)
			return cut_short("zstd", e);
		in->p += from.pos;
		in->len -= from.pos;
		s->member_ended = r == 0;
	}
	*made = out.pos;
	return 0;
}

static int decode_zstd(struct stream *s, struct err *e)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	struct input in = { .p = NULL };
	int r = 0;

	s->raw = malloc(CHUNK_SIZE);
	if (!s->raw || !z)
		r = err_set(e, ENOMEM, "cannot decompress");
	while (r == 0) {
		int i = chunk_get(s);
		size_t made;

		if (i < 0)
			break;
		r = zstd_chunk(s, z, &in, i, &made, e);
		if (r >= 0 && made && chunk_put(s, i, made, e) < 0)
			r = -1;
	}
	ZSTD_freeDStream(z);
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
	case UNPACK_ZSTD:
		return decode_zstd(s, e);
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

/* The first failure is told. Nobody goes on. */
static void fail(struct stream *s, const struct err *e)
{
	pthread_mutex_lock(&s->lock);
	if (!s->failed)
		s->err = *e;
	s->failed = s->stop = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static bool is_stopped(struct stream *s)
{
	bool stop;

	pthread_mutex_lock(&s->lock);
	stop = s->stop;
	pthread_mutex_unlock(&s->lock);
	return stop;
}

static void *decoder(void *arg)
{
	struct stream *s = arg;
	struct err e = { 0 };

	if (sniff(s, &e) < 0 || decode(s, &e) < 0 || (!is_stopped(s) && drain(s, &e) < 0)) {
		fail(s, &e);
		return NULL;
	}
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* --- Those who follow it ------------------------------------------------------------------------------- */

/* The copier begins once the reader has given the first chunk back: by then it has said how (stream_copy_directly()). */
static bool has_work(const struct stream *s, const struct follower *f)
{
	return f->done < s->made && (f != &s->copier || s->used);
}

static void *follow(void *arg)
{
	struct follower *f = arg;
	struct stream *s = f->s;
	struct err e = { 0 };

	for (;;) {
		size_t i;

		pthread_mutex_lock(&s->lock);
		while (!s->stop && !has_work(s, f) && (f->done < s->made || !s->ended))
			pthread_cond_wait(&s->changed, &s->lock);
		if (s->stop || f->done == s->made) {
			pthread_mutex_unlock(&s->lock);
			return NULL;
		}
		i = f->done % CHUNKS;
		pthread_mutex_unlock(&s->lock);
		if (f->each(s, s->chunk[i], s->len[i], &e) < 0) {
			fail(s, &e);
			return NULL;
		}
		pthread_mutex_lock(&s->lock);
		f->done++;
		pthread_cond_broadcast(&s->changed);
		pthread_mutex_unlock(&s->lock);
	}
}

static int hash(struct stream *s, const unsigned char *p, size_t n, struct err *e)
{
	(void)e;
	hash_update(&s->sha, p, n);
	return 0;
}

static int copy(struct stream *s, const unsigned char *p, size_t n, struct err *e)
{
	if (!s->copied && atomic_load(&s->direct))
		(void)fcntl(s->in.copy, F_SETFL, O_DIRECT);
	if (write_all(s->in.copy, p, n, e) < 0)
		return -1;
	s->copied += n;
	/* so that the disk has little left to do when it has to be on it; a hint, whose failure does not matter */
	if (s->copied - s->flushed >= FLUSH_EVERY) {
		(void)sync_file_range(s->in.copy, (off_t)s->flushed,
				      (off_t)(s->copied - s->flushed), SYNC_FILE_RANGE_WRITE);
		s->flushed = s->copied;
	}
	return 0;
}

static int follower_start(struct follower *f, struct stream *s)
{
	int r;

	f->s = s;
	r = pthread_create(&f->thread, NULL, follow, f);
	f->runs = r == 0;
	return r;
}

static void follower_join(struct follower *f)
{
	if (f->runs)
		pthread_join(f->thread, NULL);
	f->runs = false;
}

/* To its end: what it had to do is done, or *e. */
static int follower_finish(struct stream *s, struct follower *f, struct err *e)
{
	follower_join(f);
	if (!s->failed)
		return 0;
	*e = s->err;
	return -1;
}

/* --- The caller's side ------------------------------------------------------------------------------- */

/* One page of the large kind, where there are such; aligned as writing past the page cache wants it. */
static int chunk_new(unsigned char **chunk)
{
	*chunk = aligned_alloc(CHUNK_SIZE, CHUNK_SIZE);
	if (!*chunk)
		return -1;
	(void)madvise(*chunk, CHUNK_SIZE, MADV_HUGEPAGE);
	return 0;
}

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
	hash_init(&s->sha);
	hash_init(&s->raw_sha);
	for (size_t i = 0; i < CHUNKS; i++)
		if (chunk_new(&s->chunk[i]) < 0)
			goto fail;
	s->hasher.each = hash;
	s->copier.each = in->copy >= 0 ? copy : NULL;
	r = pthread_create(&s->decoder, NULL, decoder, s);
	if (r)
		goto fail;
	s->decoder_runs = true;
	r = follower_start(&s->hasher, s);
	if (r == 0 && s->copier.each)
		r = follower_start(&s->copier, s);
	if (r)
		goto fail;
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
	while (s->used == s->made && !s->ended && !s->failed)
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

void stream_copy_directly(struct stream *s)
{
	atomic_store(&s->direct, true);
}

int stream_copied(struct stream *s, struct err *e)
{
	return follower_finish(s, &s->copier, e);
}

int stream_digest(struct stream *s, uint8_t digest[32], uint8_t input[32], struct err *e)
{
	if (follower_finish(s, &s->copier, e) < 0 || follower_finish(s, &s->hasher, e) < 0)
		return -1;
	hash_digest(&s->sha, digest);
	if (input && stream_compression(s) == UNPACK_NONE)
		memcpy(input, digest, 32);
	/* the decoder is done, or nobody would have seen the end */
	else if (input && s->in.hash)
		hash_digest(&s->raw_sha, input);
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
	follower_join(&s->hasher);
	follower_join(&s->copier);
	for (size_t i = 0; i < CHUNKS; i++)
		free(s->chunk[i]);
	free(s->raw);
	free(s);
}
