/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_spec.c - spec and features: what a bundle may look like here.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli/oci.h"
#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/base/table.h"
#include "runtime/caps.h"
#include "runtime/criu.h"
#include "runtime/names.h"
#include "runtime/plan.h"
#include "runtime/seccomp.h"
#include "runtime/scope.h"
#include "runtime/spec.h"

struct spec_options {
	const char *bundle;
	bool rootless;
};

static const struct option_row spec_rows[] = {
	STRING_ROW(struct spec_options, bundle, "bundle", 'b', "DIR",
		   "where to write it (default: the current directory)"),
	FLAG_ROW(struct spec_options, rootless, "rootless", 0, "for a user without privileges"),
	END_ROW,
};

static int spec(struct cli *c, int argc, char **argv)
{
	const struct spec_options *o = c->options;
	auto_fd int dir = open(o->bundle ? o->bundle : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_spec struct spec *s = spec_oci_default(o->rootless, c->e);
	auto_str struct str text = { 0 };
	auto_fd int fd = -1;

	(void)argc, (void)argv; /* none, as the row says */
	if (!s)
		return -1;
	if (dir < 0)
		return err_set(c->e, errno, "cannot open '%s'", o->bundle ? o->bundle : ".");
	spec_oci_dump(s, &text);
	if (text.failed)
		return err_set(c->e, ENOMEM, "cannot write config.json");
	fd = openat(dir, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (fd < 0 && errno == EEXIST)
		return err_set(c->e, ERR_EXISTS, "config.json exists: remove it first");
	if (fd < 0 || write(fd, text.s, text.len) != (ssize_t)text.len)
		return err_set(c->e, errno, "cannot write config.json");
	return EXIT_DONE;
}

static void put_table(struct json_writer *w, const char *key, const struct name_value *t)
{
	json_open(w, key, '[');
	for (; t->name; t++)
		json_put_string(w, NULL, t->name);
	json_close(w);
}

typedef const char *name_at(size_t i);

static void put_names(struct json_writer *w, const char *key, name_at *name,
		      bool (*wanted)(size_t i))
{
	json_open(w, key, '[');
	for (size_t i = 0; name(i); i++)
		if (!wanted || wanted(i))
			json_put_string(w, NULL, name(i));
	json_close(w);
}

static void put_enabled(struct json_writer *w, const char *key, bool enabled)
{
	json_open(w, key, '{');
	json_put_bool(w, "enabled", enabled);
	json_close(w);
}

/* What both this program and this kernel know. */
static void put_capabilities(struct json_writer *w)
{
	json_open(w, "capabilities", '[');
	for (int n = 0; cap_name(n) && prctl(PR_CAPBSET_READ, n, 0, 0, 0) >= 0; n++)
		json_put_string(w, NULL, cap_name(n));
	json_close(w);
}

static void put_seccomp(struct json_writer *w)
{
	json_open(w, "seccomp", '{');
	json_put_bool(w, "enabled", prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0);
	put_table(w, "actions", seccomp_action_names);
	put_table(w, "operators", seccomp_op_names);
	put_names(w, "archs", seccomp_arch_name, NULL);
	put_names(w, "knownFlags", seccomp_flag_name, NULL);
	put_names(w, "supportedFlags", seccomp_flag_name, seccomp_flag_supported);
	json_close(w);
}

static void put_linux(struct json_writer *w)
{
	json_open(w, "linux", '{');
	put_table(w, "namespaces", namespace_names);
	put_capabilities(w);
	json_open(w, "cgroup", '{');
	json_put_bool(w, "v1", false);
	json_put_bool(w, "v2", true);
	json_put_bool(w, "systemd", scope_is_available(false));
	json_put_bool(w, "systemdUser", scope_is_available(true));
	json_put_bool(w, "rdma", true);
	json_close(w);
	put_seccomp(w);
	put_enabled(w, "apparmor", access("/sys/kernel/security/apparmor", F_OK) == 0);
	put_enabled(w, "selinux", access("/sys/fs/selinux/enforce", F_OK) == 0);
	json_open(w, "intelRdt", '{');
	json_put_bool(w, "enabled", true);
	json_put_bool(w, "schemata", true);
	json_put_bool(w, "monitoring", true);
	json_close(w);
	json_open(w, "mountExtensions", '{');
	put_enabled(w, "idmap", true);
	json_close(w);
	put_enabled(w, "netDevices", true);
	json_open(w, "memoryPolicy", '{');
	put_table(w, "modes", memory_policy_names);
	put_table(w, "flags", memory_policy_flag_names);
	json_close(w);
	json_close(w);
}

/* Under the name that runc gives it: the specification has none. */
static void put_checkpoint(struct json_writer *w)
{
	char program[PATH_MAX];
	struct err missing;

	json_open(w, "annotations", '{');
	json_put_string(w, "org.opencontainers.runc.checkpoint.enabled",
			criu_find(program, sizeof(program), &missing) == 0 ? "true" : "false");
	json_close(w);
}

static int features(struct cli *c, int argc, char **argv)
{
	static const char *const unsafe[] = { NULL };
	auto_str struct str text = { 0 };
	struct json_writer w = { .out = &text, .indent = true };

	(void)argc, (void)argv; /* none, as the row says */
	json_open(&w, NULL, '{');
	json_put_string(&w, "ociVersionMin", "1.0.0");
	json_put_string(&w, "ociVersionMax", OCI_SPEC);
	json_put_strings(&w, "hooks", hook_names);
	put_names(&w, "mountOptions", plan_mount_option, NULL);
	put_linux(&w);
	put_checkpoint(&w);
	json_put_strings(&w, "potentiallyUnsafeConfigAnnotations", unsafe);
	json_close(&w);
	str_add(&text, "\n");
	if (text.failed)
		return err_set(c->e, ENOMEM, "cannot print the features");
	fwrite(text.s, 1, text.len, stdout); /* main.c looks at the stream's error */
	return EXIT_DONE;
}

const struct verb verb_oci_spec = {
	.name = "spec",
	.run = spec,
	.help = "write a config.json to begin with",
	.rows = spec_rows,
	.options_size = sizeof(struct spec_options),
};

const struct verb verb_oci_features = {
	.name = "features",
	.run = features,
	.help = "print what bundles may ask for, as JSON",
};
