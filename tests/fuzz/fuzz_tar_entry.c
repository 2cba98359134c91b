/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole way of an archive, from its bytes to files in a scratch directory, without the sandbox: that
 * nothing leaves the directory is then the doing of the code alone. Whatever the input, the directory beside
 * it stays as it was, and no device and no foreign owner appears.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/unpack/build.h"
#include "images/unpack/entry.h"
#include "images/unpack/stream.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "what archives are after"

static struct isal isal;
static char scratch[64];
static int scratch_fd = -1;

static void end(void)
{
	struct err e;

	if (*scratch)
		(void)tree_remove(AT_FDCWD, scratch, &e);
}

static void begin(void)
{
	/* a rename cannot make a file longer than this, nor a hole fill the memory */
	const struct rlimit limit = { 64 << 20, 64 << 20 };
	int fd;

	strcpy(scratch,
	       access("/dev/shm", W_OK) == 0 ? "/dev/shm/ctr-fuzz.XXXXXX" : "/tmp/ctr-fuzz.XXXXXX");
	if (!mkdtemp(scratch))
		abort();
	atexit(end);
	if (!isal_load(&isal))
		isal.inflate = NULL;
	scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(scratch_fd, "secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (scratch_fd < 0 || fd < 0 || write(fd, SECRET, strlen(SECRET)) < 0 || close(fd) < 0)
		abort();
	(void)setrlimit(RLIMIT_FSIZE, &limit);
	signal(SIGXFSZ, SIG_IGN);
}

static int check_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)path;
	(void)type;
	(void)where;
	if (S_ISBLK(st->st_mode) || S_ISCHR(st->st_mode) || st->st_uid > 65535 ||
	    st->st_gid > 65535)
		abort();
	return 0;
}

static void check(void)
{
	char text[64] = "", path[80];
	auto_fd int fd = openat(scratch_fd, "secret", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	auto_dir DIR *d = opendir(scratch);
	struct stat st;
	int n = 0;

	if (fd < 0 || fstat(fd, &st) < 0 || (st.st_mode & 07777) != 0600 || st.st_nlink != 1 ||
	    read(fd, text, sizeof(text) - 1) < 0 || strcmp(text, SECRET) != 0)
		abort();
	while (readdir(d))
		n++;
	if (n != 4) /* ".", "..", "secret", "root" */
		abort();
	snprintf(path, sizeof(path), "%s/root", scratch);
	if (nftw(path, check_one, 16, FTW_PHYS) != 0)
		abort();
}

/* The archive's own file name, checked as a name by itself: much faster than a whole archive. */
static void check_name(const uint8_t *data, size_t size)
{
	char raw[5000], out[ENTRY_NAME_MAX + 1], again[ENTRY_NAME_MAX + 1],
		quoted[ENTRY_QUOTED_MAX];
	size_t len = size < sizeof(raw) ? size : sizeof(raw) - 1;
	struct err e = { 0 };

	memcpy(raw, data, len);
	raw[len] = '\0';
	if (strlen(entry_quote(raw, quoted)) >= sizeof(quoted))
		abort();
	if (entry_name(raw, 0, out, &e) == ENTRY_NAME_PATH &&
	    (*out == '/' || entry_name(out, 0, again, &e) != ENTRY_NAME_PATH ||
	     strcmp(out, again) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct unpack_request q = { .version = UNPACK_VERSION,
					  .job = UNPACK_IMPORT,
					  .flags = size % 2 ? UNPACK_DIRECTORIES : 0,
					  .architecture = "amd64",
					  .max_id = 65535,
					  .max_bytes = 32 << 20,
					  .max_entries = 2000,
					  .max_ratio = 1000,
					  .max_file = 32 << 20 };
	struct unpack_report r = { 0 };
	struct err e = { 0 };
	int in, root;

	if (scratch_fd < 0)
		begin();
	check_name(data, size);
	in = memfd_create("archive", MFD_CLOEXEC);
	if (in < 0 || write(in, data, size) < 0 || lseek(in, 0, SEEK_SET) < 0 ||
	    mkdirat(scratch_fd, "root", 0755) < 0)
		abort();
	root = openat(scratch_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		abort();
	if (build(&(struct builder){ .q = &q,
				     .in = in,
				     .target = root,
				     .report = &r,
				     .isal = size & 2 && isal.inflate ? &isal : NULL },
		  &e) < 0 &&
	    (!e.code || !*e.msg))
		abort();
	close(root);
	close(in);
	check();
	if (tree_remove(scratch_fd, "root", &e) < 0)
		abort();
	return 0;
}
