/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sys/resource.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/spec.h"
#include "runtime/spec_oci.h"
#include "tests/unit/test.h"

#define DATA   "tests/unit/data/"
#define CAP(n) (1ULL << (n))

/* A config.json of the least that must be given, and @members. */
#define CONFIG(members)	   "{\"ociVersion\": \"1.3.0\", \"root\": {\"path\": \"rootfs\"}, " members "}"
#define PROCESS(members)   CONFIG("\"process\": {\"args\": [\"a\"], \"cwd\": \"/\", " members "}")
#define LINUX(members)	   CONFIG("\"linux\": {" members "}")
#define RESOURCES(members) LINUX("\"resources\": {" members "}")
#define MOUNT(members)	   CONFIG("\"mounts\": [{\"destination\": \"/m\"}, {" members "}]")

static struct spec *read_ok(const char *text)
{
	struct err e = { 0 };
	struct spec *s = spec_oci_parse(text, strlen(text), "/bundle", &e);

	if (!s)
		FAIL("'%.300s' is refused: %s", text, e.msg);
	return s;
}

static void accept(const char *text)
{
	spec_free(read_ok(text));
}

/* The message is one line that begins with the member's place. */
static void refuse(const char *text, const char *message)
{
	struct err e = { 0 };

	if (spec_oci_parse(text, strlen(text), "/bundle", &e))
		FAIL("'%.300s' is accepted", text);
	CHECK_INT(e.code, ERR_INVALID);
	if (strncmp(e.msg, message, strlen(message)) != 0)
		FAIL("'%.300s' gives '%s', want '%s'", text, e.msg, message);
	CHECK(!strchr(e.msg, '\n'));
}

static void dump(const struct spec *s, struct str *out)
{
	out->len = 0;
	spec_oci_dump(s, out);
	CHECK(!out->failed);
}

static void load(const char *name, struct str *text)
{
	char path[PATH_MAX];
	struct err e = { 0 };

	snprintf(path, sizeof(path), DATA "%s", name);
	if (file_read(AT_FDCWD, path, JSON_MAX_SIZE, text, &e) < 0)
		FAIL("%s", e.msg);
}

static struct spec *load_spec(const char *name)
{
	auto_str struct str text = { 0 };

	load(name, &text);
	return read_ok(str_text(&text));
}

/* ---- Whole documents ---- */

TEST(every_member_survives_reading_and_writing)
{
	auto_str struct str text = { 0 }, out = { 0 };
	auto_spec struct spec *s = NULL;

	load("everything.json", &text); /* in the form that a dump has */
	s = read_ok(str_text(&text));
	dump(s, &out);
	CHECK_STR(str_text(&out), str_text(&text));
}

/* Fails unless each row of @o, and of the objects below it, is in one of the @n objects @v. */
static void covered(const struct object *o, const struct json **v, size_t n, const char *place)
{
	for (const struct field *f = o->fields; f->key; f++) {
		const struct json *found[16];
		char below[256];
		size_t m = 0;

		snprintf(below, sizeof(below), "%s.%s", place, f->key);
		for (size_t i = 0; i < n; i++) {
			const struct json *member = json_get(v[i], f->key);

			if (!member)
				continue;
			if (f->type != F_LIST && f->type != F_KEYED && m < 16)
				found[m++] = member;
			else
				for (member = member->first; member && m < 16;
				     member = member->next)
					found[m++] = member;
		}
		if (!m)
			FAIL(DATA "everything.json has no %s", below);
		if (f->object)
			covered(f->object, found, m, below);
	}
}

TEST(everything_json_holds_every_member_there_is)
{
	auto_arena struct arena *a = arena_new(0);
	auto_str struct str text = { 0 };
	const struct json *v;
	struct err e;

	load("everything.json", &text);
	v = json_parse(a, text.s, text.len, &e);
	CHECK(v);
	covered(&oci_spec, &v, 1, "");
}

TEST(bundles_of_runc_podman_and_containerd_round_trip)
{
	static const char *const files[] = { "runc.json", "podman.json", "containerd.json", NULL };

	for (const char *const *f = files; *f; f++) {
		auto_str struct str first = { 0 }, second = { 0 };
		auto_spec struct spec *a = load_spec(*f), *b = NULL;

		dump(a, &first);
		b = read_ok(str_text(&first));
		dump(b, &second);
		CHECK_STR(str_text(&second), str_text(&first));
	}
}

TEST(default_bundles_round_trip)
{
	for (int rootless = 0; rootless < 2; rootless++) {
		auto_str struct str first = { 0 }, second = { 0 };
		struct err e = { 0 };
		auto_spec struct spec *a = spec_oci_default(rootless, &e), *b = NULL;

		CHECK_STR(e.msg, "");
		CHECK(a);
		CHECK_STR(a->root.path, "rootfs");
		dump(a, &first);
		b = spec_oci_parse(first.s, first.len, NULL, &e);
		CHECK(b);
		dump(b, &second);
		CHECK_STR(str_text(&second), str_text(&first));
	}
}

/* But for the host name, and the cgroup namespace that runc adds on pure cgroup v2 only. */
TEST(default_bundle_is_that_of_runc)
{
	auto_str struct str runc = { 0 }, ours = { 0 };
	auto_spec struct spec *theirs = load_spec("runc.json");
	struct err e = { 0 };
	auto_spec struct spec *s = spec_oci_default(false, &e);

	CHECK(s && spec_namespace(s, CLONE_NEWCGROUP));
	s->oci_version = theirs->oci_version;
	s->hostname = theirs->hostname;
	s->n_namespaces--;
	theirs->root.path = s->root.path;
	dump(theirs, &runc);
	dump(s, &ours);
	CHECK_STR(str_text(&ours), str_text(&runc));
}

TEST(rootless_default_maps_the_caller)
{
	struct err e = { 0 };
	auto_spec struct spec *s = spec_oci_default(true, &e);

	CHECK(s && spec_namespace(s, CLONE_NEWUSER) && !spec_namespace(s, CLONE_NEWNET));
	CHECK_INT(s->n_uid_maps, 1);
	CHECK_INT(s->uid_maps[0].host, geteuid());
	CHECK_INT(s->gid_maps[0].host, getegid());
	CHECK_INT(s->n_mounts, 7);
	CHECK_STR(s->mounts[5].source, "/sys");
	CHECK_STR(s->mounts[5].options[0], "rbind");
	CHECK_INT(s->resources.n_devices, 0);
}

/* ---- What is read means what it says ---- */

