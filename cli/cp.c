/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cp.c - `ctr cp`: files between the host and an instance, whether it runs or not; `ctr restore`: from a snapshot of it.
 *
 * Of a running one the root is the payload's, with all that is mounted there. Paths inside are resolved by the kernel as the instance would
 * resolve them, never above its root; below them nothing is followed (runtime/copy.h). No program of the instance is run
 * (CVE-2019-14271).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/instances.h"
#include "cli/launch.h"
#include "cli/progress.h"
#include "cli/snapshot.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/copy.h"
#include "runtime/running.h"

struct cp_options {
	bool archive, follow, quiet;
};

static const struct option_row cp_rows[] = {
	FLAG_ROW(struct cp_options, archive, "archive", 'a', "keep owners and setuid bits"),
	FLAG_ROW(struct cp_options, follow, "follow-link", 'L',
		 "copy what a link leads to, if the source is one"),
	FLAG_ROW(struct cp_options, quiet, "quiet", 'q', "do not say what was copied"),
	END_ROW,
};

/* One side: the host, or an instance. */
struct side {
	const char *path;
	char name[INSTANCE_NAME_MAX + 1];     /* "": the host */
	char snapshot[SNAPSHOT_NAME_MAX + 1]; /* "": as it is now */
	struct instance_dir dir;
	struct instance *instance;
	struct image *image;
	struct store *store;
	int root;     /* of the instance */
	uint64_t ids; /* owners there count from this */
	bool locked;
};

#define SIDE_NONE                                              \
	{                                                      \
		.dir = { .fd = -1, .promise = -1 }, .root = -1 \
	}

static void own_side(struct side *s)
{
	if (s->locked)
		instance_close(&s->dir);
	else
		own_close(&s->dir.fd);
	own_close(&s->root);
	image_free(s->image);
	store_close(s->store);
	instance_free(s->instance);
}
#define auto_side __attribute__((cleanup(own_side)))

/* "NAME:PATH" is in an instance, "NAME@SNAP:PATH" in a snapshot of it; what begins with '/' or '.' is not. */
static int read_side(const char *word, struct side *s, struct err *e)
{
	size_t len = strcspn(word, ":/"), name = strcspn(word, "@:/");

	s->path = word;
	if (*word == '/' || *word == '.' || word[len] != ':')
		return 0;
	if (name > INSTANCE_NAME_MAX || len - name > SNAPSHOT_NAME_MAX)
		return err_set(e, ERR_USAGE, "'%.80s' is no instance's name", word);
	snprintf(s->name, sizeof(s->name), "%.*s", (int)name, word);
	if (name < len)
		snprintf(s->snapshot, sizeof(s->snapshot), "%.*s", (int)(len - name - 1),
			 word + name + 1);
	s->path = word + len + 1;
	return *s->path ? 0 : err_set(e, ERR_USAGE, "'%s' names no path", word);
}

/* The payload's root, through the host's /proc: while its pidfd says that it lives, the number is its own. */
static int open_running(struct side *s, const struct running *r, struct err *e)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/root", r->pid);
	s->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->root < 0 || pidfd_wait(r->pidfd, 0))
		return err_set(e, ERR_STATE, "'%s' has just ended", s->name);
	s->ids = s->instance->ids;
	return 0;
}

static int open_side(struct cli *c, const struct instances *all, struct side *s, bool write,
		     struct err *e)
{
	auto_running struct running r = RUNNING_NONE;
	struct launch l = { .all = all, .dir = &s->dir };
	const char *const *ignored;

