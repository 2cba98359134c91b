/* SPDX-License-Identifier: Apache-2.0 */
/*
 * footprint.h - what instances take of the machine: the host's counters, and their processes.
 */
#ifndef CTR_CLI_FOOTPRINT_H
#define CTR_CLI_FOOTPRINT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct instances;

/* Causes of memory, of the host or of some instances. Which of /proc/meminfo they are: footprint.c. */
enum cause {
	MEM_SLAB, /* the kernel's objects: namespaces, mounts, sockets, inodes, cgroups */
	MEM_CACHES, /* those that it gives back when memory is short: names and inodes that nobody uses now */
	MEM_STACKS,
	MEM_TABLES,
	MEM_PERCPU,
	MEM_PAYLOAD,	/* proportional set size of what runs inside */
	MEM_SUPERVISOR, /* of the process that stays with each */
	MEM_CAUSES
};

/* "slab", ... */
const char *cause_name(enum cause c);

struct footprint {
	int64_t kib[MEM_CAUSES];
	int64_t available; /* MemAvailable, KiB */
	uint64_t processes, threads, files, inotify,
		mounts; /* mounts: of the instance that has most */
};

/* An instance's processes: those in the pid namespace of @payload, and @supervisor. 0: none. */
struct instance_pids {
	pid_t payload, supervisor;
};

/*
 * Reads the host's counters, and looks at all processes of @n instances. What a process tells of itself costs a walk of
 * its memory: some 50 us each.
 */
int footprint_read(const struct instance_pids *v, size_t n, struct footprint *f, struct err *e);

/* Waits until the kernel has freed what it frees in the background (network namespaces), at most @seconds. */
void footprint_settle(int seconds);

#endif