TEST(runc_bundle_is_understood)
{
	auto_spec struct spec *s = load_spec("runc.json");
	uint64_t caps = CAP(CAP_AUDIT_WRITE) | CAP(CAP_KILL) | CAP(CAP_NET_BIND_SERVICE);

	CHECK_STR(s->oci_version, "1.0.2-dev");
	CHECK_STR(s->bundle, "/bundle");
	CHECK(s->has_process && s->process.terminal && s->process.no_new_privileges);
	CHECK_STR(s->process.args[0], "sh");
	CHECK(!s->process.args[1]);
	CHECK_STR(s->process.env[1], "TERM=xterm");
	CHECK_STR(s->process.cwd, "/");
	CHECK(s->process.has_caps);
	CHECK(s->process.caps[CAPS_BOUNDING] == caps && s->process.caps[CAPS_EFFECTIVE] == caps);
	CHECK(s->process.caps[CAPS_PERMITTED] == caps && !s->process.caps[CAPS_AMBIENT]);
	CHECK(s->process.caps[CAPS_INHERITABLE] == 0);
	CHECK_INT(s->process.n_rlimits, 1);
	CHECK_INT(s->process.rlimits[0].resource, RLIMIT_NOFILE);
	CHECK_INT(s->process.rlimits[0].soft, 1024);
	CHECK_STR(s->root.path, "/bundle/rootfs");
	CHECK(s->root.readonly);
	CHECK_STR(s->hostname, "runc");
	CHECK_INT(s->n_mounts, 7);
	CHECK_STR(s->mounts[1].type, "tmpfs");
	CHECK_STR(s->mounts[1].options[2], "mode=755");
	CHECK(!s->mounts[0].options);
	CHECK_INT(s->resources.n_devices, 1);
	CHECK(!s->resources.devices[0].allow && s->resources.devices[0].type == 'a');
	CHECK_INT(s->resources.devices[0].major, -1);
	CHECK_INT(s->resources.devices[0].access, DEVICE_READ | DEVICE_WRITE | DEVICE_MKNOD);
	CHECK_INT(s->n_namespaces, 5);
	CHECK(spec_namespace(s, CLONE_NEWPID) && spec_namespace(s, CLONE_NEWNS));
	CHECK(!spec_namespace(s, CLONE_NEWUSER));
	CHECK_STR(s->masked_paths[9], "/proc/scsi");
	CHECK(!s->masked_paths[10]);
	CHECK_STR(s->readonly_paths[4], "/proc/sysrq-trigger");
}

TEST(podman_bundle_is_understood)
{
	auto_spec struct spec *s = load_spec("podman.json");

	CHECK_STR(spec_annotation(s, "run.oci.keep_original_groups"), "1");
	CHECK(!spec_annotation(s, "run.oci"));
	CHECK(s->process.has_umask);
	CHECK_INT(s->process.umask, 022);
	CHECK_INT(s->process.n_additional_gids, 2);
	CHECK_INT(s->process.additional_gids[1], 10);
	CHECK(s->process.has_oom_score_adj && s->process.oom_score_adj == 0);
	CHECK(!s->process.selinux_label && !s->mount_label); /* "" is not given */
	CHECK_STR(s->mounts[11].source, "/bundle/volumes/data");
	CHECK_STR(s->mounts[5].source,
		  "/run/containers/storage/overlay-containers/3f1c5b9d/userdata/hosts");
	CHECK_INT(s->hooks[HOOK_POSTSTOP].n, 1);
	CHECK_INT(s->hooks[HOOK_POSTSTOP].list[0].timeout, 0);
	CHECK_STR(spec_namespace(s, CLONE_NEWNET)->path, "/run/netns/netns-6a5be1ff");
	CHECK(s->resources.pids_limit.set && s->resources.pids_limit.v == 2048);
	CHECK(!s->resources.memory.limit.set);
	CHECK_STR(s->cgroups_path, "machine.slice:libpod:3f1c5b9d");
	CHECK_INT(s->seccomp->n_rules, 3);
	CHECK(s->seccomp->default_errno_ret.set && s->seccomp->default_errno_ret.v == 38);
	CHECK(!s->seccomp->rules[1].errno_ret.set && !s->seccomp->rules[1].n_args);
	CHECK_INT(s->seccomp->rules[2].args[1].index, 2);
	CHECK_STR(s->seccomp->rules[2].args[1].op, "SCMP_CMP_EQ");
}

TEST(containerd_bundle_is_understood)
{
	auto_spec struct spec *s = load_spec("containerd.json");

	CHECK(!s->process.terminal && !s->hostname);
	CHECK_INT(s->process.oom_score_adj, 985);
	CHECK_INT(s->resources.devices[1].minor, 1);
	CHECK_INT(s->resources.memory.limit.v, 134217728);
	CHECK_INT(s->resources.cpu.quota.v, 50000);
	CHECK_INT(s->resources.n_unified, 2);
	CHECK_STR(s->resources.unified[1].key, "memory.swap.max");
	CHECK_STR(spec_namespace(s, CLONE_NEWUTS)->path, "/proc/4711/ns/uts");
}

