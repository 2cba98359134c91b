#include "images/unpack/layout.h"

#include "images/unpack/work.h"
#include "runtime/base/err.h"

int layout_import(struct work *w, const struct layout *l, struct err *e)
{
	(void)w;
	(void)l;
	return err_set(
		e, ERR_NOT_SUPPORTED,
		"it is an archive of images; only tarballs of a root filesystem can be imported yet");
}
