/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_checkpoint.c - checkpoint and restore: the processes of a container into files, and back.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/bundle.h"
#include "cli/oci.h"
#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"
#include "runtime/base/table.h"
#include "runtime/checkpoint.h"
#include "runtime/host.h"
#include "runtime/life.h"
#include "runtime/plan.h"
#include "runtime/spec.h"
#include "runtime/state.h"

#define DEFAULT_IMAGE_PATH "checkpoint" /* in the current directory, as runc's */

struct criu_options {
	const char *image_path, *work_path, *parent_path, *page_server, *cgroups_mode,
		*network_lock, *lsm_profile, *lsm_mount_context;
	struct words empty_ns;
	bool leave_running, tcp_established, tcp_skip_in_flight, tcp_close, ext_unix_sk, shell_job,
		lazy_pages, file_locks, pre_dump, auto_dedup, link_remap;
	struct opt_u64 status_fd;
	/* restore */
	const char *bundle, *console_socket, *pid_file;
	bool detach, no_pivot, no_subreaper;
};

/* clang-format off */
#define CRIU_ROWS                                                                                            \
	STRING_ROW(struct criu_options, image_path, "image-path", 0, "DIR",                                  \
		   "where the saved processes are (default: checkpoint)"),                                    \
	STRING_ROW(struct criu_options, work_path, "work-path", 0, "DIR",                                    \
		   "where criu's log is written (default: with the images)"),                                 \
	FLAG_ROW(struct criu_options, tcp_established, "tcp-established", 0, "keep open TCP connections"),   \
	FLAG_ROW(struct criu_options, tcp_close, "tcp-close", 0, "close TCP connections"),                   \
	FLAG_ROW(struct criu_options, ext_unix_sk, "ext-unix-sk", 0,                                          \
		 "allow unix sockets whose other end is outside"),                                            \
	FLAG_ROW(struct criu_options, shell_job, "shell-job", 0,                                              \
		 "allow a session and a terminal that come from outside"),                                    \
	FLAG_ROW(struct criu_options, file_locks, "file-locks", 0, "keep file locks"),                       \
	FLAG_ROW(struct criu_options, lazy_pages, "lazy-pages", 0,                                            \
		 "memory is not in the images but asked for when it is needed"),                              \
	FLAG_ROW(struct criu_options, auto_dedup, "auto-dedup", 0,                                            \
		 "free memory in older images that newer ones replace"),                                      \
	FLAG_ROW(struct criu_options, link_remap, "link-remap", 0,                                            \
		 "give removed files that are open a name for the time being"),                               \
	LIST_ROW(struct criu_options, empty_ns, "empty-ns", 0, "NAMESPACE",                                  \
		 "leave the content of a namespace out: 'network'"),                                          \
	STRING_ROW(struct criu_options, cgroups_mode, "manage-cgroups-mode", 0, "MODE",                      \
		   "what criu does about cgroups: 'ignore' (default), 'soft', 'full' or 'strict'"),          \
	STRING_ROW(struct criu_options, network_lock, "network-lock", 0, "METHOD",                           \
		   "what holds packets back meanwhile: 'iptables', 'nftables' or 'skip'")
/* clang-format on */

static const struct option_row checkpoint_rows[] = {
	CRIU_ROWS,
	STRING_ROW(struct criu_options, parent_path, "parent-path", 0, "DIR",
		   "images of an earlier pre-dump, relative to the image path"),
	FLAG_ROW(struct criu_options, pre_dump, "pre-dump", 0,
		 "save memory alone, while the container goes on"),
	FLAG_ROW(struct criu_options, leave_running, "leave-running", 0,
		 "let the container go on afterwards"),
	FLAG_ROW(struct criu_options, tcp_skip_in_flight, "tcp-skip-in-flight", 0,
		 "leave out TCP connections that are just being made"),
	NUMBER_ROW(struct criu_options, status_fd, "status-fd", 0, "FD",
		   "write a zero byte there when lazy pages can be asked for", 0, 65536),
	STRING_ROW(struct criu_options, page_server, "page-server", 0, "ADDRESS:PORT",
		   "send memory to, or for lazy pages serve it at, this address"),
	END_ROW,
};

