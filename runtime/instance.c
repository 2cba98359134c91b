/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/instance.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "netns/netns.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/caps.h"
#include "runtime/names.h"

#define VERSION		 1
#define MEMORY_MIN	 65536	 /* less cannot hold a process */
#define PIDS_MAX	 4194304 /* PID_MAX_LIMIT of 64-bit kernels */
#define STOP_TIMEOUT_MAX 86400
#define HOSTNAME_MAX	 64 /* __NEW_UTS_LEN */

bool instance_shares_net(const struct instance *i)
{
	for (const char *const *w = i->nets; w && *w; w++)
		if (streq(*w, "host"))
			return true;
	return false;
}

struct instance *instance_new(void)
{
	struct arena *a = arena_new(8u << 20);
	struct instance *i = a ? arena_alloc(a, sizeof(*i)) : NULL;

	if (!i) {
		arena_free(a);
		return NULL;
	}
	i->arena = a;
	return i;
}

void instance_free(struct instance *i)
{
	if (i)
		arena_free(i->arena);
}

/* ---- names ---- */

int instance_check_name(const char *name, struct err *e)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	if (len == 0 || name[len] || *name == '-' || len > INSTANCE_NAME_MAX)
		return err_set(
			e, ERR_INVALID,
			"'%.80s' is not a name: small letters, digits and inner dashes, %d at most",
			name, INSTANCE_NAME_MAX);
	return 0;
}

int instance_random_name(char out[INSTANCE_NAME_MAX + 1], struct err *e)
{
	static const char consonants[16] = "bdfghjklmnprstvz";
	static const char vowels[5] = "aeiou";
	unsigned char r[8];

	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return err_set(e, errno, "cannot get random numbers");
	for (int i = 0; i < 4; i++) {
		out[2 * i] = consonants[r[2 * i] % 16];
		out[2 * i + 1] = vowels[r[2 * i + 1] % 5];
	}
	out[8] = '\0';
	return 0;
}

/* ---- the grammar of each value ---- */

static int check_hex(const char *key, const char *s, size_t len, struct err *e)
{
	if (strspn(s, "0123456789abcdef") != len || s[len])
		return err_set(e, ERR_INVALID, "%s: '%.80s' is not %zu hexadecimal digits", key, s,
			       len);
	return 0;
}

static int check_uuid(const char *s, struct err *e)
{
	return check_hex("uuid", s, 32, e);
}

static int check_image_id(const char *s, struct err *e)
{
	return check_hex("image-id", s, 64, e);
}

static int check_word(const char *key, const char *s, const char *const *words, struct err *e)
{
	const char *near = str_nearest(s, words);
	auto_str struct str known = { 0 };

	for (const char *const *w = words; *w; w++) {
		if (streq(s, *w))
			return 0;
		str_addf(&known, "%s%s", w == words ? "" : ", ", *w);
	}
	if (near)
		return err_set(e, ERR_INVALID, "%s: '%.80s' is unknown, did you mean '%s'?", key, s,
			       near);
	return err_set(e, ERR_INVALID, "%s: '%.80s' is none of: %s", key, s, str_text(&known));
}

