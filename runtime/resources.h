/*
 * resources.h - linux.resources as cgroup v2 counts: the specification's numbers are those of cgroup v1.
 */
#ifndef CTR_RESOURCES_H
#define CTR_RESOURCES_H

#include <stdbool.h>
#include <stdint.h>

struct resources_spec;

#define CPU_PERIOD_DEFAULT 100000 /* us; the kernel's, for a quota without one */

/*
 * Whether memory.swap.max is to be written, and its value in *max (bytes; -1: no limit). memory.swap is memory and
 * swap together, and needs memory.limit; beside a limit of memory 0 means "not given", and alone "none". Memory without a limit
 * has swap without one, unless it says otherwise: as in cgroup v1, and with runc.
 */
bool resources_swap_max(const struct resources_spec *r, int64_t *max);

/*
 * pids.max; -1: no limit. 0 is a limit (runtime-spec 1.3, config-linux.md, PIDs), but the kernel would not let the
 * first process in: 1 is what is meant, as with runc.
 */
int64_t resources_pids_max(const struct resources_spec *r);

/*
 * What a quota (us in each @period) comes to in a second, rounded up to the hundredth of a processor that systemd
 * counts in; -1: no limit.
 */
int64_t resources_quota_per_second(int64_t quota, int64_t period);

/* Whether it is to be idle, which no weight goes with (cgroup-v2.rst, cpu.idle). */
bool resources_idle(const struct resources_spec *r);

/*
 * cpu.weight, 1 to 10000; 0: not given. By the curve of runc (1.4) and crun (1.23) through both ends and the
 * defaults, 1024 shares and a weight of 100; a straight line would make 39 of those.
 */
int64_t resources_cpu_weight(const struct resources_spec *r);

#endif