static const struct option_row restore_rows[] = {
	CRIU_ROWS,
	STRING_ROW(struct criu_options, bundle, "bundle", 'b', "DIR",
		   "the bundle (default: the current directory)"),
	STRING_ROW(struct criu_options, console_socket, "console-socket", 0, "SOCKET",
		   "send the terminal's master side to this unix socket"),
	STRING_ROW(struct criu_options, pid_file, "pid-file", 0, "FILE",
		   "write the process id to FILE"),
	FLAG_ROW(struct criu_options, detach, "detach", 'd', "return when the processes run"),
	FLAG_ROW(struct criu_options, no_pivot, "no-pivot", 0, "accepted: criu changes the root"),
	FLAG_ROW(struct criu_options, no_subreaper, "no-subreaper", 0,
		 "accepted: none is ever made"),
	STRING_ROW(struct criu_options, lsm_profile, "lsm-profile", 0, "TYPE:PROFILE",
		   "restore with this SELinux label or AppArmor profile"),
	STRING_ROW(struct criu_options, lsm_mount_context, "lsm-mount-context", 0, "CONTEXT",
		   "SELinux context of mounts"),
	END_ROW,
};

static const struct name_value cgroups_names[] = {
	{ "ignore", CRIU_CGROUPS_IGNORE },
	{ "soft", CRIU_CGROUPS_SOFT },
	{ "full", CRIU_CGROUPS_FULL },
	{ "strict", CRIU_CGROUPS_STRICT },
	{ NULL, 0 },
};

static const struct name_value lock_names[] = {
	{ "iptables", CRIU_LOCK_IPTABLES },
	{ "nftables", CRIU_LOCK_NFTABLES },
	{ "skip", CRIU_LOCK_SKIP },
	{ NULL, 0 },
};

/* A word of a table; NULL leaves *value alone. */
static int choose(const struct name_value *table, const char *option, const char *word, long *value,
		  struct err *e)
{
	for (; word && table->name; table++)
		if (streq(table->name, word)) {
			*value = table->value;
			return 0;
		}
	return word ? err_set(e, ERR_USAGE, "invalid %s '%s'", option, word) : 0;
}

/* "10.0.0.1:27277", "[::1]:27277" */
static int parse_server(const char *text, struct str *address, int *port, struct err *e)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0, bracket = *text == '[';
	uint64_t number;

	if (!len || (bracket && (len < 3 || text[len - 1] != ']')) ||
	    parse_u64(colon + 1, 1, 65535, &number) < 0)
		return err_set(e, ERR_USAGE, "use --page-server ADDRESS:PORT, not '%s'", text);
	str_add_n(address, text + bracket, len - 2 * bracket);
	*port = (int)number;
	return address->failed ? err_set(e, ENOMEM, "--page-server") : 0;
}

static int read_options(struct cli *c, struct str *address, struct checkpoint_options *out)
{
	const struct criu_options *o = c->options;
	long cgroups = CRIU_CGROUPS_IGNORE, lock = CRIU_LOCK_DEFAULT;

	if (choose(cgroups_names, "--manage-cgroups-mode", o->cgroups_mode, &cgroups, c->e) < 0 ||
	    choose(lock_names, "--network-lock", o->network_lock, &lock, c->e) < 0)
		return -1;
	for (size_t i = 0; i < o->empty_ns.n; i++)
		if (!streq(o->empty_ns.v[i], "network"))
			return err_set(c->e, ERR_USAGE,
				       "--empty-ns '%s' is not supported: 'network' is",
				       o->empty_ns.v[i]);
	*out = (struct checkpoint_options){
		.image_path = o->image_path ? o->image_path : DEFAULT_IMAGE_PATH,
		.work_path = o->work_path,
		.parent_path = o->parent_path,
		.leave_running = o->leave_running,
		.tcp_established = o->tcp_established,
		.tcp_skip_in_flight = o->tcp_skip_in_flight,
		.tcp_close = o->tcp_close,
		.ext_unix_sk = o->ext_unix_sk,
		.shell_job = o->shell_job,
		.lazy_pages = o->lazy_pages,
		.file_locks = o->file_locks,
		.pre_dump = o->pre_dump,
		.auto_dedup = o->auto_dedup,
		.link_remap = o->link_remap,
		.empty_network = o->empty_ns.n > 0,
		.status_fd = o->status_fd.set ? (int)o->status_fd.v : -1,
		.cgroups = (enum criu_cgroups)cgroups,
		.network_lock = (enum criu_lock)lock,
		.lsm_profile = o->lsm_profile,
		.lsm_mount_context = o->lsm_mount_context,
	};
	if (!o->page_server)
		return 0;
	if (parse_server(o->page_server, address, &out->page_server_port, c->e) < 0)
		return -1;
	out->page_server = str_text(address);
	return 0;
}

