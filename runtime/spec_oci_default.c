/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bundle that `ctr-oci spec` writes: that of `runc spec` (1.1 and later), with a cgroup namespace. Nothing
 * in it is newer than version 1.0 of the specification, and it says so: crun refused others until 1.8.
 *
 * Without privilege three things differ: gid 5 of /dev/pts is not mapped; sysfs belongs to the network
 * namespace, which stays the caller's, so it is bound; and there is no device cgroup.
 */
#include "runtime/spec.h"

#include <errno.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/str.h"

#define CAPS "[\"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\"]"

#define PTS_OPTIONS "\"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\", \"mode=0620\""

/* clang-format off */
static const char process_and_root[] =
	"{\"ociVersion\": \"1.0.2\","
	" \"process\": {"
	"  \"terminal\": true,"
	"  \"user\": {\"uid\": 0, \"gid\": 0},"
	"  \"args\": [\"sh\"],"
	"  \"env\": [\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\", \"TERM=xterm\"],"
	"  \"cwd\": \"/\","
	"  \"capabilities\": {\"bounding\": " CAPS ", \"effective\": " CAPS ", \"permitted\": " CAPS
	"},"
	"  \"rlimits\": [{\"type\": \"RLIMIT_NOFILE\", \"hard\": 1024, \"soft\": 1024}],"
	"  \"noNewPrivileges\": true},"
	" \"root\": {\"path\": \"rootfs\", \"readonly\": true},"
	" \"hostname\": \"ctr\","
	" \"mounts\": ["
	"  {\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"},"
	"  {\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\","
	"   \"options\": [\"nosuid\", \"strictatime\", \"mode=755\", \"size=65536k\"]},"
	"  {\"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\",";

static const char shm_and_mqueue[] =
	"  {\"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\","
	"   \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"mode=1777\", \"size=65536k\"]},"
	"  {\"destination\": \"/dev/mqueue\", \"type\": \"mqueue\", \"source\": \"mqueue\","
	"   \"options\": [\"nosuid\", \"noexec\", \"nodev\"]},"
	"  {\"destination\": \"/sys\",";

static const char cgroup_mount[] =
	"  {\"destination\": \"/sys/fs/cgroup\", \"type\": \"cgroup\", \"source\": \"cgroup\","
	"   \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"relatime\", \"ro\"]}],"
	" \"linux\": {";

static const char namespaces_and_paths[] =
	"   {\"type\": \"ipc\"}, {\"type\": \"uts\"}, {\"type\": \"mount\"}, {\"type\": \"cgroup\"}],"
	"  \"maskedPaths\": [\"/proc/acpi\", \"/proc/asound\", \"/proc/kcore\", \"/proc/keys\","
	"   \"/proc/latency_stats\", \"/proc/timer_list\", \"/proc/timer_stats\", \"/proc/sched_debug\","
	"   \"/sys/firmware\", \"/proc/scsi\"],"
	"  \"readonlyPaths\": [\"/proc/bus\", \"/proc/fs\", \"/proc/irq\", \"/proc/sys\","
	"   \"/proc/sysrq-trigger\"]}}";

/* What differs, with privilege and without. */
static const struct {
	const char *pts, *sys, *resources, *namespaces;
} parts[] = {
	{
		"   \"options\": [" PTS_OPTIONS ", \"gid=5\"]},",
		"   \"type\": \"sysfs\", \"source\": \"sysfs\","
		"   \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"ro\"]},",
		"  \"resources\": {\"devices\": [{\"allow\": false, \"access\": \"rwm\"}]},",
		"  \"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"network\"},",
	},
	{
		"   \"options\": [" PTS_OPTIONS "]},",
		"   \"type\": \"none\", \"source\": \"/sys\","
		"   \"options\": [\"rbind\", \"nosuid\", \"noexec\", \"nodev\", \"ro\"]},",
		"",
		"  \"namespaces\": [{\"type\": \"user\"}, {\"type\": \"pid\"},",
	},
};
/* clang-format on */

/* The caller's own ids are root inside: what a user may map without help. */
static void add_own_ids(struct str *text)
{
	str_addf(text, "\"uidMappings\": [{\"containerID\": 0, \"hostID\": %u, \"size\": 1}],",
		 (unsigned)geteuid());
	str_addf(text, "\"gidMappings\": [{\"containerID\": 0, \"hostID\": %u, \"size\": 1}],",
		 (unsigned)getegid());
}

struct spec *spec_oci_default(bool rootless, struct err *e)
{
	auto_str struct str text = { 0 };

	str_add(&text, process_and_root);
	str_add(&text, parts[rootless].pts);
	str_add(&text, shm_and_mqueue);
	str_add(&text, parts[rootless].sys);
	str_add(&text, cgroup_mount);
	str_add(&text, parts[rootless].resources);
	if (rootless)
		add_own_ids(&text);
	str_add(&text, parts[rootless].namespaces);
	str_add(&text, namespaces_and_paths);
	if (text.failed) {
		err_set(e, ENOMEM, "cannot write the default specification");
		return NULL;
	}
	return spec_oci_parse(text.s, text.len, NULL, e);
}
