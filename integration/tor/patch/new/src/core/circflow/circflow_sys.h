/* License: MIT OR Apache-2.0, as all of circflow. */

/**
 * @file circflow_sys.h
 * @brief Header for circflow_sys.c and circflow_stub.c
 **/

#ifndef TOR_CORE_CIRCFLOW_CIRCFLOW_SYS_H
#define TOR_CORE_CIRCFLOW_CIRCFLOW_SYS_H

#include "lib/testsupport/testsupport.h"

extern const struct subsys_fns_t sys_circflow;

/** Above conflux and "or", which it is part of. */
#define CIRCFLOW_SUBSYS_LEVEL (22)

#ifdef CIRCFLOW_SYS_PRIVATE
STATIC int circflow_validate_options(const void *value, char **msg);
STATIC int circflow_set_options(void *arg);
#endif

#endif /* !defined(TOR_CORE_CIRCFLOW_CIRCFLOW_SYS_H) */
