/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instance.h - what was asked for: the configuration of a named instance, and how it ended last time.
 *
 * Pure: text to struct and back. Where the texts lie, and who may touch them when, is instances.h.
 *
 * A configuration is a JSON object, the file config.json. Its keys are the words of the command line
 * (`--read-only` is the key "read-only") and rows of one table, instance_keys[]; a key that is not in it is refused, with
 * the nearest one as a hint, because people mistype. Readers of what ctr prints must tolerate keys that are added later; ctr's own reader of this
 * file is of the same version as its writer.
 *
 * The configuration says what was asked for, not what follows from it: cli/from_image.c turns it, with the
 * image it names, into a spec at each start.
 */
#ifndef CTR_INSTANCE_H
#define CTR_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct str;

#define INSTANCE_NAME_MAX   63
#define UUID_LEN	    32	       /* hex digits of instance.uuid */
#define INSTANCE_CONFIG_MAX (1u << 20) /* bytes of a config.json */
#define INSTANCE_IDS	    65536u     /* ids of an instance's own range */

#define CPUS_UNIT 1000u /* instance.cpus counts thousandths of a processor */

struct instance {
	struct arena *arena; /* all that follows lives in it */

	/* What ctr fills in. */
	const char *uuid; /* 32 hex digits: the identity of this instance, its machine-id inside */
	const char *created;  /* RFC 3339 */
	const char *image_id; /* 64 hex digits, the image it was made from; NULL with `rootfs` */
	const char *origin;   /* the uuid of the instance that it is a linked clone of; NULL */
	const char *const *addresses; /* "NETWORK=ADDRESS", where it has a lease: cli/network.h */
	uint64_t ids; /* first host id of its range of INSTANCE_IDS; 0: it shares its maker's ids */
	bool ephemeral; /* --rm: gone when it ends */
	bool system;	/* boots an init rather than running an application */

	/* What a person asked for. NULL and 0: not given. */
	const char *image;	       /* as written: "debian:13" */
	const char *rootfs;	       /* a directory in place of an image, absolute */
	const char *const *entrypoint; /* NULL-terminated; empty: none, in place of the image's */
	const char *const *command;    /* NULL-terminated */
	const char *const *env;	       /* "K=V" */
	const char *description;       /* one line, for people */
	const char *const *labels;     /* "NAME=VALUE", for people and programs */
	const char *const *volumes;    /* "SRC:DST[:option[,option]]" */
	const char *const *cap_add, *const *cap_drop; /* "CAP_NET_ADMIN"; "ALL" in cap_drop */
	const char *workdir, *user, *hostname;
	const char *const
		*nets; /* "none", "host", "container:NAME", "ns:PATH", "NETWORK[:ip=ADDRESS]" */
	const char *const *publish;  /* "8080:80": netns/netns.h, publication_parse() */
	const char *net_rate;	     /* "100M/20M": net_rate_parse() */
	const char *const *firewall; /* "allow in tcp 80": fw_parse() */
	const char *userns;	     /* "own", "host" */
	const char *profile;	     /* "application", "system"; NULL: what the image looks like */
	const char *stop_signal;     /* a name or a number, "SIGRTMIN+3" */
	uint64_t stop_timeout;	     /* seconds; has_stop_timeout */
	bool has_stop_timeout;
	uint64_t memory, memory_high; /* bytes: killed beyond, slowed beyond */
	uint64_t swap;		      /* bytes; has_swap */
	bool has_swap;
	uint64_t disk;		/* bytes of its own layer and its snapshots: disk.h */
	uint64_t cpus;		/* of CPUS_UNIT */
	const char *cpuset;	/* "0-3,7" */
	uint64_t cpu_weight;	/* 1 to 10000, of 100 that others have */
	uint64_t pids;		/* processes and threads */
	const char *const *io;	/* "[PATH:]rbps=10M,wiops=100": io_limit_parse() */
	uint64_t io_weight;	/* as cpu_weight */
	uint64_t log_size;	/* bytes of a file of its log */
	uint64_t log_files;	/* how many of them */
	const char *restart;	/* "no", "always", "on-failure[:N]": restart.h */
	const char *health_cmd; /* for its /bin/sh */
	uint64_t health_interval, health_timeout, health_start; /* seconds; 0: the usual ones */
	uint64_t health_retries;
	const char *health_action; /* "none", "restart", "stop" */
	const char *ready; /* "running", "healthy", "tcp:PORT", "exec:COMMAND": cli/ready.h */
	const char *const *after; /* names of instances that must be ready before it is started */
	uint64_t autostart;	  /* its turn when the host starts, the smallest first; 0: not */
	bool read_only, tty, interactive;
};

/* Whether it has no network namespace of its own, but the host's. */
bool instance_shares_net(const struct instance *i);

/* Whether it has a user namespace of its own: with a range of ids, or with its maker's where there are none (idrange.h). */
bool instance_has_userns(const struct instance *i);

/* An empty instance with an arena of its own, or NULL when memory is gone. */
struct instance *instance_new(void);
void instance_free(struct instance *i); /* NULL is accepted */

static inline void own_instance(struct instance **i)
{
	instance_free(*i);
}
#define auto_instance __attribute__((cleanup(own_instance)))

/*
 * Names are DNS labels without capitals, [a-z0-9][a-z0-9-]{0,62}: they become host names, directories and
 * cgroups. 0, or -1 and *e (ERR_INVALID) with the rule in words.
 */
