/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nic.c - an instance's interface: what it will be (nic_decide()), and making it so (nic_attach()).
 *
 *	bridged		eth0 <--veth--> cv... port of ctr0.1 (10.77.4.1/22), one bridge for each thousand instances
 *	routed		eth0 <--veth--> cr..., a route to each instance's address; 169.254.1.1 is the host
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netfilter.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "netns/announce.h"
#include "netns/conntrack.h"
#include "netns/netns.h"
#include "netns/nft.h"
#include "netns/nl.h"
#include "netns/rules.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"

#define ROUTED_GATEWAY 0xa9fe0101u /* 169.254.1.1: the host, for every routed instance */

static const uint8_t zero6[16];

/* ---- deciding ---- */

static uint32_t fnv(uint32_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return hash;
}

void net_names_of(const char *run, bool usual, struct net_names *n)
{
	uint32_t hash = fnv(2166136261u, run) & 0xfffff;

	if (usual) {
		*n = (struct net_names){ "ctr", "ctr", "cv", "cr" };
		return;
	}
	snprintf(n->table, sizeof(n->table), "ctr_%05x", hash);
	snprintf(n->bridge, sizeof(n->bridge), "c%05x", hash);
	snprintf(n->port, sizeof(n->port), "v%05x", hash);
	snprintf(n->veth, sizeof(n->veth), "r%05x", hash);
}

static bool is_sharded(const struct network *n)
{
	return !n->routed && !*n->parent && 32 - n->prefix > NET_SHARD_BITS;
}

unsigned net_capacity(const struct network *n)
{
	unsigned bits = 32 - n->prefix, all = bits > 14 ? NET_INDEX_MAX : 1u << bits;

	if (n->routed)
		return all;
	if (*n->parent)
		return all < 8 ? 0 : all - 3;
	if (!is_sharded(n))
		return all < 8 ? 0 : (all - 3 < NET_SHARD ? all - 3 : NET_SHARD);
	all = (1u << (bits > 20 ? 10 : bits - NET_SHARD_BITS)) * NET_SHARD;
	return all < NET_INDEX_MAX ? all : NET_INDEX_MAX;
}

/* IPv6: the network's /48, the shard, and the IPv4 address as the host's number: fd..::10.77.0.11, readable. */
static void address6(const struct network *n, unsigned shard, uint32_t ip, uint8_t out[16])
{
	if (memcmp(n->subnet6, zero6, 16) == 0)
		return;
	memcpy(out, n->subnet6, 6);
	out[6] = (uint8_t)(shard >> 8);
	out[7] = (uint8_t)shard;
	for (int i = 0; i < 4; i++)
		out[12 + i] = (uint8_t)(ip >> (24 - 8 * i));
}

void net_host6(const struct network *n, uint8_t out[16])
{
	memcpy(out, n->subnet6, 6);
	memset(out + 6, 0, 9);
	out[15] = 1; /* no instance's, whose last bytes are its IPv4 address */
}

static void place(const struct network *n, uint32_t ip, struct nic *nic, unsigned *shard)
{
	unsigned bits = is_sharded(n) ? NET_SHARD_BITS : 32 - n->prefix;
	uint32_t base;

	*shard = is_sharded(n) ? (ip - n->subnet) >> NET_SHARD_BITS : 0;
	base = n->subnet + (*shard << NET_SHARD_BITS);
	nic->ip = ip;
	nic->prefix = n->routed ? 32 : 32 - bits;
	nic->gateway = n->routed		    ? ROUTED_GATEWAY :
		       n->gateway && !is_sharded(n) ? n->gateway :
						      base + 1;
	address6(n, *shard, nic->ip, nic->ip6);
	if (n->routed && memcmp(nic->ip6, zero6, 16) != 0)
		inet_pton(AF_INET6, "fe80::1", nic->gateway6);
	else
		address6(n, *shard, nic->gateway, nic->gateway6);
}

/*
 * Locally administered, from the address: it lasts as long, is nobody else's in that network, tells nothing of the host, and what
 * neighbours remember is right for whoever has the address next (one made from the name was not: they sent to it for half a minute).
 */
static void choose_mac(const char *network, uint32_t ip, uint8_t mac[6])
{
	mac[0] = 0x02;
	mac[1] = (uint8_t)fnv(2166136261u, network);
	for (int i = 0; i < 4; i++)
		mac[2 + i] = (uint8_t)(ip >> (24 - 8 * i));
}

static void choose_gateway_mac(const char *bridge, uint8_t mac[6])
{
	uint32_t a = fnv(2166136261u, bridge);

	mac[0] = 0x06; /* never an instance's */
	mac[1] = (uint8_t)fnv(a ^ 0x5bd1e995u, bridge);
	for (int i = 0; i < 4; i++)
		mac[2 + i] = (uint8_t)(a >> (8 * i));
}

