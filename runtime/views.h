/* SPDX-License-Identifier: Apache-2.0 */
/*
 * views.h - /proc as an instance's own: files over the kernel's that tell of its share of the machine, not of all of it.
 *
 *	ctr (views_open)			an instance			the viewer (views_serve)
 *	makes a file on a tmpfs of ctr's own,
 *	says in an attribute of it what it is
 *	of, clones its mount
 *	  -> the mount goes over the kernel's
 *	removes its name (views_close)		open(), read()
 *						  the kernel asks (fanotify(7))	reads the cgroup, writes the file, allows it
 *
 * So there is nothing to clean up: a file goes with the mount namespace that shows it. One viewer serves all instances of a run
 * directory, since a host has 128 fanotify groups; it keeps nothing that is not in the files, starts with the first instance that
 * needs it and ends with the last. If it is killed, files are read as they are, without delay, and the next start makes another.
 *
 * Needs root in the initial user namespace. Where something is missing, the kernel's own files are seen, as in other runtimes.
 */
#ifndef CTR_VIEWS_H
#define CTR_VIEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct str;

#define VIEWS 5

struct view {
	const char *path; /* what it covers */
	int tree;	  /* a detached mount of a file; -1: none, the kernel's own stays */
};

struct views {
	struct view of[VIEWS];
	int dir; /* where the files have names until they are closed; -1 */
	pid_t maker;
};

/* All of them, without trees. */
void views_init(struct views *v);

/*
 * Opens the trees, for an instance of the run directory @run that is about to begin in the cgroup at @cgroup (absolute, not made yet).
 * @memory: the cgroup will have the memory controller. What cannot be is left out, with a debug line.
 */
void views_open(const char *run, const char *cgroup, bool memory, struct views *v);

/* Once they are in place, or not to be. */
void views_close(struct views *v);

/* ---- the viewer ---- */

/* The program's name of a viewer, which no person's command has, and where it finds its descriptors. */
#define VIEWER "ctr: views"
enum { VIEWS_GROUP = 3, VIEWS_LOCK = 4, VIEWS_DIR = 5, VIEWS_RUN = 6 };

/* Serves until no instance is left; the exit code. */
int views_serve(void);

/* ---- what it writes ---- */

struct share {
	int cgroup;	  /* an open directory of a cgroup2 file system */
	int64_t begun_ns; /* CLOCK_BOOTTIME */
	int file;	  /* keeps what has to be known the next time; -1: nothing does */
};

/* The text of the file called @name ("meminfo", "stat", ...), as the kernel has it, of this share. -1 and *e. */
int view_write(const char *name, const struct share *s, struct str *out, struct err *e);

#endif
