/* SPDX-License-Identifier: Apache-2.0 */
/*
 * set.h - changing the configuration of an instance that exists, and the instance with it.
 */
#ifndef CTR_CLI_SET_H
#define CTR_CLI_SET_H

struct cli;
struct err;
struct instance;
struct instances;

/* Changes *i, or puts another in its place. 0, or -1 and *e. */
typedef int edit_function(struct instance **i, const void *arg, struct err *e);

/*
 * Lets @edit change the configuration of @name, makes the change in the running instance where it can be made, and writes it.
 * 0; 1 and *e if nothing changes; -1 and *e, and all is as it was.
 */
int change_instance(struct cli *c, const struct instances *all, const char *name,
		    edit_function *edit, const void *arg, struct err *e);

#endif