	if (!*s->name)
		return 0;
	if (*s->snapshot) { /* which does not change */
		if (instance_look(all, s->name, &s->dir, e) < 0)
			return -1;
		s->root = open_state(c, all, &s->dir, s->snapshot, e);
		return s->root < 0 ? -1 : 0;
	}
	if (instance_open(all, s->name, &s->dir, e) < 0)
		return -1;
	s->locked = true;
	s->instance = instance_load(&s->dir, e);
	if (!s->instance || running_look(all, s->name, &r, e) < 0)
		return -1;
	if (r.exists && r.pidfd >= 0) {
		instance_unlock(&s->dir); /* whoever wants to stop it meanwhile may */
		return open_running(s, &r, e);
	}
	s->store = store_open(c->store_root, e);
	s->image = s->store ? launch_image(s->store, s->instance, e) : NULL;
	if (!s->image || image_mount(s->store, c->run_root, s->image, e) < 0)
		return -1;
	l.image = s->image;
	l.instance = s->instance;
	s->root = write ? launch_open_root(&l, e) : launch_open_view(&l, &ignored, e);
	return s->root < 0 ? -1 : 0;
}

/* @path of the side: below its root, or on the host. */
static int open_at(const struct side *s, const char *path, int flags)
{
	return s->root >= 0 ? path_open_in(s->root, path, flags) : open(path, flags | O_CLOEXEC);
}

/* The directory that @path is in, and its last component (NULL: it is a directory, and its content is meant). */
struct place {
	int dir;
	char name[NAME_MAX + 1];
	bool content; /* "DIR/.": what is in it */
	bool slash;   /* "DIR/" */
};

static int open_place(const struct side *s, struct place *p, struct err *e)
{
	char path[PATH_MAX];
	size_t len = strlen(s->path);
	char *last;

	if (len >= sizeof(path))
		return err_set(e, ENAMETOOLONG, "'%.64s...'", s->path);
	strcpy(path, s->path);
	p->content = streq(path, ".") || (len > 1 && streq(path + len - 2, "/."));
	p->slash = path[len - 1] == '/';
	while (len > 1 && (path[len - 1] == '/' || (path[len - 1] == '.' && path[len - 2] == '/')))
		path[--len] = '\0';
	last = strrchr(path, '/');
	last = last ? last + 1 : path;
	if (!*last || streq(last, ".") || streq(last, "..")) { /* "/", "..": itself */
		p->dir = open_at(s, path, O_PATH | O_DIRECTORY);
		strcpy(p->name, ".");
		p->content |= !*last || streq(last, ".");
	} else if (strlen(last) > NAME_MAX) {
		return err_set(e, ENAMETOOLONG, "'%.64s...'", last);
	} else {
		strcpy(p->name, last);
		*last = '\0';
		p->dir = open_at(s, *path ? path : s->root >= 0 ? "/" : ".", O_PATH | O_DIRECTORY);
	}
	return p->dir < 0 ? no_file(s->path, e) : 0;
}

/* With -L a link is exchanged for what it leads to, inside its own root. */
static int follow(const struct side *s, struct place *p, struct err *e)
{
	char path[64], target[PATH_MAX];
	auto_fd int fd = open_at(s, s->path, O_PATH);
	ssize_t n;
	char *last;

	if (fd < 0)
		return no_file(s->path, e);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return err_set(e, errno, "'%s'", s->path);
	target[n] = '\0';
	last = strrchr(target, '/');
	if (!last || !last[1] || strlen(last + 1) > NAME_MAX)
		return 0;
	own_close(&p->dir);
	strcpy(p->name, last + 1);
	last[1] = '\0';
	/* what the kernel calls it from its own root is resolved once more, below the side's */
	p->dir = open_at(s, target, O_PATH | O_DIRECTORY);
	return p->dir < 0 ? err_set(e, errno, "'%s'", s->path) : 0;
}

/* Where the copy goes: into the directory that the target is, or beside it under the target's name. */
static int aim(const struct side *to, const struct place *src, bool src_is_dir, struct place *dst,
	       struct err *e)
{
	auto_fd int there = open_at(to, to->path, O_PATH);
	struct stat st;

