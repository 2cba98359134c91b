/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_events.c - what a container uses, once or every few seconds, and when it ran out of memory.
 *
 * A line is a JSON object of runc's shape (its types/events.go), made from the cgroup v2 files that are there:
 * what a missing controller would count is 0 or left out. Times are in nanoseconds, sizes in bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/oci.h"
#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/resctrl.h"
#include "runtime/spec.h"
#include "runtime/state.h"

struct events_options {
	struct opt_u64 interval; /* ms */
	bool stats;
};

/* A duration as Go writes it: "5s", "1m30s", "1.5s", "500ms". */
static int read_duration(void *options, const struct option_row *row, const char *value,
			 struct err *e)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = { { "ns", 1e-6 }, { "us", 1e-3 },	{ "ms", 1 },	      { "s", 1000 },
		      { "m", 60000 }, { "h", 3600000 }, { "\302\265s", 1e-3 } };
	struct opt_u64 *to = (struct opt_u64 *)((char *)options + row->offset);
	const char *at = value;
	double ms = 0;

	do {
		size_t i, len = 0, unit;
		char *end;
		double n;

		len = strspn(at, "0123456789.");
		n = strtod(at, &end);
		if (!len || end != at + len)
			break;
		unit = strcspn(end, "0123456789.");
		for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (strlen(units[i].name) == unit && memcmp(units[i].name, end, unit) == 0)
				break;
		if (i == sizeof(units) / sizeof(units[0]))
			break;
		ms += n * units[i].ms;
		at = end + unit;
	} while (*at);
	if (*at || at == value || ms < 1 || ms > INT_MAX)
		return err_set(e, ERR_USAGE,
			       "'%s' is no duration of a millisecond or more, such as 5s or 500ms",
			       value);
	*to = (struct opt_u64){ true, (uint64_t)ms };
	return 0;
}

static const struct option_row events_rows[] = {
	FLAG_ROW(struct events_options, stats, "stats", 0, "print what it uses now, once"),
	HANDLER_ROW(struct events_options, interval, "interval", 0, "DURATION",
		    "time between two looks (default 5s)", read_duration),
	END_ROW,
};

/* A file of the cgroup; empty if the controller is not there, or the container is gone. */
static const char *read_file(int cgroup, const char *file, struct str *text)
{
	struct err ignored;

	str_free(text);
	return file_read_kernel(cgroup, file, 1u << 20, text, &ignored) < 0 ? "" : str_text(text);
}

/* The number after @key in lines "key value" of @text; 0. */
static uint64_t value_of(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n'), line += line != NULL)
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return strtoull(line + len + 1, NULL, 10);
	return 0;
}

