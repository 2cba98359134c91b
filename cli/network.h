/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network.h - which networks there are, and from an instance's configuration to its interfaces.
 *
 *	<data>/networks/NAME		JSON; its lock (of the directory) is held by who adds or removes one
 *
 * `bridge` and `routed` are there by themselves: they are written at their first use, with a subnet that the host has no
 * route to.
 *
 * An instance with ids of its own (idrange.h) has the address that belongs to its range: no lease is kept, and none can be lost
 * or given twice. On a network of less than NET_INDEX_MAX addresses, and for those that share the host's ids, or ask for an
 * address, it is a line in the instance's own configuration (`address`), chosen under the lock by looking at all.
 */
#ifndef CTR_CLI_NETWORK_H
#define CTR_CLI_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "netns/netns.h"

struct arena;
struct err;
struct hosts_line;
struct instance;
struct instance_dir;
struct instances;
struct state_dir;

#define NET_DEFAULT "bridge"

#define NICS_MAX 16 /* of an instance */

/* What an instance's words mean. */
struct networking {
	bool host;	  /* the host's own */
	const char *join; /* path of the network namespace of another; NULL */
	const struct nic *nics;
	size_t n;
};

/*
 * Gives the instance, which does not run, the addresses that it needs a line for, and saves its configuration if there are
 * new ones. Its lock is held.
 */
int network_lease(const struct instances *all, const struct instance_dir *d, struct instance *i,
		  struct err *e);

/* All that is decided, in @a. Nothing is done, but that a network of ours is written down at its first use. */
int network_resolve(const struct instances *all, const struct instance *i, const char *name,
		    struct arena *a, struct networking *out, struct err *e);

/* The names of this set of instances on the host; what an instance's configuration says of its traffic. */
void network_names(const struct instances *all, struct net_names *names);
void network_traffic(const struct instance *i, struct traffic *t);

/* The interface that @words of the instance's configuration mean, its number @index inside, in @a. */
int network_nic(const struct instances *all, const struct instance *i, const char *name,
		const char *words, unsigned index, struct arena *a, struct nic *out, struct err *e);

/* An instance's configuration, unlocked: *i is to be freed. 0, or -1 and *e. */
int instance_read(const struct instances *all, const char *name, struct instance **i,
		  struct err *e);

/* The lines that others find it by, in @a, as many as *n. */
const struct hosts_line *network_hosts(const struct networking *net, struct arena *a, size_t *n,
				       struct err *e);

/* Makes what the interfaces need of the host. Rules that were lost are restored, for all that run. */
int network_ready(const struct instances *all, const struct networking *n, struct err *e);

/*
 * Has the interfaces of one that runs let pass what @i says now; its lock is held. @pid: its first process; 0: its own ends stay as
 * they are.
 */
int network_filter(const struct instances *all, struct state_dir *sd, pid_t pid,
		   const struct instance *i, struct err *e);

/*
 * Gives one that runs, whose first process is @pid, the interface that @words name; its lock is held, and @i is its configuration
 * with them. On failure nothing of it is left.
 */
int network_plug(const struct instances *all, struct state_dir *sd, const char *name, pid_t pid,
		 const struct instance *i, const char *words, struct err *e);

/* Takes away the interface in @n, if it has one; @i is its configuration without. */
int network_unplug(const struct instances *all, struct state_dir *sd, const char *name,
		   const struct instance *i, const struct network *n, struct err *e);

/* 1: the rules of one that runs are not there, *name is it. 0, or -1 and *e. */
int network_lost(const struct instances *all, char name[64], struct err *e);

/* After ERR_EXISTS of a start: adds to *e who has a port that was to be published. */
void network_name_holder(const struct instances *all, const char *self, const struct networking *n,
			 struct err *e);

/* ---- the networks themselves ---- */

/* The directory, open; lock it by flock(2) to change something. -1 and *e. */
int networks_open(const struct instances *all, struct err *e);

/* ERR_NO_SUCH, with the nearest as a hint. */
int network_read(const struct instances *all, const char *name, struct network *n, struct err *e);

/* "bridge", "routed", "macvlan", "ipvlan". */
const char *network_mode(const struct network *n);
int network_write(const struct instances *all, const struct network *n, struct err *e);
int network_parse(const char *text, size_t len, struct network *n, struct err *e);

/* All, by name; free() *list. */
int networks_list(const struct instances *all, struct network **list, size_t *n, struct err *e);

/* Names: as instances', at most NET_NAME_MAX, and none of the words that mean something else. */
int network_check_name(const char *name, struct err *e);

/* "10.1.0.0/16" in host byte order; 0, or -1. */
int parse_subnet(const char *text, uint32_t *subnet, unsigned *prefix);

/* A subnet of that size that the host has no route to and no network of ours uses. */
int network_choose(const struct instances *all, unsigned prefix, uint32_t *subnet, struct err *e);
int network_choose6(uint8_t subnet6[16], struct err *e);

/* The address of an instance on one of its networks, in host byte order; 0: none. */
uint32_t network_address(const struct instance *i, const char *words, const struct network *n);

/* The network that one of an instance's words names: it is copied to @name. False for none, host, and the like. */
bool network_of_words(const char *words, char name[NET_NAME_MAX + 1]);

#endif
