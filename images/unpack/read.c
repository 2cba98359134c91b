#include "images/unpack/read.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "images/unpack/entry.h"
#include "images/unpack/stream.h"
#include "images/unpack/tree.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"

#define TELL_EVERY_NS 80000000
#define XATTRS_MAX    1024
#define BAD_IDS_SHOWN 3
/* Padding after the end mark: tar's largest common record is 1 MiB. */
#define TRAILING_MAX (64u << 20)

static const struct {
	const char *name;
	unsigned is;
} top_names[] = {
	{ "bin", TOP_ROOTFS },
	{ "sbin", TOP_ROOTFS },
	{ "usr", TOP_ROOTFS },
	{ "etc", TOP_ROOTFS },
	{ "lib", TOP_ROOTFS },
	{ "init", TOP_ROOTFS },
	{ "oci-layout", TOP_OCI_LAYOUT },
	{ "manifest.json", TOP_MANIFEST },
	{ "repositories", TOP_REPOSITORIES },
	{ "metadata.yaml", TOP_METADATA },
	{ "rootfs.img", TOP_ROOTFS_IMG },
	{ "create-message", TOP_CREATE_MESSAGE },
	{ "rootfs", TOP_ROOTFS_DIR },
	{ "index.json", TOP_INDEX },
};

/* What ext4 can say (Documentation/filesystems/ext4/inodes.rst): from 1901 to 2446. */
#define TIME_MIN INT32_MIN
#define TIME_MAX ((1LL << 34) + INT32_MIN - 1)
#define WINDOW	 (64u << 20) /* of a file that is mapped, at a time: address space is limited */

struct reader {
	const struct unpack_request *q;
	struct unpack_report *report;
	void (*tell)(void *arg, const struct unpack_report *r);
	void *tell_arg;
	struct timespec told;
	uint64_t bytes_in, bytes_out; /* of streams that are done */
	bool first_stream_seen;

	/* the archive at hand: of a stream, or of a file */
	struct stream *stream;
	struct err
		stream_err; /* set when the stream failed, which libarchive reports in fewer words */
	int fd;
	uint64_t file_at, file_end;
	void *window;
	size_t n_window;
	uint64_t fed;	  /* bytes given to libarchive */
	const char *last; /* the last of them, still in memory */
	size_t n_last;
	bool peek; /* no more than the kind is wanted */
	struct tree *tree;
	struct reading *kind;
	char only_top[ENTRY_PART_MAX + 1]; /* the one name at the top so far */
	bool several_tops, only_top_is_dir;
	char bad_ids_text[BAD_IDS_SHOWN * (ENTRY_QUOTED_MAX + 48)];

	/* of the file being read */
	struct tree_segment *segments;
	size_t n_segments, segments_size;
};

static void tell(struct reader *r)
{
	struct timespec now;
	int64_t ns;

	if (!r->tell)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (now.tv_sec - r->told.tv_sec) * 1000000000LL + now.tv_nsec - r->told.tv_nsec;
	if (ns < TELL_EVERY_NS)
		return;
	r->told = now;
	if (r->stream) {
		if (!r->first_stream_seen)
			r->report->compression = stream_compression(r->stream);
		r->report->bytes_in = r->bytes_in + stream_bytes_in(r->stream);
		r->report->bytes_out = r->bytes_out + stream_bytes_out(r->stream);
	}
	r->tell(r->tell_arg, r->report);
}

void reader_count(struct reader *r, struct stream *s)
{
	if (s && !r->first_stream_seen)
		r->report->compression = stream_compression(s);
	r->first_stream_seen = true;
	if (!s)
		return;
	r->report->bytes_in = r->bytes_in += stream_bytes_in(s);
	r->report->bytes_out = r->bytes_out += stream_bytes_out(s);
}

