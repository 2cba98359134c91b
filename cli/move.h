/* SPDX-License-Identifier: Apache-2.0 */
/*
 * move.h - an instance as one file.
 */
#ifndef CTR_CLI_MOVE_H
#define CTR_CLI_MOVE_H

struct cli;
struct instances;

/* Writes the instance @name, whether it runs or not, with image and snapshots to @fd. The exit code, or -1. */
int move_export(struct cli *c, const struct instances *all, const char *name, int fd);

#endif
