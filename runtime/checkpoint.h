/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint.h - a running container's processes into files, and back; by CRIU. A user of life.c, not part of it, and of
 * no front door.
 *
 * Runs with the host's privileges, in the process of the command or the supervisor. What CRIU is told of a container
 * follows from its plan: which mounts come from outside, which namespaces it shares, where its cgroup is. The names used
 * in the images are those of runc and crun, so that each can restore what another has saved.
 *
 * The images are as powerful as whoever wrote them: they are memory that will run. But no file of them, and nothing in the
 * root file system that a saved container could have changed, may have another part of the host mounted than its
 * configuration says (CVE-2026-119101, CVE-2026-115520).
 */
#ifndef CTR_CHECKPOINT_H
#define CTR_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "runtime/criu_rpc.h"

struct apply;
struct arena;
struct err;
struct host;
struct life;
struct life_options;
struct plan;
struct spec;
struct state;
struct str;

struct checkpoint_options {
	const char *image_path;	 /* the directory of the images */
	const char *work_path;	 /* where CRIU's log and its sockets are; NULL: there as well */
	const char *parent_path; /* of an earlier pre-dump, relative to image_path; NULL: none */
	bool leave_running, tcp_established, tcp_skip_in_flight, tcp_close, ext_unix_sk, shell_job,
		lazy_pages, file_locks, pre_dump, auto_dedup, link_remap;
	bool empty_network; /* neither save nor restore interfaces and routes */
	int status_fd; /* a zero byte is written there when lazy pages can be asked for; -1: none */
	const char *page_server; /* host name or address, with page_server_port; NULL: none */
	int page_server_port;
	enum criu_cgroups cgroups;
	enum criu_lock network_lock;
	const char *lsm_profile, *lsm_mount_context;
	int fifos; /* of a dump: a directory with FIFOs "stdin", "stdout", "stderr" that may be its streams; 0: none */
	int held; /* CRIU has this descriptor as long as it works, whatever becomes of us; 0: none */
	/* Of a restore: all is there, and stopped; a failure takes it back, and after a success it may have run. NULL: nothing to do. */
	int (*about_to_run)(const void *arg, struct err *e);
	const void *arg;
};

/*
 * Saves the processes of a container that runs or is paused. @p is the plan of its spec. Unless they are left running (or
 * it is a pre_dump) they have ended when this returns; undoing the rest is life_delete()'s. On failure they go on.
 */
int checkpoint_dump(const struct state *st, const struct spec *s, const struct plan *p,
		    const struct host *h, const struct checkpoint_options *o, struct err *e);

/*
 * Makes a container of saved processes: a cgroup with its limits as life_create() does, the rest by CRIU. Of @lo count
 * the state directory, configuration, console socket and pid file. On success the processes run, the state is written
 * and *l is the caller's; the first process is a child of the caller, who must be single-threaded. On failure everything is undone but the state
 * directory itself, as with life_create().
 */
int checkpoint_restore(const struct spec *s, const struct plan *p, const struct host *h,
		       const struct checkpoint_options *o, const struct life_options *lo,
		       struct life *l, struct err *e);

/* ---- between checkpoint.c, checkpoint_mounts.c and checkpoint_restore.c ---- */

/* Mounts that come from outside: CRIU knows each by a key, and at the restore puts the value in its place. */
struct external {
	const char *key, *value;
	const char *id; /* as CRIU keeps the two */
};

struct externals {
	struct arena *arena;
	struct external *list;
	size_t n, size;
};

/*
 * Adds one; what is there already is success. Refused is a key that CRIU could not read back: it joins them to
 * "mnt[KEY]:VALUE" and looks keys up by comparing beginnings, so a bracket in the name of an image's directory would make
 * another mount, with a source that the image chose, of a host's directory (CVE-2026-119101, CVE-2026-115520). Refused too is a
 * second value for one key.
 */
int externals_add(struct externals *x, const char *key, const char *value, struct err *e);

/* The value that CRIU finds for @key, by its own rule; NULL. */
const char *externals_find(const struct externals *x, const char *key);

/* Puts them into a message criu_opts. */
void externals_put(const struct externals *x, struct str *options);

/* Those of a running container: a mount of the plan that is still where it was put. @cgroups_alone: CRIU_CGROUPS_IGNORE. */
int externals_of(const struct plan *p, bool cgroups_alone, pid_t pid, struct externals *x,
		 struct err *e);

/*
 * What CRIU is to mount at a restore. It knows mounts by paths, which it goes as root of the container's user namespace; so each gets one in a
 * directory that all may search, in a mount namespace that is thrown away.
 */
struct staging {
	struct arena *arena;
	struct apply *apply;
	int *trees;	  /* one a step of the plan; -1: it takes nothing of the host */
	const char *root; /* where the root file system is bound to */
	const char *dir;  /* empty, for all others */
	bool cgroups_alone;
};

/* Opens the trees, by the host's paths. */
int staging_open(struct staging *g, struct err *e);

/* Attaches them, makes mount points that are missing in the root file system, and gives each mount from outside its key and its source. */
int externals_prepare(const struct staging *g, struct externals *x, struct err *e);

/* What both requests have in common: directories, log, and options. *work is the log's directory: the caller's. */
struct checkpoint_dirs {
	int image, work; /* work may be the same number */
};

int checkpoint_open_dirs(const struct checkpoint_options *o, bool make, struct checkpoint_dirs *d,
			 struct err *e);
void checkpoint_close_dirs(struct checkpoint_dirs *d);
void checkpoint_put_common(struct str *m, const struct spec *s, const struct host *h,
			   const struct checkpoint_options *o, const struct checkpoint_dirs *d,
			   const char *log);
/* Refuses what no CRIU could do for this container here. */
int checkpoint_check(const struct spec *s, const struct host *h, const struct checkpoint_options *o,
		     struct err *e);

#define DESCRIPTORS_FILE "descriptors.json"
#define STREAM_MAX	 36

/*
 * Reads descriptors.json: what the streams 0, 1 and 2 were, of which those matter that another is to be given for: pipes ("pipe:[123]") and
 * FIFOs ("file[1b:a7]": the numbers of its mount and its own). Others are "". 0, or -1 and *e for what runc, crun and ctr do not write.
 */
int descriptors_parse(const char *text, size_t len, char streams[3][STREAM_MAX], struct err *e);

#endif