/* 50 bits by chance in the digits of a name: the kernel refuses the rest that meet. */
static int choose_link(const char *begin, char out[IFNAMSIZ], struct err *e)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
	unsigned char r[10];
	size_t at = strlen(begin);

	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return err_set(e, errno, "cannot get random numbers");
	memcpy(out, begin, at);
	for (size_t i = 0; at < IFNAMSIZ - 1 && i < sizeof(r); i++)
		out[at++] = digits[r[i] % 32];
	out[at] = '\0';
	return 0;
}

/* A field of a concatenated key. */
static void key_add(uint8_t *key, uint8_t *len, const void *field, size_t size)
{
	memcpy(key + *len, field, size);
	*len = (uint8_t)(*len + (size + 3) / 4 * 4);
}

static void key_add_link(struct nft_element *el, const char *link)
{
	char name[IFNAMSIZ] = "";

	memcpy(name, link, strlen(link));
	key_add(el->key, &el->key_len, name, IFNAMSIZ);
}

static void key_add_ip(uint8_t *key, uint8_t *len, uint32_t ip)
{
	uint32_t be = htonl(ip);

	key_add(key, len, &be, 4);
}

static void key_add_port(uint8_t *key, uint8_t *len, uint16_t port)
{
	uint16_t be = htons(port);

	key_add(key, len, &be, 2);
}

static struct nft_element *next_element(struct nic *nic, uint8_t family, const char *set)
{
	struct nft_element *el = (struct nft_element *)(uintptr_t)&nic->elements[nic->n_elements++];

	*el = (struct nft_element){ .family = family, .set = set };
	return el;
}

/* The address that the kernel makes of the MAC (RFC 4291, appendix A), for what has to come from the link itself. */
static void link_local(const uint8_t mac[6], uint8_t out[16])
{
	memset(out, 0, 16);
	out[0] = 0xfe;
	out[1] = 0x80;
	memcpy(out + 8, mac, 3);
	out[8] ^= 2;
	out[11] = 0xff;
	out[12] = 0xfe;
	memcpy(out + 13, mac + 3, 3);
}

static void add_source6(struct nic *nic, const uint8_t ip6[16])
{
	struct nft_element *el;

	if (!*nic->bridge) {
		el = next_element(nic, NFPROTO_INET, "src6");
		key_add_link(el, nic->link);
		key_add(el->key, &el->key_len, ip6, 16);
		return;
	}
	el = next_element(nic, NFPROTO_BRIDGE, "ok6");
	key_add_link(el, nic->link);
	key_add(el->key, &el->key_len, nic->mac, 6);
	key_add(el->key, &el->key_len, ip6, 16);
	el = next_element(nic, NFPROTO_BRIDGE, "targets");
	key_add_link(el, nic->link);
	key_add(el->key, &el->key_len, ip6, 16);
}

static void add_sources(struct nic *nic)
{
	struct nft_element *el = next_element(nic, *nic->bridge ? NFPROTO_BRIDGE : NFPROTO_INET,
					      *nic->bridge ? "ok4" : "src4");
	uint8_t own[16];

	key_add_link(el, nic->link);
	if (*nic->bridge)
		key_add(el->key, &el->key_len, nic->mac, 6);
	key_add_ip(el->key, &el->key_len, nic->ip);
	if (memcmp(nic->ip6, zero6, 16) == 0)
		return;
	link_local(nic->mac, own);
	add_source6(nic, nic->ip6);
	add_source6(nic, own);
}

static void add_publication(struct nic *nic, const struct publication *p)
{
	struct nft_element *el = next_element(nic, NFPROTO_INET, p->host ? "pub4ip" : "pub4");

	if (p->host)
		key_add_ip(el->key, &el->key_len, p->host);
	key_add(el->key, &el->key_len, &p->protocol, 1);
	key_add_port(el->key, &el->key_len, p->host_port);
	key_add_ip(el->data, &el->data_len, nic->ip);
	key_add_port(el->data, &el->data_len, p->port);
	if (p->host || memcmp(nic->ip6, zero6, 16) == 0)
		return;
	el = next_element(nic, NFPROTO_INET, "pub6");
	key_add(el->key, &el->key_len, &p->protocol, 1);
	key_add_port(el->key, &el->key_len, p->host_port);
	key_add(el->data, &el->data_len, nic->ip6, 16);
	key_add_port(el->data, &el->data_len, p->port);
}

/* A routed instance's link is one of its network's; a bridge is already. */
static int add_membership(struct nic *nic, struct arena *a, struct err *e)
{
	const char *chain = arena_printf(a, "net%u", nic->network->id);
	struct nft_element *el;

	if (!chain)
		return err_set(e, ENOMEM, "network");
	el = next_element(nic, NFPROTO_INET, chain);
	key_add_link(el, nic->link);
	el = next_element(nic, NFPROTO_INET, "links");
	key_add_link(el, nic->link);
	el = next_element(nic, NFPROTO_INET, "network");
	key_add_link(el, nic->link);
	el->chain = chain;
	return 0;
}

