/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steps.c - the kinds of steps as one table: name, apply, print.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "netns/netns.h"
#include "runtime/apply.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/caps.h"
#include "runtime/host.h"
#include "runtime/names.h"
#include "runtime/seccomp.h"
#include "runtime/scope.h"
#include "runtime/scope_properties.h"
#include "runtime/spec.h"
#include "runtime/views.h"

typedef void print_fn(const struct plan *p, const struct step *st, struct str *out);

static print_fn print_scope, print_owner, print_cgroup, print_set, print_devices, print_ids,
	print_oom, print_rlimit, print_propagation, print_mount, print_device, print_symlink,
	print_path, print_view, print_hook, print_root_attr, print_pivot, print_sysctl, print_name,
	print_personality, print_net_device, print_nic, print_memory_policy, print_scheduler,
	print_io_priority, print_bounding, print_user, print_caps, print_cwd, print_seccomp,
	print_nothing, print_resctrl;

static const struct {
	const char *name;
	apply_fn *apply;
	print_fn *print;
} kinds[STEP_KINDS] = {
	[STEP_SCOPE] = { "scope", apply_scope, print_scope },
	[STEP_CGROUP_MAKE] = { "cgroup", apply_cgroup_make, print_cgroup },
	[STEP_CGROUP_SET] = { "limit", apply_cgroup_set, print_set },
	[STEP_CGROUP_DEVICES] = { "devices", apply_cgroup_devices, print_devices },
	[STEP_CGROUP_DELEGATE] = { "delegate", apply_cgroup_delegate, print_owner },
	[STEP_ID_MAP] = { "id-map", apply_id_map, print_ids },
	[STEP_OOM_SCORE] = { "oom-score", apply_oom_score, print_oom },
	[STEP_NET_DEVICE] = { "net-device", apply_net_device, print_net_device },
	[STEP_NIC] = { "nic", apply_nic, print_nic },
	[STEP_RESCTRL] = { "resctrl", apply_resctrl, print_resctrl },
	[STEP_RLIMIT_RAISE] = { "rlimit-raise", apply_rlimit_raise, print_rlimit },
	[STEP_RLIMIT] = { "rlimit", apply_rlimit, print_rlimit },
	[STEP_PROPAGATION] = { "propagation", apply_propagation, print_propagation },
	[STEP_ROOT] = { "root", apply_root, print_mount },
	[STEP_MOUNT] = { "mount", apply_mount, print_mount },
	[STEP_DEVICE] = { "device", apply_device, print_device },
	[STEP_SYMLINK] = { "symlink", apply_symlink, print_symlink },
	[STEP_DIRECTORY] = { "directory", apply_directory, print_path },
	[STEP_CONSOLE] = { "console", apply_console, print_nothing },
	[STEP_MASK] = { "mask", apply_mask, print_path },
	[STEP_VIEW] = { "view", apply_view, print_view },
	[STEP_READONLY_PATH] = { "read-only", apply_readonly_path, print_path },
	[STEP_READONLY_MOUNT] = { "read-only-mount", apply_readonly_mount, print_path },
	[STEP_NETNS_MAKE] = { "netns-make", apply_netns_make, print_nothing },
	[STEP_NETNS_ENTER] = { "netns-enter", apply_netns_enter, print_nothing },
	[STEP_LOOPBACK] = { "loopback", apply_loopback, print_nothing },
	[STEP_HOOK] = { "hook", apply_hook, print_hook },
	[STEP_PIVOT] = { "pivot", apply_pivot, print_pivot },
	[STEP_ROOT_ATTR] = { "root-attr", apply_root_attr, print_root_attr },
	[STEP_SYSCTL] = { "sysctl", apply_sysctl, print_sysctl },
	[STEP_HOSTNAME] = { "hostname", apply_hostname, print_name },
	[STEP_DOMAINNAME] = { "domainname", apply_domainname, print_name },
	[STEP_PERSONALITY] = { "personality", apply_personality, print_personality },
	[STEP_MEMORY_POLICY] = { "memory-policy", apply_memory_policy, print_memory_policy },
	[STEP_AFFINITY] = { "affinity", apply_affinity, print_nothing },
	[STEP_SCHEDULER] = { "scheduler", apply_scheduler, print_scheduler },
	[STEP_IO_PRIORITY] = { "io-priority", apply_io_priority, print_io_priority },
	[STEP_KEYRING] = { "keyring", apply_keyring, print_nothing },
	[STEP_CWD] = { "cwd", apply_cwd, print_cwd },
	[STEP_BOUNDING_CAPS] = { "bounding", apply_bounding_caps, print_bounding },
	[STEP_USER] = { "user", apply_user, print_user },
	[STEP_CAPS] = { "capabilities", apply_caps, print_caps },
	[STEP_NO_NEW_PRIVS] = { "no-new-privs", apply_no_new_privs, print_nothing },
	[STEP_SECCOMP] = { "seccomp", apply_seccomp_filter, print_seccomp },
	[STEP_LSM_LABEL] = { "label", apply_lsm_label, print_name },
};

