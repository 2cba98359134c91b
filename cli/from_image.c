/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/from_image.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "cli/limits.h"
#include "cli/network.h"
#include "cli/user.h"
#include "images/images.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/caps.h"
#include "runtime/instance.h"
#include "runtime/overlay.h"
#include "runtime/seccomp.h"
#include "runtime/spec.h"
#include "runtime/userns.h"

#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define NOFILE_SOFT  1024 /* select(2) breaks beyond; programs that want more raise it */
#define NOFILE_HARD  524288

typedef const char *const words[];

/* ---- the command ---- */

static size_t count(const char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

/*
 * image-spec, conversion.md: Entrypoint and Cmd concatenated; a person's command replaces Cmd, and a
 * person's entrypoint replaces both, as with Docker.
 */
static void command_parts(const struct image *img, const struct instance *i,
			  const char *const **entrypoint, const char *const **cmd)
{
	*entrypoint = i->entrypoint ? i->entrypoint : img->config.entrypoint;
	*cmd = count(i->command) ? i->command : i->entrypoint ? NULL : img->config.cmd;
}

bool instance_wants_system(const struct image *img, const struct instance *i)
{
	static words inits = { "/sbin/init",
			       "/usr/sbin/init",
			       "/bin/init",
			       "/init",
			       "/lib/systemd/systemd",
			       "/usr/lib/systemd/systemd",
			       "/bin/systemd",
			       "/usr/bin/systemd",
			       "/sbin/openrc-init",
			       "/usr/sbin/openrc-init",
			       "/sbin/runit-init",
			       NULL };
	const char *const *entrypoint, *const *cmd, *first;

	if (i->profile)
		return streq(i->profile, "system");
	command_parts(img, i, &entrypoint, &cmd);
	if (entrypoint == img->config.entrypoint && cmd == img->config.cmd)
		return img->system;
	first = count(entrypoint) ? entrypoint[0] : count(cmd) ? cmd[0] : "";
	for (const char *const *known = inits; *known; known++)
		if (streq(first, *known))
			return true;
	return false;
}

static int set_args(const struct from_image *f, struct spec *s, struct err *e)
{
	const char *const *entrypoint, *const *cmd;
	const char **args;
	size_t n, m;

	command_parts(f->image, f->instance, &entrypoint, &cmd);
	n = count(entrypoint);
	m = count(cmd);
	if (!n && !m)
		return err_set(e, ERR_INVALID, "the image names no command to run: give one");
	args = arena_array(s->arena, n + m + 1, sizeof(*args));
	if (!args)
		return err_set(e, ENOMEM, "command");
	for (size_t k = 0; k < n; k++)
		args[k] = entrypoint[k];
	for (size_t k = 0; k < m; k++)
		args[n + k] = cmd[k];
	s->process.args = args;
	return 0;
}

/* ---- the environment ---- */

struct env {
	struct arena *arena;
	const char **v;
	size_t n, size;
	bool failed;
};

static const char **env_find(struct env *env, const char *key, size_t len)
{
	for (size_t k = 0; k < env->n; k++)
		if (strncmp(env->v[k], key, len) == 0 && env->v[k][len] == '=')
			return &env->v[k];
	return NULL;
}

/* Adds "K=V", or replaces what K has. */
static void env_set(struct env *env, const char *kv)
{
	const char **old;

	if (!kv) {
		env->failed = true;
		return;
	}
	old = env_find(env, kv, strcspn(kv, "="));
	if (old) {
		*old = kv;
		return;
	}
	if (env->n + 1 >= env->size) {
		size_t size = env->size ? 2 * env->size : 32;
		const char **v = arena_array(env->arena, size, sizeof(*v));

		if (!v) {
			env->failed = true;
			return;
		}
		if (env->n)
			memcpy(v, env->v, env->n * sizeof(*v));
		env->v = v;
		env->size = size;
	}
	env->v[env->n++] = kv;
}

static void env_default(struct env *env, const char *kv)
{
	if (kv && env_find(env, kv, strcspn(kv, "=")))
		return;
	env_set(env, kv);
}

static const char *pair(struct arena *a, const char *key, const char *value)
{
	return arena_printf(a, "%s=%s", key, value);
}

/* What is set when the image and the person are silent: PATH, HOME, HOSTNAME, TERM, container. */
static int set_env(const struct from_image *f, const char *home, struct spec *s, struct err *e)
{
	struct env env = { .arena = s->arena };
	const struct instance *i = f->instance;

	env_set(&env, PATH_DEFAULT);
	for (const char *const *kv = f->image->config.env; kv && *kv; kv++)
		if (strchr(*kv, '=') && **kv != '=')
			env_set(&env, *kv);
	env_set(&env, pair(s->arena, "HOSTNAME", s->hostname));
	/* systemd.io/CONTAINER_INTERFACE: how programs learn that they are in a container, and of whom */
	env_set(&env, "container=ctr");
	if (i->system && i->uuid)
		env_set(&env, pair(s->arena, "container_uuid", i->uuid));
	if (s->process.terminal)
		env_default(&env, pair(s->arena, "TERM", f->term && *f->term ? f->term : "xterm"));
	for (const char *const *kv = i->env; kv && *kv; kv++)
		env_set(&env, *kv);
	env_default(&env, pair(s->arena, "HOME", home));
	if (env.failed)
		return err_set(e, ENOMEM, "environment");
	env.v[env.n] = NULL;
	s->process.env = env.v;
	return 0;
}

/* ---- the user ---- */

#define SHORT_STACK 12

/*
 * Names the lower directories, by descriptor; the image may be a mount without a path. One option for all, as before Linux
 * 6.5, has room for 255 bytes: a dozen of them.
 */
static int name_layers(int fs, const int *fds, size_t n)
{
	char names[256];
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		len = n > SHORT_STACK ? 0 : len;
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s/proc/self/fd/%d",
					len ? ":" : "", fds[i]);
		if (n > SHORT_STACK &&
		    sys_fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir+", names, 0) < 0)
			return -1;
	}
	return n > SHORT_STACK ? 0 : sys_fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir", names, 0);
}