/* The next part of a mapped file: libarchive walks over contents without touching them. */
static ssize_t next_window(struct reader *r, const void **buf, struct err *e)
{
	long page = sysconf(_SC_PAGESIZE);
	uint64_t skew = r->file_at % (uint64_t)page;
	uint64_t len = r->file_end - r->file_at;

	if (r->window)
		munmap(r->window, r->n_window);
	r->window = NULL;
	if (!len)
		return 0;
	if (len > WINDOW)
		len = WINDOW;
	r->n_window = (size_t)(len + skew);
	r->window =
		mmap(NULL, r->n_window, PROT_READ, MAP_SHARED, r->fd, (off_t)(r->file_at - skew));
	if (r->window == MAP_FAILED) {
		r->window = NULL;
		return err_set(e, errno, "cannot read");
	}
	*buf = (char *)r->window + skew;
	r->file_at += len;
	return (ssize_t)len;
}

static ssize_t next_bytes(struct reader *r, const void **buf, struct err *e)
{
	if (!r->stream)
		return next_window(r, buf, e);
	/* what an archive of images holds, and what files are made of, is read again */
	if ((r->kind->top & TOP_ROOTFS) && !(r->q->flags & UNPACK_DIRECTORIES))
		stream_copy_directly(r->stream);
	return stream_next(r->stream, buf, e);
}

static la_ssize_t feed(struct archive *a, void *arg, const void **buf)
{
	struct reader *r = arg;
	ssize_t n = next_bytes(r, buf, &r->stream_err);

	tell(r);
	if (n < 0)
		archive_set_error(a, EIO, "%s", r->stream_err.msg);
	r->last = *buf;
	r->n_last = n > 0 ? (size_t)n : 0;
	r->fed += r->n_last;
	return n;
}

/* libarchive's words, or the stream's own if that is where it went wrong. */
static int archive_fail(struct reader *r, struct archive *a, struct err *e)
{
	char q[ENTRY_QUOTED_MAX];
	const char *why = archive_error_string(a);

	if (r->stream_err.code) {
		*e = r->stream_err;
		return -1;
	}
	if (!r->kind->entries && why && strstr(why, "Unrecognized archive format"))
		return err_set(e, ERR_INVALID, "it is not a tar archive");
	return err_set(e, ERR_INVALID, "it is damaged or cut short%s%s", why ? ": " : "",
		       why ? entry_quote(why, q) : "");
}

static int entry_fail(struct reader *r, const char *name, struct err *e)
{
	char q[ENTRY_QUOTED_MAX];

	(void)r;
	return err_in(e, "'%s'", entry_quote(name, q));
}

static void note_top(struct reader *r, const char *name, bool is_dir)
{
	size_t len = strcspn(name, "/");

	if (strncmp(r->only_top, name, len) != 0 || r->only_top[len]) {
		if (*r->only_top)
			r->several_tops = true;
		memcpy(r->only_top, name, len);
		r->only_top[len] = '\0';
		for (size_t i = 0; i < sizeof(top_names) / sizeof(*top_names); i++)
			if (strlen(top_names[i].name) == len &&
			    memcmp(top_names[i].name, name, len) == 0)
				r->kind->top |= top_names[i].is;
	}
	if (name[len] || is_dir)
		r->only_top_is_dir = true;
}

/* Remembers the first few. What they are in decides later whether it matters. */
static void note_bad_id(struct reader *r, const char *name, int64_t uid, int64_t gid)
{
	char q[ENTRY_QUOTED_MAX];
	size_t len = strlen(r->bad_ids_text);

	if (r->kind->bad_ids++ < BAD_IDS_SHOWN)
		snprintf(r->bad_ids_text + len, sizeof(r->bad_ids_text) - len, "%s'%s' (%lld:%lld)",
			 len ? ", " : "", entry_quote(name, q), (long long)uid, (long long)gid);
}

static bool ids_are_good(struct reader *r, const char *name, struct archive_entry *entry)
{
	int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
	int64_t max = r->q->max_id;

	if (r->kind->container || (uid >= 0 && uid <= max && gid >= 0 && gid <= max))
		return true;
	note_bad_id(r, name, uid, gid);
	return false;
}

/* What an entry brings along, with what has to be freed after it. */
struct luggage {
	struct tree_attrs attrs;
	struct tree_xattr xattrs[XATTRS_MAX + 2];
	void *owned[XATTRS_MAX + 2];
	size_t n;
};

static void luggage_free(struct luggage *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->owned[i]);
	l->n = 0;
}

