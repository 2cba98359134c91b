/*
 * spec.h - the one description of a container.
 *
 * Three readers make a spec: spec_oci.c from a bundle's config.json, cli/from_image.c from an image and
 * a command line, instance.c from an instance's file. From here on nothing knows which it was. Names
 * follow the OCI runtime specification 1.3, which is the reference for meaning, units and defaults of
 * every field; a NULL pointer, a count of 0 or a `has_` flag that is false means "not given".
 *
 * A spec says what is wanted, in the words of whoever asked: mount options and capability-free strings
 * stay strings here, and plan.c turns them into flags. It is an open struct: the vocabulary of the
 * project. All it points to lives in its arena.
 */
#ifndef CTR_SPEC_H
#define CTR_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct arena;
struct err;
struct str;

struct id_map {
	uint32_t container, host, size;
};

struct key_value {
	const char *key, *value;
};

struct rlimit_spec {
	int resource; /* RLIMIT_* */
	uint64_t soft, hard;
};

/* Indexes of process.capabilities, each a bit mask: bit N is capability number N. */
enum cap_set {
	CAPS_BOUNDING,
	CAPS_EFFECTIVE,
	CAPS_INHERITABLE,
	CAPS_PERMITTED,
	CAPS_AMBIENT,
	CAPS_SETS
};

struct scheduler_spec {
	const char *policy; /* "SCHED_OTHER", ... NULL: not given */
	int32_t nice;
	int32_t priority;
	const char *const *flags;	    /* "SCHED_FLAG_RESET_ON_FORK", ... */
	uint64_t runtime, deadline, period; /* ns */
	bool has_runtime, has_deadline;
};

struct process_spec {
	bool terminal;
	unsigned console_height, console_width; /* 0: not given */
	uint32_t uid, gid;
	bool has_umask;
	mode_t umask;
	const uint32_t *additional_gids;
	size_t n_additional_gids;
	const char *const *args; /* NULL-terminated; NULL: no process (create only fails at start) */
	const char *const *env;	 /* NULL-terminated "K=V"; NULL: none */
	const char *cwd;	 /* absolute */
	bool has_caps;		 /* process.capabilities was given; if not, there are none */
	uint64_t caps[CAPS_SETS];
	struct rlimit_spec *rlimits;
	size_t n_rlimits;
	bool no_new_privileges;
	const char *apparmor_profile, *selinux_label;
	bool has_oom_score_adj;
	int oom_score_adj;
	struct scheduler_spec scheduler;
	bool has_io_priority;
	const char *io_priority_class; /* "IOPRIO_CLASS_RT", "_BE", "_IDLE" */
	int io_priority;
	const char *exec_affinity_initial, *exec_affinity_final; /* CPU lists */
};

/*
 * The root file system: a directory (path alone), or an overlay of layers. For OCI bundles `path` is
 * absolute already.
 */
struct root_spec {
	const char *path;
	bool readonly;
	const char *const *
		layers; /* overlay lower directories, top first, NULL-terminated; NULL: no overlay */
	int tree; /* a detached mount, borrowed, in place of the last layer, which then is a name of it; -1: none */
	const char *upper,
		*work;	     /* overlay's writable part; NULL: read-only root of layers alone */
	bool nodev;	     /* no node in it is a device */
	bool volatile_upper; /* its content is thrown away with the instance: no fsync */
	bool idmap; /* files on disk carry container ids: present them through id-mapped mounts */
};

struct mount_spec {
	const char *destination; /* as given; relative ones count from "/" (specification 1.2) */
	const char *type;	 /* NULL: none given */
	const char *source;
	const char *const *options; /* NULL-terminated; NULL: none */
	struct id_map *uid_maps, *gid_maps;
	size_t n_uid_maps, n_gid_maps;
};

enum hook_point {
	HOOK_PRESTART,
	HOOK_CREATE_RUNTIME,
	HOOK_CREATE_CONTAINER,
	HOOK_START_CONTAINER,
	HOOK_POSTSTART,
	HOOK_POSTSTOP,
	HOOK_POINTS
};

struct hook_spec {
	const char *path;
	const char *const *args, *const *env; /* NULL-terminated or NULL */
	unsigned timeout;		      /* seconds; 0: none */
};

struct hook_list {
	struct hook_spec *list;
	size_t n;
};

