/* License: MIT OR Apache-2.0, as all of circflow. */

/**
 * @file circflow_options_st.h
 * @brief Structure circflow_options_t: the options of circflow.
 **/

#ifndef TOR_CORE_CIRCFLOW_CIRCFLOW_OPTIONS_ST_H
#define TOR_CORE_CIRCFLOW_CIRCFLOW_OPTIONS_ST_H

#include "lib/conf/confdecl.h"

#define CONF_CONTEXT STRUCT
#include "core/circflow/circflow_options.inc"
#undef CONF_CONTEXT

typedef struct circflow_options_t circflow_options_t;

#endif /* !defined(TOR_CORE_CIRCFLOW_CIRCFLOW_OPTIONS_ST_H) */
