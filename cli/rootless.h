/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootless.h - `ctr` of an ordinary user: as root of namespaces that all of the user's commands share.
 *
 *	$CTR_ROOT, else $XDG_DATA_HOME/ctr or ~/.local/share/ctr	images and instances, as root's
 *		rootless/lock		held while the namespaces are made, or looked for
 *		rootless/keeper		who holds them: the number of a process and a token
 *		rootless/run/		in there a tmpfs, with the token, and what /run/ctr is for root
 *		rootless/pasta.pid
 *
 * A command that root has not called enters a user namespace with the ids that /etc/subuid and /etc/subgid give the user (subids.h), and
 * a mount and a network namespace that belong to it. In there nothing is different for the rest of ctr: bridges, addresses, names,
 * firewalls between instances. The namespaces live as long as anything in them, and a process that does nothing else, the keeper
 * (`ctr: rootless`), so that an empty network stays. If that is killed the next command has another one made in the same place,
 * found by any supervisor; if all were killed, it is as after a reboot.
 *
 * pasta(1), if it is installed, connects the network namespace with the host's networks. Of ports it forwards those that somebody
 * listens on in there, which for a published port nobody does (it is a rule of nftables): so who stays with an instance does, for
 * nothing else. Not to be had so are SCTP, and ports below net.ipv4.ip_unprivileged_port_start.
 *
 * What a user cannot have: cgroups, hence limits; devices; an image's file system mounted rather than unpacked; quotas.
 */
#ifndef CTR_ROOTLESS_H
#define CTR_ROOTLESS_H

#include <stdbool.h>
#include <sys/types.h>

struct cli;
struct instance;
struct instances;

/* What the keeper is called, argv[0]: main() gives it to keeper_main(). */
#define KEEPER "ctr: rootless"
int keeper_main(void);

/*
 * Called by all but root, enters the namespaces, makes them first if there are none, and sets c->store_root, c->run_root, $CTR_ROOT and
 * $CTR_RUN; and for a verb that starts instances (VERB_STARTS) sees to it that pasta runs. For root, nothing. Of a verb that is
 * VERB_ANYWHERE the door does not call it.
 */
int rootless_enter(struct cli *c);

/*
 * Before the namespaces of process @keeper are entered: has pasta run for them, if @starts or if it did before. Its number is a file in <@data>/rootless, which is
 * open as @dir and locked.
 */
void rootless_find_way_out(const char *data, int dir, pid_t keeper, bool starts);

/* Whether this command has entered them; and if it was looked for, why nothing leads from there to the host's networks ("": something does). */
bool rootless_is_entered(void);
const char *rootless_no_way_out(void);

/* Warns, once and if this command has entered them, that nothing leads from the namespaces to the host's networks, and why. */
void rootless_warn_if_alone(void);

/*
 * Listens on the ports that @i publishes, if the instances are a user's, until the caller ends. What fails is told by rootless_await_ports()
 * to whoever waits. True: there are such, by descriptors from SUPERVISE_KEPT on, where nothing else is open; of a supervisor (@supervisor)
 * they stay so when it executes itself anew.
 */
bool rootless_hold_ports(const struct instances *all, const struct instance *i, bool supervisor);

/* Waits until pasta has opened these ports on the host, and warns of those that it does not open within some seconds. */
void rootless_await_ports(const struct instance *i);

#endif
