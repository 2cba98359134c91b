/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay.h - how overlays are made here, and what their directories say.
 *
 * Their attributes are trusted.overlay.*, which nobody inside can write. In an instance of an instance there is no trust to be had (a user
 * namespace other than the first one): overlayfs has user.overlay.* for that (Linux 5.11, option userxattr).
 */
#ifndef CTR_OVERLAY_H
#define CTR_OVERLAY_H

#include <stdbool.h>

/* The settings in which an upper directory stays self-contained, for a context of fsopen(2). 0, or -1 with errno. */
int overlay_settings(int fs);

/* Whether the open directory hides what the layers below have in it. */
bool overlay_is_opaque(int dir);

/* It is to. 0, or -1 with errno. */
int overlay_make_opaque(int dir);

#endif
