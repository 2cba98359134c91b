/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subids.h - ids that the administrator has set aside for a user: /etc/subuid and /etc/subgid, as subuid(5) describes them.
 */
#ifndef CTR_SUBIDS_H
#define CTR_SUBIDS_H

#include <stddef.h>
#include <stdint.h>

struct err;

struct subids {
	uint32_t first, count; /* none of them is (uid_t)-1, which is no id */
};

#define SUBIDS_MAX 64 /* entries of one user */

/*
 * The entries of @user, or of @number as the digits of its id (NULL: by name alone), in the order of the file @path: how many, at most
 * SUBIDS_MAX. A file that is not there has none. Lines that say nothing sensible are passed over, as newuidmap(1) does. -1 and *e.
 */
int subids_read(const char *path, const char *user, const char *number,
		struct subids out[SUBIDS_MAX], struct err *e);

#endif
