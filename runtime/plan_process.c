/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_process.c - how the payload's process is dressed, in the order in which privileges allow it.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/caps.h"
#include "runtime/host.h"
#include "runtime/names.h"
#include "runtime/plan.h"
#include "runtime/seccomp.h"
#include "runtime/spec.h"

static int plan_rlimit(struct plan *p, const struct process_spec *pr, size_t i, bool raise,
		       struct err *e)
{
	struct step *st = plan_add(p, raise ? STAGE_HOST_WITH_PID : STAGE_LAST,
				   raise ? STEP_RLIMIT_RAISE : STEP_RLIMIT,
				   arena_printf(p->arena, "process.rlimits[%zu]", i), e);

	if (!st)
		return -1;
	st->rlimit.resource = pr->rlimits[i].resource;
	st->rlimit.soft = pr->rlimits[i].soft;
	st->rlimit.hard = pr->rlimits[i].hard;
	return 0;
}

/*
 * The limits are the payload's: what is done until then may need more descriptors or memory. Raising a hard one needs CAP_SYS_RESOURCE in the
 * initial user namespace, which a child in a user namespace of its own has lost: its parent does that before.
 */
static int plan_limits(struct plan *p, const struct spec *s, bool ids_stage, struct err *e)
{
	const struct process_spec *pr = &s->process;
	struct step *st;

	for (size_t i = 0; i < pr->n_rlimits; i++)
		if ((spec_namespace(s, CLONE_NEWUSER) && plan_rlimit(p, pr, i, true, e) < 0) ||
		    plan_rlimit(p, pr, i, false, e) < 0)
			return -1;
	if (pr->has_oom_score_adj) {
		/* later the child is not dumpable, and its files in /proc are the host's root's (proc(5)) */
		st = plan_add(p, ids_stage ? STAGE_IDS : STAGE_HOST_WITH_PID, STEP_OOM_SCORE,
			      "process.oomScoreAdj", e);
		if (!st)
			return -1;
		st->oom_score = pr->oom_score_adj;
	}
	return 0;
}

static int plan_personality(struct plan *p, const struct spec *s, struct err *e)
{
	struct step *st;

	if (!s->personality_domain)
		return 0;
	st = plan_add(p, STAGE_LAST, STEP_PERSONALITY, "linux.personality", e);
	if (!st)
		return -1;
	st->personality = streq(s->personality_domain, "LINUX32") ? PER_LINUX32 : PER_LINUX;
	return 0;
}

static int plan_memory_policy(struct plan *p, const struct spec *s, struct err *e)
{
	struct step *st;
	long value;

	if (!s->memory_policy.mode)
		return 0;
	st = plan_add(p, STAGE_LAST, STEP_MEMORY_POLICY, "linux.memoryPolicy", e);
	if (!st)
		return -1;
	st->memory_policy.mode = s->memory_policy.mode;
	st->memory_policy.nodes = s->memory_policy.nodes;
	/* the reader has checked the names */
	if (table_value(memory_policy_names, s->memory_policy.mode, &value))
		st->memory_policy.number = (int)value;
	for (const char *const *f = s->memory_policy.flags; f && *f; f++)
		if (table_value(memory_policy_flag_names, *f, &value))
			st->memory_policy.number |= (int)value;
	return 0;
}

static int plan_seccomp(struct plan *p, const struct spec *s, struct err *e)
{
	struct seccomp_spec asked;

	if (!s->seccomp)
		return 0;
	asked = *s->seccomp;
	asked.no_unknown = spec_annotation(s, "run.oci.seccomp_fail_unknown_syscall");
	p->seccomp = arena_alloc(p->arena, sizeof(*p->seccomp));
	if (!p->seccomp)
		return err_set(e, ENOMEM, "cannot plan");
	if (seccomp_compile(&asked, p->seccomp, e) < 0)
		return err_in(e, "linux.seccomp");
	if (p->seccomp->flags & SECCOMP_FILTER_FLAG_NEW_LISTENER && !s->seccomp->listener_path)
		return err_set(e, ERR_INVALID,
			       "linux.seccomp.listenerPath is needed: a rule has SCMP_ACT_NOTIFY");
	if (!plan_add(p, STAGE_LAST, STEP_SECCOMP, "linux.seccomp", e))
		return -1;
	return 0;
}

