/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo - who answers, and for how long nobody does.
 *
 *	echo serve PORT			answers each UDP datagram with itself
 *	echo ask ADDRESS PORT FILE	asks once a millisecond until FILE is there; prints the longest silence, in microseconds
 *	echo count PORT MIB		a connection at a time, answers each byte with how many it has had; changes something in MIB of memory at each
 *	echo talk ADDRESS PORT FILE	the same as ask, over one connection, and fails if it breaks or an answer is not the next number
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
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

static int count(const struct sockaddr_in *at, size_t mib)
{
	int one = 1, s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t size = (mib << 20) + 1;
	char *memory = malloc(size), c;
	uint32_t n = 0;

	if (!memory || s < 0 || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(s, (const struct sockaddr *)at, sizeof(*at)) < 0 || listen(s, 8) < 0)
		return 1;
	for (size_t i = 0; i < size; i++)
		memory[i] = (char)(i * 2654435761u >>
				   13); /* not to be found twice, nor to be compressed */
	for (;;) {
		int from = accept(s, NULL, NULL);

		while (from >= 0 && read(from, &c, 1) == 1) {
			memory[n * 40503ull % size]++;
			n++;
			if (write(from, &n, sizeof(n)) != sizeof(n))
				break;
		}
		close(from);
	}
}

static int talk(const struct sockaddr_in *at, const char *end)
{
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = { .tv_sec = 120 };
	int64_t longest = 0;
	uint32_t n, before = 0;

	if (s < 0 || setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(s, (const struct sockaddr *)at, sizeof(*at)) < 0) {
		perror("connect");
		return 1;
	}
	while (access(end, F_OK) < 0) {
		int64_t asked = now_us();

		if (write(s, "?", 1) != 1 || recv(s, &n, sizeof(n), MSG_WAITALL) != sizeof(n)) {
			perror("it is broken");
			return 1;
		}
		if (before && n != before + 1) {
			fprintf(stderr, "%u after %u\n", n, before);
			return 1;
		}
		before = n;
		if (now_us() - asked > longest)
			longest = now_us() - asked;
		usleep(1000);
	}
	printf("%lld\n", (long long)longest);
	return 0;
}

int main(int argc, char **argv)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = { .sin_family = AF_INET };

	if (argc == 3 && strcmp(argv[1], "serve") == 0) {
		at.sin_port = htons((uint16_t)atoi(argv[2]));
		return serve(s, &at);
	}
	if (argc == 4 && strcmp(argv[1], "count") == 0) {
		at.sin_port = htons((uint16_t)atoi(argv[2]));
		return count(&at, (size_t)atoi(argv[3]));
	}
	if (argc != 5 || inet_pton(AF_INET, argv[2], &at.sin_addr) != 1)
		return 2;
	at.sin_port = htons((uint16_t)atoi(argv[3]));
	if (strcmp(argv[1], "talk") == 0)
		return talk(&at, argv[4]);
	return strcmp(argv[1], "ask") == 0 ? ask(s, &at, argv[4]) : 2;
}
