/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/criu.h"
#include "runtime/freeze.h"
#include "runtime/host.h"
#include "runtime/names.h"
#include "runtime/plan.h"
#include "runtime/spec.h"
#include "runtime/state.h"
#include "runtime/views.h"

#define DUMP_LOG      "dump.log"
#define LOG_LEVEL     4
#define EXTERNAL_FILE "file["
#define HEX	      "0123456789abcdef"
#define ANNOTATION    "org.criu.config"
#define OWN_CONFIG    "/etc/criu/ctr-oci.conf"
#define SHARED_CONFIG "/etc/criu/runc.conf"

/* ---- what both directions have in common ---- */

static int open_dir(const char *path, bool make, struct err *e)
{
	int fd;

	if (make && dir_make_all(path, 0700, e) < 0)
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_set(e, errno, "cannot open '%s'", path) : fd;
}

int checkpoint_open_dirs(const struct checkpoint_options *o, bool make, struct checkpoint_dirs *d,
			 struct err *e)
{
	d->image = open_dir(o->image_path, make, e);
	d->work = d->image;
	if (d->image < 0)
		return -1;
	if (!o->work_path)
		return 0;
	d->work = open_dir(o->work_path, true, e);
	if (d->work >= 0)
		return 0;
	close(take_fd(&d->image));
	return -1;
}

void checkpoint_close_dirs(struct checkpoint_dirs *d)
{
	if (d->work != d->image)
		own_close(&d->work);
	own_close(&d->image);
	d->work = d->image = -1;
}

int checkpoint_check(const struct spec *s, const struct host *h, const struct checkpoint_options *o,
		     struct err *e)
{
	if (h->euid != 0 || !h->initial_userns)
		return err_set(e, ERR_NOT_SUPPORTED,
			       "checkpoint and restore need root on the host");
	if (o->cgroups != CRIU_CGROUPS_IGNORE && host_v1_controllers(h))
		return err_set(
			e, ERR_NOT_SUPPORTED,
			"where controllers are bound to cgroup v1 criu would change the host's own "
			"cgroups: --manage-cgroups-mode can be 'ignore' only");
	if (!spec_namespace(s, CLONE_NEWNS))
		return err_set(e, ERR_NOT_SUPPORTED,
			       "a container without a mount namespace cannot be restored");
	return 0;
}

/* Settings of the administrator's, which CRIU reads itself; as runc and crun. */
static const char *config_file(const struct spec *s)
{
	const char *given = spec_annotation(s, ANNOTATION);

	if (given)
		return *given ? given : NULL;
	return access(OWN_CONFIG, F_OK) == 0 ? OWN_CONFIG : SHARED_CONFIG;
}

static bool is_in_path(const char *name)
{
	const char *dirs = getenv("PATH");
	char path[PATH_MAX];

	for (const char *at = dirs ? dirs : ""; *at; at += *at == ':') {
		size_t len = strcspn(at, ":");

		snprintf(path, sizeof(path), "%.*s/%s", (int)len, at, name);
		if (access(path, X_OK) == 0)
			return true;
		at += len;
	}
	return false;
}

/* CRIU's own default is iptables, which newer systems do without. */
static enum criu_lock network_lock(const struct checkpoint_options *o)
{
	if (o->network_lock == CRIU_LOCK_DEFAULT && !is_in_path("iptables-restore"))
		return CRIU_LOCK_NFTABLES;
	return o->network_lock;
}

