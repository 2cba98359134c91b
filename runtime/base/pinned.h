/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinned.h - mounts that outlive commands: a mount namespace of ctr's own, pinned at @run/mounts. It holds a tmpfs with a directory
 * for each mount, and nothing of the host's, so that it keeps no file system of the host busy but what is put there. Instances get
 * clones: the images' roots (images/mount.c) and what /proc shows them (views.h).
 */
#ifndef CTR_PINNED_H
#define CTR_PINNED_H

struct err;

/*
 * Runs @f(@arg) in a child that shares memory and descriptors, but neither root, working directory nor namespaces, and has entered the
 * mount namespace @ns (-1: stays). 0, or -1 with errno as @f left it. A process of its own because setns(2) moves root and working
 * directory, which do not come back. It costs about as much as a system call that sleeps, since this process waits. @f has 12 KiB of
 * stack.
 */
int pinned_work(int ns, int (*f)(void *arg), void *arg);

/* A descriptor of the namespace; -1 when none is pinned. */
int pinned_open(const char *run);

/* Takes the lock under which it is made and changed; a descriptor, whose closing gives it back. Makes @run. -1 and *e. */
int pinned_lock(const char *run, struct err *e);

/* Under the lock: the namespace, made if there is none; -1 with errno. */
int pinned_need(const char *run);

/* For @f of pinned_work(): a clone of the mount at @path (from "/"), and @tree put there, in a directory that is made. -1 with errno. */
int pinned_clone(const char *path);
int pinned_place(int tree, const char *path);

#endif