static const char *const stage_names[STAGES] = {
	[STAGE_HOST] = "host",
	[STAGE_IDS] = "ids",
	[STAGE_HOST_WITH_PID] = "host-with-pid",
	[STAGE_OLD_ROOT] = "old-root",
	[STAGE_RUNTIME_HOOKS] = "runtime-hooks",
	[STAGE_CONTAINER_HOOKS] = "container-hooks",
	[STAGE_NEW_ROOT] = "new-root",
	[STAGE_LAST] = "last",
};

void apply_init(struct apply *a, const struct spec *s, const struct plan *p, const struct host *h,
		const char *id)
{
	*a = (struct apply){
		.spec = s,
		.plan = p,
		.host = h,
		.id = id,
		.cgroup = -1,
		.userns = -1,
		.netns = -1,
		.root = -1,
		.dev_dir = -1,
		.console = -1,
		.console_master = -1,
		.empty_dir = -1,
		.null = -1,
		.proc = -1,
		.sock = -1,
		.home = "",
	};
	for (size_t i = 0; i < MSG_MAX_FDS; i++)
		a->trees[i] = -1;
}

void apply_close(struct apply *a)
{
	int *const fds[] = { &a->cgroup,  &a->userns,	      &a->netns,     &a->dev_dir, &a->root,
			     &a->console, &a->console_master, &a->empty_dir, &a->null,	  &a->proc };

	scope_end_sleeper(a);
	apply_close_spent(a);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (*fds[i] >= 0) {
			close(*fds[i]);
			*fds[i] = -1;
		}
	for (size_t i = 0; i < a->n_trees; i++)
		if (a->trees[i] >= 0)
			close(a->trees[i]);
	a->n_trees = 0;
}

int apply_step(struct apply *a, const struct step *st, struct err *e)
{
	if (kinds[st->kind].apply(a, st, e) == 0)
		return 0;
	if (!st->tolerate && st->kind == STEP_HOOK) /* in runc's words, which people look for */
		return err_in(e, "error running %s hook #%zu", st->hook.point, st->hook.number);
	if (!st->tolerate)
		return err_in(e, "%s", st->why);
	log_debug("%s: %s", st->why, e->msg);
	return 0;
}

int apply_stage(struct apply *a, enum stage stage, struct err *e)
{
	for (size_t i = 0; i < a->plan->n; i++)
		if (a->plan->steps[i].stage == stage && apply_step(a, &a->plan->steps[i], e) < 0)
			return -1;
	return 0;
}

/* ---- how a plan reads ---- */

/* Not a step, but where the second process comes from: its namespaces are the larger part of a container. */
static void print_clone(const struct plan *p, struct str *out)
{
	uint64_t made = p->clone_flags | (p->new_time ? CLONE_NEWTIME : 0) |
			(p->new_cgroup ? CLONE_NEWCGROUP : 0);

	str_addf(out, "%-15s process", "clone");
	for (const struct name_value *ns = namespace_names; ns->name; ns++)
		if (made & (uint64_t)ns->value)
			str_addf(out, " +%s", ns->name);
	for (unsigned i = 0; i < p->n_joins; i++)
		str_addf(out, " %s=%s", table_name(namespace_names, (long)p->joins[i]->flag),
			 p->joins[i]->path);
	str_add(out, "   (linux.namespaces)\n");
}

