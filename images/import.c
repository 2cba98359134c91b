/*
 * import.c - from an archive to an image.
 *
 *	ctr					ctr-unpack
 *	a staging directory below tmp/
 *	start ----------------------------->	namespaces, root, capabilities, seccomp
 *	progress <--------------------------	read, hash, write the layers, then the root; each synced
 *	a layer of the store <-- asks -------
 *	counts, digests <-------------------	end
 *	mount the root: does this kernel take it?
 *	documents, each synced
 *	under the lock: rename the layers, then the root, then the image, then the name
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

#include "images/helper.h"
#include "images/images.h"
#include "images/meta.h"
#include "images/rootfs.h"
#include "runtime/base/sha256.h"
#include "images/store.h"
#include "images/unpack/unpack.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"

#define ROOT_PATH_MAX (STAGING_NAME_MAX + 64)

static const struct image_import_options no_options;

/* --- An import under way ----------------------------------------------------------------------------- */

#define IMAGES_MAX     64 /* of an archive */
#define FILESYSTEM_MAX (256ull << 30)

/* One of the archive's images. Paths are relative to the store. */
struct item {
	char id[IMAGE_ID_LEN + 1], root[IMAGE_ID_LEN + 1];
	char dir[STAGING_NAME_MAX + 32]; /* where the helper left it */
	const char *const *layers;	 /* diff ids, bottom first */
	size_t n_layers;
	const char *const *names; /* canonical */
	uint64_t size, entries;
	bool existed;
};

struct job {
	struct store *s;
	const struct image_import_options *o;
	struct image_import_result *result;
	struct arena *a;
	struct staging staging;
	struct image_progress progress;
	struct unpack_report report;
	char name[IMAGE_NAME_MAX + 1]; /* the one asked for, canonical, or "" */
	int out;		       /* the helper's directory, "out" of the staging directory */
	char out_path[STAGING_NAME_MAX + 8];
	unsigned flags;		/* for the helper */
	bool to_sync;		/* files were made that nobody synced */
	const char *filesystem; /* what is imported is one: its type */
	struct item *items;
	size_t n;
};

static int read_lines(struct job *j, const struct item *i, const char *file,
		      const char *const **out, size_t *n, struct err *e)
{
	char path[STAGING_NAME_MAX + 64];
	auto_str struct str text = { 0 };
	const char **list;
	size_t count = 0;

	snprintf(path, sizeof(path), "%s/%s", i->dir, file);
	*n = 0;
	if (file_read(j->s->fd, path, META_MAX, &text, e) < 0)
		return -1;
	for (size_t k = 0; k < text.len; k++)
		count += text.s[k] == '\n';
	*out = list = arena_array(j->a, count + 1, sizeof(*list));
	if (!list)
		return err_set(e, ENOMEM, "cannot import");
	for (char *line = text.s, *end; *n < count; line = end + 1) {
		end = strchr(line, '\n');
		if (!end)
			break; /* a zero in it: shorter than it says */
		list[(*n)++] = arena_strndup(j->a, line, (size_t)(end - line));
	}
	return 0;
}

/* The friendly form of a name that other tools spell out. */
static const char *familiar(const char *name)
{
	const char *rest = str_after(name, "docker.io/"),
		   *official = str_after(name, "docker.io/library/");

	return official ? official : rest ? rest : name;
}

static int set_names(struct job *j, struct item *i, struct err *e)
{
	const char *const *given = NULL;
	const char **names;
	size_t n = 0, kept = 0;
	struct err why = { 0 };

	if (!*j->name && j->report.kind != UNPACK_ROOTFS &&
	    read_lines(j, i, "names", &given, &n, &why) < 0 && why.code != ENOENT) {
		*e = why;
		return -1;
	}
	i->names = names = arena_array(j->a, n + 2, sizeof(*names));
	if (!names)
		return err_set(e, ENOMEM, "cannot import");
	if (*j->name)
		names[kept++] = j->name;
	for (size_t k = 0; k < n; k++) {
		char canonical[IMAGE_NAME_MAX + 1];

		if (image_name_parse(familiar(given[k]), canonical, &why) < 0)
			log_warn("a name that the archive gives is left out: %s", why.msg);
		else if (!(names[kept++] = arena_strdup(j->a, canonical)))
			return err_set(e, ENOMEM, "cannot import");
	}
	return 0;
}

