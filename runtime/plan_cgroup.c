/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_cgroup.c - linux.cgroupsPath and linux.resources as writes to cgroup v2 files.
 *
 * Conversions from the cgroup v1 terms of the specification follow crun's cgroup-v2 document and
 * runc's libcontainer/cgroups/fs2. A limit that this host cannot enforce is an error that says why.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/str.h"
#include "runtime/host.h"
#include "runtime/plan.h"
#include "runtime/resources.h"
#include "runtime/scope.h"
#include "runtime/spec.h"

struct limits { /* what the helpers below share */
	struct plan *p;
	const struct host *h;
	struct err *e;
	unsigned needed; /* controllers */
	bool systemd;	 /* systemd has a hand in them */
	bool update;	 /* of limits that may be other than the kernel's defaults */
};

/* One value into one file, which needs @controller. @why names the member of the spec. */
static int set(struct limits *l, unsigned controller, const char *why, const char *file,
	       const char *value)
{
	struct step *st;

	if (controller && !(l->h->controllers & controller)) {
		bool v1 = host_v1_controllers(l->h) & controller;

		return err_set(l->e, ERR_NOT_SUPPORTED,
			       "%s: the %s controller is not available in cgroup v2 here%s", why,
			       controller_name(controller),
			       v1 ? ": it is bound to cgroup v1 (boot with cgroup_no_v1=all or "
				    "systemd.unified_cgroup_hierarchy=1)" :
				    "");
	}
	if (!value)
		return err_set(l->e, ENOMEM, "cannot plan");
	l->needed |= controller;
	st = plan_add(l->p, STAGE_HOST, STEP_CGROUP_SET, why, l->e);
	if (!st)
		return -1;
	st->set.file = file;
	st->set.value = value;
	return 0;
}

/* The kernel takes one line in one write: io.max, for example, one device. */
static int set_lines(struct limits *l, unsigned controller, const char *why, const char *file,
		     const char *lines)
{
	if (!strchr(lines, '\n'))
		return set(l, controller, why, file, lines);
	for (size_t len; *lines; lines += len + (lines[len] == '\n')) {
		len = strcspn(lines, "\n");
		if (len && set(l, controller, why, file,
			       arena_printf(l->p->arena, "%.*s", (int)len, lines)) < 0)
			return -1;
	}
	return 0;
}

static int set_i64(struct limits *l, unsigned controller, const char *why, const char *file,
		   int64_t v)
{
	return set(l, controller, why, file,
		   v < 0 ? "max" : arena_printf(l->p->arena, "%" PRId64, v));
}

#define R(field) "linux.resources." field

static int plan_memory(struct limits *l, const struct resources_spec *r)
{
	int64_t limit = r->memory.limit.set ? r->memory.limit.v : 0, swap;

	if (r->memory.kernel.set && r->memory.kernel.v > 0)
		return err_set(l->e, ERR_NOT_SUPPORTED,
			       R("memory.kernel") ": cgroup v2 has no such limit");
	if (r->memory.kernel_tcp.set && r->memory.kernel_tcp.v > 0)
		return err_set(l->e, ERR_NOT_SUPPORTED,
			       R("memory.kernelTCP") ": cgroup v2 has no such limit");
	if (r->memory.swappiness.set)
		return err_set(l->e, ERR_NOT_SUPPORTED,
			       R("memory.swappiness") ": cgroup v2 has no such setting");
	if (r->memory.disable_oom_killer)
		return err_set(l->e, ERR_NOT_SUPPORTED,
			       R("memory.disableOOMKiller") ": cgroup v2 cannot switch it off");
	if (r->memory.swap.set && r->memory.swap.v > 0 && !limit)
		return err_set(l->e, ERR_INVALID, R("memory.swap") ": needs memory.limit as well");
	if (r->memory.swap.set && r->memory.swap.v > 0 && r->memory.swap.v < limit)
		return err_set(l->e, ERR_INVALID,
			       R("memory.swap") ": is memory and swap together, so at least "
						"memory.limit");
	/* 0 means "not given", as for runc */
	if (r->memory.limit.set && r->memory.limit.v &&
	    set_i64(l, CTL_MEMORY, R("memory.limit"), "memory.max", r->memory.limit.v) < 0)
		return -1;
	if (resources_swap_max(r, &swap)) {
		if (set_i64(l, CTL_MEMORY, R("memory.swap"), "memory.swap.max", swap) < 0)
			return -1;
		/* a kernel without swap has neither a limit of it nor any of it */
		l->p->steps[l->p->n - 1].set.optional = swap <= 0;
	}
	if (r->memory.reservation.set && r->memory.reservation.v &&
	    set_i64(l, CTL_MEMORY, R("memory.reservation"), "memory.low", r->memory.reservation.v) <
		    0)
		return -1;
	return 0;
}

