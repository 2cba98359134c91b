/* SPDX-License-Identifier: Apache-2.0 */
/*
 * self.h - the running program's own file, and whether its payload could write to it.
 *
 * A payload that shares the host's user namespace can open /proc/PID/exe of a process that is about to
 * execute it, and overwrite the runtime once that has ended (CVE-2019-5736: "#!/proc/self/exe" as the
 * command, for one). So before such a process is made, the program runs from a copy that nobody can write.
 */
#ifndef CTR_SELF_H
#define CTR_SELF_H

#include <stdbool.h>

struct err;

/*
 * Returns 0 at once if the program runs from a file system or a file that cannot be written through it: a
 * read-only mount, a sealed memory file, or (not as root) a file that this user could not write anyway.
 * Otherwise executes itself again, with @argv and the environment as they are, from a read-only
 * clone of its mount or, where that cannot be made, from a sealed copy in memory; then it does not return.
 * Call it first in a command: descriptors that are open and not close-on-exec stay so. -1 and *e if
 * neither can be done.
 */
int self_protect(char **argv, struct err *e);

#endif
