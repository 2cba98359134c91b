/*
 * hash.h - SHA-256 of whole archives: by OpenSSL where that is installed, an eighth faster than nettle, which we are linked with.
 * An import takes as long as its hash.
 */
#ifndef CTR_UNPACK_HASH_H
#define CTR_UNPACK_HASH_H

#include <nettle/sha2.h>
#include <stddef.h>
#include <stdint.h>

struct hash {
	union {
		struct sha256_ctx nettle;
		uint64_t openssl[32]; /* its SHA256_CTX, of 112 bytes */
	};
};

/* Looks for OpenSSL: before the first hash, while there is one thread, and files to load from. */
void hash_load(void);

void hash_init(struct hash *h);
void hash_update(struct hash *h, const void *data, size_t len);
void hash_digest(struct hash *h, uint8_t digest[32]); /* once, at the end */

#endif