	if (there >= 0 && fstat(there, &st) == 0 && S_ISDIR(st.st_mode)) {
		own_close(&dst->dir);
		dst->dir = take_fd(&there);
		if (!src->content)
			strcpy(dst->name, src->name);
		dst->content = src->content;
		return 0;
	}
	if (there >= 0 && src_is_dir)
		return err_set(e, ERR_INVALID, "'%s' is no directory", to->path);
	if (there < 0 && dst->slash && !src_is_dir)
		return err_set(e, ERR_NO_SUCH, "there is no directory '%s'", to->path);
	dst->content = false;
	return 0;
}

static bool go_on(void)
{
	return !progress_cancelled();
}

/* Files that the instance is to have are made by its own root, for no other id has a place there. */
static int become(uint64_t ids, struct err *e)
{
	if (!ids)
		return 0;
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0)
		return err_set(e, errno, "cannot keep capabilities");
	(void)setfsgid((gid_t)ids);
	(void)setfsuid((uid_t)ids);
	return 0;
}

static int copy(struct cli *c, const struct side *from, const struct side *to, struct copied *done)
{
	const struct cp_options *o = c->options;
	struct place src = { .dir = -1 }, dst = { .dir = -1 };
	struct copy_owners owners = { .from = from->ids,
				      .to = to->ids,
				      .range = from->ids || to->ids ? INSTANCE_IDS : 0,
				      .keep = o->archive,
				      .uid = *to->name ? (uid_t)to->ids : geteuid(),
				      .gid = *to->name ? (gid_t)to->ids : getegid() };
	struct stat st;
	int rc = -1;

	if (open_place(from, &src, c->e) < 0 || open_place(to, &dst, c->e) < 0 ||
	    (o->follow && follow(from, &src, c->e) < 0))
		goto out;
	if (fstatat(src.dir, src.name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		no_file(from->path, c->e);
		goto out;
	}
	if (aim(to, &src, S_ISDIR(st.st_mode), &dst, c->e) < 0 || become(to->ids, c->e) < 0)
		goto out;
	rc = copy_tree(src.dir, src.name, dst.dir, dst.content ? NULL : dst.name, &owners, go_on,
		       done, c->e);
out:
	own_close(&src.dir);
	own_close(&dst.dir);
	return rc;
}

static int cp(struct cli *c, int argc, char **argv)
{
	const struct cp_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;
	auto_side struct side from = SIDE_NONE, to = SIDE_NONE;
	struct copied done = { 0 };
	struct progress p;
	char size[16];
	int rc;

	(void)argc;
	if (read_side(argv[0], &from, c->e) < 0 || read_side(argv[1], &to, c->e) < 0)
		return -1;
	if (*to.snapshot)
		return err_set(c->e, ERR_USAGE, "a snapshot cannot be written to");
	if (!*from.name == !*to.name && !*from.snapshot)
		return err_set(c->e, ERR_USAGE,
			       "one of both is NAME:PATH, the other a path of the host");
	if (open_instances(c, &all) < 0 || open_side(c, &all, &from, false, c->e) < 0 ||
	    open_side(c, &all, &to, true, c->e) < 0)
		return -1;
	progress_start(&p, "copying");
	rc = copy(c, &from, &to, &done);
	progress_stop(&p);
	if (rc < 0)
		return -1;
	if (done.skipped)
		log_warn("%" PRIu64 " devices and sockets were left out", done.skipped);
	if (!o->quiet && isatty(STDERR_FILENO))
		fprintf(stderr, "%" PRIu64 " files, %s\n", done.files,
			format_size(done.bytes, size, sizeof(size)));
	return EXIT_DONE;
}

const struct verb verb_cp = {
	.name = "cp",
	.run = cp,
	.operands = "NAME[@SNAP]:PATH|PATH NAME:PATH|PATH",
	.min = 2,
	.max = 2,
	.help = "copy files between the host and an instance",
	.rows = cp_rows,
	.options_size = sizeof(struct cp_options),
	.more = "As cp -r: into a directory that is there, else under the new name; DIR/. means what is in it. Links are copied as "
		"links. Copies belong to root inside, or to who calls ctr outside. From NAME@SNAP:PATH comes what a snapshot has.",
};

/* ---- restore ---- */

/* Beside what it will be: what a command that died left there is found by the next one. */
#define HALF_MADE ".ctr-restore"

/*
 * Exchanged in one step where the file system can: overlay moves no directory that the image has (redirect_dir), which has to go
 * first.
 */
static int put_in_place(int dir, const char *name, struct err *e)
{
	if (sys_renameat2(dir, HALF_MADE, dir, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EEXIST)
		return err_set(e, errno, "cannot put it in its place");
	if (sys_renameat2(dir, HALF_MADE, dir, name, RENAME_EXCHANGE) == 0)
		return tree_remove(dir, HALF_MADE, e);
	if (errno != EXDEV)
		return err_set(e, errno, "cannot put it in its place");
	if (tree_remove(dir, name, e) < 0)
		return -1;
	return renameat(dir, HALF_MADE, dir, name) < 0 ?
		       err_set(e, errno, "cannot put it in its place") :
		       0;
}

static int restore_path(const struct side *from, const struct side *to, struct copied *done,
			struct err *e)
{
	struct place src = { .dir = -1 }, dst = { .dir = -1 };
	struct copy_owners owners = { .to = to->ids,
				      .range = to->ids ? INSTANCE_IDS : 0,
				      .keep = true };
	struct err ignored;
	int rc = -1;

	if (open_place(from, &src, e) < 0)
		goto out;
	if (streq(src.name, ".")) {
		err_set(e, ERR_USAGE, "that is all of it: `ctr rollback %s %s`", to->name,
			from->snapshot);
		goto out;
	}
	if (faccessat(src.dir, src.name, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
		no_file(from->path, e);
		goto out;
	}
	if (open_place(to, &dst, e) < 0) {
		err_in(e, "its directory is not there any more");
		goto out;
	}
	if (become(to->ids, e) < 0 ||
	    (tree_remove(dst.dir, HALF_MADE, e) < 0 && e->code != ENOENT) ||
	    copy_tree(src.dir, src.name, dst.dir, HALF_MADE, &owners, go_on, done, e) < 0 ||
	    put_in_place(dst.dir, src.name, e) < 0)
		(void)tree_remove(dst.dir, HALF_MADE, &ignored);
	else
		rc = 0;
out:
	own_close(&src.dir);
	own_close(&dst.dir);
	return rc < 0 ? err_in(e, "'%s'", from->path) : 0;
}

static int restore(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	auto_side struct side from = SIDE_NONE, to = SIDE_NONE;
	struct copied done = { 0 };
	struct progress p;
	char size[16];
	int rc = 0;

	if (instance_check_name(argv[0], c->e) < 0 || snapshot_check_name(argv[1], c->e) < 0) {
		c->e->code = ERR_USAGE;
		return -1;
	}
	strcpy(from.name, argv[0]);
	strcpy(to.name, argv[0]);
	strcpy(from.snapshot, argv[1]);
	if (open_instances(c, &all) < 0 || open_side(c, &all, &from, false, c->e) < 0 ||
	    open_side(c, &all, &to, true, c->e) < 0)
		return -1;
	progress_start(&p, "restoring");
	for (int i = 2; rc == 0 && i < argc; i++) {
		from.path = to.path = argv[i];
		rc = restore_path(&from, &to, &done, c->e);
	}
	progress_stop(&p);
	if (rc < 0)
		return -1;
	if (done.skipped)
		log_warn("%" PRIu64 " devices and sockets were left out", done.skipped);
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "%" PRIu64 " files, %s\n", done.files,
			format_size(done.bytes, size, sizeof(size)));
	return EXIT_DONE;
}

const struct verb verb_restore = {
	.name = "restore",
	.run = restore,
	.operands = "NAME SNAP [--] PATH...",
	.min = 3,
	.max = -1,
	.help = "take single files and directories of an instance back to a snapshot",
	.more = "Each PATH becomes what it was, with its owners: what was changed is changed back, what was removed is there again, and\n"
		"of a directory what has come since is gone. The instance may run. The rest of it stays as it is.",
};
