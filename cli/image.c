/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.c - `ctr image import`, `ls` and `rm`.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/str.h"
#include "runtime/spec.h"

static int print_json(struct cli *c, struct str *text)
{
	str_add(text, "\n");
	if (text->failed)
		return err_set(c->e, ENOMEM, "cannot write");
	if (fputs(text->s, stdout) == EOF || fflush(stdout) == EOF)
		return err_set(c->e, errno, "cannot write");
	return EXIT_DONE;
}

static int flush(struct cli *c)
{
	return fflush(stdout) == EOF || ferror(stdout) ? err_set(c->e, errno, "cannot write") :
							 EXIT_DONE;
}

/* --- image import ---------------------------------------------------------------------------------- */

struct import_options {
	bool quiet, unpacked, as_is, keep_blobs;
	const char *digest;
	struct opt_u64 strip, max_size, max_entries, max_ratio;
	struct words entrypoint, cmd, env;
	const char *workdir, *user, *stop_signal;
};

static const struct option_row import_rows[] = {
	FLAG_ROW(struct import_options, quiet, "quiet", 'q', "print the image's id only"),
	NUMBER_ROW(struct import_options, strip, "strip", 0, "N",
		   "drop the first N components of each name", 0, 100),
	STRING_ROW(struct import_options, digest, "digest", 0, "sha256:HEX",
		   "refuse anything but the archive, or the image, of this digest"),
	FLAG_ROW(struct import_options, unpacked, "unpacked", 0,
		 "keep the files in directories rather than mounting them from the archive"),
	FLAG_ROW(struct import_options, as_is, "as-is", 0,
		 "it is a squashfs or EROFS file system: mount it as it is, read by the kernel"),
	FLAG_ROW(struct import_options, keep_blobs, "keep-blobs", 0,
		 "keep compressed layers as well, to repair from"),
	LIST_ROW(struct import_options, entrypoint, "entrypoint", 0, "WORD",
		 "what the image runs, a word each time the option is given"),
	LIST_ROW(struct import_options, cmd, "cmd", 0, "WORD",
		 "its default arguments, or its command without an entry point; likewise"),
	LIST_ROW(struct import_options, env, "env", 'e', "KEY=VALUE", "its environment"),
	STRING_ROW(struct import_options, workdir, "workdir", 'w', "DIR", "its working directory"),
	STRING_ROW(struct import_options, user, "user", 'u', "USER[:GROUP]", "whom it runs as"),
	STRING_ROW(struct import_options, stop_signal, "stop-signal", 0, "SIGNAL",
		   "the signal that asks it to stop"),
	SIZE_ROW(struct import_options, max_size, "max-size", 0, "SIZE",
		 "refuse archives that are larger uncompressed (default 256G)"),
	NUMBER_ROW(struct import_options, max_entries, "max-entries", 0, "N",
		   "refuse archives of more entries (default 5000000)", 1, 0),
	NUMBER_ROW(struct import_options, max_ratio, "max-ratio", 0, "N",
		   "refuse archives compressed better than N to 1, beyond 1 GiB (default 1000)", 1,
		   0),
	END_ROW,
};

static int check_env(const struct words *env, struct err *e)
{
	for (size_t i = 0; i < env->n; i++)
		if (*env->v[i] == '=' || !strchr(env->v[i], '='))
			return err_set(e, ERR_USAGE, "--env takes KEY=VALUE, not '%s'", env->v[i]);
	return 0;
}

/* What was left out is told, on standard error: the result itself may go into a pipe. */
static void tell_import(const struct image_import_result *r)
{
	if (r->skipped_devices)
		log_info("%" PRIu64 " device nodes were skipped: instances get their own /dev",
			 r->skipped_devices);
	if (r->skipped_others)
		log_info("%" PRIu64 " sockets were skipped", r->skipped_others);
	if (streq(r->kind, "Incus image"))
		log_warn("templates of the Incus image, if it has any, are not applied");
	if (r->skipped_xattrs)
		log_warn("%" PRIu64 " extended attributes were left out: only user.*, file "
			 "capabilities and ACLs are kept",
			 r->skipped_xattrs);
	if (r->trailing_data)
		log_warn(
			"data follows the end of the archive and was ignored: are these two archives "
			"in one file?");
}

/* Each image of the archive, with each of its names: "ID NAME" lines. */
static void note_loaded(void *arg, const char *id, const char *name)
{
	str_addf(arg, "%s %s\n", id, name);
}

static void json_loaded(struct json_writer *w, char *lines)
{
	json_open(w, "loaded", '[');
	for (char *at = lines, *line; (line = strsep(&at, "\n")) && *line;) {
		char *name = line + IMAGE_ID_LEN;

		*name++ = '\0';
		json_open(w, NULL, '{');
		json_put_string(w, "id", line);
		json_put_string(w, "name", *name ? name : NULL);
		json_close(w);
	}
	json_close(w);
}

