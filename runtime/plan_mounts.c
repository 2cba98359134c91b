/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_mounts.c - the new root and all that is mounted, linked and hidden in it.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/handshake.h"
#include "runtime/host.h"
#include "runtime/plan.h"
#include "runtime/spec.h"
#include "runtime/views.h"

enum {		      /* special meanings of an option row */
       OPT_ATTR,      /* mount attributes, set or cleared */
       OPT_RECURSIVE, /* the same for the whole tree (specification 1.1) */
       OPT_PROPAGATION,
       OPT_BIND,
       OPT_RBIND,
       OPT_COPY_UP,
       OPT_IDMAP,
       OPT_RIDMAP,
       OPT_SOURCE_NOFOLLOW,
       OPT_TARGET_NOFOLLOW,
       OPT_DATA, /* one that the file system itself gets, under this name */
       OPT_NOTHING,
};

struct mount_option {
	const char *name;
	unsigned char kind;
	uint64_t set, clear;
};

#define A(x) MOUNT_ATTR_##x

/* The options of runtime-spec 1.3, config.md, "Linux mount options". */
static const struct mount_option options[] = {
	{ "defaults", OPT_NOTHING, 0, 0 },
	{ "ro", OPT_ATTR, A(RDONLY), 0 },
	{ "rw", OPT_ATTR, 0, A(RDONLY) },
	{ "nosuid", OPT_ATTR, A(NOSUID), 0 },
	{ "suid", OPT_ATTR, 0, A(NOSUID) },
	{ "nodev", OPT_ATTR, A(NODEV), 0 },
	{ "dev", OPT_ATTR, 0, A(NODEV) },
	{ "noexec", OPT_ATTR, A(NOEXEC), 0 },
	{ "exec", OPT_ATTR, 0, A(NOEXEC) },
	{ "noatime", OPT_ATTR, A(NOATIME), A(_ATIME) },
	{ "atime", OPT_ATTR, 0, A(_ATIME) },
	{ "relatime", OPT_ATTR, A(RELATIME), A(_ATIME) },
	{ "norelatime", OPT_ATTR, 0, A(_ATIME) },
	{ "strictatime", OPT_ATTR, A(STRICTATIME), A(_ATIME) },
	{ "nostrictatime", OPT_ATTR, 0, A(_ATIME) },
	{ "nodiratime", OPT_ATTR, A(NODIRATIME), 0 },
	{ "diratime", OPT_ATTR, 0, A(NODIRATIME) },
	{ "nosymfollow", OPT_ATTR, A(NOSYMFOLLOW), 0 },
	{ "symfollow", OPT_ATTR, 0, A(NOSYMFOLLOW) },
	{ "rro", OPT_RECURSIVE, A(RDONLY), 0 },
	{ "rrw", OPT_RECURSIVE, 0, A(RDONLY) },
	{ "rnosuid", OPT_RECURSIVE, A(NOSUID), 0 },
	{ "rsuid", OPT_RECURSIVE, 0, A(NOSUID) },
	{ "rnodev", OPT_RECURSIVE, A(NODEV), 0 },
	{ "rdev", OPT_RECURSIVE, 0, A(NODEV) },
	{ "rnoexec", OPT_RECURSIVE, A(NOEXEC), 0 },
	{ "rexec", OPT_RECURSIVE, 0, A(NOEXEC) },
	{ "rnoatime", OPT_RECURSIVE, A(NOATIME), A(_ATIME) },
	{ "ratime", OPT_RECURSIVE, 0, A(_ATIME) },
	{ "rrelatime", OPT_RECURSIVE, A(RELATIME), A(_ATIME) },
	{ "rnorelatime", OPT_RECURSIVE, 0, A(_ATIME) },
	{ "rstrictatime", OPT_RECURSIVE, A(STRICTATIME), A(_ATIME) },
	{ "rnostrictatime", OPT_RECURSIVE, 0, A(_ATIME) },
	{ "rnodiratime", OPT_RECURSIVE, A(NODIRATIME), 0 },
	{ "rdiratime", OPT_RECURSIVE, 0, A(NODIRATIME) },
	{ "rnosymfollow", OPT_RECURSIVE, A(NOSYMFOLLOW), 0 },
	{ "rsymfollow", OPT_RECURSIVE, 0, A(NOSYMFOLLOW) },
	{ "private", OPT_PROPAGATION, MS_PRIVATE, 0 },
	{ "rprivate", OPT_PROPAGATION, MS_PRIVATE | MS_REC, 0 },
	{ "slave", OPT_PROPAGATION, MS_SLAVE, 0 },
	{ "rslave", OPT_PROPAGATION, MS_SLAVE | MS_REC, 0 },
	{ "shared", OPT_PROPAGATION, MS_SHARED, 0 },
	{ "rshared", OPT_PROPAGATION, MS_SHARED | MS_REC, 0 },
	{ "unbindable", OPT_PROPAGATION, MS_UNBINDABLE, 0 },
	{ "runbindable", OPT_PROPAGATION, MS_UNBINDABLE | MS_REC, 0 },
	{ "bind", OPT_BIND, 0, 0 },
	{ "rbind", OPT_RBIND, 0, 0 },
	{ "tmpcopyup", OPT_COPY_UP, 0, 0 },
	{ "idmap", OPT_IDMAP, 0, 0 },
	{ "ridmap", OPT_RIDMAP, 0, 0 },
	{ "src-nofollow", OPT_SOURCE_NOFOLLOW, 0, 0 },
	{ "dest-nofollow", OPT_TARGET_NOFOLLOW, 0, 0 },
	/* flags of the file system: fsconfig takes them by these names */
	{ "sync", OPT_DATA, 0, 0 },
	{ "async", OPT_DATA, 0, 0 },
	{ "dirsync", OPT_DATA, 0, 0 },
	{ "lazytime", OPT_DATA, 0, 0 },
	{ "nolazytime", OPT_DATA, 0, 0 },
	{ "mand", OPT_NOTHING, 0, 0 }, /* mandatory locks left the kernel with Linux 5.15 */
	{ "nomand", OPT_NOTHING, 0, 0 },
	{ "iversion", OPT_NOTHING, 0, 0 },
	{ "noiversion", OPT_NOTHING, 0, 0 },
	{ "silent", OPT_NOTHING, 0, 0 },
	{ "loud", OPT_NOTHING, 0, 0 },
};

