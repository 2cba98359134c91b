/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.c - `ctr net create|ls|inspect|rm|connect|disconnect`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/network.h"
#include "cli/verbs.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/running.h"
#include "runtime/spec.h"

/* ---- create ---- */

struct create_options {
	const char *subnet, *gateway, *subnet6, *bridge, *macvlan, *ipvlan;
	struct opt_u64 mtu, vlan;
	bool routed, internal, isolated, no_ipv6;
};

static const struct option_row create_rows[] = {
	STRING_ROW(struct create_options, subnet, "subnet", 0, "ADDRESS/BITS",
		   "its IPv4 addresses (default: the next free /16 from 10.77.0.0 on)"),
	STRING_ROW(struct create_options, gateway, "gateway", 0, "ADDRESS",
		   "the host's address in it, of a subnet of one bridge (default: the first)"),
	STRING_ROW(struct create_options, subnet6, "subnet6", 0, "ADDRESS/48",
		   "its IPv6 addresses (default: fd..., by chance)"),
	FLAG_ROW(struct create_options, no_ipv6, "no-ipv6", 0, "no IPv6 addresses"),
	NUMBER_ROW(struct create_options, mtu, "mtu", 0, "BYTES",
		   "of its interfaces (default 1500)", 1280, 65535),
	FLAG_ROW(struct create_options, routed, "routed", 0,
		 "a route to each instance, no bridge: no limit of ports, nothing is broadcast"),
	STRING_ROW(struct create_options, bridge, "bridge", 0, "DEVICE",
		   "ports of this bridge, which is the host's own, in the network that it leads to"),
	NUMBER_ROW(struct create_options, vlan, "vlan", 0, "NUMBER",
		   "of that bridge: the VLAN that the ports are in", 1, VLAN_MAX),
	STRING_ROW(struct create_options, macvlan, "macvlan", 0, "DEVICE",
		   "no bridge either: machines of their own in the network of this device"),
	STRING_ROW(struct create_options, ipvlan, "ipvlan", 0, "DEVICE",
		   "the same with the device's MAC, where a switch allows but one"),
	FLAG_ROW(struct create_options, internal, "internal", 0, "no way out of it"),
	FLAG_ROW(struct create_options, isolated, "isolated", 0,
		 "no way from one instance to another"),
	END_ROW,
};

static int read_options(const struct create_options *o, const struct instances *all,
			struct network *n, struct err *e)
{
	char text[INET6_ADDRSTRLEN];
	const char *slash;

	const char *parent = o->bridge ? o->bridge : o->macvlan ? o->macvlan : o->ipvlan;

	if (parent && (!o->subnet || o->routed || o->internal || (o->isolated && !o->bridge) ||
		       (o->bridge != NULL) + (o->macvlan != NULL) + (o->ipvlan != NULL) > 1 ||
		       !*parent || strlen(parent) >= IFNAMSIZ || strchr(parent, '/')))
		return err_set(
			e, ERR_USAGE,
			"--bridge, --macvlan and --ipvlan need the name of a device and --subnet, that of its network, and "
			"neither --routed nor --internal; --isolated goes with --bridge alone");
	if (o->vlan.set && !o->bridge)
		return err_set(e, ERR_USAGE, "--vlan is for the ports of a --bridge of the host");
	n->unmanaged = o->bridge != NULL;
	n->vlan = (unsigned)o->vlan.v;
	snprintf(n->parent, sizeof(n->parent), "%s", parent ? parent : "");
	n->ipvlan = o->ipvlan != NULL;
	n->prefix = 16;
	n->routed = o->routed;
	n->internal = o->internal;
	n->isolated = o->isolated;
	n->mtu = (unsigned)o->mtu.v;
	if (o->subnet && parse_subnet(o->subnet, &n->subnet, &n->prefix) < 0)
		return err_set(e, ERR_USAGE,
			       "--subnet '%.60s' is no subnet of /12 to /30, such as 10.1.0.0/24",
			       o->subnet);
	if (!o->subnet && network_choose(all, n->prefix, &n->subnet, e) < 0)
		return -1;
	if (o->gateway && (parse_ip(o->gateway, &n->gateway) < 0 ||
			   (n->gateway ^ n->subnet) >> (32 - n->prefix) || n->gateway == n->subnet))
		return err_set(e, ERR_USAGE, "--gateway '%.60s' is no address of the subnet",
			       o->gateway);
	if (o->gateway && !parent && (o->routed || 32 - n->prefix > NET_SHARD_BITS))
		return err_set(
			e, ERR_USAGE,
			"--gateway: a network without a bridge, or of several, has none of its own choice: take a /22 or smaller");
	if (o->no_ipv6 || (parent && !o->subnet6))
		return 0;
	if (!o->subnet6)
		return network_choose6(n->subnet6, e);
	slash = strchr(o->subnet6, '/');
	snprintf(text, sizeof(text), "%.*s", slash ? (int)(slash - o->subnet6) : 0, o->subnet6);
	if (!slash || !streq(slash, "/48") || inet_pton(AF_INET6, text, n->subnet6) != 1 ||
	    memcmp(n->subnet6 + 6, (char[10]){ 0 }, 10) != 0)
		return err_set(e, ERR_USAGE,
			       "--subnet6 '%.60s' is no /48, such as fd12:3456:789a::/48",
			       o->subnet6);
	return 0;
}

