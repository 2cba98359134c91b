/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover.h - what a caller such as conmon or containerd's shim gets of a new process. Parent side.
 */
#ifndef CTR_HANDOVER_H
#define CTR_HANDOVER_H

#include <sys/types.h>

struct err;

/* Sends a copy of @fd over the connected socket @socket, with @name as the message. @socket -1: nothing. */
int fd_send(int socket, int fd, const char *name, struct err *e);

/*
 * Sends the master side of the payload's pty over the connected socket @socket, its name being the message
 * (the agreement of runc, crun and conmon), and closes it: *@master becomes -1. @socket -1: nothing.
 */
int console_send(int socket, int *master, struct err *e);

/* Writes @pid to the file @path, complete or not at all; its readers do not wait. NULL: nothing. */
int pid_file_write(const char *path, pid_t pid, struct err *e);

#endif
