/*
 * own.h - memory, descriptors and streams die with their scope.
 *
 * Initialise on the declaring line (`auto_fd int fd = -1;`) and hand over with take_fd() or take_ptr(),
 * so that giving away is visible. Effects on the host (cgroups, mounts, state files) are never
 * scope-cleaned: the journal undoes them, because failing to must be reported.
 */
#ifndef CTR_OWN_H
#define CTR_OWN_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static inline void own_free(void *p)
{
	free(*(void **)p);
}

static inline void own_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void own_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void own_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* Kills and reaps a child that nobody took over. Errno is kept: it often explains why we are here. */
void own_kill(pid_t *pid);

#define auto_free  __attribute__((cleanup(own_free)))
#define auto_fd	   __attribute__((cleanup(own_close)))
#define auto_file  __attribute__((cleanup(own_fclose)))
#define auto_dir   __attribute__((cleanup(own_closedir)))
#define auto_child __attribute__((cleanup(own_kill)))

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define take_ptr(p)                     \
	({                              \
		__typeof__(p) t_ = (p); \
		(p) = NULL;             \
		t_;                     \
	})

static inline pid_t take_child(pid_t *pid)
{
	pid_t taken = *pid;

	*pid = 0;
	return taken;
}

#endif