/* What the helper says that the image is made of; it has read hostile input. */
static int read_item(struct job *j, struct item *i, unsigned number, struct err *e)
{
	snprintf(i->dir, sizeof(i->dir), "%s/images/%u", j->out_path, number);
	if (read_lines(j, i, "layers", &i->layers, &i->n_layers, e) < 0)
		return -1;
	if (!i->n_layers || i->n_layers > META_LAYERS_MAX)
		return err_set(e, ERR_INVALID, "an image of %zu layers", i->n_layers);
	for (size_t k = 0; k < i->n_layers; k++)
		if (!i->layers[k] || !is_image_id(i->layers[k]))
			return err_set(e, ERR_INVALID, "layer %zu has no digest", k);
	return root_id(i->layers, j->report.kind == UNPACK_OCI || j->report.kind == UNPACK_DOCKER,
		       i->root, e) < 0 ?
		       -1 :
		       set_names(j, i, e);
}

/* Directories in place of the index that the helper made, which cannot be mounted here. */
static int unpack_instead(struct job *j, const struct item *i, struct err *e)
{
	const struct source src = { .archive = -1,
				    .layout = -1,
				    .store = j->s->fd,
				    .staged = j->out,
				    .layers = i->layers,
				    .n_layers = i->n_layers };
	bool whiteouts = j->report.kind == UNPACK_OCI || j->report.kind == UNPACK_DOCKER;
	char path[STAGING_NAME_MAX + 64], made[STAGING_NAME_MAX + 64];
	struct unpack_report r = { 0 };
	auto_fd int dir = -1;

	snprintf(path, sizeof(path), "%s/root", i->dir);
	if (unlinkat(j->s->fd, path, 0) < 0)
		return err_set(e, errno, "cannot remove '%s'", path);
	snprintf(path, sizeof(path), "%s/unpacked", i->dir);
	dir = store_make_dir(j->s->fd, path, e);
	if (dir < 0 ||
	    unpack(&src, UNPACK_REBUILD, UNPACK_DIRECTORIES | (whiteouts ? UNPACK_WHITEOUTS : 0),
		   dir, j->staging.lock, &no_options, &(struct image_progress){ 0 }, &r, e) < 0)
		return -1;
	snprintf(made, sizeof(made), "%s/unpacked/images/0/root", i->dir);
	snprintf(path, sizeof(path), "%s/root", i->dir);
	if (renameat(j->s->fd, made, j->s->fd, path) < 0)
		return err_set(e, errno, "cannot rename '%s'", made);
	j->report.skipped_xattrs += r.skipped_xattrs;
	j->flags |= UNPACK_DIRECTORIES;
	j->to_sync = j->result->unpacked = true;
	return 0;
}

