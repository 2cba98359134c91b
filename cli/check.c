/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - `ctr check --unique`: whether any two instances could be taken for one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/identity.h"
#include "cli/instances.h"
#include "cli/network.h"
#include "cli/verbs.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/sha256.h"
#include "runtime/base/str.h"

#define FILE_MAX (1u << 20) /* bytes that are looked at of one */

/* One thing that only one instance may have. */
struct mark {
	const char *what;  /* "host name", "/etc/machine-id" */
	const char *value; /* compared; of a file its digest */
	const char *instance;
};

struct marks {
	struct arena *arena;
	struct mark *v;
	size_t n, size;
	const char *instance; /* that is looked at */
};

static int add(struct marks *m, const char *what, const char *value, struct err *e)
{
	if (m->n == m->size) {
		size_t size = m->size ? 2 * m->size : 256;
		struct mark *v = realloc(m->v, size * sizeof(*v));

		if (!v)
			return err_set(e, ENOMEM, "check");
		m->v = v;
		m->size = size;
	}
	m->v[m->n] = (struct mark){ what ? arena_strdup(m->arena, what) : NULL,
				    value ? arena_strdup(m->arena, value) : NULL, m->instance };
	if (!m->v[m->n].what || !m->v[m->n].value)
		return err_set(e, ENOMEM, "check");
	m->n++;
	return 0;
}

/* An empty one, and systemd's "uninitialized", will be filled by the instance itself. */
static int add_file(void *arg, int dir, const char *path, const char *name, bool key, struct err *e)
{
	struct marks *m = arg;
	auto_fd int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_free char *text = malloc(FILE_MAX);
	char full[512], digest[65];
	struct stat st;
	ssize_t n;

	(void)key;
	if (!text)
		return err_set(e, ENOMEM, "check");
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	n = read(fd, text, FILE_MAX);
	if (n < 0)
		return err_set(e, errno, "cannot read '/%s/%s'", path, name);
	if (n == 0 || (n == 14 && memcmp(text, "uninitialized\n", 14) == 0))
		return 0;
	sha256_text(text, (size_t)n, digest);
	snprintf(full, sizeof(full), "/%s/%s", path, name);
	/* the D-Bus id is the machine's own, where it is not a link to it; across the two files it is one thing as well */
	return add(m, streq(name, "machine-id") ? "machine-id" : full, digest, e);
}

static int add_addresses(struct marks *m, const struct instances *all, const struct instance *i,
			 struct err *e)
{
	for (const char *const *w = i->nets; w && *w; w++) {
		char name[NET_NAME_MAX + 1], what[80], value[16];
		struct network n;
		uint32_t ip;

		if (!network_of_words(*w, name))
			continue;
		if (network_read(all, name, &n, e) < 0)
			return -1;
		ip = network_address(i, *w, &n); /* the MAC is made of it */
		if (!ip)
			continue;
		snprintf(what, sizeof(what), "address and MAC in network %s", name);
		snprintf(value, sizeof(value), "%08x", ip);
		if (add(m, what, value, e) < 0)
			return -1;
	}
	return 0;
}

static int look_at(struct cli *c, const struct instances *all, const char *name, struct marks *m,
		   struct err *e)
{
	auto_view struct view v = VIEW_NONE;

	m->instance = name;
	if (view_open(c, all, name, &v, e) < 0)
		return e->code == ERR_NO_SUCH ? 0 : -1; /* removed since it was listed */
	if (add(m, "uuid", v.instance->uuid, e) < 0 ||
	    add(m, "host name", v.instance->hostname ? v.instance->hostname : name, e) < 0 ||
	    add_addresses(m, all, v.instance, e) < 0)
		return -1;
	return identity_each(v.tree, add_file, m, e);
}

static int by_value(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;
	int r = strcmp(x->what, y->what);

	r = r ? r : strcmp(x->value, y->value);
	return r ? r : strcmp(x->instance, y->instance);
}

