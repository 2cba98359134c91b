#include "images/unpack/read.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
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
#define SKIPPED_MAX   4096
/* Padding after the end mark: tar's largest common record is 1 MiB. */
#define TRAILING_MAX (64u << 20)

/* What lies at the top decides what kind of archive it is. */
enum top_name {
	TOP_ROOTFS = 1 << 0,
	TOP_OCI_LAYOUT = 1 << 1,
	TOP_MANIFEST = 1 << 2,
	TOP_REPOSITORIES = 1 << 3,
	TOP_METADATA = 1 << 4,
	TOP_ROOTFS_IMG = 1 << 5,
	TOP_CREATE_MESSAGE = 1 << 6,
};

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
};

struct reader {
	struct stream *stream;
	struct err
		stream_err; /* set when the stream failed, which libarchive reports in fewer words */
	uint64_t fed;	    /* bytes given to libarchive */
	const char *last;   /* the last of them, still in memory */
	size_t n_last;
	struct tree *tree;
	const struct unpack_request *q;
	struct unpack_report *report;
	void (*tell)(void *arg, const struct unpack_report *r);
	void *tell_arg;
	struct timespec told;

	unsigned top;			   /* enum top_name */
	char only_top[ENTRY_PART_MAX + 1]; /* the one name at the top so far */
	bool several_tops, only_top_is_dir;

	unsigned bad_ids;
	char bad_ids_text[BAD_IDS_SHOWN * (ENTRY_QUOTED_MAX + 48)];

	char *skipped[SKIPPED_MAX]; /* names of devices, which hard links may name again */
	size_t n_skipped;
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
	r->report->compression = stream_compression(r->stream);
	r->report->bytes_in = stream_bytes_in(r->stream);
	r->report->bytes_out = stream_bytes_out(r->stream);
	r->tell(r->tell_arg, r->report);
}

static la_ssize_t feed(struct archive *a, void *arg, const void **buf)
{
	struct reader *r = arg;
	ssize_t n = stream_next(r->stream, buf, &r->stream_err);

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
	if (!r->report->entries && why && strstr(why, "Unrecognized archive format"))
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
				r->top |= top_names[i].is;
	}
	if (name[len] || is_dir)
		r->only_top_is_dir = true;
}

/* An archive of an image is not the image: say what it is, and what to do. */
static int refuse_other_kinds(struct reader *r, struct err *e)
{
	char q[ENTRY_QUOTED_MAX];
	const char *kind = NULL;

	if (r->top & TOP_ROOTFS)
		return 0;
	if (r->top & TOP_OCI_LAYOUT)
		kind = "an OCI image layout (or a newer docker archive)";
	else if (r->top & TOP_MANIFEST)
		kind = "an archive of 'docker save'";
	else if (r->top & TOP_REPOSITORIES)
		kind = "an archive of 'docker save' before version 1.10";
	else if ((r->top & TOP_METADATA) && (r->top & TOP_ROOTFS_IMG))
		kind = "an Incus image of a virtual machine";
	else if (r->top & TOP_METADATA)
		kind = "an Incus image";
	else if (r->top & TOP_CREATE_MESSAGE)
		kind = "the metadata half of an LXC image";
	if (kind)
		return err_set(e, ERR_NOT_SUPPORTED,
			       "it is %s; only tarballs of a root filesystem can be imported yet",
			       kind);
	if (!r->several_tops && r->only_top_is_dir)
		return err_set(
			e, ERR_INVALID,
			"everything in it lies below '%s': use --strip 1 if that is the root "
			"directory",
			entry_quote(r->only_top, q));
	return 0;
}

/* Remembers the first few; nothing more is made from then on. */
static void note_bad_id(struct reader *r, const char *name, int64_t uid, int64_t gid)
{
	char q[ENTRY_QUOTED_MAX];
	size_t len = strlen(r->bad_ids_text);

	if (r->bad_ids++ < BAD_IDS_SHOWN)
		snprintf(r->bad_ids_text + len, sizeof(r->bad_ids_text) - len, "%s'%s' (%lld:%lld)",
			 len ? ", " : "", entry_quote(name, q), (long long)uid, (long long)gid);
}

