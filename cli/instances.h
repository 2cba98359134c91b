/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instances.h - what the verbs on instances share.
 */
#ifndef CTR_CLI_INSTANCES_H
#define CTR_CLI_INSTANCES_H

#include <stdbool.h>

#include "runtime/instances.h"

struct cli;
struct err;
struct str;

/*
 * Opens the instances and finishes what commands that died have left. Every verb on instances begins so, also
 * those that only look: what they show is then true.
 */
int open_instances(struct cli *c, struct instances *all);

/*
 * Calls @one for each instance that the operands name or match. Goes on after a failure; the last one is
 * returned (-1, *c->e), others are printed. With @parallel up to PARALLEL at once, each in a process of its own: for
 * what waits, and prints nothing whose order matters.
 */
#define PARALLEL 16
int each_instance(struct cli *c, const struct instances *all, char **operands, bool parallel,
		  int (*one)(struct cli *c, const struct instances *all, const char *name,
			     struct err *e));

/* Standard output: the text, with a newline, and whether it arrived. */
int print_text(struct cli *c, struct str *text);

#endif
