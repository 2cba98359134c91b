/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network.c - what networks need of the host, once for all: rules, bridges, forwarding; and what is there already.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/rtnetlink.h>
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns/netns.h"
#include "netns/nft.h"
#include "netns/nl.h"
#include "netns/rules.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"

static const uint8_t zero6[16];

/* ---- forwarding ---- */

static int write_sysctl(const char *path, const char *value, struct err *e)
{
	auto_str struct str text = { 0 };
	struct err ignored;

	if (file_read_kernel(AT_FDCWD, path, 64, &text, &ignored) == 0 &&
	    strncmp(str_text(&text), value, strlen(value)) == 0)
		return 0;
	return file_write_kernel(AT_FDCWD, path, value, e);
}

/* A host that forwards IPv6 no longer listens to routers (ip-sysctl.rst), unless an interface says 2: those that did go on. */
static void keep_router_advertisements(void)
{
	auto_dir DIR *d = opendir("/proc/sys/net/ipv6/conf");
	struct dirent *ent;

	while (d && (ent = readdir(d))) {
		auto_str struct str text = { 0 };
		char path[300];
		struct err ignored;

		snprintf(path, sizeof(path), "%s/accept_ra", ent->d_name);
		if (*ent->d_name != '.' &&
		    file_read_kernel(dirfd(d), path, 16, &text, &ignored) == 0 &&
		    *str_text(&text) == '1')
			(void)file_write_kernel(dirfd(d), path, "2", &ignored);
	}
}

static int forward(const struct nic *nic, struct err *e)
{
	auto_str struct str text = { 0 };
	struct err ignored;

	if (write_sysctl("/proc/sys/net/ipv4/ip_forward", "1", e) < 0)
		return err_in(e, "cannot forward packets for instances");
	if (memcmp(nic->ip6, zero6, 16) == 0 ||
	    file_read_kernel(AT_FDCWD, "/proc/sys/net/ipv6/conf/all/forwarding", 16, &text,
			     &ignored) < 0 ||
	    *str_text(&text) == '1')
		return 0;
	keep_router_advertisements();
	return write_sysctl("/proc/sys/net/ipv6/conf/all/forwarding", "1", e);
}

/* ---- rules ---- */

static int load_rules(const struct net_names *names, struct err *e)
{
	auto_str struct str text = { 0 };

	str_addf(&text, RULES, names->table, names->port, names->veth);
	return text.failed ? err_set(e, ENOMEM, "rules") : nft_load(text.s, e);
}

static int load_network(const struct net_names *names, const struct network *n, struct err *e)
{
	auto_str struct str text = { 0 };
	char net4[INET_ADDRSTRLEN], net6[INET6_ADDRSTRLEN];
	struct in_addr subnet = { htonl(n->subnet) };

	if (n->unmanaged) {
		str_addf(&text, RULES_OF_HOST, names->table);
		return text.failed ? err_set(e, ENOMEM, "rules") : nft_load(text.s, e);
	}
	str_addf(&text, RULES_OF_NETWORK, names->table, n->id, n->isolated ? "drop" : "accept",
		 n->internal ? "drop" : "accept");
	inet_ntop(AF_INET, &subnet, net4, sizeof(net4));
	inet_ntop(AF_INET6, n->subnet6, net6, sizeof(net6));
	if (!n->internal) {
		str_addf(&text, "add element inet %s nat4 { %s/%u }\n", names->table, net4,
			 n->prefix);
		if (memcmp(n->subnet6, zero6, 16) != 0)
			str_addf(&text, "add element inet %s nat6 { %s/48 }\n", names->table, net6);
	}
	return text.failed ? err_set(e, ENOMEM, "rules") : nft_load(text.s, e);
}

/* An element of the network's own set tells whether its rules are there. */
static struct nft_element member(const char *set, const char *link)
{
	struct nft_element el = { .family = NFPROTO_INET, .set = set, .key_len = IFNAMSIZ };

	memcpy(el.key, link, strlen(link));
	return el;
}

/* The element that tells, by being there, that the rules of the network are; @set of @size bytes has its set's name. */
static struct nft_element sign(const struct network *n, const char *link, char *set, size_t size)
{
	struct nft_element el;

	snprintf(set, size, n->unmanaged ? "host" : "net%u", n->id);
	el = member(set, link);
	if (n->unmanaged)
		el.family = NFPROTO_BRIDGE;
	return el;
}

