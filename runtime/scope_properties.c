/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/scope_properties.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/resources.h"
#include "runtime/spec.h"

static void add(struct properties *p, const char *name, const char *type, const char *value)
{
	if (!name || !value || p->n + 3 > sizeof(p->v) / sizeof(*p->v)) {
		p->failed = true;
		return;
	}
	p->v[p->n++] = name;
	p->v[p->n++] = type;
	p->v[p->n++] = value;
}

/* "infinity" in systemd's numbers is the largest one. */
static void add_number(struct properties *p, const char *name, int64_t v)
{
	add(p, name, "t", arena_printf(p->a, "%" PRIu64, v < 0 ? UINT64_MAX : (uint64_t)v));
}

/* ---- limits ---- */

static void add_quota(struct properties *p, int64_t quota, int64_t period)
{
	if (period)
		add_number(p, "CPUQuotaPeriodUSec", period);
	if (!quota && !period)
		return;
	if (!period)
		period = CPU_PERIOD_DEFAULT;
	add_number(p, "CPUQuotaPerSecUSec", resources_quota_per_second(quota, period));
}

/* "0-2,5" as a list of bytes, the lowest first. */
static void add_bits(struct properties *p, const char *name, const char *list)
{
	const size_t word = sizeof(unsigned long);
	unsigned long mask[CPUS_MAX / 8 / sizeof(long)] = { 0 };
	char *numbers = arena_strndup(p->a, list, strcspn(list, "\n"));
	auto_str struct str text = { 0 };
	size_t n = CPUS_MAX / 8;

	if (!numbers || parse_bits(numbers, mask, CPUS_MAX) < 0)
		return;
	while (!(mask[(n - 1) / word] >> (n - 1) % word * 8 & 0xff))
		n--;
	str_addf(&text, "%zu", n);
	for (size_t i = 0; i < n; i++)
		str_addf(&text, " %lu", mask[i / word] >> i % word * 8 & 0xff);
	add(p, name, "ay", text.failed ? NULL : arena_strdup(p->a, str_text(&text)));
}

static void add_unified(struct properties *p, const char *file, const char *value, bool idle)
{
	static const struct {
		const char *file, *name;
	} numbers[] = {
		{ "cpu.weight", "CPUWeight" }, { "memory.high", "MemoryHigh" },
		{ "memory.low", "MemoryLow" }, { "memory.max", "MemoryMax" },
		{ "memory.min", "MemoryMin" }, { "memory.swap.max", "MemorySwapMax" },
		{ "pids.max", "TasksMax" },
	};
	char first[24] = "";
	int64_t v, period = CPU_PERIOD_DEFAULT;
	int words = sscanf(value, "%23s %" SCNd64, first, &period);

	if (streq(file, "cpuset.cpus"))
		add_bits(p, "AllowedCPUs", value);
	else if (streq(file, "cpuset.mems"))
		add_bits(p, "AllowedMemoryNodes", value);
	if (words < 1 || (idle && streq(file, "cpu.weight")))
		return;
	if (streq(first, "max"))
		v = -1;
	else if (parse_i64(first, 0, INT64_MAX, &v) < 0)
		return;
	if (streq(file, "cpu.max") && period > 0)
		add_quota(p, v, period);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (streq(file, numbers[i].file))
			add_number(p, numbers[i].name, v);
}

void properties_add_limits(struct properties *p, const struct resources_spec *r)
{
	int64_t weight = resources_cpu_weight(r), swap;
	bool idle = resources_idle(r);

	if (r->memory.limit.set && r->memory.limit.v)
		add_number(p, "MemoryMax", r->memory.limit.v);
	if (r->memory.reservation.set && r->memory.reservation.v)
		add_number(p, "MemoryLow", r->memory.reservation.v);
	if (resources_swap_max(r, &swap))
		add_number(p, "MemorySwapMax", swap);
	if (r->pids_limit.set)
		add_number(p, "TasksMax", resources_pids_max(r));
	add_quota(p, r->cpu.quota.set ? r->cpu.quota.v : 0,
		  r->cpu.period.set ? (int64_t)r->cpu.period.v : 0);
	if (weight && !idle)
		add_number(p, "CPUWeight", weight);
	if (r->cpu.cpus)
		add_bits(p, "AllowedCPUs", r->cpu.cpus);
	if (r->cpu.mems)
		add_bits(p, "AllowedMemoryNodes", r->cpu.mems);
	for (size_t i = 0; i < r->n_unified; i++)
		add_unified(p, r->unified[i].key, r->unified[i].value, idle);
}

