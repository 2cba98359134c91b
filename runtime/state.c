/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/state.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/apply.h"
#include "netns/netns.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/host.h"
#include "runtime/plan.h"
#include "runtime/resctrl.h"
#include "runtime/scope.h"

#define JOURNAL		 "journal"
#define JOURNAL_SIZE_MAX (16u << 20) /* a line for each published port, twice */
#define STATE		 "state.json"
#define CONFIG		 "config.json"
#define SOCKET		 "start.sock"
#define PROMISES	 ".open"

const char *status_name(enum status s)
{
	static const char *const names[] = { "creating", "created", "running", "paused",
					     "stopped" };

	return names[s];
}

int state_check_id(const char *id, struct err *e)
{
	size_t len = strlen(id);

	if (len == 0 || len > 255)
		return err_set(e, ERR_INVALID,
			       "a container ID has 1 to 255 characters, '%.32s' has %zu", id, len);
	for (const char *c = id; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_+-.", *c))
			return err_set(e, ERR_INVALID,
				       "invalid character '%c' in container ID '%s'",
				       isprint((unsigned char)*c) ? *c : '?', id);
	if (id[0] == '.') /* ".", "..", and our own directories */
		return err_set(e, ERR_INVALID, "invalid container ID '%s': it begins with '.'", id);
	return 0;
}

int state_open_root(const char *path, struct err *e)
{
	int fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		if (dir_make_all(path, 0755, e) < 0)
			return -1;
		if (chmod(path, 0700) < 0)
			return err_set(e, errno, "cannot protect '%s'", path);
		fd = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return fd < 0 ? err_set(e, errno, "cannot open '%s'", path) : fd;
}

static void dir_init(struct state_dir *d, int root, const char *id)
{
	*d = (struct state_dir){ .root = -1, .dir = -1, .open = -1 };
	d->root = root;
	snprintf(d->id, sizeof(d->id), "%s", id);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A promise of ours that may be anybody's: the lock tells. @wait: for the lock of one who is alive. */
static int promise_lock(int fd, bool wait)
{
	int r;

	do {
		r = flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB));
	} while (r < 0 && errno == EINTR);
	return r;
}

