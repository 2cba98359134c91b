/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instance_keys.c - the keys of an instance's configuration: one table, its grammar, and both ways in and out of it,
 * JSON and a person's words.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "netns/netns.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/caps.h"
#include "runtime/instance.h"
#include "runtime/names.h"
#include "runtime/restart.h"

#define VERSION		 1
#define MEMORY_MIN	 65536	 /* less cannot hold a process */
#define DISK_MIN	 1048576 /* less cannot hold its own files */
#define PIDS_MAX	 4194304 /* PID_MAX_LIMIT of 64-bit kernels */
#define STOP_TIMEOUT_MAX 86400
#define HOSTNAME_MAX	 64    /* __NEW_UTS_LEN */
#define WEIGHT_MAX	 10000 /* CGROUP_WEIGHT_MAX */
#define LOG_SIZE_MIN	 65536
#define LOG_FILES_MAX	 99

/* ---- the grammar of each value ---- */

static int check_hex(const char *s, size_t len, struct err *e)
{
	if (strspn(s, "0123456789abcdef") != len || s[len])
		return err_set(e, ERR_INVALID, "'%.80s' is not %zu hexadecimal digits", s, len);
	return 0;
}

static int check_uuid(const char *s, struct err *e)
{
	return check_hex(s, 32, e);
}

static int check_image_id(const char *s, struct err *e)
{
	return check_hex(s, 64, e);
}

static int check_word(const char *s, const char *const *words, struct err *e)
{
	const char *near = str_nearest(s, words);
	auto_str struct str known = { 0 };

	for (const char *const *w = words; *w; w++) {
		if (streq(s, *w))
			return 0;
		str_addf(&known, "%s%s", w == words ? "" : ", ", *w);
	}
	if (near)
		return err_set(e, ERR_INVALID, "'%.80s' is unknown, did you mean '%s'?", s, near);
	return err_set(e, ERR_INVALID, "'%.80s' is none of: %s", s, str_text(&known));
}