static int check_subnet(const struct instances *all, const struct network *n, unsigned *id,
			struct err *e)
{
	auto_free struct network *list = NULL;
	size_t count;
	int meets;

	if (networks_list(all, &list, &count, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		unsigned bits = list[i].prefix < n->prefix ? list[i].prefix : n->prefix;

		if (streq(list[i].name, n->name))
			return err_set(e, ERR_EXISTS, "there is a network '%s' already", n->name);
		if ((list[i].subnet ^ n->subnet) >> (32 - bits) == 0)
			return err_set(e, ERR_EXISTS, "that subnet meets the one of network '%s'",
				       list[i].name);
		if (list[i].id >= *id)
			*id = list[i].id + 1;
	}
	meets = *n->parent ? 0 : net_overlaps(n->subnet, n->prefix, e);
	if (meets > 0)
		return err_set(e, ERR_EXISTS,
			       "the host has a route to a part of that subnet already");
	if (*id > 999)
		return err_set(e, ERR_INVALID, "there are too many networks");
	return meets;
}

static int net_create(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	struct network n = { .id = 2 };
	auto_fd int lock = -1;

	(void)argc;
	if (network_check_name(argv[0], c->e) < 0) {
		c->e->code = ERR_USAGE;
		return -1;
	}
	if (open_instances(c, &all) < 0)
		return -1;
	snprintf(n.name, sizeof(n.name), "%s", argv[0]);
	if (streq(n.name, "bridge") || streq(n.name, "routed"))
		return err_set(c->e, ERR_EXISTS, "network '%s' is there by itself", n.name);
	lock = networks_open(&all, c->e);
	if (lock < 0)
		return -1;
	if (flock(lock, LOCK_EX) < 0)
		return err_set(c->e, errno, "cannot lock the networks");
	if (read_options(c->options, &all, &n, c->e) < 0 ||
	    check_subnet(&all, &n, &n.id, c->e) < 0 || network_write(&all, &n, c->e) < 0)
		return -1;
	printf("%s\n", n.name);
	return EXIT_DONE;
}

const struct verb verb_net_create = {
	.name = "net create",
	.run = net_create,
	.operands = "NAME",
	.min = 1,
	.max = 1,
	.help = "make a network",
	.rows = create_rows,
	.options_size = sizeof(struct create_options),
	.more = "Nothing of it is on the host before an instance uses it. Instances of one network reach each other, those of\n"
		"different ones do not.",
};

/* ---- ls, inspect ---- */

static const char *show(uint32_t ip, char out[INET_ADDRSTRLEN])
{
	struct in_addr a = { htonl(ip) };

	return inet_ntop(AF_INET, &a, out, INET_ADDRSTRLEN);
}

static void put_members(const struct instances *all, const struct network *n, char **names,
			struct json_writer *w)
{
	json_open(w, "instances", '[');
	for (char **name = names; *name; name++) {
		struct instance_dir d = { .fd = -1, .promise = -1 };
		auto_instance struct instance *i = NULL;
		struct err ignored;

		if (instance_look(all, *name, &d, &ignored) < 0)
			continue;
		i = instance_load(&d, &ignored);
		close(d.fd);
		for (const char *const *v = i ? i->nets : NULL; v && *v; v++) {
			char net[NET_NAME_MAX + 1], ip[INET_ADDRSTRLEN];
			uint32_t address;

			if (!network_of_words(*v, net) || !streq(net, n->name))
				continue;
			address = network_address(i, *v, n);
			json_open(w, NULL, '{');
			json_put_string(w, "name", *name);
			if (address)
				json_put_string(w, "address", show(address, ip));
			json_close(w);
		}
	}
	json_close(w);
}

static void put_network(const struct network *n, struct json_writer *w)
{
	char ip[INET_ADDRSTRLEN], text[64];

	json_put_string(w, "name", n->name);
	json_put_string(w, "mode", network_mode(n));
	if (*n->parent)
		json_put_string(w, "parent", n->parent);
	if (n->vlan)
		json_put_u64(w, "vlan", n->vlan);
	snprintf(text, sizeof(text), "%s/%u", show(n->subnet, ip), n->prefix);
	json_put_string(w, "subnet", text);
	if (n->subnet6[0]) {
		char ip6[INET6_ADDRSTRLEN];

		snprintf(text, sizeof(text), "%s/48",
			 inet_ntop(AF_INET6, n->subnet6, ip6, sizeof(ip6)));
		json_put_string(w, "subnet6", text);
	}
	json_put_u64(w, "mtu", n->mtu ? n->mtu : 1500);
	json_put_u64(w, "addresses", net_capacity(n));
	json_put_u64(w, "instances_of_one_bridge", n->routed || *n->parent ? 0 : NET_SHARD);
	json_put_bool(w, "internal", n->internal);
	json_put_bool(w, "isolated", n->isolated);
}

static int net_ls(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	auto_free struct network *list = NULL;
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out, .indent = true };
	size_t n;

