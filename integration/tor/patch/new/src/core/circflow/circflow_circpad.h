/* License: MIT OR Apache-2.0, as all of circflow. */

/**
 * @file circflow_circpad.h
 * @brief What tor's padding, its queues and what it sends ask and tell
 *   circflow's padding: nothing in a tor that is built without it.
 **/

#ifndef TOR_CORE_CIRCFLOW_CIRCFLOW_CIRCPAD_H
#define TOR_CORE_CIRCFLOW_CIRCFLOW_CIRCPAD_H

#include "orconfig.h"

#ifdef USE_CIRCFLOW

#include "core/circflow/circflow_hooks.h"

#else /* !defined(USE_CIRCFLOW) */

#define flow_pad_note_recognized(circ, command, layer) ((void) 0)
#define flow_pad_note_passed(circ, direction) ((void) 0)
#define flow_pad_note_sent(circ, command) ((void) 0)
#define flow_pad_may_package(circ) (true)
#define flow_pad_holds(stream_id, circ, command, body, len, layer) (false)
#define flow_pad_takes(msg, circ, layer) (false)
#define flow_pad_note_written(cmux, circ, cells) ((void) 0)
#define flow_pad_note_built(circ) ((void) 0)
#define flow_pad_forget(circ) ((void) 0)
#define flow_pad_end() ((void) 0)

#endif /* defined(USE_CIRCFLOW) */

#endif /* !defined(TOR_CORE_CIRCFLOW_CIRCFLOW_CIRCPAD_H) */
