/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_live.c - the networks of what runs: changed, filtered, found lost and brought back. What a run has of the host stands in its
 * journal (runtime/state.h), and what it is to have in its configuration.
 */
#include "cli/network.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/rootless.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/hosts.h"
#include "runtime/instance.h"
#include "runtime/instances.h"
#include "runtime/state.h"

/* ---- what passes ---- */

static int filter_all_inside(pid_t pid, const struct traffic *t, struct err *e)
{
	auto_fd int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), other = -1;
	char path[40];
	int rc = 0;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	other = open(path, O_RDONLY | O_CLOEXEC);
	if (own < 0 || other < 0 || setns(other, CLONE_NEWNET) < 0)
		return err_set(e, errno, "cannot enter its network namespace");
	for (int k = 0; rc == 0 && k < NICS_MAX; k++) {
		unsigned index;

		snprintf(path, sizeof(path), "eth%d", k);
		index = if_nametoindex(path);
		rc = index ? filter_inside(index, t, e) : 0;
	}
	if (netns_return(own, e) < 0)
		return -1;
	return rc;
}

int network_filter(const struct instances *all, struct state_dir *sd, pid_t pid,
		   const struct instance *i, struct err *e)
{
	auto_str struct str journal = { 0 }, more = { 0 };
	char links[NICS_MAX][IFNAMSIZ];
	struct net_names names;
	struct traffic t;
	int n;

	if (file_read(sd->dir, "journal", 16u << 20, &journal, e) < 0)
		return -1;
	n = (int)nic_links(str_text(&journal), links, NICS_MAX);
	network_names(all, &names);
	network_traffic(i, &t);
	for (int k = 0; k < n; k++) {
		auto_str struct str line = { 0 };

		filter_journal(names.table, links[k], &line);
		if (!line.failed && !strstr(str_text(&journal), str_text(&line)))
			str_add(&more, str_text(&line));
		if (line.failed || more.failed)
			return err_set(e, ENOMEM, "rules");
	}
	if (more.len && state_add_journal(sd, str_text(&more), more.len, e) < 0)
		return -1;
	for (int k = 0; k < n; k++)
		if (filter_outside(names.table, links[k], &t, e) < 0)
			return -1;
	return pid ? filter_all_inside(pid, &t, e) : 0;
}

/*
 * The part of a journal that is of one interface: from the end of the one before to the lines behind its "link". Of the one whose
 * elements or bridge name network @n: its start, *len and its link; NULL.
 */
static const char *find_section(const char *journal, const struct net_names *names,
				const struct network *n, size_t *len, char link[IFNAMSIZ])
{
	char bridge[40], set[24];
	const char *begin = journal;

	snprintf(bridge, sizeof(bridge), "\nneigh %s%u.", names->bridge, n->id);
	snprintf(set, sizeof(set), " net%u ", n->id);
	while ((begin = strstr(begin, "nft "))) {
		const char *at = strstr(begin, "\nlink "), *end;
		auto_free char *part = NULL;

		if (!at)
			return NULL;
		end = strchr(at + 1, '\n');
		while (end && (str_after(end + 1, "table ") || str_after(end + 1, "neigh ")))
			end = strchr(end + 1, '\n');
		if (!end)
			return NULL;
		*len = (size_t)(end + 1 - begin);
		part = strndup(begin, *len);
		if (part && (n->routed ? strstr(part, set) : strstr(part, bridge)) &&
		    sscanf(at, "\nlink %15s", link) == 1)
			return begin;
		begin = end + 1;
	}
	return NULL;
}

/* The first ethK that there is not yet: 2 + K. */
static int free_index(pid_t pid, unsigned *index, struct err *e)
{
	auto_fd int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), other = -1;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	other = open(path, O_RDONLY | O_CLOEXEC);
	if (own < 0 || other < 0 || setns(other, CLONE_NEWNET) < 0)
		return err_set(e, errno, "cannot enter its network namespace");
	for (*index = 2; *index < 2 + NICS_MAX; ++*index) {
		snprintf(path, sizeof(path), "eth%u", *index - 2);
		if (!if_nametoindex(path))
			break;
	}
	if (netns_return(own, e) < 0)
		return -1;
	return *index < 2 + NICS_MAX ?
		       0 :
		       err_set(e, ERR_INVALID, "net: more than %d interfaces", NICS_MAX);
}

