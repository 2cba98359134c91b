/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - everything that can be decided before anything is done, as a flat list of steps.
 *
 * plan_build() is pure: spec and host facts in, steps out. life.c walks the list; the apply_*.c files
 * do what the steps say and decide nothing. A step never reads its neighbour. `ctr plan` prints it.
 *
 * A plan decides; it does not check: paths inside the rootfs are resolved when a step is applied, from
 * the descriptor of the rootfs, with openat2.
 */
#ifndef CTR_PLAN_H
#define CTR_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/resctrl.h"

struct arena;
struct device_rule;
struct err;
struct host;
struct hook_spec;
struct id_map;
struct ns_spec;
struct process_spec;
struct resources_spec;
struct seccomp_filter;
struct scope;
struct spec;
struct str;

/* Who acts, and when; in order. life.c has the picture. */
enum stage {
	STAGE_HOST, /* parent, before the child exists */
	STAGE_IDS,  /* parent, while a child in a new user namespace waits to be somebody */
	STAGE_HOST_WITH_PID,   /* parent, while the child mounts */
	STAGE_OLD_ROOT,	       /* child, in its namespaces, the host's files still in sight */
	STAGE_RUNTIME_HOOKS,   /* parent, when all is mounted and before the root changes */
	STAGE_CONTAINER_HOOKS, /* child, the same moment */
	STAGE_NEW_ROOT,	       /* child, after pivot_root */
	STAGE_LAST,	       /* child, just before the payload: privileges go here */
	STAGES
};

enum step_kind {
	STEP_SCOPE,	     /* have systemd make a scope for it (scope.h) */
	STEP_CGROUP_MAKE,    /* make a cgroup, enabling controllers on the way down */
	STEP_CGROUP_SET,     /* write one value into it */
	STEP_CGROUP_DEVICES, /* attach a device filter */
	STEP_CGROUP_DELEGATE, /* give it to the container's root: a system makes cgroups of its own */
	STEP_ID_MAP,	      /* uid_map, gid_map, setgroups */
	STEP_OOM_SCORE,
	STEP_NET_DEVICE, /* from the host into the new network namespace */
	STEP_NIC,	 /* an interface of a network of ours */
	STEP_RESCTRL,	 /* into a group of resctrl, which may have to be made */
	STEP_RLIMIT_RAISE,
	STEP_RLIMIT,
	STEP_PROPAGATION, /* of the whole tree that the child got from the host */
	STEP_ROOT,	  /* the new root file system, mounted over "/" */
	STEP_MOUNT,
	STEP_DEVICE, /* a node in the new root's /dev, or a bind of the host's where mknod is forbidden */
	STEP_SYMLINK,
	STEP_DIRECTORY, /* made if missing: where the payload begins */
	STEP_CONSOLE,	/* /dev/console: the pty of the payload */
	STEP_MASK,	/* hide a path behind /dev/null or an empty directory */
	STEP_VIEW,	/* a file that tells of its share of the machine, over the kernel's */
	STEP_READONLY_PATH,
	STEP_READONLY_MOUNT, /* a new file system that had to be filled first */
	STEP_NETNS_MAKE,     /* parent: a network namespace, with lo up, while the child mounts */
	STEP_NETNS_ENTER,    /* child: joins it */
	STEP_LOOPBACK,	     /* bring lo up */
	STEP_HOOK,
	STEP_PIVOT,	/* the new root becomes "/" */
	STEP_ROOT_ATTR, /* read-only root, propagation of "/" */
	STEP_SYSCTL,
	STEP_HOSTNAME,
	STEP_DOMAINNAME,
	STEP_PERSONALITY,
	STEP_MEMORY_POLICY,
	STEP_AFFINITY, /* all processors of its cgroup, whatever the caller may run on */
	STEP_SCHEDULER,
	STEP_IO_PRIORITY,
	STEP_KEYRING, /* a session keyring of its own */
	STEP_CWD,
	STEP_BOUNDING_CAPS,
	STEP_USER, /* groups, gid, uid, umask */
	STEP_CAPS,
	STEP_NO_NEW_PRIVS,
	STEP_SECCOMP,
	STEP_LSM_LABEL,
	STEP_KINDS
};

