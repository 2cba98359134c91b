/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <archive.h>
#include <archive_entry.h>

#include "images/unpack/entry.h"
#include "runtime/base/err.h"

static char out[ENTRY_NAME_MAX + 1];
static struct err e;

static int name(const char *raw, unsigned strip)
{
	memset(&e, 0, sizeof(e));
	memset(out, 'x', sizeof(out));
	return entry_name(raw, strip, out, &e);
}

static void becomes(const char *raw, unsigned strip, const char *want)
{
	CHECK_INT(name(raw, strip), ENTRY_NAME_PATH);
	CHECK_STR(out, want);
}

TEST(names_lose_what_means_nothing)
{
	becomes("a", 0, "a");
	becomes("./a/b", 0, "a/b");
	becomes("/a//b/./c/", 0, "a/b/c");
	becomes("////a", 0, "a");
	becomes("...", 0, "...");
	becomes("..a/b..", 0, "..a/b..");
	becomes(".wh..wh..opq", 0, ".wh..wh..opq");
	becomes("a\nb\xff", 0, "a\nb\xff");
}

TEST(the_top_has_many_names)
{
	static const char *const tops[] = { ".", "./", "/", "", "././.", "//" };

	for (size_t i = 0; i < 6; i++) {
		CHECK_INT(name(tops[i], 0), ENTRY_NAME_ROOT);
		CHECK_STR(out, "");
	}
}

TEST(dotdot_is_refused_wherever_it_stands)
{
	static const char *const bad[] = { "..",  "../a", "a/..",	   "a/../b",
					   "/..", "./..", "a/b/../../../c" };

	for (size_t i = 0; i < 7; i++) {
		CHECK_INT(name(bad[i], 0), -1);
		CHECK_HAS(e.msg, "'..'");
		CHECK_INT(name(bad[i], 2), -1); /* also in what is stripped */
	}
}

TEST(stripping_drops_leading_components)
{
	becomes("a/b/c", 1, "b/c");
	becomes("./a/b/c", 2, "c");
	CHECK_INT(name("a", 1), ENTRY_NAME_STRIPPED);
	CHECK_INT(name("a/b", 2), ENTRY_NAME_STRIPPED);
	CHECK_INT(name("./", 1), ENTRY_NAME_STRIPPED);
}

TEST(long_and_deep_names_have_limits)
{
	static char big[ENTRY_NAME_MAX * 2];
	size_t at = 0;

	memset(big, 'a', ENTRY_PART_MAX);
	CHECK_INT(name(big, 0), ENTRY_NAME_PATH);
	big[ENTRY_PART_MAX] = 'a';
	CHECK_INT(name(big, 0), -1);
	CHECK_HAS(e.msg, "255");
	for (at = 0; at < ENTRY_NAME_MAX; at++)
		big[at] = at % 200 == 199 ? '/' : 'a';
	big[ENTRY_NAME_MAX - 1] = '\0';
	CHECK_INT(name(big, 0), ENTRY_NAME_PATH);
	memset(big + ENTRY_NAME_MAX - 1, 'b', 50);
	CHECK_INT(name(big, 0), -1);
	CHECK_HAS(e.msg, "4095");
	memset(big, 0, sizeof(big));
	for (at = 0; at < 2 * ENTRY_DEPTH_MAX; at += 2)
		memcpy(big + at, "a/", 2);
	CHECK_INT(name(big, 0), ENTRY_NAME_PATH);
	big[at] = 'a';
	CHECK_INT(name(big, 0), -1);
	CHECK_HAS(e.msg, "256");
}

