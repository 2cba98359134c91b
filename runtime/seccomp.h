/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp.h - from linux.seccomp to a program in the kernel, and the two profiles of ctr's own.
 *
 * seccomp_compile() runs in the parent, unprivileged and without side effects; it may as well be done
 * while the child is busy with its mounts. seccomp_install() is about the last thing the child does
 * before execve: without no_new_privs it needs CAP_SYS_ADMIN in its user namespace, so it then comes
 * before the capabilities are dropped; with no_new_privs it comes after.
 *
 * Names are turned into numbers by libseccomp, whose one home is apply_seccomp.c; the program is our
 * own: a binary search over runs of system call numbers for each architecture, which the kernel checks,
 * translates and emulates in a tenth of the time that libseccomp's list takes it, and which is shorter
 * to walk for each call that the kernel's bitmap of always-allowed calls does not cover.
 */
#ifndef CTR_SECCOMP_H
#define CTR_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct arena;
struct err;
struct seccomp_spec;
struct sock_filter;

struct seccomp_filter {
	struct sock_filter *insns; /* owned */
	unsigned n;		   /* 1 to BPF_MAXINSNS (4096) */
	unsigned flags;		   /* SECCOMP_FILTER_FLAG_*; _NEW_LISTENER when a rule notifies */
};

static inline void seccomp_filter_free(struct seccomp_filter *f)
{
	free(f->insns);
	*f = (struct seccomp_filter){ 0 };
}
#define auto_seccomp_filter __attribute__((cleanup(seccomp_filter_free)))

/*
 * Compiles @s. The filter is the caller's. Takes 0.1 ms at most for profiles such as Docker's, and up to 120 KiB of
 * stack.
 *
 * Rules are read top down, as in a firewall: the first whose conditions hold decides, and what no rule
 * decides gets the default action. Conditions of one rule must all hold; a rule that tests one argument
 * twice is as many rules as it has conditions (runc, and libseccomp's documentation, read it so).
 * Comparisons are unsigned and of 64 bits; of the low 32 on 32-bit architectures, x32 included, where
 * the value is cut as well (libseccomp). Unknown system calls are skipped with a debug line.
 *
 * (libseccomp itself lets an unconditional rule undo all conditional ones of that call, whatever their
 * order. This is different only for a call that has both, where it drops what was asked for.)
 *
 * The native architecture is always covered; others as listed. Calls through an architecture that is
 * not covered kill the process; x32 is one of its own. If the default action refuses, calls newer than
 * the newest one named by any rule are answered with ENOSYS, so that programs fall back to what they
 * used before (runc's "-ENOSYS stub"). On architectures with socketcall(2) and ipc(2), a rule for
 * socket, semop, ... also speaks for the same call through the multiplexer, where its first argument
 * cannot be seen and is not tested; rules that name socketcall or ipc come first.
 *
 * Fails (-1, *e names the culprit) for an unknown action, operator, flag or architecture; an argument
 * index over 5; errnoRet with an action that has no use for it (the specification demands it) or out of
 * range; SCMP_ACT_NOTIFY as default or for write (the child could not pass the listener on: runc);
 * a program of more than 4096 instructions; memory.
 */
int seccomp_compile(const struct seccomp_spec *s, struct seccomp_filter *out, struct err *e);

/* The same on a machine whose native architecture is @native (a token of libseccomp's): for tests. */
int seccomp_compile_for(uint32_t native, const struct seccomp_spec *s, struct seccomp_filter *out,
			struct err *e);

/*
 * Installs @f for the calling thread, for good; see above for the privilege. *@listener is the descriptor
 * (close-on-exec) on which notifications arrive, or -1 if no rule notifies.
 */
int seccomp_install(const struct seccomp_filter *f, int *listener, struct err *e);

/* The architectures and flags that seccomp_compile() takes; NULL past the last. */
const char *seccomp_arch_name(size_t i);
const char *seccomp_flag_name(size_t i);

/* Whether the running kernel knows flag @i. */
bool seccomp_flag_supported(size_t i);

enum seccomp_profile {
	/*
	 * One application: no weaker than Docker's default profile (moby/profiles, 2026), call by call,
	 * with the calls that a capability in the bounding set unlocks.
	 */
	SECCOMP_APPLICATION,
	/*
	 * A booted system: a distribution's init, its service sandboxes and nested containers work. What
	 * no user namespace confines is refused whatever the capabilities.
	 */
	SECCOMP_SYSTEM,
};

/*
 * The profile as a spec in @a; bit N of @bounding_caps is capability N of the container's bounding set.
 * NULL when memory is gone.
 */
struct seccomp_spec *seccomp_profile(enum seccomp_profile which, uint64_t bounding_caps,
				     struct arena *a);

#endif
