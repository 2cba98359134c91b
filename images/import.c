/*
 * import.c - from an archive to an image.
 *
 *	ctr					ctr-unpack
 *	a staging directory below tmp/
 *	start ----------------------------->	namespaces, root, capabilities, seccomp
 *	progress <--------------------------	read, hash, write
 *	counts, digest <--------------------	end
 *	syncfs
 *	documents, each synced
 *	under the lock: rename the layer, then the image, then the name
 *
 * Each rename makes one whole object visible, and what refers to it comes after it. Until the last one the
 * old state holds; a leftover of a kill is below tmp/, or is a layer that the next import of the same
 * archive finds.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "images/images.h"
#include "images/meta.h"
#include "images/rootfs.h"
#include "images/sha256.h"
#include "images/store.h"
#include "images/unpack/unpack.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"

#ifndef CTR_LIBEXECDIR
#define CTR_LIBEXECDIR "/usr/local/libexec/ctr"
#endif

#define DEFAULT_MAX_BYTES   (256ULL << 30)
#define DEFAULT_MAX_ENTRIES 5000000
#define DEFAULT_MAX_RATIO   1000
#define DEFAULT_MAX_MEMORY  (1ULL << 30)
#define DEFAULT_MAX_SECONDS 3600
/* The largest file that ext4 has with its usual blocks; most of such a one is holes. */
#define MAX_FILE (16ULL << 40)
#define MAX_ID	 65535
#define POLL_MS	 100

static const struct image_import_options no_options;

/* --- The helper program ------------------------------------------------------------------------------ */

/* The helper in the directory of @program, into @path; false if there is none. */
static bool beside(const char *program, char path[PATH_MAX])
{
	const char *slash = strrchr(program, '/');

	return slash &&
	       snprintf(path, PATH_MAX, "%.*s/ctr-unpack", (int)(slash - program), program) <
		       PATH_MAX &&
	       access(path, X_OK) == 0;
}

/*
 * /proc/self/exe names this program's file, unless it is a read-only copy without a path of its own: then
 * runtime/self.c has left the original's path in the environment.
 */
static bool own_path(char path[PATH_MAX])
{
	static const char exe[] = "/proc/self/exe";
	ssize_t n = readlink(exe, path, PATH_MAX - 1);
	struct stat running, named;

	if (n <= 0)
		return false;
	path[n] = '\0';
	return stat(exe, &running) == 0 && stat(path, &named) == 0 &&
	       running.st_dev == named.st_dev && running.st_ino == named.st_ino;
}

static int find_unpacker(const struct image_import_options *o, char path[PATH_MAX], struct err *e)
{
	const char *original = getenv("CTR_PROGRAM");
	char own[PATH_MAX];

	if (o->unpacker) {
		if (snprintf(path, PATH_MAX, "%s", o->unpacker) >= PATH_MAX)
			return err_set(e, ENAMETOOLONG, "'%.64s...'", o->unpacker);
		return 0;
	}
	if (own_path(own) ? beside(own, path) :
			    original && *original == '/' && beside(original, path))
		return 0;
	snprintf(path, PATH_MAX, "%s/ctr-unpack", CTR_LIBEXECDIR);
	if (access(path, X_OK) < 0)
		return err_set(e, errno, "cannot find ctr's helper program '%s'", path);
	return 0;
}

/* Runs in the child. A descriptor above those that the helper is given, so that none is overwritten. */
static int lift(int fd)
{
	return fcntl(fd, F_DUPFD, UNPACK_FD_LOCK + 1);
}

