/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/nft.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netns/netns.h"
#include "netns/nl.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"

#define PER_BATCH    100	/* elements in one request */
#define NFT_SAYS_MAX (4u << 20) /* bytes that are kept of it */

static void put_data(struct nlmsghdr *h, uint16_t type, const void *value, size_t len)
{
	struct nlattr *nest = mnl_attr_nest_start(h, type);

	mnl_attr_put(h, NFTA_DATA_VALUE, len, value);
	mnl_attr_nest_end(h, nest);
}

static void put_jump(struct nlmsghdr *h, uint16_t type, const char *chain)
{
	struct nlattr *data = mnl_attr_nest_start(h, type);
	struct nlattr *verdict = mnl_attr_nest_start(h, NFTA_DATA_VERDICT);

	mnl_attr_put_u32(h, NFTA_VERDICT_CODE, htonl((uint32_t)NFT_JUMP));
	mnl_attr_put_strz(h, NFTA_VERDICT_CHAIN, chain);
	mnl_attr_nest_end(h, verdict);
	mnl_attr_nest_end(h, data);
}

static void put_border(struct nl *nl, uint16_t type)
{
	struct nfgenmsg *m;
	struct nlmsghdr *h = nl_add(nl, type, 0, sizeof(*m), &m);

	m->res_id = htons(NFNL_SUBSYS_NFTABLES);
	nl_end(nl, h);
}

static struct nlmsghdr *begin(struct nl *nl, unsigned what, uint16_t flags, const char *table,
			      const struct nft_element *el, struct nlattr **list)
{
	struct nfgenmsg *m;
	struct nlmsghdr *h =
		nl_add(nl, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | what), flags, sizeof(*m), &m);

	m->nfgen_family = el->family;
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, table);
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, el->set);
	*list = mnl_attr_nest_start(h, NFTA_SET_ELEM_LIST_ELEMENTS);
	return h;
}

static void put_element(struct nlmsghdr *h, const struct nft_element *el, bool with_data)
{
	struct nlattr *nest = mnl_attr_nest_start(h, NFTA_LIST_ELEM);

	put_data(h, NFTA_SET_ELEM_KEY, el->key, el->key_len);
	if (with_data && el->chain)
		put_jump(h, NFTA_SET_ELEM_DATA, el->chain);
	else if (with_data && el->data_len)
		put_data(h, NFTA_SET_ELEM_DATA, el->data, el->data_len);
	mnl_attr_nest_end(h, nest);
}

/* One transaction, one request for each element, so that the kernel says which it refuses. */
static int transact(unsigned what, uint16_t flags, const char *table,
		    const struct nft_element *list, size_t n, size_t *which, struct err *e)
{
	struct nl nl;
	unsigned bad = 0;
	int rc;

	if (nl_open(&nl, NETLINK_NETFILTER, e) < 0)
		return -1;
	nl.changes = 1;
	put_border(&nl, NFNL_MSG_BATCH_BEGIN);
	for (size_t i = 0; i < n; i++) {
		struct nlattr *elements;
		struct nlmsghdr *h =
			begin(&nl, what, NLM_F_ACK | flags, table, &list[i], &elements);

		put_element(h, &list[i], what == NFT_MSG_NEWSETELEM);
		mnl_attr_nest_end(h, elements);
		nl_end(&nl, h);
	}
	put_border(&nl, NFNL_MSG_BATCH_END);
	rc = nl_send(&nl, &bad, e);
	nl_close(&nl);
	if (rc < 0 && which)
		*which = bad < n ? bad : 0;
	return rc;
}

int nft_add(const char *table, const struct nft_element *list, size_t n, size_t *which,
	    struct err *e)
{
	/* more than fit into one batch are ports of a range: a part that is added is undone by the journal */
	for (size_t at = 0; at < n; at += PER_BATCH) {
		size_t part = n - at < PER_BATCH ? n - at : PER_BATCH, bad = 0;

		if (transact(NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, table, list + at, part,
			     &bad, e) < 0) {
			if (which)
				*which = at + bad;
			if (e->code == EEXIST)
				return err_set(e, ERR_EXISTS, "it is there already");
			return -1;
		}
	}
	return 0;
}

