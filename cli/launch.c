/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cli/console.h"
#include "cli/from_image.h"
#include "cli/health.h"
#include "cli/limits.h"
#include "cli/network.h"
#include "cli/rootless.h"
#include "cli/suspend.h"
#include "images/images.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/checkpoint.h"
#include "runtime/disk.h"
#include "runtime/events.h"
#include "runtime/host.h"
#include "runtime/hosts.h"
#include "runtime/instances.h"
#include "runtime/layers.h"
#include "runtime/plan.h"
#include "runtime/restart.h"
#include "runtime/running.h"
#include "runtime/spec.h"
#include "runtime/supervise.h"
#include "runtime/userns.h"
#include "runtime/views.h"

struct image *launch_image(struct store *store, const struct instance *i, struct err *e)
{
	return i->rootfs ? image_from_directory(store, i->rootfs, e) :
			   image_find(store, i->image_id, e);
}

/* The paths of the instance's layer, and the terminal that the caller sits at. */
struct scene {
	struct from_image from;
	char upper[PATH_MAX], work[PATH_MAX];
};

static int set_scene(const struct launch *l, struct scene *s, struct err *e)
{
	struct winsize size = { 0 };
	const char *const *below;
	int tty;

	if (layers_below(l->dir, l->instance->arena, &below, e) < 0 ||
	    instance_path(l->dir, INSTANCE_UPPER, s->upper, sizeof(s->upper), e) < 0 ||
	    instance_path(l->dir, INSTANCE_WORK, s->work, sizeof(s->work), e) < 0)
		return -1;
	s->from = (struct from_image){
		.image = l->image,
		.instance = l->instance,
		.name = l->dir->name,
		.below = below,
		.upper = s->upper,
		.work = s->work,
		.fresh = l->fresh,
		.root = -1,
		.term = getenv("TERM"),
	};
	tty = l->instance->tty ? console_find() : -1;
	if (tty >= 0 && ioctl(tty, TIOCGWINSZ, &size) == 0) {
		s->from.rows = size.ws_row;
		s->from.columns = size.ws_col;
	}
	return 0;
}

