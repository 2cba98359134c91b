/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage.c - `ctr usage`, `ctr usage verify`, `ctr usage sample`, `ctr metrics`: what instances have used.
 *
 * The receipts of runs that have ended and the counters of those that go on (runtime/usage.h), added up by instance.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/instances.h"
#include "cli/verbs.h"
#include "cli/when.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/running.h"
#include "runtime/usage.h"

/* An instance, there or gone; or with --by all that have the label's value in common. */
struct account {
	char uuid[UUID_LEN + 1]; /* with --by: "" */
	const char *name;	 /* or the value */
	const char *label;	 /* the value of the label of --by; "": it has none */
	const char *status;
	uint64_t runs, instances;
	uint64_t disk;
	struct usage usage; /* of the runs before `run` */
	struct run {
		int64_t start_ns, end_ns; /* 0: none */
		struct usage usage;	  /* since its start */
		struct usage before;	  /* since its start, when --since began */
	} run, live;
};

struct accounts {
	struct arena *arena;
	struct account *v;
	size_t n, size;
	size_t *slots; /* by uuid: an index and 1, 0 is free */
	size_t n_slots;
	int64_t since_ns;
	const char *by;
};

static void accounts_free(struct accounts *a)
{
	arena_free(a->arena);
	free(a->v);
	free(a->slots);
}
#define auto_accounts __attribute__((cleanup(accounts_free)))

static size_t hash_of(const char *text)
{
	size_t h = 2166136261u;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 16777619u;
	return h;
}

static size_t find_slot(const struct accounts *a, const char *key)
{
	size_t at = hash_of(key) % a->n_slots;

	while (a->slots[at] && !streq(a->v[a->slots[at] - 1].uuid, key))
		at = (at + 1) % a->n_slots;
	return at;
}

static int grow(struct accounts *a, struct err *e)
{
	size_t size = a->size ? 2 * a->size : 256;
	struct account *v = realloc(a->v, size * sizeof(*v));
	size_t *slots = calloc(2 * size, sizeof(*slots));

	if (v)
		a->v = v;
	if (!v || !slots) {
		free(slots);
		return err_set(e, ENOMEM, "usage");
	}
	free(a->slots);
	a->slots = slots;
	a->n_slots = 2 * size;
	a->size = size;
	for (size_t i = 0; i < a->n; i++)
		a->slots[find_slot(a, a->v[i].uuid)] = i + 1;
	return 0;
}

/* The account of an instance, made if it is missing. */
static struct account *account_of(struct accounts *a, const char *uuid, const char *name,
				  struct err *e)
{
	char key[UUID_LEN + 1];
	struct account *v;
	size_t slot;

	snprintf(key, sizeof(key), "%s", uuid);
	if (a->n == a->size && grow(a, e) < 0)
		return NULL;
	slot = find_slot(a, key);
	if (a->slots[slot])
		return &a->v[a->slots[slot] - 1];
	v = &a->v[a->n];
	*v = (struct account){ .status = "removed", .label = "", .instances = 1 };
	memcpy(v->uuid, key, sizeof(key));
	v->name = arena_strdup(a->arena, name);
	if (!v->name) {
		err_set(e, ENOMEM, "usage");
		return NULL;
	}
	a->slots[slot] = ++a->n;
	return v;
}

static int set_label(struct accounts *a, struct account *v, const char *const *labels,
		     struct err *e)
{
	size_t len = a->by ? strlen(a->by) : 0;

	for (; a->by && labels && *labels; labels++) {
		if (strncmp(*labels, a->by, len) != 0 || (*labels)[len] != '=')
			continue;
		v->label = arena_strdup(a->arena, *labels + len + 1);
		if (!v->label)
			return err_set(e, ENOMEM, "usage");
	}
	return 0;
}

/* Receipts of a run come one after the other, and each says what it has used since its start. */
static void add_reading(struct accounts *a, struct run *r, const struct usage *u, int64_t start_ns,
			int64_t end_ns)
{
	if (end_ns < r->end_ns) /* a sampler that was slower than the end */
		return;
	if (end_ns <= a->since_ns)
		r->before = *u;
	else if (r->end_ns < a->since_ns)
		r->before = usage_between(&r->usage, r->end_ns ? r->end_ns : start_ns, u, end_ns,
					  a->since_ns > start_ns ? a->since_ns : start_ns);
	r->start_ns = start_ns;
	r->end_ns = end_ns;
	r->usage = *u;
}

