/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

#include "netns/netns.h"
#include "runtime/base/err.h"

#define LOOPBACK_INDEX 1 /* of every network namespace: lo is registered first */

/* Sends one request and reads its acknowledgement. */
static int transact(struct mnl_socket *nl, struct nlmsghdr *request, struct err *e)
{
	char buf[1024];
	ssize_t n;

	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	request->nlmsg_seq = 1;
	if (mnl_socket_sendto(nl, request, request->nlmsg_len) < 0)
		return err_set(e, errno, "cannot ask rtnetlink");
	n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	if (n < 0 || mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(nl), NULL, NULL) < 0)
		return err_set(e, errno, "rtnetlink refused");
	return 0;
}

int netns_loopback_up(struct err *e)
{
	char buf[256];
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *link;
	int r;

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		err_set(e, errno, "cannot open an rtnetlink socket");
		if (nl)
			mnl_socket_close(nl);
		return -1;
	}
	request->nlmsg_type = RTM_NEWLINK;
	link = mnl_nlmsg_put_extra_header(request, sizeof(*link));
	link->ifi_family = AF_UNSPEC;
	link->ifi_index = LOOPBACK_INDEX;
	link->ifi_flags = link->ifi_change = IFF_UP;
	r = transact(nl, request, e);
	mnl_socket_close(nl);
	return r < 0 ? err_in(e, "cannot bring up the loopback interface") : 0;
}
