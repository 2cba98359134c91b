/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netcost MODE K: what an instance's network costs, beside the least that the kernel demands for the same. MODE is bridge or routed.
 *
 * In network namespaces of its own it makes K further ones and gives each an interface: in turns by netns/ (addresses of both
 * families, routes, rules, neighbours, one published port) and by bare netlink, the floor: a pair of links, the port, addresses and
 * routes of both families, nothing looked at, nothing that could be undone. Then it takes them away. Prints a line each, in microseconds:
 *
 *	add WHO median of the first 50, of the last 50
 *	row WHO median of 50 more, not in turns: else each waits for what the kernel does later of the other's
 *	remove WHO median: of what the caller waits for
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "netns/netns.h"
#include "netns/nl.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"

#define SOME 50

static struct network network = { .name = "bench",
				  .id = 2,
				  .subnet = 0x0a4d0000,
				  .prefix = 16,
				  .subnet6 = { 0xfd, 0x12, 0x34 } };
static struct net_names names;
static int own, lock;

static void die(const char *what, const struct err *e)
{
	fprintf(stderr, "netcost: %s: %s\n", what, e ? e->msg : strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* ---- the floor ---- */

static struct nlmsghdr *link_of(struct nl *nl, uint16_t flags, unsigned index, unsigned up)
{
	struct ifinfomsg *m;
	struct nlmsghdr *h = nl_add(nl, RTM_NEWLINK, (uint16_t)(NLM_F_ACK | flags), sizeof(*m), &m);

	m->ifi_index = (int)index;
	m->ifi_flags = m->ifi_change = up;
	return h;
}

static void address(struct nl *nl, unsigned index, int family, const void *ip, unsigned bits)
{
	struct ifaddrmsg *m;
	struct nlmsghdr *h = nl_add(nl, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE, sizeof(*m), &m);

	m->ifa_family = (uint8_t)family;
	m->ifa_prefixlen = (uint8_t)bits;
	m->ifa_index = index;
	m->ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0;
	mnl_attr_put(h, IFA_LOCAL, family == AF_INET ? 4 : 16, ip);
	nl_end(nl, h);
}

static void route(struct nl *nl, unsigned index, int family, const void *to, const void *gateway)
{
	size_t len = family == AF_INET ? 4 : 16;
	struct rtmsg *m;
	struct nlmsghdr *h = nl_add(nl, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE, sizeof(*m), &m);

	m->rtm_family = (uint8_t)family;
	m->rtm_dst_len = to ? (uint8_t)(8 * len) : 0;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = RTPROT_STATIC;
	m->rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	m->rtm_type = RTN_UNICAST;
	m->rtm_flags = gateway ? RTNH_F_ONLINK : 0;
	if (to)
		mnl_attr_put(h, RTA_DST, len, to);
	if (gateway)
		mnl_attr_put(h, RTA_GATEWAY, len, gateway);
	mnl_attr_put_u32(h, RTA_OIF, index);
	nl_end(nl, h);
}

static void send_all(struct nl *nl)
{
	struct err e = { 0 };

	if (nl_send(nl, NULL, &e) < 0)
		die("floor", &e);
	nl_close(nl);
}

static void open_nl(struct nl *nl)
{
	struct err e = { 0 };

	if (nl_open(nl, NETLINK_ROUTE, &e) < 0)
		die("netlink", &e);
}

static void floor_add(const struct nic *like, int netns, unsigned number)
{
	static struct nl nl;
	uint32_t ip = htonl(like->ip), gateway = htonl(like->gateway);
	unsigned host = 100000 + number;
	struct nlattr *info, *data, *peer;
	struct ifinfomsg *there;
	struct nlmsghdr *h;
	char name[IFNAMSIZ];

	snprintf(name, sizeof(name), "f%u", number);
	open_nl(&nl);
	h = link_of(&nl, NLM_F_CREATE | NLM_F_EXCL, host, IFF_UP);
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	if (*like->bridge)
		mnl_attr_put_u32(h, IFLA_MASTER, if_nametoindex(like->bridge));
	info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
	there = mnl_nlmsg_get_payload_tail(h);
	memset(there, 0, sizeof(*there));
	there->ifi_index = 2;
	h->nlmsg_len += MNL_ALIGN(sizeof(*there));
	mnl_attr_put_strz(h, IFLA_IFNAME, "eth0");
	mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)netns);
	mnl_attr_nest_end(h, peer);
	mnl_attr_nest_end(h, data);
	mnl_attr_nest_end(h, info);
	nl_end(&nl, h);
	if (!*like->bridge) {
		route(&nl, host, AF_INET, &ip, NULL);
		route(&nl, host, AF_INET6, like->ip6, NULL);
	}
	send_all(&nl);
	if (setns(netns, CLONE_NEWNET) < 0)
		die("setns", NULL);
	open_nl(&nl);
	nl_end(&nl, link_of(&nl, 0, 2, IFF_UP));
	address(&nl, 2, AF_INET, &ip, like->prefix);
	address(&nl, 2, AF_INET6, like->ip6, *like->bridge ? 64 : 128);
	route(&nl, 2, AF_INET, NULL, &gateway);
	route(&nl, 2, AF_INET6, NULL, like->gateway6);
	send_all(&nl);
	if (setns(own, CLONE_NEWNET) < 0)
		die("setns", NULL);
}

