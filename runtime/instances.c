/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/instances.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/disk.h"
#include "runtime/disk_file.h"
#include "runtime/events.h"
#include "runtime/idrange.h"
#include "runtime/state.h"

#define TMP	     ".tmp"
#define TMP_NAME_MAX 96
#define EXIT_MAX     4096

/* ---- the roots ---- */

static int open_dir(int dir, const char *name, mode_t mode, struct err *e)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(dir, name, mode) < 0 && errno != EEXIST)
			return err_set(e, errno, "cannot make directory '%s'", name);
		fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0)
		return err_set(e, errno, "cannot open directory '%s'", name);
	return fd;
}

static int set_path(char *out, size_t size, const char *dir, const char *name, struct err *e)
{
	if (snprintf(out, size, "%s%s%s", dir, *name ? "/" : "", name) >= (int)size)
		return err_set(e, ENAMETOOLONG, "'%.64s...'", dir);
	return 0;
}

static int open_instances_dir(struct instances *s, const char *data, struct err *e)
{
	s->dir = openat(AT_FDCWD, s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0 && errno != ENOENT)
		return err_set(e, errno, "cannot open '%s'", s->path);
	if (s->dir < 0 && disk_file_attach(data, e) < 0)
		return -1;
	if (s->dir < 0)
		s->dir = open_dir(AT_FDCWD, s->path, 0700, e);
	s->tmp = s->dir < 0 ? -1 : open_dir(s->dir, TMP, 0700, e);
	return s->tmp < 0 ? -1 : 0;
}

int instances_reopen(struct instances *s, struct err *e)
{
	auto_str struct str data = { 0 };

	own_close(&s->dir);
	own_close(&s->tmp);
	s->dir = s->tmp = -1;
	str_add_n(&data, s->path, (size_t)instances_data_len(s));
	return data.failed ? err_set(e, ENOMEM, "instances") : open_instances_dir(s, data.s, e);
}

int instances_open(const char *data, const char *run, struct instances *s, struct err *e)
{
	auto_instances struct instances got = INSTANCES_NONE;
	char states[sizeof(got.run_path) + 8];

	if (!run)
		run = getenv("CTR_RUN");
	if (!run || !*run)
		run = RUN_ROOT_DEFAULT;
	if (*data != '/' || *run != '/')
		return err_set(e, ERR_INVALID, "'%.200s' is not an absolute path",
			       *data != '/' ? data : run);
	if (set_path(got.path, sizeof(got.path), data, "instances", e) < 0 ||
	    set_path(got.run_path, sizeof(got.run_path), run, "", e) < 0 ||
	    set_path(states, sizeof(states), run, "state", e) < 0 ||
	    dir_make_all(data, 0700, e) < 0 || dir_make_all(run, 0700, e) < 0)
		return -1;
	if (open_instances_dir(&got, data, e) < 0)
		return -1;
	got.run = open_dir(AT_FDCWD, run, 0700, e);
	got.states = got.run < 0 ? -1 : state_open_root(states, e);
	if (got.states < 0)
		return -1;
	*s = got;
	got = (struct instances)INSTANCES_NONE;
	return 0;
}

void instances_close(struct instances *s)
{
	own_close(&s->dir);
	own_close(&s->tmp);
	own_close(&s->run);
	own_close(&s->states);
	s->dir = s->tmp = s->run = s->states = -1;
}

/* ---- lists ---- */

struct names {
	char **v;
	size_t n, size;
};

static void names_free(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
}
#define auto_names __attribute__((cleanup(names_free)))

static int names_add(struct names *l, const char *name)
{
	char *copy = strdup(name);

	if (copy && l->n == l->size) {
		size_t size = l->size ? 2 * l->size : 64;
		char **v = realloc(l->v, size * sizeof(*v));

		if (!v) {
			free(copy);
			return -1;
		}
		l->v = v;
		l->size = size;
	}
	if (!copy)
		return -1;
	l->v[l->n++] = copy;
	return 0;
}

