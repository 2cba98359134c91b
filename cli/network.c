/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/network.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/instance.h"
#include "runtime/hosts.h"
#include "runtime/instances.h"
#include "runtime/running.h"
#include "runtime/state.h"

#define NETWORKS    "../networks" /* seen from the directory of instances */
#define NETWORK_MAX 4096	  /* bytes of its file */

/* ---- addresses as text ---- */

int parse_subnet(const char *text, uint32_t *subnet, unsigned *prefix)
{
	const char *slash = strchr(text, '/');
	char ip[INET_ADDRSTRLEN];
	uint64_t bits;

	if (!slash || (size_t)(slash - text) >= sizeof(ip) ||
	    parse_u64(slash + 1, 12, 30, &bits) < 0)
		return -1;
	memcpy(ip, text, (size_t)(slash - text));
	ip[slash - text] = '\0';
	if (parse_ip(ip, subnet) < 0 || *subnet & (0xffffffffu >> bits))
		return -1;
	*prefix = (unsigned)bits;
	return 0;
}

static const char *show_ip(uint32_t ip, char out[INET_ADDRSTRLEN])
{
	struct in_addr a = { htonl(ip) };

	return inet_ntop(AF_INET, &a, out, INET_ADDRSTRLEN);
}

/* ---- the networks ---- */

int network_check_name(const char *name, struct err *e)
{
	static const char *const words[] = { "none", "host", "container", "ns", NULL };

	if (instance_check_name(name, e) < 0 || strlen(name) > NET_NAME_MAX)
		return err_set(
			e, ERR_INVALID,
			"a network's name is made of small letters, digits and dashes, %d at most",
			NET_NAME_MAX);
	for (size_t i = 0; words[i]; i++)
		if (streq(name, words[i]))
			return err_set(e, ERR_INVALID, "'%s' is no name for a network", name);
	return 0;
}

