/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootless.c - the namespaces of a user: found, or made and given to a keeper.
 *
 *	command                                    child, to be the keeper
 *	fork             ---------------------->   unshare: a user namespace
 *	writes its maps  <----  MSG_UNSHARED  --
 *	                 -----  MSG_MAPPED  --->   unshare: mounts, network; a tmpfs with the token; lo is up
 *	writes the file  <----  MSG_CREATED  ---   executes itself as the keeper
 *	                 -----  MSG_GO  ------->   sleeps for ever
 *	setns
 *
 * Until MSG_GO the keeper ends with the command, so that one that is killed leaves nothing.
 */
#include "cli/rootless.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/verbs.h"
#include "netns/netns.h"
#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/base/sys.h"
#include "runtime/handshake.h"
#include "runtime/self.h"
#include "runtime/spec.h"
#include "runtime/subids.h"
#include "runtime/userns.h"

#define RECORD	   "keeper"
#define TOKEN_LEN  32
#define SOCKET	   3 /* the keeper's */
#define NO_PLACE   "no place for this user's images and instances (CTR_ROOT says where)"
#define NAMESPACES (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)

struct place {
	char data[PATH_MAX -
		  64]; /* without symbolic links: it is looked up in other mount namespaces */
	char run[PATH_MAX];
	int dir; /* <data>/rootless, open and locked */
	char token[TOKEN_LEN + 1];
};

/* ---- where ---- */

static int choose_data(char *out, size_t size, struct err *e)
{
	const char *root = getenv("CTR_ROOT"), *share = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");
	struct passwd *user;
	int len;

	if (root && *root)
		len = snprintf(out, size, "%s", root);
	else if (share && *share == '/')
		len = snprintf(out, size, "%s/ctr", share);
	else if ((home && *home == '/') || ((user = getpwuid(geteuid())) && (home = user->pw_dir)))
		len = snprintf(out, size, "%s/.local/share/ctr", home);
	else
		return err_set(e, ERR_INVALID, NO_PLACE);
	if (*out != '/')
		return err_set(e, ERR_INVALID, "the store's directory '%s' is not an absolute path",
			       out);
	return len < (int)size ? 0 : err_set(e, ENAMETOOLONG, "'%s'", out);
}

/* Makes the directories, and takes the lock. */
static int open_place(struct place *p, struct err *e)
{
	char path[PATH_MAX], *real;
	auto_fd int dir = -1;
	int lock;

	if (choose_data(path, sizeof(path) - 16, e) < 0)
		return -1;
	if (dir_make_all(path, 0700, e) < 0)
		return err_in(e, NO_PLACE);
	real = realpath(path, NULL);
	if (!real || strlen(real) >= sizeof(p->data)) {
		free(real);
		return err_set(e, real ? ENAMETOOLONG : errno, "'%s'", path);
	}
	strcpy(p->data, real);
	free(real);
	snprintf(p->run, sizeof(p->run), "%s/rootless/run", p->data);
	if (dir_make_all(p->run, 0700, e) < 0)
		return err_in(e, NO_PLACE);
	snprintf(path, sizeof(path), "%s/rootless", p->data);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	lock = dir < 0 ? -1 : openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return err_set(e, errno, "cannot lock '%s'", path);
	while (flock(lock, LOCK_EX) < 0) /* its descriptor stays until setns(2) is through */
		if (errno != EINTR)
			return err_set(e, errno, "cannot lock '%s'", path);
	p->dir = take_fd(&dir);
	return lock;
}

/* ---- who lives in them ---- */

/* Whether process @pid sees the tmpfs of ours: then it has all that we look for. */
static bool lives_there(const struct place *p, pid_t pid)
{
	auto_str struct str text = { 0 };
	char path[PATH_MAX + 48];
	struct err e;

	snprintf(path, sizeof(path), "/proc/%d/root%s/token", pid, p->run);
	return file_read(AT_FDCWD, path, 256, &text, &e) == 0 && streq(str_text(&text), p->token);
}

static bool read_record(struct place *p, pid_t *pid)
{
	auto_str struct str text = { 0 };
	struct err e;

	*pid = 0;
	return file_read(p->dir, RECORD, 256, &text, &e) == 0 &&
	       sscanf(str_text(&text), "%d %32s", pid, p->token) == 2;
}

