/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idrange.h - ranges of host ids, one for each instance with a user namespace of its own.
 *
 * Ids belong to whole ranges of 65536 (INSTANCE_IDS), numbered by slots. Where they lie: the first entry of
 * user "ctr" in /etc/subuid that /etc/subgid repeats, if there is one with room for a range; else 12288
 * ranges from 1073741824 (0x40000000) on, the upper part of what systemd's documentation of uids and gids sets aside
 * for containers (524288..1879048191), of which other programs use the lower.
 *
 * In a user namespace other than the host's first there are none: nobody there may map the ids of a file system (mount_setattr(2)), so
 * its instances have user namespaces of the ids that there are.
 *
 * A table on tmpfs says which slots are taken: one bit each, so taking and giving back are a lock, a read and
 * two writes of at most two kilobytes, whatever the number of instances. The table is a cache of the
 * directories that own ranges (instances.h). It is marked invalid while it is open: when its holder dies, as
 * when it is missing after a reboot, the next one to open it learns from the caller's @fill what is taken.
 * So whatever the holder does to directories between open and close is one change with what it does to the
 * table. Slots are handed out in a circle, so that a range rests as long as possible before another instance
 * gets it.
 */
#ifndef CTR_IDRANGE_H
#define CTR_IDRANGE_H

#include <stdint.h>

struct err;

#define IDRANGE_NONE  UINT32_MAX
#define IDRANGE_FIRST 0x40000000u
#define IDRANGE_COUNT 12288u

/* The table, locked. */
struct idranges {
	int fd;
	uint32_t first, count, next; /* count 0: no ranges here */
	uint8_t taken[(IDRANGE_COUNT + 7) / 8];
};

/*
 * Locks the table "idrange" in the directory @run and reads it; where it is missing or invalid, calls @fill to
 * learn by idrange_mark() what is taken, and looks up which ids there are. Waits for its lock, which is to
 * be held for a few system calls only. On success close with idrange_close().
 */
int idrange_open(int run, int (*fill)(struct idranges *r, void *arg, struct err *e), void *arg,
		 struct idranges *r, struct err *e);

/* Writes the table, which is valid again, and unlocks. */
int idrange_close(struct idranges *r, struct err *e);

/* A free slot, not yet taken, or IDRANGE_NONE and *e. That of the ids from @host on, if it is free; 0: whichever. */
uint32_t idrange_free_slot(const struct idranges *r, uint64_t host, struct err *e);

/* Takes or gives back a slot; IDRANGE_NONE is accepted and is nothing. */
void idrange_take(struct idranges *r, uint32_t slot);
void idrange_give(struct idranges *r, uint32_t slot);

/* For @fill: the ids from @host on are taken. Ids outside of the ranges are not this table's business. */
void idrange_mark(struct idranges *r, uint32_t host);

/* First host id of a slot, and back (IDRANGE_NONE: not the beginning of one). */
uint32_t idrange_host(const struct idranges *r, uint32_t slot);
uint32_t idrange_slot(const struct idranges *r, uint64_t host);

#endif