static int checkpoint(struct cli *c, int argc, char **argv)
{
	auto_str struct str address = { 0 };
	auto_spec struct spec *s = NULL;
	auto_plan struct plan *plan = NULL;
	struct checkpoint_options o;
	struct plan_options po;
	struct host host;
	int status;

	(void)argc; /* one, as the row says */
	if (read_options(c, &address, &o) < 0)
		return -1;
	status = state_status(&c->dir, &c->state, NULL, c->e);
	if (status < 0)
		return -1;
	if (status != STATUS_RUNNING && status != STATUS_PAUSED)
		return err_set(c->e, ERR_STATE, "container cannot be checkpointed in %s state",
			       status_name(status));
	if (oci_plan_options(c, argv[0], &po) < 0 || host_probe(&host, c->e) < 0)
		return -1;
	s = oci_read_spec(c);
	plan = s ? plan_build(s, &host, &po, c->e) : NULL;
	if (!plan || checkpoint_dump(&c->state, s, plan, &host, &o, c->e) < 0)
		return -1;
	if (o.leave_running || o.pre_dump)
		return EXIT_DONE;
	return life_delete(&c->dir, &c->state, s, c->e);
}

struct restoring {
	struct bundle bundle;
	struct life life;
	int console_sock;
};

static int make(struct cli *c, const char *id, struct restoring *m)
{
	const struct criu_options *co = c->options;
	struct life_options lo = {
		.state = &c->dir,
		.stdio = { -1, -1, -1 },
		.pid_file = co->pid_file,
	};
	auto_str struct str address = { 0 };
	auto_plan struct plan *plan = NULL;
	struct checkpoint_options o;
	struct plan_options po;
	struct host host;
	struct spec *s;

	if (read_options(c, &address, &o) < 0 || oci_plan_options(c, id, &po) < 0 ||
	    bundle_read(co->bundle, NULL, &m->bundle, c->e) < 0)
		return -1;
	s = m->bundle.spec;
	if (oci_check_console(s->has_process && s->process.terminal, co->detach, co->console_socket,
			      c->e) < 0 ||
	    oci_connect(co->console_socket, &m->console_sock, c->e) < 0 ||
	    host_probe(&host, c->e) < 0)
		return -1;
	plan = plan_build(s, &host, &po, c->e);
	if (!plan || oci_new_state(c, id) < 0)
		return -1;
	lo.config_text = str_text(&m->bundle.config);
	lo.config_len = m->bundle.config.len;
	lo.console_socket = m->console_sock;
	if (checkpoint_restore(s, plan, &host, &o, &lo, &m->life, c->e) < 0)
		return oci_undo(c);
	return 0;
}

static int restore(struct cli *c, int argc, char **argv)
{
	const struct criu_options *o = c->options;
	struct restoring m = { .life = { .pidfd = -1, .console = -1 }, .console_sock = -1 };
	int code = make(c, argv[0], &m);

	(void)argc; /* one, as the row says */
	if (code == 0 && !o->detach) {
		state_unlock(&c->dir);
		code = oci_attend(&m.life, c->e);
		if (oci_clean_up(c, m.bundle.spec) < 0)
			code = -1;
	}
	bundle_free(&m.bundle);
	own_close(&m.life.pidfd);
	own_close(&m.life.console);
	own_close(&m.console_sock);
	return code;
}

const struct verb verb_oci_checkpoint = {
	.name = "checkpoint",
	.run = checkpoint,
	.flags = NEED_ID | NEED_STATE,
	.operands = "ID",
	.min = 1,
	.max = 1,
	.help = "save the processes of a container, by criu, and end it",
	.rows = checkpoint_rows,
	.options_size = sizeof(struct criu_options),
};

const struct verb verb_oci_restore = {
	.name = "restore",
	.run = restore,
	.flags = NEED_ID | VERB_PAYLOAD,
	.operands = "ID",
	.min = 1,
	.max = 1,
	.help = "make a container of saved processes",
	.rows = restore_rows,
	.options_size = sizeof(struct criu_options),
};
