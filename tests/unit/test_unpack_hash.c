/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include <stdbool.h>

#include "images/unpack/hash.h"

/* What @len bytes of a pattern hash to, given in pieces of @step. */
static void of(size_t len, size_t step, uint8_t digest[32])
{
	unsigned char data[1024];
	struct hash h;

	for (size_t i = 0; i < len; i++)
		data[i] = (unsigned char)(i * 7 + 1);
	hash_init(&h);
	for (size_t at = 0; at < len; at += step)
		hash_update(&h, data + at, len - at < step ? len - at : step);
	hash_digest(&h, digest);
}

static bool is_example(void)
{
	/* FIPS 180-4's: "abc" */
	static const uint8_t expected[32] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
					      0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
					      0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
					      0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad };
	uint8_t digest[32];
	struct hash h;

	hash_init(&h);
	hash_update(&h, "abc", 3);
	hash_digest(&h, digest);
	return memcmp(digest, expected, 32) == 0;
}

/* Where OpenSSL is not installed, nettle is compared with itself. */
TEST(both_libraries_say_the_same)
{
	static const size_t lengths[] = { 0, 1, 55, 56, 63, 64, 65, 119, 128, 1000 };
	uint8_t nettle[sizeof(lengths) / sizeof(*lengths)][32], other[32];

	CHECK(is_example());
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
		of(lengths[i], 17, nettle[i]);
	hash_load();
	CHECK(is_example());
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		of(lengths[i], 64, other);
		CHECK(memcmp(nettle[i], other, 32) == 0);
	}
}