/* What was recorded of the start says now that the instance is in these networks. */
static int record_nets(struct state_dir *sd, const struct instance *i, struct err *e)
{
	auto_instance struct instance *started = NULL;
	auto_str struct str text = { 0 }, out = { 0 };

	if (file_read(sd->dir, "config.json", INSTANCE_CONFIG_MAX, &text, e) < 0)
		return -1;
	started = instance_parse(str_text(&text), text.len, e);
	if (!started)
		return -1;
	started->nets = i->nets;
	started->addresses = i->addresses;
	instance_dump(started, &out);
	if (out.failed)
		return err_set(e, ENOMEM, "configuration");
	return file_replace(sd->dir, "config.json", out.s, out.len, 0600, false, e);
}

static int rename_hosts(const struct instances *all, const struct instance *i, const char *name,
			struct err *e)
{
	const struct hosts_line *lines;
	struct networking net;
	size_t n;

	if (network_resolve(all, i, name, i->arena, &net, e) < 0 ||
	    !(lines = network_hosts(&net, i->arena, &n, e)))
		return -1;
	return hosts_prepare(all, lines, n, e) < 0 ? -1 : hosts_add(all, name, lines, n, e);
}

int network_plug(const struct instances *all, struct state_dir *sd, const char *name, pid_t pid,
		 const struct instance *i, const char *words, struct err *e)
{
	auto_str struct str journal = { 0 }, lines = { 0 };
	auto_fd int netns = -1;
	struct networking one;
	struct err ignored;
	struct nic nic;
	char path[40];
	unsigned index;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		return err_set(e, errno, "cannot open its network namespace");
	if (free_index(pid, &index, e) < 0 ||
	    network_nic(all, i, name, words, index, i->arena, &nic, e) < 0)
		return -1;
	nic.later = true;
	one = (struct networking){ .nics = &nic, .n = 1 };
	nic_journal(&nic, &lines);
	if (lines.failed)
		return err_set(e, ENOMEM, "network");
	if (network_ready(all, &one, e) < 0 ||
	    file_read(sd->dir, "journal", 16u << 20, &journal, e) < 0 ||
	    (lines.len && state_add_journal(sd, lines.s, lines.len, e) < 0))
		return -1;
	if (nic_attach(&nic, netns, e) == 0 && record_nets(sd, i, e) == 0 &&
	    rename_hosts(all, i, name, e) == 0)
		return 0;
	(void)nic_detach(nic.link, &ignored);
	(void)nic_undo(str_text(&lines), &ignored);
	(void)file_replace(sd->dir, "journal", str_text(&journal), journal.len, 0600, false,
			   &ignored);
	return -1;
}

int network_unplug(const struct instances *all, struct state_dir *sd, const char *name,
		   const struct instance *i, const struct network *n, struct err *e)
{
	auto_str struct str journal = { 0 }, lines = { 0 }, rest = { 0 };
	struct net_names names;
	char link[IFNAMSIZ];
	const char *at;
	size_t len;

	if (net_is_shared(n))
		return err_set(e, ERR_STATE,
			       "'%s' runs: its interface of a %s network goes when it stops", name,
			       network_mode(n));
	network_names(all, &names);
	if (file_read(sd->dir, "journal", 16u << 20, &journal, e) < 0)
		return -1;
	at = find_section(str_text(&journal), &names, n, &len, link);
	if (!at) /* it was to be so from the next start on only */
		return 0;
	str_add_n(&lines, at, len);
	str_add_n(&rest, journal.s, (size_t)(at - journal.s));
	str_add(&rest, at + len);
	if (lines.failed || rest.failed)
		return err_set(e, ENOMEM, "network");
	/* what is not there any more is undone once more if this ends here */
	if (nic_detach(link, e) < 0 || nic_undo(lines.s, e) < 0 ||
	    file_replace(sd->dir, "journal", rest.s, rest.len, 0600, false, e) < 0 ||
	    record_nets(sd, i, e) < 0)
		return -1;
	return rename_hosts(all, i, name, e);
}

/* ---- the host ---- */

struct restore {
	const struct instances *all;
	int lock;
};

