/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscalls.h - the numbers of system calls on the x86 architectures. Pure data.
 *
 * libseccomp knows all of this too, but is asked for one name and one architecture at a time and finds it
 * somewhere in 70 KB: for a profile of 400 names and three architectures that takes 0.1 ms on the way to each
 * start. This table answers for the three at once, and fastest for names in alphabetical order. It also knows
 * calls that are newer than the library (2.5.4 on Debian 12 ends with Linux 5.17).
 */
#ifndef CTR_SYSCALLS_H
#define CTR_SYSCALLS_H

#include <stddef.h>
#include <stdint.h>

struct syscall_numbers {
	char name[29];
	uint8_t multiplexed; /* on i386 also reached through: */
	int16_t x86_64, i386;
	int16_t x32; /* without the bit that marks x32 calls */
};

enum {
	NO_SYSCALL = -1,
	/* multiplexed: one of these and the number of the call there; 0: neither */
	BY_SOCKETCALL = 0x40,
	BY_IPC = 0x80,
	MULTIPLEXED_CALL = 0x3f,
	/* from here on a call has the same number on all architectures (Linux 5.1) */
	FIRST_COMMON_SYSCALL = 424,
};

/* The whole table, in the order of names. */
extern const struct syscall_numbers syscall_table[];
extern const size_t syscall_table_size;

/*
 * The row of @name, or NULL. *@near (0 at first) is where the last search ended, and where this one looks
 * first.
 */
const struct syscall_numbers *syscall_find(const char *name, size_t *near);

#endif