int nic_decide(const struct net_names *names, const struct network *n, uint32_t ip,
	       const char *alias, unsigned index, const struct publication *pubs, size_t n_pubs,
	       struct arena *a, struct nic *out, struct err *e)
{
	struct nic nic = {
		.network = n, .index = index, .alias = alias, .pubs = pubs, .n_pubs = n_pubs
	};
	char begin[sizeof(names->port) + sizeof(NET_FOREIGN)];
	unsigned shard;

	if (*n->parent && n_pubs)
		return err_set(
			e, ERR_INVALID,
			"publish: in network '%s' it has an address of its own that others reach",
			n->name);
	place(n, ip, &nic, &shard);
	choose_mac(n->name, ip, nic.mac);
	if (net_is_shared(
		    n)) { /* no end at the host, hence neither rules nor a journal: it goes with its namespace */
		nic.name = arena_printf(a, "eth%u", index - 2);
		nic.table = arena_strdup(a, names->table);
		nic.later = true;
		*out = nic;
		return nic.name && nic.table ? 0 : err_set(e, ENOMEM, "network");
	}
	snprintf(begin, sizeof(begin), "%s%s", n->routed ? names->veth : names->port,
		 n->unmanaged ? NET_FOREIGN : "");
	if (choose_link(begin, nic.link, e) < 0)
		return -1;
	if (n->unmanaged)
		strcpy(nic.bridge, n->parent);
	else if (!n->routed)
		snprintf(nic.bridge, sizeof(nic.bridge), "%s%u.%u", names->bridge, n->id % 1000,
			 shard % 1024);
	/* a bridge would take the least of its ports', and change it under those that know it already */
	if (!n->routed)
		choose_gateway_mac(nic.bridge, nic.gateway_mac);
	nic.name = arena_printf(a, "eth%u", index - 2);
	nic.table = arena_strdup(a, names->table);
	nic.elements = arena_array(a, 10 + 2 * n_pubs, sizeof(*nic.elements));
	if (!nic.name || !nic.table || !nic.elements)
		return err_set(e, ENOMEM, "network");
	add_sources(&nic);
	if (n->routed && add_membership(&nic, a, e) < 0)
		return -1;
	for (size_t i = 0; i < n_pubs; i++)
		add_publication(&nic, &pubs[i]);
	*out = nic;
	return 0;
}

/* ---- attaching ---- */

static bool has6(const struct nic *nic)
{
	return memcmp(nic->ip6, zero6, 16) != 0;
}

static struct nlmsghdr *link_message(struct nl *nl, uint16_t flags, int family, unsigned index,
				     unsigned up)
{
	struct ifinfomsg *link;
	struct nlmsghdr *h = nl_add(nl, RTM_NEWLINK, NLM_F_ACK | flags, sizeof(*link), &link);

	link->ifi_family = (unsigned char)family;
	link->ifi_index = (int)index;
	link->ifi_flags = link->ifi_change = up;
	return h;
}

/* Without an IPv6 address that the kernel would make and announce. When a link is made this cannot be said yet. */
static void add_no_address(struct nlmsghdr *h)
{
	struct nlattr *spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
	struct nlattr *inet6 = mnl_attr_nest_start(h, AF_INET6);

	mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(h, inet6);
	mnl_attr_nest_end(h, spec);
}

/*
 * The host's end, up. What it is to have is said before: to one that is up IPv6 would add its route for multicast at once, and again
 * when the other end is, and looks each time through those of all other links.
 */
static void add_up_outside(struct nl *nl, const struct nic *nic)
{
	struct nlmsghdr *h = link_message(nl, 0, AF_UNSPEC, 0, 0);

	mnl_attr_put_strz(h, IFLA_IFNAME, nic->link);
	mnl_attr_put_strz(h, IFLA_IFALIAS, nic->alias);
	if (has6(nic))
		add_no_address(h);
	nl_end(nl, h);
	h = link_message(nl, 0, AF_UNSPEC, 0, IFF_UP);
	mnl_attr_put_strz(h, IFLA_IFNAME, nic->link);
	nl_end(nl, h);
}

/* The kernel would make a queue for each processor (5.13), and files in /sys for each: only XDP programs gain from that. */
static void add_queues(struct nlmsghdr *h)
{
	mnl_attr_put_u32(h, IFLA_NUM_TX_QUEUES, 1);
	mnl_attr_put_u32(h, IFLA_NUM_RX_QUEUES, 1);
}

/*
 * One message: both ends, in their namespaces, under their names, and the port.
 *
 * At the link of a routed one nobody asks who has which address, since there is only one other end: what is sent goes to the link's own MAC
 * (arp_constructor() and ndisc_constructor() of the kernel), so both have the same. No neighbour has to be made known, in a table that
 * is one for all network namespaces and holds 1024 that are not permanent (gc_thresh3).
 */