int instance_check_name(const char *name, struct err *e);

/* A pronounceable name of four syllables, "lumokira", by chance; 40 million differ. */
int instance_random_name(char out[INSTANCE_NAME_MAX + 1], struct err *e);

/*
 * Reads the text of a config.json. NULL and *e for what is no JSON, for an unknown key, a wrong type or a
 * value that instance_check() refuses.
 */
struct instance *instance_parse(const char *text, size_t len, struct err *e);

/* Writes it. dump -> parse -> dump is identical. */
void instance_dump(const struct instance *i, struct str *out);

/* Checks every value by the grammar of its key, and what goes together: before it is written. */
int instance_check(const struct instance *i, struct err *e);

/* ---- Keys ---- */

enum key_type {
	KEY_STRING,
	KEY_STRINGS,
	KEY_BOOL,
	KEY_NUMBER,
	KEY_SIZE, /* bytes, for people "512M" */
	KEY_CPUS, /* "1.5" */
};

enum key_flags {
	KEY_FIXED = 1 << 0, /* decided when it was made: `ctr set` does not change it */
	KEY_NOW = 1 << 1,   /* only commands read it: a change has effect at once */
	KEY_LIMIT = 1 << 2, /* a limit, which a running instance gets as well: cli/limits.h */
	KEY_NAMED = 1 << 3, /* its strings are NAME=VALUE, one for each name */
};

struct instance_key {
	const char *name;
	enum key_type type;
	unsigned flags;
	size_t at;				    /* of the member of struct instance */
	int (*check)(const char *s, struct err *e); /* of the string, or of each; NULL */
	uint64_t lo, hi;			    /* KEY_NUMBER, KEY_SIZE */
	size_t has;				    /* the flag that tells 0 from absent, or 0 */
};

/* In the order in which they are written. The row without a name ends the table. */
extern const struct instance_key instance_keys[];

/* NULL and *e (ERR_INVALID, with the nearest) if there is none. */
const struct instance_key *instance_key(const char *name, struct err *e);

enum key_change {
	KEY_TO,	    /* this value, in place of what is there; an empty one: none */
	KEY_ADD,    /* KEY_STRINGS: this one too */
	KEY_REMOVE, /* KEY_STRINGS: not this one; of KEY_NAMED the name is enough */
	KEY_GIVE,   /* one of several words of a command line: KEY_ADD to a list, else KEY_TO */
};

/*
 * Changes the value of @k as a person's word says: "512M" for a size, "yes" for a flag, a JSON array of strings for
 * several at once. 0, or -1 and *e, where the key is named first. What instance_check() checks of several keys is
 * not looked at.
 */
int instance_change(struct instance *i, const struct instance_key *k, enum key_change how,
		    const char *word, struct err *e);

/* Adds the value to @out as instance_change() reads it: a line each of KEY_STRINGS. False: not given. */
bool instance_value(const struct instance *i, const struct instance_key *k, struct str *out);

/* Whether both have the same value of @k. */
bool instance_same(const struct instance *a, const struct instance *b,
		   const struct instance_key *k);

/* A number of processors, "2" or "1.5", in CPUS_UNIT: 0.001 to 8192. 0, or -1. */
int parse_cpus(const char *text, uint64_t *out);

/* ---- Volumes ---- */

struct volume {
	const char *source; /* absolute path on the host */
	const char *target; /* absolute path inside */
	bool readonly;
	bool one_fs;  /* `bind`: without the file systems mounted below the source */
	bool noidmap; /* ids on disk are host ids, even in a user namespace */
};

/*
 * "SRC:DST" with ":option,..." of ro, rw, idmap, noidmap, bind, rbind. Both paths are absolute and hold no
 * "..", no ':' and no control characters. Strings are copied into @a.
 */
int volume_parse(const char *text, struct arena *a, struct volume *v, struct err *e);

/* ---- Limits of input and output ---- */

/* In the order of the kernel's io.max. */
enum io_kind { IO_RBPS, IO_WBPS, IO_RIOPS, IO_WIOPS, IO_KINDS };

struct io_limit {
	const char *path; /* a block device, or any file on one; NULL: where the instances lie */
	uint64_t most[IO_KINDS]; /* bytes and operations in a second; 0: no limit */
};

/* "[PATH:]rbps=10M,wbps=5M,riops=100,wiops=100", any of the four. Strings are copied into @a. */
int io_limit_parse(const char *text, struct arena *a, struct io_limit *l, struct err *e);

/* ---- How it ended ---- */

struct instance_exit {
	int code; /* 0..255; 128 + signal when killed; -1: not known, nobody was there to see it */
	int signal; /* 0: none */
	bool oom; /* the memory limit of the instance was the reason, as far as the kernel counts that */
	int64_t time; /* seconds since 1970 */
	/* with @oom: the process that the kernel chose, as its log has it; "" when that cannot be read any more */
	char oom_process[32];
	int64_t oom_pid; /* the host's number of it */
};

int instance_exit_parse(const char *text, size_t len, struct instance_exit *x, struct err *e);
void instance_exit_dump(const struct instance_exit *x, struct str *out);

/* Seconds since 1970 as "2026-11-21T08:52:20Z" into @out of at least 32 bytes; returns @out. */
char *format_time(int64_t seconds, char *out, size_t size);

#endif
