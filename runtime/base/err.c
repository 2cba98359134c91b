#include "runtime/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int(err_set)(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;
	size_t len;

	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	len = strlen(e->msg);
	if (code > 0 && code < ERR_INVALID)
		snprintf(e->msg + len, sizeof(e->msg) - len, ": %s%s", strerror(code),
			 code == ENOSYS ? " (Linux 5.8 or later is needed, and no sandbox that "
					  "refuses its system calls)" :
					  "");
	return -1;
}

int(err_in)(struct err *e, const char *fmt, ...)
{
	char inner[ERR_MSG_MAX];
	va_list ap;
	size_t len;

	memcpy(inner, e->msg, sizeof(inner));
	inner[sizeof(inner) - 1] = '\0';
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	len = strlen(e->msg);
	snprintf(e->msg + len, sizeof(e->msg) - len, ": %s", inner);
	return -1;
}