/* The kernel gives none to a group that is idle: one that gets a weight is idle no more, one that is to be idle gets none. */
static int set_weight(struct limits *l, const struct resources_spec *r, const char *why,
		      const char *weight)
{
	if (resources_idle(r)) {
		log_warn("%s: unable to apply both a weight and idle, ignoring the weight", why);
		return 0;
	}
	if (l->update && !r->cpu.idle.set) {
		if (set(l, CTL_CPU, why, "cpu.idle", "0") < 0)
			return -1;
		l->p->steps[l->p->n - 1].set.optional = true;
	}
	return set(l, CTL_CPU, why, "cpu.weight", weight);
}

static int plan_cpu(struct limits *l, const struct resources_spec *r)
{
	struct arena *a = l->p->arena;
	int64_t weight = resources_cpu_weight(r);

	if ((r->cpu.realtime_runtime.set && r->cpu.realtime_runtime.v) ||
	    (r->cpu.realtime_period.set && r->cpu.realtime_period.v))
		return err_set(l->e, ERR_NOT_SUPPORTED,
			       R("cpu.realtimeRuntime") ": cgroup v2 has no such limit");
	if (r->cpu.idle.set && (r->cpu.idle.v || l->update) &&
	    set_i64(l, CTL_CPU, R("cpu.idle"), "cpu.idle", r->cpu.idle.v) < 0)
		return -1;
	if (weight && set_weight(l, r, R("cpu.shares"), arena_printf(a, "%" PRId64, weight)) < 0)
		return -1;
	/* the burst is checked against the quota: lower it first, raise it afterwards */
	if (l->update && r->cpu.burst.set && r->cpu.quota.set && r->cpu.quota.v &&
	    set(l, CTL_CPU, R("cpu.burst"), "cpu.max.burst", "0") < 0)
		return -1;
	if ((r->cpu.quota.set && r->cpu.quota.v) || (r->cpu.period.set && r->cpu.period.v)) {
		int64_t quota = r->cpu.quota.set ? r->cpu.quota.v : 0;
		uint64_t period = r->cpu.period.set && r->cpu.period.v ? r->cpu.period.v :
									 CPU_PERIOD_DEFAULT;
		int64_t second = resources_quota_per_second(quota, (int64_t)period);
		const char *v;

		/* as systemd will write it; a longer period the kernel refuses */
		if (l->systemd && second > 0 && period <= 1000000)
			quota = second * (int64_t)period / 1000000;
		v = quota > 0 ? arena_printf(a, "%" PRId64 " %" PRIu64, quota, period) :
				arena_printf(a, "max %" PRIu64, period);
		if (set(l, CTL_CPU, R("cpu.quota"), "cpu.max", v) < 0)
			return -1;
	}
	if (r->cpu.burst.set && set(l, CTL_CPU, R("cpu.burst"), "cpu.max.burst",
				    arena_printf(a, "%" PRIu64, r->cpu.burst.v)) < 0)
		return -1;
	if (r->cpu.cpus && *r->cpu.cpus &&
	    set(l, CTL_CPUSET, R("cpu.cpus"), "cpuset.cpus", r->cpu.cpus) < 0)
		return -1;
	if (r->cpu.mems && *r->cpu.mems &&
	    set(l, CTL_CPUSET, R("cpu.mems"), "cpuset.mems", r->cpu.mems) < 0)
		return -1;
	return 0;
}