struct ns_spec {
	unsigned flag;	  /* CLONE_NEW* */
	const char *path; /* join this one; NULL: make a new one */
};

#define NS_MAX 8

struct device_spec {
	char type; /* 'c', 'b', 'u' or 'p' */
	const char *path;
	int64_t major, minor;
	bool has_mode;
	mode_t mode;
	bool has_uid, has_gid;
	uint32_t uid, gid;
};

struct device_rule {
	bool allow;
	char type;	      /* 'a', 'b' or 'c' */
	int64_t major, minor; /* -1: any */
	unsigned access;      /* DEVICE_READ | ... */
};

enum { DEVICE_READ = 1, DEVICE_WRITE = 2, DEVICE_MKNOD = 4 };

/* Sizes in bytes, times in microseconds, as in the specification; `has_` tells 0 from absent. */
struct opt_i64 {
	bool set;
	int64_t v;
};
struct opt_u64 {
	bool set;
	uint64_t v;
};

struct weight_device {
	int64_t major, minor;
	struct opt_u64 weight, leaf_weight;
};

struct throttle_device {
	int64_t major, minor;
	uint64_t rate;
};

enum throttle {
	THROTTLE_READ_BPS,
	THROTTLE_WRITE_BPS,
	THROTTLE_READ_IOPS,
	THROTTLE_WRITE_IOPS,
	THROTTLES
};

struct rdma_limit {
	const char *device;
	struct opt_u64 handles, objects;
};

struct resources_spec {
	struct device_rule *devices;
	size_t n_devices;
	struct {
		struct opt_i64 limit, reservation, swap, kernel, kernel_tcp;
		struct opt_u64 swappiness;
		bool disable_oom_killer, use_hierarchy, check_before_update;
		bool has_disable_oom_killer, has_use_hierarchy, has_check_before_update;
	} memory;
	struct {
		struct opt_u64 shares, period, burst, realtime_period;
		struct opt_i64 quota, realtime_runtime, idle;
		const char *cpus, *mems;
	} cpu;
	struct opt_i64 pids_limit;
	struct {
		struct opt_u64 weight, leaf_weight;
		struct weight_device *weights;
		size_t n_weights;
		struct throttle_device *throttles[THROTTLES];
		size_t n_throttles[THROTTLES];
	} block_io;
	struct key_value *hugepages; /* key "2MB", value a decimal number of bytes */
	size_t n_hugepages;
	struct opt_u64 net_class_id;
	struct key_value *net_priorities; /* interface, decimal priority */
	size_t n_net_priorities;
	struct rdma_limit *rdma;
	size_t n_rdma;
	struct key_value *unified; /* file name in the cgroup, value */
	size_t n_unified;
};

/* linux.seccomp. Names stay names: apply_seccomp.c knows the numbers. */
struct seccomp_arg {
	unsigned index;
	uint64_t value, value_two;
	const char *op; /* "SCMP_CMP_EQ", ... */
};

struct seccomp_rule {
	const char *const *names; /* NULL-terminated */
	const char *action;	  /* "SCMP_ACT_ALLOW", ... */
	struct opt_u64 errno_ret;
	struct seccomp_arg *args;
	size_t n_args;
};

struct seccomp_spec {
	const char *default_action;
	struct opt_u64 default_errno_ret;
	const char *const *architectures; /* "SCMP_ARCH_X86_64", ... NULL: the native one */
	const char *const *flags;	  /* "SECCOMP_FILTER_FLAG_LOG", ... */
	const char *listener_path, *listener_metadata;
	bool no_unknown; /* a system call that does not exist is an error: crun's annotation */
	struct seccomp_rule *rules;
	size_t n_rules;
};

struct time_offset {
	const char *clock; /* "monotonic", "boottime" */
	int64_t secs;
	uint32_t nanosecs;
};

struct nic;

struct net_device {
	const char *host, *name; /* name inside; NULL: the same */
};

/* MAX_NUMNODES of the kernel's largest configurations. */
#define MEMORY_NODES_MAX 1024

struct spec {
	struct arena *arena;

	const char *oci_version;
	const char *bundle; /* absolute path of the bundle; NULL: not from a bundle */
	bool has_process;
	struct process_spec process;
	struct root_spec root;
	const char *hostname, *domainname;
	struct mount_spec *mounts;
	size_t n_mounts;
	struct hook_list hooks[HOOK_POINTS];
	struct key_value *annotations;
	size_t n_annotations;