/* From @at on, how many marks are the same thing. */
static size_t same_as(const struct marks *m, size_t at)
{
	size_t n = 1;

	while (at + n < m->n && streq(m->v[at].what, m->v[at + n].what) &&
	       streq(m->v[at].value, m->v[at + n].value))
		n++;
	return n;
}

/* Two files of one instance with the same content are no two instances. */
static size_t owners(const struct marks *m, size_t at, size_t n)
{
	size_t k = 1;

	for (size_t i = 1; i < n; i++)
		k += !streq(m->v[at + i].instance, m->v[at + i - 1].instance);
	return k;
}

static size_t put_shared(const struct marks *m, struct json_writer *w, bool json)
{
	size_t shared = 0;

	for (size_t at = 0, n; at < m->n; at += n) {
		n = same_as(m, at);
		if (owners(m, at, n) < 2)
			continue;
		shared++;
		if (json) {
			json_open(w, NULL, '{');
			json_put_string(w, "what", m->v[at].what);
			json_open(w, "instances", '[');
		} else {
			str_addf(w->out, "%s is the same in:", m->v[at].what);
		}
		for (size_t i = 0; i < n; i++) {
			if (i && streq(m->v[at + i].instance, m->v[at + i - 1].instance))
				continue;
			if (json)
				json_put_string(w, NULL, m->v[at + i].instance);
			else
				str_addf(w->out, " %s", m->v[at + i].instance);
		}
		if (json) {
			json_close(w);
			json_close(w);
		} else {
			str_add(w->out, "\n");
		}
	}
	return shared;
}

struct check_options {
	bool unique;
};

static const struct option_row check_rows[] = {
	FLAG_ROW(
		struct check_options, unique, "unique", 0,
		"no two have an address, a host name, a machine-id, a host key or a seed in common"),
	END_ROW,
};

static int check(struct cli *c, int argc, char **argv)
{
	const struct check_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;
	auto_free char **names = NULL;
	auto_arena struct arena *a = arena_new(0);
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out, .indent = true };
	struct marks m = { .arena = a };
	size_t n, shared;
	int rc = 0;

	(void)argc;
	if (!o->unique)
		return err_set(c->e, ERR_USAGE, "what is to be checked? --unique");
	if (!a)
		return err_set(c->e, ENOMEM, "check");
	if (open_instances(c, &all) < 0 ||
	    instances_match(&all, *argv ? (const char *const *)argv : NULL, &names, &n, c->e) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < n; i++)
		if ((rc = look_at(c, &all, names[i], &m, c->e)) < 0)
			err_in(c->e, "%s", names[i]);
	if (rc < 0) {
		free(m.v);
		return -1;
	}
	if (m.n)
		qsort(m.v, m.n, sizeof(*m.v), by_value);
	if (c->json) {
		json_open(&w, NULL, '{');
		json_put_u64(&w, "version", FORMAT_VERSION);
		json_put_u64(&w, "instances", n);
		json_put_u64(&w, "compared", m.n);
		json_open(&w, "shared", '[');
	}
	shared = put_shared(&m, &w, c->json);
	free(m.v);
	if (c->json) {
		json_close(&w);
		json_close(&w);
		if (print_text(c, &out) < 0)
			return -1;
	} else if (out.failed) {
		return err_set(c->e, ENOMEM, "check");
	} else if (shared) {
		fputs(str_text(&out), stdout);
	} else {
		printf("%zu instances have nothing in common that tells one from another (%zu things compared)\n",
		       n, m.n);
	}
	return shared ? EXIT_FAILED : EXIT_DONE;
}

const struct verb verb_check = {
	.name = "check",
	.run = check,
	.flags = VERB_JSON,
	.operands = "--unique [NAME...]",
	.max = -1,
	.help = "prove that no two instances share an identity",
	.rows = check_rows,
	.options_size = sizeof(struct check_options),
	.more = "Compared are addresses, host names, and the files by which an installation is told from others: machine-id, the D-Bus id, SSH host\n"
		"keys, DHCP leases and identifiers, random seeds. Files that are empty will be filled by the instance itself. What is shared is\n"
		"printed, and the exit status is 1. `ctr clone` takes all this out of copies.",
};
