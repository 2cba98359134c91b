/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.c - `ctr plan`: what would be done, printed. Needs no privilege and changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/bundle.h"
#include "cli/from_image.h"
#include "cli/rootless.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/host.h"
#include "runtime/idrange.h"
#include "runtime/instance.h"
#include "runtime/instances.h"
#include "runtime/plan.h"
#include "runtime/spec.h"
#include "runtime/userns.h"

struct plan_verb_options {
	const char *bundle, *host, *id;
	bool print_host;
};

static const struct option_row plan_rows[] = {
	STRING_ROW(struct plan_verb_options, bundle, "bundle", 'b', "DIR",
		   "plan this OCI bundle (default: the current directory)"),
	STRING_ROW(struct plan_verb_options, host, "host", 0, "FILE",
		   "plan for the host that FILE describes, not for this one"),
	STRING_ROW(struct plan_verb_options, id, "id", 0, "ID",
		   "the container's name (default: example)"),
	FLAG_ROW(struct plan_verb_options, print_host, "print-host", 0,
		 "describe this host, as --host reads it, and end"),
	END_ROW,
};

static int read_host(const char *file, struct host *h, struct err *e)
{
	auto_str struct str text = { 0 };

	if (!file)
		return host_probe(h, e);
	if (file_read(AT_FDCWD, file, 65536, &text, e) < 0)
		return -1;
	return host_parse(str_text(&text), h, e) < 0 ? err_in(e, "%s", file) : 0;
}

/* What an image's plan is about: an instance as `ctr run IMAGE COMMAND` would make it. */
struct imagined {
	struct store *store;
	struct image *image;
	struct instance *instance;
	char upper[PATH_MAX], work[PATH_MAX];
};

static void forget(struct imagined *i)
{
	instance_free(i->instance);
	image_free(i->image);
	store_close(i->store);
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_bundle(const char *path)
{
	char file[PATH_MAX];

	return snprintf(file, sizeof(file), "%s/config.json", path) < (int)sizeof(file) &&
	       access(file, F_OK) == 0;
}

/* Nothing is imported and no store is made: that would be a change. */
static int find_image(struct imagined *i, const char *store_root, const char *what, struct err *e)
{
	struct stat st;

	if (access(store_root, F_OK) < 0 && errno == ENOENT)
		return err_set(e, ERR_NO_SUCH, "there is no image '%s', nor a store at '%s'", what,
			       store_root);
	i->store = store_open(store_root, e);
	if (!i->store)
		return -1;
	if (is_directory(what) && (what[0] == '/' || what[0] == '.'))
		i->image = image_from_directory(i->store, what, e);
	else
		i->image = image_find(i->store, what, e);
	if (!i->image && stat(what, &st) == 0 && S_ISREG(st.st_mode))
		return err_set(e, ERR_NO_SUCH, "'%s' is not imported yet: see `ctr image import`",
			       what);
	return i->image ? 0 : -1;
}

static struct spec *read_image(struct imagined *i, const struct cli *c, const char *name,
			       char **argv)
{
	struct from_image from = {
		.name = name, .upper = i->upper, .work = i->work, .fresh = true, .root = -1
	};

	if (find_image(i, c->store_root, argv[0], c->e) < 0)
		return NULL;
	i->instance = instance_new();
	if (!i->instance) {
		err_set(c->e, ENOMEM, "cannot plan");
		return NULL;
	}
	snprintf(i->upper, sizeof(i->upper), "%s/instances/%s/" INSTANCE_UPPER, c->store_root,
		 name);
	snprintf(i->work, sizeof(i->work), "%s/instances/%s/" INSTANCE_WORK, c->store_root, name);
	if (userns_is_first())
		i->instance->ids = IDRANGE_FIRST; /* whichever range is free when it starts */
	i->instance->image_id = i->image->id;
	i->instance->command = argv[1] ? (const char *const *)&argv[1] : NULL;
	i->instance->system = instance_wants_system(i->image, i->instance);
	if (image_mount(i->store, NULL, i->image, c->e) < 0)
		return NULL;
	from.image = i->image;
	from.instance = i->instance;
	return spec_from_image(&from, c->e);
}

static int print_host(struct err *e)
{
	auto_str struct str text = { 0 };
	struct host h;

	if (host_probe(&h, e) < 0)
		return -1;
	host_dump(&h, &text);
	fputs(str_text(&text), stdout);
	return EXIT_DONE;
}

/* Paths in the bundle as they look from there: the plan of a bundle is the same wherever it lies. */
static void print_relative(const char *text, const char *bundle)
{
	size_t len = bundle ? strlen(bundle) : 0;
	const char *at;

	while (len > 1 && (at = strstr(text, bundle))) {
		bool whole = at[len] == '/' && at > text && at[-1] == ' ';

		fwrite(text, 1, (size_t)(at - text) + (whole ? 0 : len), stdout);
		text = at + len + whole;
	}
	fputs(text, stdout); /* main.c looks at the stream's error */
}

static int print_plan(const struct spec *s, const struct host *h, const struct plan_options *po,
		      struct err *e)
{
	auto_str struct str text = { 0 };
	auto_plan struct plan *p = plan_build(s, h, po, e);

	if (!p)
		return -1;
	plan_print(p, &text);
	if (text.failed)
		return err_set(e, ENOMEM, "cannot print the plan");
	print_relative(text.s, s->bundle);
	return EXIT_DONE;
}

static int plan(struct cli *c, int argc, char **argv)
{
	const struct plan_verb_options *o = c->options;
	const char *dir = o->bundle ? o->bundle : argc ? argv[0] : ".";
	struct plan_options po = { .id = o->id ? o->id : "example", .cgroup_prefix = "ctr-oci-" };
	auto_bundle struct bundle b = { 0 };
	auto_spec struct spec *imagined = NULL;
	struct imagined i = { 0 };
	const struct spec *s;
	bool of_image;
	struct host h;
	int r;

	if (o->print_host)
		return print_host(c->e);
	if (o->bundle && argc)
		return err_set(c->e, ERR_USAGE, "--bundle and '%s' exclude each other", argv[0]);
	if (state_check_id(po.id, c->e) < 0)
		return -1;
	of_image = argc && !is_bundle(argv[0]);
	/* the machine as it is where an instance would be made; of a file it is the same everywhere */
	if ((of_image && !o->host && rootless_enter(c) < 0) || read_host(o->host, &h, c->e) < 0)
		return -1;
	if (of_image) {
		po.cgroup_prefix = "ctr/";
		s = imagined = read_image(&i, c, po.id, argv);
	} else if (argc > 1) {
		return err_set(c->e, ERR_USAGE,
			       "what a bundle runs is said in its config.json, not by '%s'",
			       argv[1]);
	} else {
		s = bundle_read(dir, NULL, &b, c->e) < 0 ? NULL : b.spec;
	}
	r = s ? print_plan(s, &h, &po, c->e) : -1;
	forget(&i);
	return r;
}

const struct verb verb_plan = {
	.name = "plan",
	.run = plan,
	.flags = VERB_OPTIONS_FIRST | VERB_ANYWHERE,
	.operands = "[BUNDLE|IMAGE|DIR [COMMAND [ARGUMENT...]]]",
	.max = -1,
	.help = "print each step that starting would take, without doing any",
	.rows = plan_rows,
	.options_size = sizeof(struct plan_verb_options),
	.more = "A directory with a config.json is an OCI bundle; another directory, or the name of an image, is "
		"planned as `ctr run` would run it.",
};
