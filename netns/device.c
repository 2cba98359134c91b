/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.c - linux.netDevices: a network device of the host becomes the container's.
 *
 * The kernel takes a device's addresses away when it changes its namespace: the permanent ones of global scope are read
 * before and given to it again (config-linux.md, "Network Devices"), in the other namespace and under the new name.
 */
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns/netns.h"
#include "netns/nft.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"

#define MAX_ADDRESSES 64

struct address {
	struct ifaddrmsg head;
	unsigned char local[16], peer[16], broadcast[16];
	size_t n_local, n_peer, n_broadcast; /* bytes; 0: not given */
};

struct addresses {
	unsigned index;
	size_t n;
	struct address list[MAX_ADDRESSES];
};

static int request(struct mnl_socket *nl, struct nlmsghdr *h, mnl_cb_t each, void *arg)
{
	_Alignas(struct nlmsghdr) char buf[32768];
	unsigned port = mnl_socket_get_portid(nl);
	int r = 1;

	h->nlmsg_flags |= NLM_F_REQUEST | (each ? NLM_F_DUMP : NLM_F_ACK);
	h->nlmsg_seq = 1;
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		return -1;
	while (r > 0) {
		ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(buf));

		if (n < 0)
			return -1;
		r = mnl_cb_run(buf, (size_t)n, 1, port, each, arg);
	}
	return r;
}

static void keep(const struct nlattr *a, unsigned char to[16], size_t *n)
{
	if (mnl_attr_get_payload_len(a) > 16)
		return;
	*n = mnl_attr_get_payload_len(a);
	memcpy(to, mnl_attr_get_payload(a), *n);
}

static int keep_address(const struct nlmsghdr *h, void *arg)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	struct addresses *all = arg;
	struct address *new;
	const struct nlattr *a;

	if (m->ifa_index != all->index || m->ifa_scope != RT_SCOPE_UNIVERSE ||
	    !(m->ifa_flags & IFA_F_PERMANENT))
		return MNL_CB_OK;
	if (all->n == MAX_ADDRESSES) {
		errno = E2BIG;
		return MNL_CB_ERROR;
	}
	new = &all->list[all->n++];
	*new = (struct address){ .head = *m };
	mnl_attr_for_each(a, h, sizeof(*m))
	{
		if (mnl_attr_get_type(a) == IFA_LOCAL)
			keep(a, new->local, &new->n_local);
		else if (mnl_attr_get_type(a) == IFA_ADDRESS)
			keep(a, new->peer, &new->n_peer);
		else if (mnl_attr_get_type(a) == IFA_BROADCAST)
			keep(a, new->broadcast, &new->n_broadcast);
	}
	return MNL_CB_OK;
}

static struct mnl_socket *open_socket(struct err *e)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == 0)
		return nl;
	err_set(e, errno, "cannot open an rtnetlink socket");
	if (nl)
		mnl_socket_close(nl);
	return NULL;
}

static struct nlmsghdr *link_request(char *buf, unsigned index, unsigned flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *link;

	h->nlmsg_type = RTM_NEWLINK;
	link = mnl_nlmsg_put_extra_header(h, sizeof(*link));
	link->ifi_family = AF_UNSPEC;
	link->ifi_index = (int)index;
	link->ifi_flags = link->ifi_change = flags;
	return h;
}

/* Here: reads its addresses and sends it away. */
static int send_device(const char *device, int netns, const char *name, struct addresses *all,
		       struct err *e)
{
	_Alignas(struct nlmsghdr) char buf[512];
	struct mnl_socket *nl = open_socket(e);
	struct nlmsghdr *h;
	int r;

	if (!nl)
		return -1;
	h = mnl_nlmsg_put_header(buf);
	h->nlmsg_type = RTM_GETADDR;
	mnl_nlmsg_put_extra_header(h, sizeof(struct ifaddrmsg));
	r = request(nl, h, keep_address, all);
	if (r < 0)
		err_set(e, errno, "cannot read the addresses of '%s'", device);
	if (r >= 0) {
		h = link_request(buf, all->index, 0);
		mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)netns);
		mnl_attr_put_strz(h, IFLA_IFNAME, name);
		r = request(nl, h, NULL, NULL);
		if (r < 0)
			err_set(e, errno,
				"cannot move network device '%s' into the container as '%s'",
				device, name);
	}
	mnl_socket_close(nl);
	return r;
}

/* There: gives its addresses back and brings it up. */
static int receive_device(const char *name, const struct addresses *all, struct err *e)
{
	_Alignas(struct nlmsghdr) char buf[512];
	struct mnl_socket *nl = open_socket(e);
	unsigned index = if_nametoindex(name);
	int r = index ? 0 : -1;

	if (!nl)
		return -1;
	if (r == 0)
		r = request(nl, link_request(buf, index, IFF_UP), NULL, NULL);
	if (r < 0)
		err_set(e, errno, "cannot bring up network device '%s' in the container", name);
	for (size_t i = 0; r >= 0 && i < all->n; i++) {
		const struct address *a = &all->list[i];
		struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
		struct ifaddrmsg *m;

		h->nlmsg_type = RTM_NEWADDR;
		h->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
		m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
		*m = a->head;
		m->ifa_index = index;
		if (a->n_local)
			mnl_attr_put(h, IFA_LOCAL, a->n_local, a->local);
		if (a->n_peer)
			mnl_attr_put(h, IFA_ADDRESS, a->n_peer, a->peer);
		if (a->n_broadcast)
			mnl_attr_put(h, IFA_BROADCAST, a->n_broadcast, a->broadcast);
		r = request(nl, h, NULL, NULL);
		if (r < 0)
			err_set(e, errno, "cannot keep an address of network device '%s'", name);
	}
	mnl_socket_close(nl);
	return r;
}

int netns_move_device(const char *device, int netns, const char *name, struct err *e)
{
	struct addresses all = { .index = if_nametoindex(device) };
	auto_fd int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int r;

	if (!all.index)
		return err_set(e, errno, "there is no network device '%s'", device);
	if (own < 0)
		return err_set(e, errno, "cannot open the network namespace");
	if (send_device(device, netns, name, &all, e) < 0)
		return -1;
	if (setns(netns, CLONE_NEWNET) < 0)
		return err_set(e, errno, "cannot enter the container's network namespace");
	r = receive_device(name, &all, e);
	if (netns_return(own, e) < 0)
		return -1;
	return r < 0 ? -1 : 0;
}

int netns_has_filters(int netns, struct err *e)
{
	auto_fd int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int r;

	if (own < 0 || setns(netns, CLONE_NEWNET) < 0)
		return err_set(e, errno, "cannot enter the container's network namespace");
	r = nft_has_rules(e);
	return netns_return(own, e) < 0 ? -1 : r;
}
