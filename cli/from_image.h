/* SPDX-License-Identifier: Apache-2.0 */
/*
 * from_image.h - from an image and an instance's configuration to a spec.
 *
 * It runs before the instance's life begins, at each start. It reads the image's users (user.h) and the
 * host's hard limits; nothing else, and changes nothing, but for instance_write_files().
 *
 * What an instance gets that nobody asked for, being the defaults of this project:
 *   all eight namespaces, its own network namespace with nothing but `lo` unless --net=host, ids of its own
 *   unless --userns=host; the mounts of the OCI specification, /run as tmpfs for a booted system; Docker's 14
 *   capabilities, masked and read-only paths for an application; for a booted system what an init needs
 *   (CAP_SYS_ADMIN over its own namespaces and the like), and nothing that no namespace confines.
 */
#ifndef CTR_FROM_IMAGE_H
#define CTR_FROM_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct image;
struct instance;
struct networking;
struct process_spec;
struct spec;

/* What the spec needs beyond the image and the configuration. */
struct from_image {
	const struct image *image;
	const struct instance *instance;
	const char *name;
	const struct networking *net; /* NULL: none */
	const char *hosts; /* the file with the names of its networks (hosts.h); NULL: none */
	const char *const *below; /* frozen layers on top of the image's (layers.h); NULL: none */
	const char *upper, *work; /* absolute; NULL: no layer of its own */
	unsigned controllers;	  /* of the host: host.h */
	bool fresh;		  /* the upper directory holds nothing yet that matters for users */
	int root; /* of the running instance, to look users up in; -1: none, look into the layers */
	const char *term;	/* $TERM for a terminal; NULL: xterm */
	unsigned rows, columns; /* of a terminal; 0: not known */
};

/* Whether this image with this command line boots a system rather than running an application. */
bool instance_wants_system(const struct image *image, const struct instance *i);

/* The spec, which refers to @f->image, instance and name: they must outlive it. NULL and *e on failure. */
struct spec *spec_from_image(const struct from_image *f, struct err *e);

/*
 * The files that name the instance to itself, in its own layer (the directory @upper, still unused): /etc/hosts,
 * /etc/hostname; for a booted system also /etc/machine-id. A layer rather than mounts, so that the instance
 * can change them, and hostnamectl can rename over them. Where the image's /etc is no directory, none are written.
 */
int instance_write_files(const struct from_image *f, int upper, struct err *e);

/*
 * After a change of its name from @old: the same files, where they still are what instance_write_files() wrote. What
 * somebody inside made of them stays.
 */
int instance_rename_files(const struct from_image *f, const char *old, int upper, struct err *e);

/* /etc/resolv.conf in the layer, as the host's is now: for an instance on the host's network. */
int instance_write_resolv(const struct from_image *f, int upper, struct err *e);

/* The directory that the instance will see as "/", for reading: a descriptor, or -1 and *e. */
int image_open_root(const struct from_image *f, struct err *e);

/* The same for writing, through overlay into f->upper, of an instance that does not run. */
int image_open_root_rw(const struct from_image *f, struct err *e);

/*
 * A further process in a running instance (exec): like the first one, but with @args, @env ("K=V", added
 * to and replacing), @cwd and @user (NULL: the instance's own), looked up below @root.
 */
int exec_process(const struct spec *s, const struct instance *i, int root, const char *const *args,
		 const char *const *env, const char *cwd, const char *user, bool terminal,
		 const char *term, struct process_spec *p, struct err *e);

#endif
