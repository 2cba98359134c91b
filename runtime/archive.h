/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.h - trees of files as archives: a whole root file system, or what of it is new (an image's layer).
 *
 * Names begin with "./". Hard links within the archive stay links, holes stay holes (GNU tar's sparse format 1.0), extended
 * attributes are those of xattrs.h, sockets are left out. Owners are those that the tree shows.
 */
#ifndef CTR_ARCHIVE_H
#define CTR_ARCHIVE_H

struct err;
struct trees;

/*
 * Writes what is in @t->after and not in @t->before to @fd; whiteouts (image-spec, layer.md) for what was removed. With
 * t->before -1 that is all of it.
 */
int archive_difference(const struct trees *t, int fd, struct err *e);

/*
 * Writes the upper directory @upper of an overlay, which nobody changes: what it hides of the layers below as whiteouts, ".wh.NAME" and
 * ".wh..wh..opq" (image-spec, layer.md); layers_adopt() reads them.
 */
int archive_layer(int upper, int fd, struct err *e);

#endif
