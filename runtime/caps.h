/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caps.h - capabilities: their names and, in time, their sets. Pure; any process may call it.
 */
#ifndef CTR_CAPS_H
#define CTR_CAPS_H

/*
 * The number of the capability @name ("CAP_CHOWN", upper case as capabilities(7) and the OCI specification
 * write it), or -1 if this build does not know it. A number that the running kernel does not know may be
 * returned: /proc/sys/kernel/cap_last_cap tells.
 */
int cap_number(const char *name);

/* "CAP_CHOWN" for 0, or NULL. */
const char *cap_name(int number);

#endif
