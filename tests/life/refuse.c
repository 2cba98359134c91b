/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refuse [-e ERRNO] CALL[,CALL...] COMMAND [ARG...]
 *
 * Executes COMMAND under a seccomp filter that answers the named system calls with ERRNO (ENOSYS by default): as
 * an older kernel would, or with EPERM a sandbox. All else is allowed. Needs CAP_SYS_ADMIN, because
 * no_new_privs, which would do as well, shows in what is run.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/syscalls.h"

#define MAX_CALLS 64

int main(int argc, char **argv)
{
	struct sock_filter code[2 + 2 * MAX_CALLS];
	struct sock_fprog program = { .filter = code };
	unsigned error = ENOSYS, n = 0;
	int opt;

	while ((opt = getopt(argc, argv, "+e:")) != -1) {
		if (opt != 'e')
			return 125;
		error = (unsigned)atoi(optarg);
	}
	if (argc - optind < 2) {
		fprintf(stderr, "usage: refuse [-e ERRNO] CALL[,CALL...] COMMAND [ARG...]\n");
		return 125;
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (char *name = strtok(argv[optind], ","); name; name = strtok(NULL, ",")) {
		size_t near = 0;
		const struct syscall_numbers *call = syscall_find(name, &near);

		if (!call || call->x86_64 < 0 || n + 3 > sizeof(code) / sizeof(code[0])) {
			fprintf(stderr, "refuse: unknown system call '%s'\n", name);
			return 125;
		}
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 (unsigned)call->x86_64, 0, 1);
		code[n++] =
			(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = (unsigned short)n;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0) {
		perror("refuse: seccomp");
		return 125;
	}
	execvp(argv[optind + 1], argv + optind + 1);
	perror(argv[optind + 1]);
	return 127;
}
