#include "runtime/base/sha256.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const uint32_t k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static uint32_t ror(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static void block(uint32_t h[8], const uint8_t *p)
{
	uint32_t w[64], v[8];

	for (int i = 0; i < 16; i++, p += 4)
		w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	for (int i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + (ror(a, 7) ^ ror(a, 18) ^ a >> 3) + w[i - 7] +
		       (ror(b, 17) ^ ror(b, 19) ^ b >> 10);
	}
	memcpy(v, h, sizeof(v));
	/* a to h are V(0) to V(7): their names move, not they, which the compiler keeps in registers once it is unrolled */
#define V(n) v[((n) - (unsigned)i) & 7]
#pragma GCC unroll 64
	for (int i = 0; i < 64; i++) {
		uint32_t s1 = ror(V(4), 6) ^ ror(V(4), 11) ^ ror(V(4), 25);
		uint32_t t1 = V(7) + s1 + ((V(4) & V(5)) ^ (~V(4) & V(6))) + k[i] + w[i];
		uint32_t s0 = ror(V(0), 2) ^ ror(V(0), 13) ^ ror(V(0), 22);

		V(3) += t1;
		V(7) = t1 + s0 + ((V(0) & V(1)) ^ (V(0) & V(2)) ^ (V(1) & V(2)));
	}
#undef V
	for (int i = 0; i < 8; i++)
		h[i] += v[i];
}

void sha256_bytes(const void *data, size_t len, uint8_t digest[32])
{
	uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	uint8_t last[128] = { 0 };
	const uint8_t *p = data;
	size_t left = len, n;

	for (; left >= 64; left -= 64, p += 64)
		block(h, p);
	if (left)
		memcpy(last, p, left);
	last[left] = 0x80;
	n = left < 56 ? 64 : 128;
	for (int i = 0; i < 8; i++)
		last[n - 1 - (size_t)i] = (uint8_t)((uint64_t)len * 8 >> (8 * i));
	block(h, last);
	if (n == 128)
		block(h, last + 64);
	for (int i = 0; i < 32; i++)
		digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

void hex_of_digest(const uint8_t digest[32], char out[65])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 32; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
	out[64] = '\0';
}

void sha256_text(const void *data, size_t len, char out[65])
{
	uint8_t digest[32];

	sha256_bytes(data, len, digest);
	hex_of_digest(digest, out);
}

int sha256_file(int fd, char out[65])
{
	void *at = NULL;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	if (st.st_size) {
		at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (at == MAP_FAILED)
			return -1;
		(void)madvise(at, (size_t)st.st_size, MADV_SEQUENTIAL);
	}
	sha256_text(at, (size_t)st.st_size, out);
	if (at)
		munmap(at, (size_t)st.st_size);
	return 0;
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool digest_of_hex(const char *hex, uint8_t digest[32])
{
	if (strlen(hex) != 64)
		return false;
	for (int i = 0; i < 64; i++)
		if (hex_value(hex[i]) < 0)
			return false;
	for (int i = 0; i < 32; i++)
		digest[i] = (uint8_t)(hex_value(hex[2 * i]) << 4 | hex_value(hex[2 * i + 1]));
	return true;
}