int networks_open(const struct instances *all, struct err *e)
{
	int fd = openat(all->dir, NETWORKS, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno == ENOENT &&
	    (mkdirat(all->dir, NETWORKS, 0700) == 0 || errno == EEXIST))
		fd = openat(all->dir, NETWORKS, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? err_set(e, errno, "cannot open the networks") : fd;
}

int network_parse(const char *text, size_t len, struct network *n, struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	const struct json *j = a ? json_parse(a, text, len, e) : NULL;
	const char *mode = "", *subnet = "", *subnet6 = NULL, *gateway = NULL, *parent = NULL;
	struct network got = { .mtu = 0 };
	uint64_t id = 0, mtu = 0, vlan = 0;

	if (!a)
		return err_set(e, ENOMEM, "network");
	if (!j || json_expect(j, JSON_OBJECT, e) < 0 ||
	    json_u64(json_get(j, "id"), 0, 999, &id, e) < 0 ||
	    json_string(json_get(j, "mode"), &mode, e) < 0 ||
	    json_string(json_get(j, "subnet"), &subnet, e) < 0 ||
	    json_string(json_get(j, "subnet6"), &subnet6, e) < 0 ||
	    json_string(json_get(j, "gateway"), &gateway, e) < 0 ||
	    json_string(json_get(j, "parent"), &parent, e) < 0 ||
	    json_u64(json_get(j, "mtu"), 68, 65535, &mtu, e) < 0 ||
	    json_u64(json_get(j, "vlan"), 0, VLAN_MAX, &vlan, e) < 0 ||
	    json_bool(json_get(j, "internal"), &got.internal, e) < 0 ||
	    json_bool(json_get(j, "isolated"), &got.isolated, e) < 0)
		return -1;
	got.routed = streq(mode, "routed");
	got.ipvlan = streq(mode, "ipvlan");
	got.unmanaged = streq(mode, "unmanaged");
	if (!streq(mode, "bridge") && !got.routed && !got.ipvlan && !got.unmanaged &&
	    !streq(mode, "macvlan"))
		return err_set(e, ERR_INVALID,
			       "'mode' is none of bridge, routed, macvlan, ipvlan, unmanaged");
	if (!parent != (streq(mode, "bridge") || got.routed) ||
	    (parent && (!*parent || strlen(parent) >= IFNAMSIZ || strchr(parent, '/'))))
		return err_set(e, ERR_INVALID, "'parent' is no device, or of no use in this mode");
	if (parent)
		strcpy(got.parent, parent);
	if (parse_subnet(subnet, &got.subnet, &got.prefix) < 0)
		return err_set(e, ERR_INVALID, "'subnet' is no subnet");
	if (gateway && (parse_ip(gateway, &got.gateway) < 0 ||
			(got.gateway ^ got.subnet) >> (32 - got.prefix)))
		return err_set(e, ERR_INVALID, "'gateway' is no address of the subnet");
	if (subnet6 && inet_pton(AF_INET6, subnet6, got.subnet6) != 1)
		return err_set(e, ERR_INVALID, "'subnet6' is no address");
	got.id = (unsigned)id;
	got.mtu = (unsigned)mtu;
	got.vlan = (unsigned)vlan;
	*n = got;
	return 0;
}

const char *network_mode(const struct network *n)
{
	return n->routed    ? "routed" :
	       !*n->parent  ? "bridge" :
	       n->unmanaged ? "unmanaged" :
	       n->ipvlan    ? "ipvlan" :
			      "macvlan";
}

static void dump(const struct network *n, struct str *out)
{
	static const uint8_t zero[16];
	struct json_writer w = { .out = out, .indent = true };
	char ip[INET_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 4];

	json_open(&w, NULL, '{');
	json_put_u64(&w, "id", n->id);
	json_put_string(&w, "mode", network_mode(n));
	if (*n->parent)
		json_put_string(&w, "parent", n->parent);
	snprintf(text, sizeof(text), "%s/%u", show_ip(n->subnet, ip), n->prefix);
	json_put_string(&w, "subnet", text);
	if (n->gateway)
		json_put_string(&w, "gateway", show_ip(n->gateway, ip));
	if (memcmp(n->subnet6, zero, 16) != 0)
		json_put_string(&w, "subnet6", inet_ntop(AF_INET6, n->subnet6, text, sizeof(text)));
	if (n->mtu)
		json_put_u64(&w, "mtu", n->mtu);
	if (n->vlan)
		json_put_u64(&w, "vlan", n->vlan);
	if (n->internal)
		json_put_bool(&w, "internal", true);
	if (n->isolated)
		json_put_bool(&w, "isolated", true);
	json_close(&w);
	str_add(out, "\n");
}

int network_write(const struct instances *all, const struct network *n, struct err *e)
{
	auto_fd int dir = networks_open(all, e);
	auto_str struct str text = { 0 };

	if (dir < 0)
		return -1;
	dump(n, &text);
	if (text.failed)
		return err_set(e, ENOMEM, "network");
	return file_replace(dir, n->name, text.s, text.len, 0600, true, e);
}

static int read_at(int dir, const char *name, struct network *n, struct err *e)
{
	auto_str struct str text = { 0 };

	if (file_read(dir, name, NETWORK_MAX, &text, e) < 0)
		return -1;
	if (network_parse(str_text(&text), text.len, n, e) < 0)
		return err_in(e, "network '%s'", name);
	snprintf(n->name, sizeof(n->name), "%s", name);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct network *)a)->name, ((const struct network *)b)->name);
}

int networks_list(const struct instances *all, struct network **list, size_t *n, struct err *e)
{
	int fd = networks_open(all, e);
	auto_dir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	auto_free struct network *got = NULL;
	size_t count = 0, size = 0;
	struct dirent *ent;

	if (!d)
		return fd < 0 ? -1 : err_set(e, errno, "cannot list the networks");
	while ((errno = 0, ent = readdir(d))) {
		if (*ent->d_name == '.')
			continue;
		if (count == size) {
			size_t more = size ? 2 * size : 16;
			struct network *v = realloc(got, more * sizeof(*v));

			if (!v)
				return err_set(e, ENOMEM, "cannot list the networks");
			got = v;
			size = more;
		}
		if (read_at(dirfd(d), ent->d_name, &got[count], e) < 0)
			return -1;
		count++;
	}
	if (errno)
		return err_set(e, errno, "cannot list the networks");
	if (count)
		qsort(got, count, sizeof(*got), by_name);
	*list = take_ptr(got);
	*n = count;
	return 0;
}