static void __attribute__((noreturn))
run_unpacker(const char *path, int in, int target, int talk, int lock)
{
	static char *const env[] = { "LC_ALL=C", NULL };
	char *argv[] = { "ctr-unpack", NULL };
	sigset_t none;
	int null = open("/dev/null", O_WRONLY);

	in = lift(in);
	target = lift(target);
	talk = lift(talk);
	lock = lift(lock);
	if (in < 0 || target < 0 || talk < 0 || lock < 0 || null < 0 ||
	    dup2(in, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(target, UNPACK_FD_TARGET) < 0 || dup2(talk, UNPACK_FD_TALK) < 0 ||
	    dup2(lock, UNPACK_FD_LOCK) < 0)
		_exit(127);
	for (int fd = UNPACK_FD_LOCK + 1;
	     fd < 64 && sys_close_range(UNPACK_FD_LOCK + 1, ~0u, 0) < 0; fd++)
		close(fd); /* before Linux 5.9; all else of ours is O_CLOEXEC anyway */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(path, argv, env);
	_exit(127);
}

struct helper {
	pid_t pid;
	int talk;
	struct unpack_report report; /* the last one heard */
};

static int helper_start(struct helper *h, const char *path, int in, int target, int lock,
			const struct unpack_request *q, struct err *e)
{
	int pair[2];
	auto_fd int theirs = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "cannot make a socket");
	h->talk = pair[0];
	theirs = pair[1];
	if (send(h->talk, q, sizeof(*q), MSG_NOSIGNAL) != sizeof(*q))
		return err_set(e, errno, "cannot write to a socket");
	h->pid = fork();
	if (h->pid < 0)
		return err_set(e, errno, "cannot start '%s'", path);
	if (h->pid == 0)
		run_unpacker(path, in, target, theirs, lock);
	return 0;
}

/* What its end means, when it did not say it itself. */
static int explain_end(int status, const char *path, struct err *e)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(e, ERR_INVALID, "cannot start '%s'", path);
	if (!WIFSIGNALED(status))
		return err_set(e, ERR_INVALID, "the unpacking process ended without a word");
	switch (WTERMSIG(status)) {
	case SIGSYS:
		return err_set(
			e, ERR_INVALID,
			"the unpacking process was stopped: it made a system call that it may not");
	case SIGXCPU:
		return err_set(e, ERR_INVALID,
			       "unpacking takes more processor time than is allowed");
	case SIGKILL:
		return err_set(e, ERR_INVALID, "the unpacking process was killed; out of memory?");
	default:
		return err_set(e, ERR_INVALID, "the unpacking process died of signal %d",
			       WTERMSIG(status));
	}
}

static int cancelled(struct err *e)
{
	err_set(e, ERR_INVALID, "cancelled");
	e->code = ECANCELED;
	return -1;
}

static int progress(const struct image_import_options *o, struct image_progress *p, struct err *e)
{
	return o->progress && !o->progress(o->progress_arg, p) ? cancelled(e) : 0;
}

