/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.c - the whole plan on one screen: plan_build() is the order in which things are decided. The
 * parts are in plan_cgroup.c, plan_mounts.c and plan_process.c.
 */
#include "netns/netns.h"
#include "runtime/plan.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/host.h"
#include "runtime/names.h"
#include "runtime/seccomp.h"
#include "runtime/spec.h"

struct step *plan_add(struct plan *p, enum stage stage, enum step_kind kind, const char *why,
		      struct err *e)
{
	struct step *s;

	if (p->n == p->size) {
		size_t size = p->size ? p->size * 2 : 96;

		s = arena_array(p->arena, size, sizeof(*s));
		if (!s) {
			err_set(e, ENOMEM, "cannot plan");
			return NULL;
		}
		if (p->n)
			memcpy(s, p->steps, p->n * sizeof(*s));
		p->steps = s;
		p->size = size;
	}
	s = &p->steps[p->n++];
	memset(s, 0, sizeof(*s));
	s->kind = kind;
	s->stage = stage;
	s->why = why;
	return s;
}

/* Stages in order, and within a stage the order of adding: a stable sort of a list that is nearly sorted. */
static void sort_by_stage(struct plan *p)
{
	for (size_t i = 1; i < p->n; i++) {
		struct step s = p->steps[i];
		size_t at = i;

		for (; at && p->steps[at - 1].stage > s.stage; at--)
			p->steps[at] = p->steps[at - 1];
		p->steps[at] = s;
	}
}

/*
 * A network namespace takes the kernel longer than all others together, so it is not made by clone3, which both would wait for.
 * The parent makes it while the child mounts, which needs it for sysfs only (plan_mounts()); unless it must belong to a new user
 * namespace, there are others to join first, or the way back is barred because our own belongs to a user namespace above
 * (setns(2)). Where it gets devices the child makes it, while the parent opens mounts.
 */
static int plan_netns(struct plan *p, const struct spec *s, const struct host *h, struct err *e)
{
	if (!(p->clone_flags & CLONE_NEWNET))
		return 0;
	if (spec_has_net_devices(s)) {
		p->clone_flags &= ~(uint64_t)CLONE_NEWNET;
		p->new_net = true;
		return 0;
	}
	if (!h->initial_userns || p->clone_flags & CLONE_NEWUSER || p->n_joins)
		return 0;
	p->clone_flags &= ~(uint64_t)CLONE_NEWNET;
	p->netns_apart = true;
	return plan_add(p, STAGE_HOST_WITH_PID, STEP_NETNS_MAKE, "new network namespace", e) ? 0 :
											       -1;
}

/*
 * Without a mount namespace the container is in the caller's, and its mounts must not be there for others to see: its root is a tree
 * of mounts that are attached nowhere, and gone with its last process. Linux 6.15 is the first to mount on such.
 */
static int check_mounts_of_host(const struct spec *s, const struct host *h, struct err *e)
{
	if (spec_namespace(s, CLONE_NEWNS))
		return 0;
	if (spec_namespace(s, CLONE_NEWUSER))
		return err_set(
			e, ERR_NOT_SUPPORTED,
			"linux.namespaces: a container with a user namespace needs a mount namespace");
	if (!host_kernel_is(h, 6, 15))
		return err_set(
			e, ERR_NOT_SUPPORTED,
			"linux.namespaces: before Linux 6.15 a container without a mount namespace would "
			"change the caller's own mounts");
	if (s->rootfs_propagation && *s->rootfs_propagation)
		return err_set(
			e, ERR_INVALID,
			"linux.rootfsPropagation: there is no mount namespace for mounts to spread from");
	return 0;
}

static int plan_namespaces(struct plan *p, const struct spec *s, const struct host *h,
			   struct err *e)
{
	for (size_t i = 0; i < s->n_namespaces; i++) {
		const struct ns_spec *ns = &s->namespaces[i];

		if (ns->path)
			p->joins[p->n_joins++] = ns;
		else if (ns->flag == CLONE_NEWTIME)
			p->new_time = true;
		else if (ns->flag == CLONE_NEWCGROUP)
			p->new_cgroup = true;
		else
			p->clone_flags |= ns->flag;
	}
	return check_mounts_of_host(s, h, e) < 0 ? -1 : plan_netns(p, s, h, e);
}

