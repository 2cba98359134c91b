/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - the words of the OCI specification, and the kernel's numbers for them.
 *
 * Tables in the sense of base/table.h. The numbers are the kernel's own (the UAPI headers), spelled out where
 * a C library may lack them.
 */
#ifndef CTR_NAMES_H
#define CTR_NAMES_H

#include "runtime/base/table.h"

extern const struct name_value namespace_names[];   /* "pid": CLONE_NEWPID */
extern const struct name_value rlimit_names[];	    /* "RLIMIT_NOFILE": RLIMIT_NOFILE */
extern const struct name_value signal_names[];	    /* "TERM": SIGTERM; no real-time signals */
extern const struct name_value propagation_names[]; /* "rslave": MS_SLAVE | MS_REC */
extern const struct name_value sched_policy_names[];
extern const struct name_value sched_flag_names[];
extern const struct name_value io_class_names[];
extern const struct name_value memory_policy_names[];
extern const struct name_value memory_policy_flag_names[];
extern const struct name_value personality_names[];    /* "LINUX32": PER_LINUX32 */
extern const struct name_value seccomp_action_names[]; /* value: whether it takes an errno */
extern const struct name_value seccomp_op_names[];     /* value: number of operands */

extern const char *const hook_names[]; /* by enum hook_point; NULL after the last */

/* The number of a signal as people write it: "15", "TERM", "SIGTERM", "rtmin+2"; -1 if there is none such. */
int signal_number(const char *text);

#endif