/* What a STEP_MOUNT or STEP_ROOT puts in place. */
enum mount_source {
	MOUNT_NEW_FS,  /* a new instance of a file system type */
	MOUNT_BIND,    /* a part of the host's tree */
	MOUNT_OVERLAY, /* layers (STEP_ROOT only) */
	MOUNT_CGROUP,  /* cgroup2, or a bind of the host's where there is no cgroup namespace */
};

struct mount_step {
	enum mount_source what;
	const char *type, *source, *target;
	const char *data;		 /* file system options "a=b,c", or NULL */
	const char *label;		 /* SELinux context of all that is in it, or NULL */
	uint64_t attr_set, attr_clear;	 /* MOUNT_ATTR_* on the mount itself */
	uint64_t rattr_set, rattr_clear; /* and on everything below it (rro, rnosuid, ...) */
	unsigned propagation;		 /* MS_PRIVATE, ... | MS_REC; 0: leave */
	bool recursive;			 /* rbind */
	bool detached;	/* the root stays attached nowhere, with all that is put in it */
	bool make_file; /* the missing target is a file, not a directory */
	bool idmap, idmap_recursive;		  /* present through an id-mapped mount */
	const struct id_map *uid_maps, *gid_maps; /* of that mount; NULL: those of the container */
	size_t n_uid_maps, n_gid_maps;
	bool copy_up; /* tmpcopyup: a new tmpfs starts with what the image has there */
	bool source_nofollow, target_nofollow;
	const char *
		inside; /* the source's path in the new root, where it is among mounts of the container itself; NULL */
	/*
	 * The mount is opened by the parent, with the host's privileges, and handed over as a descriptor:
	 * >= 0 is its place in the message. -1: the child opens it itself.
	 */
	int slot;
	/* MOUNT_OVERLAY: NULL-terminated, top first */
	const char *const *layers;
	int tree; /* as in struct root_spec */
	const char *upper, *work;
	bool volatile_upper;
};

struct step {
	enum step_kind kind;
	enum stage stage;
	bool tolerate;	 /* a failure is worth a debug line, no more */
	const char *why; /* the member of the spec it comes from: "mounts[3]" */
	union {
		struct {
			const char *path; /* below the cgroup2 mount, no leading slash */
			/* controllers to be enabled for it in its parent; the wanted may be refused */
			unsigned needed, wanted;
		} cgroup;
		struct {
			const char *file, *value;
			bool optional; /* a default rather than a wish: skipped if the file is missing */
		} set;
		struct {
			const struct device_rule *rules; /* the last one that matches decides */
			size_t n;
		} devices;
		struct {
			const struct id_map *uid, *gid;
			size_t n_uid, n_gid;
			bool unprivileged; /* one's own id alone, or newuidmap(1) and newgidmap(1) */
		} ids;
		struct {
			uint32_t uid, gid;
		} owner; /* on the host */
		const struct scope *scope;
		int oom_score;
		struct {
			const char *host, *name;
		} net_device;
		const struct nic *nic;
		struct resctrl resctrl;
		struct {
			int resource;
			uint64_t soft, hard;
		} rlimit;
		unsigned propagation;
		struct mount_step mount;
		struct {
			const char *path;
			char type;
			unsigned major, minor;
			mode_t mode;
			uint32_t uid, gid;
			bool bind; /* mknod is not possible in a user namespace: bind the host's node */
			int slot; /* or one that the parent makes, as with a mount; -1 */
		} device;
		struct {
			const char *path, *target;
		} symlink;
		const char *path; /* mask, readonly path, directory */
		const struct view *view;
		struct {
			const struct hook_spec *hook;
			const char *point; /* "createRuntime" */
			size_t number;	   /* of that point, from 0 on */
			bool payload_env;  /* its environment is the payload's */
			bool container_namespaces;
		} hook;
		struct {
			bool readonly;
			bool apart; /* no slave of the host's mount that it is a bind of */
			unsigned propagation;
		} root_attr;
		struct {
			const char *key, *value;
		} sysctl;
		struct {
			bool chroot; /* alone: for a host whose root cannot be pivoted, an initramfs */
			bool shared; /* the old root's mounts are still peers of the host's */
		} pivot;
		const char *name; /* hostname, domainname, LSM label */
		unsigned long personality;
		struct {
			const char *mode, *nodes; /* "MPOL_BIND", "0-1" or NULL */
			int number;		  /* of the mode, with its flags */
		} memory_policy;
		uint64_t caps;			    /* bounding set */
		const struct process_spec *process; /* user, capabilities, scheduler, I/O priority */
	};
};

