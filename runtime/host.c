/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/userns.h"

static const char *const controller_names[] = {
	"cpu", "cpuset", "io", "memory", "hugetlb", "pids", "rdma", "misc", "dmem",
};

#define N_CONTROLLERS (sizeof(controller_names) / sizeof(controller_names[0]))

bool host_kernel_is(const struct host *h, unsigned major, unsigned minor)
{
	return h->kernel_major > major || (h->kernel_major == major && h->kernel_minor >= minor);
}

const char *controller_name(unsigned bit)
{
	for (unsigned i = 0; i < N_CONTROLLERS; i++)
		if (bit == 1u << i)
			return controller_names[i];
	return NULL;
}

unsigned controller_bit(const char *name, size_t len)
{
	if (len == 5 && memcmp(name, "blkio", 5) == 0) /* what cgroup v1 calls io */
		return CTL_IO;
	for (unsigned i = 0; i < N_CONTROLLERS; i++)
		if (strlen(controller_names[i]) == len &&
		    memcmp(controller_names[i], name, len) == 0)
			return 1u << i;
	return 0;
}

/* The bits of a list of names, separated by any of @separators. */
static unsigned controller_bits(const char *list, const char *separators)
{
	unsigned bits = 0;

	while (*list) {
		size_t len = strcspn(list, separators);

		bits |= controller_bit(list, len);
		list += len;
		list += strspn(list, separators);
	}
	return bits;
}

/* 1, 0, or -1 and *e if that cannot be found out; what is not there, or hidden by another mount, is none. */
static int is_cgroup2(const char *path, struct err *e)
{
	struct statfs fs;

	if (statfs(path, &fs) < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ?
			       0 :
			       err_set(e, errno, "cannot look at '%s'", path);
	return fs.f_type == CGROUP2_SUPER_MAGIC;
}

int host_read_mountinfo(char *text, struct host *h,
			int (*is_cgroup2)(const char *path, struct err *e), struct err *e)
{
	char *line, *rest;

	for (rest = text; rest && (line = strsep(&rest, "\n"));) {
		char *tail = strstr(line, " - "), mount_point[256], type[32], options[256];
		int is;

		if (!tail || sscanf(line, "%*s %*s %*s %*s %255s", mount_point) != 1 ||
		    sscanf(tail, " - %31s %*s %255s", type, options) != 2)
			continue;
		if (streq(type, "cgroup"))
			h->v1_controllers |= controller_bits(options, ",");
		if (!streq(type, "cgroup2") || h->cgroup[0])
			continue;
		is = is_cgroup2(mount_point, e);
		if (is < 0)
			return -1;
		if (is)
			strcpy(h->cgroup, mount_point);
	}
	return 0;
}

/* cgroup v2 alone; and beside v1, as systemd has it on hybrid hosts. */
static const char *const usual_places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

static int read_mountinfo(struct host *h, struct err *e)
{
	auto_str struct str info = { 0 };

	if (file_read_kernel(AT_FDCWD, "/proc/self/mountinfo", 64u << 20, &info, e) < 0)
		return -1;
	return host_read_mountinfo(info.s, h, is_cgroup2, e);
}

/* The first cgroup2 mount in /proc/self/mountinfo (proc(5)), unless it is in a usual place. */
static int find_cgroup2(struct host *h, struct err *e)
{
	for (size_t i = 0; i < sizeof(usual_places) / sizeof(usual_places[0]); i++) {
		int is = is_cgroup2(usual_places[i], e);

		if (is < 0)
			return -1;
		if (!is)
			continue;
		strcpy(h->cgroup, usual_places[i]);
		h->v1_unknown = i > 0; /* pure v2: nothing can be bound to v1 */
		return 0;
	}
	return read_mountinfo(h, e);
}

unsigned host_v1_controllers(const struct host *h)
{
	struct host again = *h;
	struct err ignored;

	if (h->v1_unknown && read_mountinfo(&again, &ignored) < 0)
		return 0;
	return again.v1_controllers;
}

int host_probe(struct host *h, struct err *e)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { 0 };
	auto_str struct str text = { 0 };
	struct utsname uts;
	char path[300];
	int first;

	memset(h, 0, sizeof(*h));
	if (find_cgroup2(h, e) < 0)
		return err_in(e, "cannot find cgroup v2");
	if (h->cgroup[0]) {
		snprintf(path, sizeof(path), "%s/cgroup.controllers", h->cgroup);
		if (file_read_kernel(AT_FDCWD, path, 4096, &text, e) < 0)
			return -1;
		h->controllers = controller_bits(str_text(&text), " \n");
		str_free(&text);
	}
	h->euid = geteuid();
	/* root of the host's user namespace is told by mkdir, if at all */
	h->cgroup_readonly = h->cgroup[0] && access(h->cgroup, W_OK) < 0;
	if (h->cgroup_readonly && errno != EACCES && errno != EROFS)
		return err_set(e, errno, "cannot look at '%s'", h->cgroup);
	first = userns_ask_first(e);
	if (first < 0)
		return -1; /* not knowing is not being outside: a device filter hangs on it */
	h->initial_userns = first;
	if (syscall(SYS_capget, &header, caps) == 0)
		h->cap_sys_resource = caps[0].effective & (1u << CAP_SYS_RESOURCE);
	if (uname(&uts) == 0)
		(void)sscanf(uts.release, "%u.%u", &h->kernel_major, &h->kernel_minor);
	return 0;
}

