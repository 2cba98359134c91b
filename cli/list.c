/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.c - `ctr list`, `ctr info` and `ctr inspect`: what instances there are, and all that is known of one.
 *
 * Both read what is there and ask nobody: a configuration, a run state, a few lines of /proc for each.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/health.h"
#include "cli/instances.h"
#include "cli/suspend.h"
#include "cli/verbs.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/restart.h"
#include "runtime/running.h"
#include "runtime/supervise.h"

/* One instance, as both verbs see it. */
struct shown {
	const char *name;
	struct instance_dir dir;
	struct instance *config; /* NULL: damaged */
	struct err damage;
	struct running run;
	struct instance_exit exit;
	bool ended; /* `exit` is there */
};

static void shown_close(struct shown *v)
{
	instance_free(v->config);
	running_close(&v->run);
	own_close(&v->dir.fd);
}
#define auto_shown __attribute__((cleanup(shown_close)))
#define SHOWN_NONE                                                      \
	{                                                               \
		.dir = { .fd = -1, .promise = -1 }, .run = RUNNING_NONE \
	}

static int shown_open(const struct instances *all, const char *name, struct shown *v, struct err *e)
{
	struct err none;

	v->name = name;
	if (instance_look(all, name, &v->dir, e) < 0 || running_look(all, name, &v->run, e) < 0)
		return -1;
	v->config = instance_load(&v->dir, &v->damage);
	v->ended = instance_read_exit(&v->dir, &v->exit, &none) == 0;
	return 0;
}

/* "created" was never started; "stopped" was, and "suspended" goes on from there. A run state whose payload is gone waits for somebody to tidy up. */
static const char *status_of(const struct shown *v)
{
	if (!v->config)
		return "damaged";
	if (v->run.exists && v->run.status != STATUS_STOPPED)
		return status_name(v->run.status);
	if (restart_is_pending(v->dir.all, v->name, NULL))
		return "restarting";
	if (is_suspended(&v->dir))
		return "suspended";
	return v->run.exists || v->ended ? "stopped" : "created";
}

static const char *image_of(const struct shown *v)
{
	const struct instance *i = v->config;

	if (!i)
		return "";
	return i->rootfs ? i->rootfs : i->image ? i->image : i->image_id;
}

static bool is_running(const struct shown *v)
{
	return v->run.exists && v->run.status != STATUS_STOPPED;
}

/* ---- list ---- */

struct list_options {
	bool all, running, quiet;
};

static const struct option_row list_rows[] = {
	FLAG_ROW(struct list_options, running, "running", 'r', "only those that run"),
	FLAG_ROW(struct list_options, all, "all", 'a', "all of them, which is the default"),
	FLAG_ROW(struct list_options, quiet, "quiet", 'q', "names only"),
	END_ROW,
};

static void put_time(struct json_writer *w, const char *key, int64_t seconds)
{
	char text[32];

	json_put_string(w, key, format_time(seconds, text, sizeof(text)));
}

static void put_state(struct json_writer *w, const struct shown *v)
{
	json_put_string(w, "name", v->name);
	json_put_string(w, "status", status_of(v));
	if (!v->config)
		json_put_string(w, "damage", v->damage.msg);
	if (is_running(v)) {
		json_put_i64(w, "pid", v->run.pid);
		put_time(w, "started", v->run.started_ns / 1000000000);
		json_put_bool(w, "supervised", v->run.watcher != 0);
		json_put_string(w, "health", health_name(health_status(v->dir.all, v->name)));
	} else if (v->ended) {
		json_open(w, "exit", '{');
		if (v->exit.code >= 0)
			json_put_i64(w, "code", v->exit.code);
		if (v->exit.signal)
			json_put_i64(w, "signal", v->exit.signal);
		json_put_bool(w, "oom", v->exit.oom);
		if (*v->exit.oom_process) {
			json_put_string(w, "oom_process", v->exit.oom_process);
			json_put_i64(w, "oom_pid", v->exit.oom_pid);
		}
		put_time(w, "time", v->exit.time);
		json_close(w);
	}
}

static void put_row(struct json_writer *w, const struct shown *v)
{
	json_open(w, NULL, '{');
	put_state(w, v);
	if (v->config) {
		json_put_string(w, "image", image_of(v));
		json_put_string(w, "created", v->config->created);
		json_put_bool(w, "system", v->config->system);
	}
	json_close(w);
}

/* A column of the table holds this many bytes of what an image or a directory is called. */
#define IMAGE_COLUMN 40