static int write_record(const struct place *p, pid_t pid, struct err *e)
{
	char text[TOKEN_LEN + 16];

	snprintf(text, sizeof(text), "%d %s\n", pid, p->token);
	return file_replace(p->dir, RECORD, text, strlen(text), 0600, 0, e);
}

/* Of a process that lives there now: it may have ended before it was opened. -1: none. */
static int open_inhabitant(const struct place *p, pid_t pid)
{
	auto_fd int pidfd = sys_pidfd_open(pid, 0);

	return pidfd >= 0 && lives_there(p, pid) ? take_fd(&pidfd) : -1;
}

static int find_inhabitant(const struct place *p)
{
	auto_dir DIR *proc = opendir("/proc");
	struct dirent *ent;
	uint64_t pid;

	while (proc && (ent = readdir(proc)))
		if (parse_u64(ent->d_name, 1, INT_MAX, &pid) == 0) {
			int pidfd = open_inhabitant(p, (pid_t)pid);

			if (pidfd >= 0)
				return pidfd;
		}
	return -1;
}

/* ---- the keeper ---- */

static int fail_to_unshare(struct err *e)
{
	int code = errno;

	err_set(e, code, "cannot make a user namespace");
	e->code = ERR_NOT_SUPPORTED;
	return code == ENOSPC || code == EPERM ?
		       err_in(e,
			      "instances of an ordinary user need one, and this machine allows none "
			      "(sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
			      "kernel.apparmor_restrict_unprivileged_userns; or be root)") :
		       -1;
}

static int furnish(const struct place *p, struct err *e)
{
	auto_fd int dir = -1;

	if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
		return err_set(e, errno, "cannot make mount and network namespaces");
	/* what the host mounts later is seen, what is mounted here stays here */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    mount("tmpfs", p->run, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") < 0)
		return err_set(e, errno, "cannot mount a tmpfs at '%s'", p->run);
	dir = open(p->run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_set(e, errno, "cannot open '%s'", p->run);
	if (file_replace(dir, "token", p->token, TOKEN_LEN, 0600, 0, e) < 0)
		return -1;
	return netns_loopback_up(e);
}

/* In the child: makes them, or with @pidfd enters those of that process; then executes itself. Never returns. */
__attribute__((noreturn)) static void become_keeper(const struct place *p, int pidfd, int sock)
{
	char *argv[] = { KEEPER, NULL }, *envp[] = { NULL };
	struct err e = { 0 };

	if (setsid() < 0)
		err_set(&e, errno, "cannot make a session");
	else if (pidfd >= 0 && setns(pidfd, NAMESPACES) < 0)
		err_set(&e, errno, "cannot enter the user's namespaces");
	else if (pidfd < 0 && unshare(CLONE_NEWUSER) < 0)
		(void)fail_to_unshare(&e);
	if (e.code || say(sock, MSG_UNSHARED, &e) < 0 || hear(sock, MSG_MAPPED, &e) < 0 ||
	    (pidfd < 0 && furnish(p, &e) < 0))
		goto fail;
	(void)chdir("/");
	if (dup2(sock, SOCKET) == SOCKET) {
		(void)fcntl(SOCKET, F_SETFD, 0); /* where it was this very number */
		execve("/proc/self/exe", argv, envp);
	}
	err_set(&e, errno, "cannot execute itself");
fail:
	say_failed(sock, &e);
	_exit(1);
}

int keeper_main(void)
{
	struct err e;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3; fd++)
		(void)dup2(null, fd);
	if (say(SOCKET, MSG_CREATED, &e) < 0 || hear(SOCKET, MSG_GO, &e) < 0)
		return 1;
	(void)sys_close_range(3, UINT_MAX, 0);
	for (;;)
		pause();
}

struct ids {
	struct id_map map[SUBIDS_MAX + 1];
	size_t n;
};

/* Root is the user itself; the others, from 1 on, are what the administrator has given in the file @path. */
static int read_ids(const char *path, uint32_t own, struct ids *out, struct err *e)
{
	const struct passwd *user = getpwuid(geteuid());
	struct subids given[SUBIDS_MAX];
	uint32_t next = 1;
	char number[16];
	int n;

	snprintf(number, sizeof(number), "%u", geteuid());
	n = subids_read(path, user ? user->pw_name : number, number, given, e);
	out->map[0] = (struct id_map){ .container = 0, .host = own, .size = 1 };
	out->n = 1;
	for (int i = 0; i < n; i++) {
		out->map[out->n++] = (struct id_map){ next, given[i].first, given[i].count };
		next += given[i].count;
	}
	return n < 0 ? -1 : 0;
}

static int map_ids(pid_t child, struct err *e)
{
	struct ids uids, gids;

	return read_ids("/etc/subuid", geteuid(), &uids, e) < 0 ||
			       read_ids("/etc/subgid", getegid(), &gids, e) < 0 ||
			       userns_write_maps(child, uids.map, uids.n, gids.map, gids.n, true,
						 e) < 0 ?
		       -1 :
		       0;
}

static int make_token(struct place *p, struct err *e)
{
	unsigned char random[TOKEN_LEN / 2];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_set(e, errno, "cannot get random numbers");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(p->token + 2 * i, 3, "%02x", random[i]);
	return 0;
}

/* Has a keeper in new namespaces, or with @pidfd in those of that process, and writes it down. Its descriptor, or -1 and *e. */
static int make_keeper(struct place *p, int pidfd, pid_t *made, struct err *e)
{
	auto_fd int keeper = -1, sock = -1;
	auto_child pid_t pid = 0;
	int ends[2];

	if (pidfd < 0 && make_token(p, e) < 0)
		return -1;
	if (handshake_pair(ends, e) < 0)
		return -1;
	(void)fflush(NULL); /* or the child could write it again */
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		become_keeper(p, pidfd, ends[1]);
	}
	close(ends[1]);
	sock = ends[0];
	if (pid < 0) {
		pid = 0;
		return err_set(e, errno, "cannot fork");
	}
	keeper = sys_pidfd_open(pid, 0);
	if (keeper < 0)
		return err_set(e, errno, "cannot open process %d", pid);
	if (hear(sock, MSG_UNSHARED, e) < 0 || (pidfd < 0 && map_ids(pid, e) < 0) ||
	    say(sock, MSG_MAPPED, e) < 0 || hear(sock, MSG_CREATED, e) < 0 ||
	    write_record(p, pid, e) < 0 || say(sock, MSG_GO, e) < 0)
		return -1;
	*made = take_child(&pid);
	return take_fd(&keeper);
}

