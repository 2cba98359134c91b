/*
 * entry.h - what an archive's entry may be called and may carry: pure functions over bytes that a
 * stranger wrote. Nothing here touches a file.
 */
#ifndef CTR_UNPACK_ENTRY_H
#define CTR_UNPACK_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct archive_entry;
struct err;

#define ENTRY_NAME_MAX	 4095
#define ENTRY_PART_MAX	 255
#define ENTRY_DEPTH_MAX	 256
#define ENTRY_XATTR_MAX	 65536
#define ENTRY_QUOTED_MAX 200

enum entry_name_is { ENTRY_NAME_PATH, ENTRY_NAME_ROOT, ENTRY_NAME_STRIPPED };

/*
 * The canonical form of @raw into @out (ENTRY_NAME_MAX + 1 bytes): no leading or trailing slash, no "."
 * or empty component, the first @strip components gone. ENTRY_NAME_PATH; or ENTRY_NAME_ROOT with @out
 * empty for the top directory itself; or ENTRY_NAME_STRIPPED when nothing is left; -1 and *e for ".." and
 * what is too long or too deep.
 */
int entry_name(const char *raw, unsigned strip, char *out, struct err *e);

/* @name for a message: control characters and bytes beyond ASCII escaped, cut when long. Returns @buf. */
const char *entry_quote(const char *name, char buf[ENTRY_QUOTED_MAX]);

/*
 * Whether the extended attribute is one to keep. For security.capability, *@len may shrink: a version 3
 * value of root id 0 is kept in its version 2 form, which every user namespace's mount can translate;
 * with another root id it is dropped. ACLs with ids beyond @max_id or of a wrong shape are dropped.
 */
bool entry_xattr_keep(const char *name, void *value, size_t *len, uint32_t max_id);

/*
 * The permission bits that a file with the sound access ACL @value has, out of @mode: the kernel keeps the two in step when a list is
 * set. *@plain: the list says no more than the bits, and so is none.
 */
unsigned entry_acl_mode(const void *value, size_t len, unsigned mode, bool *plain);

/*
 * The entry's POSIX ACL of @type (ARCHIVE_ENTRY_ACL_TYPE_ACCESS or _DEFAULT) in the form that the kernel
 * takes as system.posix_acl_access|default, into malloc'ed *@out (NULL when there is none beyond the mode).
 * ERR_NOT_SUPPORTED when it says something that cannot be kept: a user by name alone, whose number only the
 * archive's maker knew, or an id beyond @max_id. -1 and *e.
 */
int entry_acl(struct archive_entry *entry, int type, uint32_t max_id, void **out, size_t *len,
	      struct err *e);

#endif