struct plan {
	struct arena *arena;
	struct step *steps; /* sorted by stage, and within one by the order of doing */
	size_t n, size;
	uint64_t clone_flags;		    /* CLONE_NEW* made with the child */
	bool new_time, new_cgroup, new_net; /* namespaces that the child makes for itself */
	bool netns_apart; /* the network namespace is made by the parent, beside the mounts */
	unsigned n_joins; /* namespaces to join before (index into spec->namespaces) */
	const struct ns_spec *joins[8];
	const char *cgroup;	 /* the path of STEP_CGROUP_MAKE; NULL: stay where we are */
	unsigned cgroup_levels;	 /* how many of its last components are ours to remove: 1 or more */
	unsigned slots;		 /* mounts that the parent opens */
	bool hooks_before_pivot; /* so that the child has to wait for the parent there */
	bool network_first; /* its hooks and sysctls may ask for what the parent puts in its network */
	struct seccomp_filter *seccomp; /* compiled, NULL: none */
};

/* What the caller wants beyond the spec. */
struct plan_options {
	const char *id;		   /* of the container */
	const char *cgroup_prefix; /* of its cgroup's path if none is given: "ctr/" or "ctr-oci-" */
	bool no_cgroup;		   /* --cgroup-manager=disabled */
	bool systemd;		   /* its cgroup is a scope of systemd, or of the user's own */
	bool metered; /* what it uses of memory and disks is to be counted, where that can be */
	bool no_new_keyring, no_pivot;
};

/*
 * Decides. Fails for what the specification forbids or this host cannot do, naming the member of the
 * spec and the cure if one is known. The plan refers to the spec, which must outlive it.
 */
struct plan *plan_build(const struct spec *s, const struct host *h, const struct plan_options *o,
			struct err *e);

/* The part that a further process of a running container needs: @s is its spec with that process in it. */
struct plan *plan_build_exec(const struct spec *s, const struct host *h, struct err *e);

/*
 * New limits for a container that runs in @cgroup (as struct state has it): only what @r gives changes. Device rules
 * are left alone, as runc leaves them: callers send them with every update. What is not
 * given but belongs to the same file (the period of a quota) must have been filled in by the caller.
 */
struct plan *plan_build_update(const struct resources_spec *r, const struct host *h,
			       const char *cgroup, struct err *e);

/* What linux.intelRdt of @s asks for. Strings are the spec's and of @a. */
int plan_resctrl(struct arena *a, const struct spec *s, struct resctrl *g, struct err *e);

void plan_free(struct plan *p);

static inline void own_plan(struct plan **p)
{
	plan_free(*p);
}
#define auto_plan __attribute__((cleanup(own_plan)))

/* One line a step: "old-root  mount proc at /proc nosuid,nodev,noexec   (mounts[0])". */
void plan_print(const struct plan *p, struct str *out);

/* The mount options that a plan may hold, for `ctr-oci features`; NULL past the last. */
const char *plan_mount_option(size_t i);

/* ---- between plan.c, plan_mounts.c and plan_process.c ---- */

/* A new zeroed step at the end; NULL and *e when memory is gone. */
struct step *plan_add(struct plan *p, enum stage stage, enum step_kind kind, const char *why,
		      struct err *e);
int plan_mounts(struct plan *p, const struct spec *s, const struct host *h,
		const struct plan_options *o, struct err *e);
int plan_process(struct plan *p, const struct spec *s, const struct host *h,
		 const struct plan_options *o, struct err *e);
int plan_cgroup(struct plan *p, const struct spec *s, const struct host *h,
		const struct plan_options *o, struct err *e);
int plan_cgroup_update(struct plan *p, const struct resources_spec *r, const struct host *h,
		       struct err *e);

#endif