TEST(everything_is_understood)
{
	auto_spec struct spec *s = load_spec("everything.json");
	const struct process_spec *p = &s->process;

	CHECK_INT(p->console_height, 25);
	CHECK_INT(p->console_width, 80);
	CHECK_INT(p->additional_gids[1], 4294967294);
	CHECK_STR(p->args[2], "echo \"a\\b\"\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	CHECK(p->rlimits[0].hard == UINT64_MAX);
	CHECK(p->caps[CAPS_INHERITABLE] == CAP(CAP_SETUID));
	CHECK_INT(p->scheduler.nice, -5);
	CHECK_STR(p->scheduler.flags[0], "SCHED_FLAG_RECLAIM");
	CHECK_INT(p->scheduler.deadline, 20000000);
	CHECK(p->has_io_priority && p->io_priority == 4);
	CHECK_STR(p->exec_affinity_final, "0,2-3");
	CHECK_INT(s->mounts[1].gid_maps[1].host, 201000);
	CHECK_STR(s->hooks[HOOK_START_CONTAINER].list[0].path, "/usr/bin/startcontainer");
	CHECK(s->resources.memory.has_disable_oom_killer &&
	      !s->resources.memory.disable_oom_killer);
	CHECK(s->resources.memory.swap.set && s->resources.memory.swap.v == -1);
	CHECK(s->resources.block_io.throttles[THROTTLE_WRITE_IOPS][0].rate == UINT64_MAX);
	CHECK_STR(s->resources.hugepages[0].value, "209715200");
	CHECK_STR(s->resources.net_priorities[1].value, "1000");
	CHECK_STR(s->resources.rdma[1].device, "rxe3");
	CHECK(!s->resources.rdma[1].handles.set && s->resources.rdma[1].objects.set);
	CHECK_INT(s->n_devices, 3);
	CHECK(s->devices[2].type == 'p' && s->devices[2].mode == 0600 && !s->devices[2].has_uid);
	CHECK_STR(s->net_devices[0].name, "inside%d");
	CHECK_STR(s->net_devices[1].host, "eth1");
	CHECK(!s->net_devices[1].name);
	CHECK(s->seccomp->rules[1].args[1].value == UINT64_MAX);
	CHECK_INT(s->time_offsets[1].secs, -604800);
	CHECK(s->intel_rdt.given && s->intel_rdt.enable_mbm);
	CHECK_STR(s->personality_domain, "LINUX32");
	CHECK_STR(s->memory_policy.nodes, "2-3");
}

TEST(unknown_members_and_null_are_ignored)
{
	auto_spec struct spec *s = read_ok(CONFIG(
		"\"x\": {\"linux\": 1}, \"hostname\": null, \"solaris\": [], \"process\": null,"
		"\"linux\": {\"y\": [[[1]]], \"namespaces\": null, \"seccomp\": null}"));

	CHECK(!s->has_process && !s->hostname && !s->n_namespaces && !s->seccomp);
}

TEST(device_mode_may_carry_its_type)
{
	auto_spec struct spec *s =
		read_ok(LINUX("\"devices\": [{\"type\": \"c\", \"path\": \"/dev/x\", "
			      "\"major\": 1, \"minor\": 3, \"fileMode\": 8630}]"));

	CHECK_INT(s->devices[0].mode, 0666);
}

TEST(an_empty_intel_rdt_asks_for_a_group)
{
	auto_str struct str out = { 0 };
	auto_spec struct spec *s = read_ok(LINUX("\"intelRdt\": {}"));

	CHECK(s->intel_rdt.given);
	dump(s, &out);
	CHECK_HAS(str_text(&out), "\"intelRdt\": {}");
}

TEST(empty_capabilities_are_not_absent_ones)
{
	auto_str struct str out = { 0 };
	auto_spec struct spec *s = read_ok(PROCESS("\"capabilities\": {}"));

	CHECK(s->process.has_caps);
	dump(s, &out);
	CHECK_HAS(str_text(&out), "\"capabilities\": {}");
}

TEST(of_equal_variables_the_last_counts_once)
{
	auto_spec struct spec *s = read_ok(
		PROCESS("\"env\": [\"A=1\", \"B=1\", \"AA=1\", \"A=2\", \"C=\", \"A=3\", \"B=\"]"));
	const char *const *env = s->process.env;

	CHECK_STR(env[0], "AA=1");
	CHECK_STR(env[1], "C=");
	CHECK_STR(env[2], "A=3");
	CHECK_STR(env[3], "B=");
	CHECK(!env[4]);
}

TEST(unknown_capabilities_are_told_and_left_out)
{
	auto_spec struct spec *s = NULL;
	char path[PATH_MAX + 8];
	auto_str struct str log = { 0 };
	auto_fd int fd = -1;
	struct err e = { 0 };

	snprintf(path, sizeof(path), "%s/log", test_dir());
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	log_setup(fd, LOG_TEXT, LOG_WARN);
	s = read_ok(
		PROCESS("\"capabilities\": {\"bounding\": [\"CAP_NEW\\n\", \"CAP_CHOWN\", \"x\"],"
			" \"effective\": [\"cap_chown\"]}"));
	CHECK(s->process.caps[CAPS_BOUNDING] == CAP(CAP_CHOWN));
	CHECK(s->process.caps[CAPS_EFFECTIVE] == 0);
	CHECK_INT(file_read(AT_FDCWD, path, 4096, &log, &e), 0);
	CHECK_HAS(
		str_text(&log),
		"process.capabilities.bounding: unknown capability 'CAP_NEW?' and 1 more are left out\n");
	CHECK_HAS(str_text(&log),
		  "process.capabilities.effective: unknown capability 'cap_chown' is left out\n");
}

TEST(bind_sources_count_from_the_bundle_and_no_others)
{
	auto_spec struct spec *s = read_ok(CONFIG(
		"\"mounts\": [{\"destination\": \"a\", \"type\": \"bind\", \"source\": \"x\"},"
		"{\"destination\": \"b\", \"source\": \"x\", \"options\": [\"rw\", \"rbind\"]},"
		"{\"destination\": \"c\", \"source\": \"/x\", \"options\": [\"bind\"]},"
		"{\"destination\": \"d\", \"type\": \"tmpfs\", \"source\": \"x\"}]"));

	CHECK_STR(s->mounts[0].source, "/bundle/x");
	CHECK_STR(s->mounts[1].source, "/bundle/x");
	CHECK_STR(s->mounts[2].source, "/x");
	CHECK_STR(s->mounts[3].source, "x");
	CHECK_STR(s->mounts[3].destination, "d");
}

TEST(a_process_can_be_read_alone)
{
	static const char good[] =
		"{\"args\": [\"ls\"], \"cwd\": \"/tmp\", \"user\": {\"uid\": 1, \"gid\": 2}}";
	static const char bad[] = "{\"args\": [\"ls\"], \"cwd\": \"tmp\"}";
	auto_arena struct arena *a = arena_new(0);
	struct process_spec p = { .uid = 9 };
	struct err e = { 0 };

	CHECK_INT(spec_oci_parse_process(bad, strlen(bad), a, &p, &e), -1);
	CHECK_STR(e.msg, "cwd: expected an absolute path, not 'tmp'");
	CHECK_INT(p.uid, 9);
	CHECK_INT(spec_oci_parse_process("[]", 2, a, &p, &e), -1);
	CHECK_STR(e.msg, "expected an object, not an array");
	CHECK_INT(spec_oci_parse_process(good, strlen(good), a, &p, &e), 0);
	CHECK_STR(p.args[0], "ls");
	CHECK_STR(p.cwd, "/tmp");
	CHECK_INT(p.uid, 1);
	CHECK_INT(p.gid, 2);
	CHECK(!p.has_caps);
}

/* ---- Malformed documents ---- */

TEST(wrong_types_are_refused)
{
	refuse("[]", "expected an object, not an array");
	refuse("\"x\"", "expected an object, not a string");
	refuse("{}", "'ociVersion' is missing");
	refuse("{\"ociVersion\": \"1.0.0\"}", "'root' is missing");
	refuse("{\"ociVersion\": 1}", "ociVersion: expected a string, not a number");
	refuse("{\"root\": \"/\", \"ociVersion\": \"1.0.0\"}",
	       "root: expected an object, not a string");
	refuse("{\"root\": {}, \"ociVersion\": \"1.0.0\"}", "root: 'path' is missing");
	refuse("{\"root\": {\"path\": \"\"}}", "root.path: must not be empty");
	refuse("{\"root\": {\"path\": null}}", "root: 'path' is missing");
	refuse(CONFIG("\"mounts\": {}"), "mounts: expected an array, not an object");
	refuse(CONFIG("\"mounts\": [1]"), "mounts[0]: expected an object, not a number");
	refuse(CONFIG("\"mounts\": [null]"), "mounts[0]: expected an object, not null");
	refuse(CONFIG("\"annotations\": {\"a\": 1}"),
	       "annotations[\"a\"]: expected a string, not a number");
	refuse(CONFIG("\"annotations\": [\"a\"]"), "annotations: expected an object, not an array");
	refuse(PROCESS("\"terminal\": \"yes\""),
	       "process.terminal: expected a boolean, not a string");
	refuse(PROCESS("\"env\": [\"A=b\", 1]"), "process.env[1]: expected a string, not a number");
	refuse(PROCESS("\"env\": \"A=b\""), "process.env: expected an array, not a string");
	refuse(PROCESS("\"user\": {\"additionalGids\": [1, \"2\"]}"),
	       "process.user.additionalGids[1]: expected a number, not a string");
	refuse(PROCESS("\"user\": {\"additionalGids\": 1}"),
	       "process.user.additionalGids: expected an array, not a number");
	refuse(PROCESS("\"capabilities\": {\"bounding\": [[]]}"),
	       "process.capabilities.bounding[0]: expected a string, not an array");
	refuse(PROCESS("\"capabilities\": {\"bounding\": {}}"),
	       "process.capabilities.bounding: expected an array, not an object");
	refuse(LINUX("\"seccomp\": \"default\""),
	       "linux.seccomp: expected an object, not a string");
	refuse(LINUX("\"timeOffsets\": []"), "linux.timeOffsets: expected an object, not an array");
	refuse(RESOURCES("\"devices\": [{\"allow\": true, \"access\": 7}]"),
	       "linux.resources.devices[0].access: expected a string, not a number");
	refuse(RESOURCES("\"hugepageLimits\": [{\"pageSize\": \"2MB\", \"limit\": \"1\"}]"),
	       "linux.resources.hugepageLimits[0].limit: expected a number, not a string");
}

TEST(numbers_out_of_range_are_refused)
{
	refuse(PROCESS("\"user\": {\"uid\": 4294967295}"),
	       "process.user.uid: expected a whole number from 0 to 4294967294, not 4294967295");
	refuse(PROCESS("\"user\": {\"gid\": -1}"), "process.user.gid: expected a whole number");
	refuse(PROCESS("\"user\": {\"gid\": 4294967296}"),
	       "process.user.gid: expected a whole number");
	refuse(PROCESS("\"user\": {\"uid\": 1.0}"), "process.user.uid: expected a whole number");
	refuse(PROCESS("\"user\": {\"uid\": 1e3}"), "process.user.uid: expected a whole number");
	refuse(PROCESS("\"user\": {\"umask\": 512}"),
	       "process.user.umask: expected a whole number from 0 to 511");
	refuse(PROCESS("\"user\": {\"additionalGids\": [4294967295]}"),
	       "process.user.additionalGids[0]: ");
	refuse(PROCESS("\"oomScoreAdj\": 1001"),
	       "process.oomScoreAdj: expected a whole number from -1000 to 1000, not 1001");
	refuse(PROCESS("\"oomScoreAdj\": -1001"), "process.oomScoreAdj: ");
	refuse(PROCESS("\"consoleSize\": {\"height\": 65536, \"width\": 1}"),
	       "process.consoleSize.height: ");
	refuse(PROCESS("\"consoleSize\": {\"height\": 1}"),
	       "process.consoleSize: 'width' is missing");
	refuse(PROCESS("\"rlimits\": [{\"type\": \"RLIMIT_CORE\", \"hard\": 18446744073709551616, \"soft\": 1}]"),
	       "process.rlimits[0].hard: expected a whole number from 0 to 18446744073709551615");
	refuse(PROCESS("\"scheduler\": {\"policy\": \"SCHED_OTHER\", \"nice\": 20}"),
	       "process.scheduler.nice: ");
	refuse(PROCESS("\"ioPriority\": {\"class\": \"IOPRIO_CLASS_BE\", \"priority\": 8}"),
	       "process.ioPriority.priority: ");
	refuse(RESOURCES("\"memory\": {\"limit\": -2}"), "linux.resources.memory.limit: ");
	refuse(RESOURCES("\"memory\": {\"limit\": 9223372036854775808}"),
	       "linux.resources.memory.limit: ");
	refuse(RESOURCES("\"memory\": {\"swappiness\": 101}"),
	       "linux.resources.memory.swappiness: ");
	refuse(RESOURCES("\"cpu\": {\"idle\": 2}"), "linux.resources.cpu.idle: ");
	refuse(RESOURCES("\"cpu\": {\"quota\": 5, \"burst\": 6}"),
	       "linux.resources.cpu.burst: 6 is above the quota 5");
	accept(RESOURCES("\"cpu\": {\"quota\": -1, \"burst\": 6}"));
	refuse(RESOURCES("\"blockIO\": {\"weight\": 65536}"), "linux.resources.blockIO.weight: ");
	refuse(LINUX("\"devices\": [{\"type\": \"c\", \"path\": \"/dev/x\", \"major\": 4096, \"minor\": 0}]"),
	       "linux.devices[0].major: expected a whole number from 0 to 4095");
	refuse(CONFIG("\"hooks\": {\"poststop\": [{\"path\": \"/x\", \"timeout\": 0}]}"),
	       "hooks.poststop[0].timeout: expected a whole number from 1");
	refuse(LINUX("\"timeOffsets\": {\"monotonic\": {\"nanosecs\": 1000000000}}"),
	       "linux.timeOffsets[\"monotonic\"].nanosecs: ");
}

TEST(size_depth_encoding_keys_and_nul_are_refused)
{
	char deep[400];
	auto_free char *big = malloc(JSON_MAX_SIZE + 1);
	struct err e = { 0 };

	snprintf(deep, sizeof(deep), "{\"x\": %.70s",
		 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
		 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
	refuse(deep, "line 1, column 70: nested more than 64 levels deep");
	refuse(CONFIG("\"hostname\": \"a\", \"hostname\": \"b\""),
	       "line 1, column 79: duplicate key 'hostname'");
	refuse(CONFIG("\"hostname\": \"a\\u0000b\""),
	       "line 1, column 67: a string holds a NUL character");
	refuse(CONFIG("\"hostname\": \"a\xff\""), "line 1, column 67: invalid UTF-8");
	refuse(CONFIG("\"annotations\": {\"a\\u0000\": \"b\"}"), "line 1");
	refuse("{\"ociVersion\": \"1.0.0\"", "line 1, column 23: unexpected end of the text");
	CHECK(big);
	memset(big, ' ', JSON_MAX_SIZE + 1);
	CHECK(!spec_oci_parse(big, JSON_MAX_SIZE + 1, "/", &e));
	CHECK_HAS(e.msg, "more than 20 MiB");
}

TEST(versions_other_than_1_are_refused)
{
	static const char *const good[] = { "1.0.0", "1.0.2-dev", "1.3.0+dev", "1.10.11-rc.1+x.y",
					    NULL };
	static const char *const bad[] = { "1",	     "1.0",    "1.0.0.0",	 "v1.0.0",
					   "1.0.x",  "01.0.0", "1.00.0",	 "1.0.0-",
					   "1.0.0 ", "1..0",   "1.0.0-\xc3\xa9", NULL };
	char text[200];

	for (const char *const *v = good; *v; v++) {
		snprintf(text, sizeof(text),
			 "{\"ociVersion\": \"%s\", \"root\": {\"path\": \"r\"}}", *v);
		accept(text);
	}
	for (const char *const *v = bad; *v; v++) {
		snprintf(text, sizeof(text),
			 "{\"ociVersion\": \"%s\", \"root\": {\"path\": \"r\"}}", *v);
		refuse(text, "ociVersion: expected a version such as '1.3.0'");
	}
	refuse("{\"ociVersion\": \"2.0.0\"}", "ociVersion: version '2.0.0' is not supported");
	refuse("{\"ociVersion\": \"0.6.0\"}", "ociVersion: version '0.6.0' is not supported");
	refuse("{\"ociVersion\": \"10.0.0\"}", "ociVersion: version '10.0.0' is not supported");
	refuse("{\"ociVersion\": \"\"}", "ociVersion: must not be empty");
}

TEST(a_process_needs_arguments_and_an_absolute_directory)
{
	refuse(CONFIG("\"process\": {\"cwd\": \"/\"}"), "process: 'args' is missing");
	refuse(CONFIG("\"process\": {\"cwd\": \"/\", \"args\": []}"),
	       "process.args: must not be empty");
	refuse(CONFIG("\"process\": {\"args\": [\"a\"]}"), "process: 'cwd' is missing");
	refuse(CONFIG("\"process\": {\"args\": [\"a\"], \"cwd\": \"\"}"),
	       "process.cwd: must not be empty");
	refuse(CONFIG("\"process\": {\"args\": [\"a\"], \"cwd\": \"tmp\"}"),
	       "process.cwd: expected an absolute path, not 'tmp'");
	refuse(PROCESS("\"env\": [\"A=b\", \"C\"]"),
	       "process.env[1]: expected 'NAME=value', not 'C'");
	refuse(PROCESS("\"env\": [\"=b\"]"), "process.env[0]: expected 'NAME=value', not '=b'");
}

TEST(rlimits_are_known_ordered_and_given_once)
{
	refuse(PROCESS("\"rlimits\": [{\"type\": \"RLIMIT_CORE\", \"hard\": 1, \"soft\": 1},"
		       "{\"type\": \"RLIMIT_FOO\", \"hard\": 1, \"soft\": 1}]"),
	       "process.rlimits[1].type: unknown resource 'RLIMIT_FOO'");
	refuse(PROCESS("\"rlimits\": [{\"type\": \"RLIMIT_CORE\", \"hard\": 1, \"soft\": 1},"
		       "{\"type\": \"RLIMIT_CORE\", \"hard\": 1, \"soft\": 1}]"),
	       "process.rlimits[1].type: 'RLIMIT_CORE' is given twice");
	refuse(PROCESS("\"rlimits\": [{\"type\": \"RLIMIT_CORE\", \"hard\": 1, \"soft\": 2}]"),
	       "process.rlimits[0].soft: 2 is above the hard limit 1");
	refuse(PROCESS("\"rlimits\": [{\"type\": \"RLIMIT_CORE\", \"soft\": 2}]"),
	       "process.rlimits[0]: 'hard' is missing");
	refuse(PROCESS("\"rlimits\": [{\"hard\": 1, \"soft\": 2}]"),
	       "process.rlimits[0]: 'type' is missing");
}

TEST(unknown_words_are_refused)
{
	refuse(PROCESS("\"scheduler\": {\"policy\": \"SCHED_X\"}"),
	       "process.scheduler.policy: unknown policy 'SCHED_X'");
	refuse(PROCESS("\"scheduler\": {\"nice\": 1}"), "process.scheduler: 'policy' is missing");
	refuse(PROCESS("\"scheduler\": {\"policy\": \"SCHED_RR\", \"flags\": [\"x\"]}"),
	       "process.scheduler.flags[0]: unknown flag 'x'");
	refuse(PROCESS("\"ioPriority\": {\"class\": \"x\", \"priority\": 1}"),
	       "process.ioPriority.class: unknown class 'x'");
	refuse(PROCESS("\"execCPUAffinity\": {\"initial\": \"0-\"}"),
	       "process.execCPUAffinity.initial: expected a list such as '0-3,7', not '0-'");
	refuse(LINUX("\"namespaces\": [{\"type\": \"net\"}]"),
	       "linux.namespaces[0].type: unknown type of namespace 'net'");
	refuse(LINUX("\"namespaces\": [{\"path\": \"/x\"}]"),
	       "linux.namespaces[0]: 'type' is missing");
	refuse(LINUX("\"rootfsPropagation\": \"x\""),
	       "linux.rootfsPropagation: unknown propagation 'x'");
	refuse(LINUX("\"personality\": {\"domain\": \"BSD\"}"),
	       "linux.personality.domain: unknown domain 'BSD'");
	refuse(LINUX("\"memoryPolicy\": {}"), "linux.memoryPolicy: invalid memory policy mode ''");
	refuse(LINUX("\"memoryPolicy\": {\"mode\": \"x\"}"),
	       "linux.memoryPolicy: invalid memory policy mode 'x'");
	refuse(LINUX("\"memoryPolicy\": {\"mode\": \"MPOL_BIND\", \"flags\": [\"x\"]}"),
	       "linux.memoryPolicy: invalid memory policy flag 'x'");
	refuse(LINUX("\"memoryPolicy\": {\"mode\": \"MPOL_BIND\", \"nodes\": \"a\"}"),
	       "linux.memoryPolicy: invalid memory policy nodes 'a': no list of numbers below 1024");
	refuse(LINUX("\"memoryPolicy\": {\"mode\": \"MPOL_BIND\"}"),
	       "linux.memoryPolicy: MPOL_BIND mode requires at least 1 node");
	refuse(LINUX("\"memoryPolicy\": {\"mode\": \"MPOL_LOCAL\", \"nodes\": \"0,2-3\"}"),
	       "linux.memoryPolicy: MPOL_LOCAL mode requires 0 nodes but got 3");
	refuse(LINUX("\"timeOffsets\": {\"realtime\": {}}"),
	       "linux.timeOffsets[\"realtime\"]: unknown clock");
	refuse(LINUX("\"devices\": [{\"type\": \"x\", \"path\": \"/x\"}]"),
	       "linux.devices[0].type: unknown type of device 'x'");
	refuse(LINUX("\"devices\": [{\"type\": \"cc\", \"path\": \"/x\"}]"),
	       "linux.devices[0].type: ");
	refuse(RESOURCES("\"devices\": [{\"allow\": true, \"type\": \"p\", \"access\": \"r\"}]"),
	       "linux.resources.devices[0].type: unknown type of device 'p'");
	refuse(LINUX("\"rootfsPropagation\": \"a\\nb\""),
	       "linux.rootfsPropagation: unknown propagation 'a?b'");
}

TEST(paths_that_must_be_absolute_are)
{
	refuse(CONFIG("\"hooks\": {\"prestart\": [{\"path\": \"bin/x\"}]}"),
	       "hooks.prestart[0].path: expected an absolute path");
	refuse(CONFIG("\"hooks\": {\"prestart\": [{}]}"), "hooks.prestart[0]: 'path' is missing");
	refuse(LINUX("\"maskedPaths\": [\"/a\", \"b\"]"),
	       "linux.maskedPaths[1]: expected an absolute path");
	refuse(LINUX("\"readonlyPaths\": [\"\"]"),
	       "linux.readonlyPaths[0]: expected an absolute path");
	refuse(LINUX("\"namespaces\": [{\"type\": \"pid\", \"path\": \"x\"}]"),
	       "linux.namespaces[0].path: ");
	refuse(LINUX("\"devices\": [{\"type\": \"p\", \"path\": \"x\"}]"),
	       "linux.devices[0].path: ");
	refuse(LINUX("\"cgroupsPath\": \"/a/../b\""), "linux.cgroupsPath: '..' is not allowed");
	refuse(LINUX("\"cgroupsPath\": \"..\""), "linux.cgroupsPath: '..' is not allowed");
	accept(LINUX("\"cgroupsPath\": \"/a..b/c../..d\""));
}

TEST(mounts_are_complete)
{
	refuse(MOUNT("\"type\": \"tmpfs\""), "mounts[1]: 'destination' is missing");
	refuse(MOUNT("\"destination\": \"\""), "mounts[1].destination: must not be empty");
	refuse(MOUNT("\"destination\": \"/a\", \"options\": [\"bind\"]"),
	       "mounts[1]: a bind mount needs a 'source'");
	refuse(MOUNT("\"destination\": \"/a\", \"uidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": 1}]"),
	       "mounts[1]: uidMappings and gidMappings must be given together");
	refuse(MOUNT("\"destination\": \"/a\", \"uidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": 0}],"
		     "\"gidMappings\": [{\"containerID\": 0, \"hostID\": 0, \"size\": 1}]"),
	       "mounts[1].uidMappings: [0].size: must not be 0");
	refuse(MOUNT("\"destination\": \"/a\", \"gidMappings\": [{\"containerID\": 0, \"hostID\": 0}]"),
	       "mounts[1].gidMappings[0]: 'size' is missing");
}

