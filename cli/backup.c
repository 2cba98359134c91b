/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup.c - `ctr backup NAME`, `ctr backup verify`, `ctr backup restore`: instances as files that continue each other.
 *
 * A backup is what `ctr export` writes (move.h) of a snapshot that stays, so that the next one can say what is new since.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/instances.h"
#include "cli/launch.h"
#include "cli/move.h"
#include "cli/progress.h"
#include "cli/snapshot.h"
#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/difference.h"

/* ---- backup ---- */

struct backup_options {
	const char *since, *output;
	struct opt_u64 keep;
};

static const struct option_row backup_rows[] = {
	STRING_ROW(struct backup_options, since, "since", 0, "SNAP",
		   "only what is new since that snapshot, which a backup before had"),
	STRING_ROW(struct backup_options, output, "output", 'o', "FILE",
		   "write to FILE rather than to standard output"),
	NUMBER_ROW(struct backup_options, keep, "keep", 0, "N",
		   "then remove all but the N newest snapshots of backups", 1, 100000),
	END_ROW,
};

/* The state of now, as a snapshot that stays. */
static int keep_one(const struct layers *l, const struct instance_dir *d, void *arg, struct err *e)
{
	struct snapshot *s = arg;

	return name_snapshot(d, NULL, s, e) < 0 || keep_state(l, d, s, e) < 0 ?
		       -1 :
		       snapshot_write(d, s, e);
}

/* Of a backup that was not written. */
static int drop_one(const struct layers *l, const struct instance_dir *d, void *arg, struct err *e)
{
	const struct snapshot *s = arg;

	return snapshot_remove(d, s->name, e) < 0 ? -1 : layers_sweep(l, e);
}

static int drop_older(const struct layers *l, const struct instance_dir *d, void *arg,
		      struct err *e)
{
	const struct opt_u64 *keep = arg;

	return keep_newest(l, d, SNAPSHOT_BY_BACKUP, keep->v, e);
}

static int backup_to(struct cli *c, void *arg, int fd)
{
	struct backup_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;
	struct snapshot s = { .by = SNAPSHOT_BY_BACKUP };
	const struct move_request r = { .name = arg, .snapshot = s.name, .since = o->since };
	struct err ignored;
	char how[96];

	if (open_instances(c, &all) < 0 || with_layers(&all, r.name, keep_one, &s, c->e) < 0)
		return -1;
	if (move_out(c, &all, &r, fd, NULL, c->e) < 0) {
		(void)with_layers(&all, r.name, drop_one, &s, &ignored);
		return -1;
	}
	if (o->keep.set && with_layers(&all, r.name, drop_older, &o->keep, c->e) < 0)
		return -1;
	describe_state(&s, how, sizeof(how));
	/* the name is what the next one says after --since; beside an archive it goes to the person */
	if (o->output)
		printf("%s\n", s.name);
	(void)!dprintf(STDERR_FILENO, "%s@%s: %s\n", r.name, s.name, how);
	return EXIT_DONE;
}

static int backup(struct cli *c, int argc, char **argv)
{
	const struct backup_options *o = c->options;

	(void)argc;
	return write_output(c, o->output, backup_to, argv[0]);
}

const struct verb verb_backup = {
	.name = "backup",
	.run = backup,
	.operands = "NAME",
	.min = 1,
	.max = 1,
	.help = "write an instance, or what is new of it, as one file",
	.rows = backup_rows,
	.options_size = sizeof(struct backup_options),
	.more = "What `ctr export` writes, of a snapshot that stays: its name, which is printed, is for --since of the next one. That one\n"
		"holds only what has changed, and is restored together with those before it. An instance that runs stands still while\n"
		"the snapshot is made.",
};

/* ---- restore ---- */

struct restore_options {
	const char *name;
};

static const struct option_row restore_rows[] = {
	STRING_ROW(struct restore_options, name, "name", 'n', "NAME",
		   "rather than the name that it had"),
	END_ROW,
};