void checkpoint_put_common(struct str *m, const struct spec *s, const struct host *h,
			   const struct checkpoint_options *o, const struct checkpoint_dirs *d,
			   const char *log)
{
	enum criu_lock lock = network_lock(o);

	(void)h;
	criu_put_number(m, CRIU_IMAGES_DIR_FD, d->image);
	criu_put_number(m, CRIU_WORK_DIR_FD, d->work);
	criu_put_number(m, CRIU_LOG_LEVEL, LOG_LEVEL);
	criu_put_string(m, CRIU_LOG_FILE, log);
	criu_put_string(m, CRIU_CONFIG_FILE, config_file(s));
	criu_put_flag(m, CRIU_NOTIFY_SCRIPTS, true);
	criu_put_flag(m, CRIU_ORPHAN_PTS_MASTER, true);
	criu_put_flag(m, CRIU_MANAGE_CGROUPS, o->cgroups != CRIU_CGROUPS_IGNORE);
	criu_put_number(m, CRIU_MANAGE_CGROUPS_MODE, o->cgroups);
	criu_put_flag(m, CRIU_SHELL_JOB, o->shell_job);
	criu_put_flag(m, CRIU_EXT_UNIX_SK, o->ext_unix_sk);
	criu_put_flag(m, CRIU_TCP_ESTABLISHED, o->tcp_established);
	criu_put_flag(m, CRIU_TCP_SKIP_IN_FLIGHT, o->tcp_skip_in_flight);
	criu_put_flag(m, CRIU_TCP_CLOSE, o->tcp_close);
	criu_put_flag(m, CRIU_FILE_LOCKS, o->file_locks);
	criu_put_flag(m, CRIU_LINK_REMAP, o->link_remap);
	criu_put_flag(m, CRIU_AUTO_DEDUP, o->auto_dedup);
	criu_put_flag(m, CRIU_LAZY_PAGES, o->lazy_pages);
	if (lock != CRIU_LOCK_DEFAULT)
		criu_put_number(m, CRIU_NETWORK_LOCK, lock);
}

/* @prefix, digits, and a bracket. */
static bool is_id(const char *text, const char *prefix, const char *digits)
{
	const char *id = str_after(text, prefix);
	size_t len = id ? strspn(id, digits) : 0;

	return len && len < STREAM_MAX - 8 && streq(id + len, "]");
}

int descriptors_parse(const char *text, size_t len, char streams[3][STREAM_MAX], struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	const struct json *v = a ? json_parse(a, text, len, e) : NULL;
	int n = 0;

	if (!a)
		return err_set(e, ENOMEM, "cannot read " DESCRIPTORS_FILE);
	if (!v)
		return err_in(e, DESCRIPTORS_FILE);
	if (v->type != JSON_ARRAY || v->count > 3)
		return err_set(e, ERR_INVALID, DESCRIPTORS_FILE " is no list of three names");
	memset(streams, 0, 3 * sizeof(streams[0]));
	for (const struct json *i = v->first; i; i = i->next, n++) {
		if (i->type != JSON_STRING)
			return err_set(e, ERR_INVALID,
				       DESCRIPTORS_FILE " is no list of three names");
		if (is_id(i->text, "pipe:[", "0123456789") ||
		    is_id(i->text, EXTERNAL_FILE, HEX ":"))
			strcpy(streams[n], i->text);
	}
	return 0;
}

/* ---- dump ---- */

struct dump {
	const struct checkpoint_options *o;
	int status_fd;
};

/* What the first process has as standard stream @fd: of a pipe the other end is outside. */
static void name_stream(pid_t pid, int fd, char *name, size_t size)
{
	char path[40];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	len = readlink(path, name, size - 1);
	name[len > 0 ? len : 0] = '\0';
}

/*
 * A FIFO is all of it outside, in a mount that the container does not have. CRIU knows such a file by the number of its mount and its own, and takes
 * at the restore what it is given instead. Which of its descriptors a shell has it in changes with each redirection. False: there is none.
 */
static bool name_fifo(int dir, int fd, char *name, size_t size)
{
	static const char *const names[] = { "stdin", "stdout", "stderr" };
	auto_fd int fifo = dir > 0 ? openat(dir, names[fd], O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
	auto_str struct str info = { 0 };
	struct err ignored;
	char path[40];
	const char *at;
	unsigned mount;
	struct stat st;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fifo);
	if (fifo < 0 || fstat(fifo, &st) < 0 || !S_ISFIFO(st.st_mode) ||
	    file_read_kernel(AT_FDCWD, path, 65536, &info, &ignored) < 0)
		return false;
	at = strstr(str_text(&info), "mnt_id:");
	if (!at || sscanf(at, "mnt_id: %u", &mount) != 1)
		return false;
	snprintf(name, size, EXTERNAL_FILE "%x:%llx]", mount, (unsigned long long)st.st_ino);
	return true;
}

