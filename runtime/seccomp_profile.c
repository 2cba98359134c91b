/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lists of what is allowed, as data. Each row of the table below says for which profile and with which
 * capability a few calls get their verdict. Anything else fails with EPERM, and calls newer than all that is
 * named here with ENOSYS (seccomp.h).
 */
#include "runtime/seccomp.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/personality.h>
#include <sys/socket.h>

#include "runtime/base/arena.h"
#include "runtime/spec.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38 /* Linux 5.8 */
#define CAP_BPF	    39
#endif
#ifndef AF_VSOCK
#define AF_VSOCK 40
#endif

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- what every program may do ---- */

/* clang-format off */

static const char *const files[] = {
	"_llseek", "close", "close_range", "copy_file_range", "creat", "dup", "dup2",
	"dup3", "fadvise64", "fadvise64_64", "fallocate", "fcntl", "fcntl64", "fdatasync",
	"flock", "fsync", "ftruncate", "ftruncate64", "io_cancel", "io_destroy",
	"io_getevents", "io_pgetevents", "io_pgetevents_time64", "io_setup", "io_submit",
	"ioctl", "lseek", "open", "openat", "openat2", "pipe", "pipe2", "pread64", "preadv",
	"preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readv",
	"sendfile", "sendfile64", "splice", "sync_file_range", "tee", "vmsplice", "write",
	"writev", NULL,
};

static const char *const paths[] = {
	"access", "chdir", "chmod", "chown", "chown32", "faccessat", "faccessat2", "fchdir",
	"fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat", "fstat",
	"fstat64", "fstatat64", "fstatfs", "fstatfs64", "futimesat", "getcwd", "getdents",
	"getdents64", "lchown", "lchown32", "link", "linkat", "listmount", "lstat",
	"lstat64", "mkdir", "mkdirat", "mknod", "mknodat", "name_to_handle_at",
	"newfstatat", "readlink", "readlinkat", "rename", "renameat", "renameat2", "rmdir",
	"stat", "stat64", "statfs", "statfs64", "statmount", "statx", "symlink",
	"symlinkat", "truncate", "truncate64", "unlink", "unlinkat", "utime", "utimensat",
	"utimensat_time64", "utimes", NULL,
};

static const char *const attributes[] = {
	"fgetxattr", "flistxattr", "fremovexattr", "fsetxattr", "getxattr", "getxattrat",
	"lgetxattr", "listxattr", "listxattrat", "llistxattr", "lremovexattr", "lsetxattr",
	"removexattr", "removexattrat", "setxattr", "setxattrat", NULL,
};

static const char *const waiting[] = {
	"_newselect", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait",
	"epoll_pwait2", "epoll_wait", "eventfd", "eventfd2", "fanotify_mark",
	"inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "poll",
	"ppoll", "ppoll_time64", "pselect6", "pselect6_time64", "select", NULL,
};

static const char *const memory[] = {
	"brk", "cachestat", "madvise", "map_shadow_stack", "membarrier", "memfd_create",
	"memfd_secret", "mincore", "mlock", "mlock2", "mlockall", "mmap", "mmap2",
	"mprotect", "mremap", "mseal", "msync", "munlock", "munlockall", "munmap",
	"pkey_alloc", "pkey_free", "pkey_mprotect", "process_mrelease", "process_vm_readv",
	"process_vm_writev", "remap_file_pages", NULL,
};

static const char *const processes[] = {
	"arch_prctl", "execve", "execveat", "exit", "exit_group", "fork", "futex",
	"futex_requeue", "futex_time64", "futex_wait", "futex_waitv", "futex_wake",
	"get_robust_list", "get_thread_area", "getcpu", "getpid", "getppid", "getpriority",
	"getrlimit", "getrusage", "gettid", "ioprio_get", "ioprio_set", "landlock_add_rule",
	"landlock_create_ruleset", "landlock_restrict_self", "modify_ldt", "pidfd_open",
	"prctl", "prlimit64", "ptrace", "rseq", "sched_get_priority_max",
	"sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam",
	"sched_getscheduler", "sched_rr_get_interval", "sched_rr_get_interval_time64",
	"sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler",
	"sched_yield", "seccomp", "set_robust_list", "set_thread_area", "set_tid_address",
	"setpriority", "setrlimit", "ugetrlimit", "uretprobe", "vfork", "wait4", "waitid",
	"waitpid", NULL,
};

static const char *const identity[] = {
	"capget", "capset", "getegid", "getegid32", "geteuid", "geteuid32", "getgid",
	"getgid32", "getgroups", "getgroups32", "getpgid", "getpgrp", "getresgid",
	"getresgid32", "getresuid", "getresuid32", "getsid", "getuid", "getuid32",
	"setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32",
	"setgroups", "setgroups32", "setpgid", "setregid", "setregid32", "setresgid",
	"setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32", "setsid",
	"setuid", "setuid32", "umask", NULL,
};