void plan_print(const struct plan *p, struct str *out)
{
	bool cloned = false;

	for (size_t i = 0; i < p->n; i++) {
		const struct step *st = &p->steps[i];

		if (st->stage != STAGE_HOST && !cloned) {
			print_clone(p, out);
			cloned = true;
		}
		str_addf(out, "%-15s %s", stage_names[st->stage], kinds[st->kind].name);
		kinds[st->kind].print(p, st, out);
		str_addf(out, "   (%s)\n", st->why);
	}
}

static void print_nothing(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	(void)st;
	(void)out;
}

static void print_scope(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	str_addf(out, " %s in %s%s", st->scope->unit, st->scope->slice,
		 st->scope->user ? " of the user" : "");
	for (size_t i = 0; i < st->scope->properties->n; i += 3)
		str_addf(out, " %s=%s", st->scope->properties->v[i],
			 st->scope->properties->v[i + 2]);
}

static void print_cgroup(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	str_addf(out, " /%s", st->cgroup.path);
	for (unsigned bit = 1; bit <= CTL_LAST; bit <<= 1)
		if ((st->cgroup.needed | st->cgroup.wanted) & bit)
			str_addf(out, " +%s%s", controller_name(bit),
				 st->cgroup.needed & bit ? "" : "?");
}

static void print_resctrl(const struct plan *p, const struct step *st, struct str *out)
{
	const struct resctrl *g = &st->resctrl;

	(void)p;
	str_addf(out, " %s", g->group ? g->group : "(its id)");
	if (g->monitor)
		str_add(out, " monitored");
	for (const char *s = g->schemata; s && *s; s += strcspn(s, "\n") + 1)
		str_addf(out, " %.*s", (int)strcspn(s, "\n"), s);
}

static void print_set(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	str_addf(out, " %s = %s", st->set.file, st->set.value);
}

static void print_number(struct str *out, int64_t n)
{
	if (n < 0)
		str_add(out, "*");
	else
		str_addf(out, "%" PRId64, n);
}

static void print_devices(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	for (size_t i = 0; i < st->devices.n; i++) {
		const struct device_rule *r = &st->devices.rules[i];

		str_addf(out, "%s %c%c", i ? "," : "", r->allow ? '+' : '-', r->type);
		if (r->type != 'a' || r->major >= 0 || r->minor >= 0) {
			str_add(out, " ");
			print_number(out, r->major);
			str_add(out, ":");
			print_number(out, r->minor);
		}
		str_addf(out, " %s%s%s", r->access & DEVICE_READ ? "r" : "",
			 r->access & DEVICE_WRITE ? "w" : "", r->access & DEVICE_MKNOD ? "m" : "");
	}
}

static void print_map(struct str *out, const char *name, const struct id_map *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		str_addf(out, " %s %u->%u+%u", name, m[i].container, m[i].host, m[i].size);
}

static void print_ids(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	print_map(out, "uid", st->ids.uid, st->ids.n_uid);
	print_map(out, "gid", st->ids.gid, st->ids.n_gid);
}

static void print_owner(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	str_addf(out, " %u:%u", st->owner.uid, st->owner.gid);
}

static void print_oom(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	str_addf(out, " %d", st->oom_score);
}

static void print_nic(const struct plan *p, const struct step *st, struct str *out)
{
	const struct nic *n = st->nic;

	(void)p;
	str_addf(out, " %s network %s mac %02x:%02x:%02x:%02x:%02x:%02x ip %u.%u.%u.%u/%u", n->name,
		 n->network->name, n->mac[0], n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5],
		 n->ip >> 24, n->ip >> 16 & 255, n->ip >> 8 & 255, n->ip & 255, n->prefix);
	for (size_t i = 0; i < n->n_pubs; i++)
		str_addf(out, " publish %u:%u", n->pubs[i].host_port, n->pubs[i].port);
}

