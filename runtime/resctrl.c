/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/resctrl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/apply.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/spec.h"
#include "runtime/state.h"

#define SCHEMATA_MAX 65536

/* --- Schemata ------------------------------------------------------------------------------------------ */

struct part {
	const char *p;
	size_t len;
};

/* Takes the next part of *rest, up to @separator, without the spaces before it. False at the end. */
static bool next_part(struct part *rest, char separator, struct part *out)
{
	const char *stop;

	if (!rest->len)
		return false;
	stop = memchr(rest->p, separator, rest->len);
	*out = (struct part){ rest->p, stop ? (size_t)(stop - rest->p) : rest->len };
	rest->p += out->len + (stop != NULL);
	rest->len -= out->len + (stop != NULL);
	while (out->len && *out->p == ' ')
		out->p++, out->len--;
	return true;
}

/* Cuts @p after @separator: the key, with it, and what follows. False if there is none. */
static bool split(struct part p, char separator, struct part *key, struct part *value)
{
	const char *at = p.len ? memchr(p.p, separator, p.len) : NULL;

	if (!at)
		return false;
	*key = (struct part){ p.p, (size_t)(at + 1 - p.p) };
	*value = (struct part){ at + 1, p.len - key->len };
	return true;
}

/* What follows @key in that part of @text which begins with it. */
static bool find(struct part text, char separator, struct part key, struct part *value)
{
	struct part p;

	while (next_part(&text, separator, &p))
		if (p.len >= key.len && memcmp(p.p, key.p, key.len) == 0) {
			*value = (struct part){ p.p + key.len, p.len - key.len };
			return true;
		}
	return false;
}

const char *resctrl_line(const char *schemata, const char *resource, size_t *len)
{
	const struct part key = { resource, strlen(resource) };
	struct part value;

	if (!find((struct part){ schemata, strlen(schemata) }, '\n', key, &value))
		return NULL;
	*len = key.len + value.len;
	return value.p - key.len;
}

/* "50", " 50" and "0050" are the same. */
static bool same_number(struct part a, struct part b)
{
	for (; a.len > 1 && (*a.p == '0' || *a.p == ' '); a.len--)
		a.p++;
	for (; b.len > 1 && (*b.p == '0' || *b.p == ' '); b.len--)
		b.p++;
	return a.len == b.len && strncasecmp(a.p, b.p, a.len) == 0;
}

/* "0=ff;1=f" */
static bool has_domains(struct part now, struct part wanted)
{
	struct part domain, key, value, got;

	while (next_part(&wanted, ';', &domain))
		if (domain.len && (!split(domain, '=', &key, &value) ||
				   !find(now, ';', key, &got) || !same_number(value, got)))
			return false;
	return true;
}

bool resctrl_has(const char *now, const char *wanted)
{
	struct part all = { now, strlen(now) }, rest = { wanted, strlen(wanted) };
	struct part line, key, value, got;

	while (next_part(&rest, '\n', &line))
		if (line.len && (!split(line, ':', &key, &value) || !find(all, '\n', key, &got) ||
				 !has_domains(got, value)))
			return false;
	return true;
}

/* --- Groups -------------------------------------------------------------------------------------------- */

