#include "images/unpack/entry.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"

const char *entry_quote(const char *name, char buf[ENTRY_QUOTED_MAX])
{
	size_t at = 0;

	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;

		if (at + 8 > ENTRY_QUOTED_MAX) {
			strcpy(buf + at, "...");
			return buf;
		}
		if (c < 0x20 || c >= 0x7f || c == '\\')
			at += (size_t)sprintf(buf + at, "\\x%02x", c);
		else
			buf[at++] = (char)c;
	}
	buf[at] = '\0';
	return buf;
}

int entry_name(const char *raw, unsigned strip, char *out, struct err *e)
{
	char q[ENTRY_QUOTED_MAX];
	const char *p = raw;
	unsigned depth = 0, seen = 0;
	size_t at = 0;

	for (;;) {
		size_t len;

		while (*p == '/')
			p++;
		len = strcspn(p, "/");
		if (!len)
			break;
		if (len == 2 && p[0] == '.' && p[1] == '.')
			return err_set(e, ERR_INVALID, "the name '%s' has '..' in it",
				       entry_quote(raw, q));
		if (len > ENTRY_PART_MAX)
			return err_set(e, ERR_INVALID,
				       "the name '%s' has a component of more than %d bytes",
				       entry_quote(raw, q), ENTRY_PART_MAX);
		if ((len != 1 || p[0] != '.') && ++seen > strip) {
			if (at + len + 1 > ENTRY_NAME_MAX)
				return err_set(e, ERR_INVALID,
					       "the name '%s' is longer than %d bytes",
					       entry_quote(raw, q), ENTRY_NAME_MAX);
			if (++depth > ENTRY_DEPTH_MAX)
				return err_set(e, ERR_INVALID,
					       "the name '%s' is deeper than %d directories",
					       entry_quote(raw, q), ENTRY_DEPTH_MAX);
			if (at)
				out[at++] = '/';
			memcpy(out + at, p, len);
			at += len;
		}
		p += len;
	}
	out[at] = '\0';
	if (at)
		return ENTRY_NAME_PATH;
	return seen || strip ? ENTRY_NAME_STRIPPED : ENTRY_NAME_ROOT;
}