static int plan_io(struct limits *l, const struct resources_spec *r)
{
	static const char *const keys[THROTTLES] = { "rbps", "wbps", "riops", "wiops" };
	static const char *const why[THROTTLES] = {
		R("blockIO.throttleReadBpsDevice"),
		R("blockIO.throttleWriteBpsDevice"),
		R("blockIO.throttleReadIOPSDevice"),
		R("blockIO.throttleWriteIOPSDevice"),
	};
	struct arena *a = l->p->arena;

	if (r->block_io.leaf_weight.set && r->block_io.leaf_weight.v)
		return err_set(l->e, ERR_NOT_SUPPORTED,
			       R("blockIO.leafWeight") ": cgroup v2 has no such setting");
	if (r->block_io.weight.set && r->block_io.weight.v) {
		/* [10, 1000] onto [1, 10000] */
		uint64_t w = r->block_io.weight.v < 10 ? 10 : r->block_io.weight.v;

		if (set_i64(l, CTL_IO, R("blockIO.weight"), "io.weight",
			    (int64_t)(1 + (w - 10) * 9999 / 990)) < 0)
			return -1;
	}
	for (size_t i = 0; i < r->block_io.n_weights; i++) {
		const struct weight_device *d = &r->block_io.weights[i];

		if (d->weight.set &&
		    set(l, CTL_IO, R("blockIO.weightDevice"), "io.weight",
			arena_printf(a, "%" PRId64 ":%" PRId64 " %" PRIu64, d->major, d->minor,
				     1 + (d->weight.v < 10 ? 0 : d->weight.v - 10) * 9999 / 990)) <
			    0)
			return -1;
	}
	for (int t = 0; t < THROTTLES; t++)
		for (size_t i = 0; i < r->block_io.n_throttles[t]; i++) {
			const struct throttle_device *d = &r->block_io.throttles[t][i];

			if (set(l, CTL_IO, why[t], "io.max",
				d->rate ? arena_printf(a, "%" PRId64 ":%" PRId64 " %s=%" PRIu64,
						       d->major, d->minor, keys[t], d->rate) :
					  arena_printf(a, "%" PRId64 ":%" PRId64 " %s=max",
						       d->major, d->minor, keys[t])) < 0)
				return -1;
		}
	return 0;
}

static int plan_rest(struct limits *l, const struct resources_spec *r, uint64_t default_pids_max)
{
	struct arena *a = l->p->arena;

	if (r->net_class_id.set || r->n_net_priorities)
		return err_set(l->e, ERR_NOT_SUPPORTED,
			       R("network") ": cgroup v2 has no network controller");
	/* no limit is what there is without the controller */
	if (r->pids_limit.set && (r->pids_limit.v >= 0 || l->h->controllers & CTL_PIDS) &&
	    set_i64(l, CTL_PIDS, R("pids.limit"), "pids.max", resources_pids_max(r)) < 0)
		return -1;
	if (!r->pids_limit.set && default_pids_max && (l->h->controllers & CTL_PIDS) &&
	    set_i64(l, CTL_PIDS, "default", "pids.max", (int64_t)default_pids_max) < 0)
		return -1;
	for (size_t i = 0; i < r->n_hugepages; i++)
		if (set(l, CTL_HUGETLB, R("hugepageLimits"),
			arena_printf(a, "hugetlb.%s.max", r->hugepages[i].key),
			r->hugepages[i].value) < 0)
			return -1;
	for (size_t i = 0; i < r->n_rdma; i++) {
		struct rdma_limit *d = &r->rdma[i];
		char handles[40] = "", objects[40] = "";

		if (d->handles.set)
			snprintf(handles, sizeof(handles), " hca_handle=%" PRIu64, d->handles.v);
		if (d->objects.set)
			snprintf(objects, sizeof(objects), " hca_object=%" PRIu64, d->objects.v);
		if (set(l, CTL_RDMA, R("rdma"), "rdma.max",
			arena_printf(a, "%s%s%s", d->device, handles, objects)) < 0)
			return -1;
	}
	for (size_t i = 0; i < r->n_unified; i++) {
		const char *file = r->unified[i].key;
		unsigned bit = controller_bit(file, strcspn(file, "."));
		const char *why = arena_printf(a, R("unified") ".%s", file);

		if (strchr(file, '/') || file[0] == '.' || !strchr(file, '.'))
			return err_set(
				l->e, ERR_INVALID,
				R("unified") ": the specified key has not the form CONTROLLER.VALUE `%s`",
				file);
		if (!bit && !str_after(file, "cgroup."))
			return err_set(
				l->e, ERR_NOT_SUPPORTED,
				R("unified") ": the requested cgroup controller `%.*s` is not available",
				(int)strcspn(file, "."), file);
		if (!why)
			why = R("unified");
		if (streq(file, "cpu.weight") ?
			    set_weight(l, r, why, r->unified[i].value) < 0 :
			    set_lines(l, bit, why, file, r->unified[i].value) < 0)
			return -1;
	}
	return 0;
}