static int put_streams(struct str *m, pid_t pid, const struct checkpoint_options *o, int dir,
		       struct err *e)
{
	auto_str struct str text = { 0 };
	struct json_writer w = { .out = &text };
	char name[PATH_MAX];

	json_open(&w, NULL, '[');
	for (int fd = 0; fd < 3; fd++) {
		if (name_fifo(o->fifos, fd, name, sizeof(name)))
			criu_put_string(m, CRIU_EXTERNAL, name);
		else
			name_stream(pid, fd, name, sizeof(name));
		json_put_string(&w, NULL, name);
	}
	json_close(&w);
	if (text.failed)
		return err_set(e, ENOMEM, "cannot write " DESCRIPTORS_FILE);
	return file_replace(dir, DESCRIPTORS_FILE, text.s, text.len, 0600, 0, e);
}

static int check_parent(const struct checkpoint_options *o, int image, struct err *e)
{
	auto_fd int parent = -1;

	if (!o->parent_path)
		return 0;
	if (o->parent_path[0] == '/')
		return err_set(e, ERR_INVALID, "--parent-path must be relative to the image path");
	parent = openat(image, o->parent_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return err_set(e, errno, "invalid --parent-path '%s'", o->parent_path);
	return 0;
}

/* A namespace that others share stays where it is: named by its inode, "net[4026531840]:extRootNetNS". */
static int put_shared_namespaces(struct str *m, const struct spec *s, struct err *e)
{
	static const struct {
		unsigned flag;
		const char *name, *key;
	} known[] = { { CLONE_NEWNET, "net", "extRootNetNS" },
		      { CLONE_NEWPID, "pid", "extRootPidNS" } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const struct ns_spec *ns = spec_namespace(s, known[i].flag);
		char text[64];
		struct stat st;

		if (!ns || !ns->path)
			continue;
		if (stat(ns->path, &st) < 0)
			return err_set(e, errno, "cannot stat namespace '%s'", ns->path);
		snprintf(text, sizeof(text), "%s[%llu]:%s", known[i].name,
			 (unsigned long long)st.st_ino, known[i].key);
		criu_put_string(m, CRIU_EXTERNAL, text);
	}
	return 0;
}

/*
 * Hooks and devices given to a network namespace make a network that CRIU knows nothing of: who made it once makes it
 * again at the restore.
 */
static bool network_is_made_by_others(const struct spec *s)
{
	return s->n_net_devices || s->hooks[HOOK_PRESTART].n || s->hooks[HOOK_CREATE_RUNTIME].n;
}

static int put_dump(struct str *m, const struct state *st, const struct spec *s,
		    const struct plan *p, const struct checkpoint_options *o, int image,
		    struct err *e)
{
	auto_arena struct arena *a = arena_new(16u << 20);
	struct externals mounts = { .arena = a };
	auto_str struct str path = { 0 }, server = { 0 };

	if (!a)
		return err_set(e, ENOMEM, "cannot ask criu");
	criu_put_number(m, CRIU_PID, st->pid);
	criu_put_string(m, CRIU_ROOT, s->root.path);
	criu_put_flag(m, CRIU_LEAVE_RUNNING, o->leave_running);
	if (st->cgroup) {
		str_addf(&path, "%s/%s", st->cgroup_root, st->cgroup);
		criu_put_string(m, CRIU_FREEZE_CGROUP, str_text(&path));
	}
	if (o->parent_path || o->pre_dump)
		criu_put_flag(m, CRIU_TRACK_MEMORY, true);
	criu_put_string(m, CRIU_PARENT_IMAGE, o->parent_path);
	if (o->page_server) {
		criu_put_string(&server, 1, o->page_server);
		criu_put_number(&server, 2, o->page_server_port);
		criu_put_message(m, CRIU_PAGE_SERVER, &server);
	}
	if (o->empty_network || network_is_made_by_others(s))
		criu_put_number(m, CRIU_EMPTY_NS, CLONE_NEWNET);
	if (put_shared_namespaces(m, s, e) < 0)
		return -1;
	if (o->pre_dump)
		return 0;
	for (size_t i = 0; i < p->n; i++)
		if (p->steps[i].kind == STEP_VIEW)
			criu_put_string(m, CRIU_SKIP_MOUNT, p->steps[i].view->path);
	if (externals_of(p, o->cgroups == CRIU_CGROUPS_IGNORE, st->pid, &mounts, e) < 0 ||
	    put_streams(m, st->pid, o, image, e) < 0)
		return -1;
	externals_put(&mounts, m);
	return 0;
}

static int dump_notified(const struct criu_answer *notice, int fd, void *arg, struct err *e)
{
	struct dump *d = arg;

	(void)fd;
	if (!streq(notice->script, "status-ready") || d->status_fd < 0)
		return 0;
	if (write(d->status_fd, "", 1) != 1)
		return err_set(e, errno, "cannot write to --status-fd");
	close(take_fd(&d->status_fd)); /* who reads it waits for the end */
	return 0;
}

/* CRIU leaves a container as it found it, unless it was killed: then a frozen one would stay so. */
static void thaw(const struct state *st, bool was_frozen)
{
	struct err e;

	if (!st->cgroup || was_frozen)
		return;
	if (freeze_set(st, false, &e) < 0)
		log_warn("%s", e.msg);
}

static bool is_frozen(const struct state *st)
{
	auto_str struct str text = { 0 };
	char path[PATH_MAX];
	struct err ignored;

	if (!st->cgroup)
		return false;
	snprintf(path, sizeof(path), "%s/%s/cgroup.events", st->cgroup_root, st->cgroup);
	return file_read_kernel(AT_FDCWD, path, 4096, &text, &ignored) == 0 &&
	       strstr(str_text(&text), "frozen 1");
}

static int run_dump(const struct state *st, const char *program, const struct str *request,
		    struct dump *d, int log_dir, struct err *e)
{
	/* were it to die with us the container would be left with half of CRIU's work in it */
	struct criu_child how = {
		.program = program, .cgroup = -1, .fds = &d->o->held, .n_fds = d->o->held > 0
	};
	struct criu c = { .log_dir = log_dir, .log = DUMP_LOG };
	struct criu_answer a;
	bool was_frozen = is_frozen(st);
	int r, status;

	if (criu_start(&how, &c, e) < 0)
		return -1;
	r = criu_ask(&c, request, dump_notified, d, &a, e);
	status = criu_end(&c); /* after a pre-dump it waits for the next one and is disappointed */
	if (r == 0 && status && !d->o->pre_dump)
		r = err_set(e, ERR_INVALID, "criu failed after the dump (status %d)", status);
	if (r < 0 || (d->o->leave_running && !was_frozen))
		thaw(st, was_frozen);
	return r;
}

int checkpoint_dump(const struct state *st, const struct spec *s, const struct plan *p,
		    const struct host *h, const struct checkpoint_options *o, struct err *e)
{
	auto_str struct str options = { 0 }, request = { 0 };
	struct checkpoint_dirs dirs = { -1, -1 };
	struct dump d = { .o = o, .status_fd = o->status_fd };
	char program[PATH_MAX];
	int r = -1;

	if (checkpoint_check(s, h, o, e) < 0 || criu_find(program, sizeof(program), e) < 0)
		return -1;
	if (o->status_fd >= 0 && (fcntl(o->status_fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return err_set(e, ERR_INVALID, "--status-fd %d cannot be written to", o->status_fd);
	if (checkpoint_open_dirs(o, true, &dirs, e) < 0)
		return -1;
	if (check_parent(o, dirs.image, e) < 0 ||
	    ((o->pre_dump || o->parent_path || o->lazy_pages) &&
	     criu_check_features(program, o->pre_dump || o->parent_path, o->lazy_pages, e) < 0))
		goto out;
	checkpoint_put_common(&options, s, h, o, &dirs, DUMP_LOG);
	if (put_dump(&options, st, s, p, o, dirs.image, e) < 0)
		goto out;
	criu_put_request(&request, o->pre_dump ? CRIU_PRE_DUMP : CRIU_DUMP, &options);
	r = run_dump(st, program, &request, &d, dirs.work, e);
out:
	checkpoint_close_dirs(&dirs);
	return r;
}
