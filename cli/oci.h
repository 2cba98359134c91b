/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci.h - what the verbs of `ctr-oci` share. The command line is runc's, with crun's additions; what its
 * callers parse (exit codes, messages, JSON) is part of it.
 */
#ifndef CTR_OCI_H
#define CTR_OCI_H

#include <stdbool.h>
#include <stdint.h>

struct cli;
struct err;
struct host;
struct json_writer;
struct life;
struct plan_options;
struct process_spec;
struct resctrl;
struct spec;
struct state;
struct state_dir;
struct str;

/* door_oci's enter and leave: the run-state root, and for NEED_STATE the container named first. */
int oci_enter(struct cli *c, char **argv);
void oci_leave(struct cli *c);

/* Opens the root of all states into c->root_fd, once. */
int oci_open_root(struct cli *c);

/* The spec that a container was made from; freed by the caller. NULL and *c->e. */
struct spec *oci_read_spec(struct cli *c);

/* The group of resctrl that its configuration asks for; strings are of c->arena. 1, 0 if it asks for none, or -1 and *c->e. */
int oci_read_group(struct cli *c, struct resctrl *g);

/* What the global options say about cgroups, for plan_build(). Refuses what cannot be had. */
int oci_plan_options(struct cli *c, const char *id, struct plan_options *o);

/* Makes the state directory of a new container, c->dir. What killed commands owe is undone first: whoever comes next pays. */
int oci_new_state(struct cli *c, const char *id);

/* Takes away what was made for one that did not come to be; what cannot go is told as well. -1. */
int oci_undo(struct cli *c);

/* Deletes a container that was waited for, unless somebody else has. */
int oci_clean_up(struct cli *c, const struct spec *s);

/*
 * One container's state as callers read it. @d may be unlocked. With @st NULL the container is just being
 * made, or was left half made. @status is STATUS_CREATING then, and else of state_status().
 */
void oci_put_state(struct json_writer *w, struct state_dir *d, const struct state *st, int status);

/* "2026-11-21T09:16:32.123456789Z" into @buf (at least 40 bytes). Returns @buf. */
char *oci_time(int64_t ns, char *buf, unsigned size);

/* "root", "#1000" or the name in /etc/passwd, into @buf. Returns @buf. */
char *oci_owner(uint32_t uid, char *buf, unsigned size);

/*
 * How many descriptors after 2 reach the payload: --preserve-fds and those of socket activation
 * (sd_listen_fds(3)), for which LISTEN_FDS and LISTEN_PID are put into the environment of @p.
 */
int oci_preserved(struct cli *c, uint64_t preserve, struct spec *s, struct process_spec *p,
		  unsigned *n);

/* Connects to the unix socket @path; NULL: -1 and success. */
int oci_connect(const char *path, int *sock, struct err *e);

/* In the foreground: terminal and signals until the payload has ended; its exit code, or -1 and *e. */
int oci_attend(struct life *l, struct err *e);

/* Options that create, run and exec have in common are checked against the payload's wish for a terminal. */
int oci_check_console(bool terminal, bool detached, const char *console_socket, struct err *e);

#endif