/* 1: no rules were there at all. */
static int join(const struct net_names *names, const struct network *n, const char *link,
		struct err *e)
{
	char set[24];
	/* of a bridge that is not ours nothing but our ports is any business of the rules */
	size_t count = n->unmanaged ? 1 : 3;
	struct nft_element el[3], links;
	bool lost = false;

	el[0] = sign(n, link, set, sizeof(set));
	el[1] = links = member("links", link);
	el[2] = member("network", link);
	el[2].chain = set;
	for (int tries = 0; nft_add(names->table, el, count, NULL, e) < 0; tries++) {
		if (e->code == ERR_EXISTS)
			return lost;
		if (e->code != ENOENT || tries == 2)
			return err_in(e, "cannot add network '%s' to the rules", n->name);
		/* which of the two is missing? */
		if (nft_add(names->table, &links, 1, NULL, e) < 0 && e->code == ENOENT) {
			if (load_rules(names, e) < 0)
				return -1;
			lost = true;
		}
		(void)nft_remove(names->table, &links, 1, e);
		if (load_network(names, n, e) < 0)
			return -1;
	}
	return lost;
}

/* ---- bridges ---- */

static void set_conf(const char *family, const char *link, const char *name, const char *value)
{
	char path[128];
	struct err ignored; /* without IPv6 there is nothing to be set */

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, link, name);
	(void)file_write_kernel(AT_FDCWD, path, value, &ignored);
}

static int make_bridge(const struct nic *nic, struct err *e)
{
	uint32_t gateway = htonl(nic->gateway);
	struct ifinfomsg *link;
	struct nlattr *info, *data;
	struct nlmsghdr *h;
	unsigned index;
	struct nl nl;
	int rc;

	if (nl_open(&nl, NETLINK_ROUTE, e) < 0)
		return -1;
	h = nl_add(&nl, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(*link), &link);
	link->ifi_flags = link->ifi_change = 0;
	mnl_attr_put_strz(h, IFLA_IFNAME, nic->bridge);
	mnl_attr_put_u32(h, IFLA_MTU, nic->network->mtu ? nic->network->mtu : 1500);
	mnl_attr_put(h, IFLA_ADDRESS, 6, nic->gateway_mac);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "bridge");
	/* a list of who hears which group, at each port, is what adding the thousandth takes longest for */
	data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	mnl_attr_put_u8(h, IFLA_BR_MCAST_SNOOPING, 0);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	nl_end(&nl, h);
	rc = nl_send(&nl, NULL, e);
	if (rc < 0 && e->code == EEXIST)
		rc = 0;
	index = if_nametoindex(nic->bridge);
	if (rc == 0) {
		set_conf("ipv6", nic->bridge, "accept_ra", "0");
		set_conf("ipv6", nic->bridge, "accept_dad", "0");
		/* for ports published on 127.0.0.1; what comes from instances for 127/8 is dropped by the rules */
		set_conf("ipv4", nic->bridge, "route_localnet", "1");
		nl_address(&nl, index, AF_INET, &gateway, 4, nic->prefix, RT_SCOPE_UNIVERSE);
		if (memcmp(nic->gateway6, zero6, 16) != 0)
			nl_address(&nl, index, AF_INET6, nic->gateway6, 16, 64, RT_SCOPE_UNIVERSE);
		h = nl_add(&nl, RTM_NEWLINK, NLM_F_ACK, sizeof(*link), &link);
		link->ifi_index = (int)index;
		link->ifi_flags = link->ifi_change = IFF_UP;
		/* which is given to a link that is there, and passed over in the message that makes one */
		mnl_attr_put_strz(h, IFLA_IFALIAS, nic->network->name);
		nl_end(&nl, h);
		rc = nl_send(&nl, NULL, e);
	}
	nl_close(&nl);
	return rc < 0 ? err_in(e, "cannot make bridge '%s'", nic->bridge) : 0;
}

/*
 * The gateway of all routed instances, who know that it is at their link's other end: an address of the host's as such, which it
 * speaks to them from. Of IPv6, where that is fe80::1 of each link, it has one of the network for that.
 */