/*
 * What every container may do with devices, before its own rules say otherwise (runtime-spec,
 * config-linux.md, default devices; runc's AllowedDevices): make any node, use the harmless ones.
 */
static const struct device_rule default_rules[] = {
	{ true, 'c', -1, -1, DEVICE_MKNOD },
	{ true, 'b', -1, -1, DEVICE_MKNOD },
	{ true, 'c', 1, 3, DEVICE_READ | DEVICE_WRITE | DEVICE_MKNOD },	   /* null */
	{ true, 'c', 1, 5, DEVICE_READ | DEVICE_WRITE | DEVICE_MKNOD },	   /* zero */
	{ true, 'c', 1, 7, DEVICE_READ | DEVICE_WRITE | DEVICE_MKNOD },	   /* full */
	{ true, 'c', 1, 8, DEVICE_READ | DEVICE_WRITE | DEVICE_MKNOD },	   /* random */
	{ true, 'c', 1, 9, DEVICE_READ | DEVICE_WRITE | DEVICE_MKNOD },	   /* urandom */
	{ true, 'c', 5, 0, DEVICE_READ | DEVICE_WRITE | DEVICE_MKNOD },	   /* tty */
	{ true, 'c', 5, 1, DEVICE_READ | DEVICE_WRITE | DEVICE_MKNOD },	   /* console */
	{ true, 'c', 5, 2, DEVICE_READ | DEVICE_WRITE | DEVICE_MKNOD },	   /* ptmx */
	{ true, 'c', 136, -1, DEVICE_READ | DEVICE_WRITE | DEVICE_MKNOD }, /* pts */
};

#define N_DEFAULT (sizeof(default_rules) / sizeof(default_rules[0]))

static bool has_option(const struct mount_spec *m, const char *option)
{
	for (const char *const *o = m->options; o && *o; o++)
		if (streq(*o, option))
			return true;
	return false;
}

/*
 * Whether the only devices that can be opened are those that we put into /dev: in a user namespace none can be
 * made, our own file systems are nodev there (mount_namespaces(7), SB_I_NODEV), the overlay of an
 * instance is mounted nodev, and so is every bind. A filter could then refuse nothing; loading one takes as long
 * as all mounts of a container together, since the kernel interrupts all processors to patch its text.
 */
static bool devices_are_confined(const struct spec *s)
{
	const struct ns_spec *user = spec_namespace(s, CLONE_NEWUSER);

	if (!user || user->path || !s->root.layers || s->resources.n_devices)
		return false;
	for (size_t i = 0; i < s->n_mounts; i++) {
		const struct mount_spec *m = &s->mounts[i];

		if (has_option(m, "rbind") && !has_option(m, "rnodev"))
			return false;
		if (has_option(m, "bind") && !has_option(m, "nodev") && !has_option(m, "rnodev"))
			return false;
	}
	return true;
}

