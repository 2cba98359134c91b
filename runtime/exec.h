/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec.h - the last steps of a process before it is the payload's; shared by a container's first process and
 * by those that join it later. Child side only.
 */
#ifndef CTR_EXEC_H
#define CTR_EXEC_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct process_spec;

/*
 * Looks for process.args[0], inside the new root, as execvp(3) would with the payload's own PATH. ERR_CMD_NOT_FOUND
 * or ERR_CMD_NOT_EXEC; the words are those that podman and containerd look for.
 */
int exec_find(const struct process_spec *p, struct err *e);

/*
 * Standard streams: the pty @console, as controlling terminal of the session that the caller leads; or if that
 * is -1 the descriptors @stdio, -1 among them meaning "as inherited".
 */
int exec_set_stdio(const int stdio[3], int console, struct err *e);

/*
 * Default handlers, nothing blocked, nothing ignored: @ignored has bit n-1 for a signal n that is. What execve(2) keeps of the caller is
 * only this. exec_ignored_signals() asks for each signal; who has the text of /proc/PID/stat at hand (process_look()) knows them all.
 */
uint32_t exec_ignored_signals(void);
int exec_reset_signals(uint32_t ignored, struct err *e);

/*
 * Closes all descriptors above 2 + @preserve but the @n in @keep (-1 among them is nothing), which must be
 * close-on-exec. At once, not by execve: that looks its program up first, and the name of one, or of a script's
 * interpreter, can lead through a directory that is still open: /proc/self/fd/7/../bin/sh (CVE-2024-21626). So what
 * is kept is no directory of the host.
 */
int exec_close_files(unsigned preserve, const int *keep, size_t n, struct err *e);

/*
 * Where process.env names no HOME: "HOME=" and what the container's /etc/passwd says of the user, else "/", as runc has
 * it; an empty @home where it does. To be called in the new root, before a filter could refuse to read. What is wrong
 * with that file is no failure.
 */
#define EXEC_HOME_MAX 1024
void exec_find_home(const struct process_spec *p, char home[EXEC_HOME_MAX]);

/* The payload's environment: process.env, and @home if that is not empty. free() it, not its strings; NULL. */
const char **exec_env(const struct process_spec *p, const char *home);

/* Becomes the payload, with @home in its environment if that is not empty. Returns only on failure. */
int exec_payload(const struct process_spec *p, const char *home, struct err *e);

#endif
