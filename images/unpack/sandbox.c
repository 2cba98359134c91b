#include "images/unpack/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/unpack/unpack.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/sys.h"

/* Address sanitizer needs terabytes of address space and system calls of its own. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define THREAD_FLAGS (CLONE_VM | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define NEW_NAMESPACES                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)

static int limit(int resource, uint64_t max, const char *what, struct err *e)
{
	struct rlimit now, want;

	if (getrlimit(resource, &now) < 0)
		return err_set(e, errno, "cannot read the limit of %s", what);
	/* raising takes CAP_SYS_RESOURCE; what is lower already may stay so */
	want.rlim_cur = want.rlim_max = max < now.rlim_max ? max : now.rlim_max;
	if (setrlimit(resource, &want) < 0)
		return err_set(e, errno, "cannot limit %s", what);
	return 0;
}

static int set_limits(const struct unpack_request *q, struct err *e)
{
	if (q->max_memory != UINT64_MAX && !SANITIZED &&
	    limit(RLIMIT_AS, q->max_memory, "memory", e) < 0)
		return -1;
	if (q->max_seconds != UINT64_MAX &&
	    limit(RLIMIT_CPU, q->max_seconds, "processor time", e) < 0)
		return -1;
	if (q->max_file != UINT64_MAX && limit(RLIMIT_FSIZE, q->max_file, "file size", e) < 0)
		return -1;
	/* the tree's descriptors: 64 kept parents, and one for each level of a removal */
	if (limit(RLIMIT_NOFILE, 512, "descriptors", e) < 0 ||
	    limit(RLIMIT_CORE, 0, "core dumps", e) < 0)
		return -1;
	/* beyond the file size limit: an error, not a death */
	signal(SIGXFSZ, SIG_IGN);
	return 0;
}

/*
 * The clone of the directory's mount is made before the new namespace, since open_tree(2) takes only mounts of
 * the namespace it is called in; then it covers the root and becomes it.
 */
static int become_root(int target, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					       MOUNT_ATTR_NOEXEC };
	auto_fd int tree =
		sys_open_tree(target, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0)
		return err_set(e, errno, "cannot clone the mount of the staging directory%s",
			       geteuid() ? ": unpacking takes root" : "");
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) < 0)
		return err_set(e, errno, "cannot make namespaces");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set(e, errno, "cannot make mounts private");
	if (sys_mount_setattr(tree, "", AT_EMPTY_PATH, &attr) < 0 && errno != ENOSYS)
		return err_set(e, errno, "cannot restrict the staging directory's mount");
	if (sys_move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_set(e, errno, "cannot mount the staging directory");
	if (fchdir(tree) < 0)
		return err_set(e, errno, "cannot enter the staging directory");
	/* the clone of a shared mount (systemd makes all of them so) is shared, which pivot_root(2) refuses */
	if (mount(NULL, ".", NULL, MS_PRIVATE, NULL) < 0)
		return err_set(e, errno, "cannot make the staging directory's mount private");
	/* "." twice: the old root is stacked upon the new one, where it can be let go (pivot_root(2)) */
	if (sys_pivot_root(".", ".") < 0)
		return err_set(e, errno, "cannot change the root directory");
	if (umount2(".", MNT_DETACH) < 0)
		return err_set(e, errno, "cannot leave the host's file systems");
	if (chdir("/") < 0)
		return err_set(e, errno, "cannot enter the staging directory");
	return 0;
}

static int drop_capabilities(struct err *e)
{
	const uint32_t keep = 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER |
			      1u << CAP_FSETID | 1u << CAP_SETFCAP;
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = keep, .permitted = keep } };

	/* until EINVAL: the kernel may know more of them than these headers */
	for (int cap = 0; cap < 64; cap++) {
		if (cap < 32 && (keep & (1u << cap)))
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
			return err_set(e, errno, "cannot drop a capability");
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_set(e, errno, "cannot drop capabilities");
	if (syscall(SYS_capset, &head, data) < 0)
		return err_set(e, errno, "cannot drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, errno, "cannot renounce new privileges");
	return 0;
}

int sandbox_enter(int target, const struct unpack_request *q, struct err *e)
{
	if (set_limits(q, e) < 0 || become_root(target, e) < 0)
		return -1;
	/* it belongs to the host's mount: ".." from it would lead out */
	close(target);
	return drop_capabilities(e);
}

int sandbox_close(struct err *e)
{
	static const int calls[] = {
		/* input, output, the socket */
		SCMP_SYS(read),
		SCMP_SYS(write),
		SCMP_SYS(pread64),
		SCMP_SYS(pwrite64),
		SCMP_SYS(copy_file_range),
		SCMP_SYS(sync_file_range),
		SCMP_SYS(fallocate),
		SCMP_SYS(fsync),
		SCMP_SYS(lseek),
		SCMP_SYS(ftruncate),
		SCMP_SYS(close),
		SCMP_SYS(poll),
		SCMP_SYS(ppoll),
		SCMP_SYS(recvmsg),
		/* the tree */
		SCMP_SYS(openat2),
		SCMP_SYS(mkdirat),
		SCMP_SYS(linkat),
		SCMP_SYS(symlinkat),
		SCMP_SYS(unlinkat),
		SCMP_SYS(renameat2),
		SCMP_SYS(fchown),
		SCMP_SYS(fchownat),
		SCMP_SYS(fchmod),
		SCMP_SYS(fsetxattr),
		SCMP_SYS(utimensat),
		SCMP_SYS(fstat),
		SCMP_SYS(newfstatat),
		SCMP_SYS(getdents64),
		SCMP_SYS(umask),
		SCMP_SYS(fcntl), /* fdopendir() */
		/* memory, threads that end, time */
		SCMP_SYS(munmap),
		SCMP_SYS(mremap),
		SCMP_SYS(madvise),
		SCMP_SYS(brk),
		SCMP_SYS(futex),
		SCMP_SYS(rt_sigaction), /* pthread_create() the first time */
		SCMP_SYS(rt_sigprocmask),
		SCMP_SYS(rt_sigreturn),
		SCMP_SYS(set_robust_list),
		SCMP_SYS(rseq),
		SCMP_SYS(sched_yield),
		SCMP_SYS(clock_gettime),
		SCMP_SYS(gettimeofday),
		SCMP_SYS(getrandom),
		SCMP_SYS(sysinfo), /* glibc's qsort() asks how much memory there is */
		SCMP_SYS(restart_syscall),
		SCMP_SYS(exit),
		SCMP_SYS(exit_group),
	};
	scmp_filter_ctx f;
	int r = 0;

	if (SANITIZED)
		return 0;
	f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!f)
		return err_set(e, ENOMEM, "cannot make the list of system calls");
	for (size_t i = 0; !r && i < sizeof(calls) / sizeof(*calls); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
	if (!r)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!r)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* threads of this program: clone3(2) hides its flags in memory, and glibc then takes the older call */
	if (!r)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (!r)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, THREAD_FLAGS | NEW_NAMESPACES,
					     THREAD_FLAGS));
	if (!r) /* FIFOs alone: devices would take CAP_MKNOD as well */
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mknodat), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, S_IFMT, S_IFIFO));
	if (!r)
		r = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!r)
		r = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!r)
		r = seccomp_load(f);
	seccomp_release(f);
	if (r)
		return err_set(e, -r, "cannot set the list of system calls");
	return 0;
}
