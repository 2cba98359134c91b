/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint_restore.c - a container of saved processes.
 *
 *   parent (the command)                         child (becomes criu)
 *   ------------------------------------         -------------------------------------------------
 *   reads what little it needs of the images
 *   writes the journal, makes the cgroup
 *   clone3 into the cgroup                       a mount namespace that nobody else sees, with the root
 *                                                file system, and all that comes from outside, on mount
 *                                                points of its own (checkpoint.h, struct staging); missing
 *                                                mount points are made and places resolved
 *   <------------------------------- mounts ---  a cgroup namespace, if the container has one; execve
 *   --- what to restore ---------------------->  criu makes the namespaces
 *   <----------------- "setup-namespaces" -----
 *   hooks
 *   <----------------- "post-setup-namespaces" - an empty network lets nothing in
 *   lo, interfaces
 *   <----------------- "orphan-pts-master" ----  the console
 *   <----------------- "post-restore" ---------  all processes are there, and stopped
 *   views, limits, device filter, writes the state
 *   --- yes ---------------------------------->  lets them go; ends
 *
 * The restored processes are in the cgroup because CRIU is: from the first moment on the journal names where they are, and
 * whoever undoes it ends them all. Limits come last, for CRIU needs more processes and devices than the container.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netns/netns.h"
#include "runtime/apply.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/checkpoint.h"
#include "runtime/criu.h"
#include "runtime/handover.h"
#include "runtime/handshake.h"
#include "runtime/hooks.h"
#include "runtime/host.h"
#include "runtime/life.h"
#include "runtime/plan.h"
#include "runtime/spec.h"
#include "runtime/state.h"
#include "runtime/userns.h"

#define RESTORE_LOG "restore.log"

struct restore {
	const struct spec *spec;
	const struct plan *plan;
	const struct host *host;
	const struct checkpoint_options *o;
	const struct life_options *lo;
	struct life *life;
	struct apply apply;
	struct externals mounts;
	char staging[PATH_MAX], root[PATH_MAX], mounts_dir[PATH_MAX],
		yard[PATH_MAX]; /* and in it */
	bool own_network;	/* a network namespace that the images do not fill */
};

/* ---- the child, until it is CRIU ---- */

/* One packet a mount, "KEY\0VALUE\0"; then an empty one. A failure is said as life's children say it. */
static int send_mounts(int sock, const struct externals *x, struct err *e)
{
	for (size_t i = 0; i < x->n; i++) {
		auto_str struct str text = { 0 };

		str_add_n(&text, x->list[i].key, strlen(x->list[i].key) + 1);
		str_add_n(&text, x->list[i].value, strlen(x->list[i].value) + 1);
		if (text.failed || send(sock, text.s, text.len, MSG_NOSIGNAL) < 0)
			return err_set(e, errno, "cannot tell the mounts");
	}
	return say(sock, MSG_MOUNTED, e);
}

