/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrate.h - what the two sides of `ctr migrate` say to each other, over the standard streams of `ssh HOST ctr migrate-receive NAME`.
 *
 * The receiver begins with MIGRATE_GREETING. Then it is told one thing at a time, a line each, and answers each in lines:
 *
 *	check	a part follows, of the configuration alone: would it fit?
 *	processor	files follow, of a directory: is that processor here as well, and whatever else memory needs? Comes after "check"
 *	state	a part follows: the instance, or what is new of it. It is not started, and goes with the connection
 *	memory NAME [PARENT]	files follow, of the memory that it goes on from (suspend.h)
 *	finish	it is to stay
 *	start	and to run
 *	ask UUID	is that one here? "absent", "arrived" (never started yet) or "started" in place of "ok"
 *	remove UUID	it is not to stay
 *
 *	wrong TEXT	what does not fit
 *	note TEXT	good to know
 *	ok [UUID]	done; of the instance there
 *	failed TEXT	not done
 *
 * A part is a file as move.h has it, in chunks: four bytes of length, the highest first, and as many bytes; a length of 0 ends it. Files of
 * memory come in such chunks too, as migrate_memory.c writes them.
 */
#ifndef CTR_MIGRATE_H
#define CTR_MIGRATE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

#define MIGRATE_GREETING "ctr-migrate 1"
#define MIGRATE_LINE	 1024 /* bytes of a line, its end included */
#define MIGRATE_CHUNK	 (1u << 18)

/* In the directory of an instance that may run elsewhere: "DESTINATION\nUUID\n", until that is known. */
#define MIGRATE_MARK "moving"

/* A line without its end. The number of bytes; 0 at the end of the connection, -1 with errno. */
ssize_t migrate_read_line(int fd, char line[MIGRATE_LINE]);

/* Exactly so many bytes, or -1. */
int migrate_read(int fd, void *data, size_t len);

/* All plain files in @dir but logs, to @out; and from @in into @dir, which is empty. */
int memory_send(int dir, int out, struct err *e);
int memory_receive(int in, int dir, struct err *e);

#endif
