/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.h - the seccomp listener of a new process on its way to linux.seccomp.listenerPath.
 *
 * A process whose filter notifies (SCMP_ACT_NOTIFY) says the number of the listener's descriptor and waits. The
 * other end of its socket, `run`, `start` or `exec`, takes the descriptor out of it (pidfd_getfd, Linux 5.6), sends it to
 * the socket in the host's file system with the container process state of the specification (config-linux.md), and
 * lets the process go on: whatever it calls from here on may be notified, and is answered.
 */
#ifndef CTR_LISTENER_H
#define CTR_LISTENER_H

#include <sys/types.h>

#include "runtime/state.h"

struct err;
struct spec;

/*
 * hear_end() of the process @pid, known by @pidfd as well, which may have a listener to be sent first. On failure the
 * caller must kill the process: it waits for an answer.
 */
int listener_hear_end(int sock, int pidfd, pid_t pid, const struct spec *s, const char *id,
		      enum status status, struct err *e);

#endif
