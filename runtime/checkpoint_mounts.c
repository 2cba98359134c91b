/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint_mounts.c - which mounts of a container come from outside, and what CRIU calls them.
 *
 * Their places follow from the plan, but a place is where symbolic links of the image lead. At the dump it is read from
 * the kernel's own list of the container's mounts; at the restore it is resolved in the root file system as when the
 * container was made. CRIU matches the two by their text.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/apply.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/checkpoint.h"
#include "runtime/host.h"
#include "runtime/plan.h"

#define MASK_SOURCE "/dev/null"

/* ---- keys ---- */

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f || *text == '[' || *text == ']')
			return false;
	return true;
}

/* As external_lookup_by_key() in criu/external.c does it. */
static const char *read_back(const struct external *x, const char *key)
{
	size_t len = strlen(key);
	const char *rest = x->id + strlen("mnt[");

	if (strncmp(rest, key, len) != 0 || rest[len] != ']' || rest[len + 1] != ':')
		return NULL;
	return rest + len + 2;
}

const char *externals_find(const struct externals *x, const char *key)
{
	for (size_t i = x->n; i > 0; i--) { /* CRIU puts each in front of the others */
		const char *value = read_back(&x->list[i - 1], key);

		if (value)
			return value;
	}
	return NULL;
}

static int make_room(struct externals *x, struct err *e)
{
	size_t size = x->size ? 2 * x->size : 32;
	struct external *list;

	if (x->n < x->size)
		return 0;
	list = arena_array(x->arena, size, sizeof(*list));
	if (!list)
		return err_set(e, ENOMEM, "cannot list the mounts");
	if (x->n)
		memcpy(list, x->list, x->n * sizeof(*list));
	x->list = list;
	x->size = size;
	return 0;
}

int externals_add(struct externals *x, const char *key, const char *value, struct err *e)
{
	const char *known = externals_find(x, key), *found;
	struct external *new;

	if (known && streq(known, value))
		return 0;
	if (key[0] != '/' || !is_plain(key) || !is_plain(value))
		return err_set(
			e, ERR_INVALID,
			"criu could not tell the mount of '%s' on '%s' from others: names must be "
			"without brackets and control characters",
			value, key);
	if (known)
		return err_set(
			e, ERR_INVALID,
			"'%s' and '%s' are both mounted on '%s': criu could not tell which to restore",
			known, value, key);
	if (make_room(x, e) < 0)
		return -1;
	new = &x->list[x->n];
	new->key = arena_strdup(x->arena, key);
	new->value = arena_strdup(x->arena, value);
	new->id = arena_printf(x->arena, "mnt[%s]:%s", key, value);
	if (!new->key || !new->value || !new->id)
		return err_set(e, ENOMEM, "cannot list the mounts");
	/* what the rules above promise, by the rule that counts */
	found = read_back(new, key);
	for (size_t i = 0; found && i < x->n; i++)
		if (read_back(new, x->list[i].key))
			found = NULL;
	if (!found || !streq(found, value))
		return err_set(e, ERR_INVALID, "criu could not read the mount '%s' back", key);
	x->n++;
	return 0;
}

void externals_put(const struct externals *x, struct str *options)
{
	for (size_t i = 0; i < x->n; i++)
		criu_put_pair(options, CRIU_EXTERNAL_MOUNT, x->list[i].key, x->list[i].value);
}

/* ---- what both sides ask of a step ---- */

/* Where the host's part is that the step puts into the container; NULL: it takes none. */
static const char *target_of(const struct step *st)
{
	switch (st->kind) {
	case STEP_MOUNT:
		return st->mount.what == MOUNT_BIND || st->mount.what == MOUNT_CGROUP ?
			       st->mount.target :
			       NULL;
	case STEP_DEVICE:
		return st->device.bind || st->device.slot >= 0 ? st->device.path : NULL;
	case STEP_MASK:
		return st->path;
	default:
		return NULL;
	}
}

/*
 * cgroup2 of a cgroup namespace of its own is a file system like others; but where CRIU is to leave cgroups alone that namespace is made with
 * the host's rights, and a user namespace could not mount anything of it.
 */
static bool is_own_cgroup(const struct plan *p, bool alone, const struct step *st)
{
	return st->kind == STEP_MOUNT && st->mount.what == MOUNT_CGROUP && p->new_cgroup &&
	       !(alone && p->clone_flags & CLONE_NEWUSER);
}

static int fd_path(int fd, char *path, size_t size, struct err *e)
{
	char link[40];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, size - 1);
	if (len < 0 || (size_t)len >= size - 1)
		return err_set(e, len < 0 ? errno : ENAMETOOLONG, "cannot tell where a mount is");
	path[len] = '\0';
	return 0;
}

static bool is_null_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* ---- the dump ---- */

