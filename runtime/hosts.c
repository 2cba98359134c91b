/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/hosts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/own.h"
#include "runtime/base/path.h"
#include "runtime/base/str.h"
#include "runtime/instances.h"

#define DIRECTORY "names"
#define FILE_MAX  (64u << 20)
#define DEAD_MIN  256 /* comments, and more of them than lines: the file is made anew */

static const char beginning[] =
	"127.0.0.1 localhost\n"
	"::1 localhost ip6-localhost ip6-loopback\n"
	"fe00::0 ip6-localnet\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n";

/* ---- names of files ---- */

/* "A+B": sorted, each once, so that all who are in the same ones share a file. */
static int file_name(const struct hosts_line *lines, size_t n, char out[HOSTS_NAME_MAX + 1],
		     struct err *e)
{
	const char *last = "";
	size_t len = 0;

	out[0] = '\0';
	for (;;) {
		const char *next = NULL;

		for (size_t i = 0; i < n; i++)
			if (strcmp(lines[i].network, last) > 0 &&
			    (!next || strcmp(lines[i].network, next) < 0))
				next = lines[i].network;
		if (!next)
			return 0;
		len += (size_t)snprintf(out + len, HOSTS_NAME_MAX + 1 - len, "%s%s", len ? "+" : "",
					next);
		if (len > HOSTS_NAME_MAX)
			return err_set(e, ENAMETOOLONG, "the names of its networks together");
		last = next;
	}
}

/* Whether @network is one of "A+B". */
static bool is_of(const char *file, const char *network)
{
	size_t len = strlen(network);

	for (const char *at = file; *at; at += strcspn(at, "+"), at += *at == '+')
		if (strncmp(at, network, len) == 0 && (at[len] == '+' || !at[len]))
			return true;
	return false;
}