TEST(devices_are_complete)
{
	refuse(LINUX("\"devices\": [{\"type\": \"c\", \"path\": \"/x\", \"minor\": 1}]"),
	       "linux.devices[0]: 'major' is missing");
	refuse(LINUX("\"devices\": [{\"type\": \"b\", \"path\": \"/x\", \"major\": 1}]"),
	       "linux.devices[0]: 'minor' is missing");
	accept(LINUX("\"devices\": [{\"type\": \"p\", \"path\": \"/x\"}]"));
	refuse(LINUX("\"devices\": [{\"type\": \"b\", \"path\": \"/x\", \"major\": 1, \"minor\": 1,"
		     "\"fileMode\": 8630}]"),
	       "linux.devices[0].fileMode: 8630 is the mode of something else than a device of type 'b'");
	refuse(RESOURCES("\"devices\": [{\"access\": \"r\"}]"),
	       "linux.resources.devices[0]: 'allow' is missing");
	refuse(RESOURCES("\"devices\": [{\"allow\": true}]"),
	       "linux.resources.devices[0].access: expected letters out of 'rwm'");
	refuse(RESOURCES("\"devices\": [{\"allow\": true, \"access\": \"rx\"}]"),
	       "linux.resources.devices[0].access: expected letters out of 'rwm', not 'rx'");
}

