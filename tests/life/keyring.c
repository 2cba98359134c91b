/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyring make KEY TEXT COMMAND [ARG...]	runs COMMAND with a new session keyring that holds the key
 * keyring read KEY				prints that key, if the session keyring leads to it, else "none"
 */
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long keyctl(int what, long a, long b, long c, long d)
{
	return syscall(SYS_keyctl, what, a, b, c, d);
}

int main(int argc, char **argv)
{
	char text[256];
	long key, n;

	if (argc > 4 && strcmp(argv[1], "make") == 0) {
		if (keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0) < 0 ||
		    syscall(SYS_add_key, "user", argv[2], argv[3], strlen(argv[3]),
			    KEY_SPEC_SESSION_KEYRING) < 0) {
			perror("keyring");
			return 77;
		}
		execvp(argv[4], argv + 4);
		perror(argv[4]);
		return 127;
	}
	if (argc != 3)
		return 2;
	key = keyctl(KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, (long)"user", (long)argv[2], 0);
	n = key < 0 ? -1 : keyctl(KEYCTL_READ, key, (long)text, sizeof(text), 0);
	if (n < 0)
		puts("none");
	else
		printf("%.*s\n", (int)n, text);
	return 0;
}
