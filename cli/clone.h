/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clone.h - for who removes instances: an origin is not removed by mistake.
 */
#ifndef CTR_CLI_CLONE_H
#define CTR_CLI_CLONE_H

struct err;
struct instance_dir;

/* ERR_STATE, with one of them and the cure, if there are linked clones of this instance. */
int check_no_clones(const struct instance_dir *d, struct err *e);

#endif
