/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/caps.h"

#include <stddef.h>
#include <string.h>

/*
 * By number. Not libcap's cap_to_name() and cap_from_name(): the one allocates, the other takes
 * any case and bare numbers, and a container's start looks up some sixty names.
 */
static const char *const names[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

#define N_NAMES ((int)(sizeof(names) / sizeof(*names)))
#define PREFIX	4 /* "CAP_" */

int cap_number(const char *name)
{
	if (strncmp(name, "CAP_", PREFIX) != 0)
		return -1;
	for (int i = 0; i < N_NAMES; i++)
		if (strcmp(names[i] + PREFIX, name + PREFIX) == 0)
			return i;
	return -1;
}

const char *cap_name(int number)
{
	return number >= 0 && number < N_NAMES ? names[number] : NULL;
}