static void print_net_device(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	str_addf(out, " %s as %s", st->net_device.host, st->net_device.name);
}

static void print_limit(struct str *out, uint64_t v)
{
	if (v == UINT64_MAX)
		str_add(out, " unlimited");
	else
		str_addf(out, " %" PRIu64, v);
}

static void print_rlimit(const struct plan *p, const struct step *st, struct str *out)
{
	const char *name = table_name(rlimit_names, st->rlimit.resource);

	(void)p;
	str_addf(out, " %s", name ? name : "?");
	if (st->kind == STEP_RLIMIT)
		print_limit(out, st->rlimit.soft);
	print_limit(out, st->rlimit.hard);
}

static void print_flags(struct str *out, unsigned propagation)
{
	const char *name = table_name(propagation_names, (long)propagation);

	str_addf(out, " %s", name ? name : "?");
}

static void print_propagation(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	print_flags(out, st->propagation);
}

static void print_attr(struct str *out, const char *prefix, uint64_t set, uint64_t clear)
{
	static const struct {
		uint64_t attr;
		const char *set, *clear;
	} names[] = {
		{ MOUNT_ATTR_RDONLY, "ro", "rw" },
		{ MOUNT_ATTR_NOSUID, "nosuid", "suid" },
		{ MOUNT_ATTR_NODEV, "nodev", "dev" },
		{ MOUNT_ATTR_NOEXEC, "noexec", "exec" },
		{ MOUNT_ATTR_NODIRATIME, "nodiratime", "diratime" },
		{ MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow", "symfollow" },
		{ MOUNT_ATTR_NOATIME, "noatime", NULL },
		{ MOUNT_ATTR_STRICTATIME, "strictatime", NULL },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (set & names[i].attr)
			str_addf(out, " %s%s", prefix, names[i].set);
		else if (clear & names[i].attr && names[i].clear)
			str_addf(out, " %s%s", prefix, names[i].clear);
	}
}

static void print_mount(const struct plan *p, const struct step *st, struct str *out)
{
	static const char *const what[] = { [MOUNT_NEW_FS] = "",
					    [MOUNT_BIND] = "bind ",
					    [MOUNT_OVERLAY] = "overlay",
					    [MOUNT_CGROUP] = "" };
	const struct mount_step *m = &st->mount;

	(void)p;
	str_addf(out, " %s", what[m->what]);
	if (m->what == MOUNT_BIND)
		str_addf(out, "%s", m->source);
	else if (m->what != MOUNT_OVERLAY)
		str_add(out, m->type);
	for (const char *const *l = m->layers; l && *l; l++)
		str_addf(out, " %s", *l);
	if (m->upper)
		str_addf(out, " upper %s work %s%s", m->upper, m->work,
			 m->volatile_upper ? " volatile" : "");
	str_addf(out, " at %s", m->target);
	if (m->recursive)
		str_add(out, " recursive");
	if (m->detached && st->kind == STEP_ROOT)
		str_add(out, " detached");
	print_attr(out, "", m->attr_set, m->attr_clear);
	print_attr(out, "r", m->rattr_set, m->rattr_clear);
	if (m->propagation)
		print_flags(out, m->propagation);
	if (m->idmap)
		str_add(out, m->idmap_recursive ? " ridmap" : " idmap");
	print_map(out, "uid", m->uid_maps, m->n_uid_maps);
	print_map(out, "gid", m->gid_maps, m->n_gid_maps);
	if (m->data)
		str_addf(out, " %s", m->data);
	if (m->label)
		str_addf(out, " context=%s", m->label);
	if (m->copy_up)
		str_add(out, " [begins with what is there]");
	if (m->slot >= 0)
		str_add(out, " [opened by the parent]");
	if (m->inside)
		str_addf(out, " [%s inside%s]", m->inside,
			 m->idmap ? ", mapped by the parent" : "");
}

static void print_device(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	str_addf(out, " %s %c", st->device.path, st->device.type);
	if (st->device.type != 'p')
		str_addf(out, " %u:%u", st->device.major, st->device.minor);
	str_addf(out, " %04o", st->device.mode);
	if (st->device.uid || st->device.gid)
		str_addf(out, " owner %u:%u", st->device.uid, st->device.gid);
	if (st->device.bind)
		str_add(out,
			st->device.slot >= 0 ? " [made by the parent]" : " [bind of the host's]");
}

static void print_symlink(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	str_addf(out, " %s -> %s", st->symlink.path, st->symlink.target);
}

static void print_path(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	str_addf(out, " %s", st->path);
}

static void print_view(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	str_addf(out, " %s", st->view->path);
}

static void print_hook(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	str_addf(out, " %s%s", st->hook.hook->path,
		 st->hook.container_namespaces ? " [inside]" : "");
	if (st->hook.hook->timeout)
		str_addf(out, " timeout %u s", st->hook.hook->timeout);
}

static void print_root_attr(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	if (st->root_attr.readonly)
		str_add(out, " ro");
	if (st->root_attr.apart)
		str_add(out, " apart");
	if (st->root_attr.propagation)
		print_flags(out, st->root_attr.propagation);
}

static void print_pivot(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	if (st->pivot.chroot)
		str_add(out, " by chroot alone");
}

static void print_sysctl(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	str_addf(out, " %s = %s", st->sysctl.key, st->sysctl.value);
}

static void print_name(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	str_addf(out, " %s", st->name);
}

static void print_personality(const struct plan *p, const struct step *st, struct str *out)
{
	const char *name = table_name(personality_names, (long)st->personality);

	(void)p;
	str_addf(out, " %s", name ? name : "?");
}

static void print_memory_policy(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	str_addf(out, " %s", st->memory_policy.mode);
	for (const struct name_value *f = memory_policy_flag_names; f->name; f++)
		if (st->memory_policy.number & f->value)
			str_addf(out, " %s", f->name);
	if (st->memory_policy.nodes)
		str_addf(out, " nodes %s", st->memory_policy.nodes);
}

static void print_scheduler(const struct plan *p, const struct step *st, struct str *out)
{
	const struct scheduler_spec *s = &st->process->scheduler;

	(void)p;
	str_addf(out, " %s nice %d priority %d", s->policy, s->nice, s->priority);
}

static void print_io_priority(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	str_addf(out, " %s %d", st->process->io_priority_class, st->process->io_priority);
}

static void print_cwd(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	str_addf(out, " %s", st->process->cwd);
}

static void print_user(const struct plan *p, const struct step *st, struct str *out)
{
	const struct process_spec *pr = st->process;

	(void)p;
	str_addf(out, " %u:%u", pr->uid, pr->gid);
	for (size_t i = 0; i < pr->n_additional_gids; i++)
		str_addf(out, "%s%u", i ? "," : " groups ", pr->additional_gids[i]);
	if (pr->has_umask)
		str_addf(out, " umask %04o", pr->umask);
}

static void print_cap_set(struct str *out, uint64_t set)
{
	bool any = false;

	for (int cap = 0; cap < 64; cap++)
		if (set & 1ULL << cap) {
			const char *name = cap_name(cap);

			str_addf(out, "%s%s", any ? "," : " ", name ? name : "?");
			any = true;
		}
	if (!any)
		str_add(out, " none");
}

static void print_bounding(const struct plan *p, const struct step *st, struct str *out)
{
	(void)p;
	print_cap_set(out, st->caps);
}

static void print_caps(const struct plan *p, const struct step *st, struct str *out)
{
	static const struct {
		enum cap_set set;
		const char *name;
	} sets[] = {
		{ CAPS_PERMITTED, "permitted" },
		{ CAPS_EFFECTIVE, "effective" },
		{ CAPS_INHERITABLE, "inheritable" },
		{ CAPS_AMBIENT, "ambient" },
	};

	(void)p;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		str_addf(out, " %s", sets[i].name);
		print_cap_set(out, st->process->caps[sets[i].set]);
	}
}

static void print_seccomp(const struct plan *p, const struct step *st, struct str *out)
{
	(void)st;
	str_addf(out, " %u instructions", p->seccomp->n);
}
