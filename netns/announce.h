/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_ANNOUNCE_H
#define CTR_ANNOUNCE_H

#include <stdint.h>

/*
 * Says on interface @index of the caller's network namespace, which is up, that @ip (host byte order) and @ip6 (all zero: none) are here: by
 * an ARP announcement (RFC 5227, 3) and an unsolicited neighbour advertisement (RFC 4861, 7.2.6). Switches learn from it where the MAC is now,
 * and neighbours what it is. Nobody has to hear it, so nothing is told of a failure.
 */
void announce(unsigned index, uint32_t ip, const uint8_t ip6[16]);

#endif
