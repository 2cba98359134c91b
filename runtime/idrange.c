/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/idrange.h"

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
#include "runtime/instance.h"
#include "runtime/subids.h"
#include "runtime/userns.h"

#define TABLE "idrange"
#define MAGIC 0x31646974u /* "tid1" */

/* The file, whole. It fits a page, and one write of it is not divided even by SIGKILL. */
struct table {
	uint32_t magic, first, count, next;
	uint8_t taken[(IDRANGE_COUNT + 7) / 8];
};

/*
 * Ids are given to instances only where the host's are: in any other user namespace an instance has those of its maker. No entry is the
 * usual case: ids from the default range then.
 */
static int choose_ids(struct idranges *r, struct err *e)
{
	struct subids uids[SUBIDS_MAX], gids[SUBIDS_MAX];
	int n_uids, n_gids;

	r->first = IDRANGE_FIRST;
	r->count = userns_is_first() ? IDRANGE_COUNT : 0;
	if (!r->count)
		return 0;
	n_uids = subids_read("/etc/subuid", "ctr", NULL, uids, e);
	n_gids = n_uids > 0 ? subids_read("/etc/subgid", "ctr", NULL, gids, e) : n_uids;
	if (n_gids < 0)
		return -1;
	for (int i = 0; i < n_uids; i++)
		for (int k = 0; k < n_gids; k++) {
			uint32_t n = uids[i].count < gids[k].count ? uids[i].count : gids[k].count;

			if (uids[i].first != gids[k].first || n < INSTANCE_IDS)
				continue;
			r->first = uids[i].first;
			r->count = n / INSTANCE_IDS < IDRANGE_COUNT ? n / INSTANCE_IDS :
								      IDRANGE_COUNT;
			return 0;
		}
	return 0;
}

static int write_table(struct idranges *r, uint32_t magic, struct err *e)
{
	struct table t = { magic, r->first, r->count, r->next, { 0 } };

	memcpy(t.taken, r->taken, sizeof(t.taken));
	if (pwrite(r->fd, &t, sizeof(t), 0) != (ssize_t)sizeof(t))
		return err_set(e, errno, "cannot write the table of id ranges");
	return 0;
}

static bool read_table(struct idranges *r)
{
	struct table t;

	if (pread(r->fd, &t, sizeof(t), 0) != (ssize_t)sizeof(t) || t.magic != MAGIC ||
	    t.count > IDRANGE_COUNT || t.next > t.count || (t.count && t.next == t.count) ||
	    t.first > UINT32_MAX - (uint64_t)t.count * INSTANCE_IDS)
		return false;
	r->first = t.first;
	r->count = t.count;
	r->next = t.next;
	memcpy(r->taken, t.taken, sizeof(t.taken));
	return true;
}

/* The table's file, locked, and still the one that others would open. */
static int open_locked(int run, struct err *e)
{
	for (;;) {
		auto_fd int fd =
			openat(run, TABLE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		struct stat st;

		if (fd < 0)
			return err_set(e, errno, "cannot open the table of id ranges");
		while (flock(fd, LOCK_EX) < 0)
			if (errno != EINTR)
				return err_set(e, errno, "cannot lock the table of id ranges");
		if (fstat(fd, &st) < 0)
			return err_set(e, errno, "cannot stat the table of id ranges");
		if (st.st_nlink)
			return take_fd(&fd);
	}
}

int idrange_open(int run, int (*fill)(struct idranges *r, void *arg, struct err *e), void *arg,
		 struct idranges *r, struct err *e)
{
	auto_fd int fd = open_locked(run, e);

	if (fd < 0)
		return -1;
	memset(r, 0, sizeof(*r));
	r->fd = fd;
	if (!read_table(r)) {
		if (choose_ids(r, e) < 0 || fill(r, arg, e) < 0)
			return -1;
	}
	if (write_table(r, 0, e) < 0)
		return -1;
	r->fd = take_fd(&fd);
	return 0;
}

int idrange_close(struct idranges *r, struct err *e)
{
	int rc = write_table(r, MAGIC, e);

	close(r->fd);
	r->fd = -1;
	return rc;
}

static bool is_taken(const struct idranges *r, uint32_t slot)
{
	return r->taken[slot / 8] & (1u << (slot % 8));
}

uint32_t idrange_free_slot(const struct idranges *r, uint64_t host, struct err *e)
{
	uint32_t wanted = idrange_slot(r, host);

	if (wanted != IDRANGE_NONE && !is_taken(r, wanted))
		return wanted;
	for (uint32_t i = 0, slot = r->next; i < r->count; i++, slot = (slot + 1) % r->count)
		if (!is_taken(r, slot))
			return slot;
	err_set(e, ERR_INVALID,
		"all %u ranges of user ids are taken: remove instances, or give user 'ctr' more ids in "
		"/etc/subuid and /etc/subgid",
		r->count);
	return IDRANGE_NONE;
}

void idrange_take(struct idranges *r, uint32_t slot)
{
	if (slot >= r->count)
		return;
	r->taken[slot / 8] |= (uint8_t)(1u << (slot % 8));
	r->next = (slot + 1) % r->count;
}

void idrange_give(struct idranges *r, uint32_t slot)
{
	if (slot < r->count)
		r->taken[slot / 8] &= (uint8_t) ~(1u << (slot % 8));
}

void idrange_mark(struct idranges *r, uint32_t host)
{
	/* A range of an earlier choice of ids may lie across two of ours. */
	uint64_t lo = host, hi = (uint64_t)host + INSTANCE_IDS - 1;

	for (int i = 0; i < 2; i++) {
		uint64_t id = i ? hi : lo, slot;

		if (id < r->first)
			continue;
		slot = (id - r->first) / INSTANCE_IDS;
		if (slot < r->count)
			r->taken[slot / 8] |= (uint8_t)(1u << (slot % 8));
	}
}

uint32_t idrange_host(const struct idranges *r, uint32_t slot)
{
	return r->first + slot * INSTANCE_IDS;
}

uint32_t idrange_slot(const struct idranges *r, uint64_t host)
{
	uint64_t slot;

	if (host < r->first || (host - r->first) % INSTANCE_IDS)
		return IDRANGE_NONE;
	slot = (host - r->first) / INSTANCE_IDS;
	return slot < r->count ? (uint32_t)slot : IDRANGE_NONE;
}
