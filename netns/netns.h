/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netns.h - the network of a container. The one public header of netns/.
 */
#ifndef CTR_NETNS_H
#define CTR_NETNS_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct str;

/*
 * Brings the loopback interface of the caller's network namespace up, by one rtnetlink message. Needs
 * CAP_NET_ADMIN there. 0, or -1 and *e.
 */
int netns_loopback_up(struct err *e);

/*
 * Back to the network namespace @own that the caller has left for a moment. A failure, for want of memory, is not accepted at once:
 * whatever is undone after it would be undone in the wrong place. 0, or after a second -1 and *e.
 */
int netns_return(int own, struct err *e);

/* Whether somebody has set up packet filters in the network namespace @netns, but for what comes with interfaces of ours. 1, 0, or -1 and *e. */
int netns_has_filters(int netns, struct err *e);

/*
 * Moves the device @device of the caller's network namespace into @netns, under @name, with its permanent addresses of
 * global scope, and brings it up. The caller enters @netns meanwhile: it must be single-threaded and have CAP_NET_ADMIN
 * in both, CAP_SYS_ADMIN in that. 0, or -1 and *e; it may have been moved then. With the namespace a physical device
 * goes back to the host's first one, a virtual one ends (network_namespaces(7)).
 */
int netns_move_device(const char *device, int netns, const char *name, struct err *e);

/* ---- networks: what is on the host once for all ---- */

/*
 * The names of one set of instances on the host: its nftables tables (`table inet NAME`, `table bridge NAME`) and what its
 * links begin with. Two sets do not see each other.
 */
struct net_names {
	char table[16];	       /* "ctr" */
	char bridge[8];	       /* "ctr": bridges are ctr0.0, ctr0.1, ... */
	char port[8], veth[8]; /* "cv", "cr": host ends of a bridged and of a routed instance */
};

/* @run: the set's run directory; the usual one has the short names. */
void net_names_of(const char *run, bool usual, struct net_names *n);

#define NET_SHARD      1000 /* instances of one bridge, which takes 1023 ports (BR_PORT_BITS) */
#define NET_SHARD_BITS 10   /* each has a subnet of its own then */
#define NET_INDEX_MAX  16384
#define NET_NAME_MAX   32
#define VLAN_MAX       4094 /* IEEE 802.1Q */

/* A network: addresses, and how they are reached. Filled by whoever keeps it. */
struct network {
	char name[NET_NAME_MAX + 1];
	unsigned id;	       /* 0 bridge, 1 routed, from 2 on those that people made */
	bool routed;	       /* no bridge: a route to each instance */
	char parent[IFNAMSIZ]; /* neither: a device of the host whose network it is, by macvlan; "" */
	bool ipvlan;	       /* by ipvlan: with the parent's MAC */
	bool unmanaged; /* the parent is a bridge that somebody else cares for, which gets a port for each */
	unsigned vlan; /* that these ports are in, untagged (the bridge filters VLANs); 0: as the bridge has it */
	bool internal;	 /* no way out */
	bool isolated;	 /* no way to each other */
	uint32_t subnet; /* host byte order */
	unsigned prefix;
	uint32_t gateway;    /* 0: the first address of each subnet */
	uint8_t subnet6[16]; /* a /48 of RFC 4193; all zero: no IPv6 */
	unsigned mtu;	     /* 0: 1500 */
};

/* Whether an interface of it has no end at the host: it is the parent's in another guise. */
static inline bool net_is_shared(const struct network *n)
{
	return *n->parent && !n->unmanaged;
}

/* How many instances it has addresses for: their indices are below. */
unsigned net_capacity(const struct network *n);

/* The host's own IPv6 address in a routed network that has IPv6. */
void net_host6(const struct network *n, uint8_t out[16]);

/* ---- an instance's interface ---- */

struct publication {
	uint8_t protocol; /* IPPROTO_TCP, ... */
	uint32_t host;	  /* IPv4 address, host byte order; 0: all of the host's, IPv6 too */
	uint16_t host_port, port;
};

/* A dotted IPv4 address in host byte order; 0, or -1. */
int parse_ip(const char *text, uint32_t *ip);

/*
 * "[IP:]PORT:PORT[/tcp|/udp|/sctp]", ports also as "5000-5010": the first of them. Returns how many there are, or -1 and
 * *e (ERR_INVALID).
 */
int publication_parse(const char *text, struct publication *first, struct err *e);

/* ---- what may pass an interface, and how fast ---- */

/* A rule in words: fw_parse() says which. The first that matches decides. */
struct fw_rule {
	bool policy; /* "default": what happens to what no rule matches; nothing below is of use */
	bool allow, in;
	uint8_t protocol;     /* IPPROTO_TCP, IPPROTO_ICMP (of both versions), ...; 0: any */
	uint16_t first, last; /* ports that are sent to; 0: any */
	uint8_t family;	      /* AF_INET, AF_INET6: of the peer; 0: anybody */
	uint8_t peer[16];
	unsigned bits;
};

/* 0, or -1 and *e (ERR_INVALID) with the grammar. */
int fw_parse(const char *text, struct fw_rule *out, struct err *e);

/* Whether what no rule matches may pass. */
bool fw_default(const char *const *rules, bool in);

struct net_rate {
	uint64_t down, up; /* bits a second to and from the instance; 0: as it can */
};

/* "100M", "100M/20M": units of a thousand. 0, or -1 and *e (ERR_INVALID). */
int net_rate_parse(const char *text, struct net_rate *out, struct err *e);

struct traffic {
	const char *const *rules; /* fw_parse() has accepted each; NULL: none */
	struct net_rate rate;
};

