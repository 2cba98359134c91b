/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/suspend.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/launch.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "netns/netns.h"
#include "runtime/apply.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/checkpoint.h"
#include "runtime/criu.h"
#include "runtime/host.h"
#include "runtime/instance.h"
#include "runtime/instances.h"
#include "runtime/restart.h"
#include "runtime/running.h"
#include "runtime/state.h"

#define IN_FLIGHT    "In-flight connection" /* as CRIU says it */
#define ACCEPT_TRIES 10
#define ACCEPT_MS    20

static bool has(const struct instance_dir *d, const char *part)
{
	return faccessat(d->fd, part, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool is_suspended(const struct instance_dir *d)
{
	/* the second where CRIU, which writes that last, went on without who had called it */
	return has(d, MEMORY) || has(d, MEMORY_NEW "/" MEMORY_LAST "/stats-dump");
}

int memory_discard(const struct instance_dir *d, struct err *e)
{
	if (has(d, MEMORY) && instances_discard(d->all, d->fd, MEMORY, e) < 0)
		return -1;
	return has(d, MEMORY_NEW) ? instances_discard(d->all, d->fd, MEMORY_NEW, e) : 0;
}

/* CRIU reads images in the instance's user namespace too, which has no right to our directories but these. */
int make_memory_dir(const struct instance_dir *d, const char *name, struct err *e)
{
	char part[sizeof(MEMORY_NEW) + 16];
	int fd = -1;

	snprintf(part, sizeof(part), MEMORY_NEW "/%s", name);
	if ((mkdirat(d->fd, MEMORY_NEW, 0755) == 0 || errno == EEXIST) &&
	    (mkdirat(d->fd, part, 0755) == 0 || errno == EEXIST) &&
	    fchmodat(d->fd, MEMORY_NEW, 0755, 0) == 0 && fchmodat(d->fd, part, 0755, 0) == 0)
		fd = openat(d->fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_set(e, errno, "cannot make '%s'", part) : fd;
}

int memory_complete(const struct instance_dir *d, struct err *e)
{
	return has(d, MEMORY) ? 0 :
	       renameat(d->fd, MEMORY_NEW, d->fd, MEMORY) < 0 ?
				err_set(e, errno, "cannot keep the memory of '%s'", d->name) :
				0;
}

/* ---- one that runs, as it was started ---- */

struct subject {
	struct instance_dir dir; /* locked */
	struct state_dir sd;	 /* locked as well */
	struct state state;
	struct arena *arena;
	struct instance *instance;
	struct store *store;
	struct image *image;
};

#define SUBJECT_NONE                                                                           \
	{                                                                                      \
		.dir = { .fd = -1, .promise = -1 }, .sd = {.root = -1, .dir = -1, .open = -1 } \
	}

static void own_subject(struct subject *s)
{
	image_free(s->image);
	store_close(s->store);
	instance_free(s->instance);
	arena_free(s->arena);
	state_close(&s->sd);
	if (s->dir.fd >= 0)
		instance_close(&s->dir);
}
#define auto_subject __attribute__((cleanup(own_subject)))

static int open_subject(struct cli *c, const struct instances *all, const char *name,
			struct subject *s, struct err *e)
{
	auto_str struct str config = { 0 };
	int status;

	s->arena = arena_new(1u << 20);
	if (!s->arena)
		return err_set(e, ENOMEM, "out of memory");
	if (instance_open(all, name, &s->dir, e) < 0)
		return -1;
	if (state_open(all->states, name, &s->sd, e) < 0)
		return e->code == ERR_NO_SUCH ? err_set(e, ERR_STATE, "it does not run") : -1;
	if (state_read(&s->sd, s->arena, &s->state, e) < 0)
		return e->code == ERR_STATE ? err_set(e, ERR_STATE, "it does not run") : -1;
	status = state_status(&s->sd, &s->state, NULL, e);
	if (status < 0 || state_read_config(&s->sd, &config, e) < 0)
		return -1;
	if (status == STATUS_STOPPED)
		return err_set(e, ERR_STATE, "it does not run");
	s->instance = instance_parse(str_text(&config), config.len, e);
	s->store = s->instance ? store_open(c->store_root, e) : NULL;
	s->image = s->store ? launch_image(s->store, s->instance, e) : NULL;
	return s->image && image_mount(s->store, c->run_root, s->image, e) == 0 ? 0 : -1;
}

/* ---- what stands in the way ---- */

/* Of process @pid; "" when it is gone. */
static const char *namespace_of(int pid, const char *kind, char out[64])
{
	char path[48];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
	n = readlink(path, out, 63);
	out[n < 0 ? 0 : n] = '\0';
	return out;
}

static bool is_born_outside(const struct subject *s, int pid)
{
	auto_str struct str status = { 0 };
	char path[40], ours[64], theirs[64];
	struct err gone;
	const char *line;
	int parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (pid == s->state.pid || file_read_kernel(AT_FDCWD, path, 65536, &status, &gone) < 0)
		return false;
	line = strstr(str_text(&status), "\nPPid:");
	if (!line || sscanf(line, "\nPPid: %d", &parent) != 1)
		return false;
	return !streq(namespace_of(parent, "pid", theirs), namespace_of(s->state.pid, "pid", ours));
}

/* Those that `ctr exec` has brought in: it puts them where the first process is. */
static unsigned count_entered(const struct subject *s)
{
	auto_str struct str procs = { 0 };
	auto_fd int cgroup = -1;
	struct err gone;
	const char *at;
	unsigned n = 0;
	int pid;

	if (s->state.cgroup)
		cgroup = cgroup_open_of(s->state.cgroup_root, s->state.pid, &gone);
	if (cgroup < 0 || file_read_kernel(cgroup, "cgroup.procs", 1u << 20, &procs, &gone) < 0)
		return 0;
	for (at = str_text(&procs); sscanf(at, "%d", &pid) == 1; at += *at == '\n') {
		n += is_born_outside(s, pid);
		at += strcspn(at, "\n");
	}
	return n;
}

/*
 * CRIU saves namespaces within an instance's own of mounts and networks alone. Names the first process with another, for each kind, and what
 * has systemd give one to a unit (systemd.exec(5)).
 */
static void name_nested(const struct subject *s, struct str *wrong)
{
	static const struct {
		const char *kind, *cure;
	} kinds[] = {
		{ "uts", " (ProtectHostname=no in a unit of systemd)" },
		{ "ipc", " (PrivateIPC=no in a unit of systemd)" },
		{ "user", " (PrivateUsers=no in a unit of systemd)" },
		{ "time", "" },
	};
	bool told[sizeof(kinds) / sizeof(*kinds)] = { false };
	auto_dir DIR *proc = opendir("/proc");
	char inside[64], its[64], first[64];
	struct dirent *ent;
	uint64_t pid;

	(void)namespace_of(s->state.pid, "pid", inside);
	while (proc && (ent = readdir(proc))) {
		if (parse_u64(ent->d_name, 1, INT_MAX, &pid) < 0 ||
		    !streq(namespace_of((int)pid, "pid", its), inside))
			continue;
		for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
			(void)namespace_of(s->state.pid, kinds[k].kind, first);
			if (told[k] || !*namespace_of((int)pid, kinds[k].kind, its) ||
			    streq(its, first))
				continue;
			told[k] = true;
			str_addf(
				wrong,
				"process %d has its own %s namespace, which CRIU does not save%s\n",
				(int)pid, kinds[k].kind, kinds[k].cure);
		}
	}
}

static bool shares_network(const struct instance *i)
{
	const char *first = i->nets ? *i->nets : NULL;

	return first &&
	       (streq(first, "host") || str_after(first, "container:") || str_after(first, "ns:"));
}

/* Where that cannot be told there are none. */
static bool has_filters(const struct subject *s)
{
	struct err ignored;
	auto_fd int netns = -1;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", s->state.pid);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	return netns >= 0 && netns_has_filters(netns, &ignored) > 0;
}

int memory_check(struct cli *c, const struct instances *all, const char *name, struct str *wrong,
		 struct err *e)
{
	auto_subject struct subject s = SUBJECT_NONE;
	struct err why = { 0 };
	char path[PATH_MAX];
	unsigned entered;

	if (open_subject(c, all, name, &s, e) < 0)
		return -1;
	if (criu_find(path, sizeof(path), &why) < 0)
		str_addf(wrong, "%s\n", why.msg);
	if (s.instance->ephemeral)
		str_add(wrong, "it is to be removed when it ends (--rm)\n");
	entered = count_entered(&s);
	if (entered)
		str_addf(wrong, "%u process%s in it came by `ctr exec`: end %s first\n", entered,
			 entered > 1 ? "es" : "", entered > 1 ? "them" : "it");
	name_nested(&s, wrong);
	if (shares_network(s.instance))
		str_add(wrong, "its network namespace is not its own (--net)\n");
	else if (has_filters(&s))
		str_add(wrong, "it has packet filters of its own inside, which would be lost\n");
	return wrong->failed ? err_set(e, ENOMEM, "out of memory") : 0;
}

/* ---- saving ---- */

static int save(struct cli *c, const struct instances *all, const char *name, unsigned number,
		bool last, struct err *e)
{
	auto_subject struct subject s = SUBJECT_NONE;
	char part[32], image[PATH_MAX], dir[16] = MEMORY_LAST, parent[16];
	auto_fd int made = -1;
	struct checkpoint_options o = { .image_path = image, .pre_dump = !last, .status_fd = -1 };
	struct launch l;
	int rc;

	if (!last)
		snprintf(dir, sizeof(dir), "%u", number);
	if (number > !last) {
		snprintf(parent, sizeof(parent), "../%u", last ? number : number - 1);
		o.parent_path = parent;
	}
	if (open_subject(c, all, name, &s, e) < 0)
		return -1;
	if (!o.parent_path && memory_discard(&s.dir, e) < 0)
		return -1;
	made = make_memory_dir(&s.dir, dir, e);
	if (made < 0)
		return -1;
	if (flock(made, LOCK_EX) < 0)
		return err_set(e, errno, "cannot lock the saved memory");
	o.held = made;
	o.fifos = s.sd.dir;
	snprintf(part, sizeof(part), MEMORY_NEW "/%s", dir);
	if (instance_path(&s.dir, part, image, sizeof(image), e) < 0)
		return -1;
	l = (struct launch){ .all = all, .image = s.image, .instance = s.instance, .dir = &s.dir };
	if (last)
		restart_not_wanted(all, name);
	rc = launch_save(&l, &s.state, &o, e);
	/* connections that were not accepted yet will be in a moment; or else nobody is to miss them */
	for (int tries = 0; rc < 0 && strstr(e->msg, IN_FLIGHT) && tries <= ACCEPT_TRIES; tries++) {
		nanosleep(&(struct timespec){ .tv_nsec = ACCEPT_MS * 1000000 }, NULL);
		o.tcp_skip_in_flight = tries == ACCEPT_TRIES;
		rc = launch_save(&l, &s.state, &o, e);
	}
	if (rc < 0 && last)
		restart_as_before(all, name);
	return rc < 0 || !last ? rc : memory_complete(&s.dir, e);
}

int memory_copy(struct cli *c, const struct instances *all, const char *name, unsigned number,
		struct err *e)
{
	return save(c, all, name, number, false, e);
}

int suspend(struct cli *c, const struct instances *all, const char *name, unsigned number,
	    struct err *e)
{
	auto_running struct running r = RUNNING_NONE;

	if (running_look(all, name, &r, e) < 0)
		return -1;
	if (!r.exists || r.status == STATUS_STOPPED)
		return err_set(e, ERR_STATE, "it does not run");
	if (save(c, all, name, number, true, e) < 0)
		return -1;
	return end_instance(c, all, name, NULL, &r, e);
}

int suspend_wait(const struct instances *all, const char *name, struct err *e)
{
	static const char *const parts[] = { MEMORY_NEW "/" MEMORY_LAST, MEMORY "/" MEMORY_LAST };
	struct instance_dir d = { .fd = -1, .promise = -1 };
	int rc = 0;

	if (instance_look(all, name, &d, e) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		auto_fd int fd = openat(d.fd, parts[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		while (fd >= 0 && (rc = flock(fd, LOCK_EX)) < 0 && errno == EINTR)
			;
		if (fd >= 0 && rc < 0)
			err_set(e, errno, "cannot lock the saved memory");
	}
	close(d.fd);
	return rc;
}

/* ---- the verb ---- */

static int suspend_one(struct cli *c, const struct instances *all, const char *name, struct err *e)
{
	auto_str struct str wrong = { 0 };

	if (memory_check(c, all, name, &wrong, e) == 0) {
		if (wrong.len)
			err_set(e, ERR_NOT_SUPPORTED, "%.*s", (int)strcspn(wrong.s, "\n"), wrong.s);
		else if (suspend(c, all, name, 0, e) == 0)
			return 0;
	}
	return err_in(e, "cannot suspend '%s'", name);
}

static int suspend_verb(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;

	(void)argc;
	if (open_instances(c, &all) < 0)
		return -1;
	return each_instance(c, &all, argv, 0, suspend_one);
}

const struct verb verb_suspend = {
	.name = "suspend",
	.run = suspend_verb,
	.flags = VERB_MANY | VERB_JSON,
	.operands = "NAME...",
	.min = 1,
	.max = -1,
	.help = "save the memory of instances on disk, and stop them",
	.more = "`ctr start` lets them go on from there, open connections included. Needs criu(8).",
};
