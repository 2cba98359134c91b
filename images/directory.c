/*
 * directory.c - what can be told from a root filesystem that brings no configuration: also a directory of
 * the host, given in place of an image.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>

#include "images/images.h"
#include "images/rootfs.h"
#include "images/store.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"

/* --- What a root filesystem runs, and on what ---------------------------------------------------------- */

static const struct {
	uint16_t machine;
	unsigned char bits, order; /* EI_CLASS, EI_DATA; 0: any */
	const char *name;	   /* GOARCH */
} machines[] = {
	{ EM_X86_64, ELFCLASS64, 0, "amd64" },
	{ EM_386, 0, 0, "386" },
	{ EM_AARCH64, 0, 0, "arm64" },
	{ EM_ARM, 0, 0, "arm" },
	{ EM_RISCV, ELFCLASS64, 0, "riscv64" },
	{ EM_PPC64, 0, ELFDATA2LSB, "ppc64le" },
	{ EM_PPC64, 0, ELFDATA2MSB, "ppc64" },
	{ EM_S390, ELFCLASS64, 0, "s390x" },
	{ 258 /* EM_LOONGARCH, glibc 2.36 */, ELFCLASS64, 0, "loong64" },
	{ EM_MIPS, ELFCLASS64, ELFDATA2LSB, "mips64le" },
};

static const char *machine_name(const unsigned char *h, size_t n)
{
	uint16_t machine;

	if (n < 20 || memcmp(h, ELFMAG, SELFMAG) != 0)
		return NULL;
	machine = h[EI_DATA] == ELFDATA2MSB ? (uint16_t)(h[18] << 8 | h[19]) :
					      (uint16_t)(h[19] << 8 | h[18]);
	for (size_t i = 0; i < sizeof(machines) / sizeof(*machines); i++)
		if (machines[i].machine == machine &&
		    (!machines[i].bits || machines[i].bits == h[EI_CLASS]) &&
		    (!machines[i].order || machines[i].order == h[EI_DATA]))
			return machines[i].name;
	return NULL;
}

const char *rootfs_host_machine(void)
{
	static const char *const names[][2] = {
		{ "x86_64", "amd64" }, { "aarch64", "arm64" },	     { "i686", "386" },
		{ "armv7l", "arm" },   { "riscv64", "riscv64" },     { "ppc64le", "ppc64le" },
		{ "s390x", "s390x" },  { "loongarch64", "loong64" },
	};
	struct utsname u;

	if (uname(&u) == 0)
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (streq(u.machine, names[i][0]))
				return names[i][1];
	return "unknown";
}

/* The machine of the programs in it; that of the host where they do not tell. */
static const char *machine_of(int root)
{
	static const char *const programs[] = { "sbin/init", "bin/sh", "usr/bin/env", "bin/busybox",
						"bin/ls" };

	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		auto_fd int fd = path_open_in(root, programs[i], O_RDONLY | O_NONBLOCK | O_NOCTTY);
		unsigned char head[20];
		const char *name;
		struct stat st;

		if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		    read(fd, head, sizeof(head)) != sizeof(head))
			continue;
		name = machine_name(head, sizeof(head));
		if (name)
			return name;
	}
	return rootfs_host_machine();
}

static bool stat_in(int root, const char *path, struct stat *st)
{
	auto_fd int fd = path_open_in(root, path, O_PATH);

	return fd >= 0 && fstat(fd, st) == 0 && S_ISREG(st->st_mode) && (st->st_mode & 0111);
}

static bool is_systemd(int root, const struct stat *init)
{
	static const char *const paths[] = { "lib/systemd/systemd", "usr/lib/systemd/systemd" };
	struct stat st;

	for (size_t i = 0; i < 2; i++)
		if (stat_in(root, paths[i], &st) && st.st_ino == init->st_ino &&
		    st.st_dev == init->st_dev)
			return true;
	return false;
}

bool rootfs_describe(int root, struct image_config *c)
{
	static const char *const init[] = { "/sbin/init", NULL }, *const sh[] = { "/bin/sh", NULL };
	struct stat st;
	bool system = stat_in(root, "sbin/init", &st);

	*c = (struct image_config){ .os = "linux", .architecture = machine_of(root) };
	c->cmd = system ? init : sh;
	/* systemd(1): SIGRTMIN+3 halts the machine; SIGTERM would re-execute it */
	if (system && is_systemd(root, &st))
		c->stop_signal = "SIGRTMIN+3";
	return system;
}

