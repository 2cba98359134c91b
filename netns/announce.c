/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/announce.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runtime/base/own.h"

static const uint8_t zero6[16];

static void put(int sock, const uint8_t mac[6], const uint8_t to[6], uint16_t type,
		const struct iovec *what, size_t n)
{
	struct ether_header ether = { .ether_type = htons(type) };
	struct iovec parts[3] = { { &ether, sizeof(ether) } };
	const struct msghdr m = { .msg_iov = parts, .msg_iovlen = n + 1 };

	memcpy(ether.ether_dhost, to, 6);
	memcpy(ether.ether_shost, mac, 6);
	memcpy(parts + 1, what, n * sizeof(*what));
	(void)sendmsg(sock, &m, 0);
}

static void send_arp(int sock, const uint8_t mac[6], uint32_t ip)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct ether_arp arp = { .ea_hdr = { .ar_hrd = htons(ARPHRD_ETHER),
					     .ar_pro = htons(ETHERTYPE_IP),
					     .ar_hln = 6,
					     .ar_pln = 4,
					     .ar_op = htons(ARPOP_REQUEST) } };

	ip = htonl(ip);
	memcpy(arp.arp_sha, mac, 6);
	memcpy(arp.arp_spa, &ip, 4);
	memcpy(arp.arp_tpa, &ip, 4);
	put(sock, mac, all, ETHERTYPE_ARP, &(struct iovec){ &arp, sizeof(arp) }, 1);
}

/* RFC 1071, over the pseudo header of RFC 8200, 8.1 as well. */
static uint16_t checksum(const struct ip6_hdr *ip6, const void *data, size_t len)
{
	const uint8_t *const parts[] = { (const uint8_t *)&ip6->ip6_src, data };
	const size_t lens[] = { 32, len };
	uint32_t sum = (uint32_t)len + IPPROTO_ICMPV6;

	for (int p = 0; p < 2; p++)
		for (size_t i = 0; i < lens[p]; i += 2)
			sum += (uint32_t)(parts[p][i] << 8 | parts[p][i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void send_advertisement(int sock, const uint8_t mac[6], const uint8_t ip6[16])
{
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
	static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	struct {
		struct nd_neighbor_advert advert;
		uint8_t option[8]; /* target link-layer address */
	} text = { .option = { ND_OPT_TARGET_LINKADDR, 1 } };
	struct ip6_hdr ip = { .ip6_hlim = 255 };

	ip.ip6_flow = htonl(6u << 28);
	ip.ip6_plen = htons(sizeof(text));
	ip.ip6_nxt = IPPROTO_ICMPV6;
	memcpy(&ip.ip6_src, ip6, 16);
	memcpy(&ip.ip6_dst, all_nodes, 16);
	text.advert.nd_na_type = ND_NEIGHBOR_ADVERT;
	text.advert.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
	memcpy(&text.advert.nd_na_target, ip6, 16);
	memcpy(text.option + 2, mac, 6);
	text.advert.nd_na_cksum = checksum(&ip, &text, sizeof(text));
	put(sock, mac, all_nodes_mac, ETHERTYPE_IPV6,
	    (struct iovec[]){ { &ip, sizeof(ip) }, { &text, sizeof(text) } }, 2);
}

void announce(unsigned index, uint32_t ip, const uint8_t ip6[16])
{
	auto_fd int sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_ifindex = (int)index };
	socklen_t size = sizeof(at);

	if (sock < 0 || bind(sock, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    getsockname(sock, (struct sockaddr *)&at, &size) < 0 || at.sll_halen != 6)
		return;
	send_arp(sock, at.sll_addr, ip);
	if (memcmp(ip6, zero6, 16) != 0)
		send_advertisement(sock, at.sll_addr, ip6);
}