/* ---- the measuring ---- */

struct one {
	int netns;
	struct nic nic;
	double took;
};

static struct arena *arena;

static void decide(struct one *o, unsigned number, bool ours)
{
	struct publication *p = arena_alloc(arena, sizeof(*p));
	struct err e = { 0 };
	char alias[16];

	/* 1000 to a bridge: the second address of each, and on */
	uint32_t ip = network.subnet + (number / 1000 << NET_SHARD_BITS) + 2 + number % 1000;

	if (!p)
		die("memory", NULL);
	*p = (struct publication){ IPPROTO_TCP, 0, (uint16_t)(10000 + number), 80 };
	snprintf(alias, sizeof(alias), "n%u", number);
	if (nic_decide(&names, &network, network.routed ? network.subnet + 2 + number : ip,
		       arena_strdup(arena, alias), 2, p, ours ? 1 : 0, arena, &o->nic, &e) < 0)
		die("decide", &e);
	if (net_ready(&names, &o->nic, lock, &e) < 0)
		die("ready", &e);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* In turns, but for the last, of which SOME of ours are followed by as many of the floor's. */
static bool is_floor(size_t i, size_t n)
{
	return n > 4 * SOME && i >= n - 2 * SOME ? i >= n - SOME : i % 2;
}

/* Of @n entries of @all's @total from @from on: those that are the floor's, or not. */
static double median(const struct one *all, size_t total, size_t from, size_t n, bool floor)
{
	double *v = calloc(n + 1, sizeof(*v)), m;
	size_t k = 0;

	for (size_t i = from; v && i < from + n; i++)
		if (is_floor(i, total) == floor)
			v[k++] = all[i].took;
	if (!k)
		die("nothing was measured", NULL);
	qsort(v, k, sizeof(*v), by_value);
	m = v[k / 2];
	free(v);
	return m;
}

static void print(const char *what, const struct one *all, size_t n)
{
	size_t turns = n > 4 * SOME ? n - 2 * SOME : n, some = turns < 2 * SOME ? turns : 2 * SOME;

	for (int floor = 0; floor < 2; floor++)
		printf("%s %s %.0f %.0f\n", what, floor ? "floor" : "ctr",
		       median(all, n, 0, some, floor), median(all, n, turns - some, some, floor));
	for (int floor = 0; turns < n && floor < 2 && strcmp(what, "add") == 0; floor++)
		printf("row %s %.0f\n", floor ? "floor" : "ctr",
		       median(all, n, turns, n - turns, floor));
}

int main(int argc, char **argv)
{
	size_t n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	struct one *all = calloc(n + 1, sizeof(*all));
	struct rlimit files = { n + 100, n + 100 };
	struct err e = { 0 };

	if (n < 2 || !all || !(arena = arena_new(0)))
		return 2;
	network.routed = strcmp(argv[1], "routed") == 0;
	net_names_of("/run/netcost", false, &names);
	lock = open("/dev/null", O_RDONLY | O_CLOEXEC);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	if (unshare(CLONE_NEWNET) < 0) /* the machine's own network is left alone */
		die("unshare", NULL);
	own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < n; i++) {
		if (unshare(CLONE_NEWNET) < 0)
			die("unshare", NULL);
		all[i].netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	}
	if (setns(own, CLONE_NEWNET) < 0 || netns_loopback_up(&e) < 0)
		die("setns", &e);
	for (size_t i = 0; i < n; i++) {
		double began;

		decide(&all[i], (unsigned)i, !is_floor(i, n));
		began = now();
		if (is_floor(i, n))
			floor_add(&all[i].nic, all[i].netns, (unsigned)i);
		else if (nic_attach(&all[i].nic, all[i].netns, &e) < 0)
			die("attach", &e);
		all[i].took = now() - began;
	}
	print("add", all, n);
	for (size_t i = 0; i < n; i++) {
		struct str journal = { 0 };
		double began;

		nic_journal(&all[i].nic, &journal);
		began = now();
		if (!is_floor(i, n) && nic_undo(journal.s, &e) < 0)
			die("undo", &e);
		close(all[i].netns);
		all[i].took = now() - began;
		str_free(&journal);
	}
	print("remove", all, n);
	net_leave();
	return 0;
}