/* @name must be static or the entry's. Takes @value over. */
static void luggage_add(struct luggage *l, const char *name, void *value, size_t len)
{
	l->xattrs[l->n] = (struct tree_xattr){ name, value, len };
	l->owned[l->n] = value;
	l->n++;
}

static void luggage_drop(struct luggage *l, size_t i)
{
	free(l->owned[i]);
	l->n--;
	l->xattrs[i] = l->xattrs[l->n];
	l->owned[i] = l->owned[l->n];
}

static bool has_xattr(const struct luggage *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->xattrs[i].name, name))
			return true;
	return false;
}

/* GNU tar may write both the text and the attribute; the attribute has numbers, so it is the better one. */
static int take_acls(struct reader *r, struct archive_entry *entry, struct luggage *l,
		     struct err *e)
{
	static const struct {
		int type;
		const char *name;
	} kinds[] = {
		{ ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access" },
		{ ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default" },
	};

	for (size_t i = 0; i < 2; i++) {
		void *value;
		size_t len;

		if (has_xattr(l, kinds[i].name) ||
		    (kinds[i].type == ARCHIVE_ENTRY_ACL_TYPE_DEFAULT &&
		     archive_entry_filetype(entry) != AE_IFDIR))
			continue;
		if (entry_acl(entry, kinds[i].type, r->q->max_id, &value, &len, e) == 0) {
			if (value && entry_xattr_keep(kinds[i].name, value, &len, r->q->max_id)) {
				luggage_add(l, kinds[i].name, value, len);
			} else if (value) {
				free(value);
				r->report->skipped_xattrs++;
			}
		} else if (e->code == ERR_NOT_SUPPORTED) {
			*e = (struct err){ 0 };
			r->report->skipped_xattrs++;
		} else {
			return -1;
		}
	}
	return 0;
}

/* Whatever the image's root is kept on, it says the same. */
static int64_t clamp_time(int64_t seconds)
{
	return seconds < TIME_MIN ? TIME_MIN : seconds > TIME_MAX ? TIME_MAX : seconds;
}

static int pack(struct reader *r, struct archive_entry *entry, struct luggage *l, struct err *e)
{
	const char *name;
	const void *value;
	size_t len;
	long nsec = archive_entry_mtime_nsec(entry);
	bool is_dir = archive_entry_filetype(entry) == AE_IFDIR;

	l->n = 0;
	l->attrs = (struct tree_attrs){
		.uid = (uid_t)archive_entry_uid(entry),
		.gid = (gid_t)archive_entry_gid(entry),
		.mode = archive_entry_perm(entry) & 07777,
		.mtime.tv_sec = clamp_time(archive_entry_mtime(entry)),
		.mtime.tv_nsec = nsec >= 0 && nsec < 1000000000 ? nsec : 0,
		.xattrs = l->xattrs,
	};
	archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &name, &value, &len) == ARCHIVE_OK) {
		void *copy;

		if (len > ENTRY_XATTR_MAX)
			return err_set(e, ERR_INVALID, "an attribute of %zu bytes", len);
		if (l->n == XATTRS_MAX)
			return err_set(e, ERR_INVALID, "more than %d attributes", XATTRS_MAX);
		copy = malloc(len + 1);
		if (!copy)
			return err_set(e, ENOMEM, "cannot unpack");
		memcpy(copy, value, len);
		/* a default list is for what is made in a directory, and the kernel wants it nowhere else */
		if (entry_xattr_keep(name, copy, &len, r->q->max_id) &&
		    (is_dir || !streq(name, "system.posix_acl_default"))) {
			luggage_add(l, name, copy, len);
		} else {
			free(copy);
			r->report->skipped_xattrs++;
		}
	}
	if (take_acls(r, entry, l, e) < 0)
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		bool plain;

		if (!streq(l->xattrs[i].name, "system.posix_acl_access"))
			continue;
		l->attrs.mode =
			entry_acl_mode(l->xattrs[i].value, l->xattrs[i].len, l->attrs.mode, &plain);
		if (plain)
			luggage_drop(l, i);
		break;
	}
	l->attrs.n_xattrs = l->n;
	return 0;
}

