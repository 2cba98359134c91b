/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - from a command line to a verb, and from its error to an exit code. The one place that prints
 * errors and exits.
 *
 * Two front doors lead in. `ctr` is what a person types. `ctr-oci`, or any other name with "oci" in it, is
 * what podman and its like call. The program's name alone decides (a link, not an option), so that neither
 * can be talked into being the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/launch.h"
#include "cli/rootless.h"
#include "cli/verbs.h"
#include "netns/netns.h"
#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/str.h"
#include "runtime/self.h"
#include "runtime/views.h"

/*
 * Started with standard streams closed, the next files opened would become them. What takes their place can
 * be used for nothing: they were closed, and reading or writing fails as before.
 */
static void open_missing_streams(void)
{
	struct pollfd fds[3] = { { .fd = 0 }, { .fd = 1 }, { .fd = 2 } };

	if (poll(fds, 3, 0) <= 0)
		return;
	for (int i = 0; i < 3; i++)
		if (fds[i].revents & POLLNVAL) /* the lowest free number is i */
			(void)!open("/dev/null", i ? O_RDONLY : O_WRONLY);
}

static const char *environment(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

static int set_up_log(struct cli *c)
{
	enum log_level level = c->global.debug ? LOG_DEBUG : LOG_WARN;
	enum log_format format = LOG_TEXT;
	const char *path = c->global.log;
	int fd = STDERR_FILENO;

	if (c->global.log_format && streq(c->global.log_format, "json"))
		format = LOG_JSON;
	else if (c->global.log_format && !streq(c->global.log_format, "text"))
		return err_set(c->e, ERR_USAGE, "--log-format is 'text' or 'json', not '%s'",
			       c->global.log_format);
	if (path && *path) {
		if (str_after(path, "file:"))
			path = str_after(path, "file:");
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
		if (fd < 0)
			return err_set(c->e, errno, "cannot open the log '%s'", path);
	}
	c->log_fd = fd;
	c->log_json = format == LOG_JSON;
	log_setup(fd, format, level);
	return 0;
}

/* One line, whatever names are in it; and nothing that a terminal would obey. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

/* The person at stderr reads a line; a caller that gave --log finds it there as well. */
static void print_error(const struct cli *c)
{
	auto_str struct str line = { 0 };

	make_printable(c->e->msg);
	if (c->log_fd != STDERR_FILENO || c->log_json)
		log_error("%s", c->e->msg);
	if (c->log_fd == STDERR_FILENO && c->log_json)
		return;
	str_addf(&line, "%s: %s\n", c->door->program, c->e->msg);
	if (c->e->code == ERR_USAGE && c->verb)
		str_addf(&line, "usage: %s %s%s%s%s\n", c->door->program, c->verb->name,
			 c->verb->rows ? " [OPTION...]" : "", c->verb->operands ? " " : "",
			 c->verb->operands ? c->verb->operands : "");
	else if (c->e->code == ERR_USAGE)
		str_addf(&line, "usage: %s VERB [OPTION...] [ARGUMENT...], see `%s help`\n",
			 c->door->program, c->door->program);
	(void)!write(STDERR_FILENO, str_text(&line), line.len); /* nobody is left to tell */
}

static int exit_code_of(const struct cli *c)
{
	const struct verb *v = c->verb;

	if (v && (v->flags & VERB_PAYLOAD) && c->e->code == ERR_CMD_NOT_FOUND)
		return EXIT_CMD_NOT_FOUND;
	if (v && (v->flags & VERB_PAYLOAD) && c->e->code == ERR_CMD_NOT_EXEC)
		return EXIT_CMD_NOT_EXEC;
	if (v && v->failure)
		return v->failure;
	if (c->e->code == ERR_USAGE)
		return c->door->usage_failure;
	return c->door == &door_ctr ? (int)error_exit(c->e->code) : EXIT_FAILED;
}

/* Who asked for JSON gets some, on standard output: {"version":1,"error":{...}}. */
static void print_json_error(const struct cli *c, int code)
{
	auto_str struct str text = { 0 };
	struct json_writer w = { .out = &text };

	json_open(&w, NULL, '{');
	json_put_u64(&w, "version", 1);
	json_open(&w, "error", '{');
	json_put_string(&w, "code", error_name(c->e->code));
	json_put_string(&w, "message", c->e->msg);
	json_put_i64(&w, "exit", code);
	json_close(&w);
	json_close(&w);
	if (!text.failed) {
		printf("%s\n", str_text(&text));
		(void)fflush(stdout); /* it was said on standard error as well */
	}
}

static int check_operands(struct cli *c, int argc, char **argv)
{
	const struct verb *v = c->verb;

	if (argc < v->min)
		return err_set(c->e, ERR_USAGE, "'%s' needs %s", v->name, v->operands);
	if (v->max >= 0 && argc > v->max)
		return err_set(c->e, ERR_USAGE, "'%s' does not expect '%s'", v->name, argv[v->max]);
	return 0;
}

static int run_verb(struct cli *c, int argc, char **argv)
{
	const struct verb *v = c->verb;
	const struct option_row *common[VERB_COMMON_MAX + 1];
	const struct option_row help[] = { { "help", 'h', OPT_FLAG,
					     offsetof(struct global_options, help), NULL, "", NULL,
					     0, 0 },
					   END_ROW };
	const struct option_row *tables[2 + VERB_COMMON_MAX + 1] = { v->rows ? v->rows : help,
								     help };
	void *const structs[] = { v->rows ? c->options : &c->global, &c->global, c, c, c };
	unsigned mode = c->door->mode | (v->flags & VERB_OPTIONS_FIRST ? OPTIONS_FIRST : 0);

	verb_common(v, common);
	memcpy(tables + 2, common, sizeof(common));
	argc = options_parse(tables, structs, mode, argc, argv, c->e);
	if (argc < 0)
		return -1;
	if (c->global.help)
		return help_print_verb(c->door, v, stdout);
	/* `exec NAME -- CMD`: what follows the first operand is the payload's, and may be marked so. */
	if ((v->flags & VERB_OPTIONS_FIRST) && argc > 1 && streq(argv[1], "--"))
		memmove(&argv[1], &argv[2], (size_t)(argc-- - 1) * sizeof(*argv));
	if (check_operands(c, argc, argv) < 0)
		return -1;
	if (c->door->enter && c->door->enter(c, argv) < 0)
		return -1;
	log_debug("%s %s", c->door->program, v->name);
	return v->run(c, argc, argv);
}

static int command(struct cli *c, int argc, char **argv)
{
	const struct option_row *const tables[] = { c->door->globals, NULL };
	void *const structs[] = { &c->global };
	int words = 0;

	argc = options_parse(tables, structs, OPTIONS_FIRST | c->door->mode, argc, argv, c->e);
	if (argc < 0 || set_up_log(c) < 0)
		return -1;
	if (c->global.version)
		return help_print_version(c->door);
	if (c->global.help || argc == 0) {
		help_print_door(c->door, c->global.help ? stdout : stderr);
		return c->global.help ? EXIT_DONE : c->door->usage_failure;
	}
	c->verb = verb_find(c->door, argc, argv, &words, c->e);
	if (!c->verb)
		return -1;
	if ((c->verb->flags & VERB_SELF_PROTECT) && self_protect(c->argv, c->e) < 0)
		return -1;
	c->store_root = environment("CTR_ROOT", "/var/lib/ctr");
	c->run_root = environment("CTR_RUN", "/run/ctr");
	if (c->verb->options_size && !(c->options = calloc(1, c->verb->options_size)))
		return err_set(c->e, ERR_INVALID, "out of memory");
	return run_verb(c, argc - words, argv + words);
}

/* A function of its own, so that none of this is on the stack of what main() runs instead. */
__attribute__((noinline)) static int run_command(int argc, char **argv)
{
	struct err e = { 0 };
	struct cli c = { .e = &e,
			 .log_fd = STDERR_FILENO,
			 .root_fd = -1,
			 .dir = { .root = -1, .dir = -1, .open = -1 } };
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *program = slash ? slash + 1 : argc > 0 ? argv[0] : "ctr";
	int code;

	open_missing_streams();
	c.door = strstr(program, "oci") ? &door_oci : &door_ctr;
	/* The parser rearranges argv; a re-execution wants it as it came. */
	c.argv = calloc((size_t)argc + 2, sizeof(*c.argv));
	if (!c.argv) {
		err_set(&e, ENOMEM, "cannot begin");
		print_error(&c);
		return EXIT_CTR_FAILED;
	}
	memcpy(c.argv, argv, (size_t)argc * sizeof(*argv));
	code = command(&c, argc > 0 ? argc - 1 : 0, argv + (argc > 0));
	if (code < 0) {
		print_error(&c);
		code = exit_code_of(&c);
		if (c.json && !c.told)
			print_json_error(&c, code);
	} else if (fflush(stdout) != 0 || ferror(stdout)) {
		err_set(&e, errno, "cannot write to standard output");
		print_error(&c);
		code = code ? code : exit_code_of(&c);
	}
	if (c.door->leave)
		c.door->leave(&c);
	if (c.verb)
		options_free(c.verb->rows, c.options);
	free(c.options);
	free(c.argv);
	net_leave();
	return code;
}

int main(int argc, char **argv)
{
	if (argc == 2 && streq(argv[0], SUPERVISOR))
		return supervisor_main(argv[1]);
	if (argc == 1 && streq(argv[0], VIEWER))
		return views_serve();
	if (argc == 1 && streq(argv[0], KEEPER))
		return keeper_main();
	return run_command(argc, argv);
}