int network_choose(const struct instances *all, unsigned prefix, uint32_t *subnet, struct err *e)
{
	auto_free struct network *list = NULL;
	uint32_t step = 1u << (32 - prefix);
	size_t n;

	if (networks_list(all, &list, &n, e) < 0)
		return -1;
	for (uint32_t at = 0x0a4d0000; at < 0x0aff0000; at += step) { /* from 10.77.0.0 on */
		int meets = net_overlaps(at, prefix, e);

		for (size_t i = 0; !meets && i < n; i++) {
			unsigned bits = list[i].prefix < prefix ? list[i].prefix : prefix;

			meets = (at ^ list[i].subnet) >> (32 - bits) == 0;
		}
		if (meets < 0)
			return -1;
		if (!meets) {
			*subnet = at;
			return 0;
		}
	}
	return err_set(e, ERR_INVALID, "no subnet is free from 10.77.0.0 on: name one by --subnet");
}

int network_choose6(uint8_t subnet6[16], struct err *e)
{
	memset(subnet6, 0, 16);
	subnet6[0] = 0xfd; /* RFC 4193, 3.2: 40 bits by chance */
	return getrandom(subnet6 + 1, 5, 0) == 5 ? 0 :
						   err_set(e, errno, "cannot get random numbers");
}

/* `bridge` and `routed`, at their first use. */
static int write_builtin(const struct instances *all, const char *name, struct network *n,
			 struct err *e)
{
	auto_fd int dir = networks_open(all, e);
	struct network got = { .routed = streq(name, "routed"), .prefix = 16 };

	if (dir < 0)
		return -1;
	while (flock(dir, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "cannot lock the networks");
	if (read_at(dir, name, n, e) == 0)
		return 0; /* somebody was faster */
	got.id = got.routed;
	snprintf(got.name, sizeof(got.name), "%s", name);
	if (network_choose(all, got.prefix, &got.subnet, e) < 0 ||
	    network_choose6(got.subnet6, e) < 0 || network_write(all, &got, e) < 0)
		return -1;
	*n = got;
	return 0;
}

static int no_such(const struct instances *all, const char *name, struct err *e)
{
	auto_free struct network *list = NULL;
	auto_free const char **names = NULL;
	const char *near = NULL;
	struct err ignored;
	size_t n = 0;

	if (networks_list(all, &list, &n, &ignored) == 0)
		names = calloc(n + 4, sizeof(*names));
	if (names) {
		for (size_t i = 0; i < n; i++)
			names[i] = list[i].name;
		names[n] = "bridge";
		names[n + 1] = "routed";
		names[n + 2] = "none";
		near = str_nearest(name, names);
	}
	return err_set(e, ERR_NO_SUCH, "there is no network '%s'%s%s%s", name,
		       near ? ", did you mean '" : "", near ? near : "",
		       near ? "'?" : ": `ctr net create` makes one");
}

int network_read(const struct instances *all, const char *name, struct network *n, struct err *e)
{
	auto_fd int dir = networks_open(all, e);

	if (dir < 0 || network_check_name(name, e) < 0)
		return -1;
	if (read_at(dir, name, n, e) == 0)
		return 0;
	if (e->code != ENOENT)
		return -1;
	if (streq(name, "bridge") || streq(name, "routed"))
		return write_builtin(all, name, n, e);
	return no_such(all, name, e);
}

/* ---- an instance's words ---- */

bool network_of_words(const char *words, char name[NET_NAME_MAX + 1])
{
	size_t len = strcspn(words, ":");

	if (streq(words, "none") || streq(words, "host") || str_after(words, "container:") ||
	    str_after(words, "ns:") || len > NET_NAME_MAX)
		return false;
	snprintf(name, NET_NAME_MAX + 1, "%.*s", (int)len, words);
	return true;
}

/* The ":ip=" of the words; 0: none. */
static uint32_t asked_for(const char *words)
{
	const char *at = strstr(words, ":ip=");
	uint32_t ip = 0;

	return at && parse_ip(at + 4, &ip) == 0 ? ip : 0;
}

/* Addresses that belong to ranges of ids, below; those that can be asked for, above. */
static unsigned slots_of(const struct network *n)
{
	/* where others live as well, nobody's address follows from his ids */
	return *n->parent || net_capacity(n) < NET_INDEX_MAX ? 0 : NET_INDEX_MAX;
}

static unsigned slot_of(const struct instance *i)
{
	return (unsigned)(i->ids / INSTANCE_IDS) % NET_INDEX_MAX;
}

/* What lies in the instance's configuration: "NETWORK=ADDRESS". */
static uint32_t leased(const struct instance *i, const char *network)
{
	size_t len = strlen(network);
	uint32_t ip;

	for (const char *const *v = i->addresses; v && *v; v++)
		if (strncmp(*v, network, len) == 0 && (*v)[len] == '=' &&
		    parse_ip(*v + len + 1, &ip) == 0)
			return ip;
	return 0;
}

static uint32_t address_of_slot(const struct network *n, unsigned slot)
{
	if (n->routed)
		return n->subnet + slot;
	return n->subnet + (slot / NET_SHARD << NET_SHARD_BITS) + 2 + slot % NET_SHARD;
}

uint32_t network_address(const struct instance *i, const char *words, const struct network *n)
{
	uint32_t ip = leased(i, n->name);

	(void)words;
	return ip ? ip : slots_of(n) && i->ids ? address_of_slot(n, slot_of(i)) : 0;
}

/* ---- leases ---- */

int instance_read(const struct instances *all, const char *name, struct instance **i, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };

