/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_update.c - other limits for a running container.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cli/oci.h"
#include "cli/verbs.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/host.h"
#include "runtime/resctrl.h"
#include "runtime/spec.h"
#include "runtime/state.h"
#include "runtime/update.h"

struct update_options {
	const char *file, *cpus, *mems, *l3, *bandwidth;
	struct opt_u64 weight, period, burst, rt_period, shares, idle;
	struct opt_i64 quota, rt_runtime, memory, reservation, swap, kernel, kernel_tcp, pids;
};

/* A number that may be -1 for "no limit"; sizes take units as well. */
static int read_signed(void *options, const struct option_row *row, const char *value,
		       struct err *e)
{
	struct opt_i64 *to = (struct opt_i64 *)((char *)options + row->offset);

	if (parse_i64(value, -1, INT64_MAX, &to->v) < 0)
		return err_set(e, ERR_USAGE, "'%s' is neither a number nor -1", value);
	to->set = true;
	return 0;
}

static int read_signed_size(void *options, const struct option_row *row, const char *value,
			    struct err *e)
{
	struct opt_i64 *to = (struct opt_i64 *)((char *)options + row->offset);
	uint64_t size;

	if (streq(value, "-1"))
		to->v = -1;
	else if (parse_size(value, &size) == 0 && size <= INT64_MAX)
		to->v = (int64_t)size;
	else
		return err_set(e, ERR_USAGE, "'%s' is neither a size, such as 512M, nor -1", value);
	to->set = true;
	return 0;
}

/* clang-format off */
#define SIGNED(member, name, help) \
	HANDLER_ROW(struct update_options, member, name, 0, "N", help, read_signed)
#define SIZE(member, name, letter, help) \
	HANDLER_ROW(struct update_options, member, name, letter, "BYTES", help, read_signed_size)
#define NUMBER(member, name, help, max) \
	NUMBER_ROW(struct update_options, member, name, 0, "N", help, 0, max)

static const struct option_row update_rows[] = {
	STRING_ROW(struct update_options, file, "resources", 'r', "FILE",
		   "read limits from FILE, as in config.json; '-': standard input"),
	NUMBER(weight, "blkio-weight", "weight of its input and output, 10 to 1000", 1000),
	NUMBER(period, "cpu-period", "period of the quota, in microseconds", 0),
	SIGNED(quota, "cpu-quota", "CPU time in each period, in microseconds"),
	NUMBER(burst, "cpu-burst", "CPU time that may be saved up, in microseconds", 0),
	SIGNED(rt_runtime, "cpu-rt-runtime", "real-time CPU time: refused, cgroup v2 has none"),
	NUMBER(rt_period, "cpu-rt-period", "real-time period: refused, cgroup v2 has none", 0),
	NUMBER(shares, "cpu-share", "weight of its CPU time, 2 to 262144", 0),
	NUMBER(idle, "cpu-idle", "1: runs when nothing else wants to; 0: as others do", 1),
	STRING_ROW(struct update_options, cpus, "cpuset-cpus", 0, "LIST", "CPUs to use"),
	STRING_ROW(struct update_options, mems, "cpuset-mems", 0, "LIST", "memory nodes to use"),
	SIZE(memory, "memory", 'm', "memory limit"),
	SIZE(reservation, "memory-reservation", 0, "memory that is left to it when memory is short"),
	SIZE(swap, "memory-swap", 0, "limit of memory and swap together"),
	SIZE(kernel, "kernel-memory", 0, "accepted and ignored, as by runc: obsolete"),
	SIZE(kernel_tcp, "kernel-memory-tcp", 0, "accepted and ignored, as by runc: obsolete"),
	SIGNED(pids, "pids-limit", "number of processes and threads"),
	STRING_ROW(struct update_options, l3, "l3-cache-schema", 0, "SCHEMA", "share of the caches, in the container's group of resctrl"),
	STRING_ROW(struct update_options, bandwidth, "mem-bw-schema", 0, "SCHEMA", "share of memory bandwidth, in the same"),
	END_ROW,
};
/* clang-format on */

/* containerd and CRI-O send it through a pipe. */
static int read_stdin(struct str *text, struct err *e)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "cannot read standard input");
		str_add_n(text, buf, (size_t)n);
		if (text->len > JSON_MAX_SIZE)
			return err_set(e, ERR_INVALID, "standard input has more than %u MiB",
				       JSON_MAX_SIZE >> 20);
	}
	return text->failed ? err_set(e, ENOMEM, "cannot read standard input") : 0;
}