/* ---- looking at one ---- */

struct wanted {
	const struct nft_element *element;
	bool found, same;
};

static int compare_data(const struct nlattr *data, struct wanted *w)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, data)
	{
		if (mnl_attr_get_type(a) == NFTA_DATA_VALUE)
			w->same = mnl_attr_get_payload_len(a) == w->element->data_len &&
				  memcmp(mnl_attr_get_payload(a), w->element->data,
					 w->element->data_len) == 0;
	}
	return MNL_CB_OK;
}

static int see_element(const struct nlmsghdr *h, void *arg)
{
	struct wanted *w = arg;
	const struct nlattr *a, *el, *part;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(el, a)
		{
			w->found = true;
			mnl_attr_for_each_nested(part, el)
			{
				if (mnl_attr_get_type(part) == NFTA_SET_ELEM_DATA)
					(void)compare_data(part, w);
			}
		}
	}
	return MNL_CB_OK;
}

/* 1: it is there, and *w says more; 0: it is not; -1 and *e: that cannot be told. */
static int look(const char *table, const struct nft_element *el, struct wanted *w, struct err *e)
{
	_Alignas(struct nlmsghdr) char answer[8192];
	struct nlattr *elements;
	struct nlmsghdr *h;
	ssize_t n = -1;
	struct nl nl;
	int r = -1;

	if (nl_open(&nl, NETLINK_NETFILTER, e) < 0)
		return -1;
	h = begin(&nl, NFT_MSG_GETSETELEM, NLM_F_ACK, table, el, &elements);
	put_element(h, el, false);
	mnl_attr_nest_end(h, elements);
	nl_end(&nl, h);
	if (mnl_socket_sendto(nl.sock, nl.buf, nl.len) >= 0)
		n = recv(mnl_socket_get_fd(nl.sock), answer, sizeof(answer), 0);
	if (n > 0)
		r = mnl_cb_run(answer, (size_t)n, 0, 0, see_element, w);
	if (r < 0 && errno != ENOENT)
		err_set(e, errno, "cannot look into '%s' of the rules", el->set);
	else
		r = w->found;
	nl_close(&nl);
	return r;
}

int nft_has(const char *table, const struct nft_element *el, struct err *e)
{
	struct wanted w = { el, false, false };

	return look(table, el, &w, e);
}

/*
 * Whether the map holds exactly this. The kernel does not compare when it removes: what has our key and another's value would be
 * lost.
 */
static int is_ours(const char *table, const struct nft_element *el, struct err *e)
{
	struct wanted w = { el, false, false };
	int r = el->data_len ? look(table, el, &w, e) : 1;

	return r > 0 && el->data_len ? w.same : r;
}

/* In one transaction, unless one of them is not there. */
static int remove_all(const char *table, const struct nft_element *list, size_t n, struct err *e)
{
	int rc = 0;

	if (n <= PER_BATCH && transact(NFT_MSG_DELSETELEM, 0, table, list, n, NULL, e) == 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		struct err one;

		if (transact(NFT_MSG_DELSETELEM, 0, table, &list[i], 1, NULL, &one) < 0 &&
		    one.code != ENOENT) {
			*e = one;
			rc = err_in(e, "cannot take an element out of '%s'", list[i].set);
		}
	}
	return rc;
}

int nft_remove(const char *table, const struct nft_element *list, size_t n, struct err *e)
{
	auto_free struct nft_element *own = reallocarray(NULL, n + 1, sizeof(*own));
	size_t count = 0;
	int rc = 0;

	if (!own)
		return err_set(e, ENOMEM, "rules");
	for (size_t i = 0; i < n; i++) {
		int ours = is_ours(table, &list[i], e);

		if (ours < 0)
			rc = err_in(e, "cannot take an element out of '%s'", list[i].set);
		else if (ours)
			own[count++] = list[i];
	}
	return remove_all(table, own, count, e) < 0 ? -1 : rc;
}