	(void)argc;
	(void)argv;
	if (open_instances(c, &all) < 0 || networks_list(&all, &list, &n, c->e) < 0)
		return -1;
	if (c->json) {
		json_open(&w, NULL, '{');
		json_put_u64(&w, "version", FORMAT_VERSION);
		json_open(&w, "networks", '[');
	} else {
		str_addf(&out, "%-20s  %-8s  %-18s  %-9s  %s\n", "NETWORK", "MODE", "SUBNET",
			 "ADDRESSES", "FLAGS");
	}
	for (size_t i = 0; i < n; i++) {
		char ip[INET_ADDRSTRLEN], subnet[32];

		if (c->json) {
			json_open(&w, NULL, '{');
			put_network(&list[i], &w);
			json_close(&w);
			continue;
		}
		snprintf(subnet, sizeof(subnet), "%s/%u", show(list[i].subnet, ip), list[i].prefix);
		str_addf(&out, "%-20s  %-8s  %-18s  %-9u  %s%s\n", list[i].name,
			 network_mode(&list[i]), subnet, net_capacity(&list[i]),
			 list[i].internal ? "internal " : "", list[i].isolated ? "isolated" : "");
	}
	if (c->json) {
		json_close(&w);
		json_close(&w);
		return print_text(c, &out);
	}
	if (out.failed)
		return err_set(c->e, ENOMEM, "cannot list the networks");
	fputs(str_text(&out), stdout); /* main.c looks whether it arrived */
	return EXIT_DONE;
}

const struct verb verb_net_ls = {
	.name = "net ls",
	.aliases = "list",
	.run = net_ls,
	.flags = VERB_JSON,
	.max = 0,
	.help = "list networks",
};

static int net_inspect(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	auto_free char **names = NULL;
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out, .indent = true };
	size_t count;

	if (open_instances(c, &all) < 0 || instances_match(&all, NULL, &names, &count, c->e) < 0)
		return -1;
	json_open(&w, NULL, '{');
	json_put_u64(&w, "version", FORMAT_VERSION);
	json_open(&w, "networks", '[');
	for (int i = 0; i < argc; i++) {
		struct network n;

		if (network_read(&all, argv[i], &n, c->e) < 0)
			return -1;
		json_open(&w, NULL, '{');
		put_network(&n, &w);
		put_members(&all, &n, names, &w);
		json_close(&w);
	}
	json_close(&w);
	json_close(&w);
	return print_text(c, &out);
}

const struct verb verb_net_inspect = {
	.name = "net inspect",
	.run = net_inspect,
	.flags = VERB_JSON,
	.operands = "NETWORK...",
	.min = 1,
	.max = -1,
	.help = "show all of networks, with who is in them, as JSON",
};

/* ---- rm ---- */

/* The first instance that names the network; "". */
static int find_user(const struct instances *all, const char *network, char out[64], struct err *e)
{
	auto_free char **names = NULL;
	size_t n;

	*out = '\0';
	if (instances_match(all, NULL, &names, &n, e) < 0)
		return -1;
	for (size_t k = 0; k < n; k++) {
		struct instance_dir d = { .fd = -1, .promise = -1 };
		auto_instance struct instance *i = NULL;
		struct err why;

		if (instance_look(all, names[k], &d, &why) < 0)
			continue;
		i = instance_load(&d, e);
		close(d.fd);
		if (!i)
			return -1; /* damaged: it may be one */
		for (const char *const *v = i->nets; v && *v; v++) {
			char net[NET_NAME_MAX + 1];

			if (network_of_words(*v, net) && streq(net, network))
				snprintf(out, 64, "%s", names[k]);
		}
	}
	return 0;
}