TEST(messages_hold_no_control_characters)
{
	char buf[ENTRY_QUOTED_MAX], big[1000];

	CHECK_STR(entry_quote("a\x1b[2J\n\\\xe9", buf), "a\\x1b[2J\\x0a\\x5c\\xe9");
	memset(big, '\1', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	entry_quote(big, buf);
	CHECK(strlen(buf) < ENTRY_QUOTED_MAX);
	CHECK_STR(buf + strlen(buf) - 3, "...");
}

/* --- Extended attributes ------------------------------------------------------------------------------ */

static bool keep(const char *key, const void *value, size_t len)
{
	unsigned char copy[256];

	memcpy(copy, value, len);
	return entry_xattr_keep(key, copy, &len, 65535);
}

TEST(attributes_of_users_are_kept)
{
	CHECK(keep("user.a", "", 0));
	CHECK(keep("user.xdg.comment", "x\0y", 3));
	CHECK(!keep("user.", "x", 1));
	CHECK(!keep("user", "x", 1));
	CHECK(!keep("usera", "x", 1));
}

TEST(attributes_that_mean_something_to_the_host_are_dropped)
{
	static const char *const bad[] = {
		"trusted.overlay.opaque", "trusted.overlay.redirect", "user.overlay.opaque",
		"user.overlay.redirect",  "security.selinux",	      "security.ima",
		"security.evm",		  "security.apparmor",	      "trusted.x",
		"system.nfs4_acl",	  "security.capabilityx",     ""
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(!keep(bad[i], "y", 1));
}

TEST(capabilities_are_kept_in_the_form_that_mounts_translate)
{
	unsigned char v2[20] = { 1, 0, 0, 2, 0, 0x20 }, v3[24] = { 1, 0, 0, 3, 0, 0x20 };
	size_t len = sizeof(v3);

	CHECK(keep("security.capability", v2, sizeof(v2)));
	CHECK(!keep("security.capability", v2, 19));
	CHECK(!keep("security.capability", v2, 0));
	CHECK(entry_xattr_keep("security.capability", v3, &len, 65535));
	CHECK_INT(len, 20);
	CHECK_MEM(v3, v2, 20);
	v3[3] = 3;
	v3[20] = 1; /* of another namespace's root */
	CHECK(!keep("security.capability", v3, 24));
	v2[3] = 1;
	CHECK(!keep("security.capability", v2, 20));
}

TEST(acls_name_known_ids_only)
{
	/* user::rwx, user:65535:rwx, group::r-x, mask::rwx, other::--x; owners have no id */
	const unsigned char sound[4 + 5 * 8] = {
		2,    0, 0, 0,			   /* version */
		1,    0, 7, 0, 255, 255, 255, 255, /* */
		2,    0, 7, 0, 255, 255, 0,   0,   /* */
		4,    0, 5, 0, 255, 255, 255, 255, /* */
		0x10, 0, 7, 0, 255, 255, 255, 255, /* */
		0x20, 0, 1, 0, 255, 255, 255, 255,
	};
	unsigned char acl[sizeof(sound)];
	bool plain;

	memcpy(acl, sound, sizeof(acl));
	CHECK(keep("system.posix_acl_access", acl, sizeof(acl)));
	CHECK(keep("system.posix_acl_default", acl, sizeof(acl)));
	CHECK_INT(entry_acl_mode(acl, sizeof(acl), 04600, &plain), 04771);
	CHECK(!plain);
	acl[12 + 6] = 1; /* 131071 */
	CHECK(!keep("system.posix_acl_access", acl, sizeof(acl)));
	CHECK(!keep("system.posix_acl_access", sound, sizeof(acl) - 1));
	CHECK(!keep("system.posix_acl_access", sound, sizeof(acl) - 8)); /* no others */
	CHECK(!keep("system.posix_acl_access", sound, 3));
	memcpy(acl, sound, sizeof(acl));
	acl[0] = 1; /* of another version */
	CHECK(!keep("system.posix_acl_access", acl, sizeof(acl)));
	memcpy(acl, sound, sizeof(acl));
	acl[12] = 8; /* a group before the group's own */
	CHECK(!keep("system.posix_acl_access", acl, sizeof(acl)));
	memcpy(acl, sound, sizeof(acl));
	memmove(acl + 28, acl + 36, 8); /* users and no mask */
	CHECK(!keep("system.posix_acl_access", acl, sizeof(acl) - 8));
}

TEST(large_attributes_are_dropped)
{
	size_t len = ENTRY_XATTR_MAX + 1;
	char *big = calloc(1, len), key[300] = "user.";

	CHECK(!entry_xattr_keep("user.big", big, &len, 65535));
	len = ENTRY_XATTR_MAX;
	CHECK(entry_xattr_keep("user.big", big, &len, 65535));
	memset(key + 5, 'k', 251);
	CHECK(!keep(key, "x", 1));
	key[255] = '\0';
	CHECK(keep(key, "x", 1));
	free(big);
}

/* --- ACLs --------------------------------------------------------------------------------------------- */

TEST(an_acl_becomes_what_the_kernel_takes)
{
	static const unsigned char want[] = { 2,  0, 0, 0,			 /* version */
					      1,  0, 6, 0, 255, 255, 255, 255,	 /* user::rw- */
					      2,  0, 4, 0, 5,	0,   0,	  0,	 /* user:5:r-- */
					      2,  0, 7, 0, 232, 3,   0,	  0,	 /* user:1000:rwx */
					      4,  0, 4, 0, 255, 255, 255, 255,	 /* group::r-- */
					      16, 0, 7, 0, 255, 255, 255, 255,	 /* mask::rwx */
					      32, 0, 0, 0, 255, 255, 255, 255 }; /* other::--- */
	struct archive_entry *entry = archive_entry_new();
	const int type = ARCHIVE_ENTRY_ACL_TYPE_ACCESS;
	void *acl;
	size_t len;

	archive_entry_set_mode(entry, AE_IFREG | 0640);
	CHECK_INT(entry_acl(entry, type, 65535, &acl, &len, &e), 0);
	CHECK(!acl); /* the mode says it all */
	archive_entry_acl_add_entry(entry, type, 7, ARCHIVE_ENTRY_ACL_USER, 1000, "");
	archive_entry_acl_add_entry(entry, type, 7, ARCHIVE_ENTRY_ACL_MASK, -1, "");
	archive_entry_acl_add_entry(entry, type, 4, ARCHIVE_ENTRY_ACL_USER, 5, "");
	CHECK_INT(entry_acl(entry, type, 65535, &acl, &len, &e), 0);
	CHECK_INT(len, sizeof(want));
	CHECK_MEM(acl, want, sizeof(want));
	free(acl);
	CHECK_INT(entry_acl(entry, type, 999, &acl, &len, &e), -1);
	CHECK_INT(e.code, ERR_NOT_SUPPORTED);
	CHECK(!acl);
	archive_entry_free(entry);
}

TEST(a_user_known_by_name_alone_is_told)
{
	struct archive_entry *entry = archive_entry_new();
	const int type = ARCHIVE_ENTRY_ACL_TYPE_DEFAULT;
	void *acl;
	size_t len;

	archive_entry_set_mode(entry, AE_IFDIR | 0755);
	archive_entry_acl_add_entry(entry, type, 7, ARCHIVE_ENTRY_ACL_USER, -1, "somebody");
	CHECK_INT(entry_acl(entry, type, 65535, &acl, &len, &e), -1);
	CHECK_INT(e.code, ERR_NOT_SUPPORTED);
	CHECK_HAS(e.msg, "somebody");
	archive_entry_free(entry);
}