static void add_pair(struct nl *nl, const struct nic *nic, unsigned bridge, int netns)
{
	unsigned mtu = nic->network->mtu ? nic->network->mtu : 1500, flags = bridge ? 0 : IFF_NOARP;
	struct nlmsghdr *h = link_message(nl, NLM_F_CREATE | NLM_F_EXCL, AF_UNSPEC, 0, flags);
	struct nlattr *info, *data, *peer;
	struct ifinfomsg *there;

	mnl_attr_put_strz(h, IFLA_IFNAME, nic->link);
	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	add_queues(h);
	if (bridge)
		mnl_attr_put_u32(h, IFLA_MASTER, bridge);
	else
		mnl_attr_put(h, IFLA_ADDRESS, 6, nic->mac);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
	there = mnl_nlmsg_get_payload_tail(h);
	memset(there, 0, sizeof(*there));
	there->ifi_index = (int)nic->index;
	there->ifi_flags = there->ifi_change = flags;
	h->nlmsg_len += MNL_ALIGN(sizeof(*there));
	mnl_attr_put_strz(h, IFLA_IFNAME, nic->name);
	mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)netns);
	mnl_attr_put(h, IFLA_ADDRESS, 6, nic->mac);
	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	add_queues(h);
	mnl_attr_nest_end(h, peer);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	nl_end(nl, h);
}

/* A device in the other namespace that shares the parent's link: seen by its network as a machine of its own. */
static int attach_shared(const struct nic *nic, int netns, struct err *e)
{
	const struct network *n = nic->network;
	unsigned parent = if_nametoindex(n->parent);
	struct nlattr *info, *data;
	struct nlmsghdr *h;
	struct nl nl;
	int rc;

	if (!parent)
		return err_set(e, errno, "network '%s': the host has no device '%s'", n->name,
			       n->parent);
	if (nl_open(&nl, NETLINK_ROUTE, e) < 0)
		return -1;
	h = link_message(&nl, NLM_F_CREATE | NLM_F_EXCL, AF_UNSPEC, 0, 0);
	mnl_attr_put_strz(h, IFLA_IFNAME, nic->name);
	mnl_attr_put_u32(h, IFLA_LINK, parent);
	mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)netns);
	if (!n->ipvlan)
		mnl_attr_put(h, IFLA_ADDRESS, 6, nic->mac);
	if (n->mtu)
		mnl_attr_put_u32(h, IFLA_MTU, n->mtu);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, n->ipvlan ? "ipvlan" : "macvlan");
	data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	if (n->ipvlan)
		mnl_attr_put_u16(h, IFLA_IPVLAN_MODE, IPVLAN_MODE_L2);
	else
		mnl_attr_put_u32(h, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	nl_end(&nl, h);
	rc = nl_send(&nl, NULL, e);
	nl_close(&nl);
	if (rc < 0 && e->code == EOPNOTSUPP)
		return err_set(e, ERR_NOT_SUPPORTED, "this kernel has no %s (module %s)",
			       n->ipvlan ? "ipvlan" : "macvlan", n->ipvlan ? "ipvlan" : "macvlan");
	if (rc < 0 && e->code == EBUSY)
		return err_set(
			e, ERR_STATE,
			"device '%s' has macvlan or ipvlan interfaces, or is a port: what is made of a device is of one kind only",
			n->parent);
	return rc < 0 ? err_in(e, "cannot make an interface of '%s'", n->parent) : 0;
}

/*
 * The same data in the message that makes the port is accepted, and ignored. Where bridged packets pass the host's rules
 * (br_netfilter, which others load), what an instance sends to a port of its own that is published is translated within the
 * bridge, and must leave by where it came in.
 */
static void add_port_flags(struct nl *nl, const struct nic *nic)
{
	struct nlmsghdr *h = link_message(nl, 0, AF_UNSPEC, 0, 0);
	struct nlattr *info, *data;

	mnl_attr_put_strz(h, IFLA_IFNAME, nic->link);
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_SLAVE_KIND, "bridge");
	data = mnl_attr_nest_start(h, IFLA_INFO_SLAVE_DATA);
	if (nic->network->isolated)
		mnl_attr_put_u8(h, IFLA_BRPORT_ISOLATED, 1);
	if (nic->n_pubs)
		mnl_attr_put_u8(h, IFLA_BRPORT_MODE, 1);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	nl_end(nl, h);
}

/* To @to (NULL: everywhere), via @gateway (NULL: it is on the link), as @from (NULL: whoever the kernel takes). */
static void add_route(struct nl *nl, unsigned index, int family, const void *to, unsigned bits,
		      const void *gateway, const void *from)
{
	size_t len = family == AF_INET ? 4 : 16;
	struct rtmsg *m;
	struct nlmsghdr *h =
		nl_add(nl, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, sizeof(*m), &m);

	m->rtm_family = (uint8_t)family;
	m->rtm_dst_len = (uint8_t)bits;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = RTPROT_STATIC;
	m->rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	m->rtm_type = RTN_UNICAST;
	m->rtm_flags = gateway ? RTNH_F_ONLINK : 0;
	if (to)
		mnl_attr_put(h, RTA_DST, len, to);
	if (gateway)
		mnl_attr_put(h, RTA_GATEWAY, len, gateway);
	if (from)
		mnl_attr_put(h, RTA_PREFSRC, len, from);
	mnl_attr_put_u32(h, RTA_OIF, index);
	nl_end(nl, h);
}

