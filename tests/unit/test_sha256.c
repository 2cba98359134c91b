/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "runtime/base/sha256.h"

static const char *of(const void *data, size_t len)
{
	static char text[65];

	sha256_text(data, len, text);
	return text;
}

/* FIPS 180-4's examples, as NIST publishes them. */
TEST(examples_of_the_standard)
{
	const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

	CHECK_STR(of("abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	CHECK_STR(of("", 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	CHECK_STR(of(two, strlen(two)),
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(a_million_of_one_letter)
{
	char *a = malloc(1000000);

	CHECK(a);
	memset(a, 'a', 1000000);
	CHECK_STR(of(a, 1000000),
		  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(a);
}

/* Where the padding needs another block, and where not: sha256sum's answers for that many zeros. */
TEST(lengths_around_a_block)
{
	static const char zeros[130];

	CHECK_STR(of(zeros, 55),
		  "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7");
	CHECK_STR(of(zeros, 56),
		  "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb");
	CHECK_STR(of(zeros, 63),
		  "c7723fa1e0127975e49e62e753db53924c1bd84b8ac1ac08df78d09270f3d971");
	CHECK_STR(of(zeros, 64),
		  "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
	CHECK_STR(of(zeros, 119),
		  "f616b0d54e78571a9611f343c9f8e022e859e920381ab0e4d3da01e193a7bd7e");
	CHECK_STR(of(zeros, 128),
		  "38723a2e5e8a17aa7950dc008209944e898f69a7bd10a23c839d341e935fd5ca");
}
