/* SPDX-License-Identifier: Apache-2.0 */
/* program.h - other programs, run and waited for. */
#ifndef CTR_PROGRAM_H
#define CTR_PROGRAM_H

#include <stdbool.h>

struct err;

#define PROGRAM_MISSING 127

/*
 * Runs argv[0], found by PATH, with our standard streams; @quiet: without standard error. Its exit code, PROGRAM_MISSING if it cannot be
 * executed; -1 and *e when it was killed, or could not be started.
 */
int program_run(char *const argv[], bool quiet, struct err *e);

/* What each cp(1) of ours keeps, and how it copies. */
#define PROGRAM_CP_KEEPS "--preserve=mode,ownership,timestamps,links,xattr", "--reflink=auto"

/*
 * What is in directory @from, into directory @to, by cp(1) of coreutils: links, holes, special files, times and attributes are kept, and
 * reflinks are made if they can be. @lives: what goes or changes meanwhile is no failure.
 */
int program_copy_tree(const char *from, const char *to, bool lives, struct err *e);

#endif