TEST(resources_are_checked)
{
	refuse(RESOURCES("\"hugepageLimits\": [{\"pageSize\": \"2M\", \"limit\": 1}]"),
	       "linux.resources.hugepageLimits[0].pageSize: expected a size such as '2MB', not '2M'");
	refuse(RESOURCES("\"hugepageLimits\": [{\"pageSize\": \"MB\", \"limit\": 1}]"),
	       "linux.resources.hugepage");
	refuse(RESOURCES("\"hugepageLimits\": [{\"pageSize\": \"2\", \"limit\": 1}]"),
	       "linux.resources.hugepage");
	refuse(RESOURCES("\"rdma\": {\"mlx\": {}}"),
	       "linux.resources.rdma[\"mlx\"]: needs 'hcaHandles' or 'hcaObjects'");
	refuse(RESOURCES("\"rdma\": {\"\": {\"hcaHandles\": 1}}"),
	       "linux.resources.rdma[\"\"]: expected a name as key");
	refuse(RESOURCES("\"blockIO\": {\"weightDevice\": [{\"major\": 8, \"minor\": 0}]}"),
	       "linux.resources.blockIO.weightDevice[0]: needs 'weight' or 'leafWeight'");
	refuse(RESOURCES(
		       "\"blockIO\": {\"throttleReadBpsDevice\": [{\"major\": 8, \"minor\": 0}]}"),
	       "linux.resources.blockIO.throttleReadBpsDevice[0]: 'rate' is missing");
	refuse(RESOURCES("\"unified\": {\"../cgroup.procs\": \"1\"}"),
	       "linux.resources.unified[\"../cgroup.procs\"]: expected a file name of the cgroup as key");
	refuse(RESOURCES("\"unified\": {\"a/b\": \"1\"}"), "linux.resources.unified[\"a/b\"]: ");
	refuse(RESOURCES("\"unified\": {\"\": \"1\"}"), "linux.resources.unified[\"\"]: ");
	refuse(RESOURCES("\"network\": {\"priorities\": [{\"name\": \"a/b\", \"priority\": 1}]}"),
	       "linux.resources.network.priorities[0].name: 'a/b' cannot be the name of a network interface");
	refuse(RESOURCES("\"cpu\": {\"cpus\": \"1,\"}"),
	       "linux.resources.cpu.cpus: expected a list");
	refuse(CONFIG("\"annotations\": {\"\": \"x\"}"), "annotations[\"\"]: must not be empty");
}