static int name_upper(int fs, const struct from_image *f)
{
	return sys_fsconfig(fs, FSCONFIG_SET_STRING, "upperdir", f->upper, 0) < 0 ?
		       -1 :
		       sys_fsconfig(fs, FSCONFIG_SET_STRING, "workdir", f->work, 0);
}

/* An overlay to be made. */
struct stack {
	const struct from_image *f;
	int image;
	int *fds; /* room for all layers */
	bool writable;
	int fd; /* the result */
};

/* Opens the layers here, since before Linux 6.15 they must be in the mount namespace that it is made in. */
static int make_overlay(void *arg)
{
	struct stack *s = arg;
	const struct from_image *f = s->f;
	unsigned attr = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID |
			(s->writable ? 0 : MOUNT_ATTR_RDONLY);
	auto_fd int fs = sys_fsopen("overlay", FSOPEN_CLOEXEC);
	size_t n = 0, opened;
	int error;

	if (f->upper && !f->fresh && !s->writable)
		s->fds[n++] = open(f->upper, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (const char *const *l = f->below; l && *l; l++)
		s->fds[n++] = open(*l, O_PATH | O_DIRECTORY | O_CLOEXEC);
	opened = n;
	s->fds[n++] = s->image;
	if (fs >= 0 && name_layers(fs, s->fds, n) == 0 &&
	    (!s->writable || name_upper(fs, f) == 0) && overlay_settings(fs) == 0 &&
	    sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		s->fd = sys_fsmount(fs, FSMOUNT_CLOEXEC, attr);
	error = errno;
	while (opened--)
		own_close(&s->fds[opened]);
	errno = error;
	return s->fd < 0 ? -1 : 0;
}

/* Put together by overlay itself, mounted nowhere. */
static int open_overlay(const struct from_image *f, int image, bool writable, struct err *e)
{
	struct stack s = { .f = f,
			   .image = image,
			   .fds = alloca((count(f->below) + 2) * sizeof(int)),
			   .writable = writable,
			   .fd = -1 };

	if (make_overlay(&s) < 0 &&
	    (errno != EINVAL || image_attached(f->image, make_overlay, &s) < 0))
		return err_set(e, errno, "cannot look into the layers of '%s'", f->name);
	return s.fd;
}

int image_open_root(const struct from_image *f, struct err *e)
{
	auto_fd int image = image_open(f->image, e);

	if (image < 0 || (!count(f->below) && (!f->upper || f->fresh)))
		return take_fd(&image);
	return open_overlay(f, image, false, e);
}

int image_open_root_rw(const struct from_image *f, struct err *e)
{
	auto_fd int image = image_open(f->image, e);

	return image < 0 ? -1 : open_overlay(f, image, true, e);
}

static int set_user(const struct from_image *f, struct spec *s, const char **home, struct err *e)
{
	const struct instance *i = f->instance;
	auto_fd int own = f->root >= 0 ? -1 : image_open_root(f, e);
	int root = f->root >= 0 ? f->root : own;
	struct user u;

	if (root < 0)
		return -1;
	if (user_find(root, i->user ? i->user : f->image->config.user,
		      instance_has_userns(i) ? INSTANCE_IDS : 0, s->arena, &u, e) < 0)
		return -1;
	s->process.uid = u.uid;
	s->process.gid = u.gid;
	s->process.additional_gids = u.groups;
	s->process.n_additional_gids = u.n_groups;
	*home = u.home;
	return 0;
}

/* ---- privileges ---- */

/* Docker's default set (moby, daemon/pkg/oci/caps/defaults.go). */
static words caps_application = { "CAP_CHOWN",
				  "CAP_DAC_OVERRIDE",
				  "CAP_FSETID",
				  "CAP_FOWNER",
				  "CAP_MKNOD",
				  "CAP_NET_RAW",
				  "CAP_SETGID",
				  "CAP_SETUID",
				  "CAP_SETFCAP",
				  "CAP_SETPCAP",
				  "CAP_SYS_CHROOT",
				  "CAP_KILL",
				  "CAP_NET_BIND_SERVICE",
				  "CAP_AUDIT_WRITE",
				  NULL };

/*
 * What an init gets is everything but: what speaks to the one kernel whatever the namespace, and what makes
 * systemd try services that cannot work here (modules, debugfs, audit, timesyncd: measured with systemd 257).
 * CAP_SYS_BOOT stays: reboot(2) in a pid namespace ends that namespace, and its init's signal says how.
 */
static words caps_not_system = { "CAP_SYS_MODULE",    "CAP_SYS_RAWIO",		"CAP_SYS_TIME",
				 "CAP_AUDIT_CONTROL", "CAP_AUDIT_READ",		"CAP_AUDIT_WRITE",
				 "CAP_MAC_ADMIN",     "CAP_MAC_OVERRIDE",	"CAP_SYSLOG",
				 "CAP_WAKE_ALARM",    "CAP_BLOCK_SUSPEND",	"CAP_PERFMON",
				 "CAP_BPF",	      "CAP_CHECKPOINT_RESTORE", NULL };

/* And without a user namespace these would be rights over the host: open_by_handle_at(2), accounting, ... */
static words caps_not_system_on_host = { "CAP_DAC_READ_SEARCH", "CAP_SYS_PACCT", "CAP_IPC_LOCK",
					 NULL };

static uint64_t cap_bits(const char *const *names)
{
	uint64_t bits = 0;

	for (; names && *names; names++)
		bits |= 1ULL << cap_number(*names);
	return bits;
}

static uint64_t all_caps(void)
{
	uint64_t bits = 0;

	for (int n = 0; n < 64 && cap_name(n); n++)
		bits |= 1ULL << n;
	return bits;
}

static void set_caps(const struct instance *i, struct spec *s)
{
	uint64_t caps = cap_bits(caps_application);

	if (i->system) {
		caps = all_caps() & ~cap_bits(caps_not_system);
		if (!instance_has_userns(i))
			caps &= ~cap_bits(caps_not_system_on_host);
	}
	for (const char *const *c = i->cap_drop; c && *c; c++)
		caps &= streq(*c, "ALL") ? 0 : ~(1ULL << cap_number(*c));
	caps |= cap_bits(i->cap_add);
	s->process.has_caps = true;
	/* Inheritable and ambient stay empty (CVE-2022-29162, CVE-2022-27650). */
	s->process.caps[CAPS_BOUNDING] = s->process.caps[CAPS_EFFECTIVE] =
		s->process.caps[CAPS_PERMITTED] = caps;
}

/* A hard limit of the caller's below ours stays: without CAP_SYS_RESOURCE it cannot be raised. */
static int set_rlimits(struct spec *s, struct err *e)
{
	struct rlimit_spec *r = arena_array(s->arena, 1, sizeof(*r));
	struct rlimit now;

	if (!r)
		return err_set(e, ENOMEM, "limits");
	if (getrlimit(RLIMIT_NOFILE, &now) < 0)
		return err_set(e, errno, "cannot read the limit of open files");
	r->resource = RLIMIT_NOFILE;
	r->hard = now.rlim_max < NOFILE_HARD ? now.rlim_max : NOFILE_HARD;
	r->soft = r->hard < NOFILE_SOFT ? r->hard : NOFILE_SOFT;
	s->process.rlimits = r;
	s->process.n_rlimits = 1;
	return 0;
}

/* ---- namespaces and what belongs to them ---- */

static bool own_net(const struct instance *i)
{
	return !instance_shares_net(i);
}

static void add_ns(struct spec *s, unsigned flag)
{
	s->namespaces[s->n_namespaces++].flag = flag;
}

/* Where it was made there may have been no ranges of ids (idrange.h): it is none of those that are the host's root then. */
static int set_ids(const struct instance *i, struct spec *s, struct err *e)
{
	struct id_map *map;

	if (!i->ids && userns_is_first())
		return err_set(
			e, ERR_INVALID,
			"it has no range of ids, as one that was made by a user without root: "
			"`ctr export` it there and `ctr import` it here");
	if (!i->ids)
		return userns_map_same(s->arena, &s->uid_maps, &s->n_uid_maps, &s->gid_maps,
				       &s->n_gid_maps, e);
	map = arena_array(s->arena, 1, sizeof(*map));
	if (!map)
		return err_set(e, ENOMEM, "user namespace");
	*map = (struct id_map){ .container = 0, .host = (uint32_t)i->ids, .size = INSTANCE_IDS };
	s->uid_maps = s->gid_maps = map;
	s->n_uid_maps = s->n_gid_maps = 1;
	return 0;
}

static int set_namespaces(const struct from_image *f, struct spec *s, struct err *e)
{
	const struct instance *i = f->instance;

	add_ns(s, CLONE_NEWPID);
	add_ns(s, CLONE_NEWNS);
	add_ns(s, CLONE_NEWUTS);
	add_ns(s, CLONE_NEWIPC);
	add_ns(s, CLONE_NEWCGROUP);
	add_ns(s, CLONE_NEWTIME);
	if (own_net(i))
		add_ns(s, CLONE_NEWNET);
	if (f->net && f->net->join)
		s->namespaces[s->n_namespaces - 1].path = f->net->join;
	if (f->net) {
		s->nics = f->net->nics;
		s->n_nics = f->net->n;
	}
	if (!instance_has_userns(i))
		return 0;
	add_ns(s, CLONE_NEWUSER);
	return set_ids(i, s, e);
}

/*
 * The instance's clocks begin with it: uptime, and what `ps` derives from the boot time. Not where there is no user namespace and
 * root may not set clocks, as in an instance of an instance.
 */
static int set_clocks(struct spec *s, struct err *e)
{
	static const struct {
		clockid_t id;
		const char *name;
	} clocks[] = { { CLOCK_MONOTONIC, "monotonic" }, { CLOCK_BOOTTIME, "boottime" } };
	struct time_offset *o = arena_array(s->arena, 2, sizeof(*o));

	if (!o)
		return err_set(e, ENOMEM, "clocks");
	if (!s->n_uid_maps && prctl(PR_CAPBSET_READ, CAP_SYS_TIME) == 0)
		return 0;
	for (int k = 0; k < 2; k++) {
		struct timespec now;

		if (clock_gettime(clocks[k].id, &now) < 0)
			return err_set(e, errno, "cannot read the clock");
		o[k].clock = clocks[k].name;
		o[k].secs = -(int64_t)now.tv_sec - (now.tv_nsec > 0);
		o[k].nanosecs = now.tv_nsec ? (uint32_t)(1000000000L - now.tv_nsec) : 0;
	}
	s->time_offsets = o;
	s->n_time_offsets = 2;
	return 0;
}

/* The greatest id that a group can have in the instance: of those that ping_group_range (ip(7)) can name. */
static int last_group(const struct spec *s, unsigned *last, struct err *e)
{
	struct id_map *ignored, *map = s->gid_maps;
	size_t n_ignored, n = s->n_gid_maps;

	*last = INT_MAX;
	if (!n && userns_is_first())
		return 0;
	if (!n && userns_map_same(s->arena, &ignored, &n_ignored, &map, &n, e) < 0)
		return -1;
	*last = 0;
	for (size_t k = 0; k < n; k++)
		if (map[k].container + (map[k].size - 1) > *last)
			*last = map[k].container + (map[k].size - 1);
	if (*last > INT_MAX)
		*last = INT_MAX;
	return 0;
}

/*
 * Services as any user on ports below 1024, and ping without privilege: what Docker sets as well. The range
 * of groups must be mapped in the namespace that owns the network.
 */
static int set_sysctls(const struct from_image *f, struct spec *s, struct err *e)
{
	const struct instance *i = f->instance;
	struct key_value *kv;
	unsigned last;

	if (!own_net(i) || (f->net && f->net->join))
		return 0;
	kv = arena_array(s->arena, 2, sizeof(*kv));
	if (!kv || last_group(s, &last, e) < 0)
		return kv ? -1 : err_set(e, ENOMEM, "sysctls");
	kv[0] = (struct key_value){ "net.ipv4.ip_unprivileged_port_start", "0" };
	kv[1] = (struct key_value){ "net.ipv4.ping_group_range",
				    arena_printf(s->arena, "0 %u", last) };
	if (!kv[1].value)
		return err_set(e, ENOMEM, "sysctls");
	s->sysctl = kv;
	s->n_sysctl = 2;
	return 0;
}

/* ---- mounts ---- */

static words opts_proc = { "nosuid", "noexec", "nodev", NULL };
static words opts_dev = { "nosuid", "noexec", "strictatime", "mode=755", "size=65536k", NULL };
static words opts_pts = { "nosuid",    "noexec", "newinstance", "ptmxmode=0666",
			  "mode=0620", "gid=5",	 NULL };
/* terminals are of group tty, if there is such an id */
static words opts_pts_no_tty = { "nosuid",	  "noexec",    "newinstance",
				 "ptmxmode=0666", "mode=0620", NULL };
#define TTY_GROUP 5
static words opts_shm = { "nosuid", "noexec", "nodev", "mode=1777", "size=65536k", NULL };
static words opts_shm_system = { "nosuid", "nodev", "mode=1777", NULL };
static words opts_sys = { "nosuid", "noexec", "nodev", "ro", NULL };
static words opts_cgroup = { "nosuid", "noexec", "nodev", "relatime", "ro", NULL };
static words opts_cgroup_system = { "nosuid", "noexec", "nodev", "relatime", NULL };
static words opts_hosts = { "bind", "ro", "nosuid", "nodev", "noexec", "rprivate", NULL };
static words opts_run = { "nosuid",   "nodev",		"strictatime", "mode=755",
			  "size=20%", "nr_inodes=800k", NULL };

static const struct {
	const char *destination, *type;
	const char *const *application, *const *system; /* NULL: not mounted for these */
} mounts[] = {
	{ "/proc", "proc", opts_proc, opts_proc },
	{ "/dev", "tmpfs", opts_dev, opts_dev },
	{ "/dev/pts", "devpts", opts_pts, opts_pts },
	{ "/dev/shm", "tmpfs", opts_shm, opts_shm_system },
	{ "/dev/mqueue", "mqueue", opts_proc, opts_proc },
	/* read-only is the sign for systemd not to run udev */
	{ "/sys", "sysfs", opts_sys, opts_sys },
	{ "/sys/fs/cgroup", "cgroup", opts_cgroup, opts_cgroup_system },
	/* an init makes everything in it anew; images of applications may have put directories there */
	{ "/run", "tmpfs", NULL, opts_run },
};

#define N_MOUNTS (sizeof(mounts) / sizeof(*mounts))

static int add_volume(const char *text, const struct instance *i, struct spec *s,
		      struct mount_spec *m, struct err *e)
{
	const char **options = arena_array(s->arena, 8, sizeof(*options));
	struct volume v;
	size_t n = 0;

	if (!options)
		return err_set(e, ENOMEM, "volumes");
	if (volume_parse(text, s->arena, &v, e) < 0)
		return -1;
	if (access(v.source, F_OK) <
	    0) /* never made, as Docker does: a typing error would be a directory */
		return err_set(e, errno, "volume '%s': '%s'", text, v.source);
	options[n++] = v.one_fs ? "bind" : "rbind";
	options[n++] = "rprivate";
	if (v.readonly) {
		options[n++] = "ro";
		if (!v.one_fs)
			options[n++] = "rro";
	}
	if (i->ids && !v.noidmap)
		options[n++] = v.one_fs ? "idmap" : "ridmap";
	*m = (struct mount_spec){
		.destination = v.target, .type = "bind", .source = v.source, .options = options
	};
	return 0;
}

static int set_mounts(const struct from_image *f, struct spec *s, struct err *e)
{
	const struct instance *i = f->instance;
	/* sysfs shows a network namespace, and only who owns that may mount it: who shares another's has none */
	bool no_sysfs = f->net && f->net->join && instance_has_userns(i);
	struct mount_spec *m = arena_array(s->arena, N_MOUNTS + 1 + count(i->volumes), sizeof(*m));

	if (!m)
		return err_set(e, ENOMEM, "mounts");
	s->mounts = m;
	for (size_t k = 0; k < N_MOUNTS; k++) {
		const char *const *options = i->system ? mounts[k].system : mounts[k].application;

		if (!options || (no_sysfs && streq(mounts[k].type, "sysfs")))
			continue;
		m[s->n_mounts++] = (struct mount_spec){ .destination = mounts[k].destination,
							.type = mounts[k].type,
							.source = mounts[k].type,
							.options = options };
		if (options == opts_pts && s->n_gid_maps &&
		    userns_host_id(s->gid_maps, s->n_gid_maps, TTY_GROUP, UINT32_MAX) == UINT32_MAX)
			m[s->n_mounts - 1].options = opts_pts_no_tty;
	}
	if (f->hosts)
		m[s->n_mounts++] = (struct mount_spec){ .destination = "/etc/hosts",
							.type = "bind",
							.source = f->hosts,
							.options = opts_hosts };
	for (const char *const *v = i->volumes; v && *v; v++, s->n_mounts++)
		if (add_volume(*v, i, s, &m[s->n_mounts], e) < 0)
			return -1;
	return 0;
}

/* Docker's (moby, daemon/pkg/oci/defaults.go). */
static words masked_application = { "/proc/acpi",
				    "/proc/asound",
				    "/proc/interrupts",
				    "/proc/kcore",
				    "/proc/keys",
				    "/proc/latency_stats",
				    "/proc/sched_debug",
				    "/proc/scsi",
				    "/proc/timer_list",
				    "/proc/timer_stats",
				    "/sys/devices/virtual/powercap",
				    "/sys/firmware",
				    NULL };
static words readonly_application = { "/proc/bus",	     "/proc/fs", "/proc/irq", "/proc/sys",
				      "/proc/sysrq-trigger", NULL };

/*
 * A system's /proc/sys is its own to write: the kernel lets it change what belongs to its namespaces only.
 * Not so without a user namespace.
 */
static words masked_system = {
	"/proc/acpi",		"/proc/asound",	       "/proc/kallsyms",    "/proc/kcore",
	"/proc/keys",		"/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
	"/proc/sysrq-trigger",	"/proc/timer_list",    "/sys/firmware",	    "/sys/kernel/debug",
	"/sys/kernel/security", "/sys/fs/bpf",	       "/sys/power",	    NULL
};
static words readonly_system = { "/proc/bus", "/proc/fs", "/proc/irq", NULL };

/* ---- limits ---- */

static int set_limits(const struct from_image *f, struct spec *s, struct err *e)
{
	s->default_pids_max = limits_default_pids(f->instance);
	return limits_put(f->instance, NULL, f->upper ? f->upper : "/", f->controllers, s->arena,
			  &s->resources, e);
}

/* ---- all together ---- */

static int set_process(const struct from_image *f, struct spec *s, struct err *e)
{
	const struct instance *i = f->instance;
	const char *workdir = i->workdir ? i->workdir : f->image->config.workdir;
	const char *home = NULL;

	s->has_process = true;
	s->process.terminal = i->tty || i->system; /* a system wants its /dev/console */
	s->process.console_height = f->rows;
	s->process.console_width = f->columns;
	if (!workdir || !*workdir)
		workdir = "/";
	s->process.cwd = *workdir == '/' ? workdir : arena_printf(s->arena, "/%s", workdir);
	if (!s->process.cwd)
		return err_set(e, ENOMEM, "working directory");
	if (set_args(f, s, e) < 0 || set_user(f, s, &home, e) < 0 || set_env(f, home, s, e) < 0 ||
	    set_rlimits(s, e) < 0)
		return -1;
	set_caps(i, s);
	s->seccomp = seccomp_profile(i->system ? SECCOMP_SYSTEM : SECCOMP_APPLICATION,
				     s->process.caps[CAPS_BOUNDING], s->arena);
	return s->seccomp ? 0 : err_set(e, ENOMEM, "seccomp profile");
}

/*
 * FUSE is for user namespaces since Linux 4.18: what is mounted so is seen in there alone. Engines in it need it for their layers
 * (fuse-overlayfs), since overlayfs is not made on top of an overlay.
 */
static int set_devices(const struct instance *i, struct spec *s, struct err *e)
{
	static const struct device_spec fuse = {
		.type = 'c', .path = "/dev/fuse", .major = 10, .minor = 229
	};

	if (!i->system || !instance_has_userns(i) || access(fuse.path, F_OK) < 0)
		return 0;
	s->devices = arena_array(s->arena, 1, sizeof(*s->devices));
	if (!s->devices)
		return err_set(e, ENOMEM, "devices");
	s->devices[0] = fuse;
	s->n_devices = 1;
	return 0;
}

static int set_root(const struct from_image *f, struct spec *s, struct err *e)
{
	const struct instance *i = f->instance;

	s->root.layers = f->image->layers;
	s->root.tree = f->image->tree;
	if (count(f->below)) {
		const char **stack = arena_array(
			s->arena, count(f->below) + count(f->image->layers) + 1, sizeof(*stack));
		size_t n = 0;

		if (!stack)
			return err_set(e, ENOMEM, "root");
		for (const char *const *l = f->below; *l; l++)
			stack[n++] = *l;
		for (const char *const *l = f->image->layers; *l; l++)
			stack[n++] = *l;
		s->root.layers = stack;
	}
	if (f->upper) {
		s->root.upper = arena_strdup(s->arena, f->upper);
		s->root.work = arena_strdup(s->arena, f->work);
		if (!s->root.upper || !s->root.work)
			return err_set(e, ENOMEM, "root");
	}
	s->root.readonly = i->read_only;
	s->root.nodev = f->image->filesystem != NULL; /* nobody has left out its nodes */
	s->root.volatile_upper = f->upper && i->ephemeral;
	s->root.idmap = i->ids != 0;
	return 0;
}

struct spec *spec_from_image(const struct from_image *f, struct err *e)
{
	const struct instance *i = f->instance;
	auto_spec struct spec *s = spec_new();

	if (!s) {
		err_set(e, ENOMEM, "specification");
		return NULL;
	}
	s->oci_version = "1.3.0";
	s->system = i->system;
	s->hostname = i->hostname ? i->hostname : f->name;
	s->rootfs_propagation = "rslave";
	s->masked_paths = i->system ? masked_system : masked_application;
	s->readonly_paths = i->system && instance_has_userns(i) ? readonly_system :
								  readonly_application;
	if (set_root(f, s, e) < 0 || set_namespaces(f, s, e) < 0 || set_clocks(s, e) < 0 ||
	    set_sysctls(f, s, e) < 0 || set_mounts(f, s, e) < 0 || set_devices(i, s, e) < 0 ||
	    set_limits(f, s, e) < 0 || set_process(f, s, e) < 0)
		return NULL;
	return take_ptr(s);
}

int exec_process(const struct spec *s, const struct instance *i, int root, const char *const *args,
		 const char *const *env, const char *cwd, const char *user, bool terminal,
		 const char *term, struct process_spec *p, struct err *e)
{
	struct env all = { .arena = s->arena };
	struct process_spec got = s->process;
	struct user u;

	if (user) {
		if (user_find(root, user, instance_has_userns(i) ? INSTANCE_IDS : 0, s->arena, &u,
			      e) < 0)
			return -1;
		got.uid = u.uid;
		got.gid = u.gid;
		got.additional_gids = u.groups;
		got.n_additional_gids = u.n_groups;
	}
	for (const char *const *kv = s->process.env; kv && *kv; kv++)
		env_set(&all, *kv);
	if (user)
		env_set(&all, pair(s->arena, "HOME", u.home));
	if (terminal)
		env_set(&all, pair(s->arena, "TERM", term && *term ? term : "xterm"));
	for (; env && *env; env++)
		env_set(&all, *env);
	if (all.failed)
		return err_set(e, ENOMEM, "environment");
	if (all.v)
		all.v[all.n] = NULL;
	got.env = all.v;
	got.args = args;
	got.terminal = terminal;
	if (cwd)
		got.cwd = cwd;
	*p = got;
	return 0;
}

/* ---- files in the instance's own layer ---- */

static int write_new(int dir, const char *name, mode_t mode, const char *text, struct err *e)
{
	auto_fd int fd = -1;
	size_t len = strlen(text);

	/* Never through what root inside may have put there: removed, and made exclusively. */
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return err_set(e, errno, "cannot replace '/etc/%s' of the instance", name);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0 || fchmod(fd, mode) < 0 || write(fd, text, len) != (ssize_t)len)
		return err_set(e, errno, "cannot write '/etc/%s' of the instance", name);
	return 0;
}

static bool find_etc(const char *const *layers, struct stat *st)
{
	for (; layers && *layers; layers++) {
		auto_fd int layer = open(*layers, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (layer >= 0 && fstatat(layer, "etc", st, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	}
	return false;
}

/*
 * The layer's /etc, which merges with that of the image and so must look like it. -2: there is no place
 * for one, since /etc is a link or a file.
 */
static int open_etc(const struct from_image *f, int upper, struct err *e)
{
	struct stat st = { .st_mode = S_IFDIR | 0755 };
	auto_fd int image = image_open(f->image, e), etc = -1;

	if (image < 0)
		return -1;
	if (!find_etc(f->below, &st) && fstatat(image, "etc", &st, AT_SYMLINK_NOFOLLOW) < 0 &&
	    errno != ENOENT)
		return err_set(e, errno, "cannot look for '/etc' of the image");
	if (!S_ISDIR(st.st_mode))
		return -2;
	if (mkdirat(upper, "etc", 0755) == 0) {
		if (fchmodat(upper, "etc", st.st_mode & 07777, 0) < 0 ||
		    fchownat(upper, "etc", st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
			return err_set(e, errno, "cannot make '/etc' of the instance");
	} else if (errno != EEXIST) {
		return err_set(e, errno, "cannot make '/etc' of the instance");
	}
	etc = openat(upper, "etc", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (etc < 0 && (errno == ENOTDIR || errno == ELOOP))
		return -2;
	return etc < 0 ? err_set(e, errno, "cannot open '/etc' of the instance") : take_fd(&etc);
}

/* "/" inside is the upper directory itself: it gets the looks of the image's. */
static int dress_root(const struct from_image *f, int upper, struct err *e)
{
	auto_fd int like = count(f->below) ? open(f->below[0], O_PATH | O_DIRECTORY | O_CLOEXEC) :
					     image_open(f->image, e);
	struct stat st;

	if (like < 0)
		return count(f->below) ? err_set(e, errno, "cannot open '%s'", f->below[0]) : -1;
	if (fstat(like, &st) < 0)
		return err_set(e, errno, "cannot look at the root of '%s'", f->name);
	if (fchown(upper, st.st_uid, st.st_gid) < 0 || fchmod(upper, st.st_mode & 07777) < 0)
		return err_set(e, errno, "cannot make the instance's layer");
	return 0;
}

struct name_files {
	char hosts[512], hostname[80];
};

static void fill_name_files(const char *name, struct name_files *n)
{
	snprintf(
		n->hosts, sizeof(n->hosts),
		"127.0.0.1\tlocalhost\n127.0.1.1\t%s\n"
		"::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
		name);
	snprintf(n->hostname, sizeof(n->hostname), "%s\n", name);
}

int instance_write_files(const struct from_image *f, int upper, struct err *e)
{
	const struct instance *i = f->instance;
	struct name_files names;
	auto_fd int etc = -1;
	char id[40];

	if (dress_root(f, upper, e) < 0)
		return -1;
	etc = open_etc(f, upper, e);
	if (etc < 0)
		return etc == -2 ? 0 : -1;
	fill_name_files(i->hostname ? i->hostname : f->name, &names);
	snprintf(id, sizeof(id), "%s\n", i->uuid);
	if (write_new(etc, "hosts", 0644, names.hosts, e) < 0 ||
	    write_new(etc, "hostname", 0644, names.hostname, e) < 0 ||
	    (i->system && write_new(etc, "machine-id", 0444, id, e) < 0))
		return -1;
	return 0;
}

/*
 * The directory /etc of the topmost layer that has something to say of @name in it: a descriptor; -1: none has. What is frozen
 * below is not written to, but what is there counts.
 */
static int find_in_etc(const struct from_image *f, int etc, const char *name)
{
	struct stat st;

	if (fstatat(etc, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return fcntl(etc, F_DUPFD_CLOEXEC, 3);
	for (const char *const *l = f->below; l && *l; l++) {
		auto_fd int layer = open(*l, O_PATH | O_DIRECTORY | O_CLOEXEC);
		auto_fd int dir = layer < 0 ?
					  -1 :
					  openat(layer, "etc",
						 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (dir < 0)
			continue;
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return take_fd(&dir);
		if (overlay_is_opaque(dir))
			break;
	}
	return -1;
}

/* If it is still what we wrote. */
static int replace_if(const struct from_image *f, int etc, const char *name, const char *old,
		      const char *new, struct err *e)
{
	auto_fd int dir = find_in_etc(f, etc, name);
	auto_str struct str text = { 0 };
	struct err ignored;
	struct stat st;

	if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	    file_read(dir, name, 4096, &text, &ignored) < 0 || !streq(str_text(&text), old))
		return 0;
	return write_new(etc, name, 0644, new, e);
}

int instance_rename_files(const struct from_image *f, const char *old, int upper, struct err *e)
{
	struct name_files before, after;
	auto_fd int etc = -1;

	if (f->instance->hostname)
		return 0;
	etc = open_etc(f, upper, e);
	if (etc < 0)
		return etc == -2 ? 0 : -1;
	fill_name_files(old, &before);
	fill_name_files(f->name, &after);
	if (replace_if(f, etc, "hosts", before.hosts, after.hosts, e) < 0)
		return -1;
	return replace_if(f, etc, "hostname", before.hostname, after.hostname, e);
}

int instance_write_resolv(const struct from_image *f, int upper, struct err *e)
{
	auto_str struct str text = { 0 };
	auto_fd int etc = open_etc(f, upper, e);
	struct err ignored;

	if (etc < 0)
		return etc == -2 ? 0 : -1;
	if (file_read(AT_FDCWD, "/etc/resolv.conf", 65536, &text, &ignored) < 0)
		return 0; /* the host itself resolves no names */
	/* systemd-resolved's stub listens on the host's own loopback; beside it lies what it asks itself */
	if (!instance_shares_net(f->instance) && strstr(str_text(&text), "nameserver 127.0.0.53")) {
		auto_str struct str real = { 0 };

		if (file_read(AT_FDCWD, "/run/systemd/resolve/resolv.conf", 65536, &real,
			      &ignored) == 0)
			return write_new(etc, "resolv.conf", 0644, str_text(&real), e);
	}
	return write_new(etc, "resolv.conf", 0644, str_text(&text), e);
}