static bool ids_are_good(struct reader *r, const char *name, struct archive_entry *entry)
{
	int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
	int64_t max = r->q->max_id;

	if (uid >= 0 && uid <= max && gid >= 0 && gid <= max)
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

		if (has_xattr(l, kinds[i].name))
			continue;
		if (entry_acl(entry, kinds[i].type, r->q->max_id, &value, &len, e) == 0) {
			if (value)
				luggage_add(l, kinds[i].name, value, len);
		} else if (e->code == ERR_NOT_SUPPORTED) {
			*e = (struct err){ 0 };
			r->report->skipped_xattrs++;
		} else {
			return -1;
		}
	}
	return 0;
}

static int pack(struct reader *r, struct archive_entry *entry, struct luggage *l, struct err *e)
{
	const char *name;
	const void *value;
	size_t len;
	long nsec = archive_entry_mtime_nsec(entry);

	l->n = 0;
	l->attrs = (struct tree_attrs){
		.uid = (uid_t)archive_entry_uid(entry),
		.gid = (gid_t)archive_entry_gid(entry),
		.mode = archive_entry_perm(entry) & 07777,
		.mtime.tv_sec = archive_entry_mtime(entry),
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
		if (entry_xattr_keep(name, copy, &len, r->q->max_id)) {
			luggage_add(l, name, copy, len);
		} else {
			free(copy);
			r->report->skipped_xattrs++;
		}
	}
	if (take_acls(r, entry, l, e) < 0)
		return -1;
	l->attrs.n_xattrs = l->n;
	return 0;
}

static int write_at(int fd, const char *data, size_t len, la_int64_t at)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
		at += n;
	}
	return 0;
}

/* Holes stay holes: libarchive gives the offset of each block of a sparse file. */
static int copy_data(struct reader *r, struct archive *a, struct archive_entry *entry, int fd,
		     struct err *e)
{
	la_int64_t size = archive_entry_size(entry), at = 0, end = 0;
	const void *data;
	size_t len;

	if (size < 0 || (uint64_t)size > r->q->max_file)
		return err_set(e, ERR_INVALID, "a length of %lld bytes", (long long)size);
	for (;;) {
		int rc = archive_read_data_block(a, &data, &len, &at);

		if (rc == ARCHIVE_EOF)
			break;
		if (rc != ARCHIVE_OK)
			return archive_fail(r, a, e);
		if (at < end || at > size || len > (uint64_t)(size - at))
			return err_set(e, ERR_INVALID, "data outside of its length of %lld bytes",
				       (long long)size);
		if (write_at(fd, data, len, at) < 0)
			return err_set(e, errno, "cannot write");
		r->report->bytes_files += len;
		end = at + (la_int64_t)len;
		tell(r);
	}
	if (end < size && ftruncate(fd, size) < 0)
		return err_set(e, errno, "cannot write");
	return 0;
}

static int make_file(struct reader *r, struct archive *a, struct archive_entry *entry,
		     const char *name, const struct tree_attrs *attrs, struct err *e)
{
	auto_fd int fd = tree_file(r->tree, name, attrs, e);

	if (fd < 0)
		return -1;
	if (copy_data(r, a, entry, fd, e) < 0)
		return entry_fail(r, name, e);
	return tree_file_end(r->tree, take_fd(&fd), name, attrs, e);
}

static int make_symlink(struct reader *r, struct archive_entry *entry, const char *name,
			const struct tree_attrs *attrs, struct err *e)
{
	const char *target = archive_entry_symlink(entry);

	if (!target || !*target) {
		err_set(e, ERR_INVALID, "a symbolic link to nothing");
		return entry_fail(r, name, e);
	}
	return tree_symlink(r->tree, name, target, attrs, e);
}

static bool was_skipped(const struct reader *r, const char *name)
{
	for (size_t i = 0; i < r->n_skipped; i++)
		if (streq(r->skipped[i], name))
			return true;
	return false;
}

static int make_link(struct reader *r, struct archive_entry *entry, const char *name, struct err *e)
{
	char target[ENTRY_NAME_MAX + 1], q[ENTRY_QUOTED_MAX], qt[ENTRY_QUOTED_MAX];
	const char *raw = archive_entry_hardlink(entry);

	switch (entry_name(raw, r->q->strip, target, e)) {
	case ENTRY_NAME_PATH:
		break;
	case -1:
		return entry_fail(r, name, e);
	default:
		return err_set(e, ERR_INVALID, "'%s' is a hard link to a directory",
			       entry_quote(name, q));
	}
	if (tree_link(r->tree, name, target, e) == 0)
		return 0;
	if (e->code != ERR_NO_SUCH)
		return -1;
	if (was_skipped(r, target)) {
		r->report->skipped_devices++;
		return 0;
	}
	return err_set(e, ERR_INVALID, "'%s' is a hard link to '%s', which is not in the archive",
		       entry_quote(name, q), entry_quote(target, qt));
}