/* ---- annotations ---- */

static bool is_quoted(const char *s, size_t len)
{
	return len > 1 && (*s == '\'' || *s == '"') && s[len - 1] == *s &&
	       !memchr(s + 1, *s, len - 2);
}

/* "['a', 'b']" as "2 a b"; NULL: it is not that. Names of units, which these are, have no blanks. */
static const char *list_of_strings(struct arena *a, const char *s)
{
	auto_str struct str text = { 0 };
	unsigned n = 0;

	if (*s++ != '[')
		return NULL;
	for (bool more = true; more; n++) {
		size_t len;

		s += strspn(s, " ");
		len = *s ? strcspn(s + 1, "'\" ") + 2 : 0;
		if (!len || s[len - 1] != *s || !is_quoted(s, len))
			return NULL;
		str_addf(&text, " %.*s", (int)len - 2, s + 1);
		s += len;
		s += strspn(s, " ");
		more = *s == ',';
		s += more;
	}
	return !streq(s, "]") || text.failed ? NULL : arena_printf(a, "%u%s", n, str_text(&text));
}

/* "TimeoutStopSec" is TimeoutStopUSec: what is before Sec is a lower-case letter. */
static bool is_in_seconds(const char *name, size_t len)
{
	return len > 3 && streq(name + len - 3, "Sec") && islower((unsigned char)name[len - 4]);
}

static bool add_annotation(struct properties *p, const char *name, const char *value)
{
	static const struct {
		const char *prefix, *type;
	} typed[] = { { "uint64 ", "t" }, { "int64 ", "x" }, { "uint32 ", "u" }, { "int32 ", "i" } };
	size_t len = strlen(value), name_len = strlen(name);
	const char *number = value, *type = "i", *list;
	char *end;
	double v;

	for (size_t i = 0; i < sizeof(typed) / sizeof(typed[0]); i++)
		if (str_after(value, typed[i].prefix)) {
			number = str_after(value, typed[i].prefix);
			type = typed[i].type;
		}
	v = strtod(number, &end);
	if (*number && !*end && strspn(number, "-+.0123456789eE") == strlen(number)) {
		if (is_in_seconds(name, name_len) && v >= 0 && v < 1e12)
			add_number(p, arena_printf(p->a, "%.*sUSec", (int)name_len - 3, name),
				   (int64_t)(v * 1e6));
		else
			add(p, name, strchr(number, '.') ? "d" : type, number);
	} else if (streq(value, "true") || streq(value, "false")) {
		add(p, name, "b", value);
	} else if (is_quoted(value, len)) {
		add(p, name, "s", arena_strndup(p->a, value + 1, len - 2));
	} else if ((list = list_of_strings(p->a, value))) {
		add(p, name, "as", list);
	} else {
		return false;
	}
	return true;
}

int properties_add_annotations(struct properties *p, const struct spec *s, struct err *e)
{
	for (size_t i = 0; i < s->n_annotations; i++) {
		const char *name = str_after(s->annotations[i].key, "org.systemd.property.");
		const char *value = s->annotations[i].value;

		if (!name)
			continue;
		if (!*name ||
		    strspn(name,
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") !=
			    strlen(name))
			return err_set(e, ERR_INVALID, "annotation '%.80s': no property's name",
				       name);
		if (!add_annotation(p, name, value))
			return err_set(e, ERR_INVALID,
				       "annotation '%.80s': cannot understand '%.80s'", name,
				       value);
	}
	return 0;
}
