/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.h - the static rules of all instances, as `nft -f` reads them and `nft list table inet ctr` shows them. Instances
 * and networks add elements alone. %1$s is the table, %2$s and %3$s what links of bridged and of routed instances begin with.
 */
#ifndef CTR_NETNS_RULES_H
#define CTR_NETNS_RULES_H

/* Comes next in the name of a port of a bridge that is not ours: no digit that names are made of (choose_link()). */
#define NET_FOREIGN "w"

#define RULES                                                                                                             \
	"table inet %1$s {\n"                                                                                             \
	"	# what may come from the link of a routed instance\n"                                                           \
	"	set src4 { type ifname . ipv4_addr; }\n"                                                                        \
	"	set src6 { type ifname . ipv6_addr; }\n"                                                                        \
	"	# published ports: on any address of the host, or on one\n"                                                     \
	"	map pub4 { type inet_proto . inet_service : ipv4_addr . inet_service; }\n"                                      \
	"	map pub4ip { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }\n"                        \
	"	map pub6 { type inet_proto . inet_service : ipv6_addr . inet_service; }\n"                                      \
	"	# subnets that are translated\n"                                                                                \
	"	set nat4 { type ipv4_addr; flags interval; }\n"                                                                 \
	"	set nat6 { type ipv6_addr; flags interval; }\n"                                                                 \
	"	# our links, and the chain of the network of each\n"                                                            \
	"	set links { type ifname; }\n"                                                                                   \
	"	map network { type ifname : verdict; }\n"                                                                       \
	"	# an administrator's own rules for what passes through\n"                                                       \
	"	chain user { }\n"                                                                                               \
	"	chain early {\n"                                                                                                \
	"		type filter hook prerouting priority -300; policy accept;\n"                                                   \
	"		iifname \"%3$s*\" jump sources\n"                                                                              \
	"		ip saddr 127.0.0.0/8 iifname @links drop\n"                                                                    \
	"		ip daddr 127.0.0.0/8 iifname @links drop\n"                                                                    \
	"	}\n"                                                                                                            \
	"	chain sources {\n"                                                                                              \
	"		meta nfproto ipv4 iifname . ip saddr != @src4 drop\n"                                                          \
	"		icmpv6 type { nd-router-advert, nd-redirect } drop\n"                                                          \
	"		ip6 saddr :: icmpv6 type { nd-neighbor-solicit, mld2-listener-report } return\n"                               \
	"		meta nfproto ipv6 iifname . ip6 saddr != @src6 drop\n"                                                         \
	"	}\n"                                                                                                            \
	"	chain published {\n"                                                                                            \
	"		dnat ip to ip daddr . meta l4proto . th dport map @pub4ip\n"                                                   \
	"		dnat ip to meta l4proto . th dport map @pub4\n"                                                                \
	"		dnat ip6 to meta l4proto . th dport map @pub6\n"                                                               \
	"	}\n"                                                                                                            \
	"	chain nat_in { type nat hook prerouting priority -100; policy accept; fib daddr type local jump published; }\n" \
	"	chain nat_self { type nat hook output priority -100; policy accept; fib daddr type local jump published; }\n"   \
	"	chain nat_out {\n"                                                                                              \
	"		type nat hook postrouting priority 100; policy accept;\n"                                                      \
	"		ct status dnat ip saddr @nat4 masquerade\n"                                                                    \
	"		ct status dnat ip saddr 127.0.0.0/8 masquerade\n"                                                              \
	"		ct status dnat ip6 saddr @nat6 masquerade\n"                                                                   \
	"		ip saddr @nat4 ip daddr != @nat4 masquerade\n"                                                                 \
	"		ip6 saddr @nat6 ip6 daddr != @nat6 masquerade\n"                                                               \
	"	}\n"                                                                                                            \
	"	chain forward {\n"                                                                                              \
	"		type filter hook forward priority 0; policy accept;\n"                                                         \
	"		jump user\n"                                                                                                   \
	"		iifname @links ct state invalid drop\n"                                                                        \
	"		ct state established,related accept\n"                                                                         \
	"		ct status dnat accept\n"                                                                                       \
	"		iifname vmap @network\n"                                                                                       \
	"		oifname @links drop\n"                                                                                         \
	"	}\n"                                                                                                            \
	"}\n"                                                                                                             \
	"table bridge %1$s {\n"                                                                                           \
	"	# what may come from a port: of whom, and from which address\n"                                                 \
	"	set ok4 { type ifname . ether_addr . ipv4_addr; }\n"                                                            \
	"	set ok6 { type ifname . ether_addr . ipv6_addr; }\n"                                                            \
	"	set targets { typeof meta iifname . @th,64,128; }\n"                                                            \
	"	chain early { type filter hook prerouting priority -300; policy accept; iifname \"%2$s*\" jump sources; }\n"    \
	"	chain sources {\n"                                                                                              \
	"		ether type vmap { ip : goto from_ip, arp : goto from_arp, ip6 : goto from_ip6 }\n"                             \
	"		drop\n"                                                                                                        \
	"	}\n"                                                                                                            \
	"	chain from_ip {\n"                                                                                              \
	"		iifname . ether saddr . ip saddr != @ok4 drop\n"                                                               \
	"		udp sport 67 drop\n"                                                                                           \
	"	}\n"                                                                                                            \
	"	chain from_arp {\n"                                                                                             \
	"		iifname . arp saddr ether . arp saddr ip != @ok4 drop\n"                                                       \
	"		iifname . ether saddr . arp saddr ip != @ok4 drop\n"                                                           \
	"	}\n"                                                                                                            \
	"	chain from_ip6 {\n"                                                                                             \
	"		icmpv6 type { nd-router-solicit, nd-router-advert, nd-redirect } drop\n"                                       \
	"		# who hears which group: nobody asks on a bridge of ours, and each of its ports would be told\n"               \
	"		iifname != \"%2$s" NET_FOREIGN                                                                    \
	"*\" icmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report } drop\n"                         \
	"		icmpv6 type nd-neighbor-advert meta iifname . @th,64,128 != @targets drop\n"                                   \
	"		ip6 saddr :: icmpv6 type { nd-neighbor-solicit, mld2-listener-report } accept\n"                               \
	"		iifname . ether saddr . ip6 saddr != @ok6 drop\n"                                                              \
	"		udp sport 547 drop\n"                                                                                          \
	"	}\n"                                                                                                            \
	"}\n"

/* What the ports of bridges that are not ours need beside: a mark that the rules are there. */
#define RULES_OF_HOST "table bridge %1$s {\n\tset host { type ifname; }\n}\n"

/*
 * Of one network. %1$s table, %4$u its number, %5$s what may pass to others of the same network, %6$s what may pass to
 * elsewhere ("accept" or "drop"), %7$s elements of nat4 and nat6.
 */
#define RULES_OF_NETWORK                  \
	"table inet %1$s {\n"             \
	"	set net%2$u { type ifname; }\n" \
	"	chain net%2$u {\n"              \
	"		oifname @net%2$u %3$s\n"       \
	"		oifname @links drop\n"         \
	"		%4$s\n"                        \
	"	}\n"                            \
	"}\n"                             \
	"flush chain inet %1$s net%2$u\n" \
	"table inet %1$s {\n"             \
	"	chain net%2$u {\n"              \
	"		oifname @net%2$u %3$s\n"       \
	"		oifname @links drop\n"         \
	"		%4$s\n"                        \
	"	}\n"                            \
	"}\n"

#endif
