/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft.h - elements of our sets and maps, by transactions over netlink; the rules themselves, as text, by nft(8).
 */
#ifndef CTR_NETNS_NFT_H
#define CTR_NETNS_NFT_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct nft_element;
struct str;

/*
 * Adds all in one transaction: all or none. ENOENT: the rules are not there. ERR_EXISTS: one is there already, *which of them
 * (may be NULL).
 */
int nft_add(const char *table, const struct nft_element *list, size_t n, size_t *which,
	    struct err *e);

/* Removes those that are there and, of maps, that are so: another's port is left alone. No rules at all is success. */
int nft_remove(const char *table, const struct nft_element *list, size_t n, struct err *e);

/* 1: it is there, whatever its data. 0, or -1 and *e. */
int nft_has(const char *table, const struct nft_element *el, struct err *e);

/* Whether there is a table of family netdev of that name; -1 and *e. */
int nft_has_table(const char *name, struct err *e);

/* Whether there is any rule, of whoever's, but in tables of devices. 1, 0, or -1 and *e. */
int nft_has_rules(struct err *e);

/* Removes it, if it is there, with all in it. */
int nft_remove_table(const char *name, struct err *e);

/* Lines "nft TABLE FAMILY SET KEY [DATA|>CHAIN]", in hexadecimal. */
void nft_write(const char *table, const struct nft_element *list, size_t n, struct str *out);

/*
 * Reads such a line, without its newline, into *out; @table and the strings are in @room. A line that nft_write() cannot have
 * written is ERR_INVALID.
 */
struct nft_room {
	char table[16], set[24], chain[24];
};
int nft_read(const char *line, struct nft_room *room, struct nft_element *out, struct err *e);

/* The table of family netdev as JSON (libnftables-json(5)), added to @out. 0, or -1 and *e. */
int nft_list_table(const char *name, struct str *out, struct err *e);

/* Loads rules as text. ERR_NOT_SUPPORTED with the cure if nft(8) is not installed. */
int nft_load(const char *text, struct err *e);

#endif
