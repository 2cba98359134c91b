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

#endif
