/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/caps.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "runtime/apply.h"
#include "runtime/base/err.h"
#include "runtime/spec.h"

/*
 * By number. Not libcap's cap_to_name() and cap_from_name(): the one allocates, the other takes
 * any case and bare numbers, and a container's start looks up some sixty names.
 */
static const char *const names[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

#define N_NAMES	 ((int)(sizeof(names) / sizeof(*names)))
#define PREFIX	 4  /* "CAP_" */
#define CAPS_MAX 64 /* bits of a set; the kernel knows fewer */

int cap_number(const char *name)
{
	if (strncmp(name, "CAP_", PREFIX) != 0)
		return -1;
	for (int i = 0; i < N_NAMES; i++)
		if (strcmp(names[i] + PREFIX, name + PREFIX) == 0)
			return i;
	return -1;
}

const char *cap_name(int number)
{
	return number >= 0 && number < N_NAMES ? names[number] : NULL;
}

/*
 * Needs CAP_SETPCAP, so it comes before the user is changed. One prctl() each: there is no call for all. EINVAL tells that the kernel knows
 * neither this one nor any above.
 */
int apply_bounding_caps(struct apply *a, const struct step *st, struct err *e)
{
	(void)a;
	for (unsigned cap = 0; cap < CAPS_MAX; cap++) {
		if (st->caps & 1ULL << cap || prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		return errno == EINVAL ?
			       0 :
			       err_set(e, errno, "cannot drop capability %u from the bounding set",
				       cap);
	}
	return 0;
}

static int set_flag(cap_t caps, cap_flag_t flag, uint64_t set, uint64_t permitted)
{
	for (int cap = 0; cap < CAPS_MAX; cap++)
		if (set & permitted & 1ULL << cap && cap_set_flag(caps, flag, 1, &cap, CAP_SET) < 0)
			return -1;
	return 0;
}

/*
 * Sets exactly what was asked for, as far as the caller has it: a capability that is not permitted here cannot
 * be granted, and runc's callers list such ones. An inheritable set comes only by explicit wish, since files
 * with inheritable capabilities would grant them at exec (CVE-2022-29162, CVE-2022-27650).
 */
int apply_caps(struct apply *a, const struct step *st, struct err *e)
{
	const uint64_t *want = st->process->caps;
	cap_t caps = cap_get_proc();
	uint64_t have = 0, may_inherit;
	int r = 0;

	(void)a;
	for (int cap = 0; caps && cap < CAPS_MAX; cap++) {
		cap_flag_value_t v = CAP_CLEAR;

		if (cap_get_flag(caps, cap, CAP_PERMITTED, &v) == 0 && v == CAP_SET)
			have |= 1ULL << cap;
	}
	may_inherit =
		have; /* it need not be permitted, only within the bounding set: capabilities(7) */
	for (unsigned cap = 0; cap < CAPS_MAX; cap++)
		if (want[CAPS_INHERITABLE] & have & 1ULL << cap &&
		    prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 1)
			may_inherit &= ~(1ULL << cap);
	have &= want[CAPS_PERMITTED];
	if (!caps || cap_clear(caps) < 0 ||
	    set_flag(caps, CAP_PERMITTED, want[CAPS_PERMITTED], have) < 0 ||
	    set_flag(caps, CAP_EFFECTIVE, want[CAPS_EFFECTIVE], have) < 0 ||
	    set_flag(caps, CAP_INHERITABLE, want[CAPS_INHERITABLE], may_inherit) < 0 ||
	    cap_set_proc(caps) < 0)
		r = err_set(e, errno, "cannot set capabilities");
	cap_free(caps);
	if (r == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 &&
	    errno != EINVAL)
		r = err_set(e, errno, "cannot clear ambient capabilities");
	for (unsigned cap = 0; r == 0 && cap < CAPS_MAX; cap++)
		if (want[CAPS_AMBIENT] & have & want[CAPS_INHERITABLE] & 1ULL << cap &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			r = err_set(e, errno, "cannot raise ambient capability %s",
				    cap_name((int)cap));
	return r;
}

int apply_no_new_privs(struct apply *a, const struct step *st, struct err *e)
{
	(void)a;
	(void)st;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ?
		       err_set(e, errno, "cannot set no_new_privs") :
		       0;
}