static const char *const signals[] = {
	"alarm", "kill", "pause", "pidfd_send_signal", "restart_syscall", "rt_sigaction",
	"rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
	"rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo",
	"sigaltstack", "signalfd", "signalfd4", "sigprocmask", "sigreturn", "tgkill",
	"tkill", NULL,
};

/* adjtimex and clock_adjtime: to set, they want CAP_SYS_TIME of the first user namespace */
static const char *const times[] = {
	"adjtimex", "clock_adjtime", "clock_adjtime64", "clock_getres",
	"clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep",
	"clock_nanosleep_time64", "getitimer", "gettimeofday", "nanosleep", "setitimer",
	"time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime",
	"timer_gettime64", "timer_settime", "timer_settime64", "timerfd_create",
	"timerfd_gettime", "timerfd_gettime64", "timerfd_settime", "timerfd_settime64",
	"times", NULL,
};

/* socket itself comes below */
static const char *const sockets[] = {
	"accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt",
	"listen", "recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "send",
	"sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socketcall",
	"socketpair", NULL,
};

static const char *const ipc_calls[] = {
	"ipc", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive",
	"mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "mq_unlink",
	"msgctl", "msgget", "msgrcv", "msgsnd", "semctl", "semget", "semop", "semtimedop",
	"semtimedop_time64", "shmat", "shmctl", "shmdt", "shmget", NULL,
};

static const char *const machine[] = {
	"getrandom", "sync", "syncfs", "sysinfo", "uname", NULL,
};

/* Calls of one architecture alone. */
static const char *const native[] = {
#if defined(__aarch64__) || defined(__arm__)
	"arm_fadvise64_64", "arm_sync_file_range", "breakpoint", "cacheflush", "set_tls",
	"sync_file_range2",
#elif defined(__powerpc64__)
	"swapcontext", "sync_file_range2",
#elif defined(__riscv)
	"riscv_flush_icache", "riscv_hwprobe",
#elif defined(__s390x__)
	"s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr",
#endif
	NULL,
};

/* ---- what takes a capability, or a whole system ---- */

static const char *const namespaces[] = { "clone", "clone3", "setns", "unshare", NULL };

static const char *const mounts[] = {
	"fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount",
	"open_tree", "umount", "umount2", NULL,
};

static const char *const administration[] = {
	"fanotify_init", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "setdomainname",
	"sethostname", NULL,
};

static const char *const host_administration[] = {
	"bpf", "lookup_dcookie", "perf_event_open", "quotactl", "quotactl_fd", "syslog", NULL,
};

static const char *const clocks[] = {
	"clock_settime", "clock_settime64", "settimeofday", "stime", NULL,
};

static const char *const modules[] = { "delete_module", "finit_module", "init_module", NULL };
static const char *const inspection[] = { "kcmp", "pidfd_getfd", "process_madvise", NULL };
static const char *const placement[] = {
	"get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node", NULL,
};
static const char *const ports[] = { "ioperm", "iopl", NULL };
static const char *const handles[] = { "open_by_handle_at", NULL };
static const char *const accounting[] = { "acct", NULL };
static const char *const change_root[] = { "chroot", NULL };
static const char *const move_root[] = { "pivot_root", NULL };
static const char *const restart[] = { "reboot", NULL };
static const char *const hang_up[] = { "vhangup", NULL };
static const char *const kernel_log[] = { "syslog", NULL };
static const char *const programs[] = { "bpf", NULL };
static const char *const counters[] = { "perf_event_open", NULL };

/* Since Linux 6.15 and 6.17; Docker's list does not have them yet. */
static const char *const newest[] = { "file_getattr", "file_setattr", "open_tree_attr", NULL };

/* ---- what depends on arguments ---- */

static const char *const clone_call[] = { "clone", NULL };
static const char *const clone3_call[] = { "clone3", NULL };
static const char *const socket_call[] = { "socket", NULL };
static const char *const personality_call[] = { "personality", NULL };

/* clang-format on */

#define NEW_NAMESPACES                                                                             \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | \
	 CLONE_NEWCGROUP) /* CLONE_NEWTIME is part of the exit signal there */

#ifdef __s390x__
#define CLONE_FLAGS_ARG 1
#else
#define CLONE_FLAGS_ARG 0
#endif

static const struct seccomp_arg no_new_namespace[] = {
	{ CLONE_FLAGS_ARG, NEW_NAMESPACES, 0, "SCMP_CMP_MASKED_EQ" },
};

