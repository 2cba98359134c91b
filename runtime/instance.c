/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/instance.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"

bool instance_shares_net(const struct instance *i)
{
	for (const char *const *w = i->nets; w && *w; w++)
		if (streq(*w, "host"))
			return true;
	return false;
}

bool instance_has_userns(const struct instance *i)
{
	return !i->userns || !streq(i->userns, "host");
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

/* ---- values ---- */

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

/* ---- limits of input and output ---- */

int io_limit_parse(const char *text, struct arena *a, struct io_limit *l, struct err *e)
{
	static const char *const words[] = { "rbps", "wbps", "riops", "wiops", NULL };
	const char *colon = strrchr(text, ':');
	char *copy = arena_strdup(a, colon ? colon + 1 : text), *word, *value;
	struct io_limit got = { .path = colon ? arena_strndup(a, text, (size_t)(colon - text)) :
						NULL };

	if (!copy || (colon && !got.path))
		return err_set(e, ENOMEM, "limits");
	if (colon && *text != '/')
		return err_set(e, ERR_INVALID, "'%.200s': '%.200s' is not an absolute path", text,
			       got.path);
	while ((word = strsep(&copy, ","))) {
		size_t w = 0;
		bool bytes = strchr(word, 'b');
		uint64_t v = 0;

		value = strchr(word, '=');
		if (value)
			*value++ = '\0';
		while (words[w] && !streq(words[w], word))
			w++;
		if (!words[w] || !value)
			return err_set(
				e, ERR_INVALID,
				"'%.200s' is not [PATH:]LIMIT=N[,...] of rbps, wbps, riops, wiops",
				text);
		if ((bytes ? parse_size(value, &v) : parse_u64(value, 1, UINT64_MAX, &v)) < 0 || !v)
			return err_set(e, ERR_INVALID, "'%.200s': %s: '%.40s' is not %s", text,
				       word, value, bytes ? "a size" : "a number from 1");
		got.most[w] = v;
	}
	*l = got;
	return 0;
}

/* ---- how it ended ---- */

int instance_exit_parse(const char *text, size_t len, struct instance_exit *x, struct err *e)
{
	auto_arena struct arena *a = arena_new(1u << 20);
	const struct json *doc = a ? json_parse(a, text, len, e) : NULL;
	int64_t code = -1, sig = 0, time = 0;
	const char *process = NULL;
	bool oom = false;
	int64_t pid = 0;

	if (!a)
		return err_set(e, ENOMEM, "exit status");
	if (!doc || json_expect(doc, JSON_OBJECT, e) < 0 ||
	    json_i64(json_get(doc, "code"), -1, 255, &code, e) < 0 ||
	    json_i64(json_get(doc, "signal"), 0, 64, &sig, e) < 0 ||
	    json_bool(json_get(doc, "oom"), &oom, e) < 0 ||
	    json_string(json_get(doc, "oom_process"), &process, e) < 0 ||
	    json_i64(json_get(doc, "oom_pid"), 0, INT32_MAX, &pid, e) < 0 ||
	    json_i64(json_get(doc, "time"), 0, INT64_MAX, &time, e) < 0)
		return -1;
	*x = (struct instance_exit){
		.code = (int)code, .signal = (int)sig, .oom = oom, .time = time, .oom_pid = pid
	};
	snprintf(x->oom_process, sizeof(x->oom_process), "%s", process ? process : "");
	return 0;
}

void instance_exit_dump(const struct instance_exit *x, struct str *out)
{
	struct json_writer w = { .out = out, .indent = false };

	json_open(&w, NULL, '{');
	json_put_i64(&w, "code", x->code);
	json_put_i64(&w, "signal", x->signal);
	json_put_bool(&w, "oom", x->oom);
	if (x->oom && *x->oom_process) {
		json_put_string(&w, "oom_process", x->oom_process);
		json_put_i64(&w, "oom_pid", x->oom_pid);
	}
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
