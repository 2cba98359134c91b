/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "netns/netns.h"
#include "netns/nft.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"

static struct err e;
static struct arena *arena;
static struct net_names names;

static const struct network bridge = { .name = "bridge",
				       .subnet = 0x0a4d0000,
				       .prefix = 16,
				       .subnet6 = { 0xfd, 1 } };
static const struct network small = { .name = "small", .id = 2, .subnet = 0x0ac80000, .prefix = 24 };
static const struct network routed = { .name = "routed",
				       .id = 1,
				       .routed = true,
				       .subnet = 0x0a4e0000,
				       .prefix = 16,
				       .subnet6 = { 0xfd, 2 } };

static struct nic decide(const struct network *n, uint32_t ip, const struct publication *p,
			 size_t n_pubs)
{
	struct nic nic;

	if (!arena)
		arena = arena_new(1u << 20);
	net_names_of("/run/ctr", true, &names);
	if (nic_decide(&names, n, ip, "web", 2, p, n_pubs, arena, &nic, &e) < 0)
		FAIL("%s", e.msg);
	return nic;
}

TEST(each_thousand_of_a_large_network_has_a_bridge_and_a_subnet_of_its_own)
{
	struct nic one = decide(&bridge, 0x0a4d0002, NULL, 0),
		   other = decide(&bridge, 0x0a4d0407, NULL, 0);

	CHECK_STR(one.bridge, "ctr0.0");
	CHECK_STR(other.bridge, "ctr0.1");
	CHECK_INT(one.prefix, 22);
	CHECK_INT(one.gateway, 0x0a4d0001);
	CHECK_INT(other.gateway, 0x0a4d0401);
	CHECK_INT(other.ip6[7], 1);
	CHECK_INT(other.ip6[15], 7);
}

TEST(a_small_network_is_one_bridge_and_a_routed_one_none)
{
	struct nic one = decide(&small, 0x0ac80009, NULL, 0),
		   other = decide(&routed, 0x0a4e0409, NULL, 0);

	CHECK_STR(one.bridge, "ctr2.0");
	CHECK_INT(one.prefix, 24);
	CHECK_STR(other.bridge, "");
	CHECK_INT(other.prefix, 32);
	CHECK_INT(other.gateway, 0xa9fe0101);
	CHECK_INT(net_capacity(&small), 253);
	CHECK_INT(net_capacity(&routed), NET_INDEX_MAX);
	CHECK_INT(net_capacity(&bridge), NET_INDEX_MAX);
}

TEST(a_mac_lasts_and_the_link_does_not)
{
	struct nic one = decide(&bridge, 0x0a4d0002, NULL, 0),
		   again = decide(&bridge, 0x0a4d0002, NULL, 0);

	CHECK(memcmp(one.mac, again.mac, 6) == 0);
	CHECK_INT(one.mac[0], 2);
	CHECK(!streq(one.link, again.link));
	CHECK(strncmp(one.link, "cv", 2) == 0 && strlen(one.link) < IFNAMSIZ);
}

TEST(sets_of_instances_do_not_share_names)
{
	struct net_names other;

	net_names_of("/run/ctr", true, &names);
	net_names_of("/tmp/x", false, &other);
	CHECK(!streq(names.table, other.table) && !streq(names.bridge, other.bridge));
	CHECK(strncmp(other.port, names.port, strlen(names.port)) != 0);
}

TEST(what_is_journalled_is_read_back)
{
	const struct publication p[] = { { IPPROTO_TCP, 0, 8080, 80 },
					 { IPPROTO_UDP, 0x7f000001, 53, 53 } };
	struct nic nic = decide(&routed, 0x0a4e0409, p, 2);
	struct str text = { 0 };
	size_t n = 0;

	nic_journal(&nic, &text);
	for (const char *line = str_text(&text); *line && strncmp(line, "link ", 5) != 0; n++) {
		struct nft_element el;
		struct nft_room room;
		char one[256];
		size_t len = strcspn(line, "\n");

		snprintf(one, sizeof(one), "%.*s", (int)len, line);
		CHECK(nft_read(one, &room, &el, &e) == 0);
		CHECK_STR(room.table, "ctr");
		CHECK_STR(el.set, nic.elements[n].set);
		CHECK_INT(el.family, nic.elements[n].family);
		CHECK(el.key_len == nic.elements[n].key_len &&
		      memcmp(el.key, nic.elements[n].key, el.key_len) == 0);
		CHECK_INT(el.data_len, nic.elements[n].data_len);
		CHECK(!el.chain == !nic.elements[n].chain);
		line += len + 1;
	}
	CHECK_INT(n, nic.n_elements);
	CHECK_INT(n,
		  9); /* three addresses, three memberships, two ports, one of them for IPv6 too */
	str_free(&text);
}

