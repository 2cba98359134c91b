/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export.c - `ctr diff`, `ctr export`, `ctr commit`: an instance's files, shown, taken out, made an image.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/instances.h"
#include "cli/move.h"
#include "cli/progress.h"
#include "cli/snapshot.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "runtime/archive.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/difference.h"
#include "runtime/still.h"

/* ---- diff ---- */

static int diff(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	auto_view struct view v = VIEW_NONE;
	auto_fd int one = -1, two = -1;

	if (open_instances(c, &all) < 0 || view_open(c, &all, argv[0], &v, c->e) < 0)
		return -1;
	if (argc == 1)
		return print_difference(c, &(struct trees){ .before = v.base,
							    .after = v.tree,
							    .layers = v.layers });
	one = open_state(c, &all, &v.dir, argv[1], c->e);
	two = one < 0 || argc < 3 ? -1 : open_state(c, &all, &v.dir, argv[2], c->e);
	if (one < 0 || (argc > 2 && two < 0))
		return -1;
	return print_difference(c,
				&(struct trees){ .before = one, .after = argc > 2 ? two : v.tree });
}

const struct verb verb_diff = {
	.name = "diff",
	.run = diff,
	.flags = VERB_JSON,
	.operands = "NAME [SNAP [SNAP]]",
	.min = 1,
	.max = 3,
	.help = "show what an instance has changed, since its image or a snapshot",
	.more = "A line each: A for what was added, C for what was changed, D for what is gone.",
};

/* ---- export ---- */

struct export_options {
	bool rootfs;
	const char *output;
};

static const struct option_row export_rows[] = {
	FLAG_ROW(struct export_options, rootfs, "rootfs", 0, "its files alone, as one tarball"),
	STRING_ROW(struct export_options, output, "output", 'o', "FILE",
		   "write to FILE rather than to standard output"),
	END_ROW,
};

static int export_rootfs(struct cli *c, const struct instances *all, const char *name, int fd)
{
	auto_view struct view v = VIEW_NONE;
	struct trees t = { .before = -1 };

	if (view_open(c, all, name, &v, c->e) < 0)
		return -1;
	t.after = v.tree;
	return archive_difference(&t, fd, c->e) < 0 ? -1 : EXIT_DONE;
}

static int export_whole(struct cli *c, const struct instances *all, const char *name, int fd)
{
	struct snapshot state;
	char how[96];

	if (move_out(c, all, &(struct move_request){ .name = name }, fd, &state, c->e) < 0)
		return -1;
	describe_state(&state, how, sizeof(how));
	log_info("'%s': %s", name, how);
	return EXIT_DONE;
}

int write_output(struct cli *c, const char *path, output_writer *write, void *arg)
{
	auto_fd int fd = -1;
	int code;

	if (!path && isatty(STDOUT_FILENO))
		return err_set(
			c->e, ERR_USAGE,
			"an archive is nothing for a terminal: give --output FILE, or a pipe");
	fd = path ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) :
		    fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_set(c->e, errno, "cannot make '%s'", path ? path : "a file");
	code = write(c, arg, fd);
	if (code >= 0 && path && fsync(fd) < 0)
		code = err_set(c->e, errno, "cannot write '%s'", path);
	if (code < 0 && path)
		(void)unlink(path);
	return code;
}

static int export_to(struct cli *c, void *arg, int fd)
{
	const struct export_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;

	if (open_instances(c, &all) < 0)
		return -1;
	return o->rootfs ? export_rootfs(c, &all, arg, fd) : export_whole(c, &all, arg, fd);
}

static int export(struct cli *c, int argc, char **argv)
{
	const struct export_options *o = c->options;

	(void)argc;
	return write_output(c, o->output, export_to, argv[0]);
}

const struct verb verb_export = {
	.name = "export",
	.run = export,
	.operands = "NAME",
	.min = 1,
	.max = 1,
	.help = "write an instance as one file, or its files as a tarball",
	.rows = export_rows,
	.options_size = sizeof(struct export_options),
	.more = "With its configuration, image and snapshots, for `ctr import` on this or another machine. With --rootfs it is a tarball\n"
		"of its files, which `ctr image import` reads. What is mounted in it, volumes and temporary files, is left out.",
};

/* ---- commit ---- */

