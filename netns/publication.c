/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <string.h>

#include "netns/netns.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"

#define PORTS_MAX 65535

int parse_ip(const char *text, uint32_t *ip)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		return -1;
	*ip = ntohl(a.s_addr);
	return 0;
}

/* "A[-B]" */
static int parse_ports(const char *text, unsigned *first, unsigned *last)
{
	char copy[16], *dash;
	uint64_t a, b;

	if (strlen(text) >= sizeof(copy))
		return -1;
	strcpy(copy, text);
	dash = strchr(copy, '-');
	if (dash)
		*dash++ = '\0';
	if (parse_u64(copy, 1, PORTS_MAX, &a) < 0 ||
	    parse_u64(dash ? dash : copy, a, PORTS_MAX, &b) < 0)
		return -1;
	*first = (unsigned)a;
	*last = (unsigned)b;
	return 0;
}

/* "[IP:]HOST:INSTANCE[/tcp|/udp|/sctp]", ports as "8000" or "8000-8010". How many ports, or -1. */
int publication_parse(const char *text, struct publication *first, struct err *e)
{
	static const struct {
		const char *name;
		uint8_t number;
	} protocols[] = { { "tcp", IPPROTO_TCP },
			  { "udp", IPPROTO_UDP },
			  { "sctp", IPPROTO_SCTP } };
	struct publication p = { .protocol = IPPROTO_TCP };
	unsigned a, b, c, d;
	char copy[64], *slash, *inside, *outside;

	if (strlen(text) >= sizeof(copy))
		goto wrong;
	strcpy(copy, text);
	slash = strchr(copy, '/');
	if (slash) {
		*slash++ = '\0';
		p.protocol = 0;
		for (size_t i = 0; i < 3; i++)
			if (streq(slash, protocols[i].name))
				p.protocol = protocols[i].number;
	}
	inside = strrchr(copy, ':');
	if (!inside || !p.protocol)
		goto wrong;
	*inside++ = '\0';
	outside = strrchr(copy, ':');
	if (outside) {
		*outside++ = '\0';
		if (parse_ip(copy, &p.host) < 0)
			goto wrong;
	} else {
		outside = copy;
	}
	if (parse_ports(outside, &a, &b) < 0 || parse_ports(inside, &c, &d) < 0 || b - a != d - c)
		goto wrong;
	p.host_port = (uint16_t)a;
	p.port = (uint16_t)c;
	*first = p;
	return (int)(b - a) + 1;
wrong:
	return err_set(
		e, ERR_INVALID,
		"'%.100s' is not [IP:]PORT:PORT[/tcp|/udp|/sctp], such as 8080:80 or 5000-5010:5000-5010/udp",
		text);
}
