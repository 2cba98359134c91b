/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <errno.h>
#include <sys/stat.h>

#include "images/unpack/tree.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"

static struct err e;
static const struct tree_attrs plain = { .mode = 0644 };

static struct tree *layers(void)
{
	struct tree *t = tree_new();

	CHECK(t);
	e = (struct err){ 0 };
	tree_next_layer(t, true);
	return t;
}

static int file(struct tree *t, const char *name)
{
	return tree_file(t, name, &plain, 0, NULL, 0, &e);
}

/* All names, depth first and sorted, "a a/b c". */
static void list(const struct tree_node *dir, const char *prefix, struct str *out)
{
	size_t n;
	auto_free struct tree_entry **entries = tree_sorted(dir, &n);

	for (size_t i = 0; i < n; i++) {
		char path[256];

		snprintf(path, sizeof(path), "%s%s", prefix, entries[i]->name);
		str_addf(out, "%s%s", out->len ? " " : "", path);
		if (S_ISDIR(entries[i]->node->mode)) {
			strcat(path, "/");
			list(entries[i]->node, path, out);
		}
	}
}

static const char *names(struct tree *t)
{
	static struct str out;

	str_free(&out);
	list(tree_root(t), "", &out);
	return str_text(&out);
}

TEST(a_whiteout_hides_lower_layers_whatever_the_order_of_entries)
{
	for (int first = 0; first < 2; first++) {
		struct tree *t = layers();

		CHECK_INT(file(t, "d/old"), 0);
		CHECK_INT(file(t, "d/kept"), 0);
		tree_next_layer(t, true);
		if (first)
			CHECK_INT(tree_whiteout(t, "d/.wh.old", &e), 0);
		CHECK_INT(file(t, "d/new"), 0);
		if (!first)
			CHECK_INT(tree_whiteout(t, "d/.wh.old", &e), 0);
		CHECK_STR(names(t), "d d/kept d/new");
		/* of the same layer it hides nothing */
		CHECK_INT(tree_whiteout(t, "d/.wh.new", &e), 0);
		CHECK_STR(names(t), "d d/kept d/new");
		tree_free(t);
	}
}

TEST(an_opaque_directory_keeps_what_its_own_layer_put_there)
{
	struct tree *t = layers();

	CHECK_INT(file(t, "d/old"), 0);
	CHECK_INT(file(t, "d/sub/old"), 0);
	tree_next_layer(t, true);
	CHECK_INT(file(t, "d/sub/new"), 0);
	CHECK_INT(tree_whiteout(t, "d/.wh..wh..opq", &e), 0);
	CHECK_INT(file(t, "d/late"), 0);
	CHECK_STR(names(t), "d d/late d/sub d/sub/new");
	tree_free(t);
}

TEST(a_directory_that_is_hidden_and_made_again_is_another)
{
	struct tree *t = layers();

	CHECK_INT(tree_dir(t, "d", &(struct tree_attrs){ .mode = 0700, .uid = 7 }, &e), 0);
	CHECK_INT(file(t, "d/old"), 0);
	tree_next_layer(t, true);
	CHECK_INT(file(t, "d/new"), 0);
	CHECK_INT(tree_whiteout(t, ".wh.d", &e), 0);
	CHECK_STR(names(t), "d d/new");
	CHECK_INT(tree_child(t, tree_root(t), "d")->uid, 0);
	CHECK_INT(tree_child(t, tree_root(t), "d")->mode, S_IFDIR | 0755);
	tree_free(t);
}

TEST(whiteouts_that_mean_nothing_are_refused_or_passed_over)
{
	struct tree *t = layers();

	CHECK_INT(file(t, "f"), 0);
	CHECK_INT(tree_whiteout(t, ".wh.", &e), -1);
	CHECK_INT(tree_whiteout(t, ".wh...", &e), -1);
	CHECK_INT(tree_whiteout(t, ".wh..wh.plnk", &e), 0);
	CHECK_INT(tree_whiteout(t, "nowhere/.wh.x", &e), 0);
	CHECK_STR(names(t), "f");
	tree_next_layer(t, false);
	CHECK(!tree_is_whiteout(t, ".wh.f"));
	tree_free(t);
}

TEST(links_lead_inside_the_image_alone)
{
	struct tree *t = layers();
	const struct tree_node *n;

	CHECK_INT(tree_symlink(t, "lib", "usr/lib", &plain, &e), 0);
	CHECK_INT(file(t, "usr/lib/a"), 0);
	CHECK_INT(tree_symlink(t, "up", "../../../..", &plain, &e), 0);
	CHECK_INT(tree_symlink(t, "abs", "/usr", &plain, &e), 0);
	CHECK_INT(file(t, "lib/b"), 0);
	CHECK_INT(file(t, "up/c"), 0);
	CHECK_INT(file(t, "abs/d"), 0);
	CHECK_STR(names(t), "abs c lib up usr usr/d usr/lib usr/lib/a usr/lib/b");
	n = tree_lookup(t, "abs/lib/../lib/b");
	CHECK(n && S_ISREG(n->mode));
	tree_free(t);
}