/* Whether it asks for anything. */
bool traffic_is_limited(const struct traffic *t);

#define FILTER_TABLE_MAX 32

/* The name of the nftables table (of family netdev) of a link. */
void filter_table(const char *table, const char *link, char out[FILTER_TABLE_MAX]);

/*
 * What passed or was dropped by each rule at one link, added to: @rules, @n that are no defaults, in their order, and what happens
 * in the end.
 */
struct filter_count {
	uint64_t packets, bytes;
};
int filter_count(const char *table, const char *link, struct filter_count *rules, size_t n,
		 struct filter_count *in, struct filter_count *out, struct err *e);

/* The line of a journal that has filter_outside() undone: "table NAME". */
void filter_journal(const char *table, const char *link, struct str *out);

/*
 * Has the host's end @link, in the caller's network namespace, let pass what @t says, in place of what it let pass: in one step,
 * nothing passes unfiltered meanwhile. nft(8) is run if there are rules. 0, or -1 and *e; after a failure some may be as before.
 */
int filter_outside(const char *table, const char *link, const struct traffic *t, struct err *e);

/* Whether what filter_outside() made for @t is there; -1 and *e. */
int filter_is_there(const char *table, const char *link, const struct traffic *t, struct err *e);

/* The instance's end, in the caller's network namespace: its queue, so that what it sends waits rather than being lost. */
int filter_inside(unsigned index, const struct traffic *t, struct err *e);

/* One element of a set or map of our tables: what an instance adds, and what is to be taken away again. */
struct nft_element {
	uint8_t family; /* NFPROTO_INET or NFPROTO_BRIDGE */
	const char *set;
	uint8_t key[40], data[40]; /* each field of a concatenation padded to four bytes */
	uint8_t key_len, data_len; /* data_len 0: a set */
	const char *chain;	   /* NULL; or the verdict `jump` to it, in place of data */
};

struct nic {
	const struct network *network;
	const char *name;      /* inside: "eth0" */
	unsigned index;	       /* of the interface inside: 2 and on; 2 is the way out */
	bool later;	       /* for one that runs already: only the name is sure */
	char link[IFNAMSIZ];   /* the host's end; never used again */
	char bridge[IFNAMSIZ]; /* that it is a port of; "" if routed */
	const char *alias;     /* the instance's name, for people */
	uint8_t mac[6];
	uint8_t gateway_mac[6]; /* of the bridge */
	uint32_t ip, gateway;	/* host byte order */
	unsigned prefix;
	uint8_t ip6[16], gateway6[16]; /* all zero: none */
	const struct publication *pubs;
	size_t n_pubs;
	struct traffic traffic;
	const char *table; /* net_names.table */
	const struct nft_element *elements;
	size_t n_elements;
};

/*
 * Decides all of an interface of instance @alias that has address @ip of network @n: addresses, MAC (from @ip), names, elements.
 * Pure but for the random name of the host's end. -1 and *e when memory is gone.
 */
int nic_decide(const struct net_names *names, const struct network *n, uint32_t ip,
	       const char *alias, unsigned index, const struct publication *pubs, size_t n_pubs,
	       struct arena *a, struct nic *out, struct err *e);

/*
 * Makes what @nic needs of the host if it is not there: rules, bridge, forwarding. A look at an interface if it is; else
 * some milliseconds. It stays. @lock is a descriptor to flock(2) meanwhile. 1: the rules were not there, and are
 * now, but for the elements of instances that run already: net_restore().
 */
int net_ready(const struct net_names *names, const struct nic *nic, int lock, struct err *e);

/*
 * Gives the network namespace @netns the interface: rules first, so that no packet passes before them, then the pair of
 * links, addresses and routes. The caller enters @netns meanwhile, as netns_move_device() does. ERR_EXISTS for a
 * published port that is taken. What was made before a failure is undone by nic_undo(); the link goes with the namespace.
 */
int nic_attach(const struct nic *nic, int netns, struct err *e);

/* Removes the pair of links of which @link is the host's end. One that is not there is as good as removed. 0, or -1 and *e. */
int nic_detach(const char *link, struct err *e);

/*
 * Lines "nft ..." and "neigh ..." for a journal, and their undoing: what is not there any more, or another's, is left alone. A line
 * "link NAME" is for those that count.
 */
void nic_journal(const struct nic *nic, struct str *out);
int nic_undo(const char *journal, struct err *e);

/* Forgets who has that address on the caller's device: the kernel's table is one for all network namespaces, and not large. */
void net_forget_neighbour(const char *device, uint32_t ip);

/* The host's ends that a journal names, in the order of the interfaces: how many. */
size_t nic_links(const char *journal, char links[][IFNAMSIZ], size_t max);

/* Adds the elements of a journal again, after the rules were lost; not what filter_outside() made. */
int net_restore(const char *journal, struct err *e);

/* 1: some of the journal's elements are not there any more. 0, or -1 and *e. */
int net_lost(const char *journal, struct err *e);

/* Removes the network's bridges and rules from the host; nobody uses it any more. */
int net_remove(const struct net_names *names, const struct network *n, struct err *e);

/* Whether the host has an address or a route, the default one apart, within that subnet; -1 and *e. */
int net_overlaps(uint32_t subnet, unsigned prefix, struct err *e);

/*
 * Before the end of a process that somebody waits for: what changes of the rules leave takes the kernel 10 ms to free, and the end
 * of the netlink socket that they were made by would wait for that. A process that nobody waits for ends with it instead.
 */
void net_leave(void);

/* Bytes that a host's end has sent and received: of the instance's view. 0, or -1 if there is none such. */
int net_count(const char *link, uint64_t *received, uint64_t *sent);

#endif
