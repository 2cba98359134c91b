/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nl.h - netlink requests in batches, through libmnl.
 */
#ifndef CTR_NETNS_NL_H
#define CTR_NETNS_NL_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct mnl_socket;
struct nlmsghdr;

#define NL_ROOM 32768

/* Requests that are sent together, each with an acknowledgement. */
struct nl {
	struct mnl_socket *sock;
	size_t len;
	unsigned n;  /* requests that will be answered */
	int full;    /* something did not fit */
	int changes; /* the rules of netfilter: set by who does so */
	_Alignas(8) char buf[NL_ROOM];
};

/* Opens a socket of the netlink family @bus (NETLINK_ROUTE, ...) in the caller's network namespace. */
int nl_open(struct nl *nl, int bus, struct err *e);
void nl_close(struct nl *nl);

/* Begins the next request: its header, with NLM_F_REQUEST and @flags, and @extra bytes behind it, zeroed, at *@body. */
struct nlmsghdr *nl_add(struct nl *nl, uint16_t type, uint16_t flags, size_t extra, void *body);

/* Ends it: its length is known now. */
void nl_end(struct nl *nl, struct nlmsghdr *h);

/*
 * Sends all and reads the answers; the batch is empty then. 0, or -1 and *e with the kernel's words for the first failure, whose
 * place among the requests, from 0 on, is *@which (may be NULL).
 */
int nl_send(struct nl *nl, unsigned *which, struct err *e);

/* A request: the permanent address @ip of @len bytes for link @index, without a search for others that have it. */
void nl_address(struct nl *nl, unsigned index, int family, const void *ip, size_t len,
		unsigned prefix, uint8_t scope);

/* Calls @see with what the kernel says of the link @name of the caller's network namespace. 0, or -1 and *e. */
int nl_link(const char *name, int (*see)(const struct nlmsghdr *h, void *arg), void *arg,
	    struct err *e);

#endif
