/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply.h - the only code that changes the machine: one function a kind of step.
 *
 * Each does what its step says and decides nothing. struct apply is what a process has at hand while
 * it walks the list; parent and child have one each. Functions return 0, or -1 and *e.
 */
#ifndef CTR_APPLY_H
#define CTR_APPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "runtime/handshake.h"
#include "runtime/plan.h"

struct err;
struct host;
struct process_spec;
struct spec;
struct state_dir;
struct step;

#define SPENT_MAX 64 /* more layers than an image has, mostly */

struct apply {
	const struct spec *spec;
	const struct plan *plan;
	const struct host *host;
	const char *id;
	struct state_dir *state; /* parent: where what is made on the way is noted */
	pid_t pid;		 /* of the container's first process; 0 before it exists */
	int cgroup;		 /* the container's directory in cgroup2; -1 */
	int userns; /* parent: the container's user namespace, for id-mapped mounts; -1 */
	int netns;  /* its network namespace, until the one who did not make it has it; -1 */
	int trees[MSG_MAX_FDS]; /* mounts opened by the parent, by slot; -1 */
	size_t n_trees;
	int spent[SPENT_MAX]; /* detached mounts that are of no more use */
	size_t n_spent;
	int root;	      /* child: the new root (O_PATH or mount); -1 */
	int dev_dir;	      /* child: where the last node was made, kept for the next one; -1 */
	const char *dev_path; /* that node */
	int console;	      /* child: the slave side of the payload's pty; -1 */
	int console_master;
	int empty_dir; /* child: one empty read-only tmpfs, for all masks */
	int null;      /* child: the host's /dev/null, checked */
	int sock; /* one's end of the conversation of parent and child, or of `start` and child; -1 */
	pid_t sleeper;	  /* parent: holds the scope until the container is in it; 0 */
	const char *home; /* child: "HOME=DIR", which the payload gets; "" */
	int proc; /* child: a procfs of its own, for what is written to /proc; -1 until needed */
};

/* Everything -1 and 0 but what is given. */
void apply_init(struct apply *a, const struct spec *s, const struct plan *p, const struct host *h,
		const char *id);

/*
 * Closes the mounts that were needed to make others. Each takes the kernel as long as all processors need to have noticed (RCU): to be called
 * when nobody waits. apply_close() does it too.
 */
void apply_close_spent(struct apply *a);

/* Closes what is open. */
void apply_close(struct apply *a);

/* Applies the steps of one stage in order; stops at the first failure, which names the step. */
int apply_stage(struct apply *a, enum stage stage, struct err *e);

/* One step alone. A tolerated failure is success here too. */
int apply_step(struct apply *a, const struct step *st, struct err *e);

/* Lets go of the scope, which has the container by now, or is not to have it. */
void scope_end_sleeper(struct apply *a);

/* One function a kind; the table in steps.c joins them to names and printers. */
typedef int apply_fn(struct apply *a, const struct step *st, struct err *e);

apply_fn apply_scope; /* scope.c */
apply_fn apply_cgroup_make, apply_cgroup_set, apply_cgroup_delegate,
	apply_cgroup_devices; /* apply_cgroup.c, apply_devices.c */
apply_fn apply_resctrl;	      /* resctrl.c */
apply_fn apply_id_map, apply_oom_score, apply_rlimit, apply_rlimit_raise,
	apply_user; /* apply_ids.c */
apply_fn apply_propagation, apply_root, apply_mount, apply_device, apply_symlink, apply_directory,
	apply_console, apply_mask, apply_view, apply_readonly_path, apply_readonly_mount,
	apply_pivot, apply_root_attr; /* apply_mount.c, apply_dev.c */
apply_fn apply_netns_make, apply_netns_enter, apply_loopback, apply_net_device, apply_nic,
	apply_hook, apply_sysctl, apply_hostname, apply_domainname, apply_personality,
	apply_memory_policy, apply_affinity, apply_scheduler, apply_io_priority, apply_keyring,
	apply_cwd, apply_lsm_label;			      /* apply_process.c */
