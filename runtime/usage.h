/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage.h - what instances have used: counters while they run, receipts when they have ended.
 *
 *	<data>/usage/000001, ...	receipts, a JSON object a line; the youngest in the last file
 *	<run>/usage			what the sampler knows of the runs that go on: memory by time
 *
 * The kernel counts processor time, I/O and network bytes itself, in an instance's cgroup and on its links, which whoever
 * works up the end of a run reads before they go (running_end()). So a run is counted whether it lived for a year or
 * for 10 ms, and whoever was killed meanwhile; nobody wakes up for it. Only memory is a level rather than a count: one process
 * for the whole machine reads it every few seconds (usage_sample()). Without it, what is known is the greatest use, which is
 * charged for USAGE_GAP seconds at most.
 *
 * The sampler also writes a receipt of each run from time to time. All receipts of a run say what it has used since its start, so the
 * last one holds, and one that is written twice, since a kill came between, changes nothing. What lies between two of them is what was
 * used then; and a loss of power loses what came after the last.
 *
 * Each receipt holds the hash of the one before it and ends with its own: none can be changed, left out or
 * added in between without that showing (usage_verify()).
 */
#ifndef CTR_USAGE_H
#define CTR_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct instance_dir;
struct instances;
struct state;
struct state_dir;

#define USAGE_GAP	   10	       /* seconds that one reading of memory stands for at most */
#define USAGE_LINE_MAX	   16384       /* bytes of a receipt */
#define USAGE_SEGMENT_SIZE (16u << 20) /* bytes of a file, after which another is begun */

struct usage {
	uint64_t alive_us; /* microseconds between start and end */
	uint64_t cpu_us;
	uint64_t memory, reserved; /* byte-seconds: what was used, what the limit was */
	uint64_t read, written;	   /* bytes of disks */
	uint64_t received, sent;   /* bytes of networks, as the instance sees it */
};

/* Adds @b to *a, never beyond UINT64_MAX. */
void usage_add(struct usage *a, const struct usage *b);

/* Takes @b, which was so earlier, from *a. */
void usage_take(struct usage *a, const struct usage *b);

/* What it was at @at_ns, when it was @from at @from_ns and @to at @to_ns: by time, as far as is known. */
struct usage usage_between(const struct usage *from, int64_t from_ns, const struct usage *to,
			   int64_t to_ns, int64_t at_ns);

struct receipt {
	uint64_t seq;
	const char *name, *uuid;
	const char *const *labels; /* "NAME=VALUE"; NULL: none */
	int64_t start_ns;	   /* of the run; CLOCK_REALTIME */
	int64_t end_ns;		   /* or, of one that goes on, when it was looked at */
	struct usage usage;
};

/* What a run whose state is open has used until now. Counters that this machine does not have are 0. */
int usage_of_run(const struct instances *all, struct state_dir *sd, const struct state *st,
		 struct usage *u, struct err *e);

/* Writes a receipt of a run. If it has ended its cgroup and links are still there. */
int usage_write_receipt(const struct instance_dir *d, struct state_dir *sd, const struct state *st,
			struct err *e);

/*
 * Calls @each for all receipts, oldest first; strings are its for the call. Stops when it returns non-zero and returns that. A last
 * line that was not written to its end is none.
 */
int usage_each(const struct instances *all, int (*each)(const struct receipt *r, void *arg),
	       void *arg, struct err *e);

/* Checks all hashes. The number of receipts; or -1 and *e, which says where the chain is broken. */
int64_t usage_verify(const struct instances *all, struct err *e);

/* A receipt as its line has it. False: it is none. Pure. */
bool receipt_parse(const char *line, size_t len, struct arena *a, struct receipt *r);

/* ---- the sampler ---- */

struct sampler;

/* ERR_EXISTS if another process is it already. */
struct sampler *sampler_open(const struct instances *all, struct err *e);
void sampler_close(struct sampler *s);

/* Reads once what all runs use at the moment, and writes receipts of those that have had none for @period seconds. */
int sampler_tick(struct sampler *s, int64_t period, struct err *e);

#endif
