/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks.h - programs that the bundle wants run at the turning points of a container's life.
 */
#ifndef CTR_HOOKS_H
#define CTR_HOOKS_H

#include <sys/types.h>

#include "runtime/spec.h"
#include "runtime/state.h"

struct err;
struct hook_spec;
struct str;

/*
 * Runs one hook of @point ("createRuntime") with the container's state (runtime-spec, runtime.md "State") on its standard input, and
 * waits: no longer than its timeout, after which it is killed with all its process group. Its output goes
 * to ours, or where crun's annotations run.oci.hooks.stdout and .stderr say. Without an environment of its own it has ours, and
 * with @in_bundle the bundle is its working directory. 0 if it exits with 0; else -1 and *e.
 */
int hook_run(const struct hook_spec *h, const char *point, const struct spec *s, const char *id,
	     pid_t pid, enum status status, bool in_bundle, struct err *e);

/* All of one point; a failure ends it, but for poststop, whose failures are logged (runtime.md, "Lifecycle"). 0, or -1 and *e. */
int hooks_run(enum hook_point point, const struct spec *s, const char *id, pid_t pid,
	      enum status status, struct err *e);

/* The state object that hooks and callers get. @pid 0 leaves it out. */
void state_json(const struct spec *s, const char *id, pid_t pid, enum status status,
		struct str *out);

#endif