/* --- A directory in place of an image ------------------------------------------------------------------ */

/* linux/magic.h, where it has them; each is a view of the kernel, not a root filesystem. */
static const struct {
	uint32_t magic;
	const char *name;
} kernel_file_systems[] = {
	{ 0x9fa0, "proc" },
	{ 0x62656572, "sysfs" },
	{ 0x1cd1, "devpts" },
	{ 0x27e0eb, "cgroup" },
	{ 0x63677270, "cgroup2" },
	{ 0x64626720, "debugfs" },
	{ 0x74726163, "tracefs" },
	{ 0x73636673, "securityfs" },
	{ 0xcafe4a11, "bpf" },
	{ 0x19800202, "mqueue" },
	{ 0x6e736673, "nsfs" },
	{ 0x62656570, "configfs" },
	{ 0x42494e4d, "binfmt_misc" },
	{ 0xde5e81e4, "efivarfs" },
	{ 0x958458f6, "hugetlbfs" },
};

/* Whether @inner is @outer or lies below it; both absolute and free of links. */
static bool is_below(const char *inner, const char *outer)
{
	const char *rest = str_after(inner, outer);

	return streq(outer, "/") || (rest && (!*rest || *rest == '/'));
}

static int refuse_directory(struct store *s, int fd, const char *path, struct err *e)
{
	auto_free char *store = realpath(store_path(s), NULL);
	struct statfs fs;
	struct stat st;

	if (!store)
		return err_set(e, errno, "cannot resolve '%s'", store_path(s));
	if (streq(path, "/"))
		return err_set(
			e, ERR_INVALID,
			"'/' is the host's own root directory, which holds ctr's instances; copy "
			"what is wanted of it to a directory");
	if (is_below(store, path))
		return err_set(e, ERR_INVALID, "'%s' holds ctr's own store, '%s'", path, store);
	if (is_below(path, store))
		return err_set(e, ERR_INVALID, "'%s' is part of ctr's own store", path);
	if (fstatfs(fd, &fs) < 0)
		return err_set(e, errno, "cannot stat '%s'", path);
	for (size_t i = 0; i < sizeof(kernel_file_systems) / sizeof(*kernel_file_systems); i++)
		if ((uint32_t)fs.f_type == kernel_file_systems[i].magic)
			return err_set(e, ERR_INVALID,
				       "'%s' lies on %s, a file system of the kernel's", path,
				       kernel_file_systems[i].name);
	if (fstatat(fd, "config.json", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	    fstatat(fd, "rootfs", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		return err_set(
			e, ERR_INVALID,
			"'%s' is an OCI bundle: run it with `ctr-oci run --bundle %s ID`, or give "
			"'%s/rootfs'",
			path, path, path);
	return 0;
}

struct image *image_from_directory(struct store *s, const char *path, struct err *e)
{
	auto_free char *real = realpath(path, NULL);
	auto_arena struct arena *a = arena_new(0);
	struct image *img = a ? arena_alloc(a, sizeof(*img)) : NULL;
	const char **layers = a ? arena_array(a, 2, sizeof(*layers)) : NULL;
	const char **names = a ? arena_array(a, 1, sizeof(*names)) : NULL;
	auto_fd int fd = -1;

	if (!real) {
		err_set(e, errno, "cannot open the directory '%s'", path);
		return NULL;
	}
	fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		err_set(e, errno, "cannot open the directory '%s'", path);
		return NULL;
	}
	if (refuse_directory(s, fd, real, e) < 0)
		return NULL;
	if (!layers || !names || !(layers[0] = arena_strdup(a, real))) {
		err_set(e, ENOMEM, "cannot open the directory '%s'", path);
		return NULL;
	}
	img->layers = layers;
	img->names = names;
	img->directory = true;
	img->tree = -1;
	img->system = rootfs_describe(fd, &img->config);
	img->arena = take_ptr(a);
	return img;
}