static const struct mount_option *find_option(const char *name)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (streq(options[i].name, name))
			return &options[i];
	return NULL;
}

const char *plan_mount_option(size_t i)
{
	return i < sizeof(options) / sizeof(options[0]) ? options[i].name : NULL;
}

static void set_attr(uint64_t *set, uint64_t *clear, const struct mount_option *o)
{
	*set = (*set & ~(o->clear | (o->set & ~A(_ATIME)))) | o->set;
	*clear = (*clear & ~o->set) | o->clear;
}

/* All options of a mount into flags; what is not ours goes to the file system as "a=b,c". */
static int read_options(const struct mount_spec *m, struct mount_step *ms, struct arena *a,
			const char *why, struct err *e)
{
	auto_str struct str data = { 0 };
	bool odd = false;

	for (const char *const *opt = m->options; opt && *opt; opt++) {
		const struct mount_option *o = find_option(*opt);

		switch (o ? o->kind : OPT_DATA) {
		case OPT_ATTR:
			set_attr(&ms->attr_set, &ms->attr_clear, o);
			break;
		case OPT_RECURSIVE:
			set_attr(&ms->rattr_set, &ms->rattr_clear, o);
			break;
		case OPT_PROPAGATION:
			ms->propagation = (unsigned)o->set;
			break;
		case OPT_RBIND:
			ms->recursive = true; /* fall through */
		case OPT_BIND:
			ms->what = MOUNT_BIND;
			break;
		case OPT_COPY_UP:
			ms->copy_up = true;
			break;
		case OPT_RIDMAP:
			ms->idmap_recursive = true; /* fall through */
		case OPT_IDMAP:
			ms->idmap = true;
			break;
		case OPT_SOURCE_NOFOLLOW:
			ms->source_nofollow = true;
			break;
		case OPT_TARGET_NOFOLLOW:
			ms->target_nofollow = true;
			break;
		case OPT_DATA:
			if (data.len)
				str_add(&data, ",");
			str_add(&data, *opt);
			odd = odd || !strchr(*opt, '=');
			break;
		default:
			break;
		}
	}
	if (data.failed)
		return err_set(e, ENOMEM, "cannot plan");
	if (ms->what == MOUNT_BIND && odd)
		return err_set(e, ERR_INVALID, "%s: unknown option '%s' of a bind mount", why,
			       data.s);
	if (ms->what == MOUNT_BIND && data.len) { /* of a file system, which is mounted already */
		log_warn("%s: '%s' means nothing for a bind mount", why, data.s);
		return 0;
	}
	if (data.len && !(ms->data = arena_strdup(a, data.s)))
		return err_set(e, ENOMEM, "cannot plan");
	return 0;
}

