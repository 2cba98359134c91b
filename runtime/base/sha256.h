/*
 * sha256.h - FIPS 180-4, for documents (an image's id is the hash of its configuration, a receipt names the one before) and for what is
 * written here: layers of commits and of backups. Archives of strangers are hashed in the helper program, by a library.
 */
#ifndef CTR_SHA256_H
#define CTR_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void sha256_bytes(const void *data, size_t len, uint8_t digest[32]);

/* The same as 64 hex digits, terminated. */
void sha256_text(const void *data, size_t len, char out[65]);

/* The same of a whole file, which does not shrink meanwhile. 0, or -1 with errno. */
int sha256_file(int fd, char out[65]);

/* 32 bytes as 64 hex digits, terminated. */
void hex_of_digest(const uint8_t digest[32], char out[65]);

/* The other way; false for anything but 64 digits, those above 9 small. */
bool digest_of_hex(const char *hex, uint8_t digest[32]);

#endif
