/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "images/meta.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"

#define HEX    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX "\"]}"

static struct image_config c;
static const char *const *diff_ids;
static struct err e;

/* What was read last stays good until the next reading. */
static struct arena *fresh(void)
{
	static struct arena *last;

	arena_free(last);
	return last = arena_new(0);
}

static int read_config(const char *text)
{
	struct arena *a = fresh();

	c = (struct image_config){ 0 };
	e = (struct err){ 0 };
	return meta_read_config(a, text, strlen(text), &c, &diff_ids, &e);
}

static void refused(const char *text, const char *why)
{
	CHECK_INT(read_config(text), -1);
	CHECK_HAS(e.msg, why);
	CHECK(!c.cmd); /* failure leaves the result alone */
}

TEST(every_field_is_read)
{
	CHECK_INT(
		read_config(
			"{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\",\"author\":\"me\","
			"\"created\":\"2026-01-02T03:04:05Z\",\"config\":{\"User\":\"1:2\","
			"\"Entrypoint\":[\"/e\"],\"Cmd\":[\"a\",\"\"],\"Env\":[\"A=1\"],"
			"\"WorkingDir\":\"/w\",\"StopSignal\":\"SIGRTMIN+3\","
			"\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{}},\"Volumes\":{\"/v\":{}},"
			"\"Labels\":{\"b\":\"2\",\"a\":\"1\"}}," ROOTFS "}"),
		0);
	CHECK_STR(c.os, "linux");
	CHECK_STR(c.architecture, "arm");
	CHECK_STR(c.variant, "v7");
	CHECK_STR(c.author, "me");
	CHECK_STR(c.created, "2026-01-02T03:04:05Z");
	CHECK_STR(c.user, "1:2");
	CHECK_STR(c.entrypoint[0], "/e");
	CHECK_STR(c.cmd[0], "a");
	CHECK_STR(c.cmd[1], "");
	CHECK(!c.cmd[2]);
	CHECK_STR(c.env[0], "A=1");
	CHECK_STR(c.workdir, "/w");
	CHECK_STR(c.stop_signal, "SIGRTMIN+3");
	CHECK_STR(c.exposed_ports[0], "53/udp");
	CHECK_STR(c.exposed_ports[1], "80/tcp");
	CHECK(!c.exposed_ports[2]);
	CHECK_STR(c.volumes[0], "/v");
	CHECK_INT(c.n_labels, 2);
	CHECK_STR(c.labels[0].key, "a");
	CHECK_STR(c.labels[1].value, "2");
	CHECK_STR(diff_ids[0], "sha256:" HEX);
	CHECK(!diff_ids[1]);
}

/* image-spec config.md: any optional field may be null; Docker writes empty ones. */
TEST(null_and_empty_mean_not_given)
{
	CHECK_INT(read_config(
			  "{\"config\":{\"User\":\"\",\"Entrypoint\":null,\"Cmd\":[],\"Env\":null,"
			  "\"ExposedPorts\":null,\"Volumes\":{},\"Labels\":null,\"OnBuild\":null,"
			  "\"WorkingDir\":null},\"history\":null," ROOTFS "}"),
		  0);
	CHECK(!c.user && !c.entrypoint && !c.cmd && !c.env && !c.exposed_ports && !c.volumes);
	CHECK(!c.labels && !c.workdir && !c.os);
	CHECK_INT(read_config("{\"config\":null," ROOTFS "}"), 0);
	CHECK_INT(read_config("{" ROOTFS "}"), 0);
}

TEST(what_is_written_reads_the_same)
{
	auto_str struct str one = { 0 }, two = { 0 };

	CHECK_INT(read_config(
			  "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"User\":\"u\","
			  "\"Cmd\":[\"a\"],\"Entrypoint\":[\"e\",\"f\"],\"Env\":[\"A=\\u00e9\\n\"],"
			  "\"ExposedPorts\":{\"1\":{}},\"Volumes\":{\"/a\":{},\"/b\":{}},"
			  "\"Labels\":{\"k\":\"v\"},\"StopSignal\":\"9\"}," ROOTFS "}"),
		  0);
	meta_write_config(&one, &c, diff_ids);
	CHECK_INT(read_config(str_text(&one)), 0);
	meta_write_config(&two, &c, diff_ids);
	CHECK_STR(str_text(&one), str_text(&two));
	CHECK_STR(c.env[0], "A=\xc3\xa9\n");
}

/* The image's id is the hash of this text: it must never change for what exists. */
TEST(the_text_of_a_configuration_is_fixed)
{
	static const char *const cmd[] = { "/bin/sh", NULL }, *const ids[] = { "sha256:" HEX,
									       NULL };
	const struct image_config plain = { .os = "linux", .architecture = "amd64", .cmd = cmd };
	auto_str struct str text = { 0 };

	meta_write_config(&text, &plain, ids);
	CHECK_STR(
		str_text(&text),
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"/bin/sh\"]}," ROOTFS
		"}");
}