static int backup_restore(struct cli *c, int argc, char **argv)
{
	const struct restore_options *o = c->options;

	(void)argc;
	return arrive(c, argv, o->name, false);
}

const struct verb verb_backup_restore = {
	.name = "backup restore",
	.run = backup_restore,
	.operands = "FILE...",
	.min = 1,
	.max = -1,
	.help = "make an instance of backups: a full one, and those that continue it",
	.rows = restore_rows,
	.options_size = sizeof(struct restore_options),
	.more = "In the order in which they were made. The instance is as the last of them had it.",
};

/* ---- verify ---- */

/* What a drill has found. */
struct drill {
	char name[INSTANCE_NAME_MAX + 1];
	struct snapshot state;
	uint64_t files, bytes, layers, snapshots;
	int rc;
	struct err e;
};

static int read_file(int dir, const char *name, struct drill *d, struct err *e)
{
	auto_fd int fd =
		openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	static char buf[1 << 17];
	ssize_t n;

	if (fd < 0)
		return err_set(e, errno, "cannot open a file");
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		d->bytes += (uint64_t)n;
	return n < 0 ? err_set(e, errno, "cannot read a file") : 0;
}

static int look_at_file(void *arg, enum difference what, const char *path, int dir,
			const char *name, const struct stat *st, struct err *e)
{
	struct drill *d = arg;

	(void)what;
	d->files++;
	if (progress_cancelled())
		return err_set(e, ECANCELED, "cancelled");
	return S_ISREG(st->st_mode) && read_file(dir, name, d, e) < 0 ? err_in(e, "'%s'", path) : 0;
}

static void note_damage(void *arg, const char *what, const char *id, const char *wrong,
			bool repaired)
{
	struct drill *d = arg;

	(void)repaired;
	if (wrong && !d->e.code)
		err_set(&d->e, ERR_INVALID, "its image: %s %.12s %s", what, id, wrong);
}

/* All of it, as it would be there. */
static int read_all(struct arrival *a, struct instance_dir *dir, struct drill *d)
{
	auto_image struct image *image = image_find(a->store, a->image, &d->e);
	const char *const *layers;
	unsigned damage = 0;
	auto_fd int root = -1;
	const struct launch l = {
		.all = &a->all, .image = image, .instance = a->instance, .dir = dir
	};

	if (!image || image_verify(a->store, a->image, false, note_damage, d, &damage, &d->e) < 0 ||
	    d->e.code)
		return -1;
	if (image_mount(a->store, a->c->run_root, image, &d->e) < 0)
		return -1;
	root = launch_open_view(&l, &layers, &d->e);
	return root < 0 ? -1 :
			  tree_difference(&(struct trees){ .before = -1, .after = root },
					  look_at_file, d, &d->e);
}

/* Restores the files into the store and the run state of @c, which are for that alone. */
static int try_restore(struct cli *c, char **files, struct drill *d, struct progress *p)
{
	auto_arrival struct arrival a = ARRIVAL_NONE(c);
	struct instance_dir dir = { .fd = -1, .promise = -1 };
	const struct image_import_options io = { .progress = progress_image, .progress_arg = p };
	int rc;

	if (arrival_open(c, &a) < 0) {
		d->e = *c->e;
		return -1;
	}
	for (rc = 0; rc == 0 && *files; files++) {
		auto_fd int fd = open_archive_operand(*files, &d->e);

		rc = fd < 0 || arrival_read(&a, fd, *files, &io, &d->e) < 0 ||
				     arrival_bring(&a, &io, &d->e) < 0 ?
			     -1 :
			     0;
		if (rc < 0)
			return err_in(&d->e, "'%s'", *files);
	}
	a.instance->nets = NULL; /* those of this machine are not known there */
	if (arrival_make(&a, a.from, true, &dir, &d->e) < 0)
		return -1;
	snprintf(d->name, sizeof(d->name), "%s", a.from);
	d->state = a.now;
	d->layers = a.n_stack;
	d->snapshots = a.n_kept;
	return read_all(&a, &dir, d);
}