static void add_row(struct str *out, const struct shown *v, int name_width)
{
	char status[48], pid[16] = "-";
	const char *image = image_of(v);
	size_t len = strlen(image);

	if (is_running(v) && !v->run.watcher)
		snprintf(status, sizeof(status), "%s, unsupervised", status_of(v));
	else if (!is_running(v) && v->ended && v->config && v->exit.code >= 0)
		snprintf(status, sizeof(status), "%s (%d%s)", status_of(v), v->exit.code,
			 v->exit.oom ? ", out of memory" : "");
	else if (is_running(v) && health_status(v->dir.all, v->name))
		snprintf(status, sizeof(status), "%s (%s)", status_of(v),
			 health_name(health_status(v->dir.all, v->name)));
	else
		snprintf(status, sizeof(status), "%s", status_of(v));
	if (is_running(v))
		snprintf(pid, sizeof(pid), "%d", v->run.pid);
	str_addf(out, "%-*s  %-22s  %-7s  %-20s  %s%s\n", name_width, v->name, status, pid,
		 v->config && v->config->created ? v->config->created : "-",
		 len > IMAGE_COLUMN ? "..." : "",
		 len > IMAGE_COLUMN ? image + len - IMAGE_COLUMN : image);
}

static int list(struct cli *c, int argc, char **argv)
{
	const struct list_options *o = c->options;
	auto_instances struct instances all = INSTANCES_NONE;
	auto_free char **names = NULL;
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out, .indent = true };
	int width = 4;
	size_t n;

	(void)argc;
	if (open_instances(c, &all) < 0 ||
	    instances_match(&all, (const char *const *)argv, &names, &n, c->e) < 0)
		return -1;
	for (size_t k = 0; k < n; k++)
		width = (int)strlen(names[k]) > width ? (int)strlen(names[k]) : width;
	if (c->json) {
		json_open(&w, NULL, '{');
		json_put_u64(&w, "version", FORMAT_VERSION);
		json_open(&w, "instances", '[');
	} else if (!o->quiet) {
		str_addf(&out, "%-*s  %-22s  %-7s  %-20s  %s\n", width, "NAME", "STATUS", "PID",
			 "CREATED", "IMAGE");
	}
	for (size_t k = 0; k < n; k++) {
		auto_shown struct shown v = SHOWN_NONE;
		struct err e;

		if (shown_open(&all, names[k], &v, &e) < 0) {
			if (e.code == ERR_NO_SUCH)
				continue; /* removed since we looked */
			*c->e = e;
			return -1;
		}
		if (o->running && !is_running(&v))
			continue;
		if (c->json)
			put_row(&w, &v);
		else if (o->quiet)
			str_addf(&out, "%s\n", names[k]);
		else
			add_row(&out, &v, width);
	}
	if (c->json) {
		json_close(&w);
		json_close(&w);
		return print_text(c, &out);
	}
	if (out.failed)
		return err_set(c->e, ENOMEM, "cannot list the instances");
	fputs(str_text(&out), stdout); /* main.c looks whether it arrived */
	return EXIT_DONE;
}

const struct verb verb_list = {
	.name = "list",
	.aliases = "ls ps",
	.run = list,
	.flags = VERB_JSON,
	.operands = "[NAME...]",
	.max = -1,
	.help = "list instances",
	.rows = list_rows,
	.options_size = sizeof(struct list_options),
};

/* ---- inspect ---- */

/* The configuration's own text goes in as it is: it is JSON already. */
static int put_config(struct json_writer *w, const struct shown *v, struct err *e)
{
	auto_arena struct arena *a = arena_new(0);
	auto_str struct str text = { 0 };
	const struct json *doc;

	if (!v->config)
		return 0;
	instance_dump(v->config, &text);
	doc = a && !text.failed ? json_parse(a, str_text(&text), text.len, e) : NULL;
	if (!doc)
		return err_set(e, ENOMEM, "cannot inspect '%s'", v->name);
	json_put(w, "config", doc);
	return 0;
}

static int put_all(struct json_writer *w, const struct shown *v, struct err *e)
{
	char path[512];

	json_open(w, NULL, '{');
	put_state(w, v);
	if (is_running(v) && v->run.watcher)
		json_put_i64(w, "supervisor", v->run.watcher);
	if (instance_path(&v->dir, LOG_FILE, path, sizeof(path), e) < 0)
		return -1;
	if (faccessat(v->dir.fd, LOG_FILE, F_OK, 0) == 0)
		json_put_string(w, "log", path);
	if (put_config(w, v, e) < 0)
		return -1;
	json_close(w);
	return 0;
}