/* The run that was read last is over. */
static void end_run(struct accounts *a, struct account *v)
{
	if (v->run.start_ns && v->run.end_ns > a->since_ns) {
		usage_take(&v->run.usage, &v->run.before);
		usage_add(&v->usage, &v->run.usage);
		v->runs++;
	}
	v->run = (struct run){ .start_ns = 0 };
}

/* ---- what there is ---- */

/* Bytes that a directory's files take on disk; what cannot be looked at is left out. */
static uint64_t disk_of(int dir, const char *name, int depth)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	auto_dir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *ent;
	uint64_t sum = 0;

	while (d && (ent = readdir(d))) {
		struct stat st;

		if (streq(ent->d_name, ".") || streq(ent->d_name, "..") ||
		    fstatat(dirfd(d), ent->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		/* of a file with several names a part with each */
		sum += (uint64_t)st.st_blocks * 512 / (S_ISDIR(st.st_mode) ? 1 : st.st_nlink);
		if (S_ISDIR(st.st_mode) && depth < 256)
			sum += disk_of(dirfd(d), ent->d_name, depth + 1);
	}
	return sum;
}

static int add_live(const struct instances *all, const char *name, struct account *v, struct err *e)
{
	auto_arena struct arena *arena = arena_new(1u << 20);
	struct state_dir sd;
	struct state st;
	struct usage u;

	if (!arena)
		return err_set(e, ENOMEM, "usage");
	if (state_look(all->states, name, &sd, e) < 0)
		return e->code == ERR_NO_SUCH ? 0 : -1;
	/* it may end at any moment, and then has a receipt */
	if (state_read(&sd, arena, &st, e) == 0 && usage_of_run(all, &sd, &st, &u, e) == 0) {
		if (state_status(&sd, &st, NULL, e) != STATUS_STOPPED)
			v->status = "running";
		v->live = (struct run){ .start_ns = st.created_ns,
					.end_ns = st.created_ns + (int64_t)u.alive_us * 1000,
					.usage = u };
	}
	state_close(&sd);
	return 0;
}

static int add_instance(struct accounts *a, const struct instances *all, const char *name,
			bool disk, struct err *e)
{
	struct instance_dir d = { .fd = -1, .promise = -1 };
	auto_instance struct instance *i = NULL;
	struct account *v = NULL;
	int rc = -1;

	if (instance_look(all, name, &d, e) < 0)
		return e->code == ERR_NO_SUCH ? 0 : -1;
	i = instance_load(&d, e);
	v = i ? account_of(a, i->uuid, name, e) : NULL;
	if (v && set_label(a, v, i->labels, e) == 0) {
		v->status = "stopped";
		if (disk)
			v->disk = disk_of(d.fd, INSTANCE_UPPER, 0);
		rc = add_live(all, name, v, e);
	}
	instance_close(&d);
	return rc;
}

struct receipts {
	struct accounts *a;
	struct err *e;
};

static int add_receipt(const struct receipt *r, void *arg)
{
	struct receipts *x = arg;
	struct account *v = account_of(x->a, r->uuid, r->name, x->e);

	if (!v || (streq(v->status, "removed") && set_label(x->a, v, r->labels, x->e) < 0))
		return -1;
	if (v->run.start_ns != r->start_ns)
		end_run(x->a, v);
	add_reading(x->a, &v->run, &r->usage, r->start_ns, r->end_ns);
	return 0;
}

/* A run may end while we look. Receipts are read after that, so it is not missed, and the later of both holds. */
static int collect(struct accounts *a, const struct instances *all, bool disk, struct err *e)
{
	struct receipts x = { a, e };
	auto_free char **names = NULL;
	size_t n;

	a->arena = arena_new(0);
	if (!a->arena)
		return err_set(e, ENOMEM, "usage");
	if (instances_match(all, NULL, &names, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (add_instance(a, all, names[i], disk, e) < 0)
			return -1;
	if (usage_each(all, add_receipt, &x, e) < 0)
		return -1;
	for (size_t i = 0; i < a->n; i++) {
		struct account *v = &a->v[i];

		if (v->live.start_ns && v->run.start_ns != v->live.start_ns)
			end_run(a, v);
		if (v->live.start_ns)
			add_reading(a, &v->run, &v->live.usage, v->live.start_ns, v->live.end_ns);
		end_run(a, v);
	}
	return 0;
}

static bool is_wanted(const struct account *v, char **patterns)
{
	if (!*patterns)
		return true;
	for (; *patterns; patterns++)
		if (fnmatch(*patterns, v->name, 0) == 0)
			return true;
	return false;
}

/* ---- the report ---- */

struct usage_options {
	const char *since, *by;
	bool csv;
};

static const struct option_row usage_rows[] = {
	STRING_ROW(struct usage_options, since, "since", 0, "TIME",
		   "only what is younger: 2026-11-21T08:00:00Z, or 90s, 10m, 2h, 7d ago"),
	STRING_ROW(struct usage_options, by, "by", 0, "LABEL",
		   "add up what has the same value of it"),
	FLAG_ROW(struct usage_options, csv, "csv", 0, "print lines of comma-separated values"),
	END_ROW,
};

/* The numbers of an account, by the names that JSON and CSV have for them. */
#define N_NUMBERS 11
static void numbers_of(const struct account *v, const char *keys[N_NUMBERS],
		       char out[N_NUMBERS][32])
{
	const struct usage *u = &v->usage;
	size_t n = 0;

#define NUMBER(key, format, value) \
	keys[n] = key;             \
	snprintf(out[n++], 32, format, value)
	NUMBER("runs", "%" PRIu64, v->runs);
	NUMBER("alive_seconds", "%.6f", (double)u->alive_us / 1e6);
	NUMBER("cpu_seconds", "%.6f", (double)u->cpu_us / 1e6);
	NUMBER("memory_byte_seconds", "%" PRIu64, u->memory);
	NUMBER("memory_reserved_byte_seconds", "%" PRIu64, u->reserved);
	NUMBER("disk_bytes", "%" PRIu64, v->disk);
	NUMBER("disk_read_bytes", "%" PRIu64, u->read);
	NUMBER("disk_written_bytes", "%" PRIu64, u->written);
	NUMBER("network_received_bytes", "%" PRIu64, u->received);
	NUMBER("network_sent_bytes", "%" PRIu64, u->sent);
	NUMBER("instances", "%" PRIu64, v->instances);
#undef NUMBER
}

static int print_json(struct cli *c, const struct accounts *a, const char *by)
{
	auto_str struct str text = { 0 };
	struct json_writer w = { .out = &text, .indent = true };

	json_open(&w, NULL, '{');
	json_put_u64(&w, "version", FORMAT_VERSION);
	json_open(&w, "usage", '[');
	for (size_t i = 0; i < a->n; i++) {
		const struct account *v = &a->v[i];
		const char *keys[N_NUMBERS];
		char numbers[N_NUMBERS][32];

		json_open(&w, NULL, '{');
		json_put_string(&w, by ? by : "name", v->name);
		if (!by) {
			json_put_string(&w, "uuid", v->uuid);
			json_put_string(&w, "status", v->status);
		}
		numbers_of(v, keys, numbers);
		for (size_t k = 0; k < N_NUMBERS; k++)
			json_put_number(&w, keys[k], numbers[k]);
		json_close(&w);
	}
	json_close(&w);
	json_close(&w);
	return print_text(c, &text);
}

/* A field of RFC 4180. */
static void put_field(struct str *out, const char *text)
{
	if (!text[strcspn(text, ",\"\r\n")]) {
		str_add(out, text);
		return;
	}
	str_add(out, "\"");
	for (; *text; text++)
		str_addf(out, *text == '"' ? "\"\"" : "%c", *text);
	str_add(out, "\"");
}

static int print_csv(struct cli *c, const struct accounts *a, const char *by)
{
	auto_str struct str text = { 0 };
	const char *keys[N_NUMBERS];
	char numbers[N_NUMBERS][32];

	numbers_of(&(struct account){ .runs = 0 }, keys, numbers);
	put_field(&text, by ? by : "name");
	if (!by)
		str_add(&text, ",uuid,status");
	for (size_t k = 0; k < N_NUMBERS; k++)
		str_addf(&text, ",%s", keys[k]);
	for (size_t i = 0; i < a->n; i++) {
		const struct account *v = &a->v[i];

		str_add(&text, "\n");
		put_field(&text, v->name);
		if (!by)
			str_addf(&text, ",%s,%s", v->uuid, v->status);
		numbers_of(v, keys, numbers);
		for (size_t k = 0; k < N_NUMBERS; k++)
			str_addf(&text, ",%s", numbers[k]);
	}
	return print_text(c, &text);
}

static void print_table(const struct accounts *a, const char *by)
{
	printf("%-20s %-8s %5s %10s %10s %12s %12s %10s %10s %10s %10s %10s\n", by ? by : "NAME",
	       by ? "" : "STATUS", "RUNS", "ALIVE s", "CPU s", "MEM MiB h", "OF MiB h", "DISK",
	       "READ", "WRITTEN", "RECEIVED", "SENT");
	for (size_t i = 0; i < a->n; i++) {
		const struct account *v = &a->v[i];
		const struct usage *u = &v->usage;
		char disk[16], in[16], out[16], received[16], sent[16];

		printf("%-20s %-8s %5" PRIu64
		       " %10.2f %10.2f %12.3f %12.3f %10s %10s %10s %10s %10s\n",
		       *v->name ? v->name : "-", by ? "" : v->status, v->runs,
		       (double)u->alive_us / 1e6, (double)u->cpu_us / 1e6,
		       (double)u->memory / 1048576 / 3600, (double)u->reserved / 1048576 / 3600,
		       format_size(v->disk, disk, sizeof(disk)),
		       format_size(u->read, in, sizeof(in)),
		       format_size(u->written, out, sizeof(out)),
		       format_size(u->received, received, sizeof(received)),
		       format_size(u->sent, sent, sizeof(sent)));
	}
}

static int by_text(const void *a, const void *b)
{
	const struct account *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : strcmp(x->uuid, y->uuid);
}

/* Those of one value become one: they are sorted by it. */
static void add_up(struct accounts *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++) {
		a->v[i].name = a->v[i].label;
		*a->v[i].uuid = '\0';
	}
	if (a->n)
		qsort(a->v, a->n, sizeof(*a->v), by_text);
	for (size_t i = 0; i < a->n; i++) {
		if (n && streq(a->v[n - 1].name, a->v[i].name)) {
			struct account *to = &a->v[n - 1];

			usage_add(&to->usage, &a->v[i].usage);
			to->runs += a->v[i].runs;
			to->disk += a->v[i].disk;
			to->instances++;
		} else {
			a->v[n++] = a->v[i];
		}
	}
	a->n = n;
}

static int usage(struct cli *c, int argc, char **argv)
{
	const struct usage_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;
	auto_accounts struct accounts a = { .by = o->by };
	struct when since = { .set = false };
	bool known = false;
	size_t n = 0;

	if (o->csv && c->json)
		return err_set(c->e, ERR_USAGE, "either --csv or --json");
	if (when_parse(o->since, "since", &since, c->e) < 0 || open_instances(c, &all) < 0)
		return -1;
	if (since.set)
		a.since_ns = since.seconds * 1000000000 + since.nanoseconds;
	if (collect(&a, &all, true, c->e) < 0)
		return -1;
	for (size_t i = 0; i < a.n; i++) {
		if (!is_wanted(&a.v[i], argv))
			continue;
		known = true;
		if (a.v[i].runs || !streq(a.v[i].status, "removed"))
			a.v[n++] = a.v[i];
	}
	a.n = n;
	if (!known && argc == 1 && !argv[0][strcspn(argv[0], "*?[")])
		return err_set(c->e, ERR_NO_SUCH, "nothing is known of an instance '%s'", argv[0]);
	if (o->by)
		add_up(&a);
	else if (n)
		qsort(a.v, n, sizeof(*a.v), by_text);
	if (c->json)
		return print_json(c, &a, o->by);
	if (o->csv)
		return print_csv(c, &a, o->by);
	print_table(&a, o->by);
	return EXIT_DONE;
}

const struct verb verb_usage = {
	.name = "usage",
	.run = usage,
	.flags = VERB_JSON,
	.operands = "[NAME...]",
	.max = -1,
	.help = "tell what instances have used: processor, memory, disk, network",
	.rows = usage_rows,
	.options_size = sizeof(struct usage_options),
	.more = "Names and patterns choose instances, also ones that are gone.",
};

/* ---- verify ---- */

static int verify(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	int64_t n;

	(void)argc;
	(void)argv;
	if (open_instances(c, &all) < 0)
		return -1;
	n = usage_verify(&all, c->e);
	if (n < 0)
		return -1;
	printf("%" PRId64 " receipts, none changed, added or left out\n", n);
	return EXIT_DONE;
}

const struct verb verb_usage_verify = {
	.name = "usage verify",
	.run = verify,
	.help = "check that no receipt was changed, added or left out",
};

/* ---- sample ---- */

struct sample_options {
	struct opt_u64 every, receipts;
};

static const struct option_row sample_rows[] = {
	NUMBER_ROW(struct sample_options, every, "every", 0, "SECONDS",
		   "between readings (default 2)", 1, USAGE_GAP),
	NUMBER_ROW(struct sample_options, receipts, "receipts", 0, "SECONDS",
		   "between receipts of a run that goes on (default 3600)", 1, 86400),
	END_ROW,
};

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = sig;
}

static int sample(struct cli *c, int argc, char **argv)
{
	const struct sample_options *o = c->options;
	struct sigaction sa = { .sa_handler = on_signal };
	struct timespec pause = { .tv_sec = o->every.set ? (time_t)o->every.v : 2 };
	auto_instances struct instances all = INSTANCES_NONE;
	int64_t period = o->receipts.set ? (int64_t)o->receipts.v : 3600;
	struct sampler *s;

	(void)argc;
	(void)argv;
	if (open_instances(c, &all) < 0 || !(s = sampler_open(&all, c->e)))
		return -1;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	while (!stopped) {
		if (sampler_tick(s, period, c->e) <
		    0) /* memory or descriptors may be there again soon */
			log_warn("%s", c->e->msg);
		nanosleep(&pause, NULL);
	}
	sampler_close(s);
	return EXIT_DONE;
}

const struct verb verb_usage_sample = {
	.name = "usage sample",
	.run = sample,
	.help = "read every few seconds how much memory instances use, until stopped: a service",
	.rows = sample_rows,
	.options_size = sizeof(struct sample_options),
};

/* ---- metrics ---- */

/* OpenMetrics 1.0: families of one type and unit; a counter's samples end in _total. */
static const struct {
	const char *name, *unit, *help;
	size_t at;	/* in struct usage */
	double divisor; /* from what is counted to the unit */
} families[] = {
#define FAMILY(name, unit, member, divisor, help)                                         \
	{                                                                                 \
		"ctr_" name "_" unit, unit, help, offsetof(struct usage, member), divisor \
	}
	FAMILY("alive", "seconds", alive_us, 1e6, "Time that it ran."),
	FAMILY("cpu", "seconds", cpu_us, 1e6, "Processor time."),
	FAMILY("memory", "byte_seconds", memory, 1, "Memory used, by time."),
	FAMILY("memory_reserved", "byte_seconds", reserved, 1, "Limit of memory, by time."),
	FAMILY("disk_read", "bytes", read, 1, "Bytes read from disks."),
	FAMILY("disk_written", "bytes", written, 1, "Bytes written to disks."),
	FAMILY("network_received", "bytes", received, 1, "Bytes received from networks."),
	FAMILY("network_sent", "bytes", sent, 1, "Bytes sent to networks."),
};

static void put_family(struct str *out, size_t k, const struct accounts *a)
{
	str_addf(out, "# TYPE %s counter\n# UNIT %s %s\n# HELP %s %s\n", families[k].name,
		 families[k].name, families[k].unit, families[k].name, families[k].help);
	for (size_t i = 0; i < a->n; i++) {
		uint64_t v;

		memcpy(&v, (const char *)&a->v[i].usage + families[k].at, sizeof(v));
		str_addf(out, "%s_total{name=\"%s\",uuid=\"%s\"} ", families[k].name, a->v[i].name,
			 a->v[i].uuid);
		if (families[k].divisor > 1)
			str_addf(out, "%.6f\n", (double)v / families[k].divisor);
		else
			str_addf(out, "%" PRIu64 "\n", v);
	}
}

static int metrics(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	auto_accounts struct accounts a = { .by = NULL };
	auto_str struct str text = { 0 };
	size_t n = 0;

	(void)argc;
	(void)argv;
	if (open_instances(c, &all) < 0 || collect(&a, &all, false, c->e) < 0)
		return -1;
	for (size_t i = 0; i < a.n; i++) /* what is gone would stay in the list for ever */
		if (!streq(a.v[i].status, "removed"))
			a.v[n++] = a.v[i];
	a.n = n;
	if (n)
		qsort(a.v, n, sizeof(*a.v), by_text);
	str_add(&text, "# TYPE ctr_running gauge\n# HELP ctr_running Whether it runs.\n");
	for (size_t i = 0; i < n; i++)
		str_addf(&text, "ctr_running{name=\"%s\",uuid=\"%s\"} %d\n", a.v[i].name,
			 a.v[i].uuid, streq(a.v[i].status, "running"));
	for (size_t k = 0; k < sizeof(families) / sizeof(*families); k++)
		put_family(&text, k, &a);
	str_add(&text, "# EOF");
	return print_text(c, &text);
}

const struct verb verb_metrics = {
	.name = "metrics",
	.run = metrics,
	.help = "print what instances use as OpenMetrics text, for a collector",
};
