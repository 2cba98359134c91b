/* SPDX-License-Identifier: Apache-2.0 */
/*
 * criu_rpc.h - the messages of `criu swrk`: the few of images/rpc.proto that are needed, as protocol buffers
 * (protobuf.dev, "Encoding"). Pure: text in memory and back.
 */
#ifndef CTR_CRIU_RPC_H
#define CTR_CRIU_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct str;

/* enum criu_req_type */
enum criu_request {
	CRIU_DUMP = 1,
	CRIU_RESTORE = 2,
	CRIU_PRE_DUMP = 4,
	CRIU_NOTIFY = 6,
	CRIU_CPUINFO_DUMP = 7,
	CRIU_CPUINFO_CHECK = 8,
	CRIU_FEATURE_CHECK = 9,
};

/* Members of message criu_opts, by their numbers. */
enum criu_option {
	CRIU_IMAGES_DIR_FD = 1,
	CRIU_PID = 2,
	CRIU_LEAVE_RUNNING = 3,
	CRIU_EXT_UNIX_SK = 4,
	CRIU_TCP_ESTABLISHED = 5,
	CRIU_EVASIVE_DEVICES = 6,
	CRIU_SHELL_JOB = 7,
	CRIU_FILE_LOCKS = 8,
	CRIU_LOG_LEVEL = 9,
	CRIU_LOG_FILE = 10,
	CRIU_PAGE_SERVER = 11,
	CRIU_NOTIFY_SCRIPTS = 12,
	CRIU_ROOT = 13,
	CRIU_PARENT_IMAGE = 14,
	CRIU_TRACK_MEMORY = 15,
	CRIU_AUTO_DEDUP = 16,
	CRIU_WORK_DIR_FD = 17,
	CRIU_LINK_REMAP = 18,
	CRIU_EXTERNAL_MOUNT = 23,
	CRIU_MANAGE_CGROUPS = 24,
	CRIU_CGROUP_ROOT = 25,
	CRIU_RESTORE_SIBLING = 26,
	CRIU_INHERIT_FD = 27,
	CRIU_SKIP_MOUNT = 31,
	CRIU_MANAGE_CGROUPS_MODE = 34,
	CRIU_EXTERNAL = 37,
	CRIU_EMPTY_NS = 38,
	CRIU_JOIN_NS = 39,
	CRIU_FREEZE_CGROUP = 44,
	CRIU_TCP_SKIP_IN_FLIGHT = 46,
	CRIU_LAZY_PAGES = 48,
	CRIU_ORPHAN_PTS_MASTER = 50,
	CRIU_CONFIG_FILE = 51,
	CRIU_TCP_CLOSE = 52,
	CRIU_LSM_PROFILE = 53,
	CRIU_CGROUP_YARD = 60,
	CRIU_LSM_MOUNT_CONTEXT = 63,
	CRIU_NETWORK_LOCK = 64,
};

/* enum criu_cg_mode and enum criu_network_lock_method */
enum criu_cgroups {
	CRIU_CGROUPS_IGNORE = 0,
	CRIU_CGROUPS_SOFT = 3,
	CRIU_CGROUPS_FULL = 4,
	CRIU_CGROUPS_STRICT = 5
};
enum criu_lock {
	CRIU_LOCK_DEFAULT = 0,
	CRIU_LOCK_IPTABLES = 1,
	CRIU_LOCK_NFTABLES = 2,
	CRIU_LOCK_SKIP = 3
};

/* Appending members to a message; `failed` of the buffer says at the end whether memory ran out. */
void criu_put_number(struct str *m, unsigned field, int64_t v);
void criu_put_flag(struct str *m, unsigned field, bool v);	    /* false: left out */
void criu_put_string(struct str *m, unsigned field, const char *s); /* NULL: left out */
void criu_put_message(struct str *m, unsigned field, const struct str *inner);
void criu_put_pair(struct str *m, unsigned field, const char *first,
		   const char *second); /* members 1 and 2 */
void criu_put_inherit_fd(struct str *m, const char *key, int fd);

/* A whole request: options for dump and restore; success answers a notification; features are asked for. */
void criu_put_request(struct str *m, enum criu_request type, const struct str *options);
void criu_put_notified(struct str *m, bool success);
void criu_put_feature_check(struct str *m, bool memory_tracking, bool lazy_pages);

struct criu_answer {
	int type; /* enum criu_request, or one that we do not know */
	bool success;
	int pid; /* of a restored process, or the one that a notification is about; 0: none */
	char script[32];		  /* the name of a notification, "" if none */
	int error;			  /* errno that CRIU gives as the reason; 0: none */
	char message[256];		  /* and its words, "" if none */
	bool memory_tracking, lazy_pages; /* features */
};

/* Reads a message criu_resp. Unknown members are passed over. 0, or -1 and *e for what is no such message. */
int criu_answer_parse(const void *data, size_t len, struct criu_answer *a, struct err *e);

#endif