static uint32_t le32(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_le32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static void put_le16(unsigned char *p, unsigned v)
{
	p[0] = (unsigned char)v;
	p[1] = (unsigned char)(v >> 8);
}

/* include/uapi/linux/posix_acl_xattr.h and posix_acl.h: a version, then { u16 tag, u16 perm, u32 id }. */
enum { ACL_VERSION = 2, ACL_HEADER = 4, ACL_ENTRY = 8 };
enum {
	TAG_USER_OBJ = 0x01,
	TAG_USER = 0x02,
	TAG_GROUP_OBJ = 0x04,
	TAG_GROUP = 0x08,
	TAG_MASK = 0x10,
	TAG_OTHER = 0x20
};

/*
 * The rules of posix_acl_valid(), since an index brings attributes to the kernel as they are: the owner, users, the group, groups,
 * the mask, the others, in this order; a mask if there are users or groups.
 */
static bool acl_is_sound(const unsigned char *v, size_t len, uint32_t max_id)
{
	enum { AT_START, AT_USERS, AT_GROUPS, AT_MASK, AT_END } at = AT_START;
	bool needs_mask = false, has_mask = false;

	if (len < ACL_HEADER || (len - ACL_HEADER) % ACL_ENTRY || le32(v) != ACL_VERSION)
		return false;
	for (size_t k = ACL_HEADER; k < len; k += ACL_ENTRY) {
		unsigned tag = v[k] | (unsigned)v[k + 1] << 8,
			 perm = v[k + 2] | (unsigned)v[k + 3] << 8;

		if (perm & ~7u)
			return false;
		if (tag == TAG_USER_OBJ && at == AT_START) {
			at = AT_USERS;
		} else if (tag == TAG_GROUP_OBJ && at == AT_USERS) {
			at = AT_GROUPS;
		} else if ((tag == TAG_USER && at == AT_USERS) ||
			   (tag == TAG_GROUP && at == AT_GROUPS)) {
			needs_mask = true;
			if (le32(v + k + 4) > max_id)
				return false;
		} else if (tag == TAG_MASK && at == AT_GROUPS) {
			at = AT_MASK;
			has_mask = true;
		} else if (tag == TAG_OTHER && (at == AT_GROUPS || at == AT_MASK)) {
			at = AT_END;
		} else {
			return false;
		}
	}
	return at == AT_END && (has_mask || !needs_mask);
}

unsigned entry_acl_mode(const void *value, size_t len, unsigned mode, bool *plain)
{
	const unsigned char *v = value;

	*plain = true;
	for (size_t k = ACL_HEADER; k < len; k += ACL_ENTRY) {
		unsigned tag = v[k] | (unsigned)v[k + 1] << 8, perm = v[k + 2] & 7u;

		if (tag == TAG_USER_OBJ)
			mode = (mode & ~0700u) | perm << 6;
		else if (tag == TAG_GROUP_OBJ ||
			 tag == TAG_MASK) /* the mask comes later, and counts */
			mode = (mode & ~0070u) | perm << 3;
		else if (tag == TAG_OTHER)
			mode = (mode & ~0007u) | perm;
		if (tag == TAG_USER || tag == TAG_GROUP || tag == TAG_MASK)
			*plain = false;
	}
	return mode;
}

/* include/uapi/linux/capability.h: vfs_cap_data and vfs_ns_cap_data. */
enum { CAP_V2_LEN = 20, CAP_V3_LEN = 24 };
#define CAP_V2	      0x02000000u
#define CAP_V3	      0x03000000u
#define CAP_EFFECTIVE 1u

static bool caps_are_sound(unsigned char *v, size_t *len)
{
	uint32_t magic;

	if (*len < CAP_V2_LEN)
		return false;
	magic = le32(v);
	if ((magic & ~CAP_EFFECTIVE) == CAP_V2 && *len == CAP_V2_LEN)
		return true;
	if ((magic & ~CAP_EFFECTIVE) != CAP_V3 || *len != CAP_V3_LEN || le32(v + CAP_V2_LEN) != 0)
		return false;
	put_le32(v, CAP_V2 | (magic & CAP_EFFECTIVE));
	*len = CAP_V2_LEN;
	return true;
}

bool entry_xattr_keep(const char *name, void *value, size_t *len, uint32_t max_id)
{
	if (strlen(name) > ENTRY_PART_MAX || *len > ENTRY_XATTR_MAX)
		return false;
	if (streq(name, "security.capability"))
		return caps_are_sound(value, len);
	if (streq(name, "system.posix_acl_access") || streq(name, "system.posix_acl_default"))
		return acl_is_sound(value, *len, max_id);
	return str_after(name, "user.") && name[5] && !str_after(name, "user.overlay.");
}

struct acl_item {
	unsigned tag, perm;
	uint32_t id;
};

/* The order that the kernel insists on: by tag, then by id (posix_acl_valid). */
static int acl_order(const void *a, const void *b)
{
	const struct acl_item *x = a, *y = b;

	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static unsigned acl_tag(int tag)
{
	switch (tag) {
	case ARCHIVE_ENTRY_ACL_USER_OBJ:
		return TAG_USER_OBJ;
	case ARCHIVE_ENTRY_ACL_USER:
		return TAG_USER;
	case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
		return TAG_GROUP_OBJ;
	case ARCHIVE_ENTRY_ACL_GROUP:
		return TAG_GROUP;
	case ARCHIVE_ENTRY_ACL_MASK:
		return TAG_MASK;
	case ARCHIVE_ENTRY_ACL_OTHER:
		return TAG_OTHER;
	default:
		return 0;
	}
}

/*
 * archive_entry_acl_reset() counts the three that the mode stands for as well; libarchive then hands them
 * out first, taken from the mode.
 */
int entry_acl(struct archive_entry *entry, int type, uint32_t max_id, void **out, size_t *len,
	      struct err *e)
{
	int count = archive_entry_acl_reset(entry, type);
	int got_type, permset, tag, qual;
	auto_free struct acl_item *items = NULL;
	const char *name;
	unsigned char *v;
	size_t n = 0;

	*out = NULL;
	*len = 0;
	if (count <= (type == ARCHIVE_ENTRY_ACL_TYPE_ACCESS ? 3 : 0))
		return 0;
	if (count > ENTRY_XATTR_MAX / ACL_ENTRY - 4)
		return err_set(e, ERR_NOT_SUPPORTED, "an access control list of %d entries", count);
	items = calloc((size_t)count + 4, sizeof(*items));
	if (!items)
		return err_set(e, ENOMEM, "cannot read an access control list");
	while (n < (size_t)count + 4 && archive_entry_acl_next(entry, type, &got_type, &permset,
							       &tag, &qual, &name) == ARCHIVE_OK) {
		struct acl_item *i = &items[n];

		i->tag = acl_tag(tag);
		i->perm = (unsigned)permset & 7; /* ARCHIVE_ENTRY_ACL_READ is 4, as in the kernel */
		i->id = UINT32_MAX;
		if (!i->tag)
			return err_set(e, ERR_NOT_SUPPORTED,
				       "an access control list of an unknown kind");
		if (i->tag == TAG_USER || i->tag == TAG_GROUP) {
			if (qual < 0 || (uint32_t)qual > max_id)
				return err_set(e, ERR_NOT_SUPPORTED,
					       "an access control list names '%s' (%d)",
					       name ? name : "", qual);
			i->id = (uint32_t)qual;
		}
		n++;
	}
	qsort(items, n, sizeof(*items), acl_order);
	v = malloc(ACL_HEADER + n * ACL_ENTRY);
	if (!v)
		return err_set(e, ENOMEM, "cannot read an access control list");
	put_le32(v, ACL_VERSION);
	for (size_t i = 0; i < n; i++) {
		unsigned char *at = v + ACL_HEADER + i * ACL_ENTRY;

		put_le16(at, items[i].tag);
		put_le16(at + 2, items[i].perm);
		put_le32(at + 4, items[i].id);
	}
	*out = v;
	*len = ACL_HEADER + n * ACL_ENTRY;
	return 0;
}
