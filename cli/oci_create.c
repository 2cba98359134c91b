/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_create.c - create and run: from a bundle to a container.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/bundle.h"
#include "cli/oci.h"
#include "cli/verbs.h"
#include "runtime/handover.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/sys.h"
#include "runtime/host.h"
#include "runtime/life.h"
#include "runtime/plan.h"
#include "runtime/spec.h"
#include "runtime/state.h"

struct create_options {
	const char *bundle, *config, *console_socket, *pidfd_socket, *pid_file;
	bool no_pivot, no_new_keyring, no_subreaper, detach, keep;
	struct opt_u64 preserve_fds;
};

/* clang-format off */
#define CREATE_ROWS                                                                                          \
	STRING_ROW(struct create_options, bundle, "bundle", 'b', "DIR",                                       \
		   "the bundle (default: the current directory)"),                                            \
	STRING_ROW(struct create_options, config, "config", 'f', "FILE",                                      \
		   "read FILE in place of the bundle's config.json"),                                         \
	STRING_ROW(struct create_options, console_socket, "console-socket", 0, "SOCKET",                      \
		   "send the terminal's master side to this unix socket"),                                    \
	STRING_ROW(struct create_options, pidfd_socket, "pidfd-socket", 0, "SOCKET",                          \
		   "send a descriptor of the process to this unix socket"),                                   \
	STRING_ROW(struct create_options, pid_file, "pid-file", 0, "FILE", "write the process id to FILE"),   \
	FLAG_ROW(struct create_options, no_pivot, "no-pivot", 0,                                              \
		 "move the root over the old one instead of pivot_root, for a host that runs from an initramfs"), \
	FLAG_ROW(struct create_options, no_new_keyring, "no-new-keyring", 0, "keep the caller's session keyring"), \
	NUMBER_ROW(struct create_options, preserve_fds, "preserve-fds", 0, "N",                               \
		   "pass descriptors 3 to 2+N on", 0, 65536)
/* clang-format on */

static const struct option_row create_rows[] = {
	CREATE_ROWS,
	/* crun's: there is no subreaper to refuse */
	FLAG_ROW(struct create_options, no_subreaper, "no-subreaper", 0,
		 "accepted: none is ever made"),
	END_ROW,
};

static const struct option_row run_rows[] = {
	CREATE_ROWS,
	FLAG_ROW(struct create_options, detach, "detach", 'd', "return when the process runs"),
	FLAG_ROW(struct create_options, keep, "keep", 0,
		 "do not delete the container when it ends"),
	FLAG_ROW(struct create_options, no_subreaper, "no-subreaper", 0,
		 "accepted: none is ever made"),
	END_ROW,
};

struct making {
	struct bundle bundle;
	struct life life;
	int console_sock, pidfd_sock;
};

static int make(struct cli *c, const char *id, bool wait_for_start, struct making *m)
{
	const struct create_options *o = c->options;
	bool detached = wait_for_start || o->detach;
	struct life_options lo = {
		.state = &c->dir,
		.wait_for_start = wait_for_start,
		.die_with_parent = !detached,
		.stdio = { -1, -1, -1 },
		.pid_file = o->pid_file,
	};
	auto_plan struct plan *plan = NULL;
	struct plan_options po;
	struct host host;
	struct spec *s;

	if (oci_plan_options(c, id, &po) < 0 ||
	    bundle_read(o->bundle, o->config, &m->bundle, c->e) < 0)
		return -1;
	s = m->bundle.spec;
	po.no_pivot = o->no_pivot;
	po.no_new_keyring = o->no_new_keyring;
	if (oci_check_console(s->has_process && s->process.terminal, detached, o->console_socket,
			      c->e) < 0 ||
	    oci_preserved(c, o->preserve_fds.v, s, &s->process, &lo.preserve_fds) < 0 ||
	    oci_connect(o->console_socket, &m->console_sock, c->e) < 0 ||
	    oci_connect(o->pidfd_socket, &m->pidfd_sock, c->e) < 0 || host_probe(&host, c->e) < 0)
		return -1;
	plan = plan_build(s, &host, &po, c->e);
	if (!plan || oci_new_state(c, id) < 0)
		return -1;
	lo.config_text = str_text(&m->bundle.config);
	lo.config_len = m->bundle.config.len;
	lo.console_socket = m->console_sock;
	if (life_create(s, plan, &host, &lo, &m->life, c->e) < 0)
		return oci_undo(c);
	if (fd_send(m->pidfd_sock, m->life.pidfd, "pidfd", c->e) < 0) {
		struct err ignored;

		(void)sys_pidfd_send_signal(m->life.pidfd, SIGKILL); /* dead already is as good */
		(void)life_wait(&m->life, &ignored);
		return oci_undo(c);
	}
	return 0;
}

static void unmake(struct making *m)
{
	bundle_free(&m->bundle);
	own_close(&m->life.pidfd);
	own_close(&m->life.console);
	own_close(&m->console_sock);
	own_close(&m->pidfd_sock);
}

#define NOTHING_MADE                                                                         \
	{                                                                                    \
		.life = { .pidfd = -1, .console = -1 }, .console_sock = -1, .pidfd_sock = -1 \
	}

static int create(struct cli *c, int argc, char **argv)
{
	struct making m = NOTHING_MADE;
	int r = make(c, argv[0], true, &m);

	(void)argc; /* one, as the row says */
	unmake(&m);
	return r < 0 ? -1 : EXIT_DONE;
}

static int run(struct cli *c, int argc, char **argv)
{
	const struct create_options *o = c->options;
	struct making m = NOTHING_MADE;
	int code = make(c, argv[0], false, &m);

	(void)argc; /* one, as the row says */
	if (code == 0 && !o->detach) {
		state_unlock(&c->dir);
		code = oci_attend(&m.life, c->e);
		if (!o->keep && oci_clean_up(c, m.bundle.spec) < 0)
			code = -1;
	}
	unmake(&m);
	return code;
}

const struct verb verb_oci_create = {
	.name = "create",
	.run = create,
	.flags = NEED_ID | VERB_SELF_PROTECT,
	.operands = "ID",
	.min = 1,
	.max = 1,
	.help = "make a container from a bundle; its process waits for `start`",
	.rows = create_rows,
	.options_size = sizeof(struct create_options),
};

const struct verb verb_oci_run = {
	.name = "run",
	.run = run,
	.flags = NEED_ID | VERB_SELF_PROTECT | VERB_PAYLOAD,
	.operands = "ID",
	.min = 1,
	.max = 1,
	.help = "create and start a container, wait for it and delete it",
	.rows = run_rows,
	.options_size = sizeof(struct create_options),
};
