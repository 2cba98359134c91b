/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>

#include "netns/netns.h"
#include "runtime/base/err.h"

#define LOOPBACK_INDEX 1 /* of every network namespace: lo is registered first */

/*
 * Sends one request. The kernel works it off before sendto(2) returns (rtnetlink_rcv), and without NLM_F_ACK answers
 * only if it failed: so an empty queue is success, and neither a bound address nor a wait is needed.
 */
static int request_now(struct mnl_socket *nl, struct nlmsghdr *request, struct err *e)
{
	union {
		struct nlmsghdr header;
		char room[1024];
	} answer;
	const struct nlmsgerr *failure;
	ssize_t n;

	request->nlmsg_flags |= NLM_F_REQUEST;
	if (mnl_socket_sendto(nl, request, request->nlmsg_len) < 0)
		return err_set(e, errno, "cannot ask rtnetlink");
	n = recv(mnl_socket_get_fd(nl), &answer, sizeof(answer), MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN ? 0 : err_set(e, errno, "cannot hear rtnetlink");
	failure = mnl_nlmsg_get_payload(&answer.header);
	if ((size_t)n < NLMSG_LENGTH(sizeof(*failure)) || answer.header.nlmsg_type != NLMSG_ERROR)
		return err_set(e, EPROTO, "rtnetlink answered something else");
	return failure->error ? err_set(e, -failure->error, "rtnetlink refused") : 0;
}

int netns_loopback_up(struct err *e)
{
	_Alignas(struct nlmsghdr) char buf[256];
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *link;
	int r;

	if (!nl)
		return err_set(e, errno, "cannot open an rtnetlink socket");
	request->nlmsg_type = RTM_NEWLINK;
	link = mnl_nlmsg_put_extra_header(request, sizeof(*link));
	link->ifi_family = AF_UNSPEC;
	link->ifi_index = LOOPBACK_INDEX;
	link->ifi_flags = link->ifi_change = IFF_UP;
	r = request_now(nl, request, e);
	mnl_socket_close(nl);
	return r < 0 ? err_in(e, "cannot bring up the loopback interface") : 0;
}

int netns_return(int own, struct err *e)
{
	for (int tries = 0; tries < 100; tries++) {
		if (setns(own, CLONE_NEWNET) == 0)
			return 0;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	return err_set(e, errno, "cannot return to the network namespace");
}
