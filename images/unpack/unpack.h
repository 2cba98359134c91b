/*
 * unpack.h - what `ctr` and its helper `ctr-unpack` say to each other.
 *
 * The helper unpacks one archive into one empty directory. It is a program of its own because it links
 * libarchive, and because what it reads was written by strangers: before the first byte is looked at, it
 * lives in mount, network and IPC namespaces of its own, the directory is its root, it has the five
 * capabilities that writing other people's files takes, cannot gain others, and a seccomp list lets it do
 * little more than read its input and make files.
 *
 * Descriptors it is started with:
 *	0			the archive
 *	UNPACK_FD_TARGET	the empty directory, opened for reading; becomes the root, then is closed
 *	UNPACK_FD_TALK		a SOCK_SEQPACKET socket: one request in, reports out, the last one final
 *	UNPACK_FD_LOCK		kept open until the end: whoever holds it keeps the staging directory from
 *				being wiped
 *
 * Both sides are built together; the version only catches a mixed installation.
 *
 * The rules for what an archive may hold:
 *  - names: relative after leading slashes are dropped, no "..", at most 4095 bytes, 255 a component, 256
 *    components. Symbolic links of the archive are followed inside the directory only.
 *  - one thing over another: a directory over a directory keeps its content and takes the new attributes;
 *    anything else replaces what is there. The top directory itself cannot be replaced (CVE-2021-29136).
 *  - hard links only to what the archive itself holds, never to a directory, never a copy instead.
 *  - owners within 0..max_id; setuid and file capabilities are kept.
 *  - devices are skipped and counted. So are extended attributes other than user.*, security.capability
 *    and POSIX ACLs: security.selinux and the like are the host's business, and trusted.overlay.* or
 *    user.overlay.* could make an overlay mount show other files than the layer's.
 *  - an archive must end with its end mark; a warning of libarchive, except about the character set of a
 *    name (names are bytes here), is an error, so that no two tools see different trees (CVE-2025-62518).
 */
#ifndef CTR_UNPACK_H
#define CTR_UNPACK_H

#include <stdint.h>

#include "runtime/base/err.h"

#define UNPACK_VERSION 1

enum { UNPACK_FD_TARGET = 3, UNPACK_FD_TALK = 4, UNPACK_FD_LOCK = 5 };

struct unpack_request {
	uint32_t version;
	uint32_t strip;	 /* leading components to drop from each name */
	uint32_t max_id; /* the greatest uid and gid */
	uint32_t unused;
	/* UINT64_MAX: no limit */
	uint64_t max_bytes; /* of the uncompressed archive */
	uint64_t max_entries;
	uint64_t max_ratio;   /* uncompressed to compressed, looked at beyond 1 GiB */
	uint64_t max_memory;  /* address space, bytes */
	uint64_t max_seconds; /* CPU time */
	uint64_t max_file;    /* length of one file, holes included */
};

enum unpack_state { UNPACK_RUNNING = 1, UNPACK_DONE, UNPACK_FAILED };

enum unpack_compression {
	UNPACK_NONE,
	UNPACK_GZIP,
	UNPACK_XZ,
	UNPACK_ZSTD,
	UNPACK_BZIP2,
	UNPACK_LZ4,
	UNPACK_COMPRESSIONS
};

struct unpack_report {
	uint32_t version;
	uint32_t state;	      /* enum unpack_state */
	uint32_t compression; /* enum unpack_compression */
	uint32_t trailing;    /* not 0: something but zeros follows the end mark */
	uint64_t bytes_in, bytes_out, entries;
	/* UNPACK_DONE only: */
	uint64_t bytes_files; /* content of regular files, holes not counted */
	uint64_t skipped_devices, skipped_xattrs, skipped_others;
	uint8_t digest[32]; /* sha256 of the uncompressed archive */
	/* UNPACK_FAILED only; names in the message have control characters escaped */
	struct err err;
};

#endif
