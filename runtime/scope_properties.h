/*
 * scope_properties.h - a scope's properties: what systemd is told of a container's limits, and what annotations tell it.
 *
 * systemd writes its own idea of a unit's limits into the cgroup again whenever it reloads: what it is not told of does not last.
 */
#ifndef CTR_SCOPE_PROPERTIES_H
#define CTR_SCOPE_PROPERTIES_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct err;
struct resources_spec;
struct spec;

#define PROPERTIES_MAX 64

/* Name, type and value of each: words for busctl(1), but that those of a list are one word, "2 a b". */
struct properties {
	struct arena *a;
	const char *v[3 * PROPERTIES_MAX];
	size_t n;    /* of words */
	bool failed; /* too many, or no memory */
};

/*
 * Limits that systemd has properties for (systemd.resource-control(5)), those of linux.resources.unified too. What is
 * wrong in a value is left out: the kernel will say it.
 */
void properties_add_limits(struct properties *p, const struct resources_spec *r);

/*
 * Annotations "org.systemd.property.NAME", whose values are GVariant's text: numbers, truths, strings, lists of strings. A NAME in Sec
 * is what D-Bus has as USec, a million times as much (as runc has it). 0, or -1 and *e.
 */
int properties_add_annotations(struct properties *p, const struct spec *s, struct err *e);

#endif
