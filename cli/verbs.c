/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/verbs.h"

#include <errno.h>
#include <string.h>

#include "cli/oci.h"
#include "cli/rootless.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"

/* A line each, in the order of the help: what a person does first comes first. */
/* clang-format off */
static const struct verb *const ctr_verbs[] = {
	&verb_run,
	&verb_create,
	&verb_start,
	&verb_stop,
	&verb_restart,
	&verb_kill,
	&verb_pause,
	&verb_resume,
	&verb_suspend,
	&verb_wait,
	&verb_rename,
	&verb_rm,
	&verb_set,
	&verb_unset,
	&verb_get,
	&verb_edit,
	&verb_autostart,
	&verb_snapshot_create,
	&verb_snapshot_list,
	&verb_snapshot_rm,
	&verb_snapshot_prune,
	&verb_snapshot_mount,
	&verb_rollback,
	&verb_restore,
	&verb_clone,
	&verb_tree,
	&verb_check,
	&verb_list,
	&verb_stats,
	&verb_top,
	&verb_logs,
	&verb_events,
	&verb_usage_verify,
	&verb_usage_sample,
	&verb_usage,
	&verb_metrics,
	&verb_exec,
	&verb_shell,
	&verb_attach,
	&verb_info, &verb_inspect,
	&verb_cp,
	&verb_diff,
	&verb_commit,
	&verb_export,
	&verb_import,
	&verb_backup_restore,
	&verb_backup_verify,
	&verb_backup,
	&verb_migrate,
	&verb_net_create,
	&verb_net_ls,
	&verb_net_inspect,
	&verb_net_rm,
	&verb_net_connect,
	&verb_net_disconnect,
	&verb_fw,
	&verb_image_import,
	&verb_image_ls,
	&verb_image_rm,
	&verb_image_tag,
	&verb_image_untag,
	&verb_image_prune,
	&verb_image_inspect,
	&verb_image_history,
	&verb_image_files,
	&verb_image_cat,
	&verb_image_diff,
	&verb_image_mount,
	&verb_image_unmount,
	&verb_image_verify,
	&verb_image_save,
	&verb_plan,
	&verb_density,
	&verb_selftest_noisy,
	&verb_selftest_act,
	&verb_doctor,
	&verb_completion,
	&verb_help,
	&verb_version,
	&verb_health_watch,
	&verb_migrate_receive,
	NULL,
};

static const struct verb *const oci_verbs[] = {
	&verb_oci_create,
	&verb_oci_start,
	&verb_oci_run,
	&verb_oci_state,
	&verb_oci_kill,
	&verb_oci_delete,
	&verb_oci_list,
	&verb_oci_ps,
	&verb_oci_exec,
	&verb_oci_pause,
	&verb_oci_resume,
	&verb_oci_update,
	&verb_oci_events,
	&verb_oci_checkpoint,
	&verb_oci_restore,
	&verb_oci_spec,
	&verb_oci_features,
	&verb_oci_help,
	&verb_oci_version,
	NULL,
};
/* clang-format on */

static const struct option_row ctr_globals[] = {
	FLAG_ROW(struct global_options, debug, "debug", 0,
		 "tell on standard error what is being done"),
	FLAG_ROW(struct global_options, version, "version", 'V', "print the version"),
	FLAG_ROW(struct global_options, help, "help", 'h', "print a help text"),
	END_ROW,
};

static const struct option_row oci_globals[] = {
	STRING_ROW(struct global_options, root, "root", 0, "DIR",
		   "where states are kept, on tmpfs (default /run/ctr-oci)"),
	STRING_ROW(struct global_options, log, "log", 0, "FILE",
		   "append errors and warnings to FILE"),
	STRING_ROW(struct global_options, log_format, "log-format", 0, "FORMAT",
		   "'text' or 'json'"),
	FLAG_ROW(struct global_options, debug, "debug", 0, "log what is being done"),
	FLAG_ROW(struct global_options, systemd_cgroup, "systemd-cgroup", 's',
		 "have systemd make the cgroups"),
	STRING_ROW(struct global_options, cgroup_manager, "cgroup-manager", 0, "MANAGER",
		   "'cgroupfs', 'systemd' or 'disabled'"),
	STRING_ROW(struct global_options, rootless, "rootless", 0, "WHEN",
		   "'true', 'false' or 'auto': accepted, found out anyway"),
	FLAG_ROW(struct global_options, version, "version", 'v', "print the version"),
	FLAG_ROW(struct global_options, help, "help", 'h', "print a help text"),
	END_ROW,
};

static int enter(struct cli *c, char **argv)
{
	(void)argv;
	return c->verb->flags & VERB_ANYWHERE ? 0 : rootless_enter(c);
}

const struct door door_ctr = {
	.program = "ctr",
	.about = "isolated instances from images, without a daemon",
	.verbs = ctr_verbs,
	.globals = ctr_globals,
	.usage_failure = EXIT_USAGE,
	.enter = enter,
};

const struct door door_oci = {
	.program = "ctr-oci",
	.about = "a runtime for OCI bundles",
	.verbs = oci_verbs,
	.globals = oci_globals,
	.mode = OPTIONS_LONG_BY_ONE,
	.usage_failure = EXIT_FAILED,
	.enter = oci_enter,
	.leave = oci_leave,
};

void verb_common(const struct verb *v, const struct option_row *tables[VERB_COMMON_MAX + 1])
{
	static const struct option_row json[] = {
		FLAG_ROW(struct cli, json, "json", 0, "print JSON, failures as well"), END_ROW
	};
	static const struct option_row many[] = {
		NUMBER_ROW(struct cli, jobs, "jobs", 'j', "N",
			   "work on so many at a time (default 16)", 1, 256),
		END_ROW
	};
	static const struct option_row strict[] = { FLAG_ROW(struct cli, strict, "strict", 0,
							     "fail for those that are so already"),
						    END_ROW };
	size_t n = 0;

	if (v->flags & VERB_MANY)
		tables[n++] = many;
	if (v->flags & VERB_STRICT)
		tables[n++] = strict;
	if (v->flags & VERB_JSON)
		tables[n++] = json;
	tables[n] = NULL;
}

