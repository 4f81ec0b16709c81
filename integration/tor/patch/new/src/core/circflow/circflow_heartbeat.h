/* License: MIT OR Apache-2.0, as all of circflow. */

/**
 * @file circflow_heartbeat.h
 * @brief What tor's heartbeat asks of circflow: nothing in a tor that is built
 *   without it.
 **/

#ifndef TOR_CORE_CIRCFLOW_CIRCFLOW_HEARTBEAT_H
#define TOR_CORE_CIRCFLOW_CIRCFLOW_HEARTBEAT_H

#include "orconfig.h"

#ifdef USE_CIRCFLOW

#include "core/circflow/circflow_hooks.h"

#else /* !defined(USE_CIRCFLOW) */

#define flow_figures_log() ((void) 0)

#endif /* defined(USE_CIRCFLOW) */

#endif /* !defined(TOR_CORE_CIRCFLOW_CIRCFLOW_HEARTBEAT_H) */