/*
 * Known from the start, so that nobody has to ask, and no table of neighbours runs full: it holds 1024 of all network namespaces
 * (gc_thresh3), but permanent ones are not counted (Linux 5.0).
 */
static void add_neighbour(struct nl *nl, uint16_t type, unsigned index, int family, const void *ip,
			  const uint8_t *mac)
{
	struct ndmsg *m;
	uint16_t flags = type == RTM_NEWNEIGH ? NLM_F_CREATE | NLM_F_REPLACE : 0;
	struct nlmsghdr *h = nl_add(nl, type, NLM_F_ACK | flags, sizeof(*m), &m);

	m->ndm_family = (uint8_t)family;
	m->ndm_ifindex = (int)index;
	m->ndm_state = NUD_PERMANENT;
	mnl_attr_put(h, NDA_DST, family == AF_INET ? 4 : 16, ip);
	if (mac)
		mnl_attr_put(h, NDA_LLADDR, 6, mac);
	nl_end(nl, h);
}

/* The instance, as the host sees it on its bridge. */
static void add_self(struct nl *nl, const struct nic *nic, unsigned index)
{
	uint32_t ip = htonl(nic->ip);

	add_neighbour(nl, RTM_NEWNEIGH, index, AF_INET, &ip, nic->mac);
	if (has6(nic))
		add_neighbour(nl, RTM_NEWNEIGH, index, AF_INET6, nic->ip6, nic->mac);
}

static void set_sysctl(const char *link, const char *name, const char *value)
{
	char path[96];
	auto_fd int fd = -1;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", link, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, value, strlen(value)) < 0)
		return; /* without IPv6, or read-only: then it is as it is */
}

/*
 * The host's half of a routed instance: the way to it. The gateway's address is not on the link, for what every link has the kernel
 * looks through at each further one.
 */
static void add_host_routes(struct nl *nl, const struct nic *nic, unsigned index)
{
	uint32_t ip = htonl(nic->ip), gateway = htonl(nic->gateway);
	uint8_t own6[16];

	add_route(nl, index, AF_INET, &ip, 32, NULL, &gateway);
	if (!has6(nic))
		return;
	net_host6(nic->network, own6);
	add_route(nl, index, AF_INET6, nic->ip6, 128, NULL, own6);
}

struct bridge_vlans {
	bool filters;
	uint16_t pvid; /* that a new port is in; 0: none */
};

static int see_vlans(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *a, *b, *c;
	struct bridge_vlans *v = arg;

	mnl_attr_for_each(a, h, sizeof(struct ifinfomsg))
	{
		if (mnl_attr_get_type(a) != IFLA_LINKINFO)
			continue;
		mnl_attr_for_each_nested(b, a)
		{
			if (mnl_attr_get_type(b) != IFLA_INFO_DATA)
				continue;
			mnl_attr_for_each_nested(c, b)
			{
				if (mnl_attr_get_type(c) == IFLA_BR_VLAN_FILTERING)
					v->filters = mnl_attr_get_u8(c);
				else if (mnl_attr_get_type(c) == IFLA_BR_VLAN_DEFAULT_PVID)
					v->pvid = mnl_attr_get_u16(c);
			}
		}
	}
	return MNL_CB_OK;
}

static void add_vlan(struct nl *nl, uint16_t type, unsigned port, uint16_t flags, unsigned vlan)
{
	struct bridge_vlan_info info = { .flags = flags, .vid = (uint16_t)vlan };
	struct ifinfomsg *link;
	struct nlmsghdr *h = nl_add(nl, type, NLM_F_ACK, sizeof(*link), &link);
	struct nlattr *spec;

	link->ifi_family = AF_BRIDGE;
	link->ifi_index = (int)port;
	spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
	mnl_attr_put(h, IFLA_BRIDGE_VLAN_INFO, sizeof(info), &info);
	mnl_attr_nest_end(h, spec);
	nl_end(nl, h);
}

/* The port, which is there, in one VLAN and no other. A bridge that does not filter would not care. */
static int join_vlan(struct nl *nl, const struct nic *nic, struct err *e)
{
	unsigned port = if_nametoindex(nic->link), vlan = nic->network->vlan;
	struct bridge_vlans v = { .filters = false };

	if (nl_link(nic->bridge, see_vlans, &v, e) < 0)
		return -1;
	if (!v.filters)
		return err_set(
			e, ERR_NOT_SUPPORTED,
			"bridge '%s' does not keep VLANs apart: `ip link set %s type bridge vlan_filtering 1` has it do so",
			nic->bridge, nic->bridge);
	add_vlan(nl, RTM_SETLINK, port, BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED, vlan);
	if (v.pvid && v.pvid != vlan)
		add_vlan(nl, RTM_DELLINK, port, 0, v.pvid);
	return nl_send(nl, NULL, e) < 0 ? err_in(e, "VLAN %u", vlan) : 0;
}