static int make_gateway(const struct nic *nic, struct err *e)
{
	uint32_t gateway = htonl(nic->gateway);
	unsigned lo = if_nametoindex("lo");
	uint8_t own6[16];
	struct nl nl;
	int rc;

	if (nl_open(&nl, NETLINK_ROUTE, e) < 0)
		return -1;
	nl_address(&nl, lo, AF_INET, &gateway, 4, 32, RT_SCOPE_LINK);
	if (memcmp(nic->ip6, zero6, 16) != 0) {
		net_host6(nic->network, own6);
		nl_address(&nl, lo, AF_INET6, own6, 16, 128, RT_SCOPE_UNIVERSE);
	}
	rc = nl_send(&nl, NULL, e);
	nl_close(&nl);
	return rc < 0 ? err_in(e, "cannot add the gateway of routed instances") : 0;
}

static int ready_locked(const struct net_names *names, const struct nic *nic, struct err *e)
{
	/* a routed network has no link of its own to show that it is ready: its name stands for one */
	const char *link = *nic->bridge ? nic->bridge : nic->network->name;
	bool ours = !nic->network->unmanaged;
	int lost = ours && forward(nic, e) < 0 ? -1 : join(names, nic->network, link, e);

	if (lost < 0)
		return -1;
	if (nic->network->routed && make_gateway(nic, e) < 0)
		return -1;
	if (*nic->bridge && ours && make_bridge(nic, e) < 0)
		return -1;
	return lost;
}

int net_ready(const struct net_names *names, const struct nic *nic, int lock, struct err *e)
{
	const char *link = *nic->bridge ? nic->bridge : nic->network->name;
	struct nft_element el;
	char set[24];
	int rc;

	if (net_is_shared(nic->network))
		return 0;
	el = sign(nic->network, link, set, sizeof(set));
	rc = nft_has(names->table, &el, e);
	if (rc < 0)
		return -1;
	if (rc && (!*nic->bridge || if_nametoindex(nic->bridge)))
		return 0;
	while (flock(lock, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "cannot lock the networks");
	rc = ready_locked(names, nic, e);
	(void)flock(lock, LOCK_UN); /* fails for no lock only */
	return rc;
}

/* What is not there is as good as removed. */
static void remove_host6(const struct network *n)
{
	struct ifaddrmsg *m;
	struct nlmsghdr *h;
	struct err ignored;
	uint8_t own6[16];
	struct nl nl;

	if (memcmp(n->subnet6, zero6, 16) == 0 || nl_open(&nl, NETLINK_ROUTE, &ignored) < 0)
		return;
	net_host6(n, own6);
	h = nl_add(&nl, RTM_DELADDR, NLM_F_ACK, sizeof(*m), &m);
	m->ifa_family = AF_INET6;
	m->ifa_prefixlen = 128;
	m->ifa_index = if_nametoindex("lo");
	mnl_attr_put(h, IFA_LOCAL, 16, own6);
	nl_end(&nl, h);
	(void)nl_send(&nl, NULL, &ignored);
	nl_close(&nl);
}

int net_remove(const struct net_names *names, const struct network *n, struct err *e)
{
	auto_str struct str text = { 0 };
	char net4[INET_ADDRSTRLEN], net6[INET6_ADDRSTRLEN], bridge[IFNAMSIZ];
	struct in_addr subnet = { htonl(n->subnet) };
	unsigned shards = n->routed ? 0 :
				      1u << (32 - n->prefix > NET_SHARD_BITS ? 22 - n->prefix : 0);
	struct err ignored;

	if (n->unmanaged) {
		str_addf(&text, "delete element bridge %s host { \"%s\" }\n", names->table,
			 n->parent);
		(void)nft_load(str_text(&text),
			       &ignored); /* never used since boot, or another uses it */
	}
	if (*n->parent)
		return 0;
	inet_ntop(AF_INET, &subnet, net4, sizeof(net4));
	inet_ntop(AF_INET6, n->subnet6, net6, sizeof(net6));
	for (unsigned i = 0; i < shards; i++) {
		struct ifinfomsg *link;
		struct nlmsghdr *h;
		struct nl nl;
		int rc;

		snprintf(bridge, sizeof(bridge), "%s%u.%u", names->bridge, n->id % 1000, i % 1000);
		if (!if_nametoindex(bridge))
			continue;
		str_addf(&text, "delete element inet %s network { \"%s\" }\n", names->table,
			 bridge);
		str_addf(&text, "delete element inet %s links { \"%s\" }\n", names->table, bridge);
		if (nl_open(&nl, NETLINK_ROUTE, e) < 0)
			return -1;
		h = nl_add(&nl, RTM_DELLINK, NLM_F_ACK, sizeof(*link), &link);
		link->ifi_index = (int)if_nametoindex(bridge);
		nl_end(&nl, h);
		rc = nl_send(&nl, NULL, e);
		nl_close(&nl);
		if (rc < 0)
			return err_in(e, "cannot remove bridge '%s'", bridge);
	}
	if (n->routed) {
		remove_host6(n);
		str_addf(&text, "delete element inet %s network { \"%s\" }\n", names->table,
			 n->name);
		str_addf(&text, "delete element inet %s links { \"%s\" }\n", names->table, n->name);
	}
	str_addf(&text, "delete chain inet %s net%u\ndelete set inet %s net%u\n", names->table,
		 n->id, names->table, n->id);
	if (!n->internal) {
		str_addf(&text, "delete element inet %s nat4 { %s/%u }\n", names->table, net4,
			 n->prefix);
		if (memcmp(n->subnet6, zero6, 16) != 0)
			str_addf(&text, "delete element inet %s nat6 { %s/48 }\n", names->table,
				 net6);
	}
	/* one that was never used since boot has no rules */
	(void)nft_load(str_text(&text), &ignored);
	return 0;
}

/* ---- what is there ---- */

struct overlap {
	uint32_t subnet;
	unsigned prefix;
	bool found;
};

static bool meets(const struct overlap *o, uint32_t ip, unsigned bits)
{
	unsigned common = bits < o->prefix ? bits : o->prefix;
	uint32_t mask = common ? 0xffffffffu << (32 - common) : 0;

	return (ip & mask) == (o->subnet & mask);
}

static int see_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct overlap *o = arg;
	const struct nlattr *a;

	if (m->rtm_family != AF_INET || !m->rtm_dst_len)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*m))
	{
		if (mnl_attr_get_type(a) == RTA_DST && mnl_attr_get_payload_len(a) == 4 &&
		    meets(o, ntohl(mnl_attr_get_u32(a)), m->rtm_dst_len))
			o->found = true;
	}
	return MNL_CB_OK;
}

