/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/user.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"

#define NO_ID UINT32_MAX /* (uid_t)-1: "leave as it is" to the kernel, never an id */

/* Reads the file if there is one: a missing file is an empty one. */
static int read_in_root(int root, const char *path, struct str *out, struct err *e)
{
	auto_fd int fd = path_open_in(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	char chunk[16384];
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ?
			       0 :
			       err_set(e, errno, "cannot open '%s'", path);
	if (fstat(fd, &st) < 0)
		return err_set(e, errno, "cannot stat '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INVALID, "'%s' of the image is not a regular file", path);
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "cannot read '%s'", path);
		if (out->len + (size_t)n > USER_FILE_MAX)
			return err_set(e, ERR_INVALID, "'%s' of the image is larger than %u MiB",
				       path, USER_FILE_MAX >> 20);
		str_add_n(out, chunk, (size_t)n);
	}
	return out->failed ? err_set(e, ENOMEM, "cannot read '%s'", path) : 0;
}

/* The next line of *@text, terminated, or NULL. Lines with a NUL inside end there, which harms nobody. */
static char *next_line(char **text)
{
	char *line = *text, *end;

	if (!line || !*line)
		return NULL;
	end = strchr(line, '\n');
	if (end)
		*end++ = '\0';
	*text = end;
	return line;
}

/* Cuts at ':' into at most @max fields; the number found. */
static int fields(char *line, char **f, int max)
{
	int n = 0;

	while (line && n < max) {
		f[n++] = line;
		line = strchr(line, ':');
		if (line)
			*line++ = '\0';
	}
	return n;
}

static bool is_number(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

static int parse_id(const char *text, uint64_t max, uint32_t *id, struct err *e)
{
	uint64_t v;

	if (parse_u64(text, 0, NO_ID - 1, &v) < 0)
		return err_set(e, ERR_INVALID, "'%.40s' is not an id", text);
	if (max && v >= max)
		return err_set(
			e, ERR_INVALID,
			"id %s is not one of the instance's %llu ids (--userns=host has all)", text,
			(unsigned long long)max);
	*id = (uint32_t)v;
	return 0;
}

/* The entry of passwd with this name, or with this uid if @name is NULL. */
static bool find_passwd(char *text, const char *name, uint32_t uid, struct user *u, struct arena *a,
			bool *no_memory)
{
	char *line, *f[7];

	while ((line = next_line(&text))) {
		int n = fields(line, f, 7);
		uint64_t id, gid;

		if (n < 6 || parse_u64(f[2], 0, NO_ID - 1, &id) < 0 ||
		    parse_u64(f[3], 0, NO_ID - 1, &gid) < 0 ||
		    (name ? !streq(f[0], name) : id != uid))
			continue;
		u->uid = (uint32_t)id;
		u->gid = (uint32_t)gid;
		if (*f[5] == '/') {
			u->home = arena_strdup(a, f[5]);
			u->shell = n > 6 ? arena_strdup(a, f[6]) : NULL;
			*no_memory = !u->home || (n > 6 && !u->shell);
		}
		return true;
	}
	return false;
}

static bool is_member(char *members, const char *name)
{
	char *rest, *m;

	for (rest = members; (m = strsep(&rest, ","));)
		if (streq(m, name))
			return true;
	return false;
}

static int find_group(char *text, const char *name, uint32_t *gid)
{
	char *line, *f[4];

	while ((line = next_line(&text))) {
		uint64_t id;

		if (fields(line, f, 4) >= 3 && streq(f[0], name) &&
		    parse_u64(f[2], 0, NO_ID - 1, &id) == 0) {
			*gid = (uint32_t)id;
			return 0;
		}
	}
	return -1;
}

static int find_groups(char *text, const char *name, uint64_t max, struct user *u, struct arena *a,
		       struct err *e)
{
	uint32_t list[USER_GROUPS_MAX], *copy;
	char *line, *f[4];
	size_t n = 0;

	while ((line = next_line(&text))) {
		uint32_t id;

		if (fields(line, f, 4) < 4 || !is_member(f[3], name) || !is_number(f[2]))
			continue;
		if (parse_id(f[2], max, &id, e) < 0)
			return err_in(e, "group '%.40s' of user '%.40s'", f[0], name);
		if (n == USER_GROUPS_MAX)
			return err_set(e, ERR_INVALID, "user '%.40s' is in more than %d groups",
				       name, USER_GROUPS_MAX);
		if (id != u->gid)
			list[n++] = id;
	}
	if (!n)
		return 0;
	copy = arena_array(a, n, sizeof(*copy));
	if (!copy)
		return err_set(e, ENOMEM, "groups");
	memcpy(copy, list, n * sizeof(*copy));
	u->groups = copy;
	u->n_groups = n;
	return 0;
}

/* What passwd says of user @name, or of user number @name. */
static int find_user(int root, const char *name, uint64_t max, struct arena *a, struct user *u,
		     struct err *e)
{
	auto_str struct str passwd = { 0 };
	bool number = is_number(name), no_memory = false, found;
	uint32_t uid = 0;
	char id[16];

	if (number && parse_id(name, max, &uid, e) < 0)
		return -1;
	if (read_in_root(root, "etc/passwd", &passwd, e) < 0)
		return -1;
	u->uid = uid;
	u->home = uid || !(number || streq(name, "root")) ? "/" : "/root";
	found = find_passwd(passwd.s, number ? NULL : name, uid, u, a, &no_memory);
	if (no_memory)
		return err_set(e, ENOMEM, "passwd");
	if (!found && !number && !streq(name, "root"))
		return err_set(e, ERR_INVALID, "the image's /etc/passwd has no user '%.80s'", name);
	/* What the image wrote is held to the same limits as what a person wrote. */
	snprintf(id, sizeof(id), "%u", u->uid);
	if (parse_id(id, max, &u->uid, e) < 0)
		return err_in(e, "user '%.80s'", name);
	snprintf(id, sizeof(id), "%u", u->gid);
	if (parse_id(id, max, &u->gid, e) < 0)
		return err_in(e, "group of user '%.80s'", name);
	return 0;
}

int user_find(int root, const char *text, uint64_t max, struct arena *a, struct user *out,
	      struct err *e)
{
	struct user u = { 0 };
	char name[256];
	const char *group;
	size_t len;

	if (!text || !*text)
		text = "0";
	len = strcspn(text, ":");
	group = text[len] ? text + len + 1 : NULL;
	if (len == 0 || len >= sizeof(name))
		return err_set(e, ERR_INVALID, "'%.80s' does not name a user", text);
	memcpy(name, text, len);
	name[len] = '\0';
	if (find_user(root, name, max, a, &u, e) < 0)
		return -1;
	if (group && is_number(group)) {
		if (parse_id(group, max, &u.gid, e) < 0)
			return -1;
	} else if (group || !is_number(name)) {
		auto_str struct str groups = { 0 };

		if (read_in_root(root, "etc/group", &groups, e) < 0)
			return -1;
		if (!group && find_groups(groups.s, name, max, &u, a, e) < 0)
			return -1;
		if (group && find_group(groups.s, group, &u.gid) < 0)
			return err_set(e, ERR_INVALID,
				       "the image's /etc/group has no group '%.80s'", group);
		if (max && u.gid >= max)
			return err_set(e, ERR_INVALID,
				       "group '%.80s' is not one of the instance's ids", group);
	}
	*out = u;
	return 0;
}
