#include <string.h>

#include "images/images.h"
#include "images/store.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"

#define TAG_MAX 128

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_image_id(const char *s)
{
	return strspn(s, "0123456789abcdef") == IMAGE_ID_LEN && !s[IMAGE_ID_LEN];
}

/* The separators between the alphanumeric runs of a component: ".", "_", "__", or dashes. */
static size_t separator(const char *p)
{
	if (*p == '.')
		return 1;
	if (*p == '_')
		return p[1] == '_' ? 2 : 1;
	return strspn(p, "-");
}

static bool is_component(const char *p, size_t len)
{
	const char *end = p + len;

	for (;;) {
		size_t sep;

		if (p == end || !is_alnum(*p))
			return false;
		while (p < end && is_alnum(*p))
			p++;
		if (p == end)
			return true;
		sep = separator(p);
		if (!sep || sep >= (size_t)(end - p))
			return false;
		p += sep;
	}
}

/* "host:port": only in front of others. */
static bool is_host(const char *p, size_t len)
{
	const char *colon = memchr(p, ':', len);
	size_t digits;

	if (!colon)
		return is_component(p, len);
	digits = strspn(colon + 1, "0123456789");
	return digits && digits <= 5 && colon + 1 + digits == p + len &&
	       is_component(p, (size_t)(colon - p));
}

static bool is_tag(const char *s)
{
	size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return len && len <= TAG_MAX && !s[len] && *s != '.' && *s != '-';
}

static bool is_repository(const char *s, size_t len)
{
	const char *slash = memchr(s, '/', len), *end = s + len;

	if (!slash)
		return is_component(s, len);
	if (!is_host(s, (size_t)(slash - s)))
		return false;
	for (;;) {
		const char *part = slash + 1;

		slash = memchr(part, '/', (size_t)(end - part));
		if (!is_component(part, (size_t)((slash ? slash : end) - part)))
			return false;
		if (!slash)
			return true;
	}
}

int image_name_parse(const char *name, char *out, struct err *e)
{
	const char *slash = strrchr(name, '/');
	const char *colon = strchr(slash ? slash : name, ':');
	const char *tag = colon ? colon + 1 : "latest";
	size_t len = colon ? (size_t)(colon - name) : strlen(name);

	if (len + 1 + strlen(tag) > IMAGE_NAME_MAX)
		return err_set(e, ERR_INVALID,
			       "the image name '%.40s...' is longer than %d characters", name,
			       IMAGE_NAME_MAX);
	if (!is_repository(name, len))
		return err_set(
			e, ERR_INVALID,
			"'%s' is not an image name: it takes lower-case letters and digits, with "
			"'.', '_', '-' or '/' between them",
			name);
	if (!is_tag(tag))
		return err_set(
			e, ERR_INVALID,
			"'%s' is not an image name: its tag takes letters, digits, '_', '.' and '-'",
			name);
	if (len == IMAGE_ID_LEN && strspn(name, "0123456789abcdef") == len)
		return err_set(e, ERR_INVALID, "'%s' is an image's id, it cannot be a name", name);
	memcpy(out, name, len);
	out[len] = ':';
	strcpy(out + len + 1, tag);
	return 0;
}

/* Two characters that no name has stand for the two that make trouble in a file's name. */
static void swap(const char *from, char *to, const char *these, const char *by)
{
	for (; *from; from++, to++) {
		const char *at = strchr(these, *from);

		*to = at ? by[at - these] : *from;
	}
	*to = '\0';
}

void name_escape(const char *name, char *out)
{
	swap(name, out, "/:", "+@");
}

void name_unescape(const char *file, char *out)
{
	swap(file, out, "+@", "/:");
}
