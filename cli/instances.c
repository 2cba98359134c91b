/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/instances.h"

#include <errno.h>
#include <stdio.h>

#include "cli/verbs.h"
#include "runtime/base/err.h"
#include "runtime/base/log.h"
#include "runtime/base/own.h"

int open_instances(struct cli *c, struct instances *all)
{
	if (instances_open(c->store_root, c->run_root, all, c->e) < 0)
		return -1;
	instances_sweep(all);
	return 0;
}

int each_instance(struct cli *c, const struct instances *all, char **operands,
		  int (*one)(struct cli *c, const struct instances *all, const char *name,
			     struct err *e))
{
	auto_free char **names = NULL;
	bool failed = false;
	struct err e;
	size_t n;

	if (instances_match(all, (const char *const *)operands, &names, &n, c->e) < 0)
		return -1;
	for (size_t k = 0; k < n; k++) {
		if (one(c, all, names[k], &e) == 0)
			continue;
		if (failed)
			log_error("%s", c->e->msg);
		*c->e = e;
		failed = true;
	}
	return failed ? -1 : EXIT_DONE;
}

int print_text(struct cli *c, struct str *text)
{
	str_add(text, "\n");
	if (text->failed)
		return err_set(c->e, ENOMEM, "cannot write to standard output");
	if (fputs(text->s, stdout) == EOF || fflush(stdout) == EOF)
		return err_set(c->e, errno, "cannot write to standard output");
	return EXIT_DONE;
}