static int port_error(const struct nic *nic, struct err *e)
{
	if (e->code == EXFULL)
		err_set(e, ERR_INVALID, "bridge '%s' has all its 1023 ports taken", nic->bridge);
	return err_in(e, "cannot make the link of network '%s'", nic->network->name);
}

static int attach_outside(const struct nic *nic, int netns, struct err *e)
{
	unsigned bridge = *nic->bridge ? if_nametoindex(nic->bridge) : 0;
	struct nl nl;
	int rc;

	if (*nic->bridge && !bridge)
		return err_set(e, errno, "there is no bridge '%s'", nic->bridge);
	if (nl_open(&nl, NETLINK_ROUTE, e) < 0)
		return -1;
	add_pair(&nl, nic, bridge, netns);
	/* before it is up, so that nothing passes before */
	if ((nic->network->vlan && (nl_send(&nl, NULL, e) < 0 || join_vlan(&nl, nic, e) < 0)) ||
	    (traffic_is_limited(&nic->traffic) &&
	     (nl_send(&nl, NULL, e) < 0 ||
	      filter_outside(nic->table, nic->link, &nic->traffic, e) < 0))) {
		nl_close(&nl);
		return port_error(nic, e);
	}
	add_up_outside(&nl, nic);
	if (bridge && (nic->network->isolated || nic->n_pubs))
		add_port_flags(&nl, nic);
	if (bridge && !nic->network->unmanaged)
		add_self(&nl, nic, bridge);
	rc = nl_send(&nl, NULL, e);
	if (rc == 0 && !bridge) {
		add_host_routes(&nl, nic, if_nametoindex(nic->link));
		rc = nl_send(&nl, NULL, e);
	}
	nl_close(&nl);
	return rc < 0 ? port_error(nic, e) : 0;
}

/* In the instance's namespace. */
static int attach_inside(const struct nic *nic, struct err *e)
{
	uint32_t ip = htonl(nic->ip), gateway = htonl(nic->gateway);
	/* where others came and went the kernel gives another index than was asked for */
	unsigned index = nic->later ? if_nametoindex(nic->name) : nic->index;
	bool first = nic->index == 2, on_link = !nic->network->routed;
	bool own6 = has6(nic) && on_link &&
		    !*nic->network->parent; /* that of the link itself is ours to give */
	struct nlmsghdr *h;
	uint8_t ip6[16];
	struct nl nl;
	int rc;

	/* a look at such a file takes longer the more network namespaces there are: what can be said otherwise is */
	if (has6(nic) && *nic->network->parent) {
		set_sysctl(nic->name, "accept_dad", "0");
		set_sysctl(nic->name, "accept_ra", "0");
	} else if (!has6(nic) && !net_is_shared(nic->network)) { /* there a router may offer one */
		set_sysctl(nic->name, "disable_ipv6", "1");
	}
	if (nl_open(&nl, NETLINK_ROUTE, e) < 0)
		return -1;
	nl_address(&nl, index, AF_INET, &ip, 4, nic->prefix, RT_SCOPE_UNIVERSE);
	if (has6(nic))
		nl_address(&nl, index, AF_INET6, nic->ip6, 16, on_link ? 64 : 128,
			   RT_SCOPE_UNIVERSE);
	h = link_message(&nl, 0, AF_UNSPEC, index, IFF_UP);
	if (own6)
		add_no_address(h);
	nl_end(&nl, h);
	if (own6) {
		link_local(nic->mac, ip6);
		nl_address(&nl, index, AF_INET6, ip6, 16, 64, RT_SCOPE_LINK);
	}
	if (first) { /* the first one leads out */
		add_route(&nl, index, AF_INET, NULL, 0, &gateway, NULL);
		if (has6(nic))
			add_route(&nl, index, AF_INET6, NULL, 0, nic->gateway6, NULL);
	} else if (!on_link) { /* the others to their own network, which on a bridge is on the link */
		uint32_t subnet = htonl(nic->network->subnet);

		add_route(&nl, index, AF_INET, &subnet, nic->network->prefix, &gateway, NULL);
		if (has6(nic))
			add_route(&nl, index, AF_INET6, nic->network->subnet6, 48, nic->gateway6,
				  NULL);
	}
	if (on_link && !*nic->network->parent)
		add_neighbour(&nl, RTM_NEWNEIGH, index, AF_INET, &gateway, nic->gateway_mac);
	if (own6)
		add_neighbour(&nl, RTM_NEWNEIGH, index, AF_INET6, nic->gateway6, nic->gateway_mac);
	rc = nl_send(&nl, NULL, e);
	nl_close(&nl);
	if (rc == 0 && nic->traffic.rate.up)
		rc = filter_inside(index, &nic->traffic, e);
	if (rc == 0 && (net_is_shared(nic->network) || nic->network->unmanaged))
		announce(index, nic->ip, nic->ip6);
	return rc < 0 ? err_in(e, "cannot set up '%s' inside", nic->name) : 0;
}