/*
 * The family is an int: the kernel does not look at the upper half of the register, so neither may we, or
 * 0x100000026 would be a way past. (Docker's rules, which ask for "more than 40", have that hole.) Programs
 * know what to do without a family that a kernel need not have.
 */
static const struct seccomp_arg family_alg[] = { { 0, UINT32_MAX, AF_ALG, "SCMP_CMP_MASKED_EQ" } };
static const struct seccomp_arg family_vsock[] = { { 0, UINT32_MAX, AF_VSOCK,
						     "SCMP_CMP_MASKED_EQ" } };

static const struct seccomp_arg personality_linux[] = { { 0, PER_LINUX, 0, "SCMP_CMP_EQ" } };
static const struct seccomp_arg personality_linux32[] = { { 0, PER_LINUX32, 0, "SCMP_CMP_EQ" } };
static const struct seccomp_arg personality_uname26[] = { { 0, UNAME26, 0, "SCMP_CMP_EQ" } };
static const struct seccomp_arg personality_both[] = {
	{ 0, UNAME26 | PER_LINUX32, 0, "SCMP_CMP_EQ" },
};
static const struct seccomp_arg personality_query[] = { { 0, UINT32_MAX, 0, "SCMP_CMP_EQ" } };

/* clang-format off */
/*
 * Keys: request_key(2) has the host's kernel start a program of the host as root, and without a user
 * namespace the user's keyring is the host's. io_uring: its requests pass no filter, so that socket(2)
 * above would be undone. As if the kernel did not have them, which nested runtimes and libraries accept
 * where EPERM would make them give up.
 */
static const char *const absent[] = {
	"add_key", "io_uring_enter", "io_uring_register", "io_uring_setup", "keyctl", "request_key", NULL,
};

/* clang-format on */

/* ---- the profiles ---- */

enum {
	APPLICATION = 1 << SECCOMP_APPLICATION,
	SYSTEM = 1 << SECCOMP_SYSTEM,
	BOTH = APPLICATION | SYSTEM
};

enum when { ALWAYS, WITH, WITHOUT };

struct row {
	unsigned profiles;
	enum when when; /* the bounding set has, or has not, */
	int cap;
	const char *const *names;
	const struct seccomp_arg *arg; /* NULL: whatever the arguments are */
	int error;		       /* 0: allow */
};