static void dump_controllers(struct str *out, const char *key, unsigned bits)
{
	str_addf(out, "%s=", key);
	for (unsigned i = 0; i < N_CONTROLLERS; i++)
		if (bits & (1u << i)) {
			str_add(out, controller_names[i]);
			if (bits >> (i + 1))
				str_add(out, " ");
		}
	str_add(out, "\n");
}

void host_dump(const struct host *h, struct str *out)
{
	str_addf(out, "cgroup=%s\n", h->cgroup);
	dump_controllers(out, "controllers", h->controllers);
	dump_controllers(out, "v1-controllers", host_v1_controllers(h));
	if (h->cgroup_readonly)
		str_add(out, "cgroup-read-only=1\n");
	str_addf(out, "euid=%u\ninitial-userns=%d\ncap-sys-resource=%d\nkernel=%u.%u\n", h->euid,
		 h->initial_userns, h->cap_sys_resource, h->kernel_major, h->kernel_minor);
}

int host_parse(const char *text, struct host *h, struct err *e)
{
	unsigned line_no = 0;

	memset(h, 0, sizeof(*h));
	while (*text) {
		size_t len = strcspn(text, "\n");
		char line[512], *value;
		uint64_t n = 0;

		line_no++;
		if (len >= sizeof(line))
			return err_set(e, ERR_INVALID, "line %u is too long", line_no);
		memcpy(line, text, len);
		line[len] = '\0';
		text += len + (text[len] == '\n');
		if (!line[0] || line[0] == '#')
			continue;
		value = strchr(line, '=');
		if (!value)
			return err_set(e, ERR_INVALID, "line %u has no '='", line_no);
		*value++ = '\0';
		if (streq(line, "cgroup") && strlen(value) < sizeof(h->cgroup))
			strcpy(h->cgroup, value);
		else if (streq(line, "controllers"))
			h->controllers = controller_bits(value, " ");
		else if (streq(line, "v1-controllers"))
			h->v1_controllers = controller_bits(value, " ");
		else if (streq(line, "kernel") &&
			 sscanf(value, "%u.%u", &h->kernel_major, &h->kernel_minor) == 2)
			;
		else if (parse_u64(value, 0, UINT32_MAX, &n) < 0)
			return err_set(e, ERR_INVALID, "line %u: wrong value '%s'", line_no, value);
		else if (streq(line, "euid"))
			h->euid = (uid_t)n;
		else if (streq(line, "cgroup-read-only"))
			h->cgroup_readonly = n;
		else if (streq(line, "initial-userns"))
			h->initial_userns = n;
		else if (streq(line, "cap-sys-resource"))
			h->cap_sys_resource = n;
		else
			return err_set(e, ERR_INVALID, "line %u: unknown key '%s'", line_no, line);
	}
	return 0;
}