static int plan_ids(struct plan *p, const struct spec *s, const struct host *h, struct err *e)
{
	const struct ns_spec *user = spec_namespace(s, CLONE_NEWUSER);
	struct step *st;

	if (!user || user->path) {
		if (s->n_uid_maps || s->n_gid_maps)
			return err_set(
				e, ERR_INVALID,
				"linux.uidMappings: there is no new user namespace to map ids in");
		return 0;
	}
	if (!s->n_uid_maps || !s->n_gid_maps)
		return err_set(
			e, ERR_INVALID,
			"linux.uidMappings and linux.gidMappings are needed for a new user namespace");
	st = plan_add(p, STAGE_IDS, STEP_ID_MAP, "linux.uidMappings", e);
	if (!st)
		return -1;
	st->ids.uid = s->uid_maps;
	st->ids.n_uid = s->n_uid_maps;
	st->ids.gid = s->gid_maps;
	st->ids.n_gid = s->n_gid_maps;
	st->ids.unprivileged = h->euid != 0;
	return 0;
}

static int plan_net_devices(struct plan *p, const struct spec *s, struct err *e)
{
	for (size_t i = 0; i < s->n_net_devices; i++) {
		const struct net_device *d = &s->net_devices[i];
		struct step *st =
			plan_add(p, STAGE_HOST_WITH_PID, STEP_NET_DEVICE, "linux.netDevices", e);

		if (!st)
			return -1;
		st->net_device.host = d->host;
		st->net_device.name = d->name && *d->name ? d->name : d->host;
	}
	return 0;
}

static int plan_nics(struct plan *p, const struct spec *s, struct err *e)
{
	for (size_t i = 0; i < s->n_nics; i++) {
		struct step *st = plan_add(p, STAGE_HOST_WITH_PID, STEP_NIC, "network", e);

		if (!st)
			return -1;
		st->nic = &s->nics[i];
	}
	return 0;
}

static int plan_hooks(struct plan *p, const struct spec *s, enum hook_point point, struct err *e)
{
	/* poststart and poststop do not belong to creation: life.c runs them */
	static const enum stage stages[] = {
		[HOOK_PRESTART] = STAGE_RUNTIME_HOOKS,
		[HOOK_CREATE_RUNTIME] = STAGE_RUNTIME_HOOKS,
		[HOOK_CREATE_CONTAINER] = STAGE_CONTAINER_HOOKS,
		[HOOK_START_CONTAINER] = STAGE_LAST,
	};
	const struct hook_list *hooks = &s->hooks[point];

	for (size_t j = 0; j < hooks->n; j++) {
		struct step *st = plan_add(p, stages[point], STEP_HOOK, NULL, e);

		if (!st)
			return -1;
		st->why = arena_printf(p->arena, "hooks.%s[%zu]", hook_names[point], j);
		st->hook.point = hook_names[point];
		st->hook.number = j;
		st->hook.hook = &hooks->list[j];
		/* as in runc and crun: by custom, not by specification */
		st->hook.payload_env = point == HOOK_START_CONTAINER && !hooks->list[j].env;
		st->hook.container_namespaces = stages[point] != STAGE_RUNTIME_HOOKS;
		if (stages[point] == STAGE_RUNTIME_HOOKS)
			p->hooks_before_pivot = true;
	}
	return 0;
}

static int plan_names(struct plan *p, const struct spec *s, struct err *e)
{
	struct step *st;

	for (size_t i = 0; i < s->n_sysctl; i++) {
		st = plan_add(p, STAGE_NEW_ROOT, STEP_SYSCTL, "linux.sysctl", e);
		if (!st)
			return -1;
		st->sysctl.key = s->sysctl[i].key;
		st->sysctl.value = s->sysctl[i].value;
	}
	if (s->hostname) {
		if (!(st = plan_add(p, STAGE_NEW_ROOT, STEP_HOSTNAME, "hostname", e)))
			return -1;
		st->name = s->hostname;
	}
	if (s->domainname) {
		if (!(st = plan_add(p, STAGE_NEW_ROOT, STEP_DOMAINNAME, "domainname", e)))
			return -1;
		st->name = s->domainname;
	}
	return 0;
}

/* The lines of l3CacheSchema without "MB:", which is memBwSchema's where both are; then those of schemata. */
static void add_schemata(const struct spec *s, struct str *out)
{
	const char *line = s->intel_rdt.l3_cache_schema, *bandwidth = s->intel_rdt.mem_bw_schema;

	for (size_t len; line && *line; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		if (len && !(bandwidth && str_after(line, "MB:")))
			str_addf(out, "%.*s\n", (int)len, line);
	}
	if (bandwidth)
		str_addf(out, "%s\n", bandwidth);
	for (size_t i = 0; s->intel_rdt.schemata && s->intel_rdt.schemata[i]; i++)
		str_addf(out, "%s\n", s->intel_rdt.schemata[i]);
}