static int open_upper(const struct launch *l, struct err *e)
{
	int fd =
		openat(l->dir->fd, INSTANCE_UPPER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_set(e, errno, "cannot open the layer of instance '%s'", l->dir->name) :
			fd;
}

int launch_prepare(const struct launch *l, struct err *e)
{
	auto_fd int upper = open_upper(l, e);
	struct scene s;

	if (upper < 0 || set_scene(l, &s, e) < 0)
		return -1;
	/* first: what is written then is counted */
	if (l->instance->disk && disk_limit(l->dir, l->instance, e) < 0)
		return -1;
	return instance_write_files(&s.from, upper, e);
}

int launch_renamed(const struct launch *l, const char *old, struct err *e)
{
	auto_fd int upper = open_upper(l, e);
	struct scene s;

	if (upper < 0 || set_scene(l, &s, e) < 0)
		return -1;
	return instance_rename_files(&s.from, old, upper, e);
}

int launch_open_root(const struct launch *l, struct err *e)
{
	struct scene s;

	return set_scene(l, &s, e) < 0 ? -1 : image_open_root_rw(&s.from, e);
}

int launch_open_view(const struct launch *l, const char *const **layers, struct err *e)
{
	const char **list;
	struct scene s;
	size_t n = 0;

	if (set_scene(l, &s, e) < 0)
		return -1;
	while (s.from.below[n])
		n++;
	list = arena_array(l->instance->arena, n + 2, sizeof(*list));
	if (!list || !(list[0] = arena_strdup(l->instance->arena, s.upper)))
		return err_set(e, ENOMEM, "layers");
	memcpy(list + 1, s.from.below, n * sizeof(*list));
	*layers = list;
	return image_open_root(&s.from, e);
}

/* ---- the payload's streams ---- */

struct streams {
	int payload[3]; /* what it gets; -1: ours */
	int out, err;	/* our ends of a detached one; -1 */
};

#define STREAMS_NONE                                            \
	{                                                       \
		.payload = { -1, -1, -1 }, .out = -1, .err = -1 \
	}

static void own_streams(struct streams *s)
{
	for (int i = 0; i < 3; i++)
		own_close(&s->payload[i]);
	own_close(&s->out);
	own_close(&s->err);
}
#define auto_streams __attribute__((cleanup(own_streams)))

static int open_null(int flags, struct err *e)
{
	int fd = open("/dev/null", flags | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? err_set(e, errno, "cannot open '/dev/null'") : fd;
}

/*
 * A FIFO, open for reading and writing on both ends (supervise.h says why). It belongs to the payload's user, so
 * that opening /dev/stdout works inside.
 */
static int make_fifo(const struct state_dir *d, const char *name, uid_t uid, gid_t gid,
		     int *payload, int *ours, struct err *e)
{
	if (mkfifoat(d->dir, name, 0600) < 0)
		return err_set(e, errno, "cannot make the FIFO '%s'", name);
	/* without O_NOFOLLOW, which the payload would keep: CRIU could not open it again through /proc/self/fd */
	*payload = openat(d->dir, name, O_RDWR | O_CLOEXEC);
	if (*payload < 0 || fchown(*payload, uid, gid) < 0)
		return err_set(e, errno, "cannot open the FIFO '%s'", name);
	if (!ours)
		return 0;
	*ours = openat(d->dir, name, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	return *ours < 0 ? err_set(e, errno, "cannot open the FIFO '%s'", name) : 0;
}

static int open_streams(const struct launch *l, const struct spec *s, const struct state_dir *d,
			bool detached, struct streams *st, struct err *e)
{
	uid_t uid = (uid_t)l->instance->ids + s->process.uid;
	gid_t gid = (gid_t)l->instance->ids + s->process.gid;

	if (s->process.terminal)
		return 0;
	if (!l->instance->interactive) {
		st->payload[0] = open_null(O_RDONLY, e);
		if (st->payload[0] < 0)
			return -1;
	}
	if (!detached)
		return 0;
	if (l->instance->interactive &&
	    make_fifo(d, "stdin", uid, gid, &st->payload[0], NULL, e) < 0)
		return -1;
	if (make_fifo(d, "stdout", uid, gid, &st->payload[1], &st->out, e) < 0 ||
	    make_fifo(d, "stderr", uid, gid, &st->payload[2], &st->err, e) < 0)
		return -1;
	return 0;
}

/* ---- the payload ---- */

/* A limit that this host cannot enforce is named as the person wrote it, not as the specification does. */
static int in_own_words(const struct spec *s, struct err *e)
{
	static const struct {
		const char *spec, *option;
	} words[] = {
		{ "process.cwd: ", "--workdir: " },
		{ "linux.resources: ", "limits: " },
	};
	char text[ERR_MSG_MAX + 512];
	size_t mount;
	int skip = 0;

	limits_in_own_words("--", e);
	for (size_t k = 0; k < sizeof(words) / sizeof(*words); k++) {
		const char *rest = str_after(e->msg, words[k].spec);
		size_t len = strlen(words[k].option);

		if (!rest)
			continue;
		memmove(e->msg + len, rest,
			strlen(rest) + 1); /* the option's name is the shorter one */
		memcpy(e->msg, words[k].option, len);
	}
	if (!s || sscanf(e->msg, "mounts[%zu]: %n", &mount, &skip) != 1 || !skip ||
	    mount >= s->n_mounts)
		return -1;
	if (streq(s->mounts[mount].type, "proc") && e->code == EPERM && !userns_is_first())
		return err_in(
			e,
			"an instance of an instance cannot have a user namespace of its own (it can by "
			"`--userns host`)");
	if (streq(s->mounts[mount].type, "bind")) {
		snprintf(text, sizeof(text), "--volume %.200s:%.200s: %s", s->mounts[mount].source,
			 s->mounts[mount].destination, e->msg + skip);
		text[ERR_MSG_MAX - 1] = '\0';
		memcpy(e->msg, text, ERR_MSG_MAX);
	}
	return -1;
}

/*
 * Where the cgroups of these instances lie: "ctr/", or for another run directory than the usual one a name of its
 * own, so that two sets of instances with the same names can live on one machine.
 */
static void set_cgroup_prefix(const struct instances *all, char *out, size_t size)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (const char *c = all->run_path; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	if (streq(all->run_path, RUN_ROOT_DEFAULT))
		snprintf(out, size, "ctr/");
	else
		snprintf(out, size, "ctr-%08x/", hash);
}

/* What is decided before anything is done. */
struct decided {
	char prefix[32];
	struct scene scene;
	struct host host;
	struct networking net;
	char hosts[PATH_MAX];
	const struct hosts_line *lines;
	size_t n_lines;
	struct views views;
	struct spec *spec;
	struct plan *plan;
};

static void own_decided(struct decided *d)
{
	views_close(&d->views);
	plan_free(d->plan);
	spec_free(d->spec);
}
#define auto_decided __attribute__((cleanup(own_decided)))

/* A system is to believe that it has the machine; an application only sees less of it where it may use less. */
static bool shows_views(const struct launch *l, const struct decided *d)
{
	const struct instance *i = l->instance;

	return i->ids && d->host.euid == 0 && d->host.initial_userns && *d->host.cgroup &&
	       (i->system || i->memory || i->memory_high || i->cpus || i->cpuset);
}

static int decide(const struct launch *l, struct decided *d, struct err *e)
{
	int has;
	struct plan_options po = { .id = l->dir->name,
				   .cgroup_prefix = d->prefix,
				   .metered = true };

	set_cgroup_prefix(l->all, d->prefix, sizeof(d->prefix));
	views_init(&d->views);
	if (set_scene(l, &d->scene, e) < 0 || host_probe(&d->host, e) < 0)
		return -1;
	if (network_resolve(l->all, l->instance, l->dir->name, l->instance->arena, &d->net, e) < 0)
		return -1;
	d->scene.from.net = &d->net;
	d->lines = network_hosts(&d->net, l->instance->arena, &d->n_lines, e);
	has = d->lines ? hosts_path(l->all, d->lines, d->n_lines, d->hosts, sizeof(d->hosts), e) :
			 -1;
	if (has < 0)
		return -1;
	d->scene.from.hosts = has ? d->hosts : NULL;
	d->scene.from.controllers = d->host.controllers;
	d->spec = spec_from_image(&d->scene.from, e);
	if (d->spec && shows_views(l, d))
		d->spec->views = d->views.of;
	d->plan = d->spec ? plan_build(d->spec, &d->host, &po, e) : NULL;
	return d->plan ? 0 : in_own_words(d->spec, e);
}

int launch_check(const struct launch *l, struct err *e)
{
	auto_decided struct decided d = { .spec = NULL, .plan = NULL };

	return decide(l, &d, e);
}

/* ---- memory on disk ---- */

/* What every image of an instance's processes is made and read with. Its network is ours to make again. */
static void set_memory_options(const struct decided *d, struct checkpoint_options *o)
{
	o->empty_network = true;
	o->tcp_established = true;
	o->file_locks = true;
	o->link_remap = true;
	o->status_fd = -1;
	o->cgroups = host_v1_controllers(&d->host) ? CRIU_CGROUPS_IGNORE : CRIU_CGROUPS_SOFT;
}

int launch_save(const struct launch *l, const struct state *st, struct checkpoint_options *o,
		struct err *e)
{
	auto_decided struct decided d = { .spec = NULL, .plan = NULL };

	if (decide(l, &d, e) < 0)
		return -1;
	set_memory_options(&d, o);
	return checkpoint_dump(st, d.spec, d.plan, &d.host, o, e);
}

/* From here on memory and files are of different moments: it is not to be used again. */
static int let_memory_go(const void *arg, struct err *e)
{
	return memory_discard(arg, e);
}

static int resume(const struct launch *l, const struct decided *d, const struct life_options *lo,
		  struct life *life, struct err *e)
{
	char path[PATH_MAX];
	struct checkpoint_options o = { .image_path = path,
					.about_to_run = let_memory_go,
					.arg = l->dir };

	if (memory_complete(l->dir, e) < 0 || lo->meanwhile(lo->arg, e) < 0 ||
	    instance_path(l->dir, MEMORY "/" MEMORY_LAST, path, sizeof(path), e) < 0)
		return -1;
	set_memory_options(d, &o);
	return checkpoint_restore(d->spec, d->plan, &d->host, &o, lo, life, e) < 0 ?
		       err_in(e, "cannot go on from its memory (`ctr start --cold` forgets it)") :
		       0;
}

struct naming {
	const struct launch *l;
	const struct decided *d;
};

static int add_names(const void *arg, struct err *e)
{
	const struct naming *n = arg;

	return hosts_add(n->l->all, n->l->dir->name, n->d->lines, n->d->n_lines, e);
}

static int begin(const struct launch *l, const struct decided *d, const struct life_options *lo,
		 struct life *life, struct err *e)
{
	/* what was saved in part, or of a run that went on */
	if (!l->fresh && memory_discard(l->dir, e) < 0)
		return -1;
	return life_create(d->spec, d->plan, &d->host, lo, life, e);
}

/* From configuration to payload. On failure nothing is left. */
static int make(const struct launch *l, bool detached, struct streams *st, struct life *life,
		struct state_dir *sd, struct err *e)
{
	auto_decided struct decided d = { .spec = NULL, .plan = NULL };
	const struct naming names = { l, &d };
	struct life_options lo = { .state = sd,
				   .die_with_parent = !detached,
				   .console_socket = -1,
				   .meanwhile = add_names,
				   .arg = &names };
	auto_str struct str config = { 0 };
	struct err other;

	if (decide(l, &d, e) < 0 || (l->instance->disk && disk_limit(l->dir, l->instance, e) < 0))
		return -1;
	if (l->instance->nets && !streq(*l->instance->nets, "none")) {
		auto_fd int upper = open_upper(l, e);

		if (upper < 0 || instance_write_resolv(&d.scene.from, upper, e) < 0)
			return -1;
	}
	if (network_ready(l->all, &d.net, e) < 0 ||
	    hosts_prepare(l->all, d.lines, d.n_lines, e) < 0)
		return -1;
	if (d.spec->views) {
		char cgroup[PATH_MAX];

		snprintf(cgroup, sizeof(cgroup), "%s/%s", d.host.cgroup, d.plan->cgroup);
		views_open(l->all->run_path, cgroup, d.host.controllers & CTL_MEMORY, &d.views);
	}
	/* what exec makes the spec of again, whatever becomes of the configuration meanwhile */
	instance_dump(l->instance, &config);
	if (config.failed)
		return err_set(e, ENOMEM, "configuration");
	lo.config_text = config.s;
	lo.config_len = config.len;
	if (state_create(l->all->states, l->dir->name, sd, e) < 0)
		return -1;
	if (running_set_watcher(sd, getpid(), e) < 0 ||
	    open_streams(l, d.spec, sd, detached, st, e) < 0)
		goto fail;
	memcpy(lo.stdio, st->payload, sizeof(lo.stdio));
	if ((!l->fresh && is_suspended(l->dir) ? resume(l, &d, &lo, life, e) :
						 begin(l, &d, &lo, life, e)) < 0) {
		if (e->code == ERR_EXISTS)
			network_name_holder(l->all, l->dir->name, &d.net, e);
		goto fail;
	}
	events_append(l->all, &(struct event){ .type = EVENT_STARTED,
					       .name = l->dir->name,
					       .uuid = l->instance->uuid,
					       .pid = life->pid });
	return 0;
fail:
	if (state_undo(sd, &other) < 0) {
		log_warn("%s", other.msg);
		state_forget(sd); /* the promise is broken so, and the next command tries again */
	}
	return in_own_words(d.spec, e);
}

int launch_foreground(const struct launch *l, struct life *life, struct state_dir *sd,
		      struct err *e)
{
	auto_streams struct streams st = STREAMS_NONE;

	if (make(l, false, &st, life, sd, e) < 0)
		return -1;
	state_unlock(sd);
	rootless_hold_ports(l->all, l->instance, false);
	return 0;
}

/* ---- the supervisor ---- */

/* What the new supervisor tells the command that waits for it: one packet. */
struct report {
	bool running;
	struct err e;
};

/* False: it could not be said to a command that waits for it. To one that was killed it need not be. */
static bool say_report(int sock, const struct report *r)
{
	for (int tries = 0; tries < 100; tries++) {
		if (send(sock, r, sizeof(*r), MSG_NOSIGNAL) >= 0 || errno == EPIPE ||
		    errno == ECONNRESET)
			return true;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	return false;
}

static int hear_report(int sock, struct err *e)
{
	struct report r;
	ssize_t n;

	do {
		n = recv(sock, &r, sizeof(r), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(e, errno, "cannot hear from the supervisor");
	if (n != (ssize_t)sizeof(r))
		return err_set(e, ERR_INVALID, "the supervisor died");
	if (!r.running) {
		*e = r.e;
		return -1;
	}
	return 0;
}

#define LOG_BOUNDS "CTR_LOG=" /* bytes and files */
#define HAS_PORTS  "CTR_PORTS"

/* The roots as whoever reads the environment finds them. */
static int set_roots(const struct instances *all, char *data, char *run, size_t size)
{
	return snprintf(data, size, "CTR_ROOT=%.*s", instances_data_len(all), all->path) <
				       (int)size &&
			       snprintf(run, size, "CTR_RUN=%s", all->run_path) < (int)size ?
		       0 :
		       -1;
}

/* What the supervisor will have, and the socket to its command: out of the way of the numbers it will have. */
struct belongings {
	int sock, pidfd, out, err; /* @err may be -1 */
	bool ports;		   /* rootless_hold_ports() has added some */
};

static struct log_bounds log_bounds(const struct instance *i)
{
	return (struct log_bounds){ i->log_size, (unsigned)i->log_files };
}

/* All that may fail of what become_supervisor() needs, so that the command can be told. */
static int gather(struct belongings *b, struct err *e)
{
	int *const fds[] = { &b->sock, &b->pidfd, &b->out, &b->err };
	int null = open_null(O_RDWR, e);

	if (null < 0)
		return -1;
	for (int i = 0; i < 3; i++)
		if (dup2(null, i) < 0)
			return err_set(e, errno, "cannot let go of the command's streams");
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		int moved = *fds[i] < 0 ? -1 : fcntl(*fds[i], F_DUPFD_CLOEXEC, 16);

		if (moved < 0 && *fds[i] >= 0)
			return err_set(e, errno, "cannot keep the descriptors of a supervisor");
		*fds[i] = moved;
	}
	if (fcntl(b->out, F_SETFL, O_NONBLOCK) < 0) /* FIFOs are so by birth, terminals not */
		return err_set(e, errno, "cannot read the payload's output");
	if (chdir("/") < 0)
		return err_set(e, errno, "cannot leave the command's directory");
	return 0;
}

/*
 * Becomes a supervisor in a program of its own. If that cannot be executed, because memory is short or the
 * program was replaced by one that does not work, this process does the work itself.
 */
__attribute__((noreturn)) static void become_supervisor(const struct instances *all,
							const char *name,
							const struct log_bounds *log,
							const struct belongings *b)
{
	const int from[] = { b->pidfd, b->out, b->err };
	const int to[] = { SUPERVISE_PIDFD, SUPERVISE_OUT, SUPERVISE_ERR };
	struct instances own = INSTANCES_NONE; /* theirs may have had one of these numbers */
	char data[PATH_MAX], run[PATH_MAX], bounds[48], restarts[48];
	char *argv[] = { SUPERVISOR, (char *)(uintptr_t)name, NULL };
	char *envp[] = { data, run, bounds, restarts, b->ports ? HAS_PORTS "=" : NULL, NULL };
	struct err e;

	for (int i = 0; i < 3; i++)
		if (from[i] < 0 ? (void)close(to[i]), false : dup2(from[i], to[i]) < 0)
			_exit(1); /* as good as killed: the next command says so */
	if (set_roots(all, data, run, sizeof(data)) < 0)
		_exit(1);
	snprintf(bounds, sizeof(bounds), LOG_BOUNDS "%llu %u", (unsigned long long)log->bytes,
		 log->files);
	snprintf(restarts, sizeof(restarts), "CTR_RESTARTS=%u", restart_count());
	execve("/proc/self/exe", argv, envp);
	_exit(instances_open(strchr(data, '=') + 1, strchr(run, '=') + 1, &own, &e) < 0 ||
	      supervise(&own, name, log, b->ports ? SUPERVISE_KEPT : UINT_MAX, &e) < 0);
}

/* In the new process. Never returns. */
__attribute__((noreturn)) static void launch_supervised(const struct launch *l, int sock)
{
	auto_streams struct streams st = STREAMS_NONE;
	struct report r = { .running = false };
	struct state_dir sd = { .root = -1, .dir = -1, .open = -1 };
	struct log_bounds bounds;
	struct belongings b;
	struct life life;
	struct err other;

	/* Ctrl-C at the command is not meant for the instance. */
	if (setsid() < 0) {
		err_set(&r.e, errno, "cannot make a session");
	} else if (make(l, true, &st, &life, &sd, &r.e) == 0) {
		/* of a terminal only the master is ours */
		b = (struct belongings){ sock, life.pidfd,
					 life.console >= 0 ? life.console : st.out, st.err, false };
		r.running = gather(&b, &r.e) == 0;
		sock = b.sock;
		if (r.running) {
			state_close(&sd);
			b.ports = rootless_hold_ports(l->all, l->instance, true);
		} else {
			(void)sys_pidfd_send_signal(life.pidfd, SIGKILL);
			if (state_undo(&sd, &other) < 0)
				state_forget(&sd); /* the next command tries again */
		}
	}
	if (!say_report(sock, &r) || !r.running)
		_exit(1);
	health_begin(l->all, l->dir->name, l->instance);
	bounds = log_bounds(l->instance);
	become_supervisor(l->all, l->dir->name, &bounds, &b);
}

static int start_supervisor(void (*run)(const void *arg, int sock), const void *arg, struct err *e)
{
	int ends[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_set(e, errno, "cannot make a socket");
	(void)fflush(NULL); /* or the child could write it again */
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		run(arg, ends[1]);
		_exit(1);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return err_set(e, errno, "cannot make a supervisor");
	}
	r = hear_report(ends[0], e);
	close(ends[0]);
	if (r < 0)
		own_kill(&pid); /* it may live, but what it does is not known to succeed */
	return r;
}

static void run_launch(const void *arg, int sock)
{
	launch_supervised(arg, sock);
}

int launch_detached(const struct launch *l, struct err *e)
{
	if (start_supervisor(run_launch, l, e) < 0)
		return -1;
	rootless_await_ports(l->instance);
	return 0;
}

/* ---- adoption ---- */

struct adoption {
	const struct instances *all;
	const char *name;
	const struct instance *instance; /* NULL: damaged */
	struct log_bounds log;
	int pidfd;
};

static int open_fifo(const struct state_dir *d, const char *name)
{
	return openat(d->dir, name, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
}

static void run_adoption(const void *arg, int sock)
{
	const struct adoption *a = arg;
	struct state_dir d = { .root = -1, .dir = -1, .open = -1 };
	struct report r = { .running = false };
	struct belongings b = { sock, a->pidfd, -1, -1, false };

	if (setsid() < 0) {
		err_set(&r.e, errno, "cannot make a session");
	} else if (state_open(a->all->states, a->name, &d, &r.e) == 0) {
		b.out = open_fifo(&d, "stdout");
		b.err = open_fifo(&d, "stderr");
		if (b.out < 0) /* it had a terminal, which went with the last supervisor */
			b.out = open_null(O_RDONLY, &r.e);
		if (b.out >= 0 && running_set_watcher(&d, getpid(), &r.e) == 0)
			r.running = gather(&b, &r.e) == 0;
		state_close(&d);
	}
	if (!say_report(b.sock, &r) || !r.running)
		_exit(1);
	if (a->instance) {
		b.ports = rootless_hold_ports(a->all, a->instance, true);
		health_begin(a->all, a->name, a->instance);
	}
	become_supervisor(a->all, a->name, &a->log, &b);
}

int launch_adopt(const struct instance_dir *d, int pidfd, struct err *e)
{
	auto_instance struct instance *i = instance_load(d, e);
	struct adoption a = { .all = d->all, .name = d->name, .instance = i, .pidfd = pidfd };

	if (i) /* with a damaged configuration as usual: it runs, and is to be watched */
		a.log = log_bounds(i);
	if (start_supervisor(run_adoption, &a, e) < 0)
		return -1;
	events_append(d->all, &(struct event){ .type = EVENT_ADOPTED, .name = d->name });
	return 0;
}

int supervisor_main(const char *name)
{
	const char *data = getenv("CTR_ROOT"), *log = getenv("CTR_LOG");
	struct instances all = INSTANCES_NONE; /* not closed: exit is next */
	unsigned long long bytes = 0;
	struct log_bounds bounds = { 0 };
	unsigned kept = UINT_MAX;
	struct err e;

	if (getenv(HAS_PORTS)) { /* they are for nobody that it starts */
		kept = SUPERVISE_KEPT;
		(void)sys_close_range(kept, UINT_MAX, CLOSE_RANGE_CLOEXEC);
	}
	/* nobody is there to be told; the next command finds an instance without supervisor */
	for (int tries = 0; !data || instances_open(data, NULL, &all, &e) < 0;)
		if (!data || !supervise_wait(&tries))
			return 1;
	if (log && sscanf(log, "%llu %u", &bytes, &bounds.files) == 2)
		bounds.bytes = bytes;
	return supervise(&all, name, &bounds, kept, &e) < 0;
}