static bool new_namespace(const struct spec *s, unsigned flag)
{
	const struct ns_spec *ns = spec_namespace(s, flag);

	return ns && !ns->path;
}

/* A destination that is written as the host sees it, below the root: runc takes that for the path inside. */
static const char *inside(const struct spec *s, const char *path)
{
	size_t len = s->root.path ? strlen(s->root.path) : 0;

	return len > 1 && strncmp(path, s->root.path, len) == 0 && path[len] == '/' ? path + len :
										      path;
}

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && path[len] == '/';
}

/* A path below "/" without doubled slashes and "."; NULL if ".." occurs or memory is gone. */
static const char *clean_target(struct arena *a, const char *path)
{
	auto_str struct str out = { 0 };

	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && path[0] == '.' && path[1] == '.')
			return NULL;
		if (len && !(len == 1 && path[0] == '.')) {
			str_add(&out, "/");
			str_add_n(&out, path, len);
		}
		path += len + strspn(path + len, "/");
	}
	return out.failed ? NULL : arena_strdup(a, out.len ? out.s : "/");
}

/*
 * In a new user namespace some file systems can be mounted only if their own namespace is new too; the
 * host's tree is bound instead, as crun and runc do.
 */
static void bind_if_not_ours(const struct spec *s, struct mount_step *ms)
{
	static const struct {
		const char *type, *source;
		unsigned ns;
	} owned[] = {
		{ "proc", "/proc", CLONE_NEWPID },
		{ "sysfs", "/sys", CLONE_NEWNET },
		{ "mqueue", "/dev/mqueue", CLONE_NEWIPC },
	};

	for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
		if (streq(ms->type, owned[i].type) && spec_namespace(s, CLONE_NEWUSER) &&
		    !spec_namespace(s, owned[i].ns)) {
			ms->what = MOUNT_BIND;
			ms->recursive = true;
			ms->source = owned[i].source;
			ms->data = NULL;
		}
}

static unsigned propagation_of(const struct spec *s)
{
	const struct mount_option *o = s->rootfs_propagation ? find_option(s->rootfs_propagation) :
							       NULL;

	return o && o->kind == OPT_PROPAGATION ? (unsigned)o->set : 0;
}

/* All go in one message. */
static int take_slot(struct plan *p, int *slot, const char *why, struct err *e)
{
	if (p->slots == MSG_MAX_FDS)
		return err_set(e, ERR_NOT_SUPPORTED,
			       "%s: more than %d mounts that need the host's privileges", why,
			       MSG_MAX_FDS);
	*slot = (int)p->slots++;
	return 0;
}

/*
 * A bundle's bind mount with any flag among its options has these flags and no other, as with runc and crun; without one it has those of its
 * source. In a user namespace the kernel's locked ones stay, whose loss would be more than was asked for (mount_namespaces(7)).
 */
static void clear_flags_of_source(const struct spec *s, const struct host *h, struct mount_step *m)
{
	uint64_t flags = host_kernel_is(h, 5, 14) ? MOUNT_ATTR_NOSYMFOLLOW : 0;

	if (!spec_namespace(s, CLONE_NEWUSER))
		flags |= MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			 MOUNT_ATTR_NOEXEC;
	if (s->bundle && m->what == MOUNT_BIND && (m->attr_set || m->attr_clear))
		m->attr_clear |= flags & ~m->attr_set;
}

/*
 * A source below the root that earlier mounts are on the way to, or below: mounts are "in the listed order" (config.md, "Mounts"), and the parent
 * does not see the container's. Its path inside; NULL: it is none.
 */