int plan_resctrl(struct arena *a, const struct spec *s, struct resctrl *g, struct err *e)
{
	auto_str struct str lines = { 0 };

	add_schemata(s, &lines);
	*g = (struct resctrl){
		.group = s->intel_rdt.clos_id,
		.monitor = s->intel_rdt.enable_monitoring || s->intel_rdt.enable_cmt ||
			   s->intel_rdt.enable_mbm,
	};
	if (lines.len)
		g->schemata = arena_strndup(a, lines.s, lines.len);
	return lines.failed || (lines.len && !g->schemata) ? err_set(e, ENOMEM, "cannot plan") : 0;
}

/* Even an empty one asks for a group of the container's own (config-linux.md). */
static int plan_group(struct plan *p, const struct spec *s, bool join, struct err *e)
{
	struct step *st;

	if (!s->intel_rdt.given)
		return 0;
	st = plan_add(p, STAGE_HOST_WITH_PID, STEP_RESCTRL, "linux.intelRdt", e);
	if (!st || plan_resctrl(p->arena, s, &st->resctrl, e) < 0)
		return -1;
	st->resctrl.join = join;
	return 0;
}

/* Such as net.ipv4.conf.eth0.forwarding: they are there when the device is. */
static bool has_device_sysctl(const struct spec *s)
{
	for (size_t i = 0; i < s->n_sysctl; i++)
		if (str_after(s->sysctl[i].key, "net") &&
		    (strstr(s->sysctl[i].key, "conf") || strstr(s->sysctl[i].key, "neigh")))
			return true;
	return false;
}

struct plan *plan_build(const struct spec *s, const struct host *h, const struct plan_options *o,
			struct err *e)
{
	auto_plan struct plan *p = calloc(1, sizeof(*p));

	if (!p || !(p->arena = arena_new(0))) {
		err_set(e, ENOMEM, "cannot plan");
		return NULL;
	}
	/* clang-format off */
	if (plan_namespaces(p, s, h, e) < 0 ||
	    plan_cgroup(p, s, h, o, e) < 0 ||
	    plan_ids(p, s, h, e) < 0 ||
	    plan_net_devices(p, s, e) < 0 || plan_nics(p, s, e) < 0 || plan_group(p, s, false, e) < 0 ||
	    plan_mounts(p, s, h, o, e) < 0 ||
	    plan_hooks(p, s, HOOK_PRESTART, e) < 0 ||
	    plan_hooks(p, s, HOOK_CREATE_RUNTIME, e) < 0 ||
	    plan_hooks(p, s, HOOK_CREATE_CONTAINER, e) < 0 ||
	    plan_names(p, s, e) < 0 ||
	    plan_process(p, s, h, o, e) < 0 ||
	    /* they are programs of the image, so as confined as the payload itself */
	    (s->has_process && plan_hooks(p, s, HOOK_START_CONTAINER, e) < 0))
		return NULL;
	/* clang-format on */
	p->network_first = spec_has_net_devices(s) &&
			   (s->hooks[HOOK_CREATE_CONTAINER].n || has_device_sysctl(s));
	sort_by_stage(p);
	return take_ptr(p);
}

struct plan *plan_build_exec(const struct spec *s, const struct host *h, struct err *e)
{
	const struct plan_options o = {
		.id = NULL
	}; /* its keyring is its own, as that of the first process */
	auto_plan struct plan *p = calloc(1, sizeof(*p));

	if (!p || !(p->arena = arena_new(0))) {
		err_set(e, ENOMEM, "cannot plan");
		return NULL;
	}
	if (plan_group(p, s, true, e) < 0 || plan_process(p, s, h, &o, e) < 0)
		return NULL;
	sort_by_stage(p);
	return take_ptr(p);
}

struct plan *plan_build_update(const struct resources_spec *r, const struct host *h,
			       const char *cgroup, struct err *e)
{
	auto_plan struct plan *p = calloc(1, sizeof(*p));

	if (!p || !(p->arena = arena_new(0))) {
		err_set(e, ENOMEM, "cannot plan");
		return NULL;
	}
	p->cgroup = cgroup;
	if (plan_cgroup_update(p, r, h, e) < 0)
		return NULL;
	return take_ptr(p);
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	if (p->seccomp)
		seccomp_filter_free(p->seccomp);
	arena_free(p->arena);
	free(p);
}
