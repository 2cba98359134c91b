/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budgets.h - what the kernel has only so much of, how much of it instances take, and what to do when it runs out.
 */
#ifndef CTR_CLI_BUDGETS_H
#define CTR_CLI_BUDGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct footprint;
struct instances;

/* Whom to judge by: one instance that runs, as footprint_read() saw it, and where its files lie. */
struct budget_needs {
	const struct instances *all;
	const struct footprint *one;
	const char *data, *run;	 /* directories */
	bool own_ids;		 /* each has a range of ids of its own */
	uint64_t addresses;	 /* of the network; 0: none is needed */
	uint64_t addresses_used; /* by instances that are there */
};

struct budget {
	const char *name;
	uint64_t limit, used, each;
	char cure[160]; /* for a number of instances: budgets_look() */
};

#define BUDGETS_MAX 24

/* All that are known of this machine, for @n further instances; the number of them. */
size_t budgets_look(const struct budget_needs *needs, uint64_t n, struct budget out[BUDGETS_MAX]);

/* How many further instances it suffices for; UINT64_MAX for one that instances do not take of. */
uint64_t budget_room(const struct budget *b);

/* The one that suffices for the fewest. */
const struct budget *budget_tightest(const struct budget *v, size_t n);

#endif
