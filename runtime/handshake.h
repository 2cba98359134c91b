/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handshake.h - what parent and child say to each other while a container is made.
 *
 * Messages have names, and the listener says which one it expects: any other is an error that names
 * both. A child's failure arrives in the child's own words.
 */
#ifndef CTR_HANDSHAKE_H
#define CTR_HANDSHAKE_H

#include <stddef.h>
#include <sys/types.h>

struct err;

enum msg {
	MSG_MAPPED = 1, /* parent: your ids are mapped; here are the mounts that I opened */
	MSG_NETNS,	/* parent: here is your network namespace; child: here is mine */
	MSG_CLONED,	/* the process that joined namespaces: this is the pid of the payload */
	MSG_TO_MAP,	/* child: here is a mount of my own, whose ids only you may map */
	MSG_MAP_SET,	/* parent: they are mapped */
	MSG_MOUNTED,	/* child: everything is mounted, the hooks before pivot_root may run */
	MSG_HOOKS_DONE, /* parent: they ran */
	MSG_GO,		/* parent: you are confined and recorded, and ignore these signals */
	MSG_CREATED, /* child: nothing can fail any more but the last stage; here is my console */
	MSG_START,   /* start: execute the payload */
	MSG_LISTENER, /* child: my filter notifies, and this is the number of its listener's descriptor */
	MSG_LISTENER_SENT, /* parent, start: who listens has it */
	MSG_UNSHARED, /* child: I have a user namespace, whose ids are to be mapped (rootless.c) */
	MSG_FAILED,   /* child: with its error */
};

/* Descriptors in one message: the kernel's SCM_MAX_FD is 253. */
#define MSG_MAX_FDS 253

/* Two connected ends, close-on-exec, packets kept whole. */
int handshake_pair(int ends[2], struct err *e);

/* Says @m. With descriptors the receiver gets copies of @fds. */
int say(int sock, enum msg m, struct err *e);
int say_fds(int sock, enum msg m, const int *fds, size_t n, struct err *e);
int say_number(int sock, enum msg m, int number, struct err *e);

/* Sends the error itself; for a child that is about to exit. A dead listener is no matter. */
void say_failed(int sock, const struct err *e);

/*
 * Waits for @m. A failure said by the other side becomes *e. The other side's end without a word is an
 * error too. hear_fds() stores up to *n descriptors and sets *n; they are the caller's, close-on-exec.
 */
int hear(int sock, enum msg m, struct err *e);
int hear_number(int sock, enum msg m, int *number, struct err *e);
int hear_fds(int sock, enum msg m, int *fds, size_t *n, struct err *e);

/*
 * Waits for the child @teller to end, and hears the pid that it said before. Its end is waited for first: the
 * process it made has the socket as well, and would be waiting for us if @teller was killed before it spoke.
 */
int hear_pid(int sock, pid_t teller, pid_t *pid, struct err *e);

/*
 * Says the number of a seccomp listener, by write(2): the one call that a filter may not notify, since before this is
 * heard nobody could answer.
 */
int say_listener(int sock, int fd, struct err *e);

/* As hear_end(); or 1 and *fd if the other side says a listener's number instead. */
int hear_listener(int sock, int *fd, struct err *e);

/* Waits for the other side to close its end, which exec does for the child. Its failure becomes *e. */
int hear_end(int sock, struct err *e);

/*
 * To be called when something of one's own failed, with *e set: if the reason may be that the other side is dead
 * (EPIPE, ECONNRESET, ESRCH), and it said why before it died, *e becomes what it said. Does not wait.
 */
void hear_why(int sock, struct err *e);

#endif
