/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netns.h - the network of a container. The one public header of netns/.
 */
#ifndef CTR_NETNS_H
#define CTR_NETNS_H

struct err;

/*
 * Brings the loopback interface of the caller's network namespace up, by one rtnetlink message. Needs
 * CAP_NET_ADMIN there. 0, or -1 and *e.
 */
int netns_loopback_up(struct err *e);

/*
 * Moves the device @device of the caller's network namespace into @netns, under @name, with its permanent addresses of
 * global scope, and brings it up. The caller enters @netns meanwhile: it must be single-threaded and have CAP_NET_ADMIN
 * in both, CAP_SYS_ADMIN in that. 0, or -1 and *e; it may have been moved then. With the namespace a physical device
 * goes back to the host's first one, a virtual one ends (network_namespaces(7)).
 */
int netns_move_device(const char *device, int netns, const char *name, struct err *e);

#endif
