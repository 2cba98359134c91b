/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h - the files by which an installation is told from every other: machine-id, host keys, DHCP identifiers, seeds. Two instances
 * with the same are one to the rest of the world.
 */
#ifndef CTR_CLI_IDENTITY_H
#define CTR_CLI_IDENTITY_H

#include <stdbool.h>

struct err;

/* Called with @name in the directory @dir, which is @path of the instance without its first '/'. -1 and *e ends the walk. */
typedef int identity_function(void *arg, int dir, const char *path, const char *name, bool key,
			      struct err *e);

/* All that there are in the root file system @root. 0, or -1 and *e. */
int identity_each(int root, identity_function *f, void *arg, struct err *e);

/* Removes them; SSH host keys, which no service makes anew, are made here, by ssh-keygen(1). 0, or -1 and *e. */
int identity_forget(int root, struct err *e);

/* How many there are; -1 and *e. */
int identity_count(int root, struct err *e);

#endif