/* 1 when a report came, 0 when not (yet), -1 when none will come. */
static int hear(struct helper *h)
{
	struct pollfd p = { .fd = h->talk, .events = POLLIN };
	struct unpack_report r;
	ssize_t n;
	int ready = poll(&p, 1, POLL_MS);

	if (ready <= 0)
		return 0;
	n = recv(h->talk, &r, sizeof(r), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	/* the helper has read hostile input: believe only what has the right shape */
	if (n != sizeof(r) || r.version != UNPACK_VERSION || r.compression >= UNPACK_COMPRESSIONS)
		return -1;
	r.err.msg[sizeof(r.err.msg) - 1] = '\0';
	h->report = r;
	return 1;
}

static int helper_follow(struct helper *h, const char *path, const struct image_import_options *o,
			 struct image_progress *p, struct err *e)
{
	int heard, status;

	do {
		heard = hear(h);
		p->bytes_read = h->report.bytes_in;
		p->bytes_out = h->report.bytes_out;
		p->entries = h->report.entries;
		if (progress(o, p, e) < 0)
			return -1; /* killed by whoever owns h */
	} while (heard >= 0 && h->report.state != UNPACK_DONE && h->report.state != UNPACK_FAILED);
	if (heard < 0)
		kill(h->pid,
		     SIGKILL); /* nothing if it ended; a wrong answer must not leave us waiting */
	while (waitpid(h->pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "cannot wait for the unpacking process");
	h->pid = 0;
	if (heard < 0)
		return explain_end(status, path, e);
	if (h->report.state == UNPACK_FAILED) {
		*e = h->report.err;
		return -1;
	}
	return 0;
}

static uint64_t or_default(uint64_t given, uint64_t otherwise)
{
	return given ? given : otherwise;
}

static int unpack(int in, int target, int lock, const struct image_import_options *o,
		  struct image_progress *p, struct unpack_report *r, struct err *e)
{
	const struct unpack_request q = {
		.version = UNPACK_VERSION,
		.strip = o->strip,
		.max_id = MAX_ID,
		.max_bytes = or_default(o->max_bytes, DEFAULT_MAX_BYTES),
		.max_entries = or_default(o->max_entries, DEFAULT_MAX_ENTRIES),
		.max_ratio = or_default(o->max_ratio, DEFAULT_MAX_RATIO),
		.max_memory = or_default(o->max_memory, DEFAULT_MAX_MEMORY),
		.max_seconds = or_default(o->max_seconds, DEFAULT_MAX_SECONDS),
		.max_file = MAX_FILE,
	};
	struct helper h = { .talk = -1 };
	char path[PATH_MAX];
	int rc;

	if (find_unpacker(o, path, e) < 0)
		return -1;
	rc = helper_start(&h, path, in, target, lock, &q, e);
	if (rc == 0)
		rc = helper_follow(&h, path, o, p, e);
	if (h.pid > 0)
		own_kill(&h.pid);
	if (h.talk >= 0)
		close(h.talk);
	if (rc == 0)
		*r = h.report;
	return rc;
}

/* --- Documents --------------------------------------------------------------------------------------- */

static int write_file(int dir, const char *name, const struct str *text, struct err *e)
{
	auto_fd int fd = -1;
	const char *at = str_text(text);
	size_t left = text->len;

	if (text->failed)
		return err_set(e, ENOMEM, "cannot write '%s'", name);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(e, errno, "cannot make '%s'", name);
	while (left) {
		ssize_t n = write(fd, at, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "cannot write '%s'", name);
		at += n;
		left -= (size_t)n;
	}
	/* a rename must not come before the content on disk: ext4 would have an empty file after power loss */
	if (fsync(fd) < 0)
		return err_set(e, errno, "cannot write '%s'", name);
	return 0;
}

static int make_dir(int parent, const char *name, struct err *e)
{
	int fd;

	if (mkdirat(parent, name, 0700) < 0)
		return err_set(e, errno, "cannot make '%s'", name);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "cannot open '%s'", name);
	return fd;
}

/* An import under way. */
struct job {
	struct store *s;
	const struct image_import_options *o;
	struct image_import_result *result;
	struct staging staging;
	struct image_progress progress;
	struct unpack_report report;
	char name[IMAGE_NAME_MAX + 1]; /* canonical, or "" */
	char diff_id[IMAGE_ID_LEN +
		     1]; /* of the only layer: also its chain id (image-spec: ChainID) */
	char layer_path[IMAGE_ID_LEN + 16]; /* relative to the store */
	char image_path[IMAGE_ID_LEN + 16];
};

static int write_layer(struct job *j, struct err *e)
{
	auto_fd int layer = openat(j->staging.dir, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_str struct str text = { 0 };
	const struct meta_layer m = {
		.diff_id = j->diff_id,
		.tar_bytes = j->report.bytes_out,
		.size = j->report.bytes_files,
		.entries = j->report.entries,
		.skipped_devices = j->report.skipped_devices,
		.skipped_xattrs = j->report.skipped_xattrs,
	};

	if (layer < 0)
		return err_set(e, errno, "cannot open '%s/layer'", j->staging.name);
	meta_write_layer(&text, &m);
	if (write_file(layer, "meta.json", &text, e) < 0)
		return -1;
	if (fsync(layer) < 0)
		return err_set(e, errno, "cannot sync '%s/layer'", j->staging.name);
	return 0;
}

static void override(struct image_config *c, const struct image_import_options *o)
{
	if (o->entrypoint) {
		c->entrypoint = *o->entrypoint ? o->entrypoint : NULL;
		c->cmd = NULL; /* what was found out was found out for no entry point */
	}
	if (o->cmd)
		c->cmd = *o->cmd ? o->cmd : NULL;
	if (o->env)
		c->env = *o->env ? o->env : NULL;
	if (o->workdir)
		c->workdir = o->workdir;
	if (o->user)
		c->user = o->user;
	if (o->stop_signal)
		c->stop_signal = o->stop_signal;
}

/* The image's directory below the staging directory; its id into the result. */
static int write_image(struct job *j, struct err *e)
{
	char digest[sizeof("sha256:") + IMAGE_ID_LEN];
	const char *const diff_ids[] = { digest, NULL }, *const layers[] = { j->diff_id, NULL };
	auto_fd int root = openat(j->staging.dir, "layer/fs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_str struct str config = { 0 }, manifest = { 0 }, meta = { 0 };
	struct meta_image m = { .imported = time(NULL),
				.size = j->report.bytes_files,
				.entries = j->report.entries,
				.layers = layers };
	struct image_config c;
	auto_fd int dir = -1;

	if (root < 0)
		return err_set(e, errno, "cannot open '%s/layer/fs'", j->staging.name);
	snprintf(digest, sizeof(digest), "sha256:%s", j->diff_id);
	m.system = rootfs_describe(root, &c) && !j->o->entrypoint && !j->o->cmd;
	override(&c, j->o);
	meta_write_config(&config, &c, diff_ids);
	if (config.failed)
		return err_set(e, ENOMEM, "cannot write the image's configuration");
	sha256_text(config.s, config.len, j->result->id);
	meta_write_manifest(&manifest, j->result->id, config.len, j->diff_id, j->report.bytes_out);
	meta_write_image(&meta, &m);
	dir = make_dir(j->staging.dir, "image", e);
	if (dir < 0 || write_file(dir, "config.json", &config, e) < 0 ||
	    write_file(dir, "manifest.json", &manifest, e) < 0 ||
	    write_file(dir, "meta.json", &meta, e) < 0)
		return -1;
	if (fsync(dir) < 0)
		return err_set(e, errno, "cannot sync '%s/image'", j->staging.name);
	return 0;
}

static int write_ref(struct job *j, struct err *e)
{
	auto_str struct str text = { 0 };

	if (!*j->name)
		return 0;
	str_addf(&text, "%s\n", j->result->id);
	return write_file(j->staging.dir, "ref", &text, e);
}

/* --- Making it visible ------------------------------------------------------------------------------- */

/* 1 if somebody else had it already. */
static int publish(struct job *j, const char *from, const char *to, const char *parent,
		   struct err *e)
{
	char path[STAGING_NAME_MAX + 16];

	snprintf(path, sizeof(path), "%s/%s", j->staging.name, from);
	if (syscall(SYS_renameat2, j->s->fd, path, j->s->fd, to, RENAME_NOREPLACE) < 0) {
		if (errno == EEXIST)
			return 1;
		return err_set(e, errno, "cannot rename '%s' to '%s'", path, to);
	}
	return store_sync_dir(j->s, parent, e);
}

static int publish_ref(struct job *j, struct err *e)
{
	char from[STAGING_NAME_MAX + 16], to[IMAGE_NAME_MAX + 16] = "refs/";

	if (!*j->name)
		return 0;
	snprintf(from, sizeof(from), "%s/ref", j->staging.name);
	name_escape(j->name, to + strlen(to));
	if (renameat(j->s->fd, from, j->s->fd, to) < 0)
		return err_set(e, errno, "cannot set the name '%s'", j->name);
	strcpy(j->result->name, j->name);
	return store_sync_dir(j->s, "refs", e);
}

static int publish_all(struct job *j, struct err *e)
{
	int layer, image, rc;

	if (store_lock(j->s, e) < 0)
		return -1;
	layer = publish(j, "layer", j->layer_path, "layers", e);
	image = layer < 0 ? -1 : publish(j, "image", j->image_path, "images", e);
	rc = image < 0 ? -1 : publish_ref(j, e);
	store_release(j->s);
	j->result->existed = image == 1;
	return rc;
}

/* --- The whole ---------------------------------------------------------------------------------------- */

static int begin(struct job *j, struct err *e)
{
	struct staging trash = STAGING_NONE;
	int rc;

	if (store_lock(j->s, e) < 0)
		return -1;
	rc = staging_sweep(j->s, &trash, e);
	if (rc == 0)
		rc = staging_new(j->s, &j->staging, e);
	store_release(j->s);
	staging_end(j->s, &trash);
	return rc;
}

static void hash_of_stripped(char id[IMAGE_ID_LEN + 1], unsigned n)
{
	char text[IMAGE_ID_LEN + 32];
	int len = snprintf(text, sizeof(text), "%s strip %u\n", id, n);

	sha256_text(text, (size_t)len, id);
}

static int fill(struct job *j, int in, struct err *e)
{
	auto_fd int layer = -1, fs = -1;

	layer = make_dir(j->staging.dir, "layer", e);
	fs = layer < 0 ? -1 : make_dir(layer, "fs", e);
	/* what an archive without an entry for its top directory gets */
	if (fs < 0 || fchmod(fs, 0755) < 0)
		return fs < 0 ? -1 :
				err_set(e, errno, "cannot set the mode of the staging directory");
	if (unpack(in, fs, j->staging.lock, j->o, &j->progress, &j->report, e) < 0)
		return -1;
	hex_of_digest(j->report.digest, j->diff_id);
	if (j->o->strip) /* another tree than the archive's own: it must not pass for that one */
		hash_of_stripped(j->diff_id, j->o->strip);
	return 0;
}

static int finish(struct job *j, struct err *e)
{
	snprintf(j->layer_path, sizeof(j->layer_path), "layers/%s", j->diff_id);
	if (faccessat(j->s->fd, j->layer_path, F_OK, 0) < 0) {
		j->progress.phase = IMAGE_SYNCING;
		if (progress(j->o, &j->progress, e) < 0)
			return -1;
		if (syncfs(j->staging.dir) < 0)
			return err_set(e, errno, "cannot write to '%s'", j->s->path);
	}
	if (write_layer(j, e) < 0 || write_image(j, e) < 0 || write_ref(j, e) < 0)
		return -1;
	snprintf(j->image_path, sizeof(j->image_path), "images/%s", j->result->id);
	/* the last moment to change one's mind */
	if (progress(j->o, &j->progress, e) < 0)
		return -1;
	return publish_all(j, e);
}

static void note_size(int fd, struct image_progress *p)
{
	struct stat st;
	off_t at;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	at = lseek(fd, 0, SEEK_CUR);
	if (at >= 0 && at < st.st_size)
		p->bytes_total = (uint64_t)(st.st_size - at);
}

int image_import(struct store *s, int fd, const char *what, const struct image_import_options *o,
		 struct image_import_result *r, struct err *e)
{
	static const char *const compressions[UNPACK_COMPRESSIONS] = {
		[UNPACK_NONE] = "none", [UNPACK_GZIP] = "gzip",	  [UNPACK_XZ] = "xz",
		[UNPACK_ZSTD] = "zstd", [UNPACK_BZIP2] = "bzip2", [UNPACK_LZ4] = "lz4",
	};
	struct image_import_result result = { .compression = compressions[0] };
	struct job j = {
		.s = s, .o = o ? o : &no_options, .result = &result, .staging = STAGING_NONE
	};
	int rc;

	if (j.o->name && image_name_parse(j.o->name, j.name, e) < 0)
		return -1;
	note_size(fd, &j.progress);
	rc = begin(&j, e);
	if (rc == 0)
		rc = fill(&j, fd, e);
	if (rc == 0)
		rc = finish(&j, e);
	staging_end(s, &j.staging);
	if (rc < 0)
		return err_in(e, "cannot import '%s'", what);
	result.compression = compressions[j.report.compression];
	result.bytes_read = j.report.bytes_in;
	result.bytes_out = j.report.bytes_out;
	result.entries = j.report.entries;
	result.skipped_devices = j.report.skipped_devices;
	result.skipped_xattrs = j.report.skipped_xattrs;
	result.skipped_others = j.report.skipped_others;
	result.trailing_data = j.report.trailing;
	j.progress.phase = IMAGE_DONE;
	if (j.o->progress)
		(void)j.o->progress(j.o->progress_arg, &j.progress); /* too late to cancel */
	*r = result;
	return 0;
}

/* A FIFO or a device would block or never end: those who mean it have '-'. */
static int open_archive(const char *path, struct stat *st, struct err *e)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, st) < 0)
		return err_set(e, errno, "cannot open '%s'", path);
	if (S_ISDIR(st->st_mode))
		return err_set(e, ERR_INVALID, "'%s' is a directory, not an archive", path);
	if (!S_ISREG(st->st_mode))
		return err_set(e, ERR_INVALID,
			       "'%s' is not a regular file; give '-' to read standard input", path);
	return take_fd(&fd);
}