static const char *among_mounts(const struct plan *p, const struct spec *s,
				const struct mount_step *m)
{
	const char *path = inside(s, m->source);

	if (s->root.path && streq(m->source, s->root.path))
		path = "/";
	path = path == m->source ? NULL : clean_target(p->arena, path);
	for (size_t i = 0; path && i < p->n; i++) {
		const char *target = p->steps[i].mount.target;

		if (p->steps[i].kind == STEP_MOUNT && &p->steps[i].mount != m &&
		    (streq(path, target) || is_below(path, target) ||
		     (m->recursive && (streq(path, "/") || is_below(target, path)))))
			return path;
	}
	return NULL;
}

static int plan_mount(struct plan *p, const struct spec *s, const struct host *h,
		      const struct mount_spec *m, const char *why, struct err *e)
{
	struct step *st = plan_add(p, STAGE_OLD_ROOT, STEP_MOUNT, why, e);
	struct mount_step *ms;

	if (!st || !why)
		return why ? -1 : err_set(e, ENOMEM, "cannot plan");
	ms = &st->mount;
	ms->slot = -1;
	ms->detached = !spec_namespace(s, CLONE_NEWNS);
	ms->type = m->type ? m->type : "none";
	ms->source = m->source;
	ms->target = clean_target(p->arena, inside(s, m->destination));
	if (!ms->target)
		return err_set(e, ERR_INVALID, "%s: destination '%s' leads upwards", why,
			       m->destination);
	if (streq(ms->type, "bind"))
		ms->what = MOUNT_BIND;
	else if (streq(ms->type, "cgroup") || streq(ms->type, "cgroup2")) {
		ms->what = MOUNT_CGROUP;
		ms->type = "cgroup2";
		ms->source = "cgroup";
	}
	if (read_options(m, ms, p->arena, why, e) < 0)
		return -1;
	clear_flags_of_source(s, h, ms);
	if (streq(ms->target, "/"))
		return err_set(e, ERR_NOT_SUPPORTED, "%s: a mount over the root file system itself",
			       why);
	if (ms->what != MOUNT_BIND && streq(ms->type, "none"))
		return err_set(e, ERR_INVALID, "%s: neither a type nor a bind", why);
	if (ms->what == MOUNT_BIND && (!ms->source || ms->source[0] != '/'))
		return err_set(e, ERR_INVALID, "%s: a bind mount needs an absolute source", why);
	if (ms->what == MOUNT_NEW_FS)
		bind_if_not_ours(s, ms);
	/* as runc and crun: what the kernel shows has labels of the kernel's, and what is bound those that it has */
	if (ms->what == MOUNT_NEW_FS && !streq(ms->type, "proc") && !streq(ms->type, "sysfs"))
		ms->label = s->mount_label;
	ms->uid_maps = m->uid_maps;
	ms->n_uid_maps = m->n_uid_maps;
	ms->gid_maps = m->gid_maps;
	ms->n_gid_maps = m->n_gid_maps;
	if (m->n_uid_maps && m->n_gid_maps)
		ms->idmap = true;
	else if (ms->idmap && !spec_namespace(s, CLONE_NEWUSER))
		return err_set(e, ERR_INVALID, "%s: 'idmap' needs mappings or a user namespace",
			       why);
	if (ms->copy_up && (ms->what != MOUNT_NEW_FS || !streq(ms->type, "tmpfs")))
		return err_set(e, ERR_INVALID, "%s: 'tmpcopyup' is for a tmpfs", why);
	if (ms->idmap && ms->what != MOUNT_BIND)
		return err_set(e, ERR_NOT_SUPPORTED, "%s: only bind mounts can be id-mapped", why);
	if (ms->idmap && h->euid != 0)
		return err_set(e, ERR_NOT_SUPPORTED,
			       "%s: only root can map the ids of a mount (mount_setattr(2))", why);
	/* in a shared tree, what is mounted on it later would be so on the host; who wants that says "rshared" */
	if (ms->what == MOUNT_BIND && !ms->propagation && propagation_of(s) & MS_SHARED)
		ms->propagation = MS_SLAVE | MS_REC;
	/* a directory that only the host's root may enter, and a mapping that only it may set */
	if (ms->what != MOUNT_BIND || h->euid != 0 ||
	    (!spec_namespace(s, CLONE_NEWUSER) && !ms->idmap))
		return 0;
	ms->inside = among_mounts(p, s, ms);
	return ms->inside ? 0 : take_slot(p, &ms->slot, why, e);
}

