/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "images/images.h"
#include "images/store.h"
#include "runtime/base/err.h"

static const char *parse(const char *name)
{
	static char out[IMAGE_NAME_MAX + 1];
	struct err e = { 0 };

	*out = '\0';
	if (image_name_parse(name, out, &e) == 0)
		return out;
	CHECK_INT(e.code, ERR_INVALID);
	CHECK(*e.msg);
	return NULL;
}

TEST(a_name_without_tag_means_latest)
{
	CHECK_STR(parse("debian"), "debian:latest");
	CHECK_STR(parse("localhost:5000/debian"), "localhost:5000/debian:latest");
	CHECK_STR(parse("a/b/c"), "a/b/c:latest");
}

TEST(tags_are_kept_as_they_are)
{
	CHECK_STR(parse("debian:13"), "debian:13");
	CHECK_STR(parse("h:1/a:V1.0-x_y"), "h:1/a:V1.0-x_y");
	CHECK_STR(parse("a:_"), "a:_");
}

TEST(separators_stand_between_letters_only)
{
	CHECK_STR(parse("a.b_c__d---e"), "a.b_c__d---e:latest");
	CHECK_STR(parse("0"), "0:latest");
	CHECK(!parse("-a"));
	CHECK(!parse("a-"));
	CHECK(!parse("a..b"));
	CHECK(!parse("a___b"));
	CHECK(!parse("a_-b"));
	CHECK(!parse("a/.b"));
	CHECK(!parse("a./b"));
}

TEST(what_could_be_a_path_is_no_name)
{
	CHECK(!parse(""));
	CHECK(!parse("."));
	CHECK(!parse(".."));
	CHECK(!parse("../x"));
	CHECK(!parse("/a"));
	CHECK(!parse("a/"));
	CHECK(!parse("a//b"));
	CHECK(!parse("a/../b"));
	CHECK(!parse("a:.."));
	CHECK(!parse("a:b/c"));
	CHECK(!parse("a:b:c"));
	CHECK(!parse("a:"));
	CHECK(!parse(":a"));
}

TEST(other_characters_are_refused)
{
	CHECK(!parse("A"));
	CHECK(!parse("a b"));
	CHECK(!parse("a\nb"));
	CHECK(!parse("a+b"));
	CHECK(!parse("a@b"));
	CHECK(!parse("a%2fb"));
	CHECK(!parse("\xc3\xa9"));
	CHECK(!parse("a:x\xc3\xa9"));
	CHECK(!parse("a:x y"));
}

TEST(ports_are_numbers_in_front_of_a_slash)
{
	CHECK(parse("h:65535/a"));
	CHECK(!parse("h:/a"));
	CHECK(!parse("h:123456/a"));
	CHECK(!parse("h:x/a"));
	CHECK(!parse("h/i:5/a"));
}

TEST(an_id_is_no_name)
{
	char id[65];

	memset(id, 'a', 64);
	id[64] = '\0';
	CHECK(!parse(id));
	id[63] = '\0';
	CHECK(parse(id));
	id[63] = 'g';
	CHECK(parse(id));
}

TEST(names_are_short_enough_for_a_file)
{
	char name[IMAGE_NAME_MAX + 20], file[IMAGE_NAME_MAX + 20];

	memset(name, 'a', sizeof(name));
	strcpy(name + IMAGE_NAME_MAX - strlen(":latest"), "");
	CHECK(parse(name));
	CHECK_INT(strlen(parse(name)), IMAGE_NAME_MAX);
	name_escape(parse(name), file);
	CHECK(strlen(file) < NAME_MAX - 12);
	name[IMAGE_NAME_MAX - strlen(":latest")] = 'a';
	name[IMAGE_NAME_MAX - strlen(":latest") + 1] = '\0';
	CHECK(!parse(name));
	memset(name, 't', sizeof(name));
	memcpy(name, "a:", 2);
	name[2 + 128] = '\0';
	CHECK(parse(name));
	name[2 + 128] = 't';
	name[2 + 129] = '\0';
	CHECK(!parse(name));
}

TEST(escaped_names_are_file_names_and_come_back)
{
	static const char *const names[] = { "debian:13", "h:5000/a/b:t", "a.b_c--d:X_.-" };

	for (size_t i = 0; i < 3; i++) {
		char file[IMAGE_NAME_MAX + 1], back[IMAGE_NAME_MAX + 1];

		name_escape(names[i], file);
		CHECK(!strchr(file, '/'));
		CHECK(*file != '.');
		name_unescape(file, back);
		CHECK_STR(back, names[i]);
	}
}