/* Whether it is an element of a map of published ports, of that protocol. */
static bool is_published(const struct nft_element *el, uint8_t protocol)
{
	size_t at = streq(el->set, "pub4ip") ? 4 : 0;

	return (at || streq(el->set, "pub4") || streq(el->set, "pub6")) && el->key_len >= at + 8 &&
	       el->key[at] == protocol;
}

static int add_elements(const struct nic *nic, struct err *e)
{
	size_t bad = 0;

	if (nft_add(nic->table, nic->elements, nic->n_elements, &bad, e) == 0) {
		for (size_t i = 0; i < nic->n_pubs; i++)
			if (nic->pubs[i].protocol == IPPROTO_UDP)
				conntrack_forget_port(nic->pubs[i].host_port);
		return 0;
	}
	if (e->code == ERR_EXISTS && nic->elements[bad].data_len) {
		const uint8_t *key = nic->elements[bad].key;
		size_t at = nic->elements[bad].key_len - 4u;

		return err_set(e, ERR_EXISTS, "port %u is published already",
			       (unsigned)(key[at] << 8 | key[at + 1]));
	}
	return err_in(e, "cannot add the rules of network '%s'", nic->network->name);
}

int nic_attach(const struct nic *nic, int netns, struct err *e)
{
	auto_fd int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int rc;

	if (own < 0)
		return err_set(e, errno, "cannot open the network namespace");
	if (net_is_shared(nic->network) ?
		    attach_shared(nic, netns, e) < 0 :
		    add_elements(nic, e) < 0 || attach_outside(nic, netns, e) < 0)
		return -1;
	if (setns(netns, CLONE_NEWNET) < 0)
		return err_set(e, errno, "cannot enter the container's network namespace");
	rc = attach_inside(nic, e);
	/* a MAC of a parent's network is free once the namespace that had it before is gone, which the kernel does in its own time */
	for (int tries = 0;
	     rc < 0 && net_is_shared(nic->network) && e->code == EADDRINUSE && tries < 150;
	     tries++) {
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
		rc = attach_inside(nic, e);
	}
	if (netns_return(own, e) < 0)
		return -1;
	return rc;
}

int nic_detach(const char *link, struct err *e)
{
	unsigned index = if_nametoindex(link);
	struct ifinfomsg *body;
	struct nlmsghdr *h;
	struct nl nl;
	int rc;

	if (!index)
		return 0;
	if (nl_open(&nl, NETLINK_ROUTE, e) < 0)
		return -1;
	h = nl_add(&nl, RTM_DELLINK, NLM_F_ACK, sizeof(*body), &body);
	body->ifi_index = (int)index;
	nl_end(&nl, h);
	rc = nl_send(&nl, NULL, e);
	nl_close(&nl);
	return rc < 0 && e->code != ENODEV ? err_in(e, "cannot remove link '%s'", link) : 0;
}

/* ---- the journal ---- */

/* On a bridge they would stay, unlike on a link that goes with its instance. */
void nic_journal(const struct nic *nic, struct str *out)
{
	if (net_is_shared(nic->network))
		return;
	nft_write(nic->table, nic->elements, nic->n_elements, out);
	str_addf(out, "link %s\n", nic->link);
	if (traffic_is_limited(&nic->traffic))
		filter_journal(nic->table, nic->link, out);
	if (!*nic->bridge || nic->network->unmanaged)
		return;
	str_addf(out, "neigh %s %08x", nic->bridge, nic->ip);
	for (int i = 0; has6(nic) && i < 16; i++)
		str_addf(out, i ? "%02x" : " %02x", nic->ip6[i]);
	str_add(out, "\n");
}

size_t nic_links(const char *journal, char links[][IFNAMSIZ], size_t max)
{
	size_t n = 0;

	for (const char *line = journal; line && *line && n < max;) {
		n += sscanf(line, "link %15s\n", links[n]) == 1;
		line = strchr(line, '\n');
		line += line != NULL;
	}
	return n;
}

void net_forget_neighbour(const char *device, uint32_t ip)
{
	unsigned index = if_nametoindex(device);
	uint32_t be = htonl(ip);
	struct err ignored;
	struct nl nl;

	if (!index || nl_open(&nl, NETLINK_ROUTE, &ignored) < 0)
		return;
	add_neighbour(&nl, RTM_DELNEIGH, index, AF_INET, &be, NULL);
	(void)nl_send(&nl, NULL, &ignored);
	nl_close(&nl);
}

