/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/nl.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <signal.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "netns/netns.h"
#include "runtime/base/err.h"

/*
 * Closing a socket of netfilter waits, some 10 ms, until what all changes of nftables have left is freed, whoever made them (Linux
 * 6.18, nft_rcv_nl_event()). So the one that a change was made by is kept, for the network namespace that it is of, and its end left
 * to net_leave().
 */
static struct mnl_socket *kept;
static ino_t kept_of;

/* 0: not known. */
static ino_t own_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? st.st_ino : 0;
}

/* What is left of answers is thrown away: the kernel has given them all before it took the last request. */
static struct mnl_socket *take_kept(void)
{
	struct mnl_socket *sock = kept;
	char answer[256];
	int failed = 0;

	if (!sock || kept_of != own_namespace())
		return NULL;
	kept = NULL;
	while (recv(mnl_socket_get_fd(sock), answer, sizeof(answer), MSG_DONTWAIT) >= 0 ||
	       (errno != EAGAIN && ++failed < 100))
		; /* one that was left would be taken for the answer to what is asked next */
	return sock;
}

int nl_open(struct nl *nl, int bus, struct err *e)
{
	int one = 1, fd;

	nl->len = nl->n = 0;
	nl->full = 0;
	nl->changes = 0;
	nl->sock = bus == NETLINK_NETFILTER ? take_kept() : NULL;
	if (nl->sock) {
		nl->changes = 1;
		return 0;
	}
	nl->sock = mnl_socket_open2(bus, SOCK_CLOEXEC);
	if (!nl->sock)
		return err_set(e, errno, "cannot open a netlink socket");
	fd = mnl_socket_get_fd(nl->sock);
	/* the kernel's own words for a failure (4.12), and answers without the request; that older ones cannot is no harm */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	return 0;
}

void nl_close(struct nl *nl)
{
	if (nl->sock && nl->changes && !kept && (kept_of = own_namespace()))
		kept = nl->sock;
	else if (nl->sock)
		mnl_socket_close(nl->sock);
	nl->sock = NULL;
}

void net_leave(void)
{
	pid_t parent;
	unsigned fd;

	if (!kept)
		return;
	parent = getpid();
	if (fork() != 0) /* if that cannot be, the end takes its time */
		return;
	/* it dies when its parent has, and with it the last descriptor of the socket */
	fd = (unsigned)mnl_socket_get_fd(kept);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
	    (fd && syscall(SYS_close_range, 0, fd - 1, 0) < 0) ||
	    syscall(SYS_close_range, fd + 1, ~0u, 0) < 0)
		_exit(0);
	for (;;)
		pause();
}

struct nlmsghdr *nl_add(struct nl *nl, uint16_t type, uint16_t flags, size_t extra, void *body)
{
	struct nlmsghdr *h;

	if (nl->len + 4096 > NL_ROOM) { /* no request of ours is larger; nl_send() reports it */
		nl->full = 1;
		nl->len = 0;
	}
	h = mnl_nlmsg_put_header(nl->buf + nl->len);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = nl->n + 1;
	*(void **)body = mnl_nlmsg_put_extra_header(h, extra);
	return h;
}

void nl_end(struct nl *nl, struct nlmsghdr *h)
{
	nl->len += MNL_ALIGN(h->nlmsg_len);
	if (h->nlmsg_flags & NLM_F_ACK)
		nl->n++;
}

/* "...: the kernel's words" */
static void add_words(const struct nlmsghdr *h, struct err *e)
{
	const struct nlmsgerr *failure = mnl_nlmsg_get_payload(h);
	size_t skip = sizeof(*failure);
	const struct nlattr *a;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		skip += MNL_ALIGN(failure->msg.nlmsg_len) - sizeof(failure->msg);
	if (skip > mnl_nlmsg_get_payload_len(h))
		return;
	mnl_attr_for_each(a, h, skip)
	{
		if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG &&
		    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
			(void)err_set(e, e->code, "%s", mnl_attr_get_str(a));
	}
}

int nl_send(struct nl *nl, unsigned *which, struct err *e)
{
	_Alignas(struct nlmsghdr) char answer[16384];
	unsigned waiting = nl->n;
	int rc = 0;

	if (nl->full)
		return err_set(e, EMSGSIZE, "too many netlink requests at once");
	if (nl->len && mnl_socket_sendto(nl->sock, nl->buf, nl->len) < 0)
		rc = err_set(e, errno, "cannot ask the kernel");
	nl->len = nl->n = 0;
	while (rc == 0 && waiting) {
		ssize_t n = recv(mnl_socket_get_fd(nl->sock), answer, sizeof(answer), 0);
		const struct nlmsghdr *h = (const struct nlmsghdr *)answer;
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "cannot hear the kernel");
		for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			const struct nlmsgerr *failure = mnl_nlmsg_get_payload(h);

			if (h->nlmsg_type != NLMSG_ERROR)
				continue;
			if (waiting)
				waiting--;
			if (!failure->error || rc < 0)
				continue;
			rc = err_set(e, -failure->error, "refused");
			if (which)
				*which = h->nlmsg_seq - 1;
			add_words(h, e);
			if (!h->nlmsg_seq) /* of a batch as a whole: no more answers */
				waiting = 0;
		}
	}
	return rc;
}

void nl_address(struct nl *nl, unsigned index, int family, const void *ip, size_t len,
		unsigned prefix, uint8_t scope)
{
	struct ifaddrmsg *m;
	struct nlmsghdr *h =
		nl_add(nl, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, sizeof(*m), &m);

	m->ifa_family = (uint8_t)family;
	m->ifa_prefixlen = (uint8_t)prefix;
	m->ifa_scope = scope;
	m->ifa_index = index;
	m->ifa_flags = IFA_F_PERMANENT | (family == AF_INET6 ? IFA_F_NODAD : 0);
	mnl_attr_put(h, IFA_LOCAL, len, ip);
	mnl_attr_put(h, IFA_ADDRESS, len, ip);
	nl_end(nl, h);
}

int nl_link(const char *name, int (*see)(const struct nlmsghdr *h, void *arg), void *arg,
	    struct err *e)
{
	_Alignas(struct nlmsghdr) char answer[16384];
	struct ifinfomsg *body;
	struct nlmsghdr *h;
	struct nl nl;
	ssize_t n = -1;
	int rc = -1;

	if (nl_open(&nl, NETLINK_ROUTE, e) < 0)
		return -1;
	h = nl_add(&nl, RTM_GETLINK, 0, sizeof(*body), &body);
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	nl_end(&nl, h);
	if (mnl_socket_sendto(nl.sock, nl.buf, nl.len) >= 0)
		n = mnl_socket_recvfrom(nl.sock, answer, sizeof(answer));
	if (n > 0)
		rc = mnl_cb_run(answer, (size_t)n, 0, 0, see, arg);
	if (rc < 0)
		err_set(e, errno, "cannot look at link '%s'", name);
	nl_close(&nl);
	return rc < 0 ? -1 : 0;
}