	/* linux */
	struct id_map *uid_maps, *gid_maps;
	size_t n_uid_maps, n_gid_maps;
	struct ns_spec namespaces[NS_MAX];
	size_t n_namespaces;
	struct time_offset *time_offsets;
	size_t n_time_offsets;
	struct device_spec *devices;
	size_t n_devices;
	struct net_device *net_devices;
	const struct view *views; /* VIEWS files of /proc of its own: views.h; NULL: the kernel's */
	const struct nic *nics;	  /* interfaces that are made for it: netns/netns.h */
	size_t n_nics;
	size_t n_net_devices;
	const char *cgroups_path;
	struct resources_spec resources;
	const char *
		rootfs_propagation; /* "private", "slave", "shared", "unbindable" or with leading "r" */
	struct seccomp_spec *seccomp; /* NULL: none */
	struct key_value *sysctl;
	size_t n_sysctl;
	const char *const *masked_paths, *const *readonly_paths; /* NULL-terminated or NULL */
	const char *mount_label;
	const char *personality_domain; /* "LINUX", "LINUX32"; NULL: none */
	struct {
		const char *mode;  /* "MPOL_BIND", ... NULL: none */
		const char *nodes; /* a list, of numbers below MEMORY_NODES_MAX */
		const char *const *flags;
	} memory_policy;
	struct {
		bool given; /* even an empty one asks for a group of the container's own */
		const char *clos_id, *l3_cache_schema, *mem_bw_schema;
		const char *const *schemata;
		bool enable_monitoring, enable_cmt, enable_mbm;
	} intel_rdt;

	/* Not in the OCI specification: what an instance adds. */
	bool system; /* a booted system (an init as PID 1) rather than one application */
	uint64_t default_pids_max; /* applied where the controller exists; 0: none */
};

/* An empty spec with an arena of its own; NULL when memory is gone. */
struct spec *spec_new(void);

/* Frees the spec and all in it. NULL is accepted. */
void spec_free(struct spec *s);

static inline void own_spec(struct spec **s)
{
	spec_free(*s);
}
#define auto_spec __attribute__((cleanup(own_spec)))

/* The namespace entry of @flag (CLONE_NEW*), or NULL: the container shares that one with its caller. */
const struct ns_spec *spec_namespace(const struct spec *s, unsigned flag);

/* Whether anything is put into its network namespace from outside: a device of the host's, or an interface of a network of ours. */
bool spec_has_net_devices(const struct spec *s);

/* The value of an annotation, or NULL. */
const char *spec_annotation(const struct spec *s, const char *key);

/*
 * What must hold between the members of a spec, whoever made it: a host name needs a uts namespace, mappings
 * must not overlap, a sysctl must belong to a namespace of the container's own (CVE-2022-0811), and so on.
 * The message names members as config.json does. spec_oci_parse() has called it already.
 */
int spec_check(const struct spec *s, struct err *e);

/* ---- spec_oci.c: config.json ---- */

/*
 * Reads the text of a config.json (runtime-spec 1.0 to 1.3). Unknown members are ignored, as the
 * specification demands; a member of a wrong type, out of range or contradicting another is an error
 * that names its path ("process.rlimits[1].type"). Relative paths are resolved against @bundle (absolute).
 * The spec is the caller's.
 */
struct spec *spec_oci_parse(const char *text, size_t len, const char *bundle, struct err *e);

/* Writes @s as a config.json. dump -> parse -> dump is identical. */
void spec_oci_dump(const struct spec *s, struct str *out);

/* process.json of `exec --process`: fills @p, whose parts live in @a. */
int spec_oci_parse_process(const char *text, size_t len, struct arena *a, struct process_spec *p,
			   struct err *e);

/* linux.resources alone, as `update --resources` gets it: fills @resources, whose parts live in @a. */
int spec_oci_parse_resources(const char *text, size_t len, struct arena *a,
			     struct resources_spec *resources, struct err *e);

/* The default bundle of `ctr-oci spec`, as runc's: shell in a rootfs directory. @rootless adds a user namespace. */
struct spec *spec_oci_default(bool rootless, struct err *e);

#endif
