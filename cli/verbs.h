/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs.h - the verbs of both front doors, as rows.
 *
 * A verb is one `const struct verb`, defined in the file that implements it and listed in verbs.c. Usage,
 * help, shell completion and the check against man/ come from these rows; main.c finds the row, fills
 * the verb's options struct and calls its function. A verb thus begins with its operands and its options
 * read, and prints only what it was asked for: a failure is returned, and printed by main.c.
 */
#ifndef CTR_VERBS_H
#define CTR_VERBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cli/options.h"
#include "runtime/base/str.h"
#include "runtime/spec.h"
#include "runtime/state.h"

struct arena;
struct door;
struct err;
struct verb;

/* The newest runtime specification that is understood. */
#define OCI_SPEC "1.3.0"

/*
 * Exit codes: ctr(1), "EXIT STATUS", promises them. Verbs with VERB_PAYLOAD return the payload's own, or 128 + signal.
 */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	/* of ctr alone; ctr-oci has runc's */
	EXIT_NO_SUCH = 3, /* no instance, image or key of that name */
	EXIT_STATE =
		4, /* it is in a state that forbids it, or was so already (--strict), or the name is taken */
	EXIT_BUSY = 5,		 /* something that had to happen first did not in time */
	EXIT_REFUSED = 6,	 /* this machine cannot do or enforce what was asked */
	EXIT_CTR_FAILED = 125,	 /* run, exec: ctr itself failed */
	EXIT_CMD_NOT_EXEC = 126, /* the command was found, and cannot be executed */
	EXIT_CMD_NOT_FOUND = 127,
};

/* The options in front of the verb. */
struct global_options {
	bool debug, systemd_cgroup, version, help;
	const char *root, *log, *log_format, *cgroup_manager, *rootless;
};

/* One command, from its command line to its exit. */
struct cli {
	const struct door *door;
	const struct verb *verb;
	char **argv;		/* the command line as it came, for self_protect() */
	const char *store_root; /* images and instances: $CTR_ROOT, or /var/lib/ctr */
	const char *run_root; /* run state: $CTR_RUN or /run/ctr; of ctr-oci --root or /run/ctr-oci */
	struct str run_root_text; /* owns run_root if it was put together */
	bool json;		  /* --json was given (VERB_JSON) */
	bool told;		  /* the failure was printed as JSON already */
	bool strict;		  /* --strict was given (VERB_STRICT) */
	struct opt_u64 jobs;	  /* --jobs was given (VERB_MANY) */
	int code;		  /* each_code() */
	void *options;		  /* the verb's own struct, filled */
	struct global_options global;
	struct err *e; /* what a failing verb sets */
	int log_fd;
	bool log_json;
	int root_fd; /* of run_root, once open; else -1 */
	/* With NEED_STATE: */
	struct arena *arena;
	struct state_dir dir; /* open and locked; closed by main.c if the verb has not */
	struct state state;
};

/*
 * @argv holds the operands alone (argv[0] is the first), NULL-terminated. Returns the exit code; or -1 with
 * *c->e set, and main.c prints the error and chooses the code.
 */
typedef int verb_function(struct cli *c, int argc, char **argv);

enum verb_flags {
	VERB_PAYLOAD = 1 << 0, /* exits like its payload: 126 and 127 if that cannot be executed */
	VERB_OPTIONS_FIRST =
		1 << 1, /* the first operand ends the options: a payload's command line follows */
	VERB_JSON = 1 << 2,   /* takes --json (sets c->json) */
	VERB_HIDDEN = 1 << 3, /* not shown in help: for ctr itself */
	VERB_MANY = 1 << 5,   /* works on many instances at once: takes --jobs */
	VERB_STRICT =
		1 << 6, /* what is so already is no failure: takes --strict, by which it is one */
	VERB_SELF_PROTECT =
		1 << 4, /* its payload may share the host's user namespace: see runtime/self.h */
	VERB_ANYWHERE = 1 << 11, /* touches neither instances nor images: rootless.h */
	VERB_STARTS = 1 << 12,	 /* starts instances, which are to be reached */
	NEED_ID = 1 << 8,	 /* the first operand is a container's id: its grammar is checked */
	NEED_STATE = 1 << 9,	 /* and it exists: c->dir and c->state (OCI door) */
	NEED_NO_LOCK =
		1 << 10, /* with NEED_STATE: works on a container that another command has locked */
};

struct verb {
	const char *name; /* "run", "image import": at most two words */
	const char *
		aliases; /* further names with the same first word or alone, blank-separated; NULL */
	verb_function *run;
	unsigned flags;
	int failure; /* exit code of its own failures; 0: 1, or 2 for a wrong command line */
	const char *operands; /* as in the usage line: "IMAGE [CMD [ARG...]]"; NULL: none */
	int min, max;	      /* number of operands; max -1: any */
	const char *help;     /* one line, lower case, no full stop */
	const struct option_row *rows; /* NULL: no options */
	size_t options_size;
	const char *more; /* paragraphs for `ctr VERB --help`; NULL */
};