static int open_root(struct err *e)
{
	auto_fd int fd = openat(AT_FDCWD, RESCTRL_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* where it is not mounted there is, at most, an empty directory */
	if (fd < 0 || faccessat(fd, "tasks", F_OK, 0) < 0)
		return err_set(e, ERR_NOT_SUPPORTED,
			       "resctrl is not mounted: mount -t resctrl resctrl " RESCTRL_ROOT
			       ", where the processor can divide its caches");
	return take_fd(&fd);
}

static int open_dir(int root, const char *path, struct err *e)
{
	int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? err_set(e, errno, "cannot open the group '%s'", path) : fd;
}

static const char *name_of(const struct resctrl *g, const char *id)
{
	return !g->group ? id : streq(g->group, "/") ? "." : g->group;
}

/* One line at a time: so the kernel says which it refuses, here and in info/last_cmd_status. */
static int write_schemata(int dir, const char *lines, struct err *e)
{
	for (size_t len; *lines; lines += len + (lines[len] == '\n')) {
		auto_str struct str line = { 0 };

		len = strcspn(lines, "\n");
		if (!len)
			continue;
		str_addf(&line, "%.*s\n", (int)len, lines);
		if (line.failed)
			return err_set(e, ENOMEM, "cannot write schemata");
		if (file_write_kernel(dir, "schemata", line.s, e) < 0)
			return err_in(e, "'%.*s'", (int)len, lines);
	}
	return 0;
}

/* Noted before it is made; the caller holds the lock, so nobody else makes it meanwhile. */
static int make(int root, const char *path, struct state_dir *d, struct err *e)
{
	auto_str struct str line = { 0 };

	/* or else what others made would be removed as ours */
	if (faccessat(root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(e, ERR_EXISTS, "the group '%s' is in use", path);
	str_addf(&line, "resctrl %s\n", path);
	if (line.failed)
		return err_set(e, ENOMEM, "cannot write the journal");
	if (state_add_journal(d, line.s, line.len, e) < 0)
		return -1;
	if (mkdirat(root, path, 0755) < 0)
		return err_set(e, errno, "cannot make the group '%s'%s", path,
			       errno == ENOSPC ? ": there are no more of them" : "");
	return 0;
}

/* The one that counts the container. */
static void monitor_of(const struct resctrl *g, const char *id, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/mon_groups/%s", name_of(g, id), id);
}

/* The group's directory: made, with its schemata, or one of others that has them. */
static int open_group(int root, const struct resctrl *g, const char *name, struct state_dir *d,
		      struct err *e)
{
	auto_fd int dir = open_dir(root, name, e);
	auto_str struct str now = { 0 };

	if (dir < 0 && e->code != ENOENT)
		return -1;
	if (dir < 0 && (g->join || (g->group && !g->schemata)))
		return err_set(e, ENOENT, "there is no group '%s'", name);
	if (dir < 0) {
		*e = (struct err){ 0 };
		if (make(root, name, d, e) < 0)
			return -1;
		dir = open_dir(root, name, e);
		return dir < 0 || (g->schemata && write_schemata(dir, g->schemata, e) < 0) ?
			       -1 :
			       take_fd(&dir);
	}
	if (g->join || !g->schemata)
		return take_fd(&dir);
	if (file_read_kernel(dir, "schemata", SCHEMATA_MAX, &now, e) < 0)
		return -1;
	if (!resctrl_has(str_text(&now), g->schemata))
		return err_set(e, ERR_STATE, "the group '%s' is there, with other schemata", name);
	return take_fd(&dir);
}

static int enter(int dir, pid_t pid, struct err *e)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	return file_write_kernel(dir, "tasks", text, e);
}

int resctrl_enter(const struct resctrl *g, const char *id, pid_t pid, struct state_dir *d,
		  struct err *e)
{
	auto_fd int root = open_root(e), dir = -1, monitor = -1;
	char path[PATH_MAX];

	if (root < 0)
		return -1;
	/* goes with the descriptor */
	if (flock(root, LOCK_EX) < 0)
		return err_set(e, errno, "cannot lock '%s'", RESCTRL_ROOT);
	dir = open_group(root, g, name_of(g, id), d, e);
	if (dir < 0 || enter(dir, pid, e) < 0)
		return -1;
	if (!g->monitor)
		return 0;
	monitor_of(g, id, path);
	if (!g->join && make(root, path, d, e) < 0)
		return -1;
	monitor = open_dir(root, path, e);
	return monitor < 0 ? -1 : enter(monitor, pid, e);
}

int resctrl_open(const struct resctrl *g, const char *id, bool monitor, struct err *e)
{
	auto_fd int root = open_root(e);
	char path[PATH_MAX];

	if (root < 0)
		return -1;
	monitor_of(g, id, path);
	return open_dir(root, monitor ? path : name_of(g, id), e);
}

int resctrl_write(const struct resctrl *g, const char *id, const char *schemata, struct err *e)
{
	auto_fd int dir = resctrl_open(g, id, false, e);

	return dir < 0 ? -1 : write_schemata(dir, schemata, e);
}

int resctrl_remove(const char *path, struct err *e)
{
	auto_fd int root = openat(AT_FDCWD, RESCTRL_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || unlinkat(root, path, AT_REMOVEDIR) < 0)
		return errno == ENOENT ?
			       0 :
			       err_set(e, errno, "cannot remove '%s/%s'", RESCTRL_ROOT, path);
	return 0;
}

int apply_resctrl(struct apply *a, const struct step *st, struct err *e)
{
	return resctrl_enter(&st->resctrl, a->id, a->pid, a->state, e);
}