/* All entries of a directory but "." and ".."; with @hidden unset, without dot files. */
static int list_dir(int dir, bool hidden, struct names *l, struct err *e)
{
	bool empty = lseek(dir, 0, SEEK_SET) == 0 && dir_is_empty(dir);
	auto_dir DIR *d = empty ? NULL : dir_list(dir);
	struct dirent *ent;

	if (empty)
		return 0;
	if (!d)
		return err_set(e, errno, "cannot list the instances");
	while ((errno = 0, ent = readdir(d))) {
		const char *n = ent->d_name;

		if (streq(n, ".") || streq(n, "..") || (*n == '.' && !hidden))
			continue;
		if (names_add(l, n) < 0)
			return err_set(e, ENOMEM, "cannot list the instances");
	}
	if (errno)
		return err_set(e, errno, "cannot list the instances");
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool exists(const struct instances *s, const char *name)
{
	char config[INSTANCE_NAME_MAX + 16];

	snprintf(config, sizeof(config), "%.63s/config.json", name);
	return faccessat(s->dir, config, F_OK, 0) == 0;
}

/* ERR_NO_SUCH for @name, with the nearest that exists. */
static int no_such(const struct instances *s, const char *name, struct err *e)
{
	auto_names struct names all = { 0 };
	const char *near = NULL;
	struct err ignored;

	if (list_dir(s->dir, false, &all, &ignored) == 0 && names_add(&all, "") == 0) {
		free(all.v[--all.n]); /* the place after the last is there now, for the NULL */
		all.v[all.n] = NULL;
		near = str_nearest(name, (const char *const *)all.v);
	}
	return err_set(e, ERR_NO_SUCH, "there is no instance '%s'%s%s%s", name,
		       near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool is_pattern(const char *s)
{
	return s[strcspn(s, "*?[")] != '\0';
}

/* Vector and strings in one piece of memory. */
static char **pack(const struct names *l, struct err *e)
{
	size_t bytes = (l->n + 1) * sizeof(char *);
	char **v, *at;

	for (size_t i = 0; i < l->n; i++)
		bytes += strlen(l->v[i]) + 1;
	v = malloc(bytes);
	if (!v) {
		err_set(e, ENOMEM, "cannot list the instances");
		return NULL;
	}
	at = (char *)(v + l->n + 1);
	for (size_t i = 0; i < l->n; i++) {
		v[i] = at;
		at = stpcpy(at, l->v[i]) + 1;
	}
	v[l->n] = NULL;
	return v;
}

int instances_match(const struct instances *s, const char *const *patterns, char ***names,
		    size_t *n, struct err *e)
{
	auto_names struct names all = { 0 }, hits = { 0 };
	bool listed = false;

	for (const char *const *p = patterns; !p || *p || p == patterns; p++) {
		const char *pattern = p && *p ? *p : "*";

		if (!is_pattern(pattern)) {
			if (instance_check_name(pattern, e) < 0)
				return -1;
			if (!exists(s, pattern))
				return no_such(s, pattern, e);
			if (names_add(&hits, pattern) < 0)
				return err_set(e, ENOMEM, "cannot list the instances");
			continue;
		}
		if (!listed && list_dir(s->dir, false, &all, e) < 0)
			return -1;
		listed = true;
		for (size_t i = 0; i < all.n; i++)
			if (fnmatch(pattern, all.v[i], 0) == 0 && exists(s, all.v[i]) &&
			    names_add(&hits, all.v[i]) < 0)
				return err_set(e, ENOMEM, "cannot list the instances");
		if (!p || !*p)
			break;
	}
	if (hits.n) {
		size_t kept = 1;

		qsort(hits.v, hits.n, sizeof(*hits.v), by_name);
		for (size_t i = 1; i < hits.n; i++) {
			if (streq(hits.v[i], hits.v[kept - 1]))
				free(hits.v[i]);
			else
				hits.v[kept++] = hits.v[i];
		}
		hits.n = kept;
	}
	*names = pack(&hits, e);
	if (!*names)
		return -1;
	*n = hits.n;
	return 0;
}

/* ---- ids ---- */

/* "new-1073741824-9f3c...": the number, or 0. */
static uint64_t ids_of_entry(const char *entry)
{
	const char *text = str_after(entry, "new-");
	char digits[16];
	uint64_t v = 0;
	size_t len;

	if (!text)
		text = str_after(entry, "del-");
	len = text ? strspn(text, "0123456789") : 0;
	if (!len || len >= sizeof(digits))
		return 0;
	memcpy(digits, text, len);
	digits[len] = '\0';
	return parse_u64(digits, 1, UINT32_MAX, &v) == 0 ? v : 0;
}

static int mark_entries(const struct instances *s, struct idranges *r, struct err *e)
{
	auto_names struct names l = { 0 };

	if (list_dir(s->tmp, true, &l, e) < 0)
		return -1;
	for (size_t i = 0; i < l.n; i++)
		if (ids_of_entry(l.v[i]))
			idrange_mark(r, (uint32_t)ids_of_entry(l.v[i]));
	return 0;
}

static int load_at(int dir, const char *path, struct instance **i, struct err *e)
{
	auto_str struct str text = { 0 };

	if (file_read(dir, path, INSTANCE_CONFIG_MAX, &text, e) < 0)
		return -1;
	*i = instance_parse(str_text(&text), text.len, e);
	return *i ? 0 : -1;
}

/*
 * What every directory owns. Half-made ones become instances and instances become half-removed ones
 * meanwhile: looked at in this order, each is seen at least once.
 */
static int mark_all(struct idranges *r, void *arg, struct err *e)
{
	const struct instances *s = arg;
	auto_names struct names l = { 0 };

	if (mark_entries(s, r, e) < 0 || list_dir(s->dir, false, &l, e) < 0)
		return -1;
	for (size_t k = 0; k < l.n; k++) {
		auto_instance struct instance *i = NULL;
		char path[NAME_MAX + 16];
		struct err why;

		snprintf(path, sizeof(path), "%.255s/config.json", l.v[k]);
		if (load_at(s->dir, path, &i, &why) < 0) {
			/* It cannot be started either. */
			if (why.code != ENOENT)
				log_warn("instance '%s': %s", l.v[k], why.msg);
			continue;
		}
		if (i->ids)
			idrange_mark(r, (uint32_t)i->ids);
	}
	return mark_entries(s, r, e);
}

static int open_ranges(const struct instances *s, struct idranges *r, struct err *e)
{
	return idrange_open(s->run, mark_all, (void *)(uintptr_t)s, r, e);
}

int instances_block(const struct instances *s, size_t n, const char *entry, struct idranges *r,
		    struct err *e)
{
	auto_names struct names made = { 0 };
	auto_free char **names = NULL;
	size_t there;

	if (open_ranges(s, r, e) < 0)
		return -1;
	if (list_dir(s->tmp, true, &made, e) == 0 &&
	    instances_match(s, NULL, &names, &there, e) == 0) {
		if (there == n && made.n == 1 && streq(*made.v, entry))
			return 0;
		err_set(e, EBUSY, "instances are being made or removed");
	}
	close(r->fd); /* invalid as it is: the next one learns the truth again */
	return -1;
}

/* ---- entries of .tmp ---- */

static int random_hex(char *out, size_t digits, struct err *e)
{
	unsigned char r[32];

	if (getrandom(r, digits / 2, 0) != (ssize_t)(digits / 2))
		return err_set(e, errno, "cannot get random numbers");
	for (size_t i = 0; i < digits / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", r[i]);
	return 0;
}

static int entry_name(const char *kind, uint64_t ids, char out[TMP_NAME_MAX], struct err *e)
{
	char hex[17];

	if (random_hex(hex, 16, e) < 0)
		return -1;
	snprintf(out, TMP_NAME_MAX, "%s-%llu-%s", kind, (unsigned long long)ids, hex);
	return 0;
}

/* The entry of that name is still what @fd has open. */
static bool same_entry(int dir, const char *name, int fd)
{
	struct stat a, b;

	return fstatat(dir, name, &a, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &b) == 0 &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* Removes what the directory @fd holds, of whatever kind. */
static int empty_dir(int fd, struct err *e)
{
	auto_names struct names l = { 0 };

	if (list_dir(fd, true, &l, e) < 0)
		return -1;
	for (size_t i = 0; i < l.n; i++)
		if (tree_remove(fd, l.v[i], e) < 0)
			return -1;
	return 0;
}

/* Removes the entry (@fd is it, locked), and gives its ids back in the same instant. */
static int remove_entry(const struct instances *s, const char *entry, int fd, struct err *e)
{
	uint64_t ids = ids_of_entry(entry);
	struct idranges r;

	if (empty_dir(fd, e) < 0)
		return -1;
	if (!ids) {
		if (unlinkat(s->tmp, entry, AT_REMOVEDIR) < 0 && errno != ENOENT)
			return err_set(e, errno, "cannot remove '%s'", entry);
		return 0;
	}
	if (open_ranges(s, &r, e) < 0)
		return -1;
	if (unlinkat(s->tmp, entry, AT_REMOVEDIR) < 0) {
		err_set(e, errno, "cannot remove '%s'", entry);
		close(r.fd); /* invalid as it is: the next one learns the truth again */
		return -1;
	}
	idrange_give(&r, idrange_slot(&r, ids));
	return idrange_close(&r, e);
}

/* Takes over the entry if nobody holds it. The descriptor, -1 if somebody does. */
static int seize(const struct instances *s, const char *entry)
{
	auto_fd int fd = openat(s->tmp, entry, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || !same_entry(s->tmp, entry, fd))
		return -1;
	return take_fd(&fd);
}

/* Of an instance of that name, or of another one, that was made since and is to stay? */
static bool is_promised(int promise, const struct instance *i)
{
	char uuid[UUID_LEN];

	return i && i->uuid && strlen(i->uuid) == sizeof(uuid) &&
	       pread(promise, uuid, sizeof(uuid), 0) == (ssize_t)sizeof(uuid) &&
	       memcmp(uuid, i->uuid, sizeof(uuid)) == 0;
}

static void sweep_promise(const struct instances *s, const char *entry, const char *name)
{
	auto_fd int promise = seize(s, entry);
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_instance struct instance *i = NULL;
	struct err e;

	if (promise < 0)
		return;
	if (instance_open(s, name, &d, &e) < 0) {
		if (e.code == ERR_NO_SUCH)
			(void)unlinkat(s->tmp, entry, 0); /* kept: there is nothing to remove */
		return;
	}
	/* Still alive, or not undone yet: somebody must end it first, and the promise stays. */
	if (faccessat(s->states, name, F_OK, 0) == 0) {
		instance_close(&d);
		return;
	}
	d.promise = take_fd(&promise);
	i = instance_load(&d, &e);
	if (!is_promised(d.promise, i))
		instance_close(&d);
	else if (instance_remove(&d, &e) < 0)
		log_warn("cannot remove what is left of '%s': %s", name, e.msg);
}

static void sweep_entries(const struct instances *s)
{
	auto_names struct names l = { 0 };
	struct idranges r;
	struct err e;
	int *fds;

	if (list_dir(s->tmp, true, &l, &e) < 0 || !l.n)
		return;
	fds = calloc(l.n, sizeof(*fds));
	/*
	 * The table's lock keeps everyone out who is between making an entry and locking it. It is not held
	 * while removing, which may take long.
	 */
	if (!fds || open_ranges(s, &r, &e) < 0) {
		free(fds);
		return;
	}
	for (size_t i = 0; i < l.n; i++)
		fds[i] = str_after(l.v[i], "rm-") || streq(l.v[i], DISK_FILE) ? -1 :
										seize(s, l.v[i]);
	if (idrange_close(&r, &e) < 0)
		log_warn("%s", e.msg);
	for (size_t i = 0; i < l.n; i++) {
		const char *name = str_after(l.v[i], "rm-");

		if (name)
			sweep_promise(s, l.v[i], name);
		else if (streq(l.v[i], DISK_FILE))
			disk_file_settle(s);
		else if (fds[i] >= 0 && remove_entry(s, l.v[i], fds[i], &e) < 0)
			log_warn("cannot remove what is left of an instance: %s", e.msg);
		own_close(&fds[i]);
	}
	free(fds);
}

/* Detached --rm instances end with the machine, and nobody was there to remove them. */
static void sweep_after_boot(const struct instances *s)
{
	auto_free char **names = NULL;
	struct idranges r;
	struct err e;
	size_t n;

	if (instances_match(s, NULL, &names, &n, &e) < 0)
		return;
	for (size_t k = 0; k < n; k++) {
		auto_instance struct instance *i = NULL;
		struct instance_dir d = { .fd = -1, .promise = -1 };

		if (instance_open(s, names[k], &d, &e) < 0)
			continue;
		i = instance_load(&d, &e);
		if (!i || !i->ephemeral || faccessat(s->states, names[k], F_OK, 0) == 0) {
			instance_close(&d);
			continue;
		}
		if (instance_remove(&d, &e) < 0)
			log_warn("cannot remove what is left of '%s': %s", names[k], e.msg);
	}
	/* Makes the table, by which the next command knows that this was done. */
	if (open_ranges(s, &r, &e) < 0 || idrange_close(&r, &e) < 0)
		log_warn("%s", e.msg);
}

void instances_sweep(const struct instances *s)
{
	struct err e;

	if (state_recover(s->states, &e) < 0)
		log_warn("cannot undo all that an earlier command left: %s", e.msg);
	if (faccessat(s->run, "idrange", F_OK, 0) < 0 && errno == ENOENT)
		sweep_after_boot(s);
	sweep_entries(s);
}

/* ---- one instance ---- */

static int take_promise(const struct instances *s, const char *name, const char *uuid,
			struct instance_dir *d, struct err *e)
{
	char entry[TMP_NAME_MAX];

	snprintf(entry, sizeof(entry), "rm-%.63s", name);
	for (;;) {
		auto_fd int fd = openat(s->tmp, entry,
					O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0 && errno == EEXIST)
			return err_set(e, ERR_EXISTS, "the name '%s' is taken", name);
		if (fd < 0)
			return err_set(e, errno, "cannot make '%s'", entry);
		while (flock(fd, LOCK_EX) < 0)
			if (errno != EINTR)
				return err_set(e, errno, "cannot lock '%s'", entry);
		if (!same_entry(s->tmp, entry, fd))
			continue; /* a sweeper saw it before it was locked */
		if (write(fd, uuid, UUID_LEN) != UUID_LEN) {
			(void)unlinkat(s->tmp, entry, 0);
			return err_set(e, errno, "cannot write '%s'", entry);
		}
		d->promise = take_fd(&fd);
		return 0;
	}
}

static void drop_promise(struct instance_dir *d)
{
	char entry[TMP_NAME_MAX];

	if (d->promise < 0)
		return;
	snprintf(entry, sizeof(entry), "rm-%.63s", d->name);
	(void)unlinkat(d->all->tmp, entry,
		       0); /* failing, the next command finds nothing to remove */
	close(d->promise);
	d->promise = -1;
}

/* Makes the entry and locks it, under the table's lock: see sweep_entries(). */
static int make_entry(const struct instances *s, const char *entry, int *fd, struct err *e)
{
	if (mkdirat(s->tmp, entry, 0700) < 0)
		return err_set(e, errno, "cannot make '%s/" TMP "/%s'", s->path, entry);
	*fd = openat(s->tmp, entry, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (*fd < 0 || flock(*fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, errno, "cannot lock '%s/" TMP "/%s'", s->path, entry);
	return 0;
}

int instances_scratch(const struct instances *s, struct instances_scratch *x, struct err *e)
{
	struct idranges r;
	int rc;

	x->fd = -1;
	if (entry_name("del", 0, x->entry, e) < 0 || open_ranges(s, &r, e) < 0)
		return -1;
	rc = make_entry(s, x->entry, &x->fd, e);
	return idrange_close(&r, e) < 0 ? -1 : rc;
}

int instances_scratch_end(const struct instances *s, struct instances_scratch *x, struct err *e)
{
	int rc = x->fd < 0 ? 0 : remove_entry(s, x->entry, x->fd, e);

	own_close(&x->fd);
	x->fd = -1;
	return rc;
}

/* Makes and locks the staging directory, and takes ids if the instance wants its own and there are any. */
static int stage(const struct instances *s, struct instance *i, char entry[TMP_NAME_MAX], int *fd,
		 struct err *e)
{
	uint32_t slot = IDRANGE_NONE;
	struct idranges r;
	bool own_ids;

	if (open_ranges(s, &r, e) < 0)
		return -1;
	own_ids = instance_has_userns(i) && r.count;
	if (own_ids && (slot = idrange_free_slot(&r, i->ids, e)) == IDRANGE_NONE)
		goto fail;
	i->ids = own_ids ? idrange_host(&r, slot) : 0;
	if (entry_name("new", i->ids, entry, e) < 0 || make_entry(s, entry, fd, e) < 0)
		goto fail; /* what is there the next command sweeps */
	idrange_take(&r, slot);
	return idrange_close(&r, e);
fail:
	close(r.fd); /* the table stays invalid, and is made anew from what is there */
	return -1;
}

static int fill_staged(int fd, struct instance *i, const char *parent, struct err *e)
{
	auto_str struct str text = { 0 };
	auto_fd int config = -1;

	/* The upper directory is "/" of the instance: its mode is not the caller's umask's business. */
	if (mkdirat(fd, "layer", 0755) < 0 || mkdirat(fd, INSTANCE_UPPER, 0755) < 0 ||
	    fchmodat(fd, INSTANCE_UPPER, 0755, 0) < 0 || mkdirat(fd, INSTANCE_WORK, 0700) < 0 ||
	    (parent && symlinkat(parent, fd, INSTANCE_PARENT) < 0))
		return err_set(e, errno, "cannot make the instance's layer");
	instance_dump(i, &text);
	if (text.failed)
		return err_set(e, ENOMEM, "config.json");
	if (text.len > INSTANCE_CONFIG_MAX)
		return err_set(e, ERR_INVALID, "the configuration is larger than %u bytes",
			       INSTANCE_CONFIG_MAX);
	config = openat(fd, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (config < 0 || write(config, text.s, text.len) != (ssize_t)text.len)
		return err_set(e, errno, "cannot write config.json");
	return 0;
}

static int identify(struct instance *i, struct err *e)
{
	char uuid[UUID_LEN + 1], created[32];

	if (random_hex(uuid, UUID_LEN, e) < 0)
		return -1;
	uuid[12] = '4'; /* version 4, as RFC 9562 and sd-id128 want it; the variant below */
	uuid[16] = "89ab"[uuid[16] & 3];
	i->uuid = arena_strdup(i->arena, uuid);
	i->created = arena_strdup(i->arena, format_time(time(NULL), created, sizeof(created)));
	if (!i->uuid || !i->created)
		return err_set(e, ENOMEM, "instance");
	return 0;
}

int instance_check_free(const struct instances *s, const char *name, struct err *e)
{
	if (instance_check_name(name, e) < 0)
		return -1;
	if (exists(s, name))
		return err_set(e, ERR_EXISTS, "the name '%s' is taken", name);
	return 0;
}

/* Gives the staged directory its name, and takes the promise to remove the one of uuid @promise (NULL: none). 1: that name is taken. */
static int publish(const struct instances *s, const char *entry, const char *name,
		   const char *promise, struct instance_dir *d, struct err *e)
{
	if (promise && take_promise(s, name, promise, d, e) < 0)
		return e->code == ERR_EXISTS ? 1 : -1;
	if (sys_renameat2(s->tmp, entry, s->dir, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EEXIST) {
		err_set(e, errno, "cannot make instance '%s'", name);
		drop_promise(d);
		return -1;
	}
	err_set(e, ERR_EXISTS, "the name '%s' is taken", name);
	drop_promise(d);
	return 1;
}

int instance_create(const struct instances *s, const char *name, struct instance *i,
		    const char *parent, bool own_promise, struct instance_dir *d, struct err *e)
{
	bool random = !name || !*name;
	struct instance_dir got = { .all = s, .fd = -1, .promise = -1 };
	char entry[TMP_NAME_MAX] = "";
	auto_fd int fd = -1;
	struct err ignored;
	int rc;

	if (!random && instance_check_free(s, name, e) < 0)
		return -1;
	if (identify(i, e) < 0)
		return -1;
	rc = stage(s, i, entry, &fd, e);
	if (rc == 0)
		rc = fill_staged(fd, i, parent, e);
	for (int tries = 0; rc >= 0; tries++) {
		if (random && (rc = instance_random_name(got.name, e)) < 0)
			break;
		if (!random)
			snprintf(got.name, sizeof(got.name), "%s", name);
		rc = publish(s, entry, got.name, own_promise ? i->uuid : NULL, &got, e);
		if (rc <= 0 || !random || tries == 100)
			break;
	}
	if (rc != 0) {
		if (fd >= 0)
			(void)remove_entry(s, entry, fd, &ignored); /* else the next command does */
		return -1;
	}
	got.fd = take_fd(&fd);
	events_append(s,
		      &(struct event){ .type = EVENT_CREATED, .name = got.name, .uuid = i->uuid });
	*d = got;
	return 0;
}

int instance_look(const struct instances *s, const char *name, struct instance_dir *d,
		  struct err *e)
{
	struct instance_dir got = { .all = s, .fd = -1, .promise = -1 };

	if (instance_check_name(name, e) < 0)
		return -1;
	got.fd = openat(s->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (got.fd < 0 && errno == ENOENT)
		return no_such(s, name, e);
	if (got.fd < 0)
		return err_set(e, errno, "cannot open instance '%s'", name);
	strcpy(got.name, name);
	*d = got;
	return 0;
}

int instance_lock(struct instance_dir *d, struct err *e)
{
	while (flock(d->fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "cannot lock instance '%s'", d->name);
	errno = 0;
	if (same_entry(d->all->dir, d->name, d->fd))
		return 0;
	if (errno && errno != ENOENT)
		err_set(e, errno, "cannot look at instance '%s'", d->name);
	else
		err_set(e, ERR_NO_SUCH, "instance '%s' was removed meanwhile", d->name);
	(void)flock(d->fd,
		    LOCK_UN); /* of a directory that is on its way out: nobody waits for it */
	return -1;
}

int instance_open(const struct instances *s, const char *name, struct instance_dir *d,
		  struct err *e)
{
	struct instance_dir got;

	if (instance_look(s, name, &got, e) < 0)
		return -1;
	if (instance_lock(&got, e) < 0) {
		close(got.fd);
		return -1;
	}
	*d = got;
	return 0;
}

void instance_unlock(struct instance_dir *d)
{
	if (d->fd >= 0)
		(void)flock(d->fd, LOCK_UN); /* fails for no lock only */
}

void instance_close(struct instance_dir *d)
{
	drop_promise(d);
	if (d->fd >= 0) {
		instance_unlock(d);
		close(d->fd);
	}
	d->fd = -1;
}

void instance_leave(struct instance_dir *d)
{
	own_close(&d->promise);
	d->promise = -1;
	instance_close(d);
}

struct instance *instance_load(const struct instance_dir *d, struct err *e)
{
	struct instance *i = NULL;

	if (load_at(d->fd, "config.json", &i, e) < 0) {
		err_in(e, "configuration of instance '%s'", d->name);
		return NULL;
	}
	return i;
}

int instance_save(const struct instance_dir *d, const struct instance *i, bool sync, struct err *e)
{
	auto_str struct str text = { 0 };

	if (instance_check(i, e) < 0)
		return -1;
	instance_dump(i, &text);
	if (text.failed)
		return err_set(e, ENOMEM, "config.json");
	return file_replace(d->fd, "config.json", text.s, text.len, 0600, sync, e);
}

int instance_sync(const struct instance_dir *d, struct err *e)
{
	auto_fd int config = openat(d->fd, "config.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (config < 0 || fsync(config) < 0 || fsync(d->fd) < 0 || fsync(d->all->dir) < 0)
		return err_set(e, errno, "cannot sync instance '%s'", d->name);
	return 0;
}

int instance_path(const struct instance_dir *d, const char *part, char *out, size_t size,
		  struct err *e)
{
	if (snprintf(out, size, "%s/%s/%s", d->all->path, d->name, part) >= (int)size)
		return err_set(e, ENAMETOOLONG, "path of instance '%s'", d->name);
	return 0;
}

int instance_rename(struct instance_dir *d, const char *to, struct err *e)
{
	struct event ev = { .type = EVENT_RENAMED, .name = to, .detail = d->name };

	if (instance_check_name(to, e) < 0)
		return -1;
	if (sys_renameat2(d->all->dir, d->name, d->all->dir, to, RENAME_NOREPLACE) < 0)
		return errno == EEXIST ? err_set(e, ERR_EXISTS, "the name '%s' is taken", to) :
					 err_set(e, errno, "cannot rename instance '%s'", d->name);
	events_append(d->all, &ev);
	strcpy(d->name, to);
	return 0;
}

/* Whatever ids it had: the next one to open the table learns who has which. */
static void forget_table(const struct instances *s)
{
	struct idranges r;
	struct err ignored;

	if (open_ranges(s, &r, &ignored) == 0)
		close(r.fd);
}

int instance_remove(struct instance_dir *d, struct err *e)
{
	auto_instance struct instance *i = NULL;
	char entry[TMP_NAME_MAX];
	struct err ignored;
	int rc = -1;

	i = instance_load(d, &ignored);
	if (i && i->disk)
		disk_forget(d, i);
	if (entry_name("del", i ? i->ids : 0, entry, e) == 0) {
		if (renameat(d->all->dir, d->name, d->all->tmp, entry) < 0) {
			err_set(e, errno, "cannot remove instance '%s'", d->name);
		} else {
			events_append(d->all, &(struct event){ .type = EVENT_REMOVED,
							       .name = d->name,
							       .uuid = i ? i->uuid : NULL });
			rc = remove_entry(d->all, entry, d->fd, e);
		}
	}
	if (!i && rc == 0)
		forget_table(d->all); /* damaged, it did not tell its ids */
	if (rc < 0) {
		err_in(e, "instance '%s'", d->name);
		instance_leave(d);
	}
	instance_close(d);
	return rc;
}

int instances_discard(const struct instances *s, int dir, const char *name, struct err *e)
{
	auto_fd int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	char entry[TMP_NAME_MAX];
	struct err ignored;
	pid_t pid;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, errno, "cannot lock '%s'", name);
	if (entry_name("del", 0, entry, e) < 0)
		return -1;
	if (renameat(dir, name, s->tmp, entry) < 0)
		return err_set(e, errno, "cannot remove '%s'", name);
	(void)fflush(NULL); /* or the child could write it again */
	pid = fork();
	if (pid == 0) {
		if (fork() == 0) {
			(void)setsid();
			for (int i = 0; i < 3; i++)
				close(i); /* who waits for the end of our output does not wait for this */
			(void)remove_entry(s, entry, fd, &ignored);
		}
		_exit(0);
	}
	if (pid > 0)
		(void)waitpid(pid, NULL, 0); /* the first of the two, which has nothing to tell */
	return pid < 0 ? remove_entry(s, entry, fd, e) : 0;
}

int instance_read_exit(const struct instance_dir *d, struct instance_exit *x, struct err *e)
{
	auto_str struct str text = { 0 };

	if (file_read(d->fd, "exit", EXIT_MAX, &text, e) < 0) {
		if (e->code == ENOENT)
			return err_set(e, ERR_NO_SUCH, "instance '%s' has not ended yet", d->name);
		return -1;
	}
	return instance_exit_parse(str_text(&text), text.len, x, e);
}

int instance_write_exit(const struct instance_dir *d, const struct instance_exit *x, bool sync,
			struct err *e)
{
	auto_str struct str text = { 0 };

	instance_exit_dump(x, &text);
	if (text.failed)
		return err_set(e, ENOMEM, "exit status");
	return file_replace(d->fd, "exit", text.s, text.len, 0600, sync, e);
}
