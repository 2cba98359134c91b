/*
 * sys.h - system calls that the C library does not wrap, as thin inline functions.
 *
 * Each returns what the kernel returns, with errno set on -1. The numbers are the same on all
 * architectures since Linux 5.1 (asm-generic numbering from 424 on).
 */
#ifndef CTR_SYS_H
#define CTR_SYS_H

#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	NR_pidfd_send_signal = 424,
	NR_open_tree = 428,
	NR_move_mount = 429,
	NR_fsopen = 430,
	NR_fsconfig = 431,
	NR_fsmount = 432,
	NR_pidfd_open = 434,
	NR_clone3 = 435,
	NR_close_range = 436,
	NR_openat2 = 437,
	NR_pidfd_getfd = 438,
	NR_mount_setattr = 442,
	NR_open_tree_attr = 467,
};

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

#ifdef SYS_setresuid32 /* where the plain ones take 16 bits */
#undef SYS_setresuid
#undef SYS_setresgid
#undef SYS_setgroups
#define SYS_setresuid SYS_setresuid32
#define SYS_setresgid SYS_setresgid32
#define SYS_setgroups SYS_setgroups32
#endif

/* Of the calling thread, which must be the only one: the C library's stop all others before, in three calls more each. */
static inline int sys_setresuid(uid_t uid)
{
	return (int)syscall(SYS_setresuid, uid, uid, uid);
}

static inline int sys_setresgid(gid_t gid)
{
	return (int)syscall(SYS_setresgid, gid, gid, gid);
}

static inline int sys_setgroups(size_t n, const gid_t *list)
{
	return (int)syscall(SYS_setgroups, n, list);
}

static inline pid_t sys_clone3(struct clone_args *args)
{
	return (pid_t)syscall(NR_clone3, args, sizeof(*args));
}

static inline int sys_openat2(int dir, const char *path, uint64_t flags, uint64_t mode,
			      uint64_t resolve)
{
	struct open_how how = { .flags = flags, .mode = mode, .resolve = resolve };

	return (int)syscall(NR_openat2, dir, path, &how, sizeof(how));
}

static inline int sys_open_tree(int dir, const char *path, unsigned flags)
{
	return (int)syscall(NR_open_tree, dir, path, flags);
}

/* The same, and what @attr says of it, in one call (Linux 6.15). */
static inline int sys_open_tree_attr(int dir, const char *path, unsigned flags,
				     struct mount_attr *attr)
{
	return (int)syscall(NR_open_tree_attr, dir, path, flags, attr, sizeof(*attr));
}

static inline int sys_move_mount(int from, const char *from_path, int to, const char *to_path,
				 unsigned flags)
{
	return (int)syscall(NR_move_mount, from, from_path, to, to_path, flags);
}

static inline int sys_fsopen(const char *type, unsigned flags)
{
	return (int)syscall(NR_fsopen, type, flags);
}

static inline int sys_fsconfig(int fs, unsigned cmd, const char *key, const void *value, int aux)
{
	return (int)syscall(NR_fsconfig, fs, cmd, key, value, aux);
}

static inline int sys_fsmount(int fs, unsigned flags, unsigned attr)
{
	return (int)syscall(NR_fsmount, fs, flags, attr);
}

static inline int sys_mount_setattr(int dir, const char *path, unsigned flags,
				    struct mount_attr *attr)
{
	return (int)syscall(NR_mount_setattr, dir, path, flags, attr, sizeof(*attr));
}

static inline int sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

static inline int sys_pidfd_open(pid_t pid, unsigned flags)
{
	return (int)syscall(NR_pidfd_open, pid, flags);
}

static inline int sys_pidfd_send_signal(int pidfd, int sig)
{
	return (int)syscall(NR_pidfd_send_signal, pidfd, sig, NULL, 0);
}

static inline int sys_pidfd_getfd(int pidfd, int fd)
{
	return (int)syscall(NR_pidfd_getfd, pidfd, fd, 0);
}

static inline int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	return (int)syscall(NR_close_range, first, last, flags);
}

/*
 * clock_gettime(2) by the kernel alone. The C library's reads the vDSO, in a part of the address space where a process that sleeps has nothing
 * else: three pages of page tables, for as long as it lives.
 */
static inline void sys_clock_gettime(clockid_t clock, struct timespec *t)
{
	if (sizeof(long) != sizeof(t->tv_sec) || syscall(SYS_clock_gettime, clock, t) < 0)
		clock_gettime(clock, t);
}

/* glibc has a wrapper and the flags in <stdio.h>, musl neither. */
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif
#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

static inline int sys_renameat2(int from_dir, const char *from, int to_dir, const char *to,
				unsigned flags)
{
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

#endif
