/*
 * sandbox.h - leaves this process with its input, one directory, and little else.
 */
#ifndef CTR_UNPACK_SANDBOX_H
#define CTR_UNPACK_SANDBOX_H

struct err;
struct unpack_request;

/*
 * In order: limits; namespaces of mounts, network and IPC; @target (closed then) as root and working
 * directory, with nosuid, nodev, noexec, and nothing else mounted; capabilities CHOWN, DAC_OVERRIDE, FOWNER,
 * FSETID and SETFCAP alone; no new privileges. Threads made afterwards inherit all of it; each library
 * function that loads files must have been called before. 0, or -1 and *e.
 */
int sandbox_enter(int target, const struct unpack_request *q, struct err *e);

/*
 * The list of system calls. From here on any other call kills the process: there are no new programs, sockets,
 * mounts or executable pages.
 */
int sandbox_close(struct err *e);

#endif