TEST(seccomp_is_checked)
{
	refuse(LINUX("\"seccomp\": {}"), "linux.seccomp: 'defaultAction' is missing");
	refuse(LINUX("\"seccomp\": {\"defaultAction\": \"x\"}"),
	       "linux.seccomp.defaultAction: unknown action 'x'");
	refuse(LINUX("\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"defaultErrnoRet\": 1}"),
	       "linux.seccomp.defaultErrnoRet: action 'SCMP_ACT_ALLOW' takes no error number");
	refuse(LINUX("\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 4096}"),
	       "linux.seccomp.defaultErrnoRet: expected an error number up to 4095, not 4096");
	accept(LINUX(
		"\"seccomp\": {\"defaultAction\": \"SCMP_ACT_TRACE\", \"defaultErrnoRet\": 65535}"));
	refuse(LINUX("\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerMetadata\": \"x\"}"),
	       "linux.seccomp.listenerMetadata: is of no use without 'listenerPath'");
#define RULE(members) \
	LINUX("\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{" members "}]}")
	refuse(RULE("\"action\": \"SCMP_ACT_LOG\""),
	       "linux.seccomp.syscalls[0]: 'names' is missing");
	refuse(RULE("\"action\": \"SCMP_ACT_LOG\", \"names\": []"),
	       "linux.seccomp.syscalls[0].names: must not be empty");
	refuse(RULE("\"names\": [\"read\"]"), "linux.seccomp.syscalls[0]: 'action' is missing");
	refuse(RULE("\"names\": [\"read\", \"\"]"),
	       "linux.seccomp.syscalls[0].names[1]: must not be empty");
	refuse(RULE("\"names\": [\"read\"], \"action\": \"SCMP_ACT_KILL\", \"errnoRet\": 1"),
	       "linux.seccomp.syscalls[0].errnoRet: action 'SCMP_ACT_KILL' takes no error number");
	refuse(RULE("\"names\": [\"read\"], \"action\": \"SCMP_ACT_KILL\", \"args\": [{\"index\": 6, \"value\": 0, "
		    "\"op\": \"SCMP_CMP_EQ\"}]"),
	       "linux.seccomp.syscalls[0].args[0].index: expected a whole number from 0 to 5, not 6");
	refuse(RULE("\"names\": [\"read\"], \"action\": \"SCMP_ACT_KILL\", \"args\": [{\"index\": 5, \"value\": 0, "
		    "\"op\": \"==\"}]"),
	       "linux.seccomp.syscalls[0].args[0].op: unknown operator '=='");
}

