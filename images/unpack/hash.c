#include "images/unpack/hash.h"

#include <dlfcn.h>

/* All OpenSSL 3 have these, whose use needs no provider and no configuration file. */
static struct {
	int (*init)(void *c);
	int (*update)(void *c, const void *data, size_t len);
	int (*final)(unsigned char *digest, void *c);
} openssl;

void hash_load(void)
{
	/* never closed: it is wanted to the end */
	void *lib = dlopen("libcrypto.so.3", RTLD_LAZY | RTLD_LOCAL);

	if (!lib)
		return;
	openssl.update =
		(int (*)(void *, const void *, size_t))(uintptr_t)dlsym(lib, "SHA256_Update");
	openssl.final = (int (*)(unsigned char *, void *))(uintptr_t)dlsym(lib, "SHA256_Final");
	if (openssl.update && openssl.final)
		openssl.init = (int (*)(void *))(uintptr_t)dlsym(lib, "SHA256_Init");
}

void hash_init(struct hash *h)
{
	if (openssl.init)
		(void)openssl.init(h->openssl);
	else
		sha256_init(&h->nettle);
}

void hash_update(struct hash *h, const void *data, size_t len)
{
	if (openssl.init)
		(void)openssl.update(h->openssl, data, len);
	else
		sha256_update(&h->nettle, len, data);
}

void hash_digest(struct hash *h, uint8_t digest[32])
{
	if (openssl.init)
		(void)openssl.final(digest, h->openssl);
	else
		sha256_digest(&h->nettle, 32, digest);
}