/* Rules of one call go from the special to the general: the first that matches decides. */
static const struct row rows[] = {
	{ BOTH, ALWAYS, 0, files, NULL, 0 },
	{ BOTH, ALWAYS, 0, paths, NULL, 0 },
	{ BOTH, ALWAYS, 0, attributes, NULL, 0 },
	{ BOTH, ALWAYS, 0, waiting, NULL, 0 },
	{ BOTH, ALWAYS, 0, memory, NULL, 0 },
	{ BOTH, ALWAYS, 0, processes, NULL, 0 },
	{ BOTH, ALWAYS, 0, identity, NULL, 0 },
	{ BOTH, ALWAYS, 0, signals, NULL, 0 },
	{ BOTH, ALWAYS, 0, times, NULL, 0 },
	{ BOTH, ALWAYS, 0, sockets, NULL, 0 },
	{ BOTH, ALWAYS, 0, ipc_calls, NULL, 0 },
	{ BOTH, ALWAYS, 0, machine, NULL, 0 },
	{ BOTH, ALWAYS, 0, native, NULL, 0 },
	{ BOTH, ALWAYS, 0, socket_call, family_alg, EAFNOSUPPORT },
	{ BOTH, ALWAYS, 0, socket_call, family_vsock, EAFNOSUPPORT },
	{ BOTH, ALWAYS, 0, socket_call, NULL, 0 },
	{ APPLICATION, ALWAYS, 0, personality_call, personality_linux, 0 },
	{ APPLICATION, ALWAYS, 0, personality_call, personality_linux32, 0 },
	{ APPLICATION, ALWAYS, 0, personality_call, personality_uname26, 0 },
	{ APPLICATION, ALWAYS, 0, personality_call, personality_both, 0 },
	{ APPLICATION, ALWAYS, 0, personality_call, personality_query, 0 },

	{ APPLICATION, WITH, CAP_SYS_ADMIN, namespaces, NULL, 0 },
	{ APPLICATION, WITH, CAP_SYS_ADMIN, mounts, NULL, 0 },
	{ APPLICATION, WITH, CAP_SYS_ADMIN, administration, NULL, 0 },
	{ APPLICATION, WITH, CAP_SYS_ADMIN, host_administration, NULL, 0 },
	{ APPLICATION, WITHOUT, CAP_SYS_ADMIN, clone_call, no_new_namespace, 0 },
	/* its flags lie in memory, out of sight; libraries then fall back to clone */
	{ APPLICATION, WITHOUT, CAP_SYS_ADMIN, clone3_call, NULL, ENOSYS },
	{ APPLICATION, WITH, CAP_DAC_READ_SEARCH, handles, NULL, 0 },
	{ APPLICATION, WITH, CAP_SYS_CHROOT, change_root, NULL, 0 },
	{ APPLICATION, WITH, CAP_SYS_MODULE, modules, NULL, 0 },
	{ APPLICATION, WITH, CAP_SYS_PACCT, accounting, NULL, 0 },
	{ APPLICATION, WITH, CAP_SYS_PTRACE, inspection, NULL, 0 },
	{ APPLICATION, WITH, CAP_SYS_RAWIO, ports, NULL, 0 },
	{ APPLICATION, WITH, CAP_SYS_TIME, clocks, NULL, 0 },
	{ APPLICATION, WITH, CAP_SYS_TTY_CONFIG, hang_up, NULL, 0 },
	{ APPLICATION, WITH, CAP_SYS_NICE, placement, NULL, 0 },
	{ APPLICATION, WITH, CAP_SYSLOG, kernel_log, NULL, 0 },
	{ APPLICATION, WITH, CAP_BPF, programs, NULL, 0 },
	{ APPLICATION, WITH, CAP_PERFMON, counters, NULL, 0 },
	/* in a pid namespace it ends that alone */
	{ BOTH, WITH, CAP_SYS_BOOT, restart, NULL, 0 },

	/*
	 * Left out for a system, since no namespace confines them: kexec, modules, clocks, swap, acct,
	 * open_by_handle_at, userfaultfd, bpf, perf_event_open, I/O ports, the kernel's log, and quotactl,
	 * which asks for the host's CAP_SYS_ADMIN anyway.
	 */
	{ SYSTEM, ALWAYS, 0, namespaces, NULL, 0 },
	{ SYSTEM, ALWAYS, 0, mounts, NULL, 0 },
	{ SYSTEM, ALWAYS, 0, move_root, NULL, 0 },
	{ SYSTEM, ALWAYS, 0, change_root, NULL, 0 },
	{ SYSTEM, ALWAYS, 0, administration, NULL, 0 },
	{ SYSTEM, ALWAYS, 0, inspection, NULL, 0 },
	{ SYSTEM, ALWAYS, 0, placement, NULL, 0 },
	{ SYSTEM, ALWAYS, 0, hang_up, NULL, 0 },
	{ SYSTEM, ALWAYS, 0, newest, NULL, 0 },
	{ SYSTEM, ALWAYS, 0, personality_call, NULL, 0 },
	{ SYSTEM, ALWAYS, 0, absent, NULL, ENOSYS },
};

static const char *const architectures[] = {
#if defined(__x86_64__)
	/* x32 is left out: nobody has programs for it, and it would take half as many instructions again */
	"SCMP_ARCH_X86_64",
	"SCMP_ARCH_X86",
#elif defined(__aarch64__)
	"SCMP_ARCH_AARCH64",
	"SCMP_ARCH_ARM",
#elif defined(__s390x__)
	"SCMP_ARCH_S390X",
	"SCMP_ARCH_S390",
#endif
	NULL,
};

static bool applies(const struct row *r, enum seccomp_profile which, uint64_t caps)
{
	bool has = r->when != ALWAYS && caps >> r->cap & 1;

	return r->profiles & 1u << which && (r->when == ALWAYS || (r->when == WITH) == has);
}

struct seccomp_spec *seccomp_profile(enum seccomp_profile which, uint64_t bounding_caps,
				     struct arena *a)
{
	struct seccomp_spec *s = arena_alloc(a, sizeof(*s));
	struct seccomp_rule *rules = arena_array(a, N_OF(rows), sizeof(*rules));
	struct seccomp_arg *args = arena_array(a, N_OF(rows), sizeof(*args));

	if (!s || !rules || !args)
		return NULL;
	s->default_action = "SCMP_ACT_ERRNO";
	s->default_errno_ret = (struct opt_u64){ true, EPERM };
	s->architectures = architectures;
	s->rules = rules;
	for (size_t i = 0; i < N_OF(rows); i++) {
		const struct row *r = &rows[i];
		struct seccomp_rule *rule = &rules[s->n_rules];

		if (!applies(r, which, bounding_caps))
			continue;
		rule->names = r->names;
		rule->action = r->error ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW";
		if (r->error)
			rule->errno_ret = (struct opt_u64){ true, (unsigned)r->error };
		if (r->arg) {
			args[s->n_rules] = *r->arg;
			rule->args = &args[s->n_rules];
			rule->n_args = 1;
		}
		s->n_rules++;
	}
	return s;
}
