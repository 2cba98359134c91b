/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.c - what may pass an interface, and how fast: a table of its own at the host's end of the link, in the hooks of
 * that device alone (`table netdev`; the way to an instance needs Linux 5.16), so that instances without rules pay nothing.
 *
 * There all is seen that comes or goes: from the world, the host, and neighbours on the same bridge. Connection tracking
 * is not there yet, and on the way between two ports never is: what TCP sends that opens no connection may pass, as any
 * stateless filter has it, and the answers to datagrams are known by a set that forgets them after three minutes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns/netns.h"
#include "netns/nft.h"
#include "netns/nl.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"

#define WORDS_MAX 8
#define RATE_MIN  8000u		   /* bits a second: less passes no full packet in a second */
#define RATE_MAX  1000000000000ull /* beyond what a link of two ends in memory carries */
#define BURST_MIN 65536u	   /* one segment as the kernel hands it on, not cut up yet */
#define LINK_TYPE_ETHERNET \
	1 /* TC_LINKLAYER_ETHERNET: lengths are what they are, no table of them */

/* ---- rules in words ---- */

static const struct {
	const char *name, *match;
	uint8_t number;
	bool ports;
} protocols[] = {
	{ "tcp", "meta l4proto tcp", IPPROTO_TCP, true },
	{ "udp", "meta l4proto udp", IPPROTO_UDP, true },
	{ "sctp", "meta l4proto sctp", IPPROTO_SCTP, true },
	{ "icmp", "meta l4proto { icmp, ipv6-icmp }", IPPROTO_ICMP, false },
	{ "any", "", 0, false },
};

#define N_PROTOCOLS (sizeof(protocols) / sizeof(*protocols))

/* "any", "80", "8000-8010" */
static int parse_ports(const char *text, struct fw_rule *r)
{
	char first[8];
	size_t len = strcspn(text, "-");
	uint64_t a, b;

	if (streq(text, "any"))
		return 0;
	if (len >= sizeof(first))
		return -1;
	memcpy(first, text, len);
	first[len] = '\0';
	if (parse_u64(first, 1, 65535, &a) < 0 ||
	    parse_u64(text[len] ? text + len + 1 : first, a, 65535, &b) < 0)
		return -1;
	r->first = (uint16_t)a;
	r->last = (uint16_t)b;
	return 0;
}

/* "ADDRESS[/BITS]" */
static int parse_peer(const char *text, struct fw_rule *r)
{
	char ip[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "/");
	uint64_t bits;

	if (len >= sizeof(ip))
		return -1;
	memcpy(ip, text, len);
	ip[len] = '\0';
	r->family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	bits = r->family == AF_INET ? 32 : 128;
	if (inet_pton(r->family, ip, r->peer) != 1 ||
	    (text[len] && parse_u64(text + len + 1, 0, bits, &bits) < 0))
		return -1;
	r->bits = (unsigned)bits;
	return 0;
}