	if (instance_look(all, name, &d, e) < 0)
		return -1;
	*i = instance_load(&d, e);
	close(d.fd);
	return *i ? 0 : -1;
}

/* The addresses of that network which configurations hold, but for @self's: sorted, free() it. */
static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int all_leases(const struct instances *all, const char *network, const char *self,
		      uint32_t **list, size_t *count, struct err *e)
{
	auto_free char **names = NULL;
	auto_free uint32_t *got = NULL;
	size_t n, k = 0;

	if (instances_match(all, NULL, &names, &n, e) < 0)
		return -1;
	got = calloc(n + 1, sizeof(*got));
	if (!got)
		return err_set(e, ENOMEM, "addresses");
	for (size_t i = 0; i < n; i++) {
		auto_instance struct instance *other = NULL;
		struct err why;

		if (streq(names[i], self))
			continue;
		if (instance_read(all, names[i], &other, &why) < 0) {
			if (why.code == ERR_NO_SUCH)
				continue; /* removed since we looked */
			*e = why;
			return err_in(e, "its address is not known");
		}
		got[k] = leased(other, network);
		k += got[k] != 0;
	}
	if (k)
		qsort(got, k, sizeof(*got), by_number);
	*list = take_ptr(got);
	*count = k;
	return 0;
}

static bool is_taken(const uint32_t *list, size_t n, uint32_t ip)
{
	return n && bsearch(&ip, list, n, sizeof(*list), by_number);
}

static int check_asked(const struct network *n, uint32_t ip, struct err *e)
{
	uint32_t first = n->subnet +
			 (slots_of(n) ? address_of_slot(n, NET_INDEX_MAX - 1) - n->subnet + 1 : 1);
	uint32_t last = n->subnet + (0xffffffffu >> n->prefix) - 1;
	char a[INET_ADDRSTRLEN], b[INET_ADDRSTRLEN], c[INET_ADDRSTRLEN];

	if (slots_of(n) && !n->routed)
		first = (first | ((1u << NET_SHARD_BITS) - 1)) +
			3; /* in a shard of which no slot is */
	if (ip < first || ip > last || (n->gateway && ip == n->gateway) ||
	    (!n->gateway && !n->routed && ip == n->subnet + 1))
		return err_set(e, ERR_INVALID,
			       "%s cannot be asked for in network '%s': from %s to %s can",
			       show_ip(ip, a), n->name, show_ip(first, b), show_ip(last, c));
	return 0;
}