/* Whether the promise that @fd is still stands in .open: it may have been kept between our open and our lock. */
static bool promise_stands(int root, const char *path, int fd)
{
	struct stat held, named;

	return fstat(fd, &held) == 0 && fstatat(root, path, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_ino == named.st_ino;
}

/*
 * Makes and locks <root>/.open/<id>. It may be locked by someone who undoes what is broken and saw it before we
 * locked it: that takes a moment, as long as there is nothing to undo.
 */
static int promise_make(struct state_dir *d, struct err *e)
{
	char path[300];
	struct stat st;

	snprintf(path, sizeof(path), PROMISES "/%s", d->id);
	for (int tries = 0;;) {
		int fd = openat(d->root, path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
		bool locked;

		if (fd < 0 && errno == ENOENT) {
			if (mkdirat(d->root, PROMISES, 0700) < 0 && errno != EEXIST)
				return err_set(e, errno, "cannot make the directory of promises");
			continue;
		}
		if (fd < 0)
			return err_set(e, errno, "cannot make '%s'", path);
		locked = promise_lock(fd, false) == 0;
		if (locked && promise_stands(d->root, path, fd)) {
			d->open = fd;
			return 0;
		}
		if (!locked && errno != EWOULDBLOCK) {
			err_set(e, errno, "cannot lock '%s'", path);
			close(fd);
			return -1;
		}
		close(fd);
		if (locked)
			continue; /* kept just before we locked it */
		if (++tries > 200 || fstatat(d->root, d->id, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return err_set(e, ERR_EXISTS, "container with id '%s' already exists",
				       d->id);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

/* Says which directory the promise is about. */
static int promise_name(struct state_dir *d, struct err *e)
{
	char text[24];
	struct stat st;
	int len;

	if (fstat(d->dir, &st) < 0)
		return err_set(e, errno, "cannot open the state of '%s'", d->id);
	len = snprintf(text, sizeof(text), "%" PRIu64 "\n", (uint64_t)st.st_ino);
	if (pwrite(d->open, text, (size_t)len, 0) != len)
		return err_set(e, errno, "cannot write the promise of '%s'", d->id);
	return 0;
}

/* One that names nothing comes from before anything was done, and then there is nothing to undo. */
static bool promise_names(const struct state_dir *d)
{
	char text[24] = "";
	struct stat st;
	uint64_t inode;

	if (pread(d->open, text, sizeof(text) - 1, 0) <= 0)
		return faccessat(d->dir, JOURNAL, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
	text[strcspn(text, "\n")] = '\0';
	return parse_u64(text, 0, UINT64_MAX, &inode) == 0 && fstat(d->dir, &st) == 0 &&
	       st.st_ino == inode;
}

static void promise_keep(struct state_dir *d)
{
	char path[300];

	if (d->open < 0)
		return;
	snprintf(path, sizeof(path), PROMISES "/%s", d->id);
	(void)unlinkat(d->root, path, 0); /* gone already if the whole root was removed */
	close_fd(&d->open);
}

static int lock_dir(int dir)
{
	int r;

	do {
		r = flock(dir, LOCK_EX);
	} while (r < 0 && errno == EINTR);
	return r;
}

/*
 * Whether the directory still has its name: it may have been deleted while we waited for its lock. 1, 0, or
 * -1 with errno.
 */
static int is_named(const struct state_dir *d)
{
	struct stat held, named;

	if (fstat(d->dir, &held) < 0)
		return -1;
	if (fstatat(d->root, d->id, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -1;
	return held.st_ino == named.st_ino;
}

int state_create(int root, const char *id, struct state_dir *d, struct err *e)
{
	bool recovered = false;

	if (state_check_id(id, e) < 0)
		return -1;
	dir_init(d, root, id);
	if (promise_make(d, e) < 0)
		return -1;
	while (mkdirat(root, id, 0700) < 0) {
		struct stat st;
		char path[300];

		snprintf(path, sizeof(path), "%s/" STATE, id);
		/* the promise is ours, so nobody is making it: half made is left behind, whole is in use */
		if (errno != EEXIST) {
			err_set(e, errno, "cannot make the state of '%s'", id);
		} else if (recovered || fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			err_set(e, ERR_EXISTS, "container with id '%s' already exists", id);
		} else {
			d->dir = openat(root, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
			if (d->dir >= 0 && lock_dir(d->dir) == 0 && state_undo(d, e) == 0) {
				recovered = true;
				dir_init(d, root, id);
				if (promise_make(d, e) == 0)
					continue;
			} else if (d->dir < 0) {
				err_set(e, errno, "cannot open the state of '%s'", id);
			}
		}
		promise_keep(d);
		state_forget(d);
		return -1;
	}
	d->dir = openat(root, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (d->dir < 0 || lock_dir(d->dir) < 0)
		err_set(e, errno, "cannot open the state of '%s'", id);
	else if (promise_name(d, e) == 0)
		return 0;
	(void)unlinkat(root, id, AT_REMOVEDIR); /* left behind, it is found to be empty */
	state_close(d);
	return -1;
}

static int recover_one(int root, const char *id, struct err *e);

int state_lock(struct state_dir *d, struct err *e)
{
	int named = lock_dir(d->dir) < 0 ? -1 : is_named(d);

	if (named > 0)
		return 0;
	return named < 0 ? err_set(e, errno, "cannot open the state of '%s'", d->id) :
			   err_set(e, ERR_NO_SUCH, "container '%s' does not exist", d->id);
}

int state_open(int root, const char *id, struct state_dir *d, struct err *e)
{
	if (state_look(root, id, d, e) < 0)
		return -1;
	if (state_lock(d, e) == 0)
		return 0;
	close_fd(&d->dir);
	return -1;
}

int state_look(int root, const char *id, struct state_dir *d, struct err *e)
{
	if (state_check_id(id, e) < 0)
		return -1;
	dir_init(d, root, id);
	if (recover_one(root, id, e) < 0)
		return -1;
	d->dir = openat(root, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (d->dir >= 0)
		return 0;
	return errno == ENOENT ? err_set(e, ERR_NO_SUCH, "container '%s' does not exist", id) :
				 err_set(e, errno, "cannot open the state of '%s'", id);
}

void state_close(struct state_dir *d)
{
	promise_keep(d);
	if (d->dir >= 0)
		state_unlock(
			d); /* at once, although a child may still hold a copy of the descriptor */
	close_fd(&d->dir);
}

void state_forget(struct state_dir *d)
{
	close_fd(&d->open);
	close_fd(&d->dir);
}

void state_unlock(struct state_dir *d)
{
	int fd;

	if (flock(d->dir, LOCK_UN) == 0)
		return;
	/* the kernel may need memory even for that: a lock also goes with its descriptor */
	fd = openat(d->root, d->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		close(d->dir);
		d->dir = fd;
	}
}

static int write_file(struct state_dir *d, const char *name, const char *text, size_t len,
		      struct err *e)
{
	auto_fd int fd =
		openat(d->dir, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_set(e, errno, "cannot make '%s' of the state", name);
	if (file_write_all(fd, text, len) < 0)
		return err_set(e, errno, "cannot write '%s' of the state", name);
	return 0;
}

/* One line an effect: "cgroup LEVELS PATH", those of nic_journal(), "resctrl PATH"; the first line is where cgroup2 was mounted. */
int state_write_journal(struct state_dir *d, const struct plan *p, const struct host *h,
			struct err *e)
{
	auto_str struct str text = { 0 };

	str_addf(&text, "root %s\n", h->cgroup);
	for (size_t i = 0; i < p->n; i++)
		if (p->steps[i].kind == STEP_CGROUP_MAKE)
			str_addf(&text, "cgroup %u %s\n", p->cgroup_levels,
				 p->steps[i].cgroup.path);
	for (size_t i = 0; i < p->n; i++)
		if (p->steps[i].kind == STEP_NIC)
			nic_journal(p->steps[i].nic, &text);
	if (text.failed)
		return err_set(e, ENOMEM, "cannot write the journal");
	return write_file(d, JOURNAL, text.s, text.len, e);
}

int state_add_journal(struct state_dir *d, const char *text, size_t len, struct err *e)
{
	auto_fd int fd = openat(d->dir, JOURNAL, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		return err_set(e, errno, "cannot write the journal");
	return 0;
}

int state_write_config(struct state_dir *d, const char *text, size_t len, struct err *e)
{
	return write_file(d, CONFIG, text, len, e);
}

int state_write(struct state_dir *d, const struct state *s, struct err *e)
{
	auto_str struct str text = { 0 };
	struct json_writer w = { .out = &text };

	json_open(&w, NULL, '{');
	json_put_string(&w, "ociVersion", s->oci_version);
	json_put_string(&w, "id", s->id);
	json_put_i64(&w, "pid", s->pid);
	json_put_u64(&w, "pidStart", s->pid_start);
	json_put_string(&w, "bundle", s->bundle);
	json_put_string(&w, "rootfs", s->rootfs);
	json_put_string(&w, "cgroup", s->cgroup);
	json_put_string(&w, "cgroupRoot", s->cgroup_root);
	json_put_i64(&w, "created", s->created_ns);
	json_put_u64(&w, "owner", s->owner);
	if (s->shares_pids)
		json_put_bool(&w, "sharesPids", true);
	json_close(&w);
	if (text.failed)
		return err_set(e, ENOMEM, "cannot write the state");
	return file_replace(d->dir, STATE, text.s, text.len, 0600, 0, e);
}

int state_parse(const char *text, size_t len, const char *id, struct arena *a, struct state *s,
		struct err *e)
{
	const struct json *v = json_parse(a, text, len, e);
	uint64_t owner = 0;
	int64_t pid = 0;

	memset(s, 0, sizeof(*s));
	if (!v)
		return err_in(e, "state of '%s'", id);
	if (json_string(json_get(v, "id"), &s->id, e) < 0 ||
	    json_string(json_get(v, "ociVersion"), &s->oci_version, e) < 0 ||
	    json_i64(json_get(v, "pid"), 0, INT_MAX, &pid, e) < 0 ||
	    json_u64(json_get(v, "pidStart"), 0, UINT64_MAX, &s->pid_start, e) < 0 ||
	    json_string(json_get(v, "bundle"), &s->bundle, e) < 0 ||
	    json_string(json_get(v, "rootfs"), &s->rootfs, e) < 0 ||
	    json_string(json_get(v, "cgroup"), &s->cgroup, e) < 0 ||
	    json_string(json_get(v, "cgroupRoot"), &s->cgroup_root, e) < 0 ||
	    json_i64(json_get(v, "created"), 0, INT64_MAX, &s->created_ns, e) < 0 ||
	    json_u64(json_get(v, "owner"), 0, UINT32_MAX, &owner, e) < 0 ||
	    json_bool(json_get(v, "sharesPids"), &s->shares_pids, e) < 0)
		return err_in(e, "state of '%s'", id);
	if (!s->id || strcmp(s->id, id) != 0)
		return err_set(e, ERR_INVALID, "state of '%s': it is another's", id);
	s->pid = (pid_t)pid;
	s->owner = (uint32_t)owner;
	return 0;
}

int state_read(struct state_dir *d, struct arena *a, struct state *s, struct err *e)
{
	auto_str struct str text = { 0 };

	if (file_read(d->dir, STATE, 1u << 20, &text, e) == 0)
		return state_parse(str_text(&text), text.len, d->id, a, s, e);
	if (e->code != ENOENT)
		return -1;
	return err_set(e, ERR_STATE,
		       "container '%s' is half made: its creation was interrupted (delete --force "
		       "removes it)",
		       d->id);
}

int state_read_config(struct state_dir *d, struct str *out, struct err *e)
{
	return file_read(d->dir, CONFIG, JSON_MAX_SIZE, out, e);
}

/*
 * Fields 3, 22 and 33 (proc(5)); the name in field 2 may hold blanks and parentheses. In the first tick of a time namespace that begins at 0, as
 * an instance has it, processes start at 0 as well, which is no time for us: those of the second tick are as good.
 */
int process_stat_parse(const char *text, struct process_stat *p)
{
	const char *after = strrchr(text, ')');

	if (after && sscanf(after,
			    ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			    "%*s %*s %" SCNu64 " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu32,
			    &p->state, &p->start, &p->ignored) == 3) {
		if (!p->start)
			p->start = 1;
		return 0;
	}
	errno = EIO;
	return -1;
}

static int cannot_look(pid_t pid, struct err *e)
{
	return err_set(e, errno, "cannot look at process %d", pid);
}

int process_look(pid_t pid, struct process_stat *p, struct err *e)
{
	char path[40], text[1024];
	auto_fd int fd = -1;
	ssize_t n;

	*p = (struct process_stat){ 0 };
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	/* ESRCH: it ended while its directory was looked into (proc_pid_permission() of the kernel) */
	if (fd < 0)
		return errno == ENOENT || errno == ESRCH ? 0 : cannot_look(pid, e);
	do {
		n = read(fd, text, sizeof(text) - 1);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ESRCH ? 0 : cannot_look(pid, e);
	text[n] = '\0';
	return process_stat_parse(text, p) < 0 ? cannot_look(pid, e) : 0;
}

uint64_t process_start_time(pid_t pid)
{
	struct process_stat p;
	struct err ignored;

	return process_look(pid, &p, &ignored) < 0 ? 0 : p.start;
}

/* Of a process that lives. */
static int freezer_status(const struct state *s, struct err *e)
{
	auto_str struct str text = { 0 };
	char path[PATH_MAX];

	if (!s->cgroup || !s->cgroup_root)
		return STATUS_RUNNING;
	snprintf(path, sizeof(path), "%s/%s/cgroup.events", s->cgroup_root, s->cgroup);
	if (file_read_kernel(AT_FDCWD, path, 4096, &text, e) < 0)
		return e->code == ENOENT || e->code == ENODEV ? STATUS_RUNNING :
								-1; /* no such cgroup */
	return strstr(str_text(&text), "frozen 1") ? STATUS_PAUSED : STATUS_RUNNING;
}

int state_status(struct state_dir *d, const struct state *s, int *pidfd, struct err *e)
{
	auto_fd int fd = -1;
	struct process_stat p;
	int status;

	if (pidfd)
		*pidfd = -1;
	if (!s->pid)
		return STATUS_STOPPED;
	/* the descriptor first: after it the number cannot be given to another process unnoticed */
	if (pidfd) {
		fd = sys_pidfd_open(s->pid, 0);
		if (fd < 0 && errno != ESRCH)
			return err_set(e, errno, "cannot hold on to process %d", s->pid);
	}
	if (process_look(s->pid, &p, e) < 0)
		return -1;
	if (p.start != s->pid_start || p.state == 'Z' || p.state == 'X' || (pidfd && fd < 0))
		return STATUS_STOPPED;
	if (faccessat(d->dir, SOCKET, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		status = STATUS_CREATED;
	else if (errno != ENOENT)
		return err_set(e, errno, "cannot look at the state of '%s'", d->id);
	else
		status = freezer_status(s, e);
	if (status >= 0 && pidfd)
		*pidfd = take_fd(&fd);
	return status;
}

/* A path of ours below the cgroup root: no component of it leads upwards. */
static bool leads_upwards(const char *path)
{
	for (size_t len; *path; path += len + (path[len] == '/')) {
		len = strcspn(path, "/");
		if (len == 2 && path[0] == '.' && path[1] == '.')
			return true;
	}
	return false;
}

int journal_parse(char *text, struct journal *j, struct err *e)
{
	char *line, *rest = text;

	*j = (struct journal){ .cgroup_root = "" };
	/* a last line without its end was being written, and so never acted upon */
	while ((line = strsep(&rest, "\n")) && rest) {
		struct journal_cgroup *c = &j->cgroups[j->n];
		const char *group;
		int at = 0;

		if (str_after(line, "nft ") || str_after(line, "neigh ") ||
		    str_after(line, "link ") || str_after(line, "table ")) /* netns/netns.h */
			continue;
		group = str_after(line, "resctrl ");
		if (group && *group != '/' && !leads_upwards(group) && j->n_groups < JOURNAL_MAX) {
			j->groups[j->n_groups++] = group;
			continue;
		}
		if (str_after(line, "root ")) {
			if (j->n || *j->cgroup_root) /* it is the first line, and the only one */
				return err_set(e, ERR_INVALID,
					       "the journal's line '%s' makes no sense", line);
			j->cgroup_root = line + strlen("root ");
			continue;
		}
		if (j->n == JOURNAL_MAX || sscanf(line, "cgroup %u %n", &c->levels, &at) != 1 ||
		    !at || !line[at] || !*j->cgroup_root || c->levels < 1 || c->levels > 64 ||
		    line[at] == '/' || leads_upwards(line + at))
			return err_set(e, ERR_INVALID, "the journal's line '%s' makes no sense",
				       line);
		c->path = line + at;
		j->n++;
	}
	return 0;
}

static int undo_journal(struct state_dir *d, struct err *e)
{
	auto_str struct str text = { 0 };
	struct err first = { 0 }, other;
	struct journal j;

	if (file_read(d->dir, JOURNAL, JOURNAL_SIZE_MAX, &text, e) < 0)
		return e->code == ENOENT ? 0 : -1; /* nothing was done before it was written */
	if (!text.len)
		return 0;
	if (nic_undo(text.s, &other) < 0)
		first = other;
	if (journal_parse(text.s, &j, e) < 0)
		return -1;
	while (j.n) {
		struct journal_cgroup *c = &j.cgroups[--j.n];

		scope_end(j.cgroup_root, c->path);
		if (cgroup_remove(j.cgroup_root, c->path, c->levels, &other) < 0 && !first.code)
			first = other;
	}
	/* nobody is in them any more */
	while (j.n_groups)
		if (resctrl_remove(j.groups[--j.n_groups], &other) < 0 && !first.code)
			first = other;
	if (first.code) {
		*e = first;
		return -1;
	}
	return 0;
}

int state_undo(struct state_dir *d, struct err *e)
{
	static const char *const files[] = { STATE, CONFIG, JOURNAL };

	if (undo_journal(d, e) < 0)
		return err_in(e, "cannot clean up '%s'", d->id);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		(void)unlinkat(d->dir, files[i], 0);
	/* what remains: the socket of a container that was never started, or what could not be removed just now */
	if (unlinkat(d->root, d->id, AT_REMOVEDIR) < 0 && errno != ENOENT) {
		if (errno != ENOTEMPTY || tree_remove(d->root, d->id, e) < 0)
			return err_set(e, errno, "cannot remove the state of '%s'", d->id);
	}
	state_close(d);
	return 0;
}

/* Undoes the container of one broken promise. 1 if it was one, 0 if not. */
static int recover_one(int root, const char *id, struct err *e)
{
	struct state_dir d;
	char path[300];
	int fd;

	dir_init(&d, root, id);
	snprintf(path, sizeof(path), PROMISES "/%s", id);
	fd = openat(root, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || promise_lock(fd, false) < 0 || !promise_stands(root, path, fd)) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	d.open = fd;
	d.dir = openat(root, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (d.dir >= 0 && promise_names(&d) && lock_dir(d.dir) == 0) {
		if (state_undo(&d, e) < 0) {
			state_forget(&d);
			return -1;
		}
		return 1;
	}
	state_close(&d);
	return 1;
}

int state_recover(int root, struct err *e)
{
	struct err first = { 0 }, other;
	auto_fd int fd = openat(root, PROMISES, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	auto_dir DIR *list = fd < 0 || dir_is_empty(fd) ? NULL : dir_list(fd);
	struct dirent *ent;
	int n = 0;

	while (list && (ent = readdir(list))) {
		int r = ent->d_name[0] == '.' ? 0 : recover_one(root, ent->d_name, &other);

		if (r > 0)
			n++;
		else if (r < 0 && !first.code)
			first = other;
	}
	if (first.code) {
		*e = first;
		return -1;
	}
	return n;
}

int state_each(int root, int (*each)(const char *id, void *arg), void *arg, struct err *e)
{
	auto_dir DIR *list = dir_list(root);
	struct dirent *ent;
	int r = 0;

	if (!list)
		return err_set(e, errno, "cannot list the containers");
	while (r == 0 && (ent = readdir(list)))
		if (ent->d_name[0] != '.')
			r = each(ent->d_name, arg);
	return r;
}
