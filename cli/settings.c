/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/settings.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/network.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/base/str.h"

/* "NAME" takes the value of here, if there is one; as Docker does. NULL and no error: there is none. */
static const char *env_word(struct arena *a, const char *word, struct err *e)
{
	const char *value = *word && !strchr(word, '=') ? getenv(word) : NULL;

	if (strchr(word, '=') || *word == '[')
		return word;
	if (!*word) {
		err_set(e, ERR_INVALID, "'' is not NAME=VALUE");
		return NULL;
	}
	return value ? arena_printf(a, "%s=%s", word, value) : "";
}

/* "net_admin" is CAP_NET_ADMIN. */
static const char *cap_word(struct arena *a, const char *word, struct err *e)
{
	bool all = strcasecmp(word, "all") == 0;
	char *name;

	(void)e;
	if (*word == '[')
		return word;
	name = arena_printf(a, "%s%s", all || strncasecmp(word, "cap_", 4) == 0 ? "" : "CAP_",
			    word);
	for (char *c = name; c && *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return name;
}

/* The source as an absolute path: what "." means here, it will not mean at a later start. */
static const char *volume_word(struct arena *a, const char *word, struct err *e)
{
	size_t len = strcspn(word, ":");
	char source[PATH_MAX], real[PATH_MAX];

	if (*word == '/' || *word == '[')
		return word;
	if (*word != '.') {
		err_set(e, ERR_INVALID, "'%.200s': the source is a path, '/%s' or './%s'", word,
			word, word);
		return NULL;
	}
	if (len >= sizeof(source)) {
		err_set(e, ENAMETOOLONG, "'%.64s...'", word);
		return NULL;
	}
	memcpy(source, word, len);
	source[len] = '\0';
	if (!realpath(source, real)) {
		err_set(e, errno, "'%.200s': '%.200s'", word, source);
		return NULL;
	}
	return arena_printf(a, "%s%s", real, word + len);
}

static const struct {
	const char *key;
	const char *(*read)(struct arena *a, const char *word, struct err *e);
} readers[] = {
	{ "env", env_word },
	{ "volume", volume_word },
	{ "cap-add", cap_word },
	{ "cap-drop", cap_word },
};

int setting_change(struct instance *i, const char *name, enum key_change how, const char *word,
		   struct err *e)
{
	const struct instance_key *k = instance_key(name, e);
	struct err why = { .code = ENOMEM, .msg = "out of memory" };

	if (!k)
		return -1;
	for (size_t r = 0; how != KEY_REMOVE && r < sizeof(readers) / sizeof(*readers); r++) {
		if (!streq(readers[r].key, name) || (how == KEY_TO && !*word))
			continue;
		word = readers[r].read(i->arena, word, &why);
		if (!word) {
			*e = why;
			return err_in(e, "%s", name);
		}
		if (!*word)
			return 0;
	}
	return instance_change(i, k, how, word, e);
}

int setting_default_net(struct instance *i, struct err *e)
{
	const char *usual = getenv("CTR_NET");

	return setting_change(i, "net", KEY_TO, usual && *usual ? usual : NET_DEFAULT, e);
}