/* A free address, in a circle from where the instance's identity points, so that one rests before it is given again. */
static uint32_t choose_address(const struct network *n, const struct instance *i,
			       const uint32_t *list, size_t count)
{
	unsigned room = net_capacity(n), start = 0;

	if (slots_of(n)) { /* it shares the host's ids: from those that no range of ids has */
		uint32_t first = address_of_slot(n, NET_INDEX_MAX - 1);

		first = n->routed ? first + 1 : (first | ((1u << NET_SHARD_BITS) - 1)) + 3;
		for (uint32_t ip = first; ip < n->subnet + (0xffffffffu >> n->prefix); ip++)
			if ((ip & 1023) > 2 && !is_taken(list, count, ip))
				return ip;
		return 0;
	}
	for (const char *c = i->uuid; c && *c; c++)
		start = start * 31 + (unsigned char)*c;
	for (unsigned k = 0; k < room; k++) {
		uint32_t ip = n->subnet + 2 + (start + k) % room;

		if (ip != n->gateway && !is_taken(list, count, ip))
			return ip;
	}
	return 0;
}

static int lease_one(const struct instances *all, const char *self, struct instance *i,
		     const struct network *n, uint32_t asked, struct err *e)
{
	auto_free uint32_t *list = NULL;
	char text[INET_ADDRSTRLEN];
	const char **v;
	size_t count, k = 0;
	uint32_t ip;

	if (asked && check_asked(n, asked, e) < 0)
		return -1;
	if (all_leases(all, n->name, self, &list, &count, e) < 0)
		return -1;
	ip = asked ? asked : choose_address(n, i, list, count);
	if (!ip)
		return err_set(e, ERR_INVALID, "network '%s' has no address left", n->name);
	if (asked && is_taken(list, count, ip))
		return err_set(e, ERR_EXISTS, "%s is another instance's", show_ip(ip, text));
	while (i->addresses && i->addresses[k])
		k++;
	v = arena_array(i->arena, k + 2, sizeof(*v));
	if (!v)
		return err_set(e, ENOMEM, "addresses");
	k = 0;
	for (const char *const *old = i->addresses; old && *old; old++)
		if (strncmp(*old, n->name, strlen(n->name)) != 0 || (*old)[strlen(n->name)] != '=')
			v[k++] = *old;
	v[k] = arena_printf(i->arena, "%s=%s", n->name, show_ip(ip, text));
	if (!v[k])
		return err_set(e, ENOMEM, "addresses");
	i->addresses = v;
	return 0;
}

int network_lease(const struct instances *all, const struct instance_dir *d, struct instance *i,
		  struct err *e)
{
	auto_fd int lock = -1;