TEST(loops_dangling_links_and_files_are_no_directories)
{
	struct tree *t = layers();

	CHECK_INT(tree_symlink(t, "a", "b", &plain, &e), 0);
	CHECK_INT(tree_symlink(t, "b", "a", &plain, &e), 0);
	CHECK_INT(tree_symlink(t, "gone", "nowhere", &plain, &e), 0);
	CHECK_INT(file(t, "f"), 0);
	CHECK_INT(file(t, "a/x"), -1);
	CHECK_INT(e.code, ELOOP);
	CHECK_INT(file(t, "gone/x"), -1);
	CHECK_HAS(e.msg, "cannot enter 'gone'");
	CHECK_INT(file(t, "f/x"), -1);
	CHECK_INT(e.code, ENOTDIR);
	CHECK(!tree_lookup(t, "a"));
	CHECK_STR(names(t), "a b f gone");
	tree_free(t);
}

TEST(a_hard_link_crosses_layers_and_outlives_its_first_name)
{
	struct tree *t = layers();
	const struct tree_node *n;

	CHECK_INT(file(t, "a"), 0);
	tree_next_layer(t, true);
	CHECK_INT(tree_link(t, "b", "a", &e), 0);
	n = tree_lookup(t, "b");
	CHECK_INT(n->nlink, 2);
	CHECK_INT(n->layer, 1);
	CHECK_INT(tree_link(t, "c", "nowhere", &e), -1);
	CHECK_INT(e.code, ERR_NO_SUCH);
	CHECK_INT(tree_dir(t, "d", &plain, &e), 0);
	CHECK_INT(tree_link(t, "c", "d", &e), -1);
	CHECK_INT(e.code, ERR_INVALID);
	CHECK_INT(tree_link(t, "b", "b", &e), 0); /* itself */
	tree_next_layer(t, true);
	CHECK_INT(tree_whiteout(t, ".wh.a", &e), 0);
	CHECK_STR(names(t), "b d");
	CHECK_INT(n->nlink, 1);
	tree_free(t);
}

TEST(a_link_in_place_of_what_holds_its_target_is_refused)
{
	struct tree *t = layers();

	CHECK_INT(file(t, "d/f"), 0);
	CHECK_INT(tree_link(t, "d", "d/f", &e), -1);
	CHECK_INT(e.code, ERR_NO_SUCH);
	tree_free(t);
}

TEST(devices_take_the_place_of_what_was_there_and_are_left_out)
{
	struct tree *t = layers();

	CHECK_INT(file(t, "dev/null"), 0);
	tree_next_layer(t, true);
	CHECK_INT(tree_device(t, "dev/null", &e), 0);
	CHECK_INT(tree_link(t, "dev/zero", "dev/null", &e), 1);
	CHECK_STR(names(t), "dev");
	CHECK(!tree_lookup(t, "dev/null"));
	tree_free(t);
}

TEST(one_kind_in_place_of_another_takes_all_below_with_it)
{
	struct tree *t = layers();

	CHECK_INT(file(t, "d/a/b"), 0);
	CHECK_INT(file(t, "f"), 0);
	tree_next_layer(t, true);
	CHECK_INT(file(t, "d"), 0);
	CHECK_INT(tree_dir(t, "f", &plain, &e), 0);
	CHECK_STR(names(t), "d f");
	CHECK_INT(tree_count(t), 2);
	/* a directory over a directory keeps what is in it */
	CHECK_INT(file(t, "f/x"), 0);
	CHECK_INT(tree_dir(t, "f", &(struct tree_attrs){ .mode = 0711 }, &e), 0);
	CHECK_STR(names(t), "d f f/x");
	CHECK_INT(tree_child(t, tree_root(t), "f")->mode & 07777, 0711);
	tree_free(t);
}

TEST(links_cannot_make_a_tree_deeper_than_twice_a_name)
{
	struct tree *t = layers();
	char deep[400], below[512];

	for (size_t i = 0; i < 199; i++)
		memcpy(deep + 2 * i, "d/", 3);
	CHECK_INT(tree_dir(t, deep, &plain, &e), 0);
	CHECK_INT(tree_symlink(t, "one", deep, &plain, &e), 0);
	snprintf(below, sizeof(below), "one/%s", deep);
	CHECK_INT(tree_dir(t, below, &plain, &e), 0);
	CHECK_INT(tree_symlink(t, "two", below, &plain, &e), 0);
	snprintf(below, sizeof(below), "two/%s", deep);
	CHECK_INT(tree_dir(t, below, &plain, &e), -1);
	CHECK_HAS(e.msg, "deeper than 512");
	tree_free(t);
}