static int add_segment(struct reader *r, uint64_t at, uint64_t pos, uint64_t len, struct err *e)
{
	struct tree_segment *last = r->n_segments ? &r->segments[r->n_segments - 1] : NULL;

	if (last && last->at + last->len == at && last->pos + last->len == pos) {
		last->len += len;
		return 0;
	}
	if (r->n_segments == r->segments_size) {
		size_t size = r->segments_size ? 2 * r->segments_size : 64;
		struct tree_segment *more = reallocarray(r->segments, size, sizeof(*more));

		if (!more)
			return err_set(e, ENOMEM, "cannot read a sparse file");
		r->segments = more;
		r->segments_size = size;
	}
	r->segments[r->n_segments++] = (struct tree_segment){ at, pos, len };
	return 0;
}

/*
 * Where the content lies: libarchive gives the offset of each block of a sparse file, and how much of the archive it
 * has used up to there.
 */
static int find_data(struct reader *r, struct archive *a, struct archive_entry *entry,
		     struct err *e)
{
	la_int64_t size = archive_entry_size(entry), at = 0, end = 0;
	const void *data;
	size_t len;

	r->n_segments = 0;
	if (size < 0 || (uint64_t)size > r->q->max_file)
		return err_set(e, ERR_INVALID, "a length of %lld bytes", (long long)size);
	for (;;) {
		int rc = archive_read_data_block(a, &data, &len, &at);

		if (rc == ARCHIVE_EOF)
			return 0;
		if (rc != ARCHIVE_OK)
			return archive_fail(r, a, e);
		if (!len)
			continue;
		if (at < end || at > size || len > (uint64_t)(size - at))
			return err_set(e, ERR_INVALID, "data outside of its length of %lld bytes",
				       (long long)size);
		if (add_segment(r, (uint64_t)at, (uint64_t)archive_filter_bytes(a, 0), len, e) < 0)
			return -1;
		r->report->bytes_files += len;
		end = at + (la_int64_t)len;
		tell(r);
	}
}

static int make_file(struct reader *r, struct archive *a, struct archive_entry *entry,
		     const char *name, const struct tree_attrs *attrs, struct err *e)
{
	if (find_data(r, a, entry, e) < 0)
		return entry_fail(r, name, e);
	return tree_file(r->tree, name, attrs, (uint64_t)archive_entry_size(entry), r->segments,
			 r->n_segments, e);
}

static int make_symlink(struct reader *r, struct archive_entry *entry, const char *name,
			const struct tree_attrs *attrs, struct err *e)
{
	const char *target = archive_entry_symlink(entry);

	if (!target || !*target) {
		err_set(e, ERR_INVALID, "a symbolic link to nothing");
		return entry_fail(r, name, e);
	}
	if (strlen(target) > ENTRY_NAME_MAX) {
		err_set(e, ERR_INVALID, "a symbolic link of %zu bytes", strlen(target));
		return entry_fail(r, name, e);
	}
	return tree_symlink(r->tree, name, target, attrs, e);
}

static int make_link(struct reader *r, struct archive_entry *entry, const char *name, struct err *e)
{
	char target[ENTRY_NAME_MAX + 1], q[ENTRY_QUOTED_MAX], qt[ENTRY_QUOTED_MAX];
	const char *raw = archive_entry_hardlink(entry);

	switch (entry_name(raw, r->kind->strip, target, e)) {
	case ENTRY_NAME_PATH:
		break;
	case -1:
		return entry_fail(r, name, e);
	default:
		return err_set(e, ERR_INVALID, "'%s' is a hard link to a directory",
			       entry_quote(name, q));
	}
	switch (tree_link(r->tree, name, target, e)) {
	case 0:
		return 0;
	case 1: /* a device */
		r->report->skipped_devices++;
		return 0;
	}
	if (e->code != ERR_NO_SUCH)
		return -1;
	return err_set(e, ERR_INVALID, "'%s' is a hard link to '%s', which is not in the archive",
		       entry_quote(name, q), entry_quote(target, qt));
}