/*
 * Shared means that volumes stay peers of the host's mounts. Nothing else may: only "/" is made private, since
 * pivot_root(2) refuses a shared one, and the new root, whatever file system it is on, a slave.
 */
static int plan_propagation(struct plan *p, unsigned propagation, struct err *e)
{
	struct step *st =
		plan_add(p, STAGE_OLD_ROOT, STEP_PROPAGATION, "linux.rootfsPropagation", e);

	if (!st)
		return -1;
	st->propagation = propagation & MS_SHARED  ? MS_PRIVATE :
			  propagation & MS_PRIVATE ? MS_PRIVATE | MS_REC :
						     MS_SLAVE | MS_REC;
	return 0;
}

static int plan_root(struct plan *p, const struct spec *s, const struct host *h, struct err *e)
{
	unsigned propagation = propagation_of(s);
	struct step *st;
	struct mount_step *ms;

	if (s->rootfs_propagation && *s->rootfs_propagation && !propagation)
		return err_set(e, ERR_INVALID, "linux.rootfsPropagation: unknown value '%s'",
			       s->rootfs_propagation);
	if (spec_namespace(s, CLONE_NEWNS) && plan_propagation(p, propagation, e) < 0)
		return -1;
	st = plan_add(p, STAGE_OLD_ROOT, STEP_ROOT, "root", e);
	if (!st)
		return -1;
	ms = &st->mount;
	ms->slot = -1;
	ms->what = s->root.layers ? MOUNT_OVERLAY : MOUNT_BIND;
	ms->source = s->root.path;
	ms->target = "/";
	ms->recursive = true;
	ms->detached = !spec_namespace(s, CLONE_NEWNS);
	ms->propagation = propagation & MS_SHARED ? MS_SLAVE | MS_REC : 0;
	ms->layers = s->root.layers;
	ms->tree = s->root.tree;
	ms->upper = s->root.upper;
	ms->work = s->root.work;
	ms->volatile_upper = s->root.volatile_upper;
	if (s->root.layers && (new_namespace(s, CLONE_NEWUSER) || s->root.nodev))
		ms->attr_set =
			MOUNT_ATTR_NODEV; /* no node of an image is a device here: see plan_devices() */
	ms->idmap = s->root.idmap && new_namespace(s, CLONE_NEWUSER);
	return spec_namespace(s, CLONE_NEWUSER) && h->euid == 0 ?
		       take_slot(p, &ms->slot, "root", e) :
		       0;
}

/* /dev belongs to us unless the host's is bound there (runc's needsSetupDev). */
static bool dev_is_ours(const struct spec *s)
{
	for (size_t i = 0; i < s->n_mounts; i++) {
		const struct mount_spec *m = &s->mounts[i];
		size_t len = strlen(m->destination);

		while (len > 1 && m->destination[len - 1] == '/')
			len--;
		if (len != 4 || strncmp(m->destination, "/dev", 4) != 0)
			continue;
		for (const char *const *o = m->options; o && *o; o++)
			if (streq(*o, "bind") || streq(*o, "rbind"))
				return false;
		return !m->type || !streq(m->type, "bind");
	}
	return true;
}

/* @made: where none can be made inside, the parent makes one, as its owner, mode and name may be no node's of the host. */
static int plan_device(struct plan *p, const struct device_spec *d, bool bind, bool made,
		       const char *why, struct err *e)
{
	struct step *st = plan_add(p, STAGE_OLD_ROOT, STEP_DEVICE, why, e);

	if (!st)
		return -1;
	st->device.path = clean_target(p->arena, d->path);
	if (!st->device.path || streq(st->device.path, "/"))
		return err_set(e, ERR_INVALID, "%s: path '%s' leads upwards", why, d->path);
	st->device.type = d->type == 'u' ? 'c' : d->type;
	st->device.major = (unsigned)d->major;
	st->device.minor = (unsigned)d->minor;
	st->device.mode = d->has_mode ? d->mode & 07777 : 0666;
	st->device.uid = d->has_uid ? d->uid : 0;
	st->device.gid = d->has_gid ? d->gid : 0;
	st->device.bind = bind && d->type != 'p';
	st->device.slot = -1;
	return st->device.bind && made ? take_slot(p, &st->device.slot, why, e) : 0;
}