/* The rules of its networks, what lies in its journal, and what its configuration says of its traffic. */
static int restore(const struct restore *r, const char *id, const struct instance *i,
		   const char *journal, struct err *e)
{
	struct state_dir sd = { .dir = -1 };
	struct net_names names;
	struct networking net;
	struct traffic t;
	int rc = -1;

	network_names(r->all, &names);
	network_traffic(i, &t);
	if (network_resolve(r->all, i, id, i->arena, &net, e) < 0)
		return -1;
	for (size_t k = 0; k < net.n; k++)
		if (net_ready(&names, &net.nics[k], r->lock, e) < 0)
			return -1;
	if (net_restore(journal, e) < 0)
		return -1;
	if (!i->firewall && !i->net_rate)
		return 0;
	sd.dir = openat(r->all->states, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (sd.dir < 0)
		return err_set(e, errno, "cannot open its run state");
	rc = network_filter(r->all, &sd, 0, i, e);
	close(sd.dir);
	return rc;
}

static int restore_one(const char *id, void *arg)
{
	const struct restore *r = arg;
	auto_instance struct instance *i = NULL;
	auto_str struct str text = { 0 };
	char path[300];
	struct err e;

	snprintf(path, sizeof(path), "%.255s/journal", id);
	if (file_read(r->all->states, path, 16u << 20, &text, &e) == 0 &&
	    strstr(str_text(&text), "\nlink ") &&
	    (instance_read(r->all, id, &i, &e) < 0 || restore(r, id, i, str_text(&text), &e) < 0))
		log_warn("cannot restore the network rules of '%s': %s", id, e.msg);
	return 0;
}

struct lost {
	const struct instances *all;
	char (*name)[64];
};

static int look_one(const char *id, void *arg)
{
	const struct lost *l = arg;
	auto_instance struct instance *i = NULL;
	auto_str struct str text = { 0 };
	char links[NICS_MAX][IFNAMSIZ], path[300];
	struct net_names names;
	struct traffic t;
	struct err e;
	bool lost;
	int n;

	snprintf(path, sizeof(path), "%.255s/journal", id);
	if (file_read(l->all->states, path, 16u << 20, &text, &e) < 0)
		return 0;
	lost = net_lost(str_text(&text), &e) == 1;
	n = (int)nic_links(str_text(&text), links, NICS_MAX);
	if (!lost && n && instance_read(l->all, id, &i, &e) == 0) {
		network_names(l->all, &names);
		network_traffic(i, &t);
		while (!lost && n-- > 0)
			lost = filter_is_there(names.table, links[n], &t, &e) == 0;
	}
	if (lost)
		snprintf(*l->name, sizeof(*l->name), "%.63s", id);
	return lost;
}

int network_lost(const struct instances *all, char name[64], struct err *e)
{
	struct lost l = { all, (char(*)[64])name };

	return state_each(all->states, look_one, &l, e);
}

int network_ready(const struct instances *all, const struct networking *n, struct err *e)
{
	auto_fd int lock = n->n ? networks_open(all, e) : -1;
	struct restore r = { all, lock };
	struct net_names names;

	if (n->n && lock < 0)
		return -1;
	network_names(all, &names);
	for (size_t i = 0; i < n->n; i++) {
		int lost = net_ready(&names, &n->nics[i], lock, e);

		if (lost < 0)
			return -1;
		if (lost && state_each(all->states, restore_one, &r, e) < 0)
			return -1;
	}
	if (n->n)
		rootless_warn_if_alone();
	return 0;
}

/* ---- who has a port ---- */

struct search {
	const struct instances *all;
	const char *self;
	const struct networking *net;
	struct err *e;
};

static bool publishes(const struct instance *i, const struct publication *wanted)
{
	for (const char *const *w = i->publish; w && *w; w++) {
		struct publication p;
		struct err ignored;
		int count = publication_parse(*w, &p, &ignored);

		if (count > 0 && p.protocol == wanted->protocol && p.host == wanted->host &&
		    wanted->host_port >= p.host_port && wanted->host_port < p.host_port + count)
			return true;
	}
	return false;
}

/* What it was started with, not what it will be. */
static int search_one(const char *id, void *arg)
{
	const struct search *s = arg;
	auto_instance struct instance *i = NULL;
	auto_str struct str text = { 0 };
	struct err ignored;
	char path[300];

	snprintf(path, sizeof(path), "%.255s/config.json", id);
	if (streq(id, s->self) ||
	    file_read(s->all->states, path, INSTANCE_CONFIG_MAX, &text, &ignored) < 0)
		return 0;
	i = instance_parse(str_text(&text), text.len, &ignored);
	for (size_t k = 0; i && k < s->net->n; k++)
		for (size_t p = 0; p < s->net->nics[k].n_pubs; p++)
			if (publishes(i, &s->net->nics[k].pubs[p])) {
				err_set(s->e, ERR_EXISTS, "port %u is published by '%s' already",
					s->net->nics[k].pubs[p].host_port, id);
				return 1;
			}
	return 0;
}

void network_name_holder(const struct instances *all, const char *self, const struct networking *n,
			 struct err *e)
{
	struct search s = { all, self, n, e };
	struct err ignored;

	(void)state_each(all->states, search_one, &s, &ignored);
}
