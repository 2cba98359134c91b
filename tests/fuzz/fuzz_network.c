/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network's file ('n'), a line of a journal ('j'), a port to publish ('p'): what is accepted is within the bounds that others
 * count on. The first byte says which.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/network.h"
#include "netns/nft.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void line(const char *text)
{
	struct str out = { 0 };
	struct nft_element el, again;
	struct nft_room room, other;
	struct err e;

	if (nft_read(text, &room, &el, &e) < 0)
		return;
	nft_write(room.table, &el, 1, &out);
	if (!out.len)
		abort();
	out.s[out.len - 1] = '\0';
	if (nft_read(out.s, &other, &again, &e) < 0 || again.key_len != el.key_len ||
	    memcmp(again.key, el.key, el.key_len) != 0 || again.data_len != el.data_len)
		abort();
	str_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1);
	struct publication p;
	struct network n;
	struct err e;
	int count;

	if (size && text) {
		memcpy(text, data + 1, size - 1);
		if (*data == 'n' && network_parse(text, size - 1, &n, &e) == 0 &&
		    (n.prefix < 12 || n.prefix > 30 || n.id > 999 ||
		     net_capacity(&n) > NET_INDEX_MAX))
			abort();
		if (*data == 'j')
			line(text);
		if (*data == 'p' && (count = publication_parse(text, &p, &e)) >= 0 &&
		    (count < 1 || p.host_port + count > 65536 || p.port + count > 65536))
			abort();
	}
	free(text);
	return 0;
}