static int make_entry(struct reader *r, struct archive *a, struct archive_entry *entry,
		      const char *name, struct luggage *l, struct err *e)
{
	unsigned type = archive_entry_filetype(entry);
	char q[ENTRY_QUOTED_MAX];

	if (tree_is_whiteout(r->tree, name))
		return tree_whiteout(r->tree, name, e);
	if (archive_entry_hardlink(entry))
		return make_link(r, entry, name, e);
	if (type == AE_IFCHR || type == AE_IFBLK) {
		r->report->skipped_devices++;
		return tree_device(r->tree, name, e);
	}
	if (!ids_are_good(r, name, entry)) {
		/* goes on for what it may be links to, if only to say at the end what is wrong */
		archive_entry_set_uid(entry, 0);
		archive_entry_set_gid(entry, 0);
	}
	if (pack(r, entry, l, e) < 0)
		return entry_fail(r, name, e);
	switch (type) {
	case AE_IFREG:
		return make_file(r, a, entry, name, &l->attrs, e);
	case AE_IFDIR:
		return tree_dir(r->tree, name, &l->attrs, e);
	case AE_IFLNK:
		return make_symlink(r, entry, name, &l->attrs, e);
	case AE_IFIFO:
		return tree_special(r->tree, name, S_IFIFO, &l->attrs, e);
	case AE_IFSOCK: /* a socket without its server is nothing */
		r->report->skipped_others++;
		return 0;
	default:
		return err_set(e, ERR_INVALID, "'%s' is of the unknown type 0%o",
			       entry_quote(name, q), type);
	}
}

static int take_entry(struct reader *r, struct archive *a, struct archive_entry *entry,
		      struct luggage *l, struct err *e)
{
	char name[ENTRY_NAME_MAX + 1];
	const char *raw = archive_entry_pathname(entry);
	bool is_dir = archive_entry_filetype(entry) == AE_IFDIR && !archive_entry_hardlink(entry);
	int rc;

	r->kind->entries++;
	if (++r->report->entries > r->q->max_entries)
		return err_set(e, ERR_INVALID, "it has more than %llu entries",
			       (unsigned long long)r->q->max_entries);
	if (!raw || !*raw)
		return err_set(e, ERR_INVALID, "entry %llu has no name",
			       (unsigned long long)r->report->entries);
	switch (entry_name(raw, r->kind->strip, name, e)) {
	case -1:
		return -1;
	case ENTRY_NAME_STRIPPED:
		if (r->kind->strip)
			return 0;
		break;
	case ENTRY_NAME_PATH:
		note_top(r, name, is_dir);
		break;
	}
	/* CVE-2021-29136: the top directory as a symbolic link */
	if (!*name && !is_dir)
		return err_set(e, ERR_INVALID, "its top directory is not a directory");
	if (r->peek)
		return 0;
	rc = make_entry(r, a, entry, name, l, e);
	luggage_free(l);
	return rc;
}

/*
 * The one warning that is none: names are bytes here, and libarchive, in the C locale, says of a PAX
 * name that is not ASCII that it kept it as it was. In a UTF-8 locale it would normalise such names.
 */
static bool is_about_charset(const char *why)
{
	return why && strstr(why, "can't be converted");
}

static int read_entries(struct reader *r, struct archive *a, struct luggage *l, struct err *e)
{
	struct archive_entry *entry;

	for (;;) {
		int rc = archive_read_next_header(a, &entry);

		if (rc == ARCHIVE_EOF)
			return 0;
		if (rc != ARCHIVE_OK &&
		    !(rc == ARCHIVE_WARN && is_about_charset(archive_error_string(a))))
			return archive_fail(r, a, e);
		if (take_entry(r, a, entry, l, e) < 0)
			return -1;
		if (r->peek && (r->kind->top & ~TOP_CREATE_MESSAGE))
			return 0;
		tell(r);
	}
}

static bool is_zero(const char *p, size_t n)
{
	return !n || (!*p && memcmp(p, p + 1, n - 1) == 0);
}

/*
 * What follows the end mark belongs to the archive's digest, and only zeros belong there. It begins in what
 * libarchive was given and did not use.
 */