static int read_words(char *text, char *words[WORDS_MAX + 1])
{
	int n = 0;
	char *rest;

	for (char *w = strtok_r(text, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
		if (n == WORDS_MAX)
			return -1;
		words[n++] = w;
	}
	words[n] = NULL;
	return n;
}

static int read_word(const char *word, const char *yes, const char *no, bool *out)
{
	*out = word && streq(word, yes);
	return *out || (word && streq(word, no)) ? 0 : -1;
}

int fw_parse(const char *text, struct fw_rule *out, struct err *e)
{
	struct fw_rule r = { .policy = false };
	char copy[160], *words[WORDS_MAX + 1] = { NULL }, **w = words;
	size_t p = 0;

	if (strlen(text) >= sizeof(copy))
		goto wrong;
	strcpy(copy, text);
	if (read_words(copy, words) < 3)
		goto wrong;
	r.policy = streq(*w, "default");
	w += r.policy;
	if (read_word(*w++, "allow", "deny", &r.allow) < 0 ||
	    read_word(*w++, "in", "out", &r.in) < 0)
		goto wrong;
	if (r.policy) {
		if (*w)
			goto wrong;
		*out = r;
		return 0;
	}
	while (p < N_PROTOCOLS && !(*w && streq(*w, protocols[p].name)))
		p++;
	if (p == N_PROTOCOLS)
		goto wrong;
	w++;
	r.protocol = protocols[p].number;
	if (protocols[p].ports && (!*w || parse_ports(*w++, &r) < 0))
		goto wrong;
	if (*w && (!streq(*w, r.in ? "from" : "to") || !w[1] || parse_peer(w[1], &r) < 0 || w[2]))
		goto wrong;
	*out = r;
	return 0;
wrong:
	return err_set(
		e, ERR_INVALID,
		"'%.100s' is neither 'allow|deny in|out tcp|udp|sctp PORT[-PORT]|any', "
		"'allow|deny in|out icmp|any', both with 'from ADDRESS[/BITS]' (in) or 'to ...' (out), "
		"nor 'default allow|deny in|out'",
		text);
}

/* "100M": bits a second, in thousands. */
static int parse_bits_rate(const char *text, size_t len, uint64_t *out)
{
	static const char units[] = "KMG";
	char digits[24];
	const char *unit;
	uint64_t scale = 1;

	if (!len || len >= sizeof(digits))
		return -1;
	memcpy(digits, text, len);
	digits[len] = '\0';
	unit = strchr(units, digits[len - 1] >= 'a' ? digits[len - 1] - 32 : digits[len - 1]);
	if (unit && *unit) {
		digits[len - 1] = '\0';
		for (const char *u = units; u <= unit; u++)
			scale *= 1000;
	}
	if (parse_u64(digits, 1, RATE_MAX / scale, out) < 0 || *out * scale < RATE_MIN)
		return -1;
	*out *= scale;
	return 0;
}

int net_rate_parse(const char *text, struct net_rate *out, struct err *e)
{
	size_t len = strcspn(text, "/");
	struct net_rate r;

	if (parse_bits_rate(text, len, &r.down) < 0)
		goto wrong;
	r.up = r.down;
	if (text[len] && parse_bits_rate(text + len + 1, strlen(text + len + 1), &r.up) < 0)
		goto wrong;
	*out = r;
	return 0;
wrong:
	return err_set(e, ERR_INVALID,
		       "'%.60s' is not DOWN[/UP] in bits a second, such as 100M or 100M/20M", text);
}

/* ---- the table ---- */

void filter_table(const char *table, const char *link, char out[FILTER_TABLE_MAX])
{
	snprintf(out, FILTER_TABLE_MAX, "%s_%s", table, link);
}

void filter_journal(const char *table, const char *link, struct str *out)
{
	char name[FILTER_TABLE_MAX];

	filter_table(table, link, name);
	str_addf(out, "table %s\n", name);
}

/* The part of a table that is the same for all. %1$s: its name, %2$s: the device, %3$s and %4$s: what is done in the end. */
#define FRAME                                                                                   \
	"table netdev %1$s {\n"                                                                 \
	"	# who sent or was sent a datagram: the peer, the port inside, the peer's\n"           \
	"	set flows4 { type ipv4_addr . inet_proto . inet_service . inet_service; size 65535; " \
	"flags dynamic,timeout; timeout 3m; }\n"                                                \
	"	set flows6 { type ipv6_addr . inet_proto . inet_service . inet_service; size 65535; " \
	"flags dynamic,timeout; timeout 3m; }\n"                                                \
	"	chain pass_in { }\n"                                                                  \
	"	chain pass_out { }\n"                                                                 \
	"	chain in { type filter hook egress device \"%2$s\" priority 0; policy %3$s; }\n"      \
	"	chain out { type filter hook ingress device \"%2$s\" priority 0; policy %4$s; }\n"    \
	"}\n"                                                                                   \
	"flush chain netdev %1$s in\n"                                                          \
	"flush chain netdev %1$s out\n"                                                         \
	"flush chain netdev %1$s pass_in\n"                                                     \
	"flush chain netdev %1$s pass_out\n"                                                    \
	"table netdev %1$s {\n"                                                                 \
	"	chain pass_in {\n"                                                                    \
	"		meta l4proto != { udp, sctp } accept\n"                                              \
	"		update @flows4 { ip saddr . meta l4proto . th dport . th sport }\n"                  \
	"		update @flows6 { ip6 saddr . meta l4proto . th dport . th sport }\n"                 \
	"		accept\n"                                                                            \
	"	}\n"                                                                                  \
	"	chain pass_out {\n"                                                                   \
	"		meta l4proto != { udp, sctp } accept\n"                                              \
	"		update @flows4 { ip daddr . meta l4proto . th sport . th dport }\n"                  \
	"		update @flows6 { ip6 daddr . meta l4proto . th sport . th dport }\n"                 \
	"		accept\n"                                                                            \
	"	}\n"

/* What is no beginning of anything, either way: %1$s "in" or "out", %2$s the peer's address, %3$s and %4$s the ports inside and its. */
#define ANSWERS                                                                                            \
	"		meta protocol arp accept\n"                                                                     \
	"		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, echo-reply, destination-unreachable, "   \
	"packet-too-big, time-exceeded, parameter-problem } accept\n"                                      \
	"		icmp type { echo-reply, destination-unreachable, time-exceeded, parameter-problem } accept\n"   \
	"		ip frag-off & 0x1fff != 0 accept\n" /* worth nothing without the first part */     \
	"		frag frag-off != 0 accept\n"                                                                    \
	"		tcp flags & (syn | ack) != syn accept\n"                                                        \
	"		meta l4proto { udp, sctp } ip %2$s . meta l4proto . th %3$s . th %4$s @flows4 goto pass_%1$s\n" \
	"		meta l4proto { udp, sctp } ip6 %2$s . meta l4proto . th %3$s . th %4$s @flows6 goto pass_%1$s\n"

static void put_rule(struct str *out, const struct fw_rule *r, size_t number)
{
	char ip[INET6_ADDRSTRLEN];
	size_t p = 0;

	str_add(out, "\t\t");
	if (r->family)
		str_addf(out, "%s %s %s/%u ", r->family == AF_INET ? "ip" : "ip6",
			 r->in ? "saddr" : "daddr", inet_ntop(r->family, r->peer, ip, sizeof(ip)),
			 r->bits);
	while (protocols[p].number != r->protocol)
		p++;
	if (r->first)
		str_addf(out, "%s dport %u-%u ", protocols[p].name, r->first, r->last);
	else
		str_addf(out, "%s ", protocols[p].match);
	str_add(out, "counter ");
	if (r->allow)
		str_addf(out, "goto pass_%s", r->in ? "in" : "out");
	else
		str_add(out, "drop");
	str_addf(out, " comment \"%zu\"\n", number);
}

static void put_chain(struct str *out, const struct traffic *t, bool in, bool allow)
{
	uint64_t bytes = t->rate.up / 8, burst = bytes / 10;
	size_t number = 0;

	str_addf(out, "\tchain %s {\n", in ? "in" : "out");
	/* its own queue keeps to the rate; whoever may take that away meets this, a fiftieth above */
	if (!in && bytes)
		str_addf(
			out,
			"\t\tlimit rate over %llu bytes/second burst %llu bytes counter drop comment \"rate\"\n",
			(unsigned long long)(bytes + bytes / 50),
			(unsigned long long)(burst < 4 * BURST_MIN ? 4 * BURST_MIN :
					     burst > UINT32_MAX	   ? UINT32_MAX :
								     burst));
	if (t->rules && *t->rules) {
		str_addf(out, ANSWERS, in ? "in" : "out", in ? "saddr" : "daddr",
			 in ? "dport" : "sport", in ? "sport" : "dport");
		for (size_t i = 0; t->rules[i]; i++) {
			struct fw_rule r;
			struct err ignored;

			if (fw_parse(t->rules[i], &r, &ignored) < 0 || r.policy)
				continue;
			number++;
			if (r.in == in)
				put_rule(out, &r, number);
		}
		str_addf(out, "\t\tcounter %s%s comment \"default %s\"\n",
			 allow ? "goto pass_" : "drop",
			 !allow ? "" :
			 in	? "in" :
				  "out",
			 in ? "in" : "out");
	}
	str_add(out, "\t}\n");
}

bool fw_default(const char *const *rules, bool in)
{
	bool allow = true;

	for (; rules && *rules; rules++) {
		struct fw_rule r;
		struct err ignored;

		if (fw_parse(*rules, &r, &ignored) == 0 && r.policy && r.in == in)
			allow = r.allow;
	}
	return allow;
}

static int load_table(const char *name, const char *link, const struct traffic *t, struct err *e)
{
	bool in = fw_default(t->rules, true), out = fw_default(t->rules, false);
	auto_str struct str text = { 0 };

	str_addf(&text, FRAME, name, link, in ? "accept" : "drop", out ? "accept" : "drop");
	put_chain(&text, t, true, in);
	put_chain(&text, t, false, out);
	str_add(&text, "}\n");
	if (text.failed)
		return err_set(e, ENOMEM, "rules");
	return nft_load(str_text(&text), e);
}

/* ---- counters ---- */

static void add_count(const struct json *rule, struct filter_count *c)
{
	const struct json *list = json_get(rule, "expr");
	struct err ignored;

	for (const struct json *v = list ? list->first : NULL; v; v = v->next) {
		const struct json *counter = json_get(v, "counter");
		uint64_t packets = 0, bytes = 0;

		if (!counter ||
		    json_u64(json_get(counter, "packets"), 0, UINT64_MAX, &packets, &ignored) < 0 ||
		    json_u64(json_get(counter, "bytes"), 0, UINT64_MAX, &bytes, &ignored) < 0)
			continue;
		c->packets += packets;
		c->bytes += bytes;
	}
}

int filter_count(const char *table, const char *link, struct filter_count *rules, size_t n,
		 struct filter_count *in, struct filter_count *out, struct err *e)
{
	auto_arena struct arena *a = arena_new(16u << 20);
	auto_str struct str text = { 0 };
	char name[FILTER_TABLE_MAX];
	const struct json *doc, *list;

	filter_table(table, link, name);
	if (!a)
		return err_set(e, ENOMEM, "rules");
	if (nft_list_table(name, &text, e) < 0)
		return -1;
	doc = json_parse(a, str_text(&text), text.len, e);
	list = doc ? json_get(doc, "nftables") : NULL;
	if (!doc)
		return err_in(e, "what nft lists");
	for (const struct json *v = list ? list->first : NULL; v; v = v->next) {
		const struct json *rule = json_get(v, "rule");
		const char *comment = NULL;
		struct err ignored;
		uint64_t number;

		if (!rule || json_string(json_get(rule, "comment"), &comment, &ignored) < 0 ||
		    !comment)
			continue;
		if (streq(comment, "default in"))
			add_count(rule, in);
		else if (streq(comment, "default out"))
			add_count(rule, out);
		else if (parse_u64(comment, 1, n, &number) == 0)
			add_count(rule, &rules[number - 1]);
	}
	return 0;
}

/* ---- rates ---- */

/* A queue that lets @rate bits a second out of the device (tc-tbf(8)): 50 ms of it may wait. 0: no such queue. */
static int set_rate(unsigned index, uint64_t rate, struct err *e)
{
	uint64_t bytes = rate / 8, burst = bytes / 100 < BURST_MIN ? BURST_MIN : bytes / 100;
	uint64_t limit = bytes / 20 + burst;
	struct tc_tbf_qopt q = { .rate = { .linklayer = LINK_TYPE_ETHERNET } };
	struct nlattr *options;
	struct nlmsghdr *h;
	struct tcmsg *m;
	struct nl nl;
	int rc;

	if (nl_open(&nl, NETLINK_ROUTE, e) < 0)
		return -1;
	h = nl_add(&nl, rate ? RTM_NEWQDISC : RTM_DELQDISC,
		   NLM_F_ACK | (rate ? NLM_F_CREATE | NLM_F_REPLACE : 0), sizeof(*m), &m);
	m->tcm_family = AF_UNSPEC;
	m->tcm_ifindex = (int)index;
	m->tcm_parent = TC_H_ROOT;
	if (rate) {
		m->tcm_handle = TC_H_MAKE(1u << 16, 0);
		q.rate.rate = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
		q.limit = limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX;
		mnl_attr_put_strz(h, TCA_KIND, "tbf");
		options = mnl_attr_nest_start(h, TCA_OPTIONS);
		mnl_attr_put(h, TCA_TBF_PARMS, sizeof(q), &q);
		if (bytes >= UINT32_MAX)
			mnl_attr_put_u64(h, TCA_TBF_RATE64, bytes);
		mnl_attr_put_u32(h, TCA_TBF_BURST,
				 burst < UINT32_MAX ? (uint32_t)burst : UINT32_MAX);
		mnl_attr_nest_end(h, options);
	}
	nl_end(&nl, h);
	rc = nl_send(&nl, NULL, e);
	nl_close(&nl);
	if (rc < 0 && !rate && (e->code == ENOENT || e->code == EINVAL))
		return 0; /* there was none */
	if (rc < 0 && e->code == ENOENT)
		return err_set(e, ERR_NOT_SUPPORTED,
			       "this kernel has no queue that limits a rate (module sch_tbf)");
	return rc < 0 ? err_in(e, "cannot limit the rate") : 0;
}

/* ---- both ---- */

bool traffic_is_limited(const struct traffic *t)
{
	return (t->rules && *t->rules) || t->rate.down || t->rate.up;
}

int filter_outside(const char *table, const char *link, const struct traffic *t, struct err *e)
{
	unsigned index = if_nametoindex(link);
	char name[FILTER_TABLE_MAX];

	if (!index)
		return err_set(e, errno, "there is no link '%s'", link);
	filter_table(table, link, name);
	if ((traffic_is_limited(t) ? load_table(name, link, t, e) : nft_remove_table(name, e)) <
		    0 ||
	    set_rate(index, t->rate.down, e) < 0)
		return err_in(e, "cannot set what may pass '%s'", link);
	return 0;
}

int filter_is_there(const char *table, const char *link, const struct traffic *t, struct err *e)
{
	char name[FILTER_TABLE_MAX];

	filter_table(table, link, name);
	return traffic_is_limited(t) ? nft_has_table(name, e) : 1;
}

int filter_inside(unsigned index, const struct traffic *t, struct err *e)
{
	return set_rate(index, t->rate.up, e);
}
