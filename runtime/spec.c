/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/spec.h"

#include <linux/sched.h>
#include <string.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/names.h"

/* A config.json of JSON_MAX_SIZE bytes and JSON_MAX_NODES values stays well below. */
#define SPEC_MEMORY_MAX ((size_t)256 << 20)

/* The kernel's UID_GID_MAP_MAX_EXTENTS. */
#define ID_MAPS_MAX 340

struct spec *spec_new(void)
{
	struct arena *a = arena_new(SPEC_MEMORY_MAX);
	struct spec *s = a ? arena_alloc(a, sizeof(*s)) : NULL;

	if (!s) {
		arena_free(a);
		return NULL;
	}
	s->arena = a;
	s->root.tree = -1;
	return s;
}

void spec_free(struct spec *s)
{
	if (s)
		arena_free(s->arena); /* the spec itself lives there */
}

const struct ns_spec *spec_namespace(const struct spec *s, unsigned flag)
{
	for (size_t i = 0; i < s->n_namespaces; i++)
		if (s->namespaces[i].flag == flag)
			return &s->namespaces[i];
	return NULL;
}

bool spec_has_net_devices(const struct spec *s)
{
	return s->n_net_devices || s->n_nics;
}

const char *spec_annotation(const struct spec *s, const char *key)
{
	for (size_t i = 0; i < s->n_annotations; i++)
		if (streq(s->annotations[i].key, key))
			return s->annotations[i].value;
	return NULL;
}

static int check_namespaces(const struct spec *s, struct err *e)
{
	unsigned seen = 0;

	for (size_t i = 0; i < s->n_namespaces; i++) {
		const struct ns_spec *ns = &s->namespaces[i];

		if (seen & ns->flag)
			return err_set(
				e, ERR_INVALID,
				"linux.namespaces[%zu].type: a second namespace of type '%s'", i,
				table_name(namespace_names, ns->flag));
		seen |= ns->flag;
		if (ns->path && ns->path[0] != '/')
			return err_set(
				e, ERR_INVALID,
				"linux.namespaces[%zu].path: expected an absolute path, not '%.200s'",
				i, ns->path);
	}
	return 0;
}

static bool overlap(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
	return (uint64_t)a < (uint64_t)b + b_size && (uint64_t)b < (uint64_t)a + a_size;
}

/* What the kernel would refuse with a bare EINVAL: user_namespaces(7). */
static int check_maps(const struct id_map *maps, size_t n, struct err *e)
{
	if (n > ID_MAPS_MAX)
		return err_set(e, ERR_INVALID, "%zu entries: the kernel takes at most %d", n,
			       ID_MAPS_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct id_map *m = &maps[i];

		if (!m->size)
			return err_set(e, ERR_INVALID, "[%zu].size: must not be 0", i);
		if ((uint64_t)m->container + m->size > UINT32_MAX ||
		    (uint64_t)m->host + m->size > UINT32_MAX)
			return err_set(e, ERR_INVALID,
				       "[%zu]: reaches beyond the largest id, 4294967294", i);
		for (size_t k = 0; k < i; k++) {
			if (overlap(maps[k].container, maps[k].size, m->container, m->size))
				return err_set(e, ERR_INVALID,
					       "[%zu].containerID: overlaps with entry %zu", i, k);
			if (overlap(maps[k].host, maps[k].size, m->host, m->size))
				return err_set(e, ERR_INVALID,
					       "[%zu].hostID: overlaps with entry %zu", i, k);
		}
	}
	return 0;
}

static int check_all_maps(const struct spec *s, struct err *e)
{
	if (check_maps(s->uid_maps, s->n_uid_maps, e) < 0)
		return err_in(e, "linux.uidMappings");
	if (check_maps(s->gid_maps, s->n_gid_maps, e) < 0)
		return err_in(e, "linux.gidMappings");
	if ((s->n_uid_maps || s->n_gid_maps) && !spec_namespace(s, CLONE_NEWUSER))
		return err_set(e, ERR_INVALID,
			       "linux.%s: needs a user namespace in linux.namespaces",
			       s->n_uid_maps ? "uidMappings" : "gidMappings");
	for (size_t i = 0; i < s->n_mounts; i++) {
		const struct mount_spec *m = &s->mounts[i];

		if (check_maps(m->uid_maps, m->n_uid_maps, e) < 0)
			return err_in(e, "mounts[%zu].uidMappings", i);
		if (check_maps(m->gid_maps, m->n_gid_maps, e) < 0)
			return err_in(e, "mounts[%zu].gidMappings", i);
	}
	return 0;
}

/*
 * Which namespace keeps a sysctl apart from the host's. All others are the host's own, wherever they are
 * written (CVE-2022-0811: net.* with the host's network namespace, kernel.* at all). A key that ends with
 * '.' stands for all below it.
 */