TEST(digests_are_checked_before_they_become_paths)
{
	/* CVE-2024-3727: a digest used as a path */
	refused("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:../../../etc/passwd\"]}}",
		"not a sha256 digest");
	refused("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" HEX "\"]}}",
		"not a sha256 digest");
	refused("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX "0\"]}}",
		"not a sha256 digest");
	refused("{\"rootfs\":{\"diff_ids\":[\"sha512:" HEX "\"]}}", "not a sha256 digest");
	refused("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}", "empty");
	refused("{\"rootfs\":{\"type\":\"blocks\",\"diff_ids\":[\"sha256:" HEX "\"]}}", "type");
	refused("{}", "'rootfs' is missing");
}

TEST(wrong_types_are_refused)
{
	refused("[]", "image configuration");
	refused("", "image configuration");
	refused("{\"config\":[]," ROOTFS "}", "config");
	refused("{\"config\":{\"Cmd\":\"ls\"}," ROOTFS "}", "Cmd");
	refused("{\"config\":{\"Cmd\":[1]}," ROOTFS "}", "Cmd");
	refused("{\"config\":{\"Env\":{}}," ROOTFS "}", "Env");
	refused("{\"config\":{\"User\":0}," ROOTFS "}", "User");
	refused("{\"config\":{\"Labels\":[]}," ROOTFS "}", "Labels");
	refused("{\"config\":{\"Labels\":{\"a\":1}}," ROOTFS "}", "Labels");
	refused("{\"config\":{\"ExposedPorts\":[]}," ROOTFS "}", "ExposedPorts");
	refused("{\"config\":{\"Volumes\":\"/v\"}," ROOTFS "}", "Volumes");
	refused("{\"rootfs\":[]}", "rootfs");
}

TEST(too_many_layers_are_refused)
{
	auto_str struct str text = { 0 };

	str_add(&text, "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
	for (int i = 0; i <= META_LAYERS_MAX; i++)
		str_addf(&text, "%s\"sha256:" HEX "\"", i ? "," : "");
	str_add(&text, "]}}");
	refused(text.s, "more than 500 layers");
}

/* --- meta.json -------------------------------------------------------------------------------------- */

static int read_meta(const char *text, struct meta_image *m)
{
	struct arena *a = fresh();

	e = (struct err){ 0 };
	return meta_read_image(a, text, strlen(text), m, &e);
}

TEST(an_images_meta_reads_as_it_was_written)
{
	static const char *const layers[] = { HEX, HEX, NULL };
	const struct meta_image m = { .system = true,
				      .imported = -5,
				      .size = UINT64_MAX,
				      .entries = 7,
				      .root = HEX,
				      .layers = layers };
	struct meta_image back = { 0 };
	auto_str struct str text = { 0 };

	meta_write_image(&text, &m);
	CHECK_INT(read_meta(str_text(&text), &back), 0);
	CHECK(back.system);
	CHECK_INT(back.imported, -5);
	CHECK(back.size == UINT64_MAX);
	CHECK_INT(back.entries, 7);
	CHECK_STR(back.layers[1], HEX);
	CHECK(!back.layers[2]);
}

#define META "\"format\":2,\"root\":\"" HEX "\""

TEST(a_meta_that_leads_elsewhere_is_refused)
{
	struct meta_image m = { .size = 42 };

	CHECK_INT(read_meta("{" META ",\"layers\":[\"../../../..\"]}", &m), -1);
	CHECK_HAS(e.msg, "layers[0]");
	CHECK_INT(read_meta("{" META ",\"layers\":[]}", &m), -1);
	CHECK_INT(read_meta("{" META "}", &m), -1);
	CHECK_INT(read_meta("{\"format\":2,\"layers\":[\"" HEX "\"]}", &m), -1);
	CHECK_HAS(e.msg, "root");
	CHECK_INT(read_meta("{\"format\":2,\"root\":\"../../..\",\"layers\":[\"" HEX "\"]}", &m),
		  -1);
	CHECK_HAS(e.msg, "root");
	CHECK_INT(read_meta("{\"format\":3,\"layers\":[\"" HEX "\"]}", &m), -1);
	CHECK_HAS(e.msg, "format 3");
	CHECK_INT(read_meta("{\"layers\":[\"" HEX "\"]}", &m), -1);
	CHECK_INT(read_meta("{" META ",\"size\":-1,\"layers\":[\"" HEX "\"]}", &m), -1);
	CHECK_INT(m.size, 42);
}

TEST(a_manifest_is_one_that_other_tools_read)
{
	auto_str struct str text = { 0 };

	meta_write_manifest(&text, HEX, 123, (const char *const[]){ HEX, NULL },
			    &(uint64_t){ 456 });
	CHECK_STR(
		str_text(&text),
		"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		"\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
		"\"digest\":\"sha256:" HEX "\",\"size\":123},\"layers\":[{\"mediaType\":"
		"\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:" HEX
		"\",\"size\":456}]}");
}

TEST(digests_have_one_shape)
{
	CHECK_STR(meta_digest("sha256:" HEX), HEX);
	CHECK(!meta_digest(HEX));
	CHECK(!meta_digest("sha256:"));
	CHECK(!meta_digest("SHA256:" HEX));
	CHECK(!meta_digest(
		"sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"));
}