/* CVE-2022-0811: "kernel.shm_rmid_forced=1+kernel.core_pattern=..." became two sysctls. */
TEST(sysctl_names_are_a_grammar)
{
	static const char *const bad[] = { "kernel.shmmax+kernel.core_pattern",
					   "kernel.shmmax=1",
					   "",
					   "net..a",
					   "/proc/sys/kernel/x",
					   "../x",
					   "net/../kernel/x",
					   "net.a b",
					   "net.a.",
					   "net.\xc3\xa9",
					   "net.a%2e",
					   "net./x",
					   NULL };
	char text[300];

	for (const char *const *k = bad; *k; k++) {
		snprintf(text, sizeof(text),
			 LINUX("\"namespaces\": [{\"type\": \"network\"}, {\"type\": \"ipc\"}],"
			       "\"sysctl\": {\"%s\": \"1\"}"),
			 *k);
		refuse(text, "linux.sysctl[\"");
	}
	refuse(LINUX("\"namespaces\": [{\"type\": \"ipc\"}], \"sysctl\": {\"kernel.shmmax+kernel.core_pattern\": \"1\"}"),
	       "linux.sysctl[\"kernel.shmmax+kernel.core_pattern\"]: is no name of a sysctl");
}

TEST(interfaces_have_possible_names)
{
	static const char *const bad[] = {
		"sixteen-letters-", ".", "..", "a/b", "a b", "a:b", "a%s", "a%d%d", "", NULL
	};
	char text[300];

	for (const char *const *k = bad; *k; k++) {
		snprintf(
			text, sizeof(text),
			LINUX("\"namespaces\": [{\"type\": \"network\"}], \"netDevices\": {\"%s\": {}}"),
			*k);
		refuse(text, "linux.netDevices[\"");
	}
	refuse(LINUX("\"namespaces\": [{\"type\": \"network\"}], \"netDevices\": {\"eth%d\": {}}"),
	       "linux.netDevices[\"eth%d\"]: expected the name of one interface");
	refuse(LINUX("\"namespaces\": [{\"type\": \"network\"}], \"netDevices\": {\"eth0\": {\"name\": \"a/b\"}}"),
	       "linux.netDevices[\"eth0\"].name: 'a/b' cannot be the name");
}

TEST(rdt_schemas_are_one_line)
{
	refuse(LINUX("\"intelRdt\": {\"schemata\": [\"L3:0=f\\nMB:0=1\"]}"),
	       "linux.intelRdt.schemata[0]: must not contain a line break");
	refuse(LINUX("\"intelRdt\": {\"memBwSchema\": \"L3:0=f\"}"),
	       "linux.intelRdt.memBwSchema: ");
	refuse(LINUX("\"intelRdt\": {\"closID\": \"../x\"}"), "linux.intelRdt.closID: ");
	accept(LINUX("\"intelRdt\": {\"closID\": \"/\"}"));
}

/* ---- spec_check(): rules between members ---- */

#define WITH(types, members) LINUX("\"namespaces\": [" types "], " members)

TEST(namespaces_are_given_once)
{
	refuse(WITH("{\"type\": \"pid\"}, {\"type\": \"ipc\"}, {\"type\": \"pid\", \"path\": \"/x\"}",
		    "\"x\": 1"),
	       "linux.namespaces[2].type: a second namespace of type 'pid'");
	refuse(WITH("{\"type\": \"pid\"}, {\"type\": \"pid\"}, {\"type\": \"pid\"}, {\"type\": \"pid\"},"
		    "{\"type\": \"pid\"}, {\"type\": \"pid\"}, {\"type\": \"pid\"}, {\"type\": \"pid\"},"
		    "{\"type\": \"pid\"}",
		    "\"x\": 1"),
	       "linux.namespaces: 9 entries: at most 8 are possible");
}

TEST(host_names_need_a_uts_namespace)
{
	refuse(CONFIG("\"hostname\": \"a\""), "hostname: needs a namespace of type 'uts'");
	refuse(CONFIG("\"domainname\": \"a\""), "domainname: needs a namespace of type 'uts'");
	accept(CONFIG(
		"\"hostname\": \"a\", \"linux\": {\"namespaces\": [{\"type\": \"uts\", \"path\": \"/x\"}]}"));
	refuse(CONFIG("\"linux\": {\"namespaces\": [{\"type\": \"uts\"}]}, \"hostname\": "
		      "\"0123456789012345678901234567890123456789012345678901234567890123x\""),
	       "hostname: longer than 64 bytes");
}