static int net_rm(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	struct net_names names;
	auto_fd int lock = -1;

	if (open_instances(c, &all) < 0)
		return -1;
	lock = networks_open(&all, c->e);
	if (lock < 0)
		return -1;
	if (flock(lock, LOCK_EX) < 0)
		return err_set(c->e, errno, "cannot lock the networks");
	net_names_of(all.run_path, streq(all.run_path, RUN_ROOT_DEFAULT), &names);
	for (int i = 0; i < argc; i++) {
		struct network n;
		char user[64];

		if (network_check_name(argv[i], c->e) < 0)
			return -1;
		if (faccessat(lock, argv[i], F_OK, 0) < 0)
			return network_read(&all, argv[i], &n, c->e) < 0 ? -1 : EXIT_DONE;
		if (network_read(&all, argv[i], &n, c->e) < 0 ||
		    find_user(&all, n.name, user, c->e) < 0)
			return -1;
		if (*user)
			return err_set(c->e, ERR_STATE, "network '%s' is used, by '%s' for one",
				       n.name, user);
		if (net_remove(&names, &n, c->e) < 0)
			return -1;
		if (unlinkat(lock, n.name, 0) < 0 || fsync(lock) < 0)
			return err_set(c->e, errno, "cannot remove network '%s'", n.name);
	}
	return EXIT_DONE;
}

const struct verb verb_net_rm = {
	.name = "net rm",
	.aliases = "remove delete",
	.run = net_rm,
	.operands = "NETWORK...",
	.min = 1,
	.max = -1,
	.help = "remove networks that no instance uses",
};

/* ---- connect, disconnect ---- */

/* In the instance that runs, before it is written: what is written was possible. */
static int change_running(const struct instances *all, const char *name, const struct instance *i,
			  const struct network *n, const char *words, bool add, struct err *e)
{
	auto_running struct running r = RUNNING_NONE;
	struct state_dir sd = { .root = -1 };
	int rc;

	if (running_look(all, name, &r, e) < 0)
		return -1;
	if (!r.exists || r.pidfd < 0)
		return 0;
	if (state_open(all->states, name, &sd, e) < 0)
		return -1;
	rc = add ? network_plug(all, &sd, name, r.pid, i, words, e) :
		   network_unplug(all, &sd, name, i, n, e);
	state_close(&sd);
	return rc;
}

static int change(struct cli *c, const char *words, const char *name, bool add)
{
	auto_instances struct instances all = INSTANCES_NONE;
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_instance struct instance *i = NULL;
	bool has_namespace = true;
	char net[NET_NAME_MAX + 1], other[NET_NAME_MAX + 1];
	struct network n;
	const char **v;
	size_t k = 0, found = 0;
	int rc = -1;

	if (!network_of_words(words, net))
		return err_set(c->e, ERR_USAGE, "'%s' is no network", words);
	if (open_instances(c, &all) < 0 || network_read(&all, net, &n, c->e) < 0 ||
	    instance_open(&all, name, &d, c->e) < 0)
		return -1;
	i = instance_load(&d, c->e);
	if (!i)
		goto out;
	while (i->nets && i->nets[k])
		k++;
	v = arena_array(i->arena, k + 2, sizeof(*v));
	if (!v) {
		err_set(c->e, ENOMEM, "networks");
		goto out;
	}
	k = 0;
	for (const char *const *w = i->nets; w && *w; w++) {
		bool same = network_of_words(*w, other) && streq(other, net);

		found += same;
		has_namespace &= streq(*w, "none") || network_of_words(*w, other);
		if (!streq(*w, "none") && (add || !same))
			v[k++] = *w;
	}
	if (add == (found > 0)) {
		err_set(c->e, ERR_STATE, "'%s' is %s network '%s'", name,
			add ? "already in" : "not in", net);
		goto out;
	}
	if (add)
		v[k++] = words;
	if (!k)
		v[k++] = "none";
	i->nets = v;
	if (instance_check(i, c->e) < 0 || network_lease(&all, &d, i, c->e) < 0 ||
	    (has_namespace && change_running(&all, name, i, &n, words, add, c->e) < 0) ||
	    instance_save(&d, i, true, c->e) < 0)
		goto out;
	rc = EXIT_DONE;
out:
	instance_close(&d);
	return rc;
}

static int net_connect(struct cli *c, int argc, char **argv)
{
	(void)argc;
	return change(c, argv[0], argv[1], true);
}

static int net_disconnect(struct cli *c, int argc, char **argv)
{
	(void)argc;
	return change(c, argv[0], argv[1], false);
}

const struct verb verb_net_connect = {
	.name = "net connect",
	.run = net_connect,
	.operands = "NETWORK[:ip=ADDRESS] NAME",
	.min = 2,
	.max = 2,
	.help = "give an instance an interface in a network, at once if it runs",
};

const struct verb verb_net_disconnect = {
	.name = "net disconnect",
	.run = net_disconnect,
	.operands = "NETWORK NAME",
	.min = 2,
	.max = 2,
	.help = "take an instance out of a network, at once if it runs",
};
