/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/listener.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/json.h"
#include "runtime/base/own.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/handover.h"
#include "runtime/handshake.h"
#include "runtime/hooks.h"
#include "runtime/spec.h"

/* ContainerProcessState: the state within it is text already. */
static void process_state(const struct spec *s, const char *id, pid_t pid, enum status status,
			  struct str *out)
{
	static const char *const fds[] = { "seccompFd", NULL };
	auto_str struct str state = { 0 };
	struct json_writer w = { .out = out };

	state_json(s, id, pid, status, &state);
	json_open(&w, NULL, '{');
	json_put_string(&w, "ociVersion", s->oci_version ? s->oci_version : "1.3.0");
	json_put_strings(&w, "fds", fds);
	json_put_i64(&w, "pid", pid);
	json_put_string(&w, "metadata", s->seccomp->listener_metadata);
	json_put_number(&w, "state", str_text(&state));
	json_close(&w);
	out->failed |= state.failed;
}

static int connect_to(const char *path, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	auto_fd int fd = -1;

	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(
			e, ENAMETOOLONG,
			"linux.seccomp.listenerPath: failed to connect with seccomp agent '%s'",
			path);
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_set(
			e, errno,
			"linux.seccomp.listenerPath: failed to connect with seccomp agent '%s'",
			path);
	return take_fd(&fd);
}

static int send_listener(int pidfd, int number, pid_t pid, const struct spec *s, const char *id,
			 enum status status, struct err *e)
{
	auto_fd int listener = sys_pidfd_getfd(pidfd, number), sock = -1;
	auto_str struct str text = { 0 };

	if (listener < 0)
		return err_set(e, errno, "cannot take the seccomp listener of process %d", pid);
	sock = connect_to(s->seccomp->listener_path, e);
	if (sock < 0)
		return -1;
	process_state(s, id, pid, status, &text);
	if (text.failed)
		return err_set(e, ENOMEM, "cannot describe the container");
	return fd_send(sock, listener, str_text(&text), e);
}

int listener_hear_end(int sock, int pidfd, pid_t pid, const struct spec *s, const char *id,
		      enum status status, struct err *e)
{
	int number = -1, r = hear_listener(sock, &number, e);

	if (r <= 0)
		return r;
	if (!s->seccomp || !s->seccomp->listener_path)
		return err_set(e, ERR_INVALID, "a seccomp listener came that nobody waits for");
	if (send_listener(pidfd, number, pid, s, id, status, e) < 0 ||
	    say(sock, MSG_LISTENER_SENT, e) < 0)
		return -1;
	return hear_end(sock, e);
}