/* ---- tables of one device ---- */

static struct nlmsghdr *table_message(struct nl *nl, unsigned what, const char *name)
{
	struct nfgenmsg *m;
	struct nlmsghdr *h =
		nl_add(nl, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | what), NLM_F_ACK, sizeof(*m), &m);

	m->nfgen_family = NFPROTO_NETDEV;
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, name);
	return h;
}

int nft_has_table(const char *name, struct err *e)
{
	struct nl nl;
	int rc;

	if (nl_open(&nl, NETLINK_NETFILTER, e) < 0)
		return -1;
	nl_end(&nl, table_message(&nl, NFT_MSG_GETTABLE, name));
	rc = nl_send(&nl, NULL, e);
	nl_close(&nl);
	return rc == 0 ? 1 : e->code == ENOENT ? 0 : -1;
}

static int see_rule(const struct nlmsghdr *h, void *arg)
{
	const struct nfgenmsg *m = mnl_nlmsg_get_payload(h);
	bool *found = arg;

	/* those of the netdev family are ours: rates and firewalls of its own interfaces */
	*found |= h->nlmsg_len >= mnl_nlmsg_size(sizeof(*m)) && m->nfgen_family != NFPROTO_NETDEV;
	return MNL_CB_OK;
}

int nft_has_rules(struct err *e)
{
	char answer[NL_ROOM];
	struct nfgenmsg *m;
	bool found = false;
	struct nl nl;
	int rc = -1;

	if (nl_open(&nl, NETLINK_NETFILTER, e) < 0)
		return -1;
	nl_end(&nl, nl_add(&nl, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE, NLM_F_DUMP, sizeof(*m),
			   &m));
	if (mnl_socket_sendto(nl.sock, nl.buf, nl.len) >= 0)
		do {
			ssize_t n = mnl_socket_recvfrom(nl.sock, answer, sizeof(answer));

			rc = n < 0 ? -1 : mnl_cb_run(answer, (size_t)n, 0, 0, see_rule, &found);
		} while (rc > MNL_CB_STOP);
	if (rc < 0)
		err_set(e, errno, "cannot ask for the rules of netfilter");
	nl_close(&nl);
	return rc < 0 ? -1 : found;
}

int nft_remove_table(const char *name, struct err *e)
{
	struct nl nl;
	int rc;

	if (nl_open(&nl, NETLINK_NETFILTER, e) < 0)
		return -1;
	nl.changes = 1;
	put_border(&nl, NFNL_MSG_BATCH_BEGIN);
	nl_end(&nl, table_message(&nl, NFT_MSG_DELTABLE, name));
	put_border(&nl, NFNL_MSG_BATCH_END);
	rc = nl_send(&nl, NULL, e);
	nl_close(&nl);
	return rc < 0 && e->code != ENOENT ? err_in(e, "cannot remove table '%s'", name) : 0;
}

/* ---- as text ---- */

static void add_hex(struct str *out, const uint8_t *v, size_t len)
{
	for (size_t i = 0; i < len; i++)
		str_addf(out, "%02x", v[i]);
}