static int check_plain(const char *s, size_t max, struct err *e)
{
	for (const char *c = s; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return err_set(e, ERR_INVALID, "control characters are not allowed");
	if (strlen(s) > max)
		return err_set(e, ERR_INVALID, "longer than %zu bytes", max);
	return 0;
}

static int check_net(const char *s, struct err *e)
{
	const char *rest = str_after(s, "container:"), *path = str_after(s, "ns:");
	char name[INSTANCE_NAME_MAX + 1];
	size_t len = strcspn(s, ":");
	uint32_t ip;

	if (rest)
		return instance_check_name(rest, e) < 0 ? -1 : 0;
	if (path)
		return *path == '/' ? check_plain(path, 1023, e) :
				      err_set(e, ERR_INVALID, "'ns:' needs an absolute path");
	if (len >= sizeof(name))
		return err_set(e, ERR_INVALID, "'%.80s' is no name of a network", s);
	memcpy(name, s, len);
	name[len] = '\0';
	if (instance_check_name(name, e) < 0)
		return err_set(
			e, ERR_INVALID,
			"'%.80s' is none of: none, host, container:NAME, ns:PATH, the name of a network",
			s);
	rest = str_after(s + len, ":ip=");
	if (s[len] && (!rest || parse_ip(rest, &ip) < 0))
		return err_set(e, ERR_INVALID, "'%.80s' is not NETWORK:ip=ADDRESS", s);
	return 0;
}

static int check_publish(const char *s, struct err *e)
{
	struct publication ignored;

	return publication_parse(s, &ignored, e) < 0 ? -1 : 0;
}

static int check_firewall(const char *s, struct err *e)
{
	struct fw_rule ignored;

	return fw_parse(s, &ignored, e);
}

static int check_net_rate(const char *s, struct err *e)
{
	struct net_rate ignored;

	return net_rate_parse(s, &ignored, e);
}

static int check_address(const char *s, struct err *e)
{
	const char *is = strchr(s, '=');
	uint32_t ip;

	return is && parse_ip(is + 1, &ip) == 0 ? 0 : err_set(e, ERR_INVALID, "'%.80s' is none", s);
}

static int check_userns(const char *s, struct err *e)
{
	static const char *const words[] = { "own", "host", NULL };

	return check_word(s, words, e);
}

static int check_profile(const char *s, struct err *e)
{
	static const char *const words[] = { "application", "system", NULL };

	return check_word(s, words, e);
}

static int check_absolute(const char *s, struct err *e)
{
	if (*s != '/')
		return err_set(e, ERR_INVALID, "'%.200s' is not an absolute path", s);
	return check_plain(s, 4095, e);
}

static int check_image(const char *s, struct err *e)
{
	return check_plain(s, 4095, e);
}

static int check_user(const char *s, struct err *e)
{
	if (*s == ':')
		return err_set(e, ERR_INVALID, "'%.80s' does not name a user", s);
	return check_plain(s, 255, e);
}

static int check_hostname(const char *s, struct err *e)
{
	size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");

	if (!len || s[len] || len > HOSTNAME_MAX || *s == '-' || *s == '.' || strstr(s, ".."))
		return err_set(e, ERR_INVALID,
			       "'%.80s' is not letters, digits, dashes and dots, %d at most", s,
			       HOSTNAME_MAX);
	return 0;
}

static int check_signal(const char *s, struct err *e)
{
	if (signal_number(s) <= 0)
		return err_set(e, ERR_INVALID, "there is no signal '%.80s'", s);
	return 0;
}

static int check_env(const char *s, struct err *e)
{
	const char *eq = strchr(s, '=');

	if (!eq || eq == s)
		return err_set(e, ERR_INVALID, "'%.80s' is not NAME=VALUE", s);
	return 0;
}

static int check_volume(const char *s, struct err *e)
{
	auto_arena struct arena *a = arena_new(0);
	struct volume v;

	if (!a)
		return err_set(e, ENOMEM, "volumes");
	return volume_parse(s, a, &v, e);
}

static int check_cap(const char *s, struct err *e)
{
	if (cap_number(s) < 0)
		return err_set(e, ERR_INVALID, "'%.80s' is not a capability", s);
	return 0;
}

static int check_cap_drop(const char *s, struct err *e)
{
	return streq(s, "ALL") ? 0 : check_cap(s, e);
}

static int check_label(const char *s, struct err *e)
{
	size_t len =
		strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-");

	if (!len || s[len] != '=')
		return err_set(
			e, ERR_INVALID,
			"'%.80s' is not NAME=VALUE, the name of letters, digits and any of . _ / -",
			s);
	return check_plain(s, 4095, e);
}

static int check_description(const char *s, struct err *e)
{
	return check_plain(s, 1023, e);
}

static int check_cpuset(const char *s, struct err *e)
{
	unsigned long mask[CPUS_MAX / 8 / sizeof(long)] = { 0 };

	return parse_bits(s, mask, CPUS_MAX) == 0 ?
		       0 :
		       err_set(e, ERR_INVALID, "'%.80s' is no list of processors, such as 0-3,7",
			       s);
}

static int check_restart(const char *s, struct err *e)
{
	struct restart_policy ignored;

	return restart_parse(s, &ignored, e);
}

static int check_command(const char *s, struct err *e)
{
	return check_plain(s, 4095, e);
}

static int check_action(const char *s, struct err *e)
{
	static const char *const words[] = { "none", "restart", "stop", NULL };

	return check_word(s, words, e);
}

static int check_ready(const char *s, struct err *e)
{
	static const char *const words[] = { "running", "healthy", NULL };
	const char *port = str_after(s, "tcp:"), *command = str_after(s, "exec:");
	uint64_t n;

	if (port)
		return parse_u64(port, 1, 65535, &n) == 0 ?
			       0 :
			       err_set(e, ERR_INVALID, "'%.40s' is not tcp:PORT", s);
	if (command)
		return *command ? check_command(command, e) :
				  err_set(e, ERR_INVALID, "'exec:' needs a command");
	return check_word(s, words, e);
}

static int check_after(const char *s, struct err *e)
{
	return instance_check_name(s, e);
}

static int check_io(const char *s, struct err *e)
{
	auto_arena struct arena *a = arena_new(0);
	struct io_limit l;

	return a ? io_limit_parse(s, a, &l, e) : err_set(e, ENOMEM, "limits");
}

static void format_cpus(uint64_t v, char *out, size_t size)
{
	int n = snprintf(out, size, "%llu.%03llu", (unsigned long long)(v / CPUS_UNIT),
			 (unsigned long long)(v % CPUS_UNIT));

	while (n > 0 && out[n - 1] == '0')
		out[--n] = '\0';
	if (n > 0 && out[n - 1] == '.')
		out[--n] = '\0';
}

/* ---- the keys ---- */

#define AT(field) offsetof(struct instance, field)

const struct instance_key instance_keys[] = {
	{ "uuid", KEY_STRING, KEY_FIXED, AT(uuid), check_uuid, 0, 0, 0 },
	{ "created", KEY_STRING, KEY_FIXED, AT(created), NULL, 0, 0, 0 },
	{ "origin", KEY_STRING, KEY_FIXED, AT(origin), check_uuid, 0, 0, 0 },
	{ "image", KEY_STRING, KEY_FIXED, AT(image), check_image, 0, 0, 0 },
	{ "image-id", KEY_STRING, KEY_FIXED, AT(image_id), check_image_id, 0, 0, 0 },
	{ "rootfs", KEY_STRING, KEY_FIXED, AT(rootfs), check_absolute, 0, 0, 0 },
	{ "ids", KEY_NUMBER, KEY_FIXED, AT(ids), NULL, 1, UINT32_MAX - INSTANCE_IDS, 0 },
	{ "ephemeral", KEY_BOOL, KEY_FIXED, AT(ephemeral), NULL, 0, 0, 0 },
	{ "system", KEY_BOOL, KEY_FIXED, AT(system), NULL, 0, 0, 0 },
	{ "description", KEY_STRING, KEY_NOW, AT(description), check_description, 0, 0, 0 },
	{ "label", KEY_STRINGS, KEY_NOW | KEY_NAMED, AT(labels), check_label, 0, 0, 0 },
	{ "profile", KEY_STRING, 0, AT(profile), check_profile, 0, 0, 0 },
	{ "entrypoint", KEY_STRINGS, 0, AT(entrypoint), NULL, 0, 0, 0 },
	{ "command", KEY_STRINGS, 0, AT(command), NULL, 0, 0, 0 },
	{ "env", KEY_STRINGS, KEY_NAMED, AT(env), check_env, 0, 0, 0 },
	{ "workdir", KEY_STRING, 0, AT(workdir), check_absolute, 0, 0, 0 },
	{ "user", KEY_STRING, 0, AT(user), check_user, 0, 0, 0 },
	{ "hostname", KEY_STRING, 0, AT(hostname), check_hostname, 0, 0, 0 },
	{ "volume", KEY_STRINGS, 0, AT(volumes), check_volume, 0, 0, 0 },
	{ "memory", KEY_SIZE, KEY_LIMIT, AT(memory), NULL, MEMORY_MIN, INT64_MAX, 0 },
	{ "memory-high", KEY_SIZE, KEY_LIMIT, AT(memory_high), NULL, MEMORY_MIN, INT64_MAX, 0 },
	{ "swap", KEY_SIZE, KEY_LIMIT, AT(swap), NULL, 0, INT64_MAX, AT(has_swap) },
	{ "disk", KEY_SIZE, KEY_NOW, AT(disk), NULL, DISK_MIN, INT64_MAX, 0 },
	{ "cpus", KEY_CPUS, KEY_LIMIT, AT(cpus), NULL, 0, 0, 0 },
	{ "cpuset", KEY_STRING, KEY_LIMIT, AT(cpuset), check_cpuset, 0, 0, 0 },
	{ "cpu-weight", KEY_NUMBER, KEY_LIMIT, AT(cpu_weight), NULL, 1, WEIGHT_MAX, 0 },
	{ "pids", KEY_NUMBER, KEY_LIMIT, AT(pids), NULL, 1, PIDS_MAX, 0 },
	{ "io", KEY_STRINGS, KEY_LIMIT, AT(io), check_io, 0, 0, 0 },
	{ "io-weight", KEY_NUMBER, KEY_LIMIT, AT(io_weight), NULL, 1, WEIGHT_MAX, 0 },
	{ "read-only", KEY_BOOL, 0, AT(read_only), NULL, 0, 0, 0 },
	{ "tty", KEY_BOOL, 0, AT(tty), NULL, 0, 0, 0 },
	{ "interactive", KEY_BOOL, 0, AT(interactive), NULL, 0, 0, 0 },
	{ "net", KEY_STRINGS, 0, AT(nets), check_net, 0, 0, 0 },
	{ "publish", KEY_STRINGS, 0, AT(publish), check_publish, 0, 0, 0 },
	{ "net-rate", KEY_STRING, KEY_NOW, AT(net_rate), check_net_rate, 0, 0, 0 },
	{ "firewall", KEY_STRINGS, KEY_NOW, AT(firewall), check_firewall, 0, 0, 0 },
	{ "address", KEY_STRINGS, KEY_FIXED, AT(addresses), check_address, 0, 0, 0 },
	{ "userns", KEY_STRING, KEY_FIXED, AT(userns), check_userns, 0, 0, 0 },
	{ "cap-add", KEY_STRINGS, 0, AT(cap_add), check_cap, 0, 0, 0 },
	{ "cap-drop", KEY_STRINGS, 0, AT(cap_drop), check_cap_drop, 0, 0, 0 },
	{ "stop-signal", KEY_STRING, KEY_NOW, AT(stop_signal), check_signal, 0, 0, 0 },
	{ "stop-timeout", KEY_NUMBER, KEY_NOW, AT(stop_timeout), NULL, 0, STOP_TIMEOUT_MAX,
	  AT(has_stop_timeout) },
	{ "log-size", KEY_SIZE, 0, AT(log_size), NULL, LOG_SIZE_MIN, INT64_MAX, 0 },
	{ "log-files", KEY_NUMBER, 0, AT(log_files), NULL, 1, LOG_FILES_MAX, 0 },
	{ "restart", KEY_STRING, KEY_NOW, AT(restart), check_restart, 0, 0, 0 },
	{ "health-cmd", KEY_STRING, 0, AT(health_cmd), check_command, 0, 0, 0 },
	{ "health-interval", KEY_NUMBER, 0, AT(health_interval), NULL, 1, 86400, 0 },
	{ "health-timeout", KEY_NUMBER, 0, AT(health_timeout), NULL, 1, 86400, 0 },
	{ "health-start", KEY_NUMBER, 0, AT(health_start), NULL, 1, 86400, 0 },
	{ "health-retries", KEY_NUMBER, 0, AT(health_retries), NULL, 1, 1000, 0 },
	{ "health-action", KEY_STRING, 0, AT(health_action), check_action, 0, 0, 0 },
	{ "ready", KEY_STRING, KEY_NOW, AT(ready), check_ready, 0, 0, 0 },
	{ "after", KEY_STRINGS, KEY_NOW, AT(after), check_after, 0, 0, 0 },
	{ "autostart", KEY_NUMBER, KEY_NOW, AT(autostart), NULL, 1, 10000, 0 },
	{ NULL, KEY_BOOL, 0, 0, NULL, 0, 0, 0 },
};

#define N_KEYS (sizeof(instance_keys) / sizeof(*instance_keys) - 1)

static void *field(const struct instance *i, size_t at)
{
	return (char *)i + at;
}

const struct instance_key *instance_key(const char *name, struct err *e)
{
	const char *names[N_KEYS + 1] = { NULL };
	const char *near;

	for (size_t k = 0; k < N_KEYS; k++) {
		names[k] = instance_keys[k].name;
		if (streq(names[k], name))
			return &instance_keys[k];
	}
	near = str_nearest(name, names);
	err_set(e, ERR_INVALID, "unknown key '%.80s'%s%s%s", name, near ? ", did you mean '" : "",
		near ? near : "", near ? "'?" : "");
	return NULL;
}

static bool is_given(const struct instance_key *k, const struct instance *i)
{
	const void *at = field(i, k->at);

	if (k->has)
		return *(const bool *)field(i, k->has);
	switch (k->type) {
	case KEY_STRING:
	case KEY_STRINGS:
		return *(const void *const *)at != NULL;
	case KEY_BOOL:
		return *(const bool *)at;
	default:
		return *(const uint64_t *)at != 0;
	}
}

static int check_value(const struct instance_key *k, const struct instance *i, struct err *e)
{
	const void *at = field(i, k->at);
	uint64_t v;

	if (!is_given(k, i))
		return 0;
	switch (k->type) {
	case KEY_STRING:
		return k->check ? k->check(*(const char *const *)at, e) : 0;
	case KEY_STRINGS:
		for (const char *const *s = *(const char *const *const *)at; k->check && *s; s++)
			if (k->check(*s, e) < 0)
				return -1;
		return 0;
	case KEY_NUMBER:
	case KEY_SIZE:
		v = *(const uint64_t *)at;
		if (v < k->lo && k->hi == INT64_MAX)
			return err_set(e, ERR_INVALID, "%llu is too little: %llu at least",
				       (unsigned long long)v, (unsigned long long)k->lo);
		if (v < k->lo || v > k->hi)
			return err_set(e, ERR_INVALID, "%llu is not between %llu and %llu",
				       (unsigned long long)v, (unsigned long long)k->lo,
				       (unsigned long long)k->hi);
		return 0;
	case KEY_BOOL:
	case KEY_CPUS: /* parse_cpus() has checked it */
		return 0;
	}
	return 0;
}

/* A network namespace of somebody else's has neither room for a second interface nor ports of its own. */
static int check_networks(const struct instance *i, struct err *e)
{
	for (const char *const *n = i->nets; n && *n; n++) {
		if (!streq(*n, "none") && !streq(*n, "host") && !str_after(*n, "container:") &&
		    !str_after(*n, "ns:"))
			continue;
		if (i->nets[1])
			return err_set(e, ERR_INVALID, "net: '%s' goes with no other network", *n);
		if (i->publish)
			return err_set(e, ERR_INVALID,
				       "publish: needs a network: '%s' has no port of its own", *n);
		if (i->net_rate || i->firewall)
			return err_set(e, ERR_INVALID,
				       "%s: needs a network: '%s' has no interface of its own",
				       i->net_rate ? "net-rate" : "firewall", *n);
	}
	return 0;
}

int instance_check(const struct instance *i, struct err *e)
{
	for (size_t k = 0; k < N_KEYS; k++)
		if (check_value(&instance_keys[k], i, e) < 0)
			return err_in(e, "%s", instance_keys[k].name);
	if (!i->image_id == !i->rootfs)
		return err_set(e, ERR_INVALID,
			       "an instance has an image or a directory, one of both");
	if (i->ephemeral && i->restart && !streq(i->restart, "no"))
		return err_set(e, ERR_INVALID,
			       "restart: what is removed when it ends (--rm) is not started again");
	return check_networks(i, e);
}

/* ---- from and to JSON ---- */

static int read_json(const struct instance_key *k, const struct json *v, struct instance *i,
		     struct err *e)
{
	void *at = field(i, k->at);
	const char *text;

	if (k->has)
		*(bool *)field(i, k->has) = true;
	switch (k->type) {
	case KEY_STRING:
		return json_string(v, at, e);
	case KEY_STRINGS:
		return json_strings(v, i->arena, at, NULL, e);
	case KEY_BOOL:
		return json_bool(v, at, e);
	case KEY_NUMBER:
	case KEY_SIZE:
		return json_u64(v, k->lo, k->hi, at, e);
	case KEY_CPUS:
		if (json_string(v, &text, e) < 0)
			return -1;
		if (parse_cpus(text, at) < 0)
			return err_set(e, ERR_INVALID, "%s: '%.80s' is not a number of processors",
				       k->name, text);
		return 0;
	}
	return 0;
}

struct instance *instance_parse(const char *text, size_t len, struct err *e)
{
	auto_instance struct instance *i = instance_new();
	const struct json *doc, *v;
	uint64_t version = 0;

	if (!i) {
		err_set(e, ENOMEM, "instance");
		return NULL;
	}
	if (len > INSTANCE_CONFIG_MAX) {
		err_set(e, ERR_INVALID, "larger than %u bytes", INSTANCE_CONFIG_MAX);
		return NULL;
	}
	doc = json_parse(i->arena, text, len, e);
	if (!doc || json_expect(doc, JSON_OBJECT, e) < 0)
		return NULL;
	if (json_u64(json_get(doc, "version"), 1, UINT64_MAX, &version, e) < 0)
		return NULL;
	if (version != VERSION) {
		err_set(e, ERR_INVALID, "version %llu of the format, this ctr knows %d",
			(unsigned long long)version, VERSION);
		return NULL;
	}
	for (v = doc->first; v; v = v->next) {
		const struct instance_key *k;

		if (streq(v->key, "version"))
			continue;
		k = instance_key(v->key, e);
		if (!k)
			return NULL;
		if (v->type == JSON_NULL) {
			err_set(e, ERR_INVALID, "%s: null is no value", k->name);
			return NULL;
		}
		if (read_json(k, v, i, e) < 0)
			return NULL;
	}
	if (instance_check(i, e) < 0)
		return NULL;
	return take_ptr(i);
}

static void write_json(const struct instance_key *k, const struct instance *i,
		       struct json_writer *w)
{
	const void *at = field(i, k->at);
	char text[32];

	if (!is_given(k, i))
		return;
	switch (k->type) {
	case KEY_STRING:
		json_put_string(w, k->name, *(const char *const *)at);
		break;
	case KEY_STRINGS:
		json_put_strings(w, k->name, *(const char *const *const *)at);
		break;
	case KEY_BOOL:
		json_put_bool(w, k->name, true);
		break;
	case KEY_NUMBER:
	case KEY_SIZE:
		json_put_u64(w, k->name, *(const uint64_t *)at);
		break;
	case KEY_CPUS:
		format_cpus(*(const uint64_t *)at, text, sizeof(text));
		json_put_string(w, k->name, text);
		break;
	}
}

void instance_dump(const struct instance *i, struct str *out)
{
	struct json_writer w = { .out = out, .indent = true };

	json_open(&w, NULL, '{');
	json_put_u64(&w, "version", VERSION);
	for (size_t k = 0; k < N_KEYS; k++)
		write_json(&instance_keys[k], i, &w);
	json_close(&w);
	str_add(out, "\n");
}

/* ---- from and to a person's words ---- */

static int read_bool(const char *word, bool *out, struct err *e)
{
	static const char *const words[] = { "yes", "no", "true", "false", "on",
					     "off", "1",  "0",	  NULL };

	for (size_t w = 0; words[w]; w++)
		if (streq(word, words[w])) {
			*out = w % 2 == 0;
			return 0;
		}
	return err_set(e, ERR_INVALID, "'%.40s' is neither yes nor no", word);
}

/* Sizes are exact, or not abbreviated: what is written is read again the same. */
static void format_exact(uint64_t v, struct str *out)
{
	static const char units[] = "KMGT";
	size_t u = 0;

	if (!v || v % 1024) {
		str_addf(out, "%llu", (unsigned long long)v);
		return;
	}
	for (v /= 1024; units[u + 1] && v % 1024 == 0; u++)
		v /= 1024;
	str_addf(out, "%llu%c", (unsigned long long)v, units[u]);
}

/* The same string, or of KEY_NAMED the same name. */
static bool is_same(const struct instance_key *k, const char *a, const char *b)
{
	size_t len = strcspn(b, "=");

	if (!(k->flags & KEY_NAMED))
		return streq(a, b);
	return strncmp(a, b, len) == 0 && (a[len] == '=' || !a[len]);
}

/* @words, or one word, in place of or beside what is there. */
static int change_strings(struct instance *i, const struct instance_key *k, enum key_change how,
			  const char *const *words, struct err *e)
{
	const char *const **at = field(i, k->at);
	size_t n = 0, m = 0, found = 0;
	const char **v;

	for (const char *const *w = *at; w && *w; w++)
		n++;
	for (const char *const *w = words; *w; w++)
		m++;
	v = arena_array(i->arena, n + m + 1, sizeof(*v));
	if (!v)
		return err_set(e, ENOMEM, "configuration");
	n = 0;
	for (const char *const *w = how == KEY_TO ? NULL : *at; w && *w; w++) {
		const char *const *other = words;

		while (*other && !is_same(k, *w, *other))
			other++;
		found += *other != NULL;
		if (!*other)
			v[n++] = *w;
	}
	if (how == KEY_REMOVE && !found)
		return err_set(e, ERR_NO_SUCH, "'%.200s' is not there", words[0]);
	for (const char *const *w = how == KEY_REMOVE ? NULL : words; w && *w; w++)
		v[n++] = *w;
	v[n] = NULL;
	*at = n || how == KEY_TO ? v : NULL;
	return 0;
}

static int read_words(struct instance *i, const struct instance_key *k, enum key_change how,
		      const char *word, struct err *e)
{
	const char *const *words = (const char *const[]){ word, NULL };
	const struct json *doc;

	if (!*word && how == KEY_TO) {
		*(const char *const **)field(i, k->at) = NULL;
		return 0;
	}
	if (*word == '[') {
		doc = json_parse(i->arena, word, strlen(word), e);
		if (!doc || json_strings(doc, i->arena, &words, NULL, e) < 0)
			return -1;
	}
	return change_strings(i, k, how, words, e);
}

static int read_word(struct instance *i, const struct instance_key *k, const char *word,
		     struct err *e)
{
	void *at = field(i, k->at);
	uint64_t *number = at;

	if (k->has)
		*(bool *)field(i, k->has) = *word != '\0';
	switch (k->type) {
	case KEY_STRING:
		*(const char **)at = *word ? word : NULL;
		return 0;
	case KEY_BOOL:
		*(bool *)at = false;
		return *word ? read_bool(word, at, e) : 0;
	case KEY_STRINGS:
		return 0; /* read_words() */
	default:
		*number = 0;
	}
	if (!*word)
		return 0;
	if (k->type == KEY_CPUS && parse_cpus(word, number) < 0)
		return err_set(e, ERR_INVALID, "'%.40s' is not a number of processors, such as 1.5",
			       word);
	if (k->type == KEY_SIZE && parse_size(word, number) < 0)
		return err_set(e, ERR_INVALID, "'%.40s' is not a size such as 512M or 1.5G", word);
	if (k->type == KEY_NUMBER && parse_u64(word, 0, UINT64_MAX, number) < 0)
		return err_set(e, ERR_INVALID, "'%.40s' is not a number", word);
	if (k->type != KEY_CPUS && !k->has && !*number)
		return err_set(e, ERR_INVALID, "0 is too little: %llu at least",
			       (unsigned long long)k->lo);
	return 0;
}

int instance_change(struct instance *i, const struct instance_key *k, enum key_change how,
		    const char *word, struct err *e)
{
	const char *copy = arena_strdup(i->arena, word);

	if (!copy)
		return err_set(e, ENOMEM, "configuration");
	if (how == KEY_GIVE)
		how = k->type == KEY_STRINGS ? KEY_ADD : KEY_TO;
	if (k->type != KEY_STRINGS && how != KEY_TO)
		return err_set(e, ERR_INVALID, "%s: is no list to add to or take from", k->name);
	if ((k->type == KEY_STRINGS ? read_words(i, k, how, copy, e) : read_word(i, k, copy, e)) <
		    0 ||
	    check_value(k, i, e) < 0)
		return err_in(e, "%s", k->name);
	return 0;
}

bool instance_value(const struct instance *i, const struct instance_key *k, struct str *out)
{
	const void *at = field(i, k->at);
	const char *const *words;
	char text[32];

	if (!is_given(k, i))
		return false;
	switch (k->type) {
	case KEY_STRING:
		str_add(out, *(const char *const *)at);
		break;
	case KEY_STRINGS:
		words = *(const char *const *const *)at;
		for (const char *const *w = words; *w; w++)
			str_addf(out, "%s%s", w == words ? "" : "\n", *w);
		break;
	case KEY_BOOL:
		str_add(out, "yes");
		break;
	case KEY_NUMBER:
		str_addf(out, "%llu", (unsigned long long)*(const uint64_t *)at);
		break;
	case KEY_SIZE:
		format_exact(*(const uint64_t *)at, out);
		break;
	case KEY_CPUS:
		format_cpus(*(const uint64_t *)at, text, sizeof(text));
		str_add(out, text);
		break;
	}
	return true;
}

bool instance_same(const struct instance *a, const struct instance *b, const struct instance_key *k)
{
	auto_str struct str one = { 0 }, two = { 0 };

	return instance_value(a, k, &one) == instance_value(b, k, &two) && !one.failed &&
	       !two.failed && streq(str_text(&one), str_text(&two));
}