/* Mount points as mountinfo writes them: blanks and the like are \ooo (proc(5)). */
static void unescape(char *text)
{
	char *to = text;
	unsigned c;

	for (; *text; *to++ = (char)c)
		if (*text == '\\' && sscanf(text + 1, "%3o", &c) == 1)
			text += 4;
		else
			c = (unsigned char)*text++;
	*to = '\0';
}

/* Whether something is mounted exactly at @path: the last on it counts, as it is what is seen. */
static bool is_mount_point(const char *mountinfo, const char *path)
{
	for (const char *line = mountinfo; *line;) {
		size_t len = strcspn(line, "\n");
		char at[PATH_MAX];

		if (sscanf(line, "%*u %*u %*s %*s %4095s", at) == 1) {
			unescape(at);
			if (streq(at, path))
				return true;
		}
		line += len;
		line += *line == '\n';
	}
	return false;
}

int externals_of(const struct plan *p, bool cgroups_alone, pid_t pid, struct externals *x,
		 struct err *e)
{
	auto_str struct str mounts = { 0 };
	auto_fd int root = -1;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_set(e, errno, "cannot open the container's root");
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	if (file_read_kernel(AT_FDCWD, path, 64u << 20, &mounts, e) < 0)
		return -1;
	for (size_t i = 0; i < p->n; i++) {
		const struct step *st = &p->steps[i];
		const char *target = target_of(st);
		auto_fd int fd = -1;

		if (!target || is_own_cgroup(p, cgroups_alone, st))
			continue;
		fd = path_open_in(root, target, O_PATH);
		if (fd < 0 || (st->kind == STEP_MASK && !is_null_device(fd)))
			continue; /* a masked path need not exist, and of directories the mask is no file of the host */
		if (fd_path(fd, path, sizeof(path), e) < 0)
			return err_in(e, "%s", st->why);
		if (!is_mount_point(str_text(&mounts), path)) {
			log_debug("%s: nothing is mounted on '%s' any more", st->why, path);
			continue;
		}
		if (externals_add(x, path, st->kind == STEP_MASK ? MASK_SOURCE : path, e) < 0)
			return err_in(e, "%s", st->why);
	}
	return 0;
}

/* ---- the restore ---- */

/* Whether @path will be on a tmpfs of the container's, whose content CRIU brings along. */
static bool on_tmpfs(const struct plan *p, const char *path)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct step *st = &p->steps[i];
		const char *rest;

		if (st->kind != STEP_MOUNT || st->mount.what != MOUNT_NEW_FS ||
		    !streq(st->mount.type, "tmpfs"))
			continue;
		rest = str_after(path, st->mount.target);
		if (rest && *rest == '/')
			return true;
	}
	return false;
}