int net_overlaps(uint32_t subnet, unsigned prefix, struct err *e)
{
	_Alignas(struct nlmsghdr) char answer[32768];
	struct overlap o = { subnet, prefix, false };
	struct rtmsg *m;
	struct nlmsghdr *h;
	struct nl nl;
	int r = 1;

	if (nl_open(&nl, NETLINK_ROUTE, e) < 0)
		return -1;
	h = nl_add(&nl, RTM_GETROUTE, NLM_F_DUMP, sizeof(*m), &m);
	m->rtm_family = AF_INET;
	nl_end(&nl, h);
	if (mnl_socket_sendto(nl.sock, nl.buf, nl.len) < 0)
		r = -1;
	while (r > 0) {
		ssize_t n = mnl_socket_recvfrom(nl.sock, answer, sizeof(answer));

		r = n < 0 ? -1 : mnl_cb_run(answer, (size_t)n, 0, 0, see_route, &o);
	}
	if (r < 0)
		err_set(e, errno, "cannot read the host's routes");
	nl_close(&nl);
	return r < 0 ? -1 : o.found;
}

struct counts {
	uint64_t received, sent;
	bool found;
};

static int see_counts(const struct nlmsghdr *h, void *arg)
{
	struct counts *c = arg;
	const struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(struct ifinfomsg))
	{
		struct rtnl_link_stats64 stats;

		if (mnl_attr_get_type(a) != IFLA_STATS64 ||
		    mnl_attr_get_payload_len(a) < offsetof(struct rtnl_link_stats64, rx_errors))
			continue;
		memcpy(&stats, mnl_attr_get_payload(a),
		       offsetof(struct rtnl_link_stats64, rx_errors));
		c->received = stats.tx_bytes;
		c->sent = stats.rx_bytes;
		c->found = true;
	}
	return MNL_CB_STOP;
}

/* Of this network namespace, whatever is mounted on /sys. */
int net_count(const char *link, uint64_t *received, uint64_t *sent)
{
	struct counts c = { .found = false };
	struct err ignored;

	if (nl_link(link, see_counts, &c, &ignored) < 0 || !c.found)
		return -1;
	*received = c.received;
	*sent = c.sent;
	return 0;
}