/* What it hides was opened before. */
static int make_staging(const struct restore *r, struct err *e)
{
	if (mount("ctr", r->staging, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") < 0)
		return err_set(e, errno, "cannot mount on '%s'", r->staging);
	if (mkdir(r->root, 0755) < 0 || mkdir(r->mounts_dir, 0755) < 0 || mkdir(r->yard, 0700) < 0)
		return err_set(e, errno, "cannot make directories in '%s'", r->staging);
	return 0;
}

/* Mounts that are mapped to the container's ids have those of a user namespace that is to be, as CRIU makes it. */
static int open_ids(struct restore *r, struct err *e)
{
	const struct spec *s = r->spec;

	if (!spec_namespace(s, CLONE_NEWUSER))
		return 0;
	r->apply.userns = userns_open(s->uid_maps, s->n_uid_maps, s->gid_maps, s->n_gid_maps, e);
	return r->apply.userns < 0 ? -1 : 0;
}

static int prepare_mounts(struct restore *r, struct err *e)
{
	struct staging g = { .arena = r->mounts.arena,
			     .apply = &r->apply,
			     .root = r->root,
			     .dir = r->mounts_dir,
			     .cgroups_alone = r->o->cgroups == CRIU_CGROUPS_IGNORE };

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_set(e, errno, "cannot make a mount namespace");
	return open_ids(r, e) < 0 || staging_open(&g, e) < 0 || make_staging(r, e) < 0 ?
		       -1 :
		       externals_prepare(&g, &r->mounts, e);
}

/* CRIU that leaves cgroups alone leaves their namespace to us: all that it restores is in that of its own. */
static int prepare_cgroup_namespace(const struct restore *r, struct err *e)
{
	if (r->o->cgroups == CRIU_CGROUPS_IGNORE && spec_namespace(r->spec, CLONE_NEWCGROUP) &&
	    unshare(CLONE_NEWCGROUP) < 0)
		return err_set(e, errno, "cannot make a cgroup namespace");
	return 0;
}

static void prepare(int sock, void *arg)
{
	struct restore *r = arg;
	struct err e = { 0 };

	if (prepare_mounts(r, &e) == 0 && prepare_cgroup_namespace(r, &e) == 0 &&
	    send_mounts(sock, &r->mounts, &e) == 0)
		return;
	say_failed(sock, &e);
	_exit(1);
}

/* ---- the parent ---- */

/* What the child has found; in a message of handshake.h the end, or why there is none. */
static int hear_mounts(struct restore *r, int sock, struct err *e)
{
	for (;;) {
		char text[2 * PATH_MAX + 2];
		ssize_t n = recv(sock, text, sizeof(text) - 1, MSG_PEEK);
		const char *value;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || text[0] != '/')
			return hear(sock, MSG_MOUNTED, e);
		text[n] = '\0';
		value = memchr(text, '\0', (size_t)n);
		if (externals_add(&r->mounts, text, value + 1 < text + n ? value + 1 : "", e) < 0)
			return -1;
		if (recv(sock, text, sizeof(text), 0) < 0)
			return err_set(e, errno, "cannot hear the mounts");
	}
}

/* Only those that concern the host's side of the container; what was inside is in the images. */
static int apply_kinds(struct restore *r, const enum step_kind *kinds, size_t n, struct err *e)
{
	for (size_t i = 0; i < r->plan->n; i++)
		for (size_t k = 0; k < n; k++)
			if (r->plan->steps[i].kind == kinds[k] &&
			    apply_step(&r->apply, &r->plan->steps[i], e) < 0)
				return -1;
	return 0;
}

static int make_cgroup(struct restore *r, struct err *e)
{
	static const enum step_kind kinds[] = { STEP_CGROUP_MAKE, STEP_CGROUP_DELEGATE };

	return apply_kinds(r, kinds, 2, e);
}

static int limit_cgroup(struct restore *r, struct err *e)
{
	static const enum step_kind kinds[] = { STEP_CGROUP_SET, STEP_CGROUP_DEVICES };

	return apply_kinds(r, kinds, 2, e);
}

/* Interfaces and routes are in the images if any link is: "netdev-9.img". */
static bool has_links(int image)
{
	auto_dir DIR *list = dir_list(image);
	struct dirent *ent;

	while (list && (ent = readdir(list)))
		if (str_after(ent->d_name, "netdev-"))
			return true;
	return false;
}

/* What @work does in namespace @name of process @pid, in a child, which goes there. */
static int work_inside(struct restore *r, pid_t pid, const char *name, int flag,
		       int (*work)(struct restore *r, struct err *e), struct err *e)
{
	int ends[2], result;
	pid_t child;

	if (handshake_pair(ends, e) < 0)
		return -1;
	child = fork();
	if (child == 0) {
		char path[40];
		int fd;

		close(ends[0]);
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || setns(fd, flag) < 0)
			err_set(e, errno, "cannot join the restored namespace (%s)", name);
		else if (work(r, e) == 0)
			_exit(0);
		say_failed(ends[1], e);
		_exit(1);
	}
	close(ends[1]);
	result = child < 0 ? err_set(e, errno, "cannot fork") : hear_end(ends[0], e);
	close(ends[0]);
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return result;
}

/* CRIU has not saved the sysctls of an empty network. */
static int set_up_network(struct restore *r, struct err *e)
{
	if (netns_loopback_up(e) < 0)
		return -1;
	for (size_t i = 0; i < r->plan->n; i++)
		if (r->plan->steps[i].kind == STEP_SYSCTL &&
		    str_after(r->plan->steps[i].sysctl.key, "net.") &&
		    apply_step(&r->apply, &r->plan->steps[i], e) < 0)
			return -1;
	return 0;
}