static const struct {
	int code;
	const char *name;
	enum exit_code exit;
} errors[] = {
	{ ERR_USAGE, "usage", EXIT_USAGE },
	{ ERR_INVALID, "invalid", EXIT_FAILED },
	{ ERR_NO_SUCH, "no-such", EXIT_NO_SUCH },
	{ ERR_EXISTS, "exists", EXIT_STATE },
	{ ERR_STATE, "state", EXIT_STATE },
	{ ERR_NOT_SUPPORTED, "not-supported", EXIT_REFUSED },
	{ ERR_CMD_NOT_FOUND, "command-not-found", EXIT_FAILED },
	{ ERR_CMD_NOT_EXEC, "command-not-executable", EXIT_FAILED },
	{ EBUSY, "busy", EXIT_BUSY },
	{ EAGAIN, "busy", EXIT_BUSY },
	{ ETIMEDOUT, "busy", EXIT_BUSY },
	{ 0, "system", EXIT_FAILED }, /* any other errno */
};

static size_t find_error(int code)
{
	size_t k = 0;

	while (errors[k].code && errors[k].code != code)
		k++;
	return k;
}

const char *error_name(int code)
{
	return errors[find_error(code)].name;
}

enum exit_code error_exit(int code)
{
	return errors[find_error(code)].exit;
}

/* Whether @word is the @len bytes at @name. */
static bool is_word(const char *word, const char *name, size_t len)
{
	return strlen(word) == len && memcmp(word, name, len) == 0;
}

/* The number of @argv's words that make up the blank-separated @name; 0 if they do not. */
static int matches(const char *name, int argc, char **argv)
{
	size_t first = strcspn(name, " ");

	if (!is_word(argv[0], name, first))
		return 0;
	if (!name[first])
		return 1;
	return argc > 1 && streq(argv[1], name + first + 1) ? 2 : 0;
}

/* Aliases stand for the last word of the name. */
static int matches_alias(const struct verb *v, int argc, char **argv)
{
	const char *blank = strchr(v->name, ' ');
	const char *word = argv[0];

	if (!v->aliases)
		return 0;
	if (blank) {
		if (argc < 2 || !is_word(argv[0], v->name, (size_t)(blank - v->name)))
			return 0;
		word = argv[1];
	}
	for (const char *a = v->aliases; *a;) {
		size_t len = strcspn(a, " ");

		if (is_word(word, a, len))
			return blank ? 2 : 1;
		a += len;
		a += strspn(a, " ");
	}
	return 0;
}

static const struct verb *refuse(const struct door *d, int argc, char **argv, struct err *e)
{
	const char *known[128];
	char seconds[64][32];
	size_t n = 0, n_seconds = 0;
	const char *near;

	for (size_t i = 0; d->verbs[i] && n < 127; i++) {
		const char *name = d->verbs[i]->name, *blank = strchr(name, ' ');

		if (d->verbs[i]->flags & VERB_HIDDEN)
			continue;
		if (!blank) {
			known[n++] = name;
		} else if (is_word(argv[0], name, (size_t)(blank - name)) && n_seconds < 64) {
			strncpy(seconds[n_seconds], blank + 1, sizeof(seconds[0]) - 1);
			seconds[n_seconds++][sizeof(seconds[0]) - 1] = '\0';
		}
	}
	if (n_seconds) { /* the group exists: what is wrong, or missing, is the second word */
		for (n = 0; n < n_seconds; n++)
			known[n] = seconds[n];
		known[n] = NULL;
		if (argc < 2 || *argv[1] == '-') {
			auto_str struct str list = { 0 };

			for (n = 0; n < n_seconds; n++)
				str_addf(&list, "%s%s", n ? ", " : "", known[n]);
			err_set(e, ERR_USAGE, "'%s' needs a second word: %s", argv[0],
				str_text(&list));
			return NULL;
		}
		near = str_nearest(argv[1], known);
		err_set(e, ERR_USAGE, "unknown verb '%s %s'%s%s%s%s%s", argv[0], argv[1],
			near ? ": did you mean '" : "", near ? argv[0] : "", near ? " " : "",
			near ? near : "", near ? "'?" : "");
		return NULL;
	}
	for (size_t i = 0; d->verbs[i] && n < 127; i++) {
		const char *blank = strchr(d->verbs[i]->name, ' ');
		size_t len = blank ? (size_t)(blank - d->verbs[i]->name) : 0;

		if (blank && len < sizeof(seconds[0]) && n_seconds < 64) {
			memcpy(seconds[n_seconds], d->verbs[i]->name, len);
			seconds[n_seconds][len] = '\0';
			known[n++] = seconds[n_seconds++];
		}
	}
	known[n] = NULL;
	near = str_nearest(argv[0], known);
	err_set(e, ERR_USAGE, "unknown verb '%s'%s%s%s", argv[0], near ? ": did you mean '" : "",
		near ? near : "", near ? "'?" : "");
	return NULL;
}

const struct verb *verb_find(const struct door *d, int argc, char **argv, int *words, struct err *e)
{
	for (size_t i = 0; d->verbs[i]; i++) {
		*words = matches(d->verbs[i]->name, argc, argv);
		if (!*words)
			*words = matches_alias(d->verbs[i], argc, argv);
		if (*words)
			return d->verbs[i];
	}
	return refuse(d, argc, argv, e);
}
