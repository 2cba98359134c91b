/*
 * host.h - what this kernel and this user can do: the facts that a plan depends on.
 *
 * Probed once a command (a few system calls), or read from a text so that plans can be tested without
 * a machine. Nothing here changes anything.
 */
#ifndef CTR_HOST_H
#define CTR_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct str;

/* cgroup v2 controllers, as bits. */
enum controller {
	CTL_CPU = 1 << 0,
	CTL_CPUSET = 1 << 1,
	CTL_IO = 1 << 2,
	CTL_MEMORY = 1 << 3,
	CTL_HUGETLB = 1 << 4,
	CTL_PIDS = 1 << 5,
	CTL_RDMA = 1 << 6,
	CTL_MISC = 1 << 7,
	CTL_DMEM = 1 << 8, /* Linux 6.14 */
	CTL_LAST = CTL_DMEM,
};

struct host {
	char cgroup[256];     /* where cgroup2 is mounted; "" if nowhere */
	unsigned controllers; /* available in its root */
	bool cgroup_readonly; /* nothing can be made there: containers stay in their caller's cgroup */
	unsigned v1_controllers; /* host_v1_controllers() */
	bool v1_unknown;	 /* those were not looked for yet */
	uid_t euid;
	bool initial_userns;   /* ours is the machine's first user namespace */
	bool cap_sys_resource; /* may raise hard limits and lower oom_score_adj */
	unsigned kernel_major, kernel_minor;
};

/* Fills *h from the running system. 0, or -1 and *e. Costs under 50 us where cgroup2 is in a usual place. */
int host_probe(struct host *h, struct err *e);

/* The same facts as "key=value" lines; reading accepts what writing gives, in any order. */
int host_parse(const char *text, struct host *h, struct err *e);
void host_dump(const struct host *h, struct str *out);

/*
 * What a mountinfo text (proc(5); cut in place) says: where cgroup2 is, for the first mount for which @is_cgroup2
 * returns 1 (-1: failure), and which controllers are bound to cgroup v1.
 */
int host_read_mountinfo(char *text, struct host *h,
			int (*is_cgroup2)(const char *path, struct err *e), struct err *e);

/*
 * Those that are bound to a cgroup v1 hierarchy, so not available to v2. Asked for when a limit is refused: the
 * answer is in /proc/self/mountinfo, which is long on a busy machine. What cannot be read binds none.
 */
unsigned host_v1_controllers(const struct host *h);

/* Whether the kernel is Linux @major.@minor or later. */
bool host_kernel_is(const struct host *h, unsigned major, unsigned minor);

/* "memory", ... for one bit; NULL for none. And back: 0 for an unknown name. */
const char *controller_name(unsigned bit);
unsigned controller_bit(const char *name, size_t len);

#endif