/* Denied unless a rule allows it: also when no list is given (GHSA-g54h-m393-cpwq), and a node of linux.devices, as with runc and crun. */
static int plan_devices(struct limits *l, const struct spec *s)
{
	const struct resources_spec *r = &s->resources;
	size_t own = s->root.layers ? s->n_devices : 0, n = 0;
	struct device_rule *rules;
	struct step *st;

	if (devices_are_confined(s))
		return 0;
	if (l->h->euid != 0 || !l->h->initial_userns)
		return 0; /* BPF_PROG_TYPE_CGROUP_DEVICE needs the host's CAP_BPF; mknod is refused there anyway */
	rules = arena_array(l->p->arena, N_DEFAULT + own + r->n_devices + 1, sizeof(*rules));
	/* not needed before the payload runs: it is loaded while the child mounts */
	st = plan_add(l->p, STAGE_HOST_WITH_PID, STEP_CGROUP_DEVICES, R("devices"), l->e);
	if (!rules || !st)
		return rules ? -1 : err_set(l->e, ENOMEM, "cannot plan");
	rules[n++] = (struct device_rule){ false, 'a', -1, -1,
					   DEVICE_READ | DEVICE_WRITE | DEVICE_MKNOD };
	memcpy(rules + n, default_rules, sizeof(default_rules));
	n += N_DEFAULT;
	for (size_t i = 0; i < own; i++) /* an instance is given no device that it is not to use */
		rules[n++] = (struct device_rule){ true, s->devices[i].type, s->devices[i].major,
						   s->devices[i].minor,
						   DEVICE_READ | DEVICE_WRITE | DEVICE_MKNOD };
	for (size_t i = 0; i < r->n_devices; i++) {
		const struct device_rule *d = &r->devices[i];

		/* "deny all" is where we begin; a repetition must not take the defaults away */
		if (!d->allow && d->type == 'a' && d->major < 0 && d->minor < 0)
			continue;
		rules[n++] = *d;
	}
	st->devices.rules = rules;
	st->devices.n = n;
	return 0;
}

/* Below the cgroup2 mount, without leading and trailing slashes; ".." is refused. */
static const char *cgroup_path(struct plan *p, const struct spec *s, const struct plan_options *o,
			       struct err *e)
{
	const char *given = s->cgroups_path, *path;
	size_t len;

	p->cgroup_levels = 1;
	if (given && *given == '/')
		path = arena_strdup(p->arena, given + strspn(given, "/"));
	else
		path = arena_printf(p->arena, "%s%s", o->cgroup_prefix,
				    given && *given ? given : o->id);
	if (!path) {
		err_set(e, ENOMEM, "cannot plan");
		return NULL;
	}
	if ((!given || !*given) && strchr(o->cgroup_prefix, '/'))
		p->cgroup_levels++;
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < ' ') {
			err_set(e, ERR_INVALID, "linux.cgroupsPath: a control character");
			return NULL;
		}
	for (const char *c = path; *c; c += len + (c[len] == '/')) {
		len = strcspn(c, "/");
		if ((len == 2 && c[0] == '.' && c[1] == '.') || (len == 1 && c[0] == '.') ||
		    len > 255) {
			err_set(e, ERR_INVALID,
				"linux.cgroupsPath: '%s' is not a path below the cgroup root",
				given ? given : path);
			return NULL;
		}
	}
	if (!*path) {
		err_set(e, ERR_INVALID, "linux.cgroupsPath: the root cgroup is not a container's");
		return NULL;
	}
	return path;
}

static bool wants_limits(const struct spec *s)
{
	const struct resources_spec *r = &s->resources;

	return r->memory.limit.set || r->pids_limit.set || r->cpu.quota.set || r->n_unified;
}

static int plan_limits(struct limits *l, const struct resources_spec *r, uint64_t default_pids_max)
{
	if (plan_memory(l, r) < 0 || plan_cpu(l, r) < 0 || plan_io(l, r) < 0)
		return -1;
	return plan_rest(l, r, default_pids_max);
}

/* The cgroup exists; "making" it again enables the controllers that it did without until now. */
int plan_cgroup_update(struct plan *p, const struct resources_spec *r, const struct host *h,
		       struct err *e)
{
	struct limits l = {
		.p = p, .h = h, .e = e, .update = true, .systemd = scope_unit(p->cgroup)
	};

	if (!plan_add(p, STAGE_HOST, STEP_CGROUP_MAKE, "linux.cgroupsPath", e) ||
	    plan_limits(&l, r, 0) < 0)
		return -1;
	p->steps[0].cgroup.path = p->cgroup; /* the list may have moved */
	p->steps[0].cgroup.needed = l.needed;
	return 0;
}

/* What an init such as systemd uses of what is here. */
#define SYSTEM_CONTROLLERS (CTL_CPU | CTL_CPUSET | CTL_IO | CTL_MEMORY | CTL_PIDS)

/* The host's id of the container's root. */
static uint32_t root_id(const struct id_map *map, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (map[i].container == 0)
			return map[i].host;
	return 0;
}

