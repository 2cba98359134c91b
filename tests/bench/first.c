/* SPDX-License-Identifier: Apache-2.0 */
/*
 * first: a payload that says when it began, as ns of CLOCK_REALTIME, the one clock that is the same in every time namespace; and then sleeps, if
 * it is given an argument. It asks first of all: what a C library does before main() is some 20 us of static musl's.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec t;

	(void)argv;
	clock_gettime(CLOCK_REALTIME, &t);
	printf("%lld\n", t.tv_sec * 1000000000LL + t.tv_nsec);
	fflush(stdout);
	while (argc > 1)
		pause();
	return 0;
}
