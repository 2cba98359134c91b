/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "images/images.h"
#include "runtime/base/str.h"

#define WAIT_SECONDS 0.8 /* before the line appears */
#define DRAW_SECONDS 0.1
#define BAR_WIDTH    20

/* A signal handler can reach nothing else. */
static volatile sig_atomic_t cancelled;

static const int signals[PROGRESS_SIGNALS] = { SIGINT, SIGTERM, SIGHUP };

static void on_signal(int sig)
{
	(void)sig;
	cancelled = 1;
}

static double seconds_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

void progress_start(struct progress *p, const char *what)
{
	const char *term = getenv("TERM");
	struct sigaction sa = { .sa_handler = on_signal };

	*p = (struct progress){ .what = what };
	p->terminal = isatty(STDERR_FILENO) && term && !streq(term, "dumb");
	clock_gettime(CLOCK_MONOTONIC, &p->began);
	p->last = p->began;
	cancelled = 0;
	/* without SA_RESTART: a wait for the store's lock ends as well */
	for (size_t i = 0; i < PROGRESS_SIGNALS; i++) {
		sigaction(signals[i], NULL, &p->before[i]);
		/* nohup means it */
		if (p->before[i].sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
	}
}

void progress_stop(struct progress *p)
{
	if (!p->what)
		return;
	if (p->drawn)
		(void)!write(STDERR_FILENO, "\r\033[K", 4);
	for (size_t i = 0; i < PROGRESS_SIGNALS; i++)
		sigaction(signals[i], &p->before[i], NULL);
	p->what = NULL;
}

bool progress_cancelled(void)
{
	return cancelled;
}

static void add_bar(struct str *line, double part)
{
	int full = (int)(part * BAR_WIDTH);

	str_add(line, " [");
	for (int i = 0; i < BAR_WIDTH; i++)
		str_add(line, i < full ? "=" : i == full ? ">" : " ");
	str_addf(line, "] %3d%%", (int)(part * 100));
}

static void add_left(struct str *line, double seconds)
{
	if (seconds < 1)
		return;
	if (seconds < 90)
		str_addf(line, ", %.0f s left", seconds);
	else if (seconds < 5400)
		str_addf(line, ", %.0f min left", seconds / 60);
	else
		str_addf(line, ", %.0f h left", seconds / 3600);
}

static void describe(struct progress *p, const struct image_progress *i, struct str *line)
{
	char done[16], total[16], rate[16];

	str_add(line, p->what);
	if (i->phase == IMAGE_SYNCING) {
		str_addf(line, ": %" PRIu64 " entries, writing to the disk", i->entries);
		return;
	}
	format_size(i->bytes_read, done, sizeof(done));
	format_size((uint64_t)p->rate, rate, sizeof(rate));
	if (i->bytes_total) {
		double part = (double)i->bytes_read / (double)i->bytes_total;

		add_bar(line, part > 1 ? 1 : part);
		str_addf(line, " %s of %s, ", done,
			 format_size(i->bytes_total, total, sizeof(total)));
	} else {
		str_addf(line, ": %s, ", done);
	}
	str_addf(line, "%s/s", rate);
	if (i->entries)
		str_addf(line, ", %" PRIu64 " entries", i->entries);
	if (i->bytes_total > i->bytes_read && p->rate > 0)
		add_left(line, (double)(i->bytes_total - i->bytes_read) / p->rate);
}

static void draw(struct progress *p, const struct image_progress *i)
{
	auto_str struct str line = { 0 };
	struct winsize w;
	size_t width = 80;

	describe(p, i, &line);
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col)
		width = w.ws_col;
	/* one column is left free: a full line would wrap */
	if (line.len >= width)
		line.s[line.len = width - 1] = '\0';
	if (line.failed)
		return;
	(void)!write(STDERR_FILENO, "\r", 1);
	(void)!write(STDERR_FILENO, line.s, line.len);
	(void)!write(STDERR_FILENO, "\033[K", 3);
	p->drawn = true;
}

/* The last second counts as much as all before it. */
static void measure(struct progress *p, uint64_t bytes)
{
	double passed = seconds_since(&p->last), now;

	if (passed <= 0 || bytes < p->last_bytes)
		return;
	now = (double)(bytes - p->last_bytes) / passed;
	p->rate = p->rate > 0 ? p->rate + (now - p->rate) * (passed < 1 ? passed : 1) : now;
	p->last_bytes = bytes;
	clock_gettime(CLOCK_MONOTONIC, &p->last);
}

bool progress_image(void *arg, const struct image_progress *i)
{
	struct progress *p = arg;

	if (p->terminal && i->phase != IMAGE_DONE &&
	    (seconds_since(&p->last) >= DRAW_SECONDS || i->phase == IMAGE_SYNCING)) {
		if (i->phase == IMAGE_READING)
			measure(p, i->bytes_read);
		if (seconds_since(&p->began) >= WAIT_SECONDS)
			draw(p, i);
	}
	return !cancelled;
}