int image_import_file(struct store *s, const char *path, const struct image_import_options *o,
		      struct image_import_result *r, struct err *e)
{
	auto_fd int fd = -1;
	struct stat st;

	if (streq(path, "-")) {
		if (isatty(STDIN_FILENO))
			return err_set(e, ERR_INVALID,
				       "standard input is a terminal: give it an archive to read");
		return image_import(s, STDIN_FILENO, "standard input", o, r, e);
	}
	fd = open_archive(path, &st, e);
	return fd < 0 ? -1 : image_import(s, fd, path, o, r, e);
}

/* --- A tarball in place of an image's name --------------------------------------------------------------- */

/* The file's name without its endings, made to fit image_name_parse()'s grammar. */
static void name_of_file(const char *path, char *out, size_t size)
{
	static const char *const endings[] = { ".gz",  ".xz",  ".zst", ".bz2", ".lz4",
					       ".tar", ".tgz", ".txz", ".tbz", NULL };
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	size_t len = strlen(base), at = 0;

	for (size_t i = 0; endings[i]; i++) {
		size_t n = strlen(endings[i]);

		if (len > n && strncmp(base + len - n, endings[i], n) == 0)
			len -= n;
	}
	for (size_t i = 0; i < len && at + 1 < size; i++) {
		char c = base[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			out[at++] = c;
		else if (at && out[at - 1] != '-' && out[at - 1] != '.')
			out[at++] = c == '.' ? '.' : '-';
	}
	while (at && (out[at - 1] == '-' || out[at - 1] == '.'))
		at--;
	out[at] = '\0';
	if (!at)
		snprintf(out, size, "tarball");
}

/* What must be unchanged for a file to be the same one. ctime: others cannot set it back. */
static void describe_file(const struct stat *st, char *out, size_t size)
{
	snprintf(out, size, "%lld %lld.%09ld %lld.%09ld", (long long)st->st_size,
		 (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec,
		 st->st_ctim.tv_nsec);
}

static void source_path(const struct stat *st, char *out, size_t size)
{
	snprintf(out, size, "sources/%llx-%llx", (unsigned long long)st->st_dev,
		 (unsigned long long)st->st_ino);
}

/* The image that the file became, if it is still there; NULL and no error otherwise. */
static struct image *known_source(struct store *s, const struct stat *st)
{
	char path[64], now[128];
	auto_str struct str text = { 0 };
	const char *id;
	struct err ignored = { 0 };

	source_path(st, path, sizeof(path));
	describe_file(st, now, sizeof(now));
	if (file_read(s->fd, path, 512, &text, &ignored) < 0)
		return NULL;
	if (text.len && text.s[text.len - 1] == '\n')
		text.s[--text.len] = '\0';
	id = str_after(str_text(&text), now);
	if (!id || *id != ' ' || !is_image_id(id + 1))
		return NULL;
	return store_read_image(s, id + 1, NULL, &ignored);
}

/* A lost entry costs an import, so a failure is not one of the command. */
static void remember_source(struct store *s, const struct stat *st, const char *id)
{
	char path[64], from[STAGING_NAME_MAX + 16], now[128];
	struct staging g = STAGING_NONE;
	auto_str struct str text = { 0 };
	struct err e = { 0 };

	source_path(st, path, sizeof(path));
	describe_file(st, now, sizeof(now));
	str_addf(&text, "%s %s\n", now, id);
	if (store_lock(s, &e) == 0) {
		if (staging_new(s, &g, &e) == 0 && write_file(g.dir, "source", &text, &e) == 0) {
			snprintf(from, sizeof(from), "%s/source", g.name);
			if (renameat(s->fd, from, s->fd, path) < 0)
				err_set(&e, errno, "cannot write '%s'", path);
		}
		store_release(s);
		staging_end(s, &g);
	}
	if (e.code)
		log_warn("the tarball will be read again next time: %s", e.msg);
}

static int set_name(struct store *s, const char *name, const char *id, struct err *e)
{
	char path[IMAGE_NAME_MAX + 16] = "refs/", from[STAGING_NAME_MAX + 16];
	struct staging g = STAGING_NONE;
	auto_str struct str text = { 0 };
	int rc;

	name_escape(name, path + strlen(path));
	str_addf(&text, "%s\n", id);
	if (store_lock(s, e) < 0)
		return -1;
	rc = staging_new(s, &g, e);
	if (rc == 0)
		rc = write_file(g.dir, "ref", &text, e);
	snprintf(from, sizeof(from), "%s/ref", g.name);
	if (rc == 0 && renameat(s->fd, from, s->fd, path) < 0)
		rc = err_set(e, errno, "cannot set the name '%s'", name);
	if (rc == 0)
		rc = store_sync_dir(s, "refs", e);
	store_release(s);
	staging_end(s, &g);
	return rc;
}

struct image *image_from_file(struct store *s, const char *path,
			      const struct image_import_options *o, struct image_import_result *r,
			      struct err *e)
{
	struct image_import_result result = { 0 };
	struct stat before, after;
	char name[IMAGE_NAME_MAX + 1], base[IMAGE_NAME_MAX - IMAGE_ID_SHORT];
	const char *names[] = { name, NULL };
	auto_fd int fd = open_archive(path, &before, e);
	bool indexed;
	struct image *img;

	if (fd < 0)
		return NULL;
	if (!o)
		o = &no_options;
	indexed = !o->name && !o->strip && !o->entrypoint && !o->cmd && !o->env && !o->workdir &&
		  !o->user && !o->stop_signal;
	img = indexed ? known_source(s, &before) : NULL;
	if (r)
		*r = result;
	if (img)
		return img;
	if (image_import(s, fd, path, o, &result, e) < 0)
		return NULL;
	strcpy(name, result.name);
	if (!*name) {
		name_of_file(path, base, sizeof(base));
		snprintf(name, sizeof(name), "%s:%.*s", base, IMAGE_ID_SHORT, result.id);
		if (set_name(s, name, result.id, e) < 0)
			return NULL;
		strcpy(result.name, name);
	}
	/* written to while it was read: what was read then is nobody's file */
	if (indexed && fstat(fd, &after) == 0 && after.st_size == before.st_size &&
	    after.st_mtim.tv_sec == before.st_mtim.tv_sec &&
	    after.st_mtim.tv_nsec == before.st_mtim.tv_nsec)
		remember_source(s, &after, result.id);
	if (r)
		*r = result;
	return store_read_image(s, result.id, names, e);
}
