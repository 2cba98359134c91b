/*
 * unpack.h - what `ctr` and its helper `ctr-unpack` say to each other.
 *
 * The helper turns archives into what the store keeps (images/store.h): the layers' uncompressed archives, and the
 * tree that they make together as an EROFS index or as directories. It is a program of its own because it links
 * libarchive, and because what it reads was written by strangers: before the first byte is looked at, it
 * lives in mount, network and IPC namespaces of its own, the directory is its root, it has the five
 * capabilities that writing other people's files takes, cannot gain others, and a seccomp list lets it do
 * little more than read its input and make files.
 *
 * Descriptors it is started with:
 *	0			the archive
 *	UNPACK_FD_TARGET	an empty directory, opened for reading; becomes the root, then is closed
 *	UNPACK_FD_TALK		a SOCK_SEQPACKET socket: one request in, reports out, the last one final; between them
 *				it may ask for files (UNPACK_WANT_*), one answer each
 *	UNPACK_FD_LOCK		kept open until the end: whoever holds it keeps the staging directory from
 *				being wiped
 *
 * What is in the directory when it says UNPACK_DONE, each file synced:
 *	layers/<diff id>	uncompressed archives, but those that it was told are there already
 *	blobs/<diff id>		the compressed form that they came in, if asked for
 *	images/<n>/		n from 0 to report.images - 1:
 *		root		the index, or a directory (not synced) if UNPACK_DIRECTORIES was asked for
 *		layers		diff ids, a line each, bottom first
 *		names		names that the archive gives it, a line each; maybe none
 *		config.json, manifest.json	as the archive has them; a plain root filesystem brings none
 *
 * Both sides are built together; the version only catches a mixed installation.
 *
 * The rules for what an archive of a layer may hold:
 *  - names: relative after leading slashes are dropped, no "..", at most 4095 bytes, 255 a component, 256
 *    components. Symbolic links of the archive are followed inside the image only.
 *  - one thing over another: a directory over a directory keeps its content and takes the new attributes;
 *    anything else replaces what is there. The top directory itself cannot be replaced (CVE-2021-29136).
 *  - hard links only to what the image itself holds, never to a directory, never a copy instead.
 *  - owners within 0..max_id; setuid and file capabilities are kept.
 *  - devices are skipped and counted. So are extended attributes other than user.*, security.capability
 *    and POSIX ACLs: security.selinux and the like are the host's business, and trusted.overlay.* or
 *    user.overlay.* could make an overlay mount show other files than the layer's.
 *  - whiteouts as the image-spec has them (layer.md), but in a plain root filesystem, where such names are
 *    ordinary ones.
 *  - an archive must end with its end mark; a warning of libarchive, except about the character set of a
 *    name (names are bytes here), is an error, so that no two tools see different trees (CVE-2025-62518).
 */
#ifndef CTR_UNPACK_H
#define CTR_UNPACK_H

#include <stdint.h>

#include "runtime/base/err.h"

#define UNPACK_VERSION	  3
#define UNPACK_LAYERS_MAX 500
#define UNPACK_NAME_MAX	  200

enum { UNPACK_FD_TARGET = 3, UNPACK_FD_TALK = 4, UNPACK_FD_LOCK = 5 };

enum unpack_job {
	UNPACK_IMPORT = 1, /* the archive: a root filesystem, or images */
	UNPACK_LAYOUT, /* an OCI layout's directory, asked for file by file (UNPACK_WANT_FILE) */
	UNPACK_REBUILD, /* n_layers archives of the store (UNPACK_WANT_LAYER, by number): images/0/root alone */
};

enum {
	UNPACK_DIRECTORIES = 1 << 0, /* directories and files in place of an index */
	UNPACK_KEEP_BLOBS = 1 << 1,
	UNPACK_WHITEOUTS =
		1 << 2, /* UNPACK_REBUILD: of an image's layers, not of a root filesystem */
	UNPACK_HASH_INPUT = 1 << 3, /* input_digest is wanted */
	UNPACK_PART =
		1
		<< 4, /* UNPACK_IMPORT: any tree of files, whose names do not tell what it is; maybe empty */
};

struct unpack_request {
	uint32_t version;
	uint32_t job; /* enum unpack_job */
	uint32_t flags;
	uint32_t strip;	 /* leading components to drop from each name of a root filesystem */
	uint32_t max_id; /* the greatest uid and gid */
	uint32_t n_layers;
	/* which image of an archive for several machines; Go's names, terminated; variant may be "" */
	char architecture[16], variant[16];
	/* UINT64_MAX: no limit */
	uint64_t max_bytes; /* of the uncompressed archives together */
	uint64_t max_entries;
	uint64_t max_ratio;   /* uncompressed to compressed, looked at beyond 1 GiB */
	uint64_t max_memory;  /* address space, bytes */
	uint64_t max_seconds; /* CPU time */
	uint64_t max_file;    /* length of one file, holes included */
};

enum unpack_state {
	UNPACK_RUNNING = 1,
	UNPACK_DONE,
	UNPACK_FAILED,
	UNPACK_WANT_LAYER, /* of `digest`, or in UNPACK_REBUILD of `number`: from the store */
	UNPACK_WANT_FILE,  /* `name` of the layout's directory */
};

enum unpack_compression {
	UNPACK_NONE,
	UNPACK_GZIP,
	UNPACK_XZ,
	UNPACK_ZSTD,
	UNPACK_BZIP2,
	UNPACK_LZ4,
	UNPACK_COMPRESSIONS
};

enum unpack_kind {
	UNPACK_ROOTFS, /* a root filesystem; config.json is the caller's to write */
	UNPACK_OCI,
	UNPACK_DOCKER,
	UNPACK_INCUS,
	UNPACK_KINDS
};

struct unpack_report {
	uint32_t version;
	uint32_t state;	      /* enum unpack_state */
	uint32_t compression; /* enum unpack_compression: of the archive */
	uint32_t trailing;    /* not 0: something but zeros follows the end mark */
	uint32_t number;
	uint32_t unused;
	uint64_t bytes_in, bytes_out, entries;
	uint8_t digest[32]; /* UNPACK_WANT_LAYER */
	char name[UNPACK_NAME_MAX];
	/* UNPACK_DONE only: */
	uint32_t kind, images;
	uint64_t bytes_files; /* content of regular files, holes not counted */
	uint64_t skipped_devices, skipped_xattrs, skipped_others;
	uint8_t input_digest[32]; /* sha256 of the archive as given */
	/* UNPACK_FAILED only; names in the message have control characters escaped */
	struct err err;
};

/* With it comes the file's descriptor (SCM_RIGHTS), if it was found. */
struct unpack_answer {
	uint32_t version, found;
};

#endif
