/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Debian's static archives ask of a C library and musl does not have.
 *
 * ctr is linked with musl, since starting a static musl program costs a third of starting a static
 * glibc one; but libseccomp.a, libcap.a, libyajl_s.a and libmnl.a come from Debian, compiled with
 * glibc's headers. Nearly all they ask for, musl has under the same name and with the same binary
 * interface, as far as these four use it (also __ctype_b_loc, __errno_location, __assert_fail,
 * `stderr`). Left are three families, defined here:
 *
 *   __sprintf_chk and its like   what _FORTIFY_SOURCE makes of sprintf: one more argument, the size of the
 *                                destination, or (size_t)-1 where the compiler does not know it
 *   fopen64 and its like         off_t always has 64 bits in musl; the names were in its archive until 1.2.3
 *   __isoc23_strtoul             what glibc 2.38 and later make of strtoul (Debian 13's archives)
 *
 * They keep glibc's contract: a write past the destination aborts. Each is a definition that the
 * linker drops when no archive asks for it. A build with glibc finds nothing in this file; musl has
 * no macro to know it by, so the Makefile defines CTR_MUSL.
 */
#ifdef CTR_MUSL

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Macros of the same names in musl before 1.2.4. */
#undef fopen64
#undef open64
#undef fstat64

int __sprintf_chk(char *to, int flag, size_t room, const char *fmt, ...);
int __snprintf_chk(char *to, size_t len, int flag, size_t room, const char *fmt, ...);
int __fprintf_chk(FILE *f, int flag, const char *fmt, ...);
int __asprintf_chk(char **to, int flag, const char *fmt, ...);
void *__memcpy_chk(void *to, const void *from, size_t len, size_t room);
FILE *fopen64(const char *path, const char *mode);
int open64(const char *path, int flags, ...);
int fstat64(int fd, struct stat *st);
unsigned long __isoc23_strtoul(const char *s, char **end, int base);

/*
 * musl's vsnprintf refuses a size over INT_MAX with EOVERFLOW. (size_t)-1, "size unknown", is over
 * it: unclamped, libcap's cap_to_text() would silently return an empty text.
 */
static size_t clamp(size_t room)
{
	return room > INT_MAX ? INT_MAX : room;
}

int __sprintf_chk(char *to, int flag, size_t room, const char *fmt, ...)
{
	va_list ap;
	int n;

	(void)flag; /* glibc's: more checks of the format, %n above all, which none of the four uses */
	va_start(ap, fmt);
	n = vsnprintf(to, clamp(room), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n >= room)
		abort();
	return n;
}

int __snprintf_chk(char *to, size_t len, int flag, size_t room, const char *fmt, ...)
{
	va_list ap;
	int n;

	(void)flag;
	if (len > room)
		abort();
	va_start(ap, fmt);
	n = vsnprintf(to, clamp(len), fmt, ap);
	va_end(ap);
	return n;
}

int __fprintf_chk(FILE *f, int flag, const char *fmt, ...)
{
	va_list ap;
	int n;

	(void)flag;
	va_start(ap, fmt);
	n = vfprintf(f, fmt, ap);
	va_end(ap);
	return n;
}

int __asprintf_chk(char **to, int flag, const char *fmt, ...)
{
	va_list ap;
	int n;

	(void)flag;
	va_start(ap, fmt);
	n = vasprintf(to, fmt, ap);
	va_end(ap);
	return n;
}

void *__memcpy_chk(void *to, const void *from, size_t len, size_t room)
{
	if (len > room)
		abort();
	return memcpy(to, from, len);
}

FILE *fopen64(const char *path, const char *mode)
{
	return fopen(path, mode);
}

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return open(path, flags, mode);
}

int fstat64(int fd, struct stat *st)
{
	return fstat(fd, st);
}

/* libcap's, for a capability given as a number. C23 takes "0b101" as well in base 0; nothing here writes one so. */
unsigned long __isoc23_strtoul(const char *s, char **end, int base)
{
	return strtoul(s, end, base);
}

#else

/* ISO C has no empty translation units. */
typedef int ctr_not_musl;

#endif