static const struct {
	const char *key;
	unsigned flag;
} namespaced_sysctls[] = {
	{ "net.", CLONE_NEWNET },
	{ "fs.mqueue.", CLONE_NEWIPC },
	{ "user.", CLONE_NEWUSER },
	{ "kernel.auto_msgmni", CLONE_NEWIPC },
	{ "kernel.domainname", CLONE_NEWUTS },
	{ "kernel.hostname", CLONE_NEWUTS },
	{ "kernel.msg_next_id", CLONE_NEWIPC },
	{ "kernel.msgmax", CLONE_NEWIPC },
	{ "kernel.msgmnb", CLONE_NEWIPC },
	{ "kernel.msgmni", CLONE_NEWIPC },
	{ "kernel.sem", CLONE_NEWIPC },
	{ "kernel.sem_next_id", CLONE_NEWIPC },
	{ "kernel.shm_next_id", CLONE_NEWIPC },
	{ "kernel.shm_rmid_forced", CLONE_NEWIPC },
	{ "kernel.shmall", CLONE_NEWIPC },
	{ "kernel.shmmax", CLONE_NEWIPC },
	{ "kernel.shmmni", CLONE_NEWIPC },
};

/* "a.b" and "a/b" are the same key; where '/' separates, a '.' belongs to a name, as in sysctl(8). */
static bool sysctl_is(const char *key, const char *known)
{
	for (; *known; key++, known++)
		if (*key != *known && !(*key == '/' && *known == '.'))
			return false;
	return known[-1] == '.' ? *key != '\0' : *key == '\0';
}

static int check_sysctl(const struct spec *s, const char *key, const char *value, struct err *e)
{
	for (size_t i = 0; i < sizeof(namespaced_sysctls) / sizeof(*namespaced_sysctls); i++) {
		unsigned flag = namespaced_sysctls[i].flag;

		if (!sysctl_is(key, namespaced_sysctls[i].key))
			continue;
		if (!spec_namespace(s, flag))
			return err_set(
				e, ERR_INVALID,
				"linux.sysctl[\"%.100s\"]: needs a namespace of type '%s' in linux.namespaces",
				key, table_name(namespace_names, flag));
		if (sysctl_is(key, "kernel.hostname"))
			return err_set(e, ERR_INVALID,
				       s->hostname ?
					       "linux.sysctl[\"%.100s\"]: contradicts hostname" :
					       "linux.sysctl[\"%.100s\"]: hostname is for that",
				       key);
		if (s->domainname && sysctl_is(key, "kernel.domainname") &&
		    !streq(s->domainname, value))
			return err_set(e, ERR_INVALID,
				       "linux.sysctl[\"%.100s\"]: contradicts domainname", key);
		return 0;
	}
	return err_set(
		e, ERR_INVALID,
		"linux.sysctl[\"%.100s\"]: is not kept apart by any namespace: it would change the host",
		key);
}

static int check_time(const struct spec *s, struct err *e)
{
	const struct ns_spec *ns = spec_namespace(s, CLONE_NEWTIME);

	if (!s->n_time_offsets)
		return 0;
	if (!ns)
		return err_set(
			e, ERR_INVALID,
			"linux.timeOffsets: needs a namespace of type 'time' in linux.namespaces");
	if (ns->path)
		return err_set(
			e, ERR_INVALID,
			"linux.timeOffsets: a time namespace that is joined has its offsets already");
	return 0;
}

static int check_net_devices(const struct spec *s, struct err *e)
{
	if (s->n_net_devices && !spec_namespace(s, CLONE_NEWNET))
		return err_set(
			e, ERR_INVALID,
			"linux.netDevices: needs a namespace of type 'network' in linux.namespaces");
	return 0;
}

static int check_uts(const struct spec *s, struct err *e)
{
	if ((s->hostname || s->domainname) && !spec_namespace(s, CLONE_NEWUTS))
		return err_set(e, ERR_INVALID,
			       "%s: needs a namespace of type 'uts' in linux.namespaces",
			       s->hostname ? "hostname" : "domainname");
	/* The kernel's __NEW_UTS_LEN. */
	if (s->hostname && strlen(s->hostname) > 64)
		return err_set(e, ERR_INVALID, "hostname: longer than 64 bytes");
	if (s->domainname && strlen(s->domainname) > 64)
		return err_set(e, ERR_INVALID, "domainname: longer than 64 bytes");
	return 0;
}

int spec_check(const struct spec *s, struct err *e)
{
	if (check_namespaces(s, e) < 0 || check_uts(s, e) < 0 || check_all_maps(s, e) < 0 ||
	    check_time(s, e) < 0 || check_net_devices(s, e) < 0)
		return -1;
	for (size_t i = 0; i < s->n_sysctl; i++)
		if (check_sysctl(s, s->sysctl[i].key, s->sysctl[i].value, e) < 0)
			return -1;
	return 0;
}