/* In a mount namespace of its own: what it mounts goes with it. */
static int drill_child(struct cli *c, char **files, const char *scratch, int out)
{
	struct cli there = *c;
	char data[512], run[512];
	struct drill d = { .rc = -1 };
	struct progress p;
	int rc = -1;

	snprintf(data, sizeof(data), "%s/data", scratch);
	snprintf(run, sizeof(run), "%s/run", scratch);
	there.store_root = data;
	there.run_root = run;
	progress_start(&p, "verifying");
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    mkdir(data, 0700) < 0 || mkdir(run, 0700) < 0)
		err_set(&d.e, errno, "cannot make a place to restore it to");
	else
		rc = try_restore(&there, files, &d, &p);
	progress_stop(&p);
	d.rc = rc;
	return write(out, &d, sizeof(d)) != (ssize_t)sizeof(d);
}

static int run_drill(struct cli *c, char **files, const char *scratch, struct drill *d,
		     struct err *e)
{
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(e, errno, "cannot make a pipe");
	(void)fflush(NULL); /* or the child could write it again */
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		_exit(drill_child(c, files, scratch, ends[1]));
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return err_set(e, errno, "cannot fork");
	}
	while ((n = read(ends[0], d, sizeof(*d))) < 0 && errno == EINTR)
		;
	close(ends[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof(*d))
		return err_set(e, ERR_INVALID, "the process that restored it died");
	if (d->rc < 0)
		*e = d->e;
	return d->rc;
}

static int print_drill(struct cli *c, const struct drill *d)
{
	char when[32], size[16];

	format_time(d->state.created_ns / 1000000000, when, sizeof(when));
	if (c->json) {
		auto_str struct str out = { 0 };
		struct json_writer w = { .out = &out, .indent = true };

		json_open(&w, NULL, '{');
		json_put_u64(&w, "version", FORMAT_VERSION);
		json_put_string(&w, "name", d->name);
		json_put_string(&w, "created", when);
		json_put_string(&w, "consistency", d->state.consistency);
		json_put_u64(&w, "files", d->files);
		json_put_u64(&w, "bytes", d->bytes);
		json_put_u64(&w, "snapshots", d->snapshots);
		json_close(&w);
		return print_text(c, &out);
	}
	printf("whole: '%s' as of %s, %s-consistent, %llu files with %s, %llu snapshot%s\n",
	       d->name, when, d->state.consistency, (unsigned long long)d->files,
	       format_size(d->bytes, size, sizeof(size)), (unsigned long long)d->snapshots,
	       d->snapshots == 1 ? "" : "s");
	return EXIT_DONE;
}

static int backup_verify(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	struct instances_scratch x = { .fd = -1 };
	struct drill d = { .rc = -1 };
	struct err other;
	char path[400];
	int rc;

	(void)argc;
	if (open_instances(c, &all) < 0)
		return -1;
	rc = instances_scratch(&all, &x, c->e);
	if (rc == 0) {
		snprintf(path, sizeof(path), "%s/.tmp/%s", all.path, x.entry);
		rc = run_drill(c, argv, path, &d, c->e);
	}
	if (instances_scratch_end(&all, &x, &other) < 0 && rc == 0) {
		*c->e = other;
		rc = -1;
	}
	return rc < 0 ? -1 : print_drill(c, &d);
}

const struct verb verb_backup_verify = {
	.name = "backup verify",
	.run = backup_verify,
	.flags = VERB_JSON,
	.operands = "FILE...",
	.min = 1,
	.max = -1,
	.help = "restore backups to a place of their own, and read all of it",
	.more = "A full one, and those that continue it. Digests are compared, the image is verified, layers are put on top of each\n"
		"other and every file is read; then all is removed again. No instance is made, and none is touched.",
};