/* A line "neigh BRIDGE IPV4 [IPV6]". What is not there is as good as removed. */
static int forget_neighbours(const char *line, struct err *e)
{
	char bridge[IFNAMSIZ], six[33] = "";
	uint8_t ip6[16] = { 0 };
	unsigned ip, index;
	struct err ignored;
	struct nl nl;
	int n = sscanf(line, "neigh %15[a-z0-9.] %8x %32[0-9a-f]", bridge, &ip, six);

	if (n < 2 || (n == 3 && strlen(six) != 32))
		return err_set(e, ERR_INVALID, "the journal's line '%.60s' makes no sense", line);
	index = if_nametoindex(bridge);
	if (!index)
		return 0;
	for (int family = AF_INET; family; family = family == AF_INET && n == 3 ? AF_INET6 : 0) {
		uint32_t be = htonl(ip);

		for (int i = 0; n == 3 && i < 16; i++)
			(void)sscanf(six + 2 * i, "%2hhx", &ip6[i]);
		if (nl_open(&nl, NETLINK_ROUTE, e) < 0)
			return -1;
		add_neighbour(&nl, RTM_DELNEIGH, index, family,
			      family == AF_INET ? (const void *)&be : ip6, NULL);
		(void)nl_send(&nl, NULL, &ignored);
		nl_close(&nl);
	}
	return 0;
}

/* Calls @act for all elements of a journal, many at a time. */
static int each_line(const char *journal,
		     int (*act)(const char *table, const struct nft_element *list, size_t n,
				struct err *e),
		     struct err *e)
{
	struct nft_room rooms[64];
	struct nft_element list[64];
	char table[16] = "";
	size_t n = 0;
	int rc = 0;

	for (const char *line = journal; line && *line;) {
		const char *end = strchr(line, '\n');
		char text[256];

		if (!end) /* it was being written, and so never acted upon */
			break;
		if (str_after(line, "nft ") && (size_t)(end - line) < sizeof(text)) {
			memcpy(text, line, (size_t)(end - line));
			text[end - line] = '\0';
			if (nft_read(text, &rooms[n], &list[n], e) < 0)
				return -1;
			if (n && !streq(table, rooms[n].table))
				return err_set(e, ERR_INVALID, "a journal of two tables");
			strcpy(table, rooms[n].table);
			n++;
		}
		line = end + 1;
		if (n == 64 || (n && !*line)) {
			if (act(table, list, n, e) < 0)
				rc = -1;
			n = 0;
		}
	}
	if (n && act(table, list, n, e) < 0)
		rc = -1;
	return rc;
}

/* Of the elements of a journal: what was sent to published ports. Addresses repeat: one look at the kernel's table for each. */
static int forget_flows(const char *table, const struct nft_element *list, size_t n, struct err *e)
{
	const struct nft_element *last = NULL;

	(void)table;
	(void)e;
	for (size_t i = 0; i < n; i++) {
		const struct nft_element *el = &list[i];
		size_t len = streq(el->set, "pub6") ? 16 : 4;

		if (!is_published(el, IPPROTO_UDP))
			continue;
		if (!last || last->data_len != el->data_len ||
		    memcmp(last->data, el->data, len) != 0)
			conntrack_forget_answers(len == 4 ? AF_INET : AF_INET6, el->data);
		last = el;
	}
	return 0;
}

/* The name in a line "table NAME"; false for another line. */
static bool table_of_line(const char *line, char name[FILTER_TABLE_MAX])
{
	return sscanf(line, "table %31[a-z0-9_]\n", name) == 1;
}

int nic_undo(const char *journal, struct err *e)
{
	int rc = each_line(journal, nft_remove, e);

	if (strstr(journal, " pub"))
		(void)each_line(journal, forget_flows, e);
	for (const char *line = journal; line && *line;) {
		const char *end = strchr(line, '\n');
		char table[FILTER_TABLE_MAX];

		if (!end)
			break;
		if ((str_after(line, "neigh ") && forget_neighbours(line, e) < 0) ||
		    (table_of_line(line, table) && nft_remove_table(table, e) < 0))
			rc = -1;
		line = end + 1;
	}
	return rc;
}

static int add_again(const char *table, const struct nft_element *list, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (nft_add(table, &list[i], 1, NULL, e) < 0 && e->code != ERR_EXISTS)
			return -1;
	return 0;
}

int net_restore(const char *journal, struct err *e)
{
	return each_line(journal, add_again, e);
}

static int are_there(const char *table, const struct nft_element *list, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		int has = nft_has(table, &list[i], e);

		if (has <= 0)
			return has < 0 ? -1 : err_set(e, ERR_NO_SUCH, "element");
	}
	return 0;
}

int net_lost(const char *journal, struct err *e)
{
	return each_line(journal, are_there, e) == 0 ? 0 : e->code == ERR_NO_SUCH ? 1 : -1;
}
