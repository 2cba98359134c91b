/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.c - `ctr events`: what happened to instances, and what happens.
 *
 * Reads the journal of runtime/events.h; following sleeps on inotify.
 */
#include <errno.h>
#include <fnmatch.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/lines.h"
#include "cli/verbs.h"
#include "cli/when.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/events.h"

struct events_verb_options {
	bool follow;
	const char *since, *until;
	struct words types;
};

static const struct option_row events_rows[] = {
	FLAG_ROW(struct events_verb_options, follow, "follow", 'f', "go on with what happens"),
	STRING_ROW(struct events_verb_options, since, "since", 0, "TIME",
		   "only what is younger: 2026-11-21T08:00:00Z, or 90s, 10m, 2h, 7d ago"),
	STRING_ROW(struct events_verb_options, until, "until", 0, "TIME", "only what is older"),
	LIST_ROW(struct events_verb_options, types, "type", 0, "EVENT",
		 "only these: created, started, died, oom, ..."),
	END_ROW,
};

struct wanted {
	char **names; /* patterns; none: all */
	const struct words *types;
	struct when since, until;
	bool json;
};

static bool is_wanted(const struct wanted *w, const struct event_read *r)
{
	bool named = !*w->names, typed = !w->types->n;

	for (char **n = w->names; *n && !named; n++)
		named = fnmatch(*n, r->event.name, 0) == 0;
	for (size_t k = 0; k < w->types->n && !typed; k++)
		typed = streq(w->types->v[k], event_name(r->event.type));
	return named && typed && when_within(r->seconds, r->nanoseconds, &w->since, &w->until);
}

static void print_event(const struct event_read *r)
{
	const struct event *ev = &r->event;

	printf("%.19sZ  %-20s  %-9s", r->time, ev->name, event_name(ev->type));
	if (ev->type == EVENT_RENAMED && ev->detail)
		printf("  from %s", ev->detail);
	else if (ev->detail)
		printf("  %s", ev->detail);
	if (ev->pid)
		printf("  pid %d", ev->pid);
	if (ev->has_code && ev->code < 0)
		printf("  code unknown");
	else if (ev->has_code)
		printf("  code %d", ev->code);
	if (ev->signal)
		printf(" (signal %d)", ev->signal);
	putchar('\n');
}

/* All whole lines that there are. */
static void print_all(struct lines *l, const struct wanted *w)
{
	const char *line;
	size_t len;

	while (!ferror(stdout) && (line = lines_next(l, &len))) {
		auto_arena struct arena *a = arena_new(1u << 20);
		struct event_read r;

		if (!a || !event_parse(line, len, a, &r) || !is_wanted(w, &r))
			continue;
		if (w->json)
			printf("{\"version\":1,%.*s\n", (int)len - 1, line + 1);
		else
			print_event(&r);
	}
}

/*
 * A writer may have opened the journal before it was rotated and write after that: so the old file is read on until
 * the next rotation.
 */
static int follow(int dir, struct lines *now, struct lines *old, const struct wanted *w,
		  struct err *e)
{
	auto_fd int watch = lines_watch(dir, "the journal of events", e);

	if (watch < 0)
		return -1;
	for (;;) {
		struct pollfd fds[] = { { .fd = watch, .events = POLLIN },
					{ .fd = STDOUT_FILENO, .events = 0 } };

		print_all(old, w);
		print_all(now, w);
		if (now->fd < 0 || lines_rotated(now, dir, EVENTS_FILE)) {
			struct lines *gone = old;

			old = now;
			now = gone;
			lines_close(now);
			lines_open(now, dir, EVENTS_FILE);
			if (now->fd >= 0)
				continue;
		}
		if (fflush(stdout) != 0)
			return err_set(e, errno, "cannot write to standard output");
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return err_set(e, errno, "cannot wait for events");
		if (fds[1].revents & POLLERR) /* nobody reads any more */
			return 0;
		lines_drain(watch);
	}
}

static int check_types(const struct words *types, struct err *e)
{
	const char *known[EVENT_TYPES + 1];

	for (int t = 0; t < EVENT_TYPES; t++)
		known[t] = event_name((enum event_type)t);
	known[EVENT_TYPES] = NULL;
	for (size_t k = 0; k < types->n; k++) {
		const char *near;

		if (event_type(types->v[k]) >= 0)
			continue;
		near = str_nearest(types->v[k], known);
		return err_set(e, ERR_USAGE, "--type: there is no event '%.40s'%s%s%s", types->v[k],
			       near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
	}
	return 0;
}

static int events(struct cli *c, int argc, char **argv)
{
	const struct events_verb_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;
	struct wanted w = { .names = argv, .types = &o->types, .json = c->json };
	static struct lines now, old;
	auto_fd int dir = -1;

	(void)argc;
	if (when_parse(o->since, "since", &w.since, c->e) < 0 ||
	    when_parse(o->until, "until", &w.until, c->e) < 0 || check_types(&o->types, c->e) < 0)
		return -1;
	if (o->follow && o->until)
		return err_set(c->e, ERR_USAGE, "--follow goes on for ever: not with --until");
	if (open_instances(c, &all) < 0 || (dir = events_open(&all, c->e)) < 0)
		return -1;
	lines_open(&old, dir, EVENTS_FILE_OLD);
	lines_open(&now, dir, EVENTS_FILE);
	if (o->follow)
		return follow(dir, &now, &old, &w, c->e) < 0 ? -1 : EXIT_DONE;
	print_all(&old, &w);
	print_all(&now, &w);
	lines_close(&old);
	lines_close(&now);
	if (old.error || now.error)
		return err_set(c->e, old.error ? old.error : now.error,
			       "cannot read all of the journal of events");
	return EXIT_DONE;
}

const struct verb verb_events = {
	.name = "events",
	.run = events,
	.flags = VERB_JSON,
	.operands = "[NAME...]",
	.max = -1,
	.help = "tell what happened to instances",
	.rows = events_rows,
	.options_size = sizeof(struct events_verb_options),
	.more = "Names and patterns choose instances, also ones that are gone. With --json each line is an object.",
};