/* "NAME ID", a line each, the last one left open; with @quiet each id once. */
static void print_loaded(char *lines, bool quiet)
{
	const char *last = "", *end = "";

	for (char *at = lines, *line; (line = strsep(&at, "\n")) && *line;) {
		char *name = line + IMAGE_ID_LEN;

		*name++ = '\0';
		if (quiet && !streq(line, last))
			printf("%s\n", line);
		if (!quiet)
			printf("%s%s%s%.*s", end, name, *name ? " " : "", IMAGE_ID_SHORT, line);
		last = line;
		end = "\n";
	}
}

static int print_import(struct cli *c, const struct import_options *o, struct str *loaded,
			const struct image_import_result *r)
{
	auto_str struct str text = { 0 };
	struct json_writer w = { .out = &text, .indent = true };
	char size[16];

	if (loaded->failed)
		return err_set(c->e, ENOMEM, "cannot write");
	if (c->json) {
		json_open(&w, NULL, '{');
		json_put_string(&w, "id", r->id);
		json_put_string(&w, "name", *r->name ? r->name : NULL);
		json_put_string(&w, "kind", r->kind);
		json_loaded(&w, loaded->s);
		json_put_bool(&w, "existed", r->existed);
		json_put_bool(&w, "unpacked", r->unpacked);
		json_put_string(&w, "compression", r->compression);
		json_put_u64(&w, "bytes_read", r->bytes_read);
		json_put_u64(&w, "bytes", r->bytes_out);
		json_put_u64(&w, "size", r->size);
		json_put_u64(&w, "entries", r->entries);
		json_put_u64(&w, "skipped_devices", r->skipped_devices);
		json_put_u64(&w, "skipped_xattrs", r->skipped_xattrs);
		json_put_u64(&w, "skipped_others", r->skipped_others);
		json_put_bool(&w, "trailing_data", r->trailing_data);
		json_close(&w);
		return print_json(c, &text);
	}
	tell_import(r);
	print_loaded(loaded->s, o->quiet);
	if (o->quiet)
		return flush(c);
	printf(", %s", format_size(r->size, size, sizeof(size)));
	if (r->entries) /* what it is a file system of nobody has counted */
		printf(", %" PRIu64 " entries", r->entries);
	printf("%s\n", r->existed ? " (was there already)" : "");
	return flush(c);
}

static int image_import_verb(struct cli *c, int argc, char **argv)
{
	const struct import_options *o = c->options;
	auto_store struct store *s = NULL;
	auto_str struct str loaded = { 0 };
	struct image_import_result r;
	struct progress p;
	struct image_import_options io = {
		.loaded = note_loaded,
		.loaded_arg = &loaded,
		.progress = progress_image,
		.progress_arg = &p,
		.name = argc > 1 ? argv[1] : NULL,
		.digest = o->digest,
		.strip = (unsigned)o->strip.v,
		.unpacked = o->unpacked,
		.as_is = o->as_is,
		.keep_blobs = o->keep_blobs,
		.entrypoint = o->entrypoint.v,
		.cmd = o->cmd.v,
		.env = o->env.v,
		.workdir = o->workdir,
		.user = o->user,
		.stop_signal = o->stop_signal,
		.max_bytes = o->max_size.v,
		.max_entries = o->max_entries.v,
		.max_ratio = o->max_ratio.v,
	};
	int rc;

	if (check_env(&o->env, c->e) < 0)
		return -1;
	s = store_open(c->store_root, c->e);
	if (!s)
		return -1;
	progress_start(&p, "importing");
	rc = image_import_file(s, argc ? argv[0] : "-", &io, &r, c->e);
	progress_stop(&p);
	return rc < 0 ? -1 : print_import(c, o, &loaded, &r);
}

const struct verb verb_image_import = {
	.name = "image import",
	.aliases = "load",
	.run = image_import_verb,
	.flags = VERB_JSON,
	.operands = "[FILE|DIR|- [NAME[:TAG]]]",
	.min = 0,
	.max = 2,
	.help = "import a root filesystem's tarball, or images from an archive or an OCI layout",
	.rows = import_rows,
	.options_size = sizeof(struct import_options),
	.more = "Content tells what it is: a root filesystem, what `docker save` or `podman save` wrote, an OCI "
		"image layout (an archive, or its directory), an Incus image; plain or compressed with gzip, xz, "
		"zstd, bzip2 or lz4. '-', or nothing, reads standard input. Without a NAME images get the "
		"names that the archive gives them, or are reached by their ids.\n\n"
		"A root filesystem brings no configuration: it runs /sbin/init if it has one, else "
		"/bin/sh, unless told otherwise.",
};

/* --- image ls ------------------------------------------------------------------------------------------ */

struct ls_options {
	bool quiet;
};

static const struct option_row ls_rows[] = {
	FLAG_ROW(struct ls_options, quiet, "quiet", 'q', "print ids only"),
	END_ROW,
};

