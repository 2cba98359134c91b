/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - the keys of an instance as people write them, on any command line.
 */
#ifndef CTR_SETTINGS_H
#define CTR_SETTINGS_H

#include "runtime/instance.h"

/*
 * Changes the key @name, as instance_change() does, from a word of a command line: a path may be relative to here, an
 * environment variable without a value has the one of here, a capability needs no CAP_. 0, or -1 and *e, with the key in front.
 */
int setting_change(struct instance *i, const char *name, enum key_change how, const char *word,
		   struct err *e);

/* The networks of an instance that was given none: $CTR_NET, of this machine or this shell, or else the usual one. */
int setting_default_net(struct instance *i, struct err *e);

#endif