/* CRIU was told to pass over them: it cannot save a mount of a file that has lost its name. */
static int put_views(struct restore *r, struct err *e)
{
	static const enum step_kind kinds[] = { STEP_VIEW };

	r->apply.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r->apply.root < 0)
		return err_set(e, errno, "cannot open the restored root");
	return apply_kinds(r, kinds, 1, e);
}

static int run_hooks(const struct restore *r, enum hook_point point, pid_t pid, struct err *e)
{
	return hooks_run(point, r->spec, r->lo->state->id, pid, STATUS_CREATING, e);
}

static int on_namespaces(struct restore *r, pid_t pid, struct err *e)
{
	static const enum step_kind kinds[] = { STEP_RESCTRL };

	r->apply.pid = pid;
	/* who is forked from here on is in the group too */
	if (apply_kinds(r, kinds, 1, e) < 0 || run_hooks(r, HOOK_PRESTART, pid, e) < 0)
		return -1;
	return run_hooks(r, HOOK_CREATE_RUNTIME, pid, e);
}

/*
 * By now CRIU has locked an empty network: what comes for connections that are not there yet is dropped, where it would have
 * been answered by a reset.
 */
static int on_network_locked(struct restore *r, struct err *e)
{
	static const enum step_kind kinds[] = { STEP_NET_DEVICE, STEP_NIC };
	char path[40];

	if (!r->own_network)
		return 0;
	if (work_inside(r, r->apply.pid, "net", CLONE_NEWNET, set_up_network, e) < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", r->apply.pid);
	r->apply.netns = open(path, O_RDONLY | O_CLOEXEC);
	if (r->apply.netns < 0)
		return err_set(e, errno, "cannot open '%s'", path);
	return apply_kinds(r, kinds, 2, e);
}

/* CRIU gives processes a time namespace, whatever they had, so that their clocks do not jump: what joins them later must know. */
static int add_time_namespace(const struct restore *r, pid_t pid, struct str *config, struct err *e)
{
	struct stat ours, theirs;
	struct spec copy = *r->spec;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/ns/time", pid);
	if (spec_namespace(r->spec, CLONE_NEWTIME) || stat("/proc/self/ns/time", &ours) < 0 ||
	    stat(path, &theirs) < 0 || ours.st_ino == theirs.st_ino || copy.n_namespaces == NS_MAX)
		return 0;
	copy.namespaces[copy.n_namespaces++] = (struct ns_spec){ .flag = CLONE_NEWTIME };
	spec_oci_dump(&copy, config);
	return config->failed ? err_set(e, ENOMEM, "cannot write the configuration") : 0;
}

/* All is there, and stopped: the last moment at which everything can still be taken back. */
static int on_restored(struct restore *r, pid_t pid, struct err *e)
{
	auto_str struct str config = { 0 };
	struct life_options lo = *r->lo;

	r->life->pidfd = sys_pidfd_open(pid, 0);
	if (r->life->pidfd < 0)
		return err_set(e, errno, "cannot hold on to process %d", pid);
	r->life->pid = r->apply.pid = pid;
	if (r->spec->views && work_inside(r, pid, "mnt", CLONE_NEWNS, put_views, e) < 0)
		return -1;
	if (limit_cgroup(r, e) < 0 || add_time_namespace(r, pid, &config, e) < 0)
		return -1;
	if (config.len) {
		lo.config_text = config.s;
		lo.config_len = config.len;
	}
	if (life_record(r->spec, r->plan, r->host, &lo, pid, process_start_time(pid), e) < 0)
		return -1;
	return r->o->about_to_run ? r->o->about_to_run(r->o->arg, e) : 0;
}

static int on_console(struct restore *r, int fd, struct err *e)
{
	int master = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (master < 0)
		return err_set(e, errno, "cannot keep the console");
	own_close(&r->life->console);
	r->life->console = master;
	return console_send(r->lo->console_socket, &r->life->console, e);
}

static int restore_notified(const struct criu_answer *notice, int fd, void *arg, struct err *e)
{
	struct restore *r = arg;

	if (streq(notice->script, "setup-namespaces"))
		return on_namespaces(r, notice->pid, e);
	if (streq(notice->script, "post-setup-namespaces"))
		return on_network_locked(r, e);
	if (streq(notice->script, "post-restore"))
		return on_restored(r, notice->pid, e);
	if (streq(notice->script, "orphan-pts-master") && fd >= 0)
		return on_console(r, fd, e);
	return 0;
}

static int put_streams(struct str *m, int image, struct err *e)
{
	auto_str struct str text = { 0 };
	char streams[3][STREAM_MAX];

	if (file_read(image, DESCRIPTORS_FILE, 65536, &text, e) < 0)
		return err_in(e, "not a checkpoint of runc, crun or ctr-oci");
	if (descriptors_parse(str_text(&text), text.len, streams, e) < 0)
		return -1;
	for (int fd = 0; fd < 3; fd++)
		if (*streams[fd])
			criu_put_inherit_fd(m, streams[fd], fd);
	return 0;
}

/* Namespaces of others are joined: two kinds by descriptor, under the name given at the dump, the rest by path. */
static int put_namespaces(struct str *m, const struct spec *s, int fds[NS_MAX], size_t *n_fds,
			  struct err *e)
{
	static const struct {
		unsigned flag;
		const char *name, *key;
	} known[] = {
		{ CLONE_NEWNET, "net", "extRootNetNS" },
		{ CLONE_NEWPID, "pid", "extRootPidNS" },
		{ CLONE_NEWIPC, "ipc", NULL },
		{ CLONE_NEWUTS, "uts", NULL },
		{ CLONE_NEWTIME, "time", NULL },
		{ CLONE_NEWUSER, "user", NULL },
		{ CLONE_NEWNS, "mnt", NULL },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const struct ns_spec *ns = spec_namespace(s, known[i].flag);

		if (!ns || !ns->path)
			continue;
		if (!known[i].key) {
			criu_put_pair(m, CRIU_JOIN_NS, known[i].name, ns->path);
			continue;
		}
		fds[*n_fds] = open(ns->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fds[*n_fds] < 0)
			return err_set(e, errno, "cannot open namespace '%s'", ns->path);
		criu_put_inherit_fd(m, known[i].key, CRIU_FIRST_FD + (int)(*n_fds)++);
	}
	if (spec_namespace(s, CLONE_NEWCGROUP) && spec_namespace(s, CLONE_NEWCGROUP)->path)
		return err_set(e, ERR_NOT_SUPPORTED,
			       "criu cannot join a cgroup namespace by its path");
	return 0;
}

static int put_restore(struct restore *r, struct str *m, const struct checkpoint_dirs *dirs,
		       struct err *e)
{
	const struct checkpoint_options *o = r->o;

	(void)e;
	checkpoint_put_common(m, r->spec, r->host, o, dirs, RESTORE_LOG);
	criu_put_flag(m, CRIU_EVASIVE_DEVICES, true);
	criu_put_flag(m, CRIU_RESTORE_SIBLING, true);
	criu_put_string(m, CRIU_ROOT, r->root);
	criu_put_string(m, CRIU_LSM_PROFILE, o->lsm_profile);
	criu_put_string(m, CRIU_LSM_MOUNT_CONTEXT, o->lsm_mount_context);
	if (r->own_network)
		criu_put_number(m, CRIU_EMPTY_NS, CLONE_NEWNET);
	if (o->cgroups != CRIU_CGROUPS_IGNORE && r->plan->cgroup) {
		auto_str struct str path = { 0 };

		str_addf(&path, "/%s", r->plan->cgroup);
		criu_put_pair(m, CRIU_CGROUP_ROOT, NULL, str_text(&path));
		/* its own would be in the directory of its log, which is in our mount namespace and none of its own */
		criu_put_string(m, CRIU_CGROUP_YARD, r->yard);
	}
	externals_put(&r->mounts, m);
	return 0;
}

/* The restored process is our child, CRIU's sibling: CRIU has ended by then. */
static int run_criu(struct restore *r, const char *program, const struct checkpoint_dirs *dirs,
		    struct err *e)
{
	auto_str struct str options = { 0 }, request = { 0 };
	int fds[NS_MAX] = { 0 };
	struct criu_child how = {
		.program = program,
		.cgroup = r->apply.cgroup,
		.fds = fds,
		.streams = r->lo->stdio,
		.die_with_us = true,
		.prepare = prepare,
		.arg = r,
	};
	struct criu c = { .log_dir = dirs->work, .log = RESTORE_LOG };
	struct criu_answer a;
	int result = -1, status;

	if (put_streams(&options, dirs->image, e) == 0 &&
	    put_namespaces(&options, r->spec, fds, &how.n_fds, e) == 0 &&
	    criu_start(&how, &c, e) == 0) {
		if (hear_mounts(r, c.sock, e) == 0 && put_restore(r, &options, dirs, e) == 0) {
			criu_put_request(&request, CRIU_RESTORE, &options);
			result = criu_ask(&c, &request, restore_notified, r, &a, e);
		}
		if (result < 0 && r->apply.cgroup < 0)
			(void)kill(c.pid,
				   SIGKILL); /* no journal names a place where to look for it */
		status = criu_end(&c);
		if (result == 0 && (status || r->life->pid <= 0))
			result = err_set(e, ERR_INVALID,
					 "criu failed after the restore (status %d)", status);
	}
	for (size_t i = 0; i < how.n_fds; i++)
		close(fds[i]);
	return result;
}

/*
 * "Mount point for a temporarily mounted file system" (FHS 3.0, 3.12), to which a path leads that all may go, as none does to the state; with another
 * one over it in CRIU's mount namespace only.
 */
static int choose_staging(struct restore *r, struct err *e)
{
	if (!realpath("/mnt", r->staging) || strlen(r->staging) + sizeof("/cgroups") > PATH_MAX)
		return err_set(e, errno, "cannot use '/mnt'");
	snprintf(r->root, sizeof(r->root), "%.*s/root", PATH_MAX - 8, r->staging);
	snprintf(r->mounts_dir, sizeof(r->mounts_dir), "%.*s/mounts", PATH_MAX - 8, r->staging);
	snprintf(r->yard, sizeof(r->yard), "%.*s/cgroups", PATH_MAX - 9, r->staging);
	return 0;
}

static int restore(struct restore *r, const char *program, const struct checkpoint_dirs *dirs,
		   struct err *e)
{
	const struct ns_spec *net = spec_namespace(r->spec, CLONE_NEWNET);
	const struct plan *p = r->plan;

	r->own_network = net && !net->path && (r->o->empty_network || !has_links(dirs->image));
	/* clang-format off */
	if ((p->cgroup && cgroup_check_unused(r->host, p->cgroup, e) < 0) ||
	    state_write_journal(r->lo->state, p, r->host, e) < 0 ||
	    choose_staging(r, e) < 0 ||
	    make_cgroup(r, e) < 0 ||
	    run_criu(r, program, dirs, e) < 0 ||
	    pid_file_write(r->lo->pid_file, r->life->pid, e) < 0)
		return -1;
	/* clang-format on */
	return 0;
}

int checkpoint_restore(const struct spec *s, const struct plan *p, const struct host *h,
		       const struct checkpoint_options *o, const struct life_options *lo,
		       struct life *l, struct err *e)
{
	auto_arena struct arena *a = arena_new(16u << 20);
	struct life made = { .pid = -1, .pidfd = -1, .console = -1 };
	struct restore r = { .spec = s, .plan = p, .host = h, .o = o, .lo = lo, .life = &made };
	struct checkpoint_dirs dirs = { -1, -1 };
	char program[PATH_MAX];
	int result;

	if (!a)
		return err_set(e, ENOMEM, "cannot restore");
	r.mounts.arena = a;
	if (checkpoint_check(s, h, o, e) < 0 || criu_find(program, sizeof(program), e) < 0 ||
	    checkpoint_open_dirs(o, false, &dirs, e) < 0)
		return -1;
	apply_init(&r.apply, s, p, h, lo->state->id);
	r.apply.state = lo->state;
	result = restore(&r, program, &dirs, e);
	if (result < 0)
		life_abort(lo, &made);
	else
		*l = made;
	apply_close(&r.apply);
	checkpoint_close_dirs(&dirs);
	return result;
}
