/*
 * log.h - the one sink for warnings and debug lines. Errors travel as struct err and are printed by
 * cli/; what is worth telling although the work goes on comes here.
 */
#ifndef CTR_LOG_H
#define CTR_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/*
 * Where lines go: @fd (2 by default, kept open by the caller), how they look, and the least important
 * level that is written. LOG_JSON writes the objects {"level","msg","time"} that podman and containerd
 * parse (notes of runc and crun: level is "error", "warning", "info" or "debug"; time is RFC 3339).
 */
void log_setup(int fd, enum log_format format, enum log_level level);
bool log_enabled(enum log_level level);

/* One line; each is written with one write(2), so lines of several processes do not mix. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                    \
	do {                                              \
		if (log_enabled(LOG_DEBUG))               \
			log_line(LOG_DEBUG, __VA_ARGS__); \
	} while (0)

#endif
