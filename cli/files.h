/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h - what the verbs that show or take files of images and instances share.
 */
#ifndef CTR_CLI_FILES_H
#define CTR_CLI_FILES_H

#include "runtime/instances.h"

struct cli;
struct err;
struct image;
struct store;
struct trees;

/* A name that somebody else chose, on standard output: what could speak to a terminal is escaped. */
void print_name(const char *name);

/* What errno says of a path inside, as an error: -1 and *e. */
int no_file(const char *path, struct err *e);

/* The verb's output: "A /path", ... or with --json an array. The exit code, or -1. */
int print_difference(struct cli *c, const struct trees *t);

/*
 * Has @write write an archive to the new file @path, synced, which is removed if that fails; or with NULL to standard output, which is no
 * terminal. The exit code, or -1.
 */
typedef int output_writer(struct cli *c, void *arg, int fd);
int write_output(struct cli *c, const char *path, output_writer *write, void *arg);

/* An instance's files, as they lie on disk. */
struct view {
	struct store *store;
	struct image *image;
	struct instance *instance;
	struct instance_dir dir;   /* not locked */
	int base;		   /* the image's tree */
	int tree;		   /* the instance's */
	const char *const *layers; /* difference.h */
};
#define VIEW_NONE                                                          \
	{                                                                  \
		.dir = { .fd = -1, .promise = -1 }, .base = -1, .tree = -1 \
	}

int view_open(struct cli *c, const struct instances *all, const char *name, struct view *v,
	      struct err *e);
void view_close(struct view *v);
#define auto_view __attribute__((cleanup(view_close)))

#endif
