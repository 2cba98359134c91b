/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/files.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/launch.h"
#include "cli/verbs.h"
#include "images/images.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/difference.h"

void print_name(const char *name)
{
	for (const unsigned char *p = (const unsigned char *)name; *p; p++)
		if (*p < ' ' || *p == 0x7f || *p == '\\')
			printf("\\%03o", *p);
		else
			putchar(*p);
}

int no_file(const char *path, struct err *e)
{
	return errno == ENOENT || errno == ENOTDIR ?
		       err_set(e, ERR_NO_SUCH, "there is no '%s'", path) :
		       err_set(e, errno, "'%s'", path);
}

struct printing {
	bool json;
	struct json_writer *w;
};

static int print_one(void *arg, enum difference what, const char *path, int dir, const char *name,
		     const struct stat *st, struct err *e)
{
	const struct printing *p = arg;
	const char kind[2] = { (char)what, '\0' };

	(void)dir, (void)name, (void)st, (void)e;
	if (p->json) {
		json_open(p->w, NULL, '{');
		json_put_string(p->w, "kind", kind);
		json_put_string(p->w, "path", path);
		json_close(p->w);
		return 0;
	}
	printf("%s ", kind);
	print_name(path);
	putchar('\n');
	return 0;
}

int print_difference(struct cli *c, const struct trees *t)
{
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out, .indent = true };
	struct printing p = { c->json, &w };

	json_open(&w, NULL, '[');
	if (tree_difference(t, print_one, &p, c->e) < 0)
		return -1;
	json_close(&w);
	return c->json ? print_text(c, &out) : EXIT_DONE;
}

int view_open(struct cli *c, const struct instances *all, const char *name, struct view *v,
	      struct err *e)
{
	struct launch l = { .all = all, .dir = &v->dir };

	if (instance_look(all, name, &v->dir, e) < 0)
		return -1;
	v->instance = instance_load(&v->dir, e);
	v->store = v->instance ? store_open(c->store_root, e) : NULL;
	v->image = v->store ? launch_image(v->store, v->instance, e) : NULL;
	if (!v->image || image_mount(v->store, c->run_root, v->image, e) < 0)
		return -1;
	l.image = v->image;
	l.instance = v->instance;
	v->base = image_open(v->image, e);
	v->tree = v->base < 0 ? -1 : launch_open_view(&l, &v->layers, e);
	return v->tree < 0 ? -1 : 0;
}

void view_close(struct view *v)
{
	own_close(&v->base);
	own_close(&v->tree);
	own_close(&v->dir.fd);
	image_free(v->image);
	store_close(v->store);
	instance_free(v->instance);
}