/* As when the container was made: a link there would have other places overmounted (CVE-2019-19921, CVE-2023-27561). */
static int check_ordinary(int root, const char *target, struct err *e)
{
	struct stat st;

	if (!streq(target, "/proc") && !streq(target, "/sys") && !streq(target, "/dev"))
		return 0;
	if (fstatat(root, target + 1, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
		return err_set(e, ERR_INVALID, "'%s' must be mounted on ordinary directory",
			       target);
	return 0;
}

/* What @st takes of the host, as a detached mount; -1: nothing. */
static int open_source(struct apply *a, const struct step *st, struct err *e)
{
	e->code = 0;
	if (st->kind == STEP_ROOT || (st->kind == STEP_MOUNT && st->mount.what == MOUNT_BIND))
		return apply_open_mount(a, &st->mount, e);
	return st->kind == STEP_DEVICE && st->device.slot >= 0 ? apply_open_device(a, st, e) : -1;
}

int staging_open(struct staging *g, struct err *e)
{
	const struct plan *p = g->apply->plan;

	g->trees = arena_array(g->arena, p->n, sizeof(*g->trees));
	if (!g->trees)
		return err_set(e, ENOMEM, "cannot list the mounts");
	for (size_t i = 0; i < p->n; i++) {
		g->trees[i] = open_source(g->apply, &p->steps[i], e);
		if (g->trees[i] < 0 && e->code)
			return err_in(e, "%s", p->steps[i].why);
	}
	return 0;
}

/* A name for the tree of step @i, in a directory that all may search. A slave: CRIU takes the sharing of the mount it makes from there. */
static int attach(const struct staging *g, size_t i, char *path, size_t size, struct err *e)
{
	struct stat st;

	if (fstat(g->trees[i], &st) < 0)
		return err_set(e, errno, "cannot stat a mount");
	snprintf(path, size, "%s/%zu", g->dir, i);
	if (S_ISDIR(st.st_mode) ? mkdir(path, 0755) < 0 : mknod(path, S_IFREG | 0644, 0) < 0)
		return err_set(e, errno, "cannot make '%s'", path);
	if (sys_move_mount(g->trees[i], "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
	    mount(NULL, path, NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_set(e, errno, "cannot mount on '%s'", path);
	return 0;
}

/*
 * A mount point of the root file system, made if missing, and its name in there. A bind is put in its place until all are
 * resolved, since later ones may lie inside.
 */
static int prepare_mount(const struct step *st, int root, const char *prefix, const char *bind,
			 char *key, size_t size, struct err *e)
{
	const struct mount_step *m = &st->mount;
	auto_fd int fd = -1;
	struct stat source = { .st_mode = S_IFDIR };
	char path[PATH_MAX], link[40];
	const char *inside;

	if (check_ordinary(root, m->target, e) < 0)
		return -1;
	if (m->what == MOUNT_BIND && stat(bind, &source) < 0)
		return err_set(e, errno, "cannot stat '%s'", bind);
	fd = S_ISDIR(source.st_mode) ? path_make_dir_in(root, m->target, 0755, e) :
				       path_make_file_in(root, m->target, 0644, e);
	if (fd < 0 || fd_path(fd, path, sizeof(path), e) < 0)
		return -1;
	inside = str_after(path, prefix);
	if (!inside || *inside != '/')
		return err_set(e, ERR_INVALID, "'%s' is not in the root file system", m->target);
	snprintf(key, size, "%s", inside);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (m->what == MOUNT_BIND && mount(bind, link, NULL, MS_BIND | MS_REC, NULL) < 0)
		return err_set(e, errno, "cannot bind '%s'", bind);
	return 0;
}

static int prepare_step(const struct staging *g, size_t i, int root, struct externals *x,
			struct err *e)
{
	const struct apply *a = g->apply;
	const struct step *st = &a->plan->steps[i];
	char key[PATH_MAX], value[PATH_MAX];

	if (g->trees[i] >= 0 && attach(g, i, value, sizeof(value), e) < 0)
		return -1;
	switch (st->kind) {
	case STEP_MASK: /* named as runc names it, and as crun does */
		if (externals_add(x, MASK_SOURCE, MASK_SOURCE, e) < 0)
			return -1;
		return externals_add(x, st->path, MASK_SOURCE, e);
	case STEP_DEVICE:
		if (g->trees[i] < 0 && !st->device.bind)
			return 0;
		return externals_add(x, st->device.path, g->trees[i] < 0 ? st->device.path : value,
				     e);
	case STEP_MOUNT:
		break;
	default:
		return 0;
	}
	if (st->mount.what == MOUNT_CGROUP) {
		snprintf(value, sizeof(value), "%s/%s", a->host->cgroup,
			 a->plan->new_cgroup && a->plan->cgroup ? a->plan->cgroup : "");
		return is_own_cgroup(a->plan, g->cgroups_alone, st) ?
			       0 :
			       externals_add(x, st->mount.target, value, e);
	}
	if (on_tmpfs(a->plan, st->mount.target))
		snprintf(key, sizeof(key), "%s", st->mount.target);
	else if (prepare_mount(st, root, g->root, value, key, sizeof(key), e) < 0)
		return -1;
	return st->mount.what == MOUNT_BIND ? externals_add(x, key, value, e) : 0;
}

/* The root file system is bound to where CRIU looks for it, for a moment or for good. */
static int bind_root(const struct staging *g, const char *from, struct err *e)
{
	if (mount(from, g->root, NULL, MS_BIND | MS_REC, NULL) < 0 ||
	    mount(NULL, g->root, NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set(e, errno, "cannot bind the root file system");
	return 0;
}

static int prepare_steps(const struct staging *g, struct externals *x, struct err *e)
{
	const struct plan *p = g->apply->plan;
	auto_fd int fd = open(g->root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, errno, "cannot open '%s'", g->root);
	for (size_t i = 0; i < p->n; i++)
		if (p->steps[i].kind != STEP_ROOT && prepare_step(g, i, fd, x, e) < 0)
			return err_in(e, "%s", p->steps[i].why);
	return 0;
}

int externals_prepare(const struct staging *g, struct externals *x, struct err *e)
{
	const struct plan *p = g->apply->plan;
	char from[PATH_MAX] = "";

	for (size_t i = 0; i < p->n && !*from; i++)
		if (p->steps[i].kind == STEP_ROOT && attach(g, i, from, sizeof(from), e) < 0)
			return -1;
	if (bind_root(g, from, e) < 0 || prepare_steps(g, x, e) < 0)
		return -1;
	/* without what was put in its place to find the names: CRIU mounts all of it itself */
	if (umount2(g->root, MNT_DETACH) < 0)
		return err_set(e, errno, "cannot let go of '%s'", g->root);
	return bind_root(g, from, e);
}