apply_fn apply_bounding_caps, apply_caps, apply_no_new_privs; /* apply_caps.c */
apply_fn apply_seccomp_filter;				      /* apply_process.c */

/*
 * Parent: opens the mount of @st with the host's privileges into its slot of a->trees. For steps with a
 * slot; others are passed over.
 */
int apply_open_tree(struct apply *a, const struct step *st, struct err *e);

/* Parent: maps the ids of @fd, the detached mount of @m, as that says. */
int apply_map_mount(const struct apply *a, const struct mount_step *m, int fd, struct err *e);

/* What @m puts in place, as a detached mount or -1 and *e; for who attaches it himself. */
int apply_open_mount(struct apply *a, const struct mount_step *m, struct err *e);

/* Parent: the node of a device that none of the host's is, detached. Descriptor, or -1 and *e. */
int apply_open_device(const struct apply *a, const struct step *st, struct err *e);

/*
 * What @open gives, called in a mount namespace of its own whose "/" sends nothing out: for what can only be had of a mount that is attached
 * somewhere. A helper does it, which shares our descriptors: the one that it makes is ours. Descriptor, or -1 and
 * *e.
 */
typedef int apply_open(const struct apply *a, const void *what, struct err *e);
int apply_open_elsewhere(const struct apply *a, apply_open *open, const void *what, struct err *e);

/*
 * A clone of the mount at @path, attached nowhere, with the attributes @attr (MOUNT_ATTR_*); AT_RECURSIVE in @how: and of all that is
 * mounted below. In one call from Linux 6.15 on; needs 5.12. -1 with errno.
 */
int apply_clone_tree(int dir, const char *path, unsigned how, uint64_t attr);

/*
 * Child: binds what @what refers to (the mount's root, a file, a device) onto @target, from descriptor to
 * descriptor. -1 with errno.
 */
int apply_bind_fd(int what, int target);

/*
 * The host's device @path, to be looked at and then placed on the file @target, which is @name in the directory @parent. As crun has it such a
 * one is neither executed nor does it change a user. A descriptor, *clone: of a mount of its own; 0; -1 with errno.
 */
int apply_open_node(const char *path, bool *clone);
int apply_place_node(int node, bool clone, int parent, const char *name, int target);

/*
 * Child: copies what the directory @from, of the image, holds to @to, the root of a new tmpfs that is not attached yet
 * and can be written to (tmpcopyup). apply_copyup.c says what is copied.
 */
int apply_copy_up(const struct mount_step *m, int from, int to, struct err *e);

/* Child: a pty of the container's own devpts below a->root, into a->console and a->console_master. */
int apply_open_pty(struct apply *a, const struct process_spec *p, struct err *e);

/* Child: the container's procfs, not the image's (CVE-2019-16884, CVE-2025-52881). Descriptor kept in *a, or -1. */
int apply_own_proc(struct apply *a, struct err *e);

/* ---- cgroups, also for state.c and exec ---- */

/* ERR_EXISTS if @path below @root has processes of others in it; to be called before it is journalled. */
int cgroup_check_unused(const struct host *h, const char *path, struct err *e);

/*
 * clone3 with @flags into the cgroup of the descriptor @cgroup; -1: the caller's. The end is told by SIGCHLD, or with CLONE_PARENT as
 * the caller's own. *@pidfd: a descriptor of it, if not NULL. As fork: 0 in the child, -1 with errno.
 */
pid_t cgroup_clone(uint64_t flags, int cgroup, int *pidfd);

/* The directory of the cgroup v2 in which process @pid is, below the mount @root; or -1 and *e. */
int cgroup_open_of(const char *root, pid_t pid, struct err *e);

/* Sends @sig to every process in the cgroup @path and below. */
int cgroup_signal(const char *root, const char *path, int sig, struct err *e);

/* Kills all in the cgroup @path below the mount @root and waits, ten seconds at most, until it is empty. */
int cgroup_kill(const char *root, const char *path, struct err *e);

/*
 * cgroup_kill() and removal with all cgroups below; and of @levels - 1 parents, as long as they are empty. A
 * missing one is success.
 */
int cgroup_remove(const char *root, const char *path, unsigned levels, struct err *e);

#endif
