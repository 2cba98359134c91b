/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn.h - programs that are run for what they do, and this one, run again: what measures `ctr` runs it as a person does.
 */
#ifndef CTR_CLI_SPAWN_H
#define CTR_CLI_SPAWN_H

struct err;
struct str;

/*
 * Runs it with these words (the first is "ctr") and without standard input; what it prints is added to @out (NULL: thrown away).
 * 0 if it exits with 0; else -1 and *e with what it said on standard error, warnings apart (ERR_INVALID).
 */
int spawn_self(const char *const *argv, struct str *out, struct err *e);

/* The same for argv[0], found by PATH. ERR_NOT_SUPPORTED if it is not installed, which is of the Debian package @package. */
int spawn_program(const char *const *argv, const char *package, struct str *out, struct err *e);

#endif