struct commit_options {
	bool no_freeze;
	const char *author, *message, *workdir, *user, *stop_signal;
	struct words entrypoint, cmd, env;
};

static const struct option_row commit_rows[] = {
	STRING_ROW(struct commit_options, author, "author", 'a', "TEXT", "who made it"),
	STRING_ROW(struct commit_options, message, "message", 'm', "TEXT", "what was changed"),
	LIST_ROW(struct commit_options, entrypoint, "entrypoint", 0, "WORD",
		 "what the image runs, a word each time the option is given"),
	LIST_ROW(struct commit_options, cmd, "cmd", 0, "WORD", "its default arguments; likewise"),
	LIST_ROW(struct commit_options, env, "env", 'e', "KEY=VALUE", "set in its environment"),
	STRING_ROW(struct commit_options, workdir, "workdir", 'w', "DIR", "its working directory"),
	STRING_ROW(struct commit_options, user, "user", 'u', "USER[:GROUP]", "whom it runs as"),
	STRING_ROW(struct commit_options, stop_signal, "stop-signal", 0, "SIGNAL",
		   "the signal that asks it to stop"),
	FLAG_ROW(struct commit_options, no_freeze, "no-freeze", 0,
		 "let it go on meanwhile: what it writes then may be in the image in part"),
	END_ROW,
};

/* A layer of what was changed, while nothing more is. */
struct committing {
	struct cli *c;
	const struct instances *all;
	struct view *v;
	const struct commit_options *o;
};

static int write_layer(void *arg, int fd, struct err *e)
{
	const struct committing *m = arg;
	struct trees t = { .before = m->v->base, .after = m->v->tree, .layers = m->v->layers };
	struct still s;
	struct err other;
	int rc;

	if (m->o->no_freeze)
		return archive_difference(&t, fd, e);
	rc = still_begin(m->all, m->v->dir.name, &s, e);
	if (rc == 0)
		rc = archive_difference(&t, fd, e);
	if (still_end(&s, &other) < 0)
		log_warn("'%s' does not go on: %s", m->v->dir.name, other.msg);
	return rc;
}

static int commit(struct cli *c, int argc, char **argv)
{
	const struct commit_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;
	auto_view struct view v = VIEW_NONE;
	struct committing m = { c, &all, &v, o };
	struct image_import_result r = { .id = "" };
	struct progress p;
	const struct image_import_options io = { .progress = progress_image,
						 .progress_arg = &p,
						 .name = argc > 1 ? argv[1] : NULL };
	const struct image_commit how = { .author = o->author,
					  .message = o->message,
					  .created_by = "ctr commit",
					  .entrypoint = o->entrypoint.v,
					  .cmd = o->cmd.v,
					  .env = o->env.v,
					  .workdir = o->workdir,
					  .user = o->user,
					  .stop_signal = o->stop_signal };
	int rc;

	for (size_t i = 0; i < o->env.n; i++)
		if (*o->env.v[i] == '=' || !strchr(o->env.v[i], '='))
			return err_set(c->e, ERR_USAGE, "--env takes KEY=VALUE, not '%s'",
				       o->env.v[i]);
	if (open_instances(c, &all) < 0 || view_open(c, &all, argv[0], &v, c->e) < 0)
		return -1;
	progress_start(&p, "committing");
	rc = image_commit(v.store, v.image, write_layer, &m, &how, &io, &r, c->e);
	progress_stop(&p);
	if (rc < 0)
		return err_in(c->e, "cannot commit '%s'", argv[0]);
	if (c->json)
		printf("{\"version\":%d,\"id\":\"%s\",\"name\":\"%s\"}\n", FORMAT_VERSION, r.id,
		       r.name);
	else
		printf("%s%s%.*s\n", r.name, *r.name ? " " : "", IMAGE_ID_SHORT, r.id);
	return EXIT_DONE;
}

const struct verb verb_commit = {
	.name = "commit",
	.run = commit,
	.flags = VERB_JSON,
	.operands = "NAME [IMAGE[:TAG]]",
	.min = 1,
	.max = 2,
	.help = "make an image of what an instance has changed",
	.rows = commit_rows,
	.options_size = sizeof(struct commit_options),
	.more = "The image is the instance's own with one more layer. Volumes, and what is mounted in it, are left out. A running "
		"instance stands still meanwhile.",
};