/* "3 hours ago": the table is for people. */
static const char *ago(int64_t then, char *buf, size_t size)
{
	static const struct {
		int64_t seconds;
		const char *unit;
	} units[] = { { 86400 * 365, "year" }, { 86400 * 30, "month" }, { 86400, "day" },
		      { 3600, "hour" },	       { 60, "minute" },	{ 1, "second" } };
	int64_t passed = (int64_t)time(NULL) - then;

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		int64_t n = passed / units[i].seconds;

		if (n > 0) {
			snprintf(buf, size, "%lld %s%s ago", (long long)n, units[i].unit,
				 n > 1 ? "s" : "");
			return buf;
		}
	}
	return "now";
}

static void put_image(struct json_writer *w, const struct image *i)
{
	char id[sizeof("sha256:") + IMAGE_ID_LEN];

	snprintf(id, sizeof(id), "sha256:%s", i->id);
	json_open(w, NULL, '{');
	json_put_string(w, "id", id);
	json_put_strings(w, "names", i->names);
	json_put_u64(w, "size", i->size);
	json_put_u64(w, "entries", i->entries);
	json_put_i64(w, "imported", i->imported);
	json_put_string(w, "architecture", i->config.architecture);
	json_put_string(w, "os", i->config.os);
	json_put_bool(w, "system", i->system);
	json_put_strings(w, "entrypoint", i->config.entrypoint);
	json_put_strings(w, "cmd", i->config.cmd);
	json_close(w);
}

static int print_images_json(struct cli *c, struct image **list)
{
	auto_str struct str text = { 0 };
	struct json_writer w = { .out = &text, .indent = true };

	json_open(&w, NULL, '[');
	for (size_t i = 0; list[i]; i++)
		put_image(&w, list[i]);
	json_close(&w);
	return print_json(c, &text);
}

static void print_image(const struct image *i, const char *name, int width)
{
	char size[16], when[32];

	printf("%-*s  %.*s  %9s  %s\n", width, name, IMAGE_ID_SHORT, i->id,
	       format_size(i->size, size, sizeof(size)), ago(i->imported, when, sizeof(when)));
}

static int print_images(struct cli *c, struct image **list, bool quiet)
{
	int width = (int)strlen("NAME");

	for (size_t i = 0; list[i]; i++)
		for (size_t k = 0; list[i]->names[k]; k++)
			if ((int)strlen(list[i]->names[k]) > width)
				width = (int)strlen(list[i]->names[k]);
	if (!quiet)
		printf("%-*s  %-*s  %9s  %s\n", width, "NAME", IMAGE_ID_SHORT, "ID", "SIZE",
		       "IMPORTED");
	for (size_t i = 0; list[i]; i++) {
		if (quiet) {
			printf("%s\n", list[i]->id);
			continue;
		}
		if (!list[i]->names[0])
			print_image(list[i], "-", width);
		for (size_t k = 0; list[i]->names[k]; k++)
			print_image(list[i], list[i]->names[k], width);
	}
	return flush(c);
}

static int image_ls_verb(struct cli *c, int argc, char **argv)
{
	const struct ls_options *o = c->options;
	auto_store struct store *s = store_open(c->store_root, c->e);
	struct image **list;
	int rc;

	(void)argc;
	(void)argv;
	if (!s || image_list(s, &list, NULL, c->e) < 0)
		return -1;
	rc = c->json ? print_images_json(c, list) : print_images(c, list, o->quiet);
	image_list_free(list);
	return rc;
}

const struct verb verb_image_ls = {
	.name = "image ls",
	.aliases = "list",
	.run = image_ls_verb,
	.flags = VERB_JSON,
	.help = "list images",
	.rows = ls_rows,
	.options_size = sizeof(struct ls_options),
};

/* --- image rm ------------------------------------------------------------------------------------------ */

static void print_removed(const struct image_removed *r)
{
	char size[16];

	for (size_t i = 0; r->names[i]; i++)
		printf("untagged %s\n", r->names[i]);
	if (r->image)
		printf("removed %.*s, %s\n", IMAGE_ID_SHORT, r->id,
		       format_size(r->bytes, size, sizeof(size)));
}

/* Each is tried; of several failures all but the last are told here. */
static int image_rm_verb(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	auto_store struct store *s = store_open(c->store_root, c->e);
	bool failed = false;

	if (!s)
		return -1;
	for (int i = 0; i < argc; i++) {
		struct image_removed r;
		struct err e = { 0 };

		if (image_remove(s, argv[i], &r, &e) < 0) {
			if (failed)
				log_error("%s", c->e->msg);
			*c->e = e;
			failed = true;
			continue;
		}
		print_removed(&r);
		arena_free(r.arena);
	}
	if (open_instances(c, &all) == 0)
		unmount_unused(c, &all);
	if (failed) {
		(void)fflush(stdout); /* the failure to report is the other one */
		return -1;
	}
	return flush(c);
}

const struct verb verb_image_rm = {
	.name = "image rm",
	.aliases = "remove",
	.run = image_rm_verb,
	.operands = "IMAGE...",
	.min = 1,
	.max = -1,
	.help = "remove names of images, and images without a name",
	.more = "A NAME goes, and the image with its last name. An id takes the image and all its names. "
		"An image that an instance uses stays.",
};
