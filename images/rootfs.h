/*
 * rootfs.h - inside of images/: what a root filesystem tells by itself.
 */
#ifndef CTR_IMAGES_ROOTFS_H
#define CTR_IMAGES_ROOTFS_H

#include <stdbool.h>

struct image_config;

/*
 * The configuration of the tree below @root, in static memory: its machine, and /sbin/init as command if
 * that is executable, else /bin/sh. True if it is made to be booted. The tree may be hostile: nothing of it
 * is resolved outside, nothing blocks.
 */
bool rootfs_describe(int root, struct image_config *c);

/* This machine's, in Go's words ("amd64"); "unknown" at worst. */
const char *rootfs_host_machine(void);

#endif