static int check_plain(const char *key, const char *s, size_t max, struct err *e)
{
	for (const char *c = s; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return err_set(e, ERR_INVALID, "%s: control characters are not allowed",
				       key);
	if (strlen(s) > max)
		return err_set(e, ERR_INVALID, "%s: longer than %zu bytes", key, max);
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
		return *path == '/' ? check_plain("net", path, 1023, e) :
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

static int check_address(const char *s, struct err *e)
{
	const char *is = strchr(s, '=');
	uint32_t ip;

	return is && parse_ip(is + 1, &ip) == 0 ? 0 : err_set(e, ERR_INVALID, "'%.80s' is none", s);
}

static int check_userns(const char *s, struct err *e)
{
	static const char *const words[] = { "own", "host", NULL };

	return check_word("userns", s, words, e);
}

static int check_profile(const char *s, struct err *e)
{
	static const char *const words[] = { "application", "system", NULL };

	return check_word("profile", s, words, e);
}

static int check_absolute(const char *key, const char *s, struct err *e)
{
	if (*s != '/')
		return err_set(e, ERR_INVALID, "%s: '%.200s' is not an absolute path", key, s);
	return check_plain(key, s, 4095, e);
}

static int check_workdir(const char *s, struct err *e)
{
	return check_absolute("workdir", s, e);
}

static int check_rootfs(const char *s, struct err *e)
{
	return check_absolute("rootfs", s, e);
}

static int check_image(const char *s, struct err *e)
{
	return check_plain("image", s, 4095, e);
}

static int check_user(const char *s, struct err *e)
{
	if (*s == ':')
		return err_set(e, ERR_INVALID, "user: '%.80s' does not name a user", s);
	return check_plain("user", s, 255, e);
}

static int check_hostname(const char *s, struct err *e)
{
	size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");

	if (!len || s[len] || len > HOSTNAME_MAX || *s == '-' || *s == '.' || strstr(s, ".."))
		return err_set(
			e, ERR_INVALID,
			"hostname: '%.80s' is not letters, digits, dashes and dots, %d at most", s,
			HOSTNAME_MAX);
	return 0;
}

static int check_signal(const char *s, struct err *e)
{
	if (signal_number(s) <= 0)
		return err_set(e, ERR_INVALID, "stop-signal: there is no signal '%.80s'", s);
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

int parse_cpus(const char *text, uint64_t *out)
{
	uint64_t whole = 0, part = 0, unit = CPUS_UNIT;
	const char *s = text;

	if (*s < '0' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9' && whole <= 8192; s++)
		whole = whole * 10 + (uint64_t)(*s - '0');
	if (*s == '.') {
		if (s[1] < '0' || s[1] > '9')
			return -1;
		for (s++; *s >= '0' && *s <= '9'; s++) {
			if (unit == 1 && *s != '0')
				return -1; /* finer than the scheduler's period can tell */
			if (unit > 1) {
				unit /= 10;
				part += unit * (uint64_t)(*s - '0');
			}
		}
	}
	whole = whole * CPUS_UNIT + part;
	if (*s || whole < 1 || whole > 8192 * CPUS_UNIT)
		return -1;
	*out = whole;
	return 0;
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

enum key_type { KEY_STRING, KEY_STRINGS, KEY_BOOL, KEY_NUMBER, KEY_CPUS };

struct key {
	const char *name;
	enum key_type type;
	size_t at;
	int (*check)(const char *s, struct err *e); /* of the string, or of each */
	uint64_t lo, hi;			    /* KEY_NUMBER */
	size_t has; /* KEY_NUMBER: the flag that tells 0 from absent, or 0 */
};

#define AT(field) offsetof(struct instance, field)

/* In the order in which they are written. */
static const struct key keys[] = {
	{ "uuid", KEY_STRING, AT(uuid), check_uuid, 0, 0, 0 },
	{ "created", KEY_STRING, AT(created), NULL, 0, 0, 0 },
	{ "origin", KEY_STRING, AT(origin), check_uuid, 0, 0, 0 },
	{ "image", KEY_STRING, AT(image), check_image, 0, 0, 0 },
	{ "image-id", KEY_STRING, AT(image_id), check_image_id, 0, 0, 0 },
	{ "rootfs", KEY_STRING, AT(rootfs), check_rootfs, 0, 0, 0 },
	{ "ids", KEY_NUMBER, AT(ids), NULL, 1, UINT32_MAX - INSTANCE_IDS, 0 },
	{ "ephemeral", KEY_BOOL, AT(ephemeral), NULL, 0, 0, 0 },
	{ "system", KEY_BOOL, AT(system), NULL, 0, 0, 0 },
	{ "profile", KEY_STRING, AT(profile), check_profile, 0, 0, 0 },
	{ "entrypoint", KEY_STRINGS, AT(entrypoint), NULL, 0, 0, 0 },
	{ "command", KEY_STRINGS, AT(command), NULL, 0, 0, 0 },
	{ "env", KEY_STRINGS, AT(env), check_env, 0, 0, 0 },
	{ "workdir", KEY_STRING, AT(workdir), check_workdir, 0, 0, 0 },
	{ "user", KEY_STRING, AT(user), check_user, 0, 0, 0 },
	{ "hostname", KEY_STRING, AT(hostname), check_hostname, 0, 0, 0 },
	{ "volumes", KEY_STRINGS, AT(volumes), check_volume, 0, 0, 0 },
	{ "memory", KEY_NUMBER, AT(memory), NULL, MEMORY_MIN, INT64_MAX, 0 },
	{ "cpus", KEY_CPUS, AT(cpus), NULL, 0, 0, 0 },
	{ "pids", KEY_NUMBER, AT(pids), NULL, 1, PIDS_MAX, 0 },
	{ "read-only", KEY_BOOL, AT(read_only), NULL, 0, 0, 0 },
	{ "tty", KEY_BOOL, AT(tty), NULL, 0, 0, 0 },
	{ "interactive", KEY_BOOL, AT(interactive), NULL, 0, 0, 0 },
	{ "net", KEY_STRINGS, AT(nets), check_net, 0, 0, 0 },
	{ "publish", KEY_STRINGS, AT(publish), check_publish, 0, 0, 0 },
	{ "address", KEY_STRINGS, AT(addresses), check_address, 0, 0, 0 },
	{ "userns", KEY_STRING, AT(userns), check_userns, 0, 0, 0 },
	{ "cap-add", KEY_STRINGS, AT(cap_add), check_cap, 0, 0, 0 },
	{ "cap-drop", KEY_STRINGS, AT(cap_drop), check_cap_drop, 0, 0, 0 },
	{ "stop-signal", KEY_STRING, AT(stop_signal), check_signal, 0, 0, 0 },
	{ "stop-timeout", KEY_NUMBER, AT(stop_timeout), NULL, 0, STOP_TIMEOUT_MAX,
	  AT(has_stop_timeout) },
};

#define N_KEYS (sizeof(keys) / sizeof(*keys))

static void *field(const struct instance *i, size_t at)
{
	return (char *)i + at;
}

static const struct key *key_find(const char *name, struct err *e)
{
	const char *names[N_KEYS + 1];
	const char *near;

	for (size_t k = 0; k < N_KEYS; k++) {
		if (streq(keys[k].name, name))
			return &keys[k];
		names[k] = keys[k].name;
	}
	names[N_KEYS] = NULL;
	near = str_nearest(name, names);
	err_set(e, ERR_INVALID, "unknown key '%.80s'%s%s%s", name, near ? ", did you mean '" : "",
		near ? near : "", near ? "'?" : "");
	return NULL;
}

static int key_check(const struct key *k, const struct instance *i, struct err *e)
{
	const void *at = field(i, k->at);
	uint64_t v;

	switch (k->type) {
	case KEY_STRING:
		if (*(const char *const *)at && k->check)
			return k->check(*(const char *const *)at, e);
		return 0;
	case KEY_STRINGS:
		for (const char *const *s = *(const char *const *const *)at; k->check && s && *s;
		     s++)
			if (k->check(*s, e) < 0)
				return err_in(e, "%s", k->name);
		return 0;
	case KEY_NUMBER:
		v = *(const uint64_t *)at;
		if (k->has ? !*(bool *)field(i, k->has) : !v)
			return 0;
		if (v < k->lo && k->hi == INT64_MAX)
			return err_set(e, ERR_INVALID, "%s: %llu is too little: %llu at least",
				       k->name, (unsigned long long)v, (unsigned long long)k->lo);
		if (v < k->lo || v > k->hi)
			return err_set(e, ERR_INVALID, "%s: %llu is not between %llu and %llu",
				       k->name, (unsigned long long)v, (unsigned long long)k->lo,
				       (unsigned long long)k->hi);
		return 0;
	case KEY_BOOL:
	case KEY_CPUS: /* parse_cpus() has checked it */
		return 0;
	}
	return 0;
}

int instance_check(const struct instance *i, struct err *e)
{
	for (size_t k = 0; k < N_KEYS; k++)
		if (key_check(&keys[k], i, e) < 0)
			return -1;
	if (!i->image_id == !i->rootfs)
		return err_set(e, ERR_INVALID,
			       "an instance has an image or a directory, one of both");
	return 0;
}

static int key_read(const struct key *k, const struct json *v, struct instance *i, struct err *e)
{
	void *at = field(i, k->at);
	const char *text;

	switch (k->type) {
	case KEY_STRING:
		return json_string(v, at, e);
	case KEY_STRINGS:
		return json_strings(v, i->arena, at, NULL, e);
	case KEY_BOOL:
		return json_bool(v, at, e);
	case KEY_NUMBER:
		if (json_u64(v, k->lo, k->hi, at, e) < 0)
			return -1;
		if (k->has)
			*(bool *)field(i, k->has) = true;
		return 0;
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
		const struct key *k;

		if (streq(v->key, "version"))
			continue;
		k = key_find(v->key, e);
		if (!k)
			return NULL;
		if (v->type == JSON_NULL) {
			err_set(e, ERR_INVALID, "%s: null is no value", k->name);
			return NULL;
		}
		if (key_read(k, v, i, e) < 0)
			return NULL;
	}
	if (instance_check(i, e) < 0)
		return NULL;
	return take_ptr(i);
}

static void key_write(const struct key *k, const struct instance *i, struct json_writer *w)
{
	const void *at = field(i, k->at);
	char text[32];

	switch (k->type) {
	case KEY_STRING:
		json_put_string(w, k->name, *(const char *const *)at);
		break;
	case KEY_STRINGS:
		json_put_strings(w, k->name, *(const char *const *const *)at);
		break;
	case KEY_BOOL:
		if (*(const bool *)at)
			json_put_bool(w, k->name, true);
		break;
	case KEY_NUMBER:
		if (k->has ? *(const bool *)field(i, k->has) : *(const uint64_t *)at != 0)
			json_put_u64(w, k->name, *(const uint64_t *)at);
		break;
	case KEY_CPUS:
		if (*(const uint64_t *)at) {
			format_cpus(*(const uint64_t *)at, text, sizeof(text));
			json_put_string(w, k->name, text);
		}
		break;
	}
}

void instance_dump(const struct instance *i, struct str *out)
{
	struct json_writer w = { .out = out, .indent = true };

	json_open(&w, NULL, '{');
	json_put_u64(&w, "version", VERSION);
	for (size_t k = 0; k < N_KEYS; k++)
		key_write(&keys[k], i, &w);
	json_close(&w);
	str_add(out, "\n");
}

/* ---- volumes ---- */

static bool has_dots(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")); p += 2)
		if ((p == path || p[-1] == '/') && (p[2] == '/' || p[2] == '\0'))
			return true;
	return false;
}

static int check_volume_path(const char *text, const char *path, struct err *e)
{
	if (*path != '/' || has_dots(path))
		return err_set(e, ERR_INVALID,
			       "'%.200s': '%.200s' is not an absolute path without '..'", text,
			       path);
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return err_set(e, ERR_INVALID, "control characters are not allowed");
	return 0;
}

static int volume_option(const char *text, const char *word, struct volume *v, struct err *e)
{
	static const char *const words[] = { "ro", "rw", "idmap", "noidmap", "bind", "rbind", NULL };
	int w = 0;
	const char *near;

	while (words[w] && !streq(words[w], word))
		w++;
	switch (w) {
	case 0:
	case 1:
		v->readonly = w == 0;
		return 0;
	case 2:
	case 3:
		v->noidmap = w == 3;
		return 0;
	case 4:
	case 5:
		v->one_fs = w == 4;
		return 0;
	}
	near = str_nearest(word, words);
	return err_set(e, ERR_INVALID, "'%.200s': unknown option '%.40s'%s%s%s", text, word,
		       near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int volume_parse(const char *text, struct arena *a, struct volume *v, struct err *e)
{
	char *copy = arena_strdup(a, text), *target, *options, *word;
	struct volume got = { 0 };

	if (!copy)
		return err_set(e, ENOMEM, "volume");
	target = strchr(copy, ':');
	if (!target)
		return err_set(e, ERR_INVALID, "'%.200s' is not SOURCE:TARGET", text);
	*target++ = '\0';
	options = strchr(target, ':');
	if (options)
		*options++ = '\0';
	got.source = copy;
	got.target = target;
	if (check_volume_path(text, got.source, e) < 0 ||
	    check_volume_path(text, got.target, e) < 0)
		return -1;
	if (target[strspn(target, "/")] == '\0')
		return err_set(e, ERR_INVALID, "'%.200s': the target cannot be the root", text);
	while (options) {
		word = options;
		options = strchr(options, ',');
		if (options)
			*options++ = '\0';
		if (volume_option(text, word, &got, e) < 0)
			return -1;
	}
	*v = got;
	return 0;
}

/* ---- how it ended ---- */

int instance_exit_parse(const char *text, size_t len, struct instance_exit *x, struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	const struct json *doc = a ? json_parse(a, text, len, e) : NULL;
	int64_t code = -1, sig = 0, time = 0;
	bool oom = false;

	if (!a)
		return err_set(e, ENOMEM, "exit status");
	if (!doc || json_expect(doc, JSON_OBJECT, e) < 0 ||
	    json_i64(json_get(doc, "code"), -1, 255, &code, e) < 0 ||
	    json_i64(json_get(doc, "signal"), 0, 64, &sig, e) < 0 ||
	    json_bool(json_get(doc, "oom"), &oom, e) < 0 ||
	    json_i64(json_get(doc, "time"), 0, INT64_MAX, &time, e) < 0)
		return -1;
	*x = (struct instance_exit){ (int)code, (int)sig, oom, time };
	return 0;
}

void instance_exit_dump(const struct instance_exit *x, struct str *out)
{
	struct json_writer w = { .out = out, .indent = false };

	json_open(&w, NULL, '{');
	json_put_i64(&w, "code", x->code);
	json_put_i64(&w, "signal", x->signal);
	json_put_bool(&w, "oom", x->oom);
	json_put_i64(&w, "time", x->time);
	json_close(&w);
	str_add(out, "\n");
}

char *format_time(int64_t seconds, char *out, size_t size)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, size, "%lld", (long long)seconds);
	return out;
}