/* runtime-spec, config-linux.md: "Default Devices", and runtime.md: the symbolic links. */
static int plan_dev(struct plan *p, const struct spec *s, const struct host *h, struct err *e)
{
	static const struct device_spec defaults[] = {
		{ .type = 'c', .path = "/dev/null", .major = 1, .minor = 3 },
		{ .type = 'c', .path = "/dev/zero", .major = 1, .minor = 5 },
		{ .type = 'c', .path = "/dev/full", .major = 1, .minor = 7 },
		{ .type = 'c', .path = "/dev/random", .major = 1, .minor = 8 },
		{ .type = 'c', .path = "/dev/urandom", .major = 1, .minor = 9 },
		{ .type = 'c', .path = "/dev/tty", .major = 5, .minor = 0 },
	};
	static const struct {
		const char *path, *target;
	} links[] = {
		{ "/dev/fd", "/proc/self/fd" },	      { "/dev/stdin", "/proc/self/fd/0" },
		{ "/dev/stdout", "/proc/self/fd/1" }, { "/dev/stderr", "/proc/self/fd/2" },
		{ "/dev/ptmx", "pts/ptmx" },
	};
	/* mknod of a device is refused outside the initial user namespace (mknod(2), user_namespaces(7)) */
	bool bind = spec_namespace(s, CLONE_NEWUSER) || !h->initial_userns || h->euid != 0;
	bool may_make = h->initial_userns && h->euid == 0 && s->n_uid_maps && s->n_gid_maps;

	if (!dev_is_ours(s))
		return 0;
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		bool given = false;

		for (size_t j = 0; j < s->n_devices; j++)
			given |= streq(s->devices[j].path, defaults[i].path);
		if (!given && plan_device(p, &defaults[i], bind, false, "default device", e) < 0)
			return -1;
	}
	for (size_t i = 0; i < s->n_devices; i++)
		if (plan_device(p, &s->devices[i], bind, may_make,
				arena_printf(p->arena, "linux.devices[%zu]", i), e) < 0)
			return -1;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		struct step *st = plan_add(p, STAGE_OLD_ROOT, STEP_SYMLINK, "default link", e);

		if (!st)
			return -1;
		st->symlink.path = links[i].path;
		st->symlink.target = links[i].target;
	}
	return 0;
}

static int plan_paths(struct plan *p, const char *const *paths, enum step_kind kind,
		      const char *why, struct err *e)
{
	for (const char *const *first = paths; paths && *paths; paths++) {
		const char *const *same = first;
		struct step *st;

		while (!streq(*same, *paths))
			same++;
		if (same != paths)
			continue; /* once is enough */
		st = plan_add(p, STAGE_OLD_ROOT, kind, why, e);
		if (!st)
			return -1;
		st->path = clean_target(p->arena, *paths);
		if (!st->path)
			return err_set(e, ERR_INVALID, "%s: '%s' leads upwards", why, *paths);
	}
	return 0;
}

/*
 * A working directory that is missing is made, as runc does, since images name such and users expect it. It is
 * no failure if that cannot be: changing to it says what is wrong.
 */
static int plan_cwd_dir(struct plan *p, const struct spec *s, struct err *e)
{
	const char *path =
		s->has_process && s->process.cwd ? clean_target(p->arena, s->process.cwd) : NULL;
	struct step *st;

	if (!path || streq(path, "/"))
		return 0;
	st = plan_add(p, STAGE_OLD_ROOT, STEP_DIRECTORY, "process.cwd", e);
	if (!st)
		return -1;
	st->path = path;
	st->tolerate = true;
	return 0;
}

static bool is_filled_later(const struct plan *p, size_t i)
{
	const char *dir = p->steps[i].mount.target;

	for (i++; i < p->n; i++) {
		const struct step *st = &p->steps[i];

		if ((st->kind == STEP_MOUNT && is_below(st->mount.target, dir)) ||
		    (st->kind == STEP_DEVICE && is_below(st->device.path, dir)) ||
		    (st->kind == STEP_SYMLINK && is_below(st->symlink.path, dir)) ||
		    (st->kind == STEP_CONSOLE && is_below("/dev/console", dir)))
			return true;
	}
	return false;
}

