/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/self.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "runtime/apply.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/userns.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif

static const char own_file[] = "/proc/self/exe";

/*
 * Root of a user namespace has its owner's powers over the host's files, no more: nobody in there has any over a file whose owner has no
 * id there (capabilities(7)).
 */
static bool is_unwritable(void)
{
	uid_t euid = (uid_t)getauxval(AT_EUID); /* as it was executed */
	struct stat st;

	return (euid != 0 || !userns_is_first()) && stat(own_file, &st) == 0 && st.st_uid != euid &&
	       access(own_file, W_OK) < 0;
}

static bool is_sealed(int exe)
{
	const int wanted = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
	int seals = fcntl(exe, F_GET_SEALS);

	return seals >= 0 && (seals & wanted) == wanted;
}

static int copy_sealed(int exe, struct err *e)
{
	static const char failure[] = "cannot copy the program into memory";
	struct stat st;
	auto_fd int fd = memfd_create("ctr", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

	if (fd < 0) /* MFD_EXEC is Linux 6.3 */
		fd = memfd_create("ctr", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || fstat(exe, &st) < 0)
		return err_set(e, errno, "%s", failure);
	for (off_t done = 0; done < st.st_size;) {
		ssize_t n = sendfile(fd, exe, &done, (size_t)(st.st_size - done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, n < 0 ? errno : EIO, "%s", failure);
	}
	if (fchmod(fd, 0500) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return err_set(e, errno, "%s", failure);
	return take_fd(&fd);
}

/* The copy has no path; what lies beside the program (ctr-unpack) is found by that of the original. */
static void remember_path(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink(own_file, path, sizeof(path) - 1);

	if (n <= 0)
		return;
	path[n] = '\0';
	(void)setenv("CTR_PROGRAM", path, 1); /* without it the installed one is found */
}

/* The kernel's answers decide, not a mark that a caller could set: there is no loop, and no way around. */
int self_protect(char **argv, struct err *e)
{
	auto_fd int clone = -1, exe = -1, copy = -1;
	struct statvfs fs;

	if (statvfs(own_file, &fs) == 0 && (fs.f_flag & ST_RDONLY))
		return 0;
	if (is_unwritable())
		return 0;
	remember_path();
	/* the program's file alone, attached nowhere */
	clone = apply_clone_tree(AT_FDCWD, own_file, 0, MOUNT_ATTR_RDONLY);
	if (clone >= 0)
		(void)syscall(SYS_execveat, clone, "", argv, environ, AT_EMPTY_PATH);
	/* No CAP_SYS_ADMIN, an old kernel, or this is the copy already. */
	exe = openat(AT_FDCWD, own_file, O_RDONLY | O_CLOEXEC);
	if (exe < 0)
		return err_set(e, errno, "cannot open '%s'", own_file);
	if (is_sealed(exe))
		return 0;
	copy = copy_sealed(exe, e);
	if (copy < 0)
		return -1;
	(void)syscall(SYS_execveat, copy, "", argv, environ, AT_EMPTY_PATH);
	return err_set(e, errno, "cannot execute a read-only copy of the program");
}