/* A front door: the program's name says which. */
struct door {
	const char *program;		  /* "ctr", "ctr-oci" */
	const char *about;		  /* one line */
	const struct verb *const *verbs;  /* NULL-terminated, in the order of the help */
	const struct option_row *globals; /* of struct global_options */
	unsigned mode;			  /* enum option_mode, for its verbs */
	int usage_failure;		  /* exit code for a wrong command line */
	/* What its verbs need beyond their rows, before and after they run; NULL: nothing. */
	int (*enter)(struct cli *c, char **argv);
	void (*leave)(struct cli *c);
};

extern const struct door door_ctr, door_oci;

/*
 * The options that the verb takes beside its own, members of struct cli, as tables of rows: at most
 * VERB_COMMON_MAX, then NULL.
 */
#define VERB_COMMON_MAX 3
void verb_common(const struct verb *v, const struct option_row *tables[VERB_COMMON_MAX + 1]);

/* What a program is told of a failure: "no-such", ...; the kernel's failures are "system". */
const char *error_name(int code);
enum exit_code error_exit(int code);

/*
 * The verb that argv begins with; *words is how many words its name takes. NULL and *e (ERR_USAGE, with the
 * nearest) if there is none.
 */
const struct verb *verb_find(const struct door *d, int argc, char **argv, int *words,
			     struct err *e);

/* Prints what `ctr help`, `ctr VERB --help` and `ctr --version` print. 0. */
int help_print_door(const struct door *d, FILE *out);
int help_print_verb(const struct door *d, const struct verb *v, FILE *out);
int help_print_version(const struct door *d);

/*
 * The verbs, each defined in the file of its name. Another verb: a declaration here and a line in verbs.c.
 */
extern const struct verb verb_run, verb_create;			    /* run.c */
extern const struct verb verb_set, verb_unset, verb_get, verb_edit; /* set.c */
extern const struct verb verb_snapshot_create, verb_snapshot_list, verb_snapshot_rm,
	verb_snapshot_prune, verb_snapshot_mount, verb_rollback; /* snapshot.c */
extern const struct verb verb_net_create, verb_net_ls, verb_net_inspect, verb_net_rm,
	verb_net_connect, verb_net_disconnect;				       /* net.c */
extern const struct verb verb_restore;					       /* cp.c */
extern const struct verb verb_check;					       /* check.c */
extern const struct verb verb_fw;					       /* fw.c */
extern const struct verb verb_clone, verb_tree;				       /* clone.c */
extern const struct verb verb_start, verb_stop, verb_kill, verb_wait, verb_rm; /* instance.c */
extern const struct verb verb_autostart;				       /* autostart.c */
extern const struct verb verb_health_watch;				       /* health.c */
extern const struct verb verb_restart;					       /* restart.c */
extern const struct verb verb_pause, verb_resume;			       /* pause.c */
extern const struct verb verb_suspend;					       /* suspend.c */
extern const struct verb verb_rename;					       /* rename.c */
extern const struct verb verb_stats, verb_top;				       /* stats.c */
extern const struct verb verb_list, verb_info, verb_inspect;		       /* list.c */
extern const struct verb verb_logs;					       /* logs.c */
extern const struct verb verb_events;					       /* events.c */
extern const struct verb verb_exec, verb_shell;				       /* exec.c */
extern const struct verb verb_attach;					       /* attach.c */
extern const struct verb verb_image_import, verb_image_ls, verb_image_rm;      /* image.c */
extern const struct verb verb_help, verb_version;			       /* help.c */
extern const struct verb verb_doctor;					       /* doctor.c */
extern const struct verb verb_density;					       /* density.c */
extern const struct verb verb_selftest_noisy, verb_selftest_act;	       /* selftest.c */
extern const struct verb verb_completion;				       /* completion.c */
extern const struct verb verb_plan;					       /* plan.c */
extern const struct verb verb_image_tag, verb_image_untag, verb_image_prune, verb_image_inspect,
	verb_image_history, verb_image_verify, verb_image_save; /* image_names.c */
extern const struct verb verb_image_files, verb_image_cat, verb_image_diff, verb_image_mount,
	verb_image_unmount;				      /* image_files.c */
extern const struct verb verb_diff, verb_export, verb_commit; /* export.c */
extern const struct verb verb_import;			      /* move_in.c */
extern const struct verb verb_migrate, verb_migrate_receive;  /* migrate.c, migrate_in.c */
extern const struct verb verb_backup, verb_backup_restore, verb_backup_verify; /* backup.c */
extern const struct verb verb_cp;					       /* cp.c */
extern const struct verb verb_usage, verb_usage_verify, verb_usage_sample,
	verb_metrics; /* usage.c */
extern const struct verb verb_oci_help, verb_oci_version;
extern const struct verb verb_oci_create, verb_oci_run; /* oci_create.c */
extern const struct verb verb_oci_start, verb_oci_state, verb_oci_kill, verb_oci_delete,
	verb_oci_pause, verb_oci_resume;			/* oci_life.c */
extern const struct verb verb_oci_exec;				/* oci_exec.c */
extern const struct verb verb_oci_spec, verb_oci_features;	/* oci_spec.c */
extern const struct verb verb_oci_list, verb_oci_ps;		/* oci_list.c */
extern const struct verb verb_oci_checkpoint, verb_oci_restore; /* oci_checkpoint.c */
extern const struct verb verb_oci_update;			/* oci_update.c */
extern const struct verb verb_oci_events;			/* oci_events.c */

#endif