#define MAP(c, h, n) "{\"containerID\": " c ", \"hostID\": " h ", \"size\": " n "}"
#define MAPS(list)   WITH("{\"type\": \"user\"}", "\"uidMappings\": [" list "]")

TEST(mappings_do_not_overlap)
{
	accept(MAPS(MAP("0", "1000", "10") ", " MAP("10", "1010", "1")));
	accept(MAPS(MAP("0", "0", "4294967295")));
	refuse(MAPS(MAP("0", "1000", "10") ", " MAP("9", "2000", "1")),
	       "linux.uidMappings: [1].containerID: overlaps with entry 0");
	refuse(MAPS(MAP("0", "1000", "10") ", " MAP("10", "999", "2")),
	       "linux.uidMappings: [1].hostID: overlaps with entry 0");
	refuse(MAPS(MAP("0", "0", "0")), "linux.uidMappings: [0].size: must not be 0");
	refuse(MAPS(MAP("1", "0", "4294967295")),
	       "linux.uidMappings: [0]: reaches beyond the largest id");
	refuse(MAPS(MAP("0", "1", "4294967295")),
	       "linux.uidMappings: [0]: reaches beyond the largest id");
	refuse(MAPS(MAP("4294967295", "0", "1")),
	       "linux.uidMappings[0].containerID: expected a whole number");
	refuse(LINUX("\"gidMappings\": [" MAP("0", "0", "1") "]"),
	       "linux.gidMappings: needs a user namespace in linux.namespaces");
}

TEST(mappings_are_as_many_as_the_kernel_takes)
{
	for (unsigned n = 340; n <= 341; n++) {
		auto_str struct str text = { 0 };

		str_add(&text,
			"{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"r\"}, \"linux\": {\"namespaces\": "
			"[{\"type\": \"user\"}], \"gidMappings\": [");
		for (unsigned i = 0; i < n; i++)
			str_addf(&text, "%s" MAP("%u", "%u", "1"), i ? ", " : "", i, i);
		str_add(&text, "]}}");
		if (n == 340)
			accept(text.s);
		else
			refuse(text.s,
			       "linux.gidMappings: 341 entries: the kernel takes at most 340");
	}
}

TEST(sysctls_stay_inside)
{
	accept(WITH("{\"type\": \"network\"}",
		    "\"sysctl\": {\"net.ipv4.ip_forward\": \"1\", \"net/a\": \"1\"}"));
	accept(WITH("{\"type\": \"ipc\"}",
		    "\"sysctl\": {\"kernel.sem\": \"1\", \"fs.mqueue.msg_max\": \"1\"}"));
	accept(WITH("{\"type\": \"uts\"}", "\"sysctl\": {\"kernel.domainname\": \"x\"}"));
	accept(WITH("{\"type\": \"user\"}", "\"sysctl\": {\"user.max_user_namespaces\": \"1\"}"));
	refuse(WITH("{\"type\": \"ipc\"}", "\"sysctl\": {\"net.ipv4.ip_forward\": \"1\"}"),
	       "linux.sysctl[\"net.ipv4.ip_forward\"]: needs a namespace of type 'network'");
	refuse(WITH("{\"type\": \"network\"}", "\"sysctl\": {\"kernel.sem\": \"1\"}"),
	       "linux.sysctl[\"kernel.sem\"]: needs a namespace of type 'ipc'");
	refuse(WITH("{\"type\": \"ipc\"}", "\"sysctl\": {\"kernel.core_pattern\": \"x\"}"),
	       "linux.sysctl[\"kernel.core_pattern\"]: is not kept apart by any namespace");
	refuse(WITH("{\"type\": \"ipc\"}", "\"sysctl\": {\"kernel/core_pattern\": \"x\"}"),
	       "linux.sysctl[\"kernel/core_pattern\"]: is not kept apart");
	refuse(WITH("{\"type\": \"ipc\"}", "\"sysctl\": {\"kernel.semx\": \"x\"}"),
	       "linux.sysctl[\"kernel.semx\"]: is not kept apart");
	refuse(WITH("{\"type\": \"ipc\"}", "\"sysctl\": {\"vm.swappiness\": \"x\"}"),
	       "linux.sysctl[\"vm.swappiness\"]: is not kept apart");
	refuse(CONFIG("\"hostname\": \"a\", \"linux\": {\"namespaces\": [{\"type\": \"uts\"}], \"sysctl\": "
		      "{\"kernel.hostname\": \"b\"}}"),
	       "linux.sysctl[\"kernel.hostname\"]: contradicts hostname");
	refuse(CONFIG("\"domainname\": \"a\", \"linux\": {\"namespaces\": [{\"type\": \"uts\"}], \"sysctl\": "
		      "{\"kernel/domainname\": \"b\"}}"),
	       "linux.sysctl[\"kernel/domainname\"]: contradicts domainname");
}

TEST(offsets_and_devices_need_their_namespace)
{
	refuse(LINUX("\"timeOffsets\": {\"boottime\": {}}"),
	       "linux.timeOffsets: needs a namespace of type 'time'");
	refuse(WITH("{\"type\": \"time\", \"path\": \"/x\"}",
		    "\"timeOffsets\": {\"boottime\": {}}"),
	       "linux.timeOffsets: a time namespace that is joined has its offsets already");
	refuse(LINUX("\"netDevices\": {\"eth0\": {}}"),
	       "linux.netDevices: needs a namespace of type 'network'");
}

/* ---- Hostile sizes take no hostile time (each test has 20 seconds) ---- */

TEST(many_equal_variables_and_members_are_read_quickly)
{
	auto_str struct str text = { 0 };
	auto_spec struct spec *s = NULL;

	str_add(&text,
		"{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"r\"}, \"process\": {\"cwd\": \"/\", "
		"\"args\": [\"a\"], \"env\": [\"A=1\"");
	for (unsigned i = 0; i < 300000; i++)
		str_addf(&text, ",\"V%u=\"", i % 150000);
	str_add(&text, "]}, \"annotations\": {\"a\": \"b\"");
	for (unsigned i = 0; i < 300000; i++)
		str_addf(&text, ",\"k%u\":\"\"", i);
	str_add(&text, "}}");
	s = read_ok(text.s);
	CHECK_INT(s->n_annotations, 300001);
	CHECK_STR(s->process.env[0], "A=1");
	CHECK_STR(s->process.env[150000], "V149999=");
	CHECK(!s->process.env[150001]);
}
