/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo - who answers, and for how long nobody does.
 *
 *	echo serve PORT			answers each UDP datagram with itself
 *	echo ask ADDRESS PORT FILE	asks once a millisecond until FILE is there; prints the longest silence, in microseconds
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int serve(int s, struct sockaddr_in *at)
{
	char text[64];

	if (bind(s, (struct sockaddr *)at, sizeof(*at)) < 0)
		return 1;
	for (;;) {
		struct sockaddr_in from;
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(s, text, sizeof(text), 0, (struct sockaddr *)&from, &size);

		if (n >= 0)
			(void)!sendto(s, text, (size_t)n, 0, (struct sockaddr *)&from, size);
	}
}

static int ask(int s, const struct sockaddr_in *at, const char *end)
{
	int64_t heard = 0, longest = 0;
	char text[64];

	while (access(end, F_OK) < 0) {
		(void)!sendto(s, "?", 1, 0, (const struct sockaddr *)at, sizeof(*at));
		usleep(1000);
		while (recv(s, text, sizeof(text), MSG_DONTWAIT) > 0) {
			int64_t now = now_us();

			if (heard && now - heard > longest)
				longest = now - heard;
			heard = now;
		}
	}
	if (heard && now_us() - heard > longest)
		longest = now_us() - heard;
	printf("%lld\n", (long long)longest);
	return !heard;
}

int main(int argc, char **argv)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = { .sin_family = AF_INET };

	if (argc == 3 && strcmp(argv[1], "serve") == 0) {
		at.sin_port = htons((uint16_t)atoi(argv[2]));
		return serve(s, &at);
	}
	if (argc != 5 || strcmp(argv[1], "ask") != 0 ||
	    inet_pton(AF_INET, argv[2], &at.sin_addr) != 1)
		return 2;
	at.sin_port = htons((uint16_t)atoi(argv[3]));
	return ask(s, &at, argv[4]);
}
