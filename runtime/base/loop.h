/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - a file as a block device (loop(4)), for file systems that are mounted from nothing else.
 */
#ifndef CTR_LOOP_H
#define CTR_LOOP_H

#include <stdbool.h>

struct err;
struct stat;

/*
 * Gives the file @fd a loop device, which goes by itself with its last user, and opens it: a descriptor, to be held until it is
 * mounted; its path into @path (of 32 bytes). ERR_NOT_SUPPORTED where there are none. Linux 5.8.
 */
int loop_open(int fd, bool readonly, char path[32], struct err *e);

/* The device that has this file already, as loop_open() gives it; -1: none. */
int loop_find(const struct stat *file, char path[32]);

#endif