/* A file of one number; @unlimited stands for "max", as runc has it. */
static uint64_t number_in(int cgroup, const char *file, uint64_t unlimited)
{
	auto_str struct str text = { 0 };
	const char *s = read_file(cgroup, file, &text);

	return str_after(s, "max") ? unlimited : strtoull(s, NULL, 10);
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", and "full ..." (Documentation/accounting/psi.rst). */
static void put_pressure(struct json_writer *w, int cgroup, const char *file)
{
	auto_str struct str text = { 0 };
	char *line, *rest, *word;

	if (!*read_file(cgroup, file, &text))
		return;
	json_open(w, "psi", '{');
	for (rest = text.s; rest && (line = strsep(&rest, "\n"));) {
		if (!*line)
			continue;
		json_open(w, strsep(&line, " "), '{');
		while (line && (word = strsep(&line, " "))) {
			char *equals = strchr(word, '=');

			if (!equals)
				continue;
			*equals = '\0';
			json_put_number(w, word, equals + 1);
		}
		json_close(w);
	}
	json_close(w);
}

static void put_cpu(struct json_writer *w, int cgroup)
{
	auto_str struct str text = { 0 };
	const char *s = read_file(cgroup, "cpu.stat", &text);

	json_open(w, "cpu", '{');
	json_open(w, "usage", '{');
	json_put_u64(w, "total", value_of(s, "usage_usec") * 1000);
	json_put_u64(w, "kernel", value_of(s, "system_usec") * 1000);
	json_put_u64(w, "user", value_of(s, "user_usec") * 1000);
	json_close(w);
	json_open(w, "throttling", '{');
	json_put_u64(w, "periods", value_of(s, "nr_periods"));
	json_put_u64(w, "throttledPeriods", value_of(s, "nr_throttled"));
	json_put_u64(w, "throttledTime", value_of(s, "throttled_usec") * 1000);
	json_close(w);
	put_pressure(w, cgroup, "cpu.pressure");
	json_close(w);
}

/* "0-2,5" as an array of numbers. */
static void put_list(struct json_writer *w, const char *key, int cgroup, const char *file)
{
	auto_str struct str text = { 0 };
	const char *s = read_file(cgroup, file, &text);

	if (!*s || *s == '\n')
		return;
	json_open(w, key, '[');
	while (*s && *s != '\n') {
		char *end;
		unsigned long first = strtoul(s, &end, 10), last = first;

		if (end == s)
			break;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (; first <= last && last < 65536; first++)
			json_put_u64(w, NULL, first);
		s = *end == ',' ? end + 1 : end;
	}
	json_close(w);
}

static void put_cpuset(struct json_writer *w, int cgroup)
{
	/* cgroup v1's switches, which readers may demand and cgroup v2 does not have */
	static const char *const none[] = { "cpu_exclusive",	       "mem_hardwall",
					    "mem_exclusive",	       "memory_migrate",
					    "memory_spread_page",      "memory_spread_slab",
					    "memory_pressure",	       "sched_load_balance",
					    "sched_relax_domain_level" };

	json_open(w, "cpuset", '{');
	put_list(w, "cpus", cgroup, "cpuset.cpus.effective");
	put_list(w, "mems", cgroup, "cpuset.mems.effective");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		json_put_u64(w, none[i], 0);
	json_close(w);
}

static void put_entry(struct json_writer *w, const char *key, uint64_t limit, uint64_t usage,
		      uint64_t max, uint64_t failures)
{
	json_open(w, key, '{');
	json_put_u64(w, "limit", limit);
	json_put_u64(w, "usage", usage);
	json_put_u64(w, "max", max);
	json_put_u64(w, "failcnt", failures);
	json_close(w);
}

/* All lines "key value" of a file as members. */
static void put_lines(struct json_writer *w, const char *key, const char *text)
{
	auto_free char *copy = strdup(text);
	char *line, *rest;

	json_open(w, key, '{');
	for (rest = copy; rest && (line = strsep(&rest, "\n"));) {
		char *blank = strchr(line, ' ');
		uint64_t value;

		if (!blank)
			continue;
		*blank = '\0';
		if (parse_u64(blank + 1, 0, UINT64_MAX, &value) == 0)
			json_put_u64(w, line, value);
	}
	json_close(w);
}

static void put_memory(struct json_writer *w, int cgroup)
{
	auto_str struct str stat = { 0 }, events = { 0 };
	uint64_t limit = number_in(cgroup, "memory.max", UINT64_MAX);
	uint64_t usage = number_in(cgroup, "memory.current", 0);
	uint64_t swap_limit = number_in(cgroup, "memory.swap.max", UINT64_MAX);

	read_file(cgroup, "memory.stat", &stat);
	read_file(cgroup, "memory.events", &events);
	/* readers know cgroup v1, where swap is memory and swap together; its peak cannot be had so */
	if (swap_limit != UINT64_MAX && limit != UINT64_MAX)
		swap_limit += limit;
	json_open(w, "memory", '{');
	json_put_u64(w, "cache", value_of(str_text(&stat), "file"));
	put_entry(w, "usage", limit, usage, number_in(cgroup, "memory.peak", 0),
		  value_of(str_text(&events), "max"));
	put_entry(w, "swap", swap_limit, usage + number_in(cgroup, "memory.swap.current", 0), 0, 0);
	put_entry(w, "kernel", 0, value_of(str_text(&stat), "kernel"), 0, 0);
	put_entry(w, "kernelTCP", 0, value_of(str_text(&stat), "sock"), 0, 0);
	put_lines(w, "raw", str_text(&stat));
	put_pressure(w, cgroup, "memory.pressure");
	json_close(w);
}

/* Of lines "8:0 rbytes=1 wbytes=2 rios=3 ..." what @keys name, an entry each. */
static void put_io_list(struct json_writer *w, const char *name, const char *text,
			const char *const keys[3])
{
	static const char *const operations[3] = { "Read", "Write", "Discard" };
	auto_free char *copy = strdup(text);
	char *line, *rest;

	json_open(w, name, '[');
	for (rest = copy; rest && (line = strsep(&rest, "\n"));) {
		unsigned major, minor;
		char *words;

		if (sscanf(line, "%u:%u ", &major, &minor) != 2 || !(words = strchr(line, ' ')))
			continue;
		for (int i = 0; i < 3; i++) {
			const char *at = strstr(words, keys[i]);

			if (!at)
				continue;
			json_open(w, NULL, '{');
			json_put_u64(w, "major", major);
			json_put_u64(w, "minor", minor);
			json_put_string(w, "op", operations[i]);
			json_put_u64(w, "value", strtoull(at + strlen(keys[i]), NULL, 10));
			json_close(w);
		}
	}
	json_close(w);
}

static void put_io(struct json_writer *w, int cgroup)
{
	static const char *const bytes[3] = { " rbytes=", " wbytes=", " dbytes=" };
	static const char *const counts[3] = { " rios=", " wios=", " dios=" };
	auto_str struct str text = { 0 };
	const char *s = read_file(cgroup, "io.stat", &text);

	json_open(w, "blkio", '{');
	if (*s) {
		put_io_list(w, "ioServiceBytesRecursive", s, bytes);
		put_io_list(w, "ioServicedRecursive", s, counts);
	}
	put_pressure(w, cgroup, "io.pressure");
	json_close(w);
}

/* A page size is known by its file hugetlb.SIZE.current. */
static void put_hugetlb(struct json_writer *w, int cgroup)
{
	auto_dir DIR *d = dir_list(cgroup);
	struct dirent *ent;

	json_open(w, "hugetlb", '{');
	while (d && (ent = readdir(d))) {
		const char *after = str_after(ent->d_name, "hugetlb."), *dot;
		auto_str struct str events = { 0 };
		char size[32], file[80];

		dot = after ? strchr(after, '.') : NULL;
		if (!dot || !streq(dot, ".current") || dot - after >= (int)sizeof(size))
			continue;
		snprintf(size, sizeof(size), "%.*s", (int)(dot - after), after);
		snprintf(file, sizeof(file), "hugetlb.%s.events", size);
		json_open(w, size, '{');
		json_put_u64(w, "usage", number_in(cgroup, ent->d_name, 0));
		json_put_u64(w, "failcnt", value_of(read_file(cgroup, file, &events), "max"));
		json_close(w);
	}
	json_close(w);
}

static int print_line(struct str *text, struct err *e)
{
	str_add(text, "\n");
	if (text->failed)
		return err_set(e, ENOMEM, "cannot print an event");
	fwrite(text->s, 1, text->len, stdout);
	if (fflush(stdout) !=
	    0) /* who listens wants it now, and whether someone does must be known */
		return err_set(e, errno, "cannot write to standard output");
	return 0;
}

/* What is counted of a container. Descriptors are directories; -1: none. */
struct counted {
	const char *id;
	int cgroup;
	int group, monitor; /* of resctrl: the one with its schemata, and the one that counts it */
};

static void put_schema(struct json_writer *w, const char *key, const char *schemata,
		       const char *resource)
{
	auto_str struct str text = { 0 };
	size_t len;
	const char *line = resctrl_line(schemata, resource, &len);

	if (!line)
		return;
	str_addf(&text, "%.*s", (int)len, line);
	json_put_string(w, key, str_text(&text));
}

/* One object for each domain (mon_L3_00, ...), with what the files @names say. */
static void put_domains(struct json_writer *w, const char *list, int monitor,
			const char *const *names)
{
	auto_fd int fd = openat(monitor, "mon_data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir DIR *dir = fd < 0 ? NULL : dir_list(fd);
	struct dirent *ent;

	json_open(w, list, '[');
	while (dir && (ent = readdir(dir))) {
		auto_fd int domain = -1;

		if (!str_after(ent->d_name, "mon_L3_"))
			continue;
		domain = openat(fd, ent->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		json_open(w, NULL, '{');
		for (size_t i = 0; names[i]; i++)
			json_put_u64(w, names[i], number_in(domain, names[i], 0));
		json_close(w);
	}
	json_close(w);
}

static void put_rdt(struct json_writer *w, const struct counted *k)
{
	static const char *const traffic[] = { "mbm_total_bytes", "mbm_local_bytes", NULL },
				 *const occupancy[] = { "llc_occupancy", NULL };
	auto_str struct str text = { 0 };
	struct err ignored;

	json_open(w, "intel_rdt", '{');
	if (k->group >= 0 && file_read_kernel(k->group, "schemata", 65536, &text, &ignored) == 0) {
		put_schema(w, "l3_cache_schema", str_text(&text), "L3:");
		put_schema(w, "mem_bw_schema", str_text(&text), "MB:");
	}
	if (k->monitor >= 0) {
		put_domains(w, "mbm_stats", k->monitor, traffic);
		put_domains(w, "cmt_stats", k->monitor, occupancy);
	}
	json_close(w);
}

static int print_stats(const struct counted *k, struct err *e)
{
	int cgroup = k->cgroup;
	auto_str struct str text = { 0 };
	struct json_writer w = { .out = &text };

	json_open(&w, NULL, '{');
	json_put_string(&w, "type", "stats");
	json_put_string(&w, "id", k->id);
	json_open(&w, "data", '{');
	put_cpu(&w, cgroup);
	put_cpuset(&w, cgroup);
	put_memory(&w, cgroup);
	json_open(&w, "pids", '{');
	json_put_u64(&w, "current", number_in(cgroup, "pids.current", 0));
	json_put_u64(&w, "limit", number_in(cgroup, "pids.max", 0));
	json_close(&w);
	put_io(&w, cgroup);
	put_hugetlb(&w, cgroup);
	put_rdt(&w, k);
	json_open(&w, "network_interfaces", '['); /* runc knows those that it made: none */
	json_close(&w);
	json_close(&w);
	json_close(&w);
	return print_line(&text, e);
}

static int print_oom(const char *id, struct err *e)
{
	auto_str struct str text = { 0 };
	struct json_writer w = { .out = &text };

	json_open(&w, NULL, '{');
	json_put_string(&w, "type", "oom");
	json_put_string(&w, "id", id);
	json_close(&w);
	return print_line(&text, e);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Until the container's process has ended. memory.events can be polled: POLLPRI says that a number changed. */
static int watch(const struct counted *k, int pidfd, int64_t interval, struct err *e)
{
	auto_fd int memory = openat(k->cgroup, "memory.events", O_RDONLY | O_CLOEXEC);
	struct pollfd p[2] = { { .fd = pidfd, .events = POLLIN },
			       { .fd = memory, .events = POLLPRI } };
	uint64_t seen = 0, killed;
	int64_t next = now_ms() + interval;
	char text[512];

	for (bool first = true, ended = false;; first = false) {
		int64_t left = next - now_ms();
		ssize_t n = memory < 0 ? 0 : pread(memory, text, sizeof(text) - 1, 0);

		text[n > 0 ? n : 0] = '\0';
		killed = value_of(text, "oom_kill");
		if (!first && killed > seen && print_oom(k->id, e) < 0)
			return -1;
		if (killed > seen)
			seen = killed;
		if (ended)
			return EXIT_DONE;
		if (left <= 0) {
			if (print_stats(k, e) < 0)
				return -1;
			next += interval;
			if (next < now_ms()) /* we were stopped: no burst of what was missed */
				next = now_ms() + interval;
			continue;
		}
		if (poll(p, 2, (int)left) < 0 && errno != EINTR)
			return err_set(e, errno, "cannot wait for events");
		ended = p[0].revents; /* perhaps of what memory.events says now */
	}
}

/* Its group of resctrl, if its configuration asks for one. */
static int open_group(struct cli *c, int *group, int *monitor)
{
	struct resctrl g;
	int r = oci_read_group(c, &g);

	if (r <= 0)
		return r;
	*group = resctrl_open(&g, c->dir.id, false, c->e);
	if (*group < 0 || !g.monitor)
		return *group < 0 ? -1 : 0;
	*monitor = resctrl_open(&g, c->dir.id, true, c->e);
	return *monitor < 0 ? -1 : 0;
}

static int events(struct cli *c, int argc, char **argv)
{
	const struct events_options *o = c->options;
	auto_fd int pidfd = -1, cgroup = -1, group = -1, monitor = -1;
	int status = state_status(&c->dir, &c->state, &pidfd, c->e);
	char path[PATH_MAX];

	(void)argc, (void)argv; /* opened by oci_enter() */
	if (status < 0)
		return -1;
	if (status == STATUS_STOPPED)
		return err_set(c->e, ERR_STATE, "container with id %s is not running", c->dir.id);
	if (!c->state.cgroup || !c->state.cgroup_root)
		return err_set(c->e, ERR_NOT_SUPPORTED,
			       "container '%s' has no cgroup of its own: nothing is counted",
			       c->dir.id);
	snprintf(path, sizeof(path), "%s/%s", c->state.cgroup_root, c->state.cgroup);
	cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0)
		return err_set(c->e, errno, "cannot open the cgroup of '%s'", c->dir.id);
	if (open_group(c, &group, &monitor) < 0)
		return -1;
	const struct counted k = { c->dir.id, cgroup, group, monitor };
	if (o->stats)
		return print_stats(&k, c->e);
	state_close(&c->dir); /* others may use the container meanwhile */
	return watch(&k, pidfd, o->interval.set ? (int64_t)o->interval.v : 5000, c->e);
}

const struct verb verb_oci_events = {
	.name = "events",
	.run = events,
	.flags = NEED_ID | NEED_STATE,
	.operands = "ID",
	.min = 1,
	.max = 1,
	.help = "print what a container uses, every few seconds, as JSON",
	.rows = events_rows,
	.options_size = sizeof(struct events_options),
};