TEST(lines_of_others_are_refused)
{
	static const char *const bad[] = { "nft",
					   "nft ctr 1 set",
					   "nft ctr 3 set 00",
					   "nft ctr 1 set 0",
					   "nft ctr 1 set 0g",
					   "nft ctr 1 se/t 00 00",
					   "nft ctr 1 set 00 >",
					   "nft CTR 1 set 00" };
	struct nft_element el;
	struct nft_room room;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(nft_read(bad[i], &room, &el, &e) < 0);
}

TEST(publications_are_ports_and_ranges_of_one_length)
{
	static const char *const bad[] = { "80",      "80:",	    ":80",
					   "0:80",    "80:65536",   "1-2:1-3",
					   "2-1:2-1", "80:80/icmp", "1.2.3:80:80",
					   "a:80:80", "80:80/",	    "80:80:80:80",
					   "" };
	struct publication p;

	CHECK_INT(publication_parse("8080:80", &p, &e), 1);
	CHECK(p.host_port == 8080 && p.port == 80 && p.protocol == IPPROTO_TCP && !p.host);
	CHECK_INT(publication_parse("127.0.0.1:5000-5010:6000-6010/udp", &p, &e), 11);
	CHECK(p.host == 0x7f000001 && p.host_port == 5000 && p.port == 6000 &&
	      p.protocol == IPPROTO_UDP);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(publication_parse(bad[i], &p, &e) < 0);
}

TEST(rules_of_a_firewall_are_words)
{
	static const char *const bad[] = { "",
					   "allow",
					   "allow in",
					   "allow in tcp",
					   "allow in tcp 0",
					   "allow in tcp 65536",
					   "allow in tcp 90-80",
					   "allow in tcp 80-",
					   "allow in tcp http",
					   "allow in tcp 80 from",
					   "allow in tcp 80 to 10.0.0.1",
					   "allow out tcp 80 from 10.0.0.1",
					   "allow in tcp 80 from 10.0.0.0/33",
					   "allow in tcp 80 from ::/129",
					   "allow in tcp 80 from 10.0.0",
					   "allow in tcp 80 from 10.0.0.1 too",
					   "allow in icmp 8",
					   "allow in tcp 80; drop",
					   "default allow",
					   "default allow in tcp",
					   "reject in tcp 80" };
	struct fw_rule r;

	CHECK(fw_parse("allow in tcp 80", &r, &e) == 0);
	CHECK(r.allow && r.in && !r.policy && r.protocol == IPPROTO_TCP && r.first == 80 &&
	      r.last == 80 && !r.family);
	CHECK(fw_parse("deny  out udp 5000-5010 to fd00::/8", &r, &e) == 0);
	CHECK(!r.allow && !r.in && r.first == 5000 && r.last == 5010 && r.family == AF_INET6 &&
	      r.bits == 8 && r.peer[0] == 0xfd);
	CHECK(fw_parse("deny in any from 10.1.2.3", &r, &e) == 0);
	CHECK(!r.protocol && !r.first && r.family == AF_INET && r.bits == 32);
	CHECK(fw_parse("default deny in", &r, &e) == 0);
	CHECK(r.policy && !r.allow && r.in);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (fw_parse(bad[i], &r, &e) == 0)
			FAIL("'%s' is accepted", bad[i]);
}

TEST(the_last_default_counts)
{
	static const char *const rules[] = { "default deny in", "allow in tcp 80",
					     "default allow in", "default deny out", NULL };

	CHECK(fw_default(rules, true));
	CHECK(!fw_default(rules, false));
	CHECK(fw_default(NULL, true));
}

TEST(rates_are_bits_a_second)
{
	static const char *const bad[] = { "",	  "0",	  "M",	  "100",      "100MB", "1.5M",
					   "-1M", "/10M", "10M/", "10M/fast", "99999G" };
	struct net_rate r;

	CHECK(net_rate_parse("100M", &r, &e) == 0 && r.down == 100000000 && r.up == 100000000);
	CHECK(net_rate_parse("1g/64k", &r, &e) == 0 && r.down == 1000000000 && r.up == 64000);
	CHECK(net_rate_parse("8000", &r, &e) == 0 && r.down == 8000);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (net_rate_parse(bad[i], &r, &e) == 0)
			FAIL("'%s' is accepted", bad[i]);
}
