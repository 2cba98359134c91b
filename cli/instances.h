/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instances.h - what the verbs on instances share: from names and patterns to instances, many at once, and how it went.
 */
#ifndef CTR_CLI_INSTANCES_H
#define CTR_CLI_INSTANCES_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/options.h"
#include "runtime/instances.h"
#include "runtime/spec.h"

struct cli;
struct err;
struct json_writer;
struct running;
struct str;

/* Of all JSON that ctr prints, as the member "version". Readers must tolerate members that are added. */
#define FORMAT_VERSION 1

/*
 * Opens the instances and finishes what commands that died have left. Every verb on instances begins so, also
 * those that only look: what they show is then true.
 */
int open_instances(struct cli *c, struct instances *all);

/* Disk limits are to hold, of those open as @all: from now on they do, or -1 and *e. No lock is held. */
int make_room_for_limits(struct instances *all, struct err *e);

/*
 * What a verb does to one instance. 0: done. 1: nothing was to be done, *e says why: a note on standard error, or with
 * --strict a failure. -1: *e.
 */
typedef int one_function(struct cli *c, const struct instances *all, const char *name,
			 struct err *e);

enum each_flags {
	EACH_ALONE = 1 << 0,	  /* one after the other, in this process */
	EACH_MISSING_OK = 1 << 1, /* a name that is not there is as good as done */
};

/*
 * Calls @one for each instance that the operands name or match, once, --jobs at a time and each in a process of its
 * own. Goes on after a failure. With --json prints {"version","results":[{"name","result"}]}, in order, where result is
 * "done", "unchanged" (and "note") or "failed" (and "error"). The last failure is returned (-1, *c->e), the others are
 * printed; if they are not of one kind it becomes ERR_INVALID.
 */
int each_instance(struct cli *c, const struct instances *all, char **operands, unsigned flags,
		  one_function *one);

/* In a one_function: a number that is the result, which --json prints as "code". */
void each_code(struct cli *c, int code);

/*
 * The names of all that the operands name or match, as instances_match(); but a name that is not there does not hide
 * the others: with @missing_ok it is passed over. Free *names.
 */
int match_instances(const struct instances *all, char **operands, bool missing_ok, char ***names,
		    size_t *n, struct err *e);

/* Good to know, but not what was asked for: and nothing to spoil a pipe with. */
void notice(const char *text, const char *name);

/* Asks on the terminal, if standard input and error are one. True: "y" was answered. */
bool confirm(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool can_ask(void);

/* Standard output: the text, with a newline, and whether it arrived. */
int print_text(struct cli *c, struct str *text);

/* "code", "message" of an error, as the member "error". */
void put_error(struct json_writer *w, const struct err *e);

/* ---- instance.c, pause.c: for more verbs than one ---- */

struct stop_options {
	struct opt_u64 timeout;
	const char *signal;
};

#define STOP_ROWS                                                                                      \
	NUMBER_ROW(                                                                                    \
		struct stop_options, timeout, "time", 't', "SECONDS",                                  \
		"kill it after so long (default 10, for a system 30, or what its configuration says)", \
		0, 86400),                                                                             \
		STRING_ROW(struct stop_options, signal, "signal", 's', "SIGNAL",                       \
			   "what asks it to stop")

int check_stop_options(const struct stop_options *o, struct err *e);
one_function start_one;

/* Asks it to end, as @o says, and ends it; NULL: at once. The watcher has done its work on return. */
int end_instance(struct cli *c, const struct instances *all, const char *name,
		 const struct stop_options *o, struct running *r, struct err *e);

/* Stops all its processes in their tracks, or lets them go on. 1 and *e if they are so already. */
int set_frozen(const struct instances *all, const char *name, bool frozen, struct err *e);

/* Lets go of the mounts of images of which no instance runs (mounts.c). Never fails: one that stays costs little. */
void unmount_unused(struct cli *c, const struct instances *all);

/* Protects this program if one of the instances shares the host's user namespace, and could reach it. */
int protect_from(struct cli *c, const struct instances *all, char **operands);

#endif