static int open_directory(const struct instances *all, bool make, struct err *e)
{
	int fd;

	if (make && mkdirat(all->run, DIRECTORY, 0755) < 0 && errno != EEXIST)
		return err_set(e, errno, "cannot make '%s'", DIRECTORY);
	fd = openat(all->run, DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? err_set(e, errno, "cannot open '%s'", DIRECTORY) : fd;
}

int hosts_path(const struct instances *all, const struct hosts_line *lines, size_t n, char *out,
	       size_t size, struct err *e)
{
	char file[HOSTS_NAME_MAX + 1];

	if (!n)
		return 0;
	if (file_name(lines, n, file, e) < 0)
		return -1;
	if (snprintf(out, size, "%s/" DIRECTORY "/%s", all->run_path, file) >= (int)size)
		return err_set(e, ENAMETOOLONG, "'%s'", all->run_path);
	return 1;
}

/* ---- a file ---- */

static int append(int fd, const char *text, size_t len, struct err *e)
{
	ssize_t n;

	do {
		n = write(fd, text, len);
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)len ?
		       0 :
		       err_set(e, n < 0 ? errno : EIO, "cannot write the names of a network");
}

/* All lines of the open file that are no comments; *dead: how many were. */
static int live_lines(int dir, const char *file, struct str *out, size_t *lines, size_t *dead,
		      struct err *e)
{
	auto_str struct str text = { 0 };

	*lines = *dead = 0;
	if (file_read(dir, file, FILE_MAX, &text, e) < 0)
		return e->code == ENOENT ? 0 : -1;
	for (const char *at = str_text(&text); *at;) {
		size_t len = strcspn(at, "\n");

		if (*at == '#')
			++*dead;
		else if (at[len] && ++*lines)
			str_add_n(out, at, len + 1);
		at += len + (at[len] == '\n');
	}
	return 0;
}

/* Opens it, locked; one that is new begins with what every host has, and what is known of its networks. */
static int open_file(int dir, const char *file, struct err *e)
{
	auto_fd int fd =
		openat(dir, file, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	auto_str struct str text = { 0 };
	char network[HOSTS_NAME_MAX + 1];
	size_t lines, dead;

	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return err_set(e, errno, "cannot open the names of network '%s'", file);
	if (lseek(fd, 0, SEEK_END) > 0)
		return take_fd(&fd);
	(void)fchmod(fd, 0644); /* whatever the umask is: a courtesy to those inside */
	str_add(&text, beginning);
	for (const char *at = file; strchr(file, '+') && *at;
	     at += strcspn(at, "+"), at += *at == '+') {
		auto_str struct str other = { 0 };

		snprintf(network, sizeof(network), "%.*s", (int)strcspn(at, "+"), at);
		if (live_lines(dir, network, &other, &lines, &dead, e) < 0)
			return -1;
		if (other.len > strlen(beginning))
			str_add(&text, other.s + strlen(beginning));
	}
	if (text.failed)
		return err_set(e, ENOMEM, "names");
	return append(fd, text.s, text.len, e) < 0 ? -1 : take_fd(&fd);
}

/* Its lines become comments, by one byte each. The number of them, or -1. */
static int comment_out(int dir, const char *file, const char *name)
{
	auto_str struct str text = { 0 };
	auto_fd int plain =
		openat(dir, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW); /* O_APPEND knows no place */
	size_t len = strlen(name);
	struct err none;
	int found = 0;

	if (plain < 0 || file_read(dir, file, FILE_MAX, &text, &none) < 0)
		return -1;
	for (const char *at = str_text(&text); *at;) {
		size_t end = strcspn(at, "\n");

		if (*at != '#' && at[end] && end > len && memcmp(at + end - len, name, len) == 0 &&
		    at[end - len - 1] == ' ' && at - text.s >= (ssize_t)strlen(beginning))
			found += pwrite(plain, "#", 1, at - text.s) == 1;
		at += end + (at[end] == '\n');
	}
	return found;
}

/* What is dead is left out. Readers may see less for a moment, and nothing wrong. */
static void renew(int fd, int dir, const char *file)
{
	auto_str struct str text = { 0 };
	size_t lines, dead;
	struct err none;

	if (live_lines(dir, file, &text, &lines, &dead, &none) < 0 || dead < DEAD_MIN ||
	    dead < lines || text.failed)
		return;
	if (ftruncate(fd, 0) == 0)
		(void)append(fd, str_text(&text), text.len,
			     &none); /* tmpfs has had the room just now */
}

static int add_to(int dir, const char *file, const char *name, const struct hosts_line *lines,
		  size_t n, struct err *e)
{
	auto_fd int fd = open_file(dir, file, e);
	auto_str struct str text = { 0 };

	if (fd < 0)
		return -1;
	if (comment_out(dir, file, name) != 0)
		renew(fd, dir, file);
	for (size_t i = 0; i < n; i++)
		if (is_of(file, lines[i].network))
			str_addf(&text, "%s %s\n", lines[i].address, name);
	return text.failed ? err_set(e, ENOMEM, "names") : append(fd, str_text(&text), text.len, e);
}

int hosts_prepare(const struct instances *all, const struct hosts_line *lines, size_t n,
		  struct err *e)
{
	char own[HOSTS_NAME_MAX + 1];
	auto_fd int dir = -1, file = -1;

	if (!n)
		return 0;
	dir = open_directory(all, true, e);
	if (dir < 0 || file_name(lines, n, own, e) < 0)
		return -1;
	/* the networks' own files first: the one of several is filled from them */
	for (size_t i = 0; i < n && !streq(lines[i].network, own); i++)
		own_close(&(int){ open_file(dir, lines[i].network, e) });
	file = open_file(dir, own, e);
	return file < 0 ? -1 : 0;
}

int hosts_add(const struct instances *all, const char *name, const struct hosts_line *lines,
	      size_t n, struct err *e)
{
	auto_fd int dir = -1;
	auto_dir DIR *d = NULL;
	struct dirent *ent;

	if (!n)
		return 0;
	dir = open_directory(all, false, e);
	if (dir < 0)
		return -1;
	d = dir_list(dir);
	if (!d)
		return err_set(e, errno, "cannot read '%s'", DIRECTORY);
	while ((ent = readdir(d)))
		for (size_t i = 0; i < n; i++)
			if (ent->d_name[0] != '.' && is_of(ent->d_name, lines[i].network)) {
				if (add_to(dir, ent->d_name, name, lines, n, e) < 0)
					return -1;
				break;
			}
	return 0;
}

void hosts_remove(const struct instances *all, const char *name)
{
	struct err none;
	auto_fd int dir = open_directory(all, false, &none);
	auto_dir DIR *d = NULL;
	struct dirent *ent;

	if (dir < 0)
		return;
	d = dir_list(dir);
	while (d && (ent = readdir(d))) {
		auto_fd int fd = -1;

		if (ent->d_name[0] == '.')
			continue;
		fd = openat(dir, ent->d_name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0 && flock(fd, LOCK_EX) == 0 && comment_out(dir, ent->d_name, name) > 0)
			renew(fd, dir, ent->d_name);
	}
}
