/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conntrack.c - what the kernel remembers of datagrams. Whoever goes on sending to a published port is sent where its first one
 * went, for as long as it does not pause: to an instance that is gone, or past one that has come since. TCP asks again by itself.
 */
#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <libmnl/libmnl.h>
#include <string.h>
#include <sys/socket.h>

#include "netns/conntrack.h"
#include "netns/nl.h"
#include "runtime/base/err.h"

/* Which members of a tuple are looked at: CTA_FILTER_F_* of the kernel's net/netfilter/nf_internals.h. */
#define LOOK_AT_IP_SRC	 (1u << 0)
#define LOOK_AT_PROTO	 (1u << 3)
#define LOOK_AT_DST_PORT (1u << 5)

/*
 * Deletes what the tuple matches, where the kernel does so by parts of one (6.8); an older one looks for the whole tuple, and
 * finds none.
 */
static void forget(uint8_t family, uint16_t tuple, const void *source, uint16_t port)
{
	uint32_t look = LOOK_AT_PROTO | (source ? LOOK_AT_IP_SRC : 0) |
			(port ? LOOK_AT_DST_PORT : 0);
	struct nlattr *nest, *part;
	struct nfgenmsg *m;
	struct nlmsghdr *h;
	struct err ignored;
	struct nl nl;

	if (nl_open(&nl, NETLINK_NETFILTER, &ignored) < 0)
		return;
	h = nl_add(&nl, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, NLM_F_ACK, sizeof(*m),
		   &m);
	m->nfgen_family = family;
	nest = mnl_attr_nest_start(h, tuple);
	if (source) {
		part = mnl_attr_nest_start(h, CTA_TUPLE_IP);
		mnl_attr_put(h, family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC,
			     family == AF_INET ? 4 : 16, source);
		mnl_attr_nest_end(h, part);
	}
	part = mnl_attr_nest_start(h, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(h, CTA_PROTO_NUM, IPPROTO_UDP);
	if (port)
		mnl_attr_put_u16(h, CTA_PROTO_DST_PORT, htons(port));
	mnl_attr_nest_end(h, part);
	mnl_attr_nest_end(h, nest);
	part = mnl_attr_nest_start(h, CTA_FILTER);
	mnl_attr_put_u32(
		h, tuple == CTA_TUPLE_ORIG ? CTA_FILTER_ORIG_FLAGS : CTA_FILTER_REPLY_FLAGS, look);
	mnl_attr_nest_end(h, part);
	nl_end(&nl, h);
	(void)nl_send(&nl, NULL, &ignored);
	nl_close(&nl);
}

void conntrack_forget_port(uint16_t port)
{
	forget(AF_INET, CTA_TUPLE_ORIG, NULL, port);
	forget(AF_INET6, CTA_TUPLE_ORIG, NULL, port);
}

void conntrack_forget_answers(int family, const void *ip)
{
	forget((uint8_t)family, CTA_TUPLE_REPLY, ip, 0);
}