static int skip_device(struct reader *r, const char *name, struct err *e)
{
	r->report->skipped_devices++;
	if (r->n_skipped == SKIPPED_MAX)
		return 0;
	r->skipped[r->n_skipped] = strdup(name);
	if (!r->skipped[r->n_skipped])
		return err_set(e, ENOMEM, "cannot unpack");
	r->n_skipped++;
	return 0;
}

static int make_entry(struct reader *r, struct archive *a, struct archive_entry *entry,
		      const char *name, struct luggage *l, struct err *e)
{
	unsigned type = archive_entry_filetype(entry);
	char q[ENTRY_QUOTED_MAX];

	if (archive_entry_hardlink(entry))
		return r->bad_ids ? 0 : make_link(r, entry, name, e);
	if (type == AE_IFCHR || type == AE_IFBLK)
		return skip_device(r, name, e);
	if (!ids_are_good(r, name, entry) || r->bad_ids)
		return 0;
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
		return tree_fifo(r->tree, name, &l->attrs, e);
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

	if (++r->report->entries > r->q->max_entries)
		return err_set(e, ERR_INVALID, "it has more than %llu entries",
			       (unsigned long long)r->q->max_entries);
	if (!raw || !*raw)
		return err_set(e, ERR_INVALID, "entry %llu has no name",
			       (unsigned long long)r->report->entries);
	switch (entry_name(raw, r->q->strip, name, e)) {
	case -1:
		return -1;
	case ENTRY_NAME_STRIPPED:
		if (r->q->strip)
			return 0;
		break;
	case ENTRY_NAME_PATH:
		note_top(r, name, is_dir);
		break;
	}
	/* CVE-2021-29136: the top directory as a symbolic link */
	if (!*name && !is_dir)
		return err_set(e, ERR_INVALID, "its top directory is not a directory");
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
		if (r->bad_ids >= BAD_IDS_SHOWN)
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
	while ((n = stream_next(r->stream, &data, e)) > 0) {
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

	if (!l)
		return err_set(e, ENOMEM, "cannot unpack");
	if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_open(a, r, NULL, feed, NULL) != ARCHIVE_OK)
		archive_fail(r, a, e);
	else
		rc = read_entries(r, a, l, e);
	free(l);
	if (rc < 0)
		return -1;
	if (!r->bad_ids && read_rest(r, a, e) < 0)
		return -1;
	if (r->bad_ids)
		return err_set(e, ERR_INVALID, "it has files of users or groups beyond %u: %s%s",
			       r->q->max_id, r->bad_ids_text,
			       r->bad_ids >= BAD_IDS_SHOWN ? ", maybe more" : "");
	if (!r->report->entries)
		return err_set(e, ERR_INVALID, "there is nothing in it");
	return refuse_other_kinds(r, e);
}

int read_archive(struct stream *s, int root, const struct unpack_request *q,
		 void (*tell_fn)(void *arg, const struct unpack_report *r), void *arg,
		 struct unpack_report *report, struct err *e)
{
	struct reader *r = calloc(1, sizeof(*r));
	struct archive *a = archive_read_new();
	int rc = -1;

	if (r)
		*r = (struct reader){ .stream = s,
				      .tree = tree_open(root),
				      .q = q,
				      .report = report,
				      .tell = tell_fn,
				      .tell_arg = arg };
	if (!r || !a || !r->tree)
		err_set(e, ENOMEM, "cannot unpack");
	else if (read_all(r, a, e) == 0 && tree_finish(r->tree, e) == 0)
		rc = stream_digest(s, report->digest, e);
	report->compression = stream_compression(s);
	report->bytes_in = stream_bytes_in(s);
	report->bytes_out = stream_bytes_out(s);
	if (r && r->tree)
		report->skipped_xattrs += tree_counts(r->tree)->skipped_xattrs;
	archive_read_free(a);
	if (r) {
		tree_close(r->tree);
		for (size_t i = 0; i < r->n_skipped; i++)
			free(r->skipped[i]);
	}
	free(r);
	return rc;
}
