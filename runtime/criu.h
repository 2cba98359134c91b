/* SPDX-License-Identifier: Apache-2.0 */
/*
 * criu.h - one run of criu(8) as a child that takes requests over a socket (`criu swrk`).
 *
 * CRIU is a program of its own, found in PATH and needed by nothing else: no library of it is linked.
 */
#ifndef CTR_CRIU_H
#define CTR_CRIU_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "runtime/criu_rpc.h"

struct err;
struct str;

struct criu {
	pid_t pid;
	int sock;
	int log_dir;	 /* where it writes its log: the caller's */
	const char *log; /* the name of it; NULL: none */
};

struct criu_child {
	const char *program; /* from criu_find() */
	int cgroup;	     /* it is born there; -1: in ours */
	const int *fds;	     /* it has them as descriptors 4, 5, ... */
	size_t n_fds;
	const int *
		streams; /* three: its standard streams, which a restored process gets back; -1: ours. NULL: /dev/null */
	bool die_with_us;
	/*
	 * Runs in the child before criu does; may send packets to the parent, who reads them from criu.sock. NULL: nothing.
	 * It exits itself if it fails.
	 */
	void (*prepare)(int sock, void *arg);
	void *arg;
};

#define CRIU_FIRST_FD 4

/* What criu_ask() calls for each notification: @fd is a descriptor that came along, or -1, and stays the caller's. */
typedef int criu_notified(const struct criu_answer *notice, int fd, void *arg, struct err *e);

/* The path of the program, in PATH or where distributions put it, into @path. 0, or -1 and *e that names the cure. */
int criu_find(char *path, size_t size, struct err *e);

/* Starts it. *c is to be ended with criu_end(). */
int criu_start(const struct criu_child *how, struct criu *c, struct err *e);

/*
 * Sends a request and answers notifications until its answer comes. A failing @notified makes CRIU undo what it did, and its
 * error is what is reported; else, if CRIU fails, the first error in its log.
 */
int criu_ask(struct criu *c, const struct str *request, criu_notified *notified, void *arg,
	     struct criu_answer *a, struct err *e);

/* Closes the socket and waits for it to exit; its exit code as waitpid(2) gives it. */
int criu_end(struct criu *c);

/* ERR_NOT_SUPPORTED unless CRIU says that it and this kernel have what is asked for. */
int criu_check_features(const char *program, bool memory_tracking, bool lazy_pages, struct err *e);

/*
 * Writes what this machine's processor can do into the directory @images; or with @check compares it with what was written there:
 * ERR_NOT_SUPPORTED if programs that saw that one could not go on here.
 */
int criu_processor(const char *program, int images, bool check, struct err *e);

/*
 * The first error that a text of CRIU's log tells of, without place and time, in @out. False if there is none. Not
 * one are its complaints about limits that it cannot raise for itself.
 */
bool criu_log_error(const char *text, char *out, size_t size);

#endif