static int plan_label(struct plan *p, const char *label, const char *why, struct err *e)
{
	struct step *st;

	if (!label || !*label)
		return 0;
	st = plan_add(p, STAGE_LAST, STEP_LSM_LABEL, why, e);
	if (!st)
		return -1;
	st->name = label;
	return 0;
}

/* The kernel raises none that is not permitted and inheritable (capabilities(7)): good to know, and runc says it in these words. */
static void warn_of_ambient(const struct process_spec *p)
{
	uint64_t lost = p->caps[CAPS_AMBIENT] &
			~(p->caps[CAPS_PERMITTED] & p->caps[CAPS_INHERITABLE]);

	if (!lost)
		return;
	log_warn("can't raise ambient capability %s: it is not permitted and inheritable%s",
		 cap_name(__builtin_ctzll(lost)),
		 lost & (lost - 1) ? ", and others are not either" : "");
}

/* A step whose argument is the process itself. */
static int plan_self(struct plan *p, enum step_kind kind, const char *why,
		     const struct process_spec *pr, struct err *e)
{
	struct step *st = plan_add(p, STAGE_LAST, kind, why, e);

	if (!st)
		return -1;
	st->process = pr;
	return 0;
}

/*
 * A bundle's process runs where its cgroup may: since Linux 6.2 the caller's affinity, systemd's or an engine's, would last beside it
 * (runc, crun). Not the one that exec is told to set.
 */
static int plan_affinity(struct plan *p, const struct spec *s, bool exec, struct err *e)
{
	struct step *st;

	if (!s->bundle ||
	    (exec && (s->process.exec_affinity_initial || s->process.exec_affinity_final)))
		return 0;
	st = plan_add(p, STAGE_LAST, STEP_AFFINITY, "linux.resources.cpu", e);
	if (!st)
		return -1;
	st->tolerate = true;
	return 0;
}

int plan_process(struct plan *p, const struct spec *s, const struct host *h,
		 const struct plan_options *o, struct err *e)
{
	const struct process_spec *pr = &s->process;
	struct step *st;

	if (!s->has_process)
		return 0;
	if (plan_limits(p, s, h->euid != 0, e) < 0)
		return -1;
	if (!o->no_new_keyring && !plan_add(p, STAGE_LAST, STEP_KEYRING, "session keyring", e))
		return -1;
	if (plan_affinity(p, s, !o->id, e) < 0 || plan_personality(p, s, e) < 0 ||
	    plan_memory_policy(p, s, e) < 0 ||
	    (pr->scheduler.policy &&
	     plan_self(p, STEP_SCHEDULER, "process.scheduler", pr, e) < 0) ||
	    (pr->has_io_priority &&
	     plan_self(p, STEP_IO_PRIORITY, "process.ioPriority", pr, e) < 0) ||
	    plan_label(p, pr->apparmor_profile, "process.apparmorProfile", e) < 0 ||
	    plan_label(p, pr->selinux_label, "process.selinuxLabel", e) < 0)
		return -1;
	/* without no_new_privs a filter needs CAP_SYS_ADMIN (seccomp(2)), so it comes before that is dropped */
	if (!pr->no_new_privileges && plan_seccomp(p, s, e) < 0)
		return -1;
	st = plan_add(p, STAGE_LAST, STEP_BOUNDING_CAPS, "process.capabilities.bounding", e);
	if (!st)
		return -1;
	st->caps = pr->caps[CAPS_BOUNDING]; /* not given, none: as crun */
	warn_of_ambient(pr);
	if (plan_self(p, STEP_USER, "process.user", pr, e) < 0 ||
	    plan_self(p, STEP_CWD, "process.cwd", pr, e) < 0 ||
	    plan_self(p, STEP_CAPS, "process.capabilities", pr, e) < 0)
		return -1;
	if (pr->no_new_privileges &&
	    (!plan_add(p, STAGE_LAST, STEP_NO_NEW_PRIVS, "process.noNewPrivileges", e) ||
	     plan_seccomp(p, s, e) < 0))
		return -1;
	return 0;
}
