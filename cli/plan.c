/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.c - `ctr plan`: what would be done, printed. Needs no privilege and changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/host.h"
#include "runtime/plan.h"
#include "runtime/spec.h"

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

/* Paths inside stay relative to the bundle: the plan of a bundle is the same wherever it lies. */
static struct spec *read_bundle(const char *dir, struct err *e)
{
	auto_fd int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_str struct str text = { 0 };
	struct spec *s;

	if (fd < 0) {
		err_set(e, errno, "cannot open the bundle '%s'", dir);
		return NULL;
	}
	if (file_read(fd, "config.json", JSON_MAX_SIZE, &text, e) < 0) {
		err_in(e, "bundle '%s'", dir);
		return NULL;
	}
	s = spec_oci_parse(str_text(&text), text.len, NULL, e);
	if (!s)
		err_in(e, "config.json");
	return s;
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

static int plan(struct cli *c, int argc, char **argv)
{
	const struct plan_verb_options *o = c->options;
	auto_str struct str text = { 0 };
	auto_plan struct plan *p = NULL;
	auto_spec struct spec *s = NULL;
	struct plan_options po = { .id = o->id ? o->id : "example", .cgroup_prefix = "ctr-oci-" };
	struct host h;

	if (o->print_host)
		return print_host(c->e);
	if (o->bundle && argc)
		return err_set(c->e, ERR_USAGE, "--bundle and '%s' exclude each other", argv[0]);
	if (state_check_id(po.id, c->e) < 0)
		return -1;
	s = read_bundle(argc ? argv[0] : o->bundle ? o->bundle : ".", c->e);
	if (!s || read_host(o->host, &h, c->e) < 0)
		return -1;
	p = plan_build(s, &h, &po, c->e);
	if (!p)
		return -1;
	plan_print(p, &text);
	if (text.failed)
		return err_set(c->e, ENOMEM, "cannot print the plan");
	fwrite(text.s, 1, text.len, stdout); /* main.c looks at the stream's error */
	return EXIT_DONE;
}

const struct verb verb_plan = {
	.name = "plan",
	.run = plan,
	.operands = "[DIR]",
	.max = 1,
	.help = "print each step that starting would take, without doing any",
	.rows = plan_rows,
	.options_size = sizeof(struct plan_verb_options),
};