void nft_write(const char *table, const struct nft_element *list, size_t n, struct str *out)
{
	for (size_t i = 0; i < n; i++) {
		str_addf(out, "nft %s %u %s ", table, list[i].family, list[i].set);
		add_hex(out, list[i].key, list[i].key_len);
		if (list[i].chain)
			str_addf(out, " >%s", list[i].chain);
		else if (list[i].data_len) {
			str_add(out, " ");
			add_hex(out, list[i].data, list[i].data_len);
		}
		str_add(out, "\n");
	}
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_hex(const char *text, uint8_t *out, size_t size, uint8_t *len)
{
	size_t n = strlen(text);

	if (!n || n % 2 || n / 2 > size)
		return -1;
	for (size_t i = 0; i < n; i += 2) {
		int hi = hex_digit(text[i]), lo = hex_digit(text[i + 1]);

		if (hi < 0 || lo < 0)
			return -1;
		out[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	*len = (uint8_t)(n / 2);
	return 0;
}

int nft_read(const char *line, struct nft_room *room, struct nft_element *out, struct err *e)
{
	char key[82] = "", data[82] = "";
	struct nft_element el = { .set = room->set };
	unsigned family = 0;
	int n = sscanf(line, "nft %15[a-z0-9_] %3u %23[a-z0-9] %81[0-9a-f] %81[>a-z0-9]",
		       room->table, &family, room->set, key, data);

	if (n < 4 || (family != NFPROTO_INET && family != NFPROTO_BRIDGE) ||
	    read_hex(key, el.key, sizeof(el.key), &el.key_len) < 0)
		return err_set(e, ERR_INVALID, "the line '%.200s' makes no sense", line);
	el.family = (uint8_t)family;
	if (n == 5 && *data == '>') {
		if (strlen(data) < 2 || strlen(data + 1) >= sizeof(room->chain))
			return err_set(e, ERR_INVALID, "the line '%.200s' makes no sense", line);
		strcpy(room->chain, data + 1);
		el.chain = room->chain;
	} else if (n == 5 && read_hex(data, el.data, sizeof(el.data), &el.data_len) < 0) {
		return err_set(e, ERR_INVALID, "the line '%.200s' makes no sense", line);
	}
	*out = el;
	return 0;
}

/* ---- rules ---- */

/* All that comes, or its first @max bytes; the rest is read and dropped, or the other end would wait. */
static void read_all(int fd, size_t max, struct str *out)
{
	char part[4096];
	ssize_t n;

	while ((n = read(fd, part, sizeof(part))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && out->len < max)
			str_addf(out, "%.*s", (int)n, part);
}

/* Runs nft(8) with these words, @text as its standard input (NULL: none); what it says goes to *out. */
static int run_nft(char *const argv[], const char *text, struct str *out, struct err *e)
{
	auto_fd int memory = memfd_create("rules", MFD_CLOEXEC);
	size_t len = text ? strlen(text) : 0;
	int said[2], status;
	pid_t pid;

	if (memory < 0 || (len && write(memory, text, len) != (ssize_t)len) ||
	    lseek(memory, 0, SEEK_SET) < 0 || pipe2(said, O_CLOEXEC) < 0)
		return err_set(e, errno, "cannot pass rules to nft");
	(void)fflush(NULL); /* or the child could write it again */
	pid = fork();
	if (pid == 0) {
		if (dup2(memory, 0) < 0 || dup2(said[1], 1) < 0 || dup2(said[1], 2) < 0)
			_exit(126);
		execvp("nft", argv);
		execv("/usr/sbin/nft", argv);
		_exit(127);
	}
	close(said[1]);
	if (pid > 0)
		read_all(said[0], NFT_SAYS_MAX, out);
	close(said[0]);
	if (pid < 0)
		return err_set(e, errno, "cannot run nft");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(e, errno, "cannot run nft");
	if (out->failed)
		return err_set(e, ENOMEM, "nft");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(
			e, ERR_NOT_SUPPORTED,
			"networks need nft, which is not installed (Debian: apt install nftables); "
			"'--net none' and '--net host' do without");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return err_set(e, ERR_INVALID, "nft refuses: %.*s",
			       (int)strcspn(str_text(out), "\n"), str_text(out));
	return 0;
}

int nft_load(const char *text, struct err *e)
{
	char *argv[] = { "nft", "-f", "-", NULL };
	auto_str struct str said = { 0 };

	return run_nft(argv, text, &said, e);
}

int nft_list_table(const char *name, struct str *out, struct err *e)
{
	char *argv[] = { "nft", "-j", "list", "table", "netdev", (char *)(uintptr_t)name, NULL };

	return run_nft(argv, NULL, out, e);
}