	for (const char *const *w = i->nets; w && *w; w++) {
		char name[NET_NAME_MAX + 1];
		struct network n;
		uint32_t asked = asked_for(*w), now;

		if (!network_of_words(*w, name))
			continue;
		if (network_read(all, name, &n, e) < 0)
			return -1;
		now = network_address(i, *w, &n);
		if (asked ? now == asked : now != 0)
			continue;
		if (lock < 0) {
			lock = networks_open(all, e);
			if (lock < 0)
				return -1;
			while (flock(lock, LOCK_EX) < 0)
				if (errno != EINTR)
					return err_set(e, errno, "cannot lock the networks");
		}
		/* saved under the lock: the next one to choose sees it */
		if (lease_one(all, d->name, i, &n, asked, e) < 0 ||
		    instance_save(d, i, false, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- ports ---- */

static int set_publications(const struct instance *i, struct arena *a, struct nic *nic,
			    struct err *e)
{
	struct publication *list;
	size_t n = 0;

	for (const char *const *w = i->publish; w && *w; w++) {
		struct publication p;
		int count = publication_parse(*w, &p, e);

		if (count < 0)
			return -1;
		n += (size_t)count;
	}
	list = arena_array(a, n + 1, sizeof(*list));
	if (!list)
		return err_set(e, ENOMEM, "ports");
	n = 0;
	for (const char *const *w = i->publish; w && *w; w++) {
		struct publication p;
		int count = publication_parse(*w, &p, e);

		for (int k = 0; k < count; k++, p.host_port++, p.port++)
			list[n++] = p;
	}
	nic->pubs = list;
	nic->n_pubs = n;
	return 0;
}

/* ---- from words to interfaces ---- */

void network_names(const struct instances *all, struct net_names *names)
{
	net_names_of(all->run_path, streq(all->run_path, RUN_ROOT_DEFAULT), names);
}

static int join_other(const struct instances *all, const char *name, struct arena *a,
		      const char **path, struct err *e)
{
	auto_running struct running r = RUNNING_NONE;

	if (running_look(all, name, &r, e) < 0)
		return -1;
	if (!r.exists || r.pidfd < 0)
		return err_set(e, ERR_STATE,
			       "net: '%s', whose network was to be shared, does not run", name);
	*path = arena_printf(a, "/proc/%d/ns/net", r.pid);
	return *path ? 0 : err_set(e, ENOMEM, "network");
}

void network_traffic(const struct instance *i, struct traffic *t)
{
	struct err ignored;

	*t = (struct traffic){ .rules = i->firewall };
	if (i->net_rate)
		(void)net_rate_parse(i->net_rate, &t->rate, &ignored); /* instance_check() has */
}

int network_nic(const struct instances *all, const struct instance *i, const char *name,
		const char *words, unsigned index, struct arena *a, struct nic *out, struct err *e)
{
	struct network *n = arena_array(a, 1, sizeof(*n));
	char net_name[NET_NAME_MAX + 1];
	struct net_names names;
	struct nic ports = { .n_pubs = 0 };
	const char *alias = arena_strdup(a, name);
	uint32_t ip;

	if (!n || !alias)
		return err_set(e, ENOMEM, "network");
	if (!network_of_words(words, net_name) || network_read(all, net_name, n, e) < 0)
		return -1;
	ip = network_address(i, words, n);
	if (!ip)
		return err_set(e, ERR_STATE, "'%s' has no address of network '%s' yet", name,
			       n->name);
	if (index == 2 && set_publications(i, a, &ports, e) < 0)
		return -1;
	network_names(all, &names);
	if (nic_decide(&names, n, ip, alias, index, ports.pubs, ports.n_pubs, a, out, e) < 0)
		return -1;
	network_traffic(i, &out->traffic);
	if (net_is_shared(n) && (i->firewall || i->net_rate))
		return err_set(
			e, ERR_INVALID,
			"%s: needs an end of the link at the host, which %s network '%s' has not",
			i->firewall ? "firewall" : "net-rate", network_mode(n), n->name);
	return 0;
}

int network_resolve(const struct instances *all, const struct instance *i, const char *name,
		    struct arena *a, struct networking *out, struct err *e)
{
	struct networking got = { .host = false };
	struct nic *nics = arena_array(a, NICS_MAX, sizeof(*nics));
	char ignored[NET_NAME_MAX + 1];

	if (!nics)
		return err_set(e, ENOMEM, "network");
	for (const char *const *w = i->nets; w && *w; w++) {
		const char *other = str_after(*w, "container:"), *path = str_after(*w, "ns:");

		if (streq(*w, "host"))
			got.host = true;
		else if (other && join_other(all, other, a, &got.join, e) < 0)
			return -1;
		else if (path)
			got.join = path;
		else if (!network_of_words(*w, ignored))
			continue;
		else if (got.n == NICS_MAX)
			return err_set(e, ERR_INVALID, "net: more than %d interfaces", NICS_MAX);
		else if (network_nic(all, i, name, *w, 2 + (unsigned)got.n, a, &nics[got.n], e) < 0)
			return -1;
		else
			got.n++;
	}
	got.nics = nics;
	*out = got;
	return 0;
}

const struct hosts_line *network_hosts(const struct networking *net, struct arena *a, size_t *n,
				       struct err *e)
{
	static const uint8_t none[16];
	struct hosts_line *lines = arena_array(a, 2 * net->n + 1, sizeof(*lines));

	*n = 0;
	for (size_t i = 0; lines && i < net->n; i++) {
		const struct nic *nic = &net->nics[i];
		char text[INET6_ADDRSTRLEN];
		struct in_addr ip = { htonl(nic->ip) };

		inet_ntop(AF_INET, &ip, text, sizeof(text));
		lines[(*n)++] = (struct hosts_line){ nic->network->name, arena_strdup(a, text) };
		if (memcmp(nic->ip6, none, sizeof(none)) == 0)
			continue;
		inet_ntop(AF_INET6, nic->ip6, text, sizeof(text));
		lines[(*n)++] = (struct hosts_line){ nic->network->name, arena_strdup(a, text) };
	}
	for (size_t i = 0; i < *n; i++)
		if (!lines[i].address)
			lines = NULL, *n = 0;
	if (!lines)
		err_set(e, ENOMEM, "names");
	return lines;
}