static bool is_writable(const struct mount_spec *m)
{
	bool writable = true;

	for (const char *const *o = m->options; o && *o; o++)
		if (streq(*o, "ro") || streq(*o, "rw"))
			writable = streq(*o, "rw");
	return writable;
}

/* A booted system makes cgroups for its services; a bundle's payload, if it may write where they are mounted. */
static bool makes_cgroups(const struct spec *s, const struct host *h)
{
	if (s->system)
		return true;
	for (size_t i = 0; s->bundle && h->euid == 0 && i < s->n_mounts; i++)
		if (s->mounts[i].type && str_after(s->mounts[i].type, "cgroup") &&
		    is_writable(&s->mounts[i]))
			return true;
	return false;
}

/* Those are below the container's own cgroup, which must then be its root's. */
static int plan_delegate(struct limits *l, const struct spec *s)
{
	struct step *st;

	if (!makes_cgroups(s, l->h) || !spec_namespace(s, CLONE_NEWUSER) ||
	    !spec_namespace(s, CLONE_NEWCGROUP))
		return 0;
	st = plan_add(l->p, STAGE_HOST, STEP_CGROUP_DELEGATE, "system", l->e);
	if (!st)
		return -1;
	st->owner.uid = root_id(s->uid_maps, s->n_uid_maps);
	st->owner.gid = root_id(s->gid_maps, s->n_gid_maps);
	if (s->system)
		l->needed |= l->h->controllers & SYSTEM_CONTROLLERS;
	return 0;
}

/* The scope, whose directory the next step finds made. */
static int plan_scope(struct plan *p, const struct spec *s, const struct host *h,
		      const struct plan_options *o, struct err *e)
{
	struct scope *scope = arena_alloc(p->arena, sizeof(*scope));
	struct step *st;

	if (!scope)
		return err_set(e, ENOMEM, "cannot plan");
	if (scope_plan(s, o->id, h->euid != 0, p->arena, scope, e) < 0)
		return -1;
	st = plan_add(p, STAGE_HOST, STEP_SCOPE, "linux.cgroupsPath", e);
	if (!st)
		return -1;
	st->scope = scope;
	p->cgroup = scope->path;
	p->cgroup_levels = 1;
	return 0;
}

int plan_cgroup(struct plan *p, const struct spec *s, const struct host *h,
		const struct plan_options *o, struct err *e)
{
	struct limits l = { .p = p, .h = h, .e = e, .systemd = o->systemd };
	struct step *make;
	size_t at = p->n;

	if (o->no_cgroup) {
		if (wants_limits(s))
			return err_set(e, ERR_INVALID, "linux.resources: cgroups are disabled");
		return 0;
	}
	if (h->cgroup_readonly && !o->systemd) {
		if (wants_limits(s))
			return err_set(
				e, ERR_NOT_SUPPORTED,
				"linux.resources: '%s' cannot be written to here: without a cgroup there "
				"are no limits",
				h->cgroup);
		return 0;
	}
	if (!h->cgroup[0])
		return err_set(
			e, ERR_NOT_SUPPORTED,
			"cgroup v2 is not mounted on this host (mount -t cgroup2 none /sys/fs/cgroup)");
	if (o->systemd ? plan_scope(p, s, h, o, e) < 0 : !(p->cgroup = cgroup_path(p, s, o, e)))
		return -1;
	at = p->n;
	make = p->cgroup ? plan_add(p, STAGE_HOST, STEP_CGROUP_MAKE, "linux.cgroupsPath", e) : NULL;
	if (!make || plan_limits(&l, &s->resources, s->default_pids_max) < 0 ||
	    plan_devices(&l, s) < 0 || plan_delegate(&l, s) < 0)
		return -1;
	make = &p->steps[at]; /* the list may have moved */
	make->cgroup.path = p->cgroup;
	/* a delegated scope has all that systemd can give; above it nothing is ours to change */
	if (o->systemd)
		return 0;
	make->cgroup.needed = l.needed;
	/* engines ask what a container uses whether or not it has limits, and inits in it make cgroups of their own */
	make->cgroup.wanted = h->controllers & (s->bundle  ? ~0u :
						o->metered ? CTL_MEMORY | CTL_IO :
							     0);
	return 0;
}