/*
 * A read-only tmpfs becomes so once everything is in it: podman's --read-only --read-only-tmpfs=false
 * asks for such a /dev.
 */
static int plan_readonly_mounts(struct plan *p, struct err *e)
{
	for (size_t i = 0, n = p->n; i < n; i++) {
		struct mount_step *m = &p->steps[i].mount;
		struct step *st;

		if (p->steps[i].kind != STEP_MOUNT || m->what != MOUNT_NEW_FS ||
		    !streq(m->type, "tmpfs") || !(m->attr_set & MOUNT_ATTR_RDONLY) ||
		    !is_filled_later(p, i))
			continue;
		m->attr_set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
		st = plan_add(p, STAGE_OLD_ROOT, STEP_READONLY_MOUNT, p->steps[i].why, e);
		if (!st)
			return -1;
		st->path = p->steps[i].mount.target;
	}
	return 0;
}

/* Once, before the first sysfs, which shows the network namespace it is mounted in; or at the end. */
static int plan_netns_enter(struct plan *p, bool *entered, struct err *e)
{
	if (!p->netns_apart || *entered)
		return 0;
	*entered = true;
	return plan_add(p, STAGE_OLD_ROOT, STEP_NETNS_ENTER, "new network namespace", e) ? 0 : -1;
}

int plan_mounts(struct plan *p, const struct spec *s, const struct host *h,
		const struct plan_options *o, struct err *e)
{
	bool entered = false, apart;
	unsigned propagation = propagation_of(s);
	struct step *st;

	if (plan_root(p, s, h, e) < 0)
		return -1;
	for (size_t i = 0; i < s->n_mounts; i++) {
		const char *type = s->mounts[i].type;

		if (type && streq(type, "sysfs") && plan_netns_enter(p, &entered, e) < 0)
			return -1;
		if (plan_mount(p, s, h, &s->mounts[i], arena_printf(p->arena, "mounts[%zu]", i),
			       e) < 0)
			return -1;
	}
	if (plan_dev(p, s, h, e) < 0)
		return -1;
	if (s->has_process && s->process.terminal &&
	    !plan_add(p, STAGE_OLD_ROOT, STEP_CONSOLE, "process.terminal", e))
		return -1;
	if (plan_readonly_mounts(p, e) < 0 ||
	    plan_paths(p, s->readonly_paths, STEP_READONLY_PATH, "linux.readonlyPaths", e) < 0 ||
	    plan_paths(p, s->masked_paths, STEP_MASK, "linux.maskedPaths", e) < 0)
		return -1;
	for (size_t i = 0; s->views && i < VIEWS; i++) {
		st = plan_add(p, STAGE_OLD_ROOT, STEP_VIEW, "its share of the machine", e);
		if (!st)
			return -1;
		st->view = &s->views[i];
	}
	if (plan_cwd_dir(p, s, e) < 0)
		return -1;
	if (p->netns_apart) {
		if (plan_netns_enter(p, &entered, e) < 0)
			return -1;
	} else if (new_namespace(s, CLONE_NEWNET) &&
		   !plan_add(p, STAGE_OLD_ROOT, STEP_LOOPBACK, "new network namespace", e)) {
		return -1;
	}
	st = plan_add(p, STAGE_NEW_ROOT, STEP_PIVOT, "root", e);
	if (!st)
		return -1;
	st->pivot.chroot = o->no_pivot || !spec_namespace(s, CLONE_NEWNS);
	st->pivot.shared = propagation & MS_SHARED;
	/* what the host mounts below the root file system is not the container's, whatever its volumes share: runc, crun */
	apart = !s->root.layers && spec_namespace(s, CLONE_NEWNS);
	if (s->root.readonly || propagation || apart) {
		st = plan_add(p, STAGE_NEW_ROOT, STEP_ROOT_ATTR,
			      s->root.readonly ? "root.readonly" :
			      propagation      ? "linux.rootfsPropagation" :
						 "root",
			      e);
		if (!st)
			return -1;
		st->root_attr.readonly = s->root.readonly;
		st->root_attr.apart = apart;
		st->root_attr.propagation = propagation;
	}
	return 0;
}
