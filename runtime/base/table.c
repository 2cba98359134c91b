/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/table.h"

#include <stddef.h>
#include <string.h>

bool table_value(const struct name_value *table, const char *name, long *value)
{
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0) {
			*value = table->value;
			return true;
		}
	return false;
}

const char *table_name(const struct name_value *table, long value)
{
	for (; table->name; table++)
		if (table->value == value)
			return table->name;
	return NULL;
}