/* A descriptor of the image's root, which so is known to be one that this kernel takes. */
static int open_root(struct job *j, const struct item *i, struct err *e)
{
	char path[STAGING_NAME_MAX + 64], staged[STAGING_NAME_MAX + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/root", i->dir);
	snprintf(staged, sizeof(staged), "%s/layers", j->out_path);
	if (j->filesystem)
		return filesystem_mount(j->s, path, j->filesystem, e);
	if (!(j->flags & UNPACK_DIRECTORIES)) {
		fd = index_mount(j->s, path, i->layers, staged, e);
		if (fd >= 0 || e->code != ERR_NOT_SUPPORTED)
			return fd;
		log_debug("%s", e->msg);
		*e = (struct err){ 0 };
		if (unpack_instead(j, i, e) < 0)
			return -1;
	}
	fd = openat(j->s->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_set(e, errno, "cannot open '%s'", path) : fd;
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

/* For a root filesystem, which brings no configuration: what can be told from it. */
static int describe(struct job *j, struct item *i, int root, struct meta_image *m,
		    struct str *config, struct str *manifest, struct err *e)
{
	char digest[sizeof("sha256:") + IMAGE_ID_LEN], path[STAGING_NAME_MAX + 96];
	const char *const diff_ids[] = { digest, NULL };
	struct image_config c;
	struct stat st;

	snprintf(path, sizeof(path), "%s/layers/%s", j->out_path, i->layers[0]);
	if (fstatat(j->s->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, errno, "cannot stat '%s'", path);
	snprintf(digest, sizeof(digest), "sha256:%s", i->layers[0]);
	m->system = rootfs_describe(root, &c) && !j->o->entrypoint && !j->o->cmd;
	override(&c, j->o);
	meta_write_config(config, &c, diff_ids);
	if (config->failed)
		return err_set(e, ENOMEM, "cannot write the image's configuration");
	sha256_text(config->s, config->len, i->id);
	meta_write_manifest(manifest, i->id, config->len,
			    (const char *const[]){ i->layers[0], NULL },
			    &(uint64_t){ (uint64_t)st.st_size });
	return 0;
}

/* The documents that came with the image. Its layers are those that its configuration names, or it is none. */
static int adopt(struct job *j, struct item *i, int root, struct meta_image *m, struct str *config,
		 struct str *manifest, struct err *e)
{
	char path[STAGING_NAME_MAX + 64];
	const char *const *diff_ids;
	struct image_config c, found;

	snprintf(path, sizeof(path), "%s/config.json", i->dir);
	if (file_read(j->s->fd, path, META_MAX, config, e) < 0 ||
	    meta_read_config(j->a, str_text(config), config->len, &c, &diff_ids, e) < 0)
		return -1;
	for (size_t k = 0; k < i->n_layers || diff_ids[k]; k++)
		if (k >= i->n_layers || !diff_ids[k] ||
		    !streq(meta_digest(diff_ids[k]), i->layers[k]))
			return err_set(e, ERR_INVALID,
				       "its layers are not those that its configuration names");
	snprintf(path, sizeof(path), "%s/manifest.json", i->dir);
	if (file_read(j->s->fd, path, META_MAX, manifest, e) < 0)
		return -1;
	sha256_text(str_text(config), config->len, i->id);
	/* made to be booted: what it runs is an init, and nothing else is */
	m->system = rootfs_describe(root, &found) && !c.entrypoint && c.cmd && !c.cmd[1] &&
		    streq(c.cmd[0], found.cmd[0]);
	return 0;
}

static int read_facts(struct job *j, struct item *i, struct meta_image *m, struct err *e)
{
	char path[STAGING_NAME_MAX + 64];
	auto_str struct str text = { 0 };
	unsigned long long entries, bytes;

	snprintf(path, sizeof(path), "%s/facts", i->dir);
	if (file_read(j->s->fd, path, 128, &text, e) < 0)
		return -1;
	if (sscanf(str_text(&text), "%llu %llu", &entries, &bytes) != 2)
		return err_set(e, ERR_INVALID, "'%s' is damaged", path);
	m->entries = i->entries = entries;
	m->size = i->size = bytes;
	return 0;
}

/* The image's documents, below "image" of the helper's directory, and beside it its names. */
static int write_files(struct job *j, const struct item *i, const struct str *config,
		       const struct str *manifest, const struct str *meta, struct err *e)
{
	auto_fd int dir = openat(j->s->fd, i->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), image = -1;
	auto_str struct str id = { 0 };
	struct store_file *files;
	size_t n = 0;

	if (dir < 0)
		return err_set(e, errno, "cannot open '%s'", i->dir);
	for (size_t k = 0; i->names[k]; k++)
		n++;
	files = arena_array(j->a, 3 + n, sizeof(*files));
	if (!files)
		return err_set(e, ENOMEM, "cannot import");
	str_addf(&id, "%s\n", i->id);
	image = store_make_dir(dir, "image", e);
	if (image < 0)
		return -1;
	files[0] = (struct store_file){ "image/config.json", config };
	files[1] = (struct store_file){ "image/manifest.json", manifest };
	files[2] = (struct store_file){ "image/meta.json", meta };
	for (size_t k = 0; k < n; k++) {
		files[3 + k] = (struct store_file){ arena_printf(j->a, "ref.%zu", k), &id };
		if (!files[3 + k].name)
			return err_set(e, ENOMEM, "cannot import");
	}
	if (store_write_files(dir, files, 3 + n, e) < 0)
		return -1;
	return fsync(image) < 0 ? err_set(e, errno, "cannot sync '%s/image'", i->dir) : 0;
}

/* What the image's root and its own documents say of it. */
static int write_image(struct job *j, struct item *i, struct err *e)
{
	bool own = j->report.kind == UNPACK_ROOTFS || j->report.kind == UNPACK_INCUS;
	auto_str struct str config = { 0 }, manifest = { 0 }, meta = { 0 };
	struct meta_image m = { .imported = time(NULL),
				.whiteouts = !own,
				.root = i->root,
				.filesystem = j->filesystem,
				.layers = i->layers };
	auto_fd int root = open_root(j, i, e);

	if (root < 0 || read_facts(j, i, &m, e) < 0 ||
	    (own ? describe(j, i, root, &m, &config, &manifest, e) :
		   adopt(j, i, root, &m, &config, &manifest, e)) < 0)
		return -1;
	meta_write_image(&meta, &m);
	return write_files(j, i, &config, &manifest, &meta, e);
}

/* --- Making it visible ------------------------------------------------------------------------------- */

/* 1 if somebody else had it already. */
static int publish(struct job *j, const char *from, const char *to, struct err *e)
{
	if (sys_renameat2(j->s->fd, from, j->s->fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EEXIST)
		return 1;
	return err_set(e, errno, "cannot rename '%s' to '%s'", from, to);
}

/* All files of the helper's directory @what to the store's of the same name. */
struct move {
	struct job *j;
	const char *what;
};

static int move_one(void *arg, const char *name, struct err *e)
{
	struct move *m = arg;
	char from[PATH_MAX], to[IMAGE_ID_LEN + 16];

	if (!is_image_id(name))
		return 0;
	snprintf(from, sizeof(from), "%s/%s/%s", m->j->out_path, m->what, name);
	snprintf(to, sizeof(to), "%s/%s", m->what, name);
	return publish(m->j, from, to, e) < 0 ? -1 : 0;
}

static int publish_files(struct job *j, const char *what, struct err *e)
{
	struct move m = { j, what };
	char path[STAGING_NAME_MAX + 16];

	snprintf(path, sizeof(path), "%s/%s", j->out_path, what);
	if (faccessat(j->s->fd, path, F_OK, 0) < 0)
		return 0;
	return store_each(j->s, path, move_one, &m, e);
}

/* Ours, or one that was there before: what the image is made of must be in the store by now. */
static int check_layers(struct job *j, const struct item *i, struct err *e)
{
	char path[IMAGE_ID_LEN + 16];

	for (size_t k = 0; k < i->n_layers; k++) {
		snprintf(path, sizeof(path), "layers/%s", i->layers[k]);
		if (faccessat(j->s->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			return err_set(
				e, errno,
				"a layer that was in the store has been removed meanwhile: try again");
	}
	return 0;
}

static int publish_root(struct job *j, const struct item *i, struct err *e)
{
	char from[STAGING_NAME_MAX + 64], to[IMAGE_ID_LEN + 16];

	snprintf(from, sizeof(from), "%s/root", i->dir);
	snprintf(to, sizeof(to), "roots/%s", i->root);
	return check_layers(j, i, e) < 0 || publish(j, from, to, e) < 0 ? -1 : 0;
}

static int publish_image(struct job *j, struct item *i, struct err *e)
{
	char from[STAGING_NAME_MAX + 64], to[IMAGE_ID_LEN + 16];
	int rc;

	snprintf(from, sizeof(from), "%s/image", i->dir);
	snprintf(to, sizeof(to), "images/%s", i->id);
	rc = publish(j, from, to, e);
	i->existed = rc == 1;
	return rc < 0 ? -1 : 0;
}

static int publish_names(struct job *j, const struct item *i, struct err *e)
{
	for (size_t k = 0; i->names[k]; k++) {
		char from[STAGING_NAME_MAX + 64], to[IMAGE_NAME_MAX + 16] = "refs/";

		snprintf(from, sizeof(from), "%s/ref.%zu", i->dir, k);
		name_escape(i->names[k], to + strlen(to));
		if (renameat(j->s->fd, from, j->s->fd, to) < 0)
			return err_set(e, errno, "cannot set the name '%s'", i->names[k]);
	}
	return 0;
}

/* What refers to something comes after it, on the disk as well. */
static int publish_locked(struct job *j, struct err *e)
{
	if (publish_files(j, "layers", e) < 0 || publish_files(j, "blobs", e) < 0)
		return -1;
	for (size_t k = 0; k < j->n; k++)
		if (publish_root(j, &j->items[k], e) < 0)
			return -1;
	if (store_sync_dir(j->s, "layers", e) < 0 || store_sync_dir(j->s, "blobs", e) < 0 ||
	    store_sync_dir(j->s, "roots", e) < 0)
		return -1;
	for (size_t k = 0; k < j->n; k++)
		if (publish_image(j, &j->items[k], e) < 0)
			return -1;
	if (store_sync_dir(j->s, "images", e) < 0)
		return -1;
	for (size_t k = 0; k < j->n; k++)
		if (publish_names(j, &j->items[k], e) < 0)
			return -1;
	return store_sync_dir(j->s, "refs", e);
}

static int publish_all(struct job *j, struct err *e)
{
	int rc;

	if (store_lock(j->s, e) < 0)
		return -1;
	rc = publish_locked(j, e);
	store_release(j->s);
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
	if (rc < 0)
		return -1;
	snprintf(j->out_path, sizeof(j->out_path), "%s/out", j->staging.name);
	j->out = store_make_dir(j->staging.dir, "out", e);
	return j->out < 0 ? -1 : 0;
}

static int fill(struct job *j, const struct source *src, enum unpack_job what, struct err *e)
{
	j->flags = (j->o->unpacked ? UNPACK_DIRECTORIES : 0) |
		   (j->o->keep_blobs ? UNPACK_KEEP_BLOBS : 0) |
		   (j->o->digest ? UNPACK_HASH_INPUT : 0);
	j->to_sync = j->result->unpacked = j->o->unpacked;
	if (unpack(src, what, j->flags, j->out, j->staging.lock, j->o, &j->progress, &j->report,
		   e) < 0)
		return -1;
	if (!j->report.images || j->report.images > IMAGES_MAX || j->report.kind >= UNPACK_KINDS)
		return err_set(e, ERR_INVALID, "it holds %u images", (unsigned)j->report.images);
	if (*j->name && j->report.images > 1)
		return err_set(e, ERR_INVALID,
			       "it holds %u images, and one name cannot be all of theirs",
			       (unsigned)j->report.images);
	j->n = j->report.images;
	j->items = arena_array(j->a, j->n, sizeof(*j->items));
	return j->items ? 0 : err_set(e, ENOMEM, "cannot import");
}

/* The helper's part for what nobody has to unpack: the file is the layer, and by another name the root. */
static int fill_filesystem(struct job *j, int from, struct err *e)
{
	static const char none[] =
		"neither a squashfs nor an EROFS file system: without --as-is archives are imported";
	char id[IMAGE_ID_LEN + 1], layer[IMAGE_ID_LEN + 16];
	auto_str struct str layers = { 0 }, facts = { 0 };
	auto_fd int fd = -1, dir = -1, images = -1, image = -1;
	uint64_t most = j->o->max_bytes ? j->o->max_bytes : FILESYSTEM_MAX;
	char buf[65536];
	ssize_t n;

	dir = store_make_dir(j->out, "layers", e);
	fd = dir < 0 ? -1 : openat(dir, "part", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return dir < 0 ? -1 : err_set(e, errno, "cannot make a file");
	while ((n = read(from, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "cannot read it");
		for (ssize_t done = 0, m; done < n; done += m) {
			m = write(fd, buf + done, (size_t)(n - done));
			if (m < 0)
				return err_set(e, errno, "cannot write to '%s'", j->s->path);
		}
		j->progress.bytes_read += (uint64_t)n;
		if (j->progress.bytes_read > most)
			return err_set(e, ERR_INVALID, "it is larger than %llu bytes",
				       (unsigned long long)most);
		/* before gigabytes of something else are read */
		if (!j->filesystem && j->progress.bytes_read >= 4096 &&
		    !(j->filesystem = filesystem_type(fd)))
			return err_set(e, ERR_INVALID, "%s", none);
		if (import_progress(j->o, &j->progress, e) < 0)
			return -1;
	}
	if (!j->filesystem && !(j->filesystem = filesystem_type(fd)))
		return err_set(e, ERR_INVALID, "%s", none);
	if (fsync(fd) < 0 || sha256_file(fd, id) < 0)
		return err_set(e, errno, "cannot write to '%s'", j->s->path);
	snprintf(layer, sizeof(layer), "layers/%s", id);
	images = store_make_dir(j->out, "images", e);
	image = images < 0 ? -1 : store_make_dir(images, "0", e);
	if (image < 0)
		return -1;
	if (renameat(dir, "part", j->out, layer) < 0 || linkat(j->out, layer, image, "root", 0) < 0)
		return err_set(e, errno, "cannot name a file");
	str_addf(&layers, "%s\n", id);
	str_addf(&facts, "0 %llu\n", (unsigned long long)j->progress.bytes_read);
	if (store_write_file(image, "layers", &layers, e) < 0 ||
	    store_write_file(image, "facts", &facts, e) < 0)
		return -1;
	(void)digest_of_hex(id, j->report.input_digest);
	j->report.kind = UNPACK_ROOTFS;
	j->report.bytes_in = j->report.bytes_out = j->progress.bytes_read;
	j->report.images = j->n = 1;
	j->items = arena_array(j->a, 1, sizeof(*j->items));
	return j->items ? 0 : err_set(e, ENOMEM, "cannot import");
}

/* CVE-2026-33542: what was asked for is what was got, or nothing is. */
static int check_pin(struct job *j, struct err *e)
{
	const char *want = j->o->digest ? meta_digest(j->o->digest) : NULL;
	char got[IMAGE_ID_LEN + 1];

	if (!want)
		return 0;
	hex_of_digest(j->report.input_digest, got);
	if (streq(want, got) || (j->n == 1 && streq(want, j->items[0].id)))
		return 0;
	return err_set(
		e, ERR_INVALID,
		"its digest is sha256:%s, and it holds image %s: neither is what was asked for",
		got, j->items[0].id);
}

static int finish(struct job *j, struct err *e)
{
	j->progress.phase = IMAGE_SYNCING;
	for (size_t k = 0; k < j->n; k++)
		if (read_item(j, &j->items[k], (unsigned)k, e) < 0 ||
		    write_image(j, &j->items[k], e) < 0)
			return -1;
	if (check_pin(j, e) < 0 || import_progress(j->o, &j->progress, e) < 0)
		return -1;
	if (j->to_sync && syncfs(j->staging.dir) < 0)
		return err_set(e, errno, "cannot write to '%s'", j->s->path);
	/* the last moment to change one's mind */
	if (import_progress(j->o, &j->progress, e) < 0)
		return -1;
	return publish_all(j, e);
}

static void note_size(int fd, struct image_progress *p)
{
	struct stat st;
	off_t at;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	at = lseek(fd, 0, SEEK_CUR);
	if (at >= 0 && at < st.st_size)
		p->bytes_total = (uint64_t)(st.st_size - at);
}

static void report_result(struct job *j)
{
	static const char *const compressions[UNPACK_COMPRESSIONS] = {
		[UNPACK_NONE] = "none", [UNPACK_GZIP] = "gzip",	  [UNPACK_XZ] = "xz",
		[UNPACK_ZSTD] = "zstd", [UNPACK_BZIP2] = "bzip2", [UNPACK_LZ4] = "lz4",
	};
	static const char *const kinds[UNPACK_KINDS] = {
		[UNPACK_ROOTFS] = "root filesystem",
		[UNPACK_OCI] = "OCI image",
		[UNPACK_DOCKER] = "docker archive",
		[UNPACK_INCUS] = "Incus image",
	};
	struct image_import_result *r = j->result;

	strcpy(r->id, j->items[0].id);
	if (j->items[0].names[0])
		strcpy(r->name, j->items[0].names[0]);
	r->images = (unsigned)j->n;
	r->existed = true;
	for (size_t k = 0; k < j->n; k++)
		r->existed = r->existed && j->items[k].existed;
	r->kind = j->filesystem ? j->filesystem : kinds[j->report.kind];
	r->compression = compressions[j->report.compression];
	r->bytes_read = j->report.bytes_in;
	r->bytes_out = j->report.bytes_out;
	for (size_t k = 0; k < j->n; k++) {
		r->size += j->items[k].size;
		r->entries += j->items[k].entries;
	}
	r->skipped_devices = j->report.skipped_devices;
	r->skipped_xattrs = j->report.skipped_xattrs;
	r->skipped_others = j->report.skipped_others;
	r->trailing_data = j->report.trailing;
	for (size_t k = 0; j->o->loaded && k < j->n; k++) {
		const struct item *i = &j->items[k];

		if (!i->names[0])
			j->o->loaded(j->o->loaded_arg, i->id, "");
		for (size_t n = 0; i->names[n]; n++)
			j->o->loaded(j->o->loaded_arg, i->id, i->names[n]);
	}
}

static int import(struct store *s, const struct source *src, enum unpack_job what, const char *name,
		  const struct image_import_options *o, struct image_import_result *r,
		  struct err *e)
{
	auto_arena struct arena *a = arena_new(0);
	struct image_import_result result = { .id = "" };
	struct job j = { .s = s,
			 .o = o ? o : &no_options,
			 .result = &result,
			 .a = a,
			 .staging = STAGING_NONE,
			 .out = -1 };
	int rc;

	if (!a)
		return err_set(e, ENOMEM, "cannot import '%s'", name);
	if (j.o->name && image_name_parse(j.o->name, j.name, e) < 0)
		return -1;
	if (j.o->digest && !meta_digest(j.o->digest))
		return err_set(e, ERR_INVALID, "'%s' is not a digest, sha256: and 64 hex digits",
			       j.o->digest);
	if (j.o->as_is && (src->archive < 0 || j.o->strip || j.o->unpacked || j.o->keep_blobs))
		return err_set(
			e, ERR_USAGE,
			"--as-is is for a file system in a file, and goes with no other way to keep it");
	note_size(src->archive, &j.progress);
	rc = begin(&j, e);
	if (rc == 0)
		rc = j.o->as_is ? fill_filesystem(&j, src->archive, e) : fill(&j, src, what, e);
	if (rc == 0)
		rc = finish(&j, e);
	staging_end(s, &j.staging);
	if (j.out >= 0)
		close(j.out);
	if (rc < 0)
		return err_in(e, "cannot import '%s'", name);
	report_result(&j);
	j.progress.phase = IMAGE_DONE;
	if (j.o->progress)
		(void)j.o->progress(j.o->progress_arg, &j.progress); /* too late to cancel */
	*r = result;
	return 0;
}

int image_import(struct store *s, int fd, const char *what, const struct image_import_options *o,
		 struct image_import_result *r, struct err *e)
{
	const struct source src = { .archive = fd, .layout = -1, .store = s->fd, .staged = -1 };

	return import(s, &src, UNPACK_IMPORT, what, o, r, e);
}

int image_import_layout(struct store *s, int dir, const char *what,
			const struct image_import_options *o, struct image_import_result *r,
			struct err *e)
{
	const struct source src = { .archive = -1, .layout = dir, .store = s->fd, .staged = -1 };

	return import(s, &src, UNPACK_LAYOUT, what, o, r, e);
}

/* --- A tree that is no image ---------------------------------------------------------------------------- */

int image_part_open(struct store *s, int fd, const char *what, const struct image_import_options *o,
		    struct image_part *p, struct err *e)
{
	struct job j = { .s = s,
			 .o = o ? o : &no_options,
			 .result = &(struct image_import_result){ .id = "" },
			 .staging = STAGING_NONE,
			 .out = -1 };
	const struct source src = { .archive = fd, .layout = -1, .store = -1, .staged = -1 };
	int rc;

	note_size(fd, &j.progress);
	rc = begin(&j, e);
	if (rc == 0)
		rc = unpack(&src, UNPACK_IMPORT, UNPACK_DIRECTORIES | UNPACK_PART, j.out,
			    j.staging.lock, j.o, &j.progress, &j.report, e);
	*p = (struct image_part){
		.store = s, .lock = j.staging.lock, .dir = j.staging.dir, .fd = -1
	};
	strcpy(p->staging, j.staging.name);
	if (rc == 0) {
		struct err ignored;

		(void)tree_remove(j.out, "layers", &ignored); /* the archive itself */
		p->fd = openat(j.out, "images/0/root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (p->fd < 0)
			rc = err_set(e, errno, "cannot open what was unpacked");
	}
	if (j.out >= 0)
		close(j.out);
	if (rc < 0) {
		image_part_close(p);
		return err_in(e, "cannot read '%s'", what);
	}
	return 0;
}

void image_part_close(struct image_part *p)
{
	struct staging g = { .dir = p->dir, .lock = p->lock };

	own_close(&p->fd);
	if (p->store) {
		strcpy(g.name, p->staging);
		staging_end(p->store, &g);
	}
	*p = (struct image_part)IMAGE_PART_NONE;
}

/* --- A root anew -------------------------------------------------------------------------------------- */

static int swap_root(struct store *s, const char *made, const char *root, struct err *e)
{
	char path[IMAGE_ID_LEN + 16];

	snprintf(path, sizeof(path), "roots/%s", root);
	if (store_lock(s, e) < 0)
		return -1;
	if (sys_renameat2(s->fd, made, s->fd, path, RENAME_EXCHANGE) < 0 &&
	    (errno != ENOENT || renameat(s->fd, made, s->fd, path) < 0))
		err_set(e, errno, "cannot rename '%s' to '%s'", made, path);
	store_release(s);
	return e->code ? -1 : store_sync_dir(s, "roots", e);
}

/* Builds the root of image @id below the staging directory @j; its path, relative to the store, into @path. */
static int build_root(struct job *j, const char *id, bool unpacked, struct meta_image *m,
		      char path[ROOT_PATH_MAX], struct err *e)
{
	struct source src = { .archive = -1, .layout = -1, .store = j->s->fd, .staged = -1 };
	auto_str struct str text = { 0 };
	struct item i = { .names = NULL };
	int root;

	snprintf(path, ROOT_PATH_MAX, "images/%s/meta.json", id);
	if (file_read(j->s->fd, path, META_MAX, &text, e) < 0 ||
	    meta_read_image(j->a, str_text(&text), text.len, m, e) < 0)
		return -1;
	if (m->filesystem)
		return err_set(e, ERR_NOT_SUPPORTED,
			       "it is a file system (%s), which nothing is made of", m->filesystem);
	while (m->layers[src.n_layers])
		src.n_layers++;
	if (begin(j, e) < 0)
		return -1;
	src.layers = m->layers;
	i.layers = m->layers;
	i.n_layers = src.n_layers;
	snprintf(i.dir, sizeof(i.dir), "%s/images/0", j->out_path);
	j->flags = unpacked ? UNPACK_DIRECTORIES : 0;
	if (unpack(&src, UNPACK_REBUILD, j->flags | (m->whiteouts ? UNPACK_WHITEOUTS : 0), j->out,
		   j->staging.lock, j->o, &j->progress, &j->report, e) < 0)
		return -1;
	j->report.kind = m->whiteouts ? UNPACK_OCI : UNPACK_ROOTFS;
	root = open_root(j, &i, e);
	if (root < 0)
		return -1;
	close(root);
	if ((j->flags & UNPACK_DIRECTORIES) && syncfs(j->staging.dir) < 0)
		return err_set(e, errno, "cannot write to '%s'", j->s->path);
	snprintf(path, ROOT_PATH_MAX, "%s/root", i.dir);
	return 0;
}

static int same_content(struct store *s, const char *one, const char *two, struct err *e)
{
	auto_fd int a = openat(s->fd, one, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	auto_fd int b = openat(s->fd, two, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char left[32768], right[32768];
	ssize_t n;

	if (a < 0 || b < 0)
		return a < 0 && errno == ENOENT ? 0 : err_set(e, errno, "cannot read '%s'", one);
	while ((n = read(a, left, sizeof(left))) > 0) {
		ssize_t m = read(b, right,
				 sizeof(right)); /* regular files: as much, if there is as much */

		if (m != n || memcmp(left, right, (size_t)n) != 0)
			return 0;
	}
	return n < 0 ? err_set(e, errno, "cannot read '%s'", one) : read(b, right, 1) == 0;
}

static int rebuild(struct store *s, const char *id, bool unpacked, bool check, struct err *e)
{
	struct job j = { .s = s,
			 .o = &no_options,
			 .result = &(struct image_import_result){ .id = "" },
			 .a = arena_new(0),
			 .staging = STAGING_NONE,
			 .out = -1 };
	char path[ROOT_PATH_MAX], root[IMAGE_ID_LEN + 16];
	struct meta_image m = { 0 };
	int rc;

	if (!j.a)
		return err_set(e, ENOMEM, "cannot build a root");
	rc = build_root(&j, id, unpacked, &m, path, e);
	if (rc == 0) {
		snprintf(root, sizeof(root), "roots/%s", m.root);
		rc = check ? same_content(s, root, path, e) : swap_root(s, path, m.root, e);
	}
	if (rc < 0)
		err_in(e, "image %.*s", IMAGE_ID_SHORT, id);
	staging_end(s, &j.staging);
	if (j.out >= 0)
		close(j.out);
	arena_free(j.a);
	return rc;
}

int image_rebuild(struct store *s, const char *id, bool unpacked, struct err *e)
{
	return rebuild(s, id, unpacked, false, e);
}

int image_check_root(struct store *s, const char *id, struct err *e)
{
	return rebuild(s, id, false, true, e);
}

/* The compressed form that was kept, read once more: only what is the layer again takes its place. */
int image_repair_layer(struct store *s, const char *diff_id, struct err *e)
{
	struct job j = { .s = s,
			 .o = &no_options,
			 .result = &(struct image_import_result){ .id = "" },
			 .staging = STAGING_NONE,
			 .out = -1 };
	struct source src = { .archive = -1, .layout = -1, .store = -1, .staged = -1 };
	char blob[IMAGE_ID_LEN + 16], made[STAGING_NAME_MAX + IMAGE_ID_LEN + 16],
		layer[IMAGE_ID_LEN + 16];
	auto_fd int fd = -1;
	int rc;

	snprintf(blob, sizeof(blob), "blobs/%s", diff_id);
	fd = openat(s->fd, blob, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_set(
			e, ERR_NO_SUCH,
			"no compressed copy of layer %.*s was kept to repair it from: remove "
			"the image and import it again",
			IMAGE_ID_SHORT, diff_id);
	src.archive = fd;
	rc = begin(&j, e);
	if (rc == 0)
		rc = unpack(&src, UNPACK_IMPORT, 0, j.out, j.staging.lock, j.o, &j.progress,
			    &j.report, e);
	snprintf(made, sizeof(made), "%s/layers/%s", j.out_path, diff_id);
	snprintf(layer, sizeof(layer), "layers/%s", diff_id);
	if (rc == 0 && (rc = store_lock(s, e)) == 0) {
		if (renameat(s->fd, made, s->fd, layer) < 0)
			rc = err_set(e, errno, "the compressed copy of layer %.*s is damaged too",
				     IMAGE_ID_SHORT, diff_id);
		store_release(s);
	}
	if (rc == 0)
		rc = store_sync_dir(s, "layers", e);
	staging_end(s, &j.staging);
	if (j.out >= 0)
		close(j.out);
	return rc;
}

/* --- Files by name ------------------------------------------------------------------------------------- */

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
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_set(e, errno, "cannot open '%s'", path);
		if (faccessat(fd, "oci-layout", F_OK, 0) < 0 &&
		    faccessat(fd, "index.json", F_OK, 0) < 0)
			return err_set(
				e, ERR_INVALID,
				"'%s' is a directory, and no OCI image layout: run it as it is, or import a tarball of it",
				path);
		return image_import_layout(s, fd, path, o, r, e);
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
		if (staging_new(s, &g, &e) == 0 &&
		    store_write_file(g.dir, "source", &text, &e) == 0) {
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

struct image *image_from_file(struct store *s, const char *path,
			      const struct image_import_options *o, struct image_import_result *r,
			      struct err *e)
{
	struct image_import_result result = { .id = "" };
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
		if (image_set_name(s, name, result.id, e) < 0)
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