static int read_file(const char *file, struct arena *a, struct resources_spec *r, struct err *e)
{
	auto_str struct str text = { 0 };
	bool from_stdin = streq(file, "-");

	if (from_stdin ? read_stdin(&text, e) < 0 :
			 file_read(AT_FDCWD, file, JSON_MAX_SIZE, &text, e) < 0)
		return -1;
	if (spec_oci_parse_resources(str_text(&text), text.len, a, r, e) < 0)
		return err_in(e, "%s", from_stdin ? "standard input" : file);
	if (r->n_devices)
		log_debug("the rules for devices are left as they are");
	return 0;
}

static void take_u64(struct opt_u64 *to, const struct opt_u64 *from)
{
	if (from->set)
		*to = *from;
}

static void take_i64(struct opt_i64 *to, const struct opt_i64 *from)
{
	if (from->set)
		*to = *from;
}

static void take_options(const struct update_options *o, struct resources_spec *r)
{
	if (o->kernel.set || o->kernel_tcp.set)
		log_warn("kernel memory limits are obsolete and are ignored");
	take_u64(&r->block_io.weight, &o->weight);
	take_u64(&r->cpu.period, &o->period);
	take_i64(&r->cpu.quota, &o->quota);
	take_u64(&r->cpu.burst, &o->burst);
	take_u64(&r->cpu.realtime_period, &o->rt_period);
	take_i64(&r->cpu.realtime_runtime, &o->rt_runtime);
	take_u64(&r->cpu.shares, &o->shares);
	if (o->idle.set)
		r->cpu.idle = (struct opt_i64){ true, (int64_t)o->idle.v };
	if (o->cpus)
		r->cpu.cpus = o->cpus;
	if (o->mems)
		r->cpu.mems = o->mems;
	take_i64(&r->memory.limit, &o->memory);
	take_i64(&r->memory.reservation, &o->reservation);
	take_i64(&r->memory.swap, &o->swap);
	take_i64(&r->pids_limit, &o->pids);
}

/* The group that the options are for, if they are for one; refused before anything is changed. */
static int check_group(struct cli *c, const struct update_options *o, struct resctrl *g)
{
	int r = o->l3 || o->bandwidth ? oci_read_group(c, g) : 1;

	if (r != 0)
		return r < 0 ? -1 : 0;
	return err_set(c->e, ERR_STATE, "--%s: the container has no group of resctrl",
		       o->l3 ? "l3-cache-schema" : "mem-bw-schema");
}

static int update_schemata(struct cli *c, const struct update_options *o, const struct resctrl *g)
{
	auto_str struct str lines = { 0 };

	if (!o->l3 && !o->bandwidth)
		return 0;
	str_addf(&lines, "%s\n%s\n", o->l3 ? o->l3 : "", o->bandwidth ? o->bandwidth : "");
	return lines.failed ? err_set(c->e, ENOMEM, "cannot update") :
			      resctrl_write(g, c->dir.id, lines.s, c->e);
}

static int update(struct cli *c, int argc, char **argv)
{
	const struct update_options *o = c->options;
	struct resources_spec r = { 0 };
	int status = state_status(&c->dir, &c->state, NULL, c->e);
	struct resctrl group = { .group = NULL };
	struct host host;

	(void)argc, (void)argv; /* opened by oci_enter() */
	if (status < 0)
		return -1;
	if (status == STATUS_STOPPED)
		return err_set(c->e, ERR_STATE, "container not running");
	if ((o->file && read_file(o->file, c->arena, &r, c->e) < 0) ||
	    check_group(c, o, &group) < 0 || host_probe(&host, c->e) < 0)
		return -1;
	take_options(o, &r);
	return update_limits(&c->state, &r, &host, c->e) < 0 ? -1 : update_schemata(c, o, &group);
}

const struct verb verb_oci_update = {
	.name = "update",
	.run = update,
	.flags = NEED_ID | NEED_STATE,
	.operands = "ID",
	.min = 1,
	.max = 1,
	.help = "change the limits of a container",
	.rows = update_rows,
	.options_size = sizeof(struct update_options),
};