static int inspect(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	auto_free char **names = NULL;
	auto_str struct str out = { 0 };
	struct json_writer w = { .out = &out, .indent = true };
	size_t n;

	(void)argc;
	if (open_instances(c, &all) < 0 ||
	    instances_match(&all, (const char *const *)argv, &names, &n, c->e) < 0)
		return -1;
	json_open(&w, NULL, '{');
	json_put_u64(&w, "version", FORMAT_VERSION);
	json_open(&w, "instances", '[');
	for (size_t k = 0; k < n; k++) {
		auto_shown struct shown v = SHOWN_NONE;

		if (shown_open(&all, names[k], &v, c->e) < 0 || put_all(&w, &v, c->e) < 0)
			return -1;
	}
	json_close(&w);
	json_close(&w);
	return print_text(c, &out);
}

const struct verb verb_inspect = {
	.name = "inspect",
	.run = inspect,
	.flags = VERB_JSON,
	.operands = "NAME...",
	.min = 1,
	.max = -1,
	.help = "show all that is known of instances, as JSON",
};

/* ---- info ---- */

static void say_state(struct str *out, const struct shown *v)
{
	const char *health = health_name(health_status(v->dir.all, v->name));
	char time[32];

	if (!is_running(v)) {
		str_addf(out, "  %-12s %s\n", "status", status_of(v));
		return;
	}
	str_addf(out, "  %-12s %s%s%s%s, since %s\n", "status", status_of(v),
		 health_status(v->dir.all, v->name) ? ", " : "",
		 health_status(v->dir.all, v->name) ? health : "",
		 v->run.watcher ? "" : ", unsupervised",
		 format_time(v->run.started_ns / 1000000000, time, sizeof(time)));
	str_addf(out, "  %-12s %d\n", "process 1", v->run.pid);
}

/* In words that name the cause. */
static void say_end(struct str *out, const struct shown *v)
{
	const struct instance_exit *x = &v->exit;
	char time[32], size[16];

	if (!v->ended)
		return;
	str_addf(out, "  %-12s %s", "last end", format_time(x->time, time, sizeof(time)));
	if (x->code < 0)
		str_add(out, ", unseen: its supervisor had been killed");
	else if (x->signal)
		str_addf(out, ", exit code %d, by signal %d", x->code, x->signal);
	else
		str_addf(out, ", exit code %d", x->code);
	if (x->oom) {
		str_add(out, ": out of memory");
		if (v->config && v->config->memory)
			str_addf(out, ", with a limit of %s",
				 format_size(v->config->memory, size, sizeof(size)));
		if (*x->oom_process)
			str_addf(out, "; the kernel chose '%s' (the host's process %lld)",
				 x->oom_process, (long long)x->oom_pid);
		str_add(out, ". `ctr set NAME memory=SIZE` gives it more");
	}
	str_add(out, "\n");
}

static int say_keys(struct str *out, const struct shown *v, struct err *e)
{
	if (!v->config) {
		str_addf(out, "  %-12s %s\n", "damaged", v->damage.msg);
		return 0;
	}
	str_addf(out, "  %-12s %s\n", "image", image_of(v));
	str_addf(out, "  %-12s %s\n", "created", v->config->created);
	for (const struct instance_key *k = instance_keys; k->name; k++) {
		auto_str struct str value = { 0 };

		if (!instance_value(v->config, k, &value))
			continue;
		if (value.failed)
			return err_set(e, ENOMEM, "cannot show '%s'", v->name);
		str_addf(out, "  %-12s %s\n", k->name, str_text(&value));
	}
	return 0;
}

static int info(struct cli *c, int argc, char **argv)
{
	auto_instances struct instances all = INSTANCES_NONE;
	auto_free char **names = NULL;
	auto_str struct str out = { 0 };
	size_t n;

	if (c->json)
		return inspect(c, argc, argv);
	if (open_instances(c, &all) < 0 ||
	    instances_match(&all, (const char *const *)argv, &names, &n, c->e) < 0)
		return -1;
	for (size_t k = 0; k < n; k++) {
		auto_shown struct shown v = SHOWN_NONE;

		if (shown_open(&all, names[k], &v, c->e) < 0)
			return -1;
		str_addf(&out, "%s%s\n", k ? "\n" : "", names[k]);
		say_state(&out, &v);
		say_end(&out, &v);
		if (say_keys(&out, &v, c->e) < 0)
			return -1;
	}
	return print_text(c, &out);
}

const struct verb verb_info = {
	.name = "info",
	.run = info,
	.flags = VERB_JSON,
	.operands = "NAME...",
	.min = 1,
	.max = -1,
	.help = "show how instances are, how they ended last and why, and what was asked for",
};
