/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h - is an instance well? A command inside is asked again and again (keys "health-*").
 *
 * That is done by a process of its own beside the supervisor, `ctr health-watch NAME`, which only instances with a check have, and which goes
 * when the supervisor goes. It says what it knows in <run>/state/NAME/health, and tells the journal when that changes.
 */
#ifndef CTR_HEALTH_H
#define CTR_HEALTH_H

struct instance;
struct instances;

enum health { HEALTH_NONE, HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };

/* HEALTH_NONE: it has no check, or does not run. */
enum health health_status(const struct instances *all, const char *name);
const char *health_name(enum health h); /* "starting", ...; NULL for HEALTH_NONE */

/* For a process that is about to become a supervisor: leaves the process that asks, if @i has a check. */
void health_begin(const struct instances *all, const char *name, const struct instance *i);

#endif
