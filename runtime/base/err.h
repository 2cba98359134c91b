/*
 * err.h - an error as a value.
 *
 * `struct err` lives on the caller's stack: nothing to free, usable when memory is gone, and sent as
 * it is from child to parent in one packet. Success leaves it alone; failure leaves out-parameters
 * alone. Only cli/ and the log sink print one.
 */
#ifndef CTR_ERR_H
#define CTR_ERR_H

/* Codes are errno values (the message then ends in their text) or one of these. */
enum err_code {
	ERR_NONE = 0,
	ERR_INVALID = 1000, /* the request itself is wrong; the message is complete */
	ERR_USAGE,	    /* a command line is wrong: exit code 2 for management verbs */
	ERR_NOT_SUPPORTED,  /* this kernel or this host cannot do what was asked */
	ERR_NO_SUCH,	    /* no instance, container or image of that name */
	ERR_EXISTS,	    /* the name is taken */
	ERR_STATE,	    /* the instance is in a state that forbids it */
	ERR_CMD_NOT_FOUND,  /* payload not found: exit code 127 */
	ERR_CMD_NOT_EXEC,   /* payload found but not executable: exit code 126 */
};

#define ERR_MSG_MAX 1024

struct err {
	int code;
	char msg[ERR_MSG_MAX];
};

/*
 * Sets *e to @code and the formatted message, followed by ": <text of errno>" when @code is an errno; and
 * for ENOSYS by what is needed: openat2 (Linux 5.6), CLONE_INTO_CGROUP (5.7), setns of a pidfd (5.8). Too long a message is cut at its end. Always returns -1, so that a failing function can
 * `return err_set(...)`.
 */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<formatted text>: " in front of the message of *e: where more is known. Returns -1. */
int err_in(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * The result is always -1, and this tells the compiler: it then knows that a function which ends in
 * `return err_set(...)` did not set its out-parameters, and that one which returned 0 did. Without it
 * gcc -fanalyzer and -Wmaybe-uninitialized follow ways that do not exist.
 */
#define err_set(...)                        \
	({                                  \
		(void)err_set(__VA_ARGS__); \
		-1;                         \
	})
#define err_in(...)                        \
	({                                 \
		(void)err_in(__VA_ARGS__); \
		-1;                        \
	})

#endif