static int find_or_make(struct place *p, pid_t *pid, struct err *e)
{
	bool known = read_record(p, pid);
	auto_fd int pidfd = known ? open_inhabitant(p, *pid) : -1;

	if (pidfd >= 0)
		return take_fd(&pidfd);
	if (known)
		pidfd = find_inhabitant(p);
	return make_keeper(p, pidfd, pid, e);
}

/* ---- entering ---- */

/* setns(2) leads to the root of the mount namespace: back to where the caller is, by name, if it is there for us. */
static int enter(int pidfd, struct err *e)
{
	char cwd[PATH_MAX];
	bool known = getcwd(cwd, sizeof(cwd));

	if (setns(pidfd, NAMESPACES) < 0)
		return err_set(e, errno, "cannot enter the user's namespaces");
	if (known)
		(void)!chdir(cwd);
	return 0;
}

static bool entered;

bool rootless_is_entered(void)
{
	return entered;
}

int rootless_enter(struct cli *c)
{
	static struct place p; /* c->store_root and c->run_root lead into it */
	auto_fd int lock = -1, pidfd = -1;
	pid_t keeper;

	if (geteuid() == 0)
		return 0;
	/* now rather than in there, where the host cannot be looked at any more (rootless_await_ports()) */
	if ((c->verb->flags & VERB_STARTS) && self_protect(c->argv, c->e) < 0)
		return -1;
	lock = open_place(&p, c->e);
	pidfd = lock < 0 ? -1 : find_or_make(&p, &keeper, c->e);
	if (pidfd < 0)
		return -1;
	rootless_find_way_out(p.data, p.dir, keeper, c->verb->flags & VERB_STARTS);
	close(p.dir);
	if (enter(pidfd, c->e) < 0)
		return -1;
	entered = true;
	c->store_root = p.data;
	c->run_root = p.run;
	/* for the programs that we run again */
	return setenv("CTR_ROOT", p.data, 1) < 0 || setenv("CTR_RUN", p.run, 1) < 0 ?
		       err_set(c->e, ENOMEM, "environment") :
		       0;
}
