/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - names and numbers, looked up both ways.
 *
 * A table ends with a row whose name is NULL. Where two names mean the same number (RLIMIT_OFILE), the
 * first is the one that is written; tests/unit holds each table to its round trip.
 */
#ifndef CTR_TABLE_H
#define CTR_TABLE_H

#include <stdbool.h>

struct name_value {
	const char *name;
	long value;
};

/* Sets *value to the number of @name; false, with *value untouched, if the table does not know it. */
bool table_value(const struct name_value *table, const char *name, long *value);

/* The (first) name of @value, or NULL. */
const char *table_name(const struct name_value *table, long value);

#endif