static int read_rest(struct reader *r, struct archive *a, struct err *e)
{
	uint64_t used = (uint64_t)archive_filter_bytes(a, 0);
	size_t unused = used < r->fed ? (size_t)(r->fed - used) : 0;
	uint64_t total = 0;
	const void *data;
	ssize_t n;

	if (unused > r->n_last)
		unused = r->n_last;
	if (unused && !is_zero(r->last + r->n_last - unused, unused))
		r->report->trailing = 1;
	while ((n = next_bytes(r, &data, e)) > 0) {
		total += (uint64_t)n;
		if (total > TRAILING_MAX)
			return err_set(e, ERR_INVALID, "more than %u bytes follow its end",
				       TRAILING_MAX);
		if (!is_zero(data, (size_t)n))
			r->report->trailing = 1;
		tell(r);
	}
	if (n < 0)
		return -1;
	if (!r->stream)
		return 0;
	if (stream_has_trailer(r->stream))
		r->report->trailing = 1;
	else if (!r->report->trailing && !stream_ends_in_zeros(r->stream))
		return err_set(e, ERR_INVALID, "it is cut short: there is no end mark");
	return 0;
}

static int read_all(struct reader *r, struct archive *a, struct err *e)
{
	struct luggage *l = calloc(1, sizeof(*l));
	int rc = -1;

	if (!l || !a) {
		free(l);
		return err_set(e, ENOMEM, "cannot unpack");
	}
	if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_support_format_empty(a) != ARCHIVE_OK ||
	    archive_read_open(a, r, NULL, feed, NULL) != ARCHIVE_OK)
		archive_fail(r, a, e);
	else
		rc = read_entries(r, a, l, e);
	free(l);
	return rc < 0 || r->peek ? rc : read_rest(r, a, e);
}

static int read_one(struct reader *r, struct tree *t, struct reading *k, struct err *e)
{
	struct archive *a = archive_read_new();
	int rc;

	*k = (struct reading){ .strip = k->strip, .container = k->container };
	r->tree = t;
	r->kind = k;
	r->stream_err = (struct err){ 0 };
	r->fed = 0;
	r->n_last = 0;
	*r->only_top = *r->bad_ids_text = '\0';
	r->several_tops = r->only_top_is_dir = false;
	rc = read_all(r, a, e);
	archive_read_free(a);
	if (r->window)
		munmap(r->window, r->n_window);
	r->window = NULL;
	r->stream = NULL;
	return rc;
}

int reader_stream(struct reader *r, struct stream *s, struct tree *t, struct reading *k,
		  struct err *e)
{
	r->stream = s;
	return read_one(r, t, k, e);
}

int reader_file(struct reader *r, int fd, uint64_t at, uint64_t len, struct tree *t,
		struct reading *k, struct err *e)
{
	r->stream = NULL;
	r->fd = fd;
	r->file_at = at;
	r->file_end = at + len;
	return read_one(r, t, k, e);
}

unsigned reader_peek(int fd, uint64_t len)
{
	const struct unpack_request q = { .max_entries = UINT64_MAX };
	struct unpack_report report = { 0 };
	struct reader *r = reader_new(&q, NULL, NULL, &report);
	struct reading k = { .container = true };
	struct err ignored = { 0 };

	if (r) {
		r->peek = true;
		(void)reader_file(r, fd, 0, len, NULL, &k, &ignored);
	}
	reader_free(r);
	return k.top;
}

int reader_check(struct reader *r, const struct reading *k, struct err *e)
{
	char q[ENTRY_QUOTED_MAX];

	if (k->bad_ids)
		return err_set(e, ERR_INVALID, "it has files of users or groups beyond %u: %s%s",
			       r->q->max_id, r->bad_ids_text,
			       k->bad_ids > BAD_IDS_SHOWN ? ", and more" : "");
	if (!k->entries)
		return err_set(e, ERR_INVALID, "there is nothing in it");
	if (!(k->top & TOP_ROOTFS) && !r->several_tops && r->only_top_is_dir)
		return err_set(
			e, ERR_INVALID,
			"everything in it lies below '%s': use --strip 1 if that is the root "
			"directory",
			entry_quote(r->only_top, q));
	return 0;
}

struct reader *reader_new(const struct unpack_request *q,
			  void (*tell)(void *arg, const struct unpack_report *r), void *arg,
			  struct unpack_report *report)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (r)
		*r = (struct reader){ .q = q, .report = report, .tell = tell, .tell_arg = arg };
	return r;
}

void reader_free(struct reader *r)
{
	if (r)
		free(r->segments);
	free(r);
}
