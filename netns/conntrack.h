/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conntrack.h - forgetting where datagrams went before. Nothing is reported: without the kernel's tracking there is nothing to forget.
 */
#ifndef CTR_NETNS_CONNTRACK_H
#define CTR_NETNS_CONNTRACK_H

#include <stdint.h>

/* Those sent to that port, of any address, whoever got them. */
void conntrack_forget_port(uint16_t port);

/* Those that @ip, an address of @family, has got and would answer. */
void conntrack_forget_answers(int family, const void *ip);

#endif
