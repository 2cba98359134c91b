/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_file.h - project quotas where the file system has none: instances lie in an ext4 of their own, in a file.
 *
 *	<data>/disk.ext4	as large as the room that there was, with holes; on a loop device (loop(4))
 *	<data>/disk/		where it is mounted; instances/ and frozen/ lie in it
 *	<data>/instances	a symbolic link to disk/instances
 *
 * It is made when the first limit is asked for, while no instance runs, and what there is of instances goes into it. What is half made is
 * .tmp/disk.ext4 of the old directory; an entry of that name in the new one says that the old one is to be removed. Between the two lies one
 * rename. The lock (flock) of <data> is held by who makes, mounts or tidies it.
 *
 * One file on two loop devices would be written by two kernels' worth of file system: whoever mounts it takes the device that it is on already,
 * in whatever mount namespace.
 */
#ifndef CTR_DISK_FILE_H
#define CTR_DISK_FILE_H

struct err;
struct instances;

#define DISK_FILE "disk.ext4"

/* Mounts it, after a boot. 1; 0 if instances do not lie in such a file; -1 and *e. */
int disk_file_attach(const char *data, struct err *e);

/*
 * Makes it, and lets @s be what is in it. Nobody else's change of an instance is lost: their locks are held. ERR_STATE while one runs,
 * ERR_NOT_SUPPORTED, with the cure, where there is no loop device or no mkfs.ext4.
 */
int disk_file_make(struct instances *s, struct err *e);

/* Finishes what a maker that died has left, if that is an entry of .tmp: instances_sweep(). */
void disk_file_settle(const struct instances *s);

#endif
