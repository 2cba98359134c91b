/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts.h - instances of one network find each other by name: a file in the form of hosts(5) for each network, which
 * those that are in it see as their /etc/hosts, read-only.
 *
 *	<run>/names/NETWORK	"ADDRESS NAME" of each that runs there
 *	<run>/names/A+B		the same of both, for those that are in both
 *
 * A start appends a line, an end makes it a comment by writing one byte: so whoever reads meanwhile sees whole lines, nothing is
 * rewritten for thousands of others, and no process serves anything. What a kill left is a line whose name answers to nobody;
 * the next start of that name takes it out, and one in many makes the file anew. Each file is its own lock (flock(2)).
 */
#ifndef CTR_HOSTS_H
#define CTR_HOSTS_H

#include <stddef.h>

struct err;
struct instances;

#define HOSTS_NAME_MAX 255 /* "A+B+C" */

/* One of an instance's addresses. */
struct hosts_line {
	const char *network;
	const char *address; /* "10.77.0.5", "fd12::5" */
};

/*
 * The file that an instance in these networks (in order, the same one twice is one) sees, absolute, into @out. 1; 0 if it is in none;
 * -1 and *e.
 */
int hosts_path(const struct instances *all, const struct hosts_line *lines, size_t n, char *out,
	       size_t size, struct err *e);

/* Makes the files that are missing; before that file is mounted. */
int hosts_prepare(const struct instances *all, const struct hosts_line *lines, size_t n,
		  struct err *e);

/* Adds them under @name, in place of what the name had. Before its payload starts. */
int hosts_add(const struct instances *all, const char *name, const struct hosts_line *lines,
	      size_t n, struct err *e);

/* Takes the name out of all files. Never fails: a line that stays leads nowhere. */
void hosts_remove(const struct instances *all, const char *name);

#endif
